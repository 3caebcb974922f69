//! What a device has yet to say, and what of it nobody has acknowledged.
//!
//! A device sends one frame and waits for its acknowledgement; without one it sends the same records again. What it measured
//! without a network it keeps, and sends newest first once there is one, as trackers do: where it is now is wanted first.

use crate::measured::Measured;
use std::collections::VecDeque;

/// So many records a device keeps while it has no network; then the oldest go.
const HELD_MAX: usize = 2000;

/// Records on their way.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Measured>,
    held: Vec<Measured>,
    sent: Option<Sent>,
    /// Records that went because there was no room.
    dropped: u64,
}

#[derive(Debug)]
struct Sent {
    records: Vec<Measured>,
    mark: u32,
}

impl Outbox {
    /// Takes a record.
    pub(crate) fn push(&mut self, record: Measured) {
        if record.reachable {
            self.waiting.push_back(record);
            self.waiting.extend(self.held.drain(..).rev());
            return;
        }
        if self.held.len() >= HELD_MAX {
            self.held.remove(0);
            self.dropped += 1;
        }
        self.held.push(record);
    }

    /// What is to be sent now: what was sent and not acknowledged, else at most `batch_max` of what waits. `None` where
    /// nothing waits. Says whether it was sent before.
    pub(crate) fn next(&mut self, batch_max: usize) -> Option<(&[Measured], bool)> {
        let again = self.sent.is_some();
        if !again {
            let count = batch_max.min(self.waiting.len());
            if count == 0 {
                return None;
            }
            self.sent = Some(Sent { records: self.waiting.drain(..count).collect(), mark: 0 });
        }
        self.sent.as_ref().map(|sent| (&sent.records[..], again))
    }

    /// What an acknowledgement of the records that [`Outbox::next`] gave says.
    pub(crate) fn mark(&mut self, mark: u32) {
        if let Some(sent) = &mut self.sent {
            sent.mark = mark;
        }
    }

    /// An acknowledgement came; says of how many records.
    pub(crate) fn acknowledged(&mut self, mark: u32) -> usize {
        self.sent.take_if(|sent| sent.mark == mark).map_or(0, |sent| sent.records.len())
    }

    /// Whether something is under way.
    pub(crate) fn is_under_way(&self) -> bool {
        self.sent.is_some()
    }

    /// Records that wait or are under way.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.sent.as_ref().map_or(0, |sent| sent.records.len())
    }

    /// Records that were lost because there was no room, since this was asked before.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Atlas, Intervals, Truck};
    use std::sync::Arc;

    /// Records of these seconds; those below zero were made without a network.
    fn records(seconds: &[i64]) -> Vec<Measured> {
        let intervals = Intervals { driving_s: 60, standing_s: 300 };
        let now = Truck::new(&Arc::new(Atlas::new(1)), (1, 1), 0, false, intervals, 0).now();
        seconds
            .iter()
            .map(|second| Measured { time_ms: second.abs() * 1000, reachable: *second >= 0, ..now.clone() })
            .collect()
    }

    fn seconds(records: &[Measured]) -> Vec<i64> {
        records.iter().map(|record| record.time_ms / 1000).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again() {
        let mut outbox = Outbox::default();
        records(&[1, 2, 3]).into_iter().for_each(|record| outbox.push(record));
        let (sent, again) = outbox.next(2).expect("two records");
        assert_eq!((seconds(sent), again), (vec![1, 2], false));
        outbox.mark(7);
        assert_eq!(outbox.acknowledged(6), 0, "that was another one's");
        let (sent, again) = outbox.next(2).expect("the same");
        assert_eq!((seconds(sent), again), (vec![1, 2], true));
        outbox.mark(8);
        assert_eq!(outbox.acknowledged(7), 0, "too late: it was sent again under another mark");
        assert_eq!((outbox.len(), outbox.acknowledged(8), outbox.len()), (3, 2, 1));
        assert_eq!(outbox.acknowledged(8), 0, "once");
        assert_eq!(seconds(outbox.next(2).expect("the rest").0), [3]);
        outbox.mark(9);
        assert_eq!((outbox.acknowledged(9), outbox.is_under_way()), (1, false));
        assert_eq!(outbox.next(2), None);
    }

    #[test]
    fn what_was_measured_without_a_network_comes_newest_first_behind_what_is_now() {
        let mut outbox = Outbox::default();
        records(&[1, -2, -3, -4]).into_iter().for_each(|record| outbox.push(record));
        assert_eq!(outbox.len(), 1, "without a network nothing waits to be sent");
        records(&[5, 6]).into_iter().for_each(|record| outbox.push(record));
        assert_eq!(seconds(outbox.next(9).expect("all").0), [1, 5, 4, 3, 2, 6]);
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room() {
        let mut outbox = Outbox::default();
        let record = records(&[-1]).remove(0);
        for second in 0..HELD_MAX as i64 + 2 {
            outbox.push(Measured { time_ms: second * 1000, ..record.clone() });
        }
        assert_eq!((outbox.held.len(), outbox.take_dropped(), outbox.take_dropped()), (HELD_MAX, 2, 0));
        assert_eq!(seconds(&outbox.held[..1]), [2]);
    }
}
