//! How often a tenant may have it looked what an erasure would take: a look reads all of the journal, and while it does nobody can erase.

use compact_str::CompactString;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// It cannot be done now, and nothing stands against it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Busy {
    pub(crate) what: &'static str,
    pub(crate) retry_after: Duration,
}

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for Busy {}

/// When each tenant may ask again, by the monotonic clock: only those that may not yet.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    not_before: Mutex<BTreeMap<CompactString, Duration>>,
}

impl Turns {
    /// Whether a tenant may ask now.
    pub(crate) fn ask(&self, tenant: &str, now: Duration) -> Result<(), Busy> {
        let not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        match not_before.get(tenant).and_then(|at| at.checked_sub(now)).filter(|left| !left.is_zero()) {
            Some(retry_after) => Err(Busy { what: "it was looked a moment ago what there is to erase", retry_after }),
            None => Ok(()),
        }
    }

    /// A look of a tenant that began then has ended now, and nothing was erased.
    pub(crate) fn looked(&self, tenant: &str, began: Duration, now: Duration) {
        let took = now.saturating_sub(began);
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        not_before.retain(|_, at| *at > now);
        not_before.insert(tenant.into(), now + (took * PAUSE_TIMES).max(PAUSE_MIN));
    }
}

/// So a tenant has others wait for at most a fifth of the time.
const PAUSE_TIMES: u32 = 4;
/// However little there is to look at.
const PAUSE_MIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_waits_longer_than_its_look_took_and_others_do_not_wait_for_it() {
        let (turns, s) = (Turns::default(), Duration::from_secs);
        assert_eq!(turns.ask("north", s(0)), Ok(()));
        turns.looked("north", s(100), s(110));
        let left = |tenant: &str, now| turns.ask(tenant, s(now)).err().map(|busy| busy.retry_after);
        assert_eq!([110, 149, 150].map(|now| left("north", now)), [Some(s(40)), Some(s(1)), None]);
        assert_eq!(left("south", 110), None);
        turns.looked("south", s(200), s(200));
        assert_eq!([200, 204, 205].map(|now| left("south", now)), [Some(s(5)), Some(s(1)), None]);
        // Nobody is remembered who may ask.
        assert_eq!(turns.not_before.lock().unwrap().len(), 1);
    }
}
