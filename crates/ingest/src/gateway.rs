//! The gateway: opens the listeners, runs the threads, watches them, and stops in good order.

use crate::accept;
use crate::access::Refusal;
use crate::command::{CommandObserver, Commission, Fate, Order, Unsent};
use crate::cutoffs::{Cutoffs, Whom};
use crate::doors::Doors;
use crate::limits::{CERTIFICATES_LOOK, CLOSE_MAX, HEALED_TOLD, STOP_LOOK, WATCH};
use crate::reach::Reached;
use crate::seats::Seats;
use crate::sockets::Present;
use crate::watchdog::{Rounds, Trouble, is_stalled};
use crate::worker::{self, Job, OfDevices};
use crate::{Bound, Close, Devices, DoorId, Given, Health, Intake, Limits, Listener, PartHealth};
use metrics::{counter, gauge};
use odograph_env::Clock;
use odograph_handover::Inlet;
use odograph_journal::{Commit, Committer, Fatal, Journal, Observer, SealRecord, retention::Removal};
use odograph_model::Lsn;
use odograph_protocols::Protocol;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::Notify;

/// What a gateway is made of.
pub struct Parts {
    /// Where everything goes first.
    pub journal: Journal,
    /// Who makes it durable.
    pub committer: Committer,
    /// The one that the journal was opened with: it wakes the workers.
    pub bell: Arc<Bell>,
    /// Who may send.
    pub devices: Arc<dyn Devices>,
    /// Where what was decoded goes on to, if anyone wants it.
    pub handover: Option<Inlet>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Limits,
    /// How many workers.
    pub workers: usize,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A listener's address cannot be had.
    #[error("cannot listen on {address} ({transport})")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// `tcp` or `udp`.
        transport: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Wakes the workers when the journal has committed, and counts what the journal does.
#[derive(Default)]
pub struct Bell {
    wakes: OnceLock<Arc<Mutex<Vec<Arc<Notify>>>>>,
    measures: OnceLock<JournalMeasures>,
    fatal: Mutex<Option<String>>,
}

struct JournalMeasures {
    commit_seconds: metrics::Histogram,
    commit_entries: metrics::Histogram,
    bytes: metrics::Counter,
}

impl Bell {
    fn measures(&self) -> &JournalMeasures {
        self.measures.get_or_init(|| JournalMeasures {
            commit_seconds: metrics::histogram!("odograph_commit_seconds"),
            commit_entries: metrics::histogram!("odograph_commit_entries"),
            bytes: counter!("odograph_journal_bytes_total"),
        })
    }

    fn ring(&self) {
        if let Some(wakes) = self.wakes.get() {
            for wake in wakes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                wake.notify_one();
            }
        }
    }
}

impl Observer for Bell {
    fn committed(&self, commit: &Commit) {
        // Counted first: whoever has an answer finds it in the numbers.
        let measures = self.measures();
        measures.commit_seconds.record(commit.write + commit.sync);
        measures.commit_entries.record(commit.entries as f64);
        measures.bytes.increment(commit.bytes);
        self.ring();
    }

    fn full(&self, full: bool) {
        gauge!("odograph_journal_full").set(if full { 1.0 } else { 0.0 });
        if full {
            tracing::error!("the journal's disk is full: nothing is acknowledged until there is space");
        } else {
            tracing::info!("the journal's disk has space again");
            // Whoever waits for that goes on.
            self.ring();
        }
    }

    fn sealing(&self, base: Lsn) {
        tracing::debug!(step = SEAL, %base, "begins");
    }

    fn sealed(&self, record: &SealRecord) {
        tracing::debug!(step = SEAL, base = %record.base, "ends");
        counter!("odograph_segments_sealed_total").increment(1);
        tracing::info!(base = %record.base, end = %record.end, "journal segment sealed");
    }

    fn sealing_lost(&self) {
        tracing::error!(
            "the thread that seals segments has failed: what devices send is safe, and segments stay unsealed until the server is started again"
        );
    }

