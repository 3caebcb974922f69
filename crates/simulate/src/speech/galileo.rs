//! Galileosky: packets of tags, with all that the adapter of a refrigeration unit says in tag 5B.

use super::{Frame, Heard, Order};
use crate::measured::Measured;
use crate::reefer::{Action, Unit, Zone};
use crc::{CRC_16_MODBUS, Crc};

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_MODBUS);
const TAGS: u8 = 0x01;
const RECEIVED: u8 = 0x02;
/// Of tag 5B: Thermo King's TouchPrint.
const TOUCHPRINT: u8 = 13;
/// What an adapter sends for a sensor that is not there.
const NO_SENSOR: i16 = i16::MIN;
/// Hours of diesel between two services of each kind.
const SERVICES: [f64; 5] = [1500.0, 3000.0, 4500.0, 6000.0, 12_000.0];

/// The first packet: hardware, firmware, IMEI and the number that the owner gave.
pub(super) fn login(imei: &str) -> Vec<u8> {
    let mut tags = vec![0x01, 0x0A, 0x02, 0xE1, 0x03];
    tags.extend_from_slice(imei.as_bytes());
    tags.extend([0x04, 0x32, 0x00]);
    packet(&tags)
}

pub(super) fn frame(records: &[Measured]) -> Frame {
    let mut tags = Vec::new();
    for record in records {
        // The number that the device's archive gave it, which it has however often it is sent.
        tags.push(0x10);
        tags.extend((record.time_ms.div_euclid(10_000) as u16).to_le_bytes());
        truck(&mut tags, record);
        if let Some(unit) = &record.unit {
            refrigeration(&mut tags, unit);
        }
        vehicle(&mut tags, record);
    }
    let bytes = packet(&tags);
    let mark = checksum(&bytes);
    Frame { bytes, mark }
}

pub(super) fn answer(imei: &str, number: u32, text: &str) -> Vec<u8> {
    let mut tags = vec![0x03];
    tags.extend_from_slice(imei.as_bytes());
    tags.extend([0x04, 0x32, 0x00, 0xE0]);
    tags.extend(number.to_le_bytes());
    let text = &text.as_bytes()[..text.len().min(255)];
    tags.extend([0xE1, text.len() as u8]);
    tags.extend_from_slice(text);
    packet(&tags)
}

pub(super) fn hear(bytes: &[u8], awaits_login: bool) -> (Heard, usize) {
    match bytes {
        [RECEIVED, _, _, ..] if awaits_login => (Heard::Login(true), 3),
        [RECEIVED, low, high, ..] => (Heard::Acknowledged(u16::from_le_bytes([*low, *high]).into()), 3),
        [TAGS, low, high, rest @ ..] => {
            let length = usize::from(u16::from_le_bytes([*low, *high]) & 0x7FFF);
            if rest.len() < length + 2 {
                return (Heard::Nothing, 0);
            }
            let heard = order(&rest[..length]).map_or(Heard::Other, Heard::Command);
            (heard, length + 5)
        }
        [RECEIVED | TAGS, ..] => (Heard::Nothing, 0),
        _ => (Heard::Nonsense, 0),
    }
}

/// `03 imei 04 number E0 number E1 length text`.
fn order(tags: &[u8]) -> Option<Order> {
    let rest = tags.strip_prefix(&[0x03])?.get(15..)?;
    let [0x04, _, _, 0xE0, a, b, c, d, 0xE1, length, text @ ..] = rest else { return None };
    let text = text.get(..usize::from(*length))?;
    Some(Order { text: String::from_utf8_lossy(text).into_owned(), token: u32::from_le_bytes([*a, *b, *c, *d]) })
}

fn packet(tags: &[u8]) -> Vec<u8> {
    let mut out = vec![TAGS];
    out.extend((tags.len() as u16).to_le_bytes());
    out.extend_from_slice(tags);
    let sum = CRC.checksum(&out);
    out.extend(sum.to_le_bytes());
    out
}

fn checksum(packet: &[u8]) -> u32 {
    let [.., low, high] = packet else { return 0 };
    u16::from_le_bytes([*low, *high]).into()
}

