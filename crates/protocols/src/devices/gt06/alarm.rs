//! What the alarm numbers mean, and the alarms that cameras send.

use super::{Context, Message, Model, Variant, answer, code, location, moment, text};
use crate::Out;
use odograph_model::{Alarm, Key, Record};
use odograph_wire::Result;

/// The alarm of a number, as the model and layout mean it.
pub(super) fn alarm(value: u16, x: Context) -> Option<Alarm> {
    let special = match (value, x.variant, x.model) {
        (0x09, Variant::Trx16i, _) => Some(Alarm::Geofence),
        (0x09, _, Model::Vl) => Some(Alarm::Tow),
        (0x18, _, Model::Lw) => Some(Alarm::Accident),
        (0x19, _, Model::Lw) => Some(Alarm::HardAcceleration),
        (0x28, _, Model::Seeworld) => Some(Alarm::HardCornering),
        (0x28, _, Model::Vl) => Some(Alarm::PowerOff),
        (0x29, _, Model::Seeworld) => Some(Alarm::Accident),
        _ => None,
    };
    special.or_else(|| find(ALARMS, value))
}

fn find(table: &[(u16, Alarm)], value: u16) -> Option<Alarm> {
    let at = table.binary_search_by_key(&value, |row| row.0).ok()?;
    table.get(at).map(|row| row.1)
}

/// 0x95: a camera's event, with a place in its long form.
pub(super) fn event(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    let jc400 = x.variant == Variant::Jc400;
    let long = c.left() > 7;
    if long {
        if jc400 {
            c.u16("marker")?;
            c.u8("version")?;
        }
        record.time = moment(&mut c, x.zone, out)?;
        if jc400 {
            record.set(Key::PositionSatellites, c.u8("satellites")? & 0x0F);
        }
        let (latitude, longitude) = (c.u32("latitude")?, c.u32("longitude")?);
        let flags = c.u16("course and flags")?;
        let speed = if jc400 { Some(c.u16("speed")?) } else { None };
        location::set_place(&mut record, latitude, longitude, speed, flags);
    } else {
        record.time = moment(&mut c, x.zone, out)?;
    }
    if jc400 {
        record.set(Key::ExternalPowerVoltage, f64::from(c.u16("power")?) / 10.0);
    }
    let event = c.u8("event")?;
    record.set(Key::EventCode, code(event));
    match event {
        1 if !long => record.alarm(Alarm::General),
        _ => {
            if let Some(alarm) = find(EVENTS, event.into()) {
                record.alarm(alarm);
            }
        }
    }
    if c.left() >= 2 {
        record.raw("eventData", c.u16("event data")?);
    }
    let files = c.take_rest("event files");
    if !files.is_empty() {
        record.raw("eventFiles", text(files));
    }
    out.reply(answer(m, m.kind));
    Ok(record)
}

/// Alarm numbers of packets with a status, sorted: those of the maker's tables (JM-VL03 1.1.2, JM-VW01 1.1.8), and between
/// them those that only other makers have.
const ALARMS: &[(u16, Alarm)] = &[
    (0x01, Alarm::Sos),
    (0x02, Alarm::PowerCut),
    (0x03, Alarm::Vibration),
    (0x04, Alarm::GeofenceEnter),
    (0x05, Alarm::GeofenceExit),
    (0x06, Alarm::Overspeed),
    (0x09, Alarm::Movement),
    (0x0C, Alarm::PowerOn),
    (0x0E, Alarm::LowPower),
    (0x0F, Alarm::LowPower),
    (0x11, Alarm::PowerOff),
    (0x13, Alarm::Tampering),
    (0x14, Alarm::Door),
    (0x15, Alarm::PowerOff),
    (0x18, Alarm::Removing),
    (0x19, Alarm::LowBattery),
    (0x1A, Alarm::HardBraking),
    (0x1B, Alarm::HardCornering),
    (0x23, Alarm::FallDown),
    (0x24, Alarm::PowerRestored),
    (0x25, Alarm::Tampering),
    (0x26, Alarm::HardAcceleration),
    (0x27, Alarm::HardBraking),
    (0x28, Alarm::HardBraking),
    (0x29, Alarm::HardAcceleration),
    (0x2A, Alarm::HardCornering),
    (0x2B, Alarm::HardCornering),
    (0x2C, Alarm::Accident),
    (0x2D, Alarm::Accident),
    (0x2E, Alarm::HardCornering),
    (0x30, Alarm::HardBraking),
    (0x32, Alarm::Tampering),
    (0x33, Alarm::Lock),
    (0x34, Alarm::Unlock),
    (0x4C, Alarm::HardCornering),
    (0x4D, Alarm::LaneChange),
    (0x53, Alarm::FuelLeak),
    (0x5B, Alarm::Temperature),
    (0x5C, Alarm::Temperature),
    (0x5E, Alarm::Tampering),
    (0xC9, Alarm::Idle),
    (0xF0, Alarm::HardAcceleration),
    (0xF1, Alarm::HardBraking),
    (0xF2, Alarm::Accident),
    (0x0107, Alarm::Jamming),
    (0x010B, Alarm::Jamming),
];

/// Events of cameras; sorted.
const EVENTS: &[(u16, Alarm)] = &[
    (0x01, Alarm::Sos),
    (0x0E, Alarm::LowPower),
    (0x76, Alarm::Temperature),
    (0x80, Alarm::Vibration),
    (0x87, Alarm::Overspeed),
    (0x88, Alarm::PowerCut),
    (0x90, Alarm::HardAcceleration),
    (0x91, Alarm::HardBraking),
    (0x92, Alarm::HardCornering),
    (0x93, Alarm::Accident),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_unique() {
        for table in [ALARMS, EVENTS] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
