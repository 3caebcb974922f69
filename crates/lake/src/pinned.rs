//! The tables as they are at one moment, as the objects that they consist of: for copies.
//!
//! A version of a table names files that never change, and its log is complete up to it: whoever copies these objects has that
//! version, however long it takes, if nothing of it is deleted meanwhile (see [`crate::Hold`]).

use crate::latest::{SAVED, saved_version};
use crate::place::{Place, TablePlace};
use crate::table::latest;
use crate::{Error, Trouble};
use deltalake::kernel::EagerSnapshot;
use futures::TryStreamExt as _;
use object_store::path::Path as Location;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use std::collections::HashMap;
use std::sync::Arc;

/// A table at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// Its folder below the place.
    pub folder: String,
    /// Which version.
    pub version: u64,
    /// What it consists of.
    pub objects: Vec<PinnedObject>,
    /// What is saved of its devices, which is replaced now and then.
    pub saved: Option<(String, Vec<u8>)>,
}

/// An object of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedObject {
    /// Where it is below the place.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// When it was put, in milliseconds since 1970; `None`: it is not there, although the table needs it.
    pub modified: Option<i64>,
    /// What it is needed for.
    pub need: Need,
}

/// What an object of a table is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To know which files the version has.
    Version,
    /// For its rows.
    Rows,
    /// To begin sooner: without it, all files are read once. It may be deleted at any time.
    Start,
}

impl Place {
    /// All tables as they are now.
    ///
    /// # Errors
    ///
    /// When a table cannot be read. A file with rows that is missing is no error.
    pub async fn pinned(&self) -> Result<Vec<Pinned>, Error> {
        let mut all = Vec::new();
        for (tenant, shape) in self.tables().await? {
            let at = self.table(&tenant, shape)?;
            if at.is_table().await? {
                all.push(pin(&at, self.folder_of(&tenant, shape)).await?);
            }
        }
        Ok(all)
    }

    /// Its objects.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.store_of_all()
    }

    /// A number to give to [`Place::trouble_since`].
    pub fn troubles(&self) -> u64 {
        self.failures()
    }

    /// What an object store's last request failed of, if one did since then.
    pub fn trouble_since(&self, since: u64) -> Option<Trouble> {
        self.last_trouble(since)
    }
}

async fn pin(at: &TablePlace, folder: String) -> Result<Pinned, Error> {
    let store = at.log.object_store(None);
    // First, so that it is not of a later version than the table.
    let saved = saved(&*store).await?;
    let snapshot = latest(at).await?;
    let version = snapshot.version();
    let since = saved.as_deref().and_then(saved_version).map_or(u64::MAX, |saved| saved + 1);
    let mut objects = log(&*store, version, since).await?;
    objects.extend(files(&*store, &snapshot).await?);
    for object in &mut objects {
        object.path = format!("{folder}/{}", object.path);
    }
    let saved = saved.map(|bytes| (format!("{folder}/{SAVED}"), bytes));
    Ok(Pinned { folder, version, objects, saved })
}

/// What is saved beside the table, unless it is so much that it had better be found out again.
async fn saved(store: &dyn ObjectStore) -> Result<Option<Vec<u8>>, Error> {
    match store.get(&Location::from(SAVED)).await {
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        found => {
            let found = found?;
            if found.meta.size > SAVED_BYTES_MAX {
                return Ok(None);
            }
            Ok(Some(found.bytes().await?.to_vec()))
        }
    }
}

/// The entries of the log that a version needs: from the checkpoint before it, or from `since` if that is earlier.
async fn log(store: &dyn ObjectStore, version: u64, since: u64) -> Result<Vec<PinnedObject>, Error> {
    let found: Vec<ObjectMeta> = store.list(Some(&Location::from(LOG))).try_collect().await?;
    let entries: Vec<(u64, bool, &ObjectMeta)> = found.iter().filter_map(|object| entry(object)).collect();
    let checkpoints = entries.iter().filter(|(of, is_checkpoint, _)| *is_checkpoint && *of <= version);
    let from = checkpoints.map(|(of, ..)| *of).max().unwrap_or(0);
    let wanted = |(of, is_checkpoint, _): &&(u64, bool, &ObjectMeta)| {
        // The entry of the checkpoint's own version is there too, and tells others when it was.
        if *is_checkpoint { *of == from } else { (from.min(since)..=version).contains(of) }
    };
    let need = |of: u64| if of < from { Need::Start } else { Need::Version };
    Ok(entries.iter().filter(wanted).map(|(of, _, object)| pinned(object, need(*of))).collect())
}

/// Of which version an entry of a log is, and whether it is a checkpoint.
fn entry(object: &ObjectMeta) -> Option<(u64, bool, &ObjectMeta)> {
    let (version, what) = object.location.filename()?.split_once('.')?;
    let version = (version.len() == VERSION_DIGITS).then(|| version.parse().ok())??;
    match what {
        "json" => Some((version, false, object)),
        _ if what.starts_with("checkpoint.") && what.ends_with("parquet") => Some((version, true, object)),
        _ => None,
    }
}

async fn files(store: &dyn ObjectStore, snapshot: &EagerSnapshot) -> Result<Vec<PinnedObject>, Error> {
    let listed: Vec<ObjectMeta> = store.list(None).try_collect().await?;
    let there: HashMap<&str, &ObjectMeta> = listed.iter().map(|object| (object.location.as_ref(), object)).collect();
    let files = snapshot.log_data();
    let file = |path: String, bytes: i64| match there.get(path.as_str()) {
        Some(found) => pinned(found, Need::Rows),
        None => PinnedObject { path, bytes: u64::try_from(bytes).unwrap_or(0), modified: None, need: Need::Rows },
    };
    Ok(files.iter().map(|one| file(one.object_store_path().to_string(), one.size())).collect())
}

fn pinned(object: &ObjectMeta, need: Need) -> PinnedObject {
    let modified = Some(object.last_modified.timestamp_millis());
    PinnedObject { path: object.location.to_string(), bytes: object.size, modified, need }
}

const LOG: &str = "_delta_log";
const VERSION_DIGITS: usize = 20;
/// A hundred thousand devices; of more, a start with a copy reads all files once.
const SAVED_BYTES_MAX: u64 = 64 << 20;
