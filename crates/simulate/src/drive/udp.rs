//! Devices that send datagrams: thousands share a socket, so that a hundred thousand need only a few.

use super::Run;
use crate::device::Device;
use crate::progress::add;
use crate::speech::{Heard, Speech};
use crate::truck::STEP_MS;
use odograph_env::Clock as _;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Devices of a socket. Datagrams are told apart by a number of 16 bits, and each device has one under way.
const DEVICES_PER_SOCKET: usize = 4096;
/// A datagram that was not answered for so long is sent again.
const ANSWER_MS: i64 = 3000;
/// What is under way when it is to end may take so long.
const LAST_MS: i64 = 2000;
/// Room for what comes while the thread does something else.
const RECEIVE_BUFFER: usize = 4 << 20;
/// No pause is longer, so that the word to stop is heard.
const PAUSE_MAX: Duration = Duration::from_millis(50);

pub(super) async fn drive(run: Arc<Run>, numbers: Vec<u32>) -> io::Result<()> {
    let mut sockets = JoinSet::new();
    for part in numbers.chunks(DEVICES_PER_SOCKET) {
        sockets.spawn_local(live(run.clone(), part.to_vec()));
    }
    while let Some(ended) = sockets.join_next().await {
        ended.expect("a socket's task does not panic")?;
    }
    Ok(())
}

/// The devices of a socket, and what of them is under way.
struct Post {
    devices: Vec<Option<Device>>,
    counted: Vec<bool>,
    /// When each device is looked at next, in milliseconds since the beginning.
    due: BinaryHeap<Reverse<(i64, usize)>>,
    /// The same by device: what stands otherwise in the heap does not count any more.
    due_of: Vec<i64>,
    /// Which device each number belongs to.
    under_way: HashMap<u16, usize>,
    /// The number under which each device's datagram is on its way.
    numbers: Vec<Option<u16>>,
    next_number: u16,
}

async fn live(run: Arc<Run>, numbers: Vec<u32>) -> io::Result<()> {
    let target = run.plan.target(Speech::Teltonika).expect("the plan was checked");
    let socket = socket(target)?;
    let count = numbers.len();
    // The first look at each is spread over a step, so that they are not made at once.
    let first = |place: usize| STEP_MS * place as i64 / count as i64;
    let mut post = Post {
        devices: (0..count).map(|_| None).collect(),
        counted: vec![false; count],
        due: (0..count).map(|place| Reverse((first(place), place))).collect(),
        due_of: (0..count).map(first).collect(),
        under_way: HashMap::new(),
        numbers: vec![None; count],
        next_number: 0,
    };
    let now_ms = || run.clock.monotonic().as_millis() as i64;
    let mut stopped_ms = None;
    loop {
        let now = now_ms();
        if run.progress.is_stopping() {
            let since = *stopped_ms.get_or_insert(now);
            if post.under_way.is_empty() || now - since > LAST_MS {
                return Ok(());
            }
        } else {
            send(&run, &mut post, &numbers, &socket, now).await;
        }
        let pause = post.due.peek().map_or(PAUSE_MAX, |Reverse((due, _))| {
            Duration::from_millis((due - now).clamp(1, PAUSE_MAX.as_millis() as i64) as u64)
        });
        let mut bytes = [0; 64];
        let mut received = timeout(pause, socket.recv(&mut bytes)).await.ok();
        // An error is what a server that is not there sends; it is not there yet, or again.
        while let Some(Ok(length)) = received {
            post.hear(&run, &bytes[..length], now_ms());
            received = socket.try_recv(&mut bytes).map(Ok).ok();
        }
    }
}

/// A socket that talks to the target alone.
fn socket(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr =
        if target.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = socket2::Socket::new(socket2::Domain::for_address(any), socket2::Type::DGRAM, None)?;
    // A system that allows less gives less.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&any.into())?;
    socket.connect(&target.into())?;
    UdpSocket::from_std(socket.into())
}

/// Looks at every device that is due.
async fn send(run: &Run, post: &mut Post, numbers: &[u32], socket: &UdpSocket, now: i64) {
    let mut looked = 0;
    while let Some(Reverse((due, place))) = post.due.peek().copied() {
        // Acknowledgements want to be heard in between.
        if due > now || looked >= LOOKS_AT_ONCE {
            return;
        }
        post.due.pop();
        if post.due_of[place] != due {
            continue;
        }
        looked += 1;
        let device = post.devices[place].get_or_insert_with(|| run.device(numbers[place]));
        device.catch_up(run.now_ms());
        run.look_whether_caught_up(device, &mut post.counted[place]);
        let mut wait = step_ms(run);
        if device.is_reachable() {
            let number = post.next_number;
            // Where a number is still under way, it is so for longer than anybody waits.
            if let Some((bytes, records, again)) = device.datagram(number) {
                post.next_number = number.wrapping_add(1);
                if let Some(before) = post.numbers[place].replace(number) {
                    post.under_way.remove(&before);
                }
                post.under_way.insert(number, place);
                run.progress.frame_sent(records, bytes.len(), again);
                wait = ANSWER_MS;
                // What does not arrive is sent again.
                let _ = socket.send(&bytes).await;
            }
        }
        post.look_at(place, now + wait);
    }
}

fn step_ms(run: &Run) -> i64 {
    run.pace.real_ms(STEP_MS, run.clock.now()).max(1)
}

/// Devices that are looked at before answers are.
const LOOKS_AT_ONCE: usize = 64;

impl Post {
    fn hear(&mut self, run: &Run, bytes: &[u8], now: i64) {
        let Heard::Acknowledged(number) = Speech::Teltonika.hear_datagram(bytes) else { return };
        let Some(place) = u16::try_from(number).ok().and_then(|number| self.under_way.remove(&number)) else { return };
        self.numbers[place] = None;
        let Some(device) = &mut self.devices[place] else { return };
        add(&run.progress.acknowledged, device.acknowledged(number as u16) as u64);
        run.look_whether_caught_up(device, &mut self.counted[place]);
        // At once where it has more to say, and not when its answer would have been late.
        let wait = if device.has_more() { 0 } else { step_ms(run) };
        self.look_at(place, now + wait);
    }

    fn look_at(&mut self, place: usize, due: i64) {
        self.due_of[place] = due;
        self.due.push(Reverse((due, place)));
    }
}
