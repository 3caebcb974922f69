//! The accept loop: one thread that accepts for all listeners and hands the connections to the workers.

use crate::access::Pace;
use crate::doors::DoorId;
use crate::gateway::Common;
use crate::limits::{ACCEPT_PAUSE, SWEEP};
use crate::seats::Seat;
use crate::udp::canonical;
use crate::watchdog::{Pulse, Rounds, Trouble};
use crate::worker::Job;
use crate::{Listener, arrival};
use hashbrown::{HashMap, HashSet};
use metrics::counter;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet, LocalSet};

/// The accept loop, for the other threads.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) pulse: Arc<Pulse>,
    end: Arc<End>,
}

#[derive(Default)]
struct End {
    /// It is to end: the server stops, or another loop has its work.
    retired: AtomicBool,
    wake: Notify,
    /// It has ended, and accepts nobody any more.
    ended: AtomicBool,
}

impl Handle {
    /// Lets it accept nobody any more. What it would have accepted waits in the kernel, for another loop or another process.
    pub(crate) fn retire(&self) {
        self.end.retired.store(true, Ordering::Release);
        self.end.wake.notify_one();
    }

    /// Has it look which doors are open now.
    pub(crate) fn look(&self) {
        self.end.wake.notify_one();
    }

    /// What is wrong with it.
    pub(crate) fn trouble(&self, rounds: &Rounds) -> Option<Trouble> {
        rounds.trouble(&self.pulse, self.has_ended())
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.ended.load(Ordering::Acquire)
    }
}

/// Starts the loop on a thread of its own. Several may share the doors for a while.
pub(crate) fn start(common: &Arc<Common>) -> io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = Handle { pulse: Arc::new(Pulse::new(&*common.clock)), end: Arc::default() };
    let (common, shared) = (common.clone(), handle.clone());
    std::thread::Builder::new().name("accept".to_owned()).spawn(move || {
        // Also where something fails in here: the watchdog sees that it has ended, and starts another one.
        let _ended = Ended(shared.end.clone());
        LocalSet::new().block_on(&runtime, accept_all(&common, &shared));
    })?;
    Ok(handle)
}

/// Says at the end that it has come.
struct Ended(Arc<End>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

/// Accepts at all doors until the end is asked for, or one of them fails.
async fn accept_all(common: &Arc<Common>, shared: &Handle) {
    let mut posts = Posts::default();
    let mut sweep = tokio::time::interval(SWEEP);
    while !shared.end.retired.load(Ordering::Acquire) {
        posts.man(common, &shared.end);
        tokio::select! {
            _ = sweep.tick() => shared.pulse.beat(&*common.clock),
            () = shared.end.wake.notified() => {}
            Some(ended) = posts.tasks.join_next() => {
                let is_called_off = ended.is_err_and(|error| error.is_cancelled());
                if !is_called_off && !shared.end.retired.load(Ordering::Acquire) {
                    // A panic was logged when it happened.
                    tracing::error!("nobody is accepted any more at a listener: all of them begin again");
                    return;
                }
            }
        }
    }
}

/// Who accepts at which door.
#[derive(Default)]
struct Posts {
    tasks: JoinSet<()>,
    at: HashMap<DoorId, AbortHandle>,
    /// The count of changes up to which the doors are known.
    seen: Option<u64>,
}

impl Posts {
    /// Sends somebody to each door that is new, and calls off who stands where none is any more: nobody is half accepted at any
    /// moment when he can be.
    fn man(&mut self, common: &Arc<Common>, end: &Arc<End>) {
        let changes = common.doors.changes();
        if self.seen.replace(changes) == Some(changes) {
            return;
        }
        let doors = common.doors.all();
        let open: HashSet<DoorId> = doors.iter().map(|door| door.id).collect();
        for (_, task) in self.at.extract_if(|id, _| !open.contains(id)) {
            task.abort();
        }
        for door in doors {
            let Some(socket) = door.tcp().filter(|_| !self.at.contains_key(&door.id)) else { continue };
            let accepting = accept(common.clone(), socket.clone(), door.bound.listener.clone(), end.clone());
            self.at.insert(door.id, self.tasks.spawn_local(accepting));
        }
    }
}

async fn accept(common: Arc<Common>, socket: Arc<TcpListener>, listener: Arc<Listener>, end: Arc<End>) {
    // Watched and not owned: a loop that may have to replace this one watches the same socket, and it takes one open file
    // only, which counts where there are thousands of listeners.
    let socket = loop {
        match watch(socket.clone()) {
            Ok(socket) => break socket,
            Err(error) => pause(&common, &listener, &error).await,
        }
    };
    let mut pace = Pace::new(listener.access.accepts_per_second_max);
    while !end.retired.load(Ordering::Acquire) {
        if common.intake.journal.congested() {
            // Whoever comes now is journalled as well: he waits in the kernel until the journal can take more.
            relief(&common).await;
            continue;
        }
        let taken = match socket.readable().await {
            // Whoever comes now is another's.
            Ok(_) if end.retired.load(Ordering::Acquire) => return,
            // While nobody came, the journal may have become full.
            Ok(_) if common.intake.journal.congested() => continue,
            Ok(mut ready) => match pace.wait(common.clock.monotonic()) {
                None => ready.try_io(|socket| socket.get_ref().accept()),
                Some(wait) => {
                    counter!("odograph_accepts_delayed_total").increment(1);
                    common.cutoffs.slowed(&listener, common.clock.monotonic());
                    tokio::time::sleep(wait).await;
                    continue;
                }
            },
            Err(error) => Ok(Err(error)),
        };
        match taken {
            Ok(Ok((socket, peer))) => {
                pace.took(common.clock.monotonic());
                admit(&common, &listener, socket, canonical(peer));
            }
            Ok(Err(error)) if is_of_one(&error) => {}
            // Too many open files, most likely: those that are open go on, and new ones wait in the kernel.
            Ok(Err(error)) => pause(&common, &listener, &error).await,
            // Nobody is there any more.
            Err(_) => {}
        }
    }
}

/// Waits until the journal can take more: the first worker that sees it says so.
async fn relief(common: &Common) {
    let mut relieved = pin!(common.relieved.notified());
    // Before it is asked again: it would be said in vain in between.
    relieved.as_mut().enable();
    common.held_up.store(true, Ordering::SeqCst);
    if common.intake.journal.congested() {
        relieved.await;
    }
}

/// Watches a socket that others have as well.
#[expect(
    deprecated,
    reason = "sound for a socket that stays what it is, and the function to use instead is unsafe for all"
)]
pub(crate) fn watch<T: AsRawFd>(socket: Arc<T>) -> io::Result<AsyncFd<Arc<T>>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// Tells and counts that nobody can be taken in, and lets some time pass.
pub(crate) async fn pause(common: &Common, listener: &Listener, error: &io::Error) {
    counter!("odograph_accept_errors_total").increment(1);
    common.cutoffs.deaf(listener, error, common.clock.monotonic());
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn admit(common: &Arc<Common>, listener: &Arc<Listener>, socket: std::net::TcpStream, peer: std::net::SocketAddr) {
    match Seat::take(common, listener).and_then(|seat| arrival::admit(listener, seat, peer)) {
        Ok(seat) => common.hand_out(Job::Connection { socket, peer, listener: listener.clone(), seat }),
        Err(why) => common.turn_away(listener, peer, &why),
    }
}

/// An error that concerns one connection that is gone already, not the listener.
fn is_of_one(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, PermissionDenied};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted | PermissionDenied)
}
