//! GPS103: the text protocol of Coban (GPS102, 103, 104, 105, 303, 306, TK102B, TK103B) and of those who copy it.
//!
//! Source: Coban, "GPRS protocol" (2012-11-20, 2014-12-12) and "GPS102, GPS103, GPS104 GPRS data protocol", as far as
//! they are quoted in public; public decoders; captured messages.
//!
//! ```text
//! ##,imei:IMEI,A;                                                                   login      -> LOAD
//! IMEI;                                                                             heartbeat  -> ON
//! imei:IMEI,WORD,LOCAL,PHONE,F,UTC,A,LAT,N,LON,E,SPEED,COURSE,ALTITUDE,ACC,DOOR,FUEL1,FUEL2,TEMPERATURE;
//! imei:IMEI,WORD,LOCAL,PHONE,L,,,LAC,,CELL,,,,,ACC,DOOR,FUEL1,…;                    without a fix
//! imei:IMEI,OBD,LOCAL,ODOMETER,FUEL,AVERAGE,HOURS,SPEED,LOAD%,COOLANT,THROTTLE%,RPM,VOLTAGE,DTC,DTC,…;
//! imei:IMEI,NAME,EVENT,SENSOR,VOLTAGE,UTC,DDMMYY,SIGNAL,FIX,LAT,LON,SPEED,COURSE,ALTITUDE,HDOP,SATELLITES,ACC,CHARGE,ERROR*
//! imei:IMEI,vr,HEX;   piece of a picture: number, length (both two bytes, low one first), bytes, two more
//! **,imei:IMEI,LETTER[,…]                                                           a command
//! ```
//!
//! WORD says why: `tracker`, an alarm (`help me` is answered with `**,imei:IMEI,E;`), `acc on`, `T:+11`, `oil 51.6`,
//! `vt5` (five pieces of a picture will come), or what came of a command: its letter with `t` or `f`, or its number.
//! LOCAL is `YYMMDDHHMM[SS]` by the device's own clock, so its distance from UTC is the zone of the date.

mod alternative;
mod command;
mod diagnosis;
mod photo;
mod recognise;
mod regular;

use crate::settings::SettingKind;
use crate::{Command, CommandError, Encoded, Maturity, Opening, Out, Protocol, Session, Setting, Transport};
use odograph_model::{Record, Time};
use odograph_wire::{Cut, Fields, Framing, Malformed, Reason, Result};

/// Pieces of pictures are the longest messages, with some two kilobytes in hex.
const FRAME_MAX: usize = 10_240;
/// Messages with a name, one field behind it and so few bytes are logins, whatever the field is.
const LOGIN_MAX: usize = 30;

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "gps103",
    title: "GPS103",
    devices: "Coban GPS102 to GPS306, TK102B, TK103B and their many copies",
    source: "Coban, GPRS protocol (2012, 2014) as publicly quoted, captured messages",
    maturity: Maturity::Proven,
    port: 5001,
    transports: &[Transport::Tcp, Transport::Udp],
    datagrams_identify: true,
    commands_by_datagram: true,
    recognise: |start, _| recognise::recognise(start),
    looks: recognise::LOOKS,
    framing: Framing::Custom(cut),
    frame_max: FRAME_MAX,
    // A heartbeat every minute; some firmware sends it every five.
    idle_s_max: 15 * 60,
    has_checksum: false,
    settings: &[
        Setting {
            name: "mcc",
            kind: SettingKind::Within(1, 999),
            meaning: "the country of cells (mobile country code), which devices do not send",
        },
        Setting {
            name: "mnc",
            kind: SettingKind::Within(0, 999),
            meaning: "the network of cells (mobile network code), likewise",
        },
        Setting {
            name: "odometer",
            kind: SettingKind::OneOf(&["m", "km"]),
            meaning: "the unit of the odometer in OBD messages; m without it",
        },
        Setting {
            name: "zone",
            kind: SettingKind::Offset,
            meaning: "the device's clock; without it OBD messages are taken as UTC, messages without a fix as without a \
                      time, and a clock with UTC beside it as at most 10:30 behind and 13:30 ahead, so that beyond it \
                      dates are a day off",
        },
    ],
    commands: command::COMMANDS,
    open: |opening| Box::new(Gps103Session::open(opening)),
};

/// Messages end with `;`, `*` or a line end.
fn cut(bytes: &[u8]) -> Cut {
    let blank = bytes.iter().take_while(|byte| is_end(**byte) || matches!(byte, b'\r' | b' ' | b'|' | 0)).count();
    if blank > 0 {
        return Cut::Skip(blank);
    }
    match bytes.iter().take(FRAME_MAX).position(|byte| is_end(*byte)) {
        Some(at) => Cut::Frame(at.saturating_add(1)),
        None if bytes.len() < FRAME_MAX => Cut::Need(bytes.len().saturating_add(1)),
        None => Cut::Skip(FRAME_MAX),
    }
}

const fn is_end(byte: u8) -> bool {
    matches!(byte, b';' | b'*' | b'\n')
}

struct Gps103Session {
    network: [Option<u32>; 2],
    /// Metres of one unit of the odometer.
    metres: f64,
    zone: Option<i32>,
    /// How many pieces the picture under way has.
    pieces: Option<u16>,
}

/// What the parts of a message need beside it.
#[derive(Clone, Copy)]
struct Context {
    network: [Option<u32>; 2],
    metres: f64,
    zone: Option<i32>,
}

