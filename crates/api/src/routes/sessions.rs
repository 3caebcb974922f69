//! Signing in and out.

use crate::body::Body;
use crate::caller::{COOKIE, cookie};
use crate::{Api, Caller, Code, Origin, Problem};
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use odograph_catalog::{Access, Actor, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(sign_in)).routes(routes!(current, sign_out))
}

/// What somebody signs in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    login: String,
    password: String,
    /// That of the authenticator, where the user has one.
    #[serde(default)]
    code: Option<String>,
}

/// Who asks, and what they may.
#[derive(Serialize, ToSchema)]
struct Current {
    /// `user`, `token`, or `owner` of the data folder.
    kind: &'static str,
    /// The login, or the name of the token.
    name: String,
    /// The tenant that is asked about.
    tenant: String,
    role: Role,
    /// Whether they may manage tenants, and enter any of them.
    system: bool,
    /// The groups of devices that they see, or all devices.
    groups: Option<Vec<String>>,
    /// Whether the server knows somebody to ask for addresses of places.
    addresses: bool,
}

impl Current {
    fn of(access: &Access, api: &Api) -> Self {
        let (kind, name) = match &access.actor {
            Actor::User { login, .. } => ("user", login.clone()),
            Actor::Token { name, .. } => ("token", name.clone()),
            Actor::Owner | Actor::Server => ("owner", String::new()),
        };
        let (tenant, groups) = (access.scope.tenant.clone(), access.scope.groups.clone());
        let addresses = api.geocoder.is_some();
        Self { kind, name, tenant, role: access.role, system: access.system, groups, addresses }
    }
}

/// Sign in
///
/// The session comes as a cookie, for browsers. Programs ask with a token instead.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions", request_body = SignIn, security(()),
    responses((status = 201, description = "Signed in.", body = Current),
        (status = 401, description = "Wrong login, password or code; or the code is needed: see `code`.", body = crate::problem::ProblemBody),
        (status = 429, description = "Too many attempts failed.", body = crate::problem::ProblemBody)))]
async fn sign_in(
    State(api): State<Api>,
    Extension(origin): Extension<Origin>,
    Body(SignIn { login, password, code }): Body<SignIn>,
) -> Result<Response, Problem> {
    let (secret, access) = api.catalog()?.login(&login, &password, code.as_deref(), origin.address()).await?;
    let cookie = set_cookie(origin, secret.reveal(), COOKIE_SECONDS);
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(Current::of(&access, &api))).into_response())
}

/// Who asks
#[utoipa::path(get, path = "/api/v1/sessions/current", tag = "sessions",
    responses((status = 200, description = "Whoever asks, and what they may.", body = Current),
        (status = 401, description = "Nobody is signed in.", body = crate::problem::ProblemBody)))]
async fn current(State(api): State<Api>, caller: Caller) -> Json<Current> {
    Json(Current::of(&caller.access, &api))
}

/// Sign out
#[utoipa::path(delete, path = "/api/v1/sessions/current", tag = "sessions",
    responses((status = 204, description = "The session has ended."),
        (status = 401, description = "Nobody is signed in.", body = crate::problem::ProblemBody)))]
async fn sign_out(
    State(api): State<Api>,
    Extension(origin): Extension<Origin>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !matches!(caller.access.actor, Actor::User { .. }) {
        return Err(Problem::new(Code::Forbidden, "this is for users who have signed in: a token is revoked instead"));
    }
    if let Some(secret) = cookie(&headers) {
        api.catalog()?.logout(secret).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, set_cookie(origin, "", 0))]).into_response())
}

/// Not to be read by scripts, not to be sent by other sites, and not without TLS where it came by it.
fn set_cookie(origin: Origin, value: &str, seconds: u64) -> String {
    let secure = if matches!(origin, Origin::Network { secure: true, .. }) { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// As long as a session lasts at most; the catalog ends it earlier where it should.
const COOKIE_SECONDS: u64 = 30 * 24 * 60 * 60;
