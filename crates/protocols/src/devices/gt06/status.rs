//! Heartbeats and the status that other packets hold.

use super::alarm::alarm;
use super::location::is_nt;
use super::{
    ALARM_MODULE, Context, FENCE_MULTI, FENCE_SINGLE, GPS_LBS_STATUS_3, Message, Model, STATUS, Variant, WIFI_3,
    answer, code, hundredths, raw_unless_zero,
};
use crate::Out;
use crate::absent::unless_ones;
use odograph_model::{Alarm, Key, Record};
use odograph_wire::{Cursor, Result, bits};

/// The maker calls the voltage of this heartbeat the supply's, as it is in vehicles. Locks and other devices that live
/// on a battery send that one's, and no cell has more than this.
const CELL_VOLTS_MAX: f64 = 6.0;

/// 0x23: the heartbeat of GK310, EG02, EG03 and of locks.
pub(super) fn heartbeat(m: &Message<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    let status = c.u8("status")?;
    record.set(Key::AlarmModeStatus, bits::is_set(status, 0));
    record.set(Key::EngineIgnitionStatus, bits::is_set(status, 1));
    record.set(Key::BatteryChargingStatus, bits::is_set(status, 2));
    if c.left() >= 2 {
        let volts = hundredths(c.u16("voltage")?);
        let key = if volts > CELL_VOLTS_MAX { Key::ExternalPowerVoltage } else { Key::BatteryVoltage };
        record.set(key, volts);
    }
    if !c.is_empty() {
        record.set(Key::GsmSignalStrength, c.u8("signal")?);
    }
    out.reply(answer(m, m.kind));
    Ok(record)
}

/// 0x13 with a temperature.
pub(super) fn temperature(m: &Message<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    raw_unless_zero(&mut record, "status", c.u8("status")?.into());
    raw_unless_zero(&mut record, "satellites", c.u16("satellites")?.into());
    raw_unless_zero(&mut record, "alarm", c.u8("alarm")?.into());
    c.u8("language")?;
    record.set(Key::BatteryLevel, c.u8("battery")?);
    raw_unless_zero(&mut record, "working.mode", c.u8("working mode")?.into());
    raw_unless_zero(&mut record, "working.voltage", c.u16("working voltage")?.into());
    c.u8("reserved")?;
    raw_unless_zero(&mut record, "working.times", c.u16("working times")?.into());
    raw_unless_zero(&mut record, "working.time", c.u16("working time")?.into());
    let word = c.u16("temperature")?;
    let degrees = f64::from(word & 0x7FFF) / 10.0;
    let is_measured = unless_ones(word).is_some();
    record.set_some(Key::TemperatureN(1), is_measured.then_some(if word >= 0x8000 { degrees } else { -degrees }));
    out.reply(answer(m, m.kind));
    Ok(record)
}

/// The bits of a status byte.
pub(super) fn flags(status: u8, variant: Variant, record: &mut Record) {
    record.set(Key::StatusCode, code(status));
    record.set(Key::EngineIgnitionStatus, bits::is_set(status, 1));
    record.set(Key::BatteryChargingStatus, bits::is_set(status, 2));
    record.set(Key::EngineBlockedStatus, bits::is_set(status, 7));
    match bits::between(status, 3, 6) {
        1 => record.alarm(Alarm::Vibration),
        2 => record.alarm(Alarm::PowerCut),
        3 => record.alarm(Alarm::LowBattery),
        4 => record.alarm(Alarm::Sos),
        6 => record.alarm(Alarm::Geofence),
        7 if variant == Variant::Vxt01 => record.alarm(Alarm::Overspeed),
        7 => record.alarm(Alarm::Removing),
        _ => {}
    }
}

/// The status of a packet of the usual parts: bits, battery, signal, alarm.
pub(super) fn parts(c: &mut Cursor<'_>, m: &Message<'_>, x: Context, record: &mut Record) -> Result<()> {
    if m.kind == WIFI_3 {
        raw_unless_zero(record, "network", c.u8("network indicator")?.into());
    }
    flags(c.u8("status")?, x.variant, record);
    match x.variant {
        Variant::Obd6 => obd6(c, x, record),
        Variant::Seeworld if m.kind == FENCE_SINGLE || m.length == 0x18 => seeworld(c, record),
        _ => usual(c, m, x, record),
    }
}

