//! What is erased is in no file of the lake any more, whenever the power goes; what others have is as it was.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_env::Disk;
use odograph_lake::{ErasedOf, FrameRow, Noted, Options, Place, Row};
use odograph_model::{Key, Lsn, Record, RecordId, Time};
use odograph_testkit::{FaultDisk, Moment, PowerCut};
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::*;

const GONE: &str = "867000000000017";
const OTHERS: [&str; 2] = ["111", "999"];
const DEVICE: ErasedOf<'static> = ErasedOf { tenant: "default", device: Some(GONE), received_to: None };

fn place(disk: &FaultDisk) -> Place {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Place::folder(disk, Path::new("/data/lake"))
}

/// Records and entries of three devices on three days, committed often enough that files were merged, and the same device of
/// another tenant.
fn filled() -> FaultDisk {
    let disk = FaultDisk::new();
    let (mut writer, _) = open_with(&disk, Options { checkpoint_commits: 4, ..Options::default() }).unwrap();
    for number in 0..30_u64 {
        let time = Time(NOW + i64::try_from(number / 10).unwrap() * DAY_MS + i64::try_from(number).unwrap());
        for (which, device) in [OTHERS[0], GONE, OTHERS[1]].into_iter().enumerate() {
            let place = Lsn(number * 1000 + which as u64 * 100 + 1);
            let mut record = Record::at(time);
            record.set(Key::PositionSpeed, number as f64);
            let id = RecordId(number * 10 + which as u64);
            let row = Row { device, time, received: time, id, protocol: "test", record: &record };
            for tenant in ["default", "another"] {
                if device == GONE || tenant == "default" {
                    writer.push(tenant, &row, place).unwrap();
                }
            }
            let frame = FrameRow {
                place,
                segment: Lsn(0),
                stream: 1,
                at: time,
                kind: 2,
                name: Some("frame"),
                device,
                decision: None,
                context: None,
                payload: device.as_bytes(),
            };
            writer.push_frame("default", &frame).unwrap();
        }
        if number % 2 == 1 {
            writer.flush(Lsn(number * 1000 + 999), true).unwrap();
        }
    }
    // One of which nothing else stands in the table: its file goes with it.
    let record = Record::at(Time(NOW - 9 * DAY_MS));
    let time = Time(NOW - 9 * DAY_MS);
    let alone = Row { device: GONE, time, received: time, id: RecordId(77), protocol: "test", record: &record };
    writer.push("default", &alone, Lsn(90_000)).unwrap();
    writer.flush(Lsn(99_000), true).unwrap();
    drop(writer);
    disk
}

fn has_tables(place: &Place, tenant: &str) -> Result<bool, odograph_lake::Error> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(place.has_tables(tenant))
}

/// The files that have a text.
fn has(disk: &FaultDisk, below: &str, text: &[u8]) -> Vec<String> {
    let has = |path: &std::path::PathBuf| {
        path.starts_with(below) && disk.content(path).unwrap().windows(text.len()).any(|bytes| bytes == text)
    };
    disk.files().into_iter().filter(has).map(|path| path.display().to_string()).collect()
}

/// What there is of a tenant, but of the device that goes.
fn others(disk: &FaultDisk) -> Vec<serde_json::Value> {
    let (writer, _) = open_with(disk, Options::default()).unwrap();
    let lake = writer.lake();
    let mut all = Vec::new();
    for sql in [
        "SELECT * FROM records WHERE device <> '867000000000017' ORDER BY id",
        "SELECT * FROM frames WHERE device <> '867000000000017' ORDER BY place",
        "SELECT * FROM last WHERE device <> '867000000000017' ORDER BY device",
        "SELECT * FROM devices WHERE device <> '867000000000017' ORDER BY device",
    ] {
        all.extend(json(&lake, sql));
    }
    all
}

fn check_erased(disk: &FaultDisk, before: &[serde_json::Value], what: &str) {
    assert_eq!(has(disk, "/data/lake/default", GONE.as_bytes()), Vec::<String>::new(), "{what}");
    assert_eq!(others(disk), before, "{what}");
    let (writer, _) = open_with(disk, Options::default()).unwrap();
    for table in ["records", "frames", "last", "devices"] {
        let sql = format!("SELECT count(*) AS n FROM {table} WHERE device = '{GONE}'");
        assert_eq!(json(&writer.lake(), &sql), [serde_json::json!({"n": 0})], "{what}: {table}");
    }
}

