//! What queries and JSON have in common: who the device is, and a fix as it is put together.

use super::names::{number, odd};
use crate::{IDENTITY_BYTES_MAX, NAMES_MAX, Out, RECORDS_MAX};
use compact_str::CompactString;
use odograph_model::{AccessPoint, Cell, Item, Key, Record, Time};
use odograph_wire::{Malformed, Reason, Result};

/// The device that a request names.
#[derive(Default)]
pub(super) struct Device(Vec<CompactString>);

impl Device {
    /// It calls itself `name`, which stands at `at` of the frame.
    pub(super) fn add(&mut self, name: &str, at: usize) -> Result<()> {
        let name = name.trim();
        let malformed = |expected| Err(Malformed::new("id", at, Reason::Expected(expected)));
        if name.is_empty() || self.0.iter().any(|known| known == name) {
            return Ok(());
        }
        if name.len() > IDENTITY_BYTES_MAX || name.chars().any(char::is_control) {
            return malformed("an id of at most 255 bytes without control characters");
        }
        if self.0.len() == NAMES_MAX {
            return malformed("fewer names of one device");
        }
        self.0.push(name.into());
        Ok(())
    }

    /// The fixes of `other` are this device's as well, unless they name a different one: then says which.
    pub(super) fn join(&mut self, other: Self) -> Option<CompactString> {
        if self.0.is_empty() {
            *self = other;
            return None;
        }
        if other.0.iter().any(|name| self.0.contains(name)) {
            return None;
        }
        other.0.into_iter().next()
    }

    /// What it calls itself, if it does.
    pub(super) fn names(&self) -> &[CompactString] {
        &self.0
    }
}

/// Gives records to another device than the request's own, unless they have one already.
pub(super) fn give(records: &mut [Record], other: Option<CompactString>) {
    let Some(name) = other else { return };
    for record in records.iter_mut().filter(|record| record.device.is_none()) {
        record.device = Some(name.clone());
    }
}

/// There are more fixes in a request than are taken at once, the next of which stands at `at`.
pub(super) const fn too_many(at: usize) -> Malformed {
    Malformed::new("location", at, Reason::TooMany { max: RECORDS_MAX })
}

/// Makes a number as it is sent one of the dictionary.
pub(super) type Unit = fn(f64) -> f64;
/// The dictionary's own unit.
pub(super) const AS_SENT: Unit = |number| number;

