//! The journal's entries from its beginning, each once: what it has given up or lost comes out of history, the rest out of
//! itself.

use anyhow::Result;
use compact_str::CompactString;
use odograph_journal::{Broken, Entry, Error, Identity, Reader, SEGMENT_HEADER_BYTES};
use odograph_lake::{EntriesOf, Lake, StoredFrame, WantedEntries};
use odograph_model::{Lsn, Time};
use odograph_protocols::{Context, DECIDED_SEVERAL};
use std::collections::HashSet;
use std::ops::Range;

/// Where entries come from.
pub(crate) struct Entries<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) node: u16,
    /// Gives history as it is at that moment: whatever the journal has given up by then is in it.
    pub(crate) history: &'a dyn Fn() -> Result<Lake>,
    /// Up to where the journal is durable; `None`: as far as it can be read.
    pub(crate) until: Option<Lsn>,
}

/// What of history is needed: out of the journal itself, everything comes.
pub(crate) struct Needed {
    pub(crate) of: EntriesOf,
    /// Nothing that was received before this moment.
    pub(crate) from: Option<Time>,
    /// Nothing that was received behind this moment.
    pub(crate) to: Option<Time>,
}

/// An entry.
pub(crate) struct Piece<'a> {
    pub(crate) entry: &'a Entry<'a>,
    /// Where its segment begins.
    pub(crate) segment: Lsn,
    /// Whose it is, tenant and device, where history says so.
    pub(crate) owner: Option<(&'a str, &'a str)>,
}

/// Whoever wants them.
pub(crate) trait Taker {
    fn take(&mut self, piece: &Piece<'_>) -> Result<()>;

    /// Hears of what is lost, and in history neither.
    fn lost(&mut self, broken: &Broken);
}

impl Entries<'_> {
    /// Gives all entries.
    pub(crate) fn all(&self, needed: &Needed, taker: &mut dyn Taker) -> Result<()> {
        match self.go_through(Lsn(0), self.until, needed, taker)? {
            true => self.behind_the_end(needed, taker),
            false => Ok(()),
        }
    }

    /// Gives the entries at these places, which begin where a segment does.
    pub(crate) fn within(&self, places: Range<Lsn>, needed: &Needed, taker: &mut dyn Taker) -> Result<()> {
        self.go_through(places.start, Some(self.end_of(&places)), needed, taker).map(drop)
    }

