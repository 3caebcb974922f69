//! What bytes of a file mean as text.

use encoding_rs::{BIG5, Encoding, GB18030, GBK, ISO_2022_JP, SHIFT_JIS, UTF_8, WINDOWS_1252};

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

/// What a dump's own word for its encoding is to us: of `SET NAMES` and `SET client_encoding`.
pub(crate) fn of_database(name: &str) -> Option<&'static Encoding> {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let label = match name.as_str() {
        "utf8" | "utf8mb3" | "utf8mb4" | "unicode" | "sqlascii" | "ascii" | "usascii" | "binary" => "utf-8",
        // A database's Latin 1 is what browsers call by that name, too: with the letters of Windows.
        "latin1" => "windows-1252",
        "latin5" => "iso-8859-9",
        "latin6" => "iso-8859-10",
        "latin7" => "iso-8859-13",
        "latin8" => "iso-8859-14",
        "latin9" => "iso-8859-15",
        "latin10" => "iso-8859-16",
        "greek" => "iso-8859-7",
        "hebrew" => "iso-8859-8",
        "alt" | "win866" => "cp866",
        "tis620" | "win874" => "windows-874",
        "koi8r" | "koi8" => "koi8-r",
        "koi8u" => "koi8-u",
        "uhc" => "euc-kr",
        "ujis" | "eucjpms" => "euc-jp",
        "macroman" => "macintosh",
        other => {
            match (other.strip_prefix("win").or_else(|| other.strip_prefix("cp")), other.strip_prefix("iso8859")) {
                (Some(page), _) => return Encoding::for_label(format!("windows-{page}").as_bytes()),
                (_, Some(part)) => return Encoding::for_label(format!("iso-8859-{part}").as_bytes()),
                _ => other,
            }
        }
    };
    Encoding::for_label(label.as_bytes())
}

/// Whether a letter may have a byte in it that is a quote or backslash for whoever looks at bytes.
pub(crate) fn hides_quotes(encoding: &'static Encoding) -> bool {
    [SHIFT_JIS, BIG5, GBK, GB18030, ISO_2022_JP].contains(&encoding)
}
