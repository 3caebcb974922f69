//! What the list of devices keeps, through power cuts and damage.

use super::*;
use odograph_protocols::{Transport, find};
use odograph_testkit::disk::{Action, Moment};
use odograph_testkit::{FaultDisk, PowerCut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const FOLDER: &str = "data";

fn empty() -> FaultDisk {
    let disk = FaultDisk::new();
    disk.create_folder(Path::new(FOLDER)).expect("a folder can be made");
    disk
}

fn open(disk: &FaultDisk) -> (Roster, Lsn) {
    Roster::open(Arc::new(disk.clone()), Path::new(FOLDER), 1000).expect("the roster opens")
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
    let before = roster.decide(None, "waiting", State::Rejected, Lsn(300)).expect("the disk is well");
    assert_eq!(before, Some(State::Quarantined));
    let (at_once, mark) = open(&disk.crash_image(PowerCut::Lost));
    assert_eq!((states(&at_once), mark), (states(&roster), Lsn(300)), "what is decided is durable");
    roster.save_mark(Lsn(400)).expect("the disk is well");
    let (again, mark) = open(&disk.crash_image(PowerCut::Lost));
    assert_eq!(mark, Lsn(400));
    assert_eq!(states(&again), [("new".to_owned(), State::New), ("waiting".to_owned(), State::Rejected)]);
}

#[test]
fn a_device_of_several_ids_is_one_under_each_of_them() {
    let disk = empty();
    let (roster, _) = open(&disk);
    // It came before anyone said that the two are one.
    admit(&roster, Unknown::Register, &["35209308145225"]);
    let ids = ["352093081452251", "35209308145225", "SN-7"].map(CompactString::from);
    roster.announce(&ids, "north", Settings::default());
    for id in &ids {
        let binding = admit(&roster, Unknown::Reject, &[id]);
        assert_eq!((binding.device.as_str(), binding.tenant.as_str()), ("352093081452251", "north"), "{id}");
        let known = roster.get(None, id).expect("it is known");
        assert_eq!(
            (known.device.as_str(), known.state, known.ids.as_slice()),
            (ids[0].as_str(), State::Configured, &ids[..])
        );
    }
    // A message may say several, of which any will do.
    assert_eq!(admit(&roster, Unknown::Reject, &["unheard of", "SN-7"]).device, "352093081452251");
    assert_eq!(states(&roster), [("352093081452251".to_owned(), State::Configured)], "it is listed once");
    // Nobody decides about a configured device, by whatever id.
    assert_eq!(
        roster.decide(None, "SN-7", State::Rejected, Lsn(1)).expect("the disk is well"),
        Some(State::Configured)
    );
    assert_eq!(admit(&roster, Unknown::Reject, &["SN-7"]).decision, Decision::Accepted);
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
            assert!((3..=4).contains(&mark.0), "seed {seed}: mark {mark}");
            let found = states(&again);
            if mark == Lsn(4) {
                assert_eq!(found, all, "seed {seed}");
            }
            // Of a writing that was cut short, what can be read is used.
            assert!(found.iter().all(|device| all.contains(device)), "seed {seed}: {found:?}");
            assert!(saved.iter().all(|device| found.contains(device)), "seed {seed}: {found:?}");
            assert!(!again.damage().is_loss(), "seed {seed}: {}", again.damage());
            // And it goes on from there: what a cut left behind is never read as something new.
            admit(&again, Unknown::Register, &["later"]);
            again.save(Lsn(5)).expect("the disk is well");
            let (last, mark) = open(&image.crash_image(PowerCut::Lost));
            assert_eq!((states(&last), mark), (states(&again), Lsn(5)), "seed {seed}");
        }
    }
}

fn file() -> PathBuf {
    Path::new(FOLDER).join("devices.jsonl")
}

