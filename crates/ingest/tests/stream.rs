//! The journal holds a connection's stream to the byte, whatever comes and in whatever pieces.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::Speech;
use odograph_ingest::{Close, Connection, Intake, Listener, Now, Roster, Scratch};
use odograph_journal::{Journal, Kind, Options, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Protocol, Transport, find};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use odograph_wire::notation;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A device's stream: a login, frames, and now and then something that nobody understands.
fn stream_of(speech: Speech, rng: &SeededRng) -> Vec<u8> {
    let mut stream = speech.login("350000000000001");
    for number in 0..20 {
        if rng.one_in(4) {
            stream.extend((0..rng.below(40)).map(|_| rng.next() as u8));
        }
        let mut frame = speech.frame(&[support::reading(number), support::reading(number + 100)], number as u16);
        if rng.one_in(5) {
            let at = rng.below(frame.len() as u64) as usize;
            frame[at] ^= 1 << rng.below(8);
        }
        stream.extend(frame);
    }
    stream
}

#[test]
fn frames_skipped_bytes_and_the_remainder_are_the_stream() {
    for seed in 0..150 {
        let rng = SeededRng::new(seed);
        let speech = Speech::ALL[seed as usize % Speech::ALL.len()];
        let stream = stream_of(speech, &rng);
        let (journalled, fed) = journal_of(find(speech.name()).unwrap(), &stream, &rng);
        let journalled: Vec<u8> = journalled.into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert!(journalled == stream[..fed], "seed {seed}, {}: the journal is not the stream", speech.name());
    }
}

/// A record of H02 that may have 32 bytes or more, as long as nothing stands behind it.
#[test]
fn a_frame_that_only_waited_for_more_is_one_at_the_end() {
    let record = notation::from_hex("2441060116601245431311165035313006004318210e000000fffffbffff0024").unwrap();
    for (stream, kinds) in [
        (record.clone(), vec![Kind::FRAME]),
        (record.repeat(2), vec![Kind::FRAME, Kind::FRAME]),
        ([&record[..], &record[..31]].concat(), vec![Kind::FRAME, Kind::REMAINDER]),
    ] {
        let (journalled, fed) = journal_of(find("h02").unwrap(), &stream, &SeededRng::new(3));
        assert_eq!((fed, journalled.iter().map(|(kind, _)| *kind).collect::<Vec<_>>()), (stream.len(), kinds));
        assert_eq!(journalled.into_iter().flat_map(|(_, bytes)| bytes).collect::<Vec<_>>(), stream);
    }
}

/// Feeds a stream to a connection in random pieces; returns what the journal has of it, and how much was fed before
/// the connection was given up.
fn journal_of(protocol: &'static Protocol, stream: &[u8], rng: &SeededRng) -> (Vec<(Kind, Vec<u8>)>, usize) {
    let disk: Arc<dyn odograph_env::Disk> = Arc::new(FaultDisk::new());
    let options = Options { segment_bytes: 4096, reserve_bytes: 1024, ..Options::default() };
    let clock = Arc::new(TestClock::new(1_767_225_600_000));
    let (journal, mut committer, _) =
        Journal::open(&support::folder(), options, disk.clone(), clock, &SeededRng::new(1)).unwrap();
    let (roster, _) = Roster::open(disk.clone(), Path::new("data"), 10).unwrap();
    let intake = Intake { journal, devices: Arc::new(roster), handover: None };
    let listener = Listener::new(protocol, Transport::Tcp, ([127, 0, 0, 1], 1).into()).unwrap();
    let (mut scratch, now) = (Scratch::default(), Now { wall: Time(1_767_225_600_000), monotonic: Duration::ZERO });
    let peer = ([127, 0, 0, 1], 2).into();
    let mut connection = Connection::open(Arc::new(listener), peer, &intake, now, &mut scratch).unwrap();
    let mut fed = 0;
    while fed < stream.len() {
        let piece = (1 + rng.below(200) as usize).min(stream.len() - fed);
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
