//! The latest records outlive restarts, power cuts and damage, and cost a start no reading of history.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_env::Disk as _;
use odograph_lake::Options;
use odograph_model::{Key, Lsn, Time, Value as Said};
use odograph_testkit::{FaultDisk, PowerCut};
use serde_json::{Value, json};
use support::{DAY_MS, NOW, Sent, TODAY, json, open, open_with, push_sent};

const CHECKPOINT: &str = "/data/lake/default/records/_odograph/last";

/// The record of a number: of one of three devices, a minute after the one before; late ones from 1,000 on.
fn sent(number: u64) -> Sent {
    let time = NOW + i64::try_from(number % 1000).unwrap() * 60_000;
    Sent { number, device: format!("device-{}", number % 3), time, late: number >= 1000, place: 0 }
}

fn last(writer: &odograph_lake::Writer) -> Vec<Value> {
    json(&writer.lake(), "SELECT device, id, position_speed FROM last ORDER BY device")
}

fn devices(writer: &odograph_lake::Writer) -> Vec<Value> {
    json(&writer.lake(), "SELECT device, records FROM devices ORDER BY device")
}

#[test]
fn the_latest_record_is_told_from_memory_and_files_alike_and_after_a_restart() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    // Newest first, as a backlog comes.
    for number in (0..30).rev().chain(1000..1010) {
        push_sent(&mut writer, &sent(number));
    }
    let expected: Vec<Value> = [27, 28, 29]
        .into_iter()
        .zip(0..)
        .map(|(id, device)| json!({"device": format!("device-{device}"), "id": id, "position_speed": f64::from(id)}))
        .collect();
    let counts = [13, 14, 13].into_iter().zip(0..);
    let counts: Vec<Value> =
        counts.map(|(records, device)| json!({"device": format!("device-{device}"), "records": records})).collect();
    for (when, flush) in [("before there is a file", false), ("from files", true)] {
        if flush {
            writer.flush(Lsn(200_000), true).unwrap();
        }
        assert_eq!(last(&writer), expected, "{when}");
        assert_eq!(devices(&writer), counts, "{when}");
        // The same from all records.
        let record = writer.lake().latest_record("default", "device-1").unwrap();
        let said = (record.time, record.get(Key::PositionSpeed).cloned());
        assert_eq!(said, (Some(Time(NOW + 28 * 60_000)), Some(Said::Float(28.0))), "{when}");
        let asked = "SELECT device, max(time) AS time FROM records GROUP BY device ORDER BY device";
        assert_eq!(json(&writer.lake(), asked), json(&writer.lake(), "SELECT device, time FROM last ORDER BY device"));
    }
    let one = "SELECT id FROM last WHERE device = 'device-1'";
    assert_eq!(json(&writer.lake(), one), [json!({"id": 28})]);
    assert_eq!(json(&writer.lake(), "SELECT count(*) AS n FROM last"), [json!({"n": 3})]);
    drop(writer);
    let writer = open(&disk).unwrap();
    assert_eq!((last(&writer), devices(&writer)), (expected, counts), "after a restart");
}

#[test]
fn a_start_reads_what_was_committed_since_the_checkpoint_and_no_more() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    let flush = |writer: &mut odograph_lake::Writer, number: u64, all| {
        push_sent(writer, &sent(number));
        writer.flush(Lsn(number * 100 + 50), all).unwrap();
    };
    (0..5).for_each(|number| flush(&mut writer, number, true));
    let saved = disk.content(CHECKPOINT.as_ref()).unwrap();
    (5..20).for_each(|number| flush(&mut writer, number, true));
    let (expected, counts, known) = (last(&writer), devices(&writer), known(&writer));
    drop(writer);
    // As after a crash before it was saved again; meanwhile small files became one.
    disk.put(CHECKPOINT.as_ref(), &saved);
    let counted: Vec<_> = (0..5).flat_map(|number| files(&disk, &format!("in-time-{}-", number * 100 + 50))).collect();
    assert_eq!(counted.len(), 5);
    counted.iter().for_each(|path| disk.put(path, b"was counted, and must not be read"));
    assert_eq!(files(&disk, "merged-").len(), 2, "rows that were counted are in files that were not");
    let mut writer = open(&disk).unwrap();
    assert_eq!((last(&writer), devices(&writer), self::known(&writer)), (expected, counts, known));
    assert!(!push_sent(&mut writer, &sent(19)), "it is in the table");
    assert!(push_sent(&mut writer, &sent(20)));
    assert_eq!(devices(&writer)[2], json!({"device": "device-2", "records": 7}));
}

