//! Teltonika, codec 8.

use crate::{Heard, Reading, Telemetry};
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
        position(&mut data, reading, 120, 9);
        // One element of one byte (ignition), one of two (supply voltage), none of four and eight.
        data.extend([0, 2, 1, 239, 1, 1, 66, 0x2F, 0x44, 0, 0]);
    }
    data.push(readings.len() as u8);
    packet(&data)
}

/// With the elements that a tracker in a refrigerated truck sends: ignition, movement, signal and state of the receiver;
/// voltages, precision and two temperatures; odometer and operator.
pub(crate) fn telemetry(measured: &[Telemetry]) -> Vec<u8> {
    let mut data = vec![0x08, measured.len() as u8];
    for truck in measured {
        position(&mut data, &truck.reading, truck.altitude_m, truck.satellites);
        data.extend([0, 12]);
        let moving = u8::from(truck.reading.speed_kph > 0);
        data.extend([4, 239, u8::from(truck.ignition), 240, moving, 21, truck.signal, 69, 1]);
        let two = |celsius: f64| (celsius * 10.0).round() as i16 as u16;
        let [first, second] = truck.temperatures_c.map(two);
        data.push(6);
        for (id, value) in [
            (66, truck.supply_mv),
            (67, truck.battery_mv),
            (181, truck.pdop_tenths),
            (182, truck.pdop_tenths / 2),
            (72, first),
            (73, second),
        ] {
            data.push(id);
            data.extend(value.to_be_bytes());
        }
        data.push(2);
        for (id, value) in [(16, truck.odometer_m), (241, truck.operator)] {
            data.push(id);
            data.extend(value.to_be_bytes());
        }
        data.push(0);
    }
    data.push(measured.len() as u8);
    packet(&data)
}

fn position(data: &mut Vec<u8>, reading: &Reading, altitude_m: i16, satellites: u8) {
    data.extend(reading.time_ms.to_be_bytes());
    data.push(0);
    data.extend(((reading.longitude * 1e7).round() as i32).to_be_bytes());
    data.extend(((reading.latitude * 1e7).round() as i32).to_be_bytes());
    data.extend(altitude_m.to_be_bytes());
    data.extend(reading.course.to_be_bytes());
    data.push(satellites);
    data.extend(u16::from(reading.speed_kph).to_be_bytes());
}

fn packet(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend((data.len() as u32).to_be_bytes());
    out.extend_from_slice(data);
    out.extend(u32::from(CRC.checksum(data)).to_be_bytes());
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
