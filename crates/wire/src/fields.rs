//! Reading text messages: fields between separators.

use crate::{Malformed, Reason, Result, Traced, Tracer};
use std::str::FromStr;

/// The fields of a text message, one after the other.
///
/// Offsets in errors are bytes from the beginning of the frame, whatever the fields are.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    /// What is left; `None` once the last field was taken.
    rest: Option<&'a str>,
    /// Offset of `rest` from the beginning of the frame.
    at: usize,
    separator: char,
    tracer: Option<&'a dyn Tracer>,
}

impl<'a> Fields<'a> {
    /// The fields of `text`, which begins at byte `at` of its frame.
    pub const fn new(text: &'a str, at: usize, separator: char, tracer: Option<&'a dyn Tracer>) -> Self {
        Self { rest: Some(text), at, separator, tracer }
    }

    /// The next field as it is; it may be empty.
    pub fn text(&mut self, field: &'static str) -> Result<&'a str> {
        let Some(rest) = self.rest else {
            return Err(Malformed::new(field, self.at, Reason::Truncated { need: 1, have: 0 }));
        };
        let at = self.at;
        let text = match rest.split_once(self.separator) {
            Some((text, rest)) => {
                self.at = at.saturating_add(text.len()).saturating_add(self.separator.len_utf8());
                self.rest = Some(rest);
                text
            }
            None => {
                self.at = at.saturating_add(rest.len());
                self.rest = None;
                rest
            }
        };
        if let Some(tracer) = self.tracer {
            tracer.field(field, at, text.len(), Traced::Text(text));
        }
        Ok(text)
    }

    /// The next field as a number.
    pub fn num<T: FromStr>(&mut self, field: &'static str) -> Result<T> {
        let at = self.at;
        let text = self.text(field)?;
        text.trim().parse().map_err(|_| Malformed::new(field, at, Reason::Expected("a number")))
    }

    /// The next field as a number; `None` where it is empty, an error where it is something else.
    pub fn opt<T: FromStr>(&mut self, field: &'static str) -> Result<Option<T>> {
        let at = self.at;
        match self.text(field)?.trim() {
            "" => Ok(None),
            text => {
                text.parse().map(Some).map_err(|_| Malformed::new(field, at, Reason::Expected("a number or nothing")))
            }
        }
    }

    /// The fields of the next field, which has a separator of its own.
    pub fn sub(&mut self, field: &'static str, separator: char) -> Result<Self> {
        let (at, tracer) = (self.at, self.tracer.take());
        let text = self.text(field);
        self.tracer = tracer;
        Ok(Self { rest: Some(text?), at, separator, tracer })
    }

    /// All that is left, separators included; empty where nothing is.
    pub fn take_rest(&mut self, field: &'static str) -> &'a str {
        let (at, rest) = (self.at, self.rest.take().unwrap_or_default());
        self.at = at.saturating_add(rest.len());
        if let Some(tracer) = self.tracer {
            tracer.field(field, at, rest.len(), Traced::Text(rest));
        }
        rest
    }

    /// All that is left, without moving.
    pub fn rest(&self) -> &'a str {
        self.rest.unwrap_or_default()
    }

    /// Whether there is another field, be it empty.
    pub const fn has_more(&self) -> bool {
        self.rest.is_some()
    }

    /// The offset of the next field from the beginning of the frame.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// An error if there are fields left.
    pub fn finish(&self, what: &'static str) -> Result<()> {
        match self.rest {
            None => Ok(()),
            Some(rest) => Err(Malformed::new(what, self.at, Reason::Trailing { left: rest.len() })),
        }
    }

    /// An error about `field` here.
    pub const fn error(&self, field: &'static str, reason: Reason) -> Malformed {
        Malformed::new(field, self.at, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_one_after_the_other() {
        let mut f = Fields::new("12;;x;1.5", 3, ';', None);
        assert_eq!(f.num::<u8>("a"), Ok(12));
        assert_eq!(f.opt::<u8>("b"), Ok(None));
        assert_eq!(f.opt::<u8>("c").unwrap_err().to_string(), "c at byte 7: expected a number or nothing");
        assert_eq!(f.num::<f64>("d"), Ok(1.5));
        assert_eq!(f.finish("message"), Ok(()));
        assert_eq!(f.text("e").unwrap_err().to_string(), "e at byte 12: truncated: need 1, have 0");
    }

    #[test]
    fn fields_within_a_field() {
        let mut f = Fields::new("a:1,b:2;z", 0, ';', None);
        let mut list = f.sub("parameters", ',').unwrap();
        let mut pair = list.sub("parameter", ':').unwrap();
        assert_eq!((pair.text("name"), pair.num("value")), (Ok("a"), Ok(1)));
        assert_eq!(list.text("parameter"), Ok("b:2"));
        assert!(!list.has_more());
        assert_eq!(f.take_rest("rest"), "z");
        assert_eq!(f.finish("message"), Ok(()));
    }
}
