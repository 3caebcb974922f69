//! The tags, with their widths: every one that a description or a public decoder names.

use super::draft::{Draft, Inputs};
use super::{extended, hex, reefer, values};
use crate::Out;
use crate::absent::is_blank;
use compact_str::format_compact;
use odograph_model::{Alarm, Key};
use odograph_wire::charset::windows_1251;
use odograph_wire::{Cursor, Malformed, Reason, Result};

/// Tags that follow each other and are read alike.
pub(super) struct Row {
    first: u8,
    last: u8,
    width: Width,
    /// What the maker calls it: errors and traces name it.
    name: &'static str,
    to: To,
}

/// How many bytes a value takes.
#[derive(Clone, Copy)]
enum Width {
    Bytes(u8),
    /// As many as its first byte says, and that byte.
    Short,
    /// As many as its first two bytes say, and those.
    Long,
    /// As many as the flags of the refrigeration unit say.
    Reefer,
}

/// What becomes of a value. A number n counts from the row's first tag.
#[derive(Clone, Copy)]
enum To {
    Hardware,
    Firmware,
    Imei,
    Time,
    Milliseconds,
    Place,
    Motion,
    Precision,
    Status,
    ExtendedStatus,
    Axes,
    Driving,
    /// Input n, counted on from this one.
    Input(u8),
    /// Value of RS232 port n.
    Port,
    /// What else RS232 port n says: a temperature or a weight.
    PortExtra,
    /// Level of fuel sensor n.
    Fuel,
    /// Level of fuel sensor n, counted on from the third, and its temperature.
    FuelAndTemperature,
    FuelTemperature,
    /// Sensor n's id and temperature.
    Thermometer,
    /// Sensor n's id, temperature and humidity.
    Hygrometer,
    Engine,
    Tyres,
    Reefer,
    CanSpeed,
    /// Weight on axle n.
    Axle,
    CanHours,
    CanLitres,
    CommandNumber,
    CommandText,
    UserArray,
    Extended,
    /// A number, divided.
    Scaled(Key, f64),
    /// A number with sign.
    Signed(Key),
    Whole(Key),
    /// The number of a key; zeros and ones say that there is none.
    Driver,
    /// Under this name, as a number.
    Raw(&'static str),
    /// Under this name and number n, counted on from this one, as a number.
    RawNumbered(&'static str, u8),
    /// Under this name, as hex digits.
    RawBytes(&'static str),
}

impl Row {
    #[cfg(test)]
    pub(super) const fn first(&self) -> u8 {
        self.first
    }

    /// Whether its value may turn out to be longer than it seemed by its first bytes.
    pub(super) const fn grows(&self) -> bool {
        matches!(self.width, Width::Reefer)
    }
}

/// The row of a tag.
pub(super) fn find(id: u8) -> Option<&'static Row> {
    let after = ROWS.partition_point(|row| row.first <= id);
    ROWS.get(after.checked_sub(1)?).filter(|row| id <= row.last)
}

/// Passes over a value.
pub(super) fn skip(row: &Row, c: &mut Cursor<'_>) -> Result<()> {
    value(row, c).map(|_| ())
}

/// Reads a value into `draft`.
pub(super) fn read(id: u8, row: &Row, c: &mut Cursor<'_>, draft: &mut Draft, out: &mut Out<'_>) -> Result<()> {
    let n = id.saturating_sub(row.first);
    let mut v = value(row, c)?;
    match row.to {
        To::Hardware => draft.hardware = Some(v.u8(row.name)?),
        To::Firmware => draft.firmware = Some(v.u8(row.name)?),
        To::Imei => imei(v.take_rest(row.name), draft, out),
        To::Time => draft.seconds = Some(v.u32_le(row.name)?),
        To::Milliseconds => milliseconds(v.u16_le(row.name)?, draft, out),
        To::Motion => values::motion(&mut v, &mut draft.record, out)?,
        To::Place => draft.by_cells = values::place(&mut v, &mut draft.record, out)?,
        To::Precision => draft.precision = Some(v.u8(row.name)?),
        To::Input(first) => input(n.saturating_add(first), v.u16_le(row.name)?, draft),
        To::Port => port(n, v.u16_le(row.name)?, draft),
        To::PortExtra => port_extra(n, v.i8(row.name)?, draft),
        To::UserArray => user_array(&mut v, draft)?,
        To::CommandNumber => {
            let number = v.u32_le(row.name)?;
            draft.command = Some(number);
            draft.record.set(Key::RecordIndex, number);
        }
        To::CommandText => {
            let text = windows_1251(v.take_rest(row.name));
            draft.record.set(Key::DeviceCommandResult, text.as_str());
            draft.result = Some(text);
        }
        To::Extended => extended::block(v, &mut draft.record, out),
        To::Reefer => reefer::unit(&mut v, &mut draft.record)?,
        _ => plain(n, row, v, draft)?,
    }
    Ok(())
}

/// What goes into the record as it is.
fn plain(n: u8, row: &Row, mut v: Cursor<'_>, draft: &mut Draft) -> Result<()> {
    let (record, reading) = (&mut draft.record, draft.reading);
    let number = |base: u8| n.saturating_add(base);
    match row.to {
        To::Status => values::status(v.u16_le(row.name)?, record),
        To::ExtendedStatus => {
            let status = v.u16_le(row.name)?;
            // Bit 2: the mobile network is jammed; bit 4: satellites are.
            if status & 0b1_0100 != 0 {
                record.alarm(Alarm::Jamming);
            }
            record.raw("status.extended", status);
        }
        To::Axes => values::axes(v.u32_le(row.name)?, record),
        To::Driving => values::driving(&mut v, record)?,
        To::Fuel => record.set(Key::FuelVolumeN(kept(n, FUEL_SENSORS)), v.u16_le(row.name)?),
        To::FuelAndTemperature => {
            record.set(Key::FuelVolumeN(number(3)), v.u16_le(row.name)?);
            record.set(Key::FuelTemperatureN(number(3)), v.i8("temperature")?);
        }
        To::FuelTemperature => record.set(Key::FuelTemperatureN(kept(n, FUEL_SENSORS)), v.i8(row.name)?),
        To::Thermometer => values::thermometer(number(1), &mut v, record)?,
        To::Hygrometer => values::hygrometer(number(9), &mut v, record)?,
        To::Engine => values::engine(&mut v, record)?,
        To::Tyres => values::tyres(&mut v, record)?,
        To::CanSpeed if reading.can_log => record.set(Key::CanVehicleSpeed, v.u8(row.name)?),
        To::CanSpeed => record.raw("can8bitr0", v.u8(row.name)?),
        To::Axle if reading.axles => record.set(Key::AxleWeightN(number(1)), f64::from(v.u16_le(row.name)?) / 2.0),
        To::Axle => record.raw(format_compact!("can16bitr{n}"), v.u16_le(row.name)?),
        To::CanHours if reading.can_log => record.set(Key::EngineHours, f64::from(v.u32_le(row.name)?) / 100.0),
        To::CanHours => record.raw("can32bitr0", v.u32_le(row.name)?),
        To::CanLitres if reading.can_log => record.set(Key::FuelVolume, f64::from(v.u32_le(row.name)?) / 10.0),
        To::CanLitres => record.raw("can32bitr1", v.u32_le(row.name)?),
        // All ones say that it is not known.
        To::Scaled(..) if is_ones(&v) => v.skip(row.name, v.left())?,
        To::Scaled(key, by) => record.set(key, f64::from(unsigned(&mut v, row.name)?) / by),
        To::Signed(key) if v.left() == 1 => record.set(key, v.i8(row.name)?),
        To::Signed(key) => record.set(key, v.i16_le(row.name)?),
        To::Whole(key) => record.set(key, unsigned(&mut v, row.name)?),
        // No key was read.
        To::Driver if is_blank(v.rest()) => v.skip(row.name, v.left())?,
        To::Driver => record.set(Key::DriverId, format_compact!("{}", v.u32_le(row.name)?)),
        To::Raw(name) => record.raw(name, unsigned(&mut v, row.name)?),
        To::RawNumbered(name, first) => {
            record.raw(format_compact!("{name}{}", number(first)), unsigned(&mut v, row.name)?);
        }
        To::RawBytes(name) => record.raw(name, hex(v.take_rest(row.name))),
        // Read by `read`.
        _ => {}
    }
    Ok(())
}

/// The bytes of a value, without the length before it.
fn value<'a>(row: &Row, c: &mut Cursor<'a>) -> Result<Cursor<'a>> {
    let length = match row.width {
        Width::Bytes(width) => width.into(),
        Width::Short => c.u8("length")?.into(),
        Width::Long => c.u16_le("length")?.into(),
        Width::Reefer => reefer::length(c)?,
    };
    c.sub(row.name, length)
}

