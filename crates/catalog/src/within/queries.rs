//! Queries in SQL that people have saved for everybody of their tenant who may ask in SQL: those who see all devices.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::Within;
use crate::bounds::{self, QUERIES_BYTES_MAX, QUERIES_MAX};
use crate::scoped::{Change, Scoped, Statement, shown};
use crate::secret::new_id;
use crate::sql::Columns as _;
use crate::{Access, Error, Role, UnixMillis};

/// A query that was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SavedQuery {
    /// The id.
    pub id: String,
    /// The name, which no other one of the tenant has.
    pub name: String,
    /// Its text.
    pub sql: String,
    /// Who made it: a login, the name of a token, or `owner` of the data folder, as it was then.
    pub created_by: String,
    /// Since when it is there.
    pub created: UnixMillis,
    /// When its name or text changed last.
    pub updated: UnixMillis,
    /// Whether whoever asks may change and delete it: who made it, managers and owners.
    pub changeable: bool,
}

/// A query to be saved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQuery {
    /// The name.
    pub name: String,
    /// Its text, at most 16 KiB. Whether it can be asked shows when it is.
    pub sql: String,
}

/// What becomes different of a query. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueryChange {
    /// The name.
    pub name: Option<String>,
    /// Its text.
    pub sql: Option<String>,
}

const KIND: &str = "query";
const COLUMNS: &str = "id, name, sql, maker_kind, maker_id, created_by, created, updated";

impl Within<'_> {
    /// The saved queries by name. For those who see all devices.
    pub async fn queries(&self) -> Result<Vec<SavedQuery>, Error> {
        let access = allowed(&self.scoped)?;
        let all = self.scoped.sql("SELECT ").push(COLUMNS).push(" FROM queries WHERE tenant = $1 ORDER BY name");
        self.scoped.rows(all).await?.iter().map(|row| SavedQuery::from_row(row, access)).collect()
    }

    /// A saved query. For those who see all devices.
    pub async fn query(&self, id: &str) -> Result<SavedQuery, Error> {
        let access = allowed(&self.scoped)?;
        let row = self.scoped.row(one(self.scoped.sql("SELECT "), id)).await?;
        SavedQuery::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?, access)
    }

    /// Saves a query. For those who see all devices.
    pub async fn create_query(&self, new: NewQuery) -> Result<SavedQuery, Error> {
        let mut change = self.change_of_queries().await?;
        let (id, created) = (new_id(&*self.scoped.catalog().rng), change.now());
        let created_by = self.scoped.access().actor.name();
        let NewQuery { name, sql } = new;
        let query = SavedQuery { id, name, sql, created_by, created, updated: created, changeable: true };
        query.check(&mut change).await?;
        let (kind, maker) = self.scoped.access().actor.key();
        let insert = change.sql(
            "INSERT INTO queries (tenant, id, name, sql, bytes, maker_kind, maker_id, created_by, created, updated) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        );
        let insert = insert.bind(query.id.clone()).bind(query.name.clone()).bind(query.sql.clone()).bind(query.bytes());
        let insert = insert.bind(kind.to_owned()).bind(maker.to_owned()).bind(query.created_by.clone());
        change.execute(insert.bind(created).bind(created)).await?;
        change.audit("query.create", (KIND, &query.id), None, Some(shown(&query))).await?;
        change.commit().await?;
        Ok(query)
    }

    /// Changes a saved query. For who made it, and for managers of all devices.
    pub async fn update_query(&self, id: &str, fields: QueryChange) -> Result<SavedQuery, Error> {
        let mut change = self.change_of_queries().await?;
        let was = self.changeable_query(&mut change, id).await?;
        let name = fields.name.unwrap_or_else(|| was.name.clone());
        let sql = fields.sql.unwrap_or_else(|| was.sql.clone());
        let query = SavedQuery { name, sql, updated: change.now(), ..was.clone() };
        query.check(&mut change).await?;
        let update = change
            .sql("UPDATE queries SET name = $3, sql = $4, bytes = $5, updated = $6 WHERE tenant = $1 AND id = $2");
        let update = update.bind(id.to_owned()).bind(query.name.clone()).bind(query.sql.clone());
        change.execute(update.bind(query.bytes()).bind(query.updated)).await?;
        change.audit("query.update", (KIND, id), Some(shown(&was)), Some(shown(&query))).await?;
        change.commit().await?;
        Ok(query)
    }

    /// Deletes a saved query. For who made it, and for managers of all devices.
    pub async fn delete_query(&self, id: &str) -> Result<(), Error> {
        let mut change = self.change_of_queries().await?;
        let was = self.changeable_query(&mut change, id).await?;
        let delete = change.sql("DELETE FROM queries WHERE tenant = $1 AND id = $2").bind(id.to_owned());
        change.execute(delete).await?;
        change.audit("query.delete", (KIND, id), Some(shown(&was)), None).await?;
        change.commit().await
    }

    async fn change_of_queries(&self) -> Result<Change<'_>, Error> {
        allowed(&self.scoped)?;
        self.scoped.change(Role::Viewer).await
    }

    /// A query that whoever asks may change.
    async fn changeable_query(&self, change: &mut Change<'_>, id: &str) -> Result<SavedQuery, Error> {
        let question = one(change.sql("SELECT "), id);
        let row = change.row(question).await?.ok_or_else(|| Error::not_found(KIND, id))?;
        let query = SavedQuery::from_row(&row, self.scoped.access())?;
        if !query.changeable {
            self.scoped.access().needs(Role::Manager)?;
        }
        Ok(query)
    }
}

