//! The HTTP server: health and numbers for everyone who reaches its port, everything for the owner of the data folder
//! over the control socket.
//!
//! It has a thread and a runtime of its own, so that nobody who asks or reads slowly is ever in the way of a device.

mod accept;
mod api;
mod backup;
mod devices;
mod erase;
mod export;
mod first;
mod forwarded;
mod health;
mod journal;
mod pace;
mod replay;
mod site;
mod sql;
mod system;
mod tls;
mod unidentified;

use crate::backup::Home;
use crate::catalog;
use crate::config::{self, ADMIN_PASSWORD, Config};
use crate::erase::{Erasing, Turns};
use crate::exit::{Failure, Status};
use crate::folder::{Folder, socket_address};
use crate::history::History;
use crate::map::Tiles;
use crate::ports;
use crate::server::{Accountant, Alarms, Commander, Follower, Porter, Shares, auditor, http_tls};
use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::{get, post};
use forwarded::Proxies;
use metrics_exporter_prometheus::PrometheusHandle;
use odograph_api::{Api, GroupNumbers};
use odograph_catalog::{Catalog, Error};
use odograph_env::SystemClock;
use odograph_geocoder::Geocoder;
use odograph_ingest::{Gateway, Given, Roster, Tls};
use odograph_journal::{Journal, Reader};
use odograph_live::Live;
use odograph_protocols::Transport;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// What the handlers work with.
pub(crate) struct App {
    gateway: Arc<Gateway>,
    porter: Arc<Porter>,
    journal: Journal,
    reader: Reader,
    roster: Arc<Roster>,
    history: Arc<History>,
    live: Live,
    groups: GroupNumbers,
    /// Once it could be reached.
    catalog: OnceLock<Catalog>,
    metrics: PrometheusHandle,
    alarms: Arc<Alarms>,
    home: Home,
    exports: Arc<Semaphore>,
    backups: Arc<Semaphore>,
    replays: Arc<Semaphore>,
    erasing: Erasing,
    /// One at a time.
    erasures: Mutex<()>,
    /// When tenants may ask again what there is to erase, and to erase it.
    erase_turns: [Turns; 2],
    looks: system::Looks,
    /// The map's file, if the configuration names one.
    map: Option<Arc<Tiles>>,
    stopping: AtomicBool,
}

impl App {
    #[expect(clippy::too_many_arguments, reason = "they become the fields of one struct")]
    pub(crate) fn new(
        (gateway, porter): (Arc<Gateway>, Arc<Porter>),
        journal: Journal,
        reader: Reader,
        roster: Arc<Roster>,
        history: Arc<History>,
        live: Live,
        metrics: PrometheusHandle,
        alarms: Arc<Alarms>,
        home: Home,
        erasing: Erasing,
        map: Option<Arc<Tiles>>,
    ) -> Self {
        let exports = Arc::new(Semaphore::new(EXPORTS_MAX));
        let backups = Arc::new(Semaphore::new(BACKUPS_MAX));
        let (replays, stopping) = (Arc::new(Semaphore::new(REPLAYS_MAX)), AtomicBool::new(false));
        Self {
            gateway,
            porter,
            journal,
            reader,
            roster,
            history,
            live,
            groups: GroupNumbers::default(),
            catalog: OnceLock::new(),
            metrics,
            alarms,
            home,
            exports,
            backups,
            replays,
            erasing,
            erasures: Mutex::default(),
            erase_turns: Default::default(),
            looks: system::Looks::begun(),
            map,
            stopping,
        }
    }

    /// From now on the server is not ready, and exports that follow end.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Exports at a time: each has a thread, and reads the disk that devices wait for.
const EXPORTS_MAX: usize = 8;

/// Two at a time to two places would only be in each other's way on the disk.
const BACKUPS_MAX: usize = 1;

/// Each takes half a gigabyte of memory at most, and two could change the same rows.
const REPLAYS_MAX: usize = 1;

/// The port that everyone reaches, not yet served.
pub(crate) struct Public {
    tcp: Option<std::net::TcpListener>,
    tls: Option<Arc<Tls>>,
}

/// The sockets, not yet served.
pub(crate) struct Bound {
    public: Public,
    unix: UnixListener,
    socket: PathBuf,
}

/// The running server.
pub(crate) struct Http {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    socket: PathBuf,
    /// For whoever serves there next.
    public: Public,
}

impl Public {
    /// Takes the port from whoever had it before, or opens it. One that nobody asked for is left out where it is taken.
    pub(crate) fn open(config: &config::Http, named: bool, given: Option<Given>) -> Result<Self> {
        let listen = config.listen;
        let tls = http_tls(&config.tls)?;
        let opened = match given {
            Some(given) => Ok(given.into_socket().into()),
            None => std::net::TcpListener::bind(listen),
        };
        match opened {
            Ok(listener) => Ok(Self { tcp: Some(listener), tls }),
            Err(error) => {
                let what = cannot_listen(listen, &error);
                if named {
                    return Err(Failure::new(Status::Unavailable, what).into());
                }
                tracing::warn!("{what}: left out, [http] listen names another address");
                Ok(Self { tcp: None, tls })
            }
        }
    }

