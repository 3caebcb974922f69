//! What bytes of a file mean as text.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// The text of a table: what the file is in shows with its first letters that are not of ASCII.
#[derive(Debug)]
pub(crate) struct Letters {
    encoding: Option<&'static Encoding>,
    /// Whether the file or the operator said so.
    is_told: bool,
    /// Whether there were letters that are not of ASCII.
    any: bool,
}

impl Letters {
    /// `told` is what the file's mark or the operator says; without it, the beginning of the file does.
    pub(crate) fn new(told: Option<&'static Encoding>, sample: &[u8]) -> Self {
        Self { encoding: told.or_else(|| judge(sample)), is_told: told.is_some(), any: false }
    }

    /// The text, and whether it is odd: then it is not in what the rest of the file is in.
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> (String, bool) {
        if bytes.is_ascii() {
            return (String::from_utf8_lossy(bytes).into_owned(), false);
        }
        self.any = true;
        let first = || if std::str::from_utf8(bytes).is_ok() { UTF_8 } else { WINDOWS_1252 };
        let encoding = *self.encoding.get_or_insert_with(first);
        if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes) {
            return (text.into_owned(), false);
        }
        let other = if self.is_told { encoding } else { WINDOWS_1252 };
        (other.decode_without_bom_handling(bytes).0.into_owned(), true)
    }

    /// What the file is in, where that makes a difference.
    pub(crate) fn encoding(&self) -> Option<&'static Encoding> {
        self.encoding.filter(|_| self.any)
    }

    pub(crate) const fn is_told(&self) -> bool {
        self.is_told
    }
}

/// UTF-8 or Windows-1252: texts in the one hardly ever pass for the other. Nothing, where all is ASCII.
fn judge(sample: &[u8]) -> Option<&'static Encoding> {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in sample.utf8_chunks() {
        good += chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    // The sample may end within a letter.
    match (good, bad) {
        (0, 0) => None,
        (good, bad) if good >= bad => Some(UTF_8),
        (0, 1) if sample.len() >= crate::limits::SAMPLE_BYTES => None,
        _ => Some(WINDOWS_1252),
    }
}
