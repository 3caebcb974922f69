//! What the server takes and has left, for whoever runs it.

use serde::Serialize;
use utoipa::ToSchema;

/// What the server takes, as it was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct System {
    /// The version of the program.
    pub version: String,
    /// For how long it has served, in seconds.
    pub uptime_s: u64,
    /// What all tenants share: for those who manage tenants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// What history takes, by tenant and table, the largest first: of one's own tenant, or of all for those who manage them.
    pub tables: Vec<TableSize>,
    /// How many more there are, where they are too many to be told.
    pub tables_left_out: u64,
}

/// What all tenants share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Installation {
    /// When it was looked at, in milliseconds since 1970 UTC. It is looked at anew where that is 30 seconds ago or more.
    pub looked: i64,
    /// The disk of the data folder; nothing where the system does not say.
    pub disk: Option<DiskSize>,
    /// The journal of this node.
    pub journal: JournalSize,
    /// Bytes of the catalog's file; nothing where the catalog is on another machine.
    pub catalog_bytes: Option<u64>,
    /// Bytes of all tenants' history.
    pub lake_bytes: u64,
    /// Whether these are on the disk of the data folder, not in an object store.
    pub lake_is_on_disk: bool,
    /// What is wrong at this moment that a person has to look at.
    pub troubles: Vec<Trouble>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trouble {
    /// Of what: `catalog`, `history`, one of its tables (`records`, `frames`, `events`), a `file` of it, or a `listener`.
    pub part: String,
    /// Whose table it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What is wrong, and where.
    pub what: String,
}

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiskSize {
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Bytes of all of it.
    pub total_bytes: u64,
    /// An estimate of the journal alone: in how many days it is full if so much came each day as the journal takes in, and nothing went.
    /// History comes besides, and what retention gives up makes room. Nothing where `bytes_per_day` is not known, or is 0.
    pub days_left: Option<u64>,
}

/// A journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JournalSize {
    /// Bytes of its files; nothing where they cannot be read.
    pub bytes: Option<u64>,
    /// How much it takes in, in a day, on average over the last seven days or as much of them as is known. Nothing before a segment
    /// is complete, or where that is less than an hour.
    pub bytes_per_day: Option<u64>,
    /// How much it took in, by day (UTC), the last 14 days as far as known: what has no day of its own, such as a segment over
    /// midnight, is shared among its days by time.
    pub days: Vec<JournalDay>,
}

/// A day of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JournalDay {
    /// The day (UTC), as `2026-11-21`.
    pub day: String,
    /// Bytes that it took in.
    pub bytes: u64,
}

/// What a table takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TableSize {
    /// The tenant.
    pub tenant: String,
    /// The table: `records`, `frames` or `events`.
    pub table: String,
    /// Bytes of its files.
    pub bytes: u64,
}
