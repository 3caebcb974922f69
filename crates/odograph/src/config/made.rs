//! Listeners that people made in the catalog, read as the configuration reads its own: by the same keys, with the same words for what is
//! wrong.

use super::keys::{LISTENER_KEYS, ListenerConfig};
use super::setting::Given;
use super::{Refused, assign_in, check};
use odograph_catalog::{Error, Listener};
use odograph_protocols::Protocol;
use serde_json::{Map, Value};
use std::net::SocketAddr;

/// What a listener is that people made.
pub(crate) struct MadeListener {
    pub(crate) config: ListenerConfig,
    pub(crate) protocol: &'static Protocol,
    pub(crate) address: SocketAddr,
}

/// Reads one. What can be written in several ways stands in it as the configuration shows it, afterwards.
///
/// # Errors
///
/// When the configuration would not take it.
pub(crate) fn read(listener: &mut Listener) -> Result<MadeListener, Error> {
    let mut config = ListenerConfig::default();
    put(&mut config, "tenant", &Given::Text(listener.tenant.clone()))?;
    let terms = serde_json::to_value(&listener.terms).map_err(|error| wrong("listener", error.to_string()))?;
    if let Value::Object(terms) = terms {
        put_all(&mut config, "", terms)?;
    }
    let missing = |name: &'static str| wrong(name, "is missing".to_owned());
    let protocol = config.protocol.ok_or_else(|| missing("protocol"))?;
    let address = config.listen.ok_or_else(|| missing("listen"))?;
    if address.port() == 0 {
        return Err(wrong("listen", "port 0 is any free port, of which no device could be told: name one".to_owned()));
    }
    if let Some(what) = check::terms(protocol, &config).into_iter().next() {
        return Err(wrong("listener", what));
    }
    let shown = |networks: &[ipnet::IpNet]| networks.iter().map(ToString::to_string).collect();
    listener.terms.listen = address.to_string();
    listener.terms.allow = shown(&config.allow);
    listener.terms.deny = shown(&config.deny);
    listener.terms.trusted = shown(&config.trusted);
    Ok(MadeListener { config, protocol, address })
}

fn put_all(config: &mut ListenerConfig, prefix: &str, terms: Map<String, Value>) -> Result<(), Error> {
    for (name, value) in terms {
        let key = format!("{prefix}{name}");
        match value {
            Value::Null => {}
            Value::Object(settings) if key == "settings" => {
                let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
                config.settings = settings.into_iter().filter_map(text).collect();
            }
            Value::Object(inner) => put_all(config, &format!("{key}."), inner)?,
            Value::Array(items) => {
                let items = items.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
                put(config, &key, &Given::List(items))?;
            }
            Value::String(text) => put(config, &key, &Given::Text(text))?,
            Value::Bool(_) | Value::Number(_) => put(config, &key, &Given::Text(value.to_string()))?,
        }
    }
    Ok(())
}

fn put(config: &mut ListenerConfig, name: &str, given: &Given) -> Result<(), Error> {
    assign_in(config, LISTENER_KEYS, name, given).map_err(|refused| {
        let (Refused::Unknown(what) | Refused::Wrong(what)) = refused;
        let key = LISTENER_KEYS.iter().find(|key| key.name == name).map_or("listener", |key| key.name);
        let what = what.strip_prefix(&format!("{name}: ")).map(ToOwned::to_owned).unwrap_or(what);
        wrong(key, what)
    })
}

