//! The catalog of a data folder, or the one that the configuration names.

use crate::config::Config;
use crate::erase;
use crate::exit::{Failure, Status};
use crate::folder::Folder;
use crate::history;
use crate::server::state_of;
use anyhow::Result;
use odograph_catalog::{Access, Catalog, DeviceFields, Error};
use odograph_env::{SystemClock, SystemRng};
use odograph_ingest::{Known, State};
use odograph_lake::Place;
use std::sync::Arc;
use std::time::Duration;

/// Opens it, and brings it to this version. The data folder must be there. A tenant that the configuration names is made where the catalog
/// does not know it, and has what history has of it: the catalog may have been lost, or put back to an earlier moment.
pub(crate) async fn open(config: &Config, folder: &Folder) -> Result<Catalog, Error> {
    let url = match &config.catalog.url {
        Some(url) => url.0.to_string(),
        None => format!("sqlite:{}", folder.catalog().display()),
    };
    let catalog = Catalog::open(&url, Arc::new(SystemClock::new()), Arc::new(SystemRng)).await?;
    let own = folder.clone();
    catalog.keep_out(move || erase::kept_out(&own));
    let (config_of_history, own) = (config.clone(), folder.clone());
    catalog.ask_history(move |tenant| {
        let (lake, tenant) = (history::lake(&config_of_history, &own), tenant.to_owned());
        Box::pin(async move { has_history(lake, &tenant).await })
    });
    for tenant in config.named_tenants() {
        catalog.ensure_tenant(tenant).await?;
    }
    Ok(catalog)
}

/// Whether history has tables of a tenant. An error: why nobody can tell.
async fn has_history(lake: Result<Place>, tenant: &str) -> Result<bool, String> {
    let lake = lake.map_err(|error| format!("{error:#}"))?;
    match tokio::time::timeout(HISTORY_PATIENCE, lake.has_tables(tenant)).await {
        Ok(found) => found.map_err(|error| error.line()),
        Err(_) => Err(format!("history did not answer within {} s", HISTORY_PATIENCE.as_secs())),
    }
}

/// Does something with the catalog, for a command. A server that runs may have it at the same time.
pub(crate) fn with<T>(config: &Config, work: impl AsyncFnOnce(&Catalog) -> Result<T>) -> Result<T> {
    let folder = Folder::of(config);
    folder.create()?;
    folder.require_whole()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let catalog = open(config, &folder).await.map_err(|error| cannot_open(&error))?;
        let done = work(&catalog).await;
        catalog.close().await;
        done
    })
}

/// Keeps what a person decided about a device, known so far or not. A `tenant` that was named has to be there.
pub(crate) async fn decide(
    catalog: &Catalog,
    tenant: Option<&str>,
    known: Option<&Known>,
    id: &str,
    state: State,
) -> Result<(), Error> {
    let (of, id) = known.map_or((tenant.unwrap_or(DEFAULT), id), |known| (&*known.tenant, &*known.device));
    if known.is_some() || of == DEFAULT {
        catalog.ensure_tenant(of).await?;
    }
    let access = catalog.enter(&Access::owner(DEFAULT), of).await?;
    let within = catalog.within(&access);
    let fields = DeviceFields { state: Some(state_of(state)), ..DeviceFields::default() };
    match within.update_device(id, fields.clone()).await {
        Err(Error::NotFound { .. }) => within.create_device(vec![id.to_owned()], fields).await.map(drop),
        done => done.map(drop),
    }
}

const DEFAULT: &str = "default";

/// How long whoever makes a tenant waits for history in an object store.
const HISTORY_PATIENCE: Duration = Duration::from_secs(10);

const BROKEN: &str = ": it is damaged. Put `catalog.sqlite` of the data folder, or what `catalog.url` names, back from a backup, or move it away \
     to begin with an empty catalog: what devices sent is elsewhere";

/// Why it cannot be opened, for whoever starts the program.
pub(crate) fn cannot_open(error: &Error) -> anyhow::Error {
    let (status, more) = match error {
        Error::Address { .. } => (Status::Config, ""),
        Error::File { .. } => (Status::CannotCreate, ""),
        Error::Database { .. } if error.is_broken_file() => (Status::NoInput, BROKEN),
        _ => (Status::Unavailable, ""),
    };
    // What is below that says the same again.
    let why = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    Failure::new(status, format!("{error}{why}{more}")).into()
}