#[test]
fn many_devices_at_once_are_all_there_whichever_write_fails() {
    // Some eighty bytes each: four pieces and more.
    let ids: Vec<String> = (0..900).map(|number| format!("{number:015}")).collect();
    let mut failures = 0;
    for others in 0.. {
        let disk = empty();
        let (roster, _) = open(&disk);
        admit(&roster, Unknown::Quarantine, &["first"]);
        assert!(roster.save(Lsn(10)).expect("the disk is well"));
        ids.iter().for_each(|id| drop(admit(&roster, Unknown::Register, &[id])));
        disk.fail_write_after(others);
        let saved = roster.save(Lsn(100));
        if saved.is_err() {
            let (at_once, mark) = open(&disk.crash_image(PowerCut::Lost));
            assert_eq!((states(&at_once).len(), mark), (1, Lsn(10)), "after {others} writes: as it was");
            assert!(roster.save(Lsn(100)).expect("the disk is well again"));
        }
        let (again, mark) = open(&disk.crash_image(PowerCut::Lost));
        assert_eq!((states(&again), mark), (states(&roster), Lsn(100)), "after {others} writes");
        assert_eq!(again.list().len(), 901);
        assert!(again.damage().is_none());
        if saved.is_ok() {
            break;
        }
        failures += 1;
    }
    assert!(failures >= 4, "{failures} writes");
}

fn content(disk: &FaultDisk) -> String {
    String::from_utf8(disk.content(&file()).expect("the file is there")).expect("UTF-8")
}

