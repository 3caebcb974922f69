//! Texts that know no place: cells, and the state of the device.

use super::position::{keep, negative};
use super::status;
use crate::Out;
use odograph_model::{Cell, Key, Record};
use odograph_wire::{Fields, Malformed, Reason, Result};

/// A cell is heard with so few others that more are a mistake.
const CELLS_MAX: usize = 64;
/// The battery's voltage in V3: what full scale of 0x400 stands for.
const VOLTS_OF_SCALE: f64 = 5.6;

/// `V0`, `HTBT`: a sign of life; in HTBT with the battery's level.
pub(super) fn heartbeat(kind: &str, f: &mut Fields<'_>) -> Result<Option<Record>> {
    if f.rest().is_empty() {
        return Ok(None);
    }
    let mut record = Record::new();
    if kind == "HTBT" {
        match f.rest().split(',').next().map(str::parse::<u8>) {
            Some(Ok(level)) => {
                record.set(Key::BatteryLevel, level);
                f.text("battery")?;
            }
            _ => record.raw("battery", f.text("battery")?),
        }
    }
    keep(f, &mut record);
    Ok(Some(record))
}

/// `NBR`: the cells in the neighbourhood, the serving one first.
pub(super) fn neighbours(f: &mut Fields<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    let time = f.text("time")?;
    let (mcc, mnc) = (known(f.num("MCC")?), f.num("MNC")?);
    record.raw("gsm.delay", f.text("delay")?);
    for _ in 0..count(f)? {
        let (lac, cid) = (f.num("LAC")?, f.num("cell")?);
        let signal = f.opt::<i32>("signal")?.map(negative);
        status::add_cell(&mut record, Cell { mcc, mnc: mcc.map(|_| mnc), lac: Some(lac), cid, signal });
    }
    dated(time, f, &mut record, out)?;
    // The same steps as in binary records of these devices.
    if let Some(level) = f.rest().parse().ok().filter(|code| *code <= 6).and_then(status::battery) {
        f.text("battery")?;
        record.set(Key::BatteryLevel, level);
    }
    keep(f, &mut record);
    Ok(record)
}

/// `V3`: cells with the battery's voltage.
pub(super) fn cells(f: &mut Fields<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    let time = f.text("time")?;
    let at = f.at();
    let network = f.text("network")?;
    let number = |text: &str| text.parse::<u32>().ok();
    let network = network.split_at_checked(3).and_then(|(mcc, mnc)| number(mcc).zip(number(mnc)));
    let Some((mcc, mnc)) = network else {
        return Err(Malformed::new("network", at, Reason::Expected("country and network")));
    };
    let mcc = known(mcc);
    for _ in 0..count(f)? {
        let (lac, cid) = (f.num("LAC")?, f.num("cell")?);
        f.text("strength")?;
        let signal = f.opt("dBm")?;
        status::add_cell(&mut record, Cell { mcc, mnc: mcc.map(|_| mnc), lac: Some(lac), cid, signal });
    }
    let text = f.text("battery")?;
    match u16::from_str_radix(text, 16) {
        Ok(value) => record.set(Key::BatteryVoltage, f64::from(value) * VOLTS_OF_SCALE / 1024.0),
        Err(_) => record.raw("battery", text),
    }
    record.raw("reboots", f.text("reboots")?);
    f.text("end of cells")?;
    dated(time, f, &mut record, out)?;
    keep(f, &mut record);
    Ok(record)
}

/// `BS`: cells in hex.
pub(super) fn stations(f: &mut Fields<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    let time = f.text("time")?;
    let mcc = known(u32::try_from(hex("MCC", f)?).unwrap_or(0));
    let mnc = u32::try_from(hex("MNC", f)?).ok();
    // Behind the cells stand a date, a status and the battery.
    let cells = f.rest().split(',').count().saturating_sub(3) / 3;
    for _ in 0..cells.min(CELLS_MAX) {
        let lac = u32::try_from(hex("LAC", f)?).ok();
        let cid = hex("cell", f)?;
        let signal = f.opt::<i32>("signal")?.map(negative);
        if (lac, cid) != (Some(0), 0) {
            status::add_cell(&mut record, Cell { mcc, mnc: mcc.and(mnc), lac, cid, signal });
        }
    }
    dated(time, f, &mut record, out)?;
    if f.has_more() {
        record.raw("battery", f.text("battery")?);
    }
    keep(f, &mut record);
    Ok(record)
}

/// `BASE`: one cell.
pub(super) fn base(f: &mut Fields<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    let time = f.text("time")?;
    let (mcc, mnc, lac, cid) = (f.num("MCC")?, f.num("MNC")?, f.num("LAC")?, f.num("cell")?);
    if (mcc, lac, cid) != (0, 0, 0) {
        let mcc = known(mcc);
        status::add_cell(&mut record, Cell { mcc, mnc: mcc.map(|_| mnc), lac: Some(lac), cid, signal: None });
    }
    dated(time, f, &mut record, out)?;
    keep(f, &mut record);
    Ok(record)
}

/// `LINK`: the state of the device.
pub(super) fn link(f: &mut Fields<'_>, out: &mut Out<'_>) -> Result<Record> {
    let mut record = Record::new();
    let time = f.text("time")?;
    let keys = [
        ("signal", Some(Key::GsmSignalStrength)),
        ("satellites", Some(Key::PositionSatellites)),
        ("battery", Some(Key::BatteryLevel)),
        ("steps", Some(Key::PersonSteps)),
        ("turnovers", None),
    ];
    for (field, key) in keys {
        let value = f.opt::<u32>(field)?;
        match key {
            Some(key) => record.set_some(key, value),
            None => record.raw(field, value.unwrap_or(0)),
        }
    }
    dated(time, f, &mut record, out)?;
    keep(f, &mut record);
    Ok(record)
}

/// The date to a time, and the status.
fn dated(time: &str, f: &mut Fields<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let date = f.text("date")?;
    record.time = status::moment(time, date);
    if record.time.is_none() && !(time.is_empty() || date.is_empty()) {
        out.note("a date that is not in the calendar left out");
    }
    let at = f.at();
    match status::read(f.text("status")?) {
        Some(status) => status::set(status, record),
        None => return Err(Malformed::new("status", at, Reason::Expected("eight hex digits"))),
    }
    Ok(())
}

fn count(f: &mut Fields<'_>) -> Result<usize> {
    let at = f.at();
    match f.num("cells")? {
        count if count > CELLS_MAX => Err(Malformed::new("cells", at, Reason::TooMany { max: CELLS_MAX })),
        count => Ok(count),
    }
}

fn hex(field: &'static str, f: &mut Fields<'_>) -> Result<u64> {
    let at = f.at();
    let text = f.text(field)?.trim();
    u64::from_str_radix(text, 16).map_err(|_| Malformed::new(field, at, Reason::Expected("hex digits")))
}

/// No country has the code 0.
const fn known(mcc: u32) -> Option<u32> {
    if mcc == 0 { None } else { Some(mcc) }
}
