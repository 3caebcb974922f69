//! How many connections there may be, in all and from one address.

use crate::Limits;
use crate::gateway::Common;
use crate::worker::Seat;
use hashbrown::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// The places for connections.
pub(crate) struct Seats {
    max: usize,
    per_address_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Kept only where there is a bound.
    by_address: HashMap<IpAddr, usize>,
}

impl Seats {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            max: limits.connections_max,
            per_address_max: limits.connections_per_address_max,
            taken: Mutex::default(),
        }
    }

    /// Takes a place, or says which bound is met.
    pub(crate) fn take(&self, common: &Arc<Common>, peer: SocketAddr) -> Result<Seat, &'static str> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.max {
            return Err("connections_max");
        }
        if self.per_address_max > 0 {
            let count = taken.by_address.entry(peer.ip()).or_default();
            if *count >= self.per_address_max {
                return Err("connections_per_address_max");
            }
            *count += 1;
        }
        taken.all += 1;
        Ok(Seat(common.clone(), peer))
    }

    /// Gives a place back.
    pub(crate) fn leave(&self, peer: SocketAddr) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if self.per_address_max > 0
            && let Some(count) = taken.by_address.get_mut(&peer.ip())
        {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&peer.ip());
            }
        }
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}