#[test]
fn damage_is_named_and_costs_the_damaged_line_alone() {
    let disk = empty();
    let (roster, _) = open(&disk);
    for number in 0..4 {
        admit(&roster, Unknown::Register, &[&format!("{number}")]);
        roster.save(Lsn(10 + number * 10)).expect("the disk is well");
    }
    // A mark, then a device and a mark for each: the line of the second device.
    let place = content(&disk).find(r#"{"device":"1""#).expect("it is there");
    disk.flip_bit(&file(), place as u64, 0);
    let damaged = content(&disk);
    let (again, mark) = open(&disk);
    assert_eq!(mark, Lsn(10), "the journal is read again from the mark before the damage on");
    assert_eq!(states(&again), ["0", "2", "3"].map(|device| (device.to_owned(), State::New)));
    let told = again.damage().to_string();
    assert!(told.starts_with("line 4 is neither a device nor a mark (") && !told.contains("line 5"), "{told}");
    let aside = disk.content(&Path::new(FOLDER).join("devices.jsonl.damaged")).expect("it is kept for a person");
    assert_eq!(String::from_utf8(aside).expect("UTF-8"), damaged);
    // From then on it is whole, and as careful about where the journal has to be read from.
    let (last, mark) = open(&disk.crash_image(PowerCut::Lost));
    assert_eq!((states(&last), mark, last.damage().is_none()), (states(&again), Lsn(10), true));
}

#[test]
fn a_file_without_a_mark_is_told_and_used() {
    let disk = empty();
    let line = r#"{"device":"known","tenant":"default","state":"rejected"}"#;
    disk.put(&file(), format!("{line}\n").as_bytes());
    let (roster, mark) = open(&disk);
    assert_eq!((states(&roster), mark), (vec![("known".to_owned(), State::Rejected)], Lsn(0)));
    let expected = "there is no mark, so it is not known up to where it is complete; \
                    1 lines about devices without a mark behind them are used";
    assert_eq!(roster.damage().to_string(), expected);
    assert!(open(&disk).0.damage().is_none(), "it has one now");
}

#[test]
fn a_decision_that_finds_no_space_changes_nothing() {
    let disk = empty();
    let (roster, _) = open(&disk);
    admit(&roster, Unknown::Quarantine, &["waiting"]);
    roster.save(Lsn(1)).expect("the disk is well");
    admit(&roster, Unknown::Register, &["unsaved"]);
    let (before, text) = (states(&roster), content(&disk));
    disk.set_capacity(Some(disk.used()));
    for device in ["waiting", "stranger"] {
        let error = roster.decide(None, device, State::Accepted, Lsn(2)).expect_err("the disk is full");
        let expected = "cannot write to data/devices.jsonl: the disk is full, and nothing was changed. \
                        Make space and try again";
        assert_eq!(error.to_string(), expected);
        assert_eq!((states(&roster), content(&disk)), (before.clone(), text.clone()));
    }
    disk.set_capacity(None);
    let was = roster.decide(None, "waiting", State::Accepted, Lsn(3)).expect("there is space");
    assert_eq!(was, Some(State::Quarantined));
    let expected = [("unsaved", State::New), ("waiting", State::Accepted)];
    let expected = expected.map(|(device, state)| (device.to_owned(), state));
    assert_eq!(states(&open(&disk.crash_image(PowerCut::Lost)).0), expected, "nobody was forgotten over it");
}

#[test]
fn after_a_failed_flush_the_decision_does_not_hold_and_the_file_is_begun_again() {
    for seed in 0..20 {
        let disk = empty();
        let (roster, _) = open(&disk);
        admit(&roster, Unknown::Quarantine, &["waiting"]);
        roster.save(Lsn(1)).expect("the disk is well");
        disk.fail_sync_after(0);
        roster.decide(None, "waiting", State::Rejected, Lsn(2)).expect_err("the flush fails");
        assert_eq!(states(&roster), [("waiting".to_owned(), State::Quarantined)]);
        assert!(roster.save(Lsn(3)).expect("another file is well"), "there is something to put right");
        let (again, mark) = open(&disk.crash_image(PowerCut::Random(seed)));
        assert_eq!((states(&again), mark), (states(&roster), Lsn(3)), "seed {seed}");
    }
}

#[test]
fn superseded_lines_are_given_up_and_a_power_cut_meanwhile_loses_nothing() {
    let disk = empty();
    let (roster, _) = open(&disk);
    admit(&roster, Unknown::Register, &["other"]);
    admit(&roster, Unknown::Quarantine, &["device"]);
    let images = Arc::new(Mutex::new(Vec::new()));
    disk.on_operation({
        let images = images.clone();
        let replacing = AtomicBool::new(false);
        move |disk, operation| {
            if operation.action == Action::Create {
                replacing.store(true, Ordering::Relaxed);
            }
            if replacing.load(Ordering::Relaxed) {
                let cuts = [PowerCut::Lost, PowerCut::Kept, PowerCut::Random(operation.ordinal)];
                let image = cuts.map(|cut| disk.crash_image(cut));
                images.lock().expect("nobody panics while holding it").extend(image);
            }
            if (operation.action, operation.moment) == (Action::SyncFolder, Moment::After) {
                replacing.store(false, Ordering::Relaxed);
            }
        }
    });
    let mut lengths = Vec::new();
    for number in 0..1500_u64 {
        let state = if number % 2 == 0 { State::Rejected } else { State::Accepted };
        roster.decide(None, "device", state, Lsn(number)).expect("the disk is well");
        lengths.push(content(&disk).lines().count());
    }
    let most = lengths.iter().max().expect("there are some");
    assert!((1000..1100).contains(most), "{most} lines at most");
    assert!(lengths.windows(2).any(|pair| pair[1] < 10 && pair[0] > 1000), "it was replaced");
    let images = std::mem::take(&mut *images.lock().expect("nobody panics while holding it"));
    assert!(images.len() > 10, "the power was cut while the file was replaced");
    for image in images {
        let (again, _) = open(&image);
        let found = states(&again);
        assert!(found.len() == 2 && again.damage().is_none(), "{found:?}: {}", again.damage());
        assert_eq!(
            again.waited(),
            [("default".into(), "device".into())],
            "that it waited is known for as long as it is"
        );
    }
    assert_eq!(states(&open(&disk.crash_image(PowerCut::Lost)).0), states(&roster));
}

#[test]
fn without_its_announcement_a_device_is_unknown_again() {
    let disk = empty();
    let plain = |decision| {
        let (tenant, settings) = ("default".into(), Settings::default());
        Binding { device: "announced".into(), tenant, decision, settings }
    };
    let (roster, _) = open(&disk);
    roster.announce(&["announced".into()], "default", Settings::default());
    assert!(roster.save(Lsn(10)).expect("the disk is well"), "whom the configuration announces is new");
    assert!(!roster.save(Lsn(20)).expect("the disk is well"));
    // The process dies; the configuration names it no more; the journal has what it sent meanwhile.
    let (again, mark) = open(&disk.crash_image(PowerCut::Lost));
    assert_eq!(mark, Lsn(10));
    again.recover(&plain(Decision::Accepted), "gt06");
    assert_eq!(states(&again), []);
    assert_eq!(admit(&again, Unknown::Reject, &["announced"]).decision, Decision::Refused);
    // What registers from then on is brought back as ever.
    let (last, _) = open(&disk);
    last.save_mark(Lsn(40)).expect("the disk is well");
    let (last, mark) = open(&disk);
    assert_eq!(mark, Lsn(40));
    last.recover(&plain(Decision::Accepted), "gt06");
    assert_eq!(states(&last), [("announced".to_owned(), State::New)]);
}

#[test]
fn what_was_decided_before_the_configuration_named_it_holds_again() {
    let disk = empty();
    let (roster, _) = open(&disk);
    roster.decide(None, "truck", State::Rejected, Lsn(1)).expect("the disk is well");
    let (roster, _) = open(&disk);
    roster.announce(&["truck".into()], "default", Settings::default());
    for number in 2..2000 {
        roster.save_mark(Lsn(number)).expect("the disk is well");
    }
    assert_eq!(states(&roster), [("truck".to_owned(), State::Configured)]);
    assert_eq!(states(&open(&disk).0), [("truck".to_owned(), State::Rejected)]);
}

#[test]
fn a_device_that_only_the_journal_has_is_brought_back_and_kept() {
    let disk = empty();
    let (roster, _) = open(&disk);
    let decided = |device: &str, decision| {
        let (tenant, settings) = ("default".into(), Settings::default());
        Binding { device: device.into(), tenant, decision, settings }
    };
    roster.decide(None, "known", State::Rejected, Lsn(0)).expect("the disk is well");
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
    let (roster, _) = Roster::open(Arc::new(disk), Path::new(FOLDER), 1).expect("the roster opens");
    roster.announce(&["truck 7".into(), "350000000000001".into()], "acme", Settings::default());
    let binding = admit(&roster, Unknown::Reject, &["350000000000001"]);
    assert_eq!((binding.device.as_str(), binding.tenant.as_str()), ("truck 7", "acme"));
    let decided = roster.decide(None, "truck 7", State::Rejected, Lsn(0)).expect("the disk is well");
    assert_eq!(decided, Some(State::Configured), "the configuration stands above");
    assert_eq!(admit(&roster, Unknown::Reject, &["stranger"]).decision, Decision::Refused);
    assert_eq!(admit(&roster, Unknown::Register, &["first"]).decision, Decision::Accepted);
    assert_eq!(admit(&roster, Unknown::Register, &["second"]).decision, Decision::Refused, "the bound is met");
    assert_eq!(admit(&roster, Unknown::Register, &["first"]).decision, Decision::Accepted);
}

#[test]
fn what_people_assign_holds_at_once_and_what_they_delete_is_a_stranger_again() {
    let disk = empty();
    let (roster, _) = open(&disk);
    admit(&roster, Unknown::Register, &["1"]);
    roster.save(Lsn(1)).expect("the disk is well");
    assert_eq!(roster.take_unlisted(5).len(), 1);
    assert_eq!(roster.take_unlisted(5), [], "each is told once");
    let ids = ["1", "one"].map(CompactString::from).to_vec();
    let known = |ids: &[CompactString], state| Known {
        device: "1".into(),
        tenant: "north".into(),
        state,
        protocol: "gt06".into(),
        ids: ids.to_vec(),
    };
    roster.assign(&known(&ids, State::Accepted), Settings::default());
    for id in &ids {
        let binding = admit(&roster, Unknown::Reject, &[id]);
        assert_eq!((binding.device.as_str(), binding.tenant.as_str()), ("1", "north"), "the stranger was theirs");
    }
    roster.assign(&known(&ids[..1], State::Rejected), Settings::default());
    assert_eq!(roster.get(None, "one"), None, "it is not called that any more");
    assert_eq!(admit(&roster, Unknown::Register, &["1"]).decision, Decision::Refused);
    roster.withdraw("north", "1");
    roster.save(Lsn(2)).expect("the disk is well");
    assert_eq!(roster.get(None, "1"), None);
    assert_eq!(admit(&roster, Unknown::Register, &["1"]).tenant, "default", "it registers anew");
    roster.save(Lsn(3)).expect("the disk is well");
    roster.withdraw("default", "1");
    roster.save(Lsn(4)).expect("the disk is well");
    let (again, _) = open(&disk.crash_image(PowerCut::Lost));
    assert_eq!(states(&again), [], "and is not there after a start either");
    again.announce(&["1".into()], "north", Settings::default());
    again.assign(&known(&ids, State::Rejected), Settings::default());
    again.withdraw("north", "1");
    assert_eq!(states(&again), [("1".to_owned(), State::Configured)], "the configuration stands above that");
}

#[test]
fn what_is_erased_is_not_even_remembered_as_deleted() {
    let disk = empty();
    let (roster, _) = open(&disk);
    let named = |disk: &FaultDisk, id: &str| {
        let text = disk.content(&Path::new(FOLDER).join("devices.jsonl")).expect("the file is there");
        String::from_utf8(text).expect("lines are text").contains(id)
    };
    for id in ["867000000000017", "867000000000025"] {
        admit(&roster, Unknown::Quarantine, &[id]);
    }
    roster.save(Lsn(1)).expect("the disk is well");
    roster.decide(None, "867000000000017", State::Accepted, Lsn(2)).expect("the disk is well");
    assert!(named(&disk, "867000000000017") && roster.waited().len() == 2);
    roster.erase("north", Some("867000000000017"), Lsn(3)).expect("the disk is well");
    assert!(named(&disk, "867000000000017"), "another tenant's is not meant");
    roster.erase("default", Some("867000000000017"), Lsn(3)).expect("the disk is well");
    assert!(!named(&disk, "867000000000017") && named(&disk, "867000000000025"));
    assert_eq!(roster.waited().len(), 1);
    let (again, mark) = open(&disk.crash_image(PowerCut::Lost));
    assert_eq!((states(&again), mark), ([("867000000000025".to_owned(), State::Quarantined)].into(), Lsn(3)));
    assert_eq!(
        admit(&again, Unknown::Register, &["867000000000017"]).decision,
        Decision::Accepted,
        "it may come again"
    );
    roster.erase("default", None, Lsn(4)).expect("the disk is well");
    assert!(!named(&disk, "8670") && states(&roster).is_empty());
}

#[test]
fn a_tenant_has_as_many_devices_as_it_may() {
    let (roster, _) = open(&empty());
    let decision = |id: &str| admit(&roster, Unknown::Register, &[id]).decision;
    let quota = |devices_max| [(CompactString::from("default"), Quota { devices_max, paused: None })];
    assert_eq!((decision("1"), roster.devices_of("default")), (Decision::Accepted, 1));
    roster.set_quotas(quota(Some(2)));
    assert_eq!((decision("2"), decision("3")), (Decision::Accepted, Decision::Refused));
    assert_eq!(roster.refusal("3", &listener(Unknown::Register)), "devices_max of the tenant default = 2");
    assert_eq!(roster.get(None, "3"), None, "whoever is refused costs nothing");
    roster.set_quotas(quota(Some(1)));
    assert_eq!((decision("1"), decision("2")), (Decision::Accepted, Decision::Accepted), "who is there stays");
    roster.withdraw("default", "1");
    roster.set_quotas(quota(Some(2)));
    assert_eq!((decision("3"), decision("4")), (Decision::Accepted, Decision::Refused), "room was made");
    roster.set_quotas([]);
    assert_eq!(decision("4"), Decision::Accepted);
}

#[test]
fn devices_of_a_paused_tenant_are_refused_and_stay_what_they_are() {
    let (roster, _) = open(&empty());
    let known = admit(&roster, Unknown::Register, &["1"]);
    let quota = |paused| [(CompactString::from("default"), Quota { devices_max: None, paused })];
    assert!(!roster.is_paused(&known));
    roster.set_quotas(quota(Some(Paused::Messages)));
    assert!(roster.is_paused(&known));
    assert_eq!(admit(&roster, Unknown::Register, &["1"]).decision, Decision::Refused);
    assert_eq!(admit(&roster, Unknown::Register, &["2"]).decision, Decision::Refused);
    for id in ["1", "2"] {
        let told = roster.refusal(id, &listener(Unknown::Register));
        assert_eq!(told, "messages_per_day_max of the tenant default");
    }
    assert_eq!(states(&roster), [("1".to_owned(), State::New)]);
    roster.set_quotas(quota(None));
    assert_eq!((admit(&roster, Unknown::Register, &["1"]), roster.is_paused(&known)), (known, false));
}

#[test]
fn bytes_of_another_tenants_device_that_is_refused_are_kept() {
    let (roster, _) = open(&empty());
    let known = admit(&roster, Unknown::Register, &["1"]);
    let refused = |tenant: &str, device: &str| Binding {
        tenant: tenant.into(),
        device: device.into(),
        decision: Decision::Refused,
        ..(*known).clone()
    };
    let barred = |tenant: &str, device: &str| roster.is_barred(&refused(tenant, device));
    roster.bar("north", Some("1"), [CompactString::from("its other name")]);
    assert_eq!(["1", "its other name", "2"].map(|device| barred("north", device)), [true, true, false]);
    assert_eq!(["1", "its other name", "2"].map(|device| barred("south", device)), [false; 3]);
    assert_eq!(["1", "2"].map(|device| barred("default", device)), [true, false], "whose it was is forgotten there");
    roster.let_in("north", Some("1"));
    roster.bar("north", None, [CompactString::from("1")]);
    assert_eq!(["1", "2"].map(|device| barred("north", device)), [true, true], "all of them");
    assert_eq!(["1", "2"].map(|device| barred("south", device)), [false, false]);
    assert_eq!(["1", "2"].map(|device| barred("default", device)), [true, false]);
}

#[test]
fn who_is_barred_is_refused_also_as_a_stranger_and_nobody_else_is() {
    let (roster, _) = open(&empty());
    let known = admit(&roster, Unknown::Register, &["1"]);
    let decision = |ids: &[&str]| admit(&roster, Unknown::Register, ids).decision;
    assert_eq!(decision(&["2"]), Decision::Accepted);
    roster.bar("default", Some("1"), [CompactString::from("its other name")]);
    assert!(roster.is_paused(&known));
    assert_eq!(
        (decision(&["1"]), decision(&["2"]), decision(&["3"])),
        (Decision::Refused, Decision::Accepted, Decision::Accepted)
    );
    let of = |tenant: &str, device: &str| Binding { tenant: tenant.into(), device: device.into(), ..(*known).clone() };
    assert!(!roster.is_paused(&of("north", "1")), "another tenant's is another one");
    assert!(roster.is_barred(&known));
    assert!(!roster.is_barred(&of("north", "1")), "every byte of another tenant's is kept");
    let refused = |tenant: &str, device: &str| Binding { decision: Decision::Refused, ..of(tenant, device) };
    assert!(roster.is_barred(&refused("default", "1")) && roster.is_barred(&refused("default", "its other name")));
    assert!(!roster.is_barred(&refused("default", "2")) && !roster.is_barred(&refused("north", "1")));
    // What was known of it goes meanwhile.
    roster.erase("default", Some("1"), Lsn(1)).expect("the disk is well");
    for called in ["1", "its other name"] {
        assert_eq!(decision(&[called]), Decision::Refused);
        assert_eq!(roster.get(None, called), None, "it is not remembered");
        assert!(roster.refusal(called, &listener(Unknown::Register)).contains("is being erased"));
    }
    // Another tenant's device of that id is let in where it is that tenant's, and nobody else is taken for it.
    roster.decide(Some("north"), "1", State::Accepted, Lsn(1)).expect("the disk is well");
    let mut own = listener(Unknown::Register);
    own.tenant = "north".into();
    assert_eq!(roster.admit(&["1".into()], &own).decision, Decision::Accepted);
    assert_eq!(decision(&["1"]), Decision::Refused);
    roster.decide(Some("north"), "1", State::Deleted, Lsn(1)).expect("the disk is well");
    roster.withdraw("north", "1");
    roster.let_in("north", Some("1"));
    assert_eq!(decision(&["1"]), Decision::Refused, "that was another order");
    roster.let_in("default", Some("1"));
    assert_eq!((decision(&["1"]), decision(&["its other name"])), (Decision::Accepted, Decision::Accepted));
    assert!(!roster.is_paused(&known));

    roster.bar("default", None, []);
    assert_eq!((decision(&["2"]), decision(&["5"])), (Decision::Refused, Decision::Refused));
    roster.let_in("default", None);
    assert_eq!((decision(&["2"]), decision(&["5"])), (Decision::Accepted, Decision::Accepted));
}

#[test]
fn a_file_that_grows_with_its_devices_is_not_replaced() {
    let disk = empty();
    let (roster, _) = open(&disk);
    let replaced = Arc::new(AtomicUsize::new(0));
    disk.on_operation({
        let replaced = replaced.clone();
        move |_, operation| {
            let whole = operation.action == Action::Create && operation.moment == Moment::Before;
            replaced.fetch_add(usize::from(whole), Ordering::Relaxed);
        }
    });
    for number in 0..5000_u64 {
        let id = format!("device-{number}");
        roster.decide(None, &id, State::Accepted, Lsn(number)).expect("the disk is well");
    }
    assert_eq!(replaced.load(Ordering::Relaxed), 0, "every line counts");
    for number in 0..1500_u64 {
        roster.decide(None, "device-1", State::Rejected, Lsn(5000 + number)).expect("the disk is well");
    }
    assert_eq!(
        replaced.load(Ordering::Relaxed),
        1,
        "with its mark, each of these is two lines, and all but the last do not count"
    );
}
