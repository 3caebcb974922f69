//! The devices' file: appended to, and now and then replaced as a whole by what still counts of it.

use super::lines::{Content, Line, Mark};
use super::table::Entry;
use super::{Known, RosterError};
use compact_str::CompactString;
use odograph_env::{Disk, DiskFile, is_full};
use odograph_model::Lsn;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file.
pub(super) struct File {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// How much of it counts.
    length: u64,
    lines: usize,
    /// With so many lines it is replaced.
    lines_max: usize,
    saved_until: Lsn,
    /// The devices that the configuration announces, as far as the file knows.
    configured: Arc<BTreeSet<CompactString>>,
    /// Nobody knows what is on the disk behind `length`, or under the file's name: only a new file ends that.
    doubtful: bool,
}

impl File {
    /// Opens the file in `folder`, or begins one, and says what stands in it.
    pub(super) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<(Self, Content), RosterError> {
        let path = folder.join(NAME);
        let reading = |source| RosterError::Io { doing: "read", path: path.clone(), source };
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => begin(&*disk, folder, &path)
                .map_err(|source| RosterError::Io { doing: "make", path: path.clone(), source })?,
            Err(error) => return Err(reading(error)),
        };
        let text = read(&*file, file.length().map_err(reading)?).map_err(reading)?;
        let content = Content::read(&text);
        let mut opened = Self {
            disk,
            folder: folder.to_owned(),
            path,
            file,
            length: text.len() as u64,
            lines: content.lines,
            lines_max: 0,
            saved_until: content.saved_until,
            configured: Arc::new(content.configured.clone()),
            doubtful: false,
        };
        opened.lines_max = lines_max(content.kept().len());
        if content.damage.is_loss() {
            opened.keep_aside(&text);
        }
        if !content.damage.is_none() || text.last() == Some(&0) {
            // What a crash left must not come to stand amid what is written from now on.
            opened.doubtful = true;
        }
        if opened.doubtful || opened.lines > opened.lines_max {
            // If there is no space for it now, the next writing tries again: what was read counts all the same.
            let configured = Arc::new(content.configured_since.clone());
            let _ = opened.replace(&content.kept(), content.saved_until, &configured);
        }
        Ok((opened, content))
    }

    /// Whether a mark would say something new about what the configuration announces.
    pub(super) fn lacks(&mut self, configured: &Arc<BTreeSet<CompactString>>) -> bool {
        if !Arc::ptr_eq(&self.configured, configured) && self.configured == *configured {
            // The next time, this is quick.
            self.configured.clone_from(configured);
        }
        self.doubtful || !Arc::ptr_eq(&self.configured, configured)
    }

    /// So many devices are known by now. Each has a line that counts: a file that only grew with them need not be replaced.
    pub(super) fn grown(&mut self, devices: usize) {
        self.lines_max = self.lines_max.max(lines_max(devices));
    }

    /// Writes lines and a mark behind them. When it fails, the file says what it said before.
    pub(super) fn write(
        &mut self,
        devices: &[Entry],
        saved_until: Lsn,
        configured: &Arc<BTreeSet<CompactString>>,
    ) -> Result<(), RosterError> {
        // It never goes back: what is in the file stays there.
        let saved_until = saved_until.max(self.saved_until);
        if self.doubtful || self.lines > self.lines_max {
            match self.rewrite(devices, saved_until, configured) {
                Err(error) if self.doubtful => return Err(error),
                // No space for a second file, perhaps: the one that there is can be gone on with.
                Err(_) => self.lines_max = self.lines + LINES_SLACK,
                Ok(()) => return Ok(()),
            }
        }
        self.append(devices, saved_until, configured)
    }

    fn append(
        &mut self,
        devices: &[Entry],
        saved_until: Lsn,
        configured: &Arc<BTreeSet<CompactString>>,
    ) -> Result<(), RosterError> {
        let changed = Some(&**configured).filter(|configured| *self.configured != **configured);
        let lines = || lines(devices.iter().map(Entry::known), saved_until, changed);
        let length = length(lines());
        // Reserved first: a full disk shows there, where it harms nothing.
        if let Err(source) = self.file.allocate(self.length, length) {
            // If this fails, zeros stay behind, which nobody reads.
            let _ = self.file.set_length(self.length);
            return Err(self.failed("write to", source));
        }
        if let Err(source) = write(&*self.file, self.length, lines()).and_then(|()| self.file.sync()) {
            // Not tried again in this file: after a failed flush nobody knows what the disk holds.
            self.doubtful = true;
            return Err(self.failed("write to", source));
        }
        self.length += length;
        self.lines += devices.len() + 1;
        self.saved_until = saved_until;
        if changed.is_some() {
            self.configured.clone_from(configured);
        }
        Ok(())
    }

    /// Puts a new file in the place of this one: what counts of it, and `devices`.
    fn rewrite(
        &mut self,
        devices: &[Entry],
        saved_until: Lsn,
        configured: &Arc<BTreeSet<CompactString>>,
    ) -> Result<(), RosterError> {
        let mut all = read(&*self.file, self.length).map_err(|source| self.failed("read", source))?;
        lines(devices.iter().map(Entry::known), saved_until, None).for_each(|line| push(&mut all, &line));
        // What cannot be read was told when the file was opened.
        let content = Content::read(&all);
        self.replace(&content.kept(), saved_until, configured)
    }

    /// Puts a new file in the place of this one: what counts of it but for some, `devices`, and a mark.
    pub(super) fn write_without(
        &mut self,
        but: impl Fn(&Known) -> bool,
        devices: &[Entry],
        saved_until: Lsn,
        configured: &Arc<BTreeSet<CompactString>>,
    ) -> Result<(), RosterError> {
        let saved_until = saved_until.max(self.saved_until);
        let mut all = read(&*self.file, self.length).map_err(|source| self.failed("read", source))?;
        lines(devices.iter().map(Entry::known), saved_until, None).for_each(|line| push(&mut all, &line));
        let mut kept = Content::read(&all).kept();
        kept.retain(|known| !but(known));
        self.replace(&kept, saved_until, configured)
    }

    fn replace(
        &mut self,
        devices: &[Known],
        saved_until: Lsn,
        configured: &Arc<BTreeSet<CompactString>>,
    ) -> Result<(), RosterError> {
        let lines = || lines(devices.iter().cloned(), saved_until, Some(&**configured));
        let (temporary, length) = (self.folder.join(NAME_NEW), length(lines()));
        let file = put(&*self.disk, &temporary, length, |file| write(file, 0, lines()));
        let file = file.map_err(|source| self.failed("write", source))?;
        self.disk.rename(&temporary, &self.path).map_err(|source| self.failed("replace", source))?;
        // This handle is the file of that name from here on, whether or not the name is durable yet.
        self.file = file;
        self.length = length;
        self.lines = devices.len() + 1;
        self.lines_max = lines_max(devices.len());
        self.saved_until = saved_until;
        self.configured.clone_from(configured);
        self.doubtful = true;
        self.disk.sync_folder(&self.folder).map_err(|source| self.failed("replace", source))?;
        self.doubtful = false;
        Ok(())
    }

    /// Keeps a damaged file for a person.
    fn keep_aside(&self, text: &[u8]) {
        let aside = self.folder.join(NAME_DAMAGED);
        // The latest damage is kept. A failure costs the copy alone, and what the file says is told in any case.
        let kept = put(&*self.disk, &aside, text.len() as u64, |file| file.write_at(text, 0));
        let _ = kept.and_then(|_| self.disk.sync_folder(&self.folder));
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> RosterError {
        let path = self.path.clone();
        if is_full(&source) { RosterError::Full { path, source } } else { RosterError::Io { doing, path, source } }
    }
}

