//! What is appended comes back, in its place, whole and attributable.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use odograph_env::Disk as _;
use odograph_journal::{APPEND_BYTES_MAX, AppendError, ENTRY_BYTES_MAX, Kind, NewEntry, Step};
use odograph_model::Lsn;
use odograph_testkit::{FaultDisk, SeededRng};

use crate::bench::*;

/// Several streams over several segments: some bound from the beginning, one later, one that changes hands.
pub(crate) fn busy(bench: &mut Bench, rounds: u64) {
    let rng = SeededRng::new(rounds);
    let mut devices = ["one", "two", "", ""];
    let mut streams = devices.map(|device| bench.open_stream(device));
    for round in 0..rounds {
        for (number, stream) in streams.iter_mut().enumerate() {
            let payload = vec![number as u8; rng.below(90) as usize];
            match (round, number) {
                (3, 2) | (9, 1) => {
                    let identity = Some(identity("three"));
                    let bound = (!devices[number].is_empty()).then(|| self::identity(devices[number]));
                    let entry = NewEntry { kind: Kind::FRAME, at: NOW, identity, payload: &payload };
                    bench.journal.append(stream, b"", bound, &[entry]).unwrap();
                    devices[number] = "three";
                }
                _ => drop(bench.frame(stream, devices[number], &payload)),
            }
        }
        if round % 4 == 1 {
            bench.journal.note(NOW, b"note").unwrap();
            bench.commit();
        }
    }
    bench.journal.append(&mut streams[0], b"", Some(identity("one")), &[close()]).unwrap();
    bench.commit();
}

fn close() -> NewEntry<'static> {
    NewEntry { kind: Kind::CLOSE, at: NOW, identity: None, payload: b"done" }
}

#[test]
fn entries_come_back_with_their_places() {
    let mut bench = Bench::new();
    let (mut stream, opened) = bench.journal.open_stream(NOW, b"hello", None).unwrap();
    assert_eq!((opened.first, stream.id()), (Lsn(64), 64));
    let entries = [
        NewEntry { kind: Kind::FRAME, at: NOW + 5, identity: Some(identity("one")), payload: b"frame" },
        NewEntry { kind: Kind::SENT, at: NOW + 6, identity: None, payload: b"" },
        NewEntry { kind: Kind(99), at: NOW + 7, identity: None, payload: &[0; 50] },
    ];
    let appended = bench.journal.append(&mut stream, b"unused", None, &entries).unwrap();
    assert_eq!(appended.first, opened.end);
    assert_eq!(bench.journal.pending_bytes(), appended.end.0);
    assert_eq!(bench.journal.durable(), Lsn(0));
    assert!(read_all(&bench.disk).is_empty());
    bench.commit();
    assert_eq!(bench.journal.durable(), appended.end);
    assert_eq!(bench.committer.commit_step().unwrap(), Step::Idle);
    let read = read_all(&bench.disk);
    let kinds: Vec<_> = read.iter().map(|entry| (entry.kind, &entry.payload[..], entry.stream)).collect();
    let expected: [(Kind, &[u8], u64); 4] =
        [(Kind::OPEN, b"", 64), (Kind::FRAME, b"frame", 64), (Kind::SENT, b"", 64), (Kind(99), &[0; 50], 64)];
    assert_eq!(kinds, expected);
    assert_eq!(read[0].context.as_deref(), Some(&b"hello"[..]));
    assert_eq!(read[1].device.as_deref(), Some("one"));
    assert!(read[1].context.is_none(), "the stream has written into this segment before");
    assert_eq!(read[3].end(), appended.end);
    assert_eq!(read_from(&bench.disk, read[2].lsn, Some(read[3].lsn)), read[2..3]);
    assert_eq!(read_from(&bench.disk, appended.end, None), []);
}

