//! Rows that are not in files yet: what a query sees besides the files.

use crate::Error;
use crate::rows::{Row, Rows};
use datafusion::arrow::array::RecordBatch;
use hashbrown::{HashMap, HashSet};
use odograph_model::{Lsn, RecordId};
use std::time::Duration;

/// The rows of one stream of a table, in the order in which they came.
#[derive(Default)]
pub(crate) struct Buffer {
    full: Vec<RecordBatch>,
    open: Rows,
    count: usize,
    /// The ids of each device's rows, by day.
    ids: HashMap<String, HashMap<i32, HashSet<RecordId>>>,
    first: Option<First>,
}

/// The row that waits longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct First {
    /// The place in the journal of what it came from.
    pub(crate) place: Lsn,
    /// Since when it waits, by the monotonic clock.
    pub(crate) since: Duration,
}

impl Buffer {
    /// Adds a row that came from the journal's entry at `place`.
    pub(crate) fn push(&mut self, row: &Row<'_>, place: Lsn, now: Duration) -> Result<(), Error> {
        self.open.push(row);
        self.count += 1;
        self.first.get_or_insert(First { place, since: now });
        let days = self.ids.entry_ref(row.device).or_default();
        days.entry(row.day()).or_default().insert(row.id);
        if self.open.count() >= OPEN_ROWS_MAX {
            self.full.push(self.open.batch()?);
            self.open = Rows::default();
        }
        Ok(())
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    pub(crate) const fn first(&self) -> Option<First> {
        self.first
    }

    /// The ids of a device's rows, of a day or of all days.
    pub(crate) fn ids(&self, device: &str, day: Option<i32>) -> impl Iterator<Item = RecordId> + '_ {
        let days = self.ids.get(device).into_iter().flatten();
        days.filter(move |(of, _)| day.is_none_or(|day| day == **of)).flat_map(|(_, ids)| ids).copied()
    }

    /// All rows; each batch has the columns that occurred in it.
    pub(crate) fn batches(&mut self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = self.full.clone();
        if self.open.count() > 0 {
            batches.push(self.open.batch()?);
        }
        Ok(batches)
    }
}

/// What is copied for each query that comes while the batch is open: small enough not to be felt.
const OPEN_ROWS_MAX: usize = 8192;
