//! The sockets of a worker's connections, so that somebody else can end them: the connection that replaces another
//! one of the same device, and the watchdog when a worker hangs.

use crate::Close;
use crate::command::Commission;
use crate::gateway::Common;
use crate::seats::Claim;
use crate::worker::{Inbox, Job};
use hashbrown::{DefaultHashBuilder, HashTable};
use odograph_protocols::{Binding, Protocol};
use slab::Slab;
use socket2::SockRef;
use std::hash::BuildHasher;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

/// In place of the number of a connection that has not begun: there is no such place in the journal.
const UNNUMBERED: u64 = u64::MAX;

/// Ends a socket in both directions, which wakes whoever waits for it.
pub(crate) fn shut(socket: &TcpStream) {
    // An error means that it has ended already.
    let _ = SockRef::from(socket).shutdown(Shutdown::Both);
}

/// The open sockets of one worker.
#[derive(Default)]
pub(crate) struct Sockets {
    open: Mutex<Slab<Open>>,
}

struct Open {
    /// As far as others than its reader need it.
    socket: OwnedWriteHalf,
    /// The connection's number in the journal: tells it from a later one in the same place.
    stream: u64,
    /// Boxed: hardly any has it.
    rare: Option<Box<Rare>>,
}

/// What few connections have.
#[derive(Default)]
struct Rare {
    /// Somebody else ended it.
    ended: Option<Close>,
    /// It takes up places that are bounded.
    claim: Option<Arc<Claim>>,
}

/// Where a worker is reached by others.
pub(crate) struct Post {
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) inbox: Arc<Inbox>,
}

/// One connection, for somebody else.
#[derive(Clone)]
pub(crate) struct Handle {
    /// Its worker's.
    pub(crate) post: Arc<Post>,
    /// Its place among the worker's sockets, and among its links.
    pub(crate) places: Places,
    pub(crate) stream: u64,
    /// What is spoken there.
    pub(crate) protocol: &'static Protocol,
}

/// A connection's places in its worker's tables. There are fewer connections than files can be open.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Places {
    pub(crate) socket: u32,
    pub(crate) link: u32,
}

