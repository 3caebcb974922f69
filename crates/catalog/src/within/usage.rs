//! What the tenant used, day by day, and how that stands to what it may have.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::Within;
use crate::bounds::USAGE_DAYS_MAX;
use crate::sql::Columns as _;
use crate::{Error, Role};

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

impl Within<'_> {
    /// What the tenant used on the days from `from` and before `to`, in their order; a day on which nothing was counted is
    /// left out. For owners.
    pub async fn usage(&self, from: i64, to: i64) -> Result<Vec<UsageDay>, Error> {
        self.scoped.access().needs(Role::Owner)?;
        if to.saturating_sub(from) > USAGE_DAYS_MAX {
            return Err(Error::invalid("to", format!("is more than {USAGE_DAYS_MAX} days behind from")));
        }
        let sums = self.scoped.sql(
            "SELECT day, CAST(sum(messages) AS BIGINT) AS messages, CAST(sum(records) AS BIGINT) AS records, \
             CAST(sum(bytes_in) AS BIGINT) AS bytes_in, CAST(sum(bytes_out) AS BIGINT) AS bytes_out, \
             CAST(sum(devices) AS BIGINT) AS devices, CAST(max(storage_bytes) AS BIGINT) AS storage_bytes \
             FROM usage WHERE tenant = $1 AND day >= $2 AND day < $3 GROUP BY day ORDER BY day",
        );
        let rows = self.scoped.rows(sums.bind(from).bind(to)).await?;
        rows.iter().map(UsageDay::from_row).collect()
    }

    /// How the tenant stands to its quotas. For owners.
    pub async fn standings(&self) -> Result<Standings, Error> {
        self.scoped.access().needs(Role::Owner)?;
        let today = self.scoped.catalog().clock.now().div_euclid(DAY_MS);
        let days = self.usage(today, today + 1).await?;
        let count = self.scoped.sql("SELECT count(*) AS count FROM devices WHERE tenant = $1").of_any_group();
        let devices = self.scoped.row(count).await?.map_or(Ok(0), |row| row.number("count"))?;
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

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
