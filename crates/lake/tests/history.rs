//! Rows go in, are seen at once, become files, and are there once after whatever happens to the disk.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_lake::{Error, Grace, Keep, Limits, Options, Row, Writer};
use odograph_model::{AccessPoint, Alarm, Cell, Item, Key, Lsn, Record, RecordId, Time};
use odograph_testkit::{FaultDisk, Moment, PowerCut};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::*;

#[test]
fn a_row_is_seen_at_once_and_as_part_of_a_file_and_after_a_restart() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    for number in (0..10).chain(1000..1010) {
        assert!(push(&mut writer, number));
    }
    let all: Vec<i64> = (0..10).chain(1000..1010).collect();
    assert_eq!(ids(&writer.lake()), all, "before there is a file");
    assert_eq!(writer.committed(Lsn(200_000)), Lsn(0));
    assert_eq!(writer.flush(Lsn(200_000), true).unwrap(), 2, "in time, and late");
    assert_eq!(ids(&writer.lake()), all, "from files");
    assert_eq!(writer.committed(Lsn(200_000)), Lsn(200_000));
    let mut writer = open(&disk).unwrap();
    assert!(!push(&mut writer, 9), "the table has it already");
    assert!(push(&mut writer, 2001));
    assert_eq!(ids(&writer.lake()).len(), 21, "files and what waits, as one");
    let devices = json(&writer.lake(), "SELECT device, records FROM devices ORDER BY device");
    assert_eq!(
        devices,
        [
            json!({"device": "device-0", "records": 8}),
            json!({"device": "device-1", "records": 7}),
            json!({"device": "device-2", "records": 6})
        ]
    );
    assert_eq!(writer.ids_of_day("default", "device-0", 20_454).unwrap().ids.len(), 8);
}

#[test]
fn a_long_list_of_devices_gives_their_rows_whether_they_are_neighbours_or_not() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    let name = |number: usize| format!("truck-{number:03}");
    let put = |writer: &mut Writer, moment: i64| {
        for number in 0..100 {
            let (time, device) = (Time(NOW + moment), name(number));
            let record = Record::at(time);
            let id = RecordId((number as u64) << 8 | moment.cast_unsigned());
            let row = Row { device: &device, time, received: time, id, protocol: "test", record: &record };
            writer.push("default", &row, Lsn(100 + moment.cast_unsigned())).unwrap();
        }
    };
    put(&mut writer, 1);
    writer.flush(Lsn(200), true).unwrap();
    put(&mut writer, 2);
    let asked = |devices: &mut dyn Iterator<Item = usize>, not: &str| {
        let devices: Vec<_> = devices.map(|number| format!("'{}'", name(number))).collect();
        format!("SELECT count(*) AS number FROM records WHERE device {not} IN ({})", devices.join(", "))
    };
    for (devices, not, expected) in [
        (&mut (30..60_usize) as &mut dyn Iterator<Item = usize>, "", 60),
        (&mut (0..100).step_by(4), "", 50),
        (&mut (90..130), "", 20),
        (&mut (200..230), "", 0),
        (&mut (30..60), "NOT", 140),
    ] {
        assert_eq!(json(&writer.lake(), &asked(devices, not)), [json!({ "number": expected })]);
    }
    let plan = |devices: &mut dyn Iterator<Item = usize>| {
        json(&writer.lake(), &format!("EXPLAIN {}", asked(devices, "")))
            .iter()
            .map(Value::to_string)
            .collect::<String>()
    };
    assert!(plan(&mut (30..60)).contains("truck-059 AND"), "{}", plan(&mut (30..60)));
    assert!(!plan(&mut (0..100).step_by(4)).contains(" >= truck-000"));
}

