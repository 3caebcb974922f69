//! Erases a device, or a tenant, from the tables: its rows go in one commit of each table, and then everything that still has
//! them goes at once: older files, entries of the log, checkpoints, what is saved of devices.
//!
//! Nobody may write meanwhile: the lake is closed. Each step can be repeated.

mod segments;
mod tenant;

use crate::frames::{CONTEXT, DECISION, NODE, SEGMENT, STREAM};
use crate::latest::{Checkpoint, Devices, SHARDS, Summary as _, save};
use crate::maintenance::is_data;
use crate::place::Place;
use crate::shape::{RECORDS, Shape};
use crate::table::{Change, Table};
use crate::work::write;
use crate::{Error, Lake, columns, query};
use compact_str::CompactString;
use datafusion::arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type, Schema, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::prelude::{Expr, cast, col, lit};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::TryStreamExt as _;
use object_store::path::Path as Location;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use odograph_model::{Lsn, Time};
pub use segments::HeldSegments;
use std::collections::{BTreeSet, HashSet};

/// What of the tables goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedOf<'a> {
    /// Of this tenant.
    pub tenant: &'a str,
    /// This device; `None`: all of it, with its tables.
    pub device: Option<&'a str>,
    /// Of a device, what was received after this moment stays, if there is one.
    pub received_to: Option<Time>,
}

/// How much went, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErasedRows {
    /// Rows of `records`.
    pub records: u64,
    /// Rows of `frames`.
    pub frames: u64,
    /// Rows of `events`.
    pub events: u64,
    /// Files that have them.
    pub files: u64,
    /// Days that these are of.
    pub days: u64,
}

impl Place {
    /// How much an erasure would touch, by the files.
    ///
    /// # Errors
    ///
    /// When files cannot be read.
    pub fn would_erase(&self, node: u16, of: ErasedOf<'_>) -> Result<ErasedRows, Error> {
        let lake = Lake::start(self.clone())?;
        lake.ask(async {
            let (mut rows, mut days) = (ErasedRows::default(), BTreeSet::new());
            for (shape, table) in self.tables_of(node, of.tenant).await? {
                for (path, count) in files_of(&table, of).await? {
                    rows.add(shape, count);
                    days.extend(path.split('/').next().map(str::to_owned));
                }
            }
            rows.days = days.len() as u64;
            Ok(rows)
        })
    }

    /// When the last of it was received.
    ///
    /// # Errors
    ///
    /// When files cannot be read.
    pub fn received_last(&self, node: u16, of: ErasedOf<'_>) -> Result<Option<Time>, Error> {
        let lake = Lake::start(self.clone())?;
        lake.ask(async {
            let mut last = None;
            for (_, table) in self.tables_of(node, of.tenant).await? {
                if !has_receipt(table.schema()) {
                    continue;
                }
                let rows = query::session(query::QUERY_BYTES)?.read_table(table.provider()?)?;
                let rows = rows.filter(is_of(of, table.schema()))?;
                let mut batches =
                    rows.select(vec![cast(col(columns::RECEIVED), DataType::Int64)])?.execute_stream().await?;
                while let Some(batch) = batches.try_next().await? {
                    last = last.max(batch.column(0).as_primitive::<Int64Type>().values().iter().copied().max());
                }
            }
            Ok(last.map(|micros: i64| Time(micros.div_euclid(MICROS) + i64::from(micros.rem_euclid(MICROS) > 0))))
        })
    }

    /// Erases. Nobody may have the lake open for writing.
    ///
    /// # Errors
    ///
    /// When a table cannot be read or written. What was done stays done, and the same again goes on.
    pub fn erase(&self, node: u16, of: ErasedOf<'_>, now: Time) -> Result<(), Error> {
        let lake = Lake::start(self.clone())?;
        self.clean()?;
        lake.ask(async {
            let Some(device) = of.device else { return self.erase_tenant(of.tenant).await };
            for (_, mut table) in self.tables_of(node, of.tenant).await? {
                erase_device(&mut table, of, device, now).await?;
            }
            Ok(())
        })
    }

