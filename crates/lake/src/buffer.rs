//! Rows that are not in files yet: what a query sees besides the files.

use crate::Error;
use crate::latest::{Devices, Summary};
use crate::rows::{Row, Rows, bytes_of};
use crate::shape::{RECORDS, Shape};
use datafusion::arrow::array::RecordBatch;
use hashbrown::HashMap;
use odograph_model::{Key, Lsn, RecordId};
use std::hash::BuildHasher as _;
use std::time::Duration;

/// Rows that wait to become files of a table.
pub(crate) trait Waits: Default + Send + 'static {
    /// The table's streams: rows of each go to files at a time of their own, with a cursor of their own.
    const STREAMS: &'static [&'static str];
    /// The table.
    const SHAPE: &'static Shape;
    /// What is known of all rows of the table, those in files and those that wait.
    type Summary: Summary;

    /// How many there are.
    fn count(&self) -> usize;
    /// How much memory they take, about.
    fn bytes(&self) -> usize;
    /// The one that waits longest.
    fn first(&self) -> Option<First>;
    /// All of them; each batch has the columns that occurred in it.
    fn batches(&mut self) -> Result<Vec<RecordBatch>, Error>;
    /// What is known of these rows.
    fn summary(&self) -> &Self::Summary;
    /// The same, when they are needed no more.
    fn into_summary(self) -> Self::Summary;
}

/// The rows of one stream of a table, in the order in which they came.
#[derive(Default)]
pub(crate) struct Buffer {
    full: Vec<RecordBatch>,
    open: Rows,
    count: usize,
    bytes: usize,
    /// The ids of rows under the hash of what they are looked up by. Two under one hash are harmless: ids decide.
    ids: HashMap<u64, Vec<RecordId>>,
    first: Option<First>,
    /// What its rows say of their devices.
    devices: Devices,
}

/// The row that waits longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct First {
    /// The place in the journal of what it came from.
    pub(crate) place: Lsn,
    /// Since when it waits, by the monotonic clock.
    pub(crate) since: Duration,
}

impl Buffer {
    /// Adds a row that came from the journal's entry at `place`.
    pub(crate) fn push(&mut self, row: &Row<'_>, place: Lsn, now: Duration) -> Result<(), Error> {
        self.bytes += bytes_of(row) + self.open.push(row);
        self.devices.push(row);
        self.count += 1;
        self.first.get_or_insert(First { place, since: now });
        self.remember(row.device, Some(row.day()), row.id);
        if row.record.get(Key::DeviceTime).is_some() {
            self.remember(row.device, None, row.id);
        }
        if self.open.count() >= OPEN_ROWS_MAX {
            self.full.push(self.open.batch()?);
            self.open = Rows::default();
        }
        Ok(())
    }

    /// The ids of a device's rows of a day, or else of those under a wrong clock; others may be among them.
    pub(crate) fn ids(&self, device: &str, day: Option<i32>) -> &[RecordId] {
        self.ids.get(&self.key(device, day)).map_or(&[], Vec::as_slice)
    }

    fn remember(&mut self, device: &str, day: Option<i32>, id: RecordId) {
        let key = self.key(device, day);
        // Most have one or a few: this is memory for each device.
        self.ids.entry(key).or_insert_with(|| Vec::with_capacity(1)).push(id);
    }

    fn key(&self, device: &str, day: Option<i32>) -> u64 {
        self.ids.hasher().hash_one((device, day))
    }
}

impl Waits for Buffer {
    const STREAMS: &'static [&'static str] = &["in-time", "late"];
    const SHAPE: &'static Shape = &RECORDS;
    type Summary = Devices;

    fn count(&self) -> usize {
        self.count
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn first(&self) -> Option<First> {
        self.first
    }

    fn batches(&mut self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = self.full.clone();
        if self.open.count() > 0 {
            batches.push(self.open.batch()?);
        }
        Ok(batches)
    }

    fn summary(&self) -> &Devices {
        &self.devices
    }

    fn into_summary(self) -> Devices {
        self.devices
    }
}

/// What is copied for each query that comes while the batch is open: small enough not to be felt.
const OPEN_ROWS_MAX: usize = 2048;
