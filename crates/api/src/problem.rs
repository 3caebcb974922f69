//! What went wrong, as RFC 9457 has it, with a code from one table: programs go by the code, people read the detail.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use odograph_catalog::{Error, LoginError};
use serde::Serialize;
use std::time::Duration;

/// An answer that says why there is no other.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    retry_after: Option<Duration>,
}

/// What an answer of that kind looks like.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Where the code is described: below the address of the documentation.
    r#type: String,
    /// The kind of problem, for people.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// The kind of problem, for programs: see `docs/api.md`.
    code: &'static str,
    /// This problem, for people: what happened, and what to do.
    detail: String,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $status:ident, $title:literal;)+) => {
        /// The kinds of problems.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// All of them, with what they mean: the table of the documentation.
            pub const ALL: &[(Self, &'static str)] = &[$((Self::$name, concat!($($doc),+)),)+];

            /// As programs read it.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The status of the answer.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// As people read it.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

codes! {
    /// A value of the request is wrong: the detail says which and why.
    Invalid = "invalid", BAD_REQUEST, "The request is wrong";
    /// Nobody is signed in, or the token or session is none any more.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Sign in first";
    /// Wrong login, password or code. Which of them is not said.
    WrongLogin = "wrong_login", UNAUTHORIZED, "Wrong login";
    /// The password was right, and the code of the authenticator is needed as well.
    CodeNeeded = "code_needed", UNAUTHORIZED, "A code is needed";
    /// Whoever asks may not do that.
    Forbidden = "forbidden", FORBIDDEN, "That is not allowed";
    /// There is no such thing, or it is not theirs who ask.
    NotFound = "not_found", NOT_FOUND, "There is no such thing";
    /// This address does not take this method.
    Method = "method_not_allowed", METHOD_NOT_ALLOWED, "Not by this method";
    /// Something is taken already, or in use.
    Conflict = "conflict", CONFLICT, "Something stands against it";
    /// The request is larger than it may be.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The request is too large";
    /// The body is not of the type that is needed here.
    MediaType = "media_type", UNSUPPORTED_MEDIA_TYPE, "Not of the right type";
    /// There is no such part of the file: the header `Content-Range` says how long it is.
    Range = "range", RANGE_NOT_SATISFIABLE, "There is no such part";
    /// A query or message is wrong in itself: the detail says where.
    Unprocessable = "unprocessable", UNPROCESSABLE_ENTITY, "It cannot be carried out";
    /// The tenant has as much as it may have.
    Quota = "quota", FORBIDDEN, "The quota is used up";
    /// Too many attempts, or too much at a time: the header `Retry-After` says when to come again.
    TooMany = "too_many", TOO_MANY_REQUESTS, "Too much at a time";
    /// The server is starting, stopping, or behind: it says what it waits for.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Not now";
    /// Space has run out.
    Full = "full", INSUFFICIENT_STORAGE, "There is no space";
    /// A flaw of the server, or of its machine: its log says more.
    Internal = "internal", INTERNAL_SERVER_ERROR, "The server failed";
}

impl Problem {
    /// A problem of this kind.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after: None }
    }

    /// The same, and when to try again.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Its kind.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// It as JSON, where it is no answer of its own.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(&self.body()).unwrap_or_default()
    }

    fn body(&self) -> ProblemBody {
        let code = self.code;
        ProblemBody {
            r#type: format!("urn:odograph:problem:{}", code.text()),
            title: code.title(),
            status: code.status().as_u16(),
            code: code.text(),
            detail: self.detail.clone(),
        }
    }

    /// What a field of the request has that it must not.
    pub(crate) fn invalid(field: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(Code::Invalid, format!("{field}: {reason}"))
    }

    /// What nobody who asks can do anything about: they read that much, the log has the rest.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!("a request failed: {}", in_full(error));
        Self::new(Code::Internal, "the server's log says more")
    }

    /// The catalog's database is away: that is no flaw, and whoever asks comes again.
    fn without_catalog(error: &Error) -> Self {
        tracing::warn!("a request finds no catalog: {}", in_full(error));
        let what = "the catalog of users and devices cannot be reached just now: try again in some seconds";
        Self::new(Code::Unavailable, what).retry_after(CATALOG_AGAIN)
    }
}

/// An error with all of its causes.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// When to ask again for what a catalog says that is away.
pub(crate) const CATALOG_AGAIN: Duration = Duration::from_secs(5);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], self.to_json()).into_response();
        if let Some(after) = self.retry_after {
            let seconds = HeaderValue::from(after.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::NotFound { .. } => Code::NotFound,
            Error::Conflict { .. } => Code::Conflict,
            Error::Invalid { .. } => Code::Invalid,
            Error::Forbidden { .. } => Code::Forbidden,
            Error::Quota { .. } => Code::Quota,
            Error::Full { source } => {
                tracing::warn!(%source, "{error}");
                Code::Full
            }
            Error::TooMany { retry_after }
            | Error::TooOften { retry_after }
            | Error::ChangesTooOften { retry_after } => {
                return Self::new(Code::TooMany, error.to_string()).retry_after(*retry_after);
            }
            Error::Busy => return Self::new(Code::TooMany, error.to_string()).retry_after(Duration::from_secs(1)),
            _ if error.may_pass() => return Self::without_catalog(&error),
            _ => return Self::internal(&error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        let code = match error {
            LoginError::Catalog(error) => return error.into(),
            LoginError::Wrong | LoginError::CodeWrong => Code::WrongLogin,
            LoginError::CodeNeeded => Code::CodeNeeded,
            LoginError::Disabled => Code::Forbidden,
            LoginError::TooMany { retry_after } => {
                return Self::new(Code::TooMany, error.to_string()).retry_after(retry_after);
            }
            _ => return Self::internal(&error),
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_catalog_that_is_away_is_no_flaw_and_whoever_asks_comes_again() {
        let nowhere = "postgres://nobody@localhost/none?host=/nowhere/at/all";
        let error = odograph_catalog::is_vacant(nowhere).await.expect_err("nobody answers there");
        let problem = Problem::from(error);
        assert!(!problem.to_json().contains("nowhere"), "{}", problem.to_json());
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    }

    #[test]
    fn what_nobody_who_asks_can_mend_is_a_flaw() {
        let error = Error::Damaged { column: "tags", reason: "is no JSON".to_owned() };
        assert_eq!(Problem::from(error).code(), Code::Internal);
    }
}
