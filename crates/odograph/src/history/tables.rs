//! The lake as the pipeline sees it.

use super::live::Watch;
use super::metering::Metering;
use super::noted::Noted;
use super::waits::Waits;
use compact_str::CompactString;
use metrics::counter;
use odograph_lake::{Error, FrameRow, KnownIds, Lake, Latest, Past, Replaced, Replacement, Row, Unread, Writer};
use odograph_model::{Lsn, Time};
use odograph_pipeline::{Amended, Device, Event, Found, Frame, History, Known, KnownDevice, Places, Waiting};
use std::collections::HashMap;
use std::sync::Arc;

/// The lake, written by the pipeline.
pub(super) struct Tables {
    pub(super) writer: Writer,
    /// Who hears of records that are in history; a command has nobody to tell.
    pub(super) watch: Option<Watch>,
    pub(super) metering: Metering,
    pub(super) waits: Arc<Waits>,
    pub(super) noted: Noted,
}

impl Tables {
    pub(super) fn lake(&self) -> Lake {
        self.writer.lake()
    }

    /// A tenant's history as its files have it.
    pub(super) fn past(&self, tenant: &str) -> Past {
        self.writer.past(tenant)
    }

    /// Replaces records, and says up to where there are records of their devices now.
    pub(super) fn replace(
        &mut self,
        tenant: &str,
        replacement: &Replacement,
    ) -> Result<Amended<Option<Replaced>>, Error> {
        let result = self.writer.replace_records(tenant, replacement)?;
        let latest = self.writer.latest_of(tenant, replacement.devices())?.into_iter().map(known);
        let mut latest: HashMap<_, _> = latest.map(|device| (device.id.clone(), device)).collect();
        let nothing =
            |id: &CompactString| KnownDevice { tenant: tenant.into(), id: id.clone(), known: Known::default() };
        let devices = replacement.devices().iter().map(|id| latest.remove(id).unwrap_or_else(|| nothing(id)));
        Ok(Amended { devices: devices.collect(), result })
    }
}

impl History for Tables {
    type Error = Error;

    fn of_day(&mut self, device: Device<'_>, day: i32) -> Result<Found, Error> {
        Ok(found(device, Some(day), self.writer.ids_of_day(device.tenant, device.id, day)?))
    }

    fn of_wrong_clock(&mut self, device: Device<'_>) -> Result<Found, Error> {
        Ok(found(device, None, self.writer.ids_of_wrong_clock(device.tenant, device.id)?))
    }
}

impl odograph_pipeline::Tables for Tables {
    fn devices(&mut self) -> Result<Vec<KnownDevice>, Error> {
        Ok(self.writer.latest().into_iter().map(known).collect())
    }

    fn of_others(&mut self) -> Vec<KnownDevice> {
        self.writer.of_others().into_iter().map(known).collect()
    }

    fn has(&mut self, event: &Event<'_>) -> Result<bool, Error> {
        self.writer.has(&event.binding.tenant, &row(event), event.place)
    }

    fn push(&mut self, event: &Event<'_>) -> Result<(), Error> {
        self.writer.push(&event.binding.tenant, &row(event), event.place)?;
        self.metering.record(event);
        self.watch.iter().for_each(|watch| watch.hear(event));
        Ok(())
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Error> {
        let (entry, owner) = (frame.entry, frame.owner);
        self.metering.entry(frame);
        let row = FrameRow {
            place: entry.lsn,
            segment: frame.segment,
            stream: entry.stream,
            at: Time(entry.at),
            kind: entry.kind.0,
            name: entry.kind.name(),
            device: owner.device,
            decision: entry.identity.map(|identity| identity.decision),
            context: entry.context,
            payload: entry.payload,
        };
        self.writer.push_frame(owner.tenant, &row)
    }

    fn waits(&mut self, waiting: &Waiting<'_>) {
        self.waits.note(waiting);
    }

    fn flush(&mut self, read: Lsn, all: bool) -> Result<usize, Error> {
        self.writer.flush(read, all)
    }

    fn committed(&self, read: Lsn) -> Places {
        Places { records: self.writer.committed(read), frames: self.writer.committed_frames(read) }
    }
}

/// Says which files keep us from telling all, once for each day of a device: then it is remembered.
fn found(device: Device<'_>, day: Option<i32>, known: KnownIds) -> Found {
    let Device { tenant, id } = device;
    let day = day.map(|day| Time(i64::from(day) * DAY_MS).to_string());
    for Unread { file, why } in &known.unread {
        counter!("odograph_pipeline_unread_files_total").increment(1);
        tracing::error!(
            tenant,
            device = id,
            day,
            file,
            "a file of history cannot be read, so that nobody can tell which records of a device's day it has: those that come \
             late are taken for new ones, and may be there twice. Put the file back from a backup, and start again: {why}"
        );
    }
    Found { ids: known.ids, is_damaged: !known.unread.is_empty() }
}

fn known(latest: Latest) -> KnownDevice {
    let (by_device, by_receipt, wrong_until) = (latest.by_device, latest.by_receipt, latest.wrong_until);
    let known = Known { by_device, by_receipt, wrong_until };
    KnownDevice { tenant: latest.tenant, id: latest.device, known }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn row<'a>(event: &'a Event<'_>) -> Row<'a> {
    Row {
        device: event.device(),
        time: event.time(),
        received: event.received,
        id: event.id,
        protocol: event.protocol,
        record: event.record,
    }
}
