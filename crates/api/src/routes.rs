//! The addresses, one file for each kind of thing.

mod account;
mod address;
mod audit;
mod commands;
mod devices;
mod drivers;
mod listeners;
mod live;
pub(crate) mod map;
mod protocols;
mod queries;
mod records;
mod sensors;
mod sessions;
pub(crate) mod shares;
mod sql;
mod system;
mod tenants;
mod tokens;
mod unidentified;
mod users;

use crate::{Api, Code, Problem};
use axum::http::{Method, Uri};
use utoipa_axum::router::OpenApiRouter;

/// All of them.
pub(crate) fn all() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(sessions::routes())
        .merge(account::routes())
        .merge(devices::routes())
        .merge(drivers::routes())
        .merge(commands::routes())
        .merge(records::routes())
        .merge(live::routes())
        .merge(map::routes())
        .merge(address::routes())
        .merge(shares::routes())
        .merge(sensors::routes())
        .merge(sql::routes())
        .merge(queries::routes())
        .merge(protocols::routes())
        .merge(unidentified::routes())
        .merge(tenants::routes())
        .merge(listeners::routes())
        .merge(users::routes())
        .merge(tokens::routes())
        .merge(audit::routes())
        .merge(system::routes())
}

/// For every other address.
pub(crate) async fn nothing(uri: Uri) -> Problem {
    Problem::new(Code::NotFound, format!("there is nothing at {}: see /api/v1/openapi.json", shown(uri.path())))
}

/// For an address that takes other methods.
pub(crate) async fn other_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Code::Method, format!("{method} is not for {}: see /api/v1/openapi.json", shown(uri.path())))
}

/// A path may be of any length.
fn shown(path: &str) -> String {
    path.chars().take(PATH_CHARS_SHOWN).collect()
}

const PATH_CHARS_SHOWN: usize = 100;
