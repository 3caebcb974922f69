//! The watchdog: notices a part that shows no life, says so, and gives its work to another.
//!
//! A part that has ended without having been asked to, because it or a task of its own failed, is replaced in the same way.
//!
//! Every part beats its pulse at least once a second while it is well. What can be replaced is: the accept loop, by
//! another one on the same sockets; a worker, by another one, after the sockets of its connections were ended, so that
//! its devices come again. The journal's writer cannot be replaced: while it hangs, nothing is acknowledged, and once
//! it goes on, everything that waited is.
//!
//! A process that stood still as a whole (a virtual machine that was paused, a stopped process) shows by the watchdog's own
//! lateness. Nobody hung then, and everybody has the whole time again to show life.

use crate::limits::{PAUSED_AFTER, STALLED_AFTER};
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

    /// When it last showed life, by the clock that never goes back.
    pub(crate) fn last(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Acquire))
    }
}

/// The watchdog's own looks. How long others are silent is said as of the last one, because nobody shows life while the whole
/// process stands still: that includes whoever would say that they are silent.
pub(crate) struct Rounds {
    /// When the watchdog looked last, in milliseconds.
    looked: AtomicU64,
    /// When it last found that the process had stood still: silence before that is nobody's.
    resumed: AtomicU64,
}

impl Rounds {
    /// Looks that begin now.
    pub(crate) fn new(now: Duration) -> Self {
        Self { looked: AtomicU64::new(millis(now)), resumed: AtomicU64::new(0) }
    }

    /// The watchdog looks. Says how long the process stood still, if it did.
    pub(crate) fn look(&self, now: Duration) -> Option<Duration> {
        let before = Duration::from_millis(self.looked.load(Ordering::Acquire));
        let pause = Some(now.saturating_sub(before)).filter(|gap| *gap > PAUSED_AFTER);
        if pause.is_some() {
            // First, or somebody would be silent for a moment.
            self.resumed.store(millis(now), Ordering::Release);
        }
        self.looked.store(millis(now), Ordering::Release);
        pause
    }

    /// Whether that was at or after the last look.
    pub(crate) fn is_of_this_round(&self, time: Duration) -> bool {
        millis(time) >= self.looked.load(Ordering::Acquire)
    }

    /// For how long somebody has been silent who showed life last at this time.
    pub(crate) fn silence(&self, since: Duration) -> Duration {
        let looked = Duration::from_millis(self.looked.load(Ordering::Acquire));
        looked.saturating_sub(since.max(Duration::from_millis(self.resumed.load(Ordering::Acquire))))
    }

    /// What is wrong with a part, which has ended or not.
    pub(crate) fn trouble(&self, pulse: &Pulse, ended: bool) -> Option<Trouble> {
        let silence = self.silence(pulse.last());
        match ended {
            true => Some(Trouble::Ended),
            false => is_stalled(silence).then_some(Trouble::Silent(silence)),
        }
    }
}

/// What is wrong with a part that can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It shows no life, for so long.
    Silent(Duration),
    /// It has ended, which nobody asked of it: it or a task of its own failed.
    Ended,
}

/// How the process is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    /// Whether all parts are well.
    pub healthy: bool,
    /// Whether data is taken and acknowledged: the journal is well, and so are the accept loop and at least one worker.
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
    /// What happened to it a short while ago, though it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recently: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_part_that_hangs_is_stalled_as_soon_as_a_look_finds_it_silent_for_too_long() {
        let rounds = Rounds::new(at(0));
        let beat = at(500);
        for second in 1..=4 {
            assert_eq!(rounds.look(at(second * 1000)), None);
            assert!(!is_stalled(rounds.silence(beat)), "{second} s");
        }
        assert_eq!(rounds.look(at(5000)), None);
        assert_eq!(rounds.silence(beat), at(4500));
        assert!(is_stalled(rounds.silence(beat)));
    }

    #[test]
    fn a_pause_of_the_whole_process_is_nobodys_silence() {
        let rounds = Rounds::new(at(0));
        rounds.look(at(1000));
        let beat = at(900);
        // It stood still for six seconds: before the next look as well, nobody is called silent.
        assert_eq!(rounds.silence(beat), at(100));
        assert_eq!(rounds.look(at(7000)), Some(at(6000)));
        assert_eq!(rounds.silence(beat), at(0));
        for second in 8..=11 {
            assert_eq!(rounds.look(at(second * 1000)), None);
            assert!(!is_stalled(rounds.silence(beat)), "{second} s");
        }
        // Whoever shows no life afterwards either does hang.
        assert_eq!(rounds.look(at(12_000)), None);
        assert!(is_stalled(rounds.silence(beat)));
    }

    #[test]
    fn a_look_that_is_a_little_late_is_no_pause() {
        let rounds = Rounds::new(at(0));
        assert_eq!(rounds.look(PAUSED_AFTER), None);
        assert_eq!(rounds.look(PAUSED_AFTER * 2 + at(1)), Some(PAUSED_AFTER + at(1)));
    }
}
