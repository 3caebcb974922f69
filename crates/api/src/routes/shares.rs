//! Links by which somebody sees one device: made by managers, looked at by whoever has one, who has signed in nowhere.
//!
//! What a link shows is put together here, value by value: nothing of the device gets into it unless it is named here.

use super::records::moment;
use crate::body::{Asked, Body, Named};
use crate::caller::bearer;
use crate::server::{Place, RecordFormat, Records};
use crate::stream::{too_many, waiting};
use crate::{Api, Caller, Code, Origin, Problem};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use odograph_catalog::{NewShare, Share, SharedDevice};
use odograph_live::{DeviceState, Groups, Known, State as Driving};
use odograph_model::{Time, Value};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
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
        (status = 429, description = "It is asked for too often.", body = crate::problem::ProblemBody)))]
async fn shared(
    State(api): State<Api>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
) -> Result<Json<Shared>, Problem> {
    let of = opened(&api, origin, &headers).await?;
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
        (status = 429, description = "It is asked for too often.", body = crate::problem::ProblemBody)))]
async fn track(
    State(api): State<Api>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    Asked(asked): Asked<TrackAsked>,
) -> Result<Json<SharedTrack>, Problem> {
    let of = opened(&api, origin, &headers).await?;
    let from = moment("from", asked.from.as_deref())?.map_or(of.since, |from| from.0.max(of.since));
    // Whoever looks at links leaves most of the seats to those who have signed in.
    let seat = api.sharing.clone().try_acquire_owned().map_err(|_| too_many())?;
    waiting(&api, move |api| {
        let _seat = seat;
        way(api, &of, Time(from)).map(Json)
    })
    .await
}

/// What the link shows that somebody has.
async fn opened(api: &Api, origin: Origin, headers: &HeaderMap) -> Result<SharedDevice, Problem> {
    let peer = match origin {
        Origin::Network(peer) => Some(peer.ip()),
        Origin::Control => None,
    };
    let found = match bearer(headers) {
        Some(secret) => api.catalog()?.shared(secret, peer).await?,
        None => None,
    };
    found.ok_or_else(|| Problem::new(Code::NotFound, "there is no such link, or it has ended"))
}

fn way(api: &Api, of: &SharedDevice, from: Time) -> Result<SharedTrack, Problem> {
    let query = Records {
        tenant: of.tenant.clone(),
        device: of.device.clone(),
        from: Some(from),
        to: None,
        parameters: ["position.longitude", "position.latitude", "position.valid"].map(ToOwned::to_owned).to_vec(),
        sensors: Vec::new(),
        format: RecordFormat::Json,
    };
    let mut way = Way::default();
    let mut after: Option<Place> = None;
    for _ in 0..PAGES_MAX {
        let page = api.server.page(&query, after, PAGE_RECORDS)?;
        let records: Vec<Position> =
            serde_json::from_str(&format!("[{}]", page.records)).map_err(|error| Problem::internal(&error))?;
        records.iter().filter_map(Position::point).for_each(|point| way.push(point));
        after = page.last;
        if after.is_none() {
            break;
        }
    }
    Ok(SharedTrack { points: way.points() })
}

/// A record, as far as it says where.
#[derive(Deserialize)]
struct Position {
    time: String,
    #[serde(rename = "position.longitude")]
    longitude: Option<f64>,
    #[serde(rename = "position.latitude")]
    latitude: Option<f64>,
    #[serde(rename = "position.valid")]
    valid: Option<bool>,
}

impl Position {
    fn point(&self) -> Option<SharedPoint> {
        let place = [self.longitude?, self.latitude?];
        let time = Time::parse(&self.time)?.0;
        (self.valid != Some(false)).then_some(SharedPoint { time, place })
    }
}

/// A way in bounded memory: once it has many points, every other one goes, and of those that follow as many are left out.
#[derive(Default)]
struct Way {
    kept: Vec<SharedPoint>,
    last: Option<SharedPoint>,
    /// One of so many is kept; 0 stands for each.
    step: usize,
    count: usize,
}

