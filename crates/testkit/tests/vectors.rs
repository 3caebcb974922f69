//! Every protocol's vectors, and the laws that follow from them.
//!
//! `UPDATE=1` rewrites what the files expect (read the difference), `PROTOCOL=name` looks at one protocol only:
//! `UPDATE=1 PROTOCOL=gt06 cargo test -p odograph-testkit --test vectors -- --nocapture`

use odograph_protocols::PROTOCOLS;
use odograph_testkit::vectors::check;
use std::path::Path;

#[test]
fn every_protocol_keeps_what_its_vectors_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocols/src/devices");
    let rewrite = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let only = std::env::var("PROTOCOL").ok();
    let mut findings = Vec::new();
    for protocol in PROTOCOLS.iter().filter(|protocol| only.as_deref().is_none_or(|only| only == protocol.name)) {
        match check(protocol, &folder.join(format!("{}.vectors", protocol.name)), rewrite) {
            Ok(report) => {
                let cases: Vec<_> = report.cases.iter().map(|(law, cases)| format!("{law} {cases}")).collect();
                println!("{}: {} paragraphs; {}", protocol.name, report.paragraphs, cases.join(", "));
                let laws = ["decode", "truncate", "flip", "save", "ids", "error", "message", "recognise"];
                let unseen = laws.into_iter().filter(|law| !report.cases.contains_key(law));
                findings.extend(unseen.map(|law| format!("{}: no case of {law} was looked at", protocol.name)));
                findings.extend(report.findings);
            }
            Err(error) => findings.push(error.to_string()),
        }
    }
    let count = findings.len();
    assert!(findings.is_empty(), "{count} findings; UPDATE=1 rewrites what is expected:\n{}", findings.join("\n"));
}
