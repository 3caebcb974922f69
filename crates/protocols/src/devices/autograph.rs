//! AutoGRAPH (АвтоГРАФ) controllers of TechnoKom, which also carry iQFreeze. Unverified: the maker publishes no
//! description. Read out of the one public capture (an AutoGRAPH-GSM, 2015-11-11, 25 whole records of a packet).
//!
//! ```text
//! packet      24 LL LL LL LL SS SS SS SS u v PPPPPPPP record… tail     low bytes first, as everywhere
//!             L length of all of it, S serial number, u 00, v 11, P password in ASCII
//! record      TT TT TT TT d×8 f f f K        K: CRC-8/MAXIM over the 15 bytes before: holds in all 25
//!             T, bits from 0: second 6, minute 6, hour 5, day 5, month 4, year 5, and 1 in what is no position
//! position    d = A A A A B B B B            A: latitude 28 bits, 4 flags (bit 30: fix); B: longitude 29 bits, 3 flags
//! other       d = type v v v r r r r         04: speed 15 bits, course 9 bits; 0E: a counter
//! ```
//!
//! Nothing is acknowledged until `ack` says how. What is open, and what a second capture would settle: `autograph.md`.

use crate::{
    Checksum, Claim, Looks, Maturity, Opening, Out, Protocol, ReplyTemplate, Session, Setting, SettingKind, Settings,
    Transport,
};
use compact_str::{CompactString, format_compact};
use odograph_model::{Key, Record, Time};
use odograph_wire::{Cursor, Cut, Framing, Malformed, Reason, Result, bits, checksum, notation, units};

/// The capture has 468; only the two low bytes of the length can then be other than zero.
const FRAME_MAX: usize = 65_535;
const HEADER: usize = 19;
const RECORD: usize = 16;
const MARK: u8 = b'$';

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: "autograph",
    title: "AutoGRAPH (TechnoKom)",
    devices: "TechnoKom AutoGRAPH-GSM; other AutoGRAPH controllers presumably",
    source: "one public capture of an AutoGRAPH-GSM (2015); no description by the maker is public",
    maturity: Maturity::Unverified,
    port: 5300,
    transports: &[Transport::Tcp],
    framing: Framing::Custom(cut),
    recognise: |start, _| recognise(start),
    looks: LOOKS,
    frame_max: FRAME_MAX,
    idle_s_max: 3600,
    // Records have one, the header has none that is known.
    has_checksum: false,
    datagrams_identify: true,
    commands_by_datagram: false,
    settings: &[
        Setting {
            name: "ack",
            kind: SettingKind::Reply(HEADER),
            meaning: "what answers a whole packet: 'text', hex digits, {5..9} for bytes of its header; without it nothing",
        },
        Setting {
            name: "password",
            kind: SettingKind::Text,
            meaning: "the password that packets must carry; without it any will do",
        },
        Setting {
            name: "year_base",
            kind: SettingKind::Within(1970, 2100),
            meaning: "the year that is sent as 0; 2012 without it",
        },
        Setting { name: "zone", kind: SettingKind::Offset, meaning: "the zone of the device's clock; UTC without it" },
        Setting {
            name: "scale",
            kind: SettingKind::Within(1, 100_000_000),
            meaning: "units in a degree of latitude and longitude; 1000000 without it, 1048576 fits as well",
        },
        Setting {
            name: "hemisphere",
            kind: SettingKind::OneOf(&["NE", "NW", "SE", "SW"]),
            meaning: "where the device is; NE without it",
        },
        Setting {
            name: "speed_unit",
            kind: SettingKind::OneOf(&["0.1kn", "0.1kmh"]),
            meaning: "the unit of speeds; 0.1kn without it",
        },
        Setting {
            name: "counter_mm",
            kind: SettingKind::Within(1, 1_000_000_000),
            meaning: "millimetres that a count of the counter stands for, if it is an odometer; without it just the count",
        },
    ],
    commands: &[],
    open: |opening| Box::new(AutographSession::open(opening)),
};

/// A packet ends with its last record: whatever is behind it, up to the next header, is skipped (and kept). So it does
/// not matter how long the tail is, which nobody has seen.
fn cut(bytes: &[u8]) -> Cut {
    match bytes.iter().position(|byte| *byte == MARK) {
        None => return Cut::Skip(bytes.len()),
        Some(0) => {}
        Some(before) => return Cut::Skip(before),
    }
    let length = match begins(bytes) {
        Begins::No => return Cut::Skip(1),
        Begins::Perhaps => return Cut::Need(HEADER),
        Begins::Header { length } => length,
    };
    let end = end_of_records(length);
    match bytes.get(HEADER..end) {
        None => Cut::Need(end),
        Some(records) => interrupted(bytes, records).unwrap_or(Cut::Frame(end)),
    }
}

