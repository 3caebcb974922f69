//! Rows in order, for exports: files and what waits as one, in memory that does not grow with the number of rows.
//!
//! A month of a fleet fits into no memory. So it is cut into parts: some days each, or some devices where the order asks
//! for devices first. One part is read and sorted at a time, and what of it does not fit the memory either goes through
//! temporary files.

mod besides;
mod parts;
mod stored;
mod thin;

pub use besides::Besides;
pub(crate) use stored::not_ours;
pub use stored::{Stored, stored};
pub use thin::Thin;

use crate::lake::Lake;
use crate::rows::day_of;
use crate::tenant::{Version, View};
use crate::{Error, columns, query};
use compact_str::CompactString;
use datafusion::arrow::array::{AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::{DataFrame, Expr, SessionContext, lit};
use futures::StreamExt as _;
use hashbrown::HashSet;
use odograph_model::{Key, RecordId, Time};
use parts::Part;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Which rows, and what of them.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of these devices; none: of all.
    pub devices: Vec<CompactString>,
    /// Not before this moment.
    pub from: Option<Time>,
    /// Before this moment.
    pub to: Option<Time>,
    /// These parameters; `None`: all that there are.
    pub parameters: Option<Parameters>,
    /// Whether rows without any of these parameters are wanted too.
    pub without_them: bool,
    /// In which order.
    pub order: Order,
    /// Whether each file is looked at as a whole before any row comes, so that what is damaged is an error and no wrong value:
    /// for whoever reads most of it anyway.
    pub whole_files: bool,
    /// So many rows are sorted at a time; 0: as many as are good for a small machine.
    pub part_rows: usize,
}

/// Parameters by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Those of the dictionary, in the order of their columns.
    pub keys: Vec<Key>,
    /// Whether what the dictionary does not name is among them.
    pub raw: bool,
}

/// In which order rows come. Tenants come one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By day, within a day by device, and then by time.
    #[default]
    Day,
    /// By device, and then by time.
    Device,
}

/// How far a scan has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Days, or devices where these come first, of which all rows were given.
    pub done: usize,
    /// Of so many.
    pub of: usize,
}

/// Whether the rows of a tenant's device are wanted.
type Shown = Box<dyn Fn(&str, &str) -> bool + Send>;

/// Rows, as they come.
pub struct Scan {
    lake: Lake,
    wanted: Wanted,
    schema: SchemaRef,
    names: Vec<CompactString>,
    tenants: Vec<DataFrame>,
    parts: VecDeque<Part>,
    now: Option<(Part, SendableRecordBatchStream)>,
    reached: Reached,
    /// Ids of rows that come from elsewhere.
    besides: HashSet<RecordId>,
    shown: Shown,
    /// The files that it reads, so that none is deleted.
    _held: Vec<Arc<Version>>,
}

impl Lake {
    /// Reads what there is at this moment: of a tenant or of all, together with rows that are not in the lake. Devices
    /// that are not `shown`, by tenant and id, are left out.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn scan(
        &self,
        tenant: Option<&str>,
        wanted: Wanted,
        besides: Besides,
        shown: impl Fn(&str, &str) -> bool + Send + 'static,
    ) -> Result<Scan, Error> {
        let (more, ids) = besides.into_batches()?;
        let mut names: BTreeSet<CompactString> = self.tenants().into_iter().collect();
        names.extend(more.keys().cloned());
        names.retain(|name| tenant.is_none_or(|tenant| tenant == name));
        let (mut views, names) = (Vec::new(), names.into_iter().collect::<Vec<_>>());
        for name in &names {
            views.push((self.views(name)?.records, more.get(name).cloned().unwrap_or_default()));
        }
        let shown: Shown = Box::new(shown);
        let held = views.iter().filter_map(|(view, _)| Some(view.as_ref()?.held.clone())).collect();
        self.wait(async {
            let context = query::session(SCAN_BYTES)?;
            let (mut there, mut tenants) = (There::default(), Vec::new());
            for (view, more) in views {
                if let Some(view) = view.as_ref().filter(|_| wanted.whole_files) {
                    view.files.are_as_written(&context.state(), &days(&wanted)).await?;
                }
                let (frame, has) = frame(&context, view, &more, !ids.is_empty())?;
                there.add(&has);
                tenants.push(chosen(named(frame, &has)?, &wanted)?);
            }
            let schema = Arc::new(in_order(&there, wanted.parameters.as_ref()));
            let rows_max = if wanted.part_rows == 0 { PART_ROWS } else { wanted.part_rows };
            let (mut parts, mut of) = (VecDeque::new(), 0);
            for (index, frame) in tenants.iter().enumerate() {
                let cut = parts::cut(frame.clone(), index, wanted.order, rows_max).await?;
                of += cut.iter().map(|part| part.units).sum::<usize>();
                parts.extend(cut);
            }
            let reached = Reached { done: 0, of };
            let lake = self.clone();
            let besides = ids;
            Ok(Scan { lake, wanted, schema, names, tenants, parts, now: None, reached, besides, shown, _held: held })
        })
    }
}