#[test]
fn a_device_goes_from_every_file_and_others_are_as_they_were() {
    let disk = filled();
    let before = others(&disk);
    assert!(has(&disk, "/data/lake/default", GONE.as_bytes()).len() > 3);
    let would = place(&disk).would_erase(0, DEVICE).unwrap();
    assert_eq!((would.records, would.frames, would.events, would.days), (31, 30, 0, 4));
    place(&disk).erase(0, DEVICE, Time(NOW)).unwrap();
    check_erased(&disk, &before, "erased");
    assert_eq!(place(&disk).would_erase(0, DEVICE).unwrap(), odograph_lake::ErasedRows::default());
    // Again is the same.
    place(&disk).erase(0, DEVICE, Time(NOW)).unwrap();
    check_erased(&disk, &before, "again");
    // The other tenant's has all that it had.
    let of_another = ErasedOf { tenant: "another", ..DEVICE };
    assert_eq!(place(&disk).would_erase(0, of_another).unwrap().records, 30);
    let held = place(&disk).segments_of_frames(0, Lsn(1), "default", None, &|| true).unwrap();
    assert_eq!([OTHERS[0], GONE, OTHERS[1]].map(|device| held.has(device, Lsn(0))), [true, false, true]);
    // It may come again.
    let (mut writer, _) = open_with(&disk, Options::default()).unwrap();
    let record = Record::at(Time(NOW));
    let row =
        Row { device: GONE, time: Time(NOW), received: Time(NOW), id: RecordId(1), protocol: "test", record: &record };
    assert_eq!(writer.ids_of_day("default", GONE, TODAY).unwrap().ids, []);
    writer.push("default", &row, Lsn(100_000)).unwrap();
    writer.flush(Lsn(100_001), true).unwrap();
    let found = json(&writer.lake(), &format!("SELECT records FROM devices WHERE device = '{GONE}'"));
    assert_eq!(found.len(), 1);
}

#[test]
fn what_was_received_later_stays_and_is_all_that_is_known() {
    let disk = filled();
    let before = others(&disk);
    assert_eq!(place(&disk).received_last(0, DEVICE).unwrap(), Some(Time(NOW + 2 * DAY_MS + 29)));
    let of = ErasedOf { received_to: Some(Time(NOW + DAY_MS + 18)), ..DEVICE };
    place(&disk).erase(0, of, Time(NOW)).unwrap();
    assert_eq!(others(&disk), before);
    let check = |what: &str| {
        let (writer, _) = open_with(&disk, Options::default()).unwrap();
        let json = |sql: &str| json(&writer.lake(), &format!("{sql} WHERE device = '{GONE}'"));
        assert_eq!(json("SELECT count(*) AS n FROM records"), [serde_json::json!({"n": 11})], "{what}");
        assert_eq!(json("SELECT count(*) AS n FROM frames"), [serde_json::json!({"n": 11})], "{what}");
        assert_eq!(json("SELECT records FROM devices"), [serde_json::json!({"records": 11})], "{what}");
        assert_eq!(json("SELECT position_speed AS v FROM last"), [serde_json::json!({"v": 29.0})], "{what}");
    };
    check("once");
    place(&disk).erase(0, of, Time(NOW)).unwrap();
    check("again");
}

