//! What the fuzzer's targets promise, held by seeded random input in every run.

use odograph_simtest::fuzz::{journal, proxy, seeds, stream};
use odograph_testkit::fuzz::search;
use std::path::Path;

fn check(name: &str, target: fn(&[u8]), runs: u64) {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocols/src/devices");
    if let Some(found) = search(target, &seeds(name, &vectors), 1, runs) {
        panic!("{name}, seed 1: {found}");
    }
}

#[test]
fn any_stream() {
    check("stream", stream, 3_000);
}

#[test]
fn any_journal() {
    check("journal", journal, 3_000);
}

#[test]
fn any_proxy_header() {
    check("proxy", proxy, 200_000);
}
