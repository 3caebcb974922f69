//! What one subscriber has yet to hear: a set of devices, never a queue of their changes.
//!
//! ```text
//! a device changes ─▶ queued, once ─▶ step: as it is then ─▶ told, or left
//! a new filter     ─▶ scan: all slots, one after the other ─▶ told, or left
//! ```
//!
//! Nothing here depends on the time or waits. What a subscriber that never reads costs: a slot's number for each device in
//! its view that changed, and three bits for each device.

use crate::batch::Crowds;
use crate::bits::{Bits, KeySet};
use crate::matcher::Matcher;
use crate::slots::{Marker, Slots};
use compact_str::CompactString;
use odograph_model::Time;
use std::collections::VecDeque;
use std::task::Waker;

/// One subscriber.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) matcher: Matcher,
    /// Devices that it has to hear of, those that changed first in front, each once.
    queue: VecDeque<u32>,
    queued: Bits,
    /// Devices that it knows.
    has: Bits,
    /// Devices that stood alone when the map was looked at last, for a filter with a zoom: only these are told.
    alone: Option<Bits>,
    /// Devices that it knew and that are no more.
    gone: Vec<CompactString>,
    /// What of the slots is still to be gone through.
    scan: Option<Scan>,
    /// Whether it has to hear of everything anew.
    begins: bool,
    /// Up to which revision it knows everything.
    knows: Option<u64>,
    /// Once so many were taken out of the queue, it knows everything up to that revision.
    lap: Lap,
    put_in: u64,
    taken_out: u64,
    /// When the map was looked at, and whether something in view changed since.
    looked: Option<Time>,
    is_stale: bool,
    /// Whoever waits for something to hear.
    pub(crate) waker: Option<Waker>,
}

/// Going through all slots.
#[derive(Debug, Clone, Copy)]
struct Scan {
    next: u32,
    /// It knows what did not change after this revision, as it was in view then.
    since: Option<u64>,
    /// How many devices were told that may have been in view then.
    left: u32,
    /// What has to be taken out of the queue, and up to where it knows everything then, once this has gone through.
    lap: Lap,
}

#[derive(Debug, Clone, Copy, Default)]
struct Lap {
    taken_out: u64,
    revision: u64,
}

/// What is taken from a subscriber under the lock, to be made a batch without it.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) full: bool,
    pub(crate) left: Vec<CompactString>,
    pub(crate) devices: Vec<Taken>,
    pub(crate) crowds: Option<Crowds>,
}

/// A device as it was when it was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) name: CompactString,
    pub(crate) packed: Box<[u8]>,
    pub(crate) marker: Marker,
}

/// What is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another step.
    Again,
    /// Looking at the map, and telling [`Subscriber::settle`] what is there.
    Look,
    /// Nothing, for this batch.
    Done,
}

impl Subscriber {
    /// Somebody who knows nothing.
    pub(crate) fn new(matcher: Matcher) -> Self {
        Self {
            alone: matcher.filter.zoom.map(|_| Bits::default()),
            matcher,
            queue: VecDeque::new(),
            queued: Bits::default(),
            has: Bits::default(),
            gone: Vec::new(),
            scan: None,
            begins: true,
            knows: None,
            lap: Lap::default(),
            put_in: 0,
            taken_out: 0,
            looked: None,
            is_stale: true,
            waker: None,
        }
    }

    /// Somebody who knows everything up to the revision `since`, and that `left` is not in view any more. Of what stood alone
    /// on a map then nothing is known, so that such a one begins anew.
    pub(crate) fn resumed(matcher: Matcher, since: u64, left: Vec<CompactString>, revision: u64) -> Self {
        let mut resumed = Self::new(matcher);
        if resumed.alone.is_none() && left.len() <= GONE_MAX {
            let lap = Lap { taken_out: 0, revision };
            resumed.scan = Some(Scan { next: 0, since: Some(since), left: 0, lap });
            resumed.begins = false;
            resumed.knows = Some(since);
            resumed.gone = left;
        }
        resumed
    }

    /// Looks at something else from now on.
    pub(crate) fn look_at(&mut self, matcher: Matcher, revision: u64) {
        let is_map = matcher.filter.zoom.is_some();
        let knows_not = self.scan.is_some_and(|scan| scan.since.is_some());
        let is_same = matcher.told == self.matcher.told && matcher.heard == self.matcher.heard;
        if is_map != self.alone.is_some() || !is_same || knows_not {
            self.begins = true;
            self.alone = is_map.then(Bits::default);
        }
        self.matcher = matcher;
        self.knows = None;
        self.is_stale = true;
        if !is_map {
            let lap = Lap { taken_out: self.put_in, revision };
            self.scan = Some(Scan { next: 0, since: None, left: 0, lap });
        }
    }

