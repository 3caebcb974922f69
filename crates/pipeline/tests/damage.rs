//! What comes out of a journal that is damaged: everything else, and nothing under a wrong name.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use odograph_env::Disk;
use odograph_journal::{Identity, Journal, Kind, NewEntry, Options, Reader};
use odograph_model::{Lsn, Time};
use odograph_pipeline::{Records, Totals, Trouble, Window};
use odograph_protocols::{Binding, Checksum, Context, Decision, Settings, Transport};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: i64 = 1_767_225_600_000;

/// Writes datagrams of one peer: who each is from, whether that is said anew, and the second of its reading. Then damages
/// the one of that number, and reads it all.
fn read_with_damage(datagrams: &[(&str, bool, i64)], damaged: usize) -> (Vec<(String, i64)>, Totals) {
    let disk = FaultDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let folder = Path::new("data/journal/0");
    let clock = Arc::new(TestClock::new(NOW));
    let options = Options { reserve_bytes: 64 << 10, ..Options::default() };
    let (journal, mut committer, _) =
        Journal::open(folder, options, shared.clone(), clock, &SeededRng::new(1)).unwrap();
    let mut context = Vec::new();
    Context {
        protocol: "wialon".into(),
        transport: Transport::Udp,
        checksum: Checksum::Enforce,
        peer: "192.0.2.1:1".into(),
        local: "192.0.2.2:2".into(),
        settings: Settings::default(),
        binding: None,
        session: Vec::new(),
    }
    .write(&mut context);
    let (mut stream, _) = journal.open_stream(NOW, &context, None).unwrap();
    let mut places = Vec::new();
    for (device, is_new, second) in datagrams {
        let (tenant, settings) = ("default".into(), Settings::default());
        let mut decision = Vec::new();
        Binding { device: (*device).into(), tenant, decision: Decision::Accepted, settings }.write(&mut decision);
        let payload = format!("{device}#SD#010126;0000{second:02};5355.0926;N;02732.4099;E;0;0;300;7\r\n");
        let identity = is_new.then_some(Identity { device, decision: &decision });
        let entry = NewEntry { kind: Kind::FRAME, at: NOW, identity, payload: payload.as_bytes() };
        places.push(journal.append(&mut stream, &context, None, &[entry]).unwrap().first);
    }
    committer.commit_step().unwrap();
    // The journal's first segment begins at 0, so a place is an offset; the checksum comes first.
    let segment: PathBuf =
        disk.files().into_iter().find(|path| path.extension().is_some_and(|it| it == "segment")).unwrap();
    disk.flip_bit(&segment, places[damaged].0, 0);
    let reader = Reader::open(shared, folder).unwrap();
    let mut entries = reader.entries(Lsn(0), Some(journal.durable())).unwrap();
    let (mut records, mut found) = (Records::new(Window::default()), Vec::new());
    let read = records.read(
        &mut entries,
        |event| {
            found.push((event.binding.device.to_string(), (event.record.time.unwrap_or(Time(0)).0 - NOW) / 1000));
            Ok::<(), std::convert::Infallible>(())
        },
        |trouble| assert!(matches!(trouble, Trouble::Damaged(_) | Trouble::Undecoded(..))),
    );
    read.unwrap();
    (found, records.totals())
}

const A: &str = "350000000000001";
const B: &str = "350000000000002";

fn told(found: &[(&str, i64)]) -> Vec<(String, i64)> {
    found.iter().map(|(device, second)| ((*device).to_owned(), *second)).collect()
}

#[test]
fn nothing_is_given_to_a_device_that_may_be_another() {
    // That the peer became the second device is lost.
    let (found, totals) =
        read_with_damage(&[(A, true, 1), (B, true, 2), (B, false, 3), (A, true, 4), (A, false, 5)], 1);
    assert_eq!(found, told(&[(A, 1), (A, 4), (A, 5)]));
    assert_eq!(totals, Totals { records: 3, duplicates: 0, undecoded: 1, damaged: 1 });
}

#[test]
fn what_does_not_depend_on_what_was_lost_comes_out() {
    let (found, totals) = read_with_damage(&[(A, true, 1), (A, false, 2), (A, false, 3)], 1);
    assert_eq!(found, told(&[(A, 1), (A, 3)]));
    assert_eq!(totals, Totals { records: 2, duplicates: 0, undecoded: 0, damaged: 1 });
}

#[test]
fn damage_at_the_very_end_ends_the_reading() {
    let (found, totals) = read_with_damage(&[(A, true, 1), (A, false, 2)], 1);
    assert_eq!(found, told(&[(A, 1)]));
    assert_eq!(totals, Totals { records: 1, duplicates: 0, undecoded: 0, damaged: 1 });
}
