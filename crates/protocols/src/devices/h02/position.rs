//! Texts with a place.

use super::status;
use crate::{Answer, Out};
use odograph_model::{Cell, Key, Record, Time};
use odograph_wire::text::{degrees, number, pairs};
use odograph_wire::{Fields, Result, units};

/// So many fields stand from the time to the course.
const FIELDS: usize = 8;

/// Whether the letters of the hemispheres stand where a position has them.
pub(super) fn stands(f: &Fields<'_>) -> bool {
    let mut fields = f.rest().split(',').skip(3);
    let (north, east) = (fields.next(), fields.nth(1));
    matches!((north, east), (Some("N" | "S"), Some("E" | "W")))
}

/// `V1` and its like, and `V4`, where the answer to a command stands before.
pub(super) fn read(kind: &str, f: &mut Fields<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    if kind == "V4" {
        answer(f, &mut record, out)?;
    }
    // V1 is answered, so that the device forgets it: it has to be whole.
    if kind != "V1" && f.rest().split(',').count() < FIELDS {
        if kind != "V4" {
            record.set(Key::DeviceMessageType, kind);
        }
        keep(f, &mut record);
        return Ok(record);
    }
    if !kind.starts_with('V') {
        record.set(Key::DeviceMessageType, kind);
    }
    let time = f.text("time")?;
    let validity = f.text("validity")?;
    place(f, &mut record, out)?;
    // Some write a number instead: the coding scheme of a place that is there.
    let is_scheme = !validity.is_empty() && validity.bytes().all(|byte| byte.is_ascii_digit());
    if record.get(Key::PositionLatitude).is_some() {
        record.set(Key::PositionValid, validity == "A" || is_scheme);
    }
    motion(f, &mut record, out)?;
    rest(time, f, &mut record, out)?;
    Ok(record)
}

/// The answer to a command: what the command was, what came of it, and the time that it carried. A place may follow.
fn answer(f: &mut Fields<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let fields: Vec<&str> = f.rest().split(',').collect();
    let is = |at: usize, letters: [&str; 2]| fields.get(at).is_some_and(|field| letters.contains(field));
    let north = (3..fields.len()).rev().find(|at| is(*at, ["N", "S"]) && is(at.saturating_add(2), ["E", "W"]));
    let count = north.map_or(fields.len(), |at| at.saturating_sub(3));
    let words = fields.get(..count).unwrap_or_default();
    let result = words.join(",");
    for _ in words {
        f.text("answer")?;
    }
    let done = match words {
        words if words.iter().any(|word| matches!(*word, "OK" | "DONE")) => Some(true),
        words if words.iter().any(|word| matches!(*word, "ERROR" | "FAIL")) => Some(false),
        _ => None,
    };
    let token = words.last().filter(|word| pairs(word).is_some()).and_then(|word| word.parse().ok());
    record.set(Key::DeviceCommandResult, &*result);
    out.answer(Answer { token, text: result, done });
    Ok(())
}

/// `VP1`: a day without a time of day and no status, or cells.
pub(super) fn short(f: &mut Fields<'_>, received: Time, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    let validity = f.text("validity")?;
    if validity == "V" {
        let (mcc, mnc) = (Some(f.num("MCC")?), Some(f.num("MNC")?));
        let mut at = f.at();
        for cell in f.take_rest("cells").split('Y') {
            let mut fields = out.fields(cell, at, ',');
            let (lac, cid) = (fields.num("LAC")?, fields.num("cell")?);
            let signal = fields.opt::<i32>("signal")?.map(negative);
            fields.finish("cell")?;
            status::add_cell(&mut record, Cell { mcc, mnc, lac: Some(lac), cid, signal });
            at = at.saturating_add(cell.len()).saturating_add(1);
        }
        return Ok(record);
    }
    place(f, &mut record, out)?;
    record.set(Key::PositionValid, record.get(Key::PositionLatitude).is_some());
    motion(f, &mut record, out)?;
    let date = if f.has_more() { f.text("date")? } else { "" };
    match status::moment("000000", date) {
        // Sent on its day, the time of receipt is nearer than midnight.
        Some(midnight) if (0..DAY_MS).contains(&received.0.saturating_sub(midnight.0)) => {}
        time => record.time = time,
    }
    keep(f, &mut record);
    Ok(record)
}

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Latitude and longitude with their letters. What is none is left out.
fn place(f: &mut Fields<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let (latitude, north) = (f.text("latitude")?, f.text("north or south")?);
    let (longitude, east) = (f.text("longitude")?, f.text("east or west")?);
    let signed = |text: &str, letter: &str, [plus, minus]: [&str; 2], most: f64| {
        let value = angle(text).filter(|value| *value <= most)?;
        match letter {
            letter if letter == plus => Some(value),
            letter if letter == minus => Some(-value),
            _ => None,
        }
    };
    match (signed(latitude, north, ["N", "S"], 90.0), signed(longitude, east, ["E", "W"], 180.0)) {
        (Some(latitude), Some(longitude)) => {
            record.set(Key::PositionLatitude, latitude);
            record.set(Key::PositionLongitude, longitude);
        }
        _ if latitude.is_empty() && longitude.is_empty() => {}
        _ => out.note(format!("{latitude},{north},{longitude},{east} is no place")),
    }
    Ok(())
}

