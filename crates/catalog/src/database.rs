//! The database: SQLite in a file, or PostgreSQL, by one driver for both, and its tables brought to this version.
//!
//! SQLite has one connection that writes and some that read, so that nothing of ours ever meets a locked database.
//! PostgreSQL has one set of connections for both.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use odograph_env::{Disk as _, LocalDisk};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqlSafeStr as _};

use crate::transaction::{Standing, Transaction, is_busy, is_whole};
use crate::{Error, carry};

/// Connections that read from SQLite's file.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long somebody waits for a connection to SQLite's file: whoever writes waits for all who came before, and a list takes its time.
const SQLITE_PATIENCE: Duration = Duration::from_secs(30);
/// How long somebody waits for a connection to PostgreSQL before it counts as out of reach: people look at a page meanwhile.
const POSTGRES_PATIENCE: Duration = Duration::from_secs(10);

/// Connections to the database.
pub(crate) struct Database {
    write: AnyPool,
    read: AnyPool,
    kind: Kind,
    standing: Arc<Standing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Database {
    /// Opens `sqlite:PATH` or `postgres://…`, and brings its tables to this version.
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let database = match url.strip_prefix("sqlite:") {
            Some(path) => sqlite(path.strip_prefix("//").unwrap_or(path)).await?,
            None if url.starts_with("postgres:") || url.starts_with("postgresql:") => postgres(url).await?,
            None => return Err(address(url, "it begins neither with sqlite: nor with postgres:")),
        };
        database.migrate().await?;
        Ok(database)
    }

    /// Brings the tables to this version. Of many that begin at once, one does it, and the others wait.
    async fn migrate(&self) -> Result<(), Error> {
        let migrations = migrations(self.kind);
        match self.kind {
            // There is no other lock than this: the migrations of another process show when it has ended.
            Kind::Sqlite => {
                let mut transaction = self.begin().await?;
                migrations.run_direct(None, &mut *transaction, false).await?;
                transaction.commit().await
            }
            // It takes an advisory lock.
            Kind::Postgres => Ok(migrations.run(&self.write).await?),
        }
    }

    /// Begins to write. In SQLite nobody else writes until it ends.
    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        let begun = match self.kind {
            // Not when the first row is written: then another process could have been faster, and all was in vain.
            Kind::Sqlite => self.write.begin_with("BEGIN IMMEDIATE").await,
            Kind::Postgres => self.write.begin().await,
        };
        match begun {
            Ok(begun) => Ok(Transaction::new(begun, self.standing.clone())),
            Err(source) => Err(self.standing.failed(Error::writing(source))),
        }
    }

    /// Begins to write, unless that takes longer than this.
    pub(crate) async fn begin_within(&self, patience: Duration) -> Option<Transaction> {
        tokio::time::timeout(patience, self.begin()).await.ok()?.ok()
    }

    /// Why nothing can be written, if the last that was tried failed, and nothing was written since.
    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Connections to read from.
    pub(crate) const fn reader(&self) -> &AnyPool {
        &self.read
    }

    /// Whether other processes may write too.
    pub(crate) fn is_shared(&self) -> bool {
        self.kind == Kind::Postgres
    }

    /// Writes the file anew, without what was deleted, and cuts the log of changes to nothing.
    pub(crate) async fn forget_deleted(&self) -> Result<(), Error> {
        if self.is_shared() {
            return Ok(());
        }
        sqlx::raw_sql("VACUUM").execute(&self.write).await.map_err(Error::writing)?;
        for _ in 0..FORGET_TRIES {
            let row = sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.write).await;
            let busy: i64 = row.and_then(|row| row.try_get(0)).map_err(Error::writing)?;
            if busy == 0 {
                return Ok(());
            }
            tokio::time::sleep(FORGET_PAUSE).await;
        }
        Err(Error::conflict(
            "the catalog is read all the time: what was deleted is still in its log of changes".to_owned(),
        ))
    }

    /// Ends all connections, once what they do is done.
    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Copies the catalog as it is at one moment into a new file of SQLite, also while others write; `false`: there is none yet. Out of
