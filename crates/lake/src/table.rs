//! One Delta table: opened or created, and committed to, files and cursor in one step.

use crate::compaction::Part;
use crate::maintenance::{CHECKPOINT_COMMITS, REMOVALS_KNOWN_DAYS};
use crate::place::{Owner, Place, TablePlace};
use crate::shape::Shape;
use crate::source::{self, Files, Footers};
use crate::tenant::application;
use crate::underway::{self, Underway};
use crate::{Error, columns};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, PROTOCOL, TransactionError};
use deltalake::kernel::{
    Action, Add, EagerSnapshot, LogicalFileView, MetadataExt as _, Remove, StructType, Transaction,
};
use deltalake::logstore::{LogStoreRef, get_actions};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::DeltaOperation;
use deltalake::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use odograph_model::{Lsn, Time};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A table, for its one writer.
pub(crate) struct Table {
    shape: &'static Shape,
    at: TablePlace,
    node: u16,
    pub(super) log: LogStoreRef,
    pub(super) snapshot: EagerSnapshot,
    schema: SchemaRef,
    /// Somebody else's commit came between, or one of ours failed in a way that leaves open whether it is there.
    pub(super) is_doubtful: bool,
    /// The version of the last checkpoint.
    pub(super) checkpoint: u64,
    /// The version at which a file stopped being part of the table, for files that went while it was open.
    pub(super) gone: HashMap<String, u64>,
    /// Files that are not to be merged again: with another one, they would not fit into memory, or they cannot be at all.
    pub(crate) large: HashSet<String>,
    /// How many days that are over were merged one after the other.
    pub(crate) over_merges: usize,
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

/// What a commit added.
pub(crate) struct Added {
    /// The files with rows that no file had before.
    pub(crate) files: Option<Arc<Files>>,
    /// Whether a process of this node made it.
    pub(crate) is_own: bool,
}

impl Table {
    /// Opens the table at a place, or makes it.
    pub(crate) async fn open(at: TablePlace, node: u16, shape: &'static Shape) -> Result<Self, Error> {
        if !at.is_table().await? {
            Self::make(&at, shape).await?;
        }
        Self::load(at, node, shape).await
    }

    /// Makes it, where there is nothing of it: without their log, the files of an earlier one would be nobody's.
    async fn make(at: &TablePlace, shape: &'static Shape) -> Result<(), Error> {
        if let Some(found) = at.remains().await?
            // Another node may have made it just now.
            && !at.is_table().await?
        {
            return Err(Error::LogLost { table: at.name.clone(), found });
        }
        if let Err(error) = create(&at.log, shape).await
            // Another node may have made it just now.
            && !at.is_table().await?
        {
            return Err(failed(&at.name, "created")(error));
        }
        Ok(())
    }

    /// Opens the table at a place, if there is one.
    pub(crate) async fn find(at: TablePlace, node: u16, shape: &'static Shape) -> Result<Option<Self>, Error> {
        if !at.is_table().await? {
            return Ok(None);
        }
        Self::load(at, node, shape).await.map(Some)
    }

    async fn load(at: TablePlace, node: u16, shape: &'static Shape) -> Result<Self, Error> {
        let (log, was_claimed) = (at.log.clone(), at.place.is_claimed(&at.name));
        let snapshot = latest(&at).await?;
        let schema = snapshot.arrow_schema();
        let checkpoint = last_checkpoint(&log).await;
        let (gone, large) = (HashMap::new(), HashSet::new());
        let (is_doubtful, over_merges, footers) = (false, 0, source::footers());
        let mut table =
            Self { shape, at, node, log, snapshot, schema, is_doubtful, checkpoint, gone, large, over_merges, footers };
        table.check_features()?;
        table.look()?;
        table.check_owner(None, was_claimed).await?;
        Ok(table)
    }

    /// Keeps what it reads of files' ends where others do too.
    pub(crate) fn sharing(self, footers: &Arc<Footers>) -> Self {
        Self { footers: footers.clone(), ..self }
    }

    /// Its name, for people.
    pub(crate) fn name(&self) -> &str {
        &self.at.name
    }

