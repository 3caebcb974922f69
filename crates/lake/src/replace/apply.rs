//! The change itself: rows that go and rows that come, in one commit of the table.

use super::ids;
use crate::buffer::Buffer;
use crate::files::day_name;
use crate::lake::{Latest, Writer};
use crate::table::{Change, Table};
use crate::tenant::{Came, Shelf};
use crate::work::{fitted, rows_of, write};
use crate::{Error, columns};
use compact_str::CompactString;
use datafusion::arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{Date32Type, Int64Type};
use deltalake::protocol::{DeltaOperation, SaveMode};
use hashbrown::HashSet;
use odograph_model::Time;
use std::collections::BTreeSet;

/// What is to become of a tenant's records.
#[derive(Debug, Default)]
pub struct Replacement {
    /// The ids of rows that go.
    pub(super) removed: HashSet<i64>,
    /// The days of those rows.
    pub(super) removed_days: BTreeSet<i32>,
    /// Rows that come.
    pub(super) added: Vec<RecordBatch>,
    /// The days that those rows claim, the first and the last.
    pub(super) claimed: Option<(i32, i32)>,
    /// Whose rows they are.
    pub(super) devices: BTreeSet<CompactString>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// The table's version that has the old rows.
    pub before: u64,
    /// The one that has the new rows.
    pub after: u64,
}

impl Replacement {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// How many rows come and go.
    pub fn rows(&self) -> usize {
        self.removed.len() + self.added.iter().map(RecordBatch::num_rows).sum::<usize>()
    }

    /// Whose rows they are.
    pub const fn devices(&self) -> &BTreeSet<CompactString> {
        &self.devices
    }

    /// Takes in another one.
    ///
    /// # Errors
    ///
    /// When there would be more rows than can be replaced at once.
    pub fn extend(&mut self, other: Self) -> Result<(), Error> {
        self.removed.extend(other.removed);
        self.removed_days.extend(other.removed_days);
        self.added.extend(other.added);
        self.devices.extend(other.devices);
        self.claimed = match (self.claimed, other.claimed) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        };
        let bytes: usize = self.added.iter().map(RecordBatch::get_array_memory_size).sum();
        if self.rows() > REPLACED_ROWS_MAX || bytes > REPLACED_BYTES_MAX {
            return Err(Error::Refused(format!(
                "more than {REPLACED_ROWS_MAX} rows or {} MiB would be replaced in one commit: take a shorter period, or one device after the other",
                REPLACED_BYTES_MAX >> 20
            )));
        }
        Ok(())
    }

    fn stays(&self, rows: &RecordBatch, found: &mut HashSet<i64>) -> BooleanArray {
        let ids = rows.column_by_name(columns::ID).expect("every row has the fixed columns");
        let mut goes = |id: &i64| self.removed.contains(id).then(|| found.insert(*id)).is_some();
        ids.as_primitive::<Int64Type>().values().iter().map(|id| Some(!goes(id))).collect()
    }
}

impl Writer {
    /// Replaces rows, in one commit, or not at all. Nothing of the table may wait in memory: flush first.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] where the rows that were looked at are not those that are there: look again. Any other error may
    /// leave open whether the commit was made; then open the lake again.
    pub fn replace_records(&mut self, tenant: &str, replacement: &Replacement) -> Result<Option<Replaced>, Error> {
        if replacement.is_empty() {
            return Ok(None);
        }
        let (now, common) = (Time(self.clock.now()), self.common.clone());
        let open = self.records(tenant)?;
        if open.shelf.first_place().is_some() {
            return Err(Error::Changed);
        }
        let shelf = open.shelf.clone();
        let replaced = replace(&shelf, open.table(&common)?, replacement, now);
        common.ask(replaced).map(Some)
    }

    /// Up to where there are records of some devices, by the files; of a device that is not among them there are none.
    ///
    /// # Errors
    ///
    /// When the tenant's table cannot be opened.
    pub fn latest_of(&mut self, tenant: &str, devices: &BTreeSet<CompactString>) -> Result<Vec<Latest>, Error> {
        Ok(self.records(tenant)?.shelf.known(tenant, |device| devices.contains(device)))
    }
}

