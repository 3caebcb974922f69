//! Moments in few bytes: every connection keeps some.

use std::time::Duration;

/// A moment by the clock that never goes back, in nanoseconds: 584 years of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(u64);

impl Moment {
    /// How long ago it was.
    pub(crate) fn until(self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_nanos(self.0))
    }

    /// A moment so much later.
    pub(crate) fn later_by(self, time: Duration) -> Self {
        Self(self.0.saturating_add(Self::from(time).0))
    }
}

impl From<Duration> for Moment {
    fn from(time: Duration) -> Self {
        Self(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}
