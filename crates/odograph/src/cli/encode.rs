//! `odograph encode`: what a command would send to a device.

use super::pairs::{Pair, command_lines, pair, protocol_names};
use super::{Outcome, usage};
use anyhow::Result;
use clap::Args;
use odograph_protocols::{Command, CommandError, Conversation, Protocol, Settings, Terms, find};
use odograph_wire::notation;
use std::io::Write;

/// Print the bytes that a command sends to a device.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph encode --protocol gt06 --device 123456789012345 engineStop\n  \
    odograph encode --protocol wialon --device 1 --text outputControl --set index=1 --set data=1\n  \
    odograph encode --protocol gt06 --device 123456789012345 custom --set data='STATUS#'\n\n\
    `odograph protocols NAME` lists the commands of a protocol with their attributes.")]
pub(super) struct Options {
    /// The protocol that the device speaks.
    #[arg(long, value_name = "NAME", value_parser = protocol_names(None), hide_possible_values = true)]
    protocol: String,
    /// The device's id.
    #[arg(long, value_name = "ID")]
    device: String,
    /// An attribute of the command, or a setting of the protocol; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<Pair>,
    /// Print text with escapes (\r, \n, \xNN) instead of hex digits.
    #[arg(long)]
    text: bool,
    /// The command's name.
    #[arg(value_name = "COMMAND")]
    command: String,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let Some(protocol) = find(&options.protocol) else {
        return usage(format!("there is no protocol {:?}", options.protocol));
    };
    let (settings, attributes) = sorted(options, protocol);
    let settings = match Settings::checked(settings, protocol.settings) {
        Ok(settings) => settings,
        Err(error) => return usage(error.to_string()),
    };
    let mut conversation = Conversation::new(protocol, Terms { settings, ..Terms::default() });
    let command = Command::new(&options.command, &attributes);
    match conversation.command(&options.device, &command) {
        Ok(bytes) if options.text => writeln!(out, "{}", notation::to_text(&bytes))?,
        Ok(bytes) => writeln!(out, "{}", notation::to_hex(&bytes))?,
        Err(CommandError::Unknown { name }) => return unknown(protocol, &name),
        Err(error) => return usage(format!("{}: {error}", options.command)),
    }
    Ok(Outcome::Done)
}

/// Names and values, as libraries take them.
type Pairs<'o> = Vec<(&'o str, &'o str)>;

/// Tells settings of the protocol from attributes of the command.
fn sorted<'o>(options: &'o Options, protocol: &Protocol) -> (Pairs<'o>, Pairs<'o>) {
    let spec = protocol.commands.iter().find(|command| command.name == options.command);
    let takes =
        |name: &str| spec.is_some_and(|spec| spec.attributes.iter().any(|known| known.trim_end_matches('?') == name));
    let pairs = options.set.iter().map(|Pair { name, value }| (name.as_str(), value.as_str()));
    let (settings, attributes): (Vec<_>, Vec<_>) =
        pairs.partition(|(name, _)| !takes(name) && protocol.settings.iter().any(|setting| setting.name == *name));
    if spec.is_some() {
        for (name, _) in attributes.iter().filter(|(name, _)| !takes(name)) {
            eprintln!("warning: {} makes no use of {name}", options.command);
        }
    }
    (settings, attributes)
}

fn unknown(protocol: &Protocol, name: &str) -> Result<Outcome> {
    if protocol.commands.is_empty() {
        return usage(format!("{} takes no commands", protocol.name));
    }
    usage(format!("{} has no command {name:?}; it has\n{}", protocol.name, command_lines(protocol).trim_end()))
}
