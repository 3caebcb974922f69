//! The same records in any order and any parts give the same devices.

use super::*;
use crate::rows::Rows;
use odograph_model::{AccessPoint, Alarm, Cell, Item};
use proptest::prelude::*;

/// Whose clock gave a record its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    Device,
    Receipt,
    Wrong,
}

#[derive(Debug, Clone)]
struct Sent {
    id: u64,
    device: &'static str,
    clock: Clock,
    time: i64,
    received: i64,
}

impl Sent {
    fn time(&self) -> i64 {
        if self.clock == Clock::Device { self.time } else { self.received }
    }

    /// What a wrong clock claims.
    fn claim(&self) -> i64 {
        315_964_800_000 + 1000 * self.time
    }

    fn record(&self) -> Record {
        let mut record = Record::at(Time(self.time()));
        record.set(Key::PositionSpeed, self.id as f64);
        if self.clock != Clock::Device {
            record.set(Key::TimeSource, "received");
        }
        if self.clock == Clock::Wrong {
            record.set(Key::DeviceTime, Time(self.claim()).to_string().as_str());
        }
        if self.id.is_multiple_of(2) {
            record.set(Key::EngineIgnitionStatus, true);
            record.raw("385", self.id as i64);
        }
        record
    }

    fn with_row<T>(&self, take: impl FnOnce(&Row<'_>) -> T) -> T {
        let (time, received, record) = (Time(self.time()), Time(self.received), self.record());
        take(&Row { device: self.device, time, received, id: RecordId(self.id), protocol: "test", record: &record })
    }
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let clock = prop_oneof![4 => Just(Clock::Device), 1 => Just(Clock::Receipt), 1 => Just(Clock::Wrong)];
    let one = (prop_oneof![Just("a"), Just("b")], clock, 0_i64..20, 0_i64..20);
    proptest::collection::vec(one, 0..40).prop_map(|all| {
        let one = |(id, (device, clock, time, received))| Sent { id: id as u64, device, clock, time, received };
        all.into_iter().enumerate().map(one).collect()
    })
}

/// What must be known of a device, said in another way than the code says it.
fn expected(all: &[Sent], device: &str) -> Option<(u64, i64, i64, i64, Option<u64>)> {
    let of: Vec<_> = all.iter().filter(|sent| sent.device == device).collect();
    let greatest = |f: fn(&Sent) -> i64| of.iter().map(|sent| f(sent)).max();
    let order = |sent: &&&Sent| (sent.time(), sent.received, sent.id);
    let best = of.iter().filter(|sent| sent.clock != Clock::Wrong).max_by_key(order);
    let wrong = of.iter().filter(|sent| sent.clock == Clock::Wrong).max_by_key(order);
    let sound = of.iter().filter(|sent| sent.clock != Clock::Wrong).map(|sent| sent.received).max();
    let latest = wrong.filter(|wrong| sound < Some(wrong.received)).or(best);
    let first = of.iter().map(|sent| sent.time()).min()?;
    Some((of.len() as u64, first, greatest(Sent::time)?, greatest(|sent| sent.received)?, latest.map(|sent| sent.id)))
}

fn check(devices: &Devices, all: &[Sent]) {
    for name in ["a", "b"] {
        let mut found = None;
        each(&[devices], shard_of(name), Some(name), |_, device| {
            let latest = device.latest().map(|latest| {
                let (protocol, record) = latest.record(&packed::Wanted::all()).expect("what was packed is read");
                let sent = all.iter().find(|sent| sent.id == latest.order.id.0).expect("it was sent");
                assert_eq!((protocol, sorted(&record)), ("test", sorted(&sent.record())));
                latest.order.id.0
            });
            let number = |time: Option<Time>| time.expect("it has records").0;
            let Device { count, first, last, received, .. } = device;
            found = Some((*count, number(*first), number(*last), number(*received), latest));
        });
        assert_eq!(found, expected(all, name), "device {name}");
        let by = |clock| all.iter().filter(|sent| sent.device == name && sent.clock == clock).map(Sent::time).max();
        let claims =
            |name| all.iter().filter(|sent| sent.device == name && sent.clock == Clock::Wrong).map(Sent::claim).max();
        let known = devices.known("t").find(|known| known.device == name);
        assert_eq!(
            known.map(|known| (
                known.by_device.map(|time| time.0),
                known.by_receipt.map(|time| time.0),
                known.wrong_until.map(|time| time.0)
            )),
            found.map(|_| (by(Clock::Device), by(Clock::Receipt), claims(name)))
        );
    }
}

fn sorted(record: &Record) -> (Option<Time>, Vec<(Key, odograph_model::Value)>, Vec<String>) {
    let mut values = record.values().to_vec();
    values.sort_by_key(|(key, _)| *key);
    (record.time, values, record.raw_values().iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// Rows as they come out of a file: by device and time.
fn batch(mut sent: Vec<Sent>) -> RecordBatch {
    sent.sort_by_key(|sent| (sent.device, sent.time()));
    let mut rows = Rows::default();
    sent.iter().for_each(|sent| {
        sent.with_row(|row| {
            rows.push(row);
        });
    });
    rows.batch().expect("rows make a batch")
}

proptest! {
    #[test]
    fn order_and_parts_make_no_difference(
        (all, mixed) in sent().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        cuts in proptest::collection::vec(0_usize..40, 3),
    ) {
        let mut pushed = Devices::default();
        all.iter().for_each(|sent| sent.with_row(|row| pushed.push(row)));
        check(&pushed, &all);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(mixed.len())).chain([0, mixed.len()]).collect();
        cuts.sort_unstable();
        let mut merged = Devices::default();
        for (number, cut) in cuts.windows(2).enumerate() {
            let mut part = Devices::default();
            let sent = &mixed[cut[0]..cut[1]];
            if number % 2 == 0 {
                sent.iter().for_each(|sent| sent.with_row(|row| part.push(row)));
            } else {
                part.push_batch(&batch(sent.to_vec())).expect("these are rows of records");
            }
            if number % 3 == 0 {
                part.merge(std::mem::take(&mut merged));
                merged = part;
            } else {
                merged.merge(part);
            }
        }
        prop_assert_eq!(&merged, &pushed);
    }
}

#[test]
fn a_clock_that_was_wrong_hides_nothing_that_came_with_it_or_later() {
    let sent = |id, clock, time, received| Sent { id, device: "a", clock, time, received };
    // Out of coverage: a record before the clock was set, one after it, both delivered together.
    let together = [sent(1, Clock::Wrong, 0, 100), sent(2, Clock::Device, 90, 100)];
    assert_eq!(expected(&together, "a").and_then(|found| found.4), Some(2));
    // The clock breaks for good: what comes from then on is the latest that there is.
    let broken = [sent(1, Clock::Device, 90, 100), sent(2, Clock::Wrong, 0, 200), sent(3, Clock::Wrong, 0, 300)];
    assert_eq!(expected(&broken, "a").and_then(|found| found.4), Some(3));
    for all in [&together[..], &broken] {
        let mut devices = Devices::default();
        all.iter().for_each(|sent| sent.with_row(|row| devices.push(row)));
        check(&devices, all);
    }
}

#[test]
fn a_record_with_everything_is_packed_and_read_again() {
    let mut record = Record::at(Time(5));
    record.set(Key::PositionLatitude, -48.25);
    record.set(Key::PositionSatellites, i64::MIN);
    record.set(Key::TemperatureN(NUMBER), -18.5);
    record.alarm(Alarm::Sos);
    record.push(
        Key::GsmCells,
        Item::Cell(Cell { mcc: Some(250), lac: None, cid: u64::MAX, signal: Some(-7), mnc: None }),
    );
    record.push(Key::WifiAccessPoints, Item::AccessPoint(AccessPoint { mac: "00:11".into(), signal: None }));
    record.set(Key::EventCode, "9");
    record.raw("385", "with = and \u{1F69B}");
    let packed = Packed::new("teltonika", &record);
    let (protocol, mut read) = packed.record(&packed::Wanted::all()).expect("it is read");
    read.time = Some(Time(5));
    assert_eq!((protocol, sorted(&read)), ("teltonika", sorted(&record)));
    let few = packed::Wanted::these([Key::PositionLatitude], false);
    let (_, read) = packed.record(&few).expect("it is read");
    assert_eq!((read.values().len(), read.raw_values().len()), (1, 0));
    for length in 0..packed.0.len() {
        let cut = Packed(packed.0[..length].into());
        assert!(cut.record(&packed::Wanted::all()).is_none(), "cut at {length}");
    }
}

/// A place of the last kind.
const NUMBER: u8 = 64;
