//! Whether history gets on, and why it does not.

use odograph_model::Lsn;
use odograph_pipeline::Progress;
use serde::Serialize;
use std::time::Duration;

/// How the one who fills history gets on.
#[derive(Default)]
pub(super) struct Course {
    /// Everything before it was read at some time: reading it again is not getting on.
    furthest: Lsn,
    /// When it got on last, or had nothing to do, by the monotonic clock.
    since: Duration,
    /// Why it does not go on now.
    problem: Option<String>,
    /// Why it stopped last: until it got on again.
    last: Option<String>,
}

/// That history has not got on for long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Stuck {
    /// For so long.
    pub(crate) seconds: u64,
    /// As far as that is known.
    pub(crate) reason: String,
}

impl Course {
    pub(super) fn begun(now: Duration) -> Self {
        Self { since: now, ..Self::default() }
    }

    /// It has come so far, and goes on. `nothing_waits`: all that it took is in files.
    pub(super) fn moved(&mut self, progress: Progress, nothing_waits: bool, durable: Lsn, now: Duration) {
        let all = progress.read >= durable;
        let got_on = match &self.last {
            None => all || progress.read > self.furthest,
            // What failed may fail again at the next commit, however far it reads until then.
            Some(_) => progress.commits > 0 || all && nothing_waits,
        };
        if got_on {
            (self.since, self.last) = (now, None);
        }
        self.furthest = self.furthest.max(progress.read);
        self.problem = None;
    }

    pub(super) fn stopped(&mut self, problem: String) {
        self.last = Some(problem.clone());
        self.problem = Some(problem);
    }

    /// Why it does not go on at this moment.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether somebody who waits since `begun` is to wait on.
    pub(super) fn is_worth_waiting(&self, begun: Duration, now: Duration) -> bool {
        let is_stuck = self.problem.is_some() || self.stuck(true, now).is_some();
        !is_stuck && now.saturating_sub(self.since.max(begun)) < WAITED_FOR
    }

    /// Whether it has not got on for long. `is_behind`: there is something to read.
    pub(super) fn stuck(&self, is_behind: bool, now: Duration) -> Option<Stuck> {
        let waited = now.saturating_sub(self.since);
        if waited < STUCK_AFTER || !is_behind && self.last.is_none() {
            return None;
        }
        let reason = self.last.clone().unwrap_or_else(|| "no error is known, as if a disk did not answer".to_owned());
        Some(Stuck { seconds: waited.as_secs(), reason })
    }
}

/// Longer than anything takes that goes well: a record becomes part of a file after a minute.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(120);

/// Whoever waits for history does so for no longer than this while it does not get on.
const WAITED_FOR: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn progress(read: u64, commits: u64) -> Progress {
        Progress { read: Lsn(read), commits, ..Progress::default() }
    }

    #[test]
    fn history_is_stuck_when_it_does_not_get_on_and_there_is_something_to_read() {
        let mut course = Course::begun(MINUTE);
        assert_eq!(course.stuck(true, MINUTE * 2), None);
        let hangs = Stuck { seconds: 120, reason: "no error is known, as if a disk did not answer".to_owned() };
        assert_eq!(course.stuck(true, MINUTE * 3), Some(hangs));
        assert_eq!(course.stuck(false, MINUTE * 3), None, "without anything to read nobody waits for it");
        course.moved(progress(10, 0), false, Lsn(100), MINUTE * 3);
        assert_eq!(course.stuck(true, MINUTE * 4), None);
    }

    #[test]
    fn reading_the_same_again_after_an_error_is_not_getting_on() {
        let mut course = Course::begun(Duration::ZERO);
        for minute in 0..3 {
            course.moved(progress(100, 0), false, Lsn(100 + u64::from(minute)), MINUTE * minute);
            course.stopped(format!("error {minute}"));
        }
        assert_eq!(course.problem(), Some("error 2"));
        course.moved(progress(200, 0), false, Lsn(200), MINUTE * 3);
        assert_eq!(course.problem(), None, "it tries again");
        let stuck = Stuck { seconds: 180, reason: "error 2".to_owned() };
        assert_eq!(course.stuck(false, MINUTE * 3), Some(stuck), "and has nothing in files since");
        course.moved(progress(200, 0), true, Lsn(200), MINUTE * 4);
        assert_eq!(course.stuck(true, MINUTE * 5), None);
    }

    #[test]
    fn whoever_waits_does_so_as_long_as_it_gets_on() {
        let (mut course, second) = (Course::begun(Duration::ZERO), Duration::from_secs(1));
        for minute in 1..100 {
            assert!(course.is_worth_waiting(Duration::ZERO, MINUTE * minute - second - Duration::from_millis(1)));
            course.moved(progress(minute.into(), 0), false, Lsn(100), MINUTE * minute - second);
        }
        let last = MINUTE * 99 - second;
        assert!(course.is_worth_waiting(Duration::ZERO, last + MINUTE - Duration::from_millis(1)));
        course.moved(progress(98, 0), false, Lsn(100), last + second);
        assert!(!course.is_worth_waiting(Duration::ZERO, last + MINUTE), "reading again is not getting on");
        assert!(course.is_worth_waiting(last + MINUTE, last + MINUTE), "who has just come waits");
        assert!(!course.is_worth_waiting(last + MINUTE * 2, last + MINUTE * 2), "it is stuck");
        course.moved(progress(100, 0), false, Lsn(101), last + MINUTE * 2);
        assert!(course.is_worth_waiting(Duration::ZERO, last + MINUTE * 2));
        course.stopped("an error".to_owned());
        assert!(!course.is_worth_waiting(Duration::ZERO, last + MINUTE * 2), "it tries again, nobody knows when");
    }
}
