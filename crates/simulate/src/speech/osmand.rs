//! OsmAnd: a request by HTTP for each record, with names that platforms agree upon.

use super::{Frame, Heard};
use crate::measured::Measured;
use std::fmt::Write as _;

const KPH_PER_KNOT: f64 = 1.852;
/// No answer's head is longer.
const HEAD_MAX: usize = 4096;
/// What stands for any answer of success.
const TAKEN: u32 = 200;

pub(super) fn frame(imei: &str, record: &Measured) -> Frame {
    let mut query = format!(
        "id={imei}&timestamp={}&lat={:.6}&lon={:.6}&speed={:.3}&bearing={}&altitude={}&hdop={}&sat={}&ignition={}\
         &motion={}&odometer={}&hours={}&rpm={}&coolantTemp={:.1}&fuelLevel={:.1}&power={:.3}&battery={:.3}\
         &driverUniqueId={:08X}&blocked={}",
        record.time_ms.div_euclid(1000),
        record.place.latitude,
        record.place.longitude,
        record.speed_kph / KPH_PER_KNOT,
        record.course,
        record.altitude_m,
        record.hdop,
        record.satellites,
        record.ignition,
        record.moves(),
        record.odometer_m,
        (record.engine_h * 3_600_000.0).round(),
        record.engine_rpm,
        record.coolant_c,
        record.fuel_percent,
        record.supply_v,
        record.battery_v,
        record.driver,
        record.blocked,
    );
    if let Some(unit) = &record.unit {
        let _ = write!(query, "&door={}", record.door_open());
        for (number, zone) in (1..).zip(&unit.zones) {
            let _ = write!(query, "&temp{number}={:.1}&temp{}={:.1}", zone.return_air_c, number + 3, zone.cargo_c);
        }
    }
    let bytes = format!("GET /?{query} HTTP/1.1\r\nHost: odograph\r\n\r\n").into_bytes();
    Frame { bytes, mark: TAKEN }
}

pub(super) fn hear(bytes: &[u8]) -> (Heard, usize) {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return (if bytes.len() > HEAD_MAX { Heard::Nonsense } else { Heard::Nothing }, 0);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse::<u32>().ok());
    let length = lines.find_map(|line| line.strip_prefix("content-length:")).and_then(|text| text.trim().parse().ok());
    let whole = end + 4 + length.unwrap_or(0_usize);
    if bytes.len() < whole {
        return (if whole > HEAD_MAX { Heard::Nonsense } else { Heard::Nothing }, 0);
    }
    match status {
        Some(200..300) => (Heard::Acknowledged(TAKEN), whole),
        // The device is not wanted.
        Some(404) => (Heard::Login(false), whole),
        Some(_) => (Heard::Other, whole),
        None => (Heard::Nonsense, 0),
    }
}
