//! What is counted, over kills, damage and clocks that are wrong.

use super::*;
use odograph_testkit::FaultDisk;
use odograph_testkit::disk::PowerCut;
use std::sync::Mutex;

const DAY: i64 = 24 * 60 * 60 * 1000;

fn path() -> &'static Path {
    Path::new("/data/usage/0.jsonl")
}

fn open(disk: &FaultDisk) -> Meter {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Meter::open(&disk, path(), Lsn(0)).unwrap()
}

/// The journal of the tests: entry `number` is at the place `number`; days pass, tenants and devices take turns, and each
/// third message gives a record that is kept.
fn play(meter: &mut Meter, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let (tenant, device) = (["north", "south"][usize::from(number % 3 == 0)], format!("device {}", number % 7));
        let at = Time(DAY * i64::try_from(number / 40).unwrap());
        meter.entry(Lsn(number), at, tenant, &device, Flow::Message(10));
        if number % 3 == 0 {
            meter.record(Lsn(number), at, tenant);
        }
        meter.entry(Lsn(number), at, tenant, &device, Flow::Out(2));
    }
}

/// All that a meter has to tell.
fn told(meter: &Meter) -> Vec<(i32, String, Counts)> {
    meter.untold().into_iter().map(|row| (row.of.day, row.of.tenant.to_string(), row.counts)).collect()
}

#[test]
fn a_day_is_counted_by_tenant() {
    let mut meter = open(&FaultDisk::new());
    play(&mut meter, 0..42);
    meter.entry(Lsn(42), Time(DAY), "north", "device 1", Flow::In(5));
    let counts = |messages: u64, records, bytes_in, devices| Counts {
        messages,
        records,
        bytes_in,
        bytes_out: messages * 2,
        devices,
    };
    let expected = [
        (0, "north".to_owned(), counts(26, 0, 260, 7)),
        (0, "south".to_owned(), counts(14, 14, 140, 7)),
        (1, "north".to_owned(), counts(2, 0, 25, 2)),
    ];
    assert_eq!(told(&meter), expected);
    assert_eq!(meter.of(0, "south"), counts(14, 14, 140, 7));
    assert_eq!(meter.of(9, "south"), Counts::default());
}

#[test]
fn what_was_told_is_not_told_again_until_it_changes() {
    let disk = FaultDisk::new();
    let mut meter = open(&disk);
    play(&mut meter, 0..42);
    let rows = meter.untold();
    meter.told(&rows);
    assert_eq!(meter.untold(), []);
    play(&mut meter, 42..43);
    assert_eq!(told(&meter).iter().map(|(day, tenant, _)| (*day, &**tenant)).collect::<Vec<_>>(), [(1, "south")]);
    // Days pass: those that were told are forgotten, the others wait.
    play(&mut meter, 43..400);
    assert_eq!(meter.untold().first().map(|row| (row.of.day, &*row.of.tenant)), Some((1, "north")));
    meter.keep(Lsn(400)).unwrap();
    let (again, here) = (open(&disk), told(&meter));
    assert_eq!(told(&again), here, "after a restart, too, what is over and was not told still waits");
    assert_eq!((again.open.len(), again.closed.len()), (OPEN_DAYS_MAX, 12));
}

/// Whatever a power cut leaves, reading the journal again from a place that the file covers gives what there is.
#[test]
fn a_cut_at_any_operation_neither_doubles_nor_loses() {
    let disk = FaultDisk::new();
    let images = Arc::new(Mutex::new(Vec::new()));
    disk.on_operation({
        let images = images.clone();
        move |disk, _| {
            let cuts = (0..3).map(PowerCut::Random).chain([PowerCut::Lost, PowerCut::Kept]);
            images.lock().unwrap().extend(cuts.map(|cut| disk.crash_image(cut)));
        }
    });
    let mut meter = open(&disk);
    let mut kept = Vec::new();
    for part in 0..9_u64 {
        play(&mut meter, part * 20..part * 20 + 20);
        meter.keep(Lsn(part * 20 + 20)).unwrap();
        kept.push((images.lock().unwrap().len(), part * 20 + 20));
    }
    let mut whole = open(&FaultDisk::new());
    play(&mut whole, 0..200);
    let images = std::mem::take(&mut *images.lock().unwrap());
    assert!(images.len() > 200, "{}", images.len());
    for (number, image) in images.into_iter().enumerate() {
        let mut again = open(&image);
        let promised = kept.iter().filter(|(images, _)| *images <= number).map(|(_, until)| *until).max();
        assert!(again.from.0 >= promised.unwrap_or_default(), "image {number}: what was kept is there");
        assert!(!again.is_damaged(), "image {number}: a cut is no damage");
        // Whoever reads begins where a segment does, which is before.
        play(&mut again, 0..200);
        assert_eq!(told(&again), told(&whole), "image {number}, which has all until {}", again.from);
    }
}

