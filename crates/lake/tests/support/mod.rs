//! A lake on a disk in memory, and rows for it.

#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use odograph_env::Disk;
use odograph_lake::arrow::json::LineDelimitedWriter;
use odograph_lake::{Error, Lake, Limits, Options, Row, Writer};
use odograph_model::{Key, Lsn, Record, RecordId, Time};
use odograph_testkit::{FaultDisk, TestClock};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: i64 = 1_767_225_600_000;
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn open(disk: &FaultDisk) -> Result<Writer, Error> {
    open_at(disk, Arc::new(TestClock::new(NOW)))
}

pub(crate) fn open_at(disk: &FaultDisk, clock: Arc<TestClock>) -> Result<Writer, Error> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Writer::open(disk, clock, Path::new("/data/lake"), Options::default())
}

/// A record.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) device: String,
    pub(crate) time: i64,
    /// Ten days, else not at all.
    pub(crate) late: bool,
    /// In the journal; 0: by its number.
    pub(crate) place: u64,
}

/// Adds a record, if the table does not have it already.
pub(crate) fn push(writer: &mut Writer, sent: &Sent) -> bool {
    let time = Time(sent.time);
    let received = if sent.late { time.plus_ms(10 * DAY_MS) } else { time };
    let mut record = Record::at(time);
    record.set(Key::PositionSpeed, sent.number as f64);
    let (device, id) = (sent.device.as_str(), RecordId(sent.number));
    let row = Row { device, time, received, id, protocol: "test", record: &record };
    let place = Lsn(if sent.place == 0 { sent.number * 100 } else { sent.place });
    let new = !writer.has("default", &row, place).unwrap();
    if new {
        writer.push("default", &row, place).unwrap();
    }
    new
}

/// An answer as JSON.
pub(crate) fn json(lake: &Lake, sql: &str) -> Vec<Value> {
    let mut answer = lake.query("default", sql, Limits::default()).unwrap();
    let mut writer = LineDelimitedWriter::new(Vec::new());
    while let Some(batch) = answer.next_rows().unwrap() {
        writer.write(&batch).unwrap();
    }
    writer.finish().unwrap();
    let text = String::from_utf8(writer.into_inner()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
