//! From bytes to journal entries: what TCP and UDP have in common.

use crate::{Devices, Listener, devices};
use compact_str::CompactString;
use odograph_handover::{Inlet, Item};
use odograph_journal::{AppendError, Appended, Identity, Journal, Kind, NewEntry, Stream};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Answer, Binding, Decision, Dialogue, Others, Out, Turn, context};
use odograph_wire::Malformed;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What frames need beside themselves.
#[derive(Clone)]
pub struct Intake {
    /// Where everything goes first.
    pub journal: Journal,
    /// Who may send.
    pub devices: Arc<dyn Devices>,
    /// Where what was decoded goes on to, if anyone wants it.
    pub handover: Option<Inlet>,
}

/// One moment, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Time of day, for the journal.
    pub wall: Time,
    /// Time that never goes back, for bounds.
    pub monotonic: Duration,
}

/// Working memory of one worker, used again for every read.
#[derive(Default)]
pub struct Scratch {
    out: Out<'static>,
    /// The state before the first planned entry.
    context: Vec<u8>,
    /// Replies, one after the other.
    replies: Vec<u8>,
    /// Encoded decisions, one after the other.
    decisions: Vec<u8>,
    before: Option<(Arc<Binding>, Range<usize>)>,
    plan: Vec<Planned>,
    /// What the planned frames gave, to be handed over, with the frame's place in the plan.
    items: Vec<(usize, Item)>,
    /// Nothing is answered: what is taken in came long ago.
    silent: bool,
    /// What happened, for those who count.
    pub tally: Tally,
}

/// What one read gave.
#[derive(Debug, Default)]
pub struct Tally {
    /// Frames, malformed ones included.
    pub frames: u64,
    /// Records decoded.
    pub records: u64,
    /// What was wrong with malformed frames.
    pub malformed: Vec<Malformed>,
    /// Whether the last frame named a device.
    pub named: bool,
    /// What the device called itself in it, where that is not its id.
    pub called: Option<Box<str>>,
    /// Whether whoever sent it passes on what devices say.
    pub passes_on: bool,
    /// What devices answered to commands.
    pub answers: Vec<Answer>,
    /// The device that was refused last.
    pub refused: Option<Arc<Binding>>,
}

/// An entry to come. Ranges, because the bytes that they point into are still growing.
struct Planned {
    kind: Kind,
    /// Into the bytes received, or for a reply into the replies.
    range: Range<usize>,
    identity: Option<(Arc<Binding>, Range<usize>)>,
    /// From here on, the entries belong to nobody.
    nobodys: bool,
}

/// What a frame meant for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meant {
    /// The dialogue goes on.
    GoOn,
    /// From here on the dialogue belongs to a device.
    Identified,
    /// The device was refused, and with it what else it would send.
    Refused,
    /// The device wants no more of this dialogue.
    Over,
    /// The frame is malformed.
    Malformed,
}

impl Scratch {
    /// For what came long ago, and was not answered then: nobody waits for an answer now.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// Begins with what the journal must know about the state before the next entries.
    pub(crate) fn begin(&mut self, listener: &Listener, peer: SocketAddr, dialogue: &Dialogue) {
        self.plan.clear();
        self.items.clear();
        self.replies.clear();
        self.decisions.clear();
        self.tally.frames = 0;
        self.tally.records = 0;
        self.tally.malformed.clear();
        self.tally.refused = None;
        self.tally.answers.clear();
        self.before = dialogue
            .binding()
            .map(|binding| (binding.clone(), encode(binding, &Others::default(), &mut self.decisions)));
        self.context.clear();
        listener.head().write(peer, &mut self.context);
        let mut session = std::mem::take(&mut self.replies);
        dialogue.save(&mut session);
        debug_assert!(session.len() <= odograph_protocols::CONTEXT_MAX, "a session's context is bounded");
        context::write_tail(dialogue.binding().map(|binding| &**binding), &session, &mut self.context);
        session.clear();
        self.replies = session;
    }

    /// Plans an entry of bytes received.
    pub(crate) fn plan(&mut self, kind: Kind, range: Range<usize>) {
        self.plan.push(Planned { kind, range, identity: None, nobodys: false });
    }

    /// What was planned last is nobody's, whoever had what came before.
    pub(crate) fn disown(&mut self) {
        if let Some(planned) = self.plan.last_mut() {
            planned.nobodys = true;
        }
    }

