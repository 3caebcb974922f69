//! What history has of a tenant that the catalog does not know, because it was deleted: whoever made a tenant of that id would have it.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::catalog::Inner;
use crate::{Catalog, Error};

/// Whoever knows whether history has tables of a tenant. An error: why nobody can tell.
pub(crate) type HasHistory = Arc<dyn Fn(&str) -> BoxFuture<'static, Result<bool, String>> + Send + Sync>;

impl Catalog {
    /// From now on, no tenant is made that history has tables of, unless whoever makes it says that it has them. Said once, by whoever
    /// opened the catalog.
    pub fn ask_history(&self, has: impl Fn(&str) -> BoxFuture<'static, Result<bool, String>> + Send + Sync + 'static) {
        let _ = self.inner().history.set(Arc::new(has));
    }
}

impl Inner {
    /// Refuses a tenant that history has tables of.
    pub(crate) async fn refuse_history_of(&self, tenant: &str) -> Result<(), Error> {
        let Some(has) = self.history.get() else { return Ok(()) };
        match has(tenant).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(Error::conflict(format!(
                "history has what was sent to a tenant {tenant} before: erase that first (`odograph tenant erase {tenant}`), choose another \
                 id, or say that the new tenant has it ({ADOPT})"
            ))),
            Err(why) => Err(Error::conflict(format!(
                "it cannot be told whether history has what was sent to a tenant {tenant} before: {why}. Try again later, or say that the \
                 new tenant has it if there is some ({ADOPT})"
            ))),
        }
    }
}

/// How that is said.
const ADOPT: &str = "`odograph tenant create --adopt`, `\"adopt\": true` in the API";
