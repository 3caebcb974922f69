//! Ids of devices, as people and spreadsheets write them.

use odograph_protocols::IDENTITY_BYTES_MAX;

/// An id, and what had to be done to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) text: String,
    /// Whether it was written otherwise.
    pub(crate) mended: bool,
}

/// What the device will call itself, out of what stands in the file; or why that cannot be known.
pub(crate) fn clean(written: &str) -> Result<Id, String> {
    let mut text = trim(written);
    // `="352…"` and `'352…` keep a spreadsheet from taking an id for a number.
    if let Some(inner) = text.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')) {
        text = trim(inner);
    }
    text = text.strip_prefix('\'').map_or(text, trim);
    if let Some(whole) = text.strip_suffix(".0").or_else(|| text.strip_suffix(",0"))
        && whole.len() >= LONG_NUMBER
        && is_number(whole)
    {
        text = whole;
    }
    if is_shortened(text) {
        return Err(format!(
            "a spreadsheet has shortened the id to {text} and lost its last digits: give the column the format \
             \"text\", enter the ids again and export once more"
        ));
    }
    check(text)?;
    let text = without_separators(text).unwrap_or_else(|| text.to_owned());
    Ok(Id { mended: text != written.trim_ascii(), text })
}

/// Says why no device can call itself that.
pub(crate) fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("there is no id".to_owned());
    }
    if text.len() > IDENTITY_BYTES_MAX {
        return Err(format!("an id has {IDENTITY_BYTES_MAX} bytes at most, and this has {}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("the id holds characters that no device sends, such as the end of a line".to_owned());
    }
    Ok(())
}

/// Whether the text is as long as an IMEI and its check digit is wrong: a digit was mistyped, or it is another kind of
/// number.
pub(crate) fn has_wrong_check_digit(text: &str) -> bool {
    if text.len() != IMEI_DIGITS || !is_number(text) {
        return false;
    }
    let digits = text.bytes().rev().map(|byte| u32::from(byte.wrapping_sub(b'0')));
    let sum: u32 = digits
        .enumerate()
        .map(|(index, digit)| match (index % 2, digit * 2) {
            (0, _) => digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    !sum.is_multiple_of(10)
}

/// The text without white space around it, also of the kinds that web pages bring along.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'))
}

/// An IMEI in groups, `35-209308-145225-1`, as one number.
fn without_separators(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '-' | '/' | '\u{a0}');
    if !text.chars().all(is_part) || is_number(text) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (digits.len() == IMEI_DIGITS).then_some(digits)
}

/// `3.52093E+14`: what a spreadsheet shows of a long number, and exports.
fn is_shortened(text: &str) -> bool {
    let Some((number, exponent)) = text.split_once(['e', 'E']) else { return false };
    let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
    let (whole, part) = number.split_once(['.', ',']).unwrap_or((number, "0"));
    whole.len() == 1 && is_number(whole) && is_number(part) && exponent.len() <= 2 && is_number(exponent) && {
        // `7E14` may be a serial number in hex; with a plus or a fraction it is not.
        text.contains(['+', '.', ','])
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

const IMEI_DIGITS: usize = 15;
const LONG_NUMBER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: &str) {
        let found = clean(written).map(|id| (id.text, id.mended));
        assert_eq!(found, Ok((expected.to_owned(), expected != written.trim_ascii())), "{written:?}");
    }

    fn refused(written: &str, reason: &str) {
        let found = clean(written).expect_err(written);
        assert!(found.contains(reason), "{written:?}: {found}");
    }

    #[test]
    fn ids_are_taken_as_devices_send_them() {
        check("352093081452251", "352093081452251");
        check(" 352093081452251\t", "352093081452251");
        check("'352093081452251", "352093081452251");
        check("=\"0352093081452251\"", "0352093081452251");
        check("352093081452251.0", "352093081452251");
        check("35-209308-145225-1", "352093081452251");
        check("35 209308 145225 1", "352093081452251");
        check("\u{feff}352093081452251\u{a0}", "352093081452251");
        check("AB-12/x", "AB-12/x");
        check("12-34", "12-34");
        check("7E14", "7E14");
        check("0.0", "0.0");
        check(&"x".repeat(IDENTITY_BYTES_MAX), &"x".repeat(IDENTITY_BYTES_MAX));
    }

    #[test]
    fn what_is_no_id_is_said() {
        refused("", "there is no id");
        refused("' ", "there is no id");
        refused("3.52094E+14", "shortened the id to 3.52094E+14");
        refused("3,52094E+14", "shortened");
        refused("3E+14", "shortened");
        refused("a\nb", "characters that no device sends");
        refused(&"x".repeat(IDENTITY_BYTES_MAX + 1), "255 bytes at most, and this has 256");
    }

    #[test]
    fn a_wrong_check_digit_shows() {
        assert!(!has_wrong_check_digit("352093081452251"));
        assert!(has_wrong_check_digit("352093081452252"));
        assert!(has_wrong_check_digit("352093081452215"));
        assert!(!has_wrong_check_digit("35209308145225"));
        assert!(!has_wrong_check_digit("35209308145225x"));
    }
}
