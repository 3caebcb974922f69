//! The side that appends: any number of threads, one mutex, one copy into memory.
//!
//! An append fixes the place of its entries at once; [`crate::Committer`] makes them durable.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use odograph_env::UnixMillis;
use odograph_model::Lsn;

use crate::entry::{self, ENTRY_BYTES_MAX, HEADER_BYTES, Identity, Kind, NewEntry, Sections};
use crate::error::AppendError;
use crate::observer::Stats;
use crate::segment::SEGMENT_HEADER_BYTES;

/// One call's entries are at most this long together: they go in one piece, and a segment's offsets have 32 bits.
pub const APPEND_BYTES_MAX: usize = 16 << 20;

/// With more than this waiting for the disk, whoever appends shall stop reading from its sockets: 64 MiB is a second
/// of a busy disk, and what a small machine can spare.
pub const CONGESTED_BYTES: u64 = 64 << 20;

/// Where entries are appended. Clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

/// One connection's, or one peer's, place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    id: u64,
    /// The segment that it wrote into last; [`NOWHERE`]: its next entry brings its context along wherever it goes. Every connection
    /// has a stream, so it is as small as can be.
    segment: u64,
}

impl Stream {
    /// Its id: the LSN of its [`Kind::OPEN`] entry.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The stream's state has become another than what its entries so far make of it: the next one says which.
    pub fn renew(&mut self) {
        self.segment = NOWHERE;
    }
}

/// No segment begins there: it would have no end.
const NOWHERE: u64 = u64::MAX;

/// Where the entries of one call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The place of the first.
    pub first: Lsn,
    /// The place after the last: they are durable once [`Journal::durable`] is not less.
    pub end: Lsn,
}

impl Journal {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Begins a stream, with the state it has and whose it is.
    pub fn open_stream(
        &self,
        at: UnixMillis,
        context: &[u8],
        identity: Option<Identity<'_>>,
    ) -> Result<(Stream, Appended), AppendError> {
        let sections = Sections { context: Some(context), identity };
        let length = checked(&sections, 0)?;
        let mut pending = self.shared.lock();
        let segment = pending.make_room(length)?;
        let first = pending.next;
        let open = NewEntry { kind: Kind::OPEN, at, identity, payload: &[] };
        entry::put(&mut pending.bytes, first, first, &open, &sections);
        Ok((Stream { id: first, segment }, self.finish(pending, first, length)))
    }

    /// Appends entries of a stream, in one piece: one segment, one group.
    ///
    /// `context` is the stream's state before these entries, `bound` whose it is then. They are written only if this
    /// is the stream's first write into the segment, or behind [`Stream::renew`].
    ///
    /// # Panics
    ///
    /// Without any entry.
    pub fn append(
        &self,
        stream: &mut Stream,
        context: &[u8],
        bound: Option<Identity<'_>>,
        entries: &[NewEntry<'_>],
    ) -> Result<Appended, AppendError> {
        assert!(!entries.is_empty(), "an append has entries");
        let own = entries.first().and_then(|first| first.identity);
        let opening = Sections { context: Some(context), identity: own.or(bound) };
        let mut plain = 0;
        for (number, entry) in entries.iter().enumerate() {
            let sections = Sections { context: None, identity: entry.identity };
            // The first must fit with what it may have to carry besides.
            checked(if number == 0 { &opening } else { &sections }, entry.payload.len())?;
            plain += entry.bytes();
        }
        let with_opening = plain + opening.bytes() - Sections { context: None, identity: own }.bytes();
        if with_opening > APPEND_BYTES_MAX {
            return Err(AppendError::TooLong { bytes: with_opening });
        }
        let mut pending = self.shared.lock();
        let known = pending.segment == Some(stream.segment) && pending.fits(plain);
        let length = if known { plain } else { with_opening };
        stream.segment = pending.make_room(length)?;
        let first = pending.next;
        let mut lsn = first;
        for (number, entry) in entries.iter().enumerate() {
            let plain = Sections { context: None, identity: entry.identity };
            let sections = if number == 0 && !known { &opening } else { &plain };
            let before = pending.bytes.len();
            entry::put(&mut pending.bytes, lsn, stream.id, entry, sections);
            lsn += (pending.bytes.len() - before) as u64;
        }
        debug_assert_eq!(lsn - first, length as u64, "the length was reckoned beforehand");
        Ok(self.finish(pending, first, length))
    }

    /// Appends an administrative remark, of no stream.
    pub fn note(&self, at: UnixMillis, payload: &[u8]) -> Result<Appended, AppendError> {
        let sections = Sections::default();
        let length = checked(&sections, payload.len())?;
        let mut pending = self.shared.lock();
        pending.make_room(length)?;
        let first = pending.next;
        let note = NewEntry { kind: Kind::NOTE, at, identity: None, payload };
        entry::put(&mut pending.bytes, first, 0, &note, &sections);
        Ok(self.finish(pending, first, length))
    }

    /// Everything before this place is durable.
    pub fn durable(&self) -> Lsn {
        Lsn(self.shared.durable.load(Ordering::Acquire))
    }

    /// How much was appended and is not durable yet.
    pub fn pending_bytes(&self) -> u64 {
        self.shared.pending_bytes()
    }

    /// Whether whoever appends shall stop reading from its sockets: too much waits, or the disk is full.
    pub fn congested(&self) -> bool {
        self.pending_bytes() > CONGESTED_BYTES || self.shared.full.load(Ordering::Relaxed)
    }

    /// What happened so far, and how things are.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Ends the segment that is being written, so that it is sealed with all that was appended until now. Returns the place behind
    /// that.
    pub fn end_segment(&self) -> Lsn {
        let mut pending = self.shared.lock();
        pending.ends = true;
        let end = Lsn(pending.next);
        drop(pending);
        self.shared.work.notify_all();
        end
    }

    /// Takes nothing more. The committer writes what there is, and ends.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }

    fn finish(&self, mut pending: MutexGuard<'_, Pending>, first: u64, length: usize) -> Appended {
        pending.next = first + length as u64;
        let end = pending.next;
        self.shared.appended.store(end, Ordering::Release);
        let wake = std::mem::take(&mut pending.committer_waits);
        drop(pending);
        if wake {
            self.shared.work.notify_all();
        }
        Appended { first: Lsn(first), end: Lsn(end) }
    }
}

/// What the appenders and the committer share.
pub(crate) struct Shared {
    pending: Mutex<Pending>,
    work: Condvar,
    durable: AtomicU64,
    appended: AtomicU64,
    full: AtomicBool,
    pub(crate) counters: Counters,
}

/// What [`Stats`] is made from.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) failed: AtomicBool,
    pub(crate) sealing_lost: AtomicBool,
    pub(crate) commits: AtomicU64,
    pub(crate) entries: AtomicU64,
    pub(crate) segments: AtomicU64,
    pub(crate) sealed: AtomicU64,
    pub(crate) unsealed: AtomicU64,
    /// Microseconds plus one; 0: not in a step.
    pub(crate) step_since: AtomicU64,
}

