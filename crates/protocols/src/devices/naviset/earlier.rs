//! Records of the earlier edition: a fixed beginning, and what the structure of the packet names.

use super::{course, degrees, hdop, key, known, place, satellites, status, time, volts};
use crate::Out;
use odograph_model::{Key, Record};
use odograph_wire::{Cursor, Result, bits};

pub(super) fn read(mut c: Cursor<'_>, out: &mut Out<'_>) -> Result<()> {
    c.skip("device number", 2)?;
    let structure = c.u16_le("structure")?;
    while !c.is_empty() {
        let start = c;
        let mut record = fixed(&mut c, out)?;
        for element in (0..16_u8).filter(|element| bits::is_set(structure, u32::from(*element))) {
            more(element, &mut c, &mut record)?;
        }
        out.record(record.hash_span(c.since(&start)));
    }
    Ok(())
}

/// Whether records of this structure, all of which have the same length, make up so many bytes.
pub(super) fn fits(structure: u16, bytes: usize) -> bool {
    let named = (0..).zip(MORE).filter(|(element, _)| bits::is_set(structure, *element));
    let record = named.fold(FIXED, |sum, (_, length)| sum.saturating_add(length));
    bytes.is_multiple_of(record)
}

fn fixed(c: &mut Cursor<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    record.set(Key::RecordIndex, c.u16_le("record")?);
    record.time = time(c.u32_le("time")?);
    satellites(c.u8("satellites")?, &mut record);
    place(c.i32_le("latitude")?, c.i32_le("longitude")?, &mut record);
    record.set(Key::PositionSpeed, f64::from(c.u16_le("speed")?) / 10.0);
    course(c.u16_le("course")?, &mut record, out);
    record.set(Key::PositionAltitude, c.i16_le("altitude")?);
    hdop(c.u8("hdop")?, &mut record);
    Ok(record)
}

fn more(element: u8, c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    match element {
        0 => status(c.u8("status")?, record),
        1 => {
            record.set(Key::ExternalPowerVoltage, volts(c.u16_le("supply")?));
            record.set(Key::BatteryVoltage, volts(c.u16_le("battery")?));
        }
        2 => record.set_some(Key::DeviceTemperature, degrees(c.i8("own temperature")?)),
        3 => {
            record.set(Key::Din, c.u8("inputs")?);
            record.set(Key::Dout, c.u8("outputs")?);
        }
        4..=7 => {
            let first = element.saturating_sub(4).saturating_mul(2).saturating_add(1);
            record.set(Key::AinN(first), c.u16_le("analogue input")?);
            record.set(Key::AinN(first.saturating_add(1)), c.u16_le("analogue input")?);
        }
        8 | 9 => {
            let before = element.saturating_sub(8).saturating_mul(4);
            for probe in 1..=4_u8 {
                record.set_some(Key::TemperatureN(before.saturating_add(probe)), degrees(c.i8("temperature")?));
            }
        }
        10 => key(c.byte_array("key")?, record),
        11 => {
            record.raw("frequency.1", c.u16_le("frequency")?);
            record.raw("frequency.2", c.u16_le("frequency")?);
        }
        12 => {
            record.set_some(Key::FuelVolumeN(1), known(c.u16_le("fuel")?));
            record.set_some(Key::FuelVolumeN(2), known(c.u16_le("fuel")?));
        }
        13 => {
            record.set_some(Key::FuelTemperatureN(1), degrees(c.i8("fuel temperature")?));
            record.set_some(Key::FuelTemperatureN(2), degrees(c.i8("fuel temperature")?));
        }
        14 => super::engine(c, record)?,
        _ => {
            super::consumed(c, record)?;
            super::mileage(c, record)?;
        }
    }
    Ok(())
}

/// How long the fixed beginning is, and what each element of the structure adds.
const FIXED: usize = 22;
const MORE: [usize; 16] = [1, 4, 1, 2, 4, 4, 4, 4, 4, 4, 6, 4, 4, 2, 4, 8];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_as_long_as_it_is_said_to_be() {
        for element in 0..16 {
            let length = MORE[usize::from(element)];
            let bytes = [1; 8];
            let mut c = Cursor::new(&bytes[..length]);
            more(element, &mut c, &mut Record::new()).unwrap();
            assert!(c.is_empty(), "element {element}");
        }
        assert!(fits(0, 44) && !fits(0, 45) && fits(0xFFFF, 82 * 3) && !fits(0xFFFF, 81));
    }
}
