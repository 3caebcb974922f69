//! History in an object store that is away at times, loses answers, and has other writers: nothing is lost or doubled.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod flaky;

use flaky::Flaky;
use object_store::path::Path as Location;
use odograph_lake::arrow::array::AsArray as _;
use odograph_lake::arrow::datatypes::Int64Type;
use odograph_lake::{
    BehindTable, ErasedOf, Error, Fault, FrameRow, Lake, Limits, Options, Owner, Place, Reach, Requests, Row, Trouble,
    TroubleKind, Writer,
};
use odograph_model::{Key, Lsn, Record, RecordId, Time};
use odograph_testkit::TestClock;
use std::sync::Arc;

/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn place(store: &Arc<Flaky>, owner: Owner) -> Place {
    Place::store(store.clone(), "s3://bucket/odograph/", Location::from("odograph"), None).owned_by(owner)
}

fn open(place: &Place, node: u16) -> Result<Writer, Error> {
    let options = Options { node, ..Options::default() };
    Writer::open_at(place.clone(), Arc::new(TestClock::new(NOW)), options)
}

/// Adds the record of a number, as if it stood at 100 times the number in the journal, unless the table has it.
fn push(writer: &mut Writer, number: u64, key: Key) -> bool {
    let time = Time(NOW + i64::try_from(number % 1000).unwrap() * 60_000);
    let mut record = Record::at(time);
    record.set(key, number as f64);
    let row = Row { device: "d", time, received: time, id: RecordId(number), protocol: "test", record: &record };
    let place = Lsn(number % 1000 * 100);
    let new = !writer.has("default", &row, place).unwrap();
    if new {
        writer.push("default", &row, place).unwrap();
    }
    new
}

fn speed(writer: &mut Writer, numbers: std::ops::Range<u64>) {
    for number in numbers {
        push(writer, number, Key::PositionSpeed);
    }
}

fn ids(lake: &Lake) -> Result<Vec<i64>, Error> {
    let mut answer = lake.query("default", "SELECT id FROM records ORDER BY id", Limits::default())?;
    let mut ids = Vec::new();
    while let Some(batch) = answer.next_rows()? {
        ids.extend(batch.column(0).as_primitive::<Int64Type>().values());
    }
    Ok(ids)
}

fn anew(store: &Arc<Flaky>) -> Vec<i64> {
    ids(&open(&place(store, Owner { writer: 1 << 60, journal: 10 }), 0).unwrap().lake()).unwrap()
}

const FIRST: Owner = Owner { writer: 100, journal: 10 };

#[test]
fn rows_become_objects_and_are_there_after_a_restart_with_few_requests() {
    let store = Flaky::new();
    let mut writer = open(&place(&store, FIRST), 0).unwrap();
    speed(&mut writer, 0..10);
    assert_eq!(ids(&writer.lake()).unwrap(), (0..10).collect::<Vec<i64>>(), "before there is a file");
    assert_eq!(writer.flush(Lsn(1000), true).unwrap(), 1);
    speed(&mut writer, 10..20);
    let count = |writer: &Writer| writer.lake().requests().unwrap();
    let before = count(&writer);
    assert_eq!(writer.flush(Lsn(2000), true).unwrap(), 1);
    let flushed = less(count(&writer), before);
    assert_eq!(
        flushed, FLUSH_REQUESTS,
        "a file, an entry of the log, the latest records, and looking for what others wrote"
    );
    let before = count(&writer);
    assert_eq!(ids(&writer.lake()).unwrap(), (0..20).collect::<Vec<i64>>(), "from files");
    assert_eq!(less(count(&writer), before), Requests::default(), "what this process wrote it knows");
    drop(writer);
    let mut writer = open(&place(&store, Owner { writer: 101, ..FIRST }), 0).unwrap();
    assert!(!push(&mut writer, 19, Key::PositionSpeed), "the table has it already");
    let before = count(&writer);
    assert_eq!(ids(&writer.lake()).unwrap(), (0..20).collect::<Vec<i64>>(), "after a restart");
    assert_eq!(less(count(&writer), before), Requests { gets: 2, ..Requests::default() }, "each file once, whole");
    let before = count(&writer);
    assert_eq!(ids(&writer.lake()).unwrap().len(), 20);
    assert_eq!(less(count(&writer), before), Requests::default(), "and not again");
}

