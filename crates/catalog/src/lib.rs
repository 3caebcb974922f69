//! What people decide: tenants, users and their sessions, tokens, groups, devices, links to them, commands, saved queries, listeners, and the log of who did what. SQLite in the data folder, or
//! PostgreSQL where several machines share it, through one implementation.
//!
//! [`Catalog::authenticate`] says who asks, as an [`Access`]. All that belongs to a tenant is behind [`Catalog::within`]: it
//! knows the tenant, the visible groups of devices, and the role, and there is no other way to it.
//!
//! ```no_run
//! # async fn example(clock: std::sync::Arc<dyn odograph_env::Clock>, rng: std::sync::Arc<dyn odograph_env::Rng>) -> Result<(), odograph_catalog::Error> {
//! use odograph_catalog::{Access, Catalog, NewToken, Role};
//!
//! let catalog = Catalog::open("sqlite:odograph-data/catalog.sqlite", clock, rng).await?;
//! let password = catalog.ensure_admin(None).await?;
//! let owner = Access::owner("default");
//! let new = NewToken { name: "reports".into(), role: Role::Viewer, ..NewToken::default() };
//! let (token, secret) = catalog.within(&owner).create_token(new).await?;
//! let access = catalog.authenticate(secret.reveal()).await?.expect("the token holds");
//! assert_eq!(catalog.within(&access).tenant().await?.id, "default");
//! # Ok(()) }
//! ```

mod access;
mod admin;
pub mod bounds;
mod carry;
mod catalog;
mod changing;
mod commands;
mod database;
mod devices;
mod error;
mod failures;
mod follow;
mod kept;
mod kept_out;
mod left;
mod listeners;
mod passwords;
mod queue;
mod register;
mod restored;
mod scoped;
mod secret;
mod shared;
mod sign_in;
mod sql;
mod tenants;
mod totp;
mod transaction;
mod usage;
mod visits;
mod within;

pub use access::{Access, Actor, Role, Scope};
pub use admin::{ADMIN, DEFAULT_TENANT};
pub use carry::{is_vacant, load};
pub use catalog::Catalog;
pub use changing::CHANGE_BURST;
pub use commands::{COMMAND_TTL_S, CommandState, DeviceCommand, NewCommand, OWN_TEXT};
pub use database::copy;
pub use devices::{Device, DeviceFields, DeviceState, HIDDEN};
pub use error::{Error, LoginError, Needed};
pub use follow::{Changes, DeviceBinding, DeviceUpdate};
pub use kept::AuditKept;
pub use kept_out::KeptOut;
pub use listeners::{
    ChecksumPolicy, KeptListeners, Listener, ListenerChanges, ListenerCheck, ListenerFields, ListenerTerms,
    ListenerTls, ListenerTransport, Listeners, OtherDevice, UnknownDevices,
};
pub use queue::{ANSWER_PATIENCE_MS, Claim, ClaimedCommand, CommandQueue, Recipient, Report};
pub use register::{Registered, Registration, TenantLimits};
pub use restored::Restored;
pub use secret::Secret;
pub use shared::SharedDevice;
pub use sign_in::{SESSION_IDLE_MS, SESSION_MS};
pub use tenants::{NewTenant, Quotas, Tenant, TenantChange, Tenants};
pub use totp::TotpOffer;
pub use usage::UsageOfNode;
pub use within::{
    AccountChange, AuditEntry, AuditFilter, DeviceFilter, DeviceOrder, DevicePage, DeviceRow, DeviceSensor, Driver,
    DriverFields, Group, ImportMode, ImportOutcome, ImportReport, ImportedRow, NewQuery, NewShare, NewToken, NewUser,
    QueryChange, SavedQuery, Session, Share, SharePage, StandingOf, Standings, Token, UsageDay, UsageState, User,
    UserChange, Within,
};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub use odograph_env::UnixMillis;
