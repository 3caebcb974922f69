//! Pages of other sites that may ask (CORS): those that the configuration names, with a token. A browser gives them no answer
//! that it asked for with the cookie of whoever has signed in here, because no answer says that they may have it.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// Where such pages are from.
#[derive(Clone)]
pub(crate) struct Cors(Arc<[HeaderValue]>);

impl Cors {
    /// What no header could say, no browser does.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self(origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect())
    }

    /// Where the page is from that asks, if it may. Browsers write it always alike, so it is compared as bytes.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        self.0.iter().find(|known| *known == origin).cloned()
    }
}

/// Answers browsers that ask whether a page may ask, and tells them of every other answer whether it may have it.
pub(crate) async fn share(State(cors): State<Cors>, request: Request, next: Next) -> Response {
    let origin = cors.allowed(request.headers());
    let asks_first =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match origin {
        Some(_) if asks_first => may_ask(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    // Whoever keeps answers must not give one page what another one got.
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READABLE));
    }
    response
}

fn may_ask() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, SENDABLE),
        (ACCESS_CONTROL_MAX_AGE, KEPT_SECONDS),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// All that any address takes; which, it says itself.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// Headers that a page may send besides those that every page may.
const SENDABLE: &str = "authorization, content-type, if-none-match, if-range, last-event-id, range";

/// Headers of an answer that a page may read besides those that every page may.
const READABLE: &str = "accept-ranges, content-disposition, content-length, content-range, etag, retry-after";

/// So long a browser may go by what it was told: who is taken out of the configuration asks no longer than that.
const KEPT_SECONDS: &str = "600";
