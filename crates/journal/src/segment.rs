//! A segment's header: the first 64 bytes of its file.

use odograph_env::UnixMillis;

use crate::entry::{u32_at, u64_at};

/// Bytes of the header. They count as places of the journal, so that a place says where in its file it is.
pub const SEGMENT_HEADER_BYTES: usize = 64;

/// What a segment's file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) node: u16,
    pub(crate) base: u64,
    pub(crate) created_at: UnixMillis,
}

impl SegmentHeader {
    pub(crate) fn to_bytes(self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.node.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.created_at.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None`: not a header, or one of a version that this program does not know.
    pub(crate) fn parse(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Option<Self> {
        let whole = bytes.starts_with(MAGIC)
            && u32_at(bytes, 60) == crc32c::crc32c(&bytes[..60])
            && u32_at(bytes, 8) == VERSION;
        whole.then(|| Self {
            node: u16::from_le_bytes([bytes[12], bytes[13]]),
            base: u64_at(bytes, 16),
            created_at: u64_at(bytes, 24).cast_signed(),
        })
    }
}

const MAGIC: &[u8; 8] = b"ODOSEG\r\n";
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_every_flip_is_found() {
        let header = SegmentHeader { node: 3, base: 1 << 40, created_at: 1_700_000_000_000 };
        let bytes = header.to_bytes();
        assert_eq!(SegmentHeader::parse(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::parse(&flipped), None, "bit {bit}");
        }
    }
}
