//! Connections over TCP: sockets for [`Connection`].

use crate::cutoffs::Whom;
use crate::gateway::refusal;
use crate::limits::{INCOMPLETE_FREE, TURN_WORK_BYTES};
use crate::line::Line;
use crate::seats::Seat;
use crate::signal::Signal;
use crate::sockets::{Handle, Places, place_of, shut};
use crate::worker::{Target, Worker};
use crate::{Close, Connection, Limits, Listener, Need, Now, Order, Scratch, arrival};
use odograph_model::Lsn;
use odograph_protocols::Binding;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::spawn_local;

/// A connection and its socket. Idle, it owns no buffer.
pub(crate) struct Link {
    line: RefCell<Line>,
    connection: RefCell<Connection>,
    /// Its place among the worker's sockets, and among its links.
    places: Cell<Places>,
    /// Somebody waits until the device takes more bytes.
    flushing: Cell<bool>,
    /// Reading may go on, or the end has come.
    changed: Signal,
    /// How much of its turn it has had.
    work: Cell<u32>,
    /// What it holds of a frame whose end has not come, as the worker knows it.
    incomplete: Cell<u32>,
    /// Given back at the end.
    seat: Cell<Option<Seat>>,
}

/// What became of bytes that may leave.
enum Flushed {
    /// All have left.
    All,
    /// The device has to take some first.
    Waits,
    /// The connection is over.
    Nobody,
}

/// What became of bytes that could have been taken in.
enum Taken {
    In,
    /// The journal cannot take more.
    Nothing,
}

/// Takes over a connection that was accepted.
pub(crate) fn adopt(worker: &Rc<Worker>, socket: TcpStream, peer: SocketAddr, listener: Arc<Listener>, seat: Seat) {
    if worker.stopping.get() || listener.is_closed() {
        return;
    }
    match prepare(socket) {
        Ok(stream) if listener.is_plain() => {
            let (reader, socket) = stream.into_split();
            begin(worker, (Line::plain(reader), socket), peer, &listener, seat);
        }
        Ok(stream) => drop(spawn_local(arrival::receive(worker.clone(), stream, peer, listener, seat))),
        Err(error) => not_set_up(worker, peer, &listener, &error),
    }
}

fn prepare(socket: TcpStream) -> io::Result<tokio::net::TcpStream> {
    // Without this, a small answer may wait for the device's delayed acknowledgement of the one before.
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(socket)
}

/// Begins the conversation with a device.
pub(crate) fn begin(
    worker: &Rc<Worker>,
    line: (Line, OwnedWriteHalf),
    peer: SocketAddr,
    listener: &Arc<Listener>,
    seat: Seat,
) {
    // It may have taken a while until it was clear who comes, and that all is well with TLS.
    if worker.stopping.get() || listener.is_closed() {
        return;
    }
    match open(worker, line, peer, listener.clone(), seat) {
        Ok(link) => {
            listener.measures.connections.increment(1.0);
            listener.measures.opened.increment(1);
            spawn_local(converse(Conversation { worker: worker.clone(), link }));
        }
        Err(error) => not_set_up(worker, peer, listener, &error),
    }
}

fn not_set_up(worker: &Worker, peer: SocketAddr, listener: &Listener, error: &io::Error) {
    refusal("setup");
    worker.common.cutoffs.not_set_up(Whom { peer, device: None, listener }, error, worker.common.clock.monotonic());
}

fn open(
    worker: &Worker,
    (line, socket): (Line, OwnedWriteHalf),
    peer: SocketAddr,
    listener: Arc<Listener>,
    seat: Seat,
) -> io::Result<Rc<Link>> {
    let scratch = &mut worker.scratch.borrow_mut();
    let connection =
        Connection::open(listener, peer, &worker.common.intake, worker.now(), scratch).map_err(io::Error::other)?;
    let (stream, claim) = (connection.stream(), seat.claim());
    let link = Rc::new(Link {
        line: RefCell::new(line),
        connection: RefCell::new(connection),
        places: Cell::default(),
        flushing: Cell::new(false),
        changed: Signal::default(),
        work: Cell::new(0),
        incomplete: Cell::new(0),
        seat: Cell::new(Some(seat)),
    });
    let socket = worker.post.sockets.insert(socket, stream, claim);
    let place = worker.links.borrow_mut().insert(link.clone());
    link.places.set(Places { socket: place_of(socket), link: place_of(place) });
    link.arrive(worker);
    Ok(link)
}

/// A number of bytes that has a bound far below that of its type.
fn bytes_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A connection's task. However that ends, the worker is told.
struct Conversation {
    worker: Rc<Worker>,
    link: Rc<Link>,
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.worker.task_over(&self.link);
    }
}

