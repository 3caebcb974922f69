//! EGTS, the protocol of the Russian emergency system ERA-GLONASS and of Russian transport monitoring: every tracker
//! certified there speaks it, and platforms pass records on to each other with it.
//!
//! Written from GOST R 54619-2011 (transport and service layer, authentication, commands, firmware, emergency call),
//! GOST 33472-2015 (annexes A to V, with telematic data) and the Russian transport ministry's order 285 of 2012
//! (annexes 6 to 8). Where they number subrecords differently from other servers, the standards hold. All numbers are
//! little-endian, but for those of an emergency's minimum set of data.
//!
//! ```text
//! packet     01 KK FF HH EE LLLL NNNN TT [route SSSS RRRR UU] CC (D* DDDD)
//!            K key, F flags (route, encryption, compression, priority), H length of the header, L of the data D,
//!            N number of the packet, T type, U hops left, C CRC-8/NRSC-5 of the header, DDDD CRC-16/CCITT-FALSE of D
//! data       type 1: records; type 2: GGGG G*, G length of a signature and the signature, records
//!            type 0: NNNN PP, N the packet that is answered, P the result; records
//! record     LLLL NNNN FF [object OOOOOOOO] [event EEEEEEEE] [time TTTTTTTT] SS RR subrecords of L bytes
//!            S service of the sender, R of the recipient
//! subrecord  TT LLLL, then L bytes whose form service and T say
//!
//! →          to a packet one of type 0 with a subrecord 00 0003 NNNN 00 for each of its records, N the record's number;
//!            to a login also a packet of type 1 with the subrecord 09 0001 RR, R the result
//! ```
//!
//! A record is of its object, if it names one; one that names none is of the terminal that logged in. A packet with
//! records of several objects begins with the one that it is bound to; the others name theirs in [`Record::device`], and each is
//! decided about.

mod auth;
mod codes;
mod command;
mod ecall;
mod firmware;
mod recognise;
mod sensors;
mod session;
mod teledata;
#[cfg(test)]
mod tests;
mod text;
mod transport;

use crate::{CommandSpec, Maturity, Opening, Protocol, Session, Setting, SettingKind, Transport};
use compact_str::format_compact;
use odograph_model::{Record, Time};
use odograph_wire::{Cursor, Framing, Malformed, put};

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "egts",
    title: "EGTS",
    devices: "trackers certified for ERA-GLONASS or by order 285 (Galileosky, Navtelecom, Autograph, Fort, Granit and \
              others), and platforms that pass records on",
    source: "GOST R 54619-2011; GOST 33472-2015, annexes A to V; order 285 of the Russian ministry of transport (2012), \
             annexes 6 to 8",
    maturity: Maturity::Proven,
    port: 5162,
    transports: &[Transport::Tcp],
    framing: Framing::Custom(transport::cut),
    recognise: |start, _| recognise::recognise(start),
    looks: recognise::LOOKS,
    frame_max: transport::PACKET_MAX,
    idle_s_max: 3600,
    has_checksum: true,
    datagrams_identify: true,
    commands_by_datagram: false,
    settings: SETTINGS,
    commands: COMMANDS,
    open,
};

fn open(opening: &Opening<'_>) -> Box<dyn Session> {
    Box::new(session::EgtsSession::open(opening))
}

const SETTINGS: &[Setting] = &[
    Setting {
        name: "authorization_code",
        kind: SettingKind::Text,
        meaning: "the code that devices want to see in commands; without it commands carry none",
    },
    Setting {
        name: "objects",
        kind: SettingKind::OneOf(&["devices", "ignore"]),
        meaning: "whose a record is that names another object than the terminal that logged in: `devices`, and without \
                  it, the object is a device of its own; `ignore` gives the record to the terminal",
    },
    Setting {
        name: "password",
        kind: SettingKind::Text,
        meaning: "the password that a login must carry, which is then asked for; without it none is asked for and any \
                  will do",
    },
    Setting {
        name: "responses",
        kind: SettingKind::OneOf(&["packet", "record"]),
        meaning: "how records are confirmed: `packet`, and without it, all records of a packet with one; `record` with a \
                  packet for each",
    },
    Setting {
        name: "state_volts",
        kind: SettingKind::OneOf(&["tenths", "whole"]),
        meaning: "what a state's voltages count: `tenths` of a volt, and without it, as the standard says; `whole` volts, \
                  as some devices send",
    },
    Setting {
        name: "user",
        kind: SettingKind::Text,
        meaning: "the user name that a login must carry with its password; without it any will do",
    },
];

const COMMANDS: &[CommandSpec] = command::COMMANDS;

/// The services that the standards name.
const AUTH: u8 = 1;
const TELEDATA: u8 = 2;
const COMMAND: u8 = 4;
const FIRMWARE: u8 = 9;
const ECALL: u8 = 10;

/// The moment from which most times count, 2010-01-01, in seconds since 1970.
const EPOCH_S: i64 = 1_262_304_000;

/// Seconds since 2010; none where they are zero, which is how a clock without time begins.
fn since_2010(seconds: u32) -> Option<Time> {
    (seconds != 0).then(|| Time(EPOCH_S.saturating_add(seconds.into()).saturating_mul(1000)))
}

/// Keeps what a subrecord holds as hex digits, under its service and type, and its place where that is taken.
fn keep(record: &mut Record, (service, kind): (u8, u8), place: usize, bytes: &[u8]) {
    let mut name = format_compact!("{service}.{kind}");
    if record.raw_values().iter().any(|(known, _)| *known == name) {
        name = format_compact!("{name}.{place}");
    }
    record.raw(name, hex(bytes));
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    put::hex(bytes, &mut text);
    text
}

/// What a subrecord is called where something is odd about it.
fn odd(service: u8, kind: u8, malformed: Malformed) -> String {
    format!("subrecord {kind} of service {service}: {malformed}")
}

/// Bytes up to a zero, which is taken too.
fn zero_ended<'a>(c: &mut Cursor<'a>, field: &'static str) -> odograph_wire::Result<&'a [u8]> {
    let rest = c.rest();
    // Without a zero it goes to the end, and the zero is missing there.
    let length = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let bytes = c.bytes(field, length)?;
    c.u8("delimiter")?;
    Ok(bytes)
}