#[test]
fn a_stream_that_became_another_says_so_with_its_next_entry() {
    let mut bench = Bench::new();
    let (mut stream, _) = bench.journal.open_stream(NOW, b"before", None).unwrap();
    let frame = NewEntry { kind: Kind::FRAME, at: NOW, identity: None, payload: b"frame" };
    let append = |stream: &mut _, context: &[u8]| bench.journal.append(stream, context, None, &[frame, frame]).unwrap();
    append(&mut stream, b"unused");
    stream.renew();
    append(&mut stream, b"after");
    append(&mut stream, b"unused");
    bench.commit();
    let contexts: Vec<_> = read_all(&bench.disk).into_iter().map(|entry| entry.context).collect();
    let expected = [Some(&b"before"[..]), None, None, Some(b"after"), None, None, None];
    assert_eq!(contexts.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
}

#[test]
fn a_reader_goes_on_when_more_was_written() {
    let mut bench = Bench::new();
    let mut stream = bench.open_stream("one");
    let mut entries = bench.reader().entries(Lsn(0), None).unwrap();
    let mut seen = 0;
    for round in 0..60_u8 {
        assert!(entries.next().unwrap().is_none());
        bench.frame(&mut stream, "one", &[round; 40]);
        bench.commit();
        while let Some(entry) = entries.next().unwrap() {
            assert!(entry.payload.first().is_none_or(|&byte| byte == round));
            seen += 1;
        }
        assert_eq!(entries.place(), bench.journal.durable());
    }
    assert_eq!(seen, 61);
    assert!(files(&bench.disk, "segment").len() > 3);
}

#[test]
fn each_segment_is_attributable_on_its_own() {
    let mut bench = Bench::new();
    busy(&mut bench, 20);
    let disk = bench.finish();
    let all = read_all(&disk);
    let mut bases: Vec<_> = reader(&disk).seals().unwrap().into_iter().map(|seal| seal.unwrap().base).collect();
    assert!(bases.len() > 4);
    bases.push(Lsn(u64::MAX));
    // What each stream is bound to, as somebody knows who reads everything from the beginning.
    let mut bound: BTreeMap<u64, String> = BTreeMap::new();
    for window in bases.windows(2) {
        let mut seen = std::collections::BTreeSet::new();
        for entry in all.iter().filter(|entry| entry.lsn >= window[0] && entry.lsn < window[1] && entry.stream != 0) {
            let before = bound.get(&entry.stream).cloned();
            if let Some(device) = &entry.device {
                bound.insert(entry.stream, device.clone());
            }
            if seen.insert(entry.stream) {
                assert!(entry.context.is_some(), "the first entry of a stream in a segment has its context");
                assert!(entry.device.is_some() || before.is_none(), "and says whose it is");
            } else {
                assert!(entry.context.is_none());
            }
        }
    }
}

#[test]
fn the_device_reader_equals_a_filter_over_everything() {
    let mut bench = Bench::new();
    busy(&mut bench, 20);
    assert_equals_filter(&bench.disk);
    let disk = bench.finish();
    assert_equals_filter(&disk);
    files(&disk, "index").iter().for_each(|index| disk.flip_bit(index, 9, 0));
    assert_equals_filter(&disk);
}

fn assert_equals_filter(disk: &FaultDisk) {
    let all = read_all(disk);
    let mut bound: BTreeMap<u64, String> = BTreeMap::new();
    let mut owners = Vec::new();
    for entry in &all {
        if let Some(device) = &entry.device {
            bound.insert(entry.stream, device.clone());
        }
        owners.push(bound.get(&entry.stream).cloned().unwrap_or_default());
    }
    let middle = all[all.len() / 2].lsn;
    let last = all[all.len() - 3].lsn;
    for device in ["", "one", "two", "three", "nobody"] {
        for (from, until) in [(Lsn(0), None), (middle, None), (Lsn(0), Some(middle)), (middle, Some(last))] {
            let mine = all.iter().zip(&owners).filter(|(entry, owner)| {
                *owner == device && entry.lsn >= from && until.is_none_or(|until| entry.end() <= until)
            });
            let expected: Vec<_> = mine.map(|(entry, _)| entry.clone()).collect();
            assert_eq!(device_entries(disk, device, from, until), expected, "{device:?} {from} {until:?}");
            assert!(device == "nobody" || from > Lsn(0) || !expected.is_empty());
        }
    }
}

#[test]
fn entries_of_one_append_stay_in_one_segment_and_group() {
    let mut bench = Bench::new();
    let mut stream = bench.open_stream("one");
    for _ in 0..40 {
        let payload = [1; 70];
        let entry = NewEntry { kind: Kind::FRAME, at: NOW, identity: None, payload: &payload };
        let appended = bench.journal.append(&mut stream, b"c", None, &[entry; 3]).unwrap();
        let reader = bench.reader();
        bench.commit();
        let base = |lsn| reader.segment_begin(lsn).unwrap();
        assert_eq!(base(appended.first), base(Lsn(appended.end.0 - 1)));
    }
    assert!(files(&bench.disk, "segment").len() > 5);
    let seals = bench.reader().seals().unwrap();
    assert!(seals.iter().flatten().all(|seal| seal.end.0 - seal.base.0 <= 1024));
}

#[test]
fn a_segment_ends_with_its_age_but_not_without_entries() {
    let mut bench = Bench::new();
    let mut stream = bench.open_stream("one");
    bench.commit();
    bench.clock.advance(Duration::from_secs(3599));
    assert_eq!(bench.committer.commit_step().unwrap(), Step::Idle);
    assert_eq!(bench.reader().seals().unwrap().len(), 0);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.committer.commit_step().unwrap(), Step::Idle);
    assert_eq!(bench.reader().seals().unwrap().len(), 1);
    bench.clock.advance(Duration::from_secs(7200));
    assert_eq!(bench.committer.commit_step().unwrap(), Step::Idle);
    assert_eq!(bench.reader().seals().unwrap().len(), 1);
    bench.frame(&mut stream, "one", b"next");
    bench.commit();
    let last = read_all(&bench.disk).pop().unwrap();
    assert_eq!((last.context.as_deref(), last.device.as_deref()), (Some(&b"context"[..]), Some("one")));
    assert_eq!(files(&bench.disk, "segment").len(), 2);
}

