//! Where what is found comes together: each id and each group once, problems up to their bound.

use crate::found::{Device, Driver, Found, Group, Lost, Place, Problem, Speaks};
use crate::limits::{DEVICES_MAX, DRIVERS_MAX, GROUP_DEPTH_MAX, GROUPS_MAX, PROBLEMS_MAX};
use crate::{Attributes, Error, Format, ids};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What was found so far.
pub(crate) struct Gather {
    file: Arc<str>,
    devices: Vec<Device>,
    /// Each id of each device, with the line that it stands on.
    lines: HashMap<String, u64>,
    groups: Vec<Group>,
    paths: HashMap<String, usize>,
    drivers: Vec<Driver>,
    /// Each driver's id, with its line.
    driver_lines: HashMap<String, u64>,
    problems: Vec<Problem>,
    problems_more: u64,
    said: Vec<String>,
}

impl Gather {
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            devices: Vec::new(),
            lines: HashMap::new(),
            groups: Vec::new(),
            paths: HashMap::new(),
            drivers: Vec::new(),
            driver_lines: HashMap::new(),
            problems: Vec::new(),
            problems_more: 0,
            said: Vec::new(),
        }
    }

    pub(crate) fn place(&self, line: u64, column: Option<u64>) -> Place {
        Place { file: self.file.clone(), line, column }
    }

    pub(crate) fn say(&mut self, what: String) {
        self.said.push(what);
    }

    /// A problem with a row or all that follows.
    pub(crate) fn row(&mut self, line: u64, whose: Option<&str>, reason: impl Into<String>, lost: Lost) {
        let place = self.place(line, None);
        self.problem(Problem { place, whose: whose.map(ToOwned::to_owned), column: None, reason: reason.into(), lost });
    }

    /// A problem with one value, without which its row is taken.
    pub(crate) fn value(&mut self, place: Place, whose: &str, column: &str, reason: impl Into<String>) {
        let (whose, column) = (Some(whose.to_owned()), Some(column.to_owned()));
        self.problem(Problem { place, whose, column, reason: reason.into(), lost: Lost::Value });
    }

    pub(crate) fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.problems_more = self.problems_more.saturating_add(1);
        }
    }

    /// Takes a device whose ids nobody else has.
    pub(crate) fn device(&mut self, device: Device) -> Result<(), Error> {
        if let Some((id, line)) = device.ids.iter().find_map(|id| Some((id, *self.lines.get(id)?))) {
            let reason = format!("the device on line {line} has this id already");
            let (whose, place) = (Some(id.clone()), device.place);
            self.problem(Problem { place, whose, column: None, reason, lost: Lost::Row });
            return Ok(());
        }
        if self.devices.len() >= DEVICES_MAX {
            return Err(Error::TooMany { what: "devices", most: DEVICES_MAX });
        }
        self.lines.extend(device.ids.iter().map(|id| (id.clone(), device.place.line)));
        self.devices.push(device);
        Ok(())
    }

    /// Takes a driver whose id nobody else has.
    pub(crate) fn driver(&mut self, driver: Driver) -> Result<(), Error> {
        if let Some(line) = self.driver_lines.get(&driver.id) {
            let reason = format!("the driver on line {line} has this id already");
            self.row(driver.place.line, Some(&driver.id), reason, Lost::Row);
            return Ok(());
        }
        if self.drivers.len() >= DRIVERS_MAX {
            return Err(Error::TooMany { what: "drivers", most: DRIVERS_MAX });
        }
        self.driver_lines.insert(driver.id.clone(), driver.place.line);
        self.drivers.push(driver);
        Ok(())
    }

    /// The group with these names, from the outermost on, with those that it lies in; its path. Nothing, if there are too
    /// many within each other.
    pub(crate) fn group(&mut self, names: &[&str], line: u64) -> Result<Option<String>, Error> {
        if names.len() > GROUP_DEPTH_MAX {
            return Ok(None);
        }
        let mut path: Option<String> = None;
        for name in names {
            let parent = path.take();
            let here = parent.as_ref().map_or_else(|| (*name).to_owned(), |outer| format!("{outer}{BETWEEN}{name}"));
            if !self.paths.contains_key(&here) {
                if self.groups.len() >= GROUPS_MAX {
                    return Err(Error::TooMany { what: "groups", most: GROUPS_MAX });
                }
                self.paths.insert(here.clone(), self.groups.len());
                let (name, place) = ((*name).to_owned(), self.place(line, None));
                self.groups.push(Group { path: here.clone(), name, parent, attributes: Attributes::new(), place });
            }
            path = Some(here);
        }
        Ok(path)
    }

    /// Gives a group what holds for all in it.
    pub(crate) fn describe_group(&mut self, path: &str, line: u64, attributes: Attributes) {
        let place = self.place(line, None);
        if let Some(group) = self.paths.get(path).and_then(|index| self.groups.get_mut(*index)) {
            group.place = place;
            group.attributes.extend(attributes);
        }
    }

    /// All of it, with a word on what is odd.
    pub(crate) fn finish(mut self, format: Format) -> Found {
        self.say_foreign_protocols();
        self.say_check_digits();
        let Self { devices, groups, drivers, problems, problems_more, said, .. } = self;
        Found { format, devices, groups, drivers, problems, problems_more, said }
    }

    fn say_foreign_protocols(&mut self) {
        let mut foreign: BTreeMap<String, usize> = BTreeMap::new();
        for device in &self.devices {
            if let Some(Speaks::Foreign(name)) = &device.protocol {
                *foreign.entry(name.clone()).or_default() += 1;
            }
        }
        for (name, many) in foreign.into_iter().take(NAMED_MAX) {
            let what = "this version knows no protocol of that name, so what they send is kept and not understood";
            self.say(format!("{} with the protocol {name}: {what}", counted(many, "device", "devices")));
        }
    }

    fn say_check_digits(&mut self) {
        let wrong = |device: &&Device| device.ids.iter().any(|id| ids::has_wrong_check_digit(id));
        let many = self.devices.iter().filter(wrong).count();
        if let Some(first) = self.devices.iter().find(wrong) {
            let (place, id) = (&first.place, first.ids.first().map_or("", String::as_str));
            self.say(format!(
                "{} an id of 15 digits of which the last is not the check digit of an IMEI, the first at {place} ({id}): \
                 mistyped, or another kind of number?",
                counted(many, "device has", "devices have")
            ));
        }
    }
}

/// The protocol of that name, if we speak it.
pub(crate) fn speaks(name: &str) -> Speaks {
    let ours = |found: &&odograph_protocols::Protocol| found.name.eq_ignore_ascii_case(name);
    odograph_protocols::PROTOCOLS
        .iter()
        .copied()
        .find(|protocol| ours(protocol) || protocol.title.eq_ignore_ascii_case(name))
        .map_or_else(|| Speaks::Foreign(name.to_owned()), |protocol| Speaks::Ours(protocol.name))
}

/// `1 device`, `2 devices`.
pub(crate) fn counted(many: usize, one: &str, more: &str) -> String {
    format!("{many} {}", if many == 1 { one } else { more })
}

/// What stands between the names of a path.
pub(crate) const BETWEEN: &str = " / ";

/// Names that are said one by one.
const NAMED_MAX: usize = 50;
