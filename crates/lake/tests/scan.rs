//! Exports read rows in order, each once, whatever is in files, waits, or comes from elsewhere.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use odograph_env::Disk;
use odograph_lake::{Besides, Options, Order, Parameters, Reached, Row, Scan, Wanted, Writer, stored};
use odograph_model::{AccessPoint, Cell, Item, Key, Lsn, Record, RecordId, Time};
use odograph_testkit::{FaultDisk, TestClock};
use std::path::Path;
use std::sync::Arc;

/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 60 * 60 * 1000;

fn open(disk: &FaultDisk) -> Writer {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Writer::open(disk, Arc::new(TestClock::new(NOW)), Path::new("/data/lake"), Options::default()).unwrap()
}

/// The record of a number: of one of four devices, each hour one.
fn record(number: u64) -> (String, Record) {
    let mut record = Record::at(Time(NOW + i64::try_from(number).unwrap() * HOUR_MS));
    record.set(Key::PositionSpeed, number as f64 / 3.0);
    if number.is_multiple_of(2) {
        record.set(Key::TemperatureN(1), -18.5);
    }
    record.raw("n", number.to_string().as_str());
    (format!("device-{}", number % 4), record)
}

fn with_row<T>(number: u64, take: impl FnOnce(&Row<'_>) -> T) -> T {
    let (device, record) = record(number);
    let time = record.time.unwrap();
    let received = time.plus_ms(10 * 24 * HOUR_MS * i64::from(number.is_multiple_of(3)));
    take(&Row { device: &device, time, received, id: RecordId(number), protocol: "test", record: &record })
}

/// A hundred records in no order, of which some are in files and some wait.
fn filled() -> Writer {
    let mut writer = open(&FaultDisk::new());
    for place in 0..100 {
        let number = place * 37 % 100;
        with_row(number, |row| writer.push("default", row, Lsn(place)).unwrap());
        if [20, 40, 60].contains(&number) {
            writer.flush(Lsn(place + 1), true).unwrap();
        }
    }
    writer
}

/// What comes, as device and number.
fn numbers(scan: &mut Scan) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    while let Some(rows) = scan.next_rows().unwrap() {
        assert_eq!(rows.schema(), *scan.schema());
        all.extend(stored(&rows).unwrap().map(|record| (record.device.to_owned(), record.id.0)));
    }
    all
}

fn scan(writer: &Writer, wanted: Wanted) -> Scan {
    writer.lake().scan(None, wanted, Besides::default(), |_, _| true).unwrap()
}

fn by_day(number: &u64) -> (u64, u64, u64) {
    (number / 24, number % 4, *number)
}

fn named(numbers: impl IntoIterator<Item = u64>) -> Vec<(String, u64)> {
    numbers.into_iter().map(|number| (format!("device-{}", number % 4), number)).collect()
}

#[test]
fn rows_come_by_day_device_and_time_or_by_device_however_they_are_cut() {
    let writer = filled();
    for part_rows in [7, 50, 0] {
        let mut days = scan(&writer, Wanted { part_rows, ..Wanted::default() });
        assert_eq!(days.reached(), Reached { done: 0, of: 5 });
        let mut expected: Vec<u64> = (0..100).collect();
        expected.sort_by_key(by_day);
        assert_eq!(numbers(&mut days), named(expected.clone()), "{part_rows} rows at a time");
        assert_eq!(days.reached(), Reached { done: 5, of: 5 });
        let mut devices = scan(&writer, Wanted { part_rows, order: Order::Device, ..Wanted::default() });
        expected.sort_by_key(|number| (number % 4, *number));
        assert_eq!(numbers(&mut devices), named(expected), "{part_rows} rows at a time");
        assert_eq!(devices.reached(), Reached { done: 4, of: 4 });
    }
}

