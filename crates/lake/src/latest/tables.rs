//! Devices as tables of queries: `last` and `devices`. Rows are made when they are asked for, some devices at a time.

use super::packed::Wanted;
use super::{Device, SHARDS, each, shard_of};
use crate::buffer::Buffer;
use crate::rows::{Row, Rows};
use crate::tenant::Shelf;
use crate::{columns, source};
use async_trait::async_trait;
use compact_str::CompactString;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use odograph_model::Time;
use std::sync::Arc;

/// Each device's latest record, with the columns of records.
#[derive(Debug)]
pub(crate) struct LastTable {
    shelf: Arc<Shelf<Buffer>>,
    schema: SchemaRef,
}

impl LastTable {
    pub(crate) fn new(shelf: Arc<Shelf<Buffer>>, schema: SchemaRef) -> Self {
        Self { shelf, schema }
    }
}

/// Each device: how many records there are, from when to when, and when the last one came.
#[derive(Debug)]
pub(crate) struct DevicesTable {
    shelf: Arc<Shelf<Buffer>>,
}

impl DevicesTable {
    pub(crate) fn new(shelf: Arc<Shelf<Buffer>>) -> Self {
        Self { shelf }
    }

    pub(crate) fn columns() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new(columns::DEVICE, DataType::Utf8, false),
            Field::new("records", DataType::Int64, false),
            Field::new("first", columns::moment(), true),
            Field::new("last", columns::moment(), true),
            Field::new(columns::RECEIVED, columns::moment(), true),
        ]))
    }
}

#[async_trait]
impl TableProvider for LastTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = source::projected(&self.schema, projection)?;
        let raw = schema.field_with_name(columns::RAW).is_ok();
        let wanted = Wanted::these(schema.fields().iter().filter_map(|field| columns::key(field)), raw);
        plan(&self.shelf, schema, filters, Make::Last(wanted))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

#[async_trait]
impl TableProvider for DevicesTable {
    fn schema(&self) -> SchemaRef {
        Self::columns()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan(&self.shelf, source::projected(&Self::columns(), projection)?, filters, Make::Devices)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

fn plan(shelf: &Arc<Shelf<Buffer>>, schema: SchemaRef, filters: &[Expr], make: Make) -> Result<Arc<dyn ExecutionPlan>> {
    let only = filters.iter().find_map(one_device);
    let shards = Shards { shelf: shelf.clone(), schema: schema.clone(), only, make: Arc::new(make) };
    Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(shards)], None, [], false, None)?))
}

/// The one device that a condition leaves.
fn one_device(filter: &Expr) -> Option<CompactString> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    let (Expr::Column(column), Expr::Literal(value, _)) = (&**left, &**right) else { return None };
    match value {
        ScalarValue::Utf8(Some(device)) if column.name == columns::DEVICE => Some(device.into()),
        _ => None,
    }
}

enum Make {
    /// Latest records, with these parameters.
    Last(Wanted),
    /// Numbers.
    Devices,
}

/// The rows, shard after shard.
struct Shards {
    shelf: Arc<Shelf<Buffer>>,
    /// The columns that are asked for.
    schema: SchemaRef,
    only: Option<CompactString>,
    make: Arc<Make>,
}

impl std::fmt::Debug for Shards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shards").field("only", &self.only).finish_non_exhaustive()
    }
}

impl PartitionStream for Shards {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let shards = self.only.as_ref().map_or(0..SHARDS, |device| {
            let shard = shard_of(device);
            shard..shard + 1
        });
        let (shelf, schema, only, make) =
            (self.shelf.clone(), self.schema.clone(), self.only.clone(), self.make.clone());
        let rows = shards.map(move |shard| {
            let rows = match &*make {
                Make::Last(wanted) => latest(&shelf, shard, only.as_deref(), wanted),
                Make::Devices => numbers(&shelf, shard, only.as_deref()),
            };
            Ok(source::fitted(&columns::renamed_to(&rows?, &schema)?, &schema)?)
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(rows)))
    }
}

fn latest(shelf: &Shelf<Buffer>, shard: usize, only: Option<&str>, wanted: &Wanted) -> Result<RecordBatch> {
    let mut rows = Rows::default();
    shelf.devices(|parts| {
        each(parts, shard, only, |name, device| {
            let Some(latest) = device.latest() else { return };
            let Some((protocol, record)) = latest.record(wanted) else { return };
            let (time, received, id) = (latest.order.time, latest.order.received, latest.order.id);
            rows.push(&Row { device: name, time, received, id, protocol, record: &record });
        });
    });
    Ok(rows.batch()?)
}

fn numbers(shelf: &Shelf<Buffer>, shard: usize, only: Option<&str>) -> Result<RecordBatch> {
    let (mut names, mut counts, mut times) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new(), Vec::new()]);
    shelf.devices(|parts| {
        each(parts, shard, only, |name, device| {
            let Device { count, first, last, received, .. } = device;
            names.push(name.to_owned());
            counts.push(count.cast_signed());
            for (times, time) in times.iter_mut().zip([first, last, received]) {
                times.push(time.map(|Time(time)| time.saturating_mul(1000)));
            }
        });
    });
    let times = times.map(|times| Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) as ArrayRef);
    let [first, last, received] = times;
    let (names, counts) = (Arc::new(StringArray::from(names)), Arc::new(Int64Array::from(counts)));
    Ok(RecordBatch::try_new(DevicesTable::columns(), vec![names, counts, first, last, received])?)
}
