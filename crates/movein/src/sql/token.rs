//! Words, names, texts and signs of a dump. Only what somebody wants is kept of them, and no more than a row may have.

use super::scan::Scan;
use crate::Format;
use crate::limits::ROW_BYTES_MAX;
use std::io::{self, Read};

/// What comes next in a dump. The bytes of all but a sign are in [`Lexer::text`], if they were wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword, a name without quotes, or a number.
    Word,
    /// A name in quotes.
    Name,
    /// A text in quotes.
    Text(Kind),
    /// Any other character.
    Sign(u8),
    /// There is nothing more.
    End,
}

/// How a text is written. The doubled quotes are single ones already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Plain,
    /// With backslashes, by the rules of the database.
    Escaped,
    /// `U&'…'`, with backslashes before hexadecimal digits.
    Unicode,
    /// `X'…'`.
    Hex,
    /// `B'…'`.
    Bits,
}

/// Why a dump cannot be read on.
#[derive(Debug)]
pub(super) enum Stop {
    /// It ends within something.
    Ended,
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A dump, piece by piece.
pub(super) struct Lexer<R> {
    pub(super) scan: Scan<R>,
    dialect: Format,
    /// Whether a backslash in a text without a prefix means something.
    pub(super) backslashes: bool,
    /// The last token's bytes.
    pub(super) text: Vec<u8>,
    /// Whether the last token was longer than a row may be; then `text` is its beginning.
    pub(super) is_overlong: bool,
    /// The line on which the last token began.
    pub(super) line: u64,
    /// Within a comment that this database takes for SQL.
    is_conditional: bool,
}

impl<R: Read> Lexer<R> {
    pub(super) const fn new(inner: R, dialect: Format) -> Self {
        Self {
            scan: Scan::new(inner),
            dialect,
            backslashes: matches!(dialect, Format::MySql),
            text: Vec::new(),
            is_overlong: false,
            line: 1,
            is_conditional: false,
        }
    }

    /// The next token; its bytes only if `keep`.
    pub(super) fn next(&mut self, keep: bool) -> Result<Token, Stop> {
        self.skip_space()?;
        self.line = self.scan.line;
        self.text.clear();
        self.is_overlong = false;
        let Some(byte) = self.scan.peek(0)? else { return Ok(Token::End) };
        match byte {
            b'\'' => {
                let kind = if self.backslashes { Kind::Escaped } else { Kind::Plain };
                self.quoted(b'\'', kind, keep).map(|()| Token::Text(kind))
            }
            b'"' | b'`' => self.quoted(byte, Kind::Plain, keep).map(|()| Token::Name),
            b'$' if self.has_dollar_quotes() && self.dollar_quoted()? => Ok(Token::Text(Kind::Plain)),
            _ if is_word(byte) => self.word(keep),
            _ => {
                self.scan.next()?;
                Ok(Token::Sign(byte))
            }
        }
    }

    /// Whether the last word was this one, in any case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word.as_bytes())
    }

    /// The last token as text, for names: what is not UTF-8 is none.
    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    fn word(&mut self, keep: bool) -> Result<Token, Stop> {
        loop {
            let window = self.scan.window()?;
            let length = window.iter().position(|byte| !is_word(*byte)).unwrap_or(window.len());
            if length == 0 {
                break;
            }
            let room = WORD_BYTES_MAX.saturating_sub(self.text.len());
            self.is_overlong |= length > room;
            self.text.extend(window.iter().take(length.min(room)));
            self.scan.skip(length);
        }
        let kind = match self.text.as_slice() {
            b"n" | b"N" => Kind::Plain,
            b"e" | b"E" => Kind::Escaped,
            b"x" | b"X" => Kind::Hex,
            b"b" | b"B" => Kind::Bits,
            b"u" | b"U" if self.scan.begins(b"&'")? => {
                self.scan.skip(1);
                Kind::Unicode
            }
            _ => return Ok(Token::Word),
        };
        if !self.scan.begins(b"'")? {
            return Ok(Token::Word);
        }
        self.text.clear();
        self.quoted(b'\'', kind, keep).map(|()| Token::Text(kind))
    }

