//! All tenants' history: opened by whoever reads, written by one.

use crate::rows::Row;
use crate::table::Table;
use crate::tenant::{Stream, Tenant, View};
use crate::{Error, Place, Requests, query};
use compact_str::CompactString;
use hashbrown::HashMap;
use odograph_env::{Clock, Disk};
use odograph_model::{Lsn, RecordId, Time};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;

/// When rows become files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The node whose journal is read.
    pub node: u16,
    /// So many rows of a stream are written at once, at the latest.
    pub flush_rows: usize,
    /// A row of the day waits at most so long.
    pub in_time_flush: Duration,
    /// A late row waits at most so long.
    pub late_flush: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { node: 0, flush_rows: FLUSH_ROWS, in_time_flush: IN_TIME_FLUSH, late_flush: LATE_FLUSH }
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
    place: Place,
    tenants: Mutex<BTreeMap<CompactString, Arc<Tenant>>>,
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
    /// Whether there are records whose claim could not be.
    pub wrong_clock: bool,
}

/// The one who writes.
pub struct Writer {
    lake: Lake,
    clock: Arc<dyn Clock>,
    place: Place,
    options: Options,
    tables: HashMap<CompactString, Open>,
}

/// A tenant's table, open for writing.
struct Open {
    table: Table,
    tenant: Arc<Tenant>,
    /// What is in the table, by stream.
    cursors: [Lsn; 2],
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
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(LAKE_THREADS)
            .thread_name("lake")
            .on_thread_start(odograph_env::yield_to_others)
            .enable_all()
            .build()
            .map_err(|error| Error::Refused(format!("cannot start the lake's threads: {error}")))?;
        let shared = Shared { runtime: Some(runtime), place: place.clone(), tenants: Mutex::new(BTreeMap::new()) };
        let lake = Lake { shared: Arc::new(shared) };
        let mut writer = Self { lake, clock, place, options, tables: HashMap::new() };
        // What an earlier process was writing when it ended.
        writer.place.clean()?;
        for tenant in writer.tenants()? {
            writer.table(&tenant)?;
        }
        Ok(writer)
    }

    /// The lake, for reading.
    pub fn lake(&self) -> Lake {
        self.lake.clone()
    }

    /// Adds a row that came from the journal's entry at `place`, and that the table does not have: see [`Writer::has`].
    pub fn push(&mut self, tenant: &str, row: &Row<'_>, place: Lsn) -> Result<(), Error> {
        let now = self.clock.monotonic();
        self.table(tenant)?.tenant.push(row, place, now)
    }

    /// Whether the table has the row from an earlier run of whoever reads the journal.
    pub fn has(&mut self, tenant: &str, row: &Row<'_>, place: Lsn) -> Result<bool, Error> {
        Ok(place < self.table(tenant)?.cursors[Stream::of(row) as usize])
    }

    /// The ids of a device's records of a day (since 1970, UTC, of the event time).
    pub fn ids_of_day(&mut self, tenant: &str, device: &str, day: i32) -> Result<Vec<RecordId>, Error> {
        let tenant = self.table(tenant)?.tenant.clone();
        let mut ids = tenant.hot_ids(device, Some(day));
        ids.extend(self.lake.ask(query::ids_of_day(tenant.files(), device, day))?);
        Ok(ids)
    }

    /// The ids of a device's records that have their time of receipt as event time, because the device's clock was wrong;
    /// others may be among them.
    pub fn ids_of_wrong_clock(&mut self, tenant: &str, device: &str) -> Result<Vec<RecordId>, Error> {
        let tenant = self.table(tenant)?.tenant.clone();
        let mut ids = tenant.hot_ids(device, None);
        ids.extend(self.lake.ask(query::ids_of_wrong_clock(tenant.files(), device))?);
        Ok(ids)
    }

    /// Up to where there are records of each device, by the files.
    pub fn latest(&mut self) -> Result<Vec<Latest>, Error> {
        let mut latest = Vec::new();
        for (tenant, open) in &self.tables {
            let files = open.tenant.files();
            latest.extend(self.lake.ask(query::latest(files, tenant))?);
        }
        Ok(latest)
    }

    /// Everything before this place is in files, durably, if everything before `read` was given to [`Writer::push`].
    pub fn committed(&self, read: Lsn) -> Lsn {
        let waiting = self.tables.values().flat_map(|open| Stream::ALL.map(|stream| open.tenant.waiting(stream).1));
        waiting.flatten().map(|first| first.place).fold(read, Lsn::min)
    }

    /// Makes files of what is due, or of all that waits, and returns how many commits that took. Everything in the
    /// journal before `read` was given to [`Writer::push`].
    ///
    /// # Errors
    ///
    /// When files cannot be written or committed. What did not become files still waits.
    pub fn flush(&mut self, read: Lsn, all: bool) -> Result<usize, Error> {
        let mut commits = 0;
        let (now, today, options) = (self.clock.monotonic(), Time(self.clock.now()), self.options);
        for open in self.tables.values_mut() {
            for stream in Stream::ALL {
                let (count, first) = open.tenant.waiting(stream);
                let Some(first) = first else { continue };
                let waited = now.saturating_sub(first.since);
                if !all && count < options.flush_rows && waited < options.longest(stream) {
                    continue;
                }
                let flush = open.tenant.flush(&mut open.table, stream, options.node, read, today);
                self.lake.ask(flush)?;
                open.cursors[stream as usize] = read;
                commits += 1;
                // One at a time: what is left is looked at after the next commit.
                let compact = open.tenant.compact(&mut open.table, today);
                commits += usize::from(self.lake.ask(compact)?);
            }
        }
        Ok(commits)
    }

    fn table(&mut self, tenant: &str) -> Result<&mut Open, Error> {
        // Looked up twice, because the borrow of a found entry would last for the whole function.
        if !self.tables.contains_key(tenant) {
            let opened = self.open_table(tenant)?;
            self.tables.insert(tenant.into(), opened);
        }
        Ok(self.tables.get_mut(tenant).expect("the table was opened"))
    }

    fn open_table(&self, name: &str) -> Result<Open, Error> {
        let at = self.place.table(&[&folder_name(name), RECORDS])?;
        let table = self.lake.ask(Table::open(at, self.options.node))?;
        let mut cursors = [Lsn(0); 2];
        for stream in Stream::ALL {
            let cursor = self.lake.ask(table.cursor(&stream.application(self.options.node)))?;
            cursors[stream as usize] = cursor.unwrap_or_default();
        }
        let tenant = Arc::new(self.lake.ask(Tenant::new(&table))?);
        self.lake.shared.tenants.lock().expect("nobody panics holding it").insert(name.into(), tenant.clone());
        Ok(Open { table, tenant, cursors })
    }

    fn tenants(&self) -> Result<Vec<String>, Error> {
        let names = self.lake.ask(self.place.names())?;
        Ok(names.iter().filter_map(|name| tenant_name(name)).collect())
    }
}

