//! A record while its tags are read: what depends on several tags is settled at the end.

use super::tags;
use crate::{Answer, Out, RECORDS_MAX, Settings};
use compact_str::{CompactString, format_compact};
use odograph_model::{Key, Record, Time};
use odograph_wire::{Cursor, Malformed, Reason, Result};

/// The tag of the time. One that stands before it, after it was read, belongs to the next record.
pub(super) const TIME: u8 = 0x20;
/// Milliseconds of the time.
const MILLISECONDS: u8 = 0x21;
/// Tags up to this one say which device it is.
const INTRODUCTION_LAST: u8 = 0x04;

/// How values are read that depend on how the device is set up.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) inputs: Inputs,
    pub(super) rs232_fuel: bool,
    pub(super) can_log: bool,
    pub(super) axles: bool,
    pub(super) passengers: bool,
}

/// What an analogue input's value is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Inputs {
    AsSent,
    Voltage,
    Pulses,
}

impl Reading {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            inputs: match settings.text("inputs") {
                Some("voltage") => Inputs::Voltage,
                Some("pulses") => Inputs::Pulses,
                _ => Inputs::AsSent,
            },
            rs232_fuel: settings.text("rs232") == Some("fuel"),
            can_log: settings.is_on("can_log"),
            axles: settings.is_on("axles"),
            passengers: settings.is_on("passengers"),
        }
    }
}

/// What the tags of one record have said so far.
pub(super) struct Draft {
    pub(super) record: Record,
    pub(super) reading: Reading,
    pub(super) imei: Option<CompactString>,
    pub(super) hardware: Option<u8>,
    pub(super) firmware: Option<u8>,
    /// In seconds since 1970.
    pub(super) seconds: Option<u32>,
    pub(super) milliseconds: u16,
    /// Tag 35: what it means depends on where the place comes from.
    pub(super) precision: Option<u8>,
    /// The place comes from base stations.
    pub(super) by_cells: bool,
    /// The number of the command that is answered.
    pub(super) command: Option<u32>,
    /// The answer's text.
    pub(super) result: Option<String>,
    /// Which tags it has, a bit each.
    seen: [u64; 4],
    last: u8,
    /// Whether there is more than who the device is, and when.
    has_content: bool,
    /// Whether it has a tag that nobody describes.
    pub(super) has_unknown: bool,
}

/// Reads records one after the other, up to the end of `c`.
pub(super) fn records(mut c: Cursor<'_>, reading: Reading, out: &mut Out<'_>) -> Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    let mut draft = Draft::new(reading);
    let mut start = c;
    while let Some(id) = c.peek() {
        if draft.is_over_before(id) {
            keep(&mut drafts, draft.sealed(&start, &c), &c)?;
            draft = Draft::new(reading);
            start = c;
        }
        let at_tag = c;
        c.u8("tag")?;
        match tags::find(id) {
            Some(row) => tags::read(id, row, &mut c, &mut draft, out)?,
            // A tag of later firmware: how long it is, nobody knows. Where the record has its time, it is one; where it
            // has not, these may be no tags at all but encrypted.
            None if draft.has(TIME) => {
                draft.has_unknown = true;
                draft.record.raw("rest", super::hex(at_tag.rest()));
                out.note(format!("tag {id:02x} at byte {} is unknown: what follows is kept as it is", at_tag.at()));
                c.take_rest("unknown tag");
            }
            None => return Err(at_tag.error("tag", Reason::Unknown)),
        }
        draft.note_tag(id);
        if draft.has_only_names() {
            // What says which device it is may be left out when a record is sent again.
            start = c;
        }
    }
    keep(&mut drafts, draft.sealed(&start, &c), &c)?;
    Ok(drafts)
}

fn keep(drafts: &mut Vec<Draft>, draft: Draft, c: &Cursor<'_>) -> Result<()> {
    if drafts.len() >= RECORDS_MAX {
        return Err(Malformed::new("records", c.at(), Reason::TooMany { max: RECORDS_MAX }));
    }
    drafts.push(draft);
    Ok(())
}

impl Draft {
    pub(super) fn new(reading: Reading) -> Self {
        Self {
            record: Record::new(),
            reading,
            imei: None,
            hardware: None,
            firmware: None,
            seconds: None,
            milliseconds: 0,
            precision: None,
            by_cells: false,
            command: None,
            result: None,
            seen: [0; 4],
            last: 0,
            has_content: false,
            has_unknown: false,
        }
    }

    /// Says that `id` was read.
    pub(super) fn note_tag(&mut self, id: u8) {
        if let Some(word) = self.seen.get_mut(usize::from(id >> 6)) {
            *word |= 1 << (id & 0x3F);
        }
        self.last = id;
        self.has_content |= id > INTRODUCTION_LAST && !matches!(id, TIME | MILLISECONDS);
    }

    /// Takes the bytes from `start` to `end` into the record's identity.
    pub(super) fn sealed(mut self, start: &Cursor<'_>, end: &Cursor<'_>) -> Self {
        self.record = self.record.hash_span(end.since(start));
        self
    }

    /// The same, of `time` unless it says its own.
    pub(super) fn received_by(mut self, time: Time) -> Self {
        self.record.time = self.record.time.or(Some(time));
        self
    }

    /// Says that it is a record, whatever its tags.
    pub(super) fn with_content(mut self) -> Self {
        self.has_content = true;
        self
    }

    /// Whether nothing is said but who the device is, and when.
    pub(super) const fn is_introduction(&self) -> bool {
        !self.has_content
    }

    /// The answer to a command, if it is one.
    pub(super) fn answer(&self) -> Option<Answer> {
        Some(Answer { token: self.command, text: self.result.clone()?, done: None })
    }

    /// The record; `hardware` and `firmware` were said before it.
    pub(super) fn finish(mut self, hardware: Option<u8>, firmware: Option<u8>, out: &mut Out<'_>) -> Record {
        let record = &mut self.record;
        let version = |number: u8| format_compact!("{number}");
        record.set_some(Key::DeviceHardwareVersion, self.hardware.or(hardware).map(version));
        record.set_some(Key::DeviceFirmwareVersion, self.firmware.or(firmware).map(version));
        // A clock that was not set yet begins with zero.
        let whole =
            self.seconds.filter(|seconds| *seconds != 0).map(|seconds| Time(i64::from(seconds).saturating_mul(1000)));
        record.time = whole.or(record.time).map(|time| time.plus_ms(self.milliseconds.into()));
        if record.time.is_none() && self.result.is_none() {
            out.note("a record without time");
        }
        match self.precision {
            Some(precision) if self.by_cells => record.set(Key::PositionAccuracy, f64::from(precision) * 10.0),
            Some(precision) => record.set(Key::PositionHdop, f64::from(precision) / 10.0),
            None => {}
        }
        self.record
    }

    /// Whether there is no tag yet but those that say which device it is.
    fn has_only_names(&self) -> bool {
        const NAMES: u64 = (2 << INTRODUCTION_LAST) - 1;
        let [first, others @ ..] = self.seen;
        first & !NAMES == 0 && others == [0; 3]
    }

    fn has(&self, id: u8) -> bool {
        self.seen.get(usize::from(id >> 6)).is_some_and(|word| word >> (id & 0x3F) & 1 == 1)
    }

    /// Tags ascend within a record. A device that does not keep to that still has each tag once.
    fn is_over_before(&self, id: u8) -> bool {
        self.has(id) || (id < self.last && id < TIME && self.has(TIME))
    }
}
