//! Takes connections, within bounds: so many at a time, so long for a request's head.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// For everyone who reaches the port: who comes when there is no seat takes that of who came first, and nobody stays long.
pub(super) async fn tcp(listener: TcpListener, router: Router) {
    let mut seated: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                rest(&error).await;
                continue;
            }
        };
        seated.retain(|connection| !connection.is_finished());
        if seated.len() >= CONNECTIONS_MAX {
            seated.pop_front().inspect(AbortHandle::abort);
        }
        let answered = tokio::time::timeout(PUBLIC_MAX, answer(stream, router.clone(), PUBLIC_HEAD_MAX));
        seated.push_back(tokio::spawn(answered).abort_handle());
    }
}

/// For the owner of the data folder: exports take their time.
pub(super) async fn unix(listener: UnixListener, router: Router) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let answered = answer(stream, router.clone(), HEAD_MAX);
                tokio::spawn(async move {
                    answered.await;
                    drop(seat);
                });
            }
            Err(error) => rest(&error).await,
        }
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, head_max: Duration) {
    let service = TowerToHyperService::new(router);
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(head_max);
    // An error is the other side's: it went away, or does not speak HTTP.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn rest(error: &std::io::Error) {
    tracing::warn!(%error, "cannot accept an HTTP connection");
    tokio::time::sleep(PAUSE).await;
}

/// Connections at a time on each socket: monitoring and a few people; far below what is reserved of open files.
const CONNECTIONS_MAX: usize = 64;

/// How long a request's head may take, and a connection may rest between two requests.
const HEAD_MAX: Duration = Duration::from_secs(5);

/// On the port that everyone reaches: a monitor says at once what it wants.
const PUBLIC_HEAD_MAX: Duration = Duration::from_secs(5);

/// So long a connection of that port lives, whatever it reads or does not read.
const PUBLIC_MAX: Duration = Duration::from_secs(15);

/// After an error such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
