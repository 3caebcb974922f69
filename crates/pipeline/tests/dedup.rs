//! Each record once, whatever the order, however often it is sent, and across restarts: compared with a set that
//! forgets nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use odograph_model::{RecordId, Time};
use odograph_pipeline::{Candidate, Dedup, Device, Found, History, Known};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What was accepted, as a table keeps it.
#[derive(Default)]
struct Table {
    kept: HashMap<(String, String), Vec<Candidate>>,
    lookups: usize,
    /// A file of this day cannot be read.
    damaged: Option<i32>,
}

impl History for Table {
    type Error = Infallible;

    fn of_day(&mut self, device: Device<'_>, day: i32) -> Result<Found, Infallible> {
        self.lookups += 1;
        if self.damaged == Some(day) {
            return Ok(Found { ids: Vec::new(), is_damaged: true });
        }
        Ok(self.ids(device, |record| record.time.0.div_euclid(DAY_MS) == i64::from(day)).into())
    }

    fn of_wrong_clock(&mut self, device: Device<'_>) -> Result<Found, Infallible> {
        self.lookups += 1;
        Ok(self.ids(device, |record| record.claimed.is_some_and(|claimed| claimed != record.time)).into())
    }
}

impl Table {
    fn ids(&self, device: Device<'_>, wanted: impl Fn(&Candidate) -> bool) -> Vec<RecordId> {
        let kept = self.kept.get(&(device.tenant.to_owned(), device.id.to_owned()));
        kept.into_iter().flatten().filter(|record| wanted(record)).map(|record| record.id).collect()
    }

    /// What a new process is told.
    fn restored(&self) -> Dedup {
        let mut dedup = Dedup::default();
        for ((tenant, id), kept) in &self.kept {
            let greatest = |wanted: fn(&Candidate) -> bool| {
                kept.iter().filter(|record| wanted(record)).map(|record| record.time).max()
            };
            let known = Known {
                by_device: greatest(|record| record.claimed == Some(record.time)),
                by_receipt: greatest(|record| record.claimed.is_none()),
                wrong_until: kept
                    .iter()
                    .filter_map(|record| record.claimed.filter(|claimed| *claimed != record.time))
                    .max(),
            };
            dedup.restore(Device { tenant, id }, known);
        }
        dedup
    }
}

/// One record on its way.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The record of that number, received at a minute; some numbers' clocks are wrong when they come early.
    Send { device: u8, number: u8, minute: u16 },
    /// The process ends, and another one goes on.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let send = (0..3u8, 0..60u8, 0..6000u16);
    let send = send.prop_map(|(device, number, minute)| Step::Send { device, number, minute });
    prop::collection::vec(prop_oneof![40 => send, 1 => Just(Step::Restart)], 1..300)
}

/// The record as it is after the clock window: the same number always claims the same.
fn candidate(device: u8, number: u8, minute: u16) -> Candidate {
    let received = Time(i64::from(minute) * 60_000);
    // Every fifth record says nothing of its time, every seventh claims one that can be only if it comes late.
    let claimed = (!number.is_multiple_of(5)).then(|| Time(i64::from(number / 2) * DAY_MS / 8));
    let fits = claimed.filter(|claimed| !number.is_multiple_of(7) || received >= *claimed);
    let content = u64::from(device) << 32 | u64::from(number);
    let id = if claimed.is_some() { content } else { content | u64::from(minute) << 8 | 1 << 63 };
    Candidate { id: RecordId(id), time: fits.unwrap_or(received), claimed }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn as_a_set_that_forgets_nothing(steps in steps()) {
        let (mut table, mut dedup, mut seen) = (Table::default(), Dedup::default(), HashSet::new());
        for step in steps {
            let Step::Send { device, number, minute } = step else {
                dedup = table.restored();
                continue;
            };
            let (name, record) = (device.to_string(), candidate(device, number, minute));
            let new = dedup.is_new(Device { tenant: "t", id: &name }, record, &mut table).unwrap();
            prop_assert_eq!(new, seen.insert((name.clone(), record.id)), "{:?} of {}", record, name);
            if new {
                table.kept.entry(("t".to_owned(), name)).or_default().push(record);
            }
        }
    }
}

