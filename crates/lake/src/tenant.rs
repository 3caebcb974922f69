//! One table of a tenant: its files and what waits to become files, seen as one.

use crate::buffer::{Buffer, First, Waits};
use crate::lake::Latest;
use crate::latest::{self, Checkpoint, Devices, Renewed, SHARDS, Summary};
use crate::rows::{Row, day_of};
use crate::source::Files;
use crate::underway::{self, Underway};
use crate::{Error, columns, table::Table};
use compact_str::CompactString;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use odograph_model::{Lsn, Record, RecordId, Time};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

/// A tenant's records of one kind go to files at a time of their own, with a cursor of their own.
///
/// Which one a record belongs to follows from the record alone, so that reading the journal again from the lesser
/// cursor puts each where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Records of the day on which they were received.
    InTime,
    /// All others: they go to files of many days, which costs more, so more of them are gathered.
    Late,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::InTime, Self::Late];

    /// The one that a record belongs to.
    pub fn of(row: &Row<'_>) -> Self {
        if row.day() == day_of(row.received) { Self::InTime } else { Self::Late }
    }
}

/// The name of a table's stream in the table's log.
pub(crate) fn application(node: u16, stream: &str) -> String {
    format!("odograph/{node}/{stream}")
}

/// What queries see of a table, and what the writer adds to.
pub(crate) struct Shelf<B: Waits> {
    state: Mutex<State<B>>,
}

impl<B: Waits> std::fmt::Debug for Shelf<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

struct State<B: Waits> {
    files: Arc<Version>,
    /// What is known of the rows in files.
    summary: B::Summary,
    /// Up to where other nodes' rows go that came since somebody asked; `None`: all rows may be theirs.
    others: Option<B::Summary>,
    saved: Saved,
    /// Earlier files that somebody may still read.
    before: Vec<Weak<Version>>,
    /// What waits, by stream.
    buffers: Vec<B>,
    /// Rows on their way into files, by stream, with the place in the journal that is reached with them.
    leaving: Vec<Option<(B, Lsn)>>,
}

/// What was saved of a summary.
#[derive(Default)]
struct Saved {
    /// The table's version that it stands for; 0 where that is not known.
    version: u64,
    /// When that was; not known before the first look.
    at: Option<Time>,
}

/// The files of a table at one version.
pub(crate) struct Version {
    files: Arc<Files>,
    /// Their columns.
    schema: SchemaRef,
    number: u64,
}

/// A table at one moment.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) files: Arc<Files>,
    /// The columns of the files.
    pub(crate) schema: SchemaRef,
    /// Rows besides the files.
    pub(crate) hot: Vec<RecordBatch>,
    /// As long as somebody has it, none of the files is deleted.
    pub(crate) held: Arc<Version>,
}

/// What became of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// A stream's rows that were on their way are in files. `now`: by our commit; else by one that was made before.
    Rows { stream: usize, now: bool },
    /// The same rows are in other files, by our commit.
    Same,
    /// Anything: other rows, or somebody else's commits.
    Other,
}

impl Version {
    fn of(table: &Table) -> Result<Arc<Self>, Error> {
        let (files, schema) = (table.provider()?, table.schema().clone());
        Ok(Arc::new(Self { files, schema, number: table.version() }))
    }
}

impl View {
    fn new(held: Arc<Version>, hot: Vec<RecordBatch>) -> Self {
        Self { files: held.files.clone(), schema: held.schema.clone(), hot, held }
    }
}

impl<B: Waits> Shelf<B> {
    pub(crate) async fn new(table: &Table) -> Result<Self, Error> {
        let (files, summary) = (Version::of(table)?, B::Summary::open(table).await?);
        let buffers = B::STREAMS.iter().map(|_| B::default()).collect();
        let leaving = B::STREAMS.iter().map(|_| None).collect();
        let (saved, before, others) = (Saved::default(), Vec::new(), None);
        table.place().have_come.store(true, Ordering::Release);
        Ok(Self { state: Mutex::new(State { files, summary, others, saved, before, buffers, leaving }) })
    }

    /// Changes what waits of a stream.
    pub(crate) fn add<T>(&self, stream: usize, add: impl FnOnce(&mut B) -> T) -> T {
        add(&mut self.lock().buffers[stream])
    }

