//! Each record once, at a memory that grows with the devices and not with their records.
//!
//! Devices send in order nearly always, so nearly always a record is newer than all that its device sent before, and
//! that decides. What is older is looked up in the history of its device and day: once for each day of a backlog that comes in
//! order, be it the newest first.

mod looked_up;
mod seen;

use compact_str::CompactString;
use hashbrown::hash_map::EntryRef;
use hashbrown::{HashMap, HashSet};
use looked_up::{LookedUp, Place};
use odograph_model::{RecordId, Time};
use seen::{Devices, Seen};

/// What is known of records from before.
pub trait History {
    /// Why that cannot be told.
    type Error;

    /// The ids of a device's records whose event time is on a day (since 1970, UTC), wherever they are kept.
    fn of_day(&mut self, device: Device<'_>, day: i32) -> Result<Found, Self::Error>;

    /// The ids of a device's records whose event time is that of their receipt, because their claim cannot be.
    fn of_wrong_clock(&mut self, device: Device<'_>) -> Result<Found, Self::Error>;
}

/// Ids that were looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Those that can be told.
    pub ids: Vec<RecordId>,
    /// Whether others cannot be told, because what has them is damaged.
    pub is_damaged: bool,
}

impl From<Vec<RecordId>> for Found {
    fn from(ids: Vec<RecordId>) -> Self {
        Self { ids, is_damaged: false }
    }
}

/// A device of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device<'a> {
    /// Whom it belongs to.
    pub tenant: &'a str,
    /// Its id.
    pub id: &'a str,
}

/// What decides whether a record is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// What it is known by.
    pub id: RecordId,
    /// The event time.
    pub time: Time,
    /// The time that the device claimed.
    pub claimed: Option<Time>,
}

/// Up to where there are records of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// The greatest event time that the device's clock gave.
    pub by_device: Option<Time>,
    /// The greatest event time of records for which the device gave none.
    pub by_receipt: Option<Time>,
    /// The greatest time that the device claimed and that could not be.
    pub wrong_until: Option<Time>,
}

/// Whose clock gave an event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// The device's.
    Device,
    /// Ours, because the device said nothing: the id depends on the time of receipt.
    Receipt,
    /// Ours, because what the device said cannot be: the id depends on what it said.
    Wrong,
}

impl Candidate {
    fn clock(&self) -> Clock {
        match self.claimed {
            None => Clock::Receipt,
            Some(claimed) if claimed == self.time => Clock::Device,
            Some(_) => Clock::Wrong,
        }
    }
}

/// Remembers what it takes to tell.
pub struct Dedup {
    tenants: Tenants,
    looked_up: LookedUp,
    unsure: u64,
}

/// Devices of tenants.
type Tenants = HashMap<CompactString, Devices>;

impl Default for Dedup {
    fn default() -> Self {
        Self { tenants: HashMap::new(), looked_up: LookedUp::default(), unsure: 0 }
    }
}

impl Dedup {
    /// Remembers what there is of a device: all that is told of what was before.
    pub fn restore(&mut self, device: Device<'_>, known: Known) {
        *self.seen(device) = Seen::restored(known);
    }

    /// Remembers what there is of devices now, and nothing else: their records in history are not those that were there.
    pub fn renew<'a>(&mut self, devices: impl IntoIterator<Item = (Device<'a>, Known)>) {
        // Whose days they are is not worth looking for: what is needed is looked up again.
        self.looked_up = LookedUp::default();
        for (device, known) in devices {
            self.restore(device, known);
        }
    }

    /// Others committed records of devices, up to there: what is not newer is looked up from now on. What is remembered holds as well.
    pub fn learn<'a>(&mut self, devices: impl IntoIterator<Item = (Device<'a>, Known)>) {
        let mut learned = HashSet::new();
        for (device, known) in devices {
            self.seen(device).learn(known);
            learned.insert((device.tenant, device.id));
        }
        // Days of all others stay: a backlog of thousands is not looked up again for one device that moved.
        self.looked_up.forget(|tenant, device| learned.contains(&(tenant, device)));
    }

    /// How many records were taken for new ones because what may have them cannot be read: twice is better than not at all.
    pub const fn unsure(&self) -> u64 {
        self.unsure
    }

    /// Whether the record is new; then it is known from now on.
    pub fn is_new<H: History>(
        &mut self,
        device: Device<'_>,
        record: Candidate,
        history: &mut H,
    ) -> Result<bool, H::Error> {
        let clock = record.clock();
        let seen = seen(&mut self.tenants, device);
        if seen.is_recent(record.id) {
            return Ok(false);
        }
        let decided = seen.decides(&record, clock);
        // What it claims now it may have claimed when that could not be. It cannot if nothing that late was: clocks that
        // begin in 1980 cost nothing.
        let was_wrong = record.claimed.is_some_and(|claimed| seen.claimed_wrongly(claimed));
        if decided == Some(true) && !was_wrong && self.looked_up.is_empty() {
            // Nearly every record: newer than all that its device sent before, and no backlog anywhere.
            seen.remember(&record, clock);
            return Ok(true);
        }
        let (mut new, mut unsure) = (decided.unwrap_or(true), false);
        if decided.is_none() {
            // A claim that cannot be now could be when it came first, and the other way round.
            let day = Place::of_day(device, record.claimed.unwrap_or(record.time));
            let known = self.looked_up.known(&day, device, &record, history)?;
            (new, unsure) = (known.is_new, known.is_unsure);
        }
        if new && was_wrong {
            let known = self.looked_up.known(&Place::of_wrong_clock(device), device, &record, history)?;
            new = known.is_new;
            unsure |= known.is_unsure;
        }
        if new {
            self.unsure += u64::from(unsure);
            self.seen(device).remember(&record, clock);
            let place = match clock {
                Clock::Wrong => Place::of_wrong_clock(device),
                Clock::Device | Clock::Receipt => Place::of_day(device, record.time),
            };
            self.looked_up.remember(&place, &record);
        }
        Ok(new)
    }

    fn seen(&mut self, device: Device<'_>) -> &mut Seen {
        seen(&mut self.tenants, device)
    }
}

fn seen<'a>(tenants: &'a mut Tenants, device: Device<'_>) -> &'a mut Seen {
    let devices = match tenants.entry_ref(device.tenant) {
        EntryRef::Occupied(known) => known.into_mut(),
        EntryRef::Vacant(new) => new.insert_with_key(device.tenant.into(), Devices::default()),
    };
    devices.entry(device.id)
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
