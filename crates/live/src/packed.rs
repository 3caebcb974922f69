//! What is known of one device, in few bytes: of each parameter its newest value and the record that said so.
//!
//! ```text
//! i64 sound | i64 received | i64 moving | u16 moments, each: u8 flags, i64 time, i64 received, u64 id | entries to the end
//! entry: u16 row, and in its two top bits the form of the value | u16 moment | value
//! value: 8 bytes | 1 byte | u16 length and as many bytes
//! ```
//!
//! Entries are sorted by row; where a row has two, the second is of a record whose clock was wrong. Numbers are
//! little-endian. No bytes at all: a device of which there is no record.

use crate::bits::{RECORD, key_of};
use odograph_model::{Key, Kind, RecordId, Time, Value};

mod foreign;
mod record;
mod values;

pub(crate) use foreign::of_rows;
pub(crate) use record::Packing;
pub(crate) use values::{Reader, put_value, value_of};

/// What is known of a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed<'a>(pub(crate) &'a [u8]);

/// Which record said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Whether it counts in full: a place that the device itself calls no current fix does not take the place of one that was.
    pub(crate) counts: bool,
    pub(crate) time: Time,
    pub(crate) received: Time,
    pub(crate) id: RecordId,
    /// The record's clock was wrong, so that nobody knows when it was made: see [`crate::merge`].
    pub(crate) is_wrong: bool,
}

/// The value of a parameter, or, in the row [`RECORD`], the protocol of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) head: u16,
    pub(crate) moment: u16,
    pub(crate) value: &'a [u8],
    /// From where to where it is in the bytes that it is a part of.
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

/// An entry that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effective<'a> {
    packed: Packed<'a>,
    entry: Entry<'a>,
}

impl<'a> Packed<'a> {
    /// The latest receipt of a record whose clock was not wrong; the least time of all, if there is none.
    pub(crate) fn sound(&self) -> Time {
        self.header(0)
    }

    /// The latest receipt.
    pub(crate) fn received(&self) -> Option<Time> {
        (!self.0.is_empty()).then(|| self.header(8))
    }

    /// The latest time of a record of it while it moved; the least time of all, if there is none.
    pub(crate) fn moving(&self) -> Time {
        self.header(16)
    }

    fn header(&self, at: usize) -> Time {
        if self.0.is_empty() { NEVER } else { Time(i64::from_le_bytes(array(self.0, at))) }
    }

    pub(crate) fn moments(&self) -> u16 {
        if self.0.is_empty() { 0 } else { u16::from_le_bytes(array(self.0, HEADER_BYTES - 2)) }
    }

    pub(crate) fn moment(&self, index: u16) -> Moment {
        Moment::read(&self.0[HEADER_BYTES + usize::from(index) * MOMENT_BYTES..])
    }

    pub(crate) fn entries(&self) -> Entries<'a> {
        let begin = HEADER_BYTES + usize::from(self.moments()) * MOMENT_BYTES;
        Entries { packed: self.0, at: begin.min(self.0.len()) }
    }

    /// Of each row the entry that counts.
    pub(crate) fn effective(&self) -> impl Iterator<Item = Effective<'a>> + use<'a> {
        let packed = *self;
        let mut entries = self.entries();
        let mut next = entries.next();
        std::iter::from_fn(move || {
            let mut entry = next?;
            next = entries.next();
            if let Some(second) = next.filter(|second| second.row() == entry.row()) {
                next = entries.next();
                if packed.moment(second.moment).counts >= packed.moment(entry.moment).counts {
                    entry = second;
                }
            }
            Some(Effective { packed, entry })
        })
    }

    /// The event time of the latest record.
    pub(crate) fn latest(&self) -> Option<Time> {
        self.effective().next().filter(|entry| entry.row() == RECORD).map(|entry| entry.time())
    }
}

impl Moment {
    /// How it counts against another of the same layer: the greater one stays. Sound records have the order of the lake's
    /// `last`. Of the others only the receipt is known, and it decides until when they count: so it must decide which stays.
    pub(crate) const fn rank(&self) -> (bool, i64, i64, u64) {
        let (time, received, id) = (self.time.0, self.received.0, self.id.0);
        if self.is_wrong { (true, received, time, id) } else { (self.counts, time, received, id) }
    }

