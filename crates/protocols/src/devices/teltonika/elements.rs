//! What the elements of one to eight bytes mean, by id and width, and in which families of devices.
//!
//! An id is taken by other elements in other families, but hardly ever with the same width. So a row holds for any
//! device where no other list of the maker gives its id and width another meaning, and else for a family: the one of
//! the `model` setting, or FMB where a record has id 69 in one byte, which only that family sends.
//!
//! Numbers of temperatures: 1 to 6 are 1-Wire probes, 11 to 14 Bluetooth sensors, 21 to 24 EYE sensors, 31 to 36 other
//! wired probes; humidity and fuel likewise.

use super::parts::{self, Parts};
use super::table::ROWS;
use compact_str::{ToCompactString, format_compact};
use odograph_model::{Alarm, Item, Key, Record, Value};

/// A family of devices, as a set of the bits that rows name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family(u8);

pub(super) const UNKNOWN: u8 = 0x01;
pub(super) const FMB: u8 = 0x02;
pub(super) const HEAVY: u8 = 0x04;
pub(super) const TAT: u8 = 0x08;
pub(super) const TAT100: u8 = 0x10;
/// The model was set, and is one whose own speed goes before that of the record.
pub(super) const SAID: u8 = 0x20;
pub(super) const ANY: u8 = 0xFF;
pub(super) const NOT_HEAVY: u8 = UNKNOWN | FMB;

impl Family {
    /// The family of a model such as `FMB130`.
    pub(super) fn of_model(model: &str) -> Self {
        let model = model.trim().to_ascii_uppercase();
        match *model.as_bytes() {
            [b'F', b'M', b'6', ..] => Self(HEAVY),
            [b'F', b'M', b'B'..=b'Z', b'6', ..] => Self(HEAVY | SAID),
            [b'F', b'M', b'B'..=b'Z', ..] => Self(FMB | SAID),
            [b'T', _, b'T', b'1', b'0', b'0', ..] if model.starts_with("TAT") => Self(FMB | TAT | TAT100),
            [b'T', _, b'T', ..] => Self(FMB | TAT),
            _ if matches!(model.as_str(), "MTB100" | "MSP500") => Self(FMB | SAID),
            _ => Self(UNKNOWN),
        }
    }

    /// FMB, where no model was set and the record shows that it comes from one.
    pub(super) fn or_seen(self, is_fmb: impl FnOnce() -> bool) -> Self {
        if self.0 == UNKNOWN && is_fmb() { Self(FMB) } else { self }
    }
}

/// An element of a record.
#[derive(Clone, Copy)]
pub(super) struct Element {
    pub(super) id: u16,
    pub(super) width: u8,
    pub(super) value: u64,
}

/// A meaning.
pub(super) struct Row {
    pub(super) id: u16,
    pub(super) width: u8,
    pub(super) families: u8,
    /// It goes before another element that says the same and came earlier. Each of them is kept under its number as
    /// well.
    pub(super) keep: bool,
    pub(super) to: To,
}

/// How an element becomes a value.
#[derive(Clone, Copy)]
pub(super) enum To {
    /// A number, divided.
    Plain(Key, f64),
    /// A number with sign, divided.
    Signed(Key, f64),
    /// A whole number.
    Count(Key),
    /// On where it is not zero.
    Flag(Key),
    /// The speed, which goes before the record's own.
    Speed,
    /// A 1-Wire temperature in tenths; some values are errors.
    Dallas(Key),
    /// A temperature of a Bluetooth sensor, divided; some values are errors.
    Ble(Key, f64),
    /// A temperature in hundredths; the largest values are errors.
    Probe(Key),
    /// A temperature of a refrigeration unit in tenths; the ends of the range mean that there is none.
    Reefer(Key),
    /// A relative humidity in tenths; values beyond 100 percent are errors.
    Humidity(Key),
    /// A relative humidity in percent; values beyond 100 are errors.
    Relative(Key),
    /// A fuel level; negative values are errors.
    Level(Key),
    /// A fuel level by Bluetooth, which is zero where there is no sensor.
    BleLevel(Key),
    /// An alarm where it is not zero.
    Alarms(Alarm),
    /// Harsh driving, by kind.
    GreenDriving,
    /// How harsh: in hundredths of g, for a bend perhaps of radians.
    GreenValue,
    /// The geofence that the device draws around its parking place.
    AutoGeofence,
    /// Too fast, if this is what caused the record.
    Overspeed,
    /// One of the satellite receiver's states, by number.
    GnssState(&'static [&'static str]),
    /// An operator's number.
    Operator,
    /// A card's number.
    Card,
    /// Open doors, as bits.
    Doors,
    /// One open door.
    Door,
    /// Kilometres until service.
    ServiceDistance,
    /// One of the elements that together say something.
    Piece(usize),
    /// The same with a sign.
    SignedPiece(usize),
    /// The same, a single letter of a text that eight bytes hold.
    LastLetter(usize),
}