const LOOKS: Looks =
    Looks { form: "$, a length, a serial number and a password", proof: "a record behind it whose checksum fits" };

/// A header and a first record whose checksum fits. A packet without records could be anybody's.
fn recognise(start: &[u8]) -> Claim {
    let first = HEADER.saturating_add(RECORD);
    match (begins(start), start.get(HEADER..first)) {
        (Begins::No, _) => Claim::No,
        (Begins::Perhaps, _) => Claim::next(start),
        (Begins::Header { .. }, None) => Claim::Perhaps(first),
        (Begins::Header { length }, Some(record)) if end_of_records(length) > HEADER && is_sound(record) => Claim::Yes,
        (Begins::Header { .. }, Some(_)) => Claim::STAYS,
    }
}

/// What the first bytes may be.
enum Begins {
    No,
    Perhaps,
    Header { length: usize },
}

/// Whether a header begins here: its mark, a length that can be, and characters where the password stands.
fn begins(bytes: &[u8]) -> Begins {
    let fits = |(at, byte): (usize, &u8)| match at {
        0 => *byte == MARK,
        3 | 4 => *byte == 0,
        11..HEADER => matches!(byte, 0 | b' '..=b'~'),
        _ => true,
    };
    if !bytes.iter().take(HEADER).enumerate().all(fits) {
        return Begins::No;
    }
    match bytes {
        [_, low, high, ..] => match usize::from(u16::from_le_bytes([*low, *high])) {
            length if length < HEADER => Begins::No,
            length if bytes.len() >= HEADER => Begins::Header { length },
            _ => Begins::Perhaps,
        },
        _ => Begins::Perhaps,
    }
}

/// Where the records of a packet of this length end: what is left over is tail.
fn end_of_records(length: usize) -> usize {
    let whole = length.saturating_sub(HEADER) / RECORD;
    whole.saturating_mul(RECORD).saturating_add(HEADER)
}

/// Where the packet really ends if its length says too much: the header stands again before its end, and not in a
/// record that is sound.
fn interrupted(bytes: &[u8], records: &[u8]) -> Option<Cut> {
    let broken = records.chunks(RECORD).position(|record| !is_sound(record))?;
    let from = broken.saturating_mul(RECORD);
    let again = |at: &usize| {
        let rest = bytes.get(*at..).unwrap_or_default();
        // All but the length, which may be another.
        rest.iter().zip(bytes).take(HEADER).enumerate().all(|(index, (a, b))| matches!(index, 1..5) || a == b)
    };
    let at = (from..records.len()).map(|at| at.saturating_add(HEADER)).find(again)?;
    match bytes.len().saturating_sub(at) {
        whole if whole >= HEADER => Some(Cut::Frame(at)),
        _ => Some(Cut::Need(bytes.len().saturating_add(1))),
    }
}

fn is_sound(record: &[u8]) -> bool {
    record.split_last().is_some_and(|(stated, content)| *stated == checksum::crc8_maxim(content))
}

struct AutographSession {
    checksum: Checksum,
    ack: Option<ReplyTemplate>,
    password: Option<CompactString>,
    reading: Reading,
}

/// How values are to be read: all that the capture leaves open.
struct Reading {
    year_base: i16,
    zone_minutes: i32,
    units_per_degree: f64,
    /// Signs of latitude and longitude.
    signs: [f64; 2],
    kph_per_unit: f64,
    km_per_count: Option<f64>,
}

impl AutographSession {
    fn open(opening: &Opening<'_>) -> Self {
        let settings = opening.settings;
        Self {
            checksum: opening.checksum,
            ack: settings.reply("ack", HEADER),
            password: settings.text("password").map(CompactString::from),
            reading: Reading::of(settings),
        }
    }
}

impl Reading {
    fn of(settings: &Settings) -> Self {
        let positive = |name| settings.int(name).and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0);
        let hemisphere = settings.text("hemisphere").unwrap_or("NE");
        let sign = |other: char| if hemisphere.contains(other) { -1.0 } else { 1.0 };
        Self {
            year_base: settings.int("year_base").and_then(|year| i16::try_from(year).ok()).unwrap_or(2012),
            zone_minutes: settings.offset_minutes("zone").unwrap_or(0),
            units_per_degree: f64::from(positive("scale").unwrap_or(1_000_000)),
            signs: [sign('S'), sign('W')],
            kph_per_unit: if settings.text("speed_unit") == Some("0.1kmh") { 0.1 } else { units::kph_of_knots(0.1) },
            km_per_count: positive("counter_mm").map(|millimetres| f64::from(millimetres) / 1e6),
        }
    }
}

