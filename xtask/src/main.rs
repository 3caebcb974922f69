//! Chores of the project, as Rust instead of scripts: `cargo xtask --help` says what there is.

mod changelog;
mod demo;
mod emulators;
mod fuzz;
mod protocol;
mod steps;
mod tidy;
mod tools;
mod web;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Chores of the project.",
    after_help = "See it work:      cargo xtask demo\n\
                  Before a commit:  cargo xtask tidy && cargo xtask test\n\
                  One step again:   cargo xtask test --only clippy",
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build everything, start a server and a fleet of refrigerated trucks with a day of history, and say where to look.
    ///
    /// Uses ports on loopback and the folder demo-data, which it keeps: a second time it goes on where it was.
    Demo(demo::Options),
    /// Run everything that a change must pass: format, lints, tests, documentation, licences.
    ///
    /// The steps run in order and the first failure ends the run. This is all that CI does.
    Test(steps::Options),
    /// Feed the decoders, connections and the journal with whatever a coverage-guided fuzzer comes up with.
    ///
    /// Inputs that reached something new are kept in the build folder, and the next run goes on from there.
    Fuzz(fuzz::Options),
    /// Make the pages of the interface, which a server that is built afterwards has in it.
    Web(web::Options),
    /// Check the house rules that no compiler checks: who may import whom, file lengths, registries, white space.
    ///
    /// Reads every file that git tracks or would add. `cargo test` holds the same rules.
    Tidy,
    /// Collect changelog.d/* into CHANGELOG.md under a heading for a version, and remove what was collected.
    Changelog(changelog::Options),
    /// Work on device protocols.
    #[command(subcommand)]
    Protocol(ProtocolChore),
}

#[derive(Subcommand)]
enum ProtocolChore {
    /// Write the files of a new protocol, with four blanks to fill, and list it in the registry.
    New {
        /// Its short name: lower-case letters and digits, such as gt06
        name: String,
    },
    /// Rewrite what a protocol's vectors expect and the pages, then hold all tests of protocols against it.
    Update {
        /// Its short name, such as gt06
        name: String,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.chore {
        Chore::Demo(options) => demo::run(options),
        Chore::Test(options) => steps::run(options),
        Chore::Fuzz(options) => fuzz::run(options),
        Chore::Web(options) => web::run(options),
        Chore::Tidy => tidy::run(),
        Chore::Changelog(options) => changelog::run(options),
        Chore::Protocol(ProtocolChore::New { name }) => protocol::new(name),
        Chore::Protocol(ProtocolChore::Update { name }) => protocol::update(name),
    }
}
