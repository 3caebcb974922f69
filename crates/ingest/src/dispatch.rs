//! Commands on their way to devices that come by datagrams, and what becomes of each.
//!
//! There is no link that could be lost, and the address that a device comes from may change while it makes up its answer, or be that
//! of several devices: a command is therefore known by the device, and an answer counts wherever it comes from.

use crate::command::Flights;
use crate::limits::{DISPATCH_MAX, REACH_MAX};
use crate::{Close, Fate, Now, Order};
use compact_str::CompactString;
use hashbrown::HashMap;
use odograph_protocols::{Answer, Binding};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A device's tenant and id.
type Whose = (CompactString, CompactString);

/// The commands that go by one socket: one for each device.
#[derive(Default)]
pub(crate) struct Dispatches {
    under_way: HashMap<Whose, Dispatch>,
    fates: Vec<(u64, Fate)>,
}

struct Dispatch {
    binding: Arc<Binding>,
    /// When it was taken, by the clock that never goes back.
    since: Duration,
    flights: Flights,
}

/// A command as a datagram, which waits until the journal lets it leave.
pub(crate) struct Letter {
    whose: Whose,
    ticket: u64,
    /// Where its device was heard last.
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Box<[u8]>,
}

impl Letter {
    pub(crate) fn new(order: &Order, to: SocketAddr, bytes: Vec<u8>) -> Self {
        Self { whose: whose(&order.tenant, &order.device), ticket: order.ticket, to, bytes: bytes.into() }
    }
}

impl Dispatches {
    /// Whether a command to the same device has not left yet.
    pub(crate) fn is_busy(&self, order: &Order) -> bool {
        let under_way = self.under_way.get(&whose(&order.tenant, &order.device));
        under_way.is_some_and(|dispatch| dispatch.flights.is_busy())
    }

    /// Takes one on that is in the journal now. One before it that was not answered is not waited for any more.
    pub(crate) fn begin(&mut self, order: &Order, binding: &Arc<Binding>, token: Option<u32>, now: Now) {
        let fresh = || Dispatch { binding: binding.clone(), since: now.monotonic, flights: Flights::default() };
        let dispatch = self.under_way.entry(whose(&order.tenant, &order.device)).or_insert_with(fresh);
        dispatch.since = now.monotonic;
        dispatch.flights.begin(order.ticket, token, order.expires);
        self.fates.append(&mut dispatch.flights.take());
    }

    /// Something became of an order that was not taken on.
    pub(crate) fn tell(&mut self, ticket: u64, fate: Fate) {
        self.fates.push((ticket, fate));
    }

    /// It is the letter's turn: whether it may leave. If not, the last word on it was said, now or before.
    pub(crate) fn turn(&mut self, letter: &Letter, now: Now) -> bool {
        let is_late = self.under_way.get(&letter.whose).is_some_and(|dispatch| {
            // The journal took its time, and the address may be somebody else's by now.
            now.monotonic.saturating_sub(dispatch.since) > REACH_MAX
        });
        let mut may = false;
        self.with(letter, |flights| match is_late {
            true => flights.not_taken(),
            false => may = flights.turn(now.wall, letter.bytes.len()),
        });
        may
    }

    /// The kernel took the letter, or did not: a datagram leaves as a whole.
    pub(crate) fn posted(&mut self, letter: &Letter, taken: bool) {
        self.with(letter, |flights| match taken {
            true => flights.sent(letter.bytes.len()),
            false => flights.not_taken(),
        });
    }

    /// Nothing more is said of an order by us, and if it is a letter, that does not leave.
    pub(crate) fn forget(&mut self, order: &Order) {
        let of = whose(&order.tenant, &order.device);
        if self.under_way.get(&of).is_some_and(|dispatch| dispatch.flights.is_of(order.ticket)) {
            self.under_way.remove(&of);
        }
    }

    /// A device answered.
    pub(crate) fn answered(&mut self, binding: &Binding, answers: impl Iterator<Item = Answer>) {
        if self.under_way.is_empty() {
            return;
        }
        let of = whose(&binding.tenant, &binding.device);
        let Some(dispatch) = self.under_way.get_mut(&of) else { return };
        for answer in answers {
            dispatch.flights.answered(&answer);
        }
        self.settle(&of);
    }

    /// Those of some devices are not waited for any more, and have not left if they wait still.
    pub(crate) fn end(&mut self, whose: &dyn Fn(&Binding) -> bool, why: Close) {
        self.end_those(why, |dispatch| whose(&dispatch.binding));
    }