/// Begins a file. It has a mark from the start, so that one without is known to have lost it.
fn begin(disk: &dyn Disk, folder: &Path, path: &Path) -> io::Result<Box<dyn DiskFile>> {
    let temporary = folder.join(NAME_NEW);
    let mark = || lines(std::iter::empty(), Lsn(0), None);
    let file = put(disk, &temporary, length(mark()), |file| write(file, 0, mark()))?;
    disk.rename(&temporary, path)?;
    disk.sync_folder(folder)?;
    Ok(file)
}

/// Makes a durable file of a length, or none. Its name is durable with the folder.
fn put(
    disk: &dyn Disk,
    path: &Path,
    length: u64,
    write: impl FnOnce(&dyn DiskFile) -> io::Result<()>,
) -> io::Result<Box<dyn DiskFile>> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(path)?;
    let written = file.allocate(0, length).and_then(|()| write(&*file)).and_then(|()| file.sync());
    if let Err(error) = written {
        // Gives back the space. If that fails too, the next attempt removes it.
        let _ = disk.remove(path);
        return Err(error);
    }
    Ok(file)
}

fn read(file: &dyn DiskFile, length: u64) -> io::Result<Vec<u8>> {
    let mut text = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let count = file.read_at(&mut text, 0)?;
    text.truncate(count);
    Ok(text)
}

/// What stands in the file for devices: a line for each, and a mark.
fn lines(
    devices: impl Iterator<Item = Known>,
    saved_until: Lsn,
    configured: Option<&BTreeSet<CompactString>>,
) -> impl Iterator<Item = Line> {
    let mark = Line::Mark(Mark { saved_until: saved_until.0, configured: configured.cloned() });
    devices.map(Line::Device).chain([mark])
}

fn push(text: &mut Vec<u8>, line: &Line) {
    // These types always serialise.
    if serde_json::to_writer(&mut *text, line).is_ok() {
        text.push(b'\n');
    }
}

/// How many bytes lines take in the file.
fn length(lines: impl Iterator<Item = Line>) -> u64 {
    let mut text = Vec::new();
    let length = |line: Line| {
        text.clear();
        push(&mut text, &line);
        text.len() as u64
    };
    lines.map(length).sum()
}

/// Writes lines, a piece at a time: after many devices have come at once, all of their text would be memory that is hardly ever
/// needed again.
fn write(file: &dyn DiskFile, mut at: u64, lines: impl Iterator<Item = Line>) -> io::Result<()> {
    let mut piece = Vec::new();
    for line in lines {
        push(&mut piece, &line);
        if piece.len() >= PIECE_BYTES {
            file.write_at(&piece, at)?;
            at += piece.len() as u64;
            piece.clear();
        }
    }
    file.write_at(&piece, at)
}

/// With more lines than this, a file in which so many devices counted is replaced: more than half of them may be
/// superseded, and rewriting them costs no more than writing them did.
const fn lines_max(devices: usize) -> usize {
    devices.saturating_mul(2).saturating_add(LINES_SLACK)
}

/// So that a small file is not replaced all the time.
const LINES_SLACK: usize = 1000;

/// So many bytes are written at once, and up to a line more.
const PIECE_BYTES: usize = 16 * 1024;

const NAME: &str = "devices.jsonl";
const NAME_NEW: &str = "devices.jsonl.new";
const NAME_DAMAGED: &str = "devices.jsonl.damaged";
