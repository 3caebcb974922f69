//! HTTP/1 requests of devices, as messages like any other: where one ends in a stream, what is in it, and how it is
//! answered.
//!
//! ```text
//! POST /?id=1 HTTP/1.1␍␊ host: a␍␊ content-length: 5␍␊ ␍␊ lat=1      length stated, or none and so no body
//! POST / HTTP/1.1␍␊ transfer-encoding: chunked␍␊ ␍␊ 5␍␊lat=1␍␊ 0␍␊ ␍␊   in chunks, with trailers before the last ␍␊
//! ```
//!
//! Source: RFC 9112. A request whose length is stated in two ways, twice, or in a way that two readers may read
//! differently (§6.3, §11.2) ends the stream: whoever stands before us must not be made to see other requests than we do.

mod chunks;

use crate::{Cut, Malformed, Reason, Result};
use std::borrow::Cow;

/// A head, which is the request line and the header, is no longer: phones put a whole fix with all its cells into it.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// And has no more lines. Phones send a dozen, and balancers add some.
pub const HEADERS_MAX: usize = 64;
/// A body is no longer, chunk sizes included. A thousand fixes of a phone that was away for a day fit; more of them
/// come with the next request, and an entry of the journal holds no more.
pub const BODY_BYTES_MAX: usize = 768 << 10;
/// A body comes in no more chunks, so that looking for its end costs no more than its bytes.
pub const CHUNKS_MAX: usize = 4096;
/// No request is longer.
pub const REQUEST_BYTES_MAX: usize = HEAD_BYTES_MAX + BODY_BYTES_MAX;

/// Cuts the request that `bytes` begin with.
pub(crate) fn cut(bytes: &[u8]) -> Cut {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if blank > 0 {
        // Old clients send an empty line behind a body (§2.2).
        return Cut::Skip(blank);
    }
    match end(bytes) {
        Ok(Extent::Whole(length)) => Cut::Frame(length),
        Ok(Extent::Needs(length)) => Cut::Need(length),
        Err(wrong) => Cut::Lost(wrong.what()),
    }
}

/// What a client waits for before it sends the body of the request that `bytes` begin with, of which a part has come.
pub(crate) fn prompt(bytes: &[u8]) -> Option<&'static [u8]> {
    let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let head = Head::read(bytes, &mut room).ok()??;
    let waits = header(head.headers, "expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
    // Who speaks HTTP/1.0 would take it for the answer (RFC 9110 §10.1.1).
    (waits && head.minor > 0).then_some(CONTINUE)
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a client is told whose stream was lost for `why`, before its connection ends.
pub(crate) fn refusal(why: &'static str) -> Vec<u8> {
    let status = Wrong::ALL.iter().find(|wrong| wrong.what() == why).map_or("400 Bad Request", |wrong| wrong.status());
    write(status, Some("close"), why)
}

/// A request as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun<'a> {
    /// What is asked for, path and query, as far as it has come.
    pub target: &'a str,
    /// Whether that is all of it.
    pub has_target: bool,
    /// The beginning of the body as far as it has come, out of its chunks.
    pub body: Cow<'a, [u8]>,
    /// Whether that is all of it.
    pub is_whole: bool,
}

/// The request that `bytes` begin with, as soon as its target begins; of its body, which is there once the head is whole
/// and sound, at most so many bytes. What it shows of some bytes it shows of more as well.
pub fn begun(bytes: &[u8], body_max: usize) -> Option<Begun<'_>> {
    let method = bytes.iter().position(|byte| *byte == b' ')?;
    let rest = bytes.get(method.saturating_add(1)..).unwrap_or_default();
    let length = rest.iter().take_while(|byte| **byte > b' ' && **byte != DELETE).count();
    let target = beginning(rest.get(..length).unwrap_or_default());
    let has_target = rest.get(length) == Some(&b' ') && target.len() == length;
    let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let (body, is_whole) = match Head::read(bytes, &mut room) {
        Ok(Some(head)) => body_begun(&head, bytes.get(head.length..).unwrap_or_default(), body_max),
        _ => (Cow::default(), false),
    };
    Some(Begun { target, has_target, body, is_whole })
}

