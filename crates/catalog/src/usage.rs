//! How much tenants used, day by day, as the servers that count it say; and how that stands to what they may have.
//!
//! What a server says of a day is all that it counted of it so far, so saying it twice, or late, changes nothing. Nobody
//! waits for it: a server keeps its counts itself until they are here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::bounds::USAGE_DAYS_MAX;
use crate::scoped::Scoped;
use crate::sql::{Columns as _, Sql};
use crate::{Catalog, Error, Quotas, Role, Tenants, Within};

/// Days that one statement writes.
const ROWS: usize = 100;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What a server counted of a tenant's day so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageOfNode {
    /// The tenant.
    pub tenant: String,
    /// The day (UTC), since 1970.
    pub day: i64,
    /// The node that counted.
    pub node: u16,
    /// Messages of its devices that were taken in.
    pub messages: i64,
    /// Records that history kept of them.
    pub records: i64,
    /// Bytes from its devices.
    pub bytes_in: i64,
    /// Bytes to its devices.
    pub bytes_out: i64,
    /// Devices that sent a message.
    pub devices: i64,
    /// Bytes that its history takes, and its share of the journal, if that was looked at.
    pub storage_bytes: Option<i64>,
}

/// How much a tenant used in a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageDay {
    /// The day (UTC), since 1970.
    #[serde(skip)]
    pub day: i64,
    /// Messages of its devices that were taken in.
    pub messages: i64,
    /// Records that history kept of them.
    pub records: i64,
    /// Bytes from its devices.
    pub bytes_in: i64,
    /// Bytes to its devices.
    pub bytes_out: i64,
    /// Devices that sent a message. One that sent to several nodes in a day counts for each.
    pub devices: i64,
    /// Bytes that its history took at the end of the day, and its share of the journal; of today, so far. Not known where no
    /// server looked that day. Of several nodes over the same history it is that of the one with the most.
    pub storage_bytes: Option<i64>,
}

/// How a tenant stands to its quotas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Standings {
    /// Devices.
    pub devices: StandingOf,
    /// Messages of today (UTC).
    pub messages_per_day: StandingOf,
    /// Bytes of its history and its share of the journal.
    pub storage_bytes: StandingOf,
}

/// How a tenant stands to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StandingOf {
    /// How much it has.
    pub used: i64,
    /// How much it may have; without a limit, nothing.
    pub max: Option<i64>,
    /// What that means.
    pub state: UsageState,
}

/// How much is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UsageState {
    /// Enough, or there is no limit.
    Within,
    /// Less than a fifth.
    Near,
    /// Nothing: further devices are refused, or all of the tenant's until it changes.
    Reached,
}

impl StandingOf {
    fn new(used: i64, max: Option<i64>) -> Self {
        let state = match max {
            Some(max) if used >= max => UsageState::Reached,
            Some(max) if used >= max / 100 * NEAR_PERCENT + max % 100 * NEAR_PERCENT / 100 => UsageState::Near,
            _ => UsageState::Within,
        };
        Self { used, max, state }
    }
}

/// From so much of a quota on, it is near.
const NEAR_PERCENT: i64 = 80;

impl Catalog {
    /// Keeps what servers counted, and gives those of them that cannot be kept, because there is no such tenant (yet).
    pub async fn keep_usage(&self, rows: &[UsageOfNode]) -> Result<Vec<UsageOfNode>, Error> {
        let known = Sql::new("SELECT id FROM tenants").rows(self.inner().database.reader()).await?;
        let known: Result<std::collections::HashSet<String>, Error> = known.iter().map(|row| row.text("id")).collect();
        let known = known?;
        let (kept, strange): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|row| known.contains(&row.tenant));
        for some in kept.chunks(ROWS) {
            self.write_usage(some).await?;
        }
        Ok(strange)
    }

    async fn write_usage(&self, rows: &[UsageOfNode]) -> Result<(), Error> {
        let mut write = Sql::new(
            "INSERT INTO usage (tenant, day, node, messages, records, bytes_in, bytes_out, devices, storage_bytes) VALUES ",
        );
        for (index, row) in rows.iter().enumerate() {
            write = write.push(if index > 0 { ", (" } else { "(" }).push_bind(row.tenant.clone());
            let numbers = [row.day, i64::from(row.node), row.messages, row.records, row.bytes_in, row.bytes_out];
            for number in numbers.into_iter().chain([row.devices]) {
                write = write.push(", ").push_bind(number);
            }
            write = write.push(", ").push_bind(row.storage_bytes).push(")");
        }
        let mut transaction = self.inner().database.begin().await?;
        write.push(UPSERT).execute(&mut *transaction).await?;
        transaction.commit().await.map_err(Error::writing)
    }

    /// What all tenants may have, by id.
    pub async fn quotas(&self) -> Result<BTreeMap<String, Quotas>, Error> {
        let all = Sql::new("SELECT id, devices_max, messages_per_day_max, storage_bytes_max FROM tenants");
        let rows = all.rows(self.inner().database.reader()).await?;
        let quotas = |row: &AnyRow| {
            let quotas = Quotas {
                devices_max: row.number_or_none("devices_max")?,
                messages_per_day_max: row.number_or_none("messages_per_day_max")?,
                storage_bytes_max: row.number_or_none("storage_bytes_max")?,
            };
            Ok((row.text("id")?, quotas))
        };
        rows.iter().map(quotas).collect()
    }

    /// The sums over all nodes but this one of what they counted of a day, by tenant: messages, and bytes stored.
    pub async fn usage_elsewhere(&self, node: u16, day: i64) -> Result<BTreeMap<String, (i64, i64)>, Error> {
        let sums = Sql::new(
            "SELECT tenant, CAST(sum(messages) AS BIGINT) AS messages, \
             CAST(coalesce(max(storage_bytes), 0) AS BIGINT) AS storage_bytes FROM usage \
             WHERE day = $1 AND node <> $2 GROUP BY tenant",
        );
        let rows = sums.bind(day).bind(i64::from(node)).rows(self.inner().database.reader()).await?;
        let sum = |row: &AnyRow| Ok((row.text("tenant")?, (row.number("messages")?, row.number("storage_bytes")?)));
        rows.iter().map(sum).collect()
    }
}

