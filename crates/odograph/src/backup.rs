//! Backups of a data folder: in which order its parts are looked at, so that they belong together, by a server while devices
//! send, or by a command that has the folder to itself.
//!
//! 1. Nothing is deleted by itself from now on: segments, files of tables, entries of their logs.
//! 2. The journal's cursors, the list of devices, the rare values: each says itself what it stands for, and what comes later is
//!    found in the journal.
//! 3. The versions of all tables. Each says up to where it has the journal.
//! 4. The durable mark. It is not before any of that, and everything that was acknowledged is before it: this is the moment of the backup.
//! 5. The catalog, and the journal up to the mark.
//!
//! All that is immutable from here on, or a part that does not change; it is sent, and the manifest after it.

mod place;
mod prepared;

pub(crate) use place::{At, OwnedTarget};

use crate::config::{Config, Loaded, rows};
use crate::erase::refuse_backup;
use crate::exit::{Failure, Status};
use crate::export::Sink;
use crate::folder::Folder;
use crate::history;
use anyhow::{Context as _, Result, anyhow};
use odograph_backup::{Absence, Content, Item, JournalPart, LakePart, Manifest, Progress, Sent, Settings, Source};
use odograph_env::{Clock, Disk as _, LocalDisk, SystemRng};
use odograph_journal::{CopyPart, Reader};
use odograph_lake::{Hold, Need, Pinned};
use odograph_model::{Lsn, Time};
use odograph_wire::notation::to_hex;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What to back up, and where to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupQuery {
    pub(crate) to: At,
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) read_all: bool,
}

/// What goes out while it is made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line {
    Progress(Progress),
    /// So many rows of the catalog were copied.
    Catalog(u64),
    Done(Box<Done>),
    Error(String),
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Everything that was acknowledged before is in it.
    pub(crate) time: String,
    pub(crate) until: Option<u64>,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    pub(crate) sent: Sent,
    pub(crate) catalog: String,
    /// Files that were missing already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<String>,
}

/// What is backed up, for as long as the process lives.
pub(crate) struct Home {
    folder: Folder,
    node: u16,
    lake: odograph_lake::Place,
    catalog: String,
    /// As people are shown it: without secrets.
    configuration: Vec<u8>,
    clock: Arc<dyn Clock>,
    pub(crate) hold: Hold,
    /// Whoever removes segments has it meanwhile.
    pub(crate) removing: Arc<Mutex<()>>,
}

impl Home {
    pub(crate) fn new(loaded: &Loaded, clock: Arc<dyn Clock>) -> Result<Self> {
        let (config, folder) = (&loaded.config, Folder::of(&loaded.config));
        let lake = history::lake(config, &folder)?;
        let configuration = serde_json::to_vec_pretty(&rows(loaded))?;
        let (node, catalog) = (config.journal.node, catalog_address(config, &folder));
        Ok(Self { folder, node, lake, catalog, configuration, clock, hold: Hold::default(), removing: Arc::default() })
    }

    /// The folder itself.
    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where the catalog is, as [`Catalog::open`](odograph_catalog::Catalog::open) takes it.
    pub(crate) fn catalog_url(&self) -> &str {
        &self.catalog
    }

    /// Makes a backup. Everything that is to be told goes to `out`, and so does an error. `durable` is a running server's mark.
    pub(crate) fn back_up(&self, query: &BackupQuery, durable: Option<&Mark>, out: &mut dyn Sink) -> Result<()> {
        let last = match self.make(query, durable, out) {
            Ok(manifest) => {
                let done = done(&manifest);
                tracing::info!(
                    to = query.to.to,
                    time = done.time,
                    files = done.files,
                    bytes = done.bytes,
                    "a backup was made"
                );
                Line::Done(done)
            }
            Err(error) => {
                tracing::error!(to = query.to.to, "no backup was made: {error:#}");
                if out.is_gone() {
                    return Ok(());
                }
                Line::Error(format!("{error:#}"))
            }
        };
        tell(&last, out)?;
        Ok(out.flush()?)
    }

