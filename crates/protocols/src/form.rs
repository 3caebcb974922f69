//! Queries of URLs and forms: `name=value&name=value`, percent-encoded.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Cow<'a, str>,
    /// The value as it was sent.
    pub(crate) sent: &'a str,
    /// Where the value begins in its frame.
    pub(crate) at: usize,
}

/// The query of a URL, and where it begins in it.
pub(crate) fn query(url: &str) -> Option<(&str, usize)> {
    let (path, query) = url.split_once('?')?;
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    Some((query, path.len().saturating_add(1)))
}

/// The parameters of `text`, which begins at `at` of its frame, in the order in which they were sent. A semicolon
/// separates as well as an ampersand, as HTML 4 (B.2.2) wants it.
pub(crate) fn pairs(text: &str, mut at: usize) -> impl Iterator<Item = Pair<'_>> {
    text.split(['&', ';']).filter_map(move |pair| {
        let start = at;
        at = at.saturating_add(pair.len()).saturating_add(1);
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value_at = start.saturating_add(name.len()).saturating_add(1);
        (!name.is_empty()).then(|| Pair { name: decoded(name), value: decoded(value), sent: value, at: value_at })
    })
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let blanks = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&blanks).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_query() {
        let (text, at) = query("/a?id=1&&x=a+b%2Bc%C3%A9;y&z=%zz%ff#id=2").unwrap();
        assert_eq!(at, 3);
        let found: Vec<_> = pairs(text, at).collect();
        let pair = |name: &'static str, value: &'static str, sent: &'static str, at: usize| Pair {
            name: name.into(),
            value: value.into(),
            sent,
            at,
        };
        let expected = [
            pair("id", "1", "1", 6),
            pair("x", "a b+cé", "a+b%2Bc%C3%A9", 11),
            pair("y", "", "", 27),
            pair("z", "%zz\u{fffd}", "%zz%ff", 29),
        ];
        assert_eq!(found, expected);
        assert_eq!(query("/a"), None);
    }
}
