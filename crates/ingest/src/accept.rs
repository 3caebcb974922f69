//! The accept loop: one thread that accepts for all listeners and hands the connections to the workers.

use crate::Listener;
use crate::cutoffs::Whom;
use crate::gateway::{Common, refusal};
use crate::limits::{ACCEPT_PAUSE, CONGESTION_PAUSE, SWEEP};
use crate::udp::canonical;
use crate::watchdog::Pulse;
use crate::worker::Job;
use metrics::counter;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::{LocalSet, spawn_local};

/// A listening socket and what it is for.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) socket: Arc<TcpListener>,
    pub(crate) listener: Arc<Listener>,
}

/// The accept loop, for the other threads.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) pulse: Arc<Pulse>,
    /// It is to end: the server stops, or another loop has its work.
    pub(crate) retired: Arc<AtomicBool>,
}

/// Starts the loop on a thread of its own. Several may share the doors for a while.
pub(crate) fn start(common: &Arc<Common>, doors: Vec<Door>) -> io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = Handle { pulse: Arc::new(Pulse::new(&*common.clock)), retired: Arc::default() };
    let (common, shared) = (common.clone(), handle.clone());
    std::thread::Builder::new().name("accept".to_owned()).spawn(move || {
        LocalSet::new().block_on(&runtime, async {
            let retired = shared.retired.clone();
            for door in doors {
                spawn_local(accept(common.clone(), door, shared.clone()));
            }
            let mut sweep = tokio::time::interval(SWEEP);
            while !retired.load(Ordering::Acquire) {
                sweep.tick().await;
                shared.pulse.beat(&*common.clock);
            }
        });
    })?;
    Ok(handle)
}

async fn accept(common: Arc<Common>, door: Door, handle: Handle) {
    // A socket of our own on the same port: the door's stays for a loop that may have to replace this one. That needs an
    // open file more, and where there is none, one becomes free sooner or later.
    let socket = loop {
        match door.socket.try_clone().and_then(tokio::net::TcpListener::from_std) {
            Ok(socket) => break socket,
            Err(error) => pause(&common, &door.listener, &error).await,
        }
    };
    while !handle.retired.load(Ordering::Acquire) {
        if common.intake.journal.congested() {
            // Whoever comes now is journalled as well: he waits in the kernel until the journal can take more.
            tokio::time::sleep(CONGESTION_PAUSE).await;
            continue;
        }
        match socket.accept().await {
            Ok((socket, peer)) => match socket.into_std() {
                Ok(socket) => admit(&common, &door.listener, socket, canonical(peer)),
                Err(error) => {
                    refusal("setup");
                    let whom = Whom { peer: canonical(peer), device: None, listener: &door.listener };
                    common.cutoffs.not_set_up(whom, &error, common.clock.monotonic());
                }
            },
            Err(error) if is_of_one(&error) => {}
            // Too many open files, most likely: those that are open go on, and new ones wait in the kernel.
            Err(error) => pause(&common, &door.listener, &error).await,
        }
    }
}

/// Tells and counts that nobody can be taken in, and lets some time pass.
pub(crate) async fn pause(common: &Common, listener: &Listener, error: &io::Error) {
    counter!("odograph_accept_errors_total").increment(1);
    common.cutoffs.deaf(listener, error, common.clock.monotonic());
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn admit(common: &Arc<Common>, listener: &Arc<Listener>, socket: std::net::TcpStream, peer: std::net::SocketAddr) {
    match common.seats.take(common, peer) {
        Ok(seat) => {
            let job = Job::Connection { socket, peer, listener: listener.clone(), seat };
            common.hand_out(job);
        }
        Err(why) => {
            refusal(why);
            let whom = Whom { peer, device: None, listener };
            common.cutoffs.turned_away(whom, why, &common.limits, common.clock.monotonic());
        }
    }
}

/// An error that concerns one connection that is gone already, not the listener.
fn is_of_one(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, PermissionDenied};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted | PermissionDenied)
}
