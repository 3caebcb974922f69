//! Messages with a place, or with a cell in its stead.

use super::Context;
use crate::absent::{self, is_blank_text};
use crate::{Answer, Out};
use odograph_model::{Alarm, Cell, Item, Key, Record, Time};
use odograph_wire::text::{degrees, number, pairs};
use odograph_wire::{Fields, Malformed, Reason, Result, units};

/// What devices alarm about, sorted.
const ALARMS: &[(&str, Alarm)] = &[
    ("DTC", Alarm::Fault),
    ("ac alarm", Alarm::PowerCut),
    ("accident alarm", Alarm::Accident),
    ("bonnet alarm", Alarm::Bonnet),
    ("door alarm", Alarm::Door),
    ("footbrake alarm", Alarm::FootBrake),
    ("help me", Alarm::Sos),
    ("low battery", Alarm::LowBattery),
    ("move", Alarm::Movement),
    ("sensor alarm", Alarm::Vibration),
    ("speed", Alarm::Overspeed),
    ("stockade", Alarm::Geofence),
];

/// Reads a message of device `id`.
pub(super) fn read(id: &str, f: &mut Fields<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    let word = f.text("word")?;
    why(id, word, &mut record, out);
    let clock = f.text("local time")?;
    let extra = f.text("phone or card")?;
    if word == "rfid" {
        record.set_some(Key::DriverId, Some(extra).filter(|card| !is_blank_text(card)));
    } else if !extra.trim().is_empty() {
        record.raw("phone", extra.trim());
    }
    let at = f.at();
    match f.text("fix")? {
        "F" => {
            let utc = f.text("UTC")?;
            record.time = moment(clock, utc, x.zone);
            if record.time.is_none() && !clock.bytes().all(|byte| byte == b'0') {
                out.note("a local time that is not in the calendar left out");
            }
            place(f, &mut record, out)?;
        }
        "L" => {
            record.time = x.zone.and_then(|zone| Some(local(clock)?.plus_ms(i64::from(zone).saturating_mul(-60_000))));
            cell(f, x, &mut record, out)?;
        }
        _ => return Err(Malformed::new("fix", at, Reason::Expected("F or L"))),
    }
    inputs(word, f, x, &mut record, out)?;
    Ok(record)
}

/// What the word says.
fn why(id: &str, word: &str, record: &mut Record, out: &mut Out<'_>) {
    if let Ok(index) = ALARMS.binary_search_by_key(&word, |(known, _)| known)
        && let Some((_, alarm)) = ALARMS.get(index)
    {
        record.alarm(*alarm);
    }
    match word {
        "help me" => out.reply(format!("**,imei:{id},E;")),
        "acc on" => record.set(Key::EngineIgnitionStatus, true),
        "acc off" => record.set(Key::EngineIgnitionStatus, false),
        "" | "tracker" => {}
        _ => {
            if let Some(temperature) = word.strip_prefix("T:") {
                record.alarm(Alarm::Temperature);
                let plain = temperature.trim_start_matches('+');
                stated("alarm.temperature", temperature, number(plain), Key::TemperatureN(1), record, out);
            } else if let Some(fuel) = word.strip_prefix("oil") {
                record.alarm(Alarm::FuelLeak);
                // Of the only tank, or with the tank's number; how much may be missing.
                let (key, volume) = match fuel.split_once(' ') {
                    Some(("1", volume)) => (Key::FuelVolumeN(1), volume.trim()),
                    Some(("2", volume)) => (Key::FuelVolumeN(2), volume.trim()),
                    Some(("", volume)) => (Key::FuelVolume, volume.trim()),
                    _ => (Key::FuelVolume, ""),
                };
                if volume.is_empty() && !fuel.is_empty() {
                    record.raw("oil", fuel.trim());
                }
                stated("oil", volume, number(volume.trim_end_matches('%')), key, record, out);
            } else if let Some(pieces) = word.strip_prefix("vt") {
                record.raw("media.pieces", pieces);
            } else if record.get(Key::Alarm).is_none() {
                record.set(Key::EventCode, word);
                answer(word, record, out);
            }
        }
    }
}

/// Sets a value, or keeps the text of `field` that is none.
fn stated(field: &str, text: &str, value: Option<f64>, key: Key, record: &mut Record, out: &mut Out<'_>) {
    match value {
        Some(value) => record.set(key, value),
        None if text.is_empty() => {}
        None => {
            out.note(format!("{field}: {text} is no number"));
            record.raw(field, text);
        }
    }
}

