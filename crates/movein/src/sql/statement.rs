//! Statements of a dump: which tables there are, and what is put into them.

use super::token::{Lexer, Stop, Token};
use super::{Sink, Value, Wanted, copy};
use crate::found::Lost;
use crate::limits::COLUMNS_MAX;
use crate::{Error, Format, text};
use encoding_rs::{Encoding, UTF_8};
use std::collections::HashMap;
use std::io::Read;

/// A dump, statement by statement.
pub(super) struct Statements<'a, R> {
    pub(super) lexer: Lexer<R>,
    pub(super) dialect: Format,
    pub(super) encoding: &'static Encoding,
    /// Whether the operator said what the text is in: then the dump's own word does not count.
    is_told: bool,
    pub(super) sink: &'a mut dyn Sink,
    /// The database that statements are about, in a dump of several.
    database: String,
    /// The columns of the tables that are wanted, from their `CREATE TABLE`.
    columns: HashMap<String, Vec<String>>,
    /// Where the first wanted table is: tables of the same name elsewhere are another server's.
    home: Option<String>,
    is_elsewhere_said: bool,
    /// Long texts of H2, which stand before the rows that they belong to.
    pub(super) clobs: HashMap<i64, String>,
    pub(super) clob_bytes: usize,
}

/// What is to be done with rows.
pub(super) enum Aim {
    /// They are wanted.
    Take(Target),
    /// Nobody asked for them.
    Pass,
    /// They would be wanted, and cannot be taken.
    Leave,
}

/// A table that rows are put into.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) wanted: &'static Wanted,
    /// For each of the statement's columns, where it belongs in a row.
    slots: Vec<Option<usize>>,
}

impl<'a, R: Read> Statements<'a, R> {
    pub(super) fn new(reader: R, dialect: Format, encoding: Option<&'static Encoding>, sink: &'a mut dyn Sink) -> Self {
        Self {
            lexer: Lexer::new(reader, dialect),
            dialect,
            encoding: encoding.unwrap_or(UTF_8),
            is_told: encoding.is_some(),
            sink,
            database: String::new(),
            columns: HashMap::new(),
            home: None,
            is_elsewhere_said: false,
            clobs: HashMap::new(),
            clob_bytes: 0,
        }
    }

    pub(super) fn read(mut self) -> Result<(), Error> {
        loop {
            match self.statement() {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(Fault::Stop(Stop::Io(error))) => return Err(error.into()),
                Err(Fault::Stop(Stop::Ended)) => {
                    let reason = "the file ends in the middle of something: it is not the whole dump".to_owned();
                    self.sink.lost("", self.lexer.line, reason, Lost::Rest);
                    return Ok(());
                }
                Err(Fault::Error(error)) => return Err(error),
            }
        }
    }

    /// Reads one statement; `false` at the end.
    fn statement(&mut self) -> Result<bool, Fault> {
        let is_ours = match self.lexer.next(true)? {
            Token::End => return Ok(false),
            Token::Sign(b';') => return Ok(true),
            // A command of psql, such as `\restrict` and `\connect`, is as long as its line.
            Token::Sign(b'\\') if self.dialect == Format::PostgreSql => {
                self.psql()?;
                return Ok(true);
            }
            Token::Word => true,
            _ => false,
        };
        if is_ours && (self.lexer.is("INSERT") || self.lexer.is("REPLACE")) {
            self.insert()?;
        } else if is_ours && self.lexer.is("CREATE") {
            self.create()?;
        } else if is_ours && self.lexer.is("COPY") && self.dialect == Format::PostgreSql {
            copy::read(self)?;
        } else if is_ours && self.lexer.is("SET") {
            self.set()?;
        } else if is_ours && self.lexer.is("USE") {
            self.lexer.next(true)?;
            self.database = self.lexer.name();
            self.skip_statement()?;
        } else if is_ours && self.lexer.is("DELIMITER") && self.dialect == Format::MySql {
            self.delimiter()?;
        } else {
            self.skip_statement()?;
        }
        Ok(true)
    }