/// A place in a table of connections. A process has fewer open files than that.
pub(crate) fn place_of(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

impl Sockets {
    pub(crate) fn insert(&self, socket: OwnedWriteHalf, stream: u64, claim: Option<Arc<Claim>>) -> usize {
        let rare = claim.map(|claim| Box::new(Rare { ended: None, claim: Some(claim) }));
        self.lock().insert(Open { socket, stream, rare })
    }

    /// Takes a socket out; says why somebody else ended it, if somebody did.
    pub(crate) fn remove(&self, place: usize) -> Option<Close> {
        let removed = self.lock().try_remove(place)?;
        removed.rare?.ended
    }

    /// Takes in the socket of a connection that does not speak yet, and has no number in the journal.
    pub(crate) fn prepare(self: &Arc<Self>, socket: OwnedWriteHalf, claim: Option<Arc<Claim>>) -> Prepared {
        Prepared { place: Some(self.insert(socket, UNNUMBERED, claim)), sockets: self.clone() }
    }

    /// Why somebody else ended a connection, if somebody did.
    pub(crate) fn ended(&self, place: usize) -> Option<Close> {
        self.lock().get(place)?.rare.as_ref()?.ended
    }

    /// Ends all of them for a worker that hangs, and gives back what others need who come now.
    pub(crate) fn end_all(&self, why: Close, common: &Common) -> usize {
        let mut open = self.lock();
        // All of it first: a device comes again as soon as it hears that its connection has ended.
        let claims = open.iter().filter_map(|(_, open)| open.rare.as_ref()?.claim.as_ref());
        claims.for_each(|claim| claim.give_back(common));
        open.iter_mut().for_each(|(_, open)| open.end(why));
        open.len()
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Open>> {
        // Nothing panics while it holds the lock, and if it did, the table would still be whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that others can end before its connection begins. It is taken out when this is dropped.
pub(crate) struct Prepared {
    sockets: Arc<Sockets>,
    place: Option<usize>,
}

impl Prepared {
    /// The connection begins. `None`: somebody has ended it.
    pub(crate) fn begin(mut self) -> Option<OwnedWriteHalf> {
        let open = self.sockets.lock().try_remove(self.place.take()?)?;
        open.rare.is_none_or(|rare| rare.ended.is_none()).then_some(open.socket)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let _ = self.sockets.remove(place);
        }
    }
}

impl Open {
    fn end(&mut self, why: Close) {
        self.rare.get_or_insert_default().ended.get_or_insert(why);
        shut(self.socket.as_ref());
    }
}

impl Handle {
    /// Ends the connection, if it is still there.
    pub(crate) fn end(&self, why: Close) {
        let mut sockets = self.post.sockets.lock();
        if let Some(open) = sockets.get_mut(self.places.socket as usize).filter(|open| open.stream == self.stream) {
            open.end(why);
        }
    }

    /// What is spoken there.
    pub(crate) const fn protocol(&self) -> &'static Protocol {
        self.protocol
    }

    /// Gives a command to the connection's worker.
    pub(crate) fn command(&self, commission: Commission) {
        let place = self.places.link as usize;
        self.post.inbox.put(Job::Command { place, stream: self.stream, commission });
    }
}

/// Which connection a device has. It has one: a second replaces the first, which is dead more often than not, because
/// devices lose their network without a word.
#[derive(Default)]
pub(crate) struct Present {
    devices: Mutex<Devices>,
}

/// A table of places and a list, since a table always has room to spare, and places are small.
#[derive(Default)]
struct Devices {
    places: HashTable<u32>,
    here: Slab<Here>,
    hasher: DefaultHashBuilder,
}

/// A device, which the connection knows as well, and its connection.
struct Here {
    binding: Arc<Binding>,
    handle: Handle,
}

/// A device's tenant and id: tenants may have devices of the same id.
type Whose<'a> = (&'a str, &'a str);

impl Present {
    /// The device is here now, and nowhere else.
    pub(crate) fn arrive(&self, binding: &Arc<Binding>, handle: Handle) {
        let before = self.lock().insert(Here { binding: binding.clone(), handle });
        if let Some(before) = before {
            before.handle.end(Close::Replaced);
        }
    }

    /// The device's connection ended.
    pub(crate) fn leave(&self, binding: &Binding, stream: u64) {
        self.lock().remove(whose(binding), stream);
    }

    /// A device's connection.
    pub(crate) fn of(&self, tenant: &str, device: &str) -> Option<Handle> {
        self.lock().find((tenant, device)).map(|here| here.handle.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Devices {
    fn find(&self, of: Whose<'_>) -> Option<&Here> {
        let is = |place: &u32| whose(&self.here[*place as usize].binding) == of;
        self.places.find(self.hasher.hash_one(of), is).map(|place| &self.here[*place as usize])
    }

    fn insert(&mut self, here: Here) -> Option<Here> {
        let Self { places, here: list, hasher } = self;
        let of = whose(&here.binding);
        let hash = hasher.hash_one(of);
        if let Some(place) = places.find(hash, |place| whose(&list[*place as usize].binding) == of) {
            return Some(std::mem::replace(&mut list[*place as usize], here));
        }
        let place = place_of(list.insert(here));
        places.insert_unique(hash, place, |place| hasher.hash_one(whose(&list[*place as usize].binding)));
        None
    }

    fn remove(&mut self, of: Whose<'_>, stream: u64) {
        let Self { places, here: list, hasher } = self;
        let is = |here: &Here| whose(&here.binding) == of && here.handle.stream == stream;
        if let Ok(found) = places.find_entry(hasher.hash_one(of), |place| is(&list[*place as usize])) {
            list.remove(found.remove().0 as usize);
        }
    }
}

fn whose(binding: &Binding) -> Whose<'_> {
    (&binding.tenant, &binding.device)
}
