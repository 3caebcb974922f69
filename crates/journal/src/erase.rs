//! Erases entries by order, in place: what stays is their place, length, time and kind, and the leaf by which the proofs of
//! everybody else hold. Docs: `docs/internals/journal.md`.
//!
//! Each step can be repeated. First the leaves are noted; then the entries are overwritten, those that say whose they are
//! last; then the index is made anew without the name. As long as that is not done, the old index knows where they are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use odograph_env::{DiskFile, UnixMillis};
use odograph_model::Lsn;

use crate::chain::{Record, SealRecord};
use crate::entry::{self, ENTRY_BYTES_MAX, Entry, HEADER_BYTES, Identity, u64_at};
use crate::erasures::{ErasedLeaf, Erasure, Erasures};
use crate::error::{Error, IoContext as _};
use crate::index::{self, Index, What};
use crate::reader::Reader;
use crate::scan::Scan;
use crate::tally::Tally;
use crate::{durable_file, paths};

/// Whose entries go.
pub struct Whose<'a> {
    /// Those of one device; `None`: of whichever `belongs` says.
    pub device: Option<&'a str>,
    /// Whether the entries that a stream's identity speaks for are among them.
    pub belongs: &'a dyn Fn(Identity<'_>) -> bool,
    /// What goes of a device in a segment that was removed: of those, names are left alone, and whose they were others know.
    pub removed: &'a dyn Fn(&str, Lsn) -> Part,
    /// Asked before each segment, with nothing held: where not, what is left is done by the same again.
    pub goes_on: &'a dyn Fn() -> bool,
}

/// How much of a device's entries goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nothing.
    Nothing,
    /// All that has its name.
    All,
    /// Not what another tenant's device of the same name sent.
    Some,
}

/// How much an order erases, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErasedLoad {
    /// Entries.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Segments that have some, or had.
    pub segments: u64,
}

impl Reader {
    /// All orders that were given.
    ///
    /// # Errors
    ///
    /// When the file that has them is damaged.
    pub fn erasures(&self) -> Result<Vec<Erasure>, Error> {
        Ok(Erasures::read(self.disk(), self.folder())?.orders)
    }

    /// Gives an order about so many devices, durably: from now on it is to be carried out, whatever happens. All before `until` must be
    /// sealed.
    ///
    /// # Errors
    ///
    /// When the disk refuses; [`Error::Damaged`] where it is not known of all before `until` where it is sealed; or
    /// [`Error::ErasuresFull`].
    pub fn order_erasure(&self, at: UnixMillis, until: Lsn, subject: &[u8], devices: usize) -> Result<u64, Error> {
        self.all_sealed(until)?;
        let mut erasures = Erasures::read(self.disk(), self.folder())?;
        // At most one of each device in each segment that there ever was.
        erasures.has_room(self.seals()?.len().saturating_mul(devices))?;
        let order = erasures.orders.last().map_or(1, |last| last.order + 1);
        let (subject, done) = (subject.to_vec(), None);
        erasures.orders.push(Erasure { order, at, until, subject, done, entries: 0, bytes: 0, segments: 0 });
        erasures.write(self.disk(), self.folder())?;
        Ok(order)
    }

