//! How the journal is.

use super::App;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn stat(State(app): State<Arc<App>>) -> Json<Value> {
    let stats = app.journal.stats();
    Json(json!({
        "node": app.history.node(),
        "durable": stats.durable.0,
        "appended": stats.appended.0,
        "pending_bytes": stats.pending_bytes,
        "full": stats.full,
        "failed": stats.failed,
        "commits": stats.commits,
        "entries": stats.entries,
        "segments": stats.segments,
        "sealed": stats.sealed,
        "unsealed": stats.unsealed,
    }))
}
