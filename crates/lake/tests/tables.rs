//! Frames and events beside records, what is kept and for how long, and what other people do to the tables.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_lake::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use odograph_lake::{Besides, Event, Grace, Keep, Options, Parameters, Row, Scope, Stored, Wanted, stored};
use odograph_model::{Key, Lsn, Record, RecordId, Time};
use odograph_testkit::FaultDisk;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn entries_are_seen_at_once_and_come_back_whole_and_once() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    for number in 0..20 {
        push_frame(&mut writer, number);
    }
    let asked = "SELECT device, kind, place, decision IS NULL AS known FROM frames ORDER BY device, place LIMIT 2";
    let expected = [
        json!({"device": "device-0", "kind": "frame", "place": 0, "known": false}),
        json!({"device": "device-0", "kind": "frame", "place": 300, "known": true}),
    ];
    assert_eq!(json(&writer.lake(), asked), expected, "before there is a file");
    assert_eq!(writer.committed_frames(Lsn(2000)), Lsn(0));
    assert_eq!(writer.flush(Lsn(2000), true).unwrap(), 1);
    assert_eq!(writer.committed_frames(Lsn(2000)), Lsn(2000));
    assert_eq!(json(&writer.lake(), asked), expected, "from a file");
    let mut writer = open(&disk).unwrap();
    for number in 0..25 {
        push_frame(&mut writer, number);
    }
    assert_eq!(
        places(&writer.lake()),
        (0..25).map(|number| number * 100).collect::<Vec<_>>(),
        "those it had are not taken"
    );
    writer.flush(Lsn(2500), true).unwrap();
    let mut found = Vec::new();
    let all = writer.lake().frames_of_segment(0, Lsn(1000), None, |frame| {
        found.push((frame.device.to_owned(), frame.place.0, frame.payload.to_vec(), frame.context.map(<[u8]>::to_vec)));
    });
    all.unwrap();
    let mut expected: Vec<_> =
        (10..20_u64).map(|number| (device(number), number * 100, payload(number), context(number))).collect();
    expected.sort();
    assert_eq!(found, expected, "one segment, by device and place");
    let mut of_one = Vec::new();
    writer.lake().frames_of_segment(0, Lsn(1000), Some("device-1"), |frame| of_one.push(frame.place.0)).unwrap();
    assert_eq!(of_one, [1000, 1300, 1600, 1900]);
}

#[test]
fn long_entries_become_files_before_they_fill_the_memory() {
    let disk = FaultDisk::new();
    let options = Options { waiting_bytes_max: 1 << 20, ..Options::default() };
    let (mut writer, _) = open_with(&disk, options).unwrap();
    let long = vec![7; 200 << 10];
    for number in 0..20 {
        push_bytes(&mut writer, number, &long);
        writer.flush(Lsn(number * 100 + 50), false).unwrap();
    }
    // Six of them are more than may wait.
    assert_eq!(writer.committed_frames(Lsn(1950)), Lsn(1800));
    assert_eq!(places(&writer.lake()).len(), 20);
}

#[test]
fn events_are_replaced_in_one_commit_and_others_stay() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    let event = |id: &str, device: &str, kind: &str, days: i64| Event {
        id: id.to_owned(),
        device: device.to_owned(),
        kind: kind.to_owned(),
        begin: Time(NOW + days * DAY_MS),
        end: (days == 0).then(|| Time(NOW + days * DAY_MS + 60_000)),
        attributes: vec![("place".to_owned(), id.to_uppercase())],
    };
    let scope = |device: Option<&str>, kind: &str| Scope {
        kind: kind.to_owned(),
        device: device.map(str::to_owned),
        days: (TODAY, TODAY + 9),
    };
    let told = |writer: &odograph_lake::Writer| -> Vec<Value> {
        json(&writer.lake(), "SELECT event FROM events ORDER BY event")
    };
    assert!(told(&writer).is_empty(), "the table is there for whoever asks");
    writer.replace_events("default", &scope(None, "trip"), &[]).unwrap();
    assert!(
        disk.files().iter().all(|path| !path.to_string_lossy().contains("/events/")),
        "and appears with its first event"
    );
    let trips = [event("a", "one", "trip", 0), event("b", "two", "trip", 0), event("c", "one", "trip", 3)];
    writer.replace_events("default", &scope(None, "trip"), &trips).unwrap();
    writer.replace_events("default", &scope(None, "stop"), &[event("s", "one", "stop", 0)]).unwrap();
    writer.replace_events("default", &scope(Some("one"), "trip"), &[event("d", "one", "trip", 1)]).unwrap();
    assert_eq!(told(&writer), [json!({"event": "b"}), json!({"event": "d"}), json!({"event": "s"})]);
    let refused = writer.replace_events("default", &scope(Some("one"), "trip"), &[event("e", "two", "trip", 0)]);
    assert_eq!(refused.unwrap_err().to_string(), "the event e is outside of what is to be replaced");
    let writer = open(&disk).unwrap();
    let row = json(&writer.lake(), "SELECT * FROM events WHERE event = 's'");
    let expected = json!({
        "device": "one", "begin": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z", "kind": "stop", "event": "s",
        "attributes": {"place": "S"}, "day": "2026-01-01"
    });
    assert_eq!(row, [expected]);
}

