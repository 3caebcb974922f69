//! A table in memory that keeps every record as it came, in the order in which it came.

use odograph_model::{Lsn, Record, RecordId, Time};
use odograph_pipeline::{Device, Event, Found, Frame, History, Known, KnownDevice, Places, Tables};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

/// A record as the pipeline gives it, with all that is said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The place of its frame in the journal.
    pub place: Lsn,
    /// What it is known by.
    pub id: RecordId,
    /// Whom it belongs to.
    pub tenant: String,
    /// The device that it is about.
    pub device: String,
    /// What it came by.
    pub protocol: &'static str,
    /// The time that the device claimed.
    pub claimed: Option<Time>,
    /// When it was received.
    pub received: Time,
    /// What it says.
    pub record: Record,
}

impl Row {
    fn of(event: &Event<'_>) -> Self {
        Self {
            place: event.place,
            id: event.id,
            tenant: event.binding.tenant.to_string(),
            device: event.device().to_owned(),
            protocol: event.protocol,
            claimed: event.claimed,
            received: event.received,
            record: event.record.clone(),
        }
    }

    fn time(&self) -> Time {
        self.record.time.unwrap_or(self.received)
    }

    fn is_wrong_clock(&self) -> bool {
        self.claimed.is_some_and(|claimed| claimed != self.time())
    }
}

/// What outlives the process: rows, and the place in the journal up to which there are all.
#[derive(Debug, Clone, Default)]
pub struct Book {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    rows: Vec<Row>,
    read: Lsn,
}

impl Book {
    /// The rows that are there for good.
    pub fn rows(&self) -> Vec<Row> {
        self.lock().rows.clone()
    }

    /// Everything before this place was read, and is there.
    pub fn read(&self) -> Lsn {
        self.lock().read
    }

    /// A process's view of it, which begins with nothing waiting.
    pub fn open(&self) -> OpenBook {
        OpenBook { book: self.clone(), waiting: Vec::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nobody panics while holding a book")
    }
}

/// A [`Book`] that a pipeline fills. What it did not commit is gone when it is dropped.
pub struct OpenBook {
    book: Book,
    waiting: Vec<Row>,
}

impl OpenBook {
    fn ids(&self, device: Device<'_>, wanted: impl Fn(&Row) -> bool) -> Vec<RecordId> {
        let kept = self.book.lock();
        let rows = kept.rows.iter().chain(&self.waiting);
        let rows = rows.filter(|row| row.tenant == device.tenant && row.device == device.id && wanted(row));
        rows.map(|row| row.id).collect()
    }
}

impl History for OpenBook {
    type Error = Infallible;

    fn of_day(&mut self, device: Device<'_>, day: i32) -> Result<Found, Infallible> {
        Ok(self.ids(device, |row| row.time().0.div_euclid(DAY_MS) == i64::from(day)).into())
    }

    fn of_wrong_clock(&mut self, device: Device<'_>) -> Result<Found, Infallible> {
        Ok(self.ids(device, Row::is_wrong_clock).into())
    }
}

impl Tables for OpenBook {
    fn devices(&mut self) -> Result<Vec<KnownDevice>, Infallible> {
        let mut known = BTreeMap::<(String, String), Known>::new();
        for row in &self.book.lock().rows {
            let known = known.entry((row.tenant.clone(), row.device.clone())).or_default();
            match row.claimed {
                None => known.by_receipt = known.by_receipt.max(Some(row.time())),
                Some(claimed) if row.is_wrong_clock() => known.wrong_until = known.wrong_until.max(Some(claimed)),
                Some(_) => known.by_device = known.by_device.max(Some(row.time())),
            }
        }
        let known = known.into_iter().map(|((tenant, id), known)| {
            let (tenant, id) = (tenant.into(), id.into());
            KnownDevice { tenant, id, known }
        });
        Ok(known.collect())
    }

    fn has(&mut self, event: &Event<'_>) -> Result<bool, Infallible> {
        Ok(event.place < self.book.lock().read)
    }

    fn push(&mut self, event: &Event<'_>) -> Result<(), Infallible> {
        self.waiting.push(Row::of(event));
        Ok(())
    }

    fn flush(&mut self, read: Lsn, _all: bool) -> Result<usize, Infallible> {
        let mut kept = self.book.lock();
        kept.rows.append(&mut self.waiting);
        kept.read = read;
        Ok(1)
    }

    /// The book is of records: entries as they are stay in the journal.
    fn frame(&mut self, _: &Frame<'_>) -> Result<(), Infallible> {
        Ok(())
    }

    fn committed(&self, read: Lsn) -> Places {
        Places { records: self.waiting.first().map_or(read, |row| row.place), frames: read }
    }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
