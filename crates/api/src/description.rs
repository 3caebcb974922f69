//! The description of the API by OpenAPI, made of the routes themselves.

use crate::problem::ProblemBody;
use crate::{Api, Code, Direction, RecordFormat, routes};
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use odograph_catalog::DeviceOrder;
use std::fmt::Write as _;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};
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
        components.add_security_scheme("token", bearer.clone());
        // Of another kind: the secret of a link.
        components.add_security_scheme("link", bearer);
        components.add_security_scheme("session", cookie);
    }
    for (path, item) in &mut description.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(name(path, method));
            problems(operation);
        }
    }
    (routes, description)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [("get", get), ("put", put), ("post", post), ("delete", delete), ("patch", patch)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// A name for each operation, by which generated clients call it: `devices_by_id_get`.
fn name(path: &str, method: &str) -> String {
    let parts = path.trim_start_matches("/api/v1/").split('/');
    let parts = parts.map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(parameter) => format!("by_{parameter}"),
        None => part.replace(['.', '-'], "_"),
    });
    parts.chain([method.to_owned()]).collect::<Vec<_>>().join("_")
}

/// Says of an operation what holds for each: every problem has the type of problems, and each may meet others than those that
/// are its own.
fn problems(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5'])
            && let Some(content) = response.content.shift_remove(JSON)
        {
            response.content.insert(PROBLEM.to_owned(), content);
        }
    }
    let body = Content::builder().schema(Some(Ref::from_schema_name("Problem"))).build();
    let any = ResponseBuilder::new().description("Any other problem: see the codes.").content(PROBLEM, body);
    responses.insert("default".to_owned(), RefOr::T(any.build()));
}

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

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
    // What stands in queries alone is not found by itself.
    components(schemas(DeviceOrder, Direction, ProblemBody, RecordFormat)),
    tags(
        (name = "sessions", description = "Signing in and out."),
        (name = "account", description = "One's own account."),
        (name = "devices", description = "The fleet, and what it sent."),
        (name = "commands", description = "What devices are told, and what they answer."),
        (name = "map", description = "The map that the server has."),
        (name = "history", description = "Questions over all of it."),
        (name = "administration", description = "Tenants, users, tokens, and who did what."),
        (name = "protocols", description = "What is understood, and messages read by hand.")
    )
)]
struct About;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_a_name_of_its_own() {
        assert_eq!(name("/api/v1/devices/{id}/commands/{number}", "get"), "devices_by_id_commands_by_number_get");
        let (_, mut description) = parts();
        let mut names = std::collections::BTreeSet::new();
        for item in description.paths.paths.values_mut() {
            for (_, operation) in operations(item) {
                let name = operation.operation_id.clone().unwrap();
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
        }
    }

    #[test]
    fn what_each_code_of_a_trouble_means_is_described() {
        let description: serde_json::Value = serde_json::from_str(&description()).unwrap();
        let schema = &description["components"]["schemas"]["TroubleCode"];
        let codes: Vec<_> = schema["enum"].as_array().unwrap().iter().filter_map(serde_json::Value::as_str).collect();
        let listed = schema["description"].as_str().unwrap().lines().filter_map(|line| line.strip_prefix("- `"));
        let listed: Vec<_> = listed.filter_map(|line| Some(line.split_once("`: ")?.0)).collect();
        assert_eq!(listed, codes);
        assert!(codes.contains(&"table_broken"), "{codes:?}");
    }

    /// The description that others generate clients from. `UPDATE=1 cargo test -p odograph-api` writes it anew.
    #[test]
    fn the_description_is_the_one_that_clients_are_generated_from() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/odograph.json");
        let now = description();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        let differs = now.lines().zip(kept.lines()).position(|(now, kept)| now != kept);
        assert!(
            now == kept,
            "openapi/odograph.json differs from line {differs:?}: look at UPDATE=1 cargo test -p odograph-api"
        );
    }
}