    /// An order is carried out, here and wherever else: whose it was is forgotten.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub fn finish_erasure(&self, order: u64, at: UnixMillis) -> Result<(), Error> {
        let mut erasures = Erasures::read(self.disk(), self.folder())?;
        for one in erasures.orders.iter_mut().filter(|one| one.order == order) {
            one.subject.clear();
            one.done = Some(one.done.unwrap_or(at));
        }
        erasures.write(self.disk(), self.folder())
    }

    /// How much of all that can be read now an order would erase.
    ///
    /// # Errors
    ///
    /// When files cannot be read.
    pub fn would_erase(&self, whose: &Whose<'_>) -> Result<ErasedLoad, Error> {
        let mut load = ErasedLoad::default();
        let seals: Vec<SealRecord> = self.seals()?.into_iter().flatten().collect();
        for base in self.listing()?.segments {
            let before = load.entries;
            match seals.binary_search_by_key(&base, |seal| seal.base.0).ok().map(|number| &seals[number]) {
                Some(record) => {
                    for leaf in self.leaves_to_erase(record, whose, 0)? {
                        load.entries += leaf.gone;
                        load.bytes += leaf.bytes;
                    }
                }
                None => self.scan_load(base, whose, &mut load)?,
            }
            load.segments += u64::from(load.entries > before);
        }
        Ok(load)
    }

    fn scan_load(&self, base: u64, whose: &Whose<'_>, load: &mut ErasedLoad) -> Result<(), Error> {
        let (mut scan, mut streams) = (self.scan(base)?, HashMap::<u64, bool>::new());
        while let Ok(located) = scan.advance().doing("read", &paths::segment(self.folder(), base))? {
            let entry = scan.entry(located);
            if let Some(identity) = entry.identity {
                streams.insert(entry.stream, whose.is(identity));
            }
            if streams.get(&entry.stream) == Some(&true) {
                load.entries += 1;
                load.bytes += entry.bytes.len() as u64;
            }
        }
        Ok(())
    }

    /// Carries out an order, or goes on with it. `removing` is held while a segment is looked at or overwritten, and free in between: who
    /// removes segments has it meanwhile. Only one may erase at a time.
    ///
    /// # Errors
    ///
    /// When the disk refuses, or a segment is damaged so that what is in it cannot be told: then the order stays, and can be
    /// carried out once that is mended. [`Error::Interrupted`] where it does not go on.
    pub fn erase(&self, order: u64, whose: &Whose<'_>, removing: &Mutex<()>) -> Result<Erasure, Error> {
        let mut erasures = Erasures::read(self.disk(), self.folder())?;
        let until = erasures.orders.iter().find(|one| one.order == order).map_or(Lsn(0), |one| one.until);
        let seals = self.all_sealed(until)?;
        let mut noted: BTreeSet<(u64, u32)> = BTreeSet::new();
        noted.extend(erasures.leaves.iter().filter(|leaf| leaf.order == order).map(|leaf| (leaf.base, leaf.place)));
        let before = erasures.leaves.len();
        for record in seals.iter().filter(|record| record.end <= until) {
            let _alone = whose.alone(removing)?;
            let leaves = self.leaves_to_erase(record, whose, order)?;
            erasures.leaves.extend(leaves.into_iter().filter(|leaf| !noted.contains(&(leaf.base, leaf.place))));
        }
        if erasures.leaves.len() > before {
            erasures.write(self.disk(), self.folder())?;
        }
        let noted = erasures.by_segment(order);
        for (record, leaves) in of_seals(&seals, &noted) {
            let _alone = whose.alone(removing)?;
            self.erase_in(record, leaves, &erasures, whose)?;
        }
        let done = Erasures::read(self.disk(), self.folder())?.orders.into_iter().find(|one| one.order == order);
        done.ok_or_else(|| Error::Damaged { path: paths::erasures(self.folder()), what: "without the order" })
    }

    /// Goes on with an order in the one segment that a kill may have left half overwritten, which cannot be read before. All others are
    /// as they were or done: segments are overwritten one after the other, in their order.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::erase`].
    pub fn finish_begun(&self, order: u64, whose: &Whose<'_>, removing: &Mutex<()>) -> Result<(), Error> {
        let erasures = Erasures::read(self.disk(), self.folder())?;
        let noted = erasures.by_segment(order);
        if noted.is_empty() {
            return Ok(());
        }
        let until = erasures.orders.iter().find(|one| one.order == order).map_or(Lsn(0), |one| one.until);
        let seals = self.all_sealed(until)?;
        let all: Vec<_> = of_seals(&seals, &noted).collect();
        let _alone = whose.alone(removing)?;
        // The first one that is not done. There may be very many, and their indexes are large.
        let (mut low, mut high) = (0, all.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            let (record, leaves) = all[middle];
            if self.is_done(record, leaves, whose)? { low = middle + 1 } else { high = middle }
        }
        match all.get(low) {
            Some((record, leaves)) => self.erase_in(record, leaves, &erasures, whose),
            None => Ok(()),
        }
    }

    /// Whether all that was noted of a segment was overwritten, and its index says so.
    fn is_done(&self, record: &SealRecord, leaves: &[ErasedLeaf], whose: &Whose<'_>) -> Result<bool, Error> {
        let Some(order) = leaves.first().map(|leaf| leaf.order) else { return Ok(true) };
        let Some(found) = self.index_of(record, order)? else { return Ok(true) };
        let places = found.index.places();
        for leaf in leaves {
            let Some(number) = places.row(leaf.place) else { continue };
            let is_done = match (found.index.row(number).what == What::Erased, found.rest_behind(number)) {
                (false, _) => false,
                (true, None) => true,
                (true, Some(rest)) => match &found.segment {
                    // An earlier order left that, and so does this one: what is of whom only the entries say.
                    Some(segment) if leaf.rest => {
                        !found.entries(rest, &**segment, record, whose)?.iter().any(|entry| entry.belongs)
                    }
                    _ => leaf.rest,
                },
            };
            if !is_done {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The seals, if all before `until` has one: without it nobody knows what a segment had, nor what is left of one that was removed.
    ///
    /// # Errors
    ///
    /// When files cannot be read; [`Error::Damaged`] where one is missing or cannot be read.
    pub fn all_sealed(&self, until: Lsn) -> Result<Vec<SealRecord>, Error> {
        let mut records = self.chain()?;
        // There is room already for the one that comes next.
        records.pop_if(|last| last.is_none());
        let is_whole = records.iter().all(Option::is_some);
        let seals: Vec<SealRecord> = records.into_iter().flatten().filter_map(Record::seal).collect();
        let end = seals.last().map_or(Lsn(0), |last| last.end);
        if !is_whole || end < until {
            let what = "a seal cannot be read: nothing can be erased before that is mended";
            return Err(Error::Damaged { path: paths::chain(self.folder()), what });
        }
        let is_sealed = |base: u64| seals.binary_search_by_key(&base, |seal| seal.base.0).is_ok();
        match self.listing()?.segments.into_iter().find(|base| *base < until.0 && !is_sealed(*base)) {
            Some(base) => {
                let what = "has no seal: nothing can be erased before that is mended";
                Err(Error::Damaged { path: paths::segment(self.folder(), base), what })
            }
            None => Ok(seals),
        }
    }

    /// The leaves of a sealed segment of which something is to go.
    fn leaves_to_erase(&self, record: &SealRecord, whose: &Whose<'_>, order: u64) -> Result<Vec<ErasedLeaf>, Error> {
        let Some(found) = self.index_of(record, order)? else { return Ok(Vec::new()) };
        let base = record.base.0;
        let rows: Vec<usize> = match whose.device {
            Some(device) => found.index.find(device).into_iter().collect(),
            None => (0..found.index.devices()).collect(),
        };
        let (mut leaves, mut places) = (Vec::new(), None);
        for number in rows {
            let row = found.index.row(number);
            if row.what == What::Erased || row.device.is_empty() {
                continue;
            }
            let part = (whose.removed)(row.device, record.base);
            let (gone, bytes, rest) = match &found.segment {
                Some(segment) => {
                    let entries = found.entries(number, &**segment, record, whose)?;
                    let own = entries.iter().filter(|entry| entry.belongs);
                    let bytes = own.clone().map(|entry| entry.length as u64).sum();
                    (own.count() as u64, bytes, entries.iter().any(|entry| !entry.belongs))
                }
                // How many of them went with the segment is not known.
                None => (0, 0, part == Part::Some),
            };
            if gone == 0 && (found.segment.is_some() || part == Part::Nothing) {
                continue;
            }
            let places = places.get_or_insert_with(|| found.index.places());
            let place = places.of_row(number);
            let sealed = places.row(place).unwrap_or(number);
            let (leaf, entries) = (found.index.leaf(sealed), found.index.row(sealed).entries);
            leaves.push(ErasedLeaf { order, base, place, leaf, entries, rest, gone, bytes });
        }
        Ok(leaves)
    }

    /// Overwrites, and makes the index anew.
    fn erase_in(
        &self,
        record: &SealRecord,
        leaves: &[ErasedLeaf],
        erasures: &Erasures,
        whose: &Whose<'_>,
    ) -> Result<(), Error> {
        let Some(order) = leaves.first().map(|leaf| leaf.order) else { return Ok(()) };
        let (folder, base) = (self.folder(), record.base.0);
        let Some(found) = self.index_of(record, order)? else { return Ok(()) };
        let Some(segment) = &found.segment else {
            let bytes = found.index.without(leaves);
            return durable_file::replace(self.disk(), folder, &found.path, &bytes);
        };
        let path = paths::segment(folder, base);
        let file = self.disk().open(&path).doing("open", &path)?;
        let (mut targets, places) = (Vec::new(), found.index.places());
        for leaf in leaves {
            let Some(number) = places.row(leaf.place) else { continue };
            let number = match (found.index.row(number).what, found.rest_behind(number)) {
                (What::Erased, Some(rest)) => rest,
                (What::Erased, None) => continue,
                _ => number,
            };
            targets.extend(found.entries(number, &**segment, record, whose)?.into_iter().filter(|entry| entry.belongs));
        }
        // What says whose others are goes last.
        for says_whose in [false, true] {
            let mut header = [0; HEADER_BYTES];
            for target in targets.iter().filter(|target| target.says_whose == says_whose) {
                file.read_at(&mut header, target.offset).doing("read", &path)?;
                file.write_at(&entry::erased(&header, order), target.offset).doing("write", &path)?;
            }
            file.sync().doing("flush", &path)?;
        }
        clear_behind(&*file, record).doing("write", &path)?;
        file.sync().doing("flush", &path)?;
        let bytes = self.encoded(record, &erasures.of_segment(base, None))?;
        durable_file::replace(self.disk(), folder, &paths::index(folder, base), &bytes)
    }

    /// The index of a segment as its entries are now. It must have the root that was sealed.
    fn encoded(&self, record: &SealRecord, erased: &[ErasedLeaf]) -> Result<Vec<u8>, Error> {
        let (base, path) = (record.base.0, paths::segment(self.folder(), record.base.0));
        let mut scan = self.scan(base)?;
        scan.set_end(record.end);
        let tally = tally(&mut scan, record).doing("read", &path)?;
        let bytes = tally
            .map(|tally| index::encode(&tally, base, record.end.0, erased))
            .filter(|bytes| Index::parse(bytes.clone()).is_some_and(|index| index::root(&index) == record.root));
        bytes.ok_or(Error::Damaged { path, what: "damaged: nothing in it can be erased before that is mended" })
    }

    /// The index of a sealed segment, or what is left of it. `None`: nothing is. One that is not what was sealed is made again, as it
    /// was before `order`.
    fn index_of(&self, record: &SealRecord, order: u64) -> Result<Option<Found>, Error> {
        let (folder, base) = (self.folder(), record.base.0);
        let path = paths::segment(folder, base);
        let segment = match self.disk().open_read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            opened => Some(opened.doing("open", &path)?),
        };
        for path in [paths::index(folder, base), paths::leaves(folder, base)] {
            let file = match self.disk().open_read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => opened.doing("open", &path)?,
            };
            let index = Index::read(&*file).doing("read", &path)?;
            if let Some(index) = index.filter(|index| index::root(index) == record.root) {
                return Ok(Some(Found { index, file, path, segment }));
            }
        }
        if segment.is_none() {
            return Ok(None);
        }
        let erasures = Erasures::read(self.disk(), folder)?;
        let bytes = self.encoded(record, &erasures.of_segment(base, Some(order)))?;
        let path = paths::index(folder, base);
        durable_file::replace(self.disk(), folder, &path, &bytes)?;
        let file = self.disk().open_read(&path).doing("open", &path)?;
        let index = Index::read(&*file).doing("read", &path)?;
        Ok(index.map(|index| Found { index, file, path, segment }))
    }
}

