//! Makes a backup: sends what is not there yet, and the manifest last.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use odograph_env::Rng;
use odograph_model::Time;
use serde::{Deserialize, Serialize};

use crate::lease::Lease;
use crate::manifest::{Chunk, File, Header, Manifest, Source, VERSION};
use crate::pace::Pace;
use crate::plan::{Absence, Item};
use crate::target::holds;
use crate::{AT_ONCE, CHUNK_BYTES, Error, Target};

/// How a backup is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// So many bytes are sent in a second, at most.
    pub bytes_per_second: Option<u64>,
    /// Read every file, also those that have the length and the time that they had in the last backup.
    pub read_all: bool,
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sent {
    /// Pieces of files.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Files that are done.
    pub files: usize,
    /// Of so many.
    pub of_files: usize,
    /// Bytes of files that are done.
    pub bytes: u64,
    /// Of so many.
    pub of_bytes: u64,
    /// What of that was sent.
    pub sent: Sent,
    /// How often it waited, not to be quicker than it may.
    pub pauses: u64,
}

/// A backup that is being made.
pub struct Backup {
    target: Target,
    lease: Lease,
    held: HashMap<Chunk, u64>,
    /// The files of the last backup.
    before: HashMap<String, File>,
    pending: FuturesUnordered<BoxFuture<'static, Result<(), Error>>>,
    pace: Pace,
    progress: Progress,
    missing: Vec<String>,
}

impl Target {
    /// Begins a backup of the data folder whose journal has this key. Nobody else may make one of it at the same time.
    ///
    /// # Errors
    ///
    /// When the place cannot be written, has backups of another data folder, or somebody else works there.
    pub async fn begin(&self, key: Option<&str>, settings: Settings, rng: &dyn Rng) -> Result<Backup, Error> {
        let lease = Lease::take(self, "backup", key, rng).await?;
        match self.known(key, settings).await {
            Ok((held, before)) => Ok(Backup {
                target: self.clone(),
                lease,
                held,
                before,
                pending: FuturesUnordered::new(),
                pace: Pace::new(settings.bytes_per_second),
                progress: Progress::default(),
                missing: Vec::new(),
            }),
            Err(error) => {
                lease.release().await;
                Err(error)
            }
        }
    }

    /// What is there: pieces, and the files of the last backup.
    async fn known(
        &self,
        key: Option<&str>,
        settings: Settings,
    ) -> Result<(HashMap<Chunk, u64>, HashMap<String, File>), Error> {
        let mut before = HashMap::new();
        for name in self.names().await?.iter().rev() {
            let manifest = match self.manifest(name).await {
                Ok(manifest) => manifest,
                // Others may be whole; `verify` tells of this one.
                Err(Error::Damaged { .. }) => continue,
                Err(error) => return Err(error),
            };
            let found = manifest.header.source.journal.as_ref().map(|journal| journal.key.as_str());
            if let (Some(found), Some(expected)) = (found, key)
                && found != expected
            {
                let (found, expected) = (found.to_owned(), expected.to_owned());
                return Err(Error::Other { target: self.name.clone(), found, expected });
            }
            if !settings.read_all {
                before = manifest.files.into_iter().map(|file| (file.path.clone(), file)).collect();
            }
            break;
        }
        Ok((self.held().await?, before))
    }
}

impl Backup {
    /// Sends what is in the plan and not there yet, and completes the backup. `look` is told how far it is, after each piece, and
    /// can give it up with a reason.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, the place cannot be written, or `look` says so. Then there is no backup, and what was sent
    /// is not sent again.
    pub async fn make(
        mut self,
        time: Time,
        source: Source,
        plan: Vec<Item>,
        look: &mut dyn FnMut(Progress) -> Result<(), String>,
    ) -> Result<Manifest, Error> {
        let made = self.complete(time, source, plan, look).await;
        // What is under way must not be cut off in the middle where it could still be used.
        while self.pending.next().await.is_some() {}
        self.lease.release().await;
        made
    }

    /// Says that it goes on, before there is anything to be sent: to be called every few seconds. Else the place counts as left by
    /// somebody who died.
    ///
    /// # Errors
    ///
    /// When the place cannot be written, or somebody else has taken it over.
    pub async fn renew(&mut self) -> Result<(), Error> {
        self.lease.renew().await
    }

    /// Gives it up before it was made.
    pub async fn give_up(self) {
        self.lease.release().await;
    }

