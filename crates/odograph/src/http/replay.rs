//! Replays over the control socket.

use super::App;
use super::devices::problem;
use super::export::stream;
use crate::export::Totals;
use crate::replay::{self, ReplayQuery};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

pub(super) async fn replay(State(app): State<Arc<App>>, Json(query): Json<ReplayQuery>) -> Response {
    let Ok(seat) = app.replays.clone().try_acquire_owned() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "another replay is under way: try again later");
    };
    stream(&app.clone(), false, move |out| {
        // Taken now: whatever was acknowledged before is looked at.
        let mut source = app.history.clone().running(app.journal.durable());
        let replayed = replay::run(&mut source, app.history.current(), &query, out);
        drop(seat);
        replayed.map(|()| Totals::default())
    })
}
