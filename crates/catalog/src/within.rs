//! A tenant's things, as somebody may see and change them. What belongs to others is not there, whatever its id.
//!
//! Everything here asks through [`Scoped`], which puts the tenant into each statement, looks at the role, and writes the
//! audit log. One file for each kind of thing.

mod account;
mod audit;
mod tokens;
mod users;

pub use account::{AccountChange, Session};
pub use audit::{AuditEntry, AuditFilter};
pub use tokens::{NewToken, Token};
pub use users::{NewUser, User, UserChange};

pub(crate) use users::login_of;

use crate::bounds::GROUPS_OF_ACCESS_MAX;
use crate::scoped::Scoped;
use crate::{Error, Role, Tenant, tenants};

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
        let row = tenants::one(self.scoped.tenant()).row(self.scoped.catalog().database.reader()).await?;
        Tenant::from_row(&row.ok_or_else(|| Error::not_found("tenant", self.scoped.tenant()))?)
    }
}

/// The groups that somebody is to be limited to.
fn check_groups(groups: Option<&[String]>, role: Role) -> Result<(), Error> {
    let Some(groups) = groups else { return Ok(()) };
    if role == Role::Owner {
        return Err(Error::invalid("groups", "an owner sees all devices: choose another role, or no groups"));
    }
    if groups.len() > GROUPS_OF_ACCESS_MAX {
        return Err(Error::invalid(
            "groups",
            format!("are {}, at most {GROUPS_OF_ACCESS_MAX} are possible", groups.len()),
        ));
    }
    Ok(())
}

/// Reads a field that may be absent, which changes nothing, or null, which takes something away.
fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    serde::Deserialize::deserialize(deserializer).map(Some)
}
