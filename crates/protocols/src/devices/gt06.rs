//! GT06: Concox (Jimi) trackers and the many makers that speak the same binary packets.
//!
//! Written from Concox's "GPS Tracker Communication Protocol" (GT06N, GT310/GK310, CRX, JM-VL03 and JM-LL301 editions)
//! and the family's captured messages; variants that reuse a type with other fields are told apart by packet length.
//!
//! ```text
//! 78 78 | l    | t | c… | ss ss | kk kk | 0D 0A      l = 1 byte, counts t to kk
//! 79 79 | l l  | t | c… | ss ss | kk kk | 0D 0A      l = 2 bytes
//! 78 78 | n    | t | c…                 | 0D 0A      t = 17 or 69: n access points, no serial, no checksum
//! ```
//!
//! t: type, c: content, s: serial number, k: CRC X.25 over l to s.

mod alarm;
mod command;
mod framing;
mod information;
mod location;
mod media;
mod modules;
mod network;
mod recognise;
mod status;
mod variant;

use crate::{
    Checksum, Command, CommandError, Encoded, Maturity, Opening, Out, Protocol, Session, Setting, SettingKind,
    Settings, Transport,
};
use compact_str::{CompactString, ToCompactString, format_compact};
use odograph_model::{Record, Time};
use odograph_wire::{Cursor, Framing, Malformed, Reason, Result, checksum, put};
use variant::{Model, Variant};

/// No known device sends more in one packet: pictures come in pieces of a kilobyte.
const FRAME_MAX: usize = 8192;
/// Type, serial number and checksum: what a length counts beside the content.
const LENGTH_MIN: usize = 5;
/// No zone is farther from UTC, in minutes.
const ZONE_MAX: i16 = 14 * 60;
/// Serial number and checksum.
const TRAILER: usize = 4;

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "gt06",
    title: "GT06 (Concox, Jimi)",
    devices: "Concox and Jimi GT06, GT06N, GK310, JM, VL and LL series; SEEWORLD, WeTrust, Benway, WanWay, LW, NT and \
              many other makers' trackers that speak it",
    source: "Concox GPS Tracker Communication Protocol, editions GT06N/GT06E 1.0, GT310 1.0.3, JM-VL03 1.1.2, \
             JM-LL301 1.0, JM-VW01 1.1.8",
    maturity: Maturity::Proven,
    port: 5023,
    transports: &[Transport::Tcp],
    framing: Framing::Custom(framing::cut),
    recognise: |start, _| recognise::recognise(start),
    looks: recognise::LOOKS,
    frame_max: FRAME_MAX,
    idle_s_max: 3600,
    has_checksum: true,
    datagrams_identify: false,
    commands_by_datagram: false,
    settings: &[
        Setting {
            name: "zone",
            kind: SettingKind::Offset,
            meaning: "the zone of the device's clock; without it the one that its login states, else UTC",
        },
        Setting {
            name: "model",
            kind: SettingKind::Text,
            meaning: "the device's model, where models fill the same packet differently: LW…, SEEWORLD, R11, QH302R, \
                      G109, NT11, NT20, NT26, NT40, NT46, VL100, XT40, VL103, LL303, VL512, G18",
        },
        Setting {
            name: "variant",
            kind: SettingKind::OneOf(Variant::NAMES),
            meaning: "the layout of packets that differ between makers; without it each packet's length tells",
        },
        Setting { name: "password", kind: SettingKind::Text, meaning: "for commands that need one; 123456 without it" },
        Setting {
            name: "alternative",
            kind: SettingKind::Bool,
            meaning: "engine commands as DYD and HFYD with the password, in place of Relay",
        },
        Setting {
            name: "language",
            kind: SettingKind::Bool,
            meaning: "commands end with the language word (English), which newer firmware wants",
        },
    ],
    commands: command::COMMANDS,
    open: |opening| Box::new(Gt06Session::open(opening)),
};

struct Gt06Session {
    /// What the owner says of the device's clock, in minutes east of UTC.
    zone_set: Option<i32>,
    /// What the device said of it at its login.
    zone_login: i16,
    model: Model,
    variant_set: Option<Variant>,
    checksum: Checksum,
    photo: Option<media::Photo>,
    settings: Option<Box<Settings>>,
}

