//! Packets that are lists of modules (a type, a length and a value each), and those of batteries and guards.

use super::information::{iccid, stamped};
use super::location::{add_cell, counted_cell, place, set_place};
use super::{
    Context, GPS_MODULAR, Message, WIFI_5, answer, code, epoch, hex, hundredths, moment, network, packet, text,
};
use crate::Out;
use compact_str::format_compact;
use odograph_model::{Alarm, Cell, Key, Record};
use odograph_wire::{Cursor, Result};

/// Modules with one byte of length, behind a status or a location.
pub(super) fn short(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    while c.left() >= 3 {
        let before = *c;
        let kind = c.u16("module")?;
        let length = c.u8("module length")?.into();
        if length > c.left() {
            // Some other tail: it must not cost the position before it.
            *c = before;
            record.raw("tail", hex(c.take_rest("tail")));
            break;
        }
        let mut c = c.sub("module value", length)?;
        match (kind, length) {
            (0x0018, 2) => record.set(Key::BatteryVoltage, hundredths(c.u16("battery")?)),
            (0x0027, 2) => record.set(Key::ExternalPowerVoltage, hundredths(c.u16("power")?)),
            (0x002E, 4) => record.set(Key::VehicleMileage, f64::from(c.u32("odometer")?) / 1000.0),
            (0x0032, 1) => record.raw("startupStatus", c.u8("startup")?),
            (0x003B, 2) => {
                let metres = hundredths(c.u16("accuracy")?);
                record.set_some(Key::PositionAccuracy, (metres > 0.0).then_some(metres));
            }
            (0x006A, 1) => record.set(Key::BatteryLevel, c.u8("battery level")?),
            _ => raw_module(kind, &mut c, record),
        }
    }
    Ok(())
}

/// Keeps a module that nobody describes.
fn raw_module(kind: u16, c: &mut Cursor<'_>, record: &mut Record) {
    let value = c.take_rest("module value");
    if !value.is_empty() {
        record.raw(format_compact!("module.{kind:04x}"), hex(value));
    }
}

/// 0x70: everything in modules with two bytes of length.
pub(super) fn modular(m: &Message<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    while c.left() >= 4 {
        let kind = c.u16("module")?;
        let length = c.u16("module length")?.into();
        let mut c = c.sub("module value", length)?;
        module(kind, &mut c, &mut record)?;
    }
    out.reply(packet(false, GPS_MODULAR, &[], m.serial));
    Ok(record)
}

fn module(kind: u16, c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    match kind {
        0x03 => record.set(Key::GsmSimIccid, iccid(c.bytes("ICCID", 10)?)),
        0x09 => record.set(Key::PositionSatellites, c.u8("satellites")?),
        0x0A => record.set(Key::PositionSatellitesVisible, c.u8("satellites in view")?),
        0x11 => {
            let (mcc, mnc) = (c.u16("MCC")?.into(), c.u16("MNC")?.into());
            let (lac, cid) = (c.u16("LAC")?.into(), c.u24("cell")?.into());
            let signal = Some(c.u8("signal")?.into());
            if cid > 0 {
                add_cell(record, Cell { mcc: Some(mcc), mnc: Some(mnc), lac: Some(lac), cid, signal });
            }
        }
        0x18 => record.set(Key::BatteryVoltage, hundredths(c.u16("battery")?)),
        0x28 => record.set(Key::PositionHdop, f64::from(c.u8("HDOP")?) / 10.0),
        0x29 => record.set(Key::RecordIndex, c.u32("index")?),
        0x2A => {
            let inputs = c.u8("inputs")?;
            record.set(Key::DoorStatus, inputs & 0x0F > 0);
            record.raw("tamper", inputs >> 4 > 0);
        }
        0x2B => record.raw("bootReason", c.u8("boot reason")?),
        0x2E => record.set(Key::VehicleMileage, f64::from(c.u32_le("odometer")?) / 1000.0),
        0x33 => {
            record.time = epoch(c)?;
            record.set(Key::PositionSatellites, c.u8("satellites")?);
            let altitude = c.i16("altitude")?;
            let (latitude, longitude) = (c.u32("latitude")?, c.u32("longitude")?);
            let (speed, flags) = (c.u8("speed")?, c.u16("course and flags")?);
            set_place(record, latitude, longitude, Some(speed.into()), flags & 0x3FFF);
            if record.get(Key::PositionLatitude).is_some() {
                record.set(Key::PositionAltitude, altitude);
            }
        }
        0x34 => {
            let event = c.u8("event")?;
            record.set(Key::EventCode, code(event));
            if let Ok(at) = EVENTS.binary_search_by_key(&event, |row| row.0)
                && let Some((_, alarm)) = EVENTS.get(at)
            {
                record.alarm(*alarm);
            }
        }
        0x7F => {
            record.raw("tag1Id", hex(c.bytes("tag", 6)?));
            record.raw("tag1Battery", f64::from(c.u16("tag battery")?) / 1000.0);
            record.raw("tag1BatteryLevel", c.u8("tag battery level")?);
            record.raw("tag1Temp", f64::from(c.i16("tag temperature")?) / 10.0);
            record.raw("tag1Humidity", c.i16("tag humidity")?);
            record.raw("tag1Status", c.u8("tag status")?);
        }
        _ => raw_module(kind, c, record),
    }
    Ok(())
}

