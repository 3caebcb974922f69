//! Whether what some devices sent can be taken out of the journal without anything of others: what one entry holds goes or stays as a
//! whole, and so does what a conversation has in a segment, because its first entry there has what it takes to decode the rest.

use crate::Window;
use crate::frames::{Event, Frames, ReadError, Taker, Trouble};
use crate::owners::Owners;
use crate::told::Told;
use compact_str::CompactString;
use hashbrown::HashMap;
use odograph_journal::{Entries, Entry, Error};
use odograph_model::Lsn;
use odograph_protocols::{Context, Decision, Others};
use std::collections::BTreeSet;
use std::convert::Infallible;

/// What devices have in common with others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shared {
    /// So many entries hold something of both, or belong to conversations of both.
    pub entries: u64,
    /// Some of the others, by tenant and id: at most [`SHARED_NAMES_MAX`].
    pub others: BTreeSet<(CompactString, CompactString)>,
    /// There are more of them.
    pub more: bool,
    /// What cannot be read, so that nobody knows whose it is.
    pub unread: Option<String>,
}

/// So many others are named: enough to see what kind of line they came by.
pub const SHARED_NAMES_MAX: usize = 8;

impl Shared {
    /// Reads on to the end of `entries`, which begin with a segment, as long as it `goes_on`. `is_meant` says of a tenant's device whether it is one of those
    /// that are asked about.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read; [`Error::Interrupted`] where it does not go on. Damage is none: it is in [`Shared::unread`].
    pub fn of(
        entries: &mut Entries,
        is_meant: &dyn Fn(&str, &str) -> bool,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        let mut look = Look {
            is_meant,
            goes_on,
            owners: Owners::default(),
            owner: None,
            segment: Lsn(0),
            lines: HashMap::new(),
            counted: Lsn(u64::MAX),
            found: Self::default(),
        };
        match Frames::new(Window::default()).read(entries, None, &mut look) {
            Ok(()) => {}
            Err(ReadError::Journal(error)) => return Err(error),
            Err(ReadError::Taker(never)) => match never {},
        }
        if !goes_on() {
            return Err(Error::Interrupted);
        }
        look.end_segment();
        Ok(look.found)
    }

    /// Whether nothing is shared, and all could be read.
    pub fn is_none(&self) -> bool {
        self.entries == 0 && self.unread.is_none()
    }

    /// An entry is shared: takes note of the others that have to do with it.
    pub fn note<'a>(&mut self, others: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.entries += 1;
        self.name(others);
    }

    /// Takes note of others alone.
    pub fn name<'a>(&mut self, others: impl IntoIterator<Item = (&'a str, &'a str)>) {
        for (tenant, device) in others {
            let other = (tenant.into(), device.into());
            if self.others.len() < SHARED_NAMES_MAX {
                self.others.insert(other);
            } else {
                self.more |= !self.others.contains(&other);
            }
        }
    }

    fn cannot_read(&mut self, what: impl FnOnce() -> String) {
        self.unread.get_or_insert_with(what);
    }
}

/// Those of an entry that is decided about several devices, in two kinds; nothing if it is all of one kind.
pub fn others_of<'a>(
    owner: (&'a str, &'a str),
    others: &'a Others,
    is_meant: &dyn Fn(&str, &str) -> bool,
) -> Option<Vec<(&'a str, &'a str)>> {
    let carried = others.iter().map(|other| (other.binding.tenant.as_str(), other.binding.device.as_str()));
    let (meant, rest): (Vec<_>, Vec<_>) = std::iter::once(owner)
        .filter(|owner| !owner.1.is_empty())
        .chain(carried)
        .partition(|(tenant, device)| is_meant(tenant, device));
    (!meant.is_empty() && !rest.is_empty()).then_some(rest)
}

struct Look<'a> {
    is_meant: &'a dyn Fn(&str, &str) -> bool,
    goes_on: &'a dyn Fn() -> bool,
    owners: Owners,
    /// Whose the entry is that was read last.
    owner: Option<(CompactString, CompactString)>,
    segment: Lsn,
    /// The conversations of this segment, as far as they belong to devices.
    lines: HashMap<u64, Line>,
    /// The entry that was counted last.
    counted: Lsn,
    found: Shared,
}

