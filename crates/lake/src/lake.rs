//! All tenants' history: opened by whoever reads, written by one.

use crate::believed::Believed;
use crate::buffer::Buffer;
use crate::events::{self, EVENTS, Event, NoRows, Scope};
use crate::files::day_name;
use crate::frames::{FRAMES, FrameBuffer, FrameRow};
use crate::maintenance::{CHECKPOINT_COMMITS, Grace, Keep};
use crate::questions::{Answer, Questions};
use crate::rows::Row;
use crate::shape::{RECORDS, Shape};
use crate::tables::{BeforeCommit, Common, Due, Open, Tables};
use crate::tenant::{Shelf, Stream, View};
use crate::{BrokenTable, Error, Hold, Place, Requests, query, source, work};
use compact_str::CompactString;
use datafusion::prelude::Expr;
use odograph_env::{Clock, Disk};
use odograph_model::{Lsn, Record, RecordId, Time};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// When rows become files, and how long those stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The node whose journal is read.
    pub node: u16,
    /// So many rows of a stream are written at once, at the latest.
    pub flush_rows: usize,
    /// So many bytes of a stream, as they are in memory.
    pub flush_bytes: usize,
    /// So much memory may everything take that waits.
    pub waiting_bytes_max: usize,
    /// A row of the day waits at most so long.
    pub in_time_flush: Duration,
    /// A late row waits at most so long.
    pub late_flush: Duration,
    /// An entry of the journal waits at most so long.
    pub frames_flush: Duration,
    /// What is kept.
    pub keep: Keep,
    /// What is kept of tenants for whom something else holds.
    pub keep_of: BTreeMap<CompactString, Keep>,
    /// How long what is not part of a table any more stays.
    pub grace: Grace,
    /// While this holds, all of it stays.
    pub hold: Hold,
    /// Maintenance looks at each table so often.
    pub care_every: Duration,
    /// So many commits are summed up in a checkpoint: opening a table reads at most as many entries of its log.
    pub checkpoint_commits: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node: 0,
            flush_rows: FLUSH_ROWS,
            flush_bytes: FLUSH_BYTES,
            waiting_bytes_max: WAITING_BYTES_MAX,
            in_time_flush: IN_TIME_FLUSH,
            late_flush: LATE_FLUSH,
            frames_flush: FRAMES_FLUSH,
            keep: Keep::default(),
            keep_of: BTreeMap::new(),
            grace: Grace::default(),
            hold: Hold::default(),
            care_every: CARE_EVERY,
            checkpoint_commits: CHECKPOINT_COMMITS,
        }
    }
}

impl Options {
    pub(crate) fn keep_of(&self, tenant: &str) -> Keep {
        self.keep_of.get(tenant).copied().unwrap_or(self.keep)
    }

    /// Whether anything goes for being old.
    pub fn retires(&self) -> bool {
        let kept = std::iter::once(&self.keep).chain(self.keep_of.values());
        kept.flat_map(|keep| [keep.records, keep.frames, keep.events]).any(|days| days.is_some())
    }

    /// How many days the journal's entries are kept by whoever keeps them longest; `None`: for ever.
    pub fn frames_kept(&self) -> Option<u32> {
        let kept = std::iter::once(&self.keep).chain(self.keep_of.values()).map(|keep| keep.frames);
        kept.reduce(|one, other| Some(one?.max(other?))).flatten()
    }
}

/// History, for reading. Clones are the same lake.
#[derive(Clone)]
pub struct Lake {
    shared: Arc<Shared>,
}

struct Shared {
    /// There until the end.
    runtime: Option<Runtime>,
    questions: Questions,
    place: Place,
    tenants: Mutex<BTreeMap<CompactString, Tenant>>,
}

