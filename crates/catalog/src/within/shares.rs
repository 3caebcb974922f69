//! Links by which somebody sees one device without signing in, until they end.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::Within;
use super::devices::visible_device;
use crate::bounds::{SHARE_MS, SHARE_MS_MAX, SHARE_PAST_MS_MAX, SHARES_MAX};
use crate::scoped::shown;
use crate::secret::{self, new_id};
use crate::sql::Columns as _;
use crate::{Error, Role, Secret, UnixMillis};

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Share {
    /// Its id, which is no secret.
    pub id: String,
    /// The device that it shows.
    pub device: String,
    /// From when on it shows where the device was.
    pub since: UnixMillis,
    /// Since when it is there.
    pub created: UnixMillis,
    /// Who made it: a login, the name of a token, or `owner` of the data folder.
    pub created_by: String,
    /// Until when it holds.
    pub expires: UnixMillis,
}

/// A link to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewShare {
    /// From when on it shows where the device was, at most 30 days ago; from now on, if it is not said.
    pub since: Option<UnixMillis>,
    /// Until when it holds, at most 30 days; for 24 hours, if it is not said.
    pub expires: Option<UnixMillis>,
}

const KIND: &str = "share";
const COLUMNS: &str = "id, device, since, created, created_by, expires";

impl Within<'_> {
    /// The links of a device that hold, the latest first. For managers.
    pub async fn shares(&self, device: &str) -> Result<Vec<Share>, Error> {
        self.scoped.access().needs(Role::Manager)?;
        let device = self.device(device).await?.id;
        let now = self.scoped.catalog().clock.now();
        let all = self.scoped.sql("SELECT ").push(COLUMNS).push(" FROM shares WHERE tenant = $1 AND device = $2");
        let all = all.bind(device).push(" AND expires > ").push_bind(now).push(" ORDER BY created DESC, id");
        self.scoped.rows(all).await?.iter().map(Share::from_row).collect()
    }

    /// Makes a link, whose secret is given back and nowhere else to be had. For managers.
    pub async fn create_share(&self, device: &str, new: NewShare) -> Result<(Share, Secret), Error> {
        self.scoped.access().needs(Role::Manager)?;
        let mut change = self.scoped.change(Role::Manager).await?;
        let (device, now) = (visible_device(&mut change, device).await?.id, change.now());
        let (since, expires) = new.checked(now)?;
        // Nobody misses what has ended: the audit log has it.
        let ended = change.sql("DELETE FROM shares WHERE tenant = $1 AND expires <= $2");
        change.execute(ended.bind(now)).await?;
        let count = change.sql("SELECT count(*) AS count FROM shares WHERE tenant = $1");
        let used = change.row(count).await?.map_or(Ok(0), |row| row.number("count"))?;
        if used >= SHARES_MAX {
            return Err(Error::Quota { of: "links to devices", limit: SHARES_MAX, used });
        }
        let rng = &*self.scoped.catalog().rng;
        let (id, secret) = (new_id(rng), Secret::short(secret::LINK, rng));
        let created_by = self.scoped.access().actor.name();
        let share = Share { id, device, since, created: now, created_by, expires };
        let insert = change.sql(
            "INSERT INTO shares (tenant, hash, id, device, since, created, created_by, expires) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let insert = insert.bind(secret.hash()).bind(share.id.clone()).bind(share.device.clone()).bind(since).bind(now);
        change.execute(insert.bind(share.created_by.clone()).bind(expires)).await?;
        change.audit("share.create", (KIND, &share.id), None, Some(shown(&share))).await?;
        change.commit().await?;
        Ok((share, secret))
    }

    /// Takes a link back: from now on it shows nothing. For managers.
    pub async fn revoke_share(&self, device: &str, id: &str) -> Result<(), Error> {
        self.scoped.access().needs(Role::Manager)?;
        let mut change = self.scoped.change(Role::Manager).await?;
        let device = visible_device(&mut change, device).await?.id;
        let one = change.sql("SELECT ").push(COLUMNS);
        let one = one.push(" FROM shares WHERE tenant = $1 AND device = $2 AND id = $3");
        let row = change.row(one.bind(device).bind(id.to_owned())).await?;
        let was = Share::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)?;
        let delete = change.sql("DELETE FROM shares WHERE tenant = $1 AND id = $2");
        change.execute(delete.bind(id.to_owned())).await?;
        change.audit("share.revoke", (KIND, id), Some(shown(&was)), None).await?;
        change.commit().await
    }
}

impl NewShare {
    /// From when on, and until when.
    fn checked(&self, now: UnixMillis) -> Result<(UnixMillis, UnixMillis), Error> {
        let (since, expires) = (self.since.unwrap_or(now), self.expires.unwrap_or(now + SHARE_MS));
        if since > now {
            return Err(Error::invalid("since", "is in the future"));
        }
        if since < now - SHARE_PAST_MS_MAX {
            return Err(Error::invalid("since", "is more than 30 days ago"));
        }
        if expires <= now {
            return Err(Error::invalid("expires", "is in the past"));
        }
        if expires > now + SHARE_MS_MAX {
            return Err(Error::invalid("expires", "is more than 30 days from now"));
        }
        Ok((since, expires))
    }
}

impl Share {
    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            device: row.text("device")?,
            since: row.number("since")?,
            created: row.number("created")?,
            created_by: row.text("created_by")?,
            expires: row.number("expires")?,
        })
    }
}
