//! The one place where statements get their tenant: nothing in [`within`](crate::within) can run any other.
//!
//! A [`Statement`] begins with the tenant as `$1` and must name it. One that reads or changes devices must say which of them
//! are visible. A [`Change`] is a transaction that holds the tenant's row in `revisions`, so that changes of one tenant wait
//! for each other, and it cannot be committed without an entry in the audit log.

use odograph_env::UnixMillis;
use serde::Serialize;
use serde_json::Value;
use sqlx::Any;
use sqlx::any::AnyRow;
use sqlx::{Encode, Type};

use crate::bounds::AUDIT_JSON_BYTES_MAX;
use crate::catalog::Inner;
use crate::sql::{Columns as _, Sql};
use crate::transaction::Transaction;
use crate::{Access, Actor, Error, Role, Tenant, tenants};

/// A tenant's things, as far as somebody may see them.
#[derive(Clone, Copy)]
pub(crate) struct Scoped<'c> {
    catalog: &'c Inner,
    access: &'c Access,
}

/// A statement about one tenant.
pub(crate) struct Statement {
    sql: Sql,
    /// It says of which devices.
    limited: bool,
}

impl<'c> Scoped<'c> {
    pub(crate) const fn new(catalog: &'c Inner, access: &'c Access) -> Self {
        Self { catalog, access }
    }

    pub(crate) const fn access(&self) -> &'c Access {
        self.access
    }

    pub(crate) const fn catalog(&self) -> &'c Inner {
        self.catalog
    }

    pub(crate) fn tenant(&self) -> &'c str {
        &self.access.scope.tenant
    }

    /// A statement whose first argument is the tenant.
    pub(crate) fn sql(&self, text: &'static str) -> Statement {
        Statement { sql: Sql::new(text).bind(self.tenant().to_owned()), limited: false }
    }

    pub(crate) async fn rows(&self, statement: Statement) -> Result<Vec<AnyRow>, Error> {
        self.checked(statement).rows(self.catalog.database.reader()).await
    }

    /// The first rows, with so many bytes of text at most, and whether there are more.
    pub(crate) async fn rows_within(
        &self,
        statement: Statement,
        bytes_max: usize,
    ) -> Result<(Vec<AnyRow>, bool), Error> {
        self.checked(statement).rows_within(self.catalog.database.reader(), bytes_max).await
    }

    pub(crate) async fn row(&self, statement: Statement) -> Result<Option<AnyRow>, Error> {
        self.checked(statement).row(self.catalog.database.reader()).await
    }

    /// The tenant itself.
    pub(crate) async fn own_tenant(&self) -> Result<Tenant, Error> {
        let row = tenants::one(self.tenant()).row(self.catalog.database.reader()).await?;
        Tenant::from_row(&row.ok_or_else(|| Error::not_found("tenant", self.tenant()))?)
    }

    /// Begins a change, for which a role is needed.
    pub(crate) async fn change(&self, needed: Role) -> Result<Change<'c>, Error> {
        self.access.needs(needed)?;
        self.change_of_own().await
    }

    /// Begins a change that no role is needed for: one of the user's own account.
    pub(crate) async fn change_of_own(&self) -> Result<Change<'c>, Error> {
        let now = self.catalog.clock.monotonic();
        let admitted = self.catalog.changing().admit(&self.access.actor, now);
        admitted.map_err(|retry_after| Error::ChangesTooOften { retry_after })?;
        let mut transaction = self.catalog.database.begin().await?;
        let held = self.sql("UPDATE revisions SET audited = audited WHERE tenant = $1 RETURNING audited, changed");
        let row = self.checked(held).row(&mut *transaction).await?;
        let row = row.ok_or_else(|| Error::not_found("tenant", self.tenant()))?;
        let (audited, changed) = (row.number("audited")?, row.number("changed")?);
        let now = self.catalog.clock.now();
        Ok(Change { scoped: *self, transaction, now, audited, changed, entries: 0, devices_changed: false })
    }

    /// Adds the condition that a device is visible.
    pub(crate) fn visible(&self, mut statement: Statement) -> Statement {
        statement.limited = true;
        match &self.access.scope.groups {
            None => statement,
            Some(groups) if groups.is_empty() => statement.push(" AND 1 = 0"),
            Some(groups) => statement.push(" AND device_group IN ").push_list(groups),
        }
    }

    /// The statement, if it keeps to the rules.
    fn checked(&self, statement: Statement) -> Sql {
        let text = statement.sql.text();
        assert!(names_tenant(text), "a statement must name the tenant: {text}");
        let needs_limit = self.access.scope.groups.is_some() && text.contains(" devices ");
        assert!(statement.limited || !needs_limit, "a statement must say which devices are visible: {text}");
        statement.sql
    }
}

