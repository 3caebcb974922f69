//! Stretches of the journal that history does not have, because they were damaged, or gone, when it came to them. They are kept beside
//! the tables, so that they are told until a person has seen to them, and not only by the process that met them.

use super::noted::replace;
use anyhow::{Context as _, Result};
use odograph_env::Disk;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A stretch of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lack {
    /// Where it begins.
    pub(crate) begin: u64,
    /// The first place behind it.
    pub(crate) end: u64,
    pub(crate) why: Why,
}

/// Why history does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Why {
    /// It could not be read.
    Damaged,
    /// It went before tables of records had it: the disk budget took it.
    Removed,
    /// The same of tables of frames.
    Frames,
}

impl Lack {
    /// Whether records may be missing for it, and not only the bytes that they came in.
    pub(crate) fn is_of_records(&self) -> bool {
        self.why != Why::Frames
    }

    /// Whether bytes may be missing for it.
    pub(crate) fn is_of_frames(&self) -> bool {
        self.why != Why::Removed
    }
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { begin, end, why } = self;
        match why {
            Why::Damaged => {
                write!(f, "the journal's places {begin} to {end} could not be read, and history lacks what was there")
            }
            Why::Frames => {
                write!(
                    f,
                    "the disk budget took the journal's places {begin} to {end} before all tables of frames had them"
                )
            }
            Why::Removed => write!(
                f,
                "the disk budget took the journal's places {begin} to {end} before all tables of records had them: `odograph replay` over those \
                 days brings back what the table of frames has of them"
            ),
        }
    }
}

/// A file with them, which is a person's to remove.
pub(crate) struct Lacks {
    disk: Arc<dyn Disk>,
    file: PathBuf,
    known: Mutex<Vec<Lack>>,
}

impl Lacks {
    /// Reads it. What cannot be read is told, and begun anew with what is found from now on.
    pub(crate) fn open(disk: Arc<dyn Disk>, file: PathBuf) -> Self {
        let known = read(&*disk, &file).unwrap_or_else(|error| {
            tracing::warn!(file = %file.display(), "what history is known to lack cannot be read: {error:#}");
            Vec::new()
        });
        Self { disk, file, known: Mutex::new(known) }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Lack> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where they are kept.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Keeps what was found, durably when it returns: before the tables' cursors pass it, so that it is found again otherwise.
    pub(crate) fn add(&self, found: impl IntoIterator<Item = Lack>) -> Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = known.clone();
        for lack in found.into_iter().filter(|lack| lack.begin < lack.end) {
            join(&mut now, lack);
        }
        if now == *known {
            return Ok(());
        }
        for lack in now.iter().filter(|lack| !known.contains(lack)) {
            tracing::error!(file = %self.file.display(), "{lack}. It is told until that file is removed, while no server runs");
        }
        let cannot = || format!("cannot note what history lacks in {}", self.file.display());
        replace(&*self.disk, &self.file, &serde_json::to_vec(&now)?).with_context(cannot)?;
        *known = now;
        Ok(())
    }
}

/// Adds a stretch. Reading again may meet the same one, or more of it.
fn join(known: &mut Vec<Lack>, lack: Lack) {
    let touches = |other: &&mut Lack| other.why == lack.why && other.begin <= lack.end && lack.begin <= other.end;
    if let Some(other) = known.iter_mut().find(touches) {
        (other.begin, other.end) = (other.begin.min(lack.begin), other.end.max(lack.end));
    } else if known.len() < LACKS_MAX {
        known.push(lack);
    } else if let Some(last) = known.last_mut() {
        // Too much to tell one from the other.
        (last.begin, last.end) = (last.begin.min(lack.begin), last.end.max(lack.end));
    }
}

/// More stretches than these are one.
const LACKS_MAX: usize = 1000;

/// Nothing where there is no file.
fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<Lack>> {
    let file = match disk.open_read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut bytes = vec![0; usize::try_from(file.length()?)?];
    let length = file.read_at(&mut bytes, 0)?;
    Ok(serde_json::from_slice(&bytes[..length])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_testkit::FaultDisk;
    use odograph_testkit::disk::PowerCut;

    fn lack(begin: u64, end: u64, why: Why) -> Lack {
        Lack { begin, end, why }
    }

    #[test]
    fn what_is_met_again_is_one_and_survives_a_power_cut() {
        let (disk, file) = (FaultDisk::new(), PathBuf::from("/reach/0.lacks.json"));
        let open = |disk: &FaultDisk| Lacks::open(Arc::new(disk.clone()), file.clone());
        let lacks = open(&disk);
        assert_eq!(lacks.all(), []);
        lacks.add([lack(10, 20, Why::Damaged), lack(5, 5, Why::Damaged)]).unwrap();
        lacks.add([lack(10, 20, Why::Damaged), lack(15, 30, Why::Removed), lack(20, 25, Why::Damaged)]).unwrap();
        let expected = [lack(10, 25, Why::Damaged), lack(15, 30, Why::Removed)];
        assert_eq!(lacks.all(), expected);
        let after = disk.crash_image(PowerCut::Lost);
        assert_eq!(open(&after).all(), expected);
        disk.fail_sync_after(0);
        lacks.add([lack(100, 200, Why::Damaged)]).unwrap_err();
        assert_eq!(lacks.all(), expected, "what is not durable is not passed");
        after.put(&file, b"[");
        assert_eq!(open(&after).all(), []);
    }

    #[test]
    fn there_are_no_more_than_so_many() {
        let mut known = Vec::new();
        (0..5000).for_each(|number| join(&mut known, lack(number * 10, number * 10 + 1, Why::Damaged)));
        assert_eq!((known.len(), known[0], known[LACKS_MAX - 1].end), (LACKS_MAX, lack(0, 1, Why::Damaged), 49_991));
    }
}
