//! Where the catalog of a backup goes: into the data folder, or into PostgreSQL where the configuration names that.
//!
//! In a backup it is a file of SQLite in any case. What is to be ended is ended in that file, before anybody else can have it.

use super::super::UsageError;
use super::super::backup::{clock, runtime, show_rows};
use crate::backup::{CATALOG, MARK};
use crate::catalog::cannot_open;
use crate::config::Config;
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use anyhow::{Context as _, Result};
use odograph_backup::Manifest;
use odograph_catalog::{Catalog, Restored};
use odograph_env::SystemRng;
use odograph_model::Time;
use serde::Serialize;
use std::cell::Cell;
use std::io::{ErrorKind, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

/// Where the catalog of a backup goes.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CatalogTo {
    /// It stays a file in the data folder.
    Folder,
    /// Into a database with this address, which nobody is shown.
    #[serde(rename = "postgres")]
    Database(#[serde(skip)] String),
    /// Nowhere: the database keeps what it has.
    Kept,
    /// Nowhere: the backup has none.
    Nowhere,
}

impl CatalogTo {
    /// Decides it, before anything is restored, and takes out of the manifest what is not wanted.
    pub(super) fn of(manifest: &mut Manifest, config: &Config, keep: bool) -> Result<Self> {
        let url = config.catalog.url.as_ref().map(|url| &url.0);
        let database = url.filter(|url| !url.starts_with("sqlite:"));
        if keep {
            if database.is_none() {
                return Err(UsageError(KEEP_WHAT.to_owned()).into());
            }
            manifest.files.retain(|file| file.path != CATALOG);
            return Ok(Self::Kept);
        }
        if manifest.files.iter().all(|file| file.path != CATALOG) {
            return Ok(Self::Nowhere);
        }
        let Some(database) = database else {
            if let Some(url) = url {
                eprintln!(
                    "warning: catalog.url names {url}: move the data folder's {CATALOG} there before a server starts"
                );
            }
            return Ok(Self::Folder);
        };
        match runtime()?.block_on(odograph_catalog::is_vacant(database)).map_err(|error| cannot_open(&error))? {
            true => Ok(Self::Database(database.clone())),
            false => Err(Failure::new(Status::Config, TAKEN).into()),
        }
    }

    /// Puts it there, without what may have been ended since the backup. What was ended and what holds again is told.
    pub(super) fn put(&self, folder: &Folder, backup: Time, keep_links: bool) -> Result<Option<Restored>> {
        match self {
            Self::Folder => end(folder, backup, keep_links).map(Some),
            Self::Database(url) => {
                let ended = end(folder, backup, keep_links)?;
                load(folder, url).context("the catalog could not be put into the database that catalog.url names")?;
                remove(folder, ALL)?;
                Ok(Some(ended))
            }
            // An attempt before this one may have wanted it.
            Self::Kept => remove(folder, ALL).map(|()| None),
            Self::Nowhere => Ok(None),
        }
    }
}

/// Fills the database, and shows a person at a terminal how far it is.
fn load(folder: &Folder, url: &str) -> Result<()> {
    let (shown, clock, last) = (std::io::stderr().is_terminal(), clock(), Cell::new(Duration::ZERO));
    let reached = |rows| {
        let now = clock.monotonic();
        if shown && now.saturating_sub(last.get()) >= SHOW {
            last.set(now);
            show_rows(rows);
        }
    };
    let loaded = runtime()?.block_on(odograph_catalog::load(&folder.catalog(), url, &reached));
    if shown {
        eprint!("\r\x1b[K");
    }
    Ok(loaded?)
}

/// What an attempt left of the catalog that was interrupted after it had been opened: the database would take it for its own.
pub(super) fn forget_begun(folder: &Folder) -> Result<()> {
    if !folder.path().join(MARK).exists() {
        return Ok(());
    }
    remove(folder, BESIDE)
}

fn remove(folder: &Folder, endings: &[&str]) -> Result<()> {
    for ending in endings {
        let mut path = folder.catalog().into_os_string();
        path.push(ending);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).context(format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Ends what may have been ended since the backup, in the catalog that was restored.
fn end(folder: &Folder, backup: Time, keep_links: bool) -> Result<Restored> {
    let url = format!("sqlite:{}", folder.catalog().display());
    runtime()?.block_on(async {
        let catalog = Catalog::open(&url, clock(), Arc::new(SystemRng)).await.map_err(|error| cannot_open(&error))?;
        let ended = catalog.restored(backup.0, keep_links).await;
        catalog.close().await;
        ended.context("what was ended since the backup may hold again in the catalog: nothing of it could be ended")
    })
}

/// Often enough for a person.
const SHOW: Duration = Duration::from_millis(200);
/// What SQLite has beside a file.
const BESIDE: &[&str] = &["-wal", "-shm", "-journal"];
/// And the file itself, last.
const ALL: &[&str] = &["-wal", "-shm", "-journal", ""];
const KEEP_WHAT: &str =
    "--keep-catalog is for a catalog in PostgreSQL, and the configuration names none: set catalog.url";
const TAKEN: &str = "the database that catalog.url names has a catalog already, and nothing was restored: name an empty \
    database, or go on using what is there with --keep-catalog (also where an interrupted restore had just filled it)";
