//! Objects as files of a folder: what is there after a `put` returned is there after a power cut.
//!
//! An object is written beside its place, flushed, renamed, and its folder is flushed. So each is there as a whole, the
//! old one or the new one, whenever the power goes. Files called `NAME.PROCESS-NUMBER.part` are not complete: they are
//! no objects, and [`DiskStore::clean`] removes those that a crash left.

mod read;
mod upload;
mod write;

use crate::store::upload::Upload;
use crate::store::write::{Existing, is_part};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path as Location;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use odograph_env::Disk;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// A folder of a disk as an object store. Clones are the same store.
#[derive(Clone)]
pub struct DiskStore {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Folders that a power cut leaves where they are, because this store flushed those above.
    durable: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl DiskStore {
    /// The objects below `root`, which need not be there yet.
    pub fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, root: root.to_owned(), durable: Arc::default() }
    }

    /// Removes what was being written when an earlier process ended, and returns how many files that were. Nobody else
    /// may be writing.
    ///
    /// # Errors
    ///
    /// When a folder cannot be listed or a file cannot be removed.
    pub fn clean(&self) -> io::Result<usize> {
        let files = self.files_below(self.root.clone())?;
        let parts: Vec<_> = files.into_iter().map(|(path, _)| path).filter(|path| is_part(path)).collect();
        parts.iter().try_for_each(|path| self.disk.remove(path))?;
        Ok(parts.len())
    }

    fn path(&self, location: &Location) -> PathBuf {
        // A location has no empty, `.` or `..` parts.
        location.parts().fold(self.root.clone(), |path, part| path.join(part.as_ref()))
    }

    /// The file of an object. The root is none, and neither is what could be taken for a file that is not complete.
    fn file(&self, location: &Location) -> Result<PathBuf> {
        let path = self.path(location);
        if location.is_root() || is_part(&path) {
            return Err(Error::NotSupported { source: format!("no object can be called {location:?}").into() });
        }
        Ok(path)
    }

    fn location(&self, path: &Path) -> Option<Location> {
        Location::parse(path.strip_prefix(&self.root).ok()?.to_str()?).ok()
    }

    /// Reads where that holds up nobody else: here, if the thread may wait for the disk.
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T> + Send + 'static) -> Result<T> {
        if !MAY_WAIT.get() {
            return self.aside(work).await;
        }
        let read = work(self);
        // Whoever reads file after file that has nothing for him would never give way, and hear of no end.
        tokio::task::yield_now().await;
        read
    }

    /// Does what waits for the disk where that holds up nobody else. Who has no runtime waits.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T> + Send + 'static) -> Result<T> {
        let own = self.clone();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return work(&own) };
        // A task of its own: whoever asked for many things at once may stop asking how far they are, and would keep a seat for
        // ever that came free for one of them.
        let done = runtime.spawn(async move {
            let seat = AT_ONCE.acquire().await.map_err(generic)?;
            let work = move || {
                let _seat = seat;
                work(&own)
            };
            tokio::task::spawn_blocking(work).await.map_err(generic)?
        });
        done.await.map_err(generic)?
    }
}

/// This thread reads files itself from now on: it is there for a question, and nobody else waits for it. A question reads some
/// dozens of pieces one after the other, each in less time than it takes to wake another thread for it.
pub(crate) fn may_wait_for_the_disk() {
    MAY_WAIT.set(true);
}

thread_local! {
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// Whether an error of the store says that the disk is full.
pub fn disk_is_full(error: &Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.downcast_ref::<io::Error>().is_some_and(odograph_env::is_full) {
            return true;
        }
        source = error.source();
    }
    false
}

impl std::fmt::Display for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the folder {}", self.root.display())
    }
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskStore").field("root", &self.root).finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStore for DiskStore {
    async fn put_opts(&self, location: &Location, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        refuse_attributes(&options.attributes)?;
        let existing = match options.mode {
            PutMode::Overwrite => Existing::Replaced,
            PutMode::Create => Existing::Kept,
            PutMode::Update(_) => return Err(Error::NotSupported { source: "files have no versions".into() }),
        };
        let location = location.clone();
        self.aside(move |store| store.put_object(&location, &payload, existing)).await?;
        Ok(NO_VERSION)
    }

    async fn put_multipart_opts(
        &self,
        location: &Location,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        refuse_attributes(&options.attributes)?;
        let location = location.clone();
        let part = self.aside(move |store| store.begin(&location)).await?;
        Ok(Box::new(Upload::new(self.clone(), part)))
    }

    async fn get_opts(&self, location: &Location, options: GetOptions) -> Result<GetResult> {
        let location = location.clone();
        self.read(move |store| store.get_object(&location, &options)).await
    }

    async fn get_ranges(&self, location: &Location, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (location, ranges) = (location.clone(), ranges.to_vec());
        self.read(move |store| store.get_ranges_of(&location, &ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Location>>) -> BoxStream<'static, Result<Location>> {
        let store = self.clone();
        let delete = move |location: Location| {
            let store = store.clone();
            async move { store.aside(move |store| store.delete_object(&location).map(|()| location)).await }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Location>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let walk = async move { store.aside(move |store| store.walk(prefix.as_ref())).await };
        stream::once(walk).map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Location>) -> Result<ListResult> {
        let prefix = prefix.cloned();
        self.aside(move |store| store.look(prefix.as_ref())).await
    }

    async fn copy_opts(&self, from: &Location, to: &Location, options: CopyOptions) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.aside(move |store| store.copy_object(&from, &to, options.mode.into())).await
    }

    async fn rename_opts(&self, from: &Location, to: &Location, options: RenameOptions) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.aside(move |store| store.rename_object(&from, &to, options.target_mode.into())).await
    }
}

fn refuse_attributes(attributes: &Attributes) -> Result<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    Err(Error::NotSupported { source: "files have no attributes".into() })
}

/// What the disk refused to do.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {doing}", path.display())]
struct Failed {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

fn failed(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied => {
            Error::PermissionDenied { path: path.display().to_string(), source: source.into() }
        }
        _ => generic(Failed { path: path.to_owned(), doing, source }),
    }
}

/// An object has less than its table's log says.
#[derive(Debug, thiserror::Error)]
#[error("{path} is damaged: it ends at byte {size} and should have at least {end}")]
struct CutShort {
    path: String,
    end: u64,
    size: u64,
}

/// An error for a range that ends behind the object: what was written and committed as a whole was cut short since.
/// Readers of files would take fewer bytes than they asked for as a flaw of the program.
pub(crate) fn cut_short(path: &str, end: u64, size: u64) -> Error {
    generic(CutShort { path: path.to_owned(), end, size })
}

/// As [`failed`], for what must be there.
fn unread(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| match is_absent(&source) {
        true => Error::NotFound { path: path.display().to_string(), source: source.into() },
        false => failed(path, "read")(source),
    }
}

/// Nothing has the name, or a file stands where a folder would be.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn generic(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic { store: "disk", source: Box::new(source) }
}

/// Files have neither versions nor tags: a length and a time to the millisecond do not tell two contents apart.
const NO_VERSION: PutResult = PutResult { e_tag: None, version: None };

/// Files of all stores that are worked on at a time. Each takes a thread, and what threads once had the allocator keeps for a
/// while: a table's log is read a hundred entries at once, and needs no hundred threads.
static AT_ONCE: Semaphore = Semaphore::const_new(FILES_AT_ONCE);
const FILES_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests;