async fn converse(it: Conversation) {
    let why = it.link.listen(&it.worker).await;
    bury(&it.worker, &it.link, why);
}

/// The end of a connection.
pub(crate) fn bury(worker: &Worker, link: &Link, why: Close) {
    let Places { socket, link: place } = link.places.get();
    let is_there = worker.links.borrow().get(place as usize).is_some_and(|there| std::ptr::eq(&**there, link));
    if !is_there {
        return;
    }
    worker.links.borrow_mut().remove(place as usize);
    // Given back at the end of this, also where the session fails again.
    let _seat = link.seat.take();
    let why = worker.post.sockets.remove(socket as usize).unwrap_or(why);
    worker.hold(link.incomplete.take() as usize, 0);
    let mut connection = link.connection.borrow_mut();
    let listener = connection.listener().clone();
    let measures = &listener.measures;
    measures.connections.decrement(1.0);
    measures.closed(connection.why(why).name());
    if let Some(binding) = connection.device() {
        worker.common.present.leave(binding, connection.stream());
    }
    let mut scratch = worker.scratch.borrow_mut();
    let ended = connection.close(why, &worker.common.intake, worker.now(), &mut scratch);
    link.count(&connection, &scratch);
    drop(scratch);
    worker.common.became(connection.fates());
    let why = connection.why(why);
    tell(worker, &connection, why);
    let device = connection.device().map(|binding| binding.device.as_str());
    tracing::debug!(peer = %connection.peer(), device, stream = connection.stream(), ?why, "connection ended");
    if let Err(error) = ended {
        tracing::debug!(peer = %connection.peer(), %error, "the end of a connection was not journalled");
    }
}

/// Tells the log if a bound ended the connection.
fn tell(worker: &Worker, connection: &Connection, why: Close) {
    let common = &worker.common;
    let (peer, listener) = (connection.peer(), &**connection.listener());
    let device = connection.named();
    let refusal = match device {
        Some(device) if why == Close::Refused => common.intake.devices.refusal(device, listener),
        _ => String::new(),
    };
    common.cutoffs.ended(Whom { peer, device, listener }, why, &refusal, &common.limits, common.clock.monotonic());
}

impl Link {
    /// Reads until the end; says why it came.
    async fn listen(&self, worker: &Worker) -> Close {
        loop {
            if let Some(why) = self.connection.borrow().finished() {
                return why;
            }
            if self.work.get() as usize >= TURN_WORK_BYTES {
                // The others first.
                self.work.set(0);
                tokio::task::yield_now().await;
            }
            let need = self.connection.borrow().need(worker.common.intake.journal.durable());
            if need == Need::Patience {
                self.work.set(0);
                self.changed.heard().await;
                continue;
            }
            let taken = if need == Need::Turn { self.take_in(worker, &[]) } else { self.read(worker).await };
            match taken {
                Ok(Taken::In) => {}
                Ok(Taken::Nothing) => {
                    // The bytes wait in the kernel, and TCP makes the device wait.
                    self.work.set(0);
                    worker.wait_for_relief(self.place(), self.stream());
                    self.changed.heard().await;
                    self.connection.borrow_mut().excuse(worker.now());
                }
                // It says no more, and may listen still: what is due leaves first.
                Err(Close::Peer) if worker.post.sockets.ended(self.places.get().socket as usize).is_none() => {
                    self.connection.borrow_mut().end(Close::Peer);
                }
                Err(why) => return why,
            }
        }
    }

    /// Waits for bytes and takes them in. The buffer is the worker's, and nobody holds it while waiting.
    async fn read(&self, worker: &Worker) -> Result<Taken, Close> {
        poll_fn(|context| {
            // Asked each time that bytes come, and not only before they were waited for: all connections that wait would
            // take some more otherwise.
            if worker.common.intake.journal.congested() {
                return Poll::Ready(Ok(Taken::Nothing));
            }
            let mut input = worker.input.borrow_mut();
            let mut input = ReadBuf::new(&mut input);
            let read = self.line.borrow_mut().poll_read(context, &mut input);
            match read {
                Poll::Pending => {
                    self.work.set(0);
                    Poll::Pending
                }
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => Poll::Ready(Ok(Taken::In)),
                Poll::Ready(Err(_)) => Poll::Ready(Err(Close::Network)),
                Poll::Ready(Ok(())) if input.filled().is_empty() => Poll::Ready(Err(Close::Peer)),
                Poll::Ready(Ok(())) => Poll::Ready(self.take_in(worker, input.filled())),
            }
        })
        .await
    }

