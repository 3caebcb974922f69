//! Tenants: whoever shares nothing with others but this server. Managing them takes the right to; each sees itself.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::bounds::{self, TENANTS_MAX};
use crate::listeners;
use crate::scoped::{Change, Scoped, shown};
use crate::sql::{Columns as _, Sql};
use crate::transaction::Transaction;
use crate::{Error, Role, UnixMillis};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tenant {
    /// Its id, which its folders and tables are named after.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Since when it is there.
    pub created: UnixMillis,
    /// Since when nobody can sign in to it and none of its tokens holds.
    pub disabled: Option<UnixMillis>,
    /// How much it may have.
    #[serde(flatten)]
    pub quotas: Quotas,
}

/// How much a tenant may have. `None` is without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Quotas {
    /// Devices.
    pub devices_max: Option<i64>,
    /// Messages of its devices in a day.
    pub messages_per_day_max: Option<i64>,
    /// Bytes of its tables.
    pub storage_bytes_max: Option<i64>,
}

/// A tenant to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its id.
    pub id: String,
    /// Its name; the id, if that is empty.
    #[serde(default)]
    pub name: String,
    /// How much it may have.
    #[serde(default)]
    pub quotas: Quotas,
    /// Whether it has what was sent to a tenant of this id that was deleted. Where there is some, it is not made else.
    #[serde(default)]
    pub adopt: bool,
}

/// What becomes different of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantChange {
    /// Its name.
    pub name: Option<String>,
    /// How much it may have: all three are replaced.
    pub quotas: Option<Quotas>,
    /// Whether it is disabled.
    pub disabled: Option<bool>,
}

/// The tenants, as somebody may see and manage them.
#[derive(Clone, Copy)]
pub struct Tenants<'c> {
    scoped: Scoped<'c>,
}

const KIND: &str = "tenant";
const COLUMNS: &str = "id, name, created, disabled, devices_max, messages_per_day_max, storage_bytes_max";

impl<'c> Tenants<'c> {
    pub(crate) const fn new(scoped: Scoped<'c>) -> Self {
        Self { scoped }
    }

