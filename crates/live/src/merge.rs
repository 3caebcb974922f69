//! Which values count: of each parameter the newest, whatever the order in which records come, and however often.
//!
//! What is known of a device is made of greatest things, so joining it with a record, or with what is known elsewhere, can
//! be done in any order and again, with the same result. A record whose claimed time cannot be (`device.time` is there)
//! has the time of its receipt, and when it was made nobody knows: it counts, before all others, for as long as no sound
//! record was received with it or after it. The lake's table `last` has the same rule for whole records.

use crate::bits::{KeySet, RECORD};
use crate::packed::{Entries, Entry, Moment, Packed, put_again, put_header, set_moments};
use odograph_model::Time;

/// Joins, always in the same memory.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    out: Vec<u8>,
    picks: Vec<Pick>,
    /// The moments of what is known and of what comes.
    moments: [Vec<Moment>; 2],
    /// The new number of each of them.
    numbers: [Vec<u16>; 2],
}

/// What joining did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Joined {
    /// Whether there is something to be kept.
    pub(crate) is_different: bool,
    /// The parameters of which another value counts now.
    pub(crate) changed: KeySet,
    /// Values that were left out because there is no room.
    pub(crate) left_out: u32,
}

impl Merge {
    /// Joins what is known with what comes. Without room, only values come in that take no more than those whose place they
    /// take.
    pub(crate) fn join(&mut self, known: Packed<'_>, comes: Packed<'_>, has_room: bool) -> Joined {
        let sound = known.sound().max(comes.sound());
        let moving = known.moving().max(comes.moving());
        let received = known.received().max(comes.received()).expect("a record that comes was received");
        let mut joined = Joined::default();
        if known.received() != Some(received) {
            joined.changed.insert(RECORD);
        }
        joined.is_different = (known.received(), known.sound(), known.moving()) != (Some(received), sound, moving);
        for (moments, packed) in self.moments.iter_mut().zip([known, comes]) {
            moments.clear();
            moments.extend((0..packed.moments()).map(|index| packed.moment(index)));
        }
        // Then a row has at most one entry of each side, as nearly always.
        let is_plain = !self.moments.iter().flatten().any(|moment| moment.is_wrong);
        let [old, new] = &self.moments;
        let mut olds = Side { is_new: false, moments: old, next: None, rest: known.entries() }.begun();
        let mut news = Side { is_new: true, moments: new, next: None, rest: comes.entries() }.begun();
        self.picks.clear();
        while let Some(row) = [olds.row(), news.row()].into_iter().flatten().min() {
            if is_plain {
                let (kept, offered) = (olds.one(row), news.one(row));
                let picked = pick(kept, offered, has_room, &mut joined);
                if picked.is_some_and(|picked| picked.is_new) {
                    joined.is_different = true;
                    joined.changed.insert(row);
                }
                self.picks.extend(picked.as_ref().map(Candidate::pick));
                continue;
            }
            let (before, offered) = (olds.pair(row), news.pair(row));
            let sound_one = pick(before.sound, offered.sound, has_room, &mut joined);
            let wrong_one = pick(before.wrong, offered.wrong, has_room, &mut joined);
            let after = Pair { sound: sound_one, wrong: wrong_one.filter(|wrong| wrong.moment.received > sound) };
            joined.is_different |= after != before;
            if after.effective() != before.effective() {
                joined.changed.insert(row);
            }
            self.picks.extend(after.sound.iter().chain(&after.wrong).map(Candidate::pick));
        }
        if joined.is_different {
            self.write(known, comes, [sound, received, moving]);
        }
        joined
    }

    /// What is known after the last [`Merge::join`] that made a difference.
    pub(crate) fn joined(&self) -> &[u8] {
        &self.out
    }