/// A tenant's tables, as far as there are any.
#[derive(Clone, Default)]
pub(crate) struct Tenant {
    pub(crate) records: Option<Arc<Shelf<Buffer>>>,
    pub(crate) frames: Option<Arc<Shelf<FrameBuffer>>>,
    pub(crate) events: Option<Arc<Shelf<NoRows>>>,
    /// Those that cannot be opened: which, where, and why.
    broken: BTreeMap<&'static str, (String, String)>,
}

/// A tenant's tables at one moment, as far as there are any.
#[derive(Default, Clone)]
pub(crate) struct Views {
    pub(crate) records: Option<View>,
    pub(crate) frames: Option<View>,
    pub(crate) events: Option<View>,
    /// What is known of its devices.
    pub(crate) devices: Option<Arc<Shelf<Buffer>>>,
}

/// Up to where there are records of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// Whom it belongs to.
    pub tenant: CompactString,
    /// Its id.
    pub device: CompactString,
    /// The greatest event time that the device's clock gave.
    pub by_device: Option<Time>,
    /// The greatest event time of records for which the device gave none.
    pub by_receipt: Option<Time>,
    /// The greatest time that the device claimed and that could not be.
    pub wrong_until: Option<Time>,
}

/// Ids of records, as far as they can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownIds {
    /// Those.
    pub ids: Vec<RecordId>,
    /// Files that may have others.
    pub unread: Vec<Unread>,
}

/// A file of a table that cannot be read, and will not be until a person does something about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where it is.
    pub file: String,
    /// Why.
    pub why: String,
}

/// The one who writes.
pub struct Writer {
    pub(crate) lake: Lake,
    pub(crate) common: Common,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) records: Tables<Buffer>,
    pub(crate) frames: Tables<FrameBuffer>,
    pub(crate) events: Tables<NoRows>,
    /// When tables that cannot be opened are looked at again, by the monotonic clock.
    pub(crate) look_at: Duration,
    /// Which kind of tables maintenance looks at first.
    care_first: usize,
    /// Which day it is, for retention.
    believed: Believed,
}

impl Writer {
    /// Opens the lake in a folder, which only one process may do at a time.
    pub fn open(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, folder: &Path, options: Options) -> Result<Self, Error> {
        Self::open_at(Place::folder(disk, folder), clock, options)
    }

    /// Opens the lake at a place, where no other process may write as the same node.
    ///
    /// # Errors
    ///
    /// When the place cannot be read, or its tables are not ours to write.
    pub fn open_at(place: Place, clock: Arc<dyn Clock>, options: Options) -> Result<Self, Error> {
        let lake = Lake::start(place.clone())?;
        let at_once = Arc::new(Semaphore::new(WORK_AT_ONCE));
        let runtime = lake.shared.runtime().handle().clone();
        let (node, checkpoint_commits) = (options.node, options.checkpoint_commits);
        let footers = source::footers();
        let common = Common { runtime, place, node, checkpoint_commits, at_once, footers, before: None };
        let (records, frames, events) = (Tables::default(), Tables::default(), Tables::default());
        let look_at = Duration::ZERO;
        let believed = Believed::new(&options);
        let mut writer =
            Self { lake, common, clock, options, records, frames, events, look_at, care_first: 0, believed };
        // What an earlier process was writing when it ended.
        writer.common.place.clean()?;
        for (tenant, shape) in writer.lake.ask(writer.common.place.tables())? {
            // Nobody knows what of the journal it has.
            let place = Lsn::default();
            let opened = match shape.name {
                name if name == RECORDS.name => writer.records_for(&tenant, place).map(|_| ()),
                name if name == FRAMES.name => writer.frames_for(&tenant, place).map(|_| ()),
                _ => unless_broken(writer.events(&tenant).map(|_| ())).map(|_| ()),
            };
            opened?;
        }
        // Of tables that were found at the start, everything is in `latest`.
        writer.of_others();
        Ok(writer)
    }