    /// What waits of a stream, without what is on its way: how many rows, how many bytes, and what waits longest.
    pub(crate) fn waiting(&self, stream: usize) -> (usize, usize, Option<First>) {
        let state = self.lock();
        let buffer = &state.buffers[stream];
        (buffer.count(), buffer.bytes(), buffer.first())
    }

    /// How much memory everything takes that is not in files yet.
    pub(crate) fn bytes(&self) -> usize {
        let state = self.lock();
        let leaving = state.leaving.iter().flatten().map(|(rows, _)| rows);
        state.buffers.iter().chain(leaving).map(Waits::bytes).sum()
    }

    /// The place in the journal of the first row that is not in files yet.
    pub(crate) fn first_place(&self) -> Option<Lsn> {
        self.least(|first| first.place)
    }

    /// Since when the row waits, by the monotonic clock, that waits longest to be in a file.
    pub(crate) fn waiting_since(&self) -> Option<Duration> {
        self.least(|first| first.since)
    }

    fn least<T: Ord>(&self, of: impl Fn(First) -> T) -> Option<T> {
        let state = self.lock();
        let leaving = state.leaving.iter().flatten().map(|(rows, _)| rows);
        state.buffers.iter().chain(leaving).filter_map(Waits::first).map(of).min()
    }

    /// Everything at this moment, each row once.
    pub(crate) fn view(&self) -> Result<View, Error> {
        let mut state = self.lock();
        let State { files, buffers, leaving, .. } = &mut *state;
        let mut hot = Vec::new();
        for rows in leaving.iter_mut().flatten().map(|(rows, _)| rows).chain(buffers) {
            for batch in rows.batches()? {
                hot.push(columns::renamed(batch, &files.schema)?);
            }
        }
        Ok(View::new(files.clone(), hot))
    }

    /// What is in files at this moment, without what waits.
    pub(crate) fn files(&self) -> View {
        View::new(self.lock().files.clone(), Vec::new())
    }

    /// Takes a stream's rows on their way, with which `until` is reached in the journal. What is on its way since an
    /// earlier attempt goes first. Returns whether anything is.
    pub(crate) fn leave(&self, stream: usize, until: Lsn) -> bool {
        let mut state = self.lock();
        if state.leaving[stream].is_none() && state.buffers[stream].count() > 0 {
            state.leaving[stream] = Some((std::mem::take(&mut state.buffers[stream]), until));
        }
        state.leaving[stream].is_some()
    }

    /// Whether rows of a stream are on their way.
    pub(crate) fn is_leaving(&self, stream: usize) -> bool {
        self.lock().leaving[stream].is_some()
    }

    /// A stream's rows that are on their way, and the place in the journal that is reached with them.
    pub(crate) fn leaving(&self, stream: usize) -> Result<Option<(Vec<RecordBatch>, Lsn)>, Error> {
        let mut state = self.lock();
        let leaving = state.leaving[stream].as_mut();
        leaving.map(|(rows, until)| Ok((rows.batches()?, *until))).transpose()
    }

    /// Shows the table as it is now.
    pub(crate) async fn publish(&self, table: &Table, came: Came) -> Result<(), Error> {
        let files = Version::of(table)?;
        let (before, known) = {
            let state = self.lock();
            let (before, own) = (state.files.number, matches!(came, Came::Rows { now: true, .. } | Came::Same));
            // Of a commit of our own, everything is known. Otherwise the log and the files tell what came.
            let is_known = files.number == before || own && files.number == before + 1;
            (before, (!is_known).then(|| state.summary.clone()))
        };
        let renewed = match known {
            Some(summary) => Some(summary.renewed(table, before).await?),
            None => None,
        };
        let mut state = self.lock();
        let is_new = renewed.is_none() && files.number != before;
        if let Some(Renewed { all, others }) = renewed {
            state.summary = all;
            state.others = state.others.take().zip(others).map(|(mut known, others)| {
                known.merge(others);
                known
            });
            table.place().have_come.store(true, Ordering::Release);
        }
        let before = Arc::downgrade(&std::mem::replace(&mut state.files, files));
        state.before.push(before);
        state.before.retain(|files| files.strong_count() > 0);
        if let Came::Rows { stream, .. } = came
            && let Some((rows, _)) = state.leaving[stream].take()
            && is_new
        {
            state.summary.merge(rows.into_summary());
        }
        Ok(())
    }

