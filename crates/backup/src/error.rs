//! What can go wrong, sorted by who has to act.

use std::io;
use std::path::PathBuf;

/// Why a backup could not be made, read or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The place of the backups refused, or cannot be reached.
    #[error("cannot {doing} {object} at {target}")]
    Target {
        /// What was tried.
        doing: &'static str,
        /// With which object.
        object: String,
        /// At which place.
        target: String,
        /// What it said.
        source: Box<object_store::Error>,
    },
    /// A file that belongs to the backup cannot be read.
    #[error("cannot read {path}")]
    Source {
        /// Which file.
        path: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file is shorter than when the plan was made.
    #[error("{path} ends at byte {found} and had {expected} when the backup began")]
    Shrunk {
        /// Which file.
        path: String,
        /// How long it was.
        expected: u64,
        /// How long it is.
        found: u64,
    },
    /// A disk to which something is restored refused.
    #[error("cannot {doing} {}", path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// An object is not what it must be, or not there.
    #[error("{object} at {target} is {what}")]
    Damaged {
        /// Which object.
        object: String,
        /// At which place.
        target: String,
        /// What is wrong with it.
        what: String,
    },
    /// The place has backups of something else.
    #[error(
        "{target} has backups of another data folder (its journal's key is {found}, not {expected}): name another place"
    )]
    Other {
        /// Which place.
        target: String,
        /// The key of its backups.
        found: String,
        /// The key of what is to be backed up.
        expected: String,
    },
    /// Somebody else works there.
    #[error("{target} is being written by somebody else ({what}, begun {begun}): try again when that has ended")]
    Busy {
        /// Which place.
        target: String,
        /// What they do.
        what: String,
        /// Since when.
        begun: String,
    },
    /// Somebody else took the place over in the middle of it.
    #[error("somebody else took {target} over meanwhile: nothing was completed, try again")]
    TakenOver {
        /// Which place.
        target: String,
    },
    /// There is no such backup.
    #[error("{target} has no backup{when}")]
    None {
        /// Which place.
        target: String,
        /// What was asked for.
        when: String,
    },
    /// What is restored must not mix with what is there.
    #[error("{place} is not empty: restore into a place where nothing is")]
    NotEmpty {
        /// Which place.
        place: String,
    },
    /// Whoever asked for it has gone, or said no.
    #[error("given up: {0}")]
    GivenUp(String),
}
