//! A table's files as a source of queries, and rows besides them as part of the same table.
//!
//! The reading is DataFusion's own. What is ours is the choice: a file is opened only if device, time and day of its
//! rows, as the table's log has them, can be what is asked for. The library's source for Delta tables would choose the
//! same files; it takes longer to choose, and to plan hundreds of columns, than one device's day takes to be read.

mod between;

use crate::checksum::{self, Kept};
use crate::files::day_name;
use crate::{Error, columns};
use async_trait::async_trait;
use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Date32Array, RecordBatch, RecordBatchOptions,
    TimestampMicrosecondArray, UInt64Array, new_null_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, DFSchema, Result, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use deltalake::kernel::{Add, EagerSnapshot};
use deltalake::logstore::{LogStore, LogStoreRef};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, path::Path};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// The files of one version of a table.
#[derive(Debug)]
pub(crate) struct Files {
    url: ObjectStoreUrl,
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    files: Vec<File>,
    known: Known,
    cache: Arc<Footers>,
}

/// What was read of files' ends, so that it is read once for many queries.
pub(crate) type Footers = FileMetadataCache;

/// So many bytes of them, for all tables together: those of a month of a large fleet.
pub(crate) fn footers() -> Arc<Footers> {
    Arc::new(DefaultCache::new(FOOTERS_BYTES_MAX).with_name("footers"))
}

#[derive(Debug, Clone)]
struct File {
    meta: ObjectMeta,
    day: ScalarValue,
    rows: Option<usize>,
}

/// What the table's log says of the files, one entry each.
#[derive(Debug)]
struct Known {
    device: [ArrayRef; 2],
    /// The name of the second column.
    named: &'static str,
    time: [ArrayRef; 2],
    day: ArrayRef,
}

impl Files {
    /// The files that a snapshot of the table `name` has; all, or those with one of these paths. `schema` has all columns that they can have,
    /// `time` is the one of which the table's log knows the range, besides the device.
    pub(crate) fn new(
        name: &str,
        log: &LogStoreRef,
        snapshot: &EagerSnapshot,
        schema: &SchemaRef,
        time: &'static str,
        only: Option<&[String]>,
        cache: &Arc<Footers>,
    ) -> std::result::Result<Self, Error> {
        let root = root(log)?;
        let only: Option<HashSet<&str>> = only.map(|paths| paths.iter().map(String::as_str).collect());
        let data = snapshot.log_data();
        let (mut files, mut days, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        for view in data.iter() {
            let wanted = only.as_ref().is_none_or(|only| only.contains(view.path().as_ref()));
            taken.push(wanted);
            if !wanted {
                continue;
            }
            if view.deletion_vector_descriptor().is_some() {
                return Err(Error::DeletedInPlace { table: name.to_owned(), file: view.path().into_owned() });
            }
            let (day, size) = (view.partition_values_map().remove(columns::DAY).flatten(), view.size());
            let mut file = File::new(&root, &view.object_store_path(), size, view.modification_time(), day)?;
            file.rows = view.num_records();
            days.push(file.day_number());
            files.push(file);
        }
        let known = Known::new(&data, time, &taken, days)?;
        Self::of(log, schema, files, known, cache)
    }

    /// Files that were added at some time. `None` where there are none.
    pub(crate) fn added(
        log: &LogStoreRef,
        schema: &SchemaRef,
        time: &'static str,
        adds: &[Add],
        cache: &Arc<Footers>,
    ) -> std::result::Result<Option<Self>, Error> {
        if adds.is_empty() {
            return Ok(None);
        }
        let root = root(log)?;
        let file = |add: &Add| {
            let day = add.partition_values.get(columns::DAY).cloned().flatten();
            File::new(&root, &Path::from(add.path.as_str()), add.size, add.modification_time, day)
        };
        let files: Vec<File> = adds.iter().map(file).collect::<Result<_>>()?;
        let known = Known::nothing(time, files.iter().map(File::day_number).collect());
        Self::of(log, schema, files, known, cache).map(Some)
    }

    fn of(
        log: &LogStoreRef,
        schema: &SchemaRef,
        files: Vec<File>,
        known: Known,
        cache: &Arc<Footers>,
    ) -> std::result::Result<Self, Error> {
        let url = ObjectStoreUrl::parse(format!("{}://{}", log.root_url().scheme(), authority(&**log)))?;
        let (store, schema, cache) = (log.root_object_store(None), schema.clone(), cache.clone());
        Ok(Self { url, store, schema, files, known, cache })
    }

    /// Each alone, with where it is.
    pub(crate) fn each(&self) -> impl Iterator<Item = (String, Self)> + '_ {
        self.files.iter().enumerate().map(|(index, file)| {
            let Self { url, store, schema, known, cache, .. } = self;
            let (url, store, schema) = (url.clone(), store.clone(), schema.clone());
            let alone =
                Self { url, store, schema, files: vec![file.clone()], known: known.one(index), cache: cache.clone() };
            (file.meta.location.to_string(), alone)
        })
    }

