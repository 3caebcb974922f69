//! How much tenants use, counted where the journal is read for history.
//!
//! What is counted comes after history's own decision about each record, so a record that is there already is not counted as
//! kept. That decision is made anew for whatever is not in files: so the meter's file is durable before rows are on their
//! way into files ([`Metering::before_commits`]), and before the journal's cursors move.

use anyhow::{Context as _, Result};
use odograph_env::{Disk, LocalDisk};
use odograph_journal::Kind;
use odograph_lake::BeforeCommit;
use odograph_meter::{Counts, Flow, Meter, Row};
use odograph_model::{Lsn, Time};
use odograph_pipeline::{Event, Frame};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

/// A meter, for whoever counts and for whoever tells. Clones are the same meter.
#[derive(Clone)]
pub(crate) struct Metering {
    /// There once history was opened.
    meter: Arc<Mutex<Option<Meter>>>,
    file: PathBuf,
}

impl Metering {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { meter: Arc::default(), file }
    }

    /// Begins again with what the file has; without one, with what the journal has from `begin` on.
    pub(super) fn open(&self, begin: Lsn) -> Result<()> {
        let mut held = self.held();
        // Whatever was counted since the file was written is counted again, and not twice.
        *held = None;
        let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
        let meter = Meter::open(&disk, &self.file, begin).context("cannot read what tenants used")?;
        if meter.is_damaged() {
            tracing::error!(
                file = %self.file.display(),
                "what tenants used is damaged: messages, records and bytes are right, and of days that were not over devices may \
                 be missing"
            );
        }
        *held = Some(meter);
        Ok(())
    }

    /// An entry of the journal was read.
    pub(super) fn entry(&self, frame: &Frame<'_>) {
        let (entry, owner) = (frame.entry, frame.owner);
        // What is nobody's stands in nobody's bill.
        if owner.device.is_empty() {
            return;
        }
        let bytes = entry.payload.len() as u64;
        let flow = match entry.kind {
            Kind::FRAME => Flow::Message(bytes),
            Kind::SKIPPED | Kind::REMAINDER => Flow::In(bytes),
            Kind::SENT => Flow::Out(bytes),
            _ => return,
        };
        if let Some(meter) = &mut *self.held() {
            meter.entry(entry.lsn, Time(entry.at), owner.tenant, owner.device, flow);
        }
    }

    /// A record is in history from now on.
    pub(super) fn record(&self, event: &Event<'_>) {
        if let Some(meter) = &mut *self.held() {
            meter.record(event.place, event.received, &event.binding.tenant);
        }
    }

    /// What has to be done before rows are on their way into files.
    pub(super) fn before_commits(&self) -> BeforeCommit {
        let metering = self.clone();
        Arc::new(move |read| metering.keep(read).map_err(|error| error.source))
    }

    /// Makes durable what was counted: everything before `read`.
    pub(super) fn keep(&self, read: Lsn) -> Result<(), odograph_meter::MeterError> {
        self.held().as_mut().map_or(Ok(()), |meter| meter.keep(read))
    }

    /// Forgets which devices sent, of one or of a whole tenant: the counts stay. Everything before `read` was counted, if that is known.
    pub(crate) fn erase(&self, tenant: &str, device: Option<&str>, read: Option<Lsn>) -> Result<()> {
        if self.held().is_none() {
            self.open(Lsn(0))?;
        }
        let mut held = self.held();
        let Some(meter) = held.as_mut() else { return Ok(()) };
        let read = read.unwrap_or_else(|| meter.from());
        Ok(meter.erase(tenant, device, read)?)
    }

    /// What was not told yet to whoever writes the bills.
    pub(crate) fn untold(&self) -> Vec<Row> {
        self.held().as_ref().map(Meter::untold).unwrap_or_default()
    }

    /// These were told.
    pub(crate) fn told(&self, rows: &[Row]) {
        if let Some(meter) = &mut *self.held() {
            meter.told(rows);
        }
    }

    /// What was counted of a day that goes on.
    pub(crate) fn of(&self, day: i32, tenant: &str) -> Counts {
        self.held().as_ref().map(|meter| meter.of(day, tenant)).unwrap_or_default()
    }

    /// Bytes both ways of each tenant lately.
    pub(crate) fn bytes(&self) -> BTreeMap<compact_str::CompactString, u64> {
        self.held().as_ref().map(Meter::bytes).unwrap_or_default()
    }

    /// How many tenants' days could not be told for so long that they were dropped.
    pub(crate) fn forgotten(&self) -> u64 {
        self.held().as_ref().map_or(0, Meter::forgotten)
    }

    fn held(&self) -> MutexGuard<'_, Option<Meter>> {
        // A panic in the thread that counts has it begin again, from the file: nothing half done stays.
        self.meter.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
