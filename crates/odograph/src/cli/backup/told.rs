//! What a backup tells while it is made, from a server or from here.

use crate::backup::{Done, Line};
use crate::exit::{Failure, Status};
use crate::export::Sink;
use anyhow::Result;
use odograph_backup::Progress;
use std::io::{self, IsTerminal as _};

/// Takes lines, shows a person how far it is, and keeps what came of it.
pub(super) struct Told {
    shows_progress: bool,
    pending: Vec<u8>,
    last: Option<Line>,
}

impl Told {
    pub(super) fn new() -> Self {
        Self { shows_progress: io::stderr().is_terminal(), pending: Vec::new(), last: None }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(piece);
            if self.pending.ends_with(b"\n") {
                let line: Line = serde_json::from_slice(&std::mem::take(&mut self.pending))?;
                match line {
                    Line::Progress(progress) if self.shows_progress => show(progress),
                    Line::Catalog(rows) if self.shows_progress => show_rows(rows),
                    Line::Progress(_) | Line::Catalog(_) => {}
                    line => self.last = Some(line),
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Done> {
        if self.shows_progress {
            eprint!("\r\x1b[K");
        }
        match self.last {
            Some(Line::Done(done)) => Ok(*done),
            Some(Line::Error(why)) => Err(Failure::new(Status::Problems, format!("no backup was made: {why}")).into()),
            _ => Err(Failure::new(Status::Unavailable, "the server's answer was cut short: its log says why").into()),
        }
    }
}

/// How far it is, for a person.
pub(in crate::cli) fn show(progress: Progress) {
    let Progress { files, of_files, bytes, of_bytes, sent, .. } = progress;
    let sent = if sent.objects > 0 { format!(", {} bytes sent", sent.bytes) } else { String::new() };
    eprint!("\r\x1b[K{files} of {of_files} files, {bytes} of {of_bytes} bytes{sent}");
}

/// How far the catalog is on its way out of a database, or into one.
pub(in crate::cli) fn show_rows(rows: u64) {
    eprint!("\r\x1b[K{rows} rows of the catalog");
}

impl Sink for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.take(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn is_gone(&self) -> bool {
        false
    }
}
