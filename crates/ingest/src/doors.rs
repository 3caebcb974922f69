//! The doors that are open: sockets on which devices arrive. They come and go while the gateway runs.
//!
//! A door that is closed leaves nothing half done: its listener says so first ([`Listener::is_closed`]), so that whoever was accepted
//! a moment ago is let go without a word; then nobody accepts there any more, and the connections that came there end in good order.

use crate::{GatewayError, Given, Listener, Tls};
use odograph_protocols::Transport;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A bound socket, and what it is for.
#[derive(Clone)]
pub struct Bound {
    pub(crate) listener: Arc<Listener>,
    pub(crate) socket: BoundSocket,
}

#[derive(Clone)]
pub(crate) enum BoundSocket {
    Tcp(Arc<TcpListener>),
    Udp(Arc<UdpSocket>),
}

impl Bound {
    /// Where it is: the port is known now, also where it was 0.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Opens a listener's socket, as [`Given::open`] does.
    pub fn open(listener: Listener) -> Result<Self, GatewayError> {
        let given = Given::open(listener.transport, listener.local)?;
        Ok(Self::adopt(listener, given))
    }

    /// Takes a socket that somebody else has opened, for what travels there. The listener is where it is.
    pub fn adopt(mut listener: Listener, given: Given) -> Self {
        listener.local = given.local();
        let socket = match given.transport() {
            Transport::Tcp => BoundSocket::Tcp(Arc::new(given.socket.into())),
            Transport::Udp => BoundSocket::Udp(Arc::new(given.socket.into())),
        };
        Self { listener: Arc::new(listener), socket }
    }

    /// Whether others have the socket as well, here in this process.
    fn is_shared(&self) -> bool {
        match &self.socket {
            BoundSocket::Tcp(socket) => Arc::strong_count(socket) > 1,
            BoundSocket::Udp(socket) => Arc::strong_count(socket) > 1,
        }
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            BoundSocket::Tcp(socket) => socket.as_fd(),
            BoundSocket::Udp(socket) => socket.as_fd(),
        }
    }
}

/// Which door: no other one of the gateway has it, before or afterwards. The first one has the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DoorId(u64);

/// An open door.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) id: DoorId,
    pub(crate) bound: Bound,
    /// The worker that takes its datagrams, by number.
    pub(crate) worker: usize,
}

impl Door {
    /// Where devices connect, if that is what it is for.
    pub(crate) fn tcp(&self) -> Option<&Arc<TcpListener>> {
        match &self.bound.socket {
            BoundSocket::Tcp(socket) => Some(socket),
            BoundSocket::Udp(_) => None,
        }
    }

    /// Where datagrams come in, if that is what it is for.
    pub(crate) fn udp(&self) -> Option<&Arc<UdpSocket>> {
        match &self.bound.socket {
            BoundSocket::Tcp(_) => None,
            BoundSocket::Udp(socket) => Some(socket),
        }
    }

    /// Whether somebody else still has its socket.
    pub(crate) fn is_in_use(&self) -> bool {
        self.bound.is_shared()
    }

    /// Its socket once more.
    pub(crate) fn again(&self) -> io::Result<Given> {
        Given::new(self.bound.as_fd().try_clone_to_owned()?)
    }
}

/// All that are open.
#[derive(Default)]
pub(crate) struct Doors {
    open: Mutex<Open>,
    /// Counts the changes: whoever goes by them need not look at thousands of doors each time.
    changes: AtomicU64,
}

#[derive(Default)]
struct Open {
    doors: Vec<Door>,
    next: u64,
    /// How many for datagrams there were.
    datagrams: usize,
}

impl Doors {
    /// One more, whose datagrams go to one of so many workers.
    pub(crate) fn add(&self, bound: Bound, workers: usize) -> Door {
        let mut open = self.lock();
        let id = DoorId(open.next);
        open.next += 1;
        let worker = open.datagrams % workers.max(1);
        // The next one is another worker's.
        open.datagrams += usize::from(bound.listener.transport == Transport::Udp);
        let door = Door { id, bound, worker };
        open.doors.push(door.clone());
        self.changes.fetch_add(1, Ordering::Release);
        door
    }

    /// Takes one out.
    pub(crate) fn remove(&self, id: DoorId) -> Option<Door> {
        let mut open = self.lock();
        let at = open.doors.iter().position(|door| door.id == id)?;
        let door = open.doors.remove(at);
        self.changes.fetch_add(1, Ordering::Release);
        Some(door)
    }

    /// How often something changed. To be asked before the doors are.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Door> {
        self.lock().doors.clone()
    }

    /// One of them.
    pub(crate) fn get(&self, id: DoorId) -> Option<Door> {
        self.lock().doors.iter().find(|door| door.id == id).cloned()
    }

    /// Whether one of them is such.
    pub(crate) fn any(&self, is: impl Fn(&Listener) -> bool) -> bool {
        self.lock().doors.iter().any(|door| is(&door.bound.listener))
    }

    /// The certificates that they have, each once.
    pub(crate) fn certificates(&self) -> Vec<Arc<Tls>> {
        let mut all: Vec<Arc<Tls>> =
            self.lock().doors.iter().filter_map(|door| door.bound.listener.tls.clone()).collect();
        all.sort_by_key(Arc::as_ptr);
        all.dedup_by(|one, other| Arc::ptr_eq(one, other));
        all
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Every change is whole, so a panic elsewhere does not spoil it.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_protocols::find;

    fn bound(transport: Transport) -> Bound {
        let protocol = find("teltonika").unwrap();
        Bound::open(Listener::new(protocol, transport, ([127, 0, 0, 1], 0).into()).unwrap()).unwrap()
    }

    #[test]
    fn doors_come_and_go_and_none_has_the_number_of_another() {
        let doors = Doors::default();
        let first = doors.add(bound(Transport::Tcp), 2);
        let second = doors.add(bound(Transport::Udp), 2);
        let datagrams = [doors.add(bound(Transport::Udp), 2), doors.add(bound(Transport::Udp), 2)];
        assert_eq!((second.worker, datagrams[0].worker, datagrams[1].worker), (0, 1, 0), "each worker has its share");
        for door in datagrams {
            assert!(doors.remove(door.id).is_some());
        }
        assert!(first.tcp().is_some() && first.udp().is_none());
        assert!(second.udp().is_some() && second.tcp().is_none());
        let before = doors.changes();
        assert!(doors.remove(first.id).is_some() && doors.remove(first.id).is_none());
        assert_eq!(doors.changes(), before + 1, "what is not there changes nothing");
        let third = doors.add(bound(Transport::Tcp), 2);
        assert_ne!(third.id, first.id);
        assert_eq!(doors.all().iter().map(|door| door.id).collect::<Vec<_>>(), [second.id, third.id]);
        assert!(doors.get(first.id).is_none() && doors.get(third.id).is_some());
        assert!(doors.any(|listener| listener.transport == Transport::Udp));
        assert!(doors.certificates().is_empty());
    }

    #[test]
    fn a_socket_is_in_use_as_long_as_somebody_else_has_it() {
        let doors = Doors::default();
        let id = doors.add(bound(Transport::Tcp), 1).id;
        let watcher = doors.get(id).unwrap().tcp().cloned();
        let door = doors.remove(id).unwrap();
        assert!(door.is_in_use());
        drop(watcher);
        assert!(!door.is_in_use());
        let again = door.again().unwrap();
        assert_eq!(again.local(), door.bound.listener().local);
    }
}
