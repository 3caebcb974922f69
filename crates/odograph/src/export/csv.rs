//! Comma-separated values, as RFC 4180 has them, with a heading.
//!
//! What is a list or a map stands in its cell as JSON.

use super::formats::Encoder;
use super::{Sink, sensed};
use anyhow::Result;
use odograph_lake::arrow::array::RecordBatch;
use odograph_lake::arrow::datatypes::SchemaRef;
use odograph_lake::{Stored, stored};
use odograph_model::{Key, Value};
use odograph_sensors::Sensor;
use std::collections::BTreeMap;

/// Writes a line a record.
pub(super) struct Csv {
    columns: Vec<Column>,
    line: Vec<u8>,
}

struct Column {
    name: String,
    value: What,
}

enum What {
    Device,
    Time,
    Received,
    Id,
    Protocol,
    Parameter(Key),
    Raw,
    Sensor(Sensor),
}

impl Csv {
    pub(super) fn new(schema: &SchemaRef, sensors: &[Sensor]) -> Self {
        let column = |field: &odograph_lake::arrow::datatypes::FieldRef| {
            let value = match (odograph_lake::parameter(field), field.name().as_str()) {
                (Some(key), _) => What::Parameter(key),
                (None, "device") => What::Device,
                (None, "time") => What::Time,
                (None, "received") => What::Received,
                (None, "id") => What::Id,
                (None, "protocol") => What::Protocol,
                (None, "raw") => What::Raw,
                // The day is in the time.
                _ => return None,
            };
            Some(Column { name: field.name().clone(), value })
        };
        let named = sensed::columns(sensors).into_iter().zip(sensors);
        let sensors = named.map(|(name, sensor)| Column { name, value: What::Sensor(sensor.clone()) });
        Self { columns: schema.fields().iter().filter_map(column).chain(sensors).collect(), line: Vec::new() }
    }

    fn line(&mut self, record: &Stored<'_>) -> Result<()> {
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                self.line.push(b',');
            }
            match &column.value {
                What::Device => cell(record.device, &mut self.line),
                What::Time => cell(&record.time().to_string(), &mut self.line),
                What::Received => cell(&record.received.to_string(), &mut self.line),
                What::Id => cell(&record.id.to_string(), &mut self.line),
                What::Protocol => cell(record.protocol, &mut self.line),
                What::Parameter(key) => match record.record.get(*key) {
                    None => {}
                    Some(Value::Text(text)) => cell(text, &mut self.line),
                    Some(value) => cell(&serde_json::to_string(value)?, &mut self.line),
                },
                What::Sensor(sensor) => match sensor.value(&record.record) {
                    None => {}
                    Some(value) => cell(&serde_json::to_string(&value)?, &mut self.line),
                },
                What::Raw if record.record.raw_values().is_empty() => {}
                What::Raw => {
                    let raw = record.record.raw_values().iter();
                    let raw: BTreeMap<&str, &str> = raw.map(|(name, value)| (&**name, &**value)).collect();
                    cell(&serde_json::to_string(&raw)?, &mut self.line);
                }
            }
        }
        self.line.push(b'\n');
        Ok(())
    }
}

impl Encoder for Csv {
    fn begin(&mut self, out: &mut dyn Sink) -> Result<()> {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        Ok(out.write(format!("{}\n", names.join(",")).as_bytes())?)
    }

    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Sink) -> Result<()> {
        for record in stored(rows)? {
            self.line.clear();
            self.line(&record)?;
            out.write(&self.line)?;
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut dyn Sink) -> Result<u64> {
        Ok(0)
    }
}

/// A text that is empty is not the same as none: it stands in quotes.
fn cell(text: &str, line: &mut Vec<u8>) {
    let plain = !text.is_empty() && !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'));
    if plain {
        line.extend_from_slice(text.as_bytes());
    } else {
        line.push(b'"');
        line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        line.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_misread_stands_in_quotes() {
        let shown = |text: &str| {
            let mut line = Vec::new();
            cell(text, &mut line);
            String::from_utf8(line).unwrap()
        };
        for (text, expected) in [
            ("12.5", "12.5"),
            ("a b", "a b"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("\"", "\"\"\"\""),
            ("a\r\nb", "\"a\r\nb\""),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