impl To {
    /// The parameter that one element alone says.
    const fn key(self) -> Option<Key> {
        match self {
            Self::Plain(key, _)
            | Self::Signed(key, _)
            | Self::Count(key)
            | Self::Flag(key)
            | Self::Dallas(key)
            | Self::Ble(key, _)
            | Self::Probe(key)
            | Self::Reefer(key)
            | Self::Humidity(key)
            | Self::Relative(key)
            | Self::Level(key)
            | Self::BleLevel(key) => Some(key),
            Self::GnssState(_) => Some(Key::GnssState),
            Self::ServiceDistance => Some(Key::VehicleMileageService),
            Self::Operator => Some(Key::GsmOperatorCode),
            Self::Card => Some(Key::CardId),
            _ => None,
        }
    }
}

/// Takes an element. What has no meaning is kept under its number.
pub(super) fn apply(record: &mut Record, parts: &mut Parts, family: Family, event: u16, element: Element) {
    let mut rows = rows_of(element.id).filter(|row| row.width == element.width);
    let Some(row) = rows.find(|row| row.families & family.0 != 0) else {
        if !geofence(record, family, event, element) {
            raw(record, element);
        }
        return;
    };
    let is_said = !row.keep && row.to.key().is_some_and(|key| record.get(key).is_some());
    if is_said || !convert(record, parts, event, element, row.to) || row.keep {
        raw(record, element);
    }
}

/// The rows of an id.
fn rows_of(id: u16) -> impl Iterator<Item = &'static Row> {
    let first = match FIRST.get(usize::from(id)) {
        Some(first) => usize::from(*first),
        None => ROWS.partition_point(|row| row.id < id),
    };
    ROWS.get(first..).unwrap_or_default().iter().take_while(move |row| row.id == id)
}

/// Where the rows of each id begin, for the ids that devices send most: searching for each took half of all decoding.
#[expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "this runs in the compiler, which stops where it goes wrong"
)]
static FIRST: [u16; 1024] = {
    let (mut first, mut id, mut row) = ([0; 1024], 0, 0);
    while id < first.len() {
        while row < ROWS.len() && (ROWS[row].id as usize) < id {
            row += 1;
        }
        first[id] = row as u16;
        id += 1;
    }
    first
};