    /// `INSERT INTO table (column, …) VALUES (…), (…);`
    fn insert(&mut self) -> Result<(), Fault> {
        let mut token = self.lexer.next(true)?;
        while token == Token::Word && !self.lexer.is("INTO") {
            token = self.lexer.next(true)?;
        }
        if token != Token::Word {
            return Ok(self.skip_from(token)?);
        }
        let first = self.lexer.next(true)?;
        let (name, place, mut token) = self.table_name(first)?;
        let listed = if token == Token::Sign(b'(') {
            let listed = self.column_list()?;
            token = self.lexer.next(true)?;
            Some(listed)
        } else {
            None
        };
        if token != Token::Word || !self.lexer.is("VALUES") {
            return Ok(self.skip_from(token)?);
        }
        match self.aim(&name, &place, listed) {
            Aim::Take(target) => return self.rows(&target),
            Aim::Pass => self.sink.passed(&name),
            Aim::Leave => {}
        }
        Ok(self.skip_statement()?)
    }

    /// What follows `VALUES`.
    fn rows(&mut self, target: &Target) -> Result<(), Fault> {
        loop {
            let token = self.lexer.next(false)?;
            let line = self.lexer.line;
            if token != Token::Sign(b'(') {
                self.sink.lost(&target.name, line, "a row in brackets was expected here".to_owned(), Lost::Table);
                return Ok(self.skip_from(token)?);
            }
            let mut row = target.empty();
            let mut many = 0_usize;
            loop {
                let slot = target.slot(many);
                let (value, end) = self.value(slot.is_some())?;
                put(&mut row, slot, value);
                many = many.saturating_add(1);
                if end == b')' {
                    break;
                }
            }
            self.give(target, line, row, many)?;
            match self.lexer.next(true)? {
                Token::Sign(b',') => {}
                token => return Ok(self.skip_from(token)?),
            }
        }
    }

    /// Hands on a row that has as many values as its table has columns.
    pub(super) fn give(&mut self, target: &Target, line: u64, mut row: Vec<Value>, many: usize) -> Result<(), Fault> {
        if many != target.slots.len() {
            let reason = format!("the row has {many} values, and {} columns are named", target.slots.len());
            self.sink.lost(&target.name, line, reason, Lost::Row);
            return Ok(());
        }
        if target.name == CLOBS.names.first().copied().unwrap_or_default() {
            self.keep_clob(&mut row);
            return Ok(());
        }
        self.sink.row(target.wanted, line, row).map_err(Fault::Error)
    }

    /// `CREATE … TABLE name (column …, …);`
    fn create(&mut self) -> Result<(), Fault> {
        let mut token = self.lexer.next(true)?;
        while token == Token::Word && !self.lexer.is("TABLE") {
            token = self.lexer.next(true)?;
        }
        if token != Token::Word {
            return Ok(self.skip_from(token)?);
        }
        let mut first = self.lexer.next(true)?;
        while first == Token::Word && ["IF", "NOT", "EXISTS"].iter().any(|word| self.lexer.is(word)) {
            first = self.lexer.next(true)?;
        }
        let (name, place, token) = self.table_name(first)?;
        if token != Token::Sign(b'(') || self.wanted(&name).is_none() {
            return Ok(self.skip_from(token)?);
        }
        let columns = self.columns_of_table()?;
        self.columns.insert(format!("{place}.{name}"), columns);
        Ok(self.skip_statement()?)
    }

    /// The first word of each part of a table's definition, without those that are no columns.
    fn columns_of_table(&mut self) -> Result<Vec<String>, Stop> {
        let mut columns = Vec::new();
        let (mut depth, mut is_first) = (0_u32, true);
        loop {
            let token = self.lexer.next(true)?;
            match token {
                Token::End => return Err(Stop::Ended),
                Token::Sign(b'(') => depth = depth.saturating_add(1),
                Token::Sign(b')') if depth == 0 => return Ok(columns),
                Token::Sign(b')') => depth = depth.saturating_sub(1),
                Token::Sign(b',') if depth == 0 => is_first = true,
                Token::Word | Token::Name if is_first => {
                    let is_column = token == Token::Name || !NO_COLUMNS.iter().any(|word| self.lexer.is(word));
                    if is_column && columns.len() < COLUMNS_MAX {
                        columns.push(self.lexer.name().to_lowercase());
                    }
                    is_first = false;
                }
                _ => {}
            }
        }
    }

