//! GT06: a packet for each record, and a heartbeat where the state has changed. A tracker of this kind knows no cargo.

use super::calendar::parts;
use super::{Frame, Heard, Order};
use crate::measured::{Measured, Why};
use crc::{CRC_16_IBM_SDLC, Crc};

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_SDLC);
const LOGIN: u8 = 0x01;
const STATUS: u8 = 0x13;
const STRING: u8 = 0x15;
const LOCATION: u8 = 0x22;
const COMMAND: u8 = 0x80;
/// Length, type, serial number and checksum of a packet's answer.
const LENGTH_MIN: usize = 5;
const UNITS_PER_DEGREE: f64 = 1_800_000.0;

pub(super) fn login(imei: &str) -> Vec<u8> {
    let digits = format!("{imei:0>16}");
    let content: Vec<u8> = digits.as_bytes().chunks(2).map(|pair| (pair[0] & 0x0F) << 4 | (pair[1] & 0x0F)).collect();
    packet(LOGIN, &content, 1)
}

/// Each packet has a serial number of its own, and is answered with it; the last one's stands for all.
pub(super) fn frame(records: &[Measured], serial: u16) -> Frame {
    let (mut bytes, mut number) = (Vec::new(), serial.wrapping_mul(32));
    for record in records {
        number = number.wrapping_add(1);
        bytes.extend(packet(LOCATION, &location(record), number));
    }
    if let Some(record) = records.iter().rev().find(|record| matches!(record.why, Why::Ignition | Why::Asked)) {
        number = number.wrapping_add(1);
        bytes.extend(packet(STATUS, &status(record), number));
    }
    Frame { bytes, mark: number.into() }
}

pub(super) fn answer(flag: u32, text: &str, serial: u16) -> Vec<u8> {
    let text = &text.as_bytes()[..text.len().min(200)];
    let mut content = vec![text.len() as u8 + 4];
    content.extend(flag.to_be_bytes());
    content.extend_from_slice(text);
    content.extend([0x00, 0x02]);
    packet(STRING, &content, serial)
}

pub(super) fn hear(bytes: &[u8]) -> (Heard, usize) {
    let [0x78, 0x78, length, rest @ ..] = bytes else {
        return (if b"\x78\x78".starts_with(bytes) || bytes.len() < 3 { Heard::Nothing } else { Heard::Nonsense }, 0);
    };
    let length = usize::from(*length);
    if length < LENGTH_MIN {
        return (Heard::Nonsense, 0);
    }
    if rest.len() < length + 2 {
        return (Heard::Nothing, 0);
    }
    let (kind, content) = (rest[0], &rest[1..length - 4]);
    let serial = u16::from_be_bytes([rest[length - 4], rest[length - 3]]);
    let heard = match kind {
        LOGIN => Heard::Login(true),
        LOCATION | STATUS => Heard::Acknowledged(serial.into()),
        COMMAND => order(content).map_or(Heard::Other, Heard::Command),
        _ => Heard::Other,
    };
    (heard, length + 5)
}

/// `length flag text`, and perhaps a language behind it.
fn order(content: &[u8]) -> Option<Order> {
    let [length, a, b, c, d, text @ ..] = content else { return None };
    let text = text.get(..usize::from(*length).checked_sub(4)?)?;
    Some(Order { text: String::from_utf8_lossy(text).into_owned(), token: u32::from_be_bytes([*a, *b, *c, *d]) })
}

fn location(record: &Measured) -> Vec<u8> {
    let [year, rest @ ..] = parts(record.time_ms);
    let mut out = vec![(year % 100) as u8];
    out.extend(rest.map(|part| part as u8));
    out.push(0xC0 | record.satellites.min(15));
    for degrees in [record.place.latitude, record.place.longitude] {
        out.extend(((degrees.abs() * UNITS_PER_DEGREE).round() as u32).to_be_bytes());
    }
    out.push(record.speed_kph as u8);
    let west = u16::from(record.place.longitude < 0.0) << 11;
    let north = u16::from(record.place.latitude >= 0.0) << 10;
    out.extend((1 << 12 | west | north | record.course as u16).to_be_bytes());
    // A cell of the network.
    out.extend([0x01, 0x06, 0x01, 0x28, 0x7D, 0x00, 0x1F, 0x71]);
    // Ignition; why: by time, by a turn, by the ignition; not sent late, so far as the device knows.
    let why = match record.why {
        Why::Turn => 0x02,
        Why::Ignition => 0x03,
        _ => 0x00,
    };
    out.extend([u8::from(record.ignition), why, u8::from(!record.reachable)]);
    out.extend((record.odometer_m as u32).to_be_bytes());
    out
}

/// Fuel cut, charging, ignition; battery in six steps; signal in four; no alarm; English.
fn status(record: &Measured) -> [u8; 5] {
    let bits = u8::from(record.blocked) << 7 | 1 << 6 | 1 << 2 | u8::from(record.ignition) << 1;
    [bits, 0x06, record.signal.min(4), 0x00, 0x02]
}

fn packet(kind: u8, content: &[u8], serial: u16) -> Vec<u8> {
    let mut covered = vec![content.len() as u8 + 5, kind];
    covered.extend_from_slice(content);
    covered.extend(serial.to_be_bytes());
    let mut out = vec![0x78, 0x78];
    out.extend_from_slice(&covered);
    out.extend(CRC.checksum(&covered).to_be_bytes());
    out.extend([0x0D, 0x0A]);
    out
}
