//! Where devices call: hosts, and addresses for protocols.

use anyhow::{Context as _, Result};
use odograph_simulate::Speech;
use std::net::{SocketAddr, ToSocketAddrs as _};

/// What one `--target` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Of which devices; `None` of all that no other names.
    of: Option<Speech>,
    host: String,
    /// `None` where each protocol has its own.
    port: Option<u16>,
}

/// Reads `HOST`, `HOST:PORT`, `PROTOCOL=HOST:PORT`, or `http://HOST:PORT` for OsmAnd.
pub(super) fn target(text: &str) -> Result<Target, String> {
    let (of, address) = match (text.split_once('='), text.strip_prefix("http://")) {
        (_, Some(rest)) => (Some(Speech::Osmand), rest.split('/').next().unwrap_or_default()),
        (Some((name, address)), None) => {
            (Some(Speech::named(name).ok_or_else(|| format!("no device speaks {name}"))?), address)
        }
        (None, None) => (None, text),
    };
    let (host, port) = match address.rsplit_once(':') {
        // An IPv6 address alone has colons too.
        Some((host, port)) if !host.contains(':') || host.starts_with('[') && host.ends_with(']') => {
            (host, Some(port.parse().map_err(|_| format!("{port} is no port"))?))
        }
        _ => (address, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("expected HOST, HOST:PORT or PROTOCOL=HOST:PORT".to_owned());
    }
    Ok(Target { of, host: host.to_owned(), port })
}

/// The address for each language.
pub(super) fn resolved(
    targets: &[Target],
    speeches: impl Iterator<Item = Speech>,
) -> Result<Vec<(Speech, SocketAddr)>> {
    speeches
        .map(|speech| {
            let named = targets.iter().find(|target| target.of == Some(speech));
            let target = named.or(targets.iter().find(|target| target.of.is_none()));
            let target = target.with_context(|| format!("no --target for {} devices", speech.name()))?;
            let address = (&*target.host, target.port.unwrap_or(speech.port()));
            let mut found = address.to_socket_addrs().with_context(|| format!("find the host {}", target.host))?;
            Ok((speech, found.next().with_context(|| format!("{} has no address", target.host))?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, of: Option<Speech>, host: &str, port: Option<u16>) {
        assert_eq!(target(text), Ok(Target { of, host: host.to_owned(), port }), "{text}");
    }

    #[test]
    fn targets_are_read() {
        check("gateway.example.org", None, "gateway.example.org", None);
        check("127.0.0.1:5000", None, "127.0.0.1", Some(5000));
        check("galileo=[::1]:99", Some(Speech::Galileo), "::1", Some(99));
        check("gt06=::1", Some(Speech::Gt06), "::1", None);
        check("http://localhost:5055/", Some(Speech::Osmand), "localhost", Some(5055));
        for wrong in ["", "galileo=", "morse=127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_names_a_protocol_goes_first() {
        let targets = ["127.0.0.1", "gt06=127.0.0.1:7"].map(|text| target(text).expect("a target"));
        let found = resolved(&targets, [Speech::Wialon, Speech::Gt06].into_iter()).expect("addresses");
        let address = |text: &str| text.parse().expect("an address");
        assert_eq!(found, [(Speech::Wialon, address("127.0.0.1:5039")), (Speech::Gt06, address("127.0.0.1:7"))]);
        assert!(resolved(&targets[1..], [Speech::Wialon].into_iter()).is_err());
    }
}
