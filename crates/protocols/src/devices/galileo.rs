//! Galileosky (once GalileoSky): trackers 1.8 to 10, Base Block, 7.0, 7x, OBD-II, Boxfinder and their Iridium modems.
//!
//! Written from the maker's "Server exchange protocol" (Russian, 6 February 2019) and its later description (2025: 11,
//! 21, 36, 49, 78 to 7D and the extended tags); photos, FA and FD from public decoders. Numbers are little-endian.
//!
//! ```text
//! tags        01 LL LL T* KK KK        low 15 bits of L: bytes of T; the highest: more is waiting    → 02 KK KK
//! compressed  08 LL LL M T* KK KK      M ten bytes of bits and a list of tags, T values without tags → 02 KK KK
//! Garmin      06 LL LL G* KK KK        what the navigator says by Garmin's protocol                  → nothing
//! picture     07 LL LL N P* KK KK      piece N of a picture; without bytes P it was the last          → 07 KK KK
//! Iridium     01 LL LL 01 00 1C … 03 … 02 … T*    big-endian, no checksum: see `iridium`              → nothing
//! command     01 LL LL 03 imei 04 number E0 number E1 text KK KK    and its answer, which may add EB
//! ```
//!
//! K is CRC-16/MODBUS over all before it. A packet that was not answered with its own checksum is sent again. The tags of
//! a record ascend, so that one which does not begins the next record.

mod command;
mod compressed;
mod draft;
mod extended;
mod iridium;
mod photo;
mod recognise;
mod reefer;
mod tags;
mod values;

use crate::{
    Checksum, Command, CommandError, Encoded, Maturity, Opening, Out, Protocol, Session, Setting, SettingKind,
    Transport,
};
use draft::Draft;
use odograph_model::{Record, Time};
use odograph_wire::{Cursor, Cut, Framing, Reason, Result, bits, checksum, put};

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "galileo",
    title: "Galileosky",
    devices: "Galileosky 1.8, 2.x, 4.0, 5.x, 7.x, 10, Base Block, Lite, OBD-II, Boxfinder, and Iridium modems behind them",
    source: "Galileosky, server exchange protocol (6 February 2019) and its description of 2025; public decoders for \
             pictures and the tags FA and FD",
    maturity: Maturity::Proven,
    port: 5034,
    transports: &[Transport::Tcp],
    framing: Framing::Custom(cut),
    recognise: |start, _| recognise::recognise(start),
    looks: recognise::LOOKS,
    frame_max: FRAME_MAX,
    idle_s_max: 3600,
    // All but Iridium's.
    has_checksum: true,
    datagrams_identify: false,
    commands_by_datagram: false,
    settings: SETTINGS,
    commands: command::COMMANDS,
    open: |opening| Box::new(GalileoSession::open(opening)),
};

const SETTINGS: &[Setting] = &[
    Setting {
        name: "inputs",
        kind: SettingKind::OneOf(&["as_sent", "voltage", "pulses"]),
        meaning: "what inputs are set to: voltage gives ain.{n} in volts, pulses counter.{n}; without it ain.{n} is what \
                  was sent: millivolts, pulses or hertz; input 0 has the number 14",
    },
    Setting {
        name: "rs232",
        kind: SettingKind::OneOf(&["raw", "fuel"]),
        meaning: "fuel: level sensors are on the RS232 ports, given as fuel.volume.17 and 18; without it their values stay raw",
    },
    Setting {
        name: "can_log",
        kind: SettingKind::Bool,
        meaning: "a CAN-LOG is attached: C4 is the speed, DB engine hours, DC litres of fuel; without it they stay raw",
    },
    Setting {
        name: "axles",
        kind: SettingKind::Bool,
        meaning: "D6 to DA are the weights on axles 1 to 5; without it they stay raw",
    },
    Setting {
        name: "passengers",
        kind: SettingKind::Bool,
        meaning: "a user array of type 10 holds passenger counters; without it, it stays raw alone",
    },
    Setting {
        name: "compressed",
        kind: SettingKind::Bool,
        meaning: "whether packets through Iridium are compressed; without it, what they hold tells",
    },
    Setting {
        name: "encrypted",
        kind: SettingKind::Bool,
        meaning: "the device encrypts (DataKey): packets are acknowledged and kept in raw.encrypted, but not decoded",
    },
];

