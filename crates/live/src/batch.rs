//! What a subscriber gets.

use crate::{GroupId, Place, State};
use compact_str::CompactString;
use odograph_model::{Key, Time, Value};
use std::fmt;
use std::str::FromStr;

/// What changed since the batch before, in its newest state. Whoever gets it forgets everything if it is `full`, then
/// everything that is in `left`, and then takes over `devices` and `view`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// It begins anew, because it is the first one, or nobody knows any more what was told before: whatever is not told
    /// from here on is not there.
    pub full: bool,
    /// Devices that are not in view any more: they drove out of it, joined a cluster, changed their group, were removed.
    pub left: Vec<CompactString>,
    /// The newest state of devices, those first that changed first.
    pub devices: Vec<DeviceState>,
    /// The clusters, all of them, if they may have changed; for a filter with a zoom.
    pub view: Option<Crowds>,
    /// With this, a later subscription can go on from here: see [`Live::resume`](crate::Live::resume).
    pub mark: Option<Mark>,
    /// Whether more waits already.
    pub more: bool,
}

/// A device as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceState {
    /// Its id.
    pub device: CompactString,
    /// Its group.
    pub group: GroupId,
    /// What the latest record came by.
    pub protocol: Option<CompactString>,
    /// The event time of the latest record; none if there is no record.
    pub time: Option<Time>,
    /// When something was received of it last, be it late.
    pub received: Option<Time>,
    /// Its state.
    pub state: State,
    /// The time of its latest record while it moved, if one is known: since then it stands, if it does.
    pub moved: Option<Time>,
    /// When it will be without a signal, if nothing comes until then.
    pub silent_at: Option<Time>,
    /// Where it is on the map, if anywhere.
    pub place: Option<Place>,
    /// The parameters that are wanted, in the order of the dictionary.
    pub values: Vec<Known>,
}

/// The newest value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The parameter.
    pub key: Key,
    /// Its value.
    pub value: Value,
    /// The event time of the record that said so.
    pub time: Time,
}

/// What is in view of the map: devices that stand alone, and clusters of the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// Devices that stand alone.
    pub devices: Vec<DeviceState>,
    /// The others.
    pub crowds: Crowds,
}

/// The clusters in view.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Crowds {
    /// The zoom that they were made for: the one that was asked for, or a smaller one, where the box is too large for it.
    pub zoom: u8,
    /// The clusters, from the north-west on.
    pub clusters: Vec<Cluster>,
    /// All devices in the box by their states, those in clusters and those alone.
    pub counts: Counts,
}

/// Devices too close to each other to be shown one by one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cluster {
    /// The cell of the map: the same one has the same column and row as long as the zoom is the same.
    pub column: u32,
    /// Counted from the north.
    pub row: u32,
    /// How many devices.
    pub count: u32,
    /// The middle of the devices.
    pub centre: Place,
    /// The corner of their bounds in the south-west.
    pub south_west: Place,
    /// The one in the north-east.
    pub north_east: Place,
    /// The worst state inside.
    pub worst: State,
}

/// How many devices are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    by_state: [u32; State::ALL.len()],
}

impl Counts {
    pub(crate) fn add(&mut self, state: State) {
        self.by_state[state as usize] += 1;
    }

    /// How many are in that state.
    pub const fn of(&self, state: State) -> u32 {
        self.by_state[state as usize]
    }

    /// How many there are.
    pub fn total(&self) -> u32 {
        self.by_state.iter().sum()
    }
}

/// Up to where a subscriber knows everything: of one run of the program, one filter, and one revision of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub(crate) epoch: u64,
    pub(crate) filter: u64,
    pub(crate) revision: u64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.epoch, self.filter, self.revision)
    }
}

/// The text is no mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no mark of a live stream")]
pub struct BadMark;

impl FromStr for Mark {
    type Err = BadMark;

    fn from_str(text: &str) -> Result<Self, BadMark> {
        let mut parts = text.split('-').map(|part| {
            let is_hex = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_hex { u64::from_str_radix(part, 16).map_err(|_| BadMark) } else { Err(BadMark) }
        });
        let mut part = || parts.next().unwrap_or(Err(BadMark));
        let mark = Self { epoch: part()?, filter: part()?, revision: part()? };
        if parts.next().is_some() { Err(BadMark) } else { Ok(mark) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_from_its_text() {
        let mark = Mark { epoch: u64::MAX, filter: 0, revision: 1_000_000 };
        assert_eq!(mark.to_string(), "ffffffffffffffff-0-f4240");
        assert_eq!(mark.to_string().parse(), Ok(mark));
        for text in ["", "1-2", "1-2-3-4", "1-2-g", "1--3", "+1-2-3", "1-2-10000000000000000"] {
            assert_eq!(text.parse::<Mark>(), Err(BadMark), "{text:?}");
        }
    }
}
