//! `odograph device command` and `commands`: what devices are told, and what they answer.

use crate::cli::pairs::{Pair, pair};
use crate::cli::table::{self, visible, visible_json};
use crate::cli::token::Tenanted;
use crate::cli::{Outcome, usage};
use crate::client::Access;
use crate::commands;
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Args;
use odograph_catalog::{CommandState, DeviceCommand, NewCommand, Within};
use odograph_model::Time;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    of: Tenanted,
    /// The device's id, or one of its other names.
    id: String,
    /// The command: `odograph protocols NAME` lists those of a protocol.
    #[arg(value_name = "TYPE", required_unless_present_any = ["text", "cancel"])]
    kind: Option<String>,
    /// The maker's own text, instead of a type.
    #[arg(long, conflicts_with_all = ["kind", "cancel"])]
    text: Option<String>,
    /// An attribute of the command; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<Pair>,
    /// How long it may wait for the device: 90s, 5min, 1h, 2d. It is never sent afterwards.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
    ttl: u64,
    /// It may be sent again where nobody knows whether the device got it. Without this, it is sent once at most.
    #[arg(long)]
    repeatable: bool,
    /// Wait until it has come to an end, and tell the answer.
    #[arg(long)]
    wait: bool,
    /// Call off the command of this number, which is still queued.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["kind", "set", "wait", "repeatable"])]
    cancel: Option<i64>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    #[command(flatten)]
    of: Tenanted,
    /// The device's id, or one of its other names.
    id: String,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    let Options { of, id, json, .. } = options;
    let mut command = match options.cancel {
        Some(number) => cancel(of, id, number)?,
        None => send(options)?,
    };
    if options.wait {
        command = wait(of, id, command)?;
    }
    if *json {
        writeln!(out, "{}", visible_json(&serde_json::to_string(&command)?))?;
    } else {
        writeln!(out, "{}", told(&command))?;
    }
    let is_trouble = matches!(command.state, CommandState::Failed | CommandState::Expired | CommandState::Unknown);
    Ok(if is_trouble { Outcome::Problems } else { Outcome::Done })
}

pub(super) fn list(options: &ListOptions, out: &mut dyn Write) -> Result<Outcome> {
    let ListOptions { of, id, json } = options;
    let commands = match asked(of, "GET", &format!("{}?limit=1000", path(id)), &Value::Null)? {
        Some(page) => serde_json::from_value(page["commands"].clone()).context("the server's answer")?,
        None => own(of, async |within| Ok(within.commands(id, None, None, 1000).await?))?,
    };
    if *json {
        writeln!(out, "{}", visible_json(&serde_json::to_string(&commands)?))?;
    } else {
        let title = ["NUMBER", "COMMAND", "STATE", "CREATED", "EXPIRES", "BY", "ANSWER"];
        out.write_all(table::headed(&title, commands.iter().map(row).collect()).as_bytes())?;
    }
    Ok(Outcome::Done)
}

fn send(options: &Options) -> Result<DeviceCommand> {
    let Options { of, id, kind, text, set, ttl, repeatable, .. } = options;
    let attributes = set.iter().map(|Pair { name, value }| (name.clone(), value.clone())).collect();
    let (kind, text) = (kind.clone(), text.clone());
    let new = NewCommand { kind, attributes, text, ttl_s: Some(*ttl), repeatable: *repeatable };
    let NewCommand { kind, attributes, text, ttl_s, repeatable } = &new;
    let body = json!({"type": kind, "attributes": attributes, "text": text, "ttl_s": ttl_s, "repeatable": repeatable});
    if let Some(queued) = asked(of, "POST", &path(id), &body)? {
        return serde_json::from_value(queued).context("the server's answer");
    }
    if options.wait {
        return usage("no server runs that could send it: without --wait it is queued until one does");
    }
    own(of, async |within| {
        let device = within.device(id).await?;
        commands::check(None, &device, &new)?;
        Ok(within.create_command(id, new.clone()).await?)
    })
}

