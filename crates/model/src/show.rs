//! A record as one flat object, the form that people and programs read.

use crate::{Record, RecordId, Time};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A record with what is known about it besides: serialises as one flat object with dotted keys.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    /// The device that the record belongs to, unless the record names another.
    pub device: Option<&'a str>,
    /// The protocol that it came by.
    pub protocol: &'a str,
    /// The record.
    pub record: &'a Record,
    /// The time of receipt and the id, for records that were received by a gateway.
    pub received: Option<(Time, RecordId)>,
}

impl Serialize for RecordView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.record;
        let mut map = serializer.serialize_map(None)?;
        if let Some(device) = record.device.as_deref().or(self.device) {
            map.serialize_entry("device", device)?;
        }
        map.serialize_entry("protocol", self.protocol)?;
        if let Some(time) = record.time {
            map.serialize_entry("time", &time)?;
        }
        if let Some((received, id)) = &self.received {
            map.serialize_entry("received", received)?;
            map.serialize_entry("id", &Shown(id))?;
        }
        for (key, value) in record.values() {
            map.serialize_entry(&Shown(key), value)?;
        }
        for (index, (name, value)) in record.raw_values().iter().enumerate() {
            // One object has each key once: of elements sent twice, the last one is shown.
            if !record.raw_values()[index + 1..].iter().any(|(later, _)| later == name) {
                map.serialize_entry(&RawName(name), value)?;
            }
        }
        map.end()
    }
}

/// Serialises as the text that `Display` gives.
struct Shown<T>(T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

struct RawName<'a>(&'a str);

impl Serialize for RawName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("raw.{}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn a_record_is_one_flat_object() {
        let mut record = Record::at(Time(0));
        record.set(Key::TemperatureN(1), -18.5);
        record.raw("385", 1_u8);
        record.raw("385", 2_u8);
        let view = RecordView { device: Some("7"), protocol: "demo", record: &record, received: None };
        let json = serde_json::to_string(&view).expect("a record serialises");
        assert_eq!(
            json,
            r#"{"device":"7","protocol":"demo","time":"1970-01-01T00:00:00.000Z","temperature.1":-18.5,"raw.385":"2"}"#
        );
    }
}
