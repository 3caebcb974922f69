//! Tag 5B: a refrigeration unit, behind one of the adapters that the maker knows.
//!
//! ```text
//! UU  FFFF  II II II II  [zone 10 bytes]*3  [sensor i16]*6  [alarms 32 bytes]  [u32]*5  [u32]*3  [errors u16]  [rpm u16]
//! ```
//!
//! U kind of unit; F what is there and follows; I digital inputs. Temperatures are in tenths of a degree. Table 15 of the
//! maker's description of 6 February 2019.

use crate::absent::unless_ones;
use compact_str::format_compact;
use odograph_model::{Alarm, Item, Key, Record, Value};
use odograph_wire::{Cursor, Reason, Result, bits};

const ZONES: u8 = 3;
const SENSORS: u8 = 6;
const SERVICES: u8 = 5;
const ALARM_BYTES: usize = 32;
/// Kind, flags and four inputs, which are always there.
const FIXED_BYTES: usize = 7;
/// What each flag from the second on adds, in bytes.
const ADDED_BYTES: [usize; 14] = [10, 10, 10, 2, 2, 2, 2, 2, 2, ALARM_BYTES, 20, 12, 2, 2];
/// Behind the eight thermometers of the 1-Wire bus and the eight that are hygrometers too.
const FIRST_PROBE: u8 = 17;
/// So many codes iQFreeze hands on.
const IQ_FREEZE_CODES: usize = 6;

/// How long the value is that begins at `c`.
pub(super) fn length(c: &Cursor<'_>) -> Result<usize> {
    let [_, low, high, ..] = c.rest() else {
        return Err(c.error("refrigeration unit", Reason::Truncated { need: FIXED_BYTES, have: c.left() }));
    };
    let flags = u16::from_le_bytes([*low, *high]);
    let added = ADDED_BYTES.iter().zip(1..).filter(|(_, bit)| bits::is_set(flags, *bit)).map(|(bytes, _)| *bytes);
    Ok(added.fold(FIXED_BYTES, usize::saturating_add))
}

/// The adapter, as far as it says things its own way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    DataCold500,
    /// Thermo King's iBox and TouchPrint.
    ThermoKing,
    /// EuroScan and DataCOLD 600.
    EuroScan,
    IqFreeze,
    Other,
}

/// What the unit's kind is called, and how it speaks.
const fn kind(unit: u8) -> (Option<&'static str>, Family) {
    let (name, family) = match unit {
        1 => ("DataCOLD500", Family::DataCold500),
        2 => ("Thermo King iBox", Family::ThermoKing),
        3 => ("EuroScan", Family::EuroScan),
        4 => ("Carrier Gateway", Family::Other),
        5 => ("DataCOLD600", Family::EuroScan),
        7 => ("iQFreeze Thermo King SLX", Family::IqFreeze),
        8 => ("iQFreeze Carrier Standard 32", Family::IqFreeze),
        9 => ("iQFreeze Zanotti", Family::IqFreeze),
        10 => ("iQFreeze Thermal Master", Family::IqFreeze),
        11 => ("iQFreeze Carrier NDP33LN6F", Family::IqFreeze),
        12 => ("iQFreeze Mitsubishi", Family::IqFreeze),
        13 => ("Thermo King TouchPrint", Family::ThermoKing),
        14 => ("iQFreeze Carrier Vector 1350", Family::IqFreeze),
        15 => ("iQFreeze Thermo King TGVI", Family::IqFreeze),
        16 => ("iQFreeze Carrier XARIOS", Family::IqFreeze),
        _ => return (None, Family::Other),
    };
    (Some(name), family)
}