/// The length has 15 bits. The maker named 1000 bytes in 2019; later devices send more.
const FRAME_MAX: usize = 0x7FFF + OVERHEAD;
/// Header, length and checksum.
const OVERHEAD: usize = 5;
/// The bit of the length that says that the device has more to send.
const UNSENT: u16 = 0x8000;

/// Headers, and what the two acknowledgements begin with.
const TAGS: u8 = 0x01;
const RECEIVED: u8 = 0x02;
const GARMIN: u8 = 0x06;
const PICTURE: u8 = 0x07;
const COMPRESSED: u8 = 0x08;

/// What a packet through Iridium begins with, behind header and length: no packet of tags has a tag 1C.
const IRIDIUM: [u8; 3] = [0x01, 0x00, 0x1C];

/// Header, length and [`IRIDIUM`].
const IRIDIUM_HEAD: usize = 6;

struct GalileoSession {
    checksum: Checksum,
    encrypted: bool,
    compressed: Option<bool>,
    reading: draft::Reading,
    state: State,
}

/// What later packets depend on.
#[derive(Clone, Default, PartialEq, Eq)]
struct State {
    /// Hardware and firmware out of a first packet, which has neither time nor place: they go into the next record.
    hardware: Option<u8>,
    firmware: Option<u8>,
    photo: Option<photo::Photo>,
}

impl GalileoSession {
    fn open(opening: &Opening<'_>) -> Self {
        let settings = opening.settings;
        Self {
            checksum: opening.checksum,
            encrypted: settings.is_on("encrypted"),
            compressed: settings.text("compressed").map(|value| value == "true"),
            reading: draft::Reading::of(settings),
            state: State::read(opening.context).unwrap_or_default(),
        }
    }
}

impl Session for GalileoSession {
    fn on_frame(&mut self, frame: &[u8], received: Time, out: &mut Out<'_>) -> Result<()> {
        let mut state = self.state.clone();
        if let [TAGS, _, _, rest @ ..] = frame
            && rest.starts_with(&IRIDIUM)
        {
            iridium::packet(frame, self.compressed, self.reading, received, out)?;
        } else {
            let packet = self.opened(frame, out)?;
            match packet.header {
                TAGS | COMPRESSED if self.encrypted => encrypted(&packet, out),
                TAGS => self.tags(packet, &mut state, out)?,
                COMPRESSED => {
                    let drafts = compressed::records(packet.data, self.reading, received, out)?;
                    give(drafts, packet.unsent, &mut state, out);
                }
                PICTURE => photo::piece(packet.data, &mut state.photo, out)?,
                GARMIN => garmin(packet.data, out),
                _ => return Err(Cursor::new(frame).error("header", Reason::Unknown)),
            }
            acknowledge(&packet, out);
        }
        // A frame that was malformed leaves no trace.
        self.state = state;
        Ok(())
    }

    fn save(&self, context: &mut Vec<u8>) {
        if self.state != State::default() {
            self.state.write(context);
        }
    }

    fn command(&mut self, device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        command::encode(device, command)
    }
}

/// A packet whose length and checksum are right.
#[derive(Clone, Copy)]
struct Packet<'a> {
    header: u8,
    data: Cursor<'a>,
    /// The device has more to send.
    unsent: bool,
    /// The checksum, as it is to be repeated.
    checksum: u16,
}

impl GalileoSession {
    fn opened<'a, 't: 'a>(&self, frame: &'a [u8], out: &mut Out<'t>) -> Result<Packet<'a>> {
        let mut c = out.cursor(frame);
        let header = c.u8("header")?;
        let length = c.u16_le("length")?;
        let data = c.sub("data", usize::from(length & !UNSENT))?;
        let (at_checksum, covered) = (c, c.since(&Cursor::new(frame)));
        let stated = c.u16_le("checksum")?;
        c.finish("packet")?;
        if length & !UNSENT == 0 {
            return Err(at_checksum.error("data", Reason::Expected("at least one byte")));
        }
        let computed = checksum::crc16_modbus(covered);
        if stated != computed {
            match self.checksum {
                Checksum::Enforce => {
                    let (stated, computed) = (stated.into(), computed.into());
                    return Err(at_checksum.error("checksum", Reason::Checksum { stated, computed }));
                }
                Checksum::Note => out.note("checksum is wrong"),
            }
        }
        Ok(Packet { header, data, unsent: length & UNSENT != 0, checksum: stated })
    }

    fn tags(&self, packet: Packet<'_>, state: &mut State, out: &mut Out<'_>) -> Result<()> {
        let drafts = draft::records(packet.data, self.reading, out)?;
        give(drafts, packet.unsent, state, out);
        Ok(())
    }
}

