//! So many bytes a second, at most.

use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Hands out the line's time: who asks for bytes gets the moment at which their turn begins.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    /// When the line is free again.
    free: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), free: Mutex::new(None) }
    }

    /// Waits for the turn of so many bytes.
    pub(crate) async fn wait(&self, bytes: u64) {
        let turn = self.turn(bytes, Instant::now());
        sleep_until(turn).await;
    }

    fn turn(&self, bytes: u64, now: Instant) -> Instant {
        let mut free = self.free.lock().expect("nobody panics holding it");
        let turn = free.map_or(now, |free| free.max(now));
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        *free = Some(turn + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)).min(TURN_MAX));
        turn
    }
}

/// However slow a line was asked for: nobody takes it for longer than this at once.
const TURN_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_begins_when_the_bytes_before_it_are_through() {
        let pace = Pace::new(1000);
        let now = Instant::now();
        let waits = [500, 2000, 0, 1].map(|bytes| pace.turn(bytes, now) - now);
        assert_eq!(waits, [0, 500, 2500, 2500].map(Duration::from_millis));
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.turn(1, later), later, "an idle line saves nothing up");
        assert_eq!(Pace::new(0).turn(u64::MAX, now), now);
    }
}
