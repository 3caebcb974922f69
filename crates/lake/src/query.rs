//! SQL over a tenant's files and what waits to become files, as one table that can only be read.

use crate::events::EVENTS;
use crate::frames::{self, FRAMES};
use crate::lake::{Lake, Latest, Views};
use crate::shape::{RECORDS, Shape};
use crate::tenant::{Files, View};
use crate::{Error, columns, files::day_name, sealed};
use compact_str::CompactString;
use datafusion::arrow::array::{Array as _, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{DataFrame, Expr, SQLOptions, SessionConfig, SessionContext, cast, col, lit};
use futures::StreamExt as _;
use odograph_model::{Key, Lsn, RecordId, Time};
use std::sync::Arc;
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

/// A query's answer, as it comes.
pub struct Answer {
    stream: SendableRecordBatchStream,
    /// Whose threads it runs on.
    lake: Lake,
    deadline: tokio::time::Instant,
    limits: Limits,
    rows: usize,
    /// The files that it reads, so that none is deleted.
    _held: Vec<Arc<Files>>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema()).finish_non_exhaustive()
    }
}

impl Answer {
    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows; `None` at the end. Not to be called on a thread that runs asynchronous tasks.
    ///
    /// # Errors
    ///
    /// When it fails, or takes more than it may.
    pub fn next_rows(&mut self) -> Result<Option<RecordBatch>, Error> {
        let Self { stream, lake, deadline, .. } = self;
        let limits = self.limits;
        let next = lake.ask(async {
            let next = tokio::time::timeout_at(*deadline, stream.next()).await.map_err(|_| limits.too_long())?;
            Ok(next.transpose()?)
        });
        let Some(rows) = next? else { return Ok(None) };
        self.rows += rows.num_rows();
        if self.rows > self.limits.rows {
            return Err(Error::Refused(format!(
                "the answer has more than {} rows: ask for fewer (WHERE, LIMIT), or use `odograph export`",
                self.limits.rows
            )));
        }
        Ok(Some(rows))
    }
}

impl Limits {
    fn too_long(self) -> Error {
        let seconds = self.time.as_secs();
        Error::Refused(format!("the query took longer than {seconds} s: ask for less time or fewer devices"))
    }
}

/// Plans and begins a query. Tables of which there is no view are there and empty.
pub(crate) async fn run(lake: Lake, views: Views, sql: &str, limits: Limits) -> Result<Answer, Error> {
    let deadline = tokio::time::Instant::now() + limits.time;
    let tables = [&views.records, &views.frames, &views.events];
    let held = tables.into_iter().flatten().map(|view| view.held.clone()).collect();
    let begin = async {
        let context = session(limits.memory)?;
        register(&context, views).await?;
        let only_read = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        Ok::<_, Error>(context.sql_with_options(sql, only_read).await?.execute_stream().await?)
    };
    let stream = tokio::time::timeout_at(deadline, begin).await.map_err(|_| limits.too_long())??;
    Ok(Answer { stream, lake, deadline, limits, rows: 0, _held: held })
}

/// The ids of a device's records of a day that are in files.
pub(crate) async fn ids_of_day(view: View, device: &str, day: i32) -> Result<Vec<RecordId>, Error> {
    let of_day = col(columns::DAY).eq(lit(ScalarValue::Date32(Some(day))));
    let ids = ids(view, col(columns::DEVICE).eq(lit(device)).and(of_day)).await?;
    tracing::debug!(device, day = day_name(day), ids = ids.len(), "looked up the records of a device's day");
    Ok(ids)
}

/// The ids of a device's records that are in files under the time of their receipt, because its clock was wrong.
pub(crate) async fn ids_of_wrong_clock(view: View, device: &str) -> Result<Vec<RecordId>, Error> {
    let claimed = columns::of(Key::DeviceTime);
    if view.schema.field_with_name(claimed.name()).is_err() {
        return Ok(Vec::new());
    }
    ids(view, col(columns::DEVICE).eq(lit(device)).and(col(claimed.name()).is_not_null())).await
}

async fn ids(view: View, wanted: Expr) -> Result<Vec<RecordId>, Error> {
    let context = session(QUERY_BYTES)?;
    let rows = context.read_table(view.files)?.filter(wanted)?.select_columns(&[columns::ID])?.collect().await?;
    let ids = rows.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values());
    Ok(ids.map(|id| RecordId(id.cast_unsigned())).collect())
}