/// Small files became one and were deleted before any of it was saved: what was committed cannot be read as it was.
#[test]
fn a_start_after_what_was_committed_was_merged_and_deleted_knows_every_record_and_alarms_nobody() {
    let disk = FaultDisk::new();
    let (mut writer, clock) = open_with(&disk, Options::default()).unwrap();
    let mut saved = None;
    for number in 0..10 {
        push_sent(&mut writer, &sent(number));
        writer.flush(Lsn(number * 100 + 50), true).unwrap();
        saved = saved.or_else(|| disk.content(CHECKPOINT.as_ref()));
    }
    clock.set_now(NOW + 3 * DAY_MS);
    clock.advance(Options::default().care_every);
    writer.maintain().unwrap();
    let small = files(&disk, "in-time-");
    assert_eq!(small.len(), 2, "eight became one: {small:?}");
    let (expected, counts, known) = (last(&writer), devices(&writer), known(&writer));
    drop(writer);
    disk.put(CHECKPOINT.as_ref(), &saved.unwrap());
    let mut writer = open(&disk).unwrap();
    assert_eq!(writer.lake().damaged_files(), [], "nothing is damaged");
    assert_eq!((last(&writer), devices(&writer), self::known(&writer)), (expected, counts, known));
    for device in 0..3 {
        let ids = writer.ids_of_day("default", &format!("device-{device}"), TODAY).unwrap().ids;
        assert_eq!(ids.len(), (0..10).filter(|number| number % 3 == device).count(), "what is sent again is found");
    }
    // One that the table has, and that nobody deleted for a reason, is told as ever.
    drop(writer);
    disk.remove(&small[0]).unwrap();
    disk.remove(CHECKPOINT.as_ref()).unwrap();
    let damaged: Vec<String> = open(&disk).unwrap().lake().damaged_files().into_iter().map(|of| of.file).collect();
    assert_eq!(damaged, [small[0].display().to_string()]);
}

#[test]
fn without_a_sound_checkpoint_the_files_tell() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    for number in 0..20 {
        push_sent(&mut writer, &sent(number));
        writer.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    let (expected, counts, known) = (last(&writer), devices(&writer), known(&writer));
    drop(writer);
    let sound = disk.content(CHECKPOINT.as_ref()).unwrap();
    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 4;
    for (what, bytes) in [("flipped", flipped), ("cut", sound[..40].to_vec()), ("empty", Vec::new())] {
        disk.put(CHECKPOINT.as_ref(), &bytes);
        let writer = open(&disk).unwrap();
        let found = (last(&writer), devices(&writer), self::known(&writer));
        assert_eq!(found, (expected.clone(), counts.clone(), known.clone()), "{what}");
    }
}

#[test]
fn a_kill_between_commit_and_checkpoint_counts_nothing_twice() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    for number in 0..10 {
        push_sent(&mut writer, &sent(number));
        push_sent(&mut writer, &sent(number + 1000));
    }
    writer.flush(Lsn(200_000), true).unwrap();
    let before = disk.content(CHECKPOINT.as_ref()).unwrap();
    for number in 10..20 {
        assert!(push_sent(&mut writer, &Sent { place: 300_000 + number, ..sent(number) }));
    }
    // Committed, and not saved; then read again from the journal's earlier place.
    writer.flush(Lsn(400_000), true).unwrap();
    drop(writer);
    disk.put(CHECKPOINT.as_ref(), &before);
    let image = disk.crash_image(PowerCut::Lost);
    let mut writer = open(&image).unwrap();
    for number in (0..20).chain(1000..1010) {
        let new = push_sent(&mut writer, &Sent { place: 100 + number, ..sent(number) });
        assert!(!new, "everything before the cursor is in the table");
    }
    let counts: i64 = devices(&writer).iter().map(|row| row["records"].as_i64().unwrap()).sum();
    assert_eq!(counts, 30);
    assert_eq!(json(&writer.lake(), "SELECT count(*) AS n FROM records"), [json!({"n": 30})]);
}

/// A device, and up to where there are records of it by its clock, by ours, and under a wrong one.
type Known = (String, [Option<Time>; 3]);

fn known(writer: &odograph_lake::Writer) -> Vec<Known> {
    let known = writer.latest().into_iter();
    let mut known: Vec<_> =
        known.map(|of| (of.device.to_string(), [of.by_device, of.by_receipt, of.wrong_until])).collect();
    known.sort();
    known
}

fn files(disk: &FaultDisk, part: &str) -> Vec<std::path::PathBuf> {
    disk.files().into_iter().filter(|path| path.to_string_lossy().contains(part)).collect()
}
