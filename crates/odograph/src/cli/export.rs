//! `odograph export`: records, and the bytes that they came in.

use super::output::Output;
use super::pairs::moment;
use super::{Outcome, usage};
use crate::catalog;
use crate::client::{self, Access, Server};
use crate::config::{Config, Source};
use crate::exit::{Failure, Status};
use crate::export::{self, Direction, Entries, FrameQuery, Origin, RecordFormat, RecordQuery, Totals};
use crate::folder::Folder;
use crate::history::{self, Lacks, Place};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use compact_str::CompactString;
use odograph_catalog::Tenant;
use odograph_env::{LocalDisk, SystemClock};
use odograph_ingest::Roster;
use odograph_journal::Reader;
use odograph_lake::Lake;
use odograph_model::Time;
use std::path::PathBuf;
use std::sync::Arc;

/// Write records, or the bytes they came from, as files that other programs read.
///
/// Everything that was acknowledged before the export began is in it, whether a server runs or not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph export records --format jsonl > records.jsonl\n  \
    odograph export records --device 352093081452251 --from 2026-06-01 --to 2026-07-01\n  \
    odograph export records --format csv --parameters position.speed,temperature.1 -o cold.csv\n  \
    odograph export records --format gpx --from 2026-06-01 --to 2026-06-02 -o day.gpx\n  \
    odograph export records --follow | jq .position.speed\n  \
    odograph export frames --device 352093081452251 --direction in --format raw > bytes")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What devices said, each record once: by day, within a day by device, and then by time.
    Records(RecordOptions),
    /// The bytes of the conversations with devices, unmodified.
    Frames(FrameOptions),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    source: Source,
    /// Only this device, by any of its ids. May be repeated.
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
    /// Write there instead of to standard output. What is there is replaced once all is written, with --follow at once.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Common {
    fn check(&self) -> Result<()> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => usage(format!("--from {from} is not before --to {to}")),
            _ => Ok(()),
        }
    }

    fn check_tenant(&self, config: &Config, folder: &Folder) -> Result<()> {
        self.tenant.as_deref().map_or(Ok(()), |tenant| require_tenant(config, folder, tenant))
    }

    /// Nothing may be right, or a name that was mistyped: whoever asked for something certain should know.
    fn note_nothing(&self, totals: &Totals, what: &str) {
        let is_certain = !self.devices.is_empty() || self.tenant.is_some() || self.from.is_some() || self.to.is_some();
        if totals.given == 0 && is_certain {
            eprintln!("no {what} is what was asked for: `odograph device list` shows who there is");
        }
    }
}

#[derive(Debug, Args)]
struct RecordOptions {
    #[command(flatten)]
    common: Common,
    /// How they are written.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: RecordFormat,
    /// Only these parameters, and records that have one of them: `position.speed,temperature.1`. `raw` stands for all that
    /// the dictionary has no name for. For jsonl, csv and parquet.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = export::parameter)]
    parameters: Vec<CompactString>,
    /// Go on with what comes, as it comes, until interrupted: as jsonl. Needs a running server.
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
    common.check()?;
    let mut query = RecordQuery {
        devices: common.devices.iter().map(Into::into).collect(),
        tenant: common.tenant.as_ref().map(Into::into),
        from: common.from.map(|time| time.0),
        to: common.to.map(|time| time.0),
        quarantined: common.quarantined,
        follow: options.follow,
        format: options.format,
        parameters: options.parameters.clone(),
        sensors: Vec::new(),
        thin: None,
        progress: false,
    };
    query.check()?;
    let config = common.source.load()?.config;
    let folder = Folder::of(&config);
    common.check_tenant(&config, &folder)?;
    let access = Access::of(&folder)?;
    if query.follow && matches!(access, Access::Own(_)) {
        return usage("--follow needs a running server: nothing comes while none runs");
    }
    let open = if query.follow { Output::as_it_comes } else { Output::open };
    let mut out = open(common.output.as_deref(), "records", options.format.units())?;
    query.progress = out.shows_progress();
    let totals = match access {
        Access::Server(server) => out.receive(server, "/control/export/records", serde_json::to_vec(&query)?)?,
        Access::Own(lock) => match own(&config, &folder)? {
            None => export::nothing(&query, &mut out)?,
            Some((reader, roster)) => {
                let place = Place::new(&config, &folder, reader.clone(), Arc::new(SystemClock::new()))?;
                let (lake, damaged) = place.fill()?;
                let roster = Arc::new(roster);
                let (node, window, waits) = (config.journal.node, config.clock.window(), place.waits().clone());
                let origin = Origin { lake, damaged, reader, node, roster, waits, window, until: None };
                // The rest is only reading, and a server must not wait for it.
                drop(lock);
                let totals = export::records(&origin, &query, &mut out)?;
                with_damage(&origin.reader, totals)?
            }
        },
    };
    out.finish(&totals)?;
    common.note_nothing(&totals, "record");
    if totals.unplaced > 0 {
        eprintln!("{} records without a valid position were left out", totals.unplaced);
    }
    outcome(&totals, false, &config, &folder)
}

