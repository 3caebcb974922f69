//! The chain of seals: one record of fixed size per sealed segment, kept for ever, and one wherever the chain begins or its
//! key is another.

use std::io;
use std::path::{Path, PathBuf};

use odograph_env::{Disk, DiskFile, UnixMillis};
use odograph_model::Lsn;

use crate::begin::{Begin, LeftOut};
use crate::entry::{u32_at, u64_at};
use crate::error::{CREATE, Error, IoContext as _, RESERVE};
use crate::key::{self, Key, PublicKey};
use crate::merkle::Hash;
use crate::paths;

/// Bytes of one record.
pub const SEAL_RECORD_BYTES: usize = 256;

/// What a node states about one segment, signed, and chained to the segment before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealRecord {
    /// Whose journal it is.
    pub node: u16,
    /// Where the segment begins.
    pub base: Lsn,
    /// Where it ends.
    pub end: Lsn,
    /// When it was begun.
    pub created_at: UnixMillis,
    /// When it was sealed.
    pub sealed_at: UnixMillis,
    /// How many entries it has.
    pub entries: u64,
    /// How many devices, counting the entries that are nobody's as one.
    pub devices: u64,
    /// The BLAKE3 hash of the segment's header.
    pub header_hash: Hash,
    /// The root of the tree over its devices.
    pub root: Hash,
    /// The chain hash of the record before; zeros in the first.
    pub previous: Hash,
    /// The hash over all of the above.
    pub chain_hash: Hash,
    /// The node's signature over the chain hash.
    pub signature: [u8; 64],
}

impl SealRecord {
    /// Fills in the chain hash and the signature.
    pub(crate) fn sign(mut self, key: &Key) -> Self {
        self.chain_hash = self.expected_chain_hash();
        self.signature = key.sign(&self.chain_hash);
        self
    }

    /// Whether the record is what the holder of the key signed.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.chain_hash == self.expected_chain_hash() && key::is_signed(key, &self.chain_hash, &self.signature)
    }

    fn expected_chain_hash(&self) -> Hash {
        blake3::derive_key(CHAIN_DOMAIN, &self.to_bytes()[HASHED])
    }

    /// The record as it is in the file.
    pub fn to_bytes(&self) -> [u8; SEAL_RECORD_BYTES] {
        let mut bytes = [0; SEAL_RECORD_BYTES];
        bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.node.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.end.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.created_at.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.sealed_at.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.entries.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.devices.to_le_bytes());
        bytes[64..96].copy_from_slice(&self.header_hash);
        bytes[96..128].copy_from_slice(&self.root);
        bytes[128..160].copy_from_slice(&self.previous);
        bytes[160..192].copy_from_slice(&self.chain_hash);
        bytes[192..].copy_from_slice(&self.signature);
        let crc = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a record. `None`: it is not what was written. The signature is not looked at.
    pub fn parse(bytes: &[u8; SEAL_RECORD_BYTES]) -> Option<Self> {
        if u32_at(bytes, 0) != crc32c::crc32c(&bytes[4..]) || u32_at(bytes, 4) != VERSION {
            return None;
        }
        let hash_at = |at: usize| bytes[at..at + 32].try_into().expect("32 bytes");
        Some(Self {
            node: u16::from_le_bytes([bytes[8], bytes[9]]),
            base: Lsn(u64_at(bytes, 16)),
            end: Lsn(u64_at(bytes, 24)),
            created_at: u64_at(bytes, 32).cast_signed(),
            sealed_at: u64_at(bytes, 40).cast_signed(),
            entries: u64_at(bytes, 48),
            devices: u64_at(bytes, 56),
            header_hash: hash_at(64),
            root: hash_at(96),
            previous: hash_at(128),
            chain_hash: hash_at(160),
            signature: bytes[192..].try_into().expect("64 bytes"),
        })
    }
}

/// What a chain consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    Seal(SealRecord),
    Begin(Begin),
}

impl Record {
    pub(crate) fn parse(bytes: &[u8; SEAL_RECORD_BYTES]) -> Option<Self> {
        SealRecord::parse(bytes).map(Self::Seal).or_else(|| Begin::parse(bytes).map(Self::Begin))
    }

    pub(crate) fn seal(self) -> Option<SealRecord> {
        match self {
            Self::Seal(seal) => Some(seal),
            Self::Begin(_) => None,
        }
    }

    /// Places that are used by no segment, on purpose.
    pub(crate) fn left_out(self) -> Option<LeftOut> {
        match self {
            Self::Begin(begin) => begin.left_out,
            Self::Seal(_) => None,
        }
    }

    pub(crate) fn previous(&self) -> Hash {
        match self {
            Self::Seal(seal) => seal.previous,
            Self::Begin(begin) => begin.previous,
        }
    }

    pub(crate) fn chain_hash(&self) -> Hash {
        match self {
            Self::Seal(seal) => seal.chain_hash,
            Self::Begin(begin) => begin.chain_hash,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; SEAL_RECORD_BYTES] {
        match self {
            Self::Seal(seal) => seal.to_bytes(),
            Self::Begin(begin) => begin.to_bytes(),
        }
    }
}

/// The records of a chain file, in order; `None` for one that is not what was written.
pub(crate) fn read_all(disk: &dyn Disk, folder: &Path) -> Result<Vec<Option<Record>>, Error> {
    let path = paths::chain(folder);
    match disk.open_read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        opened => read_records(&*opened.doing("open", &path)?).doing("read", &path),
    }
}

