//! Something for each stream of a segment.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;

/// That, by the streams' numbers. A table of places and a list, since a table always has room to spare, and places are small.
pub(crate) struct Streams<T> {
    places: HashTable<u32>,
    list: Vec<(u64, T)>,
    hasher: DefaultHashBuilder,
}

impl<T> Default for Streams<T> {
    fn default() -> Self {
        Self { places: HashTable::new(), list: Vec::new(), hasher: DefaultHashBuilder::default() }
    }
}

impl<T> Streams<T> {
    pub(crate) fn get(&self, stream: u64) -> Option<&T> {
        self.place(stream).map(|place| &self.list[place].1)
    }

    pub(crate) fn get_mut(&mut self, stream: u64) -> Option<&mut T> {
        self.place(stream).map(|place| &mut self.list[place].1)
    }

    pub(crate) fn insert(&mut self, stream: u64, value: T) {
        if let Some(known) = self.get_mut(stream) {
            *known = value;
            return;
        }
        let place = u32::try_from(self.list.len()).expect("a segment has fewer than 2^32 streams");
        self.list.push((stream, value));
        let Self { places, list, hasher } = self;
        places.insert_unique(hasher.hash_one(stream), place, |&place| hasher.hash_one(list[place as usize].0));
    }

    pub(crate) fn remove(&mut self, stream: u64) -> Option<T> {
        let place = self.place(stream)?;
        let last = self.list.len() - 1;
        // The last one takes the place that becomes free.
        self.forget(stream, place);
        if let Some((moved, _)) = self.list.last().filter(|_| place < last) {
            let hash = self.hasher.hash_one(moved);
            if let Some(of_moved) = self.places.find_mut(hash, |&other| other as usize == last) {
                *of_moved = place as u32;
            }
        }
        Some(self.list.swap_remove(place).1)
    }

    /// Forgets all of them, at the end of the segment. As many will go on in the next one as there were at the end, about:
    /// the memory of more is given back.
    pub(crate) fn clear(&mut self) {
        let Self { places, list, .. } = self;
        let count = list.len();
        places.clear();
        places.shrink_to(count, |_| unreachable!("there is none to be moved"));
        list.clear();
        list.shrink_to(count);
    }

    fn place(&self, stream: u64) -> Option<usize> {
        let hash = self.hasher.hash_one(stream);
        self.places.find(hash, |&place| self.list[place as usize].0 == stream).map(|&place| place as usize)
    }

    fn forget(&mut self, stream: u64, place: usize) {
        let hash = self.hasher.hash_one(stream);
        if let Ok(there) = self.places.find_entry(hash, |&other| other as usize == place) {
            there.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0..4u8, 0..20u64, any::<u8>()), 0..400)) {
            let (mut streams, mut model) = (Streams::default(), BTreeMap::new());
            for (step, stream, value) in steps {
                match step {
                    0 | 1 => {
                        streams.insert(stream, value);
                        model.insert(stream, value);
                    }
                    2 => prop_assert_eq!(streams.remove(stream), model.remove(&stream)),
                    _ if value < 8 => {
                        streams.clear();
                        model.clear();
                    }
                    _ => prop_assert_eq!(streams.get_mut(stream), model.get_mut(&stream)),
                }
                for stream in 0..20 {
                    prop_assert_eq!(streams.get(stream), model.get(&stream));
                }
            }
        }
    }
}