fn is_ones(v: &Cursor<'_>) -> bool {
    v.rest().iter().all(|byte| *byte == u8::MAX)
}

/// All of a value of one to four bytes.
fn unsigned(v: &mut Cursor<'_>, name: &'static str) -> Result<u32> {
    match v.left() {
        1 => v.u8(name).map(u32::from),
        2 => v.u16_le(name).map(u32::from),
        3 => v.u24_le(name),
        4 => v.u32_le(name),
        _ => Err(Malformed::new(name, v.at(), Reason::TooMany { max: 4 })),
    }
}

fn imei(bytes: &[u8], draft: &mut Draft, out: &mut Out<'_>) {
    match std::str::from_utf8(bytes) {
        Ok(imei) if bytes.iter().all(u8::is_ascii_digit) => draft.imei = Some(imei.into()),
        _ => out.note(format!("the IMEI is no number: {}", hex(bytes))),
    }
}

fn milliseconds(value: u16, draft: &mut Draft, out: &mut Out<'_>) {
    match value {
        0..1000 => draft.milliseconds = value,
        _ => out.note(format!("{value} milliseconds are no part of a second")),
    }
}

/// Inputs have their numbers printed on the device, and fuel sensors are set to theirs, so that both keep them. Both
/// count from 0, which the dictionary does not have: that one stands behind the last of `count`.
const fn kept(n: u8, count: u8) -> u8 {
    if n == 0 { count } else { n }
}

