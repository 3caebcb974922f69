//! What the server takes, and how long that goes well.

use crate::stream::waiting;
use crate::{Api, Caller, Lately, Problem, System};
use axum::Json;
use axum::extract::State;
use odograph_catalog::Role;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(system)).routes(routes!(lately))
}

/// What the server takes
///
/// Version, uptime, disk, journal, catalog and history. For owners, of their own tenant's tables; all of it for those who manage
/// tenants.
#[utoipa::path(get, path = "/api/v1/system", tag = "administration",
    responses((status = 200, description = "As it was a moment ago.", body = System),
        (status = 403, description = "Whoever asks is no owner.", body = crate::problem::ProblemBody),
        (status = 503, description = "It is looked at for the first time.", body = crate::problem::ProblemBody)))]
async fn system(State(api): State<Api>, caller: Caller) -> Result<Json<System>, Problem> {
    caller.access.needs(Role::Owner)?;
    if caller.access.system {
        return waiting(&api, caller.tenant(), |api| api.server.system()).await.map(Json);
    }
    let tenant = caller.tenant().to_owned();
    waiting(&api, caller.tenant(), move |api| api.server.system_of(&tenant)).await.map(Json)
}

/// What was lately
///
/// Some of the numbers of `/metrics`, every ten seconds of the last half an hour: of the whole server, and of nobody by name. For
/// everyone who has signed in.
#[utoipa::path(get, path = "/api/v1/system/lately", tag = "administration",
    responses((status = 200, description = "As it was, up to ten seconds ago.", body = Lately)))]
async fn lately(State(api): State<Api>, _caller: Caller) -> Json<Lately> {
    Json(api.server.lately())
}
