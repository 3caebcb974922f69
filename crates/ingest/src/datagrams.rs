//! The peers of a UDP listener, as a pure state machine.
//!
//! A peer is an address that datagrams come from; each has a dialogue and a stream in the journal, begun by its first
//! datagram and ended when it is forgotten. How many there are is bounded: the one silent longest goes first.

use crate::dispatch::{Dispatches, Letter};
use crate::intake::Meant;
use crate::limits::{COMMAND_DATAGRAM_BYTES_MAX, REACH_MAX};
use crate::reach::{Reach, Reached, Stay};
use crate::sockets::Post;
use crate::{Close, Fate, Intake, Limits, Listener, Now, Order, Scratch, Unsent};
use lru::LruCache;
use odograph_journal::{AppendError, Kind, NewEntry, Stream};
use odograph_model::Lsn;
use odograph_protocols::detect::decide;
use odograph_protocols::{Binding, Claim, Decision, Dialogue, Encoded};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// The peers of one listener.
pub struct Peers {
    listener: Arc<Listener>,
    /// The one heard last comes first.
    known: LruCache<SocketAddr, Peer>,
    /// How many were forgotten for the bound since this was asked last.
    pushed_out: u64,
    /// Commands for those that are devices.
    dispatches: Dispatches,
}

struct Peer {
    /// Where it sends to, as that is for the protocol that it speaks.
    listener: Counted,
    dialogue: Dialogue,
    stream: Stream,
    heard: Duration,
    /// The last datagram was nobody's.
    astray: bool,
    /// What the device calls itself, where that is not its id.
    called: Option<Box<str>>,
    /// Commands for the device go there.
    stay: Option<Stay>,
}

/// A peer's listener, which counts it as one of its own as long as it is.
struct Counted(Arc<Listener>);

impl Counted {
    fn of(listener: Arc<Listener>) -> Self {
        listener.measures.connections.increment(1.0);
        Self(listener)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.measures.connections.decrement(1.0);
    }
}

impl Deref for Counted {
    type Target = Arc<Listener>;

    fn deref(&self) -> &Arc<Listener> {
        &self.0
    }
}

/// What a datagram gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There are replies, in the scratch; they may leave once the journal is durable up to here.
    Reply(Lsn),
    /// There is nothing to answer.
    Silence,
    /// It is not clear which protocol it is of.
    Undecided,
}

impl Peers {
    /// No peer yet.
    pub fn new(listener: Arc<Listener>, limits: &Limits) -> Self {
        let max = NonZeroUsize::new(limits.udp_peers_max).unwrap_or(NonZeroUsize::MIN);
        // Unbounded, because a bounded one reserves its memory at once; `make_room` keeps the bound.
        let mut known = LruCache::unbounded();
        known.resize(max);
        Self { listener, known, pushed_out: 0, dispatches: Dispatches::default() }
    }

