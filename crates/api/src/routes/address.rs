//! Addresses of places, as a geocoder knows them.

use crate::body::Asked;
use crate::{Api, Caller, Code, Problem};
use axum::Json;
use axum::extract::State;
use odograph_geocoder::Refusal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(address))
}

/// Of which place.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PlaceAsked {
    /// Degrees to the north.
    latitude: f64,
    /// Degrees to the east.
    longitude: f64,
}

/// An address.
#[derive(Serialize, ToSchema)]
struct Address {
    /// It, in a line; empty where the geocoder knows of none.
    text: String,
    /// Whose data it is, to be named beside it.
    source: String,
}

/// The address of a place
///
/// Of a place to about ten metres. The server asks the geocoder that its configuration names, no more often than that may be, and knows
/// for a day what it said; one's own tenant's questions alone are answered from memory. An answer may take seconds.
#[utoipa::path(get, path = "/api/v1/address", tag = "live", params(PlaceAsked),
    responses((status = 200, description = "The address.", body = Address),
        (status = 400, description = "That is no place on Earth.", body = crate::problem::ProblemBody),
        (status = 404, description = "No geocoder is configured.", body = crate::problem::ProblemBody),
        (status = 429, description = "As many places wait as may: `Retry-After` says when to come again.", body = crate::problem::ProblemBody),
        (status = 503, description = "The geocoder does not answer: `Retry-After` says when to come again.", body = crate::problem::ProblemBody)))]
async fn address(
    State(api): State<Api>,
    caller: Caller,
    Asked(PlaceAsked { latitude, longitude }): Asked<PlaceAsked>,
) -> Result<Json<Address>, Problem> {
    let within = |name: &str, degrees: f64, most: f64| match degrees.abs() <= most {
        true => Ok(()),
        false => Err(Problem::invalid(name, format!("is not from -{most} to {most}"))),
    };
    within("latitude", latitude, 90.0)?;
    within("longitude", longitude, 180.0)?;
    let none = || {
        Problem::new(Code::NotFound, "no geocoder is configured: geocoder.url in the server's configuration names one")
    };
    let geocoder = api.geocoder.as_ref().ok_or_else(none)?;
    let found = geocoder.address(caller.tenant(), latitude, longitude).await.map_err(refused)?;
    Ok(Json(Address { text: found.text.clone(), source: found.source.clone() }))
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Full { retry_after } => {
            Problem::new(Code::TooMany, "as many places wait for an address as may").retry_after(retry_after)
        }
        Refusal::Silent { retry_after } => {
            Problem::new(Code::Unavailable, "the geocoder does not answer: the server's log says why")
                .retry_after(retry_after)
        }
    }
}