    /// Looks at each as a whole, one after the other, and says how it is.
    pub(crate) async fn check(&self, mut each: impl FnMut(&ObjectMeta, std::result::Result<Kept, Error>)) {
        for file in &self.files {
            each(&file.meta, checksum::check(&*self.store, &file.meta).await);
        }
    }

    /// Whether one of them is not there any more.
    pub(crate) async fn is_one_gone(&self) -> std::result::Result<bool, Error> {
        for file in &self.files {
            match self.store.head(&file.meta.location).await {
                Err(object_store::Error::NotFound { .. }) => return Ok(true),
                found => drop(found?),
            }
        }
        Ok(false)
    }

    /// The only file there is, with its day, as it was written.
    pub(crate) async fn read(&self) -> std::result::Result<(i32, bytes::Bytes), Error> {
        let [file] = &self.files[..] else { return Err(Error::Changed) };
        let day = file.day_number().ok_or_else(|| Error::Refused("a file has no day".to_owned()))?;
        Ok((day, checksum::read(&*self.store, &file.meta).await?))
    }

    /// Looks whether all that may match `filters` are as they were written.
    pub(crate) async fn are_as_written(
        &self,
        session: &dyn Session,
        filters: &[Expr],
    ) -> std::result::Result<(), Error> {
        for file in self.choose(session, &self.schema, filters)? {
            checksum::check(&*self.store, &file.meta).await?;
        }
        Ok(())
    }

    /// How many bytes they have.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.meta.size).sum()
    }

    /// The days of which there are any.
    pub(crate) fn days(&self) -> BTreeSet<i32> {
        self.files.iter().filter_map(File::day_number).collect()
    }

    /// How many there are, by day.
    pub(crate) fn by_day(&self) -> BTreeMap<String, usize> {
        let mut days = BTreeMap::new();
        for day in self.files.iter().filter_map(File::day_number) {
            *days.entry(day_name(day)).or_default() += 1;
        }
        days
    }

    /// Reads what may match `filters`: columns of `schema`, which may have more than the files have.
    fn plan(
        &self,
        session: &dyn Session,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let chosen = self.choose(session, schema, filters)?;
        if chosen.is_empty() {
            return Ok(None);
        }
        session.runtime_env().register_object_store(self.url.as_ref(), self.store.clone());
        // In a scan, the partition's column stands behind those that are in the files.
        let day = schema.index_of(columns::DAY)?;
        let in_files: Vec<_> = (0..schema.fields().len()).filter(|column| *column != day).collect();
        let place = |column: usize| match column.cmp(&day) {
            std::cmp::Ordering::Less => column,
            std::cmp::Ordering::Equal => in_files.len(),
            std::cmp::Ordering::Greater => column - 1,
        };
        let all = || (0..schema.fields().len()).map(place).collect();
        let projection = projection.map_or_else(all, |columns| columns.iter().copied().map(place).collect());
        let partition = vec![schema.fields()[day].clone()];
        let table =
            TableSchema::builder(Arc::new(schema.project(&in_files)?)).with_table_partition_cols(partition).build();
        let mut statistics = Statistics::new_unknown(table.table_schema());
        let rows: Option<usize> = chosen.iter().map(|file| file.rows).sum();
        statistics.num_rows = rows.map_or(Precision::Absent, Precision::Exact);
        let between = between::between(filters, &self.known.device);
        let has = DFSchema::try_from(table.table_schema().clone())?;
        let between = between.map(|filter| session.create_physical_expr(filter, &has)).transpose()?;
        let mut source = ParquetSource::new(table)
            .with_table_parquet_options(session.table_options().parquet.clone())
            .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(
                self.store.clone(),
                self.cache.clone(),
            )));
        if let Some(between) = between {
            // What the query itself asks for comes besides.
            source = source.with_predicate(between);
        }
        let scan = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(groups(&chosen, session.config().target_partitions()))
            .with_projection_indices(Some(projection))?
            .with_statistics(statistics)
            .with_limit(limit)
            .build();
        Ok(Some(DataSourceExec::from_data_source(scan)))
    }

    /// The files that may have rows that match.
    fn choose(&self, session: &dyn Session, schema: &SchemaRef, filters: &[Expr]) -> Result<Vec<&File>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(self.files.iter().collect()) };
        let filter = session.create_physical_expr(filter, &DFSchema::try_from(schema.clone())?)?;
        let keep =
            PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(filter)?.prune(&self.known)?;
        Ok(self.files.iter().zip(keep).filter_map(|(file, keep)| keep.then_some(file)).collect())
    }
}

