//! Erases what a device sent, or all of a tenant, wherever it lies.
//!
//! The order is durable in the journal before anything goes. From then on each step is done again from the beginning until all
//! of them were: after a kill, the next start goes on. What it means for people: `docs/operating/erasing.md`.
//!
//! 1. The catalog and the list of devices forget it, and its connection ends.
//! 2. The journal's segment ends, so that all that it sent is sealed; then the order is given.
//! 3. Its entries are overwritten, and the names of its devices go from the indexes.
//! 4. History is closed; its rows go from all tables, with older files, the log's entries, and what is saved of devices.
//! 5. The order is done, and no longer says whose it was.

use crate::config::Config;
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use crate::history::Metering;
use crate::server;
use anyhow::{Context as _, Result, bail};
use compact_str::CompactString;
use odograph_catalog::{Access, Catalog, Error as CatalogError, TenantChange};
use odograph_env::{Clock, SystemRng};
use odograph_ingest::{Roster, State};
use odograph_journal::{Erasure, Identity, Part, Reader, Whose};
use odograph_lake::{ErasedOf, ErasedRows, SegmentsOf};
use odograph_live::Live;
use odograph_model::{Lsn, Time};
use odograph_protocols::Binding;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Whose data is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    pub(crate) tenant: CompactString,
    /// Under its first id; without one, all that the tenant has.
    pub(crate) device: Option<CompactString>,
}

/// What is asked of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseQuery {
    pub(crate) of: Of,
    /// Do it.
    pub(crate) yes: bool,
}

/// What would be erased, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Entries of the journal.
    pub(crate) entries: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    pub(crate) segments: u64,
    /// Rows of history.
    pub(crate) records: u64,
    pub(crate) frames: u64,
    pub(crate) events: u64,
    /// Files of tables that are written again, or go.
    pub(crate) files: u64,
    pub(crate) days: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Erased {
    pub(crate) load: Load,
    /// The order that was carried out; nothing: it was only looked at.
    pub(crate) order: Option<u64>,
}

/// What an erasure needs of a data folder.
#[derive(Clone)]
pub(crate) struct Erasing {
    pub(crate) reader: Reader,
    pub(crate) lake: odograph_lake::Place,
    /// The lake, where it is a folder.
    pub(crate) lake_folder: PathBuf,
    pub(crate) node: u16,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whoever removes segments has it meanwhile.
    pub(crate) removing: Arc<Mutex<()>>,
}

impl Erasing {
    /// How much there is, as far as it is in the journal and in files.
    pub(crate) fn load(&self, of: &Of) -> Result<Load> {
        let load = self.with_whose(of, &SegmentsOf::new(), |whose| Ok(self.reader.would_erase(whose)?))?;
        let ErasedRows { records, frames, events, files, days } = self.lake.would_erase(self.node, rows_of(of))?;
        let (entries, bytes, segments) = (load.entries, load.bytes, load.segments);
        Ok(Load { entries, bytes, segments, records, frames, events, files, days })
    }

    /// Gives the order, durably. All before `until` is sealed.
    pub(crate) fn order(&self, of: &Of, until: Lsn) -> Result<u64> {
        let order = self.reader.order_erasure(self.clock.now(), until, &serde_json::to_vec(of)?)?;
        tracing::warn!(order, tenant = %of.tenant, "an erasure is ordered: it is carried out, whatever happens");
        Ok(order)
    }

    /// The orders that are not done, and whose they are.
    pub(crate) fn pending(&self) -> Result<Vec<(u64, Of)>> {
        let open = self.reader.erasures()?.into_iter().filter(|order| order.done.is_none());
        open.map(|order| {
            let of = serde_json::from_slice(&order.subject);
            Ok((order.order, of.context("an order to erase is not one that this version can read")?))
        })
        .collect()
    }

