//! A period decoded again, by this version and with settings as they were or as they should have been, and compared with
//! what history has: device by device, so that memory does not grow with the period.
//!
//! The same whether a server runs or not; what came of it goes out as lines of JSON while it is found.

mod settings;
mod told;

pub(crate) use settings::{Current, checked};
pub(crate) use told::{Counts, KeyTold, Line, Told, Total};

use crate::config::YEARS_10;
use crate::export::{Sink, entry};
use crate::history::row;
use anyhow::{Result, bail};
use compact_str::CompactString;
use odograph_journal::{Entry, Kind};
use odograph_lake::{Gathered, Load, Past, Period, Recorded, Replaced, Replacement};
use odograph_model::{Lsn, Time};
use odograph_pipeline::{Again, Came, Event};
use odograph_protocols::{Binding, DECIDED_SEVERAL, Decision};
use serde::{Deserialize, Serialize};
use settings::Settled;
use std::collections::HashSet;
use std::sync::Arc;

/// What to replay.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayQuery {
    /// What was received not before this moment, in milliseconds since 1970 UTC.
    pub(crate) from: i64,
    /// What was received before this moment.
    pub(crate) to: i64,
    /// Of these devices; none: of all.
    pub(crate) devices: Vec<CompactString>,
    pub(crate) tenant: String,
    pub(crate) settings: Choice,
    /// Settings of protocols that stand above all others.
    pub(crate) set: Vec<(String, String)>,
    /// Put what comes out in the place of what is there.
    pub(crate) apply: bool,
}

/// With which settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Choice {
    /// Those that held when the bytes came.
    Recorded,
    /// Those that the configuration has now.
    Current,
}

/// Where history is.
pub(crate) trait Source {
    /// A tenant's history, with everything that was acknowledged before.
    fn past(&mut self, tenant: &str) -> Result<Past>;

    /// Replaces records in one commit.
    fn replace(&mut self, tenant: &str, replacement: Replacement) -> Result<Option<Replaced>>;
}

/// Replays. Everything that is found goes to `out`, and so does an error.
pub(crate) fn run(
    source: &mut dyn Source,
    current: &Arc<Current>,
    query: &ReplayQuery,
    out: &mut dyn Sink,
) -> Result<()> {
    let told = replay(source, current, query, out);
    let last = match told {
        Ok(total) => Line::Total(total),
        Err(_) if out.is_gone() => return Ok(()),
        Err(error) => {
            tracing::warn!("a replay ended early: {error:#}");
            Line::Error(format!("{error:#}"))
        }
    };
    last.write(out)
}

fn replay(source: &mut dyn Source, current: &Arc<Current>, query: &ReplayQuery, out: &mut dyn Sink) -> Result<Total> {
    let settled = Arc::new(Settled::new(current.clone(), query.settings, checked(&query.set)?));
    let past = source.past(&query.tenant)?;
    let period = Period {
        from: Time(query.from),
        to: Time(query.to),
        lead_ms: current.lead_ms,
        behind_ms: CLOCK_OFF_MAX_MS,
        ahead_ms: CLOCK_OFF_MAX_MS,
    };
    let replay = Replay { past: &past, period, query, settled: &settled };
    let parts = parts(past.loads(&period, &query.devices)?)?;
    let (companions, carriers) = (past.companions(&period)?, past.carriers(&period, &[DECIDED_SEVERAL])?);
    let of: usize = parts.iter().map(Vec::len).sum();
    let (mut total, mut replacement, mut done) = (Total::default(), Replacement::default(), 0);
    for devices in parts {
        let mut read: HashSet<CompactString> = devices.iter().cloned().collect();
        read.extend(devices.iter().filter_map(|device| companions.get(device)).flatten().cloned());
        // What any of them said may have been passed on by those.
        read.extend(carriers.iter().cloned());
        let gathered = replay.gather(&devices, &read.into_iter().collect::<Vec<_>>(), &mut total)?;
        let difference = past.compare(&period, &devices, gathered)?;
        for (device, difference) in difference.devices {
            total.add(&difference);
            if let Some(told) = Told::of(device, difference) {
                Line::Device(told).write(out)?;
            }
        }
        if query.apply {
            replacement.extend(difference.replacement)?;
        }
        done += devices.len();
        Line::Progress { devices: done, of }.write(out)?;
        out.flush()?;
    }
    settled.require_use()?;
    // What is read must not be held while files are written: none of them could be deleted.
    drop(past);
    if query.apply && !replacement.is_empty() {
        total.applied = source.replace(&query.tenant, replacement)?.map(Into::into);
    }
    Ok(total)
}

