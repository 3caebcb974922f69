//! A journal's folder with anything in its files.

use super::{NOW_MS, folder, open};
use odograph_env::Disk as _;
use odograph_journal::{ENTRY_BYTES_MAX, Entry, Error, HEADER_BYTES, Reader, SEGMENT_HEADER_BYTES, Step};
use odograph_model::Lsn;
use odograph_testkit::FaultDisk;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A folder as `build` below makes it, which a reader reads, verification looks at, and recovery takes over.
///
/// Whatever is there: nobody panics and nobody runs in circles; what could be read before recovery, up to the first
/// damage of its segment, can be read after it; what is written then can be read, and gets no place used before.
pub fn journal(input: &[u8]) {
    let _ = Entry::parse(input, Lsn(0));
    let disk = build(input);
    let before = inspect(&disk);
    let Ok((journal, mut committer, recovery)) = open(&disk) else { return };
    for segment in &recovery.segments {
        assert!(recovery.next.0 >= segment.end.0 + segment.bytes_after, "{:?} is used again", recovery.next);
    }
    let payload = b"after recovery";
    let appended = journal.note(NOW_MS, payload).expect("the journal takes entries");
    assert!(appended.first >= recovery.next, "{appended:?} before {:?}", recovery.next);
    committer.commit_step().expect("the disk works");
    journal.close();
    while committer.commit_step().expect("the disk works") != Step::Closed {}
    let after = inspect(&disk);
    for (lsn, bytes) in &before {
        assert_eq!(after.get(lsn), Some(bytes), "the entry at {lsn} is lost");
    }
    let note = after.get(&appended.first).expect("what was written can be read");
    assert!(note.ends_with(payload), "{note:02x?}");
}

/// Reads everything in every way; gives the entries that stand before any damage of their segment.
fn inspect(disk: &FaultDisk) -> BTreeMap<Lsn, Vec<u8>> {
    let reader = Reader::open(Arc::new(disk.clone()), &folder()).expect("the folder is there");
    let steps_max = disk.used() + 16;
    let entries = read(&reader, steps_max);
    let _ = (reader.verify(&[], None, &mut |_| {}), reader.stat(), reader.seals(), reader.oldest());
    for device in ["", "a"] {
        let Ok(mut mine) = reader.device_entries(device, Lsn(0), None) else { continue };
        let mut steps = 0;
        while let Ok(Some(_)) = mine.next() {
            steps += 1;
            assert!(steps < steps_max, "the entries of {device:?} never end");
        }
    }
    entries
}

fn read(reader: &Reader, steps_max: u64) -> BTreeMap<Lsn, Vec<u8>> {
    let mut all = BTreeMap::new();
    let segment_of = |place| reader.segment_begin(place).expect("a disk without faults");
    let Ok(mut entries) = reader.entries(Lsn(0), None) else { return all };
    let mut damaged = None;
    for _ in 0..steps_max {
        match entries.next() {
            Ok(Some(entry)) if damaged == segment_of(entry.lsn) => {}
            Ok(Some(entry)) => drop(all.insert(entry.lsn, entry.bytes.to_vec())),
            Err(Error::Broken(broken)) => {
                damaged = segment_of(broken.lsn);
                // In the last segment, what is behind damage may be yet to come.
                if entries.resynchronise().expect("a disk without faults") == 0 {
                    return all;
                }
            }
            Ok(None) | Err(_) => return all,
        }
    }
    panic!("the entries never end");
}

