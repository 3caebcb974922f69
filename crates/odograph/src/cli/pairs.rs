//! Option values that several subcommands take: `KEY=VALUE`, protocol names, times.

use clap::builder::PossibleValuesParser;
use odograph_model::Time;
use odograph_protocols::{PROTOCOLS, Protocol};

/// A name and a value.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    /// What stands before the first `=`.
    pub(super) name: String,
    /// What stands behind it.
    pub(super) value: String,
}

/// Reads `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Pair { name: name.to_owned(), value: value.to_owned() }),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Reads an RFC 3339 time.
pub(super) fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "expected a time such as 2026-01-02T03:04:05Z".to_owned())
}

/// Reads an RFC 3339 time, or a day as its beginning.
pub(super) fn moment(text: &str) -> Result<Time, String> {
    let day = || Time::parse(&format!("{text}T00:00:00Z"));
    Time::parse(text).or_else(day).ok_or_else(|| "expected 2026-01-02 or 2026-01-02T03:04:05Z".to_owned())
}

/// Takes the names of all protocols, and `more`.
pub(super) fn protocol_names(more: Option<&'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(more.into_iter().chain(PROTOCOLS.iter().map(|protocol| protocol.name)))
}

/// The protocol's commands, one a line, with their attributes and what they do.
pub(super) fn command_lines(protocol: &Protocol) -> String {
    let call = |command: &odograph_protocols::CommandSpec| {
        let attribute = |name: &&str| match name.strip_suffix('?') {
            Some(name) => format!(" [--set {name}=…]"),
            None => format!(" --set {name}=…"),
        };
        format!("{}{}", command.name, command.attributes.iter().map(attribute).collect::<String>())
    };
    let rows = protocol.commands.iter().map(|command| vec![call(command), command.meaning.to_owned()]).collect();
    super::table::plain(rows, "  ")
}

/// A character that has one byte.
pub(super) fn one_character(text: &str) -> Result<u8, String> {
    match text {
        "tab" | "\\t" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [one] if one.is_ascii() => Ok(*one),
            _ => Err("one character is needed: , ; | or tab".to_owned()),
        },
    }
}
