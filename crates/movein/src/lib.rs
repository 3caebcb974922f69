//! Reads the fleet of somebody who moves over, into plain values: [`read`] takes a table that a spreadsheet saved as CSV, or
//! what a Traccar server's database writes as SQL, finds out which it is, and gives devices, groups and drivers, with
//! word of all that could not be taken. Nothing is changed by it: what comes of it is the caller's to decide.
//!
//! A file is streamed, within the bounds of [`limits`], and may be anything: what it is not is an [`Error`] that says what to
//! do, what of it is wrong is a [`Problem`] with its line.

#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "a test may panic"
    )
)]

mod found;
mod gather;
mod ids;
pub mod limits;
mod recognise;
mod source;
mod sql;
mod table;
mod text;
mod traccar;
mod when;

pub use found::{Attributes, Device, Driver, Format, Found, Group, Lost, Place, Problem, Speaks};

use encoding_rs::Encoding;
use jiff::tz::TimeZone;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What the operator knows of a file. What is not said is found out.
#[derive(Debug, Clone, Default)]
pub struct Hint {
    /// What kind of file it is.
    pub format: Option<Format>,
    /// What its text is in, by any of the names that web pages use: `utf-8`, `windows-1251`, `iso-8859-2`.
    pub encoding: Option<String>,
    /// What stands between the columns of a table.
    pub delimiter: Option<u8>,
    /// Where its times are from, if they do not say; UTC, if nobody does.
    pub time_zone: Option<TimeZone>,
}

impl Hint {
    fn time_zone(&self) -> TimeZone {
        self.time_zone.clone().unwrap_or(TimeZone::UTC)
    }

    fn encoding(&self) -> Result<Option<&'static Encoding>, Error> {
        let Some(name) = &self.encoding else { return Ok(None) };
        Encoding::for_label(name.trim().as_bytes()).map(Some).ok_or_else(|| Error::Encoding { name: name.clone() })
    }
}

/// Why a file gives nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Io(#[source] io::Error),
    /// It is something else.
    #[error("the file is {what}: {advice}")]
    Foreign {
        /// What it seems to be.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// It is longer than any that makes sense.
    #[error(
        "the file is longer than is read ({} MiB of a table, {} GiB of a dump): is it the right one?",
        limits::CSV_BYTES_MAX >> 20,
        limits::DUMP_BYTES_MAX >> 30
    )]
    TooLong,
    /// It holds more than is kept in memory.
    #[error("the file holds more than {most} {what}: split it")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are taken at most.
        most: usize,
    },
    /// No such encoding.
    #[error("no encoding has the name \"{name}\": try utf-8, windows-1251, windows-1252 or iso-8859-2")]
    Encoding {
        /// The name.
        name: String,
    },
    /// A dump in an encoding in which a byte of a letter may look like a quotation mark.
    #[error("the dump is in {name}, in which texts cannot be told apart by their bytes: make it in UTF-8")]
    Encoded {
        /// The encoding's name.
        name: String,
    },
    /// SQL of an unknown kind.
    #[error("the file is SQL, and it does not show of which database: say whether it is of H2, PostgreSQL or MySQL")]
    Unclear,
    /// A dump of something else.
    #[error(
        "the dump holds no devices: rows of tc_devices, with the columns id and uniqueid, were looked for, and there are \
         those of {found}"
    )]
    NoDevices {
        /// The tables whose rows it has.
        found: String,
    },
    /// A table without ids.
    #[error(
        "no column for ids is named in the first lines: a header such as `imei,name,plate,group` is needed. \
         The file begins with \"{first}\""
    )]
    NoIds {
        /// The first line.
        first: String,
    },
}

/// Reads a file. Fails if it is nothing that this can read, or breaks a bound; what is wrong in single rows is in
/// [`Found::problems`].
pub fn read(path: &Path, hint: &Hint) -> Result<Found, Error> {
    let file = File::open(path).map_err(Error::Io)?;
    read_from(file, &path.display().to_string(), hint)
}

/// Reads what comes from anywhere, under the name that its problems shall have. Fails as [`read`] does.
pub fn read_from(reader: impl Read, name: &str, hint: &Hint) -> Result<Found, Error> {
    let source = source::Source::open(reader, hint.encoding()?)?;
    let format = match hint.format {
        Some(format) => format,
        None => recognise::format(&source.sample)?,
    };
    match format {
        Format::Csv => table::read(source, name, hint),
        dialect => traccar::read(source, name, dialect, hint),
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::FileTooLarge => Self::TooLong,
            _ => Self::Io(error),
        }
    }
}
