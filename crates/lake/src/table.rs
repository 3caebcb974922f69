//! One Delta table: opened or created, and committed to, files and cursor in one step.

use crate::compaction::Part;
use crate::place::{Owner, Place, TablePlace};
use crate::{Error, columns};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::TableProvider;
use deltalake::delta_datafusion::TableProviderBuilder;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::TransactionError;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, EagerSnapshot, LogicalFileView, MetadataExt as _, StructType, Transaction};
use deltalake::logstore::LogStoreRef;
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use odograph_model::Lsn;
use std::sync::Arc;

/// A table of records.
pub(crate) struct Table {
    /// For errors.
    name: String,
    log: LogStoreRef,
    place: Place,
    node: u16,
    snapshot: EagerSnapshot,
    schema: SchemaRef,
}

impl Table {
    /// Opens the table at a place, or makes it.
    pub(crate) async fn open(at: TablePlace, node: u16) -> Result<Self, Error> {
        let TablePlace { name, log, place, log_folder } = at;
        let mut table = DeltaTable::new(log.clone());
        if log.is_delta_table_location().await.map_err(failed(&name, "opened"))? {
            // A process that was killed between giving the last commit its name and making the name durable: it is there
            // now, and what is believed of it must still be there after a power cut.
            if let Some((disk, folder)) = log_folder {
                disk.sync_folder(&folder).map_err(|source| Error::Folder { source })?;
            }
            table.load().await.map_err(failed(&name, "opened"))?;
        } else {
            table = create(&log).await.map_err(failed(&name, "created"))?;
        }
        let snapshot = table.snapshot().map_err(failed(&name, "opened"))?.snapshot().clone();
        let mut opened = Self { name, log, place, node, schema: snapshot.arrow_schema(), snapshot };
        opened.check()?;
        opened.schema = in_order(&opened.schema);
        if let Some(owner) = opened.place.owner() {
            opened.check_owner(owner).await?;
        }
        Ok(opened)
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
        Ok(self.transaction(stream).await?.map(|version| Lsn(version.cast_unsigned())))
    }

    /// A name for files that no other process gives, and this one only until the commit that has them.
    pub(crate) fn file_name(&self, name: &str) -> String {
        match self.place.owner() {
            Some(owner) => format!("{name}-{:016x}", owner.writer),
            None => name.to_owned(),
        }
    }

    async fn transaction(&self, application: &str) -> Result<Option<i64>, Error> {
        self.snapshot.transaction_version(&self.log, application).await.map_err(failed(&self.name, "read"))
    }

    /// Whether it is ours to write: not if its places are those of another journal, nor if this process wrote here and
    /// then another one did under the same number.
    async fn check_owner(&self, owner: Owner) -> Result<(), Error> {
        let (table, node) = (self.name.clone(), self.node);
        let journal = self.transaction(&self.application(JOURNAL)).await?;
        if journal.is_some_and(|journal| journal != number(owner.journal)) {
            return Err(Error::OtherJournal { table, node });
        }
        let writer = self.transaction(&self.application(WRITER)).await?;
        if self.place.is_claimed(&self.name) && writer != Some(number(owner.writer)) {
            return Err(Error::TwoWriters { table, node });
        }
        Ok(())
    }

    fn application(&self, what: &str) -> String {
        format!("odograph/{}/{what}", self.node)
    }

    /// Adds files, and columns that they have and the table had not, and moves the cursor of `stream`: all of it or
    /// nothing, durably.
    pub(crate) async fn commit(
        &mut self,
        files: Vec<Add>,
        schema: &SchemaRef,
        stream: &str,
        until: Lsn,
    ) -> Result<(), Error> {
        for _ in 0..COMMIT_TRIES {
            match self.try_commit(&files, schema, stream, until).await {
                Ok(()) => {
                    self.place.claim(&self.name);
                    return Ok(());
                }
                Err(error) if is_conflict(&error) => {
                    if self.is_there_after(stream, until, error).await? {
                        return Ok(());
                    }
                }
                Err(error) => return Err(failed(&self.name, "written")(error)),
            }
        }
        Err(Error::Refused(format!("the table {} changes faster than it can be committed to", self.name)))
    }