    fn take_in(&self, worker: &Worker, bytes: &[u8]) -> Result<Taken, Close> {
        if bytes.is_empty() && worker.common.intake.journal.congested() {
            return Ok(Taken::Nothing);
        }
        let now = worker.now();
        let mut scratch = worker.scratch.borrow_mut();
        let mut connection = self.connection.borrow_mut();
        let before = connection.listener().clone();
        let step = connection.receive(bytes, &worker.common.intake, now, &mut scratch).map_err(|_| Close::Journal)?;
        if !Arc::ptr_eq(&before, connection.listener()) {
            self.count_decision(&before, &connection);
        }
        connection.listener().measures.bytes_received.increment(bytes.len() as u64);
        self.count(&connection, &scratch);
        let goes_on = !connection.is_of_one() || scratch.tally.passes_on;
        if let Some(binding) = scratch.tally.refused.as_ref().filter(|_| goes_on) {
            // The connection goes on, so that its end tells nobody.
            let (device, listener) = (binding.device.as_str(), &**connection.listener());
            let refusal = worker.common.intake.devices.refusal(device, listener);
            let whom = Whom { peer: connection.peer(), device: Some(device), listener };
            worker.common.cutoffs.refused(whom, &refusal, now.monotonic);
        }
        let stream = connection.stream();
        drop((scratch, connection));
        self.hold(worker);
        self.work.set(self.work.get().saturating_add(bytes_of(step.work)));
        let place = self.place();
        match (step.due, step.end) {
            (Some(until), _) => worker.wait(until, now.monotonic, Target::Link(place, stream)),
            // It may have to wait for the journal as well, to go on.
            (None, Some(until)) => worker.wait(until, now.monotonic, Target::Reader(place, stream)),
            (None, None) => {}
        }
        if let Some(left) = step.left {
            worker.common.present.leave(&left, stream);
        }
        worker.common.became(self.connection.borrow_mut().fates());
        if step.arrived {
            self.arrive(worker);
        }
        Ok(Taken::In)
    }

    /// It is clear now which protocol is spoken: the connection counts there.
    fn count_decision(&self, before: &Listener, connection: &Connection) {
        let (peer, decided) = (connection.peer(), connection.listener());
        before.measures.connections.decrement(1.0);
        decided.measures.connections.increment(1.0);
        decided.measures.decided.increment(1);
        tracing::debug!(%peer, protocol = decided.protocol.name, stream = connection.stream(), "protocol decided");
    }

    /// Counts what a read gave.
    fn count(&self, connection: &Connection, scratch: &Scratch) {
        let measures = &connection.listener().measures;
        measures.frames.increment(scratch.tally.frames);
        measures.records.increment(scratch.tally.records);
        for malformed in &scratch.tally.malformed {
            measures.malformed(malformed.reason.kind());
            tracing::debug!(peer = %connection.peer(), stream = connection.stream(), %malformed, "malformed frame");
        }
    }

    /// If the connection belongs to a device, it is the one that the device has.
    fn arrive(&self, worker: &Worker) {
        let connection = self.connection.borrow();
        if let Some(binding) = connection.device().filter(|_| connection.is_of_one()) {
            let (stream, protocol) = (connection.stream(), connection.listener().protocol);
            tracing::debug!(peer = %connection.peer(), device = %binding.device, stream, "device is here");
            let (post, places) = (worker.post.clone(), self.places.get());
            worker.common.present.arrive(binding, Handle { post, places, stream, protocol });
            if let Some(observer) = worker.common.commands() {
                observer.arrived(&binding.tenant, &binding.device);
            }
        }
    }

    /// Takes a command for the device.
    pub(crate) fn command(&self, worker: &Worker, order: &Order) {
        let now = worker.now();
        let taken = {
            let mut scratch = worker.scratch.borrow_mut();
            self.connection.borrow_mut().command(order, &worker.common.intake, now, &mut scratch)
        };
        match taken {
            Ok(Some(until)) => {
                worker.wait(until, now.monotonic, Target::Link(self.place(), self.stream()));
            }
            Ok(None) => {}
            Err(_) => self.end_now(Close::Journal),
        }
        worker.common.became(self.connection.borrow_mut().fates());
    }

    /// Writes what may leave, where the answers are to what was read at this time.
    pub(crate) fn flush_answers(self: &Rc<Self>, worker: &Rc<Worker>, read_at: Duration) {
        match self.flush(worker) {
            Flushed::All => worker.answered(read_at),
            Flushed::Waits => self.connection.borrow_mut().keep_waiting(read_at),
            Flushed::Nobody => {}
        }
    }

