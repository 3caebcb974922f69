//! Writing objects, so that each is there as a whole and stays.

use super::read::PIECE_BYTES;
use super::{DiskStore, Failed, failed, generic, unread};
use object_store::path::Path as Location;
use object_store::{CopyMode, Error, PutPayload, RenameTargetMode, Result};
use odograph_env::{Disk, DiskFile};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What becomes of an object that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// The new one takes its place.
    Replaced,
    /// It stays, and there is an error.
    Kept,
}

/// A file that is being written beside the place it is for. It goes with this value, unless it was given its name.
pub(super) struct Part {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    path: PathBuf,
    target: PathBuf,
    /// How many bytes arrived.
    written: AtomicU64,
    /// Nothing is left to remove.
    is_settled: AtomicBool,
}

impl DiskStore {
    pub(super) fn put_object(&self, location: &Location, payload: &PutPayload, existing: Existing) -> Result<()> {
        let part = self.begin(location)?;
        part.write(payload, 0)?;
        part.finish(payload.content_length() as u64, existing)
    }

    pub(super) fn copy_object(&self, from: &Location, to: &Location, existing: Existing) -> Result<()> {
        let object = self.open(from)?;
        let part = self.begin(to)?;
        let mut begin = 0;
        while begin < object.meta.size {
            let end = object.meta.size.min(begin + PIECE_BYTES);
            part.write(&object.read(begin..end)?.into(), begin)?;
            begin = end;
        }
        part.finish(object.meta.size, existing)
    }

    pub(super) fn rename_object(&self, from: &Location, to: &Location, existing: Existing) -> Result<()> {
        let (old, new) = (self.open(from).and_then(|_| self.file(from))?, self.file(to)?);
        self.make_folder(folder_of(&new)).map_err(failed(&new, "written"))?;
        name(&*self.disk, &old, &new, existing)?;
        self.disk.sync_folder(folder_of(&new)).map_err(failed(&new, "made durable"))?;
        if folder_of(&old) != folder_of(&new) {
            self.disk.sync_folder(folder_of(&old)).map_err(failed(&old, "removed durably"))?;
        }
        Ok(())
    }

    pub(super) fn delete_object(&self, location: &Location) -> Result<()> {
        let path = self.file(location)?;
        self.disk.remove(&path).map_err(unread(&path))?;
        self.disk.sync_folder(folder_of(&path)).map_err(failed(&path, "removed durably"))
    }

    /// A new file beside an object's place, in a folder that is durable.
    pub(super) fn begin(&self, location: &Location) -> Result<Part> {
        let target = self.file(location)?;
        let begin = || {
            self.make_folder(folder_of(&target))?;
            self.create_beside(&target)
        };
        let (path, file) = begin().map_err(failed(&target, "written"))?;
        let (written, is_settled) = (AtomicU64::new(0), AtomicBool::new(false));
        Ok(Part { disk: self.disk.clone(), file, path, target, written, is_settled })
    }

    fn create_beside(&self, target: &Path) -> io::Result<(PathBuf, Box<dyn DiskFile>)> {
        let mut tried = 1;
        loop {
            let path = part_beside(target);
            match self.disk.create(&path) {
                // In a container every process has the same id, so an earlier one may have left this.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tried < NAMES_TRIED_MAX => tried += 1,
                created => return Ok((path, created?)),
            }
        }
    }

    /// Creates a folder and those above it, and makes them durable. One that is there already may not be durable: who
    /// created it may be about to flush, or was killed before.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if self.is_durable(folder) && self.disk.inspect(folder).is_ok() {
            return Ok(());
        }
        let is_missing =
            |folder: &&Path| self.disk.inspect(folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let missing = folder.ancestors().take_while(is_missing).count();
        self.disk.create_folder(folder)?;
        let mut flushed = Vec::new();
        for (steps, made) in folder.ancestors().enumerate() {
            let is_new = steps < missing;
            let Some(above) = made.parent().filter(|_| is_new || !self.is_durable(made)) else { break };
            match self.disk.sync_folder(if above.as_os_str().is_empty() { Path::new(".") } else { above }) {
                Err(error) if !is_new && is_of_others(&error) => {}
                synced => synced?,
            }
            flushed.push(made.to_owned());
        }
        let mut durable = self.durable.lock().expect("nobody panics holding it");
        if durable.len() >= FOLDERS_KNOWN_MAX {
            durable.clear();
        }
        durable.extend(flushed);
        Ok(())
    }

    fn is_durable(&self, folder: &Path) -> bool {
        self.durable.lock().expect("nobody panics holding it").contains(folder)
    }
}