    /// The names in brackets, whose opening one was read.
    pub(super) fn column_list(&mut self) -> Result<Vec<String>, Stop> {
        let mut columns = Vec::new();
        loop {
            match self.lexer.next(true)? {
                Token::End => return Err(Stop::Ended),
                Token::Sign(b')') => return Ok(columns),
                Token::Word | Token::Name if columns.len() < COLUMNS_MAX => {
                    columns.push(self.lexer.name().to_lowercase());
                }
                _ => {}
            }
        }
    }

    /// The name of a table whose first token was read, in lower case, with where it is; and the token behind it.
    pub(super) fn table_name(&mut self, first: Token) -> Result<(String, String, Token), Stop> {
        let mut place = self.database.clone();
        let mut name = String::new();
        let mut token = first;
        while matches!(token, Token::Word | Token::Name) {
            name = self.lexer.name().to_lowercase();
            token = self.lexer.next(true)?;
            if token != Token::Sign(b'.') {
                break;
            }
            if place.len() < PLACE_BYTES_MAX {
                place = format!("{place}.{name}");
            }
            token = self.lexer.next(true)?;
        }
        Ok((name, place, token))
    }

    /// What is to be done with rows for a table.
    pub(super) fn aim(&mut self, name: &str, place: &str, listed: Option<Vec<String>>) -> Aim {
        let Some(wanted) = self.wanted(name) else { return Aim::Pass };
        let Some(columns) = listed.or_else(|| self.columns.get(&format!("{place}.{name}")).cloned()) else {
            let reason = "its columns are not named, neither here nor in a CREATE TABLE before: make the dump with the \
                          tables' definitions, or with column names (--complete-insert, --column-inserts)";
            self.sink.lost(name, self.lexer.line, reason.to_owned(), Lost::Table);
            return Aim::Leave;
        };
        let of = |column: &String| wanted.columns.iter().position(|known| known == column);
        let slots: Vec<_> = columns.iter().map(of).collect();
        if (0..wanted.needed).any(|needed| !slots.contains(&Some(needed))) {
            return Aim::Pass;
        }
        if wanted == &CLOBS || self.home.get_or_insert_with(|| place.to_owned()) == place {
            return Aim::Take(Target { name: name.to_owned(), wanted, slots });
        }
        if !self.is_elsewhere_said {
            self.is_elsewhere_said = true;
            let home = shown(self.home.as_deref().unwrap_or_default());
            let other = shown(place);
            self.sink.say(format!(
                "there are tables of this kind in several places: those in {home} are taken, those in {other} are not"
            ));
        }
        Aim::Leave
    }

