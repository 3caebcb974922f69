//! How much tenants used, day by day, as the servers that count it say; and how that stands to what they may have.
//!
//! What a server says of a day is all that it counted of it so far, so saying it twice, or late, changes nothing. Nobody
//! waits for it: a server keeps its counts itself until they are here.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use crate::scoped::Scoped;
use crate::sql::{Columns as _, Sql};
use crate::{Catalog, Error, Quotas, Role, Standings, Tenants, UsageDay, Within};

/// Days that one statement writes.
const ROWS: usize = 100;

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

impl Catalog {
    /// Keeps what servers counted, and gives those of them that cannot be kept, because there is no such tenant (yet).
    pub async fn keep_usage(&self, rows: &[UsageOfNode]) -> Result<Vec<UsageOfNode>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
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
        transaction.commit().await
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