    /// The port itself.
    pub(crate) const fn tcp(&self) -> Option<&std::net::TcpListener> {
        self.tcp.as_ref()
    }

    /// The same once more, for whoever serves there next.
    fn again(&self) -> io::Result<Self> {
        Ok(Self { tcp: self.tcp.as_ref().map(std::net::TcpListener::try_clone).transpose()?, tls: self.tls.clone() })
    }

    /// Opens the control socket beside it. The data folder must be this process's own.
    pub(crate) fn bind(self, folder: &Folder) -> Result<Bound> {
        if let Some(tcp) = &self.tcp {
            let address = tcp.local_addr().context("cannot tell the address of the HTTP server")?;
            tracing::info!(%address, tls = self.tls.is_some(), "serving HTTP");
        }
        let socket = folder.socket();
        let unix = bind_unix(&socket).map_err(|error| {
            Failure::new(Status::CannotCreate, format!("cannot make {}: {error}", socket.display()))
        })?;
        Ok(Bound { public: self, unix, socket })
    }
}

impl Http {
    /// The port that everyone reaches.
    pub(crate) const fn public(&self) -> &Public {
        &self.public
    }

    /// Ends it. What is being answered is cut short. Gives the port back, at which those who come wait as long as somebody has it.
    pub(crate) fn stop(self) -> Public {
        // No more commands come this way; the file would only be in their way.
        let _ = std::fs::remove_file(&self.socket);
        let _ = self.stop.send(());
        // A panic there was logged when it happened.
        let _ = self.thread.join();
        self.public
    }
}

fn cannot_listen(listen: SocketAddr, error: &io::Error) -> String {
    let holder = ports::holder(Transport::Tcp, listen.port()).filter(|_| error.kind() == io::ErrorKind::AddrInUse);
    match holder {
        Some(holder) => format!("cannot serve HTTP on {listen}: {holder} has the port"),
        None => format!("cannot serve HTTP on {listen}: {error}"),
    }
}

/// The folder's lock is ours, so a socket that is there is one that a crash left.
pub(crate) fn bind_unix(socket: &std::path::Path) -> io::Result<UnixListener> {
    // Under a name that nobody asks for, until it is its owner's alone: the folder may let others in.
    let fresh = socket.with_extension("new");
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (address, _folder) = socket_address(&fresh)?;
    let listener = UnixListener::bind(address)?;
    std::fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, socket)?;
    Ok(listener)
}

impl Bound {
    /// Where everyone reaches it.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.public.tcp()?.local_addr().ok()
    }

    /// Serves on threads of its own, so many at a time on each socket.
    pub(crate) fn serve(self, app: &Arc<App>, config: &Config, folder: &Folder, seats: Shares) -> Result<Http> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("http")
            .enable_all()
            .max_blocking_threads(blocking_threads(seats.control))
            .build()
            .context("cannot start the HTTP server")?;
        let api = Api::new(app.clone(), app.live.clone(), app.groups.clone());
        let api = api.with_geocoder(geocoder(config));
        runtime.block_on(begin(&api, app, config, folder))?;
        let again = self.public.again()?;
        let Self { public: Public { tcp, tls }, unix, socket } = self;
        if let Some(tcp) = &tcp {
            tcp.set_nonblocking(true)?;
        }
        unix.set_nonblocking(true)?;
        let site = site::Site::new(&config.map, app.map.is_some());
        let proxies = Proxies::new(&config.http.trusted_proxies);
        let origins: Vec<String> = config.http.cors_origins.iter().map(|origin| origin.as_str().to_owned()).collect();
        let (everyone, control) = (public(app, &api, &origins, &site), control(app, &api, &site));
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                if let Some(Ok(tcp)) = tcp.map(tokio::net::TcpListener::from_std) {
                    if let Some(tls) = tls.clone() {
                        tokio::spawn(tls::renew(tls));
                    }
                    tokio::spawn(accept::tcp(tcp, tls, proxies, everyone, seats.http));
                }
                if let Ok(unix) = tokio::net::UnixListener::from_std(unix) {
                    tokio::spawn(accept::unix(unix, control, seats.control));
                }
                let _ = stopped.await;
            });
            runtime.shutdown_timeout(STOP_MAX);
        };
        let spawned = std::thread::Builder::new().name("http".to_owned()).spawn(serve);
        Ok(Http { stop, thread: spawned.context("cannot start a thread")?, socket, public: again })
    }
}

/// Who is asked for addresses, if the configuration names somebody.
/// No device waits for addresses: without them, places have the names of towns.
fn geocoder(config: &Config) -> Option<Geocoder> {
    let wanted = config.geocoder.wanted()?;
    match Geocoder::start(&wanted, Arc::new(SystemClock::new())) {
        Ok(geocoder) => {
            tracing::info!(host = wanted.url.host(), "addresses of places come from a geocoder");
            Some(geocoder)
        }
        Err(error) => {
            tracing::error!(host = wanted.url.host(), %error, "no geocoder can be asked: places have the names of towns");
            None
        }
    }
}

/// How long what is being answered has to end.
const STOP_MAX: Duration = Duration::from_secs(2);

