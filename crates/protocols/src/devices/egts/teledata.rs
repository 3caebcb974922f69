//! Telematic data: places and their quality (GOST 33472-2015, B.2.3 and B.2.4). What else was measured is in
//! [`sensors`].
//!
//! ```text
//! 16 position  TTTTTTTT AAAAAAAA OOOOOOOO FF SSSS DD MMMMMM II EE [HHHHHH] [XXXX]
//!              T seconds since 2010, A latitude / 90 × (2³² - 1), O longitude / 180 × (2³² - 1), F flags, S speed in
//!              0.1 km/h and bits of altitude and direction, D direction, M kilometres × 10, I inputs, E event,
//!              H altitude, X what the event is about
//! 17 quality   FF [VVVV] [HHHH] [PPPP] [SS] [NNNN]  dilutions × 100, satellites, systems
//! ```

use super::sensors::{self, Volts};
use super::{TELEDATA, keep, odd, since_2010};
use crate::Out;
use crate::absent;
use compact_str::{ToCompactString, format_compact};
use odograph_model::{Alarm, Key, Record, Time};
use odograph_wire::bits::{between, is_set};
use odograph_wire::{Cursor, Result};

const POSITION: u8 = 16;
const EXTENDED_POSITION: u8 = 17;

/// Sent from memory: the same position had this bit clear when it was sent first.
const FROM_MEMORY: u8 = 1 << 3;
/// Where a position's flags stand.
const FLAGS_AT: usize = 12;

/// What the subrecords of a record said of one moment.
#[derive(Default)]
pub(super) struct Moment {
    pub(super) record: Record,
    /// Whether a position was among them.
    placed: bool,
    /// How many subrecords with sensors were.
    sensors: usize,
}

impl Moment {
    pub(super) fn new() -> Self {
        Self { record: Record::new(), ..Self::default() }
    }

    /// Whether `kind` begins another moment.
    pub(super) const fn ends_before(&self, kind: u8) -> bool {
        self.placed && kind == POSITION
    }

    /// Takes a subrecord. One that is not as described is kept as it came: its bytes are as the device sent them, since
    /// the checksum fits. Says whether what is a position's at least could be read.
    pub(super) fn subrecord(
        &mut self,
        kind: u8,
        place: usize,
        data: Cursor<'_>,
        volts: Volts,
        out: &mut Out<'_>,
    ) -> bool {
        let bytes = data.rest();
        let mut c = data;
        let record = &mut self.record;
        let read = match kind {
            POSITION => position(&mut c, record, &mut self.placed, out),
            EXTENDED_POSITION => quality(&mut c, record),
            _ => match sensors::read(kind, &mut c, &mut self.sensors, volts, record) {
                Some(read) => read,
                None => {
                    keep(record, (TELEDATA, kind), place, bytes);
                    c.skip("subrecord", bytes.len())
                }
            },
        };
        if let Err(malformed) = read.and_then(|()| c.finish("subrecord")) {
            out.note(odd(TELEDATA, kind, malformed));
            keep(&mut self.record, (TELEDATA, kind), place, bytes);
        }
        self.hash(kind, bytes);
        kind != POSITION || self.placed
    }

    fn hash(&mut self, kind: u8, bytes: &[u8]) {
        let record = std::mem::take(&mut self.record).hash_span(&[kind]);
        self.record = match bytes.split_at_checked(FLAGS_AT) {
            Some((before, [flags, after @ ..])) if kind == POSITION => {
                record.hash_span(before).hash_span(&[flags & !FROM_MEMORY]).hash_span(after)
            }
            _ => record.hash_span(bytes),
        };
    }
}

/// Reads a position; says in `placed` that what all positions have was there. What some have behind it may be odd.
fn position(c: &mut Cursor<'_>, record: &mut Record, placed: &mut bool, out: &mut Out<'_>) -> Result<()> {
    let time = since_2010(c.u32_le("time")?);
    let (latitude, longitude) = (c.u32_le("latitude")?, c.u32_le("longitude")?);
    let flags = c.u8("flags")?;
    let (motion, direction) = (c.u16_le("speed")?, c.u8("direction")?);
    let odometer = c.u24_le("odometer")?;
    let (inputs, event) = (c.u8("inputs")?, c.u8("event")?);
    *placed = true;
    let more = more(c, is_set(flags, 7), is_set(motion, 14), record);
    record.time = time.or(record.time);
    let valid = is_set(flags, 0);
    record.set(Key::PositionValid, valid);
    if valid || !is_nowhere(latitude, longitude) {
        place(record, latitude, is_set(flags, 5), longitude, is_set(flags, 6));
    }
    if valid {
        record.set(Key::GnssState, if is_set(flags, 1) { "3d" } else { "2d" });
    }
    if is_set(flags, 2) {
        record.raw("coordinate.system", "PZ-90.02");
    }
    record.set(Key::PositionSpeed, f64::from(motion & 0x3FFF) / 10.0);
    absent::course((u16::from(direction) | (motion >> 15) << 8).into(), record, out);
    record.set(Key::MovementStatus, is_set(flags, 4));
    if flags & FROM_MEMORY != 0 {
        record.set(Key::RecordArchived, true);
    }
    record.set(Key::VehicleMileage, f64::from(odometer) / 10.0);
    record.set(Key::Din, inputs);
    record.set(Key::EventCode, event.to_compact_string());
    if let Some(alarm) = alarm(event) {
        record.alarm(alarm);
    }
    more
}

