//! Who came and was not understood, or was refused: what the journal and history have of them, and naming them later.
//!
//! The same whether a server runs or not.

mod gather;
mod name;

pub(crate) use name::name;
pub(crate) use odograph_api::{Guess, NameAs, NameRequest, Stray, StrayQuery};

use crate::export::{Entries, Needed};
use anyhow::Result;
use gather::Gather;
use odograph_lake::EntriesOf;
use odograph_model::{Lsn, Time};

/// Those that there are, the newest first.
pub(crate) fn list(entries: &Entries<'_>, query: &StrayQuery) -> Result<Vec<Stray>> {
    let mut gather = Gather::new(None);
    let from = query.from.map(Time);
    entries.device("", Lsn(0), &Needed { of: EntriesOf::Device("".into()), from, to: None }, &mut gather)?;
    Ok(gather.newest(from, query.limit))
}
