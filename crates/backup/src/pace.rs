//! So many bytes a second, at most.

use std::time::Duration;

/// How long bytes take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace(Option<u64>);

impl Pace {
    pub(crate) const fn new(bytes_per_second: Option<u64>) -> Self {
        Self(bytes_per_second)
    }

    /// How long so many bytes take at least.
    pub(crate) fn time(self, bytes: usize) -> Duration {
        let Some(rate) = self.0 else { return Duration::ZERO };
        Duration::from_millis((bytes as u64).saturating_mul(1000) / rate.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time() {
        assert_eq!(Pace::new(Some(1 << 20)).time(4 << 20), Duration::from_secs(4));
        assert_eq!((Pace::new(Some(0)).time(2), Pace::new(None).time(1)), (Duration::from_secs(2), Duration::ZERO));
    }
}