impl Gps103Session {
    fn open(opening: &Opening<'_>) -> Self {
        let settings = opening.settings;
        let code = |name: &str| settings.int(name).and_then(|code| u32::try_from(code).ok());
        Self {
            network: [code("mcc"), code("mnc")],
            metres: if settings.text("odometer") == Some("km") { 1000.0 } else { 1.0 },
            zone: settings.offset_minutes("zone"),
            pieces: <[u8; 2]>::try_from(opening.context).ok().map(u16::from_be_bytes),
        }
    }

    const fn context(&self) -> Context {
        Context { network: self.network, metres: self.metres, zone: self.zone }
    }

    /// Takes the message that begins at `at` of the frame, without what ends it.
    fn message(&mut self, text: &str, at: usize, out: &mut Out<'_>) -> Result<()> {
        let name = text.find("imei:");
        let bare = text.trim_end_matches(['\r', '\n', ';', '*', ' ']);
        let is_short = bare.len() < LOGIN_MAX && bare.bytes().filter(|byte| *byte == b',').count() < 2;
        if text.starts_with("##") || (name == Some(0) && is_short) {
            return login(text, at, out);
        }
        // A heartbeat; some devices put it straight before a message.
        let digits = bare.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            let identity = bare.get(..digits).unwrap_or_default();
            out.fields(identity, at, ',').text("device")?;
            if digits == IMEI {
                identify(identity, at, out)?;
                out.reply_if_known("ON", "");
            } else {
                out.reply_to_anyone("ON");
            }
            if digits == bare.len() {
                return Ok(());
            }
        }
        match name {
            Some(name) if name == digits => {
                let rest = bare.get(name..).unwrap_or_default();
                self.report(rest, at.saturating_add(name), out)
            }
            _ => Err(Malformed::new("message", at.saturating_add(digits), Reason::Expected("imei:"))),
        }
    }

    /// A message about something.
    fn report(&mut self, text: &str, at: usize, out: &mut Out<'_>) -> Result<()> {
        let mut f = out.fields(text, at, ',');
        let id_at = f.at();
        let id = f.text("device")?.trim_start_matches("imei:");
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed::new("device", id_at, Reason::Expected("imei: and digits")));
        }
        identify(id, id_at, out)?;
        let span = f;
        let record = self.content(id, &mut f, out)?;
        out.record(record.hash_span(span.rest().as_bytes()));
        Ok(())
    }

    fn content(&mut self, id: &str, f: &mut Fields<'_>, out: &mut Out<'_>) -> Result<Record> {
        let fields: Vec<&str> = f.rest().split(',').take(8).collect();
        let is_six = |at: usize| fields.get(at).is_some_and(|field| odograph_wire::text::pairs(field).is_some());
        match fields.first().copied().unwrap_or_default() {
            "vr" => photo::piece(f, &mut self.pieces),
            "OBD" => diagnosis::read(f, self.context(), out),
            // Time and date stand where a regular message has its fix.
            _ if is_six(4) && is_six(5) => alternative::read(f, out),
            word => {
                let record = regular::read(id, f, self.context(), out)?;
                if let Some(pieces) = word.strip_prefix("vt").and_then(|count| count.parse().ok()) {
                    self.pieces = Some(pieces);
                }
                Ok(record)
            }
        }
    }
}

/// An IMEI has so many digits.
const IMEI: usize = 15;

/// The device wants to be let in.
fn login(text: &str, at: usize, out: &mut Out<'_>) -> Result<()> {
    let name = text.find("imei:").map(|name| name.saturating_add(5));
    let Some((name, rest)) = name.and_then(|name| Some((at.saturating_add(name), text.get(name..)?))) else {
        return Err(Malformed::new("login", at, Reason::Expected("imei:")));
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let id = rest.get(..digits).filter(|id| !id.is_empty());
    let id = id.ok_or(Malformed::new("device", name, Reason::Expected("digits")))?;
    if !rest.get(digits..).is_some_and(|rest| rest.starts_with(',')) {
        let end = name.saturating_add(digits);
        return Err(Malformed::new("login", end, Reason::Truncated { need: 1, have: 0 }));
    }
    let mut f = out.fields(rest, name, ',');
    f.text("device")?;
    f.take_rest("login");
    identify(id, name, out)?;
    out.reply_if_known("LOAD", "");
    Ok(())
}

fn identify(id: &str, at: usize, out: &mut Out<'_>) -> Result<()> {
    match out.identity().first() {
        None => out.identify(id),
        Some(first) if first == id => {}
        Some(_) => return Err(Malformed::new("device", at, Reason::Expected("one device in a datagram"))),
    }
    Ok(())
}

impl Session for Gps103Session {
    fn on_frame(&mut self, frame: &[u8], _received: Time, out: &mut Out<'_>) -> Result<()> {
        let mut at = 0_usize;
        let mut messages = 0_usize;
        // One message each on TCP; a datagram may hold several.
        while let Some(rest) = frame.get(at..).filter(|rest| !rest.is_empty()) {
            let length = match cut(rest) {
                Cut::Skip(length) => {
                    at = at.saturating_add(length);
                    continue;
                }
                Cut::Frame(length) => length,
                _ => rest.len(),
            };
            let message = String::from_utf8_lossy(rest.get(..length).unwrap_or(rest));
            self.message(&message, at, out)?;
            messages = messages.saturating_add(1);
            at = at.saturating_add(length);
        }
        match messages {
            0 => Err(Malformed::new("message", 0, Reason::Truncated { need: 1, have: 0 })),
            _ => Ok(()),
        }
    }

    fn save(&self, context: &mut Vec<u8>) {
        context.extend(self.pieces.map(u16::to_be_bytes).into_iter().flatten());
    }

    fn command(&mut self, device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        command::encode(device, command).map(Encoded::from)
    }
}