#[test]
fn what_is_too_long_is_refused_as_a_whole() {
    let bench = Bench::new();
    let mut stream = bench.open_stream("");
    let before = bench.journal.stats().appended;
    let long = vec![0; ENTRY_BYTES_MAX];
    let entry = |payload| NewEntry { kind: Kind::FRAME, at: NOW, identity: None, payload };
    let is_refused = |result: Result<_, AppendError>| matches!(result, Err(AppendError::TooLong { .. }));
    assert!(is_refused(bench.journal.append(&mut stream, b"", None, &[entry(b"a"), entry(&long)])));
    assert!(is_refused(bench.journal.append(&mut stream, &long[..70_000], None, &[entry(b"a")])));
    let device = "d".repeat(256);
    assert!(is_refused(bench.journal.append(&mut stream, b"", Some(identity(&device)), &[entry(b"a")])));
    let many = vec![entry(&long[..ENTRY_BYTES_MAX - 100]); APPEND_BYTES_MAX / ENTRY_BYTES_MAX + 1];
    assert!(is_refused(bench.journal.append(&mut stream, b"", None, &many)));
    assert!(is_refused(bench.journal.note(NOW, &long)));
    assert_eq!(bench.journal.stats().appended, before);
    bench.journal.append(&mut stream, b"", None, &[entry(&long[..ENTRY_BYTES_MAX - 100])]).unwrap();
}

#[test]
fn a_closed_journal_writes_what_it_has_and_takes_no_more() {
    let mut bench = Bench::new();
    let mut stream = bench.open_stream("one");
    bench.journal.close();
    let entry = NewEntry { kind: Kind::FRAME, at: NOW, identity: None, payload: b"" };
    assert_eq!(bench.journal.append(&mut stream, b"", None, &[entry]), Err(AppendError::Closed));
    assert_eq!(bench.committer.commit_step().unwrap(), Step::Closed);
    assert_eq!(read_all(&bench.disk).len(), 1);
    assert_eq!(bench.reader().seals().unwrap().len(), 1);
    assert!(Bench::on(bench.disk).recovery.segments.is_empty(), "nothing is left to recover");
}

#[test]
fn counts_agree_with_what_is_there() {
    let mut bench = Bench::new();
    busy(&mut bench, 12);
    let stat = bench.reader().stat().unwrap();
    let all = read_all(&bench.disk);
    assert_eq!(stat.entries, all.len() as u64);
    assert_eq!(stat.segments.last().unwrap().end, all.last().unwrap().end());
    assert_eq!(stat.segments.iter().filter(|segment| segment.sealed_at.is_none()).count(), 1);
    assert_eq!(bench.journal.stats().entries, all.len() as u64);
    assert!(stat.segments.windows(2).all(|pair| pair[0].end == pair[1].base));
    assert!(stat.segments.iter().all(|segment| segment.times == Some((NOW, NOW + 1)) && segment.devices <= 4));
    let beside = ["chain", "removed", "signing.key"]
        .map(|name| bench.disk.inspect(&Path::new(FOLDER).join(name)).unwrap().bytes);
    assert_eq!(bench.reader().disk_bytes().unwrap(), stat.bytes + beside.iter().sum::<u64>());
}