fn body_begun<'a>(head: &Head<'_, 'a>, come: &'a [u8], body_max: usize) -> (Cow<'a, [u8]>, bool) {
    match Body::of(head.headers, head.minor) {
        Ok(Body::Length(length)) if length <= BODY_BYTES_MAX => {
            let body = come.get(..length.min(body_max)).unwrap_or(come);
            (Cow::Borrowed(body), body.len() == length)
        }
        Ok(Body::Chunked) => {
            let (body, is_whole) = chunks::begun(come, body_max);
            (Cow::Owned(body), is_whole)
        }
        _ => (Cow::default(), false),
    }
}

const DELETE: u8 = 0x7F;

/// As much of `bytes` as is text.
pub fn beginning(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(bytes.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default(),
    }
}

/// One whole request.
#[derive(Debug)]
pub struct Request<'a> {
    method: &'a str,
    target: &'a str,
    minor: u8,
    room: [httparse::Header<'a>; HEADERS_MAX],
    /// How many of them there are.
    headers: usize,
    body: &'a [u8],
    /// Where the body begins in the frame.
    body_at: usize,
    chunked: bool,
}

impl<'a> Request<'a> {
    /// Reads `frame`, which is to be one request and nothing else.
    pub fn read(frame: &'a [u8]) -> Result<Self> {
        let broken = |wrong: Wrong| Malformed::new("request", 0, Reason::Expected(wrong.expected()));
        match end(frame).map_err(broken)? {
            Extent::Whole(length) if length == frame.len() => {}
            Extent::Whole(length) => {
                let left = frame.len().saturating_sub(length);
                return Err(Malformed::new("request", length, Reason::Trailing { left }));
            }
            Extent::Needs(need) => {
                return Err(Malformed::new("request", 0, Reason::Truncated { need, have: frame.len() }));
            }
        }
        let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let head = Head::read(frame, &mut room).map_err(broken)?;
        let Some(Head { method, target, minor, headers, length }) = head else {
            return Err(broken(Wrong::Head));
        };
        let (headers, chunked) = (headers.len(), matches!(Body::of(headers, minor), Ok(Body::Chunked)));
        let body = frame.get(length..).unwrap_or_default();
        Ok(Self { method, target, minor, room, headers, body, body_at: length, chunked })
    }

    /// `GET`, `POST`.
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// What is asked for: path and query, as sent.
    pub const fn target(&self) -> &'a str {
        self.target
    }

    /// Where the target begins in the frame.
    pub const fn target_at(&self) -> usize {
        self.method.len().saturating_add(1)
    }

    /// The value of the first header line of that name, whose case does not matter.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        header(self.room.get(..self.headers).unwrap_or_default(), name)
    }

    /// Whether the value of a header begins with `beginning`, whose case does not matter.
    pub fn header_begins(&self, name: &str, beginning: &str) -> bool {
        let value = self.header(name).and_then(|value| value.get(..beginning.len()));
        value.is_some_and(|value| value.eq_ignore_ascii_case(beginning.as_bytes()))
    }

    /// The body, out of its chunks.
    pub fn body(&self) -> Cow<'a, [u8]> {
        if self.chunked { Cow::Owned(chunks::joined(self.body)) } else { Cow::Borrowed(self.body) }
    }

    /// Where the body begins in the frame.
    pub const fn body_at(&self) -> usize {
        self.body_at
    }

    /// Whether the client sends another request on the same connection (RFC 9112 §9.3).
    pub fn keeps_alive(&self) -> bool {
        let says = |word: &[u8]| {
            let options = self.header("connection").unwrap_or_default().split(|byte| *byte == b',');
            options.map(<[u8]>::trim_ascii).any(|option| option.eq_ignore_ascii_case(word))
        };
        !says(b"close") && (self.minor > 0 || says(b"keep-alive"))
    }

    /// The answer with this status, such as `200 OK`, and a text for people, which may be empty.
    pub fn answer(&self, status: &str, text: &str) -> Vec<u8> {
        let connection = match (self.keeps_alive(), self.minor) {
            (false, _) => Some("close"),
            (true, 0) => Some("keep-alive"),
            (true, _) => None,
        };
        // The answer to HEAD has no body, whatever the status.
        write(status, connection, if self.method == "HEAD" { "" } else { text })
    }
}

