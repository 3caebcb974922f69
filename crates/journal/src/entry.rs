//! One entry: what it holds, and its bytes.
//!
//! An entry is a header of [`HEADER_BYTES`], then a context section and an identity section where the flags say so,
//! then the payload. The layout is drawn in `docs/internals/journal.md`.

use odograph_env::UnixMillis;
use odograph_model::Lsn;

/// Bytes of an entry's header.
pub const HEADER_BYTES: usize = 32;

/// The longest entry: no device sends a frame near this, and recovery must be able to tell a length from noise.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;

/// The longest context: the length field has 16 bits.
pub const CONTEXT_BYTES_MAX: usize = u16::MAX as usize;

/// The longest device name: the length field has 8 bits.
pub const DEVICE_BYTES_MAX: usize = u8::MAX as usize;

/// The longest decision: the length field has 16 bits.
pub const DECISION_BYTES_MAX: usize = u16::MAX as usize;

/// What an entry is. Kinds that this version does not know survive reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub u8);

impl Kind {
    /// A stream begins: its id is the LSN of this entry.
    pub const OPEN: Self = Self(1);
    /// A whole frame from the device.
    pub const FRAME: Self = Self(2);
    /// Bytes from the device that were dropped to find the next frame.
    pub const SKIPPED: Self = Self(3);
    /// Bytes from the device that made no frame when the stream ended.
    pub const REMAINDER: Self = Self(4);
    /// Bytes to the device.
    pub const SENT: Self = Self(5);
    /// A stream ends: the payload says why.
    pub const CLOSE: Self = Self(6);
    /// An administrative remark, of no stream.
    pub const NOTE: Self = Self(7);
}

impl std::str::FromStr for Kind {
    type Err = UnknownKind;

    /// Reads what [`Kind`] is shown as.
    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let known = (1..=Self::NOTE.0).map(Self).find(|kind| kind.name() == Some(name));
        let number = || name.strip_prefix("kind ")?.parse().ok().map(Self);
        known.or_else(number).ok_or(UnknownKind)
    }
}

/// A text that no kind of entry is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no kind of entry")]
pub struct UnknownKind;

impl Kind {
    /// What it is called, where this version knows it.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::OPEN => Some("open"),
            Self::FRAME => Some("frame"),
            Self::SKIPPED => Some("skipped"),
            Self::REMAINDER => Some("remainder"),
            Self::SENT => Some("sent"),
            Self::CLOSE => Some("close"),
            Self::NOTE => Some("note"),
            Self(_) => None,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "kind {}", self.0),
        }
    }
}

/// Whose the entries of a stream are, from the entry that carries this on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity<'a> {
    /// The device; empty: nobody's any more.
    pub device: &'a str,
    /// What was decided about it, opaque here.
    pub decision: &'a [u8],
}

impl Identity<'_> {
    fn section_bytes(&self) -> usize {
        1 + self.device.len() + 2 + self.decision.len()
    }
}

/// An entry to be appended.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// What it is.
    pub kind: Kind,
    /// When it happened.
    pub at: UnixMillis,
    /// Whose the stream is from this entry on, where that changes.
    pub identity: Option<Identity<'a>>,
    /// The bytes themselves, unmodified.
    pub payload: &'a [u8],
}

impl NewEntry<'_> {
    /// How many bytes it takes in the journal, unless a context goes before it: then it is the first of its append.
    pub fn bytes(&self) -> usize {
        let sections = Sections { context: None, identity: self.identity };
        HEADER_BYTES + sections.bytes() + self.payload.len()
    }
}

