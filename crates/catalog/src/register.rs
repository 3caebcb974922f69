//! Devices that registered themselves, as the server hands them over: many at a time, beside the way of a reply.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::any::AnyRow;

use crate::bounds::REGISTERED_ID_BYTES_MAX;
use crate::devices::{Device, DeviceState};
use crate::scoped::Scoped;
use crate::sql::{Columns as _, Sql};
use crate::within::{DEVICE_COLUMNS, WRITE_ROWS, remove_device, write_devices, write_ids};
use crate::{Access, Catalog, Error, Quotas, UnixMillis};

/// Devices that one transaction registers: people who change something wait no longer than that takes.
const REGISTER_ROWS: usize = 2_000;

/// A device that registered itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The tenant of its listener.
    pub tenant: String,
    /// What it calls itself.
    pub id: String,
    /// What else it calls itself, where the configuration says so.
    pub aliases: Vec<String>,
    /// What it speaks.
    pub protocol: String,
    /// What its listener does with devices that nobody knows.
    pub state: DeviceState,
    /// When it came.
    pub at: UnixMillis,
}

/// What came of devices that registered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registration {
    /// Those that are new.
    pub added: usize,
    /// Those that are known already: nothing of them was changed.
    pub known: usize,
    /// The tenant and id of those that cannot be kept, because an id or a tenant is none.
    pub refused: Vec<(String, String)>,
}

/// What a tenant may have, and how many devices it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantLimits {
    /// Its id.
    pub tenant: String,
    /// Whether it is disabled.
    pub disabled: bool,
    /// What it may have.
    pub quotas: Quotas,
    /// How many devices it has.
    pub devices: i64,
}

impl Catalog {
    /// Keeps devices that registered themselves. One whose id is known stays as it is, whatever people made of it. Tenants
    /// that are missing are made: the configuration names them. Quotas do not count: the caller knows [`Catalog::limits`].
    pub async fn register(&self, devices: &[Registered]) -> Result<Registration, Error> {
        let mut done = Registration::default();
        let mut by_tenant: BTreeMap<&str, Vec<&Registered>> = BTreeMap::new();
        for device in devices {
            let is_id = (1..=REGISTERED_ID_BYTES_MAX).contains(&device.id.len()) && !device.id.contains('\0');
            if is_id && crate::bounds::id("tenant", &device.tenant).is_ok() {
                by_tenant.entry(&device.tenant).or_default().push(device);
            } else {
                done.refused.push((device.tenant.clone(), device.id.clone()));
            }
        }
        for (tenant, devices) in by_tenant {
            match self.ensure_tenant(tenant).await {
                Err(Error::Invalid { .. }) => {
                    done.refused.extend(devices.iter().map(|device| (device.tenant.clone(), device.id.clone())));
                    continue;
                }
                ensured => drop(ensured?),
            }
            for some in devices.chunks(REGISTER_ROWS) {
                let added = self.register_in(tenant, some).await?;
                done.added += added;
                done.known += some.len() - added;
            }
        }
        Ok(done)
    }

    /// Keeps the devices that the configuration announces, and takes away those that it did before and does no more, unless a
    /// person has decided about them. Where other servers share the catalog nothing is taken away: what theirs announce is
    /// not known here.
    pub async fn configure(&self, devices: &[Registered]) -> Result<Registration, Error> {
        let done = self.register(devices).await?;
        if self.inner().database.is_shared() {
            return Ok(done);
        }
        let announced: HashSet<(&str, &str)> = devices.iter().map(|it| (it.tenant.as_str(), it.id.as_str())).collect();
        let state = DeviceState::Configured.name();
        let tenants =
            Sql::new("SELECT DISTINCT tenant FROM devices WHERE state = $1 ORDER BY tenant").bind(state.to_owned());
        for row in tenants.rows(self.inner().database.reader()).await? {
            let tenant = row.text("tenant")?;
            let access = Access::owner(&tenant);
            let mut change = Scoped::new(self.inner(), &access).change_of_own().await?;
            let question = change.sql("SELECT ").push(DEVICE_COLUMNS);
            let question = question.push(" FROM devices WHERE tenant = $1 AND state = $2").bind(state.to_owned());
            for row in change.rows(question.of_any_group()).await? {
                let device = Device::from_row(&row)?;
                if !announced.contains(&(tenant.as_str(), device.id.as_str())) {
                    remove_device(&mut change, &device).await?;
                }
            }
            change.commit_of_machine().await?;
        }
        Ok(done)
    }

    async fn register_in(&self, tenant: &str, devices: &[&Registered]) -> Result<usize, Error> {
        let access = Access::owner(tenant);
        let mut change = Scoped::new(self.inner(), &access).change_of_own().await?;
        let mut known = HashSet::new();
        for some in devices.chunks(WRITE_ROWS) {
            let question = change.sql("SELECT id FROM device_ids WHERE tenant = $1 AND id IN ");
            let ids = some.iter().flat_map(|device| std::iter::once(&device.id).chain(&device.aliases));
            for row in change.rows(question.push_list(ids)).await? {
                known.insert(row.text("id")?);
            }
        }
        let mut new = Vec::new();
        for device in devices {
            if known.insert(device.id.clone()) {
                let aliases = device.aliases.iter().filter(|alias| known.insert((*alias).clone())).cloned();
                let ids = std::iter::once(device.id.clone()).chain(aliases).collect();
                let blank = Device::blank(ids, device.state, device.at);
                new.push(Device { protocol: device.protocol.clone(), revision: change.revision(), ..blank });
            }
        }
        if !new.is_empty() {
            write_ids(&mut change, &new).await?;
            write_devices(&mut change, &new).await?;
            change.commit_of_machine().await?;
        }
        Ok(new.len())
    }

    /// What all tenants may have, and how many devices they have.
    pub async fn limits(&self) -> Result<Vec<TenantLimits>, Error> {
        let reader = self.inner().database.reader();
        let counts = Sql::new("SELECT tenant, count(*) AS count FROM devices GROUP BY tenant").rows(reader).await?;
        let counts: Result<HashMap<String, i64>, Error> =
            counts.iter().map(|row| Ok((row.text("tenant")?, row.number("count")?))).collect();
        let counts = counts?;
        let tenants = Sql::new(
            "SELECT id, disabled, devices_max, messages_per_day_max, storage_bytes_max FROM tenants ORDER BY id",
        );
        tenants.rows(reader).await?.iter().map(|row| TenantLimits::from_row(row, &counts)).collect()
    }
}

impl TenantLimits {
    fn from_row(row: &AnyRow, counts: &HashMap<String, i64>) -> Result<Self, Error> {
        let tenant = row.text("id")?;
        let devices = counts.get(&tenant).copied().unwrap_or_default();
        let quotas = Quotas {
            devices_max: row.number_or_none("devices_max")?,
            messages_per_day_max: row.number_or_none("messages_per_day_max")?,
            storage_bytes_max: row.number_or_none("storage_bytes_max")?,
        };
        Ok(Self { tenant, disabled: row.number_or_none("disabled")?.is_some(), quotas, devices })
    }
}
