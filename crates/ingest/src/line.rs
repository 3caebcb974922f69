//! A connection's bytes on their way: as they are, or through TLS.
//!
//! Reading waits and writing does not, in both: what the kernel does not take now is tried again once it does. A byte has
//! left when the kernel has it, so that whoever leaves his answers unread shows.

use crate::sockets;
use rustls::ServerConfig;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The way of a connection's bytes.
pub(crate) enum Line {
    Plain(Carrier),
    Tls(Box<Secure>),
}

/// A socket, as TLS needs it: both directions in one.
pub(crate) struct Carrier {
    half: OwnedReadHalf,
    /// Until both sides have agreed, whoever cannot write now is woken when he can. A socket wakes one writer alone, and from then on
    /// that is whoever waits for it by himself.
    wakes_writers: bool,
}

pub(crate) struct Secure {
    stream: TlsStream<Carrier>,
    /// Bytes that TLS has and the kernel not yet.
    under_way: usize,
}

impl Line {
    /// Bytes as they are.
    pub(crate) const fn plain(half: OwnedReadHalf) -> Self {
        Self::Plain(Carrier { half, wakes_writers: false })
    }

    /// Bytes through TLS, once both sides have agreed on it.
    pub(crate) async fn shake_hands(half: OwnedReadHalf, config: Arc<ServerConfig>) -> io::Result<Self> {
        let carrier = Carrier { half, wakes_writers: true };
        let mut stream = TlsAcceptor::from(config).accept(carrier).await?;
        stream.get_mut().0.wakes_writers = false;
        Ok(Self::Tls(Box::new(Secure { stream, under_way: 0 })))
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(carrier) => carrier.half.as_ref(),
            Self::Tls(secure) => secure.stream.get_ref().0.half.as_ref(),
        }
    }

    /// Reads what is there. Nothing: the other side says no more.
    pub(crate) fn poll_read(&mut self, context: &mut Context<'_>, input: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(carrier) => Pin::new(&mut carrier.half).poll_read(context, input),
            Self::Tls(secure) => match ready!(Pin::new(&mut secure.stream).poll_read(context, input)) {
                // It hung up without saying so, as devices do.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                read => Poll::Ready(read),
            },
        }
    }

    /// Writes as many bytes as the kernel takes now. What TLS has of them by then does not count yet, and is given again.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(carrier) => carrier.half.as_ref().try_write(bytes),
            Self::Tls(secure) => secure.try_write(bytes),
        }
    }

    /// Whether TLS has bytes that the kernel did not take yet.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self, Self::Tls(secure) if secure.under_way > 0)
    }

    /// Says that nothing more will come, where that can be said; it need not be heard.
    pub(crate) fn say_goodbye(&mut self) {
        if let Self::Tls(secure) = self {
            secure.stream.get_mut().1.send_close_notify();
            let _ = secure.flush();
        }
    }
}

impl Secure {
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.under_way == 0 {
            let piece = bytes.get(..PIECE_BYTES_MAX).unwrap_or(bytes);
            match Pin::new(&mut self.stream).poll_write(&mut nobody(), piece) {
                Poll::Ready(Ok(count)) => self.under_way = count,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Err(ErrorKind::WouldBlock.into()),
            }
        }
        self.flush()?;
        Ok(std::mem::take(&mut self.under_way))
    }

    fn flush(&mut self) -> io::Result<()> {
        match Pin::new(&mut self.stream).poll_flush(&mut nobody()) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

/// Nobody is woken: whoever cannot write now waits for the socket by himself.
const fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl AsyncRead for Carrier {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, input: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.half).poll_read(context, input)
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = self.half.as_ref();
        loop {
            if self.wakes_writers {
                ready!(stream.poll_write_ready(context))?;
            }
            match stream.try_write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && self.wakes_writers => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The kernel has it at once.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        sockets::shut(self.half.as_ref());
        Poll::Ready(Ok(()))
    }
}

/// One record of TLS: more at a time would be kept twice, here and in the outbox.
const PIECE_BYTES_MAX: usize = 16 << 10;
