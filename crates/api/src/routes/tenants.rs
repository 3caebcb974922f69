//! Tenants. Managing them takes the right to; everyone sees the own one.

use crate::body::{Asked, Body, Named};
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use odograph_catalog::{NewTenant, Standings, Tenant, TenantChange, UsageDay};
use odograph_model::Time;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(one, change, delete)).routes(routes!(usage))
}

/// The tenants that one may see
#[utoipa::path(get, path = "/api/v1/tenants", tag = "administration",
    responses((status = 200, description = "The own one; all, for those who manage them.", body = Vec<Tenant>)))]
async fn list(caller: Caller) -> Result<Json<Vec<Tenant>>, Problem> {
    Ok(Json(caller.tenants().list().await?))
}

/// Make a tenant
///
/// Where history has what was sent to a tenant of that id that was deleted, it is made with `adopt` alone, and has all of it.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "administration", request_body = NewTenant,
    responses((status = 201, description = "It is there.", body = Tenant),
        (status = 403, description = "Whoever asks may not manage tenants.", body = crate::problem::ProblemBody),
        (status = 409, description = "The id is taken, all of that tenant is being erased, or history has what was sent to one of that id.",
            body = crate::problem::ProblemBody)))]
async fn create(caller: Caller, Body(new): Body<NewTenant>) -> Result<(StatusCode, Json<Tenant>), Problem> {
    Ok((StatusCode::CREATED, Json(caller.tenants().create(new).await?)))
}

/// A tenant
#[utoipa::path(get, path = "/api/v1/tenants/{id}", tag = "administration", params(("id" = String, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The tenant.", body = Tenant),
        (status = 404, description = "There is no such tenant, or one may not see it.", body = crate::problem::ProblemBody)))]
async fn one(caller: Caller, Named(id): Named<String>) -> Result<Json<Tenant>, Problem> {
    Ok(Json(caller.tenants().get(&id).await?))
}

/// Change a tenant
///
/// What is not named stays; quotas are replaced as a whole. Nobody disables the tenant that they belong to, nor that of all users who
/// manage tenants.
#[utoipa::path(patch, path = "/api/v1/tenants/{id}", tag = "administration", request_body = TenantChange,
    params(("id" = String, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The tenant, as it is now.", body = Tenant),
        (status = 404, description = "There is no such tenant, or one may not see it.", body = crate::problem::ProblemBody),
        (status = 409, description = "Nobody could enable it again.", body = crate::problem::ProblemBody)))]
async fn change(
    caller: Caller,
    Named(id): Named<String>,
    Body(to): Body<TenantChange>,
) -> Result<Json<Tenant>, Problem> {
    Ok(Json(caller.tenants().update(&id, to).await?))
}

/// Delete a tenant
///
/// It must be disabled, and have no devices any more. Its users, tokens and drivers go with it; what its devices sent stays, until it is
/// erased, and is not the next one's of that id unless that is said (`adopt`).
#[utoipa::path(delete, path = "/api/v1/tenants/{id}", tag = "administration", params(("id" = String, Path, description = "The tenant's id.")),
    responses((status = 204, description = "It is gone."),
        (status = 404, description = "There is no such tenant, or one may not see it.", body = crate::problem::ProblemBody),
        (status = 409, description = "It is not disabled, or has devices: the detail says how many.", body = crate::problem::ProblemBody)))]
async fn delete(caller: Caller, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    caller.tenants().delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which days.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsageAsked {
    /// The first day (UTC), as `2026-11-01`; the first of this month, if it is not given.
    from: Option<String>,
    /// The day behind the last one; tomorrow, if it is not given.
    to: Option<String>,
}

/// What a tenant used.
#[derive(Serialize, ToSchema)]
struct Usage {
    /// The tenant.
    tenant: String,
    /// The first day.
    from: String,
    /// The day behind the last one.
    to: String,
    /// Each day on which something was counted.
    days: Vec<UsageOfDay>,
    /// All of them together.
    total: UsageTotal,
    /// How the tenant stands to its quotas now.
    quotas: Standings,
}

/// What a tenant used on a day.
#[derive(Serialize, ToSchema)]
struct UsageOfDay {
    /// The day (UTC).
    day: String,
    #[serde(flatten)]
    used: UsageDay,
}

/// What a tenant used on several days.
#[derive(Default, Serialize, ToSchema)]
struct UsageTotal {
    /// Messages of its devices that were taken in.
    messages: i64,
    /// Records that history kept of them.
    records: i64,
    /// Bytes from its devices.
    bytes_in: i64,
    /// Bytes to its devices.
    bytes_out: i64,
    /// The sum of each day's devices.
    device_days: i64,
}

/// What a tenant used
///
/// Day by day (UTC), and how that stands to its quotas. For owners; of any tenant, for those who manage them.
#[utoipa::path(get, path = "/api/v1/tenants/{id}/usage", tag = "administration",
    params(("id" = String, Path, description = "The tenant's id."), UsageAsked),
    responses((status = 200, description = "The days, and the quotas.", body = Usage),
        (status = 400, description = "A day is none.", body = crate::problem::ProblemBody),
        (status = 403, description = "Whoever asks is no owner.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such tenant, or one may not see it.", body = crate::problem::ProblemBody)))]
async fn usage(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<String>,
    Asked(asked): Asked<UsageAsked>,
) -> Result<Json<Usage>, Problem> {
    let today = api.server.now().0.div_euclid(DAY_MS);
    let from = match asked.from.as_deref() {
        Some(day) => day_of("from", day)?,
        None => day_of("from", &format!("{}01", date(today).get(..8).unwrap_or_default()))?,
    };
    let to = asked.to.as_deref().map_or(Ok(today + 1), |day| day_of("to", day))?;
    let (used, quotas) = caller.tenants().usage_of(&id, from, to).await?;
    let mut total = UsageTotal::default();
    for day in &used {
        total.messages += day.messages;
        total.records += day.records;
        total.bytes_in += day.bytes_in;
        total.bytes_out += day.bytes_out;
        total.device_days += day.devices;
    }
    let days = used.into_iter().map(|used| UsageOfDay { day: date(used.day), used }).collect();
    Ok(Json(Usage { tenant: id, from: date(from), to: date(to), days, total, quotas }))
}

fn day_of(name: &'static str, text: &str) -> Result<i64, Problem> {
    let moment = Time::parse(&format!("{text}T00:00:00Z"));
    let moment = moment.ok_or_else(|| Problem::invalid(name, "is no day: write it as 2026-11-01"))?;
    Ok(moment.0.div_euclid(DAY_MS))
}

fn date(day: i64) -> String {
    Time(day * DAY_MS).to_string().chars().take(10).collect()
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