/// Sets what `element` means; `false` where its value says nothing that a parameter can hold, but may mean something.
fn convert(record: &mut Record, parts: &mut Parts, event: u16, element: Element, to: To) -> bool {
    let Element { id, width, value } = element;
    let signed = || sign(value, width);
    let ratio = |value: i64, divisor: f64| float(value) / divisor;
    let whole = value.cast_signed();
    match to {
        To::Plain(key, divisor) => record.set(key, ratio(whole, divisor)),
        To::Signed(key, divisor) => record.set(key, ratio(signed(), divisor)),
        To::Count(key) => record.set(key, value),
        To::Flag(key) => record.set(key, value != 0),
        To::Speed => record.set(Key::PositionSpeed, whole),
        To::Dallas(_)
        | To::Ble(..)
        | To::Probe(_)
        | To::Reefer(_)
        | To::Humidity(_)
        | To::Relative(_)
        | To::Level(_)
        | To::BleLevel(_)
        | To::ServiceDistance => return sensor(record, element, to),
        To::GnssState(states) => {
            let Some(state) = usize::try_from(value).ok().and_then(|value| states.get(value)) else { return false };
            record.set(Key::GnssState, *state);
        }
        To::Operator => {
            record.set(Key::GsmOperatorCode, value.to_compact_string());
            return parts.put(parts::OPERATOR, id, whole);
        }
        To::Card => {
            if value != 0 {
                record.set(Key::CardId, format_compact!("{value:016X}"));
            }
        }
        To::Doors => record.set(Key::DoorStatus, value & DOOR_BITS != 0),
        To::Door => {
            let open = record.get(Key::DoorStatus) == Some(&true.into());
            record.set(Key::DoorStatus, open || value != 0);
        }
        To::GreenValue => {
            // In a bend it is perhaps radians a second, by how the device measures.
            if has_alarm(record, Alarm::HardAcceleration) || has_alarm(record, Alarm::HardBraking) {
                record.set(Key::Acceleration, ratio(whole, 100.0));
            }
        }
        To::Piece(place) => return parts.put(place, id, whole),
        To::SignedPiece(place) => return parts.put(place, id, signed()),
        To::LastLetter(place) => return parts.put(place, id, value.wrapping_shl(56).cast_signed()),
        To::Alarms(_) | To::GreenDriving | To::AutoGeofence | To::Overspeed => {
            return alarm(record, event, element, to);
        }
    }
    true
}

/// Sensors whose values can be errors: then there is no value.
fn sensor(record: &mut Record, element: Element, to: To) -> bool {
    let value = sign(element.value, element.width);
    match (to, value) {
        // Not ready, read error, not connected, wrong id, disconnected.
        (To::Dallas(_), 850 | 2000 | 3000 | 4000 | 5000) => {}
        (To::Dallas(key), -550..=1250) => record.set(key, float(value) / 10.0),
        // Abnormal, not found, not understood: of today's firmware, then of that before. The latter are also
        // temperatures where the unit is a hundredth, so they are kept as sent.
        (To::Ble(..) | To::Probe(_), 32765..=32767) | (To::Probe(_) | To::Reefer(_), -32768) => {}
        (To::Ble(_, divisor), 2000 | 3000 | 4000) => return divisor < 100.0,
        (To::Ble(key, divisor), _) => record.set(key, float(value) / divisor),
        (To::Probe(key), _) => record.set(key, float(value) / 100.0),
        (To::Reefer(_), 32767) => {}
        (To::Reefer(key), _) => record.set(key, float(value) / 10.0),
        (To::Humidity(_), 2000 | 3000 | 4000 | -3..=-1) => {}
        (To::Humidity(key), 0..=1000) => record.set(key, float(value) / 10.0),
        (To::Relative(key), 0..=100) => record.set(key, value),
        (To::Level(key), 0..32765) | (To::BleLevel(key), 1..32765) => record.set(key, value),
        // The lower end of the range: the vehicle does not say.
        (To::ServiceDistance, -160_635) => {}
        (To::ServiceDistance, _) => record.set(Key::VehicleMileageService, value),
        _ => return false,
    }
    true
}

/// Alarms. What is over, or of an unknown kind, is kept as sent.
fn alarm(record: &mut Record, event: u16, element: Element, to: To) -> bool {
    let alarm = match (to, element.value) {
        (To::AutoGeofence, 0) => Alarm::GeofenceExit,
        (_, 0) => return false,
        (To::AutoGeofence, _) => Alarm::GeofenceEnter,
        (To::Alarms(alarm), _) => alarm,
        (To::GreenDriving, 1) => Alarm::HardAcceleration,
        (To::GreenDriving, 2) => Alarm::HardBraking,
        (To::GreenDriving, 3) => Alarm::HardCornering,
        (To::Overspeed, _) if event == element.id => Alarm::Overspeed,
        _ => return false,
    };
    record.alarm(alarm);
    // A speed or a kind of crash says more than the alarm.
    !(matches!(to, To::Overspeed) || element.value > 1 && matches!(to, To::Alarms(_)))
}

