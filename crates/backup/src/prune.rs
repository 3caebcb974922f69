//! Removes old backups, and what only they need.

use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as Location;
use odograph_env::Rng;
use serde::{Deserialize, Serialize};

use crate::lease::Lease;
use crate::manifest::Chunk;
use crate::send::pieces;
use crate::target::{MANIFESTS, OBJECTS};
use crate::{Error, Target};

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pruned {
    /// Backups that are left.
    pub kept: usize,
    /// Backups that went.
    pub backups: usize,
    /// Objects that nobody needed any more.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Target {
    /// Keeps the newest backups, so many. What earlier attempts sent and did not complete goes too.
    ///
    /// # Errors
    ///
    /// When somebody else works there, the place cannot be written, or a manifest that is to stay cannot be read: what that
    /// needs nobody knows, so nothing goes.
    pub async fn prune(&self, keep: usize, rng: &dyn Rng) -> Result<Pruned, Error> {
        let mut lease = Lease::take(self, "prune", None, rng).await?;
        let pruned = self.prune_with(keep, &mut lease).await;
        lease.release().await;
        pruned
    }

    async fn prune_with(&self, keep: usize, lease: &mut Lease) -> Result<Pruned, Error> {
        let names = self.names().await?;
        let (old, kept) = names.split_at(names.len().saturating_sub(keep));
        let mut manifests = Vec::new();
        for name in kept {
            manifests.push(self.manifest(name).await?);
        }
        let needed = pieces(&manifests);
        let mut pruned = Pruned { kept: kept.len(), ..Pruned::default() };
        // Manifests first: one without its objects would be half a backup.
        for name in old {
            lease.renew().await?;
            self.delete(&Location::from(format!("{MANIFESTS}/{name}"))).await?;
            pruned.backups += 1;
        }
        let folder = Location::from(OBJECTS);
        let objects: Vec<_> =
            self.store.list(Some(&folder)).try_collect().await.map_err(self.failed("list", OBJECTS))?;
        for object in objects {
            let chunk = object.location.filename().and_then(|name| Chunk::try_from(name.to_owned()).ok());
            if chunk.is_some_and(|chunk| !needed.contains(&chunk)) {
                lease.renew().await?;
                self.delete(&object.location).await?;
                pruned.objects += 1;
                pruned.bytes += object.size;
            }
        }
        Ok(pruned)
    }

    async fn delete(&self, location: &Location) -> Result<(), Error> {
        match self.store.delete(location).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            deleted => deleted.map_err(self.failed("delete", location)),
        }
    }
}
