//! The side that makes durable: one thread that writes and flushes for everyone who waits.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use odograph_env::{Clock, Disk, DiskFile, is_full};
use odograph_model::Lsn;

use crate::entry::{self, Entry};
use crate::error::{Fatal, IoContext as _};
use crate::journal::{Roll, Shared};
use crate::observer::Commit;
use crate::options::Options;
use crate::paths;
use crate::seal::{Complete, FULL_RETRY, Sealing};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::tally::Tally;

/// Writes what was appended, flushes it and says so.
pub struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) folder: PathBuf,
    pub(crate) options: Options,
    pub(crate) batch: Batch,
    pub(crate) current: Option<Current>,
    /// A segment file that exists and is not yet ready to be written.
    pub(crate) unfinished: Option<Box<dyn DiskFile>>,
    pub(crate) sealing: Sealing,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to write.
    Idle,
    /// All that was pending at the beginning of the step is durable.
    Committed,
    /// There is no space. What is not written is kept: step again later.
    Full,
    /// The journal is closed, and all is written that could be.
    Closed,
}

/// What was taken from the appenders and is being written.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    rolls: Vec<Roll>,
    /// How many of the bytes are durable.
    done: usize,
    /// How many of the rolls are done.
    rolled: usize,
    /// The segment ends after this batch.
    ends_segment: bool,
}

/// The segment that is being written.
pub(crate) struct Current {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    header: SegmentHeader,
    /// By the monotonic clock.
    begun: Duration,
    /// Where the next entry goes, in the file.
    written: u64,
    /// How much space is reserved.
    reserved: u64,
    tally: Tally,
}

/// Whether a step within a step found space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    Enough,
    Full,
}

impl Committer {
    /// Works until the journal is closed or its disk fails.
    pub fn run(mut self) -> Result<(), Fatal> {
        self.sealing = match self.sealing.into_thread() {
            Ok(sealing) => sealing,
            Err(fatal) => {
                self.shared.counters.failed.store(true, Relaxed);
                self.shared.lock().closed = true;
                self.options.observer.failed(&fatal);
                return Err(fatal);
            }
        };
        loop {
            match self.commit_step()? {
                Step::Committed => {}
                Step::Idle => self.shared.wait(IDLE_TICK, false),
                // What is held back waits for space; otherwise only the reserve is missing, and commits go on.
                Step::Full => self.shared.wait(FULL_RETRY, self.batch.done < self.batch.bytes.len()),
                Step::Closed => return self.end(),
            }
        }
    }

    fn end(self) -> Result<(), Fatal> {
        let sealed = self.sealing.end()?;
        self.shared.counters.sealed.fetch_add(sealed, Relaxed);
        self.shared.counters.unsealed.fetch_sub(sealed, Relaxed);
        Ok(())
    }

    /// One step: takes all that is pending, makes it durable, says so, then does what is due besides.
    ///
    /// After an error the journal is closed and nothing becomes durable any more: drop the committer, end the process.
    pub fn commit_step(&mut self) -> Result<Step, Fatal> {
        let counters = &self.shared.counters;
        if counters.failed.load(Relaxed) {
            return Ok(Step::Closed);
        }
        let since = self.clock.monotonic().as_micros() as u64;
        counters.step_since.store(since + 1, Relaxed);
        let result = self.step();
        let counters = &self.shared.counters;
        counters.unsealed.store(self.sealing.waiting() as u64, Relaxed);
        counters.step_since.store(0, Relaxed);
        if let Err(fatal) = &result {
            counters.failed.store(true, Relaxed);
            self.shared.lock().closed = true;
            self.options.observer.failed(fatal);
        }
        result
    }

