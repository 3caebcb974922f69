//! The journal's entries as records, in their order: with their event time, not yet each once.

use crate::replay::Resettle;
use crate::told::Told;
use crate::{Decoded, Decoder, FrameCounts, Undecoded, Window};
use odograph_handover::{Item, Outlet};
use odograph_journal::{Broken, Entries, Entry, Error, Kind};
use odograph_model::{Key, Lsn, Record, RecordId, RecordView, Time};
use odograph_protocols::Binding;
use std::ops::Range;
use std::sync::Arc;

/// A record as it comes out.
pub struct Event<'a> {
    /// Whose it is.
    pub binding: &'a Binding,
    /// What it came by.
    pub protocol: &'static str,
    /// What the device said; its time is the event time.
    pub record: &'a Record,
    /// The time that the device claimed, also where that is not the event time.
    pub claimed: Option<Time>,
    /// When it was received.
    pub received: Time,
    /// What it is known by.
    pub id: RecordId,
    /// The place in the journal of the frame that it came in.
    pub place: Lsn,
}

impl Event<'_> {
    /// The device that it is about.
    pub fn device(&self) -> &str {
        self.record.device.as_deref().unwrap_or(&self.binding.device)
    }

    /// The event time.
    pub fn time(&self) -> Time {
        self.record.time.unwrap_or(self.received)
    }

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