impl Scan {
    /// The columns that all rows have: the fixed ones, parameters in the order of the dictionary or in which they were
    /// named, and last what the dictionary does not name.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How far it has come.
    pub const fn reached(&self) -> Reached {
        self.reached
    }

    /// The next rows; `None` at the end. Not to be called on a thread that runs asynchronous tasks.
    ///
    /// # Errors
    ///
    /// When it cannot be read. What was given so far is not all then.
    pub fn next_rows(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            let Some((part, stream)) = &mut self.now else {
                let Some(part) = self.parts.pop_front() else { return Ok(None) };
                let frame = self.tenants[part.tenant].clone();
                let stream = self.lake.clone().wait(self.begin(&part, frame))?;
                self.now = Some((part, stream));
                continue;
            };
            let (units, tenant) = (part.units, part.tenant);
            let Some(rows) = self.lake.wait(stream.next()).transpose()? else {
                self.reached.done += units;
                self.now = None;
                continue;
            };
            let rows = self.fitted(tenant, &rows)?;
            if rows.num_rows() > 0 {
                return Ok(Some(rows));
            }
        }
    }

    async fn begin(&self, part: &Part, frame: DataFrame) -> Result<SendableRecordBatchStream, Error> {
        let has = frame.schema().clone();
        let mut columns = Vec::new();
        for field in self.schema.fields() {
            if has.has_column_with_unqualified_name(field.name()) {
                columns.push(column(field.name()));
            }
        }
        if !self.besides.is_empty() {
            columns.push(column(BESIDES));
        }
        let by: &[&str] = match self.wanted.order {
            Order::Day => &[columns::DAY, columns::DEVICE, columns::TIME, columns::RECEIVED, columns::ID],
            Order::Device => &[columns::DEVICE, columns::TIME, columns::RECEIVED, columns::ID],
        };
        let by = by.iter().map(|name| column(name).sort(true, false)).collect();
        Ok(frame.filter(part.filter())?.select(columns)?.sort(by)?.execute_stream().await?)
    }

    /// Exactly the columns that were promised, and the rows that shall be seen.
    fn fitted(&self, tenant: usize, rows: &RecordBatch) -> Result<RecordBatch, Error> {
        let tenant = self.names.get(tenant).map_or("", CompactString::as_str);
        let devices = text(rows, columns::DEVICE)?;
        let devices = devices.as_string::<i32>();
        let ids = rows.column_by_name(columns::ID).map(AsArray::as_primitive::<Int64Type>);
        let elsewhere = rows.column_by_name(BESIDES).map(AsArray::as_boolean);
        let (mut last, mut all, mut seen) = (None, true, Vec::with_capacity(rows.num_rows()));
        for row in 0..rows.num_rows() {
            let device = devices.value(row);
            // Rows of a device come one after the other.
            let shown = match last {
                Some((same, shown)) if same == device => shown,
                _ => (self.shown)(tenant, device),
            };
            last = Some((device, shown));
            let twice = elsewhere.zip(ids).is_some_and(|(elsewhere, ids)| {
                !elsewhere.value(row) && self.besides.contains(&RecordId(ids.value(row).cast_unsigned()))
            });
            seen.push(shown && !twice);
            all &= shown && !twice;
        }
        let rows = columns::fitted(rows, &self.schema)?;
        Ok(if all { rows } else { filter_record_batch(&rows, &BooleanArray::from(seen))? })
    }
}

/// All rows of a tenant, and others, with the columns that they have.
fn frame(
    context: &SessionContext,
    view: Option<View>,
    more: &[RecordBatch],
    marked: bool,
) -> Result<(DataFrame, SchemaRef), Error> {
    let view_schema = view.as_ref().map(|view| {
        view.hot.iter().fold(view.schema.clone(), |schema, batch| columns::merged(&schema, &batch.schema()))
    });
    let has = view_schema.unwrap_or_else(|| Arc::new(Schema::new(columns::fixed())));
    let frame = match view {
        Some(view) => query::whole(context, view)?,
        None => context.read_batch(RecordBatch::new_empty(has.clone()))?,
    };
    if !marked {
        return Ok((frame, has));
    }
    let frame = frame.with_column(BESIDES, lit(false))?;
    if more.is_empty() {
        return Ok((frame, has));
    }
    let more = more.iter().map(|batch| columns::renamed(batch.clone(), &has)).collect::<Result<Vec<_>, _>>()?;
    let all = more.iter().fold(has, |schema, batch| columns::merged(&schema, &batch.schema()));
    let more = more.iter().map(|batch| columns::fitted(batch, &all)).collect::<Result<Vec<_>, _>>()?;
    let more = context.read_table(Arc::new(MemTable::try_new(all.clone(), vec![more])?))?;
    Ok((frame.union_by_name(more.with_column(BESIDES, lit(true))?)?, all))
}

