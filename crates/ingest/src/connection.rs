//! One connection of a device over a stream, as a pure state machine.
//!
//! Bytes, the durable mark and the time go in. Entries for the journal, bytes for the device and an end come out. All
//! bytes of the stream come to lie in the journal: as frames, as skipped bytes, or as the remainder at its end.

use crate::address::Address;
use crate::command::Flights;
use crate::cutoffs::NO_FRAME;
use crate::held::{Cutting, Held};
use crate::intake::Meant;
use crate::limits::{
    AHEAD_BYTES_MAX, COMMAND_BYTES_MAX, ENTRY_WORK_BYTES, FRAME_TIME_FREE_BYTES, SKIPPED_MAX, TURN_WORK_BYTES,
    UNREAD_BYTES_MAX,
};
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::{Fate, Intake, Limits, Listener, Now, Order, Scratch, Unsent};
use odograph_journal::{AppendError, Appended, Kind, NewEntry, Stream};
use odograph_model::Lsn;
use odograph_protocols::detect::{Detected, Detector};
use odograph_protocols::{Binding, Decision, Dialogue, Encoded};
use odograph_wire::{Cut, Framing};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The device closed it, or wanted it closed.
    Peer,
    /// The network lost it.
    Network,
    /// The device came again by another connection.
    Replaced,
    /// The device was refused.
    Refused,
    /// It did not say who it is in time.
    Unidentified,
    /// It was not clear in time which protocol it speaks.
    Undecided,
    /// It was not clear after as many bytes as there may be.
    UndecidedBytes,
    /// A frame that it began did not end in time.
    Incomplete,
    /// The memory for frames that have begun was short, and this one had cost the most of it.
    IncompleteBytes,
    /// It was silent for too long.
    Idle,
    /// The device does not read what we answer.
    Unread,
    /// Its bytes cannot be cut into frames; says why.
    Garbage(&'static str),
    /// We failed over what it said, and know no better than to let it come again.
    Fault,
    /// A part of the server was replaced, and the device has to come again.
    Healed,
    /// Somebody said what it is, long after it had ended.
    Named,
    /// All that the device sent is to be erased.
    Erased,
    /// The listener that it came to was closed, or something else holds there from now on.
    Shut,
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
            Self::Undecided => "undecided",
            Self::UndecidedBytes => "undecided-bytes",
            Self::Incomplete => "incomplete",
            Self::IncompleteBytes => "incomplete-bytes",
            Self::Idle => "idle",
            Self::Unread => "unread",
            Self::Garbage(_) => "garbage",
            Self::Fault => "fault",
            Self::Healed => "healed",
            Self::Named => "named",
            Self::Erased => "erased",
            Self::Shut => "shut",
            Self::Stopping => "stopping",
            Self::Journal => "journal",
        }
    }
}

/// A connection.
pub struct Connection {
    listener: Arc<Listener>,
    peer: Address,
    dialogue: Dialogue,
    stream: Stream,
    held: Held,
    outbox: Outbox,
    /// The device was told to send the rest of the frame whose beginning has come.
    prompted: bool,
    /// The last request was nobody's.
    astray: bool,
    /// By the clock that never goes back.
    opened: Moment,
    heard: Moment,
    /// Bytes in the journal since it was last durable up to all of them, and up to where that is.
    ahead: u32,
    ahead_until: Lsn,
    /// Whoever is there passes on what devices say; and one of them was let in.
    passes_on: bool,
    let_in: bool,
    seldom: Option<Box<Seldom>>,
}

/// What few connections have at a time.
#[derive(Default)]
struct Seldom {
    /// Who listens until it is clear which protocol is spoken. So long, all bytes are held.
    undecided: Option<Box<Detector>>,
    /// Bytes skipped since the last frame.
    skipped: usize,
    closing: Option<Close>,
    /// What the device calls itself, where that is not its id.
    called: Option<Box<str>>,
    flights: Flights,
}

/// What a connection needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Bytes from the device.
    Bytes,
    /// Another turn for what it was given: [`Connection::receive`] without bytes.
    Turn,
    /// That the journal catches up, or the device takes its answers, or the end.
    Patience,
}

