//! The peers of a UDP listener, as a pure state machine.
//!
//! A peer is an address that datagrams come from; each has a dialogue and a stream in the journal, begun by its first
//! datagram and ended when it is forgotten. How many there are is bounded: the one silent longest goes first.

use crate::intake::Meant;
use crate::{Close, Intake, Limits, Listener, Now, Scratch};
use lru::LruCache;
use odograph_journal::{AppendError, Kind, NewEntry, Stream};
use odograph_model::Lsn;
use odograph_protocols::detect::decide;
use odograph_protocols::{Binding, Claim, Decision, Dialogue};
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
}

struct Peer {
    /// Where it sends to, as that is for the protocol that it speaks.
    listener: Counted,
    dialogue: Dialogue,
    stream: Stream,
    heard: Duration,
    /// The last datagram was nobody's.
    astray: bool,
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
        Self { listener, known, pushed_out: 0 }
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
        let appended = scratch.append(intake, &mut peer.stream, datagram, now.wall)?;
        debug_assert!(meant != Meant::Malformed || scratch.tally.malformed.len() == 1, "a malformed frame is counted");
        Ok(if scratch.replies().is_empty() { Verdict::Silence } else { Verdict::Reply(appended.end) })
    }

    /// Forgets who was silent for too long.
    pub fn sweep(&mut self, intake: &Intake, now: Now, scratch: &mut Scratch) -> Result<(), AppendError> {
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
        Ok(Self { listener, dialogue, stream, heard: now.monotonic, astray: false })
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
        self.astray = false;
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
