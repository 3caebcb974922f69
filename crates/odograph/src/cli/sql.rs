//! `odograph sql`: questions over all history.

use super::Outcome;
use super::export::require_tenant;
use super::output::Output;
use crate::client::Access;
use crate::config::Source;
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use crate::history::Place;
use crate::sql::{self, SqlFormat, SqlQuery};
use anyhow::Result;
use clap::Args;
use odograph_env::SystemClock;
use odograph_lake::Limits;
use std::path::PathBuf;
use std::sync::Arc;

/// Ask history in SQL, which can read and nothing else.
///
/// Everything that was acknowledged before the question is in the answer, whether a server runs or not.
#[derive(Debug, Args)]
#[command(after_help = "Tables:\n  \
    records   every record once: device, time, received, id, protocol, day, raw, and a column for each parameter\n  \
    last      the latest record of each device\n  \
    devices   each device, how many records it has, and from when to when\n\n\
    In the names of columns, the dots of parameters are underscores: position.speed is position_speed.\n\n\
Examples:\n  \
    odograph sql \"SELECT * FROM devices\"\n  \
    odograph sql \"SELECT device, time, position_speed FROM last ORDER BY device\"\n  \
    odograph sql \"SELECT time, temperature_1 FROM records WHERE device = '352093081452251' AND day = '2026-06-01' ORDER BY time\"\n  \
    odograph sql --csv \"SELECT device, day, max(temperature_1) FROM records GROUP BY device, day\" > max.csv\n  \
    odograph sql --parquet june.parquet \"SELECT * FROM records WHERE day BETWEEN '2026-06-01' AND '2026-06-30'\"\n  \
    odograph sql \"DESCRIBE records\"")]
pub(super) struct Options {
    /// The question.
    sql: String,
    #[command(flatten)]
    source: Source,
    /// Whose records.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Print one JSON object a line instead of a table.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values instead of a table.
    #[arg(long)]
    csv: bool,
    /// Write a Parquet file there, which replaces what is there once the answer is whole.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "csv", "output"])]
    parquet: Option<PathBuf>,
    /// Write there instead of to standard output. What is there is replaced once the answer is whole.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<Outcome> {
    let format = match (options.json, options.csv) {
        (true, _) => SqlFormat::Json,
        (_, true) => SqlFormat::Csv,
        _ if options.parquet.is_some() => SqlFormat::Parquet,
        _ => SqlFormat::Table,
    };
    let config = options.source.load()?.config;
    let folder = Folder::of(&config);
    require_tenant(&config, &folder, &options.tenant)?;
    let access = Access::of(&folder)?;
    let mut out = Output::open(options.parquet.as_deref().or(options.output.as_deref()), "rows", "")?;
    let query =
        SqlQuery { sql: options.sql.clone(), tenant: options.tenant.clone(), format, progress: out.shows_progress() };
    let totals = match access {
        Access::Server(server) => out.receive(server, "/control/sql", serde_json::to_vec(&query)?)?,
        Access::Own(_lock) => {
            let Some(reader) = folder.reader(config.journal.node)? else {
                let what = format!("there is no journal in {}: nothing was ever received", folder.path().display());
                return Err(Failure::new(Status::NoInput, what).into());
            };
            let place = Place::new(&config, &folder, reader, Arc::new(SystemClock::new()))?;
            let mut answer = place.fill()?.0.query(&query.tenant, &query.sql, Limits::default())?;
            sql::write(&mut answer, format, &mut out)?
        }
    };
    out.finish(&totals)?;
    Ok(Outcome::Done)
}
