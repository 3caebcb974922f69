//! Queries in SQL that people have saved for all of their tenant.

use crate::body::{Body, Named};
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::http::StatusCode;
use odograph_catalog::{NewQuery, QueryChange, SavedQuery};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(one, change, delete))
}

/// The saved queries of the tenant
///
/// By name. For those who may ask in SQL: who see all devices of the tenant.
#[utoipa::path(get, path = "/api/v1/queries", tag = "history",
    responses((status = 200, description = "All of them.", body = Vec<SavedQuery>),
        (status = 403, description = "Whoever asks sees some groups of devices only.", body = crate::problem::ProblemBody)))]
async fn list(caller: Caller) -> Result<Json<Vec<SavedQuery>>, Problem> {
    Ok(Json(caller.within().queries().await?))
}

/// Save a query
///
/// For those who may ask in SQL. Whether it can be asked shows when it is. A tenant has 1,000 at most, and 1 MiB of them.
#[utoipa::path(post, path = "/api/v1/queries", tag = "history", request_body = NewQuery,
    responses((status = 201, description = "The query is saved.", body = SavedQuery),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 403, description = "Whoever asks sees some groups of devices only, or there are as many as there can be.", body = crate::problem::ProblemBody),
        (status = 409, description = "There is one of that name.", body = crate::problem::ProblemBody)))]
async fn create(caller: Caller, Body(new): Body<NewQuery>) -> Result<(StatusCode, Json<SavedQuery>), Problem> {
    Ok((StatusCode::CREATED, Json(caller.within().create_query(new).await?)))
}

/// A saved query
///
/// For those who may ask in SQL.
#[utoipa::path(get, path = "/api/v1/queries/{id}", tag = "history", params(("id" = String, Path, description = "The query's id.")),
    responses((status = 200, description = "The query.", body = SavedQuery),
        (status = 404, description = "There is no such query.", body = crate::problem::ProblemBody)))]
async fn one(caller: Caller, Named(id): Named<String>) -> Result<Json<SavedQuery>, Problem> {
    Ok(Json(caller.within().query(&id).await?))
}

/// Change a saved query
///
/// For who made it, and for managers of all devices. What is not named stays.
#[utoipa::path(patch, path = "/api/v1/queries/{id}", tag = "history", request_body = QueryChange,
    params(("id" = String, Path, description = "The query's id.")),
    responses((status = 200, description = "The query, as it is now.", body = SavedQuery),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 403, description = "Somebody else made it.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such query.", body = crate::problem::ProblemBody),
        (status = 409, description = "There is another one of that name.", body = crate::problem::ProblemBody)))]
async fn change(
    caller: Caller,
    Named(id): Named<String>,
    Body(fields): Body<QueryChange>,
) -> Result<Json<SavedQuery>, Problem> {
    Ok(Json(caller.within().update_query(&id, fields).await?))
}

/// Delete a saved query
///
/// For who made it, and for managers of all devices.
#[utoipa::path(delete, path = "/api/v1/queries/{id}", tag = "history", params(("id" = String, Path, description = "The query's id.")),
    responses((status = 204, description = "The query is gone."),
        (status = 403, description = "Somebody else made it.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such query.", body = crate::problem::ProblemBody)))]
async fn delete(caller: Caller, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    caller.within().delete_query(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
