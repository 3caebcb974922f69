//! What a frame gives: records, replies, identity, notes.

use crate::decided::counts;
use crate::{Answer, Others};
use compact_str::CompactString;
use odograph_model::Record;
use odograph_wire::{Cursor, Fields, Tracer};
use std::collections::BTreeSet;

/// A frame can give at most this many records: a black box of Wialon IPS may hold as many, other frames hold some 255.
pub const RECORDS_MAX: usize = 5000;
/// A frame can give at most this many replies.
pub const REPLIES_MAX: usize = 64;
/// A device gives itself at most this many names; makers have two or three numbers for one device.
pub const NAMES_MAX: usize = 16;
/// A frame can give at most this many notes; more would say nothing new.
pub const NOTES_MAX: usize = 64;

/// A device's name has 1 to this many bytes: its length is kept in 8 bits, in contexts and in the journal.
pub const IDENTITY_BYTES_MAX: usize = 255;

/// Collects what frames give. A driver uses one again and again.
#[derive(Default)]
pub struct Out<'t> {
    records: Vec<Record>,
    replies: Vec<Reply>,
    identity: Vec<CompactString>,
    notes: Vec<String>,
    answers: Vec<Answer>,
    overflow: bool,
    over: bool,
    passes_on: bool,
    /// What is decided about the devices of the frame, where that is known already.
    verdict: Option<Verdict>,
    tracer: Option<&'t dyn Tracer>,
    /// What the session saved before the frame: its memory is kept here from frame to frame.
    pub(crate) before: Vec<u8>,
    /// And after it.
    pub(crate) after: Vec<u8>,
}

/// Whether what a frame has of a device counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does, or nobody has decided yet.
    Counts,
    /// The device is refused.
    Refused,
    /// There are more devices in the frame than are decided about at once: what it has of this one must come again.
    Beyond,
}

/// What is decided about the devices of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether what it has of its own device counts.
    pub(crate) own_counts: bool,
    /// About the others.
    pub(crate) others: Others,
}

/// Bytes for the device. On UDP each reply is one datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Who gets them.
    pub to: ReplyTo,
}

/// For whom a reply is meant. All of them wait until the frame that they answer is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTo {
    /// A device that was accepted: this is how an acknowledgement is sent.
    Accepted,
    /// A device that was refused, or whoever does not say which device it is.
    Refused,
    /// Anyone, also before a login: promises nothing.
    Anyone,
    /// Anyone, and although the frame was malformed: a refusal of the frame.
    DespiteError,
}

impl<'t> Out<'t> {
    /// Collects, and lets `tracer` note what is read.
    pub fn traced(tracer: Option<&'t dyn Tracer>) -> Self {
        Self { tracer, ..Self::default() }
    }