    fn read(bytes: &[u8]) -> Self {
        let flags = bytes[0];
        Self {
            counts: flags & COUNTS != 0,
            time: Time(i64::from_le_bytes(array(bytes, 1))),
            received: Time(i64::from_le_bytes(array(bytes, 9))),
            id: RecordId(u64::from_le_bytes(array(bytes, 17))),
            is_wrong: flags & WRONG != 0,
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.push(if self.counts { COUNTS } else { 0 } | if self.is_wrong { WRONG } else { 0 });
        out.extend(self.time.0.to_le_bytes());
        out.extend(self.received.0.to_le_bytes());
        out.extend(self.id.0.to_le_bytes());
    }
}

/// Begins what is known of a device.
pub(crate) fn put_header(out: &mut Vec<u8>, sound: Time, received: Time, moving: Time, moments: u16) {
    out.extend(sound.0.to_le_bytes());
    out.extend(received.0.to_le_bytes());
    out.extend(moving.0.to_le_bytes());
    out.extend(moments.to_le_bytes());
}

/// Says how many moments there are, once that is known.
pub(crate) fn set_moments(out: &mut [u8], moments: u16) {
    out[HEADER_BYTES - 2..HEADER_BYTES].copy_from_slice(&moments.to_le_bytes());
}

/// Puts an entry that was put before, of what is the moment of that number here.
pub(crate) fn put_again(out: &mut Vec<u8>, entry: &[u8], moment: u16) {
    let begin = out.len();
    out.extend_from_slice(entry);
    out[begin + 2..begin + 4].copy_from_slice(&moment.to_le_bytes());
}

/// Puts the value of a row: see [`head_of`].
pub(crate) fn put_entry(out: &mut Vec<u8>, head: u16, moment: u16, value: &[u8]) {
    out.extend(head.to_le_bytes());
    out.extend(moment.to_le_bytes());
    if head & !ROW_MASK == BYTES {
        // A longer value is never made: see `values`.
        out.extend((value.len() as u16).to_le_bytes());
    }
    out.extend_from_slice(value);
}

impl Entry<'_> {
    pub(crate) const fn row(&self) -> u16 {
        self.head & ROW_MASK
    }
}

/// A row with the form that values of its parameter have.
pub(crate) fn head_of(row: u16, kind: Kind) -> u16 {
    row | match kind {
        Kind::Float | Kind::Int => EIGHT_BYTES,
        Kind::Bool => ONE_BYTE,
        Kind::Text | Kind::List => BYTES,
    }
}

/// The entries that are left.
#[derive(Debug, Clone)]
pub(crate) struct Entries<'a> {
    packed: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let Self { packed, at } = *self;
        if at == packed.len() {
            return None;
        }
        let head = u16::from_le_bytes(array(packed, at));
        let moment = u16::from_le_bytes(array(packed, at + 2));
        let (begin, length) = match head & !ROW_MASK {
            EIGHT_BYTES => (at + 4, 8),
            ONE_BYTE => (at + 4, 1),
            _ => (at + 6, usize::from(u16::from_le_bytes(array(packed, at + 4)))),
        };
        self.at = begin + length;
        Some(Entry { head, moment, value: &packed[begin..self.at], begin: at, end: self.at })
    }
}

impl<'a> Effective<'a> {
    pub(crate) const fn row(&self) -> u16 {
        self.entry.row()
    }

    pub(crate) const fn bytes(&self) -> &'a [u8] {
        self.entry.value
    }

    /// The time of its record.
    pub(crate) fn time(&self) -> Time {
        self.packed.moment(self.entry.moment).time
    }

    pub(crate) fn key(&self) -> Option<Key> {
        key_of(self.row())
    }

    pub(crate) fn value(&self) -> Option<Value> {
        value_of(self.key()?.kind(), self.entry.value)
    }

    /// The value of a parameter whose values are numbers.
    pub(crate) fn number(&self) -> Option<f64> {
        Some(f64::from_le_bytes(self.entry.value.try_into().ok()?))
    }

    /// The value of a parameter that is true or false.
    pub(crate) fn flag(&self) -> Option<bool> {
        self.entry.value.first().map(|flag| *flag != 0)
    }
}

/// These bytes were made here and are whole.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("as many bytes as were asked for")
}

/// Before everything.
pub(crate) const NEVER: Time = Time(i64::MIN);

pub(crate) const HEADER_BYTES: usize = 26;
/// Before the time of the latest move was in it.
pub(crate) const FIRST_HEADER_BYTES: usize = 18;
const MOMENT_BYTES: usize = 25;
const COUNTS: u8 = 1;
const WRONG: u8 = 2;

const ROW_MASK: u16 = 0x3fff;
const EIGHT_BYTES: u16 = 0;
const ONE_BYTE: u16 = 0x4000;
const BYTES: u16 = 0x8000;