impl Gt06Session {
    fn open(opening: &Opening<'_>) -> Self {
        let settings = opening.settings;
        let mut session = Self {
            zone_set: settings.offset_minutes("zone"),
            zone_login: 0,
            model: settings.text("model").map_or(Model::Other, Model::of),
            variant_set: settings.text("variant").and_then(Variant::named),
            checksum: opening.checksum,
            photo: None,
            settings: (!settings.is_empty()).then(|| Box::new(settings.clone())),
        };
        session.resume(opening.context);
        session
    }

    /// Takes back what [`Session::save`] wrote.
    fn resume(&mut self, context: &[u8]) {
        let Some((zone, photo)) = context.split_first_chunk() else { return };
        let zone = i16::from_be_bytes(*zone);
        let resumed = media::Photo::resumed(photo);
        if (-ZONE_MAX..=ZONE_MAX).contains(&zone) && resumed.is_some() != photo.is_empty() {
            self.zone_login = zone;
            self.photo = resumed;
        }
    }

    fn login(&mut self, message: &Message<'_>, out: &mut Out<'_>) -> Result<()> {
        let mut c = message.content;
        let id = c.byte_array::<8>("IMEI")?;
        let mut text = String::with_capacity(16);
        put::hex(&id, &mut text);
        // Fifteen digits in eight bytes: the first nibble is padding.
        out.identify(text.get(1..).unwrap_or_default());
        self.zone_login = 0;
        if c.left() >= 4 {
            c.u16("type identifier")?;
            let word = c.u16("zone and language")?;
            self.zone_login = zone_minutes(word);
        }
        out.reply(answer(message, message.kind));
        Ok(())
    }
}

impl Session for Gt06Session {
    fn on_frame(&mut self, frame: &[u8], received: Time, out: &mut Out<'_>) -> Result<()> {
        let message = self.message(frame, out)?;
        let zone = self.zone_set.unwrap_or(self.zone_login.into());
        let variant = self.variant_set.unwrap_or(Variant::of(&message));
        let context = Context { zone, model: self.model, variant };
        let record = match message.kind {
            LOGIN => return self.login(&message, out),
            ADDRESS_REQUEST => {
                network::address(out);
                return Ok(());
            }
            TIME_REQUEST => {
                out.reply_to_anyone(time_answer(received));
                return Ok(());
            }
            X1_PHOTO_INFO => return media::photo_info(&message, context, &mut self.photo, out),
            STATUS_2 if message.extended => return media::photo_data(&message, &mut self.photo, out),
            _ => decode(&message, context, out)?,
        };
        if let Some(record) = record {
            out.record(record.hash_span(message.span));
        }
        Ok(())
    }

    fn save(&self, context: &mut Vec<u8>) {
        if self.zone_login != 0 || self.photo.is_some() {
            context.extend_from_slice(&self.zone_login.to_be_bytes());
            if let Some(photo) = &self.photo {
                photo.save(context);
            }
        }
    }

    fn command(&mut self, _device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        command::encode(command, self.model, self.settings.as_deref()).map(Encoded::from)
    }
}

/// What a packet's meaning depends on beside its bytes.
#[derive(Clone, Copy)]
struct Context {
    /// Minutes east of UTC of the device's clock.
    zone: i32,
    model: Model,
    variant: Variant,
}

/// A packet whose frame was checked.
#[derive(Clone, Copy)]
struct Message<'a> {
    kind: u8,
    /// Whether it has the header 79 79.
    extended: bool,
    /// What its length field says.
    length: u16,
    serial: u16,
    content: Cursor<'a>,
    /// Type and content: what stays the same when the packet is sent again.
    span: &'a [u8],
}

