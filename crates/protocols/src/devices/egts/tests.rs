//! What needs more bytes than a vector should have.

use super::{PROTOCOL, TELEDATA, transport};
use crate::{
    Binding, CONTEXT_MAX, Checksum, Command, CommandError, Conversation, Decided, Decision, Dialogue, Footing, Opening,
    Other, Others, Out, Reply, Settings, Terms, Transport,
};
use compact_str::{CompactString, format_compact};
use odograph_model::Time;
use odograph_wire::{Cursor, Cut};
use std::sync::Arc;

const ANALOGUE: [u8; 7] = [24, 4, 0, 1, 5, 0, 0];

/// A packet with so many records of the object 5.
fn packet(records: u16) -> Vec<u8> {
    let object = 5_u32.to_le_bytes();
    let data: Vec<u8> =
        (0..records).flat_map(|number| transport::record(number, 1, &object, TELEDATA, &ANALOGUE)).collect();
    transport::packet(transport::APPDATA, 9, None, &data)
}

fn login(buffer: u16) -> Vec<u8> {
    let mut terminal = vec![5, 0, 0, 0, 0x40];
    terminal.extend(buffer.to_le_bytes());
    let record = transport::record(1, 0, &[], super::AUTH, &transport::subrecord(1, &terminal));
    transport::packet(transport::APPDATA, 8, None, &record)
}

/// The numbers of the records that a response confirms.
fn confirmed(reply: &Reply) -> Vec<u16> {
    let mut out = Out::default();
    let packet = transport::read(&reply.bytes, Checksum::Enforce, &mut out).ok().expect("a packet");
    assert_eq!(packet.kind, transport::RESPONSE);
    let mut c: Cursor<'_> = packet.data;
    assert_eq!((c.u16_le("packet"), c.u8("result")), (Ok(9), Ok(0)));
    let mut numbers = Vec::new();
    while !c.is_empty() {
        assert_eq!(c.u16_le("length"), Ok(6));
        c.skip("number, flags, services, type, length", 2 + 1 + 2 + 3).unwrap();
        numbers.push(c.u16_le("record").unwrap());
        assert_eq!(c.u8("result"), Ok(0));
    }
    numbers
}

/// How many records each response confirms, to a packet of so many.
fn check(settings: &[(&str, &str)], buffer: Option<u16>, records: u16) -> Vec<usize> {
    let settings = Settings::checked(settings.iter().copied(), PROTOCOL.settings).unwrap();
    let mut conversation = Conversation::new(&PROTOCOL, Terms { settings, ..Terms::default() });
    if let Some(buffer) = buffer {
        conversation.frame(&login(buffer), Time(0), None);
    }
    let heard = conversation.frame(&packet(records), Time(0), None);
    assert_eq!((heard.fault, heard.records.len()), (None, usize::from(records)));
    let responses: Vec<&Reply> = heard.replies_if_accepted().collect();
    let all: Vec<Vec<u16>> = responses.iter().map(|reply| confirmed(reply)).collect();
    assert!(all.iter().flatten().copied().eq(0..records), "each record once, in order");
    // One record has to be confirmed even where that does not fit.
    if let Some(buffer) = buffer.filter(|buffer| *buffer >= 29 && all.len() < 48) {
        assert!(responses.iter().all(|reply| reply.bytes.len() <= usize::from(buffer)), "{buffer}");
    }
    all.iter().map(Vec::len).collect()
}

#[test]
fn every_record_of_the_largest_packets_is_confirmed() {
    assert_eq!(check(&[], None, 3), [3]);
    assert_eq!(check(&[], None, 3500), [3500]);
    assert_eq!(check(&[("responses", "record")], None, 48), vec![1; 48]);
    assert_eq!(check(&[("responses", "record")], None, 49), [vec![2; 24], vec![1]].concat());
    assert_eq!(check(&[], Some(100), 13), [6, 6, 1]);
    assert_eq!(check(&[], Some(1), 2), [1, 1]);
    assert_eq!(check(&[], Some(100), 3500).len(), 48);
}

#[test]
fn no_command_is_longer_than_a_packet() {
    let encoded = |letters: usize| {
        let data = "a".repeat(letters);
        let attributes = [("data", data.as_str())];
        Conversation::new(&PROTOCOL, Terms::default()).command("5", &Command::new("custom", &attributes))
    };
    let bytes = encoded(65_200).unwrap();
    assert_eq!(transport::cut(&bytes), Cut::Frame(bytes.len()));
    assert!(matches!(encoded(65_201), Err(CommandError::Invalid { attribute: "data", .. })));
}

#[test]
fn what_a_session_saves_is_bounded_and_what_nobody_saved_begins_anew() {
    let mut conversation = Conversation::new(&PROTOCOL, Terms::default());
    let mut terminal = vec![5, 0, 0, 0, 0xFF, 1, 0];
    terminal.extend([b'9'; 15 + 16 + 3 + 3 + 2 + 15]);
    let record = transport::record(1, 0, &[], super::AUTH, &transport::subrecord(1, &terminal));
    conversation.frame(&transport::packet(transport::APPDATA, 8, None, &record), Time(0), None);
    let saved = conversation.context();
    assert!((20..=CONTEXT_MAX).contains(&saved.len()), "{}", saved.len());
    for context in
        [&saved[..], &[1], &[2, 0, 0, 0], &[1, 0, 0, 0, 1], &[0xFF; 40], &[1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0xFF]]
    {
        let settings = Settings::default();
        let opening = Opening { transport: None, settings: &settings, checksum: Checksum::Enforce, context };
        let mut again = Vec::new();
        (PROTOCOL.open)(&opening).save(&mut again);
        assert_eq!(again, if context == saved { context } else { &[] });
    }
}

