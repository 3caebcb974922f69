//! Reads the configuration's file into single values, each with its key and its place.

use super::setting::Given;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value of the file.
pub(super) struct Assignment {
    /// Its key: `http`, `listen`; an element of a list is a number.
    pub(super) key: Vec<String>,
    pub(super) given: Given,
    /// Where it stands, as line and column from 1.
    pub(super) place: (usize, usize),
}

/// What a file says.
pub(super) struct Said {
    pub(super) values: Vec<Assignment>,
    /// Tables without a value, each with its key and place.
    pub(super) empty: Vec<(Vec<String>, (usize, usize))>,
}

/// All that a file says, or what is wrong with it and where.
pub(super) fn read(text: &str) -> Result<Said, ((usize, usize), String)> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (lines.place(at), error.message().to_owned())
    })?;
    let mut walk = Walk { lines, said: Said { values: Vec::new(), empty: Vec::new() }, key: Vec::new() };
    walk.table(table.get_ref())?;
    Ok(walk.said)
}

/// Where lines begin: looked up for each value, of which there may be thousands.
struct Lines<'a> {
    text: &'a str,
    begins: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let begins = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, begins }
    }

    /// Line and column, from 1.
    fn place(&self, at: usize) -> (usize, usize) {
        let line = self.begins.partition_point(|begin| *begin <= at);
        let begin = line.checked_sub(1).and_then(|line| self.begins.get(line)).copied().unwrap_or_default();
        (line, self.text.get(begin..at).map_or(0, |before| before.chars().count()) + 1)
    }
}

struct Walk<'a> {
    lines: Lines<'a>,
    said: Said,
    key: Vec<String>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Result<(), ((usize, usize), String)> {
        for (name, value) in table {
            self.key.push(name.get_ref().to_string());
            self.value(value, name.span())?;
            self.key.pop();
        }
        Ok(())
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, span: Range<usize>) -> Result<(), ((usize, usize), String)> {
        let given = match value.get_ref() {
            DeValue::Table(table) if table.is_empty() => {
                self.said.empty.push((self.key.clone(), self.lines.place(span.start)));
                return Ok(());
            }
            DeValue::Table(table) => return self.table(table),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                for (number, item) in items.iter().enumerate() {
                    self.key.push(number.to_string());
                    self.value(item, span.clone())?;
                    self.key.pop();
                }
                return Ok(());
            }
            DeValue::Array(items) => Given::List(items.iter().filter_map(|item| scalar(item.get_ref())).collect()),
            other => Given::Text(scalar(other).unwrap_or_default()),
        };
        self.said.values.push(Assignment { key: self.key.clone(), given, place: self.lines.place(span.start) });
        Ok(())
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Datetime(moment) => Some(moment.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