impl Gt06Session {
    /// Takes the frame apart and checks its length, checksum and delimiter.
    fn message<'a, 't: 'a>(&self, frame: &'a [u8], out: &mut Out<'t>) -> Result<Message<'a>> {
        let mut c = out.cursor(frame);
        let extended = match c.u16("header")? {
            0x7878 => false,
            0x7979 => true,
            _ => return Err(Malformed::new("header", 0, Reason::Expected("78 78 or 79 79"))),
        };
        let length = if extended { c.u16("length")? } else { c.u8("length")?.into() };
        // Whoever hands in a packet may have taken its delimiter off: then it ends where its length says.
        let stop = if usize::from(length) == c.left() { 0 } else { 2 };
        let (stated, found) = (usize::from(length), c.left().saturating_sub(stop));
        let start = c;
        let kind = c.u8("type")?;
        let counted = !extended && stated != found && matches!(kind, WIFI | WIFI_2);
        if stated != found && !(counted && stated < LENGTH_MIN) {
            let reason = match stated > found {
                true => Reason::Truncated { need: stated, have: found },
                false => Reason::Count { stated, found },
            };
            self.tolerate(Malformed::new("length", 2, reason), out)?;
        }
        if counted && let Err(need) = framing::counted_end(frame, length) {
            return Err(Malformed::new("packet", 0, Reason::Truncated { need, have: frame.len() }));
        }
        let trailer = if counted { stop } else { TRAILER.saturating_add(stop) };
        let content = c.sub("content", c.left().checked_sub(trailer).ok_or(too_short(frame))?)?;
        let span = content.rest();
        let span = start.rest().get(..span.len().saturating_add(1)).unwrap_or(span);
        let mut serial = 0;
        if !counted {
            serial = c.u16("serial number")?;
            let at = c.at();
            let covered = frame.get(2..at).unwrap_or_default();
            let (stated, computed) = (c.u16("checksum")?, checksum::crc16_x25(covered));
            if stated != computed {
                let reason = Reason::Checksum { stated: stated.into(), computed: computed.into() };
                self.tolerate(Malformed::new("checksum", at, reason), out)?;
            }
        }
        if stop == 0 {
            out.note("the packet has no delimiter");
        } else if c.u16("delimiter")? != 0x0D0A {
            return Err(Malformed::new("delimiter", c.at().saturating_sub(2), Reason::Expected("0D 0A")));
        }
        Ok(Message { kind, extended, length, serial, content, span })
    }

    fn tolerate(&self, error: Malformed, out: &mut Out<'_>) -> Result<()> {
        match self.checksum {
            Checksum::Enforce => Err(error),
            Checksum::Note => {
                out.note(error.to_string());
                Ok(())
            }
        }
    }
}

/// One record, or none, and the answer that the type has.
fn decode(message: &Message<'_>, context: Context, out: &mut Out<'_>) -> Result<Option<Record>> {
    let (kind, extended, variant) = (message.kind, message.extended, context.variant);
    match kind {
        HEARTBEAT => status::heartbeat(message, out).map(Some),
        X1_GPS if variant != Variant::Sl4x => location::x1(message, context, out).map(Some),
        WIFI if variant != Variant::Rfid => network::wifi(message, out),
        WIFI_2 | WIFI_4 => network::wifi(message, out),
        INFO if !extended => information::voltage(message).map(Some),
        INFO => information::transfer(message, context, out),
        LBS_MULTIPLE_3 if variant == Variant::Sr411Mini => location::sr411(message, context, out).map(Some),
        LBS_MULTIPLE_1 | LBS_MULTIPLE_2 | LBS_MULTIPLE_3 | LBS_EXTEND | LBS_WIFI | LBS_2 | X1_GPS | WIFI_ALARM => {
            network::cells(message, context, out).map(Some)
        }
        WIFI_3 if variant != Variant::Lw4g => network::cells(message, context, out).map(Some),
        WIFI_5 if !extended => network::cells(message, context, out).map(Some),
        BLUETOOTH_CLOCK => network::bluetooth_clock(message, context, out).map(Some),
        STRING => information::string(message, out).map(Some),
        STRING_INFO => information::command_result(message, out).map(Some),
        BMS => modules::battery(message, out).map(Some),
        STATUS if message.content.left() == 16 => status::temperature(message, out).map(Some),
        IBUTTON => location::ibutton(message, context, out).map(Some),
        STATUS_2 if variant == Variant::Trx16i => location::trx16i(message, context, out).map(Some),
        GPS_LBS_STATUS_4 | WIFI_5 if extended => modules::az735(message, context, out).map(Some),
        _ if location::is_standard(kind, context) => location::standard(message, context, out),
        ALARM => alarm::event(message, context, out).map(Some),
        OBD => information::obd(message, context, out).map(Some),
        GPS_MODULAR => modules::modular(message, out).map(Some),
        MULTIMEDIA => media::multimedia(message, out).map(Some),
        FILE if extended => media::file(message, context, out).map(Some),
        SERIAL => information::serial(message).map(Some),
        PERIPHERAL => modules::peripheral(message, out).map(Some),
        DEVICE_STATUS => modules::device_status(message, out).map(Some),
        GPS_LBS_8 => location::modular_4g(message, context, out).map(Some),
        _ => {
            out.note(format!("packets of type {kind:#04x} are not decoded"));
            if !extended && !matches!(kind, 0x80..=0x82) {
                out.reply(answer(message, kind));
            }
            Ok(None)
        }
    }
}

