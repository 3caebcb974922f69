//! What was erased by order, and of it what proofs over others need: the leaves.
//!
//! A small file of text that is replaced as a whole; its last line is the checksum of those before:
//!
//! ```text
//! odograph erasures 1
//! order 1 at 1764396000000 until 4711 subject 7b7d done -
//! leaf 1 base 0 place 3 entries 12 rest 0 gone 12 bytes 2048 hash 5f…
//! crc 1a2b3c4d
//! ```
//!
//! `subject` says whose, as long as the order is not done; then it goes as well. A `leaf` is durable before anything of it is
//! erased. `place` counts the leaves of the segment's tree from 0.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use odograph_env::{Disk, UnixMillis};
use odograph_model::Lsn;

use crate::error::Error;
use crate::merkle::Hash;
use crate::{durable_file, paths};

/// An order to erase, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Its number, from 1.
    pub order: u64,
    /// When it was given.
    pub at: UnixMillis,
    /// Of what lies before this place.
    pub until: Lsn,
    /// Whose entries go, opaque here; empty once it is done.
    pub subject: Vec<u8>,
    /// When it was done.
    pub done: Option<UnixMillis>,
    /// How many entries went.
    pub entries: u64,
    /// How many bytes they had.
    pub bytes: u64,
    /// Of how many segments.
    pub segments: u64,
}

/// The leaf of a device of which something was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ErasedLeaf {
    pub(crate) order: u64,
    /// Where the segment begins.
    pub(crate) base: u64,
    /// Which leaf of the segment's tree it is.
    pub(crate) place: u32,
    pub(crate) leaf: Hash,
    /// How many entries were sealed in it.
    pub(crate) entries: u32,
    /// Somebody else's device of the same name has entries in it, and they stay.
    pub(crate) rest: bool,
    /// How many entries the order erased.
    pub(crate) gone: u64,
    /// And how many bytes.
    pub(crate) bytes: u64,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Erasures {
    pub(crate) orders: Vec<Erasure>,
    pub(crate) leaves: Vec<ErasedLeaf>,
}

impl Erasures {
    pub(crate) fn read(disk: &dyn Disk, folder: &Path) -> Result<Self, Error> {
        let path = paths::erasures(folder);
        let Some(bytes) = durable_file::read(disk, &path, FILE_BYTES_MAX)? else { return Ok(Self::default()) };
        let text = std::str::from_utf8(&bytes).ok();
        let mut read = text.and_then(parse).ok_or(Error::Damaged { path, what: "not what was written" })?;
        for order in &mut read.orders {
            let own = read.leaves.iter().filter(|leaf| leaf.order == order.order);
            order.entries = own.clone().map(|leaf| leaf.gone).sum();
            order.bytes = own.clone().map(|leaf| leaf.bytes).sum();
            let mut bases: Vec<u64> = own.map(|leaf| leaf.base).collect();
            bases.sort_unstable();
            bases.dedup();
            order.segments = bases.len() as u64;
        }
        Ok(read)
    }

    /// Puts it in the place of the one before, durably.
    pub(crate) fn write(&self, disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
        durable_file::replace(disk, folder, &paths::erasures(folder), self.text().as_bytes())
    }

    /// Whether so many leaves more can be read again: looked at before anything is erased, because behind the order there is no way back.
    pub(crate) fn has_room(&self, leaves: usize) -> Result<(), Error> {
        let leaves = self.leaves.len().saturating_add(leaves);
        match leaves.checked_mul(LEAF_BYTES_MAX).is_some_and(|bytes| bytes <= FILE_BYTES_MAX / 2) {
            true => Ok(()),
            false => Err(Error::ErasuresFull { leaves_max: FILE_BYTES_MAX / 2 / LEAF_BYTES_MAX }),
        }
    }

