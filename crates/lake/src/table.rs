//! One Delta table: opened or created, and committed to, files and cursor in one step.

use crate::compaction::Part;
use crate::maintenance::{CHECKPOINT_COMMITS, REMOVALS_KNOWN_DAYS};
use crate::shape::Shape;
use crate::source::{self, Files, Footers};
use crate::{DiskStore, Error, columns};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{
    Action, Add, EagerSnapshot, LogicalFileView, MetadataExt as _, Remove, StructType, Transaction,
};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore, get_actions};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::DeltaOperation;
use deltalake::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use odograph_env::Disk;
use odograph_model::{Lsn, Time};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// A table, for its one writer.
pub(crate) struct Table {
    /// For errors.
    name: String,
    shape: &'static Shape,
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    pub(super) log: LogStoreRef,
    pub(super) snapshot: EagerSnapshot,
    schema: SchemaRef,
    /// Somebody else's commit came between, or one of ours failed in a way that leaves open whether it is there.
    pub(super) is_doubtful: bool,
    /// The version of the last checkpoint.
    pub(super) checkpoint: u64,
    /// The version at which a file stopped being part of the table, for files that went while it was open.
    pub(super) gone: HashMap<String, u64>,
    /// Files that are not to be merged again: with another one, they would not fit into memory.
    pub(crate) large: HashSet<String>,
    /// What was read of files' ends.
    footers: Arc<Footers>,
}

/// What a commit does, all of it or nothing.
pub(crate) struct Change {
    /// Files that come.
    pub(crate) add: Vec<Add>,
    /// Their columns.
    pub(crate) schema: Option<SchemaRef>,
    /// Files that go.
    pub(crate) remove: Vec<String>,
    /// The table holds all of a stream before this place.
    pub(crate) cursor: Option<(String, Lsn)>,
    /// Whether there are other rows than before.
    pub(crate) changes_rows: bool,
    /// For the table's history.
    pub(crate) operation: DeltaOperation,
    /// When.
    pub(crate) now: Time,
}

impl Table {
    /// Opens the table in a folder, or makes it.
    pub(crate) async fn open(disk: &Arc<dyn Disk>, folder: &Path, shape: &'static Shape) -> Result<Self, Error> {
        let (name, log) = (folder.display().to_string(), log_of(disk, folder)?);
        if !log.is_delta_table_location().await.map_err(failed(&name, "opened"))? {
            create(&log, shape).await.map_err(failed(&name, "created"))?;
        }
        Self::load(disk, folder, shape, log).await
    }

    /// Opens the table in a folder, if there is one.
    pub(crate) async fn find(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        shape: &'static Shape,
    ) -> Result<Option<Self>, Error> {
        let (name, log) = (folder.display().to_string(), log_of(disk, folder)?);
        if !log.is_delta_table_location().await.map_err(failed(&name, "opened"))? {
            return Ok(None);
        }
        Self::load(disk, folder, shape, log).await.map(Some)
    }

    async fn load(disk: &Arc<dyn Disk>, folder: &Path, shape: &'static Shape, log: LogStoreRef) -> Result<Self, Error> {
        let name = folder.display().to_string();
        let snapshot = latest(&name, &**disk, folder, &log).await?;
        let schema = snapshot.arrow_schema();
        let checkpoint = last_checkpoint(&log).await;
        let (disk, folder) = (disk.clone(), folder.to_owned());
        let (gone, large) = (HashMap::new(), HashSet::new());
        let (is_doubtful, footers) = (false, source::footers());
        let mut table =
            Self { name, shape, disk, folder, log, snapshot, schema, is_doubtful, checkpoint, gone, large, footers };
        table.look()?;
        Ok(table)
    }

    /// Keeps what it reads of files' ends where others do too.
    pub(crate) fn sharing(self, footers: &Arc<Footers>) -> Self {
        Self { footers: footers.clone(), ..self }
    }