#[test]
fn a_full_disk_is_waited_for() {
    let disk = FaultDisk::new();
    let mut meter = open(&disk);
    play(&mut meter, 0..10);
    meter.keep(Lsn(10)).unwrap();
    play(&mut meter, 10..20);
    disk.fail_sync_after(0);
    meter.keep(Lsn(20)).unwrap_err();
    meter.keep(Lsn(20)).unwrap();
    assert_eq!(told(&open(&disk.crash_image(PowerCut::Lost))), told(&meter));
}

#[test]
fn damage_costs_no_more_than_what_it_hit() {
    let disk = FaultDisk::new();
    let mut meter = open(&disk);
    for part in 0..3_u64 {
        play(&mut meter, part * 10..part * 10 + 10);
        meter.keep(Lsn(part * 10 + 10)).unwrap();
    }
    let file = disk.open(path()).unwrap();
    let mut bytes = vec![0; file.length().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    file.write_at(b"?", second as u64).unwrap();
    file.sync().unwrap();
    let again = open(&disk);
    assert!(again.is_damaged());
    assert_eq!(again.from, Lsn(30));
    assert_eq!(again.of(0, "north").messages, meter.of(0, "north").messages);
}

#[test]
fn a_clock_that_was_wrong_for_a_while_ends_no_day() {
    let mut meter = open(&FaultDisk::new());
    let mut count = |place, day: i64| meter.entry(Lsn(place), Time(day * DAY), "north", "1", Flow::Message(1));
    count(1, 100);
    count(2, 9000);
    count(3, 100);
    count(4, 101);
    count(5, 100);
    assert_eq!(meter.of(100, "north"), Counts { messages: 3, bytes_in: 3, devices: 1, ..Counts::default() });
    assert_eq!(meter.of(9000, "north").messages, 1);
}

#[test]
fn the_file_stays_small() {
    let disk = FaultDisk::new();
    let mut meter = open(&disk);
    for number in 0..30_000_u64 {
        meter.entry(Lsn(number), Time(0), "north", "device", Flow::Message(1));
        meter.keep(Lsn(number + 1)).unwrap();
    }
    assert!(disk.open(path()).unwrap().length().unwrap() < 2 << 20);
    assert_eq!(open(&disk).of(0, "north").messages, 30_000);
}

#[test]
fn what_is_erased_is_counted_and_not_named() {
    let disk = FaultDisk::new();
    let mut meter = open(&disk);
    play(&mut meter, 0..30);
    meter.keep(Lsn(30)).unwrap();
    let (before, named) = (told(&meter), |disk: &FaultDisk, name: &str| {
        String::from_utf8(disk.content(path()).unwrap()).unwrap().contains(name)
    });
    assert!(named(&disk, "device 3"));
    for tenant in ["north", "south"] {
        meter.erase(tenant, Some("device 3"), Lsn(30)).unwrap();
    }
    assert!(!named(&disk, "device 3") && named(&disk, "device 4"));
    assert_eq!(told(&meter), before);
    assert_eq!(told(&open(&disk)), before, "after a start");
    meter.erase("north", None, Lsn(30)).unwrap();
    meter.erase("south", None, Lsn(30)).unwrap();
    assert!(!named(&disk, "device "));
    assert_eq!(told(&open(&disk)), before);
}
