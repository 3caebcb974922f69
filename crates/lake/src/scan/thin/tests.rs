//! Whatever was sent, what is left shows how each step was.

use super::*;
use crate::rows::{Row, Rows};
use crate::scan::stored;
use datafusion::arrow::datatypes::Schema;
use odograph_model::{Alarm, Item, Record, RecordId};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a device said at a moment: of each kind something or nothing.
#[derive(Debug, Clone)]
struct Said {
    device: &'static str,
    second: i64,
    speed: Option<i64>,
    satellites: Option<i64>,
    door: Option<bool>,
    driver: Option<u8>,
    alarm: Option<Alarm>,
}

impl Said {
    fn record(&self) -> Record {
        let mut record = at(self.second);
        record.set_some(Key::PositionSpeed, self.speed.map(|speed| speed as f64));
        record.set_some(Key::PositionSatellites, self.satellites);
        record.set_some(Key::DoorStatus, self.door);
        record.set_some(Key::DriverId, self.driver.map(|driver| driver.to_string()));
        if let Some(alarm) = self.alarm {
            record.alarm(alarm);
        }
        record
    }
}

fn said() -> impl Strategy<Value = Vec<Said>> {
    let device = prop_oneof![Just("a"), Just("b")];
    let number = || proptest::option::of(-3_i64..3);
    let door = proptest::option::of(any::<bool>());
    let driver = proptest::option::of(0_u8..3);
    let alarm = prop_oneof![4 => Just(None::<Alarm>), 1 => Just(Some(Alarm::Sos)), 1 => Just(Some(Alarm::PowerCut))];
    let one = (device, 0_i64..300, number(), number(), door, driver, alarm);
    proptest::collection::vec(one, 1..120).prop_map(|all| {
        let one = |(device, second, speed, satellites, door, driver, alarm)| Said {
            device,
            second,
            speed,
            satellites,
            door,
            driver,
            alarm,
        };
        let mut all: Vec<Said> = all.into_iter().map(one).collect();
        all.sort_by_key(|said| (said.device, said.second));
        all
    })
}

fn at(second: i64) -> Record {
    Record::at(Time(1000 * second))
}

/// Records as rows, with their places as ids.
fn batch(all: &[(&str, Record)]) -> RecordBatch {
    let mut rows = Rows::default();
    for (place, (device, record)) in all.iter().enumerate() {
        let (time, id) = (record.time.expect("they have one"), RecordId(place as u64));
        rows.push(&Row { device, time, received: time, id, protocol: "test", record });
    }
    rows.batch().expect("rows make a batch")
}

fn places(rows: &RecordBatch) -> Vec<usize> {
    stored(rows).expect("they are rows of records").map(|record| record.id.0 as usize).collect()
}

/// The places of what is left of rows that come in these parts.
fn thinned(rows: &RecordBatch, step_s: u32, cuts: &[usize]) -> Vec<usize> {
    let (mut thin, mut left, mut begin) = (Thin::new(step_s), Vec::new(), 0);
    for end in cuts.iter().copied().chain([rows.num_rows()]) {
        let part = rows.slice(begin, end - begin);
        left.extend(places(&thin.take(&part).expect("they are rows of records")));
        begin = end;
    }
    while let Some(rest) = thin.rest().expect("they were rows of records") {
        left.extend(places(&rest));
    }
    left
}

/// Those of a step that say something else than the last one that said anything.
fn others<T: PartialEq>(step: &[usize], value: impl Fn(usize) -> Option<T>) -> Vec<usize> {
    let known = |place: usize| step.iter().rev().filter(|before| **before < place).find_map(|before| value(*before));
    let is_other = |place: &usize| value(*place).is_some_and(|now| known(*place) != Some(now));
    step.iter().copied().filter(is_other).collect()
}

