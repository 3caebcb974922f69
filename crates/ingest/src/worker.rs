//! A worker: one thread with an event loop, a share of the connections, and one set of buffers for all of them.

use crate::command::Commission;
use crate::dispatch::Letter;
use crate::gateway::Common;
use crate::limits::{ORDERS_MAX, READ_BYTES, RELIEF, SWEEP};
use crate::seats::Seat;
use crate::sockets::{Post, Sockets};
use crate::tcp::{self, Link};
use crate::udp::{self, DatagramSocket};
use crate::watchdog::{Pulse, Rounds, Trouble};
use crate::{Close, Listener, Now, Scratch};
use hashbrown::HashSet;
use metrics::{Gauge, Histogram, gauge, histogram};
use odograph_model::{Lsn, Time};
use odograph_protocols::Binding;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::LocalSet;

/// What a worker is handed.
pub(crate) enum Job {
    /// A connection that was accepted.
    Connection { socket: TcpStream, peer: SocketAddr, listener: Arc<Listener>, seat: Seat },
    /// A command for the device of a connection: its place, and its number in the journal.
    Command { place: usize, stream: u64, commission: Commission },
    /// A command for the device that comes by datagrams from there to this listener.
    Letter { door: Arc<Listener>, from: SocketAddr, commission: Commission },
    /// A UDP socket to look after.
    Datagrams(Arc<UdpSocket>, Arc<Listener>),
    /// Nobody comes to a listener any more, which says so itself: end what came there, after what is due.
    Shut(Arc<Listener>),
    /// End what is of some devices, with nothing of theirs under way, and say how many connections have not ended yet.
    End { whose: OfDevices, left: Sender<usize> },
    /// Stop: take no more, answer what is due, end.
    Stop,
}

/// Says whether a device is meant.
pub type OfDevices = Arc<dyn Fn(&Binding) -> bool + Send + Sync>;

