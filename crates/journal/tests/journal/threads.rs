//! Many append, one commits, others read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use odograph_journal::{Committer, Fatal, Journal, Observer, Options, Stats};
use odograph_model::Lsn;
use odograph_testkit::FaultDisk;

use crate::bench::*;

fn run(committer: Committer) -> std::thread::JoinHandle<Result<(), Fatal>> {
    std::thread::spawn(|| committer.run())
}

fn wait_for(journal: &Journal, until: impl Fn(&Stats) -> bool) {
    while !until(&journal.stats()) {
        std::thread::yield_now();
    }
}

#[test]
fn one_flush_serves_everyone_who_waits() {
    let Bench { disk, journal, committer, .. } =
        Bench::with(FaultDisk::new(), Options { node: 7, ..Options::default() });
    let thread = run(committer);
    journal.note(NOW, b"first").unwrap();
    wait_for(&journal, |stats| stats.pending_bytes == 0);
    disk.stall_syncs(true);
    journal.note(NOW, b"second").unwrap();
    while disk.stalled_syncs() == 0 {
        std::thread::yield_now();
    }
    assert!(journal.stats().step_since.is_some(), "a watchdog sees that a step is under way");
    let appenders: Vec<_> = (0..8)
        .map(|_| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                let mut stream = journal.open_stream(NOW, b"", None).unwrap().0;
                let entry = odograph_journal::NewEntry {
                    kind: odograph_journal::Kind::FRAME,
                    at: NOW,
                    identity: None,
                    payload: b"x",
                };
                for _ in 0..100 {
                    journal.append(&mut stream, b"", None, &[entry]).unwrap();
                }
            })
        })
        .collect();
    appenders.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(journal.stats().commits, 1);
    disk.stall_syncs(false);
    // What is durable is counted a moment later, within the same step.
    wait_for(&journal, |stats| stats.pending_bytes == 0 && stats.step_since.is_none());
    assert_eq!((journal.stats().commits, journal.stats().entries), (3, 2 + 8 * 101));
    journal.close();
    thread.join().unwrap().unwrap();
    assert_eq!((journal.stats().sealed, journal.stats().unsealed), (1, 0));
    let all = read_all(&disk);
    assert_eq!(all.len(), 2 + 8 * 101);
    for id in all.iter().map(|entry| entry.stream).filter(|&stream| stream != 0) {
        assert!(all.iter().any(|entry| entry.lsn == Lsn(id)));
    }
}

#[test]
fn readers_see_a_prefix_while_segments_roll_and_seal() {
    let Bench { disk, journal, committer, .. } = Bench::new();
    let thread = run(committer);
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|number| {
            let (disk, journal, done) = (disk.clone(), journal.clone(), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut entries = reader(&disk).entries(Lsn(0), None).unwrap();
                let mut seen = 0_u32;
                loop {
                    let last = done.load(Ordering::Acquire);
                    if number > 0 {
                        entries.set_until(Some(journal.durable()));
                    }
                    while let Some(entry) = entries.next().unwrap() {
                        if entry.stream != 0 && entry.payload.len() == 4 {
                            assert_eq!(u32::from_le_bytes(entry.payload.try_into().unwrap()), seen);
                            seen += 1;
                        }
                    }
                    if last {
                        return seen;
                    }
                }
            })
        })
        .collect();
    let mut stream = journal.open_stream(NOW, b"", None).unwrap().0;
    for number in 0..3000_u32 {
        let payload = number.to_le_bytes();
        let entry = odograph_journal::NewEntry {
            kind: odograph_journal::Kind::FRAME,
            at: NOW,
            identity: None,
            payload: &payload,
        };
        let appended = journal.append(&mut stream, b"", None, &[entry]).unwrap();
        if number % 50 == 0 {
            wait_for(&journal, |stats| stats.durable >= appended.end);
        }
    }
    journal.close();
    thread.join().unwrap().unwrap();
    done.store(true, Ordering::Release);
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 3000);
    }
    assert!(files(&disk, "segment").len() > 50);
    assert_eq!(problems(&disk), []);
}

#[test]
fn a_failed_flush_ends_the_thread_and_the_journal() {
    let Bench { disk, journal, committer, .. } = Bench::new();
    disk.fail_sync_after(0);
    let thread = run(committer);
    journal.note(NOW, b"").unwrap();
    assert!(thread.join().unwrap().is_err());
    assert!(journal.note(NOW, b"").is_err());
    assert_eq!(journal.durable(), Lsn(0));
}

/// Has the sealing thread fail.
#[derive(Default)]
struct Fails {
    lost: AtomicU32,
}

impl Observer for Fails {
    fn sealing(&self, _: Lsn) {
        assert_eq!(std::thread::current().name(), Some("seal"));
        panic!("on purpose: the sealing thread fails");
    }

    fn sealing_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_sealing_thread_that_fails_is_told_and_everything_else_goes_on() {
    let observer = Arc::new(Fails::default());
    let Bench { disk, journal, committer, .. } =
        Bench::with(FaultDisk::new(), Options { observer: observer.clone(), ..options() });
    let writer = run(committer);
    journal.note(NOW, b"of a segment that is to be sealed").unwrap();
    journal.end_segment();
    wait_for(&journal, |stats| stats.unsealed == 1);
    let notes = |journal: &Journal| {
        journal.note(NOW, b"of another").unwrap();
        wait_for(journal, |stats| stats.pending_bytes == 0);
    };
    while !journal.stats().sealing_lost {
        notes(&journal);
    }
    notes(&journal);
    notes(&journal);
    assert_eq!(observer.lost.load(Ordering::Relaxed), 1, "it is told once");
    assert!(!journal.stats().failed, "what comes is safe as before");
    journal.close();
    writer.join().unwrap().unwrap();
    let bench = Bench::on(disk);
    assert!(!bench.recovery.segments.is_empty(), "it is sealed at the next start");
}
