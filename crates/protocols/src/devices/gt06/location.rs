//! Packets with a satellite fix, alone or with cell and status.

use super::status::{self, alarm_code};
use super::{
    ALARM_MODULE, Context, FENCE_MULTI, FENCE_SINGLE, GPS, GPS_LBS_1, GPS_LBS_2, GPS_LBS_3, GPS_LBS_4, GPS_LBS_5,
    GPS_LBS_6, GPS_LBS_7, GPS_LBS_8, GPS_LBS_DRIVER, GPS_LBS_EXTEND, GPS_LBS_STATUS_1, GPS_LBS_STATUS_2,
    GPS_LBS_STATUS_3, GPS_LBS_STATUS_4, GPS_PHONE, IBUTTON, LBS_ADDRESS, LBS_ALARM, LBS_STATUS, Message, Model, STATUS,
    STATUS_2, Variant, WIFI, WIFI_3, answer, code, hex, hundredths, modules, moment, network, raw_unless_zero, text,
    timed, trimmed,
};
use crate::Out;
use crate::absent::{is_blank, unless_ones};
use odograph_model::{Alarm, Cell, Item, Key, Record};
use odograph_wire::{Cursor, Result, bits};

/// A degree is 60 minutes of 30,000 units each.
const UNITS_PER_DEGREE: f64 = 1_800_000.0;
/// A pole, in units.
const LATITUDE_MAX: u32 = 90 * 1_800_000;
/// The antimeridian, in units.
const LONGITUDE_MAX: u32 = 180 * 1_800_000;

/// A cell of 4G and the status behind it, in a fence's alarm.
const FENCE_4G: usize = 20;
/// A cell of 4G, a phone number and a language.
const ADDRESS_4G: usize = 38;
/// A phone number.
const PHONE: usize = 21;

/// Whether packets of this type are built of the usual parts: fix, cell, status.
pub(super) fn is_standard(kind: u8, context: Context) -> bool {
    has_fix(kind, context.variant) || has_cell(kind, context.variant) || has_status(kind, context)
}

const fn has_fix(kind: u8, variant: Variant) -> bool {
    match kind {
        GPS | GPS_LBS_1 | GPS_LBS_2 | GPS_LBS_DRIVER | GPS_LBS_3 | GPS_LBS_4 | GPS_LBS_5 | GPS_LBS_6
        | GPS_LBS_STATUS_1 | GPS_LBS_STATUS_2 | GPS_LBS_STATUS_3 | GPS_LBS_STATUS_4 | WIFI_3 | GPS_PHONE
        | GPS_LBS_EXTEND | GPS_LBS_7 | WIFI | FENCE_MULTI | ALARM_MODULE => true,
        FENCE_SINGLE => !matches!(variant, Variant::Seeworld),
        _ => false,
    }
}

const fn has_cell(kind: u8, variant: Variant) -> bool {
    match kind {
        GPS | GPS_PHONE | GPS_LBS_EXTEND => false,
        LBS_STATUS | LBS_ALARM | LBS_ADDRESS => true,
        _ => has_fix(kind, variant),
    }
}

fn has_status(kind: u8, context: Context) -> bool {
    match kind {
        STATUS | STATUS_2 | LBS_STATUS | GPS_LBS_STATUS_1 | GPS_LBS_STATUS_2 | GPS_LBS_STATUS_3 | GPS_LBS_STATUS_4
        | WIFI_3 | FENCE_SINGLE | FENCE_MULTI | ALARM_MODULE | LBS_ALARM => true,
        _ => is_nt(kind, context),
    }
}

/// The NT models' locations begin with the IMEI and end with a status.
pub(super) fn is_nt(kind: u8, context: Context) -> bool {
    context.model == Model::Nt && matches!(kind, GPS_LBS_2 | GPS_LBS_DRIVER)
}

