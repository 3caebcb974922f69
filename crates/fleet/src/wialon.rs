//! Wialon IPS 1.1.

use crate::{Heard, Reading};

pub(crate) fn login(imei: &str) -> Vec<u8> {
    format!("#L#{imei};NA\r\n").into_bytes()
}

pub(crate) fn frame(readings: &[Reading]) -> Vec<u8> {
    let bodies: Vec<_> = readings.iter().map(body).collect();
    match &bodies[..] {
        [one] => format!("#D#{one}\r\n").into_bytes(),
        several => format!("#B#{}\r\n", several.join("|")).into_bytes(),
    }
}

pub(crate) fn hear(bytes: &[u8]) -> (Heard, usize) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return (Heard::Nothing, 0) };
    let line = String::from_utf8_lossy(&bytes[..end]);
    let heard = match line.trim_end().split('#').collect::<Vec<_>>()[..] {
        ["", "AL", code] => Heard::Login(code == "1"),
        ["", "AD", "1"] => Heard::Acknowledged(Some(1)),
        ["", "AB", count] => count.parse().map_or(Heard::Nonsense, |count| Heard::Acknowledged(Some(count))),
        ["", _, _] => Heard::Other,
        _ => Heard::Nonsense,
    };
    (heard, end + 1)
}

fn body(reading: &Reading) -> String {
    let time = jiff::Timestamp::from_millisecond(reading.time_ms).unwrap_or_default();
    let time = jiff::tz::TimeZone::UTC.to_datetime(time);
    let place = |degrees: f64, width: usize| {
        let (whole, minutes) = (degrees.abs().trunc(), degrees.abs().fract() * 60.0);
        format!("{whole:0width$}{minutes:07.4}")
    };
    format!(
        "{:02}{:02}{:02};{:02}{:02}{:02};{};{};{};{};{};{};120;9;1.0;0;0;;NA;",
        time.day(),
        time.month(),
        time.year() % 100,
        time.hour(),
        time.minute(),
        time.second(),
        place(reading.latitude, 2),
        if reading.latitude < 0.0 { 'S' } else { 'N' },
        place(reading.longitude, 3),
        if reading.longitude < 0.0 { 'W' } else { 'E' },
        reading.speed_kph,
        reading.course,
    )
}
