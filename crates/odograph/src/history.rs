//! The lake beside a journal: filled by a thread of the server, or by a command that has the folder to itself.

mod tables;

use crate::config::Config;
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use anyhow::{Context as _, Result};
use metrics::{counter, gauge};
use odograph_env::{Clock, LocalDisk, Rng as _, SystemRng};
use odograph_journal::{CursorStore, Journal, Reader};
use odograph_lake::{Answer, Lake, Limits, Options, Owner, Requests, Writer};
use odograph_model::Lsn;
use odograph_pipeline::{PipelineError, Progress};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tables::Tables;

type Pipeline = odograph_pipeline::Pipeline<Tables>;

/// What a pipeline is opened with.
#[derive(Clone)]
pub(crate) struct Place {
    reader: Reader,
    journal: PathBuf,
    lake: odograph_lake::Place,
    clock: Arc<dyn Clock>,
    options: Options,
}

impl Place {
    pub(crate) fn new(config: &Config, folder: &Folder, reader: Reader, clock: Arc<dyn Clock>) -> Result<Self> {
        let lake = lake(config, folder)?;
        // Without its key, a journal cannot be told from another one.
        let lake = match reader.public_key() {
            Ok(key) => lake.owned_by(Owner { writer: random(), journal: id(&key) }),
            Err(_) => lake,
        };
        let (in_time_flush, late_flush) = (config.lake.flush_after, config.lake.late_flush_after);
        let options =
            Options { node: config.journal.node, flush_rows: config.lake.flush_rows, in_time_flush, late_flush };
        Ok(Self { reader, journal: folder.journal(config.journal.node), lake, clock, options })
    }

    fn open(&self) -> Result<(Pipeline, CursorStore)> {
        let mut cursors = CursorStore::open(Arc::new(LocalDisk), &self.journal)?;
        if cursors.cursor(FRAMES).is_none() {
            cursors.set([(FRAMES, Some(Lsn(0)))])?;
        }
        let from = cursors.cursor(RECORDS).unwrap_or_default();
        let writer = Writer::open_at(self.lake.clone(), self.clock.clone(), self.options)?;
        Ok((Pipeline::open(&self.reader, Tables(writer), from)?, cursors))
    }

    /// Fills the lake with all that the journal holds, and gives it. The folder must be this process's own.
    pub(crate) fn fill(&self) -> Result<Lake> {
        let (mut pipeline, _) = self.open()?;
        while !pipeline.read(None)? {
            pipeline.flush(false)?;
        }
        Ok(pipeline.tables().lake())
    }
}

