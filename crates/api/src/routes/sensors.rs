//! Sensors of devices: what a calibration table or a formula makes of their parameters.

use crate::body::{Body, Named};
use crate::stream::waiting;
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use odograph_catalog::DeviceSensor;
use odograph_model::Record;
use odograph_sensors::{Definition, Sensor};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one, set, delete)).routes(routes!(preview))
}

/// The sensors of a device
#[utoipa::path(get, path = "/api/v1/devices/{id}/sensors", tag = "devices",
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 200, description = "All of them, by name.", body = Vec<DeviceSensor>),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn list(caller: Caller, Named(id): Named<String>) -> Result<Json<Vec<DeviceSensor>>, Problem> {
    Ok(Json(caller.within().sensors(&id).await?))
}

/// A sensor of a device
#[utoipa::path(get, path = "/api/v1/devices/{id}/sensors/{name}", tag = "devices",
    params(("id" = String, Path, description = "The device's id, or one of its other names."),
        ("name" = String, Path, description = "The sensor's name.")),
    responses((status = 200, description = "The sensor.", body = DeviceSensor),
        (status = 404, description = "There is no such device or sensor.", body = crate::problem::ProblemBody)))]
async fn one(caller: Caller, Named((id, name)): Named<(String, String)>) -> Result<Json<DeviceSensor>, Problem> {
    Ok(Json(caller.within().sensor(&id, &name).await?))
}

/// Give a device a sensor
///
/// For managers. In the place of the one of that name, if there is one. One that can never show a number is refused.
#[utoipa::path(put, path = "/api/v1/devices/{id}/sensors/{name}", tag = "devices", request_body = Definition,
    params(("id" = String, Path, description = "The device's id, or one of its other names."),
        ("name" = String, Path, description = "The sensor's name.")),
    responses((status = 200, description = "The sensor, as it is now.", body = DeviceSensor),
        (status = 400, description = "Something about it is wrong, and where.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn set(
    caller: Caller,
    Named((id, name)): Named<(String, String)>,
    Body(mut definition): Body<Definition>,
) -> Result<Json<DeviceSensor>, Problem> {
    if !definition.name.is_empty() && definition.name != name {
        return Err(Problem::invalid("name", "is another one in the path: leave it out here"));
    }
    definition.name = name;
    Ok(Json(caller.within().set_sensor(&id, definition).await?))
}

/// Take a sensor away
///
/// For managers.
#[utoipa::path(delete, path = "/api/v1/devices/{id}/sensors/{name}", tag = "devices",
    params(("id" = String, Path, description = "The device's id, or one of its other names."),
        ("name" = String, Path, description = "The sensor's name.")),
    responses((status = 204, description = "It is gone."),
        (status = 404, description = "There is no such device or sensor.", body = crate::problem::ProblemBody)))]
async fn delete(caller: Caller, Named((id, name)): Named<(String, String)>) -> Result<StatusCode, Problem> {
    caller.within().delete_sensor(&id, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a sensor would show.
#[derive(Serialize, ToSchema)]
struct Preview {
    /// What it shows; nothing where the device has not said all that it takes.
    value: Option<f64>,
    /// The unit.
    unit: String,
    /// The parameters that it takes, and what the device said of them last.
    inputs: BTreeMap<String, Option<f64>>,
    /// What may be wrong about it, for people, with its place.
    warnings: Vec<String>,
}

/// Try a sensor
///
/// On the newest value of each of the device's parameters. Nothing is kept.
#[utoipa::path(post, path = "/api/v1/devices/{id}/sensors/preview", tag = "devices", request_body = Definition,
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 200, description = "What it would show.", body = Preview),
        (status = 400, description = "Something about it is wrong, and where.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn preview(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<String>,
    Body(mut definition): Body<Definition>,
) -> Result<Json<Preview>, Problem> {
    let id = caller.within().device(&id).await?.id;
    if definition.name.is_empty() {
        "tried".clone_into(&mut definition.name);
    }
    let (sensor, warnings) = Sensor::new(&definition).map_err(|fault| Problem::invalid(fault.field, fault.reason))?;
    let record = newest(&api, &caller, &id).await?;
    let value = sensor.tried(&record).map_err(|fault| Problem::invalid(fault.field, fault.reason))?;
    let inputs = sensor.inputs(&record).into_iter().collect();
    Ok(Json(Preview { value, unit: definition.unit, inputs, warnings }))
}

/// What a sensor shows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    value: f64,
    unit: String,
}

/// The sensors of a device that the catalog has found among those that the caller sees.
pub(super) async fn sensors(caller: &Caller, device: &str) -> Result<Vec<Sensor>, Problem> {
    let defined = caller.within().sensors(device).await?;
    // What an earlier version took and this one does not would else keep people from all the others.
    Ok(defined.iter().filter_map(|it| Sensor::of(&it.definition).ok()).collect())
}

/// What they show now.
pub(super) async fn shown(
    api: &Api,
    caller: &Caller,
    device: &str,
    sensors: Vec<Sensor>,
) -> Result<Vec<(String, Shown)>, Problem> {
    let record = newest(api, caller, device).await?;
    let shown = |sensor: Sensor| {
        let value = sensor.value(&record)?;
        Some((sensor.name().to_owned(), Shown { value, unit: sensor.unit().to_owned() }))
    };
    Ok(sensors.into_iter().filter_map(shown).collect())
}

/// The newest value of each parameter, and of what the dictionary does not name those of the latest record.
async fn newest(api: &Api, caller: &Caller, device: &str) -> Result<Record, Problem> {
    let (tenant, id) = (caller.tenant().to_owned(), device.to_owned());
    let latest = waiting(api, caller.tenant(), move |api| Ok(api.server.latest(&tenant, &id))).await?;
    let mut record = latest.unwrap_or_default();
    let permitted = api.groups.permitted(caller.tenant(), caller.access.scope.groups.as_deref());
    if let Some(state) = api.live.device(caller.tenant(), device, &permitted, api.server.now()) {
        for known in &state.values {
            record.set(known.key, known.value.clone());
        }
    }
    Ok(record)
}