#[test]
fn lines_that_others_used_are_found_in_frames() {
    let disk = filled();
    let mut noted = 0;
    let mut lines = |before: u64, device: &str| {
        let of = ErasedOf { device: Some(device), ..DEVICE };
        let none = &mut |_: &str, _: &str, _: Noted<'_>| noted += 1;
        place(&disk).lines_of_frames(0, Lsn(before), of, 2, &|| true, none).unwrap()
    };
    let found = lines(1, GONE);
    let others = OTHERS.map(|device| ("default".to_owned(), device.to_owned()));
    assert_eq!((found.rows, found.others), (60, others.into()), "all of them have one stream");
    assert_eq!(lines(0, GONE).rows, 0, "these the journal has");
    assert_eq!(lines(1, "nobody").rows, 0);
    assert_eq!(noted, 0);

    let (mut writer, _) = open_with(&disk, Options::default()).unwrap();
    let frame = FrameRow {
        place: Lsn(200_000),
        segment: Lsn(199_000),
        stream: 7,
        at: Time(NOW),
        kind: 2,
        name: Some("frame"),
        device: "a concentrator",
        decision: Some(&[2, 9]),
        context: None,
        payload: b"of several",
    };
    writer.push_frame("another", &frame).unwrap();
    let alone = FrameRow { place: Lsn(200_001), decision: Some(&[1, 9]), ..frame };
    writer.push_frame("another", &alone).unwrap();
    let first = FrameRow { place: Lsn(200_002), decision: None, context: Some(&[7, 7]), device: "a phone", ..frame };
    writer.push_frame("another", &first).unwrap();
    writer.flush(Lsn(300_000), true).unwrap();
    drop(writer);
    let mut all = Vec::new();
    let mut told = |tenant: &str, device: &str, noted: Noted<'_>| match noted {
        Noted::Decision(bytes) => all.push((tenant.to_owned(), device.to_owned(), "decision", bytes.to_vec())),
        Noted::Context(bytes) => all.push((tenant.to_owned(), device.to_owned(), "context", bytes.to_vec())),
    };
    let found = place(&disk).lines_of_frames(0, Lsn(u64::MAX >> 1), DEVICE, 2, &|| true, &mut told).unwrap();
    assert_eq!(found.rows, 60);
    let told = |device: &str, what, bytes| ("another".to_owned(), device.to_owned(), what, bytes);
    all.sort();
    let expected = [told("a concentrator", "decision", vec![2, 9]), told("a phone", "context", vec![7, 7])];
    assert_eq!(all, expected);
}

#[test]
fn segments_are_told_by_device_node_and_place_and_of_others_where_they_count() {
    let disk = filled();
    let (mut writer, _) = open_with(&disk, Options::default()).unwrap();
    for (number, device) in [GONE, "only theirs"].into_iter().enumerate() {
        let frame = FrameRow {
            place: Lsn(200_000 + number as u64),
            segment: Lsn(0),
            stream: 7,
            at: Time(NOW),
            kind: 2,
            name: Some("frame"),
            device,
            decision: None,
            context: None,
            payload: b"theirs",
        };
        writer.push_frame("another", &frame).unwrap();
        let later = FrameRow { segment: Lsn(150_000), place: Lsn(200_010 + number as u64), ..frame };
        writer.push_frame("another", &later).unwrap();
    }
    writer.flush(Lsn(300_000), true).unwrap();
    drop(writer);
    let held = |node, before, tenant: &str, device| {
        let held = place(&disk).segments_of_frames(node, Lsn(before), tenant, device, &|| true).unwrap();
        [GONE, "only theirs", OTHERS[0]].map(|device| {
            [0, 150_000].map(|segment| (held.has(device, Lsn(segment)), held.have_others(device, Lsn(segment))))
        })
    };
    let (none, own, both) = ((false, false), (true, false), (true, true));
    assert_eq!(held(0, 1, "default", None), [[both, none], [none, none], [own, none]]);
    assert_eq!(held(0, 1, "default", Some(OTHERS[0])), [[none; 2], [none; 2], [own, none]]);
    assert_eq!(held(0, 200_000, "default", Some(GONE)), [[both, (false, true)], [none; 2], [none; 2]]);
    assert_eq!(held(0, 200_000, "another", None), [[both, own], [own, own], [none; 2]]);
    assert_eq!(held(1, 200_000, "another", None), [[none; 2]; 3], "another node's are other segments");
    assert_eq!(held(0, 0, "another", None), [[none; 2]; 3], "these the journal has");
    assert!(place(&disk).segments_of_frames(0, Lsn(1), "default", None, &|| false).is_err());
}

/// Of each of these there is a record; the first is not to be mixed up with all of them.
const NAMES: [&str; 7] = ["", "..", "a", "a/b", "a.b", "NORTH", "north"];

