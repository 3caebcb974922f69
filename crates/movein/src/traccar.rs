//! The fleet of a Traccar server, out of a dump of its database.
//!
//! The tables and columns are those of its schema since 2015. What a version does not have is missing and no error; before
//! 4.0 tables had no `tc_` before their names.

mod fleet;

use crate::found::Lost;
use crate::gather::Gather;
use crate::limits::{DEVICES_MAX, DRIVERS_MAX, DUMP_BYTES_MAX, GROUPS_MAX, KEPT_BYTES_MAX, LINKS_MAX, PROBLEMS_MAX};
use crate::source::{Bounded, Source};
use crate::sql::{self, Sink, Value, Wanted};
use crate::{Error, Format, Found, Hint};
use std::collections::{BTreeSet, HashMap};
use std::io::Read;

/// Reads a dump.
pub(crate) fn read<R: Read>(source: Source<R>, file: &str, dialect: Format, hint: &Hint) -> Result<Found, Error> {
    let mut rows = Rows::new(Gather::new(file));
    sql::read(Bounded::new(source.text, DUMP_BYTES_MAX), dialect, source.encoding, &mut rows)?;
    if !rows.has_devices {
        return Err(Error::NoDevices { found: rows.tables_in_words() });
    }
    fleet::of(rows, dialect, hint)
}

/// A row that was kept, with the line that it begins on.
struct Row {
    line: u64,
    values: Vec<Value>,
}

/// What was read of a dump.
struct Rows {
    gather: Gather,
    devices: Vec<Row>,
    groups: Vec<Row>,
    drivers: Vec<Row>,
    /// Devices and groups with the drivers that may drive them.
    device_drivers: Vec<(i64, i64)>,
    group_drivers: Vec<(i64, i64)>,
    /// For each device, its latest position, and by which protocol that came.
    protocols: HashMap<i64, (i64, usize)>,
    protocol_names: Vec<String>,
    /// Tables with rows that were not taken.
    passed: BTreeSet<String>,
    has_devices: bool,
    has_positions: bool,
    times_are_utc: bool,
    kept_bytes: usize,
}

impl Rows {
    fn new(gather: Gather) -> Self {
        Self {
            gather,
            devices: Vec::new(),
            groups: Vec::new(),
            drivers: Vec::new(),
            device_drivers: Vec::new(),
            group_drivers: Vec::new(),
            protocols: HashMap::new(),
            protocol_names: Vec::new(),
            passed: BTreeSet::new(),
            has_devices: false,
            has_positions: false,
            times_are_utc: false,
            kept_bytes: 0,
        }
    }

    /// Remembers by which protocol a device was heard last.
    fn position(&mut self, values: &[Value]) {
        let (Some(id), Some(device)) = (number(values.first()), number(values.get(1))) else { return };
        let Some(Value::Text { text: name, .. }) = values.get(2) else { return };
        let known = self.protocol_names.iter().position(|known| known == name);
        let index = match known {
            Some(index) => index,
            None if self.protocol_names.len() < PROTOCOLS_MAX => {
                self.protocol_names.push(name.clone());
                self.protocol_names.len().saturating_sub(1)
            }
            None => return,
        };
        if let Some(latest) = self.protocols.get_mut(&device) {
            if id >= latest.0 {
                *latest = (id, index);
            }
        } else if self.protocols.len() < DEVICES_MAX {
            self.protocols.insert(device, (id, index));
        }
    }