    pub(crate) const fn scoped(&self) -> &Scoped<'c> {
        &self.scoped
    }

    /// All tenants that are visible, by id: one's own, or all.
    pub async fn list(&self) -> Result<Vec<Tenant>, Error> {
        let mut all = Sql::new("SELECT ").push(COLUMNS).push(" FROM tenants");
        if !self.scoped.access().system {
            all = all.push(" WHERE id = ").push_bind(self.scoped.tenant().to_owned());
        }
        let rows = all.push(" ORDER BY id").rows(self.scoped.catalog().database.reader()).await?;
        rows.iter().map(Tenant::from_row).collect()
    }

    /// One of them.
    pub async fn get(&self, id: &str) -> Result<Tenant, Error> {
        self.is_visible(id)?;
        let row = one(id).row(self.scoped.catalog().database.reader()).await?;
        Tenant::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// Makes one.
    pub async fn create(&self, new: NewTenant) -> Result<Tenant, Error> {
        self.scoped.access().needs_system()?;
        bounds::id("id", &new.id)?;
        bounds::folder("id", &new.id)?;
        let catalog = self.scoped.catalog();
        catalog.refuse_kept_out_tenant(&new.id)?;
        let is_known = one(&new.id).row(catalog.database.reader()).await?.is_some();
        // Before anything is written, because whoever has history may take its time.
        if !new.adopt && !is_known {
            catalog.refuse_history_of(&new.id).await?;
        }
        let name = if new.name.is_empty() { new.id.clone() } else { new.name };
        let mut change = self.change().await?;
        let now = change.now();
        if !add_tenant(change.across_tenants(), &new.id, now).await? {
            return Err(Error::conflict(format!("the tenant {} exists already", new.id)));
        }
        let filled = TenantChange { name: Some(name), quotas: Some(new.quotas), disabled: None };
        let tenant = filled.apply(&mut change, &new.id).await?.1;
        change.audit("tenant.create", (KIND, &tenant.id), None, Some(shown(&tenant))).await?;
        change.commit().await?;
        Ok(tenant)
    }

    /// Changes one.
    pub async fn update(&self, id: &str, to: TenantChange) -> Result<Tenant, Error> {
        self.is_visible(id)?;
        let mut change = self.change().await?;
        if to.disabled == Some(true) {
            self.refuse_to_lock_out(&mut change, id).await?;
        }
        let (was, tenant) = to.apply(&mut change, id).await?;
        change.audit("tenant.update", (KIND, id), Some(shown(&was)), Some(shown(&tenant))).await?;
        change.commit().await?;
        Ok(tenant)
    }

    /// Refuses to disable the tenant of whoever asks, or that of all who could enable it again.
    async fn refuse_to_lock_out(&self, change: &mut Change<'_>, id: &str) -> Result<(), Error> {
        if id == self.scoped.access().home() {
            return Err(Error::conflict("you are in this tenant, and would lock yourself out"));
        }
        let rows = Sql::new(WHERE_MANAGERS_ARE).rows(&mut **change.across_tenants()).await?;
        let homes: Result<Vec<String>, Error> = rows.iter().map(|row| row.text("tenant")).collect();
        if homes? == [id] {
            return Err(Error::conflict(format!(
                "nobody could manage tenants any more: all users who may and can sign in are in the tenant {id}. Give somebody in \
                 another tenant the right first"
            )));
        }
        Ok(())
    }

    /// Deletes one that has no devices any more, with all else that the catalog has of it. It must have been disabled before, so that
    /// this is no slip.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        self.is_visible(id)?;
        let mut change = self.change().await?;
        hold(&mut change, id).await?;
        let was = known(&mut change, id).await?;
        if was.disabled.is_none() {
            return Err(Error::conflict(format!("the tenant {id} is in use: disable it first")));
        }
        let devices = self.devices_left(&mut change, id).await?;
        if devices > 0 {
            return Err(Error::conflict(format!(
                "the tenant {id} has {devices} devices: delete them first, or erase it with all that they sent \
                 (`odograph tenant erase {id}`)"
            )));
        }
        remove(change, &was).await
    }

    /// Deletes one with all that the catalog has of it, its devices as well: whoever calls this erases what they sent.
    pub async fn erase(&self, id: &str) -> Result<(), Error> {
        self.is_visible(id)?;
        let mut change = self.change().await?;
        hold(&mut change, id).await?;
        let was = known(&mut change, id).await?;
        listeners::forget_tenant(&mut change, id).await?;
        remove(change, &was).await
    }

    /// How many devices it has that nobody is erasing: those that are being erased go by themselves.
    async fn devices_left(&self, change: &mut Change<'_>, id: &str) -> Result<i64, Error> {
        let mut count = Sql::new("SELECT count(*) AS count FROM devices WHERE tenant = $1").bind(id.to_owned());
        for going in self.scoped.catalog().kept_out_now().into_iter().filter(|going| going.tenant == id) {
            let Some(ids) = going.ids else { return Ok(0) };
            for device in ids {
                count = count.push(" AND id <> ").push_bind(device);
            }
        }
        count.row(&mut **change.across_tenants()).await?.map_or(Ok(0), |row| row.number("count"))
    }

    /// What is done to tenants stands in the audit log of the tenant of who does it.
    async fn change(&self) -> Result<Change<'c>, Error> {
        self.scoped.access().needs_system()?;
        self.scoped.change(Role::Owner).await
    }

    fn is_visible(&self, id: &str) -> Result<(), Error> {
        let visible = self.scoped.access().system || id == self.scoped.tenant();
        if visible { Ok(()) } else { Err(Error::not_found(KIND, id)) }
    }
}

