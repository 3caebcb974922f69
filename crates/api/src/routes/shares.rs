//! Links by which somebody sees one device: made by managers, looked at by whoever has one, who has signed in nowhere.
//!
//! What a link shows is put together here, value by value: nothing of the device gets into it unless it is named here.

mod way;

use super::live::known;
use super::records::moment;
use crate::body::{Asked, Body, Named};
use crate::caller::bearer;
use crate::seats::{Seat, Seats};
use crate::server::{RecordFormat, Records};
use crate::stream::waiting;
use crate::{Api, Caller, Code, Origin, Problem};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use odograph_catalog::{NewShare, Share, SharePage, SharedDevice};
use odograph_live::{DeviceState, Groups, Known, State as Driving};
use odograph_model::{Time, Value};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use way::{PARAMETERS, Waypoints};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(all))
        .routes(routes!(list, create))
        .routes(routes!(revoke))
        .routes(routes!(shared))
        .routes(routes!(track))
}

/// A link that was just made.
#[derive(Serialize, ToSchema)]
struct MadeShare {
    #[serde(flatten)]
    share: Share,
    /// What whoever opens it sends. It is shown this once.
    secret: String,
    /// The page that shows it, on this server. The secret stands behind the `#`, which browsers send to nobody.
    path: String,
}

/// Which links, and how many at a time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SharesAsked {
    /// `next` of the page before.
    cursor: Option<String>,
    /// So many on a page, at most 1,000.
    limit: Option<u32>,
}

/// A page of links.
#[derive(Serialize, ToSchema)]
struct Shares {
    shares: Vec<Share>,
    /// The cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// All links
///
/// For managers: those that hold, to all devices that they may see, the latest first, whoever made them.
#[utoipa::path(get, path = "/api/v1/shares", tag = "devices", params(SharesAsked),
    responses((status = 200, description = "A page.", body = Shares),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 403, description = "Whoever asks is no manager.", body = crate::problem::ProblemBody)))]
async fn all(
    caller: Caller,
    Asked(SharesAsked { cursor, limit }): Asked<SharesAsked>,
) -> Result<Json<Shares>, Problem> {
    let SharePage { shares, next } = caller.within().all_shares(cursor.as_deref(), limit.unwrap_or(PAGE)).await?;
    Ok(Json(Shares { shares, next }))
}

/// The links to a device
///
/// For managers: those that hold, the latest first.
#[utoipa::path(get, path = "/api/v1/devices/{id}/shares", tag = "devices",
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 200, description = "All that hold.", body = Vec<Share>),
        (status = 403, description = "Whoever asks is no manager.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn list(caller: Caller, Named(id): Named<String>) -> Result<Json<Vec<Share>>, Problem> {
    Ok(Json(caller.within().shares(&id).await?))
}

/// Make a link to a device
///
/// For managers. Whoever has it sees the device's name, where it is and was, speed, heading and temperatures, without signing in, and
/// nothing else, until it ends by itself or is taken back.
#[utoipa::path(post, path = "/api/v1/devices/{id}/shares", tag = "devices", request_body = NewShare,
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 201, description = "It holds from now on.", body = MadeShare),
        (status = 400, description = "A time is out of its bounds.", body = crate::problem::ProblemBody),
        (status = 403, description = "Whoever asks is no manager, or the tenant has too many.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn create(
    caller: Caller,
    Named(id): Named<String>,
    Body(new): Body<NewShare>,
) -> Result<(StatusCode, Json<MadeShare>), Problem> {
    let (share, secret) = caller.within().create_share(&id, new).await?;
    let secret = secret.reveal().to_owned();
    let path = format!("/share#{secret}");
    Ok((StatusCode::CREATED, Json(MadeShare { share, secret, path })))
}

/// Take back a link
///
/// For managers. It shows nothing from now on.
#[utoipa::path(delete, path = "/api/v1/devices/{id}/shares/{share}", tag = "devices",
    params(("id" = String, Path, description = "The device's id, or one of its other names."),
        ("share" = String, Path, description = "The link's id.")),
    responses((status = 204, description = "It is gone."),
        (status = 403, description = "Whoever asks is no manager.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such device or link.", body = crate::problem::ProblemBody)))]
