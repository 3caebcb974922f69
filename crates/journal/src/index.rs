//! The index of a sealed segment: its devices, sorted, with their hashes and the places of their entries.
//!
//! It is a function of the segment's bytes alone, so that it can be rebuilt and compared.

use std::io;

use hashbrown::HashMap;
use odograph_env::{DiskFile, UnixMillis};

use crate::entry::{u32_at, u64_at};
use crate::erasures::ErasedLeaf;
use crate::merkle::{self, Hash};
use crate::tally::Tally;

/// One device's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) device: &'a str,
    pub(crate) hash: Hash,
    pub(crate) entries: u32,
    /// Which of the offsets is this device's first.
    first: u64,
    offsets_crc: u32,
    pub(crate) what: What,
}

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// All that was sealed of a device.
    Device,
    /// What was erased: of a device there is its leaf, where the row of others has a hash, and nothing else.
    Erased,
    /// What another tenant's device of the same name has left in the leaf of the row before. It is no leaf itself.
    Rest,
}

/// The directory part of an index: all of it but the offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    directory: Vec<u8>,
    pub(crate) base: u64,
    pub(crate) end: u64,
    pub(crate) entries: u64,
    pub(crate) times: Option<(UnixMillis, UnixMillis)>,
    devices: usize,
}

/// Which rows have which leaves: counted once, because there are as many as a fleet has devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    of_rows: Vec<u32>,
    rows: Vec<usize>,
}

impl Places {
    /// Which leaf of the tree the row at `number` has, or the row before where it has none.
    pub(crate) fn of_row(&self, number: usize) -> u32 {
        self.of_rows[number]
    }

    /// The row that has the leaf at `place` of the tree.
    pub(crate) fn row(&self, place: u32) -> Option<usize> {
        self.rows.get(place as usize).copied()
    }
}

/// Builds the file of the segment from `base` to `end`, of which `erased` was erased, by the places of leaves.
pub(crate) fn encode(tally: &Tally, base: u64, end: u64, erased: &[ErasedLeaf]) -> Vec<u8> {
    let (mut table, mut erased_left, mut place) = (Table::default(), erased.iter().peekable(), 0_u32);
    let mut rests = 0_u32;
    tally.for_each_device(|device| {
        while rests == 0
            && let Some(leaf) = erased_left.next_if(|leaf| leaf.place <= place)
        {
            table.erased(leaf);
            (rests, place) = (u32::from(leaf.rest), place + 1);
        }
        table.device(device.device, device.hash, device.offsets, rests > 0);
        place += u32::from(rests == 0);
        rests = 0;
    });
    erased_left.for_each(|leaf| table.erased(leaf));
    let Table { mut rows, mut names, mut offsets } = table;
    let (at_least, at_most) = tally.times().unwrap_or((0, 0));
    let mut file = Vec::with_capacity(HEADER_BYTES + rows.len() + names.len() + offsets.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&if erased.is_empty() { VERSION } else { VERSION_ERASED }.to_le_bytes());
    file.extend_from_slice(&base.to_le_bytes());
    file.extend_from_slice(&end.to_le_bytes());
    file.extend_from_slice(&at_least.to_le_bytes());
    file.extend_from_slice(&at_most.to_le_bytes());
    file.extend_from_slice(&tally.entries().to_le_bytes());
    file.extend_from_slice(&((rows.len() / ROW_BYTES) as u32).to_le_bytes());
    file.extend_from_slice(&(names.len() as u32).to_le_bytes());
    file.append(&mut rows);
    file.append(&mut names);
    put_checksum(&mut file);
    file.append(&mut offsets);
    file
}

fn put_checksum(directory: &mut [u8]) {
    let crc = crc32c::crc32c(&directory[CHECKED_FROM..]);
    directory[8..12].copy_from_slice(&crc.to_le_bytes());
}

/// What an index is built of.
#[derive(Default)]
struct Table {
    rows: Vec<u8>,
    names: Vec<u8>,
    offsets: Vec<u8>,
}

impl Table {
    fn device(&mut self, name: &str, hash: Hash, offsets: &[u32], is_rest: bool) {
        let (begin, first) = (self.offsets.len(), self.offsets.len() as u64 / 4);
        self.offsets.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
        let crc = crc32c::crc32c(&self.offsets[begin..]);
        let length = name.len() as u32 | if is_rest { REST } else { 0 };
        self.row(hash, offsets.len() as u32, crc, length, first);
        self.names.extend_from_slice(name.as_bytes());
    }

