//! The command line: what can be asked, and how an answer ends.
//!
//! One file a subcommand, each with its options and one function that carries them out.

mod backup;
mod completions;
mod config;
pub(crate) mod decode;
mod device;
mod doctor;
mod encode;
mod export;
mod journal;
mod listener;
mod output;
mod pairs;
pub(crate) mod protocols;
mod replay;
mod restore;
mod serve;
mod simulate;
mod sql;
pub(crate) mod table;
mod tenant;
mod token;
mod unidentified;
mod user;

use crate::exit::{Failure, Status};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// The odograph command line.
#[derive(Debug, Parser)]
#[command(
    name = "odograph",
    version,
    about = "Telematics gateway: takes what trackers and refrigeration units send, keeps every byte, and decodes it.",
    after_help = "Examples:\n  \
        odograph serve                                      take in devices, on every protocol's port\n  \
        odograph export records > records.jsonl             what they said\n  \
        odograph sql \"SELECT * FROM devices\"                questions over all of it\n  \
        odograph simulate                                   a fleet to try it with\n  \
        odograph protocols                                  what it understands, and on which ports\n  \
        odograph decode --protocol gt06 78780d01…           what a message says\n  \
        odograph encode --protocol gt06 --device ID engineStop   what a command would send\n\n\
        `odograph COMMAND --help` says more, with examples.",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Options),
    Export(export::Options),
    Sql(sql::Options),
    Replay(replay::Options),
    Backup(backup::Options),
    Restore(restore::Options),
    Simulate(simulate::Options),
    Device(device::Options),
    Listener(listener::Options),
    Unidentified(unidentified::Options),
    User(user::Options),
    Token(token::Options),
    Tenant(tenant::Options),
    Journal(journal::Options),
    Doctor(doctor::Options),
    Decode(decode::Options),
    Encode(encode::Options),
    Protocols(protocols::Options),
    Config(config::Options),
    Completions(completions::Options),
}

/// How a subcommand ends where nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All is well.
    Done,
    /// It ran, and found something wrong that it told.
    Problems,
    /// A message was malformed.
    Malformed,
}

/// A mistake in what was asked, not in how it was carried out.
#[derive(Debug)]
pub(crate) struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where nobody reads the message, nothing can be done about it.
            let _ = error.print();
            return if error.use_stderr() { ended(Status::Usage) } else { ended(Status::Done) };
        }
    };
    let mut out = io::stdout();
    let result = match cli.command {
        Command::Serve(options) => serve::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Sql(options) => sql::run(&options),
        Command::Replay(options) => replay::run(&options, &mut out),
        Command::Backup(options) => backup::run(&options, &mut out),
        Command::Restore(options) => restore::run(&options, &mut out),
        Command::Simulate(options) => simulate::run(&options, &mut out),
        Command::Device(options) => device::run(&options, &mut out),
        Command::Listener(options) => listener::run(&options, &mut out),
        Command::Unidentified(options) => unidentified::run(&options, &mut out),
        Command::User(options) => user::run(&options, &mut out),
        Command::Token(options) => token::run(&options, &mut out),
        Command::Tenant(options) => tenant::run(&options, &mut out),
        Command::Journal(options) => journal::run(&options, &mut out),
        Command::Doctor(options) => doctor::run(&options, &mut out),
        Command::Config(options) => config::run(&options, &mut out),
        Command::Decode(options) => decode::run(&options, &mut out),
        Command::Encode(options) => encode::run(&options, &mut out),
        Command::Protocols(options) => protocols::run(&options, &mut out),
        Command::Completions(options) => completions::run(&options, &mut out),
    };
    match result.and_then(|outcome| Ok(out.flush().map(|()| outcome)?)) {
        Ok(Outcome::Done) => ended(Status::Done),
        Ok(Outcome::Problems) => ended(Status::Problems),
        Ok(Outcome::Malformed) => ended(Status::Malformed),
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    // Who reads the output may have enough: `odograph decode … | head -1`.
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ended(Status::Done);
    }
    // Where nobody reads that either, the status still says it.
    let _ = writeln!(io::stderr(), "error: {error:#}");
    ended(status(error))
}

fn status(error: &anyhow::Error) -> Status {
    let is_full = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref().is_some_and(odograph_env::is_full);
    match error.downcast_ref::<Failure>() {
        Some(failure) => failure.status,
        None if error.is::<UsageError>() => Status::Usage,
        None if error.chain().any(is_full) => Status::CannotCreate,
        None => Status::Problems,
    }
}

fn ended(status: Status) -> ExitCode {
    ExitCode::from(status as u8)
}

/// An error that ends with the exit status for bad usage.
fn usage<T>(what: impl Into<String>) -> Result<T> {
    Err(UsageError(what.into()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
