//! The way of records into tables: a cursor over the journal, each record once.

use crate::dedup::{Candidate, Dedup, Device, History, Known};
use crate::frames::{Event, Frames, ReadError, Taker, Trouble};
use crate::owners::{Owner, Owners};
use crate::told::Told;
use crate::{FrameCounts, Window};
use compact_str::CompactString;
use odograph_handover::Outlet;
use odograph_journal::{Entries, Entry, Kind, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::Decision;
use std::ops::Range;

/// Where records are kept for good.
///
/// Whoever keeps them commits records and a place in the journal in one step, so that neither is ever there without the
/// other.
pub trait Tables: History {
    /// Every device of which there are records, by what was committed.
    ///
    /// # Errors
    ///
    /// When that cannot be read.
    fn devices(&mut self) -> Result<Vec<KnownDevice>, Self::Error>;

    /// Devices of which others committed records to the same tables, and up to where, as far as these tables show them since this
    /// was asked last. It is asked before each decision.
    fn of_others(&mut self) -> Vec<KnownDevice> {
        Vec::new()
    }

    /// Whether the record was committed by an earlier run over the journal.
    ///
    /// # Errors
    ///
    /// When that cannot be read.
    fn has(&mut self, event: &Event<'_>) -> Result<bool, Self::Error>;

    /// Takes a record, to be committed later.
    ///
    /// # Errors
    ///
    /// When it cannot be kept in memory as it is.
    fn push(&mut self, event: &Event<'_>) -> Result<(), Self::Error>;

    /// Takes an entry of the journal as it is, to be committed later, unless that was done by an earlier run.
    ///
    /// # Errors
    ///
    /// When it cannot be kept in memory.
    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Self::Error>;

    /// Hears that something came of a device that waits for a person's decision, or may be of it: its records are pushed to nobody. It
    /// may be told again, and also where it was told by an earlier run.
    fn waits(&mut self, waiting: &Waiting<'_>) {
        let _ = waiting;
    }

    /// Commits what is due, or all, and returns how many commits were completed. All records and entries before `read`
    /// were pushed.
    ///
    /// # Errors
    ///
    /// When it cannot be written. What was not committed can be tried again.
    fn flush(&mut self, read: Lsn, all: bool) -> Result<usize, Self::Error>;

    /// Up to where records and entries are committed, if all before `read` were pushed.
    fn committed(&self, read: Lsn) -> Places;
}

/// An entry of the journal with what is known about it.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The entry.
    pub entry: &'a Entry<'a>,
    /// Where its segment begins.
    pub segment: Lsn,
    /// Whose it is.
    pub owner: Owner<'a>,
}

/// Something of a device that waits for a person's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// Whom the device belongs to.
    pub tenant: &'a str,
    /// Its id.
    pub device: &'a str,
    /// From where its segment begins to where its entry ends.
    pub places: Range<Lsn>,
    /// When it was received.
    pub received: Time,
}

/// Places in the journal, each with all before it done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Places {
    /// For records.
    pub records: Lsn,
    /// For entries as they are.
    pub frames: Lsn,
}

impl Places {
    /// The one before which everything is done.
    pub fn least(self) -> Lsn {
        self.records.min(self.frames)
    }
}

/// A device, and what there is of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDevice {
    /// Whom it belongs to.
    pub tenant: CompactString,
    /// Its id.
    pub id: CompactString,
    /// Up to where there are records.
    pub known: Known,
}

/// What came of a change to tables.
pub struct Amended<R> {
    /// Devices whose records are not those that were there, and what there is of them now.
    pub devices: Vec<KnownDevice>,
    /// What whoever asked for it wants to know.
    pub result: R,
}

/// Reads the journal and fills tables.
pub struct Pipeline<T> {
    entries: Entries,
    frames: Frames,
    owners: Owners,
    dedup: Dedup,
    tables: T,
    progress: Progress,
    /// Everything before these places was in the tables at the beginning.
    from: Places,
}

/// What was done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Everything before this place was read.
    pub read: Lsn,
    /// Everything before these places is committed, durably.
    pub committed: Places,
    /// Records that went to the tables.
    pub records: u64,
    /// Records that were there before.
    pub duplicates: u64,
    /// Records that were taken for new ones because what may have them is damaged.
    pub unsure: u64,
    /// Frames that were read, by where their records came from.
    pub frames: FrameCounts,
    /// Frames that gave nothing.
    pub undecoded: u64,
    /// Places where the journal is damaged.
    pub damaged: u64,
    /// Commits to tables.
    pub commits: u64,
}

