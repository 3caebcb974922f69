//! The map that the server has in a file, part by part: whoever draws it reads those parts of the file that are in view.

use super::shares;
use crate::server::MapFile;
use crate::{Api, Caller, Code, Origin, Problem};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use futures::stream;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(tiles))
}

/// A part of the map's file
///
/// Of the PMTiles archive that the configuration names (`map.tiles`), for whoever has signed in, and for whoever has a link. The file
/// may have hundreds of gigabytes, and an answer has 16 MiB of what was asked for at most: a larger one is not given as a whole.
#[utoipa::path(get, path = "/api/v1/map/tiles", tag = "map", security(("token" = []), ("session" = []), ("link" = [])),
    params(("Range" = Option<String>, Header, description = "Which part: `bytes=0-16383`."),
        ("If-Range" = Option<String>, Header, description = "The `ETag` of the file that it is to be a part of: of another one, all is given, as without `Range`.")),
    responses((status = 200, description = "All of it: no part was asked for, or one of another file, and an answer has that much.", body = Vec<u8>, content_type = "application/vnd.pmtiles"),
        (status = 206, description = "The part, or its beginning: `Content-Range` says which.", body = Vec<u8>, content_type = "application/vnd.pmtiles"),
        (status = 304, description = "It is as it was, by `If-None-Match`."),
        (status = 400, description = "It does not say which part, or one of another file.", body = crate::problem::ProblemBody),
        (status = 401, description = "Nobody is signed in.", body = crate::problem::ProblemBody),
        (status = 404, description = "The configuration names no file, or there is no such link.", body = crate::problem::ProblemBody),
        (status = 416, description = "The file ends before that.", body = crate::problem::ProblemBody)))]
async fn tiles(
    State(api): State<Api>,
    Extension(origin): Extension<Origin>,
    caller: Result<Caller, Problem>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (turns, bytes_max) = match caller {
        Ok(_) => (&api.map_reads, ANSWER_BYTES_MAX),
        Err(problem) => {
            has_link(&api, origin, &headers, problem).await?;
            (&api.map_reads_by_link, LINK_ANSWER_BYTES_MAX)
        }
    };
    let no_file = || Problem::new(Code::NotFound, "the configuration names no file with a map: see map.tiles");
    let file = api.server.map().ok_or_else(no_file)?;
    let (bytes, tag) = reading(turns, &file, |file| file.version()).await.map_err(|error| Problem::internal(&error))?;
    let kept = [(ETAG, tag.clone()), (CACHE_CONTROL, KEPT.to_owned())];
    if text(&headers, IF_NONE_MATCH.as_str()).is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    let is_same = is_of(headers.get(IF_RANGE), &tag);
    let asked = text(&headers, RANGE.as_str()).filter(|_| is_same);
    let part = match asked {
        None if bytes <= bytes_max => Ok(0..bytes),
        _ => part(asked, bytes, bytes_max),
    };
    let part = match part {
        Ok(part) => part,
        Err(Code::Range) => {
            let beyond = Problem::new(Code::Range, format!("the file has {bytes} bytes"));
            return Ok(([(CONTENT_RANGE, format!("bytes */{bytes}"))], beyond).into_response());
        }
        Err(code) if is_same => {
            return Err(Problem::new(code, "ask for one part of the file: send Range: bytes=0-16383"));
        }
        Err(code) => {
            let other = "the file is another one by now: ask again for a part of it, without If-Range";
            return Ok(([(ETAG, tag)], Problem::new(code, other)).into_response());
        }
    };
    let length = part.end - part.start;
    let (status, place) = match asked {
        Some(_) => (StatusCode::PARTIAL_CONTENT, Some(format!("bytes {}-{}/{bytes}", part.start, part.end - 1))),
        None => (StatusCode::OK, None),
    };
    let first = piece(turns, &file, part.clone()).await.map_err(|error| Problem::internal(&error))?;
    let about = [
        (CONTENT_TYPE, "application/vnd.pmtiles".to_owned()),
        (CONTENT_LENGTH, length.to_string()),
        (ACCEPT_RANGES, "bytes".to_owned()),
    ];
    let place = AppendHeaders(place.map(|place| (CONTENT_RANGE, place)));
    Ok((status, kept, about, place, body(turns.clone(), file, first, part)).into_response())
}

/// Whether a part may be one of the file with this tag (RFC 9110, §13.1.5): where nothing is said of it, of any. What is compared are
/// strong tags, letter for letter: a date is never one, because a file may be written twice in a second.
fn is_of(wanted: Option<&HeaderValue>, tag: &str) -> bool {
    wanted.is_none_or(|wanted| wanted.as_bytes().trim_ascii() == tag.as_bytes())
}

/// Whoever has a link sees the map on its page. A page asks for many parts in a moment, so that only wrong secrets count as looks.
async fn has_link(api: &Api, origin: Origin, headers: &HeaderMap, problem: Problem) -> Result<(), Problem> {
    let Some(secret) = crate::caller::bearer(headers).filter(|secret| secret.starts_with(LINK)) else {
        return Err(problem);
    };
    match api.catalog()?.still_shared(secret).await? {
        Some(_) => Ok(()),
        None => shares::opened(api, origin, headers).await.map(drop),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The part of so many bytes that is asked for, or as much of it as an answer has: why there is none.
fn part(asked: Option<&str>, bytes: u64, bytes_max: u64) -> Result<Range<u64>, Code> {
    let asked = asked.and_then(|asked| asked.trim().strip_prefix("bytes="));
    let (first, last) = asked.and_then(|asked| asked.split_once('-')).ok_or(Code::Invalid)?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| is_number).ok_or(Code::Invalid)
    };
    let (from, until) = match (first, last) {
        ("", last) => (bytes.saturating_sub(number(last)?), bytes),
        (first, "") => (number(first)?, bytes),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(Code::Invalid);
            }
            (first, last.saturating_add(1).min(bytes))
        }
    };
    let until = until.min(from.saturating_add(bytes_max));
    if from < until { Ok(from..until) } else { Err(Code::Range) }
}

