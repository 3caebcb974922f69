//! JSON that devices send. Each value knows where it stands in its frame, for errors and traces.

use compact_str::CompactString;
use odograph_wire::{Malformed, Reason, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A value of sound JSON, as it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    text: &'a str,
    at: usize,
}

/// A member of an object.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    pub(crate) name: CompactString,
    pub(crate) value: Node<'a>,
}

impl<'a> Node<'a> {
    /// The one value that `text` is, which begins at `at` of its frame.
    pub(crate) fn read(field: &'static str, text: &'a str, at: usize) -> Result<Self> {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => Ok(Self { text, at }.part(value)),
            Err(error) => {
                let at = at.saturating_add(offset(text, error.line(), error.column()));
                Err(Malformed::new(field, at, Reason::Expected("JSON")))
            }
        }
    }

    /// Its members, if it is an object, in the order in which they were sent.
    pub(crate) fn members(&self) -> Option<Vec<Member<'a>>> {
        let Members(members) = serde_json::from_str(self.text).ok()?;
        Some(members.into_iter().map(|(name, value)| Member { name, value: self.part(value) }).collect())
    }

    /// Its items, if it is an array.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        let items: Vec<&RawValue> = serde_json::from_str(self.text).ok()?;
        Some(items.into_iter().map(|value| self.part(value)).collect())
    }

    /// What it says as a text, a number or a state; nothing for `null`, arrays and objects.
    pub(crate) fn scalar(&self) -> Option<Cow<'a, str>> {
        match self.text.as_bytes().first()? {
            b'"' => serde_json::from_str(self.text).ok().map(Cow::Owned),
            b'{' | b'[' | b'n' => None,
            _ => Some(Cow::Borrowed(self.text)),
        }
    }

    /// Whether it is `null`, which states nothing.
    pub(crate) fn is_null(&self) -> bool {
        self.text == "null"
    }

    /// It as it was sent.
    pub(crate) const fn as_sent(&self) -> &'a str {
        self.text
    }

    /// Where it begins in its frame.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// A value within this one.
    fn part(&self, value: &'a RawValue) -> Self {
        let text = value.get();
        let within = text.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        Self { text, at: self.at.saturating_add(within) }
    }
}

/// The members of an object, unread. A map would lose their order, and which one is the last of a name.
struct Members<'a>(Vec<(CompactString, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Where a line and column, both from 1, are in `text`.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before.saturating_add(column.saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_where_they_are() {
        let text = " {\"a\": [1, \"x\\n\\u00e9\", null],\n \"b\": {\"c\": true}, \"a\": -2.5e3 } ";
        let root = Node::read("body", text, 100).unwrap();
        assert_eq!(root.at(), 101);
        let members = root.members().unwrap();
        let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "a"]);
        let items = members[0].value.items().unwrap();
        let said: Vec<_> = items.iter().map(Node::scalar).collect();
        assert_eq!(said, [Some("1".into()), Some("x\né".into()), None]);
        assert!(items[2].is_null() && members[1].value.items().is_none() && items[0].members().is_none());
        let within = |node: &Node<'_>| text.get(node.at() - 100..).unwrap().starts_with(node.as_sent());
        assert!(items.iter().all(within) && members.iter().all(|member| within(&member.value)));
        assert_eq!(members[2].value.scalar().as_deref(), Some("-2.5e3"));
    }

    #[test]
    fn what_is_no_json_is_named_with_its_place() {
        let error = |text: &str| Node::read("body", text, 10).unwrap_err();
        let expected = |at| Malformed::new("body", at, Reason::Expected("JSON"));
        assert_eq!(error("{\"a\":\n x}"), expected(17));
        assert_eq!(error(""), expected(10));
        assert_eq!(error("1 2"), expected(12));
        // Depth costs no stack.
        assert!(Node::read("body", &"[".repeat(200_000), 0).is_err());
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let inner = Node::read("body", &deep, 0).unwrap().items().unwrap();
        assert_eq!((inner.len(), inner[0].at()), (1, 1));
    }
}
