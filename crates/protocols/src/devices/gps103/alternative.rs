//! The form that some makers send, with a name, a place in degrees and UTC.

use crate::Out;
use crate::absent;
use odograph_model::{Key, Record, Time};
use odograph_wire::text::{number, pairs};
use odograph_wire::{Fields, Result};

/// Reads a message. Dashes stand for nothing, and so do empty fields.
pub(super) fn read(f: &mut Fields<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    record.raw("name", f.text("name")?);
    let event = f.text("event")?;
    if is_stated(event) {
        record.set(Key::EventCode, event);
    }
    for (field, name) in [("sensor", "sensor.id"), ("sensor voltage", "sensor.voltage")] {
        let text = f.text(field)?;
        if is_stated(text) {
            record.raw(name, text);
        }
    }
    let (time, date) = (pairs(f.text("time")?), pairs(f.text("date")?));
    record.time = time.zip(date).and_then(|([hour, minute, second], [day, month, year])| {
        Time::utc(i16::from(year).saturating_add(2000), month, day, hour, minute, second)
    });
    if record.time.is_none() {
        out.note("a date that is not in the calendar left out");
    }
    let signal = value(f, "signal", whole, &mut record, out)?;
    record.set_some(Key::GsmSignalStrength, signal);
    place(f, &mut record, out)?;
    let keys = [
        ("speed", Key::PositionSpeed),
        ("course", Key::PositionDirection),
        ("altitude", Key::PositionAltitude),
        ("hdop", Key::PositionHdop),
    ];
    for (field, key) in keys {
        match value(f, field, number, &mut record, out)? {
            Some(course) if key == Key::PositionDirection => absent::course(course, &mut record, out),
            number => record.set_some(key, number),
        }
    }
    let satellites = value(f, "satellites", whole, &mut record, out)?;
    record.set_some(Key::PositionSatellites, satellites);
    for (field, key) in [("acc", Key::EngineIgnitionStatus), ("charge", Key::BatteryChargingStatus)] {
        let state = value(f, field, whole, &mut record, out)?;
        record.set_some(key, state.map(|state| state > 0));
    }
    let error = f.take_rest("error").trim_end_matches(',');
    if is_stated(error) {
        record.raw("error", error);
    }
    Ok(record)
}

fn is_stated(text: &str) -> bool {
    !text.trim_matches('-').is_empty()
}

fn place(f: &mut Fields<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let valid = value(f, "fix", whole, record, out)?.is_some_and(|fix| fix > 0);
    let latitude = value(f, "latitude", number, record, out)?;
    let longitude = value(f, "longitude", number, record, out)?;
    match (latitude, longitude) {
        (Some(latitude), Some(longitude)) if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 => {
            record.set(Key::PositionLatitude, latitude);
            record.set(Key::PositionLongitude, longitude);
            record.set(Key::PositionValid, valid);
        }
        (Some(latitude), Some(longitude)) => out.note(format!("{latitude},{longitude} is no place")),
        (None, None) => {}
        (latitude, longitude) => {
            out.note("half a place left out");
            for (name, half) in [("latitude", latitude), ("longitude", longitude)] {
                if let Some(half) = half {
                    record.raw(name, half);
                }
            }
        }
    }
    Ok(())
}

fn whole(text: &str) -> Option<u32> {
    text.parse().ok()
}

/// A field as a number, if one stands there. What is something else is noted and kept.
fn value<T>(
    f: &mut Fields<'_>,
    field: &'static str,
    read: fn(&str) -> Option<T>,
    record: &mut Record,
    out: &mut Out<'_>,
) -> Result<Option<T>> {
    let text = f.text(field)?.trim();
    let value = read(text.trim_start_matches('+'));
    if value.is_none() && is_stated(text) {
        out.note(format!("{field}: {text} is no number"));
        record.raw(field, text);
    }
    Ok(value)
}
