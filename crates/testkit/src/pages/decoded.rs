//! What a protocol's records can hold: the keys and alarms that its sources name, and what its vectors show.

use crate::vectors::{Paragraph, Step};
use odograph_model::{Alarm, Key, Kind, PARAMETERS, Parameter};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;

/// So many elements under `raw.` are named; the others are like them.
const RAW_MAX: usize = 40;

/// The section about it.
pub(super) fn section(sources: &str, paragraphs: &[Paragraph]) -> String {
    let shown = shown(paragraphs);
    let named = named(sources);
    let mut text = "\n## What is decoded\n\n| parameter | type | unit | meaning |\n|---|---|---|---|\n".to_owned();
    let is_decoded = |parameter: &&Parameter| named.contains(&variant(parameter)) || shown.contains(parameter.name);
    for parameter in PARAMETERS.iter().filter(is_decoded) {
        let kind = match parameter.kind {
            Kind::Float => "number",
            Kind::Int => "whole number",
            Kind::Bool => "true or false",
            Kind::Text => "text",
            Kind::List => "list",
        };
        let _ = writeln!(text, "| `{}` | {kind} | {} | {} |", parameter.name, parameter.unit, parameter.meaning);
    }
    let alarms = alarms(sources);
    if !alarms.is_empty() {
        let _ = write!(
            text,
            "\nAlarms: {}.\n",
            alarms.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        );
    }
    let raw: Vec<_> = shown.iter().filter(|name| name.starts_with("raw.")).map(|name| format!("`{name}`")).collect();
    if !raw.is_empty() {
        let more = if raw.len() > RAW_MAX { " and more" } else { "" };
        let names = raw.iter().take(RAW_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let _ = write!(text, "\nBesides, under the device's own names: {names}{more}.\n");
    }
    text
}

/// The words behind `Key::` and `Alarm::` that are not in a test.
fn named(sources: &str) -> BTreeSet<String> {
    words_behind(sources, "Key::")
}

fn alarms(sources: &str) -> Vec<&'static str> {
    let named = words_behind(sources, "Alarm::");
    Alarm::ALL.iter().filter(|alarm| named.contains(&format!("{alarm:?}"))).map(|alarm| alarm.name()).collect()
}

fn words_behind(sources: &str, prefix: &str) -> BTreeSet<String> {
    let word = |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    sources.split(prefix).skip(1).map(word).collect()
}

/// The name that the parameter has in sources.
fn variant(parameter: &Parameter) -> String {
    let numbered = parameter.name.replace("{n}", "1").replace("{zone}", "1");
    let key = Key::from_name(&numbered).map_or_else(String::new, |key| format!("{key:?}"));
    key.split('(').next().unwrap_or_default().to_owned()
}

/// The keys in the vectors' records, with `{n}` in place of numbers.
fn shown(paragraphs: &[Paragraph]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for step in paragraphs.iter().flat_map(|paragraph| &paragraph.steps) {
        let Step::Message(message) = step else { continue };
        for record in &message.expected.records {
            let Ok(Value::Object(record)) = serde_json::from_str(record) else { continue };
            names.extend(record.keys().map(|name| without_numbers(name)));
        }
    }
    names
}

fn without_numbers(name: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<_> = name.split('.').map(|part| if is_number(part) { "{n}" } else { part }).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_alarms_are_found_in_sources_and_in_vectors() {
        let vectors =
            "# a  source: b\n> 00\n= {\"time\":\"2024-03-24T10:27:13.000Z\",\"temperature.2\":1.0,\"raw.5.x\":\"1\"}\n";
        let paragraphs = crate::vectors::parse(vectors).unwrap();
        let text = section("set(Key::PositionSpeed, 1); io(Key::Din); push(Alarm::Sos, Key::CounterN(2))", &paragraphs);
        let named: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(named, ["position.speed", "din", "counter.{n}", "temperature.{n}"]);
        assert!(text.ends_with("\nAlarms: `sos`.\n\nBesides, under the device's own names: `raw.{n}.x`.\n"), "{text}");
    }
}
