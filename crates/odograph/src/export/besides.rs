//! Records that are in no table of records: those of devices that waited for a person's decision when they came.
//!
//! The bytes are kept, in the journal and then in history, and decoded again here. An export has their records once the
//! device is accepted, and before that where someone asks for them.

use super::entries::{Entries, Needed, Piece, Taker};
use super::{Origin, RecordQuery, counts, shows, within};
use crate::exit::{Failure, Status};
use anyhow::Result;
use compact_str::CompactString;
use odograph_journal::Broken;
use odograph_lake::{Besides, EntriesOf, Row};
use odograph_model::Time;
use odograph_pipeline::{Event, Records};
use odograph_protocols::{DECIDED_SEVERAL, Decision};
use std::collections::BTreeSet;

/// Decodes them, which costs nothing where no device ever waited.
pub(super) fn gather(origin: &Origin, query: &RecordQuery) -> Result<Besides> {
    let asked = |device: &str| query.devices.is_empty() || query.devices.iter().any(|wanted| wanted == device);
    let mut waited = origin.roster.waited();
    if !query.quarantined {
        waited.retain(|(tenant, device)| shows(&origin.roster, tenant, device, false));
    }
    let mut waited: BTreeSet<CompactString> = waited.into_iter().map(|(_, device)| device).collect();
    if query.quarantined {
        waited.extend(query.devices.iter().cloned());
    } else {
        if !waited.iter().any(|device| asked(device)) {
            return Ok(Besides::default());
        }
    }
    let of = match waited.len() {
        0..=NAMED_MAX => {
            // What they said may have been passed on by others.
            EntriesOf::Conversations { of: waited.into_iter().collect(), decided: vec![DECIDED_SEVERAL] }
        }
        _ => EntriesOf::All,
    };
    // An event time is at most so far from the time of receipt.
    let from = query.from.map(|from| Time(from).plus_ms(-origin.window.ahead_max_ms));
    let to = query.to.map(|to| Time(to).plus_ms(origin.window.behind_max_ms));
    let (reader, node, until) = (&origin.reader, origin.node, origin.until);
    let entries = Entries { reader, node, history: &|| Ok(origin.lake.clone()), until };
    let records = Records::new(origin.window);
    let mut gatherer = Gatherer { origin, query, records, besides: Besides::default() };
    entries.all(&Needed { of, from, to }, &mut gatherer)?;
    Ok(gatherer.besides)
}

struct Gatherer<'a> {
    origin: &'a Origin,
    query: &'a RecordQuery,
    records: Records,
    besides: Besides,
}

impl Taker for Gatherer<'_> {
    fn take(&mut self, piece: &Piece<'_>) -> Result<()> {
        let Self { origin, query, records, besides } = self;
        let asked = |device: &str| query.devices.is_empty() || query.devices.iter().any(|wanted| wanted == device);
        let wanted = |event: &Event<'_>| {
            event.binding.decision == Decision::Quarantined
                && asked(event.device())
                && query.tenant.as_ref().is_none_or(|tenant| *tenant == event.binding.tenant)
                && within(event.time().0, query.from, query.to)
                && counts(event.binding, &origin.roster, query.quarantined)
        };
        records.stored(piece.entry, (origin.node.into(), piece.segment), wanted, |event| add(besides, event))
    }

    fn lost(&mut self, _broken: &Broken) {
        // Told when history read the journal, like what cannot be decoded.
    }
}

fn add(besides: &mut Besides, event: &Event<'_>) -> Result<()> {
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
}

/// With more devices than a query can name, everybody's bytes are looked at.
const NAMED_MAX: usize = 1000;
/// They are held in memory, at a few hundred bytes each.
const RECORDS_MAX: usize = 1 << 20;