    /// What the journal has of it goes.
    pub(crate) fn journal(&self, order: u64, of: &Of) -> Result<Erasure> {
        let _removing = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
        // Of segments that were removed only names are left: history knows whose they were.
        let held = match self.reader.removed()? > Lsn(0) {
            true => self.lake.segments_of_frames(&of.tenant, of.device.as_deref())?,
            false => SegmentsOf::new(),
        };
        self.with_whose(of, &held, |whose| Ok(self.reader.erase(order, whose)?))
    }

    /// What history has of it goes. Nobody may have it open.
    pub(crate) fn history(&self, of: &Of) -> Result<()> {
        self.lake.erase(self.node, rows_of(of), Time(self.clock.now()))?;
        if of.device.is_none() {
            // Without it, tables that are gone would be made anew, empty.
            remove_folder(&self.lake_folder.join(of.tenant.as_str()))?;
        }
        Ok(())
    }

    /// All is done.
    pub(crate) fn finish(&self, order: u64) -> Result<()> {
        self.reader.finish_erasure(order, self.clock.now())?;
        tracing::warn!(order, "an erasure is done");
        Ok(())
    }

    fn with_whose<R>(&self, of: &Of, held: &SegmentsOf, work: impl FnOnce(&Whose<'_>) -> Result<R>) -> Result<R> {
        let belongs = |identity: Identity<'_>| {
            Binding::read(identity.device, identity.decision).is_ok_and(|binding| binding.tenant == of.tenant)
        };
        let removed = |name: &str, segment: Lsn| {
            let of_segment = (name.to_owned(), segment);
            let has = |tenant: &str| held.get(tenant).is_some_and(|held| held.contains(&of_segment));
            let others = held.keys().any(|tenant| *tenant != of.tenant && has(tenant));
            match (has(&of.tenant), others) {
                (true, true) => Part::Some,
                (true, false) => Part::All,
                // Of a device whose rows are not kept any more, nobody knows but whoever names it.
                (false, false) if of.device.is_some() => Part::All,
                (false, _) => Part::Nothing,
            }
        };
        work(&Whose { device: of.device.as_deref(), belongs: &belongs, removed: &removed })
    }
}

/// The names under which a device may be known are those of its tenant: its first id counts.
pub(crate) fn resolved(roster: &Roster, of: Of) -> Result<Of> {
    let Some(id) = &of.device else { return Ok(of) };
    match roster.get(Some(&of.tenant), id) {
        Some(known) if known.state == State::Configured => {
            let what = format!("{id} is a device of the configuration: take it out there, and erase it then");
            Err(Failure::new(Status::Usage, what).into())
        }
        Some(known) => Ok(Of { device: Some(known.device), ..of }),
        None => Ok(of),
    }
}

/// Refuses what cannot be erased as a whole.
pub(crate) fn check(config: &Config, of: &Of) -> Result<()> {
    if of.device.is_none() && config.named_tenants().any(|tenant| tenant == of.tenant) {
        let what = format!("{} is a tenant of the configuration: take it out there, and erase it then", of.tenant);
        return Err(Failure::new(Status::Usage, what).into());
    }
    if of.device.is_none() && of.tenant == DEFAULT {
        let what = "the tenant default also has what is nobody's: erase its devices one after the other";
        return Err(Failure::new(Status::Usage, what).into());
    }
    Ok(())
}

/// The catalog forgets it. Gives all ids that it had.
pub(crate) async fn forget(catalog: &Catalog, of: &Of) -> Result<()> {
    match &of.device {
        Some(device) => {
            match catalog.within(&Access::owner(&of.tenant)).erase_device(device, catalog.is_shared()).await {
                // A tenant that nobody made: there is nothing of it.
                Err(CatalogError::NotFound { .. }) => {}
                done => drop(done?),
            }
        }
        None => {
            let access = Access::owner(DEFAULT);
            let tenants = catalog.tenants(&access);
            let off = TenantChange { disabled: Some(true), ..TenantChange::default() };
            match tenants.update(&of.tenant, off).await {
                Err(CatalogError::NotFound { .. }) => {}
                done => {
                    done?;
                    tenants.delete(&of.tenant).await?;
                }
            }
        }
    }
    Ok(catalog.forget_deleted().await?)
}

