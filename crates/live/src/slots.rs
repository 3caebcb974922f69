//! The devices of one tenant, each in a slot: what is known of it, and its marker, which is all that filters look at.

use crate::area::Spot;
use crate::state::Signs;
use crate::{GroupId, State, Thresholds};
use compact_str::CompactString;
use hashbrown::{DefaultHashBuilder, HashTable};
use odograph_model::Time;
use std::hash::BuildHasher as _;

/// Devices by slots and by names. Slots of devices that were removed are taken again.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    devices: Vec<Device>,
    /// Beside the devices, so that going through all of them touches little memory.
    markers: Vec<Marker>,
    free: Vec<u32>,
    names: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

/// What is known of a device.
#[derive(Debug, Default)]
pub(crate) struct Device {
    /// Its id.
    pub(crate) name: CompactString,
    /// See [`crate::packed`].
    pub(crate) packed: Box<[u8]>,
    /// The tenant's revision when something of it changed last.
    pub(crate) revision: u64,
    /// The tenant's revision when its place on the map changed last.
    pub(crate) moved: u64,
    /// Where it is in its cell of the grid.
    pub(crate) in_cell: u32,
}

/// What filters and maps look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Marker {
    pub(crate) signs: Signs,
    pub(crate) group: GroupId,
    /// Whether there is a device in this slot.
    pub(crate) is_there: bool,
}

impl Marker {
    pub(crate) const fn spot(&self) -> Option<Spot> {
        self.signs.spot
    }

    pub(crate) fn state(&self, now: Time, thresholds: &Thresholds) -> State {
        self.signs.state(now, thresholds)
    }
}

impl Slots {
    /// How many slots there are, with devices and without.
    pub(crate) fn count(&self) -> u32 {
        self.markers.len() as u32
    }

    /// How many devices there are.
    pub(crate) fn devices(&self) -> usize {
        self.names.len()
    }

    /// How much memory the devices take.
    pub(crate) fn bytes(&self) -> usize {
        self.names.iter().map(|slot| self.device(*slot).bytes()).sum()
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.names.find(self.hasher.hash_one(name), |slot| self.device(*slot).name == name).copied()
    }

    /// Gives a device that is new a slot.
    pub(crate) fn add(&mut self, name: &str, group: GroupId) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.devices.push(Device::default());
            self.markers.push(Marker::default());
            // Devices are bounded by far less than this counts: `Options::devices_max`.
            self.count() - 1
        });
        self.devices[slot as usize].name = name.into();
        self.markers[slot as usize] = Marker { group, is_there: true, ..Marker::default() };
        let Self { devices, names, hasher, .. } = self;
        let hash = |slot: &u32| hasher.hash_one(&*devices[*slot as usize].name);
        names.insert_unique(hasher.hash_one(name), slot, hash);
        slot
    }

    /// Frees the slot of a device.
    pub(crate) fn remove(&mut self, slot: u32) -> Device {
        let device = std::mem::take(self.device_mut(slot));
        self.markers[slot as usize] = Marker::default();
        if let Ok(entry) = self.names.find_entry(self.hasher.hash_one(&*device.name), |known| *known == slot) {
            entry.remove();
        }
        self.free.push(slot);
        device
    }

    pub(crate) fn device(&self, slot: u32) -> &Device {
        &self.devices[slot as usize]
    }

    pub(crate) fn device_mut(&mut self, slot: u32) -> &mut Device {
        &mut self.devices[slot as usize]
    }

    pub(crate) fn marker(&self, slot: u32) -> &Marker {
        &self.markers[slot as usize]
    }

    pub(crate) fn marker_mut(&mut self, slot: u32) -> &mut Marker {
        &mut self.markers[slot as usize]
    }
}

impl Device {
    /// How much memory the device takes, its marker, its name and its places in tables counted.
    pub(crate) fn bytes(&self) -> usize {
        let name = if self.name.is_heap_allocated() { self.name.capacity() } else { 0 };
        SLOT_BYTES + name + self.packed.len()
    }
}

/// Without what a device's state and long name take.
const SLOT_BYTES: usize = size_of::<Device>() + size_of::<Marker>() + TABLE_BYTES;
/// In the table of names, and in the grid, both at their usual load.
const TABLE_BYTES: usize = 8 + 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_taken_again_and_names_lead_to_their_devices() {
        let mut slots = Slots::default();
        let [a, b] = ["a", "b"].map(|name| slots.add(name, GroupId::NONE));
        assert_eq!((slots.find("a"), slots.find("b"), slots.find("c")), (Some(a), Some(b), None));
        assert_eq!(slots.remove(a).name, "a");
        assert_eq!((slots.find("a"), slots.find("b"), slots.devices(), slots.count()), (None, Some(b), 1, 2));
        let c = slots.add("c", GroupId(7));
        assert_eq!((c, slots.find("c"), slots.marker(c).group, slots.count()), (a, Some(c), GroupId(7), 2));
    }

    #[test]
    fn a_marker_stays_small() {
        assert!(size_of::<Marker>() <= 40, "{}", size_of::<Marker>());
        assert!(size_of::<Device>() <= 64, "{}", size_of::<Device>());
    }
}