    fn index_rebuilt(&self, record: &SealRecord, rebuilt: bool) {
        if rebuilt {
            tracing::info!(base = %record.base, end = %record.end, "made the missing index of a journal segment again");
        } else {
            tracing::error!(
                base = %record.base, end = %record.end,
                "cannot make the missing index of a journal segment again: `odograph journal verify` says whether the segment \
                 is what was sealed"
            );
        }
    }

    fn removing(&self, removal: &Removal) {
        tracing::debug!(step = REMOVAL, base = %removal.segment.base, "begins");
    }

    fn removed(&self, removal: &Removal) {
        tracing::debug!(step = REMOVAL, base = %removal.segment.base, "ends");
        counter!("odograph_segments_removed_total", "forced" => if removal.forced { "yes" } else { "no" }).increment(1);
        if removal.forced {
            tracing::error!(base = %removal.segment.base, bytes = removal.segment.bytes, "the disk budget forced a journal segment out");
        } else {
            tracing::info!(base = %removal.segment.base, bytes = removal.segment.bytes, "journal segment removed");
        }
    }

    fn unprovable(&self, base: Lsn) {
        counter!("odograph_segments_unprovable_total").increment(1);
        tracing::error!(%base, "a damaged journal segment is removed, and can no longer be proven");
    }

    fn failed(&self, fatal: &Fatal) {
        tracing::error!(error = %fatal, "the journal failed: nothing is acknowledged any more");
        *self.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(fatal.to_string());
    }
}

/// What all threads share.
pub(crate) struct Common {
    pub(crate) intake: Intake,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) present: Present,
    /// Devices that come by datagrams.
    pub(crate) reached: Arc<Reached>,
    pub(crate) seats: Seats,
    pub(crate) doors: Arc<Doors>,
    workers: Mutex<Vec<worker::Handle>>,
    wakes: Arc<Mutex<Vec<Arc<Notify>>>>,
    next: AtomicUsize,
    pub(crate) rounds: Rounds,
    /// Somebody who accepts waits until the journal can take more, which he is told by the other.
    pub(crate) held_up: AtomicBool,
    pub(crate) relieved: Notify,
    pub(crate) cutoffs: Cutoffs,
    observer: OnceLock<Arc<dyn CommandObserver>>,
}

impl Common {
    /// Whoever sends commands, if anyone does.
    pub(crate) fn commands(&self) -> Option<&Arc<dyn CommandObserver>> {
        self.observer.get()
    }

    /// Tells what became of commands.
    pub(crate) fn became(&self, fates: Vec<(u64, Fate)>) {
        let Some(observer) = self.commands() else { return };
        fates.into_iter().for_each(|(ticket, fate)| observer.became(ticket, fate));
    }

    /// Gives a job to the next worker that is well.
    pub(crate) fn hand_out(&self, job: Job) {
        let workers = self.workers();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let mut order = (0..workers.len()).map(|step| &workers[(turn + step) % workers.len()]);
        let well = order.find(|worker| worker.trouble(&self.rounds).is_none());
        if let Some(worker) = well.or(workers.first()) {
            worker.inbox.put(job);
        }
    }

    /// Counts somebody who is not let in, and tells the log.
    pub(crate) fn turn_away(&self, listener: &Listener, peer: SocketAddr, why: &Refusal) {
        refusal(why.reason());
        self.cutoffs.turned_away(Whom { peer, device: None, listener }, why, self.clock.monotonic());
    }

