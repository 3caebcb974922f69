//! The journal's entries as history has them, in the order of the journal: in memory that does not grow with their number.
//!
//! A segment's entries are in files of several days and tenants, sorted by device. So some segments are read and sorted at a
//! time, and what of them does not fit the memory goes through temporary files.

use crate::frames::{DECISION, NODE, PLACE, SEGMENT, STREAM};
use crate::lake::Lake;
use crate::rows::day_of;
use crate::tenant::Version;
use crate::{Error, StoredFrame, columns, query, sealed};
use compact_str::CompactString;
use datafusion::arrow::array::{AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::{JoinType, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::prelude::{DataFrame, Expr, col, lit};
use futures::StreamExt as _;
use odograph_model::{Lsn, Time};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Which of the journal's entries.
#[derive(Debug, Clone)]
pub struct WantedEntries {
    /// Of this node's journal.
    pub node: u16,
    /// Those at these places.
    pub places: Range<Lsn>,
    /// Of whom.
    pub of: EntriesOf,
    /// Segments in which nothing of them was received from this moment on may be left out.
    pub from: Option<Time>,
    /// Segments in which nothing of them was received before this moment may be left out.
    pub to: Option<Time>,
    /// So many are sorted at a time, unless a single segment has more; 0: as many as are good for a small machine.
    pub part_rows: usize,
}

/// Whose entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntriesOf {
    /// Everybody's.
    All,
    /// A device's.
    Device(CompactString),
    /// Everybody's in conversations in which one of these devices had a part; and in those with a decision that is not less
    /// than these bytes, if there are any: one about several devices, say, of which each may be meant.
    Conversations {
        /// The devices.
        of: Vec<CompactString>,
        /// The bytes.
        decided: Vec<u8>,
    },
}

/// Entries, as they come.
pub struct EntryScan {
    lake: Lake,
    rows: Option<DataFrame>,
    parts: VecDeque<Part>,
    now: Option<SendableRecordBatchStream>,
    /// The files that it reads, so that none is deleted.
    _held: Vec<Arc<Version>>,
}

/// Some of them.
pub struct EntryRows(RecordBatch);

/// Segments that are sorted together: from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    first: i64,
    last: i64,
    rows: i64,
}

impl Lake {
    /// Reads the entries that there are at this moment, in files or on their way there.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn entries(&self, wanted: &WantedEntries) -> Result<EntryScan, Error> {
        let mut views = Vec::new();
        for tenant in self.tenants() {
            views.extend(self.views(&tenant)?.frames.map(|view| (tenant, view)));
        }
        let held = views.iter().map(|(_, view)| view.held.clone()).collect();
        self.wait(async {
            let context = query::session(ENTRIES_BYTES)?;
            let (mut all, mut files): (Option<DataFrame>, _) = (None, Vec::new());
            for (tenant, view) in views {
                files.push(view.files.clone());
                let rows = query::whole(&context, view)?.with_column(TENANT, lit(tenant.as_str()))?;
                all = Some(match all {
                    Some(all) => all.union_by_name(rows)?,
                    None => rows,
                });
            }
            let rows = all.map(|all| chosen(all, wanted)).transpose()?;
            let parts = match &rows {
                Some(rows) => parts(rows.clone(), wanted).await?,
                None => VecDeque::new(),
            };
            if let (Some(rows), EntriesOf::All | EntriesOf::Conversations { .. }) = (&rows, &wanted.of)
                // Of one device, little of a file is read.
                && let Some(days) = days(rows.clone(), &parts).await?
            {
                for files in files {
                    files.are_as_written(&context.state(), &days).await?;
                }
            }
            Ok(EntryScan { lake: self.clone(), rows, parts, now: None, _held: held })
        })
    }
}

impl EntryScan {
    /// The next entries; `None` at the end. Not to be called on a thread that runs asynchronous tasks.
    ///
    /// # Errors
    ///
    /// When they cannot be read. What was given so far is not all then.
    pub fn next_rows(&mut self) -> Result<Option<EntryRows>, Error> {
        loop {
            if let Some(stream) = &mut self.now {
                match self.lake.wait(stream.next()).transpose()? {
                    Some(rows) => return Ok(Some(EntryRows(rows))),
                    None => self.now = None,
                }
            }
            let Some((part, rows)) = self.parts.pop_front().zip(self.rows.clone()) else { return Ok(None) };
            let within = col(SEGMENT).gt_eq(lit(part.first)).and(col(SEGMENT).lt_eq(lit(part.last)));
            let names: Vec<&str> = sealed::COLUMNS.iter().copied().chain([TENANT]).collect();
            self.now = Some(self.lake.wait(async {
                let rows = rows.filter(within)?.select_columns(&names)?.sort(vec![col(PLACE).sort(true, false)])?;
                Ok::<_, Error>(rows.execute_stream().await?)
            })?);
        }
    }
}

