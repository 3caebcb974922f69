//! The parameters of a full record: `NAME:TYPE:VALUE`, separated by commas.
//!
//! Names are free. Those that the maker defines and those that devices agree upon get their place in the dictionary,
//! whatever their case; all others are kept under the device's own name. The type (1 whole number, 2 number, 3 text)
//! adds nothing that the value does not show.

use super::point::stated;
use crate::Out;
use crate::absent::is_blank_text;
use compact_str::CompactString;
use odograph_model::{AccessPoint, Alarm, Cell, Item, Key, NUMBER_MAX, Record, Value};
use odograph_wire::text::number;
use std::cmp::Ordering;

/// Reads the parameters of `text`, which begins at `at` of the frame.
pub(super) fn read<'x, 't: 'x>(text: &'x str, at: usize, record: &mut Record, out: &mut Out<'t>) {
    let mut list = out.fields(text, at, ',');
    let mut radio: Option<Radio<'_>> = None;
    while let Ok(parameter) = list.text("parameter") {
        match parts(parameter) {
            Some((_, "")) => {}
            Some((name, value)) => store(name, value, record, &mut radio),
            None if parameter.trim().is_empty() => {}
            None => {
                out.note("a parameter that is not NAME:TYPE:VALUE");
                record.raw("parameter", parameter);
            }
        }
    }
    if let Some(radio) = radio {
        radio.store(record);
    }
}

fn parts(parameter: &str) -> Option<(&str, &str)> {
    let (name, typed) = parameter.split_once(':')?;
    let (kind, value) = typed.split_once(':')?;
    let known = !kind.is_empty() && kind.bytes().all(|digit| digit.is_ascii_digit());
    (known && !name.trim().is_empty()).then_some((name.trim(), value))
}

fn store<'x>(name: &'x str, value: &'x str, record: &mut Record, radio: &mut Option<Radio<'x>>) {
    let mut buffer = [0; NAME_MAX];
    let placed = lowered(name, &mut buffer).is_some_and(|lower| {
        (lower.ends_with(|last: char| last.is_ascii_digit()) && numbered(lower, name, value, record, radio))
            || named(lower, name, value, record, radio)
    });
    if !placed {
        record.raw(name, value);
    }
}

/// The longest name in the tables, with two digits behind it.
const NAME_MAX: usize = 24;

fn lowered<'b>(name: &str, buffer: &'b mut [u8; NAME_MAX]) -> Option<&'b str> {
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}

/// Names that end with a number.
fn numbered<'x>(
    lower: &str,
    name: &'x str,
    value: &'x str,
    record: &mut Record,
    radio: &mut Option<Radio<'x>>,
) -> bool {
    let stem = lower.trim_end_matches(|last: char| last.is_ascii_digit());
    let Some(number) = lower.strip_prefix(stem).and_then(|digits| digits.parse().ok()) else { return false };
    if let Ok(row) = NUMBERED.binary_search_by(|(known, ..)| by_length(known, stem)) {
        let key = NUMBERED.get(row).filter(|_| (1..=NUMBER_MAX).contains(&number));
        return key.is_some_and(|(_, kind, key)| kind.store(key(number), value, record));
    }
    match radio_part(stem) {
        Some(part) => radio.get_or_insert_default().take(part, number.into(), name, value),
        None => false,
    }
}

/// Names without a number, and those that end with a digit that counts nothing.
fn named<'x>(lower: &str, name: &'x str, value: &'x str, record: &mut Record, radio: &mut Option<Radio<'x>>) -> bool {
    if let Ok(row) = NAMES.binary_search_by(|(known, ..)| by_length(known, lower)) {
        return NAMES.get(row).is_some_and(|(_, kind, key)| kind.store(*key, value, record));
    }
    match radio_part(lower) {
        Some(part) => radio.get_or_insert_default().take(part, 0, name, value),
        None => false,
    }
}

