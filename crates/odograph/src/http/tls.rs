//! TLS at the HTTP port: the handshake within its time, a word for browsers that come without it, and certificates that are
//! read again when they change.

use odograph_ingest::Tls;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The connection once both sides have agreed on TLS; `None` where they have not. `first` is its first byte, which nobody has
/// taken yet.
pub(super) async fn agreed<S>(stream: S, first: Option<u8>, tls: &Tls) -> Option<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let agreeing = async {
        if first? != HANDSHAKE {
            refuse(stream).await;
            return None;
        }
        TlsAcceptor::from(tls.config()).accept(stream).await.ok()
    };
    tokio::time::timeout(HANDSHAKE_MAX, agreeing).await.ok()?
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

/// With which each connection by TLS begins, and none without (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// Browsers are near, and programs do not think for long.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_secs(1);
