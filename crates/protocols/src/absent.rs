//! What devices send where they know nothing, and what no measurement can be.

use crate::Out;
use odograph_model::{Key, Record};
use std::ops::Not;

/// A number, unless all of its bits are ones: so devices say that it is not available, as the vehicle's bus does (SAE
/// J1939-71).
pub(crate) fn unless_ones<N: Default + PartialEq + Not<Output = N>>(number: N) -> Option<N> {
    let ones = !N::default();
    (number != ones).then_some(number)
}

/// Whether bytes are all zeros or all ones: so readers of keys and cards say that they hold none.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0) || bytes.iter().all(|byte| *byte == u8::MAX)
}

/// The same of a number that is written out: a text of nothing but zeros, or of nothing but Fs.
pub(crate) fn is_blank_text(number: &str) -> bool {
    let digits = number.trim();
    digits.bytes().all(|digit| digit == b'0') || digits.bytes().all(|digit| digit.eq_ignore_ascii_case(&b'f'))
}

/// The direction in degrees; there is none beyond 360, and what is sent instead is left out with a note.
pub(crate) fn course(degrees: f64, record: &mut Record, out: &mut Out<'_>) {
    match (0.0..=360.0).contains(&degrees) {
        true => record.set(Key::PositionDirection, degrees),
        false => out.note("course beyond 360 degrees left out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_are_no_number_and_the_next_smaller_one_is() {
        assert_eq!((unless_ones(u8::MAX), unless_ones(254_u8), unless_ones(0_u8)), (None, Some(254), Some(0)));
        assert_eq!((unless_ones(u16::MAX), unless_ones(255_u16)), (None, Some(255)));
        assert_eq!((unless_ones(u32::MAX), unless_ones(u32::MAX - 1)), (None, Some(u32::MAX - 1)));
    }

    #[test]
    fn keys_of_zeros_or_ones_are_none() {
        assert!(is_blank(&[0; 6]) && is_blank(&[0xFF; 8]) && !is_blank(&[0, 0xFF]) && !is_blank(&[0, 0, 1]));
        assert!(["", " ", "0", "0000", "ffFF"].into_iter().all(is_blank_text));
        assert!(!["0F", "10", "DRV-7"].into_iter().any(is_blank_text));
    }

    #[test]
    fn directions_end_at_360_degrees() {
        for (degrees, is_one) in [(0.0, true), (360.0, true), (360.1, false), (-0.1, false), (f64::NAN, false)] {
            let (mut record, mut out) = (Record::new(), Out::default());
            course(degrees, &mut record, &mut out);
            assert_eq!((record.get(Key::PositionDirection).is_some(), out.notes().is_empty()), (is_one, is_one));
        }
    }
}