/// What a worker was handed and has not taken yet. Bounded by what is handed: connections are counted before they get
/// here, sockets are as many as there are listeners, and commands have a bound of their own.
pub(crate) struct Inbox {
    /// `None`: the worker has ended, and what it is handed is dropped.
    jobs: Mutex<Option<VecDeque<Job>>>,
    came: Notify,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { jobs: Mutex::new(Some(VecDeque::new())), came: Notify::new() }
    }

    /// Hands it a job. What is not taken is dropped, and no lock is held then: a command says so to whoever sent it.
    pub(crate) fn put(&self, job: Job) {
        let refused = match self.lock().as_mut() {
            Some(jobs) if !matches!(job, Job::Command { .. } | Job::Letter { .. }) || jobs.len() < ORDERS_MAX => {
                jobs.push_back(job);
                None
            }
            _ => Some(job),
        };
        drop(refused);
        self.came.notify_one();
    }

    /// Takes nothing more, and gives what was not taken.
    pub(crate) fn close(&self) -> VecDeque<Job> {
        self.lock().take().unwrap_or_default()
    }

    async fn next(&self) -> Job {
        loop {
            let job = self.lock().as_mut().and_then(VecDeque::pop_front);
            match job {
                Some(job) => return job,
                None => self.came.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<Job>>> {
        // Every change to the queue is whole, so a panic elsewhere does not spoil it.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker, for the other threads.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) pulse: Arc<Pulse>,
    /// The watchdog has given its work to another worker.
    pub(crate) retired: Arc<AtomicBool>,
    /// It has ended.
    pub(crate) ended: Arc<AtomicBool>,
}

impl Handle {
    /// What is wrong with it.
    pub(crate) fn trouble(&self, rounds: &Rounds) -> Option<Trouble> {
        rounds.trouble(&self.pulse, self.ended.load(Ordering::Acquire))
    }
}

/// A worker, for itself.
pub(crate) struct Worker {
    pub(crate) common: Arc<Common>,
    pub(crate) post: Arc<Post>,
    pub(crate) links: RefCell<Slab<Rc<Link>>>,
    pub(crate) datagram_sockets: RefCell<Vec<Rc<DatagramSocket>>>,
    pub(crate) scratch: RefCell<Scratch>,
    pub(crate) input: RefCell<Box<[u8]>>,
    pub(crate) stopping: Cell<bool>,
    /// What all links hold of frames whose end has not come, in bytes.
    incomplete: Cell<usize>,
    /// What waits for the journal, in the order in which it becomes durable.
    waiting: RefCell<VecDeque<Waiting>>,
    /// Connections that read on once the journal can take more.
    held_up: RefCell<HashSet<(usize, u64)>>,
    /// Connections whose task has failed.
    fallen: RefCell<Vec<Rc<Link>>>,
    /// A task has failed without which there is no going on.
    lost: Cell<bool>,
    /// The journal has got on, or there is something else to look at.
    wake: Arc<Notify>,
    retired: Arc<AtomicBool>,
    pulse: Arc<Pulse>,
    ack_seconds: Histogram,
    incomplete_bytes: Gauge,
}

struct Waiting {
    until: Lsn,
    /// When the frame was read.
    since: Duration,
    target: Target,
}

/// Who waits.
pub(crate) enum Target {
    /// A connection: its place, and its number in the journal.
    Link(usize, u64),
    /// The same, that has nothing to say: it may read on.
    Reader(usize, u64),
    /// A datagram to be sent.
    Datagram(Rc<DatagramSocket>, SocketAddr, Box<[u8]>),
    /// A command as a datagram.
    Letter(Rc<DatagramSocket>, Letter),
}

/// Starts a worker on a thread of its own.
pub(crate) fn start(number: usize, common: &Arc<Common>) -> std::io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = Handle {
        inbox: Arc::new(Inbox::new()),
        wake: Arc::default(),
        sockets: Arc::default(),
        pulse: Arc::new(Pulse::new(&*common.clock)),
        retired: Arc::default(),
        ended: Arc::default(),
    };
    let (common, shared) = (common.clone(), handle.clone());
    std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        let worker = Rc::new(Worker {
            common,
            post: Arc::new(Post { sockets: shared.sockets, inbox: shared.inbox.clone() }),
            links: RefCell::default(),
            datagram_sockets: RefCell::default(),
            scratch: RefCell::default(),
            input: RefCell::new(vec![0; READ_BYTES].into()),
            stopping: Cell::new(false),
            incomplete: Cell::new(0),
            waiting: RefCell::default(),
            held_up: RefCell::default(),
            fallen: RefCell::default(),
            lost: Cell::new(false),
            wake: shared.wake.clone(),
            retired: shared.retired,
            pulse: shared.pulse,
            ack_seconds: histogram!("odograph_ack_seconds"),
            incomplete_bytes: gauge!("odograph_incomplete_bytes"),
        });
        let run = || LocalSet::new().block_on(&runtime, worker.clone().run(&shared.inbox));
        let asked = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            // The panic was logged when it happened. Nobody else ends what it had.
            worker.leave(Close::Fault);
            false
        });
        if asked {
            drop(shared.inbox.close());
        }
        // Not asked for: what waits in the inbox is for the worker that the watchdog starts instead.
        shared.ended.store(true, Ordering::Release);
    })?;
    Ok(handle)
}

