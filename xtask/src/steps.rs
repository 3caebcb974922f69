//! `cargo xtask test`: the steps that a change must pass, as one table, and the loop that runs them.

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::{emulators, tools, workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// Run just this step (may be given several times)
    #[arg(long, value_name = "STEP", value_parser = names())]
    only: Vec<String>,
    /// Run all steps but this one (may be given several times)
    #[arg(long, value_name = "STEP", value_parser = names())]
    skip: Vec<String>,
    /// Print the steps and run nothing
    #[arg(long)]
    list: bool,
}

/// One row of the table.
struct Step {
    name: &'static str,
    about: &'static str,
    /// Finds the program, or installs it.
    program: fn() -> Result<PathBuf>,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// Finds the services that it needs, or installs them, and says by which variables it is told where they are.
    services: fn() -> Result<Vec<(&'static str, PathBuf)>>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen: Vec<&Step> = STEPS.iter().filter(|step| is_chosen(step.name, &options.only, &options.skip)).collect();
    if options.list {
        for step in &chosen {
            println!("{:<8} {}", step.name, step.about);
        }
        return Ok(());
    }
    if chosen.is_empty() {
        bail!("no step is left to run: see `cargo xtask test --list`");
    }
    let mut done = Vec::new();
    for step in &chosen {
        println!("── {}: {}", step.name, step.about);
        let started = now();
        let outcome = run_step(step);
        done.push((step.name, outcome.is_ok(), started.elapsed()));
        if let Err(error) = outcome {
            print!("{}", summary(&chosen, &done));
            bail!("{}: {error:#}\nto repeat it: cargo xtask test --only {}", step.name, step.name);
        }
    }
    print!("{}", summary(&chosen, &done));
    Ok(())
}

fn is_chosen(name: &str, only: &[String], skip: &[String]) -> bool {
    let contains = |names: &[String]| names.iter().any(|other| other == name);
    (only.is_empty() || contains(only)) && !contains(skip)
}

fn run_step(step: &Step) -> Result<()> {
    let program = (step.program)()?;
    let mut command = Command::new(&program);
    command.current_dir(workspace::root()).args(step.arguments).envs(step.environment.iter().copied());
    command.envs((step.services)()?);
    forget_package(&mut command);
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line_of(step));
    }
    Ok(())
}

/// `cargo run` tells a program which package it is of. Build scripts that watch these variables would run anew after
/// every change between a plain cargo command and this one, and all that depends on them would compile anew.
pub(crate) fn forget_package(command: &mut Command) {
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_this_package)) {
        command.env_remove(name);
    }
}

fn is_of_this_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|start| variable.starts_with(start))
}

/// The step as one would type it.
fn line_of(step: &Step) -> String {
    let environment = step.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let words = environment.chain(["cargo".to_owned()]).chain(step.arguments.iter().map(ToString::to_string));
    words.collect::<Vec<_>>().join(" ")
}

/// A table of what ran, for how long, and what did not get its turn.
fn summary(chosen: &[&Step], done: &[(&str, bool, Duration)]) -> String {
    let mut table = String::from("\nstep      result   seconds\n");
    for step in chosen {
        let _ = match done.iter().find(|(name, ..)| *name == step.name) {
            Some((name, passed, took)) => {
                let result = if *passed { "ok" } else { "FAILED" };
                writeln!(table, "{name:<8}  {result:<7}  {:>7.1}", took.as_secs_f64())
            }
            None => writeln!(table, "{:<8}  not run", step.name),
        };
    }
    let total: Duration = done.iter().map(|(.., took)| *took).sum();
    let _ = writeln!(table, "{:<8}  {:<7}  {:>7.1}", "all", "", total.as_secs_f64());
    table
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a step takes is measured on the real clock, there is no other here"
)]
fn now() -> Instant {
    Instant::now()
}

fn cargo() -> Result<PathBuf> {
    Ok(PathBuf::from("cargo"))
}

/// A step that needs no services.
fn none() -> Result<Vec<(&'static str, PathBuf)>> {
    Ok(Vec::new())
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.iter().map(|step| step.name))
}

/// Cheap ones first, so that a slip shows early. One set of features throughout: heavy crates compile once.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the code is formatted as rustfmt.toml says",
        program: cargo,
        arguments: &["fmt", "--all", "--check"],
        environment: &[],
        services: none,
    },
    Step {
        name: "web",
        about: "the pages of the interface are made, their types are right and their scripts light, and what needs no page is tested",
        program: cargo,
        arguments: &["xtask", "web", "--check"],
        environment: &[],
        services: none,
    },
    Step {
        name: "clippy",
        about: "no lint complains",
        program: cargo,
        arguments: &["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"],
        environment: &[],
        services: none,
    },
    Step {
        name: "test",
        about: "all tests pass, the house rules of `cargo xtask tidy` among them",
        program: cargo,
        arguments: &["test", "--workspace", "--no-fail-fast"],
        environment: &[],
        services: emulators::installed,
    },
    Step {
        name: "browser",
        about: "every page does what it should in a real browser",
        program: cargo,
        arguments: &["xtask", "web", "--browse"],
        environment: &[],
        services: none,
    },
    Step {
        name: "fuzz",
        about: "50,000 inputs, or as many as 10 seconds allow, for each target of the fuzzer",
        program: cargo,
        arguments: &["xtask", "fuzz", "--smoke", "--runs", "50000", "--seconds", "10"],
        environment: &[],
        services: none,
    },
    Step {
        name: "doc",
        about: "the documentation builds and its links lead somewhere",
        program: cargo,
        arguments: &["doc", "--no-deps", "--workspace"],
        environment: &[("RUSTDOCFLAGS", "-Dwarnings")],
        services: none,
    },
    Step {
        name: "deny",
        about: "dependencies keep to deny.toml: licences, sources, bans",
        program: tools::cargo_deny,
        // Advisories are left out: they need a database from the network, and would fail a change that did nothing.
        arguments: &["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"],
        environment: &[],
        services: none,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(only: &[&str], skip: &[&str]) -> Vec<&'static str> {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (only, skip) = (owned(only), owned(skip));
        STEPS.iter().map(|step| step.name).filter(|name| is_chosen(name, &only, &skip)).collect()
    }

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(chosen(&[], &[]).len(), STEPS.len());
        assert_eq!(chosen(&["doc", "fmt"], &[]), ["fmt", "doc"]);
        assert_eq!(chosen(&["doc", "fmt"], &["fmt"]), ["doc"]);
        assert!(!chosen(&[], &["deny"]).contains(&"deny"));
    }

    #[test]
    fn a_step_is_shown_as_one_would_type_it() {
        let doc = STEPS.iter().find(|step| step.name == "doc").unwrap();
        assert_eq!(line_of(doc), "RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --workspace");
    }

    #[test]
    fn the_summary_says_what_failed_and_what_did_not_run() {
        let of = |name: &str| STEPS.iter().find(|step| step.name == name).unwrap();
        let steps = ["fmt", "clippy", "test"].map(of);
        let done = [("fmt", true, Duration::from_millis(1500)), ("clippy", false, Duration::from_secs(60))];
        let expected = "\nstep      result   seconds\n\
                        fmt       ok           1.5\n\
                        clippy    FAILED      60.0\n\
                        test      not run\n\
                        all                   61.5\n";
        assert_eq!(summary(&steps, &done), expected);
    }
}