    async fn complete(
        &mut self,
        time: Time,
        source: Source,
        plan: Vec<Item>,
        look: &mut dyn FnMut(Progress) -> Result<(), String>,
    ) -> Result<Manifest, Error> {
        self.progress.of_files = plan.len();
        self.progress.of_bytes = plan.iter().map(|item| item.bytes).sum();
        let mut files = Vec::new();
        for item in plan {
            let (before, bytes) = (self.progress.bytes, item.bytes);
            match self.file(&item, look).await {
                Ok(file) => files.push(file),
                Err(error) if error.is_absent() => match item.absence {
                    Absence::Error => return Err(error),
                    Absence::Told => self.missing.push(item.path),
                    Absence::Harmless => {}
                },
                Err(error) => return Err(error),
            }
            self.progress.files += 1;
            self.progress.bytes = before + bytes;
            self.look(look).await?;
        }
        while !self.pending.is_empty() {
            self.settle(look).await?;
        }
        let header = Header {
            odograph_backup: VERSION,
            time,
            ended: Time(self.target.clock.now()),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            source,
            missing: std::mem::take(&mut self.missing),
            sent: self.progress.sent,
        };
        let manifest = Manifest { header, files };
        // Nobody has deleted anything meanwhile, because that would have taken the lease.
        self.lease.check().await?;
        self.target.write(&manifest).await?;
        Ok(manifest)
    }

    async fn file(&mut self, item: &Item, look: &mut dyn FnMut(Progress) -> Result<(), String>) -> Result<File, Error> {
        if let Some(known) = self.before.get(&item.path)
            && item.modified.is_some()
            && (known.bytes, known.modified) == (item.bytes, item.modified)
            && holds(&self.held, known)
        {
            return Ok(known.clone());
        }
        let opened = item.open()?;
        let mut chunks = Vec::new();
        let mut offset = 0;
        while offset < item.bytes {
            let length = usize::try_from(item.bytes - offset).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            let bytes = item.read(&opened, offset, length).await?;
            chunks.push(self.piece(bytes, look).await?);
            offset += length as u64;
            self.progress.bytes += length as u64;
            self.look(look).await?;
        }
        Ok(File { path: item.path.clone(), bytes: item.bytes, modified: item.modified, chunks })
    }

    async fn piece(
        &mut self,
        bytes: Vec<u8>,
        look: &mut dyn FnMut(Progress) -> Result<(), String>,
    ) -> Result<Chunk, Error> {
        let (chunk, length) = (Chunk::of(&bytes), bytes.len());
        if self.held.get(&chunk) == Some(&(length as u64)) {
            return Ok(chunk);
        }
        // Of several files that hold the same, one is sent.
        self.held.insert(chunk, length as u64);
        self.keep_pace(length, look).await?;
        while self.pending.len() >= AT_ONCE {
            self.settle(look).await?;
        }
        let target = self.target.clone();
        self.pending.push(async move { target.put_chunk(chunk, bytes).await }.boxed());
        self.progress.sent.objects += 1;
        self.progress.sent.bytes += length as u64;
        Ok(chunk)
    }

    /// Waits as long as so many bytes take, and looks up meanwhile.
    async fn keep_pace(
        &mut self,
        bytes: usize,
        look: &mut dyn FnMut(Progress) -> Result<(), String>,
    ) -> Result<(), Error> {
        let mut left = self.pace.time(bytes);
        while !left.is_zero() {
            let pause = left.min(LOOK);
            tokio::time::sleep(pause).await;
            left -= pause;
            self.progress.pauses += 1;
            self.look(look).await?;
        }
        Ok(())
    }

    /// Waits for one of the pieces that are under way.
    async fn settle(&mut self, look: &mut dyn FnMut(Progress) -> Result<(), String>) -> Result<(), Error> {
        loop {
            match tokio::time::timeout(LOOK, self.pending.next()).await {
                Ok(done) => {
                    done.unwrap_or(Ok(()))?;
                    return self.look(look).await;
                }
                // Whoever wants no more of it need not wait for a place that does not answer.
                Err(_) => look(self.progress).map_err(Error::GivenUp)?,
            }
        }
    }

    async fn look(&mut self, look: &mut dyn FnMut(Progress) -> Result<(), String>) -> Result<(), Error> {
        look(self.progress).map_err(Error::GivenUp)?;
        self.lease.renew().await
    }
}

/// The pieces of some backups.
pub(crate) fn pieces<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> HashSet<Chunk> {
    manifests.into_iter().flat_map(|manifest| &manifest.files).flat_map(|file| &file.chunks).copied().collect()
}

const LOOK: Duration = Duration::from_secs(1);
