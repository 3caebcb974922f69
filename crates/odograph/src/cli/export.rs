//! `odograph export`: records and bytes out of the journal.

use super::output::Output;
use super::pairs::moment;
use super::{Outcome, usage};
use crate::client::Access;
use crate::config::Source;
use crate::exit::{Failure, Status};
use crate::export::{self, Direction, FrameQuery, RecordQuery, Sink as _, Totals};
use crate::folder::Folder;
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use odograph_model::Time;
use serde::Serialize;
use std::path::PathBuf;

/// Write records, or the bytes they came from, as files that other programs read.
///
/// Everything that was acknowledged before the export began is in it, whether a server runs or not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph export records --format jsonl > records.jsonl\n  \
    odograph export records --device 352093081452251 --from 2026-06-01 --to 2026-07-01\n  \
    odograph export records --follow | jq .position.speed\n  \
    odograph export frames --device 352093081452251 --direction in --format raw > bytes")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What devices said: one JSON object a line, each record once.
    Records(RecordOptions),
    /// The bytes of the conversations with devices, unmodified.
    Frames(FrameOptions),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    source: Source,
    /// Only this device. May be repeated.
    #[arg(long = "device", value_name = "ID")]
    devices: Vec<String>,
    /// Only devices of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Not before this moment: `2026-06-01` or `2026-06-01T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Time>,
    /// Before this moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Time>,
    /// Also devices that wait for a person to accept them.
    #[arg(long)]
    quarantined: bool,
    /// Write there instead of to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RecordOptions {
    #[command(flatten)]
    common: Common,
    /// How they are written.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: RecordFormat,
    /// Go on with what comes, until interrupted. Needs a running server.
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Args)]
struct FrameOptions {
    #[command(flatten)]
    common: Common,
    /// `jsonl`: a line about each piece. `raw`: the bytes of one device and direction, one after the other.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: FrameFormat,
    /// Which way they went.
    #[arg(long, value_enum, default_value = "both")]
    direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RecordFormat {
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FrameFormat {
    Jsonl,
    Raw,
}

pub(super) fn run(options: &Options) -> Result<Outcome> {
    match &options.command {
        Command::Records(options) => records(options),
        Command::Frames(options) => frames(options),
    }
}

fn records(options: &RecordOptions) -> Result<Outcome> {
    let common = &options.common;
    let query = RecordQuery {
        devices: common.devices.iter().map(Into::into).collect(),
        tenant: common.tenant.as_ref().map(Into::into),
        from: common.from.map(|time| time.0),
        to: common.to.map(|time| time.0),
        quarantined: common.quarantined,
        follow: options.follow,
    };
    let RecordFormat::Jsonl = options.format;
    export(common, "records", &query, |reader, roster, out| {
        if query.follow {
            return usage("--follow needs a running server: nothing comes while none runs");
        }
        export::records(reader, roster, &query, None, || None, out)
    })
}

fn frames(options: &FrameOptions) -> Result<Outcome> {
    let common = &options.common;
    let raw = options.format == FrameFormat::Raw;
    if raw && (common.devices.len() != 1 || options.direction == Direction::Both) {
        return usage("--format raw is for one --device and one --direction (in or out)");
    }
    let query = FrameQuery {
        devices: common.devices.iter().map(Into::into).collect(),
        tenant: common.tenant.as_ref().map(Into::into),
        from: common.from.map(|time| time.0),
        to: common.to.map(|time| time.0),
        quarantined: common.quarantined,
        direction: options.direction,
        raw,
    };
    export(common, "frames", &query, |reader, roster, out| export::frames(reader, roster, &query, None, out))
}

fn export<Q: Serialize>(
    common: &Common,
    what: &'static str,
    query: &Q,
    own: impl FnOnce(&odograph_journal::Reader, &odograph_ingest::Roster, &mut Output) -> Result<Totals>,
) -> Result<Outcome> {
    let config = common.source.load()?.config;
    let folder = Folder::of(&config);
    let access = Access::of(&folder)?;
    let mut out = Output::open(common.output.as_deref(), what)?;
    let totals = match access {
        Access::Server(server) => {
            let path = format!("/api/v1/export/{what}");
            let body = serde_json::to_vec(query)?.into();
            let trailers = server.stream("POST", &path, body, |chunk| {
                out.write(chunk)?;
                // The server has gathered enough already, or has nothing more for now.
                Ok(out.flush()?)
            })?;
            export::totals(&trailers)?
        }
        Access::Own(lock) => match folder.reader(config.journal.node)? {
            Some(reader) => {
                let (roster, _) = folder.roster(&config, Some(&reader)).context("cannot read the devices")?;
                // The rest is only reading, and a server must not wait for it.
                drop(lock);
                let mut totals = own(&reader, &roster, &mut out)?;
                if let Some(broken) = reader.damage_before_end()? {
                    eprintln!("warning: whole entries behind a damaged place were not read: {broken}");
                    totals.damaged += 1;
                }
                totals
            }
            None => Totals::default(),
        },
    };
    out.finish(&totals)?;
    if totals.damaged == 0 {
        return Ok(Outcome::Done);
    }
    if let Some(reader) = folder.reader(config.journal.node)? {
        for hole in reader.holes()? {
            eprintln!("warning: {hole}");
        }
    }
    let places = totals.damaged;
    Err(Failure::new(
        Status::Problems,
        format!(
            "the journal is damaged in {places} places, which were passed over: `odograph journal verify` names them"
        ),
    )
    .into())
}
