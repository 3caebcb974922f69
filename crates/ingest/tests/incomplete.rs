//! Frames whose end does not come: what they may take up, how long, and that nobody else pays for it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_ingest::{Close, Connection, Intake, Limits, Listener, Now, Roster, Scratch};
use odograph_journal::{Journal, Kind, Options, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Transport, find};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{Setup, Trial};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A request of that length, of which the end is missing.
fn begun(id: &str, length: usize) -> Vec<u8> {
    let mut bytes = format!("POST / HTTP/1.1\r\ncontent-length: 700000\r\n\r\nid={id}&lat=1&lon=2&x=").into_bytes();
    bytes.resize(length, b'x');
    bytes
}

/// A whole one, and where it may be cut so that its end is missing.
fn whole(id: &str) -> (Vec<u8>, usize) {
    let body = format!("id={id}&lat=1&lon=2&x={}", "x".repeat(500));
    let bytes = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes();
    (bytes, 300)
}

fn connect(trial: &Trial) -> TcpStream {
    let stream = TcpStream::connect(trial.address).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    stream
}

fn hears_ok(stream: &mut TcpStream) {
    let mut bytes = vec![0; OK.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, OK);
}

/// It hears nothing, and is left.
fn is_left(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => assert_eq!(rest, b""),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

/// A stream's bytes, and why it ended.
type Told = (Vec<(Kind, Vec<u8>)>, String);

/// What the journal has of each stream.
fn streams(disk: &FaultDisk) -> Vec<Told> {
    let mut entries = Reader::open(Arc::new(disk.clone()), &support::folder()).unwrap().entries(Lsn(0), None).unwrap();
    let mut all = std::collections::BTreeMap::<u64, Told>::new();
    while let Some(entry) = entries.next().unwrap() {
        let stream = all.entry(entry.stream).or_default();
        match entry.kind {
            Kind::CLOSE => stream.1 = String::from_utf8(entry.payload.to_vec()).unwrap(),
            Kind::FRAME | Kind::REMAINDER => stream.0.push((entry.kind, entry.payload.to_vec())),
            _ => {}
        }
    }
    all.into_values().collect()
}

#[test]
fn who_has_taken_up_the_most_is_cut_off_and_nobody_else() {
    let limits = Limits { incomplete_bytes_max: 100 << 10, ..Limits::default() };
    let trial = Setup { protocol: Some("osmand"), limits, ..Setup::default() }.start();
    // Phones on a poor connection, in the midst of their messages.
    let mut phones: Vec<_> = (0..10)
        .map(|number| {
            let (mut stream, (bytes, middle)) = (connect(&trial), whole(&format!("phone{number}")));
            stream.write_all(&bytes[..middle]).unwrap();
            (stream, bytes, middle)
        })
        .collect();
    let mut hoarders: Vec<_> = (0..2).map(|_| connect(&trial)).collect();
    let said = begun("hoarder", 150_000);
    for hoarder in &mut hoarders {
        // It may be cut off while it still writes.
        let _ = hoarder.write_all(&said);
    }
    hoarders.iter_mut().for_each(is_left);
    for (stream, bytes, middle) in &mut phones {
        stream.write_all(&bytes[*middle..]).unwrap();
        hears_ok(stream);
    }
    // There is room again.
    let (mut late, (bytes, _)) = (connect(&trial), whole("late"));
    late.write_all(&bytes).unwrap();
    hears_ok(&mut late);
    trial.gateway.stop().unwrap();
    let all = streams(&trial.disk);
    let (cut_off, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, why)| why == "incomplete-bytes");
    assert_eq!(rest.len(), 11);
    assert!(rest.iter().all(|(bytes, _)| matches!(bytes[..], [(Kind::FRAME, _)])), "{rest:?}");
    assert_eq!(cut_off.len(), 2);
    for (bytes, _) in &cut_off {
        let [(Kind::REMAINDER, kept)] = &bytes[..] else { panic!("{} entries", bytes.len()) };
        assert!(said.starts_with(kept) && kept.len() > 40_000, "what came is kept: {} bytes", kept.len());
    }
}

#[test]
fn a_long_frame_has_to_end_in_time_and_what_came_of_it_is_kept() {
    let disk = FaultDisk::new();
    let shared: Arc<dyn odograph_env::Disk> = Arc::new(disk.clone());
    let clock = Arc::new(TestClock::new(0));
    let options = Options::default();
    let (journal, mut committer, _) =
        Journal::open(&support::folder(), options, shared.clone(), clock, &SeededRng::new(1)).unwrap();
    let (roster, _) = Roster::open(shared, Path::new("data"), 10).unwrap();
    let intake = Intake { journal, devices: Arc::new(roster), handover: None };
    let listener = Arc::new(Listener::new(find("osmand").unwrap(), Transport::Tcp, ([0; 4], 1).into()).unwrap());
    let (limits, mut scratch) = (Limits::default(), Scratch::default());
    let bound = limits.frame_time_max;
    let now = |monotonic| Now { wall: Time(0), monotonic };
    let mut open =
        || Connection::open(listener.clone(), ([0; 4], 2).into(), &intake, now(Duration::ZERO), &mut scratch);
    let (mut long, mut short) = (open().unwrap(), open().unwrap());
    let known = whole("1").0;
    for (connection, length) in [(&mut long, 4000), (&mut short, 1000)] {
        // Somebody who is known, so that no other bound is met.
        connection.receive(&known, &intake, now(Duration::ZERO), &mut scratch).unwrap();
        let bytes = begun("1", length);
        let (first, rest) = bytes.split_at(500);
        connection.receive(first, &intake, now(Duration::from_secs(1)), &mut scratch).unwrap();
        // A byte now and then does not begin it anew.
        connection.receive(rest, &intake, now(bound), &mut scratch).unwrap();
    }
    let late = Duration::from_secs(1) + bound + Duration::from_millis(1);
    assert_eq!(long.overdue(&limits, now(Duration::from_secs(1) + bound)), None);
    assert_eq!(long.overdue(&limits, now(late)), Some(Close::Incomplete));
    assert_eq!(short.overdue(&limits, now(late)), None, "it takes up next to nothing");
    // While we did not read, nothing could come.
    long.excuse(now(late));
    assert_eq!(long.overdue(&limits, now(late + bound)), None);
    assert_eq!(long.overdue(&limits, now(late + bound + Duration::from_millis(1))), Some(Close::Incomplete));
    long.close(Close::Incomplete, &intake, now(late), &mut scratch).unwrap();
    committer.commit_step().unwrap();
    let expected = vec![(Kind::FRAME, known), (Kind::REMAINDER, begun("1", 4000))];
    assert_eq!(streams(&disk)[0], (expected, "incomplete".to_owned()));
}
