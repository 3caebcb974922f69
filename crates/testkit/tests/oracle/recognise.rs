//! Every message cut at every byte, by whom it is claimed: its own protocol or nobody.

use crate::{folder, rows};
use odograph_protocols::detect::{Detected, Detector};
use odograph_protocols::{Claim, PROTOCOLS, Protocol, Transport, find};
use odograph_wire::Cut;
use serde_json::Value;
use std::collections::BTreeMap;

/// What framing strips from messages that were written down without their delimiter.
const DELIMITERS: &[&[u8]] = &[b"", b"\r\n", b"\n", b"\r", b"#", b"$", b";", b")", b"!", b"\0"];

/// A row of the confusion matrix: messages of one protocol that come in one way.
#[derive(Default)]
struct Confusion {
    messages: usize,
    /// How many are decided by their first so many bytes.
    decided: BTreeMap<usize, usize>,
    /// How many beginnings are claimed by somebody else, whoever else may still think them his.
    contested: BTreeMap<&'static str, usize>,
    /// How many messages somebody else still does not disclaim when they are whole.
    open: BTreeMap<&'static str, usize>,
    undecided: Vec<String>,
    /// Messages that were decided for somebody else.
    wrong: Vec<String>,
}

/// Messages of protocols that are not decoded yet count too: nobody may be decided on for them.
#[test]
fn no_beginning_of_a_message_is_taken_for_another_protocol() {
    let Some(folder) = folder() else { return };
    let messages = rows::lines(&folder, "messages.jsonl");
    let (mut known, mut others) = (BTreeMap::new(), Confusion::default());
    for message in &messages {
        let Some(bytes) = rows::bytes(message) else { continue };
        let id = message["id"].as_str().unwrap_or_default();
        match find(message["protocol"].as_str().unwrap_or_default()) {
            Some(protocol) => {
                let whole = delimited(protocol, &bytes);
                for transport in
                    protocol.transports.iter().filter(|transport| rows::transport(message) == Some(**transport))
                {
                    let row: &mut Confusion = known.entry((protocol.name, transport.name())).or_default();
                    row.look(Some(protocol), id, &whole, *transport);
                }
            }
            None => {
                let Some(transport) = rows::transport(message) else { continue };
                for delimiter in DELIMITERS.iter().take(2) {
                    others.look(None, id, &[&bytes, *delimiter].concat(), transport);
                }
            }
        }
    }
    for ((protocol, transport), row) in &known {
        println!("{protocol} over {transport}: {row}");
    }
    println!("protocols that are not decoded: {others}");
    let wrong: Vec<_> = known.values().chain([&others]).flat_map(|row| &row.wrong).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} messages are taken for another protocol's:\n{}", wrong.len(), wrong.join("\n"));
    let is_seen = |name: &str| known.keys().any(|(seen, _)| *seen == name) || !has_rows(&messages, name);
    let unseen: Vec<_> = PROTOCOLS.iter().map(|protocol| protocol.name).filter(|name| !is_seen(name)).collect();
    assert!(unseen.is_empty(), "no message was looked at of {unseen:?}");
}

fn has_rows(messages: &[Value], name: &str) -> bool {
    messages.iter().any(|message| message["protocol"] == name && rows::bytes(message).is_some())
}

/// The message with the delimiter that makes it whole.
fn delimited(protocol: &Protocol, bytes: &[u8]) -> Vec<u8> {
    let mut whole = DELIMITERS.iter().map(|delimiter| [bytes, delimiter].concat());
    whole.find(|whole| protocol.cut(whole) == Cut::Frame(whole.len())).unwrap_or_else(|| bytes.to_vec())
}

impl Confusion {
    fn look(&mut self, own: Option<&'static Protocol>, id: &str, message: &[u8], transport: Transport) {
        self.messages += 1;
        let own = own.map(|own| own.name);
        let (mut decided, mut detector) = (None, Detector::new(transport));
        for length in 0..=message.len() {
            let start = &message[..length];
            let found = match detector.hear(start) {
                Detected::Protocol(protocol) => Some(protocol.name),
                Detected::Open | Detected::Nobody => None,
            };
            if let Some(found) = found.filter(|found| Some(*found) != own) {
                self.wrong.push(format!("{id}: {found} is decided on by byte {length}: {}", start.escape_ascii()));
                return;
            }
            decided = decided.or(found.map(|_| length));
            for other in detector.left().iter().filter(|other| Some(other.name) != own) {
                if (other.recognise)(start, transport) == Claim::Yes {
                    *self.contested.entry(other.name).or_default() += 1;
                }
                if length == message.len() {
                    *self.open.entry(other.name).or_default() += 1;
                }
            }
        }
        match decided {
            Some(length) => *self.decided.entry(length).or_default() += 1,
            None if own.is_some() => self.undecided.push(format!("{id}: {}", message.escape_ascii())),
            None => {}
        }
    }
}

impl std::fmt::Display for Confusion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let decided: usize = self.decided.values().sum();
        let by = self.decided.iter().map(|(length, count)| format!("{length}: {count}")).collect::<Vec<_>>().join(", ");
        write!(f, "{} messages, {decided} decided", self.messages)?;
        if decided > 0 {
            write!(f, " (by their first bytes: {by})")?;
        }
        write!(f, ", {} decided wrongly", self.wrong.len())?;
        if !self.contested.is_empty() {
            write!(f, "; beginnings claimed by others: {:?}", self.contested)?;
        }
        if !self.open.is_empty() {
            write!(f, "; not disclaimed by others when whole: {:?}", self.open)?;
        }
        self.undecided.iter().try_for_each(|message| write!(f, "\n    undecided: {message}"))
    }
}
