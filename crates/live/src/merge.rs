//! Which values count: of each parameter the newest, whatever the order in which records come, and however often.
//!
//! What is known of a device is made of greatest things, so joining it with a record, or with what is known elsewhere, can
//! be done in any order and again, with the same result. A record whose claimed time cannot be (`device.time` is there)
//! has the time of its receipt, and when it was made nobody knows: it counts, before all others, for as long as no sound
//! record was received with it or after it. The lake's table `last` has the same rule for whole records.

use crate::bits::{KeySet, RECORD};
use crate::packed::{Entry, Moment, Packed, put_header};
use odograph_model::Time;
use std::iter::Peekable;

/// Joins, always in the same memory.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    out: Vec<u8>,
    picks: Vec<Pick>,
    /// The new number of each moment, of what is known and of what comes.
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
        let received = known.received().max(comes.received()).expect("a record that comes was received");
        let mut joined = Joined::default();
        if known.received() != Some(received) {
            joined.changed.insert(RECORD);
        }
        joined.is_different = known.received() != Some(received) || known.sound() != sound;
        self.picks.clear();
        let (mut olds, mut news) = (known.entries().peekable(), comes.entries().peekable());
        loop {
            let next = [olds.peek(), news.peek()].into_iter().flatten().map(Entry::row).min();
            let Some(row) = next else { break };
            let before = Pair::take(&mut olds, row, known, false);
            let offered = Pair::take(&mut news, row, comes, true);
            let mut after = before;
            for (kept, offered) in [(&mut after.sound, offered.sound), (&mut after.wrong, offered.wrong)] {
                let Some(offered) = offered.filter(|offered| offered.beats(kept.as_ref())) else { continue };
                if has_room || kept.is_some_and(|kept| offered.entry.value.len() <= kept.entry.value.len()) {
                    *kept = Some(offered);
                } else {
                    joined.left_out += 1;
                }
            }
            after.wrong = after.wrong.filter(|wrong| wrong.moment.received > sound);
            joined.is_different |= after != before;
            if after.effective() != before.effective() {
                joined.changed.insert(row);
            }
            self.picks.extend([after.sound, after.wrong].into_iter().flatten().map(|stays| stays.pick()));
        }
        if joined.is_different {
            self.write(known, comes, sound, received);
        }
        joined
    }

    /// What is known after the last [`Merge::join`] that made a difference.
    pub(crate) fn joined(&self) -> &[u8] {
        &self.out
    }

    fn write(&mut self, known: Packed<'_>, comes: Packed<'_>, sound: Time, received: Time) {
        for (numbers, packed) in self.numbers.iter_mut().zip([known, comes]) {
            numbers.clear();
            numbers.resize(usize::from(packed.moments()), UNUSED);
        }
        self.out.clear();
        put_header(&mut self.out, sound, received, 0);
        let mut count = 0_u16;
        for pick in &mut self.picks {
            let number = &mut self.numbers[usize::from(pick.is_new)][usize::from(pick.moment)];
            if *number == UNUSED {
                *number = count;
                count += 1;
                let from = if pick.is_new { comes } else { known };
                from.moment(pick.moment).put(&mut self.out);
            }
            pick.moment = *number;
        }
        self.out[16..18].copy_from_slice(&count.to_le_bytes());
        for pick in &self.picks {
            let from = if pick.is_new { comes } else { known };
            let value = &from.0[pick.begin..pick.end];
            Entry { head: pick.head, moment: pick.moment, value, begin: 0 }.put(&mut self.out);
        }
    }
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
    moment: Moment,
    is_new: bool,
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.moment, self.entry.value) == (other.moment, other.entry.value)
    }
}

impl Eq for Candidate<'_> {}

impl<'a> Pair<'a> {
    /// Takes the entries of a row.
    fn take(
        entries: &mut Peekable<impl Iterator<Item = Entry<'a>>>,
        row: u16,
        packed: Packed<'_>,
        is_new: bool,
    ) -> Self {
        let mut pair = Self::default();
        while let Some(entry) = entries.next_if(|entry| entry.row() == row) {
            let moment = packed.moment(entry.moment);
            let slot = if moment.is_wrong { &mut pair.wrong } else { &mut pair.sound };
            *slot = Some(Candidate { entry, moment, is_new });
        }
        pair
    }

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
        let Entry { head, moment, value, begin } = self.entry;
        Pick { head, moment, is_new: self.is_new, begin, end: begin + value.len() }
    }
}

/// An entry that stays, and where its value is.
#[derive(Debug, Clone, Copy)]
struct Pick {
    head: u16,
    moment: u16,
    is_new: bool,
    begin: usize,
    end: usize,
}

const UNUSED: u16 = u16::MAX;
