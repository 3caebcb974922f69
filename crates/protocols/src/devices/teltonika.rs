//! Teltonika's trackers: FMB, FMC, FMM, FMU, FMT, FM1 to FM6, TAT, TFT, TST, TMT, MTB, MSP and GH.
//!
//! Written from "Teltonika Data Sending Protocols" (wiki.teltonika-gps.com: codecs 8, 8 Extended, 16, 12, 13, 14, 15; TCP
//! and UDP), the "GH3000 protocol" (codec 7) and the lists of AVL ids of the FMB and FMX6 families. All numbers are
//! big-endian.
//!
//! ```text
//! login  LLLL I*               L length, I IMEI in ASCII                       → 01 accepted | 00 refused
//! ping   FF                    keeps the connection open                       → nothing
//! data   00000000 LLLLLLLL CC NN D* NN KKKKKKKK                               → AAAAAAAA records accepted
//!                              L bytes from C to the second N, C codec, N records, K CRC-16/ARC over them
//! UDP    LLLL PPPP 01 QQ MMMM I* CC NN D* NN                                   → 0005 PPPP 01 QQ AA
//!                              L bytes that follow, P packet, Q AVL packet, M length of I; no checksum
//! ```

mod avl;
mod beacons;
mod elements;
mod gh3000;
mod messages;
mod parts;
mod recognise;
mod table;

use crate::{
    Checksum, Command, CommandError, CommandSpec, Encoded, Maturity, Opening, Out, Protocol, Session, Setting,
    SettingKind, Transport,
};
use elements::Family;
use odograph_model::Time;
use odograph_wire::{Cursor, Cut, Framing, Reason, Result, checksum};

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "teltonika",
    title: "Teltonika",
    devices: "FMB, FMC, FMM, FMU, FMT, FM1xxx to FM6xxx, FMX6xx, TAT, TFT, TST, TMT, MTB100, MSP500, GH3000 and GH5200",
    source: "Teltonika Data Sending Protocols (wiki, 2024): codecs 8, 8E, 16, 12, 13, 14, 15; GH3000 protocol: codec 7; \
             AVL id lists of the FMB and FMX6 families",
    maturity: Maturity::Proven,
    port: 5027,
    transports: &[Transport::Tcp, Transport::Udp],
    framing: Framing::Custom(cut),
    recognise: recognise::recognise,
    looks: recognise::LOOKS,
    frame_max: FRAME_MAX,
    idle_s_max: 3600,
    // Over TCP; datagrams carry none.
    has_checksum: true,
    datagrams_identify: true,
    // "UDP commands are sent the same exact way as TCP commands", says the maker's page on codecs.
    commands_by_datagram: true,
    settings: &[
        Setting {
            name: "model",
            kind: SettingKind::Text,
            meaning: "the device's model, such as FMB130 or FMC650: some ids mean another thing in another family; without \
                      it only what the record itself tells apart is named",
        },
        Setting {
            name: "extended",
            kind: SettingKind::Bool,
            meaning: "records have a group of 16-byte elements; without it, they are taken to have one where they fit no \
                      other way",
        },
    ],
    commands: COMMANDS,
    open: |opening| Box::new(TeltonikaSession::open(opening)),
};

/// The maker allows 1280 bytes of AVL data, a camera sends up to 2 KiB at once, a serial port at times several.
const FRAME_MAX: usize = 65_536;
/// An IMEI has 15 digits; some devices pad it.
const LOGIN_MAX: usize = 64;
/// What stands around the data of a packet over TCP: preamble, length, checksum.
const PACKET_OVERHEAD: usize = 12;

