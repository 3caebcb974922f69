//! Which sealed segments may go, and which must although somebody still needs them.

use std::io::ErrorKind;
use std::path::Path;

use odograph_model::Lsn;

use crate::error::{Error, IoContext as _};
use crate::leaves;
use crate::observer::Observer;
use crate::paths;
use crate::reader::Reader;
use crate::removed;

/// A sealed segment, as the decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Where it begins.
    pub base: Lsn,
    /// Where it ends.
    pub end: Lsn,
    /// How much disk it takes, with its index.
    pub bytes: u64,
}

/// A segment that is to be removed, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Which one.
    pub segment: Held,
    /// The disk budget forces it, and not everyone has read it: data is lost to whoever has not.
    pub forced: bool,
}

/// Decides. `segments` ascend; `least_uncommitted` is the least place that anybody still needs (`None`: nobody has said
/// yet, so everything is kept); `budget` is how many bytes all of them together may take.
///
/// The oldest go first, and none is skipped: the journal stays one piece.
pub fn decide(segments: &[Held], least_uncommitted: Option<Lsn>, budget: Option<u64>) -> Vec<Removal> {
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut removals = Vec::new();
    for &segment in segments {
        let read_by_all = least_uncommitted.is_some_and(|least| segment.end <= least);
        if !read_by_all && budget.is_none_or(|budget| bytes <= budget) {
            break;
        }
        bytes -= segment.bytes;
        removals.push(Removal { segment, forced: !read_by_all });
    }
    removals
}

/// How many bytes the segments take that somebody still needs: where the budget is less, data is forced out.
pub fn needed(segments: &[Held], least_uncommitted: Option<Lsn>) -> u64 {
    let needed = segments.iter().filter(|segment| least_uncommitted.is_none_or(|least| segment.end > least));
    needed.map(|segment| segment.bytes).sum()
}

/// The sealed segments that may go, oldest first. The newest segment of all is not among them: it says where the
/// journal goes on, whatever happens to the last record of the chain.
pub fn held(reader: &Reader) -> Result<Vec<Held>, Error> {
    let listing = reader.listing()?;
    let mut held = Vec::new();
    for record in reader.seals()?.into_iter().flatten() {
        let newest = listing.segments.last() == Some(&record.base.0);
        if !newest && listing.segments.binary_search(&record.base.0).is_ok() {
            let segment = length(reader, &paths::segment(reader.folder(), record.base.0))?;
            let index = length(reader, &paths::index(reader.folder(), record.base.0))?;
            held.push(Held { base: record.base, end: record.end, bytes: segment + index });
        }
    }
    Ok(held)
}

/// How many bytes there are before `durable` and behind the segments that are `held`: those become such segments.
///
/// # Errors
///
/// When the folder cannot be listed.
pub fn unsealed(reader: &Reader, held: &[Held], durable: Lsn) -> Result<u64, Error> {
    let from = match held.last() {
        Some(last) => Some(last.end),
        None => reader.oldest()?,
    };
    Ok(from.map_or(0, |from| durable.0.saturating_sub(from.0)))
}

/// Removes segments, oldest first, and tells the observer of each. Their seals stay, and so do their devices' hashes, until
/// [`Reader::remove_leaves`]. Word of it is durable before the first one goes: whatever else is missing was lost.
pub fn remove(reader: &Reader, removals: &[Removal], observer: &dyn Observer) -> Result<(), Error> {
    if let Some(last) = removals.last() {
        removed::set(reader.disk(), reader.folder(), last.segment.end)?;
    }
    let seals = if removals.is_empty() { Vec::new() } else { reader.seals()? };
    for removal in removals {
        let base = removal.segment.base;
        observer.removing(removal);
        let record = seals.iter().flatten().find(|record| record.base == base);
        if !record.map_or(Ok(false), |record| leaves::prepare(reader, record))? {
            observer.unprovable(base);
        }
        let path = paths::segment(reader.folder(), base.0);
        match reader.disk().remove(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.doing("remove", &path)?,
        }
        // One after the other, so that a power cut leaves no hole.
        reader.disk().sync_folder(reader.folder()).doing("flush", reader.folder())?;
        observer.removed(removal);
    }
    // Also of those before a crash.
    leaves::keep(reader)
}

impl Reader {
    /// Whether a segment that was there is gone by now, as retention removes them.
    pub(crate) fn was_removed(&self, base: u64) -> Result<bool, Error> {
        let path = paths::segment(self.folder(), base);
        match self.disk().inspect(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let removed = removed::read(self.disk(), self.folder())?.unwrap_or_default();
                Ok(base < removed.0)
            }
            inspected => inspected.doing("read", &path).map(|_| false),
        }
    }

    /// How long a segment's file is; `None`: retention has removed it.
    pub(crate) fn segment_bytes(&self, base: u64) -> Result<Option<u64>, Error> {
        let path = paths::segment(self.folder(), base);
        match self.disk().open_read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.was_removed(base)? => Ok(None),
            opened => Ok(Some(opened.doing("open", &path)?.length().doing("read", &path)?)),
        }
    }
}

fn length(reader: &Reader, path: &Path) -> Result<u64, Error> {
    match reader.disk().open_read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        opened => opened.doing("open", path)?.length().doing("read", path),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segments() -> impl Strategy<Value = Vec<Held>> {
        prop::collection::vec((1..1000_u64, 0..50_u64), 0..20).prop_map(|sizes| {
            let mut base = 0;
            let held = sizes.into_iter().map(|(bytes, index)| {
                let segment = Held { base: Lsn(base), end: Lsn(base + bytes), bytes: bytes + index };
                base += bytes;
                segment
            });
            held.collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_needed_stays_unless_the_budget_forces_it(
            segments in segments(),
            least in prop::option::of(0..20_000_u64),
            budget in prop::option::of(0..20_000_u64),
        ) {
            let least = least.map(Lsn);
            let removals = decide(&segments, least, budget);
            let removed: Vec<Held> = removals.iter().map(|removal| removal.segment).collect();
            prop_assert_eq!(&removed[..], &segments[..removed.len()], "the oldest, without a gap");
            let kept = &segments[removed.len()..];
            let bytes = |segments: &[Held]| segments.iter().map(|segment| segment.bytes).sum::<u64>();
            for (number, removal) in removals.iter().enumerate() {
                let needed = least.is_none_or(|least| removal.segment.end > least);
                prop_assert_eq!(removal.forced, needed);
                let over = budget.is_some_and(|budget| bytes(&segments[number..]) > budget);
                prop_assert!(!removal.forced || over, "forced only while over the budget");
            }
            let wanted: u64 = segments.iter().filter(|one| least.is_none_or(|least| one.end > least)).map(|one| one.bytes).sum();
            prop_assert_eq!(needed(&segments, least), wanted);
            prop_assert!(budget.is_none_or(|budget| bytes(kept) <= budget));
            prop_assert!(kept.first().is_none_or(|first| least.is_none_or(|least| first.end > least)));
        }

        #[test]
        fn without_cursors_and_budget_everything_stays(segments in segments()) {
            prop_assert!(decide(&segments, None, None).is_empty());
        }
    }
}