/// An entry as it was read: a view into the reader's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place.
    pub lsn: Lsn,
    /// The stream it belongs to: the LSN of that stream's [`Kind::OPEN`] entry. 0: of no stream.
    pub stream: u64,
    /// When it happened, in milliseconds since 1970 UTC.
    pub at: UnixMillis,
    /// What it is.
    pub kind: Kind,
    /// The state of the stream before this entry, opaque here. The first entry of a stream in each segment has it.
    pub context: Option<&'a [u8]>,
    /// Whose the stream is from this entry on.
    pub identity: Option<Identity<'a>>,
    /// The bytes themselves, unmodified.
    pub payload: &'a [u8],
    /// The whole entry as it is on disk: what is hashed and proven.
    pub bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The order by which it was erased, where it was: then the payload is zeros, and whose it was is not there any more.
    pub fn erased(&self) -> Option<u64> {
        let header = self.bytes.first_chunk::<HEADER_BYTES>()?;
        (header[31] & FLAG_ERASED != 0).then(|| u64_at(header, 16))
    }

    /// The place after the entry.
    pub fn end(&self) -> Lsn {
        Lsn(self.lsn.0 + self.bytes.len() as u64)
    }

    /// How many bytes the entry that has these parts takes in the journal; [`Entry::bytes`] is not looked at.
    pub fn length(&self) -> u64 {
        let sections = Sections { context: self.context, identity: self.identity };
        (HEADER_BYTES + sections.bytes() + self.payload.len()) as u64
    }

    /// The bytes of the entry that has these parts: exactly those that were written and hashed. For entries that were
    /// taken apart and are kept in parts; [`Entry::bytes`] is not looked at.
    pub fn to_bytes(&self) -> Vec<u8> {
        let sections = Sections { context: self.context, identity: self.identity };
        let new = NewEntry { kind: self.kind, at: self.at, identity: self.identity, payload: self.payload };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + sections.bytes() + self.payload.len());
        put(&mut bytes, self.lsn.0, self.stream, &new, &sections);
        put_checksum(&mut bytes);
        bytes
    }

    /// Reads the whole entry that begins at `lsn`, checking everything that can be checked.
    pub fn parse(bytes: &'a [u8], lsn: Lsn) -> Result<Self, Stop> {
        let (crc, checked) = bytes.split_first_chunk::<4>().ok_or(Stop::Truncated)?;
        if bytes.len() < HEADER_BYTES || length_of(bytes) != bytes.len() {
            return Err(Stop::LengthOutOfRange);
        }
        if u32::from_le_bytes(*crc) != crc32c::crc32c(checked) {
            return Err(Stop::CrcMismatch);
        }
        let entry = Self::view(bytes).ok_or(Stop::BadSections)?;
        if entry.lsn == lsn { Ok(entry) } else { Err(Stop::LsnMismatch) }
    }

    /// Reads an entry whose checksum is known to be right (or not yet there).
    pub(crate) fn view(bytes: &'a [u8]) -> Option<Self> {
        let (header, mut rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let flags = header[31];
        if flags & FLAG_ERASED != 0 && (flags != FLAG_ERASED || rest.iter().any(|&byte| byte != 0)) {
            return None;
        }
        let mut context = None;
        if flags & FLAG_CONTEXT != 0 {
            let length = u16::from_le_bytes(*take_array(&mut rest)?);
            context = Some(take(&mut rest, usize::from(length))?);
        }
        let mut identity = None;
        if flags & FLAG_IDENTITY != 0 {
            let [length] = *take_array(&mut rest)?;
            let device = std::str::from_utf8(take(&mut rest, usize::from(length))?).ok()?;
            let length = u16::from_le_bytes(*take_array(&mut rest)?);
            identity = Some(Identity { device, decision: take(&mut rest, usize::from(length))? });
        }
        Some(Self {
            lsn: Lsn(u64_at(header, 8)),
            // Of an entry that was erased, the order stands there: which connection it came by is not kept.
            stream: if flags & FLAG_ERASED == 0 { u64_at(header, 16) } else { 0 },
            at: (u64_at(header, 24) & AT_MAX) as i64,
            kind: Kind(header[30]),
            context,
            identity,
            payload: rest,
            bytes,
        })
    }
}

/// Why reading a segment stopped at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// The data ends exactly here.
    #[error("clean end")]
    CleanEnd,
    /// Space that was reserved and never written.
    #[error("zeros where an entry should begin")]
    ZeroLength,
    /// The length is shorter than a header or longer than any entry.
    #[error("length out of range")]
    LengthOutOfRange,
    /// The entry is not what was written.
    #[error("checksum mismatch")]
    CrcMismatch,
    /// A valid entry of some other place.
    #[error("entry of another place")]
    LsnMismatch,
    /// The file ends within the entry.
    #[error("file ends within the entry")]
    Truncated,
    /// The checksum is right but a section passes the end: written wrongly.
    #[error("sections pass the end of the entry")]
    BadSections,
    /// The file that had it is not there. The next place that may be readable is this one.
    #[error("missing, with all up to place {0}")]
    Missing(Lsn),
}

/// The sections that the first entry of a stream in a segment carries.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sections<'a> {
    pub(crate) context: Option<&'a [u8]>,
    pub(crate) identity: Option<Identity<'a>>,
}

impl Sections<'_> {
    pub(crate) fn bytes(&self) -> usize {
        self.context.map_or(0, |context| 2 + context.len())
            + self.identity.map_or(0, |identity| identity.section_bytes())
    }

    /// Whether each length fits its field.
    pub(crate) fn fit(&self) -> bool {
        self.context.is_none_or(|context| context.len() <= CONTEXT_BYTES_MAX)
            && self.identity.is_none_or(|identity| {
                identity.device.len() <= DEVICE_BYTES_MAX && identity.decision.len() <= DECISION_BYTES_MAX
            })
    }
}