/// Inputs 0 to 13.
const INPUTS: u8 = 14;
/// Addresses 0 to 15 on RS485.
const FUEL_SENSORS: u8 = 16;

fn input(n: u8, value: u16, draft: &mut Draft) {
    let n = kept(n, INPUTS);
    match draft.reading.inputs {
        Inputs::AsSent => draft.record.set(Key::AinN(n), value),
        Inputs::Voltage => draft.record.set(Key::AinN(n), f64::from(value) / 1000.0),
        Inputs::Pulses => draft.record.set(Key::CounterN(n), value),
    }
}

/// Behind the addresses of RS485 come the two ports of RS232.
const RS232_FIRST: u8 = FUEL_SENSORS + 1;

fn port(n: u8, value: u16, draft: &mut Draft) {
    match draft.reading.rs232_fuel {
        true => draft.record.set(Key::FuelVolumeN(RS232_FIRST.saturating_add(n)), value),
        false => draft.record.raw(format_compact!("rs232.{n}"), value),
    }
}

fn port_extra(n: u8, value: i8, draft: &mut Draft) {
    match draft.reading.rs232_fuel {
        true => draft.record.set(Key::FuelTemperatureN(RS232_FIRST.saturating_add(n)), value),
        false => draft.record.raw(format_compact!("rs232.{n}.extra"), value),
    }
}

/// Of passenger counters: a type, then for each its address, its state, and how many came in and went out.
fn user_array(v: &mut Cursor<'_>, draft: &mut Draft) -> Result<()> {
    let mut sensors = *v;
    draft.record.raw("user.array", hex(v.take_rest("user array")));
    let is_whole = sensors.left().checked_sub(1).is_some_and(|left| left.is_multiple_of(PASSENGER_BYTES));
    if !draft.reading.passengers || sensors.peek() != Some(PASSENGERS) || !is_whole {
        return Ok(());
    }
    sensors.u8("user array type")?;
    while !sensors.is_empty() {
        let address = sensors.u24_le("sensor address")?;
        let state = sensors.u8("sensor state")?;
        let (entered, left) = (sensors.u16_le("passengers in")?, sensors.u16_le("passengers out")?);
        let mut raw = |name: &str, value: u16| draft.record.raw(format_compact!("passengers.{address}.{name}"), value);
        raw("state", state.into());
        raw("in", entered);
        raw("out", left);
    }
    Ok(())
}

/// The type of a user array that holds passenger counters.
const PASSENGERS: u8 = 10;
const PASSENGER_BYTES: usize = 8;

const fn row(first: u8, last: u8, width: u8, name: &'static str, to: To) -> Row {
    Row { first, last, width: Width::Bytes(width), name, to }
}

const fn one(id: u8, width: u8, name: &'static str, to: To) -> Row {
    row(id, id, width, name, to)
}

const fn long(id: u8, width: Width, name: &'static str, to: To) -> Row {
    Row { first: id, last: id, width, name, to }
}

