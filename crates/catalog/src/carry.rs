//! All that a catalog has, carried as rows: out of PostgreSQL into a file of SQLite for a backup, and out of such a file into PostgreSQL.
//!
//! Which tables and columns there are is asked of SQLite, where the migrations have made them, so none can be forgotten here. Tables
//! are carried in the order in which they were made: whatever one refers to is there before it.

use std::path::Path;

use futures::TryStreamExt as _;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::migrate::MigrateError;
use sqlx::{Any, AnyConnection, Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use crate::Error;
use crate::database::{Database, Kind, create, migrations, opening, options, sqlite_options};
use crate::sql::{Columns as _, Sql};

/// Whether a database has no catalog yet, or one without any tenant: all else belongs to one. Its tables are brought to this version.
///
/// # Errors
///
/// When it cannot be reached, or its tables cannot be brought to this version.
pub async fn is_vacant(url: &str) -> Result<bool, Error> {
    let database = Database::open(url).await?;
    let found = Sql::new(ANYBODY).row(database.reader()).await;
    database.close().await;
    Ok(found?.is_none())
}

/// Fills a vacant database with all that the catalog in a file of SQLite has, at once or not at all. `reached` is told how many rows
/// went so far, each time that some did.
///
/// # Errors
///
/// When the database is not vacant, either of them cannot be read, or the database cannot be written. Then nothing is changed.
pub async fn load(file: &Path, url: &str, reached: &dyn Fn(u64)) -> Result<(), Error> {
    let database = Database::open(url).await?;
    let filled = fill(file, &database, reached).await;
    database.close().await;
    filled
}

async fn fill(file: &Path, database: &Database, reached: &dyn Fn(u64)) -> Result<(), Error> {
    let mut from = sqlite_options(file)?.connect().await.map_err(opening)?;
    let mut transaction = database.begin().await?;
    if database.is_shared() {
        run(NO_TIME_LIMITS, &mut transaction).await?;
        // Whoever begins a catalog of their own there now waits, and finds this one.
        run("LOCK TABLE tenants IN EXCLUSIVE MODE", &mut transaction).await?;
    }
    if Sql::new(ANYBODY).row(&mut *transaction).await?.is_some() {
        return Err(Error::conflict("the database has a catalog already"));
    }
    let into = if database.is_shared() { Kind::Postgres } else { Kind::Sqlite };
    let mut carrier = Carrier { into, to: &mut transaction, rows: 0, reached };
    for table in tables(&mut from).await? {
        carrier.carry(&table, &mut from).await?;
    }
    transaction.commit().await?;
    from.close().await.map_err(Error::reading)
}

/// Copies the catalog in PostgreSQL, as it is at one moment, into a new file of SQLite; `false`: there is none yet. Nothing is locked
/// there but against changes of the tables themselves. Where it fails, what is in the file is half.
pub(crate) async fn into_file(url: &str, to: &Path, reached: &dyn Fn(u64)) -> Result<bool, Error> {
    let mut from = options(url)?.connect().await.map_err(opening)?;
    // Everything that is read on it from here on is as it was at the first question, whoever writes meanwhile.
    run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", &mut from).await?;
    run(NO_TIME_LIMITS, &mut from).await?;
    let Some(version) = version(&mut from).await? else { return Ok(false) };
    create(to)?;
    let mut file = sqlite_options(to)?.connect().await.map_err(opening)?;
    run(NOBODY_ELSES, &mut file).await?;
    // A server that runs may not have been brought to this version yet: then the copy has the tables of its.
    migrations(Kind::Sqlite).run_direct(Some(version), &mut file, false).await?;
    run("BEGIN", &mut file).await?;
    let tables = tables(&mut file).await?;
    let mut carrier = Carrier { into: Kind::Sqlite, to: &mut file, rows: 0, reached };
    for table in &tables {
        carrier.carry(table, &mut from).await?;
    }
    run("COMMIT", &mut file).await?;
    file.close().await.map_err(Error::writing)?;
    from.close().await.map_err(Error::reading)?;
    Ok(true)
}

/// Which of our migrations PostgreSQL's tables have.
async fn version(from: &mut AnyConnection) -> Result<Option<i64>, Error> {
    let known = Sql::new("SELECT CAST(to_regclass('_sqlx_migrations') AS TEXT) AS name").row(&mut *from).await?;
    if known.map(|row| row.text_or_none("name")).transpose()?.flatten().is_none() {
        return Ok(None);
    }
    let newest = Sql::new("SELECT max(version) AS newest FROM _sqlx_migrations WHERE success").row(&mut *from).await?;
    let newest = newest.map(|row| row.number_or_none("newest")).transpose()?.flatten();
    match newest {
        // Its columns are not known here, and would be missing.
        Some(newest) if !migrations(Kind::Postgres).version_exists(newest) => {
            Err(MigrateError::VersionMissing(newest).into())
        }
        newest => Ok(newest),
    }
}

/// A table, as its migrations made it.
#[derive(Debug)]
struct Table {
    name: String,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// Else it is a number.
    is_text: bool,
    /// It is part of what tells rows apart.
    is_key: bool,
}

/// The tables of a catalog in SQLite, in the order in which they were made.
async fn tables(of: &mut AnyConnection) -> Result<Vec<Table>, Error> {
    let mut tables = Vec::new();
    for row in Sql::new(TABLES).rows(&mut *of).await? {
        let name = row.text("name")?;
        let columns = Sql::new(COLUMNS).bind(name.clone()).rows(&mut *of).await?;
        let column = |row: &AnyRow| {
            let (name, is_text) = (row.text("name")?, row.text("type")? == "TEXT");
            Ok::<_, Error>(Column { name, is_text, is_key: row.flag("pk")? })
        };
        tables.push(Table { name, columns: columns.iter().map(column).collect::<Result<_, _>>()? });
    }
    Ok(tables)
}

impl Table {
    /// By their keys: in this order whoever takes them in has each table and its key grow at the end.
    fn select(&self) -> String {
        let all = list(self.columns.iter());
        let key = list(self.columns.iter().filter(|column| column.is_key));
        format!("SELECT {all} FROM \"{}\" ORDER BY {key}", self.name)
    }

    /// A statement that takes so many rows.
    fn insert(&self, into: Kind, rows: usize) -> String {
        let mut text = format!("INSERT INTO \"{}\" ({}) VALUES ", self.name, list(self.columns.iter()));
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..self.columns.len() {
                text.push_str(if column == 0 { "" } else { ", " });
                match into {
                    // SQLite takes a number for a name, and looks it up among all before it: of two thousand, that takes longer
                    // than all else.
                    Kind::Sqlite => text.push('?'),
                    Kind::Postgres => {
                        text.push('$');
                        text.push_str(&(row * self.columns.len() + column + 1).to_string());
                    }
                }
            }
            text.push(')');
        }
        text
    }
}