fn cancel(of: &Tenanted, id: &str, number: i64) -> Result<DeviceCommand> {
    match asked(of, "DELETE", &format!("{}/{number}", path(id)), &Value::Null)? {
        Some(cancelled) => serde_json::from_value(cancelled).context("the server's answer"),
        None => own(of, async |within| Ok(within.cancel_command(id, number).await?)),
    }
}

/// Asks until the command has come to an end.
fn wait(of: &Tenanted, id: &str, mut command: DeviceCommand) -> Result<DeviceCommand> {
    while !command.state.is_end() {
        std::thread::sleep(LOOK);
        let now = asked(of, "GET", &format!("{}/{}", path(id), command.number), &Value::Null)?;
        let stopped =
            || Failure::new(Status::Unavailable, "the server has stopped: the command waits for the next one");
        command = serde_json::from_value(now.ok_or_else(stopped)?).context("the server's answer")?;
    }
    Ok(command)
}

/// Asks the server that runs; nothing, where none does.
fn asked(of: &Tenanted, method: &str, path: &str, body: &Value) -> Result<Option<Value>> {
    let folder = Folder::of(&of.source.load()?.config);
    let Access::Server(server) = Access::of(&folder)? else { return Ok(None) };
    let separator = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{separator}tenant={}", super::percent(&of.tenant));
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let mut answer = Vec::new();
    server.stream(method, &path, body, |piece| {
        answer.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(Some(serde_json::from_slice(&answer).context("the server's answer")?))
}

/// Does it with the catalog, where no server runs.
fn own<T>(of: &Tenanted, work: impl AsyncFnOnce(Within<'_>) -> Result<T>) -> Result<T> {
    of.with(async |catalog, access| work(catalog.within(access)).await)
}

fn path(id: &str) -> String {
    format!("/api/v1/devices/{}/commands", super::percent(id))
}

/// A command in a line.
fn told(command: &DeviceCommand) -> String {
    let DeviceCommand { number, state, answer, reason, .. } = command;
    let more = answer.as_ref().or(reason.as_ref()).map(|more| format!(": {}", visible(more))).unwrap_or_default();
    format!("{number}: {}{more}", state.name())
}

fn row(command: &DeviceCommand) -> Vec<String> {
    let DeviceCommand { number, kind, attributes, text, state, created, expires, answer, reason, by, .. } = command;
    let pairs = attributes.iter().map(|(name, value)| format!(" {name}={value}"));
    let text = text.iter().map(|text| format!(" {text}"));
    vec![
        number.to_string(),
        format!("{kind}{}{}", pairs.collect::<String>(), text.collect::<String>()),
        state.name().to_owned(),
        Time(*created).to_string(),
        Time(*expires).to_string(),
        by.clone(),
        answer.clone().or(reason.clone()).unwrap_or_default(),
    ]
}

/// Reads a time such as `90s` or `2d`, as seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let unit = text.get(digits.len()..).unwrap_or_default().trim();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds);
    let count: Option<u64> = digits.parse().ok();
    let seconds = count.zip(factor).and_then(|(count, factor)| count.checked_mul(factor));
    seconds.ok_or_else(|| "expected a number and a unit, such as 90s, 5min, 1h or 2d".to_owned())
}

const UNITS: [(&str, u64); 5] = [("s", 1), ("m", 60), ("min", 60), ("h", 60 * 60), ("d", 24 * 60 * 60)];

/// How often `--wait` asks.
const LOOK: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let read = |text| seconds(text).ok();
        assert_eq!(
            [read("90s"), read("5min"), read("1 h"), read("2d")],
            [Some(90), Some(300), Some(3600), Some(172_800)]
        );
        assert_eq!([read("90"), read("h"), read("1w"), read("-1s"), read("99999999999999999999d")], [None; 5]);
    }
}
