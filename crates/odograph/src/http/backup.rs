//! Backups over the control socket.

use super::App;
use super::devices::problem;
use super::export::stream;
use crate::backup::BackupQuery;
use crate::export::Totals;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

pub(super) async fn backup(State(app): State<Arc<App>>, Json(query): Json<BackupQuery>) -> Response {
    let Ok(seat) = app.backups.clone().try_acquire_owned() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "another backup is under way: try again later");
    };
    stream(&app.clone(), false, move |out| {
        let journal = app.journal.clone();
        let made = app.home.back_up(&query, Some(&move || journal.durable()), out);
        drop(seat);
        made.map(|()| Totals::default())
    })
}
