//! A period decoded again, by this version and with settings as they were or as they should have been, and compared with
//! what history has: device by device, so that memory does not grow with the period.
//!
//! The same whether a server runs or not; what came of it goes out as lines of JSON while it is found.

mod gather;
mod settings;
mod told;

pub(crate) use settings::{Current, checked};
pub(crate) use told::{Counts, KeyTold, Line, Told, Total};

use crate::config::YEARS_10;
use crate::export::Sink;
use anyhow::{Result, bail};
use compact_str::CompactString;
use gather::Gathering;
use odograph_lake::{Load, Past, Period, Replaced, Replacement};
use odograph_model::Time;
use odograph_protocols::DECIDED_SEVERAL;
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
    let (companions, carriers) = (past.companions(&period)?, past.carriers(&period, &[DECIDED_SEVERAL])?);
    let mut loads = past.loads(&period, &query.devices)?;
    if !carriers.is_empty() {
        add_accepted(&mut loads, current, query);
    }
    let parts = parts(loads)?;
    let of: usize = parts.iter().map(Vec::len).sum();
    let (mut total, mut replacement, mut done) = (Total::default(), Replacement::default(), 0);
    for devices in parts {
        let mut read: HashSet<CompactString> = devices.iter().cloned().collect();
        read.extend(devices.iter().filter_map(|device| companions.get(device)).flatten().cloned());
        // What any of them said may have been passed on by those.
        read.extend(carriers.iter().cloned());
        let mut gathering = Gathering::new(period, query, &settled, &devices);
        past.frames(&period, &read.into_iter().collect::<Vec<_>>(), |node, frame| gathering.entry(node, frame))?;
        let gathered = gathering.finish(&mut total);
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

/// Adds devices that were accepted after they had waited. What others passed on of one of them is under no frame of its own, and
/// nothing of it is in history, so that neither says that there is something.
fn add_accepted(loads: &mut Vec<Load>, current: &Current, query: &ReplayQuery) {
    let there: HashSet<CompactString> = loads.iter().map(|load| load.device.clone()).collect();
    let is_asked = |device: &CompactString| query.devices.is_empty() || query.devices.contains(device);
    let accepted = current.accepted_since(&query.tenant).into_iter();
    let missing = accepted.filter(|device| is_asked(device) && !there.contains(device));
    loads.extend(missing.map(|device| Load { device, frames: 0, records: 0 }));
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

/// So far from the time of receipt the event time of a record may be that is there already: as far as could ever be set.
const CLOCK_OFF_MAX_MS: i64 = YEARS_10 as i64;
/// So many frames or records are looked at together: some hundred bytes of memory each, a few times.
const PART_ROWS: u64 = 200_000;
/// So many devices: a query that names more takes long to plan.
const PART_DEVICES: usize = 500;
/// No device sends so many in a year.
const DEVICE_ROWS_MAX: u64 = 2_000_000;
