//! One tenant's history: the table's files and what waits to become files, seen as one.

use crate::buffer::{Buffer, First};
use crate::lake::Latest;
use crate::latest::{self, Checkpoint, Devices, SHARDS};
use crate::rows::{Row, day_of};
use crate::source::Files;
use crate::{Error, columns, compaction, files, query, table::Table};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use object_store::ObjectStore;
use odograph_model::{Lsn, RecordId, Time};
use std::sync::{Arc, Mutex, MutexGuard};
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
    pub const fn of(row: &Row<'_>) -> Self {
        if row.day() == day_of(row.received) { Self::InTime } else { Self::Late }
    }

    /// Its name in the table's log.
    pub(crate) fn application(self, node: u16) -> String {
        let name = match self {
            Self::InTime => "in-time",
            Self::Late => "late",
        };
        format!("odograph/{node}/{name}")
    }

    const fn index(self) -> usize {
        match self {
            Self::InTime => 0,
            Self::Late => 1,
        }
    }
}

/// What queries see of a tenant, and what the writer adds to.
pub(crate) struct Tenant {
    state: Mutex<State>,
}

struct State {
    files: Arc<Files>,
    schema: SchemaRef,
    buffers: [Buffer; 2],
    /// Rows on their way into files.
    leaving: Option<Buffer>,
    /// What the rows in files say of their devices.
    devices: Devices,
    /// The version of the table whose rows these are.
    version: u64,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant").finish_non_exhaustive()
    }
}

/// A tenant's records at one moment.
pub(crate) struct View {
    /// Whose.
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) files: Arc<Files>,
    /// The columns of the files.
    pub(crate) schema: SchemaRef,
    /// Rows besides the files.
    pub(crate) hot: Vec<RecordBatch>,
}

impl Tenant {
    pub(crate) async fn new(table: &Table) -> Result<Self, Error> {
        let (files, schema) = (table.provider()?, table.schema().clone());
        let (devices, version, buffers) = (latest::open(table).await?, table.version(), <[Buffer; 2]>::default());
        let state = State { files, schema, buffers, leaving: None, devices, version };
        Ok(Self { state: Mutex::new(state) })
    }

    pub(crate) fn push(&self, row: &Row<'_>, place: Lsn, now: Duration) -> Result<(), Error> {
        self.lock().buffers[Stream::of(row).index()].push(row, place, now)
    }

    /// How many rows wait, and what waits longest.
    pub(crate) fn waiting(&self, stream: Stream) -> (usize, Option<First>) {
        let state = self.lock();
        let buffer = &state.buffers[stream.index()];
        (buffer.count(), buffer.first())
    }

    /// The ids of a device's rows that are in no file yet: of a day, or else those under a wrong clock. Others may be among
    /// them.
    pub(crate) fn hot_ids(&self, device: &str, day: Option<i32>) -> Vec<RecordId> {
        self.lock().buffers.iter().flat_map(|buffer| buffer.ids(device, day)).copied().collect()
    }

    /// Everything at this moment, each row once.
    pub(crate) fn view(self: &Arc<Self>) -> Result<View, Error> {
        let mut state = self.lock();
        let mut hot = Vec::new();
        for buffer in &mut state.buffers {
            hot.extend(buffer.batches()?);
        }
        if let Some(leaving) = &mut state.leaving {
            hot.extend(leaving.batches()?);
        }
        let (files, schema) = (state.files.clone(), state.schema.clone());
        Ok(View { tenant: self.clone(), files, schema, hot })
    }

    /// What is in files at this moment, without what waits.
    pub(crate) fn files(self: &Arc<Self>) -> View {
        let state = self.lock();
        let (files, schema) = (state.files.clone(), state.schema.clone());
        View { tenant: self.clone(), files, schema, hot: Vec::new() }
    }

    /// Shows what is known of devices, in parts: see [`latest::each`].
    pub(crate) fn devices(&self, show: impl FnOnce(&[&Devices])) {
        let state = self.lock();
        let waiting = state.buffers.iter().chain(&state.leaving).map(Buffer::devices);
        show(&std::iter::once(&state.devices).chain(waiting).collect::<Vec<_>>());
    }

    /// Up to where there are records of each device in files.
    pub(crate) fn known(&self, tenant: &str) -> Vec<Latest> {
        self.lock().devices.known(tenant).collect()
    }

