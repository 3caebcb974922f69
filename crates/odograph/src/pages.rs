//! The pages of the manual that are made from tables of the program: `UPDATE=1 cargo test -p odograph` writes them.

mod tables;

use crate::{config, exit};
use std::path::Path;

fn check(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "{} is not fresh: run `UPDATE=1 cargo test -p odograph` and read the difference",
        path.display()
    );
}

#[test]
fn the_reference_of_the_configuration_is_fresh() {
    check("operating/configuration.md", &config::markdown());
}

#[test]
fn the_table_of_exit_statuses_is_fresh() {
    check("operating/exit-status.md", &exit::markdown());
}

#[test]
fn the_columns_of_the_tables_are_fresh() {
    check("tables.md", &tables::markdown());
}
