//! The lake beside a journal: filled by a thread of the server, or by a command that has the folder to itself.

mod ask;
mod course;
mod erase;
mod lacks;
mod live;
mod metering;
mod noted;
mod tables;
mod waits;

pub(crate) use ask::Own;
pub(crate) use course::Stuck;
pub(crate) use lacks::{Lack, Lacks};
pub(crate) use metering::Metering;
pub(crate) use tables::row;
pub(crate) use waits::Waits;

use crate::config::Config;
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use crate::replay::Current;
use anyhow::{Context as _, Result, anyhow};
use course::Course;
use erase::{Aside, SetAside};
use lacks::Why;
use live::{Saving, Watch};
use metrics::{counter, gauge};
use noted::Noted;
use odograph_env::{Clock, LocalDisk, Rng as _, SystemClock, SystemRng};
use odograph_handover::Outlet;
use odograph_journal::{CursorStore, Journal, Reader};
use odograph_lake::{Answer, BrokenTable, Grace, Hold, Keep, Lake, Limits, Options, Owner, Requests, Unread, Writer};
use odograph_live::Live;
use odograph_model::{Lsn, Time};
use odograph_pipeline::{FrameCounts, PipelineError, Places, Window};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
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
    /// What is noted of the tables.
    reach: PathBuf,
    /// What they lack.
    lacks: Arc<Lacks>,
    /// Where there is what devices sent while they waited.
    waits: Arc<Waits>,
    lake: odograph_lake::Place,
    clock: Arc<dyn Clock>,
    options: Options,
    window: Window,
    watch: Option<Watch>,
    metering: Metering,
    /// Whether it was said that all tables are gone.
    told: Arc<AtomicBool>,
    /// Whether it was opened.
    opened: Arc<AtomicBool>,
}

impl Place {
    pub(crate) fn new(config: &Config, folder: &Folder, reader: Reader, clock: Arc<dyn Clock>) -> Result<Self> {
        let lake = lake(config, folder)?;
        // Without its key, a journal cannot be told from another one.
        let lake = match reader.public_key() {
            Ok(key) => lake
                .telling_of_questions(|asked| odograph_allocator::give_back_at_once(!asked))
                .owned_by(Owner { writer: random(), journal: id(&key) }),
            Err(_) => lake,
        };
        let options = options(config);
        let (told, opened) = (Arc::default(), Arc::default());
        let (journal, reach) = (folder.journal(config.journal.node), folder.reach(config.journal.node));
        let lacks = Arc::new(Lacks::open(Arc::new(LocalDisk), folder.lacks(config.journal.node)));
        let waits = Arc::new(Waits::new(Arc::new(LocalDisk), folder.waits(config.journal.node)));
        let metering = Metering::new(folder.usage(config.journal.node));
        let window = config.clock.window();
        let watch = None;
        Ok(Self { reader, journal, reach, lacks, waits, lake, clock, options, window, watch, metering, told, opened })
    }

    /// Where there is what devices sent while they waited.
    pub(crate) const fn waits(&self) -> &Arc<Waits> {
        &self.waits
    }

    /// Whether it was opened since the process began, and the journal's cursors are those of its tables.
    pub(crate) fn opened(&self) -> Arc<AtomicBool> {
        self.opened.clone()
    }

    /// The same, telling what comes to `live`.
    pub(crate) fn watched(mut self, live: Live, folder: &Folder) -> Self {
        self.watch = Some(Watch::new(live, folder.live()));
        self
    }

    /// The same, deleting nothing while this holds.
    pub(crate) fn held_by(mut self, hold: Hold) -> Self {
        self.options.hold = hold;
        self
    }

    /// Fills the lake with all that the journal holds, and keeps it open. The folder must be this process's own.
    pub(crate) fn own(&self) -> Result<Own> {
        let (pipeline, cursors) = self.filled()?;
        Ok(Own::new(pipeline, cursors))
    }

