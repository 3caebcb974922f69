//! The live state of devices, filled by whoever fills history.
//!
//! What devices say rarely outlives the program in a file beside the catalog, written now and then; what they said last is in
//! the tables. Neither need be complete or new: taking in both, and what the journal has behind them, gives what there was, for
//! a value counts by its time and not by when it is told.

use anyhow::{Context as _, Result};
use odograph_lake::{Lake, Limits, stored};
use odograph_live::{Live, Update};
use odograph_pipeline::Event;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Live state, and the file that keeps it.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) live: Live,
    file: PathBuf,
    /// Whether all that is kept was taken in.
    is_restored: Arc<AtomicBool>,
    /// Whether what the journal has behind that is being taken in.
    is_filling: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn new(live: Live, file: PathBuf) -> Self {
        Self { live, file, is_restored: Arc::default(), is_filling: Arc::default() }
    }

    /// Hears of a record that is in history now.
    pub(super) fn hear(&self, event: &Event<'_>) {
        self.live.update(&Update {
            tenant: &event.binding.tenant,
            device: event.device(),
            record: event.record,
            received: event.received,
            id: event.id,
            protocol: event.protocol,
        });
    }

    /// Takes in what is kept. What cannot be read is told, and costs what devices said long ago.
    pub(super) fn restore(&self, lake: &Lake) {
        self.is_filling.store(true, Relaxed);
        if self.is_restored.load(Relaxed) {
            // History begins again: what is in memory is newer, and what people deleted meanwhile is in what is kept alone.
            return;
        }
        match std::fs::read(&self.file) {
            Ok(bytes) => {
                let restored = self.live.restore(&bytes);
                if restored.is_damaged {
                    tracing::warn!(file = %self.file.display(), "what devices said rarely is damaged: some of it shows once they say it again");
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(file = %self.file.display(), %error, "cannot read what devices said rarely"),
        }
        let mut is_whole = true;
        for tenant in lake.tenants() {
            if let Err(error) = self.latest(lake, &tenant) {
                is_whole = false;
                tracing::warn!(%tenant, "cannot read what devices said last: it shows once they send: {error:#}");
            }
        }
        self.is_restored.store(is_whole, Relaxed);
    }

    fn latest(&self, lake: &Lake, tenant: &str) -> Result<()> {
        let limits = Limits { time: LATEST_TIME, rows: usize::MAX, ..Limits::default() };
        let mut answer = lake.query(tenant, "SELECT * FROM last", limits)?;
        while let Some(rows) = answer.next_rows()? {
            for row in stored(&rows)? {
                let (device, received, id, protocol) = (row.device, row.received, row.id, row.protocol);
                self.live.update(&Update { tenant, device, record: &row.record, received, id, protocol });
            }
        }
        Ok(())
    }

    /// Says that all of it is taken in, and what the journal has behind it: once each time that history begins.
    pub(super) fn complete(&self) {
        if self.is_filling.swap(false, Relaxed) {
            self.live.complete();
        }
    }

    /// Keeps it, for the next start.
    pub(super) fn save(&self) {
        if let Err(error) = self.write() {
            tracing::warn!(file = %self.file.display(), "cannot keep what devices said rarely: {error:#}");
        }
    }

    fn write(&self) -> Result<()> {
        let fresh = self.file.with_extension("new");
        let mut file = File::create(&fresh).with_context(|| format!("cannot make {}", fresh.display()))?;
        self.live.snapshot(|piece| file.write_all(piece))?;
        // Not flushed: a crash may cost it, and each piece says whether it is whole.
        std::fs::rename(&fresh, &self.file)?;
        Ok(())
    }
}

/// When something was written last, and has to be again.
pub(super) struct Saving {
    next: Duration,
}

impl Saving {
    pub(super) const fn begun(now: Duration) -> Self {
        Self { next: now.saturating_add(SAVE) }
    }

    /// Whether it is time.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now.saturating_add(SAVE);
        }
        due
    }
}

/// So often it is kept: a crash costs what devices said more rarely than their latest records, and only until they say it again.
const SAVE: Duration = Duration::from_secs(300);

/// How long reading all devices' latest records may take.
const LATEST_TIME: Duration = Duration::from_secs(60);
