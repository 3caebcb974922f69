//! The latest of every device, what is in view of it, and who watches.
//!
//! Records go in by [`Live::update`], in any order. Out come views of a map ([`Live::view`]), devices ([`Live::device`]), and
//! for each [`Subscription`] what changed since it last asked, in its newest state. `docs/internals/live.md` has the rules.
//!
//! Nothing here reads a clock, waits, or starts a thread; the time is an argument. Whoever waits for a batch leaves a waker.

mod area;
mod batch;
mod bits;
mod departures;
mod filter;
mod grid;
mod live;
mod matcher;
mod merge;
mod packed;
mod slots;
mod snapshot;
mod state;
mod subscriber;
mod subscription;
mod tenant;
mod view;

pub use area::{Area, BadArea, Place};
pub use batch::{BadMark, Batch, Cluster, Counts, Crowds, DeviceState, Known, Mark, View};
pub use filter::{Filter, GroupId, Groups};
pub use live::{
    BATCH_MAX, BYTES_MAX, DEVICES_MAX, Live, NAMES_MAX, Options, Outcome, SINGLES_MAX, SUBSCRIBERS_MAX, Stats,
    SubscribeError, TENANT_SUBSCRIBERS_MAX, Update,
};
pub use snapshot::Restored;
pub use state::{State, Thresholds};
pub use subscription::{Ended, Subscription};
