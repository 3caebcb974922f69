//! Bytes for one device, in order, each waiting until the journal lets it leave.

use odograph_model::Lsn;
use std::collections::VecDeque;
use std::time::Duration;

/// Bytes that wait. Empty, it owns no memory.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// In a place of their own, because most connections have none most of the time.
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// How many of `bytes` have left.
    sent: usize,
    /// So many more may leave once the journal is durable up to there.
    due: VecDeque<Due>,
    /// How many of `bytes` may leave.
    released: usize,
    /// Since when some of those wait for the device to take them, by the clock that never goes back.
    unread_since: Option<Duration>,
    /// When that was read which the first of them answer, by the same clock.
    read_at: Option<Duration>,
}

#[derive(Debug)]
struct Due {
    durable: Lsn,
    count: usize,
    /// It is a command, which leaves only when it is let go by name.
    held: bool,
}

impl Outbox {
    /// Adds bytes that may leave once everything before `durable` is on disk.
    pub(crate) fn push(&mut self, durable: Lsn, bytes: &[u8]) {
        self.add(durable, bytes, false);
    }

    /// Adds a command: when it is its turn, somebody decides whether it may leave still.
    pub(crate) fn push_held(&mut self, durable: Lsn, bytes: &[u8]) {
        self.add(durable, bytes, true);
    }

    fn add(&mut self, durable: Lsn, bytes: &[u8], held: bool) {
        let waiting = self.waiting.get_or_insert_default();
        waiting.bytes.extend_from_slice(bytes);
        waiting.due.push_back(Due { durable, count: bytes.len(), held });
    }

    /// The bytes that may leave now that everything before `durable` is on disk.
    pub(crate) fn release(&mut self, durable: Lsn) -> &[u8] {
        let Some(waiting) = &mut self.waiting else { return &[] };
        while let Some(due) = waiting.due.pop_front_if(|due| due.durable <= durable && !due.held) {
            waiting.released += due.count;
        }
        waiting.bytes.get(waiting.sent..waiting.released).unwrap_or_default()
    }

    /// The bytes of a command whose turn it is: it is durable, and everything before it has left.
    pub(crate) fn held_next(&self, durable: Lsn) -> Option<usize> {
        let waiting = self.waiting.as_ref()?;
        let next = waiting.due.front().filter(|due| due.held && due.durable <= durable)?;
        (waiting.sent == waiting.released).then_some(next.count)
    }

    /// Lets the command go whose turn it is.
    pub(crate) fn let_go(&mut self) {
        if let Some(due) = self.waiting.as_mut().and_then(|waiting| waiting.due.front_mut()) {
            due.held = false;
        }
    }

    /// The command that was let go, of so many bytes, is held again with what is behind it: not a byte of it has left.
    pub(crate) fn hold_again(&mut self, count: usize) {
        let Some(waiting) = &mut self.waiting else { return };
        let behind = waiting.len_released().saturating_sub(count);
        // What was released is durable.
        waiting.due.push_front(Due { durable: Lsn(0), count: behind, held: false });
        waiting.due.push_front(Due { durable: Lsn(0), count, held: true });
        waiting.released = waiting.sent;
    }

    /// Drops a command that waits. Whether there was one.
    pub(crate) fn drop_held(&mut self) -> bool {
        let dropped = self.waiting.as_mut().is_some_and(|waiting| waiting.drop_held());
        self.tidy();
        dropped
    }

    /// So many of the released bytes have left. Where none is left of those that had to wait for the device to take them, says when
    /// that was read which the first of them answered.
    pub(crate) fn sent(&mut self, count: usize, now: Duration) -> Option<Duration> {
        let waiting = self.waiting.as_mut()?;
        waiting.sent(count);
        let since = waiting.unread_since.filter(|_| count == 0).unwrap_or(now);
        let unread = waiting.sent < waiting.released;
        waiting.unread_since = unread.then_some(since);
        let read_at = if unread { None } else { waiting.read_at.take() };
        self.tidy();
        read_at
    }

    /// Answers to what was read then wait for the device to take them.
    pub(crate) fn keep_waiting(&mut self, read_at: Duration) {
        if let Some(waiting) = &mut self.waiting {
            waiting.read_at.get_or_insert(read_at);
        }
    }

    fn tidy(&mut self) {
        if self.waiting.as_ref().is_some_and(|waiting| waiting.sent == waiting.bytes.len()) {
            self.waiting = None;
        }
    }

    /// Whether nothing waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.waiting.is_none()
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.len())
    }

    /// Since when released bytes wait for the device to take them, as far as that was tried.
    pub(crate) fn unread_since(&self) -> Option<Duration> {
        self.waiting.as_ref()?.unread_since
    }
}

impl Waiting {
    fn drop_held(&mut self) -> bool {
        let Some(place) = self.due.iter().position(|due| due.held) else { return false };
        let before: usize = self.due.iter().take(place).map(|due| due.count).sum();
        let Some(dropped) = self.due.remove(place) else { return false };
        let start = self.released + before;
        self.bytes.drain(start..start + dropped.count);
        // It may have been all that the device did not take, but for what was held again with it.
        if self.len_released() == 0 && self.due.front().is_none_or(|due| due.count == 0 || due.durable > Lsn(0)) {
            self.unread_since = None;
        }
        true
    }

    fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.released);
        if self.sent < self.bytes.len() && self.sent >= self.len() {
            // A device that never stops to listen never lets it become empty. To move what waits costs no more than
            // what has left did.
            self.bytes.drain(..self.sent);
            self.released -= self.sent;
            self.sent = 0;
        }
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    const fn len_released(&self) -> usize {
        self.released - self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_and_not_before_their_time() {
        let mut outbox = Outbox::default();
        outbox.push(Lsn(10), b"ab");
        outbox.push(Lsn(20), b"cd");
        assert_eq!(outbox.release(Lsn(9)), b"");
        assert_eq!(outbox.release(Lsn(10)), b"ab");
        outbox.sent(1, Duration::ZERO);
        assert!(outbox.unread_since().is_some());
        assert_eq!(outbox.release(Lsn(25)), b"bcd");
        outbox.sent(3, Duration::ZERO);
        assert!(outbox.is_empty() && outbox.unread_since().is_none());
        assert!(outbox.waiting.is_none());
    }

    #[test]
    fn answers_that_had_to_wait_have_left_with_the_last_of_their_bytes() {
        let mut outbox = Outbox::default();
        let at = Duration::from_secs;
        for round in 0..2 {
            outbox.push(Lsn(10), b"ab");
            outbox.push(Lsn(20), b"cd");
            assert_eq!(outbox.release(Lsn(10)), b"ab");
            assert_eq!(outbox.sent(0, at(5)), None);
            outbox.keep_waiting(at(1 + round));
            assert_eq!(outbox.release(Lsn(20)), b"abcd");
            assert_eq!(outbox.sent(3, at(6)), None, "a part is not all");
            outbox.keep_waiting(at(3));
            assert_eq!(outbox.sent(1, at(7)), Some(at(1 + round)), "the first of those that waited");
        }
        outbox.push(Lsn(10), b"ab");
        assert_eq!(outbox.release(Lsn(10)), b"ab");
        assert_eq!(outbox.sent(2, at(8)), None, "nothing waited");
    }

    #[test]
    fn a_command_waits_for_its_turn_and_may_be_dropped() {
        let mut outbox = Outbox::default();
        outbox.push(Lsn(10), b"ab");
        outbox.push_held(Lsn(20), b"CD");
        outbox.push(Lsn(30), b"ef");
        assert_eq!(outbox.release(Lsn(30)), b"ab", "nothing overtakes it");
        assert_eq!(outbox.held_next(Lsn(30)), None, "something before it has not left");
        outbox.sent(2, Duration::ZERO);
        assert_eq!((outbox.held_next(Lsn(19)), outbox.held_next(Lsn(20))), (None, Some(2)));
        outbox.let_go();
        assert_eq!(outbox.release(Lsn(30)), b"CDef");
        outbox.sent(4, Duration::ZERO);
        assert!(outbox.is_empty() && !outbox.drop_held());
        for sent in [0, 2] {
            outbox.push(Lsn(10), b"ab");
            outbox.push_held(Lsn(20), b"CD");
            outbox.push(Lsn(30), b"ef");
            assert_eq!(outbox.release(Lsn(30)), b"ab");
            outbox.sent(sent, Duration::ZERO);
            assert!(outbox.drop_held() && !outbox.drop_held());
            assert_eq!(outbox.release(Lsn(30)), &b"abef"[sent..]);
            outbox.sent(6, Duration::ZERO);
            assert!(outbox.is_empty());
        }
        outbox.push_held(Lsn(20), b"CD");
        assert!(outbox.drop_held() && outbox.is_empty());
    }

    #[test]
    fn a_command_that_the_device_does_not_take_is_held_again() {
        let at = Duration::from_secs;
        for dropped in [false, true] {
            let mut outbox = Outbox::default();
            outbox.push_held(Lsn(20), b"CD");
            outbox.push(Lsn(30), b"ef");
            outbox.push(Lsn(40), b"gh");
            for moment in [1, 2] {
                assert_eq!(outbox.held_next(Lsn(30)), Some(2));
                outbox.let_go();
                assert_eq!(outbox.release(Lsn(30)), b"CDef");
                outbox.sent(0, at(moment));
                outbox.hold_again(2);
                assert_eq!(outbox.release(Lsn(30)), b"");
                assert_eq!(outbox.unread_since(), Some(at(1)), "it does so since then");
            }
            if dropped {
                assert!(outbox.drop_held());
                assert_eq!(outbox.unread_since(), Some(at(1)), "the answer behind it waits as well");
            } else {
                outbox.let_go();
            }
            let left: &[u8] = if dropped { b"ef" } else { b"CDef" };
            assert_eq!(outbox.release(Lsn(30)), left);
            outbox.sent(left.len(), at(3));
            assert_eq!(outbox.release(Lsn(40)), b"gh");
            outbox.sent(2, at(3));
            assert!(outbox.is_empty());
        }
    }

    #[test]
    fn what_has_left_is_forgotten_also_while_something_always_waits() {
        let mut outbox = Outbox::default();
        outbox.push(Lsn(0), b"0000");
        for number in 1..10_000_u64 {
            outbox.push(Lsn(number), format!("{number:04}").as_bytes());
            assert_eq!(outbox.release(Lsn(number - 1)), format!("{:04}", number - 1).as_bytes());
            outbox.sent(4, Duration::ZERO);
            let kept = outbox.waiting.as_ref().map(|waiting| (waiting.bytes.len(), waiting.due.len()));
            assert!(kept.is_some_and(|(bytes, due)| bytes <= 12 && due == 1), "{kept:?} are kept");
        }
        assert_eq!(outbox.release(Lsn(9_999)), b"9999");
    }
}
