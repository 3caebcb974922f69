//! The handle of somebody who watches: waits without a thread, and takes batches.
//!
//! Whoever waits leaves the waker of its task, which is all that an async runtime and this crate have to know of each other:
//! so it runs on any of them, and in a test without one.

use crate::batch::{Batch, DeviceState, Known, Mark};
use crate::bits::KeySet;
use crate::live::{Options, SubscribeError, check_size};
use crate::matcher::Matcher;
use crate::packed::{NEVER, Packed};
use crate::subscriber::{Draft, Step, Taken};
use crate::tenant::{SubscriberId, Tenant};
use crate::view::Gather;
use crate::{Filter, Live, Place, Thresholds};
use odograph_model::{Key, Time};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Somebody who watches. Ends when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    live: Live,
    tenant: Arc<Mutex<Tenant>>,
    id: SubscriberId,
    epoch: u64,
    fingerprint: u64,
    told: KeySet,
    options: Options,
    is_map: bool,
}

/// The tenant was removed, or the server stops: there is nothing to watch any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the live stream has ended: the tenant was removed, or the server is stopping")]
pub struct Ended;

impl Subscription {
    pub(crate) fn open(
        live: &Live,
        tenant: Arc<Mutex<Tenant>>,
        filter: Filter,
        mark: Option<Mark>,
    ) -> Result<Self, SubscribeError> {
        let (options, max) = (*live.options(), live.options().tenant_subscribers_max);
        let (fingerprint, told, is_map) = (filter.fingerprint(), filter.told(), filter.zoom.is_some());
        let mut state = tenant.lock();
        // Whoever closes does so first, and then ends what there is.
        if live.is_closed() {
            return Err(SubscribeError::Stopping);
        }
        if state.subscribers() >= max {
            return Err(SubscribeError::TooMany { max });
        }
        let epoch = state.epoch();
        let mark = mark.filter(|mark| (mark.epoch, mark.filter) == (epoch, fingerprint));
        let id = state.subscribe(filter, mark.map(|mark| mark.revision));
        drop(state);
        Ok(Self { live: live.clone(), tenant, id, epoch, fingerprint, told, options, is_map })
    }

    /// The next batch, as soon as there is something to tell. `now` says what time it is.
    ///
    /// Whoever passes batches on lets [`Subscription::pause_ms`] go by between them: what changes in the meantime is told
    /// once, as it is then. Giving up waiting loses nothing.
    ///
    /// # Errors
    ///
    /// When there will be no more.
    pub async fn next(&mut self, now: impl Fn() -> Time) -> Result<Batch, Ended> {
        loop {
            if let Some(batch) = self.take(now())? {
                return Ok(batch);
            }
            self.ready().await;
        }
    }

