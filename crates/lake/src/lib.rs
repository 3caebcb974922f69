//! History in an open table format: Delta tables of Parquet, a hot buffer in front of them, SQL over both.
//!
//! A [`Writer`] is given rows in the order of the journal and makes files of them; a commit of a table holds its files
//! and the place in the journal that was reached, so that a crash can neither lose nor duplicate a row. A [`Lake`] is
//! what everyone else reads.

mod buffer;
mod columns;
mod compaction;
mod error;
mod files;
mod lake;
mod place;
mod query;
mod remote;
mod rows;
mod store;
mod table;
mod tenant;

pub use datafusion::arrow;
pub use error::Error;
pub use lake::{Lake, Latest, Options, Writer};
pub use place::{Owner, Place};
pub use query::{Answer, Limits};
pub use remote::{Requests, StoreConfig, Trouble, TroubleKind, check_store, is_secret_option};
pub use rows::Row;
pub use store::{DiskStore, disk_is_full};
pub use tenant::Stream;
