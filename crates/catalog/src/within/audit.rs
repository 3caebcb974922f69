//! The audit log: who changed what, when, from where, and what it was before.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;

use super::Within;
use crate::bounds::{AUDIT_PAGE_MAX, PAGE_BYTES_MAX};
use crate::sql::Columns as _;
use crate::{Error, Role, UnixMillis};

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// Its number in the tenant: each is one more than the one before.
    pub seq: i64,
    /// When.
    pub time: UnixMillis,
    /// Who: `user`, `token`, `owner` of the data folder, or the `server` by itself.
    pub actor_kind: String,
    /// Its id.
    pub actor_id: String,
    /// The login, or the name of the token.
    pub actor_name: String,
    /// From which address.
    pub peer: Option<String>,
    /// What: `user.update`.
    pub action: String,
    /// The kind of thing that it was done to.
    pub kind: String,
    /// Its id.
    pub object: String,
    /// What of it was different before.
    pub was: Option<Value>,
    /// What of it is different since.
    pub became: Option<Value>,
}

/// Which entries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Those with a smaller number: the last one's, for the next page.
    pub before: Option<i64>,
    /// Of this kind of thing.
    pub kind: Option<String>,
    /// Of this one.
    pub object: Option<String>,
    /// By whoever has this id.
    pub actor_id: Option<String>,
    /// Since then.
    pub from: Option<UnixMillis>,
    /// Before then.
    pub to: Option<UnixMillis>,
    /// So many, at most 1,000; fewer come where they are large.
    pub limit: Option<u32>,
}

impl Within<'_> {
    /// Entries of the tenant's audit log, the latest first: [`AUDIT_PAGE_MAX`] at most, and where they are large, fewer than that or than is
    /// asked for. For owners.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, Error> {
        self.scoped.access().needs(Role::Owner)?;
        let mut some = self.scoped.sql(
            "SELECT seq, time, actor_kind, actor_id, actor_name, peer, action, kind, object, was, became FROM audit \
             WHERE tenant = $1",
        );
        let texts = [
            (" AND kind = ", &filter.kind),
            (" AND object = ", &filter.object),
            (" AND actor_id = ", &filter.actor_id),
        ];
        for (condition, text) in texts {
            if let Some(text) = text {
                some = some.push(condition).push_bind(text.clone());
            }
        }
        let numbers = [(" AND seq < ", filter.before), (" AND time >= ", filter.from), (" AND time < ", filter.to)];
        for (condition, number) in numbers {
            if let Some(number) = number {
                some = some.push(condition).push_bind(number);
            }
        }
        let limit = filter.limit.unwrap_or(AUDIT_PAGE_MAX).min(AUDIT_PAGE_MAX);
        let some = some.push(" ORDER BY seq DESC LIMIT ").push_bind(i64::from(limit));
        let (rows, _) = self.scoped.rows_within(some, PAGE_BYTES_MAX).await?;
        rows.iter().map(AuditEntry::from_row).collect()
    }
}

impl AuditEntry {
    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            seq: row.number("seq")?,
            time: row.number("time")?,
            actor_kind: row.text("actor_kind")?,
            actor_id: row.text("actor_id")?,
            actor_name: row.text("actor_name")?,
            peer: row.text_or_none("peer")?,
            action: row.text("action")?,
            kind: row.text("kind")?,
            object: row.text("object")?,
            was: row.parsed_or_none("was")?,
            became: row.parsed_or_none("became")?,
        })
    }
}
