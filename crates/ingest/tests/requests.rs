//! Devices that come by HTTP: requests in order, of several devices by one connection, answered once they are durable.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_ingest::{Close, Connection, Intake, Listener, Now, Roster, Scratch, State, Unknown};
use odograph_journal::{Journal, Kind, Options, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Transport, find};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{Setup, Trial};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const CLOSED: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

fn get(id: &str, number: u32) -> String {
    format!("GET /?id={id}&timestamp={}&lat=48.1&lon=9.2 HTTP/1.1\r\nHost: a\r\n\r\n", 1_767_225_600 + number)
}

fn refusal(status: &str, connection: &str, text: &str) -> String {
    let length = text.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\n{connection}content-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{text}\n"
    )
}

fn unwelcome() -> String {
    refusal("404 Not Found", "", "this device is not accepted here")
}

fn start(listener: fn(&mut Listener)) -> Trial {
    Setup { protocol: Some("osmand"), workers: 2, listener, ..Setup::default() }.start()
}

/// A client that says what it is told to.
struct Client(TcpStream);

impl Client {
    fn of(trial: &Trial) -> Self {
        let stream = TcpStream::connect(trial.address).unwrap();
        stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
        Self(stream)
    }

    fn says(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// The next answer is just this.
    #[track_caller]
    fn hears(&mut self, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        self.0.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    /// Nothing more comes, and the connection is over.
    #[track_caller]
    fn is_left(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, b"", "there was more to hear"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

#[test]
fn requests_in_a_row_are_answered_in_their_order() {
    let trial = start(|_| {});
    let mut client = Client::of(&trial);
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nid=2&l\r\nb\r\nat=1&lon=2.5\r\n0\r\n\r\n";
    let malformed = "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n{";
    client.says(&[&get("1", 1), chunked, malformed, "\r\n", &get("3", 1)].concat());
    client.hears(OK);
    // Twelve bytes were promised to be eleven.
    client.hears(&refusal("400 Bad Request", "connection: close\r\n", "a chunk of a body is broken"));
    client.is_left();
    let mut client = Client::of(&trial);
    client.says(&[&get("1", 1), &chunked.replace("\r\nb\r\n", "\r\nc\r\n"), malformed, "\r\n", &get("3", 1)].concat());
    client.hears(OK);
    client.hears(OK);
    client.hears(&refusal("400 Bad Request", "", "body at byte 38: expected JSON"));
    client.hears(OK);
    let mut states = ["1", "2", "3"].map(|id| trial.roster.get(None, id).map(|known| known.state));
    assert!(states.iter_mut().all(|state| *state == Some(State::New)), "{states:?}");
}

#[test]
fn of_a_device_that_is_kept_out_no_request_is_kept() {
    let trial = start(|_| {});
    trial.roster.bar("default", Some("kept-out"), []);
    let mut client = Client::of(&trial);
    for number in 0..3 {
        client.says(&get("kept-out", number));
        client.hears(&unwelcome());
    }
    // What names nobody by its line is taken for its own, and another one's is that one's.
    client.says("POST / HTTP/1.1\r\nX-Device: kept-out\r\nContent-Length: 1\r\n\r\n{");
    client.hears(&refusal("400 Bad Request", "", "body at byte 58: expected JSON"));
    client.says(&get("2", 1));
    client.hears(OK);
    trial.gateway.stop().unwrap();
    let reader = Reader::open(Arc::new(trial.disk.clone()), &support::folder()).unwrap();
    let (mut entries, mut frames) = (reader.entries(Lsn(0), None).unwrap(), Vec::new());
    while let Some(entry) = entries.next().unwrap() {
        frames.extend((entry.kind == Kind::FRAME).then(|| String::from_utf8(entry.payload.to_vec()).unwrap()));
    }
    let none = String::new;
    assert_eq!(frames, [none(), none(), none(), none(), get("2", 1)]);
}

#[test]
fn a_request_is_answered_once_it_is_durable() {
    let trial = start(|_| {});
    let mut client = Client::of(&trial);
    client.says(&get("1", 1));
    client.hears(OK);
    trial.disk.stall_syncs(true);
    client.says(&get("1", 2));
    client.0.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let kind = client.0.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "it was answered before: {kind}");
    trial.disk.stall_syncs(false);
    client.0.set_read_timeout(Some(support::PATIENCE)).unwrap();
    client.hears(OK);
}

#[test]
fn a_phone_may_have_several_connections_and_a_balancer_many_phones() {
    let trial = start(|_| {});
    let (mut one, mut other) = (Client::of(&trial), Client::of(&trial));
    for number in 0..5 {
        for client in [&mut one, &mut other] {
            client.says(&get("1", number));
            client.hears(OK);
            client.says(&get("2", number));
            client.hears(OK);
        }
    }
}

#[test]
fn a_refusal_ends_nothing_but_its_request() {
    let trial = start(|listener| listener.unknown = Unknown::Reject);
    trial.roster.decide(None, "1", State::Accepted, Lsn(0)).unwrap();
    let mut client = Client::of(&trial);
    for _ in 0..2 {
        client.says(&[get("2", 1), get("1", 1)].concat());
        client.hears(&unwelcome());
        client.hears(OK);
    }
    client.says("GET /?lat=1&lon=2 HTTP/1.1\r\n\r\n");
    client.hears(&refusal("400 Bad Request", "", "id at byte 4: expected the id of the device"));
    let mut nameless = Client::of(&trial);
    nameless.says("GET /?lat=1&lon=2 HTTP/1.1\r\n\r\n");
    nameless.hears(&refusal("400 Bad Request", "", "expected the id of the device"));
    nameless.says(&get("1", 2));
    nameless.hears(OK);
}

#[test]
fn a_client_that_waits_before_its_body_is_prompted_once() {
    let trial = start(|_| {});
    let mut client = Client::of(&trial);
    for _ in 0..2 {
        client.says("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\n");
        client.hears(CONTINUE);
        client.says("id=1&lat");
        std::thread::sleep(Duration::from_millis(50));
        client.says("=1&lon=2");
        client.hears(OK);
    }
    client.says("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\nid=1&lat=1&lon=2");
    client.hears(OK);
}

#[test]
fn a_connection_ends_when_its_client_wants_it_and_after_what_cannot_be_cut() {
    let trial = start(|_| {});
    let mut client = Client::of(&trial);
    client.says(&[&get("1", 1), "GET /?id=1&lat=1&lon=2 HTTP/1.1\r\nConnection: close\r\n\r\n", &get("1", 2)].concat());
    client.hears(OK);
    client.hears(CLOSED);
    client.is_left();
    let mut old = Client::of(&trial);
    old.says("GET /?id=1&lat=1&lon=2 HTTP/1.0\r\n\r\n");
    old.hears(CLOSED);
    old.is_left();
    let mut done = Client::of(&trial);
    done.says(&get("1", 3));
    done.0.shutdown(Shutdown::Write).unwrap();
    done.hears(OK);
    done.is_left();
    let smuggled = "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let large = "POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n";
    for (text, status, why) in [
        (smuggled, "400 Bad Request", "the length of a body is stated in two ways"),
        (large, "413 Content Too Large", "a body is longer than 768 KiB"),
        ("*HQ,1,V1#", "400 Bad Request", "no HTTP request begins here"),
    ] {
        let mut client = Client::of(&trial);
        client.says(&[&get("1", 4), text].concat());
        client.hears(OK);
        client.hears(&refusal(status, "connection: close\r\n", why));
        client.is_left();
    }
}

#[test]
fn a_request_that_names_nobody_is_nobodys() {
    let trial = start(|_| {});
    let mut client = Client::of(&trial);
    let nameless = "GET /?lat=1&lon=2 HTTP/1.1\r\n\r\n";
    let broken = "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n{";
    client.says(&[&get("1", 1), nameless, &get("1", 2), broken, broken, &get("2", 1), nameless, &get("1", 3)].concat());
    let id = refusal("400 Bad Request", "", "id at byte 4: expected the id of the device");
    let json = refusal("400 Bad Request", "", "body at byte 38: expected JSON");
    [OK, &id, OK, &json, &json, OK, &id, OK].into_iter().for_each(|answer| client.hears(answer));
    trial.gateway.stop().unwrap();
    let mut entries =
        Reader::open(Arc::new(trial.disk.clone()), &support::folder()).unwrap().entries(Lsn(0), None).unwrap();
    let (mut owner, mut frames, mut sent) = (String::new(), Vec::new(), Vec::new());
    while let Some(entry) = entries.next().unwrap() {
        if let Some(identity) = entry.identity {
            identity.device.clone_into(&mut owner);
        }
        match entry.kind {
            Kind::FRAME => frames.push(owner.clone()),
            Kind::SENT => sent.push(owner.clone()),
            _ => {}
        }
    }
    assert_eq!(frames, ["1", "", "1", "", "", "2", "", "1"]);
    assert_eq!(sent, frames, "an answer belongs to whom its request does");
}

/// A stream of sound and broken requests.
fn stream_of(rng: &SeededRng) -> String {
    let mut stream = String::new();
    for number in 0..30 {
        let id = 1 + rng.below(3);
        let form = format!("id={id}&timestamp={}&lat=1&lon=2", 1_767_225_600 + number);
        stream += &match rng.below(6) {
            0 => "\r\n".to_owned(),
            1 => "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n[7]".to_owned(),
            2 => format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{form}", form.len()),
            3 => format!("PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{form}\r\n0\r\n\r\n", form.len()),
            4 => format!("POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n{form}", form.len()),
            _ => get(&id.to_string(), number),
        };
    }
    match rng.below(4) {
        0 => stream + "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\n\r\n",
        1 => stream + "GET /?id=1 HTTP/1.1\r\nconnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        2 => stream + "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nid=",
        _ => stream,
    }
}

#[test]
fn the_journal_holds_the_stream_however_it_comes() {
    for seed in 0..100 {
        let rng = SeededRng::new(seed);
        let stream = stream_of(&rng);
        let (at_once, _) = journal_of(stream.as_bytes(), &rng, u64::MAX);
        let (journalled, fed) = journal_of(stream.as_bytes(), &rng, 60);
        let bytes =
            |entries: &[(Kind, Vec<u8>)]| entries.iter().flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>();
        assert!(bytes(&journalled) == stream.as_bytes()[..fed], "seed {seed}: the journal is not the stream");
        let frames = |entries: Vec<(Kind, Vec<u8>)>| -> Vec<_> {
            entries.into_iter().filter(|(kind, _)| *kind == Kind::FRAME).collect()
        };
        assert_eq!(frames(journalled), frames(at_once), "seed {seed}: other frames where it comes in pieces");
    }
}

/// Feeds a stream to a connection in random pieces; returns what the journal has of it, and how much was fed before the
/// connection was given up.
fn journal_of(stream: &[u8], rng: &SeededRng, most: u64) -> (Vec<(Kind, Vec<u8>)>, usize) {
    let disk: Arc<dyn odograph_env::Disk> = Arc::new(FaultDisk::new());
    let clock = Arc::new(TestClock::new(1_767_225_600_000));
    let options = Options { segment_bytes: 4096, reserve_bytes: 1024, ..Options::default() };
    let (journal, mut committer, _) =
        Journal::open(&support::folder(), options, disk.clone(), clock, &SeededRng::new(1)).unwrap();
    let (roster, _) = Roster::open(disk.clone(), Path::new("data"), 10).unwrap();
    let intake = Intake { journal, devices: Arc::new(roster), handover: None };
    let listener = Listener::new(find("osmand").unwrap(), Transport::Tcp, ([127, 0, 0, 1], 1).into()).unwrap();
    let (mut scratch, now) = (Scratch::default(), Now { wall: Time(1_767_225_600_000), monotonic: Duration::ZERO });
    let peer = ([127, 0, 0, 1], 2).into();
    let mut connection = Connection::open(Arc::new(listener), peer, &intake, now, &mut scratch).unwrap();
    let mut fed = 0;
    while fed < stream.len() {
        let piece = (1 + rng.below(most) as usize).min(stream.len() - fed);
        let step = connection.receive(&stream[fed..fed + piece], &intake, now, &mut scratch).unwrap();
        fed += piece;
        if step.closing {
            break;
        }
    }
    connection.close(Close::Peer, &intake, now, &mut scratch).unwrap();
    committer.commit_step().unwrap();
    let mut entries = Reader::open(disk, &support::folder()).unwrap().entries(Lsn(0), None).unwrap();
    let mut journalled = Vec::new();
    while let Some(entry) = entries.next().unwrap() {
        if [Kind::FRAME, Kind::SKIPPED, Kind::REMAINDER].contains(&entry.kind) {
            journalled.push((entry.kind, entry.payload.to_vec()));
        }
    }
    (journalled, fed)
}
