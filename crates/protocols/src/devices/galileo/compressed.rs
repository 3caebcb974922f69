//! Compressed packets: the tags' numbers stand once, and records are their values alone.
//!
//! ```text
//! first record    [minimum] [list] value*          others    [minimum] value*
//! minimum         0 t25 v1 o22 a21 A1 u9           t seconds of the year, v not valid, o longitude, a latitude, A alarm,
//!                                                  u beginning of user tag 0; in bits from the highest on
//! list            1 n7 tag*                        or FF and a bit for each of 256 tags
//! ```
//!
//! A minimum begins with a 0 and a list with a 1. Not described are the order of the bits of a mask, and where a packet
//! has several records some repeat the list, or write its length without the 1: the reading that fits holds.

use super::draft::{Draft, Reading};
use super::tags;
use crate::{Out, RECORDS_MAX};
use odograph_model::{Alarm, Key, Record, Time};
use odograph_wire::{Cursor, Malformed, Reason, Result, bits};

/// How many bytes a minimum has.
const MINIMUM_BYTES: usize = 10;
/// What a list begins with that is a mask.
const MASK: u8 = 0xFF;
const MASK_BYTES: usize = 32;

/// How a packet may be read.
#[derive(Clone, Copy)]
struct Plan {
    has_minimum: bool,
    list: List,
    /// Whether each record has the list.
    repeats: bool,
}

#[derive(Clone, Copy)]
enum List {
    None,
    Numbers,
    /// A bit for each tag, from the lowest bit of a byte on or from the highest.
    Mask {
        highest_first: bool,
    },
}

/// Where things are in a packet.
struct Layout {
    /// The tags of all records.
    numbers: Vec<u8>,
    /// How many bytes the list takes.
    list_bytes: usize,
    /// How many bytes each record's values take.
    values_bytes: Vec<usize>,
}

/// Reads the records of `data`, received at `received`.
pub(super) fn records(data: Cursor<'_>, reading: Reading, received: Time, out: &mut Out<'_>) -> Result<Vec<Draft>> {
    let (plan, layout) = understood(data)?;
    let mut c = data;
    let mut drafts = Vec::new();
    for length in &layout.values_bytes {
        let mut draft = Draft::new(reading);
        let start = c;
        if plan.has_minimum {
            minimum(&mut c, received, &mut draft.record)?;
        }
        draft = draft.sealed(&start, &c);
        if drafts.is_empty() || plan.repeats {
            c.skip("tag list", layout.list_bytes)?;
        }
        let mut values = c.sub("values", *length)?;
        let start = values;
        for id in &layout.numbers {
            value(*id, &mut values, &mut draft, out)?;
        }
        draft.record = draft.record.hash_span(&layout.numbers);
        drafts.push(draft.sealed(&start, &values).with_content());
    }
    Ok(drafts)
}

/// Whether `data` can be read at all.
pub(super) fn is_understood(data: Cursor<'_>) -> bool {
    understood(data).is_ok()
}

