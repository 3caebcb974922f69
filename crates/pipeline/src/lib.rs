//! From journal entries to records: decoding again, the clock window, exactly once.
//!
//! Everything here is a function of what the journal says. What ingest decoded is not used: a record that comes out
//! here can always be made again, by anyone who has the journal.

mod decode;
mod records;
mod window;

pub use decode::{Decoded, Decoder, Undecoded};
pub use records::{Event, ReadError, Records, Totals, Trouble};
pub use window::{CLOCK_AHEAD_MAX_MS, CLOCK_BEHIND_MAX_MS, Window};
