//! Whoever passes on what devices say: none of them answers for the others, and who brings none that is let in does not stay.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_ingest::{Close, Connection, Intake, Limits, Listener, Now, Roster, Scratch, Unknown};
use odograph_journal::{Entries, Journal, Kind, Options, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Binding, Decision, Settings, Transport, find};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use odograph_wire::checksum;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A packet of EGTS with an analogue input of each object.
fn packet(objects: &[u32]) -> Vec<u8> {
    let mut data = Vec::new();
    for object in objects {
        data.extend([7, 0, 1, 0, 1]);
        data.extend(object.to_le_bytes());
        data.extend([2, 2, 24, 4, 0, 1, 5, 0, 0]);
    }
    let mut packet = vec![1, 0, 0, 11, 0];
    packet.extend((data.len() as u16).to_le_bytes());
    packet.extend([9, 0, 1]);
    packet.push(checksum::crc8_nrsc5(&packet));
    packet.extend(&data);
    packet.extend(checksum::crc16_ccitt_false(&data).to_le_bytes());
    packet
}

/// A connection to a listener that rejects whom it does not know; it knows 5 of the north and 6 of the south.
struct Bench {
    disk: Arc<dyn odograph_env::Disk>,
    intake: Intake,
    committer: odograph_journal::Committer,
    connection: Connection,
    scratch: Scratch,
}

const OPENED: Now = Now { wall: Time(1_767_225_600_000), monotonic: Duration::ZERO };

impl Bench {
    fn new() -> Self {
        let disk: Arc<dyn odograph_env::Disk> = Arc::new(FaultDisk::new());
        let clock = Arc::new(TestClock::new(OPENED.wall.0));
        let (journal, committer, _) =
            Journal::open(&support::folder(), Options::default(), disk.clone(), clock, &SeededRng::new(1)).unwrap();
        let (roster, _) = Roster::open(disk.clone(), Path::new("data"), 10).unwrap();
        roster.announce(&["5".into()], "north", Settings::default());
        roster.announce(&["truck six".into(), "6".into()], "south", Settings::default());
        let intake = Intake { journal, devices: Arc::new(roster), handover: None };
        let mut listener = Listener::new(find("egts").unwrap(), Transport::Tcp, ([127, 0, 0, 1], 1).into()).unwrap();
        listener.unknown = Unknown::Reject;
        let mut scratch = Scratch::default();
        let peer = ([127, 0, 0, 1], 2).into();
        let connection = Connection::open(Arc::new(listener), peer, &intake, OPENED, &mut scratch).unwrap();
        Self { disk, intake, committer, connection, scratch }
    }

    /// Takes a packet, and says how many records counted.
    fn takes(&mut self, objects: &[u32]) -> u64 {
        let step = self.connection.receive(&packet(objects), &self.intake, OPENED, &mut self.scratch).unwrap();
        assert!(!step.closing, "it goes on for the others");
        self.scratch.tally.records
    }

    /// Why it has to end a minute after it began, and a little more.
    fn after_a_minute(&self) -> Option<Close> {
        let limits = Limits { identify_max: Duration::from_secs(60), ..Limits::default() };
        self.connection.overdue(&limits, Now { monotonic: Duration::from_secs(61), ..OPENED })
    }

    /// The decisions of the journal's frames, with the device that each frame is of.
    fn decisions(mut self) -> Vec<Decisions> {
        self.committer.commit_step().unwrap();
        let mut entries = Reader::open(self.disk, &support::folder()).unwrap().entries(Lsn(0), None).unwrap();
        std::iter::from_fn(|| next(&mut entries)).collect()
    }
}

/// The device that a frame is of, and what was decided about others in it.
type Decisions = (String, Vec<(String, String, Decision)>);

fn next(entries: &mut Entries) -> Option<Decisions> {
    loop {
        let entry = entries.next().unwrap()?;
        let Some(identity) = entry.identity.filter(|_| entry.kind == Kind::FRAME) else { continue };
        let (_, others) = Binding::read_with(identity.device, identity.decision).unwrap();
        let told = others.iter().map(|other| {
            let Binding { device, tenant, decision, .. } = &*other.binding;
            (device.to_string(), tenant.to_string(), *decision)
        });
        return Some((identity.device.to_owned(), told.collect()));
    }
}

#[test]
fn what_is_decided_about_each_device_of_a_packet_is_in_the_journal_with_it() {
    let mut bench = Bench::new();
    assert_eq!((bench.takes(&[5, 6, 7, 5]), bench.takes(&[7, 6]), bench.takes(&[7]), bench.takes(&[5])), (3, 1, 0, 1));
    let told = |device: &str, tenant: &str, decision: Decision| (device.to_owned(), tenant.to_owned(), decision);
    let (six, seven) = (told("truck six", "south", Decision::Accepted), told("7", "default", Decision::Refused));
    let expected = [
        ("5", vec![six.clone(), seven.clone()]),
        // A refused device owns nothing, so the frame is of the first that is let in.
        ("truck six", vec![seven, six]),
        ("", vec![]),
        ("5", vec![]),
    ];
    assert_eq!(bench.decisions(), expected.map(|(device, others)| (device.to_owned(), others)));
}

#[test]
fn who_brings_none_that_is_let_in_does_not_stay() {
    let mut bench = Bench::new();
    assert_eq!(bench.takes(&[7, 8]), 0);
    assert_eq!(bench.after_a_minute(), Some(Close::Unidentified));
    let mut bench = Bench::new();
    assert_eq!((bench.takes(&[7, 5]), bench.takes(&[7])), (1, 0));
    assert_eq!(bench.after_a_minute(), None, "one of them was, though the last was not");
}