impl EntryRows {
    /// Gives each with the tenant whose it is, until that fails.
    ///
    /// # Errors
    ///
    /// Those of `each`.
    pub fn each<E>(&self, mut each: impl FnMut(&str, &StoredFrame<'_>) -> Result<(), E>) -> Result<(), E> {
        let tenants = self.0.column_by_name(TENANT).expect("the query asked for it").as_string::<i32>();
        let (mut row, mut result) = (0, Ok(()));
        sealed::give(&self.0, &mut |frame| {
            if result.is_ok() {
                result = each(tenants.value(row), &frame);
            }
            row += 1;
        });
        result
    }
}

fn chosen(all: DataFrame, wanted: &WantedEntries) -> Result<DataFrame, Error> {
    let place = |place: Lsn| lit(i64::try_from(place.0).unwrap_or(i64::MAX));
    let of_node = col(NODE).eq(lit(i32::from(wanted.node)));
    let rows = all.filter(of_node)?;
    let rows = match &wanted.of {
        EntriesOf::All => rows,
        EntriesOf::Device(device) => rows.filter(col(columns::DEVICE).eq(lit(device.as_str())))?,
        EntriesOf::Conversations { of, decided } => {
            let is_theirs = match decided.is_empty() {
                true => query::is_of(of),
                false => query::is_of(of).or(col(DECISION).gt_eq(lit(decided.clone()))),
            };
            let theirs = rows.clone().filter(is_theirs)?.select(vec![col(STREAM).alias(THEIRS)])?;
            rows.join(theirs.distinct()?, JoinType::LeftSemi, &[STREAM], &[THEIRS], None)?
        }
    };
    let (begin, end) = (place(wanted.places.start), place(wanted.places.end));
    Ok(rows.filter(col(PLACE).gt_eq(begin).and(col(PLACE).lt(end)))?)
}

/// What is true of the days that the segments of all parts have entries of. `None`: there are no parts.
async fn days(rows: DataFrame, parts: &VecDeque<Part>) -> Result<Option<[Expr; 2]>, Error> {
    let Some((first, last)) = parts.front().zip(parts.back()) else { return Ok(None) };
    let rows = rows.filter(col(SEGMENT).gt_eq(lit(first.first)).and(col(SEGMENT).lt_eq(lit(last.last))))?;
    let range = rows.aggregate(Vec::new(), vec![min(col(columns::DAY)), max(col(columns::DAY))])?.collect().await?;
    let Some(range) = range.first().filter(|range| range.num_rows() == 1) else { return Ok(None) };
    let day = |column: usize| Ok::<_, Error>(lit(ScalarValue::try_from_array(range.column(column), 0)?));
    Ok(Some([col(columns::DAY).gt_eq(day(0)?), col(columns::DAY).lt_eq(day(1)?)]))
}

/// Puts segments together, as many as can be sorted at a time: those in which something was received when it is wanted.
async fn parts(rows: DataFrame, wanted: &WantedEntries) -> Result<VecDeque<Part>, Error> {
    let day = |time: Time| lit(ScalarValue::Date32(Some(day_of(time))));
    let moment =
        |time: Time| lit(ScalarValue::TimestampMicrosecond(Some(time.0.saturating_mul(1000)), Some("UTC".into())));
    let received = |is: fn(Expr, Expr) -> Expr, time: Time| {
        // Days besides times: they decide which files are read at all.
        is(col(columns::DAY), day(time)).and(is(col(columns::RECEIVED), moment(time)))
    };
    let mut rows = rows;
    if let Some(from) = wanted.from {
        rows = rows.filter(received(Expr::gt_eq, from))?;
    }
    if let Some(to) = wanted.to {
        rows = rows.filter(received(Expr::lt_eq, to))?;
    }
    let counts = rows.aggregate(vec![col(SEGMENT)], vec![count(lit(1_i64))])?;
    let mut counts = counts.sort(vec![col(SEGMENT).sort(true, false)])?.execute_stream().await?;
    let mut parts: VecDeque<Part> = VecDeque::new();
    let rows_max = if wanted.part_rows == 0 { PART_ROWS } else { i64::try_from(wanted.part_rows).unwrap_or(i64::MAX) };
    while let Some(batch) = counts.next().await.transpose()? {
        let (segments, rows) =
            (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<Int64Type>());
        for (&segment, &rows) in segments.values().iter().zip(rows.values()) {
            match parts.back_mut().filter(|part| part.rows.saturating_add(rows) <= rows_max) {
                Some(part) => (part.last, part.rows) = (segment, part.rows + rows),
                None => parts.push_back(Part { first: segment, last: segment, rows }),
            }
        }
    }
    Ok(parts)
}

/// Whose an entry is. No column of the table has this name.
const TENANT: &str = "tenant";
/// The conversations that are wanted.
const THEIRS: &str = "theirs";
/// A few hundred bytes each.
const PART_ROWS: i64 = 1 << 17;
/// What sorting may take of memory; the rest goes through temporary files.
const ENTRIES_BYTES: usize = 256 << 20;
