//! Which sockets to open, and what holds for those who come there.

use super::doors::Door;
use crate::config::made::{MadeListener, read};
use crate::config::{Config, ListenerConfig, overlap};
use anyhow::Result;
use odograph_catalog::Error;
use odograph_ingest::{Access, Bound, Devices as _, Listener, Proxy, Roster, State};
use odograph_protocols::detect::{COMMON_PORT, UNIDENTIFIED, name_of_listened};
use odograph_protocols::{PROTOCOLS, Protocol, Settings, Transport};
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
    pub(crate) by: By,
}

/// What says that a socket is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// `--listen`.
    CommandLine,
    /// A `[[listener]]` of the configuration, by its number.
    File(usize),
    /// `ingest.common_port`.
    CommonPort,
    /// It is the port that devices have by default.
    Default,
    /// Somebody made it in the catalog.
    Made,
}

impl Planned {
    /// Whether the server does not start without it: somebody named it beforehand.
    pub(crate) fn is_required(&self) -> bool {
        !matches!(self.by, By::Default | By::Made)
    }
}

/// The sockets to open: those of the command line alone, or else those of the file and the default ports.
pub(crate) fn plan(config: &Config, listen: &[Listen]) -> Vec<Planned> {
    if !listen.is_empty() {
        let named = |listen: &Listen| {
            let config = ListenerConfig::default();
            both(listen.protocol, listen.address, &config, By::CommandLine)
        };
        return listen.iter().flat_map(named).collect();
    }
    let mut all: Vec<Planned> = Vec::new();
    for (number, listener) in config.listeners.iter().enumerate() {
        // The configuration was checked: it has a protocol, and an address or the name of a socket.
        if let Some(protocol) = listener.protocol {
            let address = listener.listen.unwrap_or(HANDED_OVER);
            all.extend(both(protocol, address, listener, By::File(number)));
        }
    }
    let mut host = config.ingest.host;
    if host == Ipv6Addr::UNSPECIFIED && !has_ipv6() {
        host = Ipv4Addr::UNSPECIFIED.into();
    }
    let plain = ListenerConfig::default();
    if let Some(port) = config.ingest.common_port.filter(|port| *port != 0) {
        all.extend(both(&UNIDENTIFIED, SocketAddr::from((host, port)), &plain, By::CommonPort));
    }
    if config.ingest.default_ports {
        let common = config.ingest.common_port.is_none().then_some((&UNIDENTIFIED, COMMON_PORT));
        let own = PROTOCOLS.iter().map(|protocol| (*protocol, protocol.port));
        for (protocol, port) in own.chain(common) {
            for planned in both(protocol, SocketAddr::from((host, port)), &plain, By::Default) {
                // What the file puts on a port stands above its default.
                let named = |other: &Planned| {
                    other.is_required() && (other.transport, other.address.port()) == (planned.transport, port)
                };
                if !all.iter().any(named) {
                    all.push(planned);
                }
            }
        }
    }
    all
}

/// The sockets of a listener that people made. What can be written in several ways stands in it in one of them afterwards.
pub(super) fn made(listener: &mut odograph_catalog::Listener) -> Result<Vec<Planned>, Error> {
    let MadeListener { config, protocol, address } = read(listener)?;
    Ok(both(protocol, address, &config, By::Made))
}

/// What is left of a plan beside listeners that people made: a port that is one by default leaves its place to them. Whoever brings a
/// new protocol brings a new port, which somebody may have long since.
pub(super) fn beside(mut planned: Vec<Planned>, made: &[Planned]) -> Vec<Planned> {
    planned.retain(|plan| {
        let is_there = |other: &Planned| other.transport == plan.transport && overlap(other.address, plan.address);
        let yields = plan.by == By::Default && made.iter().any(is_there);
        if yields {
            let (protocol, transport) = (name_of_listened(plan.protocol), plan.transport.name());
            tracing::info!(protocol, transport, address = %plan.address, "a default port is left to a listener of the catalog");
        }
        !yields
    });
    planned
}

fn both(protocol: &'static Protocol, address: SocketAddr, config: &ListenerConfig, by: By) -> Vec<Planned> {
    let wanted = |transport: &&Transport| config.transport.has(**transport);
    let planned = |&transport| Planned { transport, config: config.clone(), protocol, address, by };
    protocol.transports.iter().filter(wanted).map(planned).collect()
}

/// Whether this machine speaks IPv6 at all.
pub(crate) fn has_ipv6() -> bool {
    std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Makes a listener of each door, for the devices that are known.
pub(super) fn listen(doors: Vec<Door>, roster: &Roster) -> Result<Vec<Bound>> {
    let one = |Door { plan, socket, tls }| {
        let mut listener = listener(&plan, roster)?;
        listener.tls = tls;
        let bound = Bound::adopt(listener, socket);
        let (protocol, transport) = (name_of_listened(plan.protocol), plan.transport.name());
        tracing::info!(protocol, transport, address = %bound.listener().local, "listening");
        Ok(bound)
    };
    doors.into_iter().map(one).collect()
}

fn listener(plan: &Planned, roster: &Roster) -> Result<Listener> {
    let mut listener = of_nobody(plan)?;
    let config = &plan.config;
    if let Some(device) = &config.device {
        // A device that has a listener of its own is known, unless the configuration says more about it.
        if roster.get(Some(&config.tenant.0), &device.0).is_none_or(|known| known.state != State::Configured) {
            roster.announce(std::slice::from_ref(&device.0), &config.tenant.0, Settings::default());
        }
        listener.device = Some(roster.admit(std::slice::from_ref(&device.0), &listener));
        listener.other = config.other_device;
    }
    Ok(listener)
}

/// A listener as it is planned, but for the device that it may be for, and TLS.
pub(super) fn of_nobody(plan: &Planned) -> Result<Listener> {
    let config = &plan.config;
    let mut listener = Listener::new(plan.protocol, plan.transport, plan.address)?;
    let pairs = config.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    listener.settings = Arc::new(Settings::checked(pairs, plan.protocol.settings)?);
    listener.checksum = config.checksum;
    listener.unknown = config.unknown;
    listener.tenant.clone_from(&config.tenant.0);
    listener.access = access(config);
    listener.proxy = config.proxy_protocol.then(|| Proxy { trusted: config.trusted.clone() });
    Ok(listener)
}

fn access(config: &ListenerConfig) -> Access {
    Access {
        allow: config.allow.clone(),
        deny: config.deny.clone(),
        connections_max: config.connections_max.unwrap_or(usize::MAX),
        connections_per_address_max: config.connections_per_address_max,
        accepts_per_second_max: config.accept_rate_max.map_or(0, |rate| u32::try_from(rate).unwrap_or(u32::MAX)),
    }
}

/// Where a socket is that is known by its name, as far as can be said before it is handed over.
const HANDED_OVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
