//! One connection of a device over a stream, as a pure state machine.
//!
//! Bytes, the durable mark and the time go in. Entries for the journal, bytes for the device and an end come out. All
//! bytes of the stream come to lie in the journal: as frames, as skipped bytes, or as the remainder at its end.

use crate::intake::Meant;
use crate::limits::{SKIPPED_MAX, UNREAD_BYTES_MAX};
use crate::outbox::Outbox;
use crate::{Intake, Limits, Listener, Now, Scratch};
use odograph_journal::{AppendError, Appended, Kind, NewEntry, Stream};
use odograph_model::Lsn;
use odograph_protocols::{Binding, Decision, Dialogue};
use odograph_wire::Cut;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The device closed it.
    Peer,
    /// The network lost it.
    Network,
    /// The device came again by another connection.
    Replaced,
    /// The device was refused.
    Refused,
    /// It did not say who it is in time.
    Unidentified,
    /// It was silent for too long.
    Idle,
    /// The device does not read what we answer.
    Unread,
    /// Its bytes cannot be cut into frames; says why.
    Garbage(&'static str),
    /// A part of the server was replaced, and the device has to come again.
    Healed,
    /// The server stops.
    Stopping,
    /// The journal takes nothing more.
    Journal,
}

impl Close {
    /// A short word, for journal, metrics and log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Network => "network",
            Self::Replaced => "replaced",
            Self::Refused => "refused",
            Self::Unidentified => "unidentified",
            Self::Idle => "idle",
            Self::Unread => "unread",
            Self::Garbage(_) => "garbage",
            Self::Healed => "healed",
            Self::Stopping => "stopping",
            Self::Journal => "journal",
        }
    }
}

/// A connection.
pub struct Connection {
    listener: Arc<Listener>,
    dialogue: Dialogue,
    stream: Stream,
    head: Box<[u8]>,
    /// The beginning of a frame whose end has not come.
    partial: Vec<u8>,
    outbox: Outbox,
    /// Bytes skipped since the last frame.
    skipped: usize,
    /// By the clock that never goes back.
    opened: Duration,
    heard: Duration,
    /// Since when released bytes wait for the device to take them.
    unread_since: Option<Duration>,
    closing: Option<Close>,
}

/// What to do after bytes came in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// There are bytes for the device, which may leave once the journal is durable up to here.
    pub due: Option<Lsn>,
    /// The connection belongs to a device now that it did not belong to before this step.
    pub arrived: bool,
    /// The device that it belonged to until this step, and no longer does.
    pub left: Option<Arc<Binding>>,
    /// Read no more: the connection ends once its last bytes have left.
    pub closing: bool,
}

