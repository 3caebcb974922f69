//! Parameters that apps add under names of their own: those that platforms agree upon have their place in the
//! dictionary, and all others stay under the app's name.

use crate::Out;
use compact_str::CompactString;
use odograph_model::{Alarm, Item, Key, NUMBER_MAX, Record, Value};

/// Stores what an app calls `name`, and notes it where the value is of another kind than the name.
pub(super) fn store(name: &str, value: &str, record: &mut Record, out: &mut Out<'_>) {
    let value = value.trim();
    if value.is_empty() {
        return;
    }
    let Some((kind, key)) = place(name) else {
        // Numbers of elements that a tracker behind the app has, as a peer calls them.
        let number = name.strip_prefix("io").filter(|digits| digits.parse::<u32>().is_ok());
        return record.raw(number.unwrap_or(name), value);
    };
    if let Err(expected) = kind.store(key, value, record) {
        odd(name, value, expected, record, out);
    }
}

/// Keeps a value that cannot be what its name says.
pub(super) fn odd(name: &str, value: &str, expected: &str, record: &mut Record, out: &mut Out<'_>) {
    out.note(format!("{name}: expected {expected}"));
    record.raw(name, value);
}

/// A finite number.
pub(super) fn number(value: &str) -> Option<f64> {
    value.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// `true` or `false`, `1` or `0`.
pub(super) fn flag(value: &str) -> Option<bool> {
    match whole(value) {
        Some(0) => Some(false),
        Some(1) => Some(true),
        None if value.eq_ignore_ascii_case("false") => Some(false),
        None if value.eq_ignore_ascii_case("true") => Some(true),
        _ => None,
    }
}

/// A whole number, be it with zeros behind a point.
pub(super) fn whole(value: &str) -> Option<i64> {
    let digits = match value.trim().split_once('.') {
        Some((digits, zeros)) if zeros.bytes().all(|digit| digit == b'0') => digits,
        Some(_) => return None,
        None => value.trim(),
    };
    digits.parse().ok()
}

/// The alarms of a list with commas: `lowBattery`, `low_battery`, `powerCut,sos`. Those that nobody knows come back.
pub(super) fn alarms(list: &str, record: &mut Record) -> Vec<CompactString> {
    let mut unknown = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match alarm(name) {
            Some(alarm) => record.alarm(alarm),
            None => unknown.push(name.into()),
        }
    }
    unknown
}

/// The same words, without what tells them apart in one notation and not in the other.
fn alarm(name: &str) -> Option<Alarm> {
    let letters = |name: &str| -> CompactString {
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let wanted = letters(name);
    Alarm::ALL.iter().copied().find(|alarm| letters(alarm.name()) == wanted)
}

fn place(name: &str) -> Option<(Kind, Key)> {
    if let Ok(row) = NAMES.binary_search_by(|(known, ..)| known.cmp(&name)) {
        return NAMES.get(row).map(|(_, kind, key)| (*kind, *key));
    }
    let stem = name.trim_end_matches(|last: char| last.is_ascii_digit());
    let number = name.strip_prefix(stem)?.parse().ok().filter(|number| (1..=NUMBER_MAX).contains(number))?;
    let row = NUMBERED.binary_search_by(|(known, ..)| known.cmp(&stem)).ok()?;
    NUMBERED.get(row).map(|(_, kind, key)| (*kind, key(number)))
}

/// How a value is read.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    /// Metres where the dictionary has kilometres.
    Metres,
    /// Milliseconds where the dictionary has hours.
    Milliseconds,
    Whole,
    Flag,
    Text,
    Alarms,
    /// A list with blanks.
    Words,
}

const M_OF_KM: f64 = 1000.0;
const MS_OF_HOUR: f64 = 3_600_000.0;

impl Kind {
    /// Sets `key`, or says what was expected.
    fn store(self, key: Key, value: &str, record: &mut Record) -> Result<(), &'static str> {
        let (stored, expected): (Option<Value>, _) = match self {
            Self::Number => (number(value).map(Value::Float), "a number"),
            Self::Metres => (number(value).map(|metres| Value::Float(metres / M_OF_KM)), "a number"),
            Self::Milliseconds => (number(value).map(|ms| Value::Float(ms / MS_OF_HOUR)), "a number"),
            Self::Whole => (whole(value).map(Value::Int), "a whole number"),
            Self::Flag => (flag(value).map(Value::Bool), "true or false"),
            Self::Text => (Some(Value::Text(value.into())), ""),
            Self::Alarms => {
                let unknown = alarms(value, record);
                unknown.iter().for_each(|name| record.raw("alarm", name.clone()));
                return Ok(());
            }
            Self::Words => {
                let words = value.split_whitespace().map(|word| Item::Text(word.into()));
                (Some(Value::List(words.collect())), "")
            }
        };
        record.set(key, stored.ok_or(expected)?);
        Ok(())
    }
}

