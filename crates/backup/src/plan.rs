//! What is to be copied, as it was when it was looked at.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt as _};
use odograph_env::{Disk, DiskFile};

use crate::Error;

/// A file that is to be copied.
pub struct Item {
    /// Where it is in a data folder.
    pub path: String,
    /// So many bytes of it, from its beginning.
    pub bytes: u64,
    /// When it was written last. A file with the same length and time as in the last backup is taken for the same: so this is
    /// absent where a file may change without that.
    pub modified: Option<i64>,
    /// Where its bytes are.
    pub content: Content,
    /// What it means if it is not there.
    pub absence: Absence,
}

/// What it means if a file is not there when it is to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// There can be no backup.
    Error,
    /// A backup without it is better than none, and says that it is missing.
    Told,
    /// It was of use, and nobody needs it.
    Harmless,
}

/// Where bytes are.
pub enum Content {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file that is open, because another one may take its name.
    Open(Box<dyn DiskFile>),
    /// In a file.
    File(Arc<dyn Disk>, PathBuf),
    /// In an object of a store.
    Object(Arc<dyn ObjectStore>, Location),
}

impl Item {
    /// One that is small and known.
    pub fn of(path: impl Into<String>, content: Vec<u8>) -> Self {
        let bytes = content.len() as u64;
        Self { path: path.into(), bytes, modified: None, content: Content::Bytes(content), absence: Absence::Error }
    }

    pub(crate) fn open(&self) -> Result<Opened<'_>, Error> {
        Ok(match &self.content {
            Content::Bytes(bytes) => Opened::Bytes(bytes),
            Content::Open(file) => Opened::Open(&**file),
            Content::File(disk, path) => Opened::File(disk.open_read(path).map_err(|error| self.unread(error))?),
            Content::Object(store, location) => Opened::Object(&**store, location),
        })
    }

    /// A piece of it.
    pub(crate) async fn read(&self, opened: &Opened<'_>, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let from_file = |file: &dyn DiskFile| {
            let mut bytes = vec![0; length];
            let read = file.read_at(&mut bytes, offset).map_err(|error| self.unread(error))?;
            bytes.truncate(read);
            Ok::<_, Error>(bytes)
        };
        let bytes = match opened {
            Opened::Bytes(bytes) => {
                bytes.iter().skip(usize::try_from(offset).unwrap_or(usize::MAX)).take(length).copied().collect()
            }
            Opened::Open(file) => from_file(*file)?,
            Opened::File(file) => from_file(&**file)?,
            Opened::Object(store, location) => {
                let range = offset..offset + length as u64;
                store.get_range(location, range).await.map_err(|error| self.unread(error))?.to_vec()
            }
        };
        if bytes.len() < length {
            let found = offset + bytes.len() as u64;
            return Err(Error::Shrunk { path: self.path.clone(), expected: self.bytes, found });
        }
        Ok(bytes)
    }

    fn unread(&self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Source { path: self.path.clone(), source: Box::new(error) }
    }
}

pub(crate) enum Opened<'a> {
    Bytes(&'a [u8]),
    Open(&'a dyn DiskFile),
    File(Box<dyn DiskFile>),
    Object(&'a dyn ObjectStore, &'a Location),
}

impl Error {
    /// Whether a file that belongs to the backup is not there.
    pub(crate) fn is_absent(&self) -> bool {
        let Self::Source { source, .. } = self else { return false };
        let of_store = matches!(source.downcast_ref(), Some(object_store::Error::NotFound { .. }));
        of_store
            || source.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }
}