    /// Fills the lake with all that the journal holds, and gives it, with the number of places of the journal that are damaged or that
    /// it lacks. The folder must be this process's own.
    pub(crate) fn fill(&self) -> Result<(Lake, u64)> {
        let (pipeline, _) = self.filled()?;
        Ok((pipeline.tables().lake(), damaged(&self.lacks.all(), &pipeline)))
    }

    fn filled(&self) -> Result<(Pipeline, CursorStore)> {
        let (mut pipeline, cursors) = self.open()?;
        loop {
            let is_all = pipeline.read(None)?;
            self.note(&mut pipeline)?;
            if is_all {
                return Ok((pipeline, cursors));
            }
            pipeline.flush(false)?;
        }
    }

    /// Keeps what was passed over, before the tables can have anything behind it.
    fn note(&self, pipeline: &mut Pipeline) -> Result<()> {
        let lack = |why| move |of: Range<Lsn>| Lack { begin: of.start.0, end: of.end.0, why };
        let (damaged, removed) = (pipeline.take_passed(), pipeline.take_removed());
        let frames = removed.clone().into_iter().map(lack(Why::Frames));
        let records = removed.into_iter().map(lack(Why::Removed));
        self.lacks.add(damaged.into_iter().map(lack(Why::Damaged)).chain(records).chain(frames))
    }

    /// Notes what went before the tables had it, which had what was before `from`.
    fn note_removed(&self, from: Places, removed: Lsn) -> Result<()> {
        let both = [(from.records, Why::Removed), (from.frames, Why::Frames)];
        self.lacks.add(both.map(|(begin, why)| Lack { begin: begin.0, end: removed.0, why }))
    }

    fn open(&self) -> Result<(Pipeline, CursorStore)> {
        let mut cursors = CursorStore::open(Arc::new(LocalDisk), &self.journal)?;
        let (records, frames) = (cursors.cursor(RECORDS), cursors.cursor(FRAMES));
        let mut from = Places { records: records.unwrap_or_default(), frames: frames.unwrap_or_default() };
        let mut writer = Writer::open_at(self.lake.clone(), self.clock.clone(), self.options.clone())?;
        // What went before somebody began anew is nobody's loss by that: a cursor before it would say so at the next start.
        let removed = self.reader.removed()?;
        let kept = |at: Lsn| Some(at.max(removed));
        if records.is_none() || frames.is_none() {
            // Before a segment is complete: what has no cursor holds nothing back.
            cursors.set([(RECORDS, kept(from.records)), (FRAMES, kept(from.frames))])?;
        }
        // Without cursors, nobody knows what it had.
        if records.is_some() && frames.is_some() && !writer.is_empty() {
            self.note_removed(from, removed)?;
        }
        if from.least() > Lsn::default() && writer.is_empty() {
            let (until, still) = (from.least(), self.reader.oldest()?.unwrap_or_default());
            // From here on, nothing goes from the journal that is not in the new tables.
            from = Places::default();
            cursors.set([(RECORDS, kept(from.records)), (FRAMES, kept(from.frames))])?;
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    lake = ?self.lake, %until, %still,
                    "history is lost: the journal up to this place was in tables, and there are none. What the journal still has is read \
                     again; all before that has to come from a backup: stop the server and put the tables back"
                );
            }
        }
        let noted = Noted::open(Arc::new(LocalDisk), self.reach.clone());
        let behind = noted.behind(&writer);
        if !behind.is_empty() {
            let oldest = self.reader.oldest()?;
            // A server tells it everybody who looks; a command would be the only one to know.
            anyhow::ensure!(self.watch.is_some() || !noted::is_lost(&behind, oldest), INCOMPLETE);
            from = noted::back(from, &behind);
            // What goes from the journal after this is in the tables; what went before is told.
            cursors.set([(RECORDS, kept(from.records)), (FRAMES, kept(from.frames))])?;
            noted::tell(&writer, &behind, oldest);
        }
        noted.keep(&writer);
        self.opened.store(true, Ordering::Release);
        self.metering.open(from.least())?;
        self.waits.open(from.least().max(removed), Time(self.clock.now()));
        writer.before_commits(self.metering.before_commits());
        let (watch, metering, waits) = (self.watch.clone(), self.metering.clone(), self.waits.clone());
        let tables = Tables { writer, watch, metering, waits, noted };
        Ok((Pipeline::open(&self.reader, tables, from, self.window)?, cursors))
    }
}

