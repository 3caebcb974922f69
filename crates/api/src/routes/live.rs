//! What is happening now: devices in their newest state, as it changes.

mod holding;
mod told;

use super::sensors;
use crate::body::Asked;
use crate::{Api, Caller, Code, Problem};
use axum::Json;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{FromRequestParts, State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use holding::Holding;
use odograph_live::{Area, Filter, Groups, Live, Mark, NAMES_MAX, State as DeviceState, SubscribeError, Subscription};
use odograph_model::Key;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;
use told::{Told, ToldCounts, ToldDevice, ToldView};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(view)).routes(routes!(counts)).routes(routes!(device))
}

/// Which devices, and what of them.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Watched {
    /// Devices in this box of the map: west, south, east and north in degrees, separated by commas.
    r#box: Option<String>,
    /// The zoom of the map, from 0 to 22: what is crowded at it comes as clusters.
    zoom: Option<u8>,
    /// Devices of these groups, by their ids, separated by commas: at most 10,000.
    groups: Option<String>,
    /// These devices, separated by commas: at most 10,000.
    devices: Option<String>,
    /// Devices in these states now, separated by commas: `moving`, `stopped`, `no_signal`, `alarm`. A stream takes it together with
    /// `zoom` alone.
    live: Option<String>,
    /// Only these parameters, separated by commas; places, states and times come in any case.
    parameters: Option<String>,
    /// The `mark` of the last batch that came: it goes on from there, if the server still can.
    resume: Option<String>,
}

impl Watched {
    fn filter(&self, api: &Api, caller: &Caller) -> Result<Filter, Problem> {
        let tenant = caller.tenant();
        let groups = list("groups", self.groups.as_deref())?;
        let devices = list("devices", self.devices.as_deref())?;
        let parameters = list("parameters", self.parameters.as_deref())?
            .map(|names| names.into_iter().map(|name| parameter(&name)).collect())
            .transpose()?;
        if self.zoom.is_some_and(|zoom| zoom > ZOOM_MAX) {
            return Err(Problem::invalid("zoom", format!("is from 0 to {ZOOM_MAX}")));
        }
        Ok(Filter {
            permitted: api.groups.permitted(tenant, caller.access.scope.groups.as_deref()),
            groups: groups.map_or(Groups::All, |groups| api.groups.found(tenant, &groups)),
            devices: devices.map(|ids| ids.into_iter().map(Into::into).collect()),
            area: self.r#box.as_deref().map(area).transpose()?,
            parameters,
            zoom: self.zoom,
            states: self.live.as_deref().map(states).transpose()?,
            ..Filter::all(tenant)
        })
    }

    /// A group that has had no device yet has no number, and whoever watches it is to hear of its first one: so those of the catalog are
    /// given theirs.
    async fn number_groups(&self, api: &Api, caller: &Caller) -> Result<(), Problem> {
        let (tenant, asked) = (caller.tenant(), list("groups", self.groups.as_deref())?.unwrap_or_default());
        if asked.iter().all(|group| api.groups.known(tenant, group).is_some()) {
            return Ok(());
        }
        for group in caller.within().groups().await? {
            api.groups.number(tenant, Some(&group.id));
        }
        Ok(())
    }
}

/// Refuses to say anything of live state before it is what it was when the server ended: a device that is not there yet would be
/// taken for one that never sent. A stream need not wait for that: it tells of each device as it is taken in.
pub(super) fn known(live: &Live) -> Result<(), Problem> {
    let not_yet = || {
        let what = "the server has just begun, and still reads what devices sent before: try again in a second";
        Problem::new(Code::Unavailable, what).retry_after(Duration::from_secs(1))
    };
    if live.is_complete() { Ok(()) } else { Err(not_yet()) }
}

/// Names that are separated by commas, if that is asked for: no more than a stream may have.
fn list(field: &str, text: Option<&str>) -> Result<Option<Vec<String>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let names = || text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let count = names().count();
    if count > NAMES_MAX {
        let what = format!("has {count} names, and at most {NAMES_MAX} are served: ask for fewer at a time");
        return Err(Problem::invalid(field, what));
    }
    Ok(Some(names().map(ToOwned::to_owned).collect()))
}

/// States by their names, separated by commas.
fn states(text: &str) -> Result<BTreeSet<DeviceState>, Problem> {
    let named = |name: &str| {
        let found = DeviceState::ALL.into_iter().find(|state| state.name() == name);
        let what = || Problem::invalid("live", format!("{name:?} is none of moving, stopped, no_signal, alarm"));
        found.ok_or_else(what)
    };
    text.split(',').map(|name| named(name.trim())).collect()
}

