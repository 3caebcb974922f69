//! The description of the API by OpenAPI, made of the routes themselves.

use crate::{Api, Code, routes};
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

/// The description, as it is served.
pub fn description() -> String {
    text(&parts().1)
}

pub(crate) fn text(description: &OpenApi) -> String {
    let mut text = description.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

pub(crate) fn answer(text: &str) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], text.to_owned()).into_response()
}

/// The routes, and what they say of themselves.
pub(crate) fn parts() -> (Router<Api>, OpenApi) {
    let (routes, mut description) =
        OpenApiRouter::with_openapi(About::openapi()).merge(routes::all()).split_for_parts();
    description.info.description = Some(about());
    if let Some(components) = &mut description.components {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(crate::caller::COOKIE)));
        components.add_security_scheme("token", bearer);
        components.add_security_scheme("session", cookie);
    }
    (routes, description)
}

fn about() -> String {
    let mut about = String::from(
        "Everything that Odograph knows and does, for programs. Ask with `Authorization: Bearer` and a token \
         (`odograph token create`), or with the session of a browser.\n\n\
         Times are text by RFC 3339 in UTC where records are, and milliseconds since 1970 elsewhere. Whoever may manage tenants \
         names one by the query `tenant`.\n\nProblems are answers of the type `application/problem+json` with one of these \
         codes:\n\n| code | status | what it means |\n|---|---|---|\n",
    );
    for (code, meaning) in Code::ALL {
        let _ = writeln!(about, "| `{}` | {} |{meaning} |", code.text(), code.status().as_u16());
    }
    about
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Odograph", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    security(("token" = []), ("session" = [])),
    tags(
        (name = "sessions", description = "Signing in and out."),
        (name = "account", description = "One's own account."),
        (name = "devices", description = "The fleet, and what it sent."),
        (name = "commands", description = "What devices are told, and what they answer."),
        (name = "history", description = "Questions over all of it."),
        (name = "administration", description = "Tenants, users, tokens, and who did what."),
        (name = "protocols", description = "What is understood, and messages read by hand.")
    )
)]
struct About;
