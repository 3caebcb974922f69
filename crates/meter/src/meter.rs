//! The counts of days that go on, of those that are over and not told yet, and their file.

use crate::file::{File, Line, LineRow, MeterError};
use crate::tally::Tally;
use crate::{Counts, DayOf, Row, day_of};
use compact_str::CompactString;
use hashbrown::HashMap;
use odograph_env::Disk;
use odograph_model::{Lsn, Time};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Days of which it is known which devices sent: today's, yesterday's while what came before midnight is still read, and
/// one for a clock that was wrong for a while.
pub const OPEN_DAYS_MAX: usize = 3;

/// Tenants' days that are over and wait to be told: three months of a thousand tenants while a catalog is away. Beyond
/// that the oldest are dropped from here and [`Meter::forgotten`] counts them.
pub const CLOSED_ROWS_MAX: usize = 100_000;

/// What flowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// A message from a device, of so many bytes.
    Message(u64),
    /// Other bytes from a device.
    In(u64),
    /// Bytes to a device.
    Out(u64),
}

/// Counts what tenants use.
pub struct Meter {
    file: File,
    /// Everything before it was counted when the file was opened.
    from: Lsn,
    /// Days that go on; the one that was counted last comes last.
    open: Vec<Day>,
    /// Days that are over and were not told.
    closed: BTreeMap<DayOf, Counts>,
    /// Tenants' days that were dropped before they were told.
    forgotten: u64,
    is_damaged: bool,
}

struct Day {
    day: i32,
    tenants: HashMap<CompactString, Tally>,
}