fn obd6(c: &mut Cursor<'_>, x: Context, record: &mut Record) -> Result<()> {
    let word = c.u16("satellites and signal")?;
    let satellites = bits::between(word, 10, 15).saturating_add(bits::between(word, 5, 10));
    record.set(Key::PositionSatellites, satellites);
    record.set(Key::GsmSignalStrength, word & 0x1F);
    alarm_code(record, c.u8("alarm")?.into(), x);
    c.u8("language")?;
    record.set(Key::BatteryLevel, c.u8("battery")?);
    let mode = c.u8("working mode")?;
    record.set(Key::ExternalPowerVoltage, hundredths(c.u16("power")?));
    c.u8("reserved")?;
    c.u16("working time")?;
    if mode == 4 {
        record.set(Key::TemperatureN(1), f64::from(c.i16("temperature")?) / 10.0);
    }
    Ok(())
}

/// The short form ends after the language.
fn seeworld(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    raw_unless_zero(record, "status.extension", c.u16("status extension")?.into());
    let level = c.u8("voltage level")?;
    record.set(Key::GsmSignalStrength, c.u8("signal")?);
    record.set(Key::ExternalPowerVoltage, c.u8("power")?);
    c.u8("language")?;
    if c.is_empty() {
        battery(level, record);
        return Ok(());
    }
    c.u8("sound switch")?;
    c.u8("light switch")?;
    record.set(Key::PersonSteps, c.u32("steps")?);
    record.set(Key::BatteryLevel, c.u8("battery")?);
    record.set(Key::BatteryChargingStatus, c.u8("charging")? == 1);
    record.set(Key::MovementStatus, c.u8("moving")? == 1);
    Ok(())
}

fn usual(c: &mut Cursor<'_>, m: &Message<'_>, x: Context, record: &mut Record) -> Result<()> {
    let nt = is_nt(m.kind, x);
    if nt || m.kind == WIFI_3 {
        record.set(Key::ExternalPowerVoltage, hundredths(c.u16("power")?));
    }
    if c.is_empty() {
        return Ok(());
    }
    if m.kind == STATUS && x.model == Model::R11 {
        record.set(Key::ExternalPowerVoltage, hundredths(c.u16("power")?));
    } else {
        let value = c.u8("battery")?;
        if nt {
            record.set(Key::BatteryVoltage, f64::from(value) / 10.0);
        } else {
            battery(value, record);
        }
    }
    if c.is_empty() {
        return Ok(());
    }
    record.set(Key::GsmSignalStrength, c.u8("signal")?);
    if c.is_empty() {
        return Ok(());
    }
    if m.kind == STATUS && x.model == Model::Lw {
        let power = c.u16("power")? & 0x0FFF;
        record.set(Key::ExternalPowerVoltage, f64::from(power) / 10.0);
        return Ok(());
    }
    let value = c.u8("alarm")?;
    if m.kind == STATUS && x.model == Model::Seeworld {
        record.set(Key::ExternalPowerVoltage, value);
    } else if x.variant != Variant::Vxt01 {
        // The language's upper half extends the alarm.
        let extended = matches!(m.kind, GPS_LBS_STATUS_3 | FENCE_MULTI | ALARM_MODULE);
        let high = if extended { c.peek().unwrap_or(0) >> 4 } else { 0 };
        let value = u16::from_be_bytes([high, value]);
        alarm_code(record, value, x);
        if x.variant == Variant::Trx16i {
            record.set(Key::EventCode, code(value));
        }
    }
    Ok(())
}

/// Up to 6 it is a level in sixths, above a percentage.
pub(super) fn battery(value: u8, record: &mut Record) {
    match value {
        0..=6 => record.set(Key::BatteryLevel, u16::from(value).saturating_mul(100) / 6),
        7..=100 => record.set(Key::BatteryLevel, value),
        _ => record.raw("battery", value),
    }
}

/// An alarm of the table; another number is kept as it is.
pub(super) fn alarm_code(record: &mut Record, value: u16, x: Context) {
    match alarm(value, x) {
        Some(alarm) => record.alarm(alarm),
        None => raw_unless_zero(record, "alarm", value.into()),
    }
}
