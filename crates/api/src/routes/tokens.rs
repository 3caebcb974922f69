//! Tokens, with which programs ask.

use crate::body::{Body, Named};
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::http::StatusCode;
use odograph_catalog::{NewToken, Token};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(one, revoke))
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
struct Made {
    #[serde(flatten)]
    token: Token,
    /// What programs send. It is shown this once.
    secret: String,
}

/// The tokens of the tenant
///
/// For owners. The latest come first. Those that were revoked or have expired stay in the list for 90 days, 1,000 of them at most.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "administration",
    responses((status = 200, description = "Those that hold, and those that ended lately.", body = Vec<Token>),
        (status = 403, description = "Whoever asks is no owner.", body = crate::problem::ProblemBody)))]
async fn list(caller: Caller) -> Result<Json<Vec<Token>>, Problem> {
    Ok(Json(caller.within().tokens().await?))
}

/// Make a token
///
/// For owners.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "administration", request_body = NewToken,
    responses((status = 201, description = "It holds from now on.", body = Made),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 403, description = "Whoever asks may not.", body = crate::problem::ProblemBody)))]
async fn create(caller: Caller, Body(new): Body<NewToken>) -> Result<(StatusCode, Json<Made>), Problem> {
    let (token, secret) = caller.within().create_token(new).await?;
    Ok((StatusCode::CREATED, Json(Made { token, secret: secret.reveal().to_owned() })))
}

/// A token
///
/// For owners.
#[utoipa::path(get, path = "/api/v1/tokens/{id}", tag = "administration", params(("id" = String, Path, description = "The token's id.")),
    responses((status = 200, description = "The token.", body = Token),
        (status = 404, description = "There is no such token.", body = crate::problem::ProblemBody)))]
async fn one(caller: Caller, Named(id): Named<String>) -> Result<Json<Token>, Problem> {
    Ok(Json(caller.within().token(&id).await?))
}

/// Revoke a token
///
/// For owners. From now on it does not hold.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "administration", params(("id" = String, Path, description = "The token's id.")),
    responses((status = 200, description = "It is revoked.", body = Token),
        (status = 404, description = "There is no such token.", body = crate::problem::ProblemBody)))]
async fn revoke(caller: Caller, Named(id): Named<String>) -> Result<Json<Token>, Problem> {
    Ok(Json(caller.within().revoke_token(&id).await?))
}
