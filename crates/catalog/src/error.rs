//! What can go wrong, in words that a person can act on.

use std::time::Duration;

use crate::Role;

/// Why the catalog did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such thing, or it is another tenant's: that makes no difference to who asks.
    #[error("there is no {what}")]
    NotFound {
        /// What was looked for: `device 123`.
        what: String,
    },
    /// What is there already stands against it.
    #[error("{what}")]
    Conflict {
        /// What is taken, or in use: `the login anna is taken`.
        what: String,
    },
    /// What was given is no such thing.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field, as the types here call it.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Who asks may not do this.
    #[error("{needed}")]
    Forbidden {
        /// What it takes.
        needed: Needed,
    },
    /// The tenant has as much as it may have.
    #[error("the tenant may have {limit} {of} and has {used}: delete some, or have the quota raised")]
    Quota {
        /// Of what: `devices`.
        of: &'static str,
        /// How much it may have.
        limit: i64,
        /// How much it has.
        used: i64,
    },
    /// More passwords are being checked than the machine has memory for.
    #[error("too many passwords are being checked: try again in a second")]
    Busy,
    /// Too many attempts with a wrong password.
    #[error("too many attempts failed: try again in {} s", seconds(*.retry_after))]
    TooMany {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Something that is for everyone was asked for too often.
    #[error("that is asked for too often: try again in {} s", seconds(*.retry_after))]
    TooOften {
        /// How long to wait.
        retry_after: Duration,
    },
    /// One person or token changes too much.
    #[error("too many changes: try again in {} s, or bring many devices along by one import", seconds(*.retry_after))]
    ChangesTooOften {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The catalog's address is none.
    #[error("{address} is no address of a catalog: {reason}")]
    Address {
        /// The address, without its password.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The catalog's file.
    #[error("cannot make {path}", path = .path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the disk says.
        source: std::io::Error,
    },
    /// Its tables are not as this version needs them, and cannot be made so.
    #[error("cannot bring the catalog's tables to this version")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database.
    #[error("cannot {doing} the catalog")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What the database says.
        source: sqlx::Error,
    },
    /// The database has no room on its disk: nothing of what was asked is done.
    #[error("no room on the disk of the catalog, and nothing was changed. Make space and try again")]
    Full {
        /// What the database says.
        source: sqlx::Error,
    },
    /// A row holds what no version wrote.
    #[error("the catalog's column {column} holds what cannot be read: {reason}")]
    Damaged {
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Whether the catalog's file is none of SQLite's, or a damaged one: that does not pass.
    pub fn is_broken_file(&self) -> bool {
        let Self::Database { source: sqlx::Error::Database(error), .. } = self else { return false };
        error.code().is_some_and(|code| BROKEN_FILE.contains(&&*code))
    }

    /// Whether the database is away, or has too much to do, so that the same may be done a moment later.
    pub fn may_pass(&self) -> bool {
        let Self::Database { source, .. } = self else { return false };
        match source {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                NOT_NOW.contains(&&*code) || is_of_connection(&code)
            }
            _ => false,
        }
    }

    /// Whether it is of the thing that was asked about, and whoever asks about another one can go on: a row that holds what cannot be
    /// read, or that the database does not take. It fails the same way when it is tried again.
    pub fn is_of_one(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::NotFound { .. } | Self::Conflict { .. } | Self::Invalid { .. } => true,
            Self::Database { source, .. } => match source {
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => true,
                sqlx::Error::Database(error) => {
                    let code = error.code().unwrap_or_default();
                    error.kind() != sqlx::error::ErrorKind::Other || ROWS_FAULT.contains(&&*code) || is_data(&code)
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// Whether it is one of PostgreSQL's "data exceptions", whose codes have five characters.
fn is_data(code: &str) -> bool {
    code.len() == 5 && code.starts_with("22")
}

/// Whether it is one of PostgreSQL's "connection exceptions".
fn is_of_connection(code: &str) -> bool {
    code.len() == 5 && code.starts_with("08")
}

/// Others are in the way, or the server begins or ends: `SQLITE_BUSY`, also while it is recovered and of a snapshot; PostgreSQL's
/// `serialization_failure`, `deadlock_detected`, `too_many_connections`, `admin_shutdown`, `crash_shutdown` and `cannot_connect_now`.
const NOT_NOW: [&str; 9] = ["5", "261", "517", "40001", "40P01", "53300", "57P01", "57P02", "57P03"];

/// SQLite's codes for a file that is malformed, and for one that is no database.
const BROKEN_FILE: [&str; 2] = ["11", "26"];

/// SQLite's codes for what is too big, and of the wrong type.
const ROWS_FAULT: [&str; 2] = ["18", "20"];

/// PostgreSQL's code for text that it cannot have: only a zero gets there.
const NO_SUCH_TEXT: &str = "22021";

/// What somebody would need for what they asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Needed {
    /// A role.
    Role(Role),
    /// To see all devices of the tenant, not some groups of them.
    AllDevices,
    /// To manage tenants.
    System,
    /// To be a user who has signed in, not a token.
    User,
}

impl std::fmt::Display for Needed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Role(role) => write!(f, "this needs the role {role}"),
            Self::AllDevices => f.write_str("this needs a role for all devices of the tenant, not for some groups"),
            Self::System => f.write_str("this needs the right to manage tenants"),
            Self::User => f.write_str("this is for users who have signed in, not for tokens"),
        }
    }
}