/// Builds a folder: each byte says what comes next, so that an input gets past checksums and places.
///
/// ```text
/// 0 n ×n        as many bytes as they are                    4 n     as many zeros
/// 1 k f n ×n    an entry of kind k, flags f and that rest    5       the next segment, with its header
/// 2 k f n ×n    the same, of another place                   6       the next segment, with zeros for a header
/// 3 n           the last n bytes are cut off                 7 n ×n  as many bytes of the chain
///                                                            8 n ×n  as many bytes of the segment's index
/// ```
fn build(input: &[u8]) -> FaultDisk {
    let disk = FaultDisk::new();
    disk.create_folder(&folder()).expect("the disk works");
    let mut segment = Segment::begin(0, true);
    let (mut chain, mut input) = (Vec::new(), Input(input));
    while let Some(what) = input.byte() {
        match what % 9 {
            0 => segment.bytes.extend(input.some()),
            1 => segment.entry(&mut input, 0),
            2 => segment.entry(&mut input, 1),
            3 => segment.cut(input.byte()),
            4 => segment.bytes.extend(std::iter::repeat_n(0, input.byte().unwrap_or(0).into())),
            5 | 6 => {
                segment.put(&disk);
                segment = Segment::begin(segment.end(), what % 9 == 5);
            }
            7 => chain.extend(input.some()),
            _ => segment.index.extend(input.some()),
        }
    }
    segment.put(&disk);
    if !chain.is_empty() {
        disk.put(&folder().join("chain"), &chain);
    }
    disk
}

struct Input<'i>(&'i [u8]);

impl<'i> Input<'i> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// As many bytes as the first of them says.
    fn some(&mut self) -> &'i [u8] {
        let length = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }
}

struct Segment {
    base: u64,
    bytes: Vec<u8>,
    index: Vec<u8>,
}

impl Segment {
    fn begin(base: u64, with_header: bool) -> Self {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        if with_header {
            header[..8].copy_from_slice(b"ODOSEG\r\n");
            header[8] = 1;
            header[16..24].copy_from_slice(&base.to_le_bytes());
            let crc = crc32c::crc32c(&header[..60]);
            header[60..].copy_from_slice(&crc.to_le_bytes());
        }
        Self { base, bytes: header.to_vec(), index: Vec::new() }
    }

    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    fn entry(&mut self, input: &mut Input<'_>, displaced: u64) {
        let (kind, flags, rest) = (input.byte().unwrap_or(0), input.byte().unwrap_or(0), input.some());
        let mut entry = vec![0; HEADER_BYTES];
        entry[4..8].copy_from_slice(&((HEADER_BYTES + rest.len()).min(ENTRY_BYTES_MAX) as u32).to_le_bytes());
        entry[8..16].copy_from_slice(&(self.end() + displaced).to_le_bytes());
        entry[16..24].copy_from_slice(&(self.base + SEGMENT_HEADER_BYTES as u64).to_le_bytes());
        entry[30] = kind;
        entry[31] = flags;
        entry.extend(rest);
        let crc = crc32c::crc32c(&entry[4..]);
        entry[..4].copy_from_slice(&crc.to_le_bytes());
        self.bytes.extend(entry);
    }

    fn cut(&mut self, count: Option<u8>) {
        self.bytes.truncate(self.bytes.len().saturating_sub(count.unwrap_or(0).into()));
    }

    fn put(&self, disk: &FaultDisk) {
        let path = |extension: &str| -> PathBuf { folder().join(format!("{:020}.{extension}", self.base)) };
        disk.put(&path("segment"), &self.bytes);
        if !self.index.is_empty() {
            disk.put(&path("index"), &self.index);
        }
    }
}

/// Folders as they should be, and with one thing wrong each.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let sound = [
        &b"\x01\x01\x03\x08\x01\x00c\x01a\x01\x00d"[..],
        b"\x01\x02\x00\x05frame\x01\x05\x00\x05reply\x05\x01\x06\x00\x04peer",
    ]
    .concat();
    let wrong: [&[u8]; 8] = [
        b"\x00\x04junk",
        b"\x02\x02\x00\x04else",
        b"\x03\x09",
        b"\x04\x40",
        b"\x05\x01\x02\x00\x04more",
        b"\x06\x01\x02\x00\x04more",
        b"\x07\x04link",
        b"\x08\x04rows",
    ];
    let mut all = vec![sound.clone()];
    all.extend(wrong.iter().map(|wrong| [&sound[..], wrong, b"\x01\x02\x00\x04last"].concat()));
    all
}
