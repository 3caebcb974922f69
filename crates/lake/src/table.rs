//! One Delta table: opened or created, and committed to, files and cursor in one step.

use crate::compaction::Part;
use crate::source::{self, Files, Footers};
use crate::{DiskStore, Error, columns};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, EagerSnapshot, LogicalFileView, MetadataExt as _, StructType, Transaction};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore, get_actions};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use odograph_env::Disk;
use odograph_model::Lsn;
use std::path::Path;
use std::sync::Arc;
use url::Url;

/// A table of records.
pub(crate) struct Table {
    /// For errors.
    name: String,
    log: LogStoreRef,
    snapshot: EagerSnapshot,
    schema: SchemaRef,
    footers: Arc<Footers>,
}

impl Table {
    /// Opens the table in a folder, or makes it.
    pub(crate) async fn open(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Self, Error> {
        let name = folder.display().to_string();
        let own: Arc<dyn ObjectStore> = Arc::new(DiskStore::new(disk.clone(), folder));
        let root: Arc<dyn ObjectStore> = Arc::new(DiskStore::new(disk.clone(), Path::new("/")));
        let url = location(folder)?;
        let log: LogStoreRef = default_logstore(own, root, &url, &StorageConfig::default());
        let mut table = DeltaTable::new(log.clone());
        if log.is_delta_table_location().await.map_err(failed(&name, "opened"))? {
            // A process that was killed between giving the last commit its name and making the name durable: it is there
            // now, and what is believed of it must still be there after a power cut.
            disk.sync_folder(&folder.join("_delta_log")).map_err(|source| Error::Folder { source })?;
            table.load().await.map_err(failed(&name, "opened"))?;
        } else {
            table = create(&log).await.map_err(failed(&name, "created"))?;
        }
        let snapshot = table.snapshot().map_err(failed(&name, "opened"))?.snapshot().clone();
        let mut opened = Self { name, log, schema: snapshot.arrow_schema(), snapshot, footers: source::footers() };
        opened.check()?;
        opened.schema = in_order(&opened.schema);
        Ok(opened)
    }

    /// Keeps what it reads of files' ends where others do too.
    pub(crate) fn sharing(self, footers: &Arc<Footers>) -> Self {
        Self { footers: footers.clone(), ..self }
    }

    /// Its name, for people.
    pub(crate) fn name(&self) -> &str {
        &self.name
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

    /// Adds files, and columns that they have and the table had not, and moves the cursor of `stream`: all of it or
    /// nothing, durably.
    pub(crate) async fn commit(
        &mut self,
        files: Vec<Add>,
        schema: &SchemaRef,
        stream: &str,
        until: Lsn,
    ) -> Result<(), Error> {
        let mut actions: Vec<Action> = files.into_iter().map(Action::Add).collect();
        let grown = columns::merged(&self.schema, schema);
        if grown.fields().len() > self.schema.fields().len() {
            let schema = kernel_schema(&grown)?;
            let metadata = self.snapshot.metadata().clone().with_schema(&schema);
            actions.push(Action::Metadata(metadata.map_err(|error| failed(&self.name, "changed")(error.into()))?));
        }
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let cursor = Transaction::new(stream, until.0.cast_signed());
        let properties = CommitProperties::default().with_application_transaction(cursor);
        let commit = CommitBuilder::from(properties).with_actions(actions);
        let done = commit.build(Some(&self.snapshot), self.log.clone(), operation).await;
        let state = done.map_err(failed(&self.name, "written"))?.snapshot();
        self.snapshot = state.snapshot().clone();
        self.schema = grown;
        Ok(())
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
    pub(crate) fn part(&self, paths: &[String]) -> Result<Arc<Files>, Error> {
        Ok(Arc::new(Files::new(&self.log, &self.snapshot, &self.schema, Some(paths), &self.footers)?))
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
        Ok(Some(Files::added(&self.log, &self.schema, &adds, &self.footers)?.map(Arc::new)))
    }

    /// Puts other files in the place of some, with the same rows: all of it or nothing, durably.
    pub(crate) async fn replace(&mut self, paths: &[String], files: Vec<Add>) -> Result<(), Error> {
        let same = files.into_iter().map(|add| Action::Add(Add { data_change: false, ..add }));
        let mut actions: Vec<Action> = same.collect();
        let gone = self.snapshot.log_data();
        let gone = gone.iter().filter(|file| paths.iter().any(|path| *path == file.path()));
        actions.extend(gone.map(|file| Action::Remove(file.remove_action(false))));
        let operation = DeltaOperation::Optimize { predicate: None, target_size: 0 };
        let commit = CommitBuilder::from(CommitProperties::default()).with_actions(actions);
        let done = commit.build(Some(&self.snapshot), self.log.clone(), operation).await;
        self.snapshot = done.map_err(failed(&self.name, "written"))?.snapshot().snapshot().clone();
        Ok(())
    }

    /// The version of the table: how many commits there were before.
    pub(crate) fn version(&self) -> u64 {
        self.snapshot.version()
    }

    /// The files as a table that can be queried.
    pub(crate) fn provider(&self) -> Result<Arc<Files>, Error> {
        Ok(Arc::new(Files::new(&self.log, &self.snapshot, &self.schema, None, &self.footers)?))
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

/// A folder as the table's location. The scheme is ours: for files, the library would look at the disk past our own.
fn location(folder: &Path) -> Result<Url, Error> {
    let no = || Error::Refused(format!("{} is no absolute path", folder.display()));
    let file = Url::from_directory_path(folder).map_err(|()| no())?;
    Url::parse(&format!("odograph://lake{}", file.path())).map_err(|_| no())
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

fn kernel_schema(schema: &SchemaRef) -> Result<StructType, Error> {
    let converted: StructType = schema.as_ref().try_into_kernel()?;
    Ok(converted)
}

fn failed(table: &str, doing: &'static str) -> impl Fn(DeltaTableError) -> Error {
    move |source| Error::Table { table: table.to_owned(), doing, source: Box::new(source) }
}

/// Opening the table reads this many entries of the log at most, and a checkpoint.
const CHECKPOINT_COMMITS: u32 = 100;
/// How long old versions of the table can be read.
const LOG_RETENTION: &str = "interval 7 days";
