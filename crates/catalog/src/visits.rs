//! How often links may be looked at: those that are none, by each address, so that nobody tries many; and each that is one, whoever
//! looks, so that a link that went round the world costs no more than one that did not.
//!
//! Unlike passwords, a link is looked up before anything is counted: a secret of 128 bits is not guessed by trying, and whoever has one
//! must not be refused because others behind the same address try such as are none.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use crate::failures::{Bucket, Network};

/// Links that are none, from one address, at once: a page that is left open asks on when its link has ended.
const UNKNOWN_BURST: u32 = 60;
/// After that, one more each so long.
const UNKNOWN_INTERVAL: Duration = Duration::from_secs(5);
/// Looks at one link at once: many people may open it at the same moment.
const LINK_BURST: u32 = 240;
/// After that, one more each so long: pages look every few seconds.
const LINK_INTERVAL: Duration = Duration::from_millis(50);
/// Addresses and links that are remembered: those that were used last.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not 0");

pub(crate) struct Visits {
    unknown: LruCache<Network, Bucket>,
    links: LruCache<String, Bucket>,
}

impl Visits {
    pub(crate) fn new() -> Self {
        Self { unknown: LruCache::new(REMEMBERED_MAX), links: LruCache::new(REMEMBERED_MAX) }
    }

    /// There was no such link: counts a try, unless there were too many: then says how long to wait.
    pub(crate) fn wrong(&mut self, peer: Option<IpAddr>, now: Duration) -> Result<(), Duration> {
        let bucket = self.unknown.get_or_insert_mut(Network::of(peer), Bucket::default);
        *bucket = bucket.take(now, UNKNOWN_BURST, UNKNOWN_INTERVAL)?;
        Ok(())
    }

    /// There was this link: counts a look at it, unless there were too many.
    pub(crate) fn found(&mut self, link: &str, now: Duration) -> Result<(), Duration> {
        let bucket = self.links.get_or_insert_mut(link.to_owned(), Bucket::default);
        *bucket = bucket.take(now, LINK_BURST, LINK_INTERVAL)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn peer(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_tries_so_many_links() {
        let mut visits = Visits::new();
        for _ in 0..UNKNOWN_BURST {
            visits.wrong(peer("192.0.2.1"), NOW).unwrap();
        }
        assert_eq!(visits.wrong(peer("192.0.2.1"), NOW), Err(UNKNOWN_INTERVAL));
        assert_eq!(visits.wrong(peer("192.0.2.2"), NOW), Ok(()));
        assert_eq!(visits.wrong(peer("192.0.2.1"), NOW + UNKNOWN_INTERVAL), Ok(()));
    }

    #[test]
    fn a_link_is_looked_at_so_often() {
        let mut visits = Visits::new();
        for _ in 0..LINK_BURST {
            visits.found("one", NOW).unwrap();
        }
        assert_eq!(visits.found("one", NOW), Err(LINK_INTERVAL));
        assert_eq!(visits.found("other", NOW), Ok(()));
        assert_eq!(visits.found("one", NOW + LINK_INTERVAL), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut visits = Visits::new();
        for number in 0..REMEMBERED_MAX.get() + 10 {
            let from = Some(IpAddr::V4(u32::try_from(number).unwrap().into()));
            visits.wrong(from, NOW).unwrap();
            visits.found(&number.to_string(), NOW).unwrap();
        }
        assert_eq!((visits.unknown.len(), visits.links.len()), (REMEMBERED_MAX.get(), REMEMBERED_MAX.get()));
    }
}
