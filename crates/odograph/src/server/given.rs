//! Sockets that were open before this process began: from the service manager, or from the server that it follows.

use listenfd::ListenFd;
use odograph_ingest::Given;
use odograph_protocols::Transport;
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// Those that no listener has taken yet, each with the name that it may have.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Vec<(String, Given)>);

impl Sockets {
    /// Those of the service manager, as systemd hands them over: `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`. To be called
    /// before there are other threads, because these variables are taken away: our children are not meant.
    pub(crate) fn of_service_manager() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut given = ListenFd::from_env();
        let mut all = Self::default();
        for number in 0..given.len() {
            let name = names.next().unwrap_or_default();
            let tcp = given.take_tcp_listener(number).ok().flatten().map(OwnedFd::from);
            let socket = tcp.or_else(|| given.take_udp_socket(number).ok().flatten().map(OwnedFd::from));
            match socket.map(Given::new) {
                Some(Ok(socket)) => all.add(name.to_owned(), socket),
                Some(Err(error)) => all.odd(name, &error.to_string()),
                None => all.odd(name, "it is neither of TCP nor of UDP"),
            }
        }
        all
    }

    fn odd(&self, name: &str, why: &str) {
        // There is no log yet.
        eprintln!("warning: the socket {name:?} that was handed over is left alone: {why}");
    }

    pub(crate) fn add(&mut self, name: String, socket: Given) {
        self.0.push((name, socket));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The names that they have.
    pub(super) fn names(&self) -> HashSet<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Takes the one of that name.
    pub(super) fn named(&mut self, name: &str, transport: Transport) -> Option<Given> {
        self.take(|known, given| known == name && given.transport() == transport)
    }

    /// Takes the one at that address.
    pub(super) fn at(&mut self, address: SocketAddr, transport: Transport) -> Option<Given> {
        self.take(|_, given| Self::is_for(given, address, transport))
    }

    /// Closes all but those that are wanted still, and gives them in words.
    pub(super) fn close_but(&mut self, is_wanted: impl Fn(&Given) -> bool) -> Vec<String> {
        let one = |(name, given): (String, Given)| {
            let name = if name.is_empty() { String::new() } else { format!(", {name}") };
            format!("{} ({}{name})", given.local(), given.transport().name())
        };
        let all = std::mem::take(&mut self.0).into_iter();
        let (wanted, closed): (Vec<_>, Vec<_>) = all.partition(|(_, given)| is_wanted(given));
        self.0 = wanted;
        closed.into_iter().map(one).collect()
    }

    /// Whether a socket is where a listener is to be.
    pub(super) fn is_for(socket: &Given, address: SocketAddr, transport: Transport) -> bool {
        address.port() != 0 && socket.transport() == transport && is_same(socket.local(), address)
    }

    fn take(&mut self, is_it: impl Fn(&str, &Given) -> bool) -> Option<Given> {
        let at = self.0.iter().position(|(name, given)| is_it(name, given))?;
        Some(self.0.swap_remove(at).1)
    }
}

/// Whether a socket is where a listener is to be. All addresses of both families are as good as all of one.
fn is_same(socket: SocketAddr, wanted: SocketAddr) -> bool {
    let all_of_ipv4 = wanted.ip() == Ipv4Addr::UNSPECIFIED;
    socket.port() == wanted.port()
        && (socket.ip().to_canonical() == wanted.ip().to_canonical()
            || (socket.ip().is_unspecified() && socket.is_ipv6() && all_of_ipv4))
}