    /// Goes through the rows of frames that may be in no journal any more: those of other nodes, and of this node's segments before a
    /// place, as long as it `goes_on`. Tells `noted` each decision that begins with the byte `several`, and each context, with the tenant and
    /// the device that its row belongs to; and gives what conversations of a device, or of all of a tenant, have of others in the same segments.
    ///
    /// # Errors
    ///
    /// When files cannot be read.
    pub fn lines_of_frames(
        &self,
        node: u16,
        before: Lsn,
        of: ErasedOf<'_>,
        several: u8,
        goes_on: &dyn Fn() -> bool,
        noted: &mut dyn FnMut(&str, &str, Noted<'_>),
    ) -> Result<SharedLines, Error> {
        let lake = Lake::of_frames(self)?;
        let gone = col(SEGMENT).lt(lit(before.0.cast_signed())).or(col(NODE).not_eq(lit(i32::from(node))));
        let (mut own, mut shared) = (HashSet::new(), SharedLines::default());
        each_line(&lake, of.tenant, &gone, goes_on, |row| {
            if row.is_of(of, of.tenant) {
                own.insert(row.line);
            }
        })?;
        for tenant in lake.tenants() {
            each_line(&lake, &tenant, &gone, goes_on, |row| {
                if let Some(decision) = row.decision.filter(|decision| decision.first() == Some(&several)) {
                    noted(&tenant, row.device, Noted::Decision(decision));
                }
                if let Some(context) = row.context {
                    noted(&tenant, row.device, Noted::Context(context));
                }
                if !row.device.is_empty() && !row.is_of(of, &tenant) && own.contains(&row.line) {
                    shared.rows += 1;
                    if shared.others.len() < OTHERS_MAX {
                        shared.others.insert((tenant.to_string(), row.device.to_owned()));
                    }
                }
            })?;
        }
        Ok(shared)
    }

    async fn tables_of(&self, node: u16, tenant: &str) -> Result<Vec<(&'static Shape, Table)>, Error> {
        let mut tables = Vec::new();
        for (name, shape) in self.tables().await? {
            if name == tenant
                && let Some(table) = Table::find(self.table(tenant, shape)?, node, shape).await?
            {
                tables.push((shape, table));
            }
        }
        Ok(tables)
    }
}

/// What a row has that may name others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted<'a> {
    /// What was decided about the devices of its frame.
    Decision(&'a [u8]),
    /// The state of its conversation before it.
    Context(&'a [u8]),
}

/// What conversations have of others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SharedLines {
    /// So many rows.
    pub rows: u64,
    /// Some of the others, by tenant and id.
    pub others: BTreeSet<(String, String)>,
}

/// What says to which conversation a row belongs: node, segment, and the place where it began.
type Line = (i32, i64, i64);

/// A row of frames, as far as it says whose it is.
struct LineRow<'a> {
    device: &'a str,
    line: Line,
    decision: Option<&'a [u8]>,
    context: Option<&'a [u8]>,
}

impl LineRow<'_> {
    fn is_of(&self, of: ErasedOf<'_>, tenant: &str) -> bool {
        tenant == of.tenant && !self.device.is_empty() && of.device.is_none_or(|device| device == self.device)
    }
}

fn each_line(
    lake: &Lake,
    tenant: &str,
    wanted: &Expr,
    goes_on: &dyn Fn() -> bool,
    mut take: impl FnMut(LineRow<'_>),
) -> Result<(), Error> {
    let (_, Some(frames)) = lake.in_files(tenant) else { return Ok(()) };
    lake.ask(async {
        let rows = query::session(query::QUERY_BYTES)?.read_table(frames.files.clone())?.filter(wanted.clone())?;
        let columns = vec![
            cast(col(columns::DEVICE), DataType::Utf8),
            cast(col(NODE), DataType::Int32),
            cast(col(SEGMENT), DataType::Int64),
            cast(col(STREAM), DataType::Int64),
            cast(col(DECISION), DataType::Binary),
            cast(col(CONTEXT), DataType::Binary),
        ];
        let mut batches = rows.select(columns)?.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            if !goes_on() {
                return Err(Error::Refused("it was not to go on".to_owned()));
            }
            let names = batch.column(0).as_string::<i32>();
            let nodes = batch.column(1).as_primitive::<Int32Type>().values();
            let [segments, streams] = [2, 3].map(|place| batch.column(place).as_primitive::<Int64Type>().values());
            let [decisions, contexts] = [4, 5].map(|place| batch.column(place).as_binary::<i32>().iter());
            let lines =
                nodes.iter().zip(segments).zip(streams).map(|((node, segment), stream)| (*node, *segment, *stream));
            let names = names.iter().map(Option::unwrap_or_default);
            for (((device, line), decision), context) in names.zip(lines).zip(decisions).zip(contexts) {
                take(LineRow { device, line, decision, context });
            }
        }
        Ok(())
    })
}

impl ErasedRows {
    fn add(&mut self, shape: &Shape, count: u64) {
        match shape.name {
            "records" => self.records += count,
            "frames" => self.frames += count,
            _ => self.events += count,
        }
        self.files += 1;
    }
}

/// Whether rows of a table say when they were received.
fn has_receipt(schema: &Schema) -> bool {
    schema.field_with_name(columns::RECEIVED).is_ok()
}

/// Which rows of a table go.
fn is_of(of: ErasedOf<'_>, schema: &Schema) -> Expr {
    let Some(device) = of.device else { return lit(true) };
    let own = col(columns::DEVICE).eq(lit(device));
    match of.received_to.filter(|_| has_receipt(schema)) {
        Some(to) => {
            let to = ScalarValue::TimestampMicrosecond(Some(to.0.saturating_mul(MICROS)), Some("UTC".into()));
            own.and(col(columns::RECEIVED).lt_eq(lit(to)))
        }
        None => own,
    }
}

