//! Codecs 8, 8 Extended and 16: positions with numbered elements.
//!
//! ```text
//! TTTTTTTTTTTTTTTT P XXXXXXXX YYYYYYYY AAAA DDDD S VVVV E G N {n (i v)*}* {x (i LLLL v*)*}
//! T ms since 1970   P priority   X longitude, Y latitude in 1e-7 degrees   A altitude in m   D course   S satellites
//! V speed in km/h   E id of the element that caused the record   G why it was made (codec 16)   N elements in all
//! n elements of 1, 2, 4, then 8 bytes: i id, v value    x elements of L bytes (8 Extended)
//! ```
//! Ids have one byte in codec 8 and two in the others, counts two in 8 Extended and one in the others.

use super::beacons;
use super::elements::{Element, Family, apply};
use super::parts::Parts;
use crate::Out;
use crate::absent;
use compact_str::ToCompactString;
use odograph_model::{Key, Record, Time};
use odograph_wire::{Cursor, Result};

pub(super) const CODEC_8: u8 = 0x08;
pub(super) const CODEC_8E: u8 = 0x8E;
pub(super) const CODEC_16: u8 = 0x10;

#[derive(Clone, Copy)]
struct Layout {
    wide_ids: bool,
    wide_counts: bool,
    /// A byte after the event's id says why the record was made.
    has_generation: bool,
    /// Elements of 16 bytes follow those of 8.
    has_sixteens: bool,
    /// Elements of any length come last.
    has_variable: bool,
}

/// Time, priority, place, course, satellites, speed.
const HEAD_BYTES: usize = 24;

pub(super) fn records(
    c: &mut Cursor<'_>,
    codec: u8,
    count: u8,
    family: Family,
    extended: Option<bool>,
    out: &mut Out<'_>,
) -> Result<()> {
    let plain = Layout {
        wide_ids: codec != CODEC_8,
        wide_counts: codec == CODEC_8E,
        has_generation: codec == CODEC_16,
        has_sixteens: false,
        has_variable: codec == CODEC_8E,
    };
    let sixteens = Layout { has_sixteens: true, ..plain };
    let fits = |layout: Layout| layout.ends_at_count(c.rest(), count);
    let layout = match extended {
        Some(true) => sixteens,
        Some(false) => plain,
        None if !fits(plain) && fits(sixteens) => sixteens,
        None => plain,
    };
    for _ in 0..count {
        record(c, layout, family, out)?;
    }
    Ok(())
}

fn record(c: &mut Cursor<'_>, layout: Layout, family: Family, out: &mut Out<'_>) -> Result<()> {
    let start = *c;
    let mut record = Record::new();
    let time = c.i64("time")?;
    if Time(time).is_writable() {
        record.time = Some(Time(time));
    } else {
        out.note("time is outside of all calendars");
    }
    let priority = c.u8("priority")?;
    position(c, &mut record, out)?;
    let event = layout.id(c, "event id")?;
    record.set(Key::EventCode, event.to_compact_string());
    if priority != 0 {
        record.raw("priority", priority);
    }
    if layout.has_generation {
        record.raw("generation", c.u8("generation type")?);
    }
    let total = layout.count(c, "element count")?;
    let family = family.or_seen(|| layout.lists_gnss_status(c.rest()));
    let mut parts = Parts::new();
    let mut found = 0_usize;
    for width in [1, 2, 4, 8] {
        let count = layout.count(c, "elements of a width")?;
        found = found.saturating_add(usize::from(count));
        for _ in 0..count {
            let id = layout.id(c, "element id")?;
            let value = match width {
                1 => c.u8("element of 1 byte")?.into(),
                2 => c.u16("element of 2 bytes")?.into(),
                4 => c.u32("element of 4 bytes")?.into(),
                _ => c.u64("element of 8 bytes")?,
            };
            apply(&mut record, &mut parts, family, event, Element { id, width, value });
        }
    }
    if layout.has_sixteens {
        let count = layout.count(c, "elements of 16 bytes")?;
        found = found.saturating_add(usize::from(count));
        for _ in 0..count {
            let id = layout.id(c, "element id")?;
            beacons::raw_hex(&mut record, id, c.bytes("element of 16 bytes", 16)?);
        }
    }
    if layout.has_variable {
        let count = layout.count(c, "elements of any length")?;
        found = found.saturating_add(usize::from(count));
        for _ in 0..count {
            let id = layout.id(c, "element id")?;
            let length = usize::from(c.u16("element length")?);
            beacons::variable(&mut record, id, c.bytes("element", length)?, out);
        }
    }
    if usize::from(total) != found {
        out.note("the number of elements is not the one stated");
    }
    parts.finish(&mut record);
    out.record(record.hash_span(c.since(&start)));
    Ok(())
}