/// The order of the tables. Lengths are compared first because that is quicker, and most names of devices are in no
/// table.
fn by_length(known: &str, name: &str) -> Ordering {
    known.len().cmp(&name.len()).then_with(|| known.cmp(name))
}

/// How a value is read.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    /// Thousandths: metres where the dictionary has kilometres.
    Thousandth,
    /// Milliseconds where the dictionary has hours.
    Milliseconds,
    /// Volts. Some devices send millivolts under the same names; nothing tells how they count but the size.
    Volts,
    Whole,
    Flag,
    Text,
    /// The number of a key or card; zeros say that there is none.
    Driver,
    /// The emergency button: the maker's own name.
    Button,
}

/// No vehicle has a supply of more volts, and no number of millivolts that a supply can have is smaller.
const VOLTS_MAX: f64 = 1000.0;
const MS_OF_HOUR: f64 = 3_600_000.0;

impl Kind {
    /// Sets `key`, unless the value is of another kind.
    fn store(self, key: Key, value: &str, record: &mut Record) -> bool {
        let Some(value) = stated(value) else { return true };
        match self {
            Self::Text => set(key, Some(value), record),
            Self::Driver => is_blank_text(value) || set(key, Some(value), record),
            Self::Number => set(key, number(value), record),
            Self::Thousandth => set(key, number(value).map(|value| value / 1000.0), record),
            Self::Milliseconds => set(key, number(value).map(|value| value / MS_OF_HOUR), record),
            Self::Volts => set(key, number(value).filter(|volts| volts.abs() <= VOLTS_MAX), record),
            Self::Whole => set(key, whole(value), record),
            Self::Flag => set(key, flag(value), record),
            Self::Button => {
                let pressed = flag(value);
                if pressed == Some(true) {
                    record.alarm(Alarm::Sos);
                }
                set(key, pressed, record)
            }
        }
    }
}

fn set(key: Key, value: Option<impl Into<Value>>, record: &mut Record) -> bool {
    let fits = value.is_some();
    record.set_some(key, value);
    fits
}

/// A whole number, be it with zeros behind a point.
fn whole(value: &str) -> Option<i64> {
    let digits = match value.split_once('.') {
        Some((digits, zeros)) if zeros.bytes().all(|digit| digit == b'0') => digits,
        Some(_) => return None,
        None => value,
    };
    digits.parse().ok()
}

fn flag(value: &str) -> Option<bool> {
    match whole(value) {
        Some(0) => Some(false),
        Some(1) => Some(true),
        None if value.eq_ignore_ascii_case("false") => Some(false),
        None if value.eq_ignore_ascii_case("true") => Some(true),
        _ => None,
    }
}

/// What a parameter was called and what it says.
type Named<'x> = Option<(&'x str, &'x str)>;

/// Cells and access points: each is spread over several parameters with the same number. The maker counts from 1; some
/// devices know one cell, without a number.
#[derive(Default)]
struct Radio<'x>([[Named<'x>; 6]; 10]);

/// The place of a name in [`Radio`].
fn radio_part(stem: &str) -> Option<usize> {
    match stem {
        "mcc" => Some(0),
        "mnc" => Some(1),
        "lac" => Some(2),
        "cell_id" => Some(3),
        "wifi_mac_" => Some(4),
        "wifi_rssi_" => Some(5),
        _ => None,
    }
}

impl<'x> Radio<'x> {
    fn take(&mut self, part: usize, slot: usize, name: &'x str, value: &'x str) -> bool {
        let place = self.0.get_mut(slot).and_then(|parts| parts.get_mut(part)).filter(|place| place.is_none());
        let free = place.is_some();
        if let Some(place) = place {
            *place = Some((name, value));
        }
        free
    }

    /// Sets what is complete; the rest is kept under its own names.
    fn store(self, record: &mut Record) {
        for [mcc, mnc, lac, cell, mac, signal] in self.0 {
            match cell_of([mcc, mnc, lac, cell]) {
                Some(cell) => record.push(Key::GsmCells, Item::Cell(cell)),
                None => keep([mcc, mnc, lac, cell], record),
            }
            match access_point(mac, signal) {
                Some(point) => record.push(Key::WifiAccessPoints, Item::AccessPoint(point)),
                None => keep([mac, signal], record),
            }
        }
    }
}

