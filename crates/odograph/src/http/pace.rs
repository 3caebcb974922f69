//! Whether whoever asked takes what they asked for: an answer that is made while it is sent has a thread, and a seat that others
//! want.
//!
//! Only the time counts for which something waits to be taken: a stream that has nothing to say is no slow reader.

use std::time::Duration;

/// How somebody takes what waits for them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Pace {
    /// For so long something has waited, besides what waits now.
    waited: Duration,
    /// In that time they took so many bytes.
    taken: usize,
    /// Since when something waits.
    since: Option<Duration>,
}

impl Pace {
    /// They took so much.
    pub(super) fn took(&mut self, bytes: usize, now: Duration) {
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_sub(since);
        }
        self.taken = self.taken.saturating_add(bytes);
        if self.taken >= TAKEN_MIN {
            (self.waited, self.taken) = (Duration::ZERO, 0);
        }
    }

    /// They take nothing at this moment. Says how long they may go on so; nothing where they took too little for too long.
    pub(super) fn waits(&mut self, now: Duration) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        let left = PACE_TIME.saturating_sub(self.waited + now.saturating_sub(since));
        (!left.is_zero()).then_some(left)
    }
}

/// In so much time of waiting,
pub(super) const PACE_TIME: Duration = Duration::from_secs(60);

/// so much has to be taken: 1 KiB a second, less than the slowest link that anyone reads history by. It is not so much that a link
/// which is gone for most of a minute would lose what it had.
pub(super) const TAKEN_MIN: usize = 60 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes so many bytes each so often, each time after it had to be waited for. For how long that goes well; nothing where it
    /// goes well for a day.
    fn ends_after(bytes: usize, every: Duration) -> Option<Duration> {
        let (mut pace, mut now) = (Pace::default(), 7 * SECOND);
        while now < 86_400 * SECOND {
            match pace.waits(now) {
                Some(left) if left >= every => now += every,
                Some(left) => {
                    now += left;
                    assert_eq!(pace.waits(now), None, "it is waited no longer");
                    return Some(now - 7 * SECOND);
                }
                None => return Some(now - 7 * SECOND),
            }
            pace.took(bytes, now);
        }
        None
    }

    #[test]
    fn whoever_takes_nothing_or_drops_is_given_up() {
        assert_eq!(ends_after(0, 100 * SECOND), Some(PACE_TIME));
        assert_eq!(ends_after(1, SECOND), Some(PACE_TIME), "a byte a second");
        assert_eq!(ends_after(1000, SECOND), Some(PACE_TIME));
        assert_eq!(ends_after(1024, SECOND), None, "1 KiB a second");
        assert_eq!(ends_after(TAKEN_MIN, 59 * SECOND), None, "a link that was gone");
    }

    #[test]
    fn time_without_anything_to_take_does_not_count() {
        let (mut pace, mut now) = (Pace::default(), SECOND);
        for _ in 0..1000 {
            now += 3600 * SECOND;
            pace.took(10, now);
        }
        assert_eq!(pace.waits(now), Some(PACE_TIME));
        // A socket that takes again takes much at once, for which nothing waits.
        let later = now + 59 * SECOND;
        pace.took(1, later);
        assert_eq!(pace.waits(later), Some(SECOND));
        pace.took(TAKEN_MIN, later);
        assert_eq!(pace.waits(later), Some(PACE_TIME));
    }
}
