//! A record as what it alone would make known of its device.

use super::{Moment, NEVER, head_of, put_entry, put_header, put_value};
use crate::area::Spot;
use crate::bits::{RECORD, row_of};
use crate::live::Update;
use crate::{Place, Thresholds};
use odograph_model::{Key, Kind, Record, Value};

/// Packs records, always into the same memory.
#[derive(Debug, Default)]
pub(crate) struct Packing {
    out: Vec<u8>,
    /// Rows, and where in the record their values are.
    order: Vec<(u16, u16)>,
    value: Vec<u8>,
}

impl Packing {
    /// Packs a record, and tells how many of its values were cut.
    pub(crate) fn pack(&mut self, update: &Update<'_>, thresholds: &Thresholds) -> (&[u8], u32) {
        let Self { out, order, value } = self;
        let record = update.record;
        let is_wrong = record.get(Key::DeviceTime).is_some();
        let time = record.time.unwrap_or(update.received);
        let moment = Moment { counts: true, time, received: update.received, id: update.id, is_wrong };
        let is_current = record.get(Key::PositionValid) != Some(&Value::Bool(false));
        out.clear();
        let sound = if is_wrong { NEVER } else { update.received };
        // What a receiver calls no current fix says nothing of what it does; a clock that is ahead does not move it later.
        let moves = !is_wrong && is_current && is_moving(record, thresholds);
        let moving = if moves { time.min(update.received) } else { NEVER };
        put_header(out, sound, update.received, moving, 2 - u16::from(is_current));
        moment.put(out);
        if !is_current {
            Moment { counts: false, ..moment }.put(out);
        }
        let protocol = &update.protocol.as_bytes()[..update.protocol.floor_char_boundary(PROTOCOL_BYTES_MAX)];
        put_entry(out, head_of(RECORD, Kind::Text), 0, protocol);
        let is_placed = is_placed(record);
        order.clear();
        for (index, (key, _)) in record.values().iter().enumerate() {
            let is_nowhere = !is_placed && matches!(key, Key::PositionLatitude | Key::PositionLongitude);
            // A record has fewer values than a u16 counts: `VALUES_MAX`.
            order.extend(row_of(*key).filter(|_| !is_nowhere).map(|row| (row, index as u16)));
        }
        order.sort_unstable();
        let mut cut = 0;
        for (row, index) in order {
            let (key, said) = &record.values()[usize::from(*index)];
            let moment = u16::from(!is_current && OF_THE_FIX.contains(key));
            value.clear();
            cut += u32::from(put_value(value, said));
            put_entry(out, head_of(*row, key.kind()), moment, value);
        }
        (out, cut)
    }
}

/// Whether a record is one of a device that moves, as [`crate::state::Signs`] tell it of all that is known.
fn is_moving(record: &Record, thresholds: &Thresholds) -> bool {
    let is = |key, state| record.get(key) == Some(&Value::Bool(state));
    match record.get(Key::PositionSpeed) {
        Some(Value::Float(kph)) => *kph >= thresholds.moving_kph_by(is(Key::EngineIgnitionStatus, false)),
        _ => is(Key::MovementStatus, true),
    }
}

/// Whether both halves of a place are there, and there is such a place. One half alone would make a wrong place with what
/// an earlier record says of the other.
fn is_placed(record: &Record) -> bool {
    let degrees = |key| match record.get(key) {
        Some(Value::Float(degrees)) => Some(*degrees),
        _ => None,
    };
    let place = degrees(Key::PositionLatitude).zip(degrees(Key::PositionLongitude));
    place.and_then(|(latitude, longitude)| Spot::new(Place { latitude, longitude })).is_some()
}

/// What does not count in full where the device says that its fix is not current.
const OF_THE_FIX: &[Key] =
    &[Key::PositionLatitude, Key::PositionLongitude, Key::PositionAltitude, Key::PositionSpeed, Key::PositionDirection];

/// No protocol has a longer name.
const PROTOCOL_BYTES_MAX: usize = 64;
