//! Where an export goes, and what a person at a terminal sees of it meanwhile.

use crate::exit::{Failure, Status};
use crate::export::{self, Progress, Sink, Totals, Unframed};
use anyhow::Result;
use odograph_env::{Clock as _, SystemClock};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::Path;
use std::time::Duration;

/// A file or standard output.
pub(super) struct Output {
    out: BufWriter<Box<dyn Write>>,
    /// For errors.
    name: String,
    shown: Option<Shown>,
}

/// What a person sees.
struct Shown {
    /// What is given, and in what units that has its end.
    what: &'static str,
    units: &'static str,
    clock: SystemClock,
    last: Duration,
    progress: Progress,
    bytes: u64,
}

impl Output {
    /// Opens it for `what` there is; `units` are what [`Progress::done`] counts.
    pub(super) fn open(path: Option<&Path>, what: &'static str, units: &'static str) -> Result<Self> {
        let out: Box<dyn Write> = match path {
            Some(path) => Box::new(File::create(path).map_err(|error| {
                Failure::new(Status::CannotCreate, format!("cannot write {}: {error}", path.display()))
            })?),
            None => Box::new(io::stdout()),
        };
        // Not beside the data itself on one screen.
        let is_shown = io::stderr().is_terminal() && (path.is_some() || !io::stdout().is_terminal());
        let (last, progress, bytes) = (Duration::ZERO, Progress::default(), 0);
        let shown = is_shown.then(|| Shown { what, units, clock: SystemClock::new(), last, progress, bytes });
        let name = path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
        Ok(Self { out: BufWriter::with_capacity(BUFFER_BYTES, out), name, shown })
    }

    /// Whether someone wants to know how far it is.
    pub(super) const fn shows_progress(&self) -> bool {
        self.shown.is_some()
    }

    /// Takes what a server answers, and gives what came of it.
    pub(super) fn receive(&mut self, server: crate::client::Server, path: &str, query: Vec<u8>) -> Result<Totals> {
        let mut unframed = self.shows_progress().then(Unframed::default);
        let trailers = server.noting(BEHIND).stream("POST", path, query.into(), |chunk| {
            match &mut unframed {
                Some(unframed) => unframed.take(chunk, self)?,
                None => self.write(chunk)?,
            }
            // The server has gathered enough already, or has nothing more for now.
            Ok(self.flush()?)
        })?;
        export::totals(&trailers)
    }

    /// Sends what is left, and says what it was.
    pub(super) fn finish(mut self, totals: &Totals) -> Result<()> {
        self.flush()?;
        if let Some(shown) = &mut self.shown {
            shown.progress = Progress { given: totals.given, ..Progress::default() };
            eprintln!("\r\x1b[K{}", shown.line());
        }
        Ok(())
    }
}

impl Sink for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes).map_err(|error| named(&self.name, &error))?;
        if let Some(shown) = &mut self.shown {
            shown.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(|error| named(&self.name, &error))
    }

    fn is_gone(&self) -> bool {
        false
    }

    fn reached(&mut self, progress: Progress) -> io::Result<()> {
        if let Some(shown) = &mut self.shown {
            shown.progress = progress;
            let now = shown.clock.monotonic();
            if now.saturating_sub(shown.last) >= SHOW {
                shown.last = now;
                eprint!("\r\x1b[K{}", shown.line());
            }
        }
        Ok(())
    }
}

/// An error with the name of what cannot be written.
fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write {name}: {error}"))
}

impl Shown {
    fn line(&self) -> String {
        let Progress { given, done, of } = self.progress;
        let part = if of > 0 { format!("{done} of {of} {}, ", self.units) } else { String::new() };
        format!("{given} {}, {part}{} bytes", self.what, self.bytes)
    }
}

/// Nothing is left out of an answer that was acknowledged before: after a restart or a burst that can take a while.
const BEHIND: &str = "waiting until history has read all that was acknowledged";

/// Whole pieces of a server's answer.
const BUFFER_BYTES: usize = 256 << 10;

/// Often enough for a person.
const SHOW: Duration = Duration::from_millis(200);
