//! One Parquet file, with the columns of the table.

use super::Sink;
use super::formats::Encoder;
use anyhow::{Context as _, Result};
use odograph_lake::arrow::array::RecordBatch;
use odograph_lake::arrow::datatypes::SchemaRef;
use odograph_lake::parquet::arrow::ArrowWriter;
use odograph_lake::parquet::basic::{Compression, ZstdLevel};
use odograph_lake::parquet::file::properties::WriterProperties;

/// Writes rows in groups, each as soon as it is full.
pub(crate) struct Parquet {
    writer: Option<ArrowWriter<Vec<u8>>>,
}

impl Parquet {
    pub(crate) fn new(schema: &SchemaRef) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(COMPRESSION)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by(format!("odograph {}", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { writer: Some(ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?) })
    }
}

impl Encoder for Parquet {
    fn begin(&mut self, _out: &mut dyn Sink) -> Result<()> {
        Ok(())
    }

    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Sink) -> Result<()> {
        let writer = self.writer.as_mut().context("nothing is written behind the end")?;
        writer.write(rows)?;
        if writer.in_progress_size() >= GROUP_BYTES {
            writer.flush()?;
        }
        // The writer counts for itself how much there was before.
        let bytes = std::mem::take(writer.inner_mut());
        Ok(out.write(&bytes)?)
    }

    fn finish(&mut self, out: &mut dyn Sink) -> Result<u64> {
        let writer = self.writer.take().context("a file ends once")?;
        out.write(&writer.into_inner()?)?;
        Ok(0)
    }
}

const COMPRESSION: i32 = 3;
/// A group is held in memory until it is full.
const GROUP_ROWS: usize = 1 << 17;
const GROUP_BYTES: usize = 64 << 20;
