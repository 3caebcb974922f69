//! What is known of each device: its latest record, up to where there are records of it, and how many.
//!
//! All of it is made of greatest times and counts, so parts of it can be made apart and merged in any order: there is one
//! part for what is in files and one for each buffer that waits to become files. Some 250 bytes a device, besides its
//! latest record: some 10 bytes a number in that.

mod checkpoint;
mod packed;
mod restore;
mod tables;

pub(crate) use checkpoint::{Checkpoint, SAVED, save, saved_version};
pub(crate) use tables::{DevicesTable, LastTable};

use crate::lake::Latest as Known;
use crate::rows::Row;
use crate::scan::{not_ours, stored};
use crate::table::Table;
use crate::{Error, columns};
use compact_str::CompactString;
use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use hashbrown::HashMap;
use odograph_model::{Key, Record, RecordId, Time, Value};
use packed::Packed;

/// All devices of which there are records.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Devices {
    /// In parts, so that nobody has to wait long for whoever goes through all.
    shards: Vec<HashMap<CompactString, Device>>,
}

impl Default for Devices {
    fn default() -> Self {
        Self { shards: vec![HashMap::new(); SHARDS] }
    }
}

/// One device.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Device {
    /// How many records there are.
    count: u64,
    /// The least event time.
    first: Option<Time>,
    /// The greatest event time, whoever's clock it is by.
    last: Option<Time>,
    /// The latest receipt.
    received: Option<Time>,
    /// The greatest event time that the device's clock gave.
    by_device: Option<Time>,
    /// The greatest event time of records for which the device gave none.
    by_receipt: Option<Time>,
    /// The greatest time that the device claimed and that could not be.
    wrong_until: Option<Time>,
    /// The latest receipt of a record without such a claim.
    sound: Option<Time>,
    /// The latest record without such a claim.
    best: Option<Latest>,
    /// The latest record with such a claim, if nothing without one was received with it or after it.
    wrong: Option<Latest>,
}

/// A record that may be a device's latest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Latest {
    order: Order,
    packed: Packed,
}

/// Which of two records is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    time: Time,
    received: Time,
    id: RecordId,
}

/// What is known of a table's rows after other commits than those that are known.
#[derive(Default)]
pub(crate) struct Renewed<S> {
    /// Of all rows.
    pub(crate) all: S,
    /// Of those that other nodes brought: up to where there are some. `None`: they cannot be told apart.
    pub(crate) others: Option<S>,
}

/// What is known of all rows of a table without reading them.
pub(crate) trait Summary: Default + Clone + Send + Sync + 'static {
    /// Whether it is saved, so that a start need not read all files.
    const IS_SAVED: bool;

    /// What is known of the rows in a table's files, at a start.
    fn open(table: &Table) -> impl Future<Output = Result<Self, Error>> + Send;
    /// What is known of them now, where this was known at the version `from`.
    fn renewed(self, table: &Table, from: u64) -> impl Future<Output = Result<Renewed<Self>, Error>> + Send;
    /// Takes in what is known of other rows.
    fn merge(&mut self, others: Self);
    /// So many rows of devices were there twice, and are once.
    fn uncount(&mut self, twice: &std::collections::HashMap<CompactString, u64>);
    /// Adds a part of it, of [`SHARDS`], to what is saved.
    fn save(&self, checkpoint: &mut Checkpoint, shard: usize);
}

impl Summary for () {
    const IS_SAVED: bool = false;

    async fn open(_: &Table) -> Result<Self, Error> {
        Ok(())
    }

    async fn renewed(self, _: &Table, _: u64) -> Result<Renewed<Self>, Error> {
        Ok(Renewed::default())
    }

    fn merge(&mut self, (): Self) {}

    fn uncount(&mut self, _: &std::collections::HashMap<CompactString, u64>) {}

    fn save(&self, _: &mut Checkpoint, _: usize) {}
}

impl Summary for Devices {
    const IS_SAVED: bool = true;

    async fn open(table: &Table) -> Result<Self, Error> {
        restore::open(table).await
    }

    async fn renewed(self, table: &Table, from: u64) -> Result<Renewed<Self>, Error> {
        let since = table.place().failures();
        let caught_up = restore::catch_up(self, table, from, table.version()).await;
        match caught_up.map_err(|error| table.place().explained(since, error)) {
            Ok(Some((all, others))) => Ok(Renewed { all, others: Some(others) }),
            Err(error) if error.may_pass() => Err(error),
            // An entry of the log that cannot be read: the commit that this is about was made, and is not to fail for it.
            Ok(None) | Err(_) => Ok(Renewed { all: restore::all(table).await?, others: None }),
        }
    }