fn names_tenant(text: &str) -> bool {
    text.contains("tenant = $1")
        || (text.starts_with("INSERT INTO ") && text.contains(" (tenant, ") && text.contains("($1, "))
}

impl Statement {
    pub(crate) fn push(mut self, text: &'static str) -> Self {
        self.sql = self.sql.push(text);
        self
    }

    pub(crate) fn bind<T: for<'q> Encode<'q, Any> + Type<Any>>(mut self, value: T) -> Self {
        self.sql = self.sql.bind(value);
        self
    }

    pub(crate) fn push_bind<T: for<'q> Encode<'q, Any> + Type<Any>>(mut self, value: T) -> Self {
        self.sql = self.sql.push_bind(value);
        self
    }
}

impl Statement {
    /// Adds arguments as a list in brackets: `($3, $4)`.
    pub(crate) fn push_list<'a>(mut self, values: impl IntoIterator<Item = &'a String>) -> Self {
        self = self.push("(");
        for (index, value) in values.into_iter().enumerate() {
            self = self.push(if index > 0 { ", " } else { "" }).push_bind(value.clone());
        }
        self.push(")")
    }

    /// Adds the condition that a column contains this text, letter for letter, which is not empty.
    pub(crate) fn push_contains(self, column: &'static str, text: String) -> Self {
        // In both databases, whatever the text: LIKE has wildcards, and does not care for capital letters in one of them.
        self.push(" AND replace(").push(column).push(", ").push_bind(text).push(", '') <> ").push(column)
    }

    /// Says that it concerns devices of any group: what they are was checked before, or only their number is asked for.
    pub(crate) fn of_any_group(mut self) -> Self {
        self.limited = true;
        self
    }
}

/// A change that is being made.
pub(crate) struct Change<'c> {
    scoped: Scoped<'c>,
    transaction: Transaction,
    now: UnixMillis,
    audited: i64,
    changed: i64,
    entries: usize,
    devices_changed: bool,
}

/// A thing before or after a change, as the audit log keeps it: what the interface shows of it, so never a secret.
pub(crate) fn shown<T: Serialize>(thing: &T) -> Value {
    serde_json::to_value(thing).expect("our types have keys that are text")
}