/// `DDMM.MMMM`, the same without its point, or `-DD-MM.MMMM`.
fn angle(text: &str) -> Option<f64> {
    if let Some((whole, minutes)) = text.strip_prefix('-').and_then(|text| text.split_once('-')) {
        let whole: u16 = whole.parse().ok()?;
        return Some(f64::from(whole) + number(minutes).filter(|minutes| *minutes >= 0.0)? / 60.0);
    }
    if text.contains('.') {
        return degrees(text);
    }
    let is_digits = text.len() > 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, minutes) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (whole, minutes): (u16, u32) = (whole.parse().ok()?, minutes.parse().ok()?);
    is_digits.then_some(f64::from(whole) + f64::from(minutes) / 10_000.0 / 60.0)
}

/// Knots and degrees.
fn motion(f: &mut Fields<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    for (field, key) in [("speed", Key::PositionSpeed), ("course", Key::PositionDirection)] {
        let text = f.text(field)?.trim();
        match number(text).filter(|value| *value >= 0.0) {
            Some(value) if key == Key::PositionSpeed => record.set(key, units::kph_of_knots(value)),
            Some(value) if value <= 360.0 => record.set(key, value),
            _ if text.is_empty() => {}
            _ => out.note(format!("{field}: {text} left out")),
        }
    }
    Ok(())
}

/// What stands behind the course: `[battery,]date`, sometimes three fields about the SIM card, the status, and more.
fn rest(time: &str, f: &mut Fields<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let mut fields = f.rest().split(',');
    let (first, second) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let is_battery = matches!(first.len(), 1..=3) && first.bytes().all(|byte| byte.is_ascii_digit());
    if f.has_more() && is_battery && pairs(second).is_some() {
        record.raw("battery", f.text("battery")?);
    }
    let date = if f.has_more() { f.text("date")? } else { "" };
    record.time = status::moment(time, date);
    if record.time.is_none() && !date.bytes().all(|byte| byte == b'0') && !date.is_empty() {
        out.note("a date that is not in the calendar left out");
    }
    let before = f.rest().split(',').take(4).position(|field| status::read(field).is_some());
    for index in 1..=before.unwrap_or(0) {
        let text = f.text("SIM card")?.trim();
        match iccid(text) {
            Some(iccid) => record.set(Key::GsmSimIccid, iccid),
            None if text.is_empty() => {}
            None => record.raw(format!("sim.{index}"), text),
        }
    }
    if before.is_some()
        && let Some(status) = status::read(f.text("status")?)
    {
        status::set(status, record);
        if let Some(cell) = cell(f.rest()) {
            status::add_cell(record, cell);
        }
    }
    if !sensors(f, record)? {
        keep(f, record);
    }
    Ok(())
}

/// The number of a SIM card: it begins with 89. Some end with a placeholder for the check digit.
fn iccid(text: &str) -> Option<&str> {
    let text = text.trim_end_matches('?');
    let is_card = text.starts_with("89") && matches!(text.len(), 18..=20);
    Some(text).filter(|text| is_card && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Country, network, area and cell at the beginning of `rest`. Some write them in hex,
/// which blanks, letters or a number that no country has give away.
fn cell(rest: &str) -> Option<Cell> {
    let whole = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
    let mut fields = rest.split(',').map_while(whole);
    let (mcc, mnc) = (fields.next().filter(|mcc| (200..800).contains(mcc))?, fields.next()?);
    let lac = fields.next().filter(|lac| (1..=0xFFFF).contains(lac))?;
    let cid = fields.next().filter(|cid| *cid > 0)?;
    Some(Cell { mcc: Some(mcc), mnc: Some(mnc), lac: Some(lac), cid: cid.into(), signal: None })
}

/// Odometer, temperature, fuel, altitude, area and cell, which the point in the fuel tells from other fields.
fn sensors(f: &mut Fields<'_>, record: &mut Record) -> Result<bool> {
    let fields: Vec<&str> = f.rest().split(',').collect();
    let [odometer, temperature, fuel, altitude, lac, cid] = *fields.as_slice() else { return Ok(false) };
    let whole = |text: &str| text.parse::<i32>().ok().filter(|_| !text.starts_with('+'));
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let (Some(odometer), Some(temperature), Some(fuel), Some(altitude), Some(lac), Some(cid)) = (
        odometer.parse::<u32>().ok(),
        whole(temperature),
        number(fuel).filter(|_| fuel.contains('.')),
        whole(altitude),
        hex(lac),
        hex(cid),
    ) else {
        return Ok(false);
    };
    for field in ["odometer", "temperature", "fuel", "altitude", "LAC", "cell"] {
        f.text(field)?;
    }
    record.set(Key::VehicleMileage, f64::from(odometer) / 1000.0);
    record.set(Key::TemperatureN(1), temperature);
    record.set(Key::FuelVolume, fuel);
    record.set(Key::PositionAltitude, altitude);
    status::add_cell(record, Cell { lac: Some(lac), cid: cid.into(), ..Cell::default() });
    Ok(true)
}

/// The fields that are left, under their numbers; a card's number and a status also as what they are.
pub(super) fn keep(f: &mut Fields<'_>, record: &mut Record) {
    let mut index = 0_u32;
    while let Ok(text) = f.text("field") {
        index = index.saturating_add(1);
        let text = text.trim();
        if let Some(iccid) = iccid(text) {
            record.set(Key::GsmSimIccid, iccid);
        }
        if record.get(Key::StatusCode).is_none()
            && let Some(status) = status::read(text)
        {
            status::set(status, record);
        }
        if !text.is_empty() {
            record.raw(index.to_string(), text);
        }
    }
}

/// Signals are sent without their sign by some.
pub(super) const fn negative(signal: i32) -> i32 {
    if signal > 0 { signal.saturating_neg() } else { signal }
}
