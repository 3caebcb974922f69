//! Reading binary messages.

use crate::{Malformed, Reason, Result, Traced, Tracer};

/// A place in a binary message. It only moves forward, and nothing is read past its end.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    /// Offset of `rest` from the beginning of the frame.
    at: usize,
    tracer: Option<&'a dyn Tracer>,
}

macro_rules! numbers {
    ($($name:ident $type:ident $from:ident $wide:ident $traced:ident $doc:literal;)*) => {
        $(#[doc = $doc]
        #[inline]
        pub fn $name(&mut self, field: &'static str) -> Result<$type> {
            let at = self.at;
            let value = $type::$from(self.array(field)?);
            self.trace(field, at, size_of::<$type>(), Traced::$traced($wide::from(value)));
            Ok(value)
        })*
    };
}

impl<'a> Cursor<'a> {
    /// The beginning of `frame`.
    pub const fn new(frame: &'a [u8]) -> Self {
        Self { rest: frame, at: 0, tracer: None }
    }

    /// The beginning of `frame`; what is read is noted by `tracer`.
    pub const fn traced(frame: &'a [u8], tracer: Option<&'a dyn Tracer>) -> Self {
        Self { rest: frame, at: 0, tracer }
    }

    numbers! {
        u8 u8 from_be_bytes u64 Unsigned "One byte.";
        i8 i8 from_be_bytes i64 Signed "One byte with sign.";
        u16 u16 from_be_bytes u64 Unsigned "Two bytes, big-endian.";
        u16_le u16 from_le_bytes u64 Unsigned "Two bytes, little-endian.";
        i16 i16 from_be_bytes i64 Signed "Two bytes with sign, big-endian.";
        i16_le i16 from_le_bytes i64 Signed "Two bytes with sign, little-endian.";
        u32 u32 from_be_bytes u64 Unsigned "Four bytes, big-endian.";
        u32_le u32 from_le_bytes u64 Unsigned "Four bytes, little-endian.";
        i32 i32 from_be_bytes i64 Signed "Four bytes with sign, big-endian.";
        i32_le i32 from_le_bytes i64 Signed "Four bytes with sign, little-endian.";
        u64 u64 from_be_bytes u64 Unsigned "Eight bytes, big-endian.";
        u64_le u64 from_le_bytes u64 Unsigned "Eight bytes, little-endian.";
        i64 i64 from_be_bytes i64 Signed "Eight bytes with sign, big-endian.";
        i64_le i64 from_le_bytes i64 Signed "Eight bytes with sign, little-endian.";
        f32 f32 from_be_bytes f64 Float "A four-byte float, big-endian.";
        f32_le f32 from_le_bytes f64 Float "A four-byte float, little-endian.";
        f64 f64 from_be_bytes f64 Float "An eight-byte float, big-endian.";
        f64_le f64 from_le_bytes f64 Float "An eight-byte float, little-endian.";
    }

    /// Three bytes, big-endian.
    #[inline]
    pub fn u24(&mut self, field: &'static str) -> Result<u32> {
        let at = self.at;
        let [a, b, c] = self.array(field)?;
        let value = u32::from_be_bytes([0, a, b, c]);
        self.trace(field, at, 3, Traced::Unsigned(value.into()));
        Ok(value)
    }

    /// Three bytes, little-endian.
    #[inline]
    pub fn u24_le(&mut self, field: &'static str) -> Result<u32> {
        let at = self.at;
        let [a, b, c] = self.array(field)?;
        let value = u32::from_le_bytes([a, b, c, 0]);
        self.trace(field, at, 3, Traced::Unsigned(value.into()));
        Ok(value)
    }

    /// A number of `length` bytes (at most 8), big-endian.
    pub fn unsigned(&mut self, field: &'static str, length: usize) -> Result<u64> {
        let at = self.at;
        let bytes = self.take(field, length)?;
        if length > size_of::<u64>() {
            return Err(Malformed::new(field, at, Reason::TooMany { max: size_of::<u64>() }));
        }
        let value = bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        self.trace(field, at, length, Traced::Unsigned(value));
        Ok(value)
    }

    /// `length` bytes as they are.
    #[inline]
    pub fn bytes(&mut self, field: &'static str, length: usize) -> Result<&'a [u8]> {
        let at = self.at;
        let bytes = self.take(field, length)?;
        self.trace(field, at, length, Traced::Bytes(bytes));
        Ok(bytes)
    }

    /// `N` bytes as they are.
    #[inline]
    pub fn byte_array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        let at = self.at;
        let bytes = self.array(field)?;
        self.trace(field, at, N, Traced::Bytes(&bytes));
        Ok(bytes)
    }