#[test]
fn columns_appear_with_their_first_value_and_hold_all_kinds() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    push(&mut writer, 1);
    writer.flush(Lsn(150), true).unwrap();
    let time = Time(NOW + DAY_MS);
    let mut record = Record::at(time);
    record.set(Key::PositionSatellites, 7_u8);
    record.set(Key::EngineIgnitionStatus, true);
    record.set(Key::EventCode, "9");
    record.set(Key::TemperatureN(2), -18.5);
    record.alarm(Alarm::Sos);
    record.push(Key::GsmCells, Item::Cell(Cell { mcc: Some(250), cid: 7, ..Cell::default() }));
    record.push(Key::WifiAccessPoints, Item::AccessPoint(AccessPoint { mac: "00:11".into(), signal: Some(-60) }));
    record.raw("385", 1_u8);
    record.raw("385", 2_u8);
    let row = Row { device: "d", time, received: time, id: RecordId(u64::MAX), protocol: "test", record: &record };
    writer.push("default", &row, Lsn(200)).unwrap();
    let expected = json!({
        "device": "d", "time": "2026-01-02T00:00:00Z", "received": "2026-01-02T00:00:00Z", "id": -1, "protocol": "test",
        "day": "2026-01-02", "position_satellites": 7, "engine_ignition_status": true, "event_code": "9",
        "temperature_2": -18.5, "alarm": ["sos"], "gsm_cells": [{"mcc": 250, "cid": 7}],
        "wifi_access_points": [{"mac": "00:11", "signal": -60}], "raw": {"385": "2"}
    });
    let asked = "SELECT * FROM records WHERE device = 'd'";
    assert_eq!(json(&writer.lake(), asked), std::slice::from_ref(&expected), "before there is a file");
    writer.flush(Lsn(300), true).unwrap();
    assert_eq!(json(&writer.lake(), asked), std::slice::from_ref(&expected), "from files");
    drop(writer);
    let writer = open(&disk).unwrap();
    assert_eq!(json(&writer.lake(), asked), [expected], "after a restart");
    let other = json(&writer.lake(), "SELECT position_speed, raw FROM records WHERE device = 'device-1'");
    assert_eq!(other, [json!({"position_speed": 1.0})], "a row from before the columns were there");
}

#[test]
fn a_track_has_the_records_with_a_position() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    let asked = "SELECT * FROM track WHERE device = 'd' ORDER BY time";
    assert!(json(&writer.lake(), asked).is_empty(), "it is there for whoever asks");
    push(&mut writer, 1);
    assert!(json(&writer.lake(), "SELECT * FROM track").is_empty(), "a speed is no position");
    let mut at = |second: i64, direction: Option<f64>| {
        let time = Time(NOW + second * 1000);
        let mut record = Record::at(time);
        record.set(Key::PositionLatitude, 53.9);
        record.set(Key::PositionLongitude, 27.5);
        direction.into_iter().for_each(|direction| record.set(Key::PositionDirection, direction));
        let id = RecordId(second.cast_unsigned());
        let row = Row { device: "d", time, received: time, id, protocol: "test", record: &record };
        writer.push("default", &row, Lsn(200 + second.cast_unsigned())).unwrap();
        writer.flush(Lsn(201 + second.cast_unsigned()), second == 1).unwrap();
    };
    at(1, None);
    at(2, Some(90.0));
    let expected = |time: &str| json!({"device": "d", "day": "2026-01-01", "time": time, "position_latitude": 53.9, "position_longitude": 27.5});
    let mut second = expected("2026-01-01T00:00:02Z");
    second["position_direction"] = json!(90.0);
    assert_eq!(json(&writer.lake(), asked), [expected("2026-01-01T00:00:01Z"), second]);
}

#[test]
fn a_query_can_only_read() {
    let mut writer = open(&FaultDisk::new()).unwrap();
    push(&mut writer, 1);
    for sql in [
        "DROP TABLE records",
        "INSERT INTO records SELECT * FROM records",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "COPY records TO '/tmp/copied.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT 1; SELECT 2",
    ] {
        assert!(writer.lake().query("default", sql, Limits::default()).is_err(), "{sql}");
    }
    let few = Limits { rows: 1, ..Limits::default() };
    let mut answer = writer.lake().query("default", "SELECT * FROM (VALUES (1), (2), (3))", few).unwrap();
    assert!(matches!(answer.next_rows(), Err(Error::Refused(_))));
    assert_eq!(rows(&writer.lake(), "SELECT 1")[0].num_rows(), 1);
}

#[test]
fn a_full_disk_costs_no_row_and_is_waited_for() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    push(&mut writer, 1);
    disk.set_capacity(Some(disk.used()));
    let error = writer.flush(Lsn(150), true).unwrap_err();
    assert!(error.is_disk_full(), "{error:?}");
    assert_eq!(ids(&writer.lake()), [1]);
    push(&mut writer, 2);
    disk.set_capacity(None);
    assert_eq!(writer.flush(Lsn(250), true).unwrap(), 2, "what was on its way first");
    assert_eq!(ids(&writer.lake()), [1, 2]);
    assert_eq!(ids(&open(&disk).unwrap().lake()), [1, 2]);
}