/// PostgreSQL, `reached` is told how many rows came so far, each time that some did.
///
/// # Errors
///
/// When it cannot be read, or the copy cannot be written. What is in the file then is half.
pub async fn copy(url: &str, to: &Path, reached: &dyn Fn(u64)) -> Result<bool, Error> {
    sqlx::any::install_default_drivers();
    let Some(path) = url.strip_prefix("sqlite:") else { return carry::into_file(url, to, reached).await };
    let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
    match LocalDisk.inspect(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        found => found.map_err(|source| Error::File { path: path.clone(), source })?,
    };
    let failed = |source| Error::Database { doing: "copy", source };
    // One that reads alone: whoever writes goes on.
    let mut connection = sqlite_options(&path)?.connect().await.map_err(opening)?;
    sqlx::raw_sql("PRAGMA busy_timeout = 10000").execute(&mut connection).await.map_err(failed)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(to.display().to_string()).execute(&mut connection).await;
    copied.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(true)
}

async fn sqlite(path: &str) -> Result<Database, Error> {
    let path = PathBuf::from(path);
    if path.as_os_str().is_empty() {
        return Err(address("sqlite:", "a path follows the colon"));
    }
    create(&path)?;
    let options = sqlite_options(&path)?;
    try_out_sqlite(&options).await?;
    // Not pinged before it is used, and not replaced for its age: it is a file.
    let pool = || {
        let pool = AnyPoolOptions::new().acquire_timeout(SQLITE_PATIENCE).test_before_acquire(false);
        pool.idle_timeout(None).max_lifetime(None)
    };
    let standing = Arc::new(Standing::default());
    let writer = pool().max_connections(1).after_connect(|connection, _| {
        async { sqlx::raw_sql(SQLITE_WRITER).execute(connection).await.map(drop) }.boxed()
    });
    // But for one on which a transaction was ended by SQLite: that one is closed, and the next who writes has another.
    let writer = writer.after_release({
        let standing = standing.clone();
        move |connection, _| {
            let standing = standing.clone();
            async move {
                let is_whole = is_whole(connection).await?;
                if !is_whole {
                    standing.ended();
                }
                Ok(is_whole)
            }
            .boxed()
        }
    });
    let reader = pool().max_connections(SQLITE_READERS).after_connect(|connection, _| {
        async { sqlx::raw_sql(SQLITE_READER).execute(connection).await.map(drop) }.boxed()
    });
    let (write, read) = (writer.connect_lazy_with(options.clone()), reader.connect_lazy_with(options));
    Ok(Database { write, read, kind: Kind::Sqlite, standing })
}

/// Connects once, because the pools try again and again, and in the end do not say what was wrong.
async fn try_out(options: &AnyConnectOptions, first: &'static str) -> Result<(), sqlx::Error> {
    let mut connection = options.connect().await?;
    sqlx::raw_sql(first).execute(&mut connection).await?;
    connection.close().await
}

/// The same for SQLite, which does not wait for those who begin or end at the same moment: who is the first to set the journal's
/// mode, or the last to go, locks the file for that long, and others are refused at once whatever their patience.
async fn try_out_sqlite(options: &AnyConnectOptions) -> Result<(), Error> {
    for _ in 1..OPEN_TRIES {
        match try_out(options, SQLITE_WRITER).await {
            Err(error) if is_busy(&error) => tokio::time::sleep(OPEN_PAUSE).await,
            tried => return tried.map_err(opening),
        }
    }
    try_out(options, SQLITE_WRITER).await.map_err(opening)
}

