//! Records for people: one line each.

use std::io::{BufRead as _, BufReader, Read};

use serde_json::{Map, Value};

pub(super) const HEADING: &str =
    "event time            device           protocol   latitude   longitude   km/h  what else it says";

/// How much of what else a record says fits a line.
const REST_CHARACTERS: usize = 90;

/// Prints records as they come, to the end; says how many they were.
pub(super) fn records(lines: impl Read) -> u64 {
    let mut count = 0;
    for line in BufReader::new(lines).lines() {
        let Ok(line) = line else { break };
        if let Ok(Value::Object(record)) = serde_json::from_str(&line) {
            println!("{}", one(record));
            count += 1;
        }
    }
    count
}

fn one(mut record: Map<String, Value>) -> String {
    let mut take = |key: &str| record.remove(key);
    let time: String = text(take("time")).chars().take(19).collect();
    let (device, protocol) = (text(take("device")), text(take("protocol")));
    let number = |value: Option<Value>, width: usize, digits: usize| match value.and_then(|value| value.as_f64()) {
        Some(value) => format!("{value:>width$.digits$}"),
        None => " ".repeat(width),
    };
    let latitude = number(take("position.latitude"), 10, 5);
    let longitude = number(take("position.longitude"), 11, 5);
    let speed = number(take("position.speed"), 6, 0);
    for key in ["received", "id", "time.source"] {
        take(key);
    }
    let rest: Vec<_> = record.iter().map(|(key, value)| format!("{key} {}", text(Some(value.clone())))).collect();
    let rest: String = rest.join(", ").chars().take(REST_CHARACTERS).collect();
    format!("{time:<20}  {device:<16} {protocol:<10}{latitude} {longitude} {speed}  {rest}")
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
        None => String::new(),
    }
}
