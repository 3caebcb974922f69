//! Packets that came by satellite: Iridium's DirectIP, numbers big-endian, with what the device sent inside.
//!
//! ```text
//! 01 LL LL  01 001C IIIIIIII imei S 00000000 TTTTTTTT    I number, S state of the session, T time, from 1970
//!           03 00xx F D MMMM D MMMM RRRRRRRR             F south and west, D degrees, M minutes in thousandths, R radius
//!           02 LLLL T*                                   what the device sent: tags, or compressed
//! ```
//!
//! There is no checksum, and nothing is answered. The place is where Iridium heard the device, within R kilometres (the
//! unit is Iridium's own description's); a place among the tags is the device's and stands above it.

use super::compressed;
use super::draft::{Draft, Reading, records};
use crate::Out;
use compact_str::CompactString;
use odograph_model::{Key, Record, Time};
use odograph_wire::{Cursor, Reason, Result, bits};

/// What the first byte of an element says it is.
const IDENTIFICATION: u8 = 0x01;
const DATA: u8 = 0x02;
const PLACE: u8 = 0x03;
/// What a place takes. The maker's table shows as many and says that there are 20.
const PLACE_BYTES: usize = 11;
/// States of a session above this one are failures.
const SESSION_OK_MAX: u8 = 2;

/// What Iridium says of the packet.
struct Session {
    imei: CompactString,
    number: u32,
    seconds: u32,
}

/// Where Iridium heard the device.
struct Place {
    /// Latitude and longitude, where these exist.
    degrees: Option<(f64, f64)>,
    radius_km: u32,
}

/// Reads a packet.
pub(super) fn packet(
    frame: &[u8],
    is_compressed: Option<bool>,
    reading: Reading,
    received: Time,
    out: &mut Out<'_>,
) -> Result<()> {
    let mut c = out.cursor(frame);
    c.u8("header")?;
    let length = c.u16("length")?;
    let mut elements = c.sub("elements", length.into())?;
    c.finish("packet")?;
    let session = identification(&mut elements)?;
    let (mut place, mut drafts) = (None, Vec::new());
    while !elements.is_empty() {
        let at_element = elements;
        let kind = elements.u8("element")?;
        let length = usize::from(elements.u16("element length")?);
        match kind {
            PLACE => {
                let heard = heard_at(&mut elements, length)?;
                if heard.degrees.is_none() {
                    out.note(format!("what Iridium says at byte {} is no place", at_element.at()));
                }
                place = Some(heard);
            }
            DATA => {
                let data = elements.sub("data", length)?;
                drafts.extend(data_of(data, is_compressed, reading, received, out)?);
            }
            _ => {
                let mut other = elements.sub("element", length)?;
                out.note(format!("element {kind:02x} at byte {} is not read", at_element.at()));
                other.take_rest("element");
            }
        }
    }
    // The modem's number, and the tracker's where it says that.
    out.identify(session.imei.clone());
    if let Some(imei) = drafts.iter().find_map(|draft| draft.imei.clone()) {
        out.identify(imei);
    }
    drafts.retain(|draft| !draft.is_introduction());
    if drafts.is_empty() {
        drafts.push(Draft::new(reading).sealed(&Cursor::new(frame), &c));
    }
    for draft in drafts {
        if let Some(answer) = draft.answer() {
            out.answer(answer);
        }
        let mut record =
            draft.received_by(Time(i64::from(session.seconds).saturating_mul(1000))).finish(None, None, out);
        complete(&mut record, &session, place.as_ref());
        out.record(record);
    }
    Ok(())
}

/// What the device sent in `packet`, and nothing where there is none of it; an error where that is no packet.
pub(super) fn data(packet: &[u8]) -> Result<&[u8]> {
    let mut c = Cursor::new(packet);
    c.skip("header and length", 3)?;
    identification(&mut c)?;
    let mut data: &[u8] = &[];
    while !c.is_empty() {
        let kind = c.u8("element")?;
        let length = usize::from(c.u16("element length")?);
        match kind {
            PLACE => {
                heard_at(&mut c, length)?;
            }
            DATA => data = c.bytes("data", length)?,
            _ => c.skip("element", length)?,
        }
    }
    Ok(data)
}