    /// What its log says that it is: no two have that in common.
    pub(crate) fn id(&self) -> &str {
        self.snapshot.metadata().id()
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

    /// Where it is.
    pub(crate) const fn place(&self) -> &Place {
        &self.at.place
    }

    /// Everything of `stream` before this place is in the table.
    pub(crate) async fn cursor(&self, stream: &str) -> Result<Option<Lsn>, Error> {
        Ok(self.transaction(stream).await?.map(|version| Lsn(version.cast_unsigned())))
    }

    /// A name for files that no other process gives, and this one only until the commit that has them.
    pub(crate) fn file_name(&self, name: &str) -> String {
        match self.place().owner() {
            Some(owner) => format!("{name}-{:016x}", owner.writer),
            None => name.to_owned(),
        }
    }

    async fn transaction(&self, application: &str) -> Result<Option<i64>, Error> {
        self.snapshot.transaction_version(&self.log, application).await.map_err(self.failed("read"))
    }

    async fn writer(&self) -> Result<Option<i64>, Error> {
        match self.place().owner() {
            Some(_) => self.transaction(&application(self.node, WRITER)).await,
            None => Ok(None),
        }
    }

    /// Whether it is ours to write: not if its places are those of another journal, nor if another process wrote here
    /// under the same number since this one did, or since the last one that was known, `before`. Whether this one did is as it
    /// `was_claimed` before the table was read: what was written since by another thread of ours is not in it.
    async fn check_owner(&self, before: Option<Option<i64>>, was_claimed: bool) -> Result<(), Error> {
        let Some(owner) = self.place().owner() else { return Ok(()) };
        let (table, node) = (self.at.name.clone(), self.node);
        let journal = self.transaction(&application(node, JOURNAL)).await?;
        if journal.is_some_and(|journal| journal != number(owner.journal)) {
            return Err(Error::OtherJournal { table, node });
        }
        let writer = self.writer().await?;
        let is_ours = writer == Some(number(owner.writer));
        let came = before.is_some_and(|before| before != writer);
        if !is_ours && (came || was_claimed) {
            // For good: it is not to be taken for one that may go on, after it began anew.
            self.place().claim(&table);
            return Err(Error::TwoWriters { table, node });
        }
        if is_ours {
            self.place().claim(&table);
        }
        Ok(())
    }

    /// What a commit says of whose it is.
    fn marks(&self) -> Vec<Transaction> {
        let Some(Owner { writer, journal }) = self.place().owner() else { return Vec::new() };
        let mark = |what, value| Transaction::new(application(self.node, what), number(value));
        vec![mark(WRITER, writer), mark(JOURNAL, journal)]
    }

    /// Makes a change, durably. Returns whether it was made now: not, where it was made before, or where somebody else
    /// has taken away what it would.
    ///
    /// Only a commit right behind the version that is known counts. Where somebody else's came between, what is there now
    /// is looked at first.
    pub(crate) async fn commit(&mut self, change: &Change) -> Result<bool, Error> {
        let _underway = Underway::begin(underway::COMMIT, self.name());
        for _ in 0..COMMIT_TRIES_MAX {
            self.settle().await?;
            if !self.can(change).await? {
                return Ok(false);
            }
            match self.try_commit(change).await {
                Ok(()) => {
                    self.place().claim(&self.at.name);
                    return Ok(true);
                }
                Err(Failed::Overtaken) => {
                    self.is_doubtful = true;
                    tracing::warn!(table = self.at.name, "somebody else wrote to the table: looking at it again");
                }
                Err(Failed::Other(error)) => {
                    self.is_doubtful = true;
                    return Err(error);
                }
            }
        }
        Err(Error::Refused(format!("somebody else writes to the table {} all the time", self.at.name)))
    }

    /// Looks at what is there, where that is not known for sure.
    pub(crate) async fn settle(&mut self) -> Result<(), Error> {
        if !self.is_doubtful {
            return Ok(());
        }
        let (before, writer) = (self.paths(), self.writer().await?);
        let was_claimed = self.place().is_claimed(&self.at.name);
        self.snapshot = latest(&self.at).await?;
        let now: HashSet<String> = self.paths().into_iter().collect();
        let version = self.version();
        self.gone.extend(before.into_iter().filter(|path| !now.contains(path)).map(|path| (path, version)));
        self.check_features()?;
        self.schema = self.snapshot.arrow_schema();
        self.look()?;
        self.check_owner(Some(writer), was_claimed).await?;
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
            actions.push(Action::Metadata(metadata.map_err(|error| failed(&self.at.name, "changed")(error.into()))?));
        }
        actions.extend(self.removals(change));
        let mut properties = CommitProperties::default()
            // Somebody else's commit is looked at before ours is tried again.
            .with_max_retries(0)
            // Both are steps of their own: a commit that was made must not fail for them.
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false));
        let cursor = change.cursor.as_ref().map(|(stream, until)| Transaction::new(stream, until.0.cast_signed()));
        let transactions: Vec<Transaction> = cursor.into_iter().chain(self.marks()).collect();
        if !transactions.is_empty() {
            properties = properties.with_application_transactions(transactions);
        }
        let commit = CommitBuilder::from(properties).with_actions(actions);
        let done = commit.build(Some(&self.snapshot), self.log.clone(), change.operation.clone()).await;
        let state = done.map_err(|error| Failed::of(&self.at.name, error))?.snapshot();
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

