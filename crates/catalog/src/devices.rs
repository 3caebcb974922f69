//! What people decide about a device, what of it may be changed, and how it is found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::any::AnyRow;

use crate::bounds::{
    self, ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, DEVICE_IDS_MAX, ID_CHARS_MAX, NAME_CHARS_MAX, SETTING_CHARS_MAX,
    SETTINGS_MAX, TAG_CHARS_MAX, TAGS_MAX,
};
use crate::sql::Columns as _;
use crate::{Error, Role, UnixMillis};

/// A device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Device {
    /// Its id, under which all that it sent is kept: the first of its ids.
    pub id: String,
    /// All that it calls itself, its id first.
    pub ids: Vec<String>,
    /// Its name, if it was given one.
    pub name: String,
    /// The number plate of what it is in.
    pub plate: String,
    /// The IANA's name of the time zone by whose clocks its days are read, such as `Europe/Berlin`; empty, if it was given none.
    pub time_zone: String,
    /// The id of its group.
    pub group: Option<String>,
    /// Words that it is found by.
    pub tags: Vec<String>,
    /// The protocol that it speaks, if that is known.
    pub protocol: String,
    /// Settings of the protocol, which stand above the listener's. The catalog does not know what they mean.
    pub settings: BTreeMap<String, String>,
    /// Remarks.
    pub notes: String,
    /// Whatever else people want to keep about it.
    pub attributes: Map<String, Value>,
    /// What was decided about it.
    pub state: DeviceState,
    /// Since when it is there.
    pub created: UnixMillis,
    /// When any of this changed last.
    pub updated: UnixMillis,
    /// Grows with each change of it: who changes it may say which one was seen.
    pub revision: i64,
}

/// What was decided about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// The configuration announces it: it is there as long as it does, unless a person decides something else.
    Configured,
    /// It registered itself, its data counts, and nobody has looked at it yet.
    New,
    /// A person accepted it.
    Accepted,
    /// It waits for a person: what it sends is kept and not shown.
    Quarantined,
    /// A person rejected it: it is refused.
    Rejected,
}

impl DeviceState {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::New => "new",
            Self::Accepted => "accepted",
            Self::Quarantined => "quarantined",
            Self::Rejected => "rejected",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Configured, Self::New, Self::Accepted, Self::Quarantined, Self::Rejected];
        all.into_iter().find(|state| state.name() == name)
    }
}

/// What is given of a device, or becomes different. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceFields {
    /// All that it calls itself. The first is its id, and stays.
    pub ids: Option<Vec<String>>,
    /// Its name.
    pub name: Option<String>,
    /// The number plate.
    pub plate: Option<String>,
    /// The IANA's name of its time zone, such as `Europe/Berlin`; the empty text takes it away.
    pub time_zone: Option<String>,
    /// The id of its group; `Some(None)` takes it out of its group.
    #[serde(deserialize_with = "crate::within::present")]
    pub group: Option<Option<String>>,
    /// Words that it is found by.
    pub tags: Option<Vec<String>>,
    /// The protocol.
    pub protocol: Option<String>,
    /// Settings of the protocol: all are replaced.
    pub settings: Option<BTreeMap<String, String>>,
    /// Remarks.
    pub notes: Option<String>,
    /// Whatever else: all are replaced.
    pub attributes: Option<Map<String, Value>>,
    /// What is decided about it.
    pub state: Option<DeviceState>,
    /// The revision that was seen: if it has changed since, nothing is changed.
    pub if_revision: Option<i64>,
}

/// Settings that are not for everybody's eyes.
pub(crate) const SECRET_SETTINGS: &[&str] = &["password"];
/// What stands in their place.
pub const HIDDEN: &str = "(hidden)";
pub(crate) const HIDDEN_NEW: &str = "(hidden, new)";

