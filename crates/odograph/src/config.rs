//! The configuration: one file, the environment above it, the command line above both.
//!
//! Everything is optional. What the file says and nobody knows is an error, with its place and the likely meaning; in the
//! environment, which is shared with others, it is a warning.

mod check;
mod file;
mod keys;
pub(crate) mod made;
mod setting;
mod show;

pub(crate) use check::{device_settings, overlap};
pub(crate) use keys::{Config, Http, ListenerConfig, MapConfig, TlsConfig, YEARS_10};
pub(crate) use setting::{LogFormat, WebAddress};
pub(crate) use show::{Row, markdown, rows};

use crate::exit::{Failure, Status};
use anyhow::Result;
use keys::{DEVICE_KEYS, KEYS, Key, LISTENER_KEYS, TENANT_KEYS};
use setting::Given;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The configuration as it holds, and where each value came from.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// By key; what is not here is the default.
    origins: BTreeMap<String, Origin>,
    /// What is odd and no error.
    pub(crate) warnings: Vec<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf, (usize, usize)),
    Environment(String),
    Option(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, (line, column)) => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Option(name) => f.write_str(name),
        }
    }
}

/// What every command that needs the configuration takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Source {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "ODOGRAPH_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

impl Source {
    /// Reads the configuration; all that is wrong with it is one error.
    pub(crate) fn load(&self) -> Result<Loaded> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        self.load_with(environment.collect())
    }

    fn load_with(&self, mut environment: Vec<(String, String)>) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        let mut problems = Vec::new();
        if let Some(path) = &self.config {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::new(Status::NoInput, format!("cannot read {}: {error}", path.display())))?;
            loaded.take_file(path, &text, &mut problems);
        }
        // So that the elements of a list come in their order: the tenth behind the ninth.
        environment.sort_by_cached_key(|(name, _)| natural(name));
        for (name, value) in environment.into_iter().filter(|(name, _)| !NOT_KEYS.contains(&name.as_str())) {
            loaded.take_variable(&name, value, &mut problems);
        }
        if let Some(data) = &self.data {
            loaded.config.data.clone_from(data);
            loaded.origins.insert("data".to_owned(), Origin::Option("--data"));
        }
        problems.extend(check::problems(&loaded));
        if problems.is_empty() {
            return Ok(loaded);
        }
        Err(Failure::new(Status::Config, problems.join("\n       ")).into())
    }
}

/// A name's parts, numbers as numbers.
fn natural(name: &str) -> Vec<(u64, String)> {
    name.split("__").map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

/// What the names of our environment variables begin with.
const PREFIX: &str = "ODOGRAPH_";
/// Variables that are no keys: the file itself, and what is said once and kept by nobody.
const NOT_KEYS: &[&str] = &["ODOGRAPH_CONFIG", ADMIN_PASSWORD];
/// The password of the user `admin`, whom the first start makes.
pub(crate) const ADMIN_PASSWORD: &str = "ODOGRAPH_ADMIN_PASSWORD";

impl Loaded {
    /// Where a key's value came from.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Where a listener of the configuration was first mentioned.
    pub(crate) fn place_of_listener(&self, number: usize) -> Origin {
        check::place(self, &format!("listener.{number}"))
    }

    /// Whether somebody set a key.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    fn take_file(&mut self, path: &Path, text: &str, problems: &mut Vec<String>) {
        match file::read(text) {
            Err((place, what)) => problems.push(format!("{}: {what}", Origin::File(path.to_owned(), place))),
            Ok(file::Said { values, empty }) => {
                // One that is not there says nothing; one that is there and empty was meant to say something.
                for (_, place) in empty.into_iter().filter(|(key, _)| key.last().is_some_and(|key| key == "tls")) {
                    let origin = Origin::File(path.to_owned(), place);
                    problems.push(format!("{origin}: {}", check::HALF_TLS));
                }
                for assignment in values {
                    let origin = Origin::File(path.to_owned(), assignment.place);
                    match self.assign(&assignment.key, &assignment.given, origin.clone()) {
                        Err(Refused::Unknown(what) | Refused::Wrong(what)) => {
                            problems.push(format!("{origin}: {what}"));
                        }
                        Ok(()) => {}
                    }
                }
            }
        }
    }

    fn take_variable(&mut self, name: &str, value: String, problems: &mut Vec<String>) {
        let bare = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
        let key: Vec<String> = bare.split("__").map(str::to_owned).collect();
        match self.assign(&key, &Given::Text(value), Origin::Environment(name.to_owned())) {
            Ok(()) => {}
            Err(Refused::Unknown(what)) => self.warnings.push(format!("environment variable {name}: {what}")),
            Err(Refused::Wrong(what)) => problems.push(format!("environment variable {name}: {what}")),
        }
    }

    fn assign(&mut self, key: &[String], given: &Given, origin: Origin) -> Result<(), Refused> {
        match key {
            [list, number, rest @ ..] if list == "listener" => {
                let part = element(&mut self.config.listeners, number)?;
                assign_element(part, LISTENER_KEYS, |part| &mut part.settings, rest, given)?;
            }
            [list, number, rest @ ..] if list == "device" => {
                let part = element(&mut self.config.devices, number)?;
                assign_element(part, DEVICE_KEYS, |part| &mut part.settings, rest, given)?;
            }
            [list, number, rest @ ..] if list == "tenant" => {
                assign_in(element(&mut self.config.tenants, number)?, TENANT_KEYS, &rest.join("."), given)?;
            }
            [part, options, name] if options == "store_options" && matches!(&**part, "lake" | "backup") => {
                let Given::Text(value) = given else {
                    return Err(Refused::Wrong(format!("{part}.store_options.{name}: a list, not a text")));
                };
                let options = match &**part {
                    "lake" => &mut self.config.lake.store_options,
                    _ => &mut self.config.backup.store_options,
                };
                options.insert(name.clone(), value.clone());
            }
            _ => assign_in(&mut self.config, KEYS, &key.join("."), given)?,
        }
        self.origins.insert(key.join("."), origin);
        Ok(())
    }
}

