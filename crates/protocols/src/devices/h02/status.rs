//! The four bytes of state, and codes that several messages share.

use odograph_model::Time;
use odograph_model::{Alarm, Cell, Item, Key, Record, Value};
use odograph_wire::text::pairs;

/// Alarms by bit, from the lowest on: a bit that is not set alarms. Makers agree on these; their tables differ in what
/// they call theft: a shock, or an opened door.
const ALARMS: &[(u32, Alarm)] = &[
    (0, Alarm::Vibration),
    (1, Alarm::Sos),
    (2, Alarm::Overspeed),
    (4, Alarm::GeofenceEnter),
    (7, Alarm::GeofenceExit),
    (18, Alarm::Sos),
    (19, Alarm::PowerCut),
];
/// Armed where it is not set.
const ARMED: u32 = 9;
/// Ignition.
const IGNITION: u32 = 10;

/// Takes the state into a record.
pub(super) fn set(status: u32, record: &mut Record) {
    let is_set = |bit: u32| status & 1_u32.wrapping_shl(bit) != 0;
    for (_, alarm) in ALARMS.iter().filter(|(bit, _)| !is_set(*bit)) {
        record.alarm(*alarm);
    }
    record.set(Key::EngineIgnitionStatus, is_set(IGNITION));
    record.set(Key::AlarmModeStatus, !is_set(ARMED));
    record.set(Key::StatusCode, &*status.to_string());
}

/// A state as texts write it: eight hex digits.
pub(super) fn read(text: &str) -> Option<u32> {
    let is_status = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(text, 16).ok().filter(|_| is_status)
}

/// The battery in percent: in steps from 1 to 6, from F1 to F6 while it is charged, or as it is.
pub(super) const fn battery(code: u8) -> Option<u8> {
    match code {
        1 => Some(0),
        2 => Some(10),
        3 => Some(20),
        4 => Some(60),
        5 => Some(80),
        6 => Some(100),
        7..=100 => Some(code),
        0xF1..=0xF6 => battery(code & 0x0F),
        _ => None,
    }
}

/// The moment of `HHMMSS` and `DDMMYY`.
pub(super) fn moment(time: &str, date: &str) -> Option<Time> {
    let ([hour, minute, second], [day, month, year]) = (pairs(time)?, pairs(date)?);
    Time::utc(i16::from(year).saturating_add(2000), month, day, hour, minute, second)
}

/// Adds a cell, unless it was heard already: some devices repeat the serving one.
pub(super) fn add_cell(record: &mut Record, cell: Cell) {
    let item = Item::Cell(cell);
    let known = matches!(record.get(Key::GsmCells), Some(Value::List(items)) if items.contains(&item));
    if !known {
        record.push(Key::GsmCells, item);
    }
}

/// `YYYYMMDDHHMMSS` of a moment.
pub(super) fn digits(time: Time) -> String {
    time.to_string().chars().filter(char::is_ascii_digit).take(14).collect()
}
