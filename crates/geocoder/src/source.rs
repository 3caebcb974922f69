//! The geocoder itself, asked by HTTP.

use crate::answer;
use crate::desk::Question;
use crate::{Address, Config, Template};
use reqwest::header::{ACCEPT, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use std::io;
use std::time::Duration;

/// Bytes of an answer: a place has some hundred.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A question that got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Completes the sentence "The geocoder …", without its address.
    pub(crate) why: String,
    /// How long it wants to be left alone, where it says so.
    pub(crate) left_alone: Option<Duration>,
}

/// The geocoder.
pub(crate) struct Source {
    client: Client,
    url: Template,
    pointer: Option<String>,
    credit: Option<String>,
}

impl Source {
    pub(crate) fn new(config: &Config) -> io::Result<Self> {
        let Config { url, pointer, credit, timeout, .. } = config;
        let client = Client::builder()
            // Public geocoders refuse whoever does not say what they are.
            .user_agent(concat!("odograph/", env!("CARGO_PKG_VERSION")))
            .timeout(*timeout)
            // The one that is configured is asked, and nobody whom it names.
            .redirect(Policy::none())
            .pool_max_idle_per_host(1)
            .build()
            .map_err(|error| io::Error::other(error.without_url()))?;
        Ok(Self { client, url: url.clone(), pointer: pointer.clone(), credit: credit.clone() })
    }

    /// Asks about a place.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Address, Failed> {
        let url = self.url.filled(question.latitude(), question.longitude());
        let url = url.ok_or_else(|| failed("has no address for this place"))?;
        let mut response = self.client.get(url).header(ACCEPT, "application/json").send().await.map_err(broken)?;
        let (status, left_alone) = (response.status(), left_alone(&response));
        let refused = || Failed { why: format!("answers with {status}"), left_alone };
        if status == StatusCode::OK {
            let found = answer::read(&whole(&mut response).await?, self.pointer.as_deref()).map_err(failed)?;
            return Ok(self.address(found.text, found.licence));
        }
        if !is_about_the_place(status) {
            return Err(refused());
        }
        // Some say by the status what Nominatim says in words: that there is no address. Others are asked all the same.
        let body = whole(&mut response).await?;
        let said = serde_json::from_slice::<serde_json::Value>(&body);
        said.map(|_| self.address(String::new(), None)).map_err(|_| refused())
    }

    fn address(&self, text: String, licence: Option<String>) -> Address {
        let source = self.credit.clone().or(licence).unwrap_or_else(|| self.url.host());
        Address { text, source }
    }
}

/// Whether a refusal, if a geocoder says it in its own words, may be for this place alone.
fn is_about_the_place(status: StatusCode) -> bool {
    let about_us =
        [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    status.is_client_error() && !about_us.contains(&status)
}

/// All of a body, unless it is too long.
async fn whole(response: &mut Response) -> Result<Vec<u8>, Failed> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        if body.len() + piece.len() > BODY_BYTES_MAX {
            return Err(failed("answers with more than an address"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Of `Retry-After`, seconds are understood: geocoders send no others.
fn left_alone(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn failed(why: &str) -> Failed {
    Failed { why: why.to_owned(), left_alone: None }
}

/// What happened, without the address, in which there may be a key.
fn broken(error: reqwest::Error) -> Failed {
    let error = error.without_url();
    if error.is_timeout() {
        return failed("does not answer in time");
    }
    let (mut why, mut source) = (error.to_string(), std::error::Error::source(&error));
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    failed(&format!("cannot be asked: {why}"))
}