/// Sorted by tag.
pub(super) const ROWS: &[Row] = &[
    one(0x01, 1, "hardware version", To::Hardware),
    one(0x02, 1, "firmware version", To::Firmware),
    one(0x03, 15, "IMEI", To::Imei),
    one(0x04, 2, "device number", To::Raw("device.number")),
    one(0x10, 2, "archive record number", To::Whole(Key::RecordIndex)),
    // The same with all its digits: it stands behind the short one and replaces it.
    one(0x11, 4, "archive record number", To::Whole(Key::RecordIndex)),
    one(0x20, 4, "time", To::Time),
    one(0x21, 2, "milliseconds", To::Milliseconds),
    one(0x30, 9, "coordinates", To::Place),
    one(0x33, 4, "speed and direction", To::Motion),
    one(0x34, 2, "altitude", To::Signed(Key::PositionAltitude)),
    one(0x35, 1, "HDOP or error", To::Precision),
    one(0x36, 1, "PDOP", To::Scaled(Key::PositionPdop, 10.0)),
    one(0x40, 2, "status", To::Status),
    one(0x41, 2, "supply voltage", To::Scaled(Key::ExternalPowerVoltage, 1000.0)),
    one(0x42, 2, "battery voltage", To::Scaled(Key::BatteryVoltage, 1000.0)),
    one(0x43, 1, "inside temperature", To::Signed(Key::DeviceTemperature)),
    one(0x44, 4, "acceleration", To::Axes),
    one(0x45, 2, "outputs", To::Whole(Key::Dout)),
    one(0x46, 2, "inputs", To::Whole(Key::Din)),
    one(0x47, 4, "driving style", To::Driving),
    one(0x48, 2, "extended status", To::ExtendedStatus),
    one(0x49, 1, "transmission channel", To::Raw("channel")),
    row(0x50, 0x57, 2, "input", To::Input(0)),
    row(0x58, 0x59, 2, "RS232", To::Port),
    one(0x5A, 4, "electricity meter", To::Raw("energy.meter")),
    long(0x5B, Width::Reefer, "refrigeration unit", To::Reefer),
    one(0x5C, 68, "tyres", To::Tyres),
    one(0x5D, 3, "dosimeter", To::RawBytes("dosimeter")),
    row(0x60, 0x62, 2, "fuel level", To::Fuel),
    row(0x63, 0x6F, 3, "fuel level and temperature", To::FuelAndTemperature),
    row(0x70, 0x77, 2, "thermometer", To::Thermometer),
    row(0x78, 0x7D, 2, "input", To::Input(8)),
    row(0x80, 0x87, 3, "thermometer and hygrometer", To::Hygrometer),
    row(0x88, 0x89, 1, "RS232 extended data", To::PortExtra),
    row(0x8A, 0x8C, 1, "fuel temperature", To::FuelTemperature),
    one(0x90, 4, "iButton 1", To::Driver),
    row(0xA0, 0xAF, 1, "CAN8BITR", To::RawNumbered("can8bitr", 15)),
    row(0xB0, 0xB9, 2, "CAN16BITR", To::RawNumbered("can16bitr", 5)),
    one(0xC0, 4, "CAN_A0", To::Scaled(Key::FuelConsumed, 2.0)),
    one(0xC1, 4, "CAN_A1", To::Engine),
    // In steps of five metres.
    one(0xC2, 4, "CAN_B0", To::Scaled(Key::CanVehicleMileage, 200.0)),
    one(0xC3, 4, "CAN_B1", To::Raw("can_b1")),
    one(0xC4, 1, "CAN8BITR0", To::CanSpeed),
    row(0xC5, 0xD2, 1, "CAN8BITR", To::RawNumbered("can8bitr", 1)),
    one(0xD3, 4, "iButton 2", To::Raw("ibutton.2")),
    one(0xD4, 4, "mileage", To::Scaled(Key::VehicleMileage, 1000.0)),
    one(0xD5, 1, "iButton states", To::Raw("ibutton.states")),
    row(0xD6, 0xDA, 2, "CAN16BITR", To::Axle),
    one(0xDB, 4, "CAN32BITR0", To::CanHours),
    one(0xDC, 4, "CAN32BITR1", To::CanLitres),
    row(0xDD, 0xDF, 4, "CAN32BITR", To::RawNumbered("can32bitr", 2)),
    one(0xE0, 4, "command number", To::CommandNumber),
    long(0xE1, Width::Short, "command text", To::CommandText),
    row(0xE2, 0xE9, 4, "user data", To::RawNumbered("user.", 0)),
    long(0xEA, Width::Short, "user array", To::UserArray),
    long(0xEB, Width::Short, "command data", To::RawBytes("command.data")),
    row(0xF0, 0xF9, 4, "CAN32BITR", To::RawNumbered("can32bitr", 5)),
    one(0xFA, 3, "tag FA", To::RawBytes("tag.fa")),
    one(0xFD, 8, "tag FD", To::RawBytes("tag.fd")),
    long(0xFE, Width::Long, "extended tags", To::Extended),
];
