//! The server: everything that `odograph serve` puts together, runs, and ends in good order.

mod accountant;
mod files;
mod follower;
mod given;
mod keeper;
mod listeners;
mod logging;
mod recovery;
mod succession;

pub(crate) use accountant::Accountant;
pub(crate) use files::{Shares, connections};
pub(crate) use follower::{Follower, state_of};
pub(crate) use keeper::Alarms;
pub(crate) use listeners::{Listen, has_ipv6, plan};

use crate::config::{Config, Loaded};
use crate::exit::{Failure, Status};
use crate::folder::{Folder, Lock};
use crate::history::{self, Historian, History, Place};
use crate::http::{App, Http};
use crate::replay::Current;
use anyhow::{Context as _, Result};
use given::Sockets;
use keeper::Keeper;
use odograph_env::{Clock, LocalDisk, Rng as _, SystemClock, SystemRng};
use odograph_handover::{Inlet, ring};
use odograph_ingest::{Bell, Gateway, Intake, Limits, Parts};
use odograph_journal::{Committer, Journal, Options, Reader};
use odograph_live::Live;
use odograph_model::Time;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves until a signal ends it, or the journal's disk fails.
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
    let server = Server::start(loaded, listen, sockets, take_over, &log)?;
    runtime.block_on(server.run(&mut signals))
}

struct Server {
    gateway: Arc<Gateway>,
    http: Http,
    keeper: Keeper,
    historian: Historian,
    app: Arc<App>,
    /// Where a server asks that is to follow this one.
    successor: std::os::unix::net::UnixListener,
    folder: Folder,
    _lock: Lock,
}

impl Server {
    fn start(
        loaded: &Loaded,
        listen: &[Listen],
        mut sockets: Sockets,
        take_over: bool,
        log: &logging::Log,
    ) -> Result<Self> {
        let config = &loaded.config;
        let folder = Folder::of(config);
        folder.create()?;
        let open_files = files::raise();
        let lock = if take_over {
            succession::follow(&folder, &mut sockets, config.limits.stop_max)?
        } else {
            folder.lock()?
        };
        let mut limits = config.limits.clone();
        let planned = plan(config, listen);
        let (connections_max, few) = files::connections(open_files, planned.len(), config.connections_max);
        limits.connections_max = connections_max;
        if let Some(few) = few {
            tracing::warn!("{few}");
        }
        let metrics = logging::start_metrics()?;
        describe();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let bell = Arc::<Bell>::default();
        let (journal, committer) = open_journal(config, &folder, &bell, &clock)?;
        let reader = Reader::open(Arc::new(LocalDisk), &folder.journal(config.journal.node))?;
        let (roster, mark) = folder.roster(config, Some(&reader))?;
        let roster = Arc::new(roster);
        if !roster.damage().is_none() {
            tracing::warn!("{}", folder.damaged_devices(&roster));
        }
        let bound = listeners::open(planned, sockets, &roster)?;
        // Before anyone comes: whom the configuration announces now must not be taken for one that registered, later on.
        if let Err(error) = roster.save_mark(mark) {
            tracing::error!(%error, "cannot keep the devices that are known: tried again");
        }
        if bound.is_empty() {
            tracing::warn!("no device can come: there is no listener");
        }
        let http = Http::bind(config.http.listen, loaded.is_set("http.listen"), &folder)?;
        let successor = bind_succession(&folder)?;
        let workers = config.ingest.workers.unwrap_or_else(cores);
        let alarms = Arc::<Alarms>::default();
        let parts = keeper::Parts {
            roster: roster.clone(),
            mark,
            journal: journal.clone(),
            reader: reader.clone(),
            folder: folder.journal(config.journal.node),
            budget: keeper::Parts::budget(config),
            bell: bell.clone(),
            metrics: metrics.clone(),
            dropped_lines: log.dropped(),
            clock: clock.clone(),
            frames_kept: history::options(config).frames_kept(),
            alarms: alarms.clone(),
        };
        let live = Live::new(random(), odograph_live::Options::default());
        let place = Place::new(config, &folder, reader.clone(), clock.clone())?.watched(live.clone(), &folder);
        let (inlet, outlet) = ring(HANDOVER_BYTES_MAX);
        let gateway = start_gateway(&journal, committer, &bell, &roster, inlet, clock.clone(), limits, workers, bound)?;
        let keeper = Keeper::start(parts).context("cannot start a thread")?;
        let (current, metering) = (Current::new(config, listen), place.metering().clone());
        let history = Arc::new(History::new(current, config.journal.node, metering, clock.clone()));
        let historian =
            Historian::start(place, journal.clone(), outlet, history.clone()).context("cannot start a thread")?;
        let app = Arc::new(App::new(gateway.clone(), journal, reader, roster, history, live, metrics, alarms));
        let http = http.serve(&app, config, &folder, files::shares(open_files))?;
        tracing::info!(data = %folder.path().display(), open_files, connections_max, workers, "ready");
        Ok(Self { gateway, http, keeper, historian, app, successor, folder, _lock: lock })
    }