    /// On a thread of its own, which everyone else comes before, and which waits for nobody who reads how far it is.
    fn make(&self, query: &BackupQuery, durable: Option<&Mark>, out: &mut dyn Sink) -> Result<Manifest> {
        let (sender, reached) = sync_channel(1);
        let is_gone = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let gone = &is_gone;
            let work = move || {
                odograph_env::yield_to_others();
                self.work(query, durable, &Screen { sender, gone })
            };
            let worker = std::thread::Builder::new().name("backup".to_owned()).spawn_scoped(scope, work)?;
            loop {
                let told = match reached.recv_timeout(LOOK) {
                    Ok(line) => tell(&line, out).and_then(|()| Ok(out.flush()?)),
                    Err(RecvTimeoutError::Timeout) => Ok(()),
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                if told.is_err() || out.is_gone() {
                    is_gone.store(true, Ordering::Release);
                }
            }
            worker
                .join()
                .unwrap_or_else(|_| Err(anyhow!("the program has a flaw, please report it: its log says more")))
        })
    }

    fn work(&self, query: &BackupQuery, durable: Option<&Mark>, screen: &Screen<'_>) -> Result<Manifest> {
        query.to.apart_from(self.folder.path())?;
        let target = query.to.target(self.clock.clone())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _holding = Holding(self.hold.clone());
        let made = runtime.block_on(self.run(&target, query, durable, screen));
        let _ = std::fs::remove_file(self.copied_catalog());
        made.map_err(|error| target.explained(error))
    }

    async fn run(
        &self,
        target: &OwnedTarget,
        query: &BackupQuery,
        durable: Option<&Mark>,
        screen: &Screen<'_>,
    ) -> Result<Manifest> {
        // Whoever erases has the seat of backups, so none is ordered while this one is made.
        refuse_backup(self.journals()?.iter().map(|(_, reader)| reader))?;
        let reader = self.folder.reader(self.node)?;
        let key = reader.as_ref().and_then(|reader| reader.public_key().ok()).map(|key| to_hex(&key));
        let settings = Settings { bytes_per_second: query.bytes_per_second, read_all: query.read_all };
        let mut backup = target.target.begin(key.as_deref(), settings, &SystemRng).await?;
        // Nobody else writes there now, so what is half written was left by somebody who died.
        target.clean();
        self.keep();
        // What began to remove segments before it saw that, ends first.
        drop(self.removing.lock().unwrap_or_else(PoisonError::into_inner));
        let plan = match self.prepared(key, durable, &mut backup, screen).await {
            Ok(plan) => plan,
            Err(error) => {
                backup.give_up().await;
                return Err(error);
            }
        };
        let (mut last, mut told) = (Progress::default(), Duration::ZERO);
        let mut look = |progress: Progress| {
            let now = self.clock.monotonic();
            if !self.hold.is_on(now) {
                return Err(LAPSED.to_owned());
            }
            if progress != last {
                // Only what gets on holds anything.
                self.keep();
                last = progress;
            }
            if now.saturating_sub(told) >= TELL {
                told = now;
                // One that finds no room is followed by another.
                let _ = screen.sender.try_send(Line::Progress(progress));
            }
            if screen.gone.load(Ordering::Acquire) { Err(GONE.to_owned()) } else { Ok(()) }
        };
        Ok(backup.make(plan.time, plan.source, plan.items, &mut look).await?)
    }

    /// Nothing is deleted by itself, for some time.
    fn keep(&self) {
        self.hold.until(self.clock.monotonic() + HOLD);
    }

    /// Looks at everything. `reached` is told how many rows of the catalog were copied.
    async fn plan(&self, key: Option<String>, durable: Option<&Mark>, reached: &dyn Fn(u64)) -> Result<Plan> {
        let mut items = vec![Item::of(CONFIGURATION, self.configuration.clone())];
        let journals = self.journals()?;
        for (node, reader) in &journals {
            items.extend(reader.copy_of_cursors()?.map(|part| journal_item(*node, part)).transpose()?);
        }
        for path in [self.folder.devices(), self.folder.live()] {
            items.extend(opened(&path)?);
        }
        let since = self.lake.troubles();
        let pinned = self.lake.pinned().await.map_err(|error| match self.lake.trouble_since(since) {
            Some(trouble) => anyhow::Error::from(trouble),
            None => error.into(),
        });
        let pinned = pinned.context("history cannot be read")?;
        // What tenants used is counted ahead of what the tables have, and not ahead of the journal.
        for (node, _) in &journals {
            let usage = opened(&self.folder.usage(*node))?;
            items.extend(usage.map(|item| Item { path: format!("usage/{node}.jsonl"), ..item }));
            // Where this is restored, nobody comes to what was passed over.
            let lacks = opened(&self.folder.lacks(*node))?;
            items.extend(lacks.map(|item| Item { path: format!("reach/{node}.lacks.json"), ..item }));
            // It is ahead of the cursors, which were copied before.
            let waits = opened(&self.folder.waits(*node))?;
            items.extend(waits.map(|item| Item { path: format!("reach/{node}.waits.json"), ..item }));
        }
        let tables = pinned.iter().map(|table| (table.folder.clone(), table.version)).collect();
        // The time first: what was acknowledged before it is before the mark.
        let time = Time(self.clock.now());
        let until = durable.map(|durable| durable());
        let catalog = self.catalog(&mut items, reached).await?;
        for (node, reader) in &journals {
            let until = until.filter(|_| *node == self.node);
            for part in reader.copy_parts(until)? {
                items.push(journal_item(*node, part)?);
            }
        }
        pinned.into_iter().for_each(|table| self.table(table, &mut items));
        let journal = key.map(|key| JournalPart { key, until: until.map(|until| until.0) });
        let lake = LakePart { place: format!("{:?}", self.lake), tables };
        Ok(Plan { time, source: Source { node: self.node, journal, lake, catalog }, items })
    }

    /// The journals of all nodes that there ever were in this folder: each number has one.
    fn journals(&self) -> Result<Vec<(u16, Reader)>> {
        let mut all = Vec::new();
        for node in self.folder.nodes()? {
            all.extend(self.folder.reader(node)?.map(|reader| (node, reader)));
        }
        Ok(all)
    }

    /// Copies the catalog, and says where it is.
    async fn catalog(&self, items: &mut Vec<Item>, reached: &dyn Fn(u64)) -> Result<String> {
        let copy = self.copied_catalog();
        match std::fs::remove_file(&copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context("the last copy of the catalog");
            }
            _ => {}
        }
        let copied = odograph_catalog::copy(&self.catalog, &copy, reached).await;
        // Whose disk is full, if one is, depends on where the catalog is: the copy has its place in any case.
        if !copied.with_context(|| format!("the catalog cannot be copied to {}", copy.display()))? {
            return Ok("none".to_owned());
        }
        let mut item = opened(&copy)?.context("the copy of the catalog has gone")?;
        item.path = CATALOG.to_owned();
        items.push(item);
        Ok(if self.catalog.starts_with("sqlite:") { "sqlite" } else { "postgres" }.to_owned())
    }

    /// Beside where a catalog is in a folder: both are gone with it.
    fn copied_catalog(&self) -> PathBuf {
        self.folder.catalog().with_extension("copy")
    }

    fn table(&self, table: Pinned, items: &mut Vec<Item>) {
        let store = self.lake.objects();
        if let Some((path, content)) = table.saved {
            items.push(Item::of(format!("{LAKE}{path}"), content));
        }
        for object in table.objects {
            let location = object_store::path::Path::from(object.path.as_str());
            items.push(Item {
                path: format!("{LAKE}{}", object.path),
                bytes: object.bytes,
                modified: object.modified,
                content: Content::Object(store.clone(), location),
                absence: match object.need {
                    Need::Version => Absence::Error,
                    // History without a file that is lost already is better than none.
                    Need::Rows => Absence::Told,
                    Need::Start => Absence::Harmless,
                },
            });
        }
    }
}

