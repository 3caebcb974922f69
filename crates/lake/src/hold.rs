//! Keeps what is deleted by itself from being deleted for a while: for whoever copies files one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A hold that ends by itself unless it is renewed, so that whoever dies holds nobody up. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Hold(Arc<AtomicU64>);

impl Hold {
    /// Holds until this moment of the monotonic clock.
    pub fn until(&self, end: Duration) {
        self.0.store(u64::try_from(end.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Ends it.
    pub fn release(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Whether it holds at this moment.
    pub fn is_on(&self, now: Duration) -> bool {
        now.as_millis() < u128::from(self.0.load(Ordering::Acquire))
    }
}

impl PartialEq for Hold {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Hold {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_when_it_is_released_or_not_renewed() {
        let (hold, at) = (Hold::default(), Duration::from_secs);
        assert!(!hold.is_on(at(0)));
        hold.clone().until(at(10));
        assert_eq!([at(9), at(10)].map(|now| hold.is_on(now)), [true, false]);
        hold.until(at(20));
        assert!(hold.is_on(at(10)));
        hold.release();
        assert!(!hold.is_on(at(10)));
    }
}
