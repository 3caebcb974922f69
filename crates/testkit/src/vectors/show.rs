//! What a frame gave, as it is written in a file, and whether two such writings mean the same.

use super::{Encoded, Listed};
use odograph_model::{Record, RecordView};
use odograph_protocols::{Answer, Heard, ReplyTo};
use odograph_wire::notation;
use serde_json::{Map, Value};

/// What `heard` gave. Replies are written as text where those of `like` are, or where they read as text.
pub(super) fn listed(heard: &Heard, like: &Listed) -> Listed {
    let reply = |(index, reply): (usize, &odograph_protocols::Reply)| {
        let text = like.replies.get(index).map_or_else(|| reads_as_text(&reply.bytes), |(_, known)| known.text);
        (mark(reply.to).to_owned(), Encoded { bytes: reply.bytes.clone(), text })
    };
    Listed {
        records: heard.records.iter().map(record).collect(),
        identity: heard.identity.iter().map(ToString::to_string).collect(),
        replies: heard.replies.iter().enumerate().map(reply).collect(),
        notes: heard.notes.iter().map(|note| note.trim().to_owned()).collect(),
        faults: heard.fault.iter().map(ToString::to_string).collect(),
        answers: heard.answers.iter().map(answer).collect(),
    }
}

/// The lines that differ, as `expected` and `found`; empty where both mean the same.
pub(super) fn differences(expected: &Listed, found: &Listed) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, expected: Vec<Value>, found: Vec<Value>| {
        if expected != found {
            let join = |values: &[Value]| match values {
                [] => "  nothing".to_owned(),
                values => values.iter().map(|value| format!("  {value}")).collect::<Vec<_>>().join("\n"),
            };
            differences.push(format!("{what}: expected\n{}\nfound\n{}", join(&expected), join(&found)));
        }
    };
    compare("records", json(&expected.records), json(&found.records));
    compare("answers", json(&expected.answers), json(&found.answers));
    compare("identity", texts(&expected.identity), texts(&found.identity));
    compare("replies", replies(expected), replies(found));
    compare("notes", texts(&expected.notes), texts(&found.notes));
    compare("malformed", texts(&expected.faults), texts(&found.faults));
    differences
}

/// The lines of a file that say it.
pub(super) fn lines(listed: &Listed) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(listed.records.iter().map(|record| format!("= {record}")));
    lines.extend(listed.identity.iter().map(|name| format!("i {name}")));
    lines.extend(listed.replies.iter().map(|(mark, reply)| format!("{mark} {}", bytes(reply))));
    lines.extend(listed.notes.iter().map(|note| format!("n {note}")));
    lines.extend(listed.faults.iter().map(|fault| format!("! {fault}")));
    lines.extend(listed.answers.iter().map(|answer| format!("a {answer}")));
    lines
}

/// Bytes as hex or quoted text.
pub(super) fn bytes(encoded: &Encoded) -> String {
    match encoded.text {
        true => format!("\"{}\"", notation::to_text(&encoded.bytes)),
        false => notation::to_hex(&encoded.bytes),
    }
}

/// Whether the bytes are best written as text.
pub(super) fn reads_as_text(bytes: &[u8]) -> bool {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n');
    bytes.len() > 1 && bytes.iter().all(is_text)
}

fn record(record: &Record) -> String {
    let view = RecordView { device: None, protocol: "-", record, received: None };
    let json = serde_json::to_string(&view).unwrap_or_default();
    // Which protocol it is, the file's name says. Quotes within values are escaped, so this is the field itself.
    json.replacen(r#""protocol":"-","#, "", 1).replacen(r#","protocol":"-"}"#, "}", 1).replacen(
        r#"{"protocol":"-"}"#,
        "{}",
        1,
    )
}

fn answer(answer: &Answer) -> String {
    let mut parts = Vec::new();
    parts.extend(answer.token.map(|token| format!("\"token\":{token}")));
    parts.push(format!("\"text\":{}", Value::from(answer.text.as_str())));
    parts.extend(answer.done.map(|done| format!("\"done\":{done}")));
    format!("{{{}}}", parts.join(","))
}

fn mark(to: ReplyTo) -> &'static str {
    match to {
        ReplyTo::Accepted => "<",
        ReplyTo::Anyone => "<?",
        ReplyTo::Refused => "<-",
        ReplyTo::DespiteError => "<!",
    }
}

fn json(texts: &[String]) -> Vec<Value> {
    let without_nulls = |value: Value| match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        value => value,
    };
    texts.iter().map(|text| without_nulls(serde_json::from_str(text).unwrap_or_default())).collect()
}

fn texts(texts: &[String]) -> Vec<Value> {
    texts.iter().map(|text| Value::from(text.as_str())).collect()
}

fn replies(listed: &Listed) -> Vec<Value> {
    let line = |(mark, reply): &(String, Encoded)| {
        let shown =
            if reads_as_text(&reply.bytes) { notation::to_text(&reply.bytes) } else { notation::to_hex(&reply.bytes) };
        Value::from(format!("{mark} {shown}"))
    };
    listed.replies.iter().map(line).collect()
}
