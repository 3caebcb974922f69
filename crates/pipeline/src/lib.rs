//! From journal entries to records: decoding, the clock window, exactly once, and into tables.
//!
//! Everything here is a function of what the journal says. What was decoded when a frame came is taken where it is at
//! hand, to save the work, and gives the same: a record that comes out here can always be made again, by anyone who has the
//! journal.

mod address;
mod decode;
mod dedup;
mod frames;
mod owners;
mod pipeline;
mod records;
mod replay;
mod shared;
mod streams;
mod told;
mod window;

pub use decode::{Decoded, Decoder, FrameCounts, Undecoded};
pub use dedup::{Candidate, Dedup, Device, Found, History, Known};
pub use frames::{Event, ReadError, Taker, Trouble};
pub use owners::{DEFAULT_TENANT, Owner};
pub use pipeline::{Amended, Frame, KnownDevice, Pipeline, PipelineError, Places, Progress, Tables, Waiting};
pub use records::{REMEMBERED_MAX, Records, Totals};
pub use replay::{Again, Came, Resettle};
pub use shared::{SHARED_NAMES_MAX, Shared, is_of_meant, others_of};
pub use told::Told;
pub use window::{CLOCK_AHEAD_MAX_MS, CLOCK_BEHIND_MAX_MS, Window};
