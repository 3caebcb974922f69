//! All entries, one after another.

use std::ops::Range;

use odograph_model::Lsn;

use super::Reader;
use crate::begin::LeftOut;
use crate::chain::{self, Record};
use crate::entry::Entry;
use crate::error::{Broken, Error, IoContext as _};
use crate::paths::{self, Listing};
use crate::scan::{Located, Scan};

/// Entries in order. A call of [`Entries::next`] that found nothing can be repeated when more was written.
pub struct Entries {
    reader: Reader,
    listing: Listing,
    /// Where the sealed segments end: behind that, there may be bytes that cannot be read.
    seals: Vec<(u64, u64)>,
    /// Places that are in no segment, on purpose.
    left_out: Vec<LeftOut>,
    until: Option<Lsn>,
    scan: Option<Scan>,
    place: Lsn,
    /// The end of the hole in which the place is.
    hole: Option<Lsn>,
    /// Where a segment may have its seal later, it is waited for.
    waits_for_seals: bool,
    /// Where reading began.
    from: Lsn,
    /// What retention removed behind that, before it was read.
    removed: Vec<Range<Lsn>>,
}

impl Entries {
    pub(super) fn new(reader: Reader, from: Lsn, until: Option<Lsn>) -> Result<Self, Error> {
        let (listing, seals, left_out) = (Listing::default(), Vec::new(), Vec::new());
        let (scan, place, hole, removed, waits_for_seals) = (None, from, None, Vec::new(), false);
        let mut entries =
            Self { reader, listing, seals, left_out, until, scan, place, hole, waits_for_seals, from, removed };
        entries.refresh()?;
        Ok(entries)
    }

