//! A gateway without sockets that hears conversations from vectors, and what its journal says of them.

#![allow(dead_code, clippy::unwrap_used, unreachable_pub, reason = "a test may panic, and its parts are its own")]

use compact_str::CompactString;
use odograph_env::{Clock as _, Disk};
use odograph_handover::ring;
use odograph_ingest::{Connection, Devices, Intake, Limits, Listener, Now, Peers, Scratch};
use odograph_journal::{Committer, Entry, Journal, Kind, Options, Reader};
use odograph_model::{Key, Lsn, Record, RecordId, Time};
use odograph_pipeline::{Again, Decoder, FrameCounts, Records, Resettle, Window};
use odograph_protocols::detect::UNIDENTIFIED;
use odograph_protocols::{
    Binding, Context, Decided, Decision, Dialogue, Footing, Other, Others, Out, Protocol, Settings, Transport, find,
};
use odograph_simtest::{Book, Historian};
use odograph_testkit::vectors::{Paragraph, parse};
use odograph_testkit::{FaultDisk, PowerCut, SeededRng, TestClock};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is decided about devices, and where their settings stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// Everyone is accepted; the listener has the settings.
    ByListener,
    /// Everyone is accepted; the device has the settings.
    ByDevice,
    /// The listener belongs to one device.
    OneDevice,
    /// Each time, something else is decided: another device, other settings, to wait, to be refused.
    Changing,
}

impl Given {
    pub const ALL: [Self; 4] = [Self::ByListener, Self::ByDevice, Self::OneDevice, Self::Changing];
}

/// In what pieces a stream comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feeding {
    Frames,
    AllAtOnce,
    Bytes(usize),
}

/// One way to hold all conversations of a protocol.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    pub protocol: &'static Protocol,
    pub transport: Transport,
    pub feeding: Feeding,
    pub segment_bytes: u64,
    /// A segment ends behind everything that comes.
    pub roll_always: bool,
    pub given: Given,
    /// They come to the port that understands all protocols.
    pub common: bool,
}

/// Segments that roll behind every frame, after a few, and never.
const SEGMENTS: [(u64, bool); 3] = [(256 << 20, true), (1 << 10, false), (256 << 20, false)];

impl Variant {
    /// All ways for a protocol.
    pub fn all_of(protocol: &'static Protocol) -> Vec<Self> {
        let feedings = [
            (Transport::Tcp, Feeding::Frames),
            (Transport::Tcp, Feeding::AllAtOnce),
            (Transport::Tcp, Feeding::Bytes(7)),
            (Transport::Udp, Feeding::Frames),
        ];
        let mut all = Vec::new();
        for (transport, feeding) in feedings.into_iter().filter(|(it, _)| protocol.transports.contains(it)) {
            for (segment_bytes, roll_always) in SEGMENTS {
                for given in Given::ALL {
                    let own = Self { protocol, transport, feeding, segment_bytes, roll_always, given, common: false };
                    all.push(own);
                    // What it shares with a port of its own need not be looked at twice.
                    if segment_bytes < SEGMENTS[2].0 && matches!(given, Given::ByListener | Given::Changing) {
                        all.push(Self { common: true, ..own });
                    }
                }
            }
        }
        all
    }
}

/// How tables are filled meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// By nobody.
    Not,
    /// Whatever is durable is read at once, and the ring has room for everything.
    Live,
    /// Now and then, from the beginning again now and then, and the ring is of so many bytes.
    ByDice { seed: u64, ring_bytes: u64 },
}

/// How much was compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compared {
    pub frames: usize,
    pub records: usize,
    pub beginnings: usize,
}

/// The paragraphs of a protocol's vectors.
pub fn conversations(protocol: &Protocol) -> Vec<Paragraph> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocols/src/devices");
    let text = std::fs::read_to_string(folder.join(format!("{}.vectors", protocol.name))).unwrap();
    parse(&text).unwrap()
}

/// Decides as the variant says, and remembers what it decided on which conversation.
struct Decider {
    given: Given,
    now_hearing: Mutex<(String, Settings)>,
    decided: Mutex<HashMap<String, VecDeque<Arc<Binding>>>>,
}

