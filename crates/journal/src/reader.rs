//! Reads entries in order over all segments, also while another thread or process writes.

mod device;
mod entries;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use odograph_env::Disk;
use odograph_model::Lsn;

pub use device::DeviceEntries;
pub use entries::Entries;

use crate::chain::{self, Record, SealRecord};
use crate::error::{Broken, Error, IoContext as _};
use crate::key::{Key, PublicKey};
use crate::paths::{self, Listing};
use crate::removed;
use crate::scan::Scan;

/// A node's folder, for reading.
#[derive(Clone)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

impl Reader {
    /// Looks at a node's folder.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, Error> {
        let reader = Self { disk, folder: folder.to_owned() };
        reader.listing()?;
        Ok(reader)
    }

    /// The entries from `from` on, up to `until` or else as far as they can be read.
    ///
    /// `from` is where an entry begins or ends, or a segment begins; before the oldest segment, it is the oldest. With `until` (a
    /// durable mark), an entry before it that cannot be read is an error; without it, the last segment just ends there.
    pub fn entries(&self, from: Lsn, until: Option<Lsn>) -> Result<Entries, Error> {
        Entries::new(self.clone(), from, until)
    }

    /// The entries that belong to a device, from `from` on, up to `until` or else as far as they can be read. The empty
    /// name stands for entries that belong to none.
    ///
    /// Of sealed segments only that device's entries are read.
    pub fn device_entries(&self, device: &str, from: Lsn, until: Option<Lsn>) -> Result<DeviceEntries, Error> {
        DeviceEntries::new(self.clone(), device, from, until)
    }

    /// The oldest place that can be read; `None` without any segment.
    pub fn oldest(&self) -> Result<Option<Lsn>, Error> {
        Ok(self.listing()?.segments.first().map(|&base| Lsn(base)))
    }

    /// Up to where retention has removed segments, on purpose: what is missing before this place is no loss.
    pub fn removed(&self) -> Result<Lsn, Error> {
        Ok(removed::read(&*self.disk, &self.folder)?.unwrap_or_default())
    }

    /// Where the segment begins that holds `place`, or `place` itself where all segments begin behind it: then what is missing
    /// from there on is told. Reading from here on, every stream's first entry has its context. `None` without any segment.
    pub fn segment_begin(&self, place: Lsn) -> Result<Option<Lsn>, Error> {
        Ok(self.listing()?.holding(place).map(|base| Lsn(base).min(place)))
    }

    /// The seals of all segments that there ever were, in order; `None` for a record that cannot be read.
    pub fn seals(&self) -> Result<Vec<Option<SealRecord>>, Error> {
        let seal = |record: Option<Record>| match record {
            Some(Record::Seal(seal)) => Some(Some(seal)),
            Some(Record::Begin(_)) => None,
            None => Some(None),
        };
        Ok(self.chain()?.into_iter().filter_map(seal).collect())
    }

    /// All records of the chain, in order; `None` for one that cannot be read.
    pub(crate) fn chain(&self) -> Result<Vec<Option<Record>>, Error> {
        chain::read_all(&*self.disk, &self.folder)
    }

    /// The place in the last segment that cannot be read although whole entries stand behind it; `None` where the segment
    /// just ends. Without a durable mark, reading ends there, and this tells whether it should have.
    pub fn damage_before_end(&self) -> Result<Option<Broken>, Error> {
        let Some(&base) = self.listing()?.segments.last() else { return Ok(None) };
        if self.seals()?.into_iter().flatten().any(|seal| seal.base.0 == base) {
            return Ok(None);
        }
        let (path, mut scan) = (paths::segment(&self.folder, base), self.scan(base)?);
        let reason = loop {
            if let Err(stop) = scan.advance().doing("read", &path)? {
                break stop;
            }
        };
        let (offset, lsn) = (scan.offset(), scan.place());
        let behind = scan.resynchronise().doing("read", &path)?;
        Ok(behind.then_some(Broken { path, offset, lsn, reason }))
    }

    /// The key that checks this node's seals.
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        Key::read_public(&*self.disk, &self.folder)
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn listing(&self) -> Result<Listing, Error> {
        Listing::read(&*self.disk, &self.folder)
    }

    pub(crate) fn scan(&self, base: u64) -> Result<Scan, Error> {
        let path = paths::segment(&self.folder, base);
        Ok(Scan::new(self.disk.open_read(&path).doing("open", &path)?, base))
    }
}