const STEP_S: u32 = 60;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ends_peaks_changes_and_alarms_of_each_step_are_left(
        all in said(),
        cuts in proptest::collection::vec(0_usize..120, 0..4),
    ) {
        let rows = batch(&all.iter().map(|said| (said.device, said.record())).collect::<Vec<_>>());
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
        cuts.sort_unstable();
        let left = thinned(&rows, STEP_S, &cuts);
        prop_assert_eq!(&left, &thinned(&rows, STEP_S, &[]), "however they are cut");
        prop_assert!(left.windows(2).all(|two| two[0] < two[1]), "in their order, each once: {left:?}");
        let mut steps: BTreeMap<(&str, i64), Vec<usize>> = BTreeMap::new();
        for (place, said) in all.iter().enumerate() {
            steps.entry((said.device, said.second / i64::from(STEP_S))).or_default().push(place);
        }
        for step in steps.values() {
            let kept: Vec<usize> = step.iter().copied().filter(|place| left.contains(place)).collect();
            prop_assert_eq!((kept.first(), kept.last()), (step.first(), step.last()));
            let numbers: [fn(&Said) -> Option<i64>; 2] = [|said| said.speed, |said| said.satellites];
            for number in numbers {
                let peaks = |places: &[usize]| {
                    let values: Vec<i64> = places.iter().filter_map(|place| number(&all[*place])).collect();
                    (values.iter().min().copied(), values.iter().max().copied())
                };
                prop_assert_eq!(peaks(&kept), peaks(step));
            }
            let alarms = step.iter().copied().filter(|place| all[*place].alarm.is_some()).collect();
            let doors = others(step, |place| all[place].door);
            let drivers = others(step, |place| all[place].driver);
            for marked in [alarms, doors, drivers] {
                let there = marked.iter().filter(|place| kept.contains(place)).count();
                prop_assert!(there >= marked.len().min(MARKED_MAX), "{kept:?} of {marked:?}");
            }
            // Whoever goes on within a step reads it from its beginning.
            let rest = rows.slice(step[0], rows.num_rows() - step[0]);
            prop_assert!(left.ends_with(&thinned(&rest, STEP_S, &[])));
        }
    }
}

#[test]
fn what_changes_in_every_row_keeps_few_and_hides_nothing_else() {
    let all: Vec<(&str, Record)> = (0_i64..1000)
        .map(|place| {
            let mut record = at(3 * place);
            record.set(Key::EventCode, place.to_string());
            record.set(Key::DoorStatus, (500..=501).contains(&place));
            record.push(Key::ReeferAlarmCodes, Item::Text("17".into()));
            if place == 700 {
                record.push(Key::ReeferAlarmCodes, Item::Text("18".into()));
            }
            ("a", record)
        })
        .collect();
    let left = thinned(&batch(&all), 3600, &[]);
    for place in [0, 500, 502, 700, 701, 999] {
        assert!(left.contains(&place), "{place}: {left:?}");
    }
    assert_eq!(left.len(), MARKED_MAX + 4, "{left:?}");
}

#[test]
fn bits_are_no_amounts() {
    let all: Vec<(&str, Record)> = [4_i64, 4, 6, 5, 4, 7]
        .into_iter()
        .zip(0..)
        .map(|(bits, second)| {
            let mut record = at(second);
            record.set(Key::Din, bits);
            ("a", record)
        })
        .collect();
    assert_eq!(thinned(&batch(&all), STEP_S, &[]), [0, 2, 3, 4, 5]);
}

#[test]
fn what_is_no_number_is_no_peak_and_columns_that_were_added_count() {
    let rows = batch(&(0..6).map(|second| ("a", at(second))).collect::<Vec<_>>());
    let loads = [Some(f64::NAN), Some(3.0), None, Some(9.0), Some(f64::INFINITY), Some(4.0)];
    let more: ArrayRef = Arc::new(Float64Array::from(loads.to_vec()));
    let field = Arc::new(Field::new("sensor_load", DataType::Float64, true));
    let fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().chain([field]).collect();
    let columns = rows.columns().iter().cloned().chain([more]).collect();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("they are as long as each other");
    assert_eq!(thinned(&rows, STEP_S, &[]), [0, 1, 3, 5]);
}

#[test]
fn a_step_with_more_than_can_be_held_is_cut() {
    let all: Vec<(&str, Record)> = (0..STEP_ROWS_MAX + 4).map(|_| ("a", at(7))).collect();
    let left = thinned(&batch(&all), 3600, &[10_000, 20_000, 65_000]);
    assert_eq!(left, [0, STEP_ROWS_MAX - 1, STEP_ROWS_MAX, STEP_ROWS_MAX + 3]);
}

#[test]
fn a_step_begins_at_a_multiple_of_its_length() {
    let thin = Thin::new(STEP_S);
    for (moment, begin) in [(0, 0), (59_999, 0), (60_000, 60_000), (-1, -60_000), (i64::MIN, i64::MIN)] {
        assert_eq!(thin.begin(Time(moment)), Time(begin));
    }
}
