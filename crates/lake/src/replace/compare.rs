//! What decoding again says, beside what history has: which rows are new, gone or otherwise, and in what.

use super::apply::{Replacement, days_of};
use super::{Past, Period};
use crate::rows::{Row, Rows, bytes_of, day_of};
use crate::{Error, columns};
use compact_str::CompactString;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use datafusion::arrow::compute::{filter_record_batch, take_record_batch};
use datafusion::arrow::datatypes::{Field, Int64Type, TimestampMicrosecondType};
use datafusion::arrow::util::display::array_value_to_string;
use hashbrown::{HashMap, HashSet};
use odograph_model::{RecordId, Time};
use std::collections::BTreeMap;

/// What came out of decoding some devices' frames again, in the order of the journal.
#[derive(Default)]
pub struct Gathered {
    rows: Rows,
    ids: HashSet<u64>,
    claimed_days: Vec<i32>,
    /// What each was known by when its bytes came, as far as that can be told.
    before: Vec<Option<Recorded>>,
    bytes: usize,
    /// When frames came whose bytes could be read, whether they say something or not.
    receipts: HashMap<CompactString, HashSet<i64>>,
}

/// What a record is known by under the settings that held when its bytes came: history may have it by that elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Its id then.
    pub id: RecordId,
    /// The time that it claimed then, or that of its receipt.
    pub claimed: Time,
}

/// How some devices' records would be otherwise.
#[derive(Default)]
pub struct Difference {
    /// By device; those of which nothing would be otherwise are among them.
    pub devices: BTreeMap<CompactString, DeviceDifference>,
    /// What it takes to make it so.
    pub replacement: Replacement,
}

/// How a device's records would be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceDifference {
    /// Records that stay as they are.
    pub same: u64,
    /// Records that history does not have.
    pub new: u64,
    /// Records that do not come out again.
    pub gone: u64,
    /// Records that say something else.
    pub changed: u64,
    /// Of those: records of another day.
    pub moved_days: u64,
    /// Records that stay because the bytes that they came from are not there any more, or cannot be read.
    pub kept: u64,
    /// By parameter, under its name with dots.
    pub keys: BTreeMap<String, KeyDifference>,
}

/// How a parameter's values would be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyDifference {
    /// Values that were not there.
    pub appeared: u64,
    /// Values that are not there any more.
    pub vanished: u64,
    /// Values that are others.
    pub changed: u64,
    /// One of them, before and now.
    pub example: (Option<String>, Option<String>),
}

impl Gathered {
    /// Takes a frame whose bytes can be read.
    pub fn readable(&mut self, device: &str, received: Time) {
        if !self.receipts.contains_key(device) {
            self.receipts.insert(device.into(), HashSet::new());
        }
        self.receipts.get_mut(device).expect("it is there now").insert(received.0);
    }

    /// How much memory the records take, about.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a record, unless it came before.
    pub fn push(&mut self, row: &Row<'_>, claimed: Option<Time>, before: Option<Recorded>) {
        if self.ids.insert(row.id.0) {
            self.rows.push(row);
            self.bytes += bytes_of(row);
            self.claimed_days.push(claimed_day(claimed.unwrap_or(row.time)));
            self.before.push(before);
        }
    }

    /// How many records were taken.
    pub const fn count(&self) -> usize {
        self.before.len()
    }

    /// Nobody can tell what the records from the one of this number on were known by.
    pub fn forget_before(&mut self, from: usize) {
        self.before[from..].fill(None);
    }

    fn has(&self, device: &str, received_ms: i64) -> bool {
        self.receipts.get(device).is_some_and(|receipts| receipts.contains(&received_ms))
    }
}

/// Old and new rows, by their numbers.
#[derive(Default)]
struct Pairs {
    paired: Vec<(u32, u32)>,
    gone: Vec<u32>,
    new: Vec<u32>,
}

/// The columns by which rows are told apart.
struct Heads<'a> {
    devices: &'a StringArray,
    ids: &'a Int64Array,
    received: &'a [i64],
    times: &'a [i64],
}