    /// Reads to the closing quote. A doubled one is one of the text, and so is one behind a backslash where those count.
    fn quoted(&mut self, quote: u8, kind: Kind, keep: bool) -> Result<(), Stop> {
        self.scan.next()?;
        loop {
            let window = self.scan.window()?;
            if window.is_empty() {
                return Err(Stop::Ended);
            }
            let found = match kind {
                Kind::Escaped => memchr::memchr2(quote, b'\\', window),
                _ => memchr::memchr(quote, window),
            };
            let length = found.unwrap_or(window.len());
            if keep {
                let room = ROW_BYTES_MAX.saturating_sub(self.text.len());
                self.is_overlong |= length > room;
                self.text.extend(window.iter().take(length.min(room)));
            }
            self.scan.skip(length);
            if found.is_none() {
                continue;
            }
            let Some(byte) = self.scan.next()? else { return Err(Stop::Ended) };
            if byte == b'\\' && quote != b'\\' {
                let Some(escaped) = self.scan.next()? else { return Err(Stop::Ended) };
                self.push(b'\\', keep);
                self.push(escaped, keep);
            } else if self.scan.peek(0)? == Some(quote) {
                self.scan.next()?;
                self.push(quote, keep);
            } else {
                return Ok(());
            }
        }
    }

    fn push(&mut self, byte: u8, keep: bool) {
        if !keep {
            return;
        }
        if self.text.len() < ROW_BYTES_MAX {
            self.text.push(byte);
        } else {
            self.is_overlong = true;
        }
    }

    const fn has_dollar_quotes(&self) -> bool {
        matches!(self.dialect, Format::PostgreSql | Format::H2)
    }

    /// `$tag$ … $tag$`, in which functions are written: nothing in them is ours. Whether it was one.
    fn dollar_quoted(&mut self) -> Result<bool, Stop> {
        let mut tag = vec![b'$'];
        loop {
            match self.scan.peek(tag.len())? {
                Some(b'$') => break,
                Some(byte) if is_word(byte) && tag.len() < TAG_BYTES_MAX => tag.push(byte),
                _ => return Ok(false),
            }
        }
        tag.push(b'$');
        self.scan.skip(tag.len());
        loop {
            let window = self.scan.window()?;
            if window.is_empty() {
                return Err(Stop::Ended);
            }
            let length = memchr::memchr(b'$', window).unwrap_or(window.len());
            self.scan.skip(length);
            if self.scan.begins(&tag)? {
                self.scan.skip(tag.len());
                return Ok(true);
            }
            if self.scan.peek(0)? == Some(b'$') {
                self.scan.skip(1);
            }
        }
    }

    /// Goes on behind white space and comments.
    fn skip_space(&mut self) -> Result<(), Stop> {
        loop {
            match self.scan.peek(0)? {
                Some(byte) if byte.is_ascii_whitespace() || byte == 0x0b => drop(self.scan.next()?),
                Some(b'-') if self.scan.begins(b"--")? && self.is_line_comment()? => self.scan.skip_line()?,
                Some(b'#') if self.dialect == Format::MySql => self.scan.skip_line()?,
                Some(b'/') if self.scan.begins(b"/*")? => self.comment()?,
                Some(b'*') if self.is_conditional && self.scan.begins(b"*/")? => {
                    self.scan.skip(2);
                    self.is_conditional = false;
                }
                _ => return Ok(()),
            }
        }
    }

    /// MySQL wants white space behind the dashes, because `5--3` is 8.
    fn is_line_comment(&mut self) -> io::Result<bool> {
        let behind = self.scan.peek(2)?;
        Ok(self.dialect != Format::MySql || behind.is_none_or(|byte| byte.is_ascii_whitespace()))
    }

    /// A comment; the beginning of one, if its content is SQL for this database: `/*!40101 SET NAMES utf8mb4 */`.
    fn comment(&mut self) -> Result<(), Stop> {
        self.scan.skip(2);
        let mark = usize::from(self.scan.peek(0)? == Some(b'M'));
        if self.dialect == Format::MySql && self.scan.peek(mark)? == Some(b'!') {
            self.scan.skip(mark.saturating_add(1));
            let mut version = 0_u32;
            while let Some(digit @ b'0'..=b'9') = self.scan.peek(0)? {
                version = version.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0')));
                self.scan.skip(1);
            }
            if version < NO_VERSION {
                self.is_conditional = true;
                return Ok(());
            }
        }
        loop {
            let window = self.scan.window()?;
            if window.is_empty() {
                return Err(Stop::Ended);
            }
            let length = memchr::memchr(b'*', window).unwrap_or(window.len());
            self.scan.skip(length);
            if self.scan.begins(b"*/")? {
                self.scan.skip(2);
                return Ok(());
            }
            self.scan.skip(1);
        }
    }
}

/// Letters of any alphabet, digits, and what databases count among them.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Names are 64 or 128 characters at most in all three databases.
const WORD_BYTES_MAX: usize = 512;
const TAG_BYTES_MAX: usize = 64;
/// No server has this version: what is for it is for nobody.
const NO_VERSION: u32 = 900_000;
