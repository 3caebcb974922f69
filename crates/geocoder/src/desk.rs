//! Who waits for which address, what is known already, and when the geocoder is asked next: decided without socket and clock.

use crate::source::Failed;
use crate::{Address, Refusal};
use lru::LruCache;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// Places that wait, of all tenants. Behind so many, at one a second, nobody waits who still looks.
pub(crate) const WAITING_MAX: usize = 64;
/// Of one tenant: others find room.
pub(crate) const WAITING_OF_TENANT_MAX: usize = 8;
/// Who waits for the same place: all who look at one page.
pub(crate) const WAITING_FOR_PLACE_MAX: usize = 64;
/// Requests under way: a slow geocoder is not asked the more for it.
pub(crate) const AT_ONCE_MAX: usize = 2;
/// Addresses in memory: some hundred bytes each.
pub(crate) const KNOWN_MAX: usize = 10_000;
/// How long they hold. Streets are renamed seldom.
pub(crate) const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// After a failure nobody is asked for so long; twice as long after each further one, up to the second.
pub(crate) const PAUSE_MIN: Duration = Duration::from_secs(2);
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long a geocoder is left alone at most that says when it wants to be asked again.
pub(crate) const LEFT_ALONE_MAX: Duration = Duration::from_secs(600);

/// A place, to about ten metres, and whose question it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    tenant: Arc<str>,
    latitude_e4: i32,
    longitude_e4: i32,
}

impl Question {
    pub(crate) fn new(tenant: &str, latitude: f64, longitude: f64) -> Self {
        let rounded = |degrees: f64| (degrees * 1e4).round() as i32;
        Self { tenant: tenant.into(), latitude_e4: rounded(latitude), longitude_e4: rounded(longitude) }
    }

    /// Degrees to the north.
    pub(crate) fn latitude(&self) -> f64 {
        f64::from(self.latitude_e4) / 1e4
    }

    /// Degrees to the east.
    pub(crate) fn longitude(&self) -> f64 {
        f64::from(self.longitude_e4) / 1e4
    }
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask this.
    Ask(Question),
    /// Look again then.
    At(Duration),
    /// Look again when something has happened.
    Wait,
}

type Said = Result<Arc<Address>, Refusal>;

/// Where questions come and answers go. `W` is whoever waits.
pub(crate) struct Desk<W> {
    /// The least time between two requests.
    every: Duration,
    known: LruCache<Question, (Arc<Address>, Duration)>,
    /// By place, those under way among them.
    waiting: HashMap<Question, Vec<W>>,
    queue: VecDeque<Question>,
    under_way: usize,
    /// When the next request may leave.
    free_at: Duration,
    /// Until when the geocoder is left alone.
    silent_until: Duration,
    /// How often it failed, one time after the other.
    failures: u32,
    /// Whose question was asked last.
    last: Option<Arc<str>>,
}

impl<W> Desk<W> {
    pub(crate) fn new(every: Duration) -> Self {
        let known = LruCache::new(NonZeroUsize::new(KNOWN_MAX).unwrap_or(NonZeroUsize::MIN));
        Self {
            every,
            known,
            waiting: HashMap::new(),
            queue: VecDeque::new(),
            under_way: 0,
            free_at: Duration::ZERO,
            silent_until: Duration::ZERO,
            failures: 0,
            last: None,
        }
    }

    /// Takes a question. Whoever need not wait comes back, with what they are told.
    pub(crate) fn ask(&mut self, question: Question, who: W, now: Duration) -> Option<(W, Said)> {
        if let Some((address, since)) = self.known.get(&question)
            && now.saturating_sub(*since) < KNOWN_FOR
        {
            return Some((who, Ok(address.clone())));
        }
        if let Some(those) = self.waiting.get_mut(&question) {
            if those.len() >= WAITING_FOR_PLACE_MAX {
                return Some((who, Err(Refusal::Full { retry_after: self.every })));
            }
            those.push(who);
            return None;
        }
        if now < self.silent_until {
            return Some((who, Err(Refusal::Silent { retry_after: self.silent_until - now })));
        }
        let of_tenant = self.queue.iter().filter(|other| other.tenant == question.tenant).count();
        if self.queue.len() >= WAITING_MAX || of_tenant >= WAITING_OF_TENANT_MAX {
            let places = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
            return Some((who, Err(Refusal::Full { retry_after: self.every.saturating_mul(places) })));
        }
        self.waiting.insert(question.clone(), vec![who]);
        self.queue.push_back(question);
        None
    }

    /// What is to be done now. Places for which nobody waits any more are left out.
    pub(crate) fn next(&mut self, now: Duration, is_gone: impl Fn(&W) -> bool) -> Next {
        if self.under_way >= AT_ONCE_MAX {
            return Next::Wait;
        }
        let waiting = &mut self.waiting;
        self.queue.retain(|question| {
            let is_wanted = waiting.get(question).is_some_and(|those| !those.iter().all(&is_gone));
            if !is_wanted {
                waiting.remove(question);
            }
            is_wanted
        });
        // In turns: somebody else's than the last one's, if there is one.
        let turn = self.queue.iter().position(|question| Some(&question.tenant) != self.last.as_ref());
        if self.queue.is_empty() {
            return Next::Wait;
        }
        if now < self.free_at {
            return Next::At(self.free_at);
        }
        let Some(question) = self.queue.remove(turn.unwrap_or_default()) else { return Next::Wait };
        self.last = Some(question.tenant.clone());
        self.free_at = now + self.every;
        self.under_way += 1;
        Next::Ask(question)
    }

    /// Takes what came of a question. All who are told something now come back; after a failure, these are all who wait for what was
    /// not asked yet, too.
    pub(crate) fn answered(
        &mut self,
        question: &Question,
        outcome: Result<Address, Failed>,
        now: Duration,
    ) -> Vec<(W, Said)> {
        self.under_way = self.under_way.saturating_sub(1);
        let mut those = self.waiting.remove(question).unwrap_or_default();
        let said = match outcome {
            Ok(address) => {
                let address = Arc::new(address);
                self.failures = 0;
                self.known.put(question.clone(), (address.clone(), now));
                Ok(address)
            }
            Err(Failed { left_alone, .. }) => {
                let doubled = PAUSE_MIN.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
                let pause = left_alone.map_or(doubled, |wanted| wanted.clamp(PAUSE_MIN, LEFT_ALONE_MAX));
                self.failures += 1;
                self.silent_until = self.silent_until.max(now + pause);
                for question in std::mem::take(&mut self.queue) {
                    those.extend(self.waiting.remove(&question).unwrap_or_default());
                }
                Err(Refusal::Silent { retry_after: self.silent_until - now })
            }
        };
        those.into_iter().map(|who| (who, said.clone())).collect()
    }
}

#[cfg(test)]
mod tests;