#[test]
fn a_tenant_goes_and_no_other_whatever_it_is_called() {
    let disk = FaultDisk::new();
    let (mut writer, _) = open_with(&disk, Options::default()).unwrap();
    let long = "long".repeat(20);
    let names: Vec<&str> = NAMES.into_iter().chain([long.as_str()]).collect();
    for tenant in &names {
        let record = Record::at(Time(NOW));
        let (time, id) = (Time(NOW), RecordId(1));
        let row = Row { device: "1", time, received: time, id, protocol: "test", record: &record };
        writer.push(tenant, &row, Lsn(1)).unwrap();
    }
    writer.flush(Lsn(2), true).unwrap();
    drop(writer);
    let place = place(&disk);
    let mut left: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    left.sort();
    for tenant in names {
        let folder = place.folder_of_tenant(tenant).unwrap();
        assert_eq!(folder.parent(), Some(Path::new("/data/lake")), "{tenant}");
        assert!(disk.files().iter().any(|path| path.starts_with(&folder)), "{tenant}");
        place.erase(0, ErasedOf { tenant, device: None, received_to: None }, Time(NOW)).unwrap();
        assert!(!disk.files().iter().any(|path| path.starts_with(&folder)), "{tenant}");
        left.retain(|one| one != tenant);
        // The folders of what went are there, as a disk has them, and have no table.
        for one in &left {
            let of = ErasedOf { tenant: one, device: None, received_to: None };
            assert_eq!(place.would_erase(0, of).unwrap().records, 1, "{one} after {tenant}");
        }
    }
    assert_eq!(disk.files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn tables_that_cannot_be_listed_are_not_taken_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let place = Place::folder(Arc::new(odograph_env::LocalDisk), &lake);
    assert_eq!(place.tenants().unwrap(), [].into(), "there is none yet");
    assert!(!has_tables(&place, "default").unwrap());
    std::fs::write(&lake, b"no folder").unwrap();
    assert!(place.tenants().is_err());
    assert!(has_tables(&place, "default").is_err());
    assert!(place.would_erase(0, DEVICE).is_err());
    assert!(place.erase(0, DEVICE, Time(NOW)).is_err());
    std::fs::remove_file(&lake).unwrap();
    std::fs::create_dir_all(lake.join("default")).unwrap();
    // A link in a circle stands where a table might.
    std::os::unix::fs::symlink("records", lake.join("default/records")).unwrap();
    assert!(place.tenants().is_err());
    assert!(has_tables(&place, "default").is_err());
    assert!(place.erase(0, DEVICE, Time(NOW)).is_err());
}

#[test]
fn a_tenant_has_tables_until_all_of_it_is_being_erased() {
    let disk = filled();
    let place = place(&disk);
    let has = |tenant: &str| has_tables(&place, tenant).unwrap();
    assert_eq!(["default", "another", "nobody", "Default"].map(has), [true, true, false, false]);
    disk.create(Path::new("/data/lake/default/erasing")).unwrap();
    assert_eq!(["default", "another"].map(has), [false, true]);
}

#[test]
fn a_tenant_goes_as_a_whole() {
    let disk = filled();
    let of = ErasedOf { tenant: "default", device: None, received_to: None };
    assert_eq!(place(&disk).would_erase(0, of).unwrap().records, 91);
    place(&disk).erase(0, of, Time(NOW)).unwrap();
    assert_eq!(has(&disk, "/data/lake/default", b""), Vec::<String>::new());
    assert_eq!(place(&disk).would_erase(0, ErasedOf { tenant: "another", ..DEVICE }).unwrap().records, 30);
}

const TENANT: ErasedOf<'static> = ErasedOf { device: None, ..DEVICE };
const ANOTHER: ErasedOf<'static> = ErasedOf { tenant: "another", ..TENANT };

/// Whatever is left of the tenant, everything else works, and what was ordered can be done.
fn check_goes_on(disk: &FaultDisk, whole: odograph_lake::ErasedRows, what: &str) {
    let left = place(disk).would_erase(0, TENANT).unwrap();
    assert!(left == whole || left == odograph_lake::ErasedRows::default(), "{what}: half of it is seen: {left:?}");
    let (writer, _) = open_with(disk, Options::default()).unwrap();
    assert_eq!(writer.lake().broken_tables(), [], "{what}");
    drop(writer);
    assert_eq!(place(disk).would_erase(0, ANOTHER).unwrap().records, 30, "{what}");
    place(disk).erase(0, TENANT, Time(NOW)).unwrap();
    let left: Vec<_> = disk.files().into_iter().filter(|path| path.starts_with("/data/lake/default")).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new(), "{what}");
    assert_eq!(place(disk).would_erase(0, ANOTHER).unwrap().records, 30, "{what}");
}

