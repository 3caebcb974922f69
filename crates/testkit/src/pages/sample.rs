//! A message of the protocol, what it gives and what is answered: out of the vectors.

use crate::vectors::{Encoded, Message, Paragraph};
use odograph_wire::notation;
use serde_json::Value;
use std::fmt::Write;

/// A longer conversation says no more.
const BYTES_MAX: usize = 700;
/// So many records of a message are shown.
const RECORDS_MAX: usize = 2;

/// The section about it: the first conversation that gives a place and in which nothing is malformed.
pub(super) fn section(paragraphs: &[Paragraph]) -> String {
    let Some((paragraph, messages)) = paragraphs.iter().find_map(chosen) else { return String::new() };
    let device = paragraph.options.device.as_deref().map_or_else(String::new, |device| format!(" --device {device}"));
    let set: String = paragraph.options.settings.iter().map(|(name, value)| format!(" --set {name}={value}")).collect();
    let source = paragraph.source.trim_end_matches('.');
    let mut text = format!(
        "\n## A message\n\nFrom the vectors: {} ({source}). `>` is sent, `=` is decoded, `<` is answered",
        paragraph.title
    );
    if !(device.is_empty() && set.is_empty()) {
        let _ = write!(text, "; with{device}{set}");
    }
    text += ".\n\n```text\n";
    for message in messages {
        text += &transcript(message);
    }
    text + "```\n"
}

/// The messages up to the first that gives a place.
fn chosen(paragraph: &Paragraph) -> Option<(&Paragraph, Vec<&Message>)> {
    let messages: Vec<_> = paragraph.frames().collect();
    let has_place =
        |message: &&Message| message.expected.records.iter().any(|record| record.contains("\"position.latitude\""));
    let count = messages.iter().position(has_place)? + 1;
    let messages: Vec<_> = messages.into_iter().take(count).collect();
    let is_short = messages.iter().map(|message| message.bytes.len()).sum::<usize>() <= BYTES_MAX;
    let is_sound = messages.iter().all(|message| message.expected.faults.is_empty());
    (is_short && is_sound).then_some((paragraph, messages))
}

fn transcript(message: &Message) -> String {
    let is_text = message.bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n'));
    let mut text = format!("> {}\n", shown(&message.bytes, is_text));
    let expected = &message.expected;
    for record in expected.records.iter().take(RECORDS_MAX) {
        let value: Value = serde_json::from_str(record).unwrap_or(Value::Null);
        let lines = serde_json::to_string_pretty(&value).unwrap_or_default();
        let _ = writeln!(text, "= {}", lines.replace('\n', "\n  "));
    }
    if let Some(more) = expected.records.len().checked_sub(RECORDS_MAX).filter(|more| *more > 0) {
        let _ = writeln!(text, "  … and {more} more");
    }
    for Encoded { bytes, text: is_text } in
        expected.replies.iter().filter(|(mark, _)| mark != "<-").map(|(_, reply)| reply)
    {
        let _ = writeln!(text, "< {}", shown(bytes, *is_text));
    }
    text
}

fn shown(bytes: &[u8], is_text: bool) -> String {
    if is_text { format!("\"{}\"", notation::to_text(bytes)) } else { notation::to_hex(bytes) }
}