/// Appends the bytes of an entry, with zeros for its checksum: that is the committing thread's work.
pub(crate) fn put(out: &mut Vec<u8>, lsn: u64, stream: u64, entry: &NewEntry<'_>, sections: &Sections<'_>) {
    let length = HEADER_BYTES + sections.bytes() + entry.payload.len();
    let mut header = [0; HEADER_BYTES];
    header[4..8].copy_from_slice(&(length as u32).to_le_bytes());
    header[8..16].copy_from_slice(&lsn.to_le_bytes());
    header[16..24].copy_from_slice(&stream.to_le_bytes());
    // A clock before 1970 or past the year 10000 is wrong; the nearest time that fits does no harm.
    let at = u64::try_from(entry.at).unwrap_or(0).min(AT_MAX);
    header[24..30].copy_from_slice(&at.to_le_bytes()[..6]);
    header[30] = entry.kind.0;
    header[31] = if sections.context.is_some() { FLAG_CONTEXT } else { 0 }
        | if sections.identity.is_some() { FLAG_IDENTITY } else { 0 };
    out.extend_from_slice(&header);
    if let Some(context) = sections.context {
        out.extend_from_slice(&(context.len() as u16).to_le_bytes());
        out.extend_from_slice(context);
    }
    if let Some(identity) = sections.identity {
        out.push(identity.device.len() as u8);
        out.extend_from_slice(identity.device.as_bytes());
        out.extend_from_slice(&(identity.decision.len() as u16).to_le_bytes());
        out.extend_from_slice(identity.decision);
    }
    out.extend_from_slice(entry.payload);
}

/// The total length that an entry's header states.
pub(crate) fn length_of(header: &[u8]) -> usize {
    header.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes) as usize
}

/// Fills in the checksum of a whole entry.
pub(crate) fn put_checksum(entry: &mut [u8]) {
    let crc = crc32c::crc32c(&entry[4..]);
    entry[..4].copy_from_slice(&crc.to_le_bytes());
}

/// What is left of an entry that is erased by an order: its place, length, time and kind. Of its header, that is the same
/// whether this was written as a whole or torn.
pub(crate) fn erased(header: &[u8; HEADER_BYTES], order: u64) -> Vec<u8> {
    let mut bytes = vec![0; length_of(header)];
    bytes[..HEADER_BYTES].copy_from_slice(header);
    bytes[16..24].copy_from_slice(&order.to_le_bytes());
    bytes[31] = FLAG_ERASED;
    put_checksum(&mut bytes);
    bytes
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}

const FLAG_CONTEXT: u8 = 1;
const FLAG_IDENTITY: u8 = 2;
/// Alone: what was erased has no sections.
const FLAG_ERASED: u8 = 4;

/// The greatest time that 48 bits hold.
const AT_MAX: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(entry: &NewEntry<'_>, context: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, 64, 7, entry, &Sections { context, identity: entry.identity });
        put_checksum(&mut bytes);
        bytes
    }

    #[test]
    fn every_combination_of_sections_comes_back() {
        let identity = Some(Identity { device: "860000000000001", decision: b"accepted" });
        let contexts: [Option<&[u8]>; 3] = [None, Some(b""), Some(b"context")];
        for (context, identity) in contexts.into_iter().flat_map(|context| [(context, None), (context, identity)]) {
            let new = NewEntry { kind: Kind(200), at: 1_700_000_000_123, identity, payload: b"payload" };
            let bytes = written(&new, context);
            let entry = Entry::parse(&bytes, Lsn(64)).unwrap();
            assert_eq!((entry.stream, entry.at, entry.kind), (7, new.at, Kind(200)));
            assert_eq!((entry.context, entry.identity, entry.payload), (context, identity, new.payload));
            assert_eq!(entry.end(), Lsn(64 + bytes.len() as u64));
            assert_eq!(Entry { bytes: &[], ..entry }.to_bytes(), bytes, "put together again");
            assert_eq!(Entry { bytes: &[], ..entry }.length(), bytes.len() as u64);
        }
    }

    #[test]
    fn a_kind_is_read_as_it_is_shown() {
        for number in 0..=u8::MAX {
            assert_eq!(Kind(number).to_string().parse(), Ok(Kind(number)));
        }
        assert_eq!("kind 300".parse::<Kind>(), Err(UnknownKind));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let identity = Some(Identity { device: "a", decision: b"b" });
        let bytes = written(&NewEntry { kind: Kind::FRAME, at: 1, identity, payload: b"xyz" }, Some(b"c"));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Entry::parse(&flipped, Lsn(64)).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Entry::parse(&bytes[..length], Lsn(64)).is_err(), "length {length}");
        }
        assert_eq!(Entry::parse(&bytes, Lsn(65)), Err(Stop::LsnMismatch));
    }

    #[test]
    fn times_that_do_not_fit_are_clamped() {
        for (given, kept) in [(-5, 0), (i64::MAX, AT_MAX as i64)] {
            let bytes = written(&NewEntry { kind: Kind::NOTE, at: given, identity: None, payload: b"" }, None);
            assert_eq!(Entry::parse(&bytes, Lsn(64)).unwrap().at, kept);
        }
    }
}
