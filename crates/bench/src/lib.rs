//! What is measured: `cargo bench -p odograph-bench` says how long it takes, and `cargo test` that it still works.
//!
//! The disk is in memory, so what counts is our own work. Compare numbers of one machine and one run only.

mod arguments;
mod frames;
pub mod month;
pub mod questions;
mod reading;

pub use arguments::Arguments;
pub use frames::{TELTONIKA_RECORDS, gt06, teltonika, teltonika_from, wialon};
pub use reading::Reading;

use odograph_env::Disk;
use odograph_fleet::Speech;
use odograph_handover::{Inlet, Outlet, ring};
use odograph_ingest::{Connection, Intake, Listener, Now, Roster, Scratch};
use odograph_journal::{Committer, Journal, Kind, NewEntry, Options, Reader, Step, Stream};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Checksum, Opening, Out, Session, Settings, Transport, decode, find};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A session that decodes one frame again and again.
pub struct Decoding {
    session: Box<dyn Session>,
    frame: Vec<u8>,
    out: Out<'static>,
}

impl Decoding {
    /// Decodes `frame` of `protocol`.
    pub fn new(protocol: &str, frame: Vec<u8>) -> Self {
        let settings = Settings::default();
        let opening =
            Opening { transport: Some(Transport::Tcp), settings: &settings, checksum: Checksum::Enforce, context: &[] };
        let session = (find(protocol).expect("the registry has it").open)(&opening);
        Self { session, frame, out: Out::default() }
    }

    /// Decodes it once; gives the number of records.
    pub fn once(&mut self) -> usize {
        self.out.clear();
        decode(&mut *self.session, &self.frame, NOW, &mut self.out).expect("the frame is sound");
        self.out.records().len()
    }
}

/// A journal on a disk in memory.
pub struct Writing {
    journal: Journal,
    committer: Committer,
    stream: Stream,
}

impl Default for Writing {
    fn default() -> Self {
        let (journal, committer) = open(&FaultDisk::new());
        let (stream, _) = journal.open_stream(NOW.0, b"context", None).expect("the journal takes entries");
        let mut writing = Self { journal, committer, stream };
        // The first group pays for the segment, which is no part of a normal one.
        writing.group(b"first");
        writing
    }
}

impl Writing {
    /// Appends [`GROUP`] frames of `payload`, each by itself, and makes them durable together.
    pub fn group(&mut self, payload: &[u8]) {
        for _ in 0..GROUP {
            let entry = NewEntry { kind: Kind::FRAME, at: NOW.0, identity: None, payload };
            let appended = self.journal.append(&mut self.stream, b"context", None, &[entry]);
            appended.expect("the journal takes entries");
        }
        assert_eq!(self.committer.commit_step().expect("the disk works"), Step::Committed);
    }
}

/// A Teltonika device that has logged in.
pub struct Receiving {
    connection: Connection,
    intake: Intake,
    committer: Committer,
    scratch: Scratch,
}

impl Default for Receiving {
    fn default() -> Self {
        Self::handing_over(&FaultDisk::new(), None)
    }
}

impl Receiving {
    /// One that hands over what it decodes, and where that comes out.
    pub fn with_ring() -> (Self, Outlet) {
        let (inlet, outlet) = ring(u64::MAX);
        (Self::handing_over(&FaultDisk::new(), Some(inlet)), outlet)
    }

    /// One that hands over what it decodes, if anyone wants it.
    pub(crate) fn handing_over(disk: &FaultDisk, handover: Option<Inlet>) -> Self {
        let (journal, committer) = open(disk);
        let (roster, _) = Roster::open(Arc::new(disk.clone()), Path::new("data"), 8).expect("an empty roster opens");
        let intake = Intake { journal, devices: Arc::new(roster), handover };
        let protocol = find("teltonika").expect("the registry has it");
        let listener =
            Listener::new(protocol, Transport::Tcp, ([127, 0, 0, 1], 1).into()).expect("it travels over TCP");
        let (mut scratch, peer) = (Scratch::default(), ([127, 0, 0, 1], 2).into());
        let connection = Connection::open(Arc::new(listener), peer, &intake, now(), &mut scratch);
        let connection = connection.expect("the journal takes entries");
        let mut receiving = Self { connection, intake, committer, scratch };
        receiving.answered(&Speech::Teltonika.login("350000000000001"));
        receiving
    }

    /// Takes [`GROUP`] frames in, each by itself, makes them durable, and releases the answers; gives their bytes.
    pub fn group(&mut self, frame: &[u8]) -> usize {
        for _ in 1..GROUP {
            self.receive(frame);
        }
        self.answered(frame)
    }

    pub(crate) fn durable(&self) -> Lsn {
        self.intake.journal.durable()
    }

    pub(crate) fn answered(&mut self, bytes: &[u8]) -> usize {
        self.receive(bytes);
        assert_eq!(self.committer.commit_step().expect("the disk works"), Step::Committed);
        let count = self.connection.release(self.intake.journal.durable()).len();
        self.connection.sent(count, now());
        count
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let step = self.connection.receive(bytes, &self.intake, now(), &mut self.scratch);
        assert!(step.is_ok_and(|step| step.due.is_some()), "every frame is answered");
    }
}

/// Frames between two flushes.
pub const GROUP: usize = 64;

fn open(disk: &FaultDisk) -> (Journal, Committer) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = Arc::new(TestClock::new(NOW.0));
    let opened = Journal::open(Path::new("data/journal/0"), Options::default(), disk, clock, &SeededRng::new(1));
    let (journal, committer, _) = opened.expect("an empty folder opens");
    (journal, committer)
}

fn open_reader(disk: &FaultDisk) -> Reader {
    Reader::open(Arc::new(disk.clone()), Path::new("data/journal/0")).expect("the journal is there")
}

const fn now() -> Now {
    Now { wall: NOW, monotonic: Duration::ZERO }
}

/// 2026-01-01T00:00:00Z.
const NOW: Time = Time(1_767_225_600_000);
