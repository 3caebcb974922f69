//! A geocoder's address with the place in it, and what of it may be shown.

use std::fmt;

/// An address such as `https://geocoder.example.org/reverse?lat={latitude}&lon={longitude}&key=…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(String);

const LATITUDE: &str = "{latitude}";
const LONGITUDE: &str = "{longitude}";
const HIDDEN: &str = "hidden";

impl Template {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// When it is none: the text completes the sentence "It is …", and has nothing of the address in it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let template = Self(text.to_owned());
        if !text.contains(LATITUDE) || !text.contains(LONGITUDE) {
            return Err("without {latitude} or {longitude}, which stand for the place");
        }
        let url = template
            .filled(1.5, -1.5)
            .ok_or("no address such as https://geocoder.example.org/reverse?lat={latitude}&lon={longitude}")?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err("no address that begins with https:// or http:// and a host");
        }
        // The host is a part of what is shown and logged, so it may not depend on the place.
        if template.filled(2.5, -2.5).is_none_or(|other| other.host_str() != url.host_str()) {
            return Err("one whose host depends on the place");
        }
        Ok(template)
    }

    /// The address for a place; nothing, if it is none.
    pub(crate) fn filled(&self, latitude: f64, longitude: f64) -> Option<url::Url> {
        let text = self.0.replace(LATITUDE, &latitude.to_string()).replace(LONGITUDE, &longitude.to_string());
        url::Url::parse(&text).ok()
    }

    /// Who is asked.
    pub fn host(&self) -> String {
        let url = self.filled(0.0, 0.0);
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    /// The address without what may be a secret: who asks, and all of the query but the place.
    pub fn shown(&self) -> String {
        let text = self.0.split('#').next().unwrap_or_default();
        let (base, query) = text.split_once('?').map_or((text, None), |(base, query)| (base, Some(query)));
        let base =
            match base.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('/').unwrap_or((rest, "")))) {
                Some((scheme, (authority, path))) => match authority.rsplit_once('@') {
                    Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}/{path}"),
                    None => base.to_owned(),
                },
                None => base.to_owned(),
            };
        let part = |part: &str| match part.split_once('=') {
            Some((_, value)) if value.contains(LATITUDE) || value.contains(LONGITUDE) => part.to_owned(),
            Some((name, _)) => format!("{name}={HIDDEN}"),
            None if part.contains(LATITUDE) || part.contains(LONGITUDE) => part.to_owned(),
            None => HIDDEN.to_owned(),
        };
        match query {
            Some(query) => format!("{base}?{}", query.split('&').map(part).collect::<Vec<_>>().join("&")),
            None => base,
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_the_place() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let made = Template::parse(text).map(|made| made.filled(48.1234, -9.5).expect("an address").to_string());
            assert_eq!(made.as_ref().map(String::as_str).map_err(|why| *why), expected, "{text}");
        };
        check(
            "https://a.example/reverse?lat={latitude}&lon={longitude}",
            Ok("https://a.example/reverse?lat=48.1234&lon=-9.5"),
        );
        check("http://[::1]:2322/{longitude},{latitude}.json", Ok("http://[::1]:2322/-9.5,48.1234.json"));
        check(
            "https://a.example/reverse?lat={latitude}",
            Err("without {latitude} or {longitude}, which stand for the place"),
        );
        check("https://{latitude}.a.example/{longitude}", Err("one whose host depends on the place"));
        let scheme = "no address that begins with https:// or http:// and a host";
        check("file:///etc/passwd?{latitude}{longitude}", Err(scheme));
        let none = "no address such as https://geocoder.example.org/reverse?lat={latitude}&lon={longitude}";
        check("a.example/?lat={latitude}&lon={longitude}", Err(none));
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let check = |text: &str, expected: &str| {
            let made = Template::parse(text).expect("an address");
            assert_eq!((made.shown().as_str(), format!("{made:?}").as_str()), (expected, expected));
        };
        check(
            "https://a.example/v1/reverse?lat={latitude}&key=hush&lon={longitude}&hush#hush",
            "https://a.example/v1/reverse?lat={latitude}&key=hidden&lon={longitude}&hidden",
        );
        check(
            "https://me:hush@a.example:8443/r?at={latitude},{longitude}",
            "https://hidden@a.example:8443/r?at={latitude},{longitude}",
        );
        check("http://a.example/{latitude}/{longitude}", "http://a.example/{latitude}/{longitude}");
        assert_eq!(
            Template::parse("http://me:hush@a.example/{latitude}/{longitude}").expect("one").host(),
            "a.example"
        );
    }
}
