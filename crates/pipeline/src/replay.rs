//! Entries decoded once more, out of history: by this version, and under other settings where somebody says so.

use crate::frames::{Event, Frames, Taker, Trouble};
use crate::{Undecoded, Window};
use odograph_journal::Entry;
use odograph_model::Lsn;
use odograph_protocols::{Binding, Context, Protocol};
use std::sync::Arc;

/// Which settings hold when entries are decoded again.
pub trait Resettle: Send + Sync {
    /// Puts the listener's settings in the place of those that were recorded.
    fn listener(&self, protocol: &'static Protocol, context: &mut Context);

    /// Puts the device's settings in the place of those that were recorded.
    fn device(&self, protocol: &'static Protocol, binding: &mut Binding);

    /// Whether a device is known to go by another name.
    fn is_name_of(&self, id: &str, device: &str) -> bool;
}

/// Decodes entries that are given to it in the order of the journal, from the beginning of a segment on.
pub struct Again {
    frames: Frames,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It could be read, and all that it says was given.
    Read,
    /// It is malformed.
    Malformed,
    /// Its bytes say nothing without what is missing: the state of its conversation, or whose it is.
    Unreadable,
}

impl Again {
    /// Decodes as if devices' clocks may be wrong by `window`.
    pub fn new(window: Window, resettle: Arc<dyn Resettle>) -> Self {
        Self { frames: Frames::resettled(window, resettle) }
    }

    /// Takes the next entry of the segment that begins at `segment` of the journal of `node`, and gives its records.
    pub fn entry(&mut self, entry: &Entry<'_>, node: i32, segment: Lsn, take: impl FnMut(&Event<'_>)) -> Came {
        let mut told = Told { take, came: Came::Read };
        match self.frames.stored(entry, (node, segment), &mut told) {
            Ok(()) => told.came,
            Err(never) => match never {},
        }
    }
}

struct Told<F> {
    take: F,
    came: Came,
}

impl<F: FnMut(&Event<'_>)> Taker for Told<F> {
    type Error = std::convert::Infallible;

    fn take(&mut self, event: &Event<'_>) -> Result<(), Self::Error> {
        (self.take)(event);
        Ok(())
    }

    fn trouble(&mut self, trouble: Trouble<'_>) {
        self.came = match trouble {
            Trouble::Undecoded(_, Undecoded::Malformed(..)) => Came::Malformed,
            Trouble::Undecoded(..) | Trouble::Damaged(_) => Came::Unreadable,
        };
    }
}
