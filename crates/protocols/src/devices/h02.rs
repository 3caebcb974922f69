//! H02: the protocol of many makers from Shenzhen (SinoTrack, LKGPS, Reachfar, iCar and those who copy them), as texts and
//! as binary records, both in one stream.
//!
//! Source: makers' "Protocol" documents for TH/HQ trackers (general and confirming messages, V3 with cells, meaning of the
//! status), public decoders, captured messages.
//!
//! ```text
//! *MM,ID,TYPE,field,…#        M maker (HQ, TH …), ID ten digits or an IMEI; an answer carries the same M and ID
//! V1 V5 V6 V8 VI1 …  time,validity,lat,N,lon,E,speed,course,[battery,]date[,…],status[,…]  V1 -> *MM,ID,V4,V1,now#
//!                    behind the status often mcc,mnc,lac,cell[,…]; other types with a place there (BC, ALRM …) are as V5
//! V4                 command[,…],time of the command, then as V1       answers a command
//! VP1                validity,lat,N,lon,E,speed,course,date  or  V,mcc,mnc,lac,cell,signal[Y…]
//! NBR                time,mcc,mnc,delay,count,(lac,cell,signal)…,date,status[,battery]     -> *MM,ID,V4,NBR,now#
//! V3                 time,mccmnc,count,(lac,cell,rs,dBm)…,battery,reboots,X,date,status
//! BS                 time,mcc,mnc,(lac,cell,signal)…,date,status,battery   numbers in hex
//! BASE               time,mcc,mnc,lac,cell,date,status
//! LINK               time,signal,satellites,battery,steps,turnovers,date,status
//! V0 HTBT            [battery]                                          -> *MM,ID,TYPE#
//! XT                 validity,time,date                                 -> *MM,ID,R12,time#
//! SMS                text                                               answers a command sent as a text
//!
//! $ ID*5 HHMMSS DDMMYY LLLLLLLL B OOOOOOOOO F SSS CCC TTTTTTTT …        records in binary-coded decimal; T in binary
//!       L ddmm.mmmm, B battery, O dddmm.mmmm, F half byte: 2 valid, 4 north, 8 east, S knots, C degrees, T status
//!       ID*8 in the form of 42 bytes. Behind T:
//!       32 bytes  A R N                    A alarm flag, R reserved, N number of the record
//!       45 bytes  A R G U MMMM CC D LL II N   G signal, U satellites, M mileage, C country, D network, L area, I cell
//!       47 bytes  as 45 with VV before N, a voltage on a scale that is not known; others are kept as they are
//! ```

mod binary;
mod command;
mod framing;
mod network;
mod position;
mod recognise;
mod status;

use crate::settings::SettingKind;
use crate::{Answer, Command, CommandError, Encoded, Maturity, Opening, Out, Protocol, Session, Setting, Transport};
use odograph_model::{Key, Record, Time};
use odograph_wire::{Cut, Fields, Framing, Malformed, Reason, Result, Told};

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "h02",
    title: "H02",
    devices: "SinoTrack, LKGPS, Reachfar, iCar and many trackers without a name",
    source: "makers' descriptions of HQ and TH trackers, captured messages",
    maturity: Maturity::Proven,
    port: 5013,
    transports: &[Transport::Tcp, Transport::Udp],
    datagrams_identify: true,
    commands_by_datagram: true,
    recognise: |start, _| recognise::recognise(start),
    looks: recognise::LOOKS,
    framing: Framing::Told { setting: "binary", cut: framing::cut },
    frame_max: framing::FRAME_MAX,
    // They send a heartbeat or a position every few minutes, asleep every half an hour.
    idle_s_max: 3600,
    has_checksum: false,
    settings: &[
        Setting {
            name: "ack",
            kind: SettingKind::Bool,
            meaning: "answers positions other than V1 too, with R12; without it only what waits for an answer",
        },
        Setting {
            name: "alternative",
            kind: SettingKind::Bool,
            meaning: "sets the interval of positions with D1 instead of S71",
        },
        Setting {
            name: "binary",
            kind: SettingKind::OneOf(&["32", "42", "45", "46", "47", "48"]),
            meaning: "how many bytes a binary record has; without it, what stands behind it tells, so that a record of 32 \
                      bytes waits for the next message",
        },
        Setting {
            name: "maker",
            kind: SettingKind::Letters(2),
            meaning: "the maker's two letters in commands; without it those that the device uses, or HQ",
        },
    ],
    commands: command::COMMANDS,
    open,
};

