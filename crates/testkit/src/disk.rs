//! A disk in memory that fails, fills up, stalls, flips bits and loses power when a test says so.
//!
//! Each file has a live and a durable image, with the operations between them kept in order; so have the names in
//! folders. [`FaultDisk::crash_image`] is what a power cut could leave behind. Folders themselves are durable at once.

mod file;
mod image;
mod state;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use odograph_env::{Disk, DiskFile, Inspected};

pub use image::PowerCut;
use state::{FolderOperation, Inode, State};

use file::FaultFile;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct FaultDisk {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    gate: Condvar,
}

/// An operation that changes something, as a hook sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Which one it is, counting from 0.
    pub ordinal: u64,
    /// What it does.
    pub action: Action,
    /// To which file or folder.
    pub path: PathBuf,
    /// Before it is done, or after.
    pub moment: Moment,
}

/// Before an operation, or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It is about to be done.
    Before,
    /// It is done, or has failed.
    After,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the operation of the trait that has its name")]
pub enum Action {
    Create,
    Rename,
    Remove,
    SyncFolder,
    Write,
    Sync,
    Allocate,
    SetLength,
}

type Hook = Arc<dyn Fn(&FaultDisk, &Operation) + Send + Sync>;

impl FaultDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a power cut at this moment could leave, as a disk of its own, without faults. The same seed gives the same
    /// image.
    pub fn crash_image(&self, cut: PowerCut) -> Self {
        let image = image::after(&self.lock(), cut);
        Self { shared: Arc::new(Shared { state: Mutex::new(image), gate: Condvar::new() }) }
    }

    /// What another process finds when the one that wrote died and the power stayed: everything that was written, with
    /// what is not durable still at risk. A disk of its own, without faults.
    pub fn kill_image(&self) -> Self {
        let state = self.lock().without_faults();
        Self { shared: Arc::new(Shared { state: Mutex::new(state), gate: Condvar::new() }) }
    }

    /// Fails the flush after `others` more of them, once. What was not durable by then may be lost or not, also if
    /// later flushes succeed.
    pub fn fail_sync_after(&self, others: u64) {
        self.lock().faults.sync_in = Some(others);
    }

    /// Fails the write after `others` more of them, once, having written a part or nothing.
    pub fn fail_write_after(&self, others: u64) {
        self.lock().faults.write_in = Some(others);
    }

    /// Limits the bytes of all files together; `None`: no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// The bytes of all files together.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Makes flushes wait (`true`), or lets them go on.
    pub fn stall_syncs(&self, stall: bool) {
        self.lock().faults.stalled = stall;
        self.shared.gate.notify_all();
    }

    /// How many flushes wait at this moment.
    pub fn stalled_syncs(&self) -> usize {
        self.lock().waiting
    }

    /// Flips one bit of a file, on the disk and in what is read.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) {
        let mut state = self.lock();
        let id = state.file(path).expect("the file to damage is there");
        state.inode_mut(id).flip(offset as usize, 1 << bit);
    }

    /// The content of a file.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        let id = state.file(path).ok()?;
        Some(state.inode(id).live.clone())
    }

    /// Puts a file there, durable at once.
    pub fn put(&self, path: &Path, content: &[u8]) {
        let mut state = self.lock();
        let id = state.add(Inode::durable(content.to_vec()));
        state.names.insert(path.to_owned(), id);
        state.durable_names.insert(path.to_owned(), id);
    }

    /// The paths of all files, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        self.lock().names.keys().cloned().collect()
    }

    /// Has `hook` called before and after each operation that changes something. It may use the disk.
    pub fn on_operation(&self, hook: impl Fn(&Self, &Operation) + Send + Sync + 'static) {
        self.lock().hook = Some(Arc::new(hook));
    }

    /// How many operations changed something so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no test panics while holding the disk")
    }

    /// Does one operation, with the hook around it.
    fn operate<T>(
        &self,
        action: Action,
        path: &Path,
        operation: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.lock();
        let ordinal = state.operations;
        state.operations += 1;
        let hook = state.hook.clone();
        let tell = |moment| {
            if let Some(hook) = &hook {
                hook(self, &Operation { ordinal, action, path: path.to_owned(), moment });
            }
        };
        drop(state);
        tell(Moment::Before);
        let result = operation(&mut self.lock());
        tell(Moment::After);
        result
    }

    fn handle(&self, path: &Path, id: usize, writable: bool) -> Box<dyn DiskFile> {
        Box::new(FaultFile { disk: self.clone(), path: path.to_owned(), id, writable })
    }
}

impl Disk for FaultDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let id = self.operate(Action::Create, path, |state| {
            if state.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if state.capacity.is_some_and(|capacity| state.used() >= capacity) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let id = state.add(Inode::default());
            state.change_folder(FolderOperation::Create { path: path.to_owned(), id });
            Ok(id)
        })?;
        Ok(self.handle(path, id, true))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let id = self.lock().file(path)?;
        Ok(self.handle(path, id, true))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let id = self.lock().file(path)?;
        Ok(self.handle(path, id, false))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.lock();
        if !state.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let paths = state.names.keys().chain(&state.folders);
        Ok(paths.filter(|path| path.parent() == Some(folder)).cloned().collect())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.lock().folders.extend(folder.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(Action::Rename, from, |state| {
            let id = state.file(from)?;
            state.change_folder(FolderOperation::Rename { from: from.to_owned(), to: to.to_owned(), id });
            Ok(())
        })
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(Action::Rename, from, |state| {
            let id = state.file(from)?;
            if state.names.contains_key(to) || state.folders.contains(to) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.change_folder(FolderOperation::Rename { from: from.to_owned(), to: to.to_owned(), id });
            Ok(())
        })
    }

    fn inspect(&self, path: &Path) -> io::Result<Inspected> {
        let state = self.lock();
        if state.folders.contains(path) {
            return Ok(Inspected { is_folder: true, bytes: 0, modified: 0 });
        }
        let id = state.file(path)?;
        // No test depends on when a file was written.
        Ok(Inspected { is_folder: false, bytes: state.inode(id).live.len() as u64, modified: 0 })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate(Action::Remove, path, |state| {
            state.file(path)?;
            state.change_folder(FolderOperation::Remove { path: path.to_owned() });
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.operate(Action::SyncFolder, folder, |state| {
            if !state.folders.contains(folder) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.faults.fail_sync()?;
            state.sync_folder(folder);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
