//! A filter as it is asked for each device.

use crate::Filter;
use crate::bits::{Bits, KeySet};
use crate::slots::{Marker, Slots};

/// A filter over the devices of its tenant.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) filter: Filter,
    /// The parameters that are told.
    pub(crate) told: KeySet,
    /// The parameters whose change is heard of.
    pub(crate) heard: KeySet,
    /// The devices that are asked for by name, by their slots.
    chosen: Bits,
}

impl Matcher {
    pub(crate) fn new(filter: Filter, slots: &Slots) -> Self {
        let mut chosen = Bits::default();
        for name in filter.devices.iter().flatten() {
            slots.find(name).map(|slot| chosen.insert(slot));
        }
        Self { told: filter.told(), heard: filter.heard(), chosen, filter }
    }

    /// A device is new in this slot.
    pub(crate) fn add(&mut self, slot: u32, name: &str) {
        if self.filter.devices.as_ref().is_some_and(|devices| devices.contains(name)) {
            self.chosen.insert(slot);
        }
    }

    /// The device in this slot is no more.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.chosen.remove(slot);
    }

    /// Whether the device in a slot is wanted, and may be seen.
    pub(crate) fn shows(&self, slot: u32, marker: &Marker) -> bool {
        let is_in_place = match (marker.spot(), &self.filter.area) {
            (Some(spot), Some(area)) => area.contains(spot),
            (None, Some(_)) => false,
            (spot, None) => spot.is_some() || self.filter.zoom.is_none(),
        };
        is_in_place && self.would_show(slot, marker)
    }

    /// The same, wherever the device is.
    pub(crate) fn would_show(&self, slot: u32, marker: &Marker) -> bool {
        let Filter { permitted, groups, devices, .. } = &self.filter;
        let is_chosen = devices.is_none() || self.chosen.has(slot);
        marker.is_there && is_chosen && permitted.has(marker.group) && groups.has(marker.group)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.chosen.bytes()
    }
}