    /// Has something made durable each time before rows are on their way into files: what a table's cursor says is done is
    /// not told as new again, after a crash neither.
    pub fn before_commits(&mut self, before: BeforeCommit) {
        self.common.before = Some(before);
    }

    /// Whether there is no table at all.
    pub fn is_empty(&self) -> bool {
        self.lake.tenants().is_empty()
    }

    /// The lake, for reading.
    pub fn lake(&self) -> Lake {
        self.lake.clone()
    }

    /// Adds a row that came from the journal's entry at `place`, and that the table does not have: see [`Writer::has`].
    pub fn push(&mut self, tenant: &str, row: &Row<'_>, place: Lsn) -> Result<(), Error> {
        let now = self.clock.monotonic();
        let Some(open) = self.records_for(tenant, place)? else { return Ok(()) };
        open.shelf.push(row, place, now)
    }

    /// Whether the table has the row from an earlier run of whoever reads the journal.
    pub fn has(&mut self, tenant: &str, row: &Row<'_>, place: Lsn) -> Result<bool, Error> {
        let open = self.records_for(tenant, place)?;
        Ok(open.is_some_and(|open| place < open.cursors[Stream::of(row) as usize]))
    }

    /// Adds an entry of the journal, unless the table has it from an earlier run.
    pub fn push_frame(&mut self, tenant: &str, row: &FrameRow<'_>) -> Result<(), Error> {
        let (now, node) = (self.clock.monotonic(), self.options.node);
        let Some(open) = self.frames_for(tenant, row.place)? else { return Ok(()) };
        if row.place < open.cursors[0] {
            return Ok(());
        }
        open.shelf.add(0, |buffer| buffer.push(node, row, now))
    }

    /// Puts events in the place of all that there are in a scope, in one commit. The table appears with its first event.
    ///
    /// # Errors
    ///
    /// When an event is outside the scope, or the table cannot be read or written: then everything is as it was.
    pub fn replace_events(&mut self, tenant: &str, scope: &Scope, events: &[Event]) -> Result<(), Error> {
        if let Some(event) = events.iter().find(|event| !scope.holds(event)) {
            return Err(Error::Refused(format!("the event {} is outside of what is to be replaced", event.id)));
        }
        if events.is_empty() && self.events.find(tenant).is_none() {
            return Ok(());
        }
        let (new, now, common) = (events::batch(events)?, Time(self.clock.now()), self.common.clone());
        let open = self.events(tenant)?;
        let shelf = open.shelf.clone();
        let (first, last) = (day_name(scope.days.0), day_name(scope.days.1));
        let is_of = |day: &str| first.as_str() <= day && day <= last.as_str();
        let replaced = work::replace(&shelf, open.table(&common)?, is_of, |rows| scope.others(rows), new, now);
        common.ask(replaced)
    }

    /// The ids of a device's records of a day (since 1970, UTC, of the event time).
    ///
    /// # Errors
    ///
    /// When they cannot be told now. What is damaged is no error, but told with what the rest has.
    pub fn ids_of_day(&mut self, tenant: &str, device: &str, day: i32) -> Result<KnownIds, Error> {
        let Some(shelf) = unless_broken(self.records(tenant).map(|open| open.shelf.clone()))? else {
            return Ok(KnownIds::default());
        };
        // First what waits: it may become a file in between, and would not be found at all the other way round.
        let ids = shelf.hot_ids(device, Some(day));
        self.in_files(ids, &shelf.files(), &query::of_day(device, day))
    }

    /// The ids of a device's records that have their time of receipt as event time, because the device's clock was wrong;
    /// others may be among them.
    ///
    /// # Errors
    ///
    /// As [`Writer::ids_of_day`].
    pub fn ids_of_wrong_clock(&mut self, tenant: &str, device: &str) -> Result<KnownIds, Error> {
        let Some(shelf) = unless_broken(self.records(tenant).map(|open| open.shelf.clone()))? else {
            return Ok(KnownIds::default());
        };
        let (ids, view) = (shelf.hot_ids(device, None), shelf.files());
        match query::of_wrong_clock(&view.schema, device) {
            Some(wanted) => self.in_files(ids, &view, &wanted),
            None => Ok(KnownIds { ids, unread: Vec::new() }),
        }
    }