fn position(c: &mut Cursor<'_>, record: &mut Record, out: &mut Out<'_>) -> Result<()> {
    let longitude = f64::from(c.i32("longitude")?) / 1e7;
    let latitude = f64::from(c.i32("latitude")?) / 1e7;
    let altitude = c.i16("altitude")?;
    let course = c.u16("course")?;
    let satellites = c.u8("satellites")?;
    let speed = c.u16("speed")?;
    if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 {
        record.set(Key::PositionLatitude, latitude);
        record.set(Key::PositionLongitude, longitude);
    } else {
        out.note("place is not on earth");
    }
    record.set(Key::PositionAltitude, altitude);
    // Without a fix the place is the last known one, and course and speed are zero: nothing was measured.
    let is_fix = satellites != 0;
    if is_fix || course != 0 {
        absent::course(course.into(), record, out);
    }
    if is_fix || speed != 0 {
        record.set(Key::PositionSpeed, speed);
    }
    record.set(Key::PositionSatellites, satellites);
    record.set(Key::PositionValid, is_fix);
    Ok(())
}

impl Layout {
    fn id(self, c: &mut Cursor<'_>, field: &'static str) -> Result<u16> {
        if self.wide_ids { c.u16(field) } else { c.u8(field).map(u16::from) }
    }

    fn count(self, c: &mut Cursor<'_>, field: &'static str) -> Result<u16> {
        if self.wide_counts { c.u16(field) } else { c.u8(field).map(u16::from) }
    }

    /// Whether `count` records of this layout fill `data` but for the count at its end.
    fn ends_at_count(self, data: &[u8], count: u8) -> bool {
        let mut c = Cursor::new(data);
        (0..count).all(|_| self.skip(&mut c).is_ok()) && c.left() == 1
    }

    fn skip(self, c: &mut Cursor<'_>) -> Result<()> {
        c.skip("head", HEAD_BYTES)?;
        self.id(c, "event id")?;
        c.skip("generation type", usize::from(self.has_generation))?;
        self.count(c, "element count")?;
        let id_bytes = if self.wide_ids { 2 } else { 1 };
        let widths: &[usize] = if self.has_sixteens { &[1, 2, 4, 8, 16] } else { &[1, 2, 4, 8] };
        for width in widths {
            let count = usize::from(self.count(c, "elements of a width")?);
            c.skip("elements", count.saturating_mul(width.saturating_add(id_bytes)))?;
        }
        if self.has_variable {
            for _ in 0..self.count(c, "elements of any length")? {
                c.skip("element id", id_bytes)?;
                let length = c.u16("element length")?;
                c.skip("element", usize::from(length))?;
            }
        }
        Ok(())
    }

    /// Whether the elements, which begin `data`, hold id 69 in one byte.
    fn lists_gnss_status(self, data: &[u8]) -> bool {
        const GNSS_STATUS: u16 = 69;
        let mut c = Cursor::new(data);
        let Ok(count) = self.count(&mut c, "elements of 1 byte") else { return false };
        // A count that somebody made up ends where the bytes do.
        let mut ids = (0..count).map_while(|_| {
            let id = self.id(&mut c, "element id").ok()?;
            c.u8("element").ok().map(|_| id)
        });
        ids.any(|id| id == GNSS_STATUS)
    }
}
