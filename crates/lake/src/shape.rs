//! What the kinds of tables have in common and where they differ.

use crate::columns;
use datafusion::arrow::datatypes::Field;

/// A kind of table. All are partitioned by [`columns::DAY`], and sorted within a day.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Its folder in the tenant's, and its name in SQL.
    pub(crate) name: &'static str,
    /// The columns that every such table has, the partition's behind all that files hold.
    pub(crate) fixed: fn() -> Vec<Field>,
    /// By what the rows of a day are sorted: the device first.
    pub(crate) order: &'static [&'static str],
    /// What says of two rows that are sorted alike whether they are the same; `None`: that is nobody's question.
    pub(crate) identity: Option<&'static str>,
    /// The second column: together with the device, a reader chooses files by it.
    pub(crate) time: &'static str,
}

/// What devices said.
pub(crate) static RECORDS: Shape = Shape {
    name: "records",
    fixed: columns::fixed,
    order: &[columns::DEVICE, columns::TIME],
    identity: Some(columns::ID),
    time: columns::TIME,
};