impl DeviceFields {
    /// The device as it becomes. Its group is not looked up.
    pub(crate) fn applied(&self, mut device: Device) -> Result<Device, Error> {
        if self.if_revision.is_some_and(|revision| revision != device.revision) {
            return Err(Error::conflict(format!("the device {} was changed meanwhile: look at it again", device.id)));
        }
        if let Some(ids) = &self.ids {
            check_ids(ids)?;
            if ids.first() != Some(&device.id) {
                return Err(Error::invalid("ids", format!("must begin with {}, which stays its id", device.id)));
            }
            device.ids.clone_from(ids);
        }
        if let Some(name) = &self.name {
            bounds::line("name", name, NAME_CHARS_MAX)?;
            device.name.clone_from(name);
        }
        if let Some(plate) = &self.plate {
            bounds::line("plate", plate, ID_CHARS_MAX)?;
            device.plate.clone_from(plate);
        }
        if let Some(name) = &self.time_zone {
            device.time_zone = bounds::time_zone("time_zone", name)?.to_owned();
        }
        if let Some(group) = &self.group {
            device.group.clone_from(group);
        }
        if let Some(tags) = &self.tags {
            device.tags = checked_tags(tags)?;
        }
        if let Some(protocol) = &self.protocol {
            bounds::line("protocol", protocol, ID_CHARS_MAX)?;
            device.protocol.clone_from(protocol);
        }
        if let Some(settings) = &self.settings {
            device.settings = checked_settings(settings, &device.settings)?;
        }
        if let Some(notes) = &self.notes {
            bounds::notes("notes", notes)?;
            device.notes.clone_from(notes);
        }
        if let Some(attributes) = &self.attributes {
            check_attributes(attributes)?;
            device.attributes.clone_from(attributes);
        }
        device.state = self.state.unwrap_or(device.state);
        Ok(device)
    }
}

pub(crate) fn check_ids(ids: &[String]) -> Result<(), Error> {
    if ids.is_empty() {
        return Err(Error::invalid("ids", "are none: a device has at least one"));
    }
    bounds::count("ids", ids.len(), DEVICE_IDS_MAX)?;
    for (index, id) in ids.iter().enumerate() {
        // The first is there already: one that the device gave itself may be odder than what people may write.
        if index > 0 {
            bounds::id("ids", id)?;
        }
        if ids[..index].contains(id) {
            return Err(Error::invalid("ids", format!("have {id} twice")));
        }
    }
    Ok(())
}

fn checked_tags(tags: &[String]) -> Result<Vec<String>, Error> {
    bounds::count("tags", tags.len(), TAGS_MAX)?;
    for tag in tags {
        bounds::line("tags", tag, TAG_CHARS_MAX)?;
        if tag.is_empty() {
            return Err(Error::invalid("tags", "have an empty one"));
        }
    }
    let mut sorted = tags.to_vec();
    sorted.sort();
    sorted.dedup();
    Ok(sorted)
}

/// Who was shown [`HIDDEN`] in a secret's place and sends it back does not change the secret.
pub(crate) fn checked_settings(
    settings: &BTreeMap<String, String>,
    before: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    bounds::count("settings", settings.len(), SETTINGS_MAX)?;
    let mut checked = BTreeMap::new();
    for (name, value) in settings {
        bounds::id("settings", name)?;
        bounds::line("settings", value, SETTING_CHARS_MAX)?;
        let kept = before.get(name).filter(|_| SECRET_SETTINGS.contains(&name.as_str()) && value == HIDDEN);
        checked.insert(name.clone(), kept.unwrap_or(value).clone());
    }
    Ok(checked)
}

fn check_attributes(attributes: &Map<String, Value>) -> Result<(), Error> {
    bounds::count("attributes", attributes.len(), ATTRIBUTES_MAX)?;
    attributes.keys().try_for_each(|name| bounds::name("attributes", name))?;
    let text = crate::sql::json(attributes);
    if text.len() > ATTRIBUTES_BYTES_MAX {
        let reason = format!("have {} bytes as JSON, at most {ATTRIBUTES_BYTES_MAX} are possible", text.len());
        return Err(Error::invalid("attributes", reason));
    }
    if text.contains("\\u0000") {
        return Err(Error::invalid("attributes", "have the character \\0 in them, which cannot be kept"));
    }
    Ok(())
}

