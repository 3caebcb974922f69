//! What a backup consists of: lines of JSON, the first about the whole, then one for each file, the last with the hash of those before.

use std::fmt;

use odograph_model::Time;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Error;

/// The version of the layout.
pub const VERSION: u32 = 1;

/// A whole backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// About the whole.
    pub header: Header,
    /// Its files.
    pub files: Vec<File>,
}

/// What is known of a backup as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the layout.
    pub odograph_backup: u32,
    /// Everything that was acknowledged before is in it.
    #[serde(deserialize_with = "moment")]
    pub time: Time,
    /// When it was complete.
    #[serde(deserialize_with = "moment")]
    pub ended: Time,
    /// By which version of the program it was made.
    pub program: String,
    /// Of what.
    #[serde(flatten)]
    pub source: Source,
    /// Files that were to be there and were not: their rows are missing in the backup too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// How much of it was not at the place before.
    pub sent: crate::Sent,
}

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The number of the node.
    pub node: u16,
    /// Its journal; nothing where it has none yet.
    pub journal: Option<JournalPart>,
    /// History.
    pub lake: LakePart,
    /// Where users, tokens and devices were: `sqlite`, `postgres`, `none`. They are in it as a file of SQLite; what was backed up
    /// before that could be done has none of PostgreSQL's.
    pub catalog: String,
}

/// The journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPart {
    /// The public key of the node, as hex.
    pub key: String,
    /// Everything before this place is in it; nothing where no server ran: then all that there was.
    pub until: Option<u64>,
}

/// History.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LakePart {
    /// Where it was.
    pub place: String,
    /// Its tables, each with its version.
    pub tables: std::collections::BTreeMap<String, u64>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where it is in the data folder.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// When it was written last, in milliseconds since 1970; absent where that says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// Its pieces, by their BLAKE3 hashes: each but the last has [`crate::CHUNK_BYTES`].
    pub chunks: Vec<Chunk>,
}

/// The BLAKE3 hash of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Chunk(pub [u8; 32]);

#[derive(Serialize, Deserialize)]
struct End {
    files: usize,
    bytes: u64,
    blake3: Chunk,
}

impl Manifest {
    /// How many bytes its files have together.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = Vec::new();
        line(&mut text, &self.header);
        self.files.iter().for_each(|file| line(&mut text, file));
        let blake3 = Chunk(*blake3::hash(&text).as_bytes());
        line(&mut text, &End { files: self.files.len(), bytes: self.bytes(), blake3 });
        text
    }

    /// The error completes the sentence "The manifest is …".
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let damaged = |what: &dyn fmt::Display| format!("damaged: {what}");
        let body = bytes.strip_suffix(b"\n").ok_or_else(|| "cut short".to_owned())?;
        let last = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (lines, end) = body.split_at(last);
        let end: End = serde_json::from_slice(end).map_err(|_| "cut short".to_owned())?;
        if end.blake3.0 != *blake3::hash(lines).as_bytes() {
            return Err("not what was written".to_owned());
        }
        let mut lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let header: Header =
            serde_json::from_slice(lines.next().unwrap_or_default()).map_err(|error| damaged(&error))?;
        if header.odograph_backup != VERSION {
            return Err(format!("of the layout {}, and this program knows {VERSION}", header.odograph_backup));
        }
        let files = lines.map(serde_json::from_slice).collect::<Result<Vec<File>, _>>();
        let manifest = Self { header, files: files.map_err(|error| damaged(&error))? };
        match manifest.files.iter().find(|file| !file.is_sound()) {
            Some(file) => Err(format!("not to be trusted: it has {:?} with {} bytes", file.path, file.bytes)),
            None if (manifest.files.len(), manifest.bytes()) == (end.files, end.bytes) => Ok(manifest),
            None => Err("not whole".to_owned()),
        }
    }
}

impl File {
    /// Whether it lies below the folder into which it is restored, and its pieces make up its length.
    fn is_sound(&self) -> bool {
        let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
        let pieces = self.bytes.div_ceil(crate::CHUNK_BYTES as u64);
        self.path.split('/').all(is_name) && self.chunks.len() as u64 == pieces
    }

    /// How long each piece is.
    pub(crate) fn chunk_bytes(&self, number: usize) -> usize {
        let before = (number * crate::CHUNK_BYTES) as u64;
        usize::try_from(self.bytes.saturating_sub(before)).unwrap_or(usize::MAX).min(crate::CHUNK_BYTES)
    }
}

/// A time as it is written.
pub(crate) fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
    let text = String::deserialize(from)?;
    Time::parse(&text).ok_or_else(|| serde::de::Error::custom("not a time"))
}

fn line(text: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(&mut *text, value).expect("plain values can be written as JSON");
    text.push(b'\n');
}

/// The name of a manifest: its time, without what file systems and addresses dislike.
pub(crate) fn name(time: Time) -> String {
    let text: String = time.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{text}.json")
}

impl Chunk {
    /// Of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Chunk> for String {
    fn from(chunk: Chunk) -> Self {
        chunk.to_string()
    }
}

impl TryFrom<String> for Chunk {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        blake3::Hash::from_hex(&text).map(|hash| Self(*hash.as_bytes())).map_err(|_| "not a hash of 64 hex digits")
    }
}

/// An error about an object that is not what it must be.
pub(crate) fn damaged(target: &str, object: impl fmt::Display, what: impl Into<String>) -> Error {
    Error::Damaged { object: object.to_string(), target: target.to_owned(), what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let source = Source {
            node: 3,
            journal: Some(JournalPart { key: "ab".repeat(32), until: Some(700) }),
            lake: LakePart { place: "/data/lake".to_owned(), tables: [("default/records".to_owned(), 7)].into() },
            catalog: "sqlite".to_owned(),
        };
        let header = Header {
            odograph_backup: VERSION,
            time: Time(1_764_380_707_123),
            ended: Time(1_764_380_708_000),
            program: "0.1.0".to_owned(),
            source,
            missing: Vec::new(),
            sent: crate::Sent { objects: 2, bytes: 5 },
        };
        let file = |path: &str, content: &[u8], modified| File {
            path: path.to_owned(),
            bytes: content.len() as u64,
            modified,
            chunks: content.chunks(crate::CHUNK_BYTES).map(Chunk::of).collect(),
        };
        Manifest { header, files: vec![file("journal/3/chain", b"hello", Some(5)), file("empty", b"", None)] }
    }

    #[test]
    fn what_is_written_is_read_and_no_change_goes_unnoticed() {
        let manifest = manifest();
        let bytes = manifest.to_bytes();
        assert_eq!(Manifest::parse(&bytes), Ok(manifest.clone()));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // One digit of the counts in the last line may change into another: then they are wrong.
            assert!(Manifest::parse(&changed).is_err(), "byte {at}");
            assert!(Manifest::parse(&bytes[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(name(manifest.header.time), "20251129T014507123Z.json");
    }

    #[test]
    fn a_path_does_not_leave_the_folder() {
        for path in ["/etc/passwd", "../x", "a/../b", "a//b", "", "a/\0"] {
            let mut manifest = manifest();
            manifest.files[0].path = path.to_owned();
            let refused = Manifest::parse(&manifest.to_bytes()).unwrap_err();
            assert!(refused.starts_with("not to be trusted"), "{path:?}: {refused}");
        }
    }
}
