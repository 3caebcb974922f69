//! Days of devices that were looked up, with what came since.
//!
//! After days without a server, all devices send their backlogs at once, each a day at a time and in order, most of them the newest
//! first. The ids of all those days may be too many to remember; but of a day of which there was nothing, it is enough to know
//! from when until when there is something now: what is before or behind that is new.

use super::{Candidate, DAY_MS, Device, Found, History};
use compact_str::CompactString;
use hashbrown::HashSet;
use lru::LruCache;
use odograph_model::{RecordId, Time};

/// What was looked up, and is not forgotten yet.
pub(super) struct LookedUp {
    days: LruCache<Place, Day>,
    ids: usize,
    ids_max: usize,
    /// Of days whose ids were forgotten, and that had none when they were looked up.
    spans: LruCache<Place, Span>,
}

/// What is known of a day, or of all that is under a wrong clock.
struct Day {
    ids: HashSet<RecordId>,
    /// What came since, where there was nothing.
    span: Option<Span>,
    is_damaged: bool,
}

/// All times of a day's records are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: Time,
    last: Time,
}

/// Where a record must be if it is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    tenant: CompactString,
    device: CompactString,
    /// The day, or, for records under a wrong clock, anywhere.
    day: Option<i32>,
}

/// What history says of a record.
pub(super) struct Known {
    pub(super) is_new: bool,
    /// It may be in what is damaged.
    pub(super) is_unsure: bool,
}

impl Default for LookedUp {
    fn default() -> Self {
        Self { days: LruCache::unbounded(), ids: 0, ids_max: IDS_MAX, spans: LruCache::unbounded() }
    }
}

impl LookedUp {
    /// Whether a record is there.
    pub(super) fn known<H: History>(
        &mut self,
        place: &Place,
        device: Device<'_>,
        record: &Candidate,
        history: &mut H,
    ) -> Result<Known, H::Error> {
        if !self.days.contains(place) {
            // The same id claims the same time, and is under it if it is on that day.
            if self.spans.get(place).is_some_and(|span| !span.holds(claimed(record))) {
                return Ok(Known { is_new: true, is_unsure: false });
            }
            self.look_up(place, device, history)?;
        }
        let day = self.days.get(place).expect("it was looked up");
        Ok(Known { is_new: !day.ids.contains(&record.id), is_unsure: day.is_damaged })
    }

    fn look_up<H: History>(&mut self, place: &Place, device: Device<'_>, history: &mut H) -> Result<(), H::Error> {
        let Found { ids, is_damaged } = match place.day {
            Some(day) => history.of_day(device, day)?,
            None => history.of_wrong_clock(device)?,
        };
        let is_nothing = ids.is_empty() && !is_damaged && place.day.is_some();
        // What is there may be what came since it was looked up before.
        let span = self.spans.pop(place).or(is_nothing.then_some(Span::NOTHING));
        self.ids += ids.len();
        self.days.put(place.clone(), Day { ids: ids.into_iter().collect(), span, is_damaged });
        self.shrink();
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.days.is_empty() && self.spans.is_empty()
    }

    /// Forgets the days of some devices, of which there is more now.
    pub(super) fn forget(&mut self, is_of: impl Fn(&str, &str) -> bool) {
        let is_of = |place: &Place| is_of(&place.tenant, &place.device);
        let days: Vec<Place> = self.days.iter().map(|(place, _)| place).filter(|place| is_of(place)).cloned().collect();
        for place in days {
            self.ids -= self.days.pop(&place).map_or(0, |day| day.ids.len());
        }
        let spans: Vec<Place> =
            self.spans.iter().map(|(place, _)| place).filter(|place| is_of(place)).cloned().collect();
        for place in spans {
            self.spans.pop(&place);
        }
    }

    /// A record came. What was looked up must not grow old.
    pub(super) fn remember(&mut self, place: &Place, record: &Candidate) {
        if let Some(day) = self.days.peek_mut(place) {
            self.ids += usize::from(day.ids.insert(record.id));
            day.span = day.span.map(|span| span.with(claimed(record)));
            self.shrink();
        } else if let Some(span) = self.spans.peek_mut(place) {
            *span = span.with(claimed(record));
        }
    }

    /// Forgets what was not asked for longest; the last one stays, for it is in use.
    fn shrink(&mut self) {
        while self.days.len() > 1 && (self.ids > self.ids_max || self.days.len() > DAYS_MAX) {
            let Some((place, day)) = self.days.pop_lru() else { return };
            self.ids -= day.ids.len();
            if let Some(span) = day.span {
                self.spans.put(place, span);
            }
        }
        while self.spans.len() > DAYS_MAX {
            self.spans.pop_lru();
        }
    }
}