fn has_alarm(record: &Record, alarm: Alarm) -> bool {
    let item = Item::Text(alarm.name().into());
    matches!(record.get(Key::Alarm), Some(Value::List(items)) if items.contains(&item))
}

/// A zone entered or left, if this is what caused the record.
fn geofence(record: &mut Record, family: Family, event: u16, element: Element) -> bool {
    if event != element.id || element.width != 1 {
        return false;
    }
    let Some(zone) = zone(family, element.id) else { return false };
    match element.value {
        0 => record.alarm(Alarm::GeofenceExit),
        1 => record.alarm(Alarm::GeofenceEnter),
        3 => record.alarm(Alarm::Overspeed),
        _ => return false,
    }
    record.set(Key::GeofenceId, zone.to_compact_string());
    true
}

/// The number of the zone that `id` is about.
fn zone(family: Family, id: u16) -> Option<u16> {
    const ZONES_FMB: &[(u16, u16, u16)] = &[
        (61, 65, 6),
        (70, 70, 11),
        (88, 88, 12),
        (91, 99, 13),
        (153, 154, 22),
        (155, 159, 1),
        (190, 198, 24),
        (208, 209, 33),
        (216, 231, 35),
    ];
    const ZONES_HEAVY: &[(u16, u16, u16)] = &[(155, 174, 1), (327, 356, 21), (550, 599, 51)];
    const ZONES_BOTH: &[(u16, u16, u16)] = &[(155, 159, 1)];
    let zones = match family.0 {
        family if family & FMB != 0 => ZONES_FMB,
        family if family & HEAVY != 0 => ZONES_HEAVY,
        _ => ZONES_BOTH,
    };
    let (first, _, number) = zones.iter().find(|(first, last, _)| (*first..=*last).contains(&id))?;
    id.checked_sub(*first)?.checked_add(*number)
}

fn raw(record: &mut Record, element: Element) {
    record.raw(element.id.to_compact_string(), element.value.cast_signed());
}

/// Front, rear and trunk doors in the CAN adapter's word; the bonnet is none.
const DOOR_BITS: u64 = 0x2F00;

fn sign(value: u64, width: u8) -> i64 {
    let unused = 64_u32.saturating_sub(u32::from(width).saturating_mul(8));
    value.wrapping_shl(unused).cast_signed().wrapping_shr(unused)
}

/// Elements that are numbers have four bytes at most.
fn float(value: i64) -> f64 {
    i32::try_from(value).map(f64::from).or_else(|_| u32::try_from(value).map(f64::from)).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_no_device_finds_two() {
        for pair in ROWS.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            let (left, right) = ((a.id, a.width), (b.id, b.width));
            assert!(left <= right, "{left:?} {right:?}");
            assert!(left != right || a.families & b.families == 0, "{left:?}");
            assert!(matches!(a.width, 1 | 2 | 4 | 8), "{left:?}");
        }
    }

    #[test]
    fn models_have_families() {
        for (model, family) in [
            ("FMB130", FMB | SAID),
            ("fmc003", FMB | SAID),
            ("MSP500", FMB | SAID),
            ("FMC650", HEAVY | SAID),
            ("FM6300", HEAVY),
            ("TAT100", FMB | TAT | TAT100),
            ("TFT100", FMB | TAT),
            ("FM1120", UNKNOWN),
            ("", UNKNOWN),
        ] {
            assert_eq!(Family::of_model(model), Family(family), "{model}");
        }
    }

    #[test]
    fn signs_follow_the_width() {
        assert_eq!(sign(0xFF, 1), -1);
        assert_eq!(sign(0xFF, 2), 255);
        assert_eq!(sign(0xFFFF_FF38, 4), -200);
        assert_eq!(sign(u64::MAX, 8), -1);
    }

    #[test]
    fn zones_are_numbered_by_family() {
        assert_eq!(zone(Family::of_model("FMB120"), 231), Some(50));
        assert_eq!(zone(Family::of_model("FMB120"), 99), Some(21));
        assert_eq!(zone(Family::of_model("FMB640"), 356), Some(50));
        assert_eq!(zone(Family::of_model("FMB640"), 599), Some(100));
        assert_eq!(zone(Family::of_model(""), 160), None);
    }
}
