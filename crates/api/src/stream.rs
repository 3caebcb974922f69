//! Answers that are sent while they are made, as fast as whoever asked reads them, in bounded memory.

use crate::{Api, Code, Output, Problem};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use std::io;
use tokio::sync::mpsc;

/// Does something on a thread that may wait, as many at a time as there may be.
pub(crate) async fn waiting<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&Api) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let seat = api.reading.clone().try_acquire_owned().map_err(|_| too_many())?;
    let api = api.clone();
    let done = tokio::task::spawn_blocking(move || {
        let done = work(&api);
        drop(seat);
        done
    });
    done.await.map_err(|error| Problem::internal(&error))?
}

/// For whoever comes while as much is made as may be.
fn too_many() -> Problem {
    let what = format!("{READING_MAX} long answers are being made: try again when one of them has ended");
    Problem::new(Code::TooMany, what).retry_after(std::time::Duration::from_secs(1))
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
    kind: Kind,
    make: impl FnOnce(&Api, &mut dyn Output) -> Result<(), Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let seat = api.reading.clone().try_acquire_owned().map_err(|_| too_many())?;
    let (sender, mut receiver) = mpsc::channel(PIECES);
    let api = api.clone();
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces { sender, pending: Vec::with_capacity(PIECE_BYTES) };
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
    let rest = stream::unfold((first, receiver), |(first, mut receiver)| async move {
        let piece = match first {
            Some(piece) => Ok(piece),
            None => receiver.recv().await?.map_err(|_| io::Error::other("the answer was cut short")),
        };
        Some((piece, (None, receiver)))
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
}

/// One piece of an answer.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces that wait for a slow reader.
const PIECES: usize = 4;

/// Long answers at a time: each has a thread, and reads the disk that devices wait for.
pub(crate) const READING_MAX: usize = 16;
