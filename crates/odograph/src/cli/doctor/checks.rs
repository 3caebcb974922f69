//! What is looked at. Nothing here changes anything but one small file that is removed again.

use super::Finding;
use crate::config::{Config, Loaded, Source};
use crate::folder::Folder;
use crate::{client, ports, server};
use odograph_env::{Clock as _, Disk as _, LocalDisk, SystemClock};
use odograph_model::Time;
use odograph_protocols::Transport;
use odograph_protocols::detect::name_of_listened;
use rustix::process::{Resource, getrlimit};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All findings, in the order in which a person would look.
pub(super) fn all(source: &Source) -> Vec<Finding> {
    let (loaded, mut findings) = match source.load() {
        Ok(loaded) => (loaded, Vec::new()),
        // The rest is looked at with what would hold by default.
        Err(error) => {
            let ill = Finding::ill(
                "configuration",
                error.to_string(),
                "correct the configuration: the rest is checked with defaults",
            );
            (Loaded::default(), vec![ill])
        }
    };
    if findings.is_empty() {
        findings.push(match loaded.warnings.as_slice() {
            [] => Finding::well("configuration", "sound"),
            warnings => {
                Finding::ill("configuration", warnings.join("; "), "correct or remove the environment variable")
            }
        });
    }
    let config = &loaded.config;
    let folder = Folder::of(config);
    let runs = client::durable(&folder).ok().flatten().is_some();
    let running = Running { runs, pid: folder.holder().filter(|_| runs) };
    findings.push(open_files(config));
    findings.extend(data_folder(&folder, runs));
    let place = existing(folder.path());
    findings.push(free_space(&place));
    findings.push(flush(&place));
    findings.push(clock(config, &folder));
    findings.extend(other_nodes(config, &folder));
    findings.push(ipv6());
    findings.extend(listeners(config, running));
    findings.extend(http(&loaded, running));
    findings
}

fn open_files(config: &Config) -> Finding {
    let limit =
        getrlimit(Resource::Nofile).maximum.map_or(usize::MAX, |hard| usize::try_from(hard).unwrap_or(usize::MAX));
    let listeners = server::listener_files(limit, server::plan(config, &[]).len(), 0);
    let (given, few) = server::connections(limit, listeners, config.connections_max);
    match few {
        None => Finding::well(
            "open files",
            format!("{limit} at a time, which is enough for {given} connections of devices"),
        ),
        Some(few) => {
            // The remedy stands below.
            let found = few.split_once(": ").map_or(few.as_str(), |(found, _)| found).to_owned();
            Finding::ill("open files", found, few.split_once(": ").map_or("", |(_, remedy)| remedy))
        }
    }
}

fn data_folder(folder: &Folder, runs: bool) -> Vec<Finding> {
    let path = folder.path();
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            return vec![Finding::ill("data folder", format!("{shown} is not a folder"), "name another with `data`")];
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![Finding::well("data folder", format!("{shown} is not there yet: `odograph serve` makes it"))];
        }
        Err(error) => {
            return vec![Finding::ill("data folder", format!("{shown}: {error}"), "run as the user who owns it")];
        }
    };
    let mode = metadata.permissions().mode() & 0o777;
    let others = mode & 0o077;
    let mut findings = vec![if others == 0 {
        Finding::well("data folder", format!("{shown}, mode {mode:o}"))
    } else {
        Finding::ill(
            "data folder",
            format!("{shown} is open to other users (mode {mode:o})"),
            format!("chmod 700 {shown}"),
        )
    }];
    findings.push(match runs {
        true => Finding::well("server", "runs"),
        false => match folder.try_lock() {
            Ok(Some(_)) => Finding::well("server", "does not run"),
            Ok(None) => Finding::ill(
                "server",
                folder.held().to_string(),
                "wait until it has started or ended, or look at its log",
            ),
            Err(error) => Finding::ill("server", error.to_string(), "run as the user who owns the data folder"),
        },
    });
    findings
}

/// The nearest folder that is there already.
fn existing(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|folder| folder.is_dir());
    there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn free_space(place: &Path) -> Finding {
    let stat = match rustix::fs::statvfs(place) {
        Ok(stat) => stat,
        Err(error) => return Finding::ill("free space", error.to_string(), "check that the disk is mounted"),
    };
    let (free, total) = (stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize);
    let found = format!("{} of {} MiB", free >> 20, total >> 20);
    if free >= FREE_LEAST {
        return Finding::well("free space", found);
    }
    Finding::ill(
        "free space",
        found,
        "make room, or set `journal.disk_budget`: with a full disk nothing is acknowledged",
    )
}

/// A few segments of the journal.
const FREE_LEAST: u64 = 2 << 30;

/// How long a small write takes to be safe: what every acknowledgement waits for.
fn flush(place: &Path) -> Finding {
    let path = place.join(format!(".odograph-doctor-{}", std::process::id()));
    let measured = measure(&path);
    let _ = LocalDisk.remove(&path);
    let mut times = match measured {
        Ok(times) => times,
        Err(error) => {
            return Finding::ill(
                "disk flush",
                format!("cannot write in {}: {error}", place.display()),
                "run as the user who owns it",
            );
        }
    };
    times.sort_unstable();
    let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
    let found = format!("{} µs in the middle, {} µs at most", median.as_micros(), most.as_micros());
    if median > FLUSH_SLOW {
        return Finding::ill(
            "disk flush",
            found,
            "devices wait for this: use a disk with a protected write cache, not a network disk",
        );
    }
    Finding::well("disk flush", found)
}

