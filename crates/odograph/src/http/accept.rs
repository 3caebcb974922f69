//! Takes connections, within bounds: so many at a time, so long for a request's head. Also where no more files may be open.

use super::forwarded::Proxies;
use super::pace::{PACE_TIME, Pace, TAKEN_MIN};
use super::tls;
use axum::Router;
use axum::http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use odograph_api::Origin;
use odograph_env::{Clock as _, SystemClock};
use odograph_ingest::Tls;
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::Sleep;

/// For everyone who reaches the port: who comes when there is no seat takes that of whoever has been silent longest.
pub(super) async fn tcp(listener: TcpListener, tls: Option<Arc<Tls>>, proxies: Proxies, router: Router, seats: usize) {
    let mut seated: Vec<Seated> = Vec::new();
    let mut spare = Spare::default();
    let (moves, clock) = (Arc::<AtomicU64>::default(), SystemClock::new());
    loop {
        let accepted = spare.with(listener.accept()).await;
        seated.retain(|one| !one.task.is_finished());
        let (stream, peer) = match accepted {
            Some(Ok(came)) => came,
            Some(Err(error)) => {
                if !(is_out_of_files(&error) && (spare.give_up() || Seated::evict(&mut seated))) {
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
            Seated::evict(&mut seated);
        }
        // Small answers should not wait for others.
        let _ = stream.set_nodelay(true);
        // Less is on its way then of an answer that nobody takes, and it is noticed sooner.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BYTES);
        let last = Arc::new(AtomicU64::new(moves.fetch_add(1, Relaxed)));
        let stream = Watched::new(stream, moves.clone(), last.clone(), clock);
        let (router, proxies, by_tls) = (router.clone(), proxies.clone(), tls.is_some());
        let origin = move |headers: &HeaderMap| proxies.origin(peer.ip(), by_tls, headers);
        let task = match tls.clone() {
            Some(tls) => tokio::spawn(async move {
                let first = first_byte(&stream.stream).await;
                if let Some(stream) = tls::agreed(stream, first, &tls).await {
                    answer(stream, router, origin, PUBLIC_HEAD_MAX).await;
                }
            }),
            None => tokio::spawn(answer(stream, router, origin, PUBLIC_HEAD_MAX)),
        };
        let task = task.abort_handle();
        seated.push(Seated { task, last });
    }
}

/// The first byte of what comes, which stays there; `None` where nothing comes in time.
async fn first_byte(stream: &TcpStream) -> Option<u8> {
    let mut first = [0];
    let peeked = tokio::time::timeout(HEAD_MAX, stream.peek(&mut first)).await.ok()?.ok()?;
    (peeked == 1).then_some(first[0])
}

/// A connection of the port that everyone reaches.
struct Seated {
    task: AbortHandle,
    /// The number of its latest move.
    last: Arc<AtomicU64>,
}

impl Seated {
    /// Sends away whoever has been silent longest. Whether there was anyone.
    fn evict(seated: &mut Vec<Self>) -> bool {
        let longest = seated.iter().enumerate().min_by_key(|(_, one)| one.last.load(Relaxed)).map(|(at, _)| at);
        longest.map(|at| seated.swap_remove(at).task.abort()).is_some()
    }
}

/// A connection that says when something moves, and ends when its other side takes too little for long.
struct Watched {
    stream: TcpStream,
    /// Moves of all connections.
    moves: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
    clock: SystemClock,
    pace: Pace,
    /// Until when a write waits at most that cannot go on now.
    waits: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    fn new(stream: TcpStream, moves: Arc<AtomicU64>, last: Arc<AtomicU64>, clock: SystemClock) -> Self {
        Self { stream, moves, last, clock, pace: Pace::default(), waits: None }
    }

    fn moved(&self) {
        self.last.store(self.moves.fetch_add(1, Relaxed), Relaxed);
    }

    /// What becomes of a write that cannot go on now.
    fn wrote(&mut self, context: &mut Context<'_>, done: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = &done {
            self.waits = None;
            self.pace.took(*result.as_ref().unwrap_or(&0), self.clock.monotonic());
            self.moved();
            return done;
        }
        // Again where the timer is a little ahead of the clock.
        while let Some(left) = self.pace.waits(self.clock.monotonic()) {
            let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
            if waits.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.waits = None;
        }
        metrics::counter!("odograph_http_slow_readers_total").increment(1);
        tracing::info!(
            "an answer was given up: of what waited for {PACE_TIME:?}, less than {TAKEN_MIN} bytes were taken"
        );
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(context, buffer);
        if done.is_ready() {
            self.moved();
        }
        done
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.wrote(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
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
                let answered = answer(stream, router.clone(), |_: &HeaderMap| Origin::Control, HEAD_MAX);
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

/// Answers requests, each of which is told from where it comes.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    origin: impl Fn(&HeaderMap) -> Origin,
    head_max: Duration,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        let from = origin(request.headers());
        request.extensions_mut().insert(from);
        router.call(request)
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(head_max);
    // An error is the other side's: it went away, or does not speak HTTP.
    let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

async fn rest(error: &io::Error) {
    tracing::warn!(%error, "cannot accept an HTTP connection");
    tokio::time::sleep(PAUSE).await;
}

/// How long a request's head may take, and a connection may rest between two requests.
const HEAD_MAX: Duration = Duration::from_secs(5);

/// On the port that everyone reaches: browsers keep connections for the next request.
const PUBLIC_HEAD_MAX: Duration = Duration::from_secs(30);

/// What the system holds of an answer, of each connection (it takes twice as much for it). It says that there is room once a third has
/// gone, so whoever reads must take that much in a minute: 6 KB a second at most.
const SEND_BYTES: usize = 256 << 10;

/// After an error such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
