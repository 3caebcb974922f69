//! Drives a fleet: threads, each with an event loop and a part of the devices.

mod tcp;
mod udp;

use crate::device::{Device, Life};
use crate::fleet::{DEVICES_MAX, Plan};
use crate::pace::Pace;
use crate::progress::{Progress, add};
use crate::{Atlas, Speech};
use odograph_env::{Clock, SystemClock};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Between two looks at whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// With speed-up and no history: the past that is lived through.
const SPED_UP_PAST: Duration = Duration::from_secs(86_400);

/// Why a fleet does not set out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No device, or too many.
    #[error("a fleet has 1 to {DEVICES_MAX} devices")]
    Devices,
    /// Nobody said where devices of this language call.
    #[error("{0} devices have nowhere to call: name a target for them")]
    NoTarget(&'static str),
    /// Not every language has datagrams.
    #[error("{0} devices have no datagrams that can be told apart: --udp goes with teltonika alone")]
    NoDatagrams(&'static str),
    /// A thread or its event loop could not be made.
    #[error("the simulation cannot begin")]
    Begin(#[source] io::Error),
}

/// What all devices of a run share.
struct Run {
    atlas: Arc<Atlas>,
    plan: Plan,
    pace: Pace,
    life: Life,
    clock: SystemClock,
    progress: Arc<Progress>,
}

impl Run {
    fn now_ms(&self) -> i64 {
        self.pace.now_ms(self.clock.now())
    }

    /// How long something takes that takes so many simulated milliseconds, at most a second.
    fn until(&self, simulated_ms: i64) -> Duration {
        let real = self.pace.real_ms(simulated_ms, self.clock.now());
        Duration::from_millis(real.clamp(20, 1000) as u64)
    }

    fn device(&self, number: u32) -> Device {
        let member = self.plan.member(number);
        Device::new(&member, &self.atlas, self.plan.seed, self.plan.intervals, self.life)
    }

    /// Counts a device, once, that has said all until the moment when the run began.
    fn look_whether_caught_up(&self, device: &mut Device, counted: &mut bool) {
        add(&self.progress.dropped, device.take_dropped());
        if !*counted && device.has_said_all_until(self.pace.began_ms) {
            *counted = true;
            add(&self.progress.caught_up, 1);
        }
    }
}

/// Lets the fleet drive until it is told to stop, or until its past was sent, where the plan says so.
///
/// # Errors
///
/// Where the plan cannot be carried out; what happens on the way is counted, and gone on from.
pub fn run(plan: Plan, progress: &Arc<Progress>) -> Result<(), Error> {
    check(&plan)?;
    let clock = SystemClock::new();
    let began_ms = clock.now();
    let past = match plan.speed_up {
        Some(_) if plan.history.is_zero() => SPED_UP_PAST,
        _ => plan.history,
    };
    let from_ms = began_ms - past.as_millis() as i64;
    let pace = Pace { began_ms, from_ms, speed_up: plan.speed_up };
    let life = Life { begins_ms: plan.since_ms.unwrap_or(from_ms).min(from_ms), told_from_ms: from_ms };
    let (threads, devices, until_sent) = (plan.threads.max(1), plan.devices, plan.until_history_sent);
    let atlas = Arc::new(Atlas::new(plan.seed));
    let run = Arc::new(Run { atlas, plan, pace, life, clock, progress: progress.clone() });
    let mut running = Vec::new();
    for part in 0..threads {
        let run = run.clone();
        let numbers: Vec<u32> = (0..devices).filter(|number| *number as usize % threads == part).collect();
        let begin = move || -> io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                if run.plan.udp { udp::drive(run, numbers).await } else { tcp::drive(run, numbers).await }
            })
        };
        let thread = std::thread::Builder::new().name(format!("fleet-{part}")).spawn(begin);
        running.push(thread.map_err(Error::Begin)?);
    }
    while !running.iter().all(std::thread::JoinHandle::is_finished) {
        if until_sent && progress.caught_up.load(Relaxed) >= u64::from(devices) {
            progress.stop();
        }
        std::thread::sleep(LOOK);
    }
    for thread in running {
        thread.join().expect("a driver does not panic").map_err(Error::Begin)?;
    }
    Ok(())
}

fn check(plan: &Plan) -> Result<(), Error> {
    if plan.devices == 0 || plan.devices > DEVICES_MAX || plan.mix.is_empty() || plan.cities.is_empty() {
        return Err(Error::Devices);
    }
    let speeches = || plan.mix.iter().map(|(speech, _)| *speech);
    if let Some(speech) = speeches().find(|speech| plan.target(*speech).is_none()) {
        return Err(Error::NoTarget(speech.name()));
    }
    if let Some(speech) = speeches().find(|speech| plan.udp && !Speech::has_datagrams(*speech)) {
        return Err(Error::NoDatagrams(speech.name()));
    }
    Ok(())
}