    fn workers(&self) -> MutexGuard<'_, Vec<worker::Handle>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection that was closed at once.
pub(crate) fn refusal(reason: &'static str) {
    counter!("odograph_connections_refused_total", "reason" => reason).increment(1);
}

/// A running gateway.
pub struct Gateway {
    common: Arc<Common>,
    /// Held while a door is opened or closed, or somebody gets another one's work: each socket has one who watches it.
    changing: Mutex<()>,
    /// Somebody looks whether certificates have changed.
    looks: AtomicBool,
    accept: Mutex<accept::Handle>,
    replaced: Mutex<Replaced>,
    committer: Mutex<Option<JoinHandle<Result<(), Fatal>>>>,
    watch: Mutex<Option<JoinHandle<()>>>,
    stopped: Arc<(Mutex<bool>, std::sync::Condvar)>,
    bell: Arc<Bell>,
}

#[derive(Default, Clone)]
struct Replaced {
    accept: Times,
    workers: Vec<Times>,
}

/// How often a part was replaced, and when it was last.
#[derive(Default, Clone, Copy)]
struct Times {
    count: u32,
    last: Option<Duration>,
}

impl Times {
    fn once_more(&mut self, now: Duration) {
        self.count += 1;
        self.last = Some(now);
    }

    /// What a person is told for a while: what is well again is not worth an alarm, and worth a look.
    fn told(self, now: Duration) -> Option<String> {
        let ago = now.saturating_sub(self.last?);
        (ago < HEALED_TOLD).then(|| format!("was replaced {} s ago: the log says why", ago.as_secs()))
    }
}

impl Gateway {
    /// Starts serving `listeners`.
    pub fn start(parts: Parts, listeners: Vec<Bound>) -> Result<Arc<Self>, GatewayError> {
        let Parts { journal, committer, bell, devices, handover, clock, limits, workers } = parts;
        let wakes: Arc<Mutex<Vec<Arc<Notify>>>> = Arc::default();
        let _ = bell.wakes.set(wakes.clone());
        let common = Arc::new(Common {
            intake: Intake { journal, devices, handover },
            rounds: Rounds::new(clock.monotonic()),
            held_up: AtomicBool::new(false),
            relieved: Notify::new(),
            clock,
            seats: Seats::default(),
            limits,
            present: Present::default(),
            reached: Arc::default(),
            doors: Arc::default(),
            workers: Mutex::default(),
            wakes,
            next: AtomicUsize::new(0),
            cutoffs: Cutoffs::default(),
            observer: OnceLock::new(),
        });
        let spawn = std::thread::Builder::new().name("journal".to_owned());
        let committer = spawn.spawn(move || committer.run()).map_err(GatewayError::Thread)?;
        for number in 0..workers.max(1) {
            let worker = worker::start(number, &common).map_err(GatewayError::Thread)?;
            lock(&common.wakes).push(worker.wake.clone());
            common.workers().push(worker);
        }
        for bound in listeners {
            open(&common, bound);
        }
        let accept = accept::start(&common).map_err(GatewayError::Thread)?;
        let replaced = Replaced { accept: Times::default(), workers: vec![Times::default(); workers.max(1)] };
        let gateway = Arc::new(Self {
            common,
            changing: Mutex::default(),
            looks: AtomicBool::new(false),
            accept: Mutex::new(accept),
            replaced: Mutex::new(replaced),
            committer: Mutex::new(Some(committer)),
            watch: Mutex::new(None),
            stopped: Arc::default(),
            bell,
        });
        gateway.register();
        gateway.clone().start_watch().map_err(GatewayError::Thread)?;
        gateway.look_at_certificates().map_err(GatewayError::Thread)?;
        Ok(gateway)
    }

    /// Has the numbers of the watchdog be there before anything is wrong: whoever is to be alarmed by them sees that they are.
    fn register(&self) {
        for part in self.health().parts {
            gauge!("odograph_stalled", "part" => part.part.clone()).set(0.0);
            if REPLACEABLE.iter().any(|begin| part.part.starts_with(begin)) {
                counter!("odograph_healed_total", "part" => part.part).absolute(0);
            }
        }
    }