/// A device falls silent without a word: a map is looked at from time to time, so it hears of that, and a stream without one does not.
fn check_states(filter: &Filter, zoom: Option<u8>) -> Result<(), Problem> {
    let what = "a stream has devices by their state on a map alone: say its zoom, too";
    if filter.states.is_some() && zoom.is_none() { Err(Problem::invalid("live", what)) } else { Ok(()) }
}

fn parameter(name: &str) -> Result<Key, Problem> {
    Key::from_name(name).ok_or_else(|| Problem::invalid("parameters", format!("there is no parameter {name:?}")))
}

fn area(text: &str) -> Result<Area, Problem> {
    let edges: Vec<f64> = text.split(',').filter_map(|edge| edge.trim().parse().ok()).collect();
    let [west, south, east, north] = edges[..] else {
        return Err(Problem::invalid("box", "is four numbers: west,south,east,north"));
    };
    Area::new(west, south, east, north).map_err(|error| Problem::invalid("box", error))
}

/// What changes
///
/// By WebSocket, where the request asks for one, else as server-sent events. Each message is a batch with the newest state of what
/// changed: first everything that is wanted (`full`), then what changes. Who reads slowly gets fewer batches, never old ones.
/// By WebSocket, the text `{"box":[west,south,east,north],"zoom":9}` moves the map.
#[utoipa::path(get, path = "/api/v1/live", tag = "devices", params(Watched),
    responses((status = 200, description = "Batches, as they come.", body = Told, content_type = "text/event-stream"),
        (status = 101, description = "Batches by WebSocket."),
        (status = 400, description = "Something about the filter is wrong.", body = crate::problem::ProblemBody),
        (status = 429, description = "Too many watch already.", body = crate::problem::ProblemBody)))]
async fn live(
    State(api): State<Api>,
    caller: Caller,
    Asked(watched): Asked<Watched>,
    headers: HeaderMap,
    Socket(socket): Socket,
) -> Result<Response, Problem> {
    watched.number_groups(&api, &caller).await?;
    let filter = watched.filter(&api, &caller)?;
    check_states(&filter, filter.zoom)?;
    // A browser that connects again says where it was.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let resume = watched.resume.as_deref().or(last);
    let mark =
        resume.map(|text| text.parse::<Mark>().map_err(|error| Problem::invalid("resume", error))).transpose()?;
    let subscription = match mark {
        Some(mark) => api.live.resume(filter.clone(), mark),
        None => api.live.subscribe(filter.clone()),
    };
    let subscription = subscription.map_err(|error| refused(&error))?;
    Ok(match socket {
        Some(upgrade) => upgrade
            .max_message_size(MESSAGE_BYTES_MAX)
            .on_upgrade(move |socket| by_socket(api, caller, filter, subscription, socket)),
        None => by_events(api, caller, subscription).into_response(),
    })
}

/// A request that wants a WebSocket, or not.
struct Socket(Option<WebSocketUpgrade>);

impl FromRequestParts<Api> for Socket {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        if !parts.headers.contains_key("upgrade") {
            return Ok(Self(None));
        }
        let upgrade = WebSocketUpgrade::from_request_parts(parts, api).await;
        upgrade.map(|upgrade| Self(Some(upgrade))).map_err(|error| Problem::invalid("the upgrade", error))
    }
}

/// Whoever watches, until they go, the server stops, or they may not any more.
struct Watcher {
    api: Api,
    subscription: Subscription,
    /// A stream lives for days; a session or a token may end meanwhile.
    holding: Holding,
}

impl Watcher {
    fn new(api: Api, caller: Caller, subscription: Subscription) -> Self {
        let holds = move || {
            let caller = caller.clone();
            async move { caller.still_holds().await }
        };
        Self { api, subscription, holding: Holding::watched(RECHECK, holds) }
    }

    /// The next batch; nothing at the end.
    async fn next(&mut self) -> Option<Told> {
        let server = self.api.server.clone();
        tokio::select! {
            batch = self.subscription.next(move || server.now()) => Some(Told::of(&self.api.groups, &batch.ok()?)),
            () = self.holding.ended() => None,
        }
    }

    /// How long to wait before the next one, so that what changes often comes together.
    fn pause(&self) -> Duration {
        Duration::from_millis(self.subscription.pause_ms())
    }
}

