//! Secrets that are given out once: of sessions and tokens, and passwords made for somebody. Kept is only their hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use odograph_env::Rng;

/// What a session's secret begins with.
pub(crate) const SESSION: &str = "ods_";
/// What a token's secret begins with, so that people and programs that look for leaked secrets recognise it.
pub(crate) const TOKEN: &str = "odo_";
/// What the secret of a link begins with.
pub(crate) const LINK: &str = "odl_";

/// A secret. It does not show itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for whom it is meant for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A secret that nobody guesses: 32 random bytes.
    pub(crate) fn new(prefix: &str, rng: &dyn Rng) -> Self {
        let mut bytes = [0; 32];
        rng.fill(&mut bytes);
        Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The same of 16 bytes, for what stands in an address.
    pub(crate) fn short(prefix: &str, rng: &dyn Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes);
        Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// A password that people can type: four times four letters and digits, 80 random bits.
    pub(crate) fn password(rng: &dyn Rng) -> Self {
        let letters: Vec<char> = letters(rng).chars().collect();
        Self(letters.chunks(4).map(|chunk| chunk.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
    }

    pub(crate) fn from_text(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn hash(&self) -> String {
        hash(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// As a table keeps it. A secret has 128 random bits at the least, so a fast hash does; looking up by the hash takes a time that says
/// nothing about the secret.
pub(crate) fn hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

/// A new id: 80 random bits, in letters and digits.
pub(crate) fn new_id(rng: &dyn Rng) -> String {
    letters(rng)
}

fn letters(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// Without those that look alike.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_testkit::SeededRng;

    #[test]
    fn secrets_differ_and_do_not_show() {
        let rng = SeededRng::new(1);
        let (one, other) = (Secret::new(TOKEN, &rng), Secret::new(TOKEN, &rng));
        assert_ne!(one, other);
        assert!(one.reveal().starts_with("odo_"));
        assert_eq!(one.reveal().len(), 4 + 43);
        assert_eq!(format!("{one:?}"), "Secret(…)");
        assert_eq!(one.hash(), hash(one.reveal()));
        assert_eq!(one.hash().len(), 64);
        let short = Secret::short(LINK, &rng);
        assert!(short.reveal().starts_with("odl_"));
        assert_eq!(short.reveal().len(), 4 + 22);
        assert_ne!(short, Secret::short(LINK, &rng));
    }

    #[test]
    fn passwords_can_be_typed() {
        let password = Secret::password(&SeededRng::new(1));
        let parts: Vec<&str> = password.reveal().split('-').collect();
        assert_eq!(parts.len(), 4);
        assert!(parts.iter().all(|part| part.len() == 4 && part.bytes().all(|byte| LETTERS.contains(&byte))));
        crate::bounds::password(password.reveal()).unwrap();
    }

    #[test]
    fn ids_differ() {
        let rng = SeededRng::new(1);
        assert_ne!(new_id(&rng), new_id(&rng));
        assert_eq!(new_id(&rng).len(), 16);
    }
}