const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "custom",
        attributes: &["data", "codec?"],
        meaning: "the maker's own text; pairs of hex digits are sent as bytes",
    },
    CommandSpec { name: "engineStop", attributes: &["codec?"], meaning: "switch output 1 on (setdigout 1)" },
    CommandSpec { name: "engineResume", attributes: &["codec?"], meaning: "switch output 1 off (setdigout 0)" },
    CommandSpec {
        name: "outputControl",
        attributes: &["index", "data", "codec?"],
        meaning: "switch output index, 1 to 4, on (1) or off (0) (setdigout)",
    },
    CommandSpec { name: "positionSingle", attributes: &["codec?"], meaning: "say where it is (getgps)" },
    CommandSpec { name: "getDeviceStatus", attributes: &["codec?"], meaning: "say its modem's state (getstatus)" },
    CommandSpec { name: "getVersion", attributes: &["codec?"], meaning: "say its firmware and IMEI (getver)" },
    CommandSpec { name: "getInfo", attributes: &["codec?"], meaning: "say its running state (getinfo)" },
    CommandSpec { name: "getIo", attributes: &["codec?"], meaning: "say its inputs and outputs (getio)" },
    CommandSpec { name: "readIo", attributes: &["id", "codec?"], meaning: "say the value of an AVL id (readio)" },
    CommandSpec { name: "getParameter", attributes: &["id", "codec?"], meaning: "say a parameter (getparam)" },
    CommandSpec {
        name: "setParameter",
        attributes: &["id", "value", "codec?"],
        meaning: "change a parameter (setparam)",
    },
    CommandSpec { name: "rebootDevice", attributes: &["codec?"], meaning: "restart (cpureset)" },
];

struct TeltonikaSession {
    transport: Option<Transport>,
    checksum: Checksum,
    family: Family,
    extended: Option<bool>,
    /// A picture that the device is sending piece by piece.
    photo: Option<messages::Photo>,
}

impl TeltonikaSession {
    fn open(opening: &Opening<'_>) -> Self {
        Self {
            transport: opening.transport,
            checksum: opening.checksum,
            family: Family::of_model(opening.settings.text("model").unwrap_or_default()),
            extended: opening.settings.text("extended").map(|value| value == "true"),
            photo: messages::Photo::restore(opening.context),
        }
    }
}

impl Session for TeltonikaSession {
    fn on_frame(&mut self, frame: &[u8], _received: Time, out: &mut Out<'_>) -> Result<()> {
        match frame {
            // Keeps the connection open; not answered.
            [PING] => Ok(()),
            _ if self.transport == Some(Transport::Udp) => self.udp(frame, out),
            [0, 0, ..] => self.tcp(frame, out),
            [_, _, _, _, PACKET_TYPE, ..] if self.transport.is_none() => self.udp(frame, out),
            _ => login(frame, out),
        }
    }

    fn save(&self, context: &mut Vec<u8>) {
        if let Some(photo) = &self.photo {
            photo.save(context);
        }
    }

    fn command(&mut self, device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        messages::encode(device, command).map(Encoded::from)
    }
}

fn login(frame: &[u8], out: &mut Out<'_>) -> Result<()> {
    let mut c = out.cursor(frame);
    let length = usize::from(c.u16("IMEI length")?);
    if length > LOGIN_MAX {
        return Err(c.error("IMEI length", Reason::TooMany { max: LOGIN_MAX }));
    }
    let imei = c.text("IMEI", length)?;
    c.finish("login")?;
    out.identify(imei);
    out.reply_if_known([1], [0]);
    Ok(())
}

impl TeltonikaSession {
    fn tcp(&mut self, frame: &[u8], out: &mut Out<'_>) -> Result<()> {
        let mut c = out.cursor(frame);
        if c.u32("preamble")? != 0 {
            return Err(Cursor::new(frame).error("preamble", Reason::Expected("four zero bytes")));
        }
        let length = c.u32("data length")?;
        let data = c.sub("data", usize::try_from(length).unwrap_or(usize::MAX))?;
        let at_checksum = c;
        let stated = c.u32("checksum")?;
        c.finish("packet")?;
        let is_message = data.peek().is_some_and(messages::is_message);
        match self.checked(data, at_checksum, stated, out) {
            // Answers to commands are not acknowledged, but the pieces of a picture are asked for one by one.
            Ok(_) if is_message => Ok(()),
            Ok(count) => {
                out.reply(u32::from(count).to_be_bytes());
                Ok(())
            }
            Err(error) => {
                // The device takes a count that is not its own as "send it again".
                if !is_message {
                    out.reply_despite_error([0; 4]);
                }
                Err(error)
            }
        }
    }

