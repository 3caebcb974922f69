//! Teltonika, codec 8.

use crate::{Heard, Reading};
use crc::{CRC_16_ARC, Crc};

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_ARC);

pub(crate) fn login(imei: &str) -> Vec<u8> {
    let mut out = (imei.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(imei.as_bytes());
    out
}

pub(crate) fn frame(readings: &[Reading]) -> Vec<u8> {
    let mut data = vec![0x08, readings.len() as u8];
    for reading in readings {
        data.extend(reading.time_ms.to_be_bytes());
        data.push(0);
        data.extend(((reading.longitude * 1e7).round() as i32).to_be_bytes());
        data.extend(((reading.latitude * 1e7).round() as i32).to_be_bytes());
        data.extend(120_i16.to_be_bytes());
        data.extend(reading.course.to_be_bytes());
        data.push(9);
        data.extend(u16::from(reading.speed_kph).to_be_bytes());
        // One element of one byte (ignition), one of two (supply voltage), none of four and eight.
        data.extend([0, 2, 1, 239, 1, 1, 66, 0x2F, 0x44, 0, 0]);
    }
    data.push(readings.len() as u8);
    let mut out = vec![0; 4];
    out.extend((data.len() as u32).to_be_bytes());
    out.extend_from_slice(&data);
    out.extend(u32::from(CRC.checksum(&data)).to_be_bytes());
    out
}

pub(crate) fn hear(bytes: &[u8], awaits_login: bool) -> (Heard, usize) {
    match bytes {
        [] => (Heard::Nothing, 0),
        [answer, ..] if awaits_login => (Heard::Login(*answer == 1), 1),
        [a, b, c, d, ..] => (Heard::Acknowledged(Some(u32::from_be_bytes([*a, *b, *c, *d]) as usize)), 4),
        _ => (Heard::Nothing, 0),
    }
}