/// A request as a client writes it. The length of the body is stated as it is, whatever `headers` say of it; what cannot
/// stand in a target is percent-encoded.
pub fn compose<'h>(
    method: &str,
    target: &str,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    body: Option<&[u8]>,
) -> Vec<u8> {
    let mut bytes = format!("{method} ").into_bytes();
    for byte in target.bytes() {
        match byte {
            b'!'..=b'~' => bytes.push(byte),
            _ => bytes.extend(format!("%{byte:02X}").bytes()),
        }
    }
    bytes.extend(b" HTTP/1.1\r\n");
    let is_length =
        |name: &str| ["content-length", "transfer-encoding"].into_iter().any(|known| name.eq_ignore_ascii_case(known));
    for (name, value) in headers.into_iter().filter(|(name, _)| !is_length(name)) {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    if let Some(body) = body {
        bytes.extend(format!("content-length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body.unwrap_or_default());
    bytes
}

fn write(status: &str, connection: Option<&str>, text: &str) -> Vec<u8> {
    let connection = connection.map(|option| format!("connection: {option}\r\n")).unwrap_or_default();
    let (kind, end) = if text.is_empty() { ("", "") } else { ("content-type: text/plain; charset=utf-8\r\n", "\n") };
    let length = text.len().saturating_add(end.len());
    format!("HTTP/1.1 {status}\r\n{connection}{kind}content-length: {length}\r\n\r\n{text}{end}").into_bytes()
}

/// How far a request reaches.
enum Extent {
    /// It is whole, with so many bytes.
    Whole(usize),
    /// It has at least so many bytes, and not all are there.
    Needs(usize),
}

fn end(bytes: &[u8]) -> std::result::Result<Extent, Wrong> {
    let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let Some(head) = Head::read(bytes, &mut room)? else {
        return Ok(Extent::Needs(bytes.len().saturating_add(1)));
    };
    match Body::of(head.headers, head.minor)? {
        Body::Length(length) if length > BODY_BYTES_MAX => Err(Wrong::BodyLong),
        Body::Length(length) => Ok(match head.length.saturating_add(length) {
            end if end <= bytes.len() => Extent::Whole(end),
            end => Extent::Needs(end),
        }),
        Body::Chunked => Ok(match chunks::end(bytes.get(head.length..).unwrap_or_default())? {
            Extent::Whole(length) => Extent::Whole(head.length.saturating_add(length)),
            Extent::Needs(length) => Extent::Needs(head.length.saturating_add(length)),
        }),
    }
}

/// The request line and the header.
struct Head<'r, 'a> {
    method: &'a str,
    target: &'a str,
    minor: u8,
    headers: &'r [httparse::Header<'a>],
    length: usize,
}

impl<'r, 'a> Head<'r, 'a> {
    /// The head that `bytes` begin with; nothing while it is not whole.
    fn read(
        bytes: &'a [u8],
        room: &'r mut [httparse::Header<'a>; HEADERS_MAX],
    ) -> std::result::Result<Option<Self>, Wrong> {
        // Never more than the bound, so that the same is found however the bytes come.
        let window = bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes);
        let mut request = httparse::Request::new(room);
        let length = match request.parse(window) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if window.len() == HEAD_BYTES_MAX => return Err(Wrong::HeadLong),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Wrong::Headers),
            Err(httparse::Error::Version) => return Err(Wrong::Version),
            Err(_) => return Err(Wrong::Head),
        };
        let httparse::Request { method: Some(method), path: Some(target), version: Some(minor), headers } = request
        else {
            return Err(Wrong::Head);
        };
        Ok(Some(Self { method, target, minor, headers, length }))
    }
}