/// Up to where there are records of each device, by the files.
pub(crate) async fn latest(view: View, tenant: &str, devices: Option<&[CompactString]>) -> Result<Vec<Latest>, Error> {
    let has = |key| view.schema.field_with_name(columns::of(key).name()).is_ok();
    let claimed = if has(Key::DeviceTime) { "device_time" } else { "NULL" };
    let source = if has(Key::TimeSource) { "time_source" } else { "NULL" };
    let sql = format!(
        "SELECT arrow_cast(device, 'Utf8'), max(time) FILTER (WHERE {source} IS NULL), \
         max(time) FILTER (WHERE {source} IS NOT NULL AND {claimed} IS NULL), count({claimed}) > 0 \
         FROM files GROUP BY device"
    );
    let context = session(QUERY_BYTES)?;
    let mut files = context.read_table(view.files)?;
    if let Some(devices) = devices {
        files = files.filter(is_of(devices))?;
    }
    context.register_table("files", files.into_view())?;
    let mut latest = Vec::new();
    for batch in context.sql(&sql).await?.collect().await? {
        let devices = batch.column(0).as_string::<i32>();
        let wrong = batch.column(3).as_boolean();
        let time = |column: usize, row| {
            let times = batch.column(column).as_primitive::<TimestampMicrosecondType>();
            times.is_valid(row).then(|| Time(times.value(row).div_euclid(1000)))
        };
        latest.extend((0..batch.num_rows()).map(|row| Latest {
            tenant: tenant.into(),
            device: devices.value(row).into(),
            by_device: time(1, row),
            by_receipt: time(2, row),
            wrong_clock: wrong.value(row),
        }));
    }
    Ok(latest)
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
    let context = session(QUERY_BYTES)?;
    let rows = of_files(&context, files, schema, schema)?.collect().await?;
    rows.iter().map(|batch| Ok(columns::fitted(batch, schema)?)).collect()
}

pub(crate) fn session(memory: usize) -> Result<SessionContext, Error> {
    let mut config = SessionConfig::new().with_information_schema(true).with_target_partitions(PARTITIONS);
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory))).build_arc()?;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

/// The tables that people would want first.
async fn register(context: &SessionContext, views: Views) -> Result<(), Error> {
    let Views { records, frames, events } = views;
    let tables: [(&'static Shape, Option<View>); 3] = [(&RECORDS, records), (&FRAMES, frames), (&EVENTS, events)];
    for (shape, view) in tables {
        let table = match view {
            Some(view) => whole(context, view)?,
            None => context.read_batch(RecordBatch::new_empty(Arc::new(Schema::new((shape.fixed)()))))?,
        };
        context.register_table(shape.name, table.into_view())?;
    }
    for (name, sql) in VIEWS {
        let view = context.sql(sql).await?.into_view();
        context.register_table(*name, view)?;
    }
    Ok(())
}

/// Files and rows besides them, as one table with the columns of both.
fn whole(context: &SessionContext, view: View) -> Result<DataFrame, Error> {
    let mut schema = view.schema.clone();
    for batch in &view.hot {
        schema = columns::merged(&schema, &batch.schema());
    }
    let files = of_files(context, view.files, &view.schema, &schema)?;
    if view.hot.is_empty() {
        return Ok(files);
    }
    let hot = view.hot.iter().map(|batch| columns::fitted(batch, &schema)).collect::<Result<Vec<_>, _>>()?;
    let hot = context.read_table(Arc::new(MemTable::try_new(schema, vec![hot])?))?;
    Ok(files.union(hot)?)
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

/// In the order of their dependence.
const VIEWS: &[(&str, &str)] = &[
    (
        "last",
        "SELECT records.* FROM records JOIN (SELECT device AS of, max(time) AS greatest FROM records GROUP BY device) \
         ON device = of AND time = greatest",
    ),
    (
        "devices",
        "SELECT device, count(*) AS records, min(time) AS first, max(time) AS last, max(received) AS received \
         FROM records GROUP BY device",
    ),
];

/// Long enough for a month of a fleet; a person does not wait longer.
const QUERY_TIME: Duration = Duration::from_secs(60);
/// More than anyone reads on a screen; whole tables go by export.
const QUERY_ROWS: usize = 1_000_000;
/// Queries share the machine with ingest.
pub(crate) const QUERY_BYTES: usize = 512 << 20;
/// One for each core of a small machine.
const PARTITIONS: usize = 2;
