//! In which segments of the journal a device was, by the rows of frames: of segments that were removed, names are all that is left,
//! and history alone knows whose they were.

use crate::frames::{NODE, SEGMENT};
use crate::place::Place;
use crate::{Error, Lake, columns, query};
use datafusion::arrow::array::AsArray as _;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::prelude::{Expr, cast, col, lit};
use futures::TryStreamExt as _;
use odograph_model::Lsn;
use std::collections::{BTreeMap, BTreeSet};

/// Devices and the segments that frames of theirs were in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldSegments {
    own: Pairs,
    others: Pairs,
}

impl HeldSegments {
    /// Whether a device of this name is among those that go, and had something in a segment.
    pub fn has(&self, device: &str, segment: Lsn) -> bool {
        self.own.has(device, segment)
    }

    /// Whether another tenant's device of this name had something there.
    pub fn have_others(&self, device: &str, segment: Lsn) -> bool {
        self.others.has(device, segment)
    }
}

/// Names, each with segments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Pairs {
    by_name: BTreeMap<String, BTreeSet<Lsn>>,
    count: usize,
}

impl Pairs {
    fn has(&self, device: &str, segment: Lsn) -> bool {
        self.by_name.get(device).is_some_and(|held| held.contains(&segment))
    }

    fn add(&mut self, device: &str, segment: Lsn, pairs_max: usize) -> Result<(), Error> {
        if self.has(device, segment) {
            return Ok(());
        }
        self.count += 1;
        if self.count > pairs_max {
            return Err(Error::Refused(format!(
                "what is to be erased was in more than {pairs_max} places of segments that the journal has removed: have retention remove \
                 some of its frames first, or erase its devices one after the other"
            )));
        }
        self.by_name.entry(device.to_owned()).or_default().insert(segment);
        Ok(())
    }
}

impl Place {
    /// In which segments before a place of a node's journal tables of frames have something of a device, or of all devices of a tenant;
    /// and of other tenants' devices of the same names, as long as it `goes_on`.
    ///
    /// # Errors
    ///
    /// When files cannot be read, or it is more than can be held in memory.
    pub fn segments_of_frames(
        &self,
        node: u16,
        before: Lsn,
        tenant: &str,
        device: Option<&str>,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<HeldSegments, Error> {
        self.segments_up_to(PAIRS_MAX, node, before, tenant, device, goes_on)
    }

    fn segments_up_to(
        &self,
        pairs_max: usize,
        node: u16,
        before: Lsn,
        tenant: &str,
        device: Option<&str>,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<HeldSegments, Error> {
        let lake = Lake::of_frames(self)?;
        let removed = col(NODE).eq(lit(i32::from(node))).and(col(SEGMENT).lt(lit(before.0.cast_signed())));
        let name = || col(columns::DEVICE);
        let (mut own, mut others) = (Pairs::default(), Pairs::default());
        let wanted =
            removed.clone().and(device.map_or_else(|| name().not_eq(lit("")), |device| name().eq(lit(device))));
        each_pair(&lake, tenant, &wanted, goes_on, |device, segment| own.add(device, segment, pairs_max))?;
        let wanted = match (device, own.by_name.first_key_value(), own.by_name.last_key_value()) {
            (Some(device), ..) => name().eq(lit(device)),
            (None, Some((first, _)), Some((last, _))) => {
                name().gt_eq(lit(first.as_str())).and(name().lt_eq(lit(last.as_str())))
            }
            // Nobody has a name that could be another one's.
            _ => return Ok(HeldSegments { own, others }),
        };
        for other in lake.tenants().iter().filter(|other| *other != tenant) {
            each_pair(&lake, other, &removed.clone().and(wanted.clone()), goes_on, |name, segment| {
                // Of a tenant, only those count that have its devices' names in the same segment.
                if device.is_some() || own.has(name, segment) {
                    others.add(name, segment, pairs_max)?;
                }
                Ok(())
            })?;
        }
        Ok(HeldSegments { own, others })
    }
}

/// Streams them: what is kept of them is the caller's business.
fn each_pair(
    lake: &Lake,
    tenant: &str,
    wanted: &Expr,
    goes_on: &dyn Fn() -> bool,
    mut take: impl FnMut(&str, Lsn) -> Result<(), Error>,
) -> Result<(), Error> {
    let (_, Some(frames)) = lake.in_files(tenant) else { return Ok(()) };
    lake.ask(async {
        let rows = query::session(query::QUERY_BYTES)?.read_table(frames.files.clone())?.filter(wanted.clone())?;
        let columns = vec![cast(col(columns::DEVICE), DataType::Utf8), cast(col(SEGMENT), DataType::Int64)];
        let mut batches = rows.select(columns)?.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            if !goes_on() {
                return Err(Error::Refused("it was not to go on".to_owned()));
            }
            let segments = batch.column(1).as_primitive::<Int64Type>().values();
            let names = batch.column(0).as_string::<i32>().iter().map(Option::unwrap_or_default);
            for (name, segment) in names.zip(segments) {
                take(name, Lsn(segment.cast_unsigned()))?;
            }
        }
        Ok(())
    })
}

/// As many as leaves can be noted of all erasures; some dozens of megabytes.
const PAIRS_MAX: usize = 300_000;

#[cfg(test)]
mod tests;
