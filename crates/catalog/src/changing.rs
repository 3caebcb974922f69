//! How often somebody may change something: so often at once, then one more each while, whatever it is. What is changed stands in the
//! audit log and makes others read it, so a program that goes round in circles would fill the one and keep the others busy.
//!
//! The server itself and the owner of the data folder are not counted: nobody else is behind them.

use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use crate::Actor;
use crate::failures::Bucket;

/// Changes of one person or token at once: somebody who brings a fleet along, device by device. More goes by an import, which is one.
pub const CHANGE_BURST: u32 = 2000;
/// After that, one more each so long.
const CHANGE_INTERVAL: Duration = Duration::from_millis(500);
/// People and tokens that are remembered: those that changed something last.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not 0");

pub(crate) struct Changing {
    by: LruCache<(bool, String), Bucket>,
}

impl Changing {
    pub(crate) fn new() -> Self {
        Self { by: LruCache::new(REMEMBERED_MAX) }
    }

    /// Counts a change, unless there were too many: then says how long to wait.
    pub(crate) fn admit(&mut self, actor: &Actor, now: Duration) -> Result<(), Duration> {
        let name = match actor {
            Actor::User { id, .. } => (true, id.clone()),
            Actor::Token { id, .. } => (false, id.clone()),
            Actor::Owner | Actor::Server => return Ok(()),
        };
        let bucket = self.by.get_or_insert_mut(name, Bucket::default);
        *bucket = bucket.take(now, CHANGE_BURST, CHANGE_INTERVAL)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn token(id: &str) -> Actor {
        Actor::Token { id: id.into(), name: "reports".into(), tenant: "north".into() }
    }

    #[test]
    fn each_token_changes_so_much() {
        let mut changing = Changing::new();
        for _ in 0..CHANGE_BURST {
            changing.admit(&token("one"), NOW).unwrap();
        }
        assert_eq!(changing.admit(&token("one"), NOW), Err(CHANGE_INTERVAL));
        assert_eq!(changing.admit(&token("other"), NOW), Ok(()), "of the same name");
        assert_eq!(changing.admit(&token("one"), NOW + CHANGE_INTERVAL), Ok(()));
        assert_eq!(changing.admit(&token("one"), NOW + CHANGE_INTERVAL), Err(CHANGE_INTERVAL));
    }

    #[test]
    fn what_has_nobody_behind_it_is_not_counted() {
        let mut changing = Changing::new();
        for _ in 0..=CHANGE_BURST {
            changing.admit(&Actor::Server, NOW).unwrap();
            changing.admit(&Actor::Owner, NOW).unwrap();
        }
        assert_eq!(changing.by.len(), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut changing = Changing::new();
        for number in 0..REMEMBERED_MAX.get() + 10 {
            changing.admit(&token(&number.to_string()), NOW).unwrap();
        }
        assert_eq!(changing.by.len(), REMEMBERED_MAX.get());
    }
}
