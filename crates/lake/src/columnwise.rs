//! Rows to Parquet files one column after the other.
//!
//! A table can have hundreds of columns of which a row has few. All rows with all columns at once, twice while they are
//! sorted, would be a gigabyte for what is a few megabytes in a file. Here only what the rows are sorted by is held for all of
//! them, and some columns at a time; a column in which no row of a file has a value is left out of it.

mod parts;

pub(crate) use parts::{Encoded, Part};

use crate::files::{Encoder, File, days};
use crate::shape::Shape;
use crate::{Error, columns, storage};
use compact_str::CompactString;
use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::{
    SortColumn, concat, filter, filter_record_batch, interleave, lexsort_to_indices, take,
};
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef, UInt32Type};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::compute_leaves;
use std::collections::HashMap;
use std::sync::Arc;

/// Where rows come from, in parts, each with some of the columns.
pub(crate) trait Source {
    /// How many rows each part has.
    fn counts(&self) -> Vec<usize>;
    /// Some columns, of each part: nothing where it does not have one.
    fn columns(&mut self, fields: &[FieldRef]) -> Result<Vec<Vec<Option<ArrayRef>>>, Error>;
    /// Whether any of these rows, by part and row, has a value in a column, as far as that can be told without reading it.
    fn occurs(&self, field: &FieldRef, rows: &[(usize, usize)]) -> bool;
    /// Rows that lie together, so that it can be told how columns are stored best.
    fn sample(&mut self, fields: &[FieldRef], rows: &[(usize, usize)]) -> Result<RecordBatch, Error>;
    /// How many bytes it holds all the time.
    fn held(&self) -> usize;
    /// Whether columns take memory besides that.
    fn decodes(&self) -> bool;
}

/// What was made of rows.
pub(crate) struct Made {
    pub(crate) files: Vec<File>,
    /// Rows that were left out because another one is the same, by device.
    pub(crate) twice: HashMap<CompactString, u64>,
    /// The most bytes of rows and files that were held at a time.
    pub(crate) held_max: usize,
}

/// Encodes rows: one file for each day that occurs. With `once`, of rows that are the same by [`Shape::identity`], one stays.
pub(crate) fn encode(
    source: &mut dyn Source,
    schema: &SchemaRef,
    shape: &Shape,
    name: &str,
    once: bool,
) -> Result<Made, Error> {
    let mut held = Held { always: source.held(), max: 0 };
    let identity = if once { shape.identity } else { None };
    let (mut keys, mut order) = sorted(source, schema, shape, identity, &mut held)?;
    let mut twice = HashMap::new();
    if let Some(identity) = identity {
        let is_first = first_of_each(&keys, shape, identity, &mut twice)?;
        if !twice.is_empty() {
            keys = filter_record_batch(&keys, &is_first)?;
            order = filter(&order, &is_first)?.as_primitive::<UInt32Type>().clone();
        }
    }
    let places: Vec<(usize, usize)> = places(&source.counts(), &order);
    held.always += places.len() * size_of::<(usize, usize)>() + order.get_array_memory_size();
    held.with(0);
    let mut files = Vec::new();
    for range in days(&keys) {
        let rows = &places[range.clone()];
        let bytes = one_file(source, schema, shape, rows, &mut held)?;
        held.always += bytes.len();
        files.push(Encoder { shape, name }.named(&keys.slice(range.start, range.len()), bytes)?);
    }
    Ok(Made { files, twice, held_max: held.max })
}

/// What rows are sorted by and what a table's log says of them, sorted, and the order.
fn sorted(
    source: &mut dyn Source,
    schema: &SchemaRef,
    shape: &Shape,
    identity: Option<&'static str>,
    held: &mut Held,
) -> Result<(RecordBatch, UInt32Array), Error> {
    let mut names = vec![columns::DAY];
    names.extend(shape.order);
    names.extend(identity);
    let sorted_by = names.len();
    if !names.contains(&shape.time) {
        names.push(shape.time);
    }
    let fields = names.iter().map(|name| Ok(schema.fields()[schema.index_of(name)?].clone()));
    let fields: Vec<FieldRef> = fields.collect::<Result<_, Error>>()?;
    let mut keys = Vec::new();
    for (field, parts) in fields.iter().zip(source.columns(&fields)?) {
        let parts: Option<Vec<ArrayRef>> = parts.into_iter().collect();
        let parts = parts.ok_or_else(|| Error::Refused(format!("rows have no {}", field.name())))?;
        keys.push(concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?);
    }
    let by = keys.iter().take(sorted_by);
    let by: Vec<_> = by.map(|values| SortColumn { values: values.clone(), options: None }).collect();
    let order = lexsort_to_indices(&by, None)?;
    let in_order: Vec<ArrayRef> = keys.iter().map(|values| take(values, &order, None)).collect::<Result<_, _>>()?;
    let bytes = |arrays: &[ArrayRef]| arrays.iter().map(Array::get_array_memory_size).sum::<usize>();
    held.with(bytes(&keys) + bytes(&in_order));
    held.always += bytes(&in_order);
    Ok((RecordBatch::try_new(Arc::new(Schema::new(fields)), in_order)?, order))
}