const INCOMPLETE: &str = "a table of history has less than it had: somebody put an older copy in its place, and the journal does not have \
    all of the rest any more. Put the newest copy of the table back; or start the server, which reads what the journal still has, \
    and says in its log and in /healthz what is missing";

/// The lake's place: in the data folder, or where the configuration says.
pub(crate) fn lake(config: &Config, folder: &Folder) -> Result<odograph_lake::Place> {
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
    history: Arc<History>,
    thread: JoinHandle<()>,
}

/// Something to be done by the thread that fills the lake, between two of its turns. After an error it begins again.
type Job = Box<dyn FnOnce(&mut Pipeline, &mut CursorStore) -> Result<()> + Send>;

/// History, as far as it has come.
pub(crate) struct History {
    state: Mutex<State>,
    moved: Condvar,
    /// What a replay decodes with.
    current: Arc<Current>,
    node: u16,
    metering: Metering,
    waits: Arc<Waits>,
    /// The way to the thread, until it is to end.
    jobs: Mutex<Option<SyncSender<Job>>>,
    /// What waits when the thread ends is left to another process.
    leaving: AtomicBool,
    /// What is to be done while history is closed.
    aside: Arc<Mutex<Option<Aside>>>,
    clock: Arc<dyn Clock>,
    /// What was said of tables that cannot be opened.
    told_broken: Mutex<BTreeMap<&'static str, usize>>,
}

struct State {
    lake: Option<Lake>,
    read: Lsn,
    /// Places where the journal was damaged, or gone.
    damaged: u64,
    /// What it lacks of it.
    lacks: Vec<Lack>,
    course: Course,
}

impl History {
    pub(crate) fn new(current: Current, node: u16, place: &Place, clock: Arc<dyn Clock>) -> Self {
        let (metering, waits) = (place.metering.clone(), place.waits.clone());
        let course = Course::begun(clock.monotonic());
        let state = Mutex::new(State { lake: None, read: Lsn::default(), damaged: 0, lacks: Vec::new(), course });
        let (moved, jobs, leaving) = (Condvar::new(), Mutex::default(), AtomicBool::new(false));
        let (current, aside, told_broken) = (Arc::new(current), Arc::default(), Mutex::default());
        Self { state, moved, current, node, metering, waits, jobs, leaving, aside, clock, told_broken }
    }

    /// Whether it has not got on for long, although the journal has something before `durable` that it lacks.
    pub(crate) fn stuck(&self, durable: Lsn) -> Option<Stuck> {
        let state = self.state.lock().expect("nobody panics holding it");
        state.course.stuck(state.read < durable, self.clock.monotonic())
    }

    /// Files of history that were found damaged since it was opened.
    pub(crate) fn damaged_files(&self) -> Vec<Unread> {
        self.lake().map(|lake| lake.damaged_files()).unwrap_or_default()
    }

    /// Stretches of the journal that it lacks.
    pub(crate) fn lacks(&self) -> Vec<Lack> {
        self.state.lock().expect("nobody panics holding it").lacks.clone()
    }

    /// Tables that lack what the journal does not have any more.
    pub(crate) fn incomplete_tables(&self) -> Vec<BrokenTable> {
        self.lake().map(|lake| lake.incomplete_tables()).unwrap_or_default()
    }

