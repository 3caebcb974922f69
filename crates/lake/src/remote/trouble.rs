//! Whose fault is it that a request failed: the line's, or what was configured?

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

/// Why a store does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Whether a person has to do something.
    pub kind: TroubleKind,
    /// The store.
    pub store: String,
    /// What that means, and what to do.
    pub what: &'static str,
    /// What it said, in its own words.
    pub why: String,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// The line's, or the provider's: it goes on by itself.
    Unreachable,
    /// The configuration's, here or there: a person has to mend it.
    Refused,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let does = match self.kind {
            TroubleKind::Unreachable => "cannot be reached",
            TroubleKind::Refused => "refuses",
        };
        write!(f, "the object store {} {does}: {} ({})", self.store, self.what, self.why)
    }
}

impl std::error::Error for Trouble {}

/// What is the store's trouble; `None` for what is an answer.
pub(crate) fn of(store: &str, error: &Error) -> Option<Trouble> {
    let why = text(error);
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let refused = |what| Some((TroubleKind::Refused, what));
    let told = match error {
        Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => None,
        Error::NotFound { .. } if says(NO_BUCKET) => refused(MAKE_BUCKET),
        Error::NotFound { .. } => None,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => refused(CREDENTIALS),
        _ if says(NO_BUCKET) => refused(MAKE_BUCKET),
        // Of a listing.
        _ if says(&["status code: 401", "status code: 403"]) => refused(CREDENTIALS),
        _ if says(WRONG_REGION) => refused(REGION),
        _ if says(METADATA_SERVICES) => refused(NO_CREDENTIALS),
        _ if is_of_the_line(error) => Some((TroubleKind::Unreachable, AGAIN)),
        _ if says(&["status code: 4"]) && !says(&["status code: 408", "status code: 429"]) => refused(OTHERWISE),
        _ => Some((TroubleKind::Unreachable, AGAIN)),
    };
    let (kind, what) = told?;
    Some(Trouble { kind, store: store.to_owned(), what, why: short(&why) })
}

/// Whether the store decided that it will not, so that nothing can have happened.
pub(crate) const fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotFound { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
    )
}

fn is_of_the_line(error: &Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return !matches!(http.kind(), HttpErrorKind::Decode);
        }
        source = error.source();
    }
    false
}

/// With its sources, as far as they are not in its own text.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

/// On one line, and not more than a line of a log bears.
fn short(text: &str) -> String {
    let mut short: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = short.char_indices().nth(WHY_CHARACTERS_MAX) {
        short.truncate(at);
        short.push('…');
    }
    short
}

const NO_BUCKET: &[&str] = &["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"];
const WRONG_REGION: &[&str] =
    &["AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraint", "redirect without LOCATION"];
/// Asked for credentials where nobody gave any: they answer only on the provider's own machines.
const METADATA_SERVICES: &[&str] = &["169.254.169.254", "169.254.170.2", "metadata.google.internal"];

const AGAIN: &str = "it is tried again by itself";
const MAKE_BUCKET: &str = "the bucket or container is not there: make it, or correct lake.store";
const CREDENTIALS: &str =
    "correct the credentials in lake.store_options, or let them read, write, list and delete below lake.store";
const NO_CREDENTIALS: &str = "no credentials were given, and this machine has none of its own: set them in \
                              lake.store_options, or as the provider's environment variables";
const REGION: &str = "set lake.store_options.region to the region of the bucket";
const OTHERWISE: &str = "correct lake.store or lake.store_options";
/// Providers answer with whole pages.
const WHY_CHARACTERS_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &'static str) -> Error {
        Error::Generic { store: "S3", source: text.into() }
    }

    fn kind(error: &Error) -> Option<TroubleKind> {
        of("s3://b", error).map(|trouble| trouble.kind)
    }

    #[test]
    fn what_a_person_must_mend_is_told_from_what_passes() {
        use TroubleKind::{Refused, Unreachable};
        let not_found = |text: &'static str| Error::NotFound { path: "x".to_owned(), source: text.into() };
        assert_eq!(kind(&not_found("status code: 404: <Code>NoSuchKey</Code>")), None);
        assert_eq!(kind(&not_found("status code: 404: <Code>NoSuchBucket</Code>")), Some(Refused));
        assert_eq!(kind(&Error::PermissionDenied { path: "x".to_owned(), source: "403".into() }), Some(Refused));
        assert_eq!(kind(&Error::AlreadyExists { path: "x".to_owned(), source: "412".into() }), None);
        assert_eq!(kind(&error("Server returned non-2xx status code: 503: SlowDown")), Some(Unreachable));
        assert_eq!(kind(&error("Server returned non-2xx status code: 429")), Some(Unreachable));
        assert_eq!(kind(&error("Server returned non-2xx status code: 400: InvalidArgument")), Some(Refused));
        let listing = of("az://c", &error("Server returned non-2xx status code: 403 Forbidden: AuthorizationFailure"));
        assert_eq!(listing.map(|trouble| trouble.what), Some(CREDENTIALS));
        assert_eq!(kind(&error("http://169.254.169.254/latest/api/token: connect")), Some(Refused));
        let trouble = of("s3://b", &error("status code: 400 <Code>AuthorizationHeaderMalformed</Code>\n  x")).unwrap();
        assert_eq!(
            trouble.to_string(),
            "the object store s3://b refuses: set lake.store_options.region to the region of the bucket (Generic S3 error: \
             status code: 400 <Code>AuthorizationHeaderMalformed</Code> x)"
        );
    }

    #[test]
    fn a_page_of_an_answer_is_cut() {
        let page: &'static str = Box::leak("ä".repeat(10_000).into_boxed_str());
        assert_eq!(of("s3://b", &error(page)).unwrap().why.chars().count(), WHY_CHARACTERS_MAX + 1);
    }
}
