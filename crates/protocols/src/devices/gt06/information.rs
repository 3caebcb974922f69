//! Texts, answers to commands, and what 0x94 and serial ports transfer.

use super::{Context, Message, answer, epoch, hex, hundredths, moment, text, timed, trimmed};
use crate::{Answer, Out};
use compact_str::{CompactString, format_compact};
use odograph_model::{Key, Record, Time};
use odograph_wire::{Cursor, Fields, Result, bits};

/// 0x15: the answer to a command, with a length before it.
pub(super) fn string(m: &Message<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    let length = usize::from(c.u8("command length")?);
    // Some firmware leaves the length at zero; then the text ends with zeros.
    let (flag, bytes) = match length.checked_sub(4) {
        Some(length) => (c.u32("server flag")?, c.bytes("text", length)?),
        None if c.left() > 4 => (c.u32("server flag")?, c.take_rest("text")),
        None => (0, c.take_rest("text")),
    };
    let end = if length == 0 { bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()) } else { bytes.len() };
    let text = text(bytes.get(..end).unwrap_or_default());
    match text.strip_prefix("<ICCID:").and_then(|rest| rest.get(..20)) {
        Some(iccid) => record.set(Key::GsmSimIccid, iccid),
        None if text.is_empty() => {}
        None => result(flag, text, &mut record, out),
    }
    out.reply(answer(m, m.kind));
    Ok(record)
}

