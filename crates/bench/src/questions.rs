//! Questions to a running server, and how long its answers take.

use odograph_env::{Clock as _, SystemClock};
use serde_json::{Value, json};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server's data folder.
    pub data: PathBuf,
    /// Questions of each kind.
    pub count: usize,
    /// One kind, or, empty, all.
    pub only: String,
    /// Devices of a fleet.
    pub fleet: usize,
    /// Which devices and days.
    pub seed: u64,
}

/// Asks, and gives a line for each kind of question.
///
/// # Errors
///
/// When the server cannot be reached, or refuses a question.
pub fn ask(plan: &Plan, mut line: impl FnMut(Value)) -> io::Result<()> {
    let clock = SystemClock::new();
    let devices = column(plan, "SELECT device FROM devices ORDER BY device", "device")?;
    let days = column(plan, "SELECT DISTINCT day FROM records ORDER BY day", "day")?;
    if devices.is_empty() || days.is_empty() {
        return Err(io::Error::other("there are no records to ask for"));
    }
    let mut dice = plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for (kind, share) in KINDS {
        if !plan.only.is_empty() && plan.only != *kind {
            continue;
        }
        let (mut times, mut rows, mut bytes) = (Vec::new(), 0, 0);
        for _ in 0..plan.count.div_ceil(*share) {
            let sql = question(kind, &devices, &days, plan.fleet, &mut dice);
            let begun = clock.monotonic();
            let answer = post(plan, &sql)?;
            times.push(clock.monotonic() - begun);
            (rows, bytes) = (rows + answer.rows, bytes + answer.bytes);
        }
        times.sort_unstable();
        let at = |share: f64| milliseconds(times[((times.len() - 1) as f64 * share).ceil() as usize]);
        line(json!({
            "kind": kind, "questions": times.len(), "rows": rows, "bytes": bytes,
            "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0),
        }));
    }
    Ok(())
}

fn question(kind: &str, devices: &[String], days: &[String], fleet: usize, dice: &mut u64) -> String {
    let mut pick = |count: usize| {
        *dice ^= *dice << 13;
        *dice ^= *dice >> 7;
        *dice ^= *dice << 17;
        usize::try_from(*dice % count as u64).unwrap_or_default()
    };
    let (device, day) = (&devices[pick(devices.len())], &days[pick(days.len())]);
    let first = pick(devices.len().saturating_sub(fleet).max(1));
    let neighbours = &devices[first..(first + fleet).min(devices.len())];
    let scattered: Vec<_> = (0..fleet).map(|_| devices[pick(devices.len())].clone()).collect();
    let sums = "count(*) AS records, max(position_speed) AS fastest, avg(temperature_1) AS temperature, \
                max(vehicle_mileage) - min(vehicle_mileage) AS driven FROM records";
    let of = |fleet: &[String]| format!("device IN ('{}')", fleet.join("', '"));
    match kind {
        "day" => format!("SELECT * FROM records WHERE device = '{device}' AND day = '{day}' ORDER BY time"),
        "day-track" => format!(
            "SELECT time, position_latitude, position_longitude, position_speed FROM records \
             WHERE device = '{device}' AND day = '{day}' ORDER BY time"
        ),
        "last" => "SELECT device, time, position_latitude, position_longitude, position_speed FROM last".to_owned(),
        "last-all" => "SELECT * FROM last".to_owned(),
        "devices" => "SELECT * FROM devices".to_owned(),
        "fleet-day" => format!("SELECT device, {sums} WHERE {} AND day = '{day}' GROUP BY device", of(neighbours)),
        "fleet-month" => format!("SELECT device, {sums} WHERE {} GROUP BY device", of(neighbours)),
        "fleet-scattered" => format!("SELECT device, {sums} WHERE {} GROUP BY device", of(&scattered)),
        _ => "SELECT count(*) FROM records".to_owned(),
    }
}

struct Answer {
    body: Vec<u8>,
    rows: u64,
    bytes: u64,
}

/// One request on a connection of its own, as `odograph sql` does.
fn post(plan: &Plan, sql: &str) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(plan.data.join("control.sock"))?;
    let body = json!({ "sql": sql, "tenant": "default" }).to_string();
    write!(
        stream,
        "POST /control/sql HTTP/1.1\r\nhost: control.sock\r\ncontent-type: application/json\r\nte: trailers\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    let text = String::from_utf8_lossy(&all);
    let (head, rest) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let totals = rest.rsplit_once("odograph-totals: ").and_then(|(_, totals)| totals.lines().next());
    let totals: Option<Value> = totals.and_then(|totals| serde_json::from_str(totals).ok());
    match totals {
        Some(totals) if head.starts_with("HTTP/1.1 200") => {
            let rows = totals["given"].as_u64().unwrap_or_default();
            Ok(Answer { rows, bytes: all.len() as u64, body: unchunked(rest.as_bytes()) })
        }
        _ => Err(io::Error::other(format!("the server refuses {sql}: {}", rest.chars().take(300).collect::<String>()))),
    }
}

/// What a body in chunks holds.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size.filter(|size| *size > 0 && end + 2 + size <= bytes.len()) else { break };
        all.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = bytes.get(end + 2 + size + 2..).unwrap_or_default();
    }
    all
}

fn column(plan: &Plan, sql: &str, name: &str) -> io::Result<Vec<String>> {
    let body = post(plan, sql)?.body;
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let row: Value = serde_json::from_slice(line)?;
            Ok(row[name].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

/// And how many are asked fewer times, for each of these.
const KINDS: &[(&str, usize)] = &[
    ("day", 1),
    ("day-track", 1),
    ("last", 1),
    ("last-all", 1),
    ("devices", 1),
    ("fleet-day", 10),
    ("fleet-month", 10),
    ("fleet-scattered", 10),
    ("count", 10),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together() {
        assert_eq!(unchunked(b"4\r\nabcd\r\n2\r\nef\r\n0\r\ntrailer: 1\r\n\r\n"), b"abcdef");
        assert_eq!(unchunked(b"zz\r\n"), b"");
    }
}
