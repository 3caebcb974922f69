//! Seals a complete segment: cuts what was reserved and not used, writes its index, adds its record to the chain.
//!
//! Each step can be repeated, so a kill at any moment only means that the segment is sealed at the next start.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use odograph_env::{Clock, Disk, DiskFile, UnixMillis, is_full};
use odograph_model::Lsn;

use crate::chain::{self, Chain, Record, SealRecord};
use crate::erasures::{self, ErasedLeaf};
use crate::error::{CREATE, Error, Fatal, IoContext as _, RESERVE};
use crate::index::{self, Index};
use crate::key::Key;
use crate::merkle::Hash;
use crate::observer::Observer;
use crate::paths::Listing;
use crate::scan::Scan;
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::tally::Tally;
use crate::{durable_file, paths};

/// A segment that is complete and has no seal yet.
pub(crate) struct Complete {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) header: SegmentHeader,
    pub(crate) end: u64,
    /// What the file's length shall be: the data, and after a crash what cannot be read behind it.
    pub(crate) length: u64,
    pub(crate) tally: Tally,
    /// What was erased of it, where it is sealed again.
    pub(crate) erased: Vec<ErasedLeaf>,
}

/// How sealing went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealed {
    Done,
    /// There is no space: try again later.
    Full,
}

/// Seals segments in order.
pub(crate) struct Sealer {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
    pub(crate) chain: Chain,
    pub(crate) observer: Arc<dyn Observer>,
    /// Seals whose index is to be made again, the newest first.
    missing: Vec<SealRecord>,
}

impl Sealer {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        folder: PathBuf,
        key: Key,
        chain: Chain,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { disk, clock, folder, key, chain, observer, missing: Vec::new() }
    }

    /// Makes one missing index again, if its segment still is what was sealed. Returns whether there was one to make.
    pub(crate) fn rebuild_next(&mut self) -> Result<bool, Fatal> {
        let Some(record) = self.missing.pop() else { return Ok(false) };
        let path = paths::index(&self.folder, record.base.0);
        let rebuilt = match self.rebuild(&record) {
            Ok(rebuilt) => rebuilt,
            // What cannot be read is found by whoever reads it, and no space now may be space at the next start.
            Err(Error::Io { operation: "open" | "read" | CREATE | RESERVE, .. }) => false,
            Err(Error::Io { operation, source, .. }) => return Err(Fatal { operation, path, source }),
            Err(other) => return Err(Fatal { operation: "write", path, source: std::io::Error::other(other) }),
        };
        self.observer.index_rebuilt(&record, rebuilt);
        Ok(true)
    }

    fn rebuild(&self, record: &SealRecord) -> Result<bool, Error> {
        let (base, end) = (record.base.0, record.end);
        let path = paths::segment(&self.folder, base);
        let mut scan = Scan::new(self.disk.open_read(&path).doing("open", &path)?, base);
        scan.set_end(end);
        let mut tally = Tally::new();
        while scan.place() < end {
            let offset = scan.offset();
            match scan.advance().doing("read", &path)? {
                Ok(located) => drop(tally.add(&scan.entry(located), offset)),
                Err(_) => return Ok(false),
            }
        }
        let erased = erasures::of_segment(&*self.disk, &self.folder, base)?;
        let bytes = index::encode(&tally, base, end.0, &erased);
        let index = Index::parse(bytes.clone()).expect("an index that was encoded a moment ago");
        if (index::root(&index), index.entries, index.leaf_count() as u64)
            != (record.root, record.entries, record.devices)
        {
            return Ok(false);
        }
        let to = paths::index(&self.folder, base);
        durable_file::replace(&*self.disk, &self.folder, &to, &bytes)?;
        // Retention may have removed the segment meanwhile, and has no second look at its index.
        if self.disk.open_read(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            self.disk.remove(&to).doing("remove", &to)?;
        }
        Ok(true)
    }

    pub(crate) fn seal(&mut self, segment: &Complete) -> Result<Sealed, Fatal> {
        self.observer.sealing(Lsn(segment.header.base));
        match self.try_seal(segment) {
            Ok(record) => {
                self.observer.sealed(&record);
                Ok(Sealed::Done)
            }
            // Both leave everything as it was. A write or a flush that says so is as bad as any other failure.
            Err(Error::Io { operation: CREATE | RESERVE, source, .. }) if is_full(&source) => Ok(Sealed::Full),
            Err(Error::Io { operation, path, source }) => Err(Fatal { operation, path, source }),
            Err(other) => Err(Fatal {
                operation: "seal",
                path: paths::segment(&self.folder, segment.header.base),
                source: std::io::Error::other(other),
            }),
        }
    }

    fn try_seal(&mut self, segment: &Complete) -> Result<SealRecord, Error> {
        let SegmentHeader { node, base, created_at } = segment.header;
        let path = paths::segment(&self.folder, base);
        if segment.file.length().doing("read", &path)? > segment.length {
            segment.file.set_length(segment.length).doing("cut", &path)?;
        }
        segment.file.sync().doing("flush", &path)?;
        let bytes = index::encode(&segment.tally, base, segment.end, &segment.erased);
        durable_file::replace(&*self.disk, &self.folder, &paths::index(&self.folder, base), &bytes)?;
        let index = Index::parse(bytes).expect("an index that was encoded a moment ago");
        self.chain.reserve()?;
        let unsigned = Unsigned { node, base, end: segment.end, created_at, sealed_at: self.clock.now() };
        let record = unsigned.record(&index, self.chain.last_hash()).sign(&self.key);
        self.chain.append(Record::Seal(record))?;
        Ok(record)
    }
}

