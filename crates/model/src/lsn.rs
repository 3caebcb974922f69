//! Places in the journal.

/// A place in one node's journal: bytes since its beginning, headers included.
///
/// An entry is named by the place of its first byte. A cursor or a durable mark is the place *after* the last byte
/// that it covers, so an entry that ends at `end` is durable once `durable >= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl std::fmt::Display for Lsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