/// Why the pipeline cannot go on for now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError<E: std::error::Error> {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] odograph_journal::Error),
    /// The tables cannot be read or written.
    #[error("history cannot be read or written")]
    Tables(#[source] E),
}

impl<T: Tables> Pipeline<T>
where
    T::Error: std::error::Error,
{
    /// Goes on at `from`: everything before it is in the tables. What was written behind it before a crash is found in the
    /// tables' cursors, and not written again. Devices' clocks may be wrong by `window`.
    ///
    /// # Errors
    ///
    /// When the journal or the tables cannot be read.
    pub fn open(reader: &Reader, mut tables: T, from: Places, window: Window) -> Result<Self, PipelineError<T::Error>> {
        let mut dedup = Dedup::default();
        for device in tables.devices().map_err(PipelineError::Tables)? {
            dedup.restore(Device { tenant: &device.tenant, id: &device.id }, device.known);
        }
        // A segment decodes on its own, but only as a whole.
        let begin = reader.segment_begin(from.least())?.unwrap_or(from.least());
        let mut entries = reader.entries(begin, Some(begin))?;
        entries.wait_for_seals();
        let progress = Progress { read: begin, committed: from, ..Progress::default() };
        Ok(Self { entries, frames: Frames::new(window), owners: Owners::default(), dedup, tables, progress, from })
    }

    /// Reads on, up to `durable` (or else as far as can be read), or for some thousand entries. Returns whether the end was
    /// reached.
    ///
    /// # Errors
    ///
    /// When the journal or the tables cannot be read. Then some records of a frame may be missing: begin again with
    /// [`Pipeline::open`].
    pub fn read(&mut self, durable: Option<Lsn>) -> Result<bool, PipelineError<T::Error>> {
        self.read_on(durable, None)
    }

    /// The same, up to `durable`, without decoding what comes out of `outlet`. What is not there, or not yet, is decoded: so
    /// it does not matter what the ring lost, nor where this pipeline begins.
    ///
    /// # Errors
    ///
    /// Those of [`Pipeline::read`].
    pub fn read_live(&mut self, durable: Lsn, outlet: &mut Outlet) -> Result<bool, PipelineError<T::Error>> {
        self.read_on(Some(durable), Some(outlet))
    }

    fn read_on(&mut self, durable: Option<Lsn>, outlet: Option<&mut Outlet>) -> Result<bool, PipelineError<T::Error>> {
        self.entries.set_until(durable);
        let progress = &mut self.progress;
        let (owners, dedup, tables, from) = (&mut self.owners, &mut self.dedup, &mut self.tables, self.from);
        let places = Lsn::default()..Lsn::default();
        let mut into = Into { owners, dedup, tables, progress, from, places, entries: 0, bytes: 0 };
        let read = self.frames.read(&mut self.entries, outlet, &mut into);
        let paused = into.pauses();
        self.progress.read = self.entries.place();
        self.progress.unsure = self.dedup.unsure();
        let lost = self.frames.lost();
        (self.progress.undecoded, self.progress.damaged) = (lost.undecoded, lost.damaged);
        self.progress.frames = self.frames.counts();
        match read {
            Ok(()) => {}
            Err(ReadError::Journal(error)) => return Err(error.into()),
            Err(ReadError::Taker(error)) => return Err(PipelineError::Tables(error)),
        }
        Ok(!paused)
    }

    /// Commits what is due, or all.
    ///
    /// # Errors
    ///
    /// When the tables cannot be written. The records still wait and can be queried: try again, but read no further.
    pub fn flush(&mut self, all: bool) -> Result<(), PipelineError<T::Error>> {
        let flushed = self.tables.flush(self.progress.read, all);
        let committed = self.tables.committed(self.progress.read);
        // Reading began before these, with the segment.
        let (records, frames) = (committed.records.max(self.from.records), committed.frames.max(self.from.frames));
        self.progress.committed = Places { records, frames };
        self.progress.commits += flushed.map_err(PipelineError::Tables)? as u64;
        Ok(())
    }

    /// Lets somebody change what the tables hold. Everything that waits has to be committed before.
    ///
    /// # Errors
    ///
    /// When that fails. What is known of the devices may then not be what the tables hold: begin again with
    /// [`Pipeline::open`], unless nothing was changed.
    pub fn amend<R>(&mut self, amend: impl FnOnce(&mut T) -> Result<Amended<R>, T::Error>) -> Result<R, T::Error> {
        let amended = amend(&mut self.tables)?;
        let devices = amended.devices.iter();
        self.dedup.renew(devices.map(|of| (Device { tenant: &of.tenant, id: &of.id }, of.known)));
        Ok(amended.result)
    }

    /// The stretches of the journal that could not be read and were passed over, since this was asked last. The tables of records have
    /// what was before their own place.
    pub fn take_passed(&mut self) -> Vec<Range<Lsn>> {
        let mut passed = self.frames.take_passed();
        passed.retain(|of| of.end > self.from.records);
        passed
    }

    /// The stretches of the journal that went before they were read, since this was asked last.
    pub fn take_removed(&mut self) -> Vec<Range<Lsn>> {
        self.entries.take_removed()
    }

    /// What was done so far.
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// Where the records are kept.
    pub const fn tables(&self) -> &T {
        &self.tables
    }
}