/// A packet of the usual parts.
pub(super) fn standard(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Option<Record>> {
    let mut c = m.content;
    if m.kind == LBS_STATUS && x.variant == Variant::Space10x {
        out.note("several cells with a status: this layout is not decoded");
        return Ok(None);
    }
    let mut record = Record::new();
    record.set(Key::DeviceMessageType, code(m.kind));
    if m.kind == GPS_LBS_1 && x.model == Model::Qh302r {
        c.skip("IMEI", 8)?;
    }
    if is_nt(m.kind, x) {
        raw_unless_zero(&mut record, "location.source", c.u8("location source")?.into());
        c.skip("IMEI", 8)?;
        moment(&mut c, x.zone, out)?;
    }
    if has_fix(m.kind, x.variant) {
        fix(&mut c, x.zone, &mut record, out)?;
    }
    if has_cell(m.kind, x.variant) && !c.is_empty() {
        standard_cell(&mut c, m.kind, x, &mut record, out)?;
    }
    // In a fence's alarm, too few bytes for a status are what stands behind a location.
    let is_tail = m.kind == FENCE_SINGLE && x.variant != Variant::Seeworld && matches!(c.left(), 3 | 4 | 7);
    if has_status(m.kind, x) && !c.is_empty() && !is_tail {
        status::parts(&mut c, m, x, &mut record)?;
    }
    extras(&mut c, m, x, &mut record)?;
    if matches!(c.left(), 3 | 7) {
        record.set(Key::EngineIgnitionStatus, c.u8("ACC")? > 0);
        c.u8("upload mode")?;
        if c.u8("sent late")? > 0 {
            record.set(Key::RecordArchived, true);
        }
    }
    if c.left() == 4 {
        odometer(&mut c, &mut record)?;
    }
    if matches!(m.kind, GPS_LBS_STATUS_3 | FENCE_MULTI) && !c.is_empty() {
        // 255 stands in every alarm that is not a fence's.
        let fence = c.u8("geofence")?;
        record.set_some(Key::GeofenceId, unless_ones(fence).map(code));
    }
    out.reply(answer(m, m.kind));
    Ok(Some(record))
}

/// The cell of a packet of the usual parts, with or without a length before it.
fn standard_cell(c: &mut Cursor<'_>, kind: u8, x: Context, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let counted = match kind {
        LBS_STATUS | LBS_ALARM | ALARM_MODULE | WIFI_3 | FENCE_SINGLE => false,
        GPS_LBS_STATUS_1 => x.variant != Variant::Vxt01,
        _ => has_status(kind, x),
    };
    if counted {
        return counted_cell(c, kind, x, record).map(|_| ());
    }
    let before = *c;
    if cell(c, kind, x, record).is_err() {
        // Nothing else follows where the cell is cut off, and the place before it is whole.
        *c = before;
        c.take_rest("rest");
        out.note("too short for a cell");
    }
    Ok(())
}

/// A cell with its length before it: whether there is one.
pub(super) fn counted_cell(c: &mut Cursor<'_>, kind: u8, x: Context, record: &mut Record) -> Result<bool> {
    let length = usize::from(c.u8("cell length")?);
    if length == 0 {
        // Some firmware leaves the room of all neighbour cells empty, some nothing.
        let room = c.rest().get(..45).and_then(|room| room.get(9..));
        if room.is_some_and(|room| room.iter().all(|byte| *byte == 0)) {
            c.skip("empty cells", 45)?;
        }
        return Ok(false);
    }
    let country = c.rest().first().map_or(0, |high| high >> 7);
    let wide_network = country == 1 || kind == GPS_LBS_6 || x.variant == Variant::Sl4x;
    let head: usize = if wide_network { 4 } else { 3 };
    // The maker counts the length byte itself; some clones do not.
    let alone = length == 8 || kind == GPS_LBS_DRIVER || matches!(x.variant, Variant::Sl4x | Variant::Seeworld);
    let size = length.saturating_sub(usize::from(!alone)).max(head.saturating_add(5));
    let mut c = c.sub("cell", size)?;
    let mcc = u32::from(c.u16("MCC")? & 0x7FFF);
    let mnc = if wide_network { c.u16("MNC")?.into() } else { c.u8("MNC")?.into() };
    let (lac, cid) = match c.left() {
        12 => (c.u32("LAC")?, c.u64("cell")?),
        6..=7 => (c.u16("LAC")?.into(), c.u32("cell")?.into()),
        _ => (c.u16("LAC")?.into(), c.u24("cell")?.into()),
    };
    add_cell(record, Cell { mcc: Some(mcc), mnc: Some(mnc), lac: Some(lac), cid, signal: None });
    Ok(true)
}