    /// `length` bytes of ASCII text. Anything outside printable ASCII is an error.
    pub fn text(&mut self, field: &'static str, length: usize) -> Result<&'a str> {
        let at = self.at;
        let bytes = self.take(field, length)?;
        let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
        match std::str::from_utf8(bytes) {
            Ok(text) if printable => {
                self.trace(field, at, length, Traced::Text(text));
                Ok(text)
            }
            _ => Err(Malformed::new(field, at, Reason::Expected("printable text"))),
        }
    }

    /// `length` bytes of binary-coded decimal: two digits each, high one first. A nibble above 9 is an error.
    pub fn bcd(&mut self, field: &'static str, length: usize) -> Result<u64> {
        let at = self.at;
        let mut value = 0_u64;
        for byte in self.take(field, length)? {
            let (high, low) = (byte >> 4, byte & 0x0F);
            if high > 9 || low > 9 {
                return Err(Malformed::new(field, at, Reason::Expected("decimal digits")));
            }
            let digits = u64::from(high).wrapping_mul(10).wrapping_add(u64::from(low));
            value = value.checked_mul(100).and_then(|value| value.checked_add(digits)).ok_or(Malformed::new(
                field,
                at,
                Reason::TooMany { max: 19 },
            ))?;
        }
        self.trace(field, at, length, Traced::Unsigned(value));
        Ok(value)
    }

    /// The next `length` bytes as a message of their own, from which nothing beyond them can be read.
    #[inline]
    pub fn sub(&mut self, field: &'static str, length: usize) -> Result<Self> {
        let at = self.at;
        let rest = self.take(field, length)?;
        Ok(Self { rest, at, tracer: self.tracer })
    }

    /// Skips `length` bytes.
    #[inline]
    pub fn skip(&mut self, field: &'static str, length: usize) -> Result<()> {
        self.bytes(field, length).map(|_| ())
    }

    /// The next byte, without moving.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// All that is left, without moving.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes all that is left.
    pub fn take_rest(&mut self, field: &'static str) -> &'a [u8] {
        let (at, bytes) = (self.at, self.rest);
        self.advance(bytes.len());
        self.trace(field, at, bytes.len(), Traced::Bytes(bytes));
        bytes
    }

    /// The offset from the beginning of the frame.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[inline]
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes between an earlier copy of this cursor and its place now.
    #[inline]
    pub fn since(&self, start: &Self) -> &'a [u8] {
        let length = self.at.saturating_sub(start.at);
        start.rest.get(..length).unwrap_or(start.rest)
    }

    /// An error unless nothing is left.
    #[inline]
    pub const fn finish(&self, what: &'static str) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Malformed::new(what, self.at, Reason::Trailing { left })),
        }
    }

    /// An error about `field` here.
    pub const fn error(&self, field: &'static str, reason: Reason) -> Malformed {
        Malformed::new(field, self.at, reason)
    }

    #[inline]
    fn take(&mut self, field: &'static str, length: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                self.at = self.at.saturating_add(length);
                Ok(taken)
            }
            None => Err(self.truncated(field, length)),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                self.at = self.at.saturating_add(N);
                Ok(*taken)
            }
            None => Err(self.truncated(field, N)),
        }
    }

    fn advance(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
        self.at = self.at.saturating_add(length);
    }

    #[cold]
    const fn truncated(&self, field: &'static str, need: usize) -> Malformed {
        Malformed::new(field, self.at, Reason::Truncated { need, have: self.rest.len() })
    }

    #[inline]
    fn trace(&self, field: &'static str, at: usize, length: usize, value: Traced<'_>) {
        if let Some(tracer) = self.tracer {
            note(tracer, field, at, length, value);
        }
    }
}

/// Apart from what everyone runs: hardly ever does anybody trace.
#[cold]
fn note(tracer: &dyn Tracer, field: &'static str, at: usize, length: usize, value: Traced<'_>) {
    tracer.field(field, at, length, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn numbers_of_all_widths() {
        let mut c = Cursor::new(&[0x12, 0x34, 0x34, 0x12, 0xFF, 0x01, 0x02, 0x03, 0x99, 0x12]);
        assert_eq!(c.u16("a"), Ok(0x1234));
        assert_eq!(c.u16_le("b"), Ok(0x1234));
        assert_eq!(c.i8("c"), Ok(-1));
        assert_eq!(c.u24("d"), Ok(0x01_0203));
        assert_eq!(c.bcd("e", 2), Ok(9912));
        assert_eq!(c.finish("all"), Ok(()));
    }

    #[test]
    fn an_error_names_field_and_place() {
        let mut c = Cursor::new(&[1, 2, 3]);
        c.u8("count").unwrap();
        let error = c.u32("latitude").unwrap_err();
        assert_eq!(error.to_string(), "latitude at byte 1: truncated: need 4, have 2");
        assert_eq!(c.finish("frame").unwrap_err().to_string(), "frame at byte 1: trailing: 2 bytes left");
        assert_eq!(c.text("name", 2).unwrap_err().reason, Reason::Expected("printable text"));
    }

    #[test]
    fn a_sub_message_cannot_be_overread_and_keeps_offsets() {
        let mut c = Cursor::new(&[9, 1, 2, 3]);
        c.u8("length").unwrap();
        let mut sub = c.sub("part", 2).unwrap();
        assert_eq!(sub.u24("wide").unwrap_err().at, 1);
        assert_eq!(c.u8("after"), Ok(3));
    }

    #[test]
    fn a_trace_shows_what_was_read() {
        struct Notes(RefCell<Vec<(&'static str, usize, usize)>>);
        impl Tracer for Notes {
            fn field(&self, name: &'static str, at: usize, length: usize, _: Traced<'_>) {
                self.0.borrow_mut().push((name, at, length));
            }
        }
        let notes = Notes(RefCell::default());
        let mut c = Cursor::traced(&[1, 2, 3, 4], Some(&notes));
        c.u8("count").unwrap();
        c.sub("part", 2).unwrap().u16("value").unwrap();
        assert_eq!(*notes.0.borrow(), [("count", 0, 1), ("value", 1, 2)]);
    }
}