#[test]
fn rows_are_chosen_by_device_time_parameter_and_tenant() {
    let writer = filled();
    let devices = vec!["device-1".into(), "device-9".into()];
    let at = |number: i64| Some(Time(NOW + number * HOUR_MS));
    let wanted = Wanted { devices, from: at(9), to: at(21), ..Wanted::default() };
    assert_eq!(numbers(&mut scan(&writer, wanted)), named([9, 13, 17]));
    let cold = Parameters { keys: vec![Key::Din, Key::TemperatureN(1)], raw: false };
    let wanted = Wanted { parameters: Some(cold.clone()), to: at(6), ..Wanted::default() };
    let mut some = scan(&writer, wanted);
    let names: Vec<&str> = some.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["device", "time", "received", "id", "protocol", "day", "din", "temperature_1"]);
    assert_eq!(numbers(&mut some), named([0, 4, 2]));
    let wanted = Wanted { parameters: Some(cold), without_them: true, to: at(6), ..Wanted::default() };
    assert_eq!(numbers(&mut scan(&writer, wanted)), named([0, 4, 1, 5, 2, 3]));
    let lake = writer.lake();
    let mut other = lake.scan(Some("other"), Wanted::default(), Besides::default(), |_, _| true).unwrap();
    assert_eq!(numbers(&mut other), []);
    let shown = |_: &str, device: &str| device != "device-0";
    let mut hidden = lake.scan(Some("default"), Wanted { to: at(6), ..Wanted::default() }, Besides::default(), shown);
    assert_eq!(numbers(hidden.as_mut().unwrap()), named([1, 5, 2, 3]));
}

#[test]
fn rows_from_elsewhere_come_in_their_place_and_none_twice() {
    let writer = filled();
    let mut besides = Besides::default();
    for number in [98, 99, 100, 101, 100] {
        with_row(number, |row| besides.push("default", row).unwrap());
    }
    // Of a tenant that the lake does not know. A row of another time is not chosen, wherever it comes from.
    with_row(97, |row| besides.push("another", &Row { id: RecordId(700), ..*row }).unwrap());
    with_row(7, |row| besides.push("another", &Row { id: RecordId(701), ..*row }).unwrap());
    assert_eq!(besides.count(), 6);
    let wanted = Wanted { from: Some(Time(NOW + 96 * HOUR_MS)), ..Wanted::default() };
    let mut scan = writer.lake().scan(None, wanted, besides, |_, _| true).unwrap();
    let expected = [("device-1".to_owned(), 700)].into_iter().chain(named([96, 100, 97, 101, 98, 99]));
    assert_eq!(numbers(&mut scan), expected.collect::<Vec<_>>());
}

#[test]
fn a_record_comes_back_as_it_was() {
    let mut writer = open(&FaultDisk::new());
    let mut all = Record::at(Time(NOW + 7));
    all.set(Key::PositionLatitude, 0.1 + 0.2);
    all.set(Key::PositionAltitude, -0.0);
    all.set(Key::PositionSpeed, 5e-324);
    all.set(Key::PositionSatellites, i64::MIN);
    all.set(Key::EngineIgnitionStatus, false);
    all.set(Key::EventCode, "\u{0} \"ü\"");
    all.push(Key::Alarm, Item::Text("sos".into()));
    all.push(Key::Alarm, Item::Text("power_cut".into()));
    all.push(
        Key::GsmCells,
        Item::Cell(Cell { mcc: Some(250), mnc: None, lac: Some(0), cid: 1 << 40, signal: Some(-9) }),
    );
    all.push(Key::GsmCells, Item::Cell(Cell { cid: 0, ..Cell::default() }));
    all.push(Key::WifiAccessPoints, Item::AccessPoint(AccessPoint { mac: "00:11".into(), signal: None }));
    all.raw("385", 1_u8);
    all.raw("", "");
    let none = Record::at(Time(NOW + 8));
    let device = "\u{1}<";
    let row = |record, id| Row { device, time: Time(NOW), received: Time(NOW + 9), id, protocol: "test", record };
    for (record, id) in [(&all, RecordId(u64::MAX)), (&none, RecordId(1))] {
        let time = record.time.unwrap();
        writer.push("default", &Row { time, ..row(record, id) }, Lsn(1)).unwrap();
    }
    for _from in ["memory", "a file"] {
        let mut scan = scan(&writer, Wanted::default());
        let rows = scan.next_rows().unwrap().unwrap();
        let json: Vec<_> = stored(&rows).unwrap().map(|it| serde_json::to_value(it.view()).unwrap()).collect();
        let expected = [(&all, RecordId(u64::MAX)), (&none, RecordId(1))].map(|(record, id)| {
            let received = Some((Time(NOW + 9), id));
            let view = odograph_model::RecordView { device: Some(device), protocol: "test", record, received };
            serde_json::to_value(view).unwrap()
        });
        assert_eq!(json, expected);
        let speed = stored(&rows).unwrap().next().unwrap().record.get(Key::PositionAltitude).cloned();
        assert!(matches!(speed, Some(odograph_model::Value::Float(zero)) if zero.is_sign_negative()));
        writer.flush(Lsn(2), true).unwrap();
    }
}
