//! The port that understands all protocols: who comes is found out by what he says, nothing is lost by that, and who
//! cannot be understood is kept and never answered.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::{Heard, Speech};
use odograph_ingest::{Close, Connection, Intake, Limits, Listener, Need, Now, Roster, Scratch, take_in};
use odograph_journal::{Committer, Journal, Kind, Options, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::detect::{UNDECIDED_BYTES_MAX, UNIDENTIFIED};
use odograph_protocols::{Context, Transport};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{Setup, Trial, reading};

const IMEI: &str = "350000000000001";
const OTHER: &str = "350000000000002";

fn start(transport: Transport, limits: Limits) -> Trial {
    let listener: fn(&mut Listener) = |listener| listener.protocol = &UNIDENTIFIED;
    Setup { listener, limits, transport, ..Setup::default() }.start()
}

/// The protocol of its stream, its kind, its bytes.
type Entry = (String, Kind, Vec<u8>);

/// What the journal has: the protocol of the stream at each entry, the kind, and the bytes.
fn journalled(disk: &FaultDisk) -> Vec<Entry> {
    let reader = Reader::open(Arc::new(disk.clone()), &support::folder()).unwrap();
    let mut entries = reader.entries(Lsn(0), None).unwrap();
    let (mut protocols, mut all) = (std::collections::HashMap::new(), Vec::new());
    while let Some(entry) = entries.next().unwrap() {
        if let Some(context) = entry.context {
            protocols.insert(entry.stream, Context::read(context).unwrap().protocol.to_string());
        }
        all.push((protocols[&entry.stream].clone(), entry.kind, entry.payload.to_vec()));
    }
    all
}

/// The same, without the bytes.
fn kinds(disk: &FaultDisk) -> Vec<(String, Kind)> {
    journalled(disk).into_iter().map(|(protocol, kind, _)| (protocol, kind)).collect()
}

fn named(protocol: &str, kinds: &[Kind]) -> Vec<(String, Kind)> {
    kinds.iter().map(|kind| (protocol.to_owned(), *kind)).collect()
}

/// Reads an answer of exactly so many bytes.
fn answer(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn connect(trial: &Trial) -> TcpStream {
    let stream = TcpStream::connect(trial.address).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Waits until the server hangs up; it must not have said anything.
fn hangs_up_in_silence(mut stream: TcpStream) {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    assert_eq!(said, b"", "nobody is answered who was not understood");
}

#[test]
fn two_devices_that_dawdle_are_understood_each_in_its_own_protocol() {
    let trial = start(Transport::Tcp, Limits::default());
    let (teltonika, wialon) = (Speech::Teltonika.login(IMEI), Speech::Wialon.login(OTHER));
    let (mut one, mut other) = (connect(&trial), connect(&trial));
    for at in 0..teltonika.len().max(wialon.len()) {
        for (stream, bytes) in [(&mut one, &teltonika), (&mut other, &wialon)] {
            if let Some(byte) = bytes.get(at) {
                stream.write_all(&[*byte]).unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(answer(&mut one, 1), [1]);
    assert_eq!(answer(&mut other, 7), b"#AL#1\r\n");
    one.write_all(&Speech::Teltonika.frame(&[reading(1)], 1)).unwrap();
    assert_eq!(answer(&mut one, 4), [0, 0, 0, 1]);
    other.write_all(&Speech::Wialon.frame(&[reading(1)], 1)).unwrap();
    let mut inbox = Vec::new();
    while !matches!(Speech::Wialon.hear(&inbox, false).0, Heard::Acknowledged(_)) {
        inbox.extend(answer(&mut other, 1));
    }
    drop((one, other));
    trial.gateway.stop().unwrap();
    let all = kinds(&trial.disk);
    let of = |protocol: &str| all.iter().filter(|(its, _)| its == protocol).map(|(_, kind)| *kind).collect::<Vec<_>>();
    assert_eq!(of("unidentified"), [Kind::OPEN; 2], "what is not known yet has no frames");
    let conversation = [Kind::FRAME, Kind::SENT, Kind::FRAME, Kind::SENT, Kind::CLOSE];
    assert_eq!(of("teltonika"), conversation);
    assert_eq!(of("wialon"), conversation);
}

#[test]
fn whoever_says_too_little_in_time_is_kept_and_let_go() {
    let limits = Limits { undecided_max: Duration::from_secs(3), ..Limits::default() };
    let trial = start(Transport::Tcp, limits);
    // A login that another family of trackers has as well.
    let mut unclear = connect(&trial);
    unclear.write_all(b"\x78\x78\x0D\x01\x03\x56\x31\x40\x41\x41\x98\x58\x3C\r\n").unwrap();
    let silent = connect(&trial);
    let mut begun = connect(&trial);
    begun.write_all(b"\x00\x0F3520").unwrap();
    for stream in [unclear, silent, begun] {
        hangs_up_in_silence(stream);
    }
    trial.gateway.stop().unwrap();
    let all = journalled(&trial.disk);
    assert!(all.iter().all(|(protocol, ..)| protocol == "unidentified"), "{all:?}");
    let mut ends: Vec<_> =
        all.iter().filter(|(_, kind, _)| *kind != Kind::OPEN).map(|(_, kind, bytes)| (*kind, bytes.len())).collect();
    ends.sort();
    let close = (Kind::CLOSE, "undecided".len());
    assert_eq!(ends, [(Kind::REMAINDER, 6), (Kind::REMAINDER, 15), close, close, close]);
}

#[test]
fn whoever_talks_on_without_being_understood_is_kept_up_to_the_bound() {
    let trial = start(Transport::Tcp, Limits::default());
    let mut stream = connect(&trial);
    let noise: Vec<u8> = (0..UNDECIDED_BYTES_MAX + 1).map(|at| b'a' + (at % 26) as u8).collect();
    for piece in noise.chunks(1000) {
        stream.write_all(piece).unwrap();
    }
    hangs_up_in_silence(stream);
    trial.gateway.stop().unwrap();
    let all = journalled(&trial.disk);
    assert_eq!(
        all.iter().map(|(protocol, kind, _)| (protocol.clone(), *kind)).collect::<Vec<_>>(),
        named("unidentified", &[Kind::OPEN, Kind::REMAINDER, Kind::CLOSE])
    );
    assert_eq!(all[1].2, noise);
    assert_eq!(all[2].2, b"undecided-bytes");
}

#[test]
fn probes_of_the_network_are_kept_and_never_claimed() {
    let trial = start(Transport::Tcp, Limits { undecided_max: Duration::from_secs(3), ..Limits::default() });
    let probes: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: 192.0.2.1:5000\r\nUser-Agent: probe\r\nAccept: */*\r\n\r\n",
        b"\x16\x03\x01\x00\xF4\x01\x00\x00\xF0\x03\x03\x8A\x12\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"SSH-2.0-probe\r\n",
        &[0; 200],
        b"\r\n\r\n\r\n",
    ];
    let streams = probes.map(|probe| {
        let mut stream = connect(&trial);
        stream.write_all(probe).unwrap();
        stream
    });
    streams.into_iter().for_each(hangs_up_in_silence);
    trial.gateway.stop().unwrap();
    let all = journalled(&trial.disk);
    assert!(all.iter().all(|(protocol, ..)| protocol == "unidentified"), "{:?}", kinds(&trial.disk));
    let mut kept: Vec<_> =
        all.into_iter().filter(|(_, kind, _)| *kind == Kind::REMAINDER).map(|(.., bytes)| bytes).collect();
    let mut sent = probes.map(<[u8]>::to_vec);
    kept.sort();
    sent.sort();
    assert_eq!(kept, sent);
}

fn datagram(imei: &str) -> Vec<u8> {
    let frame = Speech::Teltonika.frame(&[reading(1)], 1);
    let mut rest = vec![0, 1, 1, 5, 0, 15];
    rest.extend(imei.as_bytes());
    rest.extend(&frame[8..frame.len() - 4]);
    [(rest.len() as u16).to_be_bytes().to_vec(), rest].concat()
}

#[test]
fn a_datagram_decides_alone_and_its_sender_is_remembered() {
    let trial = start(Transport::Udp, Limits::default());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(trial.address).unwrap();
    socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let hear = || {
        let mut bytes = [0; 64];
        let count = socket.recv(&mut bytes).unwrap();
        bytes[..count].to_vec()
    };
    let whole = datagram(IMEI);
    // Half of one can become nothing more: kept, and nobody's.
    socket.send(&whole[..whole.len() / 2]).unwrap();
    socket.send(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    socket.send(&whole).unwrap();
    assert_eq!(hear(), [0, 5, 0, 1, 1, 5, 1]);
    // Of the protocol that was spoken before, though it could not be told by this alone.
    socket.send(b"\xFF").unwrap();
    // Clearly another one.
    socket.send(format!("2.0;{IMEI}#P#\r\n").as_bytes()).unwrap();
    assert_eq!(hear(), b"#AP#\r\n");
    trial.gateway.stop().unwrap();
    let all = kinds(&trial.disk);
    let expected = [
        named("unidentified", &[Kind::OPEN, Kind::SKIPPED, Kind::SKIPPED]),
        named("teltonika", &[Kind::FRAME, Kind::SENT, Kind::FRAME]),
        named("wialon", &[Kind::FRAME, Kind::SENT, Kind::CLOSE]),
    ];
    assert_eq!(all, expected.concat());
}

#[test]
fn a_datagram_that_the_protocol_before_it_disclaims_is_kept_as_what_nobody_knows() {
    let trial = start(Transport::Udp, Limits::default());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(trial.address).unwrap();
    socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let hear = || {
        let mut bytes = [0; 64];
        let count = socket.recv(&mut bytes).unwrap();
        bytes[..count].to_vec()
    };
    let stray = b"GET / HTTP/1.0\r\n\r\n";
    socket.send(&datagram(IMEI)).unwrap();
    assert_eq!(hear(), [0, 5, 0, 1, 1, 5, 1]);
    socket.send(stray).unwrap();
    // The conversation goes on behind it, also with what could not be told by itself.
    socket.send(b"\xFF").unwrap();
    socket.send(&datagram(IMEI)).unwrap();
    assert_eq!(hear(), [0, 5, 0, 1, 1, 5, 1]);
    trial.gateway.stop().unwrap();
    let expected = [
        named("unidentified", &[Kind::OPEN]),
        named("teltonika", &[Kind::FRAME, Kind::SENT]),
        named("unidentified", &[Kind::SKIPPED]),
        named("teltonika", &[Kind::FRAME, Kind::FRAME, Kind::SENT, Kind::CLOSE]),
    ];
    assert_eq!(kinds(&trial.disk), expected.concat());
    // Nobody's bytes are no device's, and the device's are still its own.
    let reader = Reader::open(Arc::new(trial.disk.clone()), &support::folder()).unwrap();
    let mut entries = reader.entries(Lsn(0), None).unwrap();
    let (mut owner, mut owners) = (String::new(), Vec::new());
    while let Some(entry) = entries.next().unwrap() {
        if let Some(identity) = entry.identity {
            identity.device.clone_into(&mut owner);
        }
        if [Kind::FRAME, Kind::SKIPPED].contains(&entry.kind) {
            owners.push((entry.payload.len(), owner.clone()));
        }
    }
    let whole = datagram(IMEI).len();
    let expected = [(whole, IMEI), (stray.len(), ""), (1, ""), (whole, IMEI)];
    assert_eq!(owners, expected.map(|(length, owner)| (length, owner.to_owned())));
}

/// A connection over a disk in memory, for streams in all pieces.
struct Bench {
    disk: FaultDisk,
    intake: Intake,
    committer: Committer,
    connection: Connection,
    scratch: Scratch,
}

const NOW: Now = Now { wall: Time(1_767_225_600_000), monotonic: Duration::ZERO };

impl Bench {
    fn new(segment_bytes: u64) -> Self {
        let disk = FaultDisk::new();
        let shared: Arc<dyn odograph_env::Disk> = Arc::new(disk.clone());
        let clock = Arc::new(TestClock::new(NOW.wall.0));
        let options = Options { segment_bytes, reserve_bytes: 1024, ..Options::default() };
        let (journal, committer, _) =
            Journal::open(&support::folder(), options, shared.clone(), clock, &SeededRng::new(1)).unwrap();
        let (roster, _) = Roster::open(shared, Path::new("data"), 10).unwrap();
        let intake = Intake { journal, devices: Arc::new(roster), handover: None };
        let listener = Listener::new(&UNIDENTIFIED, Transport::Tcp, ([127, 0, 0, 1], 1).into()).unwrap();
        let (mut scratch, peer) = (Scratch::default(), SocketAddr::from(([127, 0, 0, 1], 2)));
        let connection = Connection::open(Arc::new(listener), peer, &intake, NOW, &mut scratch).unwrap();
        Self { disk, intake, committer, connection, scratch }
    }

    /// Feeds the pieces, ends, and gives what was answered.
    fn feed<'b>(&mut self, pieces: impl IntoIterator<Item = &'b [u8]>) -> Vec<u8> {
        let mut answers = Vec::new();
        for piece in pieces {
            self.connection.receive(piece, &self.intake, NOW, &mut self.scratch).unwrap();
            while self.connection.need(self.intake.journal.durable()) == Need::Turn {
                self.connection.receive(&[], &self.intake, NOW, &mut self.scratch).unwrap();
            }
            self.committer.commit_step().unwrap();
            let released = self.connection.release(self.intake.journal.durable()).to_vec();
            self.connection.sent(released.len(), NOW);
            answers.extend(released);
        }
        self.connection.close(Close::Peer, &self.intake, NOW, &mut self.scratch).unwrap();
        self.committer.commit_step().unwrap();
        answers
    }
}

#[test]
fn nothing_is_lost_wherever_the_stream_is_split() {
    for speech in Speech::ALL {
        let mut stream = speech.login(IMEI);
        stream.extend(speech.frame(&[reading(1)], 1));
        // The beginning of one more, which never ends.
        stream.extend(&speech.frame(&[reading(2)], 2)[..9]);
        let mut expected: Option<(Vec<u8>, Vec<Entry>)> = None;
        let splits = (1..stream.len()).map(|at| vec![&stream[..at], &stream[at..]]);
        let whole = [vec![&stream[..]], stream.chunks(1).collect()];
        for pieces in splits.chain(whole) {
            let shown: Vec<_> = pieces.iter().map(|piece| piece.len()).collect();
            let mut bench = Bench::new(1 << 20);
            let answers = bench.feed(pieces);
            let all = journalled(&bench.disk);
            let received: Vec<u8> = all
                .iter()
                .filter(|(_, kind, _)| [Kind::FRAME, Kind::SKIPPED, Kind::REMAINDER].contains(kind))
                .flat_map(|(.., bytes)| bytes.clone())
                .collect();
            assert_eq!(received, stream, "{}, {shown:?}", speech.name());
            let of: Vec<_> = all.iter().filter(|(protocol, ..)| protocol == speech.name()).cloned().collect();
            assert_eq!(of.len() + 1, all.len(), "{}, {shown:?}: {all:?}", speech.name());
            let frames: Vec<_> = of.into_iter().filter(|(_, kind, _)| *kind != Kind::SENT).collect();
            let found = (answers, frames);
            let expected = expected.get_or_insert_with(|| found.clone());
            assert_eq!(found, *expected, "{}, {shown:?}", speech.name());
        }
        assert!(!expected.unwrap().0.is_empty(), "{} is answered", speech.name());
    }
}

/// Streams of phones that are longer than a message by which others can be told, and who they are taken for; then of
/// those who are nobody, and why they are let go.
fn long_streams() -> Vec<(&'static str, String, Result<&'static str, Close>)> {
    let cells = "&wifi=00:11:22:33:44:55,-60".repeat(450);
    let form = format!("id=1&lat=48.1&lon=9.2{cells}");
    let fix = r#"{"timestamp":"2026-01-01T00:00:00Z","coords":{"latitude":48.1,"longitude":9.2}}"#;
    let json = format!(r#"{{"location":[{}],"device_id":"1"}}"#, vec![fix; 400].join(","));
    let flat = format!("[{}]", vec![r#"{"device_id":"1","latitude":48.1,"longitude":9.2}"#; 400].join(","));
    let other = format!(r#"{{"readings":[{}]}}"#, vec!["1"; 20_000].join(","));
    let post =
        |head: &str, body: &str| format!("POST / HTTP/1.1\r\n{head}content-length: {}\r\n\r\n{body}", body.len());
    let chunked = |body: &str, size: usize| {
        let chunks = body.as_bytes().chunks(size);
        let chunks = chunks.map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)));
        format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunks.collect::<String>())
    };
    let nobody = Err(Close::UndecidedBytes);
    vec![
        ("a long URL", format!("GET /?{form} HTTP/1.1\r\nhost: a\r\n\r\n"), Ok("osmand")),
        ("a long URL, its end first", format!("GET /?id=1{cells}&lat=48.1&lon=9.2 HTTP/1.1\r\n\r\n"), Ok("osmand")),
        ("a long head", post(&format!("cookie: {}\r\n", "c".repeat(12_000)), "id=1&lat=48.1&lon=9.2"), Ok("osmand")),
        ("a form", post("", &form), Ok("osmand")),
        ("JSON", post("content-type: application/json\r\n", &json), Ok("osmand")),
        ("flat JSON", post("", &flat), Ok("osmand")),
        ("JSON in chunks", chunked(&json, 1000), Ok("osmand")),
        ("JSON in small chunks", chunked(&json, 7), Ok("osmand")),
        ("a form in chunks", chunked(&form, 5), Ok("osmand")),
        ("JSON of others", post("", &other), nobody),
        ("JSON of others in chunks", chunked(&other, 10), nobody),
        ("letters", "abcdefghij".repeat(4000), nobody),
        ("a line without an end", format!("#L#{}", "1".repeat(40_000)), nobody),
    ]
}

/// Who the stream is taken for when it comes in these pieces, or why it ends.
fn decision<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Result<&'static str, Close> {
    let Bench { intake, mut connection, mut scratch, .. } = Bench::new(1 << 20);
    for piece in pieces {
        let step = connection.receive(piece, &intake, NOW, &mut scratch).unwrap();
        if !connection.listener().is_common() {
            return Ok(connection.listener().protocol.name);
        }
        if step.closing {
            break;
        }
    }
    Err(connection.why(Close::Peer))
}

#[test]
fn a_stream_is_taken_for_the_same_wherever_it_is_split() {
    for (what, stream, expected) in long_streams() {
        let stream = stream.as_bytes();
        assert!(stream.len() > UNDECIDED_BYTES_MAX, "{what}: {} bytes", stream.len());
        assert_eq!(decision([stream]), expected, "{what}, at once");
        for size in [1460, 4096, UNDECIDED_BYTES_MAX - 1, UNDECIDED_BYTES_MAX, UNDECIDED_BYTES_MAX + 1, 64 << 10] {
            assert_eq!(decision(stream.chunks(size)), expected, "{what}, {size} bytes at a time");
        }
        for seed in 0..6 {
            let rng = SeededRng::new(seed);
            let most = [3, 300, 30_000][seed as usize % 3];
            let (mut pieces, mut rest) = (Vec::new(), stream);
            while !rest.is_empty() {
                let length = (1 + rng.below(most) as usize).min(rest.len());
                pieces.push(&rest[..length]);
                rest = &rest[length..];
            }
            assert_eq!(decision(pieces), expected, "{what}, seed {seed}");
        }
    }
}

#[test]
fn who_waits_before_his_body_is_prompted_before_it_is_clear_who_he_is() {
    let trial = start(Transport::Tcp, Limits::default());
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let body = "id=1&lat=48.1&lon=9.2";
    for url in ["/", "/?id=1&lat=48.1&lon=9.2"] {
        let head = format!("POST {url} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut phone = connect(&trial);
        phone.write_all(head.as_bytes()).unwrap();
        assert_eq!(answer(&mut phone, go_on.len()), go_on, "{url}");
        // In two pieces: he is told once.
        phone.write_all(&body.as_bytes()[..5]).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        phone.write_all(&body.as_bytes()[5..]).unwrap();
        let expected = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(answer(&mut phone, expected.len()), expected, "{url}");
    }
    // Who has said it all waits for nothing, and whoever it is that gets no further is not answered.
    let mut bench = Bench::new(1 << 20);
    let other = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n[]";
    assert_eq!(bench.feed([&other[..]]), b"");
    trial.gateway.stop().unwrap();
    let all = kinds(&trial.disk);
    let of = |protocol: &str| all.iter().filter(|(its, _)| its == protocol).map(|(_, kind)| *kind).collect::<Vec<_>>();
    assert_eq!(of("unidentified"), [Kind::OPEN, Kind::SENT, Kind::OPEN], "what was sent is journalled");
    assert_eq!(of("osmand").iter().filter(|kind| **kind == Kind::FRAME).count(), 2);
}

#[test]
fn every_segment_says_which_protocol_is_spoken() {
    for speech in Speech::ALL {
        let mut bench = Bench::new(1024);
        let frames: Vec<_> = (0..100).map(|number| speech.frame(&[reading(number)], number as u16)).collect();
        let stream = [speech.login(IMEI), frames.concat()].concat();
        bench.feed(stream.chunks(30));
        let reader = Reader::open(Arc::new(bench.disk.clone()), &support::folder()).unwrap();
        let mut entries = reader.entries(Lsn(0), None).unwrap();
        let (mut segments, mut place, mut spoken) = (0, Lsn(0), None);
        while let Some(entry) = entries.next().unwrap() {
            let context = entry.context.map(|context| Context::read(context).unwrap().protocol);
            if entry.lsn != place {
                segments += 1;
                assert!(context.is_some(), "{}: the first entry of a segment", speech.name());
            }
            place = entry.end();
            spoken = context.or(spoken);
            let known = if entry.kind == Kind::OPEN { "unidentified" } else { speech.name() };
            assert_eq!(spoken.as_deref(), Some(known), "{} at {}", speech.name(), entry.lsn);
        }
        assert!(segments > 5, "{segments} segments");
    }
}

#[test]
fn what_was_not_understood_can_be_taken_in_once_it_is_named() {
    let mut bench = Bench::new(1 << 20);
    let gt06 = odograph_protocols::find("gt06").unwrap();
    let listener = Listener::new(gt06, Transport::Tcp, ([127, 0, 0, 1], 1).into()).unwrap();
    let (came, later) = (Time(NOW.wall.0 - 5_000), Time(NOW.wall.0 - 1_000));
    let login = Speech::Gt06.login(IMEI);
    let frame = Speech::Gt06.frame(&[reading(1)], 2);
    let pieces = [(came, login[..5].to_vec()), (later, [&login[5..], &frame[..]].concat())];
    let peer = ([192, 0, 2, 1], 4000).into();
    let named = take_in(&Arc::new(listener), peer, &pieces, &bench.intake).unwrap();
    assert_eq!((named.devices, named.malformed), (vec![IMEI.into()], vec![]));
    assert!(named.frames >= 2 && named.records >= 1, "{} frames, {} records", named.frames, named.records);
    bench.feed([]);
    let all = journalled(&bench.disk);
    let of: Vec<_> = all.iter().filter(|(protocol, ..)| protocol == "gt06").collect();
    assert!(of.iter().all(|(_, kind, _)| *kind != Kind::SENT), "nobody is answered: {of:?}");
    let bytes: Vec<u8> =
        of.iter().filter(|(_, kind, _)| *kind == Kind::FRAME).flat_map(|(.., bytes)| bytes.clone()).collect();
    assert_eq!(bytes, [login, frame].concat());
    let reader = Reader::open(Arc::new(bench.disk.clone()), &support::folder()).unwrap();
    let mut entries = reader.entries(Lsn(0), None).unwrap();
    let mut times = Vec::new();
    while let Some(entry) = entries.next().unwrap() {
        if entry.kind == Kind::FRAME {
            times.push(entry.at);
        }
    }
    assert!(times.iter().all(|at| *at == later.0), "with the times at which they were whole: {times:?}");
}
