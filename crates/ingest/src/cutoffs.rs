//! Telling the log who was cut off and by which bound, without letting anyone fill it.
//!
//! Each reason has so many lines in an interval. What comes beyond is counted, and the watchdog tells how many there were
//! once the interval is over.

use crate::access::Refusal;
use crate::limits::{ACCEPT_PAUSE, SKIPPED_MAX};
use crate::{Close, Limits, Listener};
use hashbrown::HashMap;
use odograph_journal::CONGESTED_BYTES;
use odograph_protocols::detect::{UNDECIDED_BYTES_MAX, UNDECIDED_REQUEST_BYTES_MAX};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who is cut off.
#[derive(Clone, Copy)]
pub(crate) struct Whom<'a> {
    pub(crate) peer: SocketAddr,
    pub(crate) device: Option<&'a str>,
    pub(crate) listener: &'a Listener,
}

/// What the log was told.
#[derive(Default)]
pub(crate) struct Cutoffs {
    /// By reason. The reasons are those of this file, so there are few.
    rations: Mutex<HashMap<&'static str, Ration>>,
}

/// One reason's lines.
#[derive(Debug, Default)]
struct Ration {
    begun: Duration,
    told: u32,
    left_out: u64,
}

impl Ration {
    /// Whether there may be a line; counts it either way.
    fn take(&mut self, now: Duration) -> bool {
        if self.told == 0 || self.is_over(now) {
            (self.begun, self.told) = (now, 0);
        }
        let may = self.told < LINES_MAX;
        if may {
            self.told += 1;
        } else {
            self.left_out += 1;
        }
        may
    }

    /// How many lines were left out, once that will become no more.
    fn settle(&mut self, now: Duration) -> Option<u64> {
        let over = self.left_out > 0 && self.is_over(now);
        over.then(|| std::mem::take(&mut self.left_out))
    }

    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.begun) >= INTERVAL
    }
}

impl Cutoffs {
    /// A connection ended, or the conversation with a peer. Tells it if a bound ended it.
    pub(crate) fn ended(&self, whom: Whom<'_>, why: Close, refusal: &str, limits: &Limits, now: Duration) {
        if why == Close::Fault {
            return self.failed(whom, now);
        }
        let Some((bound, value)) = bound(why, refusal, limits, whom.listener) else { return };
        if self.may_tell(why.name(), now) {
            let Whom { peer, device, listener } = whom;
            let (protocol, transport, local) = (listener.protocol.name, listener.transport.name(), listener.local);
            tracing::info!(
                %peer, device, protocol, transport, listener = %local, reason = why.name(), bound, value, "cut off: {}",
                what(why)
            );
        }
    }

    /// A device that speaks by datagrams or requests was refused: there is no connection to end.
    pub(crate) fn refused(&self, whom: Whom<'_>, refusal: &str, now: Duration) {
        self.ended(whom, Close::Refused, refusal, &Limits::default(), now);
    }

    /// Somebody was not let in.
    pub(crate) fn turned_away(&self, whom: Whom<'_>, why: &Refusal, now: Duration) {
        let reason = why.reason();
        if self.may_tell(reason, now) {
            let Whom { peer, listener, .. } = whom;
            let (protocol, transport, local) = (listener.protocol.name, listener.transport.name(), listener.local);
            let (bound, value) = why.bound();
            tracing::warn!(%peer, protocol, transport, listener = %local, reason, bound, value, "{}", why.what());
        }
    }

    /// The server failed over what somebody said, as the lines of the log before say where.
    pub(crate) fn failed(&self, whom: Whom<'_>, now: Duration) {
        let reason = Close::Fault.name();
        if self.may_tell(reason, now) {
            let Whom { peer, device, listener } = whom;
            let (protocol, transport, local) = (listener.protocol.name, listener.transport.name(), listener.local);
            tracing::error!(
                %peer, device, protocol, transport, listener = %local, reason,
                "the server failed over what a device said: it is let go, the others go on"
            );
        }
    }

    /// Connections wait because they come too fast.
    pub(crate) fn slowed(&self, listener: &Listener, now: Duration) {
        if self.may_tell("accept_rate", now) {
            let (protocol, local, value) =
                (listener.protocol.name, listener.local, listener.access.accepts_per_second_max);
            tracing::warn!(
                protocol, listener = %local, reason = "accept_rate", bound = "listener.accept_rate_max", value,
                "more come than are to be taken in: they wait"
            );
        }
    }

    /// A connection could not be taken over.
    pub(crate) fn not_set_up(&self, whom: Whom<'_>, error: &std::io::Error, now: Duration) {
        if self.may_tell("setup", now) {
            let Whom { peer, listener, .. } = whom;
            let (protocol, local) = (listener.protocol.name, listener.local);
            tracing::warn!(%peer, protocol, listener = %local, reason = "setup", %error, "a connection could not be set up");
        }
    }

    /// Datagrams are dropped, because there is nobody to make wait.
    pub(crate) fn dropped(&self, whom: Whom<'_>, now: Duration) {
        if self.may_tell("dropped", now) {
            let Whom { peer, listener, .. } = whom;
            let (protocol, local) = (listener.protocol.name, listener.local);
            tracing::warn!(
                %peer, protocol, listener = %local, reason = "dropped", bound = "CONGESTED_BYTES",
                value = CONGESTED_BYTES, "datagram dropped: the journal cannot take more, the device has to send it again"
            );
        }
    }

