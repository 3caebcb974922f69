//! From a link to the one device that it shows, for whoever has the link and nothing else.

use std::net::IpAddr;

use sqlx::any::AnyRow;

use crate::bounds::SECRET_BYTES_MAX;
use crate::secret::{self, hash};
use crate::sql::{Columns as _, Sql};
use crate::{Catalog, Error, UnixMillis};

/// What a link shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedDevice {
    /// The link's id, for the server alone.
    pub link: String,
    /// The tenant, for the server alone.
    pub tenant: String,
    /// The device's id, for the server alone.
    pub device: String,
    /// The device's name; empty, where it was given none.
    pub name: String,
    /// From when on it shows where the device was.
    pub since: UnixMillis,
    /// Until when it holds.
    pub expires: UnixMillis,
}

impl Catalog {
    /// What the link with this secret shows. Nothing, where it is unknown, was taken back or has ended, where the tenant is disabled, or
    /// where what the device sends is not to be shown.
    ///
    /// # Errors
    ///
    /// Where there is none and too many such were tried from this address, or where this one is asked for too often: whoever has
    /// a link is never refused for what others try.
    pub async fn shared(&self, secret: &str, peer: Option<IpAddr>) -> Result<Option<SharedDevice>, Error> {
        let found = self.still_shared(secret).await?;
        let now = self.inner().clock.monotonic();
        let counted = match &found {
            Some(found) => self.inner().visits().found(&found.link, now),
            None => self.inner().visits().wrong(peer, now),
        };
        counted.map_err(|retry_after| Error::TooOften { retry_after })?;
        Ok(found)
    }

    /// The same, for a link that was looked at just now: it is not counted.
    ///
    /// # Errors
    ///
    /// When the catalog cannot be reached.
    pub async fn still_shared(&self, secret: &str) -> Result<Option<SharedDevice>, Error> {
        if secret.len() > SECRET_BYTES_MAX || !secret.starts_with(secret::LINK) {
            return Ok(None);
        }
        let found = Sql::new(BY_HASH).bind(hash(secret)).bind(self.inner().clock.now());
        let row = found.row(self.inner().database.reader()).await?;
        row.as_ref().map(SharedDevice::from_row).transpose()
    }
}

impl SharedDevice {
    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            link: row.text("id")?,
            tenant: row.text("tenant")?,
            device: row.text("device")?,
            name: row.text("name")?,
            since: row.number("since")?,
            expires: row.number("expires")?,
        })
    }
}

const BY_HASH: &str = "SELECT s.id, s.tenant, s.device, s.since, s.expires, d.name FROM shares s \
    JOIN devices d ON d.tenant = s.tenant AND d.id = s.device JOIN tenants t ON t.id = s.tenant \
    WHERE s.hash = $1 AND s.expires > $2 AND t.disabled IS NULL AND d.state NOT IN ('quarantined', 'rejected')";
