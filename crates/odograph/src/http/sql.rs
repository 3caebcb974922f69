//! Queries over the control socket.

use super::App;
use super::devices::problem;
use super::export::stream;
use crate::sql::{self, SqlQuery};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use odograph_lake::Limits;
use std::sync::Arc;

pub(super) async fn sql(State(app): State<Arc<App>>, Json(query): Json<SqlQuery>) -> Response {
    // Taken now: whatever was acknowledged before is in the answer.
    let durable = app.journal.durable();
    let (history, format, progress) = (app.history.clone(), query.format, query.progress);
    let begun =
        tokio::task::spawn_blocking(move || history.query(&query.tenant, &query.sql, Limits::default(), durable));
    match begun.await {
        Ok(Ok(mut answer)) => stream(&app.clone(), progress, move |out| sql::write(&mut answer, format, out)),
        Ok(Err(error)) => problem(StatusCode::BAD_REQUEST, &format!("{error:#}")),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the query did not end: {error}")),
    }
}