impl Decider {
    fn decide(&self, ids: &[CompactString], settings: Settings, turn: usize) -> Binding {
        let plain = Binding {
            device: ids[0].clone(),
            tenant: "default".into(),
            decision: Decision::Accepted,
            settings: Settings::default(),
        };
        match (self.given, turn % 5) {
            (Given::ByDevice, _) | (Given::Changing, 0) => Binding { settings, ..plain },
            (Given::Changing, 1) => Binding { device: "its own name".into(), tenant: "other".into(), ..plain },
            (Given::Changing, 2) => Binding { decision: Decision::Quarantined, settings, ..plain },
            (Given::Changing, 3) => Binding { decision: Decision::Refused, ..plain },
            _ => plain,
        }
    }
}

impl Devices for Decider {
    fn admit(&self, ids: &[CompactString], _listener: &Listener) -> Arc<Binding> {
        let (peer, settings) = self.now_hearing.lock().unwrap().clone();
        let mut decided = self.decided.lock().unwrap();
        let before = decided.entry(peer).or_default();
        let binding = Arc::new(self.decide(ids, settings, before.len()));
        before.push_back(binding.clone());
        binding
    }
}

/// A gateway without sockets.
pub struct Gateway {
    variant: Variant,
    disk: FaultDisk,
    clock: Arc<TestClock>,
    decider: Arc<Decider>,
    intake: Intake,
    committer: Committer,
    filling: Filling,
    rng: SeededRng,
    book: Book,
    historian: Historian,
    scratch: Scratch,
    listeners: HashMap<String, Arc<Listener>>,
    /// Conversations so far: each has an address of its own.
    callers: u16,
    /// What the state machines counted.
    counted: Compared,
}

/// One conversation that goes on: its caller, its frames, and what takes them.
struct Caller<'p> {
    paragraph: &'p Paragraph,
    address: SocketAddr,
    pieces: VecDeque<Vec<u8>>,
    way: Way,
}

enum Way {
    Stream(Box<Connection>),
    Datagrams(Box<Peers>),
}

impl Gateway {
    pub fn start(variant: Variant) -> Self {
        Self::start_filling(variant, Filling::Not)
    }

    /// Fills tables, too, for [`Gateway::audit`].
    pub fn start_filling(variant: Variant, filling: Filling) -> Self {
        let disk = FaultDisk::new();
        let clock = Arc::new(TestClock::new(1_767_323_045_000));
        let decider =
            Arc::new(Decider { given: variant.given, now_hearing: Mutex::default(), decided: Mutex::default() });
        let book = Book::default();
        let (intake, committer, historian) = open(&variant, &disk, &clock, &decider, &book, filling);
        let rng = SeededRng::new(if let Filling::ByDice { seed, .. } = filling { seed } else { 0 });
        Self {
            variant,
            disk,
            clock,
            decider,
            intake,
            committer,
            filling,
            rng,
            book,
            historian,
            scratch: Scratch::default(),
            listeners: HashMap::new(),
            callers: 0,
            counted: Compared::default(),
        }
    }

    /// The process dies without a word, and starts again.
    pub fn restart(&mut self) {
        self.disk = self.disk.crash_image(PowerCut::Lost);
        (self.intake, self.committer, self.historian) =
            open(&self.variant, &self.disk, &self.clock, &self.decider, &self.book, self.filling);
    }

    /// Hears all conversations at a time, a piece of each in turn.
    pub fn hear(&mut self, paragraphs: &[Paragraph]) {
        let transport = self.variant.transport;
        let fits = |paragraph: &&Paragraph| {
            let whole = transport == Transport::Udp || !paragraph.options.bare;
            whole && paragraph.options.transport.is_none_or(|wanted| wanted == transport)
        };
        let mut callers: Vec<_> = paragraphs.iter().filter(fits).map(|paragraph| self.call(paragraph)).collect();
        while !callers.is_empty() {
            callers.retain_mut(|caller| self.hear_piece(caller));
        }
        self.commit();
    }

