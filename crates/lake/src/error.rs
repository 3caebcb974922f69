//! What can go wrong with the lake.

use crate::remote::{Trouble, TroubleKind};
use crate::store;
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use datafusion::sql::sqlparser::parser::ParserError;
use deltalake::DeltaTableError;

/// Why history could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The table's log or files could not be read or written.
    #[error("the table {table} cannot be {doing}: {}", line_of(.cause))]
    Table {
        /// Which table.
        table: String,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        cause: Box<DeltaTableError>,
    },
    /// A file could not be read or written.
    #[error("a file of the lake cannot be read or written")]
    Store(#[from] object_store::Error),
    /// The lake's folder could not be read or prepared.
    #[error("the lake's folder cannot be read or prepared")]
    Folder {
        /// Why.
        source: std::io::Error,
    },
    /// What has to be durable before a commit could not be made so.
    #[error("what has to be on the disk before a commit cannot be written")]
    Before {
        /// Why.
        source: std::io::Error,
    },
    /// The object store does not do what it is asked.
    #[error("{0}")]
    Trouble(Trouble),
    /// Another process writes the same streams of the table.
    #[error(
        "the table {table} is written by another process that calls itself node {node} as well: stop one of the two, or \
         give it a journal.node of its own, and start this one again"
    )]
    TwoWriters {
        /// Which table.
        table: String,
        /// The number of both.
        node: u16,
    },
    /// The table's cursors are places in another journal.
    #[error(
        "the table {table} holds what node {node} wrote from another journal than this one: set journal.node to a number \
         that was never used there"
    )]
    OtherJournal {
        /// Which table.
        table: String,
        /// The number of both.
        node: u16,
    },
    /// Columns could not be made from records.
    #[error("records cannot be made into columns")]
    Columns(#[from] ArrowError),
    /// A file could not be encoded.
    #[error("a Parquet file cannot be made")]
    Parquet(#[from] ParquetError),
    /// A query failed.
    #[error("{}", said(.0))]
    Query(Box<DataFusionError>),
    /// A query asks for more than it may.
    #[error("{0}")]
    Refused(String),
    /// As many questions are being answered as may be at a time, and none ended while this one waited for its turn.
    #[error("{0} questions are being answered already: ask again in a minute")]
    Busy(usize),
    /// Nobody goes on with an answer, and nothing said why.
    #[error("the question was given up before its answer was complete")]
    GivenUp,
    /// What was to be replaced is not what it was.
    #[error("history changed while it was looked at")]
    Changed,
    /// A table's files are there and its log is not.
    #[error(
        "the table {table} has lost its log: there is no _delta_log, and {found} is there. Put _delta_log back from a backup; \
         or move the folder away: then there is a new table, and what the journal still has becomes part of it"
    )]
    LogLost {
        /// Which table.
        table: String,
        /// What was found of it.
        found: String,
    },
    /// A table cannot be opened: that was noticed before, and told.
    #[error(
        "the table {table} cannot be opened, and what came for it since waits in the journal until it is put back: {why}"
    )]
    Broken {
        /// Which table.
        table: String,
        /// Why.
        why: String,
    },
    /// A table that could not be opened can be opened again.
    #[error("the table {table} can be opened again, so the journal is read again from where it could not")]
    Mended {
        /// Which table.
        table: String,
    },
    /// A file is not as it was written.
    #[error("{file} is damaged: {why}")]
    Damaged {
        /// Which file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file can be read, and has something that would get lost if its rows were written again: somebody else wrote it.
    #[error("{file} is not ours and stays as it is, because its rows cannot be written again as they are: {why}")]
    Unfit {
        /// Which file.
        file: String,
        /// What would get lost, or is not there.
        why: String,
    },
    /// Rows cannot become part of a table, whatever is tried.
    #[error("{why}")]
    Stuck {
        /// Which table.
        table: String,
        /// Why.
        why: String,
    },
    /// Somebody else changed the table to something that only some programs may write to.
    #[error(
        "somebody else set features of the table {table} that we must not write with: {features}. Take them away with the \
         program that set them ({remedy}), or put the table back from a backup"
    )]
    Features {
        /// Which table.
        table: String,
        /// What they are called.
        features: String,
        /// How they are taken away.
        remedy: String,
    },
    /// Rows of a file were deleted without the file being written again.
    #[error(
        "somebody else deleted rows of the table {table} in place, in the file {file}. Write its files again with the program that \
         did it (in Spark: ALTER TABLE delta.`{table}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = false), then \
         REORG TABLE delta.`{table}` APPLY (PURGE)), or put the table back from a backup"
    )]
    DeletedInPlace {
        /// Which table.
        table: String,
        /// Which file.
        file: String,
    },
    /// The table has a column of another type than records have.
    #[error(
        "the column {column} of the table {table} is {found}, and records have {wanted}: somebody else changed the table"
    )]
    Column {
        /// Which table.
        table: String,
        /// Which column.
        column: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
}

/// Whose fault it is that a question has no answer, or that history cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The question's: its text says what to ask instead, and names nothing but what the question does.
    Question,
    /// That of all others who ask: it is answered in its turn.
    Busy,
    /// The machine's or an object store's: it may be otherwise at the next try.
    Passing,
    /// Of what is kept, or of the program: it stays so until a person has done something about it.
    Lasting,
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Refused(TOO_MUCH.to_owned()),
            _ => Self::Query(Box::new(error)),
        }
    }
}

