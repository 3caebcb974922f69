//! Emergency calls: what was measured around an accident (GOST R 54619-2011, 7.3).
//!
//! ```text
//! 20 acceleration  NN TTTTTTTT (RRRR XXXX YYYY ZZZZ)*N    R ms since the one before, 0.1 m/s²
//! 40 minimum set of data as the vehicle made it  FF B*    F 1: packed by GOST R 54620
//! 50 minimum set of data  VV II CC vin:17 PP TTTTTTTT AAAAAAAA OOOOOOOO DD [aaaa oooo aaaa oooo NN text]
//!    big-endian; T seconds since 1970, A and O milliseconds of arc, D direction / 2, a and o earlier places as
//!    differences in tenths of a second of arc, N belts fastened
//! 62 track         NN TTTTTTTT (FF [AAAAAAAA OOOOOOOO SSSS DD])*N    F flags and 0.1 s since the one before
//! ```

use super::{since_2010, teledata, text};
use crate::Out;
use crate::absent::{self, unless_ones};
use compact_str::{ToCompactString, format_compact};
use odograph_model::{Alarm, Key, Record, Time};
use odograph_wire::bits::is_set;
use odograph_wire::{Cursor, Reason, Result};

pub(super) const ACCELERATION: u8 = 20;
pub(super) const MINIMUM_SET: u8 = 50;
pub(super) const TRACK: u8 = 62;

/// Milliseconds of arc in a degree.
const ARC_MS: f64 = 3_600_000.0;
/// An earlier place's difference is in steps of so many.
const STEP_ARC_MS: f64 = 100.0;
/// m/s² in one g.
const GRAVITY: f64 = 9.806_65;
/// Count and time, before the samples of an acceleration; and the length of one.
const ACCELERATION_HEAD: usize = 5;
const SAMPLE: usize = 8;

/// Whether `bytes` are as long as accelerations say they are.
pub(super) fn is_acceleration(bytes: &[u8]) -> bool {
    let count = usize::from(bytes.first().copied().unwrap_or_default());
    count > 0 && bytes.len() == count.saturating_mul(SAMPLE).saturating_add(ACCELERATION_HEAD)
}

/// Reads a subrecord of that kind, if it is one of these: a record for each moment.
pub(super) fn read(kind: u8, c: &mut Cursor<'_>, out: &mut Out<'_>) -> Option<Result<Vec<Record>>> {
    Some(match kind {
        ACCELERATION => accelerations(c),
        MINIMUM_SET => minimum_set(c, out),
        TRACK => track(c, out),
        _ => return None,
    })
}

fn accelerations(c: &mut Cursor<'_>) -> Result<Vec<Record>> {
    let count = c.u8("samples")?;
    let mut time = since_2010(c.u32_le("time")?);
    let mut records = Vec::new();
    for _ in 0..count {
        let start = *c;
        let after_ms = c.u16_le("milliseconds")?;
        time = time.map(|time| time.plus_ms(after_ms.into()));
        let axes = [c.i16_le("x")?, c.i16_le("y")?, c.i16_le("z")?].map(|tenths| f64::from(tenths) / 10.0);
        let mut record = timed(time);
        let [x, y, z] = axes;
        record.set(Key::AccelerationAxes, format_compact!("{x},{y},{z}"));
        record.set(Key::Acceleration, x.hypot(y).hypot(z) / GRAVITY);
        records.push(record.hash_span(c.since(&start)));
    }
    Ok(records)
}

fn track(c: &mut Cursor<'_>, out: &mut Out<'_>) -> Result<Vec<Record>> {
    let count = c.u8("points")?;
    let mut time = since_2010(c.u32_le("time")?);
    let mut records = Vec::new();
    for _ in 0..count {
        let start = *c;
        let flags = c.u8("flags")?;
        time = time.map(|time| time.plus_ms(i64::from(flags & 0x1F).saturating_mul(100)));
        let mut record = timed(time);
        let is_known = is_set(flags, 7);
        record.set(Key::PositionValid, is_known);
        if is_known {
            let (latitude, longitude) = (c.u32_le("latitude")?, c.u32_le("longitude")?);
            let (motion, direction) = (c.u16_le("speed")?, c.u8("direction")?);
            teledata::place(&mut record, latitude, is_set(flags, 5), longitude, is_set(flags, 6));
            record.set(Key::PositionSpeed, f64::from(motion & 0x7FFF) / 100.0);
            absent::course((u16::from(direction) | (motion >> 15) << 8).into(), &mut record, out);
        }
        records.push(record.hash_span(c.since(&start)));
    }
    Ok(records)
}

/// The place of the event.
fn minimum_set(c: &mut Cursor<'_>, out: &mut Out<'_>) -> Result<Vec<Record>> {
    let start = *c;
    let version = c.u8("version")?;
    if version != 1 {
        return Err(c.error("version", Reason::Expected("the version 1")));
    }
    let (message, control) = (c.u8("message number")?, c.u8("control")?);
    let vin = c.bytes("vin", 17)?;
    let propulsion = c.u8("propulsion")?;
    let seconds = c.u32("time")?;
    let (latitude, longitude) = (c.i32("latitude")?, c.i32("longitude")?);
    let direction = c.u8("direction")?;
    let time = (seconds != 0).then(|| Time(i64::from(seconds).saturating_mul(1000)));
    let mut record = timed(time);
    let is_test = is_set(control, 1);
    record.set(Key::PositionValid, !is_set(control, 2) && latitude != -1 && longitude != -1);
    if latitude != -1 && longitude != -1 {
        record.set(Key::PositionLatitude, f64::from(latitude) / ARC_MS);
        record.set(Key::PositionLongitude, f64::from(longitude) / ARC_MS);
    }
    if let Some(steps) = unless_ones(direction) {
        absent::course(f64::from(steps) * 2.0, &mut record, out);
    }
    match (is_test, is_set(control, 0)) {
        (true, _) => {}
        (false, true) => record.alarm(Alarm::Accident),
        (false, false) => record.alarm(Alarm::Sos),
    }
    record.set(Key::VehicleVin, text::letters(vin));
    record.raw("ecall.message", message.to_compact_string());
    record.raw("ecall.test", is_test);
    record.raw("ecall.automatic", is_set(control, 0));
    record.raw("vehicle.type", (control >> 3 & 0x0F).to_compact_string());
    record.raw("vehicle.propulsion", propulsion.to_compact_string());
    earlier_places(c, &mut record)?;
    if !c.is_empty()
        && let Some(belts) = unless_ones(c.u8("belts fastened")?)
    {
        record.raw("belts.fastened", belts.to_compact_string());
    }
    if !c.is_empty() {
        record.raw("ecall.data", super::hex(c.take_rest("additional data")));
    }
    Ok(vec![record.hash_span(c.since(&start))])
}

fn timed(time: Option<Time>) -> Record {
    time.map_or_else(Record::new, Record::at)
}

/// The two places before, which have no time, as `latitude,longitude` in degrees less than the place after each.
fn earlier_places(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    for name in ["ecall.earlier.1", "ecall.earlier.2"] {
        if c.is_empty() {
            break;
        }
        let (north, east) = (c.i16("earlier latitude")?, c.i16("earlier longitude")?);
        if north != -1 || east != -1 {
            let degrees = |steps: i16| f64::from(steps) * STEP_ARC_MS / ARC_MS;
            record.raw(name, format_compact!("{},{}", degrees(north), degrees(east)));
        }
    }
    Ok(())
}
