//! The watchdog: notices a part that shows no life, says so, and gives its work to another.
//!
//! Every part beats its pulse at least once a second while it is well. What can be replaced is: the accept loop, by
//! another one on the same sockets; a worker, by another one, after the sockets of its connections were ended, so that
//! its devices come again. The journal's writer cannot be replaced: while it hangs, nothing is acknowledged, and once
//! it goes on, everything that waited is.

use crate::limits::STALLED_AFTER;
use odograph_env::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A part's sign of life.
pub(crate) struct Pulse(AtomicU64);

impl Pulse {
    /// A part that lives.
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self(AtomicU64::new(millis(clock.monotonic())))
    }

    /// The part lives.
    pub(crate) fn beat(&self, clock: &dyn Clock) {
        self.0.store(millis(clock.monotonic()), Ordering::Release);
    }

    /// For how long it has shown no life.
    pub(crate) fn silence(&self, clock: &dyn Clock) -> Duration {
        let beat = Duration::from_millis(self.0.load(Ordering::Acquire));
        clock.monotonic().saturating_sub(beat)
    }
}

/// How the process is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    /// Whether all parts are well.
    pub healthy: bool,
    /// Whether data is taken and acknowledged.
    pub ready: bool,
    /// Each part.
    pub parts: Vec<PartHealth>,
}

/// How a part is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PartHealth {
    /// Its name: `accept`, `worker-0`, `journal`.
    pub part: String,
    /// Whether it is well.
    pub healthy: bool,
    /// What is wrong, and what is done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// For how long it has shown no life, in milliseconds, where that is too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
    /// How often it was replaced.
    pub replaced: u32,
}

/// Whether a silence is too long.
pub(crate) fn is_stalled(silence: Duration) -> bool {
    silence > STALLED_AFTER
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