    /// A device is new in this slot.
    pub(crate) fn add(&mut self, slot: u32, name: &str) {
        self.matcher.add(slot, name);
    }

    /// A device changed: these parameters of it, and its marker.
    pub(crate) fn touch(&mut self, slot: u32, before: &Marker, after: &Marker, changed: &KeySet) {
        if self.begins {
            return;
        }
        let is_shown = self.matcher.shows(slot, after);
        if let Some(alone) = &self.alone {
            self.is_stale |= is_shown || self.matcher.shows(slot, before);
            if !alone.has(slot) {
                return;
            }
        }
        let known = self.has.has(slot);
        if self.is_ahead(slot) {
            // It is gone through later. Where nobody knows yet whether it was told, it may have been.
            if self.may_know(slot, before) {
                if !is_shown {
                    self.has.insert(slot);
                }
                return;
            }
            // Going through all passes over what is known, as that is in the queue if it changed.
            if !known {
                return;
            }
        }
        let is_heard = if is_shown { !known || changed.meets(&self.matcher.heard) } else { known };
        if is_heard {
            self.put(slot);
        }
    }

    /// A device was removed.
    pub(crate) fn remove(&mut self, slot: u32, name: &str, before: &Marker) {
        self.is_stale |= self.alone.is_some() && self.matcher.shows(slot, before);
        if self.has.remove(slot) || (self.is_ahead(slot) && self.may_know(slot, before)) {
            if self.gone.len() >= GONE_MAX {
                self.begins = true;
            } else if !self.begins {
                self.gone.push(name.into());
            }
        }
        if let Some(alone) = &mut self.alone {
            alone.remove(slot);
        }
        self.matcher.remove(slot);
    }

    /// Whether there may be something to hear.
    pub(crate) fn is_waiting(&self) -> bool {
        let is_stale = self.is_stale && self.alone.is_some();
        self.begins || is_stale || self.scan.is_some() || !self.queue.is_empty() || !self.gone.is_empty()
    }

    /// Up to which revision it knows everything, if that can be gone on from.
    pub(crate) fn knows(&self) -> Option<u64> {
        self.knows.filter(|_| self.alone.is_none() && !self.begins)
    }

    /// Takes some of what there is to hear into a draft. Each step is short.
    pub(crate) fn step(
        &mut self,
        slots: &Slots,
        revision: u64,
        now: Time,
        devices_max: usize,
        draft: &mut Draft,
    ) -> Step {
        if std::mem::take(&mut self.begins) {
            self.begin(revision);
            *draft = Draft { full: true, ..Draft::default() };
        }
        draft.left.append(&mut self.gone);
        let is_old = self.looked.is_none_or(|looked| looked.plus_ms(LOOK_AGAIN_MS) <= now);
        if self.alone.is_some() && draft.crowds.is_none() && (self.is_stale || is_old) {
            return Step::Look;
        }
        let mut room = STEP_DEVICES.min(devices_max.saturating_sub(draft.len()));
        self.go_through(slots, draft, &mut room);
        while self.scan.is_none() && room > 0 {
            let Some(slot) = self.queue.pop_front() else { break };
            self.taken_out += 1;
            self.queued.remove(slot);
            self.tell(slots, slot, draft, &mut room);
        }
        self.note(revision);
        if self.begins {
            return Step::Again;
        }
        let is_done = draft.len() >= devices_max || (self.scan.is_none() && self.queue.is_empty());
        if is_done { Step::Done } else { Step::Again }
    }

    /// Takes over what stands alone on the map.
    pub(crate) fn settle(&mut self, slots: &Slots, alone: &[u32], crowds: Crowds, now: Time, draft: &mut Draft) {
        let mut settled = Bits::default();
        for slot in alone {
            settled.insert(*slot);
        }
        let joined: Vec<u32> = self.has.iter().filter(|slot| !settled.has(*slot)).collect();
        for slot in joined {
            self.has.remove(slot);
            draft.left.push(slots.device(slot).name.clone());
        }
        for slot in alone {
            if !self.has.has(*slot) {
                self.put(*slot);
            }
        }
        self.alone = Some(settled);
        self.looked = Some(now);
        draft.crowds = Some(crowds);
    }

    /// The map is being looked at: what changes from here on is news.
    pub(crate) fn looks(&mut self) {
        self.is_stale = false;
    }

    pub(crate) fn bytes(&self) -> usize {
        let bits = self.queued.bytes() + self.has.bytes() + self.alone.as_ref().map_or(0, Bits::bytes);
        let gone = self.gone.capacity() * size_of::<CompactString>();
        size_of::<Self>() + bits + gone + self.queue.capacity() * size_of::<u32>() + self.matcher.bytes()
    }

