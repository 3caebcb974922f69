//! A device's stream, in whatever pieces it comes.

use super::{NOW_MS, folder, open};
use odograph_ingest::{Close, Connection, Intake, Listener, Now, Roster, Scratch};
use odograph_journal::{Entry, Kind, Reader};
use odograph_model::{Lsn, Time};
use odograph_pipeline::Decoder;
use odograph_protocols::{PROTOCOLS, Protocol, Transport};
use odograph_testkit::fuzz::{Setup, paragraphs};
use odograph_testkit::{FaultDisk, SeededRng};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A connection: a [`Setup`], how many pieces there are and how long they are (again and again, if the stream is
/// longer), then the stream.
///
/// Whatever comes: the journal holds the stream to the byte, cut into the same frames as in one piece; nothing leaves
/// before it is durable, and what leaves is in the journal; the journal decodes to as many records as there were.
pub fn stream(input: &[u8]) {
    let (setup, rest) = Setup::read(input, &over_tcp());
    let Some((count, rest)) = rest.split_first() else { return };
    let (pieces, stream) = rest.split_at(usize::from(count % 32).min(rest.len()));
    let heard = hear(&setup, stream, pieces);
    let at_once = hear(&setup, stream, &[]);
    assert_eq!(heard.frames, at_once.frames, "in pieces of {pieces:?}, other frames than at once");
    assert_eq!(heard.records, at_once.records, "in pieces of {pieces:?}, other records than at once");
}

/// What came of a stream.
struct Outcome {
    frames: Vec<Vec<u8>>,
    records: u64,
}

fn hear(setup: &Setup, stream: &[u8], pieces: &[u8]) -> Outcome {
    let disk = FaultDisk::new();
    let (journal, mut committer, _) = open(&disk).expect("an empty folder opens");
    let (roster, _) = Roster::open(Arc::new(disk.clone()), Path::new("data"), 8).expect("an empty roster opens");
    let intake = Intake { journal, devices: Arc::new(roster), handover: None };
    let mut listener =
        Listener::new(setup.protocol, Transport::Tcp, ([127, 0, 0, 1], 1).into()).expect("it travels over TCP");
    listener.settings = Arc::new(setup.settings.clone());
    listener.checksum = setup.checksum;
    let (mut scratch, now) = (Scratch::default(), Now { wall: Time(NOW_MS), monotonic: Duration::ZERO });
    let peer = ([127, 0, 0, 1], 2).into();
    let opened = Connection::open(Arc::new(listener), peer, &intake, now, &mut scratch);
    let mut connection = opened.expect("the journal takes entries");
    let (mut fed, mut records) = (0, 0);
    let mut lengths = pieces.iter().cycle().map(|length| usize::from(*length).max(1));
    while fed < stream.len() {
        let end = stream.len().min(fed + lengths.next().unwrap_or(stream.len()));
        let mut step =
            connection.receive(&stream[fed..end], &intake, now, &mut scratch).expect("the journal takes entries");
        fed = end;
        records += scratch.tally.records;
        while step.more && !step.closing {
            step = connection.receive(&[], &intake, now, &mut scratch).expect("the journal takes entries");
            records += scratch.tally.records;
        }
        if step.closing {
            break;
        }
    }
    assert!(connection.release(intake.journal.durable()).is_empty(), "bytes leave before they are durable");
    connection.close(Close::Peer, &intake, now, &mut scratch).expect("the journal takes entries");
    records += scratch.tally.records;
    committer.commit_step().expect("the disk works");
    let written = read(&disk);
    assert!(written.stream == stream[..fed], "the journal is not the stream");
    assert_eq!(written.sent, connection.release(intake.journal.durable()), "what leaves is not in the journal");
    assert_eq!(written.records, records, "the journal decodes to other records");
    Outcome { frames: written.frames, records }
}

/// What the journal says.
#[derive(Default)]
struct Written {
    stream: Vec<u8>,
    frames: Vec<Vec<u8>>,
    sent: Vec<u8>,
    records: u64,
}

fn read(disk: &FaultDisk) -> Written {
    let reader = Reader::open(Arc::new(disk.clone()), &folder()).expect("the folder is there");
    let mut entries = reader.entries(Lsn(0), None).expect("the folder can be read");
    let (mut written, mut decoder) = (Written::default(), Decoder::default());
    while let Some((entry, segment)) = entries.next_in_segment().expect("every entry can be read") {
        written.take(&entry);
        // A malformed frame gives nothing here, as it did when it came.
        let decoded = decoder.entry(&entry, segment).ok().flatten();
        written.records += decoded.map_or(0, |decoded| decoded.records.len() as u64);
    }
    written
}

impl Written {
    fn take(&mut self, entry: &Entry<'_>) {
        match entry.kind {
            Kind::FRAME => {
                self.stream.extend(entry.payload);
                self.frames.push(entry.payload.to_vec());
            }
            Kind::SKIPPED | Kind::REMAINDER => self.stream.extend(entry.payload),
            Kind::SENT => self.sent.extend(entry.payload),
            _ => {}
        }
    }
}

/// The vectors' conversations, in random pieces.
pub(super) fn seeds(vectors: &Path) -> Vec<Vec<u8>> {
    let rng = SeededRng::new(1);
    let mut all = Vec::new();
    for (protocol, _, paragraph) in paragraphs(vectors) {
        let setup = Setup::of(protocol, &paragraph.options);
        if setup.transport == Transport::Tcp {
            let mut seed = setup.bytes(&over_tcp());
            let count = rng.below(8) as u8;
            seed.push(count);
            seed.extend((0..count).map(|_| rng.next() as u8));
            paragraph.frames().for_each(|message| seed.extend(&message.bytes));
            all.push(seed);
        }
    }
    all
}

/// Setups choose among all transports; those of other protocols and transports are as good as TCP here.
fn over_tcp() -> Vec<&'static Protocol> {
    PROTOCOLS.iter().copied().filter(|protocol| protocol.transports.contains(&Transport::Tcp)).collect()
}