/// The segments of which something was noted, in their order.
fn of_seals<'a>(
    seals: &'a [SealRecord],
    noted: &'a BTreeMap<u64, Vec<ErasedLeaf>>,
) -> impl Iterator<Item = (&'a SealRecord, &'a [ErasedLeaf])> {
    seals.iter().filter_map(|record| Some((record, noted.get(&record.base.0)?.as_slice())))
}

impl Whose<'_> {
    /// Alone with a segment, if it is to go on.
    fn alone<'l>(&self, removing: &'l Mutex<()>) -> Result<MutexGuard<'l, ()>, Error> {
        if !(self.goes_on)() {
            return Err(Error::Interrupted);
        }
        Ok(removing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is(&self, identity: Identity<'_>) -> bool {
        !identity.device.is_empty()
            && self.device.is_none_or(|device| device == identity.device)
            && (self.belongs)(identity)
    }
}

/// The index of a segment, and the segment, if it is still there.
struct Found {
    index: Index,
    file: Box<dyn DiskFile>,
    path: std::path::PathBuf,
    segment: Option<Box<dyn DiskFile>>,
}

/// An entry of a device.
struct OfDevice {
    offset: u64,
    length: usize,
    belongs: bool,
    says_whose: bool,
}

impl Found {
    /// The row behind the one at `number`, if it is what others have left in the same leaf.
    fn rest_behind(&self, number: usize) -> Option<usize> {
        let next = number + 1;
        (next < self.index.devices() && self.index.row(next).what == What::Rest).then_some(next)
    }

