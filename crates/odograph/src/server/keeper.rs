//! What has to be done every now and then: keep the devices that registered, and give back the journal's disk space.

use super::logging::Log;
use crate::config::Config;
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use odograph_ingest::{Bell, Roster};
use odograph_journal::{CursorStore, Error, Journal, Reader, retention};
use odograph_model::Lsn;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing_appender::non_blocking::ErrorCounter;

/// The thread that does it.
pub(crate) struct Keeper {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// What it works with.
pub(crate) struct Parts {
    pub(crate) roster: Arc<Roster>,
    /// Up to where the devices' file was complete when it was opened.
    pub(crate) mark: Lsn,
    pub(crate) journal: Journal,
    pub(crate) reader: Reader,
    pub(crate) folder: PathBuf,
    pub(crate) budget: Option<u64>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) dropped_lines: ErrorCounter,
}

impl Parts {
    pub(crate) fn budget(config: &Config) -> Option<u64> {
        config.journal.disk_budget.map(|size| size.0)
    }
}

impl Keeper {
    pub(crate) fn start(parts: Parts) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("keeper".to_owned()).spawn(move || run(parts, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Does it one last time, and ends.
    pub(crate) fn stop(self) {
        drop(self.stop);
        // A panic there was logged when it happened.
        let _ = self.thread.join();
    }
}

fn run(mut parts: Parts, stopped: &Receiver<()>) {
    let mut turn: u32 = 0;
    parts.measure();
    loop {
        let last = stopped.recv_timeout(TURN) != Err(RecvTimeoutError::Timeout);
        parts.save(last);
        parts.metrics.run_upkeep();
        parts.measure();
        if last {
            return;
        }
        let retained = if turn.is_multiple_of(RETENTION_TURNS) { parts.retain() } else { Ok(()) };
        if let Err(error) = retained {
            tracing::error!(%error, "cannot look for journal segments that may go");
        }
        turn = turn.wrapping_add(1);
    }
}

impl Parts {
    fn save(&mut self, last: bool) {
        // Taken first: whoever registered before this place is among what is saved now.
        let durable = self.journal.durable();
        let far = durable.0.saturating_sub(self.mark.0) > MARK_BYTES;
        let saved = if last || far { self.roster.save_mark(durable).map(|()| true) } else { self.roster.save(durable) };
        match saved {
            Ok(true) => self.mark = durable,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "cannot keep the devices that registered: tried again"),
        }
    }

    fn measure(&self) {
        let stats = self.journal.stats();
        Log::measure(&self.dropped_lines);
        // There from the beginning, so that an alarm can stand on it.
        gauge!("odograph_journal_full").set(f64::from(u8::from(stats.full)));
        gauge!("odograph_journal_pending_bytes").set(stats.pending_bytes as f64);
        gauge!("odograph_journal_segments_unsealed").set(stats.unsealed as f64);
    }

    fn retain(&self) -> Result<(), Error> {
        let held = retention::held(&self.reader)?;
        let bytes: u64 = held.iter().map(|segment| segment.bytes).sum();
        gauge!("odograph_journal_sealed_bytes").set(bytes as f64);
        let cursors = CursorStore::open(Arc::new(odograph_env::LocalDisk), &self.folder)?;
        let removals = retention::decide(&held, cursors.least(), self.budget);
        retention::remove(&self.reader, &removals, &*self.bell)
    }
}

/// The help texts of the metrics here.
pub(crate) fn describe() {
    use metrics::{Unit, describe_gauge};
    describe_gauge!("odograph_journal_pending_bytes", Unit::Bytes, "Bytes that were appended and are not durable yet.");
    describe_gauge!(
        "odograph_journal_segments_unsealed",
        "Journal segments that are complete and wait for their seal."
    );
    describe_gauge!("odograph_journal_sealed_bytes", Unit::Bytes, "Disk space that sealed journal segments take.");
}

const TURN: Duration = Duration::from_secs(1);

/// Twice a minute: a segment takes longer than that to fill.
const RETENTION_TURNS: u32 = 30;

/// So much of the journal is read again at the next start, at most, and the beginning of the segment before it.
const MARK_BYTES: u64 = 64 << 20;