impl Worker {
    /// Works until the end; says whether somebody asked for it.
    async fn run(self: Rc<Self>, inbox: &Inbox) -> bool {
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                job = inbox.next() => match job {
                    Job::Connection { socket, peer, listener, seat } => tcp::adopt(&self, socket, peer, listener, seat),
                    Job::Command { place, stream, commission } => self.command(place, stream, commission),
                    Job::Letter { door, from, commission } => self.letter(&door, from, commission),
                    Job::Datagrams(socket, listener) => udp::adopt(&self, &socket, listener),
                    Job::Shut(listener) => self.shut(&listener),
                    // Whoever asked may not wait any more.
                    Job::End { whose, left } => drop(left.send(self.end_of(&*whose))),
                    Job::Stop => self.begin_to_stop(),
                },
                () = self.wake.notified() => self.release(),
                _ = sweep.tick() => self.sweep(),
            }
            let retired = self.retired.load(Ordering::Acquire);
            if retired || self.lost.get() {
                self.leave(Close::Healed);
                return retired;
            }
            if self.stopping.get() && self.links.borrow().is_empty() && self.waiting.borrow().is_empty() {
                self.leave(Close::Stopping);
                return true;
            }
        }
    }

    /// Something has failed without which this worker does not do what it is for: another one takes its place.
    pub(crate) fn lose(&self, what: &str) {
        tracing::error!("{what}: the worker ends, and another one takes its place");
        self.lost.set(true);
        self.wake.notify_one();
    }

    /// The task of a connection is over; without having buried it, it failed.
    pub(crate) fn task_over(&self, link: &Rc<Link>) {
        let is_there = |links: &Slab<Rc<Link>>| links.get(link.place()).is_some_and(|there| Rc::ptr_eq(there, link));
        if self.links.try_borrow().is_ok_and(|links| is_there(&links)) {
            self.fallen.borrow_mut().push(link.clone());
            self.wake.notify_one();
        }
    }

    /// Does something for one connection. Where that fails, it is that connection's end and nobody else's.
    pub(crate) fn for_one(&self, link: &Rc<Link>, act: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(act)).is_err() {
            self.task_over(link);
        }
    }

    /// Ends the connections whose task has failed.
    fn bury_fallen(&self) {
        loop {
            let Some(link) = self.fallen.borrow_mut().pop() else { return };
            // What failed may fail again: all but the last words in the journal is done by then.
            let _ = catch_unwind(AssertUnwindSafe(|| tcp::bury(self, &link, Close::Fault)));
        }
    }

    /// What time it is, on both clocks.
    pub(crate) fn now(&self) -> Now {
        Now { wall: Time(self.common.clock.now()), monotonic: self.common.clock.monotonic() }
    }

    /// Something is to leave once the journal is durable up to `until`.
    pub(crate) fn wait(&self, until: Lsn, since: Duration, target: Target) {
        self.waiting.borrow_mut().push_back(Waiting { until, since, target });
    }

    /// A connection waits until the journal can take more.
    pub(crate) fn wait_for_relief(&self, place: usize, stream: u64) {
        self.held_up.borrow_mut().insert((place, stream));
    }

    /// Lets all read on and accept who wait for the journal, where it can take more.
    fn tell_relief(&self) {
        let doors = self.common.held_up.load(Ordering::SeqCst);
        if (!doors && self.held_up.borrow().is_empty()) || self.common.intake.journal.congested() {
            return;
        }
        for (place, stream) in self.held_up.take() {
            if let Some(link) = self.link(place, stream) {
                link.go_on();
            }
        }
        if doors && self.common.held_up.swap(false, Ordering::SeqCst) {
            self.common.relieved.notify_waiters();
        }
    }

    /// Lets leave what is durable.
    fn release(self: &Rc<Self>) {
        self.bury_fallen();
        self.tell_relief();
        let durable = self.common.intake.journal.durable();
        loop {
            let next = self.waiting.borrow_mut().pop_front_if(|waiting| waiting.until <= durable);
            let Some(waiting) = next else { break };
            match waiting.target {
                Target::Link(place, stream) => {
                    if let Some(link) = self.link(place, stream) {
                        self.for_one(&link, || link.flush_answers(self, waiting.since));
                    }
                }
                Target::Reader(place, stream) => {
                    if let Some(link) = self.link(place, stream) {
                        link.go_on();
                    }
                }
                Target::Datagram(socket, peer, bytes) => {
                    if socket.send(peer, &bytes) {
                        self.answered(waiting.since);
                    }
                }
                Target::Letter(socket, letter) => socket.post(self, &letter),
            }
        }
    }

    /// The answer to what was read then has left.
    pub(crate) fn answered(&self, read_at: Duration) {
        self.ack_seconds.record(self.common.clock.monotonic().saturating_sub(read_at));
    }

    /// Passes a command on to its connection, if that is still there.
    fn command(&self, place: usize, stream: u64, commission: Commission) {
        if let Some(link) = self.link(place, stream)
            && let Some(order) = commission.accept()
        {
            self.for_one(&link, || link.command(self, &order));
        }
    }

    /// Passes a command on to the socket that its device comes to, if that is still there.
    fn letter(&self, door: &Listener, from: SocketAddr, commission: Commission) {
        let socket = self.datagram_sockets.borrow().iter().find(|socket| socket.is_at(door)).cloned();
        if let Some(socket) = socket
            && let Some(order) = commission.accept()
        {
            socket.command(self, from, &order);
        }
    }

    fn link(&self, place: usize, stream: u64) -> Option<Rc<Link>> {
        self.links.borrow().get(place).filter(|link| link.stream() == stream).cloned()
    }

    /// A link holds `now` bytes of a frame whose end has not come, and held `before`. Where all of them hold too much, those
    /// that have cost the most of it are cut off.
    pub(crate) fn hold(&self, before: usize, now: usize) {
        if before == now {
            return;
        }
        self.incomplete.set(self.incomplete.get().saturating_sub(before).saturating_add(now));
        self.incomplete_bytes.increment(now as f64 - before as f64);
        if self.incomplete.get() > self.common.limits.incomplete_bytes_max {
            self.relieve();
        }
    }

    /// Makes room, and some more than is needed, so that this is not done for each byte.
    fn relieve(&self) {
        let (bound, now) = (self.common.limits.incomplete_bytes_max, self.now().monotonic);
        let mut holders: Vec<_> = {
            let links = self.links.borrow();
            links.iter().filter_map(|(_, link)| Some((link.cost(now)?, link.clone()))).collect()
        };
        holders.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
        for (_, link) in holders {
            if self.incomplete.get() <= bound - bound / RELIEF {
                break;
            }
            link.end_now(Close::IncompleteBytes);
            link.hold(self);
        }
    }

    fn end_of(&self, whose: &dyn Fn(&Binding) -> bool) -> usize {
        let of = |link: &&Rc<Link>| link.is_of(whose);
        let links: Vec<_> = self.links.borrow().iter().map(|(_, link)| link).filter(of).cloned().collect();
        links.iter().for_each(|link| link.end_now(Close::Erased));
        let (now, mut scratch) = (self.now(), self.scratch.borrow_mut());
        for socket in self.datagram_sockets.borrow().iter() {
            socket.end(whose, &self.common.intake, now, &mut scratch);
            self.common.became(socket.fates());
        }
        links.len()
    }

    /// Ends what came to a listener. Nothing is lost by that: what was taken in is answered first, and the rest is the devices' still.
    fn shut(&self, listener: &Listener) {
        let of = |link: &&Rc<Link>| link.came_to(listener);
        let links: Vec<_> = self.links.borrow().iter().map(|(_, link)| link).filter(of).cloned().collect();
        links.iter().for_each(|link| link.end(Close::Shut));
        let (now, mut scratch) = (self.now(), self.scratch.borrow_mut());
        self.datagram_sockets.borrow_mut().retain(|socket| {
            let stays = !socket.is_at(listener);
            if !stays {
                socket.shut();
                socket.close(Close::Shut, &self.common.intake, now, &mut scratch);
                self.common.became(socket.fates());
            }
            stays
        });
    }

    fn begin_to_stop(&self) {
        if self.stopping.replace(true) {
            return;
        }
        let links: Vec<_> = self.links.borrow().iter().map(|(_, link)| link.clone()).collect();
        for link in links {
            link.end(Close::Stopping);
        }
    }

    /// The end of this worker, with what is left of its connections.
    fn leave(&self, why: Close) {
        let (now, mut scratch) = (self.now(), self.scratch.borrow_mut());
        for socket in self.datagram_sockets.borrow_mut().drain(..) {
            socket.close(why, &self.common.intake, now, &mut scratch);
            self.common.became(socket.fates());
        }
        drop(scratch);
        let links: Vec<_> = self.links.borrow().iter().map(|(_, link)| link.clone()).collect();
        for link in links {
            let _ = catch_unwind(AssertUnwindSafe(|| tcp::bury(self, &link, why)));
        }
    }

    fn sweep(&self) {
        self.pulse.beat(&*self.common.clock);
        let now = self.now();
        // Whoever would have told it may have been replaced.
        self.tell_relief();
        let (limits, journal) = (&self.common.limits, &self.common.intake.journal);
        let (durable, congested) = (journal.durable(), journal.congested());
        let overdue: Vec<_> = {
            let links = self.links.borrow();
            links
                .iter()
                .filter_map(|(_, link)| Some((link.clone(), link.overdue(limits, now, durable, congested)?)))
                .collect()
        };
        for (link, why) in overdue {
            link.end_now(why);
        }
        let mut scratch = self.scratch.borrow_mut();
        for socket in self.datagram_sockets.borrow().iter() {
            socket.sweep(&self.common.intake, now, &mut scratch);
            self.common.became(socket.fates());
        }
    }
}
