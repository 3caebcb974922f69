//! How the journal tells the rest of the program what happens: a trait that the rest implements, and counters.

use std::time::Duration;

use odograph_model::Lsn;

use crate::chain::SealRecord;
use crate::error::Fatal;
use crate::retention::Removal;

/// Hears what happens. Called on the committing (or sealing) thread without any lock held: be quick.
pub trait Observer: Send + Sync {
    /// Everything before [`Commit::durable`] is on disk.
    fn committed(&self, commit: &Commit) {
        let _ = commit;
    }

    /// The disk became full (`true`), or there is space again (`false`).
    fn full(&self, full: bool) {
        let _ = full;
    }

    /// The segment that begins at `base` is about to be sealed; told again for each try.
    fn sealing(&self, base: Lsn) {
        let _ = base;
    }

    /// A segment was sealed.
    fn sealed(&self, record: &SealRecord) {
        let _ = record;
    }

    /// The sealing thread failed: segments are sealed no more until the next start, and everything else goes on.
    fn sealing_lost(&self) {}

    /// A missing index was made again; or it was not (`false`), because the segment is not what was sealed any more, or cannot
    /// be read, or there is no space.
    fn index_rebuilt(&self, record: &SealRecord, rebuilt: bool) {
        let _ = (record, rebuilt);
    }

    /// A segment is about to be removed.
    fn removing(&self, removal: &Removal) {
        let _ = removal;
    }

    /// A segment was removed; [`Removal::forced`] says that somebody still needed it.
    fn removed(&self, removal: &Removal) {
        let _ = removal;
    }

    /// The segment that begins at `base` is removed and cannot be proven any more: neither its index nor what it holds is
    /// as it was sealed.
    fn unprovable(&self, base: Lsn) {
        let _ = base;
    }

    /// The disk failed, and the journal takes nothing more.
    fn failed(&self, fatal: &Fatal) {
        let _ = fatal;
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

/// One group that became durable with one flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Where the group begins.
    pub from: Lsn,
    /// Everything before this place is durable now.
    pub durable: Lsn,
    /// How many entries the group has.
    pub entries: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How long writing took.
    pub write: Duration,
    /// How long the flush took.
    pub sync: Duration,
}

/// What the journal did since it was opened, and how it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Everything before this place is durable.
    pub durable: Lsn,
    /// The place after the last entry that was appended.
    pub appended: Lsn,
    /// Bytes that were appended and are not durable yet.
    pub pending_bytes: u64,
    /// The disk is full: nothing becomes durable until there is space.
    pub full: bool,
    /// The disk failed: nothing becomes durable any more.
    pub failed: bool,
    /// The sealing thread failed: no segment is sealed until the next start.
    pub sealing_lost: bool,
    /// Groups committed.
    pub commits: u64,
    /// Entries committed.
    pub entries: u64,
    /// Segments begun.
    pub segments: u64,
    /// Segments sealed.
    pub sealed: u64,
    /// Segments that are complete and wait for their seal.
    pub unsealed: u64,
    /// When the step began that the committing thread is in, by [`odograph_env::Clock::monotonic`]; `None`: it waits
    /// for work. A watchdog compares it with now.
    pub step_since: Option<Duration>,
}
