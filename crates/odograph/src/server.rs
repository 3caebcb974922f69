//! The server: everything that `odograph serve` puts together, runs, and ends in good order.

mod accountant;
pub(crate) mod auditor;
mod commander;
mod doors;
mod files;
mod fixed;
mod follower;
mod given;
mod keeper;
mod listeners;
mod logging;
mod porter;
mod recovery;
mod succession;

pub(crate) use accountant::Accountant;
pub(crate) use commander::Commander;
pub(crate) use doors::{check, http_tls, not_handed_over, tls_of};
pub(crate) use files::{Shares, connections, listeners as listener_files, raise};
pub(crate) use fixed::{Fixed, check as check_listener};
pub(crate) use follower::{Follower, known, state_of};
pub(crate) use keeper::Alarms;
pub(crate) use listeners::{Listen, has_ipv6, plan};
pub(crate) use porter::{Porter, Unopened};

use crate::backup::Home;
use crate::config::{Config, Loaded};
use crate::erase::{Erasing, Pending, Subject};
use crate::exit::{Failure, Status};
use crate::folder::{Folder, Lock};
use crate::history::{self, Historian, History, Place};
use crate::http::{App, Http, Public};
use crate::map;
use crate::replay::Current;
use anyhow::{Context as _, Result};
use doors::Doors;
use given::Sockets;
use keeper::Keeper;
use listeners::Planned;
use metrics_exporter_prometheus::PrometheusHandle;
use odograph_catalog::Listener;
use odograph_env::{Clock, LocalDisk, Rng as _, SystemClock, SystemRng};
use odograph_handover::{Inlet, ring};
use odograph_ingest::{Bell, Gateway, Intake, Limits, Parts, Roster};
use odograph_journal::{Committer, Journal, Options, Reader};
use odograph_live::Live;
use odograph_model::{Lsn, Time};
use std::sync::Arc;
use std::time::Duration;
use succession::{Offer, Outcome, Predecessor, Successor, Taken};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves until a signal ends it, another server takes its place, or the journal's disk fails.
pub(crate) fn serve(loaded: &Loaded, listen: &[Listen], take_over: bool) -> Result<()> {
    // Before there are other threads.
    let sockets = Sockets::of_service_manager();
    let log = logging::start(&loaded.config)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before anything else: a signal during the start must end it in good order as well.
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let begin = Begin { loaded, listen, open_files: files::raise(), log: &log, metrics: logging::start_metrics()? };
    let ground = if take_over { runtime.block_on(begin.follow(sockets, &mut signals)) } else { begin.stand(sockets) };
    let Some((mut ground, mut from)) = ground? else { return Ok(()) };
    // Once, unless a server that was to follow this one did not come to serve.
    loop {
        let server = match Server::start(&begin, ground) {
            Ok(server) => server,
            Err(error) => {
                if let Some(from) = from {
                    runtime.block_on(from.cannot(&error));
                }
                return Err(error);
            }
        };
        match runtime.block_on(server.run(from.take(), &mut signals))? {
            Some(again) => ground = again,
            None => return Ok(()),
        }
    }
}

/// What a server is started with, whoever had the folder before.
struct Begin<'a> {
    loaded: &'a Loaded,
    listen: &'a [Listen],
    open_files: usize,
    log: &'a logging::Log,
    metrics: PrometheusHandle,
}

/// What a server stands on: the data folder, which is its own, and the sockets.
struct Ground {
    folder: Folder,
    lock: Lock,
    doors: Doors,
}

