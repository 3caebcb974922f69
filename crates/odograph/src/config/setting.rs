//! What a key of the configuration can hold, and how it is read from text and shown again.

use compact_str::CompactString;
use ipnet::{IpNet, Ipv4Net};
use odograph_ingest::{Other, Unknown};
use odograph_protocols::detect::{AUTO, listened, name_of_listened};
use odograph_protocols::{Checksum, PROTOCOLS, Protocol, Transport};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A value as it was given: one text, or several.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Text(String),
    List(Vec<String>),
}

/// A place in the configuration that takes a value.
pub(crate) trait Setting {
    /// Takes a value; the error completes the sentence "VALUE is …".
    fn set(&mut self, given: &Given) -> Result<(), String>;

    /// The value as it would be given; null where nothing is set.
    fn show(&self) -> Value;

    /// Whether a value that was given is not to be shown as it is.
    fn is_secret(&self) -> bool {
        false
    }

    /// The value as an amount, where it is one: bytes, milliseconds, a count.
    fn amount(&self) -> Option<u64> {
        None
    }

    /// Another amount, as it would be given.
    fn show_amount(&self, amount: u64) -> String {
        amount.to_string()
    }
}

/// A value that is written as one text.
trait Word: Sized {
    const EXPECTED: &'static str;
    /// Whether there may be something in it that nobody else should see, also where it is refused.
    const IS_SECRET: bool = false;

    fn read(text: &str) -> Option<Self>;

    fn write(&self) -> Value;

    fn amount(&self) -> Option<u64> {
        None
    }

    fn show_amount(amount: u64) -> String {
        amount.to_string()
    }

    /// What a refused text is.
    fn refuse(_text: &str) -> String {
        format!("not {}", Self::EXPECTED)
    }
}

impl<T: Word> Setting for T {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        match given {
            Given::Text(text) => *self = T::read(text.trim()).ok_or_else(|| T::refuse(text.trim()))?,
            Given::List(_) => return Err(format!("a list, not {}", T::EXPECTED)),
        }
        Ok(())
    }

    fn show(&self) -> Value {
        self.write()
    }

    fn is_secret(&self) -> bool {
        T::IS_SECRET
    }

    fn amount(&self) -> Option<u64> {
        Word::amount(self)
    }

    fn show_amount(&self, amount: u64) -> String {
        T::show_amount(amount)
    }
}

impl<T: Word> Setting for Option<T> {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        match given {
            Given::Text(text) if text.trim().is_empty() => *self = None,
            Given::Text(text) => *self = Some(T::read(text.trim()).ok_or_else(|| T::refuse(text.trim()))?),
            Given::List(_) => return Err(format!("a list, not {}", T::EXPECTED)),
        }
        Ok(())
    }

    fn show(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::write)
    }

    fn is_secret(&self) -> bool {
        T::IS_SECRET
    }

    fn amount(&self) -> Option<u64> {
        self.as_ref().and_then(Word::amount)
    }

    fn show_amount(&self, amount: u64) -> String {
        T::show_amount(amount)
    }
}

impl Setting for Vec<CompactString> {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        let all: Vec<CompactString> = match given {
            Given::Text(text) => text.split(',').map(|id| id.trim().into()).collect(),
            Given::List(list) => list.iter().map(|id| id.trim().into()).collect(),
        };
        match !all.iter().all(|id| is_name(id)) {
            true => Err(format!("not a list of ids of 1 to {NAME_BYTES_MAX} bytes, without control characters")),
            false => {
                *self = all;
                Ok(())
            }
        }
    }

    fn show(&self) -> Value {
        json!(self)
    }
}

impl Setting for Vec<WebAddress> {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        let all: Vec<&str> = match given {
            Given::Text(text) => text.split(',').map(str::trim).filter(|address| !address.is_empty()).collect(),
            Given::List(list) => list.iter().map(|address| address.trim()).collect(),
        };
        if let Some(wrong) = all.iter().find(|text| WebAddress::read(text).is_none()) {
            return Err(format!("not a list of hosts such as https://fonts.example.org: {wrong:?} is none"));
        }
        *self = all.into_iter().filter_map(WebAddress::read).collect();
        Ok(())
    }

    fn show(&self) -> Value {
        json!(self.iter().map(WebAddress::origin).collect::<Vec<_>>())
    }
}

