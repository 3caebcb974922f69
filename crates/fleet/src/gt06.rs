//! GT06.

use crate::{Heard, Reading};
use crc::{CRC_16_IBM_SDLC, Crc};

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_SDLC);
const LOGIN: u8 = 0x01;
const STATUS: u8 = 0x13;
const LOCATION: u8 = 0x22;

pub(crate) fn login(imei: &str) -> Vec<u8> {
    let digits = format!("{imei:0>16}");
    let content: Vec<u8> = digits.as_bytes().chunks(2).map(|pair| (pair[0] & 0x0F) << 4 | (pair[1] & 0x0F)).collect();
    packet(LOGIN, &content, 1)
}

pub(crate) fn frame(readings: &[Reading], serial: u16) -> Vec<u8> {
    let mut out = Vec::new();
    for reading in readings {
        out.extend(packet(LOCATION, &location(reading), serial));
    }
    out.extend(packet(STATUS, &[0x44, 0x04, 0x03, 0x00, 0x01], serial));
    out
}

pub(crate) fn hear(bytes: &[u8]) -> (Heard, usize) {
    let [0x78, 0x78, length, rest @ ..] = bytes else {
        return (if bytes.len() < 3 { Heard::Nothing } else { Heard::Nonsense }, 0);
    };
    let whole = usize::from(*length) + 5;
    if bytes.len() < whole {
        return (Heard::Nothing, 0);
    }
    let heard = match rest.first() {
        Some(&LOGIN) => Heard::Login(true),
        Some(&STATUS) => Heard::Acknowledged(None),
        _ => Heard::Other,
    };
    (heard, whole)
}

fn location(reading: &Reading) -> Vec<u8> {
    let mut out = Vec::new();
    let time = jiff::Timestamp::from_millisecond(reading.time_ms).unwrap_or_default();
    let time = jiff::tz::TimeZone::UTC.to_datetime(time);
    out.push((time.year() % 100) as u8);
    out.extend([time.month(), time.day(), time.hour(), time.minute(), time.second()].map(|part| part as u8));
    out.push(0xC9);
    for degrees in [reading.latitude, reading.longitude] {
        out.extend(((degrees.abs() * 1_800_000.0).round() as u32).to_be_bytes());
    }
    out.push(reading.speed_kph);
    let (west, north) = (u16::from(reading.longitude < 0.0) << 11, u16::from(reading.latitude >= 0.0) << 10);
    out.extend((1 << 12 | west | north | reading.course).to_be_bytes());
    // A cell of the network, ignition on, upload by time, not sent again.
    out.extend([0x01, 0xCC, 0x00, 0x28, 0x7D, 0x00, 0x1F, 0x71, 0x01, 0x00, 0x00]);
    out
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
