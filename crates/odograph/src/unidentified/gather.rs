//! Picks out of nobody's entries those of conversations that were not understood, or refused.

use super::{Guess, Stray};
use crate::export::{Piece, Taker};
use anyhow::Result;
use odograph_journal::{Broken, Entry, Kind};
use odograph_model::{Lsn, Time};
use odograph_protocols::detect::{Detected, Detector, UNDECIDED_BYTES_MAX, UNIDENTIFIED};
use odograph_protocols::{Binding, Context, Conversation, Decision, Terms, find};
use odograph_wire::notation::{to_hex, to_text};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// Conversations that are kept while the journal is read: the oldest go first. Each takes some kilobytes at most.
const STRAYS_MAX: usize = 10_000;
/// So many of its first bytes are shown.
const SHOWN_BYTES: usize = 48;
/// More than this is not taken in at once.
const PIECES_BYTES_MAX: usize = 16 << 20;

/// What the journal's remarks say of those that were named.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NamedNote {
    pub(super) named: u64,
    pub(super) protocol: String,
    pub(super) device: Option<String>,
}

/// Takes nobody's entries, in their order.
pub(super) struct Gather {
    /// Only this one, with all its pieces.
    wanted: Option<u64>,
    /// The streams of the segment, as they were at their latest context.
    streams: HashMap<u64, Context>,
    segment: Lsn,
    strays: BTreeMap<u64, Kept>,
    named: HashMap<u64, Vec<String>>,
    pieces: Vec<(Time, Vec<u8>)>,
    pieces_bytes: usize,
    context: Option<Context>,
}

/// What is kept of one.
struct Kept {
    context: Context,
    first: Time,
    last: Time,
    bytes: u64,
    pieces: u64,
    start: Vec<u8>,
    why: Option<String>,
    refused: bool,
}

/// One of them, with all that is kept of it.
pub(super) struct Whole {
    pub(super) context: Context,
    pub(super) pieces: Vec<(Time, Vec<u8>)>,
    pub(super) named: Vec<String>,
    /// There is more than can be taken in at once.
    pub(super) too_much: bool,
}

impl Gather {
    pub(super) fn new(wanted: Option<u64>) -> Self {
        Self {
            wanted,
            streams: HashMap::new(),
            segment: Lsn(0),
            strays: BTreeMap::new(),
            named: HashMap::new(),
            pieces: Vec::new(),
            pieces_bytes: 0,
            context: None,
        }
    }

    /// The newest of them, so many at most, whose last bytes came not before this moment.
    pub(super) fn newest(self, from: Option<Time>, limit: usize) -> Vec<Stray> {
        let Self { strays, mut named, .. } = self;
        let mut strays: Vec<_> = strays.into_iter().collect();
        strays.retain(|(_, kept)| from.is_none_or(|from| kept.last >= from));
        strays.sort_by_key(|(id, kept)| Reverse((kept.last, *id)));
        strays.truncate(limit);
        // Only now: to find out what each could be takes its time, and pages ask every few seconds.
        let told = |(id, kept): (u64, Kept)| kept.told(id, named.remove(&id).unwrap_or_default());
        strays.into_iter().map(told).collect()
    }

    /// The one that was wanted.
    pub(super) fn whole(mut self) -> Option<Whole> {
        let named = self.wanted.and_then(|id| self.named.remove(&id)).unwrap_or_default();
        let too_much = self.pieces_bytes > PIECES_BYTES_MAX;
        Some(Whole { context: self.context?, pieces: self.pieces, named, too_much })
    }

    fn note(&mut self, entry: &Entry<'_>) {
        if let Ok(NamedNote { named, protocol, device }) = serde_json::from_slice(entry.payload) {
            let name = device.map_or(protocol.clone(), |device| format!("{protocol} {device}"));
            self.named.entry(named).or_default().push(name);
        }
    }

