//! The porter opens and closes the doors of listeners that people made in the catalog, as it says, while the server runs.
//!
//! What is to be done is decided in [`book`]; here it is done, on a thread of its own, because a door that closes waits a moment until its
//! address is free, and certificates are on a disk. What the catalog said last is kept in a file ([`mod@file`]): a server begins with that, and
//! no device waits for the catalog. What cannot be opened is told, and tried again; it never ends the server.

mod book;
pub(crate) mod file;

pub(crate) use book::Unopened;

use super::doors::{cannot_listen, tls_of};
use super::fixed::Fixed;
use super::given::Sockets;
use super::listeners::{Planned, made, of_nobody};
use crate::folder::Folder;
use book::{Act, Book, Holds, Key, LONGEST_PAUSE, Opened, Wanted};
use metrics::gauge;
use odograph_api::ListenerStanding;
use odograph_catalog::{Catalog, KeptListeners, Listener};
use odograph_env::{Clock as _, SystemClock};
use odograph_ingest::{Bound, Devices as _, DoorId, Gateway, Given, Listener as Served, Roster};
use odograph_protocols::Binding;
use odograph_protocols::detect::name_of_listened;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the porter works with.
pub(crate) struct Parts {
    /// Where doors are, and who knows the devices that have one of their own.
    pub(crate) doors: (Arc<Gateway>, Arc<Roster>),
    pub(crate) folder: Folder,
    /// What has an address beside those that people made.
    pub(crate) fixed: Vec<Fixed>,
    /// Sockets that were open before this server began.
    pub(crate) left: Sockets,
    /// So many sockets there may be: open files were set aside for them.
    pub(crate) sockets_max: usize,
    /// The command line named all that is to be open.
    pub(crate) is_limited: bool,
}

/// The porter.
pub(crate) struct Porter {
    gateway: Arc<Gateway>,
    roster: Arc<Roster>,
    folder: Folder,
    fixed: Vec<Fixed>,
    left: Mutex<Sockets>,
    sockets_max: usize,
    is_limited: bool,
    clock: SystemClock,
    book: Mutex<Book>,
    /// Something was told that is to be looked at.
    told: Mutex<Told>,
    heard: Condvar,
    stopping: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Told {
    /// The catalog has said something.
    news: bool,
    /// The file is not what the catalog said last.
    unkept: bool,
}

impl Porter {
    /// Opens what the file has, and goes on with what it is told. Sockets that nobody wants are closed.
    pub(crate) fn start(parts: Parts, kept: Vec<Listener>) -> std::io::Result<Arc<Self>> {
        let Parts { doors: (gateway, roster), folder, fixed, left, sockets_max, is_limited } = parts;
        let porter = Arc::new(Self {
            gateway,
            roster,
            folder,
            fixed,
            left: Mutex::new(left),
            sockets_max,
            is_limited,
            clock: SystemClock::new(),
            book: Mutex::default(),
            told: Mutex::default(),
            heard: Condvar::new(),
            stopping: AtomicBool::new(false),
            thread: Mutex::default(),
        });
        porter.learn(KeptListeners { listeners: kept, unreadable: Vec::new() });
        porter.turn();
        let working = porter.clone();
        let thread = std::thread::Builder::new().name("porter".to_owned()).spawn(move || working.work())?;
        *lock(&porter.thread) = Some(thread);
        Ok(porter)
    }

