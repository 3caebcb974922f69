//! Commands for devices, and the states that one goes through: all steps stand in [`CommandState::after`].
//!
//! ```text
//! queued ──claim──▶ sent ──answer──▶ answered | failed
//!    ▲               │ ├──────────▶ unknown   the link was lost, no answer came, or the server stopped
//!    └──not a byte───┘ │                │
//!       has left       │                └─ a late answer still makes it answered or failed
//!    ▲                 │
//!    └── a repeatable one, when the link was lost or the server stopped
//! queued ─▶ expired | cancelled
//! ```
//!
//! `sent` is durable before a byte leaves, so that whatever happens afterwards a command that may not be repeated is never
//! sent a second time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::any::AnyRow;

use crate::bounds::{
    self, COMMAND_ATTEMPTS_MAX, COMMAND_ATTRIBUTES_MAX, COMMAND_BYTES_MAX, COMMAND_TTL_S_MAX, ID_CHARS_MAX,
};
use crate::sql::Columns as _;
use crate::{Error, UnixMillis};

/// What the maker's own text is called where it is a command.
pub const OWN_TEXT: &str = "custom";
/// The attribute that has it.
pub(crate) const OWN_TEXT_ATTRIBUTE: &str = "data";
/// How long a command waits for its device where nobody said so, in seconds.
pub const COMMAND_TTL_S: u64 = 60 * 60;

/// A command for a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceCommand {
    /// Its number, which no other command of the tenant has; later ones have greater numbers.
    pub number: i64,
    /// The device's id.
    pub device: String,
    /// What it is: `engineStop`, or `custom` where it is the maker's own text.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// The maker's own text.
    pub text: Option<String>,
    /// Whether it may be sent again where nobody knows whether the device got it.
    pub repeatable: bool,
    /// How it is with it.
    pub state: CommandState,
    /// Since when it is there.
    pub created: UnixMillis,
    /// From then on it is not sent any more.
    pub expires: UnixMillis,
    /// When all of it had left for the device.
    pub sent: Option<UnixMillis>,
    /// When the device answered.
    pub answered: Option<UnixMillis>,
    /// What the device answered.
    pub answer: Option<String>,
    /// Why it is in its state, where that is not plain.
    pub reason: Option<String>,
    /// Who wanted it: a login, the name of a token, or `owner` of the data folder.
    pub by: String,
    /// How often somebody set out to send it.
    pub attempts: i64,
}

/// How it is with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CommandState {
    /// It waits for its device.
    Queued,
    /// It is on its way, or the device has it and has not answered.
    Sent,
    /// The device answered.
    Answered,
    /// The device refused it, or it cannot be put into bytes.
    Failed,
    /// The device did not come in time: not a byte was sent.
    Expired,
    /// It was sent, and what became of it nobody knows.
    Unknown,
    /// A person called it off before it was sent.
    Cancelled,
}

/// A command to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewCommand {
    /// What it is: `engineStop`; nothing, where it is a text.
    pub kind: Option<String>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// The maker's own text.
    pub text: Option<String>,
    /// How long it may wait, in seconds; an hour, without it.
    pub ttl_s: Option<u64>,
    /// Whether it may be sent again where nobody knows whether the device got it.
    pub repeatable: bool,
}

/// What happened to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened<'a> {
    /// Somebody set out to send it.
    Claimed,
    /// All of it has left.
    Left,
    /// Not a byte of it has left, and none will.
    Unsent,
    /// The device answered; whether it did it, where it says so.
    Answered(Option<bool>),
    /// It cannot be put into bytes.
    Refused(&'a str),
    /// Its time ran out.
    TimeRanOut,
    /// Bytes of it may have left, and no answer will come by that link.
    Lost(&'a str),
    /// No answer came in time.
    Silence,
    /// A person called it off.
    Cancelled,
}

/// What a command becomes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) state: CommandState,
    pub(crate) reason: String,
}

impl CommandState {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Sent, Self::Answered, Self::Failed, Self::Expired, Self::Unknown, Self::Cancelled];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more comes of it, but for an answer that is late.
    pub const fn is_end(self) -> bool {
        !matches!(self, Self::Queued | Self::Sent)
    }

    /// What the audit log calls it when a command becomes so.
    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::Queued => "command.queued",
            Self::Sent => "command.sent",
            Self::Answered => "command.answered",
            Self::Failed => "command.failed",
            Self::Expired => "command.expired",
            Self::Unknown => "command.unknown",
            Self::Cancelled => "command.cancel",
        }
    }
}