    /// How it is.
    pub fn health(&self) -> Health {
        let now = self.common.clock.monotonic();
        let rounds = &self.common.rounds;
        let replaced = lock(&self.replaced).clone();
        // What ends because the server stops has no trouble.
        let stops = *lock(&self.stopped.0);
        let trouble = |found: Option<Trouble>| found.filter(|_| !stops);
        let mut parts = vec![part("accept", trouble(lock(&self.accept).trouble(rounds)), replaced.accept, rounds, now)];
        for (number, worker) in self.common.workers().iter().enumerate() {
            let count = replaced.workers.get(number).copied().unwrap_or_default();
            parts.push(part(&format!("worker-{number}"), trouble(worker.trouble(rounds)), count, rounds, now));
        }
        // Somebody takes data in: whoever accepts, and one of those who read.
        let (accepts, reads) = (parts[0].healthy, parts[1..].iter().any(|part| part.healthy));
        let journal = self.journal_health();
        let ready = journal.healthy && accepts && reads;
        parts.push(journal);
        parts.push(self.seal_health());
        Health { healthy: parts.iter().all(|part| part.healthy), ready, parts }
    }

    fn journal_health(&self) -> PartHealth {
        let stats = self.common.intake.journal.stats();
        let busy = stats.step_since.map(|since| self.common.rounds.silence(since));
        let ended = lock(&self.committer).as_ref().is_none_or(JoinHandle::is_finished);
        let problem = if stats.failed || ended {
            let why = lock(&self.bell.fatal).clone();
            Some(format!("the journal's writer has ended{}", why.map(|why| format!(": {why}")).unwrap_or_default()))
        } else if stats.full {
            Some("the journal's disk is full: make space, and it goes on by itself".to_owned())
        } else if busy.is_some_and(is_stalled) {
            Some("the disk does not answer: nothing is acknowledged until it does".to_owned())
        } else {
            None
        };
        let silent_ms =
            busy.filter(|busy| is_stalled(*busy)).map(|busy| busy.as_millis().try_into().unwrap_or(u64::MAX));
        PartHealth {
            part: "journal".to_owned(),
            healthy: problem.is_none(),
            problem,
            silent_ms,
            recently: None,
            replaced: 0,
        }
    }

    fn seal_health(&self) -> PartHealth {
        let lost = self.common.intake.journal.stats().sealing_lost;
        let problem =
            lost.then(|| "segments of the journal are sealed no more until the server is started again".to_owned());
        PartHealth { part: "seal".to_owned(), healthy: !lost, problem, silent_ms: None, recently: None, replaced: 0 }
    }

    /// From now on commands are sent for this observer. A second one is not heard.
    pub fn observe_commands(&self, observer: Arc<dyn CommandObserver>) {
        // The first one is still there.
        let _ = self.common.observer.set(observer);
    }

    /// What a device speaks that is here: by a connection over which commands can be sent, or by a datagram of late behind which
    /// they can. Requests are neither.
    pub fn speaks(&self, tenant: &str, device: &str) -> Option<&'static Protocol> {
        let connected = self.common.present.of(tenant, device).map(|handle| handle.protocol());
        connected.or_else(|| Some(self.common.reached.of(tenant, device, self.common.clock.monotonic())?.protocol()))
    }

    /// Sends a command to a device that is here, by its connection where it has one, else back to where its last datagram came from.
    /// What becomes of it, the observer hears; without one nothing is sent.
    pub fn command(&self, order: Order) {
        let Some(observer) = self.common.commands() else { return };
        if let Some(handle) = self.common.present.of(&order.tenant, &order.device) {
            return handle.command(Commission::new(order, observer.clone()));
        }
        let now = self.common.clock.monotonic();
        match self.common.reached.of(&order.tenant, &order.device, now) {
            Some(reach) => reach.command(Commission::new(order, observer.clone())),
            None => observer.became(order.ticket, Fate::Unsent(Unsent::Gone)),
        }
    }