/// Reads the unit.
pub(super) fn unit(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let unit = c.u8("kind of unit")?;
    let flags = c.u16_le("flags")?;
    let has = |bit| bits::is_set(flags, bit);
    let (name, family) = kind(unit);
    record.set_some(Key::ReeferUnitModel, name);
    record.raw("reefer.kind", unit);
    record.raw("reefer.flags", flags);
    if has(0) {
        record.raw("reefer.link", "lost");
    }
    for n in 1..=4 {
        input(n, c.u8("digital input")?, record);
    }
    // What the unit did not answer stands behind what it makes void.
    let void = Void::of(unit, unanswered(has(13), has(14), c));
    for zone in (1..=ZONES).filter(|zone| has((*zone).into())) {
        read_zone(zone, c, void, record)?;
    }
    for n in (0..SENSORS).filter(|n| has(u32::from(*n).saturating_add(4))) {
        let key = Key::TemperatureN(FIRST_PROBE.saturating_add(n));
        record.set_some(key, degrees(c.i16_le("temperature sensor")?));
    }
    if has(10) {
        alarms(family, c.bytes("alarms", ALARM_BYTES)?, record);
    }
    if has(11) {
        for n in 1..=SERVICES {
            service(n, c.u32_le("hours until service")?, record);
        }
    }
    if has(12) {
        hours(family, c, void, record)?;
    }
    if has(13) {
        record.raw("reefer.unanswered", c.u16_le("failed requests")?);
    }
    if has(14) {
        record.set(Key::ReeferEngineRpm, c.u16_le("engine speed")?);
    }
    Ok(())
}

/// The failed requests, which are at the very end, before the engine's speed.
fn unanswered(is_there: bool, rpm_follows: bool, c: &Cursor<'_>) -> u16 {
    let from_end = if rpm_follows { 4 } else { 2 };
    match (c.rest(), from_end) {
        ([.., low, high], 2) | ([.., low, high, _, _], 4) if is_there => u16::from_le_bytes([*low, *high]),
        _ => 0,
    }
}

/// What the device says cannot be relied on, because the unit did not answer (tables 16 to 18, for DataCOLD 500,
/// iBox, and EuroScan and DataCOLD 600).
#[derive(Clone, Copy, Default)]
struct Void {
    modes: bool,
    alarm_types: bool,
    /// Electric, total and engine hours.
    hours: [bool; 3],
}

impl Void {
    fn of(unit: u8, unanswered: u16) -> Self {
        let failed = |bit| bits::is_set(unanswered, bit);
        match unit {
            1 => Self { modes: failed(3), ..Self::default() },
            2 => Self { hours: [failed(5), failed(6), failed(7)], ..Self::default() },
            3 | 5 => Self { modes: failed(3), alarm_types: failed(5), ..Self::default() },
            _ => Self::default(),
        }
    }
}

/// Bit 0: in use; 1: its state; 2: it alarms; 3 to 7: what is attached.
fn input(n: u8, input: u8, record: &mut Record) {
    if !bits::is_set(input, 0) {
        return;
    }
    record.raw(format_compact!("reefer.input.{n}"), bits::is_set(input, 1));
    record.raw(format_compact!("reefer.input.{n}.type"), input >> 3);
    if bits::is_set(input, 2) {
        record.raw(format_compact!("reefer.input.{n}.alarm"), true);
        record.alarm(Alarm::Reefer);
    }
}

fn read_zone(zone: u8, c: &mut Cursor<'_>, void: Void, record: &mut Record) -> Result<()> {
    for (key, field) in [
        (Key::ReeferSetpointTemperatureN(zone), "set-point"),
        (Key::ReeferReturnAirTemperatureN(zone), "return air"),
        (Key::ReeferSupplyAirTemperatureN(zone), "supply air"),
        (Key::ReeferEvaporatorTemperatureN(zone), "evaporator"),
    ] {
        record.set_some(key, degrees(c.i16_le(field)?));
    }
    let state = c.u8("zone state")?;
    let code = c.u8("zone alarm code")?;
    let choose = |bit, yes: &'static str, no| if bits::is_set(state, bit) { yes } else { no };
    if !void.modes {
        record.set(Key::ReeferRunModeN(zone), choose(0, "continuous", "cycle_sentry"));
        record.set(Key::ReeferPowerSourceN(zone), choose(1, "electric", "diesel"));
    }
    record.set(Key::ReeferDefrostStatusN(zone), bits::is_set(state, 2));
    record.set(Key::ReeferDoorStatusN(zone), bits::is_set(state, 3));
    let kind = if void.alarm_types { 0 } else { state >> 4 };
    if kind != 0 {
        record.raw(format_compact!("reefer.alarm.type.{zone}"), kind);
        record.alarm(Alarm::Reefer);
    }
    if code != 0 {
        alarm_code(code, record);
    }
    Ok(())
}