/// The files that have rows that go, with how many.
async fn files_of(table: &Table, of: ErasedOf<'_>) -> Result<Vec<(String, u64)>, Error> {
    let mut found = Vec::new();
    for path in table.paths() {
        let rows = query::session(query::QUERY_BYTES)?.read_table(table.part(std::slice::from_ref(&path))?)?;
        let count = rows.filter(is_of(of, table.schema()))?.count().await? as u64;
        if count > 0 {
            found.push((path, count));
        }
    }
    Ok(found)
}

async fn erase_device(table: &mut Table, of: ErasedOf<'_>, device: &str, now: Time) -> Result<(), Error> {
    let mut devices = None;
    if table.shape().name == RECORDS.name {
        devices = Some(Devices::open(table).await?);
    }
    let mut tries = 0;
    while !take_out(table, of, device, now).await? {
        tries += 1;
        if tries == TRIES_MAX {
            return Err(Error::Refused(format!("somebody else writes to the table {} all the time", table.name())));
        }
    }
    if let Some(mut devices) = devices {
        if tries > 0 {
            devices = Devices::open(table).await?;
        }
        if files_of(table, ErasedOf { received_to: None, ..of }).await?.is_empty() {
            devices.remove(device);
        } else {
            // What is left of it is all that may be known of it.
            devices = Devices::anew(table).await?;
        }
        let mut checkpoint = Checkpoint::new(table.version());
        (0..SHARDS).for_each(|shard| devices.save(&mut checkpoint, shard));
        save(&*table.store(), checkpoint).await?;
    }
    forget(table).await
}

/// Takes a device's rows out of the table, in one commit. Returns whether that is done.
async fn take_out(table: &mut Table, of: ErasedOf<'_>, device: &str, now: Time) -> Result<bool, Error> {
    table.settle().await?;
    let (schema, version) = (table.schema().clone(), table.version());
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for (path, _) in files_of(table, of).await? {
        let mut others = Vec::new();
        for rows in query::rows(table.part(std::slice::from_ref(&path))?, &schema).await? {
            others.push(without(&rows, device, of.received_to)?);
        }
        if others.iter().any(|rows| rows.num_rows() > 0) {
            // The version is this commit's alone, and what an earlier attempt left is overwritten.
            let name = format!("erased-{}-{}", version + 1, remove.len() + 1);
            add.extend(write(table, others, &schema, name, now).await?);
        }
        remove.push(path);
    }
    if remove.is_empty() {
        return Ok(true);
    }
    let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
    let change = Change { add, schema: None, remove, cursor: None, changes_rows: true, operation, now };
    table.commit(&change).await
}

fn without(rows: &RecordBatch, device: &str, received_to: Option<Time>) -> Result<RecordBatch, Error> {
    let devices = rows.column_by_name(columns::DEVICE).expect("every row has the fixed columns");
    let received = rows.column_by_name(columns::RECEIVED).zip(received_to);
    let received =
        received.map(|(column, to)| (column.as_primitive::<TimestampMicrosecondType>(), to.0.saturating_mul(MICROS)));
    let is_later = |row: usize| received.is_some_and(|(column, to)| column.value(row) > to);
    let names = devices.as_string::<i32>().iter().enumerate();
    let stays: BooleanArray = names.map(|(row, name)| Some(name != Some(device) || is_later(row))).collect();
    Ok(filter_record_batch(rows, &stays)?)
}

/// Deletes all that is no part of the table as it is now: the log has what files had at least and at most, so it begins anew with
/// a checkpoint.
async fn forget(table: &mut Table) -> Result<(), Error> {
    table.write_checkpoint(0).await?;
    let version = table.version();
    let there: BTreeSet<CompactString> = table.object_paths().into_iter().map(CompactString::from).collect();
    let went: BTreeSet<String> = table.went_paths().await?;
    let is_shared = table.place().is_shared();
    delete(table, |object| {
        let path = object.location.as_ref();
        match path.strip_prefix(LOG) {
            Some(name) => {
                name.get(..VERSION_DIGITS).and_then(|digits| digits.parse::<u64>().ok()).is_some_and(|of| of < version)
            }
            // Where others write, what is no part of it yet may be about to become one.
            None => is_data(path) && !there.contains(path) && (!is_shared || went.contains(path)),
        }
    })
    .await
}

async fn delete(table: &Table, wanted: impl Fn(&ObjectMeta) -> bool) -> Result<(), Error> {
    let store = table.store();
    let objects: Vec<ObjectMeta> = store.list(None).try_collect().await?;
    remove(&*store, objects.into_iter().filter(|object| wanted(object)).map(|object| object.location)).await
}

/// One after the other, in their order. One that is gone already is as good.
async fn remove(store: &dyn ObjectStore, locations: impl IntoIterator<Item = Location>) -> Result<(), Error> {
    for location in locations {
        match store.delete(&location).await {
            Err(object_store::Error::NotFound { .. }) => {}
            deleted => deleted?,
        }
    }
    Ok(())
}

/// In a millisecond.
const MICROS: i64 = 1000;
/// So many others are named.
const OTHERS_MAX: usize = 8;
/// As often as a commit is tried.
const TRIES_MAX: usize = 16;
const LOG: &str = "_delta_log/";
/// Entries and checkpoints are named after the version.
const VERSION_DIGITS: usize = 20;
