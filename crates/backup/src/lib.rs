//! Copies of a data folder, one after the other, at a place that is a folder or an object store.
//!
//! What was copied is objects that are named after what they hold, so none is ever written twice or changed, and a manifest for
//! each moment, which names all that there was then. A manifest is written last: what has none is no backup. What holds for
//! the files of a data folder, and in which order they must be looked at, is the business of whoever makes the plan.

mod error;
mod lease;
mod manifest;
mod pace;
mod plan;
mod prune;
mod restore;
mod send;
mod target;
mod verify;

pub use error::Error;
pub use manifest::{Chunk, File, Header, JournalPart, LakePart, Manifest, Source, VERSION};
pub use plan::{Absence, Content, Item};
pub use prune::Pruned;
pub use restore::{Destination, LakeTo, Restored};
pub use send::{Backup, Progress, Sent, Settings};
pub use target::{Listed, Target};
pub use verify::{Damage, Verified};

/// Files are cut into pieces of so many bytes, each an object: one request with a provider, a bounded piece of memory here, and
/// of a file that grew only the end goes again.
pub const CHUNK_BYTES: usize = 4 << 20;

/// Objects that are under way at a time: enough to hide the way to a provider, and not more than 32 MiB of memory.
const AT_ONCE: usize = 8;
