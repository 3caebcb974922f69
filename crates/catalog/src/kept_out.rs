//! What may not be made anew for a while: as long as it is being erased, it would be erased with what was there before.

use std::sync::Arc;

use crate::catalog::Inner;
use crate::{Catalog, Error};

/// A device, or all of a tenant, that is being erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOut {
    /// Whose.
    pub tenant: String,
    /// All ids of the device; `None`: it is the tenant.
    pub ids: Option<Vec<String>>,
}

/// Whoever knows what is being erased now.
pub(crate) type KeptOutNow = Arc<dyn Fn() -> Vec<KeptOut> + Send + Sync>;

impl Catalog {
    /// From now on, nothing is made that `now` gives: asked before each tenant, and before each device or import of devices. Said
    /// once, by whoever opened it.
    pub fn keep_out(&self, now: impl Fn() -> Vec<KeptOut> + Send + Sync + 'static) {
        let _ = self.inner().kept_out.set(Arc::new(now));
    }
}

impl Inner {
    pub(crate) fn kept_out_now(&self) -> Vec<KeptOut> {
        self.kept_out.get().map(|now| now()).unwrap_or_default()
    }

    /// Refuses a tenant that is being erased.
    pub(crate) fn refuse_kept_out_tenant(&self, tenant: &str) -> Result<(), Error> {
        match self.kept_out_now().iter().any(|one| one.tenant == tenant && one.ids.is_none()) {
            true => Err(Error::conflict(format!("the tenant {tenant} {WHY}"))),
            false => Ok(()),
        }
    }
}

/// Refuses ids of a device that is being erased.
pub(crate) fn refuse<'i>(
    all: &[KeptOut],
    tenant: &str,
    ids: impl IntoIterator<Item = &'i String>,
) -> Result<(), Error> {
    let is_kept_out = |id: &&String| {
        let is = |one: &KeptOut| one.tenant == tenant && one.ids.as_ref().is_none_or(|ids| ids.contains(id));
        all.iter().any(is)
    };
    match ids.into_iter().find(is_kept_out) {
        Some(id) => Err(Error::conflict(format!("the device {id} {WHY}"))),
        None => Ok(()),
    }
}

const WHY: &str = "is being erased, and would be again if it were made now: try again when that is done";
