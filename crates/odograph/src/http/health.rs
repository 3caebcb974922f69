//! Whether it is well, whether it takes data, and its numbers: for everyone who reaches the port, so without whose anything is.
//! Whoever may know that asks by the control socket, or as somebody who manages tenants.

use super::App;
use crate::history::Stuck;
use crate::server::Unopened;
use axum::extract::{FromRequestParts as _, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics::gauge;
use odograph_api::{Api, Caller, Origin, Trouble, TroubleCode};
use odograph_ingest::Health;
use odograph_lake::{BrokenTable, Unread};
use serde::Serialize;
use std::sync::Arc;

/// What the answers here need.
#[derive(Clone)]
struct Asked {
    app: Arc<App>,
    api: Api,
}

pub(super) fn routes(app: &Arc<App>, api: &Api) -> Router {
    let router = Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz));
    router.route("/metrics", get(metrics)).with_state(Asked { app: app.clone(), api: api.clone() })
}

async fn healthz(State(Asked { app, api }): State<Asked>, parts: Parts) -> Response {
    let health = app.gateway.health();
    (status(health.healthy), Json(told(&app, &api, parts, health).await)).into_response()
}

async fn readyz(State(Asked { app, api }): State<Asked>, parts: Parts) -> Response {
    let mut health = app.gateway.health();
    health.ready = health.ready && !app.is_stopping();
    (status(health.ready), Json(told(&app, &api, parts, health).await)).into_response()
}

/// How the parts are, and what a person has to look at besides.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    health: Health,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<&'static str>,
    /// Of which kind each of them is, in their order: what programs go by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alarm_codes: Vec<TroubleCode>,
    /// Why nothing can be changed that people decide. Devices are served all the same, and a new start would only disturb
    /// them: so it changes no status either.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog_unwritable: Option<String>,
    /// Devices are served all the same, and the journal keeps what they send: so it changes no status.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_stuck: Option<Stuck>,
    /// Tables of history that cannot be opened: what comes for them waits in the journal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history_broken: Vec<Broken>,
    /// Tables of which somebody put an older copy back, and that lack what the journal does not have any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history_incomplete: Vec<Broken>,
    /// Files of history that a person has to put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_damaged: Option<Damaged>,
    /// How many stretches of the journal history lacks, because they were damaged, or gone, when it came to them. What is there is served
    /// all the same, so it changes no status.
    #[serde(skip_serializing_if = "is_zero")]
    history_lacks: usize,
    /// Listeners that people made and that are not open as they should be: devices come by the others all the same, so it changes no
    /// status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    listeners_failed: Vec<FailedListener>,
    /// Where more is to be read, for those who are not told here.
    #[serde(skip_serializing_if = "Option::is_none")]
    see: Option<&'static str>,
}

/// A table that cannot be opened, or lacks something.
#[derive(Serialize)]
struct Broken {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    table: &'static str,
    why: String,
}

/// A listener that is not open as it should be.
#[derive(Serialize)]
struct FailedListener {
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    why: String,
}

/// Files of history that are damaged, as far as that was noticed.
#[derive(Serialize)]
struct Damaged {
    files: usize,
    /// Some of them.
    first: Vec<DamagedFile>,
}

#[derive(Serialize)]
struct DamagedFile {
    file: String,
    why: String,
}

async fn told(app: &App, api: &Api, parts: Parts, health: Health) -> Told {
    let history_stuck = app.history.stuck(app.journal.durable());
    let table = |BrokenTable { tenant, table, why }| Broken { tenant: Some(tenant.into()), table, why };
    let history_broken = app.history.broken_tables().into_iter().map(table).collect();
    let history_incomplete = app.history.incomplete_tables().into_iter().map(table).collect();
    let (alarm_codes, alarms) = app.alarms.told().into_iter().unzip();
    let catalog_unwritable = app.catalog_trouble().await;
    let history_damaged = damaged(app);
    let listeners_failed = listeners_failed(app);
    let told = Told {
        health,
        alarms,
        alarm_codes,
        catalog_unwritable,
        history_stuck,
        history_broken,
        history_incomplete,
        history_damaged,
        history_lacks: app.history.lacks().len(),
        listeners_failed,
        see: None,
    };
    if sees_all(api, parts).await { told } else { told.for_everyone() }
}

/// Whether whoever asks may know whose it is: as the owner of the data folder, or as somebody who manages tenants.
async fn sees_all(api: &Api, mut parts: Parts) -> bool {
    if parts.extensions.get::<Origin>() == Some(&Origin::Control) {
        return true;
    }
    // Whoever shows nothing, or what does not hold, is one of everyone.
    Caller::from_request_parts(&mut parts, api).await.is_ok_and(|caller| caller.access.system)
}