#[test]
fn what_comes_in_order_is_never_looked_up_and_a_backlog_once_a_day() {
    let (mut table, mut dedup) = (Table::default(), Dedup::default());
    let device = Device { tenant: "t", id: "d" };
    let send = |dedup: &mut Dedup, table: &mut Table, minute: i64| {
        let time = Time(minute * 60_000);
        let record = Candidate { id: RecordId(minute.cast_unsigned()), time, claimed: Some(time) };
        let new = dedup.is_new(device, record, table).unwrap();
        if new {
            table.kept.entry(("t".to_owned(), "d".to_owned())).or_default().push(record);
        }
        new
    };
    for minute in 10_000..20_000 {
        assert!(send(&mut dedup, &mut table, minute));
        assert!(!send(&mut dedup, &mut table, minute), "sent again at once");
    }
    assert_eq!(table.lookups, 0);
    // Three days, newest first, each record twice.
    for minute in (5_680..10_000).rev() {
        assert!(send(&mut dedup, &mut table, minute));
        assert!(!send(&mut dedup, &mut table, minute));
    }
    assert_eq!(table.lookups, 4, "the days of minutes 5,680 to 9,999");
}

#[test]
fn a_clock_that_once_began_in_1980_costs_nothing_afterwards_and_one_that_was_ahead_one_look() {
    let day = |number: i64| Time(number * DAY_MS);
    let record = |id: u64, time: Time, claimed: Time| Candidate { id: RecordId(id), time, claimed: Some(claimed) };
    for (wrong, looks) in [(day(3_657), 0), (day(40_000), 1)] {
        let (mut table, mut dedup) = (Table::default(), Dedup::default());
        let device = Device { tenant: "t", id: "d" };
        let mut send = |dedup: &mut Dedup, record: Candidate| {
            let before = table.lookups;
            let new = dedup.is_new(device, record, &mut table).unwrap();
            if new {
                table.kept.entry(("t".to_owned(), "d".to_owned())).or_default().push(record);
            }
            (new, table.lookups - before, table.restored())
        };
        let first = send(&mut dedup, record(1, day(20_000), wrong));
        assert_eq!((first.0, first.1), (true, 1), "that it is nowhere on the day that it claims");
        // In order, in this process and in the next one.
        let mut all = 0;
        for (process, mut dedup) in [dedup, first.2].into_iter().enumerate() {
            for minute in 0..1000 {
                let time = Time(day(20_001 + process as i64).0 + minute * 60_000);
                let (new, count, _) = send(&mut dedup, record(time.0.cast_unsigned(), time, time));
                assert!(new);
                all += count;
            }
        }
        assert_eq!(all, 2 * looks, "a claim of {wrong}");
        let (new, ..) = send(&mut Dedup::default(), record(1, wrong, wrong));
        assert!(new, "a process that was told nothing");
    }
}

#[test]
fn records_of_a_day_that_cannot_be_looked_up_are_taken_for_new_once_and_counted() {
    let mut table = Table { damaged: Some(0), ..Table::default() };
    let (mut dedup, device) = (Dedup::default(), Device { tenant: "t", id: "d" });
    let record = |id: u64, minute: i64| {
        let time = Time(minute * 60_000);
        Candidate { id: RecordId(id), time, claimed: Some(time) }
    };
    let mut is_new = |id, minute| dedup.is_new(device, record(id, minute), &mut table).unwrap();
    assert!(is_new(100, 3_000), "the third day begins");
    assert_eq!([is_new(1, 10), is_new(2, 20), is_new(1, 10)], [true, true, false], "the first day is damaged");
    assert_eq!([is_new(3, 1_500), is_new(3, 1_500)], [true, false], "the second is not");
    assert_eq!((dedup.unsure(), table.lookups), (2, 2));
}

