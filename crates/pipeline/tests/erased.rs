//! What comes out of a journal of which a device was erased: all that others sent, as if that device had never been there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use odograph_env::Disk;
use odograph_journal::{Identity, Journal, Kind, NewEntry, Options, Part, Reader, Stream, Whose};
use odograph_model::Lsn;
use odograph_pipeline::{Records, Shared, Totals, Window};
use odograph_protocols::{Binding, Checksum, Context, Decision, Other, Others, Settings, Transport};
use odograph_testkit::{FaultDisk, SeededRng, TestClock};
use std::path::Path;
use std::sync::Arc;

const NOW: i64 = 1_767_225_600_000;
const GONE: &str = "350000000000001";
const SECOND: &str = "350000000000002";
const ALIASED: &str = "350000000000003";
/// Another name by which that device calls itself.
const ALIAS: &str = "350000000000004";

fn binding(device: &str) -> Binding {
    let (device, tenant, settings) = (device.into(), "default".into(), Settings::default());
    Binding { device, tenant, decision: Decision::Accepted, settings }
}

fn decision(device: &str, others: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let other = |called: &&str| Other { called: (*called).into(), binding: Arc::new(binding(called)) };
    binding(device).write_with(&Others::new(others.iter().map(other)), &mut bytes);
    bytes
}

/// A connection, and whose it is.
struct Line {
    stream: Stream,
    device: Option<&'static str>,
}

struct Bench {
    disk: FaultDisk,
    journal: Journal,
    committer: odograph_journal::Committer,
}

impl Bench {
    fn new() -> Self {
        let disk = FaultDisk::new();
        let clock = Arc::new(TestClock::new(NOW));
        let options = Options { reserve_bytes: 1 << 10, segment_bytes: 2 << 10, ..Options::default() };
        let (journal, committer, _) =
            Journal::open(folder(), options, Arc::new(disk.clone()), clock, &SeededRng::new(1)).unwrap();
        Self { disk, journal, committer }
    }

    fn context(device: Option<&str>) -> Vec<u8> {
        let mut bytes = Vec::new();
        Context {
            protocol: "wialon".into(),
            transport: Transport::Tcp,
            checksum: Checksum::Enforce,
            peer: "192.0.2.1:1".into(),
            local: "192.0.2.2:2".into(),
            settings: Settings::default(),
            binding: device.map(binding),
            session: Vec::new(),
        }
        .write(&mut bytes);
        bytes
    }

    fn open(&self) -> Line {
        Line { stream: self.journal.open_stream(NOW, &Self::context(None), None).unwrap().0, device: None }
    }

    /// A frame, and its answer. With `begins`, that device's from then on.
    fn say(&mut self, line: &mut Line, begins: Option<(&'static str, &[&str])>, payload: &str) {
        let (context, bound) = (Self::context(line.device), line.device.map(|device| (device, decision(device, &[]))));
        let bound = bound.as_ref().map(|(device, decision)| Identity { device, decision });
        let begun = begins.map(|(device, others)| (device, decision(device, others)));
        let identity = begun.as_ref().map(|(device, decision)| Identity { device, decision });
        let entry = |kind, identity, payload| NewEntry { kind, at: NOW, identity, payload };
        let entries =
            [entry(Kind::FRAME, identity, payload.as_bytes()), entry(Kind::SENT, None, b"an answer".as_slice())];
        self.journal.append(&mut line.stream, &context, bound, &entries).unwrap();
        line.device = begun.map(|(device, _)| device).or(line.device);
        self.committer.commit_step().unwrap();
    }

    fn position(&mut self, line: &mut Line, second: u32) {
        self.say(line, None, &format!("#SD#010126;0000{second:02};5355.0926;N;02732.4099;E;0;0;300;7\r\n"));
    }

    fn login(&mut self, line: &mut Line, device: &'static str, called: &str) {
        self.say(line, Some((device, &[])), &format!("#L#{called};NA\r\n"));
    }

    fn finish(self) -> FaultDisk {
        self.journal.close();
        self.committer.run().unwrap();
        self.disk
    }
}

fn folder() -> &'static Path {
    Path::new("data/journal/0")
}

fn reader(disk: &FaultDisk) -> Reader {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Reader::open(shared, folder()).unwrap()
}

/// Three connections that take turns over several segments, and are open across their ends. Without `gone`, one of them never was.
fn busy(gone: bool) -> FaultDisk {
    let mut bench = Bench::new();
    let (mut second, mut aliased) = (bench.open(), bench.open());
    let mut first = gone.then(|| bench.open());
    bench.login(&mut second, SECOND, SECOND);
    bench.login(&mut aliased, ALIASED, ALIASED);
    if let Some(first) = &mut first {
        bench.login(first, GONE, GONE);
    }
    for round in 0..40 {
        if let Some(first) = &mut first {
            // By itself, and as the first and the last of a segment.
            (0..=round % 3).for_each(|_| bench.position(first, round));
        }
        bench.position(&mut second, round);
        if round % 7 == 3 {
            // It calls itself otherwise, which the journal need not tell: it is the same device.
            bench.say(&mut aliased, None, &format!("#L#{ALIAS};NA\r\n"));
        }
        bench.position(&mut aliased, round);
    }
    bench.finish()
}

