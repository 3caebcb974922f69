//! Messages in every form, with a made-up protocol: `length | text | \n`, as datagrams `D | text`.

use super::*;
use crate::{Claim, Looks, Maturity};
use odograph_model::Key;
use odograph_wire::Framing;

struct Echo;

impl Session for Echo {
    fn on_frame(&mut self, frame: &[u8], _: Time, out: &mut Out<'_>) -> Result<()> {
        let mut c = out.cursor(frame);
        let first = c.u8("length")?;
        let text = match first {
            b'D' => c.take_rest("text"),
            length => c.bytes("text", length.into())?,
        };
        if text == b"?" {
            out.reply_despite_error([0xFF]);
            return Err(c.error("text", Reason::Unknown));
        }
        for _ in 0..if text == b"*" { RECORDS_MAX + 1 } else { 1 } {
            let mut record = Record::new();
            record.set(Key::EventCode, String::from_utf8_lossy(text).into_owned());
            out.record(record.hash_span(text));
        }
        out.identify(match text {
            b"0" => String::new(),
            b"+" => "7".repeat(256),
            b"-" => "7".repeat(255),
            _ => "7".to_owned(),
        });
        out.reply_if_known([1], [0]);
        Ok(())
    }
}

const fn protocol(framing: Framing, transports: &'static [Transport]) -> Protocol {
    Protocol {
        name: "echo",
        title: "Echo",
        devices: "none",
        source: "made up",
        maturity: Maturity::Unverified,
        port: 1,
        transports,
        framing,
        recognise: |_, _| Claim::STAYS,
        looks: Looks { form: "", proof: "" },
        frame_max: 20,
        idle_s_max: 60,
        has_checksum: false,
        datagrams_identify: true,
        commands_by_datagram: false,
        settings: &[],
        commands: &[],
        open: |_| Box::new(Echo),
    }
}

static STREAM: Protocol = protocol(Framing::Custom(cut), &[Transport::Tcp]);
static BOTH: Protocol = protocol(Framing::Custom(cut), &[Transport::Tcp, Transport::Udp]);

fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [b'x', ..] => Cut::Skip(1),
        [0xEE, ..] => Cut::Lost("no length is so long"),
        [length, ..] if bytes.len() > usize::from(*length) + 1 => Cut::Frame(usize::from(*length) + 2),
        [length, ..] => Cut::Need(usize::from(*length) + 2),
        [] => Cut::Need(2),
    }
}

/// What each part of the message is, in short.
fn parts(protocol: &'static Protocol, transport: Option<Transport>, bytes: &[u8]) -> Vec<String> {
    let mut conversation = Conversation::new(protocol, Terms { transport, ..Terms::default() });
    let heard = conversation.message(bytes, Time(0), None);
    let part = |heard: &Heard| {
        let record = heard.records.first().and_then(|record| record.get(Key::EventCode));
        match (record, &heard.fault, heard.notes.first()) {
            (Some(odograph_model::Value::Text(text)), None, None) => format!("{}: {text}", heard.at),
            (None, Some(fault), None) => fault.to_string(),
            (None, None, Some(note)) => note.clone(),
            other => panic!("{other:?}"),
        }
    };
    heard.iter().map(part).collect()
}

#[test]
fn frames_in_a_row_and_what_is_between_them() {
    assert_eq!(parts(&STREAM, None, b"\x02ab\n\x01c\n"), ["0: ab", "4: c"]);
    assert_eq!(parts(&STREAM, None, b"\x02ab\nxx\x01c\n"), ["0: ab", "2 bytes at byte 4 belong to no frame", "6: c"]);
}

#[test]
fn a_message_without_its_delimiter_is_whole() {
    assert_eq!(parts(&STREAM, None, b"\x02ab"), ["0: ab"]);
    assert_eq!(parts(&STREAM, None, b"\x01c\n\x02ab"), ["0: c", "3: ab"]);
}

#[test]
fn an_incomplete_message_is_truncated() {
    assert_eq!(parts(&STREAM, None, b"\x05ab"), ["text at byte 1: truncated: need 5, have 2"]);
    assert_eq!(parts(&STREAM, None, b"\x01c\n\x05ab"), ["0: c", "text at byte 4: truncated: need 5, have 2"]);
    assert_eq!(parts(&STREAM, None, b"\x01?"), ["text at byte 2: unknown"]);
}

#[test]
fn a_stream_that_cannot_be_cut_says_why() {
    assert_eq!(parts(&STREAM, None, b"\x01c\n\xEEab"), ["0: c", "frame at byte 3: no length is so long"]);
    assert_eq!(parts(&STREAM, None, &[30; 20]), ["frame at byte 0: no frame of the protocol is so long"]);
}

#[test]
fn a_datagram_is_one_message_whatever_framing_says() {
    assert_eq!(parts(&BOTH, Some(Transport::Udp), b"Dab"), ["0: ab"]);
    assert_eq!(parts(&BOTH, None, b"Dab"), ["0: ab"]);
    assert_eq!(parts(&BOTH, None, b"\x02ab\n\x01c\n"), ["0: ab", "4: c"]);
    assert_eq!(parts(&BOTH, Some(Transport::Tcp), b"\x02ab\n"), ["0: ab"]);
}

#[test]
fn a_malformed_frame_leaves_its_refusal_alone() {
    let mut conversation = Conversation::new(&STREAM, Terms::default());
    let heard = conversation.frame(b"\x01?\n", Time(0), None);
    assert!(heard.fault.is_some() && heard.records.is_empty() && !heard.acknowledges());
    assert_eq!(heard.replies, [Reply { bytes: vec![0xFF], to: ReplyTo::DespiteError }]);
    let heard = conversation.frame(b"\x01*\n", Time(0), None);
    assert_eq!(heard.fault.map(|fault| fault.reason()), Some(format!("more than {RECORDS_MAX}")));
    assert_eq!((heard.records.len(), conversation.identity()), (0, None));
}

#[test]
fn a_name_that_no_device_can_have_is_malformed() {
    for (frame, is_sound) in [(b"\x010\n", false), (b"\x01+\n", false), (b"\x01-\n", true), (b"\x01a\n", true)] {
        let heard = Conversation::new(&STREAM, Terms::default()).frame(frame, Time(0), None);
        assert_eq!((heard.fault.is_none(), heard.acknowledges()), (is_sound, is_sound), "{frame:?}");
        let reason = heard.fault.map(|fault| fault.to_string());
        assert!(is_sound || reason.as_deref() == Some("identity at byte 0: expected a name of 1 to 255 bytes"));
    }
}

#[test]
fn cuts_are_bounded_and_move_on() {
    let bad = |cut: fn(&[u8]) -> Cut| protocol(Framing::Custom(cut), &[Transport::Tcp]);
    assert_eq!(bad(|_| Cut::Frame(0)).cut(&[1]), Cut::Lost("no frame begins here"));
    assert_eq!(bad(|_| Cut::Frame(5)).cut(&[1]), Cut::Need(5));
    assert_eq!(bad(|_| Cut::Need(1)).cut(&[1]), Cut::Need(2));
    assert_eq!(bad(|_| Cut::Skip(5)).cut(&[1]), Cut::Skip(1));
    assert_eq!(bad(|_| Cut::Need(21)).cut(&[1]), Cut::Lost("no frame of the protocol is so long"));
}