/// A cell without a length before it.
fn cell(c: &mut Cursor<'_>, kind: u8, x: Context, record: &mut Record) -> Result<()> {
    let technology = if matches!(kind, GPS_LBS_8 | ALARM_MODULE) { c.u8("network technology")? } else { 0 };
    if kind == FENCE_SINGLE && c.left() > FENCE_4G && c.peek().is_some_and(|first| first < 0x80) {
        // One byte more than cell and status, unless the network has it: it stands before the cell and counts nothing.
        c.u8("cell length")?;
    }
    let has_room = match kind {
        FENCE_SINGLE => c.left() >= FENCE_4G,
        LBS_ADDRESS => c.left() >= ADDRESS_4G,
        _ => false,
    };
    let mcc = c.u16("MCC")?;
    let wide_network = mcc >= 0x8000 || kind == GPS_LBS_6 || x.variant == Variant::Sl4x;
    let mnc = if wide_network { c.u16("MNC")?.into() } else { c.u8("MNC")?.into() };
    let is_4g = technology >= 3 || has_room || matches!(kind, LBS_ALARM | GPS_LBS_7 | WIFI_3);
    let (lac, cid) = if is_4g {
        (c.u32("LAC")?, c.u64("cell")?)
    } else if x.variant == Variant::Sl4x // four bytes: where it counts its cells, there is no room for more
        || matches!(kind, GPS_LBS_6 | IBUTTON | GPS_LBS_DRIVER)
        || x.variant == Variant::Seeworld
        || (x.variant == Variant::Trx16i && kind == STATUS_2)
    {
        (c.u16("LAC")?.into(), c.u32("cell")?.into())
    } else {
        (c.u16("LAC")?.into(), c.u24("cell")?.into())
    };
    match (technology, kind) {
        (3.., _) => raw_unless_zero(record, "cell.signal", c.u16("cell signal")?.into()),
        (_, GPS_LBS_8 | ALARM_MODULE) => raw_unless_zero(record, "cell.signal", c.u8("cell signal")?.into()),
        _ => {}
    }
    add_cell(record, Cell { mcc: Some((mcc & 0x7FFF).into()), mnc: Some(mnc), lac: Some(lac), cid, signal: None });
    Ok(())
}

/// Adds a cell once; one of all zeros is none.
pub(super) fn add_cell(record: &mut Record, cell: Cell) {
    if cell.mcc == Some(0) && cell.lac == Some(0) && cell.cid == 0 {
        return;
    }
    network::push_once(record, Key::GsmCells, Item::Cell(cell));
}

/// Date, satellites, place, speed, course.
pub(super) fn fix(c: &mut Cursor<'_>, zone: i32, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    record.time = moment(c, zone, out)?;
    place(c, record)
}

/// Satellites, place, speed, course.
pub(super) fn place(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    record.set(Key::PositionSatellites, c.u8("satellites")? & 0x0F);
    let (latitude, longitude) = (c.u32("latitude")?, c.u32("longitude")?);
    let speed = c.u8("speed")?;
    let flags = c.u16("course and flags")?;
    set_place(record, latitude, longitude, Some(speed.into()), flags);
    Ok(())
}

/// Sets place, speed and course; at 0, 0 without a fix there is none, and numbers of no place are kept as sent.
pub(super) fn set_place(record: &mut Record, latitude: u32, longitude: u32, speed: Option<u16>, flags: u16) {
    let valid = bits::is_set(flags, 12);
    if bits::is_set(flags, 14) {
        record.set(Key::EngineIgnitionStatus, bits::is_set(flags, 15));
    }
    if !valid && latitude == 0 && longitude == 0 {
        return;
    }
    if latitude > LATITUDE_MAX || longitude > LONGITUDE_MAX {
        // Not on earth.
        record.raw("latitude", latitude);
        record.raw("longitude", longitude);
        return;
    }
    let degrees = |units: u32, negative: bool| {
        let degrees = f64::from(units) / UNITS_PER_DEGREE;
        if negative && units != 0 { -degrees } else { degrees }
    };
    record.set(Key::PositionLatitude, degrees(latitude, !bits::is_set(flags, 10)));
    record.set(Key::PositionLongitude, degrees(longitude, bits::is_set(flags, 11)));
    record.set(Key::PositionValid, valid);
    record.set_some(Key::PositionSpeed, speed.map(f64::from));
    let course = flags & 0x03FF;
    record.set_some(Key::PositionDirection, (course <= 360).then(|| f64::from(course)));
}

