//! Packets that know only cells, access points or beacons.

use super::location::add_cell;
use super::{
    ADDRESS_RESPONSE, Context, LBS_2, LBS_EXTEND, LBS_WIFI, Message, Variant, WIFI_3, WIFI_4, WIFI_5, WIFI_ALARM,
    X1_GPS, answer, hex, hundredths, moment, packet, raw_unless_zero, status, timed,
};
use crate::Out;
use compact_str::CompactString;
use odograph_model::{AccessPoint, Cell, Item, Key, Record, Time, Value};
use odograph_wire::{Cursor, Result, bits};

/// 0x17, 0x69: access points, as many as stands in place of a length, and cells. 0xF3: access points.
pub(super) fn wifi(m: &Message<'_>, out: &mut Out<'_>) -> Result<Option<Record>> {
    let mut c = m.content;
    if m.kind != WIFI_4 && m.span.len() == usize::from(m.length).saturating_sub(4) {
        out.note(format!("packets of type {:#04x} with a length are not decoded", m.kind));
        return Ok(None);
    }
    let time = c.rest().get(..6).unwrap_or_default();
    let mut record = timed(decimal_moment(&mut c, out)?);
    let count = if m.kind == WIFI_4 { c.u8("access points")?.into() } else { m.length };
    for _ in 0..count {
        if m.kind == WIFI_4 {
            c.u16("access point")?;
            let mac = mac(c.byte_array("MAC")?);
            push_once(&mut record, Key::WifiAccessPoints, Item::AccessPoint(AccessPoint { mac, signal: None }));
        } else {
            access_point(&mut c, &mut record)?;
        }
    }
    if m.kind == WIFI_4 {
        return Ok(Some(record));
    }
    let count = c.u8("cells")?;
    let (mcc, mnc) = (c.u16("MCC")?.into(), c.u8("MNC")?.into());
    for _ in 0..count {
        let (lac, cid) = (c.u16("LAC")?.into(), c.u16("cell")?.into());
        let signal = Some(i32::from(c.u8("signal")?).saturating_neg());
        add_cell(&mut record, Cell { mcc: Some(mcc), mnc: Some(mnc), lac: Some(lac), cid, signal });
    }
    c.finish("cells")?;
    let mut reply = vec![0x78, 0x78, 0, m.kind];
    reply.extend_from_slice(time);
    reply.extend_from_slice(b"\r\n");
    out.reply(reply);
    Ok(Some(record))
}

/// Cells in full, each with its signal; access points behind them in some types.
pub(super) fn cells(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = timed(moment(&mut c, x.zone, out)?);
    let advance_first = matches!(x.variant, Variant::WanwayS20 | Variant::Sl4x);
    if advance_first {
        c.u8("timing advance")?;
    }
    let mcc = c.u16("MCC")?;
    let wide_network = mcc >= 0x8000 || x.variant == Variant::Sl4x;
    let mnc = if wide_network { c.u16("MNC")?.into() } else { c.u8("MNC")?.into() };
    let is_4g = m.kind == WIFI_ALARM && c.u8("network technology")? > 0;
    let shape = match m.kind {
        LBS_2 | WIFI_3 => Shape::Long,
        WIFI_ALARM if is_4g => Shape::Long,
        WIFI_5 | X1_GPS => Shape::Middle,
        _ => Shape::Short,
    };
    let count = match m.kind {
        WIFI_ALARM => c.u8("cells")?.into(),
        _ if x.variant == Variant::WanwayS20 => c.u8("cells")?.into(),
        WIFI_5 => 6,
        // Its published length leaves no room for all seven.
        X1_GPS => c.left().checked_div(7).unwrap_or(0).min(7),
        _ => 7,
    };
    for _ in 0..count {
        neighbour(&mut c, shape, mcc & 0x7FFF, mnc, &mut record)?;
    }
    if !advance_first && !c.is_empty() {
        c.u8("timing advance")?;
    }
    if matches!(m.kind, LBS_EXTEND | LBS_WIFI | WIFI_3 | WIFI_5 | WIFI_ALARM) && !c.is_empty() {
        let count = c.u8("access points")?;
        for _ in 0..count {
            access_point(&mut c, &mut record)?;
        }
    }
    if m.kind == WIFI_ALARM {
        let (value, language) = (c.u8("alarm")?, c.u8("language")?);
        status::alarm_code(&mut record, u16::from_be_bytes([language >> 4, value]), x);
    }
    out.reply(answer(m, m.kind));
    Ok(record)
}

