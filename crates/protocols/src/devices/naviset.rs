//! Naviset GT-10 and GT-20 of the Russian maker Naviset, in both editions of their protocol.
//!
//! No description by the maker could be had. The layouts are those of two public gateways that take these devices (a
//! decoder of 2019 for the later edition, a gateway of 2013 for the earlier one), and captured packets agree with them.
//!
//! ```text
//! packet   LL LL c… KK KK       L, from bit 0: length of c 12, edition 2 (0 earlier, 1 later), kind 2; low bytes first
//!                               K CRC-16/MODBUS over all before it                          → 01 KK KK
//! kind 0   NN NN I×15 [h] v     login: N device's number, I IMEI in ASCII, v version; h in the later edition
//! kind 1   NN NN b record…      records, later: b says which blocks each has                (naviset/blocks.rs)
//! kind 1   NN NN bb bb record…  records, earlier: b says what follows each                  (naviset/earlier.rs)
//! kind 2   C a…                 the answer to command C; pieces of pictures too, each of which is asked for
//! command  02 C a… KK KK        to the device
//! ```

mod blocks;
mod command;
mod earlier;
mod picture;

use crate::absent::{self, is_blank, unless_ones};
use crate::{
    Answer, Checksum, Claim, Command, CommandError, Encoded, Looks, Maturity, Opening, Out, Protocol, Session,
    Transport,
};
use compact_str::format_compact;
use odograph_model::{Alarm, Key, Record, Time};
use odograph_wire::{Cursor, Cut, Framing, Malformed, Reason, Result, bits, checksum, notation};
use std::ops::Not;

/// Twelve bits of length, the word that holds them, and the checksum.
const FRAME_MAX: usize = 4095 + ENVELOPE;
const ENVELOPE: usize = 4;
const IMEI: usize = 15;
/// A login holds the device's number, the IMEI, and a byte or two about versions. Room for more of these.
const LOGIN: std::ops::RangeInclusive<usize> = 17..=32;

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "naviset",
    title: "Naviset",
    devices: "Naviset GT-10, GT-20",
    source: "two public gateways that take these devices (2013, 2019), and captured packets; no description by the maker",
    maturity: Maturity::Unverified,
    port: 5194,
    transports: &[Transport::Tcp],
    framing: Framing::Custom(cut),
    recognise: |start, _| recognise(start),
    looks: LOOKS,
    frame_max: FRAME_MAX,
    idle_s_max: 3600,
    has_checksum: true,
    datagrams_identify: true,
    commands_by_datagram: false,
    settings: &[],
    commands: command::COMMANDS,
    open: |opening| Box::new(NavisetSession::open(opening)),
};

fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [low, high, ..] => match Head::of(u16::from_le_bytes([*low, *high])).length.saturating_add(ENVELOPE) {
            total if total <= bytes.len() => Cut::Frame(total),
            total => Cut::Need(total),
        },
        _ => Cut::Need(2),
    }
}

/// What the first two bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    length: usize,
    is_later: bool,
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Login,
    Records,
    Answer,
}

impl Head {
    fn of(word: u16) -> Self {
        let kind = match bits::between(word, 12, 16) {
            0b0000 | 0b0001 => Some(Kind::Login),
            0b0100 | 0b0101 => Some(Kind::Records),
            0b1000 | 0b1001 => Some(Kind::Answer),
            _ => None,
        };
        let length = usize::from(word & 0x0FFF);
        Self { length, is_later: bits::is_set(word, 12), kind }
    }

    /// Whether a packet can have this kind with this length.
    fn is_possible(self) -> bool {
        match self.kind {
            None => false,
            Some(Kind::Login) => LOGIN.contains(&self.length),
            // Without a record, or with a whole one at least.
            Some(Kind::Records) => match self.is_later {
                true => self.length == 3 || self.length >= 18,
                false => self.length == 4 || self.length >= 26,
            },
            Some(Kind::Answer) => self.length > 0,
        }
    }

    /// What is there of the first record from its place on; `rest` is the packet from its third byte on.
    fn place(self, rest: &[u8]) -> &[u8] {
        let content = rest.get(..self.length).unwrap_or(rest);
        content.get(if self.is_later { 10 } else { 11 }..).unwrap_or_default()
    }
}

const LOOKS: Looks = Looks {
    form: "a length, a kind of packet and what such a packet can hold",
    proof: "a login with an IMEI of 15 digits, or with a packet whose checksum fits",
};

