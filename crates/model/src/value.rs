//! What a parameter can be.

use crate::Kind;
use compact_str::{CompactString, ToCompactString as _};
use serde::Serialize;

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A number; finite.
    Float(f64),
    /// A whole number.
    Int(i64),
    /// A state.
    Bool(bool),
    /// A text.
    Text(CompactString),
    /// Several items.
    List(Vec<Item>),
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// A name or code.
    Text(CompactString),
    /// A cell of a mobile network.
    Cell(Cell),
    /// A Wi-Fi access point.
    AccessPoint(AccessPoint),
}

/// A cell of a mobile network, as heard by the device.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct Cell {
    /// Mobile country code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcc: Option<u32>,
    /// Mobile network code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mnc: Option<u32>,
    /// Location or tracking area code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lac: Option<u32>,
    /// Cell identity.
    pub cid: u64,
    /// Signal, on the scale that the device uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

/// A Wi-Fi access point, as heard by the device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccessPoint {
    /// MAC address: lower-case hex pairs with colons.
    pub mac: CompactString,
    /// Signal, on the scale that the device uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

impl Value {
    /// This value, a floating number if it is a whole one and `kind` wants that.
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "telemetry beyond 2^53 is not told apart by anyone")]
    pub(crate) fn widened(self, kind: Kind) -> Self {
        match (kind, self) {
            (Kind::Float, Self::Int(value)) => Self::Float(value as f64),
            (_, value) => value,
        }
    }

    /// Whether it is of `kind`; a number that is not finite is of none.
    #[inline]
    pub(crate) const fn fits(&self, kind: Kind) -> bool {
        match self {
            Self::Float(value) => matches!(kind, Kind::Float) && value.is_finite(),
            Self::Int(_) => matches!(kind, Kind::Int),
            Self::Bool(_) => matches!(kind, Kind::Bool),
            Self::Text(_) => matches!(kind, Kind::Text),
            Self::List(_) => matches!(kind, Kind::List),
        }
    }

    /// How much memory it takes besides its own size.
    pub(crate) fn heap_bytes(&self) -> usize {
        let text = |text: &CompactString| if text.is_heap_allocated() { text.capacity() } else { 0 };
        match self {
            Self::Float(_) | Self::Int(_) | Self::Bool(_) => 0,
            Self::Text(value) => text(value),
            Self::List(items) => {
                let texts = items.iter().map(|item| match item {
                    Item::Text(name) => text(name),
                    Item::AccessPoint(point) => text(&point.mac),
                    Item::Cell(_) => 0,
                });
                items.capacity() * size_of::<Item>() + texts.sum::<usize>()
            }
        }
    }

    /// The value as text, for `raw.` parameters.
    pub(crate) fn into_text(self) -> CompactString {
        match self {
            Self::Text(text) => text,
            Self::Float(value) => compact_str::format_compact!("{value}"),
            Self::Int(value) => value.to_compact_string(),
            Self::Bool(value) => compact_str::format_compact!("{value}"),
            Self::List(items) => compact_str::format_compact!("{items:?}"),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident;)*) => {
        $(impl From<$from> for Value {
            #[inline]
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    f64 => Float; f32 => Float; u8 => Int; i8 => Int; u16 => Int; i16 => Int; u32 => Int; i32 => Int; i64 => Int;
    bool => Bool; &str => Text; String => Text; CompactString => Text;
}

impl From<u64> for Value {
    /// What does not fit 63 bits stays a text, and so ends under `raw.`.
    #[inline]
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::Text(compact_str::format_compact!("{value}")), Self::Int)
    }
}

impl From<Item> for Value {
    fn from(item: Item) -> Self {
        Self::List(vec![item])
    }
}
