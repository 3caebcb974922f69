//! Values of more than one part.

use crate::Out;
use crate::absent::{self, unless_ones};
use compact_str::format_compact;
use odograph_model::{Alarm, Key, Record};
use odograph_wire::{Cursor, Result, bits};

/// A place; gives whether it comes from base stations.
pub(super) fn place(v: &mut Cursor<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<bool> {
    let flags = v.u8("satellites and correctness")?;
    let (latitude, longitude) = (v.i32_le("latitude")?, v.i32_le("longitude")?);
    // Any other number says that the place is not current.
    let (is_valid, state) = match flags >> 4 {
        0 => (true, "gnss"),
        2 => (true, "cells"),
        _ => (false, "none"),
    };
    record.set(Key::PositionSatellites, flags & 0x0F);
    let is_place = latitude.unsigned_abs() <= 90_000_000 && longitude.unsigned_abs() <= 180_000_000;
    record.set(Key::PositionValid, is_valid && is_place);
    record.set(Key::GnssState, state);
    if is_place {
        record.set(Key::PositionLatitude, f64::from(latitude) / 1e6);
        record.set(Key::PositionLongitude, f64::from(longitude) / 1e6);
    } else {
        out.note(format!("{latitude} {longitude} is no place"));
    }
    Ok(state == "cells")
}

/// Speed and direction, in tenths. All ones are no speed, and there is no direction beyond 360 degrees.
pub(super) fn motion(v: &mut Cursor<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let (speed, direction) = (v.u16_le("speed")?, v.u16_le("direction")?);
    match unless_ones(speed) {
        None => out.note("a speed of all ones left out"),
        Some(speed) => record.set(Key::PositionSpeed, f64::from(speed) / 10.0),
    }
    absent::course(f64::from(direction) / 10.0, record, out);
    Ok(())
}

/// The device's state. Of the bits, those are made parameters that mean the same in all firmware; the others are in
/// the word itself. Devices that send by mobile network have reported with bit 3 that they have no SIM card, and ones
/// on 24 volts with bit 8 that their supply is wrong.
pub(super) fn status(status: u16, record: &mut Record) {
    let has = |bit| bits::is_set(status, bit);
    record.set(Key::StatusCode, format_compact!("{status}"));
    record.set(Key::MovementStatus, has(0));
    record.set(Key::EngineIgnitionStatus, has(9));
    record.set(Key::AlarmModeStatus, has(14));
    record.set(Key::GsmSignalStrength, status >> 12 & 0b11);
    for (bit, alarm) in [(5, Alarm::LowBattery), (6, Alarm::GpsAntennaCut), (15, Alarm::General)] {
        if has(bit) {
            record.alarm(alarm);
        }
    }
}

/// Three axes of ten bits: 512 is nothing, and 186 more or less are one g.
pub(super) fn axes(value: u32, record: &mut Record) {
    // Where the device has no accelerometer: no device is pushed with 2.75 g along all axes.
    if value == 0 {
        return;
    }
    let axes = [value & 0x3FF, value >> 10 & 0x3FF, value >> 20 & 0x3FF];
    let [x, y, z] = axes;
    let square = |axis: u32| ((f64::from(axis) - 512.0) / 186.0).powi(2);
    record.set(Key::AccelerationAxes, format_compact!("{x},{y},{z}"));
    record.set(Key::Acceleration, axes.map(square).iter().sum::<f64>().sqrt());
}

/// EcoDrive: the strongest of each kind, in hundredths of a g.
pub(super) fn driving(v: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    for name in ["acceleration", "braking", "cornering"] {
        let value = f64::from(v.u8(name)?) / 100.0;
        record.raw(format_compact!("driving.{name}"), value);
    }
    record.set(Key::ShockLevel, f64::from(v.u8("bumps")?) / 100.0);
    Ok(())
}

/// The id that a broken line has, with the temperature [`BROKEN`].
const BROKEN_ID: u8 = 127;
const BROKEN: i8 = -128;

/// A thermometer on the 1-Wire bus.
pub(super) fn thermometer(n: u8, v: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let (id, temperature) = (v.u8("thermometer id")?, v.i8("temperature")?);
    if (id, temperature) != (BROKEN_ID, BROKEN) {
        record.set(Key::TemperatureN(n), temperature);
        record.raw(format_compact!("temperature.{n}.id"), id);
    }
    Ok(())
}

/// A thermometer with a hygrometer, DS1923.
pub(super) fn hygrometer(n: u8, v: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let (id, temperature, humidity) = (v.u8("sensor id")?, v.i8("temperature")?, v.u8("humidity")?);
    if (id, temperature) != (BROKEN_ID, BROKEN) {
        record.set(Key::TemperatureN(n), temperature);
        record.set(Key::HumidityN(n), f64::from(humidity) * 100.0 / 255.0);
        record.raw(format_compact!("temperature.{n}.id"), id);
    }
    Ok(())
}

/// Level of fuel, coolant and engine speed from the vehicle's bus. All ones is how that bus says «not available» (SAE
/// J1939-71).
pub(super) fn engine(v: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let (level, coolant, speed) = (v.u8("fuel level")?, v.u8("coolant temperature")?, v.u16_le("engine speed")?);
    record.set_some(Key::FuelLevel, unless_ones(level).map(|level| f64::from(level) * 0.4));
    record.set_some(Key::EngineCoolantTemperature, unless_ones(coolant).map(|coolant| f64::from(coolant) - 40.0));
    record.set_some(Key::EngineRpm, unless_ones(speed).map(|speed| f64::from(speed) * 0.125));
    Ok(())
}

/// One psi in kPa.
const KPA_OF_PSI: f64 = 6.894_757;

/// PressurePro and TPMS: a sensor's pressure and flags, for each of up to 34.
pub(super) fn tyres(v: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let mut n = 0_u8;
    while !v.is_empty() {
        n = n.saturating_add(1);
        let (pressure, flags) = (v.u8("tyre pressure")?, v.u8("tyre state")?);
        // In steps of 20 degrees from -40 on.
        let temperature = f64::from(flags & 0b111) * 20.0 - 40.0;
        tyre(n, pressure, temperature, bits::is_set(flags, 3), flags >> 4, record);
    }
    Ok(())
}

/// A tyre. Bit 0 of `state` is a low battery or a fault of the sensor, bits 1 to 3 say why it was sent. Where there is no
/// sensor, all is zero.
pub(super) fn tyre(n: u8, pressure: u8, temperature: f64, is_lost: bool, state: u8, record: &mut Record) {
    if !is_lost && (pressure, state) == (0, 0) {
        return;
    }
    if !is_lost {
        record.set(Key::TirePressureN(n), f64::from(pressure) * KPA_OF_PSI);
        record.set(Key::TireTemperatureN(n), temperature);
    }
    record.raw(format_compact!("tire.{n}.lost"), is_lost);
    record.raw(format_compact!("tire.{n}.fault"), bits::is_set(state, 0));
    record.raw(format_compact!("tire.{n}.reason"), state >> 1 & 0b111);
}