    fn write(&mut self, known: Packed<'_>, comes: Packed<'_>, [sound, received, moving]: [Time; 3]) {
        let Self { out, picks, moments, numbers } = self;
        for (numbers, moments) in numbers.iter_mut().zip(&*moments) {
            numbers.clear();
            numbers.resize(moments.len(), UNUSED);
        }
        out.clear();
        put_header(out, sound, received, moving, 0);
        let mut count = 0_u16;
        for pick in &mut *picks {
            let (side, moment) = (usize::from(pick.is_new), usize::from(pick.moment));
            let number = &mut numbers[side][moment];
            if *number == UNUSED {
                *number = count;
                count += 1;
                moments[side][moment].put(out);
            }
            pick.moment = *number;
        }
        set_moments(out, count);
        for pick in picks {
            let from = if pick.is_new { comes } else { known };
            put_again(out, &from.0[pick.begin..pick.end], pick.moment);
        }
    }
}

/// The one of two that stays. Without room it is no longer one than before.
fn pick<'a>(
    kept: Option<Candidate<'a>>,
    offered: Option<Candidate<'a>>,
    has_room: bool,
    joined: &mut Joined,
) -> Option<Candidate<'a>> {
    let Some(offered) = offered.filter(|offered| offered.beats(kept.as_ref())) else { return kept };
    if has_room || kept.is_some_and(|kept| offered.entry.value.len() <= kept.entry.value.len()) {
        return Some(offered);
    }
    joined.left_out += 1;
    kept
}

/// One of the two that are joined.
struct Side<'a> {
    is_new: bool,
    moments: &'a [Moment],
    next: Option<Entry<'a>>,
    rest: Entries<'a>,
}

/// What one side has for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Pair<'a> {
    sound: Option<Candidate<'a>>,
    wrong: Option<Candidate<'a>>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    entry: Entry<'a>,
    moment: &'a Moment,
    is_new: bool,
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        // What comes takes a place only if it is not what is there already.
        (self.is_new, self.entry.begin) == (other.is_new, other.entry.begin)
    }
}

impl Eq for Candidate<'_> {}

impl<'a> Side<'a> {
    fn begun(mut self) -> Self {
        self.next = self.rest.next();
        self
    }

    /// The row that is next.
    fn row(&self) -> Option<u16> {
        self.next.as_ref().map(Entry::row)
    }

    /// Takes the entry of a row that has no other.
    fn one(&mut self, row: u16) -> Option<Candidate<'a>> {
        let entry = self.next.filter(|entry| entry.row() == row)?;
        self.next = self.rest.next();
        Some(Candidate { entry, moment: &self.moments[usize::from(entry.moment)], is_new: self.is_new })
    }

    /// Takes the entries of a row.
    fn pair(&mut self, row: u16) -> Pair<'a> {
        let mut pair = Pair::default();
        while let Some(entry) = self.next.filter(|entry| entry.row() == row) {
            self.next = self.rest.next();
            let moment = &self.moments[usize::from(entry.moment)];
            let slot = if moment.is_wrong { &mut pair.wrong } else { &mut pair.sound };
            *slot = Some(Candidate { entry, moment, is_new: self.is_new });
        }
        pair
    }
}

impl<'a> Pair<'a> {
    /// The one that counts: what [`Packed::effective`] says.
    fn effective(&self) -> Option<Candidate<'a>> {
        match (self.sound, self.wrong) {
            (Some(sound), Some(wrong)) => Some(if wrong.moment.counts >= sound.moment.counts { wrong } else { sound }),
            (sound, wrong) => sound.or(wrong),
        }
    }
}

impl Candidate<'_> {
    /// Whether it takes the other's place. Two records of one id differ only where one was decoded otherwise; then too the
    /// result must not depend on who comes first.
    fn beats(&self, other: Option<&Self>) -> bool {
        other.is_none_or(|other| (self.moment.rank(), self.entry.value) > (other.moment.rank(), other.entry.value))
    }

    fn pick(&self) -> Pick {
        let Entry { moment, begin, end, .. } = self.entry;
        Pick { moment, is_new: self.is_new, begin, end }
    }
}

/// An entry that stays, and where it is.
#[derive(Debug, Clone, Copy)]
struct Pick {
    moment: u16,
    is_new: bool,
    begin: usize,
    end: usize,
}

const UNUSED: u16 = u16::MAX;
