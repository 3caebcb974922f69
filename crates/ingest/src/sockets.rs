//! The sockets of a worker's connections, so that somebody else can end them: the connection that replaces another
//! one of the same device, and the watchdog when a worker hangs.

use crate::Close;
use crate::command::Commission;
use crate::worker::{Inbox, Job};
use compact_str::CompactString;
use hashbrown::HashMap;
use odograph_protocols::{Binding, Protocol};
use slab::Slab;
use socket2::SockRef;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::tcp::OwnedWriteHalf;

/// A connection's socket, as far as others than its reader need it.
pub(crate) struct Socket(pub(crate) OwnedWriteHalf);

impl Socket {
    /// Ends it in both directions, which wakes whoever waits for it.
    pub(crate) fn shut(&self) {
        let stream: &tokio::net::TcpStream = self.0.as_ref();
        // An error means that it has ended already.
        let _ = SockRef::from(stream).shutdown(Shutdown::Both);
    }
}

/// The open sockets of one worker.
#[derive(Default)]
pub(crate) struct Sockets {
    open: Mutex<Slab<Open>>,
}

struct Open {
    socket: Arc<Socket>,
    /// The connection's number in the journal: tells it from a later one in the same place.
    stream: u64,
    ended: Option<Close>,
}

/// One connection, for somebody else.
#[derive(Clone)]
pub(crate) struct Handle {
    sockets: Arc<Sockets>,
    /// Of its worker.
    inbox: Arc<Inbox>,
    /// Its place among the worker's sockets, and among its links.
    places: (usize, usize),
    stream: u64,
    /// What is spoken there.
    protocol: &'static Protocol,
}

impl Sockets {
    pub(crate) fn insert(&self, socket: Arc<Socket>, stream: u64) -> usize {
        self.lock().insert(Open { socket, stream, ended: None })
    }

    /// Takes a socket out; says why somebody else ended it, if somebody did.
    pub(crate) fn remove(&self, place: usize) -> Option<Close> {
        self.lock().try_remove(place)?.ended
    }

    /// Why somebody else ended a connection, if somebody did.
    pub(crate) fn ended(&self, place: usize) -> Option<Close> {
        self.lock().get(place)?.ended
    }

    /// Ends all of them.
    pub(crate) fn end_all(&self, why: Close) -> usize {
        let mut open = self.lock();
        for (_, open) in open.iter_mut() {
            open.end(why);
        }
        open.len()
    }

    pub(crate) fn handle(
        self: &Arc<Self>,
        inbox: &Arc<Inbox>,
        places: (usize, usize),
        stream: u64,
        protocol: &'static Protocol,
    ) -> Handle {
        Handle { sockets: self.clone(), inbox: inbox.clone(), places, stream, protocol }
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Open>> {
        // Nothing panics while it holds the lock, and if it did, the table would still be whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn end(&mut self, why: Close) {
        self.ended.get_or_insert(why);
        self.socket.shut();
    }
}

impl Handle {
    /// Ends the connection, if it is still there.
    pub(crate) fn end(&self, why: Close) {
        if let Some(open) = self.sockets.lock().get_mut(self.places.0).filter(|open| open.stream == self.stream) {
            open.end(why);
        }
    }

    /// What is spoken there.
    pub(crate) const fn protocol(&self) -> &'static Protocol {
        self.protocol
    }

    /// Gives a command to the connection's worker.
    pub(crate) fn command(&self, commission: Commission) {
        self.inbox.put(Job::Command { place: self.places.1, stream: self.stream, commission });
    }
}

/// Which connection a device has. It has one: a second replaces the first, which is dead more often than not, because
/// devices lose their network without a word.
#[derive(Default)]
pub(crate) struct Present {
    devices: Mutex<HashMap<Whose, Handle>>,
}

/// A device's tenant and id: tenants may have devices of the same id.
type Whose = (CompactString, CompactString);

impl Present {
    /// The device is here now, and nowhere else.
    pub(crate) fn arrive(&self, binding: &Binding, handle: Handle) {
        let before = self.lock().insert(whose(binding), handle);
        if let Some(before) = before {
            before.end(Close::Replaced);
        }
    }

    /// The device's connection ended.
    pub(crate) fn leave(&self, binding: &Binding, stream: u64) {
        let mut devices = self.lock();
        let whose = whose(binding);
        if devices.get(&whose).is_some_and(|handle| handle.stream == stream) {
            devices.remove(&whose);
        }
    }

    /// Ends the connections of a device, or of all devices of a tenant. Returns how many are still there.
    pub(crate) fn end(&self, tenant: &str, device: Option<&str>, why: Close) -> usize {
        let devices = self.lock();
        let is_meant = |whose: &Whose| whose.0 == tenant && device.is_none_or(|device| whose.1 == device);
        let meant = devices.iter().filter(|(whose, _)| is_meant(whose));
        meant.map(|(_, handle)| handle.end(why)).count()
    }

    /// A device's connection.
    pub(crate) fn of(&self, tenant: &str, device: &str) -> Option<Handle> {
        self.lock().get(&(CompactString::from(tenant), CompactString::from(device))).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Whose, Handle>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn whose(binding: &Binding) -> Whose {
    (binding.tenant.clone(), binding.device.clone())
}
