//! Requests cut at every byte, bounds and one past them, and what must never be read in two ways.

use super::*;
use crate::{Framing, Told};

/// Cuts `stream`, of which each byte comes by itself, and says what the last of them showed.
fn by_bytes(stream: &[u8]) -> Cut {
    let mut needed = 0;
    for length in 1..=stream.len() {
        match Framing::Http.cut(Told::default(), &stream[..length]) {
            Cut::Need(need) => {
                assert!(need > length, "at {length} of {}: needs {need}", stream.len());
                needed = need;
            }
            cut => {
                assert!(length >= needed, "needed {needed}, and then did with {length}");
                return cut;
            }
        }
    }
    Framing::Http.cut(Told::default(), stream)
}

/// The cut is the same at once, byte by byte, and with another request behind it.
#[track_caller]
fn check(stream: &[u8], expected: Cut) {
    assert_eq!(by_bytes(stream), expected, "byte by byte");
    assert_eq!(Framing::Http.cut(Told::default(), stream), expected, "at once");
    if let Cut::Frame(_) | Cut::Lost(_) = expected {
        let more = [stream, b"GET / HTTP/1.1\r\n\r\n"].concat();
        assert_eq!(Framing::Http.cut(Told::default(), &more), expected, "with more behind it");
    }
}

#[track_caller]
fn whole(stream: &str) {
    check(stream.as_bytes(), Cut::Frame(stream.len()));
}

#[track_caller]
fn lost(stream: &str, wrong: Wrong) {
    check(stream.as_bytes(), Cut::Lost(wrong.what()));
}