/// The usual answer: the packet's type and serial number.
fn answer(message: &Message<'_>, kind: u8) -> Vec<u8> {
    packet(false, kind, &[], message.serial)
}

/// A packet for the device.
fn packet(extended: bool, kind: u8, content: &[u8], serial: u16) -> Vec<u8> {
    let mut packet = Vec::with_capacity(content.len().saturating_add(11));
    let length = content.len().saturating_add(LENGTH_MIN);
    if extended {
        packet.extend_from_slice(&[0x79, 0x79]);
        packet.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    } else {
        packet.extend_from_slice(&[0x78, 0x78, u8::try_from(length).unwrap_or(u8::MAX)]);
    }
    packet.push(kind);
    packet.extend_from_slice(content);
    packet.extend_from_slice(&serial.to_be_bytes());
    let sum = checksum::crc16_x25(packet.get(2..).unwrap_or_default());
    packet.extend_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(b"\r\n");
    packet
}

/// The time of receipt, in UTC, as devices ask for it.
fn time_answer(received: Time) -> Vec<u8> {
    let text = received.to_string();
    let part = |at: usize| {
        let end = at.saturating_add(2);
        text.get(at..end).and_then(|digits| digits.parse::<u8>().ok()).unwrap_or(0)
    };
    // 2024-06-19T01:38:28.000Z
    packet(false, TIME_REQUEST, &[part(2), part(5), part(8), part(11), part(14), part(17)], 0)
}

/// Minutes east of UTC: the upper twelve bits hold hours times a hundred plus minutes, bit 3 is set in the west.
fn zone_minutes(word: u16) -> i16 {
    let value = i16::try_from(word >> 4).unwrap_or(0);
    let (hours, minutes) = (value / 100, value % 100);
    let east = hours.saturating_mul(60).saturating_add(minutes);
    if east > ZONE_MAX || minutes > 59 {
        return 0;
    }
    if word & 8 == 0 { east } else { east.saturating_neg() }
}

/// Year, month, day, hour, minute, second of the device's clock, a byte each.
fn moment(c: &mut Cursor<'_>, zone: i32, out: &mut Out<'_>) -> Result<Option<Time>> {
    let year = c.u8("year")?;
    let (month, day) = (c.u8("month")?, c.u8("day")?);
    let (hour, minute, second) = (c.u8("hour")?, c.u8("minute")?, c.u8("second")?);
    let time = Time::utc(i16::from(year).saturating_add(2000), month, day, hour, minute, second);
    if time.is_none() {
        out.note("the date is not in the calendar");
    }
    Ok(time.map(|time| time.plus_ms(i64::from(zone).saturating_mul(-60_000))))
}

/// Seconds since 1970; none where they are zero.
fn epoch(c: &mut Cursor<'_>) -> Result<Option<Time>> {
    let seconds = i64::from(c.u32("time")?);
    Ok((seconds != 0).then_some(Time(seconds.saturating_mul(1000))))
}

fn timed(time: Option<Time>) -> Record {
    time.map_or_else(Record::new, Record::at)
}

/// Hundredths, as most voltages come.
fn hundredths(value: u16) -> f64 {
    f64::from(value) / 100.0
}