    fn call<'p>(&mut self, paragraph: &'p Paragraph) -> Caller<'p> {
        let Variant { protocol, transport, feeding, common, .. } = self.variant;
        self.callers += 1;
        let address = SocketAddr::from((PEER, self.callers));
        let spoken = if common { &UNIDENTIFIED } else { protocol };
        let mut listener = Listener::new(spoken, transport, ([127, 0, 0, 1], 1).into()).unwrap();
        listener.checksum = paragraph.options.checksum;
        let settings = paragraph.options.terms(protocol).unwrap().settings;
        if self.variant.given != Given::ByDevice {
            listener.settings = Arc::new(settings);
        }
        if self.variant.given == Given::OneDevice {
            let (device, decision) = (paragraph.options.device().into(), Decision::Accepted);
            let settings = Settings::default();
            listener.device = Some(Arc::new(Binding { device, tenant: "default".into(), decision, settings }));
        }
        let listener = Arc::new(listener);
        self.listeners.insert(address.to_string(), listener.clone());
        let frames = paragraph.frames().map(|message| message.bytes.clone());
        let pieces = match feeding {
            Feeding::Frames => frames.collect(),
            Feeding::AllAtOnce => [frames.flatten().collect()].into(),
            Feeding::Bytes(count) => frames.flatten().collect::<Vec<_>>().chunks(count).map(<[u8]>::to_vec).collect(),
        };
        let now = self.now(paragraph);
        let way = match transport {
            Transport::Tcp => {
                let opened = Connection::open(listener, address, &self.intake, now, &mut self.scratch);
                Way::Stream(Box::new(opened.unwrap()))
            }
            Transport::Udp => Way::Datagrams(Box::new(Peers::new(listener, &Limits::default()))),
        };
        Caller { paragraph, address, pieces, way }
    }

    /// Says whether there is more to hear.
    fn hear_piece(&mut self, caller: &mut Caller<'_>) -> bool {
        let Some(piece) = caller.pieces.pop_front() else { return false };
        let settings = caller.paragraph.options.terms(self.variant.protocol).unwrap().settings;
        *self.decider.now_hearing.lock().unwrap() = (caller.address.to_string(), settings);
        let (now, scratch) = (self.now(caller.paragraph), &mut self.scratch);
        let goes_on = match &mut caller.way {
            Way::Stream(connection) => !connection.receive(&piece, &self.intake, now, scratch).unwrap().closing,
            Way::Datagrams(peers) => {
                peers.receive(&piece, caller.address, &self.intake, now, scratch).unwrap();
                true
            }
        };
        self.counted.frames += usize::try_from(self.scratch.tally.frames).unwrap();
        self.counted.records += usize::try_from(self.scratch.tally.records).unwrap();
        if self.variant.roll_always || self.filling == Filling::Live {
            self.commit();
        }
        let durable = self.intake.journal.durable();
        match self.filling {
            Filling::Not => {}
            Filling::Live => self.historian.read(durable),
            Filling::ByDice { .. } => {
                if self.rng.one_in(4) {
                    self.commit();
                }
                self.historian.happen(durable, &self.rng);
            }
        }
        goes_on
    }

    fn now(&self, paragraph: &Paragraph) -> Now {
        Now { wall: paragraph.options.received, monotonic: self.clock.monotonic() }
    }

    fn commit(&mut self) {
        self.committer.commit_step().unwrap();
    }

    /// Compares the tables with what the journal alone gives.
    pub fn audit(self) -> FrameCounts {
        self.historian.audit(self.intake.journal.durable(), &format!("{:?}, {:?}", self.variant, self.filling))
    }

    /// Compares what the journal gives with what was decoded live.
    pub fn compare(&self) -> Compared {
        let reader = Reader::open(Arc::new(self.disk.clone()), &folder()).unwrap();
        let live = self.live(&reader);
        assert_eq!(
            live.iter().map(|frame| frame.records.len()).sum::<usize>(),
            self.counted.records,
            "{:?}",
            self.variant
        );
        let mut bases = vec![Lsn(0)];
        let mut entries = reader.entries(Lsn(0), None).unwrap();
        let mut end = Lsn(0);
        while let Some(entry) = entries.next().unwrap() {
            if entry.lsn != end {
                bases.push(reader.segment_begin(entry.lsn).unwrap().unwrap());
            }
            end = entry.end();
        }
        // Of very many segments, some.
        let bases: Vec<_> = bases.iter().step_by(1 + bases.len() / 16).collect();
        for base in &bases {
            let expected: Vec<_> = live.iter().filter(|frame| frame.lsn >= **base).collect();
            let again = again(&reader, **base);
            assert!(
                expected.iter().copied().eq(&again),
                "{:?} from {base}: {}",
                self.variant,
                first_difference(&expected, &again)
            );
        }
        assert_eq!(once(&reader), ids(&live), "{:?}: record ids", self.variant);
        assert_eq!(stored(&reader), ids(&live), "{:?}: as history has the entries", self.variant);
        Compared { frames: self.counted.frames, records: self.counted.records, beginnings: bases.len() }
    }

    /// What was decoded live: each conversation straight on, from its beginning, with what was decided then. The replies
    /// in the journal must be those.
    fn live(&self, reader: &Reader) -> Vec<Frame> {
        let mut decided = self.decider.decided.lock().unwrap().clone();
        let mut dialogues: BTreeMap<u64, (String, Dialogue)> = BTreeMap::new();
        let mut replies: HashMap<u64, VecDeque<Vec<u8>>> = HashMap::new();
        let (mut frames, mut out) = (Vec::new(), Out::default());
        let mut entries = reader.entries(Lsn(0), None).unwrap();
        while let Some(entry) = entries.next().unwrap() {
            let context = entry.context.map(|context| Context::read(context).unwrap());
            let goes_on = |context: &Context| {
                dialogues.get(&entry.stream).is_some_and(|(_, dialogue)| dialogue.protocol().name == context.protocol)
            };
            if let Some(context) = context.filter(|context| !goes_on(context)) {
                let peer = context.peer.to_string();
                let listener = &self.listeners[&peer];
                let footing = Footing {
                    protocol: find(&context.protocol).unwrap_or(&UNIDENTIFIED),
                    transport: listener.transport,
                    checksum: listener.checksum,
                    settings: listener.settings.clone(),
                };
                let dialogue = Dialogue::begin(footing, listener.device.clone());
                dialogues.insert(entry.stream, (peer, dialogue));
            }
            match entry.kind {
                Kind::FRAME => {
                    let (peer, dialogue) = dialogues.get_mut(&entry.stream).unwrap();
                    let decided = decided.entry(peer.clone()).or_default();
                    decode(&entry, dialogue, decided, &mut out);
                    replies
                        .entry(entry.stream)
                        .or_default()
                        .extend(out.replies().iter().map(|reply| reply.bytes.clone()));
                    frames.extend(Frame::of(entry.lsn, dialogue.binding(), Time(entry.at), out.take_records()));
                }
                Kind::SENT => {
                    let due = replies.get_mut(&entry.stream).and_then(VecDeque::pop_front);
                    if due.is_none() && entry.payload == CONTINUE {
                        // It answers no frame, and so comes of none.
                        continue;
                    }
                    assert_eq!(due.as_deref(), Some(entry.payload), "{:?}: reply at {}", self.variant, entry.lsn);
                }
                _ => {}
            }
        }
        assert!(replies.values().all(VecDeque::is_empty), "{:?}: replies that were never journalled", self.variant);
        assert!(decided.values().all(VecDeque::is_empty), "{:?}: decisions that no frame asks for", self.variant);
        frames
    }
}