impl Error {
    pub(crate) fn not_found(kind: &str, id: &str) -> Self {
        // What was asked for may be anything: it is shown, but not at any length.
        let shown: String = id.chars().take(crate::bounds::ID_CHARS_MAX).collect();
        Self::NotFound { what: format!("{kind} {shown}") }
    }

    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict { what: what.into() }
    }

    pub(crate) fn writing(source: sqlx::Error) -> Self {
        Self::of_database("write to", source)
    }

    pub(crate) fn reading(source: sqlx::Error) -> Self {
        Self::of_database("read from", source)
    }

    fn of_database(doing: &'static str, source: sqlx::Error) -> Self {
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.as_deref() == Some(NO_SUCH_TEXT) {
            return Self::invalid("text", "has the character \\0 in it, which no text here has");
        }
        if crate::transaction::is_full(&source) {
            return Self::Full { source };
        }
        Self::Database { doing, source }
    }
}

/// As people wait: a part of a second is one.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Why somebody could not sign in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// There is no such login, or that is not its password: which of both is not said.
    #[error("wrong login or password")]
    Wrong,
    /// The password is right, and the user has a second factor.
    #[error("the code of the authenticator is needed")]
    CodeNeeded,
    /// The password is right, and the code is not, or was used before.
    #[error("wrong code, or one that was used before: wait for the next one")]
    CodeWrong,
    /// The password is right, and the user or the tenant is disabled.
    #[error("this account is disabled")]
    Disabled,
    /// Too many attempts failed, of this login or from this address.
    #[error("too many attempts failed: try again in {} s", seconds(*.retry_after))]
    TooMany {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use std::error::Error as StdError;

    /// What a database says, by its code.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str);

    impl sqlx::error::DatabaseError for Said {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    #[test]
    fn a_database_that_is_away_or_busy_is_asked_again_and_other_faults_stay() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        for away in [sqlx::Error::Io(refused), sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            assert!(Error::reading(away).may_pass());
        }
        let said = |code| Error::writing(sqlx::Error::Database(Box::new(Said(code)))).may_pass();
        for code in ["5", "517", "08006", "08001", "40001", "53300", "57P01", "57P03"] {
            assert!(said(code), "{code}");
        }
        // Among them PostgreSQL's `insufficient_privilege` and `undefined_table`, and SQLite's `SQLITE_CORRUPT`.
        for code in ["42501", "42P01", "11", "10", "1", ""] {
            assert!(!said(code), "{code}");
        }
        assert!(!Error::reading(sqlx::Error::RowNotFound).may_pass());
        assert!(!Error::Busy.may_pass(), "that is no fault of the database");
    }
}
