//! What can be sent to a device, and what it answers.

use std::fmt;

/// A command that a protocol can encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandSpec {
    /// Its name, the same for all makers where they agree.
    pub name: &'static str,
    /// Its attributes: names, with `?` behind those that may be left out.
    pub attributes: &'static [&'static str],
    /// What it does.
    pub meaning: &'static str,
}

/// A command for one device.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its attributes: names and values.
    pub attributes: &'a [(&'a str, &'a str)],
    /// What tells it from the device's other commands, for protocols in which the answer repeats a number of ours; 0
    /// where nobody waits for an answer.
    pub number: u32,
}

impl<'a> Command<'a> {
    /// A command for whose answer nobody waits.
    pub const fn new(name: &'a str, attributes: &'a [(&'a str, &'a str)]) -> Self {
        Self { name, attributes, number: 0 }
    }

    /// An attribute's value, if it was given.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// An attribute's value, or an error that names it.
    pub fn required(&self, name: &'static str) -> Result<&'a str, CommandError> {
        self.attribute(name).ok_or(CommandError::Missing { attribute: name })
    }
}

/// Why a command cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The protocol has no such command.
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// An attribute is missing.
    Missing {
        /// Which.
        attribute: &'static str,
    },
    /// An attribute's value cannot be sent.
    Invalid {
        /// Which.
        attribute: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(f, "the protocol has no command {name:?}"),
            Self::Missing { attribute } => write!(f, "the command needs {attribute}: add --set {attribute}=VALUE"),
            Self::Invalid { attribute, reason } => write!(f, "{attribute}: {reason}"),
        }
    }
}

impl std::error::Error for CommandError {}

/// A command as it goes to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What its answer has as [`Answer::token`], where the protocol has such a thing.
    pub token: Option<u32>,
}

impl From<Vec<u8>> for Encoded {
    /// In a protocol that ties answers to commands by nothing but their order.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, token: None }
    }
}

/// A device's answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What ties it to its command, where the protocol has such a thing; else it answers the oldest one unanswered.
    pub token: Option<u32>,
    /// What the device says.
    pub text: String,
    /// Whether the device did it, where the protocol says so.
    pub done: Option<bool>,
}

impl Answer {
    /// Whether it may be the answer to the command that was sent with this token. Where either has none, order is all there is.
    pub fn is_to(&self, sent: Option<u32>) -> bool {
        match (self.token, sent) {
            (Some(token), Some(sent)) => token == sent,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_belongs_to_the_command_of_its_token_or_to_any() {
        let is_to = |token, sent| Answer { token, text: String::new(), done: None }.is_to(sent);
        assert!(is_to(Some(7), Some(7)) && is_to(None, Some(7)) && is_to(Some(7), None) && is_to(None, None));
        assert!(!is_to(Some(6), Some(7)));
    }
}