/// Where records and entries go.
struct Into<'a, T> {
    owners: &'a mut Owners,
    dedup: &'a mut Dedup,
    tables: &'a mut T,
    progress: &'a mut Progress,
    from: Places,
    /// From where the segment of the last entry begins to where that entry ends.
    places: Range<Lsn>,
    /// What was read in one go.
    entries: usize,
    bytes: usize,
}

impl<T: Tables> Taker for Into<'_, T> {
    type Error = T::Error;

    fn entry(&mut self, entry: &Entry<'_>, segment: Lsn, told: &Told) -> Result<(), Self::Error> {
        self.entries += 1;
        self.bytes += entry.bytes.len();
        self.places = segment..entry.end();
        let owner = self.owners.of(entry, segment, told);
        if entry.kind == Kind::FRAME {
            // By what was decided and not by what came out: another version may find more in it.
            waits(self.tables, owner, told, &self.places, Time(entry.at));
        }
        if entry.lsn < self.from.frames {
            return Ok(());
        }
        self.tables.frame(&Frame { entry, segment, owner })
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), Self::Error> {
        let Event { binding, received, .. } = *event;
        if binding.decision == Decision::Quarantined {
            // Also where the entry alone does not say whose its records are.
            for device in [binding.device.as_str(), event.device()] {
                let places = self.places.clone();
                self.tables.waits(&Waiting { tenant: &binding.tenant, device, places, received });
            }
        }
        // What came of a device that nobody has accepted is in the table of frames, and in no table of records: retention does not wait
        // for a person's decision.
        if event.place < self.from.records || event.binding.decision != Decision::Accepted || self.tables.has(event)? {
            return Ok(());
        }
        let others = self.tables.of_others();
        if !others.is_empty() {
            self.dedup.learn(others.iter().map(|of| (Device { tenant: &of.tenant, id: &of.id }, of.known)));
        }
        let candidate = Candidate { id: event.id, time: event.time(), claimed: event.claimed };
        let device = Device { tenant: &event.binding.tenant, id: event.device() };
        if !self.dedup.is_new(device, candidate, self.tables)? {
            self.progress.duplicates += 1;
            return Ok(());
        }
        self.progress.records += 1;
        self.tables.push(event)
    }

    fn trouble(&mut self, trouble: Trouble<'_>) {
        match trouble {
            Trouble::Damaged(broken) => tracing::warn!("the journal is damaged: {broken}"),
            Trouble::Undecoded(lsn, why) => tracing::debug!(%lsn, "a frame cannot be decoded: {why}"),
        }
    }

    fn pauses(&mut self) -> bool {
        self.entries >= ENTRIES_AT_ONCE || self.bytes >= BYTES_AT_ONCE
    }
}

/// Tells of whom a frame is, and of whom it speaks, where these wait for a decision.
fn waits<T: Tables>(tables: &mut T, owner: Owner<'_>, told: &Told, places: &Range<Lsn>, received: Time) {
    let mut tell = |tenant: &str, device: &str| {
        tables.waits(&Waiting { tenant, device, places: places.clone(), received });
    };
    if owner.waits {
        tell(owner.tenant, owner.device);
    }
    let Told::Bound(_, others) = told else { return };
    for other in others.iter().filter(|other| other.binding.decision == Decision::Quarantined) {
        tell(&other.binding.tenant, &other.binding.device);
    }
}

/// Between two looks at the clock, and at whoever wants an end.
const ENTRIES_AT_ONCE: usize = 8192;
/// The same, where entries are long: between two looks at what waits in memory.
const BYTES_AT_ONCE: usize = 4 << 20;