    async fn run(self, signals: &mut Signals) -> Result<()> {
        let mut look = tokio::time::interval(LOOK);
        let successor = tokio::net::UnixListener::from_std(self.successor.try_clone()?)?;
        loop {
            tokio::select! {
                name = signals.next() => {
                    tracing::info!(signal = name, "stopping: a second signal ends it at once");
                    return self.stop(signals).await;
                }
                asking = successor.accept() => match asking {
                    Ok((stream, _)) => {
                        if self.give_way(stream).await {
                            tracing::info!("stopping: another server has the sockets");
                            return self.stop(signals).await;
                        }
                    }
                    // No file is free, most likely. It waits.
                    Err(_) => tokio::time::sleep(LOOK).await,
                },
                _ = look.tick() => {
                    if self.gateway.journal_lost() {
                        return Err(lost());
                    }
                }
            }
        }
    }

    /// Gives the sockets to a server that is to follow. `false`: it did not come to that, and this one goes on.
    async fn give_way(&self, stream: tokio::net::UnixStream) -> bool {
        let gateway = self.gateway.clone();
        let given = tokio::task::spawn_blocking(move || succession::give(&stream.into_std()?, &gateway)).await;
        match given.map_err(std::io::Error::other).flatten() {
            Ok(given) => given,
            Err(error) => {
                tracing::warn!(%error, "another server was to follow, and did not take the sockets");
                false
            }
        }
    }

    async fn stop(self, signals: &mut Signals) -> Result<()> {
        self.app.stop();
        // Nobody else is to ask.
        let _ = std::fs::remove_file(self.folder.succession());
        let stopping = tokio::task::spawn_blocking(move || {
            let stopped = self.gateway.stop();
            // Without the journal nothing more becomes durable, so now the devices' file can be complete.
            self.keeper.stop();
            self.historian.stop();
            self.http.stop();
            stopped
        });
        tokio::select! {
            stopped = stopping => match stopped? {
                Ok(()) => {
                    tracing::info!("stopped");
                    Ok(())
                }
                Err(fatal) => {
                    tracing::error!(error = %fatal, "stopped without the journal");
                    Err(lost())
                }
            },
            name = signals.next() => {
                tracing::warn!(signal = name, "ended at once");
                // Not by returning: what is still being stopped would be waited for.
                std::process::exit(Status::Problems as i32)
            }
        }
    }
}

/// The help texts of all metrics of this crate.
fn describe() {
    keeper::describe();
    history::describe();
    accountant::describe();
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
    Ok((journal, committer))
}

#[expect(clippy::too_many_arguments, reason = "they become the fields of one struct")]
fn start_gateway(
    journal: &Journal,
    committer: Committer,
    bell: &Arc<Bell>,
    roster: &Arc<odograph_ingest::Roster>,
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

/// Works on the journal and with the devices of a folder that this process has to itself. What is appended is durable in
/// the end, or it is an error.
pub(crate) fn with_intake<T>(
    config: &Config,
    folder: &Folder,
    work: impl FnOnce(&odograph_ingest::Roster, &Intake, Time) -> Result<T>,
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
