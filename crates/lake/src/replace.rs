//! A period of history decoded again: what is read for that, at one moment of a tenant's tables.
//!
//! Two files beside this one do the rest: `compare` tells what would be otherwise, `apply` makes it so in one commit.

mod apply;
mod compare;

pub use apply::{REPLACED_ROWS_MAX, Replaced, Replacement};
pub use compare::{DeviceDifference, Difference, Gathered, KeyDifference, Recorded};

use crate::frames::{DECISION, KIND, NODE, PLACE, STREAM};
use crate::lake::{Lake, Writer};
use crate::rows::{day_of, written};
use crate::sealed::{self, StoredFrame};
use crate::tenant::View;
use crate::{Error, columns, query};
use compact_str::CompactString;
use datafusion::arrow::array::{AsArray as _, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Int64Type, Schema, SchemaRef};
use datafusion::common::{Column, ScalarValue};
use datafusion::prelude::{DataFrame, Expr, SessionContext, col, lit};
use futures::StreamExt as _;
use hashbrown::{HashMap, HashSet};
use odograph_model::{Key, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A tenant's history at one moment, by its files.
pub struct Past {
    lake: Lake,
    records: Option<View>,
    frames: Option<View>,
    /// The frames of every tenant: a conversation may begin as nobody's.
    everyones: Vec<View>,
    /// Records of days before it are not kept.
    first_day: Option<i32>,
}

/// What is decoded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// What was received not before it.
    pub from: Time,
    /// What was received before it.
    pub to: Time,
    /// So long before the period a segment of the journal may have begun, in milliseconds: the states of conversations are
    /// there.
    pub lead_ms: i64,
    /// So long before its receipt the event time of a record may be, in milliseconds.
    pub behind_ms: i64,
    /// So long after its receipt the event time of a record may be, in milliseconds.
    pub ahead_ms: i64,
}

/// How much there is of a device in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Whose it is.
    pub device: CompactString,
    /// Frames that it sent.
    pub frames: u64,
    /// Records that history has.
    pub records: u64,
}

impl Writer {
    /// A tenant's history as its files have it. What waits in memory is not part of it: flush first.
    pub fn past(&self, tenant: &str) -> Past {
        let (records, frames) = self.lake.in_files(tenant);
        let everyones = self.lake.frames_in_files();
        let today = day_of(Time(self.clock.now()));
        let first_day = self.options.keep_of(tenant).records;
        let first_day = first_day.map(|keep| today.saturating_sub(i32::try_from(keep).unwrap_or(i32::MAX)));
        Past { lake: self.lake.clone(), records, frames, everyones, first_day }
    }
}

impl Period {
    /// Whether a moment is in it.
    pub fn holds(&self, received: Time) -> bool {
        self.from <= received && received < self.to
    }

    fn received(&self) -> Expr {
        between(self.from, self.to)
    }

    /// The rows that are read of frames: those of the period, and those of before that say how conversations stood.
    fn read(&self) -> Expr {
        // A clock that was set back may have put the end of the period behind later entries.
        let (from, to) = (self.from.plus_ms(-self.lead_ms), self.to.plus_ms(SET_BACK_MS));
        days(from, to).and(between(from, to))
    }

    /// The days on which records may be that were received in the period.
    fn days(&self) -> Expr {
        days(self.from.plus_ms(-self.behind_ms), self.to.plus_ms(self.ahead_ms))
    }
}

impl Past {
    /// The devices of which there is something in a period, and how much; all, or those that are named.
    ///
    /// # Errors
    ///
    /// When files cannot be read.
    pub fn loads(&self, period: &Period, devices: &[CompactString]) -> Result<Vec<Load>, Error> {
        let mut loads: BTreeMap<CompactString, Load> = BTreeMap::new();
        let wanted = |rows: Expr| if devices.is_empty() { rows } else { rows.and(query::is_of(devices)) };
        self.lake.ask(async {
            if let Some(frames) = &self.frames {
                let of = days(period.from, period.to).and(period.received()).and(col(KIND).eq(lit("frame")));
                let of = wanted(of.and(col(columns::DEVICE).not_eq(lit(""))));
                for (device, count) in counts(frames, of).await? {
                    load(&mut loads, device).frames = count;
                }
            }
            if let Some(records) = &self.records {
                for (device, count) in counts(records, wanted(period.days().and(period.received()))).await? {
                    load(&mut loads, device).records = count;
                }
            }
            Ok::<_, Error>(())
        })?;
        Ok(loads.into_values().collect())
    }

