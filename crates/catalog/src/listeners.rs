//! Listeners that people make while servers run, beside those of the configuration: each server that follows the catalog opens them.
//!
//! They are ports of the whole server, whoever's devices come there, so they are for those who manage tenants; what is done to them
//! stands in the audit log of the tenant that there is from the start, which is the operator's.

mod fields;

pub use fields::{
    ChecksumPolicy, Listener, ListenerFields, ListenerTerms, ListenerTls, ListenerTransport, OtherDevice,
    UnknownDevices,
};

use std::time::Duration;

use serde_json::Value;
use sqlx::any::AnyRow;
use tokio::sync::watch;

use crate::admin::DEFAULT_TENANT;
use crate::bounds::LISTENERS_MAX;
use crate::catalog::Inner;
use crate::scoped::{Change, Scoped};
use crate::secret::new_id;
use crate::sql::{Columns as _, Sql, json};
use crate::{Access, Catalog, Error, Role, Scope};

/// The listeners, as somebody may see and manage them.
#[derive(Clone, Copy)]
pub struct Listeners<'c> {
    catalog: &'c Inner,
    access: &'c Access,
}

/// Whether a listener can be one beside the others, of which none is the same: it is looked at while nobody else changes any. What is
/// written differently here and there may be put into one form.
pub type ListenerCheck<'a> = &'a (dyn Fn(&mut Listener, &[Listener]) -> Result<(), Error> + Send + Sync);

const KIND: &str = "listener";
const COLUMNS: &str = "id, tenant, name, enabled, terms, created, updated, revision";

impl Catalog {
    /// The listeners, as this access may see and manage them.
    pub fn listeners<'c>(&'c self, access: &'c Access) -> Listeners<'c> {
        Listeners { catalog: self.inner(), access }
    }

    /// Follows what changes about listeners.
    pub fn listener_changes(&self) -> ListenerChanges {
        ListenerChanges { catalog: self.clone(), here: self.inner().watch_listeners(), seen: None }
    }

    async fn kept_listeners(&self) -> Result<KeptListeners, Error> {
        let all = Sql::new("SELECT ").push(COLUMNS).push(" FROM listeners ORDER BY created, id");
        let mut kept = KeptListeners::default();
        for row in all.rows(self.inner().database.reader()).await? {
            match Listener::from_row(&row) {
                Ok(listener) => kept.listeners.push(listener),
                Err(error) => kept.unreadable.push((row.text("id")?, error.to_string())),
            }
        }
        Ok(kept)
    }
}

/// All that there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptListeners {
    /// Those that can be read, in the order in which they were made.
    pub listeners: Vec<Listener>,
    /// The ids of those of which a row holds what this version cannot read, and why: what they are is not known.
    pub unreadable: Vec<(String, String)>,
}

/// Follows what changes about listeners.
pub struct ListenerChanges {
    catalog: Catalog,
    here: watch::Receiver<u64>,
    /// What there was when it was read last.
    seen: Option<Vec<(String, i64)>>,
}

impl ListenerChanges {
    /// Waits until something has changed, and gives all that there are then; the first time at once. After an error nothing is lost:
    /// ask again.
    pub async fn next(&mut self) -> Result<KeptListeners, Error> {
        loop {
            // Before it is read: what is changed while we read wakes us again.
            self.here.borrow_and_update();
            let all = Sql::new("SELECT id, revision FROM listeners ORDER BY id");
            let rows = all.rows(self.catalog.inner().database.reader()).await?;
            let one = |row: &AnyRow| Ok::<_, Error>((row.text("id")?, row.number("revision")?));
            let now = rows.iter().map(one).collect::<Result<Vec<_>, _>>()?;
            if self.seen.as_ref() != Some(&now) {
                let kept = self.catalog.kept_listeners().await?;
                // Older than what was read, if anything: then it is read once more.
                self.seen = Some(now);
                return Ok(kept);
            }
            // The command line opens the same file, so that nobody has the catalog to himself.
            let _ = tokio::time::timeout(ASK_EVERY, self.here.changed()).await;
        }
    }
}

/// How often the database is asked whether another process changed something.
const ASK_EVERY: Duration = Duration::from_secs(2);

