//! So many bytes a second, at most.

use std::time::Duration;

/// Slows down whoever sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace(Option<u64>);

impl Pace {
    pub(crate) const fn new(bytes_per_second: Option<u64>) -> Self {
        Self(bytes_per_second)
    }

    /// Waits as long as so many bytes may take.
    pub(crate) async fn wait(self, bytes: usize) {
        if let Some(time) = self.time(bytes) {
            tokio::time::sleep(time).await;
        }
    }

    fn time(self, bytes: usize) -> Option<Duration> {
        let rate = self.0?.max(1);
        Some(Duration::from_millis((bytes as u64).saturating_mul(1000) / rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time() {
        assert_eq!(Pace::new(Some(1 << 20)).time(4 << 20), Some(Duration::from_secs(4)));
        assert_eq!((Pace::new(Some(0)).time(2), Pace::new(None).time(1)), (Some(Duration::from_secs(2)), None));
    }
}
