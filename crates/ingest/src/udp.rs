//! Datagrams: sockets for [`Peers`].

use crate::accept;
use crate::cutoffs::Whom;
use crate::dispatch::Letter;
use crate::limits::{DATAGRAM_BYTES_MAX, DATAGRAMS_IN_A_ROW};
use crate::worker::{Target, Worker};
use crate::{Close, Fate, Intake, Listener, Now, Order, Peers, Scratch, Verdict};
use odograph_protocols::Binding;
use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::spawn_local;

/// A UDP socket and who sends to it.
pub(crate) struct DatagramSocket {
    socket: AsyncFd<Arc<UdpSocket>>,
    peers: RefCell<Peers>,
    /// Nobody is to send there any more.
    over: Notify,
}

/// Takes over a socket.
pub(crate) fn adopt(worker: &Rc<Worker>, socket: &Arc<UdpSocket>, listener: Arc<Listener>) {
    let (worker, socket) = (worker.clone(), socket.clone());
    let served = spawn_local(serve(worker.clone(), socket, listener.clone()));
    spawn_local(async move {
        // A panic was logged when it happened.
        let _ = served.await;
        if !worker.stopping.get() && !listener.is_closed() {
            worker.lose("nobody takes datagrams any more at a listener");
        }
    });
}

async fn serve(worker: Rc<Worker>, socket: Arc<UdpSocket>, listener: Arc<Listener>) {
    // Watched and not owned: a worker that may have to replace this one watches the same socket, and it takes one open
    // file only.
    let socket = loop {
        match accept::watch(socket.clone()) {
            Ok(socket) => break socket,
            Err(_) if listener.is_closed() => return,
            Err(error) => accept::pause(&worker.common, &listener, &error).await,
        }
    };
    if listener.is_closed() {
        // Whoever closed it found nothing here.
        return;
    }
    let peers = RefCell::new(Peers::new(listener, &worker.common.limits));
    let socket = Rc::new(DatagramSocket { socket, peers, over: Notify::new() });
    worker.datagram_sockets.borrow_mut().push(socket.clone());
    listen(worker, socket).await;
}