impl Connection {
    /// A device has connected. The connection is journalled from the start.
    pub fn open(
        listener: Arc<Listener>,
        peer: SocketAddr,
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<Self, AppendError> {
        let dialogue = listener.dialogue();
        let head = listener.context_head(peer);
        scratch.begin(&head, &dialogue);
        let (stream, _) = intake.journal.open_stream(now.wall.0, scratch.context(), scratch.bound())?;
        Ok(Self {
            listener,
            dialogue,
            stream,
            head,
            partial: Vec::new(),
            outbox: Outbox::default(),
            skipped: 0,
            opened: now.monotonic,
            heard: now.monotonic,
            unread_since: None,
            closing: None,
        })
    }

    /// Bytes came in.
    pub fn receive(
        &mut self,
        input: &[u8],
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<Step, AppendError> {
        self.heard = now.monotonic;
        let before = self.device().cloned();
        scratch.begin(&self.head, &self.dialogue);
        let mut joined = std::mem::take(&mut self.partial);
        let bytes = if joined.is_empty() {
            input
        } else {
            joined.extend_from_slice(input);
            &joined[..]
        };
        let consumed = self.cut(bytes, intake, now, scratch);
        // What is left is copied, so that it does not keep the memory of a long read.
        self.partial = bytes.get(consumed..).unwrap_or_default().to_vec();
        let due = self.append(bytes, intake, now, scratch)?;
        let changed = before.as_ref().map(|binding| &binding.device) != self.device().map(|binding| &binding.device);
        Ok(Step {
            due,
            arrived: changed && self.device().is_some(),
            left: before.filter(|_| changed),
            closing: self.closing.is_some(),
        })
    }

    /// Cuts and decodes what can be; says how many bytes that were.
    fn cut(&mut self, bytes: &[u8], intake: &Intake, now: Now, scratch: &mut Scratch) -> usize {
        let protocol = self.listener.protocol;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match protocol.cut(rest) {
                Cut::Need(_) => break,
                Cut::Skip(count) => {
                    scratch.plan(Kind::SKIPPED, at..at + count);
                    at += count;
                    self.skipped = self.skipped.saturating_add(count);
                    if self.skipped > SKIPPED_MAX {
                        self.end(Close::Garbage("no frame found"));
                    }
                }
                Cut::Frame(length) => {
                    let range = at..at + length;
                    at = range.end;
                    self.skipped = 0;
                    let meant = scratch.frame(intake, &self.listener, &mut self.dialogue, bytes, range, now.wall);
                    if meant == Meant::Refused {
                        self.end(Close::Refused);
                    }
                }
                Cut::Lost(why) => self.end(Close::Garbage(why)),
            }
            if self.closing.is_some() {
                break;
            }
        }
        at
    }

    /// Appends what was planned; says until where the journal must be durable for its replies to leave.
    fn append(
        &mut self,
        bytes: &[u8],
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<Option<Lsn>, AppendError> {
        if scratch.is_idle() {
            return Ok(None);
        }
        let appended = scratch.append(intake, &mut self.stream, bytes, now.wall)?;
        if scratch.replies().is_empty() {
            return Ok(None);
        }
        self.outbox.push(appended.end, scratch.replies());
        Ok(Some(appended.end))
    }

    /// The bytes that may leave now that everything before `durable` is on disk.
    pub fn release(&mut self, durable: Lsn) -> &[u8] {
        self.outbox.release(durable)
    }

    /// So many of the released bytes have left.
    pub fn sent(&mut self, count: usize, now: Now) {
        self.outbox.sent(count);
        self.unread_since = self.outbox.is_unread().then_some(match self.unread_since {
            Some(since) if count == 0 => since,
            _ => now.monotonic,
        });
    }

    /// Whether more may be read from the device: not while it leaves too much of our answers unread.
    pub fn wants_bytes(&self) -> bool {
        self.closing.is_none() && self.outbox.len() <= UNREAD_BYTES_MAX
    }

    /// Why it is over, once nothing more is to be sent.
    pub fn finished(&self) -> Option<Close> {
        self.closing.filter(|_| self.outbox.is_empty())
    }

    /// Why it has to end by now, if it has to.
    pub fn overdue(&self, limits: &Limits, now: Now) -> Option<Close> {
        let since = |moment: Duration| now.monotonic.saturating_sub(moment);
        if self.unread_since.is_some_and(|moment| since(moment) > limits.unread_max) {
            return Some(Close::Unread);
        }
        if since(self.heard) > Duration::from_secs(self.listener.protocol.idle_s_max.into()) {
            return Some(Close::Idle);
        }
        let known = self.dialogue.binding().is_some();
        (!known && since(self.opened) > limits.identify_max).then_some(Close::Unidentified)
    }

    /// We do not read at present: that the device is not heard is not its silence.
    pub fn excuse(&mut self, now: Now) {
        self.heard = now.monotonic;
    }

    /// Drops what still waits for the device: it will not take it.
    pub fn give_up(&mut self) {
        self.outbox = Outbox::default();
    }

    /// Why it ends: what was asked for first, or else `why`.
    pub fn why(&self, why: Close) -> Close {
        self.closing.unwrap_or(why)
    }

    /// Asks for the end: what may leave still does.
    pub fn end(&mut self, why: Close) {
        self.closing.get_or_insert(why);
    }

    /// The end: what is left of the stream, and why it ended, goes to the journal.
    pub fn close(
        &mut self,
        why: Close,
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<Appended, AppendError> {
        scratch.begin(&self.head, &self.dialogue);
        let why = self.why(why);
        let text = match why {
            Close::Garbage(detail) => format!("{}: {detail}", why.name()),
            _ => why.name().to_owned(),
        };
        let remainder = std::mem::take(&mut self.partial);
        let entry = |kind, payload| NewEntry { kind, at: now.wall.0, identity: None, payload };
        let entries = [entry(Kind::REMAINDER, &remainder[..]), entry(Kind::CLOSE, text.as_bytes())];
        let entries = if remainder.is_empty() { &entries[1..] } else { &entries[..] };
        intake.journal.append(&mut self.stream, scratch.context(), scratch.bound(), entries)
    }

    /// The device, once it is known and not refused.
    pub fn device(&self) -> Option<&Arc<Binding>> {
        self.dialogue.binding().filter(|binding| binding.decision != Decision::Refused)
    }

    /// Its number in the journal.
    pub fn stream(&self) -> u64 {
        self.stream.id()
    }

    /// Where the device arrived.
    pub const fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }
}
