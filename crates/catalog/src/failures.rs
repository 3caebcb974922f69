//! How often somebody may try to sign in: so often at once, then one more each while. For each login, and for each address.
//!
//! An attempt is counted before the password is looked at, and given back if it was right: many at the same moment count
//! too. From where a login has succeeded before, strangers who try the same login elsewhere do not lock it out.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

/// Attempts at a login that may fail at once.
const LOGIN_BURST: u32 = 10;
/// After that, one more each so long.
const LOGIN_INTERVAL: Duration = Duration::from_secs(30);
/// Attempts from an address that may fail at once: many people may sit behind it.
const PEER_BURST: u32 = 50;
/// After that, one more each so long.
const PEER_INTERVAL: Duration = Duration::from_secs(10);
/// Logins, addresses, and pairs of them that are remembered: those that were used last.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not 0");

pub(crate) struct Failures {
    logins: LruCache<String, Bucket>,
    peers: LruCache<Network, Bucket>,
    proven: LruCache<(String, Network), ()>,
}

/// When all that was taken is there again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    full_at: Duration,
}

/// An address; of version 6, the network that one household has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(u128);

impl Failures {
    pub(crate) fn new() -> Self {
        Self {
            logins: LruCache::new(REMEMBERED_MAX),
            peers: LruCache::new(REMEMBERED_MAX),
            proven: LruCache::new(REMEMBERED_MAX),
        }
    }

    /// Counts an attempt, unless there were too many: then says how long to wait.
    pub(crate) fn admit(&mut self, login: &str, peer: Option<IpAddr>, now: Duration) -> Result<(), Duration> {
        let network = Network::of(peer);
        let by_peer = *self.peers.get_or_insert_mut(network, Bucket::default);
        let peer_after = by_peer.take(now, PEER_BURST, PEER_INTERVAL)?;
        if self.proven.get(&(login.to_owned(), network)).is_none() {
            let bucket = self.logins.get_or_insert_mut(login.to_owned(), Bucket::default);
            *bucket = bucket.take(now, LOGIN_BURST, LOGIN_INTERVAL)?;
        }
        self.peers.put(network, peer_after);
        Ok(())
    }

    /// Gives back an attempt whose password was right; `succeeded` if all else was too.
    pub(crate) fn forgive(&mut self, login: &str, peer: Option<IpAddr>, succeeded: bool) {
        let pair = (login.to_owned(), Network::of(peer));
        if let Some(bucket) = self.peers.get_mut(&pair.1) {
            bucket.give_back(PEER_INTERVAL);
        }
        if !self.proven.contains(&pair)
            && let Some(bucket) = self.logins.get_mut(login)
        {
            bucket.give_back(LOGIN_INTERVAL);
        }
        if succeeded {
            self.proven.put(pair, ());
        }
    }
}

impl Bucket {
    pub(crate) fn take(self, now: Duration, burst: u32, interval: Duration) -> Result<Self, Duration> {
        let full_at = self.full_at.max(now) + interval;
        let wait = full_at.saturating_sub(now + interval * burst);
        if wait.is_zero() { Ok(Self { full_at }) } else { Err(wait) }
    }

    /// What was taken is there again.
    pub(crate) fn give_back(&mut self, interval: Duration) {
        self.full_at = self.full_at.saturating_sub(interval);
    }
}

impl Network {
    /// Whoever comes without an address comes by the control socket, which its owner alone can open.
    pub(crate) fn of(peer: Option<IpAddr>) -> Self {
        Self(match peer.map(|peer| peer.to_canonical()) {
            None => 0,
            Some(IpAddr::V4(address)) => u128::from(address.to_bits()) | (1 << 64),
            Some(IpAddr::V6(address)) => address.to_bits() & !u128::from(u64::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn a_login_has_so_many_attempts() {
        let mut failures = Failures::new();
        for _ in 0..LOGIN_BURST {
            failures.admit("anna", peer("192.0.2.1"), NOW).unwrap();
        }
        assert_eq!(failures.admit("anna", peer("192.0.2.2"), NOW), Err(LOGIN_INTERVAL));
        let later = NOW + LOGIN_INTERVAL - Duration::from_secs(1);
        assert_eq!(failures.admit("anna", peer("192.0.2.2"), later), Err(Duration::from_secs(1)));
        assert_eq!(failures.admit("anna", peer("192.0.2.2"), NOW + LOGIN_INTERVAL), Ok(()));
        assert!(failures.admit("anna", peer("192.0.2.2"), NOW + LOGIN_INTERVAL).is_err());
        assert_eq!(failures.admit("otto", peer("192.0.2.1"), NOW), Ok(()));
    }

    #[test]
    fn an_address_has_so_many_attempts() {
        let mut failures = Failures::new();
        for number in 0..PEER_BURST {
            failures.admit(&format!("login{number}"), peer("2001:db8::1"), NOW).unwrap();
        }
        // The same household.
        assert_eq!(failures.admit("anna", peer("2001:db8::2"), NOW), Err(PEER_INTERVAL));
        assert_eq!(failures.admit("anna", peer("2001:db8:0:1::1"), NOW), Ok(()));
        assert_eq!(failures.admit("anna", peer("2001:db8::1"), NOW + PEER_INTERVAL), Ok(()));
    }

    #[test]
    fn what_succeeds_does_not_count() {
        let mut failures = Failures::new();
        for _ in 0..10 * PEER_BURST {
            failures.admit("anna", peer("192.0.2.1"), NOW).unwrap();
            failures.forgive("anna", peer("192.0.2.1"), true);
        }
    }

    #[test]
    fn a_right_password_without_its_code_proves_nothing() {
        let mut failures = Failures::new();
        failures.admit("anna", peer("192.0.2.1"), NOW).unwrap();
        failures.forgive("anna", peer("192.0.2.1"), false);
        for _ in 0..LOGIN_BURST {
            failures.admit("anna", peer("192.0.2.1"), NOW).unwrap();
        }
        assert_eq!(failures.admit("anna", peer("192.0.2.1"), NOW), Err(LOGIN_INTERVAL));
    }

    #[test]
    fn strangers_do_not_lock_somebody_out() {
        let mut failures = Failures::new();
        failures.admit("anna", peer("192.0.2.1"), NOW).unwrap();
        failures.forgive("anna", peer("192.0.2.1"), true);
        while failures.admit("anna", peer("198.51.100.7"), NOW).is_ok() {}
        assert_eq!(failures.admit("anna", peer("192.0.2.1"), NOW), Ok(()));
        assert!(failures.admit("anna", peer("192.0.2.2"), NOW).is_err());
    }

    #[test]
    fn a_mapped_address_is_the_same() {
        assert_eq!(Network::of(peer("::ffff:192.0.2.1")), Network::of(peer("192.0.2.1")));
        assert_ne!(Network::of(peer("192.0.2.1")), Network::of(None));
    }

    #[test]
    fn memory_is_bounded() {
        let mut failures = Failures::new();
        for number in 0..REMEMBERED_MAX.get() + 10 {
            let _ =
                failures.admit(&format!("login{number}"), peer("192.0.2.1"), Duration::from_secs(number as u64 * 60));
        }
        assert_eq!(failures.logins.len(), REMEMBERED_MAX.get());
    }
}
