//! `odograph doctor`: looks at the machine and the configuration, and says what to do.

mod checks;

use super::{Outcome, table};
use crate::config::Source;
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::io::Write;

/// Check limits, disk, ports, clock and configuration, and say what to do. Exit with 1 if anything is wrong.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What was found about one thing.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    found: String,
    /// What to do where it is not well.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn well(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, ok: true, found: found.into(), remedy: None }
    }

    fn ill(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, ok: false, found: found.into(), remedy: Some(remedy.into()) }
    }
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let findings = checks::all(&options.source);
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&findings)?)?;
    } else {
        let row = |finding: &Finding| {
            let mark = if finding.ok { "ok" } else { "WRONG" };
            vec![mark.to_owned(), finding.check.to_owned(), finding.found.clone()]
        };
        out.write_all(table::plain(findings.iter().map(row).collect(), "").as_bytes())?;
        let remedies = findings.iter().filter_map(|finding| Some((finding.check, finding.remedy.as_ref()?)));
        for (number, (check, remedy)) in remedies.enumerate() {
            if number == 0 {
                writeln!(out, "\nWhat to do:")?;
            }
            writeln!(out, "  {check}: {remedy}")?;
        }
    }
    Ok(if findings.iter().all(|finding| finding.ok) { Outcome::Done } else { Outcome::Problems })
}