/// 0x21: the answer to a command.
pub(super) fn command_result(m: &Message<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    let flag = c.u32("server flag")?;
    let ascii = c.u8("encoding")? == 1;
    let at = c.at();
    let bytes = c.take_rest("text");
    let text = if ascii {
        text(bytes)
    } else {
        let units = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    let place = std::str::from_utf8(bytes).ok().filter(|_| ascii);
    if let Some(found) = place.and_then(|text| place_of(out.fields(text, at, ','))) {
        out.answer(Answer { token: (flag != 0).then_some(flag), text: text.into(), done: None });
        return Ok(found);
    }
    result(flag, text, &mut record, out);
    Ok(record)
}

fn result(flag: u32, text: CompactString, record: &mut Record, out: &mut Out<'_>) {
    out.answer(Answer { token: (flag != 0).then_some(flag), text: text.to_string(), done: None });
    record.set(Key::DeviceCommandResult, text);
}

/// `Current position!Lat:N54.739332,Lon:E25.273270,Course:126.53,Speed:0.0000,DateTime:2017-05-26 10:27:47`
fn place_of(mut f: Fields<'_>) -> Option<Record> {
    let degrees = |text: &str, positive: char, negative: char| -> Option<f64> {
        let number = |rest: &str| rest.parse::<f64>().ok();
        match text.strip_prefix(positive) {
            Some(rest) => number(rest),
            None => number(text.strip_prefix(negative)?).map(|value| -value),
        }
    };
    let latitude = degrees(f.text("latitude").ok()?.strip_prefix("Current position!Lat:")?, 'N', 'S')?;
    let longitude = degrees(f.text("longitude").ok()?.strip_prefix("Lon:")?, 'E', 'W')?;
    let course: f64 = f.text("course").ok()?.strip_prefix("Course:")?.parse().ok()?;
    let speed: f64 = f.text("speed").ok()?.strip_prefix("Speed:")?.parse().ok()?;
    let (date, clock) = f.text("time").ok()?.trim().strip_prefix("DateTime:")?.split_once(' ')?;
    let mut record = timed(Some(Time::parse(&format!("{date}T{}Z", clock.trim()))?));
    record.set(Key::PositionLatitude, latitude);
    record.set(Key::PositionLongitude, longitude);
    record.set(Key::PositionValid, true);
    record.set(Key::PositionSpeed, speed);
    record.set(Key::PositionDirection, course);
    Some(record)
}

/// 0x94 in a short packet: the supply.
pub(super) fn voltage(m: &Message<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    record.set(Key::ExternalPowerVoltage, f64::from(c.i16("power")?) / 100.0);
    Ok(record)
}

/// 0x94: information of many kinds.
pub(super) fn transfer(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Option<Record>> {
    let mut c = m.content;
    let mut record = Record::new();
    let kind = c.u8("information type")?;
    match kind {
        0x00 => voltage_of_input(&mut c, &mut record)?,
        0x04 => states(&mut c, &mut record),
        0x05 => {
            if c.left() >= 7 {
                record.time = moment(&mut c, x.zone, out)?;
            }
            let flags = c.u8("door")?;
            record.set(Key::DoorStatus, bits::is_set(flags, 0));
            record.raw("1", bits::is_set(flags, 2));
        }
        0x08 => record.raw("selfCheck", trimmed(&text(c.take_rest("self-check")))),
        0x09 => satellites(&mut c, &mut record)?,
        0x0A => {
            c.skip("IMEI", 8)?;
            c.skip("IMSI", 8)?;
            record.set(Key::GsmSimIccid, iccid(c.bytes("ICCID", 10)?));
        }
        0x0B => match c.left() {
            1 => record.raw("networkTechnology", if c.u8("technology")? > 0 { "4G" } else { "2G" }),
            2 => record.set(Key::ExternalPowerVoltage, hundredths(c.u16("power")?)),
            _ => {}
        },
        0x0D => return fuel(&mut c, record, out),
        0x1B => {
            if c.peek().is_some_and(|first| first.is_ascii_alphabetic()) {
                record.raw("serial", trimmed(&text(c.take_rest("serial"))));
            } else {
                c.u16("header and type")?;
                record.set(Key::DriverId, hex(c.bytes("driver", 4)?));
            }
        }
        0x1E => {
            record.set(Key::TemperatureN(1), f64::from(c.i32("temperature")?) / 10.0);
            record.set(Key::HumidityN(1), f64::from(c.i32("humidity")?) / 10.0);
        }
        0x21 => record.raw("bluetooth.address", hex(c.bytes("Bluetooth address", 6)?)),
        _ => {
            out.note(format!("information of type {kind:#04x} is not decoded"));
            record.raw(format_compact!("information.{kind:02x}"), hex(c.take_rest("information")));
        }
    }
    Ok(Some(record))
}

/// The supply, measured at the first analogue input; devices with two say which one it was.
fn voltage_of_input(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let volts = hundredths(c.u16("voltage")?);
    match c.left() {
        1 if c.u8("input")? == 1 => record.set(Key::AinN(2), volts),
        _ => {
            record.set(Key::ExternalPowerVoltage, volts);
            record.set(Key::AinN(1), volts);
        }
    }
    Ok(())
}

/// The state of the satellite receiver; the satellites of a second system follow in the same way.
fn satellites(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    const STATES: [&str; 5] = ["off", "search", "2d", "3d", "sleep"];
    let (mut used, mut visible) = (0_u16, 0_u16);
    for system in 0..2 {
        if c.left() < 3 {
            break;
        }
        let state = c.u8("receiver state")?;
        if system == 0 {
            record.set_some(Key::GnssState, STATES.get(usize::from(state)).copied());
        }
        for sum in [&mut used, &mut visible] {
            let count = c.u8("satellites")?;
            c.skip("signals", count.into())?;
            *sum = sum.saturating_add(count.into());
        }
    }
    record.set(Key::PositionSatellites, used);
    // What is visible is counted without what is used.
    record.set(Key::PositionSatellitesVisible, used.saturating_add(visible));
    Ok(())
}

/// `ALM1=C4;STA1=40;DYD=01…`: states under the device's own names.
fn states(c: &mut Cursor<'_>, record: &mut Record) {
    let text = text(c.take_rest("states"));
    for pair in text.split(';') {
        if let Some((name, value)) = pair.split_once('=') {
            let name = name.trim();
            let number = i64::from_str_radix(value, 16)
                .ok()
                .filter(|_| matches!(name, "ALM1" | "ALM2" | "ALM3" | "ALM4" | "STA1" | "DYD"));
            match number {
                Some(number) => record.raw(name, number),
                None => record.raw(name, value),
            }
        }
    }
}

/// Ten bytes of digits, which some firmware sends with the digits of each byte swapped: every card's number begins
/// with 89.
pub(super) fn iccid(bytes: &[u8]) -> String {
    let swapped: Vec<u8> = bytes.iter().map(|byte| byte.rotate_left(4)).collect();
    let bytes = if bytes.first() == Some(&0x98) { &swapped } else { bytes };
    hex(bytes).trim_end_matches('f').to_owned()
}

/// `!AIOIL,02,008.290,029.600,519J,0400,008.430,0,00,AB`: an ultrasonic fuel sensor; a time may stand before it.
fn fuel(c: &mut Cursor<'_>, mut record: Record, out: &mut Out<'_>) -> Result<Option<Record>> {
    if c.peek() != Some(b'!') {
        c.skip("time", 6)?;
    }
    let at = c.at();
    let bytes = c.take_rest("fuel");
    let found = std::str::from_utf8(bytes).ok().and_then(|text| {
        let mut f = out.fields(text, at, ',');
        if f.text("sensor").ok()? != "!AIOIL" {
            return None;
        }
        f.num::<u32>("address").ok()?;
        f.num::<f64>("output").ok()?;
        let temperature: f64 = f.num("temperature").ok()?;
        f.text("version").ok()?;
        f.num::<u32>("state").ok()?;
        let level: f64 = f.num("measured").ok()?;
        f.num::<u8>("movement").ok()?;
        f.num::<u32>("excited waves").ok()?;
        // Two hex digits: with them it is known that no digit of the level is cut off.
        let sum = f.text("checksum").ok()?;
        let is_whole = sum.len() == 2 && sum.bytes().all(|digit| digit.is_ascii_hexdigit());
        (is_whole && !f.has_more()).then_some((temperature, level))
    });
    let Some((temperature, level)) = found else {
        out.note("not the text of a fuel sensor");
        return Ok(None);
    };
    record.set(Key::TemperatureN(1), temperature);
    // Centimetres of fuel, by the maker: how many litres that is, only the tank's shape tells.
    record.set(Key::FuelVolumeN(1), level);
    Ok(Some(record))
}

/// 0x9B: what a serial port received: text as it is, other bytes as hex.
pub(super) fn serial(m: &Message<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    c.u8("port device")?;
    let bytes = c.take_rest("data");
    let printable = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b' '..=0x7F));
    if printable {
        record.set(Key::DeviceCommandResult, trimmed(&text(bytes)));
    } else {
        record.set(Key::DeviceCommandResult, hex(bytes));
    }
    Ok(record)
}

