//! A file's bytes on their way in: what is no text is refused with word of what to do, byte order marks go, UTF-16 becomes
//! UTF-8, and a file is read no further than its bound.

use crate::Error;
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::io::{self, Chain, Cursor, Read};

/// A file that begins as text, with its beginning to look at.
pub(crate) struct Source<R> {
    /// What it begins with, for whoever finds out what it is. It comes out of `text` again.
    pub(crate) sample: Vec<u8>,
    /// All of it.
    pub(crate) text: Chain<Cursor<Vec<u8>>, Text<R>>,
    /// What its bytes are, where they say so themselves or were turned into it.
    pub(crate) encoding: Option<&'static Encoding>,
    /// What the file was in, where that was turned into UTF-8.
    pub(crate) turned_from: Option<&'static Encoding>,
}

impl<R: Read> Source<R> {
    /// Looks at the first bytes. `encoding` is what the operator says.
    pub(crate) fn open(mut reader: R, encoding: Option<&'static Encoding>) -> Result<Self, Error> {
        let head = take(&mut reader, HEAD_BYTES)?;
        if let Some((_, what, advice)) = FOREIGN.iter().find(|(magic, _, _)| head.starts_with(magic)) {
            return Err(Error::Foreign { what, advice });
        }
        let (marked, mark) = match Encoding::for_bom(&head) {
            Some((encoding, bytes)) => (Some(encoding), bytes),
            None => (of_zeros(&head), 0),
        };
        let encoding = marked.or(encoding);
        let is_wide = |encoding: &&'static Encoding| *encoding == UTF_16LE || *encoding == UTF_16BE;
        let turned_from = encoding.filter(is_wide);
        if turned_from.is_none() && head.contains(&0) {
            return Err(Error::Foreign { what: "not text: it holds zero bytes", advice: "export it as CSV or SQL" });
        }
        let mut begin = Cursor::new(head);
        begin.set_position(u64::try_from(mark).unwrap_or_default());
        let turn = turned_from.map(|encoding| Turn {
            decoder: encoding.new_decoder_without_bom_handling(),
            raw: Vec::new(),
            ended: false,
            rest: Vec::new(),
            is_done: false,
        });
        let mut text = Text { inner: begin.chain(reader), turn };
        let sample = take(&mut text, crate::limits::SAMPLE_BYTES)?;
        let encoding = if turned_from.is_some() { Some(UTF_8) } else { encoding };
        Ok(Self { text: Cursor::new(sample.clone()).chain(text), sample, encoding, turned_from })
    }
}

/// Bytes of the file, as UTF-8 where it is in UTF-16.
pub(crate) struct Text<R> {
    inner: Chain<Cursor<Vec<u8>>, R>,
    turn: Option<Turn>,
}

/// UTF-16 on its way to UTF-8.
struct Turn {
    decoder: Decoder,
    /// Bytes that the decoder has not taken.
    raw: Vec<u8>,
    ended: bool,
    /// Text that was asked for in pieces smaller than a letter.
    rest: Vec<u8>,
    is_done: bool,
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(turn) = &mut self.turn else { return self.inner.read(into) };
        if turn.rest.is_empty() && into.len() >= TURNED_BYTES_MIN {
            return turn.read(&mut self.inner, into);
        }
        if turn.rest.is_empty() {
            let mut few = [0; TURNED_BYTES_MIN];
            let given = turn.read(&mut self.inner, &mut few)?;
            turn.rest.extend(few.iter().take(given));
        }
        let given = into.len().min(turn.rest.len());
        into.iter_mut().zip(turn.rest.drain(..given)).for_each(|(to, from)| *to = from);
        Ok(given)
    }
}

impl Turn {
    /// Reads on until there is something to give; an answer of nothing is the end.
    fn read(&mut self, inner: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
        while !self.is_done {
            if self.raw.is_empty() && !self.ended {
                self.raw.resize(RAW_BYTES, 0);
                let got = inner.read(&mut self.raw)?;
                self.raw.truncate(got);
                self.ended = got == 0;
            }
            let (result, taken, given, _) = self.decoder.decode_to_utf8(&self.raw, into, self.ended);
            self.raw.drain(..taken.min(self.raw.len()));
            // A decoder that was told of the end and took all must not be asked again.
            self.is_done = self.ended && result == CoderResult::InputEmpty;
            if given > 0 {
                return Ok(given);
            }
        }
        Ok(0)
    }
}

/// Says no once more than `left` bytes came.
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R> Bounded<R> {
    pub(crate) const fn new(inner: R, most: u64) -> Self {
        Self { inner, left: most }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(into)?;
        let many = u64::try_from(got).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(many).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(got)
    }
}

/// Reads so many bytes, or all there are.
fn take(reader: &mut impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// UTF-16 without a mark, as some programs write it: text of the Latin alphabet has a zero in every pair.
fn of_zeros(head: &[u8]) -> Option<&'static Encoding> {
    let zeros = |first: usize| head.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, pairs) = (zeros(0), zeros(1), head.len() / 2);
    if pairs < 8 {
        return None;
    }
    let (many, few) = (pairs / 2, pairs / 16);
    if odd > many && even <= few {
        Some(UTF_16LE)
    } else if even > many && odd <= few {
        Some(UTF_16BE)
    } else {
        None
    }
}

const HEAD_BYTES: usize = 4096;
const RAW_BYTES: usize = 16 << 10;
/// The decoder gives whole letters only, and wants room for one.
const TURNED_BYTES_MIN: usize = 16;

/// First bytes of what people have in hand when they are asked for an export.
const FOREIGN: &[(&[u8], &str, &str)] = &[
    (b"PK\x03\x04", "a workbook of a spreadsheet, or a ZIP archive", "save the sheet as CSV, or unpack the archive"),
    (b"\xd0\xcf\x11\xe0", "an old workbook of Excel", "save the sheet as CSV"),
    (b"PGDMP", "pg_dump's own format", "write it as SQL: pg_restore -f fleet.sql FILE, or pg_dump --format=plain"),
    (b"H:2,", "H2's database file itself", "export it with SCRIPT TO: docs/moving-in.md says how"),
    (b"SQLite format 3\0", "a database of SQLite", "export the devices as CSV"),
    (b"\x1f\x8b", "compressed", "unpack it with gunzip"),
    (b"BZh", "compressed", "unpack it with bunzip2"),
    (b"\xfd7zXZ\0", "compressed", "unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed", "unpack it with unzstd"),
    (b"%PDF", "a PDF", "export the devices as CSV"),
    (b"<?xml", "XML", "export the devices as CSV"),
    (b"<html", "a page of HTML", "export the devices as CSV"),
    (b"<!DOCTYPE", "a page of HTML", "export the devices as CSV"),
];
