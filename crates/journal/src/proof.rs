//! Proves what one device sent in one segment, without showing anything of the others.

use odograph_model::Lsn;

use crate::chain::{SEAL_RECORD_BYTES, SealRecord};
use crate::entry::DEVICE_BYTES_MAX;
use crate::error::Error;
use crate::key::PublicKey;
use crate::merkle::{self, Hash, Sibling};
use crate::reader::Reader;

/// What a third party needs besides the entries themselves and the node's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The seal of the segment.
    pub record: SealRecord,
    /// Whose entries it proves.
    pub device: String,
    /// The way from the device's leaf to the root.
    pub path: Vec<Sibling>,
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The seal is not what the holder of the key signed.
    #[error("the seal was not signed with this key")]
    Signature,
    /// The entries are not those that were sealed, not all of them, or of another device.
    #[error("the entries are not all and only those that were sealed for this device")]
    Entries,
}

impl Reader {
    /// A proof for all of a device's entries in the sealed segment that begins at `base`, also when that was removed.
    /// `None`: the segment has no seal, or nothing of this device.
    pub fn prove(&self, device: &str, base: Lsn) -> Result<Option<Proof>, Error> {
        Ok(self.leaves(base)?.and_then(|leaves| leaves.proof(device)))
    }
}

/// Whether `entries` (whole, as [`crate::Entry::bytes`] has them, in order) are exactly what the node sealed for the
/// proof's device.
pub fn check_proof<E: AsRef<[u8]>>(
    proof: &Proof,
    key: &PublicKey,
    entries: impl IntoIterator<Item = E>,
) -> Result<(), ProofError> {
    let mut check = ProofCheck::default();
    entries.into_iter().for_each(|entry| check.add(entry.as_ref()));
    check.finish(proof, key)
}

/// The same, for entries that come one by one.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProofCheck {
    hash: Hash,
    entries: u64,
}

impl ProofCheck {
    /// Takes the next whole entry.
    pub fn add(&mut self, entry: &[u8]) {
        self.hash = merkle::extend(&self.hash, entry);
        self.entries += 1;
    }

    /// Whether the entries have this hash, and are so many.
    pub(crate) fn is(&self, hash: &Hash, entries: u64) -> bool {
        self.hash == *hash && self.entries == entries
    }

    /// Whether the entries were all and only those that the proof is for.
    pub fn finish(self, proof: &Proof, key: &PublicKey) -> Result<(), ProofError> {
        if !proof.record.is_signed_by(key) {
            return Err(ProofError::Signature);
        }
        let leaf = merkle::leaf(&proof.device, &self.hash, self.entries);
        if merkle::climb(leaf, &proof.path) == proof.record.root { Ok(()) } else { Err(ProofError::Entries) }
    }
}

impl Proof {
    /// The proof as a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.record.to_bytes());
        bytes.push(self.device.len() as u8);
        bytes.extend_from_slice(self.device.as_bytes());
        for sibling in &self.path {
            let (side, hash) = match sibling {
                Sibling::Left(hash) => (LEFT, hash),
                Sibling::Right(hash) => (RIGHT, hash),
            };
            bytes.push(side);
            bytes.extend_from_slice(hash);
        }
        bytes
    }

    /// Reads such a file. `None`: it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (record, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<SEAL_RECORD_BYTES>()?;
        let (&length, rest) = rest.split_first()?;
        let (device, rest) = rest.split_at_checked(usize::from(length))?;
        let sibling = |step: &[u8]| match step.split_first()? {
            (&LEFT, hash) => Some(Sibling::Left(hash.try_into().ok()?)),
            (&RIGHT, hash) => Some(Sibling::Right(hash.try_into().ok()?)),
            _ => None,
        };
        Some(Self {
            record: SealRecord::parse(record)?,
            device: std::str::from_utf8(device).ok()?.to_owned(),
            path: rest.chunks(33).map(sibling).collect::<Option<_>>()?,
        })
    }
}

const MAGIC: &[u8; 8] = b"ODOPRF\r\n";
const LEFT: u8 = 0;
const RIGHT: u8 = 1;
const _: () = assert!(DEVICE_BYTES_MAX <= u8::MAX as usize, "a device's length fits its field");
