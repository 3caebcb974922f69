//! The rows of an export, in their order: all of them, or what thinning leaves.

use super::{RecordQuery, sensed};
use anyhow::Result;
use odograph_lake::arrow::array::RecordBatch;
use odograph_lake::arrow::datatypes::SchemaRef;
use odograph_lake::{Reached, Scan, Thin};
use odograph_sensors::Sensor;

pub(super) struct Source<'a> {
    scan: Scan,
    thin: Option<Thin>,
    sensors: &'a [Sensor],
    /// The columns with those of sensors: what they show has peaks of its own.
    sensed: SchemaRef,
    /// The places of the columns without these.
    own: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(scan: Scan, query: &'a RecordQuery) -> Self {
        let sensed = sensed::schema_with(scan.schema(), &query.sensors);
        let own = (0..scan.schema().fields().len()).collect();
        Self { scan, thin: query.thin.map(Thin::new), sensors: &query.sensors, sensed, own }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        self.scan.schema()
    }

    pub(super) const fn reached(&self) -> Reached {
        self.scan.reached()
    }

    /// The next ones; `None` at the end.
    pub(super) fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        let Some(thin) = &mut self.thin else { return Ok(self.scan.next_rows()?) };
        loop {
            let left = match self.scan.next_rows()? {
                Some(rows) => thin.take(&sensed::rows_with(&rows, &self.sensed, self.sensors)?)?,
                None => match thin.rest()? {
                    Some(rest) => rest,
                    None => return Ok(None),
                },
            };
            if left.num_rows() > 0 {
                return Ok(Some(left.project(&self.own)?));
            }
        }
    }
}