/// A conversation in a segment.
#[derive(Default)]
struct Line {
    /// So many entries are of devices that are meant.
    meant: u64,
    /// One of the others, if it has some.
    other: Option<(CompactString, CompactString)>,
}

impl Look<'_> {
    fn end_segment(&mut self) {
        for (_, line) in self.lines.drain() {
            if let (1.., Some((tenant, device))) = (line.meant, &line.other) {
                self.found.entries += line.meant;
                self.found.name([(tenant.as_str(), device.as_str())]);
            }
        }
    }

    fn note(&mut self, place: Lsn, others: &[(&str, &str)]) {
        if self.counted != place {
            self.found.entries += 1;
            self.counted = place;
        }
        self.found.name(others.iter().copied());
    }

    /// The first entry of a conversation in a segment says whose it was before, which stays or goes with that entry.
    fn context(&mut self, entry: &Entry<'_>, owner: Option<&(CompactString, CompactString)>) {
        let Some((tenant, device)) = owner.filter(|(tenant, device)| !(self.is_meant)(tenant, device)) else { return };
        match entry.context.map(Context::read) {
            Some(Ok(context)) if is_of_meant(&context, self.is_meant) => self.note(entry.lsn, &[(tenant, device)]),
            Some(Err(malformed)) => {
                self.found
                    .cannot_read(|| format!("what is kept of a conversation at place {}: {malformed}", entry.lsn));
            }
            _ => {}
        }
    }
}

/// Whether what is kept of a conversation names one of those that are meant, because it was theirs.
pub fn is_of_meant(context: &Context, is_meant: &dyn Fn(&str, &str) -> bool) -> bool {
    // Of one that was refused, what is noted of its conversation stays, like all that it sent.
    let before = context.binding.as_ref().filter(|before| before.decision != Decision::Refused);
    before.is_some_and(|before| is_meant(&before.tenant, &before.device))
}

impl Taker for Look<'_> {
    type Error = Infallible;

    fn entry(&mut self, entry: &Entry<'_>, segment: Lsn, told: &Told) -> Result<(), Infallible> {
        if segment != self.segment {
            self.end_segment();
            self.segment = segment;
        }
        let owner = self.owners.of(entry, segment, told);
        let owner = (!owner.device.is_empty()).then(|| (owner.tenant.into(), owner.device.into()));
        self.owner.clone_from(&owner);
        if let Told::Unreadable(malformed) = told {
            let name = entry.identity.map(|identity| identity.device).unwrap_or_default();
            self.found.cannot_read(|| format!("what was decided about {name} at place {}: {malformed}", entry.lsn));
        }
        if let Told::Bound(_, others) = told {
            let own: (&str, &str) = owner.as_ref().map_or(("", ""), |(tenant, device)| (tenant, device));
            if let Some(others) = others_of(own, others, self.is_meant) {
                self.note(entry.lsn, &others);
            }
        }
        self.context(entry, owner.as_ref());
        if let Some((tenant, device)) = owner {
            let line = self.lines.entry(entry.stream).or_default();
            if (self.is_meant)(&tenant, &device) {
                line.meant += 1;
            } else if line.other.is_none() {
                line.other = Some((tenant, device));
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), Infallible> {
        // What a frame has of devices that were not decided about by themselves.
        let (tenant, device) = (event.binding.tenant.as_str(), event.device());
        let Some(owner) = self.owner.clone() else { return Ok(()) };
        match ((self.is_meant)(&owner.0, &owner.1), (self.is_meant)(tenant, device)) {
            (true, false) => self.note(event.place, &[(tenant, device)]),
            (false, true) => self.note(event.place, &[(&owner.0, &owner.1)]),
            _ => {}
        }
        Ok(())
    }

    fn pauses(&mut self) -> bool {
        !(self.goes_on)()
    }

    fn trouble(&mut self, trouble: Trouble<'_>) {
        if let Trouble::Damaged(broken) = trouble {
            self.found.cannot_read(|| broken.to_string());
        }
    }
}