/// The first reading that fits to the last byte; where none does, what is wrong with the maker's.
fn understood(data: Cursor<'_>) -> Result<(Plan, Layout)> {
    let has_minimum = data.peek().is_some_and(|first| first & 0x80 == 0);
    let before_list = if has_minimum { MINIMUM_BYTES } else { 0 };
    let head = data.rest().get(before_list).copied();
    let lists: &[List] = match head {
        None => &[List::None],
        Some(MASK) => &[List::Mask { highest_first: false }, List::Mask { highest_first: true }],
        Some(head) if has_minimum && head & 0x80 == 0 => &[List::Numbers, List::None],
        Some(_) => &[List::Numbers],
    };
    let mut first_error = None;
    for repeats in [false, true] {
        for list in lists {
            let plan = Plan { has_minimum, list: *list, repeats };
            match laid_out(plan, Cursor::new(data.rest())) {
                Ok(layout) => return Ok((plan, layout)),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
    }
    let error = first_error.unwrap_or_else(|| Cursor::new(&[]).error("data", Reason::Unknown));
    Err(Malformed { at: error.at.saturating_add(data.at()), ..error })
}

fn laid_out(plan: Plan, mut c: Cursor<'_>) -> Result<Layout> {
    let mut layout = Layout { numbers: Vec::new(), list_bytes: 0, values_bytes: Vec::new() };
    loop {
        let start = c;
        if plan.has_minimum {
            c.skip("minimum", MINIMUM_BYTES)?;
        }
        if layout.values_bytes.is_empty() {
            let before = c;
            layout.numbers = numbers(plan.list, &mut c)?;
            layout.list_bytes = c.since(&before).len();
        } else if plan.repeats {
            c.skip("tag list", layout.list_bytes)?;
        }
        let before = c;
        for id in &layout.numbers {
            pass(*id, &mut c)?;
        }
        if c.at() == start.at() || layout.values_bytes.len() >= RECORDS_MAX {
            return Err(c.error("records", Reason::TooMany { max: RECORDS_MAX }));
        }
        layout.values_bytes.push(c.since(&before).len());
        if c.is_empty() {
            return Ok(layout);
        }
    }
}

fn numbers(list: List, c: &mut Cursor<'_>) -> Result<Vec<u8>> {
    match list {
        List::None => Ok(Vec::new()),
        List::Numbers => {
            let count = c.u8("number of tags")? & 0x7F;
            Ok(c.bytes("tags", count.into())?.to_vec())
        }
        List::Mask { highest_first } => {
            c.u8("mask")?;
            let mask = c.bytes("mask", MASK_BYTES)?;
            let is_set = |id: &u8| {
                let bit = if highest_first { !id & 7 } else { id & 7 };
                mask.get(usize::from(id >> 3)).is_some_and(|byte| bits::is_set(*byte, bit.into()))
            };
            Ok((0..=u8::MAX).filter(is_set).collect())
        }
    }
}

/// Tag 5C, which may be two bytes here that say that there are no data.
const TYRES: u8 = 0x5C;

/// Whether a value says that there is none: 0x00FF, low byte first like all data or as it is written. A first tyre of
/// 255 psi at -40 degrees, or one without pressure and with all flags, is none.
fn is_absent(id: u8, c: &Cursor<'_>) -> bool {
    id == TYRES && matches!(c.rest(), [0xFF, 0x00, ..] | [0x00, 0xFF, ..])
}

fn pass(id: u8, c: &mut Cursor<'_>) -> Result<()> {
    if is_absent(id, c) {
        return c.skip("no tyres", 2);
    }
    let row = tags::find(id).ok_or_else(|| c.error("tag", Reason::Unknown))?;
    tags::skip(row, c)
}

fn value(id: u8, c: &mut Cursor<'_>, draft: &mut Draft, out: &mut Out<'_>) -> Result<()> {
    if is_absent(id, c) {
        return c.skip("no tyres", 2);
    }
    let row = tags::find(id).ok_or_else(|| c.error("tag", Reason::Unknown))?;
    tags::read(id, row, c, draft, out)
}

/// Ten bytes of bits (table 4 of the maker's description).
fn minimum(c: &mut Cursor<'_>, received: Time, record: &mut Record) -> Result<()> {
    let (high, low) = (c.u64("minimum")?, c.u16("minimum")?);
    let part = |from, to| u32::try_from(bits::between(high, from, to)).unwrap_or(u32::MAX);
    let latitude = part(0, 15) << 6 | u32::from(low >> 10);
    let (is_valid, longitude) = (!bits::is_set(high, 37), part(15, 37));
    record.time = moment(part(38, 63), received);
    record.set(Key::PositionValid, is_valid);
    // Without a place both may be zero.
    if is_valid || (latitude, longitude) != (0, 0) {
        record.set(Key::PositionLongitude, f64::from(longitude) * 360.0 / 4_194_304.0 - 180.0);
        record.set(Key::PositionLatitude, f64::from(latitude) * 180.0 / 2_097_152.0 - 90.0);
    }
    if bits::is_set(low, 9) {
        record.alarm(Alarm::General);
    }
    record.raw("minimum.user", low & 0x1FF);
    Ok(())
}

const DAY_MS: i64 = 86_400_000;
/// 365.2425 days.
const YEAR_MS: i64 = 31_556_952_000;

/// The moment so many seconds after a year's beginning. The year is not sent: it is the server's, but what would lie
/// more than a day ahead was recorded in the year before.
fn moment(seconds: u32, received: Time) -> Option<Time> {
    let year = i16::try_from(received.0.div_euclid(YEAR_MS).saturating_add(1970)).ok()?;
    let in_year = |year| Some(Time::utc(year, 1, 1, 0, 0, 0)?.plus_ms(i64::from(seconds).saturating_mul(1000)));
    let moments = [year.saturating_add(1), year, year.saturating_sub(1)].map(in_year);
    moments.into_iter().flatten().find(|moment| *moment <= received.plus_ms(DAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_is_that_of_the_receipt_or_the_one_before() {
        let check = |seconds: u32, received: &str, expected: &str| {
            let moment = moment(seconds, Time::parse(received).unwrap()).unwrap();
            assert_eq!(moment.to_string(), expected);
        };
        check(0, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z");
        check(86_400, "2026-01-01T12:00:00Z", "2026-01-02T00:00:00.000Z");
        check(31_535_999, "2026-01-01T00:00:05Z", "2025-12-31T23:59:59.000Z");
        check(31_535_999, "2025-12-31T23:59:58Z", "2025-12-31T23:59:59.000Z");
        check(5, "2025-12-31T23:59:58Z", "2026-01-01T00:00:05.000Z");
        check(15_000_000, "2024-08-01T00:00:00Z", "2024-06-22T14:40:00.000Z");
    }

    #[test]
    fn a_mask_is_read_from_either_end() {
        let mut bytes = [0; 33];
        bytes[0] = 0xFF;
        bytes[1 + 0x41 / 8] = 1 << (0x41 % 8);
        for (highest_first, tag) in [(false, 0x41), (true, 0x46)] {
            assert_eq!(numbers(List::Mask { highest_first }, &mut Cursor::new(&bytes)), Ok(vec![tag]));
        }
    }
}