/// What a query names is for whoever may ask in SQL, and nobody else: see the address `/api/v1/sql`.
fn allowed<'c>(scoped: &Scoped<'c>) -> Result<&'c Access, Error> {
    scoped.access().needs_all_devices()?;
    Ok(scoped.access())
}

fn one(select: Statement, id: &str) -> Statement {
    select.push(COLUMNS).push(" FROM queries WHERE tenant = $1 AND id = ").push_bind(id.to_owned())
}

impl SavedQuery {
    fn bytes(&self) -> i64 {
        i64::try_from(self.sql.len()).unwrap_or(i64::MAX)
    }

    /// Whether it can be one beside the others.
    async fn check(&self, change: &mut Change<'_>) -> Result<(), Error> {
        bounds::name("name", &self.name)?;
        bounds::query("sql", &self.sql)?;
        let others = change.sql(
            "SELECT count(*) AS count, CAST(coalesce(sum(bytes), 0) AS BIGINT) AS bytes FROM queries \
             WHERE tenant = $1 AND id <> $2",
        );
        let (mut count, mut bytes) = (0, 0);
        if let Some(row) = change.row(others.bind(self.id.clone())).await? {
            (count, bytes) = (row.number("count")?, row.number("bytes")?);
        }
        if count >= QUERIES_MAX {
            return Err(Error::Quota { of: "saved queries", limit: QUERIES_MAX, used: count });
        }
        if bytes + self.bytes() > QUERIES_BYTES_MAX {
            return Err(Error::Quota { of: "bytes of saved queries", limit: QUERIES_BYTES_MAX, used: bytes });
        }
        let same = change.sql("SELECT id FROM queries WHERE tenant = $1 AND id <> $2 AND name = $3");
        let same = same.bind(self.id.clone()).bind(self.name.clone());
        match change.row(same).await? {
            Some(_) => Err(Error::conflict(format!("there is a query {} already", self.name))),
            None => Ok(()),
        }
    }

    fn from_row(row: &AnyRow, access: &Access) -> Result<Self, Error> {
        let (kind, maker) = access.actor.key();
        let is_maker = row.text("maker_kind")? == kind && row.text("maker_id")? == maker;
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            sql: row.text("sql")?,
            created_by: row.text("created_by")?,
            created: row.number("created")?,
            updated: row.number("updated")?,
            changeable: is_maker || access.role >= Role::Manager,
        })
    }
}