    fn checked(&mut self, data: Cursor<'_>, at_checksum: Cursor<'_>, stated: u32, out: &mut Out<'_>) -> Result<u8> {
        let computed = u32::from(checksum::crc16_arc(data.rest()));
        if stated != computed {
            match self.checksum {
                Checksum::Enforce => return Err(at_checksum.error("checksum", Reason::Checksum { stated, computed })),
                Checksum::Note => out.note("checksum is wrong"),
            }
        }
        self.packet(data, out)
    }

    fn udp(&mut self, frame: &[u8], out: &mut Out<'_>) -> Result<()> {
        let mut c = out.cursor(frame);
        let length = usize::from(c.u16("length")?);
        if length > c.left() {
            return Err(c.error("length", Reason::Truncated { need: length, have: c.left() }));
        }
        if length < c.left() {
            return Err(c.error("length", Reason::Count { stated: length, found: c.left() }));
        }
        let packet = c.u16("packet id")?;
        let kind = c.u8("packet type")?;
        let avl_packet = c.u8("AVL packet id")?;
        let imei_length = usize::from(c.u16("IMEI length")?);
        let imei = c.text("IMEI", imei_length)?;
        let is_message = c.peek().is_some_and(messages::is_message);
        let count = self.packet(c, out)?;
        out.identify(imei);
        if !is_message {
            let [high, low] = packet.to_be_bytes();
            out.reply([0, 5, high, low, kind, avl_packet, count]);
        }
        Ok(())
    }

    /// What stands between the two counts, both included; gives how many records there were.
    fn packet(&mut self, mut c: Cursor<'_>, out: &mut Out<'_>) -> Result<u8> {
        let at_codec = c;
        let codec = c.u8("codec")?;
        let count = c.u8("record count")?;
        match codec {
            gh3000::CODEC => gh3000::records(&mut c, count, out)?,
            avl::CODEC_8 | avl::CODEC_8E | avl::CODEC_16 => {
                avl::records(&mut c, codec, count, self.family, self.extended, out)?;
            }
            codec if messages::is_message(codec) => {
                for _ in 0..count {
                    messages::message(&mut c, codec, &mut self.photo, out)?;
                }
            }
            _ => return Err(at_codec.error("codec", Reason::Unknown)),
        }
        let at_count = c;
        let again = c.u8("record count again")?;
        if again != count {
            let reason = Reason::Count { stated: usize::from(again), found: usize::from(count) };
            return Err(at_count.error("record count again", reason));
        }
        c.finish("data")?;
        Ok(count)
    }
}

/// A byte between messages that keeps the connection open.
const PING: u8 = 0xFF;
/// The only type of packet over UDP, at the place where a login has a digit.
const PACKET_TYPE: u8 = 0x01;

/// A message of length zero is this long: it says nothing, and is skipped.
const EMPTY_BYTES: usize = 2;

/// Cuts pings, logins and packets. Nothing marks the beginning of a packet, so that there is no way to go on after
/// bytes that begin none, unless they are zeros: a message of length zero, or a packet of no data whose checksum is not
/// the zero that it has to be.
fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [PING, ..] => Cut::Frame(1),
        [0, 0, a, b, ..] if (*a, *b) != (0, 0) => Cut::Skip(EMPTY_BYTES),
        [0, 0, _, _, 0, 0, 0, 0, rest @ ..] => match rest {
            [0, 0, 0, 0, ..] => Cut::Frame(PACKET_OVERHEAD),
            [_, _, _, _, ..] => Cut::Skip(EMPTY_BYTES),
            _ => Cut::Need(PACKET_OVERHEAD),
        },
        [0, 0, _, _, a, b, c, d, ..] => {
            let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
            whole(bytes, length.saturating_add(PACKET_OVERHEAD), FRAME_MAX, "the packet's length is beyond all bounds")
        }
        [0, 0, ..] => Cut::Need(8),
        [high, low, ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            whole(bytes, length.saturating_add(2), LOGIN_MAX, "neither a login nor a packet")
        }
        _ => Cut::Need(2),
    }
}

fn whole(bytes: &[u8], total: usize, max: usize, beyond: &'static str) -> Cut {
    match total {
        total if total > max => Cut::Lost(beyond),
        total if total <= bytes.len() => Cut::Frame(total),
        total => Cut::Need(total),
    }
}

#[cfg(test)]
mod tests;
