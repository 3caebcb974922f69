//! What a configuration may not say although each of its values is right.

use super::keys::{ListenerConfig, TlsConfig};
use super::{Loaded, Origin};
use compact_str::CompactString;
use odograph_catalog::bounds::check_tenant_length;
use odograph_ingest::Other;
use odograph_protocols::detect::{UNIDENTIFIED, name_of_listened};
use odograph_protocols::{PROTOCOLS, Protocol, Settings, Transport};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use super::setting::{Name, Size, Transports};

/// All that is wrong, each with its place.
pub(super) fn problems(loaded: &Loaded) -> Vec<String> {
    let mut problems = Vec::new();
    for number in 0..loaded.config.listeners.len() {
        listener(loaded, number, &mut problems);
    }
    match loaded.config.lake.remote().map(|store| odograph_lake::check_store(&store)) {
        Some(Err(what)) => problems.push(format!("{}: {what}", loaded.origin("lake.store"))),
        None if !loaded.config.lake.store_options.is_empty() => {
            let place = place(loaded, "lake.store_options");
            problems.push(format!("{place}: lake.store_options say nothing without lake.store"));
        }
        Some(Ok(())) | None => {}
    }
    if let Some(place) = &loaded.config.backup.to
        && let Err(what) = crate::backup::At::new(&place.0, &loaded.config).check()
    {
        problems.push(format!("{}: {what}", loaded.origin("backup.to")));
    }
    let mut ids: HashMap<CompactString, usize> = HashMap::new();
    for (number, device) in loaded.config.devices.iter().enumerate() {
        let place = place(loaded, &format!("device.{number}"));
        if device.ids.is_empty() {
            problems.push(format!("{place}: a [[device]] needs ids"));
        }
        for id in &device.ids {
            if ids.insert(id.clone(), number).is_some_and(|other| other != number) {
                problems.push(format!("{place}: the id {id} belongs to two devices"));
            }
        }
        problems.extend(device_settings(&device.settings).into_iter().map(|what| format!("{place}: {what}")));
        problems.extend(long_tenant("tenant", &device.tenant).map(|what| format!("{place}: {what}")));
    }
    let tls = half_tls(&loaded.config.http.tls);
    problems.extend(tls.map(|what| format!("{}: http: {what}", place(loaded, "http.tls"))));
    problems.extend(proxies(loaded));
    let map = &loaded.config.map;
    if map.style.is_none() && !(map.style_dark.is_none() && map.hosts.is_empty()) {
        problems.push(format!("{}: map: style_dark and hosts say nothing without style", place(loaded, "map")));
    }
    if map.style.is_some() && map.tiles.is_some() {
        problems.push(format!("{}: map: style and tiles are two maps: name one of them", place(loaded, "map")));
    }
    let geocoder = &loaded.config.geocoder;
    if geocoder.url.is_none() && !(geocoder.pointer.is_none() && geocoder.credit.is_none()) {
        let place = place(loaded, "geocoder");
        problems.push(format!("{place}: geocoder: pointer and credit say nothing without url"));
    }
    problems.extend(tenants(loaded));
    problems.extend(budget(loaded));
    problems.extend(addresses(loaded));
    problems
}

/// Where everyone is trusted, everyone can say that they are somebody else.
fn proxies(loaded: &Loaded) -> Option<String> {
    let everyone = loaded.config.http.trusted_proxies.iter().find(|network| network.prefix_len() == 0)?;
    let place = loaded.origin("http.trusted_proxies");
    Some(format!(
        "{place}: http.trusted_proxies: {everyone} is everyone, and anyone could say then that they are somebody else: name the \
         networks of the proxies, as 10.0.0.0/24"
    ))
}

/// History can keep nothing of a tenant whose name no folder can have.
fn long_tenant(key: &'static str, name: &Name) -> Option<String> {
    check_tenant_length(key, &name.0).err().map(|error| error.to_string())
}

/// Each tenant has a name, and is there once.
fn tenants(loaded: &Loaded) -> Vec<String> {
    let (mut names, mut problems) = (HashMap::new(), Vec::new());
    for (number, tenant) in loaded.config.tenants.iter().enumerate() {
        let place = place(loaded, &format!("tenant.{number}"));
        match &tenant.name {
            None => problems.push(format!("{place}: a [[tenant]] needs a name")),
            Some(name) => {
                problems.extend(long_tenant("name", name).map(|what| format!("{place}: {what}")));
                if names.insert(&name.0, number).is_some() {
                    problems.push(format!("{place}: there are two [[tenant]] of the name {}", name.0));
                }
            }
        }
    }
    problems
}

