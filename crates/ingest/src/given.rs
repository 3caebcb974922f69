//! Sockets that somebody else has opened: the system's service manager, or the server that was here before.

use odograph_protocols::Transport;
use socket2::{Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// A socket on which devices arrive, or may have arrived already.
#[derive(Debug)]
pub struct Given {
    pub(crate) socket: Socket,
    transport: Transport,
    local: SocketAddr,
}

impl Given {
    /// Looks at a socket. An error: it is none on which devices could arrive.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(socket);
        let transport = match socket.r#type()? {
            Type::STREAM if socket.is_listener()? => Transport::Tcp,
            Type::DGRAM => Transport::Udp,
            _ => return Err(io::Error::other("it is no socket on which devices could arrive")),
        };
        let local = socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("it has no IP address"))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, transport, local })
    }

    /// How bytes travel there.
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// Where it is.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }
}
