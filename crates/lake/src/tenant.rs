//! One table of a tenant: its files and what waits to become files, seen as one.

use crate::buffer::{Buffer, First, Waits};
use crate::rows::{Row, day_of};
use crate::{Error, columns, table::Table};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::datasource::TableProvider;
use odograph_model::{Lsn, RecordId};
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
pub(crate) struct Shelf<B> {
    state: Mutex<State<B>>,
}

struct State<B> {
    files: Arc<Files>,
    /// Earlier ones that somebody may still read.
    before: Vec<Weak<Files>>,
    /// What waits, by stream.
    buffers: Vec<B>,
    /// Rows on their way into files, by stream, with the place in the journal that is reached with them.
    leaving: Vec<Option<(B, Lsn)>>,
}

/// The files of a table at one version.
pub(crate) struct Files {
    pub(crate) provider: Arc<dyn TableProvider>,
    /// Their columns.
    pub(crate) schema: SchemaRef,
    /// The table's version.
    version: u64,
}

/// A table at one moment.
pub(crate) struct View {
    pub(crate) files: Arc<dyn TableProvider>,
    /// The columns of the files.
    pub(crate) schema: SchemaRef,
    /// Rows besides the files.
    pub(crate) hot: Vec<RecordBatch>,
    /// As long as somebody has it, none of the files is deleted.
    pub(crate) held: Arc<Files>,
}

impl Files {
    async fn of(table: &Table) -> Result<Arc<Self>, Error> {
        let (provider, schema) = (table.provider().await?, table.schema().clone());
        Ok(Arc::new(Self { provider, schema, version: table.version() }))
    }
}

impl View {
    fn new(held: Arc<Files>, hot: Vec<RecordBatch>) -> Self {
        Self { files: held.provider.clone(), schema: held.schema.clone(), hot, held }
    }
}

impl<B: Waits> Shelf<B> {
    pub(crate) async fn new(table: &Table) -> Result<Self, Error> {
        let files = Files::of(table).await?;
        let buffers = B::STREAMS.iter().map(|_| B::default()).collect();
        let leaving = B::STREAMS.iter().map(|_| None).collect();
        Ok(Self { state: Mutex::new(State { files, before: Vec::new(), buffers, leaving }) })
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

    /// Shows the table as it is now; rows of `stream` that were on their way are part of its files.
    pub(crate) async fn publish(&self, table: &Table, stream: Option<usize>) -> Result<(), Error> {
        let files = Files::of(table).await?;
        let mut state = self.lock();
        let before = Arc::downgrade(&state.files);
        state.files = files;
        state.before.push(before);
        state.before.retain(|files| files.strong_count() > 0);
        if let Some(stream) = stream {
            state.leaving[stream] = None;
        }
        Ok(())
    }

    /// The oldest version of the table that somebody reads.
    pub(crate) fn oldest_version(&self) -> u64 {
        let state = self.lock();
        let read = state.before.iter().filter_map(|files| Some(files.upgrade()?.version));
        read.fold(state.files.version, u64::min)
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
}

/// All columns of batches, behind those of `schema`.
pub(crate) fn grown(schema: &SchemaRef, batches: &[RecordBatch]) -> SchemaRef {
    batches.iter().fold(schema.clone(), |schema, batch| columns::merged(&schema, &batch.schema()))
}
