//! Something for each stream of a segment.

use hashbrown::HashMap;

/// That, by the streams' numbers.
pub(crate) struct Streams<T>(HashMap<u64, T>);

impl<T> Default for Streams<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Streams<T> {
    pub(crate) fn get(&self, stream: u64) -> Option<&T> {
        self.0.get(&stream)
    }

    pub(crate) fn get_mut(&mut self, stream: u64) -> Option<&mut T> {
        self.0.get_mut(&stream)
    }

    pub(crate) fn insert(&mut self, stream: u64, value: T) {
        self.0.insert(stream, value);
    }

    pub(crate) fn remove(&mut self, stream: u64) -> Option<T> {
        self.0.remove(&stream)
    }

    /// Forgets all of them, at the end of the segment. As many will go on in the next one as there were at the end, about:
    /// the memory of more is given back.
    pub(crate) fn clear(&mut self) {
        let count = self.0.len();
        self.0.clear();
        self.0.shrink_to(count);
    }
}