#[test]
fn a_parameter_that_no_record_has_yet_is_nothing_and_an_unknown_name_is_an_error() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    let asked = "SELECT device, engine_rpm AS rpm, raw FROM records WHERE engine_rpm > 1000 OR temperature_3 IS NULL";
    assert_eq!(json(&writer.lake(), asked), Vec::<Value>::new(), "before there is a table");
    push(&mut writer, 1);
    for files in [false, true] {
        if files {
            writer.flush(Lsn(150), true).unwrap();
        }
        let lake = writer.lake();
        assert_eq!(json(&lake, asked), [json!({"device": "device-1"})]);
        assert_eq!(
            json(&lake, "SELECT max(l.\"engine_rpm\") AS n, count(*) AS rows FROM last l"),
            [json!({"rows": 1})]
        );
        assert_eq!(json(&lake, "SELECT device FROM records WHERE ENGINE_RPM > 1000"), Vec::<Value>::new());
        // What a question calls so itself is its own.
        let own = "SELECT device AS engine_rpm, count(*) AS n FROM records GROUP BY engine_rpm";
        assert_eq!(json(&lake, own), [json!({"engine_rpm": "device-1", "n": 1})]);
        let columns = lake.query("default", "SELECT * FROM records", Limits::default()).unwrap().schema();
        assert_eq!(columns.fields().len(), 7, "six that all records have, and the speed: {columns}");
    }
    for (sql, expected) in [
        ("SELECT rpm FROM records", "No field named rpm. Did you mean engine_rpm or "),
        ("SELECT enginerpm FROM last", "No field named enginerpm. Did you mean engine_rpm?"),
        (
            "SELECT engine_rpm, position_spede FROM records",
            "No field named position_spede. Did you mean 'records.position_speed'?",
        ),
        ("SELECT engine_rpm FROM frames", "No field named engine_rpm."),
        ("SELECT nonsense FROM records", "No field named nonsense."),
    ] {
        let said = writer.lake().query("default", sql, Limits::default()).unwrap_err().to_string();
        assert!(said.starts_with(expected), "{sql}: {said}");
    }
}

#[test]
fn a_table_that_lost_a_column_of_ours_is_refused_with_its_name() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    push(&mut writer, 1);
    writer.flush(Lsn(150), true).unwrap();
    drop(writer);
    change_log(&disk, |log| {
        let own = r#"\"name\":\"id\",\"type\":\"long\""#;
        log.replace(own, &own.replace("long", "integer"))
    });
    let why = open(&disk).unwrap().lake().broken_tables().remove(0).why;
    assert!(why.starts_with("the column id of the table /data/lake/default/records is Int32"), "{why}");
}

#[test]
fn a_question_opens_only_files_that_can_have_what_it_asks_for() {
    let mut writer = open(&FaultDisk::new()).unwrap();
    for day in 0..5 {
        for (device, number) in [("a", 0), ("m", 1), ("z", 2)] {
            let time = Time(NOW + day * DAY_MS);
            let (id, record) = (RecordId(day.cast_unsigned() * 3 + number), Record::at(time));
            let row = Row { device, time, received: time, id, protocol: "test", record: &record };
            writer.push("default", &row, Lsn(1)).unwrap();
        }
    }
    writer.flush(Lsn(2), true).unwrap();
    let lake = writer.lake();
    let plan = |wanted: &str| {
        let sql = format!("EXPLAIN SELECT device, time FROM records WHERE {wanted}");
        let rows = json(&lake, &sql);
        rows.iter().find(|row| row["plan_type"] == "physical_plan").unwrap()["plan"].as_str().unwrap().to_owned()
    };
    for (wanted, files) in [
        ("true", 5),
        ("day = '2026-01-03'", 1),
        ("time >= '2026-01-04T00:00:00Z'", 2),
        ("time < '2026-01-01T00:00:01Z' AND device = 'm'", 1),
        ("device = 'zz'", 0),
    ] {
        let plan = plan(wanted);
        assert_eq!(plan.matches(".parquet").count(), files, "{wanted}: {plan}");
        // What is left to ask is asked where the file is read.
        assert!(files == 0 || !plan.contains("FilterExec"), "{wanted}: {plan}");
    }
    // And with rows in memory besides.
    push(&mut writer, 7);
    let plan = plan("device = 'm' AND day = '2026-01-02'");
    assert_eq!(plan.matches(".parquet").count(), 1, "{plan}");
}

#[test]
fn many_small_files_become_few_and_hold_the_same_rows() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    for number in 0..100 {
        push(&mut writer, number);
        writer.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    let all: Vec<i64> = (0..100).collect();
    assert_eq!(ids(&writer.lake()), all);
    drop(writer);
    let mut writer = open(&disk).unwrap();
    assert_eq!(ids(&writer.lake()), all, "after a restart");
    assert!(!push(&mut writer, 99), "the cursor stands as before");
    let files = json(&writer.lake(), "SELECT count(*) AS rows FROM records");
    assert_eq!(files, [json!({"rows": 100})]);
    let merged = disk.files().iter().filter(|path| path.to_string_lossy().contains("/merged-")).count();
    assert!(merged >= 12, "{merged} files were made of others");
}