impl Past {
    /// Compares what came out of decoding again with what history has of these devices and this period.
    ///
    /// # Errors
    ///
    /// When files cannot be read.
    pub fn compare(
        &self,
        period: &Period,
        devices: &[CompactString],
        mut gathered: Gathered,
    ) -> Result<Difference, Error> {
        let old = self.records(period, devices)?;
        let new = columns::renamed(gathered.rows.batch()?, &old.schema())?;
        let schema = columns::merged(&old.schema(), &new.schema());
        let (old, new) = (columns::fitted(&old, &schema)?, columns::fitted(&new, &schema)?);
        let (mut difference, mut kept) = (Difference::default(), HashSet::new());
        let old = self.readable(&old, &gathered, &mut difference, &mut kept)?;
        let is_kept = days_of(&new).iter().map(|day| self.first_day.is_none_or(|first| *day >= first));
        let mut pairs = by_id(&Heads::of(&old), &Heads::of(&new), &is_kept.collect::<Vec<_>>());
        self.leave_out(period, &Heads::of(&new), &gathered, &kept, &mut pairs)?;
        by_receipt(&Heads::of(&old), &Heads::of(&new), &mut pairs);
        difference.tell(&old, &new, &pairs, &gathered.claimed_days)?;
        Ok(difference)
    }

    /// The old rows whose bytes were read again and whose day is kept. The others stay as they are; their ids go to `kept`.
    fn readable(
        &self,
        old: &RecordBatch,
        gathered: &Gathered,
        difference: &mut Difference,
        kept: &mut HashSet<i64>,
    ) -> Result<RecordBatch, Error> {
        let heads = Heads::of(old);
        let mut compared = Vec::with_capacity(old.num_rows());
        for (row, day) in days_of(old).iter().enumerate() {
            let device = heads.devices.value(row);
            let is_readable = gathered.has(device, heads.received[row].div_euclid(1000));
            let is_kept = self.first_day.is_none_or(|first| *day >= first);
            if !is_readable {
                difference.of(device).kept += 1;
            }
            if !(is_readable && is_kept) {
                kept.insert(heads.ids.value(row));
            }
            compared.push(Some(is_readable && is_kept));
        }
        Ok(filter_record_batch(old, &BooleanArray::from(compared))?)
    }

    /// Takes those out of the new rows that history has elsewhere: they came again, and count once.
    fn leave_out(
        &self,
        period: &Period,
        new: &Heads<'_>,
        gathered: &Gathered,
        kept: &HashSet<i64>,
        pairs: &mut Pairs,
    ) -> Result<(), Error> {
        let is_one_of = |ids: &HashSet<i64>, row: u32| {
            let before = gathered.before[row as usize].is_some_and(|before| ids.contains(&before.id.0.cast_signed()));
            before || ids.contains(&new.ids.value(row as usize))
        };
        pairs.new.retain(|row| !is_one_of(kept, *row));
        let days = pairs.new.iter().flat_map(|row| {
            let before = gathered.before[*row as usize].map(|before| claimed_day(before.claimed));
            before.into_iter().chain([gathered.claimed_days[*row as usize]])
        });
        let (Some(first), Some(last)) = (days.clone().min(), days.max()) else { return Ok(()) };
        let devices: HashSet<&str> = pairs.new.iter().map(|row| new.devices.value(*row as usize)).collect();
        let devices: Vec<CompactString> = devices.into_iter().map(CompactString::from).collect();
        let elsewhere = self.ids_outside(period, &devices, (first, last))?;
        pairs.new.retain(|row| !is_one_of(&elsewhere, *row));
        Ok(())
    }
}

impl<'a> Heads<'a> {
    fn of(rows: &'a RecordBatch) -> Self {
        let column = |name| rows.column_by_name(name).expect("every row has the fixed columns");
        let moments = |name| &column(name).as_primitive::<TimestampMicrosecondType>().values()[..];
        Self {
            devices: column(columns::DEVICE).as_string::<i32>(),
            ids: column(columns::ID).as_primitive::<Int64Type>(),
            received: moments(columns::RECEIVED),
            times: moments(columns::TIME),
        }
    }
}