fn list<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ")
}

/// Where rows go, and who is told how many went.
struct Carrier<'a> {
    into: Kind,
    to: &'a mut AnyConnection,
    rows: u64,
    reached: &'a dyn Fn(u64),
}

impl Carrier<'_> {
    /// Carries the rows of a table, of which one batch is in memory at a time: the database that is read waits while it is written.
    async fn carry(&mut self, table: &Table, from: &mut AnyConnection) -> Result<(), Error> {
        // Names of tables and columns are those that our migrations have.
        let mut rows = sqlx::query::<Any>(AssertSqlSafe(table.select())).fetch(from);
        let mut batch = Batch::default();
        while let Some(row) = rows.try_next().await.map_err(Error::reading)? {
            batch.add(table, &row)?;
            if batch.is_full() {
                self.write(table, std::mem::take(&mut batch)).await?;
            }
        }
        if batch.rows > 0 {
            self.write(table, batch).await?;
        }
        Ok(())
    }

    async fn write(&mut self, table: &Table, batch: Batch) -> Result<(), Error> {
        let statement = AssertSqlSafe(table.insert(self.into, batch.rows));
        let insert = sqlx::query_with::<Any, _>(statement, batch.arguments);
        // A table has one that is used again and again, and that one is kept prepared.
        let insert = insert.persistent(batch.rows == ROWS_AT_ONCE);
        insert.execute(&mut *self.to).await.map_err(Error::writing)?;
        self.rows += batch.rows as u64;
        (self.reached)(self.rows);
        Ok(())
    }
}