/// Which rows, of such that are sorted, are not the same as the one before; the others are counted by device.
fn first_of_each(
    keys: &RecordBatch,
    shape: &Shape,
    identity: &str,
    twice: &mut HashMap<CompactString, u64>,
) -> Result<BooleanArray, Error> {
    let column = |name: &str| keys.column_by_name(name).expect("rows have what they are sorted by");
    let count = keys.num_rows();
    let mut is_first = vec![false; count];
    if let Some(first) = is_first.first_mut() {
        *first = true;
    }
    for name in [columns::DAY].into_iter().chain(shape.order.iter().copied()).chain([identity]) {
        let values = column(name);
        let differs =
            distinct(&values.slice(0, count.saturating_sub(1)), &values.slice(1.min(count), count.saturating_sub(1)))?;
        for (is_first, differs) in is_first.iter_mut().skip(1).zip(differs.values().iter()) {
            *is_first |= differs;
        }
    }
    let devices = column(columns::DEVICE).as_string::<i32>();
    for (row, _) in is_first.iter().enumerate().filter(|(_, is_first)| !**is_first) {
        *twice.entry(CompactString::from(devices.value(row))).or_default() += 1;
    }
    Ok(BooleanArray::from(is_first))
}

/// Part and row of each row, in order.
fn places(counts: &[usize], order: &UInt32Array) -> Vec<(usize, usize)> {
    let mut ends = Vec::with_capacity(counts.len());
    let mut end = 0;
    for count in counts {
        end += count;
        ends.push(end);
    }
    let place = |row: &u32| {
        let row = *row as usize;
        let part = ends.partition_point(|end| *end <= row);
        (part, row - (ends[part] - counts[part]))
    };
    order.values().iter().map(place).collect()
}

/// One day's file.
fn one_file(
    source: &mut dyn Source,
    schema: &SchemaRef,
    shape: &Shape,
    rows: &[(usize, usize)],
    held: &mut Held,
) -> Result<Vec<u8>, Error> {
    let is_fixed = |name: &str| (shape.fixed)().iter().any(|field| field.name() == name);
    let fields = schema.fields().iter().filter(|field| {
        // The day is in the path.
        field.name() != columns::DAY && (is_fixed(field.name()) || source.occurs(field, rows))
    });
    let fields: Vec<FieldRef> = fields.cloned().collect();
    let middle = rows.len().saturating_sub(SAMPLE_ROWS) / 2;
    let sample = source.sample(&fields, &rows[middle..rows.len().min(middle + SAMPLE_ROWS)])?;
    let properties = storage::properties(&sample, rows.len(), shape)?;
    drop(sample);
    let writer = ArrowWriter::try_new(Vec::new(), Arc::new(Schema::new(fields.clone())), Some(properties))?;
    let (mut file, factory) = writer.into_serialized_writer()?;
    for (number, rows) in rows.chunks(storage::GROUP_ROWS).enumerate() {
        let mut writers = factory.create_column_writers(number)?.into_iter();
        let mut group = file.next_row_group()?;
        let mut written = 0;
        let at_once = (COLUMNS_BYTES / (source.counts().iter().sum::<usize>().max(1) * VALUE_BYTES)).max(1);
        for some in fields.chunks(at_once) {
            let parts = source.columns(some)?;
            let arrays = parts.iter().flatten().flatten().filter(|_| source.decodes());
            let decoded: usize = arrays.map(Array::get_array_memory_size).sum();
            for (field, parts) in some.iter().zip(parts) {
                let column = gathered(field, &parts, rows)?;
                held.with(decoded + column.get_array_memory_size() + written);
                for leaf in compute_leaves(field, &column)? {
                    let mut writer = writers.next().expect("each leaf has its writer");
                    writer.write(&leaf)?;
                    written += writer.get_estimated_total_bytes();
                    let chunk = writer.close()?;
                    chunk.append_to_row_group(&mut group)?;
                }
            }
        }
        group.close()?;
    }
    Ok(file.into_inner()?)
}

/// A column's values of these rows: nothing for those of parts that have none.
fn gathered(field: &FieldRef, parts: &[Option<ArrayRef>], rows: &[(usize, usize)]) -> Result<ArrayRef, Error> {
    let nothing = new_null_array(field.data_type(), 1);
    let arrays: Vec<_> = parts.iter().map(|part| part.as_ref().unwrap_or(&nothing).as_ref()).collect();
    if parts.iter().all(Option::is_some) {
        return Ok(interleave(&arrays, rows)?);
    }
    let place = |(part, row): &(usize, usize)| (*part, if parts[*part].is_some() { *row } else { 0 });
    let column = interleave(&arrays, &rows.iter().map(place).collect::<Vec<_>>())?;
    // The writer of files would put some value in the place of nothing.
    if !field.is_nullable() && column.null_count() > 0 {
        return Err(Error::Refused(format!("rows have no {}", field.name())));
    }
    Ok(column)
}

/// What is held, in bytes.
struct Held {
    always: usize,
    max: usize,
}

impl Held {
    /// Besides what is always held, so much is for a moment.
    fn with(&mut self, more: usize) {
        self.max = self.max.max(self.always + more);
    }
}

/// As many rows as tell how a column is stored best.
const SAMPLE_ROWS: usize = 4096;
/// So many bytes of columns are held at once, about: the more, the less often files are looked into.
const COLUMNS_BYTES: usize = 32 << 20;
/// What a value takes, about.
const VALUE_BYTES: usize = 16;

#[cfg(test)]
mod tests;
