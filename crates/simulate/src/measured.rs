//! What a device measured at one moment, whatever language it says it in.

use crate::reefer::Unit;
use crate::roads::Place;

/// Why a device made a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was time.
    Interval,
    /// The truck turned.
    Turn,
    /// The ignition went on or off.
    Ignition,
    /// A door was opened or shut.
    Door,
    /// An alarm of the refrigeration unit came or went.
    Alarm,
    /// A blow.
    Shock,
    /// Somebody asked.
    Asked,
}

/// What a device measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Milliseconds since 1970 UTC as the device's clock has them, which may be wrong; whole seconds.
    pub time_ms: i64,
    /// Why.
    pub why: Why,
    /// Whether the device had a network to say it by.
    pub reachable: bool,
    /// Where.
    pub place: Place,
    /// Metres above the sea.
    pub altitude_m: i16,
    /// km/h.
    pub speed_kph: f64,
    /// Degrees clockwise from north, 0 to under 360.
    pub course: f64,
    /// Satellites in the fix.
    pub satellites: u8,
    /// Horizontal dilution of precision.
    pub hdop: f64,
    /// Whether the engine could run.
    pub ignition: bool,
    /// Output 1: the engine is blocked.
    pub blocked: bool,
    /// Metres driven in all the truck's life.
    pub odometer_m: u64,
    /// Hours that the engine has run.
    pub engine_h: f64,
    /// Revolutions a minute.
    pub engine_rpm: u16,
    /// Coolant, in degrees Celsius.
    pub coolant_c: f64,
    /// The truck's tank, in percent.
    pub fuel_percent: f64,
    /// Litres used in all its life.
    pub fuel_used_l: f64,
    /// The supply, in volts.
    pub supply_v: f64,
    /// The device's own battery, in volts.
    pub battery_v: f64,
    /// The mobile network's signal, 0 to 5.
    pub signal: u8,
    /// The driver's key.
    pub driver: u32,
    /// The strongest blow since the record before, in g.
    pub shock_g: f64,
    /// The refrigeration unit, where there is one.
    pub unit: Option<Unit>,
}

impl Measured {
    /// Whether it moves.
    pub fn moves(&self) -> bool {
        self.speed_kph >= 1.0
    }

    /// Whether a door of the cargo space is open.
    pub fn door_open(&self) -> bool {
        self.unit.as_ref().is_some_and(|unit| unit.zones.iter().any(|zone| zone.door_open))
    }
}