    /// What was erased of a segment, by the places of leaves. `but`: an order that is not looked at.
    pub(crate) fn of_segment(&self, base: u64, but: Option<u64>) -> Vec<ErasedLeaf> {
        let own = self.leaves.iter().filter(|leaf| leaf.base == base && Some(leaf.order) != but);
        // Of several orders for one leaf, the last one knows what is left.
        own.map(|leaf| (leaf.place, *leaf)).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// What an order noted, by segment.
    pub(crate) fn by_segment(&self, order: u64) -> BTreeMap<u64, Vec<ErasedLeaf>> {
        let mut all = BTreeMap::<u64, Vec<ErasedLeaf>>::new();
        for leaf in self.leaves.iter().filter(|leaf| leaf.order == order) {
            all.entry(leaf.base).or_default().push(*leaf);
        }
        all
    }

    /// Whether an order that is not done touches a segment.
    pub(crate) fn is_under_way(&self, base: u64) -> bool {
        let pending = |order: u64| self.orders.iter().any(|one| one.order == order && one.done.is_none());
        self.leaves.iter().any(|leaf| leaf.base == base && pending(leaf.order))
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for Erasure { order, at, until, subject, done, .. } in &self.orders {
            let subject = if subject.is_empty() { "-".to_owned() } else { hex(subject) };
            let done = done.map_or_else(|| "-".to_owned(), |done| done.to_string());
            let _ = writeln!(text, "order {order} at {at} until {until} subject {subject} done {done}");
        }
        for ErasedLeaf { order, base, place, leaf, entries, rest, gone, bytes } in &self.leaves {
            let (rest, hash) = (u8::from(*rest), hex(leaf));
            let _ = writeln!(
                text,
                "leaf {order} base {base} place {place} entries {entries} rest {rest} gone {gone} bytes {bytes} hash {hash}"
            );
        }
        let _ = writeln!(text, "crc {:08x}", crc32c::crc32c(text.as_bytes()));
        text
    }
}

/// What was erased of a segment.
pub(crate) fn of_segment(disk: &dyn Disk, folder: &Path, base: u64) -> Result<Vec<ErasedLeaf>, Error> {
    Ok(Erasures::read(disk, folder)?.of_segment(base, None))
}

fn parse(text: &str) -> Option<Erasures> {
    let at = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let (checked, last) = text.split_at_checked(at)?;
    let crc = u32::from_str_radix(last.trim_end().strip_prefix("crc ")?, 16).ok()?;
    let mut lines = checked.lines();
    if crc != crc32c::crc32c(checked.as_bytes()) || lines.next()? != HEAD {
        return None;
    }
    let mut read = Erasures::default();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["order", order, "at", at, "until", until, "subject", subject, "done", done] => {
                read.orders.push(Erasure {
                    order: order.parse().ok()?,
                    at: at.parse().ok()?,
                    until: Lsn(until.parse().ok()?),
                    subject: if subject == "-" { Vec::new() } else { unhex(subject)? },
                    done: if done == "-" { None } else { Some(done.parse().ok()?) },
                    entries: 0,
                    bytes: 0,
                    segments: 0,
                });
            }
            [
                "leaf",
                order,
                "base",
                base,
                "place",
                place,
                "entries",
                entries,
                "rest",
                rest,
                "gone",
                gone,
                "bytes",
                bytes,
                "hash",
                hash,
            ] => {
                read.leaves.push(ErasedLeaf {
                    order: order.parse().ok()?,
                    base: base.parse().ok()?,
                    place: place.parse().ok()?,
                    leaf: unhex(hash)?.try_into().ok()?,
                    entries: entries.parse().ok()?,
                    rest: rest == "1",
                    gone: gone.parse().ok()?,
                    bytes: bytes.parse().ok()?,
                });
            }
            _ => return None,
        }
    }
    Some(read)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    text.len().is_multiple_of(2).then(|| (0..text.len()).step_by(2).map(digits).collect())?
}

const HEAD: &str = "odograph erasures 1";
/// So much is read at most. Leaves take half of it, so that there is room for orders.
const FILE_BYTES_MAX: usize = 128 << 20;
/// A line with the longest numbers.
const LEAF_BYTES_MAX: usize = 240;

#[cfg(test)]
mod tests {
    use odograph_testkit::FaultDisk;

    use super::*;

    #[test]
    fn it_comes_back_and_every_flip_is_found() {
        let (disk, folder) = (FaultDisk::new(), Path::new("/journal/0"));
        disk.create_folder(folder).unwrap();
        assert_eq!(Erasures::read(&disk, folder).unwrap(), Erasures::default());
        let order = |order, subject: &[u8], done| Erasure {
            order,
            at: 1_764_396_000_000,
            until: Lsn(4711),
            subject: subject.to_vec(),
            done,
            entries: 0,
            bytes: 0,
            segments: 0,
        };
        let leaf = |order, place, gone, rest| ErasedLeaf {
            order,
            base: 1024,
            place,
            leaf: [7; 32],
            entries: 12,
            rest,
            gone,
            bytes: 100,
        };
        let orders = vec![order(1, b"", Some(5)), order(2, b"{\"device\":\"x\"}", None)];
        let mut written =
            Erasures { orders, leaves: vec![leaf(1, 3, 4, true), leaf(2, 0, 2, false), leaf(2, 3, 8, false)] };
        written.write(&disk, folder).unwrap();
        (written.orders[0].entries, written.orders[0].bytes, written.orders[0].segments) = (4, 100, 1);
        (written.orders[1].entries, written.orders[1].bytes, written.orders[1].segments) = (10, 200, 1);
        let read = Erasures::read(&disk, folder).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.of_segment(1024, None), [leaf(2, 0, 2, false), leaf(2, 3, 8, false)], "the last order knows");
        assert_eq!(read.of_segment(1024, Some(2)), [leaf(1, 3, 4, true)]);
        assert!(read.is_under_way(1024) && !read.is_under_way(0));
        assert!(read.has_room(200_000).is_ok());
        assert!(matches!(read.has_room(300_000), Err(Error::ErasuresFull { .. })));
        assert!(matches!(read.has_room(usize::MAX), Err(Error::ErasuresFull { .. })));
        let path = paths::erasures(folder);
        for at in 0..disk.content(&path).unwrap().len() {
            let other = disk.kill_image();
            other.flip_bit(&path, at as u64, 0);
            assert!(Erasures::read(&other, folder).is_err(), "byte {at}");
        }
    }
}