    /// Tables that cannot be opened.
    pub(crate) fn broken_tables(&self) -> Vec<BrokenTable> {
        self.lake().map(|lake| lake.broken_tables()).unwrap_or_default()
    }

    /// How many these are of each kind, also of kinds of which there were some when this was asked before. Whose they are is not for
    /// everyone who may read numbers.
    pub(crate) fn measured_broken(&self) -> BTreeMap<&'static str, usize> {
        let mut told = self.told_broken.lock().expect("nobody panics holding it");
        told.values_mut().for_each(|count| *count = 0);
        self.broken_tables().into_iter().for_each(|broken| *told.entry(broken.table).or_default() += 1);
        told.clone()
    }

    /// The node whose journal fills it.
    pub(crate) const fn node(&self) -> u16 {
        self.node
    }

    /// How far devices' clocks may be from ours.
    pub(crate) fn window(&self) -> Window {
        self.current.window
    }

    /// How much tenants use, as it is counted on the way into history.
    pub(crate) const fn metering(&self) -> &Metering {
        &self.metering
    }

    /// Where there is what devices sent while they waited, in what history has read.
    pub(crate) const fn waits(&self) -> &Arc<Waits> {
        &self.waits
    }

    /// History as far as it has come; nothing before it was opened.
    pub(crate) fn lake(&self) -> Option<Lake> {
        self.state.lock().expect("nobody panics holding it").lake.clone()
    }

    /// What the configuration says of settings.
    pub(crate) const fn current(&self) -> &Arc<Current> {
        &self.current
    }

    /// Waits as [`reach`](Self::reach) does, but for as long as history gets on and it `is_wanted`: a backlog may take many
    /// minutes, and nobody is better off without what it is waited for.
    pub(crate) fn reach_while_it_gets_on(&self, until: Lsn, is_wanted: impl Fn() -> bool) -> Result<(Lake, u64)> {
        let begun = self.clock.monotonic();
        loop {
            match self.reach(until, REACHED_LOOK) {
                Err(_) if is_wanted() && self.is_worth_waiting(begun) => {}
                reached => return reached,
            }
        }
    }

    fn is_worth_waiting(&self, begun: Duration) -> bool {
        let now = self.clock.monotonic();
        self.state.lock().expect("nobody panics holding it").course.is_worth_waiting(begun, now)
    }

    /// Runs a query that sees everything in the journal before `until`. Given up where it is no longer wanted when its turn comes.
    pub(crate) fn query(
        &self,
        tenant: &str,
        sql: &str,
        limits: Limits,
        until: Lsn,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Answer> {
        let (lake, _) = self.reach_while(until, limits.time, &is_wanted)?;
        anyhow::ensure!(is_wanted(), "nobody waits for the answer any more");
        Ok(lake.query(tenant, sql, limits)?)
    }

    /// Waits as [`reach`](Self::reach) does, but no longer than it `is_wanted`.
    fn reach_while(&self, until: Lsn, time: Duration, is_wanted: impl Fn() -> bool) -> Result<(Lake, u64)> {
        let mut left = time;
        loop {
            let part = left.min(WANTED_LOOK);
            left = left.saturating_sub(part);
            match self.reach(until, part) {
                Err(_) if !left.is_zero() && is_wanted() && !self.is_held_up() => {}
                reached => return reached,
            }
        }
    }

    /// Whether whoever waits would be told at once that it does not go on.
    fn is_held_up(&self) -> bool {
        let now = self.clock.monotonic();
        let state = self.state.lock().expect("nobody panics holding it");
        state.course.problem().is_some() || state.course.stuck(true, now).is_some()
    }

    /// Waits, at most for `time`, until the lake has everything in the journal before `until`, and gives it, with the
    /// number of places of the journal that are damaged or that it lacks. Where history is stuck, nobody is kept waiting.
    pub(crate) fn reach(&self, until: Lsn, time: Duration) -> Result<(Lake, u64)> {
        let state = self.state.lock().expect("nobody panics holding it");
        if state.read < until
            && let Some(Stuck { seconds, reason }) = state.course.stuck(true, self.clock.monotonic())
        {
            let lag = until.0 - state.read.0;
            anyhow::bail!("history is {lag} bytes of the journal behind, and has not got on for {seconds} s: {reason}");
        }
        let behind =
            |state: &mut State| state.course.problem().is_none() && (state.lake.is_none() || state.read < until);
        let (state, _) = self.moved.wait_timeout_while(state, time, behind).expect("nobody panics holding it");
        let lag = until.0.saturating_sub(state.read.0);
        let Some(lake) = state.lake.clone().filter(|_| lag == 0) else {
            let why = state.course.problem().unwrap_or("there is more to read than could be read meanwhile");
            anyhow::bail!("history is {lag} bytes of the journal behind: {why}");
        };
        Ok((lake, state.damaged))
    }

    fn publish(&self, lake: Option<Lake>, pipeline: &Pipeline, lacks: Vec<Lack>, durable: Lsn) {
        let (progress, nothing_waits) = (pipeline.progress(), !pipeline.tables().writer.has_waiting());
        let mut state = self.state.lock().expect("nobody panics holding it");
        (state.read, state.damaged, state.lacks) = (progress.read, damaged(&lacks, pipeline), lacks);
        state.course.moved(progress, nothing_waits, durable, self.clock.monotonic());
        if lake.is_some() {
            state.lake = lake;
        }
        drop(state);
        self.moved.notify_all();
    }
}

