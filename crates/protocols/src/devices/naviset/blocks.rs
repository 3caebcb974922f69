//! Records of the later edition: up to six blocks behind a fixed beginning, and in each what its mask names.

use super::{course, degrees, hdop, key, known, place, satellites, status, time, volts};
use crate::Out;
use crate::absent::unless_ones;
use compact_str::format_compact;
use odograph_model::{Key, Record};
use odograph_wire::{Cursor, Malformed, Reason, Result, bits, notation};

/// Reads the blocks of one kind: what is there, into what, and where notes go.
type Block = fn(&mut Cursor<'_>, Mask, &mut Record, &mut Out<'_>) -> Result<()>;

const BLOCKS: [(&str, Block); 6] = [
    ("navigation", navigation),
    ("analogue inputs", analogue),
    ("sensors", sensors),
    ("fuel", fuel),
    ("can", can),
    ("can log", can_log),
];
const PROBES: [(u32, [u8; 4]); 3] = [(2, [1, 2, 0, 0]), (3, [3, 4, 0, 0]), (4, [5, 6, 7, 8])];

/// Which elements of a block are there.
#[derive(Clone, Copy)]
struct Mask(u8);

impl Mask {
    fn has(self, element: u32) -> bool {
        bits::is_set(self.0, element)
    }
}

pub(super) fn read(mut c: Cursor<'_>, out: &mut Out<'_>) -> Result<()> {
    c.skip("device number", 2)?;
    let at = c.at();
    let blocks = c.u8("blocks")?;
    if !are_known(blocks) {
        // How long it is cannot be known, nor where the next record begins.
        return Err(Malformed::new("blocks", at, Reason::Unknown));
    }
    while !c.is_empty() {
        let record = record(&mut c, Mask(blocks), out)?;
        out.record(record);
    }
    Ok(())
}

/// Whether no other blocks are named than those that are known.
pub(super) fn are_known(blocks: u8) -> bool {
    blocks.checked_shr(6).unwrap_or(0) == 0
}

fn record(c: &mut Cursor<'_>, blocks: Mask, out: &mut Out<'_>) -> Result<Record> {
    let start = *c;
    let mut record = Record::new();
    record.set(Key::RecordIndex, c.u16_le("record")?);
    status(c.u8("status")?, &mut record);
    record.time = time(c.u32_le("time")?);
    place(c.i32_le("latitude")?, c.i32_le("longitude")?, &mut record);
    record.set(Key::PositionSpeed, f64::from(c.u16_le("speed")?) / 10.0);
    for (index, (name, block)) in (0..).zip(BLOCKS) {
        if blocks.has(index) {
            let mask = Mask(c.u8(name)?);
            block(c, mask, &mut record, out)?;
        }
    }
    Ok(record.hash_span(c.since(&start)))
}

fn navigation(c: &mut Cursor<'_>, mask: Mask, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    if mask.has(0) {
        let byte = c.u8("satellites")?;
        satellites(byte, record);
        record.set(Key::PositionValid, bits::is_set(byte, 7));
    }
    if mask.has(1) {
        course(c.u16_le("course")?, record, out);
    }
    if mask.has(2) {
        record.set(Key::PositionAltitude, c.i16_le("altitude")?);
    }
    if mask.has(3) {
        hdop(c.u8("hdop")?, record);
    }
    if mask.has(4) {
        record.set(Key::ExternalPowerVoltage, volts(c.u16_le("supply")?));
        record.set(Key::BatteryVoltage, volts(c.u16_le("battery")?));
    }
    if mask.has(5) {
        record.set(Key::Din, c.u8("inputs")?);
        record.set(Key::Dout, c.u8("outputs")?);
    }
    if mask.has(6) {
        record.set(Key::VehicleMileage, f64::from(c.u32_le("mileage")?) / 1000.0);
    }
    if mask.has(7) {
        let axes = [c.i16_le("acceleration x")?, c.i16_le("acceleration y")?, c.i16_le("acceleration z")?];
        let [x, y, z] = axes;
        record.set(Key::AccelerationAxes, format_compact!("{x},{y},{z}"));
    }
    Ok(())
}

