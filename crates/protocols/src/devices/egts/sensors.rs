//! What telematic data say beside places (GOST 33472-2015, B.2.5 to B.2.15).
//!
//! ```text
//! 18 inputs       MM OO AA [I…] [A A A…]     masks of octets of inputs and of analogue inputs, outputs between them
//! 19 counters     MM [C C C…]
//! 20 state        SS MM BB II FF             mode, volts × 10 of supply, backup and inner battery, flags
//! 20 acceleration NN TTTTTTTT [RRRR XXXX YYYY ZZZZ…]   see `ecall`: told from a state by its length
//! 22 loops        MM [L…]                    four bits each
//! 23 one input    four bits of state, twelve of number       26 one loop, likewise
//! 24 one analogue input  NN AAAAAA           25 one counter  NN CCCCCC
//! 27 liquid       FF MMMM LLLLLLLL           flags and number, module, level
//! 28 passengers   FF DD RR MMMM [IN OUT…]    doors with counters, doors that were open, module
//! ```
//!
//! 21 was the state's number in drafts of the standard, when 20 was acceleration alone; devices of that time are in use.

use super::hex;
use crate::absent::unless_ones;
use compact_str::{CompactString, ToCompactString, format_compact};
use odograph_model::{Key, Record};
use odograph_wire::bits::{between, is_set};
use odograph_wire::{Cursor, Result};

const INPUTS: u8 = 18;
const COUNTERS: u8 = 19;
pub(super) const STATE: u8 = 20;
const STATE_OF_DRAFTS: u8 = 21;
const LOOPS: u8 = 22;
const ONE_INPUT: u8 = 23;
const ONE_ANALOGUE: u8 = 24;
const ONE_COUNTER: u8 = 25;
const ONE_LOOP: u8 = 26;
const LIQUID: u8 = 27;
const PASSENGERS: u8 = 28;

/// A state is as long as this.
pub(super) const STATE_LENGTH: usize = 5;
/// Numbers in keys go up to this.
const NUMBER_MAX: usize = 64;

/// In what steps a device states its voltages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Volts {
    /// As the standard says, which ends at 25.5 V.
    Tenths,
    /// As devices of trucks do at times.
    Whole,
}

/// Reads a subrecord of that kind, if it is one of these. `seen` counts those with inputs, which go on where the one
/// before ended.
pub(super) fn read(
    kind: u8,
    c: &mut Cursor<'_>,
    seen: &mut usize,
    volts: Volts,
    record: &mut Record,
) -> Option<Result<()>> {
    Some(match kind {
        INPUTS => {
            let before = *seen;
            *seen = seen.saturating_add(1);
            inputs(c, before, record)
        }
        COUNTERS => counters(c, record),
        STATE | STATE_OF_DRAFTS if c.left() == STATE_LENGTH => state(c, volts, record),
        LOOPS => loops(c, record),
        ONE_INPUT => one(c, |number, state| input(record, number, state != 0)),
        ONE_LOOP => one(c, |number, state| self::state_of_loop(record, number, state)),
        ONE_ANALOGUE => numbered(c, "analogue input", |number, value| analogue(record, number, value)),
        ONE_COUNTER => numbered(c, "counter", |number, value| counter(record, number, value)),
        LIQUID => liquid(c, record),
        PASSENGERS => passengers(c, record),
        _ => return None,
    })
}

/// The first of these has inputs 9 to 72 and analogue inputs 1 to 8, the second those that follow.
fn inputs(c: &mut Cursor<'_>, before: usize, record: &mut Record) -> Result<()> {
    let octets = c.u8("octets of inputs")?;
    let outputs = c.u8("outputs")?;
    let present = c.u8("analogue inputs present")?;
    match before {
        0 => record.set(Key::Dout, outputs),
        _ => record.raw(format_compact!("dout.{}", before.saturating_add(1)), outputs.to_compact_string()),
    }
    for octet in set_bits(octets) {
        let bits = c.u8("inputs")?;
        let first = before.saturating_mul(64).saturating_add(octet.saturating_mul(8)).saturating_add(9);
        (first..).zip(0..8).for_each(|(number, bit)| input(record, number, is_set(bits, bit)));
    }
    for index in set_bits(present) {
        let value = c.u24_le("analogue input")?;
        analogue(record, before.saturating_mul(8).saturating_add(index).saturating_add(1), value);
    }
    Ok(())
}