impl Device {
    /// A device of which nothing is known but its ids.
    pub(crate) fn blank(ids: Vec<String>, state: DeviceState, now: UnixMillis) -> Self {
        Self {
            id: ids.first().cloned().unwrap_or_default(),
            ids,
            name: String::new(),
            plate: String::new(),
            time_zone: String::new(),
            group: None,
            tags: Vec::new(),
            protocol: String::new(),
            settings: BTreeMap::new(),
            notes: String::new(),
            attributes: Map::new(),
            state,
            created: now,
            updated: now,
            revision: 0,
        }
    }

    /// As somebody of this role may see it.
    pub(crate) fn for_role(mut self, role: Role) -> Self {
        if role < Role::Manager {
            self.hide(HIDDEN);
        }
        self
    }

    /// As the audit log keeps it, `before` being what it was: without secrets, but so that a new one shows as new.
    pub(crate) fn for_audit(&self, before: Option<&Self>) -> Value {
        let mut shown = self.clone();
        let is_new = before.is_some_and(|before| {
            SECRET_SETTINGS.iter().any(|name| before.settings.get(*name) != self.settings.get(*name))
        });
        shown.hide(if is_new { HIDDEN_NEW } else { HIDDEN });
        crate::scoped::shown(&shown)
    }

    fn hide(&mut self, with: &str) {
        for name in SECRET_SETTINGS {
            if let Some(value) = self.settings.get_mut(*name) {
                with.clone_into(value);
            }
        }
    }

    /// What it is found by: all ids, name and plate, in small letters.
    pub(crate) fn search_text(&self) -> String {
        let mut words = self.ids.join("\n");
        for word in [&self.name, &self.plate] {
            words.push('\n');
            words.push_str(word);
        }
        words.to_lowercase()
    }

    /// What it is sorted by where people read: its name, or its id.
    pub(crate) fn sort_key(&self) -> String {
        sort_key(if self.name.is_empty() { &self.id } else { &self.name })
    }

    pub(crate) fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            ids: row.parsed("ids")?,
            name: row.text("name")?,
            plate: row.text("plate")?,
            time_zone: row.text("time_zone")?,
            group: row.text_or_none("device_group")?,
            tags: row.parsed("tags")?,
            protocol: row.text("protocol")?,
            settings: row.parsed("settings")?,
            notes: row.text("notes")?,
            attributes: row.parsed("attributes")?,
            state: row.named("state", DeviceState::from_name)?,
            created: row.number("created")?,
            updated: row.number("updated")?,
            revision: row.number("revision")?,
        })
    }
}

/// Capital letters do not matter, and numbers count as numbers: truck 9 comes before truck 10.
fn sort_key(text: &str) -> String {
    let mut key = String::with_capacity(text.len() + DIGITS);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_number = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        if is_number {
            let digits = run.trim_start_matches('0');
            key.extend(std::iter::repeat_n('0', DIGITS.saturating_sub(digits.len())));
            key.push_str(digits);
        } else {
            key.push_str(&run.to_lowercase());
        }
        rest = after;
    }
    key
}

