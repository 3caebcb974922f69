//! Records as columns: a builder whose columns appear with their first value.

use crate::columns;
use compact_str::CompactString;
use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, ListBuilder, MapBuilder,
    MapFieldNames, RecordBatch, StringBuilder, StructBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use hashbrown::HashMap;
use odograph_model::{Item, Key, Kind, Record, RecordId, Time, Value};
use std::sync::Arc;

/// A record with what is known about it besides.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Whose it is.
    pub device: &'a str,
    /// When: the event time.
    pub time: Time,
    /// When it was received first.
    pub received: Time,
    /// What it is known by.
    pub id: RecordId,
    /// What it came by.
    pub protocol: &'a str,
    /// What it says.
    pub record: &'a Record,
}

impl Row<'_> {
    /// Days since 1970, UTC, of the event time.
    pub fn day(&self) -> i32 {
        day_of(written(self.time))
    }
}

/// The time as a table has it: what no calendar can write is the nearest that it can. The clock window keeps event times
/// near their receipt, so that nothing of a device gets here.
pub(crate) fn written(time: Time) -> Time {
    /// The beginning of the year 0.
    const FIRST_MS: i64 = -62_167_219_200_000;
    /// The end of 9999-12-29: of the two days behind it, not all moments have a text.
    const LAST_MS: i64 = 253_402_127_999_999;
    Time(time.0.clamp(FIRST_MS, LAST_MS))
}

/// Days since 1970, UTC.
pub(crate) const fn day_of(time: Time) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "times that can be written are within 4 million days")]
    return time.0.div_euclid(DAY_MS) as i32;
}

/// How much memory a row takes until it is in a file, about.
pub(crate) fn bytes_of(row: &Row<'_>) -> usize {
    let raw: usize = row.record.raw_values().iter().map(|(name, value)| name.len() + value.len() + RAW_BYTES).sum();
    ROW_BYTES + row.device.len() + row.record.values().len() * VALUE_BYTES + raw
}

/// Gathers rows.
pub(crate) struct Rows {
    count: usize,
    device: StringBuilder,
    time: TimestampMicrosecondBuilder,
    received: TimestampMicrosecondBuilder,
    id: Int64Builder,
    protocol: StringBuilder,
    day: Date32Builder,
    /// The parameters that occurred, in the order in which they did.
    keys: Vec<Key>,
    columns: HashMap<Key, Column>,
    raw: Option<MapBuilder<StringBuilder, StringBuilder>>,
}

impl Default for Rows {
    fn default() -> Self {
        let moments = || TimestampMicrosecondBuilder::new().with_timezone("UTC");
        Self {
            count: 0,
            device: StringBuilder::new(),
            time: moments(),
            received: moments(),
            id: Int64Builder::new(),
            protocol: StringBuilder::new(),
            day: Date32Builder::new(),
            keys: Vec::new(),
            columns: HashMap::new(),
            raw: None,
        }
    }
}

impl Rows {
    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Adds one. Returns how many bytes columns take for rows that have no value in them, as far as that was not told before.
    pub(crate) fn push(&mut self, row: &Row<'_>) -> usize {
        let known = self.keys.len();
        self.device.append_value(row.device);
        self.time.append_value(written(row.time).0 * 1000);
        self.received.append_value(written(row.received).0 * 1000);
        self.id.append_value(row.id.0.cast_signed());
        self.protocol.append_value(row.protocol);
        self.day.append_value(row.day());
        for (key, value) in row.record.values() {
            let column = self.columns.entry(*key).or_insert_with(|| {
                self.keys.push(*key);
                Column::new(*key)
            });
            column.fill(self.count);
            column.append(value);
        }
        self.push_raw(row.record.raw_values());
        // Of columns that came with this row, all rows before it lack a value; of all, this one does where it says nothing.
        let missing =
            (self.keys.len() - known) * self.count + self.keys.len() - row.record.values().len().min(self.keys.len());
        self.count += 1;
        missing * MISSING_BYTES
    }

    fn push_raw(&mut self, values: &[(CompactString, CompactString)]) {
        if values.is_empty() {
            return;
        }
        let raw = self.raw.get_or_insert_with(raw_builder);
        while raw.len() < self.count {
            raw.append(false).expect("keys and values go in pairs");
        }
        for (index, (name, value)) in values.iter().enumerate() {
            // A map has each key once: of elements sent twice, the last one counts, as in JSON.
            if !values[index + 1..].iter().any(|(later, _)| later == name) {
                raw.keys().append_value(name);
                raw.values().append_value(value);
            }
        }
        raw.append(true).expect("keys and values go in pairs");
    }

