//! Where backups are: a folder, or an object store with the same options as history's.

use crate::config::Config;
use crate::exit::{Failure, Status};
use anyhow::Result;
use odograph_backup::Target;
use odograph_env::{Clock, LocalDisk};
use odograph_lake::{DiskStore, Place, StoreConfig, check_store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where backups are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct At {
    /// A path, or an address.
    pub(crate) to: String,
    /// What an object store needs.
    options: BTreeMap<String, String>,
}

/// A place that is open.
pub(crate) struct OwnedTarget {
    pub(crate) target: Target,
    place: Place,
    folder: Option<PathBuf>,
    since: u64,
}

impl At {
    pub(crate) fn new(to: &str, config: &Config) -> Self {
        let options = config.backup.store_options.clone();
        // A server has a working folder of its own.
        let to = match to.contains("://") {
            true => to.to_owned(),
            false => std::path::absolute(to).map_or_else(|_| to.to_owned(), |path| path.display().to_string()),
        };
        Self { to, options }
    }

    /// What the command line says, or else the configuration.
    pub(crate) fn named(given: Option<&str>, option: &str, config: &Config) -> Result<Self> {
        match given.or(config.backup.to.as_ref().map(|place| place.0.as_str())) {
            Some(to) => {
                let at = Self::new(to, config);
                at.check().map_err(|what| Failure::new(Status::Config, what))?;
                Ok(at)
            }
            None => Err(Failure::new(Status::Usage, format!("where? {option} or backup.to says it")).into()),
        }
    }

    /// What is wrong with it, without asking anyone.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.store().map_or(Ok(()), |store| check_store(&store).map_err(|what| renamed(&what)))
    }

    fn store(&self) -> Option<StoreConfig> {
        let is_store = self.to.contains("://");
        is_store.then(|| StoreConfig { url: self.to.clone(), options: self.options.clone(), bytes_per_second: None })
    }

    /// Fails where a folder for backups and the data folder lie within each other: it would be gone with what it is a copy of.
    pub(crate) fn apart_from(&self, data: &Path) -> Result<()> {
        if self.to.contains("://") {
            return Ok(());
        }
        let (place, folder) = (real(Path::new(&self.to)), real(data));
        if place.starts_with(&folder) || folder.starts_with(&place) {
            let (to, data) = (&self.to, data.display());
            let what = format!(
                "{to} and the data folder {data} lie within each other: backups have to be elsewhere, best on another disk"
            );
            return Err(Failure::new(Status::Usage, what).into());
        }
        Ok(())
    }

    pub(crate) fn target(&self, clock: Arc<dyn Clock>) -> Result<OwnedTarget> {
        let (place, folder) = match self.store() {
            Some(store) => {
                let place = Place::remote(&store);
                (place.map_err(|error| Failure::new(Status::Config, renamed(&error.to_string())))?, None)
            }
            None => (Place::folder(Arc::new(LocalDisk), self.to.as_ref()), Some(PathBuf::from(&self.to))),
        };
        let (target, since) = (Target::new(place.objects(), self.to.clone(), clock), place.troubles());
        Ok(OwnedTarget { target, place, folder, since })
    }
}

impl OwnedTarget {
    /// An error as the object store's trouble, if that had any: it says what to do.
    pub(crate) fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        let is_of_target =
            error.chain().any(|cause| matches!(cause.downcast_ref(), Some(odograph_backup::Error::Target { .. })));
        match self.place.trouble_since(self.since).filter(|_| is_of_target) {
            Some(trouble) => Failure::new(Status::Unavailable, renamed(&trouble.to_string())).into(),
            None => error,
        }
    }

    /// Removes what was being written when somebody died. Nobody else may be writing.
    pub(crate) fn clean(&self) {
        if let Some(folder) = &self.folder
            && let Err(error) = DiskStore::new(Arc::new(LocalDisk), folder).clean()
        {
            tracing::warn!(folder = %folder.display(), %error, "what an earlier backup left half written stays");
        }
    }
}

/// Where a path leads, as far as it is there already.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let Some((above, real)) = there else { return path.to_owned() };
    path.strip_prefix(above).map_or_else(|_| real.clone(), |rest| real.join(rest))
}

/// The client was made for history, and names its keys.
fn renamed(text: &str) -> String {
    text.replace("lake.store_options", "backup.store_options").replace("lake.store", "backup.to")
}
