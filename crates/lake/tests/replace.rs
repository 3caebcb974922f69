//! A period replaced by what decoding it again gives: told first, then done in one commit, or not at all.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_lake::{Difference, Error, Gathered, KeyDifference, Options, Period, Row, Writer};
use odograph_model::{Key, Lsn, Record, RecordId, Time};
use odograph_testkit::{FaultDisk, Moment, PowerCut};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use support::*;

const HOUR_MS: i64 = 60 * 60 * 1000;
/// Each is opened, read, and replaced in.
const IMAGES_AUDITED: usize = 40;

/// The first day and the one after it, by receipt.
const PERIOD: Period =
    Period { from: Time(NOW), to: Time(NOW + 2 * DAY_MS), lead_ms: DAY_MS, behind_ms: 400 * DAY_MS, ahead_ms: DAY_MS };

/// When the record of a number was received: a quarter of an hour after the one before.
fn received(number: u64) -> Time {
    Time(NOW + i64::try_from(number).unwrap() * HOUR_MS / 4)
}

/// The record of a number as a device's clock of a zone gives it.
fn with_row(number: u64, zone_hours: i64, take: impl FnOnce(&Row<'_>)) {
    let time = received(number).plus_ms(-zone_hours * HOUR_MS);
    let mut record = Record::at(time);
    record.set(Key::PositionSpeed, number as f64);
    let id = RecordId(number + 1000 * zone_hours.unsigned_abs());
    let device = device(number);
    take(&Row { device: &device, time, received: received(number), id, protocol: "test", record: &record });
}

fn push_row(writer: &mut Writer, number: u64, zone_hours: i64) {
    with_row(number, zone_hours, |row| writer.push("default", row, Lsn(number)).unwrap());
}

/// What decoding numbers again gives.
fn again(numbers: impl Iterator<Item = u64>, zone_hours: i64) -> Gathered {
    let mut gathered = Gathered::default();
    for number in numbers {
        gathered.readable(&device(number), received(number));
        with_row(number, zone_hours, |row| gathered.push(row, Some(row.time), None));
    }
    gathered
}

fn compare(writer: &Writer, gathered: Gathered) -> Difference {
    let devices: Vec<_> = (0..3).map(|number| device(number).into()).collect();
    writer.past("default").compare(&PERIOD, &devices, gathered).unwrap()
}

fn history(writer: &Writer) -> Vec<Value> {
    json(&writer.lake(), "SELECT device, time, received, id, position_speed, day FROM records ORDER BY id")
}

/// A lake with 24 records of six hours in two files of a day, and one of a month before.
fn filled(disk: &FaultDisk) -> Writer {
    let (mut writer, _) = open_with(disk, Options::default()).unwrap();
    for half in 0..2 {
        for number in half * 12..half * 12 + 12 {
            push_row(&mut writer, number, 0);
        }
        writer.flush(Lsn(half * 100 + 100), true).unwrap();
    }
    let time = Time(NOW - 30 * DAY_MS);
    let record = Record::at(time);
    let old = Row { device: "device-0", time, received: time, id: RecordId(777), protocol: "test", record: &record };
    writer.push("default", &old, Lsn(300)).unwrap();
    writer.flush(Lsn(400), true).unwrap();
    writer
}

#[test]
fn with_nothing_to_correct_nothing_changes() {
    let disk = FaultDisk::new();
    let mut writer = filled(&disk);
    // The last ones came twice.
    let difference = compare(&writer, again((0..24).chain(20..24), 0));
    assert!(
        difference.devices.values().all(|device| device.same == 8 && device.keys.is_empty()),
        "{:?}",
        difference.devices
    );
    assert!(difference.replacement.is_empty());
    let before = log_entries(&disk, "records");
    assert_eq!(writer.replace_records("default", &difference.replacement).unwrap(), None);
    assert_eq!(log_entries(&disk, "records"), before);
}

#[test]
fn a_corrected_zone_moves_records_across_days_and_the_old_version_stays() {
    let disk = FaultDisk::new();
    let mut writer = filled(&disk);
    let difference = compare(&writer, again(0..24, 2));
    let of = &difference.devices["device-0"];
    assert_eq!((of.same, of.new, of.gone, of.changed, of.moved_days, of.kept), (0, 0, 0, 8, 3, 0));
    let example = (Some("2026-01-01T00:00:00Z".to_owned()), Some("2025-12-31T22:00:00Z".to_owned()));
    let time = KeyDifference { appeared: 0, vanished: 0, changed: 8, example };
    assert_eq!(of.keys, [("time".to_owned(), time)].into());
    let files = data_files(&disk, "records");
    let replaced = writer.replace_records("default", &difference.replacement).unwrap().unwrap();
    assert_eq!(replaced.after, replaced.before + 1);
    let mut expected = Vec::new();
    let other = FaultDisk::new();
    let (mut fresh, _) = open_with(&other, Options::default()).unwrap();
    for number in 0..24 {
        push_row(&mut fresh, number, 2);
    }
    expected.extend(history(&fresh));
    let now = history(&writer);
    assert_eq!(now.iter().filter(|row| row["id"] != 777).cloned().collect::<Vec<_>>(), expected);
    assert_eq!(now.len(), 25, "what is outside of the period stays");
    let there = data_files(&disk, "records");
    assert!(files.iter().all(|file| there.contains(file)), "the files of the old version");
    let log = log_entries(&disk, "records");
    let last = String::from_utf8(disk.content(log.last().unwrap()).unwrap()).unwrap();
    assert_eq!((last.matches("\"remove\":").count(), last.matches("\"add\":").count()), (2, 2), "one commit: {last}");
    assert_eq!(history(&open(&disk).unwrap()), now, "also for who opens it next");
    assert!(compare(&writer, again(0..24, 2)).replacement.is_empty(), "replayed once more");
}

#[test]
fn what_cannot_be_decoded_again_stays_and_what_is_elsewhere_does_not_come_twice() {
    let disk = FaultDisk::new();
    let mut writer = filled(&disk);
    // The first twelve frames are not kept any more.
    let difference = compare(&writer, again(12..24, 2));
    let of = &difference.devices["device-1"];
    assert_eq!((of.changed, of.kept, of.gone), (4, 4, 0));
    // A record that came first before the period, and one that came first after it.
    let mut gathered = again(0..24, 0);
    let time = Time(NOW - 30 * DAY_MS);
    let record = Record::at(time);
    let second =
        Row { device: "device-0", time, received: received(3), id: RecordId(777), protocol: "test", record: &record };
    gathered.push(&second, Some(time), None);
    let record = Record::at(received(500));
    let later = Row {
        device: "device-0",
        time: received(500),
        received: received(500),
        id: RecordId(888),
        protocol: "test",
        record: &record,
    };
    writer.push("default", &later, Lsn(500)).unwrap();
    writer.flush(Lsn(600), true).unwrap();
    gathered.push(&Row { received: received(3), ..later }, Some(later.time), None);
    assert!(compare(&writer, gathered).replacement.is_empty());
}

#[test]
fn new_and_gone_records_are_told_with_their_values() {
    let disk = FaultDisk::new();
    let mut writer = filled(&disk);
    let mut gathered = again(0..23, 0);
    gathered.readable(&device(23), received(23));
    let mut record = Record::at(received(21).plus_ms(5));
    record.set(Key::PositionSpeed, 99.0);
    record.set(Key::PositionSatellites, 7_i64);
    let more = Row {
        device: "device-0",
        time: record.time.unwrap(),
        received: received(21),
        id: RecordId(555),
        protocol: "test",
        record: &record,
    };
    gathered.push(&more, record.time, None);
    let difference = compare(&writer, gathered);
    let (zero, two) = (&difference.devices["device-0"], &difference.devices["device-2"]);
    assert_eq!((zero.same, zero.new, zero.gone, zero.changed), (8, 1, 0, 0));
    assert_eq!((two.same, two.new, two.gone, two.changed), (7, 0, 1, 0));
    let one = |appeared, vanished, before: Option<&str>, now: Option<&str>| {
        let example = (before.map(str::to_owned), now.map(str::to_owned));
        KeyDifference { appeared, vanished, changed: 0, example }
    };
    assert_eq!(zero.keys["position.satellites"], one(1, 0, None, Some("7")));
    assert_eq!(two.keys["position.speed"], one(0, 1, Some("23.0"), None));
    writer.replace_records("default", &difference.replacement).unwrap().unwrap();
    let found = json(
        &writer.lake(),
        "SELECT count(*) AS rows, max(position_satellites) AS most, max(id) AS id FROM records WHERE id <> 777",
    );
    assert_eq!(found, [serde_json::json!({"rows": 24, "most": 7, "id": 555})]);
}

#[test]
fn what_is_not_any_more_what_was_looked_at_is_left_alone() {
    let disk = FaultDisk::new();
    let mut writer = filled(&disk);
    let difference = compare(&writer, again(0..24, 2));
    // One of the records comes again, and is read as it is to be read from now on.
    with_row(5, 2, |row| writer.push("default", &Row { received: received(400), ..*row }, Lsn(700)).unwrap());
    assert!(
        matches!(writer.replace_records("default", &difference.replacement), Err(Error::Changed)),
        "it waits in memory"
    );
    writer.flush(Lsn(800), true).unwrap();
    let before = history(&writer);
    assert!(
        matches!(writer.replace_records("default", &difference.replacement), Err(Error::Changed)),
        "it is in a file"
    );
    assert_eq!(history(&writer), before);
    let difference = compare(&writer, again(0..24, 2));
    writer.replace_records("default", &difference.replacement).unwrap().unwrap();
    let ids: Vec<i64> = (0..24).map(|number| number + 2000).collect();
    assert_eq!(support::ids(&writer.lake()), [vec![777], ids].concat(), "each once");
    // What was replaced cannot be replaced again.
    assert!(matches!(writer.replace_records("default", &difference.replacement), Err(Error::Changed)));
}

#[test]
fn after_a_power_cut_at_any_operation_there_is_the_old_history_or_the_new_one() {
    let disk = FaultDisk::new();
    let mut writer = filled(&disk);
    let before = history(&writer);
    let difference = compare(&writer, again(0..24, 2));
    let images = Arc::new(Mutex::new(Vec::new()));
    let taken = images.clone();
    disk.on_operation(move |disk, operation| {
        let mut images = taken.lock().unwrap();
        images.push(disk.kill_image());
        for cut in [PowerCut::Lost, PowerCut::Kept, PowerCut::Random(operation.ordinal)] {
            if operation.moment == Moment::After {
                images.push(disk.crash_image(cut));
            }
        }
    });
    writer.replace_records("default", &difference.replacement).unwrap().unwrap();
    disk.on_operation(|_, _| {});
    let after = history(&writer);
    let images = std::mem::take(&mut *images.lock().unwrap());
    let apart = apart(images.len(), IMAGES_AUDITED);
    println!("{} images, {} of them looked at", images.len(), images.len().div_ceil(apart));
    assert!(images.len() > 40, "only {}", images.len());
    let (mut old, mut new) = (0, 0);
    for (number, image) in images.iter().enumerate().step_by(apart) {
        let mut found = open(image).unwrap();
        let is = history(&found);
        assert!(is == before || is == after, "image {number}: {is:?}");
        if is == before {
            old += 1;
        } else {
            new += 1;
        }
        // It can be done, or need not be done, from there.
        let difference = compare(&found, again(0..24, 2));
        assert_eq!(difference.replacement.is_empty(), is == after);
        found.replace_records("default", &difference.replacement).unwrap();
        assert_eq!(history(&found), after, "image {number}");
    }
    assert!(old > 0 && new > 0, "{old} before, {new} after");
}

#[test]
fn a_disk_that_is_full_costs_nothing() {
    let disk = FaultDisk::new();
    let mut writer = filled(&disk);
    let before = history(&writer);
    let difference = compare(&writer, again(0..24, 2));
    disk.set_capacity(Some(disk.used() + 100));
    let failed = writer.replace_records("default", &difference.replacement).unwrap_err();
    assert!(failed.is_disk_full(), "{failed:?}");
    assert_eq!(history(&writer), before);
    disk.set_capacity(None);
    writer.replace_records("default", &difference.replacement).unwrap().unwrap();
    assert_eq!(history(&writer).len(), 25);
}