    /// Counts what is kept of a row.
    fn weigh(&mut self, values: &[Value]) -> Result<(), Error> {
        let bytes = |value: &Value| match value {
            Value::Word(text) | Value::Text { text, .. } | Value::Odd(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Missing | Value::Null => 0,
        };
        let row: usize = values.iter().map(bytes).fold(ROW_BYTES, usize::saturating_add);
        self.kept_bytes = self.kept_bytes.saturating_add(row);
        if self.kept_bytes > KEPT_BYTES_MAX {
            return Err(Error::TooMany { what: "bytes of devices, groups and drivers", most: KEPT_BYTES_MAX });
        }
        Ok(())
    }

    fn tables_in_words(&self) -> String {
        if self.passed.is_empty() {
            return "no table".to_owned();
        }
        self.passed.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl Sink for Rows {
    fn wanted(&self, table: &str) -> Option<&'static Wanted> {
        [&DEVICES, &GROUPS, &DRIVERS, &DEVICE_DRIVERS, &GROUP_DRIVERS, &POSITIONS]
            .into_iter()
            .find(|wanted| wanted.names.contains(&table))
    }

    fn row(&mut self, table: &'static Wanted, line: u64, values: Vec<Value>) -> Result<(), Error> {
        if table == &POSITIONS {
            if !self.has_positions {
                self.has_positions = true;
                self.passed("tc_positions");
            }
            self.position(&values);
            return Ok(());
        }
        if table == &DEVICE_DRIVERS || table == &GROUP_DRIVERS {
            let links = if table == &DEVICE_DRIVERS { &mut self.device_drivers } else { &mut self.group_drivers };
            if links.len() >= LINKS_MAX {
                return Err(Error::TooMany { what: "links of drivers", most: LINKS_MAX });
            }
            if let (Some(thing), Some(driver)) = (number(values.first()), number(values.get(1))) {
                links.push((thing, driver));
            }
            return Ok(());
        }
        self.weigh(&values)?;
        let (rows, what, most) = if table == &DEVICES {
            self.has_devices = true;
            (&mut self.devices, "devices", DEVICES_MAX)
        } else if table == &GROUPS {
            (&mut self.groups, "groups", GROUPS_MAX)
        } else {
            (&mut self.drivers, "drivers", DRIVERS_MAX)
        };
        if rows.len() >= most {
            return Err(Error::TooMany { what, most });
        }
        rows.push(Row { line, values });
        Ok(())
    }

    fn passed(&mut self, table: &str) {
        if self.passed.len() < PROBLEMS_MAX && !self.passed.contains(table) {
            self.passed.insert(table.to_owned());
        }
    }

    fn lost(&mut self, table: &str, line: u64, reason: String, lost: Lost) {
        // A table that is there and cannot be read is another matter than none.
        self.has_devices |= DEVICES.names.contains(&table) || lost == Lost::Rest;
        self.gather.row(line, Some(table).filter(|table| !table.is_empty()), reason, lost);
    }

    fn say(&mut self, what: String) {
        self.gather.say(what);
    }

    fn times_are_utc(&mut self) {
        self.times_are_utc = true;
    }
}

/// A whole number.
fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Word(text) | Value::Text { text, .. } => text.parse().ok(),
        _ => None,
    }
}

/// The places of values in a row are those of the columns here.
static DEVICES: Wanted = Wanted {
    names: &["tc_devices", "devices"],
    columns: &[
        "id",
        "uniqueid",
        "name",
        "groupid",
        "attributes",
        "phone",
        "model",
        "contact",
        "category",
        "disabled",
        "expirationtime",
    ],
    needed: 2,
};

static GROUPS: Wanted =
    Wanted { names: &["tc_groups", "groups"], columns: &["id", "name", "groupid", "attributes"], needed: 2 };

static DRIVERS: Wanted =
    Wanted { names: &["tc_drivers", "drivers"], columns: &["id", "uniqueid", "name", "attributes"], needed: 2 };

static DEVICE_DRIVERS: Wanted =
    Wanted { names: &["tc_device_driver", "device_driver"], columns: &["deviceid", "driverid"], needed: 2 };

static GROUP_DRIVERS: Wanted =
    Wanted { names: &["tc_group_driver", "group_driver"], columns: &["groupid", "driverid"], needed: 2 };

static POSITIONS: Wanted =
    Wanted { names: &["tc_positions", "positions"], columns: &["id", "deviceid", "protocol"], needed: 3 };

/// A server has some two hundred.
const PROTOCOLS_MAX: usize = 1000;
/// What a row takes beside its texts.
const ROW_BYTES: usize = 512;