fn identification(c: &mut Cursor<'_>) -> Result<Session> {
    if c.u8("element")? != IDENTIFICATION || c.u16("element length")? != 28 {
        return Err(c.error("identification", Reason::Expected("01 00 1C")));
    }
    let number = c.u32("packet number")?;
    let at_imei = *c;
    let imei = c.text("IMEI", 15)?;
    if !imei.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(at_imei.error("IMEI", Reason::Expected("15 digits")));
    }
    let at_state = *c;
    if c.u8("session state")? > SESSION_OK_MAX {
        return Err(at_state.error("session state", Reason::Expected("0 to 2: the others are failures")));
    }
    c.skip("reserved", 4)?;
    Ok(Session { imei: imei.into(), number, seconds: c.u32("time of session")? })
}

/// A place of `length` bytes as stated. Where that does not lead to what the device sent and the bytes that it really
/// takes do, those hold.
fn heard_at(c: &mut Cursor<'_>, length: usize) -> Result<Place> {
    let leads_on = |bytes: usize| match c.rest().get(bytes..) {
        Some([DATA, high, low, rest @ ..]) => usize::from(u16::from_be_bytes([*high, *low])) <= rest.len(),
        Some([]) => true,
        _ => false,
    };
    let length = if !leads_on(length) && leads_on(PLACE_BYTES) { PLACE_BYTES } else { length };
    let mut v = c.sub("place", length)?;
    let flags = v.u8("hemispheres")?;
    let mut degrees = |degrees, minutes, is_negative| -> Result<f64> {
        let value = f64::from(v.u8(degrees)?) + f64::from(v.u16(minutes)?) / 60_000.0;
        Ok(if is_negative { -value } else { value })
    };
    let latitude: f64 = degrees("latitude degrees", "latitude minutes", bits::is_set(flags, 1))?;
    let longitude: f64 = degrees("longitude degrees", "longitude minutes", bits::is_set(flags, 0))?;
    let exists = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
    Ok(Place { degrees: exists.then_some((latitude, longitude)), radius_km: v.u32("radius")? })
}

/// What the device sent: a compressed record begins with a 0 like a tag below 80, so that only reading it tells. Chance
/// makes tags of it at times, but seldom known ones that begin as a packet of tags does.
fn data_of(
    data: Cursor<'_>,
    is_compressed: Option<bool>,
    reading: Reading,
    received: Time,
    out: &mut Out<'_>,
) -> Result<Vec<Draft>> {
    let is_compressed = is_compressed.unwrap_or_else(|| {
        let tags = records(Cursor::new(data.rest()), reading, &mut Out::default());
        let Ok(drafts) = tags else { return true };
        let are_tags = data.peek().is_none_or(|first| FIRST_TAGS.contains(&first));
        let are_tags = are_tags && !drafts.iter().any(|draft| draft.has_unknown);
        let fits = compressed::is_understood(Cursor::new(data.rest()));
        if are_tags && fits {
            out.note("read as tags, but it may be compressed: the setting `compressed` says which");
        }
        fits && !are_tags
    });
    match is_compressed {
        true => compressed::records(data, reading, received, out),
        false => records(data, reading, out),
    }
}

/// What a packet of tags begins with: who the device is, the record's number or its time.
const FIRST_TAGS: [u8; 7] = [0x01, 0x02, 0x03, 0x04, 0x10, 0x11, 0x20];

fn complete(record: &mut Record, session: &Session, place: Option<&Place>) {
    record.raw("iridium.number", session.number);
    record.raw("iridium.seconds", session.seconds);
    let Some(place) = place else { return };
    record.raw("iridium.radius", place.radius_km);
    let Some((latitude, longitude)) = place.degrees else { return };
    if record.get(Key::PositionLatitude).is_none() {
        record.set(Key::PositionLatitude, latitude);
        record.set(Key::PositionLongitude, longitude);
        record.set(Key::PositionAccuracy, f64::from(place.radius_km) * 1000.0);
        record.set(Key::PositionValid, false);
        record.set(Key::GnssState, "iridium");
    } else {
        record.raw("iridium.latitude", latitude);
        record.raw("iridium.longitude", longitude);
    }
}
