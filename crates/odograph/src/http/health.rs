//! Whether it is well, whether it takes data, and its numbers.

use super::App;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use odograph_ingest::Health;
use serde::Serialize;
use std::sync::Arc;

pub(super) fn routes(router: Router<Arc<App>>) -> Router<Arc<App>> {
    router.route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics))
}

async fn healthz(State(app): State<Arc<App>>) -> Response {
    let health = app.gateway.health();
    (status(health.healthy), Json(Told { health, alarms: app.alarms.told() })).into_response()
}

async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut health = app.gateway.health();
    health.ready = health.ready && !app.is_stopping();
    (status(health.ready), Json(Told { health, alarms: app.alarms.told() })).into_response()
}

/// How the parts are, and what a person has to look at besides.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    health: Health,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<&'static str>,
}

fn status(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}
