//! What leaves the journal: records, each once, and the bytes themselves. The same whether a server runs or not.

mod frames;

pub(crate) use frames::frames;

use crate::exit::{Failure, Status};
use anyhow::Result;
use axum::http::{HeaderMap, HeaderValue};
use compact_str::CompactString;
use odograph_ingest::{Roster, State};
use odograph_journal::Reader;
use odograph_model::Lsn;
use odograph_pipeline::{Event, ReadError, Records, Trouble, Window};
use odograph_protocols::{Binding, Decision};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;

/// Which records.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RecordQuery {
    /// Of these devices; none: of all.
    pub(crate) devices: Vec<CompactString>,
    pub(crate) tenant: Option<CompactString>,
    /// Not before this moment, in milliseconds since 1970 UTC.
    pub(crate) from: Option<i64>,
    /// Before this moment.
    pub(crate) to: Option<i64>,
    /// Also of devices that wait for a person's decision.
    pub(crate) quarantined: bool,
    /// Go on with what comes.
    pub(crate) follow: bool,
}

/// Which bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FrameQuery {
    pub(crate) devices: Vec<CompactString>,
    pub(crate) tenant: Option<CompactString>,
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
    pub(crate) quarantined: bool,
    pub(crate) direction: Direction,
    /// The bytes as they are, one after the other, instead of lines about them.
    pub(crate) raw: bool,
}

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// From the device.
    In,
    /// To the device.
    Out,
    #[default]
    Both,
}

/// What came of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Records or pieces that were given.
    pub(crate) given: u64,
    /// Records that had been given before.
    pub(crate) duplicates: u64,
    /// Frames that cannot be decoded.
    pub(crate) undecoded: u64,
    /// Places where the journal is damaged.
    pub(crate) damaged: u64,
}

/// The header behind the data in which a server tells the totals.
pub(crate) const TOTALS_TRAILER: &str = "odograph-totals";

/// The totals that a server told behind the data; an answer without them was cut short.
pub(crate) fn totals(trailers: &HeaderMap) -> Result<Totals> {
    let totals = trailers.get(TOTALS_TRAILER).and_then(|totals| serde_json::from_slice(totals.as_bytes()).ok());
    let cut = || Failure::new(Status::Unavailable, "the server's answer was cut short: its log says why");
    Ok(totals.ok_or_else(cut)?)
}

impl Totals {
    pub(crate) fn to_header(self) -> io::Result<HeaderValue> {
        let text = serde_json::to_string(&self)?;
        HeaderValue::from_str(&text).map_err(io::Error::other)
    }
}

/// Where an export goes.
pub(crate) trait Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Sends what is still here.
    fn flush(&mut self) -> io::Result<()>;

    /// Whether nobody takes it any more.
    fn is_gone(&self) -> bool;
}

/// Exports records up to the durable mark `until`, or else as far as can be read, and then on to what `next` says.
pub(crate) fn records(
    reader: &Reader,
    roster: &Roster,
    query: &RecordQuery,
    until: Option<Lsn>,
    next: impl Fn() -> Option<Lsn>,
    out: &mut dyn Sink,
) -> Result<Totals> {
    let mut entries = reader.entries(Lsn(0), until)?;
    let mut records = Records::new(Window::default());
    let mut given = 0;
    let mut line = Vec::new();
    let mut reached = until;
    loop {
        let take = |event: &Event<'_>| -> io::Result<()> {
            if !query.wants(event, roster) {
                return Ok(());
            }
            line.clear();
            serde_json::to_writer(&mut line, &event.view())?;
            line.push(b'\n');
            given += 1;
            out.write(&line)
        };
        let tell = |trouble: Trouble<'_>| match trouble {
            Trouble::Damaged(broken) => tracing::warn!("the journal is damaged: {broken}"),
            Trouble::Undecoded(lsn, why) => tracing::debug!(%lsn, "a frame cannot be decoded: {why}"),
        };
        match records.read(&mut entries, take, tell) {
            Ok(()) => {}
            Err(ReadError::Journal(error)) => return Err(error.into()),
            Err(ReadError::Taker(error)) => return Err(error.into()),
        }
        match next() {
            None => break,
            further if further == reached => {
                out.flush()?;
                if out.is_gone() {
                    return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
                }
                std::thread::sleep(FOLLOW);
            }
            further => {
                reached = further;
                entries.set_until(further);
            }
        }
    }
    let totals = records.totals();
    let (duplicates, undecoded, damaged) = (totals.duplicates, totals.undecoded, totals.damaged);
    Ok(Totals { given, duplicates, undecoded, damaged })
}

/// How often an export that follows looks for more.
const FOLLOW: Duration = Duration::from_millis(100);

impl RecordQuery {
    fn wants(&self, event: &Event<'_>, roster: &Roster) -> bool {
        let device = event.record.device.as_deref().unwrap_or(&event.binding.device);
        let time = event.record.time.unwrap_or(event.received).0;
        (self.devices.is_empty() || self.devices.iter().any(|wanted| wanted == device))
            && self.tenant.as_ref().is_none_or(|tenant| *tenant == event.binding.tenant)
            && within(time, self.from, self.to)
            && counts(event.binding, roster, self.quarantined)
    }
}

fn within(time: i64, from: Option<i64>, to: Option<i64>) -> bool {
    from.is_none_or(|from| from <= time) && to.is_none_or(|to| time < to)
}

/// Whether a device's data counts. What a person decided since stands above what held when it came: who accepts a device
/// that waited gets what was kept meanwhile.
fn counts(binding: &Binding, roster: &Roster, quarantined: bool) -> bool {
    if binding.decision == Decision::Refused {
        return false;
    }
    match roster.get(&binding.device).map(|known| known.state) {
        Some(State::Configured | State::New | State::Accepted) => true,
        Some(State::Quarantined) => quarantined,
        Some(State::Rejected) => false,
        None => binding.decision == Decision::Accepted || quarantined,
    }
}