    fn erased(&mut self, leaf: &ErasedLeaf) {
        self.row(leaf.leaf, leaf.entries, 0, ERASED, self.offsets.len() as u64 / 4);
    }

    fn row_as_it_is(&mut self, row: &Row<'_>) {
        let length = match row.what {
            What::Erased => ERASED,
            What::Rest => row.device.len() as u32 | REST,
            What::Device => row.device.len() as u32,
        };
        self.row(row.hash, row.entries, row.offsets_crc, length, row.first);
        self.names.extend_from_slice(row.device.as_bytes());
    }

    fn row(&mut self, hash: Hash, entries: u32, offsets_crc: u32, length: u32, first: u64) {
        self.rows.extend_from_slice(&hash);
        for number in [entries, offsets_crc, self.names.len() as u32, length] {
            self.rows.extend_from_slice(&number.to_le_bytes());
        }
        self.rows.extend_from_slice(&first.to_le_bytes());
    }
}

/// The root of the tree over all devices of an encoded index.
pub(crate) fn root(index: &Index) -> Hash {
    merkle::root(index.leaves())
}

impl Index {
    /// Reads the directory. `Ok(None)`: the file is not what was written.
    pub(crate) fn read(file: &dyn DiskFile) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER_BYTES];
        let length = file.length()?;
        if file.read_at(&mut header, 0)? < HEADER_BYTES || !header.starts_with(MAGIC) {
            return Ok(None);
        }
        let bytes = directory_bytes(&header);
        if bytes > length {
            return Ok(None);
        }
        let mut directory = vec![0; bytes as usize];
        let read = file.read_at(&mut directory, 0)?;
        directory.truncate(read);
        Ok(Self::parse(directory))
    }

    /// Takes the directory out of the beginning of a file.
    pub(crate) fn parse(mut file: Vec<u8>) -> Option<Self> {
        let header: &[u8; HEADER_BYTES] = file.first_chunk()?;
        let bytes = usize::try_from(directory_bytes(header)).ok()?;
        let is_known = [VERSION, VERSION_ERASED].contains(&u32_at(header, 12));
        if !header.starts_with(MAGIC) || !is_known || file.len() < bytes {
            return None;
        }
        let (crc, entries, devices) = (u32_at(header, 8), u64_at(header, 48), u32_at(header, 56) as usize);
        let times = (u64_at(header, 32).cast_signed(), u64_at(header, 40).cast_signed());
        let (base, end) = (u64_at(header, 16), u64_at(header, 24));
        file.truncate(bytes);
        let index = Self { directory: file, base, end, entries, times: (entries > 0).then_some(times), devices };
        let whole = crc32c::crc32c(&index.directory[CHECKED_FROM..]) == crc;
        (whole && (0..devices).all(|number| index.checked_row(number).is_some())).then_some(index)
    }

    /// How long the directory is, at the beginning of the file.
    pub(crate) fn directory_bytes(&self) -> u64 {
        self.directory.len() as u64
    }

    pub(crate) fn devices(&self) -> usize {
        self.devices
    }

    /// The device at `number`, in the order of names.
    pub(crate) fn row(&self, number: usize) -> Row<'_> {
        self.checked_row(number).expect("all rows were checked when the index was read")
    }

    /// How many leaves the tree over its devices has.
    pub(crate) fn leaf_count(&self) -> usize {
        (0..self.devices).filter(|&number| self.row(number).what != What::Rest).count()
    }

    /// Which rows have which leaves of the tree.
    pub(crate) fn places(&self) -> Places {
        let (mut of_rows, mut rows) = (Vec::with_capacity(self.devices), Vec::with_capacity(self.devices));
        for number in 0..self.devices {
            if self.row(number).what != What::Rest {
                rows.push(number);
            }
            of_rows.push(rows.len().saturating_sub(1) as u32);
        }
        Places { of_rows, rows }
    }

    /// Which leaf of the tree the row at `number` has, or the row before where it has none.
    pub(crate) fn leaf_of_row(&self, number: usize) -> usize {
        (0..=number).filter(|&number| self.row(number).what != What::Rest).count().saturating_sub(1)
    }

    /// The leaf of the row at `number`.
    pub(crate) fn leaf(&self, number: usize) -> Hash {
        let row = self.row(number);
        if row.what == What::Erased { row.hash } else { merkle::leaf(row.device, &row.hash, row.entries.into()) }
    }

    fn has_erased(&self) -> bool {
        u32_at(&self.directory, 12) == VERSION_ERASED
    }

    /// The directory of a segment that is not there any more, with what was erased taken out of it.
    pub(crate) fn without(&self, erased: &[ErasedLeaf]) -> Vec<u8> {
        let (mut table, mut leaves) = (Table::default(), 0_u32);
        let erased: HashMap<u32, &ErasedLeaf> = erased.iter().map(|leaf| (leaf.place, leaf)).collect();
        for number in 0..self.devices {
            let row = self.row(number);
            leaves += u32::from(row.what != What::Rest);
            match (erased.get(&leaves.saturating_sub(1)).copied(), row.what) {
                (None, _) => table.row_as_it_is(&row),
                (Some(leaf), What::Device) => {
                    table.erased(leaf);
                    if leaf.rest {
                        // Which of the entries they are is in no file here.
                        table.row_as_it_is(&Row { what: What::Rest, hash: [0; 32], entries: 0, ..row });
                    }
                }
                (Some(leaf), What::Rest) if !leaf.rest => {}
                (Some(_), _) => table.row_as_it_is(&row),
            }
        }
        let mut file = self.directory[..HEADER_BYTES].to_vec();
        file[12..16].copy_from_slice(&VERSION_ERASED.to_le_bytes());
        file[56..60].copy_from_slice(&((table.rows.len() / ROW_BYTES) as u32).to_le_bytes());
        file[60..64].copy_from_slice(&(table.names.len() as u32).to_le_bytes());
        file.append(&mut table.rows);
        file.append(&mut table.names);
        put_checksum(&mut file);
        file
    }

    pub(crate) fn find(&self, device: &str) -> Option<usize> {
        if self.has_erased() {
            // What was erased has no name to go by.
            return (0..self.devices).find(|&number| {
                let row = self.row(number);
                row.what != What::Erased && row.device == device
            });
        }
        let (mut low, mut high) = (0, self.devices);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.row(middle).device.cmp(device) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// Reads the offsets of a device's entries. `Ok(None)`: they are not what was written.
    pub(crate) fn offsets(&self, file: &dyn DiskFile, row: &Row<'_>) -> io::Result<Option<Vec<u32>>> {
        let mut bytes = vec![0; row.entries as usize * 4];
        let read = file.read_at(&mut bytes, self.directory.len() as u64 + row.first * 4)?;
        if read < bytes.len() || crc32c::crc32c(&bytes) != row.offsets_crc {
            return Ok(None);
        }
        let offsets = bytes.chunks_exact(4).map(|offset| u32_at(offset, 0));
        Ok(Some(offsets.collect()))
    }

    /// The same, out of all of the file's bytes.
    pub(crate) fn offsets_within<'a>(&self, file: &'a [u8], row: &Row<'_>) -> Option<impl Iterator<Item = u32> + 'a> {
        let begin = self.directory.len() + usize::try_from(row.first).ok()? * 4;
        Some(file.get(begin..begin + row.entries as usize * 4)?.chunks_exact(4).map(|offset| u32_at(offset, 0)))
    }

    pub(crate) fn leaves(&self) -> Vec<Hash> {
        let has_leaf = |number: &usize| self.row(*number).what != What::Rest;
        (0..self.devices).filter(has_leaf).map(|number| self.leaf(number)).collect()
    }

    /// What lies at `offset` of the file, for a person.
    pub(crate) fn describe(&self, offset: u64) -> String {
        let names_begin = HEADER_BYTES + self.devices * ROW_BYTES;
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let found = if at < HEADER_BYTES {
            return "header".to_owned();
        } else if at < names_begin {
            (at - HEADER_BYTES) / ROW_BYTES
        } else if at < self.directory.len() {
            let starts = |number: usize| self.name_range(number).start;
            (0..self.devices).rfind(|&number| starts(number) <= at - names_begin).unwrap_or(0)
        } else {
            let slot = (at - self.directory.len()) as u64 / 4;
            (0..self.devices).rfind(|&number| self.row(number).first <= slot).unwrap_or(0)
        };
        if found < self.devices { format!("device {:?}", self.row(found).device) } else { "after the end".to_owned() }
    }

    fn checked_row(&self, number: usize) -> Option<Row<'_>> {
        #[cfg(test)]
        tests::ROWS_READ.with(|read| read.set(read.get() + 1));
        let at = HEADER_BYTES + number * ROW_BYTES;
        let row = self.directory.get(at..at + ROW_BYTES)?;
        let names = self.directory.get(HEADER_BYTES + self.devices * ROW_BYTES..)?;
        Some(Row {
            device: std::str::from_utf8(names.get(self.name_range(number))?).ok()?,
            what: match u32_at(row, 44) {
                ERASED => What::Erased,
                length if length & REST != 0 => What::Rest,
                _ => What::Device,
            },
            hash: *row.first_chunk()?,
            entries: u32_at(row, 32),
            offsets_crc: u32_at(row, 36),
            first: u64_at(row, 48),
        })
    }

    fn name_range(&self, number: usize) -> std::ops::Range<usize> {
        let at = HEADER_BYTES + number * ROW_BYTES;
        let begin = u32_at(&self.directory, at + 40) as usize;
        let length = u32_at(&self.directory, at + 44);
        begin..begin + if length == ERASED { 0 } else { length & !REST } as usize
    }
}

