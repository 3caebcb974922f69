//! Answers that are sent while they are made, as fast as whoever asked reads them, in bounded memory. A tenant has a share of the
//! threads on which they are made, so that others find room however slowly its programs read.

use crate::seats::Seat;
use crate::{Api, Code, Output, Problem};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Does something for a tenant on a thread that may wait, as many at a time as there may be.
pub(crate) async fn waiting<T: Send + 'static>(
    api: &Api,
    tenant: &str,
    work: impl FnOnce(&Api) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let seat = seat(api, WORKS, tenant).await?;
    let api = api.clone();
    let done = tokio::task::spawn_blocking(move || {
        let done = work(&api);
        drop(seat);
        done
    });
    done.await.map_err(|error| Problem::internal(&error))?
}

/// A seat for whoever has something done, in which one tenant leaves room for all others. Where all are taken, one may become free soon.
async fn seat(api: &Api, share: Share, tenant: &str) -> Result<Seat, Problem> {
    let Share { of, max, tenant_max, patience } = share;
    let tenants = format!("{of} of {tenant}");
    let names = [(of.to_owned(), max), (tenants.clone(), tenant_max)];
    if let Some(seat) = api.reading.take_soon(names, patience).await {
        return Ok(seat);
    }
    metrics::counter!("odograph_api_seats_refused_total", "of" => of).increment(1);
    let what = match api.reading.taken(&tenants) >= tenant_max {
        true => {
            format!("the tenant has {tenant_max} {of} under way, as many as it may: read one to its end, or end it")
        }
        false => format!("as many {of} are under way as may be at a time: try again in a moment"),
    };
    Err(Problem::new(Code::TooMany, what).retry_after(AGAIN))
}

/// How many of something there may be at a time.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    /// Under what name they are counted, and how whoever gets no seat reads of them.
    of: &'static str,
    max: usize,
    /// Of these, such of one tenant.
    tenant_max: usize,
    /// How long a seat is waited for.
    patience: Duration,
}

/// What a streamed answer is.
pub(crate) struct Kind {
    pub(crate) media_type: &'static str,
    /// The name under which a browser keeps it.
    pub(crate) file: Option<String>,
}

/// Answers with what is written. A problem before the first byte is the answer; behind it the connection is cut, so that nobody
/// takes a part for the whole.
pub(crate) async fn streamed(
    api: &Api,
    share: Share,
    tenant: &str,
    kind: Kind,
    make: impl FnOnce(&Api, &mut dyn Output) -> Result<(), Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let seat = seat(api, share, tenant).await?;
    let (sender, mut receiver) = mpsc::channel(PIECES);
    // It goes with whoever asks, be it before the first byte.
    let (asker, here) = watch::channel(());
    let api = api.clone();
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces { sender, pending: Vec::with_capacity(PIECE_BYTES), here };
        let made = make(&api, &mut out).and_then(|()| out.flush().map_err(|error| gone(&error)));
        if let Err(problem) = made {
            // An error here means that nobody reads it any more.
            let _ = out.sender.blocking_send(Err(problem));
        }
        drop(seat);
    });
    let first = match receiver.recv().await {
        Some(Err(problem)) => return Err(problem),
        Some(Ok(piece)) => Some(piece),
        None => None,
    };
    let rest = stream::unfold((first, receiver, asker), |(first, mut receiver, asker)| async move {
        let piece = match first {
            Some(piece) => Ok(piece),
            None => receiver.recv().await?.map_err(|_| io::Error::other("the answer was cut short")),
        };
        Some((piece, (None, receiver, asker)))
    });
    let mut response =
        ([(CONTENT_TYPE, kind.media_type), (CACHE_CONTROL, "no-store")], Body::from_stream(rest)).into_response();
    let name = kind.file.map(|name| format!("attachment; filename=\"{}\"", plain(&name)));
    if let Some(Ok(name)) = name.map(|name| name.parse()) {
        response.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// What stands in a header and in a file name everywhere.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// A problem that nobody reads, because they have gone.
fn gone(error: &io::Error) -> Problem {
    Problem::new(Code::Unavailable, error.to_string())
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        gone(&error)
    }
}

/// Gathers what is written into pieces worth sending.
struct Pieces {
    sender: mpsc::Sender<Result<Bytes, Problem>>,
    pending: Vec<u8>,
    here: watch::Receiver<()>,
}

impl Output for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.pending, Vec::with_capacity(PIECE_BYTES));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }

    fn gone(&self) -> BoxFuture<'static, ()> {
        let mut here = self.here.clone();
        Box::pin(async move { while here.changed().await.is_ok() {} })
    }
}

/// One piece of an answer.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces that wait for a slow reader.
const PIECES: usize = 4;

/// Records and frames, streamed: each has a thread, and reads the disk that devices wait for. How long one takes is up to whoever reads
/// it; a tenant may have a dozen programs that take its history away.
pub(crate) const DOWNLOADS: Share = Share { of: "downloads", max: 24, tenant_max: 12, patience: PATIENCE };

/// Queries in SQL: each may take 512 MiB and a minute, and history answers four at a time, of all tenants together. A tenant has half of
/// these turns, so that one alone, whatever it asks, leaves the others theirs. More than four wait for their turn there, in order.
pub(crate) const QUERIES: Share = Share { of: "queries", max: 8, tenant_max: 2, patience: QUERY_PATIENCE };

/// Answers that are made before they are sent, so that no reader draws them out: pages of the interface ask several at once.
const WORKS: Share = Share { of: "answers", max: 32, tenant_max: 8, patience: PATIENCE };

/// Threads that may wait which these need in all: whoever runs the API must have so many for it.
pub const READING_THREADS_MAX: usize =
    DOWNLOADS.max + QUERIES.max + WORKS.max + crate::routes::map::READS_MAX + crate::routes::map::LINK_READS_MAX;

/// How long a seat is waited for. Most answers take a fraction of it, so that programs of a tenant that ask more at once than it may
/// have under way take turns, and are not refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for queries, which take longer: a page that shows ten of them at once has all of them in turn.
const QUERY_PATIENCE: Duration = Duration::from_secs(20);

/// When to come again for a seat.
const AGAIN: Duration = Duration::from_secs(1);
