//! How many connections there may be: in all and at each listener, and from one address.

use crate::Listener;
use crate::access::Refusal;
use crate::gateway::Common;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Where there is a bound besides that on all connections, once it is settled to which address this counts.
    claim: Option<Arc<Claim>>,
}

/// What a connection takes up of its listener's places, and of its address's. It is given back with the seat, or before: where a
/// worker hangs, its devices come again, and must not meet a bound because of connections that have ended. The place among all
/// connections is not, because it stands for a descriptor, which is closed by that worker alone.
pub(crate) struct Claim {
    listener: Arc<Listener>,
    address: IpAddr,
    given_back: AtomicBool,
}

impl Claim {
    /// Gives it back, once.
    pub(crate) fn give_back(&self, common: &Common) {
        if self.given_back.swap(true, Ordering::AcqRel) {
            return;
        }
        let (most, most_here) = per_address_max(common, &self.listener);
        common.seats.unshare(self.address, most);
        self.listener.seats.unshare(self.address, most_here);
        self.listener.seats.leave();
    }
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
        Ok(Self { common: common.clone(), listener: listener.clone(), claim: None })
    }

    /// Settles whose it is: an address that may come, and has not too many connections.
    pub(crate) fn settle(mut self, address: IpAddr) -> Result<Self, Refusal> {
        self.listener.access.check(address)?;
        let (most, most_here) = per_address_max(&self.common, &self.listener);
        if !self.common.seats.share(address, most) {
            return Err(Refusal::FullAddress(most));
        }
        if !self.listener.seats.share(address, most_here) {
            self.common.seats.unshare(address, most);
            return Err(Refusal::FullListenerAddress(most_here));
        }
        // Where nothing is bounded, there is nothing that would have to be given back early, nor memory for it.
        if most > 0 || most_here > 0 || self.listener.access.connections_max < usize::MAX {
            let given_back = AtomicBool::new(false);
            self.claim = Some(Arc::new(Claim { listener: self.listener.clone(), address, given_back }));
        }
        Ok(self)
    }

    /// What may have to be given back before the seat is.
    pub(crate) fn claim(&self) -> Option<Arc<Claim>> {
        self.claim.clone()
    }
}

fn per_address_max(common: &Common, listener: &Listener) -> (usize, usize) {
    (common.limits.connections_per_address_max, listener.access.connections_per_address_max)
}

impl Drop for Seat {
    fn drop(&mut self) {
        match &self.claim {
            Some(claim) => claim.give_back(&self.common),
            None => self.listener.seats.leave(),
        }
        self.common.seats.leave();
    }
}
