//! Which sockets to open, and opening them.

use super::given::Sockets;
use crate::config::{Config, ListenerConfig, TlsConfig};
use crate::exit::{Failure, Status};
use crate::ports;
use anyhow::Result;
use odograph_ingest::{Access, Bound, Devices as _, GatewayError, Listener, Proxy, Roster, State, Tls, TlsFiles};
use odograph_protocols::detect::{COMMON_PORT, UNIDENTIFIED, name_of_listened};
use odograph_protocols::{PROTOCOLS, Protocol, Settings, Transport};
use std::collections::HashMap;
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
        // The configuration was checked: it has a protocol, and an address or the name of a socket.
        if let Some(protocol) = listener.protocol {
            let address = listener.listen.unwrap_or(HANDED_OVER);
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

/// Opens all of them, or takes those that were handed over. A default port that is taken is reported and left out; one that
/// somebody named is an error.
pub(crate) fn open(planned: Vec<Planned>, mut sockets: Sockets, roster: &Roster) -> Result<Vec<Bound>> {
    let mut bound = Vec::new();
    let mut secured = HashMap::new();
    let names = sockets.names();
    if !sockets.is_empty() {
        tracing::info!(sockets = sockets.len(), "sockets were handed over");
    }
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
                return Err(Failure::new(Status::Unavailable, not_handed_over(&plan, &name.0)).into());
            }
            Some(name) => match sockets.named(&name.0, plan.transport) {
                Some(given) => Some(given),
                // It is one of the protocol's other transport.
                None => continue,
            },
        };
        let listener = listener(&plan, roster, &mut secured)?;
        let opened = match given {
            Some(given) => Ok(Bound::adopt(listener, given)),
            None => Bound::open(listener),
        };
        match opened {
            Ok(socket) => {
                let (protocol, transport) = (name_of_listened(plan.protocol), plan.transport.name());
                let address = socket.listener().local;
                tracing::info!(protocol, transport, %address, "listening");
                if free && plan.address.port() == 0 {
                    found = Some((plan.protocol.name, plan.transport, address));
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
    for socket in sockets.left() {
        tracing::warn!("no listener is at {socket}, which was handed over: it is closed");
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

fn not_handed_over(plan: &Planned, name: &str) -> String {
    format!(
        "cannot listen for {}: no socket of the name {name:?} was handed over: have the service manager start this, with \
         FileDescriptorName={name} for the socket",
        plan.protocol.name
    )
}

/// What several listeners may have in common.
type Secured = HashMap<TlsFiles, Arc<Tls>>;

fn listener(plan: &Planned, roster: &Roster, secured: &mut Secured) -> Result<Listener> {
    let config = &plan.config;
    let mut listener = Listener::new(plan.protocol, plan.transport, plan.address)?;
    let pairs = config.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    listener.settings = Arc::new(Settings::checked(pairs, plan.protocol.settings)?);
    listener.checksum = config.checksum;
    listener.unknown = config.unknown;
    listener.tenant.clone_from(&config.tenant.0);
    listener.access = access(config);
    listener.proxy = config.proxy_protocol.then(|| Proxy { trusted: config.trusted.clone() });
    listener.tls = tls(config, secured)?;
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

fn access(config: &ListenerConfig) -> Access {
    Access {
        allow: config.allow.clone(),
        deny: config.deny.clone(),
        connections_max: config.connections_max.unwrap_or(usize::MAX),
        connections_per_address_max: config.connections_per_address_max,
        accepts_per_second_max: config.accept_rate_max.map_or(0, |rate| u32::try_from(rate).unwrap_or(u32::MAX)),
    }
}

fn tls(config: &ListenerConfig, secured: &mut Secured) -> Result<Option<Arc<Tls>>> {
    let Some(files) = files(&config.tls) else { return Ok(None) };
    if let Some(tls) = secured.get(&files) {
        return Ok(Some(tls.clone()));
    }
    let opened = open_tls(files.clone(), "tls")?;
    Ok(Some(secured.entry(files).or_insert(opened).clone()))
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

/// Where a socket is that is known by its name, as far as can be said before it is handed over.
const HANDED_OVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
