//! Looking for objects and reading them.

use super::write::is_part;
use super::{DiskStore, cut_short, failed, generic, is_absent, unread};
use bytes::Bytes;
use chrono::DateTime;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use object_store::path::Path as Location;
use object_store::{Attributes, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, ObjectMeta, Result};
use odograph_env::{DiskFile, Inspected};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An object that is open for reading: what is put in its place meanwhile changes nothing.
pub(super) struct Object {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    pub(super) meta: ObjectMeta,
}

impl DiskStore {
    pub(super) fn get_object(&self, location: &Location, options: &GetOptions) -> Result<GetResult> {
        let object = self.open(location)?;
        options.check_preconditions(&object.meta)?;
        let meta = object.meta.clone();
        let range = match &options.range {
            Some(GetRange::Bounded(range)) => object.within(range)?,
            Some(range) => range.as_range(meta.size).map_err(generic)?,
            None => 0..meta.size,
        };
        let pieces = if options.head { stream::empty().boxed() } else { self.pieces(object, range.clone()) };
        Ok(GetResult { payload: GetResultPayload::Stream(pieces), meta, range, attributes: Attributes::default() })
    }

    /// Reads ranges, all of which the object must have: whoever asks for more was told of a longer one.
    pub(super) fn get_ranges_of(&self, location: &Location, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let object = self.open(location)?;
        let get = |range: &Range<u64>| {
            if range.start == range.end {
                return Ok(Bytes::new());
            }
            object.read(object.within(range)?)
        };
        ranges.iter().map(get).collect()
    }

    pub(super) fn open(&self, location: &Location) -> Result<Object> {
        let path = self.file(location)?;
        let open = || {
            let file = self.disk.open_read(&path)?;
            let found = self.disk.inspect(&path)?;
            if found.is_folder {
                return Err(io::ErrorKind::NotFound.into());
            }
            // The length of what was opened, which need not be what has the name by now.
            let bytes = file.length()?;
            Ok((file, Inspected { bytes, ..found }))
        };
        let (file, found) = open().map_err(unread(&path))?;
        Ok(Object { file, path, meta: meta(location.clone(), &found) })
    }

    fn pieces(&self, object: Object, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let (store, object) = (self.clone(), Arc::new(object));
        let next = move |begin: u64| {
            let (store, object, end) = (store.clone(), object.clone(), range.end.min(begin + PIECE_BYTES));
            async move {
                if begin == end {
                    return Ok(None);
                }
                Ok(Some((store.read(move |_| object.read(begin..end)).await?, end)))
            }
        };
        stream::try_unfold(range.start, next).boxed()
    }

    /// The objects below a prefix. In order, because the great stores list so and readers of Delta's log know it.
    pub(super) fn walk(&self, prefix: Option<&Location>) -> Result<Vec<ObjectMeta>> {
        let begin = self.folder(prefix);
        let files = self.files_below(begin.clone()).map_err(failed(&begin, "listed"))?;
        let mut objects: Vec<_> = files.iter().filter_map(|(path, found)| self.listed(path, found)).collect();
        objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }

    /// The objects in a folder, and the folders there.
    pub(super) fn look(&self, prefix: Option<&Location>) -> Result<ListResult> {
        let folder = self.folder(prefix);
        let entries = self.entries(&folder).map_err(failed(&folder, "listed"))?;
        let (folders, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(_, found)| found.is_folder);
        let mut objects: Vec<_> = files.iter().filter_map(|(path, found)| self.listed(path, found)).collect();
        objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        let mut common_prefixes: Vec<_> = folders.iter().filter_map(|(path, _)| self.location(path)).collect();
        common_prefixes.sort_unstable();
        Ok(ListResult { common_prefixes, objects })
    }

    fn folder(&self, prefix: Option<&Location>) -> PathBuf {
        prefix.map_or_else(|| self.root.clone(), |prefix| self.path(prefix))
    }

    /// The object that a file is, if it is one.
    fn listed(&self, path: &Path, found: &Inspected) -> Option<ObjectMeta> {
        if is_part(path) {
            return None;
        }
        Some(meta(self.location(path)?, found))
    }

    /// All files in a folder and those below it.
    pub(super) fn files_below(&self, folder: PathBuf) -> io::Result<Vec<(PathBuf, Inspected)>> {
        let (mut files, mut folders) = (Vec::new(), vec![folder]);
        while let Some(folder) = folders.pop() {
            for (path, found) in self.entries(&folder)? {
                if found.is_folder {
                    folders.push(path);
                } else {
                    files.push((path, found));
                }
            }
        }
        Ok(files)
    }

    /// What is in a folder, and nothing where there is none.
    fn entries(&self, folder: &Path) -> io::Result<Vec<(PathBuf, Inspected)>> {
        let mut entries = Vec::new();
        for path in present(self.disk.list(folder))?.unwrap_or_default() {
            // What was listed can be gone by now.
            if let Some(found) = present(self.disk.inspect(&path))? {
                entries.push((path, found));
            }
        }
        Ok(entries)
    }
}

impl Object {
    /// The range, if the object has it.
    fn within(&self, range: &Range<u64>) -> Result<Range<u64>> {
        if range.end > self.meta.size {
            return Err(cut_short(&self.path.display().to_string(), range.end, self.meta.size));
        }
        GetRange::Bounded(range.clone()).as_range(self.meta.size).map_err(generic)
    }

    /// Reads a range that the object has.
    pub(super) fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let read = || {
            let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            // Objects never change: a file that became shorter was damaged.
            match self.file.read_at(&mut bytes, range.start)? {
                count if count == length => Ok(bytes.into()),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            }
        };
        read().map_err(failed(&self.path, "read"))
    }
}

fn meta(location: Location, found: &Inspected) -> ObjectMeta {
    let last_modified = DateTime::from_timestamp_millis(found.modified).unwrap_or_default();
    ObjectMeta { location, last_modified, size: found.bytes, e_tag: None, version: None }
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if is_absent(&error) => Ok(None),
        result => result.map(Some),
    }
}

/// So much of an object is read at once: enough to keep a disk busy, little beside the memory of a query.
pub(super) const PIECE_BYTES: u64 = 1 << 20;
