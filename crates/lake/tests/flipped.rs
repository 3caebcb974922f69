//! A flipped bit in a file of any table is found, and never becomes part of another file.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_env::{Disk, Rng, SystemRng};
use odograph_lake::{CheckedFiles, EntriesOf, Event, Lake, Place, Scope, WantedEntries, Writer};
use odograph_model::{Lsn, Time};
use odograph_testkit::FaultDisk;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::*;

const TABLES: [&str; 3] = ["records", "frames", "events"];
/// Of each table.
const FLIPS: usize = 50;

fn checked(disk: &FaultDisk) -> CheckedFiles {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Lake::check_files(&Place::folder(shared, Path::new("/data/lake"))).unwrap()
}

fn trips() -> (Scope, Vec<Event>) {
    let trip = |number: u64| Event {
        id: format!("trip-{number}"),
        device: device(number),
        kind: "trip".to_owned(),
        begin: Time(NOW + number as i64),
        end: None,
        attributes: vec![("distance".to_owned(), number.to_string())],
    };
    let scope = Scope { kind: "trip".to_owned(), device: None, days: (TODAY, TODAY) };
    (scope, (0..30).map(trip).collect())
}

/// Records in so many files and one that was merged of eight, frames and events.
fn filled(disk: &FaultDisk, commits: u64) -> Writer {
    let mut writer = open(disk).unwrap();
    let (scope, trips) = trips();
    writer.replace_events("default", &scope, &trips).unwrap();
    for number in 0..commits {
        push(&mut writer, number);
        push_frame(&mut writer, number);
        writer.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    writer
}

fn number(below: usize) -> usize {
    let mut bytes = [0; 8];
    SystemRng.fill(&mut bytes);
    usize::try_from(u64::from_le_bytes(bytes) % below as u64).unwrap()
}

/// As errors name it.
/// As errors of stores name it.
fn named(file: &Path) -> String {
    file.display().to_string().trim_start_matches('/').to_owned()
}

fn read(lake: &Lake) -> Result<Vec<u64>, String> {
    let of = EntriesOf::All;
    let wanted = WantedEntries { node: 0, places: Lsn(0)..Lsn(u64::MAX), of, from: None, to: None, part_rows: 0 };
    let mut scan = lake.entries(&wanted).map_err(|error| error.line())?;
    let mut places = Vec::new();
    while let Some(rows) = scan.next_rows().map_err(|error| error.line())? {
        rows.each(|_, frame| {
            places.push(frame.place.0);
            Ok::<_, ()>(())
        })
        .unwrap();
    }
    Ok(places)
}

#[test]
fn every_flipped_bit_is_found_in_every_kind_of_file() {
    let disk = FaultDisk::new();
    drop(filled(&disk, 10));
    let sound: u64 = TABLES.iter().map(|table| data_files(&disk, table).len() as u64).sum();
    // What was merged is there until it is vacuumed, and is not part of a table any more.
    assert_eq!(checked(&disk), CheckedFiles { sound: sound - 16, unchecked: 0, damaged: Vec::new() });
    for table in TABLES {
        let files: Vec<PathBuf> =
            data_files(&disk, table).into_iter().filter(|file| is_part(&disk, table, file)).collect();
        for _ in 0..FLIPS {
            let file = &files[number(files.len())];
            let (offset, bit) = (number(disk.content(file).unwrap().len()), number(8));
            let flip = || disk.flip_bit(file, offset as u64, bit as u8);
            flip();
            let found = checked(&disk).damaged;
            let what = format!("bit {bit} of byte {offset} of {}", file.display());
            assert_eq!(found.len(), 1, "{what}: {found:?}");
            assert_eq!(
                (&*found[0].tenant, found[0].table, &found[0].file),
                ("default", table, &file.display().to_string()),
                "{what}"
            );
            assert_eq!(found[0].why, "its checksum is not the one that it was written with", "{what}");
            flip();
        }
    }
    assert_eq!(checked(&disk).damaged, []);
}

/// Whether a file is part of its table: not where it was merged into another one.
fn is_part(disk: &FaultDisk, table: &str, file: &Path) -> bool {
    table == "events" || file.to_string_lossy().contains("/merged-") || {
        let merged = data_files(disk, table).iter().any(|file| file.to_string_lossy().contains("/merged-"));
        // Eight of ten were: those of the last two commits are left.
        !merged || ["-850-", "-950-"].iter().any(|place| file.to_string_lossy().contains(place))
    }
}

#[test]
fn what_is_gone_is_found_and_a_lost_log_too() {
    let disk = FaultDisk::new();
    drop(filled(&disk, 2));
    let file = data_files(&disk, "frames").remove(0);
    disk.remove(&file).unwrap();
    let log: Vec<PathBuf> =
        disk.files().into_iter().filter(|path| path.to_string_lossy().contains("events/_delta_log")).collect();
    log.iter().for_each(|path| disk.remove(path).unwrap());
    let CheckedFiles { sound, damaged, .. } = checked(&disk);
    let found: Vec<_> = damaged.iter().map(|found| (found.table, found.file.clone())).collect();
    let of_log = ("events", "/data/lake/default/events/_delta_log".to_owned());
    assert!(
        found.contains(&("frames", file.display().to_string())) && found.contains(&of_log) && found.len() == 2,
        "{found:?}"
    );
    assert_eq!(sound, 3);
}

#[test]
fn a_flipped_bit_is_not_merged() {
    let disk = FaultDisk::new();
    let mut writer = filled(&disk, 7);
    let files = [data_files(&disk, "records").remove(3), data_files(&disk, "frames").remove(3)];
    // In the first page, behind the mark that Parquet files begin with.
    files.iter().for_each(|file| disk.flip_bit(file, 30, 0));
    for number in 7..20 {
        push(&mut writer, number);
        push_frame(&mut writer, number);
        writer.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    let merged = disk.files().iter().filter(|path| path.to_string_lossy().contains("/merged-")).count();
    assert_eq!(merged, 4, "the others are merged as before: twice of each table");
    let mut expected = files.each_ref().map(|file| file.display().to_string()).to_vec();
    expected.sort();
    let found: Vec<String> = writer.lake().damaged_files().into_iter().map(|unread| unread.file).collect();
    assert_eq!(found, expected);
    drop(writer);
    let mut found: Vec<String> = checked(&disk).damaged.into_iter().map(|damaged| damaged.file).collect();
    found.sort();
    assert_eq!(found, expected, "the damage is where it was");
    files.iter().for_each(|file| disk.flip_bit(file, 30, 0));
    let mut writer = open(&disk).unwrap();
    assert_eq!(ids(&writer.lake()), (0..20).collect::<Vec<_>>());
    assert_eq!(read(&writer.lake()).unwrap(), (0..20).map(|number| number * 100).collect::<Vec<_>>());
    writer.maintain().unwrap();
    assert_eq!(writer.lake().damaged_files(), []);
}

#[test]
fn damage_is_not_exported_nor_written_again() {
    let disk = FaultDisk::new();
    let mut writer = filled(&disk, 3);
    let events = data_files(&disk, "events").remove(0);
    let frames = data_files(&disk, "frames").remove(1);
    [&events, &frames].iter().for_each(|file| disk.flip_bit(file, 30, 0));
    let why = "is damaged: its checksum is not the one that it was written with";
    assert_eq!(read(&writer.lake()).unwrap_err(), format!("{} {why}", named(&frames)));
    let (scope, trips) = trips();
    let refused = writer.replace_events("default", &scope, &trips[..1]).unwrap_err();
    assert_eq!(refused.line(), format!("{} {why}", named(&events)));
    assert_eq!(data_files(&disk, "events"), [events]);
}

#[test]
fn a_file_of_before_there_were_checksums_is_said_to_be_unchecked() {
    let disk = FaultDisk::new();
    drop(filled(&disk, 1));
    let file = data_files(&disk, "records").remove(0);
    let name = file.file_name().unwrap().to_str().unwrap();
    let (begin, _) = name.split_once("-crc32c-").unwrap();
    let earlier = file.with_file_name(format!("{begin}.parquet"));
    disk.put(&earlier, &disk.content(&file).unwrap());
    disk.remove(&file).unwrap();
    change_log(&disk, |text| text.replace(name, &format!("{begin}.parquet")));
    assert_eq!(checked(&disk), CheckedFiles { sound: 2, unchecked: 1, damaged: Vec::new() });
    let mut writer = open(&disk).unwrap();
    for number in 1..8 {
        push(&mut writer, number);
        writer.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    assert_eq!(ids(&writer.lake()), (0..8).collect::<Vec<_>>());
    drop(writer);
    assert_eq!(checked(&disk).unchecked, 0, "it was merged");
    disk.put(&data_files(&disk, "events")[0], b"");
    assert_eq!(checked(&disk).damaged.len(), 1);
}
