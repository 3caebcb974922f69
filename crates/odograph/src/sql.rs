//! Answers of queries as text: for people, and for programs.

use crate::export::{Sink, Totals};
use anyhow::Result;
use odograph_lake::Answer;
use odograph_lake::arrow::csv::WriterBuilder;
use odograph_lake::arrow::json::LineDelimitedWriter;
use odograph_lake::arrow::util::pretty::pretty_format_batches_with_schema;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

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
    Csv,
    /// Columns for people.
    Table,
}

/// Writes an answer.
pub(crate) fn write(answer: &mut Answer, format: SqlFormat, out: &mut dyn Sink) -> Result<Totals> {
    let mut given = 0;
    match format {
        SqlFormat::Json => {
            let mut writer = LineDelimitedWriter::new(Into(out));
            while let Some(rows) = answer.next_rows()? {
                given += rows.num_rows() as u64;
                writer.write(&rows)?;
            }
            writer.finish()?;
        }
        SqlFormat::Csv => {
            let mut heading = true;
            while let Some(rows) = answer.next_rows()? {
                given += rows.num_rows() as u64;
                WriterBuilder::new().with_header(heading).build(Into(out)).write(&rows)?;
                heading = false;
            }
        }
        SqlFormat::Table => {
            let mut all = Vec::new();
            while let Some(rows) = answer.next_rows()? {
                given += rows.num_rows() as u64;
                all.push(rows);
            }
            let table = pretty_format_batches_with_schema(answer.schema(), &all)?;
            out.write(format!("{table}\n").as_bytes())?;
        }
    }
    Ok(Totals { given, ..Totals::default() })
}

pub(crate) fn default_tenant() -> String {
    "default".to_owned()
}

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