/// A fix as it is put together.
pub(super) struct Fix {
    pub(super) record: Record,
    /// The device says that the place is not current.
    pub(super) valid: Option<bool>,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Fix {
    pub(super) fn new() -> Self {
        Self { record: Record::new(), valid: None, latitude: None, longitude: None }
    }

    pub(super) fn time(&mut self, name: &str, value: &str, time: Option<Time>, out: &mut Out<'_>) {
        match time {
            Some(time) => self.record.time = Some(time),
            None => odd(name, value, "a time", &mut self.record, out),
        }
    }

    pub(super) fn latitude(&mut self, name: &str, value: &str, out: &mut Out<'_>) {
        match number(value).filter(|degrees| degrees.abs() <= 90.0) {
            Some(degrees) => self.latitude = Some(degrees),
            None => odd(name, value, "a latitude", &mut self.record, out),
        }
    }

    pub(super) fn longitude(&mut self, name: &str, value: &str, out: &mut Out<'_>) {
        match number(value).filter(|degrees| degrees.abs() <= 180.0) {
            Some(degrees) => self.longitude = Some(degrees),
            None => odd(name, value, "a longitude", &mut self.record, out),
        }
    }

    /// A number, which `unit` makes the dictionary's.
    pub(super) fn number(&mut self, name: &str, value: &str, key: Key, unit: Unit, out: &mut Out<'_>) {
        match number(value) {
            Some(number) => self.record.set(key, unit(number)),
            None => odd(name, value, "a number", &mut self.record, out),
        }
    }

    /// The same where phones say with a negative number that they do not know it.
    pub(super) fn known_number(&mut self, name: &str, value: &str, key: Key, unit: Unit, out: &mut Out<'_>) {
        if number(value).is_none_or(|number| number >= 0.0) {
            self.number(name, value, key, unit, out);
        }
    }

    /// Degrees from north.
    pub(super) fn course(&mut self, name: &str, value: &str, out: &mut Out<'_>) {
        if number(value).is_some_and(|degrees| degrees > 360.0) {
            return odd(name, value, "at most 360 degrees", &mut self.record, out);
        }
        self.known_number(name, value, Key::PositionDirection, AS_SENT, out);
    }

    /// `mcc,mnc,area,cell` and perhaps a signal.
    pub(super) fn cell(&mut self, value: &str, out: &mut Out<'_>) {
        match cell(value) {
            Some(cell) => self.record.push(Key::GsmCells, Item::Cell(cell)),
            None => odd("cell", value, "MCC,MNC,LAC,CID or MCC,MNC,LAC,CID,SIGNAL", &mut self.record, out),
        }
    }

    /// `mac,signal`.
    pub(super) fn access_point(&mut self, value: &str, out: &mut Out<'_>) {
        match access_point(value) {
            Some(point) => self.record.push(Key::WifiAccessPoints, Item::AccessPoint(point)),
            None => odd("wifi", value, "MAC,SIGNAL", &mut self.record, out),
        }
    }

    /// The record, unless there is nothing in it, known by `spans`.
    pub(super) fn finish(mut self, spans: &[&str], out: &mut Out<'_>) -> Option<Record> {
        match (self.latitude, self.longitude) {
            (Some(latitude), Some(longitude)) => {
                self.record.set(Key::PositionLatitude, latitude);
                self.record.set(Key::PositionLongitude, longitude);
                self.record.set(Key::PositionValid, self.valid.unwrap_or(true));
            }
            (None, None) => {}
            (latitude, longitude) => {
                out.note("half a place: expected a latitude and a longitude");
                let halves = [("latitude", latitude), ("longitude", longitude)];
                halves
                    .into_iter()
                    .for_each(|(name, half)| half.into_iter().for_each(|half| self.record.raw(name, half)));
            }
        }
        let says_something =
            self.record.time.is_some() || !self.record.values().is_empty() || !self.record.raw_values().is_empty();
        let known = |record: Record, span: &&str| record.hash_span(span.as_bytes());
        says_something.then(|| spans.iter().fold(self.record, known))
    }
}

pub(super) fn cell(value: &str) -> Option<Cell> {
    let mut parts = value.split(',').map(str::trim);
    let mut small = || parts.next()?.parse().ok();
    let (mcc, mnc, lac) = (small()?, small()?, small()?);
    let cid = parts.next()?.parse().ok()?;
    let signal = match parts.next().filter(|signal| !signal.is_empty()) {
        Some(signal) => Some(signal.parse().ok()?),
        None => None,
    };
    Some(Cell { mcc: Some(mcc), mnc: Some(mnc), lac: Some(lac), cid, signal })
}

pub(super) fn access_point(value: &str) -> Option<AccessPoint> {
    let (address, signal) = value.split_once(',').unwrap_or((value, ""));
    let mut mac = CompactString::default();
    for letter in address.trim().chars().filter(|letter| !matches!(letter, ':' | '-')) {
        if mac.len() % 3 == 2 {
            mac.push(':');
        }
        mac.push(Some(letter.to_ascii_lowercase()).filter(char::is_ascii_hexdigit)?);
    }
    let signal = match signal.trim() {
        "" => None,
        // Some apps leave the sign of dBm out.
        signal => Some(signal.parse::<i32>().ok()?.checked_abs()?.checked_neg()?),
    };
    (mac.len() == MAC_LENGTH).then_some(AccessPoint { mac, signal })
}

/// Six pairs of digits with colons between them.
const MAC_LENGTH: usize = 17;
