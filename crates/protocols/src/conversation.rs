//! A conversation: bytes are cut into frames, frames go through the session, and each gives something or a fault.
//!
//! Here stand the rules that are the same for all protocols and all drivers: [`Protocol::cut`] bounds what framing
//! may do, [`decode`] makes a frame one transaction, and [`Conversation::message`] takes whole messages in whatever
//! form somebody has them: as on the wire, several at once, as a datagram, or bare.

use crate::{Answer, Checksum, Command, CommandError, IDENTITY_BYTES_MAX, Opening, Out, Protocol, RECORDS_MAX, Reply};
use crate::{ReplyTo, Session, Settings, Transport};
use compact_str::CompactString;
use odograph_model::{Record, Time};
use odograph_wire::{Cut, Framing, Malformed, Reason, Result, Told, Traced, Tracer};
use std::fmt;
use std::ops::Range;

impl Protocol {
    /// Cuts what stands at the beginning of `bytes`, which are not empty.
    ///
    /// The protocol's own framing, held to its promises: no frame is longer than `frame_max`, every cut moves on, and
    /// more is needed only where more is missing.
    pub fn cut(&self, bytes: &[u8]) -> Cut {
        self.cut_told(Told::default(), bytes)
    }

    /// The same, where more is known than the bytes: see [`Protocol::told`].
    pub fn cut_told(&self, told: Told<'_>, bytes: &[u8]) -> Cut {
        let missing = |need: usize| match need.max(bytes.len().saturating_add(1)) {
            need if need > self.frame_max => Cut::Lost("no frame of the protocol is so long"),
            need => Cut::Need(need),
        };
        match self.framing.cut(told, bytes) {
            Cut::Frame(0) | Cut::Skip(0) => Cut::Lost("no frame begins here"),
            Cut::Frame(length) if length > self.frame_max => Cut::Lost("no frame of the protocol is so long"),
            Cut::Frame(length) if length > bytes.len() => missing(length),
            Cut::Skip(length) => Cut::Skip(length.min(bytes.len())),
            Cut::Need(length) => missing(length),
            cut => cut,
        }
    }

    /// What its framing is told by `settings`, and by whether nothing comes behind the bytes that are cut.
    pub fn told<'a>(&self, settings: &'a Settings, ended: bool) -> Told<'a> {
        match self.framing {
            Framing::Told { setting, .. } => Told { setting: settings.text(setting), ended },
            _ => Told { setting: None, ended },
        }
    }
}

/// Decodes one frame as one transaction: after an error, with more records than [`RECORDS_MAX`], or with a name that no
/// device can have, nothing that the frame gave is left in `out` but its notes and its refusal.
pub fn decode(session: &mut dyn Session, frame: &[u8], received: Time, out: &mut Out<'_>) -> Result<()> {
    let mut result = session.on_frame(frame, received, out);
    if result.is_ok() && out.overflowed() {
        result = Err(Malformed::new("records", 0, Reason::TooMany { max: RECORDS_MAX }));
    }
    let is_name = |name: &CompactString| (1..=IDENTITY_BYTES_MAX).contains(&name.len());
    if result.is_ok() && !out.identity().iter().all(is_name) {
        result = Err(Malformed::new("identity", 0, Reason::Expected("a name of 1 to 255 bytes")));
    }
    if result.is_err() {
        out.roll_back();
    }
    result
}

/// What a conversation is opened with.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// How messages travel; `None` where any of the protocol's ways may come.
    pub transport: Option<Transport>,
    /// What the listener's or the device's owner set.
    pub settings: Settings,
    /// Whether wrong checksums are errors.
    pub checksum: Checksum,
}

/// One device's messages, in order.
pub struct Conversation {
    protocol: &'static Protocol,
    terms: Terms,
    session: Box<dyn Session>,
    identity: Option<CompactString>,
}

/// What one frame gave, or what was found where no frame stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// Where it begins in the message.
    pub at: usize,
    /// How many bytes it takes.
    pub length: usize,
    /// Its records.
    pub records: Vec<Record>,
    /// Its replies, to whomever.
    pub replies: Vec<Reply>,
    /// The names that the device gave itself in it.
    pub identity: Vec<CompactString>,
    /// What was odd.
    pub notes: Vec<String>,
    /// Answers to commands.
    pub answers: Vec<Answer>,
    /// Why there is nothing else.
    pub fault: Option<Fault>,
}

/// What keeps bytes from being decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A message that breaks its protocol.
    Malformed(Malformed),
    /// No frame can be found any more.
    Lost {
        /// From where on.
        at: usize,
        /// Why.
        why: &'static str,
    },
}

