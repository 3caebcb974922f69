//! A record: what a device said about one moment.

use crate::{Alarm, Item, Key, Kind, Time, Value};
use compact_str::CompactString;
use xxhash_rust::xxh3::Xxh3;

/// More values than this in one record are refused: no device sends so many, and a record must stay small.
pub const VALUES_MAX: usize = 1024;

/// What a device said about one moment, in the vocabulary of the dictionary.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// The device it is about, where that is not the one that the connection belongs to.
    pub device: Option<CompactString>,
    /// The moment, as the device says; `None` where it did not say.
    pub time: Option<Time>,
    values: Vec<(Key, Value)>,
    /// The bits of the keys in `values`: most keys are new to a record, and need no search.
    known: u128,
    raw: Vec<(CompactString, CompactString)>,
    /// A hash over the bytes that make this record what it is: see [`Record::hash_span`].
    span: u64,
}

impl Record {
    /// An empty record without a time.
    pub fn new() -> Self {
        // Most records hold fewer values than this, so the list is allocated once.
        Self { values: Vec::with_capacity(24), ..Self::default() }
    }

    /// An empty record of a moment.
    pub fn at(time: Time) -> Self {
        Self { time: Some(time), ..Self::new() }
    }

    /// Sets a parameter, replacing what it was. A value of another type than the key's goes to `raw.` under the key's
    /// name, and so does nothing silently wrong; a number that is not finite is left out.
    #[inline]
    pub fn set(&mut self, key: Key, value: impl Into<Value>) {
        let value = value.into().widened(key.kind());
        // What nearly every call does is written out where it is called: the compiler knows the value's type there, and puts it
        // in its place without copying it about.
        if self.known & key.bit() == 0 && value.fits(key.kind()) {
            self.add(key, value);
        } else {
            self.replace(key, value);
        }
    }

    #[cold]
    fn replace(&mut self, key: Key, value: Value) {
        if value.fits(key.kind()) {
            match self.find(key) {
                Some(known) => *known = value,
                None => self.add(key, value),
            }
        } else if !(key.kind() == Kind::Float && matches!(value, Value::Float(_))) {
            let name = compact_str::format_compact!("{key}");
            self.raw(name, value);
        }
    }

