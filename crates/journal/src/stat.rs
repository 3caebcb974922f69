//! What is there: per segment and in total.

use std::io::ErrorKind;
use std::path::PathBuf;

use odograph_env::UnixMillis;
use odograph_model::Lsn;

use crate::error::{Error, IoContext as _};
use crate::holes::Hole;
use crate::index::Index;
use crate::paths;
use crate::reader::Reader;
use crate::tally::Tally;

/// What a node's folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stat {
    /// Segments, oldest first.
    pub segments: Vec<SegmentStat>,
    /// Entries of all of them.
    pub entries: u64,
    /// Bytes of all their files.
    pub bytes: u64,
    /// How many segments were sealed and removed by retention since.
    pub removed: u64,
    /// What is lost.
    pub holes: Vec<Hole>,
    /// What is lost of the ends of sealed segments, whose files are shorter than they were.
    pub cut_short: Vec<CutShort>,
}

/// The lost end of a sealed segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("places {begin} to {end} are missing: {} is shorter than it was", path.display())]
pub struct CutShort {
    /// Where its file ends.
    pub begin: Lsn,
    /// Where it should end.
    pub end: Lsn,
    /// The file.
    pub path: PathBuf,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentStat {
    /// Where it begins.
    pub base: Lsn,
    /// Where its readable data ends.
    pub end: Lsn,
    /// How many entries it has.
    pub entries: u64,
    /// How many bytes its files have, reserved space included.
    pub bytes: u64,
    /// How many devices it has entries of, counting those that are nobody's as one.
    pub devices: u64,
    /// When it was sealed; `None`: it is not.
    pub sealed_at: Option<UnixMillis>,
    /// The least and the greatest time of any entry.
    pub times: Option<(UnixMillis, UnixMillis)>,
}

impl Reader {
    /// How much disk the node's folder takes: all files in it, space that is reserved included. It has a few files for each
    /// segment, and looks into none.
    pub fn disk_bytes(&self) -> Result<u64, Error> {
        let mut bytes = 0;
        for path in self.disk().list(self.folder()).doing("list", self.folder())? {
            // What a link leads to is elsewhere, and perhaps on another disk.
            match self.disk().inspect_entry(&path) {
                // Removed meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                found => bytes += found.doing("read", &path)?.bytes,
            }
        }
        Ok(bytes)
    }

    /// Counts what is there. What has no seal is read for it; what has one is taken from its index.
    pub fn stat(&self) -> Result<Stat, Error> {
        let seals = self.seals()?;
        let mut stat = Stat::default();
        for base in self.listing()?.segments {
            let Some(mut bytes) = self.segment_bytes(base)? else { continue };
            let record = seals.iter().flatten().find(|record| record.base.0 == base);
            let segment = match (record, self.index(base, &mut bytes)?) {
                (Some(record), Some(index)) => SegmentStat {
                    base: record.base,
                    end: record.end,
                    entries: record.entries,
                    bytes,
                    devices: record.devices,
                    sealed_at: Some(record.sealed_at),
                    times: index.times,
                },
                (record, _) => self.count(base, bytes, record.map(|record| record.sealed_at))?,
            };
            stat.entries += segment.entries;
            stat.bytes += segment.bytes;
            stat.segments.push(segment);
        }
        (stat.holes, stat.cut_short) = (self.holes()?, self.cut_short()?);
        let lost = |base: Lsn| stat.holes.iter().any(|hole| (hole.begin..hole.end).contains(&base));
        let gone = |base: Lsn| stat.segments.binary_search_by_key(&base, |segment| segment.base).is_err();
        stat.removed = seals.iter().flatten().filter(|record| gone(record.base) && !lost(record.base)).count() as u64;
        Ok(stat)
    }

    /// The sealed segments whose files are shorter than they were.
    pub fn cut_short(&self) -> Result<Vec<CutShort>, Error> {
        let (listing, mut all) = (self.listing()?, Vec::new());
        for record in self.seals()?.into_iter().flatten() {
            let base = record.base.0;
            if listing.segments.binary_search(&base).is_err() {
                continue;
            }
            if let Some(bytes) = self.segment_bytes(base)?.filter(|bytes| base + bytes < record.end.0) {
                all.push(CutShort {
                    begin: Lsn(base + bytes),
                    end: record.end,
                    path: paths::segment(self.folder(), base),
                });
            }
        }
        Ok(all)
    }

    fn index(&self, base: u64, bytes: &mut u64) -> Result<Option<Index>, Error> {
        let path = paths::index(self.folder(), base);
        let Ok(file) = self.disk().open_read(&path) else { return Ok(None) };
        *bytes += file.length().doing("read", &path)?;
        Index::read(&*file).doing("read", &path)
    }

    fn count(&self, base: u64, bytes: u64, sealed_at: Option<UnixMillis>) -> Result<SegmentStat, Error> {
        let mut scan = self.scan(base)?;
        let mut tally = Tally::new();
        loop {
            let offset = scan.offset();
            match scan.advance().doing("read", &paths::segment(self.folder(), base))? {
                Ok(located) => drop(tally.add(&scan.entry(located), offset)),
                Err(_) => break,
            }
        }
        let mut devices = 0;
        tally.for_each_device(|_| devices += 1);
        let (entries, times) = (tally.entries(), tally.times());
        Ok(SegmentStat { base: Lsn(base), end: scan.place(), entries, bytes, devices, sealed_at, times })
    }
}
