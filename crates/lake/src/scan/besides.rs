//! Rows that are not in the lake and belong to an export all the same.

use crate::Error;
use crate::rows::{Row, Rows};
use compact_str::CompactString;
use datafusion::arrow::array::RecordBatch;
use hashbrown::HashSet;
use odograph_model::RecordId;
use std::collections::BTreeMap;

/// Rows besides those of the lake, by tenant. Where the lake has one of them too, that one is left out.
#[derive(Default)]
pub struct Besides {
    tenants: BTreeMap<CompactString, Gathered>,
    ids: HashSet<RecordId>,
}

#[derive(Default)]
struct Gathered {
    full: Vec<RecordBatch>,
    open: Rows,
}

impl Besides {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.ids.len()
    }

    /// Adds one, unless it is there.
    ///
    /// # Errors
    ///
    /// When it cannot be made into columns.
    pub fn push(&mut self, tenant: &str, row: &Row<'_>) -> Result<(), Error> {
        if !self.ids.insert(row.id) {
            return Ok(());
        }
        let gathered = self.tenants.entry(tenant.into()).or_default();
        gathered.open.push(row);
        if gathered.open.count() >= OPEN_ROWS_MAX {
            gathered.full.push(std::mem::take(&mut gathered.open).batch()?);
        }
        Ok(())
    }

    pub(super) fn into_batches(self) -> Result<(Batches, HashSet<RecordId>), Error> {
        let mut all = Batches::new();
        for (tenant, mut gathered) in self.tenants {
            if gathered.open.count() > 0 {
                gathered.full.push(gathered.open.batch()?);
            }
            all.insert(tenant, gathered.full);
        }
        Ok((all, self.ids))
    }
}

type Batches = BTreeMap<CompactString, Vec<RecordBatch>>;

/// Rows of a batch.
const OPEN_ROWS_MAX: usize = 8192;