impl Options {
    const fn longest(&self, stream: Stream) -> Duration {
        match stream {
            Stream::InTime => self.in_time_flush,
            Stream::Late => self.late_flush,
        }
    }
}

impl Lake {
    /// Runs a query over a tenant's tables, which can only be read.
    pub fn query(&self, tenant: &str, sql: &str, limits: query::Limits) -> Result<query::Answer, Error> {
        let view = self.view(tenant)?;
        self.ask(query::run(self.clone(), view, sql, limits))
    }

    /// How many requests were made of the object store; `None` where the lake is in a folder.
    pub fn requests(&self) -> Option<Requests> {
        self.shared.place.requests()
    }

    /// As [`Lake::wait`], for what may ask an object store, and fail of it.
    pub(crate) fn ask<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let since = self.shared.place.failures();
        self.wait(work).map_err(|error| self.shared.place.explained(since, error))
    }

    /// Waits for something that runs on the lake's threads.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.shared.runtime().block_on(work)
    }

    fn view(&self, tenant: &str) -> Result<Option<View>, Error> {
        let known = self.shared.tenants.lock().expect("nobody panics holding it").get(tenant).cloned();
        known.map(|tenant| tenant.view()).transpose()
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
fn folder_name(tenant: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if !tenant.is_empty() && tenant.len() <= PLAIN_NAME_BYTES_MAX && tenant.bytes().all(plain) {
        return tenant.to_owned();
    }
    let digits: String = tenant.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{ENCODED}{digits}")
}

/// The tenant of a folder.
fn tenant_name(folder: &str) -> Option<String> {
    let Some(digits) = folder.strip_prefix(ENCODED) else {
        return (folder_name(folder) == folder).then(|| folder.to_owned());
    };
    let bytes: Option<Vec<u8>> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

/// The folder of the table of records.
const RECORDS: &str = "records";
/// Before the digits of a name that is written so.
const ENCODED: &str = "x.";
/// Folder names may have 255 bytes; encoded, this many and more take twice as many.
const PLAIN_NAME_BYTES_MAX: usize = 64;
/// A few hundred bytes of memory each: what a small machine can spare, twice, while they are sorted and encoded.
const FLUSH_ROWS: usize = 1 << 18;
/// The journal holds what waits, so this decides only how many small files there are.
const IN_TIME_FLUSH: Duration = Duration::from_secs(60);
/// A late row makes a file of its day: ten minutes of them make fewer.
const LATE_FLUSH: Duration = Duration::from_secs(600);
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
}