/// Rows that are the same record.
fn by_id(old: &Heads<'_>, new: &Heads<'_>, is_kept: &[bool]) -> Pairs {
    let known: HashMap<i64, u32> = old.ids.values().iter().copied().zip(0..).collect();
    let (mut pairs, mut is_paired) = (Pairs::default(), vec![false; old.ids.len()]);
    for ((id, row), is_kept) in new.ids.values().iter().zip(0..).zip(is_kept) {
        match known.get(id) {
            Some(before) => {
                is_paired[*before as usize] = true;
                pairs.paired.push((*before, row));
            }
            None if *is_kept => pairs.new.push(row),
            None => {}
        }
    }
    // Somebody may have put the same row there twice: it goes by its id, so neither is gone where one of them is paired.
    let is_gone = |row: &u32| known.get(&old.ids.value(*row as usize)).is_some_and(|one| !is_paired[*one as usize]);
    pairs.gone = (0..).take(old.ids.len()).filter(is_gone).collect();
    pairs
}

/// Of the others, rows that came in the same frame, in the order of their times: the same record, whose time or content is
/// read otherwise.
fn by_receipt(old: &Heads<'_>, new: &Heads<'_>, pairs: &mut Pairs) {
    let mut there: HashMap<(&str, i64), Vec<u32>> = HashMap::new();
    let in_order = |heads: &Heads<'_>, rows: &mut Vec<u32>| rows.sort_by_key(|row| (heads.times[*row as usize], *row));
    in_order(old, &mut pairs.gone);
    in_order(new, &mut pairs.new);
    for row in pairs.gone.iter().rev() {
        let key = (old.devices.value(*row as usize), old.received[*row as usize]);
        there.entry(key).or_default().push(*row);
    }
    let mut taken = HashSet::new();
    let paired = &mut pairs.paired;
    pairs.new.retain(|row| {
        let key = (new.devices.value(*row as usize), new.received[*row as usize]);
        let Some(before) = there.get_mut(&key).and_then(Vec::pop) else { return true };
        taken.insert(before);
        paired.push((before, *row));
        false
    });
    pairs.gone.retain(|row| !taken.contains(row));
}

impl Difference {
    fn of(&mut self, device: &str) -> &mut DeviceDifference {
        if !self.devices.contains_key(device) {
            self.devices.insert(device.into(), DeviceDifference::default());
        }
        self.devices.get_mut(device).expect("it is there now")
    }

    /// Tells the differences of rows, and what it takes to make them so.
    fn tell(&mut self, old: &RecordBatch, new: &RecordBatch, pairs: &Pairs, claimed: &[i32]) -> Result<(), Error> {
        let (before, now): (Vec<u32>, Vec<u32>) = pairs.paired.iter().copied().unzip();
        let (before, now) = (rows(old, before)?, rows(new, now)?);
        let now = with_others_columns(&before, &now)?;
        let is_changed = self.tell_changed(&before, &now)?;
        let (gone, came) = (rows(old, pairs.gone.clone())?, rows(new, pairs.new.clone())?);
        self.tell_only(
            &gone,
            |device| &mut device.gone,
            |key, text| {
                key.vanished += 1;
                key.example.0.get_or_insert(text);
            },
        )?;
        self.tell_only(
            &came,
            |device| &mut device.new,
            |key, text| {
                key.appeared += 1;
                key.example.1.get_or_insert(text);
            },
        )?;
        let changed = BooleanArray::from(is_changed.clone());
        let (before, now) = (filter_record_batch(&before, &changed)?, filter_record_batch(&now, &changed)?);
        for rows in [&before, &gone] {
            self.replacement.removed.extend(Heads::of(rows).ids.values());
            self.replacement.removed_days.extend(days_of(rows));
        }
        let changed =
            pairs.paired.iter().zip(is_changed).filter(|(_, is_changed)| *is_changed).map(|((_, row), _)| row);
        let days = changed.chain(&pairs.new).map(|row| claimed[*row as usize]);
        self.replacement.claimed = days.clone().min().zip(days.max());
        for rows in [&before, &gone, &came] {
            self.replacement.devices.extend(Heads::of(rows).devices.iter().flatten().map(CompactString::from));
        }
        self.replacement.added.extend([now, came].into_iter().filter(|rows| rows.num_rows() > 0));
        Ok(())
    }

