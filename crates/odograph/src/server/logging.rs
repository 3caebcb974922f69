//! The log, and the numbers.

use crate::config::{Config, LogFormat};
use anyhow::{Context as _, Result};
use metrics::counter;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal as _;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// The log, for as long as it lives. Whoever reads it, or the disk that it is written to, can hold up nobody: lines wait in a
/// bounded queue for a thread of their own, and what does not fit is dropped and counted.
pub(crate) struct Log {
    _writer: WorkerGuard,
    dropped: ErrorCounter,
}

impl Log {
    pub(crate) fn measure(dropped: &ErrorCounter) {
        counter!("odograph_log_dropped_lines_total").absolute(dropped.dropped_lines() as u64);
    }

    pub(crate) fn dropped(&self) -> ErrorCounter {
        self.dropped.clone()
    }
}

/// Starts the log, on standard error: text for a person at a terminal, else JSON.
pub(crate) fn start(config: &Config) -> Result<Log> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log.level.0)).context("log.level")?;
    let terminal = std::io::stderr().is_terminal();
    let json = match config.log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let queue = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX).thread_name("log");
    let (writer, guard) = queue.finish(std::io::stderr());
    let dropped = writer.error_counter();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = if json {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        builder.with_ansi(terminal).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))?;
    // One line of the log, like everything else, and not several on standard error.
    std::panic::set_hook(Box::new(|panic| {
        let (thread, text) = (std::thread::current(), panic.payload_as_str().unwrap_or_default());
        let (thread, place) = (thread.name().unwrap_or_default(), panic.location().map(ToString::to_string));
        tracing::error!(thread, place, "the program has a flaw, please report it: {}", text.replace('\n', " "));
    }));
    Ok(Log { _writer: guard, dropped })
}

/// Starts counting.
pub(crate) fn start_metrics() -> Result<PrometheusHandle> {
    let full = |name: &str| Matcher::Full(name.to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(full("odograph_ack_seconds"), SECONDS)?
        .set_buckets_for_metric(full("odograph_commit_seconds"), SECONDS)?
        .set_buckets_for_metric(full("odograph_commit_entries"), ENTRIES)?;
    let handle = builder.install_recorder()?;
    odograph_ingest::describe();
    metrics::describe_counter!(
        "odograph_log_dropped_lines_total",
        "Lines of the log that nobody took in time, or that could not be written."
    );
    Ok(handle)
}

/// A few megabytes, and longer than a log shipper takes to start again.
const LINES_MAX: usize = 16_384;

/// Libraries that tell of each step of theirs. What the configuration says of them holds.
const QUIET: &str = "buoyant_kernel=warn,buoyant_kernel_engine=warn,deltalake_core=warn,datafusion=warn,sqlparser=warn";

/// From a fast flash disk's flush to a device's patience.
const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// One device alone, up to all of a large fleet at once.
const ENTRIES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];