/// Rows that are written by one statement.
#[derive(Default)]
struct Batch {
    arguments: AnyArguments,
    rows: usize,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, table: &Table, row: &AnyRow) -> Result<(), Error> {
        for (index, column) in table.columns.iter().enumerate() {
            let added = if column.is_text {
                let text: Option<String> = row.try_get(index).map_err(Error::reading)?;
                self.bytes += text.as_ref().map_or(0, String::len);
                self.arguments.add(text)
            } else {
                self.arguments.add(row.try_get::<Option<i64>, _>(index).map_err(Error::reading)?)
            };
            added.expect("an argument is text or a number");
        }
        self.rows += 1;
        Ok(())
    }

    const fn is_full(&self) -> bool {
        self.rows >= ROWS_AT_ONCE || self.bytes >= BYTES_AT_ONCE
    }
}

async fn run(text: &'static str, on: &mut AnyConnection) -> Result<(), Error> {
    sqlx::raw_sql(text).execute(on).await.map(drop).map_err(Error::writing)
}

/// Every row of every table belongs to a tenant.
const ANYBODY: &str = "SELECT id FROM tenants LIMIT 1";
const TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> '_sqlx_migrations' \
    AND substr(name, 1, 7) <> 'sqlite_' ORDER BY rowid";
const COLUMNS: &str = "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid";
/// A file that is thrown away if it does not come to its end.
/// Of that file 32 MiB are in memory: rows come by their keys, and indexes have other orders.
const NOBODY_ELSES: &str = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; \
    PRAGMA cache_size = -32768";
/// What an operator allows those who ask and change is too little for all rows of a large table. Which limits there are depends on the
/// version of PostgreSQL.
const NO_TIME_LIMITS: &str = "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN \
    ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')";
/// The way to the server and back is worth it. SQLite takes 32,766 arguments, PostgreSQL 65,535, and a row has some twenty.
const ROWS_AT_ONCE: usize = 100;
/// Rows may be long: an entry of the audit log up to 128 KiB.
const BYTES_AT_ONCE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// What [`is_vacant`] and the order of tables stand on.
    #[test]
    fn every_table_refers_to_what_was_made_before_it_and_so_to_tenants() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            sqlx::any::install_default_drivers();
            let mut memory = options("sqlite::memory:").expect("an address").connect().await.expect("it opens");
            migrations(Kind::Sqlite).run_direct(None, &mut memory, false).await.expect("tables");
            let tables = tables(&mut memory).await.expect("tables");
            let mut before = Vec::new();
            for table in &tables {
                let text = "SELECT \"table\" AS made FROM pragma_foreign_key_list($1)";
                let rows = Sql::new(text).bind(table.name.clone()).rows(&mut memory).await.expect("keys");
                let refers: Vec<String> = rows.iter().map(|row| row.text("made").expect("a name")).collect();
                assert_eq!(refers.is_empty(), table.name == "tenants", "{table:?} refers to {refers:?}");
                assert!(refers.iter().all(|name| before.contains(name)), "{table:?} refers to {refers:?}");
                assert!(table.columns.iter().any(|column| column.is_key), "{table:?}");
                before.push(table.name.clone());
            }
            assert_eq!(before.first().map(String::as_str), Some("tenants"));
            assert!(before.contains(&"shares".to_owned()), "{before:?}");
        });
    }

    #[test]
    fn statements_name_every_column() {
        let column = |name: &str, is_key| Column { name: name.to_owned(), is_text: true, is_key };
        let columns = vec![column("tenant", true), column("day", true), column("messages", false)];
        let table = Table { name: "usage".to_owned(), columns };
        let select = "SELECT \"tenant\", \"day\", \"messages\" FROM \"usage\" ORDER BY \"tenant\", \"day\"";
        assert_eq!(table.select(), select);
        let into = "INSERT INTO \"usage\" (\"tenant\", \"day\", \"messages\") VALUES";
        assert_eq!(table.insert(Kind::Sqlite, 2), format!("{into} (?, ?, ?), (?, ?, ?)"));
        assert_eq!(table.insert(Kind::Postgres, 1), format!("{into} ($1, $2, $3)"));
        assert_eq!(table.insert(Kind::Postgres, 2), format!("{into} ($1, $2, $3), ($4, $5, $6)"));
    }
}