/// A whole number as the text that keys of codes hold.
fn code(value: impl ToCompactString + Copy) -> CompactString {
    value.to_compact_string()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    put::hex(bytes, &mut text);
    text
}

/// Text: ASCII by the maker. Some devices write UTF-8; in what is neither, no byte is lost.
fn text(bytes: &[u8]) -> CompactString {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// Text without the blanks and zeros that fill its room.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|letter| letter <= ' ')
}

/// Keeps a byte outside the dictionary if it says anything.
fn raw_unless_zero(record: &mut Record, name: &'static str, value: u64) {
    if value != 0 {
        record.raw(name, format_compact!("{value}"));
    }
}

const fn too_short(frame: &[u8]) -> Malformed {
    Malformed::new("packet", 0, Reason::Truncated { need: LENGTH_MIN + 5, have: frame.len() })
}

const LOGIN: u8 = 0x01;
const GPS: u8 = 0x10;
const GPS_LBS_6: u8 = 0x11;
const GPS_LBS_1: u8 = 0x12;
const STATUS: u8 = 0x13;
const STRING: u8 = 0x15;
const GPS_LBS_STATUS_1: u8 = 0x16;
/// Also a location with a card, variant RFID.
const WIFI: u8 = 0x17;
const LBS_EXTEND: u8 = 0x18;
const LBS_STATUS: u8 = 0x19;
const GPS_PHONE: u8 = 0x1A;
const GPS_LBS_EXTEND: u8 = 0x1E;
const STRING_INFO: u8 = 0x21;
const GPS_LBS_2: u8 = 0x22;
const HEARTBEAT: u8 = 0x23;
const LBS_MULTIPLE_3: u8 = 0x24;
const GPS_LBS_DRIVER: u8 = 0x25;
const GPS_LBS_STATUS_2: u8 = 0x26;
const GPS_LBS_STATUS_3: u8 = 0x27;
const LBS_MULTIPLE_1: u8 = 0x28;
const ADDRESS_REQUEST: u8 = 0x2A;
const LBS_WIFI: u8 = 0x2C;
const GPS_LBS_4: u8 = 0x2D;
const LBS_MULTIPLE_2: u8 = 0x2E;
const GPS_LBS_5: u8 = 0x31;
/// AZ735's location in long packets.
const GPS_LBS_STATUS_4: u8 = 0x32;
/// AZ735's alarm in long packets.
const WIFI_5: u8 = 0x33;
/// Also cells, variant SL4X.
const X1_GPS: u8 = 0x34;
const X1_PHOTO_INFO: u8 = 0x35;
/// Also a location with a card, variant TRX16i, and X1's picture data in long packets.
const STATUS_2: u8 = 0x36;
const GPS_LBS_3: u8 = 0x37;
const GPS_LBS_8: u8 = 0x38;
const ALARM_MODULE: u8 = 0x39;
const BMS: u8 = 0x40;
const MULTIMEDIA: u8 = 0x41;
const IBUTTON: u8 = 0x61;
const WIFI_2: u8 = 0x69;
const GPS_MODULAR: u8 = 0x70;
const TIME_REQUEST: u8 = 0x8A;
const OBD: u8 = 0x8C;
const FILE: u8 = 0x8D;
const INFO: u8 = 0x94;
const ALARM: u8 = 0x95;
const ADDRESS_RESPONSE: u8 = 0x97;
const SERIAL: u8 = 0x9B;
const GPS_LBS_7: u8 = 0xA0;
const LBS_2: u8 = 0xA1;
/// Also a location with status, variant LW4G.
const WIFI_3: u8 = 0xA2;
/// Also a status, variant SEEWORLD.
const FENCE_SINGLE: u8 = 0xA3;
const FENCE_MULTI: u8 = 0xA4;
const LBS_ALARM: u8 = 0xA5;
const LBS_ADDRESS: u8 = 0xA7;
const WIFI_ALARM: u8 = 0xA9;
const BLUETOOTH_CLOCK: u8 = 0xB2;
const DEVICE_STATUS: u8 = 0xF1;
const PERIPHERAL: u8 = 0xF2;
const WIFI_4: u8 = 0xF3;