impl Meter {
    /// Opens the file at `path`, or begins one that counts from `begin` of the journal on.
    ///
    /// # Errors
    ///
    /// When it cannot be read or made.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, begin: Lsn) -> Result<Self, MeterError> {
        let (file, lines, is_damaged) = File::open(disk, path)?;
        let from = lines.last().map_or(begin, |line| Lsn(line.until));
        let mut meter = Self { file, from, open: Vec::new(), closed: BTreeMap::new(), forgotten: 0, is_damaged };
        lines.into_iter().for_each(|line| meter.read(line));
        Ok(meter)
    }

    /// Whether the file was damaged when it was opened: then devices may be missing in the counts of the days that went on.
    pub const fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// An entry of the journal at `place`, which came or went `at`, of a tenant's device. What was counted before, in an
    /// earlier reading of the journal, is not counted again.
    pub fn entry(&mut self, place: Lsn, at: Time, tenant: &str, device: &str, flow: Flow) {
        if place < self.from {
            return;
        }
        let tally = self.tally(day_of(at), tenant);
        match flow {
            Flow::Message(bytes) => {
                tally.counts.messages += 1;
                tally.counts.bytes_in += bytes;
                tally.heard(device);
            }
            Flow::In(bytes) => tally.counts.bytes_in += bytes,
            Flow::Out(bytes) => tally.counts.bytes_out += bytes,
        }
    }

    /// A record that history keeps, of the entry at `place`.
    pub fn record(&mut self, place: Lsn, received: Time, tenant: &str) {
        if place >= self.from {
            self.tally(day_of(received), tenant).counts.records += 1;
        }
    }

    /// Makes durable what was counted; everything before `read` was. It is free where there is nothing new.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails. Nothing is lost: it is tried again.
    pub fn keep(&mut self, read: Lsn) -> Result<(), MeterError> {
        let changed = self.open.iter().flat_map(|day| {
            let of_day = day.tenants.iter().filter(|(_, tally)| tally.is_changed);
            of_day.map(|(tenant, tally)| row(day.day, tenant, tally, tally.fresh.clone()))
        });
        let rows: Vec<_> = changed.collect();
        if rows.is_empty() {
            return Ok(());
        }
        if self.file.wants_rewriting() {
            let all = self.whole(read);
            self.file.rewrite(&all)?;
        } else {
            self.file.append(&Line { until: read.0, open: self.open_days(), rows })?;
        }
        for tally in self.open.iter_mut().flat_map(|day| day.tenants.values_mut()) {
            tally.is_changed = false;
            tally.fresh.clear();
        }
        Ok(())
    }

    /// Forgets that a device sent, or all of a tenant's: the counts stay. Everything before `read` was counted.
    ///
    /// # Errors
    ///
    /// As [`Meter::keep`].
    pub fn erase(&mut self, tenant: &str, device: Option<&str>, read: Lsn) -> Result<(), MeterError> {
        for tally in self.open.iter_mut().filter_map(|day| day.tenants.get_mut(tenant)) {
            tally.devices.retain(|known| device.is_some_and(|device| known != device));
        }
        let all = self.whole(read);
        self.file.rewrite(&all)?;
        for tally in self.open.iter_mut().flat_map(|day| day.tenants.values_mut()) {
            tally.is_changed = false;
            tally.fresh.clear();
        }
        Ok(())
    }

    /// What everything before this place is counted of.
    pub const fn from(&self) -> Lsn {
        self.from
    }

    /// What differs from what was told, the oldest days first.
    pub fn untold(&self) -> Vec<Row> {
        let closed = self.closed.iter().map(|(of, counts)| Row { of: of.clone(), counts: *counts });
        let open = self.open.iter().flat_map(|day| {
            let of_day = day.tenants.iter().filter(|(_, tally)| tally.told != Some(tally.counts));
            of_day
                .map(|(tenant, tally)| Row { of: DayOf { day: day.day, tenant: tenant.clone() }, counts: tally.counts })
        });
        let mut rows: Vec<_> = closed.chain(open).collect();
        rows.sort_by(|one, other| one.of.cmp(&other.of));
        rows
    }

    /// These were told, and whoever was told keeps them.
    pub fn told(&mut self, rows: &[Row]) {
        for row in rows {
            if self.closed.get(&row.of) == Some(&row.counts) {
                self.closed.remove(&row.of);
            }
            let day = self.open.iter_mut().find(|day| day.day == row.of.day);
            if let Some(tally) = day.and_then(|day| day.tenants.get_mut(&row.of.tenant)) {
                tally.told = Some(row.counts);
            }
        }
    }

    /// What was counted of a day that goes on.
    pub fn of(&self, day: i32, tenant: &str) -> Counts {
        let day = self.open.iter().find(|open| open.day == day);
        day.and_then(|day| day.tenants.get(tenant)).map(|tally| tally.counts).unwrap_or_default()
    }

    /// Bytes both ways of each tenant, of all days that go on.
    pub fn bytes(&self) -> BTreeMap<CompactString, u64> {
        let mut bytes = BTreeMap::new();
        for (tenant, tally) in self.open.iter().flat_map(|day| day.tenants.iter()) {
            *bytes.entry(tenant.clone()).or_default() += tally.counts.bytes_in + tally.counts.bytes_out;
        }
        bytes
    }

    /// How many tenants' days were dropped before they were told.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn tally(&mut self, day: i32, tenant: &str) -> &mut Tally {
        let at = match self.open.iter().rposition(|open| open.day == day) {
            Some(at) => at,
            None => self.begin(day),
        };
        // Whichever was counted last stays longest.
        if at + 1 < self.open.len() {
            let touched = self.open.remove(at);
            self.open.push(touched);
        }
        let last = self.open.last_mut().expect("a day was just begun or found");
        if !last.tenants.contains_key(tenant) {
            let counts = self.closed.remove(&DayOf { day, tenant: tenant.into() }).unwrap_or_default();
            last.tenants.insert(tenant.into(), Tally { counts, ..Tally::default() });
        }
        let tally = last.tenants.get_mut(tenant).expect("it is there by now");
        tally.is_changed = true;
        tally
    }

    /// Begins a day, and closes the one that was counted longest ago.
    fn begin(&mut self, day: i32) -> usize {
        if self.open.len() >= OPEN_DAYS_MAX {
            let over = self.open.remove(0);
            self.close(over);
        }
        self.open.push(Day { day, tenants: HashMap::new() });
        self.open.len() - 1
    }

    fn close(&mut self, over: Day) {
        for (tenant, tally) in over.tenants {
            // The file need not have it as it is now: `keep` writes the whole once a day was closed with something new.
            if tally.is_changed {
                self.file.want_rewriting();
            }
            if tally.told != Some(tally.counts) {
                self.closed.insert(DayOf { day: over.day, tenant }, tally.counts);
            }
        }
        while self.closed.len() > CLOSED_ROWS_MAX {
            self.closed.pop_first();
            self.forgotten += 1;
        }
    }

    fn open_days(&self) -> Vec<i32> {
        self.open.iter().map(|day| day.day).collect()
    }

    /// Everything, as the one line of a new file.
    fn whole(&self, read: Lsn) -> Line {
        let closed = self
            .closed
            .iter()
            .map(|(of, counts)| LineRow { row: Row { of: of.clone(), counts: *counts }, new: Vec::new() });
        let open = self.open.iter().flat_map(|day| {
            let all = |tally: &Tally| tally.devices.iter().cloned().collect();
            day.tenants.iter().map(move |(tenant, tally)| row(day.day, tenant, tally, all(tally)))
        });
        Line { until: read.0, open: self.open_days(), rows: closed.chain(open).collect() }
    }

    fn read(&mut self, line: Line) {
        let before = std::mem::take(&mut self.open);
        let (stay, over): (Vec<_>, Vec<_>) = before.into_iter().partition(|day| line.open.contains(&day.day));
        over.into_iter().for_each(|day| self.close(day));
        self.open = stay;
        for day in &line.open {
            if !self.open.iter().any(|open| open.day == *day) {
                self.open.push(Day { day: *day, tenants: HashMap::new() });
            }
        }
        self.open.sort_by_key(|open| line.open.iter().position(|day| *day == open.day));
        for LineRow { row, new } in line.rows {
            let Some(day) = self.open.iter_mut().find(|open| open.day == row.of.day) else {
                self.closed.insert(row.of, row.counts);
                continue;
            };
            self.closed.remove(&row.of);
            let tally = day.tenants.entry(row.of.tenant).or_default();
            tally.counts = row.counts;
            tally.devices.extend(new);
        }
    }
}

fn row(day: i32, tenant: &CompactString, tally: &Tally, new: Vec<CompactString>) -> LineRow {
    LineRow { row: Row { of: DayOf { day, tenant: tenant.clone() }, counts: tally.counts }, new }
}

#[cfg(test)]
mod tests;
