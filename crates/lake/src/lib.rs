//! History in an open table format: Delta tables of Parquet, a hot buffer in front of them, SQL over both.
//!
//! A [`Writer`] is given rows in the order of the journal and makes files of them; a commit of a table holds its files
//! and the place in the journal that was reached, so that a crash can neither lose nor duplicate a row. A [`Lake`] is
//! what everyone else reads.

mod behind;
mod believed;
mod broken;
mod buffer;
mod checksum;
mod columns;
mod columnwise;
mod compaction;
mod entries;
mod erase;
mod error;
mod events;
mod files;
mod frames;
mod guard;
mod hold;
mod lake;
mod latest;
mod lists;
mod maintenance;
mod missing;
mod pinned;
mod place;
mod query;
mod questions;
mod rehearsal;
mod remote;
mod replace;
mod rows;
mod scan;
mod sealed;
mod shape;
mod source;
mod storage;
mod store;
mod stuck;
mod table;
mod tables;
mod tenant;
mod terms;
mod underway;
mod watch;
mod whole;
mod work;

pub use behind::{BehindTable, Reach};
pub use broken::BrokenTable;
pub use columns::key as parameter;
pub use datafusion::{arrow, parquet};
pub use entries::{EntriesOf, EntryRows, EntryScan, WantedEntries};
pub use erase::{ErasedOf, ErasedRows, HeldSegments, Noted, SharedLines};
pub use error::{Error, Fault};
pub use events::{Event, Scope};
pub use frames::FrameRow;
pub use hold::Hold;
pub use lake::{KnownIds, Lake, Latest, Options, Unread, Writer};
pub use maintenance::{Grace, Keep};
pub use pinned::{Need, Pinned, PinnedObject};
pub use place::{Owner, Place};
pub use query::Limits;
pub use questions::{Answer, Stop};
pub use rehearsal::rehearse;
pub use remote::{Requests, StoreConfig, Trouble, TroubleKind, check_store, is_secret_option};
pub use replace::{
    DeviceDifference, Difference, Gathered, KeyDifference, Load, Past, Period, REPLACED_ROWS_MAX, Recorded, Replaced,
    Replacement,
};
pub use rows::Row;
pub use scan::{Besides, Order, Parameters, Reached, Scan, Stored, Thin, Wanted, export_columns, stored};
pub use sealed::StoredFrame;
pub use store::{DiskStore, disk_is_full};
pub use tables::BeforeCommit;
pub use tenant::Stream;
pub use whole::{CheckedFiles, DamagedFile};

/// The columns of the table `frames`.
pub fn frame_columns() -> Vec<arrow::datatypes::Field> {
    (frames::FRAMES.fixed)()
}

/// The columns of the table `events`.
pub fn event_columns() -> Vec<arrow::datatypes::Field> {
    (events::EVENTS.fixed)()
}
