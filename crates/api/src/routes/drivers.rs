//! Drivers, and the cards by which devices name them.

use crate::body::{Asked, Body, Named};
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::http::StatusCode;
use odograph_catalog::{Driver, DriverFields};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(one, change, delete))
}

/// Which drivers.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DriversAsked {
    /// Whoever has this key, card or tag, as a device says it in `driver.id`.
    card: Option<String>,
}

/// The drivers of the tenant
///
/// By name, for those who see all devices. Who is limited to groups of devices asks with `card`, and is told the name of whoever has it,
/// without telephone number, remarks and other cards.
#[utoipa::path(get, path = "/api/v1/drivers", tag = "devices", params(DriversAsked),
    responses((status = 200, description = "All of them, or whoever has the card.", body = Vec<Driver>),
        (status = 403, description = "Whoever asks is limited to groups of devices, and names no card.", body = crate::problem::ProblemBody)))]
async fn list(caller: Caller, Asked(asked): Asked<DriversAsked>) -> Result<Json<Vec<Driver>>, Problem> {
    Ok(Json(caller.within().drivers(asked.card.as_deref()).await?))
}

/// Take in a driver
///
/// For managers of all devices.
#[utoipa::path(post, path = "/api/v1/drivers", tag = "devices", request_body = DriverFields,
    responses((status = 201, description = "The driver is there.", body = Driver),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 403, description = "Whoever asks may not.", body = crate::problem::ProblemBody),
        (status = 409, description = "A card is another driver's.", body = crate::problem::ProblemBody)))]
async fn create(caller: Caller, Body(fields): Body<DriverFields>) -> Result<(StatusCode, Json<Driver>), Problem> {
    Ok((StatusCode::CREATED, Json(caller.within().create_driver(fields).await?)))
}

/// A driver
///
/// For those who see all devices.
#[utoipa::path(get, path = "/api/v1/drivers/{id}", tag = "devices", params(("id" = String, Path, description = "The driver's id.")),
    responses((status = 200, description = "The driver.", body = Driver),
        (status = 403, description = "Whoever asks is limited to groups of devices.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such driver.", body = crate::problem::ProblemBody)))]
async fn one(caller: Caller, Named(id): Named<String>) -> Result<Json<Driver>, Problem> {
    Ok(Json(caller.within().driver(&id).await?))
}

/// Change a driver
///
/// For managers of all devices. What is not named stays.
#[utoipa::path(patch, path = "/api/v1/drivers/{id}", tag = "devices", request_body = DriverFields,
    params(("id" = String, Path, description = "The driver's id.")),
    responses((status = 200, description = "The driver, as it is now.", body = Driver),
        (status = 404, description = "There is no such driver.", body = crate::problem::ProblemBody),
        (status = 409, description = "A card is another driver's.", body = crate::problem::ProblemBody)))]
async fn change(
    caller: Caller,
    Named(id): Named<String>,
    Body(fields): Body<DriverFields>,
) -> Result<Json<Driver>, Problem> {
    Ok(Json(caller.within().update_driver(&id, fields).await?))
}

/// Delete a driver
///
/// For managers of all devices. What devices said of the driver's cards stays.
#[utoipa::path(delete, path = "/api/v1/drivers/{id}", tag = "devices", params(("id" = String, Path, description = "The driver's id.")),
    responses((status = 204, description = "The driver is gone."),
        (status = 404, description = "There is no such driver.", body = crate::problem::ProblemBody)))]
async fn delete(caller: Caller, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    caller.within().delete_driver(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
