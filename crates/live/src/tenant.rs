//! One tenant's devices and their subscribers: a state machine without a lock, a clock or a thread.

use crate::bits::KeySet;
use crate::departures::Departures;
use crate::grid::Grid;
use crate::live::Update;
use crate::matcher::Matcher;
use crate::merge::Merge;
use crate::packed::{Packed, Packing};
use crate::slots::{Marker, Slots};
use crate::state::Signs;
use crate::subscriber::Subscriber;
use crate::{Filter, GroupId, Thresholds};
use std::task::Waker;

/// One tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    slots: Slots,
    grid: Grid,
    thresholds: Thresholds,
    /// Of this tenant as long as it is not removed: one that is made anew counts its revisions anew.
    epoch: u64,
    /// Counts changes of devices.
    revision: u64,
    subscribers: Vec<(SubscriberId, Subscriber)>,
    next_subscriber: u64,
    departures: Departures,
    packing: Packing,
    merge: Merge,
    /// Nobody is served any more.
    is_closed: bool,
}

/// A subscriber's number, never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubscriberId(u64);

/// How much may be added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Another device.
    pub(crate) for_device: bool,
    /// More of a device.
    pub(crate) for_values: bool,
}

/// What a change did.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Whether something is different now.
    pub(crate) is_changed: bool,
    /// Whether it is about a device for which there is no room.
    pub(crate) is_refused: bool,
    /// By how many there are more devices.
    pub(crate) devices: i64,
    /// By how much more memory they take.
    pub(crate) bytes: i64,
    /// Values that were cut, or left out because there is no room.
    pub(crate) cut: u32,
    /// Whoever has to be woken, without the lock.
    pub(crate) wakers: Vec<Waker>,
}

impl Tenant {
    pub(crate) fn new(epoch: u64, thresholds: Thresholds) -> Self {
        Self {
            slots: Slots::default(),
            grid: Grid::default(),
            thresholds,
            epoch,
            revision: 0,
            subscribers: Vec::new(),
            next_subscriber: 0,
            departures: Departures::default(),
            packing: Packing::default(),
            merge: Merge::default(),
            is_closed: false,
        }
    }

    /// The tenant's devices, to be looked at.
    pub(crate) const fn seen(&self) -> Seen<'_> {
        Seen { slots: &self.slots, grid: &self.grid, thresholds: &self.thresholds, revision: self.revision }
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes in a record.
    pub(crate) fn update(&mut self, update: &Update<'_>, room: Room) -> Applied {
        let mut packing = std::mem::take(&mut self.packing);
        let (packed, cut) = packing.pack(update, &self.thresholds);
        let mut applied = self.join(update.device, Packed(packed), room);
        applied.cut += cut;
        self.packing = packing;
        applied
    }

    /// Takes in what is known of a device elsewhere.
    pub(crate) fn join(&mut self, name: &str, comes: Packed<'_>, room: Room) -> Applied {
        let mut applied = Applied::default();
        if self.is_closed {
            return applied;
        }
        let known = self.slots.find(name);
        if known.is_none() && !room.for_device {
            applied.is_refused = true;
            return applied;
        }
        let slot = known.unwrap_or_else(|| self.add(name, GroupId::NONE, &mut applied));
        let device = self.slots.device_mut(slot);
        let joined = self.merge.join(Packed(&device.packed), comes, room.for_values);
        applied.cut = joined.left_out;
        if !joined.is_different {
            return applied;
        }
        let packed = self.merge.joined();
        applied.bytes += packed.len() as i64 - device.packed.len() as i64;
        if packed.len() == device.packed.len() {
            device.packed.copy_from_slice(packed);
        } else {
            device.packed = packed.into();
        }
        let signs = Signs::read(&Packed(&device.packed), &self.thresholds);
        let before = *self.slots.marker(slot);
        self.change(slot, before, Marker { signs, ..before }, &joined.changed, &mut applied);
        applied
    }

    /// Says a device's group; it need not have sent anything yet.
    pub(crate) fn describe(&mut self, name: &str, group: GroupId, room: Room) -> Applied {
        let mut applied = Applied::default();
        if self.is_closed {
            return applied;
        }
        let Some(slot) = self.slots.find(name) else {
            applied.is_refused = !room.for_device;
            if room.for_device {
                let slot = self.add(name, group, &mut applied);
                let marker = *self.slots.marker(slot);
                self.change(slot, Marker::default(), marker, &KeySet::record(), &mut applied);
            }
            return applied;
        };
        let before = *self.slots.marker(slot);
        if before.group != group {
            self.departures.add(self.revision + 1, self.slots.device(slot).name.clone(), before.group);
            self.change(slot, before, Marker { group, ..before }, &KeySet::record(), &mut applied);
        }
        applied
    }

