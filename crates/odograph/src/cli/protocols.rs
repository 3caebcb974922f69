//! `odograph protocols`: what is understood, and on which ports.

use super::pairs::{command_lines, protocol_names};
use super::{Outcome, table};
use anyhow::Result;
use clap::Args;
use odograph_api::{ToldCommand, ToldProtocol, ToldSetting};
use odograph_protocols::{CommandSpec, Maturity, PROTOCOLS, Protocol, Setting, find};
use std::io::Write;

/// List the protocols: ports, transports, commands, and how far each can be trusted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph protocols                  all of them\n  \
    odograph protocols gt06             one, with its settings and commands\n  \
    odograph protocols --json | jq '.[] | select(.port == 5023) | .name'\n\n\
    `proven` protocols were written from the maker's description and checked against captured\n\
    messages; in `unverified` ones parts are guesses.")]
pub(super) struct Options {
    /// Say everything about this one.
    #[arg(value_parser = protocol_names(None), hide_possible_values = true)]
    name: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let one = options.name.as_deref().and_then(find);
    match (one, options.json) {
        (Some(protocol), true) => writeln!(out, "{}", serde_json::to_string(&view(protocol))?)?,
        (Some(protocol), false) => out.write_all(detail(protocol).as_bytes())?,
        (None, true) => writeln!(out, "{}", serde_json::to_string(&all())?)?,
        (None, false) => {
            let heading = ["NAME", "TITLE", "PORT", "TRANSPORTS", "COMMANDS", "MATURITY", "SOURCE"];
            let rows = PROTOCOLS.iter().map(|protocol| row(protocol)).collect();
            out.write_all(table::headed(&heading, rows).as_bytes())?;
        }
    }
    Ok(Outcome::Done)
}

/// All of them, for programs.
pub(crate) fn all() -> Vec<ToldProtocol> {
    PROTOCOLS.iter().map(|protocol| view(protocol)).collect()
}

fn row(protocol: &Protocol) -> Vec<String> {
    vec![
        protocol.name.to_owned(),
        protocol.title.to_owned(),
        protocol.port.to_string(),
        transports(protocol).join(" "),
        protocol.commands.len().to_string(),
        maturity(protocol).to_owned(),
        protocol.source.to_owned(),
    ]
}

fn detail(protocol: &Protocol) -> String {
    let text = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
    let port = format!("{} ({})", protocol.port, transports(protocol).join(", "));
    let mut shown = table::plain(
        vec![
            text("name", protocol.name),
            text("title", protocol.title),
            text("devices", protocol.devices),
            text("port", &port),
            text("maturity", maturity(protocol)),
            text("source", protocol.source),
        ],
        "",
    );
    if !protocol.settings.is_empty() {
        let setting =
            |setting: &Setting| vec![setting.name.to_owned(), setting.kind.to_string(), setting.meaning.to_owned()];
        shown += "\nsettings\n";
        shown += &table::plain(protocol.settings.iter().map(setting).collect(), "  ");
    }
    if !protocol.commands.is_empty() {
        shown += "\ncommands\n";
        shown += &command_lines(protocol);
    }
    shown
}

fn view(protocol: &Protocol) -> ToldProtocol {
    let setting = |setting: &Setting| ToldSetting {
        name: setting.name,
        kind: setting.kind.to_string(),
        meaning: setting.meaning,
    };
    let command = |command: &CommandSpec| ToldCommand {
        name: command.name,
        attributes: command.attributes.to_vec(),
        meaning: command.meaning,
    };
    ToldProtocol {
        name: protocol.name,
        title: protocol.title,
        devices: protocol.devices,
        port: protocol.port,
        transports: transports(protocol),
        maturity: maturity(protocol),
        source: protocol.source,
        checksum: protocol.has_checksum,
        settings: protocol.settings.iter().map(setting).collect(),
        commands: protocol.commands.iter().map(command).collect(),
    }
}

fn transports(protocol: &Protocol) -> Vec<&'static str> {
    protocol.travels_by().collect()
}

const fn maturity(protocol: &Protocol) -> &'static str {
    match protocol.maturity {
        Maturity::Proven => "proven",
        Maturity::Unverified => "unverified",
    }
}