/// The places that records leave out.
pub(crate) fn left_out(records: &[Option<Record>]) -> impl Iterator<Item = LeftOut> {
    records.iter().flatten().filter_map(|record| record.left_out())
}

fn read_records(file: &dyn DiskFile) -> io::Result<Vec<Option<Record>>> {
    let mut bytes = vec![0; file.length()? as usize];
    let read = file.read_at(&mut bytes, 0)?;
    let records = bytes[..read].chunks(SEAL_RECORD_BYTES);
    Ok(records.map(|record| record.try_into().ok().and_then(Record::parse)).collect())
}

/// The chain file, open for one more record.
pub(crate) struct Chain {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// How many records there are, counting broken ones.
    records: u64,
    /// The last whole record.
    last: Option<Record>,
    /// The last whole seal.
    seal: Option<SealRecord>,
    /// The key that the last record names which names one.
    key: Option<PublicKey>,
    /// Before this place nothing is used any more.
    goes_on: Lsn,
    /// Whether a broken record at the end will be overwritten.
    cut: bool,
}

impl Chain {
    pub(crate) fn open_or_create(disk: &dyn Disk, folder: &Path) -> Result<Self, Error> {
        let path = paths::chain(folder);
        let file = match disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = disk.create(&path).doing(CREATE, &path)?;
                disk.sync_folder(folder).doing("flush", folder)?;
                file
            }
            opened => opened.doing("open", &path)?,
        };
        let records = read_records(&*file).doing("read", &path)?;
        // What was read may be in memory only: the last process may have died before it flushed. The next segment's index
        // must not be durable before it.
        file.sync().doing("flush", &path)?;
        let whole = records.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let last = records.iter().rev().find_map(|record| *record);
        let seal = records.iter().rev().flatten().find_map(|record| record.seal());
        let key = records.iter().rev().flatten().find_map(|record| match record {
            Record::Begin(begin) => Some(begin.public_key),
            Record::Seal(_) => None,
        });
        let goes_on = left_out(&records).map(|left| left.end).max().unwrap_or_default();
        // Records are flushed one by one, so a power cut breaks only the last one. More is damage: that is left
        // for verification to name.
        let cut = records.len() == whole + 1;
        let records = if cut { whole } else { records.len() } as u64;
        Ok(Self { file, path, records, last, seal, key, goes_on, cut })
    }

    /// Where the last sealed segment ends: segments from here on have no seal.
    pub(crate) fn end(&self) -> Lsn {
        self.seal.map_or(Lsn(0), |seal| seal.end)
    }

    /// The least place that may be used: a journal that goes on from a copy leaves out what its origin may have used.
    pub(crate) fn goes_on(&self) -> Lsn {
        self.goes_on
    }

    /// Whether there is no record that can be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Whether what comes next in the chain is of this key, as far as the chain says.
    pub(crate) fn is_of(&self, key: &PublicKey) -> bool {
        match (self.key, self.seal) {
            (Some(named), _) => named == *key,
            (None, Some(seal)) => seal.is_signed_by(key),
            (None, None) => true,
        }
    }

    /// Whether the last record was broken.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The chain hash that the next record follows.
    pub(crate) fn last_hash(&self) -> Hash {
        self.last.map_or([0; 32], |last| last.chain_hash())
    }

    /// Reserves space for the next record.
    pub(crate) fn reserve(&self) -> Result<(), Error> {
        self.file.allocate(self.next_offset(), SEAL_RECORD_BYTES as u64).doing(RESERVE, &self.path)
    }

    /// Says that the chain begins here, or goes on with another key.
    pub(crate) fn begin(&mut self, begin: Begin, key: &Key) -> Result<(), Error> {
        self.reserve()?;
        let begin = Begin { public_key: key.public(), previous: self.last_hash(), ..begin }.sign(key);
        self.append(Record::Begin(begin))
    }

    /// Appends a record and makes it durable.
    pub(crate) fn append(&mut self, record: Record) -> Result<(), Error> {
        self.file.write_at(&record.to_bytes(), self.next_offset()).doing("write", &self.path)?;
        self.file.sync().doing("flush", &self.path)?;
        self.records += 1;
        self.last = Some(record);
        match record {
            Record::Seal(seal) => self.seal = Some(seal),
            Record::Begin(begin) => {
                self.key = Some(begin.public_key);
                self.goes_on = begin.left_out.map_or(self.goes_on, |left| self.goes_on.max(left.end));
            }
        }
        Ok(())
    }

    fn next_offset(&self) -> u64 {
        self.records * SEAL_RECORD_BYTES as u64
    }
}

const VERSION: u32 = 1;
pub(crate) const HASHED: std::ops::Range<usize> = 4..160;
pub(crate) const CHAIN_DOMAIN: &str = "odograph journal 2026 chain";
