//! Devices, and the groups that they are in.

mod living;

use super::live::known;
use crate::body::{Asked, Body, Named};
use crate::server::Erased;
use crate::stream::waiting;
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use living::Wanted;
use odograph_catalog::bounds::DEVICE_PAGE_MAX;
use odograph_catalog::{Device, DeviceFields, DeviceFilter, DeviceOrder, DevicePage, DeviceState, Group};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(one, change, delete))
        .routes(routes!(erase))
        .routes(routes!(groups, create_group))
        .routes(routes!(rename_group, delete_group))
}

/// Which devices, and how many at a time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DevicesAsked {
    /// With this in an id, the name or the plate. Capital letters do not matter.
    text: Option<String>,
    /// Of the group of this id; the empty text is those of no group.
    group: Option<String>,
    /// With this tag.
    tag: Option<String>,
    /// Of which this was decided.
    state: Option<DeviceState>,
    /// Of this live state: `moving`, `stopped`, `no_signal`, `alarm`, or `unseen` of those that have sent nothing yet. Several,
    /// separated by commas.
    live: Option<String>,
    /// With the ignition on, or off; those that never said so are neither.
    ignition: Option<bool>,
    /// By `id`, or by `name` as people sort.
    order: DeviceOrder,
    /// `next` of the page before.
    cursor: Option<String>,
    /// So many on a page, at most 1,000.
    limit: Option<u32>,
    /// Whether `count` is wanted, which takes its time where there are very many; not with `live` or `ignition`.
    count: bool,
}

/// A page of devices.
#[derive(Serialize, ToSchema)]
struct Devices {
    devices: Vec<Device>,
    /// The cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How many there are on all pages, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
}

/// Devices
///
/// Those of the tenant, as far as whoever asks may see them, page by page: there are more as long as there is `next`. A page has fewer than
/// `limit` where much is kept of each device, because it has about 4 MiB at most; with `live` or `ignition`, also, or none, where many devices
/// were looked through.
#[utoipa::path(get, path = "/api/v1/devices", tag = "devices", params(DevicesAsked),
    responses((status = 200, description = "A page.", body = Devices),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 429, description = "With `live` or `ignition`: the tenant looks for as many already as it may at a time.",
            body = crate::problem::ProblemBody),
        (status = 503, description = "With `live` or `ignition`: the server has just begun.", body = crate::problem::ProblemBody)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Asked(asked): Asked<DevicesAsked>,
) -> Result<Json<Devices>, Problem> {
    let DevicesAsked { text, group, tag, state, live, ignition, order, cursor, limit, count } = asked;
    let wanted = Wanted::of(live.as_deref(), ignition)?;
    let filter = DeviceFilter { text, group, tag, state };
    let limit = limit.unwrap_or(PAGE).clamp(1, DEVICE_PAGE_MAX);
    if let Some(wanted) = wanted {
        if count {
            return Err(Problem::invalid("count", "is not told of devices by what is live: leave it out"));
        }
        known(&api.live)?;
        let _seat = living::seat(&api.looking, caller.tenant())?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let found = living::page(&api, &caller, &filter, order, cursor, limit, &wanted).await?;
        return Ok(Json(Devices { devices: found.devices, next: found.next, count: None }));
    }
    let within = caller.within();
    let DevicePage { devices, next } = within.devices(&filter, order, cursor.as_deref(), limit).await?;
    let count = if count { Some(within.count_devices(&filter).await?) } else { None };
    Ok(Json(Devices { devices, next, count }))
}

/// A device to be made.
#[derive(Deserialize, ToSchema)]
struct NewDevice {
    /// All that it calls itself: the first one it keeps for ever.
    ids: Vec<String>,
    #[serde(flatten)]
    fields: DeviceFields,
}

/// Make a device
///
/// For managers. Its data counts from its first message on; a stranger of that id that came where no tenant is named is it.
#[utoipa::path(post, path = "/api/v1/devices", tag = "devices", request_body = NewDevice,
    responses((status = 201, description = "It is there.", body = Device),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 409, description = "One of its ids is taken, or is being erased.", body = crate::problem::ProblemBody)))]
async fn create(caller: Caller, Body(new): Body<NewDevice>) -> Result<(StatusCode, Json<Device>), Problem> {
    let NewDevice { ids, fields } = new;
    Ok((StatusCode::CREATED, Json(caller.within().create_device(ids, fields).await?)))
}

/// A device
#[utoipa::path(get, path = "/api/v1/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 200, description = "What people say of it.", body = Device),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn one(caller: Caller, Named(id): Named<String>) -> Result<Json<Device>, Problem> {
    Ok(Json(caller.within().device(&id).await?))
}