#[test]
fn a_device_whose_history_became_another_is_known_by_what_it_is_now() {
    let (mut table, mut dedup) = (Table::default(), Dedup::default());
    let device = Device { tenant: "t", id: "d" };
    let record = |id: u64, minute: i64| {
        let time = Time(minute * 60_000);
        Candidate { id: RecordId(id), time, claimed: Some(time) }
    };
    let keep = |table: &mut Table, records: &[Candidate]| {
        table.kept.insert(("t".to_owned(), "d".to_owned()), records.to_vec());
    };
    let then = [record(1, 600), record(2, 620), record(3, 5_000)];
    for record in then {
        assert!(dedup.is_new(device, record, &mut table).unwrap());
    }
    keep(&mut table, &then);
    assert!(!dedup.is_new(device, then[0], &mut table).unwrap());
    // Two hours earlier, all of them, under other ids.
    let now = [record(11, 480), record(12, 500), record(13, 4_880)];
    keep(&mut table, &now);
    let known = Known { by_device: Some(now[2].time), ..Known::default() };
    dedup.renew([(device, known)]);
    for record in now {
        assert!(!dedup.is_new(device, record, &mut table).unwrap(), "sent again, as it is read now: {record:?}");
    }
    assert!(dedup.is_new(device, record(14, 4_900), &mut table).unwrap(), "newer than what there is now");
    assert!(dedup.is_new(device, then[0], &mut table).unwrap(), "what is gone is not known any more");
}

#[test]
fn what_a_device_sent_to_another_gateway_is_known_once_that_is_told() {
    let (mut table, mut dedup) = (Table::default(), Dedup::default());
    let device = |id: &'static str| Device { tenant: "t", id };
    let record = |id: u64, minute: i64| {
        let time = Time(minute * 60_000);
        Candidate { id: RecordId(id), time, claimed: Some(time) }
    };
    let send = |dedup: &mut Dedup, table: &mut Table, of: &'static str, record: Candidate| {
        let new = dedup.is_new(device(of), record, table).unwrap();
        if new {
            table.kept.entry(("t".to_owned(), of.to_owned())).or_default().push(record);
        }
        new
    };
    for of in ["moved", "stays"] {
        assert!(send(&mut dedup, &mut table, of, record(1, 5_000)));
        assert!(send(&mut dedup, &mut table, of, record(2, 100)), "a day is looked up");
    }
    // To the other one it sent newer ones, one of the very time that this one has, and one of the day that was looked up here.
    let there = [record(11, 5_000), record(12, 5_060), record(13, 120)];
    table.kept.get_mut(&("t".to_owned(), "moved".to_owned())).unwrap().extend(there);
    let known = Known { by_device: Some(there[1].time), ..Known::default() };
    dedup.learn([(device("moved"), known)]);
    for record in there {
        assert!(!send(&mut dedup, &mut table, "moved", record), "sent again: {record:?}");
    }
    assert!(!send(&mut dedup, &mut table, "moved", record(1, 5_000)), "what came by here is known as before");
    assert!(send(&mut dedup, &mut table, "moved", record(14, 5_060)), "another one of the same time");
    let before = table.lookups;
    assert!(send(&mut dedup, &mut table, "moved", record(15, 5_070)), "newer ones");
    assert!(send(&mut dedup, &mut table, "stays", record(3, 110)), "a day that was looked up before");
    assert_eq!(table.lookups, before, "cost nothing, and of other devices nothing is looked up again");
    dedup.learn([(device("moved"), Known { by_device: Some(there[1].time), ..Known::default() })]);
    assert!(send(&mut dedup, &mut table, "moved", record(16, 5_070)), "what is told late takes nothing back");
    assert_eq!(table.lookups, before);
}

#[test]
fn a_claim_that_could_not_be_at_another_gateway_is_known_once_that_is_told() {
    let (mut table, mut dedup) = (Table::default(), Dedup::default());
    let device = Device { tenant: "t", id: "d" };
    let (claimed, received) = (Time(40_000 * DAY_MS), Time(20_000 * DAY_MS));
    let there = Candidate { id: RecordId(1), time: received, claimed: Some(claimed) };
    table.kept.insert(("t".to_owned(), "d".to_owned()), vec![there]);
    dedup.learn([(device, Known { wrong_until: Some(claimed), ..Known::default() })]);
    assert!(!dedup.is_new(device, Candidate { time: claimed, ..there }, &mut table).unwrap());
}
