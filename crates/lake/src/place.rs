//! Where a lake is, in a folder or in an object store, and who writes there.

use crate::events::EVENTS;
use crate::frames::FRAMES;
use crate::lake::{Unread, folder_name, tenant_name};
use crate::latest::SAVED;
use crate::maintenance::is_data;
use crate::remote::{self, Remote, Requests, StoreConfig, Trouble};
use crate::shape::{RECORDS, Shape};
use crate::stuck::Stuck;
use crate::table::failed;
use crate::{BrokenTable, DiskStore, Error};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures::TryStreamExt as _;
use object_store::path::Path as Location;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, path};
use odograph_env::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use url::Url;

/// Where a lake is. Clones are the same place, and the same writer.
#[derive(Clone)]
pub struct Place {
    home: Home,
    owner: Option<Owner>,
    /// Tables to which this process has committed: nobody else may from then on.
    claimed: Arc<Mutex<BTreeSet<String>>>,
    /// Files that were found damaged, with why.
    damaged: Arc<Mutex<BTreeMap<String, String>>>,
    /// Tables, and of each a day, whose files could not become one.
    unmerged: Arc<Mutex<BTreeSet<(String, String)>>>,
    /// Tables that nothing can be written to.
    pub(crate) stuck: Arc<Stuck>,
    /// Rows of other nodes may have come that nobody was told of.
    pub(crate) have_come: Arc<AtomicBool>,
    /// Tables that lack what nobody has any more.
    pub(crate) incomplete: Arc<Mutex<Vec<BrokenTable>>>,
    /// Who hears of questions.
    pub(crate) on_questions: fn(bool),
}

#[derive(Clone)]
enum Home {
    Folder { disk: Arc<dyn Disk>, folder: PathBuf },
    Remote { store: Remote, prefix: Location },
}

/// Who writes: what a commit says of it, so that another one is noticed who takes itself for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Drawn anew by each process.
    pub writer: u64,
    /// Of the journal: places in one mean nothing in another.
    pub journal: u64,
}

/// Where one table is.
#[derive(Clone)]
pub(crate) struct TablePlace {
    /// For people.
    pub(crate) name: String,
    pub(crate) log: LogStoreRef,
    pub(crate) place: Place,
    /// Of the log, where it is a folder.
    pub(crate) log_folder: Option<(Arc<dyn Disk>, PathBuf)>,
}

impl Place {
    /// A folder, which need not be there yet.
    pub fn folder(disk: Arc<dyn Disk>, folder: &Path) -> Self {
        Self::new(Home::Folder { disk, folder: folder.to_owned() })
    }

    /// A bucket or container, or what lies below a prefix of one. Nothing is asked of it yet.
    ///
    /// # Errors
    ///
    /// When address or options make no sense.
    pub fn remote(config: &StoreConfig) -> Result<Self, Error> {
        let (client, prefix) = remote::client(config)?;
        Ok(Self::store(client, &config.url, prefix, config.bytes_per_second))
    }

    /// Some object store, under the name that people know it by.
    pub fn store(client: Arc<dyn ObjectStore>, name: &str, prefix: Location, bytes_per_second: Option<u64>) -> Self {
        let name = name.trim_end_matches('/').to_owned();
        Self::new(Home::Remote { store: Remote::new(client, name, bytes_per_second), prefix })
    }

    fn new(home: Home) -> Self {
        let (claimed, damaged, stuck) = (Arc::default(), Arc::default(), Arc::default());
        let (unmerged, have_come, incomplete) = (Arc::default(), Arc::default(), Arc::default());
        Self { home, owner: None, claimed, damaged, unmerged, stuck, have_come, incomplete, on_questions: |_| {} }
    }

    /// The same place, of which somebody hears when questions begin to be answered (`true`), and when all have been: while they
    /// are, memory is taken and freed all the time.
    #[must_use]
    pub fn telling_of_questions(self, on_questions: fn(bool)) -> Self {
        Self { on_questions, ..self }
    }

    /// The same place, with commits that say whose they are.
    #[must_use]
    pub fn owned_by(self, owner: Owner) -> Self {
        Self { owner: Some(owner), ..self }
    }

    /// How many requests were made; `None` for a folder.
    pub fn requests(&self) -> Option<Requests> {
        match &self.home {
            Home::Folder { .. } => None,
            Home::Remote { store, .. } => Some(store.requests()),
        }
    }

    pub(crate) const fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// Removes what an earlier process was writing when it ended. In an object store nothing is ever half there.
    pub(crate) fn clean(&self) -> Result<(), Error> {
        let Home::Folder { disk, folder } = &self.home else { return Ok(()) };
        DiskStore::new(disk.clone(), folder).clean().map_err(|source| Error::Folder { source })?;
        Ok(())
    }

    /// The tables that there are, each with its tenant.
    pub(crate) async fn tables(&self) -> Result<Vec<(String, &'static Shape)>, Error> {
        let mut found = Vec::new();
        for name in self.names(&[]).await?.folders {
            let Some(tenant) = tenant_name(&name) else { continue };
            found.extend(self.tables_in(&name).await?.into_iter().map(|shape| (tenant.clone(), shape)));
        }
        Ok(found)
    }

