//! Values in few bytes. Texts and lists are cut where they are longer than people look at: history has them whole.

use compact_str::CompactString;
use odograph_model::{AccessPoint, Cell, Item, Kind, Value};

/// Puts a value, and tells whether something of it was left out.
pub(crate) fn put_value(out: &mut Vec<u8>, value: &Value) -> bool {
    match value {
        Value::Float(number) => out.extend(number.to_le_bytes()),
        Value::Int(number) => out.extend(number.to_le_bytes()),
        Value::Bool(state) => out.push(u8::from(*state)),
        Value::Text(text) => {
            let kept = cut(text, TEXT_BYTES_MAX);
            out.extend_from_slice(kept.as_bytes());
            return kept.len() < text.len();
        }
        Value::List(items) => {
            let mut is_cut = items.len() > LIST_ITEMS_MAX;
            for item in items.iter().take(LIST_ITEMS_MAX) {
                is_cut |= put_item(out, item);
            }
            return is_cut;
        }
    }
    false
}

fn put_item(out: &mut Vec<u8>, item: &Item) -> bool {
    match item {
        Item::Text(text) => {
            out.push(TEXT);
            put_text(out, text)
        }
        Item::Cell(cell) => {
            out.push(CELL);
            out.extend(cell.cid.to_le_bytes());
            put_parts(out, &[cell.mcc, cell.mnc, cell.lac, cell.signal.map(i32::cast_unsigned)]);
            false
        }
        Item::AccessPoint(point) => {
            out.push(ACCESS_POINT);
            put_parts(out, &[point.signal.map(i32::cast_unsigned)]);
            put_text(out, &point.mac)
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) -> bool {
    let kept = cut(text, ITEM_BYTES_MAX);
    out.push(kept.len() as u8);
    out.extend_from_slice(kept.as_bytes());
    kept.len() < text.len()
}

/// Puts which parts are there, a bit each, and those that are.
fn put_parts(out: &mut Vec<u8>, parts: &[Option<u32>]) {
    let which = parts.iter().enumerate().map(|(index, part)| u8::from(part.is_some()) << index);
    out.push(which.sum());
    parts.iter().flatten().for_each(|part| out.extend(part.to_le_bytes()));
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The value of a parameter of that kind; `None` if these bytes are none.
pub(crate) fn value_of(kind: Kind, bytes: &[u8]) -> Option<Value> {
    Some(match kind {
        Kind::Float => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
        Kind::Int => Value::Int(i64::from_le_bytes(bytes.try_into().ok()?)),
        Kind::Bool => Value::Bool(*bytes.first()? != 0),
        Kind::Text => Value::Text(CompactString::from_utf8(bytes).ok()?),
        Kind::List => {
            let mut bytes = Reader(bytes);
            let mut items = Vec::new();
            while !bytes.0.is_empty() {
                items.push(item(&mut bytes)?);
            }
            Value::List(items)
        }
    })
}

fn item(bytes: &mut Reader<'_>) -> Option<Item> {
    Some(match bytes.u8()? {
        TEXT => Item::Text(bytes.text()?),
        CELL => {
            let cid = u64::from_le_bytes(bytes.array()?);
            let [mcc, mnc, lac, signal] = bytes.parts()?;
            Item::Cell(Cell { mcc, mnc, lac, cid, signal: signal.map(u32::cast_signed) })
        }
        ACCESS_POINT => {
            let [signal] = bytes.parts()?;
            Item::AccessPoint(AccessPoint { signal: signal.map(u32::cast_signed), mac: bytes.text()? })
        }
        _ => return None,
    })
}

/// Reads what was put; `None` where there is not enough.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn text(&mut self) -> Option<CompactString> {
        let length = self.u8()?;
        CompactString::from_utf8(self.take(usize::from(length))?).ok()
    }

    fn parts<const N: usize>(&mut self) -> Option<[Option<u32>; N]> {
        let which = self.u8()?;
        let mut parts = [None; N];
        for (index, part) in parts.iter_mut().enumerate() {
            if which & 1 << index != 0 {
                *part = Some(u32::from_le_bytes(self.array()?));
            }
        }
        Some(parts)
    }
}

/// Of a text: an answer to a command, a version, a driver's card.
pub(crate) const TEXT_BYTES_MAX: usize = 256;
/// Of a list: there are fewer kinds of alarms than this, and phones see fewer cells.
pub(crate) const LIST_ITEMS_MAX: usize = 64;
/// Of a text in a list: names of alarms, trouble codes, addresses.
pub(crate) const ITEM_BYTES_MAX: usize = 64;

const TEXT: u8 = 0;
const CELL: u8 = 1;
const ACCESS_POINT: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, value: &Value, expected: &Value, is_cut: bool) {
        let mut bytes = Vec::new();
        assert_eq!(put_value(&mut bytes, value), is_cut, "{value:?}");
        assert_eq!(value_of(kind, &bytes).as_ref(), Some(expected), "{value:?}");
        assert!(bytes.len() <= usize::from(u16::MAX), "a length has two bytes");
    }

    #[test]
    fn values_are_read_as_they_were_put() {
        let cell = Cell { mcc: Some(262), mnc: None, lac: Some(u32::MAX), cid: u64::MAX, signal: Some(-91) };
        let point = AccessPoint { mac: "00:1b:44:11:3a:b7".into(), signal: None };
        let heard = AccessPoint { mac: "".into(), signal: Some(i32::MIN) };
        let items = [
            Item::Text("sos".into()),
            Item::Cell(cell),
            Item::AccessPoint(point),
            Item::Cell(Cell::default()),
            Item::AccessPoint(heard),
        ];
        for (kind, value) in [
            (Kind::Float, Value::Float(-18.5)),
            (Kind::Int, Value::Int(i64::MIN)),
            (Kind::Bool, Value::Bool(true)),
            (Kind::Text, Value::Text("".into())),
            (Kind::Text, Value::Text("Ä".into())),
            (Kind::List, Value::List(items.to_vec())),
            (Kind::List, Value::List(Vec::new())),
        ] {
            check(kind, &value, &value, false);
        }
    }

    #[test]
    fn long_texts_and_lists_are_cut_between_letters() {
        let text = |letters: usize| Value::Text("é".repeat(letters).into());
        check(Kind::Text, &text(128), &text(128), false);
        check(Kind::Text, &text(129), &text(128), true);
        let odd = |letters: usize| Value::Text(format!("x{}", "é".repeat(letters)).into());
        check(Kind::Text, &odd(128), &odd(127), true);
        let list = |items: usize, bytes: usize| Value::List(vec![Item::Text("x".repeat(bytes).into()); items]);
        check(Kind::List, &list(64, 64), &list(64, 64), false);
        check(Kind::List, &list(65, 64), &list(64, 64), true);
        check(Kind::List, &list(64, 65), &list(64, 64), true);
    }

    #[test]
    fn bytes_that_are_no_value_are_none() {
        for (kind, bytes) in [
            (Kind::Float, &[0; 7][..]),
            (Kind::Int, &[0; 9]),
            (Kind::Bool, &[]),
            (Kind::Text, &[0xff]),
            (Kind::List, &[9]),
            (Kind::List, &[TEXT, 2, b'x']),
            (Kind::List, &[CELL, 0, 0]),
            (Kind::List, &[ACCESS_POINT, 1, 0, 0]),
        ] {
            assert_eq!(value_of(kind, bytes), None, "{kind:?} {bytes:?}");
        }
    }
}
