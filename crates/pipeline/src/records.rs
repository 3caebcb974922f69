//! Records out of the journal, each once.

use crate::Window;
use crate::frames::{Event, Frames, ReadError, Taker, Trouble};
use hashbrown::HashSet;
use odograph_journal::Entries;
use odograph_model::RecordId;

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

/// Reads records out of the journal, each once: a record is a duplicate only of one before it in the journal.
#[derive(Default)]
pub struct Records {
    frames: Frames,
    seen: HashSet<RecordId>,
    duplicates: u64,
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
        let mut once = Once { seen: &mut self.seen, duplicates: &mut self.duplicates, wanted, take, trouble };
        self.frames.read(entries, None, &mut once)
    }

    /// What was read so far.
    pub fn totals(&self) -> Totals {
        let lost = self.frames.lost();
        let records = self.seen.len() as u64;
        Totals { records, duplicates: self.duplicates, undecoded: lost.undecoded, damaged: lost.damaged }
    }
}

struct Once<'a, W, T, R> {
    seen: &'a mut HashSet<RecordId>,
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
            return (self.take)(event);
        }
        *self.duplicates += 1;
        Ok(())
    }

    fn trouble(&mut self, trouble: Trouble<'_>) {
        (self.trouble)(trouble);
    }
}