/// Numbers only grow, whichever of two statements comes last.
const UPSERT: &str = " ON CONFLICT (tenant, day, node) DO UPDATE SET \
    messages = CASE WHEN excluded.messages > usage.messages THEN excluded.messages ELSE usage.messages END, \
    records = CASE WHEN excluded.records > usage.records THEN excluded.records ELSE usage.records END, \
    bytes_in = CASE WHEN excluded.bytes_in > usage.bytes_in THEN excluded.bytes_in ELSE usage.bytes_in END, \
    bytes_out = CASE WHEN excluded.bytes_out > usage.bytes_out THEN excluded.bytes_out ELSE usage.bytes_out END, \
    devices = CASE WHEN excluded.devices > usage.devices THEN excluded.devices ELSE usage.devices END, \
    storage_bytes = coalesce(excluded.storage_bytes, usage.storage_bytes)";

impl Within<'_> {
    /// What the tenant used on the days from `from` and before `to`, in their order; a day on which nothing was counted is
    /// left out. For owners.
    pub async fn usage(&self, from: i64, to: i64) -> Result<Vec<UsageDay>, Error> {
        self.scoped().access().needs(Role::Owner)?;
        usage(self.scoped(), from, to).await
    }

    /// How the tenant stands to its quotas. For owners.
    pub async fn standings(&self) -> Result<Standings, Error> {
        self.scoped().access().needs(Role::Owner)?;
        let today = self.scoped().catalog().clock.now().div_euclid(DAY_MS);
        let days = usage(self.scoped(), today, today + 1).await?;
        let count = self.scoped().sql("SELECT count(*) AS count FROM devices WHERE tenant = $1").of_any_group();
        let devices = self.scoped().row(count).await?.map_or(Ok(0), |row| row.number("count"))?;
        let quotas = self.tenant().await?.quotas;
        let messages = days.first().map_or(0, |day| day.messages);
        let storage_bytes = days.first().and_then(|day| day.storage_bytes).unwrap_or_default();
        Ok(Standings {
            devices: StandingOf::new(devices, quotas.devices_max),
            messages_per_day: StandingOf::new(messages, quotas.messages_per_day_max),
            storage_bytes: StandingOf::new(storage_bytes, quotas.storage_bytes_max),
        })
    }
}

impl Tenants<'_> {
    /// What a tenant used: one's own, for owners; any, for those who manage tenants.
    pub async fn usage_of(&self, id: &str, from: i64, to: i64) -> Result<(Vec<UsageDay>, Standings), Error> {
        // Whether there is such a tenant, and it is theirs to see.
        let tenant = self.get(id).await?;
        let mut access = self.scoped().access().clone();
        if access.scope.tenant != tenant.id {
            access.needs_system()?;
            access.scope = crate::Scope { tenant: tenant.id, groups: None };
            access.role = Role::Owner;
        }
        let within = Within::new(Scoped::new(self.scoped().catalog(), &access));
        Ok((within.usage(from, to).await?, within.standings().await?))
    }
}

async fn usage(scoped: &Scoped<'_>, from: i64, to: i64) -> Result<Vec<UsageDay>, Error> {
    if to.saturating_sub(from) > USAGE_DAYS_MAX {
        return Err(Error::invalid("to", format!("is more than {USAGE_DAYS_MAX} days behind from")));
    }
    let sums = scoped.sql(
        "SELECT day, CAST(sum(messages) AS BIGINT) AS messages, CAST(sum(records) AS BIGINT) AS records, \
         CAST(sum(bytes_in) AS BIGINT) AS bytes_in, CAST(sum(bytes_out) AS BIGINT) AS bytes_out, \
         CAST(sum(devices) AS BIGINT) AS devices, CAST(max(storage_bytes) AS BIGINT) AS storage_bytes \
         FROM usage WHERE tenant = $1 AND day >= $2 AND day < $3 GROUP BY day ORDER BY day",
    );
    let rows = scoped.rows(sums.bind(from).bind(to)).await?;
    rows.iter().map(UsageDay::from_row).collect()
}

impl UsageDay {
    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            day: row.number("day")?,
            messages: row.number("messages")?,
            records: row.number("records")?,
            bytes_in: row.number("bytes_in")?,
            bytes_out: row.number("bytes_out")?,
            devices: row.number("devices")?,
            storage_bytes: row.number_or_none("storage_bytes")?,
        })
    }
}
