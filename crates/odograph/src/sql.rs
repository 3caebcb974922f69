//! Answers of queries as text: for people, and for programs.

mod whole;

use crate::cli::table::visible;
use crate::export::{Encoder as _, Parquet, Sink, Totals};
use anyhow::Result;
use odograph_lake::Answer;
use odograph_lake::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use odograph_lake::arrow::csv::WriterBuilder;
use odograph_lake::arrow::datatypes::{DataType, Field, Schema};
use odograph_lake::arrow::json::LineDelimitedWriter;
use odograph_lake::arrow::json::writer::WriterBuilder as JsonBuilder;
use odograph_lake::arrow::util::display::{ArrayFormatter, FormatOptions};
use odograph_lake::arrow::util::pretty::pretty_format_batches_with_schema;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::sync::Arc;
use whole::TextBeyond;

/// A query, as it is sent to a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlQuery {
    pub(crate) sql: String,
    #[serde(default = "default_tenant")]
    pub(crate) tenant: String,
    #[serde(default)]
    pub(crate) format: SqlFormat,
    /// Whether whoever asks wants to know how far it is.
    #[serde(default)]
    pub(crate) progress: bool,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SqlFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// The same with whole numbers as text where they are too large for those who have 53 bits for one, such as browsers.
    #[serde(skip)]
    JsonText,
    Csv,
    /// Columns for people.
    Table,
    /// A Parquet file.
    Parquet,
}

/// Writes an answer.
pub(crate) fn write(answer: &mut Answer, format: SqlFormat, out: &mut dyn Sink) -> Result<Totals> {
    let mut given = 0;
    match format {
        SqlFormat::Json | SqlFormat::JsonText => {
            let mut writer: LineDelimitedWriter<_> = match format {
                SqlFormat::JsonText => JsonBuilder::new().with_encoder_factory(Arc::new(TextBeyond)),
                _ => JsonBuilder::new(),
            }
            .build(Into(out));
            while let Some(rows) = answer.next_rows()? {
                given += rows.num_rows() as u64;
                writer.write(&rows)?;
            }
            writer.finish()?;
        }
        SqlFormat::Csv => {
            WriterBuilder::new().build(Into(out)).write(&flat(&RecordBatch::new_empty(answer.schema()))?)?;
            while let Some(rows) = answer.next_rows()? {
                given += rows.num_rows() as u64;
                WriterBuilder::new().with_header(false).build(Into(out)).write(&flat(&rows)?)?;
            }
        }
        SqlFormat::Parquet => given = parquet(answer, out)?,
        SqlFormat::Table => {
            let mut all = Vec::new();
            while let Some(rows) = answer.next_rows()? {
                given += rows.num_rows() as u64;
                all.push(shown(&rows)?);
            }
            let columns = shown(&RecordBatch::new_empty(answer.schema()))?.schema();
            let table = pretty_format_batches_with_schema(columns, &all)?;
            out.write(format!("{table}\n").as_bytes())?;
        }
    }
    Ok(Totals { given, ..Totals::default() })
}

/// The rows as texts that cannot steer the terminal, nor look like other rows. Plans have lines, and are nobody's words.
fn shown(rows: &RecordBatch) -> Result<RecordBatch> {
    let (schema, options) = (rows.schema(), FormatOptions::new().with_display_error(true));
    let is_plan = schema.fields().iter().map(|field| field.name()).eq(PLAN);
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        let cells = ArrayFormatter::try_new(column, &options)?;
        let cell = |row| match is_plan {
            true => cells.value(row).to_string().lines().map(visible).collect::<Vec<_>>().join("\n"),
            false => visible(&cells.value(row).to_string()),
        };
        columns.push(Arc::new(StringArray::from_iter_values((0..rows.num_rows()).map(cell))) as ArrayRef);
        fields.push(Field::new(visible(field.name()), DataType::Utf8, true));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

/// The rows with lists and maps as JSON: a cell of CSV is one text.
fn flat(rows: &RecordBatch) -> Result<RecordBatch> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        if field.data_type().is_nested() {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(Arc::new(as_json(column)?) as ArrayRef);
        } else {
            fields.push(field.clone());
            columns.push(column.clone());
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

fn as_json(column: &ArrayRef) -> Result<StringArray> {
    let field = Field::new("value", column.data_type().clone(), true);
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column.clone()])?)?;
    writer.finish()?;
    // Each row is a line, `{"value":…}`, and `{}` where there is nothing.
    let text = String::from_utf8(writer.into_inner())?;
    Ok(text.lines().map(|line| line.strip_prefix("{\"value\":")?.strip_suffix('}')).collect())
}

fn parquet(answer: &mut Answer, out: &mut dyn Sink) -> Result<u64> {
    let mut given = 0;
    let mut encoder = Parquet::new(&answer.schema())?;
    while let Some(rows) = answer.next_rows()? {
        given += rows.num_rows() as u64;
        encoder.rows(&rows, out)?;
    }
    encoder.finish(out)?;
    Ok(given)
}

pub(crate) fn default_tenant() -> String {
    "default".to_owned()
}

/// The columns of an answer to EXPLAIN.
const PLAN: [&str; 2] = ["plan_type", "plan"];

struct Into<'a>(&'a mut dyn Sink);

impl Write for Into<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_lake::arrow::util::pretty::pretty_format_batches;

    fn table(names: [&str; 2], cells: [&str; 2]) -> String {
        let columns = names.into_iter().zip(cells);
        let columns =
            columns.map(|(name, cell)| (name, Arc::new(StringArray::from(vec![Some(cell), None])) as ArrayRef));
        let rows =
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        pretty_format_batches(&[shown(&rows).unwrap()]).unwrap().to_string()
    }

    #[test]
    fn what_devices_said_cannot_steer_the_terminal_nor_look_like_another_row() {
        let told = table(["device", "a\u{7}"], ["a\u{1b}[2J\n| b", "\u{202e}\u{9b}ü"]);
        let expected = [
            "+-----------------+-----------------+",
            "| device          | a\\u{7}          |",
            "+-----------------+-----------------+",
            "| a\\u{1b}[2J\\n| b | \\u{202e}\\u{9b}ü |",
            "|                 |                 |",
            "+-----------------+-----------------+",
        ];
        assert_eq!(told, expected.join("\n"));
    }

    #[test]
    fn a_plan_keeps_its_lines() {
        let told = table(["plan_type", "plan"], ["logical_plan", "Projection\n  Values\u{1b}"]);
        let expected = [
            "+--------------+----------------+",
            "| plan_type    | plan           |",
            "+--------------+----------------+",
            "| logical_plan | Projection     |",
            "|              |   Values\\u{1b} |",
            "|              |                |",
            "+--------------+----------------+",
        ];
        assert_eq!(told, expected.join("\n"));
    }
}