fn decode(entry: &Entry<'_>, dialogue: &mut Dialogue, decided: &mut VecDeque<Arc<Binding>>, out: &mut Out<'_>) {
    // A malformed frame gives nothing, and the conversation goes on.
    let _ = dialogue.frame(entry.payload, Time(entry.at), out, |named, bound| {
        let mut next = || decided.pop_front().unwrap();
        let mut begun = (!named.ids.is_empty()).then(&mut next);
        let mut others: Vec<Other> =
            named.others.iter().map(|called| Other { called: called.clone(), binding: next() }).collect();
        // Where the frame's own device is refused, whoever is let in first has it.
        let lets_in = |binding: &Binding| binding.decision != Decision::Refused;
        let first = others.iter().map(|other| &other.binding).find(|binding| lets_in(binding)).cloned();
        if let Some(own) = begun.clone().filter(|own| named.passes_on && !lets_in(own))
            && first.is_some()
        {
            begun = first;
            others.insert(0, Other { called: named.ids[0].clone(), binding: own });
        }
        Decided { begun: begun.filter(|binding| bound != Some(&**binding)), others: Others::new(others) }
    });
}

fn open(
    variant: &Variant,
    disk: &FaultDisk,
    clock: &Arc<TestClock>,
    decider: &Arc<Decider>,
    book: &Book,
    filling: Filling,
) -> (Intake, Committer, Historian) {
    let options = Options {
        segment_bytes: variant.segment_bytes,
        reserve_bytes: 1 << 10,
        segment_age: if variant.roll_always { Duration::ZERO } else { Options::default().segment_age },
        ..Options::default()
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let (journal, committer, _) =
        Journal::open(&folder(), options, disk.clone(), clock.clone(), &SeededRng::new(1)).unwrap();
    let ring_bytes = if let Filling::ByDice { ring_bytes, .. } = filling { ring_bytes } else { u64::MAX };
    let (inlet, outlet) = ring(ring_bytes);
    let historian = Historian::open(book, Reader::open(disk, &folder()).unwrap(), outlet);
    let handover = (filling != Filling::Not).then_some(inlet);
    (Intake { journal, devices: decider.clone(), handover }, committer, historian)
}

/// What a client waits for before it sends the body of its request.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a frame gave to whom.
#[derive(Debug, PartialEq)]
struct Frame {
    lsn: Lsn,
    binding: Binding,
    received: Time,
    records: Vec<Record>,
}

impl Frame {
    fn of(lsn: Lsn, binding: Option<&Arc<Binding>>, received: Time, records: Vec<Record>) -> Option<Self> {
        let binding = binding.filter(|_| !records.is_empty())?;
        Some(Self { lsn, binding: (**binding).clone(), received, records })
    }
}

/// What decoding again gives from `base` on.
fn again(reader: &Reader, base: Lsn) -> Vec<Frame> {
    let mut entries = reader.entries(base, None).unwrap();
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    while let Some((entry, segment)) = entries.next_in_segment().unwrap() {
        let lsn = entry.lsn;
        if let Ok(Some(decoded)) = decoder.entry(&entry, segment) {
            frames.extend(Frame::of(lsn, Some(decoded.binding), decoded.received, decoded.records));
        }
    }
    frames
}

/// The records that come out in the end, each once.
fn once(reader: &Reader) -> Vec<(RecordId, CompactString, Record)> {
    let mut entries = reader.entries(Lsn(0), None).unwrap();
    let mut found = Vec::new();
    let read = Records::new(Window::default()).read(
        &mut entries,
        |event| {
            found.push((event.id, event.device().into(), event.record.clone()));
            Ok::<(), std::convert::Infallible>(())
        },
        |_| {},
    );
    read.unwrap();
    found
}

/// The same, from what was decoded live.
fn ids(frames: &[Frame]) -> Vec<(RecordId, CompactString, Record)> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for frame in frames {
        for record in &frame.records {
            let id = RecordId::new(&frame.binding.device, record, frame.received);
            if seen.insert(id) {
                let mut record = record.clone();
                Window::default().apply(&mut record, frame.received);
                record.set(Key::DeviceIp, CompactString::from(PEER.to_string()));
                let device = record.device.clone().unwrap_or_else(|| frame.binding.device.clone());
                all.push((id, device, record));
            }
        }
    }
    all
}