/// Live state forgets it.
pub(crate) fn forget_live(live: &Live, of: &Of) {
    match &of.device {
        Some(device) => drop(live.forget(&of.tenant, device)),
        None => drop(live.forget_tenant(&of.tenant)),
    }
}

/// Erases in a folder that this process has to itself.
pub(crate) fn alone(config: &Config, folder: &Folder, of: Of, yes: bool) -> Result<Erased> {
    let clock: Arc<dyn Clock> = Arc::new(odograph_env::SystemClock::new());
    let Some(reader) = folder.reader(config.journal.node)? else {
        let what = format!("there is no journal in {}: nothing was ever received", folder.path().display());
        return Err(Failure::new(Status::NoInput, what).into());
    };
    let place = crate::history::Place::new(config, folder, reader.clone(), clock.clone())?;
    let erasing = place.erasing(folder, config.journal.node, clock, Arc::default());
    let of = resolved(&folder.roster(config, Some(&reader))?.0, of)?;
    let load = erasing.load(&of)?;
    if !yes {
        return Ok(Erased { load, order: None });
    }
    // What a kill cut short comes first: what is half overwritten cannot be read.
    for (order, of) in erasing.pending()? {
        carry_out_alone(&erasing, folder, place.metering(), order, &of)?;
    }
    crate::catalog::with(config, async |catalog| forget(catalog, &of).await)?;
    // Opens the journal and closes it again: then all of it is sealed.
    server::with_intake(config, folder, |roster, intake, _| {
        Ok(roster.erase(&of.tenant, of.device.as_deref(), intake.journal.durable())?)
    })?;
    let end = sealed_end(&reader)?;
    let order = erasing.order(&of, end)?;
    carry_out_alone(&erasing, folder, place.metering(), order, &of)?;
    Ok(Erased { load, order: Some(order) })
}

/// The steps behind the order, where no server runs.
fn carry_out_alone(erasing: &Erasing, folder: &Folder, metering: &Metering, order: u64, of: &Of) -> Result<()> {
    erasing.journal(order, of)?;
    metering.erase(&of.tenant, of.device.as_deref(), None)?;
    rewrite_live(&folder.live(), of)?;
    erasing.history(of)?;
    erasing.finish(order)
}

/// Takes it out of the file of rare values.
fn rewrite_live(path: &Path, of: &Of) -> Result<()> {
    use odograph_env::Rng as _;
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let mut random = [0; 8];
    SystemRng.fill(&mut random);
    let live = Live::new(u64::from_le_bytes(random), odograph_live::Options::default());
    live.restore(&bytes);
    forget_live(&live, of);
    let mut written = Vec::new();
    live.snapshot(|piece| {
        written.extend_from_slice(piece);
        Ok::<_, std::io::Error>(())
    })?;
    std::fs::write(path, written).with_context(|| format!("cannot write {}", path.display()))
}

fn remove_folder(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Where the sealed segments end.
pub(crate) fn sealed_end(reader: &Reader) -> Result<Lsn> {
    Ok(reader.seals()?.into_iter().flatten().last().map_or(Lsn(0), |seal| seal.end))
}

/// Waits until everything before a place is sealed.
pub(crate) fn wait_sealed(reader: &Reader, until: Lsn) -> Result<()> {
    for _ in 0..SEAL_LOOKS {
        // The place behind the last entry may be the header of a segment that was not begun.
        if sealed_end(reader)? >= until {
            return Ok(());
        }
        std::thread::sleep(SEAL_PAUSE);
    }
    bail!(
        "the journal does not seal what it has: its disk may be full. Nothing was erased of what it sent; try again later"
    )
}

fn rows_of(of: &Of) -> ErasedOf<'_> {
    ErasedOf { tenant: &of.tenant, device: of.device.as_deref() }
}

const DEFAULT: &str = "default";
/// A minute: a segment of 256 MiB is hashed in some seconds.
const SEAL_LOOKS: u32 = 1200;
const SEAL_PAUSE: Duration = Duration::from_millis(50);
