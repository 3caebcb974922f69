//! What must hold for any stream of a device and for any content of a journal's folder: functions that panic where it
//! does not, for a fuzzer to call. Those for protocols alone are in `odograph_testkit::fuzz`.

mod journal;
mod proxy;
mod stream;

pub use journal::journal;
pub use proxy::proxy;
pub use stream::stream;

use odograph_env::Disk;
use odograph_journal::{Committer, Error, Journal, Options, Recovery};
use odograph_testkit::{FaultDisk, SeededRng, TestClock, fuzz};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Inputs for the target of that name, out of the vectors in `folder`.
///
/// # Panics
///
/// Where there is no target of that name, or the vectors cannot be read.
pub fn seeds(target: &str, folder: &Path) -> Vec<Vec<u8>> {
    match target {
        "stream" => stream::seeds(folder),
        "journal" => journal::seeds(),
        "proxy" => proxy::seeds(),
        _ => fuzz::seeds(target, folder),
    }
}

/// A target: its name, and what a fuzzer calls.
pub type Target = (&'static str, fn(&[u8]));

/// Every target there is: one a file in `fuzz/src/bin`.
pub const TARGETS: &[Target] = &[
    ("context", fuzz::context),
    ("journal", journal),
    ("protocol", fuzz::protocol),
    ("proxy", proxy),
    ("stream", stream),
    ("vectors", fuzz::vectors),
];

/// Opens the journal on `disk`, with segments so small that a short input fills several.
fn open(disk: &FaultDisk) -> Result<(Journal, Committer, Recovery), Error> {
    let options = Options { segment_bytes: 1 << 12, reserve_bytes: 512, ..Options::default() };
    let clock = Arc::new(TestClock::new(NOW_MS));
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Journal::open(&folder(), options, disk, clock, &SeededRng::new(1))
}

fn folder() -> PathBuf {
    PathBuf::from("data/journal/0")
}

/// 2026-01-01T00:00:00Z.
const NOW_MS: i64 = 1_767_225_600_000;
