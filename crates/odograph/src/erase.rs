//! Erases what a device sent, or all of a tenant, wherever it lies. Only a running server does that: it alone knows how far history has
//! read, and can keep the device out meanwhile.
//!
//! Before the order, nothing is changed: it is looked whether anything is shared with others, which cannot go; the device is kept out
//! and its connection ends; the journal's segment ends; and history reads and commits all before that. From the order on each step is
//! done again from the beginning until all of them were: after a kill, the next start goes on, with the device kept out. What it means
//! for people: `docs/operating/erasing.md`.
//!
//! 1. The order is durable.
//! 2. The catalog and the list of devices forget it.
//! 3. Its entries are overwritten, and the names of its devices go from the indexes.
//! 4. History is closed; its rows go from all tables, with older files, the log's entries, and what is saved of devices.
//! 5. The order is done, and no longer says whose it was; the device may come again.

mod known;
mod open;
mod shared;
mod turns;

use crate::config::Config;
use crate::exit::{Failure, Status};
use anyhow::{Context as _, Result, bail};
use compact_str::CompactString;
pub(crate) use known::check_names;
pub(crate) use odograph_api::{Erased, ErasedLoad as Load};
use odograph_catalog::{Access, Catalog, Error as CatalogError};
use odograph_env::{Clock, Disk as _, LocalDisk};
use odograph_ingest::{Roster, State};
use odograph_journal::{CursorStore, Erasure, Identity, Part, Reader, Whose};
use odograph_lake::{ErasedOf, ErasedRows, HeldSegments};
use odograph_live::Live;
use odograph_model::{Lsn, Time};
use odograph_protocols::Binding;
pub(crate) use open::{kept_out, refuse_backup};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
pub(crate) use turns::{Busy, Turns};

/// Whose data is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    pub(crate) tenant: CompactString,
    /// Under its first id; without one, all that the tenant has.
    pub(crate) device: Option<CompactString>,
}

/// What an order says, as long as it is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    pub(crate) of: Of,
    /// All that the device calls itself: under none of it may it come meanwhile.
    pub(crate) ids: Vec<CompactString>,
    /// When the last of what goes was received, in milliseconds since 1970 UTC: history has no places of the journal.
    pub(crate) received_to: Option<i64>,
}

/// An order that is not done.
pub(crate) struct Pending {
    pub(crate) order: u64,
    /// All before this place goes.
    pub(crate) until: Lsn,
    pub(crate) subject: Subject,
}

/// What is asked of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseQuery {
    pub(crate) of: Of,
    /// Do it.
    pub(crate) yes: bool,
}

/// What an erasure needs of a data folder.
#[derive(Clone)]
pub(crate) struct Erasing {
    pub(crate) reader: Reader,
    pub(crate) lake: odograph_lake::Place,
    /// The journal's folder.
    pub(crate) journal: PathBuf,
    pub(crate) node: u16,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whoever removes segments has it meanwhile.
    pub(crate) removing: Arc<Mutex<()>>,
}

impl Erasing {
    /// How much there is, as far as it is in the journal and in files.
    pub(crate) fn load(&self, of: &Of) -> Result<Load> {
        let load =
            self.with_whose(of, &HeldSegments::default(), &|| true, |whose| Ok(self.reader.would_erase(whose)?))?;
        let ErasedRows { records, frames, events, files, days } =
            self.lake.would_erase(self.node, rows_of(of, None))?;
        let (entries, bytes, segments) = (load.entries, load.bytes, load.segments);
        Ok(Load { entries, bytes, segments, records, frames, events, files, days })
    }

    /// Gives the order, durably. All before `until` is sealed, and in history.
    pub(crate) fn order(&self, subject: &Subject, until: Lsn) -> Result<u64> {
        // Of a tenant, each of its devices; one has one leaf in a segment, whatever it is called.
        let devices = subject.of.device.as_ref().map_or(subject.ids.len(), |_| 1);
        let order = self.reader.order_erasure(self.clock.now(), until, &serde_json::to_vec(subject)?, devices)?;
        tracing::warn!(order, tenant = %subject.of.tenant, "an erasure is ordered: it is carried out, whatever happens");
        Ok(order)
    }

    /// When the last of it was received that there is now: all of it must be in files, and no more may come.
    pub(crate) fn received_last(&self, of: &Of) -> Result<Time> {
        let last = self.lake.received_last(self.node, rows_of(of, None))?;
        // A clock may have been set back since.
        Ok(last.unwrap_or_default().max(Time(self.clock.now())))
    }

    /// The orders that are not done.
    pub(crate) fn pending(&self) -> Result<Vec<Pending>> {
        let open = self.reader.erasures()?.into_iter().filter(|order| order.done.is_none());
        open.map(|order| {
            let subject = serde_json::from_slice(&order.subject);
            let subject = subject.context("an order to erase is not one that this version can read")?;
            Ok(Pending { order: order.order, until: order.until, subject })
        })
        .collect()
    }

    /// Whether everyone who reads the journal is done with all before a place, durably: what is overwritten nobody reads again.
    pub(crate) fn is_read(&self, until: Lsn) -> Result<bool> {
        let cursors = CursorStore::open(Arc::new(LocalDisk), &self.journal)?;
        Ok(cursors.least().is_some_and(|least| least >= until))
    }

