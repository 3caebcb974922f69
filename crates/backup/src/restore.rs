//! Puts the files of a backup where nothing is.
//!
//! While it is under way a mark stands in the folder, by which everyone knows that what is there is not whole. A restore into a
//! folder with the mark goes on: what is there and right stays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt as _};
use odograph_env::{Disk, DiskFile};

use crate::manifest::{Chunk, File, Manifest};
use crate::{AT_ONCE, Error, Progress, Target};

/// Where a backup is restored to.
pub struct Destination {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The data folder.
    pub folder: PathBuf,
    /// What its mark is called.
    pub mark: String,
    /// Where history goes.
    pub lake: LakeTo,
}

/// Where history goes.
pub enum LakeTo {
    /// Into the data folder.
    Folder,
    /// Into an object store, where nothing may be.
    Store(Arc<dyn ObjectStore>, String),
    /// Nowhere: it is there.
    Kept,
}

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Files that are there now.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Target {
    /// Restores a backup. The mark stays until [`Destination::complete`].
    ///
    /// # Errors
    ///
    /// When something is there already, an object is damaged or missing, or the disk refuses. The mark stays.
    pub async fn restore(
        &self,
        manifest: &Manifest,
        to: &Destination,
        look: &mut dyn FnMut(Progress),
    ) -> Result<Restored, Error> {
        to.begin().await?;
        let wanted = |file: &&File| !(is_lake(file) && matches!(to.lake, LakeTo::Kept));
        let files: Vec<&File> = manifest.files.iter().filter(wanted).collect();
        let bytes = files.iter().map(|file| file.bytes).sum();
        let mut progress = Progress { of_files: files.len(), of_bytes: bytes, ..Progress::default() };
        let mut folders = BTreeSet::new();
        for file in &files {
            if !to.has(file).await? {
                self.file(file, to, &mut folders).await?;
            }
            progress.files += 1;
            progress.bytes += file.bytes;
            look(progress);
        }
        // Names, once for each folder: until then the mark says that nothing counts.
        for folder in folders {
            to.disk.sync_folder(&folder).map_err(failed("flush", &folder))?;
        }
        Ok(Restored { files: files.len(), bytes })
    }

    async fn file(&self, file: &File, to: &Destination, folders: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
        let pieces = file.chunks.iter().enumerate();
        let read = |(number, chunk): (usize, &Chunk)| self.chunk(*chunk, file.chunk_bytes(number));
        let mut pieces = futures::stream::iter(pieces.map(read)).buffered(AT_ONCE);
        if let (LakeTo::Store(store, name), Some(location)) = (&to.lake, lake_location(file)) {
            // Files of tables are some hundred megabytes at most, and go as a whole or not at all.
            let mut all = Vec::new();
            while let Some(piece) = pieces.try_next().await? {
                all.extend_from_slice(&piece);
            }
            let failed = |source| Error::Target {
                doing: "put",
                object: file.path.clone(),
                target: name.clone(),
                source: Box::new(source),
            };
            return store.put(&location, all.into()).await.map(drop).map_err(failed);
        }
        let path = to.folder.join(&file.path);
        let out = to.create(&path, folders)?;
        let mut offset = 0;
        while let Some(piece) = pieces.try_next().await? {
            out.write_at(&piece, offset).map_err(failed("write", &path))?;
            offset += piece.len() as u64;
        }
        out.sync().map_err(failed("flush", &path))
    }
}

impl Destination {
    fn mark(&self) -> PathBuf {
        self.folder.join(&self.mark)
    }

    /// Makes sure that nothing is there but what an earlier attempt left, and sets the mark.
    async fn begin(&self) -> Result<(), Error> {
        let mark = self.mark();
        self.disk.create_folder(&self.folder).map_err(failed("make", &self.folder))?;
        if self.disk.inspect(&mark).is_ok() {
            return Ok(());
        }
        let found = self.disk.list(&self.folder).map_err(failed("list", &self.folder))?;
        if found.iter().any(|path| !MAY_BE_THERE.iter().any(|name| path.ends_with(name))) {
            return Err(Error::NotEmpty { place: self.folder.display().to_string() });
        }
        if let LakeTo::Store(store, name) = &self.lake {
            let failed = |source| Error::Target {
                doing: "list",
                object: "what is there".to_owned(),
                target: name.clone(),
                source: Box::new(source),
            };
            if store.list(None).try_next().await.map_err(failed)?.is_some() {
                return Err(Error::NotEmpty { place: name.clone() });
            }
        }
        let file = self.disk.create(&mark).map_err(failed("make", &mark))?;
        file.write_at(MARK, 0).map_err(failed("write", &mark))?;
        file.sync().map_err(failed("flush", &mark))?;
        self.disk.sync_folder(&self.folder).map_err(failed("flush", &self.folder))
    }

    /// Says that what is there is whole.
    ///
    /// # Errors
    ///
    /// When the mark cannot be removed.
    pub fn complete(&self) -> Result<(), Error> {
        let mark = self.mark();
        self.disk.remove(&mark).map_err(failed("remove", &mark))?;
        self.disk.sync_folder(&self.folder).map_err(failed("flush", &self.folder))
    }

    /// Whether an earlier attempt restored the file.
    async fn has(&self, file: &File) -> Result<bool, Error> {
        if let (LakeTo::Store(store, _), Some(location)) = (&self.lake, lake_location(file)) {
            // It was put as a whole.
            return Ok(store.head(&location).await.is_ok_and(|found| found.size == file.bytes));
        }
        let path = self.folder.join(&file.path);
        let Ok(found) = self.disk.open_read(&path) else { return Ok(false) };
        if found.length().map_err(failed("read", &path))? != file.bytes {
            return Ok(false);
        }
        let mut piece = vec![0; crate::CHUNK_BYTES];
        for (number, chunk) in file.chunks.iter().enumerate() {
            let piece = &mut piece[..file.chunk_bytes(number)];
            let offset = (number * crate::CHUNK_BYTES) as u64;
            let read = found.read_at(piece, offset).map_err(failed("read", &path))?;
            if read != piece.len() || Chunk::of(piece) != *chunk {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn create(&self, path: &Path, folders: &mut BTreeSet<PathBuf>) -> Result<Box<dyn DiskFile>, Error> {
        let folder = path.parent().unwrap_or(&self.folder);
        if !folders.contains(folder) {
            self.disk.create_folder(folder).map_err(failed("make", folder))?;
            folders.extend(folder.ancestors().take_while(|one| one.starts_with(&self.folder)).map(Path::to_owned));
        }
        match self.disk.remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("replace", path)(error)),
            _ => self.disk.create(path).map_err(failed("make", path)),
        }
    }
}

fn is_lake(file: &File) -> bool {
    file.path.starts_with(LAKE)
}

fn lake_location(file: &File) -> Option<Location> {
    Location::parse(file.path.strip_prefix(LAKE)?).ok()
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Disk { doing, path, source }
}

/// What the paths of history's files begin with.
const LAKE: &str = "lake/";
/// In an otherwise empty folder: whoever restores has taken it, and a fresh file system has a place for what it finds.
const MAY_BE_THERE: &[&str] = &["lock", "lost+found"];
const MARK: &[u8] =
    b"A restore into this folder has not ended: what is here is not whole. Run the same `odograph restore` again.\n";