    /// The next entry; `None` at the end of what there is. What was erased by order is passed over.
    ///
    /// After [`Error::Broken`], [`Entries::resynchronise`] and [`Entries::skip_segment`] go on behind the damage.
    #[expect(clippy::should_implement_trait, reason = "an entry borrows the buffer, which Iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error> {
        match self.advance()? {
            Some(located) => Ok(self.scan.as_ref().map(|scan| scan.entry(located))),
            None => Ok(None),
        }
    }

    /// As [`Entries::next`], with the place where the entry's segment begins.
    pub fn next_in_segment(&mut self) -> Result<Option<(Entry<'_>, Lsn)>, Error> {
        match self.advance()? {
            Some(located) => Ok(self.scan.as_ref().map(|scan| (scan.entry(located), Lsn(scan.base())))),
            None => Ok(None),
        }
    }

    /// The place that was reached: everything before it was read, or skipped.
    pub fn place(&self) -> Lsn {
        self.place
    }

    /// What retention removed before it was read, since this was asked last. What was gone where reading began is not among it.
    pub fn take_removed(&mut self) -> Vec<Range<Lsn>> {
        std::mem::take(&mut self.removed)
    }

    /// From now on, what cannot be read in a segment before the last one is no damage as long as its seal may be on its way: `next` gives
    /// `None` meanwhile. For whoever comes again and again with a mark, beside the process that seals.
    pub fn wait_for_seals(&mut self) {
        self.waits_for_seals = true;
    }

    /// Reads on to a later mark.
    pub fn set_until(&mut self, until: Option<Lsn>) {
        self.until = until;
    }

    /// Goes on with the next whole entry behind a broken one, in the same segment or the next. Returns how many bytes
    /// were skipped.
    pub fn resynchronise(&mut self) -> Result<u64, Error> {
        let before = self.place;
        if let Some(end) = self.hole.take() {
            self.place = end;
            return Ok(end.0 - before.0);
        }
        let Some(scan) = &mut self.scan else { return Ok(0) };
        let path = paths::segment(self.reader.folder(), scan.base());
        if scan.resynchronise().doing("read", &path)? {
            self.place = scan.place();
        } else {
            self.skip_segment();
        }
        Ok(self.place.0 - before.0)
    }

    /// Goes on with the next segment, or behind the end of the last one if that is sealed. In the segment that is being
    /// written, it stays where it is.
    pub fn skip_segment(&mut self) {
        if let Some(end) = self.hole.take() {
            self.place = end;
            return;
        }
        let Some(base) = self.scan.as_ref().map(Scan::base) else { return };
        if let Some(end) = self.end_of(base) {
            self.place = self.place.max(end);
            self.scan = None;
        }
    }

    /// Finds the next entry, checks it, and steps over it.
    fn advance(&mut self) -> Result<Option<Located>, Error> {
        loop {
            if self.until.is_some_and(|until| self.place >= until) || !self.open_segment()? {
                return Ok(None);
            }
            let scan = self.scan.as_mut().expect("a segment is open");
            let base = scan.base();
            let advanced = scan.advance();
            let found = match advanced {
                Ok(found) => found,
                failed => failed.doing("read", &paths::segment(self.reader.folder(), base))?,
            };
            match found {
                Ok(located) => {
                    let end = scan.place();
                    if self.until.is_some_and(|until| end > until) {
                        scan.seek(self.place);
                        return Ok(None);
                    }
                    self.place = end;
                    if scan.entry(located).erased().is_some() {
                        continue;
                    }
                    return Ok(Some(located));
                }
                Err(reason) => {
                    let (offset, lsn) = (scan.offset(), scan.place());
                    match self.after_stop(base, lsn)? {
                        After::Segment(next) => {
                            self.scan = None;
                            self.step_to(Lsn(next))?;
                        }
                        After::Hole => {
                            self.look_for_hole(self.sealed_to())?;
                            // A server goes on meanwhile: what seemed to be missing may be there.
                            self.refresh()?;
                            if self.listing.next_base(base).is_none() {
                                if let Some(until) = self.until {
                                    self.step_to(until)?;
                                }
                                return Ok(None);
                            }
                        }
                        After::Again => {}
                        After::Rest(until) => {
                            self.step_to(until)?;
                            return Ok(None);
                        }
                        After::Nothing => return Ok(None),
                        After::Damage => {
                            let path = paths::segment(self.reader.folder(), base);
                            return Err(Broken { path, offset, lsn, reason }.into());
                        }
                    }
                }
            }
        }
    }

    /// What it means that nothing can be read at `lsn` of the segment that begins at `base`.
    fn after_stop(&mut self, base: u64, lsn: Lsn) -> Result<After, Error> {
        let sealed_end = self.sealed_end(base);
        match self.listing.next_base(base) {
            // Behind a sealed segment's end there may be what a crash left, and the next one begins behind that.
            Some(next) if lsn.0 >= sealed_end.unwrap_or(next) => Ok(After::Segment(next)),
            // Its seal is on its way, and says where it ends: behind that may be what a crash left.
            Some(_) if self.is_waited_for(base, sealed_end) => {
                let known = self.seals.len();
                self.refresh()?;
                Ok(if self.seals.len() > known { After::Again } else { After::Nothing })
            }
            Some(_) => Ok(After::Damage),
            None if sealed_end.is_some_and(|end| lsn.0 < end) => Ok(After::Damage),
            None => {
                let known = self.seals.len();
                self.refresh()?;
                if self.listing.next_base(base).is_some() || self.seals.len() > known {
                    return Ok(After::Again);
                }
                if sealed_end.is_some() && self.sealed_to() > lsn {
                    return Ok(After::Hole);
                }
                if let Some(left) = self.left_out.iter().find(|left| (left.begin..left.end).contains(&lsn)) {
                    // Nothing is between here and where the journal goes on.
                    self.place = self.until.map_or(self.place, |until| left.end.min(until).max(self.place));
                    return Ok(After::Nothing);
                }
                Ok(match self.until.filter(|until| lsn < *until) {
                    None => After::Nothing,
                    Some(until) if sealed_end.is_some() => After::Rest(until),
                    Some(_) => After::Damage,
                })
            }
        }
    }

    /// Whether the seal of a segment before the last one may still come: not behind one that came later.
    fn is_waited_for(&self, base: u64, sealed_end: Option<u64>) -> bool {
        self.waits_for_seals && self.until.is_some() && sealed_end.is_none() && base >= self.sealed_to().0
    }

    /// Opens the segment that holds the place, or the first one behind it.
    fn open_segment(&mut self) -> Result<bool, Error> {
        if self.scan.is_some() {
            return Ok(true);
        }
        if self.listing.segments.is_empty() {
            self.refresh()?;
        }
        let (base, mut scan) = loop {
            let Some(base) = self.listing.holding(self.place) else {
                let until = self.until.unwrap_or(self.place);
                self.look_for_hole(self.sealed_to().max(until))?;
                self.place = self.place.max(until);
                return Ok(false);
            };
            if self.place.0 < base {
                self.step_to(Lsn(base))?;
            }
            match self.reader.scan(base) {
                Ok(scan) => break (base, scan),
                Err(error) if error.is_gone() => {
                    // Retention removed it since the folder was listed; what is left begins later.
                    self.refresh()?;
                    if self.listing.holding(self.place) == Some(base) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        };
        if let Some(end) = self.end_of(base) {
            scan.set_end(end);
        }
        scan.seek(Lsn(self.place.0.max(base)));
        self.place = scan.place();
        self.scan = Some(scan);
        Ok(true)
    }

    /// Goes on at `next`, where the next segment begins: nothing may be missing up to there.
    fn step_to(&mut self, next: Lsn) -> Result<(), Error> {
        self.look_for_hole(next)?;
        if self.place > self.from && self.place < next {
            let removed = self.reader.removed()?.min(next);
            self.removed.extend((self.place < removed).then_some(self.place..removed));
        }
        self.place = self.place.max(next);
        Ok(())
    }

    /// Where the last segment ends that has a seal.
    fn sealed_to(&self) -> Lsn {
        self.seals.last().map_or(Lsn(0), |last| Lsn(last.1))
    }

    /// An error if something between the place and `next` is lost: retention may have removed it as well.
    fn look_for_hole(&mut self, next: Lsn) -> Result<(), Error> {
        if next <= self.place {
            return Ok(());
        }
        let holes = self.reader.holes_before(next)?;
        let Some(hole) = holes.iter().find(|hole| hole.begin < next && hole.end > self.place) else { return Ok(()) };
        self.place = self.place.max(hole.begin);
        self.hole = Some(hole.end);
        Err(hole.broken(self.place).into())
    }

    /// Where a segment ends, if it is not the one that is being written.
    fn end_of(&self, base: u64) -> Option<Lsn> {
        self.sealed_end(base).or_else(|| self.listing.next_base(base)).map(Lsn)
    }

    fn sealed_end(&self, base: u64) -> Option<u64> {
        let at = self.seals.binary_search_by_key(&base, |seal| seal.0).ok()?;
        Some(self.seals[at].1)
    }

    fn refresh(&mut self) -> Result<(), Error> {
        // Segments before seals: a segment that is sealed in between is then one that ends where its seal says.
        self.listing = self.reader.listing()?;
        let records = self.reader.chain()?;
        let seals = records.iter().flatten().copied().filter_map(Record::seal);
        self.seals = seals.map(|seal| (seal.base.0, seal.end.0)).collect();
        self.left_out = chain::left_out(&records).collect();
        Ok(())
    }
}

/// What to do where nothing can be read.
enum After {
    /// Go on in the segment that begins here.
    Segment(u64),
    /// Something may be missing behind the last file.
    Hole,
    /// Look again: something new is known.
    Again,
    /// Nothing was written behind the end of the last segment. Up to here places were used, which a crash left to nobody.
    Rest(Lsn),
    /// Nothing more was written.
    Nothing,
    /// Something should be here.
    Damage,
}
