//! The interface's pages. Whoever asks for a page that the interface knows by itself, such as `/devices/4711`, gets the one from
//! which it begins; files beside it have their content in their names, and are kept by browsers.

use crate::config::{MapConfig, WebAddress};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use odograph_web::{Accepted, File, INDEX};
use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;

/// What pages are told, and may do, by configuration.
pub(super) struct Site {
    policy: HeaderValue,
    map: String,
}

impl Site {
    pub(super) fn new(config: &MapConfig, has_tiles: bool) -> Arc<Self> {
        let MapConfig { style, style_dark, hosts, tiles: _ } = config;
        let mut origins: Vec<String> = style.iter().chain(style_dark).chain(hosts).map(WebAddress::origin).collect();
        origins.sort();
        origins.dedup();
        let address = |of: &Option<WebAddress>| of.as_ref().map(|of| of.as_str().to_owned());
        let tiles = has_tiles.then_some(TILES);
        let map = json!({"style": address(style), "style_dark": address(style_dark), "hosts": origins, "tiles": tiles});
        // Their hosts were looked at when the configuration was read: there is nothing in them that no header has.
        let policy = HeaderValue::try_from(policy(&origins)).unwrap_or(HeaderValue::from_static(STRICT));
        Arc::new(Self { policy, map: map.to_string() })
    }
}

/// What a page may do where the map comes from these hosts, too.
fn policy(origins: &[String]) -> String {
    let mut policy = STRICT.to_owned();
    for directive in ["img-src 'self' data: blob:", "connect-src 'self'"] {
        policy = policy.replace(
            directive,
            &format!("{directive}{}", origins.iter().fold(String::new(), |all, one| all + " " + one)),
        );
    }
    policy
}

/// Answers whatever is no question to the API.
pub(super) async fn serve(State(site): State<Arc<Site>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response();
    }
    let name = uri.path().trim_start_matches('/');
    if name == MAP {
        return ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], site.map.clone()).into_response();
    }
    let accepted = accepted(&headers);
    let found = match name {
        "" => odograph_web::file(INDEX, accepted).map(|file| (file, false)),
        // What commands ask is for the owner of the folder, over the socket in it: a page in its place would puzzle programs.
        _ if name.starts_with("control/") => return StatusCode::NOT_FOUND.into_response(),
        // What has an ending is a file, and a browser that got a page instead of it would say something strange.
        _ if is_file(name) => odograph_web::file(name, accepted).map(|file| (file, name.starts_with(KEPT))),
        _ => odograph_web::file(INDEX, accepted).map(|file| (file, false)),
    };
    match found {
        Some((file, _)) if is_share(name) => hidden(answer(&site, file, false, &headers)),
        Some((file, kept)) => answer(&site, file, kept, &headers),
        None if odograph_web::is_built() => (StatusCode::NOT_FOUND, "There is no such file.\n").into_response(),
        None => (StatusCode::NOT_FOUND, NOT_BUILT).into_response(),
    }
}

/// Whether the page shows what a link does: as it reads its address, whatever follows the first part.
fn is_share(name: &str) -> bool {
    let mut first = name.split('/').next().unwrap_or_default().bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = first.next() {
        let digits = (byte == b'%').then(|| first.by_ref().take(2).collect::<Vec<_>>());
        let hex = |digits: Vec<u8>| u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok();
        decoded.push(digits.map_or(Some(byte), hex).unwrap_or(b'%'));
    }
    decoded == SHARE.as_bytes()
}

fn is_file(name: &str) -> bool {
    name.starts_with(KEPT) || name.rsplit('/').next().is_some_and(|last| last.contains('.'))
}

fn accepted(headers: &HeaderMap) -> Accepted {
    let all = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut accepted = Accepted::default();
    for one in all.flat_map(|value| value.split(',')) {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let wanted = !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        match name.trim() {
            "br" => accepted.brotli = wanted,
            "gzip" => accepted.gzip = wanted,
            _ => {}
        }
    }
    accepted
}