fn first_difference(expected: &[&Frame], found: &[Frame]) -> String {
    let differ = expected.iter().zip(found).find(|(expected, found)| **expected != *found);
    match differ {
        Some((expected, found)) => format!("live {expected:?}\nagain {found:?}"),
        None => format!("live {} frames, again {}", expected.len(), found.len()),
    }
}

/// Where all devices are.
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn folder() -> PathBuf {
    PathBuf::from("data/journal/0")
}

/// The same, from entries as a table of history keeps them: with what is only in the journal left out.
fn stored(reader: &Reader) -> Vec<(RecordId, CompactString, Record)> {
    let mut entries = reader.entries(Lsn(0), None).unwrap();
    let (mut again, mut found) = (Again::new(Window::default(), Arc::new(AsRecorded)), Vec::new());
    let mut seen = HashSet::new();
    while let Some((entry, segment)) = entries.next_in_segment().unwrap() {
        again.entry(&Entry { bytes: &[], ..entry }, 0, segment, |event| {
            if seen.insert(event.id) {
                found.push((event.id, event.device().into(), event.record.clone()));
            }
        });
    }
    found
}

/// No settings but those that held then.
struct AsRecorded;

impl Resettle for AsRecorded {
    fn listener(&self, _: &'static Protocol, _: &mut Context) {}

    fn device(&self, _: &'static Protocol, _: &mut Binding) {}

    /// Nothing is missing, so whoever spoke was known.
    fn is_name_of(&self, _: &str, _: &str) -> bool {
        true
    }
}
