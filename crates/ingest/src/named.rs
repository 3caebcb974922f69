//! Conversations that nobody understood when they came, taken in once somebody says which protocol they are of.
//!
//! They go to the journal as a stream of their own, with the times at which their bytes came: so everything that reads the
//! journal finds them like any other. Nothing is answered, since nobody waits for it.

use crate::{Close, Connection, Intake, Limits, Listener, Now, Peers, Scratch};
use compact_str::CompactString;
use odograph_journal::AppendError;
use odograph_model::{Lsn, Time};
use odograph_protocols::Transport;
use odograph_wire::Malformed;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// Whole frames, malformed ones included.
    pub frames: u64,
    /// Records that they gave.
    pub records: u64,
    /// What was wrong with malformed frames.
    pub malformed: Vec<Malformed>,
    /// Whose they became. None of it is known without.
    pub devices: Vec<CompactString>,
    /// It is durable once the journal is, up to here.
    pub end: Lsn,
}

/// Takes in what `peer` sent, in the pieces in which it is kept, each with the time when it came: of a stream all of them
/// together, of datagrams each for itself.
pub fn take_in(
    listener: &Arc<Listener>,
    peer: SocketAddr,
    pieces: &[(Time, Vec<u8>)],
    intake: &Intake,
) -> Result<Named, AppendError> {
    let now = |time: &Time| Now { wall: *time, monotonic: Duration::ZERO };
    let mut named = Named::default();
    let Some((first, _)) = pieces.first() else { return Ok(named) };
    let last = pieces.last().map_or(first, |(time, _)| time);
    let mut scratch = Scratch::silent();
    if listener.transport == Transport::Udp {
        let mut peers = Peers::new(listener.clone(), &Limits { udp_peers_max: 1, ..Limits::default() });
        for (time, datagram) in pieces {
            peers.receive(datagram, peer, intake, now(time), &mut scratch)?;
            named.count(&scratch, peers.device_of(peer));
        }
        peers.close(Close::Named, intake, now(last), &mut scratch)?;
    } else {
        let mut connection = Connection::open(listener.clone(), peer, intake, now(first), &mut scratch)?;
        for (time, piece) in pieces {
            let mut rest = &piece[..];
            loop {
                let step = connection.receive(rest, intake, now(time), &mut scratch)?;
                named.count(&scratch, connection.device().map(|binding| binding.device.as_str()));
                if !step.more || step.closing {
                    break;
                }
                rest = &[];
            }
        }
        connection.close(Close::Named, intake, now(last), &mut scratch)?;
    }
    named.end = intake.journal.stats().appended;
    Ok(named)
}

impl Named {
    fn count(&mut self, scratch: &Scratch, device: Option<&str>) {
        self.frames += scratch.tally.frames;
        self.records += scratch.tally.records;
        self.malformed.extend(&scratch.tally.malformed);
        if let Some(device) = device.filter(|device| !self.devices.iter().any(|known| known == device)) {
            self.devices.push(device.into());
        }
    }
}
