//! One tenant's history: the table's files and what waits to become files, seen as one.

use crate::buffer::{Buffer, First};
use crate::rows::{Row, day_of};
use crate::{Error, columns, compaction, files, query, table::Table};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::datasource::TableProvider;
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
    files: Arc<dyn TableProvider>,
    schema: SchemaRef,
    buffers: [Buffer; 2],
    /// Rows on their way into files.
    leaving: Option<Buffer>,
}

/// A tenant's records at one moment.
pub(crate) struct View {
    pub(crate) files: Arc<dyn TableProvider>,
    /// The columns of the files.
    pub(crate) schema: SchemaRef,
    /// Rows besides the files.
    pub(crate) hot: Vec<RecordBatch>,
}

impl Tenant {
    pub(crate) async fn new(table: &Table) -> Result<Self, Error> {
        let (files, schema) = (table.provider().await?, table.schema().clone());
        let state = State { files, schema, buffers: <[Buffer; 2]>::default(), leaving: None };
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
    pub(crate) fn view(&self) -> Result<View, Error> {
        let mut state = self.lock();
        let mut hot = Vec::new();
        for buffer in &mut state.buffers {
            hot.extend(buffer.batches()?);
        }
        if let Some(leaving) = &mut state.leaving {
            hot.extend(leaving.batches()?);
        }
        Ok(View { files: state.files.clone(), schema: state.schema.clone(), hot })
    }

    /// What is in files at this moment, without what waits.
    pub(crate) fn files(&self) -> View {
        let state = self.lock();
        View { files: state.files.clone(), schema: state.schema.clone(), hot: Vec::new() }
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
            table.provider().await
        };
        let provider = provider.await;
        let mut state = self.lock();
        let leaving = state.leaving.take();
        match provider {
            Ok(provider) => {
                state.files = provider;
                state.schema = table.schema().clone();
                Ok(())
            }
            Err(error) => {
                // Nothing came in between: the one who flushes is the one who adds.
                state.buffers[stream.index()] = leaving.unwrap_or_default();
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
        let rows = query::rows(table.part(&paths).await?, &schema).await?;
        // The version is this commit's alone, and what an earlier try left is overwritten.
        let name = table.file_name(&format!("merged-{}", table.version() + 1));
        let mut added = Vec::new();
        let store: Arc<dyn ObjectStore> = table.store();
        for file in files::encode(&rows, &schema, &name)? {
            added.push(files::write(&*store, file, now).await?);
        }
        let replaced = table.replace(&paths, added).await?;
        let provider = table.provider().await?;
        let mut state = self.lock();
        state.files = provider;
        state.schema = table.schema().clone();
        drop(state);
        tracing::debug!(files = paths.len(), replaced, "small files became one");
        Ok(replaced)
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
    let name = table.file_name(&format!("{}-{}", stream.replace('/', "-"), until.0));
    let mut added = Vec::new();
    let store: Arc<dyn ObjectStore> = table.store();
    for file in files::encode(&rows, &schema, &name)? {
        added.push(files::write(&*store, file, now).await?);
    }
    table.commit(added, &schema, stream, until).await
}