/// The newest segment always stays, so a budget of less than two leaves nothing to whoever reads slowly.
fn budget(loaded: &Loaded) -> Option<String> {
    let (segment, budget) = (loaded.config.journal.segment_bytes, loaded.config.journal.disk_budget?);
    let least = segment.0.saturating_mul(2);
    let place = loaded.origin("journal.disk_budget");
    (budget.0 < least).then(|| {
        let (budget, segment, least) = (Size::shown(budget.0), Size::shown(segment.0), Size::shown(least));
        format!(
            "{place}: journal.disk_budget: \"{budget}\" is less than two segments of journal.segment_bytes ({segment}): \
             {least} or more"
        )
    })
}

/// Each socket has an address of its own.
fn addresses(loaded: &Loaded) -> Vec<String> {
    let mut taken: Vec<Taken> = Vec::new();
    if loaded.is_set("http.listen") {
        let address = loaded.config.http.listen;
        taken.push(Taken {
            transport: Transport::Tcp,
            address,
            by: "http.listen".to_owned(),
            at: loaded.origin("http.listen"),
        });
    }
    let mut problems = Vec::new();
    if let Some(port) = loaded.config.ingest.common_port.filter(|port| *port != 0) {
        let address = SocketAddr::from((loaded.config.ingest.host, port));
        let (by, at) = ("ingest.common_port".to_owned(), loaded.origin("ingest.common_port"));
        if let Some(Taken { address: other, by, at: where_other, .. }) =
            taken.iter().find(|other| overlap(other.address, address))
        {
            problems.push(format!("{at}: {address} (tcp) is taken by {by}, which has {other} ({where_other})"));
        }
        let both = UNIDENTIFIED.transports.iter();
        taken.extend(both.map(|&transport| Taken { transport, address, by: by.clone(), at: at.clone() }));
    }
    for (number, listener) in loaded.config.listeners.iter().enumerate() {
        let (Some(protocol), Some(address)) = (listener.protocol, listener.listen) else { continue };
        let at = place(loaded, &format!("listener.{number}"));
        let transports = protocol.transports.iter().filter(|transport| listener.transport.has(**transport));
        let (mut mine, mut told) = (Vec::new(), false);
        for &transport in transports {
            let clash = taken.iter().find(|other| other.transport == transport && overlap(other.address, address));
            if let Some(Taken { address: other, by, at: where_other, .. }) = clash.filter(|_| !told) {
                let name = transport.name();
                problems.push(format!("{at}: {address} ({name}) is taken by {by}, which has {other} ({where_other})"));
                told = true;
            }
            mine.push(Taken {
                transport,
                address,
                by: format!("the [[listener]] for {}", name_of_listened(protocol)),
                at: at.clone(),
            });
        }
        taken.extend(mine);
    }
    problems
}

/// A socket that the configuration asks for.
struct Taken {
    transport: Transport,
    address: SocketAddr,
    by: String,
    at: Origin,
}

/// Whether the system gives only one of two sockets: `[::]` takes everything of its port.
pub(crate) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let all = |address: SocketAddr, other: SocketAddr| {
        address.ip().is_unspecified() && (address.is_ipv6() || other.is_ipv4() || other.ip().is_unspecified())
    };
    one.port() == other.port()
        && one.port() != 0
        && (one.ip().to_canonical() == other.ip().to_canonical() || all(one, other) || all(other, one))
}

fn listener(loaded: &Loaded, number: usize, problems: &mut Vec<String>) {
    let Some(listener) = loaded.config.listeners.get(number) else { return };
    let place = place(loaded, &format!("listener.{number}"));
    let mut wrong = |what: String| problems.push(format!("{place}: {what}"));
    let Some(protocol) = listener.protocol else {
        // Where the protocol was given and refused, that was told already, but once more does no harm.
        return wrong("a [[listener]] needs a protocol".to_owned());
    };
    match (&listener.listen, &listener.socket) {
        (None, None) => {
            wrong("a [[listener]] needs an address to listen on, or a socket that is handed over".to_owned());
        }
        (Some(_), Some(_)) => wrong("a [[listener]] has listen or socket, not both".to_owned()),
        _ => {}
    }
    if listener.allow.is_empty() && loaded.is_set(&format!("listener.{number}.allow")) {
        // Whoever reads it finds that nobody may come, and without networks everybody may.
        wrong("allow is empty: name networks, or leave it out to let devices come from everywhere".to_owned());
    }
    long_tenant("tenant", &listener.tenant).into_iter().for_each(&mut wrong);
    terms(protocol, listener).into_iter().for_each(&mut wrong);
}