    /// Saves what the rows in files say of their devices, so that a start need not read them.
    pub(crate) async fn save(&self, table: &Table) -> Result<(), Error> {
        let mut checkpoint = Checkpoint::new(self.lock().version);
        // Only the one who saves moves rows into files: in between, nothing of this changes.
        for shard in 0..SHARDS {
            checkpoint.add(&self.lock().devices, shard);
        }
        let store: Arc<dyn ObjectStore> = table.store();
        latest::save(&*store, checkpoint).await
    }

    /// Puts a stream's rows into files and moves its cursor to `until`, in one commit. After an error the rows still
    /// wait, and are seen as before.
    pub(crate) async fn flush(
        &self,
        table: &mut Table,
        stream: Stream,
        node: u16,
        until: Lsn,
        now: Time,
    ) -> Result<(), Error> {
        let batches = {
            let mut state = self.lock();
            let mut leaving = std::mem::take(&mut state.buffers[stream.index()]);
            let batches = leaving.batches();
            state.leaving = Some(leaving);
            batches
        };
        let application = stream.application(node);
        let provider = async {
            write(table, &batches?, &application, until, now).await?;
            table.provider()
        };
        self.flushed(provider.await, table.schema(), stream)?;
        self.moved(table).await
    }

    /// Lets go of what was on its way into files, or keeps it if it is not there.
    fn flushed(&self, files: Result<Arc<Files>, Error>, schema: &SchemaRef, stream: Stream) -> Result<(), Error> {
        let mut state = self.lock();
        let leaving = state.leaving.take().unwrap_or_default();
        match files {
            Ok(files) => {
                state.files = files;
                state.schema = schema.clone();
                state.devices.merge(leaving.into_devices());
                Ok(())
            }
            Err(error) => {
                // Nothing came in between: the one who flushes is the one who adds.
                state.buffers[stream.index()] = leaving;
                Err(error)
            }
        }
    }

    /// Makes one file of many small ones, where there are many. Returns whether that was so.
    pub(crate) async fn compact(&self, table: &mut Table, now: Time) -> Result<bool, Error> {
        let parts = compaction::decide(table.parts());
        if parts.is_empty() {
            return Ok(false);
        }
        let paths: Vec<String> = parts.into_iter().map(|part| part.path).collect();
        let schema = table.schema().clone();
        let rows = query::rows(table.part(&paths)?, &schema).await?;
        // The version is this commit's alone, and what an earlier try left is overwritten.
        let name = format!("merged-{}", table.version() + 1);
        let mut added = Vec::new();
        let store: Arc<dyn ObjectStore> = table.store();
        for file in files::encode(&rows, &schema, &name)? {
            added.push(files::write(&*store, file, now).await?);
        }
        table.replace(&paths, added).await?;
        let provider = table.provider()?;
        self.lock().files = provider;
        self.moved(table).await?;
        tracing::debug!(files = paths.len(), "small files became one");
        Ok(true)
    }

    /// After a commit of ours. Others may write to the table too, though nobody should: what they committed before it is
    /// taken in.
    async fn moved(&self, table: &Table) -> Result<(), Error> {
        let (before, now) = (self.lock().version, table.version());
        if now > before + 1 {
            let devices = self.lock().devices.clone();
            let devices = match latest::catch_up(devices, table, before, now - 1).await? {
                Some(devices) => devices,
                None => latest::all(table).await?,
            };
            self.lock().devices = devices;
        }
        self.lock().version = now;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding a tenant's lock")
    }
}

async fn write(table: &mut Table, rows: &[RecordBatch], stream: &str, until: Lsn, now: Time) -> Result<(), Error> {
    let mut schema = table.schema().clone();
    for batch in rows {
        schema = columns::merged(&schema, &batch.schema());
    }
    let rows: Vec<_> = rows.iter().map(|batch| columns::fitted(batch, &schema)).collect::<Result<_, _>>()?;
    // No other commit of this stream has this cursor, and what an earlier try left is overwritten.
    let name = format!("{}-{}", stream.replace('/', "-"), until.0);
    let mut added = Vec::new();
    let store: Arc<dyn ObjectStore> = table.store();
    for file in files::encode(&rows, &schema, &name)? {
        added.push(files::write(&*store, file, now).await?);
    }
    table.commit(added, &schema, stream, until).await
}
