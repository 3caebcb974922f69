//! Entries that wait, in few bytes. There may be several for each connection that is open, so what follows from other columns
//! or is the same for many rows is made a column only when somebody wants to read it.

use super::{CONTEXT, DECISION, FrameRow, KIND, PAYLOAD, PLACE, STREAM, fixed};
use crate::columns::{DEVICE, RECEIVED};
use crate::rows::{day_of, written};
use compact_str::{CompactString, format_compact};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryBuilder, Date32Array, DictionaryArray, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt8Array, UInt32Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, Schema, UInt8Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::CompressionType;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use hashbrown::HashMap;
use odograph_model::Time;
use std::sync::Arc;

/// Gathers rows.
#[derive(Default)]
pub(super) struct Rows {
    /// Each device once, by its number.
    devices: Vec<CompactString>,
    numbers: HashMap<CompactString, u32>,
    device: Vec<u32>,
    /// Microseconds since 1970.
    received: Vec<i64>,
    place: Vec<i64>,
    stream: Vec<i64>,
    kind: Vec<u8>,
    kinds: Kinds,
    origins: Vec<Origin>,
    payload: BinaryBuilder,
    context: BinaryBuilder,
    decision: BinaryBuilder,
}

/// Rows of which there will be no more, packed: they wait for minutes, and hardly anybody asks for them meanwhile.
pub(super) struct Sealed {
    /// [`Rows::narrow`], as Arrow writes it to files.
    packed: Box<[u8]>,
    kinds: Kinds,
    origins: Vec<Origin>,
}

/// What kinds of entries are called, as far as they have names.
#[derive(Default, Clone)]
struct Kinds(Vec<(u8, &'static str)>);

/// Where rows in sequence are from.
#[derive(Clone, Copy)]
struct Origin {
    node: i32,
    segment: i64,
    /// How many they are.
    rows: usize,
}

impl Rows {
    pub(super) fn push(&mut self, node: u16, row: &FrameRow<'_>) {
        let device = self.number(row.device);
        self.device.push(device);
        self.received.push(written(row.at).0 * 1000);
        self.place.push(row.place.0.cast_signed());
        self.stream.push(row.stream.cast_signed());
        self.kind.push(row.kind);
        self.kinds.know(row.kind, row.name);
        self.come_from(node.into(), row.segment.0.cast_signed());
        self.payload.append_value(row.payload);
        self.context.append_option(row.context);
        self.decision.append_option(row.decision);
    }

    fn number(&mut self, device: &str) -> u32 {
        if let Some(number) = self.numbers.get(device) {
            return *number;
        }
        let number = u32::try_from(self.devices.len()).unwrap_or(u32::MAX);
        self.devices.push(device.into());
        self.numbers.insert(device.into(), number);
        number
    }

    fn come_from(&mut self, node: i32, segment: i64) {
        match self.origins.last_mut().filter(|origin| (origin.node, origin.segment) == (node, segment)) {
            Some(origin) => origin.rows += 1,
            None => self.origins.push(Origin { node, segment, rows: 1 }),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.place.len()
    }

    /// A copy that takes as little memory as it can.
    pub(super) fn sealed(&self) -> Result<Sealed, ArrowError> {
        let packed = packed(&self.narrow()?)?;
        Ok(Sealed { packed, kinds: self.kinds.clone(), origins: self.origins.clone() })
    }

    /// All columns, in their order.
    pub(super) fn batch(&self) -> Result<RecordBatch, ArrowError> {
        wide(&self.narrow()?, &self.kinds, &self.origins)
    }

    /// What does not follow from anything else. Numbers that mostly grow are how far they are from the one before, and a conversation
    /// how far its beginning is from the entry, so that most of their bytes are zeros.
    fn narrow(&self) -> Result<RecordBatch, ArrowError> {
        let names = StringArray::from_iter_values(&self.devices);
        let devices = DictionaryArray::try_new(UInt32Array::from(self.device.clone()), Arc::new(names))?;
        let streams = self.place.iter().zip(&self.stream).map(|(place, stream)| place.wrapping_sub(*stream));
        let columns: [(_, ArrayRef); 8] = [
            (DEVICE, Arc::new(devices)),
            (RECEIVED, Arc::new(steps(&self.received))),
            (PLACE, Arc::new(steps(&self.place))),
            (STREAM, Arc::new(Int64Array::from_iter_values(streams))),
            (KIND, Arc::new(UInt8Array::from(self.kind.clone()))),
            (PAYLOAD, Arc::new(self.payload.finish_cloned())),
            (CONTEXT, Arc::new(self.context.finish_cloned())),
            (DECISION, Arc::new(self.decision.finish_cloned())),
        ];
        let nullable = |name: &str| matches!(name, CONTEXT | DECISION);
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, nullable(name))))
    }
}

impl Sealed {
    /// All columns, in their order.
    pub(super) fn batch(&self) -> Result<RecordBatch, ArrowError> {
        wide(&unpacked(&self.packed)?, &self.kinds, &self.origins)
    }
}

