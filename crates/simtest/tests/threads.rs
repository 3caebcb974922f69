//! The same with real threads and sockets: workers put in while one thread reads, a worker hangs and is replaced, the
//! gateway stops. What comes out is what the journal gives.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use compact_str::CompactString;
use odograph_env::{Disk, SystemClock};
use odograph_fleet::{Heard, Reading, Speech};
use odograph_handover::ring;
use odograph_ingest::{Bell, Bound, Devices, Gateway, Limits, Listener, Parts, Roster};
use odograph_journal::{Journal, Options, Reader};
use odograph_pipeline::FrameCounts;
use odograph_protocols::{Binding, Transport, find};
use odograph_simtest::{Book, Historian};
use odograph_testkit::{FaultDisk, SeededRng};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long a test waits for something that will surely come. Never asserted: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(60);
const FRAMES: usize = 150;

/// Lets devices call, each in a thread, while the tables are filled through a ring of so many bytes.
fn check(ring_bytes: u64, workers: usize, hang: bool) -> FrameCounts {
    let disk = FaultDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (bell, clock) = (Arc::new(Bell::default()), Arc::new(SystemClock::new()));
    let folder = Path::new("data/journal/0");
    let options =
        Options { observer: bell.clone(), segment_bytes: 256 << 10, reserve_bytes: 64 << 10, ..Options::default() };
    let (journal, committer, _) =
        Journal::open(folder, options, shared.clone(), clock.clone(), &SeededRng::new(7)).unwrap();
    let (roster, _) = Roster::open(shared.clone(), Path::new("data"), 1000).unwrap();
    let devices = Arc::new(Stuck { roster, open: Mutex::default(), opened: Condvar::new() });
    let reader = Reader::open(shared, folder).unwrap();
    let (inlet, outlet) = ring(ring_bytes);
    let ways =
        Speech::ALL.map(|speech| (speech, Transport::Tcp)).into_iter().chain([(Speech::Teltonika, Transport::Udp)]);
    let bound: Vec<_> = ways.map(|(speech, transport)| (speech, transport, listen(speech, transport))).collect();
    let addresses: Vec<_> =
        bound.iter().map(|(speech, transport, bound)| (*speech, *transport, bound.listener().local)).collect();
    let parts = Parts {
        journal: journal.clone(),
        committer,
        bell,
        devices: devices.clone(),
        handover: Some(inlet),
        clock,
        limits: Limits::default(),
        workers,
    };
    let gateway = Gateway::start(parts, bound.into_iter().map(|(_, _, bound)| bound).collect()).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also when a caller panics, or nobody would end.
        let ending = Ending(&over);
        let (over, journal) = (&over, &journal);
        let reading = scope.spawn(move || {
            let mut historian = Historian::open(&Book::default(), reader, outlet);
            let rng = SeededRng::new(ring_bytes);
            while !over.load(Ordering::Acquire) {
                historian.happen(journal.durable(), &rng);
                std::thread::yield_now();
            }
            historian.audit(journal.durable(), &format!("{ring_bytes} bytes, {workers} workers"))
        });
        let callers: Vec<_> = (0..4 * addresses.len())
            .map(|number| {
                let (speech, transport, address) = addresses[number % addresses.len()];
                scope.spawn(move || match transport {
                    Transport::Tcp => call(number, speech, address),
                    Transport::Udp => send_datagrams(number, address),
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        if hang {
            let (speech, _, address) = addresses[0];
            let mut stuck = TcpStream::connect(address).unwrap();
            stuck.write_all(&speech.login(STUCK)).unwrap();
            while gateway.health().parts.iter().all(|part| part.replaced == 0) {
                std::thread::sleep(Duration::from_millis(20));
            }
            // The others come again, and the one that hung goes on late.
            call(100, speech, address);
            devices.open();
            call(101, speech, address);
        }
        gateway.stop().unwrap();
        drop(ending);
        reading.join().unwrap()
    })
}

#[test]
fn a_ring_with_room_for_all() {
    let counts = check(64 << 20, 2, false);
    println!("{counts:?}");
    // How many are decoded again depends on when the reader began again; that most are not is what it is for.
    assert!(counts.live > 1000, "{counts:?}");
}

#[test]
fn a_ring_that_overflows() {
    let counts = check(48 << 10, 4, false);
    println!("{counts:?}");
    assert!(counts.live > 0 && counts.redecoded > 0, "{counts:?}");
}

#[test]
fn a_worker_that_hangs_and_is_replaced() {
    let counts = check(64 << 20, 1, true);
    println!("{counts:?}");
    assert!(counts.live > 0, "{counts:?}");
}

/// Tells the reader that it is over.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Decides like the roster, but about one device not before it may.
struct Stuck {
    roster: Roster,
    open: Mutex<bool>,
    opened: Condvar,
}

const STUCK: &str = "350000000000666";

impl Stuck {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Devices for Stuck {
    fn admit(&self, ids: &[CompactString], listener: &Listener) -> Arc<Binding> {
        if ids.iter().any(|id| id == STUCK) {
            let open = self.open.lock().unwrap();
            drop(self.opened.wait_while(open, |open| !*open).unwrap());
        }
        self.roster.admit(ids, listener)
    }
}

fn listen(speech: Speech, transport: Transport) -> Bound {
    let protocol = find(speech.name()).unwrap();
    Bound::open(Listener::new(protocol, transport, ([127, 0, 0, 1], 0).into()).unwrap()).unwrap()
}

/// A device that logs in, sends its frames, and waits for each acknowledgement.
fn call(number: usize, speech: Speech, address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut inbox = Vec::new();
    let mut hear = |stream: &mut TcpStream, awaits_login: bool| {
        loop {
            let (heard, taken) = speech.hear(&inbox, awaits_login);
            inbox.drain(..taken);
            match heard {
                Heard::Nothing => {}
                Heard::Other => continue,
                heard => return heard,
            }
            let mut bytes = [0; 512];
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0, "{speech:?} {number}: closed");
            inbox.extend_from_slice(&bytes[..count]);
        }
    };
    stream.write_all(&speech.login(&imei(number))).unwrap();
    assert_eq!(hear(&mut stream, true), Heard::Login(true));
    for frame in 0..FRAMES {
        let readings: Vec<_> = (0..=frame % 4).map(|index| reading(4 * frame + index)).collect();
        stream.write_all(&speech.frame(&readings, frame as u16)).unwrap();
        assert!(matches!(hear(&mut stream, false), Heard::Acknowledged(_)));
    }
}

/// A device that sends datagrams, and each again until it is acknowledged.
fn send_datagrams(number: usize, address: SocketAddr) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    for frame in 0..FRAMES {
        let data = Speech::Teltonika.frame(&[reading(frame)], 1);
        let mut rest = vec![0, frame as u8, 1, 5];
        rest.extend((imei(number).len() as u16).to_be_bytes());
        rest.extend(imei(number).as_bytes());
        // Without the zeros and the length before the data, and the checksum behind it.
        rest.extend(&data[8..data.len() - 4]);
        let datagram = [&(rest.len() as u16).to_be_bytes()[..], &rest].concat();
        let tries = (0..PATIENCE.as_millis() / 500).any(|_| {
            socket.send(&datagram).unwrap();
            let mut answer = [0; 64];
            socket.recv(&mut answer).is_ok_and(|count| count == 7 && answer[3] == frame as u8)
        });
        assert!(tries, "datagram {frame} of {number} was not acknowledged");
    }
}

fn imei(number: usize) -> String {
    format!("{:015}", 350_000_000_000_000_u64 + number as u64)
}

fn reading(second: usize) -> Reading {
    let time_ms = 1_767_225_600_000 + second as i64 * 1000;
    Reading { time_ms, latitude: 48.1, longitude: 9.2, speed_kph: 50, course: 90 }
}
