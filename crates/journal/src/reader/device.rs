//! One device's entries, through the indexes of the sealed segments.

use std::collections::VecDeque;
use std::ops::Range;

use odograph_model::Lsn;

use super::Reader;
use crate::chain::SealRecord;
use crate::entry::Entry;
use crate::error::{Broken, Error, IoContext as _};
use crate::holes::Hole;
use crate::index::Index;
use crate::paths::{self, Listing};
use crate::scan::{Located, Scan};
use crate::tally::Attribution;

/// A device's entries in order.
pub struct DeviceEntries {
    reader: Reader,
    device: String,
    from: Lsn,
    until: Option<Lsn>,
    listing: Listing,
    seals: Vec<SealRecord>,
    /// How many of the listed segments were begun.
    begun: usize,
    segment: Option<Segment>,
    /// What is lost, oldest first, as far as it was not told yet.
    holes: VecDeque<Hole>,
    /// Whether reading stops where retention was faster.
    stops_at_removed: bool,
    /// The segment at which it stopped.
    removed: Option<Range<Lsn>>,
}

struct Segment {
    scan: Scan,
    way: Way,
    /// Where it ends, if that is known.
    end: Option<Lsn>,
}

enum Way {
    /// By the offsets that its index names, latest first.
    Index(Vec<u32>),
    /// By reading all of it.
    All(Box<Attribution>),
}

impl DeviceEntries {
    pub(super) fn new(reader: Reader, device: &str, from: Lsn, until: Option<Lsn>) -> Result<Self, Error> {
        let listing = reader.listing()?;
        let seals = reader.seals()?.into_iter().flatten().collect();
        let begun = listing.segments.partition_point(|&base| base <= from.0).saturating_sub(1);
        let holes = reader.holes()?.into_iter().filter(|hole| hole.end > from).collect();
        let device = device.to_owned();
        let (segment, stops_at_removed, removed) = (None, false, None);
        Ok(Self { reader, device, from, until, listing, seals, begun, segment, holes, stops_at_removed, removed })
    }

    /// The first place that the journal has, or that is told as lost.
    pub fn begin(&self) -> Option<Lsn> {
        let (first, lost) = (self.listing.segments.first(), self.holes.front());
        first.map(|&base| Lsn(base)).into_iter().chain(lost.map(|hole| hole.begin)).min()
    }

    /// From now on, a segment that retention removed since reading began is not passed over in silence: `next` gives `None`
    /// once, and [`DeviceEntries::take_removed`] says which places went with it.
    pub fn stop_at_removed(&mut self) {
        self.stops_at_removed = true;
    }

    /// The places that went where reading stopped. It goes on behind them.
    pub fn take_removed(&mut self) -> Option<Range<Lsn>> {
        self.removed.take()
    }

