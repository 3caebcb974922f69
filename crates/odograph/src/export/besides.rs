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
use odograph_model::{Lsn, Time};
use odograph_pipeline::{Event, Records};
use odograph_protocols::{DECIDED_SEVERAL, Decision};
use std::collections::HashSet;

/// Decodes them where such devices waited and when, which costs nothing where none of them did.
pub(super) fn gather(origin: &Origin, query: &RecordQuery) -> Result<Besides> {
    let roster = &origin.roster;
    let has_decided =
        |tenant: &str, device: &str| roster.get(Some(tenant), device).is_some() && shows(roster, tenant, device, false);
    let is_meant = |tenant: &str, device: &str| {
        query.asks_for(tenant, device) && (query.quarantined || has_decided(tenant, device))
    };
    let waited = roster.waited().into_iter().filter(|(tenant, device)| is_meant(tenant, device));
    let mut named: Vec<CompactString> = waited.map(|(_, device)| device).collect();
    // What was read before anybody noted it may have something of these alone.
    let unnamed = query.quarantined || !named.is_empty();
    // An event time is at most so far from the time of receipt.
    let from = query.from.map(|from| Time(from).plus_ms(-origin.window.ahead_max_ms));
    let to = query.to.map(|to| Time(to).plus_ms(origin.window.behind_max_ms));
    let found = origin.waits.find(is_meant, unnamed, (from, to));
    named.extend(found.devices);
    let of = match named_or_asked(named, query) {
        // What they said may have been passed on by others.
        of if of.len() <= NAMED_MAX => EntriesOf::Conversations { of, decided: vec![DECIDED_SEVERAL] },
        _ => EntriesOf::All,
    };
    let (reader, node, until) = (&origin.reader, origin.node, origin.until);
    let entries = Entries { reader, node, history: &|| Ok(origin.lake.clone()), until };
    let (records, besides, talks) = (Records::new(origin.window), Besides::default(), None);
    let mut gatherer = Gatherer { origin, query, records, besides, talks };
    for stretch in found.stretches {
        let places = Lsn(stretch.begin)..Lsn(stretch.end);
        if !query.devices.is_empty() {
            gatherer.talks = entries.conversations(&places, &query.devices)?;
        }
        let (from, to) = (from.max(stretch.first()), to.into_iter().chain(stretch.last()).min());
        entries.within(places, &Needed { of: of.clone(), from, to }, &mut gatherer)?;
    }
    Ok(gatherer.besides)
}

/// Whose bytes are looked at: of those that are asked for, or else of all that waited.
fn named_or_asked(mut named: Vec<CompactString>, query: &RecordQuery) -> Vec<CompactString> {
    if !query.devices.is_empty() {
        return query.devices.clone();
    }
    named.sort_unstable();
    named.dedup();
    named
}

struct Gatherer<'a> {
    origin: &'a Origin,
    query: &'a RecordQuery,
    records: Records,
    besides: Besides,
    /// The conversations of the journal, by segment and stream, that may have something; without it all of them.
    talks: Option<HashSet<(Lsn, u64)>>,
}

impl Taker for Gatherer<'_> {
    fn take(&mut self, piece: &Piece<'_>) -> Result<()> {
        let Self { origin, query, records, besides, talks } = self;
        // What comes out of history was chosen there.
        let talk = (piece.segment, piece.entry.stream);
        if piece.owner.is_none() && talks.as_ref().is_some_and(|talks| !talks.contains(&talk)) {
            return Ok(());
        }
        let wanted = |event: &Event<'_>| {
            event.binding.decision == Decision::Quarantined
                && query.asks_for(&event.binding.tenant, event.device())
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

impl RecordQuery {
    fn asks_for(&self, tenant: &str, device: &str) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
            && (self.devices.is_empty() || self.devices.iter().any(|wanted| wanted == device))
    }
}

/// With more devices than a query can name, everybody's bytes are looked at.
const NAMED_MAX: usize = 1000;
/// They are held in memory, at a few hundred bytes each.
const RECORDS_MAX: usize = 1 << 20;