    #[inline]
    fn find(&mut self, key: Key) -> Option<&mut Value> {
        if self.known & key.bit() == 0 {
            return None;
        }
        self.values.iter_mut().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    #[inline(always)]
    fn add(&mut self, key: Key, value: Value) {
        if self.values.len() < VALUES_MAX {
            self.known |= key.bit();
            self.values.push((key, value));
        }
    }

    /// Sets a parameter if there is a value.
    pub fn set_some(&mut self, key: Key, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// Keeps an element that the dictionary does not name, under the device's own number or name.
    pub fn raw(&mut self, name: impl Into<CompactString>, value: impl Into<Value>) {
        if self.raw.len() < VALUES_MAX {
            self.raw.push((name.into(), value.into().into_text()));
        }
    }

    /// Adds an item to a list parameter.
    pub fn push(&mut self, key: Key, item: Item) {
        match self.find(key) {
            Some(Value::List(items)) if items.len() < VALUES_MAX => items.push(item),
            Some(_) => {}
            None => self.set(key, item),
        }
    }

    /// Adds an alarm, once.
    pub fn alarm(&mut self, alarm: Alarm) {
        let item = Item::Text(CompactString::const_new(alarm.name()));
        let known = matches!(self.get(Key::Alarm), Some(Value::List(items)) if items.contains(&item));
        if !known {
            self.push(Key::Alarm, item);
        }
    }

    /// The value of a parameter.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&Value> {
        if self.known & key.bit() == 0 {
            return None;
        }
        self.values.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// The parameters and their values, in the order in which they were first set.
    pub fn values(&self) -> &[(Key, Value)] {
        &self.values
    }

    /// The elements outside the dictionary, as names (without `raw.`) and texts.
    pub fn raw_values(&self) -> &[(CompactString, CompactString)] {
        &self.raw
    }

    /// Takes the bytes that make this record what it is into its identity. Call it with the record's own bytes, without
    /// what the transport adds and changes when it sends the record again (serial numbers, checksums, batch counts).
    #[must_use]
    pub fn hash_span(mut self, bytes: &[u8]) -> Self {
        let mut hash = Xxh3::with_seed(self.span);
        hash.update(bytes);
        self.span = hash.digest();
        self
    }

    /// How much memory it takes besides its own size.
    pub fn heap_bytes(&self) -> usize {
        let text = |text: &CompactString| if text.is_heap_allocated() { text.capacity() } else { 0 };
        let values = self.values.capacity() * size_of::<(Key, Value)>();
        let raw = self.raw.capacity() * size_of::<(CompactString, CompactString)>();
        values
            + raw
            + self.device.as_ref().map_or(0, text)
            + self.values.iter().map(|(_, value)| value.heap_bytes()).sum::<usize>()
            + self.raw.iter().map(|(name, value)| text(name) + text(value)).sum::<usize>()
    }

    /// The hash over the record's span.
    pub const fn span(&self) -> u64 {
        self.span
    }
}

/// The identity of a record's content: device, device time (or the time of receipt where it has none), and span.
///
/// The same record sent again, batched differently, with other serial numbers, or to another node has the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u64);

impl RecordId {
    /// The id of `record` of `device`, received at `received`.
    pub fn new(device: &str, record: &Record, received: Time) -> Self {
        let device = record.device.as_deref().unwrap_or(device);
        let mut hash = Xxh3::with_seed(record.span);
        // A claimed time and a time of receipt never mean the same, even where they are equal.
        let (claimed, time) = record.time.map_or((0, received), |time| (1, time));
        hash.update(&[claimed]);
        hash.update(&time.0.to_le_bytes());
        hash.update(device.as_bytes());
        Self(hash.digest())
    }
}

impl std::fmt::Display for RecordId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_wrong_type_is_kept_as_raw() {
        let mut record = Record::new();
        record.set(Key::PositionSatellites, "many");
        record.set(Key::PositionSpeed, f64::NAN);
        record.set(Key::PositionAltitude, 12_i16);
        assert_eq!(record.values(), [(Key::PositionAltitude, Value::Float(12.0))]);
        assert_eq!(record.raw_values(), [("position.satellites".into(), "many".into())]);
    }

    #[test]
    fn the_id_follows_content_and_not_transport() {
        let at = |time: Option<Time>, bytes: &[u8]| Record { time, ..Record::new() }.hash_span(bytes);
        let id = |device: &str, record: &Record, received: i64| RecordId::new(device, record, Time(received));
        let record = at(Some(Time(5)), b"content");
        assert_eq!(id("1", &record, 7), id("1", &record, 8), "the receipt does not matter where the device has a time");
        assert_ne!(id("1", &record, 7), id("2", &record, 7));
        assert_ne!(id("1", &record, 7), id("1", &at(Some(Time(6)), b"content"), 7));
        assert_ne!(id("1", &record, 7), id("1", &at(Some(Time(5)), b"other"), 7));
        let timeless = at(None, b"content");
        assert_ne!(id("1", &timeless, 7), id("1", &timeless, 8));
        assert_ne!(id("1", &timeless, 5), id("1", &record, 5));
    }

    #[test]
    fn an_alarm_is_listed_once() {
        let mut record = Record::new();
        record.alarm(Alarm::Sos);
        record.alarm(Alarm::PowerCut);
        record.alarm(Alarm::Sos);
        let items = ["sos", "power_cut"].map(|name| Item::Text(name.into()));
        assert_eq!(record.get(Key::Alarm), Some(&Value::List(items.to_vec())));
    }

    #[test]
    fn all_memory_of_a_record_counts() {
        let mut record = Record::default();
        assert_eq!(record.heap_bytes(), 0);
        record.set(Key::PositionSpeed, 1.0);
        let values = record.values.capacity() * size_of::<(Key, Value)>();
        assert_eq!(record.heap_bytes(), values);
        let long = "a text that is too long to be kept in place";
        record.raw("short", long);
        let raw = record.raw.capacity() * size_of::<(CompactString, CompactString)>();
        assert_eq!(record.heap_bytes(), values + raw + long.len());
        record.device = Some(long.into());
        record.push(Key::Alarm, Item::Text(long.into()));
        let Some(Value::List(items)) = record.get(Key::Alarm) else { panic!("a list") };
        let list = items.capacity() * size_of::<Item>() + long.len();
        assert_eq!(record.heap_bytes(), values + raw + 2 * long.len() + list);
    }
}