fn directory_bytes(header: &[u8; HEADER_BYTES]) -> u64 {
    HEADER_BYTES as u64 + u64::from(u32_at(header, 56)) * ROW_BYTES as u64 + u64::from(u32_at(header, 60))
}

const MAGIC: &[u8; 8] = b"ODOIDX\r\n";
const VERSION: u32 = 1;
/// With rows that were erased.
const VERSION_ERASED: u32 = 2;
/// In the place of a name's length: there is none.
const ERASED: u32 = u32::MAX;
/// Beside a name's length, which has 8 bits.
const REST: u32 = 1 << 31;
const HEADER_BYTES: usize = 64;
const ROW_BYTES: usize = 56;
/// The checksum covers what comes after it.
const CHECKED_FROM: usize = 12;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How often a row was read, by which work is counted that must not grow with the square of devices.
        pub(super) static ROWS_READ: Cell<usize> = const { Cell::new(0) };
    }

    const DEVICES: usize = 3000;

    /// An index of many devices, each seventh of which has something left of another tenant's, as after an erasure.
    fn index() -> Index {
        let mut table = Table::default();
        for number in 0..DEVICES {
            let name = format!("{number:08}");
            match number % 7 {
                0 => {
                    table.erased(&leaf(number as u32, true));
                    table.device(&name, [0; 32], &[], true);
                }
                _ => table.device(&name, [number as u8; 32], &[64], false),
            }
        }
        let mut file = vec![0; HEADER_BYTES];
        file[..8].copy_from_slice(MAGIC);
        file[12..16].copy_from_slice(&VERSION_ERASED.to_le_bytes());
        file[56..60].copy_from_slice(&((table.rows.len() / ROW_BYTES) as u32).to_le_bytes());
        file[60..64].copy_from_slice(&(table.names.len() as u32).to_le_bytes());
        file.extend_from_slice(&table.rows);
        file.extend_from_slice(&table.names);
        put_checksum(&mut file);
        Index::parse(file).unwrap()
    }

    fn leaf(place: u32, rest: bool) -> ErasedLeaf {
        ErasedLeaf { order: 1, base: 0, place, leaf: [7; 32], entries: 1, rest, gone: 1, bytes: 1 }
    }

    fn rows_read(work: impl FnOnce()) -> usize {
        let before = ROWS_READ.with(Cell::get);
        work();
        ROWS_READ.with(Cell::get) - before
    }

    #[test]
    fn the_places_of_leaves_are_counted_in_one_pass() {
        let index = index();
        let read = rows_read(|| {
            let places = index.places();
            for number in (0..index.devices()).step_by(11) {
                assert_eq!(places.row(places.of_row(number)).map(|row| number - row), Some(rest_behind(number)));
            }
            assert_eq!((places.row(DEVICES as u32 - 1).is_some(), places.row(DEVICES as u32)), (true, None));
        });
        assert_eq!(read, index.devices());
        assert_eq!(index.leaf_of_row(index.devices() - 1), DEVICES - 1);
    }

    /// Of each seven devices the first has two rows.
    fn rest_behind(number: usize) -> usize {
        usize::from(number % 8 == 1)
    }

    #[test]
    fn what_is_erased_of_many_devices_is_taken_out_in_one_pass() {
        let index = index();
        let erased: Vec<ErasedLeaf> = (0..DEVICES as u32).map(|place| leaf(place, place % 7 == 3)).collect();
        let mut file = Vec::new();
        let read = rows_read(|| file = index.without(&erased));
        assert_eq!(read, index.devices());
        let left = Index::parse(file).unwrap();
        assert_eq!(left.leaf_count(), DEVICES);
        let rows: Vec<Row<'_>> = (0..left.devices()).map(|number| left.row(number)).collect();
        let names: Vec<&str> = rows.iter().filter(|row| row.what != What::Erased).map(|row| row.device).collect();
        let expected: Vec<String> = (3..DEVICES).step_by(7).map(|number| format!("{number:08}")).collect();
        assert_eq!(names, expected, "those that have something of others in their leaves");
    }
}