async fn revoke(caller: Caller, Named((id, share)): Named<(String, String)>) -> Result<StatusCode, Problem> {
    caller.within().revoke_share(&id, &share).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a link shows.
#[derive(Serialize, ToSchema)]
struct Shared {
    /// The device's name, if it was given one.
    name: Option<String>,
    /// From when on `/api/v1/shared/track` has its way, in milliseconds since 1970.
    since: i64,
    /// Until when the link holds, in milliseconds since 1970.
    expires: i64,
    /// `moving`, `stopped` or `no_signal`; nothing, where it has not sent anything.
    state: Option<&'static str>,
    /// The time of the newest values.
    #[schema(value_type = Option<String>)]
    time: Option<Time>,
    /// Where it is: longitude and latitude, in degrees.
    place: Option<[f64; 2]>,
    /// Its speed in km/h.
    speed_kph: Option<f64>,
    /// Where it heads to, in degrees clockwise from north.
    heading: Option<f64>,
    /// What it measures of its cargo.
    temperatures: Vec<SharedTemperature>,
}

/// A temperature.
#[derive(Serialize, ToSchema)]
struct SharedTemperature {
    /// Which one, as in records: `temperature.1`.
    name: String,
    /// In °C.
    celsius: f64,
}

/// What a link shows
///
/// For whoever has a link: send its secret as `Authorization: Bearer odl_…`. Where it is not one, was taken back or has ended, there is
/// no such thing.
#[utoipa::path(get, path = "/api/v1/shared", tag = "devices", security(("link" = [])),
    responses((status = 200, description = "The device, as it is now.", body = Shared),
        (status = 404, description = "There is no such link, or it has ended.", body = crate::problem::ProblemBody),
        (status = 429, description = "It is asked for too often.", body = crate::problem::ProblemBody),
        (status = 503, description = "The server has just begun.", body = crate::problem::ProblemBody)))]
async fn shared(
    State(api): State<Api>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
) -> Result<Json<Shared>, Problem> {
    let of = opened(&api, origin, &headers).await?;
    known(&api.live)?;
    let state = api.live.device(&of.tenant, &of.device, &Groups::All, api.server.now());
    Ok(Json(Shared::of(of, state.as_ref().filter(|state| state.received.is_some()))))
}

impl Shared {
    fn of(link: SharedDevice, state: Option<&DeviceState>) -> Self {
        let known = |name: &str| {
            let known = state?.values.iter().find(|known| known.key.to_string() == name)?;
            number(&known.value)
        };
        let (speed_kph, heading) = (known("position.speed"), known("position.direction"));
        let temperatures = state.map(temperatures).unwrap_or_default();
        Self {
            name: Some(link.name).filter(|name| !name.is_empty()),
            since: link.since,
            expires: link.expires,
            state: state.map(|state| driving(state.state, speed_kph).name()),
            time: state.and_then(|state| state.time),
            place: state.and_then(|state| state.place).map(|place| [place.longitude, place.latitude]),
            speed_kph,
            heading,
            temperatures,
        }
    }
}

/// How it drives. What it alarms about is for its own people.
fn driving(state: Driving, speed_kph: Option<f64>) -> Driving {
    match (state, speed_kph) {
        (Driving::Alarm, Some(MOVING_KPH..)) => Driving::Moving,
        (Driving::Alarm, _) => Driving::Stopped,
        (other, _) => other,
    }
}

/// Those of the cargo that are not of long ago.
fn temperatures(state: &DeviceState) -> Vec<SharedTemperature> {
    let is_fresh = |known: &&Known| state.time.is_none_or(|time| known.time.plus_ms(OLD_MS) >= time);
    let of = |known: &Known| {
        let name = known.key.to_string();
        let is_shown = TEMPERATURES.iter().any(|shown| name.starts_with(shown));
        Some(SharedTemperature { celsius: number(&known.value).filter(|_| is_shown)?, name })
    };
    state.values.iter().filter(is_fresh).filter_map(of).collect()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// Which part of the way.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TrackAsked {
    /// Not before this moment: `2026-11-21T10:00:00Z`, or milliseconds since 1970. The way begins where the link says, in any case.
    from: Option<String>,
}