impl History {
    fn stopped(&self, problem: String) {
        self.state.lock().expect("nobody panics holding it").course.stopped(problem);
        self.moved.notify_all();
    }
}

impl Historian {
    pub(crate) fn start(place: Place, journal: Journal, outlet: Outlet, history: Arc<History>) -> io::Result<Self> {
        let (sender, jobs) = sync_channel(JOBS_MAX);
        *history.jobs.lock().expect("nobody panics holding it") = Some(sender);
        let run = Run { place, journal, history: history.clone(), jobs };
        let run = move || {
            odograph_env::yield_to_others();
            run.run(outlet);
        };
        let thread = std::thread::Builder::new().name("pipeline".to_owned()).spawn(run)?;
        Ok(Self { history, thread })
    }

    /// Ends without making files of what waits: whoever has the folder next reads it from the journal again. The journal may go on.
    pub(crate) fn leave(self) {
        self.history.leaving.store(true, Ordering::Release);
        self.stop();
    }

    /// Makes files of all that waits, and ends. The journal must take nothing more.
    pub(crate) fn stop(self) {
        *self.history.jobs.lock().expect("nobody panics holding it") = None;
        // A panic there was logged when it happened.
        let _ = self.thread.join();
    }
}

struct Run {
    place: Place,
    journal: Journal,
    history: Arc<History>,
    jobs: Receiver<Job>,
}

/// What comes of some work. A panic in it is an error like others: the journal has all that it was about.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref().map(String::as_str)).unwrap_or_default();
        Err(anyhow!("the program has a flaw, please report it: {}", text.lines().next().unwrap_or_default()))
    })
}

/// Does in memory once what history does with a record, so that no device waits beside it later. What goes wrong is told: it will again
/// when history begins, and devices are served all the same.
pub(crate) fn rehearse() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    if let Err(error) = caught(|| Ok(odograph_lake::rehearse(&clock)?)) {
        tracing::error!("history cannot be written even in memory: {error:#}");
    }
}

/// Why a wait ended.
enum Woken {
    Time,
    Job(Job),
    End,
}