/// Makes the file, if it is missing, for its owner alone: SQLite gives the files beside it the same mode.
pub(crate) fn create(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    match LocalDisk.create(path) {
        Ok(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            LocalDisk.sync_folder(folder).map_err(failed)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

pub(crate) fn sqlite_options(path: &Path) -> Result<AnyConnectOptions, Error> {
    let absolute = std::path::absolute(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    let shown = absolute.display().to_string();
    // As a URL has it: a question mark or a hash in a folder's name would begin something else.
    let escaped: String = shown.bytes().map(escaped).collect();
    options(&format!("sqlite://{escaped}"))
}

fn escaped(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}

async fn postgres(url: &str) -> Result<Database, Error> {
    let options = options(url)?;
    try_out(&options, "SELECT 1").await.map_err(opening)?;
    let pool = AnyPoolOptions::new().max_connections(POSTGRES_CONNECTIONS).acquire_timeout(POSTGRES_PATIENCE);
    let pool = pool.connect_lazy_with(options);
    Ok(Database { write: pool.clone(), read: pool, kind: Kind::Postgres, standing: Arc::default() })
}

pub(crate) fn options(url: &str) -> Result<AnyConnectOptions, Error> {
    let options: AnyConnectOptions = url.parse().map_err(|error: sqlx::Error| address(url, &error.to_string()))?;
    // What is slow shows in the time of the request; statements in the log help nobody.
    Ok(options.disable_statement_logging())
}

pub(crate) fn opening(source: sqlx::Error) -> Error {
    Error::Database { doing: "open", source }
}

/// The address stands in the message, but for what may be a password.
fn address(url: &str, reason: &str) -> Error {
    let shown = match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    };
    Error::Address { address: shown, reason: reason.to_owned() }
}

/// What brings the tables of a database to this version.
pub(crate) fn migrations(kind: Kind) -> Migrator {
    let migration = |(version, name, text): &(i64, &'static str, &'static str)| {
        let text = match kind {
            Kind::Sqlite => (*text).to_owned(),
            // By bytes, as SQLite orders: else the order of a list would be that of the machine's language.
            Kind::Postgres => text.replace(" TEXT", " TEXT COLLATE \"C\""),
        };
        let sql = AssertSqlSafe(text).into_sql_str();
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

/// Durable when it returns, checked keys, and patience with a backup program that reads the file. The log of changes is
/// cut back to this size when it has been taken into the file. What its own cache does not hold, the system's does.
const SQLITE_WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
    PRAGMA busy_timeout = 10000; PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY; \
    PRAGMA cache_size = -256";
/// Others begin and end within a moment.
const OPEN_TRIES: u32 = 200;
const OPEN_PAUSE: Duration = Duration::from_millis(50);
/// Whoever reads is done within a second.
const FORGET_TRIES: u32 = 20;
const FORGET_PAUSE: Duration = Duration::from_millis(250);
const SQLITE_READER: &str = "PRAGMA query_only = ON; PRAGMA busy_timeout = 10000; PRAGMA temp_store = MEMORY; \
    PRAGMA cache_size = -64";

/// In order. What was released never changes: a change is one more line.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "accounts", include_str!("../migrations/0001_accounts.sql")),
    (2, "devices", include_str!("../migrations/0002_devices.sql")),
    (3, "commands", include_str!("../migrations/0003_commands.sql")),
    (4, "usage", include_str!("../migrations/0004_usage.sql")),
    (5, "sensors", include_str!("../migrations/0005_sensors.sql")),
    (6, "drivers", include_str!("../migrations/0006_drivers.sql")),
    (7, "shares", include_str!("../migrations/0007_shares.sql")),
    (8, "time zones", include_str!("../migrations/0008_time_zones.sql")),
    (9, "queries", include_str!("../migrations/0009_queries.sql")),
    (10, "listeners", include_str!("../migrations/0010_listeners.sql")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Columns as _, Sql};

    #[test]
    fn an_address_is_shown_without_its_password() {
        let shown = |url| address(url, "reason").to_string();
        assert_eq!(shown("mysql://me:pa@ss@host/x"), "mysql://…@host/x is no address of a catalog: reason");
        assert_eq!(shown("/var/catalog"), "/var/catalog is no address of a catalog: reason");
    }

    #[test]
    fn paths_are_escaped() {
        let path: String = "/a b/ü?#%.sqlite".bytes().map(escaped).collect();
        assert_eq!(path, "/a%20b/%C3%BC%3F%23%25.sqlite");
    }

    fn with_database(test: impl AsyncFn(Database)) {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("catalog.sqlite").display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { test(Database::open(&url).await.expect("it opens")).await });
    }

    #[test]
    fn devices_from_before_time_zones_have_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("catalog.sqlite").display().to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let before = sqlite(&path).await.expect("it opens");
            let mut transaction = before.begin().await.expect("it begins");
            let old = migrations(Kind::Sqlite).run_direct(Some(7), &mut *transaction, false).await;
            old.expect("the tables are as they were");
            tenant(&mut transaction, "north", 1).await.expect("a tenant");
            let device = "INSERT INTO devices (tenant, id, ids, name, plate, tags, protocol, settings, notes, attributes, \
                state, sort_key, search, created, updated, revision) \
                VALUES ('north', '1', '[\"1\"]', 'Truck', '', '[]', '', '{}', '', '{}', 'accepted', '', '', 0, 0, 1)";
            Sql::new(device).execute(&mut *transaction).await.expect("a device");
            transaction.commit().await.expect("it is written");
            before.close().await;
            let now = Database::open(&format!("sqlite:{path}")).await.expect("it is brought to this version");
            let rows = Sql::new("SELECT name, time_zone FROM devices").rows(now.reader()).await.expect("rows");
            let shown = |row: &sqlx::any::AnyRow| (row.text("name").expect("one"), row.text("time_zone").expect("one"));
            assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), [("Truck".to_owned(), String::new())]);
            now.close().await;
        });
    }

    async fn tenant(transaction: &mut Transaction, id: &str, name_bytes: usize) -> Result<i64, Error> {
        let insert = Sql::new("INSERT INTO tenants (id, name, created) VALUES ($1, $2, 0)");
        insert.bind(id.to_owned()).bind("x".repeat(name_bytes)).execute(&mut **transaction).await
    }

    /// The connection that writes may not make the file any longer: as on a full disk.
    async fn no_more_room(database: &Database) {
        let mut transaction = database.begin().await.expect("it begins");
        Sql::new("PRAGMA max_page_count = 1").row(&mut *transaction).await.expect("a limit is set");
    }

    async fn tenants(database: &Database) -> Vec<String> {
        let rows = Sql::new("SELECT id FROM tenants ORDER BY id").rows(database.reader()).await.expect("rows");
        rows.iter().map(|row| row.text("id").expect("an id")).collect()
    }

    #[test]
    fn a_transaction_that_sqlite_ended_is_left_on_no_connection() {
        with_database(async |database| {
            no_more_room(&database).await;
            let mut transaction = database.begin().await.expect("it begins");
            tenant(&mut transaction, "half", 1).await.expect("there is room in a page");
            let error = tenant(&mut transaction, "large", 1 << 20).await.expect_err("there is no room");
            assert!(matches!(error, Error::Full { .. }), "{error:?}");
            // Nobody who wrote has told of it, and it shows all the same.
            drop(transaction);
            let mut transaction = database.begin().await.expect("it begins again");
            assert!(database.standing().trouble().is_some());
            tenant(&mut transaction, "whole", 1 << 20).await.expect("another connection has no such limit");
            transaction.commit().await.expect("it is written");
            assert_eq!(tenants(&database).await, ["whole"]);
            assert_eq!(database.standing().trouble(), None);
        });
    }

    #[test]
    fn a_commit_of_what_sqlite_ended_fails() {
        with_database(async |database| {
            no_more_room(&database).await;
            let mut transaction = database.begin().await.expect("it begins");
            tenant(&mut transaction, "half", 1).await.expect("there is room in a page");
            tenant(&mut transaction, "large", 1 << 20).await.expect_err("there is no room");
            transaction.commit().await.expect_err("nothing is there to be written");
            database.begin().await.expect("it begins again").commit().await.expect("it is written");
            assert_eq!(tenants(&database).await, Vec::<String>::new());
        });
    }

    #[test]
    fn what_was_to_be_written_is_no_trouble() {
        with_database(async |database| {
            let mut transaction = database.begin().await.expect("it begins");
            tenant(&mut transaction, "a", 1).await.expect("it is made");
            let error = tenant(&mut transaction, "a", 1).await.expect_err("it is there");
            transaction.noticed(error);
            assert_eq!(database.standing().trouble(), None);
            // That did not end the transaction.
            transaction.commit().await.expect("it is written");
            assert_eq!(tenants(&database).await, ["a"]);
        });
    }
}
