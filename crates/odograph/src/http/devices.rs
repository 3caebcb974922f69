//! The devices that are known, and what is decided about them.

use super::App;
use crate::catalog;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use odograph_ingest::{RosterError, State as Decided};
use serde_json::json;
use std::sync::Arc;

pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    Json(app.roster.list()).into_response()
}

pub(super) async fn accept(app: State<Arc<App>>, id: Path<String>, of: Query<Of>) -> Response {
    decide(app, id, of, Decided::Accepted).await
}

pub(super) async fn reject(app: State<Arc<App>>, id: Path<String>, of: Query<Of>) -> Response {
    decide(app, id, of, Decided::Rejected).await
}

/// Whose device it is; where that is not said, of whoever had the id first.
#[derive(serde::Deserialize)]
pub(super) struct Of {
    tenant: Option<String>,
}

async fn decide(State(app): State<Arc<App>>, Path(id): Path<String>, Query(of): Query<Of>, state: Decided) -> Response {
    let tenant = of.tenant;
    let Some(catalog) = app.catalog.get() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the catalog of devices cannot be reached yet");
    };
    let known = app.roster.get(tenant.as_deref(), &id);
    let before = known.as_ref().map(|known| known.state);
    // What the configuration says is not for the catalog to change.
    if known.as_ref().is_none_or(|known| known.state != Decided::Configured)
        && let Err(error) = catalog::decide(catalog, tenant.as_deref(), known.as_ref(), &id, state).await
    {
        let full = matches!(error, odograph_catalog::Error::Full { .. });
        return problem(failed(full), &format!("{:#}", anyhow::Error::from(error)));
    }
    // Writes to the disk, so not on the thread that answers everyone.
    let decided = tokio::task::spawn_blocking(move || {
        // What it was is known from before: the catalog's follower may have been faster.
        let of = tenant.as_deref();
        app.roster.decide(of, &id, state, app.journal.durable()).map(|_| app.roster.get(of, &id))
    });
    match decided.await {
        Ok(Ok(device)) => Json(json!({ "before": before, "device": device })).into_response(),
        Ok(Err(error)) => {
            let full = matches!(error, RosterError::Full { .. });
            problem(failed(full), &format!("{:#}", anyhow::Error::from(error)))
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The status where something could not be written.
const fn failed(full: bool) -> StatusCode {
    if full { StatusCode::INSUFFICIENT_STORAGE } else { StatusCode::INTERNAL_SERVER_ERROR }
}

/// An error, as RFC 9457 has it.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({ "title": title, "status": status.as_u16(), "detail": detail });
    (status, [(axum::http::header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
