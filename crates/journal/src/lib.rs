//! The append-only journal of every byte: segments, group commit, recovery, sealing, retention.
//!
//! Any number of threads append to a [`Journal`]; one [`Committer`] makes what they appended durable, a group with each
//! flush; a [`Reader`] reads it in order, also from another process. The journal knows frames as bytes only, and tells
//! what happens through an [`Observer`]. Byte layouts and rules of recovery: `docs/internals/journal.md`.

mod begin;
mod chain;
mod commit;
mod copy;
mod cursors;
mod durable_file;
mod entry;
mod erase;
mod erasures;
mod error;
mod holes;
mod index;
mod journal;
mod key;
mod leaves;
mod merkle;
mod observer;
mod options;
mod paths;
mod proof;
mod reader;
mod recovery;
mod removed;
pub mod retention;
mod scan;
mod seal;
mod segment;
mod stat;
mod tally;
mod verify;

pub use begin::{Begin, LeftOut};
pub use chain::{SEAL_RECORD_BYTES, SealRecord};
pub use commit::{Committer, Step};
pub use copy::{CopyPart, Resumed, resume_copy};
pub use cursors::{CURSORS_MAX, CursorStore};
pub use entry::{
    CONTEXT_BYTES_MAX, DECISION_BYTES_MAX, DEVICE_BYTES_MAX, ENTRY_BYTES_MAX, Entry, HEADER_BYTES, Identity, Kind,
    NewEntry, Stop, UnknownKind,
};
pub use erase::{ErasedLoad, Part, Whose};
pub use erasures::Erasure;
pub use error::{AppendError, Broken, Error, Fatal};
pub use holes::Hole;
pub use journal::{APPEND_BYTES_MAX, Appended, CONGESTED_BYTES, Journal, Stream};
pub use key::PublicKey;
pub use leaves::{Leaves, SealedDevice};
pub use merkle::{Hash, Sibling};
pub use observer::{Commit, NoObserver, Observer, Stats};
pub use options::Options;
pub use proof::{Proof, ProofCheck, ProofError, check_proof};
pub use reader::{DeviceEntries, Entries, Reader};
pub use recovery::{Header, Recovered, Recovery};
pub use segment::SEGMENT_HEADER_BYTES;
pub use stat::{CutShort, SegmentStat, Stat};
pub use verify::{Flaw, Problem, Progress, Report};
