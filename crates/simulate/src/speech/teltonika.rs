//! Teltonika: codec 8 Extended, with the elements of an FMB tracker that reads a refrigeration unit (ids 10047 and on).
//! Commands come by codec 12.

use super::{Frame, Heard, Order};
use crate::measured::{Measured, Why};
use crc::{CRC_16_ARC, Crc};

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_ARC);
const CODEC_8E: u8 = 0x8E;
const CODEC_12: u8 = 0x0C;
const COMMAND: u8 = 0x05;
const ANSWER: u8 = 0x06;
/// Preamble, length, and checksum.
const AROUND: usize = 12;
/// No command is longer.
const PACKET_MAX: usize = 4096;

pub(super) fn login(imei: &str) -> Vec<u8> {
    let mut out = (imei.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(imei.as_bytes());
    out
}

pub(super) fn frame(records: &[Measured]) -> Frame {
    Frame { bytes: packet(&data(records)), mark: records.len() as u32 }
}

pub(super) fn datagram(imei: &str, records: &[Measured], serial: u16) -> Frame {
    let [high, low] = serial.to_be_bytes();
    let mut body = vec![high, low, 0x01, low];
    body.extend(login(imei));
    body.extend(data(records));
    let mut bytes = (body.len() as u16).to_be_bytes().to_vec();
    bytes.extend(body);
    Frame { bytes, mark: serial.into() }
}

pub(super) fn answer(text: &str) -> Vec<u8> {
    let mut data = vec![CODEC_12, 1, ANSWER];
    data.extend((text.len() as u32).to_be_bytes());
    data.extend_from_slice(text.as_bytes());
    data.push(1);
    packet(&data)
}

pub(super) fn hear(bytes: &[u8], awaits_login: bool) -> (Heard, usize) {
    match bytes {
        [answer, ..] if awaits_login => (Heard::Login(*answer == 1), 1),
        [0, 0, 0, 0, rest @ ..] => command(rest),
        [a, b, c, d, ..] => (Heard::Acknowledged(u32::from_be_bytes([*a, *b, *c, *d])), 4),
        _ => (Heard::Nothing, 0),
    }
}

pub(super) fn hear_datagram(bytes: &[u8]) -> Heard {
    match bytes {
        [0, 5, high, low, 1, _, count] if *count > 0 => Heard::Acknowledged(u16::from_be_bytes([*high, *low]).into()),
        _ => Heard::Other,
    }
}

/// A packet for the device, without its preamble: `LLLLLLLL 0C 01 05 llllllll text 01 KKKKKKKK`.
///
/// An acknowledgement of no record is four zeros too; no length of a packet is zero.
fn command(rest: &[u8]) -> (Heard, usize) {
    let [a, b, c, d, rest @ ..] = rest else { return (Heard::Nothing, 0) };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    if length > PACKET_MAX {
        return (Heard::Nonsense, 0);
    }
    if rest.len() < length + 4 {
        return (Heard::Nothing, 0);
    }
    let heard = match &rest[..length] {
        [CODEC_12, 1, COMMAND, a, b, c, d, text @ .., 1]
            if u32::from_be_bytes([*a, *b, *c, *d]) as usize == text.len() =>
        {
            Heard::Command(Order { text: String::from_utf8_lossy(text).trim().to_owned(), token: 0 })
        }
        _ => Heard::Other,
    };
    (heard, length + AROUND)
}

fn packet(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend((data.len() as u32).to_be_bytes());
    out.extend_from_slice(data);
    out.extend(u32::from(CRC.checksum(data)).to_be_bytes());
    out
}

fn data(records: &[Measured]) -> Vec<u8> {
    let mut data = vec![CODEC_8E, records.len() as u8];
    for record in records {
        position(&mut data, record);
        elements(&mut data, record);
    }
    data.push(records.len() as u8);
    data
}

fn position(data: &mut Vec<u8>, record: &Measured) {
    data.extend(record.time_ms.to_be_bytes());
    data.push(u8::from(matches!(record.why, Why::Alarm | Why::Shock)));
    data.extend(((record.place.longitude * 1e7).round() as i32).to_be_bytes());
    data.extend(((record.place.latitude * 1e7).round() as i32).to_be_bytes());
    data.extend(record.altitude_m.to_be_bytes());
    data.extend((record.course as u16).to_be_bytes());
    data.push(record.satellites);
    data.extend((record.speed_kph as u16).to_be_bytes());
}

/// Elements by width.
#[derive(Default)]
struct Elements {
    one: Vec<(u16, u8)>,
    two: Vec<(u16, u16)>,
    four: Vec<(u16, u32)>,
    eight: Vec<(u16, u64)>,
}

fn elements(data: &mut Vec<u8>, record: &Measured) {
    let mut elements = Elements::default();
    truck(&mut elements, record);
    unit(&mut elements, record);
    let event: u16 = match record.why {
        Why::Ignition => 239,
        Why::Door => 654,
        Why::Shock => 253,
        Why::Interval | Why::Turn | Why::Alarm | Why::Asked => 0,
    };
    let Elements { one, two, four, eight } = elements;
    let total = one.len() + two.len() + four.len() + eight.len();
    data.extend(event.to_be_bytes());
    data.extend((total as u16).to_be_bytes());
    group(data, one, u8::to_be_bytes);
    group(data, two, u16::to_be_bytes);
    group(data, four, u32::to_be_bytes);
    group(data, eight, u64::to_be_bytes);
    // Elements of any length: none.
    data.extend([0, 0]);
}

fn group<T, const N: usize>(data: &mut Vec<u8>, elements: Vec<(u16, T)>, bytes: impl Fn(T) -> [u8; N]) {
    data.extend((elements.len() as u16).to_be_bytes());
    for (id, value) in elements {
        data.extend(id.to_be_bytes());
        data.extend(bytes(value));
    }
}

fn truck(elements: &mut Elements, record: &Measured) {
    elements.one.extend([
        (239, u8::from(record.ignition)),
        (240, u8::from(record.moves())),
        (21, record.signal),
        (69, 1),
        (179, u8::from(record.blocked)),
        (89, record.fuel_percent.round() as u8),
        (32, record.coolant_c.round() as i8 as u8),
        (654, u8::from(record.door_open())),
    ]);
    if record.why == Why::Shock && record.moves() {
        // Harsh braking, in hundredths of g.
        elements.one.extend([(253, 2), (254, hundredths(record.shock_g))]);
    }
    elements.two.extend([
        (66, (record.supply_v * 1000.0).round() as u16),
        (67, (record.battery_v * 1000.0).round() as u16),
        (182, (record.hdop * 10.0).round() as u16),
    ]);
    elements.four.extend([(16, record.odometer_m as u32), (103, (record.engine_h * 60.0).round() as u32)]);
    // The key's last byte is sent first.
    elements.eight.push((78, u64::from(record.driver).swap_bytes()));
}

fn unit(elements: &mut Elements, record: &Measured) {
    let Some(unit) = &record.unit else { return };
    /// Ids of a zone: of its return air, which the others follow, and of a wired probe in its cargo.
    const ZONES: [(u16, u16); 3] = [(10_047, 72), (10_056, 73), (10_065, 74)];
    for (zone, (first, probe)) in unit.zones.iter().zip(ZONES) {
        let four = [zone.return_air_c, zone.supply_air_c, zone.set_point_c, zone.evaporator_c];
        elements.two.extend((first..).zip(four.map(tenths)));
        elements.two.push((probe, tenths(zone.cargo_c)));
    }
    elements.two.push((10_350, tenths(unit.ambient_c)));
}

fn tenths(celsius: f64) -> u16 {
    (celsius * 10.0).round() as i16 as u16
}

fn hundredths(g: f64) -> u8 {
    (g * 100.0).round().min(255.0) as u8
}
