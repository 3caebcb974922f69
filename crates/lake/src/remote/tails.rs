//! What cannot change and is read again and again: the log's entries, and the ends of Parquet files, where their
//! contents are described.
//!
//! A file is kept from some byte to its end, so that one length decides what is known of it. What this process wrote is
//! known without asking: a query over the last hours reads small files, and makes no request for them.

use bytes::Bytes;
use object_store::path::Path as Location;
use object_store::{Attributes, GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

/// The ends of files, the least recently used ones forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_location: HashMap<Location, (u64, Tail)>,
    bytes: usize,
    /// Counts uses: the order in which things are forgotten.
    used: u64,
}

/// A file from a byte to its end.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    size: u64,
    from: u64,
    bytes: Bytes,
}

impl Tail {
    pub(crate) const fn new(size: u64, from: u64, bytes: Bytes) -> Self {
        Self { size, from, bytes }
    }

    fn slice(&self, range: &Range<u64>) -> Option<Bytes> {
        let begin = usize::try_from(range.start.checked_sub(self.from)?).ok()?;
        let end = usize::try_from(range.end.min(self.size).checked_sub(self.from)?).ok()?;
        (begin <= end && end <= self.bytes.len()).then(|| self.bytes.slice(begin..end))
    }
}

/// Whether this end of a file is worth keeping, and safe to keep.
pub(crate) fn is_kept(location: &Location, size: u64, range: &Range<u64>) -> bool {
    let short = range.end - range.start <= TAIL_BYTES as u64;
    range.end == size && short && (is_log_entry(location) || is_data(location))
}

/// The last bytes of a Parquet file, which say how many before them describe it: whoever asks for these, asks for those next.
pub(crate) fn footer(location: &Location, options: &GetOptions) -> Option<Range<u64>> {
    let Some(GetRange::Bounded(range)) = &options.range else { return None };
    let is_footer = range.end.checked_sub(range.start) == Some(FOOTER_BYTES);
    (is_footer && is_data(location)).then(|| range.clone())
}

/// As much before them as is kept, and they.
pub(crate) fn before(footer: &Range<u64>) -> Range<u64> {
    footer.end.saturating_sub(TAIL_BYTES as u64)..footer.end
}

