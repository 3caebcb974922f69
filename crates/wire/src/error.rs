//! What is wrong with a message, and where.

use std::fmt;

/// A reader's result.
pub type Result<T> = std::result::Result<T, Malformed>;

/// A message that breaks its protocol: the device's fault, or the line's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The field that could not be read.
    pub field: &'static str,
    /// Its offset in bytes from the beginning of the frame.
    pub at: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The frame ends before the field does.
    Truncated {
        /// Bytes that the field takes.
        need: usize,
        /// Bytes that are left.
        have: usize,
    },
    /// Bytes are left where the message should end.
    Trailing {
        /// How many.
        left: usize,
    },
    /// The checksum is wrong.
    Checksum {
        /// What the message states.
        stated: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// Two counts or lengths that should agree do not.
    Count {
        /// What the message states.
        stated: usize,
        /// What was found.
        found: usize,
    },
    /// The value cannot be; says what was expected.
    Expected(&'static str),
    /// More than a bound allows.
    TooMany {
        /// The bound.
        max: usize,
    },
    /// The frame is of a kind that the protocol does not know.
    Unknown,
}

impl Malformed {
    /// An error about `field` at byte `at`.
    pub const fn new(field: &'static str, at: usize, reason: Reason) -> Self {
        Self { field, at, reason }
    }
}

impl Reason {
    /// A short word for counting errors of the same kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::Trailing { .. } => "trailing",
            Self::Checksum { .. } => "checksum",
            Self::Count { .. } => "count",
            Self::Expected(_) => "value",
            Self::TooMany { .. } => "too_many",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { need, have } => write!(f, "truncated: need {need}, have {have}"),
            Self::Trailing { left } => write!(f, "trailing: {left} bytes left"),
            Self::Checksum { stated, computed } => write!(f, "checksum: stated {stated:x}, computed {computed:x}"),
            Self::Count { stated, found } => write!(f, "count: stated {stated}, found {found}"),
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::TooMany { max } => write!(f, "more than {max}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.field, self.at, self.reason)
    }
}

impl std::error::Error for Malformed {}
