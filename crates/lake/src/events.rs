//! What was found out from records: alerts, trips, visits. Derived, so it can be replaced as a whole for a stretch of days.

use crate::buffer::{First, Waits};
use crate::rows::{day_of, written};
use crate::shape::Shape;
use crate::{Error, columns};
use datafusion::arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, Date32Array, MapBuilder, MapFieldNames, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Date32Type, Field, Fields, Schema};
use odograph_model::Time;
use std::sync::Arc;

/// Something that happened, found out from records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it is known by: the same event found again has the same id.
    pub id: String,
    /// Whose it is.
    pub device: String,
    /// What it is: `trip`, `excursion` …
    pub kind: String,
    /// When it began.
    pub begin: Time,
    /// When it ended, if it has.
    pub end: Option<Time>,
    /// What else there is to say: names and values.
    pub attributes: Vec<(String, String)>,
}

/// Which events are replaced: all of a kind, of some devices or all, that began on some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// What they are.
    pub kind: String,
    /// Whose they are; `None`: everybody's.
    pub device: Option<String>,
    /// The first and the last day, counted from 1970, UTC.
    pub days: (i32, i32),
}

/// When it began.
pub(crate) const BEGIN: &str = "begin";
const END: &str = "end";
const EVENT_ID: &str = "event";
const KIND: &str = "kind";
const ATTRIBUTES: &str = "attributes";

/// Events, by the day on which they began.
pub(crate) static EVENTS: Shape =
    Shape { name: "events", fixed, order: &[columns::DEVICE, BEGIN], identity: None, time: BEGIN };

fn fixed() -> Vec<Field> {
    vec![
        Field::new(columns::DEVICE, DataType::Utf8, false),
        Field::new(BEGIN, columns::moment(), false),
        Field::new(END, columns::moment(), true),
        Field::new(KIND, DataType::Utf8, false),
        Field::new(EVENT_ID, DataType::Utf8, false),
        attributes(),
        Field::new(columns::DAY, DataType::Date32, false),
    ]
}

fn attributes() -> Field {
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    let entries = Fields::from(vec![text("key", false), text("value", true)]);
    Field::new(
        ATTRIBUTES,
        DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false),
        true,
    )
}

impl Scope {
    /// Whether an event belongs here.
    pub fn holds(&self, event: &Event) -> bool {
        let day = day_of(written(event.begin));
        let is_its = self.device.as_ref().is_none_or(|device| *device == event.device);
        is_its && self.kind == event.kind && (self.days.0..=self.days.1).contains(&day)
    }

    /// The rows that do not belong here.
    pub(crate) fn others(&self, rows: &RecordBatch) -> Result<RecordBatch, Error> {
        let column = |name| rows.column_by_name(name).expect("every row has the fixed columns");
        let (devices, kinds) = (column(columns::DEVICE).as_string::<i32>(), column(KIND).as_string::<i32>());
        let days = column(columns::DAY).as_primitive::<Date32Type>();
        let is_other = |row: usize| {
            let is_its = self.device.as_ref().is_none_or(|device| *device == devices.value(row));
            !(is_its && self.kind == kinds.value(row) && (self.days.0..=self.days.1).contains(&days.value(row)))
        };
        let others: BooleanArray = (0..rows.num_rows()).map(|row| Some(is_other(row))).collect();
        Ok(filter_record_batch(rows, &others)?)
    }
}

/// Events as rows.
pub(crate) fn batch(events: &[Event]) -> Result<RecordBatch, Error> {
    let text = |of: fn(&Event) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(events.iter().map(of))) };
    let moment = |time: Time| written(time).0 * 1000;
    let begin = TimestampMicrosecondArray::from_iter_values(events.iter().map(|event| moment(event.begin)));
    let end = events.iter().map(|event| event.end.map(moment)).collect::<TimestampMicrosecondArray>();
    let days = Date32Array::from_iter_values(events.iter().map(|event| day_of(written(event.begin))));
    let names = MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut attributes = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for event in events {
        for (name, value) in &event.attributes {
            attributes.keys().append_value(name);
            attributes.values().append_value(value);
        }
        attributes.append(true)?;
    }
    let columns: Vec<ArrayRef> = vec![
        text(|event| &event.device),
        Arc::new(begin.with_timezone("UTC")),
        Arc::new(end.with_timezone("UTC")),
        text(|event| &event.kind),
        text(|event| &event.id),
        Arc::new(attributes.finish()),
        Arc::new(days),
    ];
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fixed())), columns)?)
}

/// Nothing waits: events are replaced at once, in a commit of their own.
#[derive(Default)]
pub(crate) struct NoRows;

impl Waits for NoRows {
    const STREAMS: &'static [&'static str] = &[];
    const SHAPE: &'static Shape = &EVENTS;
    type Summary = ();

    fn count(&self) -> usize {
        0
    }

    fn bytes(&self) -> usize {
        0
    }

    fn first(&self) -> Option<First> {
        None
    }

    fn batches(&mut self) -> Result<Vec<RecordBatch>, Error> {
        Ok(Vec::new())
    }

    fn summary(&self) -> &() {
        &()
    }

    fn into_summary(self) {}
}