/// All columns, made of [`Rows::narrow`].
fn wide(narrow: &RecordBatch, kinds: &Kinds, origins: &[Origin]) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| {
        let missing = || ArrowError::SchemaError(format!("rows that were packed have no column {name}"));
        narrow.column_by_name(name).ok_or_else(missing)
    };
    let origins = || origins.iter().flat_map(|origin| std::iter::repeat_n(origin, origin.rows));
    let (received, places) = (sums(column(RECEIVED)?), sums(column(PLACE)?));
    let streams = places.iter().zip(column(STREAM)?.as_primitive::<Int64Type>().values());
    let streams = Int64Array::from_iter_values(streams.map(|(place, back)| place.wrapping_sub(*back)));
    let days = Date32Array::from_iter_values(received.iter().map(|at| day_of(Time(at.div_euclid(1000)))));
    let kinds = column(KIND)?.as_primitive::<UInt8Type>().values().iter().map(|kind| kinds.name(*kind));
    let columns: Vec<ArrayRef> = vec![
        cast(column(DEVICE)?, &DataType::Utf8)?,
        Arc::new(TimestampMicrosecondArray::from(received).with_timezone("UTC")),
        Arc::new(Int64Array::from(places)),
        Arc::new(Int32Array::from_iter_values(origins().map(|origin| origin.node))),
        Arc::new(Int64Array::from_iter_values(origins().map(|origin| origin.segment))),
        Arc::new(streams),
        Arc::new(StringArray::from_iter_values(kinds)),
        column(PAYLOAD)?.clone(),
        column(CONTEXT)?.clone(),
        column(DECISION)?.clone(),
        Arc::new(days),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fixed())), columns)
}

/// How far each number is from the one before.
fn steps(values: &[i64]) -> Int64Array {
    let mut before = 0;
    Int64Array::from_iter_values(values.iter().map(|value| value.wrapping_sub(std::mem::replace(&mut before, *value))))
}

/// The numbers again.
fn sums(steps: &dyn Array) -> Vec<i64> {
    let mut value = 0_i64;
    let next = |step: &i64| {
        value = value.wrapping_add(*step);
        value
    };
    steps.as_primitive::<Int64Type>().values().iter().map(next).collect()
}

fn packed(batch: &RecordBatch) -> Result<Box<[u8]>, ArrowError> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
    writer.write(batch)?;
    Ok(writer.into_inner()?.into())
}

fn unpacked(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let nothing = || ArrowError::IpcError("rows that were packed are none".to_owned());
    StreamReader::try_new(bytes, None)?.next().ok_or_else(nothing)?
}

impl Kinds {
    fn know(&mut self, kind: u8, name: Option<&'static str>) {
        if let Some(name) = name.filter(|_| self.find(kind).is_none()) {
            self.0.push((kind, name));
        }
    }

    fn find(&self, kind: u8) -> Option<&'static str> {
        self.0.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name)
    }

    fn name(&self, kind: u8) -> CompactString {
        self.find(kind).map_or_else(|| format_compact!("kind {kind}"), CompactString::const_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use odograph_model::Lsn;

    #[test]
    fn rows_come_out_as_they_went_in() {
        let row = |place: u64, segment: u64, kind: u8, device: &'static str| FrameRow {
            place: Lsn(place),
            segment: Lsn(segment),
            stream: 3,
            at: Time(i64::try_from(place).unwrap() * 43_200_000 - 1),
            kind,
            name: (kind == 1).then_some("frame"),
            device,
            decision: (kind == 1).then_some(b"\x01"),
            context: (place == 0).then_some(b"\x02\x03"),
            payload: &[9, 8, 7][..usize::from(kind)],
        };
        let mut rows = Rows::default();
        for row in [row(0, 0, 1, "b"), row(1, 0, 2, ""), row(2, 2, 1, "a"), row(3, 2, 3, "b")] {
            rows.push(5, &row);
        }
        assert_eq!(rows.len(), 4);
        assert_eq!(rows.sealed().unwrap().batch().unwrap(), rows.batch().unwrap(), "also when they were packed");
        let table = pretty_format_batches(&[rows.batch().unwrap()]).unwrap().to_string();
        let expected = "\
+--------+--------------------------+-------+------+---------+--------+--------+---------+---------+----------+------------+
| device | received                 | place | node | segment | stream | kind   | payload | context | decision | day        |
+--------+--------------------------+-------+------+---------+--------+--------+---------+---------+----------+------------+
| b      | 1969-12-31T23:59:59.999Z | 0     | 5    | 0       | 3      | frame  | 09      | 0203    | 01       | 1969-12-31 |
|        | 1970-01-01T11:59:59.999Z | 1     | 5    | 0       | 3      | kind 2 | 0908    |         |          | 1970-01-01 |
| a      | 1970-01-01T23:59:59.999Z | 2     | 5    | 2       | 3      | frame  | 09      |         | 01       | 1970-01-01 |
| b      | 1970-01-02T11:59:59.999Z | 3     | 5    | 2       | 3      | kind 3 | 090807  |         |          | 1970-01-02 |
+--------+--------------------------+-------+------+---------+--------+--------+---------+---------+----------+------------+";
        assert_eq!(table, expected);
    }
}