/// What a flush of rows of one day asks of the store, where the writer ends with it.
const FLUSH_REQUESTS: Requests = Requests { puts: 3, gets: 0, lists: 2, deletes: 0 };

fn less(after: Requests, before: Requests) -> Requests {
    Requests {
        puts: after.puts - before.puts,
        gets: after.gets - before.gets,
        lists: after.lists - before.lists,
        deletes: after.deletes - before.deletes,
    }
}

#[test]
fn many_small_files_become_few_there_too() {
    let store = Flaky::new();
    let mut writer = open(&place(&store, FIRST), 0).unwrap();
    for number in 0..20 {
        speed(&mut writer, number..number + 1);
        writer.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    assert_eq!(ids(&writer.lake()).unwrap(), (0..20).collect::<Vec<i64>>());
    assert_eq!(anew(&store), (0..20).collect::<Vec<i64>>());
    assert_eq!(store.names().iter().filter(|name| name.contains("/merged-")).count(), 2);
}

#[test]
fn a_tenant_goes_from_a_store_that_is_away_in_between() {
    let mut cut_short = 0;
    for deletes in 0.. {
        let store = Flaky::new();
        let mut writer = open(&place(&store, FIRST), 0).unwrap();
        speed(&mut writer, 0..10);
        let record = Record::at(Time(NOW));
        let row = Row {
            device: "d",
            time: Time(NOW),
            received: Time(NOW),
            id: RecordId(1),
            protocol: "test",
            record: &record,
        };
        writer.push("default2", &row, Lsn(1)).unwrap();
        writer.flush(Lsn(1000), true).unwrap();
        drop(writer);
        store.down_after_deletes(deletes);
        let again = place(&store, Owner { writer: 101, ..FIRST });
        let of = ErasedOf { tenant: "default", device: None, received_to: None };
        let erased = again.erase(0, of, Time(NOW));
        if erased.is_ok() {
            break;
        }
        cut_short += 1;
        store.set_down(false);
        // Whoever starts meanwhile sees nothing of it, and all else.
        let again = place(&store, Owner { writer: 102, ..FIRST });
        assert_eq!(again.tenants().unwrap(), ["default2".to_owned()].into(), "{deletes}");
        let writer = open(&again, 0).unwrap();
        assert_eq!(writer.lake().broken_tables(), [], "{deletes}");
        drop(writer);
        again.erase(0, of, Time(NOW)).unwrap();
        let left = store.names();
        assert!(left.iter().all(|name| name.starts_with("odograph/default2/")), "{deletes}: {left:?}");
        assert_eq!(again.would_erase(0, ErasedOf { tenant: "default2", ..of }).unwrap().records, 1);
    }
    assert!(cut_short > 3, "{cut_short}");
}

#[test]
fn nodes_that_commit_at_the_same_moment_lose_nothing() {
    let store = Flaky::new();
    let mut one = open(&place(&store, FIRST), 0).unwrap();
    speed(&mut one, 0..5);
    one.flush(Lsn(500), true).unwrap();
    let second = Owner { writer: 200, journal: 20 };
    let mut two = open(&place(&store, second), 1).unwrap();
    speed(&mut two, 1000..1005);
    speed(&mut one, 5..10);
    store.before_next_commit(move || {
        two.flush(Lsn(500), true).unwrap();
    });
    assert_eq!(one.flush(Lsn(1000), true).unwrap(), 1);
    let all: Vec<i64> = (0..10).chain(1000..1005).collect();
    assert_eq!(ids(&one.lake()).unwrap(), all, "its own, and what the other one committed");
    assert_eq!(anew(&store), all);
}

/// A device that hears no answer sends the same to another gateway. Each counts it; once their files are merged, it is there once.
#[test]
fn what_two_nodes_were_sent_is_there_once_when_their_files_are_merged() {
    let store = Flaky::new();
    let mut one = open(&place(&store, FIRST), 0).unwrap();
    let mut two = open(&place(&store, Owner { writer: 200, journal: 20 }), 1).unwrap();
    // Eight files of one size become one, by whoever finds the eighth.
    for number in 0..4 {
        speed(&mut one, number * 10..number * 10 + 10);
        one.flush(Lsn(number * 1000 + 1000), true).unwrap();
        speed(&mut two, number * 10 + 5..number * 10 + 15);
        two.flush(Lsn(number * 1000 + 1500), true).unwrap();
    }
    let all: Vec<i64> = (0..45).collect();
    assert_eq!(ids(&two.lake()).unwrap(), all, "each once");
    one.maintain().unwrap();
    assert_eq!(ids(&one.lake()).unwrap(), all);
    assert_eq!(anew(&store), all);
    let counted = |lake: &odograph_lake::Lake| {
        let mut answer =
            lake.query("default", "SELECT CAST(sum(records) AS BIGINT) AS id FROM devices", Limits::default()).unwrap();
        let rows = answer.next_rows().unwrap().unwrap();
        rows.column(0).as_primitive::<odograph_lake::arrow::datatypes::Int64Type>().value(0)
    };
    assert_eq!(counted(&two.lake()), 45, "and is counted so");
    drop((one, two));
    let again = open(&place(&store, Owner { writer: 101, ..FIRST }), 0).unwrap();
    assert_eq!(counted(&again.lake()), 45, "after a restart, too");
}

/// Up to where there are records of others, by tenant and device, as minutes behind the first one.
fn of_others(writer: &Writer) -> Vec<(String, Option<i64>)> {
    let minute = |time: Time| (time.0 - NOW) / 60_000;
    let told = writer.of_others().into_iter();
    told.map(|of| (format!("{}/{}", of.tenant, of.device), of.by_device.map(minute))).collect()
}

#[test]
fn what_another_node_committed_is_told_once_and_what_this_one_did_is_not() {
    let store = Flaky::new();
    let mut one = open(&place(&store, FIRST), 0).unwrap();
    speed(&mut one, 0..5);
    assert_eq!(of_others(&one), [], "a table that it has made");
    one.flush(Lsn(500), true).unwrap();
    let mut two = open(&place(&store, Owner { writer: 200, journal: 20 }), 1).unwrap();
    assert_eq!(of_others(&two), [], "what was there at the start is in `latest`");
    speed(&mut one, 5..8);
    one.flush(Lsn(800), true).unwrap();
    assert_eq!(of_others(&two), [], "it has not looked");
    push_of(&mut two, "default", "other", 9);
    two.flush(Lsn(1000), true).unwrap();
    assert_eq!(of_others(&two), [("default/d".to_owned(), Some(7))], "with a commit of its own, and without that");
    assert_eq!(of_others(&two), []);
    assert_eq!(two.ids_of_day("default", "d", 20_454).unwrap().ids.len(), 8, "and can be looked up");
    one.maintain().unwrap();
    assert_eq!(
        of_others(&one),
        [("default/other".to_owned(), Some(9))],
        "without a commit, when it looks after the table"
    );
    // A tenant of which this one has heard nothing yet.
    push_of(&mut one, "late", "d", 3);
    one.flush(Lsn(900), true).unwrap();
    assert_eq!(of_others(&two), []);
    push_of(&mut two, "late", "other", 1);
    assert_eq!(of_others(&two), [("late/d".to_owned(), Some(3))], "at once when its table is opened");
}

fn push_of(writer: &mut Writer, tenant: &str, device: &str, number: u64) {
    let time = Time(NOW + i64::try_from(number).unwrap() * 60_000);
    let record = Record::at(time);
    let row = Row { device, time, received: time, id: RecordId(5000 + number), protocol: "test", record: &record };
    let place = Lsn(number * 100);
    assert!(!writer.has(tenant, &row, place).unwrap());
    writer.push(tenant, &row, place).unwrap();
}

#[test]
fn a_copy_of_a_table_that_is_put_back_is_behind_what_was_noted() {
    let store = Flaky::new();
    let mut one = open(&place(&store, FIRST), 0).unwrap();
    speed(&mut one, 0..5);
    one.flush(Lsn(500), true).unwrap();
    let copy = store.copied();
    let early = one.reach(&Reach::new());
    speed(&mut one, 5..10);
    one.flush(Lsn(1000), true).unwrap();
    let noted = one.reach(&Reach::new());
    let places = |reach: &Reach| reach.iter().map(|(name, at)| (without_id(name), at.0)).collect::<Vec<_>>();
    let expected =
        |in_time: u64| [("default/records/in-time".to_owned(), in_time), ("default/records/late".to_owned(), 0)];
    assert_eq!((places(&early), places(&noted)), (expected(500).to_vec(), expected(1000).to_vec()));
    assert_eq!((one.behind(&early), one.behind(&noted)), (vec![], vec![]));
    drop(one);
    store.set_to(&copy);
    let mut one = open(&place(&store, Owner { writer: 101, ..FIRST }), 0).unwrap();
    let (tenant, table, has, had) = ("default".into(), "records", Lsn(500), Lsn(1000));
    assert_eq!(one.behind(&noted), [BehindTable { tenant, table, has, had }]);
    assert_eq!(ids(&one.lake()).unwrap(), [0, 1, 2, 3, 4]);
    speed(&mut one, 0..10);
    one.flush(Lsn(1000), true).unwrap();
    assert_eq!(ids(&one.lake()).unwrap(), (0..10).collect::<Vec<i64>>(), "what is read again, and each once");
    assert_eq!((one.behind(&noted), places(&one.reach(&noted))), (vec![], expected(1000).to_vec()));
    // Of a tenant that is not there, nothing is said: it was erased, perhaps.
    let gone = Reach::from([("gone/records/in-time/1".to_owned(), Lsn(7))]);
    assert_eq!((one.behind(&gone), places(&one.reach(&gone))), (vec![], expected(1000).to_vec()));
    // Nor of one that was made anew in its place: it is another one.
    let erased = noted.iter().map(|(name, at)| (format!("{}/1", without_id(name)), Lsn(at.0 + 7000))).collect();
    assert_eq!(one.behind(&erased), []);
}

fn without_id(name: &str) -> String {
    name.rsplit_once('/').unwrap().0.to_owned()
}

#[test]
fn columns_that_two_nodes_bring_at_the_same_moment_are_both_there() {
    let store = Flaky::new();
    let mut one = open(&place(&store, FIRST), 0).unwrap();
    speed(&mut one, 0..1);
    one.flush(Lsn(50), true).unwrap();
    let mut two = open(&place(&store, Owner { writer: 200, journal: 20 }), 1).unwrap();
    push(&mut two, 1000, Key::VehicleMileage);
    push(&mut one, 1, Key::PositionAltitude);
    store.before_next_commit(move || {
        two.flush(Lsn(50), true).unwrap();
    });
    assert_eq!(one.flush(Lsn(150), true).unwrap(), 1);
    for lake in [one.lake(), open(&place(&store, Owner { writer: 101, ..FIRST }), 0).unwrap().lake()] {
        assert_eq!(ids(&lake).unwrap(), [0, 1, 1000]);
        let both = "SELECT id FROM records WHERE vehicle_mileage = 1000 OR position_altitude = 1";
        let mut answer = lake.query("default", both, Limits::default()).unwrap();
        let mut found = 0;
        while let Some(batch) = answer.next_rows().unwrap() {
            found += batch.num_rows();
        }
        assert_eq!(found, 2, "each value under its column");
    }
}

#[test]
fn nodes_that_make_a_table_at_the_same_moment_share_it() {
    let store = Flaky::new();
    let mut one = open(&place(&store, FIRST), 0).unwrap();
    let other = store.clone();
    store.before_next_commit(move || {
        let mut two = open(&place(&other, Owner { writer: 200, journal: 20 }), 1).unwrap();
        speed(&mut two, 1000..1005);
        two.flush(Lsn(500), true).unwrap();
    });
    // The first row makes the table.
    speed(&mut one, 0..5);
    one.flush(Lsn(500), true).unwrap();
    assert_eq!(anew(&store), (0..5).chain(1000..1005).collect::<Vec<i64>>());
}

#[test]
fn a_node_whose_clock_is_ahead_spares_what_another_one_is_about_to_commit() {
    let store = Flaky::new();
    store.set_time(NOW);
    let clock = Arc::new(TestClock::new(NOW));
    let mut writer = Writer::open_at(place(&store, FIRST), clock.clone(), Options::default()).unwrap();
    for number in 0..8 {
        speed(&mut writer, number..number + 1);
        writer.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    let data = || store.names().iter().filter(|name| name.contains("/day=")).count();
    let of_other = |name: &str| format!("odograph/default/records/day=2026-01-01/odograph-1-in_time-{name}.parquet");
    assert_eq!(data(), 9, "eight small files, and the one that they became");
    store.put(&of_other("early"));
    let mut care = |ahead: i64| {
        clock.set_now(NOW + ahead);
        clock.advance(Options::default().care_every);
        writer.maintain().unwrap();
    };
    care(40 * DAY_MS);
    assert_eq!(data(), 10, "nothing there is a day old by the store's own clock");
    store.set_time(NOW + 2 * DAY_MS);
    store.put(&of_other("late"));
    care(40 * DAY_MS + 1_000_000);
    let left: Vec<String> = store.names().into_iter().filter(|name| name.contains("/day=")).collect();
    let merged = left.iter().filter(|name| name.contains("/merged-")).count();
    assert_eq!((left.len(), merged, left.contains(&of_other("late"))), (2, 1, true), "{left:?}");
    assert_eq!(ids(&writer.lake()).unwrap(), (0..8).collect::<Vec<i64>>());
    assert_eq!(anew(&store), (0..8).collect::<Vec<i64>>());
}

/// A machine that slept over a weekend: what another gateway committed meanwhile was merged, and the small files are gone.
#[test]
fn a_node_that_looks_again_after_days_knows_what_was_merged_and_deleted_meanwhile() {
    let store = Flaky::new();
    store.set_time(NOW);
    let clock = Arc::new(TestClock::new(NOW));
    let mut asleep = Writer::open_at(place(&store, FIRST), clock.clone(), Options::default()).unwrap();
    speed(&mut asleep, 0..1);
    asleep.flush(Lsn(100), true).unwrap();
    let second = Owner { writer: 200, journal: 20 };
    let options = Options { node: 1, ..Options::default() };
    let mut awake = Writer::open_at(place(&store, second), clock.clone(), options).unwrap();
    for number in 1..10 {
        speed(&mut awake, number..number + 1);
        awake.flush(Lsn(number * 100 + 50), true).unwrap();
    }
    store.set_time(NOW + 3 * DAY_MS);
    clock.set_now(NOW + 3 * DAY_MS);
    clock.advance(Options::default().care_every);
    awake.maintain().unwrap();
    // What it commits is the youngest there is, by which the ages of the others are known.
    speed(&mut awake, 10..11);
    awake.flush(Lsn(1050), true).unwrap();
    clock.advance(Options::default().care_every);
    awake.maintain().unwrap();
    let gone: Vec<String> = store.names().into_iter().filter(|name| name.contains("-in-time-150-")).collect();
    assert_eq!(gone, [""; 0], "the first that it committed was merged and deleted");
    asleep.maintain().unwrap();
    assert_eq!(asleep.lake().damaged_files(), [], "nothing is damaged");
    assert_eq!(ids(&asleep.lake()).unwrap(), (0..11).collect::<Vec<i64>>());
    let last = |writer: &Writer| writer.latest().into_iter().map(|of| of.by_device).collect::<Vec<_>>();
    assert_eq!(last(&asleep), [Some(Time(NOW + 10 * 60_000))]);
    assert_eq!(asleep.ids_of_day("default", "d", 20_454).unwrap().ids.len(), 11, "what is sent again is found");
}

#[test]
fn nodes_write_checkpoints_by_turns_and_bytes_are_there_with_records() {
    let store = Flaky::new();
    let options = |node| Options { node, checkpoint_commits: 10, ..Options::default() };
    let clock = || Arc::new(TestClock::new(NOW));
    let second = Owner { writer: 200, journal: 20 };
    let mut one = Writer::open_at(place(&store, FIRST), clock(), options(0)).unwrap();
    let mut two = Writer::open_at(place(&store, second), clock(), options(1)).unwrap();
    for number in 0..30 {
        push_frame(&mut one, number);
        push_frame(&mut two, number);
        for writer in [&mut one, &mut two] {
            // And with every eighth, small files become one.
            assert!((1..=2).contains(&writer.flush(Lsn(number * 100 + 50), true).unwrap()));
        }
    }
    let checkpoints = store.names().iter().filter(|name| name.ends_with(".checkpoint.parquet")).count();
    assert!((5..=7).contains(&checkpoints), "{checkpoints} for some sixty commits and the merges between them");
    let there = Place::store(store.clone(), "s3://bucket", Location::from("odograph"), None);
    let lake = Lake::of_frames(&there).unwrap();
    for node in [0, 1] {
        let mut found = Vec::new();
        lake.frames_of_segment(node, Lsn(0), None, |frame| found.push(frame.place.0)).unwrap();
        found.sort_unstable();
        assert_eq!(found, (0..30).map(|number| number * 100).collect::<Vec<_>>(), "of node {node}");
    }
    store.set_down(true);
    lake.frames_of_segment(0, Lsn(0), None, |_| ()).expect("what was read is not asked for again");
    let failed = Lake::of_frames(&there).err().unwrap();
    assert!(failed.is_unreachable(), "{failed:?}");
}

fn push_frame(writer: &mut Writer, number: u64) {
    let frame = FrameRow {
        place: Lsn(number * 100),
        segment: Lsn(0),
        stream: 0,
        at: Time(NOW + i64::try_from(number).unwrap()),
        kind: 1,
        name: Some("frame"),
        device: "d",
        decision: None,
        context: None,
        payload: b"what was sent",
    };
    writer.push_frame("default", &frame).unwrap();
}

#[test]
fn a_second_writer_of_the_same_stream_is_refused_for_good() {
    let store = Flaky::new();
    let first = place(&store, FIRST);
    let mut one = open(&first, 0).unwrap();
    speed(&mut one, 0..5);
    one.flush(Lsn(500), true).unwrap();
    // The same journal once more: a copy of the machine, or a process that was believed dead.
    let mut copy = open(&place(&store, Owner { writer: 300, ..FIRST }), 0).unwrap();
    speed(&mut copy, 5..10);
    copy.flush(Lsn(1000), true).unwrap();
    speed(&mut one, 5..10);
    let refused = one.flush(Lsn(1000), true).unwrap_err();
    assert!(matches!(refused, Error::TwoWriters { node: 0, .. }) && refused.is_final(), "{refused:?}");
    let again = open(&first, 0).err().unwrap();
    assert!(matches!(again, Error::TwoWriters { .. }), "not by beginning anew either: {again:?}");
    assert_eq!(anew(&store), (0..10).collect::<Vec<i64>>(), "nothing is there twice");
}

#[test]
fn places_of_another_journal_are_not_taken_for_ones_own() {
    let store = Flaky::new();
    let mut one = open(&place(&store, FIRST), 0).unwrap();
    speed(&mut one, 0..5);
    one.flush(Lsn(500), true).unwrap();
    let refused = open(&place(&store, Owner { writer: 400, journal: 40 }), 0).err().unwrap();
    assert!(matches!(refused, Error::OtherJournal { node: 0, .. }) && refused.is_final(), "{refused:?}");
    assert!(open(&place(&store, Owner { writer: 400, journal: 40 }), 1).is_ok(), "as a node of its own it may");
}

#[test]
fn a_commit_whose_answer_is_lost_is_made_once() {
    let store = Flaky::new();
    let mut writer = open(&place(&store, FIRST), 0).unwrap();
    speed(&mut writer, 0..5);
    store.lose_answers_to_commits(1, false);
    assert_eq!(writer.flush(Lsn(500), true).unwrap(), 1, "it is found to be there");
    speed(&mut writer, 5..10);
    // Now the store is away at once, so that nobody can look.
    store.lose_answers_to_commits(1, true);
    let failed = writer.flush(Lsn(1000), true).unwrap_err();
    assert!(failed.is_waited_for() && failed.is_unreachable(), "{failed:?}");
    store.set_down(false);
    assert_eq!(writer.flush(Lsn(1000), true).unwrap(), 1, "tried again, it is found to be there");
    let all: Vec<i64> = (0..10).collect();
    assert_eq!(ids(&writer.lake()).unwrap(), all);
    assert_eq!(writer.flush(Lsn(1000), true).unwrap(), 0, "nothing waits");
    speed(&mut writer, 10..12);
    writer.flush(Lsn(1200), true).unwrap();
    assert_eq!(anew(&store), (0..12).collect::<Vec<i64>>());
}

#[test]
fn a_lost_commit_that_more_was_read_behind_is_not_taken_for_all_of_it() {
    let store = Flaky::new();
    let mut writer = open(&place(&store, FIRST), 0).unwrap();
    speed(&mut writer, 0..5);
    store.lose_answers_to_commits(1, true);
    writer.flush(Lsn(500), true).unwrap_err();
    store.set_down(false);
    speed(&mut writer, 5..6);
    assert_eq!(writer.flush(Lsn(600), true).unwrap(), 2, "the one that was there, and one of what came behind it");
    assert_eq!(ids(&writer.lake()).unwrap(), (0..6).collect::<Vec<i64>>());
    let mut writer = open(&place(&store, FIRST), 0).unwrap();
    assert!(!push(&mut writer, 5, Key::PositionSpeed));
    assert_eq!(anew(&store), (0..6).collect::<Vec<i64>>());
}

#[test]
fn a_store_that_is_away_costs_nothing_but_time() {
    let store = Flaky::new();
    let mut writer = open(&place(&store, FIRST), 0).unwrap();
    speed(&mut writer, 0..5);
    store.set_down(true);
    for _ in 0..3 {
        let failed = writer.flush(Lsn(500), true).unwrap_err();
        assert!(failed.is_waited_for(), "{failed:?}");
    }
    assert_eq!(ids(&writer.lake()).unwrap(), [0, 1, 2, 3, 4], "what waits can be asked for");
    assert_eq!(writer.committed(Lsn(500)), Lsn(0), "the journal keeps it");
    store.set_down(false);
    writer.flush(Lsn(500), true).unwrap();
    let away = open(&place(&store, Owner { writer: 101, ..FIRST }), 0).unwrap();
    store.set_down(true);
    let failed = ids(&away.lake()).unwrap_err();
    assert_eq!(failed.fault(), Fault::Passing);
    let Error::Trouble(Trouble { kind, store: name, .. }) = &failed else { panic!("{failed:?}") };
    assert_eq!((*kind, name.as_str()), (TroubleKind::Unreachable, "s3://bucket/odograph"));
    assert!(failed.to_string().starts_with("the object store s3://bucket/odograph cannot be reached: "), "{failed}");
    store.set_down(false);
    assert_eq!(ids(&away.lake()).unwrap(), [0, 1, 2, 3, 4], "and it goes on");
}
