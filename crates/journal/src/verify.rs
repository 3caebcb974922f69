//! Checks every byte that was sealed, and names what is not as it was.

use std::io;
use std::path::{Path, PathBuf};

use odograph_model::Lsn;

use crate::begin::Begin;
use crate::chain::{Record, SealRecord};
use crate::cursors;
use crate::entry::{Kind, Stop};
use crate::erasures::{Erasure, Erasures};
use crate::error::{Error, IoContext as _};
use crate::index::{self, Index, What};
use crate::key::PublicKey;
use crate::merkle::Hash;
use crate::paths::{self, Listing};
use crate::reader::Reader;
use crate::removed;
use crate::scan::{READ_BYTES, Scan};
use crate::seal::{self, header_hash};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::tally::Tally;

/// What was checked, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Sealed segments that were read.
    pub sealed: u64,
    /// Segments without a seal that were read.
    pub unsealed: u64,
    /// Segments of which only the seal is left.
    pub removed: u64,
    /// Of those, the ones whose devices' hashes are kept: what history has of them can be proven.
    pub provable: u64,
    /// Entries that are as they were written.
    pub entries: u64,
    /// Bytes of segments that were read.
    pub bytes: u64,
    /// Entries that were erased by order, as they are then.
    pub erased: u64,
    /// The orders.
    pub erasures: Vec<Erasure>,
    /// Everything that is not as it was written.
    pub problems: Vec<Problem>,
    /// Where the chain of seals goes on with another key, after a loss or from a copy, with the number of the record that says so.
    pub begins: Vec<(u64, Begin)>,
    /// Files in the folder that are none of the journal's.
    pub strange: Vec<PathBuf>,
}

/// One thing that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{}: {flaw}{}{}", path.display(), part(" at offset ", offset.as_ref()), part(", place ", lsn.as_ref()),
    part(", ", kind.as_ref()), part(", device ", device.as_ref()))]
pub struct Problem {
    /// In which file.
    pub path: PathBuf,
    /// Where in it.
    pub offset: Option<u64>,
    /// Where in the journal.
    pub lsn: Option<Lsn>,
    /// What the damaged entry says it is.
    pub kind: Option<Kind>,
    /// Whose data is concerned, as far as the index knows.
    pub device: Option<String>,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// The file is not there, and should be.
    #[error("missing")]
    Missing,
    /// The segment's header is not the one that was sealed.
    #[error("not the header that was written")]
    Header,
    /// An entry is not what was written.
    #[error("entry not as written: {0}")]
    Entry(Stop),
    /// The index is not what follows from the segment.
    #[error("index not as written ({0})")]
    Index(String),
    /// What is kept of a removed segment's devices is not what was sealed.
    #[error("not the devices that were sealed")]
    Leaves,
    /// Places are in no segment, and nothing says that they were removed.
    #[error("missing: no file has the places up to {0}")]
    Hole(Lsn),
    /// The segment was sealed again after its seal was lost.
    #[error("sealed again after seals were lost (record {0}): nothing proves that it is what was sealed first")]
    Resealed(u64),
    /// The entries are whole but not those that were sealed.
    #[error("not the entries that were sealed")]
    Root,
    /// The segment has no readable seal, although later ones have or it had one.
    #[error("without a seal")]
    Unsealed,
    /// Entries say that they were erased, and no order says so.
    #[error("{0} entries erased without an order")]
    Erased(u64),
    /// What is kept of orders to erase is not what was written.
    #[error("not the orders that were given")]
    Erasures,
    /// How far readers have come is not what was written.
    #[error("not the cursors that were written")]
    Cursors,
    /// Up to where retention has removed segments is not what was written.
    #[error("not the place that was written")]
    Removed,
    /// A record of the chain is not what was written.
    #[error("record {0} not as written")]
    Record(u64),
    /// A record does not follow the one before it.
    #[error("record {0} does not follow the one before")]
    Link(u64),
    /// A record was not signed with the node's key.
    #[error("record {0} not signed by this node")]
    Signature(u64),
    /// The signing key cannot be read, so no signature was checked.
    #[error("not a signing key: signatures were not checked")]
    Key,
}

/// How far verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were read.
    pub done: u64,
    /// Bytes that there are to read.
    pub total: u64,
}

