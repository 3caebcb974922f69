//! Opens a node's folder: finds out what the last process left, ends its segment, and begins anew.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use odograph_env::{Clock, Disk, DiskFile, Rng};
use odograph_model::Lsn;

use crate::begin::Begin;
use crate::chain::Chain;
use crate::commit::{Batch, Committer};
use crate::cursors::CursorStore;
use crate::entry::Stop;
use crate::erasures;
use crate::error::{Error, IoContext as _};
use crate::holes::Hole;
use crate::index;
use crate::journal::{APPEND_BYTES_MAX, CONGESTED_BYTES, Journal, Shared};
use crate::key::{Key, PublicKey};
use crate::options::Options;
use crate::paths::{self, Listing};
use crate::reader::Reader;
use crate::removed;
use crate::scan::{READ_BYTES, Scan};
use crate::seal::{self, Complete, Sealer, Sealing};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::tally::Tally;

/// What was found when the folder was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The segments that had no seal, oldest first.
    pub segments: Vec<Recovered>,
    /// Where the journal goes on.
    pub next: Lsn,
    /// The last record of the chain was incomplete; its segment is sealed again.
    pub chain_cut: bool,
    /// The signing key is not the one that the chain names: the old one was lost, or exchanged. What follows is signed with
    /// this one.
    pub other_key: bool,
    /// Seals that there were are lost, with the proof of what was sealed. Their segments, among [`Recovery::segments`], are
    /// sealed again as they are now.
    pub seals_lost: bool,
    /// Sealed segments whose index is missing: it is made again, from the segment and against its seal.
    pub indexes_missing: usize,
    /// What is lost: segments that should be there and are not.
    pub holes: Vec<Hole>,
    /// Where the cursors are that were not what was written. Readers begin again.
    pub cursors_aside: Option<PathBuf>,
    /// The key that checks this node's seals.
    pub public_key: PublicKey,
}

/// A segment that had no seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its file. With [`Header::Unreadable`]: where it was put aside, or was before it was removed as empty.
    pub path: PathBuf,
    /// Where it begins.
    pub base: Lsn,
    /// Where its valid data ends.
    pub end: Lsn,
    /// How many valid entries it has.
    pub entries: u64,
    /// Why reading ended there.
    pub stop: Stop,
    /// How many bytes behind it are kept: not zero, and not readable.
    pub bytes_after: u64,
    /// How many whole entries are among them. After a power cut these were never acknowledged; otherwise something
    /// damaged the disk, and they may have been.
    pub entries_after: u64,
    /// How its header was.
    pub header: Header,
    /// Whether the index that it had follows from what is there now; `None`: it had none.
    pub index_agrees: Option<bool>,
}

/// How a recovered segment's header was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// As it was written.
    Whole,
    /// Damaged, but entries follow it: it was written again.
    Rewritten,
    /// Damaged or never written, and nothing can be read behind it. What is not zero was put aside.
    Unreadable,
}

impl Journal {
    /// Opens a node's folder, creating it if need be, and recovers what the last process left.
    ///
    /// Appends work at once; they become durable when the committer runs. Nothing but this process may write there.
    pub fn open(
        folder: &Path,
        options: Options,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        rng: &dyn Rng,
    ) -> Result<(Self, Committer, Recovery), Error> {
        options.check()?;
        create_folder(&*disk, folder)?;
        let listing = Listing::read(&*disk, folder)?;
        disk.sync_folder(folder).doing("flush", folder)?;
        clean(&*disk, folder, &listing)?;
        let cursors_aside = CursorStore::put_aside_damaged(&*disk, folder)?;
        let holes = Reader::open(Arc::clone(&disk), folder)?.holes()?;
        let (key, is_new) = Key::open_or_create(&*disk, folder, rng)?;
        let mut chain = Chain::open_or_create(&*disk, folder)?;
        let begun = begin_chain(&listing, &mut chain, &key, is_new, &options, &*clock)?;
        let mut recovery = Recovery {
            segments: Vec::new(),
            next: chain.end(),
            chain_cut: chain.is_cut(),
            other_key: begun.is_some_and(|begun| begun.other_key),
            seals_lost: begun.is_some_and(|begun| begun.seals_lost),
            indexes_missing: 0,
            holes,
            cursors_aside,
            public_key: key.public(),
        };
        let goes_on = chain.goes_on();
        let unsealed: Vec<u64> = listing.segments.iter().copied().filter(|&base| base >= chain.end().0).collect();
        let observer = Arc::clone(&options.observer);
        let folder = folder.to_owned();
        let sealer = Sealer::new(Arc::clone(&disk), Arc::clone(&clock), folder.clone(), key, chain, observer);
        let mut sealing = Sealing::Inline { sealer: Box::new(sealer), waiting: VecDeque::new() };
        let mut sealed = 0;
        for base in unsealed {
            let (recovered, complete) = recover(&*disk, &folder, base, listing.next_base(base), &options, &*clock)?;
            // Places that were ever used are not used again, whatever became of what was there.
            recovery.next = Lsn(recovered.end.0 + recovered.bytes_after);
            recovery.segments.push(recovered);
            complete.into_iter().for_each(|complete| sealing.add(complete));
            // One after the other: after the loss of the chain, these may be all that there are.
            sealed += sealing.progress()?;
            if sealing.waiting() > UNSEALED_MAX {
                return Err(Error::Damaged { path: folder, what: "no space to seal the segments that have no seal" });
            }
        }
        let reader = Reader::open(Arc::clone(&disk), &folder)?;
        // Also those that a life before found, which has written nothing since.
        recovery.next = recovery.next.max(goes_on).max(reader.used_to()?).max(reader.removed()?);
        recovery.count_on_cursors(&disk, &reader)?;
        recovery.indexes_missing = sealing.rebuild_missing(&listing)?;
        let shared = Arc::new(Shared::new(recovery.next, options.segment_bytes));
        shared.counters.sealed.store(sealed, std::sync::atomic::Ordering::Relaxed);
        let journal = Self::new(Arc::clone(&shared));
        let batch = Batch::default();
        let committer =
            Committer { shared, disk, clock, folder, options, batch, current: None, unfinished: None, sealing };
        Ok((journal, committer, recovery))
    }
}

