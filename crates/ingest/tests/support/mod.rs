//! A gateway to try: on loopback, over a disk in memory that does what a test asks, with devices that speak.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses a part of it")]

pub mod sender;
pub mod told;

use odograph_env::{Clock, SystemClock};
use odograph_fleet::{Heard, Reading, Speech};
use odograph_handover::Inlet;
use odograph_ingest::{Bell, Bound, Devices, Gateway, Health, Limits, Listener, Parts, Roster};
use odograph_journal::{Journal, Options};
use odograph_protocols::{Transport, find};
use odograph_testkit::{FaultDisk, SeededRng};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long a test waits for something that will surely come. Never asserted: only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn folder() -> PathBuf {
    PathBuf::from("data/journal/0")
}

/// A gateway and what it stands on.
pub struct Trial {
    pub gateway: Arc<Gateway>,
    pub disk: FaultDisk,
    pub address: SocketAddr,
    pub roster: Arc<Roster>,
}

/// What makes a listener that of a test.
pub type Bind = dyn FnOnce(&mut Listener, &Roster);

/// What a trial may set.
pub struct Setup {
    pub clock: Arc<dyn Clock>,
    pub devices: Option<Arc<dyn Devices>>,
    pub limits: Limits,
    pub listener: fn(&mut Listener),
    /// Makes it that of a device.
    pub bind: Box<Bind>,
    pub speech: Speech,
    /// Instead of that of the speech.
    pub protocol: Option<&'static str>,
    pub transport: Transport,
    pub unknown_max: usize,
    pub workers: usize,
    pub handover: Option<Inlet>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            devices: None,
            limits: Limits::default(),
            listener: |_| {},
            bind: Box::new(|_, _| {}),
            speech: Speech::Teltonika,
            protocol: None,
            transport: Transport::Tcp,
            unknown_max: 1000,
            workers: 1,
            handover: None,
        }
    }
}

impl Setup {
    pub fn start(self) -> Trial {
        let mut listener = Self::listener(self.protocol.unwrap_or(self.speech.name()), self.transport);
        let (tune, mut setup) = (self.listener, self);
        let bind = std::mem::replace(&mut setup.bind, Box::new(|_, _| {}));
        let (roster, parts, disk) = setup.parts();
        tune(&mut listener);
        bind(&mut listener, &roster);
        let bound = Bound::open(listener).unwrap();
        let address = bound.listener().local;
        Trial { gateway: Gateway::start(parts, vec![bound]).unwrap(), disk, address, roster }
    }

    /// A listener on a free port.
    pub fn listener(protocol: &str, transport: Transport) -> Listener {
        Listener::new(find(protocol).unwrap(), transport, ([127, 0, 0, 1], 0).into()).unwrap()
    }

    /// All but the listeners.
    pub fn parts(self) -> (Arc<Roster>, Parts, FaultDisk) {
        let disk = FaultDisk::new();
        let shared: Arc<dyn odograph_env::Disk> = Arc::new(disk.clone());
        let bell = Arc::new(Bell::default());
        let options =
            Options { observer: bell.clone(), segment_bytes: 1 << 20, reserve_bytes: 64 << 10, ..Options::default() };
        let (journal, committer, _) =
            Journal::open(&folder(), options, shared.clone(), self.clock.clone(), &SeededRng::new(7)).unwrap();
        let (roster, _) = Roster::open(shared.clone(), Path::new("data"), self.unknown_max).unwrap();
        let roster = Arc::new(roster);
        let devices = self.devices.unwrap_or_else(|| roster.clone());
        let Self { clock, limits, workers, handover, .. } = self;
        (roster, Parts { journal, committer, bell, devices, handover, clock, limits, workers }, disk)
    }
}

impl Trial {
    pub fn connect(&self, imei: &str) -> Caller {
        Caller { imei: imei.to_owned(), ..Caller::to(self.address) }
    }

    pub fn log_in(&self, imei: &str) -> Caller {
        let mut caller = self.connect(imei);
        caller.send(&Speech::Teltonika.login(imei));
        assert_eq!(caller.hear(true), Some(Heard::Login(true)));
        caller
    }

    pub fn health_of(&self, part: &str) -> odograph_ingest::PartHealth {
        self.gateway.health().parts.into_iter().find(|known| known.part == part).unwrap()
    }

    pub fn wait_for(&self, what: &str, mut condition: impl FnMut(&Health) -> bool) -> Health {
        for _ in 0..PATIENCE.as_millis() / 10 {
            let health = self.gateway.health();
            if condition(&health) {
                return health;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("waited in vain for {what}: {:?}", self.gateway.health());
    }
}

/// A device that calls.
pub struct Caller<S = TcpStream> {
    pub stream: S,
    imei: String,
    inbox: Vec<u8>,
}

impl Caller {
    pub fn to(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    pub fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::over(stream)
    }
}

impl<S: Read + Write> Caller<S> {
    /// One whose bytes go some other way.
    pub fn over(stream: S) -> Self {
        Self { stream, imei: String::new(), inbox: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn send_reading(&mut self, number: i64) {
        self.send(&Speech::Teltonika.frame(&[reading(number)], 1));
    }

    /// The next answer; `None` once the server has closed.
    pub fn hear(&mut self, awaits_login: bool) -> Option<Heard> {
        loop {
            let (heard, taken) = Speech::Teltonika.hear(&self.inbox, awaits_login);
            if heard != Heard::Nothing {
                self.inbox.drain(..taken);
                return Some(heard);
            }
            let mut bytes = [0; 512];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.inbox.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{}: {error}", self.imei),
            }
        }
    }

    pub fn is_acknowledged(&mut self) -> bool {
        self.hear(false) == Some(Heard::Acknowledged(Some(1)))
    }
}

pub fn reading(number: i64) -> Reading {
    let time_ms = 1_767_225_600_000 + number * 1000;
    Reading { time_ms, latitude: 48.1, longitude: 9.2, speed_kph: 50, course: 90 }
}

/// Holds threads up until it is opened.
#[derive(Default)]
pub struct Gate {
    open: Mutex<bool>,
    waits: AtomicBool,
    opened: Condvar,
}

impl Gate {
    pub fn pass(&self) {
        let open = self.open.lock().unwrap();
        self.waits.store(true, Ordering::Release);
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }

    /// Whether somebody has come to it.
    pub fn waits(&self) -> bool {
        self.waits.load(Ordering::Acquire)
    }

    pub fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}