/// The lake's place: in the data folder, or where the configuration says.
fn lake(config: &Config, folder: &Folder) -> Result<odograph_lake::Place> {
    if let Some(store) = config.lake.remote() {
        let place = odograph_lake::Place::remote(&store);
        return Ok(place.map_err(|error| Failure::new(Status::Config, error.to_string()))?);
    }
    let path = std::path::absolute(folder.path()).context("cannot tell where the data folder is")?.join("lake");
    Ok(odograph_lake::Place::folder(Arc::new(LocalDisk), &path))
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    SystemRng.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Of a journal: a part of its public key, which no two have in common.
fn id(key: &[u8; 32]) -> u64 {
    key.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
}

/// The thread that fills the lake while devices send.
pub(crate) struct Historian {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// History, as far as it has come.
#[derive(Default)]
pub(crate) struct History {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    lake: Option<Lake>,
    read: Lsn,
    /// Why it does not go on.
    problem: Option<String>,
}

impl History {
    /// Runs a query that sees everything in the journal before `until`.
    pub(crate) fn query(&self, tenant: &str, sql: &str, limits: Limits, until: Lsn) -> Result<Answer> {
        let state = self.state.lock().expect("nobody panics holding it");
        let behind = |state: &mut State| state.problem.is_none() && (state.lake.is_none() || state.read < until);
        let (state, _) = self.moved.wait_timeout_while(state, limits.time, behind).expect("nobody panics holding it");
        let lag = until.0.saturating_sub(state.read.0);
        let Some(lake) = state.lake.clone().filter(|_| lag == 0) else {
            let why = state.problem.as_deref().unwrap_or("there is more to read than could be read meanwhile");
            anyhow::bail!("history is {lag} bytes of the journal behind: {why}");
        };
        drop(state);
        Ok(lake.query(tenant, sql, limits)?)
    }

    fn publish(&self, lake: Option<Lake>, progress: Progress) {
        let mut state = self.state.lock().expect("nobody panics holding it");
        state.read = progress.read;
        state.problem = None;
        if lake.is_some() {
            state.lake = lake;
        }
        drop(state);
        self.moved.notify_all();
    }
}

impl History {
    fn stopped(&self, problem: String) {
        self.state.lock().expect("nobody panics holding it").problem = Some(problem);
        self.moved.notify_all();
    }
}

impl Historian {
    pub(crate) fn start(place: Place, journal: Journal, history: Arc<History>) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let run = move || {
            odograph_env::yield_to_others();
            Run { place, journal, history, stopped }.run();
        };
        let thread = std::thread::Builder::new().name("pipeline".to_owned()).spawn(run)?;
        Ok(Self { stop, thread })
    }

    /// Makes files of all that waits, and ends. The journal must take nothing more.
    pub(crate) fn stop(self) {
        drop(self.stop);
        // A panic there was logged when it happened.
        let _ = self.thread.join();
    }
}

struct Run {
    place: Place,
    journal: Journal,
    history: Arc<History>,
    stopped: Receiver<()>,
}

impl Run {
    /// Begins again after whatever goes wrong: the journal has it all. Not where that would do harm.
    fn run(&self) {
        let mut pause = AGAIN;
        loop {
            let begun = self.place.clock.monotonic();
            let Err(error) = self.fill() else { return };
            self.history.stopped(format!("{error:#}"));
            if error.chain().filter_map(|error| error.downcast_ref()).any(odograph_lake::Error::is_final) {
                tracing::error!("history does not go on; devices are served, and the journal keeps all: {error:#}");
                gauge!("odograph_pipeline_refused").set(1.0);
                // Until the server ends.
                let _ = self.stopped.recv();
                return;
            }
            tracing::error!("history cannot go on, and begins again in {} s: {error:#}", pause.as_secs());
            counter!("odograph_pipeline_restarts_total").increment(1);
            if self.waits(pause) {
                return;
            }
            let lasted = self.place.clock.monotonic().saturating_sub(begun);
            pause = if lasted > AGAIN_MAX * 2 { AGAIN } else { (pause * 2).min(AGAIN_MAX) };
        }
    }

    /// Fills until the end of the server.
    fn fill(&self) -> Result<()> {
        let (mut pipeline, mut cursors) = self.place.open()?;
        self.history.publish(Some(pipeline.tables().lake()), pipeline.progress());
        let (mut saved, mut ending) = (None, None);
        let (mut caught_up, mut flushed) = (false, true);
        loop {
            let durable = self.journal.durable();
            // With rows that cannot become files, reading on would only fill the memory.
            if flushed {
                caught_up = pipeline.read(Some(durable))?;
                self.history.publish(None, pipeline.progress());
            }
            flushed = self.flush(&mut pipeline, false)?;
            let progress = pipeline.progress();
            self.measure(&pipeline, durable);
            if saved != Some(progress.committed) {
                cursors.set([(RECORDS, Some(progress.committed))])?;
                saved = Some(progress.committed);
            }
            let pause = match (caught_up, flushed) {
                (true, true) => LOOK,
                (false, true) => Duration::ZERO,
                (_, false) => AGAIN,
            };
            if self.waits(pause) {
                let now = self.place.clock.monotonic();
                let last = *ending.get_or_insert(now + ENDING);
                let all_read = caught_up && self.journal.durable() == progress.read;
                if all_read || !flushed || now >= last {
                    self.flush(&mut pipeline, true)?;
                    cursors.set([(RECORDS, Some(pipeline.progress().committed))])?;
                    return Ok(());
                }
            }
        }
    }

    /// Whether what was due became files. A full disk or an object store is waited for; after anything else nobody knows
    /// what is there, and it begins again.
    fn flush(&self, pipeline: &mut Pipeline, all: bool) -> Result<bool> {
        match pipeline.flush(all) {
            Ok(()) => Ok(true),
            Err(PipelineError::Tables(error)) if error.is_waited_for() => {
                let why = if error.is_disk_full() { "the disk is full".to_owned() } else { error.to_string() };
                tracing::warn!("records wait in memory and in the journal to become files: {why}");
                self.history.stopped(why);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn measure(&self, pipeline: &Pipeline, durable: Lsn) {
        let progress = pipeline.progress();
        if let Some(requests) = pipeline.tables().lake().requests() {
            let Requests { puts, gets, lists, deletes } = requests;
            for (kind, count) in [("put", puts), ("get", gets), ("list", lists), ("delete", deletes)] {
                counter!("odograph_lake_requests_total", "kind" => kind).absolute(count);
            }
        }
        gauge!("odograph_pipeline_lag_bytes").set(durable.0.saturating_sub(progress.read.0) as f64);
        gauge!("odograph_pipeline_uncommitted_bytes").set(progress.read.0.saturating_sub(progress.committed.0) as f64);
        counter!("odograph_pipeline_records_total").absolute(progress.records);
        counter!("odograph_pipeline_duplicates_total").absolute(progress.duplicates);
        counter!("odograph_lake_commits_total").absolute(progress.commits);
    }

    /// Waits; whether it is time to end.
    fn waits(&self, pause: Duration) -> bool {
        self.stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout)
    }
}

/// The help texts of the metrics here.
pub(crate) fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge};
    describe_gauge!("odograph_pipeline_lag_bytes", Unit::Bytes, "Bytes of the journal that history has not read yet.");
    describe_gauge!(
        "odograph_pipeline_uncommitted_bytes",
        Unit::Bytes,
        "Bytes of the journal that were read and whose records are not all in files yet."
    );
    describe_counter!("odograph_pipeline_records_total", "Records that went to history, each once.");
    describe_counter!("odograph_pipeline_duplicates_total", "Records that were in history before.");
    describe_counter!("odograph_pipeline_restarts_total", "Times that filling history began again after an error.");
    describe_gauge!("odograph_pipeline_refused", "1: history waits for a person, as the log says.");
    describe_counter!("odograph_lake_requests_total", "Requests to the object store, by kind.");
    describe_counter!("odograph_lake_commits_total", "Commits to tables of history.");
}

/// The journal's cursor of the tables of records.
const RECORDS: &str = "lake.records";
/// The journal's cursor of the tables of frames, which are not there yet: until they are, the journal keeps everything.
const FRAMES: &str = "lake.frames";
/// How soon a record can be seen after it is durable.
const LOOK: Duration = Duration::from_millis(20);
/// So long it reads on when the server stops; what is not read then is read at the next start.
const ENDING: Duration = Duration::from_secs(5);
/// Long enough not to fill the log; twice as long each time, up to the greatest.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MAX: Duration = Duration::from_secs(16);