fn open(opening: &Opening<'_>) -> Box<dyn Session> {
    let setting = |name: &str| opening.settings.text(name);
    let maker = |text: &str| <[u8; 2]>::try_from(text.as_bytes()).ok().filter(|maker| is_maker(*maker));
    Box::new(H02Session {
        ack: opening.settings.is_on("ack"),
        alternative: opening.settings.is_on("alternative"),
        wide: setting("binary") == Some("42"),
        told: setting("maker").and_then(maker),
        maker: <[u8; 2]>::try_from(opening.context).ok().filter(|maker| is_maker(*maker)),
        heard: None,
    })
}

const fn is_maker([first, second]: [u8; 2]) -> bool {
    first.is_ascii_alphanumeric() && second.is_ascii_alphanumeric()
}

struct H02Session {
    /// Whether positions are answered that wait for nothing.
    ack: bool,
    alternative: bool,
    /// Whether binary records of 42 bytes have a long identity, also where the bytes allow a short one.
    wide: bool,
    /// The maker that the owner says.
    told: Option<[u8; 2]>,
    /// The maker that the device says.
    maker: Option<[u8; 2]>,
    /// When the device was heard last: the time of a command only has to differ from that of the one before.
    heard: Option<Time>,
}

/// What all texts begin with.
#[derive(Clone, Copy)]
struct Head<'a> {
    maker: &'a str,
    id: &'a str,
    kind: &'a str,
    received: Time,
}

impl Session for H02Session {
    fn on_frame(&mut self, frame: &[u8], received: Time, out: &mut Out<'_>) -> Result<()> {
        self.heard = Some(received);
        let mut at = 0_usize;
        if frame.is_empty() {
            return Err(Malformed::new("message", 0, Reason::Truncated { need: 1, have: 0 }));
        }
        // One message each on TCP; a datagram may hold several.
        while let Some(rest) = frame.get(at..).filter(|rest| !rest.is_empty()) {
            let length = match framing::cut(Told { setting: self.wide.then_some("42"), ended: true }, rest) {
                _ if framing::is_record(rest) => rest.len(),
                Cut::Frame(length) => length,
                Cut::Skip(length) if at > 0 || is_blank(rest.get(..length).unwrap_or_default()) => {
                    let skipped = rest.get(..length).unwrap_or_default();
                    if !is_blank(skipped) {
                        out.note(format!("{length} bytes at byte {at} belong to no message"));
                    }
                    at = at.saturating_add(length.max(1));
                    continue;
                }
                _ => rest.len(),
            };
            let message = rest.get(..length).unwrap_or(rest);
            self.message(message, at, received, out)?;
            at = at.saturating_add(length);
        }
        Ok(())
    }

    fn save(&self, context: &mut Vec<u8>) {
        context.extend(self.maker.into_iter().flatten());
    }

    fn command(&mut self, device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        let maker = self.told.or(self.maker).unwrap_or(*b"HQ");
        command::encode(device, maker, command, self.heard, self.alternative)
    }
}

impl H02Session {
    /// Takes the message that begins at `at` of the frame.
    fn message(&mut self, message: &[u8], at: usize, received: Time, out: &mut Out<'_>) -> Result<()> {
        match message.first() {
            Some(b'$') => self.record(message, at, received, out),
            Some(b'X') if framing::begins_record(message) == Some(true) => {
                out.note("a record of a kind that nobody describes");
                Ok(())
            }
            _ => {
                let text = String::from_utf8_lossy(message);
                self.text(text.trim_end_matches(['\r', '\n']), at, received, out)
            }
        }
    }

    fn record(&self, message: &[u8], at: usize, received: Time, out: &mut Out<'_>) -> Result<()> {
        let (id, record) =
            binary::read(out.cursor(message), self.wide, out).map_err(|malformed| shifted(malformed, at))?;
        identify(&id, at, out)?;
        out.record(record);
        if self.ack {
            let maker = self.told.or(self.maker).unwrap_or(*b"HQ");
            out.reply(handshake(&String::from_utf8_lossy(&maker), &id, received));
        }
        Ok(())
    }