impl Listeners<'_> {
    /// All of them, in the order in which they were made. For those who manage tenants.
    pub async fn list(&self) -> Result<Vec<Listener>, Error> {
        self.access.needs_system()?;
        let all = Sql::new("SELECT ").push(COLUMNS).push(" FROM listeners ORDER BY created, id");
        let listeners = readable(&all.rows(self.catalog.database.reader()).await?);
        Ok(listeners.into_iter().map(|listener| listener.for_role(self.access.role)).collect())
    }

    /// One of them. For those who manage tenants.
    pub async fn get(&self, id: &str) -> Result<Listener, Error> {
        self.access.needs_system()?;
        let row = one(id).row(self.catalog.database.reader()).await?;
        Ok(Listener::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)?.for_role(self.access.role))
    }

    /// Makes one, which `check` lets be one beside the others. For those who manage tenants.
    pub async fn create(&self, fields: ListenerFields, check: ListenerCheck<'_>) -> Result<Listener, Error> {
        let operator = self.operator()?;
        let mut change = Scoped::new(self.catalog, &operator).change(Role::Owner).await?;
        let others = all(&mut change).await?;
        let used = i64::try_from(others.len()).unwrap_or(i64::MAX);
        if used >= LISTENERS_MAX {
            return Err(Error::conflict(format!("there are {used} listeners, and more there cannot be: remove some")));
        }
        let mut listener = fields.applied(Listener::blank(new_id(&*self.catalog.rng), change.now()))?;
        know(&mut change, &listener).await?;
        check(&mut listener, &readable(&others))?;
        let insert = Sql::new(
            "INSERT INTO listeners (id, tenant, name, enabled, terms, created, updated, revision) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let insert = insert.bind(listener.id.clone()).bind(listener.tenant.clone()).bind(listener.name.clone());
        let insert = insert.bind(i64::from(listener.enabled)).bind(json(&listener.terms)).bind(listener.created);
        insert.bind(listener.updated).bind(listener.revision).execute(&mut **change.across_tenants()).await?;
        change.audit("listener.create", (KIND, &listener.id), None, Some(listener.for_audit(None))).await?;
        self.commit(change).await?;
        Ok(listener)
    }

    /// Changes one, if `check` lets it be one beside the others then. For those who manage tenants.
    pub async fn update(&self, id: &str, to: ListenerFields, check: ListenerCheck<'_>) -> Result<Listener, Error> {
        let operator = self.operator()?;
        let mut change = Scoped::new(self.catalog, &operator).change(Role::Owner).await?;
        let row = one(id).row(&mut **change.across_tenants()).await?;
        let was = Listener::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)?;
        let mut listener = to.applied(was.clone())?;
        know(&mut change, &listener).await?;
        let mut others = readable(&all(&mut change).await?);
        others.retain(|other| other.id != id);
        check(&mut listener, &others)?;
        (listener.updated, listener.revision) = (change.now(), was.revision + 1);
        let update = Sql::new(
            "UPDATE listeners SET tenant = $2, name = $3, enabled = $4, terms = $5, updated = $6, revision = $7 WHERE id = $1",
        );
        let update = update.bind(id.to_owned()).bind(listener.tenant.clone()).bind(listener.name.clone());
        let update = update.bind(i64::from(listener.enabled)).bind(json(&listener.terms));
        update.bind(listener.updated).bind(listener.revision).execute(&mut **change.across_tenants()).await?;
        let (before, after) = (was.for_audit(None), listener.for_audit(Some(&was)));
        change.audit("listener.update", (KIND, id), Some(before), Some(after)).await?;
        self.commit(change).await?;
        Ok(listener)
    }

    /// Removes one, also one that cannot be read. For those who manage tenants.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        let operator = self.operator()?;
        let mut change = Scoped::new(self.catalog, &operator).change(Role::Owner).await?;
        let row = one(id).row(&mut **change.across_tenants()).await?.ok_or_else(|| Error::not_found(KIND, id))?;
        let was = Listener::from_row(&row).ok().map(|listener| listener.for_audit(None));
        let delete = Sql::new("DELETE FROM listeners WHERE id = $1").bind(id.to_owned());
        delete.execute(&mut **change.across_tenants()).await?;
        change.audit("listener.delete", (KIND, id), was, None).await?;
        self.commit(change).await
    }

    async fn commit(&self, change: Change<'_>) -> Result<(), Error> {
        change.commit().await?;
        self.catalog.listeners_changed();
        Ok(())
    }

    /// Whoever asks, in the tenant whose log keeps what is done to listeners: changes of them wait for each other there.
    fn operator(&self) -> Result<Access, Error> {
        self.access.needs_system()?;
        let scope = Scope { tenant: DEFAULT_TENANT.to_owned(), groups: None };
        Ok(Access { scope, role: Role::Owner, ..self.access.clone() })
    }
}

fn one(id: &str) -> Sql {
    Sql::new("SELECT ").push(COLUMNS).push(" FROM listeners WHERE id = $1").bind(id.to_owned())
}

