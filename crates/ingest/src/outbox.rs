//! Bytes for one device, in order, each waiting until the journal lets it leave.

use odograph_model::Lsn;
use std::collections::VecDeque;

/// Bytes that wait. Empty, it owns no memory.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// How many of `bytes` have left.
    sent: usize,
    /// So many more may leave once the journal is durable up to there.
    due: VecDeque<(Lsn, usize)>,
    /// How many of `bytes` may leave.
    released: usize,
}

impl Outbox {
    /// Adds bytes that may leave once everything before `durable` is on disk.
    pub(crate) fn push(&mut self, durable: Lsn, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.due.push_back((durable, bytes.len()));
    }

    /// The bytes that may leave now that everything before `durable` is on disk.
    pub(crate) fn release(&mut self, durable: Lsn) -> &[u8] {
        while let Some((_, count)) = self.due.pop_front_if(|(lsn, _)| *lsn <= durable) {
            self.released += count;
        }
        self.bytes.get(self.sent..self.released).unwrap_or_default()
    }

    /// So many of the released bytes have left.
    pub(crate) fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.released);
        if self.sent == self.bytes.len() {
            *self = Self::default();
        } else if self.sent >= self.len() {
            // A device that never stops to listen never lets it become empty. To move what waits costs no more than
            // what has left did.
            self.bytes.drain(..self.sent);
            self.released -= self.sent;
            self.sent = 0;
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether released bytes wait for the device to take them.
    pub(crate) fn is_unread(&self) -> bool {
        self.sent < self.released
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
        outbox.sent(1);
        assert!(outbox.is_unread());
        assert_eq!(outbox.release(Lsn(25)), b"bcd");
        outbox.sent(3);
        assert!(outbox.is_empty() && !outbox.is_unread());
        assert_eq!(outbox.bytes.capacity(), 0);
    }

    #[test]
    fn what_has_left_is_forgotten_also_while_something_always_waits() {
        let mut outbox = Outbox::default();
        outbox.push(Lsn(0), b"0000");
        for number in 1..10_000_u64 {
            outbox.push(Lsn(number), format!("{number:04}").as_bytes());
            assert_eq!(outbox.release(Lsn(number - 1)), format!("{:04}", number - 1).as_bytes());
            outbox.sent(4);
            assert!(outbox.bytes.len() <= 12 && outbox.due.len() == 1, "{} bytes are kept", outbox.bytes.len());
        }
        assert_eq!(outbox.release(Lsn(9_999)), b"9999");
    }
}
