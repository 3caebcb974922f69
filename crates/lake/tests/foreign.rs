//! Files of other programs that cannot be what ours are: each stays as it is, is named, and keeps nothing else from being merged.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_lake::arrow::array::{
    Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use odograph_lake::arrow::datatypes::{Float64Type, Int64Type};
use odograph_lake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use odograph_lake::{Options, Writer};
use odograph_model::Lsn;
use odograph_testkit::{FaultDisk, TestClock};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DAYS: [&str; 2] = ["2026-01-01", "2026-01-02"];
const TABLE: &str = "/data/lake/default/records";

/// Two days that are over, each of four commits of ours: the records 1 to 4, and 11 to 14.
fn two_days(disk: &FaultDisk) -> (Writer, TestClock) {
    let (mut writer, clock) = open_with(disk, Options::default()).unwrap();
    for (day, first) in [(0, 1), (1, 11)] {
        for number in first..first + 4 {
            let time = NOW + day * DAY_MS + number as i64 * 60_000;
            let sent = Sent { number, device: "ours".to_owned(), time, late: false, place: 0 };
            assert!(push_sent(&mut writer, &sent));
            writer.flush(Lsn(number * 100 + 50), true).unwrap();
        }
    }
    clock.advance(3 * DAY);
    (writer, clock)
}

fn by_day(writer: &Writer) -> BTreeMap<String, usize> {
    writer.lake().files("default")
}

fn counted(counts: [usize; 2]) -> BTreeMap<String, usize> {
    DAYS.map(str::to_owned).into_iter().zip(counts).collect()
}

/// Rows as another program would write them, with these ids and times and perhaps a speed.
fn theirs(id: ArrayRef, time: ArrayRef, speed: Option<ArrayRef>) -> RecordBatch {
    let count = id.len();
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; count])) };
    let received = moments(vec![Some(NOW); count]);
    let columns =
        [("device", text("theirs")), ("time", time), ("received", received), ("id", id), ("protocol", text("by hand"))];
    let speed = speed.map(|speed| ("position_speed", speed));
    RecordBatch::try_from_iter(columns.into_iter().chain(speed)).unwrap()
}

fn moments(times: Vec<Option<i64>>) -> ArrayRef {
    let times: Vec<Option<i64>> = times.into_iter().map(|time| Some(time? * 1000)).collect();
    Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
}

fn numbers(numbers: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(numbers))
}

fn texts(texts: Vec<&str>) -> ArrayRef {
    Arc::new(StringArray::from(texts))
}

/// Commits a file of the first day as another program would, which says no more of it than how many rows it has.
fn put_theirs(disk: &FaultDisk, name: &str, rows: &RecordBatch) -> PathBuf {
    let (bytes, path) = (parquet(rows), format!("day={}/{name}.parquet", DAYS[0]));
    let file = Path::new(TABLE).join(&path);
    disk.put(&file, &bytes);
    let stats = json!({"numRecords": rows.num_rows()}).to_string();
    let add = json!({"add": {
        "path": path, "partitionValues": {"day": DAYS[0]}, "size": bytes.len(), "modificationTime": NOW, "dataChange": true,
        "stats": stats
    }});
    let entries = log_entries(disk, "records").len();
    disk.put(&Path::new(TABLE).join(format!("_delta_log/{entries:020}.json")), format!("{add}\n").as_bytes());
    file
}

/// The ids and speeds in what the files of a day became.
fn merged(disk: &FaultDisk, day: &str) -> Vec<(i64, Option<f64>)> {
    let begin = format!("{TABLE}/day={day}/merged-");
    let mut found = Vec::new();
    for file in data_files(disk, "records").iter().filter(|file| file.to_string_lossy().starts_with(&begin)) {
        let bytes = bytes::Bytes::from(disk.content(file).unwrap());
        for rows in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
            let rows = rows.unwrap();
            let ids = rows.column_by_name("id").unwrap().as_primitive::<Int64Type>();
            let speeds = rows.column_by_name("position_speed").unwrap().as_primitive::<Float64Type>();
            found.extend(ids.values().iter().copied().zip(speeds.iter()));
        }
    }
    found
}