#[test]
fn after_a_power_cut_at_any_operation_files_and_cursor_agree() {
    let disk = FaultDisk::new();
    let images = Arc::new(Mutex::new(Vec::new()));
    let taken = images.clone();
    disk.on_operation(move |disk, operation| {
        let cut = match operation.ordinal % 3 {
            0 => PowerCut::Lost,
            1 => PowerCut::Kept,
            _ => PowerCut::Random(operation.ordinal),
        };
        if operation.moment == Moment::After {
            taken.lock().unwrap().push(disk.crash_image(cut));
        }
    });
    let (mut writer, clock) = open_with(&disk, careful()).unwrap();
    for round in 0..10 {
        for number in round * 4..round * 4 + 4 {
            push(&mut writer, number);
            push_late(&mut writer, number);
            push_old(&mut writer, number + 2000);
            push_frame(&mut writer, number);
        }
        writer.flush(Lsn((round * 4 + 4) * 100), true).unwrap();
        // Days that are not kept, small files, checkpoints, the log, files that nobody needs: all of it, each time.
        clock.advance(Duration::from_secs(3600));
        writer.maintain().unwrap();
    }
    drop(writer);
    disk.on_operation(|_, _| {});
    let images = std::mem::take(&mut *images.lock().unwrap());
    let apart = apart(images.len(), IMAGES_AUDITED);
    println!("{} images of a power cut, {} of them looked at", images.len(), images.len().div_ceil(apart));
    assert!(images.len() > 50, "only {}: the scenario has become too small to mean anything", images.len());
    // Each opens tables and commits to them, which takes a while: these are as many as a test may take.
    for (number, image) in images.iter().enumerate().step_by(apart) {
        audit(image).unwrap_or_else(|error| panic!("image {number}: {error}"));
    }
}

/// Spread over the whole scenario.
const IMAGES_AUDITED: usize = 100;

/// Everything is done as soon as it can be.
fn careful() -> Options {
    let grace = Grace { files: Duration::ZERO, log: Duration::ZERO };
    let keep = Keep { records: Some(10), ..Keep::default() };
    Options { keep, grace, checkpoint_commits: 10, ..Options::default() }
}

/// Adds a record that came late, under the number and 1,000, unless the table has it.
fn push_late(writer: &mut Writer, number: u64) {
    let time = NOW + i64::try_from(number).unwrap() * 60_000;
    // Behind what came in time at the same place, so that a place says whether both are there.
    let (number, device, place) = (number + 1000, device(number), number * 100 + 50);
    push_sent(writer, &Sent { number, device, time, late: true, place });
}

/// Adds a record of a day that is not kept.
fn push_old(writer: &mut Writer, number: u64) {
    let time = Time(NOW - 30 * DAY_MS);
    let record = Record::at(time);
    let received = Time(NOW);
    let row = Row { device: "old", time, received, id: RecordId(number), protocol: "test", record: &record };
    if !writer.has("default", &row, Lsn((number - 2000) * 100)).unwrap() {
        writer.push("default", &row, Lsn((number - 2000) * 100)).unwrap();
    }
}

/// The tables hold what is before their cursors, each row once; going on from there completes them.
fn audit(image: &FaultDisk) -> Result<(), String> {
    let (mut writer, _) = open_with(image, careful()).map_err(|error| format!("cannot be opened: {error:?}"))?;
    let kept = |writer: &Writer| ids(&writer.lake()).into_iter().filter(|id| *id < 2000).collect::<Vec<_>>();
    let (before, frames) = (ids(&writer.lake()), places(&writer.lake()));
    for numbers in [&before, &frames] {
        let mut once = numbers.clone();
        once.dedup();
        if once != **numbers {
            return Err(format!("a row is there twice: {numbers:?}"));
        }
    }
    // What a cursor says the table has is not taken, so that anything before it that is missing stays missing.
    for number in 0..40 {
        push(&mut writer, number);
        push_late(&mut writer, number);
        push_frame(&mut writer, number);
    }
    let expected: Vec<i64> = (0..40).chain(1000..1040).collect();
    let all: Vec<i64> = (0..40).map(|number| number * 100).collect();
    if (kept(&writer), places(&writer.lake())) != (expected.clone(), all.clone()) {
        return Err(format!("going on gives {:?}, {:?}", kept(&writer), places(&writer.lake())));
    }
    writer.flush(Lsn(4000), true).map_err(|error| format!("cannot be written: {error:?}"))?;
    writer.maintain().map_err(|error| format!("cannot be maintained: {error:?}"))?;
    if ids(&writer.lake()) == expected && places(&writer.lake()) == all {
        Ok(())
    } else {
        Err("other rows in files than before".to_owned())
    }
}
