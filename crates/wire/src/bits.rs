//! Bits of flag words, counted from the lowest.

/// Whether bit `index` of `word` is set; a bit beyond the word is not.
pub fn is_set(word: impl Into<u64>, index: u32) -> bool {
    word.into().checked_shr(index).is_some_and(|rest| rest & 1 == 1)
}

/// The bits from `from` up to but not including `to`, as a number.
pub fn between(word: impl Into<u64>, from: u32, to: u32) -> u64 {
    let width = to.saturating_sub(from);
    let mask = 1_u64.checked_shl(width).map_or(u64::MAX, |end| end.wrapping_sub(1));
    word.into().checked_shr(from).unwrap_or(0) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_bits_and_ranges() {
        assert!(is_set(0b100_u8, 2) && !is_set(0b100_u8, 1) && !is_set(1_u8, 64));
        assert_eq!(between(0b1101_1000_u8, 3, 7), 0b1011);
        assert_eq!(between(u64::MAX, 0, 64), u64::MAX);
        assert_eq!(between(1_u8, 5, 5), 0);
    }
}