/// Why a value was not taken.
enum Refused {
    /// There is no such key.
    Unknown(String),
    /// The key does not take this value.
    Wrong(String),
}

/// The element of a list, which may be a new one at its end.
fn element<'a, T: Default>(list: &'a mut Vec<T>, number: &str) -> Result<&'a mut T, Refused> {
    let unknown = || Refused::Unknown(format!("unknown element {number}: they count from 0, without a gap"));
    let number: usize = number.parse().map_err(|_| unknown())?;
    if number == list.len() {
        list.push(T::default());
    }
    list.get_mut(number).ok_or_else(unknown)
}

fn assign_element<T>(
    part: &mut T,
    keys: &'static [Key<T>],
    settings: fn(&mut T) -> &mut BTreeMap<String, String>,
    rest: &[String],
    given: &Given,
) -> Result<(), Refused> {
    match (rest, given) {
        ([settings_key, name], Given::Text(value)) if settings_key == "settings" => {
            settings(part).insert(name.clone(), value.clone());
            Ok(())
        }
        ([settings_key, name], Given::List(_)) if settings_key == "settings" => {
            Err(Refused::Wrong(format!("settings.{name}: a list, not a text")))
        }
        _ => assign_in(part, keys, &rest.join("."), given),
    }
}

fn assign_in<T>(part: &mut T, keys: &'static [Key<T>], name: &str, given: &Given) -> Result<(), Refused> {
    let Some(key) = keys.iter().find(|key| key.name == name) else {
        let known = keys.iter().map(|key| key.name);
        let hint = nearest(name, known).map_or(String::new(), |near| format!(": did you mean {near}?"));
        return Err(Refused::Unknown(format!("unknown key {name}{hint}")));
    };
    let place = (key.place)(part);
    let shown = match given {
        Given::Text(_) if place.is_secret() => "it is ".to_owned(),
        Given::Text(text) => format!("{text:?} is "),
        Given::List(_) => String::new(),
    };
    place.set(given).map_err(|what| Refused::Wrong(format!("{name}: {shown}{what}")))?;
    let (Some((least, most)), Some(amount)) = (key.range, place.amount()) else { return Ok(()) };
    let side = match (amount < least, amount > most) {
        (true, _) => "little",
        (_, true) => "much",
        _ => return Ok(()),
    };
    let (least, most) = (place.show_amount(least), place.show_amount(most));
    Err(Refused::Wrong(format!("{name}: {shown}too {side}: {least} to {most} are possible")))
}

/// Reads an address as `listen` takes it.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    let mut address = None::<SocketAddr>;
    setting::Setting::set(&mut address, &Given::Text(text.to_owned())).ok()?;
    address
}

/// The known name that somebody probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |name: &'a str| name.rsplit('.').next().unwrap_or(name);
    known
        // A key may be right and its section wrong or missing.
        .map(|known| (strsim::jaro_winkler(name, known).max(0.95 * strsim::jaro_winkler(name, last(known))), known))
        .filter(|(likeness, _)| *likeness >= LIKELY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Less alike than this, a suggestion would be a guess.
const LIKELY: f64 = 0.8;

#[cfg(test)]
mod tests;
