//! Devices with a connection each.

use super::{LOOK, Run};
use crate::device::Device;
use crate::progress::{add, take};
use crate::truck::STEP_MS;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// So many devices of a thread connect at once: a server's queue of connections is short.
const CONNECTING_MAX: usize = 64;
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// A device that hears nothing for so long connects anew.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// What is under way when it is to end may take so long.
const LAST_WAIT: Duration = Duration::from_secs(3);
/// The pause before a device tries again doubles from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Room for what a server says at once.
const READ_BYTES: usize = 2048;

/// Why a conversation ended.
enum End {
    /// It was to end.
    Stopped,
    /// The device has no network.
    Gap,
    /// The server does not want the device.
    Refused,
    /// The connection ended, or nobody answered.
    Failed,
}

pub(super) async fn drive(run: Arc<Run>, numbers: Vec<u32>) -> io::Result<()> {
    let connecting = Arc::new(Semaphore::new(CONNECTING_MAX));
    let mut devices = JoinSet::new();
    for number in numbers {
        devices.spawn_local(live(run.clone(), number, connecting.clone()));
        // Making a truck takes a while, and those that are there have things to say.
        tokio::task::yield_now().await;
    }
    while devices.join_next().await.is_some() {}
    Ok(())
}

async fn live(run: Arc<Run>, number: u32, connecting: Arc<Semaphore>) {
    let speech = run.plan.member(number).speech;
    let target = run.plan.target(speech).expect("the plan was checked");
    let mut device = run.device(number);
    let (mut pause, mut counted) = (PAUSES.0, false);
    while !run.progress.is_stopping() {
        device.catch_up(run.now_ms());
        if !device.is_reachable() {
            // What it keeps it says once there is a network again: nobody can wait for that.
            run.look_whether_caught_up(&mut device, &mut counted);
            sleep(run.until(STEP_MS)).await;
            continue;
        }
        let before = run.progress.counts().acknowledged;
        let Some(mut stream) = connect(&run, target, &connecting).await else {
            add(&run.progress.failures, 1);
            pause = rest(&run, pause).await;
            continue;
        };
        add(&run.progress.connected, 1);
        add(&run.progress.connections, 1);
        let end = converse(&run, &mut device, &mut stream, &mut counted).await;
        take(&run.progress.connected, 1);
        // Where there is no network, nothing could be said to the server.
        let _ = stream.shutdown().await;
        match end {
            End::Stopped => return,
            End::Gap => {}
            End::Refused => {
                add(&run.progress.refused, 1);
                pause = rest(&run, PAUSES.1).await;
            }
            End::Failed => {
                add(&run.progress.failures, 1);
                let went_well = run.progress.counts().acknowledged > before;
                pause = rest(&run, if went_well { PAUSES.0 } else { pause }).await;
            }
        }
    }
}

/// Waits, unless it is to end; gives the pause after this one.
async fn rest(run: &Run, pause: Duration) -> Duration {
    let mut left = pause;
    while !run.progress.is_stopping() && !left.is_zero() {
        let part = left.min(LOOK);
        sleep(part).await;
        left -= part;
    }
    (pause * 2).min(PAUSES.1)
}

async fn connect(run: &Run, target: SocketAddr, connecting: &Semaphore) -> Option<TcpStream> {
    let _turn = connecting.acquire().await.ok()?;
    if run.progress.is_stopping() {
        return None;
    }
    let stream = timeout(CONNECT_WAIT, TcpStream::connect(target)).await.ok()?.ok()?;
    // Frames are small, and each waits for an answer. Without this it goes on as well.
    let _ = stream.set_nodelay(true);
    Some(stream)
}

async fn converse(run: &Run, device: &mut Device, stream: &mut TcpStream, counted: &mut bool) -> End {
    let hello = device.connected();
    if stream.write_all(&hello).await.is_err() {
        return End::Failed;
    }
    // What was under way on a connection before has to be sent on this one.
    let (mut silent, mut stopping, mut resend) = (Duration::ZERO, Duration::ZERO, true);
    loop {
        device.catch_up(run.now_ms());
        run.look_whether_caught_up(device, counted);
        if !device.is_reachable() {
            return End::Gap;
        }
        let stops = run.progress.is_stopping();
        if stops && (!device.waits() || stopping > LAST_WAIT) {
            return End::Stopped;
        }
        if (resend || !device.waits())
            && !stops
            && let Some((bytes, records, again)) = device.frame()
        {
            run.progress.frame_sent(records, bytes.len(), again);
            if stream.write_all(&bytes).await.is_err() {
                return End::Failed;
            }
            (resend, silent) = (false, Duration::ZERO);
        }
        let wait = if device.waits() || stops { LOOK } else { run.until(STEP_MS).max(LOOK) };
        let mut bytes = [0; READ_BYTES];
        match timeout(wait.min(Duration::from_secs(1)), stream.read(&mut bytes)).await {
            Ok(Ok(0) | Err(_)) => return End::Failed,
            Ok(Ok(count)) => {
                silent = Duration::ZERO;
                let reaction = device.hear(&bytes[..count]);
                add(&run.progress.acknowledged, reaction.acknowledged as u64);
                add(&run.progress.commands, reaction.commands);
                if reaction.refused {
                    return End::Refused;
                }
                if reaction.broken || stream.write_all(&reaction.answers).await.is_err() {
                    return End::Failed;
                }
            }
            Err(_elapsed) if device.waits() || stops => {
                silent += wait;
                stopping += if stops { wait } else { Duration::ZERO };
                if silent > ANSWER_WAIT {
                    return End::Failed;
                }
            }
            Err(_elapsed) => {}
        }
    }
}