    /// Waits until there may be something to take.
    pub async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll_ready(context)).await;
    }

    /// Whether there may be something to take; if not, the task is woken once there is.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut tenant = self.tenant.lock();
        let Some((subscriber, _)) = tenant.subscriber(self.id) else { return Poll::Ready(()) };
        if subscriber.is_waiting() {
            return Poll::Ready(());
        }
        subscriber.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Takes what there is to tell, if anything. A map is looked at again from time to time even if nothing changed, as
    /// devices fall silent: so call this at least every half a minute.
    ///
    /// # Errors
    ///
    /// When there will be no more.
    pub fn take(&mut self, now: Time) -> Result<Option<Batch>, Ended> {
        let mut draft = Draft::default();
        let mut tenant = self.tenant.lock();
        loop {
            let (subscriber, seen) = tenant.subscriber(self.id).ok_or(Ended)?;
            match subscriber.step(seen.slots, seen.revision, now, self.options.batch_max, &mut draft) {
                Step::Again => {}
                Step::Look => look(&mut tenant, self.id, now, &self.options, &mut draft)?,
                Step::Done => break,
            }
            MutexGuard::bump(&mut tenant);
        }
        let (subscriber, _) = tenant.subscriber(self.id).ok_or(Ended)?;
        let (knows, more) = (subscriber.knows(), subscriber.is_waiting());
        drop(tenant);
        if draft.is_empty() {
            return Ok(None);
        }
        let mark = knows.map(|revision| Mark { epoch: self.epoch, filter: self.fingerprint, revision });
        let Draft { full, left, devices, crowds } = draft;
        let devices = devices.into_iter().map(|taken| told(taken, &self.told, now, &self.options.thresholds)).collect();
        Ok(Some(Batch { full, left, devices, view: crowds, mark, more }))
    }

    /// Looks at something else of the same tenant from now on: another part of the map, other parameters. The next batches
    /// tell what is in view now, and what is not any more.
    ///
    /// # Errors
    ///
    /// When there are too many names in the filter. Then the one before holds.
    ///
    /// # Panics
    ///
    /// When the filter is of another tenant.
    pub fn look_at(&mut self, filter: Filter) -> Result<(), SubscribeError> {
        check_size(&filter)?;
        let (fingerprint, told, is_map) = (filter.fingerprint(), filter.told(), filter.zoom.is_some());
        let mut tenant = self.tenant.lock();
        let Some((subscriber, seen)) = tenant.subscriber(self.id) else { return Ok(()) };
        assert_eq!(subscriber.matcher.filter.tenant, filter.tenant, "a subscription stays with its tenant");
        subscriber.look_at(Matcher::new(filter, seen.slots), seen.revision);
        drop(tenant);
        (self.fingerprint, self.told, self.is_map) = (fingerprint, told, is_map);
        Ok(())
    }

    /// So long should go by between two batches, unless there is [more](Batch::more) to tell.
    pub const fn pause_ms(&self) -> u64 {
        if self.is_map { MAP_PAUSE_MS } else { PAUSE_MS }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.tenant.lock().unsubscribe(self.id);
        self.live.leave();
    }
}

/// Looks at the map for a subscriber.
fn look(
    tenant: &mut MutexGuard<'_, Tenant>,
    id: SubscriberId,
    now: Time,
    options: &Options,
    draft: &mut Draft,
) -> Result<(), Ended> {
    let (subscriber, _) = tenant.subscriber(id).ok_or(Ended)?;
    subscriber.looks();
    let filter = &subscriber.matcher.filter;
    let mut gather = Gather::new(filter.area, filter.zoom.unwrap_or_default(), now, options);
    loop {
        let (subscriber, seen) = tenant.subscriber(id).ok_or(Ended)?;
        if !gather.step(seen, &subscriber.matcher) {
            break;
        }
        MutexGuard::bump(tenant);
    }
    let (alone, crowds) = gather.finish();
    let (subscriber, seen) = tenant.subscriber(id).ok_or(Ended)?;
    subscriber.settle(seen.slots, &alone, crowds, now, draft);
    Ok(())
}

/// A device as it is told.
pub(crate) fn told(taken: Taken, told: &KeySet, now: Time, thresholds: &Thresholds) -> DeviceState {
    let packed = Packed(&taken.packed);
    let (mut protocol, mut time, mut values) = (None, None, Vec::new());
    let (mut latitude, mut longitude) = (None, None);
    for entry in packed.effective() {
        let Some(key) = entry.key() else {
            (protocol, time) = (std::str::from_utf8(entry.bytes()).ok().map(Into::into), Some(entry.time()));
            continue;
        };
        match key {
            Key::PositionLatitude => latitude = entry.number(),
            Key::PositionLongitude => longitude = entry.number(),
            _ => {}
        }
        if told.has(entry.row()) {
            values.extend(entry.value().map(|value| Known { key, value, time: entry.time() }));
        }
    }
    let signs = &taken.marker.signs;
    DeviceState {
        device: taken.name,
        group: taken.marker.group,
        protocol,
        time,
        received: packed.received(),
        state: signs.state(now, thresholds),
        moved: Some(packed.moving()).filter(|time| *time != NEVER),
        silent_at: signs.silent_at(thresholds),
        place: latitude.zip(longitude).map(|(latitude, longitude)| Place { latitude, longitude }),
        values,
    }
}

/// Four times a second: faster than people look, and a truck has moved some metres.
const PAUSE_MS: u64 = 250;
/// Once a second: a map of all devices is gone through each time.
const MAP_PAUSE_MS: u64 = 1000;
