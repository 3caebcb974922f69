//! `odograph restore`: a backup becomes a data folder.

mod catalog;
mod told;

use super::backup::{clock, runtime, show};
use super::pairs::moment;
use super::{Outcome, journal};
use crate::backup::{At, MARK};
use crate::config::{Config, Source};
use crate::folder::Folder;
use crate::history;
use anyhow::{Context as _, Result};
use catalog::CatalogTo;
use clap::Args;
use odograph_backup::{Destination, LakeTo, Manifest, Progress};
use odograph_env::{Disk, LocalDisk, SystemRng};
use odograph_journal::{Resumed, resume_copy};
use odograph_model::Time;
use std::io::{IsTerminal as _, Write};
use std::sync::Arc;
use told::{JournalView, View, tell};

/// Make a data folder of a backup, on this or another machine.
///
/// Nothing may be there yet. The journal goes on far behind the places that the backup has, because the machine that was backed up
/// may have acknowledged more under those: do not start both as the same node at one place of history.
///
/// What people have ended since the backup would hold again: sessions, links to devices and commands that waited are ended; tokens and users
/// are listed, so that you can take back what was taken back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph restore --from /mnt/backup/odograph --data /var/lib/odograph --verify\n  \
    odograph restore --from s3://fleet-backup/odograph --at 2026-06-01T12:00:00Z\n\n\
    One that was interrupted goes on when it is called again.")]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// Where the backups are: a folder, or the address of an object store.
    #[arg(long, value_name = "FOLDER|URL")]
    from: Option<String>,
    /// The newest one of those not after this moment, instead of the newest of all.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Time>,
    /// History is in an object store, and stays as it is there.
    #[arg(long)]
    keep_lake: bool,
    /// The catalog is in PostgreSQL, and stays as it is there.
    #[arg(long)]
    keep_catalog: bool,
    /// Leave links to devices as they were, also those that were taken back since.
    #[arg(long)]
    keep_links: bool,
    /// Run `odograph journal verify` afterwards.
    #[arg(long)]
    verify: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    let folder = Folder::of(&config);
    let at = At::named(options.from.as_deref(), "--from", &config)?;
    at.apart_from(folder.path())?;
    let place = at.target(clock())?;
    let manifest = runtime()?.block_on(place.target.find(options.at));
    let mut manifest = manifest.map_err(|error| place.explained(error.into()))?;
    let catalog_to = CatalogTo::of(&mut manifest, &config, options.keep_catalog)?;
    folder.create()?;
    let _lock = folder.lock_to_restore()?;
    let to = destination(options, &config, &folder, &manifest)?;
    catalog::forget_begun(&folder)?;
    let shown = std::io::stderr().is_terminal();
    let mut look = |progress: Progress| {
        if shown {
            show(progress);
        }
    };
    let restored = runtime()?.block_on(place.target.restore(&manifest, &to, &mut look));
    if shown {
        eprint!("\r\x1b[K");
    }
    let restored = restored.map_err(|error| place.explained(error.into()))?;
    let (journals, header) = (go_on(&folder)?, manifest.header);
    let ended = catalog_to.put(&folder, header.time, options.keep_links)?;
    to.complete()?;
    let view = View {
        time: header.time,
        files: restored.files,
        bytes: restored.bytes,
        catalog: header.source.catalog,
        catalog_to,
        missing: header.missing,
        journals,
        revived: ended.map(Into::into),
    };
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&view)?)?;
    } else {
        tell(&view, options.keep_links, options.verify, out)?;
    }
    match options.verify {
        true => journal::verify(options.source.clone(), options.json, out),
        false => Ok(Outcome::Done),
    }
}

fn destination(options: &Options, config: &Config, folder: &Folder, manifest: &Manifest) -> Result<Destination> {
    let lake = match config.lake.remote() {
        _ if options.keep_lake => LakeTo::Kept,
        None => LakeTo::Folder,
        Some(store) => LakeTo::Store(history::lake(config, folder)?.objects(), store.url),
    };
    if manifest.header.source.node != config.journal.node {
        eprintln!("warning: the backup is of node {}: set journal.node to that", manifest.header.source.node);
    }
    let folder = std::path::absolute(folder.path()).context("cannot tell where the data folder is")?;
    Ok(Destination { disk: Arc::new(LocalDisk), folder, mark: MARK.to_owned(), lake })
}

/// Makes journals of their own of what was copied.
fn go_on(folder: &Folder) -> Result<Vec<JournalView>> {
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let mut journals = Vec::new();
    for node in folder.nodes()? {
        let options = odograph_journal::Options { node, ..odograph_journal::Options::default() };
        let Resumed { end, next, .. } = resume_copy(&folder.journal(node), options, &disk, &clock(), &SystemRng)?;
        journals.push(JournalView { node, end: end.0, next: next.0 });
    }
    Ok(journals)
}
