//! Records on their way from those who decode frames first to whoever reads the journal: a bounded ring.
//!
//! What a worker decoded for its answers need not be decoded again: it goes through here, under the place of its frame
//! in the journal. Nobody may count on it. An item that does not fit is dropped, one that comes too late is passed over, and the
//! reader decodes those frames itself. So the ring decides how much work is done and never what comes out, and no one
//! who puts something in ever waits: not for the reader, and not for memory.

use odograph_model::{Lsn, Record};
use odograph_protocols::Binding;
use odograph_wire::Malformed;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A ring for items of `bytes_max` together. The inlet is for any number of threads.
pub fn ring(bytes_max: u64) -> (Inlet, Outlet) {
    let (sender, receiver) = channel();
    let level = Arc::new(Level { bytes_max, bytes: AtomicU64::new(0), dropped: AtomicU64::new(0) });
    (Inlet { sender, level: level.clone() }, Outlet { receiver, sorted: VecDeque::new(), level })
}

/// What decoding a frame gave.
#[derive(Debug, PartialEq)]
pub struct Item {
    /// The place of the frame's entry in the journal.
    pub lsn: Lsn,
    /// The records that count.
    pub records: Vec<Record>,
    /// What is wrong with the frame.
    pub malformed: Option<Malformed>,
    /// What the session saved after the frame, where that or the device it belongs to changed with it.
    pub state: Option<Box<[u8]>>,
    /// Whose it is from this frame on, where that is decided with it: the reader has it in common with whoever decided, and no
    /// memory of its own for it.
    pub begun: Option<Arc<Binding>>,
}

impl Item {
    /// How much memory it takes.
    fn bytes(&self) -> u64 {
        let records = self.records.capacity() * size_of::<Record>();
        let values: usize = self.records.iter().map(Record::heap_bytes).sum();
        let state = self.state.as_ref().map_or(0, |state| state.len());
        // Twice its own size: a queue that grows has room for twice what it holds.
        (2 * size_of::<(Self, u64)>() + records + values + state) as u64
    }
}

/// Where items go in. Clones are the same inlet.
#[derive(Clone)]
pub struct Inlet {
    sender: Sender<(Item, u64)>,
    level: Arc<Level>,
}

impl Inlet {
    /// Whether there is room: if not, nothing need be made ready to be put in.
    pub fn has_room(&self) -> bool {
        self.level.bytes.load(Relaxed) < self.level.bytes_max
    }

    /// Puts an item in, or drops it where there is no room, or no outlet any more.
    pub fn put(&self, item: Item) {
        let bytes = item.bytes();
        let before = self.level.bytes.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) > self.level.bytes_max || self.sender.send((item, bytes)).is_err() {
            self.level.bytes.fetch_sub(bytes, Relaxed);
            self.refuse();
        }
    }

    /// Counts an item that was not put in because there was no room.
    pub fn refuse(&self) {
        self.level.dropped.fetch_add(1, Relaxed);
    }
}

/// Where items come out, in the order of their places. What was not read when it is dropped goes with it.
pub struct Outlet {
    receiver: Receiver<(Item, u64)>,
    /// What came through already, by place: threads put their items in shortly after they know the places, so this is
    /// nearly their order anyway.
    sorted: VecDeque<(Item, u64)>,
    level: Arc<Level>,
}

impl Outlet {
    /// The item of the frame at `lsn`, if it has come. Whoever asks goes through the journal in its order: items of
    /// earlier frames are forgotten.
    pub fn take(&mut self, lsn: Lsn) -> Option<Item> {
        if let Some(item) = self.take_sorted(lsn) {
            return Some(item);
        }
        if self.sorted.is_empty() {
            self.sorted.shrink_to(KEPT_ITEMS_MAX);
        }
        // An item of a later frame says nothing: another thread's may have overtaken this one.
        while let Ok(came) = self.receiver.try_recv() {
            let at = self.sorted.iter().rposition(|(item, _)| item.lsn <= came.0.lsn).map_or(0, |before| before + 1);
            self.sorted.insert(at, came);
        }
        self.take_sorted(lsn)
    }

    fn take_sorted(&mut self, lsn: Lsn) -> Option<Item> {
        while let Some((item, bytes)) = self.sorted.pop_front_if(|(item, _)| item.lsn <= lsn) {
            self.level.bytes.fetch_sub(bytes, Relaxed);
            if item.lsn == lsn {
                return Some(item);
            }
        }
        None
    }

    /// How much memory the items take that are on their way.
    pub fn bytes(&self) -> u64 {
        self.level.bytes.load(Relaxed)
    }

    /// How many items were dropped because there was no room.
    pub fn dropped(&self) -> u64 {
        self.level.dropped.load(Relaxed)
    }
}

/// How full the ring is. Only numbers: what orders the items' memory between threads is the channel.
struct Level {
    bytes_max: u64,
    bytes: AtomicU64,
    dropped: AtomicU64,
}

/// For so many items the queue keeps its memory when it is empty.
const KEPT_ITEMS_MAX: usize = 1 << 10;

#[cfg(test)]
mod tests;
