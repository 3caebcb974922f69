//! The place of the backups: objects, manifests, and who works there.
//!
//! ```text
//! objects/ab/abcd…      a piece of files, named after its BLAKE3 hash
//! manifests/TIME.json   a backup
//! lease.json            who works there now
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use odograph_env::Clock;
use odograph_model::Time;

use crate::manifest::{Chunk, File, Manifest, damaged, name};
use crate::{CHUNK_BYTES, Error};

/// The place of the backups. Clones are the same place.
#[derive(Clone)]
pub struct Target {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// For people.
    pub(crate) name: String,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A backup that is there, as far as it can be read.
#[derive(Debug)]
pub struct Listed {
    /// What its manifest is called.
    pub name: String,
    /// It, or why it cannot be read.
    pub manifest: Result<Manifest, Error>,
}

impl Target {
    /// A place under the name that people know it by. Nothing is asked of it yet.
    pub fn new(store: Arc<dyn ObjectStore>, name: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self { store, name: name.into(), clock }
    }

    /// All backups, oldest first.
    ///
    /// # Errors
    ///
    /// When the place cannot be read. A manifest that cannot be read is no error here.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut all = Vec::new();
        for name in self.names().await? {
            let manifest = self.manifest(&name).await;
            if let Err(error @ Error::Target { .. }) = manifest {
                return Err(error);
            }
            all.push(Listed { name, manifest });
        }
        Ok(all)
    }

    /// The newest backup, or the newest of those not after `at`.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub async fn find(&self, at: Option<Time>) -> Result<Manifest, Error> {
        let names = self.names().await?;
        let wanted = names.iter().rev().find(|found| at.is_none_or(|at| found.as_str() <= name(at).as_str()));
        let when = || at.map_or_else(String::new, |at| format!(" of {at} or before"));
        let wanted = wanted.ok_or_else(|| Error::None { target: self.name.clone(), when: when() })?;
        self.manifest(wanted).await
    }

    /// Names of manifests, oldest first.
    pub(crate) async fn names(&self) -> Result<Vec<String>, Error> {
        let folder = Location::from(MANIFESTS);
        let found: Vec<_> =
            self.store.list(Some(&folder)).try_collect().await.map_err(self.failed("list", MANIFESTS))?;
        let mut names: Vec<String> =
            found.iter().filter_map(|object| object.location.filename()).map(str::to_owned).collect();
        names.retain(|name| name.ends_with(".json"));
        names.sort_unstable();
        Ok(names)
    }

    pub(crate) async fn manifest(&self, name: &str) -> Result<Manifest, Error> {
        let location = manifest_location(name);
        let found = self.get(&location).await?;
        Manifest::parse(&found).map_err(|what| damaged(&self.name, location, what))
    }

    pub(crate) async fn write(&self, manifest: &Manifest) -> Result<(), Error> {
        let location = manifest_location(&name(manifest.header.time));
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.store.put_opts(&location, manifest.to_bytes().into(), options).await;
        put.map(drop).map_err(self.failed("put", &location))
    }

    pub(crate) async fn get(&self, location: &Location) -> Result<Bytes, Error> {
        let absent = |error| match error {
            object_store::Error::NotFound { .. } => damaged(&self.name, location, "not there"),
            error => self.failed("get", location)(error),
        };
        let found = self.store.get(location).await.map_err(absent)?;
        found.bytes().await.map_err(self.failed("get", location))
    }

    /// A piece, if it is what its name says.
    pub(crate) async fn chunk(&self, chunk: Chunk, bytes: usize) -> Result<Bytes, Error> {
        let location = location(chunk);
        let found = self.get(&location).await?;
        if found.len() != bytes || Chunk::of(&found) != chunk {
            return Err(damaged(&self.name, location, "not what was written"));
        }
        Ok(found)
    }

    pub(crate) async fn put_chunk(&self, chunk: Chunk, bytes: Vec<u8>) -> Result<(), Error> {
        let location = location(chunk);
        self.store.put(&location, bytes.into()).await.map(drop).map_err(self.failed("put", &location))
    }

    /// The pieces that are there, with their lengths.
    pub(crate) async fn held(&self) -> Result<HashMap<Chunk, u64>, Error> {
        let folder = Location::from(OBJECTS);
        let mut objects = self.store.list(Some(&folder));
        let mut held = HashMap::new();
        while let Some(object) = objects.try_next().await.map_err(self.failed("list", OBJECTS))? {
            let named = object.location.filename().and_then(|name| Chunk::try_from(name.to_owned()).ok());
            held.extend(named.map(|chunk| (chunk, object.size)));
        }
        Ok(held)
    }

    pub(crate) fn failed(
        &self,
        doing: &'static str,
        object: &(impl std::fmt::Display + ?Sized),
    ) -> impl FnOnce(object_store::Error) -> Error {
        let (target, object) = (self.name.clone(), object.to_string());
        move |source| Error::Target { doing, object, target, source: Box::new(source) }
    }
}

/// Whether all of a file's pieces are there.
pub(crate) fn holds(held: &HashMap<Chunk, u64>, file: &File) -> bool {
    let mut pieces = file.chunks.iter().enumerate();
    pieces.all(|(number, chunk)| held.get(chunk) == Some(&(file.chunk_bytes(number) as u64)))
}

pub(crate) fn location(chunk: Chunk) -> Location {
    let name = chunk.to_string();
    Location::from(format!("{OBJECTS}/{}/{name}", &name[..2]))
}

fn manifest_location(name: &str) -> Location {
    Location::from(format!("{MANIFESTS}/{name}"))
}

pub(crate) const OBJECTS: &str = "objects";
pub(crate) const MANIFESTS: &str = "manifests";
const _: () = assert!(CHUNK_BYTES < 5 << 20, "an object goes in one request");