    fn bytes(&mut self, entry: &Entry<'_>, refused: bool) {
        let Some(context) = self.streams.get(&entry.stream) else { return };
        let time = Time(entry.at);
        let kept = self.strays.entry(entry.stream).or_insert_with(|| Kept {
            context: context.clone(),
            first: time,
            last: time,
            bytes: 0,
            pieces: 0,
            start: Vec::new(),
            why: None,
            refused,
        });
        kept.last = time;
        kept.bytes += entry.payload.len() as u64;
        // What is told of datagrams is told by the first: each stands for itself.
        if kept.pieces == 0 || kept.context.transport == odograph_protocols::Transport::Tcp {
            let room = UNDECIDED_BYTES_MAX.saturating_sub(kept.start.len());
            kept.start.extend(entry.payload.iter().take(room));
        }
        kept.pieces += 1;
        if self.wanted == Some(entry.stream) {
            self.context = Some(kept.context.clone());
            self.pieces_bytes = self.pieces_bytes.saturating_add(entry.payload.len());
            if self.pieces_bytes <= PIECES_BYTES_MAX {
                self.pieces.push((time, entry.payload.to_vec()));
            }
        }
        while self.strays.len() > STRAYS_MAX {
            self.strays.pop_first();
        }
    }
}

impl Taker for Gather {
    fn take(&mut self, piece: &Piece<'_>) -> Result<()> {
        let entry = piece.entry;
        if piece.segment != self.segment {
            // Every stream that goes on there brings its context along.
            self.streams.clear();
            self.segment = piece.segment;
        }
        if entry.kind == Kind::NOTE {
            self.note(entry);
            return Ok(());
        }
        if self.wanted.is_some_and(|wanted| wanted != entry.stream) {
            return Ok(());
        }
        if let Some(Ok(context)) = entry.context.map(Context::read) {
            self.streams.insert(entry.stream, context);
        }
        let of_nobody = |context: &Context| context.protocol == UNIDENTIFIED.name;
        match entry.kind {
            Kind::SKIPPED | Kind::REMAINDER if self.streams.get(&entry.stream).is_some_and(of_nobody) => {
                self.bytes(entry, false);
            }
            Kind::FRAME if is_refusal(entry) => self.bytes(entry, true),
            Kind::CLOSE => {
                self.streams.remove(&entry.stream);
                if let Some(kept) = self.strays.get_mut(&entry.stream) {
                    kept.why = Some(String::from_utf8_lossy(entry.payload).into_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn lost(&mut self, broken: &Broken) {
        tracing::warn!("the journal is damaged: {broken}");
    }
}

/// Whether a device was refused with this entry: then it owns nothing, but what was decided is there.
fn is_refusal(entry: &Entry<'_>) -> bool {
    let decided = entry.identity.filter(|identity| identity.device.is_empty() && !identity.decision.is_empty());
    let binding = decided.and_then(|identity| Binding::read("", identity.decision).ok());
    binding.is_some_and(|binding| binding.decision == Decision::Refused)
}

impl Kept {
    fn told(self, id: u64, named: Vec<String>) -> Stray {
        let (mut is, mut guesses, mut ruled_out, mut device) = (None, Vec::new(), None, None);
        if self.refused {
            device = self.calls_itself();
        } else {
            let mut detector = Detector::new(self.context.transport);
            match detector.hear(&self.start) {
                Detected::Protocol(protocol) => is = Some(protocol.name.to_owned()),
                Detected::Nobody => ruled_out = Some(detector.ruled_out()),
                Detected::Open => {}
            }
            let left = detector.reasons(&self.start);
            guesses = left.map(|(protocol, reason)| Guess { protocol: protocol.name.to_owned(), reason }).collect();
        }
        let shown = self.start.get(..SHOWN_BYTES).unwrap_or(&self.start);
        Stray {
            id,
            first: self.first.to_string(),
            last: self.last.to_string(),
            peer: self.context.peer.to_string(),
            local: self.context.local.to_string(),
            transport: self.context.transport.name().to_owned(),
            why: self.why,
            protocol: self.refused.then(|| self.context.protocol.to_string()),
            device,
            is,
            could_be: guesses.iter().map(|guess| guess.protocol.clone()).collect(),
            guesses,
            ruled_out,
            bytes: self.bytes,
            pieces: self.pieces,
            hex: to_hex(shown),
            text: to_text(shown),
            named,
        }
    }

    /// What the refused device called itself.
    fn calls_itself(&self) -> Option<String> {
        let protocol = find(&self.context.protocol)?;
        let terms = Terms {
            transport: Some(self.context.transport),
            settings: self.context.settings.clone(),
            checksum: self.context.checksum,
        };
        let heard = Conversation::new(protocol, terms).frame(&self.start, self.first, None);
        heard.identity.first().map(ToString::to_string)
    }
}
