//! The index of a sealed segment: its devices, sorted, with their hashes and the places of their entries.
//!
//! It is a function of the segment's bytes alone, so that it can be rebuilt and compared.

use std::io;

use odograph_env::{DiskFile, UnixMillis};

use crate::entry::{u32_at, u64_at};
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

/// Builds the file of the segment from `base` to `end`.
pub(crate) fn encode(tally: &Tally, base: u64, end: u64) -> Vec<u8> {
    let (mut rows, mut names, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = 0_u64;
    tally.for_each_device(|device| {
        let offsets_begin = offsets.len();
        offsets.extend(device.offsets.iter().flat_map(|offset| offset.to_le_bytes()));
        rows.extend_from_slice(&device.hash);
        rows.extend_from_slice(&(device.offsets.len() as u32).to_le_bytes());
        rows.extend_from_slice(&crc32c::crc32c(&offsets[offsets_begin..]).to_le_bytes());
        rows.extend_from_slice(&(names.len() as u32).to_le_bytes());
        rows.extend_from_slice(&(device.device.len() as u32).to_le_bytes());
        rows.extend_from_slice(&first.to_le_bytes());
        names.extend_from_slice(device.device.as_bytes());
        first += device.offsets.len() as u64;
    });
    let (at_least, at_most) = tally.times().unwrap_or((0, 0));
    let mut file = Vec::with_capacity(HEADER_BYTES + rows.len() + names.len() + offsets.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&base.to_le_bytes());
    file.extend_from_slice(&end.to_le_bytes());
    file.extend_from_slice(&at_least.to_le_bytes());
    file.extend_from_slice(&at_most.to_le_bytes());
    file.extend_from_slice(&tally.entries().to_le_bytes());
    file.extend_from_slice(&((rows.len() / ROW_BYTES) as u32).to_le_bytes());
    file.extend_from_slice(&(names.len() as u32).to_le_bytes());
    file.append(&mut rows);
    file.append(&mut names);
    let crc = crc32c::crc32c(&file[CHECKED_FROM..]);
    file[8..12].copy_from_slice(&crc.to_le_bytes());
    file.append(&mut offsets);
    file
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
        if !header.starts_with(MAGIC) || u32_at(header, 12) != VERSION || file.len() < bytes {
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

    pub(crate) fn find(&self, device: &str) -> Option<usize> {
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
        let rows = (0..self.devices).map(|number| self.row(number));
        rows.map(|row| merkle::leaf(row.device, &row.hash, u64::from(row.entries))).collect()
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
        let at = HEADER_BYTES + number * ROW_BYTES;
        let row = self.directory.get(at..at + ROW_BYTES)?;
        let names = self.directory.get(HEADER_BYTES + self.devices * ROW_BYTES..)?;
        Some(Row {
            device: std::str::from_utf8(names.get(self.name_range(number))?).ok()?,
            hash: *row.first_chunk()?,
            entries: u32_at(row, 32),
            offsets_crc: u32_at(row, 36),
            first: u64_at(row, 48),
        })
    }

    fn name_range(&self, number: usize) -> std::ops::Range<usize> {
        let at = HEADER_BYTES + number * ROW_BYTES;
        let begin = u32_at(&self.directory, at + 40) as usize;
        begin..begin + u32_at(&self.directory, at + 44) as usize
    }
}

fn directory_bytes(header: &[u8; HEADER_BYTES]) -> u64 {
    HEADER_BYTES as u64 + u64::from(u32_at(header, 56)) * ROW_BYTES as u64 + u64::from(u32_at(header, 60))
}

const MAGIC: &[u8; 8] = b"ODOIDX\r\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
const ROW_BYTES: usize = 56;
/// The checksum covers what comes after it.
const CHECKED_FROM: usize = 12;
