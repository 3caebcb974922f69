//! TLS at the HTTP port: the handshake within its time, a word for browsers that come without it, and certificates that are
//! read again when they change.

use odograph_ingest::Tls;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// The connection once both sides have agreed on TLS; `None` where they have not.
pub(super) async fn agreed<S>(stream: S, tls: &Tls) -> Option<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let started = tokio::time::timeout(HANDSHAKE_MAX, &mut acceptor).await.ok()?;
    match started {
        Ok(start) => tokio::time::timeout(HANDSHAKE_MAX, start.into_stream(tls.config())).await.ok()?.ok(),
        Err(_) => {
            if let Some(stream) = acceptor.take_io() {
                let _ = tokio::time::timeout(HANDSHAKE_MAX, refuse(stream)).await;
            }
            None
        }
    }
}

/// Whoever typed `http://` reads why there is no page.
async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if stream.write_all(PLAIN.as_bytes()).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    // What is not read ends the connection before the answer is.
    let mut rest = [0; 4096];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

/// Looks at the files each second.
pub(super) async fn renew(tls: Arc<Tls>) {
    let mut turn = tokio::time::interval(LOOK);
    loop {
        turn.tick().await;
        let tls = tls.clone();
        // A panic there was logged when it happened.
        let _ = tokio::task::spawn_blocking(move || tls.look()).await;
    }
}

const PLAIN: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
                     This port speaks TLS: use an address that begins with https://\n";

/// Browsers are near, and programs do not think for long.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_secs(1);