impl Fault {
    /// The field that could not be read.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.field,
            Self::Lost { .. } => "frame",
        }
    }

    /// Its offset in bytes.
    pub const fn at(&self) -> usize {
        match self {
            Self::Malformed(malformed) => malformed.at,
            Self::Lost { at, .. } => *at,
        }
    }

    /// What is wrong with it.
    pub fn reason(&self) -> String {
        match self {
            Self::Malformed(malformed) => malformed.reason.to_string(),
            Self::Lost { why, .. } => (*why).to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.field(), self.at(), self.reason())
    }
}

impl std::error::Error for Fault {}

impl Heard {
    /// Whether it gave anything at all.
    pub const fn is_silent(&self) -> bool {
        self.records.is_empty()
            && self.replies.is_empty()
            && self.identity.is_empty()
            && self.notes.is_empty()
            && self.answers.is_empty()
    }

    /// The replies that a device gets which the gateway accepts.
    pub fn replies_if_accepted(&self) -> impl Iterator<Item = &Reply> {
        self.replies.iter().filter(|reply| reply.to != ReplyTo::Refused)
    }

    /// Whether it acknowledges anything.
    pub fn acknowledges(&self) -> bool {
        self.replies.iter().any(|reply| reply.to == ReplyTo::Accepted)
    }
}

impl Conversation {
    /// Begins a conversation.
    pub fn new(protocol: &'static Protocol, terms: Terms) -> Self {
        Self::open(protocol, terms, &[], None)
    }

    /// The same conversation, gone on from what its session saved, on `terms`.
    #[must_use]
    pub fn resumed(&self, terms: Terms) -> Self {
        Self::open(self.protocol, terms, &self.context(), self.identity.clone())
    }

    /// What the session saves.
    pub fn context(&self) -> Vec<u8> {
        let mut context = Vec::new();
        self.session.save(&mut context);
        context
    }