    /// The device's next entry; `None` at the end of what there was when reading began.
    ///
    /// After [`Error::Broken`], [`DeviceEntries::skip_broken`] goes on behind the damage.
    #[expect(clippy::should_implement_trait, reason = "an entry borrows the buffer, which Iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error> {
        match self.advance()? {
            Some(located) => Ok(self.segment.as_ref().map(|segment| segment.scan.entry(located))),
            None => Ok(None),
        }
    }

    /// As [`DeviceEntries::next`], with the place where the entry's segment begins.
    pub fn next_in_segment(&mut self) -> Result<Option<(Entry<'_>, Lsn)>, Error> {
        let Some(located) = self.advance()? else { return Ok(None) };
        Ok(self.segment.as_ref().map(|segment| (segment.scan.entry(located), Lsn(segment.scan.base()))))
    }

    /// Goes on behind a broken entry: with the device's next one where the segment has an index, else with the next
    /// segment (what is bound to whom is not known behind a gap). Says up to where something of the device may be missing,
    /// if that is known.
    pub fn skip_broken(&mut self) -> Option<Lsn> {
        match &mut self.segment {
            Some(Segment { way: Way::Index(offsets), scan, .. }) => {
                offsets.pop().map(|offset| Lsn(scan.base() + u64::from(offset) + 1))
            }
            Some(Segment { end, .. }) => {
                let end = end.or(self.until);
                self.segment = None;
                end
            }
            None => self.holes.pop_front().map(|hole| hole.end),
        }
    }

    fn advance(&mut self) -> Result<Option<Located>, Error> {
        loop {
            if self.segment.is_none() && !self.begin_segment()? {
                return Ok(None);
            }
            let segment = self.segment.as_mut().expect("a segment was begun");
            if let Way::Index(offsets) = &segment.way {
                let Some(run) = run(offsets) else {
                    self.segment = None;
                    continue;
                };
                segment.scan.seek(Lsn(segment.scan.base() + run.start));
                segment.scan.set_read_bytes((run.end - run.start) as usize);
            }
            let lsn = segment.scan.place();
            let found = match segment.scan.advance() {
                Ok(found) => found,
                failed => failed.doing("read", &paths::segment(self.reader.folder(), segment.scan.base()))?,
            };
            match found {
                Ok(located) => {
                    let end = segment.scan.place();
                    if segment.scan.entry(located).erased().is_some() {
                        // It was erased behind the index that was read, or is nobody's any more.
                        if let Way::Index(offsets) = &mut segment.way {
                            offsets.pop();
                        }
                        continue;
                    }
                    let mine = match &mut segment.way {
                        Way::Index(offsets) => offsets.pop().is_some(),
                        Way::All(attribution) => {
                            let number = attribution.device_of(&segment.scan.entry(located));
                            attribution.name(number) == self.device
                        }
                    };
                    if self.until.is_some_and(|until| end > until) {
                        (self.segment, self.begun) = (None, self.listing.segments.len());
                        return Ok(None);
                    }
                    if mine && lsn >= self.from {
                        return Ok(Some(located));
                    }
                }
                Err(reason) => {
                    let indexed = matches!(segment.way, Way::Index(_));
                    let last = self.begun >= self.listing.segments.len();
                    let end = segment.end.or(self.until.filter(|_| last));
                    if indexed || end.is_some_and(|end| lsn < end) {
                        let path = paths::segment(self.reader.folder(), segment.scan.base());
                        return Err(Broken { path, offset: segment.scan.offset(), lsn, reason }.into());
                    }
                    self.segment = None;
                }
            }
        }
    }

    /// Begins the next segment that may hold entries of the device.
    fn begin_segment(&mut self) -> Result<bool, Error> {
        let (base, mut scan) = loop {
            let next = self.listing.segments.get(self.begun).map_or(u64::MAX, |&base| base);
            let lost = self.holes.front().filter(|hole| hole.begin.0 < next);
            if let Some(hole) = lost.filter(|hole| self.until.is_none_or(|until| hole.begin < until)) {
                return Err(hole.broken(self.from).into());
            }
            let Some(&base) = self.listing.segments.get(self.begun) else { return Ok(false) };
            if self.until.is_some_and(|until| base >= until.0) {
                return Ok(false);
            }
            self.begun += 1;
            match self.reader.scan(base) {
                Ok(scan) => break (base, scan),
                // Retention removed it since the folder was listed.
                Err(error) if error.is_gone() && !self.reader.listing()?.segments.contains(&base) => {
                    if self.stops_at_removed {
                        // What was removed has a seal, but perhaps not when reading began.
                        self.seals = self.reader.seals()?.into_iter().flatten().collect();
                        let seal = self.seals.iter().find(|seal| seal.base.0 == base);
                        self.removed = Some(Lsn(base)..seal.map_or(self.reader.removed()?, |seal| seal.end));
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        };
        let seal = self.seals.iter().find(|seal| seal.base.0 == base);
        let end = seal.map(|seal| seal.end).or_else(|| self.listing.next_base(base).map(Lsn));
        let way = match self.offsets(base)? {
            Some(offsets) => Way::Index(offsets),
            None => Way::All(Box::default()),
        };
        if let Some(end) = end {
            scan.set_end(end);
        }
        self.segment = Some(Segment { scan, way, end });
        Ok(true)
    }

    /// The offsets of the device's entries from `from` on, latest first; `None`: the segment has no readable index, so
    /// all of it must be read.
    fn offsets(&self, base: u64) -> Result<Option<Vec<u32>>, Error> {
        if self.listing.indexes.binary_search(&base).is_err() {
            return Ok(None);
        }
        let path = paths::index(self.reader.folder(), base);
        let file = match self.reader.disk().open_read(&path).doing("open", &path) {
            // Retention removes it behind its segment, which is open here already.
            Err(error) if error.is_gone() => return Ok(None),
            opened => opened?,
        };
        let Some(index) = Index::read(&*file).doing("read", &path)? else { return Ok(None) };
        let Some(number) = index.find(&self.device) else { return Ok(Some(Vec::new())) };
        let Some(mut offsets) = index.offsets(&*file, &index.row(number)).doing("read", &path)? else {
            return Ok(None);
        };
        let skipped = offsets.partition_point(|&offset| base + u64::from(offset) < self.from.0);
        offsets.drain(..skipped);
        offsets.reverse();
        Ok(Some(offsets))
    }
}

/// The stretch of the file to read at once for the next offsets: as long as the gaps are short.
fn run(offsets: &[u32]) -> Option<std::ops::Range<u64>> {
    let start = u64::from(*offsets.last()?);
    let mut end = start + ENTRY_BYTES_LIKELY;
    for next in offsets.iter().rev().skip(1).take(RUN_ENTRIES_MAX).map(|&offset| u64::from(offset)) {
        if next > end + GAP_BYTES_MAX {
            break;
        }
        end = next + ENTRY_BYTES_LIKELY;
    }
    Some(start..end)
}

/// Most entries are shorter; of a longer one the rest is read when its length is known.
const ENTRY_BYTES_LIKELY: u64 = 512;
/// Reading over a gap of this size costs less than another request to the disk.
const GAP_BYTES_MAX: u64 = 16 << 10;
/// Looking further ahead costs more than it saves.
const RUN_ENTRIES_MAX: usize = 64;