impl Setting for Vec<PageOrigin> {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        let all: Vec<&str> = match given {
            Given::Text(text) => text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).collect(),
            Given::List(list) => list.iter().map(|origin| origin.trim()).collect(),
        };
        let read: Result<Self, String> = all.into_iter().map(PageOrigin::read).collect();
        *self = read.map_err(|wrong| format!("not a list of sites such as https://dashboard.example: {wrong}"))?;
        Ok(())
    }

    fn show(&self) -> Value {
        json!(self.iter().map(PageOrigin::as_str).collect::<Vec<_>>())
    }
}

impl Setting for Vec<IpNet> {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        let all: Vec<&str> = match given {
            Given::Text(text) => text.split(',').map(str::trim).filter(|net| !net.is_empty()).collect(),
            Given::List(list) => list.iter().map(|net| net.trim()).collect(),
        };
        // An address alone is the network of which it is the only one.
        let read = |text: &&str| text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        match all.iter().find(|text| read(text).is_none()) {
            Some(wrong) => {
                Err(format!("not a list of networks such as 10.0.0.0/8 or 2001:db8::/32: {wrong:?} is none"))
            }
            None => {
                *self = all.iter().filter_map(read).map(|net| canonical(net.trunc())).collect();
                Ok(())
            }
        }
    }

    fn show(&self) -> Value {
        json!(self.iter().map(ToString::to_string).collect::<Vec<_>>())
    }
}