impl Reader {
    /// Checks everything: headers, entries, hashes, indexes, the chain and its signatures.
    ///
    /// `keys` are the node's public keys (several, if it had several); without any, those that the chain names itself, or else
    /// the folder's own. `until` is a durable mark: what has no seal must be readable up to there.
    pub fn verify(
        &self,
        keys: &[PublicKey],
        until: Option<Lsn>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, Error> {
        // The folder first: a server may go on meanwhile, and what is sealed then is no segment without a seal.
        let listing = self.listing()?;
        let chain = self.chain()?;
        let seals: Vec<_> = chain.iter().flatten().copied().filter_map(Record::seal).collect();
        let mut total = 0;
        for &base in &listing.segments {
            total += self.segment_bytes(base)?.unwrap_or(0);
        }
        let mut verification =
            Verification { reader: self, report: Report::default(), listing, until, total, progress, erasures: None };
        verification.chain(&chain, keys);
        verification.erasures()?;
        verification.words()?;
        verification.presence(&seals)?;
        verification.report.strange.clone_from(&verification.listing.strange);
        if chain.iter().flatten().next().is_none() && !verification.listing.segments.is_empty() {
            verification.problem(&paths::chain(self.folder()), None, Flaw::Missing);
        }
        let sealed_end = seals.last().map_or(Lsn(0), |record| record.end);
        for base in verification.listing.segments.clone() {
            if self.was_removed(base)? {
                verification.report.removed += 1;
                continue;
            }
            match seals.iter().find(|record| record.base.0 == base) {
                Some(record) => verification.sealed(record)?,
                None => {
                    // An index is there before the seal, but only of one segment at a time.
                    let indexed = verification.listing.indexes.binary_search(&base).is_ok();
                    let lost = Lsn(base) < sealed_end || (verification.report.unsealed > 0 && indexed);
                    verification.unsealed(base, lost)?;
                }
            }
        }
        Ok(verification.report)
    }
}

struct Verification<'a> {
    reader: &'a Reader,
    report: Report,
    listing: Listing,
    until: Option<Lsn>,
    total: u64,
    progress: &'a mut dyn FnMut(Progress),
    /// `None`: they cannot be read.
    erasures: Option<Erasures>,
}

