//! Who came and was not understood, and naming them: for those who manage the whole server, because nobody knows whose they are.

use super::records::moment;
use crate::body::{Asked, Body, Named};
use crate::server::{NameAs, NameRequest, Stray, StrayQuery};
use crate::stream::waiting;
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(name))
}

/// Which of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StraysAsked {
    /// Whose last bytes came not before this moment.
    from: Option<String>,
    /// At most so many, the newest: 100 unless it says otherwise, 1000 at most.
    limit: Option<usize>,
}

/// Who was not understood
///
/// Connections, and addresses that sent datagrams, whose bytes nothing could read, or whose devices were refused: the newest first. For
/// those who manage tenants: nobody knows whose they are.
#[utoipa::path(get, path = "/api/v1/unidentified", tag = "devices", params(StraysAsked),
    responses((status = 200, description = "The newest of them.", body = Vec<Stray>),
        (status = 403, description = "Whoever asks does not manage tenants.", body = crate::problem::ProblemBody)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Asked(asked): Asked<StraysAsked>,
) -> Result<Json<Vec<Stray>>, Problem> {
    caller.access.needs_system()?;
    let from = moment("from", asked.from.as_deref())?.map(|time| time.0);
    let query = StrayQuery { from, limit: asked.limit.unwrap_or(STRAYS).min(STRAYS_MAX) };
    waiting(&api, caller.tenant(), move |api| api.server.unidentified(&query)).await.map(Json)
}

/// What one of them is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NameIt {
    /// The protocol that it speaks.
    protocol: String,
    /// Which device it is, where its bytes do not say so.
    #[serde(default)]
    device: Option<String>,
    /// Settings of the protocol.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// Take frames with a wrong checksum.
    #[serde(default)]
    unsealed: bool,
    /// Also where it was named before: what came of that stays.
    #[serde(default)]
    again: bool,
}

/// Say what one of them is
///
/// What it sent is taken in as that, at the times when it came, for the tenant that is asked about.
#[utoipa::path(post, path = "/api/v1/unidentified/{id}", tag = "devices", request_body = NameIt,
    params(("id" = u64, Path, description = "Its place in the journal, as the list has it.")),
    responses((status = 200, description = "What came of it.", body = NameAs),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 403, description = "Whoever asks does not manage tenants.", body = crate::problem::ProblemBody),
        (status = 422, description = "It cannot be taken in as that.", body = crate::problem::ProblemBody)))]
async fn name(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<u64>,
    Body(it): Body<NameIt>,
) -> Result<Json<NameAs>, Problem> {
    caller.access.needs_system()?;
    let NameIt { protocol, device, settings, unsealed, again } = it;
    let set = settings.into_iter().collect();
    let tenant = caller.tenant().to_owned();
    let request = NameRequest { id, protocol, device, tenant, set, unsealed, again };
    waiting(&api, caller.tenant(), move |api| api.server.name_unidentified(&request)).await.map(Json)
}

/// So many are told where nothing else is asked for.
const STRAYS: usize = 100;
const STRAYS_MAX: usize = 1000;
