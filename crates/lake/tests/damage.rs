//! Files that were cut short or are gone, and a log that is lost: each is said by name, and costs nobody else anything.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_env::{Disk, LocalDisk};
use odograph_lake::{
    BehindTable, Error, Fault, FrameRow, Grace, Lake, Limits, Options, Place, Reach, Row, Unread, Writer,
};
use odograph_model::{Lsn, Record, RecordId, Time};
use odograph_testkit::{FaultDisk, TestClock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use support::*;

/// The files of two commits of the same day, each with records of all three devices.
fn two_files(disk: &FaultDisk) -> Vec<PathBuf> {
    let mut writer = open(disk).unwrap();
    for number in 0..12 {
        push(&mut writer, number);
        if number % 6 == 5 {
            writer.flush(Lsn(number * 100 + 50), true).unwrap();
        }
    }
    let files = data_files(disk, "records");
    assert_eq!(files.len(), 2, "{files:?}");
    files
}

fn cut_short(disk: &FaultDisk, file: &Path) {
    let whole = disk.content(file).unwrap();
    disk.put(file, &whole[..whole.len() - 700]);
}

fn refused(lake: &Lake) -> Error {
    let read = || -> Result<(), Error> {
        let mut answer = lake.query("default", "SELECT * FROM records", Limits::default())?;
        while answer.next_rows()?.is_some() {}
        Ok(())
    };
    read().unwrap_err()
}

#[test]
fn a_file_that_was_cut_short_is_an_error_that_names_it() {
    let disk = FaultDisk::new();
    let files = two_files(&disk);
    cut_short(&disk, &files[0]);
    let error = refused(&open(&disk).unwrap().lake());
    assert_eq!(error.fault(), Fault::Lasting, "whoever asked can do nothing about it: {error:?}");
    let said = error.to_string();
    assert!(said.contains(&format!("{} is damaged: it ends at byte", files[0].display())), "{said}");
    assert!(!said.contains('\n'), "{said}");
}

#[test]
fn a_damaged_file_hides_no_ids_but_its_own_and_is_told() {
    for is_gone in [true, false] {
        let disk = FaultDisk::new();
        let files = two_files(&disk);
        let mut writer = open(&disk).unwrap();
        let before = writer.ids_of_day("default", "device-0", TODAY).unwrap();
        assert_eq!((before.ids.len(), before.unread), (4, Vec::<Unread>::new()));
        drop(writer);
        match is_gone {
            true => disk.remove(&files[0]).unwrap(),
            false => cut_short(&disk, &files[0]),
        }
        let mut writer = open(&disk).unwrap();
        let known = writer.ids_of_day("default", "device-0", TODAY).unwrap();
        assert_eq!(known.ids.len(), 2);
        let path = files[0].display().to_string();
        assert_eq!(known.unread.iter().map(|unread| format!("/{}", unread.file)).collect::<Vec<_>>(), [path]);
        assert!(!known.unread[0].why.is_empty() && !known.unread[0].why.contains('\n'), "{known:?}");
        assert_eq!(writer.ids_of_day("default", "device-0", TODAY + 1).unwrap().unread, [], "of another day");
    }
}

#[test]
fn a_start_without_a_checkpoint_passes_a_damaged_file() {
    let disk = FaultDisk::new();
    let files = two_files(&disk);
    disk.remove(Path::new("/data/lake/default/records/_odograph/last")).unwrap();
    cut_short(&disk, &files[1]);
    let mut writer = open(&disk).unwrap();
    let known = writer.latest();
    assert_eq!(known.len(), 3, "{known:?}");
    assert!(push(&mut writer, 50));
    writer.flush(Lsn(5050), true).unwrap();
    assert_eq!(data_files(&disk, "records").len(), 3, "and goes on");
}

#[test]
fn a_table_that_lost_its_log_is_not_made_anew() {
    let disk = FaultDisk::new();
    let files = two_files(&disk);
    let log: Vec<_> = disk.files().into_iter().filter(|path| path.to_string_lossy().contains("_delta_log")).collect();
    let kept: Vec<_> = log.iter().map(|path| (path.clone(), disk.content(path).unwrap())).collect();
    log.iter().for_each(|path| disk.remove(path).unwrap());
    let broken = open(&disk).unwrap().lake().broken_tables();
    assert_eq!((broken.len(), &*broken[0].tenant, broken[0].table), (1, "default", "records"));
    let begin = "the table /data/lake/default/records has lost its log: there is no _delta_log, and ";
    let why = &broken[0].why;
    assert!(why.starts_with(begin) && why.contains("Put _delta_log back from a backup"), "{why}");
    let asked = open(&disk).unwrap().lake().query("default", "SELECT 1", Limits::default()).unwrap_err();
    assert!(matches!(asked, Error::Broken { .. }) && asked.fault() == Fault::Lasting, "{asked:?}");
    assert_eq!(data_files(&disk, "records"), files);
    kept.iter().for_each(|(path, content)| disk.put(path, content));
    assert_eq!(ids(&open(&disk).unwrap().lake()), (0..12).collect::<Vec<_>>());
}

/// A record and an entry of a tenant, as the journal would have them at the place of a number.
fn push_of(writer: &mut Writer, tenant: &str, number: u64) {
    let (time, device, place) = (Time(NOW + number as i64 * 60_000), device(number), Lsn(number * 100));
    let record = Record::at(time);
    let row = Row { device: &device, time, received: time, id: RecordId(number), protocol: "test", record: &record };
    if !writer.has(tenant, &row, place).unwrap() {
        writer.push(tenant, &row, place).unwrap();
    }
    let (segment, kind, name, stream) = (Lsn(0), 2, Some("frame"), 0);
    let (decision, context, payload) = (None, None, &b"bytes"[..]);
    let row = FrameRow { place, segment, stream, at: time, kind, name, device: &device, decision, context, payload };
    writer.push_frame(tenant, &row).unwrap();
}

fn counted(writer: &Writer, tenant: &str) -> Result<(usize, usize), String> {
    let count = |table: &str| {
        let sql = format!("SELECT * FROM {table}");
        let mut answer = writer.lake().query(tenant, &sql, Limits::default()).map_err(|error| error.line())?;
        let mut rows = 0;
        while let Some(batch) = answer.next_rows().map_err(|error| error.line())? {
            rows += batch.num_rows();
        }
        Ok::<_, String>(rows)
    };
    Ok((count("records")?, count("frames")?))
}

#[test]
fn a_tenants_damaged_log_costs_that_tenant_alone_until_it_is_put_back() {
    let disk = FaultDisk::new();
    let (mut writer, _) = open_with(&disk, Options::default()).unwrap();
    for number in 0..6 {
        push_of(&mut writer, ["one", "two"][number as usize % 2], number);
    }
    writer.flush(Lsn(600), true).unwrap();
    drop(writer);
    let first = Path::new("/data/lake/two/records/_delta_log/00000000000000000000.json");
    let kept = disk.content(first).unwrap();
    disk.put(first, b"{\"not\": ");
    let (mut writer, clock) = open_with(&disk, Options::default()).unwrap();
    for number in 6..12 {
        push_of(&mut writer, ["one", "two"][number as usize % 2], number);
    }
    writer.flush(Lsn(1200), true).unwrap();
    assert_eq!(counted(&writer, "one"), Ok((6, 6)), "goes on");
    let refused = counted(&writer, "two").unwrap_err();
    let begin = "the table /data/lake/two/records cannot be opened, and what came for it since waits in the journal";
    assert!(refused.starts_with(begin), "{refused}");
    let broken = writer.lake().broken_tables();
    assert_eq!(broken.iter().map(|it| (&*it.tenant, it.table)).collect::<Vec<_>>(), [("two", "records")]);
    // Of the table that is lost nobody knows what it has; those of frames are whole.
    assert_eq!((writer.committed(Lsn(1200)), writer.committed_frames(Lsn(1200))), (Lsn(0), Lsn(1200)));
    assert!(writer.has_broken() && !writer.has_waiting());
    clock.advance(Duration::from_secs(61));
    assert_eq!(writer.flush(Lsn(1200), false).unwrap(), 0, "it is as it was");
    disk.put(first, &kept);
    clock.advance(Duration::from_secs(61));
    let error = writer.flush(Lsn(1200), false).unwrap_err();
    assert!(matches!(&error, Error::Mended { table } if table == "/data/lake/two/records"), "{error}");
    drop(writer);
    let (mut writer, _) = open_with(&disk, Options::default()).unwrap();
    for number in 0..12 {
        push_of(&mut writer, ["one", "two"][number as usize % 2], number);
    }
    assert_eq!((counted(&writer, "one"), counted(&writer, "two")), (Ok((6, 6)), Ok((6, 6))), "each once");
    writer.flush(Lsn(1200), true).unwrap();
    assert_eq!((counted(&writer, "one"), counted(&writer, "two")), (Ok((6, 6)), Ok((6, 6))));
    assert_eq!((writer.committed(Lsn(1200)), writer.lake().broken_tables()), (Lsn(1200), Vec::new()));
}

#[test]
fn what_was_noted_of_a_table_that_cannot_be_opened_is_kept_until_it_is_put_back() {
    let disk = FaultDisk::new();
    let (mut writer, _) = open_with(&disk, Options::default()).unwrap();
    (0..4).for_each(|number| push_of(&mut writer, "one", number));
    writer.flush(Lsn(400), true).unwrap();
    let noted = writer.reach(&Reach::new());
    let names: Vec<&str> = noted.keys().map(|name| name.rsplit_once('/').unwrap().0).collect();
    assert_eq!(names, ["one/frames/frames", "one/records/in-time", "one/records/late"]);
    drop(writer);
    let first = Path::new("/data/lake/one/frames/_delta_log/00000000000000000000.json");
    let kept = disk.content(first).unwrap();
    disk.put(first, b"{\"not\": ");
    let writer = open(&disk).unwrap();
    assert_eq!((writer.reach(&noted), writer.behind(&noted)), (noted.clone(), vec![]));
    assert_eq!(writer.reach(&Reach::new()).len(), 2, "that of records");
    drop(writer);
    // Without its last commit.
    disk.put(first, &kept);
    disk.remove(Path::new("/data/lake/one/frames/_delta_log/00000000000000000001.json")).unwrap();
    let behind = open(&disk).unwrap().behind(&noted);
    let (tenant, has, had) = ("one".into(), Lsn(0), Lsn(400));
    assert_eq!(behind, [BehindTable { tenant, table: "frames", has, had }]);
    assert!(behind[0].is_of_frames());
}

#[test]
fn a_table_that_breaks_while_others_are_written_holds_the_journal_from_there() {
    let disk = FaultDisk::new();
    let mut writer = open(&disk).unwrap();
    push_of(&mut writer, "one", 1);
    writer.flush(Lsn(200), true).unwrap();
    assert_eq!(writer.committed(Lsn(200)), Lsn(200));
    // Remains of a table without a log, where there was no tenant before.
    let day = Path::new("/data/lake/two/records/day=2026-01-01");
    let mut above: Vec<&Path> = day.ancestors().take(3).collect();
    above.reverse();
    above.iter().for_each(|folder| disk.create_folder(folder).unwrap());
    disk.put(&day.join("left.parquet"), b"rows");
    push_of(&mut writer, "two", 5);
    push_of(&mut writer, "one", 7);
    writer.flush(Lsn(800), true).unwrap();
    assert_eq!((writer.committed(Lsn(800)), writer.committed_frames(Lsn(800))), (Lsn(500), Lsn(800)));
    assert_eq!(counted(&writer, "one"), Ok((2, 2)));
}

#[test]
fn a_table_that_nothing_can_be_written_to_is_left_alone_and_tried_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::folder(Arc::new(LocalDisk), folder.path());
    let clock = TestClock::new(NOW);
    let begin = || {
        let mut writer = Writer::open_at(place.clone(), Arc::new(clock.clone()), Options::default()).unwrap();
        for number in 0..4 {
            push_of(&mut writer, ["one", "two"][number as usize % 2], number);
        }
        writer
    };
    // Where the day's files should be, there is a file.
    drop(begin().flush(Lsn(400), false));
    let day = folder.path().join("two/records/day=2026-01-01");
    std::fs::write(&day, b"in the way").unwrap();
    for _ in 0..2 {
        let refused = begin().flush(Lsn(400), true).unwrap_err();
        assert!(!refused.may_pass(), "{refused:?}");
    }
    let mut writer = begin();
    writer.flush(Lsn(400), true).unwrap();
    assert_eq!(counted(&writer, "one"), Ok((2, 2)), "goes on");
    let broken = writer.lake().broken_tables();
    let told = broken.iter().map(|it| (&*it.tenant, it.table)).collect::<Vec<_>>();
    assert_eq!(told, [("two", "records")]);
    assert!(broken.iter().all(|it| it.why.starts_with("nothing can be written to it: ")), "{broken:?}");
    assert_eq!((writer.committed(Lsn(400)), writer.committed_frames(Lsn(400))), (Lsn(0), Lsn(400)));
    clock.advance(Duration::from_secs(61));
    writer.flush(Lsn(400), false).unwrap();
    std::fs::remove_file(&day).unwrap();
    clock.advance(Duration::from_secs(29 * 60));
    writer.flush(Lsn(400), false).unwrap();
    clock.advance(Duration::from_secs(61));
    let mended = writer.flush(Lsn(400), false).unwrap_err();
    assert!(matches!(mended, Error::Mended { .. }), "{mended:?}");
    drop(writer);
    let mut writer = begin();
    writer.flush(Lsn(400), true).unwrap();
    assert_eq!((counted(&writer, "one"), counted(&writer, "two")), (Ok((2, 2)), Ok((2, 2))), "each once");
    assert_eq!(writer.committed(Lsn(400)), Lsn(400));
}

#[test]
fn a_file_that_is_older_than_the_log_is_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let grace = Grace { files: Duration::ZERO, ..Grace::default() };
    // Later than the times of all files here.
    let clock = Arc::new(TestClock::new(4_000_000_000_000));
    let mut writer = Writer::open(disk, clock, folder.path(), Options { grace, ..Options::default() }).unwrap();
    push(&mut writer, 1);
    writer.flush(Lsn(150), true).unwrap();
    let day = folder.path().join("default/records/day=2026-01-01");
    let (of_before, attempt) = (day.join("earlier.parquet"), day.join("attempt.parquet"));
    for path in [&of_before, &attempt] {
        std::fs::write(path, b"rows").unwrap();
    }
    let before = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(&of_before).unwrap().set_modified(before).unwrap();
    writer.maintain().unwrap();
    assert_eq!((of_before.exists(), attempt.exists()), (true, false));
    assert_eq!(ids(&writer.lake()), [1]);
}
