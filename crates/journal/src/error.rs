//! What can go wrong, sorted by who has to act.

use std::io;
use std::path::{Path, PathBuf};

use odograph_model::Lsn;

use crate::entry::{ENTRY_BYTES_MAX, Stop};

/// The folder cannot be opened, or an operation on it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refused.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A file does not hold what it must.
    #[error("{}: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The folder is another node's.
    #[error("{}: belongs to node {found}, not to node {expected}", path.display())]
    WrongNode {
        /// The segment that says so.
        path: PathBuf,
        /// Whose it is.
        found: u16,
        /// Whose it should be.
        expected: u16,
    },
    /// An option is outside its range.
    #[error("{name} must be from {least} to {most}, not {given}")]
    Option {
        /// Which one.
        name: &'static str,
        /// The least allowed.
        least: u64,
        /// The most allowed.
        most: u64,
        /// What was given.
        given: u64,
    },
    /// An entry that should be there cannot be read.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// What is kept of erasures would become too much.
    #[error(
        "at most {leaves_max} pairs of a device and a segment can be erased in all: erase devices one by one, or let retention do it"
    )]
    ErasuresFull {
        /// So many, with those that were erased before.
        leaves_max: usize,
    },
    /// Whoever asked for it did not want it to go on. What was done stays done.
    #[error("it was not to go on")]
    Interrupted,
}

impl Error {
    /// Whether a file that was named is not there: retention may have removed it meanwhile.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// An entry that should be readable and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", told(self))]
pub struct Broken {
    /// The segment's file.
    pub path: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// Where in the journal.
    pub lsn: Lsn,
    /// What is wrong.
    pub reason: Stop,
}

fn told(Broken { path, offset, lsn, reason }: &Broken) -> String {
    let path = path.display();
    match reason {
        Stop::Missing(end) => format!("{path}: the file is missing, and with it places {lsn} to {end}"),
        reason => format!("{path}: entry {lsn} at offset {offset}: {reason}"),
    }
}

/// Why entries were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The journal was closed, or its disk failed.
    #[error("the journal is closed")]
    Closed,
    /// An entry, a section of one, or the whole call is longer than the layout allows: nothing of it was taken.
    #[error("an entry of {bytes} bytes: at most {ENTRY_BYTES_MAX} are possible")]
    TooLong {
        /// How long it would have been.
        bytes: usize,
    },
}

/// The disk failed while committing: nobody knows what is on it, so the process has to end and recovery decides.
#[derive(Debug, thiserror::Error)]
#[error("the journal stopped: cannot {operation} {}", path.display())]
pub struct Fatal {
    /// What was tried.
    pub operation: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// What the disk said.
    pub source: io::Error,
}

impl From<Fatal> for Error {
    fn from(Fatal { operation, path, source }: Fatal) -> Self {
        Self::Io { operation, path, source }
    }
}

/// Says what was being done, and to which file.
pub(crate) trait IoContext<T> {
    fn doing(self, operation: &'static str, path: &Path) -> Result<T, Error>;
    fn or_fatal(self, operation: &'static str, path: &Path) -> Result<T, Fatal>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn doing(self, operation: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { operation, path: path.to_owned(), source })
    }

    fn or_fatal(self, operation: &'static str, path: &Path) -> Result<T, Fatal> {
        self.map_err(|source| Fatal { operation, path: path.to_owned(), source })
    }
}

/// What is being done when a file is made: a full disk may show here.
pub(crate) const CREATE: &str = "create";
/// What is being done when space is reserved: a full disk may show here.
pub(crate) const RESERVE: &str = "reserve space for";
