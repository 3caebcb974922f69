//! `odograph device erase` and `odograph tenant erase`: all that was sent and is kept goes, and the proofs of others stay.

use crate::cli::Outcome;
use crate::client::Access;
use crate::config::{Config, Source};
use crate::erase::{self, EraseQuery, Erased, Load, Of};
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use anyhow::{Context as _, Result};
use clap::Args;
use std::io::Write;

/// Erase all that a device sent and that is kept of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph device erase 352093081452251                    says what there is\n  \
    odograph device erase 352093081452251 --tenant north --yes\n\n\
    It goes from the journal, from history with all its older files, from live state, and from the catalog. Others' data and\n\
    their proofs stay as they are: `odograph journal verify --history` says so. Backups that were made before have it until they\n\
    are pruned, and so has whoever got it by a stream or an export.")]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    source: Source,
    /// The device's id.
    #[arg(value_name = "ID")]
    id: String,
    /// Whose device.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Do it. Nothing brings it back but an older backup.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    let of = Of { tenant: options.tenant.as_str().into(), device: Some(options.id.as_str().into()) };
    carry_out(&config, &of, options.yes, options.json, out)
}

/// Through the server.
pub(in crate::cli) fn carry_out(
    config: &Config,
    of: &Of,
    yes: bool,
    json: bool,
    out: &mut dyn Write,
) -> Result<Outcome> {
    erase::check(config, of)?;
    let folder = Folder::of(config);
    let server = match Access::of(&folder)? {
        Access::Server(server) => server,
        Access::Own(_) => {
            let what = format!(
                "no server runs on {}, and only a running one can erase: it knows how far history has read, and keeps the device out \
                 meanwhile. Start it (`odograph serve`) and try again",
                folder.path().display()
            );
            return Err(Failure::new(Status::Unavailable, what).into());
        }
    };
    let body = serde_json::to_vec(&EraseQuery { of: of.clone(), yes })?.into();
    let mut answer = Vec::new();
    server.stream("POST", "/control/erase", body, |chunk| {
        answer.extend_from_slice(chunk);
        Ok(())
    })?;
    let erased: Erased = serde_json::from_slice(&answer).context("the server's answer")?;
    if json {
        writeln!(out, "{}", serde_json::to_string(&erased)?)?;
    } else {
        show(of, &erased, out)?;
    }
    Ok(Outcome::Done)
}

fn show(of: &Of, erased: &Erased, out: &mut dyn Write) -> Result<()> {
    let Load { entries, bytes, segments, records, frames, events, files, days } = erased.load;
    let whose = match &of.device {
        Some(device) => format!("device {device} of tenant {}", of.tenant),
        None => format!("tenant {}", of.tenant),
    };
    writeln!(out, "{whose}:")?;
    writeln!(out, "  journal: {entries} entries, {bytes} bytes, in {segments} segments")?;
    writeln!(out, "  history: {records} records, {frames} frames, {events} events, in {files} files of {days} days")?;
    match erased.order {
        Some(order) => writeln!(
            out,
            "Erased (order {order}). Backups that were made before have it until they are pruned; what was streamed or exported is elsewhere."
        )?,
        None => writeln!(out, "Nothing was erased: --yes does it.")?,
    }
    Ok(())
}
