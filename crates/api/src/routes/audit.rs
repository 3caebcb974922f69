//! Who did what.

use crate::body::Asked;
use crate::{Api, Caller, Problem};
use axum::Json;
use odograph_catalog::{AuditEntry, AuditFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The audit log
///
/// For owners. The latest entries come first; `before` takes the last one's `seq` for the next page. A page has about 4 MiB at most, and so
/// may have fewer than `limit` where entries are large: behind it there is none where it is empty.
#[utoipa::path(get, path = "/api/v1/audit", tag = "administration", params(AuditFilter),
    responses((status = 200, description = "Some entries.", body = Vec<AuditEntry>),
        (status = 403, description = "Whoever asks is no owner.", body = crate::problem::ProblemBody)))]
async fn list(caller: Caller, Asked(filter): Asked<AuditFilter>) -> Result<Json<Vec<AuditEntry>>, Problem> {
    Ok(Json(caller.within().audit(&filter).await?))
}