    /// The entries of a row that are not erased, with whether they belong to those that are to go.
    fn entries(
        &self,
        number: usize,
        segment: &dyn DiskFile,
        record: &SealRecord,
        whose: &Whose<'_>,
    ) -> Result<Vec<OfDevice>, Error> {
        let damaged = |what| Error::Damaged { path: self.path.clone(), what };
        let offsets = self.index.offsets(&*self.file, &self.index.row(number)).doing("read", &self.path)?;
        let offsets = offsets.ok_or_else(|| damaged("not the places of entries that were written"))?;
        let (mut entries, mut streams) = (Vec::new(), HashMap::<u64, bool>::new());
        for offset in offsets.into_iter().map(u64::from) {
            let bytes = whole(segment, offset, record).doing("read", &self.path)?;
            let bytes = bytes.ok_or_else(|| damaged("for a segment that is damaged: mend that before you erase"))?;
            let length = bytes.len();
            let Ok(entry) = Entry::parse(&bytes, Lsn(record.base.0 + offset)) else {
                // Torn while it was erased: its length is the same in both.
                entries.push(OfDevice { offset, length, belongs: true, says_whose: true });
                continue;
            };
            if entry.erased().is_some() {
                continue;
            }
            let says_whose = entry.identity.is_some();
            if let Some(identity) = entry.identity {
                streams.insert(entry.stream, whose.is(identity));
            }
            // Where what said whose it is was erased already, it was one of those that go.
            let belongs = streams.get(&entry.stream).copied().unwrap_or(true);
            entries.push(OfDevice { offset, length, belongs, says_whose });
        }
        Ok(entries)
    }
}

