//! Erasures over the control socket, and the rest of those that a kill cut short.

use super::App;
use super::devices::problem;
use crate::erase::{self, EraseQuery, Erased, Of};
use anyhow::{Context as _, Result, bail};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

pub(super) async fn erase(State(app): State<Arc<App>>, Json(query): Json<EraseQuery>) -> Response {
    let handle = Handle::current();
    match tokio::task::spawn_blocking(move || app.erase(query, &handle)).await {
        Ok(Ok(erased)) => Json(erased).into_response(),
        Ok(Err(error)) => problem(StatusCode::CONFLICT, &format!("{error:#}")),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

impl App {
    /// Erases, or looks what there is. Waits for all of it.
    pub(super) fn erase(&self, query: EraseQuery, handle: &Handle) -> Result<Erased> {
        let EraseQuery { of, yes } = query;
        let of = erase::resolved(&self.roster, of)?;
        // What waits in memory becomes files, so that it is counted.
        self.history.reach(self.journal.durable(), REACHED_MAX)?;
        self.history.make_files()?;
        let load = self.erasing.load(&of)?;
        if !yes {
            return Ok(Erased { load, order: None });
        }
        let _one = self.erasures.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(_backup) = self.backups.clone().try_acquire_owned() else {
            bail!("a backup is under way, and would be of half of it: try again when it is done");
        };
        let catalog = self.catalog.get().context("the catalog of devices cannot be reached yet")?;
        handle.block_on(erase::forget(catalog, &of))?;
        self.end(&of);
        self.roster.erase(&of.tenant, of.device.as_deref(), self.journal.durable())?;
        erase::wait_sealed(&self.reader, self.journal.end_segment())?;
        let order = self.erasing.order(&of, erase::sealed_end(&self.reader)?)?;
        let done = self.erasing.journal(order, &of)?;
        self.erase_rest(order, &of)?;
        let load = erase::Load { entries: done.entries, bytes: done.bytes, segments: done.segments, ..load };
        Ok(Erased { load, order: Some(order) })
    }

    /// Carries out what was ordered before the server started. The journal's part is done.
    pub(super) fn erase_pending(&self) -> Result<()> {
        let _one = self.erasures.lock().unwrap_or_else(PoisonError::into_inner);
        for (order, of) in self.erasing.pending()? {
            self.erasing.journal(order, &of)?;
            self.erase_rest(order, &of)?;
        }
        Ok(())
    }

    fn erase_rest(&self, order: u64, of: &Of) -> Result<()> {
        let (erasing, subject) = (self.erasing.clone(), of.clone());
        self.history.closed(of, move || erasing.history(&subject))?;
        self.erasing.finish(order)
    }

    /// Ends the device's connection, if it has one. One that comes again at once is not waited for for ever.
    fn end(&self, of: &Of) {
        for _ in 0..END_LOOKS {
            if self.gateway.end(&of.tenant, of.device.as_deref()) == 0 {
                return;
            }
            std::thread::sleep(END_PAUSE);
        }
    }
}

/// As long as a query waits.
const REACHED_MAX: Duration = Duration::from_secs(60);
/// Five seconds.
const END_LOOKS: u32 = 250;
const END_PAUSE: Duration = Duration::from_millis(20);