/// Seven cells as 0x28 has them, behind a location.
pub(super) fn neighbours(c: &mut Cursor<'_>, x: Context, record: &mut Record) -> Result<()> {
    let mcc = c.u16("MCC")?;
    let wide_network = mcc >= 0x8000 || x.variant == Variant::Sl4x;
    let mnc = if wide_network { c.u16("MNC")?.into() } else { c.u8("MNC")?.into() };
    for _ in 0..7 {
        neighbour(c, Shape::Short, mcc & 0x7FFF, mnc, record)?;
    }
    c.take_rest("timing advance and language");
    Ok(())
}

/// How wide area and cell are.
#[derive(Clone, Copy)]
enum Shape {
    Short,
    Middle,
    Long,
}

fn neighbour(c: &mut Cursor<'_>, shape: Shape, mcc: u16, mnc: u32, record: &mut Record) -> Result<()> {
    let (lac, cid) = match shape {
        Shape::Short => (c.u16("LAC")?.into(), c.u24("cell")?.into()),
        Shape::Middle => (c.u16("LAC")?.into(), c.u32("cell")?.into()),
        Shape::Long => (c.u32("LAC")?, c.u64("cell")?),
    };
    let signal = Some(i32::from(c.u8("signal")?).saturating_neg());
    // Empty places are filled with zeros.
    if lac != 0 {
        add_cell(record, Cell { mcc: Some(mcc.into()), mnc: Some(mnc), lac: Some(lac), cid, signal });
    }
    Ok(())
}

/// An access point with its signal: dBm without their sign, or with it in two's complement.
pub(super) fn access_point(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let mac = mac(c.byte_array("MAC")?);
    let signal = i32::from(c.i8("signal")?);
    let signal = Some(if signal > 0 { signal.saturating_neg() } else { signal });
    push_once(record, Key::WifiAccessPoints, Item::AccessPoint(AccessPoint { mac, signal }));
    Ok(())
}

/// Adds an item to a list, once.
pub(super) fn push_once(record: &mut Record, key: Key, item: Item) {
    let known = matches!(record.get(key), Some(Value::List(items)) if items.contains(&item));
    if !known {
        record.push(key, item);
    }
}

fn mac(bytes: [u8; 6]) -> CompactString {
    let mut mac = CompactString::with_capacity(17);
    for (n, byte) in bytes.iter().enumerate() {
        if n > 0 {
            mac.push(':');
        }
        for nibble in [byte >> 4, byte & 0x0F] {
            mac.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
    }
    mac
}

/// Year, month, day, hour, minute, second in decimal digits, UTC.
fn decimal_moment(c: &mut Cursor<'_>, out: &mut Out<'_>) -> Result<Option<Time>> {
    let digits = c.byte_array::<6>("time")?.map(|pair| match (pair >> 4, pair & 0x0F) {
        (tens @ ..10, ones @ ..10) => tens.wrapping_mul(10).wrapping_add(ones),
        _ => u8::MAX,
    });
    let [year, month, day, hour, minute, second] = digits;
    let time = Time::utc(i16::from(year).saturating_add(2000), month, day, hour, minute, second);
    let time = time.filter(|_| year < 100);
    if time.is_none() {
        out.note("the date is not in the calendar");
    }
    Ok(time)
}

/// 0xB2: a beacon at which a person clocked in or out.
pub(super) fn bluetooth_clock(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = timed(moment(&mut c, x.zone, out)?);
    // How well the beacon is heard is not how well the network is.
    record.raw("tagRssi", c.i8("beacon signal")?);
    record.raw("tagMac", hex(c.bytes("beacon MAC", 6)?));
    record.raw("tagUuid", hex(c.bytes("beacon UUID", 16)?));
    record.raw("tagMajor", c.u16("major")?);
    record.raw("tagMinor", c.u16("minor")?);
    record.raw("tagBattery", hundredths(c.u16("beacon battery")?));
    raw_unless_zero(&mut record, "clock", bits::between(c.u8("clock")?, 2, 6));
    out.reply(answer(m, m.kind));
    Ok(record)
}

/// 0x2A: a person asks for an address by phone; there is none to give.
pub(super) fn address(out: &mut Out<'_>) {
    let text = b"NA&&NA&&0##";
    let mut content = vec![0x0B, 0, 0, 0, 0];
    content.extend_from_slice(text);
    out.reply(packet(true, ADDRESS_RESPONSE, &content, 0));
}