impl Run {
    /// Begins again after whatever goes wrong: the journal has it all. Not where that would do harm.
    fn run(&self, mut outlet: Outlet) {
        let mut pause = AGAIN;
        loop {
            let begun = self.place.clock.monotonic();
            let Err(error) = caught(|| self.fill(&mut outlet)) else { return };
            if error.downcast_ref::<SetAside>().is_some() {
                self.history.do_aside();
                continue;
            }
            self.history.stopped(format!("{error:#}"));
            if error.chain().filter_map(|error| error.downcast_ref()).any(odograph_lake::Error::is_final) {
                tracing::error!("history does not go on; devices are served, and the journal keeps all: {error:#}");
                gauge!("odograph_pipeline_refused").set(1.0);
                // Until the server ends. Whoever waits for a job learns that history does not go on.
                while self.jobs.recv().is_ok() {}
                return;
            }
            tracing::error!("history cannot go on, and begins again in {} s: {error:#}", pause.as_secs());
            counter!("odograph_pipeline_restarts_total").increment(1);
            // A job that comes now is dropped: whoever waits for it learns that history does not go on.
            if matches!(self.wait(pause), Woken::End) {
                return;
            }
            let lasted = self.place.clock.monotonic().saturating_sub(begun);
            pause = if lasted > AGAIN_MAX * 2 { AGAIN } else { (pause * 2).min(AGAIN_MAX) };
        }
    }

