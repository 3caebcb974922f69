//! A page of a device's records, for those who take them piece by piece.

use super::source::Source;
use super::{Origin, RecordQuery, besides, sensed, shows};
use anyhow::Result;
use odograph_api::{Page, Place};
use odograph_lake::{Thin, Wanted, stored};
use odograph_model::Time;

/// The records behind `after`, at most `limit` of them, in the order of their times.
pub(crate) fn page(origin: &Origin, query: &RecordQuery, after: Option<Place>, limit: usize) -> Result<Page> {
    // What is left of a step is known from all of it.
    let begin = |time: i64| query.thin.map_or(time, |step| Thin::new(step).begin(Time(time)).0);
    let from = query.from.max(after.map(|after| begin(after.time)));
    let query = RecordQuery { from, ..query.clone() };
    let besides = besides::gather(origin, &query)?;
    let (roster, quarantined) = (origin.roster.clone(), query.quarantined);
    let shown = move |tenant: &str, device: &str| shows(&roster, tenant, device, quarantined);
    let wanted = Wanted { part_rows: PART_ROWS, ..query.wanted()? };
    let scan = origin.lake.scan(query.tenant.as_deref(), wanted, besides, shown)?;
    let mut source = Source::new(scan, &query);
    let (mut page, mut count, mut last) = (Vec::new(), 0, None);
    while let Some(rows) = source.next_rows()? {
        for record in stored(&rows)? {
            let time = record.record.time.map_or(record.received.0, |time| time.0);
            let place = Place { time, received: record.received.0, id: record.id.0 };
            if after.is_some_and(|after| place <= after) {
                continue;
            }
            if count == limit {
                return Ok(Page { records: String::from_utf8(page)?, last });
            }
            if count > 0 {
                page.push(b',');
            }
            serde_json::to_writer(&mut page, &record.view())?;
            sensed::add(&query.sensors, &record.record, &mut page)?;
            (count, last) = (count + 1, Some(place));
        }
    }
    Ok(Page { records: String::from_utf8(page)?, last: None })
}

/// So many are read and sorted at a time: a page has no more, and what comes behind it is of no use.
const PART_ROWS: usize = 10_000;