/// More segments without a seal than this are not kept in memory until there is space to seal them.
const UNSEALED_MAX: usize = 16;

/// Removes what a process that died left behind half done: files that were being written, and indexes of segments that
/// retention had removed.
fn clean(disk: &dyn Disk, folder: &Path, listing: &Listing) -> Result<(), Error> {
    for leftover in &listing.temporary {
        disk.remove(leftover).doing("remove", leftover)?;
    }
    removed::create(disk, folder)?;
    let removed = removed::read(disk, folder)?.unwrap_or_default().0;
    for base in listing.indexes.iter().filter(|base| **base < removed && !listing.segments.contains(base)) {
        let path = paths::index(folder, *base);
        disk.remove(&path).doing("remove", &path)?;
    }
    Ok(())
}

/// Begins the chain, or says in it that it goes on with another key or after a loss. Durable before anything is sealed.
fn begin_chain(
    listing: &Listing,
    chain: &mut Chain,
    key: &Key,
    key_is_new: bool,
    options: &Options,
    clock: &dyn Clock,
) -> Result<Option<Begin>, Error> {
    let has_segments = !listing.segments.is_empty() || !listing.indexes.is_empty();
    // An index is durable before its seal, and the next one comes after that: only one of them can be without.
    let unsealed = listing.segments.iter().filter(|&&base| base >= chain.end().0);
    let indexed_behind = unsealed.skip(1).any(|base| listing.indexes.binary_search(base).is_ok());
    let seals_lost = indexed_behind || (chain.is_empty() && has_segments);
    let other_key = !chain.is_of(&key.public()) || (key_is_new && (has_segments || !chain.is_empty()));
    if !(chain.is_empty() || seals_lost || other_key) {
        return Ok(None);
    }
    let newest = listing.segments.last().map_or(chain.end(), |&base| Lsn(base));
    let begin = Begin { other_key, seals_lost, ..Begin::new(options.node, newest, clock.now()) };
    chain.begin(begin, key)?;
    Ok(Some(begin))
}

impl Recovery {
    /// Where a reader has been, there was something: if that is gone with the file that had it, nothing else knows. Its
    /// places are not used again, or that reader would take what is new for what it has read.
    fn count_on_cursors(&mut self, disk: &Arc<dyn Disk>, reader: &Reader) -> Result<(), Error> {
        let cursors = CursorStore::open(Arc::clone(disk), reader.folder())?;
        let reached = cursors.all().map(|(_, place)| place).max().unwrap_or_default();
        if reached > self.next {
            let path = paths::segment(reader.folder(), self.next.0);
            self.holes.push(Hole { begin: self.next, end: reached, path });
            self.next = reached;
        }
        Ok(())
    }
}

/// Creates the folder, and makes it durable in the two folders above, which may be as new.
fn create_folder(disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
    disk.create_folder(folder).doing("create", folder)?;
    for above in folder.ancestors().skip(1).take(2).filter(|above| !above.as_os_str().is_empty()) {
        disk.sync_folder(above).doing("flush", above)?;
    }
    Ok(())
}