impl File {
    fn new(root: &Path, path: &Path, size: i64, modified_ms: i64, day: Option<String>) -> Result<Self> {
        let location = path.parts().fold(root.clone(), Path::join);
        let last_modified = chrono::DateTime::from_timestamp_millis(modified_ms).unwrap_or_default();
        let size = u64::try_from(size).unwrap_or_default();
        let meta = ObjectMeta { location, last_modified, size, e_tag: None, version: None };
        let day = ScalarValue::Utf8(day).cast_to(&DataType::Date32)?;
        Ok(Self { meta, day, rows: None })
    }

    fn day_number(&self) -> Option<i32> {
        if let ScalarValue::Date32(day) = &self.day { *day } else { None }
    }
}

/// Where the table is in its store.
fn root(log: &LogStoreRef) -> std::result::Result<Path, Error> {
    Ok(Path::from_url_path(log.root_url().path()).map_err(object_store::Error::from)?)
}

/// So that each group has about as many bytes: as many are read at a time as there are groups.
fn groups(files: &[&File], count: usize) -> Vec<FileGroup> {
    let mut groups: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, Vec::new()); count.clamp(1, files.len().max(1))];
    for file in files {
        let Some(least) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) else { break };
        least.0 += file.meta.size;
        let part = PartitionedFile::from(file.meta.clone()).with_partition_values(vec![file.day.clone()]);
        least.1.push(part.with_metadata_size_hint(FOOTER_BYTES));
    }
    groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect()
}

/// Who is asked for the files: where a location names a container before the host, that is part of it.
fn authority(log: &dyn LogStore) -> String {
    use url::Position;
    log.root_url()[Position::BeforeUsername..Position::AfterPort].to_owned()
}

impl Known {
    fn new(data: &impl PruningStatistics, named: &'static str, taken: &[bool], days: Vec<Option<i32>>) -> Result<Self> {
        let taken = BooleanArray::from(taken.to_vec());
        let column = |name: &str, of: &dyn Fn(&Column) -> Option<ArrayRef>, data_type: &DataType| {
            let values = of(&Column::from_name(name));
            let values = values.unwrap_or_else(|| new_null_array(data_type, taken.len()));
            Ok::<_, datafusion::error::DataFusionError>(datafusion::arrow::compute::filter(
                &cast(&values, data_type)?,
                &taken,
            )?)
        };
        let (least, greatest) = (|name: &Column| data.min_values(name), |name: &Column| data.max_values(name));
        let moment = columns::moment();
        let last = column(named, &greatest, &moment)?;
        // Whoever else wrote it may have cut it to milliseconds.
        let last = last.as_primitive::<TimestampMicrosecondType>();
        let last: TimestampMicrosecondArray = last.unary(|time| time.saturating_add(999));
        Ok(Self {
            device: [
                column(columns::DEVICE, &least, &DataType::Utf8)?,
                column(columns::DEVICE, &greatest, &DataType::Utf8)?,
            ],
            named,
            time: [column(named, &least, &moment)?, Arc::new(last.with_data_type(moment.clone()))],
            day: Arc::new(Date32Array::from(days)),
        })
    }

