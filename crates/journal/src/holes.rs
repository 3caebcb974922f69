//! Places that were used and are in no file any more, although nothing says that they were removed on purpose.

use std::path::PathBuf;

use odograph_model::Lsn;

use crate::begin::LeftOut;
use crate::chain::{self, SealRecord};
use crate::entry::Stop;
use crate::error::{Broken, Error, IoContext as _};
use crate::paths::{self, Listing};
use crate::reader::Reader;
use crate::removed;

/// A stretch of the journal that is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("places {begin} to {end} are missing: {} is not there", path.display())]
pub struct Hole {
    /// Where it begins.
    pub begin: Lsn,
    /// The first place behind it.
    pub end: Lsn,
    /// The first segment that should be there.
    pub path: PathBuf,
}

impl Hole {
    /// The hole as what stops a reader that comes to it at `place`.
    pub(crate) fn broken(&self, place: Lsn) -> Broken {
        let lsn = place.max(self.begin);
        Broken { path: self.path.clone(), offset: 0, lsn, reason: Stop::Missing(self.end) }
    }
}

impl Reader {
    /// All that is lost, oldest first. What retention removed is not: it leaves word.
    ///
    /// Places count on without a gap from 0, so a place that no file has is missing, whether or not the chain of seals
    /// still names its segment. What is lost behind the last file is known from the chain alone.
    pub fn holes(&self) -> Result<Vec<Hole>, Error> {
        self.holes_before(Lsn(0))
    }

    /// The same, where it is known besides that places before `until` were used. Behind the last segment's end they are not lost
    /// as far as its file or one that was put aside has them: a crash left them there, and nothing was ever read in them.
    pub(crate) fn holes_before(&self, until: Lsn) -> Result<Vec<Hole>, Error> {
        // In this order, because a server may go on meanwhile: what has a seal was in the folder before it got it, and
        // what retention removes it names before.
        let records = self.chain()?;
        let seals: Vec<SealRecord> = records.iter().flatten().filter_map(|record| record.seal()).collect();
        let left_out: Vec<LeftOut> = chain::left_out(&records).collect();
        let listing = self.listing()?;
        let removed = removed::read(self.disk(), self.folder())?.unwrap_or_default();
        let mut holes = Vec::new();
        let mut place = removed.0;
        for &base in &listing.segments {
            self.hole(place, base, &listing, &seals, &mut holes)?;
            place = place.max(self.covered(base, until, &listing, &seals)?);
        }
        let end = seals.last().map_or(0, |last| last.end.0).max(until.0);
        self.hole(place, end, &listing, &seals, &mut holes)?;
        Ok(holes.into_iter().flat_map(|hole| self.without(hole, &left_out, &seals)).collect())
    }

    /// Up to where places were used, as far as the last files say: behind a sealed end, and in what was put aside, are those that a
    /// crash left.
    pub(crate) fn used_to(&self) -> Result<Lsn, Error> {
        let listing = self.listing()?;
        let mut used = Lsn(0);
        let begun = listing.segments.last().copied().unwrap_or_default();
        for (base, path) in listing.aside.iter().filter(|(base, _)| *base >= begun) {
            // What cannot be looked at was never acknowledged, and is in nobody's way.
            let length = self.disk().open_read(path).and_then(|file| file.length()).unwrap_or_default();
            used = used.max(Lsn(base + length));
        }
        let last = self.seals()?.into_iter().flatten().next_back();
        if let Some(last) = last.filter(|last| listing.segments.last() == Some(&last.base.0)) {
            let path = paths::segment(self.folder(), last.base.0);
            let length = self.scan(last.base.0)?.file().length().doing("read", &path)?;
            used = used.max(Lsn(last.base.0 + length));
        }
        Ok(used)
    }

    /// What is left of a hole without the places that were left out on purpose.
    fn without(&self, hole: Hole, left_out: &[LeftOut], seals: &[SealRecord]) -> Vec<Hole> {
        if !left_out.iter().any(|left| left.begin < hole.end && hole.begin < left.end) {
            return vec![hole];
        }
        let (mut holes, mut begin) = (Vec::new(), hole.begin);
        for left in left_out {
            let end = left.begin.min(hole.end);
            if begin < end {
                holes.push(self.one_hole(begin.0, end.0, seals));
            }
            begin = begin.max(left.end);
        }
        if begin < hole.end {
            holes.push(self.one_hole(begin.0, hole.end.0, seals));
        }
        holes
    }

    fn hole(
        &self,
        mut begin: u64,
        end: u64,
        listing: &Listing,
        seals: &[SealRecord],
        holes: &mut Vec<Hole>,
    ) -> Result<(), Error> {
        // What recovery put aside was told when that happened.
        for (base, path) in &listing.aside {
            if !(begin..end).contains(base) {
                continue;
            }
            let length = self.disk().open_read(path).doing("open", path)?.length().doing("read", path)?;
            if *base > begin {
                holes.push(self.one_hole(begin, *base, seals));
            }
            begin = base + length;
        }
        if begin < end {
            holes.push(self.one_hole(begin, end, seals));
        }
        Ok(())
    }

    fn one_hole(&self, begin: u64, end: u64, seals: &[SealRecord]) -> Hole {
        let first = seals.iter().map(|seal| seal.base.0).find(|base| (begin..end).contains(base)).unwrap_or(begin);
        Hole { begin: Lsn(begin), end: Lsn(end), path: paths::segment(self.folder(), first) }
    }

    /// Up to where a segment's file has the journal, of which places before `until` were used. One without a seal counts up to the
    /// next: what of it cannot be read is found by reading it.
    fn covered(&self, base: u64, until: Lsn, listing: &Listing, seals: &[SealRecord]) -> Result<u64, Error> {
        let next = listing.next_base(base);
        let found = seals.binary_search_by_key(&base, |seal| seal.base.0).ok();
        let Some(seal) = found.and_then(|number| seals.get(number)) else {
            return Ok(next.unwrap_or(u64::MAX));
        };
        if next.unwrap_or(until.0) <= seal.end.0 {
            return Ok(seal.end.0);
        }
        // Behind its end may be what a crash left, and the next one begins behind that.
        let length = match self.scan(base) {
            Ok(scan) => scan.file().length().doing("read", &paths::segment(self.folder(), base))?,
            Err(error) if error.is_gone() => 0,
            Err(error) => return Err(error),
        };
        Ok(seal.end.0.max(base + length))
    }
}
