//! The power goes at every single operation on the disk, also during recovery from an earlier cut.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use odograph_journal::{Journal, Step};
use odograph_model::Lsn;
use odograph_testkit::disk::PowerCut;
use odograph_testkit::{FaultDisk, SeededRng};

use crate::bench::*;

/// A disk as a power cut left it, and what was promised by then.
struct Image {
    disk: FaultDisk,
    durable: Lsn,
    what: String,
}

type Images = Arc<Mutex<Vec<Image>>>;

/// What was appended: by place, the stream and the payload.
type Log = BTreeMap<Lsn, (u64, Vec<u8>)>;

/// Takes images around each operation from now on.
fn watch(disk: &FaultDisk, durable: impl Fn() -> Lsn + Send + Sync + 'static, cuts: u64) -> Images {
    let images = Images::default();
    disk.on_operation({
        let images = Arc::clone(&images);
        move |disk, operation| {
            let durable = durable();
            let seed = operation.ordinal * 1000;
            let random = (0..cuts).map(|number| PowerCut::Random(seed + number));
            for cut in random.chain([PowerCut::Lost, PowerCut::Kept]) {
                let what = format!("{cut:?} at {operation:?}");
                images.lock().unwrap().push(Image { disk: disk.crash_image(cut), durable, what });
            }
        }
    });
    images
}

/// Streams come and go over several segments; everything appended is in the log, also what is never committed.
fn scenario(bench: &mut Bench, log: &mut Log, seed: u64) {
    let rng = SeededRng::new(seed);
    let devices = ["one", "two", ""];
    let mut streams: Vec<_> = devices.iter().map(|device| (bench.open_stream(device), *device)).collect();
    for (stream, _) in &streams {
        log.insert(Lsn(stream.id()), (stream.id(), Vec::new()));
    }
    for _ in 0..25 {
        for _ in 0..rng.below(4) {
            let number = rng.below(streams.len() as u64) as usize;
            let (stream, device) = &mut streams[number];
            let payload = vec![rng.below(255) as u8 + 1; 1 + rng.below(120) as usize];
            let appended = bench.frame(stream, device, &payload);
            log.insert(appended.first, (stream.id(), payload));
        }
        if rng.one_in(6) {
            bench.clock.advance(Duration::from_secs(3600));
        }
        if !rng.one_in(4) {
            bench.committer.commit_step().unwrap();
        }
    }
}

/// The journal that the image gives has all that was promised, in order and unmodified, and nothing else.
fn check(image: &Image, log: &Log) {
    let what = &image.what;
    let mut bench = Bench::on(image.disk.clone());
    let found = read_all(&bench.disk);
    let expected = log.iter().take(found.len());
    for (entry, (&lsn, (stream, payload))) in found.iter().zip(expected) {
        assert_eq!((entry.lsn, entry.stream, &entry.payload), (lsn, *stream, payload), "{what}");
    }
    assert!(found.len() <= log.len(), "{what}: more than was appended");
    let promised = log.range(..image.durable).count();
    assert!(found.len() >= promised, "{what}: {} of {promised} promised entries", found.len());
    assert_eq!(problems(&bench.disk), [], "{what}");
    assert!(bench.recovery.next >= image.durable, "{what}: places are never used twice");
    let before = found.len();
    bench.open_stream("after");
    assert_eq!(bench.committer.commit_step().unwrap(), Step::Committed, "{what}");
    let disk = bench.finish();
    assert_eq!(read_all(&disk).len(), before + 1, "{what}");
    assert_eq!(problems(&disk), [], "{what}");
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_promised() {
    let mut checked = 0;
    for seed in 0..3 {
        let disk = FaultDisk::new();
        let journal: Arc<Mutex<Option<Journal>>> = Arc::default();
        let images = watch(
            &disk,
            {
                let journal = Arc::clone(&journal);
                move || journal.lock().unwrap().as_ref().map_or(Lsn(0), Journal::durable)
            },
            3,
        );
        let mut bench = Bench::on(disk);
        *journal.lock().unwrap() = Some(bench.journal.clone());
        let mut log = Log::new();
        scenario(&mut bench, &mut log, seed);
        assert!(files(&bench.disk, "segment").len() > 3, "several segments");
        bench.finish();
        let images = std::mem::take(&mut *images.lock().unwrap());
        images.iter().for_each(|image| check(image, &log));
        checked += images.len();
    }
    assert!(checked > 1500, "{checked} images");
}

/// The process is killed first; the next one recovers what was written and not flushed, says that it is durable, and
/// then the power goes. Also with a disk so full that nothing can be sealed.
#[test]
fn what_was_recovered_after_a_kill_survives_a_power_cut() {
    let disk = FaultDisk::new();
    let mut bench = Bench::on(disk.clone());
    let images: Arc<Mutex<Vec<(FaultDisk, String)>>> = Arc::default();
    disk.on_operation({
        let images = Arc::clone(&images);
        move |disk, operation| images.lock().unwrap().push((disk.kill_image(), format!("{operation:?}")))
    });
    let mut log = Log::new();
    scenario(&mut bench, &mut log, 5);
    let images = std::mem::take(&mut *images.lock().unwrap());
    let mut unflushed = 0;
    for (number, (disk, what)) in images.into_iter().enumerate() {
        let before = read_all(&disk.crash_image(PowerCut::Lost)).len();
        disk.set_capacity((number % 2 == 0).then(|| disk.used()));
        let second = Bench::on(disk.clone());
        unflushed += usize::from(read_all(&disk).len() > before);
        check(&Image { disk: disk.crash_image(PowerCut::Lost), durable: second.journal.durable(), what }, &log);
    }
    assert!(unflushed > 10, "{unflushed} kills before a flush");
}

#[test]
fn a_power_cut_during_recovery_loses_nothing_either() {
    let disk = FaultDisk::new();
    let mut bench = Bench::on(disk.clone());
    let journal = bench.journal.clone();
    let first = watch(&disk, move || journal.durable(), 2);
    let mut log = Log::new();
    scenario(&mut bench, &mut log, 11);
    let first = std::mem::take(&mut *first.lock().unwrap());
    let mut checked = 0;
    for Image { disk, durable, what } in first.into_iter().step_by(17) {
        // The second life gets somewhere in its recovery, or a little further, and is cut as well.
        let second = watch(&disk, move || durable, 1);
        drop(Bench::on(disk));
        for mut image in std::mem::take(&mut *second.lock().unwrap()) {
            image.what = format!("{} after {what}", image.what);
            check(&image, &log);
            checked += 1;
        }
    }
    assert!(checked > 2000, "{checked} images");
}
