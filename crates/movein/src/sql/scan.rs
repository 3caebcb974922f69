//! Bytes of a dump with a look ahead, and the line that they are on.

use std::io::{self, Read};

/// A dump, byte by byte.
pub(super) struct Scan<R> {
    inner: R,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    /// The line of the next byte.
    pub(super) line: u64,
}

impl<R: Read> Scan<R> {
    pub(super) const fn new(inner: R) -> Self {
        Self { inner, buffer: Vec::new(), at: 0, ended: false, line: 1 }
    }

    /// The byte that comes after `ahead` others.
    pub(super) fn peek(&mut self, ahead: usize) -> io::Result<Option<u8>> {
        let index = self.at.saturating_add(ahead);
        if index >= self.buffer.len() {
            self.fill(ahead.saturating_add(1))?;
        }
        Ok(self.buffer.get(self.at.saturating_add(ahead)).copied())
    }

    /// Whether these bytes come next.
    pub(super) fn begins(&mut self, with: &[u8]) -> io::Result<bool> {
        for (ahead, byte) in with.iter().enumerate() {
            if self.peek(ahead)? != Some(*byte) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Some of the bytes that come next; none at the end.
    pub(super) fn window(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.buffer.len() {
            self.fill(1)?;
        }
        Ok(self.buffer.get(self.at..).unwrap_or_default())
    }

    /// Goes on behind `many` bytes of the window.
    pub(super) fn skip(&mut self, many: usize) {
        let passed = self.buffer.get(self.at..).unwrap_or_default();
        let passed = passed.get(..many).unwrap_or(passed);
        let lines = memchr::memchr_iter(b'\n', passed).count();
        self.line = self.line.saturating_add(u64::try_from(lines).unwrap_or_default());
        self.at = self.at.saturating_add(passed.len());
    }

    /// Takes the next byte.
    pub(super) fn next(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek(0)?;
        if let Some(byte) = byte {
            self.line = self.line.saturating_add(u64::from(byte == b'\n'));
            self.at = self.at.saturating_add(1);
        }
        Ok(byte)
    }

    /// Goes on behind the end of the line.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let window = self.window()?;
            match memchr::memchr(b'\n', window) {
                Some(index) => {
                    self.skip(index.saturating_add(1));
                    return Ok(());
                }
                None if window.is_empty() => return Ok(()),
                None => {
                    let all = window.len();
                    self.skip(all);
                }
            }
        }
    }

    /// Reads until `many` bytes are there, or the end.
    fn fill(&mut self, many: usize) -> io::Result<()> {
        self.buffer.drain(..self.at.min(self.buffer.len()));
        self.at = 0;
        while self.buffer.len() < many && !self.ended {
            let had = self.buffer.len();
            self.buffer.resize(had.saturating_add(READ_BYTES), 0);
            let got = loop {
                match self.inner.read(self.buffer.get_mut(had..).unwrap_or_default()) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            self.buffer.truncate(had.saturating_add(*got.as_ref().unwrap_or(&0)));
            self.ended = got? == 0;
        }
        Ok(())
    }
}

const READ_BYTES: usize = 32 << 10;