fn by_events(api: Api, caller: Caller, subscription: Subscription) -> impl IntoResponse {
    let watcher = Watcher::new(api, caller, subscription);
    let batches = stream::unfold((watcher, false), |(mut watcher, paused)| async move {
        if paused {
            tokio::time::sleep(watcher.pause()).await;
        }
        let told = watcher.next().await?;
        let event = Event::default().event("batch");
        let event = told.mark.as_deref().map_or(event.clone(), |mark| event.id(mark));
        let event = event.json_data(&told).unwrap_or_default();
        Some((Ok::<_, Infallible>(event), (watcher, !told.more)))
    });
    Sse::new(batches).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// Where the map has moved to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moved {
    r#box: Option<[f64; 4]>,
    zoom: Option<u8>,
}

async fn by_socket(api: Api, caller: Caller, mut filter: Filter, subscription: Subscription, mut socket: WebSocket) {
    let mut watcher = Watcher::new(api, caller, subscription);
    let mut pause = Duration::ZERO;
    let mut alive = tokio::time::interval(KEEP_ALIVE);
    loop {
        let rest = tokio::time::sleep(pause);
        let next = async {
            rest.await;
            watcher.next().await
        };
        tokio::select! {
            told = next => {
                let Some(told) = told else { break };
                let Ok(text) = serde_json::to_string(&told) else { break };
                if socket.send(Message::text(text)).await.is_err() {
                    return;
                }
                pause = if told.more { Duration::ZERO } else { watcher.pause() };
            }
            heard = socket.recv() => {
                let Some(Ok(message)) = heard else { return };
                let Message::Text(text) = message else { continue };
                let moved = moved(&mut filter, &text).and_then(|()| watcher.subscription.look_at(filter.clone()).map_err(|error| refused(&error)));
                if let Err(problem) = moved
                    && socket.send(Message::text(problem.to_json())).await.is_err()
                {
                    return;
                }
                pause = Duration::ZERO;
            }
            _ = alive.tick() => {
                if socket.send(Message::Ping(axum::body::Bytes::new())).await.is_err() {
                    return;
                }
            }
        }
    }
    // An error means that the other side has gone.
    let _ = socket.send(Message::Close(None)).await;
}

fn moved(filter: &mut Filter, text: &str) -> Result<(), Problem> {
    let Moved { r#box, zoom } = serde_json::from_str(text).map_err(|error| Problem::invalid("the message", error))?;
    if zoom.is_some_and(|zoom| zoom > ZOOM_MAX) {
        return Err(Problem::invalid("zoom", format!("is from 0 to {ZOOM_MAX}")));
    }
    check_states(filter, zoom)?;
    let area = r#box.map(|[west, south, east, north]| Area::new(west, south, east, north));
    let area = area.transpose().map_err(|error| Problem::invalid("box", error))?;
    (filter.area, filter.zoom) = (area, zoom);
    Ok(())
}

fn refused(error: &SubscribeError) -> Problem {
    let code = match error {
        SubscribeError::TooMany { .. } => Code::TooMany,
        SubscribeError::TooLong { .. } => Code::Invalid,
        _ => Code::Unavailable,
    };
    Problem::new(code, error.to_string())
}

/// What is in view of a map
///
/// Devices that stand alone, and clusters of those that are too close to each other at this zoom.
#[utoipa::path(get, path = "/api/v1/live/view", tag = "devices", params(Watched),
    responses((status = 200, description = "What is in view now.", body = ToldView),
        (status = 400, description = "Something about the filter is wrong.", body = crate::problem::ProblemBody),
        (status = 503, description = "The server has just begun.", body = crate::problem::ProblemBody)))]
async fn view(
    State(api): State<Api>,
    caller: Caller,
    Asked(watched): Asked<Watched>,
) -> Result<Json<ToldView>, Problem> {
    let filter = watched.filter(&api, &caller)?;
    known(&api.live)?;
    let view = api.live.view(&filter, watched.zoom.unwrap_or(0), api.server.now());
    Ok(Json(ToldView::of(&api.groups, &view)))
}

/// How many devices are in which state
#[utoipa::path(get, path = "/api/v1/live/counts", tag = "devices", params(Watched),
    responses((status = 200, description = "The counts.", body = ToldCounts),
        (status = 400, description = "Something about the filter is wrong.", body = crate::problem::ProblemBody),
        (status = 503, description = "The server has just begun.", body = crate::problem::ProblemBody)))]