/// What was appended and not yet taken by the committer.
pub(crate) struct Pending {
    pub(crate) bytes: Vec<u8>,
    /// Where new segments begin among `bytes`.
    pub(crate) rolls: Vec<Roll>,
    /// The place of the next entry.
    next: u64,
    /// The segment that the next entry goes into; `None`: a new one.
    segment: Option<u64>,
    segment_bytes: u64,
    pub(crate) closed: bool,
    /// Somebody wants the segment to end that is being written.
    pub(crate) ends: bool,
    committer_waits: bool,
}

/// A segment that begins among pending bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Roll {
    /// How many of the bytes belong to what was before.
    pub(crate) at: usize,
    pub(crate) base: u64,
}

impl Shared {
    pub(crate) fn new(next: Lsn, segment_bytes: u64) -> Self {
        let pending = Pending {
            bytes: Vec::new(),
            rolls: Vec::new(),
            next: next.0,
            segment: None,
            segment_bytes,
            closed: false,
            ends: false,
            committer_waits: false,
        };
        Self {
            pending: Mutex::new(pending),
            work: Condvar::new(),
            durable: AtomicU64::new(next.0),
            appended: AtomicU64::new(next.0),
            full: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().expect("nobody panics while holding the journal's lock")
    }

    /// Waits until there is work, at most for `limit`. With `for_space`, new appends are no reason to wake up.
    pub(crate) fn wait(&self, limit: Duration, for_space: bool) {
        let mut pending = self.lock();
        if !pending.closed && (for_space || pending.bytes.is_empty()) {
            pending.committer_waits = !for_space;
            let woken = self.work.wait_timeout(pending, limit);
            woken.expect("nobody panics while holding the journal's lock").0.committer_waits = false;
        }
    }

    pub(crate) fn publish(&self, durable: Lsn) {
        self.durable.store(durable.0, Ordering::Release);
    }

    /// Returns whether that is a change.
    pub(crate) fn set_full(&self, full: bool) -> bool {
        self.full.swap(full, Ordering::Relaxed) != full
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn pending_bytes(&self) -> u64 {
        // The durable mark first: it never passes what was appended.
        let durable = self.durable.load(Ordering::Acquire);
        self.appended.load(Ordering::Acquire) - durable
    }

    fn stats(&self) -> Stats {
        let counters = &self.counters;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let durable = Lsn(self.durable.load(Ordering::Acquire));
        let appended = Lsn(self.appended.load(Ordering::Acquire));
        Stats {
            durable,
            appended,
            pending_bytes: appended.0 - durable.0,
            full: self.is_full(),
            failed: counters.failed.load(Ordering::Relaxed),
            sealing_lost: counters.sealing_lost.load(Ordering::Relaxed),
            commits: count(&counters.commits),
            entries: count(&counters.entries),
            segments: count(&counters.segments),
            sealed: count(&counters.sealed),
            unsealed: count(&counters.unsealed),
            step_since: count(&counters.step_since).checked_sub(1).map(Duration::from_micros),
        }
    }
}

impl Pending {
    /// Whether `length` more bytes go into the current segment.
    fn fits(&self, length: usize) -> bool {
        self.segment.is_some_and(|base| self.next + length as u64 - base <= self.segment_bytes)
    }

    /// Begins a new segment unless `length` more bytes go into this one. Returns the segment.
    fn make_room(&mut self, length: usize) -> Result<u64, AppendError> {
        if self.closed {
            return Err(AppendError::Closed);
        }
        match self.segment {
            Some(base) if self.fits(length) => Ok(base),
            _ => {
                let base = self.next;
                self.rolls.push(Roll { at: self.bytes.len(), base });
                self.next += SEGMENT_HEADER_BYTES as u64;
                self.segment = Some(base);
                Ok(base)
            }
        }
    }

    /// Whatever comes next goes into a new segment.
    pub(crate) fn end_segment(&mut self) {
        self.segment = None;
    }
}

/// The length of an entry, if it is one that can be written.
fn checked(sections: &Sections<'_>, payload: usize) -> Result<usize, AppendError> {
    let bytes = HEADER_BYTES + sections.bytes() + payload;
    if bytes <= ENTRY_BYTES_MAX && sections.fit() { Ok(bytes) } else { Err(AppendError::TooLong { bytes }) }
}
