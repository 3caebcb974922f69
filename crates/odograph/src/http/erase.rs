//! Erasures over the control socket, and the rest of those that were cut short.

use super::App;
use super::devices::problem;
use crate::erase::{self, Busy, EraseQuery, Erased, Load, Of, Pending, Subject};
use anyhow::{Context as _, Result, bail};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use odograph_catalog::{Access, Catalog, DEFAULT_TENANT};
use odograph_ingest::OfDevices;
use odograph_journal::Erasure;
use odograph_model::Lsn;
use odograph_protocols::Binding;
use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

pub(super) async fn erase(State(app): State<Arc<App>>, Json(query): Json<EraseQuery>) -> Response {
    let handle = Handle::current();
    match tokio::task::spawn_blocking(move || app.erase(query, &handle)).await {
        Ok(Ok(erased)) => Json(erased).into_response(),
        Ok(Err(error)) => problem(StatusCode::CONFLICT, &format!("{error:#}")),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

impl App {
    /// The same for people of a tenant, who may not keep others waiting.
    pub(super) fn erase_in_turn(&self, query: EraseQuery, handle: &Handle) -> Result<Erased> {
        let (tenant, turns) = (query.of.tenant.clone(), &self.erase_turns[usize::from(query.yes)]);
        let began = self.erasing.clock.monotonic();
        turns.ask(&tenant, began)?;
        let erased = self.erase(query, handle);
        let is_ordered = erased.as_ref().is_ok_and(|erased| erased.order.is_some());
        // Who had to wait for others has not looked yet.
        if !is_ordered && !erased.as_ref().is_err_and(anyhow::Error::is::<Busy>) {
            turns.looked(&tenant, began, self.erasing.clock.monotonic());
        }
        erased
    }

    /// Erases, or looks what there is. Waits for all of it. What goes wrong before the order changes nothing; behind it, it is tried
    /// again by itself.
    pub(super) fn erase(&self, query: EraseQuery, handle: &Handle) -> Result<Erased> {
        let EraseQuery { of, yes } = query;
        erase::check_names(&of)?;
        let of = erase::resolved(&self.roster, of)?;
        self.refuse_bound(&of, handle)?;
        // A look reads all there is, too.
        let Some(_one) = self.erasures_if_free() else {
            let what = "an erasure is under way, or a look at what one would take: try again when it is done";
            return Err(Busy { what, retry_after: SOON }.into());
        };
        if !yes && !self.erasing.pending()?.is_empty() {
            let what = "an erasure that was ordered is not done yet, and comes first: try again when it is done";
            return Err(Busy { what, retry_after: AGAIN }.into());
        }
        let mut subject = Subject { ids: erase::ids(&self.roster, &of), of, received_to: None };
        // What waits in memory becomes files, so that it is counted.
        let durable = self.journal.durable();
        self.read_to(durable)?;
        let load = self.erasing.load(&subject.of)?;
        self.erasing.refuse_unknown(&subject, &load, || self.known_tenants(handle))?;
        self.erasing.refuse_shared(&subject, durable, &|| !self.is_stopping())?;
        if !yes {
            return Ok(Erased { load, order: None });
        }
        let _alone = self.without_others()?;
        let catalog = self.catalog.get().context(NO_CATALOG)?;
        // One that waits to be gone on with comes first: it may be of the same device.
        for before in self.erasing.pending()? {
            let what = || format!("order {} was given before, and cannot be done", before.order);
            self.carry_out(&before, catalog, handle).with_context(what)?;
        }
        self.roster.bar(&subject.of.tenant, subject.of.device.as_deref(), subject.ids.iter().cloned());
        let pending = match self.order(&mut subject) {
            Ok((order, until)) => Pending { order, until, subject },
            Err(error) => {
                // Where an error came too late, the order may stand all the same: then it is carried out.
                let stands = |all: Vec<Pending>| all.iter().any(|pending| pending.subject == subject);
                if self.erasing.pending().is_ok_and(|all| !stands(all)) {
                    self.roster.let_in(&subject.of.tenant, subject.of.device.as_deref());
                }
                return Err(error);
            }
        };
        let done = self.carry_out(&pending, catalog, handle).with_context(|| {
            format!("order {} is given, and not done yet; the server goes on with it by itself", pending.order)
        })?;
        let load = Load { entries: done.entries, bytes: done.bytes, segments: done.segments, ..load };
        Ok(Erased { load, order: Some(pending.order) })
    }

    /// Goes on with what was ordered and is not done, unless an erasure is under way.
    pub(super) fn erase_pending(&self, handle: &Handle) -> Result<()> {
        let Some(_one) = self.erasures_if_free() else { return Ok(()) };
        let all = self.erasing.pending()?;
        if all.is_empty() {
            return Ok(());
        }
        let _alone = self.without_others()?;
        let catalog = self.catalog.get().context(NO_CATALOG)?;
        all.iter().try_for_each(|pending| self.carry_out(pending, catalog, handle).map(drop))
    }

    /// The right to erase, or to be sure that nobody does; `None`: somebody does.
    pub(super) fn erasures_if_free(&self) -> Option<MutexGuard<'_, ()>> {
        match self.erasures.try_lock() {
            Ok(free) => Some(free),
            Err(TryLockError::Poisoned(free)) => Some(free.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits for the end of what is done of an erasure when the server stops: what is left is for the next one.
    pub(crate) fn end_erasing(&self) {
        drop(self.erasures.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The tenants of the catalog and those of devices that came.
    fn known_tenants(&self, handle: &Handle) -> Result<BTreeSet<String>> {
        let access = Access::owner(DEFAULT_TENANT);
        let made = handle.block_on(self.catalog.get().context(NO_CATALOG)?.tenants(&access).list())?;
        let of_devices = self.roster.list().into_iter().map(|known| known.tenant.into());
        Ok(made.into_iter().map(|tenant| tenant.id).chain(of_devices).collect())
    }

    /// Nobody copies half of it, and nobody puts back what goes.
    fn without_others(&self) -> Result<[OwnedSemaphorePermit; 2]> {
        match [&self.backups, &self.replays].map(|seats| seats.clone().try_acquire_owned()) {
            [Ok(backup), Ok(replay)] => Ok([backup, replay]),
            _ => bail!("a backup or a replay is under way, and would have half of it: try again when it is done"),
        }
    }

    /// Has all read that is there of those who are kept out, and gives the order, with where it ends.
    fn order(&self, subject: &mut Subject) -> Result<(u64, Lsn)> {
        self.end(&subject.of)?;
        erase::wait_sealed(&self.reader, self.journal.end_segment(), &|| !self.is_stopping())?;
        let until = erase::sealed_end(&self.reader)?;
        self.read_to(until)?;
        // Once more: what came meanwhile counts.
        self.erasing.refuse_shared(subject, until, &|| !self.is_stopping())?;
        self.erasing.held(&subject.of, until, &|| !self.is_stopping())?;
        subject.received_to = Some(self.erasing.received_last(&subject.of)?.0);
        if self.is_stopping() {
            bail!("the server is about to stop");
        }
        Ok((self.erasing.order(subject, until)?, until))
    }

    fn carry_out(&self, pending: &Pending, catalog: &Catalog, handle: &Handle) -> Result<Erasure> {
        let Subject { of, .. } = &pending.subject;
        self.read_to(pending.until)?;
        let forget = || -> Result<()> {
            handle.block_on(erase::forget(catalog, of))?;
            Ok(self.roster.erase(&of.tenant, of.device.as_deref(), self.journal.durable())?)
        };
        forget()?;
        // A start has taken it in with all else that is kept, and the rest may take long.
        erase::forget_live(&self.live, of);
        let done = self.erasing.journal(pending, &|| !self.is_stopping())?;
        let (erasing, subject) = (self.erasing.clone(), pending.subject.clone());
        self.history.closed(of, move || erasing.history(&subject))?;
        // Whoever carries news between the list and the catalog may have had some on the way.
        forget()?;
        self.erasing.finish(pending.order)?;
        self.roster.let_in(&of.tenant, of.device.as_deref());
        Ok(done)
    }

    /// Waits until history has read all before a place, and has it all in files, with every cursor of the journal behind it.
    fn read_to(&self, until: Lsn) -> Result<()> {
        self.history.reach_while_it_gets_on(until, || !self.is_stopping())?;
        self.history.make_files()?;
        if !self.erasing.is_read(until)? {
            bail!("history is not behind all that is to be erased: try again later");
        }
        Ok(())
    }

    /// Ends all that is of a device that is kept out.
    fn end(&self, of: &Of) -> Result<()> {
        let meant = of.clone();
        let of_device: OfDevices = Arc::new(move |binding: &Binding| {
            binding.tenant == meant.tenant && meant.device.as_ref().is_none_or(|device| *device == binding.device)
        });
        for _ in 0..END_LOOKS {
            match self.gateway.end(&of_device) {
                Some(0) => return Ok(()),
                Some(_) => std::thread::sleep(END_PAUSE),
                None => break,
            }
        }
        bail!("its connection does not end: nothing was changed; try again later")
    }

    /// A listener that stands for a device would go on to speak for it, and one that is closed to name it.
    fn refuse_bound(&self, of: &Of, handle: &Handle) -> Result<()> {
        let is_bound = self.gateway.is_bound(|listener| match (&of.device, &listener.device) {
            (Some(device), Some(own)) => own.tenant == of.tenant && own.device == *device,
            (Some(_), None) => false,
            (None, own) => listener.tenant == of.tenant || own.as_ref().is_some_and(|own| own.tenant == of.tenant),
        });
        if is_bound || self.is_kept_for(of, handle)? {
            bail!(
                "a listener is its own: take that out of the configuration, or remove it (`odograph listener`), and erase it then"
            );
        }
        Ok(())
    }

    /// Whether one of the listeners that people made is for the device, be it open or closed. Those of a tenant go with it.
    fn is_kept_for(&self, of: &Of, handle: &Handle) -> Result<bool> {
        if of.device.is_none() {
            return Ok(false);
        }
        let (ids, access) = (erase::ids(&self.roster, of), Access::owner(DEFAULT_TENANT));
        let kept = handle.block_on(self.catalog.get().context(NO_CATALOG)?.listeners(&access).list())?;
        let is_its = |own: &String| ids.iter().any(|id| id.as_str() == own);
        Ok(kept.iter().any(|one| one.tenant == of.tenant.as_str() && one.terms.device.as_ref().is_some_and(is_its)))
    }
}

/// Goes on with erasures that were cut short, by a kill or by an error, until the runtime ends.
pub(super) async fn go_on(app: Arc<App>) {
    loop {
        let (left, handle) = (app.clone(), Handle::current());
        let done = tokio::task::spawn_blocking(move || left.erase_pending(&handle)).await;
        if let Ok(Err(error)) = done {
            tracing::error!(
                "an erasure that was ordered is not done yet, and the device is kept out until it is; tried again in {} s: {error:#}",
                AGAIN.as_secs()
            );
        }
        tokio::time::sleep(AGAIN).await;
    }
}

const NO_CATALOG: &str = "the catalog of devices cannot be reached yet";
/// When to come again for what is done at the moment.
const SOON: Duration = Duration::from_secs(5);
/// Five seconds.
const END_LOOKS: u32 = 250;
const END_PAUSE: Duration = Duration::from_millis(20);
/// What failed once may need somebody to make room or to mend something.
const AGAIN: Duration = Duration::from_secs(30);
