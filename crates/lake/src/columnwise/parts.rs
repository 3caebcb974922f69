//! Where rows come from: memory, or files.

use super::{Source, gathered};
use crate::files::day_name;
use crate::shape::Shape;
use crate::{Error, columns};
use datafusion::arrow::array::{Array as _, ArrayRef, Date32Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{CastOptions, cast_with_options, concat_batches};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use datafusion::parquet::errors::ParquetError;
use std::sync::Arc;

impl Source for &[RecordBatch] {
    fn counts(&self) -> Vec<usize> {
        self.iter().map(RecordBatch::num_rows).collect()
    }

    fn columns(&mut self, fields: &[FieldRef]) -> Result<Vec<Vec<Option<ArrayRef>>>, Error> {
        let of = |field: &FieldRef| self.iter().map(|batch| column(batch, field)).collect();
        fields.iter().map(of).collect()
    }

    fn occurs(&self, field: &FieldRef, rows: &[(usize, usize)]) -> bool {
        let parts: Vec<_> = self.iter().map(|batch| batch.column_by_name(field.name())).collect();
        parts.iter().any(Option::is_some)
            && rows.iter().any(|(part, row)| parts[*part].is_some_and(|it| it.is_valid(*row)))
    }

    fn sample(&mut self, fields: &[FieldRef], rows: &[(usize, usize)]) -> Result<RecordBatch, Error> {
        let parts = self.columns(fields)?;
        let of = |(field, parts): (&FieldRef, &Vec<Option<ArrayRef>>)| gathered(field, parts, rows);
        let arrays = fields.iter().zip(&parts).map(of).collect::<Result<_, _>>()?;
        batch(fields, arrays, rows.len())
    }

    fn held(&self) -> usize {
        self.iter().map(RecordBatch::get_array_memory_size).sum()
    }

    fn decodes(&self) -> bool {
        false
    }
}

/// A column of a batch, with the type that it has in the table.
fn column(batch: &RecordBatch, field: &FieldRef) -> Result<Option<ArrayRef>, Error> {
    let Some(column) = batch.column_by_name(field.name()) else { return Ok(None) };
    Ok(Some(exactly(column, field.data_type())?))
}

/// The same values as another type. What cannot be exactly what it was is an error: whoever merges takes the original away.
fn exactly(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    let has = column.data_type();
    if has == wanted {
        return Ok(column.clone());
    }
    // Unless it is told so, it gives nothing for what it cannot convert.
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let converted = cast_with_options(column, wanted, &strict)?;
    // Then only parts of it have other names.
    if has.equals_datatype(wanted) {
        return Ok(converted);
    }
    // A fraction, a digit or a part of a second can get lost without a word.
    let is_same = |again: ArrayRef| *again == **column;
    if cast_with_options(&converted, has, &strict).is_ok_and(is_same) {
        return Ok(converted);
    }
    Err(ArrowError::CastError(format!("not each value of {has} is the same as {wanted}")))
}

fn batch(fields: &[FieldRef], arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, Error> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields.to_vec())), arrays, &options)?)
}

/// Files, as they are stored: what is read of them is decoded each time.
pub(crate) struct Encoded {
    parts: Vec<Part>,
}

/// One file.
pub(crate) struct Part {
    /// For whoever has to know which one cannot be read.
    path: String,
    bytes: bytes::Bytes,
    footer: ArrowReaderMetadata,
    day: i32,
}