/// Change a device
///
/// For managers. What is not named stays; `state` accepts or rejects it.
#[utoipa::path(patch, path = "/api/v1/devices/{id}", tag = "devices", request_body = DeviceFields,
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 200, description = "The device, as it is now.", body = Device),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody),
        (status = 409, description = "An id is taken or is being erased, or it was changed meanwhile.", body = crate::problem::ProblemBody)))]
async fn change(
    caller: Caller,
    Named(id): Named<String>,
    Body(to): Body<DeviceFields>,
) -> Result<Json<Device>, Problem> {
    Ok(Json(caller.within().update_device(&id, to).await?))
}

/// Delete a device
///
/// For managers. What it sent stays in history; if it comes again, it is a new one.
#[utoipa::path(delete, path = "/api/v1/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 204, description = "It is gone."),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn delete(caller: Caller, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    caller.within().delete_device(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether it is meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EraseIt {
    /// Erase it; without that, only say how much there is.
    #[serde(default)]
    yes: bool,
}

/// Erase all that a device sent
///
/// For owners. It goes from everywhere, and so does the device; meanwhile it is kept out, and what it sends afterwards counts. The
/// answer comes when all of it is done, which may take minutes; who does not wait for it ends nothing. Refused where the device shares
/// messages or a connection with others.
#[utoipa::path(post, path = "/api/v1/devices/{id}/erase", tag = "devices", request_body = EraseIt,
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 200, description = "What was erased, or would be.", body = Erased),
        (status = 403, description = "Whoever asks is no owner.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody),
        (status = 409, description = "It is not erased, or not yet: the detail says which, and why.", body = crate::problem::ProblemBody),
        (status = 429, description = "Something is being erased or looked at already, or the tenant has asked just now: `Retry-After` says when to come again.",
            body = crate::problem::ProblemBody)))]
async fn erase(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<String>,
    Body(EraseIt { yes }): Body<EraseIt>,
) -> Result<Json<Erased>, Problem> {
    let device = caller.within().ask_to_erase(&id, yes).await?.id;
    let tenant = caller.tenant().to_owned();
    waiting(&api, caller.tenant(), move |api| api.server.erase(&tenant, &device, yes)).await.map(Json)
}

/// Groups of devices
#[utoipa::path(get, path = "/api/v1/groups", tag = "devices",
    responses((status = 200, description = "Those that whoever asks may see.", body = Vec<Group>)))]
async fn groups(caller: Caller) -> Result<Json<Vec<Group>>, Problem> {
    Ok(Json(caller.within().groups().await?))
}

/// The name of a group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupName {
    name: String,
}

/// Make a group
///
/// For managers of all devices.
#[utoipa::path(post, path = "/api/v1/groups", tag = "devices", request_body = GroupName,
    responses((status = 201, description = "It is there.", body = Group),
        (status = 409, description = "The name is taken.", body = crate::problem::ProblemBody)))]
async fn create_group(
    caller: Caller,
    Body(GroupName { name }): Body<GroupName>,
) -> Result<(StatusCode, Json<Group>), Problem> {
    Ok((StatusCode::CREATED, Json(caller.within().create_group(&name).await?)))
}

/// Rename a group
///
/// For managers of all devices.
#[utoipa::path(patch, path = "/api/v1/groups/{id}", tag = "devices", request_body = GroupName,
    params(("id" = String, Path, description = "The group's id.")),
    responses((status = 200, description = "The group, as it is now.", body = Group),
        (status = 404, description = "There is no such group.", body = crate::problem::ProblemBody),
        (status = 409, description = "The name is taken.", body = crate::problem::ProblemBody)))]
async fn rename_group(
    caller: Caller,
    Named(id): Named<String>,
    Body(GroupName { name }): Body<GroupName>,
) -> Result<Json<Group>, Problem> {
    Ok(Json(caller.within().rename_group(&id, &name).await?))
}

/// Delete a group
///
/// For managers of all devices. It must have no devices any more, and nobody may be limited to it: no user, and no token that holds.
#[utoipa::path(delete, path = "/api/v1/groups/{id}", tag = "devices", params(("id" = String, Path, description = "The group's id.")),
    responses((status = 204, description = "It is gone."),
        (status = 404, description = "There is no such group.", body = crate::problem::ProblemBody),
        (status = 409, description = "It has devices, or somebody is limited to it: the detail says how many.",
            body = crate::problem::ProblemBody)))]
async fn delete_group(caller: Caller, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    caller.within().delete_group(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Devices on a page where nothing else is asked for.
const PAGE: u32 = 100;