    /// Removes a device.
    pub(crate) fn forget(&mut self, name: &str) -> Applied {
        let mut applied = Applied::default();
        let Some(slot) = self.slots.find(name) else { return applied };
        let before = *self.slots.marker(slot);
        self.grid.move_device(&mut self.slots, slot, before.spot(), None);
        let device = self.slots.remove(slot);
        self.revision += 1;
        for (_, subscriber) in &mut self.subscribers {
            subscriber.remove(slot, name, &before);
            wake(subscriber, &mut applied.wakers);
        }
        applied.is_changed = true;
        (applied.devices, applied.bytes) = (-1, -(device.bytes() as i64));
        self.departures.add(self.revision, device.name, before.group);
        applied
    }

    fn add(&mut self, name: &str, group: GroupId, applied: &mut Applied) -> u32 {
        let slot = self.slots.add(name, group);
        self.subscribers.iter_mut().for_each(|(_, subscriber)| subscriber.add(slot, name));
        applied.devices += 1;
        applied.bytes += self.slots.device(slot).bytes() as i64;
        // Whoever goes on after an interruption may have known a device of another name in this slot, never this one.
        self.slots.device_mut(slot).moved = self.revision + 1;
        slot
    }

    /// A device is not what it was: whoever watches it has something to hear.
    fn change(&mut self, slot: u32, before: Marker, after: Marker, changed: &KeySet, applied: &mut Applied) {
        *self.slots.marker_mut(slot) = after;
        self.grid.move_device(&mut self.slots, slot, before.spot(), after.spot());
        self.revision += 1;
        let device = self.slots.device_mut(slot);
        device.revision = self.revision;
        if before.spot() != after.spot() {
            device.moved = self.revision;
        }
        for (_, subscriber) in &mut self.subscribers {
            subscriber.touch(slot, &before, &after, changed);
            wake(subscriber, &mut applied.wakers);
        }
        applied.is_changed = true;
    }

    /// Takes in a subscriber who knows everything up to a revision, or nothing.
    pub(crate) fn subscribe(&mut self, filter: Filter, since: Option<u64>) -> SubscriberId {
        let left = since.filter(|since| *since <= self.revision);
        let left = left.and_then(|since| Some((since, self.departures.since(since, &filter)?)));
        let matcher = Matcher::new(filter, &self.slots);
        let subscriber = match left {
            Some((since, left)) => Subscriber::resumed(matcher, since, left, self.revision),
            None => Subscriber::new(matcher),
        };
        let id = SubscriberId(self.next_subscriber);
        self.next_subscriber += 1;
        self.subscribers.push((id, subscriber));
        id
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.len()
    }

    pub(crate) fn subscriber_bytes(&self) -> usize {
        self.subscribers.iter().map(|(_, subscriber)| subscriber.bytes()).sum()
    }

    /// A subscriber, and what it looks at; `None` once the tenant was removed or everything ends.
    pub(crate) fn subscriber(&mut self, id: SubscriberId) -> Option<(&mut Subscriber, Seen<'_>)> {
        if self.is_closed {
            return None;
        }
        let Self { subscribers, slots, grid, thresholds, revision, .. } = self;
        let (_, subscriber) = subscribers.iter_mut().find(|(known, _)| *known == id)?;
        Some((subscriber, Seen { slots, grid, thresholds, revision: *revision }))
    }

    pub(crate) fn unsubscribe(&mut self, id: SubscriberId) {
        self.subscribers.retain(|(known, _)| *known != id);
    }

    /// Ends everything; whoever waits is to be woken.
    pub(crate) fn close(&mut self) -> Applied {
        let was_closed = std::mem::replace(&mut self.is_closed, true);
        let wakers = self.subscribers.iter_mut().filter_map(|(_, subscriber)| subscriber.waker.take()).collect();
        let mut applied = Applied { wakers, ..Applied::default() };
        if !was_closed {
            (applied.devices, applied.bytes) = (-(self.slots.devices() as i64), -(self.slots.bytes() as i64));
        }
        applied
    }
}

/// A tenant's devices, while somebody looks at them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) slots: &'a Slots,
    pub(crate) grid: &'a Grid,
    pub(crate) thresholds: &'a Thresholds,
    pub(crate) revision: u64,
}

fn wake(subscriber: &mut Subscriber, wakers: &mut Vec<Waker>) {
    if subscriber.waker.is_some() && subscriber.is_waiting() {
        wakers.extend(subscriber.waker.take());
    }
}