    /// Adds the ids of the rows in files that are wanted. Where a file cannot be read, and that will not pass, the others
    /// are read one by one.
    fn in_files(&self, mut ids: Vec<RecordId>, view: &View, wanted: &Expr) -> Result<KnownIds, Error> {
        let ask = |files| self.common.ask(query::ids(files, wanted.clone()));
        let mut unread = Vec::new();
        match ask(view.files.clone()) {
            Ok(found) => ids.extend(found),
            Err(error) if error.may_pass() => return Err(error),
            Err(_) => {
                for (file, alone) in view.files.each() {
                    match ask(Arc::new(alone)) {
                        Ok(found) => ids.extend(found),
                        Err(error) if error.may_pass() => return Err(error),
                        Err(error) => {
                            self.common.place.found_damaged(&file, &error.line());
                            unread.push(Unread { file, why: error.line() });
                        }
                    }
                }
            }
        }
        Ok(KnownIds { ids, unread })
    }

    /// Up to where there are records of each device, by the files.
    pub fn latest(&self) -> Vec<Latest> {
        self.records.iter().flat_map(|open| open.shelf.known(&open.tenant, |_| true)).collect()
    }

    /// Up to where there are records of devices that other nodes committed, as far as this one has seen it since this was asked last: in
    /// tables that are open, and of all devices in those that were opened since.
    pub fn of_others(&self) -> Vec<Latest> {
        let have_come = &self.common.place.have_come;
        // Asked for each record, so that it costs nothing where nobody came.
        if !have_come.load(Ordering::Acquire) || !have_come.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        self.records.iter().flat_map(|open| open.shelf.of_others(&open.tenant)).collect()
    }

    /// All records before this place are in files, durably, if everything before `read` was given to [`Writer::push`].
    pub fn committed(&self, read: Lsn) -> Lsn {
        least(self.records.first_place(), self.records.broken.held(), read)
    }

    /// Whether anything that was taken is not in files yet.
    pub fn has_waiting(&self) -> bool {
        self.records.first_place().is_some() || self.frames.first_place().is_some()
    }