#[test]
fn the_power_may_go_at_any_moment_while_a_tenant_goes() {
    let disk = filled();
    let whole = place(&disk).would_erase(0, TENANT).unwrap();
    let all_of = |disk: &FaultDisk| -> (Vec<std::path::PathBuf>, Vec<std::path::PathBuf>) {
        let is_object =
            |path: &std::path::PathBuf| path.starts_with("/data/lake/default") && path.extension().is_some();
        let of_log = |path: &std::path::PathBuf| path.components().any(|part| part.as_os_str() == "_delta_log");
        disk.files().into_iter().filter(is_object).partition(of_log)
    };
    let whole_log = all_of(&disk).0.len();
    let images = images_of(&disk, || place(&disk).erase(0, TENANT, Time(NOW)).unwrap());
    let (mut was_whole, mut was_gone) = (0, 0);
    for (image, what) in images {
        let left = place(&image).would_erase(0, TENANT).unwrap();
        was_whole += u32::from(left == whole);
        was_gone += u32::from(left != whole);
        // Rows never stay without all of the log that says what they are.
        let (log, data) = all_of(&image);
        assert!(data.is_empty() || log.len() == whole_log, "{what}: {log:?} {data:?}");
        check_goes_on(&image, whole, &what);
    }
    assert!(was_whole > 0 && was_gone > 3, "{was_whole} {was_gone}");
}

#[test]
fn a_disk_that_fails_while_a_tenant_goes_leaves_what_can_be_gone_on_with() {
    let disk = filled();
    let whole = place(&disk).would_erase(0, TENANT).unwrap();
    let mut failed = 0;
    for others in (0..).step_by(9) {
        let image = disk.kill_image();
        image.fail_sync_after(others);
        let erased = place(&image).erase(0, TENANT, Time(NOW));
        if erased.is_ok() {
            break;
        }
        failed += 1;
        // Whoever starts again finds what the disk has.
        let image = image.crash_image(PowerCut::Kept);
        check_goes_on(&image, whole, &format!("failed after {others}"));
    }
    assert!(failed > 2, "{failed}");
}

/// What the disk has after each operation of some work, as a power cut would leave it.
fn images_of(disk: &FaultDisk, work: impl FnOnce()) -> Vec<(FaultDisk, String)> {
    let images = Arc::new(Mutex::new(Vec::new()));
    disk.on_operation({
        let images = images.clone();
        move |disk, operation| {
            if operation.moment == Moment::After {
                let cut = if operation.ordinal % 2 == 0 { PowerCut::Random(operation.ordinal) } else { PowerCut::Kept };
                images.lock().unwrap().push((disk.crash_image(cut), format!("{cut:?} at {operation:?}")));
            }
        }
    });
    work();
    let images = std::mem::take(&mut *images.lock().unwrap());
    let apart = apart(images.len(), IMAGES_AUDITED);
    assert!(images.len() > IMAGES_AUDITED, "{}", images.len());
    images.into_iter().step_by(apart).collect()
}

#[test]
fn the_power_may_go_at_any_moment() {
    let disk = filled();
    let before = others(&disk);
    for (image, what) in images_of(&disk, || place(&disk).erase(0, DEVICE, Time(NOW)).unwrap()) {
        // What others have is there before it goes on, and afterwards.
        assert_eq!(others(&image), before, "{what}");
        place(&image).erase(0, DEVICE, Time(NOW)).unwrap();
        check_erased(&image, &before, &what);
    }
}

/// Each is opened three times.
const IMAGES_AUDITED: usize = 10;
