//! What is understood: protocols, the dictionary of parameters, and messages read by hand.

use crate::body::Body;
use crate::server::{Decode, Decoded, ToldProtocol};
use crate::stream::waiting;
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::extract::State;
use odograph_model::{Kind, PARAMETERS};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(protocols)).routes(routes!(parameters)).routes(routes!(decode))
}

/// The protocols
///
/// Each with its port, transports, settings, commands, and how far it can be trusted.
#[utoipa::path(get, path = "/api/v1/protocols", tag = "protocols",
    responses((status = 200, description = "All of them.", body = Vec<ToldProtocol>)))]
async fn protocols(State(api): State<Api>, _caller: Caller) -> Json<Vec<ToldProtocol>> {
    Json(api.server.protocols())
}

/// A parameter of the dictionary.
#[derive(Serialize, ToSchema)]
struct ToldParameter {
    /// Its name, in which `{n}` and `{zone}` stand for a number from 1 on.
    name: &'static str,
    /// `number`, `integer`, `flag`, `text` or `list`.
    kind: &'static str,
    unit: &'static str,
    meaning: &'static str,
}

/// The dictionary of parameters
///
/// Every name that a record can have, besides `raw.`, with its type and unit.
#[utoipa::path(get, path = "/api/v1/parameters", tag = "protocols",
    responses((status = 200, description = "All of them.", body = Vec<ToldParameter>)))]
async fn parameters(_caller: Caller) -> Json<Vec<ToldParameter>> {
    let told = PARAMETERS.iter().map(|parameter| ToldParameter {
        name: parameter.name,
        kind: match parameter.kind {
            Kind::Float => "number",
            Kind::Int => "integer",
            Kind::Bool => "flag",
            Kind::Text => "text",
            Kind::List => "list",
        },
        unit: parameter.unit,
        meaning: parameter.meaning,
    });
    Json(told.collect())
}

/// Read messages
///
/// The messages are those of one conversation, in order, so that a login is remembered. Each gives what `odograph decode --stdin`
/// prints for a line; with `trace`, every field that was read, with its place. Nothing is kept.
#[utoipa::path(post, path = "/api/v1/decode", tag = "protocols", request_body = Decode,
    responses((status = 200, description = "What each message says.", body = Vec<Decoded>),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody)))]
async fn decode(
    State(api): State<Api>,
    caller: Caller,
    Body(request): Body<Decode>,
) -> Result<Json<Vec<Decoded>>, Problem> {
    if request.messages.len() > MESSAGES_MAX {
        return Err(Problem::invalid(
            "messages",
            format!("are {}, at most {MESSAGES_MAX} are read at a time", request.messages.len()),
        ));
    }
    waiting(&api, caller.tenant(), move |api| api.server.decode(&request)).await.map(Json)
}

/// Messages that are read at a time.
const MESSAGES_MAX: usize = 1000;