    /// Writes what may leave.
    fn flush(self: &Rc<Self>, worker: &Rc<Worker>) -> Flushed {
        let durable = worker.common.intake.journal.durable();
        let mut connection = self.connection.borrow_mut();
        // What was due was dropped: nobody will take it.
        let mut flushed = if connection.finished().is_some() { Flushed::Nobody } else { Flushed::All };
        loop {
            connection.let_go(durable, worker.now());
            let bytes = connection.release(durable);
            if bytes.is_empty() {
                break;
            }
            let written = self.line.borrow_mut().try_write(bytes);
            match written {
                Ok(count) => {
                    connection.listener().measures.bytes_sent.increment(count as u64);
                    if let Some(read_at) = connection.sent(count, worker.now()) {
                        worker.answered(read_at);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    connection.untaken(worker.now(), self.line.borrow().is_under_way());
                    flushed = Flushed::Waits;
                    if !self.flushing.replace(true) {
                        spawn_local(flush_later(worker.clone(), self.clone()));
                    }
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    drop(connection);
                    self.end_now(Close::Network);
                    return Flushed::Nobody;
                }
            }
        }
        if connection.finished().is_some() {
            self.shut();
        }
        self.changed.say();
        let fates = connection.fates();
        drop(connection);
        worker.common.became(fates);
        flushed
    }

    /// Asks for the end, after what is due has left.
    pub(crate) fn end(&self, why: Close) {
        let mut connection = self.connection.borrow_mut();
        connection.end(why);
        if connection.finished().is_some() {
            self.shut();
        }
    }

    /// Ends it, whatever is due.
    pub(crate) fn end_now(&self, why: Close) {
        let mut connection = self.connection.borrow_mut();
        connection.end(why);
        connection.give_up();
        self.shut();
    }

    /// Its number in the journal.
    pub(crate) fn stream(&self) -> u64 {
        self.connection.borrow().stream()
    }

    /// Its place among the worker's links.
    pub(crate) fn place(&self) -> usize {
        self.places.get().link as usize
    }

    /// Whether it came to this listener.
    pub(crate) fn came_to(&self, listener: &Listener) -> bool {
        self.connection.borrow().listener().is_at(listener)
    }

    /// Whether it is the connection of some device, as far as that is known.
    pub(crate) fn is_of(&self, whose: &dyn Fn(&Binding) -> bool) -> bool {
        self.connection.borrow().device().is_some_and(|binding| whose(binding))
    }

    /// Why it has to end by now, if it has to.
    pub(crate) fn overdue(&self, limits: &Limits, now: Now, durable: Lsn, congested: bool) -> Option<Close> {
        let mut connection = self.connection.borrow_mut();
        if congested || connection.is_ahead(durable) {
            // We wait for the disk, not for the device.
            connection.excuse(now);
        }
        connection.overdue(limits, now)
    }

    /// Tells the worker what it holds of a frame whose end has not come.
    pub(crate) fn hold(&self, worker: &Worker) {
        let now = self.connection.borrow().incomplete().map_or(0, |(bytes, _)| bytes);
        worker.hold(self.incomplete.replace(bytes_of(now)) as usize, now);
    }

    /// What it has cost to hold that, in bytes and milliseconds.
    pub(crate) fn cost(&self, now: Duration) -> Option<u128> {
        let (bytes, since) = self.connection.borrow().incomplete()?;
        Some(bytes as u128 * (INCOMPLETE_FREE + now.saturating_sub(since)).as_millis())
    }

    /// The journal has caught up.
    pub(crate) fn go_on(&self) {
        self.changed.say();
    }

    /// Ends the socket, which wakes whoever waits for it.
    fn shut(&self) {
        let mut line = self.line.borrow_mut();
        line.say_goodbye();
        shut(line.socket());
        self.changed.say();
    }
}

async fn flush_later(worker: Rc<Worker>, link: Rc<Link>) {
    let writable = poll_fn(|context| link.line.borrow().socket().poll_write_ready(context)).await;
    link.flushing.set(false);
    match writable {
        Ok(_) => worker.for_one(&link, || {
            link.flush(&worker);
        }),
        Err(_) => link.end_now(Close::Network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::size_of;

    /// The size of what a task is that begins with this.
    fn task<B, T>(_: impl Fn(B) -> T) -> usize {
        size_of::<T>()
    }

    #[test]
    fn a_connection_that_is_idle_is_small() {
        assert!(task(converse) <= 120, "{} bytes", task(converse));
        // With the two counts of an `Rc` it fills one class of the allocator; the next one is a quarter larger.
        assert!(size_of::<Link>() + 16 <= 256, "{} bytes", size_of::<Link>());
    }
}
