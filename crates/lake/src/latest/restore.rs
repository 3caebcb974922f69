//! Devices at a start: from the checkpoint and what was committed behind it, or else from all files.

use super::checkpoint::{Loaded, load};
use super::{Devices, Summary as _};
use crate::source::Files;
use crate::table::{Added, Table};
use crate::{Error, query};
use futures::TryStreamExt as _;
use std::sync::Arc;

/// The devices of all records that are in files.
///
/// # Errors
///
/// When files cannot be read.
pub(crate) async fn open(table: &Table) -> Result<Devices, Error> {
    let (version, name) = (table.version(), table.name());
    match load(&*table.store()).await? {
        Loaded::Devices(devices, saved) if saved <= version => match catch_up(devices, table, saved, version).await {
            Ok(Some((devices, _))) => return Ok(devices),
            Ok(None) => tracing::info!(
                "the latest records of the table {name} are looked for in all files: what was committed since they were \
                 saved is not there as it was committed any more"
            ),
            Err(error) => tracing::warn!(
                "the latest records of the table {name} are looked for in all files: what was committed since they were \
                 saved cannot be read: {error}"
            ),
        },
        Loaded::Devices(..) => tracing::warn!(
            "the latest records of the table {name} are looked for in all files: what was saved of them is of a later \
             version than the table"
        ),
        Loaded::Damaged => tracing::warn!(
            "the latest records of the table {name} are looked for in all files: what was saved of them is damaged, or another \
             version of the program saved it"
        ),
        Loaded::Missing if version > 0 => {
            tracing::info!("the latest records of the table {name} are looked for in all files: none were saved");
        }
        Loaded::Missing => {}
    }
    all(table).await
}

/// The devices of all files. One that is damaged stops nobody: it is told, and what the others have is known.
///
/// # Errors
///
/// When files cannot be read now.
pub(crate) async fn all(table: &Table) -> Result<Devices, Error> {
    let (devices, missed) = of(table, table.provider()?).await?;
    missed.iter().for_each(|missed| tell(table, missed));
    Ok(devices)
}

/// A file whose records are not known, and why.
struct Missed {
    name: String,
    file: Arc<Files>,
    error: Error,
}

/// The devices of some files, and those that cannot be read: of all at once, or where that cannot be of one after the other.
async fn of(table: &Table, files: Arc<Files>) -> Result<(Devices, Vec<Missed>), Error> {
    let (since, mut devices, mut missed) = (table.place().failures(), Devices::default(), Vec::new());
    let Err(error) = read(&mut devices, files.clone()).await else { return Ok((devices, missed)) };
    let explained = |error| table.place().explained(since, error);
    let error = explained(error);
    if error.may_pass() {
        return Err(error);
    }
    devices = Devices::default();
    for (name, file) in files.each() {
        let (mut found, file) = (Devices::default(), Arc::new(file));
        match read(&mut found, file.clone()).await.map_err(explained) {
            Ok(()) => devices.merge(found),
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => missed.push(Missed { name, file, error }),
        }
    }
    Ok((devices, missed))
}

/// Remembers a file whose records are not known, and says what is to be done about it.
fn tell(table: &Table, Missed { name: file, error, .. }: &Missed) {
    let (name, why) = (table.name(), error.line());
    table.place().found_damaged(file, &why);
    if error.is_unfit() {
        tracing::error!(
            table = name,
            file,
            "a file of history has what its columns in the table cannot have. It is not damaged, but somebody else's, and stays as \
             it is. Its records are not known here, and questions that need such a column of it fail, until whoever wrote it \
             writes it again with what fits: {why}"
        );
        return;
    }
    tracing::error!(
        table = name,
        file,
        "a file of history cannot be read: put it back from a backup. Until then its records are missing in queries, \
         and those of them that are sent again are taken for new ones: {why}"
    );
}

/// Takes in what commits behind the version `from`, up to `to`, added; and gives besides up to where there are records in those
/// of other nodes. `None`: that cannot be told from them.
///
/// # Errors
///
/// When files cannot be read.
pub(crate) async fn catch_up(
    mut devices: Devices,
    table: &Table,
    from: u64,
    to: u64,
) -> Result<Option<(Devices, Devices)>, Error> {
    let mut others = Devices::default();
    for version in from + 1..=to {
        let Some(Added { files, is_own }) = table.added(version).await? else { return Ok(None) };
        let Some(files) = files else { continue };
        let (came, missed) = of(table, files).await?;
        // It was merged into another one and deleted since. That one has records besides that were counted before `from`.
        if any_gone(table, &missed).await? {
            return Ok(None);
        }
        missed.iter().for_each(|missed| tell(table, missed));
        if !is_own {
            others.merge(came.marks());
        }
        devices.merge(came);
    }
    Ok(Some((devices, others)))
}

/// Whether one of them is not there any more. Of one that cannot be looked at, that is not known.
async fn any_gone(table: &Table, missed: &[Missed]) -> Result<bool, Error> {
    for missed in missed {
        let since = table.place().failures();
        match missed.file.is_one_gone().await.map_err(|error| table.place().explained(since, error)) {
            Ok(true) => return Ok(true),
            Err(error) if error.may_pass() => return Err(error),
            Ok(false) | Err(_) => {}
        }
    }
    Ok(false)
}

async fn read(devices: &mut Devices, files: Arc<Files>) -> Result<(), Error> {
    let mut rows = query::all(files).await?;
    while let Some(rows) = rows.try_next().await? {
        devices.push_batch(&rows)?;
    }
    Ok(())
}
