//! Passwords: Argon2id, beside the async threads, and only so many at a time.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use odograph_env::Rng;
use tokio::sync::Semaphore;

use crate::Error;

/// Passwords that are hashed at the same time: each takes 19 MiB and a core for some tens of milliseconds.
const HASHES_AT_ONCE: usize = 2;
/// Those that may wait for it. Whoever comes then is told to come again: about a second's work is ahead.
const HASHES_WAITING_MAX: usize = 32;
const SALT_BYTES: usize = 16;

pub(crate) struct Passwords {
    rng: Arc<dyn Rng>,
    running: Semaphore,
    waiting: Semaphore,
    /// The hash of a password that nobody has, for logins that nobody has.
    nobody: OnceLock<String>,
}

impl Passwords {
    pub(crate) fn new(rng: Arc<dyn Rng>) -> Self {
        let (running, waiting) = (Semaphore::new(HASHES_AT_ONCE), Semaphore::new(HASHES_AT_ONCE + HASHES_WAITING_MAX));
        Self { rng, running, waiting, nobody: OnceLock::new() }
    }

    /// The hash of a password, with the parameters that it was made with.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Error> {
        let mut salt = [0; SALT_BYTES];
        self.rng.fill(&mut salt);
        let password = password.to_owned();
        self.work(move || {
            let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
            // The salt has a fixed length and the password a bound far below Argon2's.
            hash.expect("Argon2 takes any password within our bounds").to_string()
        })
        .await
    }

    /// Whether this is the password. It takes as long where there is none, so that time does not tell who exists.
    pub(crate) async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool, Error> {
        let expected = match hash {
            Some(hash) => hash.to_owned(),
            None => self.of_nobody().await?,
        };
        let password = password.to_owned();
        let same = self.work(move || {
            let expected = PasswordHash::new(&expected);
            expected.is_ok_and(|expected| Argon2::default().verify_password(password.as_bytes(), &expected).is_ok())
        });
        Ok(same.await? && hash.is_some())
    }

    async fn of_nobody(&self) -> Result<String, Error> {
        if let Some(hash) = self.nobody.get() {
            return Ok(hash.clone());
        }
        let hash = self.hash(crate::Secret::password(&*self.rng).reveal()).await?;
        Ok(self.nobody.get_or_init(|| hash).clone())
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::Busy)?;
        let _running = self.running.acquire().await.expect("nobody closes it");
        Ok(tokio::task::spawn_blocking(work).await.expect("hashing does not panic"))
    }

    /// Makes the hash for unknown logins ahead, so that the first of them takes no longer than others.
    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        self.of_nobody().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_testkit::SeededRng;

    fn passwords() -> Passwords {
        Passwords::new(Arc::new(SeededRng::new(1)))
    }

    #[tokio::test]
    async fn a_password_is_told_from_others() {
        let passwords = passwords();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse").await.unwrap());
        assert!(passwords.verify("correct horse", Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct horsf", Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct horse", Some("damaged")).await.unwrap());
        assert!(!passwords.verify("correct horse", None).await.unwrap());
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let passwords = Arc::new(passwords());
        let all = (0..HASHES_AT_ONCE + HASHES_WAITING_MAX + 1).map(|_| passwords.hash("x"));
        let done = futures::future::join_all(all).await;
        assert_eq!(done.iter().filter(|result| matches!(result, Err(Error::Busy))).count(), 1);
    }
}
