//! What leaves history: records, each once, and the bytes themselves. The same whether a server runs or not.

mod besides;
mod csv;
mod entries;
mod follow;
mod formats;
mod frames;
mod geojson;
mod gpx;
mod kml;
mod page;
mod parameters;
mod parquet;
mod progress;
mod sensed;
mod source;
mod track;
mod xml;

pub(crate) use entries::{Entries, Needed, Piece, Taker, entry};
pub(crate) use follow::follow;
pub(crate) use formats::{Encoder, RecordFormat};
pub(crate) use frames::frames;
pub(crate) use page::page;
pub(crate) use parameters::parameter;
pub(crate) use parquet::Parquet;
pub(crate) use progress::{Framed, Progress, Unframed};

use crate::exit::{Failure, Status};
use crate::history::Waits;
use anyhow::Result;
use axum::http::{HeaderMap, HeaderValue};
use compact_str::CompactString;
use odograph_ingest::{Roster, State};
use odograph_journal::Reader;
use odograph_lake::{Lake, Wanted};
use odograph_model::{Lsn, Time};
use odograph_pipeline::Window;
use odograph_protocols::{Binding, Decision};
use odograph_sensors::Sensor;
use serde::{Deserialize, Serialize};
use source::Source;
use std::io;
use std::sync::Arc;
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
    pub(crate) format: RecordFormat,
    /// Only these parameters, and records that have one of them; none: all.
    pub(crate) parameters: Vec<CompactString>,
    /// What is computed of each and written besides.
    #[serde(skip)]
    pub(crate) sensors: Vec<Sensor>,
    /// Of each step of so many seconds, only what shows how it was; none: all.
    #[serde(skip)]
    pub(crate) thin: Option<u32>,
    /// Whether whoever asks wants to know how far it is.
    pub(crate) progress: bool,
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
    /// Behind this place of the journal.
    pub(crate) after: Option<u64>,
    /// At most so many pieces.
    pub(crate) limit: Option<u64>,
    /// Whether whoever asks wants to know how far it is.
    pub(crate) progress: bool,
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

impl Direction {
    /// Whether bytes that went this way are among them.
    fn takes(self, way: odograph_api::Direction) -> bool {
        match self {
            Self::In => way == odograph_api::Direction::In,
            Self::Out => way == odograph_api::Direction::Out,
            Self::Both => true,
        }
    }
}

/// What came of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Records or pieces that were given.
    pub(crate) given: u64,
    /// Records that a map cannot show: without a position, or without a valid one.
    pub(crate) unplaced: u64,
    /// Places where the journal is damaged.
    pub(crate) damaged: u64,
}

/// The header behind the data in which a server tells the totals.
pub(crate) const TOTALS_TRAILER: &str = "odograph-totals";

/// The header behind the data in which a server tells why there is no more of it.
pub(crate) const ERROR_TRAILER: &str = "odograph-error";

/// The totals that a server told behind the data, or why it failed; an answer without either was cut short.
pub(crate) fn totals(trailers: &HeaderMap) -> Result<Totals> {
    let error = trailers.get(ERROR_TRAILER).and_then(|error| serde_json::from_slice::<String>(error.as_bytes()).ok());
    if let Some(error) = error {
        return Err(Failure::new(Status::Problems, error).into());
    }
    let totals = trailers.get(TOTALS_TRAILER).and_then(|totals| serde_json::from_slice(totals.as_bytes()).ok());
    let cut = || Failure::new(Status::Unavailable, "the server's answer was cut short: its log says why");
    Ok(totals.ok_or_else(cut)?)
}

impl Totals {
    /// What a server tells behind the data.
    pub(crate) fn trailers(result: Result<Self>) -> io::Result<HeaderMap> {
        let (name, text) = match result {
            Ok(totals) => (TOTALS_TRAILER, serde_json::to_vec(&totals)?),
            Err(error) => (ERROR_TRAILER, serde_json::to_vec(&format!("{error:#}"))?),
        };
        let mut trailers = HeaderMap::new();
        trailers.insert(name, HeaderValue::from_bytes(&text).map_err(io::Error::other)?);
        Ok(trailers)
    }
}

/// Where an export goes.
pub(crate) trait Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Sends what is still here.
    fn flush(&mut self) -> io::Result<()>;

    /// Whether nobody takes it any more.
    fn is_gone(&self) -> bool;

    /// Hears how far it is, where anyone wants to know.
    fn reached(&mut self, progress: Progress) -> io::Result<()> {
        let _ = progress;
        Ok(())
    }
}

