//! How much of the audit log is kept: entries go from the oldest on, in small steps, so that nobody who writes waits for it.

use crate::sql::{Columns as _, Sql};
use crate::{Catalog, Error, UnixMillis};

/// How much of each tenant's audit log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditKept {
    /// Entries of the last so many days.
    pub days: usize,
    /// And the latest so many, at most.
    pub entries_max: usize,
}

impl Default for AuditKept {
    fn default() -> Self {
        Self { days: AUDIT_DAYS, entries_max: AUDIT_ENTRIES_MAX }
    }
}

impl Catalog {
    /// One step of removing what is not kept: at most `STEP` entries of one tenant, the oldest. Says how many that were; nothing when
    /// all tenants were looked at. Begin with an empty `place`, and call it again with what it has made of it.
    ///
    /// # Errors
    ///
    /// When the database cannot be read or written.
    pub async fn trim_audit(&self, kept: AuditKept, place: &mut String) -> Result<Option<u64>, Error> {
        let next = Sql::new("SELECT tenant, audited FROM revisions WHERE tenant > $1 ORDER BY tenant LIMIT 1");
        let Some(row) = next.bind(place.clone()).row(self.inner().database.reader()).await? else { return Ok(None) };
        let (tenant, last) = (row.text("tenant")?, row.number("audited")?);
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let before = self.inner().clock.now().saturating_sub(number(kept.days).saturating_mul(DAY_MS));
        let removed = self.trim(&tenant, before, last.saturating_sub(number(kept.entries_max))).await?;
        if removed == 0 {
            *place = tenant;
        }
        Ok(Some(removed))
    }

    /// Removes the first entries of a tenant: those up to the number `upto`, and those before a moment that no later one stands before.
    async fn trim(&self, tenant: &str, before: UnixMillis, upto: i64) -> Result<u64, Error> {
        let first = Sql::new("SELECT seq, time FROM audit WHERE tenant = $1 ORDER BY seq LIMIT $2");
        let rows = first.bind(tenant.to_owned()).bind(STEP).rows(self.inner().database.reader()).await?;
        let mut last = None;
        for row in &rows {
            let (seq, time) = (row.number("seq")?, row.number("time")?);
            if time >= before && seq > upto {
                break;
            }
            last = Some(seq);
        }
        let Some(last) = last else { return Ok(0) };
        let delete = Sql::new("DELETE FROM audit WHERE tenant = $1 AND seq <= $2");
        let mut transaction = self.inner().database.begin().await?;
        let removed = delete.bind(tenant.to_owned()).bind(last).execute(&mut *transaction).await;
        let removed = removed.map_err(|error| transaction.noticed(error))?;
        transaction.commit().await?;
        Ok(removed.unsigned_abs())
    }
}

/// A year and a month: whoever looks into last year still finds it.
const AUDIT_DAYS: usize = 400;
/// Some hundred megabytes of each tenant that changes things all day.
const AUDIT_ENTRIES_MAX: usize = 1_000_000;
/// Entries that one step removes: it takes milliseconds, in which nobody else writes.
const STEP: i64 = 500;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
