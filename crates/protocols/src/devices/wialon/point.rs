//! A record: the fields of `#SD#`, `#D#` and of each part of `#B#`.

use super::{Fault, STRUCTURE, parameters};
use crate::Out;
use crate::absent::{self, is_blank_text};
use odograph_model::{Key, NUMBER_MAX, Record, Time, Value};
use odograph_wire::text::{self, number, pairs};
use odograph_wire::{Fields, Malformed, Reason, Result};

/// How many fields a record has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// All sixteen.
    Full,
    /// The first ten, or all.
    Any,
}

/// Reads a record from `text`, which begins at `at` of the frame and stands there as `span`.
pub(super) fn read<'x, 't: 'x>(
    text: &'x str,
    at: usize,
    form: Form,
    span: &[u8],
    out: &mut Out<'t>,
) -> std::result::Result<Record, Fault> {
    let mut f = out.fields(text, at, ';');
    let time = moment(&mut f, out).map_err(Fault::of("0"))?;
    let mut record = Record::new();
    record.time = time;
    let place = place(&mut f).map_err(Fault::of("10"))?;
    let motion = Fault::of("11");
    let speed = decimal(&mut f, "speed", 0.0).map_err(&motion)?;
    let course = decimal(&mut f, "course", 0.0).map_err(&motion)?;
    let altitude = decimal(&mut f, "altitude", f64::MIN).map_err(&motion)?;
    let satellites = whole(&mut f, "satellites").map_err(Fault::of("12"))?;
    if let Some((latitude, longitude)) = place {
        record.set(Key::PositionLatitude, latitude);
        record.set(Key::PositionLongitude, longitude);
        // Three satellites make a fix; a device that does not count them does not vouch for it.
        record.set(Key::PositionValid, satellites.is_some_and(|count| count >= 3));
    }
    record.set_some(Key::PositionSpeed, speed);
    if let Some(degrees) = course {
        absent::course(degrees, &mut record, out);
    }
    record.set_some(Key::PositionAltitude, altitude);
    record.set_some(Key::PositionSatellites, satellites);
    if form == Form::Full || f.has_more() {
        rest(&mut f, &mut record, out)?;
    }
    f.finish("record").map_err(Fault::of(STRUCTURE))?;
    Ok(record.hash_span(span))
}

/// The six fields that only full records have.
fn rest<'x, 't: 'x>(f: &mut Fields<'x>, record: &mut Record, out: &mut Out<'t>) -> std::result::Result<(), Fault> {
    let structure = Fault::of(STRUCTURE);
    odd_or(f, "hdop", Key::PositionHdop, |text| number(text).filter(|hdop| *hdop >= 0.0), record, out)
        .map_err(&structure)?;
    odd_or(f, "inputs", Key::Din, whole_number, record, out).map_err(&structure)?;
    odd_or(f, "outputs", Key::Dout, whole_number, record, out).map_err(&structure)?;
    voltages(f, record, out).map_err(&structure)?;
    let key = given(f, "ibutton").map_err(Fault::of(STRUCTURE))?;
    record.set_some(Key::DriverId, key.filter(|key| !is_blank_text(key)));
    if !f.has_more() {
        let missing = f.error("parameters", Reason::Truncated { need: 1, have: 0 });
        return Err(Fault { malformed: missing, code: STRUCTURE });
    }
    // The last field: a semicolon behind here belongs to the text of a parameter.
    let at = f.at();
    if let Some(list) = stated(f.take_rest("parameters")) {
        parameters::read(list, at, record, out);
    }
    Ok(())
}

/// A field as it is; nothing where it states nothing.
fn given<'x>(f: &mut Fields<'x>, field: &'static str) -> Result<Option<&'x str>> {
    Ok(stated(f.text(field)?))
}

/// Text, unless it is empty or `NA`.
pub(super) fn stated(text: &str) -> Option<&str> {
    match text.trim() {
        "" | "NA" => None,
        text => Some(text),
    }
}

/// Sets `key`, or keeps what is none: the maker has codes to refuse such a record with, but the device would send it
/// again for ever, and its place is good.
fn odd_or<'t, V: Into<Value>>(
    f: &mut Fields<'_>,
    field: &'static str,
    key: Key,
    read: impl Fn(&str) -> Option<V>,
    record: &mut Record,
    out: &mut Out<'t>,
) -> Result<()> {
    let Some(text) = given(f, field)? else { return Ok(()) };
    match read(text) {
        Some(value) => record.set(key, value),
        None => keep_odd(field, text, record, out),
    }
    Ok(())
}

fn keep_odd(field: &'static str, text: &str, record: &mut Record, out: &mut Out<'_>) {
    out.note(format!("{field}: {text} is no number"));
    record.raw(field, text);
}

fn decimal(f: &mut Fields<'_>, field: &'static str, least: f64) -> Result<Option<f64>> {
    let at = f.at();
    let Some(text) = given(f, field)? else { return Ok(None) };
    match number(text).filter(|value| *value >= least) {
        Some(value) => Ok(Some(value)),
        None => Err(Malformed::new(field, at, Reason::Expected("a number or NA"))),
    }
}

