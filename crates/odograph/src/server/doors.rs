//! Sockets at which somebody arrives, each for what is planned there: taken from those that were open before, by name or by
//! address, or opened. This needs nothing of the data folder, so a server that is to follow another knows before it asks for
//! that one's place that nobody will find its door shut.

use super::given::Sockets;
use super::listeners::Planned;
use crate::config::{Loaded, TlsConfig};
use crate::exit::{Failure, Status};
use crate::http::Public;
use crate::map::Tiles;
use crate::ports;
use anyhow::Result;
use odograph_ingest::{Gateway, GatewayError, Given, Tls, TlsFiles};
use odograph_protocols::Transport;
use odograph_protocols::detect::name_of_listened;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;

/// All of them.
pub(super) struct Doors {
    /// Where devices arrive.
    pub(super) devices: Vec<Door>,
    /// Where people and programs arrive.
    pub(super) http: Public,
    /// What was handed over and is none of these: a listener of the catalog may be there.
    pub(super) left: Sockets,
}

/// A socket on which devices arrive.
pub(super) struct Door {
    /// With the address where it is.
    pub(super) plan: Planned,
    pub(super) socket: Given,
    pub(super) tls: Option<Arc<Tls>>,
}

impl Doors {
    /// Opens all that is planned, or takes what is there already. A default port that is taken is reported and left out; one
    /// that somebody named is an error.
    pub(super) fn open(loaded: &Loaded, planned: Vec<Planned>, mut sockets: Sockets) -> Result<Self> {
        if !sockets.is_empty() {
            tracing::info!(sockets = sockets.len(), "sockets were handed over");
        }
        let devices = open(planned, &mut sockets)?;
        let config = &loaded.config.http;
        let given = sockets.at(config.listen, Transport::Tcp);
        let http = Public::open(config, loaded.is_set("http.listen"), given)?;
        Ok(Self { devices, http, left: sockets })
    }

    /// Those of a gateway that has stopped, for one that goes on there.
    pub(super) fn again(gateway: &Gateway, planned: Vec<Planned>, http: Public) -> io::Result<Self> {
        let mut planned: HashMap<_, _> =
            planned.into_iter().map(|plan| ((plan.transport, plan.address), plan)).collect();
        let (mut devices, mut left) = (Vec::new(), Sockets::default());
        for bound in gateway.sockets() {
            let listener = bound.listener();
            let socket = Given::new(bound.as_fd().try_clone_to_owned()?)?;
            match planned.remove(&(listener.transport, listener.local)) {
                Some(plan) => devices.push(Door { plan, socket, tls: listener.tls.clone() }),
                // It was not planned: somebody made it in the catalog.
                None => left.add(String::new(), socket),
            }
        }
        Ok(Self { devices, http, left })
    }

    /// What was planned, with the addresses at which it is.
    pub(super) fn planned(&self) -> Vec<Planned> {
        self.devices.iter().map(|door| door.plan.clone()).collect()
    }
}

