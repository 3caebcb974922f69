//! `odograph device`: the devices that are known, what is decided about them, and what they are told.

mod command;
pub(super) mod erase;
mod import;
mod set;

use super::{Outcome, table, usage};
use crate::client::Access;
use crate::config::{Config, Source};
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use crate::{catalog, server};
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use odograph_ingest::{Known, Roster, RosterError, State};
use odograph_model::Lsn;
use std::collections::HashSet;
use std::io::Write;

/// List devices; accept or reject those that wait; send commands. Also while the server runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph device list --state quarantined\n  \
    odograph device accept 352093081452251\n  \
    odograph device import fleet.csv              shows what would change; --apply does it\n  \
    odograph device set 352093081452251 --name 'Truck 7' --time-zone Europe/Riga\n  \
    odograph device command 352093081452251 engineStop --ttl 10m --wait\n  \
    odograph device command 352093081452251 --text 'getver'\n  \
    odograph device commands 352093081452251\n  \
    odograph device erase 352093081452251         shows what there is; --yes erases it\n\n\
    A device that is accepted counts from its first message on: what it sent while it waited was kept.\n\
    Devices of the configuration file stay as they are there.")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the devices that are known.
    List {
        #[command(flatten)]
        source: Source,
        /// Only those in this state.
        #[arg(long)]
        state: Option<StateName>,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Take these devices: their data counts.
    Accept(Which),
    /// Refuse these devices from their next message on that names them: in most protocols that is a login, so a connection
    /// that is open stays until it ends.
    Reject(Which),
    /// Erase all that a device sent and that is kept of it, everywhere in the data folder. Without --yes, only says what there is.
    Erase(erase::Options),
    /// Take in devices from a table or from a Traccar database. What would change is shown first.
    Import(import::Options),
    /// Say what a device is: its name, its plate, its time zone.
    Set(set::Options),
    /// Send a command to a device: it waits until the device is there. Commands go over TCP and UDP, not over HTTP.
    #[command(name = "command")]
    Tell(command::Options),
    /// List a device's commands, and what became of them.
    #[command(name = "commands")]
    Told(command::ListOptions),
}

#[derive(Debug, Args)]
struct Which {
    #[command(flatten)]
    source: Source,
    /// The devices' ids.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Of which tenant they are. Where two have a device of one id, it is that of whoever had it first otherwise.
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StateName {
    Configured,
    New,
    Accepted,
    Quarantined,
    Rejected,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    match &options.command {
        Command::List { source, state, json } => list(source, *state, *json, out),
        Command::Accept(which) => decide(which, State::Accepted, out),
        Command::Reject(which) => decide(which, State::Rejected, out),
        Command::Erase(options) => erase::run(options, out),
        Command::Import(options) => import::run(options, out),
        Command::Set(options) => set::run(options, out),
        Command::Tell(options) => command::run(options, out),
        Command::Told(options) => command::list(options, out),
    }
}

fn list(source: &Source, state: Option<StateName>, json: bool, out: &mut dyn Write) -> Result<Outcome> {
    let config = source.load()?.config;
    let folder = Folder::of(&config);
    let mut known: Vec<Known> = match Access::of(&folder)? {
        Access::Server(server) => {
            serde_json::from_slice(&server.ask("GET", "/control/devices")?).context("the server's answer")?
        }
        Access::Own(_lock) => with_announced(&config, &folder, own_roster(&folder, &config)?.0.list())?,
    };
    known.retain(|device| state.is_none_or(|state| name(device.state) == word(state)));
    if json {
        writeln!(out, "{}", serde_json::to_string(&known)?)?;
    } else {
        let row = |device: &Known| {
            [device.device.as_str(), name(device.state), &device.tenant, &device.protocol].map(str::to_owned).to_vec()
        };
        let rows = known.iter().map(row).collect();
        out.write_all(table::headed(&["DEVICE", "STATE", "TENANT", "PROTOCOL"], rows).as_bytes())?;
    }
    Ok(Outcome::Done)
}

fn decide(which: &Which, state: State, out: &mut dyn Write) -> Result<Outcome> {
    let config = which.source.load()?.config;
    let folder = Folder::of(&config);
    let tenant = which.tenant.as_deref();
    for id in &which.ids {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return usage(format!("an id has 1 to {ID_BYTES_MAX} bytes: {id:?}"));
        }
        let before = match Access::of(&folder)? {
            Access::Server(server) => {
                let verb = if state == State::Accepted { "accept" } else { "reject" };
                let of = tenant.map_or_else(String::new, |tenant| format!("?tenant={}", percent(tenant)));
                let path = format!("/control/devices/{}/{verb}{of}", percent(id));
                let answer: Answer =
                    serde_json::from_slice(&server.ask("POST", &path)?).context("the server's answer")?;
                answer.before
            }
            Access::Own(_lock) => {
                let (roster, end) = own_roster(&folder, &config)?;
                let known = roster.get(tenant, id);
                if known.as_ref().is_none_or(|known| known.state != State::Configured) {
                    catalog::with(&config, async |catalog| {
                        Ok(catalog::decide(catalog, tenant, known.as_ref(), id, state).await?)
                    })?;
                }
                roster.decide(tenant, id, state, end).map_err(refused)?
            }
        };
        match before {
            Some(State::Configured) => return usage(format!("{id} is a device of the configuration: change it there")),
            Some(before) => writeln!(out, "{id}: {} (was {})", name(state), name(before))?,
            None => writeln!(out, "{id}: {} (was not known)", name(state))?,
        }
    }
    Ok(Outcome::Done)
}

