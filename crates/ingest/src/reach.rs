//! Devices that come by datagrams, and where each was heard last: a command goes back there, as long as that is likely to be its
//! address still.

use crate::Listener;
use crate::command::Commission;
use crate::limits::REACH_MAX;
use crate::sockets::Post;
use crate::worker::Job;
use hashbrown::{DefaultHashBuilder, HashTable};
use odograph_protocols::{Binding, Protocol};
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where a device is reached.
pub(crate) struct Reach {
    binding: Arc<Binding>,
    protocol: &'static Protocol,
    /// Its worker's.
    post: Arc<Post>,
    /// Whose socket it came to.
    door: Arc<Listener>,
    /// Where its datagrams come from.
    from: SocketAddr,
    /// When the last one came, in milliseconds by the clock that never goes back.
    heard_ms: AtomicU64,
    /// It was heard elsewhere since.
    has_moved: AtomicBool,
}

impl Reach {
    pub(crate) fn new(
        binding: &Arc<Binding>,
        protocol: &'static Protocol,
        (door, post): (&Arc<Listener>, &Arc<Post>),
        from: SocketAddr,
        now: Duration,
    ) -> Self {
        Self {
            binding: binding.clone(),
            protocol,
            post: post.clone(),
            door: door.clone(),
            from,
            heard_ms: AtomicU64::new(milliseconds(now)),
            has_moved: AtomicBool::new(false),
        }
    }

    /// What is spoken there.
    pub(crate) const fn protocol(&self) -> &'static Protocol {
        self.protocol
    }

    /// Gives a command to the worker that has the socket.
    pub(crate) fn command(&self, commission: Commission) {
        self.post.inbox.put(Job::Letter { door: self.door.clone(), from: self.from, commission });
    }

    fn whose(&self) -> Whose<'_> {
        (&self.binding.tenant, &self.binding.device)
    }

    fn is_recent(&self, now: Duration) -> bool {
        let heard = Duration::from_millis(self.heard_ms.load(Ordering::Relaxed));
        now.saturating_sub(heard) <= REACH_MAX
    }
}

/// A device's tenant and id.
type Whose<'a> = (&'a str, &'a str);

/// All of them: a device is at one address, the last. As many at most as there are peers.
#[derive(Default)]
pub(crate) struct Reached(Mutex<Table>);

#[derive(Default)]
struct Table {
    reaches: HashTable<Arc<Reach>>,
    hasher: DefaultHashBuilder,
}

impl Reached {
    /// Where a device is, if it was heard from not long ago.
    pub(crate) fn of(&self, tenant: &str, device: &str, now: Duration) -> Option<Arc<Reach>> {
        let table = self.lock();
        let hash = table.hasher.hash_one((tenant, device));
        let found = table.reaches.find(hash, |reach| reach.whose() == (tenant, device));
        found.filter(|reach| reach.is_recent(now)).cloned()
    }

    fn insert(&self, reach: Arc<Reach>) {
        let mut table = self.lock();
        let Table { reaches, hasher } = &mut *table;
        let hash = hasher.hash_one(reach.whose());
        if let Some(place) = reaches.find_mut(hash, |other| other.whose() == reach.whose()) {
            let before = std::mem::replace(place, reach);
            before.has_moved.store(true, Ordering::Release);
            return;
        }
        reaches.insert_unique(hash, reach, |reach| hasher.hash_one(reach.whose()));
    }

    fn remove(&self, reach: &Arc<Reach>) {
        let mut table = self.lock();
        let hash = table.hasher.hash_one(reach.whose());
        if let Ok(there) = table.reaches.find_entry(hash, |other| Arc::ptr_eq(other, reach)) {
            there.remove();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the lock, and if it did, the table would still be whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device is reached at an address, until this is dropped.
pub(crate) struct Stay {
    reached: Arc<Reached>,
    reach: Arc<Reach>,
}

impl Stay {
    pub(crate) fn begin(reached: &Arc<Reached>, reach: Reach) -> Self {
        let reach = Arc::new(reach);
        reached.insert(reach.clone());
        Self { reached: reached.clone(), reach }
    }

    /// Whether it is this device's, with this protocol, and the device was heard nowhere else since.
    pub(crate) fn holds_for(&self, binding: &Binding, protocol: &'static Protocol) -> bool {
        let is_its = self.reach.whose() == (binding.tenant.as_str(), binding.device.as_str());
        is_its && self.reach.protocol.name == protocol.name && !self.has_moved()
    }

    /// Whether the device was heard elsewhere since.
    pub(crate) fn has_moved(&self) -> bool {
        self.reach.has_moved.load(Ordering::Acquire)
    }

    /// The device was heard there.
    pub(crate) fn hear(&self, now: Duration) {
        self.reach.heard_ms.store(milliseconds(now), Ordering::Relaxed);
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.reached.remove(&self.reach);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::Inbox;
    use odograph_protocols::{Decision, Settings, Transport, find};

    fn stay(reached: &Arc<Reached>, port: u16, now: Duration) -> (Stay, Arc<Binding>) {
        let protocol = find("teltonika").unwrap();
        let door = Arc::new(Listener::new(protocol, Transport::Udp, ([127, 0, 0, 1], 1).into()).unwrap());
        let post = Arc::new(Post { sockets: Arc::default(), inbox: Arc::new(Inbox::new()) });
        let (device, tenant, settings) = ("one".into(), "default".into(), Settings::default());
        let binding = Arc::new(Binding { device, tenant, decision: Decision::Accepted, settings });
        let reach = Reach::new(&binding, protocol, (&door, &post), ([127, 0, 0, 1], port).into(), now);
        (Stay::begin(reached, reach), binding)
    }

    #[test]
    fn a_device_is_where_it_was_heard_last_and_not_for_long() {
        let reached = Arc::new(Reached::default());
        let port = |now| reached.of("default", "one", now).map(|reach| reach.from.port());
        let (old, binding) = stay(&reached, 5, Duration::ZERO);
        let is_its = |stay: &Stay| stay.holds_for(&binding, find("teltonika").unwrap());
        assert_eq!((port(REACH_MAX), is_its(&old)), (Some(5), true));
        let late = REACH_MAX + Duration::from_millis(1);
        assert_eq!((port(late), is_its(&old)), (None, true));
        old.hear(late);
        assert_eq!(port(late), Some(5));
        assert!(reached.of("other", "one", late).is_none());
        let (new, _) = stay(&reached, 6, late);
        assert_eq!((port(late), is_its(&old), is_its(&new)), (Some(6), false, true));
        drop(old);
        assert_eq!(port(late), Some(6), "that it is gone from there is nothing new");
        drop(new);
        assert_eq!(port(late), None);
    }
}