    /// Whether a tenant has tables. Those that are being erased are none.
    ///
    /// # Errors
    ///
    /// When the place cannot be read.
    pub async fn has_tables(&self, tenant: &str) -> Result<bool, Error> {
        let since = self.failures();
        let found = self.tables_in(&folder_name(tenant)).await;
        found.map(|tables| !tables.is_empty()).map_err(|error| self.explained(since, error))
    }

    /// The tables in a tenant's folder.
    async fn tables_in(&self, folder: &str) -> Result<Vec<&'static Shape>, Error> {
        let Names { folders, is_going } = self.names(&[folder]).await?;
        let is_there = |shape: &&Shape| !is_going && folders.iter().any(|table| table == shape.name);
        Ok(SHAPES.into_iter().filter(is_there).collect())
    }

    /// What is in a folder, or in what an object store has for that. One that is not there has nothing; one that cannot be listed is
    /// an error, because what would be taken for no tables has been taken for no data.
    async fn names(&self, below: &[&str]) -> Result<Names, Error> {
        let mut names = Names::default();
        match &self.home {
            Home::Folder { disk, folder } => {
                let folder = below.iter().fold(folder.clone(), |folder, name| folder.join(name));
                for path in present(disk.list(&folder))?.unwrap_or_default() {
                    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
                    match present(disk.inspect(&path))? {
                        Some(found) if found.is_folder => names.folders.push(name.to_owned()),
                        // One that was listed can be gone by now.
                        found => names.is_going |= found.is_some() && name == GOING,
                    }
                }
            }
            Home::Remote { store, prefix } => {
                let below = below.iter().fold(prefix.clone(), |location, name| location.join(*name));
                let found = store.list_with_delimiter(Some(&below)).await?;
                names.folders =
                    found.common_prefixes.iter().filter_map(Location::filename).map(str::to_owned).collect();
                names.is_going = found.objects.iter().any(|object| object.location.filename() == Some(GOING));
            }
        }
        Ok(names)
    }

    /// The place of a tenant's table.
    pub(crate) fn table(&self, tenant: &str, shape: &Shape) -> Result<TablePlace, Error> {
        let names = [&folder_name(tenant), shape.name];
        let (name, own, root, url, log_folder) = match &self.home {
            Home::Folder { disk, folder } => {
                let folder = names.iter().fold(folder.clone(), |folder, name| folder.join(name));
                let own: Arc<dyn ObjectStore> = Arc::new(DiskStore::new(disk.clone(), &folder));
                let root: Arc<dyn ObjectStore> = Arc::new(DiskStore::new(disk.clone(), Path::new("/")));
                let log_folder = Some((disk.clone(), folder.join("_delta_log")));
                (folder.display().to_string(), own, root, folder_address(&folder)?, log_folder)
            }
            Home::Remote { store, prefix } => {
                let location = names.iter().fold(prefix.clone(), |location, name| location.join(*name));
                let own: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(store.clone(), location.clone()));
                let name = format!("{}/{}", store.name(), names.join("/"));
                (name, own, Arc::new(store.clone()) as Arc<dyn ObjectStore>, address(&location)?, None)
            }
        };
        let log = default_logstore(own, root, &url, &StorageConfig::default());
        Ok(TablePlace { name, log, place: self.clone(), log_folder })
    }

    /// Whether other processes may be writing there, by a clock of the store's own.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self.home, Home::Remote { .. })
    }

    /// A number to give to [`Place::explained`].
    pub(crate) fn failures(&self) -> u64 {
        match &self.home {
            Home::Folder { .. } => 0,
            Home::Remote { store, .. } => store.failures(),
        }
    }

    /// An error as the store's trouble, if the store had any since then: libraries between here and there make texts of
    /// errors, from which nothing can be told any more.
    pub(crate) fn explained(&self, since: u64, error: Error) -> Error {
        let Home::Remote { store, .. } = &self.home else { return error };
        let is_something_else = error.is_final()
            || error.is_of_the_question()
            || matches!(error, Error::Refused(_) | Error::Changed | Error::Column { .. } | Error::Features { .. });
        match store.trouble_since(since) {
            Some(trouble) if !is_something_else => Error::Trouble(trouble),
            _ => error,
        }
    }

    pub(crate) fn last_trouble(&self, since: u64) -> Option<Trouble> {
        match &self.home {
            Home::Folder { .. } => None,
            Home::Remote { store, .. } => store.trouble_since(since),
        }
    }

    /// All objects below it.
    pub(crate) fn store_of_all(&self) -> Arc<dyn ObjectStore> {
        match &self.home {
            Home::Folder { disk, folder } => Arc::new(DiskStore::new(disk.clone(), folder)),
            Home::Remote { store, prefix } => Arc::new(PrefixStore::new(store.clone(), prefix.clone())),
        }
    }

    /// The folder of all that a tenant has, where the lake is one.
    pub fn folder_of_tenant(&self, tenant: &str) -> Option<PathBuf> {
        match &self.home {
            Home::Folder { folder, .. } => Some(folder.join(folder_name(tenant))),
            Home::Remote { .. } => None,
        }
    }

    /// The folder of a tenant's table below it.
    pub(crate) fn folder_of(&self, tenant: &str, shape: &Shape) -> String {
        format!("{}/{}", folder_name(tenant), shape.name)
    }

    /// Remembers a file that cannot be read, until the process ends: a person puts it back, and starts again.
    pub(crate) fn found_damaged(&self, file: &str, why: &str) {
        let mut damaged = self.damaged.lock().expect("nobody panics holding it");
        if damaged.len() < DAMAGED_FILES_MAX {
            damaged.entry(self.whole_name(file)).or_insert_with(|| why.to_owned());
        }
    }

    /// A file's name as a person finds it: a store's own names have no `/` before them, of files neither.
    pub(crate) fn whole_name(&self, file: &str) -> String {
        match &self.home {
            Home::Folder { .. } => format!("/{}", file.trim_start_matches('/')),
            Home::Remote { .. } => file.to_owned(),
        }
    }

    /// The files that were found damaged.
    pub(crate) fn damaged(&self) -> Vec<Unread> {
        let damaged = self.damaged.lock().expect("nobody panics holding it");
        damaged.iter().map(|(file, why)| Unread { file: file.clone(), why: why.clone() }).collect()
    }

    /// Remembers a table's day whose files cannot become one, until the process ends: there are no more of them than days.
    pub(crate) fn leave_unmerged(&self, table: &str, day: &str) {
        self.unmerged.lock().expect("nobody panics holding it").insert((table.to_owned(), day.to_owned()));
    }

    /// The days of a table whose files cannot become one.
    pub(crate) fn unmerged(&self, table: &str) -> BTreeSet<String> {
        let unmerged = self.unmerged.lock().expect("nobody panics holding it");
        unmerged.iter().filter(|(of, _)| of == table).map(|(_, day)| day.clone()).collect()
    }

    pub(crate) fn claim(&self, table: &str) {
        self.claimed.lock().expect("nobody panics holding it").insert(table.to_owned());
    }

    pub(crate) fn is_claimed(&self, table: &str) -> bool {
        self.claimed.lock().expect("nobody panics holding it").contains(table)
    }
}

