//! `odograph journal verify`: whether every byte is as it was written and sealed.

use super::super::Outcome;
use crate::client;
use crate::config::Source;
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use anyhow::Result;
use clap::Args;
use odograph_journal::{Problem, Progress, PublicKey, Report};
use odograph_wire::notation::from_hex;
use serde::Serialize;
use std::io::{IsTerminal as _, Write};

/// Check every entry, hash, index and signature; exit with 1 if anything is not as it was written.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// Check signatures with this public key (64 hex digits) instead of the folder's own.
    #[arg(long, value_name = "HEX", value_parser = key)]
    key: Option<PublicKey>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn key(text: &str) -> Result<PublicKey, String> {
    let bytes = from_hex(text).map_err(|error| error.to_string())?;
    bytes.try_into().map_err(|_| "a public key has 64 hex digits".to_owned())
}

#[derive(Serialize)]
struct View {
    sound: bool,
    sealed: u64,
    unsealed: u64,
    removed: u64,
    entries: u64,
    bytes: u64,
    problems: Vec<ProblemView>,
}

#[derive(Serialize)]
struct ProblemView {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    what: String,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    let folder = Folder::of(&config);
    folder.require()?;
    let Some(reader) = folder.reader(config.journal.node)? else {
        let what = format!("there is no journal in {}", folder.journal(config.journal.node).display());
        return Err(Failure::new(Status::NoInput, what).into());
    };
    // What a running server calls durable must be readable; without one, nobody knows how far writing came.
    let durable = client::durable(&folder)?;
    let shown = std::io::stderr().is_terminal();
    let mut progress = |progress: Progress| {
        if shown {
            let Progress { done, total } = progress;
            eprint!("\r\x1b[K{done} of {total} bytes");
        }
    };
    let report = reader.verify(options.key, durable, &mut progress)?;
    if shown {
        eprint!("\r\x1b[K");
    }
    let Report { sealed, unsealed, removed, entries, bytes, problems } = report;
    let sound = problems.is_empty();
    if options.json {
        let problems = problems.iter().map(view).collect();
        let view = View { sound, sealed, unsealed, removed, entries, bytes, problems };
        writeln!(out, "{}", serde_json::to_string(&view)?)?;
    } else {
        for problem in &problems {
            writeln!(out, "{problem}")?;
        }
        writeln!(
            out,
            "{entries} entries in {bytes} bytes, {sealed} sealed segments, {unsealed} without a seal, {removed} removed: {}",
            if sound { "all as they were written".to_owned() } else { format!("{} problems", problems.len()) }
        )?;
    }
    Ok(if sound { Outcome::Done } else { Outcome::Problems })
}

fn view(problem: &Problem) -> ProblemView {
    ProblemView {
        file: problem.path.display().to_string(),
        offset: problem.offset,
        place: problem.lsn.map(|lsn| lsn.0),
        kind: problem.kind.map(|kind| kind.to_string()),
        device: problem.device.clone(),
        what: problem.flaw.to_string(),
    }
}