fn whole(f: &mut Fields<'_>, field: &'static str) -> Result<Option<u64>> {
    let at = f.at();
    let Some(text) = given(f, field)? else { return Ok(None) };
    match whole_number(text) {
        Some(value) => Ok(Some(value)),
        None => Err(Malformed::new(field, at, Reason::Expected("a whole number or NA"))),
    }
}

fn whole_number(text: &str) -> Option<u64> {
    // Some devices print all numbers as floats.
    let digits = text.split_once('.').map_or(text, |(digits, zeros)| match zeros.trim_end_matches('0') {
        "" => digits,
        _ => text,
    });
    digits.parse().ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// `DDMMYY` and `HHMMSS`, since 2.1 with a fraction, in UTC.
pub(super) fn moment(f: &mut Fields<'_>, out: &mut Out<'_>) -> Result<Option<Time>> {
    let at = f.at();
    let date = match given(f, "date")? {
        Some(text) => Some(pairs(text).ok_or(Malformed::new("date", at, Reason::Expected("DDMMYY or NA")))?),
        None => None,
    };
    let at = f.at();
    let clock = match given(f, "time")? {
        Some(text) => Some(clock(text).ok_or(Malformed::new("time", at, Reason::Expected("HHMMSS or NA")))?),
        None => None,
    };
    let (Some([day, month, year]), Some(([hour, minute, second], milliseconds))) = (date, clock) else {
        return Ok(None);
    };
    let year = i16::from(year).saturating_add(2000);
    let time = Time::utc(year, month, day, hour, minute, second).map(|time| time.plus_ms(milliseconds));
    if time.is_none() {
        out.note("a date that is not in the calendar left out");
    }
    Ok(time)
}

fn clock(text: &str) -> Option<([u8; 3], i64)> {
    let Some((clock, fraction)) = text.split_once('.') else { return Some((pairs(text)?, 0)) };
    let mut milliseconds = 0_i64;
    for place in 0..3 {
        let digit = fraction.as_bytes().get(place).map_or(Some(0), |digit| char::from(*digit).to_digit(10))?;
        milliseconds = milliseconds.wrapping_mul(10).wrapping_add(digit.into());
    }
    fraction.bytes().all(|digit| digit.is_ascii_digit()).then_some((pairs(clock)?, milliseconds))
}

/// Latitude and longitude; nothing where neither is stated.
fn place(f: &mut Fields<'_>) -> Result<Option<(f64, f64)>> {
    let at = f.at();
    let latitude = angle(f, ["latitude", "latitude sign"], [("N", 1.0), ("S", -1.0)], 90.0)?;
    let longitude = angle(f, ["longitude", "longitude sign"], [("E", 1.0), ("W", -1.0)], 180.0)?;
    match (latitude, longitude) {
        (Some(latitude), Some(longitude)) => Ok(Some((latitude, longitude))),
        (None, None) => Ok(None),
        _ => Err(Malformed::new("latitude", at, Reason::Expected("both latitude and longitude"))),
    }
}

fn angle(f: &mut Fields<'_>, names: [&'static str; 2], signs: [(&str, f64); 2], most: f64) -> Result<Option<f64>> {
    let [name, sign_name] = names;
    let at = f.at();
    let degrees = given(f, name)?;
    let sign_at = f.at();
    let sign = given(f, sign_name)?;
    let Some(degrees) = degrees else { return Ok(None) };
    let Some((_, sign)) = signs.iter().find(|(letter, _)| Some(*letter) == sign) else {
        return Err(Malformed::new(sign_name, sign_at, Reason::Expected("a cardinal point")));
    };
    match text::degrees(degrees).filter(|degrees| *degrees <= most) {
        Some(degrees) => Ok(Some(degrees * sign)),
        None => Err(Malformed::new(name, at, Reason::Expected("degrees and minutes: DDMM.MMMM"))),
    }
}

/// Analogue inputs, from the first on; any of them may be `NA`.
fn voltages(f: &mut Fields<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let mut list = f.sub("adc", ',')?;
    let mut index = 0_u8;
    while list.has_more() {
        index = index.saturating_add(1);
        let Some(text) = given(&mut list, "adc")? else { continue };
        match number(text) {
            None => keep_odd("adc", text, record, out),
            Some(value) if index <= NUMBER_MAX => record.set(Key::AinN(index), value),
            Some(_) => record.raw("adc", text),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_as_devices_write_them() {
        assert_eq!(clock("095553.123456789"), Some(([9, 55, 53], 123)));
        assert_eq!(clock("095553.5"), Some(([9, 55, 53], 500)));
        for wrong in ["9555", "0955531", "09555x", "095553.x", "095553.1234x"] {
            assert_eq!(clock(wrong), None, "{wrong}");
        }
    }
}