    fn begin(&mut self, revision: u64) {
        self.has.clear();
        self.queued.clear();
        self.queue = VecDeque::new();
        self.gone = Vec::new();
        self.taken_out = self.put_in;
        self.knows = None;
        self.is_stale = true;
        self.scan = match &mut self.alone {
            Some(alone) => {
                alone.clear();
                None
            }
            None => Some(Scan { next: 0, since: None, left: 0, lap: Lap { taken_out: self.put_in, revision } }),
        };
    }

    fn put(&mut self, slot: u32) {
        if self.queued.insert(slot) {
            self.queue.push_back(slot);
            self.put_in += 1;
        }
    }

    /// Whether a slot is still to be gone through.
    fn is_ahead(&self, slot: u32) -> bool {
        self.begins || self.scan.is_some_and(|scan| scan.next <= slot)
    }

    /// Whether a device that was not gone through may have been told before this subscriber went on: wherever it is now, it
    /// may have been in view then.
    fn may_know(&self, slot: u32, before: &Marker) -> bool {
        self.scan.is_some_and(|scan| scan.since.is_some()) && self.matcher.would_show(slot, before)
    }

    /// Goes through some slots.
    fn go_through(&mut self, slots: &Slots, draft: &mut Draft, room: &mut usize) {
        let Some(mut scan) = self.scan else { return };
        let end = slots.count().min(scan.next.saturating_add(STEP_SLOTS));
        while scan.next < end && *room > 0 {
            let slot = scan.next;
            scan.next += 1;
            let (marker, device) = (slots.marker(slot), slots.device(slot));
            let is_shown = self.matcher.shows(slot, marker);
            match (is_shown, scan.since) {
                (true, Some(since)) if device.revision <= since => {
                    self.has.insert(slot);
                }
                // If it changed, it is in the queue.
                (true, None) if self.has.has(slot) => {}
                (false, Some(since))
                    if self.has.has(slot) || (device.moved > since && self.may_have_shown(slot, marker)) =>
                {
                    scan.left += 1;
                    self.has.insert(slot);
                    self.tell(slots, slot, draft, room);
                }
                _ => self.tell(slots, slot, draft, room),
            }
        }
        if scan.left > RESUME_LEFT_MAX {
            self.begins = true;
        }
        self.scan = (scan.next < slots.count()).then_some(scan);
        if self.scan.is_none() {
            self.lap = scan.lap;
        }
    }

    /// Whether only its place keeps a device from being shown: then it may have been shown elsewhere.
    fn may_have_shown(&self, slot: u32, marker: &Marker) -> bool {
        self.matcher.filter.area.is_some() && self.matcher.would_show(slot, marker)
    }

    /// Tells of a device as it is now, or that it is not in view any more.
    fn tell(&mut self, slots: &Slots, slot: u32, draft: &mut Draft, room: &mut usize) {
        let marker = slots.marker(slot);
        let is_shown = self.matcher.shows(slot, marker) && self.alone.as_ref().is_none_or(|alone| alone.has(slot));
        if !is_shown && !self.has.remove(slot) {
            return;
        }
        *room -= 1;
        if is_shown {
            self.has.insert(slot);
            draft.devices.push(Taken::new(slots, slot));
        } else {
            draft.left.push(slots.device(slot).name.clone());
        }
    }

    /// Notes up to where it knows everything.
    fn note(&mut self, revision: u64) {
        if self.scan.is_some() {
            return;
        }
        if self.queue.is_empty() {
            self.knows = Some(revision);
        } else if self.taken_out >= self.lap.taken_out {
            self.knows = Some(self.lap.revision);
            self.lap = Lap { taken_out: self.put_in, revision };
        }
    }
}

impl Taken {
    pub(crate) fn new(slots: &Slots, slot: u32) -> Self {
        let device = slots.device(slot);
        Self { name: device.name.clone(), packed: device.packed.clone(), marker: *slots.marker(slot) }
    }
}

impl Draft {
    fn len(&self) -> usize {
        self.devices.len() + self.left.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.full && self.len() == 0 && self.crowds.is_none()
    }
}

/// So many devices are taken while the pipeline may have to wait: some 10 µs.
const STEP_DEVICES: usize = 64;
/// So many slots are gone through while it may have to wait: the same.
const STEP_SLOTS: u32 = 2048;
/// So many removed devices are remembered for somebody who does not read; who has more to hear of begins anew.
pub(crate) const GONE_MAX: usize = 1024;
/// Somebody who goes on and has to be told of more devices that may have left than this begins anew: that costs less.
const RESUME_LEFT_MAX: u32 = 2000;
/// A map is looked at again after this time even if nothing came: devices fall silent.
const LOOK_AGAIN_MS: i64 = 30_000;
