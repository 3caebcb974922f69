//! What a running server holds of all devices: read at its start, and followed from then on, whoever changes something.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::any::AnyRow;
use tokio::sync::watch;

use crate::devices::DeviceState;
use crate::sql::{Columns as _, Sql};
use crate::{Catalog, Error, UnixMillis};

/// How often the database is asked whether another process changed something.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// Devices that are read at once.
const ROWS: i64 = 2_000;

/// What ingest and live state need of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceBinding {
    /// Its tenant.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// All its ids, that one first.
    pub ids: Vec<String>,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// The protocol that it speaks, if that is known.
    pub protocol: String,
    /// Settings of the protocol.
    pub settings: BTreeMap<String, String>,
    /// What was decided about it.
    pub state: DeviceState,
}

/// What became of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceUpdate {
    /// It is new or different, or may be.
    Is(DeviceBinding),
    /// It is no more, under any of these ids, the first of which was its id.
    Removed {
        /// Its tenant.
        tenant: String,
        /// All its ids.
        ids: Vec<String>,
    },
    /// The tenant is no more, with all its devices.
    TenantRemoved {
        /// The tenant.
        tenant: String,
    },
}

/// Follows what changes about devices.
pub struct Changes {
    catalog: Catalog,
    here: watch::Receiver<u64>,
    /// Up to which revision each tenant was read.
    seen: BTreeMap<String, Reached>,
}

/// Up to which number something of a tenant was read, and when that tenant was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reached {
    made: UnixMillis,
    pub(crate) number: i64,
}

impl Reached {
    pub(crate) fn from_row(row: &AnyRow, number: &'static str) -> Result<Self, Error> {
        Ok(Self { made: row.number("created")?, number: row.number(number)? })
    }

    /// Up to which number of what there is now it was read; `None`: that is another tenant, which was made after the one of this name
    /// was deleted, and nothing of it was read. Where the clock cannot tell the two apart, a number that became less does.
    pub(crate) fn of(self, now: Self) -> Option<i64> {
        (self.made == now.made && self.number <= now.number).then_some(self.number)
    }
}

impl Catalog {
    /// All devices of all tenants, by tenant and id. Whoever wants to go on from there asks for [`Catalog::changes`] before.
    pub async fn bindings(&self, mut each: impl FnMut(DeviceBinding)) -> Result<(), Error> {
        let mut after = (String::new(), String::new());
        loop {
            let some = Sql::new(BINDINGS).push(" WHERE (tenant, id) > ($1, $2) ORDER BY tenant, id LIMIT $3");
            let some = some.bind(after.0).bind(after.1).bind(ROWS);
            let rows = some.rows(self.inner().database.reader()).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.text("tenant")?, last.text("id")?);
            for row in &rows {
                each(DeviceBinding::from_row(row)?);
            }
        }
    }

    /// Gives tenant and id of all devices that were deleted and are not there again. One that has not come into the catalog yet is none
    /// of them.
    pub async fn removed(&self, mut each: impl FnMut(String, String)) -> Result<(), Error> {
        let mut after = (String::new(), String::new());
        loop {
            let (tenant, id) = after;
            let rows = Sql::new(REMOVED).bind(tenant).bind(id).bind(ROWS).rows(self.inner().database.reader()).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.text("tenant")?, last.text("id")?);
            for row in &rows {
                each(row.text("tenant")?, row.text("id")?);
            }
        }
    }

    /// Follows what changes from now on.
    pub async fn changes(&self) -> Result<Changes, Error> {
        let here = self.inner().watch_changes();
        Ok(Changes { catalog: self.clone(), here, seen: self.revisions().await? })
    }

    async fn revisions(&self) -> Result<BTreeMap<String, Reached>, Error> {
        let all = Sql::new("SELECT tenant, changed, created FROM revisions JOIN tenants ON tenants.id = tenant");
        let all = all.rows(self.inner().database.reader()).await?;
        all.iter().map(|row| Ok((row.text("tenant")?, Reached::from_row(row, "changed")?))).collect()
    }
}

