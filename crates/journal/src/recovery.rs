//! Opens a node's folder: finds out what the last process left, ends its segment, and begins anew.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use odograph_env::{Clock, Disk, DiskFile, Rng};
use odograph_model::Lsn;

use crate::chain::Chain;
use crate::commit::{Batch, Committer};
use crate::entry::Stop;
use crate::error::{Error, IoContext as _};
use crate::journal::{Journal, Shared};
use crate::key::{Key, PublicKey};
use crate::options::Options;
use crate::paths::{self, Listing};
use crate::scan::{READ_BYTES, Scan};
use crate::seal::{Complete, Sealer, Sealing};
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
        for leftover in &listing.temporary {
            disk.remove(leftover).doing("remove", leftover)?;
        }
        let key = Key::open_or_create(&*disk, folder, rng)?;
        let chain = Chain::open_or_create(&*disk, folder)?;
        let mut recovery =
            Recovery { segments: Vec::new(), next: chain.end(), chain_cut: chain.is_cut(), public_key: key.public() };
        let mut waiting = VecDeque::new();
        for base in listing.segments.iter().copied().filter(|&base| base >= chain.end().0) {
            let (recovered, complete) = recover(&*disk, folder, base, listing.next_base(base), &options, &*clock)?;
            // Places that were ever used are not used again, whatever became of what was there.
            recovery.next = Lsn(recovered.end.0 + recovered.bytes_after);
            recovery.segments.push(recovered);
            waiting.extend(complete);
        }
        let observer = Arc::clone(&options.observer);
        let folder = folder.to_owned();
        let sealer =
            Sealer { disk: Arc::clone(&disk), clock: Arc::clone(&clock), folder: folder.clone(), key, chain, observer };
        let mut sealing = Sealing::Inline { sealer: Box::new(sealer), waiting };
        let sealed = sealing.progress()?;
        let shared = Arc::new(Shared::new(recovery.next, options.segment_bytes));
        shared.counters.sealed.store(sealed, std::sync::atomic::Ordering::Relaxed);
        let journal = Self::new(Arc::clone(&shared));
        let batch = Batch::default();
        let committer =
            Committer { shared, disk, clock, folder, options, batch, current: None, unfinished: None, sealing };
        Ok((journal, committer, recovery))
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
    let mut recovered = Recovered {
        path,
        base: Lsn(base),
        end,
        entries,
        stop,
        bytes_after: length.saturating_sub(scan.offset()),
        entries_after: 0,
        header: Header::Whole,
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
    // What was read may be in memory only: the last process may have died before it flushed. From here on it counts as
    // durable, whether or not there is space for its seal.
    scan.file().sync().doing("flush", &recovered.path)?;
    let length = length.max(end.0 - base);
    let complete = Complete { file: scan.into_file(), header, end: end.0, length, tally };
    Ok((recovered, Some(complete)))
}

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