    /// Its name, for people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What kind it is.
    pub(crate) const fn shape(&self) -> &'static Shape {
        self.shape
    }

    /// The columns: the fixed ones first, then the others in the order in which they appeared.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Where its files are.
    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        self.log.object_store(None)
    }

    /// Everything of `stream` before this place is in the table.
    pub(crate) async fn cursor(&self, stream: &str) -> Result<Option<Lsn>, Error> {
        let version = self.snapshot.transaction_version(&self.log, stream).await;
        Ok(version.map_err(failed(&self.name, "read"))?.map(|version| Lsn(version.cast_unsigned())))
    }

    /// Makes a change, durably. Returns whether it was made now: not, where it was made before, or where somebody else
    /// has taken away what it would.
    ///
    /// Only a commit right behind the version that is known counts. Where somebody else's came between, what is there now
    /// is looked at first.
    pub(crate) async fn commit(&mut self, change: &Change) -> Result<bool, Error> {
        for _ in 0..COMMIT_TRIES_MAX {
            self.settle().await?;
            if !self.can(change).await? {
                return Ok(false);
            }
            match self.try_commit(change).await {
                Ok(()) => return Ok(true),
                Err(Failed::Overtaken) => {
                    self.is_doubtful = true;
                    tracing::warn!(table = self.name, "somebody else wrote to the table: looking at it again");
                }
                Err(Failed::Other(error)) => {
                    self.is_doubtful = true;
                    return Err(error);
                }
            }
        }
        Err(Error::Refused(format!("somebody else writes to the table {} all the time", self.name)))
    }

    /// Looks at what is there, where that is not known for sure.
    pub(crate) async fn settle(&mut self) -> Result<(), Error> {
        if !self.is_doubtful {
            return Ok(());
        }
        let before = self.paths();
        self.snapshot = latest(&self.name, &*self.disk, &self.folder, &self.log).await?;
        let now: HashSet<String> = self.paths().into_iter().collect();
        let version = self.version();
        self.gone.extend(before.into_iter().filter(|path| !now.contains(path)).map(|path| (path, version)));
        self.schema = self.snapshot.arrow_schema();
        self.look()?;
        self.is_doubtful = false;
        Ok(())
    }

    /// Looks whether somebody else wrote to the table. Returns whether that was so.
    pub(crate) async fn catch_up(&mut self) -> Result<bool, Error> {
        self.settle().await?;
        let latest = self.log.get_latest_version(self.version()).await.map_err(self.failed("read"))?;
        self.is_doubtful = latest > self.version();
        let is_other = self.is_doubtful;
        self.settle().await?;
        Ok(is_other)
    }

    async fn can(&self, change: &Change) -> Result<bool, Error> {
        if let Some((stream, until)) = &change.cursor
            && self.cursor(stream).await?.is_some_and(|reached| reached >= *until)
        {
            return Ok(false);
        }
        if change.remove.is_empty() {
            return Ok(true);
        }
        let there: HashSet<String> = self.paths().into_iter().collect();
        Ok(change.remove.iter().all(|path| there.contains(path)))
    }

    async fn try_commit(&mut self, change: &Change) -> Result<(), Failed> {
        let changed = |add: &Add| Action::Add(Add { data_change: change.changes_rows, ..add.clone() });
        let mut actions: Vec<Action> = change.add.iter().map(changed).collect();
        let mut grown = self.schema.clone();
        if let Some(schema) = &change.schema {
            grown = columns::merged(&self.schema, schema);
        }
        if grown.fields().len() > self.schema.fields().len() {
            let metadata = self.snapshot.metadata().clone().with_schema(&kernel_schema(&grown)?);
            actions.push(Action::Metadata(metadata.map_err(|error| failed(&self.name, "changed")(error.into()))?));
        }
        actions.extend(self.removals(change));
        let mut properties = CommitProperties::default()
            // Somebody else's commit is looked at before ours is tried again.
            .with_max_retries(0)
            // Both are steps of their own: a commit that was made must not fail for them.
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false));
        if let Some((stream, until)) = &change.cursor {
            properties = properties.with_application_transaction(Transaction::new(stream, until.0.cast_signed()));
        }
        let commit = CommitBuilder::from(properties).with_actions(actions);
        let done = commit.build(Some(&self.snapshot), self.log.clone(), change.operation.clone()).await;
        let state = done.map_err(|error| Failed::of(&self.name, error))?.snapshot();
        self.snapshot = state.snapshot().clone();
        self.schema = grown;
        let version = self.version();
        self.gone.extend(change.remove.iter().map(|path| (path.clone(), version)));
        Ok(())
    }

    fn removals(&self, change: &Change) -> Vec<Action> {
        let files = self.snapshot.log_data();
        let remove: HashSet<&str> = change.remove.iter().map(String::as_str).collect();
        let gone = files.iter().filter(|file| remove.contains(&*file.path()));
        let removal = |file: LogicalFileView| {
            let deletion_timestamp = Some(change.now.0);
            Action::Remove(Remove { deletion_timestamp, ..file.remove_action(change.changes_rows) })
        };
        gone.map(removal).collect()
    }

    /// Its files, but those of which the log does not say enough.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let parts = self.snapshot.log_data();
        let part = |file: LogicalFileView| {
            let bytes = usize::try_from(file.size()).ok()?;
            Some(Part { path: file.path().into_owned(), day: day_of(&file)?, rows: file.num_records()?, bytes })
        };
        parts.iter().filter_map(part).collect()
    }

    /// The paths of its files, all of them.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.snapshot.log_data().iter().map(|file| file.path().into_owned()).collect()
    }

    /// The paths of its files of days that `wanted` says, by the day as the log has it.
    pub(crate) fn paths_of(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let files = self.snapshot.log_data();
        let of_days = files.iter().filter(|file| day_of(file).is_some_and(|day| wanted(&day)));
        of_days.map(|file| file.path().into_owned()).collect()
    }

    /// Some of its files as a table that can be queried.
    pub(crate) fn part(&self, paths: &[String]) -> Result<Arc<Files>, Error> {
        self.files(Some(paths))
    }

    /// The files that the commit of a version added with rows that no file had before. `None`: that cannot be told any
    /// more, or the commit also took rows away for them.
    pub(crate) async fn added(&self, version: u64) -> Result<Option<Option<Arc<Files>>>, Error> {
        let entry = self.log.read_commit_entry(version).await.map_err(failed(&self.name, "read"))?;
        let Some(entry) = entry else { return Ok(None) };
        let (mut adds, mut rewritten) = (Vec::new(), false);
        for action in get_actions(version, &entry).map_err(failed(&self.name, "read"))? {
            match action {
                Action::Add(add) if add.data_change => adds.push(add),
                Action::Remove(remove) => rewritten |= remove.data_change,
                _ => {}
            }
        }
        if rewritten && !adds.is_empty() {
            return Ok(None);
        }
        Ok(Some(Files::added(&self.log, &self.schema, self.shape.time, &adds, &self.footers)?.map(Arc::new)))
    }

    /// The version of the table: how many commits there were before.
    pub(crate) fn version(&self) -> u64 {
        self.snapshot.version()
    }

    /// The files as a table that can be queried.
    pub(crate) fn provider(&self) -> Result<Arc<Files>, Error> {
        self.files(None)
    }

    fn files(&self, only: Option<&[String]>) -> Result<Arc<Files>, Error> {
        let (schema, time) = (&self.schema, self.shape.time);
        Ok(Arc::new(Files::new(&self.log, &self.snapshot, schema, time, only, &self.footers)?))
    }

    /// For errors.
    pub(super) fn failed(&self, doing: &'static str) -> impl Fn(DeltaTableError) -> Error {
        failed(&self.name, doing)
    }

    /// Looks whether the columns are what such rows have (anyone may write to the folder), and puts them in order: the
    /// partition's column stands last in what deltalake tells.
    fn look(&mut self) -> Result<(), Error> {
        let fixed = (self.shape.fixed)();
        for own in &fixed {
            let found = self.schema.field_with_name(own.name()).ok().map(Field::data_type);
            if !found.is_some_and(|found| own.data_type().equals_datatype(found)) {
                let (table, column, wanted) = (self.name.clone(), own.name().clone(), own.data_type().to_string());
                let found = found.map_or_else(|| "not there".to_owned(), ToString::to_string);
                return Err(Error::Column { table, column, found, wanted });
            }
        }
        self.schema = columns::merged(&Arc::new(Schema::new(fixed)), &self.schema);
        Ok(())
    }
}

