//! Exports over the control socket: read on a thread of their own, sent as fast as the other side takes them.
//!
//! What came of it follows the data as the trailer `odograph-totals`; an answer without it was cut short.

use super::App;
use super::devices::problem;
use crate::export::{self, FrameQuery, RecordQuery, Sink, TOTALS_TRAILER};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

pub(super) async fn records(State(app): State<Arc<App>>, Json(query): Json<RecordQuery>) -> Response {
    let follow = query.follow;
    stream(&app.clone(), move |out| {
        // Taken now: whatever was acknowledged before is in what follows.
        let durable = app.journal.durable();
        let next = || if follow && !app.is_stopping() { Some(app.journal.durable()) } else { None };
        export::records(&app.reader, &app.roster, &query, Some(durable), next, out)
    })
}

pub(super) async fn frames(State(app): State<Arc<App>>, Json(query): Json<FrameQuery>) -> Response {
    stream(&app.clone(), move |out| {
        let durable = app.journal.durable();
        export::frames(&app.reader, &app.roster, &query, Some(durable), out)
    })
}

pub(super) fn stream(
    app: &Arc<App>,
    export: impl FnOnce(&mut dyn Sink) -> anyhow::Result<export::Totals> + Send + 'static,
) -> Response {
    let Ok(seat) = app.exports.clone().try_acquire_owned() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "as many exports as there may be at a time: try again later");
    };
    let (sender, receiver) = mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || {
        let mut out = Chunks { sender, pending: Vec::with_capacity(CHUNK_BYTES) };
        let result = export(&mut out).and_then(|totals| Ok(out.flush().map(|()| totals)?));
        let last = match result {
            Ok(totals) => totals.to_header().map(|header| {
                let mut trailers = HeaderMap::new();
                trailers.insert(TOTALS_TRAILER, header);
                Frame::trailers(trailers)
            }),
            Err(error) if out.is_gone() => {
                tracing::debug!("an export was given up by whoever asked for it: {error:#}");
                return;
            }
            Err(error) => {
                tracing::error!("an export failed: {error:#}");
                Err(io::Error::other(format!("{error:#}")))
            }
        };
        // An error means that nobody waits for it any more.
        let _ = out.sender.blocking_send(last);
        drop(seat);
    });
    let trailer = [("trailer", HeaderValue::from_static(TOTALS_TRAILER))];
    (trailer, Body::new(Chunked(receiver))).into_response()
}

/// Gathers what is written into pieces worth sending.
struct Chunks {
    sender: mpsc::Sender<io::Result<Frame<Bytes>>>,
    pending: Vec<u8>,
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
        let chunk = std::mem::replace(&mut self.pending, Vec::with_capacity(CHUNK_BYTES));
        let sent = self.sender.blocking_send(Ok(Frame::data(chunk.into())));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn is_gone(&self) -> bool {
        self.sender.is_closed()
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