impl Span {
    const NOTHING: Self = Self { first: Time(i64::MAX), last: Time(i64::MIN) };

    fn holds(self, time: Time) -> bool {
        self.first <= time && time <= self.last
    }

    fn with(self, time: Time) -> Self {
        Self { first: self.first.min(time), last: self.last.max(time) }
    }
}

impl Place {
    pub(super) fn of_day(device: Device<'_>, time: Time) -> Self {
        // No table has days so far away.
        let day = i32::try_from(time.0.div_euclid(DAY_MS)).unwrap_or(i32::MAX);
        Self { tenant: device.tenant.into(), device: device.id.into(), day: Some(day) }
    }

    pub(super) fn of_wrong_clock(device: Device<'_>) -> Self {
        Self { tenant: device.tenant.into(), device: device.id.into(), day: None }
    }
}

/// The time that a record's id goes by.
fn claimed(record: &Candidate) -> Time {
    record.claimed.unwrap_or(record.time)
}

/// Some 16 bytes each.
const IDS_MAX: usize = 4 << 20;
/// A hundred bytes each, besides the ids.
const DAYS_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dedup, Found, Known as KnownBefore};
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::convert::Infallible;

    /// What was accepted, by device.
    #[derive(Default)]
    struct Table {
        kept: HashMap<String, Vec<Candidate>>,
        looks: usize,
    }

    impl History for Table {
        type Error = Infallible;

        fn of_day(&mut self, device: Device<'_>, day: i32) -> Result<Found, Infallible> {
            self.looks += 1;
            let kept = self.kept.get(device.id).into_iter().flatten();
            let of_day = kept.filter(|record| record.time.0.div_euclid(DAY_MS) == i64::from(day));
            Ok(of_day.map(|record| record.id).collect::<Vec<_>>().into())
        }

        fn of_wrong_clock(&mut self, _: Device<'_>) -> Result<Found, Infallible> {
            unreachable!("no clock is wrong here")
        }
    }

    fn cramped(ids_max: usize) -> Dedup {
        Dedup { looked_up: LookedUp { ids_max, ..LookedUp::default() }, ..Dedup::default() }
    }

    fn send(dedup: &mut Dedup, table: &mut Table, name: &str, minute: i64) -> bool {
        let time = Time(minute * 60_000);
        let record = Candidate { id: RecordId(minute.cast_unsigned()), time, claimed: Some(time) };
        let new = dedup.is_new(Device { tenant: "t", id: name }, record, table).expect("it can be told");
        if new {
            table.kept.entry(name.to_owned()).or_default().push(record);
        }
        new
    }

    #[test]
    fn backlogs_of_many_at_once_are_looked_up_once_a_day_however_little_memory_there_is() {
        let (mut dedup, mut table) = (cramped(100), Table::default());
        let names: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        for name in &names {
            let known = KnownBefore { by_device: Some(Time(5 * DAY_MS)), ..KnownBefore::default() };
            dedup.restore(Device { tenant: "t", id: name }, known);
        }
        // Three days, newest first, each frame of ten twice, all devices in turn.
        for frame in (144..576).rev() {
            for name in &names {
                for is_again in [false, true] {
                    for minute in (10 * frame..10 * frame + 10).rev() {
                        assert_eq!(send(&mut dedup, &mut table, name, minute), !is_again);
                    }
                }
            }
        }
        assert_eq!(table.looks, 3 * names.len());
        assert!(!send(&mut dedup, &mut table, "7", 3000), "a long time afterwards");
        assert!(send(&mut dedup, &mut table, "7", 1430), "before all that came of its day");
    }

    proptest! {
        #[test]
        fn however_little_memory_there_is_each_record_is_new_once(
            sent in prop::collection::vec((0..4_u8, 0..9000_i64), 1..400),
            ids_max in 1..40_usize,
        ) {
            let (mut dedup, mut table) = (cramped(ids_max), Table::default());
            let mut seen = HashSet::new();
            for (device, minute) in sent {
                // Close together, so that many come again.
                let minute = minute / 40 * 40 + i64::from(device);
                prop_assert_eq!(send(&mut dedup, &mut table, &device.to_string(), minute), seen.insert((device, minute)));
            }
        }
    }
}
