//! What is counted of a tenant's day.

use compact_str::CompactString;
use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

/// How much a tenant used in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Messages of its devices that were taken in.
    pub messages: u64,
    /// Records that history kept of them.
    pub records: u64,
    /// Bytes from its devices.
    pub bytes_in: u64,
    /// Bytes to its devices.
    pub bytes_out: u64,
    /// Devices that sent a message.
    pub devices: u64,
}

/// A tenant's day.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DayOf {
    /// The day (UTC), since 1970.
    pub day: i32,
    /// The tenant.
    pub tenant: CompactString,
}

/// What was counted of a tenant's day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Whose, and which.
    #[serde(flatten)]
    pub of: DayOf,
    /// How much.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A day that is being counted.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) devices: HashSet<CompactString>,
    /// Those that the file does not have.
    pub(crate) fresh: Vec<CompactString>,
    /// Whether it says more than the file.
    pub(crate) is_changed: bool,
    /// What was told of it last to whoever writes the bills.
    pub(crate) told: Option<Counts>,
}

impl Tally {
    /// Counts a device that sent.
    pub(crate) fn heard(&mut self, device: &str) {
        if self.devices.contains(device) {
            return;
        }
        self.devices.insert(device.into());
        self.fresh.push(device.into());
        // A day that was closed and begins anew knows how many there were and not which: nobody pays for one twice.
        self.counts.devices = self.counts.devices.max(self.devices.len() as u64);
    }
}
