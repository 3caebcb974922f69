//! What was decoded when it came, and what is decoded again, are the same records in the same order, bit for bit:
//! whatever the ring loses, and wherever whoever fills the tables begins again.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_pipeline::FrameCounts;
use odograph_protocols::PROTOCOLS;
use odograph_simtest::{Plan, World};
use support::{Filling, Gateway, Variant, conversations};

#[test]
fn all_vectors_live_give_what_the_journal_gives() {
    let mut frames = 0;
    for protocol in PROTOCOLS {
        let conversations = conversations(protocol);
        for variant in Variant::all_of(protocol) {
            let mut gateway = Gateway::start_filling(variant, Filling::Live);
            gateway.hear(&conversations);
            let counts = gateway.audit();
            assert_eq!(counts.redecoded, 0, "{variant:?}: everything came through");
            frames += counts.live;
        }
    }
    println!("{frames} frames were not decoded again");
    assert!(frames > 10_000, "only {frames} frames: too few to mean anything");
}

#[test]
fn all_vectors_with_a_ring_that_overflows_and_readers_that_begin_again_give_what_the_journal_gives() {
    let mut total = FrameCounts::default();
    for protocol in PROTOCOLS {
        let conversations = conversations(protocol);
        for (seed, variant) in (1..).zip(Variant::all_of(protocol)) {
            // From a ring for nothing to one for some frames.
            let ring_bytes = [0, 1 << 10, 4 << 10, 16 << 10][seed as usize % 4];
            let mut gateway = Gateway::start_filling(variant, Filling::ByDice { seed, ring_bytes });
            gateway.hear(&conversations);
            // The process dies with what is in the ring, and everyone comes again.
            gateway.restart();
            gateway.hear(&conversations);
            let counts = gateway.audit();
            total.live += counts.live;
            total.redecoded += counts.redecoded;
        }
    }
    println!("{total:?}");
    assert!(total.live > 1000 && total.redecoded > 1000, "{total:?}: too few to mean anything");
}

#[test]
fn fleets_whose_links_and_power_fail_leave_the_same_tables_whatever_the_ring_holds() {
    let plan = Plan {
        seed: 0,
        devices: 3,
        readings: 40,
        link_breaks_one_in: 100,
        power_cut_one_in: 0,
        disk_full_one_in: 0,
        flush_fails_one_in: 0,
        segment_bytes: 4 << 10,
        ring_bytes: 0,
        common_port: false,
    };
    let mut total = FrameCounts::default();
    for seed in 200..240 {
        let power_cut_one_in = [0, 500][seed as usize % 2];
        let ring_bytes = [0, 6 << 10, 24 << 10, 64 << 20][seed as usize / 2 % 4];
        let common_port = seed % 3 == 0;
        let ended = World::new(Plan { seed, power_cut_one_in, ring_bytes, common_port, ..plan }).run();
        assert!(ended.faults.is_empty(), "seed {seed}: {:?}", ended.faults);
        assert!(ring_bytes > 0 || ended.frames.live == 0, "seed {seed}: nothing fits into a ring for nothing");
        total.live += ended.frames.live;
        total.redecoded += ended.frames.redecoded;
    }
    println!("{total:?}");
    assert!(total.live > 1000 && total.redecoded > 1000, "{total:?}: too few to mean anything");
}