/// The parameters of which there are columns.
#[derive(Default)]
struct There {
    keys: BTreeSet<Key>,
    raw: bool,
}

impl There {
    fn add(&mut self, schema: &Schema) {
        self.keys.extend(schema.fields().iter().filter_map(|field| columns::key(field)));
        self.raw |= schema.field_with_name(columns::RAW).is_ok();
    }
}

/// The rows with each parameter under its own name, whatever its column is called, and without what somebody else calls
/// like that.
fn named(frame: DataFrame, has: &Schema) -> Result<DataFrame, Error> {
    let mut there = There::default();
    there.add(has);
    let own: BTreeMap<String, Key> = there.keys.into_iter().map(|key| (columns::of(key).name().clone(), key)).collect();
    let is_so = |(name, key): (&String, &Key)| columns::find(has, *key) == Some(name.as_str());
    if own.iter().all(is_so) {
        return Ok(frame);
    }
    let others: Vec<String> = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
    let found: Vec<(&str, &String)> =
        own.iter().filter_map(|(name, key)| Some((columns::find(has, *key)?, name))).collect();
    let is_other = |name: &&String| !own.contains_key(*name) && !found.iter().any(|(found, _)| *found == name.as_str());
    let select = others.iter().filter(is_other).map(|name| column(name));
    let select: Vec<Expr> = select.chain(found.iter().map(|(found, name)| column(found).alias(*name))).collect();
    Ok(frame.select(select)?)
}

/// What is true of the days of wanted rows.
fn days(wanted: &Wanted) -> Vec<Expr> {
    let day = |time: Time| lit(ScalarValue::Date32(Some(day_of(time))));
    let from = wanted.from.map(|from| column(columns::DAY).gt_eq(day(from)));
    from.into_iter().chain(wanted.to.map(|to| column(columns::DAY).lt_eq(day(to)))).collect()
}

/// The rows that are wanted.
fn chosen(mut frame: DataFrame, wanted: &Wanted) -> Result<DataFrame, Error> {
    let moment =
        |time: Time| lit(ScalarValue::TimestampMicrosecond(Some(time.0.saturating_mul(1000)), Some("UTC".into())));
    if !wanted.devices.is_empty() {
        let devices = wanted.devices.iter().map(|device| lit(device.as_str())).collect();
        frame = frame.filter(column(columns::DEVICE).in_list(devices, false))?;
    }
    // Days besides times: they decide which files are read at all.
    frame = days(wanted).into_iter().try_fold(frame, DataFrame::filter)?;
    if let Some(from) = wanted.from {
        frame = frame.filter(column(columns::TIME).gt_eq(moment(from)))?;
    }
    if let Some(to) = wanted.to {
        frame = frame.filter(column(columns::TIME).lt(moment(to)))?;
    }
    let Some(parameters) = wanted.parameters.as_ref().filter(|_| !wanted.without_them) else { return Ok(frame) };
    let names = parameters.keys.iter().map(|key| columns::of(*key).name().clone());
    let names = names.chain(parameters.raw.then(|| columns::RAW.to_owned()));
    let there = names.filter(|name| frame.schema().has_column_with_unqualified_name(name));
    let any = there.map(|name| column(&name).is_not_null()).reduce(Expr::or);
    Ok(frame.filter(any.unwrap_or_else(|| lit(false)))?)
}

/// The columns of an export of nothing.
pub fn export_columns(parameters: Option<&Parameters>) -> SchemaRef {
    Arc::new(in_order(&There::default(), parameters))
}

/// The columns of an export: the same for the same records, whichever came first.
fn in_order(there: &There, parameters: Option<&Parameters>) -> Schema {
    let mut fields = columns::fixed();
    match parameters {
        Some(parameters) => {
            fields.extend(parameters.keys.iter().map(|key| columns::of(*key)));
            fields.extend(parameters.raw.then(columns::raw));
        }
        None => {
            fields.extend(there.keys.iter().map(|key| columns::of(*key)));
            fields.extend(there.raw.then(columns::raw));
        }
    }
    Schema::new(fields)
}

fn text(rows: &RecordBatch, name: &str) -> Result<datafusion::arrow::array::ArrayRef, Error> {
    let column = rows.column_by_name(name).expect("every row has the fixed columns");
    Ok(datafusion::arrow::compute::cast(column, &DataType::Utf8)?)
}

/// By its exact name: a parameter's name is not SQL.
fn column(name: &str) -> Expr {
    Expr::from(Column::from_name(name))
}

/// Says of a row that it comes from elsewhere. No parameter has this name.
const BESIDES: &str = "besides";
/// So many are sorted at a time: a few hundred bytes each.
const PART_ROWS: usize = 1 << 18;
/// What sorting may take of memory; the rest goes through temporary files.
const SCAN_BYTES: usize = 256 << 20;
