//! `odograph listener`: ports that are made, changed, closed and removed while the server runs.

mod terms;

use super::table::{self, visible, visible_json};
use super::{Outcome, usage};
use crate::catalog;
use crate::client::Server;
use crate::config::{Loaded, Source};
use crate::folder::Folder;
use crate::server::{Fixed, check_listener};
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use odograph_api::{ListenerList, ListenerSeen, ListenerStanding, ListenerState, OtherListener};
use odograph_catalog::{Access, Catalog, Listener, ListenerFields};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;
use terms::Terms;

/// Make, list, change, close and remove listeners: ports where devices arrive, beside those of the configuration. While the server
/// runs, it opens and closes them at once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph listener list\n  \
    odograph listener add teltonika 15027\n  \
    odograph listener add wialon '[::]:20332' --name Partner --tenant north --transport tcp \\\n    \
      --allow 203.0.113.17 --allow 198.51.100.0/24 --unknown quarantine\n  \
    odograph listener set ID --unknown reject         what is not named stays\n  \
    odograph listener set ID --closed                 keeps it, and closes its port\n  \
    odograph listener set ID --open\n  \
    odograph listener remove ID\n\n\
    A listener takes an address that nothing else has; the list shows what else is open. It is kept in the catalog: a restart opens it\n\
    again, and so does every server that has the same catalog. Where it cannot be opened, because another process has the port or a\n\
    port below 1024 is not for this user, the list says so, and it is tried again, every 30 seconds at last.\n\n\
    When a listener is changed, closed or removed, its connections end after what is due was acknowledged, and the devices come again.\n\
    As long as its address stays the same, none of them is refused.")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List listeners, with how they stand on the running server, and what else it has open.
    List {
        #[command(flatten)]
        source: Source,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Make a listener, and open it.
    Add(AddOptions),
    /// Change a listener. What is not named stays.
    Set(SetOptions),
    /// Remove listeners, and close their ports. The devices that came by them, and what they sent, stay.
    Remove {
        #[command(flatten)]
        source: Source,
        /// Their ids, as the list has them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct AddOptions {
    #[command(flatten)]
    source: Source,
    /// What devices speak there: a protocol, or `auto` for any of them.
    protocol: String,
    /// Its address and port, such as `[::]:15027` or `192.0.2.7:15027`, or a port on all addresses.
    #[arg(value_name = "ADDRESS")]
    listen: String,
    #[command(flatten)]
    terms: Terms,
    /// Make it, and leave it closed.
    #[arg(long)]
    closed: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SetOptions {
    #[command(flatten)]
    source: Source,
    /// Its id, as the list has it.
    id: String,
    /// What devices speak there.
    #[arg(long)]
    protocol: Option<String>,
    /// Its address and port. The one before is left first.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    #[command(flatten)]
    terms: Terms,
    /// Open it.
    #[arg(long, conflicts_with = "closed")]
    open: bool,
    /// Close it. It stays in the list.
    #[arg(long)]
    closed: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    match &options.command {
        Command::List { source, json } => list(&Way::of(source)?, *json, out),
        Command::Add(AddOptions { source, protocol, listen, terms, closed, json }) => {
            let fields = ListenerFields {
                protocol: Some(protocol.clone()),
                listen: Some(listen.clone()),
                enabled: closed.then_some(false),
                ..terms.fields()?
            };
            tell(&Way::of(source)?.create(fields)?, *json, out)
        }
        Command::Set(SetOptions { source, id, protocol, listen, terms, open, closed, json }) => {
            let fields = ListenerFields {
                protocol: protocol.clone(),
                listen: listen.clone(),
                enabled: (*open || *closed).then_some(*open),
                ..terms.fields()?
            };
            if fields == ListenerFields::default() {
                return usage("nothing to change: `odograph listener set --help` lists what can be");
            }
            tell(&Way::of(source)?.update(id, fields)?, *json, out)
        }
        Command::Remove { source, ids } => {
            let way = Way::of(source)?;
            for id in ids {
                way.delete(id)?;
                writeln!(out, "{}: removed", visible(id))?;
            }
            Ok(Outcome::Done)
        }
    }
}

/// How a command gets at the listeners: by the server of the folder, which knows what it has open, or where none runs by the catalog.
struct Way {
    loaded: Loaded,
    folder: Folder,
}

impl Way {
    fn of(source: &Source) -> Result<Self> {
        let loaded = source.load()?;
        Ok(Self { folder: Folder::of(&loaded.config), loaded })
    }

    fn list(&self) -> Result<ListenerList> {
        if let Some(server) = Server::connect(&self.folder)? {
            return read(&server.ask("GET", PATH)?);
        }
        let (listeners, fixed) = self.with(async |catalog, access| {
            Ok((catalog.listeners(access).list().await?, self.fixed(catalog, access).await?))
        })?;
        let others = fixed.iter().map(Fixed::shown).collect();
        Ok(ListenerList { listeners: listeners.into_iter().map(unserved).collect(), others, others_left_out: 0 })
    }

    fn create(&self, fields: ListenerFields) -> Result<ListenerSeen> {
        if let Some(server) = Server::connect(&self.folder)? {
            return read(&server.ask_with("POST", PATH, &fields)?);
        }
        let made = self.with(async |catalog, access| {
            let fixed = self.fixed(catalog, access).await?;
            let check = |listener: &mut Listener, others: &[Listener]| check_listener(listener, others, &fixed);
            Ok(catalog.listeners(access).create(fields, &check).await?)
        });
        made.map(unserved)
    }

    fn update(&self, id: &str, fields: ListenerFields) -> Result<ListenerSeen> {
        if let Some(server) = Server::connect(&self.folder)? {
            return read(&server.ask_with("PATCH", &path(id)?, &fields)?);
        }
        let changed = self.with(async |catalog, access| {
            let fixed = self.fixed(catalog, access).await?;
            let check = |listener: &mut Listener, others: &[Listener]| check_listener(listener, others, &fixed);
            Ok(catalog.listeners(access).update(id, fields, &check).await?)
        });
        changed.map(unserved)
    }

    fn delete(&self, id: &str) -> Result<()> {
        if let Some(server) = Server::connect(&self.folder)? {
            return server.ask("DELETE", &path(id)?).map(drop);
        }
        self.with(async |catalog, access| Ok(catalog.listeners(access).delete(id).await?))
    }

    /// What a server would have open beside the listeners, as they are.
    async fn fixed(&self, catalog: &Catalog, access: &Access) -> Result<Vec<Fixed>> {
        Ok(Fixed::unserved(&self.loaded, catalog.listeners(access).list().await?))
    }

    fn with<T>(&self, work: impl AsyncFnOnce(&Catalog, &Access) -> Result<T>) -> Result<T> {
        catalog::with(&self.loaded.config, async |catalog| {
            // A folder that no server has used yet has nobody in it.
            catalog.ensure_tenant(DEFAULT).await?;
            work(catalog, &Access::owner(DEFAULT)).await
        })
    }
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T> {
    serde_json::from_slice(answer).context("the server's answer")
}

/// Where a listener is asked for.
fn path(id: &str) -> Result<String> {
    // What our ids are made of; anything else is none, and no path either.
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
        return usage(format!("{id:?} is no id of a listener: `odograph listener list` has them"));
    }
    Ok(format!("{PATH}/{id}"))
}

/// Where no server runs, nothing is open.
fn unserved(listener: Listener) -> ListenerSeen {
    let state = if listener.enabled { ListenerState::Waiting } else { ListenerState::Closed };
    let problem = listener.enabled.then(|| "no server runs here".to_owned());
    ListenerSeen { listener, standing: ListenerStanding { state, problem, sockets: Vec::new() } }
}

fn list(way: &Way, json: bool, out: &mut dyn Write) -> Result<Outcome> {
    let list = way.list()?;
    if json {
        print(&list, out)?;
        return Ok(Outcome::Done);
    }
    let rows = list.listeners.iter().map(row).chain(list.others.iter().map(row_of_other)).collect();
    let title = ["ID", "PROTOCOL", "ADDRESS", "BY", "TENANT", "CONNECTIONS", "STATE"];
    out.write_all(table::headed(&title, rows).as_bytes())?;
    if list.others_left_out > 0 {
        writeln!(out, "and {} more of the configuration", list.others_left_out)?;
    }
    Ok(Outcome::Done)
}

fn row_of_other(other: &OtherListener) -> Vec<String> {
    let OtherListener { protocol, transport, address, tenant, by } = other;
    let tenant = tenant.as_deref().unwrap_or("-");
    ["-", protocol, address, transport, tenant, "-", by].map(ToOwned::to_owned).to_vec()
}

fn row(ListenerSeen { listener, standing }: &ListenerSeen) -> Vec<String> {
    let by = serde_json::to_value(listener.terms.transport).ok();
    let by = by.as_ref().and_then(|by| by.as_str()).unwrap_or_default();
    let connections = standing.sockets.iter().filter_map(|socket| socket.connections);
    let connections = connections.reduce(|one, other| one + other);
    let name = if listener.name.is_empty() { String::new() } else { format!(" ({})", listener.name) };
    vec![
        listener.id.clone(),
        format!("{}{name}", listener.terms.protocol),
        listener.terms.listen.clone(),
        by.to_owned(),
        listener.tenant.clone(),
        connections.map_or_else(|| "-".to_owned(), |count| count.to_string()),
        state(standing),
    ]
}

fn state(standing: &ListenerStanding) -> String {
    match &standing.problem {
        Some(problem) => format!("{}: {problem}", standing.state.name()),
        None => standing.state.name().to_owned(),
    }
}

/// Says what became of one. That it is not open as it should be is a problem.
fn tell(seen: &ListenerSeen, json: bool, out: &mut dyn Write) -> Result<Outcome> {
    let ListenerSeen { listener, standing } = seen;
    if json {
        print(seen, out)?;
    } else {
        let terms = &listener.terms;
        let what = format!("{}: {} on {}, {}", listener.id, terms.protocol, terms.listen, state(standing));
        writeln!(out, "{}", visible(&what))?;
    }
    Ok(if standing.state == ListenerState::Failed { Outcome::Problems } else { Outcome::Done })
}

fn print(what: &impl Serialize, out: &mut dyn Write) -> Result<()> {
    Ok(writeln!(out, "{}", visible_json(&serde_json::to_string(what)?))?)
}

const PATH: &str = "/api/v1/listeners";
const DEFAULT: &str = "default";