impl DeviceCommand {
    /// What it becomes at `now`. Nothing: it stays as it is.
    pub(crate) fn after(&self, happened: Happened<'_>, now: UnixMillis) -> Option<Next> {
        use CommandState::{Answered, Cancelled, Expired, Failed, Queued, Sent, Unknown};
        let next = |state, reason: &str| Some(Next { state, reason: reason.to_owned() });
        let in_time = now < self.expires;
        match (self.state, happened) {
            (Queued, Happened::Claimed) if in_time => next(Sent, ""),
            (Queued, Happened::Claimed | Happened::TimeRanOut) if !in_time => next(Expired, CAME_TOO_LATE),
            (Queued, Happened::Cancelled) => next(Cancelled, ""),
            (Sent, Happened::Unsent) if in_time => next(Queued, ""),
            (Sent, Happened::Unsent | Happened::TimeRanOut) => next(Expired, CAME_TOO_LATE),
            (Sent | Unknown, Happened::Answered(Some(false))) => next(Failed, "the device says that it did not do it"),
            (Sent | Unknown, Happened::Answered(_)) => next(Answered, ""),
            (Sent, Happened::Refused(why)) => next(Failed, why),
            (Sent, Happened::Lost(why)) if self.repeatable && in_time && self.attempts < COMMAND_ATTEMPTS_MAX => {
                next(Queued, &format!("{why}: it is sent again when the device comes"))
            }
            (Sent, Happened::Lost(why)) => next(Unknown, why),
            (Sent, Happened::Silence) => next(Unknown, "the device did not answer in time"),
            _ => None,
        }
    }

    pub(crate) fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            number: row.number("number")?,
            device: row.text("device")?,
            kind: row.text("name")?,
            attributes: row.parsed("attributes")?,
            text: row.text_or_none("content")?,
            repeatable: row.flag("repeatable")?,
            state: row.named("state", CommandState::from_name)?,
            created: row.number("created")?,
            expires: row.number("expires")?,
            sent: row.number_or_none("sent")?,
            answered: row.number_or_none("answered")?,
            answer: row.text_or_none("answer")?,
            reason: Some(row.text("reason")?).filter(|reason| !reason.is_empty()),
            by: row.text("created_by")?,
            attempts: row.number("attempts")?,
        })
    }

    /// As it is at `now`, also where nobody has written down yet that its time ran out.
    pub(crate) fn seen_at(mut self, now: UnixMillis) -> Self {
        if self.state == CommandState::Queued
            && let Some(next) = self.after(Happened::TimeRanOut, now)
        {
            (self.state, self.reason) = (next.state, Some(next.reason));
        }
        self
    }

    /// What was wanted, as the audit log keeps it.
    pub(crate) fn wanted(&self) -> Value {
        let Self { number, kind, attributes, text, repeatable, expires, .. } = self;
        json!({"command": number, "type": kind, "attributes": attributes, "text": text, "repeatable": repeatable,
            "expires": expires})
    }

    /// What became of it, as the audit log keeps it.
    pub(crate) fn outcome(&self) -> Value {
        let Self { number, kind, state, answer, reason, attempts, .. } = self;
        json!({"command": number, "type": kind, "state": state, "answer": answer, "reason": reason, "attempts": attempts})
    }
}

impl NewCommand {
    /// The command that it is to be, and its attributes with the text among them: what a protocol is asked for.
    pub fn spelled_out(&self) -> Result<(String, BTreeMap<String, String>), Error> {
        let mut attributes = self.attributes.clone();
        let kind = match (&self.kind, &self.text) {
            (None, None) => return Err(Error::invalid("type", "is missing: name a command, or give a text")),
            (Some(kind), Some(_)) if kind != OWN_TEXT => {
                return Err(Error::invalid("text", format!("is for the type {OWN_TEXT} alone: {kind} has attributes")));
            }
            (Some(kind), _) => kind.clone(),
            (None, Some(_)) => OWN_TEXT.to_owned(),
        };
        if let Some(text) = &self.text
            && attributes.insert(OWN_TEXT_ATTRIBUTE.to_owned(), text.clone()).is_some()
        {
            return Err(Error::invalid("text", format!("is given twice: once as {OWN_TEXT_ATTRIBUTE}")));
        }
        bounds::id("type", &kind)?;
        bounds::count("attributes", attributes.len(), COMMAND_ATTRIBUTES_MAX)?;
        let names = attributes.keys().map(|name| name.chars().count());
        if names.max().is_some_and(|most| most > ID_CHARS_MAX) {
            return Err(Error::invalid("attributes", format!("have names of more than {ID_CHARS_MAX} characters")));
        }
        let bytes: usize = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > COMMAND_BYTES_MAX {
            return Err(Error::invalid(
                "attributes",
                format!("have {bytes} bytes, at most {COMMAND_BYTES_MAX} are possible"),
            ));
        }
        if attributes.values().any(|value| value.contains('\0')) {
            return Err(Error::invalid("attributes", "have the character \\0 in them, which no text here has"));
        }
        Ok((kind, attributes))
    }

    /// When it expires that is made now.
    pub(crate) fn expires(&self, now: UnixMillis) -> Result<UnixMillis, Error> {
        let ttl_s = self.ttl_s.unwrap_or(COMMAND_TTL_S);
        if !(1..=COMMAND_TTL_S_MAX).contains(&ttl_s) {
            return Err(Error::invalid("ttl_s", format!("is {ttl_s}: 1 to {COMMAND_TTL_S_MAX} seconds are possible")));
        }
        Ok(now.saturating_add(i64::try_from(ttl_s).unwrap_or(i64::MAX).saturating_mul(1000)))
    }
}

