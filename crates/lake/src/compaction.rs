//! Which files become one, so that a day's files stay few whatever the number of commits.
//!
//! Files of a day that have about as many rows belong to one tier; a tier that is full becomes one file of a higher one.
//! So a row is written again once for each tier, and a day has at most as many files as all its tiers hold.

use std::collections::BTreeMap;

/// A file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its path in the table.
    pub(crate) path: String,
    /// The day that it is of.
    pub(crate) day: String,
    /// How many rows it has.
    pub(crate) rows: usize,
    /// How many bytes it has, compressed.
    pub(crate) bytes: usize,
}

/// The files that shall become one: of one day and tier, or none.
pub(crate) fn decide(files: Vec<Part>) -> Vec<Part> {
    let mut tiers: BTreeMap<(String, u32), Vec<Part>> = BTreeMap::new();
    for file in files {
        if let Some(tier) = tier(file.rows).filter(|_| file.bytes < LARGE_BYTES) {
            tiers.entry((file.day.clone(), tier)).or_default().push(file);
        }
    }
    let fullest = tiers.into_values().max_by_key(Vec::len).filter(|files| files.len() >= TIER_FILES);
    let mut files = fullest.unwrap_or_default();
    files.sort_by(|one, other| one.rows.cmp(&other.rows).then_with(|| one.path.cmp(&other.path)));
    files.truncate(MERGED_FILES_MAX);
    files
}

/// `None`: it is large enough.
fn tier(rows: usize) -> Option<u32> {
    let tier = rows.max(1).ilog2() / TIER_FILES.ilog2();
    (tier < TIERS).then_some(tier)
}

/// So many files of a tier become one. A power of two.
const TIER_FILES: usize = 8;
/// Files of 262,144 rows and more stay: what is merged at once has to fit into memory.
const TIERS: u32 = 6;
/// The same, where rows are long.
const LARGE_BYTES: usize = 32 << 20;
/// After a time without merging there may be thousands.
const MERGED_FILES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits one after the other, each of so many rows, and merges after each as the writer does.
    fn commit(commits: usize, rows: usize) -> (Vec<Part>, usize) {
        let (mut files, mut rewritten): (Vec<Part>, usize) = (Vec::new(), 0);
        for number in 0..commits {
            files.push(Part { path: format!("{number:06}"), day: "2026-06-01".to_owned(), rows, bytes: rows });
            loop {
                let merged = decide(files.clone());
                if merged.is_empty() {
                    break;
                }
                let rows = merged.iter().map(|file| file.rows).sum();
                files.retain(|file| !merged.contains(file));
                files.push(Part { rows, bytes: rows, path: format!("{}+", merged[0].path), ..merged[0].clone() });
                rewritten += rows;
            }
        }
        (files, rewritten)
    }

    #[test]
    fn a_days_files_stay_few_and_rows_are_written_a_few_times() {
        // A commit each minute: of one row, of a small fleet's, of a large one's.
        for rows in [1, 40, 10_000, 200_000] {
            let (files, rewritten) = commit(1440, rows);
            let small = files.iter().filter(|file| tier(file.rows).is_some()).count();
            assert!(small < TIER_FILES * TIERS as usize, "{small} small files of commits of {rows} rows");
            assert_eq!(files.iter().map(|file| file.rows).sum::<usize>(), 1440 * rows);
            assert!(rewritten <= 1440 * rows * TIERS as usize, "{rewritten} rows written again of {}", 1440 * rows);
        }
    }

    #[test]
    fn days_are_never_mixed_and_large_files_stay() {
        let file = |day: &str, rows, number: usize| {
            let (path, day) = (format!("{day}/{number}"), day.to_owned());
            Part { path, day, rows, bytes: rows * 100 }
        };
        let few = (0..7).map(|number| file("one", 5, number)).chain((0..7).map(|number| file("two", 5, number)));
        assert_eq!(decide(few.collect()), []);
        let large = (0..50).map(|number| file("one", 1 << 18, number));
        assert_eq!(decide(large.collect()), []);
        let long = (0..50).map(|number| Part { bytes: 32 << 20, ..file("one", 5, number) });
        assert_eq!(decide(long.collect()), [], "few rows of many bytes");
        let full = (0..9).map(|number| file("one", 5 + number % 2, number)).chain([file("two", 5, 0)]);
        let chosen = decide(full.collect());
        assert_eq!(chosen.len(), 9);
        assert!(chosen.iter().all(|file| file.day == "one"), "{chosen:?}");
    }
}