    /// A cursor over `frame` that feeds the trace.
    pub fn cursor<'a>(&self, frame: &'a [u8]) -> Cursor<'a>
    where
        't: 'a,
    {
        Cursor::traced(frame, self.tracer)
    }

    /// Fields of `text`, which begins at byte `at` of its frame, that feed the trace.
    pub fn fields<'a>(&self, text: &'a str, at: usize, separator: char) -> Fields<'a>
    where
        't: 'a,
    {
        Fields::new(text, at, separator, self.tracer)
    }

    /// Adds a record. Give it its span with [`Record::hash_span`] first.
    pub fn record(&mut self, record: Record) {
        if self.records.len() < RECORDS_MAX {
            self.records.push(record);
        } else {
            self.overflow = true;
        }
    }

    /// Says who the device is. Several names of one device: the first is what it calls itself. A name that is empty or
    /// longer than [`IDENTITY_BYTES_MAX`] makes the frame malformed.
    pub fn identify(&mut self, id: impl Into<CompactString>) {
        if self.identity.len() < NAMES_MAX {
            self.identity.push(id.into());
        }
    }

    /// Acknowledges: leaves once the frame is durable, and only to an accepted device.
    pub fn reply(&mut self, bytes: impl Into<Vec<u8>>) {
        self.add(bytes.into(), ReplyTo::Accepted);
    }

    /// Answers a login: `yes` to a device that is accepted, `no` to one that is refused; an empty `no` is silence.
    pub fn reply_if_known(&mut self, yes: impl Into<Vec<u8>>, no: impl Into<Vec<u8>>) {
        self.add(yes.into(), ReplyTo::Accepted);
        self.add(no.into(), ReplyTo::Refused);
    }

    /// Answers something that promises no storage (a ping, a request for the time), also before a login.
    pub fn reply_to_anyone(&mut self, bytes: impl Into<Vec<u8>>) {
        self.add(bytes.into(), ReplyTo::Anyone);
    }

    /// Tells the device that this frame was malformed. Must not read as an acknowledgement.
    pub fn reply_despite_error(&mut self, bytes: impl Into<Vec<u8>>) {
        self.add(bytes.into(), ReplyTo::DespiteError);
    }

    /// Notes something odd that did not keep the message from being decoded.
    pub fn note(&mut self, note: impl Into<String>) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note.into());
        }
    }

    /// The conversation is over with this frame, be it malformed: what is due is answered, and nothing more is heard.
    pub fn end(&mut self) {
        self.over = true;
    }

    /// Whoever speaks passes on what devices say: that one of them is refused says nothing about the next, in this frame or
    /// in another. Such a frame is the device's that it identifies; records of others name theirs in [`Record::device`].
    pub fn pass_on(&mut self) {
        self.passes_on = true;
    }

    /// Whether what the frame has of a device counts, so that it can be confirmed truthfully: of the one that is called so
    /// in [`Record::device`], or of the frame's own. A frame is taken a second time where it turns out that some does not.
    pub fn standing(&self, other: Option<&str>) -> Standing {
        let (Some(verdict), is_own) = (&self.verdict, other.is_none()) else { return Standing::Counts };
        match other.and_then(|name| verdict.others.called(name)) {
            Some(binding) if counts(binding) => Standing::Counts,
            None if is_own && verdict.own_counts => Standing::Counts,
            None if !is_own => Standing::Beyond,
            _ => Standing::Refused,
        }
    }

    /// The device answered a command.
    pub fn answer(&mut self, answer: Answer) {
        self.answers.push(answer);
    }

    /// The records so far.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The replies so far, in the order in which they are to leave.
    pub fn replies(&self) -> &[Reply] {
        &self.replies
    }

    /// The names that the device gave itself, if the frame held any.
    pub fn identity(&self) -> &[CompactString] {
        &self.identity
    }

    /// The notes so far.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The answers to commands so far.
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// Whether the frame held more records than [`RECORDS_MAX`]: it must not be acknowledged then.
    pub const fn overflowed(&self) -> bool {
        self.overflow
    }

    /// Whether the conversation is over with the frame.
    pub const fn ends(&self) -> bool {
        self.over
    }

    /// Whether whoever speaks passes on what devices say.
    pub const fn passes_on(&self) -> bool {
        self.passes_on
    }

    /// Forgets everything, for the next frame. Memory is kept.
    pub fn clear(&mut self) {
        self.records.clear();
        self.replies.clear();
        self.identity.clear();
        self.notes.clear();
        self.answers.clear();
        self.overflow = false;
        self.over = false;
        self.passes_on = false;
        self.verdict = None;
    }

    /// Takes back what a malformed frame gave, except its notes and its [`ReplyTo::DespiteError`].
    pub fn roll_back(&mut self) {
        self.records.clear();
        self.replies.retain(|reply| reply.to == ReplyTo::DespiteError);
        self.identity.clear();
        self.answers.clear();
        self.overflow = false;
    }

    /// Before the frame is taken a second time: what is decided about its devices.
    pub(crate) fn judge(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }

    /// The other devices that records name, each once, at most `most`.
    pub(crate) fn others(&self, most: usize) -> Vec<CompactString> {
        let (mut seen, mut others) = (BTreeSet::new(), Vec::new());
        for device in self.records.iter().filter_map(|record| record.device.as_ref()) {
            if others.len() < most && others.last() != Some(device) && seen.insert(device) {
                others.push(device.clone());
            }
        }
        others
    }

    /// Drops records that do not count, and answers where the frame's own device does not; the others are given to the
    /// devices by their ids.
    pub(crate) fn keep_counting(&mut self, verdict: &Verdict) {
        self.records.retain_mut(|record| {
            let Some(name) = &record.device else { return verdict.own_counts };
            let Some(binding) = verdict.others.called(name).filter(|binding| counts(binding)) else { return false };
            if *name != binding.device {
                record.device = Some(binding.device.clone());
            }
            true
        });
        if !verdict.own_counts {
            self.answers.clear();
        }
    }

    /// Drops the replies that are not due.
    pub(crate) fn keep_replies(&mut self, due: impl Fn(ReplyTo) -> bool) {
        self.replies.retain(|reply| due(reply.to));
    }

    /// Drops what only an accepted device may have: records, answers, and replies that are not due.
    pub(crate) fn refuse(&mut self, due: impl Fn(ReplyTo) -> bool) {
        self.records.clear();
        self.answers.clear();
        self.keep_replies(due);
    }

    /// Takes the records out, into no more memory than they need.
    pub fn take_records(&mut self) -> Vec<Record> {
        self.records.drain(..).collect()
    }

    fn add(&mut self, bytes: Vec<u8>, to: ReplyTo) {
        if !bytes.is_empty() && self.replies.len() < REPLIES_MAX {
            self.replies.push(Reply { bytes, to });
        }
    }
}
