//! The world: a gateway, its devices, and what befalls them.

use crate::device::Device;
use crate::{Book, Faults, Historian, Ledger};
use odograph_env::Clock as _;
use odograph_fleet::Speech;
use odograph_handover::ring;
use odograph_ingest::{Close, Connection, Intake, Listener, Now, Roster, Scratch};
use odograph_journal::{Committer, Journal, Options, Reader, Step};
use odograph_model::Time;
use odograph_pipeline::{FrameCounts, Totals};
use odograph_protocols::detect::UNIDENTIFIED;
use odograph_protocols::{Transport, find};
use odograph_testkit::{FaultDisk, PowerCut, SeededRng, TestClock};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is to happen.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The seed: the same plan with the same seed happens the same way.
    pub seed: u64,
    /// Devices of each speech.
    pub devices: usize,
    /// Readings of each device.
    pub readings: usize,
    /// Once in so many steps a link breaks; 0: never.
    pub link_breaks_one_in: u64,
    /// Once in so many steps the power goes; 0: never.
    pub power_cut_one_in: u64,
    /// Once in so many steps the disk becomes full, or has room again; 0: never.
    pub disk_full_one_in: u64,
    /// Once in so many steps one of the next flushes fails, and with it the process; 0: never.
    pub flush_fails_one_in: u64,
    /// Segments are this small.
    pub segment_bytes: u64,
    /// What is decoded goes to the tables by a ring of so many bytes.
    pub ring_bytes: u64,
    /// All devices come to the port that understands all protocols.
    pub common_port: bool,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Where gateway and ledger disagree.
    pub faults: Faults,
    /// What came out of the journal.
    pub totals: Totals,
    /// How often the power went.
    pub power_cuts: u64,
    /// How often the writer found the disk full.
    pub full_steps: u64,
    /// How often a flush failed.
    pub failed_flushes: u64,
    /// How the frames that went to the tables became records.
    pub frames: FrameCounts,
}

/// More steps than this mean that nothing gets done any more.
const STEPS_MAX: u64 = 2_000_000;

/// When the world begins: 2026-01-01T00:00:00Z.
const BEGINNING_MS: i64 = 1_767_225_600_000;

/// A world.
pub struct World {
    plan: Plan,
    rng: SeededRng,
    clock: Arc<TestClock>,
    disk: FaultDisk,
    devices: Vec<Device>,
    server: Server,
    ledger: Arc<Mutex<Ledger>>,
    /// The tables, which no power cut takes from what they were given.
    book: Book,
    power_cuts: u64,
    is_full: bool,
    full_steps: u64,
    failed_flushes: u64,
}

struct Server {
    intake: Intake,
    historian: Historian,
    committer: Committer,
    links: Vec<Option<Connection>>,
    scratch: Scratch,
}

impl World {
    /// A world before its first step.
    pub fn new(plan: Plan) -> Self {
        let clock = Arc::new(TestClock::new(BEGINNING_MS));
        let disk = FaultDisk::new();
        let rng = SeededRng::new(plan.seed);
        let devices: Vec<_> = (0..plan.devices * Speech::ALL.len())
            .map(|number| Device::new(number, Speech::ALL[number % Speech::ALL.len()], plan.readings, BEGINNING_MS))
            .collect();
        let book = Book::default();
        let server = Server::start(&plan, &disk, &clock, &rng, &book, devices.len());
        let (ledger, is_full) = (Arc::default(), false);
        let (power_cuts, full_steps, failed_flushes) = (0, 0, 0);
        Self { plan, rng, clock, disk, devices, server, ledger, book, power_cuts, is_full, full_steps, failed_flushes }
    }

    /// Checks the ledger against what a power cut would leave, before and after every operation of the disk. Gives the
    /// number of images that were checked so far.
    pub fn audit_every_operation(&self) -> Arc<Mutex<u64>> {
        let images = Arc::new(Mutex::new(0));
        let (ledger, clock, count, seed) = (self.ledger.clone(), self.clock.clone(), images.clone(), self.plan.seed);
        self.disk.on_operation(move |disk, operation| {
            let ledger = ledger.lock().expect("nobody panics while holding the ledger").clone();
            for cut in [PowerCut::Lost, PowerCut::Kept, PowerCut::Random(seed ^ operation.ordinal)] {
                let image = disk.crash_image(cut);
                let (faults, _) = ledger.audit(&image, &folder(), clock.now());
                assert!(faults.is_empty(), "seed {seed}, {cut:?} at {operation:?}: {faults:?}");
                *count.lock().expect("nobody panics while holding the count") += 1;
            }
        });
        images
    }

