//! Takes connections, within bounds: so many at a time, so long for a request's head.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

pub(super) async fn tcp(listener: TcpListener, router: Router) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => serve(stream, router.clone(), seat),
            Err(error) => rest(&error).await,
        }
    }
}

pub(super) async fn unix(listener: UnixListener, router: Router) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => serve(stream, router.clone(), seat),
            Err(error) => rest(&error).await,
        }
    }
}

fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, router: Router, seat: impl Send + 'static) {
    tokio::spawn(async move {
        let service = TowerToHyperService::new(router);
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
        // An error is the other side's: it went away, or does not speak HTTP.
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
        drop(seat);
    });
}

async fn rest(error: &std::io::Error) {
    tracing::warn!(%error, "cannot accept an HTTP connection");
    tokio::time::sleep(PAUSE).await;
}

/// Connections at a time on each socket: monitoring and a few people; far below what is reserved of open files.
const CONNECTIONS_MAX: usize = 64;

/// How long a request's head may take, and a connection may rest between two requests.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// After an error such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
