//! The API over HTTP: what programs and the pages of the interface ask, described by OpenAPI.
//!
//! A handler looks who asks ([`Caller`]), asks the catalog within what they may see, and the rest of the process through
//! [`Server`]. Problems are answers of one kind, with a code from one table ([`Code`]).
//!
//! **Invariant:** no handler names a tenant but the caller's, and none speaks of a device before the catalog has found it among
//! those that the caller sees, or behind the link that they have.

mod body;
mod caller;
mod cors;
mod description;
mod groups;
mod listeners;
mod problem;
mod routes;
mod seats;
mod server;
mod stream;
mod system;

pub use caller::{Caller, Origin};
pub use description::description;
pub use groups::GroupNumbers;
pub use listeners::{ListenerList, ListenerSeen, ListenerSocket, ListenerStanding, ListenerState, OtherListener};
pub use problem::{Code, Problem};
pub use server::{
    Attribute, CommandType, Decode, DecodeError, Decoded, DecodedField, Direction, Erased, ErasedLoad, Frame,
    FrameKind, Frames, Guess, MapFile, NameAs, NameRequest, Output, Page, Place, RecordFormat, Records, Server, Sql,
    SqlFormat, Stray, StrayQuery, ToldCommand, ToldProtocol, ToldSetting, Via, Written,
};
pub use stream::READING_THREADS_MAX;
pub use system::{
    DiskSize, Installation, JournalDay, JournalSize, Lately, NumberLately, System, TableSize, Trouble, TroubleCode,
};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;
use cors::Cors;
use odograph_catalog::Catalog;
use odograph_geocoder::Geocoder;
use odograph_live::Live;
use seats::Seats;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    catalog: Arc<OnceLock<Catalog>>,
    pub(crate) server: Arc<dyn Server>,
    pub(crate) live: Live,
    pub(crate) groups: GroupNumbers,
    /// Who has answers made that take their time.
    pub(crate) reading: Seats,
    /// Who reads the way of a link.
    pub(crate) sharing: Seats,
    /// Who looks for devices by what is live of them.
    pub(crate) looking: Seats,
    /// Whose turn it is to read the map's file.
    pub(crate) map_reads: Arc<Semaphore>,
    pub(crate) map_reads_by_link: Arc<Semaphore>,
    /// Who knows the addresses of places, if somebody does.
    pub(crate) geocoder: Option<Geocoder>,
}

impl Api {
    /// An API over this process. It answers once it has its catalog.
    pub fn new(server: Arc<dyn Server>, live: Live, groups: GroupNumbers) -> Self {
        let (catalog, reading, sharing, looking) = Default::default();
        let map_reads = Arc::new(Semaphore::new(routes::map::READS_MAX));
        let map_reads_by_link = Arc::new(Semaphore::new(routes::map::LINK_READS_MAX));
        Self { catalog, server, live, groups, reading, sharing, looking, map_reads, map_reads_by_link, geocoder: None }
    }

    /// The same, with somebody who knows the addresses of places.
    pub fn with_geocoder(self, geocoder: Option<Geocoder>) -> Self {
        Self { geocoder, ..self }
    }

    /// Gives it the catalog, once.
    pub fn begin(&self, catalog: Catalog) {
        // A second one would be the same.
        let _ = self.catalog.set(catalog);
    }

    pub(crate) fn catalog(&self) -> Result<&Catalog, Problem> {
        let not_yet = || {
            Problem::new(
                Code::Unavailable,
                "the catalog of users and devices cannot be reached yet: the server's log says why",
            )
            .retry_after(problem::CATALOG_AGAIN)
        };
        self.catalog.get().ok_or_else(not_yet)
    }
}

/// The routes. Each request needs an [`Origin`] among its extensions. Pages of these `origins` may ask, too, as
/// `https://dashboard.example` and as browsers write it.
pub fn router(api: &Api, origins: &[String]) -> Router {
    let (routes, description) = description::parts();
    let description: Arc<str> = description::text(&description).into();
    let routes = routes
        .route("/api/v1/openapi.json", axum::routing::get(move || async move { description::answer(&description) }))
        .route("/api", axum::routing::any(routes::nothing))
        .route("/api/{*rest}", axum::routing::any(routes::nothing))
        .method_not_allowed_fallback(routes::other_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    let routes = match origins {
        [] => routes,
        origins => routes.layer(axum::middleware::from_fn_with_state(Cors::new(origins), cors::share)),
    };
    routes.layer(axum::middleware::map_response(guarded)).with_state(api.clone())
}

/// No browser takes an answer for something else than it says, or keeps one that says nothing about that.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Bytes of a request's body. What is larger goes by commands over files.
pub const BODY_BYTES_MAX: usize = 1 << 20;