    async fn try_commit(
        &mut self,
        files: &[Add],
        schema: &SchemaRef,
        stream: &str,
        until: Lsn,
    ) -> Result<(), DeltaTableError> {
        let mut actions: Vec<Action> = files.iter().cloned().map(Action::Add).collect();
        let grown = columns::merged(&self.schema, schema);
        if grown.fields().len() > self.schema.fields().len() {
            let schema = kernel_schema(&grown)?;
            actions.push(Action::Metadata(self.snapshot.metadata().clone().with_schema(&schema)?));
        }
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let mut transactions = vec![Transaction::new(stream, until.0.cast_signed())];
        if let Some(owner) = self.place.owner() {
            let mark = |what, value| Transaction::new(self.application(what), number(value));
            transactions.extend([mark(WRITER, owner.writer), mark(JOURNAL, owner.journal)]);
        }
        let properties = self.properties().with_application_transactions(transactions);
        let commit = CommitBuilder::from(properties).with_actions(actions);
        let done = commit.build(Some(&self.snapshot), self.log.clone(), operation).await?;
        self.adopt(done.snapshot().snapshot().clone());
        Ok(())
    }

    /// Whether the commit that failed is there: somebody committed what it cannot follow, and that may have been this
    /// process, when the answer to an earlier try was lost. If not, and nothing speaks against it, it can be tried anew.
    async fn is_there_after(&mut self, stream: &str, until: Lsn, error: DeltaTableError) -> Result<bool, Error> {
        let application = self.application(WRITER);
        let (cursor_before, writer_before) = (self.cursor(stream).await?, self.transaction(&application).await?);
        self.reload().await?;
        let (cursor, writer) = (self.cursor(stream).await?, self.transaction(&application).await?);
        let (table, node) = (self.name.clone(), self.node);
        let journal = self.transaction(&self.application(JOURNAL)).await?;
        let owner = self.place.owner();
        if owner.is_some_and(|owner| journal.is_some_and(|journal| journal != number(owner.journal))) {
            return Err(Error::OtherJournal { table, node });
        }
        let is_ours = owner.is_some_and(|owner| writer == Some(number(owner.writer)));
        if owner.is_some() && writer != writer_before && !is_ours {
            // For good: it is not to be taken for one that may go on, after it began anew.
            self.place.claim(&self.name);
            return Err(Error::TwoWriters { table, node });
        }
        // The same place in the journal is the same rows: nothing was read since that try.
        if is_ours && cursor == Some(until) {
            tracing::warn!(table, "a commit was made although its answer was lost");
            return Ok(true);
        }
        if cursor != cursor_before {
            return Err(Error::Outdated { table, source: Box::new(error) });
        }
        Ok(false)
    }

    async fn reload(&mut self) -> Result<(), Error> {
        let mut table = DeltaTable::new(self.log.clone());
        table.load().await.map_err(failed(&self.name, "read"))?;
        let state = table.snapshot().map_err(failed(&self.name, "read"))?;
        self.adopt(state.snapshot().clone());
        Ok(())
    }

    /// Others may have committed as well: files and columns of theirs are here now.
    fn adopt(&mut self, snapshot: EagerSnapshot) {
        self.schema = in_order(&snapshot.arrow_schema());
        self.snapshot = snapshot;
    }

    /// The log's old entries go with a checkpoint: looking for them means listing all of it.
    fn properties(&self) -> CommitProperties {
        let cleans = (self.version() + 2).is_multiple_of(u64::from(CHECKPOINT_COMMITS));
        CommitProperties::default().with_cleanup_expired_logs(Some(cleans))
    }