fn damaged(writer: &Writer) -> Vec<String> {
    writer.lake().damaged_files().into_iter().map(|unread| unread.file).collect()
}

/// A file of theirs that cannot become part of one of ours, beside one that can.
fn check(bad: &RecordBatch) {
    let disk = FaultDisk::new();
    let (mut writer, clock) = two_days(&disk);
    let speed = texts(vec!["64.0"]);
    put_theirs(&disk, "good", &theirs(numbers(vec![Some(778)]), moments(vec![Some(NOW)]), Some(speed)));
    let file = put_theirs(&disk, "bad", bad);
    let content = disk.content(&file);
    writer.maintain().unwrap();
    assert_eq!(by_day(&writer), counted([2, 1]), "all others of its day, and another day");
    assert_eq!(damaged(&writer), [file.display().to_string()]);
    let ours = |first: i64| (first..first + 4).map(|id| (id, Some(id as f64)));
    assert_eq!(merged(&disk, DAYS[0]), ours(1).chain([(778, Some(64.0))]).collect::<Vec<_>>());
    assert_eq!(merged(&disk, DAYS[1]), ours(11).collect::<Vec<_>>());
    clock.advance(2 * DAY);
    writer.maintain().unwrap();
    assert_eq!(data_files(&disk, "records").len(), 3, "what was merged is deleted");
    assert_eq!((disk.content(&file), by_day(&writer)), (content, counted([2, 1])), "and theirs is not");
    drop(writer);
    // Also for whoever has not seen it before.
    let (mut writer, clock) = open_with(&disk, Options::default()).unwrap();
    clock.advance(10 * DAY);
    writer.maintain().unwrap();
    assert_eq!(by_day(&writer), counted([2, 1]));
}

#[test]
fn a_row_without_a_time_or_an_id_is_not_merged() {
    check(&theirs(numbers(vec![Some(777), Some(779)]), moments(vec![None, Some(NOW)]), None));
    check(&theirs(numbers(vec![None]), moments(vec![Some(NOW)]), None));
}

#[test]
fn a_text_that_is_no_time_is_not_merged() {
    check(&theirs(numbers(vec![Some(777)]), texts(vec!["never"]), None));
}

#[test]
fn a_text_that_is_no_number_does_not_become_nothing() {
    let speeds = texts(vec!["50.0", "fast"]);
    check(&theirs(numbers(vec![Some(777), Some(779)]), moments(vec![Some(NOW); 2]), Some(speeds)));
}

#[test]
fn an_id_with_a_fraction_or_out_of_range_is_not_cut_off() {
    for id in [777.5, 1e300] {
        check(&theirs(Arc::new(Float64Array::from(vec![id])), moments(vec![Some(NOW)]), None));
    }
}

#[test]
fn what_cannot_be_read_of_others_keeps_nothing_from_becoming_a_file() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    push(&mut writer, 1);
    writer.flush(Lsn(150), true).unwrap();
    let file = put_theirs(&disk, "bad", &theirs(numbers(vec![Some(777)]), texts(vec!["never"]), None));
    push(&mut writer, 2);
    writer.flush(Lsn(250), true).unwrap();
    assert_eq!(damaged(&writer), [file.display().to_string()]);
    assert_eq!(ids(&writer.lake()), [1, 2, 777], "what can be read of it can be asked for");
    let devices = json(&writer.lake(), "SELECT device FROM devices ORDER BY device");
    assert_eq!(devices, [json!({"device": "device-1"}), json!({"device": "device-2"})], "and each of ours is known");
}

#[test]
fn a_write_that_failed_once_costs_no_day_its_merging() {
    let disk = FaultDisk::new();
    let (mut writer, clock) = two_days(&disk);
    disk.fail_write_after(0);
    let _ = writer.maintain();
    assert_eq!(damaged(&writer), [""; 0], "no file is to blame");
    clock.advance(DAY);
    writer.maintain().unwrap();
    assert_eq!(by_day(&writer), counted([1, 1]));
}