/// 0x8C: `283=00000000,2D3=0000189C…` from OBD: ids and values in hex, values in hundredths.
pub(super) fn obd(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    /// What follows the pairs.
    const TAIL: usize = 12;
    let mut c = m.content;
    let mut record = timed(moment(&mut c, x.zone, out)?);
    record.set(Key::EngineIgnitionStatus, c.u8("ACC")? > 0);
    let length = c.left().saturating_sub(TAIL);
    let text = text(c.bytes("OBD", length)?);
    for pair in text.split(',') {
        if let Some((id, value)) = pair.split_once('=') {
            obd_pair(id, value, &mut record);
        }
    }
    Ok(record)
}

/// Two digits name the quantity; a third one may follow. All are hundredths of a usual unit, as the captured coolant, speed
/// and engine speed show: so mileage counts kilometres and running time hours, and not metres and milliseconds.
fn obd_pair(id: &str, value: &str, record: &mut Record) {
    let key = match id.get(..2).unwrap_or_default() {
        "28" => Key::VehicleMileage,
        "2B" => Key::FuelVolume,
        "2D" => Key::EngineCoolantTemperature,
        "35" => Key::CanVehicleSpeed,
        "36" => Key::EngineRpm,
        "47" => Key::FuelConsumed,
        "49" => Key::EngineHours,
        "4A" => return record.set(Key::VehicleVin, value),
        _ => return record.raw(id, value),
    };
    match u32::from_str_radix(value, 16) {
        Ok(number) => record.set(key, f64::from(number) / 100.0),
        Err(_) => record.raw(id, value),
    }
}

/// Seconds since 1970 as the time of a record.
pub(super) fn stamped(c: &mut Cursor<'_>) -> Result<Record> {
    Ok(timed(epoch(c)?))
}
