//! SQL over a tenant's files and what waits to become files, as one table that can only be read.

use crate::events::EVENTS;
use crate::frames::{self, FRAMES};
use crate::lake::Views;
use crate::latest::{DevicesTable, LastTable};
use crate::shape::{RECORDS, Shape};
use crate::source::{Files, Whole};
use crate::tenant::View;
use crate::{Error, columns, sealed};
use compact_str::CompactString;
use datafusion::arrow::array::{AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, Schema, SchemaRef};
use datafusion::catalog::{
    CatalogProvider as _, CatalogProviderList as _, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, TableProvider,
};
use datafusion::common::ScalarValue;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::prelude::{DataFrame, Expr, SessionConfig, SessionContext, cast, col, lit};
use odograph_model::{Key, Lsn, RecordId};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What a query may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So long.
    pub time: Duration,
    /// So many rows of an answer.
    pub rows: usize,
    /// So much memory, in bytes.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: QUERY_TIME, rows: QUERY_ROWS, memory: QUERY_BYTES }
    }
}

impl Limits {
    pub(crate) fn too_long(self) -> Error {
        let seconds = self.time.as_secs_f64();
        Error::Refused(format!("the query took longer than {seconds} s: ask for less time or fewer devices"))
    }
}

/// A device's rows of a day.
pub(crate) fn of_day(device: &str, day: i32) -> Expr {
    col(columns::DEVICE).eq(lit(device)).and(col(columns::DAY).eq(lit(ScalarValue::Date32(Some(day)))))
}

/// A device's rows that are under the time of their receipt, because its clock was wrong. `None`: there can be none.
pub(crate) fn of_wrong_clock(schema: &Schema, device: &str) -> Option<Expr> {
    let claimed = columns::find(schema, Key::DeviceTime)?;
    Some(col(columns::DEVICE).eq(lit(device)).and(Expr::from(column(claimed)).is_not_null()))
}

/// The ids of the rows of files that are wanted.
pub(crate) async fn ids(files: Arc<Files>, wanted: Expr) -> Result<Vec<RecordId>, Error> {
    let context = session(QUERY_BYTES)?;
    let rows = context.read_table(files)?.filter(wanted)?.select_columns(&[columns::ID])?.collect().await?;
    let ids: Vec<_> = rows.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values()).collect();
    tracing::debug!(ids = ids.len(), "looked up records of a device");
    Ok(ids.into_iter().map(|id| RecordId(id.cast_unsigned())).collect())
}

/// All rows of files, as they come.
pub(crate) async fn all(files: Arc<dyn TableProvider>) -> Result<SendableRecordBatchStream, Error> {
    Ok(session(QUERY_BYTES)?.read_table(files)?.execute_stream().await?)
}

/// Rows of these devices.
pub(crate) fn is_of(devices: &[CompactString]) -> Expr {
    col(columns::DEVICE).in_list(devices.iter().map(|device| lit(device.as_str())).collect(), false)
}

/// What files have of a segment, by device and place.
pub(crate) async fn frames_of_segment(
    views: Vec<View>,
    node: u16,
    segment: Lsn,
    device: Option<&str>,
) -> Result<SendableRecordBatchStream, Error> {
    let context = session(QUERY_BYTES)?;
    let schema: SchemaRef = Arc::new(Schema::new((FRAMES.fixed)()));
    let (of_node, of_segment) = sealed::WHERE;
    let wanted = col(of_node).eq(lit(i32::from(node))).and(col(of_segment).eq(lit(segment.0.cast_signed())));
    let wanted = device.map_or(wanted.clone(), |device| col(columns::DEVICE).eq(lit(device)).and(wanted));
    let mut all: Option<DataFrame> = None;
    for view in views {
        let rows = of_files(&context, view.files, &view.schema, &schema)?.filter(wanted.clone())?;
        let rows = rows.select_columns(sealed::COLUMNS)?;
        all = Some(match all {
            Some(all) => all.union(rows)?,
            None => rows,
        });
    }
    let all = all.ok_or_else(|| Error::Refused("there are no tables of frames".to_owned()))?;
    let order = [columns::DEVICE, frames::PLACE].map(|name| col(name).sort(true, true));
    Ok(all.sort(order.to_vec())?.execute_stream().await?)
}

/// All rows of files, with exactly the columns of `schema`.
pub(crate) async fn rows(files: Arc<dyn TableProvider>, schema: &SchemaRef) -> Result<Vec<RecordBatch>, Error> {
    let rows = session(QUERY_BYTES)?.read_table(files)?.collect().await?;
    rows.iter().map(|batch| Ok(columns::fitted(batch, schema)?)).collect()
}

/// A session of its own for each query: with the tables of one tenant, and a bound on memory.
pub(crate) fn session(memory: usize) -> Result<SessionContext, Error> {
    let disk = DiskManagerBuilder::default().with_max_temp_directory_size(SPILL_BYTES_MAX);
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory)));
    let runtime = runtime.with_disk_manager_builder(disk).build_arc()?;
    let (list, catalog) = (MemoryCatalogProviderList::new(), MemoryCatalogProvider::new());
    let names = BASE.config_options().catalog.clone();
    catalog.register_schema(&names.default_schema, Arc::new(MemorySchemaProvider::new()))?;
    list.register_catalog(names.default_catalog, Arc::new(catalog));
    let state = SessionStateBuilder::new_from_existing(BASE.clone());
    let state = state.with_runtime_env(runtime).with_catalog_list(Arc::new(list)).build();
    Ok(SessionContext::new_with_state(state))
}

