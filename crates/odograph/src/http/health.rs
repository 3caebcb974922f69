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
use odograph_lake::{BrokenTable, Unread};
use serde::Serialize;
use std::sync::Arc;

pub(super) fn routes(router: Router<Arc<App>>) -> Router<Arc<App>> {
    router.route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics))
}

async fn healthz(State(app): State<Arc<App>>) -> Response {
    let health = app.gateway.health();
    (status(health.healthy), Json(told(&app, health).await)).into_response()
}

async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut health = app.gateway.health();
    health.ready = health.ready && !app.is_stopping();
    (status(health.ready), Json(told(&app, health).await)).into_response()
}

/// How the parts are, and what a person has to look at besides.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    health: Health,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<&'static str>,
    /// Why nothing can be changed that people decide. Devices are served all the same, and a new start would only disturb
    /// them: so it changes no status either.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog_unwritable: Option<String>,
    /// Devices are served all the same, and the journal keeps what they send: so it changes no status.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_stuck: Option<Stuck>,
    /// Tables of history that cannot be opened: what comes for them waits in the journal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history_broken: Vec<Broken>,
    /// Files of history that a person has to put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_damaged: Option<Damaged>,
}

/// A table that cannot be opened.
#[derive(Serialize)]
struct Broken {
    tenant: String,
    table: &'static str,
    why: String,
}

/// Files of history that are damaged, as far as that was noticed.
#[derive(Serialize)]
struct Damaged {
    files: usize,
    /// Some of them.
    first: Vec<DamagedFile>,
}

#[derive(Serialize)]
struct DamagedFile {
    file: String,
    why: String,
}

async fn told(app: &App, health: Health) -> Told {
    let history_stuck = app.history.stuck(app.journal.durable());
    let broken = app.history.broken_tables().into_iter();
    let broken = broken.map(|BrokenTable { tenant, table, why }| Broken { tenant: tenant.into(), table, why });
    let (alarms, history_broken) = (app.alarms.told(), broken.collect());
    let catalog_unwritable = catalog_trouble(app).await;
    Told { health, alarms, catalog_unwritable, history_stuck, history_broken, history_damaged: damaged(app) }
}

async fn catalog_trouble(app: &App) -> Option<String> {
    app.catalog.get()?.trouble().await
}

fn damaged(app: &App) -> Option<Damaged> {
    let found = app.history.damaged_files();
    let first = found.iter().take(DAMAGED_SHOWN).map(|Unread { file, why }| {
        let (file, why) = (file.clone(), why.clone());
        DamagedFile { file, why }
    });
    (!found.is_empty()).then(|| Damaged { files: found.len(), first: first.collect() })
}

fn status(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    // Asked for here: whoever fills history may hang.
    let stuck = app.history.stuck(app.journal.durable()).is_some();
    gauge!("odograph_pipeline_stuck").set(f64::from(u8::from(stuck)));
    gauge!("odograph_catalog_unwritable").set(f64::from(u8::from(catalog_trouble(&app).await.is_some())));
    for ((tenant, table), is_broken) in app.history.measured_broken() {
        gauge!("odograph_lake_broken_table", "tenant" => tenant.to_string(), "table" => table)
            .set(f64::from(u8::from(is_broken)));
    }
    gauge!("odograph_lake_damaged_files").set(app.history.damaged_files().len() as f64);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}

/// A person needs a few to see where it is; the log has them all.
const DAMAGED_SHOWN: usize = 10;
