//! Whoever follows a subscription knows what a model says there is to see, whatever happens in between.

use odograph_live::{
    Area, Batch, DeviceState, Filter, GroupId, Groups, Live, Mark, Options, State, Subscription, Update,
};
use odograph_model::{Key, Record, RecordId, Time, Value};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const DEVICES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const NOW: Time = Time(1_000_000);

#[derive(Debug, Clone)]
enum Step {
    Send { device: usize, time: i64, place: Option<(f64, f64)>, temperature: Option<f64>, speed: Option<f64> },
    Describe { device: usize, group: u32 },
    Forget { device: usize },
    Take { client: usize },
    Look { client: usize, filter: Filter },
    Leave { client: usize },
    Return { client: usize },
}

fn place() -> impl Strategy<Value = (f64, f64)> {
    let latitudes = prop_oneof![Just(-17.0), Just(0.5), Just(48.0)];
    let longitudes = prop_oneof![Just(-179.0), Just(-0.5), Just(10.0), Just(10.001), Just(179.0), Just(180.0)];
    (latitudes, longitudes)
}

fn filter() -> impl Strategy<Value = Filter> {
    let groups = prop_oneof![
        3 => Just(Groups::All),
        1 => Just(Groups::only([GroupId(1)])),
        1 => Just(Groups::only([GroupId::NONE, GroupId(2)])),
    ];
    let area = |west, south, east, north| Just(Some(Area::new(west, south, east, north).expect("a box")));
    let area = prop_oneof![
        2 => Just(None),
        1 => area(5.0, 40.0, 15.0, 60.0),
        1 => area(178.0, -20.0, -178.0, 10.0),
        1 => area(-10.0, -30.0, 10.0005, 50.0),
        1 => area(-180.0, -80.0, 180.0, 80.0),
    ];
    let devices = prop_oneof![3 => Just(None), 1 => Just(Some(["b", "e"].map(Into::into).into()))];
    let parameters = prop_oneof![2 => Just(None), 1 => Just(Some([Key::TemperatureN(1)].into()))];
    let zoom = prop_oneof![2 => Just(None), 1 => Just(Some(3)), 1 => Just(Some(16))];
    let state = |state: State| Just(Some(BTreeSet::from([state])));
    let states = prop_oneof![3 => Just(None), 1 => state(State::Moving), 1 => state(State::Stopped)];
    let all = (groups.clone(), groups, devices, area, parameters, any::<bool>(), zoom, states);
    all.prop_map(|(permitted, groups, devices, area, parameters, markers, zoom, states)| Filter {
        permitted,
        groups,
        devices,
        area,
        parameters,
        markers,
        zoom,
        states,
        ..Filter::all("t")
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = || proptest::option::of((0..50).prop_map(f64::from));
    let send = (0..DEVICES.len(), 0_i64..30, proptest::option::of(place()), value(), value());
    let send = send.prop_map(|(device, time, place, temperature, speed)| Step::Send {
        device,
        time,
        place,
        temperature,
        speed,
    });
    let client = 0_usize..3;
    let step = prop_oneof![
        12 => send,
        2 => (0..DEVICES.len(), 0_u32..3).prop_map(|(device, group)| Step::Describe { device, group }),
        1 => (0..DEVICES.len()).prop_map(|device| Step::Forget { device }),
        6 => client.clone().prop_map(|client| Step::Take { client }),
        2 => (client.clone(), filter()).prop_map(|(client, filter)| Step::Look { client, filter }),
        2 => client.clone().prop_map(|client| Step::Leave { client }),
        2 => client.prop_map(|client| Step::Return { client }),
    ];
    proptest::collection::vec(step, 0..120)
}

/// What there is to see of a device, kept in the plainest way.
#[derive(Debug, Clone, Default, PartialEq)]
struct Plain {
    group: u32,
    /// By parameter: the time, the number of the record, the value.
    values: BTreeMap<Key, (i64, u64, f64)>,
    time: Option<i64>,
}

impl Plain {
    fn place(&self) -> Option<(f64, f64)> {
        let of = |key| self.values.get(&key).map(|(.., value)| *value);
        of(Key::PositionLatitude).zip(of(Key::PositionLongitude))
    }

    /// Its state, once it has sent something.
    fn state(&self) -> State {
        let speed = self.values.get(&Key::PositionSpeed).map(|(.., value)| *value);
        if speed.is_some_and(|speed| speed >= 4.0) { State::Moving } else { State::Stopped }
    }

    /// Whether a filter shows it, as a person would say it.
    fn is_shown(&self, name: &str, filter: &Filter) -> bool {
        let has = |groups: &Groups| groups.has(GroupId(self.group));
        let is_chosen = filter.devices.as_ref().is_none_or(|devices| devices.contains(name));
        let is_in_place = match (self.place(), &filter.area) {
            (place, None) => place.is_some() || filter.zoom.is_none(),
            (None, Some(_)) => false,
            (Some((latitude, longitude)), Some(area)) => BOXES.iter().any(|(edges, spans)| {
                let [west, south, east, north] = *edges;
                let is_it = Area::new(west, south, east, north).as_ref() == Ok(area);
                let is_between = spans.iter().any(|(from, to)| (*from..=*to).contains(&longitude));
                is_it && (south..=north).contains(&latitude) && is_between
            }),
        };
        // A map has devices in the states that are wanted; whoever watches without one is told of all.
        let is_so = filter.zoom.is_none() || filter.states.as_ref().is_none_or(|states| states.contains(&self.state()));
        has(&filter.permitted) && has(&filter.groups) && is_chosen && is_in_place && is_so
    }
}

type Edges = [f64; 4];
/// The boxes of [`filter`], and from where to where they go east.
const BOXES: &[(Edges, &[(f64, f64)])] = &[
    ([5.0, 40.0, 15.0, 60.0], &[(5.0, 15.0)]),
    ([178.0, -20.0, -178.0, 10.0], &[(178.0, 180.0), (-180.0, -178.0)]),
    ([-10.0, -30.0, 10.0005, 50.0], &[(-10.0, 10.0005)]),
    ([-180.0, -80.0, 180.0, 80.0], &[(-180.0, 180.0)]),
];

/// Somebody who follows a subscription as the documentation of [`Batch`] says.
struct Client {
    filter: Filter,
    subscription: Option<Subscription>,
    mark: Option<Mark>,
    known: BTreeMap<String, DeviceState>,
    crowded: u32,
    in_view: u32,
    /// It went on from a mark, and so may be told to forget what it never knew.
    resumed: bool,
}

impl Client {
    fn new(live: &Live, filter: Filter) -> Self {
        let subscription = live.subscribe(filter.clone()).ok();
        Self { filter, subscription, mark: None, known: BTreeMap::new(), crowded: 0, in_view: 0, resumed: false }
    }

    fn take(&mut self, devices: &BTreeMap<String, Plain>) -> bool {
        let Some(subscription) = &mut self.subscription else { return false };
        let Some(batch) = subscription.take(NOW).expect("it goes on") else { return false };
        let Batch { full, left, devices: told, view, mark, more: _ } = batch;
        assert!(told.len() <= 2, "a batch is bounded");
        if full {
            self.known.clear();
            self.resumed = false;
        }
        for device in left {
            assert!(self.known.remove(device.as_str()).is_some() || self.resumed, "{device} was not known");
        }
        for state in told {
            let name = state.device.to_string();
            assert!(devices[&name].is_shown(&name, &self.filter), "{name} is not to be seen");
            self.known.insert(name, state);
        }
        if let Some(view) = view {
            self.crowded = view.clusters.iter().map(|cluster| cluster.count).sum();
            self.in_view = view.counts.total();
        }
        assert!(mark.is_none() || self.filter.zoom.is_none());
        self.mark = mark;
        true
    }

    fn go_on(&mut self, live: &Live) {
        let filter = self.filter.clone();
        let again = match self.mark {
            Some(mark) => {
                let mark: Mark = mark.to_string().parse().expect("a mark is read from its text");
                live.resume(filter, mark)
            }
            None => live.subscribe(filter),
        };
        self.resumed = self.mark.is_some();
        self.subscription = again.ok();
    }

    /// Compares what it knows after all was read.
    fn check(&self, devices: &BTreeMap<String, Plain>) {
        let shown: BTreeSet<&String> =
            devices.iter().filter(|(name, it)| it.is_shown(name, &self.filter)).map(|(name, _)| name).collect();
        let known: BTreeSet<&String> = self.known.keys().collect();
        if self.filter.zoom.is_some() {
            assert!(known.is_subset(&shown), "{known:?} of {shown:?}");
            assert_eq!(self.in_view as usize, shown.len());
            assert_eq!(self.crowded as usize + known.len(), shown.len());
        } else {
            assert_eq!(known, shown);
        }
        for (name, state) in &self.known {
            let plain = &devices[name];
            let wanted = |key: &Key| self.filter.parameters.as_ref().is_none_or(|parameters| parameters.contains(key));
            let values = plain.values.iter().filter(|(key, _)| wanted(key));
            let expected: Vec<_> = values.map(|(key, (time, _, value))| (*key, *time, Value::Float(*value))).collect();
            let told: Vec<_> =
                state.values.iter().map(|known| (known.key, known.time.0, known.value.clone())).collect();
            assert_eq!(told, expected, "{name}");
            if self.filter.parameters.is_none() || self.filter.markers {
                assert_eq!(state.time.map(|time| time.0), plain.time, "{name}");
                assert_eq!(state.place.map(|place| (place.latitude, place.longitude)), plain.place(), "{name}");
                assert_eq!(state.group, GroupId(plain.group), "{name}");
            }
        }
    }
}

struct World {
    live: Live,
    devices: BTreeMap<String, Plain>,
    clients: Vec<Client>,
    sent: u64,
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Send { device, time, place, temperature, speed } => {
                self.send(DEVICES[device], time, place, temperature, speed);
            }
            Step::Describe { device, group } => {
                self.live.describe("t", DEVICES[device], GroupId(group));
                self.devices.entry(DEVICES[device].to_owned()).or_default().group = group;
            }
            Step::Forget { device } => {
                let was_there = self.devices.remove(DEVICES[device]).is_some();
                assert_eq!(self.live.forget("t", DEVICES[device]), was_there);
            }
            Step::Take { client } => {
                self.clients[client].take(&self.devices);
            }
            Step::Look { client, filter } => {
                let client = &mut self.clients[client];
                if let Some(subscription) = &mut client.subscription {
                    subscription.look_at(filter.clone()).expect("the filter is short");
                } else {
                    // Then the mark is of another filter, and nothing can be gone on from.
                    client.resumed = false;
                }
                client.filter = filter;
            }
            Step::Leave { client } => self.clients[client].subscription = None,
            Step::Return { client } if self.clients[client].subscription.is_none() => {
                self.clients[client].go_on(&self.live);
            }
            Step::Return { .. } => {}
        }
    }

    fn send(&mut self, name: &str, time: i64, place: Option<(f64, f64)>, temperature: Option<f64>, speed: Option<f64>) {
        self.sent += 1;
        let mut record = Record::at(Time(time));
        record.set_some(Key::PositionLatitude, place.map(|place| place.0));
        record.set_some(Key::PositionLongitude, place.map(|place| place.1));
        record.set_some(Key::TemperatureN(1), temperature);
        record.set_some(Key::PositionSpeed, speed);
        let id = RecordId(self.sent);
        let update = Update { tenant: "t", device: name, record: &record, received: Time(time), id, protocol: "test" };
        self.live.update(&update);
        let plain = self.devices.entry(name.to_owned()).or_default();
        plain.time = plain.time.max(Some(time));
        for (key, value) in record.values() {
            let Value::Float(value) = value else { continue };
            let known = plain.values.entry(*key).or_insert((time, self.sent, *value));
            if (time, self.sent) > (known.0, known.1) {
                *known = (time, self.sent, *value);
            }
        }
    }
}

/// More cases are tried with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(600), failure_persistence: None, ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whoever_follows_knows_what_there_is_to_see(
        filters in proptest::collection::vec(filter(), 3),
        steps in steps(),
    ) {
        let live = Live::new(7, Options { batch_max: 2, singles_max: 1, ..Options::default() });
        let clients = filters.into_iter().map(|filter| Client::new(&live, filter)).collect();
        let mut world = World { live, devices: BTreeMap::new(), clients, sent: 0 };
        steps.into_iter().for_each(|step| world.step(step));
        for client in &mut world.clients {
            if client.subscription.is_none() {
                client.go_on(&world.live);
            }
            for _ in 0..100 {
                client.take(&world.devices);
            }
            prop_assert!(!client.take(&world.devices), "everything was read");
            client.check(&world.devices);
        }
        prop_assert_eq!(world.live.stats().devices, world.devices.len());
    }
}
