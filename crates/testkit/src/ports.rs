//! Addresses for programs that must be told where to listen.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// An address of this machine at which nobody listens, over TCP or UDP, given to nobody else in this process.
///
/// Its port is below those that systems give to outgoing connections and to whoever asks for any port: nobody takes it before the
/// program does for which it is meant.
///
/// # Panics
/// When all ports are taken.
#[must_use]
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time begin at different places.
    let begin = u16::try_from(std::process::id() % u32::from(COUNT)).expect("it is less").wrapping_mul(STRIDE);
    let port = |number: u16| FIRST + begin.wrapping_add(number) % COUNT;
    let mut addresses = (0..COUNT).map(|_| (Ipv4Addr::LOCALHOST, port(NEXT.fetch_add(1, Ordering::Relaxed))).into());
    addresses.find(|&address| is_free(address)).expect("a port is free")
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

/// Above the usual ports of protocols, and below 32768, where those begin that are given to anybody.
const FIRST: u16 = 24_576;
/// A power of two, so that numbers that overflow go on where they would have.
const COUNT: u16 = 8192;
/// Odd, so that each process has a place of its own.
const STRIDE: u16 = 37;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_given_once_and_can_be_listened_at() {
        let given: Vec<_> = (0..20).map(|_| free_address()).collect();
        let listeners: Vec<_> = given.iter().map(TcpListener::bind).collect();
        assert!(listeners.iter().all(Result::is_ok), "{listeners:?}");
        assert!(given.iter().all(|address| (FIRST..FIRST + COUNT).contains(&address.port())), "{given:?}");
    }
}