/// A running server's durable mark.
pub(crate) type Mark = dyn Fn() -> Lsn + Sync;

/// Whoever is told how far it is.
struct Screen<'a> {
    sender: SyncSender<Line>,
    gone: &'a AtomicBool,
}

struct Plan {
    time: Time,
    source: Source,
    items: Vec<Item>,
}

fn done(manifest: &Manifest) -> Box<Done> {
    let header = &manifest.header;
    Box::new(Done {
        time: header.time.to_string(),
        until: header.source.journal.as_ref().and_then(|journal| journal.until),
        files: manifest.files.len(),
        bytes: manifest.bytes(),
        sent: header.sent,
        catalog: header.source.catalog.clone(),
        missing: header.missing.clone(),
    })
}

fn tell(line: &Line, out: &mut dyn Sink) -> Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(out.write(&text)?)
}

fn catalog_address(config: &Config, folder: &Folder) -> String {
    match &config.catalog.url {
        Some(url) => url.0.clone(),
        None => format!("sqlite:{}", folder.catalog().display()),
    }
}

fn journal_item(node: u16, part: CopyPart) -> Result<Item> {
    let path = format!("{JOURNAL}{node}/{}", name(&part.path));
    if let Some(content) = part.content {
        return Ok(Item::of(path, content));
    }
    let found = LocalDisk.inspect(&part.path).with_context(|| format!("cannot read {}", part.path.display()))?;
    let content = Content::File(Arc::new(LocalDisk), part.path);
    Ok(Item { path, bytes: part.bytes, modified: Some(found.modified), content, absence: Absence::Error })
}

/// A file that is replaced now and then as it is now.
fn opened(path: &Path) -> Result<Option<Item>> {
    let cannot = || format!("cannot read {}", path.display());
    let file = match LocalDisk.open_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.with_context(cannot)?,
    };
    let bytes = file.length().with_context(cannot)?;
    Ok(Some(Item { path: name(path), bytes, modified: None, content: Content::Open(file), absence: Absence::Error }))
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whoever holds what is deleted, until the end.
struct Holding(Hold);

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// The error for a folder that a restore left half done.
pub(crate) fn half_restored(folder: &Path) -> Failure {
    let folder = folder.display();
    Failure::new(
        Status::NoInput,
        format!(
            "a restore into {folder} has not ended, so what is there is not whole: run the same `odograph restore` again"
        ),
    )
}

/// What stands in a folder while something is restored into it.
pub(crate) const MARK: &str = "restore.incomplete";
/// What the paths of a backup's parts begin with, as in the data folder.
pub(crate) const JOURNAL: &str = "journal/";
const LAKE: &str = "lake/";
/// The catalog, wherever it was: a file of SQLite, as it is in a data folder.
pub(crate) const CATALOG: &str = "catalog.sqlite";
/// What was configured, for whoever sets up another machine.
const CONFIGURATION: &str = "configuration.json";

/// Nothing is deleted for so long after the last piece went: longer than a piece ever takes, and no longer than a disk can bear.
const HOLD: Duration = Duration::from_secs(600);
const GONE: &str = "whoever asked for it has gone";
const LAPSED: &str = "nothing could be sent for ten minutes, so what was kept for it may be gone";
/// Often enough for a person.
const TELL: Duration = Duration::from_millis(200);
/// How soon it is noticed that nobody listens any more.
const LOOK: Duration = Duration::from_secs(1);