impl Part {
    /// A file of a day.
    ///
    /// # Errors
    ///
    /// When its end cannot be read.
    pub(crate) fn new(path: String, day: i32, bytes: bytes::Bytes) -> Result<Self, Error> {
        let footer = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new());
        let footer = footer.map_err(|error| damaged(&path, &error))?;
        Ok(Self { path, bytes, footer, day })
    }

    #[cfg(test)]
    pub(crate) fn fields(&self) -> usize {
        self.footer.schema().fields().len()
    }

    fn count(&self) -> usize {
        usize::try_from(self.footer.metadata().file_metadata().num_rows()).unwrap_or_default()
    }

    /// How many bytes the largest column takes when it is decoded, as the file's end says.
    pub(crate) fn column_bytes_max(&self) -> usize {
        let leaves = self.footer.parquet_schema();
        let mut bytes = vec![0_i64; self.footer.schema().fields().len()];
        for group in self.footer.metadata().row_groups() {
            for (leaf, chunk) in group.columns().iter().enumerate() {
                let texts = chunk.unencoded_byte_array_data_bytes().unwrap_or_default();
                if let Some(bytes) = bytes.get_mut(leaves.get_column_root_idx(leaf)) {
                    *bytes += chunk.uncompressed_size().max(texts);
                }
            }
        }
        usize::try_from(bytes.into_iter().max().unwrap_or_default()).unwrap_or(usize::MAX)
    }

    /// Reads some columns of some rows.
    fn read(&self, fields: &[FieldRef], from: usize, count: usize) -> Result<RecordBatch, Error> {
        let has = self.footer.schema();
        let roots = fields.iter().filter_map(|field| has.index_of(field.name()).ok());
        let mask = ProjectionMask::roots(self.footer.parquet_schema(), roots);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.footer.clone());
        let builder = builder.with_projection(mask).with_offset(from).with_limit(count).with_batch_size(count.max(1));
        let reader = builder.build().map_err(|error| damaged(&self.path, &error))?;
        let schema = datafusion::arrow::array::RecordBatchReader::schema(&reader);
        let rows: Vec<RecordBatch> = reader
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Damaged { file: self.path.clone(), why: error.to_string() })?;
        Ok(if let [rows] = &rows[..] { rows.clone() } else { concat_batches(&schema, &rows)? })
    }

    fn column(&self, rows: &RecordBatch, field: &FieldRef) -> Result<Option<ArrayRef>, Error> {
        if field.name() == columns::DAY {
            return Ok(Some(Arc::new(Date32Array::from(vec![self.day; self.count()]))));
        }
        let Some(column) = rows.column_by_name(field.name()) else { return Ok(None) };
        // Somebody else's may have what cannot be what we have: then that file stays as it is.
        let (file, name) = (&self.path, field.name());
        let unfit = |why: String| Error::Unfit { file: file.clone(), why };
        let column =
            exactly(column, field.data_type()).map_err(|error| unfit(format!("in its column {name}, {error}")))?;
        if !field.is_nullable() && column.null_count() > 0 {
            return Err(unfit(format!("its column {name} lacks values, and each row has to have one")));
        }
        Ok(Some(column))
    }

    /// Whether any row has a value in a column, as its end says.
    fn has(&self, field: &FieldRef) -> bool {
        let Ok(root) = self.footer.schema().index_of(field.name()) else { return false };
        let leaves = self.footer.parquet_schema();
        let is_empty = |group: &datafusion::parquet::file::metadata::RowGroupMetaData| {
            let mut of = (0..leaves.num_columns()).filter(|leaf| leaves.get_column_root_idx(*leaf) == root);
            // Of lists and maps, numbers of values are not numbers of rows.
            let (Some(leaf), None) = (of.next(), of.next()) else { return false };
            let chunk = group.column(leaf);
            let nulls = chunk.statistics().and_then(datafusion::parquet::file::statistics::Statistics::null_count_opt);
            nulls.is_some_and(|nulls| i64::try_from(nulls).is_ok_and(|nulls| nulls == group.num_rows()))
                && !field.data_type().is_nested()
        };
        !self.footer.metadata().row_groups().iter().all(is_empty)
    }
}

impl Encoded {
    pub(crate) fn new(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// Whether the files have all columns that every such table has.
    pub(crate) fn fits(&self, shape: &Shape) -> Result<(), Error> {
        for part in &self.parts {
            let lacks = |name: &str| name != columns::DAY && part.footer.schema().index_of(name).is_err();
            if let Some(field) = (shape.fixed)().iter().find(|field| !field.is_nullable() && lacks(field.name())) {
                let (file, day) = (part.path.clone(), day_name(part.day));
                return Err(Error::Unfit { file, why: format!("its rows, of {day}, have no {}", field.name()) });
            }
        }
        Ok(())
    }
}

impl Source for Encoded {
    fn counts(&self) -> Vec<usize> {
        self.parts.iter().map(Part::count).collect()
    }

    fn columns(&mut self, fields: &[FieldRef]) -> Result<Vec<Vec<Option<ArrayRef>>>, Error> {
        let mut found = vec![Vec::with_capacity(self.parts.len()); fields.len()];
        for part in &self.parts {
            let rows = part.read(fields, 0, part.count())?;
            for (field, found) in fields.iter().zip(&mut found) {
                found.push(part.column(&rows, field)?);
            }
        }
        Ok(found)
    }

    fn occurs(&self, field: &FieldRef, _: &[(usize, usize)]) -> bool {
        self.parts.iter().any(|part| part.has(field))
    }

    /// Of the largest file, from its middle: its rows lie together as those of all will.
    fn sample(&mut self, fields: &[FieldRef], rows: &[(usize, usize)]) -> Result<RecordBatch, Error> {
        let Some(part) = self.parts.iter().max_by_key(|part| part.count()) else { return batch(fields, Vec::new(), 0) };
        let count = part.count().min(rows.len());
        let read = part.read(fields, (part.count() - count) / 2, count)?;
        let parts = fields.iter().map(|field| gathered(field, &[part.column(&read, field)?], &whole(count)));
        batch(fields, parts.collect::<Result<_, _>>()?, count)
    }

    fn held(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }

    fn decodes(&self) -> bool {
        true
    }
}

fn whole(count: usize) -> Vec<(usize, usize)> {
    (0..count).map(|row| (0, row)).collect()
}

fn damaged(file: &str, error: &ParquetError) -> Error {
    Error::Damaged { file: file.to_owned(), why: error.to_string() }
}