#[test]
fn a_packet_with_more_moments_than_a_frame_may_have_is_not_acknowledged() {
    // Points of a track without a place take one byte each.
    let mut track = vec![255, 1, 0, 0, 0];
    track.resize(5 + 255, 1);
    let subrecord = transport::subrecord(62, &track);
    let record = transport::record(1, 1, &5_u32.to_le_bytes(), super::ECALL, &subrecord.repeat(20));
    let mut conversation = Conversation::new(&PROTOCOL, Terms::default());
    let heard = conversation.frame(&transport::packet(transport::APPDATA, 8, None, &record), Time(0), None);
    assert_eq!((heard.records.len(), heard.acknowledges()), (0, false));
    assert!(heard.fault.is_some());
}

/// What a packet of these objects is answered with, each of which is decided about: the records' devices, the code of the packet,
/// and those of its records.
fn passed_on(objects: &[u32], decide: impl Fn(&str) -> Option<Decision>) -> (Vec<String>, u8, Vec<u8>) {
    let record =
        |(number, object): (u16, &u32)| transport::record(number, 1, &object.to_le_bytes(), TELEDATA, &ANALOGUE);
    let data: Vec<u8> = (0..).zip(objects).flat_map(record).collect();
    let packet = transport::packet(transport::APPDATA, 9, None, &data);
    let (transport, checksum, settings) = (Transport::Tcp, Checksum::Enforce, Arc::default());
    let mut dialogue = Dialogue::begin(Footing { protocol: &PROTOCOL, transport, checksum, settings }, None);
    let (mut out, mut own) = (Out::default(), String::new());
    let turn = dialogue.frame(&packet, Time(0), &mut out, |named, _| {
        let binding = |name: &CompactString| {
            let (tenant, decision) = ("default".into(), decide(name)?);
            Some(Arc::new(Binding {
                device: format_compact!("of {name}"),
                tenant,
                decision,
                settings: Settings::default(),
            }))
        };
        own = format!("of {}", named.ids[0]);
        let other = |called: &CompactString| Some(Other { called: called.clone(), binding: binding(called)? });
        let others = Others::new(named.others.iter().filter_map(other));
        Decided { begun: binding(&named.ids[0]), others }
    });
    assert_eq!((turn.malformed, out.replies().len()), (None, 1));
    let mut quiet = Out::default();
    let response = transport::read(&out.replies()[0].bytes, Checksum::Enforce, &mut quiet).ok().expect("a packet");
    let mut c = response.data;
    assert_eq!(c.u16_le("packet"), Ok(9));
    let code = c.u8("result").unwrap();
    let mut codes = Vec::new();
    while !c.is_empty() {
        c.skip("head, type, length, number", 7 + 3 + 2).unwrap();
        codes.push(c.u8("result").unwrap());
    }
    let devices = out.records().iter().map(|record| record.device.as_ref().map_or(own.clone(), ToString::to_string));
    (devices.collect(), code, codes)
}

#[test]
fn each_object_of_a_packet_is_decided_about_and_its_records_are_confirmed_by_that() {
    use Decision::{Accepted, Quarantined, Refused};
    let texts = |devices: &[&str]| devices.iter().map(ToString::to_string).collect::<Vec<_>>();
    let all = passed_on(&[5, 6, 5], |_| Some(Accepted));
    assert_eq!(all, (texts(&["of 5", "of 6", "of 5"]), 0, vec![0, 0, 0]));
    let waits = passed_on(&[5, 6, 5], |name| Some(if name == "6" { Quarantined } else { Accepted }));
    assert_eq!(waits, all, "what waits is kept");
    let one_refused = passed_on(&[5, 6, 7, 6], |name| Some(if name == "6" { Refused } else { Accepted }));
    assert_eq!(one_refused, (texts(&["of 5", "of 7"]), 0, vec![0, 136, 0, 136]));
    let all_refused = passed_on(&[5, 6], |_| Some(Refused));
    assert_eq!(all_refused, (texts(&[]), 136, vec![]));
    let beyond = passed_on(&[5, 6, 7], |name| Some(Accepted).filter(|_| name != "7"));
    assert_eq!(beyond, (texts(&["of 5", "of 6"]), 0, vec![0, 0, 156]), "what is not decided about comes again");
}

#[test]
fn so_many_objects_are_decided_about_at_once_and_the_rest_comes_again() {
    let objects: Vec<u32> = (1..=300).collect();
    let (devices, code, codes) = passed_on(&objects, |_| Some(Decision::Accepted));
    // The packet's own device, and as many others.
    assert_eq!((devices.len(), code, codes.len()), (1 + crate::OTHERS_MAX, 0, 300));
    assert!(codes.iter().take(256).all(|code| *code == 0) && codes.iter().skip(256).all(|code| *code == 156));
}
