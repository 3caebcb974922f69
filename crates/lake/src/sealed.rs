//! The journal's entries as history has them, put together again: for proofs of what was sealed long ago.

use crate::frames::{CONTEXT, DECISION, FRAMES, KIND, NODE, PAYLOAD, PLACE, SEGMENT, STREAM};
use crate::lake::{Lake, Unread};
use crate::place::Place;
use crate::table::Table;
use crate::tenant::{Shelf, View};
use crate::{Error, columns, query};
use datafusion::arrow::array::{Array as _, AsArray as _, BinaryArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::StreamExt as _;
use odograph_model::{Lsn, Time};
use std::sync::Arc;

/// An entry of the journal as history has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredFrame<'a> {
    /// Its place.
    pub place: Lsn,
    /// Where its segment begins.
    pub segment: Lsn,
    /// The place of the first entry of its stream.
    pub stream: u64,
    /// When it happened.
    pub at: Time,
    /// What it is called: `frame`, `sent`, `kind 200` …
    pub kind: &'a str,
    /// Whose it is; empty for what is nobody's.
    pub device: &'a str,
    /// What was decided about the device, where the entry says so.
    pub decision: Option<&'a [u8]>,
    /// The state of the stream before the entry, where the entry has it.
    pub context: Option<&'a [u8]>,
    /// The bytes themselves.
    pub payload: &'a [u8],
}

impl Lake {
    /// Opens the tables of frames that there are at a place, for reading alone, also while a server writes them.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read.
    pub fn of_frames(place: &Place) -> Result<Self, Error> {
        let lake = Self::start(place.clone())?;
        let tables = lake.ask(place.tables())?;
        for (tenant, _) in tables.into_iter().filter(|(_, shape)| shape.name == FRAMES.name) {
            let at = place.table(&tenant, &FRAMES)?;
            let shelf = lake.ask(async {
                // Whose it is does not matter: nothing is written.
                let Some(table) = Table::find(at, 0, &FRAMES).await? else { return Ok(None) };
                Shelf::new(&table).await.map(Some)
            });
            if let Some(shelf) = shelf? {
                lake.change(&tenant, |tables| tables.frames = Some(Arc::new(shelf)));
            }
        }
        Ok(lake)
    }

    /// Gives all entries that files of any tenant have of a segment, or of one device in it: by device, and in the order of
    /// the journal.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn frames_of_segment(
        &self,
        node: u16,
        segment: Lsn,
        device: Option<&str>,
        mut each: impl FnMut(StoredFrame<'_>),
    ) -> Result<(), Error> {
        let views = self.frames_in_files();
        if views.is_empty() {
            return Ok(());
        }
        self.ask(async {
            let mut rows = query::frames_of_segment(views, node, segment, device).await?;
            while let Some(batch) = rows.next().await {
                give(&batch?, &mut each);
            }
            Ok(())
        })
    }
}

impl Lake {
    /// The files of frames that may have entries of a segment, and cannot be read.
    pub fn unread_frames(&self, node: u16, segment: Lsn) -> Vec<Unread> {
        let mut unread = Vec::new();
        for view in self.frames_in_files() {
            for (file, alone) in view.files.each() {
                let (schema, held) = (view.schema.clone(), view.held.clone());
                let alone = View { files: Arc::new(alone), schema, hot: Vec::new(), held };
                let read = self.ask(async {
                    let mut rows = query::frames_of_segment(vec![alone], node, segment, None).await?;
                    while rows.next().await.transpose()?.is_some() {}
                    Ok(())
                });
                unread.extend(read.err().map(|error| Unread { file, why: error.line() }));
            }
        }
        unread
    }
}

pub(crate) fn give(rows: &RecordBatch, each: &mut impl FnMut(StoredFrame<'_>)) {
    let column = |name| rows.column_by_name(name).expect("the query asked for it");
    let number = |name| column(name).as_primitive::<Int64Type>();
    let bytes = |name| column(name).as_binary::<i32>();
    let (places, segments, streams) = (number(PLACE), number(SEGMENT), number(STREAM));
    let times = column(columns::RECEIVED).as_primitive::<TimestampMicrosecondType>();
    let (kinds, devices) = (column(KIND).as_string::<i32>(), column(columns::DEVICE).as_string::<i32>());
    let (payloads, contexts, decisions) = (bytes(PAYLOAD), bytes(CONTEXT), bytes(DECISION));
    for row in 0..rows.num_rows() {
        each(StoredFrame {
            place: Lsn(places.value(row).cast_unsigned()),
            segment: Lsn(segments.value(row).cast_unsigned()),
            stream: streams.value(row).cast_unsigned(),
            at: Time(times.value(row).div_euclid(1000)),
            kind: kinds.value(row),
            device: devices.value(row),
            decision: given(decisions, row),
            context: given(contexts, row),
            payload: payloads.value(row),
        });
    }
}

fn given(values: &BinaryArray, row: usize) -> Option<&[u8]> {
    values.is_valid(row).then(|| values.value(row))
}

/// What [`give`] needs.
pub(crate) const COLUMNS: &[&str] =
    &[PLACE, SEGMENT, STREAM, columns::RECEIVED, KIND, columns::DEVICE, DECISION, CONTEXT, PAYLOAD];
/// What says which segment.
pub(crate) const WHERE: (&str, &str) = (NODE, SEGMENT);