fn answer(site: &Site, file: File, kept: bool, headers: &HeaderMap) -> Response {
    let tag = tag(&file);
    let known = headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(file.bytes.into_owned()))
    };
    let answer = response.headers_mut();
    for (name, value) in ALWAYS {
        answer.insert(name, HeaderValue::from_static(value));
    }
    answer.insert(CONTENT_SECURITY_POLICY, site.policy.clone());
    let age = if kept { "public, max-age=31536000, immutable" } else { "no-cache" };
    answer.insert(CACHE_CONTROL, HeaderValue::from_static(age));
    answer.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    if let Some(encoding) = file.encoding {
        answer.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        answer.insert(ETAG, tag);
    }
    response
}

/// The page of whoever has a link: no cache keeps it, no other site learns of it, and no search engine has it.
fn hidden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    response
}

fn tag(file: &File) -> String {
    let mut tag = String::from("\"");
    for byte in file.hash.iter().take(16) {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Where links lead. Which one it is stands behind a `#`, which no browser sends.
const SHARE: &str = "share";

/// Files whose names change with their content.
const KEPT: &str = "assets/";

/// Says which map the pages show.
const MAP: &str = "map.json";

/// Where the map's file is, if there is one.
const TILES: &str = "/api/v1/map/tiles";

/// A page runs the scripts that came with it and no others, asks nobody but this server, and is shown in no other page. Maps
/// draw in a worker of their own making, and what draws charts sets styles.
const STRICT: &str = "default-src 'self'; script-src 'self'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'self'";

const ALWAYS: [(axum::http::HeaderName, &str); 3] =
    [(REFERRER_POLICY, "same-origin"), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (VARY, "accept-encoding")];

const NOT_BUILT: &str = "This program was built without the pages of its interface. The API is at /api/v1/openapi.json.\n\
     To have the pages: `npm ci && npm run build` in web/, and build again.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_pages() {
        for (name, expected) in [
            ("devices/4711", false),
            ("assets/index", true),
            ("favicon.svg", true),
            ("a.b/devices", false),
            ("sql", false),
        ] {
            assert_eq!(is_file(name), expected, "{name}");
        }
    }

    #[test]
    fn whatever_the_page_takes_for_a_link_is_one() {
        for (name, expected) in [
            ("share", true),
            ("share/", true),
            ("share/more", true),
            ("%73hare", true),
            ("s%68are/x", true),
            ("shares", false),
            ("devices/share", false),
            ("share%", false),
            ("%", false),
            ("", false),
        ] {
            assert_eq!(is_share(name), expected, "{name}");
        }
    }

    #[test]
    fn the_page_of_a_link_is_kept_nowhere() {
        let file = || File {
            bytes: b"<!doctype html>".as_slice().into(),
            encoding: None,
            media_type: "text/html",
            hash: [7; 32],
        };
        let of =
            |response: &Response, name: &str| response.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
        let site = Site::new(&MapConfig::default(), false);
        let page = answer(&site, file(), false, &HeaderMap::new());
        assert_eq!(of(&page, "content-security-policy").as_deref(), Some(STRICT));
        assert_eq!(of(&page, "referrer-policy").as_deref(), Some("same-origin"));
        let page = hidden(page);
        assert_eq!(of(&page, "cache-control").as_deref(), Some("no-store"));
        assert_eq!(of(&page, "referrer-policy").as_deref(), Some("no-referrer"));
        assert_eq!(of(&page, "x-robots-tag").as_deref(), Some("noindex, nofollow"));
    }

    #[test]
    fn only_hosts_of_the_map_are_asked_besides() {
        let hosts = ["https://fonts.example.org".to_owned(), "https://tiles.example.org:8443".to_owned()];
        let policy = policy(&hosts);
        let told = "https://fonts.example.org https://tiles.example.org:8443";
        assert_eq!(policy.matches(told).count(), 2, "{policy}");
        assert!(policy.contains(&format!("img-src 'self' data: blob: {told};")), "{policy}");
        assert!(policy.contains(&format!("connect-src 'self' {told};")), "{policy}");
        assert_eq!(policy.replace(&format!(" {told}"), ""), STRICT);
    }

    #[test]
    fn browsers_say_how_they_take_it() {
        let check = |value: &'static str, brotli: bool, gzip: bool| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepted(&headers), Accepted { brotli, gzip }, "{value}");
        };
        check("gzip, deflate, br, zstd", true, true);
        check("gzip;q=1.0, br;q=0", false, true);
        check("identity", false, false);
    }
}