/// Longer than any id that is a number.
const DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn device() -> Device {
        Device::blank(vec!["1".into()], DeviceState::Accepted, 5)
    }

    #[track_caller]
    fn check(fields: &DeviceFields, expected: &str) {
        let result = fields.applied(device());
        assert_eq!(result.err().map(|error| error.to_string()).unwrap_or_default(), expected);
    }

    #[test]
    fn what_is_not_given_stays() {
        let full = DeviceFields {
            ids: Some(vec!["1".into(), "2".into()]),
            name: Some("Truck".into()),
            plate: Some("AB 123".into()),
            time_zone: Some("europe/berlin".into()),
            group: Some(Some("g".into())),
            tags: Some(vec!["cold".into(), "big".into(), "cold".into()]),
            protocol: Some("teltonika".into()),
            settings: Some([("password".to_owned(), "hush".to_owned())].into()),
            notes: Some("a\nb".into()),
            attributes: Some(json!({"axles": 3}).as_object().unwrap().clone()),
            state: Some(DeviceState::Rejected),
            if_revision: Some(0),
        };
        let made = full.applied(device()).unwrap();
        assert_eq!(made.tags, ["big", "cold"]);
        assert_eq!(made.time_zone, "Europe/Berlin");
        assert_eq!((made.id.as_str(), made.ids.len(), made.state), ("1", 2, DeviceState::Rejected));
        assert_eq!(DeviceFields::default().applied(made.clone()).unwrap(), made);
        let out = DeviceFields { group: Some(None), ..DeviceFields::default() };
        assert_eq!(out.applied(made).unwrap().group, None);
    }

    #[test]
    fn bounds_hold() {
        let fields = DeviceFields::default;
        let ids = |ids: &[&str]| DeviceFields {
            ids: Some(ids.iter().map(ToString::to_string).collect()),
            ..DeviceFields::default()
        };
        check(&ids(&[]), "ids: are none: a device has at least one");
        check(&ids(&["2"]), "ids: must begin with 1, which stays its id");
        check(&ids(&["1", "1"]), "ids: have 1 twice");
        check(&ids(&["1", "a b"]), "ids: has white space in it");
        check(&ids(&["1"; DEVICE_IDS_MAX + 1]), "ids: are 17, at most 16 are possible");
        let zone = DeviceFields { time_zone: Some("Berlin".into()), ..fields() };
        check(&zone, "time_zone: is no time zone such as Europe/Berlin, as the IANA names them");
        check(&DeviceFields { tags: Some(vec![String::new()]), ..fields() }, "tags: have an empty one");
        let many = (0..=TAGS_MAX).map(|number| number.to_string()).collect();
        check(&DeviceFields { tags: Some(many), ..fields() }, "tags: are 33, at most 32 are possible");
        let settings = |value: &str| Some([("zone".to_owned(), value.to_owned())].into());
        let long = "x".repeat(SETTING_CHARS_MAX + 1);
        let expected = "settings: has 1001 characters, at most 1000 are possible";
        check(&DeviceFields { settings: settings(&long), ..fields() }, expected);
        let attributes = |count: usize, value: &str| {
            Some((0..count).map(|number| (number.to_string(), json!(value))).collect::<Map<_, _>>())
        };
        let expected = "attributes: are 65, at most 64 are possible";
        check(&DeviceFields { attributes: attributes(65, ""), ..fields() }, expected);
        check(&DeviceFields { attributes: attributes(64, ""), ..fields() }, "");
        let expected = "attributes: have 16394 bytes as JSON, at most 16384 are possible";
        check(&DeviceFields { attributes: attributes(1, &"x".repeat(16_386)), ..fields() }, expected);
        check(&DeviceFields { attributes: attributes(1, &"x".repeat(16_376)), ..fields() }, "");
        let expected = "attributes: have the character \\0 in them, which cannot be kept";
        check(&DeviceFields { attributes: attributes(1, "\0"), ..fields() }, expected);
        let expected = "the device 1 was changed meanwhile: look at it again";
        check(&DeviceFields { if_revision: Some(1), ..fields() }, expected);
    }

    #[test]
    fn names_are_sorted_as_people_do() {
        let mut names = ["truck 10", "Truck 9", "truck 9a", "Äpfel", "zebra", "10", "9", "truck 009"];
        names.sort_by_key(|name| sort_key(name));
        assert_eq!(names, ["9", "10", "Truck 9", "truck 009", "truck 9a", "truck 10", "zebra", "Äpfel"]);
        assert_eq!(device().sort_key(), "0".repeat(19) + "1");
    }

    #[test]
    fn a_secret_is_hidden_and_stays() {
        let with = |password: &str| {
            let settings = [("password".to_owned(), password.to_owned()), ("zone".to_owned(), "UTC".to_owned())];
            Device { settings: settings.into(), ..device() }
        };
        let secret = with("hush");
        assert_eq!(secret.clone().for_role(Role::Viewer), with(HIDDEN));
        assert_eq!(secret.clone().for_role(Role::Manager), secret);
        assert_eq!(secret.for_audit(None), crate::scoped::shown(&with(HIDDEN)));
        assert_eq!(with("other").for_audit(Some(&secret)), crate::scoped::shown(&with(HIDDEN_NEW)));
        let back = DeviceFields { settings: Some(with(HIDDEN).settings), ..DeviceFields::default() };
        assert_eq!(back.applied(secret.clone()).unwrap(), secret);
    }
}
