//! Records of a table, each with the line that it begins on, and none longer than its bound.

use crate::limits::ROW_BYTES_MAX;
use csv::{ByteRecord, ReaderBuilder};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

/// A table, record by record.
pub(super) struct Records<R> {
    reader: csv::Reader<Marked<R>>,
    marks: Rc<RefCell<Marks>>,
    /// The record that was read last.
    pub(super) record: ByteRecord,
    /// The line that it begins on; after an error, that of the one which could not be read.
    pub(super) line: u64,
}

/// Why there is no further record.
pub(super) enum Stop {
    /// It is longer than a record may be. A quotation mark that is never closed makes the rest of the file one value.
    Endless,
    Io(io::Error),
}

impl<R: Read> Records<R> {
    pub(super) fn new(inner: R, delimiter: u8) -> Self {
        let marks = Rc::new(RefCell::new(Marks::default()));
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(Marked { inner, marks: marks.clone() });
        Self { reader, marks, record: ByteRecord::new(), line: 1 }
    }

    /// Reads the next record; `false` at the end.
    pub(super) fn next(&mut self) -> Result<bool, Stop> {
        self.marks.borrow_mut().room = ROW_BYTES_MAX;
        let from = self.reader.position().byte();
        let read = self.reader.read_byte_record(&mut self.record);
        if let Some(line) = self.marks.borrow_mut().line_from(from) {
            self.line = line;
        }
        read.map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => Stop::Endless,
            csv::ErrorKind::Io(error) => Stop::Io(error),
            other => Stop::Io(io::Error::other(format!("{other:?}"))),
        })
    }
}

/// A reader that notes where lines begin and lets each record have its room.
struct Marked<R> {
    inner: R,
    marks: Rc<RefCell<Marks>>,
}

impl<R: Read> Read for Marked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(into)?;
        let mut marks = self.marks.borrow_mut();
        marks.room = marks.room.checked_sub(got).ok_or(io::ErrorKind::InvalidData)?;
        into.iter().take(got).for_each(|byte| marks.note(*byte));
        Ok(got)
    }
}

/// The beginnings of lines that are not empty. The library counts the empty ones before a record as part of it, and no
/// line at all where lines end with CR alone.
struct Marks {
    /// Bytes that may still come before the record must have ended.
    room: usize,
    /// How many bytes came.
    at: u64,
    line: u64,
    begins: bool,
    after_cr: bool,
    /// Where lines begin that have not become part of a record.
    starts: VecDeque<(u64, u64)>,
}

impl Default for Marks {
    fn default() -> Self {
        Self { room: ROW_BYTES_MAX, at: 0, line: 1, begins: true, after_cr: false, starts: VecDeque::new() }
    }
}

impl Marks {
    fn note(&mut self, byte: u8) {
        let ends_crlf = byte == b'\n' && self.after_cr;
        self.after_cr = byte == b'\r';
        if ends_crlf {
            // The line ended with the CR.
        } else if byte == b'\n' || byte == b'\r' {
            self.line = self.line.saturating_add(1);
            self.begins = true;
        } else if self.begins {
            self.begins = false;
            self.starts.push_back((self.at, self.line));
        }
        self.at = self.at.saturating_add(1);
    }

    /// The line of the first text from a place on.
    fn line_from(&mut self, from: u64) -> Option<u64> {
        while self.starts.front().is_some_and(|(at, _)| *at < from) {
            self.starts.pop_front();
        }
        self.starts.front().map(|(_, line)| *line)
    }
}