/// A network of mapped addresses is one of IPv4: that is how addresses are compared.
fn canonical(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => {
            let v4 = v6.network().to_ipv4_mapped().and_then(|v4| Ipv4Net::new(v4, v6.prefix_len() - 96).ok());
            v4.map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// The journal's length fields for names have 8 bits.
const NAME_BYTES_MAX: usize = 255;

/// An amount of memory or disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    /// An amount as people write it.
    pub(super) fn shown(bytes: u64) -> String {
        <Self as Word>::show_amount(bytes)
    }
}

/// An id or a name that devices and tenants have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Name(pub(crate) CompactString);

/// An address on the web that pages may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebAddress(url::Url);

impl WebAddress {
    /// All of it.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Scheme, host and port, as a page's policy names them.
    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

/// A geocoder's address, with the place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GeocoderUrl(pub(crate) odograph_geocoder::Template);

/// A way to a part of a JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonPointer(pub(crate) String);

/// Where a page is from, as browsers write it: scheme, host, and the port where it is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageOrigin(String);

impl PageOrigin {
    /// As browsers write it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What is written otherwise is compared with nothing that a browser says, so it is an error that names what was probably meant.
    fn read(text: &str) -> Result<Self, String> {
        if text.contains('*') {
            return Err(format!("{text:?} is none: each is named by itself"));
        }
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let meant = WebAddress::read(&whole).map(|address| address.origin()).filter(|_| text != "null");
        match meant {
            Some(meant) if meant == text => Ok(Self(meant)),
            Some(meant) => Err(format!("{text:?} is none: did you mean {meant}?")),
            None => Err(format!("{text:?} is none")),
        }
    }
}

/// Where a lake is that is in no folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreUrl(pub(crate) String);

/// Where backups are: a folder or an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackupPlace(pub(crate) String);

/// Where a catalog is that is no file of the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CatalogUrl(pub(crate) String);

/// Which of a protocol's transports a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Transports {
    Tcp,
    Udp,
    /// Over TCP: for protocols that come in requests.
    Http,
    /// Those that the protocol has.
    #[default]
    Both,
}

impl Transports {
    /// Whether a transport is among them.
    pub(crate) fn has(self, transport: Transport) -> bool {
        match self {
            Self::Tcp | Self::Http => transport == Transport::Tcp,
            Self::Udp => transport == Transport::Udp,
            Self::Both => true,
        }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LogFormat {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    Json,
    Text,
}

/// What is logged: a level, or `tracing`'s directives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLevel(pub(crate) String);

impl Word for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn read(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }

    fn write(&self) -> Value {
        json!(self.display().to_string())
    }
}

impl Word for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

macro_rules! numbers {
    ($($number:ty: $expected:literal,)*) => {$(
        impl Word for $number {
            const EXPECTED: &'static str = $expected;

            fn read(text: &str) -> Option<Self> {
                text.replace('_', "").parse().ok()
            }

            fn write(&self) -> Value {
                json!(self)
            }

            fn amount(&self) -> Option<u64> {
                u64::try_from(*self).ok()
            }
        }
    )*};
}

numbers! { u16: "a whole number from 0 to 65535", usize: "a whole number, 0 or more", }

impl Word for IpAddr {
    const EXPECTED: &'static str = "an IP address such as [::] or 0.0.0.0";

    fn read(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse().ok()
    }

    fn write(&self) -> Value {
        match self {
            Self::V4(address) => json!(address.to_string()),
            Self::V6(address) => json!(format!("[{address}]")),
        }
    }
}

impl Word for SocketAddr {
    const EXPECTED: &'static str = "an address such as 127.0.0.1:5027, [::]:5027 or 5027";

    fn read(text: &str) -> Option<Self> {
        // A port alone is that port on all addresses of both families.
        let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
        let all = |port| Self::new(Ipv6Addr::UNSPECIFIED.into(), port);
        port.ok().map(all).or_else(|| text.parse().ok())
    }

    fn write(&self) -> Value {
        json!(self.to_string())
    }
}

impl Word for Name {
    const EXPECTED: &'static str = "a name of 1 to 255 bytes, without control characters";

    fn read(text: &str) -> Option<Self> {
        is_name(text).then(|| Self(text.into()))
    }

    fn write(&self) -> Value {
        json!(self.0)
    }
}

impl Word for &'static Protocol {
    const EXPECTED: &'static str = "a protocol: `odograph protocols` lists them";

    fn read(text: &str) -> Option<Self> {
        listened(text)
    }

    fn write(&self) -> Value {
        json!(name_of_listened(self))
    }

    fn refuse(text: &str) -> String {
        let nearest = super::nearest(text, PROTOCOLS.iter().map(|protocol| protocol.name).chain([AUTO]));
        match nearest {
            Some(name) => format!("not a protocol: did you mean {name}?"),
            None => format!("not {}", Self::EXPECTED),
        }
    }
}

impl Word for Size {
    const EXPECTED: &'static str = "a size such as 256 MiB";

    fn read(text: &str) -> Option<Self> {
        let at = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(at)?;
        let number: u64 = number.replace('_', "").parse().ok()?;
        let factor = SIZES.iter().find(|(name, _)| *name == unit.trim())?.1;
        number.checked_mul(factor).map(Self)
    }

    fn write(&self) -> Value {
        let binary = SIZES.iter().filter(|(name, _)| name.ends_with("iB"));
        let fit = binary.rev().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor));
        json!(fit.map_or(format!("{} B", self.0), |(name, factor)| format!("{} {name}", self.0 / factor)))
    }

    fn amount(&self) -> Option<u64> {
        Some(self.0)
    }

    fn show_amount(amount: u64) -> String {
        Self(amount).write().as_str().unwrap_or_default().to_owned()
    }
}

impl Word for WebAddress {
    const EXPECTED: &'static str = "an address such as https://tiles.example.org/style.json";

    fn read(text: &str) -> Option<Self> {
        let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        // It goes into a header whose parts are separated by blanks and semicolons; whoever sees the page sees it.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '*' | ':' | '[' | ']');
        let is_host = url.host_str().is_some_and(|host| !host.is_empty() && host.chars().all(is_plain));
        (is_host && url.username().is_empty() && url.password().is_none()).then_some(Self(url))
    }

    fn write(&self) -> Value {
        json!(self.0.as_str())
    }
}

impl Word for GeocoderUrl {
    const EXPECTED: &'static str =
        "an address such as https://geocoder.example.org/reverse?lat={latitude}&lon={longitude}";
    const IS_SECRET: bool = true;

