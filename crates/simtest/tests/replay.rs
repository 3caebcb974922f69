//! Decoding the journal again gives, bit for bit, what was decoded live: every protocol's vectors go through the
//! gateway's state machines into a journal whose segments roll all the time, and come out of it again from wherever
//! reading begins.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_protocols::PROTOCOLS;
use support::{Gateway, Variant, conversations};

#[test]
fn decoding_again_gives_what_was_decoded_live() {
    let mut totals = (0, 0, 0);
    for protocol in PROTOCOLS {
        let conversations = conversations(protocol);
        for variant in Variant::all_of(protocol) {
            let mut gateway = Gateway::start(variant);
            gateway.hear(&conversations);
            // The process dies, and everyone comes again.
            gateway.restart();
            gateway.hear(&conversations);
            let compared = gateway.compare();
            totals = (totals.0 + compared.frames, totals.1 + compared.records, totals.2 + compared.beginnings);
        }
    }
    let (frames, records, beginnings) = totals;
    println!("{frames} frames, {records} records compared, from {beginnings} places");
    assert!(frames > 20_000 && records > 5000, "only {frames} frames and {records} records: too few to mean anything");
}