impl TenantChange {
    /// The tenant as it was, and as it is now.
    async fn apply(self, change: &mut Change<'_>, id: &str) -> Result<(Tenant, Tenant), Error> {
        let was = known(change, id).await?;
        let mut tenant = was.clone();
        if let Some(name) = self.name {
            bounds::name("name", &name)?;
            tenant.name = name;
        }
        if let Some(quotas) = self.quotas {
            quotas.check()?;
            tenant.quotas = quotas;
        }
        match self.disabled {
            Some(true) => tenant.disabled = tenant.disabled.or(Some(change.now())),
            Some(false) => tenant.disabled = None,
            None => {}
        }
        let update = Sql::new(
            "UPDATE tenants SET name = $2, disabled = $3, devices_max = $4, messages_per_day_max = $5, \
             storage_bytes_max = $6 WHERE id = $1",
        );
        let update = update.bind(id.to_owned()).bind(tenant.name.clone()).bind(tenant.disabled);
        let quotas = tenant.quotas;
        let update = update.bind(quotas.devices_max).bind(quotas.messages_per_day_max).bind(quotas.storage_bytes_max);
        update.execute(&mut **change.across_tenants()).await?;
        Ok((was, tenant))
    }
}

impl Quotas {
    fn check(&self) -> Result<(), Error> {
        bounds::amount("devices_max", self.devices_max)?;
        bounds::amount("messages_per_day_max", self.messages_per_day_max)?;
        bounds::amount("storage_bytes_max", self.storage_bytes_max)
    }
}

impl Tenant {
    pub(crate) fn from_row(row: &AnyRow) -> Result<Self, Error> {
        let quotas = Quotas {
            devices_max: row.number_or_none("devices_max")?,
            messages_per_day_max: row.number_or_none("messages_per_day_max")?,
            storage_bytes_max: row.number_or_none("storage_bytes_max")?,
        };
        let (id, name) = (row.text("id")?, row.text("name")?);
        Ok(Self { id, name, created: row.number("created")?, disabled: row.number_or_none("disabled")?, quotas })
    }
}

/// The tenants of users who can sign in and may manage tenants: two of them, where there are more.
const WHERE_MANAGERS_ARE: &str = "SELECT DISTINCT u.tenant AS tenant FROM users u JOIN tenants t ON t.id = u.tenant \
    WHERE u.system = 1 AND u.password IS NOT NULL AND u.disabled IS NULL AND t.disabled IS NULL LIMIT 2";

/// Has whoever changes something of the tenant wait, as all of them begin with this row: from here on nobody adds a device.
async fn hold(change: &mut Change<'_>, id: &str) -> Result<(), Error> {
    let held = Sql::new("UPDATE revisions SET audited = audited WHERE tenant = $1").bind(id.to_owned());
    held.execute(&mut **change.across_tenants()).await.map(drop)
}

/// A tenant as it is while a change is made.
async fn known(change: &mut Change<'_>, id: &str) -> Result<Tenant, Error> {
    let row = one(id).row(&mut **change.across_tenants()).await?;
    Tenant::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)
}

/// Takes a tenant away, with all that belongs to it.
async fn remove(mut change: Change<'_>, was: &Tenant) -> Result<(), Error> {
    let delete = Sql::new("DELETE FROM tenants WHERE id = $1").bind(was.id.clone());
    delete.execute(&mut **change.across_tenants()).await?;
    change.audit("tenant.delete", (KIND, &was.id), Some(shown(was)), None).await?;
    change.commit().await
}

/// One tenant's row.
pub(crate) fn one(id: &str) -> Sql {
    Sql::new("SELECT ").push(COLUMNS).push(" FROM tenants WHERE id = $1").bind(id.to_owned())
}

/// Adds a tenant, unless it is there. Says whether it did.
pub(crate) async fn add_tenant(transaction: &mut Transaction, id: &str, now: UnixMillis) -> Result<bool, Error> {
    let count = Sql::new("SELECT count(*) AS count FROM tenants").row(&mut **transaction).await?;
    let used = count.map_or(Ok(0), |row| row.number("count"))?;
    if used >= TENANTS_MAX {
        return Err(Error::Quota { of: "tenants", limit: TENANTS_MAX, used });
    }
    let insert = Sql::new("INSERT INTO tenants (id, name, created) VALUES ($1, $1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(id.to_owned());
    if insert.bind(now).execute(&mut **transaction).await? == 0 {
        return Ok(false);
    }
    let counts = Sql::new("INSERT INTO revisions (tenant, changed, audited) VALUES ($1, 0, 0)").bind(id.to_owned());
    counts.execute(&mut **transaction).await?;
    Ok(true)
}