    /// How long the row has waited, at `now` of the monotonic clock, that has waited longest; nothing without any.
    pub fn waits_longest(&self, now: Duration) -> Duration {
        self.records.waiting_since().map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// All entries of the journal before this place are in files, durably, if everything before `read` was given to
    /// [`Writer::push_frame`].
    pub fn committed_frames(&self, read: Lsn) -> Lsn {
        least(self.frames.first_place(), self.frames.broken.held(), read)
    }

    /// Begins to make files of what is due, aside; or makes files of all that waits, and waits for that. Returns how many
    /// commits were completed. Everything in the journal before `read` was given to [`Writer::push`] and
    /// [`Writer::push_frame`].
    ///
    /// # Errors
    ///
    /// When files cannot be written or committed, now or since the last call. What did not become files still waits, and
    /// goes first at the next call.
    pub fn flush(&mut self, read: Lsn, all: bool) -> Result<usize, Error> {
        let mut commits = self.flush_due(read, all)?;
        if all {
            commits += self.wait()?;
            // What an earlier attempt left on its way went first.
            while self.has_waiting() {
                commits += self.flush_due(read, all)?;
                commits += self.wait()?;
            }
            self.records.save(&self.common, Time(self.clock.now()))?;
            return Ok(commits);
        }
        while self.records.bytes() + self.frames.bytes() > self.options.waiting_bytes_max {
            commits += self.relieve(read)?;
        }
        self.care();
        self.look_at_broken()?;
        Ok(commits)
    }

    fn flush_due(&mut self, read: Lsn, all: bool) -> Result<usize, Error> {
        let (now, today, options) = (self.clock.monotonic(), Time(self.clock.now()), &self.options);
        let (rows_max, bytes_max) = (options.flush_rows, options.flush_bytes);
        let longest = &[options.in_time_flush, options.late_flush];
        let due = Due { now, today, read, all, rows_max, bytes_max, longest };
        let records = self.records.flush(&self.common, &due);
        let due = Due { longest: &[options.frames_flush], ..due };
        let frames = self.frames.flush(&self.common, &due);
        Ok(records? + frames?)
    }

    /// Makes files of what takes the most memory.
    fn relieve(&mut self, read: Lsn) -> Result<usize, Error> {
        let (now, today, options) = (self.clock.monotonic(), Time(self.clock.now()), &self.options);
        let longest = &[Duration::ZERO; 2];
        let due =
            Due { now, today, read, all: true, rows_max: options.flush_rows, bytes_max: options.flush_bytes, longest };
        match self.records.bytes() >= self.frames.bytes() {
            true => self.records.relieve(&self.common, &due),
            false => self.frames.relieve(&self.common, &due),
        }
    }

    /// Waits for all that is under way.
    fn wait(&mut self) -> Result<usize, Error> {
        let (records, frames) = (self.records.wait(&self.common), self.frames.wait(&self.common));
        let events = self.events.wait(&self.common);
        Ok(records? + frames? + events?)
    }

    /// Does all maintenance that is due, and waits for it. [`Writer::flush`] does the same step by step, aside.
    ///
    /// # Errors
    ///
    /// When something that was under way before failed.
    pub fn maintain(&mut self) -> Result<(), Error> {
        loop {
            self.wait()?;
            if !self.care() {
                return Ok(());
            }
        }
    }

    /// Begins a step of maintenance, if one is due and none is under way. Returns whether one is under way now.
    fn care(&mut self) -> bool {
        if self.records.is_cared_for() || self.frames.is_cared_for() || self.events.is_cared_for() {
            return true;
        }
        let (now, today, every) = (self.clock.monotonic(), Time(self.clock.now()), self.options.care_every);
        let (common, options) = (&self.common, &self.options);
        let believed = self.believed.today(now, today, || self.records.days().chain(self.frames.days()).collect());
        let first = |days: Option<u32>| Some(believed?.saturating_sub(i32::try_from(days?).unwrap_or(i32::MAX)));
        let (keep, mut grace) = (|tenant: &str| options.keep_of(tenant), options.grace);
        if options.hold.is_on(now) {
            grace = Grace::LONGEST;
        }
        // By turns: where a step takes long and there are many tables, one kind is always due.
        for turn in 0..KINDS {
            let kind = (self.care_first + turn) % KINDS;
            let begun = match kind {
                0 => self.records.care(common, now, every, today, |tenant| (first(keep(tenant).records), grace)),
                1 => self.frames.care(common, now, every, today, |tenant| (first(keep(tenant).frames), grace)),
                _ => self.events.care(common, now, every, today, |tenant| (first(keep(tenant).events), grace)),
            };
            if begun {
                self.care_first = (kind + 1) % KINDS;
                return true;
            }
        }
        false
    }

    pub(crate) fn records(&mut self, tenant: &str) -> Result<&mut Open<Buffer>, Error> {
        // Looked up twice, because the borrow of a found table would last for the whole function.
        if self.records.find(tenant).is_none() {
            let opened = self.records.open(&self.common, tenant).map(|open| open.shelf.clone());
            let shelf = self.lake.noted(tenant, &RECORDS, opened)?;
            self.lake.change(tenant, |tables| tables.records = Some(shelf));
        }
        Ok(self.records.find(tenant).expect("the table was opened"))
    }

    /// The table for something that came from a place of the journal; nothing where it cannot be opened.
    fn records_for(&mut self, tenant: &str, place: Lsn) -> Result<Option<&mut Open<Buffer>>, Error> {
        // Asked first, because the borrow of a table that was returned would last for the whole function.
        if unless_broken(self.records(tenant).map(|_| ()))?.is_none() {
            self.records.broken.hold(place);
            return Ok(None);
        }
        self.records(tenant).map(Some)
    }

    fn frames_for(&mut self, tenant: &str, place: Lsn) -> Result<Option<&mut Open<FrameBuffer>>, Error> {
        if unless_broken(self.frames(tenant).map(|_| ()))?.is_none() {
            self.frames.broken.hold(place);
            return Ok(None);
        }
        self.frames(tenant).map(Some)
    }

    fn frames(&mut self, tenant: &str) -> Result<&mut Open<FrameBuffer>, Error> {
        if self.frames.find(tenant).is_none() {
            let opened = self.frames.open(&self.common, tenant).map(|open| open.shelf.clone());
            let shelf = self.lake.noted(tenant, &FRAMES, opened)?;
            self.lake.change(tenant, |tables| tables.frames = Some(shelf));
        }
        Ok(self.frames.find(tenant).expect("the table was opened"))
    }

    fn events(&mut self, tenant: &str) -> Result<&mut Open<NoRows>, Error> {
        if self.events.find(tenant).is_none() {
            let opened = self.events.open(&self.common, tenant).map(|open| open.shelf.clone());
            let shelf = self.lake.noted(tenant, &EVENTS, opened)?;
            self.lake.change(tenant, |tables| tables.events = Some(shelf));
        }
        Ok(self.events.find(tenant).expect("the table was opened"))
    }
}

/// The least of the places of what waits and of what is not taken; where there is neither, everything that was read.
fn least(waits: Option<Lsn>, held: Option<Lsn>, read: Lsn) -> Lsn {
    waits.into_iter().chain(held).fold(read, Lsn::min)
}

/// Nothing where a table cannot be opened, which costs what comes for it and nothing else.
fn unless_broken<T>(opened: Result<T, Error>) -> Result<Option<T>, Error> {
    match opened {
        Err(Error::Broken { .. }) => Ok(None),
        opened => opened.map(Some),
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whoever opens the lake next must be the only one who writes. What failed is tried again by them.
        let _ = self.wait();
    }
}

impl Lake {
    /// Runs a query over a tenant's tables, which can only be read.
    pub fn query(&self, tenant: &str, sql: &str, limits: query::Limits) -> Result<Answer, Error> {
        let views = self.views(tenant)?;
        self.shared.questions.ask(self, views, sql, limits)
    }

