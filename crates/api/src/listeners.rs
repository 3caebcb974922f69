//! Where devices arrive, and how it stands there: on the server that is asked, for whoever runs it.

use odograph_catalog::Listener;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A listener, and how it stands on the server that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerSeen {
    /// What people made.
    #[serde(flatten)]
    pub listener: Listener,
    /// What became of it here.
    #[serde(flatten)]
    pub standing: ListenerStanding,
}

/// How a listener stands on the server that was asked. On another one that follows the same catalog it may stand otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerStanding {
    /// That of the socket that stands worst.
    pub state: ListenerState,
    /// Why it is not open, though it is to be. It is tried again as long as that is so.
    pub problem: Option<String>,
    /// Its sockets.
    pub sockets: Vec<ListenerSocket>,
}

/// A socket of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerSocket {
    /// `tcp` or `udp`.
    pub transport: String,
    /// Its address.
    pub address: String,
    /// How it stands.
    pub state: ListenerState,
    /// Why it is not open, though it is to be.
    pub problem: Option<String>,
    /// Since when it is open, in milliseconds since 1970 UTC.
    pub since: Option<i64>,
    /// How many connections came by it and are open now. Datagrams are none.
    pub connections: Option<u64>,
}

/// How a listener or one of its sockets stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListenerState {
    /// It is not to be open, and is not.
    Closed,
    /// It is open: devices come.
    Open,
    /// It was changed a moment ago, and is on its way.
    Waiting,
    /// It is to be open, and cannot be: the problem says why. It is tried again, after a second at first and every 30 seconds at last.
    Failed,
}

impl ListenerState {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}

/// A place where devices arrive that nobody made in the catalog: of the configuration, or a protocol's default port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OtherListener {
    /// What devices speak there, or `http` for the port of this API.
    pub protocol: String,
    /// `tcp` or `udp`.
    pub transport: String,
    /// Its address.
    pub address: String,
    /// Whose devices become that register there; nothing for the port of this API.
    pub tenant: Option<String>,
    /// What says so: a line of the configuration, `--listen`, a default port.
    pub by: String,
}

/// All listeners.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ListenerList {
    /// Those that people made, in the order in which they did.
    pub listeners: Vec<ListenerSeen>,
    /// What else this server has open: none of them can be changed here, and no listener can be where one of them is.
    pub others: Vec<OtherListener>,
    /// How many more of those there are, where they are too many to be told.
    pub others_left_out: u64,
}
