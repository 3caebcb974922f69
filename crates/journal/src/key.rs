//! The node's signing key, made when its folder is first opened.

use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use odograph_env::{Disk, Rng};

use crate::error::Error;
use crate::{durable_file, paths};

/// An Ed25519 public key.
pub type PublicKey = [u8; 32];

/// Signs seals.
pub(crate) struct Key(SigningKey);

impl Key {
    /// Also says whether it was made anew.
    pub(crate) fn open_or_create(disk: &dyn Disk, folder: &Path, rng: &dyn Rng) -> Result<(Self, bool), Error> {
        let path = paths::key(folder);
        if let Some(bytes) = durable_file::read(disk, &path, FILE_BYTES)? {
            let damaged = Error::Damaged { path, what: DAMAGED };
            return Self::parse(&bytes).map(|key| (key, false)).ok_or(damaged);
        }
        let mut seed = [0; 32];
        rng.fill(&mut seed);
        let mut bytes = [0; FILE_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..40].copy_from_slice(&seed);
        let crc = crc32c::crc32c(&bytes[..40]);
        bytes[40..].copy_from_slice(&crc.to_le_bytes());
        durable_file::replace(disk, folder, &path, &bytes)?;
        Ok((Self(SigningKey::from_bytes(&seed)), true))
    }

    /// The public half of the key in a folder.
    pub(crate) fn read_public(disk: &dyn Disk, folder: &Path) -> Result<PublicKey, Error> {
        let path = paths::key(folder);
        let key = durable_file::read(disk, &path, FILE_BYTES)?.as_deref().and_then(Self::parse);
        key.map(|key| key.public()).ok_or(Error::Damaged { path, what: "not a signing key" })
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (checked, crc) = bytes.split_at_checked(40)?;
        let whole = checked.starts_with(MAGIC) && crc == crc32c::crc32c(checked).to_le_bytes();
        whole.then(|| Self(SigningKey::from_bytes(checked[8..].try_into().expect("32 of 40 bytes"))))
    }
}

/// Whether `signature` is the key's over `message`.
pub(crate) fn is_signed(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key)
        .is_ok_and(|key| key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok())
}

const DAMAGED: &str = "not a signing key: put back the one that was here, or move the file away, and a new key is made, which \
     the chain of seals then says";
const MAGIC: &[u8; 8] = b"ODOKEY\r\n";
const FILE_BYTES: usize = 44;