/// What all sessions have in common. Making it takes longer than many a query.
static BASE: LazyLock<SessionState> = LazyLock::new(|| {
    let mut config = SessionConfig::new().with_information_schema(true).with_target_partitions(PARTITIONS);
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    // History is no graph, and what refers to itself can grow without giving a row.
    options.execution.enable_recursive_ctes = false;
    SessionStateBuilder::new().with_config(config).with_default_features().build()
});

/// The tables that people would want first. Those of which there is no view are there and empty. Of records there are the
/// columns of `more` as well.
pub(crate) fn register(context: &SessionContext, views: Views, more: &Schema) -> Result<(), Error> {
    let Views { records, frames, events, devices } = views;
    let tables: [(&'static Shape, Option<View>); 3] = [(&RECORDS, records), (&FRAMES, frames), (&EVENTS, events)];
    let mut columns_of_records = columns::merged(&Arc::new(Schema::new((RECORDS.fixed)())), more);
    for (shape, view) in tables {
        let is_of_records = shape.name == RECORDS.name;
        let table: Arc<dyn TableProvider> = match view {
            Some(view) if is_of_records => {
                let whole = Whole::new(view.files, view.hot).with(more);
                columns_of_records = whole.schema();
                Arc::new(whole)
            }
            Some(view) => Arc::new(Whole::new(view.files, view.hot)),
            None if is_of_records => empty(context, columns_of_records.clone())?,
            None => empty(context, Arc::new(Schema::new((shape.fixed)())))?,
        };
        if is_of_records {
            context.register_table(TRACK, track(context, table.clone(), &columns_of_records)?)?;
        }
        context.register_table(shape.name, table)?;
    }
    let Some(devices) = devices else {
        context.register_table(LAST, empty(context, columns_of_records)?)?;
        context.register_table(DEVICES, empty(context, DevicesTable::columns())?)?;
        return Ok(());
    };
    context.register_table(LAST, Arc::new(LastTable::new(devices.clone(), columns_of_records)))?;
    context.register_table(DEVICES, Arc::new(DevicesTable::new(devices)))?;
    Ok(())
}

fn empty(context: &SessionContext, schema: SchemaRef) -> Result<Arc<dyn TableProvider>, Error> {
    Ok(context.read_batch(RecordBatch::new_empty(schema))?.into_view())
}

/// Where devices were: the records with a position, and of those what a line on a map needs.
fn track(
    context: &SessionContext,
    records: Arc<dyn TableProvider>,
    has: &Schema,
) -> Result<Arc<dyn TableProvider>, Error> {
    let of = |key: Key| match columns::find(has, key) {
        Some(name) => Ok(Expr::from(column(name))),
        None => nothing(&columns::data_type(key)),
    };
    let mut wanted: Vec<Expr> = [columns::DEVICE, columns::DAY, columns::TIME].map(col).to_vec();
    for key in TRACK_KEYS {
        wanted.push(of(key)?.alias(columns::of(key).name()));
    }
    let is_there = of(Key::PositionLatitude)?.is_not_null().and(of(Key::PositionLongitude)?.is_not_null());
    Ok(context.read_table(records)?.filter(is_there)?.select(wanted)?.into_view())
}

/// Files and rows besides them, as one table with the columns of both.
pub(crate) fn whole(context: &SessionContext, view: View) -> Result<DataFrame, Error> {
    Ok(context.read_table(Arc::new(Whole::new(view.files, view.hot)))?)
}

/// Files with the columns `has`, as rows with the columns of `schema`.
pub(crate) fn of_files(
    context: &SessionContext,
    files: Arc<dyn TableProvider>,
    has: &SchemaRef,
    schema: &SchemaRef,
) -> Result<DataFrame, Error> {
    let missing = |name: &str| has.field_with_name(name).is_err();
    let columns = schema.fields().iter().map(|field| {
        let name = field.name();
        let column = if missing(name) { nothing(field.data_type())? } else { Expr::from(column(name)) };
        // Readers of files may give texts in another layout.
        Ok::<_, Error>(cast(column, field.data_type().clone()).alias(name))
    });
    Ok(context.read_table(files)?.select(columns.collect::<Result<Vec<_>, _>>()?)?)
}

fn nothing(data_type: &datafusion::arrow::datatypes::DataType) -> Result<Expr, Error> {
    Ok(lit(ScalarValue::try_from(data_type)?))
}

/// By its exact name: a parameter's name is not SQL.
fn column(name: &str) -> datafusion::common::Column {
    datafusion::common::Column::from_name(name)
}

/// Each device's latest record.
const LAST: &str = "last";
/// Each record with a position.
const TRACK: &str = "track";
const TRACK_KEYS: [Key; 4] =
    [Key::PositionLatitude, Key::PositionLongitude, Key::PositionSpeed, Key::PositionDirection];
/// Each device.
const DEVICES: &str = "devices";
/// Long enough for a month of a fleet; a person does not wait longer.
const QUERY_TIME: Duration = Duration::from_secs(60);
/// More than anyone reads on a screen; whole tables go by export.
const QUERY_ROWS: usize = 1_000_000;
/// Queries share the machine with ingest.
pub(crate) const QUERY_BYTES: usize = 512 << 20;
/// What does not fit a query's memory goes through temporary files: so much of them.
const SPILL_BYTES_MAX: u64 = 8 << 30;
/// One for each core of a small machine.
pub(crate) const PARTITIONS: usize = 2;
