//! What a connection holds between two reads: frames that wait for a later turn, and the beginning of one whose end has
//! not come.

use std::time::Duration;

/// Bytes that were received and are not in the journal yet. At most one read and one frame. Without any, it owns no memory.
#[derive(Default)]
pub(crate) struct Held(Option<Box<Bytes>>);

#[derive(Default)]
struct Bytes {
    bytes: Vec<u8>,
    /// How many of them are done with.
    done: usize,
    /// There may be whole frames among the rest.
    frames: bool,
    /// So many bytes from the first of the rest on there must be before framing can say more.
    needs: usize,
    /// Since when the frame is waited for that the rest begins with, by the clock that never goes back.
    since: Option<Duration>,
}

/// What a turn did with bytes.
pub(crate) struct Cutting {
    /// So many of them are done with.
    pub(crate) at: usize,
    /// What it cost.
    pub(crate) work: usize,
    /// The turn was over before the bytes were.
    pub(crate) more: bool,
    /// So many bytes from there on must be there before framing can say more.
    pub(crate) needs: usize,
}

impl Held {
    /// All that is not done with, with `input` behind it.
    pub(crate) fn with<'a>(&'a mut self, input: &'a [u8]) -> &'a [u8] {
        match &mut self.0 {
            Some(held) if !held.rest().is_empty() => {
                held.bytes.extend_from_slice(input);
                held.rest()
            }
            _ => input,
        }
    }

    /// What is left of them after a turn that ended `now`.
    pub(crate) fn keep(self, input: &[u8], cut: &Cutting, now: Duration) -> Self {
        let held = match self.0 {
            // Nearly always: whole frames came, and all of them are done with.
            None if cut.at == input.len() => return Self(None),
            None => Box::default(),
            Some(held) => held,
        };
        Self(held.keep(input, cut, now))
    }

    /// What is not done with.
    pub(crate) fn rest(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |held| held.rest())
    }

    /// How many bytes there must be before framing can say more.
    pub(crate) fn needs(&self) -> usize {
        self.0.as_ref().map_or(0, |held| held.needs)
    }

    /// Whether there may be whole frames in it.
    pub(crate) fn has_frames(&self) -> bool {
        self.0.as_ref().is_some_and(|held| held.frames)
    }

    /// The memory that waits for the end of a frame, and since when.
    pub(crate) fn waiting(&self) -> Option<(usize, Duration)> {
        let held = self.0.as_ref()?;
        Some((held.bytes.capacity(), held.since?))
    }

    /// We did not read: that the end of a frame has not come is nobody's fault.
    pub(crate) fn excuse(&mut self, now: Duration) {
        if let Some(held) = &mut self.0 {
            held.since = held.since.map(|_| now);
        }
    }
}

impl Bytes {
    fn keep(mut self: Box<Self>, input: &[u8], cut: &Cutting, now: Duration) -> Option<Box<Self>> {
        let own = !self.rest().is_empty();
        let left = if own { self.rest() } else { input }.get(cut.at..).filter(|left| !left.is_empty())?;
        let since = match self.since {
            _ if cut.more => None,
            Some(since) if cut.at == 0 => Some(since),
            _ => Some(now),
        };
        if own && (cut.more || (cut.at == 0 && self.done == 0)) {
            // Not moved each time: that could cost more than the work that was put off.
            self.done += cut.at;
        } else {
            // Copied, so that it does not keep the memory of a long read.
            (self.bytes, self.done) = (left.to_vec(), 0);
        }
        (self.frames, self.needs, self.since) = (cut.more, cut.needs, since);
        Some(self)
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.done..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What is held after a turn at a time, of which `done` bytes were done with.
    fn turn(mut held: Held, input: &[u8], done: usize, more: bool, now: u64) -> Held {
        held.with(input);
        held.keep(input, &Cutting { at: done, work: 0, more, needs: 0 }, at(now))
    }

    #[test]
    fn a_frame_is_waited_for_since_its_first_byte() {
        let held = turn(Held::default(), b"ab", 0, false, 1);
        assert_eq!(held.waiting(), Some((2, at(1))));
        let held = turn(held, b"c", 0, false, 2);
        assert_eq!((held.rest(), held.waiting().map(|(_, since)| since)), (&b"abc"[..], Some(at(1))));
        let held = turn(held, b"def", 5, false, 3);
        assert_eq!((held.rest(), held.waiting()), (&b"f"[..], Some((1, at(3)))));
        let mut held = turn(held, b"gh", 1, true, 4);
        assert_eq!((held.rest(), held.waiting()), (&b"gh"[..], None), "what waits for its turn is whole");
        held.excuse(at(5));
        assert_eq!(held.waiting(), None);
        let mut held = turn(held, b"", 0, false, 6);
        held.excuse(at(7));
        assert_eq!(held.waiting().map(|(_, since)| since), Some(at(7)));
        assert_eq!(turn(held, b"", 2, false, 8).waiting(), None);
    }
}