impl Begin<'_> {
    /// Takes the data folder, and opens all sockets.
    fn stand(&self, sockets: Sockets) -> Result<Option<(Ground, Option<Predecessor>)>> {
        let config = &self.loaded.config;
        let folder = Folder::of(config);
        folder.create()?;
        let lock = folder.lock()?;
        let doors = Doors::open(self.loaded, self.plan(&folder), sockets)?;
        // Who comes meanwhile waits for the moment that it takes.
        history::rehearse();
        Ok(Some((Ground { folder, lock, doors }, None)))
    }

    /// Takes both from the server that has them. `None`: a signal ended this one before.
    async fn follow(&self, sockets: Sockets, signals: &mut Signals) -> Result<Option<(Ground, Option<Predecessor>)>> {
        let config = &self.loaded.config;
        doors::check(self.loaded)?;
        let folder = Folder::of(config);
        folder.create()?;
        folder.look(config)?;
        // While the server before serves.
        tokio::task::spawn_blocking(history::rehearse).await.context("history's rehearsal has ended")?;
        let open = |sockets| Doors::open(self.loaded, self.plan(&folder), sockets);
        let Taken { doors, lock, from } = tokio::select! {
            taken = succession::follow(&folder, sockets, open) => taken?,
            name = signals.next() => {
                tracing::info!(signal = name, "stopped before it took over: the server before goes on");
                return Ok(None);
            }
        };
        Ok(Some((Ground { folder, lock, doors }, from)))
    }

    /// The sockets to open, beside those of listeners that people made in the catalog.
    fn plan(&self, folder: &Folder) -> Vec<Planned> {
        let made = fixed::sockets(porter::file::read(folder));
        listeners::beside(plan(&self.loaded.config, self.listen), &made)
    }

    /// How many connections devices may have, and how many sockets listeners of the catalog.
    fn divided(&self, devices: &[doors::Door], made: &[Listener]) -> (usize, usize) {
        // Both transports of each.
        let made = made.iter().filter(|listener| listener.enabled).count() * 2;
        let sockets = files::listeners(self.open_files, devices.len(), made);
        let wanted = self.loaded.config.connections_max;
        let (connections, few) = files::connections(self.open_files, sockets, wanted);
        if let Some(few) = few {
            tracing::warn!("{few}");
        }
        (connections, sockets - devices.len())
    }
}

struct Server {
    gateway: Arc<Gateway>,
    http: Http,
    keeper: Keeper,
    historian: Historian,
    porter: Arc<Porter>,
    app: Arc<App>,
    /// Where a server asks that is to follow this one.
    successor: Option<std::os::unix::net::UnixListener>,
    /// Where devices arrive.
    planned: Vec<Planned>,
    patience: Patience,
    folder: Folder,
    lock: Lock,
}

/// How long others are waited for.
struct Patience {
    /// Devices, for their acknowledgements.
    stop_max: Duration,
    /// A server that takes this one's place.
    take_over_max: Duration,
}

/// A server that writes nothing any more.
struct Stopped {
    gateway: Arc<Gateway>,
    http: Public,
    planned: Vec<Planned>,
    folder: Folder,
    lock: Lock,
    /// Somebody wanted it to end.
    signalled: bool,
}

