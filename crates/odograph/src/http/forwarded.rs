//! From whom a request comes that a proxy hands on: the headers `Forwarded` (RFC 7239) and `X-Forwarded-For` say so. They count
//! where they come from a proxy that the configuration trusts.
//!
//! **Invariant:** no address comes out that somebody could choose who is no trusted proxy. Each proxy writes behind what it was
//! given, so a header is read from its end, up to the first address that is no proxy's: what stands before that, anyone may have written. A
//! proxy leaves the header alone that it does not know, so where both are there, they must say the same.

use axum::http::header::{FORWARDED, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use odograph_api::Origin;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Proxies that say from whom a request comes.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies(Arc<[IpNet]>);

/// What a header says of whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// There is no such header.
    Nothing,
    /// It cannot be understood as far as it counts.
    Unclear,
    Client(Client),
}

/// Whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Client {
    hop: Hop,
    /// Proxies between them and the one that is connected with us.
    behind: usize,
}

/// A connection that a proxy tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hop {
    address: IpAddr,
    /// Whether it was by TLS, where that is said.
    secure: Option<bool>,
}

impl Proxies {
    pub(super) fn new(trusted: &[IpNet]) -> Self {
        Self(trusted.into())
    }

    /// From where a request comes that `peer` sent us, by TLS or without it.
    pub(super) fn origin(&self, peer: IpAddr, tls: bool, headers: &HeaderMap) -> Origin {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return Origin::Network { address: peer, secure: tls };
        }
        let by_rfc = self.told(elements(headers, &FORWARDED).map(forwarded));
        let by_custom = self.told(elements(headers, &X_FORWARDED_FOR).map(forwarded_for));
        let client = match (by_rfc, by_custom) {
            (Told::Nothing, Told::Client(client)) | (Told::Client(client), Told::Nothing) => Some(client),
            (Told::Client(one), Told::Client(other)) if one.hop.address == other.hop.address => Some(one),
            // A proxy's own look at us.
            (Told::Nothing, Told::Nothing) => None,
            _ => {
                metrics::counter!("odograph_http_forwarded_unclear_total").increment(1);
                None
            }
        };
        let address = client.map_or(peer, |client| client.hop.address);
        let said = client.and_then(|client| client.hop.secure);
        let secure = said.or_else(|| scheme(headers, client.map_or(0, |client| client.behind))).unwrap_or(tls);
        Origin::Network { address, secure }
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whoever comes last of those that are no proxies.
    fn told(&self, hops: impl Iterator<Item = Option<Hop>>) -> Told {
        let mut nearest = None;
        for (behind, hop) in hops.enumerate() {
            let Some(hop) = hop.filter(|_| behind < PROXIES_MAX) else { return Told::Unclear };
            if !self.trust(hop.address) {
                return Told::Client(Client { hop, behind });
            }
            nearest.get_or_insert(Client { hop, behind });
        }
        // It began among the proxies: what the nearest one says itself nobody else could choose.
        nearest.map_or(Told::Nothing, Told::Client)
    }
}

/// The parts of a header's lines, the last one first.
fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).iter().rev().map(HeaderValue::as_bytes);
    lines.flat_map(|line| Backwards { rest: Some(line), separator: b',' })
}

/// The parts of a list, the last one first, so that what stands before a part has no part in where that begins.
struct Backwards<'h> {
    rest: Option<&'h [u8]>,
    separator: u8,
}

impl<'h> Iterator for Backwards<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        loop {
            let list = self.rest?;
            let mut quoted = false;
            let at = list.iter().rposition(|byte| {
                quoted ^= *byte == b'"';
                *byte == self.separator && !quoted
            });
            let (rest, last) = match at {
                Some(at) => (list.get(..at), list.get(at + 1..).unwrap_or_default()),
                None => (None, list),
            };
            self.rest = rest;
            // A list may have empty parts, which say nothing (RFC 9110, section 5.6.1).
            if !last.trim_ascii().is_empty() {
                return Some(last.trim_ascii());
            }
        }
    }
}

/// A part of `Forwarded`, as `for="[2001:db8::17]:4711";proto=https`.
fn forwarded(part: &[u8]) -> Option<Hop> {
    let (mut found, mut secure) = (None, None);
    for pair in (Backwards { rest: Some(part), separator: b';' }) {
        let (name, value) = str::from_utf8(pair).ok()?.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        match name.trim() {
            // Said twice, it says nothing.
            name if name.eq_ignore_ascii_case("for") && found.is_some() => return None,
            name if name.eq_ignore_ascii_case("for") => found = Some(address(value)?),
            name if name.eq_ignore_ascii_case("proto") => secure = is_secure(value),
            _ => {}
        }
    }
    Some(Hop { address: found?, secure })
}

/// A part of `X-Forwarded-For`.
fn forwarded_for(part: &[u8]) -> Option<Hop> {
    Some(Hop { address: address(str::from_utf8(part).ok()?)?, secure: None })
}

/// What `X-Forwarded-Proto` says of the connection so many proxies behind the one that is connected with us, or of the first of all where not
/// each of them adds something.
fn scheme(headers: &HeaderMap, behind: usize) -> Option<bool> {
    let said = elements(headers, &X_FORWARDED_PROTO).take(behind + 1).last()?;
    is_secure(str::from_utf8(said).ok()?)
}

fn is_secure(scheme: &str) -> Option<bool> {
    match scheme.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}

/// An address, with its port or without. Names such as `unknown` and `_hidden` are none.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let found = text.parse::<IpAddr>().ok().or_else(with_port).or_else(in_brackets);
    found.map(|address| address.to_canonical())
}

/// The help texts of the metrics here.
pub(super) fn describe() {
    metrics::describe_counter!(
        "odograph_http_forwarded_unclear_total",
        "Requests of which a trusted proxy said in no clear words from whom they come: they count as the proxy's own."
    );
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// More proxies than stand behind each other anywhere.
const PROXIES_MAX: usize = 32;

#[cfg(test)]
mod tests;
