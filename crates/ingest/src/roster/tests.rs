//! What the list of devices keeps, through power cuts and damage.

use super::*;
use odograph_protocols::{Transport, find};
use odograph_testkit::{FaultDisk, PowerCut};

const FOLDER: &str = "data";

fn empty() -> FaultDisk {
    let disk = FaultDisk::new();
    disk.create_folder(Path::new(FOLDER)).expect("a folder can be made");
    disk
}

fn open(disk: &FaultDisk) -> (Roster, Lsn) {
    Roster::open(disk, Path::new(FOLDER), 1000).expect("the roster opens")
}

fn listener(unknown: Unknown) -> Listener {
    let protocol = find("teltonika").expect("a protocol of the registry");
    let mut listener = Listener::new(protocol, Transport::Tcp, ([127, 0, 0, 1], 1).into()).expect("it travels so");
    listener.unknown = unknown;
    listener
}

fn admit(roster: &Roster, unknown: Unknown, ids: &[&str]) -> Arc<Binding> {
    let ids: Vec<CompactString> = ids.iter().map(|id| (*id).into()).collect();
    roster.admit(&ids, &listener(unknown))
}

fn states(roster: &Roster) -> Vec<(String, State)> {
    roster.list().into_iter().map(|known| (known.device.into(), known.state)).collect()
}

#[test]
fn what_is_saved_is_there_again() {
    let disk = empty();
    let (roster, mark) = open(&disk);
    assert_eq!(mark, Lsn(0));
    admit(&roster, Unknown::Register, &["new"]);
    admit(&roster, Unknown::Quarantine, &["waiting"]);
    assert!(roster.save(Lsn(100)).expect("the disk is well"));
    assert!(!roster.save(Lsn(200)).expect("the disk is well"), "nothing is new");
    roster.decide("waiting", State::Rejected);
    roster.save(Lsn(300)).expect("the disk is well");
    roster.save_mark(Lsn(400)).expect("the disk is well");
    let (again, mark) = open(&disk.crash_image(PowerCut::Lost));
    assert_eq!(mark, Lsn(400));
    assert_eq!(states(&again), [("new".to_owned(), State::New), ("waiting".to_owned(), State::Rejected)]);
}

#[test]
fn after_a_power_cut_at_any_moment_what_was_saved_is_there() {
    for seed in 0..200 {
        let disk = empty();
        let (roster, _) = open(&disk);
        let mut saved = Vec::new();
        for round in 0..4_u64 {
            // Several sectors at a time.
            for number in 0..30 {
                admit(&roster, Unknown::Register, &[&format!("{round}-{number:015}")]);
            }
            if round < 3 {
                roster.save(Lsn(round + 1)).expect("the disk is well");
                saved = states(&roster);
            }
        }
        let images = Arc::new(Mutex::new(Vec::new()));
        disk.on_operation({
            let images = images.clone();
            move |disk, operation| {
                let image = disk.crash_image(PowerCut::Random(seed * 31 + operation.ordinal));
                images.lock().expect("nobody panics while holding it").push(image);
            }
        });
        roster.save(Lsn(4)).expect("the disk is well");
        let all = states(&roster);
        for image in images.lock().expect("nobody panics while holding it").drain(..) {
            let (again, mark) = open(&image);
            let expected = if mark == Lsn(4) { &all } else { &saved };
            assert!((3..=4).contains(&mark.0), "seed {seed}: mark {mark}");
            assert_eq!(states(&again), *expected, "seed {seed}");
            // And it goes on from there: what a cut left behind is never read as something new.
            admit(&again, Unknown::Register, &["later"]);
            again.save(Lsn(5)).expect("the disk is well");
            let (last, mark) = open(&image.crash_image(PowerCut::Lost));
            assert_eq!((states(&last), mark), (states(&again), Lsn(5)), "seed {seed}");
        }
    }
}

#[test]
fn damage_before_the_last_writing_is_named() {
    let disk = empty();
    let (roster, _) = open(&disk);
    for number in 0..3 {
        admit(&roster, Unknown::Register, &[&format!("{number}")]);
        roster.save(Lsn(number)).expect("the disk is well");
    }
    disk.flip_bit(&Path::new(FOLDER).join("devices.jsonl"), 0, 0);
    let Err(error) = Roster::open(&disk, Path::new(FOLDER), 1000) else { panic!("damage is passed over") };
    assert_eq!(error.to_string(), "data/devices.jsonl line 1: not a device or a mark");
}

#[test]
fn a_device_that_only_the_journal_has_is_brought_back_and_kept() {
    let disk = empty();
    let (roster, _) = open(&disk);
    let decided = |device: &str, decision| {
        let (tenant, settings) = ("default".into(), Settings::default());
        Binding { device: device.into(), tenant, decision, settings }
    };
    roster.decide("known", State::Rejected);
    roster.recover(&decided("known", Decision::Accepted), "gt06");
    roster.recover(&decided("late", Decision::Accepted), "gt06");
    roster.recover(&decided("waits", Decision::Quarantined), "gt06");
    roster.recover(&decided("refused", Decision::Refused), "gt06");
    let expected = [("known", State::Rejected), ("late", State::New), ("waits", State::Quarantined)];
    let expected = expected.map(|(device, state)| (device.to_owned(), state));
    assert_eq!(states(&roster), expected);
    roster.save(Lsn(9)).expect("the disk is well");
    assert_eq!(states(&open(&disk).0), expected);
}

#[test]
fn aliases_are_one_device_and_strangers_are_bounded() {
    let disk = empty();
    let (roster, _) = Roster::open(&disk, Path::new(FOLDER), 1).expect("the roster opens");
    roster.announce(&["truck 7".into(), "350000000000001".into()], "acme", Settings::default());
    let binding = admit(&roster, Unknown::Reject, &["350000000000001"]);
    assert_eq!((binding.device.as_str(), binding.tenant.as_str()), ("truck 7", "acme"));
    assert_eq!(roster.decide("truck 7", State::Rejected), Some(State::Configured), "the configuration stands above");
    assert_eq!(admit(&roster, Unknown::Reject, &["stranger"]).decision, Decision::Refused);
    assert_eq!(admit(&roster, Unknown::Register, &["first"]).decision, Decision::Accepted);
    assert_eq!(admit(&roster, Unknown::Register, &["second"]).decision, Decision::Refused, "the bound is met");
    assert_eq!(admit(&roster, Unknown::Register, &["first"]).decision, Decision::Accepted);
}
