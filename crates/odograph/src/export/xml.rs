//! Text for XML.

use std::borrow::Cow;

/// A text as it may stand in an element. What XML cannot hold in any way becomes U+FFFD.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| is_allowed(c) && !matches!(c, '&' | '<' | '>' | '"' | '\'' | '\r')) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // A reader would make a line feed of it.
            '\r' => escaped.push_str("&#13;"),
            c if is_allowed(c) => escaped.push(c),
            _ => escaped.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Cow::Owned(escaped)
}

/// XML 1.0, production 2.
const fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_text() {
        assert_eq!(escaped("352093081452251"), "352093081452251");
        assert_eq!(escaped("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&apos;");
        assert_eq!(escaped("\0\u{1b}\u{FFFF}é\r\n"), "\u{FFFD}\u{FFFD}\u{FFFD}é&#13;\n");
        assert_eq!(escaped("]]>"), "]]&gt;");
    }
}
