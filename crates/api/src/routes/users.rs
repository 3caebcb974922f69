//! Users, as the owners of a tenant manage them.

use crate::body::{Body, Named};
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::http::StatusCode;
use odograph_catalog::{NewUser, User, UserChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(one, change, delete))
        .routes(routes!(set_password))
        .routes(routes!(clear_totp))
}

/// The users of the tenant
///
/// For owners.
#[utoipa::path(get, path = "/api/v1/users", tag = "administration",
    responses((status = 200, description = "All of them, by login.", body = Vec<User>),
        (status = 403, description = "Whoever asks is no owner.", body = crate::problem::ProblemBody)))]
async fn list(caller: Caller) -> Result<Json<Vec<User>>, Problem> {
    Ok(Json(caller.within().users().await?))
}

/// Make a user
///
/// For owners.
#[utoipa::path(post, path = "/api/v1/users", tag = "administration", request_body = NewUser,
    responses((status = 201, description = "The user can sign in, if there is a password.", body = User),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 409, description = "The login is taken.", body = crate::problem::ProblemBody)))]
async fn create(caller: Caller, Body(new): Body<NewUser>) -> Result<(StatusCode, Json<User>), Problem> {
    Ok((StatusCode::CREATED, Json(caller.within().create_user(new).await?)))
}

/// A user
///
/// For owners.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "administration", params(("id" = String, Path, description = "The user's id.")),
    responses((status = 200, description = "The user.", body = User),
        (status = 404, description = "There is no such user.", body = crate::problem::ProblemBody)))]
async fn one(caller: Caller, Named(id): Named<String>) -> Result<Json<User>, Problem> {
    Ok(Json(caller.within().user(&id).await?))
}

/// Change a user
///
/// For owners. What is not named stays.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "administration", request_body = UserChange,
    params(("id" = String, Path, description = "The user's id.")),
    responses((status = 200, description = "The user, as it is now.", body = User),
        (status = 404, description = "There is no such user.", body = crate::problem::ProblemBody),
        (status = 409, description = "The login is taken, or owners would lock themselves out.", body = crate::problem::ProblemBody)))]
async fn change(caller: Caller, Named(id): Named<String>, Body(to): Body<UserChange>) -> Result<Json<User>, Problem> {
    Ok(Json(caller.within().update_user(&id, to).await?))
}

/// Delete a user
///
/// For owners. The audit log keeps what the user did.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "administration", params(("id" = String, Path, description = "The user's id.")),
    responses((status = 204, description = "The user is gone."),
        (status = 404, description = "There is no such user.", body = crate::problem::ProblemBody)))]
async fn delete(caller: Caller, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    caller.within().delete_user(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A password that an owner sets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// Without one, one is made.
    #[serde(default)]
    password: Option<String>,
}

/// A password that was made.
#[derive(Serialize, ToSchema)]
struct MadePassword {
    /// It is shown this once; nothing, where the owner chose one.
    password: Option<String>,
}

/// Give a user a new password
///
/// For owners. The user's sessions end.
#[utoipa::path(put, path = "/api/v1/users/{id}/password", tag = "administration", request_body = NewPassword,
    params(("id" = String, Path, description = "The user's id.")),
    responses((status = 200, description = "It holds from now on.", body = MadePassword),
        (status = 404, description = "There is no such user.", body = crate::problem::ProblemBody)))]
async fn set_password(
    caller: Caller,
    Named(id): Named<String>,
    Body(NewPassword { password }): Body<NewPassword>,
) -> Result<Json<MadePassword>, Problem> {
    let made = caller.within().set_password(&id, password.as_deref()).await?;
    Ok(Json(MadePassword { password: made.map(|secret| secret.reveal().to_owned()) }))
}

/// Take a user's second factor away
///
/// For owners, when the user has lost it.
#[utoipa::path(delete, path = "/api/v1/users/{id}/totp", tag = "administration", params(("id" = String, Path, description = "The user's id.")),
    responses((status = 204, description = "The password alone is asked for."),
        (status = 404, description = "There is no such user.", body = crate::problem::ProblemBody)))]
async fn clear_totp(caller: Caller, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    caller.within().clear_totp(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