/// Where records come from.
pub(crate) struct Origin {
    /// Filled with everything that was acknowledged before the export began.
    pub(crate) lake: Lake,
    /// Places where the journal was damaged when the lake was filled.
    pub(crate) damaged: u64,
    pub(crate) reader: Reader,
    /// Whose journal that is.
    pub(crate) node: u16,
    pub(crate) roster: Arc<Roster>,
    /// Where there is what devices sent while they waited for a person's decision.
    pub(crate) waits: Arc<Waits>,
    /// How far devices' clocks may be from ours.
    pub(crate) window: Window,
    /// Up to where the journal is durable; `None`: as far as it can be read.
    pub(crate) until: Option<Lsn>,
}

/// How long what the API is asked waits for history to come up with what was acknowledged.
pub(crate) const WAIT: Duration = Duration::from_secs(60);

/// Exports records.
pub(crate) fn records(origin: &Origin, query: &RecordQuery, out: &mut dyn Sink) -> Result<Totals> {
    let devices = kept_under(&query.devices, query.tenant.as_deref(), &origin.roster);
    let query = &RecordQuery { devices, ..query.clone() };
    // Of some devices, little of a file is read.
    let wanted = Wanted { whole_files: query.devices.is_empty(), ..query.wanted()? };
    let besides = besides::gather(origin, query)?;
    let (roster, quarantined) = (origin.roster.clone(), query.quarantined);
    let shown = move |tenant: &str, device: &str| shows(&roster, tenant, device, quarantined);
    let mut source = Source::new(origin.lake.scan(query.tenant.as_deref(), wanted, besides, shown)?, query);
    let mut encoder = query.format.encoder(source.schema(), &query.sensors)?;
    encoder.begin(out)?;
    let mut totals = Totals { damaged: origin.damaged, ..Totals::default() };
    while let Some(rows) = source.next_rows()? {
        encoder.rows(&rows, out)?;
        totals.given += rows.num_rows() as u64;
        let reached = source.reached();
        out.reached(Progress { given: totals.given, done: reached.done as u64, of: reached.of as u64 })?;
    }
    totals.unplaced = encoder.finish(out)?;
    totals.given -= totals.unplaced;
    let reached = source.reached();
    out.reached(Progress { given: totals.given, done: reached.done as u64, of: reached.of as u64 })?;
    Ok(totals)
}

/// An export where nothing was ever received.
pub(crate) fn nothing(query: &RecordQuery, out: &mut dyn Sink) -> Result<Totals> {
    let chosen = parameters::parameters(&query.parameters)?;
    let mut encoder = query.format.encoder(&odograph_lake::export_columns(chosen.as_ref()), &[])?;
    encoder.begin(out)?;
    encoder.finish(out)?;
    Ok(Totals::default())
}

impl RecordQuery {
    /// Whether it makes sense.
    pub(crate) fn check(&self) -> Result<()> {
        let usage = |what: &str| Err(Failure::new(Status::Usage, what).into());
        if self.follow && self.format != RecordFormat::Jsonl {
            return usage("--follow is for --format jsonl: the other formats have an end");
        }
        if self.format.is_map() && !self.parameters.is_empty() {
            return usage("--parameters is for the formats jsonl, csv and parquet: a map has positions");
        }
        parameters::parameters(&self.parameters).map(drop)
    }

    fn wanted(&self) -> Result<Wanted> {
        let chosen = parameters::parameters(&self.parameters)?;
        let track = self.format.parameters();
        Ok(Wanted {
            devices: self.devices.clone(),
            from: self.from.map(Time),
            to: self.to.map(Time),
            // Records without a position are counted, so they have to come.
            without_them: track.is_some(),
            parameters: track.or(chosen),
            order: self.format.order(),
            whole_files: false,
            part_rows: 0,
        })
    }
}

/// The ids under which the data of devices is kept that are named by any of their ids: the first of each, and the one that was
/// named, under which it is kept that came before these were known to be one device.
fn kept_under(named: &[CompactString], tenant: Option<&str>, roster: &Roster) -> Vec<CompactString> {
    let first = |id: &CompactString| roster.get(tenant, id).map(|known| known.device);
    let mut all: Vec<CompactString> = Vec::new();
    for id in named.iter().flat_map(|id| [Some(id.clone()), first(id)]).flatten() {
        if !all.contains(&id) {
            all.push(id);
        }
    }
    all
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
    match roster.get(Some(&binding.tenant), &binding.device) {
        Some(_) => shows(roster, &binding.tenant, &binding.device, quarantined),
        None => binding.decision == Decision::Accepted || quarantined,
    }
}

/// Whether the data of a device counts that was accepted when it came.
fn shows(roster: &Roster, tenant: &str, device: &str, quarantined: bool) -> bool {
    match roster.get(Some(tenant), device).map(|known| known.state) {
        Some(State::Configured | State::New | State::Accepted) | None => true,
        Some(State::Quarantined) => quarantined,
        Some(State::Rejected | State::Deleted) => false,
    }
}
