//! Tenants. Managing them takes the right to; everyone sees the own one.

use crate::body::{Body, Named};
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::http::StatusCode;
use odograph_catalog::{NewTenant, Tenant, TenantChange};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(one, change, delete))
}

/// The tenants that one may see
#[utoipa::path(get, path = "/api/v1/tenants", tag = "administration",
    responses((status = 200, description = "The own one; all, for those who manage them.", body = Vec<Tenant>)))]
async fn list(caller: Caller) -> Result<Json<Vec<Tenant>>, Problem> {
    Ok(Json(caller.tenants().list().await?))
}

/// Make a tenant
#[utoipa::path(post, path = "/api/v1/tenants", tag = "administration", request_body = NewTenant,
    responses((status = 201, description = "It is there.", body = Tenant),
        (status = 403, description = "Whoever asks may not manage tenants.", body = crate::problem::ProblemBody),
        (status = 409, description = "The id is taken.", body = crate::problem::ProblemBody)))]
async fn create(caller: Caller, Body(new): Body<NewTenant>) -> Result<(StatusCode, Json<Tenant>), Problem> {
    Ok((StatusCode::CREATED, Json(caller.tenants().create(new).await?)))
}

/// A tenant
#[utoipa::path(get, path = "/api/v1/tenants/{id}", tag = "administration", params(("id" = String, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The tenant.", body = Tenant),
        (status = 404, description = "There is no such tenant, or one may not see it.", body = crate::problem::ProblemBody)))]
async fn one(caller: Caller, Named(id): Named<String>) -> Result<Json<Tenant>, Problem> {
    Ok(Json(caller.tenants().get(&id).await?))
}

/// Change a tenant
///
/// What is not named stays; quotas are replaced as a whole.
#[utoipa::path(patch, path = "/api/v1/tenants/{id}", tag = "administration", request_body = TenantChange,
    params(("id" = String, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The tenant, as it is now.", body = Tenant),
        (status = 404, description = "There is no such tenant, or one may not see it.", body = crate::problem::ProblemBody)))]
async fn change(
    caller: Caller,
    Named(id): Named<String>,
    Body(to): Body<TenantChange>,
) -> Result<Json<Tenant>, Problem> {
    Ok(Json(caller.tenants().update(&id, to).await?))
}

/// Delete a tenant
///
/// What its devices sent stays, until it is erased.
#[utoipa::path(delete, path = "/api/v1/tenants/{id}", tag = "administration", params(("id" = String, Path, description = "The tenant's id.")),
    responses((status = 204, description = "It is gone."),
        (status = 404, description = "There is no such tenant, or one may not see it.", body = crate::problem::ProblemBody),
        (status = 409, description = "Something is left of it.", body = crate::problem::ProblemBody)))]
async fn delete(caller: Caller, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    caller.tenants().delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