/// Takes a device out of what the log says of listeners, which may be for one device: that something was done stays.
pub(crate) async fn forget_device(change: &mut Change<'_>, tenant: &str, id: &str) -> Result<(), Error> {
    // A change that left the tenant as it was does not name it: whose device that speaks of cannot be told, and it goes as well.
    let forget = Sql::new(
        "UPDATE audit SET was = NULL, became = NULL WHERE tenant = $1 AND kind = $2 \
         AND replace(coalesce(was, '') || coalesce(became, ''), $3, '') <> coalesce(was, '') || coalesce(became, '') \
         AND (replace(coalesce(was, '') || coalesce(became, ''), $4, '') <> coalesce(was, '') || coalesce(became, '') \
         OR replace(coalesce(was, '') || coalesce(became, ''), '\"tenant\":', '') = coalesce(was, '') || coalesce(became, ''))",
    );
    let forget = forget.bind(DEFAULT_TENANT.to_owned()).bind(KIND.to_owned());
    let forget = forget.bind(said("device", id)).bind(said("tenant", tenant));
    forget.execute(&mut **change.across_tenants()).await.map(drop)
}

/// Takes a tenant's listeners out of what the log says of listeners: that something was done stays.
pub(crate) async fn forget_tenant(change: &mut Change<'_>, tenant: &str) -> Result<(), Error> {
    // By the listener: a change that left the tenant as it was does not name it.
    let forget = Sql::new(
        "UPDATE audit SET was = NULL, became = NULL WHERE tenant = $1 AND kind = $2 AND object IN \
         (SELECT object FROM audit WHERE tenant = $1 AND kind = $2 \
         AND replace(coalesce(was, '') || coalesce(became, ''), $3, '') <> coalesce(was, '') || coalesce(became, ''))",
    );
    let forget = forget.bind(DEFAULT_TENANT.to_owned()).bind(KIND.to_owned()).bind(said("tenant", tenant));
    forget.execute(&mut **change.across_tenants()).await.map(drop)
}

/// How the log writes that.
fn said(key: &str, value: &str) -> String {
    format!("\"{key}\":{}", Value::from(value))
}

async fn all(change: &mut Change<'_>) -> Result<Vec<AnyRow>, Error> {
    let all = Sql::new("SELECT ").push(COLUMNS).push(" FROM listeners ORDER BY created, id");
    all.rows(&mut **change.across_tenants()).await
}

/// Those that can be read: one that cannot holds nobody up.
fn readable(rows: &[AnyRow]) -> Vec<Listener> {
    rows.iter().filter_map(|row| Listener::from_row(row).ok()).collect()
}

/// Fails unless the tenant is there, and the device that a listener is for. One that is closed may be for a device that has gone: else
/// nobody could close it.
async fn know(change: &mut Change<'_>, listener: &Listener) -> Result<(), Error> {
    let tenant = Sql::new("SELECT id FROM tenants WHERE id = $1").bind(listener.tenant.clone());
    if tenant.row(&mut **change.across_tenants()).await?.is_none() {
        return Err(Error::invalid("tenant", format!("there is no tenant {}", listener.tenant)));
    }
    let Some(device) = listener.terms.device.as_ref().filter(|_| listener.enabled) else { return Ok(()) };
    let known = Sql::new("SELECT id FROM device_ids WHERE tenant = $1 AND id = $2");
    let known = known.bind(listener.tenant.clone()).bind(device.clone());
    if known.row(&mut **change.across_tenants()).await?.is_none() {
        let what = format!("the tenant {} has no device {device}: make it first", listener.tenant);
        return Err(Error::invalid("device", what));
    }
    Ok(())
}

impl Listener {
    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        let column = "terms";
        let damaged = |reason: String| Error::Damaged { column, reason };
        let kept: Value = row.parsed(column)?;
        let terms: ListenerTerms = serde_json::from_value(kept.clone()).map_err(|error| damaged(error.to_string()))?;
        // What a later version knows may keep somebody out: to leave it away would open a port to more than were meant.
        let known = crate::scoped::shown(&terms);
        let strange = kept.as_object().and_then(|kept| kept.keys().find(|key| known.get(*key).is_none()));
        if let Some(key) = strange {
            return Err(damaged(format!("this version knows nothing of {key}")));
        }
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            enabled: row.flag("enabled")?,
            tenant: row.text("tenant")?,
            terms,
            created: row.number("created")?,
            updated: row.number("updated")?,
            revision: row.number("revision")?,
        })
    }
}
