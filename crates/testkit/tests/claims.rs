//! Whose a message is, by the vectors of all protocols: nobody may take another's, and who never says no to it is shown,
//! because the port for all protocols has to wait for him.
//!
//! `cargo test -p odograph-testkit --test claims -- --nocapture` shows the table.

use odograph_protocols::detect::{Detected, Detector, decide};
use odograph_protocols::{Conversation, PROTOCOLS, Protocol, Transport};
use odograph_testkit::vectors::{Paragraph, parse};
use odograph_wire::Cut;
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn nobody_takes_what_is_in_the_vectors_of_another_protocol() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocols/src/devices");
    let (mut wrong, mut looked_at) = (Vec::new(), 0);
    for protocol in PROTOCOLS {
        let text = std::fs::read_to_string(folder.join(format!("{}.vectors", protocol.name))).expect("its vectors");
        let paragraphs = parse(&text).expect("vectors that can be read");
        let mut open: BTreeMap<&str, usize> = BTreeMap::new();
        let messages: Vec<_> = paragraphs.iter().flat_map(|paragraph| sound(protocol, paragraph)).collect();
        for (bytes, transport) in &messages {
            let mut detector = Detector::new(*transport);
            for length in 0..=bytes.len() {
                let start = &bytes[..length];
                let at_once = decide(start, *transport).map(|decided| decided.name);
                if let Some(other) = at_once.filter(|other| *other != protocol.name) {
                    wrong.push(format!("{other} takes the first {length} bytes of a message of {}", protocol.name));
                    break;
                }
                // Heard byte by byte, asking only who may say more, it is the same.
                let heard = match detector.hear(start) {
                    Detected::Protocol(decided) => Some(decided.name),
                    Detected::Open | Detected::Nobody => None,
                };
                assert_eq!(heard, at_once, "{} by {length} bytes of {}", protocol.name, bytes.escape_ascii());
            }
            for other in detector.left().iter().filter(|other| other.name != protocol.name) {
                *open.entry(other.name).or_default() += 1;
            }
        }
        looked_at += messages.len();
        println!("{}: {} messages; not disclaimed when whole: {open:?}", protocol.name, messages.len());
    }
    assert!(looked_at > PROTOCOLS.len(), "only {looked_at} messages were looked at");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The paragraph's messages that are whole and right, with each way in which they can come.
fn sound(protocol: &'static Protocol, paragraph: &Paragraph) -> Vec<(Vec<u8>, Transport)> {
    let options = &paragraph.options;
    let Ok(terms) = options.terms(protocol) else { return Vec::new() };
    let mut conversation = Conversation::new(protocol, terms);
    let mut messages = Vec::new();
    for message in paragraph.frames().filter(|_| !options.bare) {
        let is_sound = conversation.frame(&message.bytes, options.received, None).fault.is_none();
        for transport in
            protocol.transports.iter().filter(|transport| options.transport.is_none_or(|to| to == **transport))
        {
            let is_whole =
                *transport != Transport::Tcp || protocol.cut(&message.bytes) == Cut::Frame(message.bytes.len());
            if is_sound && is_whole {
                messages.push((message.bytes.clone(), *transport));
            }
        }
    }
    messages
}