impl Part {
    pub(super) fn write(&self, payload: &PutPayload, mut offset: u64) -> Result<()> {
        for piece in payload {
            self.file.write_at(piece, offset).map_err(failed(&self.target, "written"))?;
            offset += piece.len() as u64;
        }
        self.written.fetch_add(payload.content_length() as u64, Ordering::AcqRel);
        Ok(())
    }

    /// Gives the file its name, durably. If flushing the folder fails, the object is there and may go with the power:
    /// only a new start finds out.
    pub(super) fn finish(&self, bytes: u64, existing: Existing) -> Result<()> {
        if self.written.load(Ordering::Acquire) != bytes {
            let source = io::Error::other("a part of it was not written");
            return Err(generic(Failed { path: self.target.clone(), doing: "completed", source }));
        }
        self.file.sync().map_err(failed(&self.target, "made durable"))?;
        name(&*self.disk, &self.path, &self.target, existing)?;
        self.is_settled.store(true, Ordering::Release);
        self.disk.sync_folder(folder_of(&self.target)).map_err(failed(&self.target, "made durable"))
    }

    pub(super) fn discard(&self) -> Result<()> {
        self.disk.remove(&self.path).map_err(failed(&self.path, "removed"))?;
        self.is_settled.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !*self.is_settled.get_mut() {
            // What cannot be removed is removed at the next start.
            let _ = self.disk.remove(&self.path);
        }
    }
}

/// Whether a folder cannot be flushed in which nobody of us can have created anything: it may not be read, is on a
/// file system that is never written, or on one that flushes no folders.
fn is_of_others(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | InvalidInput)
}

fn name(disk: &dyn Disk, from: &Path, to: &Path, existing: Existing) -> Result<()> {
    let named = match existing {
        Existing::Replaced => disk.rename(from, to),
        Existing::Kept => disk.rename_new(from, to),
    };
    named.map_err(|error| match (existing, error.kind()) {
        (Existing::Kept, io::ErrorKind::AlreadyExists) => {
            Error::AlreadyExists { path: to.display().to_string(), source: error.into() }
        }
        _ => failed(to, "named")(error),
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().expect("an object is below the root")
}

fn part_beside(target: &Path) -> PathBuf {
    let mut path = target.to_owned().into_os_string();
    let number = PARTS.fetch_add(1, Ordering::Relaxed);
    path.push(format!(".{}-{number}{PART}", std::process::id()));
    path.into()
}

/// Whether a file is called like one that is not complete.
pub(super) fn is_part(path: &Path) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let numbers = name.strip_suffix(PART).and_then(|name| name.rsplit_once('.')?.1.split_once('-'));
    numbers.is_some_and(|(process, number)| is_number(process) && is_number(number))
}

impl From<CopyMode> for Existing {
    fn from(mode: CopyMode) -> Self {
        match mode {
            CopyMode::Overwrite => Self::Replaced,
            CopyMode::Create => Self::Kept,
        }
    }
}

impl From<RenameTargetMode> for Existing {
    fn from(mode: RenameTargetMode) -> Self {
        match mode {
            RenameTargetMode::Overwrite => Self::Replaced,
            RenameTargetMode::Create => Self::Kept,
        }
    }
}

/// The ending of files that are not complete.
const PART: &str = ".part";
/// So that no two of this process are called alike.
static PARTS: AtomicU64 = AtomicU64::new(0);
/// One object cannot have been in the works more often than this in one crash after the other.
const NAMES_TRIED_MAX: usize = 1000;
/// Three years' days of four tenants. Who has more flushes a folder now and then that needs none.
const FOLDERS_KNOWN_MAX: usize = 4096;