/// A whole packet whose checksum fits; a login also by the digits of its IMEI. Two bytes of marks are little, so what
/// follows them has to be possible as well.
fn recognise(start: &[u8]) -> Claim {
    let [low, high, rest @ ..] = start else { return Claim::next(start) };
    let head = Head::of(u16::from_le_bytes([*low, *high]));
    let imei = rest.iter().skip(2).take(IMEI);
    match (head.kind, rest) {
        _ if !head.is_possible() => Claim::No,
        (Some(Kind::Login), _) if !imei.clone().all(u8::is_ascii_digit) => Claim::No,
        (Some(Kind::Login), _) if imei.len() == IMEI => Claim::Yes,
        (Some(Kind::Login), _) => Claim::next(start),
        (Some(Kind::Answer), [command, ..]) if *command > command::LAST => Claim::No,
        (Some(Kind::Records), [_, _, blocks, ..]) if head.is_later && !blocks::are_known(*blocks) => Claim::No,
        (Some(Kind::Records), [_, _, low, high, ..])
            if !head.is_later && !earlier::fits(u16::from_le_bytes([*low, *high]), head.length.saturating_sub(4)) =>
        {
            Claim::No
        }
        (Some(Kind::Records), _) if !is_place(head.place(rest)) => Claim::No,
        // A byte of all that was just looked at may be wrong.
        _ if rest.len() < LOOK => Claim::next(start).or(Claim::of_frame(cut(start), start, is_sealed)),
        _ => Claim::of_frame(cut(start), start, is_sealed),
    }
}

/// What a packet may be disclaimed by ends here: the place of a record of the earlier form.
const LOOK: usize = 11 + 8;

/// Whether a place on earth may begin here.
fn is_place(start: &[u8]) -> bool {
    let is_within = |units: Option<&[u8; 4]>, most: u32| {
        units.is_none_or(|units| i32::from_le_bytes(*units).unsigned_abs() <= most)
    };
    is_within(start.first_chunk(), 90_000_000) && is_within(start.get(4..).and_then(<[u8]>::first_chunk), 180_000_000)
}

fn is_sealed(packet: &[u8]) -> bool {
    let Some((covered, stated)) = packet.split_last_chunk() else { return false };
    checksum::crc16_modbus(covered) == u16::from_le_bytes(*stated)
}

struct NavisetSession {
    checksum: Checksum,
}

impl NavisetSession {
    fn open(opening: &Opening<'_>) -> Self {
        Self { checksum: opening.checksum }
    }

    /// Checks length and checksum; gives what the packet is, its content, and what acknowledges it.
    fn opened<'a, 't: 'a>(&self, frame: &'a [u8], out: &mut Out<'t>) -> Result<(Head, Cursor<'a>, [u8; 3])> {
        let mut c = out.cursor(frame);
        let head = Head::of(c.u16_le("head")?);
        let content = c.sub("content", head.length)?;
        let (at, stated) = (c.at(), c.u16_le("checksum")?);
        c.finish("packet")?;
        let computed = checksum::crc16_modbus(frame.get(..at).unwrap_or_default());
        if stated != computed {
            let reason = Reason::Checksum { stated: stated.into(), computed: computed.into() };
            let malformed = Malformed::new("checksum", at, reason);
            match self.checksum {
                Checksum::Enforce => return Err(malformed),
                Checksum::Note => out.note(malformed.to_string()),
            }
        }
        let [low, high] = stated.to_le_bytes();
        Ok((head, content, [1, low, high]))
    }
}

impl Session for NavisetSession {
    fn on_frame(&mut self, frame: &[u8], _received: Time, out: &mut Out<'_>) -> Result<()> {
        let (head, mut c, acknowledgement) = self.opened(frame, out)?;
        if head.kind == Some(Kind::Login) {
            c.skip("device number", 2)?;
            let at = c.at();
            let imei = c.text("imei", IMEI)?;
            if !imei.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(Malformed::new("imei", at, Reason::Expected("15 digits")));
            }
            out.identify(imei);
            c.take_rest("versions");
            out.reply_if_known(acknowledgement, []);
            return Ok(());
        }
        out.reply(acknowledgement);
        match (head.kind, head.is_later) {
            (Some(Kind::Records), true) => blocks::read(c, out),
            (Some(Kind::Records), false) => earlier::read(c, out),
            (Some(Kind::Answer), _) => answer(c, out),
            _ => Err(Malformed::new("kind", 1, Reason::Unknown)),
        }
    }

    fn command(&mut self, _device: &str, command: &Command<'_>) -> std::result::Result<Encoded, CommandError> {
        let bytes = command::encode(command)?;
        // The answer names the command that it is to.
        let token = bytes.get(1).map(|number| u32::from(*number));
        Ok(Encoded { bytes, token })
    }
}