/// What does not go together of what holds for those who come to a listener.
pub(super) fn terms(protocol: &Protocol, listener: &ListenerConfig) -> Vec<String> {
    let mut problems = before_the_first_byte(protocol, listener);
    let asks_for_http = listener.transport == Transports::Http;
    let has_any = protocol.transports.iter().any(|transport| listener.transport.has(*transport));
    if !has_any || (asks_for_http && !protocol.is_of_requests()) {
        let travels: Vec<_> = protocol.travels_by().collect();
        let asked = match listener.transport {
            Transports::Tcp => "tcp",
            Transports::Http => "http",
            Transports::Udp | Transports::Both => "udp",
        };
        problems.push(format!("{} does not travel by {asked}, but by {}", protocol.name, travels.join(" and ")));
    }
    let pairs = listener.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    if let Err(error) = Settings::checked(pairs, protocol.settings) {
        problems.push(format!("{}: {error}", protocol.name));
    }
    problems
}

/// What a listener says about balancers and TLS has to be whole, and cannot hold for datagrams.
fn before_the_first_byte(protocol: &Protocol, listener: &ListenerConfig) -> Vec<String> {
    let mut problems = Vec::new();
    let datagrams = protocol.transports.contains(&Transport::Udp) && listener.transport.has(Transport::Udp);
    problems.extend(half_tls(&listener.tls).map(ToOwned::to_owned));
    if datagrams && listener.tls.cert.is_some() && listener.tls.key.is_some() {
        problems.push("tls is for tcp: set transport = \"tcp\"".to_owned());
    }
    match (listener.proxy_protocol, listener.trusted.is_empty()) {
        (true, true) => problems.push("proxy_protocol needs trusted: the balancers' networks".to_owned()),
        (true, false) if datagrams => problems.push("proxy_protocol is for tcp: set transport = \"tcp\"".to_owned()),
        (false, false) => problems.push("trusted says nothing without proxy_protocol = true".to_owned()),
        _ => {}
    }
    if listener.device.is_none() && listener.other_device != Other::default() {
        problems.push("other_device says nothing without device".to_owned());
    }
    problems
}

/// What is missing for TLS, where it is begun.
fn half_tls(tls: &TlsConfig) -> Option<&'static str> {
    match (&tls.cert, &tls.key, &tls.client_ca) {
        (Some(_), None, _) | (None, Some(_), _) => Some(HALF_TLS),
        (None, None, Some(_)) => Some("tls.client_ca says nothing without tls.cert and tls.key"),
        _ => None,
    }
}

/// What is said of TLS that lacks what every other TLS has.
pub(super) const HALF_TLS: &str = "tls needs both cert and key";

/// A device's protocol is not known before it comes, so a setting must be right for one of them.
pub(crate) fn device_settings(settings: &BTreeMap<String, String>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, value) in settings {
        let pair = [(name.as_str(), value.as_str())];
        let checked: Vec<_> = PROTOCOLS
            .iter()
            .filter(|protocol| protocol.settings.iter().any(|setting| setting.name == name))
            .map(|protocol| Settings::checked(pair, protocol.settings))
            .collect();
        if checked.iter().any(Result::is_ok) {
            continue;
        }
        let known = PROTOCOLS.iter().flat_map(|protocol| protocol.settings).map(|setting| setting.name);
        problems.push(match (checked.into_iter().find_map(Result::err), super::nearest(name, known)) {
            (Some(error), _) => error.to_string(),
            (None, Some(near)) => format!("no protocol takes the setting {name}: did you mean {near}?"),
            (None, None) => format!("no protocol takes the setting {name}"),
        });
    }
    problems
}

/// Where a listener or device was first mentioned.
pub(super) fn place(loaded: &Loaded, prefix: &str) -> Origin {
    let below = format!("{prefix}.");
    // They are sorted, and there may be thousands of others.
    let from = loaded.origins.range(below.clone()..);
    let mut origins = from.take_while(|(key, _)| key.starts_with(&below)).map(|(_, origin)| origin);
    let by_line = |origin: &&Origin| match origin {
        Origin::File(_, (line, _)) => *line,
        _ => usize::MAX,
    };
    let first = origins.by_ref().min_by_key(by_line);
    first.cloned().unwrap_or(Origin::Default)
}
