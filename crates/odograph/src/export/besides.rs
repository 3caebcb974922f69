//! Records that the lake does not have: those of devices that waited for a person's decision when they came.
//!
//! The pipeline leaves them in the journal. An export has them once the device is accepted, and before that where
//! someone asks for them.

use super::{RecordQuery, counts, shows, within};
use crate::exit::{Failure, Status};
use anyhow::Result;
use odograph_ingest::Roster;
use odograph_journal::Reader;
use odograph_lake::{Besides, Row};
use odograph_model::Lsn;
use odograph_pipeline::{Event, ReadError, Records, Window};
use odograph_protocols::Decision;

/// Reads them out of the journal, which costs nothing where no device ever waited.
pub(super) fn gather(reader: &Reader, roster: &Roster, query: &RecordQuery, until: Option<Lsn>) -> Result<Besides> {
    let mut besides = Besides::default();
    let asked = |device: &str| query.devices.is_empty() || query.devices.iter().any(|wanted| wanted == device);
    let waited = || roster.waited().into_iter().any(|device| asked(&device) && shows(roster, &device, false));
    if !query.quarantined && !waited() {
        return Ok(besides);
    }
    let wanted = |event: &Event<'_>| {
        event.binding.decision == Decision::Quarantined
            && asked(event.device())
            && query.tenant.as_ref().is_none_or(|tenant| *tenant == event.binding.tenant)
            && within(event.time().0, query.from, query.to)
            && counts(event.binding, roster, query.quarantined)
    };
    let take = |event: &Event<'_>| -> Result<()> {
        if besides.count() >= RECORDS_MAX {
            let what = format!(
                "more than {RECORDS_MAX} records came while their devices waited for a decision: export fewer devices or less time"
            );
            return Err(Failure::new(Status::Problems, what).into());
        }
        let row = Row {
            device: event.device(),
            time: event.time(),
            received: event.received,
            id: event.id,
            protocol: event.protocol,
            record: event.record,
        };
        Ok(besides.push(&event.binding.tenant, &row)?)
    };
    let mut entries = reader.entries(Lsn(0), until)?;
    // Damage and what cannot be decoded were told when history read the journal.
    match Records::new(Window::default()).read_some(&mut entries, wanted, take, |_| {}) {
        Ok(()) => Ok(besides),
        Err(ReadError::Journal(error)) => Err(error.into()),
        Err(ReadError::Taker(error)) => Err(error),
    }
}

/// They are held in memory, at a few hundred bytes each.
const RECORDS_MAX: usize = 1 << 20;
