//! Bodies in chunks (RFC 9112 §7.1): `SIZE[;extension]␍␊ so many bytes ␍␊ … 0␍␊ [trailers] ␍␊`, the size in hex.

use super::{BODY_BYTES_MAX, CHUNKS_MAX, Extent, HEADERS_MAX, Wrong};
use crate::Cursor;

/// How far the chunks reach that `bytes` begin with.
pub(super) fn end(bytes: &[u8]) -> Result<Extent, Wrong> {
    let mut walk = Walk { bytes, at: 0 };
    for _ in 0..=CHUNKS_MAX {
        match walk.chunk()? {
            Step::Chunk(_) => {}
            Step::Unended(_) => return Err(Wrong::Chunk),
            Step::Last => return walk.trailers(),
            Step::Needs(length, _) => return Ok(Extent::Needs(length)),
        }
    }
    Err(Wrong::Chunks)
}

/// What is in chunks that [`end`] has found whole.
pub(super) fn joined(bytes: &[u8]) -> Vec<u8> {
    begun(bytes, usize::MAX).0
}

/// What is in the chunks that have come, also of one that has come in part: at most so many bytes, and whether that is all.
pub(super) fn begun(bytes: &[u8], body_max: usize) -> (Vec<u8>, bool) {
    let (mut walk, mut joined) = (Walk { bytes, at: 0 }, Vec::new());
    loop {
        let (chunk, goes_on) = match walk.chunk() {
            Ok(Step::Chunk(chunk)) => (chunk, true),
            // What was seen of a chunk stays seen when its end turns out to be none.
            Ok(Step::Needs(_, part) | Step::Unended(part)) => (part, false),
            Ok(Step::Last) => return (joined, true),
            Err(_) => return (joined, false),
        };
        let room = body_max.saturating_sub(joined.len());
        joined.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
        if !goes_on || chunk.len() > room {
            return (joined, false);
        }
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

enum Step<'a> {
    Chunk(&'a [u8]),
    /// All bytes of a chunk, and no line end behind them.
    Unended(&'a [u8]),
    /// The chunk of no bytes, after which the trailers come.
    Last,
    /// So many bytes at least, and what has come of the chunk that is not whole.
    Needs(usize, &'a [u8]),
}

impl<'a> Walk<'a> {
    fn chunk(&mut self) -> Result<Step<'a>, Wrong> {
        let Some(line) = self.line()? else { return Ok(Step::Needs(self.bytes.len().saturating_add(1), &[])) };
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
        let size = hex(digits).ok_or(Wrong::Chunk)?;
        if size == 0 {
            return Ok(Step::Last);
        }
        let end = self.at.saturating_add(size).saturating_add(LINE_END.len());
        if end > BODY_BYTES_MAX {
            return Err(Wrong::BodyLong);
        }
        let Some(chunk) = self.bytes.get(self.at..end) else {
            let come = self.bytes.get(self.at..).unwrap_or_default();
            return Ok(Step::Needs(end, come.get(..size).unwrap_or(come)));
        };
        self.at = end;
        Ok(match chunk.strip_suffix(LINE_END) {
            Some(chunk) => Step::Chunk(chunk),
            None => Step::Unended(chunk.get(..size).unwrap_or(chunk)),
        })
    }

    fn trailers(&mut self) -> Result<Extent, Wrong> {
        for _ in 0..=HEADERS_MAX {
            match self.line()? {
                None => return Ok(Extent::Needs(self.bytes.len().saturating_add(1))),
                Some([]) => return Ok(Extent::Whole(self.at)),
                Some(_) => {}
            }
        }
        Err(Wrong::Headers)
    }

    /// The next line without its end; nothing while it is not whole.
    fn line(&mut self) -> Result<Option<&'a [u8]>, Wrong> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let window = rest.get(..LINE_BYTES_MAX).unwrap_or(rest);
        let Some(length) = window.iter().position(|byte| *byte == b'\n') else {
            return if window.len() == LINE_BYTES_MAX { Err(Wrong::Chunk) } else { Ok(None) };
        };
        let mut c = Cursor::new(rest);
        let line = c.bytes("line", length).unwrap_or_default();
        self.at = self.at.saturating_add(length).saturating_add(1);
        if self.at > BODY_BYTES_MAX {
            return Err(Wrong::BodyLong);
        }
        // A line end of one byte is one to some readers and none to others.
        line.strip_suffix(b"\r").map(Some).ok_or(Wrong::Chunk)
    }
}

const LINE_END: &[u8] = b"\r\n";
/// A chunk's size with its extensions, or a trailer.
const LINE_BYTES_MAX: usize = 1024;

fn hex(digits: &[u8]) -> Option<usize> {
    let fits = !digits.is_empty() && digits.len() <= 8 && digits.iter().all(u8::is_ascii_hexdigit);
    usize::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| fits)?, 16).ok()
}