impl Verification<'_> {
    fn chain(&mut self, chain: &[Option<Record>], keys: &[PublicKey]) {
        let path = paths::chain(self.reader.folder());
        let own = self.reader.public_key().ok();
        if own.is_none() && keys.is_empty() {
            self.problem(&paths::key(self.reader.folder()), None, Flaw::Key);
        }
        // What the next record must follow; unknown behind a broken one. And the key that the chain names.
        let (mut before, mut end) = (Some([0; 32]), Lsn(0));
        let mut named = None;
        for (number, record) in chain.iter().enumerate() {
            let number = number as u64;
            let offset = Some(number * crate::SEAL_RECORD_BYTES as u64);
            let Some(record) = record else {
                self.problem(&path, offset, Flaw::Record(number));
                before = None;
                continue;
            };
            let behind = record.seal().is_none_or(|seal| seal.base >= end);
            if before.is_some_and(|before: Hash| before != record.previous() || !behind) {
                self.problem(&path, offset, Flaw::Link(number));
            }
            let signed = match record {
                Record::Seal(seal) if !keys.is_empty() => keys.iter().any(|key| seal.is_signed_by(key)),
                Record::Seal(seal) => named.or(own).is_none_or(|key| seal.is_signed_by(&key)),
                Record::Begin(begin) => begin.is_signed() && (keys.is_empty() || keys.contains(&begin.public_key)),
            };
            if !signed {
                self.problem(&path, offset, Flaw::Signature(number));
            }
            match record {
                Record::Seal(seal) => end = seal.end,
                Record::Begin(begin) => {
                    named = Some(begin.public_key);
                    self.begins(number, begin, end);
                }
            }
            before = Some(record.chain_hash());
        }
    }

    /// Notes that the chain goes on with another key, or after a loss: then each segment that was sealed again for it is no
    /// longer proven, as long as it is there.
    fn begins(&mut self, number: u64, begin: &Begin, end: Lsn) {
        if begin.other_key || begin.seals_lost || begin.left_out.is_some() {
            self.report.begins.push((number, *begin));
        }
        if begin.seals_lost {
            let segments = self.listing.segments.clone();
            for base in segments.into_iter().filter(|base| (end.0..=begin.place.0).contains(base)) {
                self.problem(&paths::segment(self.reader.folder(), base), None, Flaw::Resealed(number));
            }
        }
    }

    fn erasures(&mut self) -> Result<(), Error> {
        match Erasures::read(self.reader.disk(), self.reader.folder()) {
            Ok(erasures) => {
                self.report.erasures.clone_from(&erasures.orders);
                self.erasures = Some(erasures);
            }
            Err(Error::Damaged { path, .. }) => self.problem(&path, None, Flaw::Erasures),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether the small files can be read without which readers begin again, and what was removed counts as lost.
    fn words(&mut self) -> Result<(), Error> {
        let (disk, folder) = (self.reader.disk(), self.reader.folder());
        let (cursors, removed) = (cursors::is_sound(disk, folder)?, removed::is_sound(disk, folder)?);
        if !cursors {
            self.problem(&paths::cursors(self.reader.folder()), None, Flaw::Cursors);
        }
        if !removed {
            self.problem(&paths::removed(self.reader.folder()), None, Flaw::Removed);
        }
        Ok(())
    }

    /// Whether a removed segment's devices can still be proven.
    fn leaves(&mut self, base: Lsn) -> Result<(), Error> {
        match self.reader.leaves(base) {
            Ok(found) => self.report.provable += u64::from(found.is_some()),
            Err(Error::Damaged { path, .. }) => self.problem(&path, None, Flaw::Leaves),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether all places are there that retention has not removed.
    fn presence(&mut self, seals: &[SealRecord]) -> Result<(), Error> {
        let holes = self.reader.holes()?;
        let removed = removed::read(self.reader.disk(), self.reader.folder())?.unwrap_or_default();
        let gone = |record: &&SealRecord| self.listing.segments.binary_search(&record.base.0).is_err();
        let went: Vec<Lsn> =
            seals.iter().filter(|record| record.end <= removed).filter(gone).map(|record| record.base).collect();
        self.report.removed = went.len() as u64;
        for base in went {
            self.leaves(base)?;
        }
        for hole in holes {
            let lost = seals.iter().filter(|record| hole.begin <= record.base && record.end <= hole.end);
            let mut begin = hole.begin;
            for record in lost {
                if begin < record.base {
                    self.gap(begin, record.base);
                }
                self.gone(record.base, Flaw::Missing);
                begin = record.end;
            }
            if begin < hole.end {
                self.gap(begin, hole.end);
            }
        }
        Ok(())
    }

    fn gap(&mut self, begin: Lsn, end: Lsn) {
        self.gone(begin, Flaw::Hole(end));
    }

    fn gone(&mut self, begin: Lsn, flaw: Flaw) {
        let path = paths::segment(self.reader.folder(), begin.0);
        self.report.problems.push(Problem { path, offset: None, lsn: Some(begin), kind: None, device: None, flaw });
    }

    fn sealed(&mut self, record: &SealRecord) -> Result<(), Error> {
        let base = record.base.0;
        let path = paths::segment(self.reader.folder(), base);
        let mut scan = self.reader.scan(base)?;
        self.report.sealed += 1;
        self.header(&scan, &path, |header| header_hash(header) == record.header_hash)?;
        scan.set_end(record.end);
        let index = seal::read_index(self.reader.disk(), self.reader.folder(), base)?;
        let (tally, whole) = self.entries(&mut scan, &path, Some(record.end), index.as_deref())?;
        match (index, whole) {
            (None, _) if self.reader.was_removed(base)? => {}
            (None, _) => self.problem(&paths::index(self.reader.folder(), base), None, Flaw::Missing),
            // An order is under way, and the index is as before it or behind it.
            (Some(index), _) if self.erasures.as_ref().is_some_and(|erasures| erasures.is_under_way(base)) => {
                self.index_alone(record, index);
            }
            (Some(index), true) => self.compare(record, &tally, &index),
            // With a part of the entries unreadable, the index can only be compared with the seal.
            (Some(index), false) => self.index_alone(record, index),
        }
        Ok(())
    }

    fn unsealed(&mut self, base: u64, seal_lost: bool) -> Result<(), Error> {
        let path = paths::segment(self.reader.folder(), base);
        let mut scan = self.reader.scan(base)?;
        self.report.unsealed += 1;
        if seal_lost {
            self.problem(&path, None, Flaw::Unsealed);
        }
        self.header(&scan, &path, |_| true)?;
        let end = self.listing.next_base(base).map(Lsn).or(self.until);
        if let Some(next) = self.listing.next_base(base) {
            scan.set_end(Lsn(next));
        }
        self.entries(&mut scan, &path, end, None)?;
        Ok(())
    }

    fn header(
        &mut self,
        scan: &Scan,
        path: &Path,
        expected: impl Fn(&[u8; SEGMENT_HEADER_BYTES]) -> bool,
    ) -> Result<(), Error> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        scan.file().read_at(&mut bytes, 0).doing("read", path)?;
        let whole = SegmentHeader::parse(&bytes).is_some_and(|header| header.base == scan.base());
        if !whole || !expected(&bytes) {
            self.problem(path, Some(0), Flaw::Header);
        }
        Ok(())
    }

    /// Reads all entries up to `end`, going on behind broken ones. Returns whether all are whole.
    fn entries(
        &mut self,
        scan: &mut Scan,
        path: &Path,
        end: Option<Lsn>,
        index: Option<&[u8]>,
    ) -> Result<(Tally, bool), Error> {
        let (mut tally, mut whole) = (Tally::new(), true);
        let begun = self.report.bytes;
        let mut told = begun;
        loop {
            let (offset, lsn) = (scan.offset(), scan.place());
            match scan.advance().doing("read", path)? {
                Ok(located) => {
                    let entry = scan.entry(located);
                    self.report.erased += u64::from(entry.erased().is_some());
                    tally.add(&entry, offset);
                    self.report.entries += 1;
                }
                Err(reason) => {
                    if end.is_some_and(|end| lsn >= end) {
                        break;
                    }
                    if end.is_none() && !scan.resynchronise().doing("read", path)? {
                        // Nothing whole is behind it: this is where writing ended.
                        scan.seek(lsn);
                        break;
                    }
                    scan.seek(lsn);
                    whole = false;
                    let kind = kind_at(scan, offset).doing("read", path)?;
                    let device = index.and_then(|index| device_at(index, offset));
                    self.report.problems.push(Problem {
                        path: path.to_owned(),
                        offset: Some(offset),
                        lsn: Some(lsn),
                        kind,
                        device,
                        flaw: Flaw::Entry(reason),
                    });
                    if !scan.resynchronise().doing("read", path)? {
                        break;
                    }
                }
            }
            self.report.bytes = begun + scan.offset();
            if self.report.bytes - told >= PROGRESS_BYTES {
                told = self.report.bytes;
                (self.progress)(Progress { done: told, total: self.total });
            }
        }
        self.report.bytes = begun + scan.offset();
        (self.progress)(Progress { done: self.report.bytes, total: self.total.max(self.report.bytes) });
        Ok((tally, whole))
    }

    /// Compares an index with what it must be.
    fn compare(&mut self, record: &SealRecord, tally: &Tally, found: &[u8]) {
        let base = record.base.0;
        let erased = self.erasures.as_ref().map(|erasures| erasures.of_segment(base, None)).unwrap_or_default();
        let expected = index::encode(tally, base, record.end.0, &erased);
        let parsed = Index::parse(expected.clone()).expect("an index that was encoded a moment ago");
        let counts = (parsed.entries, parsed.leaf_count() as u64) == (record.entries, record.devices);
        if index::root(&parsed) != record.root || !counts {
            self.problem(&paths::segment(self.reader.folder(), base), None, Flaw::Root);
        }
        let rests = (0..parsed.devices()).map(|number| parsed.row(number)).filter(|row| row.what == What::Rest);
        let ordered: u64 = erased.iter().map(|leaf| u64::from(leaf.entries)).sum();
        let stayed: u64 = rests.map(|row| u64::from(row.entries)).sum();
        if tally.erased() != ordered.saturating_sub(stayed) {
            let path = paths::segment(self.reader.folder(), base);
            self.problem(&path, None, Flaw::Erased(tally.erased()));
        }
        let longer = expected.len().max(found.len());
        if let Some(offset) = (0..longer).find(|&at| expected.get(at) != found.get(at)) {
            let path = paths::index(self.reader.folder(), base);
            self.problem(&path, Some(offset as u64), Flaw::Index(parsed.describe(offset as u64)));
        }
    }

    fn index_alone(&mut self, record: &SealRecord, found: Vec<u8>) {
        let whole = Index::parse(found).is_some_and(|index| index::root(&index) == record.root);
        if !whole {
            let path = paths::index(self.reader.folder(), record.base.0);
            self.problem(&path, None, Flaw::Index("directory".to_owned()));
        }
    }

    fn problem(&mut self, path: &Path, offset: Option<u64>, flaw: Flaw) {
        let path = path.to_owned();
        self.report.problems.push(Problem { path, offset, lsn: None, kind: None, device: None, flaw });
    }
}

/// Whose entry begins at `offset`, by the index.
fn device_at(index: &[u8], offset: u64) -> Option<String> {
    let parsed = Index::parse(index.to_vec())?;
    (0..parsed.devices()).map(|number| parsed.row(number)).find_map(|row| {
        let mine = parsed.offsets_within(index, &row)?.any(|one| u64::from(one) == offset);
        mine.then(|| row.device.to_owned())
    })
}

/// What the entry at `offset` says it is.
fn kind_at(scan: &Scan, offset: u64) -> io::Result<Option<Kind>> {
    let mut kind = [0];
    let read = scan.file().read_at(&mut kind, offset + 30)?;
    Ok((read == 1).then(|| Kind(kind[0])))
}

fn part(before: &str, value: Option<&impl std::fmt::Display>) -> String {
    value.map_or_else(String::new, |value| format!("{before}{value}"))
}

/// How often progress is told.
const PROGRESS_BYTES: u64 = 16 * READ_BYTES as u64;
