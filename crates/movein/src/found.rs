//! What a file holds of a fleet, as plain values, and what of it could not be taken.

use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Free attributes, as the file has them: text from a table, any JSON value from a database.
pub type Attributes = BTreeMap<String, Value>;

/// A fleet as one file holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What kind of file it is.
    pub format: Format,
    /// Its devices, in the order of the file. No id stands at two of them.
    pub devices: Vec<Device>,
    /// The groups, each after its parent. No path stands twice.
    pub groups: Vec<Group>,
    /// The drivers, in the order of the file. No id stands at two of them.
    pub drivers: Vec<Driver>,
    /// What could not be taken, in the order in which it was found out.
    pub problems: Vec<Problem>,
    /// Further problems that are not listed, so that a broken file does not fill the memory.
    pub problems_more: u64,
    /// What a person should know before saying yes: how the file was understood, and what stays behind.
    pub said: Vec<String>,
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table as text, with a character between columns.
    Csv,
    /// The SQL that H2's `SCRIPT` writes.
    H2,
    /// The SQL that `pg_dump` writes.
    PostgreSql,
    /// The SQL that `mysqldump` and `mariadb-dump` write.
    MySql,
}

/// A device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// All that it calls itself, the first as its id. Never empty.
    pub ids: Vec<String>,
    /// What people call it.
    pub name: Option<String>,
    /// The vehicle's number plate.
    pub plate: Option<String>,
    /// The time zone that it is in, as the file names it.
    pub time_zone: Option<String>,
    /// The path of its group: see [`Group::path`].
    pub group: Option<String>,
    /// What it speaks.
    pub protocol: Option<Speaks>,
    /// The maker's word for what it is.
    pub model: Option<String>,
    /// The number of its SIM card.
    pub phone: Option<String>,
    /// Whom to ask about it.
    pub contact: Option<String>,
    /// What kind of thing carries it.
    pub category: Option<String>,
    /// What somebody noted about it.
    pub notes: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// All else.
    pub attributes: Attributes,
    /// Whether it was switched off where it comes from, where the file says so.
    pub disabled: Option<bool>,
    /// When it was to be switched off there.
    pub expires_at: Option<Timestamp>,
    /// Where the file has it.
    pub place: Place,
}

/// A protocol, as a file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaks {
    /// One that we speak: its name in the registry.
    Ours(&'static str),
    /// One that we do not speak, or know by another name.
    Foreign(String),
}

/// A group of devices.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name and those of all groups that it lies in, from the outermost on: `North / Reefers`.
    pub path: String,
    /// Its own name.
    pub name: String,
    /// The path of the group that it lies in.
    pub parent: Option<String>,
    /// What holds for all in it.
    pub attributes: Attributes,
    /// Where the file has it.
    pub place: Place,
}

/// Somebody who drives.
#[derive(Debug, Clone, PartialEq)]
pub struct Driver {
    /// What a device says of him, such as the number of his key or card.
    pub id: String,
    /// His name.
    pub name: Option<String>,
    /// All else.
    pub attributes: Attributes,
    /// The devices that he may drive, by their first id.
    pub devices: Vec<String>,
    /// The groups that he may drive, by path.
    pub groups: Vec<String>,
    /// Where the file has him.
    pub place: Place,
}

/// What could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// Whose it is, as far as that is known: a device's id, a group's name.
    pub whose: Option<String>,
    /// The column, as the file calls it.
    pub column: Option<String>,
    /// Why, and what to do.
    pub reason: String,
    /// How much stays behind for that.
    pub lost: Lost,
}

/// How much of the file a problem costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Letters of one value: the rest of it was taken.
    Letters,
    /// One value: the rest of its row was taken.
    Value,
    /// A whole row.
    Row,
    /// All rows that one statement puts into a table.
    Table,
    /// All that the file may have had behind it.
    Rest,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name, as it was given.
    pub file: Arc<str>,
    /// The line, from 1 on: where the row begins.
    pub line: u64,
    /// The column of a table, from 1 on.
    pub column: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        match (&self.whose, &self.column) {
            (Some(whose), Some(column)) => write!(f, "{whose}, {column}: ")?,
            (Some(one), None) | (None, Some(one)) => write!(f, "{one}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.reason)?;
        f.write_str(match self.lost {
            Lost::Letters => " (they are replaced)",
            Lost::Value => " (the value is left out)",
            Lost::Row => " (the row is left out)",
            Lost::Table => " (its rows are left out)",
            Lost::Rest => " (nothing behind it was read)",
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::H2 => "SQL of H2",
            Self::PostgreSql => "SQL of PostgreSQL",
            Self::MySql => "SQL of MySQL or MariaDB",
        })
    }
}

impl fmt::Display for Speaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours(name) => name,
            Self::Foreign(name) => name,
        })
    }
}