/// Makes records of what was read. What states nothing but who the device is, and when, is none.
fn give(drafts: Vec<Draft>, unsent: bool, state: &mut State, out: &mut Out<'_>) {
    for draft in drafts {
        if let Some(imei) = draft.imei.as_ref().filter(|imei| !out.identity().contains(imei)) {
            out.identify(imei.clone());
        }
        if draft.is_introduction() {
            state.hardware = draft.hardware.or(state.hardware);
            state.firmware = draft.firmware.or(state.firmware);
            continue;
        }
        if let Some(answer) = draft.answer() {
            out.answer(answer);
        }
        let mut record = draft.finish(state.hardware.take(), state.firmware.take(), out);
        if unsent {
            record.raw("archive.unsent", true);
        }
        out.record(record);
    }
}

/// Of a command's answer there is no acknowledgement in the maker's description, but any packet that has none is sent
/// again. Garmin's protocol has its own.
fn acknowledge(packet: &Packet<'_>, out: &mut Out<'_>) {
    let header = match packet.header {
        GARMIN => return,
        PICTURE => PICTURE,
        _ => RECEIVED,
    };
    let [low, high] = packet.checksum.to_le_bytes();
    out.reply([header, low, high]);
}

/// XTEA3 with the owner's key. The order of bytes in its words and how blocks follow each other is not described, and no
/// message with its key is public, so that nothing could show a decryption to be right. What came is kept.
fn encrypted(packet: &Packet<'_>, out: &mut Out<'_>) {
    let mut data = packet.data;
    let bytes = data.take_rest("encrypted data");
    let mut record = Record::new().hash_span(bytes);
    record.raw("encrypted", hex(bytes));
    out.record(record);
}

fn garmin(mut data: Cursor<'_>, out: &mut Out<'_>) {
    let bytes = data.take_rest("Garmin packet");
    let mut record = Record::new().hash_span(bytes);
    record.raw("garmin", hex(bytes));
    out.record(record);
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    put::hex(bytes, &mut text);
    text
}

impl State {
    /// What is there, a bit each: hardware u8, firmware u8, the picture.
    fn write(&self, context: &mut Vec<u8>) {
        let bit = |is_there: bool, bit: u8| u8::from(is_there) << bit;
        context.push(bit(self.hardware.is_some(), 0) | bit(self.firmware.is_some(), 1) | bit(self.photo.is_some(), 2));
        context.extend(self.hardware.into_iter().chain(self.firmware));
        if let Some(photo) = &self.photo {
            photo.write(context);
        }
    }

    /// What [`State::write`] wrote.
    fn read(context: &[u8]) -> Result<Self> {
        let mut c = Cursor::new(context);
        let there = c.u8("what is there")?;
        let is_there = |bit| bits::is_set(there, bit);
        Ok(Self {
            hardware: if is_there(0) { Some(c.u8("hardware")?) } else { None },
            firmware: if is_there(1) { Some(c.u8("firmware")?) } else { None },
            photo: if is_there(2) { Some(photo::Photo::read(&mut c)?) } else { None },
        })
    }
}

/// Nothing marks the beginning of a packet but its header, so that there is no way to go on after bytes that begin none.
fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [TAGS, high, low, rest @ ..] if rest.starts_with(&IRIDIUM) => {
            whole(bytes, usize::from(u16::from_be_bytes([*high, *low])).saturating_add(3))
        }
        [header @ (TAGS | GARMIN | PICTURE | COMPRESSED), low, high, rest @ ..] => {
            let length = usize::from(u16::from_le_bytes([*low, *high]) & !UNSENT).saturating_add(OVERHEAD);
            // Up to its sixth byte it may be Iridium's, whose length is another.
            let may_be_iridium = *header == TAGS && rest.len() < IRIDIUM.len() && IRIDIUM.starts_with(rest);
            whole(bytes, if may_be_iridium { length.min(IRIDIUM_HEAD) } else { length })
        }
        [TAGS | GARMIN | PICTURE | COMPRESSED, ..] => Cut::Need(OVERHEAD),
        _ => Cut::Lost("no packet has this header"),
    }
}

const fn whole(bytes: &[u8], total: usize) -> Cut {
    if total <= bytes.len() { Cut::Frame(total) } else { Cut::Need(total) }
}

#[cfg(test)]
mod tests;
