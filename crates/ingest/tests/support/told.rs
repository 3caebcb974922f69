//! What a gateway tells: its log, and its numbers.
//!
//! Both are the whole process's, so a test that looks at all of them holds [`alone`] meanwhile.

use metrics::atomics::AtomicU64;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static NUMBERS: Mutex<BTreeMap<String, Arc<AtomicU64>>> = Mutex::new(BTreeMap::new());

/// From now on this test is the only one of its file, with an empty log.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    listen();
    LOG.lock().unwrap().clear();
    alone
}

/// From now on what is told is kept, for all tests of a file.
pub fn listen() {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| {
        let log = tracing_subscriber::fmt().json().flatten_event(true).with_writer(|| ToLog);
        log.with_max_level(tracing::Level::INFO).init();
        metrics::set_global_recorder(Numbers).unwrap();
    });
}

/// The lines of the log.
pub fn lines() -> Vec<Value> {
    let text = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A gauge, by its name and its labels as in `name{part=accept}`.
pub fn gauge(name: &str) -> Option<f64> {
    Some(f64::from_bits(number(name)?))
}

/// A counter.
pub fn counter(name: &str) -> Option<u64> {
    number(name)
}

fn number(name: &str) -> Option<u64> {
    Some(NUMBERS.lock().unwrap().get(name)?.load(Ordering::Acquire))
}

struct ToLog;

impl Write for ToLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Numbers;

impl Numbers {
    fn of(key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = match labels.is_empty() {
            true => key.name().to_owned(),
            false => format!("{}{{{}}}", key.name(), labels.join(",")),
        };
        NUMBERS.lock().unwrap().entry(name).or_default().clone()
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Self::of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Self::of(key))
    }

    /// Counts what is recorded: `name` has how many, and nobody needs more yet.
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Recorded(Self::of(key))))
    }
}

struct Recorded(Arc<AtomicU64>);

impl metrics::HistogramFn for Recorded {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