/// What a record says besides hashes.
struct Unsigned {
    node: u16,
    base: u64,
    end: u64,
    created_at: UnixMillis,
    sealed_at: UnixMillis,
}

impl Unsigned {
    fn record(&self, index: &Index, previous: Hash) -> SealRecord {
        let header = SegmentHeader { node: self.node, base: self.base, created_at: self.created_at }.to_bytes();
        SealRecord {
            node: self.node,
            base: Lsn(self.base),
            end: Lsn(self.end),
            created_at: self.created_at,
            sealed_at: self.sealed_at,
            entries: index.entries,
            devices: index.leaf_count() as u64,
            header_hash: header_hash(&header),
            root: index::root(index),
            previous,
            chain_hash: [0; 32],
            signature: [0; 64],
        }
    }
}

/// All of an index; `None` if there is none.
pub(crate) fn read_index(disk: &dyn Disk, folder: &Path, base: u64) -> Result<Option<Vec<u8>>, Error> {
    let path = paths::index(folder, base);
    let file = match disk.open_read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.doing("open", &path)?,
    };
    let mut bytes = vec![0; file.length().doing("read", &path)? as usize];
    let read = file.read_at(&mut bytes, 0).doing("read", &path)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

pub(crate) fn header_hash(header: &[u8; SEGMENT_HEADER_BYTES]) -> Hash {
    *blake3::hash(header).as_bytes()
}

/// Where sealing happens: within the committing step, or on a thread of its own.
pub(crate) enum Sealing {
    Inline { sealer: Box<Sealer>, waiting: VecDeque<Complete> },
    Thread(SealingThread),
}

pub(crate) struct SealingThread {
    work: Sender<Complete>,
    done: Receiver<Result<(), Fatal>>,
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    waiting: usize,
    /// It has ended without having been asked to, and without a reason: it panicked.
    lost: bool,
}

impl Sealing {
    pub(crate) fn add(&mut self, segment: Complete) {
        match self {
            Self::Inline { waiting, .. } => waiting.push_back(segment),
            Self::Thread(thread) => {
                // A thread that has ended left its reason in `done`, which the next call of `progress` finds.
                let _ = thread.work.send(segment);
                thread.waiting += 1;
            }
        }
    }

