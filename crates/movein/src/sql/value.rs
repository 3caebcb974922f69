//! Values of a row: literals, and the few functions in which databases put them.

use super::statement::{Fault, Statements};
use super::token::{Stop, Token};
use super::{Value, literal};
use crate::limits::ROW_BYTES_MAX;
use std::io::Read;

impl<R: Read> Statements<'_, R> {
    /// A value with the sign that ends it, which is a comma or the closing bracket.
    pub(super) fn value(&mut self, keep: bool) -> Result<(Value, u8), Fault> {
        let mut parts = Parts::default();
        let mut depth = 0_u32;
        loop {
            let token = self.lexer.next(keep)?;
            match token {
                Token::End => return Err(Fault::Stop(Stop::Ended)),
                Token::Sign(end @ (b',' | b')')) if depth == 0 => {
                    return Ok((if keep { self.whole(parts) } else { Value::Missing }, end));
                }
                Token::Sign(b'(') => {
                    depth = depth.saturating_add(1);
                    parts.function = parts.word.take().or(parts.function);
                }
                Token::Sign(b')') => depth = depth.saturating_sub(1),
                Token::Sign(b'-') => parts.is_negative = true,
                Token::Sign(b'|') => parts.is_joined = true,
                Token::Text(kind) if keep => {
                    parts.is_overlong |= self.lexer.is_overlong;
                    let value = literal::value(&self.lexer.text, kind, self.dialect, self.encoding);
                    parts.is_joined |= parts.text.replace(value).is_some();
                }
                Token::Word if keep && parts.text.is_none() && parts.word.is_none() => {
                    parts.word = Some(self.lexer.name());
                }
                _ => {}
            }
        }
    }

    /// What the parts of a value mean together.
    fn whole(&mut self, parts: Parts) -> Value {
        if parts.is_overlong {
            return Value::Odd(format!("it is longer than {} KiB", ROW_BYTES_MAX / 1024));
        }
        if parts.is_joined {
            return Value::Odd("an expression of several texts".to_owned());
        }
        match (parts.function.as_deref(), parts.text, parts.word) {
            (None, Some(text), _) => text,
            (None, None, Some(word)) => of_word(word, parts.is_negative),
            (Some(name), Some(text), _) if name.eq_ignore_ascii_case("STRINGDECODE") => literal::java(text),
            (Some(name), Some(text), _) if name.eq_ignore_ascii_case("CAST") => text,
            (Some(name), None, Some(number)) if name.eq_ignore_ascii_case("SYSTEM_COMBINE_CLOB") => self.clob(&number),
            (Some(name), _, _) => Value::Odd(format!("the function {name}, which is not known here")),
            (None, None, None) => Value::Odd("it is empty".to_owned()),
        }
    }

    /// A part of a long text: its number, the part's number, the text.
    pub(super) fn keep_clob(&mut self, row: &mut Vec<Value>) {
        let text = row.pop();
        let (Some(Value::Word(id)), Some(Value::Text { text, .. })) = (row.first(), text) else { return };
        let Ok(id) = id.parse() else { return };
        if self.clob_bytes.saturating_add(text.len()) > CLOBS_BYTES_MAX {
            self.clobs.clear();
            self.clob_bytes = 0;
        }
        self.clob_bytes = self.clob_bytes.saturating_add(text.len());
        self.clobs.entry(id).or_default().push_str(&text);
    }

    fn clob(&mut self, number: &str) -> Value {
        match number.parse().ok().and_then(|number: i64| self.clobs.remove(&number)) {
            Some(text) => {
                self.clob_bytes = self.clob_bytes.saturating_sub(text.len());
                Value::Text { text, is_damaged: false }
            }
            None => Value::Odd("a long text that stands too far from its row".to_owned()),
        }
    }
}

/// What is read of a value until it ends.
#[derive(Default)]
struct Parts {
    word: Option<String>,
    text: Option<Value>,
    function: Option<String>,
    is_negative: bool,
    is_joined: bool,
    is_overlong: bool,
}

fn of_word(word: String, is_negative: bool) -> Value {
    if word.eq_ignore_ascii_case("NULL") || word.eq_ignore_ascii_case("DEFAULT") {
        return Value::Null;
    }
    if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return literal::hex(digits.as_bytes())
            .map_or_else(|| Value::Odd("an odd number of hexadecimal digits".to_owned()), Value::Bytes);
    }
    Value::Word(if is_negative { format!("-{word}") } else { word })
}

/// H2 writes a long text in parts, before the row that it belongs to.
const CLOBS_BYTES_MAX: usize = 16 << 20;