/// Metres, as km.
pub(super) fn odometer(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let metres = c.u32("odometer")?;
    record.set(Key::VehicleMileage, f64::from(metres) / 1000.0);
    Ok(())
}

/// What follows the usual parts, by type and variant.
fn extras(c: &mut Cursor<'_>, m: &Message<'_>, x: Context, record: &mut Record) -> Result<()> {
    match m.kind {
        GPS_LBS_1 => location_extras(c, x, record),
        _ if is_nt(m.kind, x) => nt_extras(c, m.kind, record),
        GPS_LBS_2 if x.variant == Variant::Seeworld => seeworld_extras(c, record),
        GPS_LBS_STATUS_1 if x.variant == Variant::Trx16i => {
            c.u8("language")?;
            card(c, record)
        }
        STATUS_2 | ALARM_MODULE => {
            if !c.is_empty() {
                c.u8("language")?;
            }
            modules::short(c, record)
        }
        WIFI_3 => {
            c.u8("language")?;
            odometer(c, record)?;
            record.set(Key::EngineHours, f64::from(c.u32("running seconds")?) / 3600.0);
            c.skip("terminal id", 8)?;
            record.set(Key::Din, c.u16("inputs")?);
            Ok(())
        }
        GPS_LBS_STATUS_3 | FENCE_MULTI if !c.is_empty() => c.u8("language").map(|_| ()),
        // The mileage that newer devices send with an alarm stands behind it.
        GPS_LBS_STATUS_2 if c.left() == 5 => c.u8("language").map(|_| ()),
        GPS_LBS_STATUS_4 if x.variant == Variant::Sl4x => {
            if !c.is_empty() {
                c.u8("language")?;
            }
            if c.left() >= 2 {
                record.set(Key::PositionAltitude, c.i16("altitude")?);
            }
            Ok(())
        }
        GPS_LBS_2 | GPS_LBS_3 | GPS_LBS_4 | GPS_LBS_5 => report(c, m.kind, x, record),
        // The position that the number was dialled from, and that number.
        LBS_ADDRESS | GPS_PHONE if c.left() >= PHONE => {
            let phone = c.rest().get(..PHONE).unwrap_or_default();
            c.take_rest("phone number and language");
            let phone = text(phone);
            let phone = phone.trim_matches(['\0', ' ']);
            if !phone.is_empty() && phone.bytes().all(|byte| byte.is_ascii_graphic()) {
                record.raw("phone", phone);
            }
            Ok(())
        }
        GPS_LBS_EXTEND if c.left() >= 45 => network::neighbours(c, x, record),
        WIFI => {
            record.set(Key::DriverId, hex(c.bytes("card", 8)?));
            if !c.is_empty() {
                c.u8("card validity")?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Why the location was sent, and what modules add.
fn report(c: &mut Cursor<'_>, kind: u8, x: Context, record: &mut Record) -> Result<()> {
    if c.left() >= 3 {
        record.set(Key::EngineIgnitionStatus, c.u8("ACC")? > 0);
        record.set(Key::EventCode, code(c.u8("reason")?));
        record.set(Key::RecordArchived, c.u8("sent late")? > 0);
        if x.variant == Variant::Sl4x {
            if c.left() > 2 {
                odometer(c, record)?;
            }
            if c.left() >= 2 {
                record.set(Key::PositionAltitude, c.i16("altitude")?);
            }
        }
    }
    if kind == GPS_LBS_3 && c.left() >= 3 {
        modules::short(c, record)?;
    }
    Ok(())
}

fn location_extras(c: &mut Cursor<'_>, x: Context, record: &mut Record) -> Result<()> {
    // The length that tells the layout can be another one's, with a wider network or a tail.
    match x.variant {
        Variant::Gt06eCard => {
            odometer(c, record)?;
            let length = c.u8("card length")?.into();
            let card = text(c.bytes("card", length)?);
            c.u8("card alarm")?;
            c.u8("card swiped")?;
            let card = trimmed(&card);
            record.set_some(Key::CardId, (!card.is_empty()).then_some(card));
        }
        Variant::Benway if c.left() >= 2 => benway(c.u16("inputs")?, record),
        Variant::Vxt01 if c.left() >= 5 => {
            status::flags(c.u8("status")?, x.variant, record);
            record.set(Key::ExternalPowerVoltage, hundredths(c.u16("voltage")?));
            record.set(Key::GsmSignalStrength, c.u8("signal")?);
            c.u8("alarm extension")?;
        }
        Variant::S5 if c.left() >= 12 => {
            status::flags(c.u8("status")?, x.variant, record);
            record.set(Key::ExternalPowerVoltage, hundredths(c.u16("voltage")?));
            record.set(Key::GsmSignalStrength, c.u8("signal")?);
            alarm_code(record, c.u8("alarm")?.into(), x);
            record.raw("oil", c.u16("oil")?);
            let temperature = c.u8("temperature")?;
            let degrees = f64::from(temperature & 0x7F);
            record.set(Key::TemperatureN(1), if temperature >= 0x80 { -degrees } else { degrees });
            record.set(Key::VehicleMileage, f64::from(c.u32("odometer")?) / 100.0);
        }
        Variant::Wetrust => {
            odometer(c, record)?;
            let length = c.u8("card length")?.into();
            let card = text(c.bytes("card", length)?);
            record.set_some(Key::CardId, (!card.is_empty()).then_some(card));
            if c.u8("card alarm")? > 0 {
                record.alarm(Alarm::General);
            }
            record.raw("cardStatus", c.u8("card status")?);
            record.set(Key::DriverDrivingTime, c.u16("driving time")?);
        }
        _ => {}
    }
    Ok(())
}

/// Ignition, an input, and either a temperature or a voltage share one word.
fn benway(word: u16, record: &mut Record) {
    record.set(Key::EngineIgnitionStatus, bits::is_set(word, 15));
    record.set(Key::DinN(2), bits::is_set(word, 14));
    if bits::is_set(word, 12) {
        let degrees = f64::from(word & 0x01FF);
        record.set(Key::TemperatureN(1), if bits::is_set(word, 9) { -degrees } else { degrees });
    } else {
        let value = f64::from(word & 0x03FF);
        record.set(Key::AinN(1), if bits::is_set(word, 13) { value } else { value / 10.0 });
    }
}

fn nt_extras(c: &mut Cursor<'_>, kind: u8, record: &mut Record) -> Result<()> {
    c.u8("language")?;
    record.set(Key::VehicleMileage, f64::from(c.u24("odometer")?) / 1000.0);
    record.set(Key::EngineHours, f64::from(c.u24("running minutes")?) / 60.0);
    if kind == GPS_LBS_DRIVER {
        let length = usize::from(c.u8("driver length")?);
        if let Some(rest) = length.checked_sub(1) {
            c.u8("driver identifier type")?;
            let driver = hex(c.bytes("driver", rest)?);
            record.set_some(Key::DriverId, (!driver.is_empty()).then_some(driver));
        }
    }
    Ok(())
}

fn seeworld_extras(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    record.set(Key::EngineIgnitionStatus, c.u8("ACC")? > 0);
    c.u8("reporting mode")?;
    c.u8("sent late")?;
    odometer(c, record)?;
    raw_unless_zero(record, "travel.time", c.u32("travel time")?.into());
    let temperature = c.u16("temperature")?;
    let degrees = hundredths(temperature & 0x7FFF);
    // All ones where there is no sensor.
    let is_measured = unless_ones(temperature).is_some();
    record
        .set_some(Key::TemperatureN(1), is_measured.then_some(if temperature >= 0x8000 { -degrees } else { degrees }));
    let humidity = hundredths(c.u16("humidity")?);
    record.set_some(Key::HumidityN(1), (humidity <= 100.0).then_some(humidity));
    Ok(())
}

/// Eight bytes of a card; zeros and ones are no card.
fn card(c: &mut Cursor<'_>, record: &mut Record) -> Result<()> {
    let card = c.bytes("card", 8)?;
    if !is_blank(card) {
        record.set(Key::DriverId, hex(card));
    }
    Ok(())
}

/// 0x34: X1's location with ports.
pub(super) fn x1(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    raw_unless_zero(&mut record, "alarm", c.u32("data and alarm")?.into());
    fix(&mut c, x.zone, &mut record, out)?;
    raw_unless_zero(&mut record, "terminal", c.u16("terminal state")?.into());
    odometer(&mut c, &mut record)?;
    let (mcc, mnc) = (c.u16("MCC")?.into(), c.u8("MNC")?.into());
    let (lac, cid) = (c.u16("LAC")?.into(), c.u32("cell")?.into());
    add_cell(&mut record, Cell { mcc: Some(mcc), mnc: Some(mnc), lac: Some(lac), cid, signal: None });
    let driver = c.u32("driver")?;
    record.set_some(Key::DriverId, unless_ones(driver).filter(|driver| *driver != 0).map(code));
    record.set(Key::BatteryVoltage, hundredths(c.u16("battery")?));
    record.set(Key::ExternalPowerVoltage, hundredths(c.u16("power")?));
    let ports = c.u32("ports")?;
    record.set(Key::Din, c.u8("inputs")?);
    record.set(Key::Dout, c.u8("outputs")?);
    let analogue = u8::try_from(bits::between(ports, 20, 24)).unwrap_or(0);
    for n in 1..=analogue {
        record.set(Key::AinN(n), hundredths(c.u16("analogue input")?));
    }
    Ok(record)
}

/// 0x24 of SR411 mini: a location with voltages.
pub(super) fn sr411(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    fix(&mut c, x.zone, &mut record, out)?;
    cell(&mut c, m.kind, x, &mut record)?;
    record.set(Key::EngineIgnitionStatus, c.u8("ACC")? > 0);
    record.set(Key::ExternalPowerVoltage, hundredths(c.u16("power")?));
    record.set(Key::BatteryVoltage, hundredths(c.u16("battery")?));
    Ok(record)
}

/// 0x61: a location with an iButton.
pub(super) fn ibutton(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    c.skip("IMEI", 8)?;
    fix(&mut c, x.zone, &mut record, out)?;
    cell(&mut c, m.kind, x, &mut record)?;
    let is_none = c.rest().get(..KEY_BYTES).is_some_and(is_blank);
    let key = c.unsigned("iButton", KEY_BYTES)?;
    record.set_some(Key::DriverId, (!is_none).then(|| code(key)));
    out.reply(answer(m, m.kind));
    Ok(record)
}

/// A key's number; zeros and ones are no key.
const KEY_BYTES: usize = 6;

/// 0x36 of TRX16i: a location with a card.
pub(super) fn trx16i(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = Record::new();
    fix(&mut c, x.zone, &mut record, out)?;
    cell(&mut c, m.kind, x, &mut record)?;
    record.set(Key::EngineIgnitionStatus, c.u8("ACC")? > 0);
    record.raw("uploadMode", c.u8("upload mode")?);
    record.set(Key::RecordArchived, c.u8("sent late")? > 0);
    odometer(&mut c, &mut record)?;
    record.set(Key::ExternalPowerVoltage, hundredths(c.u16("power")?));
    record.set(Key::BatteryVoltage, f64::from(c.u8("battery")?) / 10.0);
    record.set(Key::EngineHours, f64::from(c.u24("running minutes")?) / 60.0);
    card(&mut c, &mut record)?;
    out.reply(answer(m, m.kind));
    Ok(record)
}

/// 0x38: a location over 4G, with modules behind it.
pub(super) fn modular_4g(m: &Message<'_>, x: Context, out: &mut Out<'_>) -> Result<Record> {
    let mut c = m.content;
    let mut record = timed(None);
    fix(&mut c, x.zone, &mut record, out)?;
    record.raw("uploadMode", c.u8("upload mode")?);
    if c.u8("sent late")? > 0 {
        record.set(Key::RecordArchived, true);
    }
    if !c.is_empty() {
        standard_cell(&mut c, m.kind, x, &mut record, out)?;
    }
    modules::short(&mut c, &mut record)?;
    Ok(record)
}
