//! Extended tags, two bytes wide, which stand in the value of tag FE.

use super::{hex, values};
use crate::Out;
use compact_str::format_compact;
use odograph_model::{Cell, Item, Key, Record};
use odograph_wire::{Cursor, Malformed, Reason, Result};

struct Row {
    first: u16,
    last: u16,
    width: u8,
    name: &'static str,
    to: To,
}

/// What becomes of a value. A number n counts from the row's first tag.
#[derive(Clone, Copy)]
enum To {
    /// A register of Modbus, in hundredths; n counts on from this one.
    Modbus(u16),
    CellId,
    Area,
    Country,
    Network,
    Thermometer,
    Satellites(&'static str),
    Imsi,
    SimCard,
    Registration,
    /// Three counts of the archive of this name.
    Archive(&'static str),
    Restart,
    Tyre,
    Reason,
    Signal,
    Number(&'static str),
    Numbered(&'static str, u16),
    Bytes(&'static str),
    BytesNumbered(&'static str, u16),
}

/// Reads all extended tags of a record. How long one is that is not in the table nobody can know, so that from there on
/// the bytes stay as they are; the record goes on behind the block.
pub(super) fn block(mut c: Cursor<'_>, record: &mut Record, out: &mut Out<'_>) {
    let mut heard = Heard::default();
    while !c.is_empty() {
        let at_tag = c;
        if let Err(error) = tag(&mut c, &mut heard, record) {
            record.raw("extended.rest", hex(at_tag.rest()));
            out.note(format!("extended tags from byte {} on are kept as they are: {error}", at_tag.at()));
            break;
        }
    }
    record.set_some(Key::PositionSatellitesVisible, heard.visible);
    // No country has the code 0.
    if heard.cell.mcc.is_some_and(|mcc| mcc != 0) {
        record.push(Key::GsmCells, Item::Cell(heard.cell));
    }
}

/// What several tags say together.
#[derive(Default)]
struct Heard {
    cell: Cell,
    /// Satellites of all systems.
    visible: Option<u32>,
}

fn tag(c: &mut Cursor<'_>, heard: &mut Heard, record: &mut Record) -> Result<()> {
    let at_tag = *c;
    let id = c.u16_le("extended tag")?;
    let row = find(id).ok_or_else(|| at_tag.error("extended tag", Reason::Unknown))?;
    let v = c.sub(row.name, row.width.into())?;
    match row.to {
        To::CellId | To::Area | To::Country | To::Network => network(row, v, &mut heard.cell),
        To::Satellites(system) => satellites(system, v, &mut heard.visible, record),
        _ => read(id.saturating_sub(row.first), row, v, record),
    }
}

fn read(n: u16, row: &Row, mut v: Cursor<'_>, record: &mut Record) -> Result<()> {
    match row.to {
        To::Modbus(first) => {
            let value = f64::from(v.u32_le(row.name)?) / 100.0;
            record.raw(format_compact!("modbus.{}", first.saturating_add(n)), value);
        }
        To::Thermometer => thermometer(n, v, record)?,
        To::Imsi => match digits(v.take_rest(row.name)) {
            Ok(digits) => record.raw("sim.imsi", digits),
            Err(other) => record.raw("sim.imsi.bytes", other),
        },
        To::SimCard => match digits(v.take_rest(row.name)) {
            Ok(digits) => record.set(Key::GsmSimIccid, digits),
            Err(other) => record.raw("sim.card.bytes", other),
        },
        To::Registration => registration(v.u8(row.name)?, record),
        To::Archive(archive) => {
            for name in ["total", "sent", "sent.second"] {
                record.raw(format_compact!("{archive}.{name}"), v.u32_le(name)?);
            }
        }
        To::Restart => {
            record.raw("restart.time", v.u64_le("restart time")?);
            record.raw("restart.reason", v.u16_le("restart reason")?);
            record.raw("restart.count", v.u32_le("restart count")?);
        }
        To::Tyre => {
            let (pressure, temperature, flags) = (v.u8("tyre pressure")?, v.i8("temperature")?, v.u8("tyre state")?);
            let n = u8::try_from(n).unwrap_or(u8::MAX).saturating_add(1);
            values::tyre(n, pressure, temperature.into(), flags & 1 == 1, flags >> 1, record);
        }
        To::Reason => record.set(Key::EventCode, format_compact!("{}", v.u8(row.name)?)),
        To::Signal => record.set(Key::GsmSignalStrength, v.u8(row.name)?),
        To::Number(name) => record.raw(name, number(&mut v, row.name)?),
        To::Numbered(name, first) => {
            record.raw(format_compact!("{name}{}", first.saturating_add(n)), number(&mut v, row.name)?);
        }
        To::Bytes(name) => record.raw(name, hex(v.take_rest(row.name))),
        To::BytesNumbered(name, first) => {
            record.raw(format_compact!("{name}{}", first.saturating_add(n)), hex(v.take_rest(row.name)));
        }
        // Read by `tag`.
        To::CellId | To::Area | To::Country | To::Network | To::Satellites(_) => {}
    }
    Ok(())
}

/// A number in ASCII, which may be padded; what is none, in hex: a modem without a card has sent anything.
fn digits(bytes: &[u8]) -> std::result::Result<&str, String> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim_matches(['\0', ' ']);
    match !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        true => Ok(text),
        false => Err(hex(bytes)),
    }
}

fn find(id: u16) -> Option<&'static Row> {
    let after = ROWS.partition_point(|row| row.first <= id);
    ROWS.get(after.checked_sub(1)?).filter(|row| id <= row.last)
}

fn network(row: &Row, mut v: Cursor<'_>, cell: &mut Cell) -> Result<()> {
    let value = v.u16_le(row.name)?;
    match row.to {
        To::CellId => cell.cid = value.into(),
        To::Area => cell.lac = Some(value.into()),
        To::Country => cell.mcc = Some(value.into()),
        _ => cell.mnc = Some(value.into()),
    }
    Ok(())
}

/// The thermometers of tags 70 to 77 with more digits, in 256ths of a degree: they replace what those said.
fn thermometer(n: u16, mut v: Cursor<'_>, record: &mut Record) -> Result<()> {
    const BROKEN: (u16, i16) = (127, i16::MIN);
    let (id, value) = (v.u16_le("thermometer id")?, v.i16_le("temperature")?);
    let n = u8::try_from(n).unwrap_or(u8::MAX).saturating_add(1);
    if (id, value) != BROKEN {
        record.set(Key::TemperatureN(n), f64::from(value) / 256.0);
    }
    Ok(())
}

fn satellites(system: &str, mut v: Cursor<'_>, visible: &mut Option<u32>, record: &mut Record) -> Result<()> {
    let seen = v.u8("satellites in view")?;
    *visible = Some(visible.unwrap_or(0).saturating_add(seen.into()));
    record.raw(format_compact!("{system}.visible"), seen);
    for name in ["used", "snr.average", "snr.max"] {
        record.raw(format_compact!("{system}.{name}"), v.u8(name)?);
    }
    Ok(())
}

fn registration(state: u8, record: &mut Record) {
    record.raw("gsm.registration", state);
    match state {
        // At home, or for texts only.
        1 | 6 => record.set(Key::GsmRoamingStatus, false),
        5 | 7 => record.set(Key::GsmRoamingStatus, true),
        _ => {}
    }
}

fn number(v: &mut Cursor<'_>, name: &'static str) -> Result<u32> {
    match v.left() {
        1 => v.u8(name).map(u32::from),
        4 => v.u32_le(name),
        _ => Err(Malformed::new(name, v.at(), Reason::TooMany { max: 4 })),
    }
}

const fn row(first: u16, last: u16, width: u8, name: &'static str, to: To) -> Row {
    Row { first, last, width, name, to }
}

const fn one(id: u16, width: u8, name: &'static str, to: To) -> Row {
    row(id, id, width, name, to)
}

/// Sorted by tag.
const ROWS: &[Row] = &[
    row(0x0001, 0x0020, 4, "Modbus", To::Modbus(0)),
    row(0x0021, 0x0060, 4, "Bluetooth", To::Numbered("bluetooth.", 0)),
    row(0x0061, 0x0080, 4, "Modbus", To::Modbus(32)),
    one(0x0081, 2, "cell", To::CellId),
    one(0x0082, 2, "location area", To::Area),
    one(0x0083, 2, "country", To::Country),
    one(0x0084, 2, "operator", To::Network),
    one(0x0085, 1, "signal", To::Signal),
    row(0x0086, 0x008D, 4, "thermometer", To::Thermometer),
    one(0x008E, 4, "GPS satellites", To::Satellites("gps")),
    one(0x008F, 4, "GLONASS satellites", To::Satellites("glonass")),
    one(0x0090, 4, "BeiDou satellites", To::Satellites("beidou")),
    one(0x0091, 4, "Galileo satellites", To::Satellites("galileo")),
    one(0x0092, 15, "IMSI", To::Imsi),
    one(0x0093, 1, "SIM slot", To::Number("sim.slot")),
    one(0x0094, 20, "SIM card", To::SimCard),
    one(0x00A4, 1, "Wi-Fi state", To::Number("wifi.state")),
    one(0x00A5, 1, "Wi-Fi error", To::Number("wifi.error")),
    one(0x00A6, 1, "modem state", To::Number("modem.state")),
    one(0x00A7, 1, "registration", To::Registration),
    one(0x00A8, 1, "GPRS session", To::Number("gprs.session")),
    one(0x00A9, 4, "free memory", To::Number("memory.free")),
    one(0x00AB, 12, "archive", To::Archive("archive")),
    one(0x00AC, 4, "last record", To::Number("archive.last")),
    one(0x00AD, 6, "Wi-Fi address", To::Bytes("wifi.mac")),
    one(0x00AE, 6, "Bluetooth address", To::Bytes("bluetooth.mac")),
    one(0x00AF, 14, "restart", To::Restart),
    one(0x00B0, 1, "signal to noise", To::Number("snr")),
    one(0x00B1, 1, "SD card state", To::Number("sd.state")),
    one(0x00B2, 1, "SD card error", To::Number("sd.error")),
    one(0x00B3, 12, "collector archive", To::Archive("collector")),
    row(0x00B4, 0x00B6, 6, "client address", To::BytesNumbered("client.mac.", 1)),
    row(0x00D9, 0x00FA, 3, "tyre", To::Tyre),
    one(0x00FC, 1, "reason", To::Reason),
    row(0x00FD, 0x00FE, 8, "iButton", To::BytesNumbered("ibutton64.", 1)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_do_not_overlap() {
        assert!(ROWS.iter().all(|row| row.first <= row.last));
        assert!(ROWS.windows(2).all(|pair| pair[0].last < pair[1].first));
        assert_eq!(find(0x0020).map(|row| row.name), Some("Modbus"));
        for unknown in [0x0000, 0x0095, 0x00AA, 0x00FF, 0x2724, 0x8001] {
            assert!(find(unknown).is_none(), "{unknown:04x}");
        }
    }
}
