//! However much a device sends at once, the others have their turn, and the journal does not fill up with it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::Speech;
use odograph_ingest::{Close, Connection, Intake, Limits, Listener, Need, Now, Roster, Scratch, Step};
use odograph_journal::{Committer, Journal, Kind, Options, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Transport, find};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const IMEI: &str = "350000000000001";
const PING: &[u8] = b"#P#\r\n";
const NOW: Now = Now { wall: Time(1_767_225_600_000), monotonic: Duration::ZERO };

/// A device that has logged in, over a disk that flushes when it is told to.
struct Bench {
    disk: FaultDisk,
    intake: Intake,
    committer: Committer,
    connection: Connection,
    scratch: Scratch,
}

impl Bench {
    fn new(speech: Speech) -> Self {
        let disk = FaultDisk::new();
        let shared: Arc<dyn odograph_env::Disk> = Arc::new(disk.clone());
        let clock = Arc::new(TestClock::new(NOW.wall.0));
        let opened = Journal::open(&support::folder(), Options::default(), shared.clone(), clock, &SeededRng::new(1));
        let (journal, committer, _) = opened.unwrap();
        let (roster, _) = Roster::open(shared, Path::new("data"), 10).unwrap();
        let intake = Intake { journal, devices: Arc::new(roster), handover: None };
        let protocol = find(speech.name()).unwrap();
        let listener = Listener::new(protocol, Transport::Tcp, ([127, 0, 0, 1], 1).into()).unwrap();
        let mut scratch = Scratch::default();
        let peer = ([127, 0, 0, 1], 2).into();
        let connection = Connection::open(Arc::new(listener), peer, &intake, NOW, &mut scratch).unwrap();
        let mut bench = Self { disk, intake, committer, connection, scratch };
        assert!(bench.receive(&speech.login(IMEI)).arrived);
        bench.commit();
        bench
    }

    fn receive(&mut self, bytes: &[u8]) -> Step {
        self.connection.receive(bytes, &self.intake, NOW, &mut self.scratch).unwrap()
    }

    /// Flushes, and gives what leaves then.
    fn commit(&mut self) -> Vec<u8> {
        self.committer.commit_step().unwrap();
        let released = self.connection.release(self.intake.journal.durable()).to_vec();
        self.connection.sent(released.len(), NOW);
        released
    }

    fn need(&self) -> Need {
        self.connection.need(self.intake.journal.durable())
    }

    /// What the journal has of the device's bytes, in pieces.
    fn journalled(&self) -> Vec<(Kind, Vec<u8>)> {
        let reader = Reader::open(Arc::new(self.disk.clone()), &support::folder()).unwrap();
        let mut entries = reader.entries(Lsn(0), None).unwrap();
        let mut all = Vec::new();
        while let Some(entry) = entries.next().unwrap() {
            if [Kind::FRAME, Kind::SKIPPED, Kind::REMAINDER].contains(&entry.kind) {
                all.push((entry.kind, entry.payload.to_vec()));
            }
        }
        all
    }
}

/// A read full of them, and the beginning of one more.
fn pings() -> (usize, Vec<u8>) {
    let count = (64 << 10) / PING.len();
    let mut bytes = PING.repeat(count);
    bytes.extend(&PING[..2]);
    (count, bytes)
}

#[test]
fn a_read_of_tiny_frames_is_worked_off_in_turns_at_the_pace_of_the_disk() {
    let mut bench = Bench::new(Speech::Wialon);
    let (count, bytes) = pings();
    let (mut frames, mut answers, mut turns) = (0, Vec::new(), 0);
    let mut input = &bytes[..];
    loop {
        let step = bench.receive(std::mem::take(&mut input));
        frames += bench.scratch.tally.frames;
        turns += 1;
        assert!(bench.scratch.tally.frames <= 128, "one turn took {} frames", bench.scratch.tally.frames);
        // What it has in the journal and is not durable: a bound, and a turn's worth.
        assert!(
            bench.intake.journal.pending_bytes() <= 32 << 10,
            "{} bytes wait",
            bench.intake.journal.pending_bytes()
        );
        match bench.need() {
            Need::Turn => assert!(step.more),
            Need::Patience => {
                answers.extend(bench.commit());
                assert_ne!(bench.need(), Need::Patience, "the disk has caught up");
            }
            Need::Bytes => break,
        }
        if !step.more {
            break;
        }
    }
    answers.extend(bench.commit());
    assert_eq!(frames, count as u64);
    assert_eq!(answers, b"#AP#\r\n".repeat(count));
    assert!(turns > count / 128, "{turns} turns");
    assert!(!bench.receive(b"#\r\n").more, "the frame that had begun is whole");
    assert_eq!(bench.commit(), b"#AP#\r\n");
    let stream: Vec<u8> = bench.journalled().into_iter().skip(1).flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(stream, PING.repeat(count + 1));
}