    /// A device's latest record, as the table `last` has it. It is in memory, so nobody waits for a question's turn.
    pub fn latest_record(&self, tenant: &str, device: &str) -> Option<Record> {
        let tables = self.shared.tenants.lock().expect("nobody panics holding it").get(tenant).cloned();
        tables?.records?.latest_record(device)
    }

    /// How many requests were made of the object store; `None` where the lake is in a folder.
    pub fn requests(&self) -> Option<Requests> {
        self.shared.place.requests()
    }

    /// Files that were found damaged since the process began, with why: when they were to be merged, written again, or
    /// looked at for what a device sent late. Those of others are among them whose rows cannot be written again as they are.
    pub fn damaged_files(&self) -> Vec<Unread> {
        self.shared.place.damaged()
    }

    /// Tables that lack something that the journal does not have any more: which places, and why.
    pub fn incomplete_tables(&self) -> Vec<BrokenTable> {
        self.shared.place.incomplete.lock().expect("nobody panics holding it").clone()
    }

    /// Waits for something that runs on the lake's threads, may ask an object store, and fail of it.
    pub(crate) fn ask<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let since = self.failures();
        self.wait(work).map_err(|error| self.explained(since, error))
    }

    /// A number to give to [`Lake::explained`].
    pub(crate) fn failures(&self) -> u64 {
        self.shared.place.failures()
    }

