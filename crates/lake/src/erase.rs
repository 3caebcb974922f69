//! Erases a device, or a tenant, from the tables: its rows go in one commit of each table, and then everything that still has
//! them goes at once: older files, entries of the log, checkpoints, what is saved of devices.
//!
//! Nobody may write meanwhile: the lake is closed. Each step can be repeated.

use crate::frames::SEGMENT;
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
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::prelude::{cast, col, lit};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::TryStreamExt as _;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use odograph_model::{Lsn, Time};
use std::collections::{BTreeMap, BTreeSet};

/// What of the tables goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedOf<'a> {
    /// Of this tenant.
    pub tenant: &'a str,
    /// This device; `None`: all of it, with its tables.
    pub device: Option<&'a str>,
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
                for (path, count) in files_of(&table, of.device).await? {
                    rows.add(shape, count);
                    days.extend(path.split('/').next().map(str::to_owned));
                }
            }
            rows.days = days.len() as u64;
            Ok(rows)
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
            for (_, mut table) in self.tables_of(node, of.tenant).await? {
                match of.device {
                    Some(device) => erase_device(&mut table, device, now).await?,
                    None => delete(&table, |_| true).await?,
                }
            }
            Ok(())
        })
    }

    /// In which segments of the journal tables of frames have something of a device, by tenant; or of all devices of a tenant, and of
    /// others' devices of the same names.
    ///
    /// # Errors
    ///
    /// When files cannot be read.
    pub fn segments_of_frames(&self, tenant: &str, device: Option<&str>) -> Result<SegmentsOf, Error> {
        let lake = Lake::of_frames(self)?;
        let mut held = SegmentsOf::new();
        let own = segments_of(&lake, tenant, device)?;
        let names: BTreeSet<&str> = own.iter().map(|(device, _)| device.as_str()).collect();
        for other in lake.tenants().iter().filter(|other| *other != tenant) {
            let mut others = segments_of(&lake, other, device)?;
            others.retain(|(name, _)| device.is_some() || names.contains(name.as_str()));
            held.insert(other.to_string(), others);
        }
        held.insert(tenant.to_owned(), own);
        Ok(held)
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

/// Devices and the segments of the journal that frames of theirs were in, by tenant.
pub type SegmentsOf = BTreeMap<String, BTreeSet<(String, Lsn)>>;

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

fn segments_of(lake: &Lake, tenant: &str, device: Option<&str>) -> Result<BTreeSet<(String, Lsn)>, Error> {
    let (_, frames) = lake.in_files(tenant);
    let Some(frames) = frames else { return Ok(BTreeSet::new()) };
    let batches = lake.ask(async {
        let mut rows = query::session(query::QUERY_BYTES)?.read_table(frames.files.clone())?;
        if let Some(device) = device {
            rows = rows.filter(col(columns::DEVICE).eq(lit(device)))?;
        }
        let columns = vec![cast(col(columns::DEVICE), DataType::Utf8), cast(col(SEGMENT), DataType::Int64)];
        Ok(rows.select(columns)?.distinct()?.collect().await?)
    })?;
    let mut held = BTreeSet::new();
    for batch in batches {
        let segments = batch.column(1).as_primitive::<Int64Type>().values();
        let names = batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned);
        held.extend(names.zip(segments.iter().map(|segment| Lsn(segment.cast_unsigned()))));
    }
    Ok(held)
}

/// The files that have rows of a device, or any, with how many.
async fn files_of(table: &Table, device: Option<&str>) -> Result<Vec<(String, u64)>, Error> {
    let mut found = Vec::new();
    for path in table.paths() {
        let rows = query::session(query::QUERY_BYTES)?.read_table(table.part(std::slice::from_ref(&path))?)?;
        let rows = match device {
            Some(device) => rows.filter(col(columns::DEVICE).eq(lit(device)))?,
            None => rows,
        };
        let count = rows.count().await? as u64;
        if count > 0 {
            found.push((path, count));
        }
    }
    Ok(found)
}

async fn erase_device(table: &mut Table, device: &str, now: Time) -> Result<(), Error> {
    let mut devices = None;
    if table.shape().name == RECORDS.name {
        devices = Some(Devices::open(table).await?);
    }
    let mut tries = 0;
    while !take_out(table, device, now).await? {
        tries += 1;
        if tries == TRIES_MAX {
            return Err(Error::Refused(format!("somebody else writes to the table {} all the time", table.name())));
        }
    }
    if let Some(mut devices) = devices {
        if tries > 0 {
            devices = Devices::open(table).await?;
        }
        devices.remove(device);
        let mut checkpoint = Checkpoint::new(table.version());
        (0..SHARDS).for_each(|shard| devices.save(&mut checkpoint, shard));
        save(&*table.store(), checkpoint).await?;
    }
    forget(table).await
}

/// Takes a device's rows out of the table, in one commit. Returns whether that is done.
async fn take_out(table: &mut Table, device: &str, now: Time) -> Result<bool, Error> {
    table.settle().await?;
    let (schema, version) = (table.schema().clone(), table.version());
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for (path, _) in files_of(table, Some(device)).await? {
        let mut others = Vec::new();
        for rows in query::rows(table.part(std::slice::from_ref(&path))?, &schema).await? {
            others.push(without(&rows, device)?);
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

fn without(rows: &RecordBatch, device: &str) -> Result<RecordBatch, Error> {
    let devices = rows.column_by_name(columns::DEVICE).expect("every row has the fixed columns");
    let stays: BooleanArray = devices.as_string::<i32>().iter().map(|name| Some(name != Some(device))).collect();
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
    let objects: Vec<ObjectMeta> = object_store::ObjectStore::list(&*store, None).try_collect().await?;
    for object in objects.iter().filter(|object| wanted(object)) {
        match store.delete(&object.location).await {
            Err(object_store::Error::NotFound { .. }) => {}
            deleted => deleted?,
        }
    }
    Ok(())
}

/// As often as a commit is tried.
const TRIES_MAX: usize = 16;
const LOG: &str = "_delta_log/";
/// Entries and checkpoints are named after the version.
const VERSION_DIGITS: usize = 20;