/// What to do after bytes came in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// There are bytes for the device, which may leave once the journal is durable up to here.
    pub due: Option<Lsn>,
    /// The connection belongs to a device now that it did not belong to before this step, or of which it was not clear until
    /// then what it speaks.
    pub arrived: bool,
    /// The device that it belonged to until this step, and no longer does.
    pub left: Option<Arc<Binding>>,
    /// Read no more: the connection ends once its last bytes have left.
    pub closing: bool,
    /// Everything that the step gave is durable once the journal is, up to here.
    pub end: Option<Lsn>,
    /// How much of a turn it took: [`Connection::receive`] stops at its bound.
    pub work: usize,
    /// It stopped there, and another turn is due for what is left.
    pub more: bool,
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
        scratch.begin(&listener, peer, &dialogue);
        let (stream, _) = intake.journal.open_stream(now.wall.0, scratch.context(), scratch.bound())?;
        let undecided = || Seldom { undecided: Some(Box::new(Detector::new(listener.transport))), ..Seldom::default() };
        let seldom = listener.is_common().then(|| Box::new(undecided()));
        Ok(Self {
            listener,
            peer: peer.into(),
            dialogue,
            stream,
            held: Held::default(),
            outbox: Outbox::default(),
            prompted: false,
            astray: false,
            opened: now.monotonic.into(),
            heard: now.monotonic.into(),
            ahead: 0,
            ahead_until: Lsn(0),
            passes_on: false,
            let_in: false,
            seldom,
        })
    }

    /// Bytes came in, or none, and what came before has another turn. A turn's work is bounded: what is left of the bytes
    /// is kept for the next one ([`Need::Turn`]).
    pub fn receive(
        &mut self,
        input: &[u8],
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<Step, AppendError> {
        if !input.is_empty() {
            self.heard = now.monotonic.into();
        }
        let before = self.device().cloned();
        scratch.begin(&self.listener, self.peer(), &self.dialogue);
        let mut held = std::mem::take(&mut self.held);
        let needs = held.needs();
        let bytes = held.with(input);
        let decided = self.decide(bytes);
        if decided {
            scratch.begin(&self.listener, self.peer(), &self.dialogue);
        }
        self.prompt(bytes, scratch);
        let is_of_one = !self.listener.protocol.is_of_requests() && !self.passes_on;
        let paused = is_of_one && before.as_ref().is_some_and(|binding| intake.devices.is_paused(binding));
        let cut = match self.detector() {
            _ if paused => {
                // Not a byte more is taken in, so that nothing is acknowledged: the device keeps it, and comes again.
                self.end(Close::Refused);
                Cutting { at: 0, work: ENTRY_WORK_BYTES, more: false, needs: 0 }
            }
            Some(_) => Cutting { at: 0, work: ENTRY_WORK_BYTES + bytes.len(), more: false, needs: 0 },
            None if bytes.len() < needs => Cutting { at: 0, work: ENTRY_WORK_BYTES, more: false, needs },
            None => self.cut(bytes, false, intake, now, scratch),
        };
        let appended = self.append(bytes, intake, now, scratch);
        self.held = held.keep(input, &cut, now.monotonic);
        let (due, end) = appended?;
        let changed = match (&before, self.device()) {
            (Some(before), Some(now)) => (&before.tenant, &before.device) != (&now.tenant, &now.device),
            (before, now) => before.is_some() != now.is_some(),
        };
        self.answer(scratch, before.is_some() && changed);
        Ok(Step {
            due,
            arrived: (changed || decided) && self.is_of_one() && self.device().is_some(),
            left: before.filter(|_| changed),
            closing: self.closing().is_some(),
            end,
            work: cut.work,
            more: self.held.has_frames(),
        })
    }

    /// Whether it is clear now which protocol is spoken, and was not before. It is spoken from the first byte on, which the
    /// journal is told with what comes next.
    fn decide(&mut self, bytes: &[u8]) -> bool {
        let detector = self.seldom.as_mut().and_then(|seldom| seldom.undecided.as_mut());
        let Some(detector) = detector.filter(|_| !bytes.is_empty()) else { return false };
        match detector.hear(bytes) {
            Detected::Protocol(protocol) => {
                self.listener = self.listener.decided(protocol);
                self.dialogue = self.listener.dialogue();
                self.stream.renew();
                self.decided();
                return true;
            }
            // What it is may be found out later, by a person or a newer version: as much as may be is kept for that.
            Detected::Open | Detected::Nobody if bytes.len() > detector.bytes_max() => {
                self.end(Close::UndecidedBytes);
            }
            Detected::Open | Detected::Nobody => {}
        }
        false
    }

    /// Whoever waits before he says what shows who he is would wait for ever.
    fn prompt(&mut self, bytes: &[u8], scratch: &mut Scratch) {
        if let Some(detector) = self.detector().filter(|_| !self.prompted && self.closing().is_none())
            && let Some(prompt) = detector.prompt(bytes)
        {
            scratch.say(prompt);
            self.prompted = true;
        }
    }

    /// Cuts and decodes what can be in one turn; `ended` says that nothing comes behind the bytes.
    fn cut(&mut self, bytes: &[u8], ended: bool, intake: &Intake, now: Now, scratch: &mut Scratch) -> Cutting {
        // A read costs something as well, whatever is in it.
        let (mut at, mut work, mut needs) = (0, ENTRY_WORK_BYTES, 0);
        let framing = &self.dialogue.protocol().framing;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if work >= TURN_WORK_BYTES {
                return Cutting { at, work, more: true, needs: 0 };
            }
            match self.dialogue.cut(ended, rest) {
                Cut::Need(need) => {
                    needs = need;
                    if need <= rest.len().saturating_add(1) {
                        // Whoever looks for an end has looked at all of it, and will again when the next byte comes.
                        work += rest.len();
                    }
                    if !self.prompted
                        && let Some(prompt) = framing.prompt(rest)
                    {
                        scratch.say(prompt);
                        self.prompted = true;
                    }
                    break;
                }
                Cut::Skip(count) => {
                    scratch.plan(Kind::SKIPPED, at..at + count);
                    at += count;
                    work += ENTRY_WORK_BYTES + count;
                    let seldom = self.seldom();
                    seldom.skipped = seldom.skipped.saturating_add(count);
                    if seldom.skipped > SKIPPED_MAX {
                        self.end(Close::Garbage(NO_FRAME));
                    }
                }
                Cut::Frame(length) => {
                    let range = at..at + length;
                    at = range.end;
                    self.prompted = false;
                    if let Some(seldom) = &mut self.seldom {
                        seldom.skipped = 0;
                    }
                    let before = scratch.planned();
                    let meant = scratch.frame(intake, &self.listener, &mut self.dialogue, bytes, range, now.wall);
                    self.let_in |= self.device().is_some();
                    if scratch.tally.named {
                        self.call(scratch.tally.called.take());
                        self.passes_on = scratch.tally.passes_on;
                    }
                    if !self.is_of_one() {
                        scratch.attribute(before.0, &self.dialogue, &self.listener, &mut self.astray);
                    }
                    match meant {
                        Meant::Refused => self.end(Close::Refused),
                        Meant::Over => self.end(Close::Peer),
                        Meant::GoOn | Meant::Identified | Meant::Malformed => {}
                    }
                    let (entries, replies) = scratch.planned_since(before);
                    work += entries * ENTRY_WORK_BYTES + length + replies;
                }
                Cut::Lost(why) => {
                    if let Some(refusal) = framing.refusal(why) {
                        scratch.say(&refusal);
                    }
                    self.end(Close::Garbage(why));
                }
            }
            if self.closing().is_some() {
                break;
            }
        }
        Cutting { at, work, more: false, needs }
    }

    /// Appends what was planned; says until where the journal must be durable for its replies to leave, and for all of it
    /// to be durable.
    fn append(
        &mut self,
        bytes: &[u8],
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<(Option<Lsn>, Option<Lsn>), AppendError> {
        if scratch.is_idle() {
            return Ok((None, None));
        }
        let appended = scratch.append(intake, &mut self.stream, bytes, now.wall)?;
        let caught_up = intake.journal.durable() >= self.ahead_until;
        let bytes = u32::try_from(appended.end.0.saturating_sub(appended.first.0)).unwrap_or(u32::MAX);
        self.ahead = if caught_up { bytes } else { self.ahead.saturating_add(bytes) };
        self.ahead_until = appended.end;
        if scratch.replies().is_empty() {
            return Ok((None, Some(appended.end)));
        }
        self.outbox.push(appended.end, scratch.replies());
        Ok((Some(appended.end), Some(appended.end)))
    }

    /// Takes a command for the device, which leaves once it is durable, behind whatever waits already. Says from where on the
    /// journal is durable enough for that; nothing, where it is not sent: what becomes of it, [`Connection::fates`] tell.
    pub fn command(
        &mut self,
        order: &Order,
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<Option<Lsn>, AppendError> {
        let bytes = match self.encoded(order, now) {
            Ok(encoded) => encoded,
            Err(fate) => {
                self.flights().tell(order.ticket, fate);
                return Ok(None);
            }
        };
        scratch.begin(&self.listener, self.peer(), &self.dialogue);
        scratch.say(&bytes.bytes);
        let appended = scratch.append(intake, &mut self.stream, &[], now.wall);
        if appended.is_err() {
            self.flights().tell(order.ticket, Fate::Unsent(Unsent::Gone));
        }
        let end = appended?.end;
        self.outbox.push_held(end, &bytes.bytes);
        self.flights().begin(order.ticket, bytes.token, order.expires);
        Ok(Some(end))
    }

    /// The command in bytes, or why it is not sent.
    fn encoded(&mut self, order: &Order, now: Now) -> Result<Encoded, Fate> {
        let is_for = self.device().is_some_and(|binding| order.is_for(binding));
        if self.closing().is_some() || !self.is_of_one() || !is_for {
            return Err(Fate::Unsent(Unsent::Gone));
        }
        if self.flights().is_busy() {
            return Err(Fate::Unsent(Unsent::Busy));
        }
        if now.wall >= order.expires {
            return Err(Fate::Expired);
        }
        let name = self.seldom.as_ref().and_then(|seldom| seldom.called.as_deref());
        let (encoded, changed) = order.encoded(name, &mut self.dialogue, COMMAND_BYTES_MAX)?;
        if changed {
            // Whoever reads the journal cannot tell what the command was, and so is told what the session knows behind it.
            self.stream.renew();
        }
        Ok(encoded)
    }

    /// Gives the device's answers to its command; where the connection is another device's now, there will be none.
    fn answer(&mut self, scratch: &mut Scratch, is_anothers: bool) {
        let Some(Seldom { flights, .. }) = self.seldom.as_deref_mut() else { return };
        for answer in scratch.tally.answers.drain(..) {
            flights.answered(&answer);
        }
        if is_anothers {
            self.outbox.drop_held();
            flights.end(Close::Replaced);
        }
    }

    fn flights(&mut self) -> &mut Flights {
        &mut self.seldom().flights
    }

    fn seldom(&mut self) -> &mut Seldom {
        self.seldom.get_or_insert_default()
    }

    fn detector(&self) -> Option<&Detector> {
        self.seldom.as_ref()?.undecided.as_deref()
    }

    /// It is clear which protocol is spoken.
    fn decided(&mut self) {
        match &mut self.seldom {
            Some(seldom) if seldom.closing.is_some() => seldom.undecided = None,
            // There is nothing else before a frame has come.
            _ => self.seldom = None,
        }
    }

    fn closing(&self) -> Option<Close> {
        self.seldom.as_ref()?.closing
    }

    /// What the device calls itself from now on.
    fn call(&mut self, called: Option<Box<str>>) {
        if called.is_some() || self.seldom.is_some() {
            self.seldom().called = called;
        }
    }

    /// Whether what is a command's turn may leave: to be asked before [`Connection::release`]. One that has expired is dropped.
    pub fn let_go(&mut self, durable: Lsn, now: Now) {
        let Some(Seldom { flights, .. }) = self.seldom.as_deref_mut() else { return };
        let Some(bytes) = self.outbox.held_next(durable) else { return };
        if flights.turn(now.wall, bytes) {
            self.outbox.let_go();
        } else {
            self.outbox.drop_held();
        }
    }

    /// What became of commands since this was asked last, by their tickets.
    pub fn fates(&mut self) -> Vec<(u64, Fate)> {
        self.seldom.as_mut().map(|seldom| seldom.flights.take()).unwrap_or_default()
    }

    /// The bytes that may leave now that everything before `durable` is on disk.
    pub fn release(&mut self, durable: Lsn) -> &[u8] {
        self.outbox.release(durable)
    }

    /// So many of the released bytes have left. Where answers had to wait for the device, and the last of them has left with these:
    /// when that was read which the first of them answered.
    pub fn sent(&mut self, count: usize, now: Now) -> Option<Duration> {
        if let Some(seldom) = &mut self.seldom {
            seldom.flights.sent(count);
        }
        self.outbox.sent(count, now.monotonic)
    }

    /// The device takes nothing now. A command of which not a byte has left waits for its turn once more, because its time may run out
    /// meanwhile; not where it `is_under_way`: TLS has bytes of it then, and the device will get them.
    pub fn untaken(&mut self, now: Now, is_under_way: bool) {
        self.outbox.sent(0, now.monotonic);
        let flights = self.seldom.as_deref_mut().filter(|_| !is_under_way).map(|seldom| &mut seldom.flights);
        if let Some(bytes) = flights.and_then(Flights::wait_again) {
            self.outbox.hold_again(bytes);
        }
    }

    /// Answers to what was read then wait for the device to take them.
    pub(crate) fn keep_waiting(&mut self, read_at: Duration) {
        self.outbox.keep_waiting(read_at);
    }

    /// What it needs next, while the journal is durable up to `durable`. Nothing more is taken from a device that leaves too
    /// much of our answers unread, or is too far ahead of the disk.
    pub fn need(&self, durable: Lsn) -> Need {
        if self.closing().is_some() || self.outbox.len() > UNREAD_BYTES_MAX || self.is_ahead(durable) {
            Need::Patience
        } else if self.held.has_frames() {
            Need::Turn
        } else {
            Need::Bytes
        }
    }

    /// Whether it is too far ahead of the disk to go on.
    pub(crate) fn is_ahead(&self, durable: Lsn) -> bool {
        self.ahead > AHEAD_BYTES_MAX && durable < self.ahead_until
    }

    /// Why it is over, once nothing more is to be sent.
    pub fn finished(&self) -> Option<Close> {
        self.closing().filter(|_| self.outbox.is_empty())
    }

    /// Why it has to end by now, if it has to.
    pub fn overdue(&self, limits: &Limits, now: Now) -> Option<Close> {
        let since = |moment: Duration| now.monotonic.saturating_sub(moment);
        if self.outbox.unread_since().is_some_and(|moment| since(moment) > limits.unread_max) {
            return Some(Close::Unread);
        }
        if self.heard.until(now.monotonic) > Duration::from_secs(self.listener.protocol.idle_s_max.into()) {
            return Some(Close::Idle);
        }
        if self.detector().is_some() && self.opened.until(now.monotonic) > limits.undecided_max {
            return Some(Close::Undecided);
        }
        if self.detector().is_none()
            && let Some((bytes, moment)) = self.held.waiting()
            && bytes > FRAME_TIME_FREE_BYTES
            && since(moment) > limits.frame_time_max
        {
            return Some(Close::Incomplete);
        }
        // Who passes on what none but refused devices say is nobody either.
        let known = self.dialogue.binding().is_some() && (self.let_in || !self.passes_on);
        (!known && self.opened.until(now.monotonic) > limits.identify_max).then_some(Close::Unidentified)
    }

    /// We do not read at present: that the device is not heard is not its silence, and what it has to say in time it may have
    /// said already. The time since it was heard last does not count for that.
    pub fn excuse(&mut self, now: Now) {
        self.opened = self.opened.later_by(self.heard.until(now.monotonic));
        self.heard = now.monotonic.into();
        self.held.excuse(now.monotonic);
    }

    /// The memory that it takes up for a frame whose end has not come, or for bytes that are undecided; and since when.
    pub fn incomplete(&self) -> Option<(usize, Duration)> {
        // What ends gives it back.
        self.held.waiting().filter(|_| self.closing().is_none())
    }

    /// Drops what still waits for the device: it will not take it.
    pub fn give_up(&mut self) {
        self.outbox = Outbox::default();
    }

    /// Why it ends: what was asked for first, or else `why`.
    pub fn why(&self, why: Close) -> Close {
        self.closing().unwrap_or(why)
    }

    /// Asks for the end: what may leave still does.
    pub fn end(&mut self, why: Close) {
        self.seldom().closing.get_or_insert(why);
    }

    /// The end: what is left of the stream, and why it ended, goes to the journal. Frames that only waited for what may have come
    /// behind them are in the tally.
    pub fn close(
        &mut self,
        why: Close,
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<Appended, AppendError> {
        let held = std::mem::take(&mut self.held);
        let remainder = self.last(&held, intake, now, scratch);
        self.answer(scratch, false);
        let reason = self.why(why);
        if let Some(seldom) = &mut self.seldom {
            seldom.flights.end(reason);
        }
        let mut remainder = remainder?;
        if self.dialogue.binding().is_some_and(|binding| intake.devices.is_barred(binding)) {
            remainder = &[];
        }
        let tally = std::mem::take(&mut scratch.tally);
        scratch.begin(&self.listener, self.peer(), &self.dialogue);
        let why = self.why(why);
        let text = match why {
            Close::Garbage(detail) => format!("{}: {detail}", why.name()),
            _ => why.name().to_owned(),
        };
        let entry = |kind, payload| NewEntry { kind, at: now.wall.0, identity: None, payload };
        let entries = [entry(Kind::REMAINDER, remainder), entry(Kind::CLOSE, text.as_bytes())];
        let entries = if remainder.is_empty() { &entries[1..] } else { &entries[..] };
        let appended = intake.journal.append(&mut self.stream, scratch.context(), scratch.bound(), entries);
        scratch.tally = tally;
        appended
    }

    /// Takes the frames that only waited for what may have come behind them; gives what is left.
    fn last<'h>(
        &mut self,
        held: &'h Held,
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<&'h [u8], AppendError> {
        scratch.begin(&self.listener, self.peer(), &self.dialogue);
        let bytes = held.rest();
        let waited = matches!(self.listener.protocol.framing, Framing::Told { .. });
        if !waited || held.has_frames() || self.closing().is_some() || bytes.is_empty() {
            return Ok(bytes);
        }
        let cut = self.cut(bytes, true, intake, now, scratch);
        self.append(bytes, intake, now, scratch)?;
        Ok(bytes.get(cut.at..).unwrap_or_default())
    }

    /// The device, once it is known and not refused.
    pub fn device(&self) -> Option<&Arc<Binding>> {
        self.dialogue.binding().filter(|binding| binding.decision != Decision::Refused)
    }

    /// Whether it is the one connection that its device has, and has it alone. Not before it is clear what is spoken: until then,
    /// no command could be put into words.
    pub fn is_of_one(&self) -> bool {
        self.detector().is_none() && !self.listener.protocol.is_of_requests()
    }

    /// What the device calls itself, also where it was refused.
    pub fn named(&self) -> Option<&str> {
        self.dialogue.binding().map(|binding| binding.device.as_str())
    }

    /// Its number in the journal.
    pub fn stream(&self) -> u64 {
        self.stream.id()
    }

    /// The device's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer.into()
    }

    /// Where the device arrived.
    pub const fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }
}