impl Changes {
    /// Waits until something has changed, and tells what. Some of it may be told again. After an error nothing is lost: ask
    /// again.
    pub async fn next(&mut self, mut each: impl FnMut(DeviceUpdate)) -> Result<(), Error> {
        loop {
            // Before it is read: what is changed while we read wakes us again.
            self.here.borrow_and_update();
            let now = self.catalog.revisions().await?;
            let mut any = false;
            let gone: BTreeSet<String> =
                self.seen.keys().filter(|tenant| !now.contains_key(*tenant)).cloned().collect();
            for tenant in gone {
                self.seen.remove(&tenant);
                each(DeviceUpdate::TenantRemoved { tenant });
                any = true;
            }
            for (tenant, now) in now {
                let seen = self.seen.get(&tenant).map(|seen| seen.of(now));
                if seen == Some(None) {
                    each(DeviceUpdate::TenantRemoved { tenant: tenant.clone() });
                    any = true;
                }
                let seen = seen.flatten().unwrap_or_default();
                if now.number > seen {
                    self.tell(&tenant, seen, &mut each).await?;
                    any = true;
                }
                self.seen.insert(tenant, now);
            }
            if any {
                return Ok(());
            }
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        // The command line opens the same file, so that nobody has the catalog to himself.
        let _ = tokio::time::timeout(ASK_EVERY, self.here.changed()).await;
    }

    /// What has changed in a tenant since a revision. A device that is there was removed before, if ever.
    async fn tell(&self, tenant: &str, since: i64, each: &mut impl FnMut(DeviceUpdate)) -> Result<(), Error> {
        let reader = self.catalog.inner().database.reader();
        let mut after = String::new();
        loop {
            let removed = Sql::new(
                "SELECT id, ids FROM devices_removed WHERE tenant = $1 AND revision > $2 AND id > $3 ORDER BY id LIMIT $4",
            );
            let rows = removed.bind(tenant.to_owned()).bind(since).bind(after).bind(ROWS).rows(reader).await?;
            let Some(last) = rows.last() else { break };
            after = last.text("id")?;
            for row in &rows {
                each(DeviceUpdate::Removed { tenant: tenant.to_owned(), ids: row.parsed("ids")? });
            }
        }
        let mut after = (since, None::<String>);
        loop {
            let some = Sql::new(BINDINGS)
                .push(" WHERE tenant = $1 AND (revision, id) > ($2, $3) ORDER BY revision, id LIMIT $4");
            let (revision, id) = after;
            // Of the revision that was read already, nothing is left.
            let (revision, id) = id.map_or_else(|| (revision + 1, String::new()), |id| (revision, id));
            let rows = some.bind(tenant.to_owned()).bind(revision).bind(id).bind(ROWS).rows(reader).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.number("revision")?, Some(last.text("id")?));
            for row in &rows {
                each(DeviceUpdate::Is(DeviceBinding::from_row(row)?));
            }
        }
    }
}

impl DeviceBinding {
    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            tenant: row.text("tenant")?,
            id: row.text("id")?,
            ids: row.parsed("ids")?,
            name: row.text("name")?,
            group: row.text_or_none("device_group")?,
            protocol: row.text("protocol")?,
            settings: row.parsed("settings")?,
            state: row.named("state", DeviceState::from_name)?,
        })
    }
}

const REMOVED: &str = "SELECT tenant, id FROM devices_removed WHERE (tenant, id) > ($1, $2) AND NOT EXISTS \
    (SELECT 1 FROM devices WHERE devices.tenant = devices_removed.tenant AND devices.id = devices_removed.id) \
    ORDER BY tenant, id LIMIT $3";

const BINDINGS: &str = "SELECT tenant, id, ids, name, device_group, protocol, settings, state, revision FROM devices";