/// What may stand behind the fields that all positions have.
fn more(c: &mut Cursor<'_>, has_altitude: bool, is_below: bool, record: &mut Record) -> Result<()> {
    if has_altitude {
        let altitude = c.u24_le("altitude")?;
        record.set(Key::PositionAltitude, metres(altitude, is_below));
    }
    if !c.is_empty() {
        record.raw("event.data", c.i16_le("event data")?.to_compact_string());
    }
    Ok(())
}

/// Metres above the sea, or below it. Some devices leave the bit for that alone and write a negative number.
fn metres(altitude: u32, below: bool) -> f64 {
    let value = match is_set(altitude, 23) {
        true => f64::from(altitude) - f64::from(1 << 24),
        false => f64::from(altitude),
    };
    if below { -value.abs() } else { value }
}

/// What stands in place of a place that the device does not know.
const fn is_nowhere(latitude: u32, longitude: u32) -> bool {
    matches!((latitude, longitude), (0, 0) | (u32::MAX, u32::MAX))
}

/// Sets a place from its two numbers and hemispheres.
pub(super) fn place(record: &mut Record, latitude: u32, south: bool, longitude: u32, west: bool) {
    let degrees = |value: u32, most: f64, negative: bool| {
        let degrees = f64::from(value) * most / f64::from(u32::MAX);
        if negative { -degrees } else { degrees }
    };
    record.set(Key::PositionLatitude, degrees(latitude, 90.0, south));
    record.set(Key::PositionLongitude, degrees(longitude, 180.0, west));
}

/// What an event alarms about (GOST 33472-2015, table B.3).
const fn alarm(event: u8) -> Option<Alarm> {
    Some(match event {
        7 => Alarm::Overspeed,
        6 | 9 | 19 | 22..=24 => Alarm::Fault,
        10 => Alarm::Tampering,
        11 => Alarm::PowerCut,
        12 => Alarm::LowBattery,
        13 | 15 => Alarm::Sos,
        20 => Alarm::HardAcceleration,
        21 => Alarm::HardBraking,
        25 => Alarm::GpsAntennaCut,
        27 => Alarm::LowSpeed,
        28 => Alarm::Movement,
        _ => return None,
    })
}

fn quality(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let flags = c.u8("flags")?;
    for (bit, key) in [(0, Key::PositionVdop), (1, Key::PositionHdop), (2, Key::PositionPdop)] {
        if is_set(flags, bit) {
            record.set(key, f64::from(c.u16_le("dilution of precision")?) / 100.0);
        }
    }
    if is_set(flags, 3) {
        record.set(Key::PositionSatellites, c.u8("satellites")?);
    }
    // By the text of the standard the satellites' bit could bring the systems too; no device was seen to do that, and
    // the length tells.
    if is_set(flags, 4) || (is_set(flags, 3) && c.left() == 2) {
        record.raw("navigation.systems", systems(c.u16_le("navigation systems")?));
    }
    Ok(())
}

/// The systems that are used, by their names.
fn systems(bits: u16) -> String {
    const NAMES: [&str; 8] = ["GLONASS", "GPS", "Galileo", "Compass", "BeiDou", "DORIS", "IRNSS", "QZSS"];
    let named = NAMES.iter().zip(0..).filter(|(_, bit)| is_set(bits, *bit)).map(|(name, _)| *name);
    let unknown = between(bits, 8, 16) << 8;
    let rest = (unknown != 0).then(|| format_compact!("{unknown}"));
    named.map(str::to_owned).chain(rest.map(Into::into)).collect::<Vec<_>>().join(" ")
}

/// The moment of a record that has no time of its own.
pub(super) fn timed(record: &mut Record, made: Option<Time>) {
    record.time = record.time.or(made);
}