fn wrong(field: &'static str, reason: String) -> Error {
    Error::Invalid { field, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_catalog::{ListenerTerms, ListenerTls, ListenerTransport, UnknownDevices};
    use odograph_ingest::Unknown;

    fn made(terms: ListenerTerms) -> Listener {
        Listener {
            id: "l1".into(),
            name: String::new(),
            enabled: true,
            tenant: "north".into(),
            terms,
            created: 0,
            updated: 0,
            revision: 1,
        }
    }

    fn teltonika(listen: &str) -> ListenerTerms {
        ListenerTerms { protocol: "teltonika".into(), listen: listen.into(), ..ListenerTerms::default() }
    }

    #[test]
    fn a_listener_is_read_as_the_configuration_reads_it() {
        let mut listener = made(ListenerTerms {
            transport: ListenerTransport::Tcp,
            unknown: UnknownDevices::Quarantine,
            allow: vec!["10.1.2.3/8".into(), "192.0.2.7".into()],
            accept_rate_max: Some(50),
            proxy_protocol: true,
            trusted: vec!["::1".into()],
            tls: Some(ListenerTls { cert: "/c".into(), key: "/k".into(), client_ca: None }),
            ..teltonika("15027")
        });
        let MadeListener { config, protocol, address } = read(&mut listener).unwrap();
        assert_eq!((protocol.name, address.to_string().as_str()), ("teltonika", "[::]:15027"));
        assert_eq!((config.tenant.0.as_str(), config.unknown), ("north", Unknown::Quarantine));
        assert_eq!((config.accept_rate_max, config.connections_max), (Some(50), None));
        let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
        assert_eq!((path(&config.tls.cert), path(&config.tls.client_ca)), (Some("/c".to_owned()), None));
        // And what can be written in several ways has one form afterwards.
        let ListenerTerms { listen, allow, trusted, .. } = &listener.terms;
        assert_eq!((listen.as_str(), trusted.as_slice()), ("[::]:15027", &["::1/128".to_owned()][..]));
        assert_eq!(allow, &["10.0.0.0/8", "192.0.2.7/32"]);
    }

    #[track_caller]
    fn refused(terms: ListenerTerms, expected: &str) {
        assert_eq!(read(&mut made(terms)).err().map(|error| error.to_string()).as_deref(), Some(expected));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_same_words() {
        let odd = ListenerTerms { protocol: "telonika".into(), ..teltonika("5") };
        refused(odd, "protocol: \"telonika\" is not a protocol: did you mean teltonika?");
        let address = "is not an address such as 127.0.0.1:5027, [::]:5027 or 5027";
        refused(teltonika("somewhere"), &format!("listen: \"somewhere\" {address}"));
        refused(teltonika("0"), "listen: port 0 is any free port, of which no device could be told: name one");
        let networks = ListenerTerms { deny: vec!["10.0.0".into()], ..teltonika("5") };
        let what = "deny: not a list of networks such as 10.0.0.0/8 or 2001:db8::/32: \"10.0.0\" is none";
        refused(networks, what);
        let rate = ListenerTerms { accept_rate_max: Some(0), ..teltonika("5") };
        refused(rate, "accept_rate_max: \"0\" is too little: 1 to 1000000 are possible");
        let balancer = ListenerTerms { proxy_protocol: true, ..teltonika("5") };
        refused(balancer, "listener: proxy_protocol needs trusted: the balancers' networks");
        let udp = ListenerTerms { transport: ListenerTransport::Udp, protocol: "gt06".into(), ..teltonika("5") };
        refused(udp, "listener: gt06 does not travel by udp, but by tcp");
        let settings = [("colour".to_owned(), "red".to_owned())].into();
        let odd = ListenerTerms { settings, ..teltonika("5") };
        let said = read(&mut made(odd)).err().map(|error| error.to_string()).unwrap();
        assert!(said.starts_with("listener: teltonika: "), "{said}");
    }

    /// Whatever may be said of one in the catalog is a key of the configuration.
    #[test]
    fn every_term_is_a_key() {
        let mut terms = teltonika("5");
        terms.tls = Some(ListenerTls { cert: "/c".into(), key: "/k".into(), client_ca: Some("/a".into()) });
        terms.transport = ListenerTransport::Tcp;
        (terms.device, terms.accept_rate_max, terms.connections_max) = (Some("1".into()), Some(1), Some(1));
        read(&mut made(terms)).unwrap();
    }
}
