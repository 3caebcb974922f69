//! Where an export goes, and what a person at a terminal sees of it meanwhile.

use crate::exit::{Failure, Status};
use crate::export::{Sink, Totals};
use anyhow::Result;
use odograph_env::{Clock as _, SystemClock};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::Path;
use std::time::Duration;

/// A file or standard output.
pub(super) struct Output {
    out: BufWriter<Box<dyn Write>>,
    progress: Option<Progress>,
}

struct Progress {
    what: &'static str,
    clock: SystemClock,
    shown: Duration,
    lines: u64,
    bytes: u64,
}

impl Output {
    pub(super) fn open(path: Option<&Path>, what: &'static str) -> Result<Self> {
        let out: Box<dyn Write> = match path {
            Some(path) => Box::new(File::create(path).map_err(|error| {
                Failure::new(Status::CannotCreate, format!("cannot write {}: {error}", path.display()))
            })?),
            None => Box::new(io::stdout()),
        };
        // Not beside the data itself on one screen.
        let shown = io::stderr().is_terminal() && (path.is_some() || !io::stdout().is_terminal());
        let progress =
            shown.then(|| Progress { what, clock: SystemClock::new(), shown: Duration::ZERO, lines: 0, bytes: 0 });
        Ok(Self { out: BufWriter::with_capacity(BUFFER_BYTES, out), progress })
    }

    /// Sends what is left, and says what it was.
    pub(super) fn finish(mut self, totals: &Totals) -> Result<()> {
        self.out.flush()?;
        if let Some(progress) = &self.progress {
            eprintln!("\r\x1b[K{} {}, {} bytes", totals.given, progress.what, progress.bytes);
        }
        Ok(())
    }
}

impl Sink for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        if let Some(progress) = &mut self.progress {
            progress.add(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn is_gone(&self) -> bool {
        false
    }
}

impl Progress {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let now = self.clock.monotonic();
        if now.saturating_sub(self.shown) >= SHOW {
            self.shown = now;
            eprint!("\r\x1b[K{} {}, {} bytes", self.lines, self.what, self.bytes);
        }
    }
}

/// Whole pieces of a server's answer.
const BUFFER_BYTES: usize = 256 << 10;

/// Often enough for a person.
const SHOW: Duration = Duration::from_millis(200);
