//! Copies of a journal that is being written, and what goes on from them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use odograph_env::Disk as _;
use odograph_journal::{LeftOut, Resumed, resume_copy};
use odograph_model::Lsn;
use odograph_testkit::{FaultDisk, SeededRng, TestClock};

use crate::bench::*;

/// Copies what belongs to a copy to a disk of its own, and says what does.
fn copy(from: &FaultDisk, until: Option<Lsn>) -> (FaultDisk, Vec<String>) {
    let (to, mut names) = (FaultDisk::new(), Vec::new());
    to.create_folder(Path::new(FOLDER)).unwrap();
    let reader = reader(from);
    let parts = reader.copy_of_cursors().unwrap().into_iter().chain(reader.copy_parts(until).unwrap());
    for part in parts {
        let content = part.content.unwrap_or_else(|| {
            let mut content = vec![0; part.bytes as usize];
            assert_eq!(from.open_read(&part.path).unwrap().read_at(&mut content, 0).unwrap() as u64, part.bytes);
            content
        });
        assert_eq!(content.len() as u64, part.bytes);
        let file = to.create(&part.path).unwrap();
        file.write_at(&content, 0).unwrap();
        file.sync().unwrap();
        names.push(part.path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    to.sync_folder(Path::new(FOLDER)).unwrap();
    (to, names)
}

fn resume(disk: &FaultDisk) -> Resumed {
    let disk: Arc<dyn odograph_env::Disk> = Arc::new(disk.clone());
    let clock: Arc<dyn odograph_env::Clock> = Arc::new(TestClock::new(NOW + 5));
    resume_copy(Path::new(FOLDER), options(), &disk, &clock, &SeededRng::new(9)).unwrap()
}

#[test]
fn a_copy_at_any_moment_has_everything_before_its_mark_and_nothing_behind_it() {
    let mut bench = Bench::new();
    let (mut one, mut two) = (bench.open_stream("one"), bench.open_stream("two"));
    for number in 0..40 {
        bench.frame(&mut one, "one", &[number; 70]);
        bench.commit();
        let mark = bench.journal.durable();
        // What comes behind the mark is there already when it is copied.
        bench.frame(&mut two, "two", &[number; 30]);
        bench.commit();
        let (copied, _) = copy(&bench.disk, Some(mark));
        let resumed = resume(&copied);
        assert_eq!(resumed.end, mark, "round {number}");
        assert_eq!(read_all(&copied), read_from(&bench.disk, Lsn(0), Some(mark)), "round {number}");
        assert_eq!(problems(&copied), vec![], "round {number}");
    }
}

#[test]
fn a_copy_goes_on_where_its_origin_never_was() {
    let mut bench = Bench::new();
    let mut one = bench.open_stream("one");
    bench.frame(&mut one, "one", &[1; 90]);
    bench.commit();
    let mark = bench.journal.durable();
    let before = read_all(&bench.disk);
    let (copied, names) = copy(&bench.disk, Some(mark));
    assert_eq!(names, ["signing.key", "chain", "removed", "00000000000000000000.segment"]);
    let Resumed { end, next, public_key } = resume(&copied);
    assert_eq!((end, next, public_key), (mark, Lsn(2 << 50), bench.recovery.public_key));

    let mut second = Bench::on(copied.clone());
    assert_eq!((second.recovery.next, second.recovery.holes.clone()), (next, vec![]));
    let mut entries = second.reader().entries(Lsn(0), Some(second.journal.durable())).unwrap();
    let mut found = 0;
    while entries.next().unwrap().is_some() {
        found += 1;
    }
    assert_eq!((found, entries.place()), (before.len(), next), "nothing is missing up to the durable mark");
    let mut stream = second.open_stream("one");
    second.frame(&mut stream, "one", &[3; 90]);
    second.commit();
    entries.set_until(Some(second.journal.durable()));
    let first = entries.next().unwrap().unwrap();
    assert!(first.lsn > next, "{}", first.lsn);
    assert_eq!(entries.next().unwrap().unwrap().payload, [3; 90]);
    assert!(entries.next().unwrap().is_none());
    let copied = second.finish();
    assert_eq!((problems(&copied), reader(&copied).holes().unwrap()), (vec![], vec![]));
    let begins = reader(&copied).verify(&[], None, &mut |_| {}).unwrap().begins;
    let left_out: Vec<_> = begins.iter().map(|(number, begin)| (*number, begin.left_out)).collect();
    assert_eq!(left_out, [(2, Some(LeftOut { begin: mark, end: next }))]);
    assert_eq!(device_entries(&copied, "one", Lsn(0), None).len(), before.len() + 2);

    // A copy of the copy.
    let (again, _) = copy(&copied, None);
    let Resumed { end, next: later, .. } = resume(&again);
    assert!(end > next && later == Lsn(4 << 50), "{end}, {later}");
    assert_eq!((problems(&again), read_all(&again)), (vec![], read_all(&copied)));

    // What is lost of a copy is told, and no more than that.
    let lost = read_all(&copied)[0].lsn;
    copied.remove(&PathBuf::from(FOLDER).join("00000000000000000000.segment")).unwrap();
    let holes: Vec<_> = reader(&copied).holes().unwrap().iter().map(|hole| (hole.begin, hole.end)).collect();
    assert_eq!((lost > Lsn(0), holes), (true, vec![(Lsn(0), mark)]));
}

#[test]
fn a_copy_without_a_server_has_what_there_is() {
    let mut bench = Bench::new();
    let mut one = bench.open_stream("one");
    for _ in 0..30 {
        bench.frame(&mut one, "one", &[1; 90]);
        bench.commit();
    }
    // As after a crash: the last segment has no seal, and reserved space behind its end.
    let (copied, _) = copy(&bench.disk, None);
    assert_eq!(resume(&copied).end, bench.journal.durable());
    assert_eq!((problems(&copied), read_all(&copied)), (vec![], read_all(&bench.disk)));
}
