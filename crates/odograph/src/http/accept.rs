//! Takes connections, within bounds: so many at a time, so long for a request's head. Also where no more files may be open.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// For everyone who reaches the port: who comes when there is no seat takes that of who came first, and nobody stays long.
pub(super) async fn tcp(listener: TcpListener, router: Router, seats: usize) {
    let mut seated: VecDeque<AbortHandle> = VecDeque::new();
    let mut spare = Spare::default();
    loop {
        let accepted = spare.with(listener.accept()).await;
        seated.retain(|connection| !connection.is_finished());
        let stream = match accepted {
            Some(Ok((stream, _))) => stream,
            Some(Err(error)) => {
                let mut evict = || seated.pop_front().inspect(AbortHandle::abort).is_some();
                if !(is_out_of_files(&error) && (spare.give_up() || evict())) {
                    rest(&error).await;
                }
                // Whoever was sent away has left afterwards.
                tokio::task::yield_now().await;
                continue;
            }
            None => continue,
        };
        spare.taken();
        if seated.len() >= seats {
            seated.pop_front().inspect(AbortHandle::abort);
        }
        let answered = tokio::time::timeout(PUBLIC_MAX, answer(stream, router.clone(), PUBLIC_HEAD_MAX));
        seated.push_back(tokio::spawn(answered).abort_handle());
    }
}

/// For the owner of the data folder: exports take their time.
pub(super) async fn unix(listener: UnixListener, router: Router, seats: usize) {
    let seats = Arc::new(Semaphore::new(seats));
    let mut spare = Spare::default();
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        match spare.with(listener.accept()).await {
            Some(Ok((stream, _))) => {
                spare.taken();
                let answered = answer(stream, router.clone(), HEAD_MAX);
                tokio::spawn(async move {
                    answered.await;
                    drop(seat);
                });
            }
            Some(Err(error)) if is_out_of_files(&error) && spare.give_up() => {}
            Some(Err(error)) => rest(&error).await,
            None => {}
        }
    }
}

/// A file that is open for nothing, so that a connection can be taken where no more files may be open: whoever asks how the
/// server is must reach it just then.
#[derive(Default)]
struct Spare {
    file: Option<File>,
    /// It was given up, for a connection that did not come yet.
    given: bool,
}

impl Spare {
    /// Waits for a connection. Without the spare file only for a moment: there may be one to be had again.
    async fn with<T>(&mut self, accepted: impl Future<Output = T>) -> Option<T> {
        if self.file.is_none() && !self.given {
            self.fill();
            if self.file.is_none() {
                // Whoever was let in for it is answered first: without a free file the system refuses at once, whether or
                // not anyone waits, and for that nobody is sent away.
                tokio::time::sleep(PAUSE).await;
                self.fill();
            }
        }
        if self.file.is_some() {
            return Some(accepted.await);
        }
        let came = tokio::time::timeout(PAUSE, accepted).await.ok();
        self.given &= came.is_some();
        came
    }

    fn fill(&mut self) {
        self.file = File::open("/dev/null").ok();
    }

    /// Makes room for one connection. False: it is given up already.
    fn give_up(&mut self) -> bool {
        let made = self.file.take().is_some();
        self.given |= made;
        made
    }

    /// The connection came.
    fn taken(&mut self) {
        self.given = false;
    }
}

fn is_out_of_files(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, head_max: Duration) {
    let service = TowerToHyperService::new(router);
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(head_max);
    // An error is the other side's: it went away, or does not speak HTTP.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn rest(error: &io::Error) {
    tracing::warn!(%error, "cannot accept an HTTP connection");
    tokio::time::sleep(PAUSE).await;
}

/// How long a request's head may take, and a connection may rest between two requests.
const HEAD_MAX: Duration = Duration::from_secs(5);

/// On the port that everyone reaches: a monitor says at once what it wants.
const PUBLIC_HEAD_MAX: Duration = Duration::from_secs(5);

/// So long a connection of that port lives, whatever it reads or does not read.
const PUBLIC_MAX: Duration = Duration::from_secs(15);

/// After an error such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