    fn merge(&mut self, others: Self) {
        for (shard, others) in self.shards.iter_mut().zip(others.shards) {
            for (name, other) in others {
                match shard.get_mut(&name) {
                    Some(device) => device.merge(other),
                    None => drop(shard.insert(name, other)),
                }
            }
        }
    }

    fn uncount(&mut self, twice: &std::collections::HashMap<CompactString, u64>) {
        for (name, rows) in twice {
            if let Some(device) = self.shards[shard_of(name)].get_mut(name) {
                device.count = device.count.saturating_sub(*rows);
            }
        }
    }

    fn save(&self, checkpoint: &mut Checkpoint, shard: usize) {
        checkpoint.add(self, shard);
    }
}

impl Devices {
    /// Takes in a row that is nowhere else.
    pub(crate) fn push(&mut self, row: &Row<'_>) {
        let claim = row.record.get(Key::DeviceTime).map(|claim| match claim {
            Value::Text(claim) => moment(claim),
            _ => LAST,
        });
        let wrong = claim.is_some();
        let by_receipt = !wrong && row.record.get(Key::TimeSource).is_some();
        let order = Order { time: row.time, received: row.received, id: row.id };
        let device = self.entry(row.device);
        if device.note(order, claim, by_receipt) {
            *device.slot(wrong) = Some(Latest { order, packed: Packed::new(row.protocol, row.record) });
        }
    }

    /// Takes in rows of files.
    fn push_batch(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let column = |name: &str| rows.column_by_name(name);
        let fixed = |name: &str| column(name).cloned().ok_or_else(|| not_ours(name));
        let names = fixed(columns::DEVICE)?;
        let names = names.as_string_opt::<i32>().ok_or_else(|| not_ours(columns::DEVICE))?;
        let (times, received, ids) = (fixed(columns::TIME)?, fixed(columns::RECEIVED)?, fixed(columns::ID)?);
        let ids = ids.as_primitive_opt::<Int64Type>().ok_or_else(|| not_ours(columns::ID))?;
        let (times, received) = (moments(&times)?, moments(&received)?);
        let schema = rows.schema();
        let of = |key| columns::find(&schema, key).and_then(column);
        let (claims, sources) = (of(Key::DeviceTime), of(Key::TimeSource));
        let claims = claims.map(|claims| claims.as_string_opt::<i32>().ok_or_else(|| not_ours("device_time")));
        let claims = claims.transpose()?;
        let has = |column: Option<&ArrayRef>, row| column.is_some_and(|values| values.is_valid(row));
        let mut row = 0;
        while row < rows.num_rows() {
            let name = names.value(row);
            let device = self.entry(name);
            // Of all rows of a device here, only the one that remains is looked at as a whole.
            let mut remain = [None; 2];
            while row < rows.num_rows() && names.value(row) == name {
                let claim = claims.filter(|claims| claims.is_valid(row)).map(|claims| moment(claims.value(row)));
                let wrong = claim.is_some();
                let order =
                    Order { time: times(row), received: received(row), id: RecordId(ids.value(row).cast_unsigned()) };
                if device.note(order, claim, !wrong && has(sources, row)) {
                    *device.slot(wrong) = Some(Latest { order, packed: Packed::default() });
                    remain[usize::from(wrong)] = Some(row);
                }
                row += 1;
            }
            for (wrong, row) in [false, true].into_iter().zip(remain) {
                let (Some(row), Some(latest)) = (row, device.slot(wrong)) else { continue };
                for record in stored(&rows.slice(row, 1))? {
                    latest.packed = Packed::new(record.protocol, &record.record);
                }
            }
        }
        Ok(())
    }

    /// Up to where there are records of each device.
    pub(crate) fn known<'a>(&'a self, tenant: &'a str) -> impl Iterator<Item = Known> + 'a {
        self.shards.iter().flatten().map(move |(name, device)| Known {
            tenant: tenant.into(),
            device: name.clone(),
            by_device: device.by_device,
            by_receipt: device.by_receipt,
            wrong_until: device.wrong_until,
        })
    }

    /// Up to where there are records of each device, and nothing else of them.
    fn marks(&self) -> Self {
        let mark = |(name, device): (&CompactString, &Device)| {
            let Device { by_device, by_receipt, wrong_until, .. } = *device;
            (name.clone(), Device { by_device, by_receipt, wrong_until, ..Device::default() })
        };
        Self { shards: self.shards.iter().map(|shard| shard.iter().map(mark).collect()).collect() }
    }

    /// What is known of all rows in a table's files, whatever was saved.
    pub(crate) async fn anew(table: &Table) -> Result<Self, Error> {
        restore::all(table).await
    }

    /// Forgets a device.
    pub(crate) fn remove(&mut self, name: &str) {
        self.shards[shard_of(name)].remove(name);
    }

