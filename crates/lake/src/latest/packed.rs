//! A record in few bytes: what is kept of each device's latest one, in memory and in the checkpoint.
//!
//! ```text
//! u8 length + protocol | u16 values, each: u16 key, value | u16 raw elements, each: u32 length + name, u32 length + text
//! value: u8 kind, then f64 | i64 | u8 | u32 length + text | u16 items, each a u8 kind and its fields
//! ```
//!
//! All numbers are little-endian. A key is its place in [`KEYS`]; the checkpoint says which names these are.

use compact_str::CompactString;
use hashbrown::HashMap;
use odograph_model::{AccessPoint, Cell, Item, Key, NUMBER_MAX, PARAMETERS, Record, Value};
use std::sync::LazyLock;

/// A packed record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Packed(pub(super) Box<[u8]>);

/// Which parameters are wanted of a record.
pub(super) struct Wanted {
    /// By their places in [`KEYS`].
    pub(super) keys: Vec<bool>,
    /// Whether the elements outside the dictionary are.
    pub(super) raw: bool,
}

impl Wanted {
    /// Everything.
    pub(super) fn all() -> Self {
        Self { keys: vec![true; KEYS.list.len()], raw: true }
    }

    /// These.
    pub(super) fn these(keys: impl IntoIterator<Item = Key>, raw: bool) -> Self {
        let mut wanted = vec![false; KEYS.list.len()];
        for key in keys {
            wanted[usize::from(KEYS.places[&key])] = true;
        }
        Self { keys: wanted, raw }
    }
}

impl Packed {
    pub(super) fn new(protocol: &str, record: &Record) -> Self {
        let mut out = Vec::with_capacity(256);
        // No protocol has a longer name, and no record more values: these are bounds of their own crates.
        out.push(protocol.len() as u8);
        out.extend_from_slice(protocol.as_bytes());
        out.extend((record.values().len() as u16).to_le_bytes());
        // In one order, so that the same record gives the same bytes wherever it was read.
        let mut values: Vec<_> = record.values().iter().map(|(key, value)| (KEYS.places[key], value)).collect();
        values.sort_unstable_by_key(|(place, _)| *place);
        for (place, value) in values {
            out.extend(place.to_le_bytes());
            put_value(&mut out, value);
        }
        out.extend((record.raw_values().len() as u16).to_le_bytes());
        for (name, value) in record.raw_values() {
            put_text(&mut out, name);
            put_text(&mut out, value);
        }
        Self(out.into())
    }

    /// The protocol, and the record without its time; `None` if these are no bytes of a packed record.
    pub(super) fn record(&self, wanted: &Wanted) -> Option<(&str, Record)> {
        self.record_of(wanted, &KEYS.list)
    }

    /// The same, with other keys than those of this program.
    pub(super) fn record_of(&self, wanted: &Wanted, keys: &[Option<Key>]) -> Option<(&str, Record)> {
        let mut bytes = Reader(&self.0);
        let length = bytes.u8()?;
        let protocol = std::str::from_utf8(bytes.take(usize::from(length))?).ok()?;
        let mut record = Record::new();
        for _ in 0..bytes.u16()? {
            let place = usize::from(bytes.u16()?);
            let value = value(&mut bytes)?;
            if let Some(key) = keys.get(place).copied().flatten().filter(|_| wanted.keys.get(place) != Some(&false)) {
                record.set(key, value);
            }
        }
        for _ in 0..bytes.u16()? {
            let (name, text) = (bytes.text()?, bytes.text()?);
            if wanted.raw {
                record.raw(name, text);
            }
        }
        bytes.0.is_empty().then_some((protocol, record))
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Float(number) => {
            out.push(FLOAT);
            out.extend(number.to_le_bytes());
        }
        Value::Int(number) => {
            out.push(INT);
            out.extend(number.to_le_bytes());
        }
        Value::Bool(state) => out.extend([BOOL, u8::from(*state)]),
        Value::Text(text) => {
            out.push(TEXT);
            put_text(out, text);
        }
        Value::List(items) => {
            out.push(LIST);
            out.extend((items.len() as u16).to_le_bytes());
            for item in items {
                put_item(out, item);
            }
        }
    }
}

fn put_item(out: &mut Vec<u8>, item: &Item) {
    let number = |out: &mut Vec<u8>, number: Option<i64>| {
        out.push(u8::from(number.is_some()));
        out.extend(number.unwrap_or_default().to_le_bytes());
    };
    match item {
        Item::Text(text) => {
            out.push(TEXT);
            put_text(out, text);
        }
        Item::Cell(cell) => {
            out.push(CELL);
            out.extend(cell.cid.to_le_bytes());
            for part in [cell.mcc, cell.mnc, cell.lac] {
                number(out, part.map(i64::from));
            }
            number(out, cell.signal.map(i64::from));
        }
        Item::AccessPoint(point) => {
            out.push(ACCESS_POINT);
            put_text(out, &point.mac);
            number(out, point.signal.map(i64::from));
        }
    }
}

fn value(bytes: &mut Reader<'_>) -> Option<Value> {
    Some(match bytes.u8()? {
        FLOAT => Value::Float(f64::from_le_bytes(bytes.array()?)),
        INT => Value::Int(i64::from_le_bytes(bytes.array()?)),
        BOOL => Value::Bool(bytes.u8()? != 0),
        TEXT => Value::Text(bytes.text()?),
        LIST => Value::List((0..bytes.u16()?).map(|_| item(bytes)).collect::<Option<_>>()?),
        _ => return None,
    })
}

fn item(bytes: &mut Reader<'_>) -> Option<Item> {
    Some(match bytes.u8()? {
        TEXT => Item::Text(bytes.text()?),
        CELL => {
            let cid = bytes.u64()?;
            let mut part = || Some(bytes.number()?.and_then(|part| u32::try_from(part).ok()));
            let (mcc, mnc, lac) = (part()?, part()?, part()?);
            Item::Cell(Cell { mcc, mnc, lac, cid, signal: bytes.signal()? })
        }
        ACCESS_POINT => Item::AccessPoint(AccessPoint { mac: bytes.text()?, signal: bytes.signal()? }),
        _ => return None,
    })
}

/// Reads what was put; `None` where there is not enough.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Option<CompactString> {
        let length = self.u32()?;
        CompactString::from_utf8(self.take(usize::try_from(length).ok()?)?).ok()
    }

    fn number(&mut self) -> Option<Option<i64>> {
        let known = self.u8()? != 0;
        let number = self.i64()?;
        Some(known.then_some(number))
    }

    fn signal(&mut self) -> Option<Option<i32>> {
        Some(self.number()?.and_then(|signal| i32::try_from(signal).ok()))
    }
}

/// Every key that there can be.
pub(super) struct Keys {
    pub(super) list: Vec<Option<Key>>,
    places: HashMap<Key, u16>,
}

pub(super) static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let mut list = Vec::new();
    for parameter in PARAMETERS {
        match parameter.name.split_once('{') {
            Some((stem, _)) => list.extend((1..=NUMBER_MAX).map(|number| Key::from_name(&format!("{stem}{number}")))),
            None => list.push(Key::from_name(parameter.name)),
        }
    }
    let places = list.iter().enumerate().filter_map(|(place, key)| Some(((*key)?, place as u16))).collect();
    Keys { list, places }
});

const FLOAT: u8 = 0;
const INT: u8 = 1;
const BOOL: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const CELL: u8 = 5;
const ACCESS_POINT: u8 = 6;
