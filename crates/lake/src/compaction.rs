//! Which files become one, so that a day's files stay few whatever the number of commits.
//!
//! Files of a day that have about as many rows belong to one tier; a tier that is full becomes one file of a higher one.
//! So a row is written again once for each tier, and a day has at most as many files as all its tiers hold.
//!
//! Whoever asks for a device's day opens every file of that day: their ranges of devices are all the same. Hardly anything comes to a
//! day that is over, so of such a day the files of all tiers become one, where that is worth it.

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

/// The files that shall become one: of one day and tier; else, of a day before `today`, of several tiers; or none.
pub(crate) fn decide(files: Vec<Part>, today: Option<&str>) -> Vec<Part> {
    let (mut tiers, mut over) = (BTreeMap::<_, Vec<Part>>::new(), BTreeMap::<_, Vec<Part>>::new());
    for file in files {
        if let Some(tier) = tier(file.rows).filter(|_| file.bytes < LARGE_BYTES) {
            if today.is_some_and(|today| *file.day < *today) {
                over.entry(file.day.clone()).or_default().push(file.clone());
            }
            tiers.entry((file.day.clone(), tier)).or_default().push(file);
        }
    }
    let full = tiers.into_values().max_by_key(Vec::len).filter(|files| files.len() >= TIER_FILES);
    let mut files = full.map(in_order).unwrap_or_else(|| {
        let worth_it = over.into_values().map(|files| worth_it(in_order(files)));
        worth_it.max_by_key(Vec::len).filter(|files| files.len() >= OVER_FILES).unwrap_or_default()
    });
    files.truncate(MERGED_FILES_MAX);
    files
}

/// The smallest first.
fn in_order(mut files: Vec<Part>) -> Vec<Part> {
    files.sort_by(|one, other| one.rows.cmp(&other.rows).then_with(|| one.path.cmp(&other.path)));
    files
}

/// As many as there are but for the largest, which are not written again for a few rows: the others that become part of one have
/// at least an eighth of its rows.
fn worth_it(mut files: Vec<Part>) -> Vec<Part> {
    let (mut before, mut count) = (0, 0);
    for (index, file) in files.iter().enumerate() {
        if file.rows <= before * TIER_FILES {
            count = index + 1;
        }
        before += file.rows;
    }
    files.truncate(count);
    files
}

/// `None`: it is large enough.
fn tier(rows: usize) -> Option<u32> {
    let tier = rows.max(1).ilog2() / TIER_FILES.ilog2();
    (tier < TIERS).then_some(tier)
}

/// So many files of a tier become one. A power of two.
const TIER_FILES: usize = 8;
/// So many files of a day that is over become one.
const OVER_FILES: usize = 4;
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
    fn commit(commits: usize, rows: usize, today: Option<&str>) -> (Vec<Part>, usize) {
        let (mut files, mut rewritten): (Vec<Part>, usize) = (Vec::new(), 0);
        for number in 0..commits {
            files.push(Part { path: format!("{number:06}"), day: "2026-06-01".to_owned(), rows, bytes: rows });
            loop {
                let merged = decide(files.clone(), today);
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
            let (files, rewritten) = commit(1440, rows, Some("2026-06-01"));
            let small = files.iter().filter(|file| tier(file.rows).is_some()).count();
            assert!(small < TIER_FILES * TIERS as usize, "{small} small files of commits of {rows} rows");
            assert_eq!(files.iter().map(|file| file.rows).sum::<usize>(), 1440 * rows);
            assert!(rewritten <= 1440 * rows * TIERS as usize, "{rewritten} rows written again of {}", 1440 * rows);
        }
    }

    #[test]
    fn a_day_that_is_over_has_a_few_files_whatever_still_comes() {
        for rows in [1, 40, 10_000] {
            let (files, rewritten) = commit(1440, rows, Some("2026-06-02"));
            let small = files.iter().filter(|file| tier(file.rows).is_some()).count();
            assert!(small <= TIER_FILES, "{small} small files of commits of {rows} rows");
            assert_eq!(files.iter().map(|file| file.rows).sum::<usize>(), 1440 * rows);
            // Each time, what is written again has grown by an eighth, and by three files.
            assert!(rewritten <= 1440 * rows * 2 * TIER_FILES, "{rewritten} rows written again of {}", 1440 * rows);
        }
        let file =
            |rows, number: usize| Part { path: format!("{number}"), day: "2026-06-01".to_owned(), rows, bytes: rows };
        let rows = |files: Vec<Part>, today| decide(files, today).iter().map(|file| file.rows).collect::<Vec<_>>();
        let sizes = [100_000, 27, 110_189, 300_000, 1, 12_591, 2_960];
        let files: Vec<Part> = sizes.iter().enumerate().map(|(number, rows)| file(*rows, number)).collect();
        assert_eq!(rows(files.clone(), Some("2026-06-02")), [1, 27, 2_960, 12_591, 100_000, 110_189]);
        assert_eq!(rows(files, Some("2026-06-01")), [0; 0], "today");
        let few = [1, 2, 3, 200_000].iter().enumerate().map(|(number, rows)| file(*rows, number));
        assert_eq!(rows(few.collect(), Some("2026-06-02")), [0; 0], "for a few rows");
    }

    #[test]
    fn days_are_never_mixed_and_large_files_stay() {
        let file = |day: &str, rows, number: usize| {
            let (path, day) = (format!("{day}/{number}"), day.to_owned());
            Part { path, day, rows, bytes: rows * 100 }
        };
        let few = (0..7).map(|number| file("one", 5, number)).chain((0..7).map(|number| file("two", 5, number)));
        assert_eq!(decide(few.collect(), None), []);
        let large = (0..50).map(|number| file("one", 1 << 18, number));
        assert_eq!(decide(large.collect(), Some("two")), []);
        let long = (0..50).map(|number| Part { bytes: 32 << 20, ..file("one", 5, number) });
        assert_eq!(decide(long.collect(), Some("two")), [], "few rows of many bytes");
        let full = (0..9).map(|number| file("one", 5 + number % 2, number)).chain([file("two", 5, 0)]);
        let chosen = decide(full.collect(), Some("two"));
        assert_eq!(chosen.len(), 9);
        assert!(chosen.iter().all(|file| file.day == "one"), "{chosen:?}");
    }
}
