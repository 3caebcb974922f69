//! Transactions, and whether what was written last could be.
//!
//! SQLite ends a transaction by itself where its disk is full or fails: what is asked on its connection after that would be
//! durable statement by statement, and sqlx, which counts transactions, does not notice. So a connection goes back to others
//! only when it is in none: see [`is_whole`].

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::{Any, AnyConnection, Connection as _};

use crate::Error;

/// A transaction. Of one that is dropped, nothing is done.
pub(crate) struct Transaction {
    inner: sqlx::Transaction<'static, Any>,
    standing: Arc<Standing>,
}

impl Transaction {
    pub(crate) const fn new(inner: sqlx::Transaction<'static, Any>, standing: Arc<Standing>) -> Self {
        Self { inner, standing }
    }

    /// Makes it so. When it returns, it is durable.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        let Self { inner, standing } = self;
        match inner.commit().await {
            Ok(()) => standing.wrote(),
            Err(source) => return Err(standing.failed(Error::writing(source))),
        }
        Ok(())
    }

    /// Takes note of what a statement of it met.
    pub(crate) fn noticed(&self, error: Error) -> Error {
        self.standing.failed(error)
    }
}

impl Deref for Transaction {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.inner
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}

/// Whether others may have the connection: no transaction is left on it, neither one of SQLite's nor one that sqlx counts.
pub(crate) async fn is_whole(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    // The end of what was not committed may be on its way still: this is answered after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Whether what was written last could be.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Debug)]
struct Trouble {
    why: String,
    /// When somebody last tried only to see whether it is over.
    tried: Option<Duration>,
}

impl Standing {
    /// Why nothing can be written, if the last that was tried failed.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.lock().as_ref().map(|trouble| trouble.why.clone())
    }

    /// Whether it is time to try whether the trouble is over. The next is told so only after a while.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        let mut lock = self.lock();
        let Some(trouble) = &mut *lock else { return false };
        let is_due = trouble.tried.is_none_or(|tried| now.saturating_sub(tried) >= TRIED_EVERY);
        if is_due {
            trouble.tried = Some(now);
        }
        is_due
    }

    /// Something was written.
    fn wrote(&self) {
        *self.lock() = None;
    }

    /// Takes note of an error, if it is one of the database and not of what was to be written.
    pub(crate) fn failed(&self, error: Error) -> Error {
        match &error {
            Error::Full { .. } => self.met(error.to_string()),
            Error::Database { source, .. } if is_trouble(source) => self.met(format!("{error}: {source}")),
            _ => {}
        }
        error
    }

    fn met(&self, why: String) {
        let mut lock = self.lock();
        let tried = lock.take().and_then(|before| before.tried);
        *lock = Some(Trouble { why, tried });
    }

    /// SQLite ended a transaction by itself, and nothing else has said why.
    pub(crate) fn ended(&self) {
        if self.trouble().is_none() {
            self.met("the database gave up what was being written".to_owned());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        // It is replaced as a whole.
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error says that the database has no room on its disk.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| FULL.contains(&&*code))
}

/// Whether SQLite says that others have the file just now. The lower byte of a code is its kind.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xFF == SQLITE_BUSY)
}

/// Whether whatever is written now would fail as well.
fn is_trouble(error: &sqlx::Error) -> bool {
    match error {
        // We stop.
        sqlx::Error::PoolClosed => false,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            error.kind() == ErrorKind::Other && !PASSING.contains(&&*code)
        }
        _ => true,
    }
}

/// Whoever asks how it is may ask often.
const TRIED_EVERY: Duration = Duration::from_secs(5);
/// `SQLITE_FULL`; `SQLITE_IOERR_SHMSIZE`, which is the same of the file beside it; PostgreSQL's `disk_full`.
const FULL: [&str; 3] = ["13", "4874", "53100"];
/// See the result codes of SQLite, section 4.
const SQLITE_BUSY: u32 = 5;
/// Others were in the way: `SQLITE_BUSY`, also of a snapshot, and PostgreSQL's `serialization_failure` and `deadlock_detected`.
const PASSING: [&str; 4] = ["5", "517", "40001", "40P01"];