/// Put once, and never again under this name.
fn is_log_entry(location: &Location) -> bool {
    let name = location.filename().unwrap_or_default();
    name.strip_suffix(".json").is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A checkpoint is not: two nodes may write the same one, and not byte for byte.
fn is_data(location: &Location) -> bool {
    location.filename().is_some_and(|name| name.ends_with(".parquet") && !name.contains(".checkpoint."))
}

impl Tails {
    /// Keeps the end of what was just put.
    pub(crate) fn written(&self, location: &Location, whole: &Bytes) {
        let size = whole.len() as u64;
        let from = size.saturating_sub(TAIL_BYTES as u64);
        match is_kept(location, size, &(from..size)) {
            // Copied, or a few bytes would hold all of a large file.
            true => {
                let tail = Bytes::copy_from_slice(&whole[whole.len().saturating_sub(TAIL_BYTES)..]);
                self.read(location, Tail::new(size, from, tail));
            }
            false => self.forget(location),
        }
    }

    /// Keeps what was read.
    pub(crate) fn read(&self, location: &Location, tail: Tail) {
        let mut state = self.lock();
        if state.by_location.get(location).is_some_and(|(_, known)| known.size == tail.size && known.from <= tail.from)
        {
            return;
        }
        state.forget(location);
        state.used += 1;
        state.bytes += tail.bytes.len() + ENTRY_BYTES;
        let used = state.used;
        state.by_location.insert(location.clone(), (used, tail));
        if state.bytes > TAILS_BYTES_MAX {
            state.shrink();
        }
    }

    pub(crate) fn forget(&self, location: &Location) {
        self.lock().forget(location);
    }

    /// What a request asks for, if it is known.
    pub(crate) fn get(&self, location: &Location, options: &GetOptions) -> Option<GetResult> {
        let tail = self.lock().tail(location)?;
        let range = match &options.range {
            None => 0..tail.size,
            Some(GetRange::Bounded(range)) => range.start..range.end.min(tail.size),
            Some(GetRange::Offset(from)) => *from..tail.size,
            Some(GetRange::Suffix(count)) => tail.size.saturating_sub(*count)..tail.size,
        };
        let bytes = if options.head { Bytes::new() } else { tail.slice(&range).filter(|bytes| !bytes.is_empty())? };
        // Nobody who reads a part asks when the file was made.
        let last_modified = chrono::DateTime::UNIX_EPOCH;
        let meta =
            ObjectMeta { location: location.clone(), last_modified, size: tail.size, e_tag: None, version: None };
        let payload = GetResultPayload::Stream(Box::pin(futures::stream::once(async { Ok(bytes) })));
        Some(GetResult { payload, meta, range, attributes: Attributes::default() })
    }

    /// All of these ranges, if they are known. Not where one ends behind the object: that is looked at again.
    pub(crate) fn ranges(&self, location: &Location, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
        let tail = self.lock().tail(location)?;
        ranges.iter().map(|range| tail.slice(range).filter(|_| range.end <= tail.size)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics holding it")
    }
}

impl State {
    fn tail(&mut self, location: &Location) -> Option<Tail> {
        self.used += 1;
        let (used, tail) = self.by_location.get_mut(location)?;
        *used = self.used;
        Some(tail.clone())
    }

    fn forget(&mut self, location: &Location) {
        if let Some((_, tail)) = self.by_location.remove(location) {
            self.bytes -= tail.bytes.len() + ENTRY_BYTES;
        }
    }

    /// Forgets the older ones at once, so that the next ones come cheap.
    fn shrink(&mut self) {
        let mut by_age: Vec<_> =
            self.by_location.iter().map(|(location, (used, _))| (*used, location.clone())).collect();
        by_age.sort_unstable();
        for (_, location) in by_age {
            if self.bytes <= TAILS_BYTES_MAX / 4 * 3 {
                break;
            }
            self.forget(&location);
        }
    }
}

/// A length, and four letters.
const FOOTER_BYTES: u64 = 8;
/// As much as the reader of Parquet asks for at first.
pub(super) const TAIL_BYTES: usize = 512 << 10;
/// Names, and what a map takes for each.
const ENTRY_BYTES: usize = 256;
/// All of them together.
const TAILS_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn location(name: &str) -> Location {
        Location::from(name)
    }

    fn known(tails: &Tails, file: &Location, range: Range<u64>) -> Option<Bytes> {
        tails.ranges(file, std::slice::from_ref(&range)).map(|mut found| found.remove(0))
    }

    #[test]
    fn the_end_of_what_was_written_is_known() {
        let tails = Tails::default();
        let whole: Bytes = (0..TAIL_BYTES as u32 / 2).flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into();
        let (size, file) = (whole.len() as u64, location("day=1/a.parquet"));
        tails.written(&file, &whole);
        let last = size - 8..size;
        assert_eq!(known(&tails, &file, last.clone()), Some(whole.slice(whole.len() - 8..)));
        assert_eq!(tails.ranges(&file, &[last.clone(), 0..8]), None, "the beginning is not kept");
        assert_eq!(
            tails.ranges(&file, &[last.clone(), last.start..size + 10]),
            None,
            "the object may have become longer"
        );
        tails.forget(&file);
        assert_eq!(known(&tails, &file, last), None);
        assert_eq!(tails.lock().bytes, 0);
    }

    #[test]
    fn what_may_change_is_not_kept() {
        for (name, kept) in [
            ("t/_delta_log/00000000000000000007.json", true),
            ("t/_delta_log/_last_checkpoint", false),
            ("t/_delta_log/00000000000000000099.crc", false),
            ("t/day=2026-06-01/x.parquet", true),
        ] {
            assert_eq!(is_kept(&location(name), 10, &(0..10)), kept, "{name}");
        }
        assert!(!is_kept(&location("x.parquet"), 20, &(0..10)), "not its end");
    }

    #[test]
    fn the_least_recently_used_ones_are_forgotten() {
        let tails = Tails::default();
        let count = TAILS_BYTES_MAX / TAIL_BYTES + 8;
        let whole = Bytes::from(vec![7; TAIL_BYTES]);
        for number in 0..count {
            tails.written(&location(&format!("{number}.parquet")), &whole);
            assert!(known(&tails, &location("0.parquet"), 0..1).is_some(), "used all the time");
            assert!(tails.lock().bytes <= TAILS_BYTES_MAX);
        }
        assert_eq!(known(&tails, &location("1.parquet"), 0..1), None);
        assert!(known(&tails, &location(&format!("{}.parquet", count - 1)), 0..1).is_some());
    }
}
