//! Fewer rows of a long time, for those who draw it: real ones, chosen so that no peak and no change is lost.
//!
//! Time is cut into steps of one length, counted from 1970 on. Each row of a device is in one of them, wherever a scan begins: one
//! that begins with a step leaves the same of it as one that began long before.

use super::not_ours;
use crate::{Error, columns};
use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use datafusion::arrow::compute::{concat_batches, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, TimestampMicrosecondType};
use odograph_model::{Key, Time};
use std::ops::Range;

/// Leaves of each step the rows that show how it was: the first and the last one, for each number those with its least and its
/// greatest value, those in which a text or something that is on or off is another than before, and those with an alarm.
///
/// It takes rows with each device's in the order of their times. Of changes of one parameter, and of alarms, a step keeps sixteen
/// at most, which lie evenly among them, so that a text that counts does not keep every row.
#[derive(Debug)]
pub struct Thin {
    step_ms: i64,
    /// The rows of the last step, which may go on.
    open: Option<RecordBatch>,
}

impl Thin {
    /// With steps of so many seconds, and of one at least.
    pub fn new(step_s: u32) -> Self {
        Self { step_ms: i64::from(step_s.max(1)) * 1000, open: None }
    }

    /// When the step begins that a moment is in.
    pub const fn begin(&self, time: Time) -> Time {
        Time(time.0.saturating_sub(time.0.rem_euclid(self.step_ms)))
    }

    /// Takes the next rows, and gives what is left of the steps that ended. All columns of floating numbers count, whether they
    /// are of parameters or were added.
    ///
    /// # Errors
    ///
    /// When they are no rows of records, or have other columns than those before.
    pub fn take(&mut self, rows: &RecordBatch) -> Result<RecordBatch, Error> {
        let all = match self.open.take() {
            Some(open) => concat_batches(&rows.schema(), [&open, rows])?,
            None => rows.clone(),
        };
        let steps = self.steps(&all)?;
        let Some((last, ended)) = steps.split_last() else { return Ok(all) };
        self.open = Some(all.slice(last.start, last.len()));
        left(&all, ended)
    }

    /// What is left of the last step, behind all rows.
    ///
    /// # Errors
    ///
    /// When its rows cannot be chosen from.
    pub fn rest(&mut self) -> Result<Option<RecordBatch>, Error> {
        let Some(open) = self.open.take() else { return Ok(None) };
        let step = 0..open.num_rows();
        left(&open, std::slice::from_ref(&step)).map(Some)
    }

    /// Where steps begin and end. A device that sends more in one than may be held has it cut.
    fn steps(&self, rows: &RecordBatch) -> Result<Vec<Range<usize>>, Error> {
        let fixed = |name: &str| rows.column_by_name(name).ok_or_else(|| not_ours(name));
        let devices = fixed(columns::DEVICE)?.as_string_opt::<i32>().ok_or_else(|| not_ours(columns::DEVICE))?;
        let times = fixed(columns::TIME)?.as_primitive_opt::<TimestampMicrosecondType>();
        let times = times.ok_or_else(|| not_ours(columns::TIME))?;
        let step = |row: usize| times.value(row).div_euclid(1000 * self.step_ms);
        let is_same = |one: usize, other: usize| step(one) == step(other) && devices.value(one) == devices.value(other);
        let mut steps: Vec<Range<usize>> = Vec::new();
        for row in 0..rows.num_rows() {
            match steps.last_mut() {
                Some(last) if last.len() < STEP_ROWS_MAX && is_same(last.start, row) => last.end = row + 1,
                _ => steps.push(row..row + 1),
            }
        }
        Ok(steps)
    }
}

/// What is left of whole steps.
fn left(rows: &RecordBatch, steps: &[Range<usize>]) -> Result<RecordBatch, Error> {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let columns: Vec<Column<'_>> = columns.filter_map(|(field, column)| Column::of(field, column)).collect();
    let mut kept = vec![false; rows.num_rows()];
    for step in steps {
        (kept[step.start], kept[step.end - 1]) = (true, true);
        for column in &columns {
            column.keep(step, &mut kept);
        }
    }
    Ok(filter_record_batch(rows, &BooleanArray::from(kept))?)
}

