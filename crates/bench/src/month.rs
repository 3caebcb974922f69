//! A fleet's month over real sockets.

use odograph_env::{Clock as _, SystemClock};
use odograph_fleet::{Heard, Speech, Telemetry, Truck};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// As many connections as there may be at a time.
pub const SOCKETS_MAX: usize = 2000;

/// What is sent.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub target: String,
    /// By how many trucks.
    pub devices: u64,
    /// Of how many days, up to yesterday.
    pub days: i64,
    /// How many records.
    pub records: u64,
    /// How many connections at a time.
    pub sockets: usize,
    /// What a truck sends in one connection.
    pub hours: i64,
    /// Records in one frame.
    pub frame: usize,
    /// The first truck's IMEI.
    pub first: u64,
}

/// Sends it all, and gives the totals.
///
/// # Errors
///
/// When the server cannot be reached, or refuses what is sent, after some tries.
pub fn send(plan: &Plan) -> io::Result<Value> {
    // One thread: a server on the same machine needs the other cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(plan))
}

struct Run {
    plan: Plan,
    /// Between two records of a truck.
    interval_ms: i64,
    /// In one connection.
    records_at_once: u64,
    records_each: u64,
    trucks: Vec<Mutex<(Truck, u64)>>,
    next: AtomicUsize,
    acknowledged: AtomicU64,
    frames: AtomicU64,
    again: AtomicU64,
}

async fn run(plan: &Plan) -> io::Result<Value> {
    let clock = SystemClock::new();
    let records_each = plan.records.div_ceil(plan.devices);
    let interval_ms = plan.days * DAY_MS / i64::try_from(records_each).unwrap_or(i64::MAX).max(1) / 1000 * 1000;
    if interval_ms < 1000 {
        return Err(io::Error::other("more than a record each second: fewer records, more devices or more days"));
    }
    let begin = clock.now().div_euclid(DAY_MS) * DAY_MS - plan.days * DAY_MS;
    let records_at_once = (plan.hours * 3_600_000 / interval_ms).max(1).cast_unsigned();
    let trucks = (0..plan.devices).map(|number| Mutex::new((Truck::new(number + 1, begin), 0))).collect();
    let counters = || AtomicU64::new(0);
    let (acknowledged, frames, again) = (counters(), counters(), counters());
    let next = AtomicUsize::new(0);
    let plan = plan.clone();
    let run =
        Arc::new(Run { plan, interval_ms, records_at_once, records_each, trucks, next, acknowledged, frames, again });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..run.plan.sockets {
        let run = run.clone();
        tasks.spawn(async move { run.connections().await });
    }
    let mut tick = tokio::time::interval(PROGRESS);
    let totals = |run: &Run| {
        let seconds = clock.monotonic().as_secs_f64();
        let acknowledged = run.acknowledged.load(Ordering::Relaxed);
        json!({
            "acknowledged": acknowledged,
            "frames": run.frames.load(Ordering::Relaxed),
            "reconnects": run.again.load(Ordering::Relaxed),
            "seconds": (seconds * 10.0).round() / 10.0,
            "records_per_second": (acknowledged as f64 / seconds.max(0.001)).round(),
        })
    };
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => return Ok(totals(&run)),
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return Err(error),
                Some(Err(error)) => return Err(io::Error::other(error)),
            },
            _ = tick.tick() => eprintln!("{}", totals(&run)),
        }
    }
}

impl Run {
    /// Connection after connection, until everything was sent.
    async fn connections(&self) -> io::Result<()> {
        let devices = self.trucks.len();
        let rounds = usize::try_from(self.records_each.div_ceil(self.records_at_once)).unwrap_or(usize::MAX);
        loop {
            let job = self.next.fetch_add(1, Ordering::Relaxed);
            if job >= devices * rounds {
                return Ok(());
            }
            let number = shuffled(job % devices, devices, job / devices);
            let mut truck = self.trucks[number].lock().await;
            let (truck, sent) = &mut *truck;
            let count = self.records_at_once.min(self.records_each - *sent);
            let measured: Vec<Telemetry> = (0..count).map(|_| truck.step(self.interval_ms)).collect();
            *sent += count;
            self.deliver(number as u64, &measured).await?;
        }
    }

    /// As a device does: what was not acknowledged is sent again.
    async fn deliver(&self, number: u64, measured: &[Telemetry]) -> io::Result<()> {
        let mut done = 0;
        for attempt in 1.. {
            match self.connection(number, measured, &mut done).await {
                Ok(()) => return Ok(()),
                Err(error) if attempt >= TRIES => {
                    return Err(io::Error::new(error.kind(), format!("truck {number} gives up: {error}")));
                }
                Err(_) => {
                    self.again.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Ok(())
    }

    async fn connection(&self, number: u64, measured: &[Telemetry], done: &mut usize) -> io::Result<()> {
        let speech = Speech::Teltonika;
        let mut stream = TcpStream::connect(&self.plan.target).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&speech.login(&(self.plan.first + number).to_string())).await?;
        if answer(&mut stream, speech, true).await? != Heard::Login(true) {
            return Err(io::Error::other("the login is refused"));
        }
        while *done < measured.len() {
            let part = &measured[*done..(*done + self.plan.frame).min(measured.len())];
            let frame = speech.telemetry(part).ok_or_else(|| io::Error::other("it cannot say that"))?;
            stream.write_all(&frame).await?;
            if answer(&mut stream, speech, false).await? != Heard::Acknowledged(Some(part.len())) {
                return Err(io::Error::other("a frame is not acknowledged as it was sent"));
            }
            *done += part.len();
            self.acknowledged.fetch_add(part.len() as u64, Ordering::Relaxed);
            self.frames.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

async fn answer(stream: &mut TcpStream, speech: Speech, awaits_login: bool) -> io::Result<Heard> {
    let mut bytes = Vec::new();
    loop {
        let count = timeout(ANSWER_MAX, stream.read_buf(&mut bytes)).await??;
        match speech.hear(&bytes, awaits_login) {
            (Heard::Nothing, _) if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            (Heard::Nothing, _) => {}
            (heard, _) => return Ok(heard),
        }
    }
}

/// Another order each round, so that neighbours in a file are no neighbours in time, as with devices that call when they
/// like. A step that shares no divisor with the count meets each number once.
fn shuffled(index: usize, count: usize, round: usize) -> usize {
    let shares = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a > 1
    };
    let mut step = 7919 + round * 104_729;
    while shares(step, count) {
        step += 1;
    }
    (index % count * (step % count.max(2)).max(1) + round) % count
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const PROGRESS: Duration = Duration::from_secs(5);
/// A server on a slow disk, with thousands waiting.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// A server that is started anew takes no longer.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_meets_each_truck_once() {
        for count in [1, 2, 3, 10, 500, 7919] {
            for round in 0..5 {
                let mut numbers: Vec<_> = (0..count).map(|index| shuffled(index, count, round)).collect();
                numbers.sort_unstable();
                assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "{count} trucks, round {round}");
            }
        }
    }
}