impl Way {
    fn push(&mut self, point: SharedPoint) {
        self.step = self.step.max(1);
        if self.count.is_multiple_of(self.step) {
            self.kept.push(point);
        }
        (self.last, self.count) = (Some(point), self.count + 1);
        if self.kept.len() > POINTS_MAX {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.step *= 2;
        }
    }

    /// The points, and the last one in any case.
    fn points(mut self) -> Vec<SharedPoint> {
        if let Some(last) = self.last.filter(|last| self.kept.last() != Some(last)) {
            self.kept.push(last);
        }
        self.kept
    }
}

/// Parameters that a link shows as temperatures begin with these: what is measured of the cargo, not of engine or tires.
const TEMPERATURES: &[&str] = &["temperature.", "reefer.supply.air.temperature.", "reefer.return.air.temperature."];
/// From this speed on, it drives: slower is what a receiver says of one that stands.
const MOVING_KPH: f64 = 4.0;
/// A temperature this much older than the newest record is none of now.
const OLD_MS: i64 = 60 * 60 * 1000;
/// Points of a way, before half of them go: more than a screen has pixels to draw it with.
const POINTS_MAX: usize = 4000;
/// Records that are read at a time.
const PAGE_RECORDS: usize = 10_000;
/// What is read of a way at most: a record each five seconds, for thirty days.
const PAGES_MAX: usize = 52;
/// Ways that are read at a time.
pub(crate) const SHARING_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_live::GroupId;
    use odograph_model::Key;
    use serde_json::json;

    fn point(time: i64) -> SharedPoint {
        SharedPoint { time, place: [1.0, 2.0] }
    }

    #[track_caller]
    fn check(count: usize, kept: usize, step: i64) {
        let mut way = Way::default();
        (0..count).for_each(|time| way.push(point(time as i64)));
        let points = way.points();
        assert_eq!(points.len(), kept);
        assert_eq!(points.last().map(|last| last.time), count.checked_sub(1).map(|last| last as i64));
        assert!(points.windows(2).rev().skip(1).all(|pair| pair[1].time - pair[0].time == step));
    }

    #[test]
    fn a_way_of_any_length_has_so_many_points() {
        check(0, 0, 1);
        check(1, 1, 1);
        check(POINTS_MAX, POINTS_MAX, 1);
        // Every other one goes: the first stays, and the last is there.
        check(POINTS_MAX + 1, POINTS_MAX / 2 + 1, 2);
        check(POINTS_MAX + 2, POINTS_MAX / 2 + 2, 2);
        check(4 * POINTS_MAX + 1, POINTS_MAX / 2 + 1, 8);
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
        let link = SharedDevice {
            tenant: "north".into(),
            device: "352093081452251".into(),
            name: String::new(),
            since: 5,
            expires: 7,
        };
        let expected = json!({
            "name": null, "since": 5, "expires": 7, "state": "moving", "time": "2026-11-28T12:00:00.000Z", "place": null, "speed_kph": 61.0,
            "heading": null, "temperatures": [
                {"name": "temperature.1", "celsius": -18.5}, {"name": "reefer.return.air.temperature.1", "celsius": -20.0}],
        });
        assert_eq!(serde_json::to_value(Shared::of(link, Some(&state))).unwrap(), expected);
        assert_eq!(driving(Driving::Alarm, Some(3.9)), Driving::Stopped);
        assert_eq!(driving(Driving::NoSignal, Some(90.0)), Driving::NoSignal);
    }

    #[test]
    fn what_is_no_fix_is_no_point() {
        let of = |text: &str| serde_json::from_str::<Position>(text).unwrap().point();
        let time = r#""time":"1970-01-01T00:00:07.000Z""#;
        assert_eq!(of(&format!(r#"{{{time},"position.longitude":1.0,"position.latitude":2}}"#)), Some(point(7000)));
        assert_eq!(of(&format!(r#"{{{time},"position.longitude":1.0}}"#)), None);
        let stale = format!(r#"{{{time},"position.longitude":1.0,"position.latitude":2.0,"position.valid":false}}"#);
        assert_eq!(of(&stale), None);
    }
}
