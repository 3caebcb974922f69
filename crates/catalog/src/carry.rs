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

/// Fills a vacant database with all that the catalog in a file of SQLite has, at once or not at all.
///
/// # Errors
///
/// When the database is not vacant, either of them cannot be read, or the database cannot be written. Then nothing is changed.
pub async fn load(file: &Path, url: &str) -> Result<(), Error> {
    let database = Database::open(url).await?;
    let filled = fill(file, &database).await;
    database.close().await;
    filled
}

async fn fill(file: &Path, database: &Database) -> Result<(), Error> {
    let mut from = sqlite_options(file)?.connect().await.map_err(opening)?;
    let mut transaction = database.begin().await?;
    if database.is_shared() {
        // Whoever begins a catalog of their own there now waits, and finds this one.
        run("LOCK TABLE tenants IN EXCLUSIVE MODE", &mut transaction).await?;
    }
    if Sql::new(ANYBODY).row(&mut *transaction).await?.is_some() {
        return Err(Error::conflict("the database has a catalog already"));
    }
    for table in tables(&mut from).await? {
        carry(&table, &mut from, &mut transaction).await?;
    }
    transaction.commit().await?;
    from.close().await.map_err(Error::reading)
}

/// Copies the catalog in PostgreSQL, as it is at one moment, into a new file of SQLite; `false`: there is none yet.
pub(crate) async fn into_file(url: &str, to: &Path) -> Result<bool, Error> {
    let mut from = options(url)?.connect().await.map_err(opening)?;
    // Everything that is read on it from here on is as it was at the first question, whoever writes meanwhile.
    run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", &mut from).await?;
    let Some(version) = version(&mut from).await? else { return Ok(false) };
    create(to)?;
    let mut file = sqlite_options(to)?.connect().await.map_err(opening)?;
    run(NOBODY_ELSES, &mut file).await?;
    // A server that runs may not have been brought to this version yet: then the copy has the tables of its.
    migrations(Kind::Sqlite).run_direct(Some(version), &mut file, false).await?;
    run("BEGIN", &mut file).await?;
    for table in tables(&mut file).await? {
        carry(&table, &mut from, &mut file).await?;
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

    fn insert(&self) -> String {
        format!("INSERT INTO \"{}\" ({}) VALUES ", self.name, list(self.columns.iter()))
    }
}

fn list<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ")
}

/// Carries the rows of a table, of which some are in memory at a time.
async fn carry(table: &Table, from: &mut AnyConnection, to: &mut AnyConnection) -> Result<(), Error> {
    // Names of tables and columns are those that our migrations have.
    let mut rows = sqlx::query::<Any>(AssertSqlSafe(table.select())).fetch(from);
    let mut batch = Batch::default();
    while let Some(row) = rows.try_next().await.map_err(Error::reading)? {
        batch.add(table, &row)?;
        if batch.rows >= ROWS_AT_ONCE || batch.bytes >= BYTES_AT_ONCE {
            std::mem::take(&mut batch).write(to).await?;
        }
    }
    batch.write(to).await
}

/// Rows that are written by one statement.
#[derive(Default)]
struct Batch {
    statement: String,
    arguments: AnyArguments,
    rows: usize,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, table: &Table, row: &AnyRow) -> Result<(), Error> {
        match self.rows {
            0 => self.statement = table.insert(),
            _ => self.statement.push_str(", "),
        }
        for (index, column) in table.columns.iter().enumerate() {
            let added = if column.is_text {
                let text: Option<String> = row.try_get(index).map_err(Error::reading)?;
                self.bytes += text.as_ref().map_or(0, String::len);
                self.arguments.add(text)
            } else {
                self.arguments.add(row.try_get::<Option<i64>, _>(index).map_err(Error::reading)?)
            };
            added.expect("an argument is text or a number");
            let begin = if index == 0 { "($" } else { ", $" };
            self.statement.push_str(begin);
            self.statement.push_str(&self.arguments.len().to_string());
        }
        self.statement.push(')');
        self.rows += 1;
        Ok(())
    }

    async fn write(self, to: &mut AnyConnection) -> Result<(), Error> {
        if self.rows == 0 {
            return Ok(());
        }
        let insert = sqlx::query_with::<Any, _>(AssertSqlSafe(self.statement), self.arguments).persistent(false);
        insert.execute(to).await.map(drop).map_err(Error::writing)
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
const NOBODY_ELSES: &str = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY";
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
        assert_eq!(table.insert(), "INSERT INTO \"usage\" (\"tenant\", \"day\", \"messages\") VALUES ");
    }
}