impl Session for AutographSession {
    fn on_frame(&mut self, frame: &[u8], _received: Time, out: &mut Out<'_>) -> Result<()> {
        let mut c = out.cursor(frame);
        let announced = self.header(&mut c, out)?;
        let header = frame.get(..HEADER).unwrap_or_default();
        for count in 0..announced {
            // Each record carries its own checksum, so those that are there count where somebody shows half a packet.
            if c.is_empty() && count > 0 {
                out.note(format!("{count} of {announced} records are here: not acknowledged"));
                return Ok(());
            }
            let record = c.sub("record", RECORD)?;
            let record = self.record(record, out)?;
            out.record(record);
        }
        c.finish("packet")?;
        if let Some(ack) = &self.ack {
            out.reply(ack.fill(header, announced));
        }
        Ok(())
    }
}

impl AutographSession {
    /// Takes the header and gives how many records follow.
    fn header(&self, c: &mut Cursor<'_>, out: &mut Out<'_>) -> Result<usize> {
        if c.u8("mark")? != MARK {
            return Err(Malformed::new("mark", 0, Reason::Expected("24")));
        }
        let at = c.at();
        let length = usize::try_from(c.u32_le("length")?).unwrap_or(usize::MAX);
        if !(HEADER..=FRAME_MAX).contains(&length) {
            return Err(Malformed::new("length", at, Reason::Expected("19 to 65535")));
        }
        let serial = c.u32_le("serial number")?;
        c.skip("unknown", 2)?;
        let at = c.at();
        let password = c.bytes("password", 8)?;
        let padding = |byte: &u8| *byte != 0;
        if self
            .password
            .as_ref()
            .is_some_and(|wanted| !password.iter().copied().take_while(|byte| padding(byte)).eq(wanted.bytes()))
        {
            return Err(Malformed::new("password", at, Reason::Expected("the password that was set")));
        }
        out.identify(format_compact!("{serial}"));
        // As the maker's server writes it in the names of its files.
        out.identify(format_compact!("{serial:07}"));
        Ok(length.saturating_sub(HEADER) / RECORD)
    }

    fn record(&self, mut c: Cursor<'_>, out: &mut Out<'_>) -> Result<Record> {
        let start = c;
        let moment = c.u32_le("time")?;
        let content = c.sub("content", 8)?;
        let flags = c.bytes("flags", 3)?;
        let (span, at) = (c.since(&start), c.at());
        let (stated, computed) = (c.u8("checksum")?, checksum::crc8_maxim(span));
        if stated != computed {
            let reason = Reason::Checksum { stated: stated.into(), computed: computed.into() };
            match self.checksum {
                Checksum::Enforce => return Err(Malformed::new("checksum", at, reason)),
                Checksum::Note => out.note(Malformed::new("checksum", at, reason).to_string()),
            }
        }
        let mut record = Record::new();
        record.time = self.reading.time(moment);
        if record.time.is_none() {
            record.raw("time", notation::to_hex(&moment.to_le_bytes()));
            out.note(format!("time at byte {}: not in the calendar", start.at()));
        }
        match bits::is_set(moment, 31) {
            false => self.reading.position(content, &mut record)?,
            true => self.reading.other(content, &mut record)?,
        }
        record.raw("flags", notation::to_hex(flags));
        Ok(record.hash_span(span))
    }
}

impl Reading {
    fn time(&self, moment: u32) -> Option<Time> {
        let part = |from, to| u8::try_from(bits::between(moment, from, to)).ok();
        let year = self.year_base.checked_add(part(26, 31)?.into())?;
        let local = Time::utc(year, part(22, 26)?, part(17, 22)?, part(12, 17)?, part(6, 12)?, part(0, 6)?)?;
        Some(local.plus_ms(i64::from(self.zone_minutes).saturating_mul(-60_000)))
    }

