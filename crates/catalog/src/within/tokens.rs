//! Tokens: what programs ask with. They belong to the tenant, not to the user who made them.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::{Within, check_groups, know_groups};
use crate::bounds::{self, TOKENS_KEPT_MAX, TOKENS_KEPT_MS, TOKENS_MAX};
use crate::scoped::{Change, shown};
use crate::secret::{self, new_id};
use crate::sql::{Columns as _, json};
use crate::{Error, Needed, Role, Secret, UnixMillis};

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Token {
    /// Its id, which is no secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it may manage tenants and enter any of them.
    pub system: bool,
    /// The groups of devices that it sees, or all devices.
    pub groups: Option<Vec<String>>,
    /// Since when it is there.
    pub created: UnixMillis,
    /// Who made it: a login, the name of a token, or `owner` of the data folder.
    pub created_by: String,
    /// Until when it holds.
    pub expires: Option<UnixMillis>,
    /// When it was used last, to the minute.
    pub last_used: Option<UnixMillis>,
    /// Since when it does not hold any more.
    pub revoked: Option<UnixMillis>,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it may manage tenants.
    #[serde(default)]
    pub system: bool,
    /// The groups of devices that it sees.
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    /// Until when it holds.
    #[serde(default)]
    pub expires: Option<UnixMillis>,
}

impl Default for NewToken {
    fn default() -> Self {
        Self { name: String::new(), role: Role::Viewer, system: false, groups: None, expires: None }
    }
}

const KIND: &str = "token";
const COLUMNS: &str = "id, name, role, system, only_groups, created, created_by, expires, last_used, revoked";

impl Within<'_> {
    /// The tokens of the tenant, the latest first: those that hold, and those that ended lately. For owners.
    pub async fn tokens(&self) -> Result<Vec<Token>, Error> {
        self.scoped.access().needs(Role::Owner)?;
        let all = self.scoped.sql("SELECT ").push(COLUMNS).push(
            " FROM tokens WHERE tenant = $1 AND (revoked IS NULL OR revoked > $2) AND (expires IS NULL OR expires > $2) \
             ORDER BY created DESC, id",
        );
        let all = all.bind(self.scoped.catalog().clock.now().saturating_sub(TOKENS_KEPT_MS));
        self.scoped.rows(all).await?.iter().map(Token::from_row).collect()
    }

    /// One of them. For owners.
    pub async fn token(&self, id: &str) -> Result<Token, Error> {
        self.scoped.access().needs(Role::Owner)?;
        let one = self.scoped.sql("SELECT ").push(COLUMNS).push(" FROM tokens WHERE tenant = $1 AND id = $2");
        let row = self.scoped.row(one.bind(id.to_owned())).await?;
        Token::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// Makes a token, whose secret is given back and nowhere else to be had. For owners.
    pub async fn create_token(&self, new: NewToken) -> Result<(Token, Secret), Error> {
        let access = self.scoped.access();
        access.needs(Role::Owner)?;
        if new.system {
            access.needs_system()?;
        }
        bounds::name("name", &new.name)?;
        check_groups(new.groups.as_deref(), new.role)?;
        let mut change = self.scoped.change(Role::Owner).await?;
        know_groups(&mut change, new.groups.as_deref()).await?;
        forget_ended(&mut change).await?;
        let count = change.sql(
            "SELECT count(*) AS count FROM tokens WHERE tenant = $1 AND revoked IS NULL AND (expires IS NULL OR expires > $2)",
        );
        let count = count.bind(change.now());
        let used = change.row(count).await?.map_or(Ok(0), |row| row.number("count"))?;
        if used >= TOKENS_MAX {
            return Err(Error::Quota { of: "tokens", limit: TOKENS_MAX, used });
        }
        if new.expires.is_some_and(|expires| expires <= change.now()) {
            return Err(Error::invalid("expires", "is in the past"));
        }
        let created_by = access.actor.name();
        let rng = &*self.scoped.catalog().rng;
        let (id, secret) = (new_id(rng), Secret::new(secret::TOKEN, rng));
        let NewToken { name, role, system, groups, expires } = new;
        let created = change.now();
        let token =
            Token { id, name, role, system, groups, created, created_by, expires, last_used: None, revoked: None };
        let insert = change.sql(
            "INSERT INTO tokens (tenant, hash, id, name, role, system, only_groups, created, created_by, expires) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        );
        let insert = insert.bind(secret.hash()).bind(token.id.clone()).bind(token.name.clone());
        let insert = insert.bind(role.name().to_owned()).bind(i64::from(system)).bind(token.groups.as_ref().map(json));
        change.execute(insert.bind(created).bind(token.created_by.clone()).bind(expires)).await?;
        change.audit("token.create", (KIND, &token.id), None, Some(shown(&token))).await?;
        change.commit().await?;
        Ok((token, secret))
    }

    /// Takes back a token: from now on it does not hold. It stays in the list for a while. For owners.
    pub async fn revoke_token(&self, id: &str) -> Result<Token, Error> {
        let mut change = self.scoped.change(Role::Owner).await?;
        let one = change.sql("SELECT ").push(COLUMNS).push(" FROM tokens WHERE tenant = $1 AND id = $2");
        let row = change.row(one.bind(id.to_owned())).await?.ok_or_else(|| Error::not_found(KIND, id))?;
        let was = Token::from_row(&row)?;
        if was.system && !self.scoped.access().system {
            return Err(Error::Forbidden { needed: Needed::System });
        }
        let token = Token { revoked: was.revoked.or(Some(change.now())), ..was.clone() };
        let revoke = change.sql("UPDATE tokens SET revoked = $3 WHERE tenant = $1 AND id = $2");
        change.execute(revoke.bind(id.to_owned()).bind(token.revoked)).await?;
        change.audit("token.revoke", (KIND, id), Some(shown(&was)), Some(shown(&token))).await?;
        change.commit().await?;
        Ok(token)
    }
}

/// Removes tokens that ended long ago, and of the others that do not hold all but the latest.
async fn forget_ended(change: &mut Change<'_>) -> Result<(), Error> {
    let long_ago = change.now().saturating_sub(TOKENS_KEPT_MS);
    let old = change.sql("DELETE FROM tokens WHERE tenant = $1 AND (revoked <= $2 OR expires <= $2)");
    change.execute(old.bind(long_ago)).await?;
    let many = change.sql(
        "DELETE FROM tokens WHERE tenant = $1 AND (revoked IS NOT NULL OR expires <= $2) AND hash NOT IN (SELECT hash FROM tokens \
         WHERE tenant = $1 AND (revoked IS NOT NULL OR expires <= $2) ORDER BY COALESCE(revoked, expires) DESC, hash LIMIT $3)",
    );
    let many = many.bind(change.now()).bind(TOKENS_KEPT_MAX);
    change.execute(many).await.map(drop)
}

impl Token {
    /// Whether it holds at a moment.
    pub fn holds(&self, now: UnixMillis) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| expires > now)
    }

    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            role: row.named("role", Role::from_name)?,
            system: row.flag("system")?,
            groups: row.parsed_or_none("only_groups")?,
            created: row.number("created")?,
            created_by: row.text("created_by")?,
            expires: row.number_or_none("expires")?,
            last_used: row.number_or_none("last_used")?,
            revoked: row.number_or_none("revoked")?,
        })
    }
}