    /// What the commit of a version added. `None`: that cannot be told any more, or the commit also took rows away for it.
    pub(crate) async fn added(&self, version: u64) -> Result<Option<Added>, Error> {
        let entry = self.log.read_commit_entry(version).await.map_err(failed(&self.at.name, "read"))?;
        let Some(entry) = entry else { return Ok(None) };
        let (mut adds, mut rewritten, mut is_own) = (Vec::new(), false, false);
        let own = application(self.node, "");
        for action in get_actions(version, &entry).map_err(failed(&self.at.name, "read"))? {
            match action {
                Action::Add(add) if add.data_change => adds.push(add),
                Action::Remove(remove) => rewritten |= remove.data_change,
                Action::Txn(of) => is_own |= of.app_id.starts_with(&own),
                _ => {}
            }
        }
        if rewritten && !adds.is_empty() {
            return Ok(None);
        }
        let files = Files::added(&self.log, &self.schema, self.shape.time, &adds, &self.footers)?.map(Arc::new);
        Ok(Some(Added { files, is_own }))
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
        Ok(Arc::new(Files::new(&self.at.name, &self.log, &self.snapshot, schema, time, only, &self.footers)?))
    }

    /// For errors.
    pub(super) fn failed(&self, doing: &'static str) -> impl Fn(DeltaTableError) -> Error {
        failed(&self.at.name, doing)
    }

    /// Looks whether somebody else set something of the table that we would break by writing to it.
    fn check_features(&self) -> Result<(), Error> {
        let name = &self.at.name;
        let refused = |features: String, remedy: String| Error::Features { table: name.clone(), features, remedy };
        let configuration = self.snapshot.metadata().configuration();
        if configuration.get(COLUMN_MAPPING).is_some_and(|mode| mode != "none") {
            let remedy =
                format!("in Spark: ALTER TABLE delta.`{name}` SET TBLPROPERTIES ('{COLUMN_MAPPING}' = 'none')");
            return Err(refused("columnMapping".to_owned(), remedy));
        }
        match PROTOCOL.can_write_to(&self.snapshot) {
            Ok(()) => Ok(()),
            Err(TransactionError::UnsupportedTableFeatures(features)) => {
                let mut names: Vec<String> = features.iter().map(ToString::to_string).collect();
                names.sort();
                let drop = |feature: &String| format!("ALTER TABLE delta.`{name}` DROP FEATURE {feature}");
                let remedy = names.iter().map(drop).collect::<Vec<_>>().join("; ");
                Err(refused(names.join(", "), format!("in Spark: {remedy}")))
            }
            Err(error) => Err(self.failed("written")(error.into())),
        }
    }

    /// Looks whether the columns are what such rows have (anyone may write to the folder), and puts them in order: the
    /// partition's column stands last in what deltalake tells.
    fn look(&mut self) -> Result<(), Error> {
        let fixed = (self.shape.fixed)();
        for own in &fixed {
            let found = self.schema.field_with_name(own.name()).ok().map(Field::data_type);
            if !found.is_some_and(|found| own.data_type().equals_datatype(found)) {
                let (table, column, wanted) = (self.at.name.clone(), own.name().clone(), own.data_type().to_string());
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

/// The table as it is. A process that was killed, or a flush that failed, may have left the last commit with a name that
/// is not durable: what is believed of it must still be there after a power cut.
pub(crate) async fn latest(at: &TablePlace) -> Result<EagerSnapshot, Error> {
    if let Some((disk, folder)) = &at.log_folder {
        disk.sync_folder(folder).map_err(|source| Error::Folder { source })?;
    }
    let mut table = DeltaTable::new(at.log.clone());
    table.load().await.map_err(failed(&at.name, "opened"))?;
    Ok(table.snapshot().map_err(failed(&at.name, "opened"))?.snapshot().clone())
}

/// The version of the last checkpoint; 0 where that is not known: then one is written sooner than need be.
pub(crate) async fn last_checkpoint(log: &LogStoreRef) -> u64 {
    use object_store::ObjectStoreExt as _;
    let read = async {
        let hint = log.object_store(None).get(&log.log_path().clone().join("_last_checkpoint")).await.ok()?;
        let hint: serde_json::Value = serde_json::from_slice(&hint.bytes().await.ok()?).ok()?;
        hint["version"].as_u64()
    };
    read.await.unwrap_or(0)
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

pub(crate) fn failed(table: &str, doing: &'static str) -> impl Fn(DeltaTableError) -> Error {
    move |cause| Error::Table { table: table.to_owned(), doing, cause: Box::new(cause) }
}

/// Versions of application transactions are signed.
const fn number(id: u64) -> i64 {
    (id & u64::MAX >> 1).cast_signed()
}

/// The property by which columns have other names in files than in the table.
const COLUMN_MAPPING: &str = "delta.columnMapping.mode";
/// The process that committed last.
const WRITER: &str = "writer";
/// The journal whose places the cursors are.
const JOURNAL: &str = "journal";
/// Somebody who writes to the table as well is quicker now and then, not always.
const COMMIT_TRIES_MAX: usize = 16;
