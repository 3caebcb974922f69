//! What must hold for any bytes at all: functions that panic where it does not, for a fuzzer to call.
//!
//! The targets in `fuzz/` are one line each over these. [`seeds`] gives them something to begin with, out of the
//! vectors, and [`search`] runs them without a fuzzer: blindly, but in every checkout and in every test run.

mod search;
mod setup;

pub use search::{Found, search};
pub use setup::Setup;

use crate::vectors::{Paragraph, RECEIVED, parse, taken_back};
use odograph_protocols::{
    Binding, CONTEXT_MAX, Claim, Command, Context, Conversation, Decided, Dialogue, Heard, IDENTITY_BYTES_MAX,
    NOTES_MAX, Out, PROTOCOLS, Protocol, RECORDS_MAX, REPLIES_MAX, Transport,
};
use odograph_wire::Cut;
use std::path::Path;

/// A conversation in any protocol: a [`Setup`], then a stream; or datagrams, each behind its length in two bytes.
pub fn protocol(input: &[u8]) {
    let (setup, rest) = Setup::read(input, PROTOCOLS);
    converse(&setup, rest);
}

/// Holds a conversation to what drivers rely on: its bounds, that a frame is one transaction, that it goes on from
/// what it saved as if nothing had happened, and that none of it panics.
pub fn converse(setup: &Setup, bytes: &[u8]) {
    claim(setup, bytes);
    let mut conversation = Conversation::new(setup.protocol, setup.terms());
    let mut reopened = Conversation::new(setup.protocol, setup.terms());
    for frame in frames(setup, bytes) {
        let heard = conversation.frame(frame, RECEIVED, None);
        reopened = reopened.resumed(setup.terms());
        assert_eq!(heard, reopened.frame(frame, RECEIVED, None), "saved and opened again before {frame:02x?}");
        hold(&heard);
        let context = conversation.context();
        assert!(context.len() <= CONTEXT_MAX, "{} bytes saved", context.len());
    }
    conversation.message(bytes, RECEIVED, None).iter().for_each(hold);
    let value = String::from_utf8_lossy(bytes.get(..bytes.len().min(64)).unwrap_or_default());
    for command in setup.protocol.commands {
        let names = command.attributes.iter().map(|name| name.trim_end_matches('?'));
        let attributes: Vec<_> = names.map(|name| (name, &*value)).collect();
        // Whether it can be sent is the protocol's affair.
        let _ = conversation.command(&value, &Command::new(command.name, &attributes));
    }
}

/// What the protocol claims of the beginnings of `bytes` it never takes back.
fn claim(setup: &Setup, bytes: &[u8]) {
    /// Lengths are looked at one by one up to here, and some beyond.
    const EACH: usize = 48;
    let mut before = Claim::Perhaps(0);
    for length in (0..=bytes.len()).filter(|length| *length <= EACH || length % 29 == 0) {
        let claim = (setup.protocol.recognise)(&bytes[..length], setup.transport);
        let fault = taken_back(before, claim, length);
        assert_eq!(fault, None, "{}, {}", setup.protocol.name, bytes[..length].escape_ascii());
        before = claim;
    }
}

/// A context as a segment of the journal has it, behind its length in two bytes; then a frame to go on with.
pub fn context(input: &[u8]) {
    let (context, frame) = piece(input);
    let Ok(read) = Context::read(context) else { return };
    let mut written = Vec::new();
    read.write(&mut written);
    assert_eq!(Context::read(&written).as_ref(), Ok(&read), "written and read again");
    if let Some(binding) = &read.binding {
        let mut written = Vec::new();
        binding.write(&mut written);
        assert_eq!(Binding::read(&binding.device, &written).as_ref(), Ok(binding), "written and read again");
    }
    let Ok(mut dialogue) = Dialogue::resume(context) else { return };
    let mut out = Out::default();
    // Whether it is decoded is the session's affair.
    let _ = dialogue.frame(frame, RECEIVED, &mut out, |_, _| Decided::default());
    let mut saved = Vec::new();
    dialogue.save(&mut saved);
    assert!(saved.len() <= CONTEXT_MAX, "{} bytes saved", saved.len());
}

/// A file of vectors.
pub fn vectors(input: &[u8]) {
    let _ = parse(&String::from_utf8_lossy(input));
}

