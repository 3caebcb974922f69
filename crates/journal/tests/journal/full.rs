//! A full disk is waited for; a failing one is not.

use std::sync::{Arc, Mutex};

use odograph_journal::{AppendError, Commit, Fatal, Kind, NewEntry, Observer, Options, Step};
use odograph_testkit::FaultDisk;
use odograph_testkit::disk::PowerCut;

use crate::bench::*;

#[derive(Default)]
struct Told {
    full: Mutex<Vec<bool>>,
    failed: Mutex<u32>,
    commits: Mutex<Vec<Commit>>,
}

impl Observer for Told {
    fn full(&self, full: bool) {
        self.full.lock().unwrap().push(full);
    }

    fn failed(&self, _: &Fatal) {
        *self.failed.lock().unwrap() += 1;
    }

    fn committed(&self, commit: &Commit) {
        self.commits.lock().unwrap().push(*commit);
    }
}

fn observed(disk: FaultDisk) -> (Bench, Arc<Told>) {
    let told = Arc::new(Told::default());
    let observer = Arc::clone(&told) as Arc<dyn Observer>;
    (Bench::with(disk, Options { observer, ..options() }), told)
}

/// Fills the disk after any number of bytes: nothing is lost, and with space it goes on.
#[test]
fn a_disk_full_at_any_moment_waits_and_goes_on() {
    let mut refusals = std::collections::BTreeSet::new();
    for spare in (0..6000).step_by(64) {
        let (mut bench, told) = observed(FaultDisk::new());
        let mut stream = bench.open_stream("one");
        bench.commit();
        bench.disk.set_capacity(Some(bench.disk.used() + spare));
        let mut last = bench.journal.durable();
        let mut full = 0;
        for round in 0..30_u8 {
            last = bench.frame(&mut stream, "one", &[round; 60]).end;
            let before = bench.journal.durable();
            match bench.committer.commit_step().unwrap() {
                Step::Committed => assert_eq!(bench.journal.durable(), last),
                Step::Full => {
                    full += 1;
                    assert!(bench.journal.congested() && bench.journal.stats().full);
                    refusals.insert(bench.journal.durable() > before);
                }
                other => panic!("{other:?}"),
            }
        }
        let kept = bench.journal.durable();
        assert_eq!(read_from(&bench.disk, odograph_model::Lsn(0), Some(kept)).last().unwrap().end(), kept);
        bench.disk.set_capacity(None);
        // First what was held back, then what was appended since.
        bench.committer.commit_step().unwrap();
        assert!(!bench.journal.congested(), "spare {spare}");
        bench.committer.commit_step().unwrap();
        assert_eq!(bench.journal.durable(), last, "spare {spare}");
        let payloads: Vec<_> = read_all(&bench.disk).iter().skip(1).map(|entry| entry.payload[0]).collect();
        assert_eq!(payloads, (0..30).collect::<Vec<_>>());
        let changes = told.full.lock().unwrap().clone();
        assert!(changes.iter().enumerate().all(|(number, &full)| full == (number % 2 == 0)), "told once each");
        assert!(full > 0 || spare > 2000, "spare {spare}");
        assert_eq!(problems(&bench.finish()), []);
    }
    assert!(refusals.contains(&false));
}

#[test]
fn a_disk_that_is_full_from_the_beginning_is_waited_for() {
    let (bench, _) = observed(FaultDisk::new());
    let disk = bench.finish();
    disk.set_capacity(Some(disk.used()));
    let (mut bench, told) = observed(disk);
    bench.open_stream("one");
    for _ in 0..3 {
        assert_eq!(bench.committer.commit_step().unwrap(), Step::Full);
    }
    assert_eq!(bench.journal.durable(), bench.recovery.next);
    bench.disk.set_capacity(None);
    bench.commit();
    assert_eq!(*told.full.lock().unwrap(), [true, false]);
    assert_eq!(told.commits.lock().unwrap().len(), 1);
}

#[test]
fn a_closed_journal_does_not_wait_for_space() {
    let (mut bench, _) = observed(FaultDisk::new());
    bench.disk.set_capacity(Some(0));
    bench.open_stream("one");
    bench.journal.close();
    assert_eq!(bench.committer.commit_step().unwrap(), Step::Closed);
    let disk = bench.disk.crash_image(PowerCut::Kept);
    assert!(read_all(&Bench::on(disk).disk).is_empty());
}

/// Fails each flush and each write of a run in turn.
#[test]
fn any_failed_write_or_flush_is_the_end() {
    for (name, fail) in
        [("flush", FaultDisk::fail_sync_after as fn(&FaultDisk, u64)), ("write", FaultDisk::fail_write_after)]
    {
        let mut failures = 0;
        for others in 0..60 {
            let (mut bench, told) = observed(FaultDisk::new());
            fail(&bench.disk, others);
            let mut stream = bench.open_stream("one");
            let mut fatal = false;
            for round in 0..25_u8 {
                let entry = NewEntry { kind: Kind::FRAME, at: NOW, identity: None, payload: &[round; 60] };
                bench.journal.append(&mut stream, b"", None, &[entry]).unwrap();
                let before = (bench.journal.durable(), told.commits.lock().unwrap().len());
                if bench.committer.commit_step().is_err() {
                    let after = (bench.journal.durable(), told.commits.lock().unwrap().len());
                    // A seal may fail after its step's commit; a commit that failed published nothing.
                    assert!(after.1 <= before.1 + 2);
                    assert_eq!(told.commits.lock().unwrap().last().map_or(before.0, |last| last.durable), after.0);
                    let durable = bench.journal.durable();
                    for image in (0..10).map(|seed| bench.disk.crash_image(PowerCut::Random(seed))) {
                        let found = read_all(&Bench::on(image).disk);
                        assert!(found.last().map_or(bench.recovery.next, Owned::end) >= durable);
                    }
                    assert_eq!(bench.committer.commit_step().unwrap(), Step::Closed, "never tried again");
                    assert_eq!(bench.journal.durable(), durable);
                    assert_eq!(bench.journal.append(&mut stream, b"", None, &[entry]), Err(AppendError::Closed));
                    assert!(bench.journal.stats().failed);
                    assert_eq!(*told.failed.lock().unwrap(), 1);
                    fatal = true;
                    break;
                }
            }
            failures += u32::from(fatal);
        }
        assert!(failures > 20, "{failures} of {name}");
    }
}
