//! What can be set about a journal.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::observer::{NoObserver, Observer};

/// Settings of a journal, with defaults for everything.
#[derive(Clone)]
pub struct Options {
    /// Whose journal it is.
    pub node: u16,
    /// A segment ends before it grows longer than this.
    pub segment_bytes: u64,
    /// A segment ends when it is this old.
    pub segment_age: Duration,
    /// Space is reserved in steps of this many bytes.
    pub reserve_bytes: u64,
    /// Who hears what happens.
    pub observer: Arc<dyn Observer>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node: 0,
            segment_bytes: 256 << 20,
            segment_age: Duration::from_secs(3600),
            reserve_bytes: 16 << 20,
            observer: Arc::new(NoObserver),
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("segment_bytes", self.segment_bytes, SEGMENT_BYTES_LEAST, SEGMENT_BYTES_MOST)?;
        within("reserve_bytes", self.reserve_bytes, RESERVE_BYTES_LEAST, self.segment_bytes.max(RESERVE_BYTES_LEAST))
    }
}

fn within(name: &'static str, given: u64, least: u64, most: u64) -> Result<(), Error> {
    if (least..=most).contains(&given) { Ok(()) } else { Err(Error::Option { name, least, most, given }) }
}

/// Below this, headers and seals would outweigh the data.
const SEGMENT_BYTES_LEAST: u64 = 1 << 10;
/// A segment is read as a whole to verify and to recover it, and offsets in it have 32 bits.
const SEGMENT_BYTES_MOST: u64 = 2 << 30;
/// One block of a file system.
const RESERVE_BYTES_LEAST: u64 = 512;