const CAME_TOO_LATE: &str =
    "the device did not come in time by TCP or UDP, over which alone commands go: nothing was sent";

#[cfg(test)]
mod tests {
    use super::CommandState::{Answered, Cancelled, Expired, Failed, Queued, Sent, Unknown};
    use super::*;

    fn command(state: CommandState, repeatable: bool, attempts: i64) -> DeviceCommand {
        DeviceCommand {
            number: 1,
            device: "d".into(),
            kind: "engineStop".into(),
            attributes: BTreeMap::new(),
            text: None,
            repeatable,
            state,
            created: 0,
            expires: 100,
            sent: None,
            answered: None,
            answer: None,
            reason: None,
            by: "owner".into(),
            attempts,
        }
    }

    const ALL: [Happened<'static>; 11] = [
        Happened::Claimed,
        Happened::Left,
        Happened::Unsent,
        Happened::Answered(None),
        Happened::Answered(Some(true)),
        Happened::Answered(Some(false)),
        Happened::Refused("no"),
        Happened::TimeRanOut,
        Happened::Lost("lost"),
        Happened::Silence,
        Happened::Cancelled,
    ];

    /// What a command becomes by everything that can happen, in that order.
    fn row(command: &DeviceCommand, now: i64) -> [Option<CommandState>; 11] {
        ALL.map(|happened| command.after(happened, now).map(|next| next.state))
    }

    #[test]
    fn every_step_of_every_state() {
        let (queued, sent) = (command(Queued, false, 0), command(Sent, false, 1));
        let nothing = [None; 11];
        let mut expected = nothing;
        (expected[0], expected[10]) = (Some(Sent), Some(Cancelled));
        assert_eq!(row(&queued, 99), expected);
        (expected[0], expected[7]) = (Some(Expired), Some(Expired));
        assert_eq!(row(&queued, 100), expected);
        let answers = [Some(Answered), Some(Answered), Some(Failed)];
        let mut expected = nothing;
        expected[2] = Some(Queued);
        expected[3..6].copy_from_slice(&answers);
        expected[6..10].copy_from_slice(&[Some(Failed), Some(Expired), Some(Unknown), Some(Unknown)]);
        assert_eq!(row(&sent, 99), expected);
        expected[2] = Some(Expired);
        assert_eq!(row(&sent, 100), expected);
        assert_eq!(row(&command(Sent, true, 1), 100), expected, "what has expired is not repeated");
        assert_eq!(row(&command(Sent, true, COMMAND_ATTEMPTS_MAX), 100), expected, "nor what was tried often");
        (expected[2], expected[8]) = (Some(Queued), Some(Queued));
        assert_eq!(row(&command(Sent, true, 1), 99), expected);
        let mut late = nothing;
        late[3..6].copy_from_slice(&answers);
        assert_eq!(row(&command(Unknown, true, 1), 99), late);
        for end in [Answered, Failed, Expired, Cancelled] {
            assert!(end.is_end());
            assert_eq!(row(&command(end, true, 1), 99), nothing);
        }
    }

    #[test]
    fn a_command_is_named_or_is_a_text() {
        let spelled = |kind: Option<&str>, text: Option<&str>| {
            let new = NewCommand { kind: kind.map(Into::into), text: text.map(Into::into), ..NewCommand::default() };
            new.spelled_out().map_err(|error| error.to_string())
        };
        let data = |text: &str| BTreeMap::from([("data".to_owned(), text.to_owned())]);
        assert_eq!(spelled(Some("engineStop"), None), Ok(("engineStop".into(), BTreeMap::new())));
        assert_eq!(spelled(None, Some("STATUS#")), Ok(("custom".into(), data("STATUS#"))));
        assert_eq!(spelled(Some("custom"), Some("a")), Ok(("custom".into(), data("a"))));
        assert_eq!(spelled(None, None), Err("type: is missing: name a command, or give a text".into()));
        let both = "text: is for the type custom alone: engineStop has attributes";
        assert_eq!(spelled(Some("engineStop"), Some("a")), Err(both.into()));
        let most = "x".repeat(COMMAND_BYTES_MAX - 4);
        assert!(spelled(None, Some(&most)).is_ok());
        let more = "attributes: have 16385 bytes, at most 16384 are possible";
        assert_eq!(spelled(None, Some(&format!("{most}x"))), Err(more.into()));
        assert!(spelled(None, Some("a\0")).is_err());
    }

    #[test]
    fn a_time_to_live_is_bounded() {
        let expires = |ttl_s| NewCommand { ttl_s, ..NewCommand::default() }.expires(5).ok();
        assert_eq!(expires(None), Some(3_600_005));
        assert_eq!((expires(Some(0)), expires(Some(1))), (None, Some(1005)));
        assert_eq!(expires(Some(COMMAND_TTL_S_MAX)), Some(2_592_000_005));
        assert_eq!(expires(Some(COMMAND_TTL_S_MAX + 1)), None);
    }
}
