//! Records out of the journal, each once.

use crate::{Decoder, Undecoded, Window};
use hashbrown::HashSet;
use odograph_journal::{Entries, Error};
use odograph_model::{Record, RecordId, RecordView, Time};
use odograph_protocols::Binding;

/// A record as it comes out.
pub struct Event<'a> {
    /// Whose it is.
    pub binding: &'a Binding,
    /// What it came by.
    pub protocol: &'static str,
    /// What the device said; its time is the event time.
    pub record: &'a Record,
    /// When it was received first.
    pub received: Time,
    /// What it is known by.
    pub id: RecordId,
}

impl Event<'_> {
    /// The record as one flat object.
    pub fn view(&self) -> RecordView<'_> {
        RecordView {
            device: Some(&self.binding.device),
            protocol: self.protocol,
            record: self.record,
            received: Some((self.received, self.id)),
        }
    }
}

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
    decoder: Decoder,
    window: Window,
    seen: HashSet<RecordId>,
    totals: Totals,
}

impl Records {
    /// Reads as if devices' clocks may be wrong by `window`.
    pub fn new(window: Window) -> Self {
        Self { window, ..Self::default() }
    }

    /// Reads on to the end of `entries`, and gives each new record to `take` until that says no. What cannot be
    /// decoded, and damage in the journal, is told to `trouble` and passed over.
    pub fn read<E>(
        &mut self,
        entries: &mut Entries,
        mut take: impl FnMut(&Event<'_>) -> Result<(), E>,
        mut trouble: impl FnMut(Trouble<'_>),
    ) -> Result<(), ReadError<E>> {
        loop {
            let entry = match entries.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(()),
                Err(Error::Broken(broken)) => {
                    self.totals.damaged += 1;
                    trouble(Trouble::Damaged(&broken));
                    if entries.resynchronise().map_err(ReadError::Journal)? == 0 {
                        // Behind the damage, nothing is there yet.
                        return Ok(());
                    }
                    self.decoder.skipped_to(entries.place());
                    continue;
                }
                Err(error) => return Err(ReadError::Journal(error)),
            };
            let decoded = match self.decoder.entry(&entry) {
                Ok(Some(decoded)) => decoded,
                Ok(None) => continue,
                Err(undecoded) => {
                    self.totals.undecoded += 1;
                    trouble(Trouble::Undecoded(entry.lsn, &undecoded));
                    continue;
                }
            };
            for mut record in decoded.records {
                let id = RecordId::new(&decoded.binding.device, &record, decoded.received);
                if !self.seen.insert(id) {
                    self.totals.duplicates += 1;
                    continue;
                }
                self.totals.records += 1;
                self.window.apply(&mut record, decoded.received);
                let (binding, protocol, received) = (&**decoded.binding, decoded.protocol, decoded.received);
                take(&Event { binding, protocol, record: &record, received, id }).map_err(ReadError::Taker)?;
            }
        }
    }

    /// What was read so far.
    pub const fn totals(&self) -> Totals {
        self.totals
    }
}

/// Something that could not be read.
pub enum Trouble<'a> {
    /// The journal is damaged.
    Damaged(&'a odograph_journal::Broken),
    /// A frame gave nothing.
    Undecoded(odograph_model::Lsn, &'a Undecoded),
}

/// Why reading ended.
#[derive(Debug)]
pub enum ReadError<E> {
    /// The journal cannot be read.
    Journal(Error),
    /// Whoever takes the records wants no more.
    Taker(E),
}