/// What is wrong with a query, for people: the library wraps it, and shows some of it as it is in memory.
fn said(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::SQL(error, _) => match &**error {
            ParserError::TokenizerError(what) | ParserError::ParserError(what) => format!("this is not SQL: {what}"),
            ParserError::RecursionLimitExceeded => "the query is nested too deeply".to_owned(),
        },
        DataFusionError::Plan(what) | DataFusionError::Execution(what) => what.clone(),
        DataFusionError::NotImplemented(what) => format!("this is not possible: {what}"),
        DataFusionError::SchemaError(error, _) => error.to_string(),
        DataFusionError::ArrowError(error, _) => error.to_string(),
        other => other.to_string(),
    }
}

/// Whether an error is about what was asked, and not about what was read for it.
fn is_of_what_was_asked(error: &DataFusionError) -> bool {
    use ArrowError::{ExternalError, IoError, MemoryError, ParquetError};
    use DataFusionError::{Configuration, Execution, NotImplemented, Plan, SQL, SchemaError};
    match error {
        Configuration(_) | NotImplemented(_) | Plan(_) | SQL(..) | SchemaError(..) => true,
        Execution(what) => !what.starts_with(OF_ANOTHER_KIND),
        // What a computation met, but for what came out of files.
        DataFusionError::ArrowError(error, _) => {
            !matches!(**error, ExternalError(_) | IoError(..) | MemoryError(_) | ParquetError(_))
        }
        _ => false,
    }
}

/// Libraries put where in the program it happened behind what happened.
fn line_of(error: &dyn std::error::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// What a machine has too little of now and then: memory, and files that may be open (`ENOMEM`, `ENFILE`, `EMFILE`).
const SHORT_OF: [i32; 3] = [12, 23, 24];

/// So the library begins what it says of a file's column whose kind cannot be made the table's.
const OF_ANOTHER_KIND: &str = "Cannot cast column";

const TOO_MUCH: &str =
    "the query needs more memory than it may take: ask for less time, fewer devices or columns, or sort and group less";

impl Error {
    /// Whether what was not written still waits and can be tried again as it is.
    pub fn is_waited_for(&self) -> bool {
        self.is_disk_full() || matches!(self, Self::Trouble(_))
    }

    /// Whether trying again, or beginning again, would do harm: a person has to decide first.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::TwoWriters { .. } | Self::OtherJournal { .. })
    }

    /// Whether it may be otherwise at the next try without anybody doing anything about it: what is damaged is damaged.
    pub fn may_pass(&self) -> bool {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(match self {
            Self::Table { cause, .. } => &**cause,
            Self::Query(error) => &**error,
            error => error,
        });
        while let Some(error) = source {
            let number = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
            if number.is_some_and(|number| SHORT_OF.contains(&number)) {
                return true;
            }
            source = error.source();
        }
        self.is_waited_for() || self.is_final() || matches!(self, Self::Changed)
    }

    /// Whose fault it is, for whoever answers questions of others: only what is wrong with the question is for them to read, for
    /// all else may name files and tables.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Busy(_) => Fault::Busy,
            Self::Refused(_) => Fault::Question,
            Self::Query(error) if is_of_what_was_asked(error.find_root()) => Fault::Question,
            _ if self.may_pass() => Fault::Passing,
            _ => Fault::Lasting,
        }
    }

    /// The file alone that is to blame, as whoever read it calls it.
    pub(crate) fn file(&self) -> Option<&str> {
        match self {
            Self::Damaged { file, .. } | Self::Unfit { file, .. } => Some(file),
            _ => None,
        }
    }

    /// Whether a file was read, and has what its columns in the table cannot have: it is not damaged, but somebody else's.
    pub(crate) fn is_unfit(&self) -> bool {
        use ArrowError::{CastError, InvalidArgumentError, ParseError};
        let Self::Query(error) = self else { return matches!(self, Self::Unfit { .. }) };
        match error.find_root() {
            // The last one is for nothing where there must be something. What Parquet cannot read is another kind.
            DataFusionError::ArrowError(error, _) => {
                matches!(**error, CastError(_) | ParseError(_) | InvalidArgumentError(_))
            }
            DataFusionError::Execution(what) => what.starts_with(OF_ANOTHER_KIND),
            _ => false,
        }
    }

    /// Whether a table that cannot be opened for this is to be left alone until a person puts it right.
    pub(crate) fn is_damage(&self) -> bool {
        !self.may_pass() && !matches!(self, Self::Folder { .. } | Self::Before { .. })
    }

    /// All of it in one line.
    pub fn line(&self) -> String {
        let (mut line, mut source) = (line_of(self), std::error::Error::source(self));
        while let Some(error) = source {
            let more = line_of(error);
            if !line.ends_with(&more) {
                line = format!("{line}: {more}");
            }
            source = error.source();
        }
        line
    }

    /// Whether a query makes no sense, so that nobody was asked.
    pub(crate) fn is_of_the_question(&self) -> bool {
        use DataFusionError::{NotImplemented, Plan, SQL, SchemaError};
        let Self::Query(error) = self else { return false };
        matches!(error.find_root(), Plan(_) | SQL(..) | SchemaError(..) | NotImplemented(_))
    }

    /// Whether an object store is to blame that is down, or slow, and will be back.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Trouble(trouble) if trouble.kind == TroubleKind::Unreachable)
    }

    /// Whether it failed because the disk is full: nothing was lost, and it can be tried again once there is space.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Store(error) => store::disk_is_full(error),
            Self::Folder { source } | Self::Before { source } => odograph_env::is_full(source),
            Self::Table { cause, .. } => match &**cause {
                DeltaTableError::ObjectStore { source } => store::disk_is_full(source),
                DeltaTableError::Transaction { source } => {
                    let mut source: Option<&dyn std::error::Error> = Some(source);
                    while let Some(error) = source {
                        if error.downcast_ref::<object_store::Error>().is_some_and(store::disk_is_full) {
                            return true;
                        }
                        source = error.source();
                    }
                    false
                }
                _ => false,
            },
            _ => false,
        }
    }
}