/// A column for which rows are kept.
enum Column<'a> {
    Float(&'a Float64Array),
    Int(&'a Int64Array),
    /// A number of which each bit means something else.
    Bits(&'a Int64Array),
    Bool(&'a BooleanArray),
    Text(&'a StringArray),
    Alarms(&'a ListArray),
}

impl<'a> Column<'a> {
    fn of(field: &Field, column: &'a ArrayRef) -> Option<Self> {
        if *field.data_type() == DataType::Float64 {
            return column.as_primitive_opt().map(Self::Float);
        }
        // The columns that all rows have are of no parameter.
        let key = columns::key(field)?;
        match (field.data_type(), key) {
            (DataType::Int64, Key::Din | Key::Dout) => column.as_primitive_opt().map(Self::Bits),
            (DataType::Int64, _) => column.as_primitive_opt().map(Self::Int),
            (DataType::Boolean, _) => column.as_boolean_opt().map(Self::Bool),
            (DataType::Utf8, _) => column.as_string_opt().map(Self::Text),
            (DataType::List(_), Key::Alarm | Key::ReeferAlarmCodes) => column.as_list_opt().map(Self::Alarms),
            _ => None,
        }
    }

    /// Marks those that a step has for it.
    fn keep(&self, step: &Range<usize>, kept: &mut [bool]) {
        match self {
            Self::Float(values) => {
                let value = |row: usize| values.is_valid(row).then(|| values.value(row));
                extremes(step, |row| value(row).filter(|value| value.is_finite()), kept);
            }
            Self::Int(values) => extremes(step, |row| values.is_valid(row).then(|| values.value(row)), kept),
            Self::Bits(values) => spread(&changes(step, |row| values.is_valid(row).then(|| values.value(row))), kept),
            Self::Bool(values) => spread(&changes(step, |row| values.is_valid(row).then(|| values.value(row))), kept),
            Self::Text(values) => spread(&changes(step, |row| values.is_valid(row).then(|| values.value(row))), kept),
            Self::Alarms(lists) => {
                let has_some = |row: usize| lists.is_valid(row) && lists.value_length(row) > 0;
                let alarms: Vec<usize> = step.clone().filter(|row| has_some(*row)).collect();
                spread(&alarms, kept);
                // One that comes once while another one lasts is not lost among many of that.
                spread(&changes(step, |row| has_some(row).then(|| lists.value(row))), kept);
            }
        }
    }
}

/// Marks a row with the least and one with the greatest value: an end of the step, which is kept anyway, where that has it.
fn extremes<T: PartialOrd + Copy>(step: &Range<usize>, value: impl Fn(usize) -> Option<T>, kept: &mut [bool]) {
    let mut least: Option<(usize, T)> = None;
    let mut greatest: Option<(usize, T)> = None;
    for row in [step.start, step.end - 1].into_iter().chain(step.clone()) {
        let Some(value) = value(row) else { continue };
        if least.is_none_or(|(_, known)| value < known) {
            least = Some((row, value));
        }
        if greatest.is_none_or(|(_, known)| value > known) {
            greatest = Some((row, value));
        }
    }
    for (row, _) in [least, greatest].into_iter().flatten() {
        kept[row] = true;
    }
}

/// The rows that say something else than the last one of the step that said anything: the first one that does is among them.
fn changes<T: PartialEq>(step: &Range<usize>, value: impl Fn(usize) -> Option<T>) -> Vec<usize> {
    let mut known = None;
    let is_other = |row: &usize| {
        let now = value(*row);
        let is_other = now.is_some() && now != known;
        if is_other {
            known = now;
        }
        is_other
    };
    step.clone().filter(is_other).collect()
}

/// Marks these rows, or, where they are too many, so many of them that lie evenly, with the first and the last one.
fn spread(rows: &[usize], kept: &mut [bool]) {
    let count = rows.len().min(MARKED_MAX);
    for place in 0..count {
        kept[rows[place * (rows.len() - 1) / (count - 1).max(1)]] = true;
    }
}

/// Rows of a step that are kept for the changes of one parameter, or for alarms.
const MARKED_MAX: usize = 16;
/// Rows of a step that are held until its end is known, at a few hundred bytes each.
const STEP_ROWS_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests;