    /// Lets everything happen until every device has erased all that it measured. Then the gateway's data is audited, and
    /// what went to the tables is compared with what the journal alone gives.
    pub fn run(mut self) -> Outcome {
        let mut steps = 0;
        while !self.devices.iter().all(Device::is_done) {
            self.step();
            steps += 1;
            assert!(steps < STEPS_MAX, "seed {}: nothing gets done any more", self.plan.seed);
        }
        let ledger = self.ledger.lock().expect("nobody panics while holding the ledger");
        let (faults, totals) = ledger.audit(&self.disk.crash_image(PowerCut::Lost), &folder(), self.clock.now());
        let durable = self.server.intake.journal.durable();
        let frames = self.server.historian.audit(durable, &format!("seed {}", self.plan.seed));
        let Self { power_cuts, full_steps, failed_flushes, .. } = self;
        Outcome { faults, totals, power_cuts, full_steps, failed_flushes, frames }
    }

    fn step(&mut self) {
        self.server.historian.happen(self.server.intake.journal.durable(), &self.rng);
        self.clock.advance(Duration::from_millis(self.rng.below(20)));
        if self.plan.power_cut_one_in > 0 && self.rng.one_in(self.plan.power_cut_one_in) {
            return self.cut_power();
        }
        if self.plan.disk_full_one_in > 0 && self.rng.one_in(self.plan.disk_full_one_in) {
            self.is_full = !self.is_full;
            self.disk.set_capacity(self.is_full.then(|| self.disk.used()));
        }
        if self.plan.flush_fails_one_in > 0 && self.rng.one_in(self.plan.flush_fails_one_in) {
            self.disk.fail_sync_after(self.rng.below(3));
        }
        let number = self.rng.below(self.devices.len() as u64) as usize;
        if self.plan.link_breaks_one_in > 0 && self.rng.one_in(self.plan.link_breaks_one_in) {
            return self.break_link(number);
        }
        match self.rng.below(4) {
            0 => self.commit(),
            1 => self.deliver_answers(number),
            _ => self.deliver_bytes(number),
        }
    }

    fn commit(&mut self) {
        match self.server.committer.commit_step() {
            Ok(step) => {
                assert_ne!(step, Step::Closed);
                self.full_steps += u64::from(step == Step::Full);
            }
            Err(error) => {
                assert!(self.plan.flush_fails_one_in > 0, "seed {}: {error}", self.plan.seed);
                self.die();
            }
        }
    }

    /// A flush failed, and the process ends by that. What it wrote is seen by the next one, durable or not.
    fn die(&mut self) {
        self.failed_flushes += 1;
        self.restart(self.disk.kill_image());
    }

    fn deliver_bytes(&mut self, number: usize) {
        let now = self.now();
        let device = &mut self.devices[number];
        let server = &mut self.server;
        if !device.is_connected() {
            device.connect();
            let own = find(device.speech().name()).expect("the fleet speaks what the registry knows");
            let protocol = if self.plan.common_port { &UNIDENTIFIED } else { own };
            let local = ([127, 0, 0, 1], protocol.port).into();
            let listener = Listener::new(protocol, Transport::Tcp, local).expect("the fleet speaks over TCP");
            let peer = ([127, 0, 0, 1], 40_000 + number as u16).into();
            let connection = Connection::open(Arc::new(listener), peer, &server.intake, now, &mut server.scratch);
            server.links[number] = Some(connection.expect("the journal takes entries"));
        }
        let sent = device.speak(&self.rng);
        self.ledger.lock().expect("nobody panics while holding the ledger").sent.extend(sent);
        let bytes = device.send(&self.rng);
        if let Some(connection) = server.links[number].as_mut().filter(|_| !bytes.is_empty()) {
            let mut rest = &bytes[..];
            loop {
                let step = connection.receive(rest, &server.intake, now, &mut server.scratch);
                let step = step.expect("the journal takes entries");
                assert!(!step.closing, "seed {}: closed", self.plan.seed);
                if !step.more {
                    break;
                }
                rest = &[];
            }
        }
    }