    /// Fills until the end of the server.
    fn fill(&self, outlet: &mut Outlet) -> Result<()> {
        let (mut pipeline, mut cursors) = self.place.open()?;
        let lake = pipeline.tables().lake();
        self.place.watch.iter().for_each(|watch| watch.restore(&lake));
        let mut saving = Saving::begun(self.place.clock.monotonic());
        self.history.publish(Some(lake), &pipeline, self.place.lacks.all(), self.journal.durable());
        let (mut saved, mut save_at, mut ending) = (pipeline.progress().committed, Duration::ZERO, None);
        let (mut caught_up, mut flushed) = (false, true);
        loop {
            let durable = self.journal.durable();
            // With rows that cannot become files, reading on would only fill the memory.
            if flushed {
                let before = pipeline.progress().frames;
                caught_up = pipeline.read_live(durable, outlet)?;
                self.place.note(&mut pipeline)?;
                self.place.watch.iter().filter(|_| caught_up).for_each(Watch::complete);
                // Before anyone is told: whoever knows that it was read finds what waits in the numbers.
                self.measure(&pipeline, durable);
                self.history.publish(None, &pipeline, self.place.lacks.all(), durable);
                measure_handover(before, pipeline.progress().frames, outlet);
            }
            flushed = self.flush(&mut pipeline, false)?;
            let progress = pipeline.progress();
            self.measure(&pipeline, durable);
            let now = self.place.clock.monotonic();
            gauge!("odograph_lake_oldest_row_seconds").set(pipeline.tables().writer.waits_longest(now).as_secs_f64());
            if saved != progress.committed && now >= save_at {
                save(&pipeline, &mut cursors)?;
                (saved, save_at) = (progress.committed, now + SAVE);
            }
            if let Some(watch) = self.place.watch.as_ref().filter(|_| saving.is_due(now)) {
                watch.save();
            }
            let pause = match (caught_up, flushed) {
                (true, true) => LOOK,
                (false, true) => Duration::ZERO,
                (_, false) => AGAIN,
            };
            let woken = self.wait(pause);
            if let Woken::Job(job) = woken {
                job(&mut pipeline, &mut cursors)?;
            } else if let Woken::End = woken {
                let last = *ending.get_or_insert(now + ENDING);
                let all_read = caught_up && self.journal.durable() == progress.read;
                let leaving = self.history.leaving.load(Ordering::Acquire);
                if all_read || !flushed || now >= last || leaving {
                    if !leaving {
                        self.flush(&mut pipeline, true)?;
                    }
                    save(&pipeline, &mut cursors)?;
                    self.place.watch.iter().for_each(Watch::save);
                    return Ok(());
                }
                // Nobody's wish ends the wait any more, so that it did not last.
                std::thread::sleep(pause);
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
        gauge!("odograph_history_lacks").set(self.place.lacks.all().len() as f64);
        gauge!("odograph_pipeline_lag_bytes").set(durable.0.saturating_sub(progress.read.0) as f64);
        gauge!("odograph_pipeline_uncommitted_bytes")
            .set(progress.read.0.saturating_sub(progress.committed.records.0) as f64);
        let frames = progress.read.0.saturating_sub(progress.committed.frames.0);
        gauge!("odograph_pipeline_uncommitted_frames_bytes").set(frames as f64);
        counter!("odograph_pipeline_records_total").absolute(progress.records);
        counter!("odograph_pipeline_duplicates_total").absolute(progress.duplicates);
        counter!("odograph_pipeline_unsure_records_total").absolute(progress.unsure);
        counter!("odograph_lake_commits_total").absolute(progress.commits);
    }

    fn wait(&self, pause: Duration) -> Woken {
        match self.jobs.recv_timeout(pause) {
            Ok(job) => Woken::Job(job),
            Err(RecvTimeoutError::Timeout) => Woken::Time,
            Err(RecvTimeoutError::Disconnected) => Woken::End,
        }
    }
}

fn save(pipeline: &Pipeline, cursors: &mut CursorStore) -> Result<()> {
    let (read, done) = (pipeline.progress().read, pipeline.progress().committed);
    // What is before the cursors is not read again.
    pipeline.tables().metering.keep(read)?;
    pipeline.tables().waits.keep(read)?;
    pipeline.tables().noted.keep(&pipeline.tables().writer);
    Ok(cursors.set([(RECORDS, Some(done.records)), (FRAMES, Some(done.frames))])?)
}

/// How many places are told as damaged: what history lacks, or what it met in this life, some of which it has.
fn damaged(lacks: &[Lack], pipeline: &Pipeline) -> u64 {
    pipeline.progress().damaged.max(lacks.iter().filter(|lack| lack.is_of_records()).count() as u64)
}

/// What the configuration says of the lake.
pub(crate) fn options(config: &Config) -> Options {
    let lake = &config.lake;
    let days = |days: Option<usize>| days.map(|days| u32::try_from(days).unwrap_or(u32::MAX));
    let keep = Keep {
        records: days(lake.keep_records_days),
        frames: days(lake.keep_frames_days),
        events: days(lake.keep_events_days),
    };
    let keep_of = config.tenants.iter().filter_map(|tenant| {
        let own = Keep {
            records: days(tenant.keep_records_days).or(keep.records),
            frames: days(tenant.keep_frames_days).or(keep.frames),
            events: days(tenant.keep_events_days).or(keep.events),
        };
        Some((tenant.name.as_ref()?.0.clone(), own))
    });
    Options {
        node: config.journal.node,
        flush_rows: lake.flush_rows,
        flush_bytes: usize::try_from(lake.flush_bytes.0).unwrap_or(usize::MAX),
        in_time_flush: lake.flush_after,
        late_flush: lake.late_flush_after,
        frames_flush: lake.frames_flush_after,
        keep,
        keep_of: keep_of.collect(),
        grace: Grace { files: lake.removed_files_after, log: lake.log_entries_after },
        care_every: lake.maintain_every,
        ..Options::default()
    }
}

/// Counts what was read since `before`.
fn measure_handover(before: FrameCounts, now: FrameCounts, outlet: &Outlet) {
    let (live, redecoded) = (now.live - before.live, now.redecoded - before.redecoded);
    counter!("odograph_pipeline_live_frames_total").increment(live);
    counter!("odograph_pipeline_redecoded_frames_total").increment(redecoded);
    if live + redecoded > 0 {
        gauge!("odograph_pipeline_redecoding").set(if redecoded > live { 1.0 } else { 0.0 });
    }
    gauge!("odograph_handover_bytes").set(outlet.bytes() as f64);
    counter!("odograph_handover_dropped_frames_total").absolute(outlet.dropped());
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
    describe_gauge!(
        "odograph_pipeline_uncommitted_frames_bytes",
        Unit::Bytes,
        "Bytes of the journal that were read and are not all in files as they are yet."
    );
    describe_gauge!(
        "odograph_lake_oldest_row_seconds",
        Unit::Seconds,
        "How long the record has waited that has waited longest to become part of a file."
    );
    describe_counter!(
        "odograph_pipeline_live_frames_total",
        "Frames that history took as they were decoded when they came."
    );
    describe_counter!("odograph_pipeline_redecoded_frames_total", "Frames that were decoded again for history.");
    describe_gauge!(
        "odograph_pipeline_redecoding",
        "1 while most frames are decoded again for history: after a start, or because it is too far behind."
    );
    describe_gauge!("odograph_handover_bytes", Unit::Bytes, "Memory taken by decoded frames on their way to history.");
    describe_counter!(
        "odograph_handover_dropped_frames_total",
        "Decoded frames that found no room on the way to history, and are decoded again from the journal."
    );
    describe_counter!("odograph_pipeline_records_total", "Records that went to history, each once.");
    describe_counter!("odograph_pipeline_duplicates_total", "Records that were in history before.");
    describe_counter!(
        "odograph_pipeline_unsure_records_total",
        "Records that went to history as new ones although a file that may have them is damaged."
    );
    describe_counter!(
        "odograph_pipeline_unread_files_total",
        "Times that a damaged file was met when a device's day was looked up."
    );
    describe_counter!("odograph_pipeline_restarts_total", "Times that filling history began again after an error.");
    describe_gauge!(
        "odograph_pipeline_stuck",
        "1: history has not got on for two minutes although there is something to read; `/readyz` says why."
    );
    describe_gauge!(
        "odograph_lake_broken_tables",
        "Tables that cannot be opened, by kind: what comes for them waits in the journal; `/healthz` says whose and why to whoever may know."
    );
    describe_gauge!(
        "odograph_history_lacks",
        "Stretches of the journal that history lacks, because they were damaged, or gone, when it came to them; the log names them."
    );
    describe_gauge!(
        "odograph_lake_damaged_files",
        "Files of history that were found damaged since the start; `/healthz` names some to whoever may know."
    );
    describe_gauge!("odograph_pipeline_refused", "1: history waits for a person, as the log says.");
    describe_counter!("odograph_lake_requests_total", "Requests to the object store, by kind.");
    describe_counter!("odograph_lake_commits_total", "Commits to tables of history.");
}

/// The journal's cursor of the tables of records.
pub(crate) const RECORDS: &str = "lake.records";
/// The journal's cursor of the tables of frames.
pub(crate) const FRAMES: &str = "lake.frames";
/// The cursors only say what the journal may give up, and where to begin again: they need not be exact.
const SAVE: Duration = Duration::from_secs(1);
/// How soon a record can be seen after it is durable.
const LOOK: Duration = Duration::from_millis(20);
/// So long it reads on when the server stops; what is not read then is read at the next start.
const ENDING: Duration = Duration::from_secs(5);
/// There is one replay at a time.
const JOBS_MAX: usize = 1;
/// How often whoever waits for history looks whether that is still wanted.
const REACHED_LOOK: Duration = Duration::from_secs(1);
/// The same, where a seat is kept meanwhile that others wait for.
const WANTED_LOOK: Duration = Duration::from_millis(250);
/// Long enough not to fill the log; twice as long each time, up to the greatest.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MAX: Duration = Duration::from_secs(16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_one_line() {
        assert_eq!(caught(|| Ok(1)).ok(), Some(1));
        let range = "Range length must match buffer length\nnote: more";
        let error = caught::<()>(|| panic!("{range}")).expect_err("an error");
        let expected = "the program has a flaw, please report it: Range length must match buffer length";
        assert_eq!(format!("{error:#}"), expected);
    }
}