    /// Gives up those that were not answered for too long.
    pub(crate) fn sweep(&mut self, now: Now) {
        self.end_those(Close::Idle, |dispatch| now.monotonic.saturating_sub(dispatch.since) > DISPATCH_MAX);
    }

    /// What is new.
    pub(crate) fn take(&mut self) -> Vec<(u64, Fate)> {
        std::mem::take(&mut self.fates)
    }

    fn end_those(&mut self, why: Close, is_meant: impl Fn(&Dispatch) -> bool) {
        let Self { under_way, fates } = self;
        under_way.retain(|_, dispatch| {
            let ends = is_meant(dispatch);
            if ends {
                dispatch.flights.end(why);
                fates.append(&mut dispatch.flights.take());
            }
            !ends
        });
    }

    /// Does something about a letter, if it is still what its device is sent.
    fn with(&mut self, letter: &Letter, act: impl FnOnce(&mut Flights)) {
        let Some(dispatch) = self.under_way.get_mut(&letter.whose) else { return };
        if dispatch.flights.is_of(letter.ticket) {
            act(&mut dispatch.flights);
            self.settle(&letter.whose);
        }
    }

    /// Takes what is new of a device's, and forgets it where nothing is waited for.
    fn settle(&mut self, of: &Whose) {
        let Some(dispatch) = self.under_way.get_mut(of) else { return };
        self.fates.append(&mut dispatch.flights.take());
        if dispatch.flights.is_idle() {
            self.under_way.remove(of);
        }
    }
}

fn whose(tenant: &CompactString, device: &CompactString) -> Whose {
    (tenant.clone(), device.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unsent;
    use odograph_model::Time;
    use odograph_protocols::{Decision, Settings};

    fn binding(device: &str) -> Arc<Binding> {
        let (tenant, settings) = ("default".into(), Settings::default());
        Arc::new(Binding { device: device.into(), tenant, decision: Decision::Accepted, settings })
    }

    fn order(ticket: u64, device: &str) -> Order {
        let (name, attributes) = ("engineStop".into(), Vec::new());
        let (tenant, expires) = ("default".into(), Time(i64::MAX));
        Order { ticket, tenant, device: device.into(), name, attributes, number: 1, expires }
    }

    const fn at(seconds: u64) -> Now {
        Now { wall: Time(0), monotonic: Duration::from_secs(seconds) }
    }

    /// One that has been taken on.
    fn begun(dispatches: &mut Dispatches, ticket: u64, device: &str) -> Letter {
        let order = order(ticket, device);
        dispatches.begin(&order, &binding(device), None, at(0));
        Letter::new(&order, ([127, 0, 0, 1], 1).into(), vec![1, 2])
    }

    fn answer() -> std::iter::Once<Answer> {
        std::iter::once(Answer { token: None, text: String::new(), done: None })
    }

    #[test]
    fn an_answer_is_listened_for_so_long_and_no_longer() {
        let mut dispatches = Dispatches::default();
        let letter = begun(&mut dispatches, 1, "one");
        assert!(dispatches.turn(&letter, at(1)));
        dispatches.posted(&letter, true);
        assert_eq!(dispatches.take(), [(1, Fate::Sent)]);
        dispatches.sweep(at(DISPATCH_MAX.as_secs()));
        assert!(dispatches.take().is_empty());
        dispatches.sweep(at(DISPATCH_MAX.as_secs() + 1));
        assert_eq!(dispatches.take(), [(1, Fate::Lost(Close::Idle))]);
        dispatches.answered(&binding("one"), answer());
        assert!(dispatches.take().is_empty() && dispatches.under_way.is_empty());
    }

    #[test]
    fn what_the_kernel_does_not_take_is_unsent_and_what_is_given_up_never_leaves() {
        let mut dispatches = Dispatches::default();
        let letter = begun(&mut dispatches, 1, "one");
        assert!(dispatches.turn(&letter, at(0)));
        dispatches.posted(&letter, false);
        assert_eq!(dispatches.take(), [(1, Fate::Unsent(Unsent::Gone))]);
        let old = begun(&mut dispatches, 2, "one");
        dispatches.end(&|binding| binding.device == "one", Close::Erased);
        let new = begun(&mut dispatches, 3, "one");
        assert_eq!(dispatches.take(), [(2, Fate::Unsent(Unsent::Gone))]);
        assert!(!dispatches.turn(&old, at(0)), "another one is under way by now");
        assert!(dispatches.turn(&new, at(0)));
        dispatches.forget(&order(3, "one"));
        dispatches.posted(&new, true);
        assert!(dispatches.take().is_empty() && dispatches.under_way.is_empty());
    }
}
