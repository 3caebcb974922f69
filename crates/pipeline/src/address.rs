//! The network address that a device sends from, in few bytes: one is kept for each conversation.

use compact_str::{CompactString, ToCompactString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// None: what came by a socket of this machine.
    None,
    V4(Ipv4Addr),
    /// Few devices have one yet, and it takes four times as much.
    V6(Box<Ipv6Addr>),
}

impl Address {
    /// That of a peer, as the journal's contexts have it.
    pub(crate) fn of(peer: &str) -> Self {
        match peer.parse::<SocketAddr>().map(|peer| peer.ip().to_canonical()) {
            Ok(IpAddr::V4(address)) => Self::V4(address),
            Ok(IpAddr::V6(address)) => Self::V6(Box::new(address)),
            Err(_) => Self::None,
        }
    }

    /// As people write it.
    pub(crate) fn text(&self) -> Option<CompactString> {
        match self {
            Self::None => None,
            Self::V4(address) => Some(address.to_compact_string()),
            Self::V6(address) => Some(address.to_compact_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_port_is_not_part_of_it() {
        let text = |peer| Address::of(peer).text().map(String::from);
        assert_eq!(text("192.0.2.7:40123").as_deref(), Some("192.0.2.7"));
        assert_eq!(text("[2001:db8::7]:40123").as_deref(), Some("2001:db8::7"));
        // By a listener of both families.
        assert_eq!(text("[::ffff:192.0.2.7]:40123").as_deref(), Some("192.0.2.7"));
        assert_eq!(text("unix"), None);
        assert_eq!(text(""), None);
    }

    #[test]
    fn it_takes_few_bytes() {
        // There is one for each connection.
        assert_eq!(size_of::<Address>(), 16);
    }
}
