//! Rows back to the records that they were.

use crate::{Error, columns};
use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Float64Array, Int64Array, ListArray, MapArray, RecordBatch,
    StringArray, StructArray,
};
use datafusion::arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::error::DataFusionError;
use odograph_model::{AccessPoint, Cell, Item, Key, Record, RecordId, RecordView, Time, Value};

/// A record with what is known about it besides.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<'a> {
    /// Whose it is.
    pub device: &'a str,
    /// When it was received first.
    pub received: Time,
    /// What it is known by.
    pub id: RecordId,
    /// What it came by.
    pub protocol: &'a str,
    /// What it says, with the event time.
    pub record: Record,
}

impl Stored<'_> {
    /// The event time.
    pub fn time(&self) -> Time {
        self.record.time.unwrap_or(self.received)
    }

    /// The record as one flat object.
    pub fn view(&self) -> RecordView<'_> {
        let received = Some((self.received, self.id));
        RecordView { device: Some(self.device), protocol: self.protocol, record: &self.record, received }
    }
}

/// The records of rows that a [`super::Scan`] gave, in their order.
///
/// # Errors
///
/// When the columns are not those of records.
pub fn stored(rows: &RecordBatch) -> Result<impl Iterator<Item = Stored<'_>>, Error> {
    let fixed = |name: &str| rows.column_by_name(name).ok_or_else(|| not_ours(name));
    let text = |name: &str| fixed(name)?.as_string_opt::<i32>().ok_or_else(|| not_ours(name));
    let moment = |name: &str| fixed(name)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| not_ours(name));
    let (devices, protocols) = (text(columns::DEVICE)?, text(columns::PROTOCOL)?);
    let (times, received) = (moment(columns::TIME)?, moment(columns::RECEIVED)?);
    let ids: &Int64Array = fixed(columns::ID)?.as_primitive_opt().ok_or_else(|| not_ours(columns::ID))?;
    let (mut parameters, mut raw) = (Vec::new(), None);
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        if field.name() == columns::RAW {
            raw = Some(column.as_map_opt().ok_or_else(|| not_ours(field.name()))?);
        } else if let Some(key) = columns::key(field) {
            parameters.push((key, Values::of(column, key).ok_or_else(|| not_ours(field.name()))?));
        }
    }
    let milliseconds = |microseconds: i64| Time(microseconds.div_euclid(1000));
    Ok((0..rows.num_rows()).map(move |row| {
        let mut record = Record::at(milliseconds(times.value(row)));
        for (key, values) in &parameters {
            if let Some(value) = values.value(row, *key) {
                record.set(*key, value);
            }
        }
        if let Some(raw) = raw {
            fill_raw(&mut record, raw, row);
        }
        Stored {
            device: devices.value(row),
            received: milliseconds(received.value(row)),
            id: RecordId(ids.value(row).cast_unsigned()),
            protocol: protocols.value(row),
            record,
        }
    }))
}

/// A parameter's column.
enum Values<'a> {
    Float(&'a Float64Array),
    Int(&'a Int64Array),
    Bool(&'a BooleanArray),
    Text(&'a StringArray),
    List(&'a ListArray),
}

impl<'a> Values<'a> {
    fn of(column: &'a ArrayRef, key: Key) -> Option<Self> {
        match columns::data_type(key) {
            DataType::Float64 => column.as_primitive_opt().map(Self::Float),
            DataType::Int64 => column.as_primitive_opt().map(Self::Int),
            DataType::Boolean => column.as_boolean_opt().map(Self::Bool),
            DataType::Utf8 => column.as_string_opt().map(Self::Text),
            _ => column.as_list_opt().map(Self::List),
        }
    }

    fn value(&self, row: usize, key: Key) -> Option<Value> {
        match self {
            Self::Float(values) => values.is_valid(row).then(|| Value::Float(values.value(row))),
            Self::Int(values) => values.is_valid(row).then(|| Value::Int(values.value(row))),
            Self::Bool(values) => values.is_valid(row).then(|| Value::Bool(values.value(row))),
            Self::Text(values) => values.is_valid(row).then(|| Value::Text(values.value(row).into())),
            Self::List(values) => values.is_valid(row).then(|| Value::List(items(&values.value(row), key))),
        }
    }
}

fn items(values: &ArrayRef, key: Key) -> Vec<Item> {
    if let Some(texts) = values.as_string_opt::<i32>() {
        return texts.iter().flatten().map(|text| Item::Text(text.into())).collect();
    }
    let Some(fields) = values.as_struct_opt() else { return Vec::new() };
    (0..fields.len()).filter_map(|index| item(fields, index, key)).collect()
}

fn item(fields: &StructArray, index: usize, key: Key) -> Option<Item> {
    let number = |name: &str| {
        let numbers: &Int64Array = fields.column_by_name(name)?.as_primitive_opt()?;
        numbers.is_valid(index).then(|| numbers.value(index))
    };
    let small = |name: &str| number(name).and_then(|number| u32::try_from(number).ok());
    let signal = || number("signal").and_then(|number| i32::try_from(number).ok());
    match key {
        Key::GsmCells => {
            let cid = number("cid").and_then(|cid| u64::try_from(cid).ok())?;
            let cell = Cell { mcc: small("mcc"), mnc: small("mnc"), lac: small("lac"), cid, signal: signal() };
            Some(Item::Cell(cell))
        }
        Key::WifiAccessPoints => {
            let macs = fields.column_by_name("mac")?.as_string_opt::<i32>()?;
            let mac = macs.is_valid(index).then(|| macs.value(index).into())?;
            Some(Item::AccessPoint(AccessPoint { mac, signal: signal() }))
        }
        _ => None,
    }
}

fn fill_raw(record: &mut Record, raw: &MapArray, row: usize) {
    if !raw.is_valid(row) {
        return;
    }
    let entries = raw.value(row);
    let (names, values) = (entries.column(0).as_string_opt::<i32>(), entries.column(1).as_string_opt::<i32>());
    let Some((names, values)) = names.zip(values) else { return };
    for (name, value) in names.iter().zip(values.iter()) {
        if let (Some(name), Some(value)) = (name, value) {
            record.raw(name, value);
        }
    }
}

pub(crate) fn not_ours(column: &str) -> Error {
    DataFusionError::Internal(format!("the column {column} is not one of records")).into()
}
