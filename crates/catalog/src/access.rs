//! Who asks, and what they may: made by [`authenticate`](crate::Catalog::authenticate), or for whoever has the data folder.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Error, Needed};

/// What somebody may do with a tenant's things. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees devices and what they sent.
    Viewer,
    /// Changes devices, groups, drivers, sensors, and sends commands.
    Manager,
    /// Changes users and tokens, and reads the audit log.
    Owner,
}

impl Role {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Manager => "manager",
            Self::Owner => "owner",
        }
    }

    /// The role of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Manager, Self::Owner].into_iter().find(|role| role.name() == name)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person who has signed in.
    User {
        /// The user's id.
        id: String,
        /// What the user signs in with.
        login: String,
        /// The tenant that the user belongs to, which is not always the one that is asked about.
        tenant: String,
        /// The session, to tell it from the user's others.
        session: String,
    },
    /// A program with a token.
    Token {
        /// The token's id.
        id: String,
        /// Its name.
        name: String,
        /// The tenant that the token belongs to, which is not always the one that is asked about.
        tenant: String,
    },
    /// Whoever owns the data folder: by the control socket, or a command that opens the folder itself.
    Owner,
    /// The server, which writes down what became of what others wanted.
    Server,
}

impl Actor {
    /// As it stands beside what they made: a login, the name of a token, or `owner` of the data folder.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::User { login, .. } => login.clone(),
            Self::Token { name, .. } => name.clone(),
            Self::Owner | Self::Server => "owner".to_owned(),
        }
    }

    /// What kind it is, and its id among those: what stays of somebody who is called otherwise tomorrow.
    pub(crate) fn key(&self) -> (&'static str, &str) {
        match self {
            Self::User { id, .. } => ("user", id),
            Self::Token { id, .. } => ("token", id),
            Self::Owner => ("owner", ""),
            Self::Server => ("server", ""),
        }
    }
}

/// Of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The tenant.
    pub tenant: String,
    /// The groups of devices, or all devices.
    pub groups: Option<Vec<String>>,
}

/// Who asks, about what, with which rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Who it is.
    pub actor: Actor,
    /// Of what.
    pub scope: Scope,
    /// What they may there.
    pub role: Role,
    /// Whether they may manage tenants, and enter any of them.
    pub system: bool,
    /// Where the question came from, for the audit log.
    pub peer: Option<IpAddr>,
}

impl Access {
    /// What the owner of the data folder has in a tenant: everything.
    pub fn owner(tenant: &str) -> Self {
        let scope = Scope { tenant: tenant.to_owned(), groups: None };
        Self { actor: Actor::Owner, scope, role: Role::Owner, system: true, peer: None }
    }

    /// What the server has in a tenant, to write down what became of something.
    pub(crate) fn server(tenant: &str) -> Self {
        Self { actor: Actor::Server, system: false, ..Self::owner(tenant) }
    }

    /// The same, with where the question came from.
    pub fn from_peer(mut self, peer: IpAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Fails unless the role is at least this one.
    pub fn needs(&self, role: Role) -> Result<(), Error> {
        self.has(self.role >= role, Needed::Role(role))
    }

    /// Fails where only some groups of devices are visible.
    pub fn needs_all_devices(&self) -> Result<(), Error> {
        self.has(self.scope.groups.is_none(), Needed::AllDevices)
    }

    /// Fails unless tenants may be managed.
    pub fn needs_system(&self) -> Result<(), Error> {
        self.has(self.system, Needed::System)
    }

    /// The tenant that whoever asks belongs to, whichever one they have entered. The owner of the data folder belongs to each.
    pub(crate) fn home(&self) -> &str {
        match &self.actor {
            Actor::User { tenant, .. } | Actor::Token { tenant, .. } => tenant,
            Actor::Owner | Actor::Server => &self.scope.tenant,
        }
    }

    /// The id of the user and of the session, where a user asks in the user's own tenant.
    pub(crate) fn needs_user(&self) -> Result<(&str, &str), Error> {
        match &self.actor {
            Actor::User { id, session, tenant, .. } if *tenant == self.scope.tenant => Ok((id, session)),
            _ => Err(Error::Forbidden { needed: Needed::User }),
        }
    }

    fn has(&self, enough: bool, needed: Needed) -> Result<(), Error> {
        if enough { Ok(()) } else { Err(Error::Forbidden { needed }) }
    }
}
