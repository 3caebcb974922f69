//! Whether it is well, whether it takes data, and its numbers.

use super::App;
use crate::history::Stuck;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics::gauge;
use odograph_ingest::Health;
use serde::Serialize;
use std::sync::Arc;

pub(super) fn routes(router: Router<Arc<App>>) -> Router<Arc<App>> {
    router.route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics))
}

async fn healthz(State(app): State<Arc<App>>) -> Response {
    let health = app.gateway.health();
    (status(health.healthy), Json(told(&app, health))).into_response()
}

async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut health = app.gateway.health();
    health.ready = health.ready && !app.is_stopping();
    (status(health.ready), Json(told(&app, health))).into_response()
}

/// How the parts are, and what a person has to look at besides.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    health: Health,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<&'static str>,
    /// Devices are served all the same, and the journal keeps what they send: so it changes no status.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_stuck: Option<Stuck>,
}

fn told(app: &App, health: Health) -> Told {
    Told { health, alarms: app.alarms.told(), history_stuck: app.history.stuck(app.journal.durable()) }
}

fn status(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    // Asked for here: whoever fills history may hang.
    let stuck = app.history.stuck(app.journal.durable()).is_some();
    gauge!("odograph_pipeline_stuck").set(f64::from(u8::from(stuck)));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}
