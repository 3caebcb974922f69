//! The map that the server has in a file, part by part: whoever draws it reads those parts of the file that are in view.

use super::shares;
use crate::server::MapFile;
use crate::{Api, Caller, Code, Origin, Problem};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use axum::http::header::{IF_NONE_MATCH, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
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
/// may have hundreds of gigabytes, and is not given as a whole: an answer has 16 MiB of what was asked for at most.
#[utoipa::path(get, path = "/api/v1/map/tiles", tag = "map", security(("token" = []), ("session" = []), ("link" = [])),
    params(("Range" = String, Header, description = "Which part: `bytes=0-16383`.")),
    responses((status = 206, description = "The part, or its beginning: `Content-Range` says which.", body = Vec<u8>, content_type = "application/vnd.pmtiles"),
        (status = 304, description = "It is as it was, by `If-None-Match`."),
        (status = 400, description = "It does not say which part.", body = crate::problem::ProblemBody),
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
    let part = match part(text(&headers, RANGE.as_str()), bytes, bytes_max) {
        Ok(part) => part,
        Err(Code::Range) => {
            let beyond = Problem::new(Code::Range, format!("the file has {bytes} bytes"));
            return Ok(([(CONTENT_RANGE, format!("bytes */{bytes}"))], beyond).into_response());
        }
        Err(code) => return Err(Problem::new(code, "ask for one part of the file: send Range: bytes=0-16383")),
    };
    let (place, length) = (format!("bytes {}-{}/{bytes}", part.start, part.end - 1), part.end - part.start);
    let first = piece(turns, &file, part.clone()).await.map_err(|error| Problem::internal(&error))?;
    let about = [
        (CONTENT_TYPE, "application/vnd.pmtiles".to_owned()),
        (CONTENT_RANGE, place),
        (CONTENT_LENGTH, length.to_string()),
        (ACCEPT_RANGES, "bytes".to_owned()),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, kept, about, body(turns.clone(), file, first, part)).into_response())
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