fn measure(path: &Path) -> io::Result<Vec<Duration>> {
    let clock = SystemClock::new();
    let file = LocalDisk.create(path)?;
    file.allocate(0, FLUSH_BYTES * FLUSHES)?;
    file.sync()?;
    let block = vec![0x5a; usize::try_from(FLUSH_BYTES).unwrap_or_default()];
    let one = |number| {
        let since = clock.monotonic();
        file.write_at(&block, number * FLUSH_BYTES)?;
        file.sync()?;
        Ok(clock.monotonic().saturating_sub(since))
    };
    (0..FLUSHES).map(one).collect()
}

const FLUSHES: u64 = 32;
const FLUSH_BYTES: u64 = 4096;

/// Slower than this, a device on a bad line notices.
const FLUSH_SLOW: Duration = Duration::from_millis(50);

/// A clock that is wrong makes every time of receipt wrong.
fn clock(config: &Config, folder: &Folder) -> Finding {
    let now = Time(SystemClock::new().now());
    let remedy = "set the clock, and run chrony or systemd-timesyncd";
    if Some(now) < Time::parse(WRITTEN) {
        return Finding::ill("clock", format!("{now} is before this program was written"), remedy);
    }
    let reader = folder.reader(config.journal.node).ok().flatten();
    let stat = reader.and_then(|reader| reader.stat().ok());
    let newest = stat.and_then(|stat| stat.segments.iter().filter_map(|segment| Some(Time(segment.times?.1))).max());
    match newest.filter(|newest| *newest > now.plus_ms(CLOCK_BACK_MS)) {
        Some(newest) => Finding::ill("clock", format!("{now}, but the journal has an entry of {newest}"), remedy),
        None => Finding::well("clock", now.to_string()),
    }
}

/// No machine that runs this is older.
const WRITTEN: &str = "2026-11-01T00:00:00Z";
/// So much a clock that is kept in step may go back.
const CLOCK_BACK_MS: i64 = 1000;

/// Journals of other nodes in the same folder that no server has read to their end.
fn other_nodes(config: &Config, folder: &Folder) -> Vec<Finding> {
    let (own, behind) = (config.journal.node, folder.behind(config.journal.node));
    let one = |node: u16| {
        let what = format!("journal/{node} has what history has not; this server is node {own}");
        Finding::ill("journal", what, format!("start it once with journal.node = {node}, until `export records` ends"))
    };
    behind.into_iter().map(one).collect()
}

fn ipv6() -> Finding {
    // Nothing is wrong without it: many carriers' devices come by IPv4 alone.
    Finding::well("IPv6", if server::has_ipv6() { "available" } else { "not available: default ports take IPv4 alone" })
}

/// The server of the data folder.
#[derive(Clone, Copy)]
struct Running {
    runs: bool,
    pid: Option<u32>,
}

impl Running {
    /// Whether a port that is taken is the server's own, as far as we are shown that.
    fn has(self, transport: Transport, address: SocketAddr, error: &io::Error) -> bool {
        let is_taken = self.runs && error.kind() == io::ErrorKind::AddrInUse;
        is_taken && self.pid.and_then(|pid| ports::has(pid, transport, address.port())) != Some(false)
    }
}

fn listeners(config: &Config, running: Running) -> Vec<Finding> {
    let taken: Vec<Finding> = server::plan(config, &[])
        .into_iter()
        // Those that are handed over are not ours to open.
        .filter(|plan| plan.config.socket.is_none())
        .filter_map(|plan| {
            let error = free(plan.transport, plan.address).err()?;
            // A running server has its ports itself; where another process has one, it left that out.
            if running.has(plan.transport, plan.address, &error) {
                return None;
            }
            let (protocol, transport, address) = (name_of_listened(plan.protocol), plan.transport.name(), plan.address);
            let by = ports::holder(plan.transport, address.port())
                .map_or(error.to_string(), |holder| format!("{holder} has it"));
            let remedy = format!("end that process, or name another address in a [[listener]] for {protocol}");
            Some(Finding::ill("port", format!("{address} ({protocol}, {transport}): {by}"), remedy))
        })
        .collect();
    if taken.is_empty() {
        vec![Finding::well("ports", if running.runs { "the server has them" } else { "all are free" })]
    } else {
        taken
    }
}

fn http(loaded: &Loaded, running: Running) -> Option<Finding> {
    let address = loaded.config.http.listen;
    let error = free(Transport::Tcp, address).err()?;
    if running.has(Transport::Tcp, address, &error) {
        return None;
    }
    let by =
        ports::holder(Transport::Tcp, address.port()).map_or(error.to_string(), |holder| format!("{holder} has it"));
    Some(Finding::ill("HTTP port", format!("{address}: {by}"), "end that process, or set http.listen"))
}

fn free(transport: Transport, address: SocketAddr) -> io::Result<()> {
    match transport {
        Transport::Tcp => TcpListener::bind(address).map(drop),
        Transport::Udp => UdpSocket::bind(address).map(drop),
    }
}