fn answer(mut c: Cursor<'_>, out: &mut Out<'_>) -> Result<()> {
    let start = c;
    let command = c.u8("command")?;
    if command == picture::COMMAND {
        return picture::read(c, out);
    }
    let rest = c.take_rest("answer");
    // The answer to deviceIdentification is text; the others are numbers.
    let text = match command {
        command::IDENTIFICATION => notation::to_text(rest),
        _ => notation::to_hex(rest),
    };
    let mut record = Record::new();
    record.set(Key::DeviceCommandResult, text.as_str());
    out.record(record.hash_span(c.since(&start)));
    out.answer(Answer { token: Some(command.into()), text, done: None });
    Ok(())
}

/// A time in seconds since 1970; a device that has none yet sends zero.
fn time(seconds: u32) -> Option<Time> {
    (seconds > 0).then(|| Time(i64::from(seconds).saturating_mul(1000)))
}

/// Millionths of a degree. Without a place both are zero.
fn place(latitude: i32, longitude: i32, record: &mut Record) {
    let [north, east] = [latitude, longitude].map(|units| f64::from(units) / 1e6);
    if (latitude, longitude) != (0, 0) && north.abs() <= 90.0 && east.abs() <= 180.0 {
        record.set(Key::PositionLatitude, north);
        record.set(Key::PositionLongitude, east);
    }
}

/// The number of satellites, without bit 7.
fn satellites(byte: u8, record: &mut Record) {
    record.set(Key::PositionSatellites, byte & 0x7F);
}

fn status(byte: u8, record: &mut Record) {
    record.set(Key::StatusCode, format_compact!("{byte}"));
    record.set(Key::MovementStatus, bits::is_set(byte, 1));
    record.set(Key::AlarmModeStatus, bits::is_set(byte, 2));
    if bits::is_set(byte, 6) {
        record.alarm(Alarm::GpsAntennaCut);
    }
}

/// Millivolts.
fn volts(millivolts: u16) -> f64 {
    f64::from(millivolts) / 1000.0
}

/// Tenths of a degree of direction.
fn course(tenths: u16, record: &mut Record, out: &mut Out<'_>) {
    absent::course(f64::from(tenths) / 10.0, record, out);
}

/// A number, unless it is not available.
fn known<N: Default + PartialEq + Not<Output = N> + Into<f64>>(number: N) -> Option<f64> {
    unless_ones(number).map(Into::into)
}

/// Degrees of a probe; -128 says that there is none.
fn degrees(probe: i8) -> Option<f64> {
    (probe != i8::MIN).then_some(probe.into())
}

/// A key's number, as it is printed on it; zeros and ones say that there is none.
fn key(bytes: [u8; 6], record: &mut Record) {
    if !is_blank(&bytes) {
        let mut number = bytes;
        number.reverse();
        record.set(Key::DriverId, notation::to_hex(&number));
    }
}

/// Tenths of a degree of dilution; 255 says that it is not known.
fn hdop(tenths: u8, record: &mut Record) {
    record.set_some(Key::PositionHdop, known(tenths).map(|tenths| tenths / 10.0));
}

/// What the vehicle's bus says, in its units: four tenths of a percent of fuel, revolutions, degrees.
fn engine(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let fuel = known(c.u8("fuel level")?);
    record.set_some(Key::FuelLevel, fuel.map(|steps| (steps * 0.4).min(100.0)));
    record.set_some(Key::EngineRpm, known(c.u16_le("revolutions")?));
    record.set_some(Key::EngineCoolantTemperature, degrees(c.i8("coolant temperature")?));
    Ok(())
}

/// Half litres.
fn consumed(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    record.set_some(Key::FuelConsumed, known(c.u32_le("fuel consumed")?).map(|halves| halves * 0.5));
    Ok(())
}

/// Units of five metres.
fn mileage(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    record.set_some(Key::CanVehicleMileage, known(c.u32_le("can mileage")?).map(|steps| steps * 0.005));
    Ok(())
}