/// The bytes of the entry at `offset`, by the length that it states, if something begins or ends behind it.
fn whole(segment: &dyn DiskFile, offset: u64, record: &SealRecord) -> std::io::Result<Option<Vec<u8>>> {
    let mut header = [0; HEADER_BYTES];
    segment.read_at(&mut header, offset)?;
    let (length, base) = (entry::length_of(&header), record.base.0);
    if !(HEADER_BYTES..=ENTRY_BYTES_MAX).contains(&length) {
        return Ok(None);
    }
    let end = base + offset + length as u64;
    let mut next = [0; HEADER_BYTES];
    let read = segment.read_at(&mut next, end - base)?;
    if end != record.end.0 && (read < HEADER_BYTES || u64_at(&next, 8) != end) {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    let read = segment.read_at(&mut bytes, offset)?;
    Ok((read == length).then_some(bytes))
}

/// All entries of a sealed segment; `None`: one cannot be read.
fn tally(scan: &mut Scan, record: &SealRecord) -> std::io::Result<Option<Tally>> {
    let mut tally = Tally::new();
    while scan.place() < record.end {
        let offset = scan.offset();
        match scan.advance()? {
            Ok(located) => drop(tally.add(&scan.entry(located), offset)),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(tally))
}

/// Puts zeros over what a crash left behind the end of a segment: nobody reads it, and nobody knows whose it is.
fn clear_behind(file: &dyn DiskFile, record: &SealRecord) -> std::io::Result<()> {
    let (mut at, end) = (record.end.0 - record.base.0, file.length()?);
    let zeros = vec![0; CLEARED_AT_ONCE];
    while at < end {
        let length = (end - at).min(CLEARED_AT_ONCE as u64);
        file.write_at(&zeros[..length as usize], at)?;
        at += length;
    }
    Ok(())
}

const CLEARED_AT_ONCE: usize = 64 << 10;