impl Told {
    /// Which part is unwell, and what to do: without names of tenants, paths, and what databases and stores say.
    fn for_everyone(mut self) -> Self {
        let said = self.catalog_unwritable.is_some() || self.history_stuck.is_some();
        let incomplete =
            !self.history_incomplete.is_empty() || self.history_damaged.is_some() || self.history_lacks > 0;
        let found = incomplete || !self.history_broken.is_empty() || !self.listeners_failed.is_empty();
        let is_unwell = self.health.parts.iter().any(|part| part.problem.is_some());
        self.see = (said || found || is_unwell).then_some(SEE);
        for part in &mut self.health.parts {
            // Our own sentences say what to do, and name no path; what a disk says does.
            let named = part.problem.as_mut().filter(|problem| problem.contains('/'));
            named.into_iter().for_each(|problem| *problem = "is not well".to_owned());
        }
        if let Some(why) = &mut self.catalog_unwritable {
            *why = "what people decide cannot be changed: the catalog's database writes nothing".to_owned();
        }
        if let Some(stuck) = &mut self.history_stuck {
            stuck.reason = "it does not get on".to_owned();
        }
        for broken in &mut self.history_broken {
            broken.tenant = None;
            broken.why = "it cannot be opened".to_owned();
        }
        for incomplete in &mut self.history_incomplete {
            incomplete.tenant = None;
            incomplete.why = "some of what it had is missing".to_owned();
        }
        if let Some(damaged) = &mut self.history_damaged {
            damaged.first.clear();
        }
        for failed in &mut self.listeners_failed {
            (failed.listener, failed.tenant, failed.address) = (None, None, None);
            failed.why = "it is not open as it should be".to_owned();
        }
        self
    }
}

impl App {
    /// Why nothing can be changed that people decide.
    pub(super) async fn catalog_trouble(&self) -> Option<String> {
        self.catalog.get()?.trouble().await
    }

    /// What is wrong with what all tenants share, and whose history is, for those who manage tenants.
    pub(super) fn troubles(&self, catalog: Option<String>) -> Vec<Trouble> {
        let of = |code: TroubleCode, part: &str, tenant: Option<String>, what: String| Trouble {
            code,
            part: part.to_owned(),
            tenant,
            what,
        };
        let catalog = catalog.map(|why| of(TroubleCode::CatalogUnwritable, "catalog", None, why));
        let stuck = self.history.stuck(self.journal.durable());
        let stuck = stuck.map(|stuck| of(TroubleCode::HistoryStuck, "history", None, stuck.reason));
        let broken = self.history.broken_tables().into_iter().map(|one| (TroubleCode::TableBroken, one));
        let incomplete = self.history.incomplete_tables().into_iter().map(|one| (TroubleCode::TableIncomplete, one));
        let broken = broken.chain(incomplete);
        let broken = broken.map(|(code, one)| of(code, one.table, Some(one.tenant.into()), one.why));
        let files = self.history.damaged_files().into_iter().take(DAMAGED_SHOWN);
        let files =
            files.map(|Unread { file, why }| of(TroubleCode::FileDamaged, "file", None, format!("{file}: {why}")));
        let lacks = self.history.lacks().into_iter().take(LACKS_SHOWN);
        let lacks = lacks.map(|lack| of(TroubleCode::HistoryLacks, "history", None, lack.to_string()));
        let listeners = self.porter.unopened().into_iter().take(LISTENERS_SHOWN);
        let listeners = listeners.map(|Unopened { called, tenant, address, why }| {
            let tenant = Some(tenant).filter(|tenant| !tenant.is_empty());
            of(TroubleCode::ListenerFailed, "listener", tenant, format!("{called} {address}: {why}"))
        });
        let alarms = self.alarms.told().into_iter().map(|(code, what)| of(code, "server", None, what.to_owned()));
        let tables = broken.take(BROKEN_SHOWN).chain(files).chain(lacks);
        catalog.into_iter().chain(stuck).chain(tables).chain(listeners).chain(alarms).collect()
    }
}

fn listeners_failed(app: &App) -> Vec<FailedListener> {
    let some = app.porter.unopened().into_iter().take(LISTENERS_SHOWN);
    let one = |Unopened { called, tenant, address, why }| {
        let tenant = Some(tenant).filter(|tenant: &String| !tenant.is_empty());
        FailedListener { listener: Some(called), tenant, address: Some(address), why }
    };
    some.map(one).collect()
}

fn damaged(app: &App) -> Option<Damaged> {
    let found = app.history.damaged_files();
    let first = found.iter().take(DAMAGED_SHOWN).map(|Unread { file, why }| {
        let (file, why) = (file.clone(), why.clone());
        DamagedFile { file, why }
    });
    (!found.is_empty()).then(|| Damaged { files: found.len(), first: first.collect() })
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn status(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(Asked { app, .. }): State<Asked>) -> Response {
    // Asked for here: whoever fills history may hang.
    let stuck = app.history.stuck(app.journal.durable()).is_some();
    gauge!("odograph_pipeline_stuck").set(f64::from(u8::from(stuck)));
    gauge!("odograph_catalog_unwritable").set(f64::from(u8::from(app.catalog_trouble().await.is_some())));
    for (table, count) in app.history.measured_broken() {
        gauge!("odograph_lake_broken_tables", "table" => table).set(count as f64);
    }
    gauge!("odograph_lake_damaged_files").set(app.history.damaged_files().len() as f64);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}

/// What those read who are not told whose it is, and why.
const SEE: &str = "whose, and why: the server's log; on its machine `curl --unix-socket DATA/control.sock http://localhost/healthz`; or this \
                   address, by somebody who manages tenants";

/// Tables of one server that are named: the log has all.
const BROKEN_SHOWN: usize = 100;

/// Stretches of the journal that are named: the log has all.
const LACKS_SHOWN: usize = 10;

/// Listeners that are named: the list has all.
const LISTENERS_SHOWN: usize = 100;

/// A person needs a few to see where it is; the log has them all.
const DAMAGED_SHOWN: usize = 10;
