//! Whether backups are what was written: every object is read.

use std::collections::HashMap;

use futures::StreamExt as _;

use crate::manifest::{Chunk, Manifest};
use crate::target::location;
use crate::{AT_ONCE, Error, Target};

/// What was read, and what is wrong.
#[derive(Debug, Default)]
pub struct Verified {
    /// Backups.
    pub backups: usize,
    /// Objects that were read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is not as it was written.
    pub damages: Vec<Damage>,
}

/// An object that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which one.
    pub object: String,
    /// What is wrong.
    pub what: String,
    /// Files that need it: the first few.
    pub files: Vec<String>,
}

impl Target {
    /// Reads everything that some backups consist of. `look` is told how many of how many objects were read.
    ///
    /// # Errors
    ///
    /// When the place cannot be read. What is damaged is no error.
    pub async fn verify(&self, manifests: &[Manifest], look: &mut dyn FnMut(u64, u64)) -> Result<Verified, Error> {
        let mut wanted: HashMap<Chunk, usize> = HashMap::new();
        for file in manifests.iter().flat_map(|manifest| &manifest.files) {
            wanted.extend(file.chunks.iter().enumerate().map(|(number, chunk)| (*chunk, file.chunk_bytes(number))));
        }
        let mut verified = Verified { backups: manifests.len(), ..Verified::default() };
        let of = wanted.len() as u64;
        let read = |(chunk, bytes)| async move { (chunk, self.chunk(chunk, bytes).await) };
        let mut found = futures::stream::iter(wanted).map(read).buffer_unordered(AT_ONCE);
        while let Some((chunk, read)) = found.next().await {
            verified.objects += 1;
            match read {
                Ok(bytes) => verified.bytes += bytes.len() as u64,
                Err(Error::Damaged { object, what, .. }) => {
                    verified.damages.push(Damage { object, what, files: files_of(manifests, chunk) });
                }
                Err(error) => return Err(error),
            }
            look(verified.objects, of);
        }
        verified.damages.sort_unstable_by(|one, other| one.object.cmp(&other.object));
        Ok(verified)
    }

    /// Whether everything is there that a backup consists of, without reading it: what is not.
    ///
    /// # Errors
    ///
    /// When the place cannot be read.
    pub async fn missing(&self, manifests: &[Manifest]) -> Result<Vec<Damage>, Error> {
        let held = self.held().await?;
        let mut wanted: Vec<Chunk> =
            crate::send::pieces(manifests).into_iter().filter(|chunk| !held.contains_key(chunk)).collect();
        wanted.sort_unstable();
        let damage = |chunk| Damage {
            object: location(chunk).to_string(),
            what: "not there".to_owned(),
            files: files_of(manifests, chunk),
        };
        Ok(wanted.into_iter().map(damage).collect())
    }
}

fn files_of(manifests: &[Manifest], chunk: Chunk) -> Vec<String> {
    let files = manifests.iter().flat_map(|manifest| &manifest.files);
    let mut paths: Vec<String> =
        files.filter(|file| file.chunks.contains(&chunk)).map(|file| file.path.clone()).collect();
    paths.dedup();
    paths.truncate(FILES_NAMED_MAX);
    paths
}

/// Equal files share objects: zeros, say.
const FILES_NAMED_MAX: usize = 5;
