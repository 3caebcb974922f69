//! All tenants, their locks and their bounds.
//!
//! Each tenant has a lock. Whoever holds it does so for some microseconds, and who has more to do lets the pipeline in
//! between: see [`MutexGuard::bump`].

use crate::batch::{Counts, DeviceState, Mark, View};
use crate::matcher::Matcher;
use crate::packed::Packed;
use crate::snapshot::{self, Restored};
use crate::subscriber::Taken;
use crate::subscription::{Subscription, told};
use crate::tenant::{Applied, Room, Seen, Tenant};
use crate::view::Gather;
use crate::{Filter, GroupId, Groups, Thresholds};
use compact_str::CompactString;
use hashbrown::HashMap;
use odograph_model::{Record, RecordId, Time};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize};

/// The live state of all devices. Clones are the same.
#[derive(Debug, Clone)]
pub struct Live {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: u64,
    options: Options,
    tenants: RwLock<HashMap<CompactString, Arc<Mutex<Tenant>>>>,
    /// How many tenants there ever were.
    made: AtomicU64,
    is_closed: AtomicBool,
    /// How often it was said that whatever was kept is taken in.
    fillings: AtomicU64,
    totals: Totals,
}

#[derive(Debug, Default)]
struct Totals {
    devices: AtomicI64,
    bytes: AtomicI64,
    subscribers: AtomicUsize,
    updates: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
}

/// How much there may be, and what states mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// When a device moves, is silent, alarms.
    pub thresholds: Thresholds,
    /// So many devices are kept. Of others nothing is known here; their history is as complete as anyone's.
    pub devices_max: usize,
    /// Devices may take so much memory. Beyond it no device is added, and known ones get no more parameters than they have.
    pub bytes_max: usize,
    /// So many may watch.
    pub subscribers_max: usize,
    /// So many of one tenant may, so that it leaves the others room.
    pub tenant_subscribers_max: usize,
    /// So many devices are in a batch.
    pub batch_max: usize,
    /// So many devices in view of a map are shown one by one, be they close to each other.
    pub singles_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            devices_max: DEVICES_MAX,
            bytes_max: BYTES_MAX,
            subscribers_max: SUBSCRIBERS_MAX,
            tenant_subscribers_max: TENANT_SUBSCRIBERS_MAX,
            batch_max: BATCH_MAX,
            singles_max: SINGLES_MAX,
        }
    }
}

/// A record as it comes out of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// Whose it is.
    pub tenant: &'a str,
    /// The device that it is about.
    pub device: &'a str,
    /// What it says; its time is the event time.
    pub record: &'a Record,
    /// When it was received.
    pub received: Time,
    /// What it is known by.
    pub id: RecordId,
    /// What it came by.
    pub protocol: &'a str,
}

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Something is newer now.
    Changed,
    /// All of it was known, or is older than what is.
    Known,
    /// There is no room for another device.
    Refused,
}

/// Why somebody cannot watch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// Too many do already.
    #[error("{max} live streams are open, and more are not served: close some, or try again later")]
    TooMany {
        /// So many are served.
        max: usize,
    },
    /// Too much is asked for by name.
    #[error(
        "a live stream's filter has {names} devices and groups, and at most {max} are served: ask for groups, or open several streams"
    )]
    TooLong {
        /// So many are in the filter.
        names: usize,
        /// So many are served.
        max: usize,
    },
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

/// What there is, and what was done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Tenants with devices or subscribers.
    pub tenants: usize,
    /// Devices.
    pub devices: usize,
    /// The memory that devices take.
    pub bytes: usize,
    /// Subscribers.
    pub subscribers: usize,
    /// The memory that subscribers take.
    pub subscriber_bytes: usize,
    /// Updates that came.
    pub updates: u64,
    /// Of these, such that changed nothing.
    pub unchanged: u64,
    /// Of these, such of devices for which there was no room.
    pub refused: u64,
    /// Values that were cut because they are long, or left out because there was no room.
    pub cut: u64,
}