/// 0xF1: the state of the device, in modules.
pub(super) fn device_status(m: &Message<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = stamped(&mut c)?;
    while c.left() >= 3 {
        let kind = c.u16("module")?;
        let length = c.u8("module length")?.into();
        let mut c = c.sub("module value", length)?;
        match kind {
            0x01 => record.set(Key::MovementStatus, matches!(c.u8("motion")?, 2 | 4)),
            0x02 => record.set(Key::AlarmModeStatus, c.u8("armed")? > 0),
            0x04 => record.set(Key::EngineIgnitionStatus, c.u8("ACC")? > 0),
            0x05 => record.set(Key::ExternalPowerVoltage, hundredths(c.u16("power")?)),
            0x07 => record.set(Key::BatteryChargingStatus, c.u8("charging")? > 0),
            0x0A => record.raw("chargeVoltage", c.u16("charge voltage")?),
            0x0B => record.raw("batteryTemp", f64::from(c.u16("battery temperature")?) / 10.0),
            _ => raw_module(kind, &mut c, &mut record),
        }
    }
    out.reply(answer(m, m.kind));
    Ok(record)
}

/// 0xF2: what peripherals send, in modules whose length has one byte or two.
pub(super) fn peripheral(m: &Message<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = stamped(&mut c)?;
    while c.left() >= 3 {
        let kind = c.u16("module")?;
        if kind == 0x0A {
            let length = c.u16("module length")?.into();
            beacon(&mut c.sub("module value", length)?, &mut record)?;
            continue;
        }
        let mut length = c.u8("module length")?;
        if length == 0 && !c.is_empty() {
            length = c.u8("module length")?;
        }
        let mut c = c.sub("module value", length.into())?;
        if kind == 0x0C {
            record.raw("externalBatteryLevel", c.u8("external battery level")?);
            if c.u8("external battery charging")? > 0 {
                record.raw("externalBatteryCharge", true);
            }
            record.raw("externalBatteryCycles", c.u16("external battery cycles")?);
        } else {
            raw_module(kind, &mut c, &mut record);
        }
    }
    out.reply(answer(m, m.kind));
    Ok(record)
}

fn beacon(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    c.u8("address type")?;
    record.raw("mac", hex(c.bytes("MAC", 6)?));
    let event = c.u8("event")?;
    record.set(Key::EventCode, code(event));
    let data = c.u8("event data")?;
    if event > 0 {
        record.raw("eventData", data);
    }
    record.raw("dataType", c.u8("data type")?);
    record.raw("dataDetails", hex(c.take_rest("data")));
    Ok(())
}