    fn wanted(&self, name: &str) -> Option<&'static Wanted> {
        if self.dialect == Format::H2 && CLOBS.names.contains(&name) { Some(&CLOBS) } else { self.sink.wanted(name) }
    }

    /// `SET NAMES utf8mb4`, `SET client_encoding = 'UTF8'` and what else changes how the rest is to be read.
    fn set(&mut self) -> Result<(), Fault> {
        let mut words: Vec<String> = Vec::new();
        let mut token = self.lexer.next(true)?;
        while !matches!(token, Token::End | Token::Sign(b';')) {
            if matches!(token, Token::Word | Token::Text(_) | Token::Name) && words.len() < SET_WORDS_MAX {
                words.push(self.lexer.name());
            }
            token = self.lexer.next(true)?;
        }
        let mut words = words.iter().map(String::as_str);
        let Some(what) = words.next() else { return Ok(()) };
        let value = words.next().unwrap_or_default();
        if (what.eq_ignore_ascii_case("NAMES") && self.dialect == Format::MySql)
            || what.eq_ignore_ascii_case("client_encoding")
        {
            self.set_encoding(value)?;
        } else if what.eq_ignore_ascii_case("standard_conforming_strings") {
            self.lexer.backslashes = value.eq_ignore_ascii_case("off");
        } else if what.eq_ignore_ascii_case("TIME_ZONE") && value == "+00:00" {
            self.sink.times_are_utc();
        }
        Ok(())
    }

    fn set_encoding(&mut self, name: &str) -> Result<(), Fault> {
        if self.is_told {
            return Ok(());
        }
        let Some(encoding) = text::of_database(name) else {
            self.sink.say(format!("the dump says that it is in {name}, which is not known here: it is read as UTF-8"));
            return Ok(());
        };
        if text::hides_quotes(encoding) {
            return Err(Fault::Error(Error::Encoded { name: name.to_owned() }));
        }
        self.encoding = encoding;
        Ok(())
    }

    /// `\connect traccar` and others.
    fn psql(&mut self) -> Result<(), Fault> {
        let line = self.lexer.scan.line;
        let token = self.lexer.next(true)?;
        let is_connect = token == Token::Word && (self.lexer.is("connect") || self.lexer.is("c"));
        if is_connect && matches!(self.lexer.next(true)?, Token::Word | Token::Name | Token::Text(_)) {
            self.database = self.lexer.name();
        }
        if self.lexer.scan.line == line {
            self.lexer.scan.skip_line()?;
        }
        Ok(())
    }

    /// `DELIMITER ;;` … `DELIMITER ;`: functions and triggers, which have semicolons in them.
    fn delimiter(&mut self) -> Result<(), Fault> {
        let mut token = self.lexer.next(true)?;
        if token == Token::Sign(b';') && self.lexer.scan.peek(0)? != Some(b';') {
            return Ok(());
        }
        while token != Token::End {
            self.lexer.scan.skip_line()?;
            token = self.lexer.next(true)?;
            if token == Token::Word && self.lexer.is("DELIMITER") {
                token = self.lexer.next(true)?;
                if token == Token::Sign(b';') && self.lexer.scan.peek(0)? != Some(b';') {
                    break;
                }
            }
        }
        Ok(())
    }

    pub(super) fn skip_statement(&mut self) -> Result<(), Stop> {
        while !matches!(self.lexer.next(false)?, Token::End | Token::Sign(b';')) {}
        Ok(())
    }

    /// Goes on behind the end of a statement of which this token was read.
    pub(super) fn skip_from(&mut self, token: Token) -> Result<(), Stop> {
        if matches!(token, Token::End | Token::Sign(b';')) { Ok(()) } else { self.skip_statement() }
    }
}

impl Target {
    pub(super) fn empty(&self) -> Vec<Value> {
        vec![Value::Missing; self.wanted.columns.len()]
    }

    /// Where a column belongs in a row.
    pub(super) fn slot(&self, column: usize) -> Option<usize> {
        self.slots.get(column).copied().flatten()
    }
}

pub(super) fn put(row: &mut [Value], slot: Option<usize>, value: Value) {
    if let Some(place) = slot.and_then(|slot| row.get_mut(slot)) {
        *place = value;
    }
}

fn shown(place: &str) -> &str {
    match place.trim_start_matches('.') {
        "" => "the first database",
        name => name,
    }
}

/// Why a statement was not read.
pub(super) enum Fault {
    Stop(Stop),
    Error(Error),
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Stop(Stop::Io(error))
    }
}

/// Where H2 has texts that are too long for a row of its script.
const CLOBS: Wanted = Wanted { names: &["system_lob_stream"], columns: &["id", "part", "cdata"], needed: 3 };

/// What may begin a part of a table's definition and is no column.
const NO_COLUMNS: &[&str] = &[
    "CONSTRAINT",
    "PRIMARY",
    "KEY",
    "UNIQUE",
    "INDEX",
    "FOREIGN",
    "CHECK",
    "FULLTEXT",
    "SPATIAL",
    "EXCLUDE",
    "LIKE",
    "PERIOD",
];
const SET_WORDS_MAX: usize = 16;
const PLACE_BYTES_MAX: usize = 1024;
