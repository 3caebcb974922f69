//! Whose each entry is, and what each device's entries in a segment hash to.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use odograph_env::UnixMillis;

use crate::entry::{Entry, Kind};
use crate::merkle::{self, Hash};

/// Tells whose the entries of one segment are. It must see all of them, in order.
#[derive(Default)]
pub(crate) struct Attribution {
    names: Vec<Box<str>>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The device of each stream that is bound to one.
    streams: HashMap<u64, u32>,
}

impl Attribution {
    /// The number of the device that the entry belongs to. Numbers count from 0 as devices appear.
    pub(crate) fn device_of(&mut self, entry: &Entry<'_>) -> u32 {
        let bound = match entry.identity {
            Some(identity) => {
                let number = self.number(identity.device);
                if identity.device.is_empty() {
                    self.streams.remove(&entry.stream);
                } else {
                    self.streams.insert(entry.stream, number);
                }
                Some(number)
            }
            None => self.streams.get(&entry.stream).copied(),
        };
        if entry.kind == Kind::CLOSE {
            self.streams.remove(&entry.stream);
        }
        bound.unwrap_or_else(|| self.number(""))
    }

    /// The name of a device; empty for entries that are nobody's.
    pub(crate) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    fn number(&mut self, name: &str) -> u32 {
        let hash = self.hasher.hash_one(name);
        let known = self.numbers.find(hash, |&number| &*self.names[number as usize] == name);
        if let Some(&number) = known {
            return number;
        }
        let number = u32::try_from(self.names.len()).expect("a segment has fewer than 2^32 entries");
        self.names.push(name.into());
        let Self { numbers, names, hasher, .. } = self;
        numbers.insert_unique(hash, number, |&number| hasher.hash_one(&*names[number as usize]));
        number
    }
}

/// The running hashes of a segment's devices, and where their entries are.
pub(crate) struct Tally {
    attribution: Attribution,
    /// By the device's number.
    devices: Vec<Leaf>,
    placed: Vec<Placed>,
    /// How many entries are nobody's any more, because they were erased.
    erased: u64,
    times: Option<(UnixMillis, UnixMillis)>,
}

/// What is known of one device.
#[derive(Debug, Clone, Copy, Default)]
struct Leaf {
    hash: Hash,
    entries: u64,
}

/// One entry: 8 bytes each, so that a segment of short entries stays within some 20 MiB.
struct Placed {
    device: u32,
    offset: u32,
}

/// One device of a finished tally.
pub(crate) struct DeviceTally<'a> {
    pub(crate) device: &'a str,
    pub(crate) hash: Hash,
    /// Where its entries begin in the file, ascending.
    pub(crate) offsets: &'a [u32],
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { attribution: Attribution::default(), devices: Vec::new(), placed: Vec::new(), erased: 0, times: None }
    }

    /// Adds the next entry, which begins at `offset` in the file, and returns whose it is.
    pub(crate) fn add(&mut self, entry: &Entry<'_>, offset: u64) -> &str {
        let (least, greatest) = self.times.unwrap_or((entry.at, entry.at));
        self.times = Some((least.min(entry.at), greatest.max(entry.at)));
        if entry.erased().is_some() {
            self.erased += 1;
            return "";
        }
        let device = self.attribution.device_of(entry);
        if device as usize >= self.devices.len() {
            self.devices.resize(device as usize + 1, Leaf::default());
        }
        let leaf = &mut self.devices[device as usize];
        leaf.hash = merkle::extend(&leaf.hash, entry.bytes);
        leaf.entries += 1;
        let offset = u32::try_from(offset).expect("segments are shorter than 4 GiB");
        self.placed.push(Placed { device, offset });
        self.attribution.name(device)
    }

    pub(crate) fn entries(&self) -> u64 {
        self.placed.len() as u64 + self.erased
    }

    /// How many of them were erased.
    pub(crate) fn erased(&self) -> u64 {
        self.erased
    }

    /// The least and the greatest time of any entry.
    pub(crate) fn times(&self) -> Option<(UnixMillis, UnixMillis)> {
        self.times
    }

    /// Gives each device that has entries to `each`, sorted by name.
    pub(crate) fn for_each_device(&self, mut each: impl FnMut(DeviceTally<'_>)) {
        // A counting sort by device keeps the offsets of each in their order.
        let mut next = Vec::with_capacity(self.devices.len());
        let mut total = 0_usize;
        for leaf in &self.devices {
            next.push(total);
            total += leaf.entries as usize;
        }
        let starts = next.clone();
        let mut offsets = vec![0; total];
        for placed in &self.placed {
            let slot = &mut next[placed.device as usize];
            offsets[*slot] = placed.offset;
            *slot += 1;
        }
        let mut order: Vec<usize> =
            (0..self.devices.len()).filter(|&device| self.devices[device].entries > 0).collect();
        order.sort_unstable_by_key(|&device| &*self.attribution.names[device]);
        for device in order {
            each(DeviceTally {
                device: &self.attribution.names[device],
                hash: self.devices[device].hash,
                offsets: &offsets[starts[device]..next[device]],
            });
        }
    }
}