    /// For each device that shared a conversation with others: those others. What one of them said may bear upon what the
    /// next one's bytes mean.
    ///
    /// # Errors
    ///
    /// When files cannot be read.
    pub fn companions(&self, period: &Period) -> Result<HashMap<CompactString, HashSet<CompactString>>, Error> {
        let mut companions: HashMap<CompactString, HashSet<CompactString>> = HashMap::new();
        let rows = self.lake.ask(async {
            let context = query::session(query::QUERY_BYTES)?;
            let of = period.read().and(col(columns::DEVICE).not_eq(lit("")));
            let Some(rows) = self.everyones(&context, &of, &[columns::DEVICE, NODE, STREAM])? else {
                return Ok(Vec::new());
            };
            context.register_table("rows", rows.into_view())?;
            Ok::<_, Error>(context.sql(SHARED).await?.collect().await?)
        })?;
        let mut together: HashMap<(i64, i64), Vec<CompactString>> = HashMap::new();
        for batch in rows {
            let number = |column: usize| batch.column(column).as_primitive::<Int64Type>();
            for (row, device) in batch.column(0).as_string::<i32>().iter().flatten().enumerate() {
                together.entry((number(1).value(row), number(2).value(row))).or_default().push(device.into());
            }
        }
        for devices in together.into_values() {
            for device in &devices {
                companions.entry(device.clone()).or_default().extend(devices.iter().cloned());
            }
        }
        Ok(companions)
    }

    /// The devices that had a part in conversations by which what others said was passed on: those with a decision that is not less than
    /// `decided`.
    ///
    /// # Errors
    ///
    /// When files cannot be read.
    pub fn carriers(&self, period: &Period, decided: &[u8]) -> Result<Vec<CompactString>, Error> {
        let rows = self.lake.ask(async {
            let context = query::session(query::QUERY_BYTES)?;
            let columns = [columns::DEVICE, NODE, STREAM, DECISION];
            let Some(rows) = self.everyones(&context, &period.read(), &columns)? else { return Ok(Vec::new()) };
            let several = rows.clone().filter(col(DECISION).gt_eq(lit(decided.to_vec())))?;
            context.register_table("several", several.into_view())?;
            context.register_table("rows", rows.into_view())?;
            Ok::<_, Error>(context.sql(CARRIERS).await?.collect().await?)
        })?;
        let devices = |batch: &RecordBatch| -> Vec<CompactString> {
            batch.column(0).as_string::<i32>().iter().flatten().map(Into::into).collect()
        };
        Ok(rows.iter().flat_map(devices).collect())
    }

    /// Gives the entries of conversations of these devices and of what was nobody's, in the order of the journal, from
    /// before the period on.
    ///
    /// # Errors
    ///
    /// When files cannot be read, or `each` fails.
    pub fn frames<E: From<Error>>(
        &self,
        period: &Period,
        devices: &[CompactString],
        mut each: impl FnMut(i32, &StoredFrame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut named = devices.to_vec();
        named.push(CompactString::const_new(""));
        let since = self.lake.failures();
        let failed = |error: Error| E::from(self.lake.explained(since, error));
        self.lake.wait(async {
            let context = query::session(query::QUERY_BYTES).map_err(failed)?;
            let columns: Vec<&str> = sealed::COLUMNS.iter().copied().chain([NODE]).collect();
            let wanted = period.read().and(query::is_of(&named));
            let Some(rows) = self.everyones(&context, &wanted, &columns).map_err(failed)? else {
                return Ok(());
            };
            let order = [NODE, PLACE].map(|name| col(name).sort(true, true));
            let rows = rows.sort(order.to_vec()).map_err(|error| failed(error.into()))?;
            let mut rows = rows.execute_stream().await.map_err(|error| failed(error.into()))?;
            while let Some(batch) = rows.next().await {
                let batch = batch.map_err(|error| failed(error.into()))?;
                let nodes = batch.column_by_name(NODE).expect("the query asked for it");
                let nodes = nodes.as_primitive::<datafusion::arrow::datatypes::Int32Type>();
                let (mut row, mut failed) = (0, None);
                sealed::give(&batch, &mut |frame| {
                    if failed.is_none() {
                        failed = each(nodes.value(row), &frame).err();
                    }
                    row += 1;
                });
                failed.map_or(Ok(()), Err)?;
            }
            Ok(())
        })
    }

    /// The records of devices that were received in a period, with all columns of the table.
    fn records(&self, period: &Period, devices: &[CompactString]) -> Result<RecordBatch, Error> {
        let Some(records) = &self.records else {
            return Ok(RecordBatch::new_empty(Arc::new(Schema::new(columns::fixed()))));
        };
        let wanted = period.days().and(period.received()).and(query::is_of(devices));
        self.lake.ask(async {
            let context = query::session(query::QUERY_BYTES)?;
            let rows = context.read_table(records.files.clone())?.filter(wanted)?;
            let rows = query::of_files(&context, rows.into_view(), &records.schema, &records.schema)?.collect().await?;
            let rows =
                rows.iter().map(|batch| columns::fitted(batch, &records.schema)).collect::<Result<Vec<_>, _>>()?;
            Ok(concat_batches(&records.schema, &rows)?)
        })
    }

    /// The ids of records of devices that were received outside of a period, and claim a time of some days: the first and
    /// the last.
    fn ids_outside(&self, period: &Period, devices: &[CompactString], days: (i32, i32)) -> Result<HashSet<i64>, Error> {
        let Some(records) = &self.records else { return Ok(HashSet::new()) };
        let outside = Expr::Not(Box::new(period.received()));
        self.lake.ask(ids(records, devices, days, Some(outside)))
    }

    /// Rows of every tenant's frames.
    fn everyones(&self, context: &SessionContext, wanted: &Expr, columns: &[&str]) -> Result<Option<DataFrame>, Error> {
        let schema: SchemaRef = Arc::new(Schema::new((crate::frames::FRAMES.fixed)()));
        let mut all: Option<DataFrame> = None;
        for view in &self.everyones {
            let rows = query::of_files(context, view.files.clone(), &view.schema, &schema)?;
            let rows = rows.filter(wanted.clone())?.select_columns(columns)?;
            all = Some(match all {
                Some(all) => all.union(rows)?,
                None => rows,
            });
        }
        Ok(all)
    }
}

/// The ids of records of devices that claim a time of some days, wherever that put them.
async fn ids(
    records: &View,
    devices: &[CompactString],
    (first, last): (i32, i32),
    more: Option<Expr>,
) -> Result<HashSet<i64>, Error> {
    let day = |day: i32| lit(ScalarValue::Date32(Some(day)));
    let mut claims = col(columns::DAY).between(day(first), day(last));
    // A claim that could not be is under the time of its receipt.
    if let Some(claimed) = columns::find(&records.schema, Key::DeviceTime) {
        claims = claims.or(Expr::from(Column::from_name(claimed)).is_not_null());
    }
    let (context, mut found) = (query::session(query::QUERY_BYTES)?, HashSet::new());
    for devices in devices.chunks(DEVICES_AT_ONCE) {
        let wanted = query::is_of(devices).and(claims.clone());
        let wanted = more.clone().map_or(wanted.clone(), |more| wanted.and(more));
        let rows = context.read_table(records.files.clone())?.filter(wanted)?.select_columns(&[columns::ID])?;
        for batch in rows.collect().await? {
            found.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().copied());
        }
    }
    Ok(found)
}

