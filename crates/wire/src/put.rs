//! Writing messages to devices.

/// Appends the digits of `digits` as binary-coded decimal, two a byte, with a leading zero where their number is odd.
/// `None`, and nothing appended, if they are not all digits.
pub fn bcd(digits: &str, out: &mut Vec<u8>) -> Option<()> {
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let nibble = |digit: u8| digit & 0x0F;
    let (head, pairs) = digits.as_bytes().split_at(digits.len() % 2);
    out.extend(head.iter().map(|digit| nibble(*digit)));
    out.extend(pairs.as_chunks::<2>().0.iter().map(|[high, low]| nibble(*high) << 4 | nibble(*low)));
    Some(())
}

/// Appends `bytes` as lower-case hex digits.
pub fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0F] {
            out.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_pairs() {
        let mut out = Vec::new();
        assert_eq!(bcd("123456789012345", &mut out), Some(()));
        assert_eq!(out, [0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45]);
        assert_eq!(bcd("12a", &mut out), None);
        assert_eq!(out.len(), 8);
    }

    #[test]
    fn bytes_become_digits() {
        let mut out = String::new();
        hex(&[0x00, 0xAB, 0x1F], &mut out);
        assert_eq!(out, "00ab1f");
    }
}