    /// Ends the connections of some devices, and forgets them where they come by datagrams, because what they sent is to be erased: they
    /// must be kept out already. Returns how many connections have not ended yet: ask again. At none, nothing of theirs is on its
    /// way to the journal any more. `None`: a worker does not answer.
    pub fn end(&self, whose: &OfDevices) -> Option<usize> {
        let (left, told) = channel();
        let workers: Vec<worker::Handle> = self.common.workers().clone();
        for worker in &workers {
            worker.inbox.put(Job::End { whose: whose.clone(), left: left.clone() });
        }
        drop(left);
        let mut all = 0;
        for _ in &workers {
            match told.recv_timeout(END_MAX) {
                Ok(left) => all += left,
                // The others have ended, with all that they had.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return None,
            }
        }
        Some(all)
    }

    /// Opens one more door, while devices come by the others.
    pub fn open(&self, bound: Bound) -> DoorId {
        let id = {
            let _changing = lock(&self.changing);
            open(&self.common, bound)
        };
        lock(&self.accept).look();
        if let Err(error) = self.look_at_certificates() {
            tracing::error!(%error, "nobody looks whether certificates change: those that were read hold until the server is started again");
        }
        id
    }

    /// Closes a door. Nobody comes there any more; the connections that came there end, each after what is due has left, and so do the
    /// conversations by datagrams: what a device has no answer to is its own still, and it comes again elsewhere. Waits until the address
    /// is free, but not for long; says whether it is. The connections may take longer than that.
    pub fn close(&self, id: DoorId) -> bool {
        let closed = {
            let _changing = lock(&self.changing);
            self.common.doors.remove(id)
        };
        let Some(door) = closed else { return true };
        let listener = &door.bound.listener;
        // First: whoever was accepted at this moment is let go, wherever he is on his way.
        listener.close();
        lock(&self.accept).look();
        for worker in self.common.workers().iter() {
            worker.inbox.put(Job::Shut(listener.clone()));
        }
        let (clock, since) = (&*self.common.clock, self.common.clock.monotonic());
        while door.is_in_use() && clock.monotonic().saturating_sub(since) < CLOSE_MAX {
            std::thread::sleep(STOP_LOOK);
        }
        !door.is_in_use()
    }

    /// The socket of a door once more, for another listener there: whoever comes while one of them follows the other finds one of both.
    /// `None`: there is no such door.
    pub fn again(&self, id: DoorId) -> Option<io::Result<Given>> {
        self.common.doors.get(id).map(|door| door.again())
    }

    /// How many connections came by a door and are open. Datagrams are none.
    pub fn connections_at(&self, id: DoorId) -> Option<usize> {
        Some(self.common.doors.get(id)?.bound.listener.seats.taken())
    }

    /// Whether a listener whose door is open is such.
    pub fn is_bound(&self, is: impl Fn(&Listener) -> bool) -> bool {
        self.common.doors.any(is)
    }

    /// What takes in frames, for those who have some that no device sends now.
    pub fn intake(&self) -> &Intake {
        &self.common.intake
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.common.seats.taken()
    }

    /// The sockets on which devices arrive, each with its listener, for a server that is to follow this one: as long as one of
    /// the two has them, nobody is refused.
    pub fn sockets(&self) -> Vec<Bound> {
        self.common.doors.all().into_iter().map(|door| door.bound).collect()
    }