/// What comes out, but for the device that is erased.
fn read(disk: &FaultDisk) -> (Vec<String>, Totals) {
    let mut entries = reader(disk).entries(Lsn(0), None).unwrap();
    let (mut records, mut found) = (Records::new(Window::default()), Vec::new());
    records
        .read_some(
            &mut entries,
            |event| event.binding.device != GONE,
            |event| {
                let (binding, id, record) = (event.binding, event.id, event.record);
                found.push(format!("{binding:?} {id:?} {:?} {record:?}", event.received));
                Ok::<(), std::convert::Infallible>(())
            },
            |_| {},
        )
        .unwrap();
    (found, records.totals())
}

fn erase(disk: &FaultDisk) -> u64 {
    let reader = reader(disk);
    let end = reader.seals().unwrap().into_iter().flatten().last().unwrap().end;
    let order = reader.order_erasure(NOW, end, b"whose", 1).unwrap();
    let belongs = |identity: Identity<'_>| identity.device == GONE;
    let whose = Whose { device: Some(GONE), belongs: &belongs, removed: &|_, _| Part::All, goes_on: &|| true };
    let done = reader.erase(order, &whose, &std::sync::Mutex::new(())).unwrap();
    reader.finish_erasure(order, NOW).unwrap();
    done.entries
}

#[test]
fn others_come_out_as_if_it_had_never_been_there() {
    let (disk, without) = (busy(true), busy(false));
    let (before, totals) = read(&disk);
    let segments = disk.files().iter().filter(|path| path.extension().is_some_and(|it| it == "segment")).count();
    assert!(segments > 5, "{segments} segments");
    let never = read(&without);
    assert_eq!(before, never.0);
    assert_eq!(before.len(), 80, "{:?}", before.first());
    // Three or so a round, with an answer each.
    assert!(erase(&disk) > 150);
    let (after, now) = read(&disk);
    assert_eq!(after, before);
    assert_eq!((now.records, now.damaged), (never.1.records, 0), "nothing of it comes out");
    assert_eq!((now.undecoded, totals.undecoded), (never.1.undecoded, never.1.undecoded));
}

fn shared(disk: &FaultDisk) -> Shared {
    let mut entries = reader(disk).entries(Lsn(0), None).unwrap();
    Shared::of(&mut entries, &|tenant, device| tenant == "default" && device == GONE, &|| true).unwrap()
}

/// How many files have a text.
fn having(disk: &FaultDisk, text: &str) -> usize {
    let has = |path: &std::path::PathBuf| {
        disk.content(path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes())
    };
    disk.files().iter().filter(|path| has(path)).count()
}

#[test]
fn what_is_shared_with_others_is_found() {
    assert_eq!(shared(&busy(true)), Shared::default());
    let other = |device: &str| ("default".into(), device.into());

    // An entry that was decided about several devices, whoever it is bound to.
    for (own, carried) in [(GONE, SECOND), (SECOND, GONE)] {
        let mut bench = Bench::new();
        let mut line = bench.open();
        bench.say(&mut line, Some((own, &[carried])), "#L#350000000000001;NA\r\n");
        let found = shared(&bench.finish());
        assert_eq!((found.entries, found.others), (1, [other(SECOND)].into()), "bound to {own}");
    }

    // A line of one device after another, in one segment: its first entry there has what decodes all.
    let mut bench = Bench::new();
    let mut line = bench.open();
    bench.login(&mut line, GONE, GONE);
    bench.position(&mut line, 1);
    bench.login(&mut line, SECOND, SECOND);
    let found = shared(&bench.finish());
    assert_eq!((found.entries, found.others), (4, [other(SECOND)].into()), "two frames with their answers");

    // One device in one segment and another one in the next: the first entry there says whose the line was.
    for (begins, goes_on, expected) in [(GONE, SECOND, 1), (SECOND, GONE, 0), (SECOND, ALIASED, 0)] {
        let mut bench = Bench::new();
        let (mut line, mut filler) = (bench.open(), bench.open());
        bench.login(&mut line, begins, begins);
        bench.login(&mut filler, ALIASED, ALIASED);
        (0..20).for_each(|second| bench.position(&mut filler, second));
        bench.login(&mut line, goes_on, goes_on);
        let disk = bench.finish();
        let found = shared(&disk);
        assert_eq!((found.entries, found.unread), (expected, None), "{begins}, then {goes_on}");
        assert_eq!(found.others.contains(&other(SECOND)), expected > 0);
        if expected == 0 {
            erase(&disk);
            assert_eq!(having(&disk, GONE), 0, "{begins}, then {goes_on}");
        }
    }

    // More than are named.
    let mut bench = Bench::new();
    let many: Vec<String> = (0..20).map(|number| format!("4{number:02}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut line = bench.open();
    bench.say(&mut line, Some((GONE, &many)), "#L#350000000000001;NA\r\n");
    let found = shared(&bench.finish());
    assert_eq!((found.others.len(), found.more), (odograph_pipeline::SHARED_NAMES_MAX, true));

    // What is damaged may be anybody's.
    let disk = busy(true);
    let first = disk.files().into_iter().find(|path| path.extension().is_some_and(|it| it == "segment")).unwrap();
    disk.flip_bit(&first, 500, 0);
    assert!(!shared(&disk).is_none());
}
