//! Which sockets to open, and opening them.

use crate::config::{Config, ListenerConfig};
use crate::exit::{Failure, Status};
use crate::ports;
use anyhow::Result;
use odograph_ingest::{Bound, Devices as _, GatewayError, Listener, Roster, State};
use odograph_protocols::detect::{COMMON_PORT, UNIDENTIFIED, name_of_listened};
use odograph_protocols::{PROTOCOLS, Protocol, Settings, Transport};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// `--listen PROTOCOL=ADDRESS`.
#[derive(Debug, Clone)]
pub(crate) struct Listen {
    pub(crate) protocol: &'static Protocol,
    pub(crate) address: SocketAddr,
}

/// A socket to open.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) transport: Transport,
    pub(crate) config: ListenerConfig,
    pub(crate) protocol: &'static Protocol,
    pub(crate) address: SocketAddr,
    /// Somebody named it, so the server must have it.
    pub(crate) required: bool,
}

/// The sockets to open: those of the command line alone, or else those of the file and the default ports.
pub(crate) fn plan(config: &Config, listen: &[Listen]) -> Vec<Planned> {
    if !listen.is_empty() {
        let named = |listen: &Listen| {
            let config = ListenerConfig::default();
            both(listen.protocol, listen.address, &config, true)
        };
        return listen.iter().flat_map(named).collect();
    }
    let mut all: Vec<Planned> = Vec::new();
    for listener in &config.listeners {
        // Both are there: the configuration was checked.
        if let (Some(protocol), Some(address)) = (listener.protocol, listener.listen) {
            all.extend(both(protocol, address, listener, true));
        }
    }
    let mut host = config.ingest.host;
    if host == Ipv6Addr::UNSPECIFIED && !has_ipv6() {
        host = Ipv4Addr::UNSPECIFIED.into();
    }
    let plain = ListenerConfig::default();
    if let Some(port) = config.ingest.common_port.filter(|port| *port != 0) {
        all.extend(both(&UNIDENTIFIED, SocketAddr::from((host, port)), &plain, true));
    }
    if config.ingest.default_ports {
        let common = config.ingest.common_port.is_none().then_some((&UNIDENTIFIED, COMMON_PORT));
        let own = PROTOCOLS.iter().map(|protocol| (*protocol, protocol.port));
        for (protocol, port) in own.chain(common) {
            for planned in both(protocol, SocketAddr::from((host, port)), &plain, false) {
                // What the file puts on a port stands above its default.
                let named = |other: &Planned| {
                    other.required && (other.transport, other.address.port()) == (planned.transport, port)
                };
                if !all.iter().any(named) {
                    all.push(planned);
                }
            }
        }
    }
    all
}

fn both(protocol: &'static Protocol, address: SocketAddr, config: &ListenerConfig, required: bool) -> Vec<Planned> {
    let wanted = |transport: &&Transport| config.transport.has(**transport);
    let planned = |&transport| Planned { transport, config: config.clone(), protocol, address, required };
    protocol.transports.iter().filter(wanted).map(planned).collect()
}

/// Whether this machine speaks IPv6 at all.
pub(crate) fn has_ipv6() -> bool {
    std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Opens all of them. A default port that is taken is reported and left out; one that somebody named is an error.
pub(crate) fn open(planned: Vec<Planned>, roster: &Roster) -> Result<Vec<Bound>> {
    let mut bound = Vec::new();
    // With port 0, both transports of a protocol get the same port, which the first one finds.
    let mut found: Option<(&'static str, SocketAddr)> = None;
    for mut plan in planned {
        let free = plan.address.port() == 0;
        let same =
            |found: &(&str, SocketAddr)| free && found.0 == plan.protocol.name && found.1.ip() == plan.address.ip();
        if let Some((_, address)) = found.take_if(|found| same(found)) {
            plan.address = address;
        }
        match Bound::open(listener(&plan, roster)?) {
            Ok(socket) => {
                let (protocol, transport) = (name_of_listened(plan.protocol), plan.transport.name());
                let address = socket.listener().local;
                tracing::info!(protocol, transport, %address, "listening");
                if free {
                    found = Some((plan.protocol.name, address));
                }
                bound.push(socket);
            }
            Err(error) => {
                let what = cannot_listen(&plan, &error);
                if plan.required {
                    return Err(Failure::new(Status::Unavailable, what).into());
                }
                tracing::warn!("{what}: left out");
            }
        }
    }
    Ok(bound)
}

fn cannot_listen(plan: &Planned, error: &GatewayError) -> String {
    let (protocol, transport, address) = (name_of_listened(plan.protocol), plan.transport.name(), plan.address);
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    let why = match source {
        Some(source) if source.kind() == io::ErrorKind::AddrInUse => {
            match ports::holder(plan.transport, address.port()) {
                Some(holder) => format!("{holder} has the port"),
                None => "another process has the port".to_owned(),
            }
        }
        Some(source) => source.to_string(),
        None => error.to_string(),
    };
    format!("cannot listen on {address} for {protocol} ({transport}): {why}")
}

fn listener(plan: &Planned, roster: &Roster) -> Result<Listener> {
    let config = &plan.config;
    let mut listener = Listener::new(plan.protocol, plan.transport, plan.address)?;
    let pairs = config.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    listener.settings = Arc::new(Settings::checked(pairs, plan.protocol.settings)?);
    listener.checksum = config.checksum;
    listener.unknown = config.unknown;
    listener.tenant.clone_from(&config.tenant.0);
    if let Some(device) = &config.device {
        // A device that has a listener of its own is known, unless the configuration says more about it.
        if roster.get(&device.0).is_none_or(|known| known.state != State::Configured) {
            roster.announce(std::slice::from_ref(&device.0), &config.tenant.0, Settings::default());
        }
        listener.device = Some(roster.admit(std::slice::from_ref(&device.0), &listener));
    }
    Ok(listener)
}
