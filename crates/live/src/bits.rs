//! Sets of small numbers, a bit each: of devices by their slots, of parameters by their indexes.

use odograph_model::Key;

/// A set of slots. It is as long as its greatest member needed.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(crate) fn has(&self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Puts it in, and tells whether it was not there.
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    /// Takes it out, and tells whether it was there.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        let Some(word) = self.words.get_mut(word) else { return false };
        let was_there = *word & bit != 0;
        *word &= !bit;
        was_there
    }

    /// Empties it, and gives its memory back.
    pub(crate) fn clear(&mut self) {
        self.words = Vec::new();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| ones(*word).map(move |bit| index as u32 * 64 + bit))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

fn place(slot: u32) -> (usize, u64) {
    (slot as usize / 64, 1 << (slot % 64))
}

fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(bit)
    })
}

/// A set of parameters. What a state knows of a record besides, the record's time above all, counts as one: [`RECORD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KeySet {
    words: [u64; WORDS],
}

impl KeySet {
    pub(crate) const fn all() -> Self {
        Self { words: [u64::MAX; WORDS] }
    }

    /// What a marker on a map is made of.
    pub(crate) fn markers() -> Self {
        let mut markers: Self = MARKERS.iter().copied().collect();
        markers.insert(RECORD);
        markers
    }

    /// Of nothing but a record's time.
    pub(crate) fn record() -> Self {
        let mut record = Self::default();
        record.insert(RECORD);
        record
    }

    pub(crate) fn insert(&mut self, row: u16) {
        let (word, bit) = place(u32::from(row));
        self.words[word] |= bit;
    }

    pub(crate) fn has(&self, row: u16) -> bool {
        let (word, bit) = place(u32::from(row));
        self.words[word] & bit != 0
    }

    pub(crate) fn add_all(&mut self, others: &Self) {
        self.words.iter_mut().zip(&others.words).for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn meets(&self, others: &Self) -> bool {
        self.words.iter().zip(&others.words).any(|(word, other)| word & other != 0)
    }
}

impl FromIterator<Key> for KeySet {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        let mut set = Self::default();
        keys.into_iter().filter_map(row_of).for_each(|row| set.insert(row));
        set
    }
}

/// The row of a parameter in a state.
pub(crate) fn row_of(key: Key) -> Option<u16> {
    key.index().map(|index| index + 1)
}

/// The parameter of a row.
pub(crate) fn key_of(row: u16) -> Option<Key> {
    row.checked_sub(1).and_then(Key::from_index)
}

/// The row before those of all parameters.
pub(crate) const RECORD: u16 = 0;

const WORDS: usize = (Key::COUNT + 1).div_ceil(64);

const MARKERS: &[Key] = &[
    Key::PositionLatitude,
    Key::PositionLongitude,
    Key::PositionDirection,
    Key::PositionSpeed,
    Key::EngineIgnitionStatus,
    Key::MovementStatus,
    Key::Alarm,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in_and_not_taken_out() {
        let mut bits = Bits::default();
        assert!([0, 63, 64, 1000].map(|slot| bits.insert(slot)).iter().all(|is_new| *is_new));
        assert!(!bits.insert(64));
        assert!(bits.remove(63) && !bits.remove(63) && !bits.remove(5000));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 64, 1000]);
        assert!(bits.has(1000) && !bits.has(999) && !bits.has(100_000));
        bits.clear();
        assert_eq!((bits.iter().count(), bits.bytes()), (0, 0));
    }

    #[test]
    fn a_set_of_keys_has_room_for_all_and_for_the_record() {
        let last = Key::COUNT as u16;
        let mut set: KeySet = [Some(Key::PositionLatitude), key_of(last)].into_iter().flatten().collect();
        assert!(set.has(1) && set.has(last) && !set.has(RECORD));
        assert_eq!((key_of(RECORD), key_of(last + 1), key_of(last).and_then(row_of)), (None, None, Some(last)));
        assert!(!set.meets(&KeySet::record()));
        set.insert(RECORD);
        assert!(set.meets(&KeySet::record()) && KeySet::all().meets(&set) && KeySet::markers().meets(&set));
        assert!(!set.meets(&KeySet::default()));
    }
}
