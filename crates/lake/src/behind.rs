//! Tables that are behind what they had: somebody put an older copy in their place. Their own log cannot tell, so whoever fills
//! them keeps elsewhere what they had reached, and compares at the next start.

use crate::broken::BrokenTable;
use crate::buffer::Waits;
use crate::frames::FRAMES;
use crate::lake::{Writer, tenant_name};
use crate::place::Place;
use crate::shape::RECORDS;
use crate::tables::{Open, Tables};
use compact_str::CompactString;
use odograph_model::Lsn;
use std::collections::BTreeMap;

/// Up to where tables have the journal, by table and stream, with what a table calls itself: the one that is made in the place of one
/// that was erased is another one. A table's name is that of its folder.
pub type Reach = BTreeMap<String, Lsn>;

/// A table that has less of the journal than it had, of one of its streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BehindTable {
    /// Whose it is.
    pub tenant: CompactString,
    /// Which one.
    pub table: &'static str,
    /// It has everything before this place.
    pub has: Lsn,
    /// It had everything before that one.
    pub had: Lsn,
}

impl BehindTable {
    /// Whether it is one of entries as they are, and not of records.
    pub fn is_of_frames(&self) -> bool {
        self.table == FRAMES.name
    }
}

impl<B: Waits> Tables<B> {
    fn reach<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = (String, Lsn)> + 'a {
        self.iter().flat_map(move |open| of_streams(place, open))
    }

    fn behind<'a>(&'a self, place: &'a Place, noted: &'a Reach) -> impl Iterator<Item = BehindTable> + 'a {
        self.iter().flat_map(move |open| {
            let streams = of_streams(place, open);
            let of = move |(name, has): (String, Lsn)| {
                let had = *noted.get(&name).filter(|had| has < **had)?;
                Some(BehindTable { tenant: open.tenant.clone(), table: B::SHAPE.name, has, had })
            };
            streams.filter_map(of)
        })
    }
}

fn of_streams<'a, B: Waits>(place: &'a Place, open: &'a Open<B>) -> impl Iterator<Item = (String, Lsn)> + 'a {
    let streams = B::STREAMS.iter().zip(&open.cursors);
    streams.map(|(stream, has)| (format!("{}/{stream}/{}", place.folder_of(&open.tenant, B::SHAPE), open.id), *has))
}

impl Writer {
    /// Up to where tables have the journal. Of those that cannot be opened, what is known from `before`; of those that are not
    /// there, nothing: they were erased, perhaps.
    pub fn reach(&self, before: &Reach) -> Reach {
        let place = &self.common.place;
        let broken = before.iter().filter(|(name, _)| self.is_broken(name)).map(|(name, had)| (name.clone(), *had));
        broken.chain(self.records.reach(place)).chain(self.frames.reach(place)).collect()
    }

    fn is_broken(&self, name: &str) -> bool {
        let mut parts = name.split('/');
        let Some((tenant, table)) = parts.next().and_then(tenant_name).zip(parts.next()) else { return false };
        let why = match table {
            table if table == RECORDS.name => self.records.broken.why(&tenant),
            table if table == FRAMES.name => self.frames.broken.why(&tenant),
            _ => None,
        };
        why.is_some()
    }

    /// The tables that have less of the journal than was `noted`, once for each stream of which that is so.
    pub fn behind(&self, noted: &Reach) -> Vec<BehindTable> {
        let place = &self.common.place;
        self.records.behind(place, noted).chain(self.frames.behind(place, noted)).collect()
    }

    /// Remembers, until the process ends, that a table lacks what the journal does not have any more.
    pub fn found_incomplete(&self, table: BrokenTable) {
        let mut incomplete = self.common.place.incomplete.lock().expect("nobody panics holding it");
        if !incomplete.contains(&table) {
            incomplete.push(table);
        }
    }
}