    /// What the journal has of it goes, unless `goes_on` says otherwise. Everyone must have read it: see [`Erasing::is_read`].
    pub(crate) fn journal(&self, pending: &Pending, goes_on: &dyn Fn() -> bool) -> Result<Erasure> {
        let Pending { order, until, subject: Subject { of, .. } } = pending;
        if !self.is_read(*until)? {
            bail!("history has not read all that order {order} is about: nothing is overwritten before");
        }
        let held = self.held(of, *until, goes_on)?;
        let goes_on = || {
            // Whoever removes segments has waited for this: without a pause, the lock would be taken again before they see it.
            std::thread::sleep(OTHERS_TURN);
            goes_on()
        };
        self.with_whose(of, &held, &goes_on, |whose| Ok(self.reader.erase(*order, whose, &self.removing)?))
    }

    /// In which segments before a place its names stand. Of segments that were removed, or will be before they are overwritten, names
    /// are all that is left, and history knows whose they were. Looked at before the order, too: what cannot be told is not ordered.
    pub(crate) fn held(&self, of: &Of, until: Lsn, goes_on: &dyn Fn() -> bool) -> Result<HeldSegments> {
        let device = of.device.as_deref();
        Ok(self.lake.segments_of_frames(self.node, until, &of.tenant, device, goes_on)?)
    }

    /// Finishes the segment that a kill left half overwritten, if there is one: nobody can read it before. All others can wait.
    pub(crate) fn finish_begun(&self, pending: &Pending) -> Result<()> {
        let Pending { order, subject: Subject { of, .. }, .. } = pending;
        self.with_whose(of, &HeldSegments::default(), &|| true, |whose| {
            Ok(self.reader.finish_begun(*order, whose, &self.removing)?)
        })
    }

    /// What history has of it goes. Nobody may have it open.
    pub(crate) fn history(&self, subject: &Subject) -> Result<()> {
        let Subject { of, received_to, .. } = subject;
        self.lake.erase(self.node, rows_of(of, received_to.map(Time)), Time(self.clock.now()))?;
        if of.device.is_none() {
            // Without it, tables that are gone would be made anew, empty.
            self.lake.folder_of_tenant(&of.tenant).map_or(Ok(()), |folder| remove_folder(&folder))?;
        }
        Ok(())
    }

    /// All is done.
    pub(crate) fn finish(&self, order: u64) -> Result<()> {
        self.reader.finish_erasure(order, self.clock.now())?;
        tracing::warn!(order, "an erasure is done");
        Ok(())
    }

    fn with_whose<R>(
        &self,
        of: &Of,
        held: &HeldSegments,
        goes_on: &dyn Fn() -> bool,
        work: impl FnOnce(&Whose<'_>) -> Result<R>,
    ) -> Result<R> {
        let belongs = |identity: Identity<'_>| {
            Binding::read(identity.device, identity.decision).is_ok_and(|binding| binding.tenant == of.tenant)
        };
        let removed = |name: &str, segment: Lsn| {
            match (held.has(name, segment), held.have_others(name, segment)) {
                (true, true) => Part::Some,
                (true, false) => Part::All,
                // Of a device whose rows are not kept any more, nobody knows but whoever names it.
                (false, false) if of.device.is_some() => Part::All,
                (false, _) => Part::Nothing,
            }
        };
        work(&Whose { device: of.device.as_deref(), belongs: &belongs, removed: &removed, goes_on })
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

/// All that a device calls itself; of a tenant, all its devices.
pub(crate) fn ids(roster: &Roster, of: &Of) -> Vec<CompactString> {
    let known = match &of.device {
        Some(device) => roster.get(Some(&of.tenant), device).into_iter().collect(),
        None => roster.list(),
    };
    let own = known.into_iter().filter(|known| known.tenant == of.tenant);
    let mut ids: Vec<CompactString> =
        own.flat_map(|known| known.ids.into_iter().chain([known.device])).chain(of.device.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Refuses what cannot be erased as a whole.
pub(crate) fn check(config: &Config, of: &Of) -> Result<()> {
    if of.device.is_none() && config.named_tenants().any(|tenant| tenant == of.tenant) {
        let what = format!("{} is a tenant of the configuration: take it out there, and erase it then", of.tenant);
        return Err(Failure::new(Status::Usage, what).into());
    }
    check_names(of)
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
            match catalog.tenants(&access).erase(&of.tenant).await {
                Err(CatalogError::NotFound { .. }) => {}
                done => done?,
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

fn remove_folder(path: &Path) -> Result<()> {
    let what = || format!("cannot remove {}", path.display());
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        removed => removed.with_context(what)?,
    }
    path.parent().map_or(Ok(()), |above| LocalDisk.sync_folder(above)).with_context(what)
}

/// Where the sealed segments end.
pub(crate) fn sealed_end(reader: &Reader) -> Result<Lsn> {
    Ok(reader.all_sealed(Lsn(0))?.last().map_or(Lsn(0), |seal| seal.end))
}

/// Waits until everything before a place is sealed.
pub(crate) fn wait_sealed(reader: &Reader, until: Lsn, goes_on: &dyn Fn() -> bool) -> Result<()> {
    for _ in 0..SEAL_LOOKS {
        // The place behind the last entry may be the header of a segment that was not begun.
        if sealed_end(reader)? >= until {
            return Ok(());
        }
        if !goes_on() {
            bail!("the server is about to stop");
        }
        std::thread::sleep(SEAL_PAUSE);
    }
    bail!("the journal does not seal what it has: its disk may be full. Nothing was erased; try again later")
}

fn rows_of(of: &Of, received_to: Option<Time>) -> ErasedOf<'_> {
    ErasedOf { tenant: &of.tenant, device: of.device.as_deref(), received_to }
}

const DEFAULT: &str = "default";
/// A minute: a segment of 256 MiB is hashed in some seconds.
const SEAL_LOOKS: u32 = 1200;
const SEAL_PAUSE: Duration = Duration::from_millis(50);
/// Between two segments, of which each takes much longer.
const OTHERS_TURN: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests;