/// Names without a number, sorted.
const NAMES: &[(&str, Kind, Key)] = &[
    ("acceleration", Kind::Number, Key::Acceleration),
    ("adBlueLevel", Kind::Number, Key::AdblueLevel),
    ("alarm", Kind::Alarms, Key::Alarm),
    ("archive", Kind::Flag, Key::RecordArchived),
    ("armed", Kind::Flag, Key::AlarmModeStatus),
    ("audio", Kind::Text, Key::MediaAudio),
    ("averageSpeed", Kind::Number, Key::VehicleSpeedAverage),
    ("axleWeight", Kind::Number, Key::AxleWeightN(1)),
    ("battery", Kind::Number, Key::BatteryVoltage),
    ("batteryLevel", Kind::Number, Key::BatteryLevel),
    ("belt", Kind::Flag, Key::SeatbeltStatus),
    ("blocked", Kind::Flag, Key::EngineBlockedStatus),
    ("card", Kind::Text, Key::CardId),
    ("charge", Kind::Flag, Key::BatteryChargingStatus),
    ("co2", Kind::Number, Key::Co2Concentration),
    ("coolantTemp", Kind::Number, Key::EngineCoolantTemperature),
    ("deviceTemp", Kind::Number, Key::DeviceTemperature),
    ("distance", Kind::Metres, Key::SegmentMileage),
    ("door", Kind::Flag, Key::DoorStatus),
    ("driverUniqueId", Kind::Text, Key::DriverId),
    ("drivingTime", Kind::Number, Key::DriverDrivingTime),
    ("dtcs", Kind::Words, Key::ObdDtc),
    ("emergency", Kind::Flag, Key::SosStatus),
    ("engineLoad", Kind::Number, Key::EngineLoadLevel),
    ("engineTemp", Kind::Number, Key::EngineTemperature),
    ("event", Kind::Text, Key::EventCode),
    ("fuel", Kind::Number, Key::FuelVolume),
    ("fuelConsumption", Kind::Number, Key::FuelConsumption),
    ("fuelLevel", Kind::Number, Key::FuelLevel),
    ("fuelUsed", Kind::Number, Key::FuelConsumed),
    ("gSensor", Kind::Text, Key::AccelerationAxes),
    ("geofence", Kind::Text, Key::GeofenceId),
    ("gps", Kind::Text, Key::GnssState),
    ("hdop", Kind::Number, Key::PositionHdop),
    ("heartRate", Kind::Number, Key::PersonHeartRate),
    ("hours", Kind::Milliseconds, Key::EngineHours),
    ("humidity", Kind::Number, Key::HumidityN(1)),
    ("iccid", Kind::Text, Key::GsmSimIccid),
    ("idleHours", Kind::Milliseconds, Key::EngineIdleHours),
    ("ignition", Kind::Flag, Key::EngineIgnitionStatus),
    ("illuminance", Kind::Number, Key::LightLevel),
    ("image", Kind::Text, Key::MediaImage),
    ("index", Kind::Whole, Key::RecordIndex),
    ("input", Kind::Whole, Key::Din),
    ("intakeTemp", Kind::Number, Key::EngineIntakeTemperature),
    ("lightSensor", Kind::Number, Key::LightLevel),
    ("lock", Kind::Flag, Key::LockStatus),
    ("mapIntake", Kind::Number, Key::EngineIntakePressure),
    ("maximumSpeed", Kind::Number, Key::VehicleSpeedMax),
    ("motion", Kind::Flag, Key::MovementStatus),
    ("obdOdometer", Kind::Metres, Key::CanVehicleMileage),
    ("obdSpeed", Kind::Number, Key::CanVehicleSpeed),
    ("odometer", Kind::Metres, Key::VehicleMileage),
    ("oilTemp", Kind::Number, Key::EngineOilTemperature),
    ("operator", Kind::Text, Key::GsmOperatorCode),
    ("output", Kind::Whole, Key::Dout),
    ("panic", Kind::Flag, Key::SosStatus),
    ("pdop", Kind::Number, Key::PositionPdop),
    ("power", Kind::Number, Key::ExternalPowerVoltage),
    ("result", Kind::Text, Key::DeviceCommandResult),
    ("roaming", Kind::Flag, Key::GsmRoamingStatus),
    ("rpm", Kind::Number, Key::EngineRpm),
    ("rssi", Kind::Number, Key::GsmSignalStrength),
    ("runtime", Kind::Number, Key::EngineRuntime),
    ("sat", Kind::Whole, Key::PositionSatellites),
    ("satVisible", Kind::Whole, Key::PositionSatellitesVisible),
    ("serviceOdometer", Kind::Metres, Key::VehicleMileageService),
    ("solarPower", Kind::Number, Key::SolarVoltage),
    ("status", Kind::Text, Key::StatusCode),
    ("steps", Kind::Whole, Key::PersonSteps),
    ("throttle", Kind::Number, Key::EngineThrottleLevel),
    ("tripOdometer", Kind::Metres, Key::VehicleMileageTrip),
    ("type", Kind::Text, Key::DeviceMessageType),
    ("vdop", Kind::Number, Key::PositionVdop),
    ("versionFw", Kind::Text, Key::DeviceFirmwareVersion),
    ("versionHw", Kind::Text, Key::DeviceHardwareVersion),
    ("video", Kind::Text, Key::MediaVideo),
    ("vin", Kind::Text, Key::VehicleVin),
];