/// 0x32 and 0x33 of AZ735, in long packets.
pub(super) fn az735(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    record.time = moment(&mut c, x.zone, out)?;
    if c.u8("fix length")? > 0 {
        place(&mut c, &mut record)?;
    }
    let mut serving = c;
    if counted_cell(&mut c, m.kind, x, &mut record)? {
        record.set(Key::GsmSignalStrength, c.u8("signal")?);
    }
    serving.u8("cell length")?;
    let (mcc, mnc) = (serving.u16("MCC").unwrap_or(0), serving.u8("MNC").unwrap_or(0));
    let length = c.u8("neighbours length")?.into();
    let mut cells = c.sub("neighbours", length)?;
    while cells.left() >= 6 {
        let (lac, cid) = (u32::from(cells.u16("LAC")?), u64::from(cells.u24("cell")?));
        let signal = Some(cells.u8("signal")?.into());
        if lac != 0 {
            add_cell(&mut record, Cell { mcc: Some(mcc.into()), mnc: Some(mnc.into()), lac: Some(lac), cid, signal });
        }
    }
    let length = c.u8("access points length")?.into();
    let mut points = c.sub("access points", length)?;
    while points.left() >= 7 {
        network::access_point(&mut points, &mut record)?;
    }
    let status = c.u8("status")?;
    record.set(Key::StatusCode, code(status));
    if m.kind == WIFI_5 {
        match status {
            0xA0 | 0xA1 => record.set(Key::AlarmModeStatus, status == 0xA0),
            0xA2 | 0xA3 => record.alarm(Alarm::LowBattery),
            0xA4 => record.alarm(Alarm::General),
            0xA5 => record.alarm(Alarm::Door),
            _ => {}
        }
    }
    let length = c.u8("reserved length")?.into();
    c.skip("reserved", length)?;
    out.reply(packet(true, m.kind, &[], m.serial));
    Ok(record)
}

/// 0x40: a traction battery and its controller.
pub(super) fn battery(m: &Message<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    c.skip("serial number", 8)?;
    let mut record = stamped(&mut c)?;
    record.raw("relativeCapacity", c.u8("relative capacity")?);
    record.raw("remainingCapacity", c.u16("remaining capacity")?);
    record.raw("absoluteCapacity", c.u8("absolute capacity")?);
    record.raw("fullCapacity", c.u16("full capacity")?);
    record.raw("batteryHealth", c.u8("battery health")?);
    let tenths = i32::from(c.u16("battery temperature")?).saturating_sub(2731);
    record.raw("batteryTemp", f64::from(tenths) / 10.0);
    record.raw("current", c.u16("current")?);
    record.set(Key::BatteryVoltage, f64::from(c.u16("voltage")?) / 1000.0);
    record.raw("cycleIndex", c.u16("cycles")?);
    for n in 1..=14_u8 {
        record.raw(format_compact!("batteryCell{n}"), f64::from(c.u16("battery cell")?) / 1000.0);
    }
    record.raw("currentChargeInterval", c.u16("charge interval")?);
    record.raw("maxChargeInterval", c.u16("longest charge interval")?);
    record.raw("barcode", text(c.bytes("barcode", 16)?).trim_matches([' ', '\0']));
    record.raw("batteryVersion", c.u16("version")?);
    record.raw("manufacturer", text(c.bytes("manufacturer", 16)?).trim_matches([' ', '\0']));
    record.raw("batteryStatus", c.u32("battery status")?);
    record.raw("controllerStatus", c.u32("controller status")?);
    record.raw("controllerFault", c.u32("controller fault")?);
    out.reply(answer(m, m.kind));
    Ok(record)
}

/// Events of 0x70; sorted.
const EVENTS: &[(u8, Alarm)] = &[
    (0x10, Alarm::Door),
    (0x12, Alarm::Removing),
    (0x14, Alarm::GeofenceEnter),
    (0x15, Alarm::GeofenceExit),
    (0x16, Alarm::Temperature),
    (0x1A, Alarm::LowBattery),
    (0x1B, Alarm::Overspeed),
    (0x1C, Alarm::PowerOn),
    (0x1D, Alarm::PowerOff),
    (0x20, Alarm::Vibration),
    (0x21, Alarm::PowerCut),
    (0x23, Alarm::Tampering),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_unique() {
        assert!(EVENTS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