    fn entry(&mut self, name: &str) -> &mut Device {
        let shard = &mut self.shards[shard_of(name)];
        // Looked up twice, so that a name is copied only when it is new.
        if !shard.contains_key(name) {
            shard.insert(name.into(), Device::default());
        }
        shard.get_mut(name).expect("it is there now")
    }
}

/// Gives `take` each device of a shard, or the one device that is asked for, once, with what all `parts` have of it.
pub(crate) fn each(parts: &[&Devices], shard: usize, only: Option<&str>, mut take: impl FnMut(&str, &Device)) {
    let mut give = |name: &str| {
        let mut found = parts.iter().filter_map(|part| part.shards[shard].get(name));
        let Some(device) = found.next() else { return };
        let mut more = found.peekable();
        if more.peek().is_none() {
            return take(name, device);
        }
        let mut whole = device.clone();
        more.for_each(|part| whole.merge(part.clone()));
        take(name, &whole);
    };
    if let Some(name) = only {
        return give(name);
    }
    for (index, part) in parts.iter().enumerate() {
        for name in part.shards[shard].keys() {
            if !parts[..index].iter().any(|before| before.shards[shard].contains_key(name)) {
                give(name);
            }
        }
    }
}

/// A device's latest record, of all that `parts` have of it.
pub(crate) fn latest_record(parts: &[&Devices], name: &str) -> Option<Record> {
    let (mut found, all) = (None, packed::Wanted::all());
    each(parts, shard_of(name), Some(name), |_, device| {
        found = device.latest().and_then(|latest| latest.record(&all)).map(|(_, record)| record);
    });
    found
}

/// Where a device is.
fn shard_of(name: &str) -> usize {
    name.bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte))) % SHARDS
}

impl Device {
    /// Counts a record, perhaps one with a claim that could not be, and tells whether it is now the latest of its kind, to be put into its slot.
    fn note(&mut self, order: Order, wrong: Option<Time>, by_receipt: bool) -> bool {
        let Order { time, received, .. } = order;
        self.count += 1;
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = self.last.max(Some(time));
        self.received = self.received.max(Some(received));
        if let Some(claim) = wrong {
            self.wrong_until = self.wrong_until.max(Some(claim));
            // Its own time is not known; it counts for as long as nothing better came with it or after it.
            let latest = self.wrong.as_ref().is_none_or(|latest| order > latest.order);
            return latest && self.sound < Some(received);
        }
        let mark = if by_receipt { &mut self.by_receipt } else { &mut self.by_device };
        *mark = (*mark).max(Some(time));
        self.sound = self.sound.max(Some(received));
        self.forget_wrong();
        self.best.as_ref().is_none_or(|latest| order > latest.order)
    }

    /// A device whose clock was wrong, and is right again, has said since where it is.
    fn forget_wrong(&mut self) {
        self.wrong = self.wrong.take().filter(|latest| self.sound < Some(latest.order.received));
    }

    fn slot(&mut self, wrong: bool) -> &mut Option<Latest> {
        if wrong { &mut self.wrong } else { &mut self.best }
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.max(other.last);
        self.received = self.received.max(other.received);
        self.by_device = self.by_device.max(other.by_device);
        self.by_receipt = self.by_receipt.max(other.by_receipt);
        self.wrong_until = self.wrong_until.max(other.wrong_until);
        self.sound = self.sound.max(other.sound);
        self.best = later(self.best.take(), other.best);
        self.wrong = later(self.wrong.take(), other.wrong);
        self.forget_wrong();
    }

    /// The latest record.
    fn latest(&self) -> Option<&Latest> {
        self.wrong.as_ref().or(self.best.as_ref())
    }
}

fn later(one: Option<Latest>, other: Option<Latest>) -> Option<Latest> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.order > one.order { other } else { one }),
        (one, other) => one.or(other),
    }
}

impl Latest {
    /// The record as a row again, with its time; of its parameters those that are `wanted`.
    fn record(&self, wanted: &packed::Wanted) -> Option<(&str, Record)> {
        let (protocol, mut record) = self.packed.record(wanted)?;
        record.time = Some(self.order.time);
        Some((protocol, record))
    }
}

/// What a device claimed; what is no moment may be any.
fn moment(claim: &str) -> Time {
    Time::parse(claim).unwrap_or(LAST)
}

fn moments(column: &ArrayRef) -> Result<impl Fn(usize) -> Time, Error> {
    let moments = column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| not_ours("time"))?;
    Ok(|row| Time(moments.value(row).div_euclid(1000)))
}

/// After all times.
const LAST: Time = Time(i64::MAX);
/// How many parts devices are in.
pub(crate) const SHARDS: usize = 64;

#[cfg(test)]
mod tests;