    /// Addresses that send datagrams are forgotten to make room for others.
    pub(crate) fn crowded(&self, listener: &Listener, most: usize, now: Duration) {
        if self.may_tell("udp_peers_max", now) {
            let (protocol, local) = (listener.protocol.name, listener.local);
            tracing::warn!(
                protocol, listener = %local, reason = "udp_peers_max", bound = "limits.udp_peers_max", value = most,
                "more addresses send datagrams than are remembered: those silent for longest are forgotten, and begin anew"
            );
        }
    }

    /// Nobody can be accepted.
    pub(crate) fn deaf(&self, listener: &Listener, error: &std::io::Error, now: Duration) {
        if self.may_tell("accept", now) {
            let (protocol, transport, local) = (listener.protocol.name, listener.transport.name(), listener.local);
            let again_ms = ACCEPT_PAUSE.as_millis() as u64;
            tracing::error!(
                protocol, transport, listener = %local, reason = "accept", %error, again_ms,
                "cannot take anyone in: those that are here go on, the others wait, and it is tried again"
            );
        }
    }

    /// Tells what was left out in intervals that are over.
    pub(crate) fn sum_up(&self, now: Duration) {
        for (reason, left_out) in self.settle(now) {
            tracing::info!(reason, left_out, "more were cut off for this reason than the log has lines for");
        }
    }

    fn settle(&self, now: Duration) -> Vec<(&'static str, u64)> {
        let mut rations = self.lock();
        let mut settled: Vec<_> =
            rations.iter_mut().filter_map(|(reason, ration)| Some((*reason, ration.settle(now)?))).collect();
        settled.sort_unstable();
        settled
    }

    fn may_tell(&self, reason: &'static str, now: Duration) -> bool {
        self.lock().entry(reason).or_default().take(now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Ration>> {
        // Every change is whole, so a panic elsewhere does not spoil it.
        self.rations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bound that a connection met: the key of the configuration or the name of the constant, and what it is. `None`: it
/// ended for no bound.
fn bound(why: Close, refusal: &str, limits: &Limits, listener: &Listener) -> Option<(String, String)> {
    let protocol = listener.protocol;
    Some(match why {
        Close::Unidentified => ("limits.identify_max".to_owned(), format!("{:?}", limits.identify_max)),
        Close::Undecided => ("limits.undecided_max".to_owned(), format!("{:?}", limits.undecided_max)),
        Close::UndecidedBytes => (
            "UNDECIDED_BYTES_MAX".to_owned(),
            format!("{UNDECIDED_BYTES_MAX} bytes, {UNDECIDED_REQUEST_BYTES_MAX} where it may be HTTP"),
        ),
        Close::Incomplete => ("frame_time_max".to_owned(), format!("{:?}", limits.frame_time_max)),
        Close::IncompleteBytes => {
            ("incomplete_bytes_max".to_owned(), format!("{} bytes in a worker", limits.incomplete_bytes_max))
        }
        Close::Unread => ("limits.unread_max".to_owned(), format!("{:?}", limits.unread_max)),
        Close::Idle => (format!("idle_s_max of {}", protocol.name), format!("{} s", protocol.idle_s_max)),
        Close::Garbage(NO_FRAME) => ("SKIPPED_MAX".to_owned(), format!("{SKIPPED_MAX} bytes")),
        Close::Garbage(detail) => (format!("framing of {}", protocol.name), detail.to_owned()),
        Close::Refused => (refusal.to_owned(), String::new()),
        Close::Replaced => ("connections of a device".to_owned(), "1".to_owned()),
        Close::Peer
        | Close::Network
        | Close::Fault
        | Close::Healed
        | Close::Named
        | Close::Erased
        | Close::Shut
        | Close::Stopping
        | Close::Journal => {
            return None;
        }
    })
}

const fn what(why: Close) -> &'static str {
    match why {
        Close::Unidentified => "it did not say in time who it is",
        Close::Undecided => "it is not clear in time which protocol it speaks",
        Close::UndecidedBytes => "it says much, and it is not clear in which protocol",
        Close::Incomplete => "a message that it began did not end in time",
        Close::IncompleteBytes => "memory for messages that have begun is short, and its own had taken up the most",
        Close::Unread => "it leaves its answers unread",
        Close::Idle => "it was silent for too long",
        Close::Garbage(_) => "its bytes make no frames",
        Close::Replaced => "its device came again by another connection",
        _ => "the device is refused",
    }
}

/// What [`Close::Garbage`] says of noise.
pub(crate) const NO_FRAME: &str = "no frame found";

/// Lines for each reason in an interval: enough to see who it is, and too few to fill a disk.
const LINES_MAX: u32 = 10;
const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_its_lines_and_the_rest_is_counted() {
        let mut ration = Ration::default();
        let at = |seconds| Duration::from_secs(seconds);
        let taken: Vec<bool> = (0..15).map(|_| ration.take(at(3))).collect();
        assert_eq!(taken.iter().filter(|may| **may).count(), 10);
        assert!(taken[..10].iter().all(|may| *may));
        assert_eq!(ration.settle(at(12)), None, "there may be more to come");
        assert_eq!(ration.settle(at(13)), Some(5));
        assert_eq!(ration.settle(at(14)), None, "it is told once");
        assert!(ration.take(at(14)), "another interval has begun");
        assert_eq!(ration.settle(at(30)), None, "nothing was left out");
    }

    #[test]
    fn one_reason_takes_no_lines_from_another() {
        let cutoffs = Cutoffs::default();
        for _ in 0..1000 {
            cutoffs.may_tell("garbage", Duration::ZERO);
        }
        assert!(cutoffs.may_tell("unread", Duration::ZERO));
        assert!(!cutoffs.may_tell("garbage", Duration::ZERO));
        assert_eq!(cutoffs.settle(INTERVAL), [("garbage", 991)]);
    }
}