    /// Goes by the catalog, until the runtime ends.
    pub(crate) async fn follow(self: Arc<Self>, catalog: Catalog) {
        let mut changes = catalog.listener_changes();
        loop {
            match changes.next().await {
                Ok(kept) => {
                    self.learn(kept);
                    lock(&self.told).news = true;
                    self.heard.notify_all();
                }
                Err(error) => {
                    let error = anyhow::Error::from(error);
                    tracing::error!(
                        "what listeners people made cannot be read: those that are open stay open: {error:#}"
                    );
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Opens and closes nothing more. What is open stays open, for whoever serves there next.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // So that whoever has just looked hears it.
        drop(lock(&self.told));
        self.heard.notify_all();
        let Some(thread) = lock(&self.thread).take() else { return };
        for _ in 0..STOP_LOOKS_MAX {
            if thread.is_finished() {
                // A panic there was logged when it happened.
                let _ = thread.join();
                return;
            }
            std::thread::sleep(STOP_LOOK);
        }
        tracing::warn!("whoever opens and closes listeners shows no life, and nobody waits for him any longer");
    }

    /// What has an address beside the listeners that people made.
    pub(crate) fn fixed(&self) -> &[Fixed] {
        &self.fixed
    }

    /// How a listener stands, in this revision or a later one.
    pub(crate) fn standing(&self, id: &str, revision: i64) -> Option<ListenerStanding> {
        lock(&self.book).standing(id, revision, |door| self.gateway.connections_at(door))
    }

    /// The listeners that are not open as they should be.
    pub(crate) fn unopened(&self) -> Vec<Unopened> {
        lock(&self.book).unopened()
    }

    /// Takes in what there is. Where that is something else than before, the file is to be written.
    fn learn(&self, kept: KeptListeners) {
        for (id, why) in &kept.unreadable {
            tracing::error!(listener = id, why, "a listener of the catalog cannot be read: it stays as it is");
        }
        let sockets = |listener: &Listener| made(&mut listener.clone()).map_err(|error| error.to_string());
        let mut book = lock(&self.book);
        let before = book.listeners();
        book.take(kept, sockets);
        // While nobody can see the one without the other.
        lock(&self.told).unkept |= before != book.listeners();
    }

    fn work(&self) {
        while !self.is_stopping() {
            self.turn();
            let now = self.clock.monotonic();
            let again = lock(&self.book).again().map_or(LOOK, |again| again.saturating_sub(now)).min(LOOK);
            let is_idle = |told: &mut Told| !told.news && !self.is_stopping();
            let waited = self.heard.wait_timeout_while(lock(&self.told), again, is_idle);
            let (mut told, _) = waited.unwrap_or_else(PoisonError::into_inner);
            told.news = false;
        }
    }

    /// Does all that is to be done now.
    fn turn(&self) {
        self.keep();
        self.look_at_devices();
        loop {
            let acts = lock(&self.book).due(self.clock.monotonic());
            if acts.is_empty() {
                break;
            }
            // Once more: something may have been learned since.
            self.keep();
            for act in acts {
                if self.is_stopping() {
                    return;
                }
                self.carry_out(act);
            }
        }
        self.close_unwanted();
        let count = lock(&self.book).count();
        for (state, count) in count {
            gauge!("odograph_listeners", "state" => state.name()).set(count as f64);
        }
    }

    /// Writes the file, before anything that it says is done.
    fn keep(&self) {
        if !std::mem::take(&mut lock(&self.told).unkept) {
            return;
        }
        let listeners = lock(&self.book).listeners();
        if let Err(error) = file::write(&self.folder, listeners) {
            tracing::warn!(%error, "cannot keep which listeners people made: tried again; until then, a new start finds those of before");
            lock(&self.told).unkept = true;
        }
    }

    /// Looks what is decided about the devices that have a listener of their own.
    fn look_at_devices(&self) {
        let of_devices = lock(&self.book).of_devices();
        for (key, binding, served) in of_devices {
            let holds = match self.known(&binding.device, &served) {
                Some(now) if *now == *binding => Holds::Well,
                Some(_) => Holds::Otherwise,
                None => Holds::Nothing,
            };
            lock(&self.book).stands(&key, holds);
        }
    }

    fn carry_out(&self, act: Act) {
        match act {
            Act::Close(key, door) => {
                self.close(&key.0, door);
                lock(&self.book).closed(&key);
            }
            Act::Open(key, wanted) => {
                let opened = self.served(&wanted.plan).and_then(|served| self.open(&wanted.plan, served));
                self.hear(&key, wanted, opened);
            }
            Act::Change(key, before, wanted) => {
                let changed = self.served(&wanted.plan).and_then(|served| self.change(&wanted.plan, before, served));
                self.hear(&key, wanted, changed);
            }
        }
    }

    fn hear(&self, key: &Key, wanted: Arc<Wanted>, done: Result<Opened, String>) {
        let (protocol, address) = (name_of_listened(wanted.plan.protocol), wanted.plan.address);
        let (id, transport, name) = (&key.0, key.1, wanted.called.clone());
        match done {
            Ok(opened) => {
                lock(&self.book).opened(key, wanted, opened);
                tracing::info!(protocol, transport, %address, listener = id, name, "listening");
            }
            Err(why) => {
                let now = self.clock.monotonic();
                let is_new = lock(&self.book).failed(key, &wanted, why.clone(), now);
                if is_new {
                    tracing::warn!(protocol, transport, %address, listener = id, name, "a listener of the catalog is not open as it says, and is tried again: {why}");
                }
            }
        }
    }

    fn close(&self, id: &str, door: DoorId) {
        let is_free = self.gateway.close(door);
        tracing::info!(listener = id, "a listener of the catalog is closed: its connections end");
        if !is_free {
            tracing::warn!(listener = id, "its address is not free yet: whoever has it shows no life");
        }
    }

    /// What is to be served at a socket, with the one device that comes there, if it is such a one.
    fn served(&self, plan: &Planned) -> Result<(Served, Option<Arc<Binding>>), String> {
        if self.is_limited {
            return Err(LIMITED.to_owned());
        }
        if let Some(taken) = self.fixed.iter().find_map(|fixed| fixed.against(plan)) {
            return Err(taken);
        }
        let wrong = |error: anyhow::Error| format!("{error:#}");
        let mut served = of_nobody(plan).map_err(wrong)?;
        served.tls = tls_of(&plan.config.tls).map_err(wrong)?;
        let Some(id) = &plan.config.device else { return Ok((served, None)) };
        let binding = self
            .known(&id.0, &served)
            .ok_or_else(|| format!("the device {} of the tenant {} is not known here", id.0, plan.config.tenant.0))?;
        (served.device, served.other) = (Some(binding.clone()), plan.config.other_device);
        Ok((served, Some(binding)))
    }

    /// What is decided about the device of a listener.
    fn known(&self, id: &compact_str::CompactString, served: &Served) -> Option<Arc<Binding>> {
        let known = self.roster.known(std::slice::from_ref(id), served);
        // At a listener for everybody's devices, another tenant's of the same id may be found.
        known.filter(|binding| binding.tenant == served.tenant)
    }

    fn open(&self, plan: &Planned, served: (Served, Option<Arc<Binding>>)) -> Result<Opened, String> {
        if lock(&self.book).open() >= self.sockets_max {
            return Err(format!(
                "as many listeners are open as open files were set aside for when the server started ({}): start it again",
                self.sockets_max
            ));
        }
        let left = lock(&self.left).at(plan.address, plan.transport);
        let given = left.map_or_else(|| Given::open(plan.transport, plan.address), Ok);
        self.let_in(plan, given.map_err(|error| cannot_listen(plan, &error))?, served)
    }

    fn change(&self, plan: &Planned, before: DoorId, served: (Served, Option<Arc<Binding>>)) -> Result<Opened, String> {
        let Some(again) = self.gateway.again(before) else { return self.open(plan, served) };
        let given = again.map_err(|error| format!("cannot have the socket once more: {error}"))?;
        let opened = self.let_in(plan, given, served)?;
        // Behind the next one: whoever comes in between finds one of both.
        self.gateway.close(before);
        Ok(opened)
    }

    fn let_in(
        &self,
        plan: &Planned,
        given: Given,
        (served, binding): (Served, Option<Arc<Binding>>),
    ) -> Result<Opened, String> {
        let device = match binding {
            Some(binding) => Some((binding, Arc::new(of_nobody(plan).map_err(|error| format!("{error:#}"))?))),
            None => None,
        };
        let door = self.gateway.open(Bound::adopt(served, given));
        Ok(Opened { door, device, since: self.clock.now() })
    }

    /// Closes sockets that were handed over and that no listener wants, as far as that is known: what could not be opened for another
    /// reason may want one still.
    fn close_unwanted(&self) {
        let book = lock(&self.book);
        let is_wanted = |socket: &Given| {
            !self.is_limited && book.missing().any(|plan| Sockets::is_for(socket, plan.address, plan.transport))
        };
        for socket in lock(&self.left).close_but(is_wanted) {
            tracing::warn!("nobody is to arrive at {socket}, which was handed over: it is closed");
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is whole at every moment, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The help texts of the metrics here.
pub(crate) fn describe() {
    metrics::describe_gauge!(
        "odograph_listeners",
        "Listeners that people made in the catalog, by how they stand on this server: failed ones are to be open, and cannot be."
    );
}

/// How often what is decided about devices with listeners of their own is looked at, and what failed to be kept is tried again.
const LOOK: Duration = Duration::from_secs(2);
/// Until a catalog is read again that could not be.
const AGAIN: Duration = Duration::from_secs(5);
/// How often a stop looks whether the thread has ended, and how often at most: five seconds, where a disk with certificates hangs.
const STOP_LOOK: Duration = Duration::from_millis(5);
const STOP_LOOKS_MAX: u32 = 1000;
const _: () = assert!(LOOK.as_secs() < LONGEST_PAUSE.as_secs());

const LIMITED: &str =
    "this server was started with --listen, which opens just what it names: start it without, or name this one there";
