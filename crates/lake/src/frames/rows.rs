//! Entries that wait, in few bytes. There may be several for each connection that is open, so what follows from other columns
//! or is the same for many rows is made a column only when somebody wants to read it.

use super::{FrameRow, fixed};
use crate::rows::{day_of, written};
use compact_str::{CompactString, format_compact};
use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BinaryBuilder, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;
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

/// Rows of which there will be no more.
pub(super) struct Sealed {
    devices: StringArray,
    device: UInt32Array,
    received: TimestampMicrosecondArray,
    place: Int64Array,
    stream: Int64Array,
    kind: Vec<u8>,
    kinds: Kinds,
    origins: Vec<Origin>,
    payload: BinaryArray,
    context: BinaryArray,
    decision: BinaryArray,
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

    /// A copy that takes as much memory as it needs.
    pub(super) fn sealed(&self) -> Sealed {
        Sealed {
            devices: StringArray::from_iter_values(&self.devices),
            device: self.device.clone().into(),
            received: TimestampMicrosecondArray::from(self.received.clone()).with_timezone("UTC"),
            place: self.place.clone().into(),
            stream: self.stream.clone().into(),
            kind: self.kind.clone(),
            kinds: self.kinds.clone(),
            origins: self.origins.clone(),
            payload: self.payload.finish_cloned(),
            context: self.context.finish_cloned(),
            decision: self.decision.finish_cloned(),
        }
    }
}

impl Sealed {
    /// All columns, in their order.
    pub(super) fn batch(&self) -> Result<RecordBatch, ArrowError> {
        let origins = || self.origins.iter().flat_map(|origin| std::iter::repeat_n(origin, origin.rows));
        let days = self.received.values().iter().map(|at| day_of(Time(at.div_euclid(1000))));
        let columns: Vec<ArrayRef> = vec![
            take(&self.devices, &self.device, None)?,
            Arc::new(self.received.clone()),
            Arc::new(self.place.clone()),
            Arc::new(Int32Array::from_iter_values(origins().map(|origin| origin.node))),
            Arc::new(Int64Array::from_iter_values(origins().map(|origin| origin.segment))),
            Arc::new(self.stream.clone()),
            Arc::new(StringArray::from_iter_values(self.kind.iter().map(|kind| self.kinds.name(*kind)))),
            Arc::new(self.payload.clone()),
            Arc::new(self.context.clone()),
            Arc::new(self.decision.clone()),
            Arc::new(Date32Array::from_iter_values(days)),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fixed())), columns)
    }
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
        let table = pretty_format_batches(&[rows.sealed().batch().unwrap()]).unwrap().to_string();
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
