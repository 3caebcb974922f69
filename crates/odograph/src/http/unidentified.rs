//! Who was not understood, and naming them, over the control socket.

use super::App;
use super::devices::problem;
use super::export::too_many;
use crate::export::{Entries, WAIT};
use crate::unidentified::{self, NameAs, NameRequest, Stray, StrayQuery};
use anyhow::Result;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use odograph_model::{Lsn, Time};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn list(State(app): State<Arc<App>>, Json(query): Json<StrayQuery>) -> Response {
    answer(app, move |_, entries| unidentified::list(entries, &query)).await
}

pub(super) async fn name(State(app): State<Arc<App>>, Json(request): Json<NameRequest>) -> Response {
    answer(app, move |app, entries| app.take_in(entries, &request)).await
}

impl App {
    /// Those who were not understood.
    pub(super) fn strays(&self, query: &StrayQuery) -> Result<Vec<Stray>> {
        self.with_entries(|entries| unidentified::list(entries, query))
    }

    /// Takes in one of them as what somebody says it is.
    pub(super) fn name(&self, request: &NameRequest) -> Result<NameAs> {
        self.with_entries(|entries| self.take_in(entries, request))
    }

    fn take_in(&self, entries: &Entries<'_>, request: &NameRequest) -> Result<NameAs> {
        // What is taken in now could be of somebody who is kept out.
        let Some(_none) = self.erasures_if_free() else {
            anyhow::bail!("something is being erased: try again when that is done");
        };
        let now = Time(odograph_env::Clock::now(&odograph_env::SystemClock::new()));
        let named = unidentified::name(entries, &self.roster, self.gateway.intake(), request, now)?;
        // Whoever is told that it is done finds it after a crash as well.
        for _ in 0..DURABLE_LOOKS_MAX {
            if self.journal.durable().0 >= named.end {
                return Ok(named);
            }
            std::thread::sleep(DURABLE_LOOK);
        }
        anyhow::bail!("the journal does not become durable: nobody knows whether it was kept")
    }

    fn with_entries<T>(&self, work: impl FnOnce(&Entries<'_>) -> Result<T>) -> Result<T> {
        let until = Some(self.journal.durable());
        // Whatever the journal has given up was in history before.
        let history = || Ok(self.history.reach(Lsn(0), WAIT)?.0);
        work(&Entries { reader: &self.reader, node: self.history.node(), history: &history, until })
    }
}

async fn answer<T: Serialize + Send + 'static>(
    app: Arc<App>,
    work: impl FnOnce(&App, &Entries<'_>) -> Result<T> + Send + 'static,
) -> Response {
    let Ok(seat) = app.exports.clone().try_acquire_owned() else { return too_many() };
    let done = tokio::task::spawn_blocking(move || {
        let done = app.with_entries(|entries| work(&app, entries));
        drop(seat);
        done
    });
    match done.await {
        Ok(Ok(answer)) => Json(answer).into_response(),
        Ok(Err(error)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &format!("{error:#}")),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Half a minute: a disk that takes longer is one that has failed.
const DURABLE_LOOKS_MAX: u32 = 3000;
const DURABLE_LOOK: Duration = Duration::from_millis(10);
