//! What the demo remembers from one time to the next: its password, its trucks, and until when they have told their story.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const DAY_S: i64 = 86_400;
/// A life that is longer is not lived again from its beginning: it would take too long before the first truck moves.
const LIFE_S_MAX: i64 = 30 * DAY_S;
/// What was measured in the last minutes may be on its way. Told twice, it is kept once.
const UNSURE_S: i64 = 600;

#[derive(Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) password: String,
    pub(super) devices: u32,
    /// When the trucks' life began, in seconds since 1970.
    since: i64,
    /// Until when all that they measured was acknowledged.
    told: i64,
    #[serde(skip)]
    path: PathBuf,
}

impl Memory {
    /// What is remembered in this folder; a fleet of another size is another fleet.
    pub(super) fn of(folder: &Path, devices: u32) -> Result<Self> {
        let path = folder.join("demo.json");
        let yesterday = now() - DAY_S;
        let known = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let memory = match known {
            Some(known) if known.devices == devices && now() - known.since < LIFE_S_MAX => {
                Self { told: known.told.max(yesterday), path, ..known }
            }
            // The server knows the password of its first start.
            Some(known) => Self { devices, since: yesterday, told: yesterday, path, ..known },
            None => Self { password: password()?, devices, since: yesterday, told: yesterday, path },
        };
        memory.save()?;
        Ok(memory)
    }

    /// When the trucks' life began.
    pub(super) fn since(&self) -> Result<String> {
        Ok(Timestamp::from_second(self.since)?.to_string())
    }

    /// How much of the past is still to be told, in days.
    pub(super) fn untold_days(&self) -> f64 {
        (now() - self.told).max(0) as f64 / DAY_S as f64
    }

    /// All until now was told.
    pub(super) fn told_until_now(&mut self) -> Result<()> {
        self.told = now() - UNSURE_S;
        self.save()
    }

    fn save(&self) -> Result<()> {
        let mut file = std::fs::OpenOptions::new();
        // It holds a password.
        let file = file.write(true).create(true).truncate(true).mode(0o600).open(&self.path);
        serde_json::to_writer(file.with_context(|| format!("write {}", self.path.display()))?, self)?;
        Ok(())
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// The one that somebody chose, or one that nobody guesses.
fn password() -> Result<String> {
    const SIGNS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    if let Ok(chosen) = std::env::var("ODOGRAPH_ADMIN_PASSWORD") {
        return Ok(chosen);
    }
    let mut bytes = [0; 12];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes).context("random bytes")?;
    Ok(bytes.iter().map(|byte| char::from(SIGNS[usize::from(byte % 32)])).collect())
}