    /// Whether the journal's writer has ended, which it never does by itself: the process has to.
    pub fn journal_lost(&self) -> bool {
        lock(&self.committer).as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Stops: accepts nothing more, answers what is due, ends the connections, and closes the journal.
    pub fn stop(&self) -> Result<(), Fatal> {
        // First, or it would take what ends for what hangs, and give its work to another.
        *lock(&self.stopped.0) = true;
        self.stopped.1.notify_all();
        if let Some(watch) = lock(&self.watch).take() {
            // A panic there was logged when it happened.
            let _ = watch.join();
        }
        let clock = &*self.common.clock;
        let since = clock.monotonic();
        let late = || clock.monotonic().saturating_sub(since) >= self.common.limits.stop_max;
        // Whoever comes from now on waits in the kernel, and finds the next server where that was given the sockets.
        lock(&self.accept).retire();
        while !lock(&self.accept).has_ended() && !late() {
            std::thread::sleep(STOP_LOOK);
        }
        for worker in self.common.workers().iter() {
            worker.inbox.put(Job::Stop);
        }
        while !self.common.workers().iter().all(|worker| worker.ended.load(Ordering::Acquire)) && !late() {
            std::thread::sleep(STOP_LOOK);
        }
        let left = self.connections();
        if left > 0 {
            let value = format!("{:?}", self.common.limits.stop_max);
            tracing::warn!(
                connections = left,
                bound = "limits.stop_max",
                value,
                "the stop waits no longer: connections are cut off with answers that are due, and their devices send again"
            );
        }
        self.common.intake.journal.close();
        // Not by joining it at once: whoever asks for the health meanwhile looks at it, too.
        while lock(&self.committer).as_ref().is_some_and(|committer| !committer.is_finished()) {
            std::thread::sleep(STOP_LOOK);
        }
        let committer = lock(&self.committer).take();
        match committer.map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Ok(()),
        }
    }

    fn start_watch(self: Arc<Self>) -> io::Result<()> {
        let gateway = self.clone();
        let stopped = self.stopped.clone();
        let watch = std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            let mut known = Health { healthy: true, ready: true, parts: Vec::new() };
            loop {
                let over = lock(&stopped.0);
                let (over, _) = stopped.1.wait_timeout(over, WATCH).unwrap_or_else(PoisonError::into_inner);
                if *over {
                    return;
                }
                drop(over);
                known = gateway.watch(&known);
            }
        })?;
        *lock(&self.watch) = Some(watch);
        Ok(())
    }

    /// Looks at the certificates of all listeners until the stop, as soon as there is one that has some: on a thread of its own,
    /// because a disk may hang, and nobody waits for this.
    fn look_at_certificates(&self) -> io::Result<()> {
        if self.common.doors.certificates().is_empty() || self.looks.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (stopped, doors) = (self.stopped.clone(), self.common.doors.clone());
        let look = move || {
            loop {
                let over = lock(&stopped.0);
                let (over, _) = stopped.1.wait_timeout(over, CERTIFICATES_LOOK).unwrap_or_else(PoisonError::into_inner);
                if *over {
                    return;
                }
                drop(over);
                doors.certificates().iter().for_each(|tls| tls.look());
            }
        };
        let spawned = std::thread::Builder::new().name("certificates".to_owned()).spawn(look);
        if spawned.is_err() {
            self.looks.store(false, Ordering::Release);
        }
        spawned.map(drop)
    }

    /// Looks at all parts once, tells what changed, and replaces what hangs.
    fn watch(&self, known: &Health) -> Health {
        if let Some(pause) = self.common.rounds.look(self.common.clock.monotonic()) {
            let ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(ms, "the whole process stood still: nobody is taken to hang for that");
        }
        let health = self.health();
        for part in &health.parts {
            let before = known.parts.iter().find(|other| other.part == part.part).is_none_or(|other| other.healthy);
            if part.healthy == before {
                continue;
            }
            gauge!("odograph_stalled", "part" => part.part.clone()).set(if part.healthy { 0.0 } else { 1.0 });
            match &part.problem {
                Some(problem) => tracing::error!(part = part.part, silent_ms = part.silent_ms, "{problem}"),
                None => tracing::info!(part = part.part, "well again"),
            }
        }
        self.heal();
        self.common.cutoffs.sum_up(self.common.clock.monotonic());
        health
    }

    fn heal(&self) {
        let rounds = &self.common.rounds;
        let trouble = lock(&self.accept).trouble(rounds);
        if trouble.is_some() {
            self.replace_accept();
        }
        let count = self.common.workers().len();
        for number in 0..count {
            let trouble = self.common.workers()[number].trouble(rounds);
            if trouble.is_some() {
                self.replace_worker(number);
            }
        }
    }

    fn replace_accept(&self) {
        match accept::start(&self.common) {
            Ok(fresh) => {
                let old = std::mem::replace(&mut *lock(&self.accept), fresh);
                old.retire();
                lock(&self.replaced).accept.once_more(self.common.clock.monotonic());
                healed("accept".to_owned());
                tracing::error!("the accept loop hung or failed: replaced");
            }
            Err(error) => tracing::error!(%error, "cannot start another accept loop"),
        }
    }

    fn replace_worker(&self, number: usize) {
        let fresh = match worker::start(number, &self.common) {
            Ok(fresh) => fresh,
            Err(error) => return tracing::error!(%error, "cannot start another worker"),
        };
        let changing = lock(&self.changing);
        if let Some(wake) = lock(&self.common.wakes).get_mut(number) {
            *wake = fresh.wake.clone();
        }
        let old = std::mem::replace(&mut self.common.workers()[number], fresh.clone());
        old.retired.store(true, Ordering::Release);
        let ended = old.sockets.end_all(Close::Healed, &self.common);
        for door in self.common.doors.all().iter().filter(|door| door.worker == number) {
            door.udp().into_iter().for_each(|socket| {
                fresh.inbox.put(Job::Datagrams(socket.clone(), door.bound.listener.clone()));
            });
        }
        let waiting = old.inbox.close().into_iter().filter(|job| matches!(job, Job::Connection { .. }));
        waiting.for_each(|job| fresh.inbox.put(job));
        drop(changing);
        if let Some(count) = lock(&self.replaced).workers.get_mut(number) {
            count.once_more(self.common.clock.monotonic());
        }
        healed(format!("worker-{number}"));
        tracing::error!(
            worker = number,
            connections = ended,
            "a worker hung or failed: replaced, its devices have to come again"
        );
    }
}

