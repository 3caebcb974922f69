//! What a request says: its body as JSON, its query. Where it is wrong, the answer says which part and why.

use crate::{Api, BODY_BYTES_MAX, Code, Problem};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A body of JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let is_json = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json")
        });
        if !is_json {
            return Err(Problem::new(Code::MediaType, "the body must be JSON: send Content-Type: application/json"));
        }
        let read = tokio::time::timeout(BODY_MAX, Bytes::from_request(request, api)).await;
        let late = |_| Problem::invalid("the body", format!("did not come within {} s", BODY_MAX.as_secs()));
        let bytes = read.map_err(late)?.map_err(|error| match error.status().as_u16() {
            413 => Problem::new(Code::TooLarge, format!("a body has at most {BODY_BYTES_MAX} bytes")),
            _ => Problem::invalid("the body", error.body_text()),
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Problem::invalid("the body", error))
    }
}

/// A query, without the tenant, which is for [`Caller`](crate::Caller).
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        let mut query = form_urlencoded::Serializer::new(String::from("/?"));
        // Whose it is was looked at before.
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        query.extend_pairs(pairs.filter(|(name, _)| name != "tenant"));
        let uri = Uri::try_from(query.finish()).map_err(|error| Problem::invalid("the query", error))?;
        let query = Query::<T>::try_from_uri(&uri);
        query.map(|Query(query)| Self(query)).map_err(|error| Problem::invalid("the query", error.body_text()))
    }
}

/// A part of the path.
pub(crate) struct Named<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, api).await;
        path.map(|Path(named)| Self(named)).map_err(|error| Problem::invalid("the path", error.body_text()))
    }
}

/// How long a body may take to come.
const BODY_MAX: Duration = Duration::from_secs(30);