fn counters(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    for index in set_bits(c.u8("counters present")?) {
        let value = c.u24_le("counter")?;
        counter(record, index.saturating_add(1), value);
    }
    Ok(())
}

/// The two last bits have names that say the contrary of their description, so they are kept under the names.
fn state(c: &mut Cursor<'_>, steps: Volts, record: &mut Record) -> Result<()> {
    let mode = c.u8("mode")?;
    let mut volts = |field| {
        c.u8(field).map(|value| match steps {
            Volts::Tenths => f64::from(value) / 10.0,
            Volts::Whole => f64::from(value),
        })
    };
    record.set(Key::ExternalPowerVoltage, volts("supply")?);
    record.raw("backup.battery.voltage", volts("backup battery")?);
    record.set(Key::BatteryVoltage, volts("inner battery")?);
    let flags = c.u8("flags")?;
    record.raw("mode", MODES.get(usize::from(mode)).map_or_else(|| mode.to_compact_string(), |name| (*name).into()));
    for (name, bit) in [("navigation.module", 2), ("state.ibu", 1), ("state.bbu", 0)] {
        record.raw(name, is_set(flags, bit));
    }
    Ok(())
}

const MODES: [&str; 8] =
    ["passive", "era", "active", "emergency_call", "emergency_tracking", "test", "service", "firmware"];

/// States follow each other, the lower four bits of a byte first. The standard draws them in pairs and does not say
/// whether a loop that is not present leaves a gap; here it leaves none, unless only that fits the length.
fn loops(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let present = c.u8("loops present")?;
    let states = c.take_rest("states of loops");
    let numbers: Vec<usize> = set_bits(present).collect();
    let nibble = |place: usize| {
        let byte = states.get(place / 2).copied().unwrap_or_default();
        if place.is_multiple_of(2) { byte & 0x0F } else { byte >> 4 }
    };
    let with_gaps = numbers.last().map_or(0, |last| (last / 2).saturating_add(1));
    let is_packed = states.len() == numbers.len().div_ceil(2);
    if !is_packed && states.len() < with_gaps {
        return Err(c.error(
            "states of loops",
            odograph_wire::Reason::Count { stated: numbers.len().div_ceil(2), found: states.len() },
        ));
    }
    for (place, index) in numbers.iter().enumerate() {
        state_of_loop(record, index.saturating_add(1), nibble(if is_packed { place } else { *index }));
    }
    Ok(())
}

fn state_of_loop(record: &mut Record, number: usize, state: u8) {
    let word = match state {
        0 => "normal".into(),
        1 => "alarm".into(),
        2 => "broken".into(),
        4 => "short_to_ground".into(),
        8 => "short_to_power".into(),
        _ => state.to_compact_string(),
    };
    record.raw(format_compact!("loop.{number}"), word);
}

/// Four bits of state and twelve of a number.
fn one(c: &mut Cursor<'_>, set: impl FnOnce(usize, u8)) -> Result<()> {
    let word = c.u16_le("number and state")?;
    let state = u8::try_from(word & 0x0F).unwrap_or_default();
    set(usize::from(word >> 4), state);
    Ok(())
}

fn numbered(c: &mut Cursor<'_>, field: &'static str, set: impl FnOnce(usize, u32)) -> Result<()> {
    let number = c.u8("number")?;
    set(number.into(), c.u24_le(field)?);
    Ok(())
}

