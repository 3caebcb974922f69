//! Rows out of a dump: what `INSERT` and `COPY` put into the tables that somebody wants, with the columns by name. All else
//! is read past.
//!
//! A tokenizer of our own: `sqlparser`, which DataFusion brings along, wants a statement as one text, and a dump's
//! statements are as long as a table, with bytes in them that are no text; it knows neither psql's commands nor H2's
//! `STRINGDECODE`. Here one row is in memory, and of it what is wanted.

mod copy;
mod literal;
mod scan;
mod statement;
mod token;
mod value;

use crate::found::Lost;
use crate::{Error, Format};
use encoding_rs::Encoding;
use std::io::Read;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// The table has no such column.
    Missing,
    Null,
    /// A number, a truth, or anything else without quotes.
    Word(String),
    /// A text; damaged, if not all of its bytes are text in the dump's encoding.
    Text {
        text: String,
        is_damaged: bool,
    },
    Bytes(Vec<u8>),
    /// What could not be understood, and why.
    Odd(String),
}

/// Who takes the rows.
pub(crate) trait Sink {
    /// The columns that are wanted of a table, if any are. A row has its values in this order. The name is in lower case.
    fn wanted(&self, table: &str) -> Option<&'static Wanted>;

    /// A row of a wanted table.
    fn row(&mut self, table: &'static Wanted, line: u64, row: Vec<Value>) -> Result<(), Error>;

    /// A table that is not wanted and has rows.
    fn passed(&mut self, table: &str);

    /// Something that could not be taken.
    fn lost(&mut self, table: &str, line: u64, reason: String, lost: Lost);

    /// Something to know.
    fn say(&mut self, what: String);

    /// The dump says that its times are in UTC.
    fn times_are_utc(&mut self);
}

/// A table that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its names, in lower case: the present one first.
    pub(crate) names: &'static [&'static str],
    /// What is wanted of it. A table without all of the first `needed` of them is another one of the same name.
    pub(crate) columns: &'static [&'static str],
    pub(crate) needed: usize,
}

/// Reads a dump to its end.
pub(crate) fn read(
    reader: impl Read,
    dialect: Format,
    encoding: Option<&'static Encoding>,
    sink: &mut dyn Sink,
) -> Result<(), Error> {
    statement::Statements::new(reader, dialect, encoding, sink).read()
}
