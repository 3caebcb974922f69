//! Files that are not there any more: each loss is told, and never taken for something else.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use odograph_env::Disk as _;
use odograph_journal::{
    Begin, Broken, CursorStore, Error, Flaw, NoObserver, Observer, Options, Report, SealRecord, Stop, retention,
};
use odograph_model::Lsn;
use odograph_testkit::FaultDisk;

use crate::bench::*;

/// Five sealed segments of two devices.
fn sealed() -> FaultDisk {
    let mut bench = Bench::new();
    let (mut one, mut two) = (bench.open_stream("one"), bench.open_stream("two"));
    while files(&bench.disk, "segment").len() < 5 {
        bench.frame(&mut one, "one", &[1; 90]);
        bench.frame(&mut two, "two", &[2; 90]);
        bench.commit();
    }
    let disk = bench.finish();
    assert_eq!((files(&disk, "segment").len(), problems(&disk)), (5, vec![]));
    disk
}

fn seals(disk: &FaultDisk) -> Vec<SealRecord> {
    reader(disk).seals().unwrap().into_iter().flatten().collect()
}

fn file(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn report(disk: &FaultDisk) -> Report {
    reader(disk).verify(&[], None, &mut |_| {}).unwrap()
}

/// Reads on behind whatever is lost.
fn read(disk: &FaultDisk, from: Lsn) -> (Vec<Lsn>, Vec<(Lsn, Lsn)>) {
    let mut entries = reader(disk).entries(from, None).unwrap();
    let (mut found, mut lost) = (Vec::new(), Vec::new());
    loop {
        match entries.next() {
            Ok(Some(entry)) => found.push(entry.lsn),
            Ok(None) => return (found, lost),
            Err(Error::Broken(Broken { lsn, reason: Stop::Missing(end), .. })) => {
                lost.push((lsn, end));
                assert_eq!(entries.resynchronise().unwrap(), end.0 - lsn.0);
                assert_eq!(entries.place(), end);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

fn read_device(disk: &FaultDisk, device: &str) -> (Vec<Lsn>, Vec<(Lsn, Lsn)>) {
    let mut entries = reader(disk).device_entries(device, Lsn(0), None).unwrap();
    let (mut found, mut lost) = (Vec::new(), Vec::new());
    loop {
        match entries.next() {
            Ok(Some(entry)) => found.push(entry.lsn),
            Ok(None) => return (found, lost),
            Err(Error::Broken(Broken { lsn, reason: Stop::Missing(end), .. })) => {
                lost.push((lsn, end));
                entries.skip_broken();
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn any_segments_that_are_missing_are_told_with_their_places() {
    let whole = sealed();
    let (all, of_one) = (read(&whole, Lsn(0)).0, read_device(&whole, "one").0);
    let seals = seals(&whole);
    for missing in 1_usize..1 << seals.len() {
        let disk = whole.kill_image();
        let is_missing = |number: usize| missing & (1 << number) != 0;
        let mut expected: Vec<(Lsn, Lsn)> = Vec::new();
        for (number, seal) in seals.iter().enumerate().filter(|(number, _)| is_missing(*number)) {
            disk.remove(&files(&whole, "segment")[number]).unwrap();
            match expected.last_mut() {
                Some(before) if before.1 == seal.base => before.1 = seal.end,
                _ => expected.push((seal.base, seal.end)),
            }
        }
        let left = |lsns: &[Lsn]| -> Vec<Lsn> {
            let lost = |lsn: &Lsn| expected.iter().any(|(begin, end)| (begin..end).contains(&lsn));
            lsns.iter().copied().filter(|lsn| !lost(lsn)).collect()
        };
        assert_eq!(read(&disk, Lsn(0)), (left(&all), expected.clone()), "missing {missing:b}");
        assert_eq!(read_device(&disk, "one"), (left(&of_one), expected.clone()), "missing {missing:b}");
        let holes: Vec<_> = reader(&disk).holes().unwrap().iter().map(|hole| (hole.begin, hole.end)).collect();
        assert_eq!(holes, expected);
        let report = report(&disk);
        let told: Vec<_> = report.problems.iter().map(|problem| (problem.lsn, problem.flaw.clone())).collect();
        let gone = seals.iter().enumerate().filter(|(number, _)| is_missing(*number));
        assert_eq!(told, gone.map(|(_, seal)| (Some(seal.base), Flaw::Missing)).collect::<Vec<_>>());
        assert_eq!((report.removed, reader(&disk).stat().unwrap().removed), (0, 0));
        // Also at the next start, and then nothing is taken for something new.
        let bench = Bench::on(disk.clone());
        assert_eq!(bench.recovery.holes.len(), expected.len());
        assert_eq!(bench.recovery.next, seals[4].end);
    }
}

#[test]
fn reading_from_within_what_is_missing_begins_there() {
    let disk = sealed();
    let seals = seals(&disk);
    disk.remove(&files(&disk, "segment")[1]).unwrap();
    let within = Lsn(seals[1].base.0 + 70);
    assert_eq!(read(&disk, within).1, [(within, seals[1].end)]);
    assert_eq!(read(&disk, seals[2].base).1, []);
    let first = sealed();
    first.remove(&files(&first, "segment")[0]).unwrap();
    assert_eq!(reader(&first).segment_begin(Lsn(80)).unwrap(), Some(Lsn(80)), "whoever goes on there is told");
    assert_eq!(read(&first, Lsn(80)).1, [(Lsn(80), seals[0].end)]);
    let mut entries = reader(&disk).entries(Lsn(0), Some(seals[1].base)).unwrap();
    while entries.next().unwrap().is_some() {}
    let error = loop {
        entries.set_until(None);
        if let Err(error) = entries.next() {
            break error;
        }
    };
    let told = format!("the file is missing, and with it places {} to {}", seals[1].base, seals[1].end);
    assert!(error.to_string().ends_with(&told), "{error}");
}

#[test]
fn a_lost_segment_without_a_seal_leaves_a_gap_that_is_told() {
    let disk = sealed();
    // Its seal is unreadable as well, so that only the gap is left.
    let chain = file("chain");
    disk.flip_bit(&chain, 256 * 3 + 20, 0);
    disk.remove(&files(&disk, "segment")[2]).unwrap();
    let hole = (seals(&disk)[1].end, seals(&disk)[2].base);
    assert_eq!(read(&disk, Lsn(0)).1, [hole]);
    let flaws: Vec<_> = problems(&disk).into_iter().map(|problem| problem.flaw).collect();
    assert!(flaws.contains(&Flaw::Hole(hole.1)), "{flaws:?}");
}

#[test]
fn what_retention_removed_is_no_loss_and_what_is_lost_behind_it_is() {
    let disk = sealed();
    let all = seals(&disk);
    let reader = reader(&disk);
    let held = retention::held(&reader).unwrap();
    retention::remove(&reader, &retention::decide(&held, Some(held[1].end), None), &NoObserver).unwrap();
    assert_eq!(read(&disk, Lsn(0)).1, []);
    assert_eq!((report(&disk).problems, report(&disk).removed), (vec![], 2));
    disk.remove(&files(&disk, "segment")[0]).unwrap();
    let hole = [(all[2].base, all[2].end)];
    assert_eq!((read(&disk, Lsn(0)).1, read_device(&disk, "two").1), (hole.to_vec(), hole.to_vec()));
    assert_eq!((report(&disk).problems.len(), report(&disk).removed), (1, 2));
    // Without its word, what it removed is missing like everything else.
    disk.remove(&file("removed")).unwrap();
    assert_eq!(read(&disk, Lsn(0)).1, [(Lsn(0), all[2].end)]);
}

#[test]
fn what_retention_removes_meanwhile_does_not_disturb_verification() {
    let disk = sealed();
    let reader = reader(&disk);
    let mut held = Some(retention::held(&reader).unwrap());
    let report = reader.verify(&[], None, &mut |_| {
        if let Some(held) = held.take() {
            let removals = retention::decide(&held, Some(held[2].end), None);
            retention::remove(&reader, &removals, &NoObserver).unwrap();
        }
    });
    let report = report.unwrap();
    assert_eq!((report.problems, report.sealed, report.removed), (vec![], 3, 2));
}

#[test]
fn a_reader_that_was_further_than_the_journal_is_tells_the_loss_of_its_end() {
    let disk = sealed();
    let end = seals(&disk)[4].end;
    let reached = Lsn(end.0 + 500);
    let mut cursors = CursorStore::open(Arc::new(disk.clone()), Path::new(FOLDER)).unwrap();
    cursors.set([("lake", Some(reached))]).unwrap();
    let mut bench = Bench::on(disk.clone());
    assert_eq!(bench.recovery.next, reached, "its places are not used again");
    assert_eq!(bench.recovery.holes.iter().map(|hole| (hole.begin, hole.end)).collect::<Vec<_>>(), [(end, reached)]);
    bench.open_stream("one");
    bench.commit();
    assert_eq!(read(&disk, Lsn(0)).1, [(end, reached)]);
}

#[test]
fn a_lost_signing_key_is_told_and_the_chain_says_so() {
    let disk = sealed();
    let before = reader(&disk).public_key().unwrap();
    disk.remove(&file("signing.key")).unwrap();
    let mut bench = Bench::with_seed(disk, options(), 2);
    let after = bench.recovery.public_key;
    assert!(bench.recovery.other_key && !bench.recovery.seals_lost && after != before);
    bench.open_stream("one");
    bench.commit();
    let disk = bench.finish();
    assert_eq!(seals(&disk).len(), 6);
    let report = report(&disk);
    assert_eq!(report.problems, [], "the chain names both keys");
    let [(6, Begin { other_key: true, seals_lost: false, public_key, .. })] = report.begins[..] else {
        panic!("{:?}", report.begins);
    };
    assert_eq!(public_key, after);
    // Who knows the first key alone is told what is of another.
    let flaws = |keys: &[_]| -> Vec<_> {
        let report = reader(&disk).verify(keys, None, &mut |_| {}).unwrap();
        report.problems.into_iter().map(|problem| problem.flaw).collect()
    };
    assert_eq!(flaws(&[before]), [6, 7].map(Flaw::Signature));
    assert_eq!(flaws(&[before, after]), []);
    // It is told once; a key that was exchanged for another is told as well.
    assert!(!Bench::with_seed(disk.kill_image(), options(), 3).recovery.other_key);
    let other = sealed_with(9).content(&file("signing.key")).unwrap();
    disk.put(&file("signing.key"), &other);
    assert!(Bench::on(disk).recovery.other_key);
}

fn sealed_with(seed: u64) -> FaultDisk {
    Bench::with_seed(FaultDisk::new(), options(), seed).finish()
}

#[test]
fn a_lost_chain_is_told_and_made_again_from_the_segments() {
    let whole = sealed();
    for left in [None, Some(0), Some(256), Some(256 * 3)] {
        let disk = whole.kill_image();
        let chain = disk.content(&file("chain")).unwrap();
        match left {
            None => disk.remove(&file("chain")).unwrap(),
            Some(left) => disk.put(&file("chain"), &chain[..left]),
        }
        let had = left.unwrap_or(0).saturating_sub(256) / 256;
        let bench = Bench::on(disk.clone());
        let recovery = &bench.recovery;
        assert!(recovery.seals_lost && !recovery.other_key, "left {left:?}");
        assert_eq!(recovery.segments.iter().map(|one| one.index_agrees).collect::<Vec<_>>(), vec![Some(true); 5 - had]);
        bench.finish();
        let again: Vec<_> = seals(&disk).iter().map(|seal| (seal.base, seal.end, seal.root)).collect();
        assert_eq!(again, seals(&whole).iter().map(|seal| (seal.base, seal.end, seal.root)).collect::<Vec<_>>());
        let report = report(&disk);
        assert_eq!(report.begins.len(), 1);
        let record = report.begins[0].0;
        let flaws: Vec<_> = report.problems.into_iter().map(|problem| problem.flaw).collect();
        assert_eq!(flaws, vec![Flaw::Resealed(record); 5 - had], "left {left:?}");
        assert!(!Bench::on(disk).recovery.seals_lost, "told once");
    }
}

#[test]
fn a_segment_that_was_changed_after_its_seal_was_lost_differs_from_its_index() {
    let disk = sealed();
    disk.remove(&file("chain")).unwrap();
    disk.flip_bit(&files(&disk, "segment")[2], 200, 0);
    let agree: Vec<_> = Bench::on(disk).recovery.segments.iter().map(|one| one.index_agrees).collect();
    assert_eq!(agree, [Some(true), Some(true), Some(false), Some(true), Some(true)]);
}

#[derive(Default)]
struct Rebuilt(Mutex<Vec<(Lsn, bool)>>);

impl Observer for Rebuilt {
    fn index_rebuilt(&self, record: &SealRecord, rebuilt: bool) {
        self.0.lock().unwrap().push((record.base, rebuilt));
    }
}

#[test]
fn missing_indexes_are_made_again_where_the_segment_is_what_was_sealed() {
    let disk = sealed();
    let indexes = files(&disk, "index");
    let before: Vec<_> = indexes.iter().map(|path| disk.content(path).unwrap()).collect();
    for number in [0, 1, 3] {
        disk.remove(&indexes[number]).unwrap();
    }
    disk.flip_bit(&files(&disk, "segment")[1], 300, 0);
    let heard = Arc::new(Rebuilt::default());
    let mut bench = Bench::with(disk.clone(), Options { observer: heard.clone(), ..options() });
    assert_eq!((bench.recovery.indexes_missing, bench.recovery.segments.len()), (3, 0));
    bench.committer.commit_step().unwrap();
    let seals = seals(&disk);
    let expected = [(seals[0].base, true), (seals[1].base, false), (seals[3].base, true)];
    assert_eq!(*heard.0.lock().unwrap(), expected);
    for (number, path) in indexes.iter().enumerate() {
        assert_eq!(disk.content(path), (number != 1).then(|| before[number].clone()), "index {number}");
    }
}

#[test]
fn an_extra_file_is_named_and_an_extra_segment_hides_nothing() {
    let disk = sealed();
    let all = read(&disk, Lsn(0)).0;
    disk.put(&file("notes.txt"), b"x");
    assert_eq!((report(&disk).strange, report(&disk).problems), (vec![file("notes.txt")], vec![]));
    let path = files(&disk, "segment")[1].clone();
    let seal = seals(&disk)[1];
    disk.put(&file(&format!("{:020}.segment", seal.base.0 + 200)), &disk.content(&path).unwrap());
    assert_eq!(read(&disk, Lsn(0)), (all, vec![]));
    let flaws: Vec<_> = problems(&disk).into_iter().map(|problem| problem.flaw).collect();
    assert!(flaws.contains(&Flaw::Unsealed) && flaws.contains(&Flaw::Header), "{flaws:?}");
}

#[test]
fn a_sealed_segment_cut_short_anywhere_is_told_once_and_hides_nothing_behind_it() {
    let whole = sealed();
    let all = read_all(&whole);
    let seal = seals(&whole)[2];
    let path = files(&whole, "segment")[2].clone();
    let bytes = whole.content(&path).unwrap();
    for length in 0..bytes.len() {
        let disk = whole.kill_image();
        disk.put(&path, &bytes[..length]);
        let left = seal.base.0 + length as u64;
        let mut entries = reader(&disk).entries(Lsn(0), None).unwrap();
        let (mut found, mut broken) = (Vec::new(), 0);
        loop {
            match entries.next() {
                Ok(Some(entry)) => found.push(entry.lsn),
                Ok(None) => break,
                Err(Error::Broken(_)) => {
                    broken += 1;
                    entries.resynchronise().unwrap();
                }
                Err(other) => panic!("{other}"),
            }
        }
        let kept = all.iter().filter(|entry| entry.lsn < seal.base || entry.end().0 <= left || entry.lsn >= seal.end);
        assert_eq!((found, broken), (kept.map(|entry| entry.lsn).collect(), 1), "length {length}");
        assert!(!problems(&disk).is_empty());
    }
}