    /// Decodes the frame at `range` of `bytes` and plans its entry and those of its replies.
    pub(crate) fn frame(
        &mut self,
        intake: &Intake,
        listener: &Listener,
        dialogue: &mut Dialogue,
        bytes: &[u8],
        range: Range<usize>,
        received: Time,
    ) -> Meant {
        self.tally.frames += 1;
        let frame = bytes.get(range.clone()).unwrap_or_default();
        // Asked each time, so that what a person decides holds from the next message on that names its device.
        self.tally.named = false;
        let turn = dialogue.frame(frame, received, &mut self.out, |named, bound| {
            self.tally.named = !named.ids.is_empty();
            let decided = devices::decide(&*intake.devices, named, listener, bound);
            let admitted = decided.begun.as_deref().or(bound).map_or("", |admitted| &admitted.device);
            let is_other = |id: &&CompactString| **id != admitted && decided.others.called(id).is_none();
            self.tally.called = named.ids.first().filter(is_other).map(|id| id.as_str().into());
            decided
        });
        self.tally.passes_on = self.out.passes_on();
        // That it came, and nothing of what it says. Who was refused before is not decided about again, and what names nobody by
        // his line is taken for his.
        let of = turn.begun.as_ref().or(dialogue.binding());
        let is_refused = of.is_some_and(|of| of.decision == Decision::Refused);
        // Who has a listener of his own need not name himself.
        let is_own = of.is_some() && of == listener.device.as_ref();
        let is_barred = is_refused && of.is_some_and(|of| intake.devices.is_barred(of));
        let range = if is_barred { range.start..range.start } else { range };
        let meant = match &turn.begun {
            _ if self.out.ends() => Meant::Over,
            _ if turn.malformed.is_some() => Meant::Malformed,
            // The next request may be another device's, and so may the next packet of who passes on what they say.
            begun
                if is_refused
                    && (begun.is_some() || is_own)
                    && !listener.protocol.is_of_requests()
                    && !self.out.passes_on() =>
            {
                Meant::Refused
            }
            Some(_) => Meant::Identified,
            None => Meant::GoOn,
        };
        self.tally.malformed.extend(turn.malformed);
        let all = turn.begun.iter().chain(turn.others.iter().map(|other| &other.binding));
        let refused = all.filter(|binding| binding.decision == Decision::Refused).last();
        self.tally.refused = refused.cloned().or(self.tally.refused.take());
        self.tally.records += self.out.records().len() as u64;
        self.tally.answers.extend_from_slice(self.out.answers());
        if let Some(inlet) = &intake.handover {
            self.prepare(inlet, dialogue, &turn);
        }
        // What is decided about other devices holds for this frame alone, so it is there with each.
        let bound = turn.begun.or_else(|| dialogue.binding().filter(|_| !turn.others.is_empty()).cloned());
        let identity = bound.map(|binding| {
            let range = encode(&binding, &turn.others, &mut self.decisions);
            (binding, range)
        });
        self.plan.push(Planned { kind: Kind::FRAME, range, identity, nobodys: false });
        let out = std::mem::take(&mut self.out);
        out.replies().iter().for_each(|reply| self.say(&reply.bytes));
        self.out = out;
        meant
    }

