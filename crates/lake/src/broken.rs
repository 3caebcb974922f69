//! Tables that cannot be opened, or written to: one tenant's damage costs nobody else anything.
//!
//! What comes for such a table is not taken. The journal keeps it, because the place up to which everything is in files stays
//! before it, however far the other tables come. Once the table can be opened, the one who reads the journal begins again
//! there: each of the others knows by its own cursor what it has.

use crate::Error;
use crate::buffer::Waits;
use crate::lake::Writer;
use crate::table::Table;
use crate::tables::{Common, Tables};
use crate::tenant::Shelf;
use compact_str::CompactString;
use odograph_model::Lsn;
use std::collections::BTreeMap;
use std::time::Duration;

/// A table that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenTable {
    /// Whose it is.
    pub tenant: CompactString,
    /// Which one.
    pub table: &'static str,
    /// Why.
    pub why: String,
}

/// Those of one kind.
#[derive(Default)]
pub(crate) struct Broken {
    /// By tenant, with why.
    tables: BTreeMap<CompactString, String>,
    /// The first place in the journal of something that was not taken.
    held: Option<Lsn>,
}

impl Broken {
    pub(crate) fn why(&self, tenant: &str) -> Option<&str> {
        self.tables.get(tenant).map(String::as_str)
    }

    pub(crate) fn add(&mut self, tenant: &str, why: String) {
        self.tables.insert(tenant.into(), why);
    }

    /// Something from this place of the journal on is not taken.
    pub(crate) fn hold(&mut self, place: Lsn) {
        self.held = Some(self.held.map_or(place, |held| held.min(place)));
    }

    pub(crate) const fn held(&self) -> Option<Lsn> {
        self.held
    }
}

impl<B: Waits> Tables<B> {
    /// A table that could not be opened, and can be now.
    fn mended(&self, common: &Common, now: Duration) -> Option<String> {
        let can = |tenant: &CompactString| {
            let at = common.place.table(tenant, B::SHAPE).ok()?;
            let (name, place) = (at.name.clone(), at.clone());
            let opened = common.ask(async {
                match Table::find(at, common.node, B::SHAPE).await? {
                    Some(table) => {
                        Shelf::<B>::new(&table).await?;
                        Ok(common.place.stuck.is_over(&name, table.version(), now))
                    }
                    // Somebody moved all of it away.
                    None => Ok(place.remains().await?.is_none()),
                }
            });
            // What fails now is looked at again.
            opened.is_ok_and(|can| can).then_some(name)
        };
        self.broken.tables.keys().find_map(can)
    }

    /// Whether any cannot be opened.
    fn has_broken(&self) -> bool {
        !self.broken.tables.is_empty()
    }
}

impl Writer {
    /// Whether a table cannot be opened. As long as that is so, the journal is read again from its place on at the next start.
    pub fn has_broken(&self) -> bool {
        self.records.has_broken() || self.frames.has_broken() || self.events.has_broken()
    }

    /// Looks now and then whether what could not be opened can be now.
    pub(crate) fn look_at_broken(&mut self) -> Result<(), Error> {
        let now = self.clock.monotonic();
        if !self.has_broken() || now < self.look_at {
            return Ok(());
        }
        self.look_at = now + LOOK_EVERY;
        let common = &self.common;
        let mended = self.records.mended(common, now).or_else(|| self.frames.mended(common, now));
        mended.or_else(|| self.events.mended(common, now)).map_or(Ok(()), |table| Err(Error::Mended { table }))
    }
}

/// A person put something back: a minute does not matter to them.
const LOOK_EVERY: Duration = Duration::from_secs(60);
