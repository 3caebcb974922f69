//! `odograph journal`: what the journal holds, and whether it is as it was written.
//!
//! Reads the files themselves, also while a server writes them.

mod dump;
mod proven;
mod stat;
mod verify;

use super::Outcome;
use crate::config::Source;
use anyhow::Result;
use clap::{Args, Subcommand};
use std::io::Write;

/// Verify, dump or count the journal. Also while the server runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph journal stat\n  \
    odograph journal verify && echo sound\n  \
    odograph journal verify --history\n  \
    odograph journal dump --device 352093081452251 --limit 20")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::Options),
    Dump(dump::Options),
    Stat(stat::Options),
}

/// What `odograph journal verify` does.
pub(super) fn verify(source: Source, json: bool, out: &mut dyn Write) -> Result<Outcome> {
    verify::run(&verify::Options::of(source, json), out)
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    match &options.command {
        Command::Verify(options) => verify::run(options, out),
        Command::Dump(options) => dump::run(options, out),
        Command::Stat(options) => stat::run(options, out),
    }
}