fn keep<const N: usize>(parts: [Named<'_>; N], record: &mut Record) {
    for (name, value) in parts.into_iter().flatten() {
        record.raw(name, value);
    }
}

fn cell_of([mcc, mnc, lac, cell]: [Named<'_>; 4]) -> Option<Cell> {
    let small = |part: Named<'_>| u32::try_from(whole(part?.1.trim())?).ok();
    let cid = u64::try_from(whole(cell?.1.trim())?).ok()?;
    Some(Cell { mcc: Some(small(mcc)?), mnc: Some(small(mnc)?), lac: Some(small(lac)?), cid, signal: None })
}

fn access_point(mac: Named<'_>, signal: Named<'_>) -> Option<AccessPoint> {
    let digits = mac?.1.trim();
    let mut text = CompactString::default();
    for digit in digits.chars().filter(|letter| !matches!(letter, ':' | '-' | '.')) {
        if text.len() % 3 == 2 {
            text.push(':');
        }
        text.push(char::from(u8::try_from(digit).ok().filter(u8::is_ascii_hexdigit)?.to_ascii_lowercase()));
    }
    let signal = match signal {
        Some((_, signal)) => Some(i32::try_from(whole(signal.trim())?).ok()?),
        None => None,
    };
    (text.len() == MAC_LENGTH).then_some(AccessPoint { mac: text, signal })
}

/// Six pairs of digits with colons between them.
const MAC_LENGTH: usize = 17;

/// Names without a number, in lower case: the shorter ones first.
const NAMES: &[(&str, Kind, Key)] = &[
    ("bat", Kind::Number, Key::BatteryLevel),
    ("co2", Kind::Number, Key::Co2Concentration),
    ("gsm", Kind::Number, Key::GsmSignalStrength),
    ("ign", Kind::Flag, Key::EngineIgnitionStatus),
    ("rpm", Kind::Number, Key::EngineRpm),
    ("sat", Kind::Whole, Key::PositionSatellites),
    ("sos", Kind::Button, Key::SosStatus),
    ("vin", Kind::Text, Key::VehicleVin),
    ("belt", Kind::Flag, Key::SeatbeltStatus),
    ("card", Kind::Text, Key::CardId),
    ("door", Kind::Flag, Key::DoorStatus),
    ("fuel", Kind::Number, Key::FuelVolume),
    ("hdop", Kind::Number, Key::PositionHdop),
    ("lock", Kind::Flag, Key::LockStatus),
    ("pdop", Kind::Number, Key::PositionPdop),
    ("rssi", Kind::Number, Key::GsmSignalStrength),
    ("temp", Kind::Number, Key::DeviceTemperature),
    ("type", Kind::Text, Key::DeviceMessageType),
    ("vdop", Kind::Number, Key::PositionVdop),
    ("armed", Kind::Flag, Key::AlarmModeStatus),
    ("event", Kind::Text, Key::EventCode),
    ("hours", Kind::Milliseconds, Key::EngineHours),
    ("iccid", Kind::Text, Key::GsmSimIccid),
    ("index", Kind::Whole, Key::RecordIndex),
    ("input", Kind::Whole, Key::Din),
    ("panic", Kind::Flag, Key::SosStatus),
    ("power", Kind::Volts, Key::ExternalPowerVoltage),
    ("steps", Kind::Whole, Key::PersonSteps),
    ("charge", Kind::Flag, Key::BatteryChargingStatus),
    ("motion", Kind::Flag, Key::MovementStatus),
    ("output", Kind::Whole, Key::Dout),
    ("pwrext", Kind::Volts, Key::ExternalPowerVoltage),
    ("result", Kind::Text, Key::DeviceCommandResult),
    ("status", Kind::Text, Key::StatusCode),
    ("archive", Kind::Flag, Key::RecordArchived),
    ("battery", Kind::Volts, Key::BatteryVoltage),
    ("blocked", Kind::Flag, Key::EngineBlockedStatus),
    ("eng_rpm", Kind::Number, Key::EngineRpm),
    ("mileage", Kind::Number, Key::VehicleMileage),
    ("pwr_ext", Kind::Volts, Key::ExternalPowerVoltage),
    ("pwr_int", Kind::Volts, Key::BatteryVoltage),
    ("roaming", Kind::Flag, Key::GsmRoamingStatus),
    ("runtime", Kind::Number, Key::EngineRuntime),
    ("accuracy", Kind::Number, Key::PositionAccuracy),
    ("distance", Kind::Thousandth, Key::SegmentMileage),
    ("geofence", Kind::Text, Key::GeofenceId),
    ("humidity", Kind::Number, Key::HumidityN(1)),
    ("ignition", Kind::Flag, Key::EngineIgnitionStatus),
    ("odometer", Kind::Thousandth, Key::VehicleMileage),
    ("operator", Kind::Text, Key::GsmOperatorCode),
    ("throttle", Kind::Number, Key::EngineThrottleLevel),
    ("can_speed", Kind::Number, Key::CanVehicleSpeed),
    ("cool_temp", Kind::Number, Key::EngineCoolantTemperature),
    ("emergency", Kind::Flag, Key::SosStatus),
    ("avl_driver", Kind::Driver, Key::DriverId),
    ("engine_rpm", Kind::Number, Key::EngineRpm),
    ("engine_temp", Kind::Number, Key::EngineTemperature),
    ("ignition_on", Kind::Flag, Key::EngineIgnitionStatus),
    ("illuminance", Kind::Number, Key::LightLevel),
    ("acceleration", Kind::Number, Key::Acceleration),
    ("engine_hours", Kind::Number, Key::EngineHours),
    ("engine_coolant_temp", Kind::Number, Key::EngineCoolantTemperature),
];

type Numbered = (&'static str, Kind, fn(u8) -> Key);

/// Names with a number from 1 behind them, in lower case: the shorter ones first.
const NUMBERED: &[Numbered] = &[
    ("in", Kind::Flag, Key::DinN),
    ("adc", Kind::Number, Key::AinN),
    ("out", Kind::Flag, Key::DoutN),
    ("fuel", Kind::Number, Key::FuelVolumeN),
    ("temp", Kind::Number, Key::TemperatureN),
    ("count", Kind::Whole, Key::CounterN),
    ("humidity", Kind::Number, Key::HumidityN),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_fit_the_buffer() {
        assert!(NAMES.is_sorted_by(|a, b| by_length(a.0, b.0).is_lt()));
        assert!(NUMBERED.is_sorted_by(|a, b| by_length(a.0, b.0).is_lt()));
        let mut names = NAMES.iter().map(|row| row.0).chain(NUMBERED.iter().map(|row| row.0));
        assert!(names.all(|name| name.len() + 2 <= NAME_MAX));
    }

    fn record(text: &str) -> String {
        let mut record = Record::new();
        read(text, 0, &mut record, &mut Out::default());
        format!("{:?} {:?}", record.values(), record.raw_values())
    }

    #[test]
    fn what_does_not_fit_its_name_stays_as_it_was_sent() {
        assert_eq!(record("gsm:3:home,pwr_ext:1:13100"), r#"[] [("gsm", "home"), ("pwr_ext", "13100")]"#);
        assert_eq!(record("temp65:1:1,temp0:1:1"), r#"[] [("temp65", "1"), ("temp0", "1")]"#);
        assert_eq!(record("ign:1:,temp1:2:NA"), "[] []");
        assert_eq!(
            record("sat:2:12.0,ign:3:true"),
            "[(PositionSatellites, Int(12)), (EngineIgnitionStatus, Bool(true))] []"
        );
    }
}