    /// A datagram came in.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<Verdict, AppendError> {
        if !self.known.contains(&from) {
            self.make_room(intake, now, scratch)?;
            let peer = Peer::open(&self.listener, from, intake, now, scratch)?;
            self.known.put(from, peer);
        }
        let Some(peer) = self.known.get_mut(&from) else { return Ok(Verdict::Silence) };
        peer.heard = now.monotonic;
        if self.listener.is_common() && !peer.decide(&self.listener, datagram) {
            peer.keep(&self.listener, datagram, from, intake, now, scratch)?;
            return Ok(Verdict::Undecided);
        }
        scratch.begin(&peer.listener, from, &peer.dialogue);
        // One that names its device is refused in its protocol's own words.
        let silent = peer.dialogue.binding().filter(|_| !peer.listener.protocol.datagrams_identify);
        if let Some(binding) = silent.filter(|binding| intake.devices.is_paused(binding)) {
            scratch.tally.refused = Some(binding.clone());
            return Ok(Verdict::Silence);
        }
        let whole = 0..datagram.len();
        let listener = Arc::clone(&peer.listener);
        let meant = scratch.frame(intake, &listener, &mut peer.dialogue, datagram, whole, now.wall);
        if listener.protocol.datagrams_identify {
            scratch.attribute(0, &peer.dialogue, &listener, &mut peer.astray);
        }
        if scratch.tally.named {
            peer.called = scratch.tally.called.take();
        }
        let appended = scratch.append(intake, &mut peer.stream, datagram, now.wall)?;
        if let Some(binding) = peer.dialogue.binding().filter(|_| !peer.astray) {
            self.dispatches.answered(binding, scratch.tally.answers.drain(..));
        }
        debug_assert!(meant != Meant::Malformed || scratch.tally.malformed.len() == 1, "a malformed frame is counted");
        Ok(if scratch.replies().is_empty() { Verdict::Silence } else { Verdict::Reply(appended.end) })
    }

    /// Says whose the datagram is that has just come in from there, if that is a device that takes commands by datagrams. From now on
    /// they go there, by the worker that is reached so.
    pub(crate) fn meet(
        &mut self,
        from: SocketAddr,
        reached: &Arc<Reached>,
        post: &Arc<Post>,
        now: Now,
    ) -> Option<Arc<Binding>> {
        let peer = self.known.peek_mut(&from)?;
        let protocol = peer.listener.protocol;
        let takes = |binding: &&Arc<Binding>| binding.decision == Decision::Accepted && protocol.commands_by_datagram;
        let Some(binding) = peer.dialogue.binding().filter(takes) else {
            peer.stay = None;
            return None;
        };
        if peer.astray {
            return None;
        }
        match peer.stay.as_ref().filter(|stay| stay.holds_for(binding, protocol)) {
            Some(stay) => stay.hear(now.monotonic),
            None => {
                let reach = Reach::new(binding, protocol, (&self.listener, post), from, now.monotonic);
                peer.stay = Some(Stay::begin(reached, reach));
            }
        }
        Some(binding.clone())
    }

    /// Takes a command for the device that a peer is. It leaves by itself, once the journal is durable up to there. Nothing, where it
    /// is not sent: what becomes of it, [`Peers::fates`] tell.
    pub(crate) fn command(
        &mut self,
        order: &Order,
        from: SocketAddr,
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<Option<(Lsn, Letter)>, AppendError> {
        let is_busy = self.dispatches.is_busy(order);
        let Some(peer) = self.known.peek_mut(&from) else {
            self.dispatches.tell(order.ticket, Fate::Unsent(Unsent::Gone));
            return Ok(None);
        };
        let encoded = match peer.encoded(order, is_busy, now) {
            Ok(encoded) => encoded,
            Err(fate) => {
                self.dispatches.tell(order.ticket, fate);
                return Ok(None);
            }
        };
        scratch.begin(&peer.listener, from, &peer.dialogue);
        scratch.say(&encoded.bytes);
        let appended = scratch.append(intake, &mut peer.stream, &[], now.wall);
        match (appended, peer.dialogue.binding()) {
            (Ok(appended), Some(binding)) => {
                self.dispatches.begin(order, binding, encoded.token, now);
                Ok(Some((appended.end, Letter::new(order, from, encoded.bytes))))
            }
            (appended, _) => {
                self.dispatches.tell(order.ticket, Fate::Unsent(Unsent::Gone));
                appended.map(|_| None)
            }
        }
    }

    /// The commands that are on their way.
    pub(crate) fn dispatches(&mut self) -> &mut Dispatches {
        &mut self.dispatches
    }

    /// What became of commands since this was asked last, by their tickets.
    pub fn fates(&mut self) -> Vec<(u64, Fate)> {
        self.dispatches.take()
    }

    /// Forgets who was silent for too long.
    pub fn sweep(&mut self, intake: &Intake, now: Now, scratch: &mut Scratch) -> Result<(), AppendError> {
        self.dispatches.sweep(now);
        let idle_max = Duration::from_secs(self.listener.protocol.idle_s_max.into());
        while let Some((_, peer)) = self.known.peek_lru()
            && now.monotonic.saturating_sub(peer.heard) > idle_max
        {
            self.forget(Close::Idle, intake, now, scratch)?;
        }
        Ok(())
    }

    /// Forgets those that are some devices.
    pub fn end(
        &mut self,
        whose: &dyn Fn(&Binding) -> bool,
        why: Close,
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<(), AppendError> {
        self.dispatches.end(whose, why);
        let is_meant = |peer: &Peer| peer.dialogue.binding().is_some_and(|binding| whose(binding));
        let meant: Vec<SocketAddr> =
            self.known.iter().filter(|(_, peer)| is_meant(peer)).map(|(from, _)| *from).collect();
        for from in meant {
            if let Some(peer) = self.known.pop(&from) {
                close((from, peer), why, intake, now, scratch)?;
            }
        }
        Ok(())
    }

    /// Forgets one of whom nothing can be said any more: its stream ends as it does in a crash.
    pub fn lose(&mut self, from: SocketAddr) {
        self.known.pop(&from);
    }

    /// Forgets everyone.
    pub fn close(&mut self, why: Close, intake: &Intake, now: Now, scratch: &mut Scratch) -> Result<(), AppendError> {
        self.dispatches.end(&|_| true, why);
        while !self.known.is_empty() {
            self.forget(why, intake, now, scratch)?;
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Where a peer's datagrams come in, as that is for the protocol that it speaks.
    pub fn listener_of(&self, from: SocketAddr) -> &Arc<Listener> {
        self.known.peek(&from).map_or(&self.listener, |peer| &*peer.listener)
    }

    /// The same, and whether the device that the peer is has been refused.
    pub(crate) fn listener_and_refusal(&self, from: SocketAddr) -> (&Arc<Listener>, bool) {
        let Some(peer) = self.known.peek(&from) else { return (&self.listener, false) };
        let refused = peer.dialogue.binding().is_some_and(|binding| binding.decision == Decision::Refused);
        (&peer.listener, refused)
    }

    /// The device that a peer is, as far as that is known.
    pub fn device_of(&self, from: SocketAddr) -> Option<&str> {
        Some(self.known.peek(&from)?.dialogue.binding()?.device.as_str())
    }

    /// Where the datagrams come in.
    pub const fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    fn make_room(&mut self, intake: &Intake, now: Now, scratch: &mut Scratch) -> Result<(), AppendError> {
        while self.known.len() >= self.known.cap().get() {
            self.forget(Close::Replaced, intake, now, scratch)?;
            self.pushed_out += 1;
        }
        Ok(())
    }

    /// How many were forgotten to make room for others since this was asked last.
    pub fn pushed_out(&mut self) -> u64 {
        std::mem::take(&mut self.pushed_out)
    }

    fn forget(&mut self, why: Close, intake: &Intake, now: Now, scratch: &mut Scratch) -> Result<(), AppendError> {
        let Some(peer) = self.known.pop_lru() else { return Ok(()) };
        close(peer, why, intake, now, scratch)
    }
}

/// The end of a peer's stream.
fn close(
    (from, mut peer): (SocketAddr, Peer),
    why: Close,
    intake: &Intake,
    now: Now,
    scratch: &mut Scratch,
) -> Result<(), AppendError> {
    scratch.begin(&peer.listener, from, &peer.dialogue);
    let entry = NewEntry { kind: Kind::CLOSE, at: now.wall.0, identity: None, payload: why.name().as_bytes() };
    intake.journal.append(&mut peer.stream, scratch.context(), scratch.bound(), &[entry])?;
    Ok(())
}

impl Peer {
    fn open(
        listener: &Arc<Listener>,
        from: SocketAddr,
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<Self, AppendError> {
        let dialogue = listener.dialogue();
        scratch.begin(listener, from, &dialogue);
        let (stream, _) = intake.journal.open_stream(now.wall.0, scratch.context(), scratch.bound())?;
        let listener = Counted::of(listener.clone());
        Ok(Self { listener, dialogue, stream, heard: now.monotonic, astray: false, called: None, stay: None })
    }

    /// A command for the device that it is, in bytes, or why it is not sent. What is kept in the journal next is the command.
    fn encoded(&mut self, order: &Order, is_busy: bool, now: Now) -> Result<Encoded, Fate> {
        let is_for = self.dialogue.binding().is_some_and(|binding| order.is_for(binding));
        let is_near = now.monotonic.saturating_sub(self.heard) <= REACH_MAX
            && self.stay.as_ref().is_some_and(|stay| !stay.has_moved());
        if !is_for || !is_near || !self.listener.protocol.commands_by_datagram {
            return Err(Fate::Unsent(Unsent::Gone));
        }
        if is_busy {
            return Err(Fate::Unsent(Unsent::Busy));
        }
        if now.wall >= order.expires {
            return Err(Fate::Expired);
        }
        let (encoded, changed) =
            order.encoded(self.called.as_deref(), &mut self.dialogue, COMMAND_DATAGRAM_BYTES_MAX)?;
        // What the session knows behind it cannot be told from it, and what came before it may have been nobody's.
        if changed || std::mem::take(&mut self.astray) {
            self.stream.renew();
        }
        Ok(encoded)
    }

    /// Finds out which protocol the datagram is of, if that is clear. One that could be of the protocol that was spoken
    /// before is; one that could not begins another conversation.
    fn decide(&mut self, common: &Listener, datagram: &[u8]) -> bool {
        let spoken = self.listener.protocol;
        let goes_on = || (spoken.recognise)(datagram, common.transport) != Claim::No;
        if !self.listener.is_common() && goes_on() {
            return true;
        }
        let Some(protocol) = decide(datagram, common.transport) else { return false };
        self.listener = Counted::of(common.decided(protocol));
        self.dialogue = self.listener.dialogue();
        self.stream.renew();
        (self.astray, self.called, self.stay) = (false, None, None);
        self.listener.measures.decided.increment(1);
        true
    }

    /// Keeps a datagram of which it is not clear what it is, as that. A conversation that there was goes on behind it.
    fn keep(
        &mut self,
        common: &Listener,
        datagram: &[u8],
        from: SocketAddr,
        intake: &Intake,
        now: Now,
        scratch: &mut Scratch,
    ) -> Result<(), AppendError> {
        let strayed = !self.listener.is_common();
        if strayed {
            scratch.begin(common, from, &common.dialogue());
            self.stream.renew();
        } else {
            scratch.begin(&self.listener, from, &self.dialogue);
        }
        scratch.plan(Kind::SKIPPED, 0..datagram.len());
        if strayed && scratch.bound().is_none() {
            scratch.disown();
        }
        let appended = scratch.append(intake, &mut self.stream, datagram, now.wall);
        if strayed {
            self.stream.renew();
        }
        appended.map(|_| ())
    }
}
