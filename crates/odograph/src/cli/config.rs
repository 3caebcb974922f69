//! `odograph config`: what is set, and whether it makes sense.

use super::{Outcome, table};
use crate::config::{self, Source};
use crate::server;
use anyhow::Result;
use clap::{Args, Subcommand};
use std::io::Write;

/// Check the configuration, or show what holds.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with the configuration and the certificates that it names, without starting anything.
    Check(Source),
    /// Print every key with its value, its default, and where the value came from.
    Show {
        #[command(flatten)]
        source: Source,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
        /// Print the reference of all keys instead.
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    match &options.command {
        Command::Check(source) => {
            let loaded = source.load()?;
            for warning in loaded.warnings.iter().chain(&server::not_handed_over(&loaded)?) {
                eprintln!("warning: {warning}");
            }
            server::check(&loaded)?;
            writeln!(out, "the configuration is sound")?;
        }
        Command::Show { markdown: true, .. } => out.write_all(config::markdown().as_bytes())?,
        Command::Show { source, json, .. } => {
            let loaded = source.load()?;
            for warning in &loaded.warnings {
                eprintln!("warning: {warning}");
            }
            let rows = config::rows(&loaded);
            if *json {
                writeln!(out, "{}", serde_json::to_string(&rows)?)?;
            } else {
                let cells =
                    |row: &config::Row| vec![row.key.clone(), row.shown(), row.shown_default(), row.origin.clone()];
                let cells = rows.iter().map(cells).collect();
                out.write_all(table::headed(&["KEY", "VALUE", "DEFAULT", "FROM"], cells).as_bytes())?;
            }
        }
    }
    Ok(Outcome::Done)
}
