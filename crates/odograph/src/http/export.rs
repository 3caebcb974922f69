//! Exports over the control socket: read on a thread of their own, sent as fast as the other side takes them.
//!
//! What came of it follows the data as the trailer `odograph-totals`, or why it failed as `odograph-error`; an answer
//! without either was cut short.

use super::App;
use super::devices::problem;
use crate::export::{
    self, ERROR_TRAILER, Entries, FrameQuery, Framed, Origin, Progress, RecordQuery, Sink, TOTALS_TRAILER, Totals,
};
use anyhow::Context as _;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::TRAILER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use odograph_lake::Lake;
use odograph_model::Lsn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

pub(super) async fn records(State(app): State<Arc<App>>, Json(query): Json<RecordQuery>) -> Response {
    // Taken now: whatever was acknowledged before is in what follows.
    let durable = app.journal.durable();
    if let Err(error) = query.check() {
        return problem(StatusCode::BAD_REQUEST, &format!("{error:#}"));
    }
    let Ok(seat) = app.exports.clone().try_acquire_owned() else { return too_many() };
    let (lake, damaged, seat) = match reached(&app, durable, seat).await {
        Ok(reached) => reached,
        Err(error) => return problem(StatusCode::SERVICE_UNAVAILABLE, &format!("{error:#}")),
    };
    let (reader, node, roster) = (app.reader.clone(), app.history.node(), app.roster.clone());
    let (waits, window) = (app.history.waits().clone(), app.history.window());
    let origin = Origin { lake, damaged, reader, node, roster, waits, window, until: Some(durable) };
    if query.follow {
        return stream_from(seat, query.progress, move |out| {
            let next = || if app.is_stopping() { None } else { Some(app.journal.durable()) };
            export::follow(origin, &query, durable, next, out)
        });
    }
    stream_from(seat, query.progress, move |out| export::records(&origin, &query, out))
}

/// Waits until history has read all before a place in the journal: as long as it gets on, whoever asked has not gone, and
/// the server does not stop. Gives it, the number of places where the journal was damaged, and the seat back.
pub(super) async fn reached(
    app: &Arc<App>,
    durable: Lsn,
    seat: OwnedSemaphorePermit,
) -> anyhow::Result<(Lake, u64, OwnedSemaphorePermit)> {
    // It goes with the request, and the thread sees that.
    let here = Arc::new(());
    let (app, waits) = (app.clone(), Arc::downgrade(&here));
    let waiting = tokio::task::spawn_blocking(move || {
        let is_wanted = || waits.strong_count() > 0 && !app.is_stopping();
        let (lake, damaged) = app.history.reach_while_it_gets_on(durable, is_wanted)?;
        Ok((lake, damaged, seat))
    });
    waiting.await.context("the wait did not end")?
}

pub(super) async fn frames(State(app): State<Arc<App>>, Json(query): Json<FrameQuery>) -> Response {
    stream(&app.clone(), query.progress, move |out| {
        let until = Some(app.journal.durable());
        // Whatever the journal has given up was in history before.
        let history = || Ok(app.history.reach(Lsn(0), export::WAIT)?.0);
        let entries = Entries { reader: &app.reader, node: app.history.node(), history: &history, until };
        export::frames(&entries, &app.roster, &query, out)
    })
}

/// Answers with what is written; `framed`: and how far that is, see [`Framed`].
pub(super) fn stream(
    app: &Arc<App>,
    framed: bool,
    export: impl FnOnce(&mut dyn Sink) -> anyhow::Result<Totals> + Send + 'static,
) -> Response {
    match app.exports.clone().try_acquire_owned() {
        Ok(seat) => stream_from(seat, framed, export),
        Err(_) => too_many(),
    }
}

/// For whoever comes while as many have seats as may.
pub(super) fn too_many() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "as many exports as there may be at a time: try again later")
}

/// The same for whoever has a seat already.
pub(super) fn stream_from(
    seat: OwnedSemaphorePermit,
    framed: bool,
    export: impl FnOnce(&mut dyn Sink) -> anyhow::Result<Totals> + Send + 'static,
) -> Response {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || {
        let progress = framed.then(Progress::default);
        let mut out = Chunks { sender, pending: Vec::with_capacity(CHUNK_BYTES), progress };
        let result = export(&mut out).and_then(|totals| Ok(out.flush().map(|()| totals)?));
        match &result {
            Ok(_) => {}
            Err(error) if out.is_gone() => {
                tracing::debug!("an export was given up by whoever asked for it: {error:#}");
                return;
            }
            Err(error) => tracing::warn!("an export ended with an error: {error:#}"),
        }
        let last = Totals::trailers(result).map(Frame::trailers);
        // An error means that nobody waits for it any more.
        let _ = out.sender.blocking_send(last);
        drop(seat);
    });
    let trailers = [TOTALS_TRAILER, ERROR_TRAILER].map(|name| (TRAILER, HeaderValue::from_static(name)));
    (AppendHeaders(trailers), Body::new(Chunked(receiver))).into_response()
}

/// Gathers what is written into pieces worth sending.
struct Chunks {
    sender: mpsc::Sender<io::Result<Frame<Bytes>>>,
    pending: Vec<u8>,
    /// How far it is, for whoever wants to know.
    progress: Option<Progress>,
}

impl Sink for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut chunk = std::mem::replace(&mut self.pending, Vec::with_capacity(CHUNK_BYTES));
        if let Some(progress) = self.progress {
            chunk = Framed::piece(&chunk, progress);
        }
        let sent = self.sender.blocking_send(Ok(Frame::data(chunk.into())));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }

    fn reached(&mut self, now: Progress) -> io::Result<()> {
        if let Some(progress) = &mut self.progress {
            *progress = now;
        }
        Ok(())
    }
}

struct Chunked(mpsc::Receiver<io::Result<Frame<Bytes>>>);

impl hyper::body::Body for Chunked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context)
    }
}

/// One piece of an answer.
const CHUNK_BYTES: usize = 64 << 10;

/// Pieces that wait for a slow reader: what an export may take of memory, besides what it decodes.
const CHUNKS: usize = 4;
