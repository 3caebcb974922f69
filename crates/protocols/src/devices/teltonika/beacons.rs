//! Elements of any length: texts, and the lists of beacons and sensors heard by Bluetooth.
//!
//! The place of a beacon in a list says nothing about which beacon it is, so what beacons say is kept under the list's
//! own numbers, as `tag1.id`, `tag1.temperature` and so on.

use crate::Out;
use compact_str::{CompactString, ToCompactString, format_compact};
use odograph_model::{Item, Key, Record};
use odograph_wire::{Cursor, Result, bits};

/// Names and values, kept back until the list is known to be whole.
type Found = Vec<(CompactString, CompactString)>;

/// Takes an element of any length.
pub(super) fn variable(record: &mut Record, id: u16, bytes: &[u8], out: &mut Out<'_>) {
    let is_known = match id {
        256 | 325 | 528 => vin(record, bytes),
        281 | 282 | 525 => codes(record, bytes),
        403 => ascii(bytes).map(|text| record.raw("403", text)).is_some(),
        385 => list(record, bytes, beacons, out),
        548 | 10828 | 10829 | 10831 | 11317 => list(record, bytes, tags, out),
        10356 => serial(record, bytes),
        _ => false,
    };
    if !is_known {
        raw_hex(record, id, bytes);
    }
}

/// Keeps an element as hex digits.
pub(super) fn raw_hex(record: &mut Record, id: u16, bytes: &[u8]) {
    record.raw(id.to_compact_string(), hex(bytes));
}

/// Text up to the first zero or 0xFF; `None` where something else stands before it.
pub(super) fn ascii(bytes: &[u8]) -> Option<&str> {
    let length = bytes.iter().position(|byte| matches!(byte, 0 | 0xFF)).unwrap_or(bytes.len());
    let text = bytes.get(..length)?;
    if text.iter().all(|byte| matches!(byte, b' '..=b'~')) { std::str::from_utf8(text).ok() } else { None }
}

fn vin(record: &mut Record, bytes: &[u8]) -> bool {
    let text = ascii(bytes);
    record.set_some(Key::VehicleVin, text.filter(|text| !text.is_empty()));
    text.is_some()
}

fn serial(record: &mut Record, bytes: &[u8]) -> bool {
    let text = ascii(bytes);
    record.set_some(Key::ReeferUnitSerial, text.filter(|text| !text.is_empty()));
    text.is_some()
}

fn codes(record: &mut Record, bytes: &[u8]) -> bool {
    let Some(text) = ascii(bytes) else { return false };
    for code in text.split([',', ' ']).filter(|code| !code.is_empty()) {
        record.push(Key::ObdDtc, Item::Text(code.into()));
    }
    true
}

/// Reads a list into raw values; one that does not end where it should is kept whole.
fn list(
    record: &mut Record,
    bytes: &[u8],
    read: fn(&mut Cursor<'_>, &mut Found) -> Result<()>,
    out: &mut Out<'_>,
) -> bool {
    let mut found = Vec::new();
    if read(&mut Cursor::new(bytes), &mut found).is_err() {
        out.note("a list of beacons is broken");
        return false;
    }
    for (name, value) in found {
        record.raw(name, value);
    }
    true
}

/// The simple list: a byte that numbers the part of the list, then beacons of either kind.
fn beacons(c: &mut Cursor<'_>, found: &mut Found) -> Result<()> {
    c.u8("part of the list")?;
    let mut number = 0_u32;
    while !c.is_empty() {
        number = number.saturating_add(1);
        let mut put = |name: &str, value: CompactString| found.push((format_compact!("beacon{number}.{name}"), value));
        let flags = c.u8("beacon flags")?;
        if bits::between(flags, 4, 8) > 0 {
            put("uuid", hex(c.bytes("UUID", 16)?));
            put("major", c.u16("major")?.to_compact_string());
            put("minor", c.u16("minor")?.to_compact_string());
        } else {
            put("namespace", hex(c.bytes("namespace", 10)?));
            put("instance", hex(c.bytes("instance", 6)?));
        }
        put("rssi", c.i8("signal")?.to_compact_string());
        if bits::is_set(flags, 1) {
            put("battery", (f64::from(c.u16("battery voltage")?) / 100.0).to_compact_string());
        }
        if bits::is_set(flags, 2) {
            put("temperature", c.u16("temperature")?.to_compact_string());
        }
    }
    Ok(())
}

/// The advanced list: a byte in front, then beacons with a length, each a row of parameters with number and length.
fn tags(c: &mut Cursor<'_>, found: &mut Found) -> Result<()> {
    c.u8("header")?;
    let mut number = 0_u32;
    while !c.is_empty() {
        number = number.saturating_add(1);
        let length = usize::from(c.u8("beacon length")?);
        let mut beacon = c.sub("beacon", length)?;
        while !beacon.is_empty() {
            let parameter = beacon.u8("parameter")?;
            let length = usize::from(beacon.u8("parameter length")?);
            let mut value = beacon.sub("parameter value", length)?;
            tag_parameter(&mut value, parameter, number, found)?;
        }
    }
    Ok(())
}

fn tag_parameter(c: &mut Cursor<'_>, parameter: u8, number: u32, found: &mut Found) -> Result<()> {
    let mut put = |name: &str, value: CompactString| found.push((format_compact!("tag{number}.{name}"), value));
    match parameter {
        0 => put("rssi", c.i8("signal")?.to_compact_string()),
        1 => put("id", hex(c.take_rest("beacon id"))),
        2 => {
            let flags = c.u8("sensor flags")?;
            if bits::is_set(flags, 6) {
                put("low_battery", true.to_compact_string());
            }
            // 2000 mV and ten for each step, as the last byte of what the sensor said itself.
            if let (true, Some(steps)) = (bits::is_set(flags, 7), c.rest().first()) {
                let millivolts = u16::from(*steps).saturating_mul(10).saturating_add(2000);
                put("voltage", millivolts.to_compact_string());
            }
            put("data", hex(c.take_rest("sensor data")));
        }
        5 => put("name", String::from_utf8_lossy(c.take_rest("name")).as_ref().into()),
        6 => put("temperature", (f64::from(c.i16("temperature")?) / 100.0).to_compact_string()),
        7 => put("humidity", c.u8("humidity")?.to_compact_string()),
        8 => put("magnet", (c.u8("magnet")? > 0).to_compact_string()),
        9 => put("movement", (c.u8("movement")? > 0).to_compact_string()),
        10 => put("movement_count", c.u16("movement count")?.to_compact_string()),
        11 => put("pitch", c.i8("pitch")?.to_compact_string()),
        12 => put("roll", c.i16("roll")?.to_compact_string()),
        13 => put("low_battery", c.u8("low battery")?.to_compact_string()),
        14 => put("battery", c.u16("battery voltage")?.to_compact_string()),
        15 => put("mac", hex(c.bytes("MAC address", 6)?)),
        other => put(&format_compact!("parameter{other}"), hex(c.take_rest("parameter"))),
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> CompactString {
    let mut text = CompactString::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0F] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
    }
    text
}