/// What follows the first piece is read as fast as whoever asked takes it, so that an answer has one piece of memory.
fn body(turns: Arc<Semaphore>, file: Arc<dyn MapFile>, first: Bytes, part: Range<u64>) -> Body {
    let rest = stream::unfold((Some(first), part.start), move |(first, place)| {
        let (turns, file, until) = (turns.clone(), file.clone(), part.end);
        async move {
            let read = match first {
                Some(first) => Ok(first),
                None if place >= until => return None,
                None => piece(&turns, &file, place..until).await,
            };
            // The connection is cut where it cannot be read: nobody takes a part for the whole.
            let reached = read.as_ref().map_or(until, |bytes| place.saturating_add(bytes.len() as u64));
            Some((read, (None, reached)))
        }
    });
    Body::from_stream(rest)
}

/// The first piece of a part.
async fn piece(turns: &Arc<Semaphore>, file: &Arc<dyn MapFile>, part: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(part.end - part.start).map_or(PIECE_BYTES, |length| length.min(PIECE_BYTES));
    let read = move |file: &Arc<dyn MapFile>| -> io::Result<Bytes> {
        let mut piece = vec![0; length];
        file.read(part.start, &mut piece)?;
        Ok(piece.into())
    };
    reading(turns, file, read).await
}

/// Reads on a thread that may wait, when it is its turn.
async fn reading<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    file: &Arc<dyn MapFile>,
    read: impl FnOnce(&Arc<dyn MapFile>) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let turn = turns.clone().acquire_owned().await.map_err(io::Error::other)?;
    let file = file.clone();
    let done = tokio::task::spawn_blocking(move || {
        let done = read(&file);
        drop(turn);
        done
    });
    done.await.map_err(io::Error::other)?
}

/// What the secrets of links begin with.
const LINK: &str = "odl_";

/// A browser keeps what it has read for a day, for whoever sits before it. By the tag it notices a file that is another one.
const KEPT: &str = "private, max-age=86400";

/// No tile is as large, nor what an archive says of itself; whoever wants all of the file has it from where it came from.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The same for whoever has a link, who may be anyone: hardly any tile has as much.
const LINK_ANSWER_BYTES_MAX: u64 = 2 << 20;

/// What is read at once: most tiles are smaller.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces that are read at a time. Each takes a moment, so whoever comes meanwhile waits for his turn.
pub(crate) const READS_MAX: usize = 4;

/// The same for all who have links: none of them is in the way of those who have signed in.
pub(crate) const LINK_READS_MAX: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_of_the_file() {
        let check = |asked: &str, bytes: u64, expected: Result<Range<u64>, Code>| {
            assert_eq!(part(Some(asked), bytes, ANSWER_BYTES_MAX), expected, "{asked} of {bytes}");
        };
        check("bytes=0-0", 10, Ok(0..1));
        check("bytes=0-16383", 10, Ok(0..10));
        check("bytes=9-9", 10, Ok(9..10));
        check("bytes=3-", 10, Ok(3..10));
        check("bytes=-4", 10, Ok(6..10));
        check("bytes=-40", 10, Ok(0..10));
        check("bytes=10-11", 10, Err(Code::Range));
        check("bytes=10-", 10, Err(Code::Range));
        check("bytes=-0", 10, Err(Code::Range));
        check("bytes=0-0", 0, Err(Code::Range));
        for wrong in [
            "",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=1-2,4-5",
            "items=0-1",
            "bytes=0-18446744073709551616",
        ] {
            check(wrong, 10, Err(Code::Invalid));
        }
        assert_eq!(part(None, 10, ANSWER_BYTES_MAX), Err(Code::Invalid));
    }

    #[test]
    fn a_part_is_of_the_file_that_is_wanted() {
        let check = |wanted: Option<&'static str>, expected: bool| {
            assert_eq!(is_of(wanted.map(HeaderValue::from_static).as_ref(), "\"a-1\""), expected, "{wanted:?}");
        };
        check(None, true);
        check(Some("\"a-1\""), true);
        check(Some(" \"a-1\" "), true);
        check(Some("\"a-2\""), false);
        // A weak tag, a list, a date, and what is none.
        for other in ["W/\"a-1\"", "\"a-1\", \"a-2\"", "Sun, 29 Nov 2026 10:00:00 GMT", "a-1", "*", ""] {
            check(Some(other), false);
        }
        assert!(!is_of(Some(&HeaderValue::from_bytes(b"\"a-1\xff\"").unwrap()), "\"a-1\""));
    }

    #[test]
    fn an_answer_is_bounded() {
        let check = |asked: &str, expected: Range<u64>| {
            assert_eq!(part(Some(asked), u64::MAX, ANSWER_BYTES_MAX), Ok(expected), "{asked}");
        };
        check("bytes=5-", 5..ANSWER_BYTES_MAX + 5);
        check(&format!("bytes=0-{}", ANSWER_BYTES_MAX - 1), 0..ANSWER_BYTES_MAX);
        check(&format!("bytes=0-{ANSWER_BYTES_MAX}"), 0..ANSWER_BYTES_MAX);
        check("bytes=0-18446744073709551615", 0..ANSWER_BYTES_MAX);
    }
}
