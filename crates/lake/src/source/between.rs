//! Between which devices those of a long list are.
//!
//! DataFusion compares the pages of a file with a list of up to twenty values, and reads all of them for a longer one. A
//! fleet's trackers were often bought together, so that their numbers lie near each other: the first and the last of them
//! leave out most pages. Where they do not, comparing each row with both costs more than it spares.

use crate::columns;
use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, col, lit};

/// What is true of the device of every row that matches `filters`, if it is true of few: `device` has the least and the
/// greatest of each file.
pub(super) fn between(filters: &[Expr], device: &[ArrayRef; 2]) -> Option<Expr> {
    let (first, last) = filters.iter().flat_map(split_conjunction).find_map(ends)?;
    let known = |values: &ArrayRef| values.as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>();
    let (least, greatest) = (known(&device[0]).into_iter().min()?, known(&device[1]).into_iter().max()?);
    if device[0].null_count() > 0 || !is_small_part(first, last, &least, &greatest) {
        return None;
    }
    Some(col(columns::DEVICE).gt_eq(lit(first)).and(col(columns::DEVICE).lt_eq(lit(last))))
}

/// The first and the last of a long list of devices.
fn ends(filter: &Expr) -> Option<(&str, &str)> {
    let Expr::InList(InList { expr, list, negated: false }) = filter else { return None };
    let is_device = matches!(&**expr, Expr::Column(column) if column.name == columns::DEVICE);
    if !is_device || list.len() <= COMPARED_MAX {
        return None;
    }
    let names: Option<Vec<&str>> = list.iter().map(name).collect();
    let names = names?;
    Some((names.iter().min()?, names.iter().max()?))
}

fn name(value: &Expr) -> Option<&str> {
    match value {
        Expr::Literal(ScalarValue::Utf8(name) | ScalarValue::Utf8View(name) | ScalarValue::LargeUtf8(name), _) => {
            name.as_deref()
        }
        _ => None,
    }
}

/// Whether less than a half of all that there may be lies from `first` to `last`, as if names were spread evenly.
fn is_small_part(first: &str, last: &str, least: &str, greatest: &str) -> bool {
    let same = least.bytes().zip(greatest.bytes()).take_while(|(one, other)| one == other).count();
    // As a number: the bytes behind those that all have.
    let number = |name: &str| match name.as_bytes().strip_prefix(&least.as_bytes()[..same]) {
        Some(rest) => {
            let rest = rest.iter().copied().chain(std::iter::repeat(0)).take(size_of::<u64>());
            rest.fold(0, |sum, byte| (sum << 8) | u64::from(byte))
        }
        None if name < least => 0,
        None => u64::MAX,
    };
    let (least, greatest) = (number(least), number(greatest));
    let (first, last) = (number(first).clamp(least, greatest), number(last).clamp(least, greatest));
    last - first < (greatest - least) / 2
}

/// DataFusion's own bound: `datafusion.execution.parquet.max_in_list_size`.
const COMPARED_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::StringArray;
    use std::sync::Arc;

    fn of_files(least: &[Option<&str>], greatest: &[Option<&str>]) -> [ArrayRef; 2] {
        [least, greatest].map(|names| Arc::new(StringArray::from(names.to_vec())) as ArrayRef)
    }

    fn fleet(from: u64, count: u64) -> Vec<Expr> {
        let devices = (from..from + count).rev().map(|device| lit(device.to_string())).collect();
        vec![col("time").is_not_null(), col(columns::DEVICE).in_list(devices, false).and(col("day").is_not_null())]
    }

    const FIRST: u64 = 350_000_000_000_000;

    #[test]
    fn a_fleet_of_neighbours_is_between_two_of_them() {
        let all = of_files(&[Some("350000000000000"); 2], &[Some("350000000009999"), Some("350000000009990")]);
        let expected =
            col(columns::DEVICE).gt_eq(lit("350000000000700")).and(col(columns::DEVICE).lt_eq(lit("350000000001199")));
        assert_eq!(between(&fleet(FIRST + 700, 500), &all), Some(expected));
        // Of two such filters, either will do; of what is no list of devices, none.
        assert_eq!(between(&[col("time").is_not_null()], &all), None);
        assert_eq!(between(&[], &all), None);
    }

    #[test]
    fn a_short_list_a_wide_one_and_one_of_what_they_are_not_is_left_alone() {
        let all = of_files(&[Some("350000000000000")], &[Some("350000000009999")]);
        assert_eq!(between(&fleet(FIRST, 20), &all), None);
        assert_eq!(between(&fleet(FIRST, 6000), &all), None);
        let devices = (FIRST..FIRST + 500).map(|device| lit(device.to_string())).collect();
        assert_eq!(between(&[col(columns::DEVICE).in_list(devices, true)], &all), None);
    }

    #[test]
    fn files_of_which_nothing_is_known_are_read_by_the_list_alone() {
        let unknown = of_files(&[Some("350000000000000"), None], &[Some("350000000009999"), None]);
        assert_eq!(between(&fleet(FIRST, 500), &unknown), None);
        assert_eq!(between(&fleet(FIRST, 500), &of_files(&[], &[])), None);
    }

    #[test]
    fn names_of_all_kinds_are_compared_as_text() {
        assert!(is_small_part("a", "b", "a", "z"));
        assert!(!is_small_part("a", "z", "a", "z"));
        assert!(!is_small_part("0", "zz", "truck 1", "truck 2"), "all of them");
        assert!(is_small_part("0", "1", "truck 1", "truck 2"), "none of them");
        assert!(!is_small_part("one", "one", "one", "one"));
        assert!(is_small_part("é1", "é2", "é0", "é9"));
    }
}
