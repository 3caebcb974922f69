//! Who may do something at the same time: so many of each name, so that one tenant or link leaves room for all others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Seats, by the names that they are counted under. Only those that are taken have memory.
#[derive(Clone, Default)]
pub(crate) struct Seats {
    state: Arc<Mutex<State>>,
    freed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    taken: HashMap<String, usize>,
    /// Who waits, and for what name, in the order in which they came.
    waiting: VecDeque<(u64, String)>,
    came: u64,
}

/// A seat, under all of its names, until it is dropped.
pub(crate) struct Seat {
    seats: Seats,
    names: Vec<String>,
}

impl Seats {
    /// Takes a seat under each of these names, where fewer than so many are taken under every one of them.
    pub(crate) fn take<const N: usize>(&self, names: [(String, usize); N]) -> Option<Seat> {
        let State { taken, .. } = &mut *self.held();
        if names.iter().any(|(name, max)| taken.get(name).is_some_and(|count| count >= max)) {
            return None;
        }
        let names = names.map(|(name, _)| name).to_vec();
        names.iter().for_each(|name| *taken.entry(name.clone()).or_default() += 1);
        Some(Seat { seats: self.clone(), names })
    }

    /// The same, where a seat may become free while somebody waits so long. Those who wait for the last of the names get one in the
    /// order in which they came.
    pub(crate) async fn take_soon<const N: usize>(
        &self,
        names: [(String, usize); N],
        patience: Duration,
    ) -> Option<Seat> {
        let end = Instant::now() + patience;
        let place = self.line_up(names.last().map_or("", |(name, _)| name));
        loop {
            // Before it is looked at: a seat that becomes free behind that is heard of.
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            if place.is_first()
                && let Some(seat) = self.take(names.clone())
            {
                return Some(seat);
            }
            timeout_at(end, freed).await.ok()?;
        }
    }

    /// How many are taken under a name.
    pub(crate) fn taken(&self, name: &str) -> usize {
        self.held().taken.get(name).copied().unwrap_or_default()
    }

    fn line_up(&self, name: &str) -> Place<'_> {
        let mut state = self.held();
        state.came += 1;
        let number = state.came;
        state.waiting.push_back((number, name.to_owned()));
        Place { seats: self, number }
    }

    fn held(&self) -> MutexGuard<'_, State> {
        // Every change is whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.held();
        for name in &self.names {
            if let Some(count) = state.taken.get_mut(name) {
                *count -= 1;
            }
        }
        state.taken.retain(|_, count| *count > 0);
        drop(state);
        self.seats.freed.notify_waiters();
    }
}

/// Somebody's place among those who wait, until it is dropped.
struct Place<'s> {
    seats: &'s Seats,
    number: u64,
}

impl Place<'_> {
    /// Whether nobody who waits for the same came before.
    fn is_first(&self) -> bool {
        let state = self.seats.held();
        let own = state.waiting.iter().find(|(number, _)| *number == self.number).map(|(_, name)| name);
        let first = state.waiting.iter().find(|(_, name)| Some(name) == own);
        first.is_some_and(|(number, _)| *number == self.number)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.seats.held().waiting.retain(|(number, _)| *number != self.number);
        self.seats.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_so_many_and_a_refusal_takes_none() {
        let seats = Seats::default();
        let take = |tenant: &str, link: &str| seats.take([("".into(), 4), (format!("t{tenant}"), 2), (link.into(), 1)]);
        let first = take("north", "a").unwrap();
        assert!(take("north", "a").is_none(), "one a link");
        let second = take("north", "b").unwrap();
        assert!(take("north", "c").is_none(), "two a tenant");
        let (third, fourth) = (take("south", "d").unwrap(), take("south", "e").unwrap());
        assert!(take("east", "f").is_none(), "four in all");
        drop(first);
        let fifth = take("north", "a").unwrap();
        drop((second, third, fourth, fifth));
        assert!(seats.held().taken.is_empty(), "what nobody has takes no memory");
    }

    #[tokio::test]
    async fn who_waits_gets_what_becomes_free_and_not_for_ever() {
        let seats = Seats::default();
        let take = |patience| seats.take_soon([("streams".into(), 1)], patience);
        let (first, long) = (take(Duration::ZERO).await.unwrap(), Duration::from_secs(60));
        assert!(take(Duration::from_millis(1)).await.is_none());
        let later = async {
            tokio::task::yield_now().await;
            drop(first);
        };
        // Two wait for the one seat: the other one hears when that is given back in turn.
        let one = async || {
            let seat = take(long).await;
            tokio::task::yield_now().await;
            seat.is_some()
        };
        assert_eq!(tokio::join!(one(), one(), later), (true, true, ()));
        assert!(seats.held().taken.is_empty() && seats.held().waiting.is_empty());
    }

    #[tokio::test]
    async fn who_came_first_is_first() {
        let seats = Seats::default();
        let take = |tenant: &str| seats.take_soon([("all".into(), 2), (tenant.into(), 1)], Duration::from_secs(60));
        let first = take("north").await.unwrap();
        let (order, seats) = (Mutex::new(Vec::new()), &seats);
        let wait = async |number: usize| {
            let seat = take("north").await.unwrap();
            order.lock().unwrap().push(number);
            // Whoever comes again stands at the end.
            tokio::task::yield_now().await;
            drop(seat);
            drop(take("north").await.unwrap());
            order.lock().unwrap().push(number + 10);
        };
        let later = async {
            tokio::task::yield_now().await;
            assert_eq!(seats.held().waiting.len(), 3);
            drop(take("south").await.expect("nobody is in another one's line"));
            drop(first);
        };
        tokio::join!(wait(1), wait(2), wait(3), later);
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 11, 12, 13]);
        assert!(seats.held().waiting.is_empty());
    }
}