    /// Rows of these devices are not there any more that were there twice.
    pub(crate) fn uncount(&self, twice: &HashMap<CompactString, u64>) {
        self.lock().summary.uncount(twice);
    }

    /// Saves what is known of the rows in files, if that is due: after so many commits, or so long after the last time, or
    /// at once. What fails is only told: a start takes longer then.
    pub(crate) async fn save(&self, table: &Table, now: Time, at_once: bool) {
        let version = {
            let mut state = self.lock();
            let (version, saved) = (state.files.number, &mut state.saved);
            let waited = now.0.abs_diff(saved.at.get_or_insert(now).0);
            let is_due = at_once || version >= saved.version + SAVE_COMMITS || waited >= SAVE_AFTER_MS;
            if !B::Summary::IS_SAVED || version == saved.version || !is_due {
                return;
            }
            *saved = Saved { version, at: Some(now) };
            version
        };
        let _underway = Underway::begin(underway::SAVE, table.name());
        let mut checkpoint = Checkpoint::new(version);
        // Only whoever saves moves rows into files: in between, nothing of this changes.
        for shard in 0..SHARDS {
            self.lock().summary.save(&mut checkpoint, shard);
        }
        if let Err(error) = latest::save(&*table.store(), checkpoint).await {
            self.lock().saved.version = 0;
            tracing::warn!("the latest records of {} are not saved: {error}", table.name());
        }
    }

    /// The oldest version of the table that somebody reads.
    pub(crate) fn oldest_version(&self) -> u64 {
        let state = self.lock();
        let read = state.before.iter().filter_map(|files| Some(files.upgrade()?.number));
        read.fold(state.files.number, u64::min)
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().expect("nobody panics while holding a table's lock")
    }
}

impl Shelf<Buffer> {
    pub(crate) fn push(&self, row: &Row<'_>, place: Lsn, now: Duration) -> Result<(), Error> {
        self.add(Stream::of(row) as usize, |buffer| buffer.push(row, place, now))
    }

    /// The ids of a device's rows that are in no file yet: of a day, or else those under a wrong clock. Others may be among
    /// them.
    pub(crate) fn hot_ids(&self, device: &str, day: Option<i32>) -> Vec<RecordId> {
        let state = self.lock();
        let leaving = state.leaving.iter().flatten().map(|(rows, _)| rows);
        state.buffers.iter().chain(leaving).flat_map(|buffer| buffer.ids(device, day)).copied().collect()
    }

    /// Shows what is known of devices, in parts: see [`latest::each`].
    pub(crate) fn devices(&self, show: impl FnOnce(&[&Devices])) {
        let state = self.lock();
        let leaving = state.leaving.iter().flatten().map(|(rows, _)| rows);
        let waiting = state.buffers.iter().chain(leaving).map(Waits::summary);
        show(&std::iter::once(&state.summary).chain(waiting).collect::<Vec<_>>());
    }

    /// A device's latest record.
    pub(crate) fn latest_record(&self, device: &str) -> Option<Record> {
        let mut found = None;
        self.devices(|parts| found = latest::latest_record(parts, device));
        found
    }

    /// Up to where there are records of devices in files that other nodes committed since this was asked last.
    pub(crate) fn of_others(&self, tenant: &str) -> Vec<Latest> {
        let mut state = self.lock();
        match state.others.replace(Devices::default()) {
            Some(others) => others.known(tenant).collect(),
            None => state.summary.known(tenant).collect(),
        }
    }

    /// Up to where there are records of each device in files.
    pub(crate) fn known(&self, tenant: &str, wanted: impl Fn(&str) -> bool) -> Vec<Latest> {
        self.lock().summary.known(tenant).filter(|latest| wanted(&latest.device)).collect()
    }
}

/// All columns of batches, behind those of `schema`.
pub(crate) fn grown(schema: &SchemaRef, batches: &[RecordBatch]) -> SchemaRef {
    batches.iter().fold(schema.clone(), |schema, batch| columns::merged(&schema, &batch.schema()))
}

/// A start reads the files of so many commits at most, besides what was saved.
const SAVE_COMMITS: u64 = 64;
/// So that what was committed is still there, commit by commit, at the next start: 15 minutes.
const SAVE_AFTER_MS: u64 = 15 * 60 * 1000;