async fn listen(worker: Rc<Worker>, socket: Rc<DatagramSocket>) {
    while !worker.stopping.get() {
        let is_readable = tokio::select! {
            biased;
            () = socket.over.notified() => false,
            ready = socket.socket.readable() => ready.is_ok(),
        };
        if !is_readable {
            return;
        }
        for _ in 0..DATAGRAMS_IN_A_ROW {
            let mut input = worker.input.borrow_mut();
            debug_assert!(input.len() >= DATAGRAM_BYTES_MAX, "a datagram fits the buffer");
            match socket.socket.try_io(Interest::READABLE, |socket| socket.recv_from(&mut input)) {
                Ok((count, peer)) => {
                    let datagram = input.get(..count).unwrap_or_default();
                    // Where that fails, it is this peer's end and nobody else's.
                    let taken = catch_unwind(AssertUnwindSafe(|| socket.take_in(&worker, datagram, peer)));
                    if taken.is_err() {
                        socket.drop_peer(&worker, peer);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The answer to an earlier datagram could not be delivered: nothing of ours is lost by that.
                Err(error) => tracing::debug!(%error, "a UDP socket reports an error"),
            }
        }
        tokio::task::yield_now().await;
    }
}

impl DatagramSocket {
    fn take_in(self: &Rc<Self>, worker: &Worker, datagram: &[u8], peer: SocketAddr) {
        let peer = canonical(peer);
        let mut peers = self.peers.borrow_mut();
        if datagram.is_empty() || worker.common.intake.journal.congested() {
            // There is nobody to make wait. Without an acknowledgement the device sends it again.
            let listener = peers.listener_of(peer);
            listener.measures.bytes_received.increment(datagram.len() as u64);
            if !datagram.is_empty() {
                let whom = Whom { peer, device: None, listener };
                worker.common.cutoffs.dropped(whom, worker.common.clock.monotonic());
            }
            return listener.measures.dropped_datagrams.increment(1);
        }
        let listener = peers.listener_of(peer);
        if let Err(why) = listener.access.check(peer.ip()) {
            listener.measures.bytes_received.increment(datagram.len() as u64);
            worker.common.turn_away(listener, peer, &why);
            return listener.measures.dropped_datagrams.increment(1);
        }
        let now = worker.now();
        let mut scratch = worker.scratch.borrow_mut();
        let verdict = peers.receive(datagram, peer, &worker.common.intake, now, &mut scratch);
        let pushed_out = peers.pushed_out();
        if pushed_out > 0 {
            peers.listener().measures.pushed_out.increment(pushed_out);
            let most = worker.common.limits.udp_peers_max;
            worker.common.cutoffs.crowded(peers.listener(), most, now.monotonic);
        }
        let (listener, refused) = peers.listener_and_refusal(peer);
        let listener = listener.clone();
        listener.measures.bytes_received.increment(datagram.len() as u64);
        listener.measures.frames.increment(scratch.tally.frames);
        listener.measures.records.increment(scratch.tally.records);
        for malformed in &scratch.tally.malformed {
            listener.measures.malformed(malformed.reason.kind());
            tracing::debug!(%peer, %malformed, "malformed datagram");
        }
        if refused || scratch.tally.refused.is_some() {
            listener.measures.refused_datagrams.increment(1);
        }
        if let Some(binding) = &scratch.tally.refused {
            let device = binding.device.as_str();
            let refusal = worker.common.intake.devices.refusal(device, &listener);
            let whom = Whom { peer, device: Some(device), listener: &listener };
            worker.common.cutoffs.refused(whom, &refusal, now.monotonic);
        }
        worker.common.became(peers.fates());
        if matches!(verdict, Ok(Verdict::Reply(_) | Verdict::Silence)) {
            meet(worker, &mut peers, peer, now);
        }
        match verdict {
            Ok(Verdict::Reply(until)) => {
                for reply in scratch.each_reply() {
                    worker.wait(until, now.monotonic, Target::Datagram(self.clone(), peer, reply.into()));
                }
            }
            Ok(Verdict::Silence) => {}
            Ok(Verdict::Undecided) => peers.listener().measures.undecided_datagrams.increment(1),
            Err(error) => {
                listener.measures.dropped_datagrams.increment(1);
                tracing::debug!(%peer, %error, "a datagram could not be journalled");
            }
        }
    }

    /// Takes a command for the device that comes from there.
    pub(crate) fn command(self: &Rc<Self>, worker: &Worker, from: SocketAddr, order: &Order) {
        let now = worker.now();
        let taken = catch_unwind(AssertUnwindSafe(|| {
            let mut scratch = worker.scratch.borrow_mut();
            self.peers.borrow_mut().command(order, from, &worker.common.intake, now, &mut scratch)
        }));
        match taken {
            Ok(Ok(Some((until, letter)))) => {
                worker.wait(until, now.monotonic, Target::Letter(self.clone(), letter));
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::debug!(%from, %error, "a command could not be journalled"),
            Err(_) => {
                // How far it came nobody knows; it does not leave any more.
                self.drop_peer(worker, from);
                let mut peers = self.peers.borrow_mut();
                peers.dispatches().forget(order);
                peers.dispatches().tell(order.ticket, Fate::Lost(Close::Fault));
            }
        }
        worker.common.became(self.fates());
    }

    /// Sends a command, if it may leave still.
    pub(crate) fn post(&self, worker: &Worker, letter: &Letter) {
        let may = self.peers.borrow_mut().dispatches().turn(letter, worker.now());
        if may {
            let taken = self.send(letter.to, &letter.bytes);
            self.peers.borrow_mut().dispatches().posted(letter, taken);
        }
        worker.common.became(self.fates());
    }

    /// What became of commands since this was asked last.
    pub(crate) fn fates(&self) -> Vec<(u64, Fate)> {
        self.peers.borrow_mut().fates()
    }

    /// The server failed over what a peer said, and begins anew with it.
    fn drop_peer(&self, worker: &Worker, peer: SocketAddr) {
        let peer = canonical(peer);
        let mut peers = self.peers.borrow_mut();
        let listener = peers.listener_of(peer).clone();
        let device = peers.device_of(peer).map(str::to_owned);
        peers.lose(peer);
        listener.measures.dropped_datagrams.increment(1);
        let whom = Whom { peer, device: device.as_deref(), listener: &listener };
        worker.common.cutoffs.failed(whom, worker.common.clock.monotonic());
    }

    /// Sends an answer or a command; says whether the kernel took it. An answer that it does not take is lost like any datagram: the
    /// device sends its own again.
    pub(crate) fn send(&self, peer: SocketAddr, bytes: &[u8]) -> bool {
        let listener = self.peers.borrow().listener().clone();
        let peer = if listener.local.is_ipv6() { mapped(peer) } else { peer };
        match self.socket.get_ref().send_to(bytes, peer) {
            Ok(count) => {
                listener.measures.bytes_sent.increment(count as u64);
                return true;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => tracing::debug!(%peer, %error, "a datagram could not be sent"),
        }
        false
    }

    /// Whether it is what comes to this listener.
    pub(crate) fn is_at(&self, listener: &Listener) -> bool {
        self.peers.borrow().listener().is_at(listener)
    }

    /// Takes in nothing more. Answers that are due still leave.
    pub(crate) fn shut(&self) {
        self.over.notify_one();
    }

    pub(crate) fn sweep(&self, intake: &Intake, now: Now, scratch: &mut Scratch) {
        // An error means that the journal takes nothing more: then nobody has to be forgotten either.
        let _ = self.peers.borrow_mut().sweep(intake, now, scratch);
    }

    pub(crate) fn end(&self, whose: &dyn Fn(&Binding) -> bool, intake: &Intake, now: Now, scratch: &mut Scratch) {
        let _ = self.peers.borrow_mut().end(whose, Close::Erased, intake, now, scratch);
    }

    pub(crate) fn close(&self, why: Close, intake: &Intake, now: Now, scratch: &mut Scratch) {
        let _ = self.peers.borrow_mut().close(why, intake, now, scratch);
    }
}

/// Whoever sends commands hears that the device is here whose datagram has just come in.
fn meet(worker: &Worker, peers: &mut Peers, from: SocketAddr, now: Now) {
    let met = peers.meet(from, &worker.common.reached, &worker.post, now);
    if let Some((binding, observer)) = met.zip(worker.common.commands()) {
        observer.arrived(&binding.tenant, &binding.device);
    }
}

/// An IPv4 address as such, also where an IPv6 socket shows it as a mapped one. A link-local one keeps its link.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_none() => address,
        mapped => SocketAddr::new(mapped.ip().to_canonical(), mapped.port()),
    }
}

/// An address as an IPv6 socket wants it.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        v6 @ SocketAddr::V6(_) => v6,
    }
}
