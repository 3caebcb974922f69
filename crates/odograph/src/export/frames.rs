//! Exports the bytes themselves, as they came and went.

use super::{Direction, FrameQuery, Progress, Sink, Totals, counts, within};
use anyhow::Result;
use odograph_ingest::Roster;
use odograph_journal::{Entry, Error, Kind, Reader};
use odograph_model::{Lsn, Time};
use odograph_protocols::Binding;
use odograph_wire::notation::to_hex;
use serde::Serialize;
use std::collections::HashMap;

/// Exports bytes up to the durable mark `until`, or else as far as can be read.
pub(crate) fn frames(
    reader: &Reader,
    roster: &Roster,
    query: &FrameQuery,
    until: Option<Lsn>,
    out: &mut dyn Sink,
) -> Result<Totals> {
    let mut writer = Writer { query, roster, owners: HashMap::new(), totals: Totals::default(), out };
    if query.devices.is_empty() {
        writer.all(reader, until)?;
    }
    for device in &query.devices {
        writer.device(reader, device, until)?;
    }
    Ok(writer.totals)
}

struct Writer<'a> {
    query: &'a FrameQuery,
    roster: &'a Roster,
    /// Whose each stream is.
    owners: HashMap<u64, Binding>,
    totals: Totals,
    out: &'a mut dyn Sink,
}

impl Writer<'_> {
    fn all(&mut self, reader: &Reader, until: Option<Lsn>) -> Result<()> {
        let mut entries = reader.entries(Lsn(0), until)?;
        let mut place = Lsn(0);
        loop {
            match entries.next() {
                Ok(Some(entry)) => {
                    if entry.lsn != place {
                        // Another segment: every stream that goes on there says again whose it is.
                        self.owners.clear();
                    }
                    place = entry.end();
                    self.entry(&entry)?;
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.pass_over(error)?;
                    if entries.resynchronise()? == 0 {
                        return Ok(());
                    }
                    place = entries.place();
                }
            }
        }
    }

    /// By the device's own index: only its entries come, and the first one of each stream says what was decided.
    fn device(&mut self, reader: &Reader, device: &str, until: Option<Lsn>) -> Result<()> {
        let mut entries = reader.device_entries(device, Lsn(0), until)?;
        loop {
            match entries.next() {
                Ok(Some(entry)) => self.entry(&entry)?,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.pass_over(error)?;
                    entries.skip_broken();
                }
            }
        }
    }

    fn pass_over(&mut self, error: Error) -> Result<()> {
        let Error::Broken(broken) = error else { return Err(error.into()) };
        tracing::warn!("the journal is damaged: {broken}");
        self.totals.damaged += 1;
        Ok(())
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<()> {
        if let Some(identity) = entry.identity {
            match Binding::read(identity.device, identity.decision) {
                Ok(binding) if !identity.device.is_empty() => drop(self.owners.insert(entry.stream, binding)),
                _ => drop(self.owners.remove(&entry.stream)),
            }
        }
        if let Some((direction, kind)) = told(entry.kind) {
            let wanted = self.query.direction == Direction::Both || self.query.direction == direction;
            let binding = self.owners.get(&entry.stream).filter(|_| wanted);
            if let Some(binding) = binding.filter(|binding| self.query.wants(entry, binding, self.roster)) {
                self.totals.given += 1;
                write(self.query, entry, binding, direction, kind, self.out)?;
                self.out.reached(Progress { given: self.totals.given, ..Progress::default() })?;
            }
        }
        if entry.kind == Kind::CLOSE {
            self.owners.remove(&entry.stream);
        }
        Ok(())
    }
}

/// What carries bytes, and which way.
fn told(kind: Kind) -> Option<(Direction, &'static str)> {
    match kind {
        Kind::FRAME => Some((Direction::In, "frame")),
        Kind::SKIPPED => Some((Direction::In, "skipped")),
        Kind::REMAINDER => Some((Direction::In, "remainder")),
        Kind::SENT => Some((Direction::Out, "sent")),
        _ => None,
    }
}

impl FrameQuery {
    fn wants(&self, entry: &Entry<'_>, binding: &Binding, roster: &Roster) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == binding.tenant)
            && within(entry.at, self.from, self.to)
            && counts(binding, roster, self.quarantined)
    }
}

/// A piece of a device's conversation, as a line.
#[derive(Serialize)]
struct Line<'a> {
    time: Time,
    device: &'a str,
    /// Which conversation: the place in the journal where it began.
    stream: u64,
    /// Its own place.
    place: u64,
    direction: Direction,
    kind: &'static str,
    hex: String,
}

fn write(
    query: &FrameQuery,
    entry: &Entry<'_>,
    binding: &Binding,
    direction: Direction,
    kind: &'static str,
    out: &mut dyn Sink,
) -> Result<()> {
    if query.raw {
        return Ok(out.write(entry.payload)?);
    }
    let (time, device, hex) = (Time(entry.at), binding.device.as_str(), to_hex(entry.payload));
    let line = Line { time, device, stream: entry.stream, place: entry.lsn.0, direction, kind, hex };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    Ok(out.write(&text)?)
}
