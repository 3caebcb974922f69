//! The power goes at every write and flush: what was acknowledged is there, once.

use odograph_simtest::{Plan, World};

const PLAN: Plan = Plan {
    seed: 1,
    devices: 2,
    readings: 12,
    link_breaks_one_in: 150,
    power_cut_one_in: 0,
    disk_full_one_in: 0,
    flush_fails_one_in: 0,
    segment_bytes: 16 << 10,
    ring_bytes: 16 << 10,
    common_port: false,
};

#[test]
fn at_every_operation_of_the_disk() {
    let mut images = 0;
    for seed in 1..=4 {
        let world = World::new(Plan { seed, ..PLAN });
        let count = world.audit_every_operation();
        let ended = world.run();
        assert!(ended.faults.is_empty(), "seed {seed}: {:?}", ended.faults);
        assert!(ended.totals.records > 0);
        images += *count.lock().expect("nobody panics while holding the count");
    }
    println!("{images} images of a power cut audited");
    assert!(images > 1000, "only {images} images: the scenario has become too small to mean anything");
}

#[test]
fn again_and_again_while_devices_resend() {
    let (mut cuts, mut duplicates) = (0, 0);
    for seed in 100..130 {
        let plan = Plan { seed, readings: 30, power_cut_one_in: 400, link_breaks_one_in: 100, ..PLAN };
        let ended = World::new(plan).run();
        assert!(ended.faults.is_empty(), "seed {seed}: {:?}", ended.faults);
        cuts += ended.power_cuts;
        duplicates += ended.totals.duplicates;
    }
    println!("{cuts} power cuts, {duplicates} records sent again and kept once");
    assert!(cuts > 100 && duplicates > 100, "{cuts} cuts, {duplicates} duplicates: too few to mean anything");
}

#[test]
fn also_where_each_connection_is_found_out_by_what_it_says() {
    let mut cuts = 0;
    for seed in 200..220 {
        let plan = Plan { power_cut_one_in: 300, link_breaks_one_in: 50, common_port: true, ..PLAN };
        let ended = World::new(Plan { seed, ..plan }).run();
        assert!(ended.faults.is_empty(), "seed {seed}: {:?}", ended.faults);
        assert!(ended.totals.records > 0);
        cuts += ended.power_cuts;
    }
    println!("{cuts} power cuts on the common port");
    assert!(cuts > 50, "only {cuts} cuts: too few to mean anything");
}

#[test]
fn on_a_disk_that_is_full_now_and_then_and_whose_flushes_fail() {
    let (mut cuts, mut full, mut failed) = (0, 0, 0);
    for seed in 300..312 {
        let plan = Plan { power_cut_one_in: 500, link_breaks_one_in: 100, disk_full_one_in: 60, ..PLAN };
        let ended = World::new(Plan { seed, flush_fails_one_in: 150, ..plan }).run();
        assert!(ended.faults.is_empty(), "seed {seed}: {:?}", ended.faults);
        assert!(ended.totals.records > 0);
        cuts += ended.power_cuts;
        full += ended.full_steps;
        failed += ended.failed_flushes;
    }
    println!("{cuts} power cuts, {full} writes to a full disk, {failed} failed flushes");
    assert!(cuts > 20 && full > 100 && failed > 100, "{cuts}, {full}, {failed}: too few to mean anything");
}
