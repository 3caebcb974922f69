//! `odograph simulate`: a fleet that connects to a server and speaks the protocols.

mod list;
mod screen;
mod targets;

use super::pairs::moment;
use super::{Outcome, usage};
use anyhow::{Context as _, Result};
use clap::Args;
use odograph_env::{Clock, SystemClock};
use odograph_model::Time;
use odograph_simulate::{
    CITIES_OF_SMALL_FLEETS, Counts, DEVICES_MAX, Intervals, Plan, Progress, SMALL_FLEET_MAX, Speech, cities,
};
use screen::Screen;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use targets::Target;
use tokio::signal::unix::{SignalKind, signal};

/// Let a fleet drive, cool and connect: trucks on real roads that speak the protocols to a server.
///
/// The same seed is the same fleet. Devices that a server does not know register themselves, unless it refuses that.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph simulate                                       ten trucks call this machine, until Ctrl-C\n  \
    odograph simulate --devices 50 --history 7 --target gateway.example.org\n  \
    odograph simulate --protocol galileo --city Hamburg --city Lyon\n  \
    odograph simulate --devices 50 --list > fleet.csv       who they are, for `odograph device import`\n  \
    odograph simulate --devices 100000 --udp                a large fleet, by datagrams\n  \
    odograph simulate --speed-up 120                        the past day, lived through in twelve minutes\n\n\
    It sends what nobody measured. Let it call a server of your own that is there for trials.")]
pub(super) struct Options {
    /// How many devices.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(DEVICES_MAX)))]
    devices: u32,
    /// What they speak, perhaps with a weight: `galileo`, `gt06=3`. May be repeated. Without it, a mix.
    #[arg(long = "protocol", value_name = "NAME[=WEIGHT]", value_parser = share, value_delimiter = ',')]
    protocols: Vec<(Speech, u32)>,
    /// Where they are at home; `--list-cities` says which there are. May be repeated. Without it, a few, or all for a
    /// large fleet.
    #[arg(long = "city", value_name = "NAME", value_parser = city)]
    cities: Vec<usize>,
    /// Another seed is another fleet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where they call: HOST (each protocol on its usual port), HOST:PORT (all on one), or PROTOCOL=HOST:PORT. May be
    /// repeated; what names a protocol goes before what does not.
    #[arg(long = "target", value_name = "TARGET", value_parser = targets::target, default_value = "127.0.0.1")]
    targets: Vec<Target>,
    /// Their past, in days: it is sent first, as fast as the server takes it.
    #[arg(long, value_name = "DAYS", default_value_t = 0.0, value_parser = days)]
    history: f64,
    /// Their life began at this moment, `2026-06-01` or `2026-06-01T12:00:00Z`: a later run with the same moment and the
    /// same seed goes on where an earlier one ended, and says what is not older than --history.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Time>,
    /// They live through their past (a day, without --history) so many times as fast as it happened, instead of sending it at
    /// once. Once they have come to now, time goes on as it does.
    #[arg(long, value_name = "TIMES", value_parser = times)]
    speed_up: Option<f64>,
    /// Seconds between two records while they drive.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(10..=86_400))]
    interval: u32,
    /// Seconds between two records while they stand.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=86_400))]
    standing_interval: u32,
    /// By datagrams: takes few sockets for many devices. They all speak teltonika then.
    #[arg(long)]
    udp: bool,
    /// End after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// End once the past was sent and acknowledged.
    #[arg(long)]
    until_history_sent: bool,
    /// Print who the devices are, as a table for `odograph device import`, and connect to nobody.
    #[arg(long)]
    list: bool,
    /// Print the cities, and connect to nobody.
    #[arg(long)]
    list_cities: bool,
    /// Print counts as JSON, one line each second and one at the end; lists as one line for each device or city.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    if options.list_cities {
        list::cities(options.json, out)?;
        return Ok(Outcome::Done);
    }
    let plan = plan(options)?;
    if options.list {
        list::members(&plan, options.json, out)?;
        return Ok(Outcome::Done);
    }
    let open_files = crate::server::raise();
    if !options.udp && options.devices as usize + FILES_RESERVE > open_files {
        return usage(format!(
            "{} devices need a connection each, and {open_files} files may be open here: raise that limit (ulimit -n), or let \
             them send datagrams (--udp)",
            options.devices
        ));
    }
    let counts = drive(options, plan, out)?;
    // Nobody took anything: whoever asked for a fleet has none.
    let is_mute = counts.acknowledged == 0 && counts.failures + counts.refused > 0;
    if is_mute {
        eprintln!(
            "no record was acknowledged: is a server listening where the devices call (--target), and does it take them?"
        );
    }
    Ok(if is_mute { Outcome::Problems } else { Outcome::Done })
}