async fn counts(
    State(api): State<Api>,
    caller: Caller,
    Asked(watched): Asked<Watched>,
) -> Result<Json<ToldCounts>, Problem> {
    let filter = watched.filter(&api, &caller)?;
    known(&api.live)?;
    Ok(Json(ToldCounts::of(&api.live.counts(&filter, api.server.now()))))
}

/// The newest state of a device
///
/// Each parameter's newest value, be it older than the latest record.
#[utoipa::path(get, path = "/api/v1/devices/{id}/state", tag = "devices",
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 200, description = "Its state.", body = ToldDevice),
        (status = 404, description = "There is no such device, or it has sent nothing yet.", body = crate::problem::ProblemBody),
        (status = 503, description = "The server has just begun.", body = crate::problem::ProblemBody)))]
async fn device(
    State(api): State<Api>,
    caller: Caller,
    crate::body::Named(id): crate::body::Named<String>,
) -> Result<Json<ToldDevice>, Problem> {
    let id = caller.within().device(&id).await?.id;
    known(&api.live)?;
    let permitted = api.groups.permitted(caller.tenant(), caller.access.scope.groups.as_deref());
    let state = api.live.device(caller.tenant(), &id, &permitted, api.server.now());
    // Known by its group alone, it has sent nothing.
    let state = state.filter(|state| state.received.is_some());
    let state = state.ok_or_else(|| Problem::new(Code::NotFound, format!("device {id} has sent nothing yet")))?;
    let sensors = sensors::sensors(&caller, &id).await?;
    let shown = if sensors.is_empty() { Vec::new() } else { sensors::shown(&api, &caller, &id, sensors).await? };
    Ok(Json(ToldDevice::of(&api.groups, &state).with_sensors(shown)))
}

/// Deeper no map goes.
const ZOOM_MAX: u8 = 22;

/// So often something is sent where nothing changes, so that nobody in between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// So often it is looked at whether whoever watches still may.
const RECHECK: Duration = Duration::from_secs(30);

/// Bytes of what a watcher says.
const MESSAGE_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_four_numbers() {
        assert!(area("-10.5, 40, 20,60").is_ok());
        assert!(area("170,0,-170,10").is_ok(), "across the 180th meridian");
        for wrong in ["", "1,2,3", "1,2,3,4,5", "a,2,3,4", "0,50,1,40", "0,0,1,91"] {
            assert!(area(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_separated_by_commas_and_not_too_many() {
        assert_eq!(list("groups", Some(" a,,b ")).unwrap(), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!((list("groups", Some(",")).unwrap(), list("groups", None).unwrap()), (Some(vec![]), None));
        let most = "a,".repeat(NAMES_MAX);
        assert!(list("groups", Some(&most)).is_ok());
        assert_eq!(list("groups", Some(&format!("{most}a"))).unwrap_err().code(), Code::Invalid);
    }

    #[test]
    fn nothing_is_said_before_what_was_kept_is_known() {
        let live = Live::new(1, odograph_live::Options::default());
        assert_eq!(known(&live).unwrap_err().code(), Code::Unavailable);
        live.complete();
        known(&live).unwrap();
    }

    #[test]
    fn a_map_that_moves_says_where() {
        let mut filter = Filter::all("default");
        moved(&mut filter, r#"{"box":[1,2,3,4],"zoom":9}"#).unwrap();
        assert_eq!((filter.area, filter.zoom), (Some(Area::new(1.0, 2.0, 3.0, 4.0).unwrap()), Some(9)));
        for wrong in
            ["", "{}x", r#"{"box":[1,2,3]}"#, r#"{"zoom":99}"#, r#"{"tenant":"other"}"#, r#"{"box":[0,50,1,40]}"#]
        {
            assert!(moved(&mut filter, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn states_have_their_names_and_a_stream_of_them_is_a_map() {
        let of = |names: &[DeviceState]| names.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(states("moving, alarm").unwrap(), of(&[DeviceState::Moving, DeviceState::Alarm]));
        for wrong in ["", "Moving", "moving,", "unseen"] {
            assert_eq!(states(wrong).unwrap_err().code(), Code::Invalid, "{wrong}");
        }
        let mut filter = Filter { zoom: Some(3), states: Some(of(&[DeviceState::Alarm])), ..Filter::all("default") };
        assert!(check_states(&filter, None).is_err() && check_states(&Filter::all("default"), None).is_ok());
        assert!(moved(&mut filter, r#"{"box":[1,2,3,4]}"#).is_err());
        assert_eq!(filter.zoom, Some(3), "what is refused changes nothing");
        moved(&mut filter, r#"{"box":[1,2,3,4],"zoom":9}"#).unwrap();
    }
}
