//! What some devices sent, decoded again: which of it counts, of what history can be judged by it, and what nobody can read.

use super::settings::Settled;
use super::{ReplayQuery, Total};
use crate::export::entry;
use crate::history::row;
use anyhow::{Result, bail};
use compact_str::CompactString;
use odograph_journal::{Entry, Kind};
use odograph_lake::{Gathered, Period, Recorded, StoredFrame};
use odograph_model::Lsn;
use odograph_pipeline::{Again, Came, Event};
use odograph_protocols::{Binding, Decision, Others};
use std::collections::HashSet;
use std::sync::Arc;

/// Takes entries in the order of the journal, and gathers what comes out of them.
pub(super) struct Gathering<'a> {
    period: Period,
    asked: Asked<'a>,
    again: Again,
    /// Under the recorded settings, a record is known by what it was known by.
    before: Option<Before>,
    /// Conversations, by node and stream, of devices that waited and that nobody has accepted since.
    waiting: HashSet<(i32, u64)>,
    gathered: Gathered,
    /// Devices of which records were left out because nobody has accepted them.
    left_out: HashSet<CompactString>,
    carried: u64,
    malformed: u64,
    unreadable: u64,
}

/// Whose records are asked for.
struct Asked<'a> {
    tenant: &'a str,
    devices: HashSet<&'a str>,
    settled: &'a Arc<Settled>,
}

impl Asked<'_> {
    /// Whether it is one of those devices, whatever was decided about it.
    fn names(&self, binding: &Binding) -> bool {
        binding.tenant == self.tenant && self.devices.contains(binding.device.as_str())
    }

    fn takes(&self, binding: &Binding) -> bool {
        self.names(binding) && self.settled.counts(binding)
    }
}

impl<'a> Gathering<'a> {
    pub(super) fn new(
        period: Period,
        query: &'a ReplayQuery,
        settled: &'a Arc<Settled>,
        devices: &'a [CompactString],
    ) -> Self {
        let devices = devices.iter().map(CompactString::as_str).collect();
        Self {
            period,
            asked: Asked { tenant: &query.tenant, devices, settled },
            again: Again::new(settled.window(), settled.clone()),
            before: (!settled.is_as_recorded()).then(|| Before::new(settled)),
            waiting: HashSet::new(),
            gathered: Gathered::default(),
            left_out: HashSet::new(),
            carried: 0,
            malformed: 0,
            unreadable: 0,
        }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    ///
    /// When what was gathered does not fit into memory.
    pub(super) fn entry(&mut self, node: i32, frame: &StoredFrame<'_>) -> Result<()> {
        let Some(entry) = entry(frame) else { return Ok(()) };
        let others = self.decided(node, &entry);
        let came = self.decode(node, frame, &entry);
        if entry.kind == Kind::FRAME && self.period.holds(frame.at) {
            self.note(came, node, frame, &others);
        }
        if entry.kind == Kind::CLOSE {
            self.waiting.remove(&(node, frame.stream));
        }
        if self.gathered.bytes() > GATHERED_BYTES_MAX {
            bail!("these devices said too much for one go: take a shorter period, or one device after the other");
        }
        Ok(())
    }

    /// What came of it, with the numbers of what did not.
    pub(super) fn finish(self, total: &mut Total) -> Gathered {
        total.carried += self.carried;
        total.malformed += self.malformed;
        total.unreadable += self.unreadable;
        total.left_out += self.left_out.len() as u64;
        self.gathered
    }

    /// Notes of a conversation whether nobody has accepted its device, from the entry on that says whose it is. Gives what was decided
    /// about others in it.
    fn decided(&mut self, node: i32, entry: &Entry<'_>) -> Others {
        let Some(identity) = entry.identity else { return Others::default() };
        let decided = Binding::read_with(identity.device, identity.decision).ok();
        let waits = decided.as_ref().is_some_and(|(binding, _)| {
            binding.decision == Decision::Quarantined && !self.asked.settled.counts(binding)
        });
        match waits {
            true => self.waiting.insert((node, entry.stream)),
            false => self.waiting.remove(&(node, entry.stream)),
        };
        decided.map(|(_, others)| others).unwrap_or_default()
    }

    /// Decodes an entry, and takes those of its records that are asked for.
    fn decode(&mut self, node: i32, frame: &StoredFrame<'_>, entry: &Entry<'_>) -> Came {
        let Self { period, asked, again, before, gathered, left_out, carried, .. } = self;
        let holds = period.holds(frame.at);
        let is_wanted = holds && asked.devices.contains(frame.device);
        let known = before.as_mut().map_or(&[][..], |before| before.known(entry, node, frame.segment));
        let (mut number, first) = (0, gathered.count());
        let take = |event: &Event<'_>| {
            let recorded = known.get(number).copied();
            number += 1;
            // Where each device of a frame was not decided about, the others went along with the frame's own.
            let is_decided = event.device() == event.binding.device;
            let is_asked = holds && is_decided && asked.names(event.binding);
            if !is_asked && !is_wanted {
                return;
            }
            match (asked.settled.counts(event.binding), is_asked) {
                (true, true) => {
                    asked.settled.used_by(event.protocol);
                    gathered.push(&row(event), event.claimed, recorded);
                }
                (true, false) if !is_decided || event.device() == frame.device => *carried += 1,
                (false, true) if event.binding.decision == Decision::Quarantined => {
                    left_out.insert(event.binding.device.clone());
                }
                _ => {}
            }
        };
        let came = again.entry(entry, node, frame.segment, take);
        if number != known.len() {
            gathered.forget_before(first);
        }
        came
    }

    /// Notes of a frame of the period whether it could be read, and whose records in history can be judged by it.
    fn note(&mut self, came: Came, node: i32, frame: &StoredFrame<'_>, others: &Others) {
        let Self { asked, waiting, gathered, malformed, unreadable, .. } = self;
        let is_wanted = asked.devices.contains(frame.device);
        match came {
            Came::Malformed if is_wanted => *malformed += 1,
            Came::Unreadable if is_wanted => *unreadable += 1,
            _ => {}
        }
        if came == Came::Unreadable {
            return;
        }
        // Of a device that was accepted for a while, history has what an earlier replay put there: left out is not gone.
        if is_wanted && !waiting.contains(&(node, frame.stream)) {
            gathered.readable(frame.device, frame.at);
        }
        for other in others.iter().filter(|other| asked.takes(&other.binding)) {
            gathered.readable(&other.binding.device, frame.at);
        }
    }
}

/// What records were known by when their bytes came: a device that sent one again later is recognised by that.
struct Before {
    again: Again,
    known: Vec<Recorded>,
}

impl Before {
    fn new(settled: &Settled) -> Self {
        Self { again: Again::new(settled.window(), Arc::new(settled.as_recorded())), known: Vec::new() }
    }

    /// The records of the next entry, in their order.
    fn known(&mut self, entry: &Entry<'_>, node: i32, segment: Lsn) -> &[Recorded] {
        let known = &mut self.known;
        known.clear();
        self.again.entry(entry, node, segment, |event: &Event<'_>| {
            known.push(Recorded { id: event.id, claimed: event.claimed.unwrap_or(event.time()) });
        });
        known
    }
}

/// What is decoded of devices that are looked at together, where records are long or a frame has many.
const GATHERED_BYTES_MAX: usize = 512 << 20;
