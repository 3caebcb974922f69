//! The second factor: codes of an authenticator app (RFC 6238), six digits, each for 30 seconds.

use odograph_env::{Rng, UnixMillis};
use totp_rs::{Builder, Secret, Totp};

use crate::Error;

/// What an authenticator app is given.
#[derive(Debug, Clone)]
pub struct TotpOffer {
    /// The secret, for typing.
    pub secret: crate::Secret,
    /// The same as an `otpauth:` address, to be shown as a square code.
    pub url: crate::Secret,
}

/// Bytes of a secret: as long as the hash that it goes into.
const SECRET_BYTES: usize = 20;
/// What an app shows beside the login.
const ISSUER: &str = "Odograph";

/// A new secret.
pub(crate) fn offer(login: &str, rng: &dyn Rng) -> Result<TotpOffer, Error> {
    let mut bytes = [0; SECRET_BYTES];
    rng.fill(&mut bytes);
    let secret = Secret::new(bytes.into());
    let text = secret.to_base32();
    // A colon separates the issuer from the login there, so a login with one could not be told apart.
    let totp = builder(secret).with_account_name(login.replace(':', "_")).with_issuer(Some(ISSUER)).build();
    let url = totp.and_then(|totp| totp.to_url()).map_err(damaged)?;
    Ok(TotpOffer { secret: crate::Secret::from_text(text), url: crate::Secret::from_text(url) })
}

/// The time step that a code is of, if it is one of now, of just before, or of the next.
pub(crate) fn step(secret: &str, code: &str, now: UnixMillis) -> Result<Option<i64>, Error> {
    let secret = Secret::try_from_base32(secret).map_err(damaged)?;
    let totp: Totp = builder(secret).build().map_err(damaged)?;
    // People type it as the app shows it, with a gap in the middle.
    let code: String = code.chars().filter(|c| *c != ' ').collect();
    let seconds = u64::try_from(now / 1000).unwrap_or_default();
    Ok(totp.check(&code, seconds).and_then(|step| i64::try_from(step).ok()))
}

fn builder(secret: Secret) -> Builder {
    Builder::new().with_secret(secret).with_skew(1)
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::Damaged { column: "totp_secret", reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_testkit::SeededRng;

    /// The secret and the times of RFC 6238, appendix B, by their last six digits.
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_those_of_the_standard() {
        let step_at = |code, seconds: i64| step(RFC, code, seconds * 1000).unwrap();
        assert_eq!(step_at("287082", 59), Some(1));
        assert_eq!(step_at("287 082", 59), Some(1));
        assert_eq!(step_at("081804", 1_111_111_109), Some(37_037_036));
        assert_eq!(step_at("005924", 1_234_567_890), Some(41_152_263));
        // Of the step before and of the next, and no other.
        assert_eq!(step_at("287082", 89), Some(1));
        assert_eq!(step_at("287082", 29), Some(1));
        assert_eq!(step_at("287082", 90), None);
        assert_eq!(step_at("28708", 59), None);
        assert_eq!(step_at("", 59), None);
        assert_eq!(step_at("２８７０８２", 59), None);
    }

    #[test]
    fn an_offer_says_who_it_is_for() {
        let offer = offer("anna:b@example.org", &SeededRng::new(1)).unwrap();
        let expected = format!("otpauth://totp/Odograph:anna_b%40example.org?secret={}", offer.secret.reveal());
        assert!(offer.url.reveal().starts_with(&expected), "{}", offer.url.reveal());
        assert_eq!(offer.secret.reveal().len(), 32);
    }

    #[test]
    fn a_damaged_secret_is_told() {
        assert!(matches!(step("1", "287082", 0), Err(Error::Damaged { column: "totp_secret", .. })));
    }
}