type Numbered = (&'static str, Kind, fn(u8) -> Key);

/// Names with a number from 1 behind them, sorted.
const NUMBERED: &[Numbered] = &[
    ("adc", Kind::Number, Key::AinN),
    ("axleWeight", Kind::Number, Key::AxleWeightN),
    ("count", Kind::Whole, Key::CounterN),
    ("fuel", Kind::Number, Key::FuelVolumeN),
    ("fuelTemp", Kind::Number, Key::FuelTemperatureN),
    ("humidity", Kind::Number, Key::HumidityN),
    ("in", Kind::Flag, Key::DinN),
    ("out", Kind::Flag, Key::DoutN),
    ("temp", Kind::Number, Key::TemperatureN),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0) && NUMBERED.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[track_caller]
    fn check(name: &str, value: &str, expected: &str) {
        let (mut record, mut out) = (Record::new(), Out::default());
        store(name, value, &mut record, &mut out);
        let found = format!("{:?} {:?} {:?}", record.values(), record.raw_values(), out.notes());
        assert_eq!(found, expected, "{name}={value}");
    }

    #[test]
    fn names_that_platforms_agree_upon_have_their_place() {
        check("odometer", "1500", "[(VehicleMileage, Float(1.5))] [] []");
        check("hours", "5400000", "[(EngineHours, Float(1.5))] [] []");
        check("ignition", "1", "[(EngineIgnitionStatus, Bool(true))] [] []");
        check("sat", "12.0", "[(PositionSatellites, Int(12))] [] []");
        check("temp2", "-18.5", "[(TemperatureN(2), Float(-18.5))] [] []");
        check("dtcs", "P0300 P0301", r#"[(ObdDtc, List([Text("P0300"), Text("P0301")]))] [] []"#);
        check(
            "alarm",
            "powerCut,lowspeed,SOS",
            r#"[(Alarm, List([Text("power_cut"), Text("low_speed"), Text("sos")]))] [] []"#,
        );
    }

    #[test]
    fn all_others_stay_as_they_were_sent() {
        check("io66", "12", r#"[] [("66", "12")] []"#);
        check("ios", "18.1", r#"[] [("ios", "18.1")] []"#);
        check("temp65", "1", r#"[] [("temp65", "1")] []"#);
        check("temp0", "1", r#"[] [("temp0", "1")] []"#);
        check("alarm", "mine", r#"[] [("alarm", "mine")] []"#);
        check("sat", "many", r#"[] [("sat", "many")] ["sat: expected a whole number"]"#);
        check("rpm", "nan", r#"[] [("rpm", "nan")] ["rpm: expected a number"]"#);
        check("note", " ", "[] [] []");
    }
}