impl Change<'_> {
    /// When it is made.
    pub(crate) const fn now(&self) -> UnixMillis {
        self.now
    }

    pub(crate) fn sql(&self, text: &'static str) -> Statement {
        self.scoped.sql(text)
    }

    /// Adds the condition that a device is visible.
    pub(crate) fn visible(&self, statement: Statement) -> Statement {
        self.scoped.visible(statement)
    }

    pub(crate) async fn rows(&mut self, statement: Statement) -> Result<Vec<AnyRow>, Error> {
        let rows = self.scoped.checked(statement).rows(&mut *self.transaction).await;
        rows.map_err(|error| self.transaction.noticed(error))
    }

    pub(crate) async fn row(&mut self, statement: Statement) -> Result<Option<AnyRow>, Error> {
        let row = self.scoped.checked(statement).row(&mut *self.transaction).await;
        row.map_err(|error| self.transaction.noticed(error))
    }

    /// Says how many rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<i64, Error> {
        let count = self.scoped.checked(statement).execute(&mut *self.transaction).await;
        count.map_err(|error| self.transaction.noticed(error))
    }

    /// The revision of the devices that it writes.
    pub(crate) const fn revision(&mut self) -> i64 {
        if !self.devices_changed {
            self.devices_changed = true;
            self.changed += 1;
        }
        self.changed
    }

    /// The tenant itself.
    pub(crate) async fn own_tenant(&mut self) -> Result<Tenant, Error> {
        let row = tenants::one(self.scoped.tenant()).row(&mut *self.transaction).await?;
        Tenant::from_row(&row.ok_or_else(|| Error::not_found("tenant", self.scoped.tenant()))?)
    }

    /// Whether a user of any tenant, but for this one, signs in with this.
    pub(crate) async fn is_taken(&mut self, login: &str, but: &str) -> Result<bool, Error> {
        let other = Sql::new("SELECT id FROM users WHERE login = $1 AND id <> $2");
        let other = other.bind(login.to_owned()).bind(but.to_owned());
        Ok(other.row(&mut *self.transaction).await?.is_some())
    }

    /// The transaction, for the few who manage what is above all tenants.
    pub(crate) fn across_tenants(&mut self) -> &mut Transaction {
        &mut self.transaction
    }

    /// Writes what was done into the audit log. Of a thing that was changed, only what differs is kept.
    pub(crate) async fn audit(
        &mut self,
        action: &'static str,
        object: (&'static str, &str),
        was: Option<Value>,
        became: Option<Value>,
    ) -> Result<(), Error> {
        self.audited += 1;
        self.entries += 1;
        let (was, became) = differing(was, became);
        let actor = &self.scoped.access.actor;
        let (actor_kind, actor_id) = actor.key();
        let actor_name = match actor {
            Actor::User { login: name, .. } | Actor::Token { name, .. } => name.clone(),
            Actor::Owner | Actor::Server => String::new(),
        };
        let insert = self.sql(
            "INSERT INTO audit (tenant, seq, time, actor_kind, actor_id, actor_name, peer, action, kind, object, was, became) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        );
        let insert = insert
            .bind(self.audited)
            .bind(self.now)
            .bind(actor_kind.to_owned())
            .bind(actor_id.to_owned())
            .bind(actor_name);
        let insert = insert.bind(self.scoped.access.peer.map(|peer| peer.to_string())).bind(action.to_owned());
        let insert = insert.bind(object.0.to_owned()).bind(object.1.to_owned());
        let insert = insert.bind(was.as_ref().map(bounded)).bind(became.as_ref().map(bounded));
        self.execute(insert).await.map(drop)
    }

    /// Makes it so. When it returns, it is durable.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        assert!(self.entries > 0, "a change must be in the audit log");
        self.commit_of_machine().await
    }

    /// The same for what machines do by themselves, which the audit log does not keep: devices that register.
    pub(crate) async fn commit_of_machine(mut self) -> Result<(), Error> {
        let counts = self.sql("UPDATE revisions SET audited = $2, changed = $3 WHERE tenant = $1");
        let counts = counts.bind(self.audited).bind(self.changed);
        self.execute(counts).await?;
        self.transaction.commit().await?;
        if self.devices_changed {
            self.scoped.catalog.devices_changed();
        }
        Ok(())
    }
}

/// Without what is the same on both sides.
fn differing(was: Option<Value>, became: Option<Value>) -> (Option<Value>, Option<Value>) {
    match (was, became) {
        (Some(Value::Object(mut was)), Some(Value::Object(mut became))) => {
            was.retain(|key, value| match became.get(key) {
                Some(same) if same == value => {
                    became.remove(key);
                    false
                }
                _ => true,
            });
            (Some(Value::Object(was)), Some(Value::Object(became)))
        }
        other => other,
    }
}

fn bounded(value: &Value) -> String {
    let text = value.to_string();
    if text.len() > AUDIT_JSON_BYTES_MAX { format!("{{\"left_out_bytes\":{}}}", text.len()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn statements_name_the_tenant() {
        assert!(names_tenant("SELECT id FROM users WHERE tenant = $1 AND id = $2"));
        assert!(names_tenant("INSERT INTO users (tenant, id) VALUES ($1, $2)"));
        assert!(!names_tenant("SELECT id FROM users WHERE id = $1"));
        assert!(!names_tenant("INSERT INTO users (id) VALUES ($1)"));
        assert!(!names_tenant("DELETE FROM users WHERE tenant = $2"));
    }

    #[test]
    fn the_audit_log_keeps_what_differs() {
        let was = json!({"name": "a", "role": "viewer", "old": 1});
        let became = json!({"name": "b", "role": "viewer", "new": 2});
        let expected = (Some(json!({"name": "a", "old": 1})), Some(json!({"name": "b", "new": 2})));
        assert_eq!(differing(Some(was.clone()), Some(became)), expected);
        assert_eq!(differing(Some(was.clone()), None), (Some(was), None));
        assert_eq!(bounded(&json!("x".repeat(AUDIT_JSON_BYTES_MAX - 2))).len(), AUDIT_JSON_BYTES_MAX);
        assert_eq!(bounded(&json!("x".repeat(AUDIT_JSON_BYTES_MAX - 1))), "{\"left_out_bytes\":65537}");
    }
}