/// Tenths of a degree; the two ends of the range are what adapters send for a sensor that is not there.
fn degrees(tenths: i16) -> Option<f64> {
    (tenths != i16::MIN && tenths != i16::MAX).then(|| f64::from(tenths) / 10.0)
}

fn alarms(family: Family, bytes: &[u8], record: &mut Record) {
    match family {
        // Sixteen pairs of code and level. What the levels mean is not described.
        Family::ThermoKing => {
            for [code, level] in bytes.as_chunks::<2>().0.iter().filter(|[code, _]| *code != 0) {
                alarm_code(*code, record);
                record.raw(format_compact!("reefer.alarm.level.{code}"), *level);
            }
        }
        Family::EuroScan => codes(bytes, record),
        Family::IqFreeze => codes(bytes.get(..IQ_FREEZE_CODES).unwrap_or(bytes), record),
        // «Active errors» for DataCOLD 500, and nothing for Carrier's gateway.
        Family::DataCold500 | Family::Other => {
            if bytes.iter().any(|byte| *byte != 0) {
                record.raw("reefer.alarms", super::hex(bytes));
                record.alarm(Alarm::Reefer);
            }
        }
    }
}

fn codes(bytes: &[u8], record: &mut Record) {
    for code in bytes.iter().filter(|code| **code != 0) {
        alarm_code(*code, record);
    }
}

/// A zone's code stands in the list of all codes too.
fn alarm_code(code: u8, record: &mut Record) {
    let item = Item::Text(format_compact!("{code}"));
    let is_known = matches!(record.get(Key::ReeferAlarmCodes), Some(Value::List(items)) if items.contains(&item));
    if !is_known {
        record.push(Key::ReeferAlarmCodes, item);
    }
    record.alarm(Alarm::Reefer);
}

/// The sign is not described; no unit waits two thousand centuries for its service, so that what would is overdue.
fn service(n: u8, hours: u32, record: &mut Record) {
    record.set_some(Key::ReeferServiceHoursN(n), unless_ones(hours).map(u32::cast_signed));
}

/// A place for one of the three counts.
#[derive(Clone, Copy)]
enum Hours {
    Electric,
    Total,
    Engine,
    Standby,
}

/// Run times. «To the minute» and «to three minutes» are what one count is, as «to tenths of a degree» is for the
/// temperatures: Thermo King counts twentieths of an hour.
fn hours(family: Family, c: &mut Cursor<'_>, void: Void, record: &mut Record) -> Result<()> {
    use Hours::{Electric, Engine, Standby, Total};
    let (order, minutes) = match family {
        Family::DataCold500 => ([Engine, Standby, Total], 1.0),
        Family::ThermoKing => ([Electric, Total, Engine], 3.0),
        Family::EuroScan => ([Electric, Standby, Engine], 1.0),
        Family::IqFreeze => ([Engine, Electric, Total], 1.0),
        Family::Other => {
            for n in 1..=3 {
                record.raw(format_compact!("reefer.hours.{n}"), c.u32_le("run time")?);
            }
            return Ok(());
        }
    };
    let [no_electric, no_total, no_engine] = void.hours;
    for which in order {
        let count = c.u32_le("run time")?;
        let hours = f64::from(count) * minutes / 60.0;
        let (key, is_void) = match which {
            Electric => (Key::ReeferElectricHours, no_electric),
            Total => (Key::ReeferTotalHours, no_total),
            Engine => (Key::ReeferEngineHours, no_engine),
            // On mains: the same as electric, where the unit does not tell the two apart.
            Standby if family == Family::DataCold500 => (Key::ReeferElectricHours, false),
            Standby => {
                record.raw("reefer.standby.hours", hours);
                continue;
            }
        };
        if unless_ones(count).is_some() && !is_void {
            record.set(key, hours);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_follows_from_the_flags() {
        let length = |flags: u16| {
            let [low, high] = flags.to_le_bytes();
            length(&Cursor::new(&[7, low, high]))
        };
        assert_eq!(length(0), Ok(7));
        // Bit 0, no link, adds nothing.
        assert_eq!(length(1), Ok(7));
        assert_eq!(length(0b0000_0010), Ok(17));
        assert_eq!(length(0b0111_1111_1111_1111), Ok(7 + 30 + 12 + 32 + 20 + 12 + 2 + 2));
        assert!(super::length(&Cursor::new(&[7, 0])).is_err());
    }
}
