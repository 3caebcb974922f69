//! Queries over the control socket. Whoever goes before the answer is complete gives it up.

use super::App;
use super::devices::problem;
use super::export::{reached, stream_from, too_many};
use crate::sql::{self, SqlQuery};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use odograph_lake::{Fault, Limits, Stop};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub(super) async fn sql(State(app): State<Arc<App>>, Json(query): Json<SqlQuery>) -> Response {
    // Taken now: whatever was acknowledged before is in the answer.
    let durable = app.journal.durable();
    let (format, progress) = (query.format, query.progress);
    let Ok(seat) = app.exports.clone().try_acquire_owned() else { return too_many() };
    let (lake, _, seat) = match reached(&app, durable, seat).await {
        Ok(reached) => reached,
        Err(error) => return problem(StatusCode::SERVICE_UNAVAILABLE, &format!("{error:#}")),
    };
    let begun = tokio::task::spawn_blocking(move || (lake.query(&query.tenant, &query.sql, Limits::default()), seat));
    match begun.await {
        Ok((Ok(mut answer), seat)) => {
            let stop = answer.stop();
            let response = stream_from(seat, progress, move |out| sql::write(&mut answer, format, out));
            response.map(|body| Body::new(Asked { body, _stop: stop }))
        }
        // In full: it is the owner of the folder who asks.
        Ok((Err(error), _)) => problem(status(error.fault()), &format!("{:#}", anyhow::Error::from(error))),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the query did not end: {error}")),
    }
}

fn status(fault: Fault) -> StatusCode {
    match fault {
        Fault::Question => StatusCode::BAD_REQUEST,
        Fault::Busy | Fault::Passing => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Lasting => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What is sent to whoever asks. It is dropped when they have gone, even while there is nothing to send.
struct Asked {
    body: Body,
    _stop: Stop,
}

impl hyper::body::Body for Asked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }
}
