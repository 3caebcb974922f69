//! How full the disk gets: what it held, hour by hour, for a week. Measured and not reckoned up, because journal and history come and
//! go by rules of their own, and others write there, too.

use odograph_api::DiskSize;
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

/// A disk at one moment, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    /// What may still be written.
    free: u64,
    total: u64,
    /// What all files take: unlike what is free, it stays the same where the disk is made larger.
    held: u64,
}

impl Space {
    /// That of the disk that the folder is on; nothing where the system does not say.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let stat = rustix::fs::statvfs(folder).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        let held = bytes(stat.f_blocks.saturating_sub(stat.f_bfree));
        Some(Self { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks), held })
    }
}

/// What a disk held since the start, a week back at most, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Watched {
    held: VecDeque<(Duration, u64)>,
}

impl Watched {
    /// Takes in what it holds now, by the monotonic clock: once in each [`EVERY`].
    pub(super) fn take(&mut self, now: Duration, space: Space) {
        if self.held.len() == TAKEN_MAX {
            self.held.pop_front();
        }
        self.held.push_back((now, space.held));
    }

    /// What it has left, and how long that goes well.
    pub(super) fn told(&self, now: Duration, space: Space) -> DiskSize {
        let Space { free, total, held } = space;
        let (begun, before) = self.held.front().copied().unwrap_or((now, held));
        let watched_s = now.saturating_sub(begun).as_secs();
        let lost = i128::from(held) - i128::from(before);
        let per_day = (watched_s >= DAY_S).then(|| lost * i128::from(DAY_S) / i128::from(watched_s));
        let lost_bytes_per_day = per_day.and_then(|bytes| i64::try_from(bytes).ok());
        let days_left = lost_bytes_per_day.and_then(|lost| free.checked_div(u64::try_from(lost).ok()?));
        DiskSize { free_bytes: free, total_bytes: total, watched_s, lost_bytes_per_day, days_left }
    }
}

/// How often it is looked at: what a day brings does not show in less.
pub(super) const EVERY: Duration = Duration::from_secs(60 * 60);
/// A week of them: weekends are among it.
const TAKEN_MAX: usize = 7 * 24;
/// Nights are not like days: from less than one of each, nobody should conclude what a day brings.
const DAY_S: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: u64 = 100_000;

    fn space(held: u64) -> Space {
        Space { free: TOTAL - held, total: TOTAL, held }
    }

    /// What is told of a disk that held these bytes hour by hour, an hour after the last: seconds, bytes a day, days.
    fn told(held: impl IntoIterator<Item = u64>, now: u64) -> (u64, Option<i64>, Option<u64>) {
        let (mut watched, mut hour) = (Watched::default(), Duration::ZERO);
        for held in held {
            watched.take(hour, space(held));
            hour += EVERY;
        }
        let DiskSize { watched_s, lost_bytes_per_day, days_left, .. } = watched.told(hour, space(now));
        (watched_s, lost_bytes_per_day, days_left)
    }

    #[test]
    fn nothing_is_concluded_from_less_than_a_day() {
        assert_eq!(told([], 0), (0, None, None));
        assert_eq!(told((0..23).map(|hour| hour * 100), 2300), (DAY_S - 60 * 60, None, None));
        assert_eq!(told((0..24).map(|hour| hour * 100), 2400), (DAY_S, Some(2400), Some(40)), "97,600 are free");
    }

    #[test]
    fn what_goes_makes_up_for_what_comes() {
        let (day, night) = ([1000_u64; 24], [4000_u64; 24]);
        assert_eq!(told([day, night].concat(), 1000), (2 * DAY_S, Some(0), None), "retention gave up what came");
        assert_eq!(told(day, 500), (DAY_S, Some(-500), None));
        assert_eq!(told(day, 1001), (DAY_S, Some(1), Some(98_999)));
    }

    #[test]
    fn a_week_is_remembered_and_no_more() {
        // Much came long ago, and little since.
        let long_ago = (0..24).map(|hour| hour * 1000);
        let since = (0..7 * 24).map(|hour| 24_000 + hour);
        let (watched_s, lost, _) = told(long_ago.chain(since), 24_000 + 7 * 24);
        assert_eq!((watched_s, lost), (7 * DAY_S, Some(24)));
        let mut watched = Watched::default();
        (0..10_000).for_each(|hour| watched.take(EVERY * hour, space(0)));
        assert_eq!(watched.held.len(), TAKEN_MAX);
    }

    #[test]
    fn a_disk_that_is_made_larger_loses_no_less() {
        let mut watched = Watched::default();
        watched.take(Duration::ZERO, space(1000));
        let larger = Space { free: 10 * TOTAL - 2000, total: 10 * TOTAL, held: 2000 };
        let told = watched.told(Duration::from_secs(DAY_S), larger);
        assert_eq!((told.lost_bytes_per_day, told.days_left), (Some(1000), Some(998)));
        assert_eq!((told.free_bytes, told.total_bytes), (10 * TOTAL - 2000, 10 * TOTAL));
    }

    #[test]
    fn the_disk_of_a_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let Space { free, total, held } = Space::of(folder.path()).unwrap();
        assert!(total > 0 && free <= total && held <= total, "{free} and {held} of {total}");
        assert!(Space::of(&folder.path().join("none")).is_none());
    }
}
