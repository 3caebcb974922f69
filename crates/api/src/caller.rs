//! Who asks: by a token or a session, or as the owner of the data folder over the control socket.

use crate::{Api, Code, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use odograph_catalog::{Access, Catalog, Listeners, Tenants, Within};
use std::net::IpAddr;
use std::sync::Arc;

/// Whoever asks, with what they may see and do.
#[derive(Clone)]
pub struct Caller {
    /// What they may.
    pub access: Access,
    catalog: Catalog,
    /// What they showed, where they came by the network.
    secret: Option<Arc<str>>,
}

/// Where a request came from. Put into each by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By the network.
    Network {
        /// From this address: that of the connection, or of whoever a trusted proxy says it hands a request on for.
        address: IpAddr,
        /// Whether they came by TLS, to us or to that proxy.
        secure: bool,
    },
    /// Over the control socket, which only the owner of the data folder can open.
    Control,
}

impl Origin {
    /// The address that bounds and the audit log go by.
    pub(crate) const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Network { address, .. } => Some(address),
            Self::Control => None,
        }
    }
}

impl Caller {
    /// The tenant's things, as far as they are for whoever asks.
    pub(crate) fn within(&self) -> Within<'_> {
        self.catalog.within(&self.access)
    }

    /// The tenants, as far as they are for whoever asks.
    pub(crate) fn tenants(&self) -> Tenants<'_> {
        self.catalog.tenants(&self.access)
    }

    /// The listeners, as far as they are for whoever asks.
    pub(crate) fn listeners(&self) -> Listeners<'_> {
        self.catalog.listeners(&self.access)
    }

    /// Whether they would still be let in, with what they showed: for answers that take days.
    pub(crate) async fn still_holds(&self) -> bool {
        let Some(secret) = &self.secret else { return true };
        match self.catalog.authenticate(secret).await {
            Ok(Some(now)) => {
                now.actor == self.access.actor && now.system == self.access.system && {
                    let elsewhere = now.scope.tenant != self.access.scope.tenant;
                    elsewhere || now.scope == self.access.scope
                }
            }
            Ok(None) => false,
            // A catalog that cannot be reached says nothing about anyone.
            Err(_) => true,
        }
    }

    /// The tenant that is asked about.
    pub(crate) fn tenant(&self) -> &str {
        &self.access.scope.tenant
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let wanted = tenant(parts)?;
        let origin = parts.extensions.get::<Origin>().copied();
        let catalog = api.catalog()?.clone();
        let (access, secret) = match origin {
            Some(Origin::Control) => (Access::owner("default"), None),
            Some(Origin::Network { address, .. }) => authenticate(parts, &catalog, address).await?,
            // A server that does not say where a request came from must not let anyone in.
            None => return Err(unauthenticated()),
        };
        let access = match wanted {
            Some(wanted) => catalog.enter(&access, &wanted).await?,
            None => access,
        };
        Ok(Self { access, catalog, secret })
    }
}

async fn authenticate(parts: &Parts, catalog: &Catalog, peer: IpAddr) -> Result<(Access, Option<Arc<str>>), Problem> {
    let secret = match bearer(&parts.headers) {
        Some(token) => token,
        None => {
            let session = cookie(&parts.headers).ok_or_else(unauthenticated)?;
            // A WebSocket is asked for by GET, and what it answers other sites' pages would read.
            let is_harmless = is_safe(&parts.method) && !parts.headers.contains_key(header::UPGRADE);
            if !(is_harmless || is_of_the_same_site(&parts.headers)) {
                let what =
                    "the request comes from another site: a page can only change or watch what is its own server's";
                return Err(Problem::new(Code::Forbidden, what));
            }
            session
        }
    };
    let access = catalog.authenticate(secret).await?.ok_or_else(unauthenticated)?;
    Ok((access.from_peer(peer), Some(secret.into())))
}

fn unauthenticated() -> Problem {
    Problem::new(
        Code::Unauthenticated,
        "sign in by POST /api/v1/sessions, or send a token: Authorization: Bearer odo_…",
    )
}

/// What programs send.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The session that a browser sends.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|header| header.to_str().ok());
    let mut pairs = cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == COOKIE).then_some(value))
}

/// Whether a request of this kind changes nothing.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the page that sends a request is one of this server's. Browsers say where a page comes from with every request
/// that could change something; what says nothing of it is no browser, and has no foreign page to be tricked by.
fn is_of_the_same_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    origin.zip(host).is_some_and(|((_, origin), host)| origin == host)
}

/// The tenant of the query, for those who may enter others than their own.
fn tenant(parts: &Parts) -> Result<Option<String>, Problem> {
    let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let mut named = pairs.filter(|(name, _)| name == "tenant").map(|(_, value)| value.into_owned());
    let first = named.next();
    if named.next().is_some() {
        return Err(Problem::invalid("tenant", "is given twice"));
    }
    Ok(first.filter(|name| !name.is_empty()))
}

/// The name of the cookie with a browser's session.
pub(crate) const COOKIE: &str = "odograph_session";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_a_bearers() {
        assert_eq!(bearer(&headers(&[("authorization", "Bearer odo_x")])), Some("odo_x"));
        assert_eq!(bearer(&headers(&[("authorization", "bearer odo_x")])), Some("odo_x"));
        assert_eq!(bearer(&headers(&[("authorization", "Basic odo_x")])), None);
        assert_eq!(bearer(&headers(&[("authorization", "Bearer")])), None);
    }

    #[test]
    fn a_session_is_found_among_other_cookies() {
        let found = headers(&[("cookie", "a=b; odograph_session=ods_x; c=d")]);
        assert_eq!(cookie(&found), Some("ods_x"));
        assert_eq!(cookie(&headers(&[("cookie", "a=b"), ("cookie", "odograph_session=y")])), Some("y"));
        assert_eq!(cookie(&headers(&[("cookie", "xodograph_session=y")])), None);
    }

    #[test]
    fn a_foreign_page_changes_nothing() {
        let of = |pairs: &[(&'static str, &'static str)]| is_of_the_same_site(&headers(pairs));
        assert!(of(&[]));
        assert!(of(&[("sec-fetch-site", "same-origin")]));
        assert!(!of(&[("sec-fetch-site", "cross-site")]));
        assert!(!of(&[("sec-fetch-site", "same-site"), ("origin", "http://a"), ("host", "a")]));
        assert!(of(&[("origin", "http://a:8080"), ("host", "a:8080")]));
        assert!(!of(&[("origin", "http://b:8080"), ("host", "a:8080")]));
        assert!(!of(&[("origin", "null"), ("host", "a:8080")]));
    }
}
