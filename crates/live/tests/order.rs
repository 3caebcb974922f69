//! The same records in any order, and again, give the same state: that of a model that has all of them and looks for the
//! greatest.

use odograph_live::{DeviceState, Groups, Live, Options, Update};
use odograph_model::{Alarm, Item, Key, Record, RecordId, Time, Value};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
struct Sent {
    id: u64,
    device: &'static str,
    /// The device's claim could not be: the event time is that of receipt.
    is_wrong: bool,
    time: i64,
    received: i64,
    place: (Option<f64>, Option<f64>),
    is_valid: Option<bool>,
    speed: Option<f64>,
    text: Option<&'static str>,
    alarms: Option<Vec<Alarm>>,
}

impl Sent {
    fn time(&self) -> i64 {
        if self.is_wrong { self.received } else { self.time }
    }

    fn record(&self) -> Record {
        let mut record = Record::at(Time(self.time()));
        record.set_some(Key::DeviceFirmwareVersion, self.text);
        record.set_some(Key::PositionSpeed, self.speed);
        record.set_some(Key::PositionLongitude, self.place.1);
        record.set_some(Key::PositionLatitude, self.place.0);
        record.set_some(Key::PositionValid, self.is_valid);
        for alarm in self.alarms.iter().flatten() {
            record.alarm(*alarm);
        }
        if self.is_wrong {
            record.set(Key::DeviceTime, "1980-01-06T00:00:00.000Z");
        }
        record.raw("385", self.id);
        record
    }

    /// What of the record counts, by the names of its parameters.
    fn values(&self) -> BTreeMap<Key, Value> {
        let mut values: BTreeMap<Key, Value> = self.record().values().iter().cloned().collect();
        let is_place = matches!(self.place, (Some(latitude), Some(_)) if latitude <= 90.0);
        if !is_place {
            values.remove(&Key::PositionLatitude);
            values.remove(&Key::PositionLongitude);
        }
        values
    }

    /// Whether a value of it counts in full.
    fn counts(&self, key: Key) -> bool {
        let of_the_fix = [Key::PositionLatitude, Key::PositionLongitude, Key::PositionSpeed];
        self.is_valid != Some(false) || !of_the_fix.contains(&key)
    }

    fn send(&self, live: &Live) {
        let (received, id) = (Time(self.received), RecordId(self.id));
        let record = &self.record();
        live.update(&Update { tenant: "t", device: self.device, record, received, id, protocol: "test" });
    }
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let place = prop_oneof![
        4 => (-80.0..80.0, -180.0..180.0).prop_map(|(latitude, longitude)| (Some(latitude), Some(longitude))),
        1 => Just((Some(1.0), None)),
        1 => Just((None, Some(1.0))),
        1 => Just((Some(91.0), Some(1.0))),
        1 => Just((None, None)),
    ];
    let alarms = proptest::option::of(prop_oneof![Just(vec![Alarm::Sos]), Just(vec![Alarm::Door, Alarm::Tow])]);
    let text = proptest::option::of(prop_oneof![Just(""), Just("v1"), Just("a longer text that has to be kept")]);
    let speed = proptest::option::of(0.0..100.0);
    let times = (0_i64..15, 0_i64..15);
    let clock = prop_oneof![3 => Just(false), 1 => Just(true)];
    let device = prop_oneof![3 => Just("a"), 1 => Just("b")];
    let one = (device, clock, times, place, proptest::option::of(any::<bool>()), speed, text, alarms);
    proptest::collection::vec(one, 0..25).prop_map(|all| {
        let one = |(id, (device, is_wrong, (time, received), place, is_valid, speed, text, alarms))| {
            let id = id as u64;
            Sent { id, device, is_wrong, time, received, place, is_valid, speed, text, alarms }
        };
        all.into_iter().enumerate().map(one).collect()
    })
}

/// The value that counts of what these records say, with its time, said in another way than the code says it.
fn newest<T>(all: &[&Sent], of: impl Fn(&Sent) -> Option<T>, counts: impl Fn(&Sent) -> bool) -> Option<(T, i64)> {
    let sound_until = all.iter().filter(|sent| !sent.is_wrong).map(|sent| sent.received).max();
    let having = || all.iter().filter(|sent| of(sent).is_some());
    let sound = having().filter(|sent| !sent.is_wrong);
    let sound = sound.max_by_key(|sent| (counts(sent), sent.time, sent.received, sent.id));
    let wrong = having().filter(|sent| sent.is_wrong && sound_until < Some(sent.received));
    let wrong = wrong.max_by_key(|sent| (sent.received, sent.id));
    let chosen = match (sound, wrong) {
        (Some(sound), Some(wrong)) if counts(sound) && !counts(wrong) => sound,
        (sound, wrong) => wrong.or(sound)?,
    };
    Some((of(chosen)?, chosen.time()))
}

