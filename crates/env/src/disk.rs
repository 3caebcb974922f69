//! Files, and what it takes to make them durable.

use crate::UnixMillis;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A place for files.
///
/// Creating, renaming and removing a file change its folder: they are durable only after [`Disk::sync_folder`].
pub trait Disk: Send + Sync {
    /// Creates an empty file for reading and writing, private to its owner; an error if it exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading alone.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// The paths of the entries of a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Creates a folder and those above it. No error if it is there.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Renames a file, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames a file to a name that nothing has; an error of the kind `AlreadyExists` where something has it.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// What is at a path.
    fn inspect(&self, path: &Path) -> io::Result<Inspected>;

    /// The same of a link itself, not of what it leads to, where the disk has links.
    fn inspect_entry(&self, path: &Path) -> io::Result<Inspected> {
        self.inspect(path)
    }

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    /// It is a folder.
    pub is_folder: bool,
    /// The length of a file.
    pub bytes: u64,
    /// When it was written last.
    pub modified: UnixMillis,
}

/// One open file. Reads and writes name their place: there is no cursor.
pub trait DiskFile: Send + Sync {
    /// Reads into `buffer` from `offset`; fewer bytes than asked only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. Not durable before [`DiskFile::sync`].
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the content and the length durable (`fdatasync`). After an error nobody knows what is on disk:
    /// never call it again and hope.
    fn sync(&self) -> io::Result<()>;

    /// Reserves space for `length` bytes from `offset`, growing the file with zeros, so that later writes there
    /// cannot run out of space. An error that [`is_full`] recognises leaves the file usable.
    fn allocate(&self, offset: u64, length: u64) -> io::Result<()>;

    /// Cuts or grows the file.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// The file's length in bytes.
    fn length(&self) -> io::Result<u64>;
}

/// Whether an error says that there is no space: disk full, quota, or file size limit.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LocalFile(OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LocalFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LocalFile(File::open(path)?)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => link_new(from, to),
            other => other.map_err(io::Error::from),
        }
    }

    fn inspect(&self, path: &Path) -> io::Result<Inspected> {
        inspected(&std::fs::metadata(path)?)
    }

    fn inspect_entry(&self, path: &Path) -> io::Result<Inspected> {
        inspected(&std::fs::symlink_metadata(path)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes a folder durable")]
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

fn inspected(found: &std::fs::Metadata) -> io::Result<Inspected> {
    let since = found.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let modified = UnixMillis::try_from(since.as_millis()).unwrap_or(UnixMillis::MAX);
    Ok(Inspected { is_folder: found.is_dir(), bytes: found.len(), modified })
}

/// [`Disk::rename_new`] on a file system without it: a second name fails where a new one would, and the old one can go.
/// A power cut between the two leaves both.
fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

struct LocalFile(File);

impl DiskFile for LocalFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (mut filled, mut at) = (0, offset);
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, at) {
                Ok(0) => break,
                Ok(count) => (filled, at) = (filled + count, at + count as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes a file durable")]
    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(&self.0, FallocateFlags::empty(), offset, length) {
            // A file system without reservation: growing is all that can be had, and a full disk shows at the write.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(self.0.metadata()?.len().max(offset + length)),
            other => other.map_err(io::Error::from),
        }
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_name_replaces_nothing() {
        check_rename_new(|from, to| LocalDisk.rename_new(from, to));
        check_rename_new(link_new);
    }

    fn check_rename_new(rename_new: impl Fn(&Path, &Path) -> io::Result<()>) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "a").unwrap();
        std::fs::write(path("b"), "b").unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        for taken in ["b", "folder"] {
            assert_eq!(rename_new(&path("a"), &path(taken)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(rename_new(&path("c"), &path("d")).unwrap_err().kind(), io::ErrorKind::NotFound);
        rename_new(&path("a"), &path("c")).unwrap();
        let mut names = LocalDisk.list(folder.path()).unwrap();
        names.sort_unstable();
        assert_eq!(names, ["b", "c", "folder"].map(path));
        assert_eq!(std::fs::read(path("b")).unwrap(), b"b");
        assert_eq!(std::fs::read(path("c")).unwrap(), b"a");
    }

    #[test]
    fn a_path_is_inspected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(LocalDisk.inspect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        let file = LocalDisk.create(&path).unwrap();
        file.write_at(b"12345", 0).unwrap();
        let modified = std::time::UNIX_EPOCH + std::time::Duration::from_micros(1_700_000_000_123_999);
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        let expected = Inspected { is_folder: false, bytes: 5, modified: 1_700_000_000_123 };
        assert_eq!(LocalDisk.inspect(&path).unwrap(), expected);
        assert!(LocalDisk.inspect(folder.path()).unwrap().is_folder);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert_eq!(LocalDisk.inspect(&link).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(LocalDisk.inspect_entry(&link).unwrap().bytes, "nowhere".len() as u64);
        let below = LocalDisk.inspect(&path.join("below")).unwrap_err();
        assert_eq!(below.kind(), io::ErrorKind::NotADirectory);
    }
}