    /// In which conversations, by segment and stream, devices of these names have a part, or several devices of which each may be meant:
    /// as far as the journal itself has them. `None`: it is damaged there, and nobody can tell.
    pub(crate) fn conversations(
        &self,
        places: &Range<Lsn>,
        of: &[CompactString],
    ) -> Result<Option<HashSet<(Lsn, u64)>>> {
        let mut entries = self.reader.entries(places.start, Some(self.end_of(places)))?;
        let mut found = HashSet::new();
        loop {
            match entries.next_in_segment() {
                Ok(Some((entry, segment))) => {
                    if is_of(&entry, of) {
                        found.insert((segment, entry.stream));
                    }
                }
                Ok(None) => return Ok(Some(found)),
                Err(Error::Broken(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn end_of(&self, places: &Range<Lsn>) -> Lsn {
        self.until.map_or(places.end, |until| until.min(places.end))
    }

    /// Gives the entries from a place on; whether that came to the end, and not to damage with nothing behind it.
    fn go_through(&self, from: Lsn, until: Option<Lsn>, needed: &Needed, taker: &mut dyn Taker) -> Result<bool> {
        let mut entries = self.reader.entries(from, until)?;
        let (mut place, last) = (from, until.unwrap_or(END));
        loop {
            let broken = match entries.next_in_segment() {
                Ok(Some((entry, segment))) => {
                    self.removed(place..segment, needed, taker)?;
                    place = entry.end();
                    taker.take(&Piece { entry: &entry, segment, owner: None })?;
                    continue;
                }
                Ok(None) => {
                    // What is left of the journal may begin behind all that is wanted.
                    self.removed(place..until.unwrap_or(place), needed, taker)?;
                    return Ok(true);
                }
                Err(Error::Broken(broken)) => broken,
                Err(error) => return Err(error.into()),
            };
            self.removed(place..broken.lsn.min(last), needed, taker)?;
            let goes_on = entries.resynchronise()? > 0;
            place = entries.place();
            let end = if goes_on { place.min(last) } else { last };
            self.mend(broken.lsn..end, &broken, None, taker)?;
            if !goes_on {
                return Ok(false);
            }
        }
    }

    /// Gives a device's entries from a place on, which the journal finds by its indexes.
    pub(crate) fn device(&self, device: &str, from: Lsn, needed: &Needed, taker: &mut dyn Taker) -> Result<()> {
        let mut entries = self.reader.device_entries(device, from, self.until)?;
        entries.stop_at_removed();
        let begin = entries.begin().unwrap_or(self.reader.removed()?);
        self.out_of_history(from..begin.max(from), needed, taker)?;
        loop {
            let broken = match entries.next_in_segment() {
                Ok(Some((entry, segment))) => {
                    taker.take(&Piece { entry: &entry, segment, owner: None })?;
                    continue;
                }
                Ok(None) => match entries.take_removed() {
                    Some(places) => {
                        self.out_of_history(places, needed, taker)?;
                        continue;
                    }
                    None => return self.behind_the_end(needed, taker),
                },
                Err(Error::Broken(broken)) => broken,
                Err(error) => return Err(error.into()),
            };
            let end = entries.skip_broken().or(self.until).unwrap_or(END);
            self.mend(broken.lsn..end, &broken, Some(device), taker)?;
        }
    }

    /// What is missing between two segments, if retention removed it. What a crash left there is nothing that was there.
    fn removed(&self, places: Range<Lsn>, needed: &Needed, taker: &mut dyn Taker) -> Result<()> {
        if places.is_empty() || self.reader.removed()? <= places.start {
            return Ok(());
        }
        self.out_of_history(places, needed, taker)
    }

    /// What whole entries there are behind a damaged place in the last segment; that they are not read is told elsewhere.
    fn behind_the_end(&self, needed: &Needed, taker: &mut dyn Taker) -> Result<()> {
        let broken = if self.until.is_none() { self.reader.damage_before_end()? } else { None };
        broken.map_or(Ok(()), |broken| self.out_of_history(broken.lsn..END, needed, taker))
    }

    fn out_of_history(&self, places: Range<Lsn>, needed: &Needed, taker: &mut dyn Taker) -> Result<()> {
        let (of, from, to) = (needed.of.clone(), needed.from, needed.to);
        self.read(
            &WantedEntries { node: self.node, places, of, from, to, part_rows: 0 },
            &mut |tenant, frame, entry| {
                let owner = Some((tenant, frame.device));
                taker.take(&Piece { entry, segment: frame.segment, owner })
            },
        )
    }

    /// Gives what history has of entries that the journal has lost, and says so if that is not all of them.
    fn mend(&self, places: Range<Lsn>, broken: &Broken, device: Option<&str>, taker: &mut dyn Taker) -> Result<()> {
        // All that there was: only that shows whether something is missing.
        let end = places.end;
        let mut expected = places.start.0;
        let (node, of) = (self.node, EntriesOf::All);
        let wanted = WantedEntries { node, places, of, from: None, to: None, part_rows: 0 };
        let read = self.read(&wanted, &mut |tenant, frame, entry| {
            if expected == frame.segment.0 {
                expected += SEGMENT_HEADER_BYTES as u64;
            }
            if expected == entry.lsn.0 {
                expected += entry.length();
            }
            if device.is_some_and(|device| device != frame.device) {
                return Ok(());
            }
            let owner = Some((tenant, frame.device));
            taker.take(&Piece { entry, segment: frame.segment, owner })
        });
        read?;
        if expected < end.0 {
            taker.lost(broken);
        }
        Ok(())
    }

    fn read(
        &self,
        wanted: &WantedEntries,
        take: &mut dyn FnMut(&str, &StoredFrame<'_>, &Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        if wanted.places.is_empty() {
            return Ok(());
        }
        let mut scan = (self.history)()?.entries(wanted)?;
        while let Some(rows) = scan.next_rows()? {
            rows.each(|tenant, frame| match entry(frame) {
                Some(entry) => take(tenant, frame, &entry),
                None => Ok(()),
            })?;
        }
        Ok(())
    }
}

/// Whether a conversation that has this entry is one of these devices' from there on, or of several of which each may be meant.
fn is_of(entry: &Entry<'_>, devices: &[CompactString]) -> bool {
    let is_one = |device: &str| devices.iter().any(|one| one == device);
    let of = |identity: Identity<'_>| is_one(identity.device) || identity.decision >= &[DECIDED_SEVERAL][..];
    // What goes on in another segment may be nobody's for a moment.
    let before = || entry.context.and_then(|context| Context::read(context).ok()?.binding);
    entry.identity.is_some_and(of) || before().is_some_and(|binding| is_one(&binding.device))
}

/// An entry of the journal as history has it; nothing where this version does not know what it is.
pub(crate) fn entry<'a>(frame: &StoredFrame<'a>) -> Option<Entry<'a>> {
    Some(Entry {
        lsn: frame.place,
        stream: frame.stream,
        at: frame.at.0,
        kind: frame.kind.parse().ok()?,
        context: frame.context,
        identity: frame.decision.map(|decision| Identity { device: frame.device, decision }),
        payload: frame.payload,
        bytes: &[],
    })
}

/// Behind everything.
const END: Lsn = Lsn(u64::MAX);
