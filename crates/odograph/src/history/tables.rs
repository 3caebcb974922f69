//! The lake as the pipeline sees it.

use odograph_lake::{Error, Lake, Row, Writer};
use odograph_model::{Lsn, RecordId};
use odograph_pipeline::{Device, Event, History, Known, KnownDevice};

/// The lake, written by the pipeline.
pub(super) struct Tables(pub(super) Writer);

impl Tables {
    pub(super) fn lake(&self) -> Lake {
        self.0.lake()
    }
}

impl History for Tables {
    type Error = Error;

    fn of_day(&mut self, device: Device<'_>, day: i32) -> Result<Vec<RecordId>, Error> {
        self.0.ids_of_day(device.tenant, device.id, day)
    }

    fn of_wrong_clock(&mut self, device: Device<'_>) -> Result<Vec<RecordId>, Error> {
        self.0.ids_of_wrong_clock(device.tenant, device.id)
    }
}

impl odograph_pipeline::Tables for Tables {
    fn devices(&mut self) -> Result<Vec<KnownDevice>, Error> {
        let known = self.0.latest().into_iter().map(|latest| {
            let (by_device, by_receipt, wrong_clock) = (latest.by_device, latest.by_receipt, latest.wrong_clock);
            let known = Known { by_device, by_receipt, wrong_clock };
            KnownDevice { tenant: latest.tenant, id: latest.device, known }
        });
        Ok(known.collect())
    }

    fn has(&mut self, event: &Event<'_>) -> Result<bool, Error> {
        self.0.has(&event.binding.tenant, &row(event), event.place)
    }

    fn push(&mut self, event: &Event<'_>) -> Result<(), Error> {
        self.0.push(&event.binding.tenant, &row(event), event.place)
    }

    fn flush(&mut self, read: Lsn, all: bool) -> Result<usize, Error> {
        self.0.flush(read, all)
    }

    fn committed(&self, read: Lsn) -> Lsn {
        self.0.committed(read)
    }
}

fn row<'a>(event: &'a Event<'_>) -> Row<'a> {
    Row {
        device: event.device(),
        time: event.time(),
        received: event.received,
        id: event.id,
        protocol: event.protocol,
        record: event.record,
    }
}
