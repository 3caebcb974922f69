//! What takes several elements of a record to say: axes, cells, card and vehicle numbers.

use super::beacons::ascii;
use crate::absent::is_blank;
use compact_str::{CompactString, ToCompactString, format_compact};
use odograph_model::{Cell, Item, Key, Record};

pub(super) const AXIS_X: usize = 0;
pub(super) const AXIS_Y: usize = 1;
pub(super) const AXIS_Z: usize = 2;
pub(super) const ICCID_HIGH: usize = 3;
pub(super) const ICCID_LOW: usize = 4;
pub(super) const CELL: usize = 5;
pub(super) const CELL_LTE: usize = 6;
pub(super) const AREA: usize = 7;
pub(super) const OPERATOR: usize = 8;
pub(super) const VIN: usize = 9; // and the two that follow
pub(super) const DRIVER: usize = 12; // and the two that follow
pub(super) const IBUTTON: usize = 15;
pub(super) const MILEAGE: usize = 16;
pub(super) const CAN_MILEAGE: usize = 17;
pub(super) const HEARD: usize = 18; // four cells of four parts each
const HEARD_CELLS: usize = 4;
const PARTS: usize = 34;

/// The parts that a record held, by place.
pub(super) struct Parts {
    /// Which places are taken.
    taken: u64,
    ids: [u16; PARTS],
    values: [i64; PARTS],
}

impl Parts {
    pub(super) const fn new() -> Self {
        Self { taken: 0, ids: [0; PARTS], values: [0; PARTS] }
    }

    /// Holds a part; `false` where its place is taken.
    pub(super) fn put(&mut self, place: usize, id: u16, value: i64) -> bool {
        match (self.ids.get_mut(place), self.values.get_mut(place)) {
            (Some(known), Some(held)) if self.taken & bit(place) == 0 => {
                *known = id;
                *held = value;
                self.taken |= bit(place);
                true
            }
            _ => false,
        }
    }

    /// Puts together what belongs together; a part without its fellows is kept raw.
    pub(super) fn finish(mut self, record: &mut Record) {
        if self.taken == 0 {
            return;
        }
        self.axes(record);
        self.iccid(record);
        self.cells(record);
        if let Some(text) = self.text(VIN, 3) {
            record.set(Key::VehicleVin, text);
        }
        self.driver(record);
        for (place, key) in [(MILEAGE, Key::VehicleMileage), (CAN_MILEAGE, Key::CanVehicleMileage)] {
            if record.get(key).is_none() {
                let metres = self.take(place).and_then(|value| u32::try_from(value).ok());
                record.set_some(key, metres.map(|metres| f64::from(metres) / 1000.0));
            }
        }
        for (place, (id, value)) in self.ids.iter().zip(self.values).enumerate() {
            if self.taken & bit(place) != 0 {
                record.raw(id.to_compact_string(), value);
            }
        }
    }

    fn value(&self, place: usize) -> Option<i64> {
        self.values.get(place).copied().filter(|_| self.taken & bit(place) != 0)
    }

    fn take(&mut self, place: usize) -> Option<i64> {
        let value = self.value(place)?;
        self.taken &= !bit(place);
        Some(value)
    }

    fn axes(&mut self, record: &mut Record) {
        if let (Some(x), Some(y), Some(z)) = (self.value(AXIS_X), self.value(AXIS_Y), self.value(AXIS_Z)) {
            record.set(Key::AccelerationAxes, format_compact!("{x},{y},{z}"));
            for place in [AXIS_X, AXIS_Y, AXIS_Z] {
                self.take(place);
            }
        }
    }

    /// The maker's rule: the second part has ten digits at least, with zeros before it where it is shorter.
    fn iccid(&mut self, record: &mut Record) {
        if let (Some(high), Some(low)) = (self.value(ICCID_HIGH), self.value(ICCID_LOW)) {
            self.take(ICCID_HIGH);
            self.take(ICCID_LOW);
            if high > 0 && low >= 0 {
                record.set(Key::GsmSimIccid, format_compact!("{high}{low:010}"));
            }
        }
    }

    fn cells(&mut self, record: &mut Record) {
        let operator = self.take(OPERATOR).unwrap_or_default();
        let mut is_heard = false;
        for number in 0..HEARD_CELLS {
            let place = |part: usize| number.saturating_mul(4).saturating_add(HEARD).saturating_add(part);
            let parts = (self.value(place(0)), self.value(place(1)), self.value(place(2)));
            if let (Some(mnc), Some(lac), Some(cid)) = parts {
                let signal = self.value(place(3)).map(|signal| signal.abs().wrapping_neg());
                for part in 0..4 {
                    self.take(place(part));
                }
                let cell = Cell { mnc: u32::try_from(mnc).ok(), ..cell(0, lac, cid, signal) };
                record.push(Key::GsmCells, Item::Cell(cell));
                is_heard = true;
            }
        }
        let serving = [CELL, CELL_LTE].into_iter().find(|place| self.value(*place).is_some());
        if let (false, Some(place), Some(lac)) = (is_heard, serving, self.value(AREA)) {
            self.take(AREA);
            let cid = self.take(place).unwrap_or_default();
            record.push(Key::GsmCells, Item::Cell(cell(operator, lac, cid, None)));
        }
    }

    /// A driver's card, read by a tachograph, goes before a key that was held to the device.
    fn driver(&mut self, record: &mut Record) {
        match self.text(DRIVER, 3) {
            Some(card) => record.set(Key::DriverId, card),
            None => {
                // The key's number is written with its last byte first.
                if let Some(key) = self.take(IBUTTON).filter(|key| !is_blank(&key.to_be_bytes())) {
                    record.set(Key::DriverId, format_compact!("{:016X}", key.swap_bytes()));
                }
            }
        }
    }

    /// The text that `count` parts from `first` on hold, if all that came of them is text.
    fn text(&mut self, first: usize, count: usize) -> Option<CompactString> {
        let places = first..first.saturating_add(count);
        let mut bytes = [0_u8; 24];
        let chunks = bytes.as_chunks_mut::<8>().0;
        self.value(first)?;
        for (chunk, place) in chunks.iter_mut().zip(places.clone()) {
            *chunk = self.value(place).unwrap_or_default().to_be_bytes();
        }
        let text = ascii(&bytes)?;
        for place in places {
            self.take(place);
        }
        Some(text.into()).filter(|text: &CompactString| !text.is_empty())
    }
}

fn bit(place: usize) -> u64 {
    u32::try_from(place).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0)
}

/// A cell; an operator below 1000 is none.
pub(super) fn cell(operator: i64, lac: i64, cid: i64, signal: Option<i64>) -> Cell {
    let digits = if operator >= 1000 { operator.to_compact_string() } else { CompactString::default() };
    let (mcc, mnc) = digits.split_at_checked(3).unwrap_or_default();
    Cell {
        mcc: mcc.parse().ok(),
        mnc: mnc.parse().ok(),
        lac: u32::try_from(lac).ok(),
        cid: u64::try_from(cid).unwrap_or_default(),
        signal: signal.and_then(|signal| i32::try_from(signal).ok()),
    }
}