impl Live {
    /// Nothing known yet. Marks of another `epoch` are not gone on from: give each run of the program a random one.
    pub fn new(epoch: u64, options: Options) -> Self {
        let shared = Shared {
            epoch,
            options,
            tenants: RwLock::default(),
            made: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            fillings: AtomicU64::new(0),
            totals: Totals::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes in a record. Records may come in any order, and again; what results is the same. Takes some microseconds.
    pub fn update(&self, update: &Update<'_>) -> Outcome {
        let room = self.room();
        let applied = self.tenant(update.tenant).lock().update(update, room);
        let totals = &self.shared.totals;
        totals.updates.fetch_add(1, Relaxed);
        totals.unchanged.fetch_add(u64::from(!applied.is_changed && !applied.is_refused), Relaxed);
        self.apply(applied)
    }

    /// Says which group a device belongs to; it need not have sent anything yet. Until this is said, a device belongs to
    /// [`GroupId::NONE`], and whoever may see some groups alone does not see it.
    pub fn describe(&self, tenant: &str, device: &str, group: GroupId) -> Outcome {
        let room = self.room();
        let applied = self.tenant(tenant).lock().describe(device, group, room);
        self.apply(applied)
    }

    /// Removes a device, with its group. Returns whether it was there.
    pub fn forget(&self, tenant: &str, device: &str) -> bool {
        let Some(tenant) = self.find(tenant) else { return false };
        let applied = tenant.lock().forget(device);
        self.apply(applied) == Outcome::Changed
    }

    /// Removes a tenant with its devices, and ends its subscriptions. Returns whether it was there.
    pub fn forget_tenant(&self, tenant: &str) -> bool {
        let Some(tenant) = self.shared.tenants.write().remove(tenant) else { return false };
        let applied = tenant.lock().close();
        self.apply(applied);
        true
    }

    /// Ends all subscriptions, and takes no more: the server stops.
    pub fn close(&self) {
        self.shared.is_closed.store(true, Relaxed);
        let tenants: Vec<_> = self.shared.tenants.write().drain().map(|(_, tenant)| tenant).collect();
        for tenant in tenants {
            let applied = tenant.lock().close();
            self.apply(applied);
        }
    }

    /// Watches what a filter shows: first all of it, then what changes.
    ///
    /// # Errors
    ///
    /// When there are too many subscribers, too many names in the filter, or the server stops.
    pub fn subscribe(&self, filter: Filter) -> Result<Subscription, SubscribeError> {
        self.watch(filter, None)
    }

    /// Watches on from a mark that a [`Batch`](crate::Batch) of the same filter had: first what changed since. If nobody knows that any
    /// more, because the mark is of another run, another filter or too long ago, first everything: then the first batch is
    /// `full`.
    ///
    /// # Errors
    ///
    /// Those of [`Live::subscribe`].
    pub fn resume(&self, filter: Filter, mark: Mark) -> Result<Subscription, SubscribeError> {
        self.watch(filter, Some(mark))
    }

    fn watch(&self, filter: Filter, mark: Option<Mark>) -> Result<Subscription, SubscribeError> {
        check_size(&filter)?;
        let (totals, max) = (&self.shared.totals, self.shared.options.subscribers_max);
        let taken = totals.subscribers.fetch_update(Relaxed, Relaxed, |count| (count < max).then_some(count + 1));
        taken.map_err(|_| SubscribeError::TooMany { max })?;
        let tenant = self.tenant(&filter.tenant);
        let subscribed = Subscription::open(self, tenant, filter, mark);
        if subscribed.is_err() {
            self.leave();
        }
        subscribed
    }

    /// A subscriber is no more.
    pub(crate) fn leave(&self) {
        self.shared.totals.subscribers.fetch_sub(1, Relaxed);
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.is_closed.load(Relaxed)
    }

    /// A device with all that is known of it, if it is in one of these groups.
    pub fn device(&self, tenant: &str, device: &str, permitted: &Groups, now: Time) -> Option<DeviceState> {
        let filter = Filter { permitted: permitted.clone(), ..Filter::all(tenant) };
        self.devices(&filter, &[device], now).pop()
    }

    /// Those of these devices that a filter shows, with the parameters that it tells: for a page of a list.
    pub fn devices(&self, filter: &Filter, devices: &[&str], now: Time) -> Vec<DeviceState> {
        let Some(tenant) = self.find(&filter.tenant) else { return Vec::new() };
        let mut tenant = tenant.lock();
        let matcher = Matcher::new(filter.clone(), tenant.seen().slots);
        let mut found = Vec::new();
        for names in devices.chunks(STEP_DEVICES) {
            MutexGuard::bump(&mut tenant);
            let slots = tenant.seen().slots;
            found.extend(
                names
                    .iter()
                    .filter_map(|name| slots.find(name))
                    .filter_map(|slot| taken(tenant.seen(), &matcher, slot)),
            );
        }
        drop(tenant);
        found.into_iter().map(|taken| told(taken, &matcher.told, now, &self.shared.options.thresholds)).collect()
    }

    /// What a map shows: clusters where it is crowded, devices where they stand alone. Without a box, of the whole world.
    pub fn view(&self, filter: &Filter, zoom: u8, now: Time) -> View {
        let filter = Filter { zoom: Some(zoom), ..filter.clone() };
        let Some(tenant) = self.find(&filter.tenant) else { return View::default() };
        let mut gather = Gather::new(filter.area, zoom, now, &self.shared.options);
        let mut tenant = tenant.lock();
        let matcher = Matcher::new(filter, tenant.seen().slots);
        while gather.step(tenant.seen(), &matcher) {
            MutexGuard::bump(&mut tenant);
        }
        let (alone, crowds) = gather.finish();
        let mut found = Vec::new();
        for slots in alone.chunks(STEP_DEVICES) {
            MutexGuard::bump(&mut tenant);
            found.extend(slots.iter().filter_map(|slot| taken(tenant.seen(), &matcher, *slot)));
        }
        drop(tenant);
        let thresholds = &self.shared.options.thresholds;
        let devices = found.into_iter().map(|taken| told(taken, &matcher.told, now, thresholds)).collect();
        View { devices, crowds }
    }

    /// How many devices a filter shows, by their states.
    pub fn counts(&self, filter: &Filter, now: Time) -> Counts {
        let mut counts = Counts::default();
        let Some(tenant) = self.find(&filter.tenant) else { return counts };
        let mut tenant = tenant.lock();
        let matcher = Matcher::new(filter.clone(), tenant.seen().slots);
        let mut next = 0;
        while next < tenant.seen().slots.count() {
            let seen = tenant.seen();
            let end = seen.slots.count().min(next + STEP_SLOTS);
            for slot in next..end {
                let marker = seen.slots.marker(slot);
                let state = marker.state(now, seen.thresholds);
                if matcher.filter.has_state(state) && matcher.shows(slot, marker) {
                    counts.add(state);
                }
            }
            next = end;
            MutexGuard::bump(&mut tenant);
        }
        counts
    }

    /// Gives all that is known to `take`, in pieces, to be read by [`Live::restore`] one after the other. What changes in
    /// the meantime is in it or not.
    ///
    /// # Errors
    ///
    /// Those of `take`.
    pub fn snapshot<E>(&self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        take(&snapshot::head())?;
        let tenants: Vec<_> =
            self.shared.tenants.read().iter().map(|(name, tenant)| (name.clone(), tenant.clone())).collect();
        for (name, tenant) in tenants {
            let mut next = 0;
            loop {
                let (piece, end) = snapshot::piece(&name, tenant.lock().seen().slots, next);
                piece.map_or(Ok(()), |piece| take(&piece))?;
                let Some(end) = end else { break };
                next = end;
            }
        }
        take(&snapshot::tail())
    }

    /// Takes in what [`Live::snapshot`] gave, of this program or an earlier one: as if its records came again, so that it
    /// does not matter how old it is, nor what is known already. Damaged pieces are left out.
    pub fn restore(&self, bytes: &[u8]) -> Restored {
        snapshot::read(bytes, |tenant, device, packed| {
            let room = self.room();
            let applied = self.tenant(tenant).lock().join(device, Packed(packed), room);
            self.apply(applied) != Outcome::Refused
        })
    }

    /// Says that whatever was kept of earlier runs has been taken in: from now on, what is not here was not heard.
    pub fn complete(&self) {
        // Whoever hears of it finds all of it here.
        self.shared.fillings.fetch_add(1, Release);
    }

    /// Whether that was said. Before, a device that is missing may well have sent something.
    pub fn is_complete(&self) -> bool {
        self.fillings() > 0
    }

    /// How often that was said. Each time, devices may have come back that were forgotten before: what is kept has them, too.
    pub fn fillings(&self) -> u64 {
        self.shared.fillings.load(Acquire)
    }

    /// The tenants that have devices or subscribers here, or had some, in no order.
    pub fn tenants(&self) -> Vec<CompactString> {
        self.shared.tenants.read().keys().cloned().collect()
    }

    /// What there is, and what was done so far.
    pub fn stats(&self) -> Stats {
        let totals = &self.shared.totals;
        let tenants: Vec<_> = self.shared.tenants.read().values().cloned().collect();
        let count = |count: &AtomicI64| usize::try_from(count.load(Relaxed)).unwrap_or_default();
        Stats {
            tenants: tenants.len(),
            devices: count(&totals.devices),
            bytes: count(&totals.bytes),
            subscribers: totals.subscribers.load(Relaxed),
            subscriber_bytes: tenants.iter().map(|tenant| tenant.lock().subscriber_bytes()).sum(),
            updates: totals.updates.load(Relaxed),
            unchanged: totals.unchanged.load(Relaxed),
            refused: totals.refused.load(Relaxed),
            cut: totals.cut.load(Relaxed),
        }
    }

    /// A tenant, made where there is none. Tenants are known to whoever calls this, so that devices cannot make them.
    fn tenant(&self, name: &str) -> Arc<Mutex<Tenant>> {
        if let Some(tenant) = self.find(name) {
            return tenant;
        }
        let mut tenants = self.shared.tenants.write();
        let made = &self.shared.made;
        let make = || {
            let epoch = self.shared.epoch.wrapping_add(made.fetch_add(1, Relaxed));
            Arc::new(Mutex::new(Tenant::new(epoch, self.shared.options.thresholds)))
        };
        tenants.entry(name.into()).or_insert_with(make).clone()
    }

    fn find(&self, tenant: &str) -> Option<Arc<Mutex<Tenant>>> {
        self.shared.tenants.read().get(tenant).cloned()
    }

    fn room(&self) -> Room {
        let (totals, options) = (&self.shared.totals, &self.shared.options);
        let below = |count: &AtomicI64, max: usize| count.load(Relaxed) < i64::try_from(max).unwrap_or(i64::MAX);
        let for_values = below(&totals.bytes, options.bytes_max);
        Room { for_device: for_values && below(&totals.devices, options.devices_max), for_values }
    }

    /// Counts what a change did, and wakes whoever waits for it.
    fn apply(&self, applied: Applied) -> Outcome {
        let totals = &self.shared.totals;
        totals.devices.fetch_add(applied.devices, Relaxed);
        totals.bytes.fetch_add(applied.bytes, Relaxed);
        totals.refused.fetch_add(u64::from(applied.is_refused), Relaxed);
        totals.cut.fetch_add(u64::from(applied.cut), Relaxed);
        applied.wakers.into_iter().for_each(std::task::Waker::wake);
        match (applied.is_refused, applied.is_changed) {
            (true, _) => Outcome::Refused,
            (false, true) => Outcome::Changed,
            (false, false) => Outcome::Known,
        }
    }
}

/// A device of a slot, if a filter shows it.
fn taken(seen: Seen<'_>, matcher: &Matcher, slot: u32) -> Option<Taken> {
    let marker = seen.slots.marker(slot);
    matcher.shows(slot, marker).then(|| Taken::new(seen.slots, slot))
}

pub(crate) fn check_size(filter: &Filter) -> Result<(), SubscribeError> {
    let (names, max) = (filter.size(), NAMES_MAX);
    if names > max { Err(SubscribeError::TooLong { names, max }) } else { Ok(()) }
}

/// Twice as many as may register by themselves.
pub const DEVICES_MAX: usize = 2_000_000;
/// For some two million trucks with twenty parameters each.
pub const BYTES_MAX: usize = 1 << 30;
/// Each has a connection, and is asked at every update whether it wants to hear of it: a thousand cost some microseconds.
pub const SUBSCRIBERS_MAX: usize = 1000;
/// A dispatchers' room with a screen each, and what integrators have running.
pub const TENANT_SUBSCRIBERS_MAX: usize = 250;
/// Some 100 kB of JSON. Those that a map takes out of view at once are told at once.
pub const BATCH_MAX: usize = 500;
/// A small fleet is seen truck by truck.
pub const SINGLES_MAX: usize = 300;
/// For a filter that names devices and groups one by one.
pub const NAMES_MAX: usize = 10_000;

/// So many devices are taken while the pipeline may have to wait.
const STEP_DEVICES: usize = 64;
/// So many are gone through while it may have to.
const STEP_SLOTS: u32 = 4096;