/// Tags up to 47.
fn truck(tags: &mut Vec<u8>, record: &Measured) {
    let mut tag = |id: u8, value: &[u8]| {
        tags.push(id);
        tags.extend_from_slice(value);
    };
    tag(0x20, &((record.time_ms.div_euclid(1000)) as u32).to_le_bytes());
    let degrees = |degrees: f64| ((degrees * 1e6).round() as i32).to_le_bytes();
    tag(0x30, &[record.satellites.min(15)]);
    tags.extend(degrees(record.place.latitude));
    tags.extend(degrees(record.place.longitude));
    let mut tag = |id: u8, value: &[u8]| {
        tags.push(id);
        tags.extend_from_slice(value);
    };
    let tenths = |value: f64| ((value * 10.0).round() as u16).to_le_bytes();
    tag(0x33, &[tenths(record.speed_kph), tenths(record.course)].concat());
    tag(0x34, &record.altitude_m.to_le_bytes());
    tag(0x35, &[(record.hdop * 10.0).round() as u8]);
    let status = u16::from(record.moves())
        | u16::from(record.ignition) << 9
        | u16::from(record.signal.saturating_sub(1).min(3)) << 12;
    tag(0x40, &status.to_le_bytes());
    tag(0x41, &((record.supply_v * 1000.0).round() as u16).to_le_bytes());
    tag(0x42, &((record.battery_v * 1000.0).round() as u16).to_le_bytes());
    tag(0x45, &u16::from(record.blocked).to_le_bytes());
    tag(0x46, &(u16::from(record.ignition) | u16::from(record.door_open()) << 1).to_le_bytes());
    if record.shock_g > 0.0 {
        tag(0x47, &[0, 0, 0, (record.shock_g * 100.0).round().min(255.0) as u8]);
    }
}

/// Tags from 90 on.
fn vehicle(tags: &mut Vec<u8>, record: &Measured) {
    let mut tag = |id: u8, value: [u8; 4]| {
        tags.push(id);
        tags.extend(value);
    };
    tag(0x90, record.driver.to_le_bytes());
    tag(0xC0, ((record.fuel_used_l * 2.0).round() as u32).to_le_bytes());
    let [low, high] = (record.engine_rpm * 8).to_le_bytes();
    tag(0xC1, [(record.fuel_percent / 0.4).round() as u8, (record.coolant_c + 40.0).round() as u8, low, high]);
    tag(0xC2, ((record.odometer_m / 5) as u32).to_le_bytes());
    tag(0xD4, (record.odometer_m as u32).to_le_bytes());
}

/// Tag 5B.
fn refrigeration(tags: &mut Vec<u8>, unit: &Unit) {
    let zones = unit.zones.len() as u16;
    // Zones, then a sensor in the cargo of each, alarms, services, hours, engine speed.
    let flags = ((1 << zones) - 1) << 1 | ((1 << zones) - 1) << 4 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 14;
    tags.extend([0x5B, TOUCHPRINT]);
    tags.extend(u16::to_le_bytes(flags));
    // Digital inputs: none is in use.
    tags.extend([0; 4]);
    for zone in &unit.zones {
        for celsius in [zone.set_point_c, zone.return_air_c, zone.supply_air_c, zone.evaporator_c] {
            tags.extend(tenths(celsius).to_le_bytes());
        }
        tags.extend([state(unit, zone), 0]);
    }
    for zone in &unit.zones {
        tags.extend(tenths(zone.cargo_c).to_le_bytes());
    }
    let mut alarms = [0; 32];
    for (pair, code) in alarms.chunks_mut(2).zip(&unit.codes) {
        pair.copy_from_slice(&[*code, if unit.has_failed() { 3 } else { 1 }]);
    }
    tags.extend(alarms);
    for every in SERVICES {
        tags.extend(((every - unit.diesel_h.rem_euclid(every)) as u32).to_le_bytes());
    }
    // Electric, total and engine, in twentieths of an hour.
    for hours in [unit.mains_h, unit.total_h, unit.diesel_h] {
        tags.extend(((hours * 20.0).round() as u32).to_le_bytes());
    }
    tags.extend(unit.rpm.to_le_bytes());
}

fn state(unit: &Unit, zone: &Zone) -> u8 {
    u8::from(zone.continuous)
        | u8::from(unit.on_mains) << 1
        | u8::from(zone.action == Action::Defrost) << 2
        | u8::from(zone.door_open) << 3
}

fn tenths(celsius: f64) -> i16 {
    let tenths = (celsius * 10.0).round();
    if tenths.is_finite() { tenths as i16 } else { NO_SENSOR }
}
