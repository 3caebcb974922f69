//! Exports the bytes themselves, as they came and went.

use super::entries::{Entries, Needed, Piece, Taker};
use super::{FrameQuery, Progress, Sink, Totals, counts, kept_under, within};
use anyhow::Result;
use odograph_api::{Direction, Frame, FrameKind};
use odograph_ingest::Roster;
use odograph_journal::{Broken, Entry, Kind};
use odograph_lake::EntriesOf;
use odograph_model::{Lsn, Time};
use odograph_protocols::{Binding, Decision, Settings};
use odograph_wire::notation::to_hex;
use std::collections::HashMap;

/// Exports bytes.
pub(crate) fn frames(entries: &Entries<'_>, roster: &Roster, query: &FrameQuery, out: &mut dyn Sink) -> Result<Totals> {
    let devices = kept_under(&query.devices, query.tenant.as_deref(), roster);
    let query = &FrameQuery { devices, ..query.clone() };
    let (owners, totals) = (HashMap::new(), Totals::default());
    let mut writer = Writer { query, roster, owners, segment: Lsn(0), totals, out };
    let needed = |of| Needed { of, from: query.from.map(Time), to: query.to.map(Time) };
    let from = match query.after {
        // From its segment's beginning: there, streams say whose they are.
        Some(after) => entries.reader.segment_begin(Lsn(after))?.unwrap_or_default(),
        None => Lsn(0),
    };
    let given: Result<()> = (|| {
        if query.devices.is_empty() {
            entries.all(&needed(EntriesOf::All), &mut writer)?;
        }
        for device in &query.devices {
            writer.owners.clear();
            entries.device(device, from, &needed(EntriesOf::Device(device.clone())), &mut writer)?;
        }
        Ok(())
    })();
    match given {
        Err(error) if !error.is::<Enough>() => Err(error),
        _ => Ok(writer.totals),
    }
}

/// As many as were asked for.
#[derive(Debug)]
struct Enough;

impl std::fmt::Display for Enough {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("that is enough")
    }
}

impl std::error::Error for Enough {}

struct Writer<'a> {
    query: &'a FrameQuery,
    roster: &'a Roster,
    /// Whose each stream of the segment is.
    owners: HashMap<u64, Binding>,
    segment: Lsn,
    totals: Totals,
    out: &'a mut dyn Sink,
}

impl Taker for Writer<'_> {
    fn take(&mut self, piece: &Piece<'_>) -> Result<()> {
        let entry = piece.entry;
        if piece.segment != self.segment {
            // Every stream that goes on there says again whose it is.
            self.owners.clear();
            self.segment = piece.segment;
        }
        if let Some(identity) = entry.identity {
            match Binding::read(identity.device, identity.decision) {
                Ok(binding) if !identity.device.is_empty() => drop(self.owners.insert(entry.stream, binding)),
                _ => drop(self.owners.remove(&entry.stream)),
            }
        }
        if let Some((direction, kind)) = told(entry.kind) {
            let wanted = self.query.direction.takes(direction);
            let undecided = piece.owner.and_then(|owner| undecided(owner, self.owners.get(&entry.stream)));
            let binding = undecided.as_ref().or_else(|| self.owners.get(&entry.stream)).filter(|_| wanted);
            if let Some(binding) = binding.filter(|binding| self.query.wants(entry, binding, self.roster)) {
                if self.query.limit.is_some_and(|limit| self.totals.given >= limit) {
                    return Err(Enough.into());
                }
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

    fn lost(&mut self, broken: &Broken) {
        tracing::warn!("the journal is damaged: {broken}");
        self.totals.damaged += 1;
    }
}

/// Whose an entry is of which history has the device, and not what was decided about it, because the day is not kept on which
/// that was said. Then only what is known of the device now makes it count.
fn undecided((tenant, device): (&str, &str), said: Option<&Binding>) -> Option<Binding> {
    if device.is_empty() || said.is_some_and(|binding| binding.device == device) {
        return None;
    }
    let (decision, settings) = (Decision::Quarantined, Settings::default());
    Some(Binding { device: device.into(), tenant: tenant.into(), decision, settings })
}

/// What carries bytes, and which way.
fn told(kind: Kind) -> Option<(Direction, FrameKind)> {
    match kind {
        Kind::FRAME => Some((Direction::In, FrameKind::Frame)),
        Kind::SKIPPED => Some((Direction::In, FrameKind::Skipped)),
        Kind::REMAINDER => Some((Direction::In, FrameKind::Remainder)),
        Kind::SENT => Some((Direction::Out, FrameKind::Sent)),
        _ => None,
    }
}

impl FrameQuery {
    fn wants(&self, entry: &Entry<'_>, binding: &Binding, roster: &Roster) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == binding.tenant)
            && within(entry.at, self.from, self.to)
            && self.after.is_none_or(|after| entry.lsn.0 > after)
            && counts(binding, roster, self.quarantined)
    }
}

fn write(
    query: &FrameQuery,
    entry: &Entry<'_>,
    binding: &Binding,
    direction: Direction,
    kind: FrameKind,
    out: &mut dyn Sink,
) -> Result<()> {
    if query.raw {
        return Ok(out.write(entry.payload)?);
    }
    let (time, device, hex) = (Time(entry.at), binding.device.to_string(), to_hex(entry.payload));
    let frame = Frame { time, device, stream: entry.stream, place: entry.lsn.0, direction, kind, hex };
    let mut text = serde_json::to_vec(&frame)?;
    text.push(b'\n');
    Ok(out.write(&text)?)
}
