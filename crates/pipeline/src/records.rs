//! Records out of the journal, each once.

use crate::Window;
use crate::frames::{Event, Frames, ReadError, Taker, Trouble};
use hashbrown::HashSet;
use odograph_journal::{Entries, Entry};
use odograph_model::{Lsn, RecordId};
use std::collections::VecDeque;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Records that came out.
    pub records: u64,
    /// Records that had come out before.
    pub duplicates: u64,
    /// Frames that gave nothing, because they are malformed or lost their context.
    pub undecoded: u64,
    /// Places where the journal is damaged.
    pub damaged: u64,
}

/// Reads records out of the journal, each once: a record is a duplicate only of one before it in the journal, and of one
/// that is not further away than [`REMEMBERED_MAX`] others.
#[derive(Default)]
pub struct Records {
    frames: Frames,
    seen: Seen,
    records: u64,
    duplicates: u64,
}

/// The ids that came last.
struct Seen {
    ids: HashSet<RecordId>,
    order: VecDeque<RecordId>,
    max: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self { ids: HashSet::new(), order: VecDeque::new(), max: REMEMBERED_MAX }
    }
}

impl Seen {
    /// Whether it is new.
    fn insert(&mut self, id: RecordId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        if self.order.len() >= self.max {
            self.order.pop_front().map(|oldest| self.ids.remove(&oldest));
        }
        self.order.push_back(id);
        true
    }
}

impl Records {
    /// Reads as if devices' clocks may be wrong by `window`.
    pub fn new(window: Window) -> Self {
        Self { frames: Frames::new(window), ..Self::default() }
    }

    /// Reads on to the end of `entries`, and gives each new record to `take` until that says no. What cannot be
    /// decoded, and damage in the journal, is told to `trouble` and passed over.
    pub fn read<E>(
        &mut self,
        entries: &mut Entries,
        take: impl FnMut(&Event<'_>) -> Result<(), E>,
        trouble: impl FnMut(Trouble<'_>),
    ) -> Result<(), ReadError<E>> {
        self.read_some(entries, |_| true, take, trouble)
    }

    /// The same, for those records alone that are `wanted`; the others are not remembered either.
    pub fn read_some<E>(
        &mut self,
        entries: &mut Entries,
        wanted: impl FnMut(&Event<'_>) -> bool,
        take: impl FnMut(&Event<'_>) -> Result<(), E>,
        trouble: impl FnMut(Trouble<'_>),
    ) -> Result<(), ReadError<E>> {
        let Self { frames, seen, records, duplicates } = self;
        frames.read(entries, None, &mut Once { seen, records, duplicates, wanted, take, trouble })
    }

    /// Takes the next entry as history has it, of the segment that begins at a place of a node's journal, and gives its
    /// records like [`Records::read_some`]. Entries of other conversations may be missing.
    ///
    /// # Errors
    ///
    /// Those of `take`.
    pub fn stored<E>(
        &mut self,
        entry: &Entry<'_>,
        segment: (i32, Lsn),
        wanted: impl FnMut(&Event<'_>) -> bool,
        take: impl FnMut(&Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { frames, seen, records, duplicates } = self;
        let trouble = |_: Trouble<'_>| {};
        frames.stored(entry, segment, &mut Once { seen, records, duplicates, wanted, take, trouble })
    }

    /// What was read so far.
    pub fn totals(&self) -> Totals {
        let lost = self.frames.lost();
        Totals { records: self.records, duplicates: self.duplicates, undecoded: lost.undecoded, damaged: lost.damaged }
    }
}

struct Once<'a, W, T, R> {
    seen: &'a mut Seen,
    records: &'a mut u64,
    duplicates: &'a mut u64,
    wanted: W,
    take: T,
    trouble: R,
}

impl<E, W, T, R> Taker for Once<'_, W, T, R>
where
    W: FnMut(&Event<'_>) -> bool,
    T: FnMut(&Event<'_>) -> Result<(), E>,
    R: FnMut(Trouble<'_>),
{
    type Error = E;

    fn take(&mut self, event: &Event<'_>) -> Result<(), E> {
        if !(self.wanted)(event) {
            return Ok(());
        }
        if self.seen.insert(event.id) {
            *self.records += 1;
            return (self.take)(event);
        }
        *self.duplicates += 1;
        Ok(())
    }

    fn trouble(&mut self, trouble: Trouble<'_>) {
        (self.trouble)(trouble);
    }
}

/// So many ids are remembered, of some tens of bytes each: what devices send again, they send sooner than that.
pub const REMEMBERED_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_that_came_last_are_remembered_and_no_more() {
        let mut seen = Seen { max: 3, ..Seen::default() };
        let new = |seen: &mut Seen, ids: &[u64]| ids.iter().map(|id| seen.insert(RecordId(*id))).collect::<Vec<_>>();
        assert_eq!(new(&mut seen, &[1, 2, 1, 3, 2]), [true, true, false, true, false]);
        assert_eq!(
            new(&mut seen, &[4, 2, 3, 1]),
            [true, false, false, true],
            "the fourth takes the place of the first"
        );
        assert_eq!((seen.ids.len(), seen.order.len()), (3, 3));
    }
}