    /// Seals what waits, or looks how far the thread has come. Returns how many segments were sealed.
    pub(crate) fn progress(&mut self) -> Result<u64, Fatal> {
        let mut sealed = 0;
        match self {
            Self::Inline { sealer, waiting } => {
                while let Some(segment) = waiting.front() {
                    if sealer.seal(segment)? == Sealed::Full {
                        break;
                    }
                    waiting.pop_front();
                    sealed += 1;
                }
                while sealer.rebuild_next()? {}
            }
            Self::Thread(thread) => loop {
                match thread.done.try_recv() {
                    Ok(result) => result?,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        thread.lost = true;
                        break;
                    }
                }
                thread.waiting -= 1;
                sealed += 1;
            },
        }
        Ok(sealed)
    }

    /// Notes which sealed segments have no index: one after the other is made again whenever nothing else is to be done.
    pub(crate) fn rebuild_missing(&mut self, listing: &Listing) -> Result<usize, Error> {
        let Self::Inline { sealer, .. } = self else { return Ok(0) };
        let there = |list: &[u64], base: Lsn| list.binary_search(&base.0).is_ok();
        let seals = chain::read_all(&*sealer.disk, &sealer.folder)?.into_iter().flatten().filter_map(Record::seal);
        // What was sealed a moment ago has its index, although the list is older.
        let newest = listing.segments.last().copied().unwrap_or_default();
        let missing = seals.filter(|seal| {
            there(&listing.segments, seal.base) && !there(&listing.indexes, seal.base) && seal.base.0 < newest
        });
        sealer.missing =
            missing.filter(|seal| sealer.disk.inspect(&paths::index(&sealer.folder, seal.base.0)).is_err()).collect();
        sealer.missing.reverse();
        Ok(sealer.missing.len())
    }

    /// Whether nobody seals any more. What is complete is sealed at the next start.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Thread(SealingThread { lost: true, .. }))
    }

    /// How many segments wait.
    pub(crate) fn waiting(&self) -> usize {
        match self {
            Self::Inline { waiting, .. } => waiting.len(),
            Self::Thread(thread) => thread.waiting,
        }
    }

    /// Goes on with a thread.
    pub(crate) fn into_thread(self) -> Result<Self, Fatal> {
        let Self::Inline { sealer, waiting } = self else { return Ok(self) };
        let folder = sealer.folder.clone();
        let (work, inbox) = channel();
        let (outbox, done) = channel();
        let ending = Arc::new(AtomicBool::new(false));
        let seal = {
            let ending = Arc::clone(&ending);
            move || seal_all(*sealer, &inbox, &outbox, &ending)
        };
        let thread = std::thread::Builder::new().name("seal".to_owned()).spawn(seal);
        let thread = thread.or_fatal("start the thread that seals", &folder)?;
        let mut started = Self::Thread(SealingThread { work, done, ending, thread, waiting: 0, lost: false });
        waiting.into_iter().for_each(|segment| started.add(segment));
        Ok(started)
    }

    /// Ends the thread when it has sealed what it can, and returns how much that was. What finds no space is sealed at
    /// the next start.
    pub(crate) fn end(self) -> Result<u64, Fatal> {
        let Self::Thread(SealingThread { work, done, ending, thread, .. }) = self else { return Ok(0) };
        ending.store(true, Ordering::Release);
        drop(work);
        thread.thread().unpark();
        // A panic there was told when it happened, and what it left is sealed at the next start.
        let _ = thread.join();
        done.try_iter().try_fold(0, |sealed, result| result.map(|()| sealed + 1))
    }
}

fn seal_all(mut sealer: Sealer, inbox: &Receiver<Complete>, outbox: &Sender<Result<(), Fatal>>, ending: &AtomicBool) {
    loop {
        // Sealing comes first: what is sealed can be removed when space is needed.
        let segment = match inbox.try_recv() {
            Ok(segment) => segment,
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => match sealer.rebuild_next() {
                Ok(true) => continue,
                Ok(false) => match inbox.recv() {
                    Ok(segment) => segment,
                    Err(_) => return,
                },
                Err(fatal) => return drop(outbox.send(Err(fatal))),
            },
        };
        let result = loop {
            match sealer.seal(&segment) {
                Ok(Sealed::Full) if ending.load(Ordering::Acquire) => return,
                Ok(Sealed::Full) => std::thread::park_timeout(FULL_RETRY),
                Ok(Sealed::Done) => break Ok(()),
                Err(fatal) => break Err(fatal),
            }
        };
        let failed = result.is_err();
        if outbox.send(result).is_err() || failed {
            return;
        }
    }
}

/// How long to wait before looking again for space.
pub(crate) const FULL_RETRY: Duration = Duration::from_secs(1);