    /// What was gathered so far; more can be added.
    pub(crate) fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut fields = columns::fixed();
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(self.device.finish_cloned()),
            Arc::new(self.time.finish_cloned()),
            Arc::new(self.received.finish_cloned()),
            Arc::new(self.id.finish_cloned()),
            Arc::new(self.protocol.finish_cloned()),
            Arc::new(self.day.finish_cloned()),
        ];
        for key in &self.keys {
            let column = self.columns.get_mut(key).expect("each key has its column");
            column.fill(self.count);
            fields.push(columns::of(*key));
            arrays.push(column.builder().finish_cloned());
        }
        if let Some(raw) = &mut self.raw {
            while raw.len() < self.count {
                raw.append(false)?;
            }
            fields.push(columns::raw());
            arrays.push(Arc::new(raw.finish_cloned()));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }
}

/// One parameter's values.
enum Column {
    Float(Float64Builder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
    Texts(ListBuilder<StringBuilder>),
    Structs(ListBuilder<StructBuilder>),
}

impl Column {
    fn new(key: Key) -> Self {
        match (key.kind(), columns::element(key)) {
            (Kind::Float, _) => Self::Float(Float64Builder::new()),
            (Kind::Int, _) => Self::Int(Int64Builder::new()),
            (Kind::Bool, _) => Self::Bool(BooleanBuilder::new()),
            (Kind::Text, _) => Self::Text(StringBuilder::new()),
            (Kind::List, DataType::Struct(fields)) => {
                let element = Field::new("element", DataType::Struct(fields.clone()), true);
                Self::Structs(ListBuilder::new(StructBuilder::from_fields(fields, 0)).with_field(element))
            }
            (Kind::List, element) => {
                let element = Field::new("element", element, true);
                Self::Texts(ListBuilder::new(StringBuilder::new()).with_field(element))
            }
        }
    }

    fn builder(&mut self) -> &mut dyn ArrayBuilder {
        match self {
            Self::Float(builder) => builder,
            Self::Int(builder) => builder,
            Self::Bool(builder) => builder,
            Self::Text(builder) => builder,
            Self::Texts(builder) => builder,
            Self::Structs(builder) => builder,
        }
    }

    /// Says that there is nothing for the rows up to `count`.
    fn fill(&mut self, count: usize) {
        let missing = count.saturating_sub(self.builder().len());
        for _ in 0..missing {
            match self {
                Self::Float(builder) => builder.append_null(),
                Self::Int(builder) => builder.append_null(),
                Self::Bool(builder) => builder.append_null(),
                Self::Text(builder) => builder.append_null(),
                Self::Texts(builder) => builder.append_null(),
                Self::Structs(builder) => builder.append_null(),
            }
        }
    }

    /// A record holds only values of their key's type; an item of a list that its column cannot hold is left out there.
    fn append(&mut self, value: &Value) {
        match (self, value) {
            (Self::Float(builder), Value::Float(value)) => builder.append_value(*value),
            (Self::Int(builder), Value::Int(value)) => builder.append_value(*value),
            (Self::Bool(builder), Value::Bool(value)) => builder.append_value(*value),
            (Self::Text(builder), Value::Text(value)) => builder.append_value(value),
            (Self::Texts(builder), Value::List(items)) => {
                for item in items {
                    if let Item::Text(text) = item {
                        builder.values().append_value(text);
                    }
                }
                builder.append(true);
            }
            (Self::Structs(builder), Value::List(items)) => {
                items.iter().for_each(|item| append_item(builder.values(), item));
                builder.append(true);
            }
            (column, _) => {
                let count = column.builder().len() + 1;
                column.fill(count);
            }
        }
    }
}

fn append_item(builder: &mut StructBuilder, item: &Item) {
    let number = |builder: &mut StructBuilder, index, value: Option<i64>| {
        let numbers = builder.field_builder::<Int64Builder>(index).expect("the column was made for such items");
        numbers.append_option(value);
    };
    match (item, builder.num_fields()) {
        (Item::Cell(cell), CELL_FIELDS) => {
            number(builder, 0, cell.mcc.map(i64::from));
            number(builder, 1, cell.mnc.map(i64::from));
            number(builder, 2, cell.lac.map(i64::from));
            number(builder, 3, i64::try_from(cell.cid).ok());
            number(builder, 4, cell.signal.map(i64::from));
        }
        (Item::AccessPoint(point), ACCESS_POINT_FIELDS) => {
            let mac = builder.field_builder::<StringBuilder>(0).expect("the column was made for such items");
            mac.append_value(&point.mac);
            number(builder, 1, point.signal.map(i64::from));
        }
        _ => return,
    }
    builder.append(true);
}

fn raw_builder() -> MapBuilder<StringBuilder, StringBuilder> {
    let names = MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
}

/// What each row takes besides its values: the fixed columns, and its id in the lists by which it is looked up.
const ROW_BYTES: usize = 120;
/// What a parameter's value takes.
const VALUE_BYTES: usize = 12;
/// What a value takes that is not there, most often.
const MISSING_BYTES: usize = 8;
/// What an element outside the dictionary takes besides its texts.
const RAW_BYTES: usize = 8;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const CELL_FIELDS: usize = 5;
const ACCESS_POINT_FIELDS: usize = 2;
