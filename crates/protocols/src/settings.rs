//! What a listener's or a device's owner can set for a protocol.

use crate::ReplyTemplate;
use std::collections::BTreeMap;
use std::fmt;

/// A setting that a protocol takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: SettingKind,
    /// What it does, and what holds without it.
    pub meaning: &'static str,
}

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// Any text.
    Text,
    /// A whole number.
    Int,
    /// A whole number from the first to the last of these.
    Within(i64, i64),
    /// So many letters of the Latin alphabet or digits.
    Letters(usize),
    /// `true` or `false`.
    Bool,
    /// A fixed offset from UTC: `+02:00`, `-0530`, `UTC`.
    Offset,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `none`, or a [`ReplyTemplate`] for messages whose header has so many bytes.
    Reply(usize),
}

/// Settings as they were given: names and texts, checked against the protocol's list. Most devices have none, and each has these: so
/// none take one word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::box_collection, reason = "there is one for each device, and an empty map takes three words")]
pub struct Settings(Option<Box<BTreeMap<String, String>>>);

impl From<BTreeMap<String, String>> for Settings {
    fn from(settings: BTreeMap<String, String>) -> Self {
        Self((!settings.is_empty()).then(|| Box::new(settings)))
    }
}

/// A setting that the protocol does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// The setting.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting {}: {}", self.name, self.reason)
    }
}

impl std::error::Error for SettingError {}

impl Settings {
    /// Checks `pairs` against what the protocol takes.
    pub fn checked<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        known: &[Setting],
    ) -> Result<Self, SettingError> {
        let mut settings = BTreeMap::new();
        for (name, value) in pairs {
            let refuse = |reason: String| Err(SettingError { name: name.to_owned(), reason });
            let Some(setting) = known.iter().find(|setting| setting.name == name) else {
                let names: Vec<_> = known.iter().map(|setting| setting.name).collect();
                return refuse(match names.is_empty() {
                    true => "the protocol takes no settings".to_owned(),
                    false => format!("the protocol takes {}", names.join(", ")),
                });
            };
            if let Err(expected) = setting.kind.check(value) {
                return refuse(format!("{value:?} is not {expected}"));
            }
            settings.insert(name.to_owned(), value.to_owned());
        }
        Ok(settings.into())
    }

    /// Settings as they were recorded, unchecked: what is not understood is left alone.
    pub fn recorded<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let settings = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        settings.collect::<BTreeMap<_, _>>().into()
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name).map(String::as_str)
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Whether a switch is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A reply template, for messages whose header has so many bytes.
    pub fn reply(&self, name: &str, header: usize) -> Option<ReplyTemplate> {
        ReplyTemplate::parse(self.text(name)?, header).ok()
    }

    /// An offset from UTC, in minutes: to be subtracted from local time.
    pub fn offset_minutes(&self, name: &str) -> Option<i32> {
        offset_minutes(self.text(name)?)
    }

    /// These settings with `others` above them.
    #[must_use]
    pub fn overlaid(&self, others: &Self) -> Self {
        Self::recorded(self.iter().chain(others.iter()))
    }

    /// All names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|settings| settings.iter()).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for SettingKind {
    /// What values it takes, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Int => f.write_str("whole number"),
            Self::Within(least, most) => write!(f, "{least} to {most}"),
            Self::Letters(count) => write!(f, "{count} letters or digits"),
            Self::Bool => f.write_str("true or false"),
            Self::Offset => f.write_str("offset from UTC"),
            Self::OneOf(words) => f.write_str(&words.join(", ")),
            Self::Reply(_) => f.write_str("none or a reply template"),
        }
    }
}

impl SettingKind {
    fn check(self, value: &str) -> Result<(), String> {
        let (fits, expected) = match self {
            Self::Text => (true, String::new()),
            Self::Int => (value.parse::<i64>().is_ok(), "a whole number".to_owned()),
            Self::Within(least, most) => {
                let fits = value.parse().is_ok_and(|value: i64| (least..=most).contains(&value));
                (fits, format!("a whole number from {least} to {most}"))
            }
            Self::Letters(count) => {
                let fits = value.len() == count && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
                (fits, format!("{count} letters or digits"))
            }
            Self::Bool => (matches!(value, "true" | "false"), "true or false".to_owned()),
            Self::Offset => (offset_minutes(value).is_some(), "an offset from UTC such as +02:00".to_owned()),
            Self::OneOf(words) => (words.contains(&value), format!("one of {}", words.join(", "))),
            Self::Reply(header) => match ReplyTemplate::parse(value, header) {
                Ok(_) => (true, String::new()),
                Err(wrong) => (false, format!("none or a reply template: {wrong}")),
            },
        };
        if fits { Ok(()) } else { Err(expected) }
    }
}

fn offset_minutes(text: &str) -> Option<i32> {
    if matches!(text, "UTC" | "Z") {
        return Some(0);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(pair) => pair,
        None => digits.split_at_checked(2)?,
    };
    let part = |text: &str, below: i32| text.parse().ok().filter(|value: &i32| (0..below).contains(value));
    let minutes =
        part(hours, 15)?.checked_mul(60)?.checked_add(if minutes.is_empty() { 0 } else { part(minutes, 60)? })?;
    minutes.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Setting] = &[
        Setting { name: "zone", kind: SettingKind::Offset, meaning: "" },
        Setting { name: "model", kind: SettingKind::OneOf(&["a", "b"]), meaning: "" },
        Setting { name: "ack", kind: SettingKind::Reply(2), meaning: "" },
        Setting { name: "year", kind: SettingKind::Within(1970, 2100), meaning: "" },
        Setting { name: "maker", kind: SettingKind::Letters(2), meaning: "" },
    ];

    #[test]
    fn settings_are_checked_and_errors_say_what_fits() {
        let settings = Settings::checked([("zone", "-05:30"), ("model", "b")], KNOWN).unwrap();
        assert_eq!(settings.offset_minutes("zone"), Some(-330));
        assert_eq!(settings.text("model"), Some("b"));
        let error = |name, value| Settings::checked([(name, value)], KNOWN).unwrap_err().to_string();
        assert_eq!(error("model", "c"), "setting model: \"c\" is not one of a, b");
        assert_eq!(error("zone", "Paris"), "setting zone: \"Paris\" is not an offset from UTC such as +02:00");
        assert_eq!(error("speed", "1"), "setting speed: the protocol takes zone, model, ack, year, maker");
        assert_eq!(error("year", "2101"), "setting year: \"2101\" is not a whole number from 1970 to 2100");
        for maker in ["", "H", "HQQ", "H,", "é"] {
            assert_eq!(error("maker", maker), format!("setting maker: {maker:?} is not 2 letters or digits"));
        }
        assert_eq!(Settings::checked([("maker", "H2")], KNOWN).unwrap().text("maker"), Some("H2"));
        let outside =
            "setting ack: \"{2}\" is not none or a reply template: {2} lies outside the header, which has 2 bytes";
        assert_eq!(error("ack", "{2}"), outside);
        let settings = Settings::checked([("ack", "{0}")], KNOWN).unwrap();
        assert_eq!(settings.reply("ack", 2).map(|reply| reply.fill(&[7, 8], 1)), Some(vec![7]));
    }

    #[test]
    fn offsets_from_utc() {
        for (text, minutes) in [("UTC", 0), ("+08", 480), ("+0530", 330), ("-01:00", -60)] {
            assert_eq!(offset_minutes(text), Some(minutes), "{text}");
        }
        for text in ["", "8", "+", "+1:99", "+99:00"] {
            assert_eq!(offset_minutes(text), None, "{text}");
        }
    }
}
