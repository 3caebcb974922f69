//! Values as text protocols write them. Each reader takes a whole field and gives nothing where it is not one.

/// A decimal number. Rust reads more than devices write as numbers: words for the infinite, and plus signs.
pub fn number(text: &str) -> Option<f64> {
    let plain = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '.'));
    text.parse().ok().filter(|value: &f64| plain && value.is_finite())
}

/// Three numbers of two digits each: `HHMMSS`, `DDMMYY`, `YYMMDD`.
pub fn pairs(text: &str) -> Option<[u8; 3]> {
    let [a, b, c, d, e, f] = *text.as_bytes() else { return None };
    let digit = |byte: u8| byte.checked_sub(b'0').filter(|digit| *digit <= 9);
    let pair = |high, low| Some(digit(high)?.wrapping_mul(10).wrapping_add(digit(low)?));
    Some([pair(a, b)?, pair(c, d)?, pair(e, f)?])
}

/// Degrees out of `DDMM.MMMM`. The minutes are read apart, because some devices send more digits than a float holds
/// together with the degrees; and some count minutes beyond 59.
pub fn degrees(text: &str) -> Option<f64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let point = text.find('.').unwrap_or(text.len());
    let (degrees, minutes) = text.split_at_checked(point.saturating_sub(2))?;
    let degrees: u16 = if degrees.is_empty() { 0 } else { degrees.parse().ok()? };
    Some(f64::from(degrees) + number(minutes)? / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_as_devices_write_them() {
        let rounded = |text| degrees(text).map(|value| (value * 1e7).round() / 1e7);
        assert_eq!(rounded("5544.6025"), Some(55.743_375));
        assert_eq!(rounded("00154.5"), Some(1.908_333_3));
        assert_eq!(rounded("5429.681944502211763"), Some(54.494_699_1));
        assert_eq!(rounded("5364.0167"), Some(54.066_945), "minutes beyond 59");
        assert_eq!(rounded("5530"), Some(55.5));
        for wrong in ["", ".", "-5530.0", "55.30.1", "5x30.0", "999999930.0", "553é.5"] {
            assert_eq!(degrees(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_as_devices_write_them() {
        assert_eq!(number("-4.000"), Some(-4.0));
        assert_eq!(number("5."), Some(5.0));
        for wrong in ["", "+5", "inf", "-inf", "nan", "-nan", "1e999", "5,5", "5 "] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
        assert_eq!(pairs("095553"), Some([9, 55, 53]));
        for wrong in ["", "9555", "0955531", "09555x", "é9553"] {
            assert_eq!(pairs(wrong), None, "{wrong}");
        }
    }
}