/// What came of a command: its letter with `t` for done or `f` for not, or its number, which begins with 1 or 5.
fn answer(word: &str, record: &mut Record, out: &mut Out<'_>) {
    let done = match word.as_bytes() {
        [b'a'..=b'z', b't'] => true,
        [b'a'..=b'z', b'f'] => false,
        [b'1', tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit() => true,
        [b'5', tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit() => false,
        _ => return,
    };
    record.set(Key::DeviceCommandResult, word);
    out.answer(Answer { token: None, text: word.to_owned(), done: Some(done) });
}

/// `YYMMDDHHMM` with or without seconds, also as `YY/MM/DD HH:MM`: what the device's clock shows.
pub(super) fn local(clock: &str) -> Option<Time> {
    let digits: String = clock.chars().filter(|character| !matches!(character, '/' | ':' | ' ')).collect();
    let seconds = match digits.len() {
        10 => "00",
        12 => "",
        _ => return None,
    };
    let digits = digits + seconds;
    let (date, time) = digits.split_at_checked(6)?;
    let ([year, month, day], [hour, minute, second]) = (pairs(date)?, pairs(time)?);
    Time::utc(i16::from(year).saturating_add(2000), month, day, hour, minute, second)
}

/// The moment of a local time and of the UTC beside it, which has no date: the one nearest to what the zone makes of the
/// local time. Without a zone their distance is that of one where people live: from 10 hours behind to 13 ahead, with
/// half an hour for clocks that differ.
fn moment(clock: &str, utc: &str, zone: Option<i32>) -> Option<Time> {
    const MINUTES_OF_DAY: i64 = 24 * 60;
    let shown = local(clock)?;
    let Some([hour, minute, second]) = pairs(utc.split('.').next().unwrap_or_default()) else {
        return Some(shown.plus_ms(i64::from(zone.unwrap_or(0)).saturating_mul(-60_000)));
    };
    let (hour, minute) = (i64::from(hour), i64::from(minute));
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let whole = shown.0.div_euclid(60_000);
    let ahead = whole.rem_euclid(MINUTES_OF_DAY).saturating_sub(hour.saturating_mul(60).saturating_add(minute));
    let most = match zone {
        Some(zone) => i64::from(zone).saturating_add(MINUTES_OF_DAY / 2),
        None => 13 * 60 + 30,
    };
    // Folded into the day that ends with the most.
    let ahead = most.saturating_sub(most.saturating_sub(ahead).rem_euclid(MINUTES_OF_DAY));
    let minutes = whole.saturating_sub(ahead);
    Some(Time(minutes.saturating_mul(60_000).saturating_add(i64::from(second).saturating_mul(1000))))
}

/// Validity, place and motion. The letters of the hemispheres stand behind their numbers, or before them.
fn place(f: &mut Fields<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let validity = f.text("validity")?;
    let latitude = angle(f, ["latitude", "north or south"], [("N", 1.0), ("S", -1.0)], 90.0)?;
    let longitude = angle(f, ["longitude", "east or west"], [("E", 1.0), ("W", -1.0)], 180.0)?;
    match (latitude, longitude) {
        (Angle::Known(latitude), Angle::Known(longitude)) => {
            record.set(Key::PositionLatitude, latitude);
            record.set(Key::PositionLongitude, longitude);
            record.set(Key::PositionValid, validity == "A");
        }
        (Angle::Empty, Angle::Empty) => {}
        // Half a place is none.
        (latitude, longitude) => {
            for (name, angle) in [("latitude", latitude), ("longitude", longitude)] {
                match angle {
                    Angle::Known(value) => record.raw(name, value),
                    Angle::Odd(text) => {
                        out.note(format!("{name}: {text} is none"));
                        record.raw(name, text);
                    }
                    Angle::Empty => out.note(format!("no {name}")),
                }
            }
        }
    }
    Ok(())
}

/// What stands where an angle is expected.
enum Angle {
    Known(f64),
    /// Number and letter as they are.
    Odd(String),
    Empty,
}

fn angle(f: &mut Fields<'_>, names: [&'static str; 2], signs: [(&str, f64); 2], most: f64) -> Result<Angle> {
    let [name, sign_name] = names;
    let sign_of = |text: &str| signs.iter().find(|(letter, _)| *letter == text).map(|(_, sign)| *sign);
    let before = sign_of(f.rest().split(',').next().unwrap_or_default());
    if before.is_some() {
        f.text(sign_name)?;
    }
    let text = f.text(name)?;
    let behind = sign_of(f.rest().split(',').next().unwrap_or_default());
    if behind.is_some() || (text.is_empty() && before.is_none()) {
        f.text(sign_name)?;
    }
    if text.is_empty() {
        return Ok(Angle::Empty);
    }
    let Some(sign) = behind.or(before) else {
        let at = f.at();
        let letter = f.text(sign_name)?;
        // A number in its stead: the fields are others than those of a place.
        return match letter.bytes().any(|byte| byte.is_ascii_digit()) {
            true => Err(Malformed::new(sign_name, at, Reason::Expected("a cardinal point"))),
            false => Ok(Angle::Odd(format!("{text},{letter}"))),
        };
    };
    Ok(match degrees(text).filter(|value| *value <= most) {
        Some(value) => Angle::Known(value * sign),
        None => Angle::Odd(format!("{text},{}", if sign > 0.0 { signs[0].0 } else { signs[1].0 })),
    })
}

/// Area and cell in hex, with nothing where a place has its other fields.
fn cell(f: &mut Fields<'_>, x: Context, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let mut hex = [None, None];
    for (index, name) in ["", "", "LAC", "", "cell", ""].into_iter().enumerate() {
        if !f.has_more() {
            break;
        }
        let text = f.text(if name.is_empty() { "empty" } else { name })?.trim();
        if name.is_empty() || text.is_empty() {
            continue;
        }
        let value = u64::from_str_radix(text, 16).ok();
        if value.is_none() {
            out.note(format!("{name}: {text} is no hex number"));
            record.raw(name.to_ascii_lowercase(), text);
        }
        if let Some(place) = hex.get_mut(index / 4) {
            *place = value;
        }
    }
    match hex {
        [Some(lac), Some(cid)] => {
            let [mcc, mnc] = x.network;
            record.push(Key::GsmCells, Item::Cell(Cell { mcc, mnc, lac: u32::try_from(lac).ok(), cid, signal: None }));
        }
        // An area alone, or a cell of none, is no cell.
        halves => {
            for (name, half) in ["lac", "cell"].into_iter().zip(halves) {
                if let Some(half) = half {
                    record.raw(name, format!("{half:x}"));
                }
            }
        }
    }
    Ok(())
}

/// Speed, course, altitude, and the inputs behind them; all may be missing.
fn inputs(word: &str, f: &mut Fields<'_>, x: Context, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    for (field, key) in
        [("speed", Key::PositionSpeed), ("course", Key::PositionDirection), ("altitude", Key::PositionAltitude)]
    {
        let text = if f.has_more() { f.text(field)?.trim() } else { "" };
        match number(text).filter(|value| *value >= 0.0 || key == Key::PositionAltitude) {
            Some(value) if key == Key::PositionSpeed => record.set(key, units::kph_of_knots(value)),
            Some(value) if key == Key::PositionDirection => absent::course(value, record, out),
            Some(value) => record.set(key, value),
            None if text.is_empty() => {}
            None => {
                out.note(format!("{field}: {text} is no number"));
                record.raw(field, text);
            }
        }
    }
    for (field, key) in [("acc", Key::EngineIgnitionStatus), ("door", Key::DoorStatus)] {
        // Messages about fuel have one field less.
        if matches!(f.rest().split(',').next(), Some("0" | "1" | "")) && f.has_more() {
            match f.text(field)? {
                "" => {}
                text => record.set(key, text == "1"),
            }
        }
    }
    fuel(word, f, x, record)
}

/// Fuel of two sensors and a temperature. Where the second sensor would be, an OBD reader has its odometer, and a trouble
/// alarm its code.
fn fuel(word: &str, f: &mut Fields<'_>, x: Context, record: &mut Record) -> Result<()> {
    for index in 1..=2_u8 {
        let text = if f.has_more() { f.text("fuel")?.trim() } else { return Ok(()) };
        match number(text.trim_end_matches('%')) {
            _ if word == "DTC" && index == 2 && !text.is_empty() => {
                record.push(Key::ObdDtc, Item::Text(text.into()));
            }
            Some(value) if index == 2 && !text.contains(['.', '%']) => {
                // Without a reader it is 0.
                if value > 0.0 {
                    record.set(Key::VehicleMileage, value * x.metres / 1000.0);
                }
            }
            Some(value) => record.set(Key::FuelVolumeN(index), value),
            None if text.is_empty() => {}
            None => record.raw(format!("fuel.{index}"), text),
        }
    }
    let text = if f.has_more() { f.text("temperature")?.trim() } else { return Ok(()) };
    match number(text.trim_start_matches('+')) {
        Some(value) => record.set(Key::TemperatureN(1), value),
        None if text.is_empty() => {}
        None => record.raw("temperature", text),
    }
    let mut index = 0_u32;
    while let Ok(text) = f.text("field") {
        index = index.saturating_add(1);
        if !text.trim().is_empty() {
            record.raw(index.to_string(), text.trim());
        }
    }
    Ok(())
}