fn open(planned: Vec<Planned>, sockets: &mut Sockets) -> Result<Vec<Door>> {
    let mut doors = Vec::new();
    let mut secured = Secured::default();
    let names = sockets.names();
    // With port 0, both transports of a protocol get the same port, which the first one finds.
    let mut found: Option<(&'static str, Transport, SocketAddr)> = None;
    for mut plan in planned {
        let free = plan.address.port() == 0 && plan.config.socket.is_none();
        let last = found.take();
        if let Some((protocol, transport, address)) = last.filter(|_| free)
            && protocol == plan.protocol.name
            && transport != plan.transport
            && address.ip() == plan.address.ip()
        {
            plan.address = address;
        }
        let given = match &plan.config.socket {
            None => sockets.at(plan.address, plan.transport),
            Some(name) if !names.contains(name.0.as_str()) => {
                return Err(Failure::new(Status::Unavailable, no_socket(&plan, &name.0)).into());
            }
            Some(name) => match sockets.named(&name.0, plan.transport) {
                Some(given) => Some(given),
                // It is one of the protocol's other transport.
                None => continue,
            },
        };
        let tls = secured.of(&plan.config.tls)?;
        match given.map_or_else(|| Given::open(plan.transport, plan.address), Ok) {
            Ok(socket) => {
                let is_first = free && plan.address.port() == 0;
                plan.address = socket.local();
                if is_first {
                    found = Some((plan.protocol.name, plan.transport, plan.address));
                }
                doors.push(Door { plan, socket, tls });
            }
            Err(error) => {
                let what = cannot_listen(&plan, &error);
                if plan.is_required() {
                    return Err(Failure::new(Status::Unavailable, what).into());
                }
                tracing::warn!("{what}: left out");
            }
        }
    }
    Ok(doors)
}

/// Why a socket cannot be opened, and what to do.
pub(super) fn cannot_listen(plan: &Planned, error: &GatewayError) -> String {
    let (protocol, transport, address) = (name_of_listened(plan.protocol), plan.transport.name(), plan.address);
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    let why = match source {
        Some(source) if source.kind() == io::ErrorKind::AddrInUse => {
            match ports::holder(plan.transport, address.port()) {
                Some(holder) => format!("{holder} has the port"),
                None => "another process has the port".to_owned(),
            }
        }
        Some(source) if source.kind() == io::ErrorKind::PermissionDenied => {
            format!("{source}: a port below 1024 takes a right that this process lacks (CAP_NET_BIND_SERVICE)")
        }
        Some(source) => source.to_string(),
        None => error.to_string(),
    };
    format!("cannot listen on {address} for {protocol} ({transport}): {why}")
}

fn no_socket(plan: &Planned, name: &str) -> String {
    format!(
        "cannot listen for {}: no socket of the name {name:?} was handed over: have the service manager start this, with \
         FileDescriptorName={name} for the socket",
        plan.protocol.name
    )
}

/// Reads all certificates, as a server does when it starts. An error: some cannot be used, and it says where they are named.
pub(crate) fn check(loaded: &Loaded) -> Result<()> {
    let mut secured = Secured::default();
    let mut problems = Vec::new();
    for (number, listener) in loaded.config.listeners.iter().enumerate() {
        if let Err(error) = secured.of(&listener.tls) {
            problems.push(format!("{}: {error}", loaded.origin(&format!("listener.{number}.tls.cert"))));
        }
    }
    if let Err(error) = http_tls(&loaded.config.http.tls) {
        problems.push(format!("{}: {error}", loaded.origin("http.tls.cert")));
    }
    if let Some(Err(error)) = loaded.config.map.tiles.as_deref().map(Tiles::open) {
        problems.push(format!("{}: map.tiles: {error:#}", loaded.origin("map.tiles")));
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::new(Status::Config, problems.join("\n       ")).into()) }
}

/// The sockets that listeners want by their names and that are not there. Where the service manager has started this process with
/// sockets of other names, that is an error.
pub(crate) fn not_handed_over(loaded: &Loaded) -> Result<Vec<String>> {
    let given = std::env::var("LISTEN_FDNAMES").ok();
    let is_there = |name: &str| given.as_ref().is_some_and(|given| given.split(':').any(|given| given == name));
    let mut missing = Vec::new();
    for (number, listener) in loaded.config.listeners.iter().enumerate() {
        if let Some(name) = listener.socket.as_ref().filter(|name| !is_there(&name.0)) {
            let origin = loaded.origin(&format!("listener.{number}.socket"));
            missing.push(format!(
                "{origin}: the socket {:?} has to be handed over by the service manager (FileDescriptorName={}): without it, \
                 `odograph serve` does not start",
                name.0, name.0
            ));
        }
    }
    if given.is_some() && !missing.is_empty() {
        return Err(Failure::new(Status::Unavailable, missing.join("\n       ")).into());
    }
    Ok(missing)
}

/// Certificates that were read, for all who have them in common.
#[derive(Default)]
struct Secured(HashMap<TlsFiles, Arc<Tls>>);

impl Secured {
    fn of(&mut self, config: &TlsConfig) -> Result<Option<Arc<Tls>>> {
        let Some(files) = files(config) else { return Ok(None) };
        if let Some(tls) = self.0.get(&files) {
            return Ok(Some(tls.clone()));
        }
        let opened = open_tls(files.clone(), "tls")?;
        Ok(Some(self.0.entry(files).or_insert(opened).clone()))
    }
}

/// Reads the certificates of a listener, where it has any.
pub(crate) fn tls_of(config: &TlsConfig) -> Result<Option<Arc<Tls>>> {
    files(config).map(|files| open_tls(files, "tls")).transpose()
}

/// Reads the certificates of the HTTP port, where it has any.
pub(crate) fn http_tls(config: &TlsConfig) -> Result<Option<Arc<Tls>>> {
    files(config).map(|files| open_tls(files, "http.tls")).transpose()
}

fn open_tls(files: TlsFiles, key: &str) -> Result<Arc<Tls>> {
    let opened = Tls::open(files);
    let wrong = |error| Failure::new(Status::Config, format!("{key}: {:#}", anyhow::Error::from(error)));
    Ok(Arc::new(opened.map_err(wrong)?))
}

fn files(config: &TlsConfig) -> Option<TlsFiles> {
    let TlsConfig { cert: Some(cert), key: Some(key), client_ca } = config.clone() else { return None };
    Some(TlsFiles { cert, key, client_ca })
}