/// Inputs for the target of that name out of the vectors in `folder`; none for one that this crate does not have.
///
/// # Panics
///
/// Where the vectors cannot be read.
pub fn seeds(target: &str, folder: &Path) -> Vec<Vec<u8>> {
    let of_paragraph = match target {
        "protocol" => conversation_seed,
        "context" => context_seed,
        "vectors" => |_, text: &str, _: &Paragraph| text.as_bytes().to_vec(),
        _ => return Vec::new(),
    };
    paragraphs(folder).iter().map(|(protocol, text, paragraph)| of_paragraph(protocol, text, paragraph)).collect()
}

/// Every paragraph of every protocol's vectors in `folder`, as text and as it is understood.
///
/// # Panics
///
/// Where the vectors cannot be read.
pub fn paragraphs(folder: &Path) -> Vec<(&'static Protocol, String, Paragraph)> {
    let mut all = Vec::new();
    for protocol in PROTOCOLS {
        let path = folder.join(format!("{}.vectors", protocol.name));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for text in text.split("\n\n") {
            let parsed = parse(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            all.extend(parsed.into_iter().map(|paragraph| (*protocol, text.to_owned(), paragraph)));
        }
    }
    all
}

/// The frames that stand in `bytes`, and what is left of a stream, which a protocol must bear too.
fn frames<'b>(setup: &Setup, bytes: &'b [u8]) -> Vec<&'b [u8]> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (frame, after) = match setup.transport {
            Transport::Udp => piece(rest),
            Transport::Tcp => match setup.protocol.cut_told(setup.protocol.told(&setup.settings, false), rest) {
                Cut::Frame(length) => rest.split_at(length),
                Cut::Skip(length) => {
                    rest = &rest[length..];
                    continue;
                }
                Cut::Need(need) => {
                    assert!(need > rest.len(), "{need} bytes needed of {} that are there", rest.len());
                    (rest, &rest[rest.len()..])
                }
                Cut::Lost(_) => (rest, &rest[rest.len()..]),
            },
        };
        frames.push(frame);
        rest = after;
    }
    frames
}

fn hold(heard: &Heard) {
    assert!(heard.records.len() <= RECORDS_MAX, "{} records", heard.records.len());
    assert!(heard.replies.len() <= REPLIES_MAX, "{} replies", heard.replies.len());
    for name in &heard.identity {
        assert!((1..=IDENTITY_BYTES_MAX).contains(&name.len()), "a device with the name {name:?}");
    }
    assert!(heard.notes.len() <= NOTES_MAX, "{} notes", heard.notes.len());
    if heard.fault.is_some() {
        let is_empty = heard.records.is_empty() && heard.identity.is_empty() && heard.answers.is_empty();
        assert!(is_empty && !heard.acknowledges(), "a malformed frame gives {heard:?}");
    }
}

/// The piece that stands behind its length in two bytes, and the rest.
fn piece(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk() else { return (bytes, &[]) };
    rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()))
}

fn put_piece(piece: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(piece.len()).expect("a message of the vectors is short");
    out.extend(length.to_le_bytes());
    out.extend(piece);
}

fn conversation_seed(protocol: &'static Protocol, _: &str, paragraph: &Paragraph) -> Vec<u8> {
    let setup = Setup::of(protocol, &paragraph.options);
    let mut seed = setup.bytes(PROTOCOLS);
    for message in paragraph.frames() {
        match setup.transport {
            Transport::Tcp => seed.extend(&message.bytes),
            Transport::Udp => put_piece(&message.bytes, &mut seed),
        }
    }
    seed
}

/// The context after all messages but the last, then the last.
fn context_seed(protocol: &'static Protocol, _: &str, paragraph: &Paragraph) -> Vec<u8> {
    let setup = Setup::of(protocol, &paragraph.options);
    let mut conversation = Conversation::new(protocol, setup.terms());
    let frames: Vec<_> = paragraph.frames().map(|message| &message.bytes[..]).collect();
    let (last, before) = frames.split_last().map_or((&[][..], &[][..]), |(last, before)| (*last, before));
    for frame in before {
        conversation.frame(frame, RECEIVED, None);
    }
    let binding = conversation.identity().map(|device| Binding {
        device: device.into(),
        tenant: "default".into(),
        decision: odograph_protocols::Decision::Accepted,
        settings: setup.settings.clone(),
    });
    let context = Context {
        protocol: protocol.name.into(),
        transport: setup.transport,
        checksum: setup.checksum,
        peer: "127.0.0.1:40000".into(),
        local: "127.0.0.1:5027".into(),
        settings: setup.settings.clone(),
        binding,
        session: conversation.context(),
    };
    let mut written = Vec::new();
    context.write(&mut written);
    let mut seed = Vec::new();
    put_piece(&written, &mut seed);
    seed.extend(last);
    seed
}