    fn read(text: &str) -> Option<Self> {
        odograph_geocoder::Template::parse(text).ok().map(Self)
    }

    fn write(&self) -> Value {
        json!(self.0.shown())
    }

    fn refuse(text: &str) -> String {
        odograph_geocoder::Template::parse(text).err().unwrap_or(Self::EXPECTED).to_owned()
    }
}

impl Word for JsonPointer {
    const EXPECTED: &'static str = "a JSON pointer such as /results/0/formatted";

    fn read(text: &str) -> Option<Self> {
        (text.starts_with('/') && !text.chars().any(char::is_control)).then(|| Self(text.to_owned()))
    }

    fn write(&self) -> Value {
        json!(self.0)
    }
}

impl Word for StoreUrl {
    const EXPECTED: &'static str = "the address of an object store";

    fn read(text: &str) -> Option<Self> {
        // What is wrong with it in detail, the check of the whole says.
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    fn write(&self) -> Value {
        json!(self.0)
    }
}

impl Word for BackupPlace {
    const EXPECTED: &'static str = "a folder or the address of an object store";

    fn read(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    fn write(&self) -> Value {
        json!(self.0)
    }
}

impl Word for CatalogUrl {
    const EXPECTED: &'static str = "`postgres://USER@HOST/DATABASE` or `sqlite:PATH`";

    fn read(text: &str) -> Option<Self> {
        let known = ["postgres://", "postgresql://", "sqlite:"];
        known.iter().any(|scheme| text.starts_with(scheme)).then(|| Self(text.to_owned()))
    }

    fn write(&self) -> Value {
        // Its password is shown to nobody.
        let Ok(mut url) = url::Url::parse(&self.0) else { return json!(self.0) };
        if url.password().is_some() {
            // An address with a password has a host, so it can be taken out.
            let _ = url.set_password(Some("hidden"));
        }
        json!(url.as_str())
    }
}

const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl Word for Duration {
    const EXPECTED: &'static str = "a duration such as 90 s, 10 min or 1 h";

    fn read(text: &str) -> Option<Self> {
        let at = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(at)?;
        let factor = SPANS_MS.iter().find(|(name, _)| *name == unit.trim())?.1;
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self::from_millis)
    }

    fn write(&self) -> Value {
        let millis = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        let fit = SPANS_MS.iter().rev().find(|(_, factor)| millis != 0 && millis.is_multiple_of(*factor));
        json!(fit.map_or(format!("{millis} ms"), |(name, factor)| format!("{} {name}", millis / factor)))
    }

    fn amount(&self) -> Option<u64> {
        Some(u64::try_from(self.as_millis()).unwrap_or(u64::MAX))
    }

    fn show_amount(amount: u64) -> String {
        Self::from_millis(amount).write().as_str().unwrap_or_default().to_owned()
    }
}

const SPANS_MS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

macro_rules! words {
    ($($kind:ty: $expected:literal { $($word:literal => $value:path,)* })*) => {$(
        impl Word for $kind {
            const EXPECTED: &'static str = $expected;

            fn read(text: &str) -> Option<Self> {
                match text {
                    $($word => Some($value),)*
                    _ => None,
                }
            }

            fn write(&self) -> Value {
                match self {
                    $($value => json!($word),)*
                }
            }
        }
    )*};
}

words! {
    Transports: "tcp, udp, http or both" {
        "tcp" => Self::Tcp, "udp" => Self::Udp, "http" => Self::Http, "both" => Self::Both,
    }
    Unknown: "register, quarantine or reject" {
        "register" => Self::Register, "quarantine" => Self::Quarantine, "reject" => Self::Reject,
    }
    Other: "admit, ignore or refuse" { "admit" => Self::Admit, "ignore" => Self::Ignore, "refuse" => Self::Refuse, }
    Checksum: "enforce or note" { "enforce" => Self::Enforce, "note" => Self::Note, }
    LogFormat: "auto, json or text" { "auto" => Self::Auto, "json" => Self::Json, "text" => Self::Text, }
}

impl Word for LogLevel {
    const EXPECTED: &'static str =
        "a level (error, warn, info, debug, trace) or a list such as info,odograph_ingest=debug";