impl Server {
    fn start(begin: &Begin<'_>, ground: Ground) -> Result<Self> {
        let Begin { loaded, listen, open_files, metrics, .. } = begin;
        let Ground { folder, lock, doors } = ground;
        let config = &loaded.config;
        let made = porter::file::read(&folder);
        let (connections_max, sockets_max) = begin.divided(&doors.devices, &made);
        let limits = Limits { connections_max, ..config.limits.clone() };
        let patience = Patience { stop_max: limits.stop_max, take_over_max: config.take_over_max };
        describe();
        let (clock, bell): (Arc<dyn Clock>, _) = (Arc::new(SystemClock::new()), Arc::<Bell>::default());
        let (journal, committer) = open_journal(config, &folder, &bell, &clock)?;
        let reader = Reader::open(Arc::new(LocalDisk), &folder.journal(config.journal.node))?;
        let home = Home::new(loaded, clock.clone())?;
        let place = Place::new(config, &folder, reader.clone(), clock.clone())?;
        let erasing = place.erasing(config.journal.node, clock.clone(), home.removing.clone());
        // Before anyone reads it: what a kill left half erased cannot be read.
        let alarms = Arc::<Alarms>::default();
        let left = erase_left(&erasing, &alarms);
        let (roster, mark) = roster_of(&folder, config, &reader, &left)?;
        let planned = doors.planned();
        let Doors { devices, http, left: sockets } = doors;
        let bound = listeners::listen(devices, &roster)?;
        // Before anyone comes: whom the configuration announces now must not be taken for one that registered, later on.
        if let Err(error) = roster.save_mark(mark) {
            tracing::error!(%error, "cannot keep the devices that are known: tried again");
        }
        if bound.is_empty() && made.is_empty() {
            tracing::warn!("no device can come: there is no listener");
        }
        let http = http.bind(&folder)?;
        let successor = Some(bind_succession(&folder)?);
        let workers = config.ingest.workers.unwrap_or_else(cores);
        let (shared, history) = ((&bell, &clock, &alarms), (&home, &place));
        let parts = keeper_parts(begin, &folder, (&roster, mark), (&journal, &reader), shared, history);
        let live = Live::new(random(), odograph_live::Options::default());
        let place = place.held_by(home.hold.clone()).watched(live.clone(), &folder);
        let (inlet, outlet) = ring(HANDOVER_BYTES_MAX);
        let gateway = start_gateway(&journal, committer, &bell, &roster, inlet, clock.clone(), limits, workers, bound)?;
        let keeper = Keeper::start(parts).context("cannot start a thread")?;
        let fixed = Fixed::all(loaded, &planned, http.address());
        let (doors, is_limited) = ((gateway.clone(), roster.clone()), !listen.is_empty());
        let parts = porter::Parts { doors, folder: folder.clone(), fixed, left: sockets, sockets_max, is_limited };
        let porter = Porter::start(parts, made).context("cannot start a thread")?;
        let current = Current::new(config, listen).knowing(roster.clone());
        let history = Arc::new(History::new(current, config.journal.node, &place, clock.clone()));
        let historian =
            Historian::start(place, journal.clone(), outlet, history.clone()).context("cannot start a thread")?;
        let (metrics, map, doors) = (metrics.clone(), map::configured(&config.map), (gateway.clone(), porter.clone()));
        let app = App::new(doors, journal, reader, roster, history, live, metrics, alarms, home, erasing, map);
        let app = Arc::new(app);
        let http = http.serve(&app, config, &folder, files::shares(*open_files))?;
        tracing::info!(data = %folder.path().display(), open_files, connections_max, workers, "ready");
        Ok(Self { gateway, http, keeper, historian, porter, app, successor, planned, patience, folder, lock })
    }

    /// Serves. What it stands on comes back where a server was to follow this one and did not come to serve.
    async fn run(mut self, from: Option<Predecessor>, signals: &mut Signals) -> Result<Option<Ground>> {
        if let Some(from) = from {
            // Some time, so that a signal shows that came during the start.
            let signalled = tokio::time::timeout(SIGNAL_LOOK, signals.next()).await;
            if let Ok(name) = signalled {
                tracing::info!(signal = name, "stopping before it took over: the server before goes on");
                return self.close(Way::End, signals).await.map(|_| None);
            }
            from.serving().await;
        }
        let asking = self.successor.take().context("it runs once")?;
        let asking = tokio::net::UnixListener::from_std(asking)?;
        loop {
            let successor = match self.next(&asking, signals).await? {
                Next::Stop(name) => {
                    tracing::info!(signal = name, "stopping: a second signal ends it at once");
                    // Whoever asks now need not wait to know that it ends.
                    drop(asking);
                    self.close(Way::End, signals).await?;
                    tracing::info!("stopped");
                    return Ok(None);
                }
                Next::GiveWay(successor) => successor,
            };
            match successor.closing(self.patience.stop_max + succession::CLOSE_MAX).await {
                Ok(()) => {
                    drop(asking);
                    return self.close(Way::GiveWay, signals).await?.give_way(&successor, signals).await;
                }
                Err(error) => tracing::warn!(%error, "the other server has gone: this one goes on"),
            }
        }
    }