    /// What it was opened with.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The protocol that is spoken.
    pub const fn protocol(&self) -> &'static Protocol {
        self.protocol
    }

    /// Who the device is, if it has said so.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The bytes that send `command` to `device`.
    pub fn command(&mut self, device: &str, command: &Command<'_>) -> std::result::Result<Vec<u8>, CommandError> {
        self.session.command(device, command).map(|encoded| encoded.bytes)
    }

    /// Takes one whole frame.
    pub fn frame(&mut self, frame: &[u8], received: Time, tracer: Option<&dyn Tracer>) -> Heard {
        let mut out = Out::traced(tracer);
        let fault = decode(&mut *self.session, frame, received, &mut out).err().map(Fault::Malformed);
        if let Some(name) = out.identity().first() {
            self.identity = Some(name.clone());
        }
        Heard {
            at: 0,
            length: frame.len(),
            replies: out.replies().to_vec(),
            identity: out.identity().to_vec(),
            notes: out.notes().to_vec(),
            answers: out.answers().to_vec(),
            records: out.take_records(),
            fault,
        }
    }

    /// Takes one whole message: a frame, several in a row, a datagram, or what is left of a frame after framing.
    /// Offsets in what it gives count from the beginning of the message.
    pub fn message(&mut self, bytes: &[u8], received: Time, tracer: Option<&dyn Tracer>) -> Vec<Heard> {
        let pieces = self.plan(bytes, received);
        pieces.into_iter().map(|piece| self.piece(bytes, piece, received, tracer)).collect()
    }

    fn open(protocol: &'static Protocol, terms: Terms, context: &[u8], identity: Option<CompactString>) -> Self {
        let opening =
            Opening { transport: terms.transport, settings: &terms.settings, checksum: terms.checksum, context };
        let session = (protocol.open)(&opening);
        Self { protocol, terms, session, identity }
    }

    fn piece(&mut self, bytes: &[u8], piece: Piece, received: Time, tracer: Option<&dyn Tracer>) -> Heard {
        match piece {
            Piece::Frame(range) => {
                let (at, frame) = (range.start, bytes.get(range).unwrap_or_default());
                let shifted = tracer.map(|tracer| Shifted { tracer, by: at });
                let heard = self.frame(frame, received, shifted.as_ref().map(|shifted| -> &dyn Tracer { shifted }));
                Heard { at, fault: heard.fault.map(|fault| fault.shifted(at)), ..heard }
            }
            Piece::Skipped(range) => {
                let skipped = bytes.get(range.clone()).unwrap_or_default();
                // Empty lines between messages are nobody's mistake.
                let is_blank = skipped.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
                let note = || format!("{} bytes at byte {} belong to no frame", skipped.len(), range.start);
                let notes = if is_blank { Vec::new() } else { vec![note()] };
                Heard { at: range.start, length: skipped.len(), notes, ..Heard::default() }
            }
            Piece::Broken(fault) => Heard {
                at: fault.at(),
                length: bytes.len().saturating_sub(fault.at()),
                fault: Some(fault),
                ..Heard::default()
            },
        }
    }

    /// Finds out what `bytes` are: decoding is tried on copies of the conversation, so this one stays as it is.
    fn plan(&self, bytes: &[u8], received: Time) -> Vec<Piece> {
        let whole = || vec![Piece::Frame(0..bytes.len())];
        let takes = |transport| self.protocol.transports.contains(&transport);
        if self.terms.transport == Some(Transport::Udp) || !takes(Transport::Tcp) {
            return whole();
        }
        let (mut pieces, end) = self.pieces(bytes);
        let is_cut = end.is_none() && pieces.iter().any(|piece| matches!(piece, Piece::Frame(_)));
        let may_be_datagram = self.terms.transport.is_none() && takes(Transport::Udp);
        if is_cut && (!may_be_datagram || self.succeeds(&pieces, bytes, received)) {
            return pieces;
        }
        // What is left over, or all of it where no frame was found, may be a message without its delimiters.
        let at = if is_cut { bytes.len() } else { end.map_or(0, |(at, _)| at) };
        let bare = Piece::Frame(at..bytes.len());
        let tried = self.tried(&bare, bytes, received);
        if at < bytes.len() && tried.fault.is_none() && !tried.is_silent() {
            pieces.retain(|piece| piece.end() <= at);
            pieces.push(bare);
            return pieces;
        }
        if may_be_datagram && at > 0 && self.succeeds(&whole(), bytes, received) {
            return whole();
        }
        match end {
            Some((at, Cut::Need(need))) => {
                let have = bytes.len().saturating_sub(at);
                let reads_on =
                    matches!(tried.fault, Some(Fault::Malformed(Malformed { reason: Reason::Truncated { .. }, .. })));
                // Where only a delimiter is missing, or the message ends within a field, the session says more.
                let says_more = tried.fault.is_some() && (need == have.saturating_add(1) || reads_on);
                let truncated = Malformed::new("frame", at, Reason::Truncated { need, have });
                pieces.push(if says_more { bare } else { Piece::Broken(Fault::Malformed(truncated)) });
            }
            Some((at, Cut::Lost(why))) => pieces.push(Piece::Broken(Fault::Lost { at, why })),
            _ if !is_cut => pieces = whole(),
            _ => {}
        }
        pieces
    }

    /// Cuts `bytes` through the protocol's framing; where that ends before they do, says where and why.
    fn pieces(&self, bytes: &[u8]) -> (Vec<Piece>, Option<(usize, Cut)>) {
        let (mut pieces, mut at) = (Vec::new(), 0_usize);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.protocol.cut_told(self.protocol.told(&self.terms.settings, true), rest) {
                Cut::Frame(length) => pieces.push(Piece::Frame(at..at.saturating_add(length))),
                Cut::Skip(length) => skip(&mut pieces, at..at.saturating_add(length)),
                cut => return (pieces, Some((at, cut))),
            }
            at = pieces.last().map_or(at, Piece::end);
        }
        (pieces, None)
    }

    fn succeeds(&self, pieces: &[Piece], bytes: &[u8], received: Time) -> bool {
        let mut copy = self.resumed(self.terms.clone());
        pieces.iter().all(|piece| copy.piece(bytes, piece.clone(), received, None).fault.is_none())
    }

    fn tried(&self, piece: &Piece, bytes: &[u8], received: Time) -> Heard {
        self.resumed(self.terms.clone()).piece(bytes, piece.clone(), received, None)
    }
}

impl Fault {
    const fn shifted(self, by: usize) -> Self {
        match self {
            Self::Malformed(Malformed { field, at, reason }) => {
                Self::Malformed(Malformed { field, at: at.saturating_add(by), reason })
            }
            Self::Lost { at, why } => Self::Lost { at: at.saturating_add(by), why },
        }
    }
}

/// A part of a message.
#[derive(Debug, Clone)]
enum Piece {
    Frame(Range<usize>),
    Skipped(Range<usize>),
    Broken(Fault),
}

impl Piece {
    const fn end(&self) -> usize {
        match self {
            Self::Frame(range) | Self::Skipped(range) => range.end,
            Self::Broken(fault) => fault.at(),
        }
    }
}

/// Passes fields on with their offsets in the message instead of the frame.
struct Shifted<'t> {
    tracer: &'t dyn Tracer,
    by: usize,
}

impl Tracer for Shifted<'_> {
    fn field(&self, name: &'static str, at: usize, length: usize, value: Traced<'_>) {
        self.tracer.field(name, at.saturating_add(self.by), length, value);
    }
}

/// Bytes that are skipped one by one are one gap: whoever reads of it need not be told of each.
fn skip(pieces: &mut Vec<Piece>, range: Range<usize>) {
    match pieces.last_mut() {
        Some(Piece::Skipped(before)) if before.end == range.start => before.end = range.end,
        _ => pieces.push(Piece::Skipped(range)),
    }
}

#[cfg(test)]
mod tests;