    fn read(text: &str) -> Option<Self> {
        // Both notations are read more kindly than anyone means them: a level that is misspelled is a module of that name.
        let directive = |part: &str| match part.split_once('=') {
            Some((module, level)) => is_module(module.trim()) && is_level(level.trim()),
            None => is_level(part.trim()),
        };
        let targets: Result<tracing_subscriber::filter::Targets, _> = text.parse();
        (text.split(',').all(directive) && targets.is_ok()).then(|| Self(text.to_owned()))
    }

    fn write(&self) -> Value {
        json!(self.0)
    }
}

fn is_level(text: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"].iter().any(|level| level.eq_ignore_ascii_case(text))
}

fn is_module(text: &str) -> bool {
    let part = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    text.split("::").all(part) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_level_or_one_of_a_module() {
        for right in ["info", "OFF", "info,odograph_ingest=debug", "warn, odograph_lake::table=trace"] {
            check::<LogLevel>(right, Some(right));
        }
        for wrong in ["", "inof", "info,", "odograph_ingest", "info,odograph_ingest=loud", "=debug", "3", "info;debug"]
        {
            check::<LogLevel>(wrong, None);
        }
    }

    fn check<T: Word>(text: &str, shown: Option<&str>) {
        let expected = shown.map(|shown| json!(shown));
        assert_eq!(T::read(text).map(|value| value.write()), expected, "{text}");
    }

    #[test]
    fn sizes_and_durations_are_read_and_shown_as_people_write_them() {
        check::<Size>("256 MiB", Some("256 MiB"));
        check::<Size>("1GiB", Some("1 GiB"));
        check::<Size>("2 GB", Some("1953125 KiB"));
        check::<Size>("1_000", Some("1000 B"));
        check::<Size>("0", Some("0 B"));
        for wrong in ["", "MiB", "1 mib", "-1", "1.5 GiB", "99999999999999999999", "99999999 TiB"] {
            check::<Size>(wrong, None);
        }
        check::<Duration>("90 s", Some("90 s"));
        check::<Duration>("3600s", Some("1 h"));
        check::<Duration>("0 s", Some("0 ms"));
        for wrong in ["", "5", "s", "1 hour", "-1 s"] {
            check::<Duration>(wrong, None);
        }
    }

    #[test]
    fn networks_are_read_and_shown_alike() {
        let read = |given: Given| {
            let mut nets = Vec::<IpNet>::new();
            nets.set(&given).map(|()| nets.show().to_string())
        };
        let text = |text: &str| read(Given::Text(text.to_owned()));
        let all = r#"["10.0.0.0/8","192.0.2.7/32","2001:db8::/32","::1/128","198.51.100.0/24"]"#;
        assert_eq!(text("10.1.2.3/8, 192.0.2.7,2001:db8::/32,::1,::ffff:198.51.100.9/120"), Ok(all.to_owned()));
        assert_eq!(read(Given::List(vec!["10.0.0.0/8".to_owned()])), Ok(r#"["10.0.0.0/8"]"#.to_owned()));
        assert_eq!(text(""), Ok("[]".to_owned()));
        for wrong in ["10.0.0.0/33", "10.0.0", "somewhere", "10.0.0.0/8 11.0.0.0/8"] {
            let expected = format!("not a list of networks such as 10.0.0.0/8 or 2001:db8::/32: {wrong:?} is none");
            assert_eq!(text(wrong), Err(expected));
        }
    }

    #[test]
    fn addresses_are_whole_or_a_port() {
        check::<SocketAddr>("127.0.0.1:0", Some("127.0.0.1:0"));
        check::<SocketAddr>("5027", Some("[::]:5027"));
        check::<SocketAddr>(":5027", Some("[::]:5027"));
        for wrong in ["", "localhost:5027", "70000", "127.0.0.1"] {
            check::<SocketAddr>(wrong, None);
        }
        check::<IpAddr>("[::]", Some("[::]"));
        check::<IpAddr>("0.0.0.0", Some("0.0.0.0"));
    }
}
