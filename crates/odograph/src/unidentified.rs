//! Who came and was not understood, or was refused: what the journal and history have of them, and naming them later.
//!
//! The same whether a server runs or not.

mod gather;
mod name;

pub(crate) use name::{NameAs, NameRequest, name};

use crate::export::{Entries, Needed};
use anyhow::Result;
use gather::Gather;
use odograph_lake::EntriesOf;
use odograph_model::{Lsn, Time};
use serde::{Deserialize, Serialize};

/// Which of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StrayQuery {
    /// Whose last bytes came not before this moment, in milliseconds since 1970 UTC.
    pub(crate) from: Option<i64>,
    /// At most so many: the newest.
    pub(crate) limit: usize,
}

/// One of them: a connection, or an address that sent datagrams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stray {
    /// The place in the journal where it begins, by which it is named.
    pub(crate) id: u64,
    /// When its first bytes came to the journal, and its last.
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) peer: String,
    pub(crate) local: String,
    pub(crate) transport: String,
    /// Why it ended: `undecided`, `undecided-bytes`, `refused`, `peer` and so on; `None` as long as it has not.
    pub(crate) why: Option<String>,
    /// The protocol that was spoken, where it was known: of a device that was refused.
    pub(crate) protocol: Option<String>,
    /// What the device called itself, where it was refused.
    pub(crate) device: Option<String>,
    /// What this version takes it for, where that is clear by now.
    pub(crate) is: Option<String>,
    /// Which protocols it could be, as far as this version knows.
    pub(crate) could_be: Vec<String>,
    /// Bytes that are kept of it, and in how many pieces: a datagram each.
    pub(crate) bytes: u64,
    pub(crate) pieces: u64,
    /// Its first bytes, as hex digits and as text with escapes.
    pub(crate) hex: String,
    pub(crate) text: String,
    /// As what it was named since.
    pub(crate) named: Vec<String>,
}

/// Those that there are, the newest first.
pub(crate) fn list(entries: &Entries<'_>, query: &StrayQuery) -> Result<Vec<Stray>> {
    let mut gather = Gather::new(None);
    let from = query.from.map(Time);
    entries.device("", Lsn(0), &Needed { of: EntriesOf::Device("".into()), from, to: None }, &mut gather)?;
    let mut strays = gather.strays();
    strays.retain(|(_, last)| from.is_none_or(|from| *last >= from));
    strays.sort_by_key(|(stray, last)| std::cmp::Reverse((*last, stray.id)));
    strays.truncate(query.limit);
    Ok(strays.into_iter().map(|(stray, _)| stray).collect())
}
