//! A clock that goes when the test says so.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use odograph_env::{Clock, UnixMillis};

/// A clock to set. Clones are the same clock.
#[derive(Clone)]
pub struct TestClock {
    state: Arc<Mutex<State>>,
}

struct State {
    now: UnixMillis,
    monotonic: Duration,
    hook: Option<Hook>,
}

type Hook = Arc<dyn Fn(&TestClock) + Send + Sync>;

impl TestClock {
    /// A clock that stands at `now`.
    pub fn new(now: UnixMillis) -> Self {
        Self { state: Arc::new(Mutex::new(State { now, monotonic: Duration::ZERO, hook: None })) }
    }

    /// Sets the time of day, forwards or back. Durations do not notice.
    pub fn set_now(&self, now: UnixMillis) {
        self.lock().now = now;
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        state.monotonic += by;
        state.now += i64::try_from(by.as_millis()).expect("a test's time is short");
    }

    /// Has `hook` called before each [`Clock::now`], for instance to let time pass.
    pub fn on_now(&self, hook: impl Fn(&Self) + Send + Sync + 'static) {
        self.lock().hook = Some(Arc::new(hook));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while holding the clock")
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        let hook = self.lock().hook.clone();
        if let Some(hook) = hook {
            hook(self);
        }
        self.lock().now
    }

    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_the_time_of_day_leaves_durations_alone() {
        let clock = TestClock::new(1000);
        clock.advance(Duration::from_secs(2));
        clock.set_now(5);
        assert_eq!((clock.now(), clock.monotonic()), (5, Duration::from_secs(2)));
        clock.on_now(|clock| clock.advance(Duration::from_millis(1)));
        assert_eq!((clock.now(), clock.now()), (6, 7));
    }
}
