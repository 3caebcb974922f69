//! How far a simulation is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counts, which the drivers write and whoever shows them reads; and the word to stop.
#[derive(Debug, Default)]
pub struct Progress {
    pub(crate) sent: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) again: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) connected: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) caught_up: AtomicU64,
    stop: AtomicBool,
}

/// Counts at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were sent for the first time.
    pub sent: u64,
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// Records that were sent again.
    pub again: u64,
    /// Records that devices had no room for.
    pub dropped: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Devices that have a connection now.
    pub connected: u64,
    /// Connections made.
    pub connections: u64,
    /// Connections that were not to be had, or ended otherwise than by the device's will.
    pub failures: u64,
    /// Logins that were refused.
    pub refused: u64,
    /// Commands obeyed.
    pub commands: u64,
    /// Devices that have said all of their past.
    pub caught_up: u64,
}

impl Progress {
    /// The counts.
    pub fn counts(&self) -> Counts {
        Counts {
            sent: self.sent.load(Relaxed),
            acknowledged: self.acknowledged.load(Relaxed),
            again: self.again.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            connected: self.connected.load(Relaxed),
            connections: self.connections.load(Relaxed),
            failures: self.failures.load(Relaxed),
            refused: self.refused.load(Relaxed),
            commands: self.commands.load(Relaxed),
            caught_up: self.caught_up.load(Relaxed),
        }
    }

    /// Ends the simulation: devices wait a moment for what is under way, and close.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Whether it is to end.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Relaxed)
    }

    pub(crate) fn frame_sent(&self, records: usize, bytes: usize, again: bool) {
        add(if again { &self.again } else { &self.sent }, records as u64);
        add(&self.bytes, bytes as u64);
    }
}

pub(crate) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Relaxed);
}

pub(crate) fn take(count: &AtomicU64, less: u64) {
    count.fetch_sub(less, Relaxed);
}