#[test]
fn a_read_of_large_frames_takes_one_turn() {
    let mut bench = Bench::new(Speech::Teltonika);
    let readings: Vec<_> = (0..100).map(support::reading).collect();
    let frame = Speech::Teltonika.frame(&readings, 1);
    let count = (64 << 10) / (frame.len() + 1100);
    let step = bench.receive(&frame.repeat(count));
    assert_eq!((bench.scratch.tally.frames, step.more), (count as u64, false));
    assert_eq!(bench.need(), Need::Patience, "then the disk has its turn");
    assert_eq!(bench.commit().len(), 4 * count);
    assert_eq!(bench.need(), Need::Bytes);
}

#[test]
fn looking_for_the_end_of_a_line_again_and_again_is_work() {
    let mut bench = Bench::new(Speech::Wialon);
    let begun = [&b"#M#"[..], &[b'x'; 20_000]].concat();
    let first = bench.receive(&begun);
    assert!(first.work > begun.len(), "{} bytes of work", first.work);
    // A byte at a time costs what is looked at for it: the others have their turn after a few.
    for more in 1..5 {
        let step = bench.receive(b"x");
        assert_eq!((step.work, step.more), (512 + begun.len() + more, false));
    }
    let mut bench = Bench::new(Speech::Teltonika);
    let frame = Speech::Teltonika.frame(&(0..100).map(support::reading).collect::<Vec<_>>(), 1);
    for piece in frame[..frame.len() - 1].chunks(1) {
        let work = bench.receive(piece).work;
        assert!(work <= 512 + 8, "whose length is told is not looked at before it is whole: {work} bytes of work");
    }
}

#[test]
fn what_had_no_turn_before_the_end_is_kept_as_the_remainder() {
    let mut bench = Bench::new(Speech::Wialon);
    let (_, bytes) = pings();
    assert!(bench.receive(&bytes).more);
    bench.connection.close(Close::Stopping, &bench.intake, NOW, &mut bench.scratch).unwrap();
    bench.commit();
    let mut journalled = bench.journalled();
    journalled.remove(0);
    let (last, remainder) = journalled.last().unwrap();
    assert_eq!(*last, Kind::REMAINDER);
    assert!(remainder.len() > bytes.len() / 2, "most of it had no turn");
    let stream: Vec<u8> = journalled.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(stream, bytes);
}

/// One that has not said who it is, to a listener for a protocol.
fn nameless(protocol: &'static odograph_protocols::Protocol) -> (Connection, Intake, Scratch) {
    let mut bench = Bench::new(Speech::Wialon);
    let listener = Arc::new(Listener::new(protocol, Transport::Tcp, ([127, 0, 0, 1], 1).into()).unwrap());
    let opened = Connection::open(listener, ([127, 0, 0, 1], 2).into(), &bench.intake, NOW, &mut bench.scratch);
    (opened.unwrap(), bench.intake, bench.scratch)
}

fn at(seconds: u64) -> Now {
    Now { monotonic: Duration::from_secs(seconds), ..NOW }
}

#[test]
fn the_time_in_which_we_do_not_read_is_not_counted_against_anybody() {
    let limits = Limits::default();
    let unidentified = &odograph_protocols::detect::UNIDENTIFIED;
    for (protocol, why) in [(find("wialon").unwrap(), Close::Unidentified), (unidentified, Close::Undecided)] {
        let most = match why {
            Close::Undecided => limits.undecided_max.as_secs(),
            _ => limits.identify_max.as_secs(),
        };
        let (mut connection, intake, mut scratch) = nameless(protocol);
        // It says the first of it, and nothing is read for long because of the disk.
        connection.receive(b"#", &intake, at(5), &mut scratch).unwrap();
        for second in 6..=200 {
            connection.excuse(at(second));
            assert_eq!(connection.overdue(&limits, at(second)), None, "{why:?} at {second} s");
        }
        // Five seconds of its time were gone; what it has left it has now.
        assert_eq!(connection.overdue(&limits, at(195 + most)), None);
        assert_eq!(connection.overdue(&limits, at(196 + most)), Some(why));
    }
    let (connection, ..) = nameless(find("wialon").unwrap());
    assert_eq!(connection.overdue(&limits, at(limits.identify_max.as_secs())), None);
    assert_eq!(connection.overdue(&limits, at(limits.identify_max.as_secs() + 1)), Some(Close::Unidentified));
}
