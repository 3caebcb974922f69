//! What is remembered of each device: enough to tell of nearly every record whether it is new. There is one of these for each
//! device that there ever was, so it is packed: 64 bytes with the name, and 8 for each id, where most devices have 32.

use super::{Candidate, Clock, DAY_MS, Known};
use compact_str::CompactString;
use hashbrown::{DefaultHashBuilder, HashTable};
use odograph_model::{RecordId, Time};
use std::hash::BuildHasher as _;

/// A tenant's devices. A table of numbers and a list, since a table always has room to spare, and numbers are small.
#[derive(Default)]
pub(super) struct Devices {
    numbers: HashTable<u32>,
    list: Vec<Device>,
    hasher: DefaultHashBuilder,
}

struct Device {
    name: CompactString,
    seen: Seen,
}

impl Devices {
    /// What is remembered of a device, from now on also where that is nothing yet.
    pub(super) fn entry(&mut self, name: &str) -> &mut Seen {
        let Self { numbers, list, hasher } = self;
        let known = numbers.find(hasher.hash_one(name), |&number| list[number as usize].name == name);
        let number = known.copied().unwrap_or_else(|| {
            let number = u32::try_from(list.len()).expect("a tenant has fewer than 2^32 devices");
            list.push(Device { name: name.into(), seen: Seen::default() });
            let hash_of = |&number: &u32| hasher.hash_one(&*list[number as usize].name);
            *numbers.insert_unique(hasher.hash_one(name), number, hash_of).get()
        });
        &mut list[number as usize].seen
    }
}

/// What is remembered of a device.
pub(super) struct Seen {
    /// The greatest event times so far: that the device's clock gave, and that ours did.
    times: [Time; 2],
    /// The newest ids, as a ring: a batch that is sent again is mostly found here.
    ids: Box<[RecordId]>,
    /// How many ids were remembered since each of those times was new, its own included. While that is no more than the ring
    /// has, all ids of that time are in the ring.
    since: [u8; 2],
    count: u8,
    /// Where the next id goes.
    next: u8,
    /// The last day that its clock claimed when that could not be: what it says now of a day up to then may have been said then,
    /// and be kept elsewhere.
    wrong_until: i32,
}

impl Default for Seen {
    fn default() -> Self {
        Self { times: [NEVER; 2], ids: Box::default(), since: [0; 2], count: 0, next: 0, wrong_until: NO_DAY }
    }
}

impl Seen {
    /// All that is told of what was before.
    pub(super) fn restored(known: Known) -> Self {
        let times = [known.by_device, known.by_receipt];
        let since = times.map(|time| if time.is_some() { NOT_ALL } else { 0 });
        let times = times.map(|time| time.unwrap_or(NEVER));
        Self { times, since, wrong_until: known.wrong_until.map_or(NO_DAY, day_of), ..Self::default() }
    }

    /// There are records up to there that did not come by here.
    pub(super) fn learn(&mut self, known: Known) {
        for (of, time) in [known.by_device, known.by_receipt].into_iter().enumerate() {
            if let Some(time) = time.filter(|time| *time >= self.times[of]) {
                (self.times[of], self.since[of]) = (time, NOT_ALL);
            }
        }
        self.wrong_until = self.wrong_until.max(known.wrong_until.map_or(NO_DAY, day_of));
    }

    /// Whether it is one of the newest ids.
    pub(super) fn is_recent(&self, id: RecordId) -> bool {
        self.ids[..usize::from(self.count)].contains(&id)
    }

    /// Whether a record that is not among the newest is new, where that can be told from here.
    pub(super) fn decides(&self, record: &Candidate, clock: Clock) -> Option<bool> {
        let of = clock.place()?;
        let all_known = usize::from(self.since[of]) <= RECENT_IDS_MAX;
        (record.time > self.times[of] || record.time == self.times[of] && all_known).then_some(true)
    }

    /// Whether a record with this claim may be there under a wrong clock.
    pub(super) fn claimed_wrongly(&self, claimed: Time) -> bool {
        self.wrong_until != NO_DAY && day_of(claimed) <= self.wrong_until
    }

    /// Remembers a new record.
    pub(super) fn remember(&mut self, record: &Candidate, clock: Clock) {
        self.push(record.id);
        self.since = self.since.map(|count| count.saturating_add(1));
        match clock.place() {
            Some(of) if record.time > self.times[of] => {
                self.times[of] = record.time;
                self.since[of] = 1;
            }
            Some(_) => {}
            None => self.wrong_until = self.wrong_until.max(record.claimed.map_or(NO_DAY, day_of)),
        }
    }

