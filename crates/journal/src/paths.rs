//! The names of the files in a node's folder. Nothing else builds or takes apart a path.

use std::path::{Path, PathBuf};

use odograph_env::Disk;
use odograph_model::Lsn;

use crate::error::{Error, IoContext as _};

/// The file of the segment that begins at `base`.
pub(crate) fn segment(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}{SEGMENT}"))
}

/// The index of the sealed segment that begins at `base`.
pub(crate) fn index(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}{INDEX}"))
}

/// What stays of the index when the segment that begins at `base` is removed.
pub(crate) fn leaves(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}{LEAVES}"))
}

/// Where a segment goes whose beginning cannot be read: kept for a person to look at.
pub(crate) fn damaged(folder: &Path, base: u64, attempt: u32) -> PathBuf {
    folder.join(format!("{base:020}{DAMAGED}{attempt}"))
}

/// The seal records of all segments that there ever were.
pub(crate) fn chain(folder: &Path) -> PathBuf {
    folder.join("chain")
}

/// The node's signing key.
pub(crate) fn key(folder: &Path) -> PathBuf {
    folder.join("signing.key")
}

/// Up to where retention has removed segments.
pub(crate) fn removed(folder: &Path) -> PathBuf {
    folder.join("removed")
}

/// What was erased by order, and what stays of it for proofs.
pub(crate) fn erasures(folder: &Path) -> PathBuf {
    folder.join("erasures")
}

/// How far everyone who reads the journal has come.
pub(crate) fn cursors(folder: &Path) -> PathBuf {
    folder.join(CURSORS)
}

/// Where cursors go that are not what was written: kept for a person to look at.
pub(crate) fn damaged_cursors(folder: &Path, attempt: u32) -> PathBuf {
    folder.join(format!("{CURSORS}{DAMAGED}{attempt}"))
}

/// The name under which a file is written before it is renamed to `path`.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    PathBuf::from(name)
}

/// What is in a node's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Bases of the segments, ascending.
    pub(crate) segments: Vec<u64>,
    /// Bases of the indexes, ascending.
    pub(crate) indexes: Vec<u64>,
    /// Bases of the segments of which only the devices and their hashes are left, ascending.
    pub(crate) leaves: Vec<u64>,
    /// Segments of which nothing could be read: where they began, ascending, and their files.
    pub(crate) aside: Vec<(u64, PathBuf)>,
    /// What is none of the journal's files.
    pub(crate) strange: Vec<PathBuf>,
    /// Files that were being written when a process died.
    pub(crate) temporary: Vec<PathBuf>,
}

impl Listing {
    pub(crate) fn read(disk: &dyn Disk, folder: &Path) -> Result<Self, Error> {
        let mut listing = Self::default();
        for path in disk.list(folder).doing("list", folder)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                listing.strange.push(path);
                continue;
            };
            if let Some(base) = base_of(name, SEGMENT) {
                listing.segments.push(base);
            } else if let Some(base) = base_of(name, INDEX) {
                listing.indexes.push(base);
            } else if let Some(base) = base_of(name, LEAVES) {
                listing.leaves.push(base);
            } else if name.ends_with(TEMPORARY) {
                listing.temporary.push(path);
            } else if let Some((of, _)) =
                name.split_once(DAMAGED).filter(|(of, _)| *of == CURSORS || digits(of).is_some())
            {
                listing.aside.extend(digits(of).map(|base| (base, path)));
            } else if !SINGLE.contains(&name) {
                listing.strange.push(path);
            }
        }
        listing.aside.sort_unstable();
        listing.strange.sort_unstable();
        listing.segments.sort_unstable();
        listing.indexes.sort_unstable();
        listing.leaves.sort_unstable();
        Ok(listing)
    }

    /// Where the segment after `base` begins.
    pub(crate) fn next_base(&self, base: u64) -> Option<u64> {
        self.segments.get(self.segments.partition_point(|&other| other <= base)).copied()
    }

    /// The base of the segment that holds `place`, or else of the first one after it.
    pub(crate) fn holding(&self, place: Lsn) -> Option<u64> {
        let after = self.segments.partition_point(|&base| base <= place.0);
        self.segments.get(after.saturating_sub(1)).copied()
    }
}

fn base_of(name: &str, extension: &str) -> Option<u64> {
    digits(name.strip_suffix(extension)?)
}

fn digits(digits: &str) -> Option<u64> {
    (digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.parse().ok())?
}

const SEGMENT: &str = ".segment";
const INDEX: &str = ".index";
const LEAVES: &str = ".leaves";
const TEMPORARY: &str = ".tmp";
const DAMAGED: &str = ".damaged-";
const CURSORS: &str = "cursors";
/// Files that are there once.
const SINGLE: &[&str] = &["chain", "signing.key", CURSORS, "removed", "erasures"];
