//! Records as they come, after all that there are. These come out of history, and what comes out of the journal: it is there
//! first.

use super::parameters::{narrowed, parameters};
use super::{Origin, RecordQuery, Sink, Totals, counts, kept_under, records, within};
use anyhow::Result;
use odograph_ingest::Roster;
use odograph_model::{Lsn, RecordView};
use odograph_pipeline::{Event, ReadError, Records, Trouble};
use std::io;
use std::time::Duration;

/// Exports what there was at the durable mark `until`, and then on to what `next` says.
///
/// Of what was there, the journal has the end, so that what is sent again is recognised for some time: see
/// [`odograph_pipeline::REMEMBERED_MAX`].
pub(crate) fn follow(
    origin: Origin,
    query: &RecordQuery,
    until: Lsn,
    next: impl Fn() -> Option<Lsn>,
    out: &mut dyn Sink,
) -> Result<Totals> {
    let devices = kept_under(&query.devices, query.tenant.as_deref(), &origin.roster);
    let query = &RecordQuery { devices, ..query.clone() };
    let chosen = parameters(&query.parameters)?;
    let mut totals = records(&origin, query, out)?;
    out.flush()?;
    // The lake is not held: this may go on for months.
    let Origin { reader, roster, window, .. } = origin;
    let mut entries = reader.entries(Lsn(0), Some(until))?;
    let mut following = Records::new(window);
    let mut line = Vec::new();
    let (mut reached, mut damaged) = (until, 0);
    loop {
        let take = |event: &Event<'_>| -> io::Result<()> {
            if event.place < until {
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
            totals.given += 1;
            out.write(&line)
        };
        let tell = |trouble: Trouble<'_>| match trouble {
            // What was before was told when history read it.
            Trouble::Damaged(broken) if broken.lsn < until => {}
            Trouble::Damaged(broken) => {
                damaged += 1;
                tracing::warn!("the journal is damaged: {broken}");
            }
            Trouble::Undecoded(lsn, why) => tracing::debug!(%lsn, "a frame cannot be decoded: {why}"),
        };
        match following.read_some(&mut entries, |event| query.wants(event, &roster), take, tell) {
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
    totals.damaged += damaged;
    Ok(totals)
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
