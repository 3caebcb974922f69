//! PostgreSQL's `COPY table (column, …) FROM stdin;`, and its rows: one a line, a tab between values, `\.` at the end.

use super::literal;
use super::statement::{Aim, Fault, Statements, put};
use super::token::{Stop, Token};
use crate::found::Lost;
use crate::limits::ROW_BYTES_MAX;
use std::io::Read;

/// Reads the statement behind its first word, and the rows behind the statement.
pub(super) fn read<R: Read>(statements: &mut Statements<'_, R>) -> Result<(), Fault> {
    let first = statements.lexer.next(true)?;
    let (name, place, mut token) = statements.table_name(first)?;
    let listed = if token == Token::Sign(b'(') {
        let listed = statements.column_list()?;
        token = statements.lexer.next(true)?;
        Some(listed)
    } else {
        None
    };
    let is_from = token == Token::Word && statements.lexer.is("FROM");
    token = statements.lexer.next(true)?;
    let is_stdin = token == Token::Word && statements.lexer.is("stdin");
    if !is_from || !is_stdin {
        return Ok(statements.skip_from(token)?);
    }
    statements.skip_statement()?;
    statements.lexer.scan.skip_line()?;
    let aim = statements.aim(&name, &place, listed);
    let mut row = Row::default();
    let mut is_empty = true;
    loop {
        let line = statements.lexer.scan.line;
        if !row.read(statements, matches!(aim, Aim::Take(_)))? {
            return Err(Fault::Stop(Stop::Ended));
        }
        if row.bytes == b"\\." {
            return Ok(());
        }
        let Aim::Take(target) = &aim else {
            if matches!(aim, Aim::Pass) && std::mem::take(&mut is_empty) {
                statements.sink.passed(&name);
            }
            continue;
        };
        if row.is_overlong {
            let reason = format!("the row is longer than {} KiB", ROW_BYTES_MAX / 1024);
            statements.sink.lost(&name, line, reason, Lost::Row);
            continue;
        }
        let mut values = target.empty();
        let mut many = 0_usize;
        for field in row.bytes.split(|byte| *byte == b'\t') {
            let slot = target.slot(many);
            if slot.is_some() {
                put(&mut values, slot, literal::copied(field, statements.encoding));
            }
            many = many.saturating_add(1);
        }
        statements.give(target, line, values, many)?;
    }
}

/// A line of data.
#[derive(Default)]
struct Row {
    bytes: Vec<u8>,
    is_overlong: bool,
}

impl Row {
    /// Reads the next line, without its end; of those that nobody wants, only what tells the last one. `false` at the
    /// end of the file.
    fn read<R: Read>(&mut self, statements: &mut Statements<'_, R>, keep: bool) -> Result<bool, Stop> {
        let most = if keep { ROW_BYTES_MAX } else { END_BYTES };
        self.bytes.clear();
        self.is_overlong = false;
        loop {
            let window = statements.lexer.scan.window()?;
            if window.is_empty() {
                return Ok(!self.bytes.is_empty());
            }
            let end = memchr::memchr(b'\n', window);
            let length = end.unwrap_or(window.len());
            let room = most.saturating_sub(self.bytes.len());
            self.is_overlong |= length > room;
            self.bytes.extend(window.iter().take(length.min(room)));
            statements.lexer.scan.skip(length.saturating_add(usize::from(end.is_some())));
            if end.is_some() {
                break;
            }
        }
        // A carriage return of the data is written as `\r`: this one is of the file.
        if self.bytes.last() == Some(&b'\r') {
            self.bytes.pop();
        }
        Ok(true)
    }
}

/// `\.` with what Windows puts behind it, and one more.
const END_BYTES: usize = 4;
