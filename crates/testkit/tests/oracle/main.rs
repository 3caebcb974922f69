//! Every message that a peer decodes, against ours: records, times, places, parameters, identity, replies, commands.
//!
//! The files (`messages.jsonl`, `oracle.jsonl`, `commands.jsonl`) are not part of this repository: they are looked for
//! in `../shared/vectors` beside the checkout, or where `ODOGRAPH_VECTORS` says. The peer is a second opinion and wrong
//! in places; where the bytes or the maker show that, `differences.tsv` says so, and nothing else may differ.
//!
//! `PROTOCOL=gt06 cargo test -p odograph-testkit --test oracle -- --nocapture` shows one protocol, with what differs
//! under `raw.` too, which does not fail.

mod compare;
mod contract;
mod known;
mod recognise;
mod rows;

use compare::{Difference, Tally};
use known::Known;
use odograph_protocols::{Command, Conversation, PROTOCOLS, Protocol, Settings, Terms};
use odograph_wire::notation;
use rows::Row;
use serde_json::Value;
use std::path::PathBuf;

#[test]
fn messages_decode_as_a_peer_decodes_them() {
    let Some(folder) = folder() else { return };
    let (messages, oracle) = (rows::lines(&folder, "messages.jsonl"), rows::lines(&folder, "oracle.jsonl"));
    let alarms = rows::alarms(&folder);
    let mut known = Known::read("messages");
    let mut differences = Vec::new();
    for protocol in protocols() {
        let mut tally = Tally::default();
        let mut found = Vec::new();
        for conversation in rows::conversations(protocol, &messages, &oracle) {
            found.extend(compare_conversation(protocol, &conversation, &alarms, &mut tally));
        }
        println!("{}: {tally}", protocol.name);
        for difference in &found {
            let reason = known.reason(difference);
            println!("  {difference}{}", reason.map_or_else(String::new, |reason| format!("\n      known: {reason}")));
        }
        known.retire(protocol.name);
        differences.extend(found.into_iter().filter(|difference| !known.has(difference) && !difference.is_raw()));
    }
    report(&differences, &known);
}

#[test]
fn commands_encode_as_a_peer_encodes_them() {
    let Some(folder) = folder() else { return };
    let commands = rows::lines(&folder, "commands.jsonl");
    let mut known = Known::read("commands");
    let mut differences = Vec::new();
    for protocol in protocols() {
        let rows: Vec<_> = commands.iter().filter(|row| row["protocol"] == protocol.name).collect();
        let found: Vec<_> = rows.iter().filter_map(|row| compare_command(protocol, row)).collect();
        println!("{}: {} of {} commands agree", protocol.name, rows.len() - found.len(), rows.len());
        for difference in &found {
            println!("  {difference}");
        }
        for difference in &found {
            known.reason(difference);
        }
        known.retire(protocol.name);
        differences.extend(found.into_iter().filter(|difference| !known.has(difference)));
    }
    report(&differences, &known);
}

#[test]
fn messages_keep_what_decode_promises() {
    let Some(folder) = folder() else { return };
    let (messages, oracle) = (rows::lines(&folder, "messages.jsonl"), rows::lines(&folder, "oracle.jsonl"));
    let mut broken = Vec::new();
    for protocol in protocols() {
        if !messages.iter().any(|message| message["protocol"] == protocol.name) {
            println!("{}: the peer does not speak it", protocol.name);
            continue;
        }
        let conversations = rows::conversations(protocol, &messages, &oracle);
        let count = conversations.iter().map(Vec::len).sum::<usize>();
        println!("{}: {count} messages keep what decode promises", protocol.name);
        assert!(count > 0, "{}: no message was looked at", protocol.name);
        broken.extend(conversations.iter().flat_map(|conversation| contract::broken(protocol, conversation)));
    }
    assert!(broken.is_empty(), "{} promises are broken:\n{}", broken.len(), broken.join("\n"));
}

fn report(differences: &[Difference], known: &Known) {
    let lines: Vec<_> = differences.iter().map(ToString::to_string).collect();
    let count = lines.len();
    assert!(lines.is_empty(), "{count} differences that differences.tsv does not explain:\n{}", lines.join("\n"));
    let gone = known.gone();
    assert!(gone.is_empty(), "these rows of differences.tsv differ no longer, take them out:\n{}", gone.join("\n"));
}

/// Decodes a conversation once as it may have come, and once with its transport named: both must say the same.
fn compare_conversation(
    protocol: &'static Protocol,
    rows: &[Row<'_>],
    alarms: &rows::Alarms,
    tally: &mut Tally,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut conversations = [false, true].map(|_| Conversation::new(protocol, Terms::default()));
    for row in rows {
        let mut named = |index: usize, transport| {
            let terms = Terms { transport, settings: row.settings.clone(), ..Terms::default() };
            let conversation = &mut conversations[index];
            *conversation = conversation.resumed(terms);
            conversation.message(&row.bytes, rows::RECEIVED, None)
        };
        let heard = named(0, None);
        if heard != named(1, row.transport) {
            let detail = format!("decodes otherwise where the transport is said to be {:?}", row.transport);
            differences.push(Difference::new(&row.id, "transport", detail));
        }
        if let Some(oracle) = row.oracle {
            differences.extend(compare::message(&row.id, protocol.name, oracle, &heard, alarms, tally));
        }
    }
    differences
}

fn compare_command(protocol: &'static Protocol, row: &Value) -> Option<Difference> {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let attributes: Vec<(String, String)> = row["attributes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)))
        .collect();
    let attributes: Vec<_> = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let shown = attributes.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
    let id = format!("{}/{}{shown}", protocol.name, text("command"));
    let mut conversation = Conversation::new(protocol, Terms { settings: Settings::default(), ..Terms::default() });
    let command = Command::new(text("command"), &attributes);
    let expected = match row.get("hex").and_then(Value::as_str) {
        Some(hex) => notation::from_hex(hex).expect("the oracle's hex digits"),
        None => text("text").as_bytes().to_vec(),
    };
    // Where the peer's clock is in it, just the length can be compared.
    let holds_time = row["holds_time"] == true;
    match conversation.command(text("device"), &command) {
        Ok(bytes) if bytes == expected || (holds_time && bytes.len() == expected.len()) => None,
        Ok(bytes) => {
            let (expected, found) = (notation::to_text(&expected), notation::to_text(&bytes));
            Some(Difference::new(&id, "command", format!("peer {expected}, ours {found}")))
        }
        Err(error) => Some(Difference::new(&id, "command", error.to_string())),
    }
}

fn protocols() -> impl Iterator<Item = &'static Protocol> {
    let only = std::env::var("PROTOCOL").ok();
    PROTOCOLS.iter().copied().filter(move |protocol| only.as_deref().is_none_or(|only| only == protocol.name))
}

fn folder() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let folder = std::env::var_os("ODOGRAPH_VECTORS").map_or_else(beside, PathBuf::from);
    let is_there = ["messages.jsonl", "oracle.jsonl", "commands.jsonl"].iter().all(|file| folder.join(file).is_file());
    if !is_there {
        println!("not looked at: {} lacks the files; set ODOGRAPH_VECTORS", folder.display());
    }
    is_there.then_some(folder)
}