    /// An error as the object store's trouble, if it had any since then.
    pub(crate) fn explained(&self, since: u64, error: Error) -> Error {
        self.shared.place.explained(since, error)
    }

    /// How many files a tenant's table of records has, by day.
    pub fn files(&self, tenant: &str) -> BTreeMap<String, usize> {
        self.in_files(tenant).0.map(|view| view.files.by_day()).unwrap_or_default()
    }

    /// How many bytes a tenant's files have that are part of its tables.
    pub fn stored_bytes(&self, tenant: &str) -> u64 {
        self.table_bytes(tenant).iter().map(|(_, bytes)| bytes).sum()
    }

    /// The same, by table, of those that are there.
    pub fn table_bytes(&self, tenant: &str) -> Vec<(&'static str, u64)> {
        let tables = self.shared.tenants.lock().expect("nobody panics holding it").get(tenant).cloned();
        let Tenant { records, frames, events, .. } = tables.unwrap_or_default();
        let views = [
            (RECORDS.name, records.map(|it| it.files())),
            (FRAMES.name, frames.map(|it| it.files())),
            (EVENTS.name, events.map(|it| it.files())),
        ];
        views.into_iter().filter_map(|(name, view)| Some((name, view?.files.bytes()))).collect()
    }

    /// Waits for something that runs on the lake's threads.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.shared.runtime().block_on(work)
    }

    /// The tenants that have tables.
    pub fn tenants(&self) -> Vec<CompactString> {
        self.shared.tenants.lock().expect("nobody panics holding it").keys().cloned().collect()
    }

    pub(crate) fn views(&self, tenant: &str) -> Result<Views, Error> {
        let known = self.shared.tenants.lock().expect("nobody panics holding it").get(tenant).cloned();
        let Some(tables) = known else { return Ok(Views::default()) };
        if let Some((table, why)) = tables.broken.into_values().next() {
            return Err(Error::Broken { table, why });
        }
        Ok(Views {
            devices: tables.records.clone(),
            records: tables.records.map(|shelf| shelf.view()).transpose()?,
            frames: tables.frames.map(|shelf| shelf.view()).transpose()?,
            events: tables.events.map(|shelf| shelf.view()).transpose()?,
        })
    }

    /// Remembers why a table cannot be opened.
    fn noted<T>(&self, tenant: &str, shape: &'static Shape, opened: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Broken { table, why }) = &opened {
            let broken = (table.clone(), why.clone());
            self.change(tenant, |tables| {
                tables.broken.insert(shape.name, broken);
            });
        }
        opened
    }

    /// The tables that cannot be opened, and so have nothing of what came since.
    pub fn broken_tables(&self) -> Vec<BrokenTable> {
        let tenants = self.shared.tenants.lock().expect("nobody panics holding it");
        let each = tenants.iter().flat_map(|(tenant, tables)| {
            tables.broken.iter().map(|(table, (_, why))| BrokenTable {
                tenant: tenant.clone(),
                table,
                why: why.clone(),
            })
        });
        each.collect()
    }

    /// What files have of frames, of every tenant.
    pub(crate) fn frames_in_files(&self) -> Vec<View> {
        let tenants = self.shared.tenants.lock().expect("nobody panics holding it");
        tenants.values().filter_map(|tables| Some(tables.frames.as_ref()?.files())).collect()
    }

    /// What files have of a tenant's records and frames.
    pub(crate) fn in_files(&self, tenant: &str) -> (Option<View>, Option<View>) {
        let tenants = self.shared.tenants.lock().expect("nobody panics holding it");
        let Some(tables) = tenants.get(tenant) else { return (None, None) };
        (tables.records.as_ref().map(|shelf| shelf.files()), tables.frames.as_ref().map(|shelf| shelf.files()))
    }

    pub(crate) fn start(place: Place) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(LAKE_THREADS)
            .thread_name("lake")
            .on_thread_start(odograph_env::yield_to_others)
            .enable_all()
            .build()
            .map_err(|error| Error::Refused(format!("cannot start the lake's threads: {error}")))?;
        let tenants = Mutex::new(BTreeMap::new());
        Ok(Self {
            shared: Arc::new(Shared {
                runtime: Some(runtime),
                questions: Questions::start(place.on_questions)?,
                place,
                tenants,
            }),
        })
    }

    pub(crate) fn change(&self, tenant: &str, change: impl FnOnce(&mut Tenant)) {
        let mut tenants = self.shared.tenants.lock().expect("nobody panics holding it");
        change(tenants.entry(tenant.into()).or_default());
    }
}

