//! Reads the entries of one segment file, one after another, through one bounded buffer.

use std::io;

use odograph_env::DiskFile;
use odograph_model::Lsn;

use crate::entry::{ENTRY_BYTES_MAX, Entry, HEADER_BYTES, Stop, length_of, u64_at};
use crate::segment::SEGMENT_HEADER_BYTES;

/// A position in one segment file.
pub(crate) struct Scan {
    file: Box<dyn DiskFile>,
    base: u64,
    /// Where the next entry begins in the file.
    position: u64,
    /// Where the data ends in the file.
    limit: u64,
    buffer: Vec<u8>,
    /// Where `buffer` begins in the file.
    buffer_start: u64,
    /// How many bytes of `buffer` were read.
    filled: usize,
    /// How much to read at once.
    read_bytes: usize,
}

/// Where an entry lies in a scan's buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located {
    start: usize,
    length: usize,
}

impl Scan {
    /// Begins behind the header of the segment that starts at `base`.
    pub(crate) fn new(file: Box<dyn DiskFile>, base: u64) -> Self {
        let position = SEGMENT_HEADER_BYTES as u64;
        Self {
            file,
            base,
            position,
            limit: u64::MAX,
            buffer: Vec::new(),
            buffer_start: position,
            filled: 0,
            read_bytes: READ_BYTES,
        }
    }

    /// The place that was reached.
    pub(crate) fn place(&self) -> Lsn {
        Lsn(self.base + self.position)
    }

    /// Where in the file that is.
    pub(crate) fn offset(&self) -> u64 {
        self.position
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    pub(crate) fn file(&self) -> &dyn DiskFile {
        &*self.file
    }

    pub(crate) fn into_file(self) -> Box<dyn DiskFile> {
        self.file
    }

    /// Ends at `end` even if the file goes on.
    pub(crate) fn set_end(&mut self, end: Lsn) {
        self.limit = end.0 - self.base;
    }

    /// Goes on at `place`, which must be where an entry begins.
    pub(crate) fn seek(&mut self, place: Lsn) {
        self.position = (place.0 - self.base).max(SEGMENT_HEADER_BYTES as u64);
    }

    /// How much to read at the next time that the buffer runs out.
    pub(crate) fn set_read_bytes(&mut self, bytes: usize) {
        self.read_bytes = bytes.clamp(HEADER_BYTES, READ_BYTES);
    }

    /// Checks the next entry and steps over it. Stopped, it stays where it is, and can be asked again.
    pub(crate) fn advance(&mut self) -> io::Result<Result<Located, Stop>> {
        let fresh = self.filled == 0;
        match self.try_advance()? {
            // What is buffered may be older than what was written since.
            Err(stop) if !fresh && stop != Stop::CleanEnd => {
                self.filled = 0;
                self.try_advance()
            }
            found => Ok(found),
        }
        .inspect(|found| {
            if found.is_err() {
                self.filled = 0;
            }
        })
    }

    /// The entry that [`Scan::advance`] found.
    pub(crate) fn entry(&self, located: Located) -> Entry<'_> {
        Entry::view(&self.buffer[located.start..located.start + located.length])
            .expect("an entry that was checked a moment ago")
    }

    /// Looks for the next place where a whole entry begins, after one that is broken.
    pub(crate) fn resynchronise(&mut self) -> io::Result<bool> {
        self.filled = 0;
        let broken_at = self.position;
        loop {
            self.position += 1;
            if self.window(HEADER_BYTES)? < HEADER_BYTES {
                self.position = broken_at;
                return Ok(false);
            }
            let start = (self.position - self.buffer_start) as usize;
            if u64_at(&self.buffer, start + 8) == self.place().0 {
                let at = self.position;
                if self.try_advance()?.is_ok() {
                    self.position = at;
                    return Ok(true);
                }
            }
        }
    }

    fn try_advance(&mut self) -> io::Result<Result<Located, Stop>> {
        if self.position >= self.limit {
            return Ok(Err(Stop::CleanEnd));
        }
        let available = self.window(HEADER_BYTES)?;
        let start = (self.position - self.buffer_start) as usize;
        let header = &self.buffer[start..start + available];
        if available == 0 {
            return Ok(Err(Stop::CleanEnd));
        }
        if header.iter().all(|&byte| byte == 0) {
            return Ok(Err(Stop::ZeroLength));
        }
        if available < HEADER_BYTES {
            return Ok(Err(Stop::Truncated));
        }
        let length = length_of(header);
        if length == 0 {
            return Ok(Err(Stop::ZeroLength));
        }
        if !(HEADER_BYTES..=ENTRY_BYTES_MAX).contains(&length) {
            return Ok(Err(Stop::LengthOutOfRange));
        }
        if self.window(length)? < length {
            return Ok(Err(Stop::Truncated));
        }
        let start = (self.position - self.buffer_start) as usize;
        if let Err(stop) = Entry::parse(&self.buffer[start..start + length], self.place()) {
            return Ok(Err(stop));
        }
        self.position += length as u64;
        Ok(Ok(Located { start, length }))
    }

    /// Sees to it that the buffer holds `wanted` bytes from the position on, and says how many of them there are.
    fn window(&mut self, wanted: usize) -> io::Result<usize> {
        let wanted_end = self.position.saturating_add(wanted as u64).min(self.limit);
        let wanted = (wanted_end - self.position.min(wanted_end)) as usize;
        let buffered = self.buffer_start..self.buffer_start + self.filled as u64;
        if self.position >= buffered.start && wanted_end <= buffered.end {
            return Ok(wanted);
        }
        let from = (self.position.saturating_sub(self.buffer_start) as usize).min(self.filled);
        let kept = if buffered.contains(&self.position) { self.filled - from } else { 0 };
        let target = wanted.max(self.read_bytes);
        if self.buffer.len() < target {
            let mut longer = vec![0; target];
            longer[..kept].copy_from_slice(&self.buffer[from..from + kept]);
            self.buffer = longer;
        } else {
            self.buffer.copy_within(from..from + kept, 0);
        }
        self.buffer_start = self.position;
        self.filled = kept;
        let left = self.limit.saturating_sub(self.position).min(target as u64) as usize;
        if left > kept {
            self.filled += self.file.read_at(&mut self.buffer[kept..left], self.position + kept as u64)?;
        }
        Ok(self.filled.min(wanted))
    }
}

/// How much is read at once: enough to keep a disk busy, small enough to hold many readers.
pub(crate) const READ_BYTES: usize = 256 << 10;
