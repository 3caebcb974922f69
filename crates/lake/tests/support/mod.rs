//! Records and entries with numbers, and what a lake on a test disk says of them.
#![allow(dead_code, reason = "each test file uses a part of this")]

use odograph_env::Disk;
use odograph_lake::arrow::array::{AsArray as _, RecordBatch};
use odograph_lake::arrow::datatypes::Int64Type;
use odograph_lake::arrow::json::LineDelimitedWriter;
use odograph_lake::{Error, FrameRow, Lake, Limits, Options, Row, Writer};
use odograph_model::{Key, Lsn, Record, RecordId, Time};
use odograph_testkit::{FaultDisk, TestClock};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: i64 = 1_767_225_600_000;
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// That day, counted from 1970.
pub(crate) const TODAY: i32 = 20_454;

/// Of each so many images of a disk one is looked at, so that `most` are in all; of each one, where `ODOGRAPH_IMAGES=all` is in the
/// environment, which takes minutes.
pub(crate) fn apart(images: usize, most: usize) -> usize {
    match std::env::var("ODOGRAPH_IMAGES") {
        Ok(all) if all == "all" => 1,
        _ => images.div_ceil(most),
    }
}

pub(crate) fn open(disk: &FaultDisk) -> Result<Writer, Error> {
    Ok(open_with(disk, Options::default())?.0)
}

pub(crate) fn open_with(disk: &FaultDisk, options: Options) -> Result<(Writer, TestClock), Error> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(NOW);
    Ok((Writer::open(shared, Arc::new(clock.clone()), Path::new("/data/lake"), options)?, clock))
}

/// Adds the record of a number: of one of three devices, a minute after the one before, received at once, or, from 1,000
/// on, ten days late.
pub(crate) fn push(writer: &mut Writer, number: u64) -> bool {
    let time = Time(NOW + i64::try_from(number % 1000).unwrap() * 60_000);
    let received = if number < 1000 { time } else { time.plus_ms(10 * DAY_MS) };
    let mut record = Record::at(time);
    record.set(Key::PositionSpeed, number as f64);
    let device = device(number);
    let row = Row { device: &device, time, received, id: RecordId(number), protocol: "test", record: &record };
    let place = Lsn(number * 100);
    let new = !writer.has("default", &row, place).unwrap();
    if new {
        writer.push("default", &row, place).unwrap();
    }
    new
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
pub(crate) fn push_sent(writer: &mut Writer, sent: &Sent) -> bool {
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

/// Adds the entry of a number: ten to a segment, of one of three devices.
pub(crate) fn push_frame(writer: &mut Writer, number: u64) {
    push_bytes(writer, number, &payload(number));
}

pub(crate) fn push_bytes(writer: &mut Writer, number: u64, payload: &[u8]) {
    push_entry(writer, number, Time(NOW + number as i64), payload);
}

pub(crate) fn push_frame_at(writer: &mut Writer, number: u64, at: Time) {
    push_entry(writer, number, at, &payload(number));
}

fn push_entry(writer: &mut Writer, number: u64, at: Time, payload: &[u8]) {
    let (device, context) = (device(number), context(number));
    let row = FrameRow {
        place: Lsn(number * 100),
        segment: Lsn(number / 10 * 1000),
        stream: number % 3 * 100,
        at,
        kind: 2,
        name: Some("frame"),
        device: &device,
        decision: (number < 3).then_some(b"accepted"),
        context: context.as_deref(),
        payload,
    };
    writer.push_frame("default", &row).unwrap();
}

pub(crate) fn device(number: u64) -> String {
    format!("device-{}", number % 3)
}

pub(crate) fn payload(number: u64) -> Vec<u8> {
    format!("\0frame {number}\r\n").into_bytes()
}

/// The first of each device in a segment has one.
pub(crate) fn context(number: u64) -> Option<Vec<u8>> {
    (number % 10 < 3).then(|| format!("context {number}").into_bytes())
}

pub(crate) fn rows(lake: &Lake, sql: &str) -> Vec<RecordBatch> {
    let mut answer = lake.query("default", sql, Limits::default()).unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = answer.next_rows().unwrap() {
        rows.push(batch);
    }
    rows
}

pub(crate) fn json(lake: &Lake, sql: &str) -> Vec<Value> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write_batches(&rows(lake, sql).iter().collect::<Vec<_>>()).unwrap();
    let text = String::from_utf8(writer.into_inner()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn ids(lake: &Lake) -> Vec<i64> {
    numbers(lake, "SELECT id FROM records ORDER BY id")
}

pub(crate) fn places(lake: &Lake) -> Vec<i64> {
    numbers(lake, "SELECT place FROM frames ORDER BY place")
}

fn numbers(lake: &Lake, sql: &str) -> Vec<i64> {
    rows(lake, sql).iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// The files of the default tenant's table that hold rows.
pub(crate) fn data_files(disk: &FaultDisk, table: &str) -> Vec<PathBuf> {
    let begin = format!("/data/lake/default/{table}/day=");
    disk.files().into_iter().filter(|path| path.to_string_lossy().starts_with(&begin)).collect()
}

/// The entries of its log, in order.
pub(crate) fn log_entries(disk: &FaultDisk, table: &str) -> Vec<PathBuf> {
    let begin = format!("/data/lake/default/{table}/_delta_log/0");
    let is =
        |path: &PathBuf| path.to_string_lossy().starts_with(&begin) && path.extension().is_some_and(|is| is == "json");
    let mut entries: Vec<_> = disk.files().into_iter().filter(is).collect();
    entries.sort();
    entries
}

/// Changes the texts of a table's log.
pub(crate) fn change_log(disk: &FaultDisk, change: impl Fn(&str) -> String) {
    for path in log_entries(disk, "records") {
        let text = String::from_utf8(disk.content(&path).unwrap()).unwrap();
        disk.put(&path, change(&text).as_bytes());
    }
}

/// Rows as a file.
pub(crate) fn parquet(rows: &RecordBatch) -> Vec<u8> {
    let mut writer = datafusion::parquet::arrow::ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.into_inner().unwrap()
}