/// Why a try to commit failed.
enum Failed {
    /// It was not made: somebody else's came between.
    Overtaken,
    /// Nobody knows whether it was made.
    Other(Error),
}

impl Failed {
    fn of(table: &str, error: DeltaTableError) -> Self {
        let overtaken = match &error {
            DeltaTableError::VersionAlreadyExists(_) => true,
            DeltaTableError::Transaction { source } => matches!(
                source,
                TransactionError::MaxCommitAttempts(_)
                    | TransactionError::VersionAlreadyExists(_)
                    | TransactionError::CommitConflict(_)
            ),
            _ => false,
        };
        if overtaken { Self::Overtaken } else { Self::Other(failed(table, "written")(error)) }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

fn day_of(file: &LogicalFileView) -> Option<String> {
    file.partition_values_map().remove(columns::DAY).flatten()
}

fn log_of(disk: &Arc<dyn Disk>, folder: &Path) -> Result<LogStoreRef, Error> {
    let own: Arc<dyn ObjectStore> = Arc::new(DiskStore::new(disk.clone(), folder));
    let root: Arc<dyn ObjectStore> = Arc::new(DiskStore::new(disk.clone(), Path::new("/")));
    Ok(default_logstore(own, root, &location(folder)?, &StorageConfig::default()))
}

/// The table as it is. A process that was killed, or a flush that failed, may have left the last commit with a name that
/// is not durable: what is believed of it must still be there after a power cut.
async fn latest(name: &str, disk: &dyn Disk, folder: &Path, log: &LogStoreRef) -> Result<EagerSnapshot, Error> {
    disk.sync_folder(&folder.join("_delta_log")).map_err(|source| Error::Folder { source })?;
    let mut table = DeltaTable::new(log.clone());
    table.load().await.map_err(failed(name, "opened"))?;
    Ok(table.snapshot().map_err(failed(name, "opened"))?.snapshot().clone())
}

/// The version of the last checkpoint; 0 where that is not known: then one is written sooner than need be.
async fn last_checkpoint(log: &LogStoreRef) -> u64 {
    use object_store::ObjectStoreExt as _;
    let read = async {
        let hint = log.object_store(None).get(&log.log_path().clone().join("_last_checkpoint")).await.ok()?;
        let hint: serde_json::Value = serde_json::from_slice(&hint.bytes().await.ok()?).ok()?;
        hint["version"].as_u64()
    };
    read.await.unwrap_or(0)
}

/// A folder as the table's location. The scheme is ours: for files, the library would look at the disk past our own.
fn location(folder: &Path) -> Result<Url, Error> {
    let no = || Error::Refused(format!("{} is no absolute path", folder.display()));
    let file = Url::from_directory_path(folder).map_err(|()| no())?;
    Url::parse(&format!("odograph://lake{}", file.path())).map_err(|_| no())
}

async fn create(log: &LogStoreRef, shape: &Shape) -> Result<DeltaTable, DeltaTableError> {
    let schema: StructType = (&Schema::new((shape.fixed)())).try_into_kernel()?;
    CreateBuilder::new()
        .with_log_store(log.clone())
        .with_columns(schema.fields().cloned())
        .with_partition_columns([columns::DAY])
        // The first two columns: a reader chooses files by device and time.
        .with_configuration([
            ("delta.dataSkippingNumIndexedCols".to_owned(), Some("2".to_owned())),
            // A checkpoint remembers so long when a file went.
            ("delta.deletedFileRetentionDuration".to_owned(), Some(format!("interval {REMOVALS_KNOWN_DAYS} days"))),
            // For others who write to it; we do both ourselves.
            ("delta.checkpointInterval".to_owned(), Some(CHECKPOINT_COMMITS.to_string())),
            ("delta.logRetentionDuration".to_owned(), Some("interval 7 days".to_owned())),
        ])
        .await
}

fn kernel_schema(schema: &SchemaRef) -> Result<StructType, Error> {
    let converted: StructType = schema.as_ref().try_into_kernel()?;
    Ok(converted)
}

fn failed(table: &str, doing: &'static str) -> impl Fn(DeltaTableError) -> Error {
    move |source| Error::Table { table: table.to_owned(), doing, source: Box::new(source) }
}

/// Somebody who writes to the table as well is quicker now and then, not always.
const COMMIT_TRIES_MAX: usize = 16;