    fn deliver_answers(&mut self, number: usize) {
        let (now, durable) = (self.now(), self.server.intake.journal.durable());
        let Some(connection) = self.server.links[number].as_mut() else { return };
        let released = connection.release(durable);
        let count = if released.is_empty() { 0 } else { 1 + self.rng.below(released.len() as u64) as usize };
        let count = count.min(released.len());
        let bytes = released[..count].to_vec();
        connection.sent(count, now);
        let acknowledged = self.devices[number].hear(&bytes);
        self.ledger.lock().expect("nobody panics while holding the ledger").acknowledged.extend(acknowledged);
    }

    fn break_link(&mut self, number: usize) {
        let now = self.now();
        self.devices[number].lose_link();
        let server = &mut self.server;
        if let Some(mut connection) = server.links[number].take() {
            let ended = connection.close(Close::Network, &server.intake, now, &mut server.scratch);
            ended.expect("the journal takes entries");
        }
    }

    /// The power goes, and comes back: what is on the disk is what the cut left.
    fn cut_power(&mut self) {
        self.power_cuts += 1;
        let image = self.image_in_mid_commit();
        self.restart(image);
    }

    /// What a cut leaves that comes while a commit is under way, before or after one of its first operations; or between two commits.
    fn image_in_mid_commit(&mut self) -> FaultDisk {
        let (cut, at) = (PowerCut::Random(self.rng.next()), self.disk.operations() + self.rng.below(3));
        let image = Arc::new(Mutex::new(self.disk.crash_image(cut)));
        let found = image.clone();
        self.disk.on_operation(move |disk, operation| {
            if operation.ordinal == at {
                *found.lock().expect("nobody panics while holding an image") = disk.crash_image(cut);
            }
        });
        // Whatever becomes of it, nobody hears of it any more.
        let _ = self.server.committer.commit_step();
        let image = image.lock().expect("nobody panics while holding an image");
        image.clone()
    }

    /// A new process begins with what is on the disk, where somebody has made room.
    fn restart(&mut self, disk: FaultDisk) {
        disk.set_capacity(None);
        (self.disk, self.is_full) = (disk, false);
        self.devices.iter_mut().for_each(Device::lose_link);
        self.server = Server::start(&self.plan, &self.disk, &self.clock, &self.rng, &self.book, self.devices.len());
        // Also where no device comes: whoever waits for all that is durable gets it.
        self.server.historian.reaches(self.server.intake.journal.durable(), &format!("seed {}", self.plan.seed));
        let ledger = self.ledger.lock().expect("nobody panics while holding the ledger").clone();
        for cut in [PowerCut::Kept, PowerCut::Lost] {
            let (faults, _) = ledger.audit(&self.disk.crash_image(cut), &folder(), self.clock.now());
            let (cuts, flushes) = (self.power_cuts, self.failed_flushes);
            assert!(faults.is_empty(), "seed {}, after {cuts} cuts and {flushes} flushes: {faults:?}", self.plan.seed);
        }
    }

    fn now(&self) -> Now {
        Now { wall: Time(self.clock.now()), monotonic: self.clock.monotonic() }
    }
}

impl Server {
    fn start(
        plan: &Plan,
        disk: &FaultDisk,
        clock: &Arc<TestClock>,
        rng: &SeededRng,
        book: &Book,
        links: usize,
    ) -> Self {
        let options = Options {
            segment_bytes: plan.segment_bytes,
            reserve_bytes: plan.segment_bytes.min(8 << 10),
            ..Options::default()
        };
        let disk: Arc<dyn odograph_env::Disk> = Arc::new(disk.clone());
        let opened = Journal::open(&folder(), options, disk.clone(), clock.clone(), rng);
        let (journal, committer, _) = opened.expect("a journal opens after a power cut");
        let (roster, _) = Roster::open(disk.clone(), Path::new("data"), usize::MAX).expect("the roster opens");
        let reader = Reader::open(disk, &folder()).expect("a journal can be read after recovery");
        let (inlet, outlet) = ring(plan.ring_bytes);
        let historian = Historian::open(book, reader, outlet);
        let intake = Intake { journal, devices: Arc::new(roster), handover: Some(inlet) };
        Self { intake, historian, committer, links: (0..links).map(|_| None).collect(), scratch: Scratch::default() }
    }
}

fn folder() -> PathBuf {
    PathBuf::from("data/journal/1")
}