fn analogue(c: &mut Cursor<'_>, mask: Mask, record: &mut Record, _: &mut Out<'_>) -> Result<()> {
    for (element, input) in (0..8).zip(1..) {
        if mask.has(element) {
            record.set(Key::AinN(input), c.u16_le("analogue input")?);
        }
    }
    Ok(())
}

fn sensors(c: &mut Cursor<'_>, mask: Mask, record: &mut Record, _: &mut Out<'_>) -> Result<()> {
    if mask.has(0) {
        record.set_some(Key::DeviceTemperature, degrees(c.i8("own temperature")?));
    }
    if mask.has(1) {
        key(c.byte_array("key")?, record);
    }
    for (element, probes) in PROBES {
        for probe in probes.into_iter().filter(|probe| mask.has(element) && *probe > 0) {
            record.set_some(Key::TemperatureN(probe), degrees(c.i8("temperature")?));
        }
    }
    if mask.has(5) {
        record.set(Key::EngineHours, f64::from(c.u16_le("engine minutes")?) / 60.0);
    }
    if mask.has(6) {
        record.raw("status.extra", c.u8("more status")?);
    }
    if mask.has(7) {
        let fence = c.u8("fence")?;
        if fence > 0 {
            record.set(Key::GeofenceId, format_compact!("{fence}"));
        }
    }
    Ok(())
}

fn fuel(c: &mut Cursor<'_>, mask: Mask, record: &mut Record, _: &mut Out<'_>) -> Result<()> {
    for (element, key) in [(0, Key::FuelVolumeN(1)), (1, Key::FuelVolumeN(2)), (2, Key::FuelVolume)] {
        if mask.has(element) {
            record.set_some(key, known(c.u16_le("fuel")?));
        }
    }
    if mask.has(3) {
        record.raw("fuel.others", notation::to_hex(c.bytes("other fuel sensors", 18)?));
    }
    for (element, sensor) in [(4, 1), (5, 2)] {
        if mask.has(element) {
            record.set_some(Key::FuelTemperatureN(sensor), degrees(c.i8("fuel temperature")?));
        }
    }
    for (element, name) in [(6, "frequency.1"), (7, "frequency.2")] {
        if mask.has(element) {
            record.raw(name, c.u16_le("frequency")?);
        }
    }
    Ok(())
}

fn can(c: &mut Cursor<'_>, mask: Mask, record: &mut Record, _: &mut Out<'_>) -> Result<()> {
    if mask.has(0) {
        super::engine(c, record)?;
    }
    if mask.has(1) {
        super::consumed(c, record)?;
    }
    if mask.has(2) {
        super::mileage(c, record)?;
    }
    for (element, axle) in (3..8).zip(1..) {
        if mask.has(element) {
            // Half a kilogram a unit, as on the vehicle's bus.
            record.set_some(Key::AxleWeightN(axle), known(c.u16_le("axle")?).map(|halves| halves / 2.0));
        }
    }
    Ok(())
}

/// What a CAN-LOG adapter gives, under its own letters.
fn can_log(c: &mut Cursor<'_>, mask: Mask, record: &mut Record, _: &mut Out<'_>) -> Result<()> {
    const ELEMENTS: [(&str, usize); 8] = [
        ("can.speed", 1),
        ("can.s", 3),
        ("can.p", 4),
        ("can.ab", 4),
        ("can.r", 2),
        ("can.others", 26),
        ("can.reserve.1", 4),
        ("can.reserve.2", 4),
    ];
    for (element, (name, length)) in (0..).zip(ELEMENTS) {
        match mask.has(element) {
            true if element == 0 => record.set_some(Key::CanVehicleSpeed, unless_ones(c.u8(name)?)),
            true => record.raw(name, notation::to_hex(c.bytes(name, length)?)),
            false => {}
        }
    }
    Ok(())
}
