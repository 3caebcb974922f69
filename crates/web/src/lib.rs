//! The interface: what `npm run build` makes in `web/`, built into the binary, so that it needs no files beside it and no other
//! server. A binary for development reads the files from the disk instead, as they are when they are asked for.

use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Built;

/// A file of the interface.
#[derive(Debug, Clone)]
pub struct File {
    /// What is in it.
    pub bytes: Cow<'static, [u8]>,
    /// A hash of that.
    pub hash: [u8; 32],
    /// Its type, as browsers know it.
    pub media_type: &'static str,
    /// How its bytes are compressed, if they are.
    pub encoding: Option<&'static str>,
}

/// How a file's bytes may be compressed, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Brotli.
    pub brotli: bool,
    /// Gzip.
    pub gzip: bool,
}

/// The file of this name, such as `assets/index.js`, in the smallest form that is accepted.
pub fn file(name: &str, accepted: Accepted) -> Option<File> {
    let forms = [(accepted.brotli, ".br", Some("br")), (accepted.gzip, ".gz", Some("gzip")), (true, "", None)];
    forms.into_iter().filter(|(wanted, ..)| *wanted).find_map(|(_, ending, encoding)| {
        let found = Built::get(&format!("{name}{ending}"))?;
        Some(File { bytes: found.data, hash: found.metadata.sha256_hash(), media_type: media_type(name), encoding })
    })
}

/// Whether there are any pages: they are built before the binary is, and need not be.
pub fn is_built() -> bool {
    file(INDEX, Accepted::default()).is_some()
}

/// The page from which all begins.
pub const INDEX: &str = "index.html";

fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let known = MEDIA_TYPES.iter().find(|(known, _)| *known == ending);
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

const MEDIA_TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("geojson", "application/geo+json"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("pbf", "application/x-protobuf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("webmanifest", "application/manifest+json"),
    ("woff2", "font/woff2"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_the_endings() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("assets/a.b.js", "text/javascript; charset=utf-8"),
            ("assets/inter.woff2", "font/woff2"),
            ("tiles", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name), expected, "{name}");
        }
    }

    #[test]
    fn nothing_outside_the_folder_is_a_file_of_it() {
        for name in ["../package.json", "/etc/passwd", "assets/../../package.json", ""] {
            assert!(file(name, Accepted::default()).is_none(), "{name}");
        }
    }
}