    /// Waits until something ends it.
    async fn next(&self, asking: &tokio::net::UnixListener, signals: &mut Signals) -> Result<Next> {
        let offer = Offer::of(&self.gateway, self.http.public(), &self.planned, self.patience.take_over_max);
        let mut asked = std::pin::pin!(succession::asked(asking, &offer));
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                name = signals.next() => return Ok(Next::Stop(name)),
                successor = &mut asked => return Ok(Next::GiveWay(successor)),
                _ = look.tick() => {
                    if self.gateway.journal_lost() {
                        return Err(lost());
                    }
                }
            }
        }
    }

    async fn close(self, way: Way, signals: &mut Signals) -> Result<Stopped> {
        self.app.stop();
        // Nobody else is to ask.
        let _ = std::fs::remove_file(self.folder.succession());
        let Self { gateway, http, keeper, historian, porter, app, planned, folder, lock, .. } = self;
        let mut stopping = tokio::task::spawn_blocking(move || {
            // First: what is open now is what the next server finds.
            porter.stop();
            let end = || {
                let stopped = gateway.stop();
                // Without the journal nothing more becomes durable, so now the devices' file can be complete.
                keeper.stop();
                stopped
            };
            let (stopped, http) = match way {
                Way::End => {
                    let stopped = end();
                    historian.stop();
                    app.end_erasing();
                    // Last, so that whoever asks how the server is hears that it stops.
                    (stopped, Ok(http.stop()))
                }
                Way::GiveWay => {
                    // First, because a table may be half written, and devices are served until it is whole.
                    historian.leave();
                    // Nobody may write what the other server has by then.
                    app.end_erasing();
                    tracing::info!(
                        "history is left to the other server: whoever comes waits in the kernel from now on"
                    );
                    std::thread::scope(|scope| {
                        let http = scope.spawn(|| http.stop());
                        (end(), http.join())
                    })
                }
            };
            drop(app);
            (stopped, gateway, http)
        });
        let mut signalled = way == Way::End;
        loop {
            tokio::select! {
                stopped = &mut stopping => {
                    let (stopped, gateway, http) = stopped?;
                    let http = http.map_err(|_| anyhow::anyhow!("the HTTP server did not stop"))?;
                    if let Err(fatal) = stopped {
                        tracing::error!(error = %fatal, "stopped without the journal");
                        return Err(lost());
                    }
                    return Ok(Stopped { gateway, http, planned, folder, lock, signalled });
                }
                name = signals.next() => {
                    if signalled {
                        tracing::warn!(signal = name, "ended at once");
                        // Not by returning: what is still being stopped would be waited for.
                        std::process::exit(Status::Problems as i32)
                    }
                    signalled = true;
                    tracing::info!(signal = name, "stopping: the other server goes on alone, a second signal ends this one at once");
                }
            }
        }
    }
}

/// What a running server comes to.
enum Next {
    Stop(&'static str),
    GiveWay(Successor),
}

/// Why it stops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Somebody wants it to end.
    End,
    /// Another server is to have its place.
    GiveWay,
}

impl Stopped {
    /// Gives the data folder to the other server. Where that does not serve, this one stands on it again.
    async fn give_way(self, successor: &Successor, signals: &mut Signals) -> Result<Option<Ground>> {
        if let Err(error) = successor.give(&self.lock).await {
            tracing::warn!(%error, "the other server did not take the data folder");
        }
        if self.signalled {
            tracing::info!("stopped");
            return Ok(None);
        }
        let outcome = tokio::select! {
            outcome = successor.serves() => outcome,
            name = signals.next() => {
                tracing::info!(signal = name, "stopped: the other server goes on alone");
                return Ok(None);
            }
        };
        match outcome {
            Outcome::Serves => {
                tracing::info!("stopped: another server serves in its place");
                Ok(None)
            }
            Outcome::Ended(why) => {
                tracing::error!(why, "the other server did not come to serve: this one goes on");
                self.folder.reclaim(&self.lock);
                self.ground().map(Some)
            }
            Outcome::Hangs(process) => {
                let what = format!(
                    "process {process} has the data folder and the sockets, and neither serves nor ends: look at its log, end \
                     it, and start again"
                );
                Err(Failure::new(Status::Temporary, what).into())
            }
        }
    }