fn frames(options: &FrameOptions) -> Result<Outcome> {
    let common = &options.common;
    common.check()?;
    let raw = options.format == FrameFormat::Raw;
    if raw && (common.devices.len() != 1 || options.direction == Direction::Both) {
        return usage("--format raw is for one --device and one --direction (in or out)");
    }
    let mut query = FrameQuery {
        after: None,
        limit: None,
        devices: common.devices.iter().map(Into::into).collect(),
        tenant: common.tenant.as_ref().map(Into::into),
        from: common.from.map(|time| time.0),
        to: common.to.map(|time| time.0),
        quarantined: common.quarantined,
        direction: options.direction,
        raw,
        progress: false,
    };
    let config = common.source.load()?.config;
    let folder = Folder::of(&config);
    common.check_tenant(&config, &folder)?;
    let access = Access::of(&folder)?;
    let mut out = Output::open(common.output.as_deref(), "frames", "")?;
    query.progress = out.shows_progress();
    let totals = match access {
        Access::Server(server) => out.receive(server, "/control/export/frames", serde_json::to_vec(&query)?)?,
        Access::Own(lock) => match own(&config, &folder)? {
            None => Totals::default(),
            Some((reader, roster)) => {
                drop(lock);
                let lake = history::lake(&config, &folder)?;
                // Looked at anew each time: a server that starts meanwhile goes on giving up what history has.
                let history = || Ok(Lake::of_frames(&lake)?);
                let entries = Entries { reader: &reader, node: config.journal.node, history: &history, until: None };
                let totals = export::frames(&entries, &roster, &query, &mut out)?;
                with_damage(&reader, totals)?
            }
        },
    };
    out.finish(&totals)?;
    common.note_nothing(&totals, "frame");
    outcome(&totals, true, &config, &folder)
}

/// An error where it is certain that nobody has that name: mistyped, it would look like somebody who sent nothing.
pub(super) fn require_tenant(config: &Config, folder: &Folder, tenant: &str) -> Result<()> {
    // What a deleted tenant left in an object store is only known once that was asked.
    let is_there = tenant == DEFAULT || config.named_tenants().any(|name| name == tenant);
    if is_there || config.lake.remote().is_some() {
        return Ok(());
    }
    folder.require()?;
    if history::lake(config, folder)?.folder_of_tenant(tenant).is_some_and(|tables| tables.exists()) {
        return Ok(());
    }
    match tenants(config, folder) {
        Ok(Some(known)) if known.iter().all(|known| known.id != tenant) => {
            bail!("there is no tenant {tenant:?}: `odograph tenant list` shows which there are")
        }
        // History can be read without the catalog, so one that is not there or does not answer stands in nobody's way.
        _ => Ok(()),
    }
}

/// Those of the catalog; `None`, where there is no catalog.
fn tenants(config: &Config, folder: &Folder) -> Result<Option<Vec<Tenant>>> {
    if let Some(server) = Server::connect(folder)? {
        return Ok(Some(serde_json::from_slice(&server.ask("GET", "/api/v1/tenants")?)?));
    }
    if config.catalog.url.is_none() && !folder.catalog().exists() {
        return Ok(None);
    }
    let access = odograph_catalog::Access::owner(DEFAULT);
    catalog::with(config, async |catalog| Ok(Some(catalog.tenants(&access).list().await?)))
}

const DEFAULT: &str = "default";

/// The journal and the devices, where there is no server; `None` where nothing was ever received.
fn own(config: &Config, folder: &Folder) -> Result<Option<(Reader, Roster)>> {
    let Some(reader) = folder.reader(config.journal.node)? else { return Ok(None) };
    let (roster, _) = folder.roster(config, Some(&reader)).context("cannot read the devices")?;
    Ok(Some((reader, roster)))
}

fn with_damage(reader: &Reader, mut totals: Totals) -> Result<Totals> {
    if let Some(broken) = reader.damage_before_end()? {
        eprintln!("warning: whole entries behind a damaged place were not read: {broken}");
        totals.damaged += 1;
    }
    Ok(totals)
}

/// Says what is missing, `of_frames` or of records.
fn outcome(totals: &Totals, of_frames: bool, config: &Config, folder: &Folder) -> Result<Outcome> {
    // A server may have another number than a command beside it is told.
    let node = client::node(folder).ok().flatten().unwrap_or(config.journal.node);
    let behind = folder.behind(node);
    for other in &behind {
        eprintln!(
            "warning: what journal/{other} has is not in it: this is node {node}. Start the server once with journal.node = {other}, \
             and export again"
        );
    }
    let lacks = Lacks::open(Arc::new(LocalDisk), folder.lacks(node));
    let mut lacking = lacks.all();
    lacking.retain(|lack| if of_frames { lack.is_of_frames() } else { lack.is_of_records() });
    for lack in &lacking {
        eprintln!("warning: {lack}. Once you have seen to it, stop the server and remove {}", lacks.file().display());
    }
    let places = totals.damaged.max(lacking.len() as u64);
    if places == 0 {
        return Ok(if behind.is_empty() { Outcome::Done } else { Outcome::Problems });
    }
    if let Some(reader) = folder.reader(node)? {
        for hole in reader.holes()? {
            eprintln!("warning: {hole}");
        }
        for cut in reader.cut_short()? {
            eprintln!("warning: {cut}");
        }
    }
    let what = format!(
        "the journal is damaged in {places} places, which were passed over: `odograph journal verify` names them"
    );
    Err(Failure::new(Status::Problems, what).into())
}