    fn push(&mut self, id: RecordId) {
        let next = usize::from(self.next);
        if next == self.ids.len() {
            // Not for more than there are: many devices come once.
            let room = (2 * next).clamp(2, RECENT_IDS_MAX);
            let mut ids = Vec::with_capacity(room);
            ids.extend_from_slice(&self.ids);
            ids.resize(room, RecordId(0));
            self.ids = ids.into();
        }
        self.ids[next] = id;
        self.count = self.count.max(self.next + 1);
        self.next = (self.next + 1) % RECENT_IDS_MAX as u8;
    }
}

impl Clock {
    /// Where its times are kept; nowhere where they say nothing.
    const fn place(self) -> Option<usize> {
        match self {
            Self::Device => Some(0),
            Self::Receipt => Some(1),
            Self::Wrong => None,
        }
    }
}

/// The day of a time, since 1970, UTC; of times that are out of reach, the last or the second of all days.
fn day_of(time: Time) -> i32 {
    let day = time.0.div_euclid(DAY_MS);
    i32::try_from(day).unwrap_or(if day < 0 { NO_DAY } else { i32::MAX }).max(NO_DAY + 1)
}

/// Before all days.
const NO_DAY: i32 = i32::MIN;
/// Before all times.
const NEVER: Time = Time(i64::MIN);
/// As many records as a device usually sends at once.
const RECENT_IDS_MAX: usize = 32;
/// Not all ids of a time are known.
const NOT_ALL: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_takes_few_bytes() {
        // Each byte here is a megabyte for a million devices.
        assert_eq!((size_of::<Device>(), size_of::<Seen>()), (64, 40));
        let mut seen = Seen::default();
        assert_eq!(seen.ids.len(), 0, "nothing for a device that is only known");
        let mut rooms: Vec<usize> = Vec::new();
        for id in 0..100 {
            seen.push(RecordId(id));
            rooms.push(seen.ids.len());
        }
        rooms.dedup();
        assert_eq!(rooms, [2, 4, 8, 16, 32]);
    }

    #[test]
    fn the_newest_ids_are_remembered_and_no_others() {
        let mut seen = Seen::default();
        for id in 1..=100 {
            assert!(!seen.is_recent(RecordId(id)));
            seen.push(RecordId(id));
            let recent: Vec<u64> = (0..=100).filter(|id| seen.is_recent(RecordId(*id))).collect();
            let first = id.saturating_sub(RECENT_IDS_MAX as u64) + 1;
            assert_eq!(recent, (first..=id).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_as_old_as_the_newest_is_new_as_long_as_all_of_that_time_are_known() {
        let at = |id: u64, time: i64| Candidate { id: RecordId(id), time: Time(time), claimed: Some(Time(time)) };
        let decides = |seen: &Seen, time| seen.decides(&at(0, time), Clock::Device);
        let mut seen = Seen::default();
        assert_eq!(decides(&seen, i64::MIN), Some(true), "nothing was before");
        seen.remember(&at(1, 10), Clock::Device);
        for id in 2..=RECENT_IDS_MAX as u64 {
            assert_eq!(decides(&seen, 10), Some(true));
            // What comes late, or by another clock, pushes ids out as well.
            seen.remember(&at(id, 5), if id.is_multiple_of(2) { Clock::Device } else { Clock::Receipt });
        }
        assert_eq!((decides(&seen, 10), decides(&seen, 9), decides(&seen, 11)), (Some(true), None, Some(true)));
        seen.remember(&at(33, 10), Clock::Device);
        assert_eq!((decides(&seen, 10), decides(&seen, 11)), (None, Some(true)), "the first of them is forgotten");
        seen.remember(&at(34, 11), Clock::Device);
        assert_eq!(decides(&seen, 11), Some(true), "a new time begins anew");
        let known = Known { by_device: Some(Time(10)), ..Known::default() };
        let mut seen = Seen::restored(known);
        assert_eq!((decides(&seen, 10), decides(&seen, 11)), (None, Some(true)), "of an earlier run nobody knows");
        for id in 0..300 {
            seen.remember(&at(id, 10), Clock::Device);
            assert_eq!(decides(&seen, 10), None, "nor later");
        }
    }
}