    fn ground(self) -> Result<Ground> {
        let Self { gateway, http, planned, folder, lock, .. } = self;
        let doors = Doors::again(&gateway, planned, http).context("cannot keep the sockets")?;
        Ok(Ground { folder, lock, doors })
    }
}

/// The help texts of all metrics of this crate.
fn describe() {
    keeper::describe();
    history::describe();
    accountant::describe();
    auditor::describe();
    commander::describe();
    porter::describe();
    crate::http::describe();
    odograph_geocoder::describe();
}

fn bind_succession(folder: &Folder) -> Result<std::os::unix::net::UnixListener> {
    let path = folder.succession();
    let bound = crate::http::bind_unix(&path).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    let cannot = |error| Failure::new(Status::CannotCreate, format!("cannot make {}: {error}", path.display()));
    Ok(bound.map_err(cannot)?)
}

fn lost() -> anyhow::Error {
    let what =
        "the journal's disk failed, so nothing can be acknowledged: start again, and recovery decides what is there";
    Failure::new(Status::JournalLost, what).into()
}

/// Finishes the segment of each order that a kill left half overwritten. All else of the orders is done while the server runs and devices
/// are served, but those that are kept out: that may take long. Where orders cannot be read, nobody can be kept out for them: that is an alarm, and nothing
/// is erased before they can.
fn erase_left(erasing: &Erasing, alarms: &Alarms) -> Vec<Pending> {
    let pending = erasing.pending().unwrap_or_else(|error| {
        tracing::error!(
            "it cannot be read what was ordered to be erased: nobody is kept out, and nothing is erased: {error:#}"
        );
        alarms.set_erasures_unread();
        Vec::new()
    });
    for one in &pending {
        if let Err(error) = erasing.finish_begun(one) {
            tracing::error!(order = one.order, "an erasure that was ordered is not done yet: {error:#}");
        }
    }
    pending
}

/// The devices that are known, without those that are kept out; and up to which place of the journal these are all.
fn roster_of(folder: &Folder, config: &Config, reader: &Reader, left: &[Pending]) -> Result<(Arc<Roster>, Lsn)> {
    let (roster, mark) = folder.roster(config, Some(reader))?;
    // Before anyone comes.
    keep_out(left, &roster, mark)?;
    if !roster.damage().is_none() {
        tracing::warn!("{}", folder.damaged_devices(&roster));
    }
    Ok((Arc::new(roster), mark))
}

/// Keeps out whose data is being erased, and forgets what is known of them: nobody is to carry it into the catalog again.
fn keep_out(left: &[Pending], roster: &Roster, mark: Lsn) -> Result<()> {
    for Pending { subject: Subject { of, ids, .. }, .. } in left {
        roster.bar(&of.tenant, of.device.as_deref(), ids.iter().cloned());
        roster.erase(&of.tenant, of.device.as_deref(), mark).context("cannot keep the devices that are known")?;
    }
    Ok(())
}

fn open_journal(
    config: &Config,
    folder: &Folder,
    bell: &Arc<Bell>,
    clock: &Arc<dyn Clock>,
) -> Result<(Journal, Committer)> {
    let options = Options {
        node: config.journal.node,
        segment_bytes: config.journal.segment_bytes.0,
        segment_age: config.journal.segment_age,
        observer: bell.clone(),
        ..Options::default()
    };
    let reserve_bytes = options.reserve_bytes.min(options.segment_bytes);
    let options = Options { reserve_bytes, ..options };
    let path = folder.journal(config.journal.node);
    let (journal, committer, found) = Journal::open(&path, options, Arc::new(LocalDisk), clock.clone(), &SystemRng)
        .map_err(|error| recovery::cannot_open(&path, &error))?;
    recovery::report(&found);
    for node in folder.behind(config.journal.node) {
        tracing::error!(
            node,
            own = config.journal.node,
            "the journal of another node in this folder has what history has not: a server with that number (journal.node) reads it"
        );
    }
    Ok((journal, committer))
}

