//! How many connections there may be: in all and at each listener, and from one address.

use crate::Listener;
use crate::access::Refusal;
use crate::gateway::Common;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places for connections, of all or of one listener.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Kept only where there is a bound.
    by_address: HashMap<IpAddr, usize>,
}

impl Seats {
    /// Takes a place, if there is one under the bound.
    fn take(&self, max: usize) -> bool {
        let mut taken = self.lock();
        let free = taken.all < max;
        taken.all += usize::from(free);
        free
    }

    /// Counts a connection to an address, if that is under the bound.
    fn share(&self, address: IpAddr, max: usize) -> bool {
        if max == 0 {
            return true;
        }
        let mut taken = self.lock();
        let count = taken.by_address.entry(address).or_default();
        let free = *count < max;
        *count += usize::from(free);
        free
    }

    fn leave(&self) {
        self.lock().all -= 1;
    }

    fn unshare(&self, address: IpAddr, max: usize) {
        let mut taken = self.lock();
        if max > 0
            && let Some(count) = taken.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Every change is whole, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place under the bounds on all connections and on those of its listener, given back when it is dropped.
pub(crate) struct Seat {
    common: Arc<Common>,
    listener: Arc<Listener>,
    /// To which address it counts; not known yet where a balancer says it.
    address: Option<IpAddr>,
}

impl Seat {
    /// A place for a connection whose address is to be settled.
    pub(crate) fn take(common: &Arc<Common>, listener: &Arc<Listener>) -> Result<Self, Refusal> {
        let (most, most_here) = (common.limits.connections_max, listener.access.connections_max);
        if !common.seats.take(most) {
            return Err(Refusal::Full(most));
        }
        if !listener.seats.take(most_here) {
            common.seats.leave();
            return Err(Refusal::FullListener(most_here));
        }
        Ok(Self { common: common.clone(), listener: listener.clone(), address: None })
    }

    /// Settles whose it is: an address that may come, and has not too many connections.
    pub(crate) fn settle(mut self, address: IpAddr) -> Result<Self, Refusal> {
        self.listener.access.check(address)?;
        let (most, most_here) = self.per_address_max();
        if !self.common.seats.share(address, most) {
            return Err(Refusal::FullAddress(most));
        }
        if !self.listener.seats.share(address, most_here) {
            self.common.seats.unshare(address, most);
            return Err(Refusal::FullListenerAddress(most_here));
        }
        self.address = Some(address);
        Ok(self)
    }

    fn per_address_max(&self) -> (usize, usize) {
        (self.common.limits.connections_per_address_max, self.listener.access.connections_per_address_max)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            let (most, most_here) = self.per_address_max();
            self.common.seats.unshare(address, most);
            self.listener.seats.unshare(address, most_here);
        }
        self.listener.seats.leave();
        self.common.seats.leave();
    }
}
