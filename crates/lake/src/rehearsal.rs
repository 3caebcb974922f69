//! What history does with a record, done once in memory before a device has sent one.

use crate::{Error, FrameRow, Limits, Options, Place, Row, Writer};
use object_store::memory::InMemory;
use object_store::path::Path;
use odograph_env::Clock;
use odograph_model::{Key, Lsn, Record, RecordId, Time};
use std::sync::Arc;

/// Makes tables of one record and of one entry in memory, asks for them, and forgets them.
///
/// The code for that is large, and the system reads it from the program's file piece by piece when it runs first, some forty
/// megabytes in all. Where that comes before the first device, no device waits beside it, and what the process grows by
/// from then on is what devices cost.
///
/// # Errors
///
/// When a table cannot even be written in memory.
pub fn rehearse(clock: &Arc<dyn Clock>) -> Result<(), Error> {
    let place = Place::store(Arc::new(InMemory::new()), "rehearsal", Path::default(), None);
    let mut writer = Writer::open_at(place, clock.clone(), Options::default())?;
    let now = Time(clock.now());
    let record = record(now);
    let (id, place) = (RecordId(1), Lsn(0));
    let row = Row { device: DEVICE, time: now, received: now, id, protocol: DEVICE, record: &record };
    writer.push(TENANT, &row, place)?;
    writer.push_frame(TENANT, &entry(now))?;
    writer.flush(Lsn(1), true)?;
    let mut answer = writer.lake().query(TENANT, QUESTION, Limits::default())?;
    while answer.next_rows()?.is_some() {}
    Ok(())
}

fn record(now: Time) -> Record {
    let mut record = Record::at(now);
    record.set(Key::PositionLatitude, 0.0);
    record.set(Key::PositionLongitude, 0.0);
    record.set(Key::EngineIgnitionStatus, true);
    record.raw("raw", "0");
    record
}

const fn entry(now: Time) -> FrameRow<'static> {
    FrameRow {
        place: Lsn(0),
        segment: Lsn(0),
        stream: 0,
        at: now,
        kind: 0,
        name: None,
        device: DEVICE,
        decision: None,
        context: None,
        payload: &[0],
    }
}

const TENANT: &str = "rehearsal";
const DEVICE: &str = "rehearsal";
const QUESTION: &str = "SELECT device, count(*), max(time) FROM records GROUP BY device ORDER BY device";