#[test]
fn days_that_are_not_kept_go_with_their_files_and_the_rest_stays() {
    let disk = FaultDisk::new();
    let keep = Keep { records: Some(5), frames: Some(3), events: None };
    let (mut writer, clock) = open_with(&disk, Options { keep, ..Options::default() }).unwrap();
    for day in 0..10 {
        clock.set_now(NOW + day * DAY_MS);
        push_at(&mut writer, day as u64, Time(NOW + day * DAY_MS));
        push_frame_at(&mut writer, day as u64, Time(NOW + day * DAY_MS));
        writer.flush(Lsn(day as u64 * 100 + 50), true).unwrap();
    }
    assert_eq!((ids(&writer.lake()).len(), places(&writer.lake()).len()), (10, 10));
    let mut reading =
        writer.lake().query("default", "SELECT id FROM records", odograph_lake::Limits::default()).unwrap();
    writer.maintain().unwrap();
    assert_eq!(ids(&writer.lake()), [4, 5, 6, 7, 8, 9], "the last five days and today");
    assert_eq!(places(&writer.lake()), [600, 700, 800, 900]);
    assert_eq!(data_files(&disk, "records").len(), 10, "who reads an older version still can");
    clock.set_now(NOW + 11 * DAY_MS);
    clock.advance(Duration::from_secs(3600));
    writer.maintain().unwrap();
    let mut rows = 0;
    while let Some(batch) = reading.next_rows().unwrap() {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 10, "a query that began before reads to its end, however old");
    drop(reading);
    clock.advance(DAY + Duration::from_secs(3600));
    writer.maintain().unwrap();
    assert_eq!(data_files(&disk, "records").len(), 4, "those that went more than a day ago are deleted");
    let writer = open(&disk).unwrap();
    assert_eq!((ids(&writer.lake()), places(&writer.lake())), (vec![7, 8, 9], vec![900]));
}

#[test]
fn a_clock_that_leaps_ahead_empties_no_history() {
    let disk = FaultDisk::new();
    let keep = Keep { records: Some(5), frames: Some(5), events: None };
    let open = || open_with(&disk, Options { keep, ..Options::default() }).unwrap();
    let (mut writer, clock) = open();
    let mut number = 0;
    let mut days =
        |writer: &mut odograph_lake::Writer, clock: &odograph_testkit::TestClock, days: std::ops::Range<i64>| {
            for day in days {
                clock.set_now(NOW + day * DAY_MS);
                clock.advance(Duration::from_secs(3600));
                push_at(writer, number, Time(NOW + day * DAY_MS));
                push_frame_at(writer, number, Time(NOW + day * DAY_MS));
                writer.flush(Lsn(number * 100 + 50), true).unwrap();
                writer.maintain().unwrap();
                number += 1;
            }
        };
    days(&mut writer, &clock, 0..10);
    let kept: Vec<i64> = (4..10).collect();
    assert_eq!(ids(&writer.lake()), kept, "the last five days and today");
    drop(writer);
    // The machine begins in the year 2080, and devices send.
    const LEAP_DAYS: i64 = 54 * 365;
    let (mut writer, clock) = open();
    days(&mut writer, &clock, LEAP_DAYS..LEAP_DAYS + 6);
    let all: Vec<i64> = (4..16).collect();
    assert_eq!((ids(&writer.lake()), places(&writer.lake()).len()), (all.clone(), 12), "nothing went");
    drop(writer);
    // Also not after another start.
    let (mut writer, clock) = open();
    clock.set_now(NOW + (LEAP_DAYS + 6) * DAY_MS);
    writer.maintain().unwrap();
    assert_eq!(ids(&writer.lake()), all);
    // Somebody puts it right, and days go as before.
    days(&mut writer, &clock, 11..12);
    assert_eq!(ids(&writer.lake()), [vec![6, 7, 8, 9], (10..17).collect()].concat());
    // Where it was right after all, a week of receipts says so.
    days(&mut writer, &clock, LEAP_DAYS + 7..LEAP_DAYS + 8);
    assert_eq!(ids(&writer.lake()), [12, 13, 14, 15, 17]);
}