/// Finds where the valid data of a segment ends. What has entries is to be sealed.
fn recover(
    disk: &dyn Disk,
    folder: &Path,
    base: u64,
    next_base: Option<u64>,
    options: &Options,
    clock: &dyn Clock,
) -> Result<(Recovered, Option<Complete>), Error> {
    let path = paths::segment(folder, base);
    let file = disk.open(&path).doing("open", &path)?;
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let read = file.read_at(&mut bytes, 0).doing("read", &path)?;
    let found = SegmentHeader::parse(&bytes).filter(|header| header.base == base);
    if let Some(SegmentHeader { node, .. }) = found.filter(|header| header.node != options.node) {
        return Err(Error::WrongNode { path, found: node, expected: options.node });
    }
    let mut scan = Scan::new(file, base);
    if let Some(next_base) = next_base {
        scan.set_end(Lsn(next_base));
    }
    let mut tally = Tally::new();
    let stop = read_entries(&mut scan, &mut tally).doing("read", &path)?;
    let end = scan.place();
    let length = used_length(scan.file()).doing("read", &path)?;
    let entries = tally.entries();
    // Sealed once, and erased then, where seals were lost since.
    let erased = if tally.erased() > 0 { erasures::of_segment(disk, folder, base)? } else { Vec::new() };
    let mut recovered = Recovered {
        path,
        base: Lsn(base),
        end,
        entries,
        stop,
        bytes_after: length.saturating_sub(scan.offset()),
        entries_after: 0,
        header: Header::Whole,
        index_agrees: seal::read_index(disk, folder, base)?
            .map(|index| index == index::encode(&tally, base, end.0, &erased)),
    };
    if recovered.bytes_after > 0 {
        recovered.entries_after = count_entries_after(&mut scan).doing("read", &recovered.path)?;
    }
    let header = match found {
        Some(header) => header,
        None if entries > 0 => {
            let header = SegmentHeader { node: options.node, base, created_at: clock.now() };
            scan.file().write_at(&header.to_bytes(), 0).doing("write", &recovered.path)?;
            recovered.header = Header::Rewritten;
            header
        }
        None => {
            recovered.header = Header::Unreadable;
            recovered.end = Lsn(base);
            recovered.bytes_after = length;
            put_aside(disk, folder, &mut recovered, read)?;
            return Ok((recovered, None));
        }
    };
    // What was read may be in memory only: the last process may have died before it flushed, or of a flush that failed, after which
    // no other flush writes what that one did not. From here on it counts as durable, whether or not there is space for its seal.
    write_again(scan.file(), end.0 - base).doing("write", &recovered.path)?;
    scan.file().sync().doing("flush", &recovered.path)?;
    let length = length.max(end.0 - base);
    let complete = Complete { file: scan.into_file(), header, end: end.0, length, tally, erased };
    Ok((recovered, Some(complete)))
}

/// Writes once more what one flush may have covered, up to `end`.
fn write_again(file: &dyn DiskFile, end: u64) -> std::io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut at = end.saturating_sub(FLUSHED_BYTES_MAX);
    while at < end {
        let block = &mut buffer[..(end - at).min(READ_BYTES as u64) as usize];
        let read = file.read_at(block, at)?;
        if read == 0 {
            return Ok(());
        }
        file.write_at(&block[..read], at)?;
        at += read as u64;
    }
    Ok(())
}

/// Appends wait once so much is pending, and those that come at that moment are taken.
const FLUSHED_BYTES_MAX: u64 = CONGESTED_BYTES + 4 * APPEND_BYTES_MAX as u64;

fn read_entries(scan: &mut Scan, tally: &mut Tally) -> std::io::Result<Stop> {
    loop {
        let offset = scan.offset();
        match scan.advance()? {
            Ok(located) => drop(tally.add(&scan.entry(located), offset)),
            Err(stop) => return Ok(stop),
        }
    }
}

fn count_entries_after(scan: &mut Scan) -> std::io::Result<u64> {
    let valid_end = scan.place();
    let mut count = 0;
    while scan.resynchronise()? {
        while scan.advance()?.is_ok() {
            count += 1;
        }
    }
    scan.seek(valid_end);
    Ok(count)
}

/// The file's length without the zeros at its end.
fn used_length(file: &dyn DiskFile) -> std::io::Result<u64> {
    let mut buffer = vec![0; READ_BYTES];
    let mut end = file.length()?;
    while end > 0 {
        let begin = end.saturating_sub(READ_BYTES as u64);
        let block = &mut buffer[..(end - begin) as usize];
        let read = file.read_at(block, begin)?;
        if let Some(last) = block[..read].iter().rposition(|&byte| byte != 0) {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Takes a segment out of the way that has nothing readable: what is not empty is kept under another name.
fn put_aside(disk: &dyn Disk, folder: &Path, recovered: &mut Recovered, read: usize) -> Result<(), Error> {
    if recovered.bytes_after == 0 || read == 0 {
        disk.remove(&recovered.path).doing("remove", &recovered.path)?;
    } else {
        let taken = disk.list(folder).doing("list", folder)?;
        let name = (0..=u32::MAX).map(|attempt| paths::damaged(folder, recovered.base.0, attempt));
        let aside = name.into_iter().find(|name| !taken.contains(name)).expect("fewer than 2^32 damaged files");
        disk.rename(&recovered.path, &aside).doing("rename", &recovered.path)?;
        recovered.path = aside;
    }
    disk.sync_folder(folder).doing("flush", folder)
}