    fn step(&mut self) -> Result<Step, Fatal> {
        let closed = self.take();
        let had_work = self.batch.done < self.batch.bytes.len();
        let mut space = self.write_batch()?;
        if space == Space::Enough {
            if std::mem::take(&mut self.batch.ends_segment) {
                self.retire();
            }
            space = self.reserve_ahead()?;
        }
        if self.shared.set_full(space == Space::Full) {
            self.options.observer.full(space == Space::Full);
        }
        let sealed = self.sealing.progress()?;
        if self.sealing.is_lost() && !self.shared.counters.sealing_lost.swap(true, Relaxed) {
            self.options.observer.sealing_lost();
        }
        self.shared.counters.sealed.fetch_add(sealed, Relaxed);
        Ok(match space {
            // What is not durable was promised to nobody.
            _ if closed && (space == Space::Full || self.current.is_none()) => Step::Closed,
            Space::Enough if had_work => Step::Committed,
            Space::Enough => Step::Idle,
            // Everything is written, and only what comes next may find no space.
            Space::Full if had_work && self.batch.done == self.batch.bytes.len() => Step::Committed,
            Space::Full => Step::Full,
        })
    }

    /// Takes what was appended, once all that was taken before is durable. Returns whether nothing more will come.
    fn take(&mut self) -> bool {
        let mut pending = self.shared.lock();
        if self.batch.done < self.batch.bytes.len() {
            return pending.closed;
        }
        self.batch.clear();
        std::mem::swap(&mut pending.bytes, &mut self.batch.bytes);
        std::mem::swap(&mut pending.rolls, &mut self.batch.rolls);
        let is_written = self.current.as_ref().is_some_and(|current| !current.is_empty());
        let ends = std::mem::take(&mut pending.ends) && (is_written || !self.batch.bytes.is_empty());
        let aged = self.current.as_ref().is_some_and(|current| {
            self.clock.monotonic().saturating_sub(current.begun) >= self.options.segment_age && is_written
        });
        if aged || ends || pending.closed {
            pending.end_segment();
            self.batch.ends_segment = true;
        }
        pending.closed
    }

    fn write_batch(&mut self) -> Result<Space, Fatal> {
        while self.batch.done < self.batch.bytes.len() {
            if let Some(&Roll { at, base }) = self.batch.rolls.get(self.batch.rolled)
                && at == self.batch.done
            {
                self.retire();
                if self.begin_segment(base)? == Space::Full {
                    return Ok(Space::Full);
                }
                self.batch.rolled += 1;
            }
            let end = self.batch.rolls.get(self.batch.rolled).map_or(self.batch.bytes.len(), |roll| roll.at);
            if self.write_group(end)? == Space::Full {
                return Ok(Space::Full);
            }
        }
        Ok(Space::Enough)
    }

    /// Makes the batch durable up to `end`, all of which is of the current segment.
    fn write_group(&mut self, end: usize) -> Result<Space, Fatal> {
        let current = self.current.as_mut().expect("the first append to a journal begins a segment");
        let group = &mut self.batch.bytes[self.batch.done..end];
        if current.reserve(group.len() as u64, self.options.reserve_bytes)? == Space::Full {
            return Ok(Space::Full);
        }
        let entries = put_checksums(group);
        let began = self.clock.monotonic();
        current.file.write_at(group, current.written).or_fatal("write", &current.path)?;
        let written = self.clock.monotonic();
        current.file.sync().or_fatal("flush", &current.path)?;
        let synced = self.clock.monotonic();
        let from = Lsn(current.header.base + current.written);
        let durable = Lsn(from.0 + group.len() as u64);
        self.shared.publish(durable);
        self.shared.counters.commits.fetch_add(1, Relaxed);
        self.shared.counters.entries.fetch_add(entries, Relaxed);
        self.options.observer.committed(&Commit {
            from,
            durable,
            entries,
            bytes: group.len() as u64,
            write: written.saturating_sub(began),
            sync: synced.saturating_sub(written),
        });
        // Nobody waits for the hashes, so they come last.
        current.tally(group);
        self.batch.done = end;
        Ok(Space::Enough)
    }

