//! Cutting a stream of bytes into frames.

use crate::http;

/// What stands at the beginning of the bytes received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// A whole frame of so many bytes, delimiters included.
    Frame(usize),
    /// So many bytes that belong to no frame; the stream goes on after them.
    Skip(usize),
    /// Nothing whole yet: at least so many bytes from the beginning are needed to say more.
    Need(usize),
    /// The stream cannot be cut any more; says why. The connection has to end.
    Lost(&'static str),
}

/// How a protocol's stream is cut. Cutting looks at the bytes alone, so it is the same after any split.
#[derive(Debug, Clone, Copy)]
pub enum Framing {
    /// Lines that end with LF; a CR before it belongs to the delimiter, and empty lines are skipped.
    Line,
    /// Frames that end with this byte.
    Until(u8),
    /// Frames between two bytes, both included; what stands before the first is skipped.
    Between(u8, u8),
    /// A length field of 1, 2 or 4 bytes.
    Length {
        /// Offset of the field.
        at: usize,
        /// Its width in bytes.
        width: usize,
        /// Whether the low byte comes first.
        little_endian: bool,
        /// What to add to the field's value to have the frame's whole length.
        plus: usize,
    },
    /// HTTP/1 requests, head and body: see [`http`] for their bounds. Each is answered by itself, and says by itself whose
    /// it is: a connection belongs to whoever uses it.
    Http,
    /// Anything else.
    Custom(fn(&[u8]) -> Cut),
    /// Frames whose ends the bytes alone do not always tell: a setting, or that nothing follows, says the rest.
    Told {
        /// The protocol's setting that says it.
        setting: &'static str,
        /// Cuts.
        cut: fn(Told<'_>, &[u8]) -> Cut,
    },
}

/// What is known of a stream beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told<'a> {
    /// What the setting says that the framing names.
    pub setting: Option<&'a str>,
    /// Whether nothing comes behind the bytes: the stream has ended, or they are one message.
    pub ended: bool,
}

impl Framing {
    /// Cuts what stands at the beginning of `bytes`, which are not empty.
    pub fn cut(&self, told: Told<'_>, bytes: &[u8]) -> Cut {
        match *self {
            Self::Line => line(bytes),
            Self::Until(end) => until(bytes, end),
            Self::Between(start, end) => between(bytes, start, end),
            Self::Length { at, width, little_endian, plus } => length(bytes, at, width, little_endian, plus),
            Self::Http => http::cut(bytes),
            Self::Custom(cut) => cut(bytes),
            Self::Told { cut, .. } => cut(told, bytes),
        }
    }

    /// What the peer waits for before it sends the rest of the frame that `bytes` begin with, if it waits. It promises
    /// nothing.
    pub fn prompt(&self, bytes: &[u8]) -> Option<&'static [u8]> {
        match self {
            Self::Http => http::prompt(bytes),
            _ => None,
        }
    }

    /// What the peer is told after [`Cut::Lost`], where the protocol has words for it.
    pub fn refusal(&self, why: &'static str) -> Option<Vec<u8>> {
        match self {
            Self::Http => Some(http::refusal(why)),
            _ => None,
        }
    }
}

fn line(bytes: &[u8]) -> Cut {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if blank > 0 {
        return Cut::Skip(blank);
    }
    until(bytes, b'\n')
}

fn until(bytes: &[u8], end: u8) -> Cut {
    match bytes.iter().position(|byte| *byte == end) {
        Some(at) => Cut::Frame(at.saturating_add(1)),
        None => Cut::Need(bytes.len().saturating_add(1)),
    }
}

fn between(bytes: &[u8], start: u8, end: u8) -> Cut {
    match bytes.iter().position(|byte| *byte == start) {
        Some(0) => {
            let rest = bytes.get(1..).unwrap_or_default();
            match rest.iter().position(|byte| *byte == end) {
                Some(at) => Cut::Frame(at.saturating_add(2)),
                None => Cut::Need(bytes.len().saturating_add(1)),
            }
        }
        Some(before) => Cut::Skip(before),
        None => Cut::Skip(bytes.len()),
    }
}

fn length(bytes: &[u8], at: usize, width: usize, little_endian: bool, plus: usize) -> Cut {
    let head = at.saturating_add(width);
    let Some(field) = bytes.get(at..head) else { return Cut::Need(head) };
    let add = |value: usize, byte: &u8| (value << 8) | usize::from(*byte);
    let value = if little_endian { field.iter().rev().fold(0, add) } else { field.iter().fold(0, add) };
    let total = value.saturating_add(plus);
    match total {
        total if total < head => Cut::Lost("length field too small"),
        total if total <= bytes.len() => Cut::Frame(total),
        total => Cut::Need(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(framing: Framing, bytes: &[u8]) -> Cut {
        framing.cut(Told::default(), bytes)
    }

    #[test]
    fn lines() {
        assert_eq!(cut(Framing::Line, b"ab\r\ncd"), Cut::Frame(4));
        assert_eq!(cut(Framing::Line, b"\r\n\r\ncd"), Cut::Skip(4));
        assert_eq!(cut(Framing::Line, b"ab\r"), Cut::Need(4));
    }

    #[test]
    fn between_two_bytes() {
        let framing = Framing::Between(b'*', b'#');
        assert_eq!(cut(framing, b"*ab#*"), Cut::Frame(4));
        assert_eq!(cut(framing, b"xx*ab#"), Cut::Skip(2));
        assert_eq!(cut(framing, b"xx"), Cut::Skip(2));
        assert_eq!(cut(framing, b"*ab"), Cut::Need(4));
    }

    #[test]
    fn a_length_field() {
        let framing = Framing::Length { at: 1, width: 2, little_endian: true, plus: 3 };
        assert_eq!(cut(framing, &[9]), Cut::Need(3));
        assert_eq!(cut(framing, &[9, 2, 0, 1]), Cut::Need(5));
        assert_eq!(cut(framing, &[9, 2, 0, 1, 1, 7]), Cut::Frame(5));
        assert_eq!(
            cut(Framing::Length { at: 0, width: 1, little_endian: false, plus: 0 }, &[0]),
            Cut::Lost("length field too small")
        );
    }
}
