//! Batches and states, as they are told.

use crate::GroupNumbers;
use crate::routes::sensors::Shown;
use odograph_live::{Batch, Cluster, Counts, Crowds, DeviceState, Place, State, View};
use odograph_model::{Time, Value};
use serde::Serialize;
use serde_json::Map;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What changed since the batch before. Whoever gets it forgets everything if it is `full`, then what is in `left`, and takes over
/// the rest.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Told {
    /// It begins anew: what is not told from here on is not there.
    full: bool,
    /// Devices that are not in view any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    /// The newest state of devices.
    devices: Vec<ToldDevice>,
    /// The clusters, all of them, if they may have changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    crowds: Option<ToldCrowds>,
    /// With this, another stream goes on from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<String>,
    /// Whether more waits already.
    pub(super) more: bool,
}

/// A device in its newest state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToldDevice {
    /// Its id.
    device: String,
    /// How it is with it.
    state: ToldState,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    /// The event time of its latest record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    time: Option<Time>,
    /// When something was received of it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    received: Option<Time>,
    /// The time of its latest record while it moved: since then it stands, if it does. Absent, if none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    moved_at: Option<Time>,
    /// When it is without a signal, if nothing comes until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    silent_at: Option<Time>,
    /// Where it is: longitude and latitude, in degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<[f64; 2]>,
    /// Each parameter's newest value.
    values: Map<String, serde_json::Value>,
    /// The times of values that are older than `time`, in milliseconds since 1970.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    times: BTreeMap<String, i64>,
    /// What its sensors show, by their names, where one device is asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sensors: BTreeMap<String, Shown>,
}

/// How it is with a device.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ToldState {
    /// It drives.
    Moving,
    /// It stands.
    Stopped,
    /// Nothing came from it for a while.
    NoSignal,
    /// It alarmed a while ago at most.
    Alarm,
}

impl From<State> for ToldState {
    fn from(state: State) -> Self {
        match state {
            State::Moving => Self::Moving,
            State::Stopped => Self::Stopped,
            State::NoSignal => Self::NoSignal,
            State::Alarm => Self::Alarm,
        }
    }
}

impl Told {
    pub(super) fn of(groups: &GroupNumbers, batch: &Batch) -> Self {
        Self {
            full: batch.full,
            left: batch.left.iter().map(ToString::to_string).collect(),
            devices: batch.devices.iter().map(|state| ToldDevice::of(groups, state)).collect(),
            crowds: batch.view.as_ref().map(ToldCrowds::of),
            mark: batch.mark.map(|mark| mark.to_string()),
            more: batch.more,
        }
    }
}

impl ToldDevice {
    pub(super) fn of(groups: &GroupNumbers, of: &DeviceState) -> Self {
        let (mut values, mut times) = (Map::new(), BTreeMap::new());
        for known in &of.values {
            let name = known.key.to_string();
            if of.time.is_some_and(|time| known.time != time) {
                times.insert(name.clone(), known.time.0);
            }
            values.insert(name, told(&known.value));
        }
        Self {
            device: of.device.to_string(),
            state: of.state.into(),
            group: groups.name(of.group),
            protocol: of.protocol.as_ref().map(ToString::to_string),
            time: of.time,
            received: of.received,
            moved_at: of.moved,
            silent_at: of.silent_at,
            place: of.place.map(lonlat),
            values,
            times,
            sensors: BTreeMap::new(),
        }
    }

    /// The same, with what its sensors show.
    pub(super) fn with_sensors(self, sensors: Vec<(String, Shown)>) -> Self {
        Self { sensors: sensors.into_iter().collect(), ..self }
    }
}

fn told(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn lonlat(place: Place) -> [f64; 2] {
    [place.longitude, place.latitude]
}

/// What is in view of a map.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToldView {
    /// Devices that stand alone.
    devices: Vec<ToldDevice>,
    #[serde(flatten)]
    crowds: ToldCrowds,
}

impl ToldView {
    pub(super) fn of(groups: &GroupNumbers, view: &View) -> Self {
        let devices = view.devices.iter().map(|state| ToldDevice::of(groups, state)).collect();
        Self { devices, crowds: ToldCrowds::of(&view.crowds) }
    }
}

/// Devices too close to each other to be shown one by one.
#[derive(Debug, Serialize, ToSchema)]
struct ToldCrowds {
    /// The zoom that the clusters were made for.
    zoom: u8,
    clusters: Vec<ToldCluster>,
    /// All devices in the box, by their states.
    counts: ToldCounts,
}

impl ToldCrowds {
    fn of(crowds: &Crowds) -> Self {
        let clusters = crowds.clusters.iter().map(ToldCluster::of).collect();
        Self { zoom: crowds.zoom, clusters, counts: ToldCounts::of(&crowds.counts) }
    }
}

/// A cluster.
#[derive(Debug, Serialize, ToSchema)]
struct ToldCluster {
    /// The same one has the same id as long as the zoom is the same.
    id: String,
    count: u32,
    /// The middle of its devices: longitude and latitude.
    centre: [f64; 2],
    /// The box that its devices are in: west, south, east, north.
    bounds: [f64; 4],
    /// The worst state inside.
    worst: ToldState,
}

impl ToldCluster {
    fn of(cluster: &Cluster) -> Self {
        let ([west, south], [east, north]) = (lonlat(cluster.south_west), lonlat(cluster.north_east));
        Self {
            id: format!("{}.{}", cluster.column, cluster.row),
            count: cluster.count,
            centre: lonlat(cluster.centre),
            bounds: [west, south, east, north],
            worst: cluster.worst.into(),
        }
    }
}

/// How many devices are in each state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToldCounts {
    moving: u32,
    stopped: u32,
    no_signal: u32,
    alarm: u32,
}

impl ToldCounts {
    pub(super) fn of(counts: &Counts) -> Self {
        let [moving, stopped, no_signal, alarm] =
            [State::Moving, State::Stopped, State::NoSignal, State::Alarm].map(|state| counts.of(state));
        Self { moving, stopped, no_signal, alarm }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_by_the_names_that_filters_take() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(ToldState::from(state)).unwrap(), state.name());
        }
    }
}