/// Something that could not be read.
pub enum Trouble<'a> {
    /// The journal is damaged.
    Damaged(&'a Broken),
    /// A frame gave nothing.
    Undecoded(Lsn, &'a Undecoded),
}

/// Whoever wants the records.
pub trait Taker {
    /// Why it takes no more.
    type Error;

    /// Takes an entry of the journal as it is, of the segment that begins at `segment`; the records of its frame come after
    /// it. `told`: what the entry says of whose its stream is.
    fn entry(&mut self, entry: &Entry<'_>, segment: Lsn, told: &Told) -> Result<(), Self::Error> {
        let _ = (entry, segment, told);
        Ok(())
    }

    /// Takes a record.
    fn take(&mut self, event: &Event<'_>) -> Result<(), Self::Error>;

    /// Hears of what could not be read, and was passed over.
    fn trouble(&mut self, trouble: Trouble<'_>);

    /// Whether it wants a pause, after an entry and all records of its frame were taken.
    fn pauses(&mut self) -> bool {
        false
    }
}

/// Why reading ended.
#[derive(Debug)]
pub enum ReadError<E> {
    /// The journal cannot be read.
    Journal(Error),
    /// Whoever takes the records wants no more.
    Taker(E),
}

/// What could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lost {
    /// Frames that gave nothing, because they are malformed or lost their context.
    pub(crate) undecoded: u64,
    /// Places where the journal is damaged.
    pub(crate) damaged: u64,
}

/// Reads records out of the journal.
#[derive(Default)]
pub(crate) struct Frames {
    decoder: Decoder,
    window: Window,
    lost: Lost,
    /// What was passed over because it could not be read, since somebody asked.
    passed: Vec<Range<Lsn>>,
    /// Where damage was found last: it is told once, however often somebody looks whether there is more behind it by now.
    damaged_at: Option<Lsn>,
}

impl Frames {
    /// Reads as if devices' clocks may be wrong by `window`.
    pub(crate) fn new(window: Window) -> Self {
        Self { window, ..Self::default() }
    }

    /// Reads on to the end of `entries`, or to a pause. What comes out of `outlet` is not decoded again.
    pub(crate) fn read<T: Taker>(
        &mut self,
        entries: &mut Entries,
        mut outlet: Option<&mut Outlet>,
        taker: &mut T,
    ) -> Result<(), ReadError<T::Error>> {
        loop {
            let (entry, segment) = match entries.next_in_segment() {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(()),
                Err(Error::Broken(broken)) => {
                    if self.damaged_at.replace(broken.lsn) != Some(broken.lsn) {
                        self.lost.damaged += 1;
                        taker.trouble(Trouble::Damaged(&broken));
                    }
                    if entries.resynchronise().map_err(ReadError::Journal)? == 0 {
                        // Behind the damage, nothing is there yet.
                        return Ok(());
                    }
                    self.pass(broken.lsn..entries.place());
                    self.decoder.skipped_to(entries.place());
                    continue;
                }
                Err(error) => return Err(ReadError::Journal(error)),
            };
            let wanted = outlet.as_deref_mut().filter(|_| entry.kind == Kind::FRAME);
            let item = wanted.and_then(|outlet| outlet.take(entry.lsn));
            let told = Told::of(&entry, item.as_ref().and_then(|item| item.begun.as_ref()));
            taker.entry(&entry, segment, &told).map_err(ReadError::Taker)?;
            self.records(&entry, segment, &told, item, taker).map_err(ReadError::Taker)?;
            if taker.pauses() {
                return Ok(());
            }
        }
    }

    /// Gives the records of an entry.
    fn records<T: Taker>(
        &mut self,
        entry: &Entry<'_>,
        segment: Lsn,
        told: &Told,
        item: Option<Item>,
        taker: &mut T,
    ) -> Result<(), T::Error> {
        let Self { decoder, window, lost, .. } = self;
        give(decoder.entry_or_item(entry, segment, told, item), entry.lsn, *window, lost, taker)
    }

    /// Decodes under other settings than those that were recorded.
    pub(crate) fn resettled(window: Window, resettle: Arc<dyn Resettle>) -> Self {
        Self { decoder: Decoder::resettled(resettle), window, ..Self::default() }
    }

    /// Gives the records of an entry as history has it, of a segment of a node's journal.
    pub(crate) fn stored<T: Taker>(
        &mut self,
        entry: &Entry<'_>,
        segment: (i32, Lsn),
        taker: &mut T,
    ) -> Result<(), T::Error> {
        let Self { decoder, window, lost, .. } = self;
        give(decoder.stored(entry, segment), entry.lsn, *window, lost, taker)
    }

    /// Keeps what was passed over. Not everybody asks for it, and of too much one stretch is kept.
    fn pass(&mut self, over: Range<Lsn>) {
        let is_full = self.passed.len() >= PASSED_MAX;
        match self.passed.last_mut() {
            Some(last) if last.end == over.start || is_full => last.end = over.end,
            _ => self.passed.push(over),
        }
    }

    /// The stretches that were passed over since this was asked last.
    pub(crate) fn take_passed(&mut self) -> Vec<Range<Lsn>> {
        std::mem::take(&mut self.passed)
    }

    pub(crate) const fn lost(&self) -> Lost {
        self.lost
    }

    pub(crate) const fn counts(&self) -> FrameCounts {
        self.decoder.frames()
    }
}

/// More stretches than these are told as one.
const PASSED_MAX: usize = 1000;

/// Gives the records of what was decoded at a place.
fn give<T: Taker>(
    decoded: Result<Option<Decoded<'_>>, Undecoded>,
    place: Lsn,
    window: Window,
    lost: &mut Lost,
    taker: &mut T,
) -> Result<(), T::Error> {
    let decoded = match decoded {
        Ok(Some(decoded)) => decoded,
        Ok(None) => return Ok(()),
        Err(undecoded) => {
            lost.undecoded += 1;
            taker.trouble(Trouble::Undecoded(place, &undecoded));
            return Ok(());
        }
    };
    let (protocol, received) = (decoded.protocol, decoded.received);
    let address = decoded.address.text();
    for mut record in decoded.records {
        let id = RecordId::new(&decoded.binding.device, &record, received);
        let claimed = record.time;
        window.apply(&mut record, received);
        if let Some(address) = &address {
            record.set(Key::DeviceIp, address.clone());
        }
        // One that each device was not decided about by itself goes along with the frame's.
        let other = record.device.as_deref().and_then(|device| decoded.others.device(device));
        let (binding, record) = (&**other.unwrap_or(decoded.binding), &record);
        taker.take(&Event { binding, protocol, record, claimed, received, id, place })?;
    }
    Ok(())
}
