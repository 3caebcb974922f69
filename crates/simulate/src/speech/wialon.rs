//! Wialon IPS 2.0: lines of text, each with a checksum. What a refrigeration unit says goes into parameters: `temp1` to
//! `temp3` for the return air of the zones, `temp4` to `temp6` for the cargo in them.

use super::calendar::parts;
use super::{Frame, Heard, Order};
use crate::measured::Measured;
use crc::{CRC_16_ARC, Crc};
use std::fmt::Write as _;

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_ARC);
/// No line from a server is longer.
const LINE_MAX: usize = 4096;

pub(super) fn login(imei: &str) -> Vec<u8> {
    line("L", &format!("2.0;{imei};NA;"))
}

pub(super) fn frame(records: &[Measured]) -> Frame {
    let bytes = match records {
        [one] => line("D", &format!("{};", body(one))),
        several => {
            let bodies: Vec<_> = several.iter().map(body).collect();
            line("B", &format!("{}|", bodies.join("|")))
        }
    };
    Frame { bytes, mark: records.len() as u32 }
}

pub(super) fn answer(text: &str) -> Vec<u8> {
    // A line is one line, and a semicolon ends its text.
    let text = text.replace(['\r', '\n', ';'], " ");
    line("M", &format!("{text};"))
}

pub(super) fn hear(bytes: &[u8]) -> (Heard, usize) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return (if bytes.len() > LINE_MAX { Heard::Nonsense } else { Heard::Nothing }, 0);
    };
    let line = String::from_utf8_lossy(&bytes[..end]);
    let line = line.trim_end();
    let heard = match line.split('#').collect::<Vec<_>>()[..] {
        ["", "AL", code] => Heard::Login(code == "1"),
        ["", "AD", "1"] => Heard::Acknowledged(1),
        ["", "AB", count] => count.parse().map_or(Heard::Nonsense, Heard::Acknowledged),
        ["", "M", text] => order(text.rsplit_once(';').map_or(text, |(text, _)| text)),
        ["", ..] => Heard::Other,
        [command] if !command.is_empty() => order(command),
        _ => Heard::Other,
    };
    (heard, end + 1)
}

fn order(text: &str) -> Heard {
    Heard::Command(Order { text: text.to_owned(), token: 0 })
}

/// The checksum is over the body and the separator at its end.
fn line(kind: &str, body: &str) -> Vec<u8> {
    format!("#{kind}#{body}{:04X}\r\n", CRC.checksum(body.as_bytes())).into_bytes()
}

fn body(record: &Measured) -> String {
    let [year, month, day, hour, minute, second] = parts(record.time_ms);
    let (latitude, longitude) = (record.place.latitude, record.place.longitude);
    format!(
        "{day:02}{month:02}{:02};{hour:02}{minute:02}{second:02};{};{};{};{};{};{};{};{};{};{};{};NA;{:08X};{}",
        year % 100,
        angle(latitude, 2),
        if latitude < 0.0 { 'S' } else { 'N' },
        angle(longitude, 3),
        if longitude < 0.0 { 'W' } else { 'E' },
        record.speed_kph,
        record.course,
        record.altitude_m,
        record.satellites,
        record.hdop,
        u8::from(record.ignition) | u8::from(record.door_open()) << 1,
        u8::from(record.blocked),
        record.driver,
        parameters(record),
    )
}

/// `DDMM.MMMM`, by whole units, so that sixty minutes are a degree.
fn angle(degrees: f64, width: usize) -> String {
    let units = (degrees.abs() * 600_000.0).round() as u64;
    format!("{:0width$}{:02}.{:04}", units / 600_000, units % 600_000 / 10_000, units % 10_000)
}

fn parameters(record: &Measured) -> String {
    let mut out = format!(
        "ign:1:{},motion:1:{},odometer:1:{},pwr_ext:2:{:.2},pwr_int:2:{:.2},gsm:1:{},engine_hours:2:{:.2},rpm:1:{},\
         cool_temp:2:{:.1},fuel:2:{:.1},blocked:1:{}",
        u8::from(record.ignition),
        u8::from(record.moves()),
        record.odometer_m,
        record.supply_v,
        record.battery_v,
        record.signal,
        record.engine_h,
        record.engine_rpm,
        record.coolant_c,
        record.fuel_percent * 6.0,
        u8::from(record.blocked),
    );
    if record.shock_g > 0.0 {
        let _ = write!(out, ",acceleration:2:{:.2}", record.shock_g);
    }
    let Some(unit) = &record.unit else { return out };
    let _ = write!(out, ",door:1:{}", u8::from(record.door_open()));
    for (number, zone) in (1..).zip(&unit.zones) {
        let _ = write!(out, ",temp{number}:2:{:.1},temp{}:2:{:.1}", zone.return_air_c, number + 3, zone.cargo_c);
        let _ = write!(out, ",reefer_set{number}:2:{:.1}", zone.set_point_c);
    }
    for (number, code) in (1..).zip(&unit.codes) {
        let _ = write!(out, ",reefer_code{number}:1:{code}");
    }
    out
}