async fn replace(
    shelf: &Shelf<Buffer>,
    table: &mut Table,
    replacement: &Replacement,
    now: Time,
) -> Result<Replaced, Error> {
    table.settle().await?;
    let before = table.version();
    // What this process sees must be what is there, also where somebody else wrote to the table.
    shelf.publish(table, Came::Other).await?;
    nobody_else_has(shelf, replacement).await?;
    let schema = table.schema().clone();
    let days: HashSet<String> = replacement.removed_days.iter().map(|day| day_name(*day)).collect();
    let sizes: Vec<_> = table.parts().into_iter().map(|part| (part.path, part.bytes)).collect();
    let (mut add, mut remove, mut found) = (Vec::new(), Vec::new(), HashSet::new());
    // The version is this commit's alone, and what an earlier attempt left is overwritten.
    let name = |number: usize| format!("replayed-{}-{number}", before + 1);
    for path in table.paths_of(|day| days.contains(day)) {
        if let Some((_, bytes)) = sizes.iter().find(|(known, bytes)| *known == path && *bytes > FILE_BYTES_MAX) {
            let what = format!("{path} has {bytes} bytes, more than can be written again at once");
            return Err(Error::Refused(what));
        }
        let (mut others, mut changes) = (Vec::new(), false);
        for rows in rows_of(table, std::slice::from_ref(&path)).await? {
            let stays = replacement.stays(&rows, &mut found);
            changes |= stays.false_count() > 0;
            others.push(filter_record_batch(&rows, &stays)?);
        }
        if !changes {
            continue;
        }
        if others.iter().any(|rows| rows.num_rows() > 0) {
            add.extend(write(table, others, &schema, name(remove.len() + 1), now).await?);
        }
        remove.push(path);
    }
    if found.len() != replacement.removed.len() {
        return Err(Error::Changed);
    }
    let (added, schema) = fitted(replacement.added.clone(), &schema)?;
    if added.iter().any(|rows| rows.num_rows() > 0) {
        add.extend(write(table, added, &schema, name(0), now).await?);
    }
    let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
    let change = Change { add, schema: Some(schema), remove, cursor: None, changes_rows: true, operation, now };
    let made = table.commit(&change).await?;
    let after = table.version();
    shelf.publish(table, Came::Other).await?;
    // Somebody else took away a file that was written again.
    if made { Ok(Replaced { before: after - 1, after }) } else { Err(Error::Changed) }
}

/// A row that comes may have come another way since history was looked at.
async fn nobody_else_has(shelf: &Shelf<Buffer>, replacement: &Replacement) -> Result<(), Error> {
    let Some(days) = replacement.claimed else { return Ok(()) };
    let devices: Vec<CompactString> = replacement.devices.iter().cloned().collect();
    let there = ids(&shelf.files(), &devices, days, None).await?;
    let is_there = |id: &i64| there.contains(id) && !replacement.removed.contains(id);
    let mut added = replacement.added.iter().map(|rows| {
        let ids = rows.column_by_name(columns::ID).expect("every row has the fixed columns");
        ids.as_primitive::<Int64Type>().values().iter().any(is_there)
    });
    if added.any(|is_there| is_there) { Err(Error::Changed) } else { Ok(()) }
}

/// The days of rows.
pub(super) fn days_of(rows: &RecordBatch) -> &[i32] {
    let days = rows.column_by_name(columns::DAY).expect("every row has the fixed columns");
    days.as_primitive::<Date32Type>().values()
}

/// The rows that come are in memory until they are in files, and the ids of those that go.
pub const REPLACED_ROWS_MAX: usize = 1_000_000;
/// The same, where rows are long.
const REPLACED_BYTES_MAX: usize = 256 << 20;
/// A file is written again as a whole. Ours are much smaller; other people's may not be.
const FILE_BYTES_MAX: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_rows_are_replaced_at_once_and_not_one_more() {
        let removed = |ids: std::ops::Range<i64>| Replacement { removed: ids.collect(), ..Replacement::default() };
        let most = i64::try_from(REPLACED_ROWS_MAX).unwrap();
        let mut all = Replacement::default();
        all.extend(removed(0..most)).unwrap();
        assert_eq!(all.rows(), REPLACED_ROWS_MAX);
        let refused = all.extend(removed(most..most + 1)).unwrap_err().to_string();
        assert!(
            refused.starts_with("more than 1000000 rows or 256 MiB would be replaced in one commit: take a shorter"),
            "{refused}"
        );
    }
}
