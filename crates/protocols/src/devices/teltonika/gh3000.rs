//! Codec 7 of the GH personal trackers: what a record holds is told by masks.
//!
//! ```text
//! PPTTTTTT GG {LL (YYYYYYYY XXXXXXXX) (AAAA) (DD) (VV) (SS) (CCCCCCCC) (RR) (OOOOOOOO)} {n (i v)*}*
//! P two bits of priority, T 30 bits of seconds since 2007   G bit 0: place follows, 1 to 3: elements of 1, 2, 4 bytes
//! L bits 0 to 7: Y, X floats in degrees   A m   D course in 1/256 turns   V km/h   S satellites   C area and cell
//! R signal   O operator
//! ```

use super::parts::cell;
use crate::Out;
use compact_str::ToCompactString;
use odograph_model::{Alarm, Item, Key, Record, Time};
use odograph_wire::{Cursor, Result, bits};

pub(super) const CODEC: u8 = 0x07;

/// 2007-01-01T00:00:00Z, in seconds since 1970.
const EPOCH_S: i64 = 1_167_609_600;
/// The upper two bits of the time are the priority.
const TIME_MASK: u32 = 0x3FFF_FFFF;

pub(super) fn records(c: &mut Cursor<'_>, count: u8, out: &mut Out<'_>) -> Result<()> {
    for _ in 0..count {
        let start = *c;
        let head = c.u32("priority and time")?;
        let seconds = i64::from(head & TIME_MASK).saturating_add(EPOCH_S);
        let mut record = Record::at(Time(seconds.saturating_mul(1000)));
        let mask = c.u8("record mask")?;
        if bits::is_set(mask, 0) {
            position(c, &mut record, out)?;
        }
        for (bit, width) in [(1, 1), (2, 2), (3, 4)] {
            if bits::is_set(mask, bit) {
                for _ in 0..c.u8("elements of a width")? {
                    let id = c.u8("element id")?;
                    let value = c.unsigned("element", width)?;
                    element(&mut record, id, value);
                }
            }
        }
        if record.values().is_empty() && record.raw_values().is_empty() {
            continue;
        }
        let priority = head >> 30;
        if priority != 0 {
            record.raw("priority", priority);
        }
        out.record(record.hash_span(c.since(&start)));
    }
    Ok(())
}

fn position(c: &mut Cursor<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let mask = c.u8("place mask")?;
    if bits::is_set(mask, 0) {
        let latitude = f64::from(c.f32("latitude")?);
        let longitude = f64::from(c.f32("longitude")?);
        if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 {
            record.set(Key::PositionLatitude, latitude);
            record.set(Key::PositionLongitude, longitude);
            record.set(Key::PositionValid, true);
        } else {
            out.note("place is not on earth");
        }
    }
    if bits::is_set(mask, 1) {
        record.set(Key::PositionAltitude, c.u16("altitude")?);
    }
    if bits::is_set(mask, 2) {
        record.set(Key::PositionDirection, f64::from(c.u8("course")?) * 360.0 / 256.0);
    }
    if bits::is_set(mask, 3) {
        record.set(Key::PositionSpeed, c.u8("speed")?);
    }
    if bits::is_set(mask, 4) {
        record.set(Key::PositionSatellites, c.u8("satellites")?);
    }
    let area = if bits::is_set(mask, 5) { Some((c.u16("area code")?, c.u16("cell id")?)) } else { None };
    let signal = if bits::is_set(mask, 6) { Some(c.u8("signal")?) } else { None };
    let operator = if bits::is_set(mask, 7) { Some(c.u32("operator")?) } else { None };
    match area {
        Some((lac, cid)) => {
            let operator = operator.unwrap_or_default().into();
            let signal = signal.map(|signal| i64::from(signal).wrapping_neg());
            record.push(Key::GsmCells, Item::Cell(cell(operator, lac.into(), cid.into(), signal)));
        }
        None => {
            record.set_some(Key::GsmSignalStrength, signal);
            record.set_some(Key::GsmOperatorCode, operator.map(|operator| operator.to_compact_string()));
        }
    }
    Ok(())
}

fn element(record: &mut Record, id: u8, value: u64) {
    let scaled = |divisor: f64| u32::try_from(value).map(|value| f64::from(value) / divisor).ok();
    match id {
        1 => record.set(Key::BatteryLevel, value),
        20 => record.set_some(Key::PositionHdop, scaled(10.0)),
        21 => record.set_some(Key::PositionVdop, scaled(10.0)),
        22 => record.set_some(Key::PositionPdop, scaled(10.0)),
        67 => record.set_some(Key::BatteryVoltage, scaled(1000.0)),
        222 => {
            if value == 1 {
                record.alarm(Alarm::Sos);
            }
        }
        240 => record.set(Key::MovementStatus, value == 1),
        244 => record.set(Key::GsmRoamingStatus, value == 1),
        id => record.raw(id.to_compact_string(), value),
    }
}
