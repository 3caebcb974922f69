//! What keeps a table small and quick to open, by itself: days that are not kept any more go, checkpoints are written, and
//! entries of the log and files that nobody needs are deleted. One bounded step at a time, so that a flush never waits long.

use crate::files::day_name;
use crate::table::{Change, Table, last_checkpoint};
use crate::underway::{self, Underway};
use crate::{Error, columns};
use deltalake::DeltaTable;
use deltalake::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
use deltalake::protocol::DeltaOperation;
use deltalake::table::state::DeltaTableState;
use futures::TryStreamExt as _;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use odograph_model::Time;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What a tenant keeps, in days before today; `None`: everything, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Records, by the day of their event time.
    pub records: Option<u32>,
    /// The journal's entries, by the day of their receipt.
    pub frames: Option<u32>,
    /// Events, by the day on which they began.
    pub events: Option<u32>,
}

/// How long what is not part of a table any more stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// Files: so long somebody may still read an older version of the table.
    pub files: Duration,
    /// Entries of the log: so long older versions are known.
    pub log: Duration,
}

impl Grace {
    /// As long as can be.
    pub(crate) const LONGEST: Self = Self {
        files: Duration::from_secs(REMOVALS_KNOWN_DAYS * DAY_SECONDS),
        log: Duration::from_secs(365 * DAY_SECONDS),
    };
}

impl Default for Grace {
    fn default() -> Self {
        Self { files: FILES_GRACE, log: LOG_GRACE }
    }
}

/// What a step of maintenance did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Step {
    /// Whether the table has another version now.
    pub(crate) changed: bool,
    /// Whether there may be more to do.
    pub(crate) more: bool,
}

impl Table {
    /// Takes the files out of the table that are of days before the `first` one that is kept, in a commit of their own.
    pub(crate) async fn retire(&mut self, first: i32, now: Time) -> Result<Step, Error> {
        self.settle().await?;
        // Days as the log has them sort as texts: four digits of the year, and none before the year 0.
        let first = day_name(first);
        let mut remove = self.paths_of(|day| day < first.as_str());
        if remove.is_empty() {
            return Ok(Step::default());
        }
        let _underway = Underway::begin(underway::RETENTION, self.name());
        let more = remove.len() > RETIRED_FILES_MAX;
        remove.truncate(RETIRED_FILES_MAX);
        let files = remove.len();
        let predicate = Some(format!("{} < '{first}'", columns::DAY));
        let operation = DeltaOperation::Delete { predicate };
        let change = Change { add: Vec::new(), schema: None, remove, cursor: None, changes_rows: true, operation, now };
        let changed = self.commit(&change).await?;
        tracing::info!(table = self.shape().name, files, before = first, "days that are not kept any more went");
        Ok(Step { changed, more })
    }

    /// Writes a checkpoint, if there were so many commits since the last one: opening the table reads that and what came
    /// after it.
    pub(crate) async fn write_checkpoint(&mut self, commits: u64) -> Result<Step, Error> {
        self.settle().await?;
        let version = self.version();
        if version < self.checkpoint.saturating_add(commits) {
            return Ok(Step::default());
        }
        if self.place().is_shared() {
            // Another node may have written one.
            self.checkpoint = self.checkpoint.max(last_checkpoint(&self.log).await);
            if version < self.checkpoint.saturating_add(commits) {
                return Ok(Step::default());
            }
        }
        let _underway = Underway::begin(underway::CHECKPOINT, self.name());
        let mut table = DeltaTable::new(self.log.clone());
        table.state = Some(DeltaTableState::new(self.snapshot.clone()));
        create_checkpoint(&table, None).await.map_err(self.failed("summed up"))?;
        self.checkpoint = version;
        Ok(Step { changed: false, more: true })
    }

    /// Deletes entries of the log that a checkpoint stands for, and that are older than `grace`.
    pub(crate) async fn clean_log(&mut self, grace: Duration, now: Time) -> Result<Step, Error> {
        self.settle().await?;
        let before = before(now, grace).0;
        let _underway = Underway::begin(underway::LOG_CLEANUP, self.name());
        let cleaned = cleanup_expired_logs_for(self.version(), self.log.as_ref(), before, None).await;
        if cleaned.map_err(self.failed("tidied up"))? > 0 {
            // What is known may refer to entries that are gone.
            self.is_doubtful = true;
            self.settle().await?;
        }
        Ok(Step::default())
    }

