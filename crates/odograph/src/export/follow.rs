//! Records as they come, after all that there are. Read from the journal: what comes is there first.

use super::parameters::{narrowed, parameters};
use super::{RecordQuery, Sink, Totals, counts, within};
use anyhow::Result;
use odograph_ingest::Roster;
use odograph_journal::Reader;
use odograph_model::{Lsn, RecordView};
use odograph_pipeline::{Event, ReadError, Records, Trouble, Window};
use std::io;
use std::time::Duration;

/// Exports records up to the durable mark `until`, and then on to what `next` says.
pub(crate) fn follow(
    reader: &Reader,
    roster: &Roster,
    query: &RecordQuery,
    until: Lsn,
    next: impl Fn() -> Option<Lsn>,
    out: &mut dyn Sink,
) -> Result<Totals> {
    let chosen = parameters(&query.parameters)?;
    let mut entries = reader.entries(Lsn(0), Some(until))?;
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
            match &chosen {
                None => serde_json::to_writer(&mut line, &event.view())?,
                Some(chosen) => {
                    let Some(narrow) = narrowed(event.record, chosen) else { return Ok(()) };
                    serde_json::to_writer(&mut line, &RecordView { record: &narrow, ..event.view() })?;
                }
            }
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
            Some(further) if further == reached => {
                out.flush()?;
                if out.is_gone() {
                    return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
                }
                std::thread::sleep(LOOK);
            }
            Some(further) => {
                reached = further;
                entries.set_until(Some(further));
            }
        }
    }
    Ok(Totals { given, damaged: records.totals().damaged, ..Totals::default() })
}

impl RecordQuery {
    fn wants(&self, event: &Event<'_>, roster: &Roster) -> bool {
        (self.devices.is_empty() || self.devices.iter().any(|wanted| wanted == event.device()))
            && self.tenant.as_ref().is_none_or(|tenant| *tenant == event.binding.tenant)
            && within(event.time().0, self.from, self.to)
            && counts(event.binding, roster, self.quarantined)
    }
}

/// How often an export that follows looks for more.
const LOOK: Duration = Duration::from_millis(100);
