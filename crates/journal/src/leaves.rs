//! What stays of a segment that was removed: its devices with their hashes, so that what a device sent can be proven long
//! after. It is the index without the places of the entries, under another name.

use std::io;

use odograph_env::UnixMillis;
use odograph_model::Lsn;

use crate::chain::SealRecord;
use crate::erasures;
use crate::error::{Error, IoContext as _};
use crate::index::{self, Index, What};
use crate::merkle;
use crate::paths;
use crate::proof::{Proof, ProofCheck};
use crate::reader::Reader;
use crate::tally::Tally;

/// The devices of a sealed segment, whether it is still there or not.
#[derive(Debug, Clone)]
pub struct Leaves {
    record: SealRecord,
    index: Index,
}

/// What was sealed of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedDevice<'a> {
    /// Its name; empty for what is nobody's.
    pub name: &'a str,
    /// How many entries it has in the segment.
    pub entries: u64,
}

impl Leaves {
    /// The seal of the segment.
    pub const fn record(&self) -> &SealRecord {
        &self.record
    }

    /// Its devices, sorted by name, but those of which something was erased.
    pub fn devices(&self) -> impl Iterator<Item = SealedDevice<'_>> {
        let rows = (0..self.index.devices()).map(|number| self.index.row(number));
        rows.filter(|row| row.what == What::Device)
            .map(|row| SealedDevice { name: row.device, entries: row.entries.into() })
    }

    /// How many devices' leaves are left alone, because what they stood for was erased.
    pub fn erased(&self) -> u64 {
        (0..self.index.devices()).filter(|&number| self.index.row(number).what == What::Erased).count() as u64
    }

    /// Whether a device has entries that cannot be proven any more: another one of its name was in the same leaf, and erased.
    pub fn is_rest(&self, device: &str) -> bool {
        self.index.find(device).is_some_and(|number| self.index.row(number).what == What::Rest)
    }

    /// Whether entries are all and only those that were sealed for a device.
    pub fn are_of(&self, device: &str, entries: &ProofCheck) -> bool {
        let row = self.index.find(device).map(|number| self.index.row(number));
        row.is_some_and(|row| row.what == What::Device && entries.is(&row.hash, row.entries.into()))
    }

    /// What a third party needs besides the entries of a device. `None`: there are none.
    pub fn proof(&self, device: &str) -> Option<Proof> {
        let number = self.index.find(device)?;
        if self.index.row(number).what != What::Device {
            return None;
        }
        let path = merkle::path(self.index.leaves(), self.index.leaf_of_row(number));
        Some(Proof { record: self.record, device: device.to_owned(), path })
    }
}

impl Reader {
    /// The devices of the sealed segment that begins at `base`. `None`: it has no seal, or nothing of it is kept any more.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or are not those that were sealed.
    pub fn leaves(&self, base: Lsn) -> Result<Option<Leaves>, Error> {
        let Some(record) = self.seals()?.into_iter().flatten().find(|record| record.base == base) else {
            return Ok(None);
        };
        for path in [paths::index(self.folder(), base.0), paths::leaves(self.folder(), base.0)] {
            let file = match self.disk().open_read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.doing("open", &path)?,
            };
            let index = Index::read(&*file).doing("read", &path)?;
            let Some(index) = index.filter(|index| index::root(index) == record.root) else {
                return Err(Error::Damaged { path, what: "not the devices that were sealed" });
            };
            return Ok(Some(Leaves { record, index }));
        }
        Ok(None)
    }

    /// Removes the devices of segments that were removed and sealed before `before`, and returns how many segments that
    /// were: nobody keeps their entries any more.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub fn remove_leaves(&self, before: UnixMillis) -> Result<usize, Error> {
        let old = |record: &SealRecord| record.sealed_at < before;
        let (seals, listing) = (self.seals()?, self.listing()?);
        let mut removed = 0;
        for record in seals.into_iter().flatten().filter(old) {
            if listing.leaves.binary_search(&record.base.0).is_ok() {
                let path = paths::leaves(self.folder(), record.base.0);
                self.disk().remove(&path).doing("remove", &path)?;
                removed += 1;
            }
        }
        if removed > 0 {
            self.disk().sync_folder(self.folder()).doing("flush", self.folder())?;
        }
        Ok(removed)
    }
}

/// Sees to it that the index of a segment that is to be removed is as it was sealed; made again from the segment, if need
/// be. Returns whether it is.
pub(crate) fn prepare(reader: &Reader, record: &SealRecord) -> Result<bool, Error> {
    let (folder, base) = (reader.folder(), record.base.0);
    let path = paths::index(folder, base);
    match reader.disk().open_read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => {
            let index = Index::read(&*opened.doing("open", &path)?).doing("read", &path)?;
            if index.is_some_and(|index| index::root(&index) == record.root) {
                return Ok(true);
            }
        }
    }
    let mut scan = match reader.scan(base) {
        Ok(scan) => scan,
        Err(error) if error.is_gone() => return Ok(false),
        Err(error) => return Err(error),
    };
    scan.set_end(record.end);
    let mut tally = Tally::new();
    loop {
        let offset = scan.offset();
        match scan.advance().doing("read", &paths::segment(folder, base))? {
            Ok(located) => drop(tally.add(&scan.entry(located), offset)),
            Err(_) => break,
        }
    }
    let erased = erasures::of_segment(reader.disk(), folder, base)?;
    let bytes = index::encode(&tally, base, record.end.0, &erased);
    if Index::parse(bytes.clone()).is_none_or(|index| index::root(&index) != record.root) {
        return Ok(false);
    }
    crate::durable_file::replace(reader.disk(), folder, &path, &bytes)?;
    Ok(true)
}

/// Makes leaves of the indexes whose segments are gone. That takes no space: a full disk does not stop it.
pub(crate) fn keep(reader: &Reader) -> Result<(), Error> {
    let (folder, listing) = (reader.folder(), reader.listing()?);
    let is_gone = |base: &&u64| listing.segments.binary_search(base).is_err();
    let mut kept = false;
    for &base in listing.indexes.iter().filter(is_gone) {
        let (from, to) = (paths::index(folder, base), paths::leaves(folder, base));
        let file = reader.disk().open(&from).doing("open", &from)?;
        if let Some(index) = Index::read(&*file).doing("read", &from)? {
            // The places of entries that are not there any more.
            file.set_length(index.directory_bytes()).doing("cut", &from)?;
            file.sync().doing("flush", &from)?;
        }
        reader.disk().rename(&from, &to).doing("rename", &from)?;
        kept = true;
    }
    if kept {
        reader.disk().sync_folder(folder).doing("flush", folder)?;
    }
    Ok(())
}