impl TablePlace {
    /// Whether there is a table.
    pub(crate) async fn is_table(&self) -> Result<bool, Error> {
        self.log.is_delta_table_location().await.map_err(failed(&self.name, "opened"))
    }

    /// Something that only a table leaves: a file with rows, or what is saved beside them.
    pub(crate) async fn remains(&self) -> Result<Option<String>, Error> {
        let mut objects = self.log.object_store(None).list(None);
        while let Some(object) = objects.try_next().await? {
            if is_data(object.location.as_ref()) || object.location.as_ref() == SAVED {
                return Ok(Some(object.location.to_string()));
            }
        }
        Ok(None)
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&match &self.home {
            Home::Folder { folder, .. } => folder.display().to_string(),
            Home::Remote { store, .. } => store.name().to_owned(),
        })
    }
}

/// What is in a folder.
#[derive(Default)]
struct Names {
    folders: Vec<String>,
    /// All of it is being erased: half of a table is none.
    is_going: bool,
}

/// What the disk says of what need not be there.
fn present<T>(found: std::io::Result<T>) -> Result<Option<T>, Error> {
    match found {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some).map_err(|source| Error::Folder { source }),
    }
}

/// The scheme is ours: for files, the library would look at the disk past our own.
fn folder_address(folder: &Path) -> Result<Url, Error> {
    let no = || Error::Refused(format!("{} is no absolute path", folder.display()));
    let file = Url::from_directory_path(folder).map_err(|()| no())?;
    Url::parse(&format!("{ADDRESS}{}", file.path())).map_err(|_| no())
}

fn address(location: &Location) -> Result<Url, Error> {
    let no = |error: String| Error::Refused(format!("the lake's prefix cannot be {location}: {error}"));
    let mut url = Url::parse(ADDRESS).map_err(|error| no(error.to_string()))?;
    let mut parts = url.path_segments_mut().map_err(|()| no("it is no path".to_owned()))?;
    let names: Vec<path::PathPart<'_>> = location.parts().collect();
    parts.clear().extend(names.iter().map(AsRef::<str>::as_ref)).push("");
    drop(parts);
    Ok(url)
}

/// An object of this name beside a tenant's tables says that all of them are being erased.
pub(crate) const GOING: &str = "erasing";
/// Each is looked at by a person: after so many, more of them say nothing new.
const DAMAGED_FILES_MAX: usize = 1000;
const SHAPES: [&Shape; 3] = [&RECORDS, &FRAMES, &EVENTS];
/// What stands before a path in the addresses that the library sees.
const ADDRESS: &str = "odograph://lake";
