//! What the server takes and has left, for whoever runs it.

use serde::Serialize;
use std::collections::BTreeMap;
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
    /// Of which kind it is: programs go by this.
    pub code: TroubleCode,
    /// Of what: `catalog`, `history`, one of its tables (`records`, `frames`, `events`), a `file` of it, a `listener`, or the `server` as
    /// a whole.
    pub part: String,
    /// Whose table it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What is wrong, and where.
    pub what: String,
}

/// Of which kind a trouble is. A code stays what it is; a later version may have more of them.
///
/// - `history_stuck`: history does not get on. The journal keeps what devices send.
/// - `table_broken`: a table of history cannot be opened. What comes for it waits in the journal.
/// - `table_incomplete`: a table of history lacks what it had, because an older copy was put in its place.
/// - `file_damaged`: a file of history is damaged.
/// - `history_lacks`: history lacks a stretch of the journal, which was damaged, or gone, when it was to be read.
/// - `catalog_unwritable`: nothing can be changed that people decide, because the catalog's database writes nothing.
/// - `budget_near`: history is so far behind that the journal's disk budget will soon force out what it needs.
/// - `budget_forced`: the journal's disk budget forced out what history had not read.
/// - `quota_near`: a tenant comes near a quota.
/// - `quota_reached`: a tenant has reached a quota, and devices of it are refused.
/// - `erasures_unread`: it cannot be read what was ordered to be erased.
/// - `clock_ahead`: the clock is so far ahead that nothing goes for being old.
/// - `listener_failed`: a listener is to be open, and cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TroubleCode {
    /// History does not get on.
    HistoryStuck,
    /// A table of history cannot be opened.
    TableBroken,
    /// A table of history lacks what it had.
    TableIncomplete,
    /// A file of history is damaged.
    FileDamaged,
    /// History lacks a stretch of the journal.
    HistoryLacks,
    /// Nothing can be changed that people decide.
    CatalogUnwritable,
    /// The journal's disk budget will soon force out what history needs.
    BudgetNear,
    /// The journal's disk budget forced out what history had not read.
    BudgetForced,
    /// A tenant comes near a quota.
    QuotaNear,
    /// A tenant has reached a quota.
    QuotaReached,
    /// It cannot be read what was ordered to be erased.
    ErasuresUnread,
    /// The clock is too far ahead to be believed.
    ClockAhead,
    /// A listener is to be open, and cannot be.
    ListenerFailed,
}

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiskSize {
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Bytes of all of it.
    pub total_bytes: u64,
    /// For how long the server has watched how full it gets, in seconds: seven days at most. It begins anew with each start.
    pub watched_s: u64,
    /// How many bytes more it holds after a day, on average over that time: all that came to journal, history and whatever else is on
    /// it, without what went. Less than nothing where more went. Nothing before it was watched for a day: an hour says little about a day.
    pub lost_bytes_per_day: Option<i64>,
    /// In how many days it is full if it goes on so; before it was watched for a day, if the journal takes in what it did, and nothing
    /// goes. Nothing where that is not known, or where it does not get fuller.
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

/// What was lately, as far as the page of the system draws lines of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Lately {
    /// When it was looked at, in milliseconds since 1970 UTC: every ten seconds of the last half an hour that the server has served, the
    /// oldest first.
    pub times: Vec<i64>,
    /// What was seen then.
    pub numbers: Vec<NumberLately>,
}

/// A number of `/metrics`, as it was.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NumberLately {
    /// Its name there.
    pub name: String,
    /// The labels by which those were chosen that are meant. Without any, it is all of that name, added up.
    pub labels: BTreeMap<String, String>,
    /// What it was at each of the times. A counter begins anew with the server, and so does the list.
    pub values: Vec<f64>,
}
