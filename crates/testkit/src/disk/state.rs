//! What is on a disk, what is durable of it, and what is still to come.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::Hook;

#[derive(Default)]
pub(super) struct State {
    inodes: Vec<Inode>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that are not durable, in order.
    pub(super) pending_names: Vec<FolderOperation>,
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) capacity: Option<u64>,
    pub(super) faults: Faults,
    pub(super) waiting: usize,
    pub(super) operations: u64,
    pub(super) hook: Option<Hook>,
}

/// A file, whatever its name.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// What has been done since the last flush, in order.
    pub(super) pending: Vec<FileOperation>,
    /// What a failed flush left undecided: no later flush makes it durable.
    pub(super) doubtful: Vec<FileOperation>,
}

#[derive(Debug, Clone)]
pub(super) enum FileOperation {
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    SetLength(usize),
    /// Grows the file to this length, if it is shorter.
    Grow(usize),
}

#[derive(Debug, Clone)]
pub(super) enum FolderOperation {
    Create { path: PathBuf, id: usize },
    Rename { from: PathBuf, to: PathBuf, id: usize },
    Remove { path: PathBuf },
}

#[derive(Default)]
pub(super) struct Faults {
    /// How many flushes succeed before the one that fails.
    pub(super) sync_in: Option<u64>,
    pub(super) write_in: Option<u64>,
    pub(super) stalled: bool,
}

impl State {
    /// A disk on which everything is durable.
    pub(super) fn durable(inodes: Vec<Inode>, names: BTreeMap<PathBuf, usize>, folders: BTreeSet<PathBuf>) -> Self {
        Self { inodes, durable_names: names.clone(), names, folders, ..Self::default() }
    }

    /// The same content, names and risks.
    pub(super) fn without_faults(&self) -> Self {
        Self {
            inodes: self.inodes.clone(),
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            pending_names: self.pending_names.clone(),
            folders: self.folders.clone(),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, inode: Inode) -> usize {
        self.inodes.push(inode);
        self.inodes.len() - 1
    }

    pub(super) fn inodes(&self) -> &[Inode] {
        &self.inodes
    }

    pub(super) fn inode(&self, id: usize) -> &Inode {
        &self.inodes[id]
    }

    pub(super) fn inode_mut(&mut self, id: usize) -> &mut Inode {
        &mut self.inodes[id]
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn used(&self) -> u64 {
        self.names.values().map(|&id| self.inodes[id].live.len() as u64).sum()
    }

    /// Fails if `bytes` more do not fit.
    pub(super) fn check_space(&self, bytes: usize) -> io::Result<()> {
        let full = self.capacity.is_some_and(|capacity| self.used() + bytes as u64 > capacity);
        if bytes > 0 && full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn change_folder(&mut self, operation: FolderOperation) {
        operation.apply(&mut self.names);
        self.pending_names.push(operation);
    }

    pub(super) fn sync_folder(&mut self, folder: &Path) {
        let (due, left) = std::mem::take(&mut self.pending_names).into_iter().partition(|one| one.is_in(folder));
        self.pending_names = left;
        let due: Vec<FolderOperation> = due;
        due.iter().for_each(|operation| operation.apply(&mut self.durable_names));
    }
}

impl Inode {
    pub(super) fn durable(content: Vec<u8>) -> Self {
        Self { live: content.clone(), durable: content, ..Self::default() }
    }

    pub(super) fn change(&mut self, operation: FileOperation) {
        operation.apply(&mut self.live);
        self.pending.push(operation);
    }

    pub(super) fn sync(&mut self) {
        for operation in self.pending.drain(..) {
            operation.apply(&mut self.durable);
        }
    }

    /// What a failed flush does: nobody knows what of it arrived.
    pub(super) fn fail_sync(&mut self) {
        self.doubtful.append(&mut self.pending);
    }

    pub(super) fn flip(&mut self, offset: usize, mask: u8) {
        for image in [&mut self.live, &mut self.durable] {
            if let Some(byte) = image.get_mut(offset) {
                *byte ^= mask;
            }
        }
    }
}

impl FileOperation {
    pub(super) fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[*offset..end].copy_from_slice(bytes);
            }
            Self::SetLength(length) => image.resize(*length, 0),
            Self::Grow(length) => image.resize(image.len().max(*length), 0),
        }
    }
}

impl FolderOperation {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Create { path, id } => drop(names.insert(path.clone(), *id)),
            Self::Rename { from, to, id } => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
            Self::Remove { path } => drop(names.remove(path)),
        }
    }

    fn is_in(&self, folder: &Path) -> bool {
        let (Self::Create { path, .. } | Self::Rename { to: path, .. } | Self::Remove { path }) = self;
        path.parent() == Some(folder)
    }
}

impl Faults {
    pub(super) fn fail_sync(&mut self) -> io::Result<()> {
        due(&mut self.sync_in, "flush")
    }

    pub(super) fn fail_write(&mut self) -> io::Result<()> {
        due(&mut self.write_in, "write")
    }
}

fn due(counter: &mut Option<u64>, what: &str) -> io::Result<()> {
    match counter {
        Some(0) => {
            *counter = None;
            Err(io::Error::other(format!("injected {what} failure")))
        }
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}