    fn position(&self, mut c: Cursor<'_>, record: &mut Record) -> Result<()> {
        let (latitude, longitude) = (c.u32_le("latitude")?, c.u32_le("longitude")?);
        let is_valid = bits::is_set(latitude, 30);
        let units = [bits::between(latitude, 0, 28), bits::between(longitude, 0, 29)];
        let [north, east] = units.map(|units| u32::try_from(units).map_or(0.0, f64::from) / self.units_per_degree);
        let [sign_north, sign_east] = self.signs;
        record.set(Key::PositionValid, is_valid);
        // Without a fix both are zero.
        if units != [0, 0] && north <= 90.0 && east <= 180.0 {
            record.set(Key::PositionLatitude, north * sign_north);
            record.set(Key::PositionLongitude, east * sign_east);
        }
        record.raw("unverified", "time position");
        record.raw("latitude", format_compact!("{latitude:08x}"));
        record.raw("longitude", format_compact!("{longitude:08x}"));
        Ok(())
    }

    fn other(&self, mut c: Cursor<'_>, record: &mut Record) -> Result<()> {
        let kind = c.u8("type")?;
        let value = c.u24_le("value")?;
        let rest = c.take_rest("rest");
        record.set(Key::DeviceMessageType, format_compact!("{kind:02x}"));
        match kind {
            0x04 => {
                let (speed, course) = (bits::between(value, 0, 15), bits::between(value, 15, 24));
                // All ones would be no speed that anything on wheels has.
                let speed = u16::try_from(speed).ok().filter(|units| *units < 0x7FFF);
                record.set_some(Key::PositionSpeed, speed.map(|units| f64::from(units) * self.kph_per_unit));
                let course = u16::try_from(course).ok().filter(|degrees| *degrees <= 360);
                record.set_some(Key::PositionDirection, course.map(f64::from));
                record.raw("unverified", "time speed course");
            }
            0x0E => {
                record.set(Key::CounterN(1), value);
                record.set_some(Key::VehicleMileage, self.km_per_count.map(|km| f64::from(value) * km));
                record.raw("unverified", "time counter");
            }
            _ => record.raw("unverified", "time"),
        }
        record.raw("value", format_compact!("{value:06x}"));
        record.raw("rest", notation::to_hex(rest));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two records of the public capture.
    const RECORDS: [&str; 2] = ["f060250d544dcff3908899230ff3e6a8", "f060258d0403008c0035800c0ff3e6fb"];

    /// A packet of so many records that says it has `length` bytes.
    fn packet(length: u16, records: usize) -> Vec<u8> {
        let [low, high] = length.to_le_bytes();
        let header = [0x24, low, high, 0, 0, 0xD8, 0x54, 0x03, 0, 0, 0x11];
        let records = RECORDS.iter().cycle().take(records).flat_map(|record| notation::from_hex(record).unwrap());
        header.into_iter().chain(*b"12345678").chain(records).collect()
    }

    /// What `stream` is cut into, however it comes: lengths of frames, and how many bytes are left.
    fn check(stream: &[u8], expected: &[usize], left: usize) {
        for step in [1, 7, 16, stream.len()] {
            let (mut frames, mut at) = (Vec::new(), 0);
            for end in (0..stream.len()).step_by(step).chain([stream.len()]) {
                while at < end {
                    match PROTOCOL.cut(&stream[at..end]) {
                        Cut::Frame(length) => {
                            frames.push(length);
                            at += length;
                        }
                        Cut::Skip(length) => at += length,
                        Cut::Need(_) => break,
                        Cut::Lost(why) => panic!("{why}"),
                    }
                }
            }
            assert_eq!((frames.as_slice(), stream.len() - at), (expected, left), "{step} bytes at a time");
        }
    }

    #[test]
    fn whatever_tail_a_packet_has_the_next_one_is_found() {
        for tail in [&b""[..], b"\x55", b"$", b"$$", b"\x24\x30\x00", b"0123456789abcdef0123"] {
            let stream = [packet(52, 2).as_slice(), tail, &packet(36, 1), tail, &packet(20, 0)].concat();
            check(&stream, &[51, 35, 19], 0);
        }
    }

    #[test]
    fn a_length_that_says_too_much_costs_no_other_packet() {
        let next = packet(36, 1);
        for too_much in [68, 80, 100] {
            let stream = [packet(too_much, 2), next.clone(), next.clone(), next.clone()].concat();
            check(&stream, &[51, 35, 35, 35], 0);
        }
        // The next packet begins within the last record that was announced, and has not come whole yet.
        let begun = [packet(68, 2).as_slice(), &next[..18]].concat();
        assert_eq!(PROTOCOL.cut(&begun), Cut::Need(begun.len() + 1));
    }

    #[test]
    fn what_is_no_header_is_skipped() {
        let stream = [b"noise $\x00\x00\x01".as_slice(), b"$GPRMC,", &packet(36, 1), b"$\x10\x00\x00\x00"].concat();
        check(&stream, &[35], 0);
        check(&packet(36, 1)[..30], &[], 30);
    }
}
