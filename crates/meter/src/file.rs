//! The file of a meter: lines, each with all that changed and the place in the journal that it covers, in one piece.
//!
//! A line is JSON and its CRC32C. Appended and flushed; what a crash cuts short is no line. Counts in a line are all that
//! there were, so a later line stands for the ones before it; devices are those that were new. Now and then one line takes
//! the place of all.

use crate::Row;
use compact_str::CompactString;
use odograph_env::{Disk, DiskFile, is_full};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a meter's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}", path = .path.display())]
pub struct MeterError {
    /// What was being done to it.
    doing: &'static str,
    /// The file.
    path: PathBuf,
    /// What the disk says.
    pub source: io::Error,
}

impl MeterError {
    /// Whether it is for lack of space.
    pub fn is_full(&self) -> bool {
        is_full(&self.source)
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Everything in the journal before this place is counted.
    pub(crate) until: u64,
    /// The days that go on, the one that was counted last at the end.
    pub(crate) open: Vec<i32>,
    pub(crate) rows: Vec<LineRow>,
}

/// What a line says of a tenant's day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineRow {
    #[serde(flatten)]
    pub(crate) row: Row,
    /// Devices that no line before has.
    pub(crate) new: Vec<CompactString>,
}

/// The file.
pub(crate) struct File {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    length: u64,
    /// How long it was when it was written as a whole.
    whole: u64,
    /// Only a new file will do: nobody knows what is on the disk behind `length`, or more than a line has changed.
    is_doubtful: bool,
}

impl File {
    /// Opens it, and says what stands in it, and whether something in it is damaged.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &Path) -> Result<(Self, Vec<Line>, bool), MeterError> {
        let failed = |doing, source| MeterError { doing, path: path.to_owned(), source };
        let begun =
            |file| Self { disk: disk.clone(), path: path.to_owned(), file, length: 0, whole: 0, is_doubtful: true };
        let file = match disk.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().unwrap_or(path);
                disk.create_folder(folder).map_err(|error| failed("make the folder of", error))?;
                return Ok((begun(None), Vec::new(), false));
            }
            Err(error) => return Err(failed("read", error)),
        };
        let length = file.length().map_err(|error| failed("read", error))?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let read = file.read_at(&mut bytes, 0).map_err(|error| failed("read", error))?;
        bytes.truncate(read);
        let (lines, whole, is_damaged) = parse(&bytes);
        // What a crash cut short must not come to stand amid what is written from now on.
        let is_doubtful = whole != bytes.len();
        let length = whole as u64;
        Ok((Self { length, whole: length, is_doubtful, ..begun(Some(file)) }, lines, is_damaged))
    }

    /// Whether the next thing to be written is all of it.
    pub(crate) const fn wants_rewriting(&self) -> bool {
        self.is_doubtful || self.length > 2 * self.whole + APPENDED_BYTES_MAX
    }

    pub(crate) const fn want_rewriting(&mut self) {
        self.is_doubtful = true;
    }

    /// Writes a line, durably.
    pub(crate) fn append(&mut self, line: &Line) -> Result<(), MeterError> {
        let bytes = written(line);
        let Some(file) = &self.file else { return self.rewrite(line) };
        // Reserved first: a full disk shows there, where it harms nothing.
        if let Err(source) = file.allocate(self.length, bytes.len() as u64) {
            self.is_doubtful = file.set_length(self.length).is_err();
            return Err(self.failed("write to", source));
        }
        if let Err(source) = file.write_at(&bytes, self.length).and_then(|()| file.sync()) {
            self.is_doubtful = true;
            return Err(self.failed("write to", source));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Puts a file with this line alone in the place of the one that there is, durably.
    pub(crate) fn rewrite(&mut self, line: &Line) -> Result<(), MeterError> {
        let bytes = written(line);
        let fresh = self.path.with_extension("new");
        let folder = self.path.parent().unwrap_or(&self.path).to_owned();
        let put = || {
            match self.disk.remove(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = self.disk.create(&fresh)?;
            file.allocate(0, bytes.len() as u64)?;
            file.write_at(&bytes, 0)?;
            file.sync()?;
            self.disk.rename(&fresh, &self.path)?;
            self.disk.sync_folder(&folder)?;
            Ok(file)
        };
        match put() {
            Ok(file) => {
                self.file = Some(file);
                (self.length, self.whole, self.is_doubtful) = (bytes.len() as u64, bytes.len() as u64, false);
                Ok(())
            }
            Err(source) => {
                // Which of both has the name is not known for sure; each is whole, and the next attempt makes another.
                self.is_doubtful = true;
                Err(self.failed("write", source))
            }
        }
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> MeterError {
        MeterError { doing, path: self.path.clone(), source }
    }
}

fn written(line: &Line) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("numbers and text can always be written");
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(format!(" {crc:08x}\n").as_bytes());
    bytes
}

/// The lines, how many bytes are whole lines, and whether one before the last is damaged.
fn parse(bytes: &[u8]) -> (Vec<Line>, usize, bool) {
    let (mut lines, mut whole, mut at, mut is_damaged) = (Vec::new(), 0, 0, false);
    for text in bytes.split_inclusive(|byte| *byte == b'\n') {
        at += text.len();
        if let Some(line) = parsed(text) {
            // Something before it could not be read, and it was no end that a crash cut short.
            is_damaged |= whole + text.len() != at;
            whole = at;
            lines.push(line);
        }
    }
    (lines, whole, is_damaged)
}

fn parsed(text: &[u8]) -> Option<Line> {
    let text = text.strip_suffix(b"\n")?;
    let (json, crc) = text.split_last_chunk::<9>()?;
    let crc = std::str::from_utf8(crc).ok()?.strip_prefix(' ')?;
    (u32::from_str_radix(crc, 16).ok()? == crc32c::crc32c(json)).then(|| serde_json::from_slice(json).ok())?
}

/// So much is appended before the file is written anew, besides twice what it had: a rewriting costs about as much as what
/// led to it.
const APPENDED_BYTES_MAX: u64 = 1 << 20;