    /// Deletes files that have not been part of the table for `grace`: those that went, and those that never became part of
    /// it. `oldest` is the oldest version that somebody here reads: what belonged to that stays. What somebody else commits
    /// after [`Table::catch_up`] is younger than any grace.
    pub(crate) async fn vacuum(&mut self, grace: Duration, oldest: u64, now: Time) -> Result<Step, Error> {
        self.settle().await?;
        let went = self.went().await?;
        let there: HashSet<String> =
            self.snapshot.log_data().iter().map(|file| file.object_store_path().to_string()).collect();
        let store = self.store();
        let objects: Vec<ObjectMeta> = store.list(None).try_collect().await?;
        let grace = grace.min(Duration::from_secs(REMOVALS_KNOWN_DAYS * DAY_SECONDS));
        let before = before(self.time_there(now, &objects), grace);
        let entries = objects.iter().filter(|object| object.location.as_ref().starts_with(LOG));
        let oldest_entry = entries.map(|entry| entry.last_modified).min();
        let is_useless = |object: &&ObjectMeta| {
            let path = object.location.as_ref();
            // What is older than all that is left of the log was not written under it: by an earlier log, perhaps, that
            // was lost. What is known to have gone was.
            let is_ours = went.contains_key(path)
                || self.gone.contains_key(path)
                || oldest_entry.is_none_or(|entry| object.last_modified >= entry);
            // Of a file that went, the log says when; one that never came is as old as it is.
            let since = went.get(path).copied().unwrap_or(object.last_modified.timestamp_millis());
            let is_read = self.gone.get(path).is_some_and(|version| *version > oldest);
            is_data(path) && is_ours && !there.contains(path) && !is_read && since <= before.0
        };
        let mut useless: Vec<_> = objects.iter().filter(is_useless).map(|object| object.location.clone()).collect();
        let more = useless.len() > VACUUMED_FILES_MAX;
        useless.truncate(VACUUMED_FILES_MAX);
        let _underway = (!useless.is_empty()).then(|| Underway::begin(underway::VACUUM, self.name()));
        for location in &useless {
            match store.delete(location).await {
                Err(object_store::Error::NotFound { .. }) => {}
                deleted => deleted?,
            }
            self.gone.remove(location.as_ref());
        }
        if !useless.is_empty() {
            tracing::debug!(table = self.shape().name, files = useless.len(), "files that nobody needs were deleted");
        }
        Ok(Step { changed: false, more })
    }

    /// What time it is by the clock that the ages of files are from. An object store has its own, and others write there:
    /// were ours ahead, a file that another node is about to commit would look old. There it is at least the time of the
    /// youngest object, and is taken for no more than that.
    fn time_there(&self, now: Time, objects: &[ObjectMeta]) -> Time {
        if !self.place().is_shared() {
            return now;
        }
        let youngest = objects.iter().map(|object| object.last_modified.timestamp_millis()).max();
        youngest.map_or(now, |youngest| now.min(Time(youngest)))
    }

    /// Its files, as objects.
    pub(crate) fn object_paths(&self) -> Vec<String> {
        self.snapshot.log_data().iter().map(|file| file.object_store_path().to_string()).collect()
    }

    /// The files that went, as far as the log still knows of them.
    pub(crate) async fn went_paths(&self) -> Result<std::collections::BTreeSet<String>, Error> {
        Ok(self.went().await?.into_keys().collect())
    }

    /// When files went that the log still knows of.
    async fn went(&self) -> Result<HashMap<String, i64>, Error> {
        let state = DeltaTableState::new(self.snapshot.clone());
        let mut went = HashMap::new();
        let mut tombstones = state.all_tombstones(self.log.as_ref());
        while let Some(tombstone) = tombstones.try_next().await.map_err(self.failed("read"))? {
            if let Some(at) = tombstone.deletion_timestamp() {
                went.insert(tombstone.path().into_owned(), at);
            }
        }
        Ok(went)
    }
}

/// Whether a path is that of a file with rows.
pub(crate) fn is_data(path: &str) -> bool {
    path.starts_with(PARTITION) && path.ends_with(ENDING)
}

fn before(now: Time, grace: Duration) -> Time {
    now.plus_ms(-i64::try_from(grace.as_millis()).unwrap_or(i64::MAX))
}

const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Opening a table reads so many entries of its log at most, and a checkpoint.
pub(crate) const CHECKPOINT_COMMITS: u64 = 100;
/// A query takes a minute at most; who reads the files with a program of their own has a day.
const FILES_GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// Small: entries of a few hundred bytes.
const LOG_GRACE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longer than anyone reads an old version; nobody can set more.
pub(crate) const REMOVALS_KNOWN_DAYS: u64 = 30;
/// A commit of so many removals is some hundred kilobytes.
const RETIRED_FILES_MAX: usize = 1000;
/// So many files are deleted in a second or so, each with its folder's flush.
const VACUUMED_FILES_MAX: usize = 200;
/// What the paths of data files begin with.
const PARTITION: &str = "day=";
const ENDING: &str = ".parquet";
/// What the paths of a log's entries begin with.
const LOG: &str = "_delta_log/";
