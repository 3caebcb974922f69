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
}

impl<'a> Command<'a> {
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