/// The value's unit is the device's own.
fn analogue(record: &mut Record, number: usize, value: u32) {
    match key_number(number) {
        Some(key) => record.set(Key::AinN(key), value),
        None => record.raw(format_compact!("ain.{number}"), value.to_compact_string()),
    }
}

fn counter(record: &mut Record, number: usize, value: u32) {
    match key_number(number) {
        Some(key) => record.set(Key::CounterN(key), value),
        None => record.raw(format_compact!("counter.{number}"), value.to_compact_string()),
    }
}

fn input(record: &mut Record, number: usize, active: bool) {
    match key_number(number) {
        Some(key) => record.set(Key::DinN(key), active),
        None => record.raw(format_compact!("din.{number}"), active),
    }
}

/// A number that keys can have: from 1, at most 64.
fn key_number(number: usize) -> Option<u8> {
    u8::try_from(number).ok().filter(|number| (1..=NUMBER_MAX).contains(&usize::from(*number)))
}

/// A level of a tank. Readings without a unit are kept as sent, as are those of a sensor number 0: whether devices
/// count from 0 or from 1 the standard does not say.
fn liquid(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let flags = c.u8("flags")?;
    let module = c.u16_le("module")?;
    let number = usize::from(flags & 7);
    let mut name = format_compact!("liquid.{number}");
    let key = key_number(number).map(Key::FuelVolumeN);
    if record.raw_values().iter().any(|(known, _)| *known == name) || key.is_some_and(|key| record.get(key).is_some()) {
        // Sensors of several modules may have one number.
        name = format_compact!("liquid.{number}.module.{module}");
    }
    let key = key.filter(|_| !name.contains("module"));
    if is_set(flags, 3) {
        record.raw(name, hex(c.take_rest("level as the sensor sent it")));
        return Ok(());
    }
    let level = c.u32_le("level")?;
    if is_set(flags, 6) {
        record.raw(name, "error");
        return Ok(());
    }
    match (between(flags, 4, 6), key) {
        // All ones are no level, and no tank is more than full.
        _ if unless_ones(level).is_none() => record.raw(name, level.to_compact_string()),
        (1, _) if level > 100 => record.raw(name, format_compact!("{level} %")),
        (0, Some(key)) => record.set(key, level),
        (2, Some(key)) => record.set(key, f64::from(level) / 10.0),
        (1, _) if record.get(Key::FuelLevel).is_none() => record.set(Key::FuelLevel, level),
        (1, _) => record.raw(name, format_compact!("{level} %")),
        (2, None) => record.raw(name, format_compact!("{} l", f64::from(level) / 10.0)),
        _ => record.raw(name, level.to_compact_string()),
    }
    Ok(())
}

fn passengers(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let flags = c.u8("flags")?;
    let (doors, opened) = (c.u8("doors with counters")?, c.u8("doors that were open")?);
    let module = c.u16_le("module")?;
    let name = |what: &str| -> CompactString {
        if module == 0 { format_compact!("passengers.{what}") } else { format_compact!("passengers.{module}.{what}") }
    };
    record.raw(name("doors"), opened.to_compact_string());
    if is_set(flags, 0) {
        record.raw(name("data"), hex(c.take_rest("counts as the counter sent them")));
        return Ok(());
    }
    for door in set_bits(doors) {
        let door = door.saturating_add(1);
        let (entered, left) = (c.u8("passengers that entered")?, c.u8("passengers that left")?);
        record.raw(name(&format!("in.{door}")), entered.to_compact_string());
        record.raw(name(&format!("out.{door}")), left.to_compact_string());
    }
    Ok(())
}

/// The numbers of the bits that are set, from the lowest.
fn set_bits(bits: u8) -> impl Iterator<Item = usize> {
    (0..8_u32).filter(move |bit| is_set(bits, *bit)).filter_map(|bit| usize::try_from(bit).ok())
}