/// The way of a device.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct SharedTrack {
    /// In the order of their times; where there were very many, some of them.
    points: Vec<SharedPoint>,
}

/// A point of the way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
struct SharedPoint {
    /// When it was there, in milliseconds since 1970.
    time: i64,
    /// Longitude and latitude, in degrees.
    place: [f64; 2],
}

/// The way that a link shows
///
/// From the moment on that the link says.
#[utoipa::path(get, path = "/api/v1/shared/track", tag = "devices", security(("link" = [])), params(TrackAsked),
    responses((status = 200, description = "Where it was.", body = SharedTrack),
        (status = 404, description = "There is no such link, or it has ended.", body = crate::problem::ProblemBody),
        (status = 429, description = "It is asked for too often, or is being read for somebody else.", body = crate::problem::ProblemBody),
        (status = 503, description = "History is behind.", body = crate::problem::ProblemBody)))]
async fn track(
    State(api): State<Api>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    Asked(asked): Asked<TrackAsked>,
) -> Result<Json<SharedTrack>, Problem> {
    let of = opened(&api, origin, &headers).await?;
    let from = moment("from", asked.from.as_deref())?.map_or(of.since, |from| from.0.max(of.since));
    let seat = seat(&api.sharing, &of)?;
    let (asker, _here) = oneshot::channel();
    let tenant = of.tenant.clone();
    let track = waiting(&api, &tenant, move |api| {
        let _seat = seat;
        way(api, &of, Time(from), asker)
    });
    let track = track.await?;
    // Reading takes its time, and the link may have ended meanwhile.
    let secret = bearer(&headers).unwrap_or_default();
    api.catalog()?.still_shared(secret).await?.ok_or_else(no_link)?;
    Ok(Json(track))
}

/// A seat for whoever reads a way, so that one link, or all of a tenant's, leave room for others.
fn seat(seats: &Seats, of: &SharedDevice) -> Result<Seat, Problem> {
    let (tenant, link) = (format!("tenant {}", of.tenant), format!("link {}", of.link));
    let seat = seats.take([(String::new(), WAYS_MAX), (tenant, TENANT_WAYS_MAX), (link, LINK_WAYS_MAX)]);
    seat.ok_or_else(|| {
        let what = "the way is being read for somebody else who has this link, or as many others are as may be: try again in a second";
        Problem::new(Code::TooMany, what).retry_after(AGAIN)
    })
}

/// What the link shows that somebody has.
pub(super) async fn opened(api: &Api, origin: Origin, headers: &HeaderMap) -> Result<SharedDevice, Problem> {
    let found = match bearer(headers) {
        Some(secret) => api.catalog()?.shared(secret, origin.address()).await?,
        None => None,
    };
    found.ok_or_else(no_link)
}

fn no_link() -> Problem {
    Problem::new(Code::NotFound, "there is no such link, or it has ended")
}

/// Why there is no way now is told to those who run the server, not to whoever has a link.
fn not_now(problem: Problem) -> Problem {
    match problem.code() {
        Code::Internal => problem,
        _ => Problem::new(Code::Unavailable, "not now: try again in a moment").retry_after(AGAIN),
    }
}

fn way(api: &Api, of: &SharedDevice, from: Time, asker: oneshot::Sender<()>) -> Result<SharedTrack, Problem> {
    let query = Records {
        tenant: of.tenant.clone(),
        device: of.device.clone(),
        from: Some(from),
        to: None,
        parameters: PARAMETERS.map(ToOwned::to_owned).to_vec(),
        sensors: Vec::new(),
        thin: None,
        format: RecordFormat::Jsonl,
    };
    let mut waypoints = Waypoints::of(asker);
    api.server.records(&query, &mut waypoints).map_err(not_now)?;
    Ok(waypoints.track())
}