    /// Its files.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let parts = self.snapshot.log_data();
        let part = |file: LogicalFileView| {
            let day = file.partition_values_map().remove(columns::DAY).flatten()?;
            Some(Part { path: file.path().into_owned(), day, rows: file.num_records()? })
        };
        parts.iter().filter_map(part).collect()
    }

    /// Some of its files as a table that can be queried.
    pub(crate) async fn part(&self, paths: &[String]) -> Result<Arc<dyn TableProvider>, Error> {
        let builder = TableProviderBuilder::default().with_log_store(self.log.clone());
        let builder = builder.with_eager_snapshot(self.snapshot.clone()).with_file_paths(paths.iter().cloned());
        Ok(Arc::new(builder.build().await?))
    }

    /// Puts other files in the place of some, with the same rows: all of it or nothing, durably. Returns whether that was
    /// so: another process may have done it before.
    pub(crate) async fn replace(&mut self, paths: &[String], files: Vec<Add>) -> Result<bool, Error> {
        let same = files.into_iter().map(|add| Action::Add(Add { data_change: false, ..add }));
        let mut actions: Vec<Action> = same.collect();
        let gone = self.snapshot.log_data();
        let gone = gone.iter().filter(|file| paths.iter().any(|path| *path == file.path()));
        actions.extend(gone.map(|file| Action::Remove(file.remove_action(false))));
        let operation = DeltaOperation::Optimize { predicate: None, target_size: 0 };
        let commit = CommitBuilder::from(self.properties()).with_actions(actions);
        match commit.build(Some(&self.snapshot), self.log.clone(), operation).await {
            Ok(done) => self.adopt(done.snapshot().snapshot().clone()),
            Err(error) if is_conflict(&error) => {
                tracing::info!(table = self.name, "small files stay for now: another process was faster");
                self.reload().await?;
                return Ok(false);
            }
            Err(error) => return Err(failed(&self.name, "written")(error)),
        }
        Ok(true)
    }

    /// The version of the table: how many commits there were before.
    pub(crate) fn version(&self) -> u64 {
        self.snapshot.version()
    }

    /// The files as a table that can be queried.
    pub(crate) async fn provider(&self) -> Result<Arc<dyn TableProvider>, Error> {
        let builder = TableProviderBuilder::default().with_log_store(self.log.clone());
        Ok(Arc::new(builder.with_eager_snapshot(self.snapshot.clone()).build().await?))
    }

    /// Whether the columns are what records have: anyone may write to the folder.
    fn check(&self) -> Result<(), Error> {
        for field in self.schema.fields() {
            let fixed = columns::fixed().into_iter().find(|fixed| fixed.name() == field.name());
            let wanted =
                fixed.map(|fixed| fixed.data_type().clone()).or_else(|| columns::key(field).map(columns::data_type));
            let (found, table, column) = (field.data_type(), self.name.clone(), field.name().clone());
            if let Some(wanted) = wanted.filter(|wanted| !wanted.equals_datatype(found)) {
                let (found, wanted) = (found.to_string(), wanted.to_string());
                return Err(Error::Column { table, column, found, wanted });
            }
        }
        Ok(())
    }
}

async fn create(log: &LogStoreRef) -> Result<DeltaTable, DeltaTableError> {
    let schema: StructType = (&Schema::new(columns::fixed())).try_into_kernel()?;
    CreateBuilder::new()
        .with_log_store(log.clone())
        .with_columns(schema.fields().cloned())
        .with_partition_columns([columns::DAY])
        // The first two columns: a reader chooses files by device and time.
        .with_configuration([
            ("delta.dataSkippingNumIndexedCols".to_owned(), Some("2".to_owned())),
            ("delta.checkpointInterval".to_owned(), Some(CHECKPOINT_COMMITS.to_string())),
            ("delta.logRetentionDuration".to_owned(), Some(LOG_RETENTION.to_owned())),
        ])
        .await
}

/// The partition's column stands last in what deltalake tells; ours is the order of [`columns::fixed`].
fn in_order(schema: &SchemaRef) -> SchemaRef {
    columns::merged(&Arc::new(Schema::new(columns::fixed())), schema)
}

fn kernel_schema(schema: &SchemaRef) -> Result<StructType, DeltaTableError> {
    let converted: StructType = schema.as_ref().try_into_kernel()?;
    Ok(converted)
}

fn failed(table: &str, doing: &'static str) -> impl Fn(DeltaTableError) -> Error {
    move |source| Error::Table { table: table.to_owned(), doing, source: Box::new(source) }
}

fn is_conflict(error: &DeltaTableError) -> bool {
    matches!(error, DeltaTableError::Transaction { source: TransactionError::CommitConflict(_) })
}

/// Versions of application transactions are signed.
const fn number(id: u64) -> i64 {
    (id & u64::MAX >> 1).cast_signed()
}

/// The process that committed last.
const WRITER: &str = "writer";
/// The journal whose places the cursors are.
const JOURNAL: &str = "journal";
/// So often a commit is made anew that another node's made impossible, because both brought columns.
const COMMIT_TRIES: u32 = 4;
/// Opening the table reads this many entries of the log at most, and a checkpoint.
const CHECKPOINT_COMMITS: u32 = 100;
/// How long old versions of the table can be read.
const LOG_RETENTION: &str = "interval 7 days";