fn check(live: &Live, all: &[Sent]) {
    for device in ["a", "b"] {
        let state = live.device("t", device, &Groups::All, Time(0));
        let sent: Vec<&Sent> = all.iter().filter(|sent| sent.device == device).collect();
        assert_eq!(state.is_some(), !sent.is_empty(), "{device}");
        let Some(DeviceState { protocol, time, received, moved, place, values, .. }) = state else { continue };
        assert_eq!(protocol.as_deref(), Some("test"));
        assert_eq!(received.map(|time| time.0), sent.iter().map(|sent| sent.received).max());
        assert_eq!(time.map(|time| time.0), newest(&sent, |_| Some(()), |_| true).map(|(_, time)| time));
        // From 4 km/h on it moves; nobody knows when a record was made whose clock was wrong, and no current fix says nothing.
        let moves = |sent: &&&Sent| !sent.is_wrong && sent.is_valid != Some(false) && sent.speed >= Some(4.0);
        assert_eq!(moved.map(|time| time.0), sent.iter().filter(moves).map(|sent| sent.time.min(sent.received)).max());
        let keys: BTreeSet<Key> = sent.iter().flat_map(|sent| sent.values().into_keys()).collect();
        let expected = keys.into_iter().filter_map(|key| {
            let (value, time) = newest(&sent, |sent| sent.values().remove(&key), |sent| sent.counts(key))?;
            Some((key, value, time))
        });
        let expected: Vec<_> = expected.collect();
        let values: Vec<_> = values.into_iter().map(|known| (known.key, known.value, known.time.0)).collect();
        assert_eq!(values, expected, "{device}");
        let of = |wanted| values.iter().find(|(key, ..)| *key == wanted).map(|(_, value, _)| value.clone());
        let place = place.map(|place| [Value::Float(place.latitude), Value::Float(place.longitude)]);
        assert_eq!(place, of(Key::PositionLatitude).zip(of(Key::PositionLongitude)).map(<[_; 2]>::from));
    }
}

fn live() -> Live {
    Live::new(1, Options::default())
}

fn snapshot(live: &Live) -> Vec<u8> {
    let mut bytes = Vec::new();
    let take = |piece: &[u8]| -> Result<(), ()> {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    live.snapshot(take).expect("it is taken");
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_any_number_of_times_gives_the_same(
        (all, shuffled) in sent().prop_flat_map(|all| {
            let twice: Vec<_> = all.iter().chain(&all[..all.len() / 2]).cloned().collect();
            (Just(all), Just(twice).prop_shuffle())
        }),
        begin in 0_usize..25,
    ) {
        let (in_order, in_any) = (live(), live());
        all.iter().for_each(|sent| sent.send(&in_order));
        check(&in_order, &all);
        shuffled.iter().for_each(|sent| sent.send(&in_any));
        check(&in_any, &all);

        // A part of them came before a start, and that which came last again after it.
        let (before, after) = (live(), live());
        let cut = begin.min(shuffled.len());
        shuffled[..cut].iter().for_each(|sent| sent.send(&before));
        shuffled[cut.saturating_sub(3)..].iter().for_each(|sent| sent.send(&after));
        let restored = after.restore(&snapshot(&before));
        prop_assert!(!restored.is_damaged);
        check(&after, &all);
        prop_assert_eq!(after.stats().bytes, in_any.stats().bytes, "memory is counted as what there is");
    }

    #[test]
    fn what_is_known_already_changes_nothing((all, again) in sent().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))) {
        let live = live();
        all.iter().for_each(|sent| sent.send(&live));
        let before = (live.stats().unchanged, snapshot(&live));
        again.iter().for_each(|sent| sent.send(&live));
        prop_assert_eq!((live.stats().unchanged, snapshot(&live)), (before.0 + again.len() as u64, before.1));
    }
}

#[test]
fn a_value_that_comes_seldom_stays_with_its_age() {
    let live = live();
    let send = |minute: i64, key: Key, value: f64| {
        let mut record = Record::at(Time(minute * 60_000));
        record.set(key, value);
        let (received, id) = (Time(minute * 60_000), RecordId(minute as u64));
        live.update(&Update { tenant: "t", device: "a", record: &record, received, id, protocol: "test" });
    };
    send(0, Key::TemperatureN(1), -18.5);
    (1..10).for_each(|minute| send(minute, Key::PositionSpeed, minute as f64));
    let state = live.device("t", "a", &Groups::All, Time(0)).expect("it is known");
    let values: Vec<_> = state.values.iter().map(|known| (known.key, known.value.clone(), known.time.0)).collect();
    assert_eq!(
        values,
        [(Key::PositionSpeed, Value::Float(9.0), 540_000), (Key::TemperatureN(1), Value::Float(-18.5), 0)]
    );
}

#[test]
fn long_values_are_cut_and_counted() {
    let live = live();
    let mut record = Record::at(Time(0));
    record.set(Key::DeviceCommandResult, "x".repeat(300));
    (0..70).for_each(|code| record.push(Key::ObdDtc, Item::Text(format!("P{code:04}").into())));
    let update =
        Update { tenant: "t", device: "a", record: &record, received: Time(0), id: RecordId(1), protocol: "test" };
    live.update(&update);
    let state = live.device("t", "a", &Groups::All, Time(0)).expect("it is known");
    let codes = (0..64).map(|code| Item::Text(format!("P{code:04}").into())).collect();
    let values: Vec<_> = state.values.into_iter().map(|known| known.value).collect();
    assert_eq!(values, [Value::Text("x".repeat(256).into()), Value::List(codes)]);
    assert_eq!(live.stats().cut, 2);
}