/// Parameters that a link shows as temperatures begin with these: what is measured of the cargo, not of engine or tires.
const TEMPERATURES: &[&str] = &["temperature.", "reefer.supply.air.temperature.", "reefer.return.air.temperature."];
/// From this speed on, it drives: slower is what a receiver says of one that stands.
const MOVING_KPH: f64 = 4.0;
/// A temperature this much older than the newest record is none of now.
const OLD_MS: i64 = 60 * 60 * 1000;
/// Links on a page where nothing else is asked for.
const PAGE: u32 = 100;
/// When to ask again for what is not to be had at this moment.
const AGAIN: Duration = Duration::from_secs(1);
/// Ways that are read at a time: whoever looks at links leaves most of what may be read at a time to those who have signed in.
const WAYS_MAX: usize = 8;
/// Of these, such of one tenant: half of what it may have read at a time is left to those who have signed in.
const TENANT_WAYS_MAX: usize = 4;
/// Of these, such of one link: reading a month takes seconds, and a page asks once.
const LINK_WAYS_MAX: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_live::GroupId;
    use odograph_model::Key;
    use serde_json::json;

    fn link(tenant: &str, link: &str) -> SharedDevice {
        SharedDevice {
            link: link.into(),
            tenant: tenant.into(),
            device: "352093081452251".into(),
            name: String::new(),
            since: 5,
            expires: 7,
        }
    }

    #[test]
    fn links_leave_room_for_others() {
        let (seats, mut held) = (Seats::default(), Vec::new());
        let mut take = |tenant: &str, id: &str| {
            let seat = seat(&seats, &link(tenant, id));
            seat.map(|seat| held.push(seat)).map_err(|problem| problem.code())
        };
        assert_eq!(take("north", "1"), Ok(()));
        assert_eq!(take("north", "1"), Err(Code::TooMany), "one a link");
        for id in ["2", "3", "4"] {
            assert_eq!(take("north", id), Ok(()));
        }
        assert_eq!(take("north", "5"), Err(Code::TooMany), "four a tenant");
        assert_eq!(take("south", "6"), Ok(()));
    }

    #[test]
    fn why_there_is_no_way_is_not_for_whoever_has_a_link() {
        let behind = Problem::new(Code::Unavailable, "history is 7 bytes behind at /srv/odograph");
        assert!(!not_now(behind).to_json().contains("history"));
        assert_eq!(not_now(Problem::new(Code::Internal, "x")).code(), Code::Internal);
    }

    #[test]
    fn alarms_and_other_values_are_not_shown() {
        let (now, hour) = (Time(1_795_867_200_000), 60 * 60 * 1000);
        let known = |name: &str, value: f64, time: Time| Known {
            key: Key::from_name(name).unwrap(),
            value: Value::Float(value),
            time,
        };
        let state = DeviceState {
            device: "352093081452251".into(),
            group: GroupId::NONE,
            protocol: Some("wialon".into()),
            time: Some(now),
            received: Some(now),
            state: Driving::Alarm,
            moved: None,
            silent_at: None,
            place: None,
            values: vec![
                known("position.speed", 61.0, now),
                known("engine.coolant.temperature", 90.0, now),
                known("temperature.1", -18.5, now.plus_ms(-hour)),
                known("temperature.2", -18.0, now.plus_ms(-hour - 1)),
                known("reefer.return.air.temperature.1", -20.0, now),
            ],
        };
        let link = link("north", "4711");
        let expected = json!({
            "name": null, "since": 5, "expires": 7, "state": "moving", "time": "2026-11-28T12:00:00.000Z", "place": null, "speed_kph": 61.0,
            "heading": null, "temperatures": [
                {"name": "temperature.1", "celsius": -18.5}, {"name": "reefer.return.air.temperature.1", "celsius": -20.0}],
        });
        assert_eq!(serde_json::to_value(Shared::of(link, Some(&state))).unwrap(), expected);
        assert_eq!(driving(Driving::Alarm, Some(3.9)), Driving::Stopped);
        assert_eq!(driving(Driving::NoSignal, Some(90.0)), Driving::NoSignal);
    }
}