#[test]
fn a_table_stays_small_whatever_the_number_of_commits() {
    let disk = FaultDisk::new();
    let grace = Grace { files: Duration::from_secs(60), log: Duration::from_secs(60) };
    let (mut writer, clock) =
        open_with(&disk, Options { grace, checkpoint_commits: 20, ..Options::default() }).unwrap();
    for number in 0..150 {
        push(&mut writer, number);
        writer.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    clock.set_now(NOW + 2 * DAY_MS);
    writer.maintain().unwrap();
    assert_eq!(ids(&writer.lake()), (0..150).collect::<Vec<_>>());
    let (data, log) = (data_files(&disk, "records"), log_entries(&disk, "records"));
    assert!(data.len() < 20, "{data:?}");
    assert!(log.len() <= 40, "{} entries of the log", log.len());
    let last = disk.content(Path::new("/data/lake/default/records/_delta_log/_last_checkpoint")).unwrap();
    let last: Value = serde_json::from_slice(&last).unwrap();
    assert!(last["version"].as_u64().unwrap() >= 140, "{last}");
    let mut writer = open(&disk).unwrap();
    assert_eq!(ids(&writer.lake()), (0..150).collect::<Vec<_>>(), "after a restart");
    assert!(!push(&mut writer, 149), "the cursor is in the checkpoint");
}

#[test]
fn a_day_that_is_over_becomes_one_file_whatever_its_files_are() {
    let disk = FaultDisk::new();
    let (mut writer, clock) = open_with(&disk, Options::default()).unwrap();
    let mut count = 0;
    for rows in [1, 40, 3, 2, 100] {
        for _ in 0..rows {
            push(&mut writer, count);
            count += 1;
        }
        writer.flush(Lsn(count * 100), true).unwrap();
    }
    let files = |writer: &odograph_lake::Writer| writer.lake().files("default").values().sum::<usize>();
    writer.maintain().unwrap();
    assert_eq!(files(&writer), 5, "today there may be more");
    clock.set_now(NOW + DAY_MS);
    clock.advance(DAY);
    writer.maintain().unwrap();
    assert_eq!(files(&writer), 1);
    let all: Vec<i64> = (0..146).collect();
    assert_eq!(ids(&writer.lake()), all);
    // Somebody's backlog: it is not written again for each row that comes to it.
    for number in count..count + 3 {
        push(&mut writer, number);
        writer.flush(Lsn((number + 1) * 100), true).unwrap();
        clock.advance(DAY);
        writer.maintain().unwrap();
    }
    assert_eq!(files(&writer), 4);
    let writer = open(&disk).unwrap();
    assert_eq!((ids(&writer.lake()), files(&writer)), ((0..149).collect(), 4), "after a restart");
}

#[test]
fn a_table_that_is_idle_is_looked_after() {
    let disk = FaultDisk::new();
    let keep = Keep { records: Some(1), ..Keep::default() };
    let (mut writer, _) = open_with(&disk, Options { keep, ..Options::default() }).unwrap();
    push(&mut writer, 1);
    writer.flush(Lsn(150), true).unwrap();
    writer.maintain().unwrap();
    assert_eq!(ids(&writer.lake()), [1]);
    drop(writer);
    let (mut writer, clock) = open_with(&disk, Options { keep, ..Options::default() }).unwrap();
    clock.set_now(NOW + 5 * DAY_MS);
    writer.maintain().unwrap();
    assert!(ids(&writer.lake()).is_empty(), "nothing was written, and the day goes all the same");
    clock.set_now(NOW + 7 * DAY_MS);
    clock.advance(DAY);
    writer.maintain().unwrap();
    assert!(data_files(&disk, "records").is_empty());
}

#[test]
fn two_writers_of_one_table_lose_nothing_and_double_nothing() {
    let disk = FaultDisk::new();
    let mut one = open(&disk).unwrap();
    let (mut other, _) = open_with(&disk, Options { node: 1, ..Options::default() }).unwrap();
    for number in 0..20 {
        push(if number % 2 == 0 { &mut one } else { &mut other }, number);
        // The other one's commits come between.
        one.flush(Lsn(number * 100 + 50), true).unwrap();
        other.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    one.maintain().unwrap();
    assert_eq!(ids(&one.lake()), (0..20).collect::<Vec<_>>(), "what the other one wrote last is found and shown");
    other.maintain().unwrap();
    drop((one, other));
    let mut writer = open(&disk).unwrap();
    assert_eq!(ids(&writer.lake()), (0..20).collect::<Vec<_>>());
    assert!(!push(&mut writer, 18), "each has its own cursor");
}

#[test]
fn somebody_elses_columns_and_files_stay_beside_ours() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    push(&mut writer, 1);
    writer.flush(Lsn(150), true).unwrap();
    put_foreign_file(&disk);
    for number in 2..20 {
        push(&mut writer, number);
        writer.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    let check = |writer: &odograph_lake::Writer| {
        let mut expected: Vec<i64> = (1..20).collect();
        expected.push(777);
        assert_eq!(ids(&writer.lake()), expected);
        let foreign = json(&writer.lake(), "SELECT driver, position_speed FROM records WHERE id = 777");
        assert_eq!(foreign, [json!({"driver": "Ada"})]);
    };
    check(&writer);
    writer.maintain().unwrap();
    drop(writer);
    check(&open(&disk).unwrap());
}

/// Adds an entry to the log of a tenant's records, as another program would.
fn put_entry(disk: &FaultDisk, tenant: &str, lines: &[Value]) {
    let log = PathBuf::from(format!("/data/lake/{tenant}/records/_delta_log"));
    let entries = disk.files().into_iter().filter(|path| path.starts_with(&log) && path.extension().unwrap() == "json");
    let next = log.join(format!("{:020}.json", entries.count()));
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    disk.put(&next, text.as_bytes());
}

/// The first line of a tenant's log that says this.
fn line_of(disk: &FaultDisk, tenant: &str, what: &str) -> Value {
    let log = PathBuf::from(format!("/data/lake/{tenant}/records/_delta_log"));
    let mut entries: Vec<_> = disk.files().into_iter().filter(|path| path.starts_with(&log)).collect();
    entries.sort();
    let texts = entries.iter().map(|path| String::from_utf8(disk.content(path).unwrap()).unwrap());
    let lines: Vec<Value> = texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
        .collect();
    lines.into_iter().find(|line| line.get(what).is_some()).unwrap()
}

/// What somebody else sets of one tenant's table costs no other tenant anything, and is told with what to do.
fn check_foreign(entry: impl Fn(&FaultDisk) -> Vec<Value>, why: impl Fn(&FaultDisk) -> String) {
    let disk = FaultDisk::new();
    let push_to = |writer: &mut odograph_lake::Writer, tenant: &str, number: u64| {
        let (time, record) = (Time(NOW), Record::at(Time(NOW)));
        let id = RecordId(number);
        let row = Row { device: "d", time, received: time, id, protocol: "test", record: &record };
        if !writer.has(tenant, &row, Lsn(number)).unwrap() {
            writer.push(tenant, &row, Lsn(number)).unwrap();
        }
    };
    let mut writer = open(&disk).unwrap();
    push_to(&mut writer, "one", 1);
    push_to(&mut writer, "two", 2);
    writer.flush(Lsn(3), true).unwrap();
    put_entry(&disk, "two", &entry(&disk));
    let why = why(&disk);
    let told = |writer: &odograph_lake::Writer| {
        let broken = writer.lake().broken_tables();
        let told = broken.iter().map(|it| (it.tenant.to_string(), it.table, it.why.clone())).collect::<Vec<_>>();
        let expected = [("two".to_owned(), "records", why.clone())];
        assert_eq!(told, expected);
    };
    // A server that runs begins again, and opens all tables.
    push_to(&mut writer, "one", 4);
    push_to(&mut writer, "two", 5);
    let refused = writer.flush(Lsn(6), true).unwrap_err();
    assert_eq!(refused.line(), why);
    drop(writer);
    let mut writer = open(&disk).unwrap();
    told(&writer);
    for number in [4, 7] {
        push_to(&mut writer, "one", number);
        push_to(&mut writer, "two", number + 1);
    }
    writer.flush(Lsn(9), true).unwrap();
    writer.maintain().unwrap();
    let count = |tenant: &str| {
        let mut answer =
            writer.lake().query(tenant, "SELECT id FROM records", odograph_lake::Limits::default()).ok()?;
        let mut rows = 0;
        while let Some(batch) = answer.next_rows().unwrap() {
            rows += batch.num_rows();
        }
        Some(rows)
    };
    assert_eq!((count("one"), count("two")), (Some(3), None));
    told(&writer);
    assert_eq!(writer.committed(Lsn(9)), Lsn(0), "what came for it stays in the journal");
}

#[test]
fn features_that_somebody_set_cost_nobody_else_anything() {
    let protocol = |features: &'static [&'static str]| {
        move |_: &FaultDisk| {
            vec![json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": features}})]
        }
    };
    let begin = "somebody else set features of the table /data/lake/two/records that we must not write with: ";
    let end = "), or put the table back from a backup";
    let drop = |feature: &str| format!("ALTER TABLE delta.`/data/lake/two/records` DROP FEATURE {feature}");
    let with = "Take them away with the program that set them (in Spark: ";
    let why =
        format!("{begin}clustering, domainMetadata. {with}{}; {}{end}", drop("clustering"), drop("domainMetadata"));
    check_foreign(protocol(&["appendOnly", "invariants", "domainMetadata", "clustering"]), |_| why.clone());
    let why =
        format!("{begin}domainMetadata, rowTracking. {with}{}; {}{end}", drop("domainMetadata"), drop("rowTracking"));
    check_foreign(protocol(&["appendOnly", "invariants", "domainMetadata", "rowTracking"]), |_| why.clone());
    let mapping = |disk: &FaultDisk| {
        let mut metadata = line_of(disk, "two", "metaData");
        metadata["metaData"]["configuration"]["delta.columnMapping.mode"] = json!("name");
        metadata["metaData"]["configuration"]["delta.columnMapping.maxColumnId"] = json!("50");
        let mut schema: Value = serde_json::from_str(metadata["metaData"]["schemaString"].as_str().unwrap()).unwrap();
        for (id, field) in schema["fields"].as_array_mut().unwrap().iter_mut().enumerate() {
            field["metadata"]["delta.columnMapping.id"] = json!(id + 1);
            field["metadata"]["delta.columnMapping.physicalName"] = field["name"].clone();
        }
        metadata["metaData"]["schemaString"] = Value::String(schema.to_string());
        vec![json!({"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}), metadata]
    };
    let unset = "ALTER TABLE delta.`/data/lake/two/records` SET TBLPROPERTIES ('delta.columnMapping.mode' = 'none')";
    check_foreign(mapping, |_| format!("{begin}columnMapping. {with}{unset}{end}"));
}

#[test]
fn rows_that_somebody_deleted_in_place_cost_nobody_else_anything() {
    let deleted = |disk: &FaultDisk| {
        let add = line_of(disk, "two", "add");
        let mut after = add.clone();
        after["add"]["deletionVector"] = json!({
            "storageType": "i", "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", "sizeInBytes": 40,
            "cardinality": 1
        });
        let remove = json!({"remove": {"path": add["add"]["path"], "dataChange": true, "deletionTimestamp": NOW,
            "partitionValues": add["add"]["partitionValues"], "size": add["add"]["size"], "extendedFileMetadata": true}});
        let features = json!(["deletionVectors"]);
        let writer = json!(["deletionVectors", "appendOnly", "invariants"]);
        let protocol = json!({"protocol":
            {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": writer}});
        let mut metadata = line_of(disk, "two", "metaData");
        metadata["metaData"]["configuration"]["delta.enableDeletionVectors"] = json!("true");
        vec![protocol, metadata, remove, after]
    };
    let why = |disk: &FaultDisk| {
        let add = line_of(disk, "two", "add");
        let (file, table) = (add["add"]["path"].as_str().unwrap(), "/data/lake/two/records");
        format!(
            "somebody else deleted rows of the table {table} in place, in the file {file}. Write its files again with the program \
             that did it (in Spark: ALTER TABLE delta.`{table}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = false), then \
             REORG TABLE delta.`{table}` APPLY (PURGE)), or put the table back from a backup"
        )
    };
    check_foreign(deleted, why);
}

#[test]
fn a_column_that_somebody_made_another_keeps_its_name_and_ours_takes_another() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    let time = Time(NOW);
    let mut record = Record::at(time);
    record.set(Key::PositionSatellites, 7_u8);
    let row = Row { device: "d", time, received: time, id: RecordId(9), protocol: "test", record: &record };
    writer.push("default", &row, Lsn(1)).unwrap();
    writer.flush(Lsn(50), true).unwrap();
    drop(writer);
    change_log(&disk, |log| {
        let own = r#"\"name\":\"position_satellites\",\"type\":\"long\""#;
        log.replace(own, &own.replace("satellites", "speed").replace("long", "string"))
    });
    let mut writer = open(&disk).unwrap();
    push(&mut writer, 1);
    let asked = "SELECT id, position_speed_own FROM records ORDER BY id";
    let expected = [json!({"id": 1, "position_speed_own": 1.0}), json!({"id": 9})];
    assert_eq!(json(&writer.lake(), asked), expected, "before there is a file");
    check_speed(&writer);
    writer.flush(Lsn(150), true).unwrap();
    check_speed(&writer);
    push(&mut writer, 2);
    writer.flush(Lsn(250), true).unwrap();
    assert_eq!(json(&open(&disk).unwrap().lake(), asked).len(), 3);
}

/// Where the speed of the record 1 is asked for by what it is, and not by what its column is called.
fn check_speed(writer: &odograph_lake::Writer) {
    let last = "SELECT device, position_speed, position_speed_own FROM last ORDER BY device";
    let expected = [json!({"device": "d"}), json!({"device": "device-1", "position_speed_own": 1.0})];
    assert_eq!(json(&writer.lake(), last), expected);
    let only = Parameters { keys: vec![Key::PositionSpeed], raw: false };
    for parameters in [None, Some(only)] {
        let (wanted, besides) = (Wanted { parameters, ..Wanted::default() }, Besides::default());
        let mut scan = writer.lake().scan(None, wanted, besides, |_, _| true).unwrap();
        let mut speeds = Vec::new();
        while let Some(rows) = scan.next_rows().unwrap() {
            let speed = |of: Stored<'_>| Some((of.id.0, of.record.get(Key::PositionSpeed)?.clone()));
            speeds.extend(stored(&rows).unwrap().filter_map(speed));
        }
        assert_eq!(speeds, [(1, odograph_model::Value::Float(1.0))]);
    }
}

#[test]
fn what_no_calendar_has_is_kept_and_stops_nothing() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    let times = [i64::MIN, -62_167_219_200_001, -1, 315_532_800_000, 3_471_292_800_000, 253_402_300_800_000, i64::MAX];
    for (number, time) in times.into_iter().enumerate() {
        push_at(&mut writer, number as u64, Time(time));
    }
    writer.flush(Lsn(1000), true).unwrap();
    let days = json(&open(&disk).unwrap().lake(), "SELECT id, day FROM records ORDER BY id");
    let days: Vec<_> = days.iter().map(|row| row["day"].as_str().unwrap().to_owned()).collect();
    let expected = ["0000-01-01", "0000-01-01", "1969-12-31", "1980-01-01", "2080-01-01", "9999-12-29", "9999-12-29"];
    assert_eq!(days, expected);
}

#[test]
fn a_device_that_invents_keys_fills_one_column_and_no_memory() {
    let disk = FaultDisk::new();
    let options = Options { flush_bytes: 256 << 10, ..Options::default() };
    let (mut writer, _) = open_with(&disk, options).unwrap();
    let mut commits = 0;
    for number in 0..100_u64 {
        let time = Time(NOW + number as i64);
        let mut record = Record::at(time);
        for key in 0..1000_i64 {
            record.raw(format!("invented-{number}-{key}"), key);
        }
        let row = Row { device: "d", time, received: time, id: RecordId(number), protocol: "test", record: &record };
        writer.push("default", &row, Lsn(number * 100)).unwrap();
        commits += writer.flush(Lsn(number * 100 + 50), false).unwrap();
    }
    commits += writer.flush(Lsn(20_000), true).unwrap();
    assert!(commits > 3, "what waits is counted in bytes: {commits}");
    let lake = open(&disk).unwrap().lake();
    let counted = json(&lake, "SELECT count(*) AS rows, sum(cardinality(raw)) AS elements FROM records");
    assert_eq!(counted, [json!({"rows": 100, "elements": 100_000})]);
    let columns =
        json(&lake, "SELECT count(*) AS columns FROM information_schema.columns WHERE table_name = 'records'");
    assert_eq!(columns, [json!({"columns": 7})], "the fixed ones, and one for all of that");
}

#[test]
fn a_full_disk_at_any_operation_costs_no_entry_and_doubles_none() {
    for spare in (0..16).map(|step| step * 1000) {
        let disk = FaultDisk::new();
        let mut writer = open(&disk).unwrap();
        push_frame(&mut writer, 0);
        push(&mut writer, 0);
        writer.flush(Lsn(50), true).unwrap();
        push_frame(&mut writer, 1);
        push(&mut writer, 1);
        disk.set_capacity(Some(disk.used() + spare));
        let full = writer.flush(Lsn(150), true);
        assert!(
            full.as_ref().is_ok_and(|commits| *commits == 2) || full.is_err_and(|error| error.is_disk_full()),
            "{spare}"
        );
        push_frame(&mut writer, 2);
        push(&mut writer, 2);
        assert_eq!(
            (ids(&writer.lake()), places(&writer.lake())),
            (vec![0, 1, 2], vec![0, 100, 200]),
            "{spare} bytes spare"
        );
        disk.set_capacity(None);
        writer.flush(Lsn(250), true).unwrap();
        drop(writer);
        let writer = open(&disk).unwrap();
        assert_eq!(
            (ids(&writer.lake()), places(&writer.lake())),
            (vec![0, 1, 2], vec![0, 100, 200]),
            "{spare} bytes spare"
        );
    }
}

/// A record of a device at a time.
fn push_at(writer: &mut odograph_lake::Writer, number: u64, time: Time) {
    let record = Record::at(time);
    let received = Time(NOW);
    let row = Row { device: "d", time, received, id: RecordId(number), protocol: "test", record: &record };
    writer.push("default", &row, Lsn(number * 100)).unwrap();
}

/// A commit as somebody else's program would make it: a column of its own, and a file without what ours say.
fn put_foreign_file(disk: &FaultDisk) {
    let time = TimestampMicrosecondArray::from(vec![NOW * 1000]).with_timezone("UTC");
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let moment: ArrayRef = Arc::new(time);
    let rows = RecordBatch::try_from_iter([
        ("device", text("foreign")),
        ("time", moment.clone()),
        ("received", moment),
        ("id", Arc::new(Int64Array::from(vec![777])) as ArrayRef),
        ("protocol", text("by hand")),
        ("driver", text("Ada")),
    ])
    .unwrap();
    let bytes = parquet(&rows);
    let table = PathBuf::from("/data/lake/default/records");
    disk.put(&table.join("day=2026-01-01/foreign.parquet"), &bytes);
    let entries = log_entries(disk, "records");
    let metadata = entries.iter().rev().find_map(|path| {
        let text = String::from_utf8(disk.content(path).unwrap()).unwrap();
        let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>().into_iter();
        lines.find(|line| line.contains("\"metaData\""))
    });
    let mut metadata: Value = serde_json::from_str(&metadata.unwrap()).unwrap();
    let mut schema: Value = serde_json::from_str(metadata["metaData"]["schemaString"].as_str().unwrap()).unwrap();
    let column = json!({"name": "driver", "type": "string", "nullable": true, "metadata": {}});
    schema["fields"].as_array_mut().unwrap().push(column);
    metadata["metaData"]["schemaString"] = Value::String(schema.to_string());
    let add = json!({"add": {
        "path": "day=2026-01-01/foreign.parquet", "partitionValues": {"day": "2026-01-01"}, "size": bytes.len(),
        "modificationTime": NOW, "dataChange": true
    }});
    let next = table.join(format!("_delta_log/{:020}.json", entries.len()));
    disk.put(&next, format!("{metadata}\n{add}\n").as_bytes());
}
