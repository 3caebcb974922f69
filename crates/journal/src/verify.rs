//! Checks every byte that was sealed, and names what is not as it was.

use std::io;
use std::path::{Path, PathBuf};

use odograph_model::Lsn;

use crate::chain::SealRecord;
use crate::entry::{Kind, Stop};
use crate::error::{Error, IoContext as _};
use crate::index::{self, Index};
use crate::key::PublicKey;
use crate::merkle::Hash;
use crate::paths::{self, Listing};
use crate::reader::Reader;
use crate::scan::{READ_BYTES, Scan};
use crate::seal::header_hash;
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
    /// Everything that is not as it was written.
    pub problems: Vec<Problem>,
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
    /// The entries are whole but not those that were sealed.
    #[error("not the entries that were sealed")]
    Root,
    /// The segment has no readable seal although later ones have.
    #[error("without a seal")]
    Unsealed,
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
    /// `key` is the node's public key; without it, the folder's own. `until` is a durable mark: what has no seal must
    /// be readable up to there. Segments that went before the oldest one are taken as removed on purpose.
    pub fn verify(
        &self,
        key: Option<PublicKey>,
        until: Option<Lsn>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, Error> {
        let seals = self.seals()?;
        let listing = self.listing()?;
        let mut total = 0;
        for &base in &listing.segments {
            let path = paths::segment(self.folder(), base);
            total += self.scan(base)?.file().length().doing("read", &path)?;
        }
        let mut verification =
            Verification { reader: self, report: Report::default(), listing, until, total, progress };
        verification.chain(&seals, key);
        for record in seals.iter().flatten() {
            verification.presence(record)?;
        }
        let sealed_end = seals.iter().flatten().next_back().map_or(Lsn(0), |record| record.end);
        for base in verification.listing.segments.clone() {
            match seals.iter().flatten().find(|record| record.base.0 == base) {
                Some(record) => verification.sealed(record)?,
                None => verification.unsealed(base, Lsn(base) < sealed_end)?,
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
}

impl Verification<'_> {
    fn chain(&mut self, seals: &[Option<SealRecord>], key: Option<PublicKey>) {
        let path = paths::chain(self.reader.folder());
        let key = key.or_else(|| self.reader.public_key().ok());
        if key.is_none() {
            self.problem(&paths::key(self.reader.folder()), None, Flaw::Key);
        }
        // The hash and the end that the next record must follow; unknown behind a broken one.
        let mut before: Option<(Hash, Lsn)> = Some(([0; 32], Lsn(0)));
        for (number, record) in seals.iter().enumerate() {
            let number = number as u64;
            let offset = Some(number * crate::SEAL_RECORD_BYTES as u64);
            let Some(record) = record else {
                self.problem(&path, offset, Flaw::Record(number));
                before = None;
                continue;
            };
            if before.is_some_and(|(hash, end)| record.previous != hash || record.base < end) {
                self.problem(&path, offset, Flaw::Link(number));
            }
            if key.is_some_and(|key| !record.is_signed_by(&key)) {
                self.problem(&path, offset, Flaw::Signature(number));
            }
            before = Some((record.chain_hash, record.end));
        }
    }

    /// Whether a segment that has a seal is there, or went as the oldest go.
    fn presence(&mut self, record: &SealRecord) -> Result<(), Error> {
        let base = record.base.0;
        if self.listing.segments.binary_search(&base).is_err() {
            if self.listing.segments.first().is_none_or(|&oldest| base < oldest) {
                self.report.removed += 1;
                match self.reader.leaves(record.base) {
                    Ok(Some(_)) => self.report.provable += 1,
                    Ok(None) => {}
                    Err(Error::Damaged { path, .. }) => self.problem(&path, None, Flaw::Leaves),
                    Err(error) => return Err(error),
                }
            } else {
                self.problem(&paths::segment(self.reader.folder(), base), None, Flaw::Missing);
            }
        }
        Ok(())
    }

    fn sealed(&mut self, record: &SealRecord) -> Result<(), Error> {
        let base = record.base.0;
        let path = paths::segment(self.reader.folder(), base);
        let mut scan = self.reader.scan(base)?;
        self.report.sealed += 1;
        self.header(&scan, &path, |header| header_hash(header) == record.header_hash)?;
        scan.set_end(record.end);
        let index = self.reader.index_file(base).doing("read", &paths::index(self.reader.folder(), base))?;
        let (tally, whole) = self.entries(&mut scan, &path, Some(record.end), index.as_deref())?;
        match (index, whole) {
            (None, _) => self.problem(&paths::index(self.reader.folder(), base), None, Flaw::Missing),
            (Some(index), true) => self.compare(record, &tally, &index),
            // With a part of the entries unreadable, the index can only be compared with the seal.
            (Some(index), false) => self.index_alone(record, index),
        }
        Ok(())
    }

    fn unsealed(&mut self, base: u64, others_follow: bool) -> Result<(), Error> {
        let path = paths::segment(self.reader.folder(), base);
        let mut scan = self.reader.scan(base)?;
        self.report.unsealed += 1;
        if others_follow {
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
                    tally.add(&scan.entry(located), offset);
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
        let expected = index::encode(tally, base, record.end.0);
        let parsed = Index::parse(expected.clone()).expect("an index that was encoded a moment ago");
        let counts = (parsed.entries, parsed.devices() as u64) == (record.entries, record.devices);
        if index::root(&parsed) != record.root || !counts {
            self.problem(&paths::segment(self.reader.folder(), base), None, Flaw::Root);
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

impl Reader {
    /// All of an index; `None` if there is none.
    fn index_file(&self, base: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match self.disk().open_read(&paths::index(self.folder(), base)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = vec![0; file.length()? as usize];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(Some(bytes))
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