/// The devices, where no server has the folder. Says what is wrong with their file.
fn own_roster(folder: &Folder, config: &Config) -> Result<(Roster, Lsn)> {
    let (roster, end) = folder.roster(config, folder.reader(config.journal.node)?.as_ref())?;
    if !roster.damage().is_none() {
        eprintln!("warning: {}", folder.damaged_devices(&roster));
    }
    Ok((roster, end))
}

/// With those that people announced in the catalog and that never came.
fn with_announced(config: &Config, folder: &Folder, mut known: Vec<Known>) -> Result<Vec<Known>> {
    if config.catalog.url.is_none() && !folder.catalog().exists() {
        return Ok(known);
    }
    let there: HashSet<_> = known.iter().map(|one| (one.tenant.clone(), one.device.clone())).collect();
    catalog::with(config, async |catalog| {
        let mut announced = Vec::new();
        catalog.bindings(|binding| announced.extend(server::known(&binding))).await?;
        known.extend(announced.into_iter().filter(|one| !there.contains(&(one.tenant.clone(), one.device.clone()))));
        Ok(())
    })?;
    known.sort_by(|a, b| (&a.device, &a.tenant).cmp(&(&b.device, &b.tenant)));
    Ok(known)
}

/// A decision that could not be kept.
fn refused(error: RosterError) -> anyhow::Error {
    let full = matches!(error, RosterError::Full { .. });
    let what = format!("{:#}", anyhow::Error::from(error));
    if full { Failure::new(Status::CannotCreate, what).into() } else { anyhow::anyhow!(what) }
}

#[derive(serde::Deserialize)]
struct Answer {
    before: Option<State>,
}

/// The journal's length field for a device has 8 bits.
const ID_BYTES_MAX: usize = 255;

/// An id as a part of a path.
fn percent(id: &str) -> String {
    let part = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    id.bytes().map(part).collect()
}

const fn name(state: State) -> &'static str {
    match state {
        State::Configured => "configured",
        State::New => "new",
        State::Accepted => "accepted",
        State::Quarantined => "quarantined",
        State::Rejected => "rejected",
        State::Deleted => "deleted",
    }
}

const fn word(state: StateName) -> &'static str {
    match state {
        StateName::Configured => "configured",
        StateName::New => "new",
        StateName::Accepted => "accepted",
        StateName::Quarantined => "quarantined",
        StateName::Rejected => "rejected",
    }
}
