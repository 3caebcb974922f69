//! What users do with their own accounts.

use crate::body::{Body, Named};
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::http::StatusCode;
use odograph_catalog::{AccountChange, Session, User};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(own, change))
        .routes(routes!(change_password))
        .routes(routes!(offer_totp, confirm_totp))
        .routes(routes!(remove_totp))
        .routes(routes!(sessions))
        .routes(routes!(end_session))
}

/// One's own account
#[utoipa::path(get, path = "/api/v1/account", tag = "account",
    responses((status = 200, description = "The account of whoever has signed in.", body = User),
        (status = 403, description = "Whoever asks is no user who has signed in.", body = crate::problem::ProblemBody)))]
async fn own(caller: Caller) -> Result<Json<User>, Problem> {
    Ok(Json(caller.within().account().await?))
}

/// Change one's own account
///
/// What is not named stays.
#[utoipa::path(patch, path = "/api/v1/account", tag = "account", request_body = AccountChange,
    responses((status = 200, description = "The account, as it is now.", body = User),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody)))]
async fn change(caller: Caller, Body(to): Body<AccountChange>) -> Result<Json<User>, Problem> {
    Ok(Json(caller.within().update_account(to).await?))
}

/// A new password, with the one so far.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    old: String,
    new: String,
}

/// Change one's own password
///
/// All other sessions end.
#[utoipa::path(put, path = "/api/v1/account/password", tag = "account", request_body = PasswordChange,
    responses((status = 204, description = "It holds from now on."),
        (status = 400, description = "The one so far is wrong, or the new one is too short.", body = crate::problem::ProblemBody)))]
async fn change_password(
    caller: Caller,
    Body(PasswordChange { old, new }): Body<PasswordChange>,
) -> Result<StatusCode, Problem> {
    caller.within().change_password(&old, &new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What an authenticator is given.
#[derive(Serialize, ToSchema)]
struct Offer {
    /// For typing.
    secret: String,
    /// For a square code.
    url: String,
}

/// Begin to set up a second factor
///
/// It holds once a code of it was sent.
#[utoipa::path(post, path = "/api/v1/account/totp", tag = "account",
    responses((status = 200, description = "What an authenticator is given.", body = Offer),
        (status = 409, description = "There is a second factor already.", body = crate::problem::ProblemBody)))]
async fn offer_totp(caller: Caller) -> Result<Json<Offer>, Problem> {
    let offer = caller.within().offer_totp().await?;
    Ok(Json(Offer { secret: offer.secret.reveal().to_owned(), url: offer.url.reveal().to_owned() }))
}

/// A code of the authenticator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

/// Turn the second factor on
#[utoipa::path(put, path = "/api/v1/account/totp", tag = "account", request_body = Code,
    responses((status = 204, description = "Signing in takes a code from now on."),
        (status = 400, description = "The code is not the one that the authenticator shows now.", body = crate::problem::ProblemBody)))]
async fn confirm_totp(caller: Caller, Body(Code { code }): Body<Code>) -> Result<StatusCode, Problem> {
    caller.within().confirm_totp(&code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The password of whoever asks, once more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmed {
    password: String,
}

/// Remove the second factor
#[utoipa::path(post, path = "/api/v1/account/totp/removal", tag = "account", request_body = Confirmed,
    responses((status = 204, description = "The password alone is asked for."),
        (status = 400, description = "The password is wrong.", body = crate::problem::ProblemBody)))]
async fn remove_totp(caller: Caller, Body(Confirmed { password }): Body<Confirmed>) -> Result<StatusCode, Problem> {
    caller.within().remove_totp(&password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where one is signed in
#[utoipa::path(get, path = "/api/v1/account/sessions", tag = "account",
    responses((status = 200, description = "The sessions that last, the latest first.", body = Vec<Session>)))]
async fn sessions(caller: Caller) -> Result<Json<Vec<Session>>, Problem> {
    Ok(Json(caller.within().sessions().await?))
}

/// End a session
#[utoipa::path(delete, path = "/api/v1/account/sessions/{id}", tag = "account", params(("id" = String, Path, description = "The session's id.")),
    responses((status = 204, description = "It has ended."),
        (status = 404, description = "There is no such session.", body = crate::problem::ProblemBody)))]
async fn end_session(caller: Caller, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    caller.within().end_session(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