/// Devices that are looked at together: as many as fit into memory.
fn parts(loads: Vec<Load>) -> Result<Vec<Vec<CompactString>>> {
    let (mut parts, mut rows) = (vec![Vec::new()], 0);
    for Load { device, frames, records } in loads {
        let more = frames.max(records);
        if more > DEVICE_ROWS_MAX {
            bail!(
                "{device} has {more} frames or records in that period, more than {DEVICE_ROWS_MAX}: take a shorter one"
            );
        }
        let part: &mut Vec<CompactString> = parts.last_mut().expect("there is always one");
        if !part.is_empty() && (rows + more > PART_ROWS || part.len() >= PART_DEVICES) {
            parts.push(vec![device]);
            rows = more;
        } else {
            part.push(device);
            rows += more;
        }
    }
    parts.retain(|part| !part.is_empty());
    Ok(parts)
}

struct Replay<'a> {
    past: &'a Past,
    period: Period,
    query: &'a ReplayQuery,
    settled: &'a Arc<Settled>,
}

impl Replay<'_> {
    /// Decodes what some devices sent; for that, what all of `read` said is read.
    fn gather(&self, devices: &[CompactString], read: &[CompactString], total: &mut Total) -> Result<Gathered> {
        let wanted: HashSet<&str> = devices.iter().map(CompactString::as_str).collect();
        let (mut again, mut gathered) = (Again::new(self.settled.window(), self.settled.clone()), Gathered::default());
        // Under the recorded settings, a record is known by what it was known by.
        let mut before = (!self.settled.is_as_recorded()).then(|| Before::new(self.settled));
        let (mut carried, mut malformed, mut unreadable) = (0, 0, 0);
        self.past.frames(&self.period, read, |node, frame| {
            let Some(entry) = entry(frame) else { return Ok(()) };
            let holds = self.period.holds(frame.at);
            let is_wanted = wanted.contains(frame.device) && holds;
            let is_asked = |binding: &Binding| {
                holds
                    && binding.decision == Decision::Accepted
                    && binding.tenant == self.query.tenant
                    && wanted.contains(binding.device.as_str())
            };
            let known = before.as_mut().map_or(&[][..], |before| before.known(&entry, node, frame.segment));
            let (mut number, first) = (0, gathered.count());
            let take = |event: &Event<'_>| {
                let recorded = known.get(number).copied();
                number += 1;
                // Where each device of a frame was not decided about, the others went along with the frame's own.
                let is_decided = event.device() == event.binding.device;
                if is_decided && is_asked(event.binding) {
                    self.settled.used_by(event.protocol);
                    gathered.push(&row(event), event.claimed, recorded);
                } else if is_wanted
                    && event.binding.decision == Decision::Accepted
                    && (!is_decided || event.device() == frame.device)
                {
                    carried += 1;
                }
            };
            let came = again.entry(&entry, node, frame.segment, take);
            if number != known.len() {
                gathered.forget_before(first);
            }
            if is_wanted && entry.kind == Kind::FRAME {
                match came {
                    Came::Read => {}
                    Came::Malformed => malformed += 1,
                    Came::Unreadable => unreadable += 1,
                }
                if came != Came::Unreadable {
                    gathered.readable(frame.device, frame.at);
                }
            }
            if came != Came::Unreadable && entry.kind == Kind::FRAME {
                let others = entry.identity.and_then(|of| Binding::read_with(of.device, of.decision).ok());
                let others = others.iter().flat_map(|(_, others)| others.iter());
                others.filter(|other| is_asked(&other.binding)).for_each(|other| {
                    gathered.readable(&other.binding.device, frame.at);
                });
            }
            if gathered.bytes() > GATHERED_BYTES_MAX {
                bail!("these devices said too much for one go: take a shorter period, or one device after the other");
            }
            Ok(())
        })?;
        total.carried += carried;
        total.malformed += malformed;
        total.unreadable += unreadable;
        Ok(gathered)
    }
}

/// What records were known by when their bytes came: a device that sent one again later is recognised by that.
struct Before {
    again: Again,
    known: Vec<Recorded>,
}

impl Before {
    fn new(settled: &Settled) -> Self {
        Self { again: Again::new(settled.window(), Arc::new(settled.as_recorded())), known: Vec::new() }
    }

    /// The records of the next entry, in their order.
    fn known(&mut self, entry: &Entry<'_>, node: i32, segment: Lsn) -> &[Recorded] {
        let known = &mut self.known;
        known.clear();
        self.again.entry(entry, node, segment, |event: &Event<'_>| {
            known.push(Recorded { id: event.id, claimed: event.claimed.unwrap_or(event.time()) });
        });
        known
    }
}

/// So far from the time of receipt the event time of a record may be that is there already: as far as could ever be set.
const CLOCK_OFF_MAX_MS: i64 = YEARS_10 as i64;
/// So many frames or records are looked at together: some hundred bytes of memory each, a few times.
const PART_ROWS: u64 = 200_000;
/// So many devices: a query that names more takes long to plan.
const PART_DEVICES: usize = 500;
/// No device sends so many in a year.
const DEVICE_ROWS_MAX: u64 = 2_000_000;
/// What is decoded of devices that are looked at together, where records are long or a frame has many.
const GATHERED_BYTES_MAX: usize = 512 << 20;