/// Opens a door: whoever accepts finds it when they look, a worker takes its datagrams from now on.
fn open(common: &Common, bound: Bound) -> DoorId {
    let workers = common.workers();
    let door = common.doors.add(bound, workers.len());
    if let (Some(socket), Some(worker)) = (door.udp(), workers.get(door.worker)) {
        worker.inbox.put(Job::Datagrams(socket.clone(), door.bound.listener.clone()));
    }
    door.id
}

fn healed(part: String) {
    counter!("odograph_healed_total", "part" => part).increment(1);
}

fn part(name: &str, trouble: Option<Trouble>, replaced: Times, rounds: &Rounds, now: Duration) -> PartHealth {
    let problem = match trouble {
        Some(Trouble::Silent(_)) => Some("shows no life: its work is given to another"),
        Some(Trouble::Ended) => Some("has failed, as the log says: its work is given to another"),
        // Told until the watchdog has looked again, as its gauge is: what is replaced at once would never be seen otherwise.
        None if replaced.last.is_some_and(|last| rounds.is_of_this_round(last)) => {
            Some("hung or failed: its work was given to another just now")
        }
        None => None,
    };
    let silent_ms = match trouble {
        Some(Trouble::Silent(silence)) => Some(silence.as_millis().try_into().unwrap_or(u64::MAX)),
        _ => None,
    };
    PartHealth {
        part: name.to_owned(),
        healthy: problem.is_none(),
        problem: problem.map(str::to_owned),
        silent_ms,
        recently: replaced.told(now),
        replaced: replaced.count,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is whole at every moment, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a worker may take to answer: longer, and the watchdog gives its work to another one.
const END_MAX: Duration = Duration::from_secs(10);
/// How the names of those parts begin that the watchdog replaces.
const REPLACEABLE: [&str; 2] = ["accept", "worker-"];
/// Steps, as the log names them beside those of the lake.
const SEAL: &str = "seal";
const REMOVAL: &str = "segment removal";
