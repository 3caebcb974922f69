//! A tenant's things, as somebody may see and change them. What belongs to others is not there, whatever its id.
//!
//! Everything here asks through [`Scoped`], which puts the tenant into each statement, looks at the role, and writes the
//! audit log. One file for each kind of thing.

mod account;
mod audit;
mod commands;
mod devices;
mod drivers;
mod erase;
mod groups;
mod import;
mod queries;
mod sensors;
mod shares;
mod tokens;
mod usage;
mod users;

pub use account::{AccountChange, Session};
pub use audit::{AuditEntry, AuditFilter};
pub use devices::{DeviceFilter, DeviceOrder, DevicePage};
pub use drivers::{Driver, DriverFields};
pub use groups::Group;
pub use import::{DeviceRow, ImportMode, ImportOutcome, ImportReport, ImportedRow};
pub use queries::{NewQuery, QueryChange, SavedQuery};
pub use sensors::DeviceSensor;
pub use shares::{NewShare, Share, SharePage};
pub use tokens::{NewToken, Token};
pub use usage::{StandingOf, Standings, UsageDay, UsageState};
pub use users::{NewUser, User, UserChange};

pub(crate) use commands::{
    audit_outcome, open_of as open_command_of, read as read_command, spoil as spoil_command, write as write_command,
};
pub(crate) use devices::{COLUMNS as DEVICE_COLUMNS, WRITE_ROWS, remove_device, write_devices, write_ids};
pub(crate) use users::login_of;

use crate::bounds::{self, GROUPS_OF_ACCESS_MAX};
use crate::scoped::{Change, Scoped};
use crate::{Error, Role, Tenant};

/// A tenant's things, as an [`Access`](crate::Access) may see and change them.
#[derive(Clone, Copy)]
pub struct Within<'c> {
    scoped: Scoped<'c>,
}

impl<'c> Within<'c> {
    pub(crate) const fn new(scoped: Scoped<'c>) -> Self {
        Self { scoped }
    }

    /// The tenant itself.
    pub async fn tenant(&self) -> Result<Tenant, Error> {
        self.scoped.own_tenant().await
    }
}

/// The groups that somebody is to be limited to.
fn check_groups(groups: Option<&[String]>, role: Role) -> Result<(), Error> {
    let Some(groups) = groups else { return Ok(()) };
    if role == Role::Owner {
        return Err(Error::invalid("groups", "an owner sees all devices: choose another role, or no groups"));
    }
    bounds::count("groups", groups.len(), GROUPS_OF_ACCESS_MAX)
}

/// Fails unless all groups are there that somebody is to be limited to.
async fn know_groups(change: &mut Change<'_>, groups: Option<&[String]>) -> Result<(), Error> {
    for group in groups.unwrap_or_default() {
        Group::of(change, group).await?;
    }
    Ok(())
}

/// Reads a field that may be absent, which changes nothing, or null, which takes something away.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    serde::Deserialize::deserialize(deserializer).map(Some)
}
