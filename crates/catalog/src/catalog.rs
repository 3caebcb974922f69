//! The catalog: its database, and what else its parts share.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use odograph_env::{Clock, Rng};
use tokio::sync::watch;

use crate::changing::Changing;
use crate::database::Database;
use crate::failures::Failures;
use crate::kept_out::KeptOutNow;
use crate::left::HasHistory;
use crate::passwords::Passwords;
use crate::scoped::Scoped;
use crate::sql::Sql;
use crate::visits::Visits;
use crate::{Access, Error, Role, Scope, Tenants, Within};

/// Whoever asks how the catalog is waits so long at most for a connection: what they were told before still holds.
const TRIAL_PATIENCE: Duration = Duration::from_secs(1);

/// The catalog. Clones are the same catalog.
#[derive(Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) passwords: Passwords,
    failures: Mutex<Failures>,
    visits: Mutex<Visits>,
    changing: Mutex<Changing>,
    /// Counts the changes of devices by this process.
    changes: watch::Sender<u64>,
    /// Counts the commands that were queued by this process.
    commands: watch::Sender<u64>,
    /// Counts the changes of listeners by this process.
    listeners: watch::Sender<u64>,
    pub(crate) kept_out: OnceLock<KeptOutNow>,
    pub(crate) history: OnceLock<HasHistory>,
}

impl Catalog {
    /// Opens the catalog, and brings its tables to this version: `sqlite:PATH`, whose file is made if it is missing, or
    /// `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub async fn open(url: &str, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Result<Self, Error> {
        let database = Database::open(url).await?;
        let (passwords, failures) = (Passwords::new(rng.clone()), Mutex::new(Failures::new()));
        let (visits, changing) = (Mutex::new(Visits::new()), Mutex::new(Changing::new()));
        let (changes, commands, listeners) = (watch::Sender::new(0), watch::Sender::new(0), watch::Sender::new(0));
        let (kept_out, history) = (OnceLock::new(), OnceLock::new());
        Ok(Self {
            inner: Arc::new(Inner {
                database,
                clock,
                rng,
                passwords,
                failures,
                visits,
                changing,
                changes,
                commands,
                listeners,
                kept_out,
                history,
            }),
        })
    }

    /// A tenant's things, as this access may see and change them.
    pub fn within<'c>(&'c self, access: &'c Access) -> Within<'c> {
        Within::new(Scoped::new(&self.inner, access))
    }

    /// The tenants, as this access may see and manage them.
    pub fn tenants<'c>(&'c self, access: &'c Access) -> Tenants<'c> {
        Tenants::new(Scoped::new(&self.inner, access))
    }

    /// What this access has in another tenant: all, where it may manage tenants, and else nothing.
    pub async fn enter(&self, access: &Access, tenant: &str) -> Result<Access, Error> {
        if access.scope.tenant == tenant {
            return Ok(access.clone());
        }
        let known = Sql::new("SELECT id FROM tenants WHERE id = $1").bind(tenant.to_owned());
        if !access.system || known.row(self.inner.database.reader()).await?.is_none() {
            return Err(Error::not_found("tenant", tenant));
        }
        let scope = Scope { tenant: tenant.to_owned(), groups: None };
        Ok(Access { scope, role: Role::Owner, ..access.clone() })
    }

    /// Whether other processes follow it on other machines.
    pub fn is_shared(&self) -> bool {
        self.inner.database.is_shared()
    }

    /// Has the database forget what was deleted: a file is written anew without it. On a server that is its own business.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or is read for too long.
    pub async fn forget_deleted(&self) -> Result<(), Error> {
        self.inner.database.forget_deleted().await
    }

    /// Why nothing can be written: the last that was tried failed, and nothing was written since. That it is over shows here,
    /// too: whoever asks has it tried, now and then.
    pub async fn trouble(&self) -> Option<String> {
        let standing = self.inner.database.standing();
        if standing.is_due(self.inner.clock.monotonic()) {
            // What it meets, the standing knows.
            let _ = self.try_to_write().await;
        }
        standing.trouble()
    }

    /// Writes something, and takes it back at once: what changes nothing, a database does not write.
    async fn try_to_write(&self) -> Result<(), Error> {
        let Some(mut transaction) = self.inner.database.begin_within(TRIAL_PATIENCE).await else { return Ok(()) };
        for text in [
            "UPDATE revisions SET audited = audited + 1 WHERE tenant = (SELECT min(tenant) FROM revisions)",
            "UPDATE revisions SET audited = audited - 1 WHERE tenant = (SELECT min(tenant) FROM revisions)",
        ] {
            let done = Sql::new(text).execute(&mut *transaction).await;
            done.map_err(|error| transaction.noticed(error))?;
        }
        transaction.commit().await
    }

    /// Ends all connections, once what they do is done. What is asked after that fails.
    pub async fn close(&self) {
        self.inner.database.close().await;
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl Inner {
    /// Wakes those who follow the changes of devices.
    pub(crate) fn devices_changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn watch_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Wakes those who send commands.
    pub(crate) fn commands_changed(&self) {
        self.commands.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn watch_commands(&self) -> watch::Receiver<u64> {
        self.commands.subscribe()
    }

    /// Wakes those who follow the changes of listeners.
    pub(crate) fn listeners_changed(&self) {
        self.listeners.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn watch_listeners(&self) -> watch::Receiver<u64> {
        self.listeners.subscribe()
    }

    /// Failed attempts to sign in.
    pub(crate) fn failures(&self) -> MutexGuard<'_, Failures> {
        // Every change to the counts is whole, so a panic elsewhere does not spoil them.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who changed something lately.
    pub(crate) fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at links.
    pub(crate) fn visits(&self) -> MutexGuard<'_, Visits> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