    fn begin_segment(&mut self, base: u64) -> Result<Space, Fatal> {
        let path = paths::segment(&self.folder, base);
        let file = match self.unfinished.take() {
            Some(file) => file,
            None => match self.disk.create(&path) {
                Err(error) if is_full(&error) => return Ok(Space::Full),
                created => created.or_fatal("create", &path)?,
            },
        };
        let reserved = self.options.reserve_bytes;
        match file.allocate(0, reserved) {
            Err(error) if is_full(&error) => {
                self.unfinished = Some(file);
                return Ok(Space::Full);
            }
            allocated => allocated.or_fatal("reserve space for", &path)?,
        }
        // The segment is whole, empty and durable before anything is written into it, so a power cut cannot leave
        // entries without their header.
        let header = SegmentHeader { node: self.options.node, base, created_at: self.clock.now() };
        file.write_at(&header.to_bytes(), 0).or_fatal("write", &path)?;
        file.sync().or_fatal("flush", &path)?;
        self.disk.sync_folder(&self.folder).or_fatal("flush", &self.folder)?;
        self.shared.counters.segments.fetch_add(1, Relaxed);
        let begun = self.clock.monotonic();
        let written = SEGMENT_HEADER_BYTES as u64;
        self.current = Some(Current { file, path, header, begun, written, reserved, tally: Tally::new() });
        Ok(Space::Enough)
    }

    /// Hands the current segment over to be sealed.
    fn retire(&mut self) {
        if let Some(Current { file, header, written, tally, .. }) = self.current.take() {
            self.sealing.add(Complete {
                file,
                header,
                end: header.base + written,
                length: written,
                tally,
                erased: Vec::new(),
            });
        }
    }

    /// Reserves the next step before it is needed, so that a full disk shows while there still is space for
    /// everything that is under way.
    fn reserve_ahead(&mut self) -> Result<Space, Fatal> {
        let step = self.options.reserve_bytes;
        match &mut self.current {
            Some(current) if current.written + step / 2 < self.options.segment_bytes => current.reserve(step / 2, step),
            _ => Ok(Space::Enough),
        }
    }
}

impl Batch {
    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(RETAINED_BYTES_MAX);
        self.rolls.clear();
        (self.done, self.rolled) = (0, 0);
    }
}

impl Current {
    fn is_empty(&self) -> bool {
        self.written == SEGMENT_HEADER_BYTES as u64
    }

    /// Sees to it that `length` more bytes have space, in whole steps.
    fn reserve(&mut self, length: u64, step: u64) -> Result<Space, Fatal> {
        let needed = (self.written + length).next_multiple_of(step);
        if needed <= self.reserved {
            return Ok(Space::Enough);
        }
        match self.file.allocate(self.reserved, needed - self.reserved) {
            Err(error) if is_full(&error) => Ok(Space::Full),
            allocated => {
                allocated.or_fatal("reserve space for", &self.path)?;
                self.reserved = needed;
                Ok(Space::Enough)
            }
        }
    }

    fn tally(&mut self, mut group: &[u8]) {
        while let Some(bytes) = group.get(..entry::length_of(group)).filter(|bytes| !bytes.is_empty()) {
            let entry = Entry::view(bytes).expect("an entry that was laid out here");
            self.tally.add(&entry, self.written);
            self.written += bytes.len() as u64;
            group = &group[bytes.len()..];
        }
    }
}

/// Fills in the checksums of a group and returns how many entries it has.
fn put_checksums(mut group: &mut [u8]) -> u64 {
    let mut entries = 0;
    while !group.is_empty() {
        let (entry, rest) = group.split_at_mut(entry::length_of(group));
        entry::put_checksum(entry);
        entries += 1;
        group = rest;
    }
    entries
}

/// How often the committer looks at its segment's age.
const IDLE_TICK: Duration = Duration::from_secs(1);

/// How much memory is kept after a spike.
const RETAINED_BYTES_MAX: usize = 8 << 20;