    /// Plans an entry of bytes for the device.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        if self.silent {
            return;
        }
        let start = self.replies.len();
        self.replies.extend_from_slice(bytes);
        let range = start..self.replies.len();
        self.plan.push(Planned { kind: Kind::SENT, range, identity: None, nobodys: false });
    }

    /// Sees to it that the journal has the frame at `place` of the plan as that of the device it names, where every frame
    /// names one: one that does not is nobody's, since many devices may come from one address or by one connection.
    /// `astray` says whether the one before was nobody's.
    pub(crate) fn attribute(&mut self, place: usize, dialogue: &Dialogue, listener: &Listener, astray: &mut bool) {
        let (Some(binding), Some(planned)) = (dialogue.binding(), self.plan.get_mut(place)) else { return };
        let of_listener = listener.device.as_ref() == Some(binding);
        if !self.tally.named && !of_listener {
            planned.nobodys = true;
            *astray = true;
        } else if std::mem::take(astray) && planned.identity.is_none() {
            planned.identity = Some((binding.clone(), encode(binding, &Others::default(), &mut self.decisions)));
        }
    }

    /// Makes ready what the next planned frame gave, for whoever reads the journal.
    fn prepare(&mut self, inlet: &Inlet, dialogue: &Dialogue, turn: &Turn) {
        if !inlet.has_room() {
            return inlet.refuse();
        }
        let state = dialogue.state_after(turn, &mut self.out);
        // Read again, a device's own settings refuse it before they find anything malformed.
        let malformed = turn.malformed.filter(|_| turn.begun.is_none());
        let records = self.out.take_records();
        self.items.push((self.plan.len(), Item { lsn: Lsn(0), records, malformed, state, begun: turn.begun.clone() }));
    }

    /// Appends what was planned, in one piece, and hands over what it gave.
    pub(crate) fn append(
        &mut self,
        intake: &Intake,
        stream: &mut Stream,
        bytes: &[u8],
        at: Time,
    ) -> Result<Appended, AppendError> {
        let mut items = std::mem::take(&mut self.items);
        let entries: Vec<NewEntry<'_>> = self
            .plan
            .iter()
            .map(|planned| {
                let source = if planned.kind == Kind::SENT { &self.replies[..] } else { bytes };
                NewEntry {
                    kind: planned.kind,
                    at: at.0,
                    identity: if planned.nobodys { Some(NOBODY) } else { self.identity(planned.identity.as_ref()) },
                    payload: source.get(planned.range.clone()).unwrap_or_default(),
                }
            })
            .collect();
        let bound = self.identity(self.before.as_ref());
        let appended = intake.journal.append(stream, &self.context, bound, &entries)?;
        if let Some(inlet) = &intake.handover {
            hand_over(inlet, &mut items, &entries, appended);
        }
        self.items = items;
        Ok(appended)
    }

    /// Entries planned, and bytes of replies among them.
    pub(crate) fn planned(&self) -> (usize, usize) {
        (self.plan.len(), self.replies.len())
    }

    /// The same, less what there was `before`.
    pub(crate) fn planned_since(&self, before: (usize, usize)) -> (usize, usize) {
        let (entries, replies) = self.planned();
        (entries.saturating_sub(before.0), replies.saturating_sub(before.1))
    }

    /// Whether nothing was planned.
    pub(crate) fn is_idle(&self) -> bool {
        self.plan.is_empty()
    }

    /// The replies planned, one after the other.
    pub(crate) fn replies(&self) -> &[u8] {
        &self.replies
    }

    /// The replies planned, each by itself.
    pub(crate) fn each_reply(&self) -> impl Iterator<Item = &[u8]> {
        let sent = self.plan.iter().filter(|planned| planned.kind == Kind::SENT);
        sent.map(|planned| self.replies.get(planned.range.clone()).unwrap_or_default())
    }

    /// The context that was written by [`Scratch::begin`].
    pub(crate) fn context(&self) -> &[u8] {
        &self.context
    }

    /// Whose the dialogue was at [`Scratch::begin`].
    pub(crate) fn bound(&self) -> Option<Identity<'_>> {
        self.identity(self.before.as_ref())
    }

    fn identity<'a>(&'a self, bound: Option<&'a (Arc<Binding>, Range<usize>)>) -> Option<Identity<'a>> {
        let (binding, range) = bound?;
        // A refused device owns nothing: its bytes are kept, but as nobody's.
        let device = if binding.decision == Decision::Refused { "" } else { &binding.device };
        Some(Identity { device, decision: self.decisions.get(range.clone()).unwrap_or_default() })
    }
}

/// An entry that belongs to no device, without a decision.
const NOBODY: Identity<'static> = Identity { device: "", decision: &[] };

/// Hands the items over, under the places that their frames were given.
fn hand_over(inlet: &Inlet, items: &mut Vec<(usize, Item)>, entries: &[NewEntry<'_>], appended: Appended) {
    // Backwards, because a context may have made the first entry longer.
    let (mut place, mut number) = (appended.end.0, entries.len());
    for (planned, item) in items.iter_mut().rev() {
        place -=
            entries.get(*planned..number).unwrap_or_default().iter().map(|entry| entry.bytes() as u64).sum::<u64>();
        number = *planned;
        item.lsn = if number == 0 { appended.first } else { Lsn(place) };
    }
    items.drain(..).for_each(|(_, item)| inlet.put(item));
}

fn encode(binding: &Binding, others: &Others, decisions: &mut Vec<u8>) -> Range<usize> {
    let start = decisions.len();
    binding.write_with(others, decisions);
    start..decisions.len()
}
