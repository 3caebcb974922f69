//! The journal's entries as rows: every byte of both directions, with all that it takes to decode them again and to prove
//! that they are what was sealed.

use crate::buffer::{First, Waits};
use crate::rows::{day_of, written};
use crate::shape::Shape;
use crate::{Error, columns};
use datafusion::arrow::array::{
    BinaryBuilder, Date32Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use odograph_model::{Lsn, Time};
use std::sync::Arc;
use std::time::Duration;

/// An entry of the journal, with whose it is.
#[derive(Debug, Clone, Copy)]
pub struct FrameRow<'a> {
    /// Its place.
    pub place: Lsn,
    /// Where its segment begins.
    pub segment: Lsn,
    /// The place of the first entry of its stream.
    pub stream: u64,
    /// When it happened: for what came from a device, the time of receipt.
    pub at: Time,
    /// What it is, as the journal numbers it.
    pub kind: u8,
    /// What that is called, where it has a name.
    pub name: Option<&'static str>,
    /// Whose it is; empty for what is nobody's.
    pub device: &'a str,
    /// What was decided about the device, where the entry says so.
    pub decision: Option<&'a [u8]>,
    /// The state of the stream before the entry, where the entry has it.
    pub context: Option<&'a [u8]>,
    /// The bytes themselves, unmodified.
    pub payload: &'a [u8],
}

/// Whose journal it is from.
pub(crate) const NODE: &str = "node";
/// Its place in that journal.
pub(crate) const PLACE: &str = "place";
/// Where its segment begins.
pub(crate) const SEGMENT: &str = "segment";
/// Which conversation: the place where it began.
pub(crate) const STREAM: &str = "stream";
/// What it is: a frame, an answer, skipped bytes …
pub(crate) const KIND: &str = "kind";
/// What was decided about the device.
pub(crate) const DECISION: &str = "decision";
/// The state of the conversation before it.
pub(crate) const CONTEXT: &str = "context";
/// The bytes.
pub(crate) const PAYLOAD: &str = "payload";

/// The journal's entries, by the day on which they were received.
pub(crate) static FRAMES: Shape =
    Shape { name: "frames", fixed, order: &[columns::DEVICE, PLACE], time: columns::RECEIVED };

fn fixed() -> Vec<Field> {
    vec![
        Field::new(columns::DEVICE, DataType::Utf8, false),
        Field::new(columns::RECEIVED, columns::moment(), false),
        Field::new(PLACE, DataType::Int64, false),
        Field::new(NODE, DataType::Int32, false),
        Field::new(SEGMENT, DataType::Int64, false),
        Field::new(STREAM, DataType::Int64, false),
        Field::new(KIND, DataType::Utf8, false),
        Field::new(PAYLOAD, DataType::Binary, false),
        Field::new(CONTEXT, DataType::Binary, true),
        Field::new(DECISION, DataType::Binary, true),
        Field::new(columns::DAY, DataType::Date32, false),
    ]
}

/// Gathers rows.
struct FrameRows {
    count: usize,
    bytes: usize,
    device: StringBuilder,
    received: TimestampMicrosecondBuilder,
    place: Int64Builder,
    node: Int32Builder,
    segment: Int64Builder,
    stream: Int64Builder,
    kind: StringBuilder,
    payload: BinaryBuilder,
    context: BinaryBuilder,
    decision: BinaryBuilder,
    day: Date32Builder,
}

impl Default for FrameRows {
    fn default() -> Self {
        Self {
            count: 0,
            bytes: 0,
            device: StringBuilder::new(),
            received: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            place: Int64Builder::new(),
            node: Int32Builder::new(),
            segment: Int64Builder::new(),
            stream: Int64Builder::new(),
            kind: StringBuilder::new(),
            payload: BinaryBuilder::new(),
            context: BinaryBuilder::new(),
            decision: BinaryBuilder::new(),
            day: Date32Builder::new(),
        }
    }
}

impl FrameRows {
    fn push(&mut self, node: u16, row: &FrameRow<'_>) {
        let at = written(row.at);
        self.device.append_value(row.device);
        self.received.append_value(at.0 * 1000);
        self.place.append_value(row.place.0.cast_signed());
        self.node.append_value(node.into());
        self.segment.append_value(row.segment.0.cast_signed());
        self.stream.append_value(row.stream.cast_signed());
        match row.name {
            Some(name) => self.kind.append_value(name),
            None => self.kind.append_value(format!("kind {}", row.kind)),
        }
        self.payload.append_value(row.payload);
        self.context.append_option(row.context);
        self.decision.append_option(row.decision);
        self.day.append_value(day_of(at));
        self.count += 1;
        self.bytes += bytes_of(row);
    }

    fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(
            Arc::new(Schema::new(fixed())),
            vec![
                Arc::new(self.device.finish_cloned()),
                Arc::new(self.received.finish_cloned()),
                Arc::new(self.place.finish_cloned()),
                Arc::new(self.node.finish_cloned()),
                Arc::new(self.segment.finish_cloned()),
                Arc::new(self.stream.finish_cloned()),
                Arc::new(self.kind.finish_cloned()),
                Arc::new(self.payload.finish_cloned()),
                Arc::new(self.context.finish_cloned()),
                Arc::new(self.decision.finish_cloned()),
                Arc::new(self.day.finish_cloned()),
            ],
        )
    }
}

/// How much memory a row takes until it is in a file.
fn bytes_of(row: &FrameRow<'_>) -> usize {
    let parts = [row.device.as_bytes(), row.payload, row.context.unwrap_or_default(), row.decision.unwrap_or_default()];
    FIXED_BYTES + parts.iter().map(|part| part.len()).sum::<usize>()
}

/// Entries that wait to become files.
#[derive(Default)]
pub(crate) struct FrameBuffer {
    full: Vec<RecordBatch>,
    open: FrameRows,
    count: usize,
    bytes: usize,
    first: Option<First>,
}

impl FrameBuffer {
    /// Adds an entry of the journal of `node`.
    pub(crate) fn push(&mut self, node: u16, row: &FrameRow<'_>, now: Duration) -> Result<(), Error> {
        self.open.push(node, row);
        self.count += 1;
        self.bytes += bytes_of(row);
        self.first.get_or_insert(First { place: row.place, since: now });
        if self.open.count >= OPEN_ROWS_MAX || self.open.bytes >= OPEN_BYTES_MAX {
            self.full.push(self.open.batch()?);
            self.open = FrameRows::default();
        }
        Ok(())
    }
}

impl Waits for FrameBuffer {
    const STREAMS: &'static [&'static str] = &["frames"];
    const SHAPE: &'static Shape = &FRAMES;
    type Summary = ();

    fn count(&self) -> usize {
        self.count
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn first(&self) -> Option<First> {
        self.first
    }

    fn batches(&mut self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = self.full.clone();
        if self.open.count > 0 {
            batches.push(self.open.batch()?);
        }
        Ok(batches)
    }

    fn summary(&self) -> &() {
        &()
    }

    fn into_summary(self) {}
}

/// What is copied for each query that comes while the batch is open: small enough not to be felt.
const OPEN_ROWS_MAX: usize = 8192;
/// The same, where entries are long.
const OPEN_BYTES_MAX: usize = 1 << 20;
/// What a row takes besides its texts and bytes.
const FIXED_BYTES: usize = 80;
