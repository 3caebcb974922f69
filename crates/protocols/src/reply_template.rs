//! Replies that the owner of a listener spells out, for protocols whose own answers nobody outside the maker knows.
//!
//! ```text
//! none                     no reply
//! 0aff                     these bytes, as hex digits
//! 'OK'                     these characters, between single quotes
//! {5..9}   {10}            bytes of the message's header, by offset from 0; the end is not included
//! {5..9:hex} {5..9:HEX}    the same as hex digits, small or capital
//! {records} {records16}    how many records the message holds, in one byte or in two, low byte first
//! ```
//!
//! Items stand between blanks: `'DATA ACCEPT=' {10..12:hex} 0d0a`.

use odograph_wire::{notation, put};

/// A template has at most so many items: an acknowledgement is short.
const ITEMS_MAX: usize = 16;

/// A reply with places for what the message says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplyTemplate(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Bytes(Vec<u8>),
    Header { from: usize, to: usize, form: Form },
    Records { wide: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bytes,
    Small,
    Capital,
}

impl ReplyTemplate {
    /// Reads a template for messages whose header has so many bytes; the error says what is wrong with which item.
    pub fn parse(text: &str, header: usize) -> Result<Self, String> {
        if text.trim() == "none" {
            return Ok(Self::default());
        }
        let mut items = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (item, after) = item(rest, header)?;
            if items.len() == ITEMS_MAX {
                return Err(format!("more than {ITEMS_MAX} items"));
            }
            items.push(item);
            rest = match after.trim_start() {
                next if next.len() == after.len() && !next.is_empty() => {
                    return Err(format!("no blank before {next:?}"));
                }
                next => next,
            };
        }
        if items.is_empty() { Err("nothing: `none` means no reply".to_owned()) } else { Ok(Self(items)) }
    }

    /// The reply to a message with this header and so many records; empty where there is to be none.
    pub fn fill(&self, header: &[u8], records: usize) -> Vec<u8> {
        let mut reply = Vec::new();
        for item in &self.0 {
            match item {
                Item::Bytes(bytes) => reply.extend(bytes),
                Item::Header { from, to, form } => {
                    let bytes = header.get(*from..*to).unwrap_or_default();
                    let mut digits = String::new();
                    put::hex(bytes, &mut digits);
                    match form {
                        Form::Bytes => reply.extend(bytes),
                        Form::Small => reply.extend(digits.bytes()),
                        Form::Capital => reply.extend(digits.to_ascii_uppercase().bytes()),
                    }
                }
                Item::Records { wide } => {
                    let [low, high, ..] = records.to_le_bytes();
                    reply.push(low);
                    reply.extend(wide.then_some(high));
                }
            }
        }
        reply
    }
}

/// The item that begins `text`, and what stands behind it.
fn item(text: &str, header: usize) -> Result<(Item, &str), String> {
    if let Some(rest) = text.strip_prefix('\'') {
        let (quoted, after) = rest.split_once('\'').ok_or("a quote is not closed")?;
        return Ok((Item::Bytes(quoted.as_bytes().to_vec()), after));
    }
    if let Some(rest) = text.strip_prefix('{') {
        let (place, after) = rest.split_once('}').ok_or("a brace is not closed")?;
        return Ok((placeholder(place, header)?, after));
    }
    let (digits, after) =
        text.split_at_checked(text.find(char::is_whitespace).unwrap_or(text.len())).unwrap_or((text, ""));
    let bytes = notation::from_hex(digits).map_err(|error| format!("{digits:?}: {error}"))?;
    Ok((Item::Bytes(bytes), after))
}

fn placeholder(place: &str, header: usize) -> Result<Item, String> {
    match place {
        "records" => return Ok(Item::Records { wide: false }),
        "records16" => return Ok(Item::Records { wide: true }),
        _ => {}
    }
    let (range, form) = match place.split_once(':') {
        None => (place, Form::Bytes),
        Some((range, "hex")) => (range, Form::Small),
        Some((range, "HEX")) => (range, Form::Capital),
        Some((_, form)) => return Err(format!("{form:?} is no form: hex and HEX are")),
    };
    let number = |text: &str| text.parse::<usize>().map_err(|_| format!("{{{place}}} is no place of the header"));
    let (from, to) = match range.split_once("..") {
        Some((from, to)) => (number(from)?, number(to)?),
        None => (number(range)?, number(range)?.saturating_add(1)),
    };
    if from >= to || to > header {
        return Err(format!("{{{place}}} lies outside the header, which has {header} bytes"));
    }
    Ok(Item::Header { from, to, form })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> Vec<u8> {
        ReplyTemplate::parse(template, 4).unwrap().fill(&[0x10, 0x2A, 0x33, 0xFF], 0x0205)
    }

    #[test]
    fn templates_are_filled() {
        assert_eq!(filled("none"), b"");
        assert_eq!(filled("0a FF"), [0x0A, 0xFF]);
        assert_eq!(filled("'OK 1' 0d0a"), b"OK 1\r\n");
        assert_eq!(filled("{1..3} {3}"), [0x2A, 0x33, 0xFF]);
        assert_eq!(filled("'=' {1..4:hex} {1:HEX}"), b"=2a33ff2A");
        assert_eq!(filled("{records} {records16}"), [5, 5, 2]);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let error = |template: &str| ReplyTemplate::parse(template, 4).unwrap_err();
        assert_eq!(error(" "), "nothing: `none` means no reply");
        assert_eq!(error("'OK"), "a quote is not closed");
        assert_eq!(error("{1"), "a brace is not closed");
        assert_eq!(error("{1..5}"), "{1..5} lies outside the header, which has 4 bytes");
        assert_eq!(error("{3..3}"), "{3..3} lies outside the header, which has 4 bytes");
        assert_eq!(error("{x}"), "{x} is no place of the header");
        assert_eq!(error("{1:dec}"), "\"dec\" is no form: hex and HEX are");
        assert_eq!(error("'a'01"), "no blank before \"01\"");
        assert_eq!(error("01 yes"), "\"yes\": expected a hex digit at character 1");
        assert_eq!(error(&"00 ".repeat(17)), "more than 16 items");
    }
}
