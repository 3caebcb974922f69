//! `odograph unidentified`: who came and was not understood, or was refused; and naming them.

use super::pairs::{Pair, moment, pair, protocol_names};
use super::table::{self, visible, visible_json};
use super::{Outcome, usage};
use crate::client::{Access, Server};
use crate::config::{Config, Source};
use crate::export::Entries;
use crate::folder::Folder;
use crate::history;
use crate::unidentified::{self, NameAs, NameRequest, Stray, StrayQuery};
use crate::{exit, server};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::{Args, Subcommand};
use odograph_lake::Lake;
use odograph_model::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;

/// List who came and was not understood, or was refused; name them, and their bytes are decoded.
///
/// On the port that understands all protocols, nobody is answered before it is clear which one is spoken. What could not
/// be told is kept, byte for byte.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph unidentified\n  \
    odograph unidentified --from 2026-06-01 --json\n  \
    odograph unidentified name 4294967360 --protocol gt06\n  \
    odograph unidentified name 4294967360 --protocol autograph --device 218328\n\n\
    A connection is listed once it has ended, a datagram at once. What is named comes into history with the times when it came,\n\
    and `odograph replay` decodes it again like everything else.")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which protocol it speaks, so that its bytes are decoded. Also while the server runs.
    Name(NameOptions),
}

#[derive(Debug, Args)]
struct ListOptions {
    #[command(flatten)]
    source: Source,
    /// Only those who sent something from this moment on: `2026-06-01` or `2026-06-01T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Time>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Print JSON instead of a table: it also says why each protocol is thought of, or why none is.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct NameOptions {
    #[command(flatten)]
    source: Source,
    /// Its id, as the list has it.
    id: u64,
    /// The protocol.
    #[arg(long, value_parser = protocol_names(None))]
    protocol: String,
    /// Whose it is, where its bytes do not say so.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Whose the device becomes, if nobody knows it yet.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// A setting of the protocol. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<Pair>,
    /// Take frames with a wrong checksum, for clones that get it wrong.
    #[arg(long)]
    wrong_checksums: bool,
    /// Also where it was named before.
    #[arg(long)]
    again: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    match &options.command {
        None => list(&options.list, out),
        Some(Command::Name(options)) => name(options, out),
    }
}

fn list(options: &ListOptions, out: &mut dyn Write) -> Result<Outcome> {
    let config = options.source.load()?.config;
    let folder = Folder::of(&config);
    let query = StrayQuery { from: options.from.map(|time| time.0), limit: options.limit as usize };
    let strays: Vec<Stray> = match Access::of(&folder)? {
        Access::Server(server) => ask(server, "/control/unidentified", &query)?,
        Access::Own(lock) => {
            drop(lock);
            with_entries(&config, &folder, |entries| unidentified::list(entries, &query))?.unwrap_or_default()
        }
    };
    if options.json {
        writeln!(out, "{}", visible_json(&serde_json::to_string(&strays)?))?;
        return Ok(Outcome::Done);
    }
    let title = ["ID", "TIME", "FROM", "TO", "BYTES", "WHY", "COULD BE", "FIRST BYTES"];
    let text = table::headed(&title, strays.iter().map(row).collect());
    out.write_all(text.as_bytes())?;
    Ok(Outcome::Done)
}

fn row(stray: &Stray) -> Vec<String> {
    let why = stray.why.as_deref().unwrap_or("-");
    let could_be = match (&stray.protocol, &stray.device, &stray.is) {
        _ if !stray.named.is_empty() => format!("named {}", stray.named.join(", ")),
        (Some(protocol), device, _) => format!("is {protocol} {}", device.as_deref().unwrap_or_default()),
        (_, _, Some(is)) => format!("is {is}"),
        _ if stray.could_be.is_empty() => "nothing known".to_owned(),
        _ => stray.could_be.join(", "),
    };
    let first = if is_text(&stray.text) { visible(&stray.text) } else { stray.hex.clone() };
    let to = format!("{} {}", stray.local, stray.transport);
    [&stray.id.to_string(), &stray.last, &stray.peer, &to, &stray.bytes.to_string(), why, &could_be, &first]
        .map(ToString::to_string)
        .to_vec()
}

/// Whether a person reads it better as text: few of its bytes are escaped.
fn is_text(text: &str) -> bool {
    text.matches("\\x").count() * 16 < text.len()
}

fn name(options: &NameOptions, out: &mut dyn Write) -> Result<Outcome> {
    if options.device.as_ref().is_some_and(|device| device.is_empty() || device.len() > ID_BYTES_MAX) {
        return usage(format!("a device's id has 1 to {ID_BYTES_MAX} bytes"));
    }
    let config = options.source.load()?.config;
    let folder = Folder::of(&config);
    let request = NameRequest {
        id: options.id,
        protocol: options.protocol.clone(),
        device: options.device.clone(),
        tenant: options.tenant.as_str().into(),
        set: options.set.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect(),
        unsealed: options.wrong_checksums,
        again: options.again,
    };
    let named: NameAs = match Access::of(&folder)? {
        Access::Server(server) => ask(server, "/control/unidentified/name", &request)?,
        Access::Own(_lock) => server::with_intake(&config, &folder, |roster, intake, now| {
            let named =
                with_entries(&config, &folder, |entries| unidentified::name(entries, roster, intake, &request, now))?;
            named.ok_or_else(|| exit::Failure::new(exit::Status::NoInput, "nothing was ever received here").into())
        })?,
    };
    let devices = if named.devices.is_empty() { "nobody".to_owned() } else { named.devices.join(", ") };
    let NameAs { frames, records, malformed, .. } = &named;
    writeln!(out, "{}: {frames} frames, {records} records of {}", options.id, visible(&devices))?;
    for fault in malformed {
        writeln!(out, "malformed: {}", visible(fault))?;
    }
    Ok(if malformed.is_empty() { Outcome::Done } else { Outcome::Malformed })
}

fn ask<T: DeserializeOwned>(server: Server, path: &str, body: &impl Serialize) -> Result<T> {
    let mut all = Vec::new();
    server.stream("POST", path, Bytes::from(serde_json::to_vec(body)?), |chunk| {
        all.extend_from_slice(chunk);
        Ok(())
    })?;
    serde_json::from_slice(&all).context("the server's answer")
}

/// Reads the journal and history where no server has them; `None` where nothing was ever received.
fn with_entries<T>(
    config: &Config,
    folder: &Folder,
    read: impl FnOnce(&Entries<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let Some(reader) = folder.reader(config.journal.node)? else { return Ok(None) };
    let lake = history::lake(config, folder)?;
    // Looked at anew each time: a server that starts meanwhile goes on giving up what history has.
    let history = || Ok(Lake::of_frames(&lake)?);
    read(&Entries { reader: &reader, node: config.journal.node, history: &history, until: None }).map(Some)
}

/// The journal's length field for a device has 8 bits.
const ID_BYTES_MAX: usize = 255;