impl Shared {
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until the end")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last one who lets go may be a thread that must not wait.
            runtime.shutdown_background();
        }
    }
}

/// A tenant's folder: its name, where that can be one on every file system, and hexadecimal digits else.
pub(crate) fn folder_name(tenant: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if !tenant.is_empty() && tenant.len() <= PLAIN_NAME_BYTES_MAX && tenant.bytes().all(plain) {
        return tenant.to_owned();
    }
    let digits: String = tenant.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{ENCODED}{digits}")
}

/// The tenant of a folder.
pub(crate) fn tenant_name(folder: &str) -> Option<String> {
    let Some(digits) = folder.strip_prefix(ENCODED) else {
        return (folder_name(folder) == folder).then(|| folder.to_owned());
    };
    let bytes: Option<Vec<u8>> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

/// Before the digits of a name that is written so.
const ENCODED: &str = "x.";
/// Folder names may have 255 bytes; encoded, this many and more take twice as many.
const PLAIN_NAME_BYTES_MAX: usize = 64;
/// A few hundred bytes of memory each: what a small machine can spare, twice, while they are sorted and encoded.
const FLUSH_ROWS: usize = 1 << 18;
/// The same, counted in bytes: four times as much while they are sorted and encoded.
const FLUSH_BYTES: usize = 32 << 20;
/// However many tenants there are.
const WAITING_BYTES_MAX: usize = 256 << 20;
/// The journal holds what waits, so this decides only how many small files there are.
const IN_TIME_FLUSH: Duration = Duration::from_secs(60);
/// A late row makes a file of its day: ten minutes of them make fewer.
const LATE_FLUSH: Duration = Duration::from_secs(600);
/// The journal has them until then, and is read again from here on after a crash.
const FRAMES_FLUSH: Duration = Duration::from_secs(300);
/// Days go once a day, files some hours after that: nothing here is urgent.
const CARE_EVERY: Duration = Duration::from_secs(600);
/// Records, frames, events.
const KINDS: usize = 3;
/// Each takes the memory of some flushes, and most of a core.
const WORK_AT_ONCE: usize = 2;
/// Enough to read and decompress on while one encodes.
const LAKE_THREADS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_found_by_its_folder_whatever_its_name() {
        for tenant in ["default", "a-b_c9", "", "..", "Größe/../x", "x.00", "UPPER", &"long".repeat(20)] {
            let folder = folder_name(tenant);
            assert!(!folder.contains('/') && folder != "." && folder != "..", "{folder}");
            assert_eq!(tenant_name(&folder).as_deref(), Some(tenant), "{folder}");
        }
        assert_eq!(tenant_name("NOT OURS"), None);
    }

    /// What the catalog allows a tenant to be called (`TENANT_ID_BYTES_MAX`).
    #[test]
    fn the_longest_name_is_one_that_a_folder_can_have() {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |tenant: &str| std::fs::create_dir(folder.path().join(folder_name(tenant)));
        make(&"я".repeat(63)).expect("126 bytes are possible");
        make(&"я".repeat(64)).expect_err("128 bytes are not");
    }
}