/// How the length of a body is stated.
enum Body {
    Length(usize),
    Chunked,
}

impl Body {
    fn of(headers: &[httparse::Header<'_>], minor: u8) -> std::result::Result<Self, Wrong> {
        let (mut length, mut chunked) = (None, false);
        for line in headers {
            if line.name.eq_ignore_ascii_case("content-length") {
                // Also where both are the same: who stands before us may have dropped either.
                if length.is_some() {
                    return Err(Wrong::Lengths);
                }
                length = Some(decimal(line.value.trim_ascii()).ok_or(Wrong::Length)?);
            }
            if line.name.eq_ignore_ascii_case("transfer-encoding") {
                if chunked || minor == 0 {
                    return Err(Wrong::Lengths);
                }
                if !line.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Wrong::Encoding);
                }
                chunked = true;
            }
        }
        match (length, chunked) {
            (Some(_), true) => Err(Wrong::Lengths),
            (length, false) => Ok(Self::Length(length.unwrap_or(0))),
            (None, true) => Ok(Self::Chunked),
        }
    }
}

/// Digits and nothing else: no sign, no blank, no list.
fn decimal(digits: &[u8]) -> Option<usize> {
    let fits = !digits.is_empty() && digits.len() <= LENGTH_DIGITS_MAX && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| fits)?.parse().ok()
}

/// Any number of so many digits fits `usize`, and is beyond each bound.
const LENGTH_DIGITS_MAX: usize = 15;

fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    let line = headers.iter().find(|line| line.name.eq_ignore_ascii_case(name))?;
    Some(line.value.trim_ascii())
}

/// What is wrong with a request so that nobody knows where the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Head,
    Version,
    HeadLong,
    Headers,
    Length,
    Lengths,
    Encoding,
    Chunk,
    Chunks,
    BodyLong,
}

impl Wrong {
    const ALL: &[Self] = &[
        Self::Head,
        Self::Version,
        Self::HeadLong,
        Self::Headers,
        Self::Length,
        Self::Lengths,
        Self::Encoding,
        Self::Chunk,
        Self::Chunks,
        Self::BodyLong,
    ];

    const fn what(self) -> &'static str {
        match self {
            Self::Head => "no HTTP request begins here",
            Self::Version => "the version is neither HTTP/1.0 nor HTTP/1.1",
            Self::HeadLong => "the head of a request is longer than 16 KiB",
            Self::Headers => "a request has more than 64 header lines",
            Self::Length => "a content-length is no number",
            Self::Lengths => "the length of a body is stated in two ways",
            Self::Encoding => "a transfer-encoding other than chunked",
            Self::Chunk => "a chunk of a body is broken",
            Self::Chunks => "a body has more than 4096 chunks",
            Self::BodyLong => "a body is longer than 768 KiB",
        }
    }

    /// The same as what was expected instead.
    const fn expected(self) -> &'static str {
        match self {
            Self::Head => "an HTTP request",
            Self::Version => "HTTP/1.0 or HTTP/1.1",
            Self::HeadLong => "a head of at most 16 KiB",
            Self::Headers => "at most 64 header lines",
            Self::Length => "a number as content-length",
            Self::Lengths => "a body whose length is stated in one way",
            Self::Encoding => "no transfer-encoding but chunked",
            Self::Chunk => "chunks with their sizes",
            Self::Chunks => "at most 4096 chunks",
            Self::BodyLong => "a body of at most 768 KiB",
        }
    }

    const fn status(self) -> &'static str {
        match self {
            Self::Head | Self::Length | Self::Lengths | Self::Chunk => "400 Bad Request",
            Self::Version => "505 HTTP Version Not Supported",
            Self::HeadLong | Self::Headers => "431 Request Header Fields Too Large",
            Self::Encoding => "501 Not Implemented",
            Self::Chunks | Self::BodyLong => "413 Content Too Large",
        }
    }
}

#[cfg(test)]
mod tests;
