//! Erases all that a tenant has, without opening any of its tables: what a kill left half deleted cannot be opened.
//!
//! Before the first file goes, an object beside the tables says so, and whoever opens the lake from then on sees none of them. Files
//! with rows go first and the logs last, so that what is left always says of itself what it was; the object goes behind them.

use super::remove;
use crate::lake::folder_name;
use crate::place::{GOING, Place};
use crate::{Error, Lake};
use futures::TryStreamExt as _;
use object_store::path::Path as Location;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use std::collections::BTreeSet;

impl Place {
    /// The tenants that have tables.
    ///
    /// # Errors
    ///
    /// When the place cannot be read.
    pub fn tenants(&self) -> Result<BTreeSet<String>, Error> {
        let lake = Lake::start(self.clone())?;
        let tables = lake.ask(self.tables())?;
        Ok(tables.into_iter().map(|(tenant, _)| tenant).collect())
    }

    pub(super) async fn erase_tenant(&self, tenant: &str) -> Result<(), Error> {
        let (store, folder) = (self.store_of_all(), Location::from(folder_name(tenant)));
        let objects: Vec<ObjectMeta> = store.list(Some(&folder)).try_collect().await?;
        if objects.is_empty() {
            return Ok(());
        }
        let going = folder.join(GOING);
        store.put(&going, SAID.into()).await?;
        let found = objects.into_iter().map(|object| object.location).filter(|location| *location != going);
        let (log, data): (Vec<_>, Vec<_>) =
            found.partition(|location| location.parts().any(|part| part.as_ref() == LOG));
        for some in [data, log, vec![going]] {
            remove(&*store, some).await?;
        }
        Ok(())
    }
}

/// For whoever looks into the folder.
const SAID: &str = "All that is here is being erased by order.\n";
const LOG: &str = "_delta_log";
