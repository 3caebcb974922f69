//! The journal's entries as rows: every byte of both directions, with all that it takes to decode them again and to prove
//! that they are what was sealed.

mod rows;

use crate::buffer::{First, Waits};
use crate::shape::Shape;
use crate::{Error, columns};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field};
use odograph_model::{Lsn, Time};
use rows::{Rows, Sealed};
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
    Shape { name: "frames", fixed, order: &[columns::DEVICE, PLACE], identity: None, time: columns::RECEIVED };

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

/// How much memory a row takes until it is in a file.
fn bytes_of(row: &FrameRow<'_>) -> usize {
    let parts = [row.device.as_bytes(), row.payload, row.context.unwrap_or_default(), row.decision.unwrap_or_default()];
    FIXED_BYTES + parts.iter().map(|part| part.len()).sum::<usize>()
}

/// Entries that wait to become files.
#[derive(Default)]
pub(crate) struct FrameBuffer {
    full: Vec<Sealed>,
    open: Rows,
    /// Of those in `open`.
    open_bytes: usize,
    count: usize,
    bytes: usize,
    first: Option<First>,
}

impl FrameBuffer {
    /// Adds an entry of the journal of `node`.
    pub(crate) fn push(&mut self, node: u16, row: &FrameRow<'_>, now: Duration) -> Result<(), Error> {
        self.open.push(node, row);
        self.open_bytes += bytes_of(row);
        self.count += 1;
        self.bytes += bytes_of(row);
        self.first.get_or_insert(First { place: row.place, since: now });
        if self.open.len() >= OPEN_ROWS_MAX || self.open_bytes >= OPEN_BYTES_MAX {
            self.full.push(self.open.sealed()?);
            (self.open, self.open_bytes) = (Rows::default(), 0);
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
        let full = self.full.iter().map(Sealed::batch);
        let open = (self.open.len() > 0).then(|| self.open.batch());
        Ok(full.chain(open).collect::<Result<_, _>>()?)
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
