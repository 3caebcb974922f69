//! Sockets on which devices arrive, opened here or by somebody else: the system's service manager, or the server that was here
//! before.

use crate::GatewayError;
use crate::limits::BACKLOG;
use odograph_protocols::Transport;
use socket2::{Domain, Socket, Type};
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

    /// Opens one. `[::]` takes both families, `0.0.0.0` IPv4 alone.
    pub fn open(transport: Transport, address: SocketAddr) -> Result<Self, GatewayError> {
        let opened = match transport {
            Transport::Tcp => open_tcp(address),
            Transport::Udp => open_udp(address),
        };
        let given = opened.and_then(|socket| Self::new(socket.into()));
        given.map_err(|source| GatewayError::Bind { address, transport: transport.name(), source })
    }

    /// The socket itself, for whoever else serves there.
    pub fn into_socket(self) -> OwnedFd {
        self.socket.into()
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

fn open_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Lets a restarted server have its port while old connections are still in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn open_udp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    // Room for a burst while the journal flushes; the kernel gives what its own bound allows.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER_BYTES);
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Asked of the kernel for each UDP socket: some ten thousand datagrams, a second's worth.
const UDP_BUFFER_BYTES: usize = 8 << 20;