    fn nothing(named: &'static str, days: Vec<Option<i32>>) -> Self {
        let none = |data_type: &DataType| [(); 2].map(|()| new_null_array(data_type, days.len()));
        let (device, time) = (none(&DataType::Utf8), none(&columns::moment()));
        Self { device, named, time, day: Arc::new(Date32Array::from(days)) }
    }

    /// Of one file.
    fn one(&self, index: usize) -> Self {
        let cut = |values: &ArrayRef| values.slice(index, 1);
        let (device, time) = (self.device.each_ref().map(cut), self.time.each_ref().map(cut));
        Self { device, named: self.named, time, day: cut(&self.day) }
    }

    fn range(&self, column: &Column) -> Option<[ArrayRef; 2]> {
        match column.name.as_str() {
            columns::DEVICE => Some(self.device.clone()),
            columns::DAY => Some([self.day.clone(), self.day.clone()]),
            name if name == self.named => Some(self.time.clone()),
            _ => None,
        }
    }
}

impl PruningStatistics for Known {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.range(column).map(|[least, _]| least)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.range(column).map(|[_, greatest]| greatest)
    }

    fn num_containers(&self) -> usize {
        self.day.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        // These columns have a value in every row.
        self.range(column).map(|_| Arc::new(UInt64Array::from(vec![0; self.num_containers()])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

#[async_trait]
impl TableProvider for Files {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.plan(session, &self.schema, projection, filters, limit)?;
        plan.map_or_else(|| nothing(&self.schema, projection), Ok)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// Files, and rows besides them, as one table with the columns of both.
#[derive(Debug)]
pub(crate) struct Whole {
    files: Arc<Files>,
    hot: Vec<RecordBatch>,
    schema: SchemaRef,
}

impl Whole {
    pub(crate) fn new(files: Arc<Files>, hot: Vec<RecordBatch>) -> Self {
        let mut schema = files.schema.clone();
        for batch in &hot {
            schema = columns::merged(&schema, &batch.schema());
        }
        Self { files, hot, schema }
    }

    /// The same with further columns, which have no values.
    pub(crate) fn with(self, more: &Schema) -> Self {
        Self { schema: columns::merged(&self.schema, more), ..self }
    }
}

#[async_trait]
impl TableProvider for Whole {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files.plan(session, &self.schema, projection, filters, limit)?;
        if self.hot.is_empty() {
            return files.map_or_else(|| nothing(&self.schema, projection), Ok);
        }
        let hot = in_memory(&self.hot, &self.schema, projection)?;
        match files {
            Some(files) => UnionExec::try_new(vec![files, hot]),
            None => Ok(hot),
        }
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// Rows in memory as a source; only the columns that are asked for are made to fit.
fn in_memory(
    batches: &[RecordBatch],
    schema: &SchemaRef,
    projection: Option<&Vec<usize>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = projected(schema, projection)?;
    let batches: Vec<_> = batches.iter().map(|batch| fitted(batch, &schema)).collect::<std::result::Result<_, _>>()?;
    Ok(MemorySourceConfig::try_new_exec(&[batches], schema, None)?)
}

/// Rows with exactly these columns, which may be none at all.
pub(crate) fn fitted(rows: &RecordBatch, schema: &SchemaRef) -> std::result::Result<RecordBatch, ArrowError> {
    if schema.fields().is_empty() {
        let count = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        return RecordBatch::try_new_with_options(schema.clone(), Vec::new(), &count);
    }
    columns::fitted(rows, schema)
}

fn nothing(schema: &SchemaRef, projection: Option<&Vec<usize>>) -> Result<Arc<dyn ExecutionPlan>> {
    Ok(Arc::new(EmptyExec::new(projected(schema, projection)?)))
}

/// The columns that are asked for.
pub(crate) fn projected(schema: &SchemaRef, projection: Option<&Vec<usize>>) -> Result<SchemaRef> {
    Ok(match projection {
        Some(columns) => Arc::new(Schema::project(schema, columns)?),
        None => schema.clone(),
    })
}

/// The end of a file that is read first, to spare a second reading: it describes columns, groups and pages.
const FOOTER_BYTES: usize = 64 << 10;
/// Some 100 kB for each million rows.
const FOOTERS_BYTES_MAX: usize = 128 << 20;