async fn counts(view: &View, wanted: Expr) -> Result<Vec<(CompactString, u64)>, Error> {
    let context = query::session(query::QUERY_BYTES)?;
    context.register_table("rows", context.read_table(view.files.clone())?.filter(wanted)?.into_view())?;
    let mut counts = Vec::new();
    for batch in context.sql(COUNTED).await?.collect().await? {
        let devices = batch.column(0).as_string::<i32>();
        let of = batch.column(1).as_primitive::<Int64Type>();
        counts.extend(devices.iter().flatten().zip(of.values()).map(|(device, of)| (device.into(), of.unsigned_abs())));
    }
    Ok(counts)
}

fn load(loads: &mut BTreeMap<CompactString, Load>, device: CompactString) -> &mut Load {
    loads.entry(device.clone()).or_insert(Load { device, frames: 0, records: 0 })
}

fn between(from: Time, to: Time) -> Expr {
    let moment = |time: Time| lit(ScalarValue::TimestampMicrosecond(Some(written(time).0 * 1000), Some("UTC".into())));
    col(columns::RECEIVED).gt_eq(moment(from)).and(col(columns::RECEIVED).lt(moment(to)))
}

fn days(from: Time, to: Time) -> Expr {
    let day = |time: Time| lit(ScalarValue::Date32(Some(day_of(written(time)))));
    col(columns::DAY).between(day(from), day(to))
}

const COUNTED: &str = "SELECT arrow_cast(device, 'Utf8'), count(*) FROM rows GROUP BY device";
const SHARED: &str = "SELECT DISTINCT arrow_cast(rows.device, 'Utf8'), arrow_cast(rows.node, 'Int64'), rows.stream FROM rows \
     JOIN (SELECT node AS n, stream AS s FROM rows GROUP BY node, stream HAVING count(DISTINCT device) > 1) \
     ON rows.node = n AND rows.stream = s";
const CARRIERS: &str = "SELECT DISTINCT arrow_cast(rows.device, 'Utf8') FROM rows \
     JOIN (SELECT DISTINCT node AS n, stream AS s FROM several) ON rows.node = n AND rows.stream = s";
/// Clocks are set back by less, if ever.
const SET_BACK_MS: i64 = 60 * 60 * 1000;
/// A condition that names more devices takes long to plan.
const DEVICES_AT_ONCE: usize = 1000;
