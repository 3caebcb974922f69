//! A node's folder as it is to be copied while a server writes there, and how a journal goes on from such a copy.
//!
//! What belongs together is read in an order that makes it so: the chain first, then the segments. What is sealed in between is
//! in the copy a segment without a seal, as after a crash, and gets its seal again.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use odograph_env::{Clock, Disk, Rng};
use odograph_model::Lsn;

use crate::SEAL_RECORD_BYTES;
use crate::begin::{Begin, LeftOut};
use crate::chain::{Chain, Record};
use crate::error::{Error, IoContext as _};
use crate::journal::Journal;
use crate::key::{Key, PublicKey};
use crate::options::Options;
use crate::paths::{self, Listing};
use crate::reader::Reader;

/// A file of the journal, or a part of one, that belongs to a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPart {
    /// The file.
    pub path: PathBuf,
    /// So many bytes from its beginning.
    pub bytes: u64,
    /// What it held when it was looked at, of a small file that changes.
    pub content: Option<Vec<u8>>,
}

impl Reader {
    /// How far readers have come. In a copy of the journal and of what they made of it, these must be from before the latter:
    /// what lies between is read again.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn copy_of_cursors(&self) -> Result<Option<CopyPart>, Error> {
        self.small(paths::cursors(self.folder()))
    }

    /// All else that a copy consists of, up to `until` (a durable mark; without one, as far as there is anything). Nothing of it may
    /// be removed until it is copied.
    ///
    /// # Errors
    ///
    /// When the folder or one of its files cannot be read.
    pub fn copy_parts(&self, until: Option<Lsn>) -> Result<Vec<CopyPart>, Error> {
        let mut parts: Vec<CopyPart> = self.small(paths::key(self.folder()))?.into_iter().collect();
        let mut sealed = Vec::new();
        if let Some(mut chain) = self.small(paths::chain(self.folder()))? {
            // A record may be half written.
            chain.bytes -= chain.bytes % SEAL_RECORD_BYTES as u64;
            chain.content.iter_mut().for_each(|content| content.truncate(chain.bytes as usize));
            let bytes = chain.content.as_deref().unwrap_or_default();
            let records = bytes.chunks_exact(SEAL_RECORD_BYTES).filter_map(|record| record.try_into().ok());
            sealed.extend(records.filter_map(Record::parse).filter_map(Record::seal));
            parts.push(chain);
        }
        parts.extend(self.small(paths::removed(self.folder()))?);
        parts.extend(self.small(paths::erasures(self.folder()))?);
        let listing = self.listing()?;
        let sealed_end = sealed.last().map_or(0, |seal| seal.end.0);
        let is_sealed = |base: u64| sealed.iter().any(|seal| seal.base.0 == base);
        for &base in listing.segments.iter().filter(|base| until.is_none_or(|until| **base < until.0)) {
            let bytes = if is_sealed(base) { u64::MAX } else { used(&listing, base, until) };
            parts.extend(self.part(paths::segment(self.folder(), base), bytes)?);
        }
        // An index that its seal does not follow in the copy would be taken for one whose seal was lost.
        for &base in listing.indexes.iter().filter(|base| **base < sealed_end) {
            parts.extend(self.part(paths::index(self.folder(), base), u64::MAX)?);
        }
        for &base in &listing.leaves {
            parts.extend(self.part(paths::leaves(self.folder(), base), u64::MAX)?);
        }
        for (_, path) in listing.aside {
            parts.extend(self.part(path, u64::MAX)?);
        }
        Ok(parts)
    }

    /// At most so many bytes of a file; `None`: it is not there.
    fn part(&self, path: PathBuf, bytes: u64) -> Result<Option<CopyPart>, Error> {
        match self.disk().inspect(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            found => {
                let bytes = found.doing("read", &path)?.bytes.min(bytes);
                Ok(Some(CopyPart { path, bytes, content: None }))
            }
        }
    }

    fn small(&self, path: PathBuf) -> Result<Option<CopyPart>, Error> {
        let file = match self.disk().open_read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.doing("open", &path)?,
        };
        let mut content = vec![0; file.length().doing("read", &path)? as usize];
        let read = file.read_at(&mut content, 0).doing("read", &path)?;
        content.truncate(read);
        Ok(Some(CopyPart { bytes: read as u64, path, content: Some(content) }))
    }
}

/// How much of a segment without a seal is used: space is reserved behind that.
fn used(listing: &Listing, base: u64, until: Option<Lsn>) -> u64 {
    let end = listing.next_base(base).into_iter().chain(until.map(|until| until.0)).min();
    end.map_or(u64::MAX, |end| end - base)
}

/// How a journal goes on from a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// Where the copy ends.
    pub end: Lsn,
    /// Where the journal goes on.
    pub next: Lsn,
    /// The key that checks its seals.
    pub public_key: PublicKey,
}

/// Makes a copy a journal of its own: seals what has no seal, and says in the chain, signed, that it is a copy up to its end and
/// goes on far behind it. What it is a copy of may have gone on, and acknowledged what it gave those places to: were they
/// used again, whoever has something of both would take one for the other.
///
/// # Errors
///
/// When the folder cannot be opened or written.
pub fn resume_copy(
    folder: &Path,
    options: Options,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
    rng: &dyn Rng,
) -> Result<Resumed, Error> {
    let node = options.node;
    let (journal, committer, found) = Journal::open(folder, options, disk.clone(), clock.clone(), rng)?;
    journal.close();
    committer.run()?;
    let (key, _) = Key::open_or_create(&**disk, folder, rng)?;
    let mut chain = Chain::open_or_create(&**disk, folder)?;
    let end = found.next;
    let next = Lsn((end.0 / GAP_BYTES + 2) * GAP_BYTES);
    let newest = Listing::read(&**disk, folder)?.segments.last().map_or(end, |&base| Lsn(base));
    let left_out = Some(LeftOut { begin: end, end: next });
    chain.begin(Begin { left_out, ..Begin::new(node, newest, clock.now()) }, &key)?;
    Ok(Resumed { end, next, public_key: key.public() })
}

/// A petabyte at least is left out: at a hundred megabytes a second, what was copied would have to go on for four months to use
/// as much. Places have 63 bits in tables, so a journal can be restored some thousand times, one copy from the other.
const GAP_BYTES: u64 = 1 << 50;
