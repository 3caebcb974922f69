//! The record that stands where a chain of seals begins, and wherever it goes on with another key, after a loss, or from a
//! copy of the journal.

use odograph_env::UnixMillis;
use odograph_model::Lsn;

use crate::SEAL_RECORD_BYTES;
use crate::chain::{CHAIN_DOMAIN, HASHED};
use crate::entry::{u32_at, u64_at};
use crate::key::{self, Key, PublicKey};
use crate::merkle::Hash;

/// What a node states where its seals begin anew, signed with the key of those that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Whose journal it is.
    pub node: u16,
    /// The key before is not there any more, or another one than the chain names.
    pub other_key: bool,
    /// Seals that there were are lost. The segments before [`Begin::place`] that had one are sealed as they were found: nothing
    /// proves that they are what was sealed first.
    pub seals_lost: bool,
    /// The journal goes on from a copy of it, and leaves out these places: what it was copied from may have used them.
    pub left_out: Option<LeftOut>,
    /// Where the newest segment begins that there was then.
    pub place: Lsn,
    /// When that was.
    pub at: UnixMillis,
    /// The key of the seals that follow.
    pub public_key: PublicKey,
    pub(crate) previous: Hash,
    pub(crate) chain_hash: Hash,
    pub(crate) signature: [u8; 64],
}

/// Places that a journal does not use, because another one that it is a copy of may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Where the copy ends.
    pub begin: Lsn,
    /// Where the journal goes on.
    pub end: Lsn,
}

impl Begin {
    pub(crate) fn new(node: u16, place: Lsn, at: UnixMillis) -> Self {
        let (public_key, previous, chain_hash, signature) = ([0; 32], [0; 32], [0; 32], [0; 64]);
        let (other_key, seals_lost, left_out) = (false, false, None);
        Self { node, other_key, seals_lost, left_out, place, at, public_key, previous, chain_hash, signature }
    }

    pub(crate) fn sign(mut self, key: &Key) -> Self {
        self.chain_hash = self.expected_chain_hash();
        self.signature = key.sign(&self.chain_hash);
        self
    }

    /// Whether the holder of the key that it names signed it.
    pub(crate) fn is_signed(&self) -> bool {
        self.chain_hash == self.expected_chain_hash()
            && key::is_signed(&self.public_key, &self.chain_hash, &self.signature)
    }

    fn expected_chain_hash(&self) -> Hash {
        blake3::derive_key(CHAIN_DOMAIN, &self.to_bytes()[HASHED])
    }

    pub(crate) fn to_bytes(self) -> [u8; SEAL_RECORD_BYTES] {
        let mut bytes = [0; SEAL_RECORD_BYTES];
        bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.node.to_le_bytes());
        bytes[10] = u8::from(self.other_key) | u8::from(self.seals_lost) << 1;
        bytes[16..24].copy_from_slice(&self.place.0.to_le_bytes());
        if let Some(LeftOut { begin, end }) = self.left_out {
            bytes[10] |= LEAVES_OUT;
            bytes[24..32].copy_from_slice(&begin.0.to_le_bytes());
            bytes[40..48].copy_from_slice(&end.0.to_le_bytes());
        }
        bytes[32..40].copy_from_slice(&self.at.to_le_bytes());
        bytes[64..96].copy_from_slice(&self.public_key);
        bytes[128..160].copy_from_slice(&self.previous);
        bytes[160..192].copy_from_slice(&self.chain_hash);
        bytes[192..].copy_from_slice(&self.signature);
        let crc = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None`: it is not what was written, or another kind of record.
    pub(crate) fn parse(bytes: &[u8; SEAL_RECORD_BYTES]) -> Option<Self> {
        if u32_at(bytes, 0) != crc32c::crc32c(&bytes[4..]) || u32_at(bytes, 4) != VERSION {
            return None;
        }
        let hash_at = |at: usize| bytes[at..at + 32].try_into().expect("32 bytes");
        let left_out = LeftOut { begin: Lsn(u64_at(bytes, 24)), end: Lsn(u64_at(bytes, 40)) };
        Some(Self {
            node: u16::from_le_bytes([bytes[8], bytes[9]]),
            other_key: bytes[10] & 1 != 0,
            seals_lost: bytes[10] & 2 != 0,
            left_out: (bytes[10] & LEAVES_OUT != 0).then_some(left_out),
            place: Lsn(u64_at(bytes, 16)),
            at: u64_at(bytes, 32).cast_signed(),
            public_key: hash_at(64),
            previous: hash_at(128),
            chain_hash: hash_at(160),
            signature: bytes[192..].try_into().expect("64 bytes"),
        })
    }
}

const LEAVES_OUT: u8 = 4;
/// Seals have 1.
const VERSION: u32 = 2;