/// A life has to be lived through before anything is told of it, and cannot begin after what is told.
fn check_since(options: &Options) -> Result<()> {
    let Some(since) = options.since else { return Ok(()) };
    let days = (SystemClock::new().now() - since.0) as f64 / 1000.0 / SECONDS_OF_DAY;
    if !(0.0..=LIFE_DAYS_MAX).contains(&days) {
        return usage(format!("--since lies in the past, and at most {LIFE_DAYS_MAX} days ago"));
    }
    Ok(())
}

/// Ten years: of a truck that is a few seconds of work.
const LIFE_DAYS_MAX: f64 = 3650.0;

fn plan(options: &Options) -> Result<Plan> {
    let mut mix = options.protocols.clone();
    if options.udp {
        if mix.iter().any(|(speech, _)| *speech != Speech::Teltonika) {
            return usage(
                "--udp goes with --protocol teltonika alone: of others' answers nobody could say to whom they are",
            );
        }
        mix = vec![(Speech::Teltonika, 1)];
    }
    let everywhere = options.devices > SMALL_FLEET_MAX;
    let usual = if everywhere { cities::CITIES.len() } else { CITIES_OF_SMALL_FLEETS };
    let homes = if options.cities.is_empty() { (0..usual).collect() } else { options.cities.clone() };
    check_since(options)?;
    let mut plan = Plan {
        devices: options.devices,
        seed: options.seed,
        cities: homes,
        intervals: Intervals { driving_s: options.interval, standing_s: options.standing_interval },
        history: Duration::from_secs_f64(options.history * SECONDS_OF_DAY),
        since_ms: options.since.map(|time| time.0),
        speed_up: options.speed_up,
        udp: options.udp,
        threads: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX)),
        until_history_sent: options.until_history_sent,
        ..Plan::default()
    };
    if !mix.is_empty() {
        plan.mix = mix;
    }
    if !options.list {
        plan.targets = targets::resolved(&options.targets, plan.mix.iter().map(|(speech, _)| *speech))?;
    }
    Ok(plan)
}

/// Files beside the devices' connections.
const FILES_RESERVE: usize = 64;
const SECONDS_OF_DAY: f64 = 86_400.0;
/// More do not make a fleet faster than a server.
const THREADS_MAX: usize = 8;

/// Drives the fleet on threads of its own, shows how far it is, and hears signals.
fn drive(options: &Options, plan: Plan, out: &mut dyn Write) -> Result<Counts> {
    let progress = Arc::new(Progress::default());
    let devices = plan.devices;
    let fleet = {
        let progress = progress.clone();
        std::thread::Builder::new().name("fleet".to_owned()).spawn(move || odograph_simulate::run(plan, &progress))?
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("an event loop")?;
    let clock = SystemClock::new();
    let mut screen = Screen::new(devices, options.json, clock.monotonic());
    runtime.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        while !fleet.is_finished() {
            tokio::select! {
                _ = interrupted.recv() => progress.stop(),
                _ = terminated.recv() => progress.stop(),
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = clock.monotonic();
            if options.seconds.is_some_and(|seconds| now >= Duration::from_secs(seconds)) {
                progress.stop();
            }
            screen.show(progress.counts(), now, out)?;
        }
        anyhow::Ok(())
    })?;
    let ended = fleet.join().ok().context("the fleet's thread panicked")?;
    ended.context("the fleet cannot set out")?;
    let counts = progress.counts();
    screen.finish(counts, clock.monotonic(), out)?;
    Ok(counts)
}

const LOOK: Duration = Duration::from_millis(100);

fn share(text: &str) -> Result<(Speech, u32), String> {
    let (name, weight) = text.split_once('=').unwrap_or((text, "1"));
    let names = || Speech::ALL.map(Speech::name).join(", ");
    let speech = Speech::named(name).ok_or_else(|| format!("devices can speak {}", names()))?;
    let weight = weight.parse().ok().filter(|weight| (1..=1000).contains(weight));
    Ok((speech, weight.ok_or("a weight is a number from 1 to 1000")?))
}

fn city(text: &str) -> Result<usize, String> {
    cities::find(text).ok_or_else(|| "no such city: `odograph simulate --list-cities` says which there are".to_owned())
}

fn days(text: &str) -> Result<f64, String> {
    number(text, 0.0, 3650.0)
}

fn times(text: &str) -> Result<f64, String> {
    number(text, 1.0, 100_000.0)
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("expected a number from {least} to {most}"))
}
