//! Links by which somebody sees one device without signing in, until they end.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::Within;
use super::devices::visible_device;
use crate::bounds::{SHARE_MS, SHARE_MS_MAX, SHARE_PAGE_MAX, SHARE_PAST_MS_MAX, SHARES_MAX};
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

/// Some links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharePage {
    /// The latest first.
    pub shares: Vec<Share>,
    /// What gets the next page, if there is one.
    pub next: Option<String>,
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

    /// A page of the links that hold to devices that are visible, the latest first; `after` is [`SharePage::next`] of the page before.
    /// For managers.
    pub async fn all_shares(&self, after: Option<&str>, limit: u32) -> Result<SharePage, Error> {
        self.scoped.access().needs(Role::Manager)?;
        let limit = limit.clamp(1, SHARE_PAGE_MAX);
        let now = self.scoped.catalog().clock.now();
        let some = self.scoped.sql("SELECT ").push(COLUMNS).push(" FROM shares WHERE tenant = $1 AND expires > ");
        let some = some.push_bind(now).push(" AND device IN (SELECT id FROM devices WHERE tenant = $1");
        let mut some = self.scoped.visible(some).push(")");
        if let Some(after) = after {
            let (created, id) = place_of(after)?;
            some = some.push(" AND (created < ").push_bind(created).push(" OR (created = ").push_bind(created);
            some = some.push(" AND id > ").push_bind(id).push("))");
        }
        // One more, to know whether there are more.
        let some = some.push(" ORDER BY created DESC, id LIMIT ").push_bind(i64::from(limit) + 1);
        let shares: Result<Vec<_>, Error> = self.scoped.rows(some).await?.iter().map(Share::from_row).collect();
        let (mut shares, limit) = (shares?, limit as usize);
        let more = shares.len() > limit;
        shares.truncate(limit);
        let next = shares.last().filter(|_| more).map(|last| format!("{}.{}", last.created, last.id));
        Ok(SharePage { shares, next })
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

/// The place of a link among all, as a page before gave it.
fn place_of(text: &str) -> Result<(UnixMillis, String), Error> {
    let place = text.split_once('.').and_then(|(created, id)| Some((created.parse().ok()?, id.to_owned())));
    place.ok_or_else(|| Error::invalid("cursor", "is not what the page before gave as the next one"))
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