    fn text(&mut self, text: &str, at: usize, received: Time, out: &mut Out<'_>) -> Result<()> {
        let Some(inner) = text.strip_prefix('*') else {
            return Err(Malformed::new("message", at, Reason::Expected("*…# or a binary record")));
        };
        let Some(inner) = inner.strip_suffix('#') else {
            let end = at.saturating_add(text.len());
            return Err(Malformed::new("end", end, Reason::Truncated { need: 1, have: 0 }));
        };
        let mut f = out.fields(inner, at.saturating_add(1), ',');
        let maker_at = f.at();
        let maker = f.text("maker")?;
        let id_at = f.at();
        let id = f.text("device")?;
        let head = Head { maker, id, kind: f.text("message type")?, received };
        let maker = <[u8; 2]>::try_from(maker.as_bytes()).ok().filter(|maker| is_maker(*maker));
        let maker = maker.ok_or(Malformed::new("maker", maker_at, Reason::Expected("two letters")))?;
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Malformed::new("device", id_at, Reason::Expected("digits")));
        }
        if !id.is_empty() {
            identify(id, id_at, out)?;
        }
        self.dispatch(head, f, out)?;
        self.maker = Some(maker);
        Ok(())
    }

    fn dispatch(&self, head: Head<'_>, mut f: Fields<'_>, out: &mut Out<'_>) -> Result<()> {
        let span = f;
        let record = match head.kind {
            "V0" | "HTBT" => {
                reply(head, format!("*{},{},{}#", head.maker, head.id, head.kind), out);
                let record = network::heartbeat(head.kind, &mut f)?;
                match record {
                    Some(record) => record,
                    None => return Ok(()),
                }
            }
            "XT" => {
                f.take_rest("state");
                reply(head, handshake(head.maker, head.id, head.received), out);
                return Ok(());
            }
            "NBR" => {
                let record = network::neighbours(&mut f, out)?;
                reply(head, confirmation(head), out);
                record
            }
            "LINK" => network::link(&mut f, out)?,
            "V3" => network::cells(&mut f, out)?,
            "BS" => network::stations(&mut f, out)?,
            "BASE" => network::base(&mut f, out)?,
            "VP1" => position::short(&mut f, head.received, out)?,
            "SMS" => said(f.take_rest("text"), out),
            kind if kind.starts_with('V') || position::stands(&f) => {
                let record = position::read(kind, &mut f, out)?;
                if kind == "V1" {
                    reply(head, confirmation(head), out);
                } else if self.ack {
                    reply(head, handshake(head.maker, head.id, head.received), out);
                }
                record
            }
            kind => other(kind, &mut f),
        };
        out.record(record.hash_span(head.kind.as_bytes()).hash_span(span.rest().as_bytes()));
        Ok(())
    }
}

/// An answer to a command that was sent as a text.
fn said(text: &str, out: &mut Out<'_>) -> Record {
    let mut record = Record::new();
    record.set(Key::DeviceCommandResult, text);
    out.answer(Answer { token: None, text: text.to_owned(), done: None });
    record
}

/// A message of a type that nobody describes: its fields as they are, and the status if one looks like it.
fn other(kind: &str, f: &mut Fields<'_>) -> Record {
    let mut record = Record::new();
    record.set(Key::DeviceMessageType, kind);
    position::keep(f, &mut record);
    record
}

fn identify(id: &str, at: usize, out: &mut Out<'_>) -> Result<()> {
    match out.identity().first() {
        None => out.identify(id),
        Some(first) if first == id => {}
        Some(_) => return Err(Malformed::new("device", at, Reason::Expected("one device in a datagram"))),
    }
    Ok(())
}

/// A device that does not name itself cannot be addressed.
fn reply(head: Head<'_>, text: String, out: &mut Out<'_>) {
    if !head.id.is_empty() {
        out.reply(text);
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0))
}

/// `*MM,ID,V4,TYPE,YYYYMMDDHHMMSS#`.
fn confirmation(head: Head<'_>) -> String {
    format!("*{},{},V4,{},{}#", head.maker, head.id, head.kind, status::digits(head.received))
}

/// `*MM,ID,R12,HHMMSS#`.
fn handshake(maker: &str, id: &str, received: Time) -> String {
    let digits = status::digits(received);
    format!("*{maker},{id},R12,{}#", digits.get(8..).unwrap_or_default())
}

fn shifted(malformed: Malformed, by: usize) -> Malformed {
    Malformed { at: malformed.at.saturating_add(by), ..malformed }
}
