//! Clusters are those that a plain search through all devices finds.

use super::*;
use crate::bits::KeySet;
use crate::live::Update;
use crate::tenant::{Room, Tenant};
use crate::{Filter, Place};
use odograph_model::{Alarm, Key, Record, RecordId};
use proptest::prelude::*;
use std::collections::BTreeMap;

const ROOM: Room = Room { for_device: true, for_values: true };

fn tenant(places: &[(f64, f64, bool)]) -> Tenant {
    let mut tenant = Tenant::new(0, Thresholds::default());
    for (index, (latitude, longitude, alarms)) in places.iter().enumerate() {
        let mut record = Record::at(Time(0));
        record.set(Key::PositionLatitude, *latitude);
        record.set(Key::PositionLongitude, *longitude);
        if *alarms {
            record.alarm(Alarm::Sos);
        }
        let device = index.to_string();
        let (received, id) = (Time(0), RecordId(0));
        tenant.update(&Update { tenant: "t", device: &device, record: &record, received, id, protocol: "test" }, ROOM);
    }
    tenant
}

fn gather(tenant: &Tenant, area: Option<Area>, zoom: u8, singles_max: usize) -> (Vec<u32>, Crowds) {
    let options = Options { singles_max, ..Options::default() };
    let mut gather = Gather::new(area, zoom, Time(0), &options);
    let matcher = Matcher::new(Filter { area, zoom: Some(zoom), ..Filter::all("t") }, tenant.seen().slots);
    assert_eq!(matcher.heard, KeySet::all());
    while gather.step(tenant.seen(), &matcher) {}
    let (mut alone, crowds) = gather.finish();
    alone.sort_unstable();
    (alone, crowds)
}

/// The cell of a place as the map's makers say it: 64 pixels of tiles of 256.
fn cell(place: (f64, f64), zoom: u8) -> (u32, u32) {
    let cells = f64::from(4_u32 << zoom);
    let latitude = place.0.to_radians();
    let x = (place.1 + 180.0) / 360.0 * cells;
    let y = (1.0 - (latitude.tan() + 1.0 / latitude.cos()).ln() / std::f64::consts::PI) / 2.0 * cells;
    (y as u32, x as u32)
}

fn place() -> impl Strategy<Value = (f64, f64, bool)> {
    let near = (47.0..48.0, 9.0..11.0, any::<bool>());
    let fiji = (-18.0..-16.0, prop_oneof![177.0..180.0, -180.0..-177.0], any::<bool>());
    let any = (-84.0..84.0, -180.0..180.0, Just(false));
    prop_oneof![3 => near, 1 => fiji, 1 => any]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn clusters_have_all_that_is_near_and_no_more(
        places in proptest::collection::vec(place(), 0..60),
        zoom in 0_u8..12,
        area in prop_oneof![
            Just((-180.0, -85.0, 180.0, 85.0)),
            Just((9.0, 47.0, 10.5, 47.9)),
            Just((178.5, -17.5, -178.5, 0.0)),
            Just((-170.0, -80.0, 170.0, 80.0)),
        ],
    ) {
        let (west, south, east, north) = area;
        let tenant = tenant(&places);
        let area = Area::new(west, south, east, north).expect("a box");
        let (alone, crowds) = gather(&tenant, Some(area), zoom, 0);
        prop_assert!(crowds.zoom <= zoom);
        let is_in = |(latitude, longitude, _): &(f64, f64, bool)| {
            let is_between = if west <= east { (west..=east).contains(longitude) } else { *longitude >= west || *longitude <= east };
            (south..=north).contains(latitude) && is_between
        };
        let mut cells: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        for (slot, place) in (0_u32..).zip(&places).filter(|(_, place)| is_in(place)) {
            cells.entry(cell((place.0, place.1), crowds.zoom)).or_default().push(slot);
        }
        let (few, many): (Vec<_>, Vec<_>) = cells.into_iter().partition(|(_, slots)| slots.len() <= 2);
        let mut expected: Vec<u32> = few.into_iter().flat_map(|(_, slots)| slots).collect();
        expected.sort_unstable();
        prop_assert_eq!(&alone, &expected);
        prop_assert_eq!(crowds.clusters.len(), many.len());
        for ((row, column), slots) in many {
            let cluster = crowds.clusters.iter().find(|cluster| (cluster.row, cluster.column) == (row, column));
            let cluster = cluster.expect("the cell has a cluster");
            let of = |slot: &u32| places[*slot as usize];
            let of_all = |value: fn((f64, f64, bool)) -> f64| slots.iter().map(of).map(value).collect::<Vec<_>>();
            let (latitudes, longitudes) = (of_all(|place| place.0), of_all(|place| place.1));
            let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let is_near = |place: Place, latitude: f64, longitude: f64| {
                (place.latitude - latitude).abs() < 1e-6 && (place.longitude - longitude).abs() < 1e-6
            };
            prop_assert_eq!(cluster.count as usize, slots.len());
            prop_assert!(is_near(cluster.south_west, least(&latitudes), least(&longitudes)));
            prop_assert!(is_near(cluster.north_east, greatest(&latitudes), greatest(&longitudes)));
            let mean = longitudes.iter().sum::<f64>() / longitudes.len() as f64;
            prop_assert!((cluster.centre.longitude - mean).abs() < 1e-6);
            prop_assert!((least(&latitudes)..=greatest(&latitudes)).contains(&cluster.centre.latitude));
            let alarms = slots.iter().map(of).any(|place| place.2);
            prop_assert_eq!(cluster.worst, if alarms { State::Alarm } else { State::Stopped });
        }
        let in_view = places.iter().filter(|place| is_in(place)).count();
        prop_assert_eq!(crowds.counts.total() as usize, in_view);
        let (all, crowds) = gather(&tenant, Some(area), zoom, in_view);
        prop_assert_eq!((all.len(), crowds.clusters.len()), (in_view, 0), "few devices are shown one by one");
    }
}

#[test]
fn a_box_that_is_too_large_for_its_zoom_gets_a_smaller_one() {
    for (edges, zoom, expected) in [
        ([-180.0, -85.0, 180.0, 85.0], 21, 3),
        ([-180.0, -85.0, 180.0, 85.0], 255, 3),
        ([5.0, 47.0, 15.0, 55.0], 6, 6),
        ([9.99, 48.39, 10.01, 48.41], 255, 17),
        ([10.0, 48.0, 10.0, 48.0], 255, 21),
    ] {
        let [west, south, east, north] = edges;
        let map = Map::new(Area::new(west, south, east, north).expect("a box"), zoom);
        assert_eq!(map.zoom, expected, "{edges:?}");
        assert!(u64::from(map.columns) * u64::from(map.rows) <= CELLS_MAX);
    }
}

#[test]
fn many_devices_are_gone_through_in_steps() {
    let places: Vec<_> = (0..STEP_SLOTS + 100).map(|index| (47.0, 9.0 + f64::from(index) * 1e-5, false)).collect();
    let tenant = tenant(&places);
    let options = Options::default();
    let mut gather = Gather::new(None, 3, Time(0), &options);
    let matcher = Matcher::new(Filter { zoom: Some(3), ..Filter::all("t") }, tenant.seen().slots);
    assert!(gather.step(tenant.seen(), &matcher) && !gather.step(tenant.seen(), &matcher));
    let (alone, crowds) = gather.finish();
    assert_eq!((alone.len(), crowds.clusters.len(), crowds.counts.total()), (0, 1, STEP_SLOTS + 100));
}