/// A thread for each of those that may wait at the same time, whoever they are: so nobody who reads slowly is in the way of those who
/// sign in, of what tenants use being counted, or of a certificate that changed. One that nobody needs ends after some seconds.
const fn blocking_threads(control: usize) -> usize {
    odograph_api::READING_THREADS_MAX + EXPORTS_MAX + control + BLOCKING_SPARE
}

/// Threads for what has no seat, and never more than one at a time: passwords (two), accounts, certificates, erasures that are gone on
/// with, names of other machines, how full the disk is.
const BLOCKING_SPARE: usize = 8;

/// Begins to watch what the server takes, opens the catalog, and makes its first user. A catalog that is on another machine and cannot
/// be reached is waited for: devices are served meanwhile, and whoever asks hears so.
async fn begin(api: &Api, app: &Arc<App>, config: &Config, folder: &Folder) -> Result<()> {
    system::watch(app);
    match open(config, folder).await {
        Ok(catalog) => have(api, app, catalog, config),
        Err(error @ (Error::Database { .. } | Error::Full { .. })) if config.catalog.url.is_some() => {
            let (api, app, config, folder) = (api.clone(), app.clone(), config.clone(), folder.clone());
            tracing::error!("{:#}: tried again", anyhow::Error::from(error));
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(AGAIN).await;
                    match open(&config, &folder).await {
                        Ok(catalog) => return have(&api, &app, catalog, &config),
                        Err(error) => tracing::warn!("{:#}: tried again", anyhow::Error::from(error)),
                    }
                }
            });
        }
        Err(error) => return Err(catalog::cannot_open(&error)),
    }
    Ok(())
}

fn have(api: &Api, app: &Arc<App>, catalog: Catalog, config: &Config) {
    let (roster, live, groups) = (app.roster.clone(), app.live.clone(), app.groups.clone());
    let named = Arc::new(config.named_tenants().map(str::to_owned).collect());
    tokio::spawn(Follower { roster, live, groups, named }.follow(catalog.clone()));
    let (roster, history, reader, alarms) =
        (app.roster.clone(), app.history.clone(), app.reader.clone(), app.alarms.clone());
    tokio::spawn(Accountant::new(roster, history, reader, alarms).keep(catalog.clone()));
    let holder = format!("node-{}", app.history.node());
    tokio::spawn(auditor::keep(catalog.clone(), config.catalog.audit()));
    tokio::spawn(Commander::command(app.gateway.clone(), catalog.clone(), holder));
    tokio::spawn(app.porter.clone().follow(catalog.clone()));
    // A second one would be the same.
    let _ = app.catalog.set(catalog.clone());
    tokio::spawn(erase::go_on(app.clone()));
    api.begin(catalog);
}

async fn open(config: &Config, folder: &Folder) -> Result<Catalog, Error> {
    let catalog = catalog::open(config, folder).await?;
    let (password, file) = (std::env::var(ADMIN_PASSWORD).ok(), folder.first_password());
    if let Some(made) = catalog.ensure_admin(password.as_deref()).await? {
        first::tell(&made, &file);
    }
    tokio::spawn(first::tidy(catalog.clone(), file));
    Ok(catalog)
}

/// The help texts of the metrics here.
pub(crate) fn describe() {
    use metrics::{describe_counter, describe_gauge};
    forwarded::describe();
    describe_counter!(
        "odograph_api_seats_refused_total",
        "Answers that were refused because as many were under way as may be, of the tenant or of all, by kind."
    );
    describe_counter!(
        "odograph_http_slow_readers_total",
        "Answers that were given up because whoever asked for them took too little for a minute."
    );
    describe_gauge!(
        "odograph_catalog_unwritable",
        "1: what people decide cannot be changed, because the catalog's database writes nothing; devices are served all the same."
    );
}

/// What people and programs ask takes little; what takes long has threads of its own.
const THREADS: usize = 2;

/// How long until a catalog is tried again that could not be reached.
const AGAIN: Duration = Duration::from_secs(5);

fn public(app: &Arc<App>, api: &Api, origins: &[String], site: &Arc<site::Site>) -> Router {
    let pages = Router::new().fallback(site::serve).with_state(site.clone());
    health::routes(app, api).merge(odograph_api::router(api, origins)).merge(pages)
}

fn control(app: &Arc<App>, api: &Api, site: &Arc<site::Site>) -> Router {
    let own = Router::new()
        .route("/control/export/records", post(export::records))
        .route("/control/export/frames", post(export::frames))
        .route("/control/backup", post(backup::backup))
        .route("/control/sql", post(sql::sql))
        .route("/control/replay", post(replay::replay))
        .route("/control/erase", post(erase::erase))
        .route("/control/journal/stat", get(journal::stat))
        .route("/control/unidentified", post(unidentified::list))
        .route("/control/unidentified/name", post(unidentified::name))
        .route("/control/devices", get(devices::list))
        .route("/control/devices/{id}/accept", post(devices::accept))
        .route("/control/devices/{id}/reject", post(devices::reject))
        .with_state(app.clone());
    // No browser comes by this way.
    public(app, api, &[], site).merge(own)
}
