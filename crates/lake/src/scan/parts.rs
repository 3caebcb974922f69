//! Cuts a scan into parts that can be sorted one at a time.

use super::{Order, column};
use crate::{Error, columns};
use datafusion::arrow::array::AsArray as _;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::prelude::{DataFrame, Expr, lit};
use futures::StreamExt as _;

/// Some days or devices, one after the other; or of one day, some devices.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// Which tenant's.
    pub(super) tenant: usize,
    by: &'static str,
    range: Range,
    /// Of these days alone.
    within: Option<(&'static str, Range)>,
    /// How many days or devices are done with it.
    pub(super) units: usize,
}

/// From the first to the last, both included.
#[derive(Debug, Clone, PartialEq)]
struct Range {
    first: ScalarValue,
    last: ScalarValue,
    units: usize,
    rows: usize,
}

impl Part {
    /// What is true of its rows alone.
    pub(super) fn filter(&self) -> Expr {
        let filter = self.range.filter(self.by);
        match &self.within {
            Some((by, range)) => range.filter(by).and(filter),
            None => filter,
        }
    }
}

impl Range {
    fn filter(&self, by: &str) -> Expr {
        column(by).gt_eq(lit(self.first.clone())).and(column(by).lt_eq(lit(self.last.clone())))
    }

    /// Takes a further one, unless that would be too much at a time.
    fn take(&mut self, unit: &ScalarValue, rows: usize, rows_max: usize) -> bool {
        let fits = self.rows + rows <= rows_max;
        if fits {
            self.last = unit.clone();
            (self.units, self.rows) = (self.units + 1, self.rows + rows);
        }
        fits
    }
}

/// Cuts a tenant's rows into parts of at most `rows_max` rows, unless a single device has more of them in a day (or, where
/// devices come first, at all).
pub(super) async fn cut(frame: DataFrame, tenant: usize, order: Order, rows_max: usize) -> Result<Vec<Part>, Error> {
    let by = match order {
        Order::Day => columns::DAY,
        Order::Device => columns::DEVICE,
    };
    let mut parts = Vec::new();
    for range in ranges(frame.clone(), by, rows_max).await? {
        if order == Order::Device || range.rows <= rows_max {
            let units = range.units;
            parts.push(Part { tenant, by, range, within: None, units });
            continue;
        }
        // A day of a large fleet.
        let of_day = frame.clone().filter(range.filter(by))?;
        let begin = parts.len();
        for devices in ranges(of_day, columns::DEVICE, rows_max).await? {
            let within = Some((by, range.clone()));
            parts.push(Part { tenant, by: columns::DEVICE, range: devices, within, units: 0 });
        }
        // The day is done when its last part is.
        if let Some(last) = parts[begin..].last_mut() {
            last.units = range.units;
        }
    }
    Ok(parts)
}

/// Counts the rows of each day or device, and puts neighbours together.
async fn ranges(frame: DataFrame, by: &'static str, rows_max: usize) -> Result<Vec<Range>, Error> {
    let counts =
        frame.aggregate(vec![column(by)], vec![count(lit(1_i64))])?.sort(vec![column(by).sort(true, false)])?;
    let mut counts = counts.execute_stream().await?;
    let mut ranges: Vec<Range> = Vec::new();
    while let Some(batch) = counts.next().await.transpose()? {
        let rows = batch.column(1).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let unit = ScalarValue::try_from_array(batch.column(0), row)?;
            let rows = usize::try_from(rows.value(row)).unwrap_or(usize::MAX);
            if !ranges.last_mut().is_some_and(|range| range.take(&unit, rows, rows_max)) {
                ranges.push(Range { first: unit.clone(), last: unit, units: 1, rows });
            }
        }
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_takes_days_as_long_as_they_fit() {
        let day = |day: i32| ScalarValue::Date32(Some(day));
        let mut range = Range { first: day(1), last: day(1), units: 1, rows: 1 };
        assert!(range.take(&day(3), 9, 10));
        assert!(!range.take(&day(4), 1, 10));
        assert_eq!(range, Range { first: day(1), last: day(3), units: 2, rows: 10 });
    }
}