#[test]
fn requests_end_where_they_say() {
    whole("GET /?id=1&lat=2&lon=3 HTTP/1.1\r\nHost: a\r\n\r\n");
    whole("GET / HTTP/1.0\r\n\r\n");
    whole("GET / HTTP/1.1\n\n");
    whole("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nlat=1");
    whole("POST / HTTP/1.1\r\nCONTENT-LENGTH:  0 \r\n\r\n");
    whole("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nlat=1\r\n0\r\n\r\n");
    whole(
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nlat\r\n0002 \r\n=1\r\n0\r\nx: y\r\nz: 1\r\n\r\n",
    );
    assert_eq!(Framing::Http.cut(Told::default(), b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Cut::Skip(4));
}

#[test]
fn a_request_that_is_not_whole_says_what_it_needs() {
    assert_eq!(Framing::Http.cut(Told::default(), b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nla"), Cut::Need(43));
    assert_eq!(Framing::Http.cut(Told::default(), b"POST / HTT"), Cut::Need(11));
    assert_eq!(
        Framing::Http.cut(Told::default(), b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nla"),
        Cut::Need(57)
    );
}

#[test]
fn lengths_that_two_may_read_differently_end_the_stream() {
    let post = |lines: &str| format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n");
    lost(&post("Content-Length: 5\r\nContent-Length: 5"), Wrong::Lengths);
    lost(&post("Content-Length: 5\r\nTransfer-Encoding: chunked"), Wrong::Lengths);
    lost(&post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Wrong::Lengths);
    lost("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Wrong::Lengths);
    for length in ["+5", "-5", "5, 5", "5 5", "0x5", "", "5a", "1234567890123456"] {
        lost(&post(&format!("Content-Length: {length}")), Wrong::Length);
    }
    for encoding in ["gzip, chunked", "identity", "xchunked", ""] {
        lost(&post(&format!("Transfer-Encoding: {encoding}")), Wrong::Encoding);
    }
    lost(&post("Content-Length : 5"), Wrong::Head);
    lost(&post("X: 1\r\n Content-Length: 5"), Wrong::Head);
    lost(&post("Transfer-Encoding\x0b: chunked"), Wrong::Head);
}

#[test]
fn chunks_that_are_broken_end_the_stream() {
    let post = |body: &str| format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    for body in ["\r\n", "x\r\n", "-1\r\n", "0x5\r\n", " 5\r\n", "5\nlat=1", "123456789\r\n", "2\r\nlat=1\r\n"] {
        lost(&post(body), Wrong::Chunk);
    }
    lost(&post("0\r\nx: y\n"), Wrong::Chunk);
    lost(&post(&format!("5;{}", "e".repeat(1022))), Wrong::Chunk);
    whole(&post(&format!("5;{}\r\nlat=1\r\n0\r\n\r\n", "e".repeat(1020))));
    lost(&post("c0000\r\n"), Wrong::BodyLong);
}

#[test]
fn bounds_and_one_past_them() {
    let head = |length: usize| {
        let fixed = "GET / HTTP/1.1\r\nx: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(length - fixed))
    };
    assert_eq!(Framing::Http.cut(Told::default(), head(HEAD_BYTES_MAX).as_bytes()), Cut::Frame(HEAD_BYTES_MAX));
    let lost_for = |wrong: Wrong| Cut::Lost(wrong.what());
    assert_eq!(Framing::Http.cut(Told::default(), head(HEAD_BYTES_MAX + 1).as_bytes()), lost_for(Wrong::HeadLong));
    let lines = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(count));
    whole(&lines(HEADERS_MAX));
    lost(&lines(HEADERS_MAX + 1), Wrong::Headers);
    let body = |length: usize| format!("POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n");
    let length = body(BODY_BYTES_MAX).len() + BODY_BYTES_MAX;
    assert_eq!(Framing::Http.cut(Told::default(), body(BODY_BYTES_MAX).as_bytes()), Cut::Need(length));
    lost(&body(BODY_BYTES_MAX + 1), Wrong::BodyLong);
    let chunks = |count: usize| {
        let chunks = "1\r\nx\r\n".repeat(count);
        format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    assert_eq!(Framing::Http.cut(Told::default(), chunks(CHUNKS_MAX).as_bytes()), Cut::Frame(chunks(CHUNKS_MAX).len()));
    assert_eq!(Framing::Http.cut(Told::default(), chunks(CHUNKS_MAX + 1).as_bytes()), lost_for(Wrong::Chunks));
    let trailers = |count: usize| {
        let trailers = "x: y\r\n".repeat(count);
        format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{trailers}\r\n")
    };
    whole(&trailers(HEADERS_MAX));
    lost(&trailers(HEADERS_MAX + 1), Wrong::Headers);
}

#[test]
fn what_is_no_request_is_seen_at_once() {
    lost("\x16\x03\x01", Wrong::Head);
    lost("GET / HTTP/2.0\r\n\r\n", Wrong::Version);
    lost("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Wrong::Version);
    lost("GET / HTTP/1.1\r\nx: \0\r\n\r\n", Wrong::Head);
    for wrong in Wrong::ALL {
        let answer = String::from_utf8(Framing::Http.refusal(wrong.what()).unwrap()).unwrap();
        let beginning = format!("HTTP/1.1 {}\r\nconnection: close\r\n", wrong.status());
        assert!(answer.starts_with(&beginning) && answer.contains(wrong.what()), "{answer}");
    }
    assert_eq!(Framing::Line.refusal("no frame begins here"), None);
}

#[test]
fn a_client_that_waits_before_its_body_is_told_to_go_on() {
    let post =
        |version: &str, expect: &str| format!("POST / HTTP/{version}\r\nExpect: {expect}\r\ncontent-length: 5\r\n\r\n");
    let prompt = |text: &str| Framing::Http.prompt(text.as_bytes());
    assert_eq!(prompt(&post("1.1", "100-Continue")), Some(CONTINUE));
    assert_eq!(prompt(&post("1.0", "100-continue")), None);
    assert_eq!(prompt(&post("1.1", "200-ok")), None);
    assert_eq!(prompt("POST / HTTP/1.1\r\nExpect: 100-continue\r\n"), None, "its head is not whole");
    assert_eq!(Framing::Line.prompt(b"POST"), None);
}

#[test]
fn what_is_in_a_request() {
    let frame = b"POST /a?b=c HTTP/1.1\r\nContent-Type: Text/Plain; x\r\nTransfer-Encoding: chunked\r\n\r\n\
                  3\r\nlat\r\n2\r\n=1\r\n0\r\n\r\n";
    let request = Request::read(frame).unwrap();
    assert_eq!((request.method(), request.target(), request.target_at()), ("POST", "/a?b=c", 5));
    assert_eq!(request.header("content-TYPE"), Some(&b"Text/Plain; x"[..]));
    assert!(request.header_begins("content-type", "text/plain") && !request.header_begins("content-type", "text/html"));
    assert_eq!((request.body().as_ref(), request.body_at()), (&b"lat=1"[..], 81));
    let cut = |length: usize| Request::read(&frame[..length]).unwrap_err().reason;
    assert_eq!(cut(4), Reason::Truncated { need: 5, have: 4 });
    assert_eq!(cut(frame.len() - 1), Reason::Truncated { need: frame.len(), have: frame.len() - 1 });
    let two = [&frame[..], b"GET"].concat();
    assert_eq!(Request::read(&two).unwrap_err(), Malformed::new("request", frame.len(), Reason::Trailing { left: 3 }));
    assert_eq!(Request::read(b"\x00").unwrap_err().reason, Reason::Expected("an HTTP request"));
}

#[test]
fn answers_say_whether_the_connection_goes_on() {
    let answer = |request: &str, text: &str| {
        String::from_utf8(Request::read(request.as_bytes()).unwrap().answer("200 OK", text)).unwrap()
    };
    assert_eq!(answer("GET / HTTP/1.1\r\n\r\n", ""), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let closed = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(answer("GET / HTTP/1.1\r\nConnection: TE, Close\r\n\r\n", ""), closed);
    assert_eq!(answer("GET / HTTP/1.0\r\n\r\n", ""), closed);
    let kept = "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(answer("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", ""), kept);
    let text = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\n\r\nhi\n";
    assert_eq!(answer("GET / HTTP/1.1\r\n\r\n", "hi"), text);
    assert_eq!(answer("HEAD / HTTP/1.1\r\n\r\n", "hi"), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

#[test]
fn a_request_is_written_as_it_is_read() {
    let headers = [("X-A", "b"), ("Content-Length", "7"), ("transfer-encoding", "chunked")];
    let bytes = compose("POST", "/?a=é b", headers, Some(b"hi"));
    assert_eq!(bytes, b"POST /?a=%C3%A9%20b HTTP/1.1\r\nX-A: b\r\ncontent-length: 2\r\n\r\nhi");
    let request = Request::read(&bytes).unwrap();
    assert_eq!((request.body().as_ref(), request.header("x-a")), (&b"hi"[..], Some(&b"b"[..])));
    assert_eq!(compose("GET", "/", [], None), b"GET / HTTP/1.1\r\n\r\n");
}

#[test]
fn a_request_shows_what_has_come_of_it() {
    let shows = |text: &str| {
        let begun = begun(text.as_bytes(), 20)?;
        Some((
            begun.target.to_owned(),
            begun.has_target,
            String::from_utf8_lossy(&begun.body).into_owned(),
            begun.is_whole,
        ))
    };
    let target = |target: &str, has_target| Some((target.to_owned(), has_target, String::new(), false));
    assert_eq!(shows("POST"), None);
    assert_eq!(shows("POST "), target("", false));
    assert_eq!(shows("POST /?a=b"), target("/?a=b", false));
    assert_eq!(shows("POST /?a=b "), target("/?a=b", true));
    assert_eq!(shows("POST /?a=b\r\n"), target("/?a=b", false), "a version is missing");
    assert_eq!(shows("POST /?a=b HTTP/1.1\r\nContent-Length: 5\r\n"), target("/?a=b", true));
    assert_eq!(shows("POST /?a=b HTTP/1.1\r\nContent-Length: 9999999\r\n\r\nlat"), target("/?a=b", true));
    let whole = |body: &str, is_whole| Some(("/?a=b".to_owned(), true, body.to_owned(), is_whole));
    let post = |body: &str| shows(&format!("POST /?a=b HTTP/1.1\r\nContent-Length: 5\r\n\r\n{body}"));
    for (body, come) in [("", ""), ("la", "la"), ("lat=1", "lat=1"), ("lat=1GET /", "lat=1")] {
        assert_eq!(post(body), whole(come, come.len() == 5));
    }
    let chunked = |body: &str| shows(&format!("POST /?a=b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
    for (body, come) in [
        ("", ""),
        ("3", ""),
        ("3\r\n", ""),
        ("3\r\nla", "la"),
        ("3\r\nlat\r", "lat"),
        ("3\r\nlat\r\n2;x", "lat"),
        ("3\r\nlat\r\n2\r\n=1\r\n0\r\n\r\nGET /", "lat=1"),
        ("3\r\nlatx", "lat"),
        ("3\r\nlatxy", "lat"),
        ("3\r\nlat\r\nx\r\n=1", "lat"),
    ] {
        assert_eq!(chunked(body), whole(come, come.len() == 5), "{body:?}");
    }
    // No more than was asked for.
    assert_eq!(chunked("30\r\n123456789012345678901234"), whole("12345678901234567890", false));
    let long = |body: &str| shows(&format!("POST /?a=b HTTP/1.1\r\nContent-Length: 21\r\n\r\n{body}"));
    assert_eq!(long("123456789012345678901"), whole("12345678901234567890", false));
}
