//! What an OBD reader sends beside the positions.

use super::Context;
use super::regular::local;
use crate::Out;
use odograph_model::{Item, Key, Record};
use odograph_wire::text::number;
use odograph_wire::{Fields, Result};

/// Reads an OBD message. Fields may be empty, and are then not stated.
pub(super) fn read(f: &mut Fields<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    f.text("word")?;
    let clock = f.text("local time")?;
    record.time = local(clock).map(|time| time.plus_ms(i64::from(x.zone.unwrap_or(0)).saturating_mul(-60_000)));
    if record.time.is_none() {
        out.note("a local time that is not in the calendar left out");
    }
    let mut odd = Vec::new();
    let mut value = |f: &mut Fields<'_>, field: &'static str, out: &mut Out<'_>| -> Result<Option<f64>> {
        let text = f.text(field)?.trim();
        let plain = text.trim_start_matches('+').trim_end_matches('%');
        let value = number(plain);
        // A sign alone stands for no temperature.
        if value.is_none() && !plain.trim_start_matches('-').is_empty() {
            out.note(format!("{field}: {text} is no number"));
            odd.push((field, text.to_owned()));
        }
        Ok(value)
    };
    let odometer = value(f, "odometer", out)?;
    record.set_some(Key::VehicleMileage, odometer.map(|value| value * x.metres / 1000.0));
    if let Some(fuel) = value(f, "fuel", out)? {
        record.raw("fuel.instant", fuel);
    }
    record.set_some(Key::FuelConsumption, value(f, "average fuel", out)?);
    record.set_some(Key::EngineHours, value(f, "hours", out)?);
    record.set_some(Key::CanVehicleSpeed, value(f, "speed", out)?);
    record.set_some(Key::EngineLoadLevel, value(f, "load", out)?);
    record.set_some(Key::EngineCoolantTemperature, value(f, "coolant", out)?);
    record.set_some(Key::EngineThrottleLevel, value(f, "throttle", out)?);
    record.set_some(Key::EngineRpm, value(f, "rpm", out)?);
    if let Some(voltage) = value(f, "voltage", out)? {
        // The vehicle's battery; the peers of this protocol have one key for both.
        record.set(Key::BatteryVoltage, voltage);
        record.set(Key::ExternalPowerVoltage, voltage);
    }
    for (field, text) in odd {
        record.raw(field.replace(' ', "."), text);
    }
    while f.has_more() {
        let code = f.text("trouble code")?.trim();
        if !code.is_empty() {
            record.push(Key::ObdDtc, Item::Text(code.into()));
        }
    }
    Ok(record)
}
