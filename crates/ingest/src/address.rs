//! Addresses in few bytes: every connection keeps one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The address that a device has: without what a single packet says besides, its flow label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// Of one of version 4, the first four.
    ip: [u8; 16],
    is_v4: bool,
    port: [u8; 2],
    /// The network in which one of version 6 holds, where that is a local one.
    scope: [u8; 4],
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let (mut ip, mut scope) = ([0; 16], 0);
        match address {
            SocketAddr::V4(address) => ip[..4].copy_from_slice(&address.ip().octets()),
            SocketAddr::V6(address) => (ip, scope) = (address.ip().octets(), address.scope_id()),
        }
        Self { ip, is_v4: address.is_ipv4(), port: address.port().to_ne_bytes(), scope: scope.to_ne_bytes() }
    }
}

impl From<Address> for SocketAddr {
    fn from(Address { ip, is_v4, port, scope }: Address) -> Self {
        let port = u16::from_ne_bytes(port);
        if is_v4 {
            let [a, b, c, d, ..] = ip;
            return Self::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port);
        }
        SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, u32::from_ne_bytes(scope)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_it_was() {
        for text in ["192.0.2.1:5027", "[2001:db8::1]:65535", "[::ffff:192.0.2.1]:1", "[fe80::1%70000]:80", "[::]:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddr::from(Address::from(address)), address);
        }
        assert_eq!(size_of::<Address>(), 23);
    }
}