#[expect(clippy::too_many_arguments, reason = "they become the fields of one struct")]
fn start_gateway(
    journal: &Journal,
    committer: Committer,
    bell: &Arc<Bell>,
    roster: &Arc<Roster>,
    inlet: Inlet,
    clock: Arc<dyn Clock>,
    limits: Limits,
    workers: usize,
    bound: Vec<odograph_ingest::Bound>,
) -> Result<Arc<Gateway>> {
    let (journal, bell, devices) = (journal.clone(), bell.clone(), roster.clone());
    let handover = Some(inlet);
    let parts = Parts { journal, committer, bell, devices, handover, clock, limits, workers };
    Ok(Gateway::start(parts, bound)?)
}

/// What has to be done every now and then, and with what.
fn keeper_parts(
    begin: &Begin<'_>,
    folder: &Folder,
    (roster, mark): (&Arc<Roster>, Lsn),
    (journal, reader): (&Journal, &Reader),
    (bell, clock, alarms): (&Arc<Bell>, &Arc<dyn Clock>, &Arc<Alarms>),
    (home, place): (&Home, &Place),
) -> keeper::Parts {
    let config = &begin.loaded.config;
    let history = history::options(config);
    keeper::Parts {
        roster: roster.clone(),
        mark,
        journal: journal.clone(),
        reader: reader.clone(),
        folder: folder.journal(config.journal.node),
        budget: keeper::Parts::budget(config),
        segment_bytes: config.journal.segment_bytes.0,
        bell: bell.clone(),
        metrics: begin.metrics.clone(),
        dropped_lines: begin.log.dropped(),
        clock: clock.clone(),
        frames_kept: history.frames_kept(),
        retires: history.retires(),
        alarms: alarms.clone(),
        hold: home.hold.clone(),
        opened: place.opened(),
        removing: home.removing.clone(),
    }
}

/// Works on the journal and with the devices of a folder that this process has to itself. What is appended is durable in
/// the end, or it is an error.
pub(crate) fn with_intake<T>(
    config: &Config,
    folder: &Folder,
    work: impl FnOnce(&Roster, &Intake, Time) -> Result<T>,
) -> Result<T> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (journal, committer) = open_journal(config, folder, &Arc::<Bell>::default(), &clock)?;
    let reader = Reader::open(Arc::new(LocalDisk), &folder.journal(config.journal.node))?;
    let (roster, _) = folder.roster(config, Some(&reader))?;
    let roster = Arc::new(roster);
    let spawn = std::thread::Builder::new().name("journal".to_owned());
    let committer = spawn.spawn(move || committer.run()).context("cannot start a thread")?;
    let intake = Intake { journal: journal.clone(), devices: roster.clone(), handover: None };
    let done = work(&roster, &intake, Time(clock.now()));
    journal.close();
    match committer.join() {
        Ok(Ok(())) => {}
        Ok(Err(fatal)) => return Err(fatal.into()),
        Err(_) => return Err(lost()),
    }
    roster.save(journal.durable()).context("cannot keep the devices that are known")?;
    done
}

/// By which one run of the program is told from another.
fn random() -> u64 {
    let mut bytes = [0; 8];
    SystemRng.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let cannot = "cannot listen to signals";
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context(cannot)?,
            interrupt: signal(SignalKind::interrupt()).context(cannot)?,
            hangup: signal(SignalKind::hangup()).context(cannot)?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

/// Decoded frames on their way to history: a second or two of a busy machine, which covers most commits to tables. What
/// does not fit is decoded again from the journal.
const HANDOVER_BYTES_MAX: u64 = 64 << 20;
/// How often we look whether the journal still has its writer.
const LOOK: Duration = Duration::from_millis(100);
/// How long a signal may take to show.
const SIGNAL_LOOK: Duration = Duration::from_millis(5);
