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
    /// Where too many links were tried from this address, or this one is asked for too often.
    pub async fn shared(&self, secret: &str, peer: Option<IpAddr>) -> Result<Option<SharedDevice>, Error> {
        let (clock, too_many) = (&self.inner().clock, |retry_after| Error::TooOften { retry_after });
        self.inner().visits().admit(peer, clock.monotonic()).map_err(too_many)?;
        if secret.len() > SECRET_BYTES_MAX || !secret.starts_with(secret::LINK) {
            return Ok(None);
        }
        let hash = hash(secret);
        let found = Sql::new(BY_HASH).bind(hash.clone()).bind(clock.now());
        let Some(row) = found.row(self.inner().database.reader()).await? else { return Ok(None) };
        self.inner().visits().found(&hash, peer, clock.monotonic()).map_err(too_many)?;
        SharedDevice::from_row(&row).map(Some)
    }
}

impl SharedDevice {
    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            tenant: row.text("tenant")?,
            device: row.text("device")?,
            name: row.text("name")?,
            since: row.number("since")?,
            expires: row.number("expires")?,
        })
    }
}

const BY_HASH: &str = "SELECT s.tenant, s.device, s.since, s.expires, d.name FROM shares s \
    JOIN devices d ON d.tenant = s.tenant AND d.id = s.device JOIN tenants t ON t.id = s.tenant \
    WHERE s.hash = $1 AND s.expires > $2 AND t.disabled IS NULL AND d.state NOT IN ('quarantined', 'rejected')";
