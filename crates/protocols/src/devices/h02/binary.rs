//! Binary records.

use super::framing::{LONG, SHORT, WIDE, begins_with};
use super::status;
use crate::Out;
use crate::absent;
use compact_str::CompactString;
use odograph_model::{Cell, Key, Record, Time};
use odograph_wire::{Cursor, Malformed, Reason, Result, notation, units};

/// Reads the record that is all of `c`, after its mark; gives the identity too.
pub(super) fn read(mut c: Cursor<'_>, prefer_wide: bool, out: &mut Out<'_>) -> Result<(CompactString, Record)> {
    let start = c;
    let length = c.left();
    c.u8("mark")?;
    let is_wide = length == WIDE
        && begins_with(8, start.rest()) != Some(false)
        && (prefer_wide || begins_with(5, start.rest()) == Some(false));
    let need = match (begins_with(5, start.rest()), begins_with(8, start.rest())) {
        (Some(false), Some(false)) => {
            return Err(Malformed::new("record", start.at(), Reason::Expected("digits of time and place")));
        }
        (Some(false), _) => WIDE,
        _ if length <= SHORT => SHORT,
        _ => LONG.into_iter().find(|long| length <= *long).unwrap_or(length.saturating_add(1)),
    };
    if !is_wide && length != need {
        return Err(match length > need {
            true => Malformed::new(
                "record",
                start.at().saturating_add(need),
                Reason::Trailing { left: length.saturating_sub(need) },
            ),
            false => Malformed::new("record", start.at(), Reason::Truncated { need, have: length }),
        });
    }
    let identity = identity(&mut c, is_wide)?;
    let content = c;
    let mut record = Record::new();
    record.time = moment(&mut c, out)?;
    let latitude = angle(digits("latitude", &mut c, 4)?, 1_000_000);
    let battery = c.u8("battery")?;
    let longitude = digits_and_flags(&mut c)?;
    let (longitude, flags) = (angle(longitude.0, 1_000_000), longitude.1);
    if latitude <= 90.0 && longitude <= 180.0 {
        record.set(Key::PositionLatitude, if flags & 4 == 0 { -latitude } else { latitude });
        record.set(Key::PositionLongitude, if flags & 8 == 0 { -longitude } else { longitude });
        record.set(Key::PositionValid, flags & 2 != 0);
    } else {
        out.note(format!("{latitude},{longitude} is no place"));
    }
    motion(&mut c, &mut record, out)?;
    if let Some(level) = status::battery(battery) {
        record.set(Key::BatteryLevel, level);
        if battery >= 0xF0 {
            record.set(Key::BatteryChargingStatus, true);
        }
    }
    status::set(c.u32("status")?, &mut record);
    rest(&mut c, length, &mut record)?;
    Ok((identity, record.hash_span(content.rest())))
}

fn identity(c: &mut Cursor<'_>, is_wide: bool) -> Result<CompactString> {
    let at = c.at();
    let digits = notation::to_hex(c.bytes("device", if is_wide { 8 } else { 5 })?);
    let digits = if is_wide { digits.get(..15).unwrap_or_default() } else { &digits };
    match digits.bytes().all(|digit| digit.is_ascii_digit()) {
        true => Ok(digits.into()),
        false => Err(Malformed::new("device", at, Reason::Expected("decimal digits"))),
    }
}

/// So many bytes of digits.
fn digits(field: &'static str, c: &mut Cursor<'_>, length: usize) -> Result<u32> {
    let at = c.at();
    u32::try_from(c.bcd(field, length)?).map_err(|_| Malformed::new(field, at, Reason::TooMany { max: 9 }))
}

/// Nine digits of longitude, and the half byte of flags behind them.
fn digits_and_flags(c: &mut Cursor<'_>) -> Result<(u32, u8)> {
    let head = digits("longitude", c, 4)?;
    let at = c.at();
    let last = c.u8("longitude and flags")?;
    match last >> 4 {
        digit @ 0..=9 => Ok((head.saturating_mul(10).saturating_add(digit.into()), last & 0x0F)),
        _ => Err(Malformed::new("longitude and flags", at, Reason::Expected("decimal digits"))),
    }
}

/// Degrees of whole degrees times `base` and minutes times 10000.
fn angle(digits: u32, base: u32) -> f64 {
    let (degrees, minutes) = (digits.checked_div(base), digits.checked_rem(base));
    f64::from(degrees.unwrap_or(0)) + f64::from(minutes.unwrap_or(0)) / 10_000.0 / 60.0
}

fn moment(c: &mut Cursor<'_>, out: &mut Out<'_>) -> Result<Option<Time>> {
    let (time, date) = (digits("time", c, 3)?, digits("date", c, 3)?);
    let time = status::moment(&format!("{time:06}"), &format!("{date:06}"));
    if time.is_none() && date != 0 {
        out.note("a date that is not in the calendar left out");
    }
    Ok(time)
}

/// Three digits of knots and three of degrees.
fn motion(c: &mut Cursor<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let mut probe = *c;
    let Ok(value) = digits("speed and course", &mut probe, 3) else {
        record.raw("motion", notation::to_hex(c.bytes("speed and course", 3)?));
        out.note("speed and course are no digits");
        return Ok(());
    };
    *c = probe;
    record.set(Key::PositionSpeed, units::kph_of_knots(f64::from(value / 1000)));
    absent::course(f64::from(value % 1000), record, out);
    Ok(())
}

/// What stands behind the status. Only the form of 45 bytes is known: its countries are those of its places.
fn rest(c: &mut Cursor<'_>, length: usize, record: &mut Record) -> Result<()> {
    let known = match length {
        SHORT => false,
        45 | 47 => true,
        _ => {
            record.raw("rest", notation::to_hex(c.take_rest("rest")));
            return Ok(());
        }
    };
    record.raw("alarm.flag", c.u8("alarm flag")?);
    record.raw("reserved", c.u8("reserved")?);
    if known {
        record.set(Key::GsmSignalStrength, c.u8("signal")?);
        record.set(Key::PositionSatellites, c.u8("satellites")?);
        record.raw("mileage", c.u32("mileage")?);
        let (mcc, mnc) = (c.u16("MCC")?, c.u8("MNC")?);
        let (lac, cid) = (c.u16("LAC")?, c.u16("cell")?);
        if mcc != 0 && (lac, cid) != (0, 0) {
            let (mcc, mnc, lac) = (Some(mcc.into()), Some(mnc.into()), Some(lac.into()));
            status::add_cell(record, Cell { mcc, mnc, lac, cid: cid.into(), signal: None });
        }
        if length == 47 {
            record.raw("voltage", c.u16("voltage")?);
        }
    }
    record.set(Key::RecordIndex, c.u8("record number")?);
    c.finish("record")
}