    /// Tells in what rows differ from those that they were; says which do.
    fn tell_changed(&mut self, before: &RecordBatch, now: &RecordBatch) -> Result<Vec<bool>, Error> {
        let mut is_changed = vec![false; before.num_rows()];
        let heads = Heads::of(before);
        for (index, field) in before.schema().fields().iter().enumerate().filter(|(_, field)| is_told(field)) {
            let (old, new) = (before.column(index), now.column(index));
            for row in differing(old, new) {
                is_changed[row] = true;
                let key = self.of(heads.devices.value(row)).keys.entry(name(field)).or_default();
                match (old.is_valid(row), new.is_valid(row)) {
                    (false, _) => key.appeared += 1,
                    (_, false) => key.vanished += 1,
                    _ => key.changed += 1,
                }
                if key.example == (None, None) {
                    key.example = (text(old, row)?, text(new, row)?);
                }
            }
        }
        let ids = Heads::of(now).ids;
        let days = days_of(before).iter().zip(days_of(now)).map(|(before, now)| before != now);
        for (row, has_moved) in days.enumerate() {
            let device = self.of(heads.devices.value(row));
            if !is_changed[row] && heads.ids.value(row) != ids.value(row) {
                // What a record is known by follows from the rest, and is worth a word only by itself.
                is_changed[row] = true;
                device.keys.entry(columns::ID.to_owned()).or_default().changed += 1;
            }
            match is_changed[row] {
                true => device.changed += 1,
                false => device.same += 1,
            }
            device.moved_days += u64::from(has_moved);
        }
        Ok(is_changed)
    }

    /// Tells rows that are there only before or only now.
    fn tell_only(
        &mut self,
        rows: &RecordBatch,
        count: impl Fn(&mut DeviceDifference) -> &mut u64,
        tell: impl Fn(&mut KeyDifference, String),
    ) -> Result<(), Error> {
        let heads = Heads::of(rows);
        for device in heads.devices.iter().flatten() {
            *count(self.of(device)) += 1;
        }
        for (index, field) in rows.schema().fields().iter().enumerate().filter(|(_, field)| is_told(field)) {
            let column = rows.column(index);
            for row in 0..rows.num_rows() {
                if let Some(text) = text(column, row)? {
                    tell(self.of(heads.devices.value(row)).keys.entry(name(field)).or_default(), text);
                }
            }
        }
        Ok(())
    }
}

fn claimed_day(claimed: Time) -> i32 {
    day_of(crate::rows::written(claimed))
}

fn rows(of: &RecordBatch, numbers: Vec<u32>) -> Result<RecordBatch, Error> {
    Ok(take_record_batch(of, &UInt32Array::from(numbers))?)
}

/// Whose column it is: ours are compared; what others added to the table is not ours to judge.
fn is_ours(field: &Field) -> bool {
    let is_fixed = || columns::fixed().iter().any(|own| own.name() == field.name());
    field.metadata().contains_key(columns::PARAMETER) || field.name() == columns::RAW || is_fixed()
}

/// What follows from other columns says nothing of its own.
fn is_told(field: &Field) -> bool {
    is_ours(field) && ![columns::DEVICE, columns::ID, columns::DAY].contains(&field.name().as_str())
}

/// Rows with what others wrote beside the rows that they replace.
fn with_others_columns(before: &RecordBatch, now: &RecordBatch) -> Result<RecordBatch, Error> {
    let fields = now.schema();
    let columns = fields.fields().iter().enumerate();
    let columns = columns.map(|(index, field)| if is_ours(field) { now.column(index) } else { before.column(index) });
    Ok(RecordBatch::try_new(fields.clone(), columns.cloned().collect())?)
}

/// The rows in which two columns differ.
fn differing(old: &ArrayRef, new: &ArrayRef) -> Vec<usize> {
    if old == new {
        return Vec::new();
    }
    (0..old.len()).filter(|row| old.slice(*row, 1) != new.slice(*row, 1)).collect()
}

fn name(field: &Field) -> String {
    field.metadata().get(columns::PARAMETER).unwrap_or(field.name()).clone()
}

/// A value for people; nothing where there is none.
fn text(column: &ArrayRef, row: usize) -> Result<Option<String>, Error> {
    if column.is_null(row) {
        return Ok(None);
    }
    let mut text = array_value_to_string(column, row)?;
    if text.len() > EXAMPLE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(EXAMPLE_BYTES_MAX));
        text.push('…');
    }
    Ok(Some(text))
}

/// What fits a line beside another one.
const EXAMPLE_BYTES_MAX: usize = 60;
